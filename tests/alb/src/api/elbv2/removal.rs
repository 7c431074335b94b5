//! Taking away balancers and target groups.

use std::sync::Arc;

use super::{ApiError, Outcome, Scope, nothing};
use crate::core::Core;
use crate::lock::lock;

/// A balancer goes with its listeners and rules, and the groups stay. One that is gone already is no mistake.
pub(super) fn balancer(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let arn = scope.required("LoadBalancerArn")?;
    let mut world = lock(&core.world);
    let protection =
        world.balancer(arn).and_then(|balancer| balancer.attributes.get("deletion_protection.enabled"));
    if protection.is_some_and(|enabled| enabled == "true") {
        let message =
            format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    while let Some(index) = world.listeners.iter().position(|listener| listener.balancer == arn) {
        world.remove_listener(index);
    }
    world.balancers.retain(|balancer| balancer.arn != arn);
    world.tags.remove(arn);
    world.publish(&lock(&core.troubles));
    Ok(nothing())
}

/// A group goes once no action names it. One that is gone already is no mistake.
pub(super) fn group(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let arn = scope.required("TargetGroupArn")?;
    let mut world = lock(&core.world);
    if world.group(arn).is_some_and(|group| group.user.borrow().is_some()) {
        let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(ApiError::new("ResourceInUse", message));
    }
    if let Some(group) = world.group(arn) {
        group.targets().iter().for_each(|target| target.stop.cancel());
    }
    world.groups.retain(|group| *group.arn != *arn);
    world.tags.remove(arn);
    Ok(nothing())
}
