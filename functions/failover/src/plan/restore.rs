//! From what an interrupted run had found to the plan that puts it back.

#[cfg(feature = "aws")]
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::checks::one_balancer;
use super::{
    Found, FoundApp, FoundBehind, FoundFleet, FoundRoute, Refusal, Thresholds, found_weights, planned, route,
    testers, weights,
};
use crate::input::Input;
use crate::model::claim::Claim;
use crate::model::error::{Error, ErrorKind};
use crate::model::hold::{Reached, has_ended};
use crate::model::hooks::Hooks;
use crate::model::record::{self, Record};
use crate::model::weights::{share, weight_of};
use crate::model::{Execution, Plan, PlannedApp, Route, RouteWeights};

/// An app on which something is to be put back: its index, and what.
type Left<'a> = (usize, &'a FoundApp, &'a FoundBehind);

/// The plan of a restore: what an interrupted run had found on its apps, by its own history. Health is not
/// looked at here: the rollback decides by the health it finds.
pub(super) fn restore(input: &Input, execution: &Execution, found: &Found) -> Result<Plan, Refusal> {
    let load_balancer_arn = one_balancer(found)?.to_owned();
    // Whether there is something to put back must not be guessed.
    if let Some((execution, why)) = found.apps.iter().find_map(|app| match &app.lock.claim {
        Claim::Unclear(execution, why) => Some((execution, why)),
        _ => None,
    }) {
        let app = &input.app;
        return Err(Refusal::Complete(Error::new(
            ErrorKind::AwsRefused,
            format!(
                "{app}: whether {execution}, which claims it, is still running cannot be told ({why}). \
                 Nothing was touched; see the weights of the app and start a `restore` again."
            ),
        )));
    }
    let left = left(found);
    let end = end(&left);
    let (mut routes, mut gone) = (Vec::new(), Vec::new());
    let mut live: Option<&str> = None;
    let mut may_write = BTreeSet::new();
    let mut lost = Vec::new();
    for (index, app, behind) in &left {
        let record = match fitting(app, behind) {
            Ok(record) => record,
            // Nobody else may have the app before its restore is over, so it is given free, and a person told.
            Err(why) if behind.interrupted => {
                lost.push(format!(
                    "{}: what {} had found cannot be put back, since {why}",
                    app.name, behind.execution
                ));
                continue;
            }
            Err(why) => {
                let what = format!("what {} had found cannot be put back, since {why}", behind.execution);
                return Err(Refusal::of(app)(what));
            }
        };
        let said = end.as_ref().map_or_else(|| record.live.as_str(), |(_, live)| live);
        if live.is_some_and(|live| live != said) {
            let apart = if found.apps.len() > 1 { "; restore the apps one by one" } else { "" };
            return Err(Refusal::of(app)(format!(
                "the runs to be restored had different fleets live, {} and {said}{apart}",
                live.unwrap_or_default()
            )));
        }
        live = Some(said);
        may_write.extend(&record.may_write);
        for recorded in record.routes_of(&app.name) {
            let before = end.as_ref().map_or_else(|| recorded.before.clone(), |(weights, _)| weights.clone());
            match app.routes.iter().find(|route| route.arn == recorded.arn) {
                Some(now) => {
                    let found_weights = found_weights(now, &app.fleets);
                    routes.push(Route { before, ..route(found, *index, now, found_weights) });
                }
                None => gone.push(Route::gone(&recorded.label, &recorded.arn)),
            }
        }
    }
    let live = match live {
        Some(name) => usize::from(found.fleet_names()[1] == name),
        // Nothing is left to restore: the output only says what stands.
        None => found.apps.first().map_or(0, |app| {
            let tagged = |tag: &str| app.fleets.iter().position(|fleet| fleet.name == tag);
            app.lock.live_tag.as_deref().and_then(tagged).unwrap_or_else(|| heavier(app))
        }),
    };
    let interrupted = left.iter().filter(|(.., behind)| behind.interrupted);
    let predecessors = interrupted.map(|(.., behind)| behind.execution.clone());
    let predecessors: BTreeSet<String> = predecessors.chain(found.chain.iter().cloned()).collect();
    let held: BTreeSet<usize> = left.iter().map(|(index, ..)| *index).collect();
    Ok(Plan {
        version: record::VERSION,
        app: input.app.clone(),
        apps: apps(found, live, &routes, &held),
        operation: input.operation,
        release: None,
        execution: execution.clone(),
        live: found.fleet_names()[live].to_owned(),
        standby: found.fleet_names()[1 - live].to_owned(),
        load_balancer_arn,
        routes,
        testers: testers(found, live),
        stages: Vec::new(),
        may_write,
        propagation_seconds: found.propagation_seconds,
        predecessors: predecessors.into_iter().collect(),
        done: end.is_some(),
        gone,
        lost,
        excepted: Vec::new(),
        overridden: None,
        approval: None,
        poll_seconds: input.poll.0,
        polls_per_check: 1,
        period_seconds: input.period.0,
        criteria: input.criteria.clone(),
        standby_unhealthy: None,
        probing: None,
        hooks: Hooks::default(),
        checks: vec!["the apps of an interrupted run, and what it found there, by its history".into()],
    })
}

/// What a run had found on an app, or why it cannot be put back.
fn fitting<'a>(app: &FoundApp, behind: &'a FoundBehind) -> Result<&'a Record, String> {
    let record = behind.record.as_ref().map_err(Clone::clone)?;
    let fleets = app.fleets.iter().map(|f| (f.name.as_str(), f.target_group_arn.as_str())).collect();
    record.unfit(&app.name, &fleets).map_or(Ok(record), Err)
}

/// The apps on which something is to be put back. Those of a run that was interrupted come first; what was
/// left to a person waits for the next.
fn left(found: &Found) -> Vec<Left<'_>> {
    let all = found.apps.iter().enumerate();
    let mut left: Vec<Left<'_>> =
        all.filter_map(|(index, app)| Some((index, app, app.lock.behind.as_ref()?))).collect();
    if left.iter().any(|(.., behind)| behind.interrupted) {
        left.retain(|(.., behind)| behind.interrupted);
    }
    left
}

/// What stands on all routes, and the fleet that is live then, if the run had come to its end: it has on all
/// of its apps, even where that is not recorded yet.
fn end(left: &[Left<'_>]) -> Option<(RouteWeights, String)> {
    if !has_ended(left.iter().map(|(.., behind)| behind.reached)) {
        return None;
    }
    let ended = left.iter().find(|(.., behind)| behind.reached == Reached::Done)?;
    let record = ended.2.record.as_ref().ok()?;
    Some((record.end()?, record.live_then(Reached::Done).to_owned()))
}

/// What a restore puts back on the routes that it finds, by their ARN.
#[cfg(feature = "aws")]
pub(crate) fn targets(found: &[FoundApp]) -> BTreeMap<&str, RouteWeights> {
    let left = found.iter().enumerate();
    let left: Vec<Left<'_>> =
        left.filter_map(|(index, app)| Some((index, app, app.lock.behind.as_ref()?))).collect();
    let end = end(&left);
    let of_record = |app: &FoundApp, record: &Record| -> Vec<(String, RouteWeights)> {
        let target =
            |before: &RouteWeights| end.as_ref().map_or_else(|| before.clone(), |(end, _)| end.clone());
        record.routes_of(&app.name).map(|route| (route.arn.clone(), target(&route.before))).collect()
    };
    let recorded = left.iter().filter_map(|(_, app, b)| Some(of_record(app, b.record.as_ref().ok()?)));
    let recorded: BTreeMap<String, RouteWeights> = recorded.flatten().collect();
    let routes = found.iter().flat_map(|app| &app.routes);
    routes.filter_map(|route| Some((route.arn.as_str(), recorded.get(&route.arn)?.clone()))).collect()
}

/// The fleet with the greater weight on the first route, as an index.
fn heavier(app: &FoundApp) -> usize {
    let weights = |route: &FoundRoute| {
        app.fleets.each_ref().map(|fleet| weight_of(&route.groups, &fleet.target_group_arn))
    };
    app.routes.first().map_or(0, |route| {
        let [first, second] = weights(route);
        usize::from(second > first)
    })
}

/// The apps with what is put back on each; with what stands, where there is nothing to put back.
fn apps(found: &Found, live: usize, routes: &[Route], held: &BTreeSet<usize>) -> Vec<PlannedApp> {
    let of_app = |(index, app): (usize, &FoundApp)| {
        let mut planned = planned(app, live, &Thresholds::UNMEASURED);
        planned.left_alone = !held.contains(&index);
        if let Some(route) = routes.iter().find(|route| route.app == index) {
            let (live, standby) = app.roles(live);
            let weight = |fleet: &FoundFleet| route.before.get(&fleet.name).copied().unwrap_or(0);
            planned.before = weights(live, standby, share(weight(live), weight(standby)));
        }
        planned
    };
    found.apps.iter().enumerate().map(of_app).collect()
}
