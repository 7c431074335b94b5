//! Puts back the weights found at the start and verifies them, or sends all traffic to the one fleet
//! that is well where they would send it to a dead one.

#![deny(clippy::disallowed_methods)]

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_sfn::Client as StepFunctions;
use failover::aws::listener::{self, Current};
use failover::aws::{self, SdkConfig, health, tags};
use failover::model::Operation;
use failover::model::Route;
use failover::model::error::{Error, ErrorKind};
use failover::model::weights;
use failover::report::publish;
use failover::run::roll_back;
use failover::run::roll_back::Seen;
use failover::wire::{RollBackRequest, RolledBack};

/// What a process calls AWS with.
pub type Clients = (Client, StepFunctions);

/// The clients of a process.
pub fn clients(config: &SdkConfig) -> Clients {
    (Client::new(config), StepFunctions::new(config))
}

/// Answers one request.
pub async fn handle(
    (client, step_functions): Clients,
    request: RollBackRequest,
) -> Result<RolledBack, Error> {
    let RollBackRequest { plan, why, earlier } = request;
    let (targets, unread) = health::if_readable(&client, &plan).await;
    // In this order: the weights that are read belong to whoever holds the claim.
    let fence = tags::fence_back((&client, &step_functions), &plan).await;
    let (plan, current, more) = listener::still_there(&client, plan).await?;
    let gone = plan.gone.iter().cloned().chain(more).collect();
    let (fence, claimed_anew) = match fence {
        Err(error) if error.kind == ErrorKind::ExternalChange && plan.operation == Operation::Restore => {
            let as_wanted = |(route, current): (&Route, &Current)| {
                weights::gives(&current.groups, &plan.before_groups(route))
            };
            if plan.routes.iter().zip(&current).all(as_wanted) {
                return Ok(roll_back::unneeded(&plan));
            }
            return Err(error);
        }
        fence => fence?,
    };
    let allowed = |route: &_| roll_back::may_hold(&plan, route);
    listener::check_no_external_change(&plan, &plan.routes, &current, allowed)?;
    let seen = Seen { targets, unread, gone, claimed_anew };
    let ways = roll_back::ways(&plan, &seen, earlier.as_ref());
    // A route that sends its traffic as wanted is left alone, even if it was found as a fixed forward.
    let desired = |route: &Route| ways[route.app].groups(&plan, route);
    listener::write(&client, &plan, &current, fence, allowed, weights::gives, desired).await?;
    let stand = plan.apps.iter().zip(&ways).enumerate().filter_map(|(index, (app, way))| {
        // One all of whose rules are gone has no weights.
        plan.routes.iter().find(|route| route.app == index)?;
        Some((app, way.weights(&plan, app)?))
    });
    aws::publish(&publish::weights(&plan, stand, aws::now()));
    let answer = roll_back::answer(&plan, &ways, &seen, &why, earlier.as_ref());
    tracing::warn!(
        app = %plan.app,
        execution = plan.execution.arn,
        ending = ?answer.ending,
        settled = answer.settled,
        "{}",
        answer.cause
    );
    Ok(answer)
}
