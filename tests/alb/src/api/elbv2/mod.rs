//! Elastic Load Balancing v2, as far as it concerns an Application Load Balancer.

mod actions;
mod actions_out;
mod conditions;
mod groups;
mod listeners;
mod load_balancers;
mod paging;
mod rules;
mod tags;
mod targets;

use std::sync::Arc;

use super::error::ApiError;
use super::query::{Parameters, Scope};
use super::xml::{self, Xml};
use crate::core::Core;

/// What an operation wants to write into its answer.
type Output = Box<dyn FnOnce(&mut Xml)>;

/// What an operation comes to.
type Outcome = Result<Output, ApiError>;

/// An answer without content.
fn nothing() -> Output {
    Box::new(|_| ())
}

/// Carries out a call, and returns the XML of its answer.
pub(super) fn perform(
    core: &Arc<Core>,
    action: &str,
    parameters: &[(String, String)],
    id: &str,
) -> Result<Vec<u8>, ApiError> {
    let operation: fn(&Arc<Core>, &Scope<'_>) -> Outcome = match action {
        "CreateLoadBalancer" => load_balancers::create,
        "DescribeLoadBalancers" => load_balancers::describe,
        "DescribeLoadBalancerAttributes" => load_balancers::describe_attributes,
        "ModifyLoadBalancerAttributes" => load_balancers::modify_attributes,
        "CreateTargetGroup" => groups::create,
        "DescribeTargetGroups" => groups::describe,
        "DescribeTargetGroupAttributes" => groups::describe_attributes,
        "ModifyTargetGroupAttributes" => groups::modify_attributes,
        "RegisterTargets" => targets::register,
        "DeregisterTargets" => targets::deregister,
        "DescribeTargetHealth" => targets::describe_health,
        "CreateListener" => listeners::create,
        "DescribeListeners" => listeners::describe,
        "ModifyListener" => listeners::modify,
        "DeleteListener" => listeners::delete,
        "CreateRule" => rules::create,
        "DescribeRules" => rules::describe,
        "ModifyRule" => rules::modify,
        "DeleteRule" => rules::delete,
        "AddTags" => tags::add,
        "RemoveTags" => tags::remove,
        "DescribeTags" => tags::describe,
        _ => {
            let message = format!("Could not find operation {action} for version 2015-12-01");
            return Err(ApiError::new("InvalidAction", message));
        }
    };
    let parameters = Parameters::new(parameters);
    let output = operation(core, &parameters.root())?;
    Ok(xml::success(action, id, output))
}
