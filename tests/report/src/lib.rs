//! One self-contained HTML page about one or more runs.
//!
//! A [`Recording`] is what happened, as plain data. [`collect`] makes one from the history of an
//! execution and the balancer's metrics, on AWS as in a rehearsal; a rehearsal adds what only it
//! knows. [`page::render`] draws it. The [`panels`] are those of the dashboard in the template.

pub mod chart;
pub mod collect;
mod list;
pub mod page;
pub mod panels;
mod time;

use std::collections::BTreeMap;

use failover::model::Weights;
use failover::model::samples::Figures;
use failover::verdict::Verdict;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recording {
    /// What the page is headed with.
    pub title: String,
    /// The names of both fleets, in the order in which they are shown.
    pub fleets: [String; 2],
    /// When the first sample begins.
    pub from: Timestamp,
    /// When the last sample ends.
    pub until: Timestamp,
    /// What one sample covers, in seconds.
    pub period_seconds: u32,
    /// The runs, oldest first.
    pub runs: Vec<Run>,
    /// What the balancer counted of each app; more than one where they moved in lockstep.
    pub apps: Vec<App>,
    /// What else happened, oldest first.
    pub events: Vec<Event>,
    /// The notices as they were sent, oldest first.
    pub notices: Vec<Notice>,
    /// What it comes to.
    pub figures: Vec<Figure>,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// Its name.
    pub name: String,
    /// What the balancer counted of each fleet, oldest first.
    pub samples: [Vec<Sample>; 2],
}

/// One execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// The ARN of the execution.
    pub execution: String,
    /// What was asked.
    pub operation: String,
    /// What the standby ran, where somebody said so.
    pub release: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it goes on.
    pub ended_at: Option<Timestamp>,
    /// The weights found at its start, by app; none where it did not get so far as to plan.
    pub before: BTreeMap<String, Weights>,
    /// The weights it set, oldest first.
    pub steps: Vec<Step>,
    /// Its polls, oldest first.
    pub polls: Vec<Poll>,
    /// The odds from which on it rolls back; none where it did not get so far as to plan.
    pub odds_needed: Option<f64>,
    /// The status of its output, the name of its error, or how Step Functions puts it.
    pub ending: String,
    /// Whether it ended as was asked.
    pub succeeded: bool,
    /// What it said at its end, for a person.
    pub sentence: String,
}

/// Weights that a run set and read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// When they stood.
    pub at: Timestamp,
    /// The weights.
    pub weights: Weights,
    /// Of which app alone; of all where that is not said.
    pub app: Option<String>,
    /// What for.
    pub what: What,
}

/// What weights were set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum What {
    /// A stage, the first being 1, of so many.
    Stage(usize, usize),
    /// A recheck during that stage.
    Recheck(usize, usize),
    /// A rollback.
    RollBack,
}

/// One look during a bake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Poll {
    /// When.
    pub at: Timestamp,
    /// What it concluded.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// What was measured of each app.
    pub figures: BTreeMap<String, Figures>,
}

impl Poll {
    /// The odds against the standby of an app.
    pub fn odds(&self, app: &str) -> Option<f64> {
        Some(self.figures.get(app)?.odds.as_ref()?.total)
    }

    /// The highest odds against the standby of any app.
    pub fn worst_odds(&self) -> Option<f64> {
        self.figures.keys().filter_map(|app| self.odds(app)).max_by(f64::total_cmp)
    }
}

/// What the balancer counted of a fleet in one period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sample {
    /// When the period begins.
    pub at: Timestamp,
    /// Requests.
    pub requests: u64,
    /// Failed ones: target 5xx, connection errors and what was left unanswered.
    pub failures: u64,
    /// Responses above the run's threshold.
    pub slow: u64,
    /// The 95th percentile of the response times, in seconds.
    pub usual_seconds: Option<f64>,
    /// The fewest healthy targets.
    pub healthy: Option<u32>,
}

/// Something that was done to a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// When, or when it began.
    pub at: Timestamp,
    /// When it was over; none for what takes no time.
    pub until: Option<Timestamp>,
    /// Whether the fleet was made to fail.
    pub fault: bool,
    /// What, with the fleet's name.
    pub text: String,
}

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notice {
    /// When it was sent.
    pub at: Timestamp,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
}

/// A number that sums something up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Figure {
    /// What it is.
    pub label: String,
    /// The number with its unit.
    pub value: String,
}

impl Figure {
    /// A figure.
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into() }
    }
}

/// Such as `prod1 90 %, prod2 10 %`.
pub fn split(weights: &Weights) -> String {
    weights.iter().map(|(fleet, percent)| format!("{fleet} {percent}")).collect::<Vec<_>>().join(", ")
}
