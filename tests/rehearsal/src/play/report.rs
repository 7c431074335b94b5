//! What came of a rehearsal.

use std::collections::BTreeMap;

use ::report::Figure;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::traffic::{Answer, Tally, Traffic};
use scenario::{Ending, Limits, Weights};

/// What came of a rehearsal.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// What is not as the scenario says it must be; nothing where it held.
    pub problems: Vec<String>,
    /// How the last run ended.
    pub ending: Ending,
    /// The weights at the end.
    pub weights: Weights,
    /// The second fleet's share of the traffic at the end, in percent; missing where hardly anybody came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_percent_of_prod2: Option<f64>,
    /// The runs, in order.
    pub runs: Vec<RunReport>,
    /// The requests of all users, by what became of them.
    pub requests: Requests,
    /// How long a faulty fleet was borne with; missing where no fleet was faulty while it got requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_fault: Option<FromFault>,
    /// Calls of AWS that named the app while a run was going on, by API.
    pub calls: BTreeMap<String, usize>,
}

impl Report {
    /// What it comes to, in numbers.
    pub fn figures(&self) -> Vec<Figure> {
        let requests = &self.requests;
        let mut figures = vec![
            Figure::new("requests sent", requests.sent.to_string()),
            Figure::new("failed", requests.failed.to_string()),
            Figure::new("failed that are due to shifting itself", requests.failed_by_shifting.to_string()),
        ];
        if let Some(from_fault) = self.from_fault {
            let seconds =
                |seconds: Option<f64>| seconds.map_or("-".into(), |seconds| format!("{seconds:.1} s"));
            figures.extend([
                Figure::new("sent to a fleet while it was faulty", requests.met_faulty_fleet.to_string()),
                Figure::new("time to detect", seconds(from_fault.to_decision_seconds)),
                Figure::new("time to last affected request", seconds(from_fault.to_restored_traffic_seconds)),
            ]);
        }
        figures
    }
}

/// What came of one run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunReport {
    /// What it did.
    pub operation: String,
    /// How it ended; for one that was stopped, how its restore did.
    pub ending: Ending,
    /// Its summary or its cause.
    pub says: String,
    /// The weights that it left.
    pub weights: Weights,
    /// How often it set weights.
    pub stages: usize,
    /// The states that it went through, with repeated polls of a stage written once; of one that was
    /// stopped, those of its restore.
    pub path: Vec<String>,
    /// Every poll, as `verdict: reason`.
    pub polls: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Requests by what became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requests {
    /// All that were answered or given up.
    pub sent: u64,
    /// By HTTP status; `none` where there was no answer.
    pub by_status: BTreeMap<String, u64>,
    /// By the fleet that answered.
    pub by_fleet: BTreeMap<String, u64>,
    /// Those with a status from 500 on, or none.
    pub failed: u64,
    /// Those of the failed that no fault of a fleet explains.
    pub failed_by_shifting: usize,
    /// Those that were sent to a fleet while it was faulty, whatever became of them.
    pub met_faulty_fleet: usize,
}

/// How long a faulty fleet was borne with, in seconds from the first request that was sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FromFault {
    /// Until the run turned from its way: a verdict other than wait and advance, or an error. Missing
    /// where it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_decision_seconds: Option<f64>,
    /// Until the last request that was sent to it. Missing where it still gets some at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_restored_traffic_seconds: Option<f64>,
}

impl FromFault {
    /// From the times of the requests to a faulty fleet, those of decisions, and the beginning of the
    /// time at the end in which nothing changes any more.
    pub(super) fn new(hits: &[Timestamp], decisions: &[Timestamp], end: Timestamp) -> Option<Self> {
        let (first, last) = (*hits.iter().min()?, *hits.iter().max()?);
        let since = |at: Timestamp| at.duration_since(first).as_secs_f64();
        let decision = decisions.iter().filter(|at| **at >= first).min();
        Some(Self {
            to_decision_seconds: decision.map(|at| since(*at)),
            to_restored_traffic_seconds: (last < end).then(|| since(last)),
        })
    }
}

impl Requests {
    /// Counts what the users of an app have seen.
    pub(super) fn new(app: &App<'_>, traffic: &[Traffic], met_faulty_fleet: usize) -> Self {
        let answers: Vec<Answer> = traffic.iter().flat_map(Traffic::answers).collect();
        let mut requests = Self {
            failed_by_shifting: app.failed_by_shifting(&answers),
            met_faulty_fleet,
            ..Self::default()
        };
        for answer in answers {
            requests.sent += 1;
            requests.failed += u64::from(answer.failed());
            let status = answer.status.map_or_else(|| "none".into(), |status| status.to_string());
            *requests.by_status.entry(status).or_default() += 1;
            if let Some(fleet) = answer.fleet {
                *requests.by_fleet.entry(fleet).or_default() += 1;
            }
        }
        requests
    }
}

/// What exceeds the limits of a scenario, in words.
pub(super) fn exceeded(limits: &Limits, requests: &Requests, calls: &BTreeMap<String, usize>) -> Vec<String> {
    let mut problems = Vec::new();
    if requests.failed_by_shifting > limits.failed_by_shifting {
        let (lost, limit) = (requests.failed_by_shifting, limits.failed_by_shifting);
        problems.push(format!("{lost} requests were lost to shifting itself, at most {limit} may be"));
    }
    let percent = 100.0 * requests.failed as f64 / requests.sent.max(1) as f64;
    if let Some(limit) = limits.failed_percent.filter(|limit| percent > *limit) {
        problems.push(format!("{percent:.1} % of the requests failed, at most {limit} % may"));
    }
    for (action, limit) in &limits.calls {
        let count = calls.get(action).copied().unwrap_or(0);
        if count > *limit {
            problems.push(format!("{action} was called {count} times, at most {limit} are allowed"));
        }
    }
    problems
}

/// Whether the second fleet's share of the requests contradicts the weights by more than chance
/// allows (five standard deviations).
pub(super) fn contradicts(tally: &Tally, weights: Weights) -> bool {
    let requests: u64 = tally.by_fleet.iter().sum();
    let all = f64::from(weights.prod1 + weights.prod2).max(1.0);
    let share = f64::from(weights.prod2) / all;
    let allowed = 500.0 * (share * (1.0 - share) / requests.max(1) as f64).sqrt();
    (tally.percent_of_second() - 100.0 * share).abs() > allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_fault_counts_from_its_first_request() {
        let hits = [at(7), at(3), at(12)];
        let found = FromFault::new(&hits, &[at(1), at(8), at(9)], at(20)).unwrap();
        let expected = FromFault { to_decision_seconds: Some(5.0), to_restored_traffic_seconds: Some(9.0) };
        assert_eq!(found, expected);
        let nothing = FromFault { to_decision_seconds: None, to_restored_traffic_seconds: None };
        assert_eq!(FromFault::new(&hits, &[at(1)], at(12)), Some(nothing));
        assert_eq!(FromFault::new(&[], &[at(1)], at(12)), None);
    }

    #[test]
    fn limits_are_at_most() {
        let limits = Limits {
            failed_by_shifting: 1,
            failed_percent: Some(2.0),
            calls: [("ModifyRule".into(), 3)].into(),
        };
        let exceeds = |failed_by_shifting, failed, writes| {
            let requests = Requests { sent: 100, failed, failed_by_shifting, ..Requests::default() };
            exceeded(&limits, &requests, &[("ModifyRule".into(), writes)].into()).len()
        };
        assert_eq!(exceeds(1, 2, 3), 0);
        assert_eq!(exceeds(2, 3, 4), 3);
    }

    #[test]
    fn chance_is_no_contradiction_at_an_even_split_and_at_the_ends_there_is_none() {
        let tally = |by_fleet| Tally { requests: 1000, failed: 0, by_fleet };
        let weights = |prod1, prod2| Weights { prod1, prod2 };
        assert!(!contradicts(&tally([520, 480]), weights(50, 50)));
        assert!(contradicts(&tally([600, 400]), weights(50, 50)));
        assert!(contradicts(&tally([999, 1]), weights(100, 0)));
        assert!(!contradicts(&tally([750, 250]), weights(33, 11)));
    }
}
