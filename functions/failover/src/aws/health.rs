//! Target health of a fleet.

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum as State;

use super::error::named;
use super::pace::paced;
use crate::contract::Plan;
use crate::error::Error;
use crate::samples::Health;

/// The targets of both fleets, live and standby, of every app of the plan in their order.
///
/// # Errors
/// As AWS answers.
pub async fn of_apps(client: &Client, plan: &Plan) -> Result<Vec<[Health; 2]>, Error> {
    let groups = plan.apps.iter().flat_map(|app| [&app.live_group, &app.standby_group]);
    let all = paced(groups.map(|group| of(client, group))).await?;
    Ok(all.chunks_exact(2).map(|fleets| [fleets[0], fleets[1]]).collect())
}

/// Counts a group's targets by what the balancer says of them.
///
/// # Errors
/// As AWS answers.
pub async fn of(client: &Client, target_group_arn: &str) -> Result<Health, Error> {
    let answer = client
        .describe_target_health()
        .target_group_arn(target_group_arn)
        .send()
        .await
        .map_err(|error| named(&format!("reading the target health of {target_group_arn}"), &error))?;
    let states = || answer.target_health_descriptions().iter().filter_map(|d| d.target_health()?.state());
    let count = |wanted: &State| u32::try_from(states().filter(|s| *s == wanted).count()).unwrap_or(u32::MAX);
    let registered = u32::try_from(answer.target_health_descriptions().len()).unwrap_or(u32::MAX);
    Ok(Health {
        healthy: count(&State::Healthy),
        registered,
        unused: registered > 0 && count(&State::Unused) == registered,
    })
}
