//! Load balancers.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::paging::page;
use super::{ApiError, Outcome, Output, Scope, at_most_described, tags};
use crate::core::Core;
use crate::lock::lock;
use crate::model::LoadBalancer;

/// Attributes of a new balancer, with AWS's defaults.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.enabled", "false"),
    ("client_keep_alive.seconds", "3600"),
    ("deletion_protection.enabled", "false"),
    ("idle_timeout.timeout_seconds", "60"),
    ("load_balancing.cross_zone.enabled", "true"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    ("routing.http2.enabled", "true"),
];

pub(super) fn create(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let name = valid_name(scope.required("Name")?)?;
    if scope.text("Type").is_some_and(|kind| kind != "application") {
        return Err(ApiError::validation("Only application load balancers are available"));
    }
    let tags = tags::parse(scope)?;
    let mut world = lock(&core.world);
    if world.balancers.iter().any(|known| known.name == name) {
        let message =
            format!("A load balancer with the same name '{name}' exists, but with different settings");
        return Err(ApiError::new("DuplicateLoadBalancerName", message));
    }
    let label = format!("app/{name}/{}", core.id());
    let balancer = LoadBalancer {
        arn: core.arn(&format!("loadbalancer/{label}")),
        name: name.to_owned(),
        label: label.into(),
        created: clock::now(),
        scheme: scope.text("Scheme").unwrap_or("internet-facing").to_owned(),
        attributes: ATTRIBUTES.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    };
    // In AWS it takes minutes to become active; here it is by the next call.
    let view = View { state: "provisioning", ..View::new(core, &balancer) };
    world.tags.insert(balancer.arn.clone(), tags);
    world.balancers.push(balancer);
    Ok(output(vec![view], None))
}

pub(super) fn describe(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let (names, arns) = (scope.strings("Names"), scope.strings("LoadBalancerArns"));
    at_most_described(names.len().max(arns.len()), "load balancers")?;
    let world = lock(&core.world);
    for name in &names {
        if world.balancers.iter().all(|balancer| balancer.name != *name) {
            let message = format!("Load balancers '[{name}]' not found");
            return Err(ApiError::new("LoadBalancerNotFound", message));
        }
    }
    for arn in &arns {
        if world.balancer(arn).is_none() {
            return Err(ApiError::not_found("LoadBalancerNotFound"));
        }
    }
    let all = names.is_empty() && arns.is_empty();
    let views = world
        .balancers
        .iter()
        .filter(|balancer| all || names.contains(&balancer.name) || arns.contains(&balancer.arn))
        .map(|balancer| View::new(core, balancer))
        .collect();
    let (views, next) = page(scope, views)?;
    Ok(output(views, next))
}

pub(super) fn describe_attributes(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let arn = scope.required("LoadBalancerArn")?;
    let world = lock(&core.world);
    let balancer = world.balancer(arn).ok_or_else(|| ApiError::not_found("LoadBalancerNotFound"))?;
    Ok(attributes_output(balancer.attributes.clone()))
}

pub(super) fn modify_attributes(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let arn = scope.required("LoadBalancerArn")?;
    let mut world = lock(&core.world);
    let balancer = world
        .balancers
        .iter_mut()
        .find(|balancer| balancer.arn == arn)
        .ok_or_else(|| ApiError::not_found("LoadBalancerNotFound"))?;
    let attributes = changed_attributes(scope, &balancer.attributes)?;
    balancer.attributes.clone_from(&attributes);
    world.publish(&lock(&core.troubles));
    Ok(attributes_output(attributes))
}

/// The attributes of a resource after a call has changed some of them.
pub(super) fn changed_attributes(
    scope: &Scope<'_>,
    current: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut changed = current.clone();
    for attribute in scope.members("Attributes") {
        let key = attribute.required("Key")?;
        let value = attribute.text("Value").unwrap_or_default();
        let Some(slot) = changed.get_mut(key) else {
            return Err(ApiError::validation(format!("The attribute '{key}' is not known")));
        };
        let number = slot.parse::<u32>().is_ok() && key.ends_with("seconds");
        let switch = matches!(slot.as_str(), "true" | "false");
        if number && value.parse::<u32>().is_err() || switch && !matches!(value, "true" | "false") {
            return Err(ApiError::validation(format!("'{value}' is not a valid value for '{key}'")));
        }
        value.clone_into(slot);
    }
    Ok(changed)
}

pub(super) fn attributes_output(attributes: BTreeMap<String, String>) -> Output {
    Box::new(move |xml| {
        xml.list("Attributes", attributes, |xml, (key, value)| {
            xml.leaf("Key", key);
            xml.leaf("Value", value);
        });
    })
}

/// Names have up to 32 letters, digits and hyphens, with no hyphen at either end.
pub(super) fn valid_name(name: &str) -> Result<&str, ApiError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain && name.len() <= 32 && !name.starts_with('-') && !name.ends_with('-') {
        Ok(name)
    } else {
        Err(ApiError::validation(format!("'{name}' is not a valid name")))
    }
}

/// What an answer says about a balancer.
struct View {
    arn: String,
    name: String,
    scheme: String,
    dns: String,
    created: Timestamp,
    state: &'static str,
}

impl View {
    fn new(core: &Core, balancer: &LoadBalancer) -> Self {
        Self {
            arn: balancer.arn.clone(),
            name: balancer.name.clone(),
            scheme: balancer.scheme.clone(),
            dns: format!("{}.{}.elb.amazonaws.com", balancer.name, core.region),
            created: balancer.created,
            state: "active",
        }
    }
}

fn output(views: Vec<View>, next: Option<String>) -> Output {
    Box::new(move |xml| {
        xml.list("LoadBalancers", views, |xml, view| {
            xml.leaf("LoadBalancerArn", view.arn);
            xml.leaf("DNSName", view.dns);
            xml.leaf("CreatedTime", view.created);
            xml.leaf("LoadBalancerName", view.name);
            xml.leaf("Scheme", view.scheme);
            xml.leaf("VpcId", "vpc-local");
            xml.node("State", |xml| xml.leaf("Code", view.state));
            xml.leaf("Type", "application");
            xml.leaf("IpAddressType", "ipv4");
        });
        if let Some(next) = next {
            xml.leaf("NextMarker", next);
        }
    })
}
