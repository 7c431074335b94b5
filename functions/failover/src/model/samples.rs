//! What is measured, and the sums that verdicts and reports show of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::verdict::{Counts, MetricJudgement};

/// How many targets of a group pass their health checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Targets in the state `healthy` that are not shifted away with their zone; no other counts.
    pub healthy: u32,
    /// Targets registered, in any state but those that are being deregistered.
    pub registered: u32,
    /// Whether the balancer says of all of them that it does not use them. It does not check them then,
    /// since no rule holds their group yet, or the group's zones are not the balancer's.
    pub unused: bool,
}

/// Counts of one fleet in one `CloudWatch` period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When the period begins, in seconds since the epoch.
    pub at: i64,
    /// Requests for which the balancer chose a target of this fleet.
    pub requests: u64,
    /// Responses 500 to 599 of its targets.
    pub target_5xx: u64,
    /// Responses 400 to 499 of its targets.
    pub target_4xx: u64,
    /// Responses 200 to 599 of its targets. A `WebSocket` is answered with 101 and is not among them.
    pub answers: u64,
    /// Connections to its targets that were not established. These are attempts, so there can be
    /// more of them than requests.
    pub connection_errors: u64,
    /// Requests that it left unanswered beside those, as far as is known: see [`crate::run::unanswered`].
    pub unanswered: u64,
    /// Responses that took longer than the plan's threshold.
    pub slow: u64,
    /// Responses that took so long that they are failures whatever they say, see
    /// [`crate::model::PlannedApp::hung_seconds`].
    pub hung: u64,
}

impl Sample {
    /// As the verdict counts them.
    pub fn counts(self) -> Counts {
        Counts {
            requests: self.requests,
            // A 5xx that came after so long counts twice: `CloudWatch` does not say how many did.
            failures: [self.target_5xx, self.connection_errors, self.unanswered, self.hung]
                .into_iter()
                .fold(0, u64::saturating_add),
            slow: self.slow,
            client_errors: self.target_4xx,
        }
    }
}

/// What was measured of one fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetSamples {
    /// One entry for each period in which the fleet had requests, oldest first.
    pub samples: Vec<Sample>,
    /// Its targets now.
    pub health: Health,
}

impl FleetSamples {
    /// The counts of the period that begins at `at`; all zero where nothing is known of it.
    pub fn counts_at(&self, at: i64) -> Counts {
        let found = self.samples.binary_search_by_key(&at, |sample| sample.at);
        found.map_or_else(|_| Counts::default(), |index| self.samples[index].counts())
    }
}

/// What the balancer answered itself in one `CloudWatch` period, for whichever of its apps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnErrors {
    /// When the period begins, in seconds since the epoch.
    pub at: i64,
    /// 502 and 504: a target was chosen and did not answer.
    pub unanswered: u64,
    /// 503: there was no target to choose.
    pub no_target: u64,
}

impl OwnErrors {
    fn all(self) -> u64 {
        self.unanswered.saturating_add(self.no_target)
    }
}

/// What was measured of an app, from well before the run until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// The time of the poll.
    pub now: Timestamp,
    /// The live fleet.
    pub live: FleetSamples,
    /// The standby.
    pub standby: FleetSamples,
    /// The balancer's own 502, 503 and 504 that no fleet of the run is charged with. Oldest first.
    pub balancer_errors: Vec<OwnErrors>,
    /// Those of the operator's `CloudWatch` alarms that are in ALARM now.
    pub alarms: Vec<String>,
}

impl Samples {
    /// The balancer's own errors in the period that begins at `at`.
    pub fn balancer_errors_at(&self, at: i64) -> u64 {
        let found = self.balancer_errors.binary_search_by_key(&at, |own| own.at);
        found.map_or(0, |index| self.balancer_errors[index].all())
    }
}

/// Counts come as floating point numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and NaN becomes 0"
)]
pub fn whole(count: f64) -> u64 {
    count.round() as u64
}

/// A span of time by whole periods, in seconds since the epoch: `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first second.
    pub from: i64,
    /// The second after the last.
    pub to: i64,
}

impl Span {
    /// Sums over the periods that begin in the span.
    pub fn sum(self, fleet: &FleetSamples) -> FleetFigures {
        let mut figures = FleetFigures {
            healthy_targets: fleet.health.healthy,
            registered_targets: fleet.health.registered,
            ..FleetFigures::default()
        };
        for sample in fleet.samples.iter().filter(|s| (self.from..self.to).contains(&s.at)) {
            let counts = sample.counts();
            figures.requests = figures.requests.saturating_add(counts.requests);
            figures.failures = figures.failures.saturating_add(counts.failures.min(counts.requests));
            figures.slow = figures.slow.saturating_add(counts.slow.min(counts.requests));
        }
        figures
    }

    /// The balancer's own errors in the span.
    pub fn balancer_errors(self, samples: &Samples) -> u64 {
        let counted = samples.balancer_errors.iter().filter(|own| (self.from..self.to).contains(&own.at));
        counted.fold(0, |sum, own| sum.saturating_add(own.all()))
    }
}

/// Sums of one fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FleetFigures {
    /// Requests.
    pub requests: u64,
    /// Failed requests: target 5xx, connection errors, what was left unanswered and what hung, never more than
    /// the requests.
    pub failures: u64,
    /// Slow responses.
    pub slow: u64,
    /// Healthy targets now.
    pub healthy_targets: u32,
    /// Registered targets now.
    pub registered_targets: u32,
}

impl FleetFigures {
    /// Those of several apps as if they were one.
    pub fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            requests: sum.requests.saturating_add(one.requests),
            failures: sum.failures.saturating_add(one.failures),
            slow: sum.slow.saturating_add(one.slow),
            healthy_targets: sum.healthy_targets.saturating_add(one.healthy_targets),
            registered_targets: sum.registered_targets.saturating_add(one.registered_targets),
        })
    }

    fn failure_percent(self) -> f64 {
        100.0 * self.failures as f64 / self.requests.max(1) as f64
    }
}

/// How the bets against the standby stand, see [`crate::verdict`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Odds {
    /// Over all metrics.
    pub total: f64,
    /// Metric by metric.
    pub metrics: Vec<MetricJudgement>,
    /// Whether there was less history than wanted, so that more bad luck is allowed for.
    pub careful: bool,
}

/// What a verdict rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Figures {
    /// The live fleet in the stage under watch.
    pub live: FleetFigures,
    /// The standby in the stage under watch.
    pub standby: FleetFigures,
    /// The balancer's own 502, 503 and 504 in the stage under watch that no fleet is charged with.
    pub balancer_errors: u64,
    /// The live fleet since the first stage was set.
    pub run_live: FleetFigures,
    /// The standby since the first stage was set.
    pub run_standby: FleetFigures,
    /// The odds against the standby, where it is compared with the live fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub odds: Option<Odds>,
}

/// The failures of the live fleet in the whole run in words, those of all apps together, such as `0.03 %
/// errors on prod1`.
pub fn of_live(figures: &BTreeMap<String, Figures>, live_name: &str) -> String {
    let live = FleetFigures::sum(figures.values().map(|figures| figures.run_live));
    format!("{:.2} % errors on {live_name}", live.failure_percent())
}

/// The failures of the whole run in words, those of all apps together, such as `0.02 % errors against
/// 0.03 % on prod1`.
pub fn compared(figures: &BTreeMap<String, Figures>, live_name: &str) -> String {
    format!(
        "{:.2} % errors against {:.2} % on {live_name}",
        FleetFigures::sum(figures.values().map(|figures| figures.run_standby)).failure_percent(),
        FleetFigures::sum(figures.values().map(|figures| figures.run_live)).failure_percent()
    )
}
