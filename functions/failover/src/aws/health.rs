//! Target health of a fleet.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    DescribeTargetHealthInputIncludeEnum as Include, TargetAdministrativeOverrideStateEnum as Override,
    TargetHealthDescription, TargetHealthReasonEnum as Reason, TargetHealthStateEnum as State,
};
use futures_util::future::{try_join, try_join_all};

use super::error::named;
use super::pace::{self, paced};
use crate::model::error::Error;
use crate::model::samples::Health;
use crate::model::{Plan, PlannedApp};

/// The targets of both fleets, live and standby, of every app of the plan in their order.
///
/// # Errors
/// As AWS answers.
pub async fn of_apps(client: &Client, plan: &Plan) -> Result<Vec<[Health; 2]>, Error> {
    let groups = plan.apps.iter().flat_map(|app| [&app.live_group, &app.standby_group]);
    let all = paced(groups.map(|group| of(client, group))).await?;
    Ok(all.chunks_exact(2).map(|fleets| [fleets[0], fleets[1]]).collect())
}

/// How long the way back waits for target health at most: it is better to go back without.
const MAY_KEEP_WAITING: Duration = Duration::from_secs(5);

/// The same for a rollback: of every app what is known, and why it is not where it could not be read.
pub async fn if_readable(client: &Client, plan: &Plan) -> (Vec<Option<[Health; 2]>>, Option<String>) {
    let of_app = async |app: &PlannedApp| {
        let [live, standby] =
            [&app.live_group, &app.standby_group].map(|group| pace::read(of(client, group)));
        let both = try_join(live, standby);
        match tokio::time::timeout(MAY_KEEP_WAITING, both).await {
            Ok(Ok((live, standby))) => Ok::<_, Error>(Ok([live, standby])),
            Ok(Err(error)) => Ok(Err(error.message)),
            Err(_) => Ok(Err(format!("AWS did not answer within {} s", MAY_KEEP_WAITING.as_secs()))),
        }
    };
    let all = try_join_all(plan.apps.iter().map(of_app)).await.unwrap_or_default();
    let unread = all.iter().find_map(|targets| targets.as_ref().err()).cloned();
    (all.into_iter().map(Result::ok).collect(), unread)
}

/// Counts a group's targets by what the balancer says of them.
///
/// # Errors
/// As AWS answers.
pub async fn of(client: &Client, target_group_arn: &str) -> Result<Health, Error> {
    let answer = client
        .describe_target_health()
        .target_group_arn(target_group_arn)
        .include(Include::All)
        .send()
        .await
        .map_err(|error| named(&format!("reading the target health of {target_group_arn}"), &error))?;
    Ok(counted(answer.target_health_descriptions()))
}

/// A target that is being deregistered stays in the list for minutes and counts no more. Where all are
/// unused for the reason that no rule holds their group, nothing is known of them; that of an instance
/// that was stopped is another.
fn counted(targets: &[TargetHealthDescription]) -> Health {
    let states = targets.iter().filter_map(|target| Some((target, target.target_health()?)));
    let registered: Vec<_> = states
        .filter(|(_, health)| !matches!(health.state(), Some(State::Draining | State::UnhealthyDraining)))
        .collect();
    let unused = registered.iter().all(|(_, health)| {
        health.state() == Some(&State::Unused) && health.reason() == Some(&Reason::NotInUse)
    });
    // The balancer sends nothing to a target whose zone is shifted away, as well as it may be.
    let shifted_away = |target: &TargetHealthDescription| {
        target.administrative_override().and_then(|away| away.state()) == Some(&Override::ZonalShiftActive)
    };
    let healthy = registered
        .iter()
        .filter(|(target, health)| health.state() == Some(&State::Healthy) && !shifted_away(target))
        .count();
    let count = |targets: usize| u32::try_from(targets).unwrap_or(u32::MAX);
    Health {
        healthy: count(healthy),
        registered: count(registered.len()),
        unused: unused && !registered.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{AdministrativeOverride, TargetHealth};

    use super::*;
    use crate::aws::fake::world;

    fn targets(states: &[(State, Option<Reason>)]) -> Health {
        let target = |(state, reason): &(State, Option<Reason>)| {
            let health = TargetHealth::builder().state(state.clone()).set_reason(reason.clone()).build();
            TargetHealthDescription::builder().target_health(health).build()
        };
        counted(&states.iter().map(target).collect::<Vec<_>>())
    }

    #[test]
    fn unused_is_what_no_rule_holds_and_not_what_was_stopped() {
        let stopped = (State::Unused, Some(Reason::InvalidState));
        let no_rule = (State::Unused, Some(Reason::NotInUse));
        assert!(!targets(&[stopped.clone(), stopped.clone()]).unused);
        assert!(!targets(&[stopped, no_rule.clone()]).unused);
        assert!(targets(&[no_rule.clone(), no_rule.clone()]).unused);
        assert!(!targets(&[no_rule, (State::Healthy, None)]).unused && !targets(&[]).unused);
    }

    #[test]
    fn a_target_that_is_shifted_away_is_no_capacity() {
        let target = |state: Override| {
            let away = AdministrativeOverride::builder().state(state).build();
            let health = TargetHealth::builder().state(State::Healthy).build();
            TargetHealthDescription::builder().target_health(health).administrative_override(away).build()
        };
        let targets = [Override::NoOverride, Override::ZonalShiftActive].map(target);
        assert_eq!(counted(&targets), Health { healthy: 1, registered: 2, unused: false });
    }

    #[test]
    fn a_target_that_is_leaving_is_not_registered_any_more() {
        let leaving = [State::Draining, State::UnhealthyDraining].map(|state| (state, None));
        let mut all = leaving.to_vec();
        all.extend([(State::Healthy, None), (State::Healthy, None)]);
        assert_eq!(targets(&all), Health { healthy: 2, registered: 2, unused: false });
        assert_eq!(targets(&leaving), Health::default());
    }

    #[test]
    fn what_may_not_be_read_is_unknown_and_told() {
        let (plan, fake) = world(1);
        fake.state().refused = Some(("DescribeTargetHealth", "AccessDenied"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (targets, unread) = runtime.block_on(if_readable(&fake.client(), &plan));
        assert_eq!(targets, [None]);
        assert!(unread.is_some_and(|why| why.contains("AccessDenied")));
    }
}
