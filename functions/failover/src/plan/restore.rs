//! From what an interrupted run has left to the plan that puts back what it had found.

use std::collections::BTreeSet;

use super::checks::one_balancer;
use super::{
    Found, FoundApp, FoundFleet, FoundRoute, Refusal, Thresholds, found_weights, planned, route, testers,
    weights,
};
use crate::input::Input;
use crate::model::claim::{Claim, Record, end_of_run};
use crate::model::error::{Error, Kind};
use crate::model::hooks::Hooks;
use crate::model::weights::{share, weight_of};
use crate::model::{Execution, Plan, PlannedApp, Route};

/// The plan of a restore: the routes that an interrupted run has left claimed, or with a record of
/// what it found. Health is not looked at here: the rollback decides by the health it finds.
pub(super) fn restore(input: &Input, execution: &Execution, found: &Found) -> Result<Plan, Refusal> {
    let load_balancer_arn = one_balancer(found)?.to_owned();
    // Whether there is something to put back must not be guessed.
    if let Some((execution, why)) = found.routes().find_map(|route| match &route.claim {
        Claim::Unclear(execution, why) => Some((execution, why)),
        _ => None,
    }) {
        let app = &input.app;
        return Err(Refusal::Complete(Error::new(
            Kind::AwsRefused,
            format!(
                "{app}: whether {execution}, which claims a route, is still running cannot be told ({why}). \
                 Nothing was touched; see the weights of the app and start a `restore` again."
            ),
        )));
    }
    // A restore that was started for an execution is about the claims of that one, and of the restores
    // that tried before.
    let ours = |execution: &String| found.chain.is_empty() || found.chain.contains(execution);
    let left = |(_, _, route): &(usize, &FoundApp, &FoundRoute)| match &route.claim {
        Claim::Interrupted { execution, .. } => ours(execution),
        Claim::Own => true,
        // Left for a person by a run that could not put its weights back, or was told not to.
        Claim::Free | Claim::Ended(_) => route.record.is_some() && input.execution.is_none(),
        Claim::Running(_) | Claim::Unclear(..) => false,
    };
    let all = found.apps.iter().enumerate();
    let all = all.flat_map(|(index, app)| app.routes.iter().map(move |route| (index, app, route)));
    let mut left: Vec<(usize, &FoundApp, &FoundRoute)> = all.filter(left).collect();
    // Routes of a run that was interrupted come first; what was left to a person waits for the next.
    let taken_over =
        |(_, _, route): &(usize, &FoundApp, &FoundRoute)| matches!(route.claim, Claim::Interrupted { .. });
    if left.iter().any(taken_over) {
        left.retain(taken_over);
    }
    let end = end_of_run(left.iter().filter_map(|(.., route)| route.record.as_ref()));
    let interrupted = left.iter().filter_map(|(.., route)| match &route.claim {
        Claim::Interrupted { execution, .. } => Some(execution.clone()),
        _ => None,
    });
    let predecessors: BTreeSet<String> = interrupted.chain(found.chain.iter().cloned()).collect();
    let end = end.cloned();
    let mut routes: Vec<Route> = Vec::new();
    let mut live = None;
    let mut may_write = BTreeSet::new();
    for (index, app, found_route) in left {
        let label = &found_route.label;
        let known = |r: &&Record| app.fleets.iter().all(|fleet| r.before.contains_key(&fleet.name));
        let record = found_route.record.as_ref().filter(known).ok_or_else(|| {
            Refusal::of(app)(format!(
                "the tags failover:before and failover:stages of {label} do not say what to restore; set the \
                 weights by hand and remove the tag failover:claim"
            ))
        })?;
        let record = end.as_ref().unwrap_or(record);
        if live.is_some_and(|live| live != &record.live) {
            let apart = if found.apps.len() > 1 { "; restore the apps one by one" } else { "" };
            return Err(Refusal::of(app)(format!(
                "the tags failover:before of {label} and of another route disagree{apart}"
            )));
        }
        live = Some(&record.live);
        may_write.extend(&record.may_write);
        let found_weights = found_weights(found_route, &app.fleets);
        let before = record.before.clone();
        routes.push(Route { before, ..route(found, index, found_route, found_weights) });
    }
    let live = match live {
        Some(name) => usize::from(found.fleet_names()[1] == *name),
        // Nothing is left to restore: the output only says what stands.
        None => found.apps.first().map_or(0, heavier),
    };
    Ok(Plan {
        app: input.app.clone(),
        apps: apps(found, live, &routes),
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
        settle_seconds: found.settle_seconds,
        predecessors: predecessors.into_iter().collect(),
        done: end.is_some(),
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
        checks: vec!["the routes of an interrupted run, and what it found there".into()],
    })
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
fn apps(found: &Found, live: usize, routes: &[Route]) -> Vec<PlannedApp> {
    let of_app = |(index, app): (usize, &FoundApp)| {
        let mut planned = planned(app, live, &Thresholds::UNMEASURED);
        if let Some(route) = routes.iter().find(|route| route.app == index) {
            let (live, standby) = app.roles(live);
            let weight = |fleet: &FoundFleet| route.before.get(&fleet.name).copied().unwrap_or(0);
            planned.before = weights(live, standby, share(weight(live), weight(standby)));
        }
        planned
    };
    found.apps.iter().enumerate().map(of_app).collect()
}
