//! The routes on the balancer: read, write, verify.
//!
//! `ModifyRule` has no version token, so every write is built from a fresh read and read back. It
//! carries actions only, since a list that is sent replaces the one that is there and one that is
//! not sent stays: conditions and transforms are never touched.

use std::collections::HashMap;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, Rule, TargetGroupTuple,
};

use super::claims::{self, Fence};
use super::error::{code, named};
use super::pace::{changed, described};
use crate::model::error::{Error, ErrorKind};
use crate::model::weights::{self, GroupWeight, share, split, weight_of};
use crate::model::{Plan, Route};

/// A route as the balancer holds it now.
#[derive(Clone, Debug)]
pub struct Current {
    /// Its actions, complete.
    pub actions: Vec<Action>,
    /// The groups and weights of its forward.
    pub groups: Vec<GroupWeight>,
}

/// The forward action's groups. A fixed forward has one group and no weight that means anything;
/// it counts as 100. `None` where nothing is forwarded.
pub fn groups(actions: &[Action]) -> Option<Vec<GroupWeight>> {
    let forward = actions.iter().rfind(|a| a.r#type() == Some(&ActionTypeEnum::Forward))?;
    let tuples = forward.forward_config().map(ForwardActionConfig::target_groups).unwrap_or_default();
    if let [] | [_] = tuples {
        let arn =
            tuples.first().and_then(TargetGroupTuple::target_group_arn).or(forward.target_group_arn())?;
        return Some(vec![GroupWeight::new(arn, 100)]);
    }
    let weight = |tuple: &TargetGroupTuple| {
        // AWS always shows one: beside other groups it takes no forward without, and alone it shows 1.
        Some(GroupWeight::new(tuple.target_group_arn()?, u16::try_from(tuple.weight().unwrap_or(1)).ok()?))
    };
    tuples.iter().map(weight).collect()
}

/// Whether a forward binds clients to a target group by a cookie.
pub fn is_sticky(actions: &[Action]) -> bool {
    actions
        .iter()
        .filter_map(|a| a.forward_config()?.target_group_stickiness_config()?.enabled())
        .any(|enabled| enabled)
}

/// The same actions with the weights of `desired` in the forward. Order, authentication, group
/// stickiness and every other target group stay as they are.
pub fn with_weights(actions: &[Action], desired: &[GroupWeight]) -> Vec<Action> {
    actions.iter().map(|action| rebuilt(action, |found| weights::with_weights(found, desired))).collect()
}

/// The same actions with everything that they forward sent to one group alone.
pub fn with_group(actions: &[Action], target_group_arn: &str) -> Vec<Action> {
    let one = |_: &[GroupWeight]| vec![GroupWeight::new(target_group_arn, 100)];
    actions.iter().map(|action| rebuilt(action, one)).collect()
}

/// The action with what `regroup` makes of the groups of its forward.
fn rebuilt(action: &Action, regroup: impl Fn(&[GroupWeight]) -> Vec<GroupWeight>) -> Action {
    let mut action = action.clone();
    match action.r#type() {
        Some(ActionTypeEnum::Forward) => {
            let found = groups(std::slice::from_ref(&action)).unwrap_or_default();
            let tuples = regroup(&found).into_iter().map(|group| {
                let weight = i32::from(group.weight);
                TargetGroupTuple::builder().target_group_arn(group.target_group_arn).weight(weight).build()
            });
            let stickiness =
                action.forward_config().and_then(|c| c.target_group_stickiness_config()).cloned();
            action.forward_config = Some(
                ForwardActionConfig::builder()
                    .set_target_groups(Some(tuples.collect()))
                    .set_target_group_stickiness_config(stickiness)
                    .build(),
            );
            // Allowed beside one group only.
            action.target_group_arn = None;
        }
        // Its secret is never read back, so AWS is told to keep the one it has.
        Some(ActionTypeEnum::AuthenticateOidc) => {
            if let Some(oidc) = action.authenticate_oidc_config.as_mut() {
                oidc.client_secret = None;
                oidc.use_existing_client_secret = Some(true);
            }
        }
        _ => {}
    }
    action
}

/// Reads these routes, in their order; nothing for one whose rule is gone.
///
/// # Errors
/// As AWS answers, and `ExternalChange` when a rule forwards nothing any more.
pub async fn look<'a>(
    client: &Client,
    routes: impl IntoIterator<Item = &'a Route>,
) -> Result<Vec<Option<Current>>, Error> {
    let routes: Vec<&Route> = routes.into_iter().collect();
    let rules = described(&routes, |some| describe(client, some)).await?;
    among(&rules, routes)
}

/// What these routes hold, in their order, among rules that were read; nothing for one that is not there.
fn among<'a>(
    rules: &[Rule],
    routes: impl IntoIterator<Item = &'a Route>,
) -> Result<Vec<Option<Current>>, Error> {
    let rules: HashMap<&str, &[Action]> =
        rules.iter().filter_map(|rule| Some((rule.rule_arn()?, rule.actions()))).collect();
    let current = |route: &Route| {
        let Some(actions) = rules.get(route.rule_arn.as_str()) else { return Ok(None) };
        let groups = groups(actions).ok_or_else(|| {
            let message = format!("{} ({}) no longer forwards to a target group", route.label, route.arn);
            Error::new(ErrorKind::ExternalChange, message)
        })?;
        Ok(Some(Current { actions: actions.to_vec(), groups }))
    };
    routes.into_iter().map(current).collect()
}

/// The rules of these routes; nothing where one of them is gone.
async fn describe(client: &Client, routes: &[&Route]) -> Result<Option<Vec<Rule>>, Error> {
    let arns = routes.iter().map(|route| route.rule_arn.clone()).collect();
    match client.describe_rules().set_rule_arns(Some(arns)).send().await {
        Ok(answer) => Ok(Some(answer.rules.unwrap_or_default())),
        Err(error) if matches!(code(&error), Some("RuleNotFound" | "ListenerNotFound")) => Ok(None),
        Err(error) => Err(named("reading the routes", &error)),
    }
}

/// Reads these routes of a plan, all of which must be there.
///
/// # Errors
/// As [`look`], and where rules are gone: `ExternalChange` if those are all of the plan's, and else
/// `AwsRefused`, since the run still has to answer for the others.
pub async fn read<'a>(
    client: &Client,
    plan: &Plan,
    routes: impl IntoIterator<Item = &'a Route>,
) -> Result<Vec<Current>, Error> {
    let routes: Vec<&Route> = routes.into_iter().collect();
    let found = look(client, routes.iter().copied()).await?;
    all_there(plan, &routes, found)
}

/// What the routes of a plan hold among all rules of its balancer.
///
/// # Errors
/// As [`read`], but for what AWS answers.
pub(super) fn read_among(plan: &Plan, rules: &[Rule]) -> Result<Vec<Current>, Error> {
    let routes: Vec<&Route> = plan.routes.iter().collect();
    let found = among(rules, routes.iter().copied())?;
    all_there(plan, &routes, found)
}

fn all_there(plan: &Plan, routes: &[&Route], found: Vec<Option<Current>>) -> Result<Vec<Current>, Error> {
    let gone = routes.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(route, _)| *route);
    check_none_gone(plan, &gone.collect::<Vec<_>>())?;
    Ok(found.into_iter().flatten().collect())
}

/// The plan without the routes whose rules are gone, what the others hold, and those that are gone in
/// words: one rule that somebody deleted keeps no other from going back.
///
/// # Errors
/// As [`look`]; `ExternalChange` where no rule is left.
pub async fn still_there(client: &Client, plan: Plan) -> Result<(Plan, Vec<Current>, Vec<String>), Error> {
    let found = look(client, &plan.routes).await?;
    if found.iter().all(Option::is_none) {
        check_none_gone(&plan, &plan.routes.iter().collect::<Vec<_>>())?;
    }
    let (mut routes, mut current, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for (route, found) in plan.routes.iter().zip(found) {
        match found {
            Some(found) => {
                routes.push(route.clone());
                current.push(found);
            }
            None => gone.push(route.gone_in_words()),
        }
    }
    Ok((Plan { routes, ..plan }, current, gone))
}

/// Refuses to go on where the rules of some routes are gone.
///
/// # Errors
/// As [`read`].
pub fn check_none_gone(plan: &Plan, gone: &[&Route]) -> Result<(), Error> {
    let words: Vec<String> = gone.iter().map(|route| route.gone_in_words()).collect();
    match words.len() {
        0 => Ok(()),
        all if all == plan.routes.len() => {
            let what = "This run writes nothing more; see who deleted it before you start again.";
            Err(Error::new(ErrorKind::ExternalChange, format!("{}. {what}", words.join(". "))))
        }
        _ => Err(Error::new(ErrorKind::AwsRefused, words.join("; "))),
    }
}

/// Refuses to go on when one of these routes holds weights that the run did not write.
///
/// # Errors
/// `ExternalChange`, with what is found and what was expected.
pub fn check_no_external_change<'a>(
    plan: &Plan,
    routes: impl IntoIterator<Item = &'a Route>,
    current: &[Current],
    allowed: impl Fn(&Route) -> Vec<Vec<GroupWeight>>,
) -> Result<(), Error> {
    for (route, current) in routes.into_iter().zip(current) {
        let (allowed, app) = (allowed(route), plan.app_of(route));
        let ours = |g: &GroupWeight| [&app.live_group, &app.standby_group].contains(&&g.target_group_arn);
        let foreign = current.groups.iter().any(|g| !ours(g) && g.weight > 0);
        if foreign || !allowed.iter().any(|desired| weights::gives(&current.groups, desired)) {
            let expected: Vec<String> = allowed.iter().map(|groups| shown(plan, route, groups)).collect();
            return Err(Error::new(
                ErrorKind::ExternalChange,
                format!(
                    "Somebody else changed {} ({}): it holds {}, this run left it at {}. Nothing more is \
                     written; see who changed the rule before you start again.",
                    route.label,
                    route.arn,
                    shown(plan, route, &current.groups),
                    expected.join(" or ")
                ),
            ));
        }
    }
    Ok(())
}

/// Puts the desired weights into every route and reads them back. A route for which they already
/// `stand` is not written to, so a second call changes nothing, and one after a call that failed half-way
/// completes it. Every write ends before its fence is out of date: where there are many, each lot has a
/// fence of its own, after which its routes must hold what is `allowed`, as those have that are written
/// after the caller's.
///
/// # Errors
/// As AWS answers; `ExternalChange` where a fence shows that; `AwsUnavailable` when a route does not read back
/// as written.
pub async fn write(
    client: &Client,
    plan: &Plan,
    current: &[Current],
    fence: Fence,
    allowed: impl Fn(&Route) -> Vec<Vec<GroupWeight>>,
    stand: Stand,
    desired: impl Fn(&Route) -> Vec<GroupWeight>,
) -> Result<(), Error> {
    let changes: Vec<(&Route, &Current)> = plan
        .routes
        .iter()
        .zip(current)
        .filter(|(route, current)| !stand(&current.groups, &desired(route)))
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let mut first = Some(fence);
    changed(&changes, plan.propagation_seconds, async |lot| {
        let write = |route, current: &Current, fence| {
            modify(client, route, with_weights(&current.actions, &desired(route)), fence)
        };
        if let Some(fence) = first.take() {
            return Ok(lot.iter().map(|(route, current)| write(*route, current, fence)).collect());
        }
        let routes: Vec<&Route> = lot.iter().map(|(route, _)| *route).collect();
        let fence = claims::fence(client, plan).await?;
        let current = read(client, plan, routes.iter().copied()).await?;
        check_no_external_change(plan, routes.iter().copied(), &current, &allowed)?;
        Ok(routes.into_iter().zip(&current).map(|(route, current)| write(route, current, fence)).collect())
    })
    .await?;
    verify(plan, &read(client, plan, &plan.routes).await?, stand, desired)
}

/// When weights count as standing: [`weights::holds`] asks for every group, [`weights::gives`] for
/// what the traffic gets.
type Stand = fn(&[GroupWeight], &[GroupWeight]) -> bool;

async fn modify(client: &Client, route: &Route, actions: Vec<Action>, fence: Fence) -> Result<(), Error> {
    let doing = || format!("changing the weights of {} ({})", route.label, route.arn);
    match &route.default_of {
        None => {
            let call = client.modify_rule().rule_arn(&route.rule_arn).set_actions(Some(actions));
            let call = call.customize().config_override(fence.in_time()?);
            call.send().await.map(drop).map_err(|error| named(&doing(), &error))
        }
        Some(listener_arn) => {
            let call = client.modify_listener().listener_arn(listener_arn).set_default_actions(Some(actions));
            let call = call.customize().config_override(fence.in_time()?);
            call.send().await.map(drop).map_err(|error| named(&doing(), &error))
        }
    }
}

/// What the routes of a plan hold now, in words, such as `prod1 75 %, prod2 25 %`: of each route where they differ.
///
/// # Errors
/// As [`look`].
pub async fn standing(client: &Client, plan: &Plan) -> Result<String, Error> {
    let found = look(client, &plan.routes).await?;
    let held: Vec<(&Route, String)> = plan
        .routes
        .iter()
        .zip(&found)
        .map(|(route, found)| {
            (route, found.as_ref().map_or_else(|| "is gone".into(), |current| in_words(plan, route, current)))
        })
        .collect();
    Ok(plan.each(|app| {
        let of_app: Vec<_> = held.iter().filter(|(route, _)| plan.app_of(route).name == app.name).collect();
        match &of_app[..] {
            [] => "no route is left".into(),
            [(_, first), others @ ..] if others.iter().all(|(_, other)| other == first) => first.clone(),
            differing => {
                let one = |(route, held): &&(&Route, String)| format!("{} {held}", route.label);
                differing.iter().map(one).collect::<Vec<_>>().join("; ")
            }
        }
    }))
}

/// What a route gives to the app's fleets in percent, or all that it holds where that is more, or nothing.
fn in_words(plan: &Plan, route: &Route, current: &Current) -> String {
    let app = plan.app_of(route);
    let of = |group: &str| weight_of(&current.groups, group).unwrap_or(0);
    let (live, standby) = (of(&app.live_group), of(&app.standby_group));
    let all: u32 = current.groups.iter().map(|group| u32::from(group.weight)).sum();
    if all == 0 || all != u32::from(live) + u32::from(standby) {
        return shown(plan, route, &current.groups);
    }
    split(&plan.weights(share(live, standby)))
}

fn verify(
    plan: &Plan,
    current: &[Current],
    stand: Stand,
    desired: impl Fn(&Route) -> Vec<GroupWeight>,
) -> Result<(), Error> {
    for (route, current) in plan.routes.iter().zip(current) {
        let desired = desired(route);
        if !stand(&current.groups, &desired) {
            return Err(Error::new(
                ErrorKind::AwsUnavailable,
                format!(
                    "{} ({}) was written but does not read back: current {}, desired {}",
                    route.label,
                    route.arn,
                    shown(plan, route, &current.groups),
                    shown(plan, route, &desired)
                ),
            ));
        }
    }
    Ok(())
}

/// Groups and weights with the fleets' names, for messages.
fn shown(plan: &Plan, route: &Route, groups: &[GroupWeight]) -> String {
    let app = plan.app_of(route);
    let name = |arn: &String| {
        let fleets = [(&app.live_group, &plan.live), (&app.standby_group, &plan.standby)];
        fleets.into_iter().find(|(group, _)| *group == arn).map_or(arn, |(_, fleet)| fleet).clone()
    };
    let mut parts: Vec<String> =
        groups.iter().map(|g| format!("{} {}", name(&g.target_group_arn), g.weight)).collect();
    parts.sort();
    parts.join("/")
}

#[cfg(test)]
mod tests;
