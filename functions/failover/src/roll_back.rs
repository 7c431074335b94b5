//! Where the traffic goes when a run is rolled back: to where it was, unless that is a dead fleet.

use serde_json::Value;

use crate::contract::{Fleet, Plan, RollBackEnding, RolledBack, Route};
use crate::input::Operation;
use crate::outcome::{split, why_in_words};
use crate::samples::Health;
use crate::weights::{GroupWeight, Percent};

/// A way to roll back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the weights of before the run.
    Back,
    /// All to one fleet, since those weights would give traffic to the other, which is dead. The
    /// standby's percent, 0 or 100.
    Over(Percent),
    /// Nowhere: no fleet has healthy targets, so any change would be a guess.
    Nowhere,
}

/// Decides by target health now. A fleet without healthy targets gets no traffic while the other has
/// some. `earlier` is the answer to the same request before its writes had settled: all traffic that
/// went to one fleet stays there while that fleet is well, even if the dead one is back, since
/// somebody should look at it first.
pub fn way(plan: &Plan, live: Health, standby: Health, earlier: Option<&RolledBack>) -> Way {
    let well =
        |percent: Percent| if percent == Percent::ALL { standby.healthy > 0 } else { live.healthy > 0 };
    if let Some(over) = earlier.and_then(|earlier| earlier.over).filter(|over| well(*over)) {
        return Way::Over(over);
    }
    let gives = |fleet: &Fleet| plan.routes.iter().any(|r| r.before.get(&fleet.name).is_some_and(|w| *w > 0));
    let to_dead_live = live.healthy == 0 && gives(&plan.live);
    let to_dead_standby = standby.healthy == 0 && gives(&plan.standby);
    match (to_dead_live, to_dead_standby) {
        (false, false) => Way::Back,
        _ if live.healthy > 0 => Way::Over(Percent::NONE),
        _ if standby.healthy > 0 => Way::Over(Percent::ALL),
        _ => Way::Nowhere,
    }
}

impl Way {
    /// What it puts into a route; nothing where nothing is written.
    pub fn groups(self, plan: &Plan, route: &Route) -> Vec<GroupWeight> {
        match self {
            Self::Back => plan.before_groups(route),
            Self::Over(standby) => plan.stage_groups(standby),
            Self::Nowhere => Vec::new(),
        }
    }
}

/// What a route may hold when the run is rolled back: anything that it found or may have written,
/// an earlier attempt at this rollback included.
pub fn may_hold(plan: &Plan, route: &Route) -> Vec<Vec<GroupWeight>> {
    let written = plan.may_write.iter().map(|percent| plan.stage_groups(*percent));
    let mut all = vec![plan.before_groups(route)];
    let over = [Percent::NONE, Percent::ALL].map(|percent| plan.stage_groups(percent));
    for groups in [plan.found_groups(route)].into_iter().chain(written).chain(over) {
        if !all.contains(&groups) {
            all.push(groups);
        }
    }
    all
}

/// The answer once the weights of `way` stand.
pub fn answer(
    plan: &Plan,
    way: Way,
    live: Health,
    standby: Health,
    why: &Value,
    earlier: Option<&RolledBack>,
) -> RolledBack {
    let settled = earlier.is_some() || way == Way::Nowhere;
    let why = why_in_words(why);
    let (app, what) = (&plan.app, plan.operation.word());
    let dead = |fleet: &Fleet, health: Health| {
        format!("{} has {} of {} targets healthy", fleet.name, health.healthy, health.registered)
    };
    let (live_says, standby_says) = (dead(&plan.live, live), dead(&plan.standby, standby));
    let (ending, cause, over) = match way {
        Way::Back if plan.operation == Operation::Restore => {
            let cause = format!("{app}: restored, read back: {}", split(&plan.before));
            (RollBackEnding::Restored, cause, None)
        }
        Way::Back => {
            let cause = format!(
                "{app}: {what} rolled back, since {why}. The weights found at the start are back and read back: {}.",
                split(&plan.before)
            );
            (RollBackEnding::RolledBack, cause, None)
        }
        Way::Over(percent) => {
            let (to, reason) =
                if percent == Percent::ALL { (&plan.standby, live_says) } else { (&plan.live, standby_says) };
            let cause = format!(
                "{app}: {what} ended with all traffic on {}, since the weights found at the start ({}) would give \
                 traffic to a dead fleet: {reason}. It was to be rolled back since {why}. Look after the dead \
                 fleet; the next run starts from these weights.",
                to.name,
                split(&plan.before)
            );
            (RollBackEnding::FailedOver, cause, Some(percent))
        }
        Way::Nowhere => {
            let cause = format!(
                "{app}: {what} should be rolled back, since {why}, but both fleets are dead: {live_says}, \
                 {standby_says}. Nothing was written: the weights stay as the run last set them. Bring a fleet up, \
                 then put the weights found at the start ({}) back with `restore`, or send the traffic to one \
                 fleet with `drain` or `failback`.",
                split(&plan.before)
            );
            (RollBackEnding::Halted, cause, None)
        }
    };
    RolledBack { ending, cause, over, settled }
}
