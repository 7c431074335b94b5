//! The routes on the balancer: read, write, verify.
//!
//! `ModifyRule` has no version token, so every write is built from a fresh read and read back. It
//! carries actions only, since a list that is sent replaces the one that is there and one that is
//! not sent stays: conditions and transforms are never touched.

use std::collections::HashMap;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, ForwardActionConfig, TargetGroupTuple};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::claims::{self, Fence};
use super::error::named;
use crate::contract::{Plan, Route};
use crate::error::{Error, Kind};
use crate::weights::{self, GroupWeight};

/// Writes side by side. AWS throttles an account at some ten changes a second.
const WRITES_AT_ONCE: usize = 4;

/// Writes after one look at the claims: even where AWS throttles them, these are over in time.
const WRITES_PER_FENCE: usize = 16;

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
        // AWS reads a weight that is left out as 1.
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

/// Reads all of these routes in one call.
///
/// # Errors
/// As AWS answers, and `Overtaken` when a rule is gone or forwards nothing any more.
pub async fn read<'a>(
    client: &Client,
    routes: impl IntoIterator<Item = &'a Route>,
) -> Result<Vec<Current>, Error> {
    let routes: Vec<&Route> = routes.into_iter().collect();
    let arns = routes.iter().map(|route| route.rule_arn.clone()).collect();
    let mut rules = HashMap::new();
    let mut marker = None;
    loop {
        let page = client
            .describe_rules()
            .set_rule_arns(Some(Clone::clone(&arns)))
            .set_marker(marker)
            .send()
            .await
            .map_err(|error| named("reading the routes", &error))?;
        marker = page.next_marker().map(Into::into);
        rules.extend(
            page.rules.unwrap_or_default().into_iter().filter_map(|r| Some((r.rule_arn?, r.actions?))),
        );
        if marker.is_none() {
            break;
        }
    }
    let current = |route: &Route| {
        let actions = rules.remove(&route.rule_arn).unwrap_or_default();
        let groups = groups(&actions).ok_or_else(|| {
            let message = format!("{} ({}) no longer forwards to a target group", route.label, route.arn);
            Error::new(Kind::Overtaken, message)
        })?;
        Ok(Current { actions, groups })
    };
    routes.into_iter().map(current).collect()
}

/// Refuses to go on when one of these routes holds weights that the run did not write.
///
/// # Errors
/// `Overtaken`, with what is found and what was expected.
pub fn check_not_overtaken<'a>(
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
                Kind::Overtaken,
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
/// As AWS answers; `Overtaken` where a fence shows that; `AwsUnavailable` when a route does not read back
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
    for (number, lot) in changes.chunks(WRITES_PER_FENCE).enumerate() {
        if number == 0 {
            modify_all(client, lot.iter().copied(), &fence, &desired).await?;
            continue;
        }
        let routes: Vec<&Route> = lot.iter().map(|(route, _)| *route).collect();
        let fence = claims::fence_of(client, plan, routes.clone()).await?;
        let current = read(client, routes.iter().copied()).await?;
        check_not_overtaken(plan, routes.iter().copied(), &current, &allowed)?;
        modify_all(client, routes.into_iter().zip(&current), &fence, &desired).await?;
    }
    verify(plan, &read(client, &plan.routes).await?, stand, desired)
}

/// When weights count as standing: [`weights::holds`] asks for every group, [`weights::gives`] for
/// what the traffic gets.
type Stand = fn(&[GroupWeight], &[GroupWeight]) -> bool;

async fn modify_all<'a>(
    client: &Client,
    changes: impl Iterator<Item = (&'a Route, &'a Current)>,
    fence: &Fence,
    desired: impl Fn(&Route) -> Vec<GroupWeight>,
) -> Result<(), Error> {
    let modifying = changes.map(|(route, current)| {
        let actions = with_weights(&current.actions, &desired(route));
        modify(client, route, actions, fence)
    });
    stream::iter(modifying).buffer_unordered(WRITES_AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

async fn modify(client: &Client, route: &Route, actions: Vec<Action>, fence: &Fence) -> Result<(), Error> {
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
                Kind::AwsUnavailable,
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
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{AuthenticateOidcActionConfig, TargetGroupStickinessConfig};

    use super::*;

    fn tuple(arn: &str, weight: Option<i32>) -> TargetGroupTuple {
        TargetGroupTuple::builder().target_group_arn(arn).set_weight(weight).build()
    }

    fn forward(tuples: Vec<TargetGroupTuple>) -> Action {
        let config = ForwardActionConfig::builder()
            .set_target_groups(Some(tuples))
            .target_group_stickiness_config(TargetGroupStickinessConfig::builder().enabled(false).build())
            .build();
        Action::builder().r#type(ActionTypeEnum::Forward).order(2).forward_config(config).build()
    }

    fn desired(live: u16) -> Vec<GroupWeight> {
        vec![GroupWeight::new("one", live), GroupWeight::new("two", 100 - live)]
    }

    #[test]
    fn a_fixed_forward_becomes_a_weighted_one_that_says_its_zero() {
        let mut as_read_back = forward(vec![tuple("one", Some(1))]);
        as_read_back.target_group_arn = Some("one".into());
        let as_created = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn("one").build();
        for fixed in [as_created, as_read_back] {
            let written = with_weights(&[fixed], &desired(100));
            assert_eq!(written[0].target_group_arn(), None, "allowed beside one group only");
            let tuples = written[0].forward_config().unwrap().target_groups();
            assert_eq!(tuples, [tuple("one", Some(100)), tuple("two", Some(0))]);
        }
    }

    #[test]
    fn everything_but_the_weights_stays() {
        let oidc = AuthenticateOidcActionConfig::builder()
            .issuer("issuer")
            .authorization_endpoint("authorize")
            .token_endpoint("token")
            .user_info_endpoint("user")
            .client_id("client")
            .build();
        let sign_in = Action::builder()
            .r#type(ActionTypeEnum::AuthenticateOidc)
            .order(1)
            .authenticate_oidc_config(oidc)
            .build();
        let found =
            [sign_in, forward(vec![tuple("third", Some(0)), tuple("two", Some(40)), tuple("one", Some(60))])];
        let written = with_weights(&found, &desired(90));
        let oidc = written[0].authenticate_oidc_config().unwrap();
        assert_eq!(oidc.use_existing_client_secret(), Some(true));
        assert_eq!(oidc.client_secret(), None);
        assert_eq!((oidc.issuer(), oidc.client_id()), (Some("issuer"), Some("client")));
        assert_eq!((written[0].order(), written[1].order()), (Some(1), Some(2)));
        let config = written[1].forward_config().unwrap();
        assert_eq!(
            config.target_groups(),
            [tuple("third", Some(0)), tuple("two", Some(10)), tuple("one", Some(90))]
        );
        assert_eq!(
            config.target_group_stickiness_config(),
            found[1].forward_config().unwrap().target_group_stickiness_config()
        );
        assert_eq!(with_weights(&written, &desired(90)), written, "a second write writes the same");
        let one = with_group(&found, "two");
        assert_eq!(one[0], written[0]);
        assert_eq!(groups(&one), Some(vec![GroupWeight::new("two", 100)]));
    }

    #[test]
    fn a_weight_that_is_left_out_counts_as_aws_counts_it() {
        let read = groups(&[forward(vec![tuple("one", None), tuple("two", Some(0))])]).unwrap();
        assert_eq!(read, [GroupWeight::new("one", 1), GroupWeight::new("two", 0)]);
        assert_eq!(groups(&[Action::builder().r#type(ActionTypeEnum::Redirect).build()]), None);
    }
}
