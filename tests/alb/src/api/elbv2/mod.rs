//! Elastic Load Balancing v2, as far as it concerns an Application Load Balancer.

mod actions;
mod actions_out;
mod conditions;
mod groups;
mod listeners;
mod load_balancers;
mod paging;
mod removal;
mod rules;
mod tags;
mod targets;

use clock::Instant;
use std::sync::Arc;

use super::error::ApiError;
use super::query::{Parameters, Scope};
use super::xml::{self, Xml};
use crate::core::Core;
use crate::lock::lock;

/// What an operation wants to write into its answer.
type Output = Box<dyn FnOnce(&mut Xml)>;

/// What an operation comes to.
type Outcome = Result<Output, ApiError>;

/// An answer without content.
fn nothing() -> Output {
    Box::new(|_| ())
}

type Operation = fn(&Arc<Core>, &Scope<'_>) -> Outcome;

/// Every operation that is served.
pub(super) const OPERATIONS: &[(&str, Operation)] = &[
    ("CreateLoadBalancer", load_balancers::create),
    ("DescribeLoadBalancers", load_balancers::describe),
    ("DescribeLoadBalancerAttributes", load_balancers::describe_attributes),
    ("ModifyLoadBalancerAttributes", load_balancers::modify_attributes),
    ("DeleteLoadBalancer", removal::balancer),
    ("CreateTargetGroup", groups::create),
    ("DescribeTargetGroups", groups::describe),
    ("DescribeTargetGroupAttributes", groups::describe_attributes),
    ("ModifyTargetGroupAttributes", groups::modify_attributes),
    ("DeleteTargetGroup", removal::group),
    ("RegisterTargets", targets::register),
    ("DeregisterTargets", targets::deregister),
    ("DescribeTargetHealth", targets::describe_health),
    ("CreateListener", listeners::create),
    ("DescribeListeners", listeners::describe),
    ("ModifyListener", listeners::modify),
    ("DeleteListener", listeners::delete),
    ("CreateRule", rules::create),
    ("DescribeRules", rules::describe),
    ("ModifyRule", rules::modify),
    ("DeleteRule", rules::delete),
    ("AddTags", tags::add),
    ("RemoveTags", tags::remove),
    ("DescribeTags", tags::describe),
];

/// The most things of a kind that AWS describes in one call that names them.
const MOST_DESCRIBED: usize = 20;

/// Refuses a call that names more things than AWS describes at once.
fn at_most_described(count: usize, what: &str) -> Result<(), ApiError> {
    if count > MOST_DESCRIBED {
        return Err(ApiError::validation(format!(
            "You cannot describe more than '{MOST_DESCRIBED}' {what} at a time"
        )));
    }
    Ok(())
}

/// Refuses what is no ARN of this region: to AWS, resources of another region have none.
fn in_region(core: &Core, parameters: &[(String, String)]) -> Result<(), ApiError> {
    let foreign = |name: &str, value: &str| {
        // `ResourceArns.member.1` and `Actions.member.1.TargetGroupArn` alike.
        let ours = ["RuleArn", "ListenerArn", "TargetGroupArn", "LoadBalancerArn", "ResourceArn"];
        let named = name.split('.').any(|part| ours.contains(&part.trim_end_matches('s')));
        let mut parts = value.split(':').skip(3);
        named && !value.is_empty() && parts.next() != Some(core.region.as_str())
    };
    match parameters.iter().find(|(name, value)| foreign(name, value)) {
        Some((_, value)) => Err(ApiError::validation(format!("'{value}' must be in ARN format"))),
        None => Ok(()),
    }
}

/// Carries out a call, and returns the XML of its answer. `counted` calls draw on what the account may
/// call.
pub(super) fn perform(
    core: &Arc<Core>,
    action: &str,
    parameters: &[(String, String)],
    counted: bool,
    id: &str,
) -> Result<Vec<u8>, ApiError> {
    let Some((_, operation)) = OPERATIONS.iter().find(|(name, _)| *name == action) else {
        let message = format!("Could not find operation {action} for version 2015-12-01");
        return Err(ApiError::new("InvalidAction", message));
    };
    if counted && !lock(&core.throttle).admits(action, Instant::now()) {
        return Err(ApiError::new("Throttling", "Rate exceeded"));
    }
    in_region(core, parameters)?;
    let parameters = Parameters::new(parameters);
    let output = operation(core, &parameters.root())?;
    Ok(xml::success(action, id, output))
}
