//! How long runs may take and how often they may change weights: what follows from their plans.

use failover::model::Plan;
use serde_json::Value;

use crate::plot::{Incident, MINUTE};
use crate::run::{AFTERWARDS, Scene};

/// A period is known two periods late, and looked at a poll later.
const KNOWN_LATE: u32 = 3;

/// To plan, claim, write, go back and release, with what is tried again, in seconds.
const AROUND: f64 = 10.0 * MINUTE;

/// A rollback that is not let through is tried for two hours more.
const STUCK: f64 = 130.0 * MINUTE;

/// What follows from the plans of executions, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    executions: u32,
    seconds: f64,
    changes: usize,
}

impl Limits {
    /// Adds an execution, with its plan if it has made one.
    pub(crate) fn add(&mut self, plan: Option<&Value>) {
        self.executions += 1;
        self.seconds += AROUND;
        if let Some(plan) = plan.and_then(|plan| serde_json::from_value::<Plan>(plan.clone()).ok()) {
            let (seconds, changes) = of(&plan);
            self.seconds += seconds;
            self.changes += changes;
        }
    }
}

/// Every stage once, and held for as long as a suspect is; every recheck that there may be, with the rest of
/// its stage; and once the longest of the waits for something that does not come. Each split is at most one
/// change for each route, and after the last one comes the way back, or over to the other fleet and back.
fn of(plan: &Plan) -> (f64, usize) {
    let criteria = &plan.criteria;
    let wait = (criteria.longer_periods * plan.period_seconds).max(criteria.both_unhealthy_for.0);
    let stages: u32 = plan.stages.iter().map(|stage| stage.bake_seconds).sum();
    let number = u32::try_from(plan.stages.len()).unwrap_or(u32::MAX);
    let longest = plan.stages.iter().map(|stage| stage.bake_seconds).max().unwrap_or(0);
    let recheck = (criteria.recheck_periods + 2 * KNOWN_LATE) * plan.period_seconds + longest;
    let periods = number * (KNOWN_LATE + criteria.hold_periods);
    let seconds = stages + criteria.max_rechecks * recheck + periods * plan.period_seconds + wait;
    (f64::from(seconds), plan.routes.len() * (plan.stages.len() + 2 * criteria.max_rechecks as usize + 2))
}

pub(super) fn ends(scene: &Scene<'_>) -> Option<String> {
    let (report, limits) = (scene.report, scene.run.limits);
    let held = |pair: &&[(f64, Incident)]| pair[0].1 == Incident::Ask("pause");
    let held: f64 = report.plot.incidents.windows(2).filter(held).map(|pair| pair[1].0 - pair[0].0).sum();
    let unseen: f64 = report.plot.stops.iter().filter_map(|stop| stop.restored_after).sum();
    let between = f64::from(limits.executions) * AFTERWARDS as f64 * MINUTE;
    let stuck = if report.path.iter().any(|state| state == "RollBackOn") { STUCK } else { 0.0 };
    let most = limits.seconds + held + unseen + between + stuck;
    let minutes = |seconds: f64| seconds / MINUTE;
    (report.seconds > most).then(|| {
        format!("{} after {:.0} min instead of {:.0}", report.ending, minutes(report.seconds), minutes(most))
    })
}

pub(super) fn changes(scene: &Scene<'_>) -> Option<String> {
    let others = |(_, what): &&(f64, Incident)| matches!(what, Incident::Terraform | Incident::ByHand);
    let others = scene.report.plot.incidents.iter().filter(others).count();
    let (made, most) = (scene.report.changes.len(), scene.run.limits.changes + others);
    (made > most).then(|| format!("{made} changes of what the fleets get instead of {most}"))
}
