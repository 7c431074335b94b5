//! Target groups.

use std::sync::Arc;
use std::time::Duration;

use super::load_balancers::{attributes_output, changed_attributes, valid_name};
use super::paging::page;
use super::{ApiError, Outcome, Output, Scope, at_most_described, tags};
use crate::core::Core;
use crate::group::{Check, Group};
use crate::lock::lock;
use crate::world::World;

pub(super) fn create(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let name = valid_name(scope.required("Name")?)?;
    let protocol = scope.text("Protocol").unwrap_or("HTTP");
    if !matches!(protocol, "HTTP" | "HTTPS") {
        return Err(ApiError::validation(format!(
            "'{protocol}' is not a protocol of an application load balancer"
        )));
    }
    let port = port(scope)?.unwrap_or(80);
    let check = check(core, scope, protocol)?;
    let tags = tags::parse(scope)?;
    let mut world = lock(&core.world);
    if world.groups.iter().any(|group| group.name == name) {
        let message =
            format!("A target group with the same name '{name}' exists, but with different settings");
        return Err(ApiError::new("DuplicateTargetGroupName", message));
    }
    let label = format!("targetgroup/{name}/{}", core.id());
    let arn = core.arn(&label);
    let group = Arc::new(Group::new(
        &arn,
        name,
        &label,
        protocol,
        port,
        scope.text("VpcId").unwrap_or("vpc-local"),
        scope.text("TargetType").unwrap_or("instance"),
        check,
    ));
    world.tags.insert(arn, tags);
    world.groups.push(Arc::clone(&group));
    Ok(output(vec![group], None))
}

fn check(core: &Core, scope: &Scope<'_>, protocol: &str) -> Result<Check, ApiError> {
    let interval_seconds = scope.within("HealthCheckIntervalSeconds", 5, 300)?.unwrap_or(30);
    let timeout_seconds = scope.within("HealthCheckTimeoutSeconds", 2, 120)?.unwrap_or(5);
    if timeout_seconds > interval_seconds {
        return Err(ApiError::validation("The health check timeout must not exceed the interval"));
    }
    let matcher = scope.nested("Matcher").and_then(|matcher| matcher.text("HttpCode"));
    Ok(Check {
        protocol: scope.text("HealthCheckProtocol").unwrap_or(protocol).to_owned(),
        port: scope.text("HealthCheckPort").unwrap_or("traffic-port").to_owned(),
        path: scope.text("HealthCheckPath").unwrap_or("/").to_owned(),
        interval_seconds,
        timeout_seconds,
        healthy_threshold: scope.within("HealthyThresholdCount", 2, 10)?.unwrap_or(5),
        unhealthy_threshold: scope.within("UnhealthyThresholdCount", 2, 10)?.unwrap_or(2),
        matcher: matcher.unwrap_or("200").to_owned(),
        interval: core.check_interval.unwrap_or(Duration::from_secs(interval_seconds.into())),
    })
}

/// The parameter `Port`.
pub(super) fn port(scope: &Scope<'_>) -> Result<Option<u16>, ApiError> {
    let port = scope.within("Port", 1, u16::MAX.into())?;
    Ok(port.and_then(|port| u16::try_from(port).ok()))
}

pub(super) fn describe(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let (names, arns) = (scope.strings("Names"), scope.strings("TargetGroupArns"));
    at_most_described(names.len().max(arns.len()), "target groups")?;
    let world = lock(&core.world);
    let balancer = scope.text("LoadBalancerArn");
    for name in &names {
        if world.groups.iter().all(|group| group.name != *name) {
            return Err(ApiError::not_found("TargetGroupNotFound"));
        }
    }
    for arn in &arns {
        find(&world, arn)?;
    }
    if balancer.is_some_and(|arn| world.balancer(arn).is_none()) {
        return Err(ApiError::not_found("LoadBalancerNotFound"));
    }
    let all = names.is_empty() && arns.is_empty();
    let groups = world
        .groups
        .iter()
        .filter(|group| all || names.contains(&group.name) || arns.iter().any(|arn| **arn == *group.arn))
        .filter(|group| {
            balancer.is_none_or(|arn| group.user.borrow().as_ref().is_some_and(|user| user.arn == arn))
        })
        .cloned()
        .collect();
    let (groups, next) = page(scope, groups)?;
    Ok(output(groups, next))
}

pub(super) fn describe_attributes(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let group = find(&lock(&core.world), scope.required("TargetGroupArn")?)?;
    let attributes = lock(&group.attributes).clone();
    Ok(attributes_output(attributes))
}

pub(super) fn modify_attributes(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let world = lock(&core.world);
    let group = find(&world, scope.required("TargetGroupArn")?)?;
    let mut current = lock(&group.attributes);
    let changed = changed_attributes(scope, &current)?;
    if changed["stickiness.enabled"] == "true"
        && let Some(rule) = world.unsticky_rule(&group.arn)
    {
        let message = format!(
            "This target group appears behind a rule with group stickiness disabled ({rule}). You must enable \
             group stickiness before enabling target stickiness"
        );
        return Err(ApiError::new("InvalidConfigurationRequest", message));
    }
    current.clone_from(&changed);
    Ok(attributes_output(changed))
}

/// The group with this ARN.
pub(super) fn find(world: &World, arn: &str) -> Result<Arc<Group>, ApiError> {
    world.group(arn).cloned().ok_or_else(|| ApiError::not_found("TargetGroupNotFound"))
}

fn output(groups: Vec<Arc<Group>>, next: Option<String>) -> Output {
    Box::new(move |xml| {
        xml.list("TargetGroups", groups, |xml, group| {
            xml.leaf("TargetGroupArn", &group.arn);
            xml.leaf("TargetGroupName", &group.name);
            xml.leaf("Protocol", &group.protocol);
            xml.leaf("Port", group.port);
            xml.leaf("VpcId", &group.vpc);
            xml.leaf("HealthCheckProtocol", &group.check.protocol);
            xml.leaf("HealthCheckPort", &group.check.port);
            xml.leaf("HealthCheckEnabled", true);
            xml.leaf("HealthCheckIntervalSeconds", group.check.interval_seconds);
            xml.leaf("HealthCheckTimeoutSeconds", group.check.timeout_seconds);
            xml.leaf("HealthyThresholdCount", group.check.healthy_threshold);
            xml.leaf("UnhealthyThresholdCount", group.check.unhealthy_threshold);
            xml.leaf("HealthCheckPath", &group.check.path);
            xml.node("Matcher", |xml| xml.leaf("HttpCode", &group.check.matcher));
            xml.texts("LoadBalancerArns", group.user.borrow().as_ref().map(|user| &user.arn));
            xml.leaf("TargetType", &group.target_type);
            xml.leaf("ProtocolVersion", "HTTP1");
            xml.leaf("IpAddressType", "ipv4");
        });
        if let Some(next) = next {
            xml.leaf("NextMarker", next);
        }
    })
}
