//! What happens to the machinery: stops, people, infrastructure code, functions of the team.

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::json;

use crate::draw::{between, chance};
use crate::plot::{Hook, Incident, Plot, Stop, When};

/// The team's own function. A deployment allows it, and an input names it.
pub(crate) const HOOK: &str = "arn:aws:lambda:eu-central-1:123456789012:function:look-at-the-release";

/// Seconds after a stop at which its event starts the restore.
const BY_EVENT: f64 = 1.0;

pub(super) fn stopped(plot: &mut Plot, rng: &mut SmallRng) {
    let restored_after = chance(rng, 0.8).then_some(BY_EVENT);
    plot.stops.push(Stop { at: When::Seconds(between(rng, 1.0, 2400.0)), restored_after });
}

/// Adds one at a time: the first is of the run, the second of its restore.
pub(super) fn stopped_writing(plot: &mut Plot, rng: &mut SmallRng) {
    // A run of one app makes some twenty writes, and a restore six.
    let most = if plot.stops.is_empty() { 24 } else { 8 };
    plot.stops.push(Stop { at: When::Write(rng.random_range(1..=most)), restored_after: Some(BY_EVENT) });
}

/// Somebody sees it later, and starts the restore by hand.
pub(super) fn stopped_unseen(plot: &mut Plot, rng: &mut SmallRng) {
    let at = if chance(rng, 0.5) {
        When::Write(rng.random_range(1..=24))
    } else {
        When::Seconds(between(rng, 1.0, 2400.0))
    };
    plot.stops.push(Stop { at, restored_after: Some(between(rng, 120.0, 1800.0)) });
}

pub(super) fn terraform(plot: &mut Plot, rng: &mut SmallRng) {
    plot.incidents.push((between(rng, 1.0, 2400.0), Incident::Terraform));
}

pub(super) fn by_hand(plot: &mut Plot, rng: &mut SmallRng) {
    plot.incidents.push((between(rng, 1.0, 2400.0), Incident::ByHand));
}

pub(super) fn asked(plot: &mut Plot, rng: &mut SmallRng) {
    let from = between(rng, 60.0, 1500.0);
    let what = if chance(rng, 0.5) { "pause" } else { "rollback" };
    plot.incidents.push((from, Incident::Ask(what)));
    if what == "pause" {
        plot.incidents.push((from + between(rng, 60.0, 1200.0), Incident::Ask("resume")));
    }
}

pub(super) fn hook(plot: &mut Plot, rng: &mut SmallRng) {
    let moment = if chance(rng, 0.5) { "beforeRun" } else { "afterStage" };
    let says =
        [Some("advance"), Some("advance"), Some("rollBack"), Some("maybe"), None][rng.random_range(0..5)];
    // A minute is all that it gets.
    plot.hook = Some(Hook { moment, says, after: between(rng, 0.1, 75.0) });
    for input in &mut plot.inputs {
        input["hooks"] = json!({ moment: HOOK });
    }
}
