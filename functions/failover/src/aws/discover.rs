//! Finding what a plan is made from: the fleets' target groups and every route to them, those of
//! testers apart.

mod locks;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, Listener, ProtocolEnum, Rule, TargetGroup, TargetGroupAttribute, TargetTypeEnum,
};
use aws_sdk_sfn::Client as StepFunctions;
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::error::{code, named};
use super::pace::{self, paced};
use super::{command, health, listener, testers};
use crate::input::Input;
use crate::model::Operation;
use crate::model::RouteWeights;
use crate::model::error::{Error, ErrorKind};
use crate::model::weights::{GroupWeight, weight_of};
use crate::plan::calendar::Permit;
use crate::plan::{Found, FoundApp, FoundFleet, FoundLock, FoundRoute, FoundTesters, Past, targets};

/// For whom something is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The input of the run.
    pub input: &'a Input,
    /// Its execution.
    pub execution: &'a str,
    /// For a restore of an execution: that one, and what it was itself a restore of.
    pub chain: &'a [String],
    /// Longer than a write takes from the check before it until it shows, in seconds.
    pub propagation_seconds: u32,
    /// The time.
    pub now: Timestamp,
}

/// An app to find: its name, and the target group of each fleet by name or ARN.
pub type Wanted = (String, BTreeMap<String, String>);

/// Reads the two fleets of every app and all their routes, with their claims. What the fleets did and the
/// operator's alarms are left for the caller to fill in.
///
/// # Errors
/// `PlanRejected` when a target group does not exist; otherwise as AWS answers.
pub async fn find(
    client: &Client,
    step_functions: &StepFunctions,
    asking: Asking<'_>,
    wanted: &[Wanted],
) -> Result<Found, Error> {
    let mut apps = apps(client, wanted, asking.input.operation == Operation::Restore).await?;
    let mut balancers: Vec<&String> =
        apps.iter().flat_map(|app| &app.fleets).flat_map(|f| &f.load_balancer_arns).collect();
    balancers.sort();
    balancers.dedup();
    let rules = try_join_all(balancers.into_iter().map(|arn| rules(client, arn, &apps))).await?;
    let (routes, testers): (Vec<_>, Vec<_>) = rules.into_iter().flatten().unzip();
    let (mut routes, testers) = (routes.concat(), testers.concat());
    let actions: HashMap<String, Vec<Action>> =
        routes.iter().map(|(_, route, actions)| (route.arn.clone(), actions.clone())).collect();
    for (app, route, _) in routes.drain(..) {
        apps[app].routes.push(route);
    }
    locks::find(client, step_functions, asking, &mut apps).await?;
    let targets: HashMap<String, RouteWeights> =
        targets(&apps).into_iter().map(|(arn, weights)| (arn.to_owned(), weights)).collect();
    for app in &mut apps {
        for route in &mut app.routes {
            let actions = actions.get(&route.arn).map(Vec::as_slice).unwrap_or_default();
            route.revert_command = revert_command(targets.get(&route.arn), route, actions, &app.fleets);
        }
    }
    for (app, found) in testers {
        apps[app].testers.push(found);
    }
    Ok(Found {
        apps,
        alarms: Vec::new(),
        propagation_seconds: asking.propagation_seconds,
        permit: Permit::default(),
        chain: asking.chain.to_vec(),
    })
}

/// The apps with their fleets and without their routes.
///
/// What only puts weights back is not kept from it by how the groups are set up.
async fn apps(client: &Client, wanted: &[Wanted], put_back_only: bool) -> Result<Vec<FoundApp>, Error> {
    let mut known = groups(client, wanted.iter().flat_map(|(_, fleets)| fleets.values())).await?;
    let mut found = Vec::new();
    for (app, fleets) in wanted {
        for (name, group) in fleets {
            // Where several are missing it is always the first that is named.
            let group = match known.remove(group) {
                Some(group) => group,
                None => group_of(client, app, name, group).await?,
            };
            found.push((name.clone(), group));
        }
    }
    let sticky = if put_back_only {
        vec![false; found.len()]
    } else {
        paced(found.iter().map(|(_, group)| is_sticky(client, arn_of(group)))).await?
    };
    let health = paced(found.iter().map(|(_, group)| health::of(client, arn_of(group)))).await?;
    let mut fleets =
        found.iter().zip(health.into_iter().zip(sticky)).map(|((name, group), (health, sticky))| {
            FoundFleet {
                name: name.clone(),
                target_group_arn: arn_of(group).to_owned(),
                load_balancer_arns: group.load_balancer_arns().to_vec(),
                health,
                release: None,
                target_stickiness: sticky,
                foreign_protocol: foreign_protocol(group),
            }
        });
    let mut apps = Vec::new();
    for (app, wanted) in wanted {
        let of_app: Vec<FoundFleet> = fleets.by_ref().take(wanted.len()).collect();
        let of_app: [FoundFleet; 2] = of_app.try_into().map_err(|_| {
            Error::rejected(format!("{app}: exactly two fleets are needed. Nothing was touched."))
        })?;
        let past = [Past::default(), Past::default()];
        apps.push(FoundApp {
            name: app.clone(),
            lock: FoundLock::default(),
            fleets: of_app,
            past,
            routes: Vec::new(),
            testers: Vec::new(),
        });
    }
    Ok(apps)
}

/// The command for what a rollback puts back: what is found, or for a restore what was recorded.
fn revert_command(
    recorded: Option<&RouteWeights>,
    route: &FoundRoute,
    actions: &[Action],
    fleets: &[FoundFleet; 2],
) -> String {
    let groups = fleets.each_ref().map(|fleet| {
        let found = weight_of(&route.groups, &fleet.target_group_arn);
        let recorded = recorded.and_then(|weights| weights.get(&fleet.name).copied());
        GroupWeight::new(&fleet.target_group_arn, recorded.or(found).unwrap_or(0))
    });
    command::revert_command(
        route.default_of.as_deref(),
        &route.rule_arn,
        &listener::with_weights(actions, &groups),
    )
}

/// As many target groups as are asked for at once.
const GROUPS_PER_CALL: usize = 20;

/// The target groups that exist, by the name or ARN that they are asked for by. Those of a call in which one
/// is missing are all left out.
async fn groups(
    client: &Client,
    wanted: impl Iterator<Item = &String>,
) -> Result<HashMap<String, TargetGroup>, Error> {
    let (arns, names): (Vec<&String>, Vec<&String>) = wanted.partition(|group| group.starts_with("arn:"));
    let calls = arns.chunks(GROUPS_PER_CALL).chain(names.chunks(GROUPS_PER_CALL)).map(|some| async move {
        let some_of: Vec<String> = some.iter().map(ToString::to_string).collect();
        let call = client.describe_target_groups();
        let is_arn = some[0].starts_with("arn:");
        let call =
            if is_arn { call.set_target_group_arns(Some(some_of)) } else { call.set_names(Some(some_of)) };
        match call.send().await {
            Ok(answer) => Ok(answer.target_groups.unwrap_or_default()),
            Err(error) if matches!(code(&error), Some("TargetGroupNotFound" | "ValidationError")) => {
                Ok(Vec::new())
            }
            Err(error) => Err(named("looking up the target groups", &error)),
        }
    });
    let found = paced(calls).await?.concat();
    Ok(found
        .into_iter()
        .flat_map(|group| {
            let known_by = [group.target_group_arn.clone(), group.target_group_name.clone()];
            known_by.into_iter().flatten().map(move |key| (key, group.clone()))
        })
        .collect())
}

/// One target group, by name or ARN.
async fn group_of(client: &Client, app: &str, name: &str, group: &String) -> Result<TargetGroup, Error> {
    groups(client, std::iter::once(group)).await?.remove(group).ok_or_else(|| {
        let place = if group.starts_with("arn:") { " in the region of this deployment" } else { "" };
        Error::rejected(format!(
            "There is no target group {group} for the fleet {name} of the app {app}{place}. Correct `app`, or name the \
             target groups in `fleets`. Nothing was touched."
        ))
    })
}

/// Whether a target group binds clients to a target by a cookie.
async fn is_sticky(client: &Client, target_group_arn: &str) -> Result<bool, Error> {
    let call = client.describe_target_group_attributes().target_group_arn(target_group_arn);
    let answer = call.send().await;
    let answer =
        answer.map_err(|error| named(&format!("reading the attributes of {target_group_arn}"), &error))?;
    let on = |attribute: &TargetGroupAttribute| {
        attribute.key() == Some("stickiness.enabled") && attribute.value() == Some("true")
    };
    Ok(answer.attributes().iter().any(on))
}

/// What the targets of a group speak, if that cannot be judged by HTTP statuses.
fn foreign_protocol(group: &TargetGroup) -> Option<String> {
    // It has no protocol.
    if group.target_type() == Some(&TargetTypeEnum::Lambda) {
        return Some("to a Lambda function".into());
    }
    match (group.protocol(), group.protocol_version()) {
        (Some(ProtocolEnum::Http | ProtocolEnum::Https), Some("GRPC")) => Some("gRPC".into()),
        (Some(ProtocolEnum::Http | ProtocolEnum::Https) | None, _) => None,
        (Some(other), _) => Some(other.as_str().into()),
    }
}

fn arn_of(group: &TargetGroup) -> &str {
    group.target_group_arn().unwrap_or_default()
}

/// The rules of a listener that forward to one of an app's fleets, each with the index of the app: those
/// for users and those for testers.
type OfListener = (Vec<(usize, FoundRoute, Vec<Action>)>, Vec<(usize, FoundTesters)>);

async fn rules(client: &Client, balancer: &str, apps: &[FoundApp]) -> Result<Vec<OfListener>, Error> {
    let of_listener = |(listener, rules): (Listener, Vec<Rule>)| {
        let (arn, port) = (listener.listener_arn().unwrap_or_default(), port_of(&listener));
        let (for_testers, for_users): (Vec<_>, Vec<_>) = rules.into_iter().partition(testers::is_for_testers);
        let (mut routes, mut testers) = (Vec::new(), Vec::new());
        for (index, app) in apps.iter().enumerate() {
            let found = for_users.iter().filter_map(|rule| route(arn, port, rule, &app.fleets));
            routes.extend(found.map(|(route, actions)| (index, route, actions)));
            let found =
                for_testers.iter().filter_map(|rule| for_testers_of(port, rule, &for_users, &app.fleets));
            testers.extend(found.map(|found| (index, found)));
        }
        (routes, testers)
    };
    Ok(listeners(client, balancer).await?.into_iter().map(of_listener).collect())
}

/// Every listener of a balancer with all its rules.
pub(super) async fn listeners(client: &Client, balancer: &str) -> Result<Vec<(Listener, Vec<Rule>)>, Error> {
    let pages = client.describe_listeners().load_balancer_arn(balancer).into_paginator().items().send();
    let listeners: Vec<Listener> = pace::read(async {
        let listeners: Result<Vec<Listener>, _> = pages.collect().await;
        listeners.map_err(|error| named("reading the listeners", &error))
    })
    .await?;
    let with_rules = async |listener: Listener| {
        let arn = listener.listener_arn().unwrap_or_default();
        let pages = client.describe_rules().listener_arn(arn).into_paginator().items().send();
        let rules: Result<Vec<Rule>, _> = pages.collect().await;
        Ok((listener, rules.map_err(|error| named("reading the listener rules", &error))?))
    };
    paced(listeners.into_iter().map(with_rules)).await
}

/// The port that a listener listens on.
pub(super) fn port_of(listener: &Listener) -> i32 {
    listener.port().unwrap_or_default()
}

/// The target groups of a rule, if it forwards to one of the fleets.
fn groups_of(rule: &Rule, fleets: &[FoundFleet; 2]) -> Option<Vec<GroupWeight>> {
    let groups = listener::groups(rule.actions())?;
    fleets.iter().find_map(|fleet| weight_of(&groups, &fleet.target_group_arn))?;
    Some(groups)
}

/// What people know a rule by.
pub(super) fn label(rule: &Rule, port: i32) -> String {
    match rule.is_default() {
        Some(true) => format!("the default action on port {port}"),
        _ => format!("rule {} on port {port}", rule.priority().unwrap_or("?")),
    }
}

/// The host names of a rule's conditions, which are shown in one of two ways or in both.
fn hosts(rule: &Rule) -> Vec<String> {
    let about_hosts = rule.conditions().iter().filter(|condition| condition.field() == Some("host-header"));
    let values = about_hosts.flat_map(|condition| match condition.host_header_config() {
        Some(config) => config.values(),
        None => condition.values(),
    });
    values.cloned().collect()
}

/// The rule as one for testers, if it forwards to one of the fleets.
fn for_testers_of(
    port: i32,
    rule: &Rule,
    for_users: &[Rule],
    fleets: &[FoundFleet; 2],
) -> Option<FoundTesters> {
    // The default action, which comes last, has no number.
    let priority = |rule: &Rule| rule.priority().and_then(|priority| priority.parse::<u32>().ok());
    let before = |other: &&Rule| priority(other).zip(priority(rule)).is_some_and(|(other, own)| other < own);
    let behind = for_users.iter().filter(before).find(|other| groups_of(other, fleets).is_some());
    Some(FoundTesters {
        rule_arn: rule.rule_arn()?.to_owned(),
        label: label(rule, port),
        port: u16::try_from(port).ok()?,
        groups: groups_of(rule, fleets)?,
        behind: behind.map(|other| label(other, port)),
    })
}

/// The rule as a route, if it forwards to one of the fleets.
fn route(
    listener_arn: &str,
    port: i32,
    rule: &Rule,
    fleets: &[FoundFleet; 2],
) -> Option<(FoundRoute, Vec<Action>)> {
    let groups = groups_of(rule, fleets)?;
    let is_default = rule.is_default().unwrap_or(false);
    let rule_arn = rule.rule_arn()?.to_owned();
    let found = FoundRoute {
        arn: if is_default { listener_arn.to_owned() } else { rule_arn.clone() },
        rule_arn,
        default_of: is_default.then(|| listener_arn.to_owned()),
        label: label(rule, port),
        hosts: hosts(rule),
        groups,
        group_stickiness: listener::is_sticky(rule.actions()),
        revert_command: String::new(),
    };
    Some((found, rule.actions().to_vec()))
}

/// The fleets of an app by the deployment's naming pattern, such as `shop-us-prd-{app}-{fleet}-tg`
/// with `prod1=01,prod2=02`.
///
/// # Errors
/// `PlanRejected` when the deployment's configuration is not of that form, or `app` makes a name
/// that no target group can have.
pub fn by_pattern(app: &str, pattern: &str, fleets: &str) -> Result<BTreeMap<String, String>, Error> {
    let misconfigured = |what: &str| {
        Error::new(
            ErrorKind::PlanRejected,
            format!("The deployment's {what}; correct its parameter, or give `fleets`. Nothing was touched."),
        )
    };
    if !pattern.contains("{fleet}") {
        return Err(misconfigured("naming pattern holds no {fleet}"));
    }
    let pairs = fleets.split(',').map(|pair| pair.trim().split_once('='));
    let named: Option<BTreeMap<String, String>> = pairs
        .map(|pair| {
            let (name, part) = pair?;
            Some((name.to_owned(), pattern.replace("{app}", app).replace("{fleet}", part)))
        })
        .collect();
    let named =
        named.filter(|n| n.len() == 2).ok_or_else(|| misconfigured("fleets are not two name=part pairs"))?;
    if let Some(long) = named.values().find(|name| name.len() > 32) {
        return Err(Error::rejected(format!(
            "`app`: {app} makes the target group name {long}, which is longer than AWS allows. Nothing was touched."
        )));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_names_both_target_groups() {
        let named = by_pattern("web", "shop-us-prd-{app}-{fleet}-tg", "prod1=01, prod2=02").unwrap();
        let expected = [("prod1", "shop-us-prd-web-01-tg"), ("prod2", "shop-us-prd-web-02-tg")];
        assert_eq!(named, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn what_is_not_answered_by_http_statuses_is_foreign() {
        let of = |protocol: ProtocolEnum, version: &str| {
            foreign_protocol(&TargetGroup::builder().protocol(protocol).protocol_version(version).build())
        };
        assert_eq!(of(ProtocolEnum::Http, "HTTP1"), None);
        assert_eq!(of(ProtocolEnum::Https, "HTTP2"), None);
        assert_eq!(of(ProtocolEnum::Http, "GRPC").as_deref(), Some("gRPC"));
        assert_eq!(of(ProtocolEnum::Tcp, "").as_deref(), Some("TCP"));
        let function = TargetGroup::builder().target_type(TargetTypeEnum::Lambda).build();
        assert_eq!(foreign_protocol(&function).as_deref(), Some("to a Lambda function"));
    }

    #[test]
    fn a_pattern_that_cannot_work_is_refused() {
        for (pattern, fleets) in [
            ("{app}-tg", "prod1=1,prod2=2"),
            ("{fleet}", "prod1=1"),
            ("{fleet}", "prod1,prod2"),
            ("{fleet}", ""),
        ] {
            assert_eq!(
                by_pattern("web", pattern, fleets).unwrap_err().kind,
                ErrorKind::PlanRejected,
                "{pattern} {fleets}"
            );
        }
        let long = "a-name-that-is-just-too-long";
        assert!(
            by_pattern(long, "shop-{app}-{fleet}", "prod1=1,prod2=2").unwrap_err().message.contains("`app`")
        );
    }
}
