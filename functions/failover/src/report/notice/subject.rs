//! What a subject says: short, and nothing that the balancer does not hold.

use crate::model::Plan;
use crate::model::weights::{Percent, split};
use crate::wire::{Outcome, Status};

/// Where the traffic is again, in a subject.
pub(super) fn gone_back(plan: &Plan) -> String {
    match plan.before() {
        Some(weights) if plan.standby_share(&weights) == Percent::NONE => {
            format!(", {} carries the traffic", plan.live)
        }
        Some(weights) => format!(" to {}", split(&weights)),
        None => " to what was found".into(),
    }
}

pub(super) fn achieved(outcome: &Outcome) -> String {
    match outcome.status {
        Status::Shifted => format!("shifted, {} carries all traffic", outcome.live),
        Status::Drained => format!("drained, {} is ready for deployment", outcome.standby),
        Status::Balanced => "balanced, both fleets carry half".into(),
        Status::FailedBack => format!("failed back, {} carries all traffic", outcome.live),
        Status::Restored => match &outcome.weights {
            Some(weights) => format!("restored to {}", split(weights)),
            None => "restored to what was found".into(),
        },
        Status::Unchanged | Status::Planned => "unchanged".into(),
    }
}

/// The apps, short enough to leave room for the rest of a subject.
pub(super) fn whom(plan: &Plan) -> String {
    let whole = plan.app.to_string();
    match plan.app.names() {
        [first, others @ ..] if whole.len() > MOST_OF_SUBJECT && !others.is_empty() => {
            format!("{first} and {} more", others.len())
        }
        _ => whole,
    }
}

/// Characters of a subject that the names of several apps may take.
const MOST_OF_SUBJECT: usize = 45;
