//! Where the traffic goes when a run is rolled back: to where it was, unless that is a dead fleet.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::samples::Health;
use crate::model::weights::{GroupWeight, Percent, split};
use crate::model::{Operation, Plan, PlannedApp, Route, Weights};
use crate::run::why::why_in_words;
use crate::wire::{RollBackEnding, RolledBack};

/// A way to roll back an app.
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

/// What a rollback sees before it writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The targets of both fleets, live and standby, of every app of the plan; nothing where they could
    /// not be read.
    pub targets: Vec<Option<[Health; 2]>>,
    /// Why they could not be read, where that is so.
    pub unread: Option<String>,
    /// The routes that are left out since their rules are gone, in words.
    pub gone: Vec<String>,
    /// Whether claims had to be made again, so that the writes have to settle once more.
    pub claimed_anew: bool,
}

/// The way of every app of the plan, by the targets of its fleets now. Whatever becomes of the others,
/// no app is sent to a fleet that is known to be dead. Where nothing is known it goes back, to where its
/// traffic was fine before.
pub fn ways(plan: &Plan, seen: &Seen, earlier: Option<&RolledBack>) -> Vec<Way> {
    let of_app = |(index, targets): (usize, &Option<[Health; 2]>)| match targets {
        Some([live, standby]) => way(plan, index, *live, *standby, earlier),
        None => went_over(plan, index, earlier).map_or(Way::Back, Way::Over),
    };
    seen.targets.iter().enumerate().map(of_app).collect()
}

/// The fleet to which the traffic of an app went before the writes had settled, by the standby's percent.
fn went_over(plan: &Plan, app: usize, earlier: Option<&RolledBack>) -> Option<Percent> {
    earlier?.over.get(&plan.apps[app].name).copied()
}

/// Decides by target health now. A fleet without healthy targets gets no traffic while the other has
/// some. `earlier` is the answer to the same request before its writes had settled: all traffic that
/// went to one fleet stays there while that fleet is well, even if the dead one is back, since
/// somebody should look at it first.
fn way(plan: &Plan, app: usize, live: Health, standby: Health, earlier: Option<&RolledBack>) -> Way {
    let well =
        |percent: Percent| if percent == Percent::ALL { standby.healthy > 0 } else { live.healthy > 0 };
    if let Some(over) = went_over(plan, app, earlier).filter(|over| well(*over)) {
        return Way::Over(over);
    }
    let routes = || plan.routes.iter().filter(|route| route.app == app);
    let gives = |fleet: &String| routes().any(|route| route.before.get(fleet).is_some_and(|w| *w > 0));
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
            Self::Over(standby) => plan.stage_groups(route, standby),
            Self::Nowhere => Vec::new(),
        }
    }

    /// What each fleet of an app gets then; nothing where nothing is written.
    pub fn weights(self, plan: &Plan, app: &PlannedApp) -> Option<Weights> {
        match self {
            Self::Back => Some(app.before.clone()),
            Self::Over(standby) => Some(plan.weights(standby)),
            Self::Nowhere => None,
        }
    }
}

/// The answer of a restore that no longer holds its routes, where they are as it would leave them.
pub fn unneeded(plan: &Plan) -> RolledBack {
    let cause = format!("{}: {}; nothing is left to restore", plan.app, plan.before_in_words());
    RolledBack { ending: RollBackEnding::Unchanged, cause, over: BTreeMap::new(), settled: true }
}

/// What a route may hold when the run is rolled back: anything that it found or may have written,
/// an earlier attempt at this rollback included. A restore does not count what it found: whoever
/// stopped the run may have set weights by hand since.
pub fn may_hold(plan: &Plan, route: &Route) -> Vec<Vec<GroupWeight>> {
    let written = plan.may_write.iter().map(|percent| plan.stage_groups(route, *percent));
    let mut all = vec![plan.before_groups(route)];
    let over = [Percent::NONE, Percent::ALL].map(|percent| plan.stage_groups(route, percent));
    let found = (plan.operation != Operation::Restore).then(|| plan.found_groups(route));
    for groups in found.into_iter().chain(written).chain(over) {
        if !all.contains(&groups) {
            all.push(groups);
        }
    }
    all
}

/// The answer once the weights of these ways, one for each app, stand.
pub fn answer(
    plan: &Plan,
    ways: &[Way],
    seen: &Seen,
    why: &Value,
    earlier: Option<&RolledBack>,
) -> RolledBack {
    let nowhere = |way: &Way| *way == Way::Nowhere;
    let settled = earlier.is_some() && !seen.claimed_anew || ways.iter().all(nowhere);
    // What is left to a person comes before what somebody has to look after.
    let ending = if ways.iter().any(nowhere) || !plan.lost.is_empty() {
        RollBackEnding::Halted
    } else if ways.iter().any(|way| matches!(way, Way::Over(_))) {
        RollBackEnding::FailedOver
    } else if plan.operation == Operation::Restore {
        RollBackEnding::Restored
    } else {
        RollBackEnding::RolledBack
    };
    // Nothing has to go wrong for what an interrupted run has left to go back.
    let why = match plan.operation {
        Operation::Restore if why.is_null() => "an earlier run was interrupted".into(),
        _ => why_in_words(why),
    };
    let mut cause = if plan.lost.is_empty() {
        went(plan, ways, seen, &why, ending)
    } else {
        without_what_is_lost(plan, ways)
    };
    if let Some(unread) = &seen.unread {
        cause = format!(
            "{cause} Target health could not be read ({unread}), so whether the fleets have healthy targets was \
             not looked at; look at them."
        );
    }
    if !seen.gone.is_empty() {
        cause = format!("{cause} Left out: {}.", seen.gone.join("; "));
    }
    let over = plan.apps.iter().zip(ways).filter_map(|(app, way)| match way {
        Way::Over(percent) => Some((app.name.clone(), *percent)),
        _ => None,
    });
    RolledBack { ending, cause, over: over.collect(), settled }
}

/// What became of a restore that cannot put all apps back.
fn without_what_is_lost(plan: &Plan, ways: &[Way]) -> String {
    let of_app = |(index, (app, way)): (usize, (&PlannedApp, &Way))| {
        plan.routes.iter().find(|route| route.app == index)?;
        let weights = way.weights(plan, app);
        Some(weights.map_or_else(
            || format!("{}: neither fleet has healthy targets, and nothing was written", app.name),
            |weights| format!("{}: {}, read back", app.name, split(&weights)),
        ))
    };
    let restored: Vec<String> = plan.apps.iter().zip(ways).enumerate().filter_map(of_app).collect();
    let restored = if restored.is_empty() { String::new() } else { format!(" {}.", restored.join("; ")) };
    format!(
        "{}: not everything could be restored. {}. Set those weights by hand; the apps are given free.{restored}",
        plan.app,
        plan.lost.join("; ")
    )
}

/// Where the traffic of every app is.
fn went(plan: &Plan, ways: &[Way], seen: &Seen, why: &str, ending: RollBackEnding) -> String {
    let (name, what, before) = (&plan.app, plan.operation.word(), plan.before_in_words());
    match (ending, ways, &seen.targets[..]) {
        (RollBackEnding::Restored, ..) => format!("{name}: restored, read back: {before}."),
        (RollBackEnding::RolledBack, ..) => format!(
            "{name}: {what} rolled back, since {why}. The weights found at the start are back and read back: {before}."
        ),
        (_, [way], [targets]) => alone(plan, *way, *targets, why),
        (_, ways, targets) => {
            let each = plan.apps.iter().zip(ways.iter().zip(targets));
            let each: Vec<String> =
                each.map(|(app, (way, targets))| in_lockstep(plan, app, *way, *targets)).collect();
            let next = if ending == RollBackEnding::Halted {
                "Bring a fleet up where both are dead, then put back what was found there with `restore`, or send the \
                 traffic to one fleet with `drain` or `failback`."
            } else {
                "Look after the dead fleet. The next run starts from these weights; a `drain` with `standby` brings \
                 the apps to one live fleet again."
            };
            format!("{name}: {what} was to be rolled back, since {why}. {}. {next}", each.join(". "))
        }
    }
}

/// Where the traffic of the only app is, if it could not go back.
fn alone(plan: &Plan, way: Way, targets: Option<[Health; 2]>, why: &str) -> String {
    let (app, what, before) = (&plan.app, plan.operation.word(), plan.before_in_words());
    let [live, standby] = in_words(plan, targets);
    match way {
        Way::Over(percent) => {
            let (to, reason) = gone_over(plan, percent, [&live, &standby]);
            format!(
                "{app}: {what} ended with all traffic on {to}, since the weights found at the start ({before}) would \
                 give traffic to a dead fleet: {reason}. It was to be rolled back since {why}. Look after the dead \
                 fleet; the next run starts from these weights."
            )
        }
        _ => format!(
            "{app}: {what} should be rolled back, since {why}, but neither fleet has healthy targets: {live}, {standby}. Nothing \
             was written: the weights stay as the run last set them. Bring a fleet up, then put the weights found at \
             the start ({before}) back with `restore`, or send the traffic to one fleet with `drain` or `failback`."
        ),
    }
}

/// Where the traffic of one of several apps is.
fn in_lockstep(plan: &Plan, app: &PlannedApp, way: Way, targets: Option<[Health; 2]>) -> String {
    let (name, before) = (&app.name, plan.before_of(app));
    let [live, standby] = in_words(plan, targets);
    match way {
        Way::Back => format!("{name}: the weights found at the start are back and read back, {before}"),
        Way::Over(percent) => {
            let (to, reason) = gone_over(plan, percent, [&live, &standby]);
            format!(
                "{name}: all traffic is on {to}, since the weights found at the start ({before}) would give traffic \
                 to a dead fleet, {reason}"
            )
        }
        Way::Nowhere => format!(
            "{name}: neither fleet has healthy targets, {live}, {standby}, so nothing was written and the weights stay as the run \
             last set them; found at the start was {before}"
        ),
    }
}

fn in_words(plan: &Plan, targets: Option<[Health; 2]>) -> [String; 2] {
    let words = |fleet: &String, health: Option<Health>| match health {
        Some(Health { healthy, registered, .. }) => {
            format!("{fleet} has {healthy} of {registered} targets healthy")
        }
        None => format!("how {fleet} is could not be read"),
    };
    [words(&plan.live, targets.map(|both| both[0])), words(&plan.standby, targets.map(|both| both[1]))]
}

/// To which fleet all traffic went, and how the other one is.
fn gone_over<'a>(plan: &'a Plan, percent: Percent, targets: [&'a String; 2]) -> (&'a String, &'a String) {
    if percent == Percent::ALL { (&plan.standby, targets[0]) } else { (&plan.live, targets[1]) }
}

#[cfg(test)]
mod tests;
