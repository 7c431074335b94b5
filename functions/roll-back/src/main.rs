//! Puts back the weights found at the start and verifies them, or sends all traffic to the one fleet
//! that is well where they would send it to a dead one.

use aws_sdk_elasticloadbalancingv2::Client;
use failover::aws::listener::{self, Current};
use failover::aws::{self, claims, health};
use failover::contract::{RollBackRequest, RolledBack, Route};
use failover::error::{Error, Kind};
use failover::input::Operation;
use failover::{publish, roll_back, weights};
use futures_util::future::try_join3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    aws::serve(|config| Client::new(config), roll_back).await
}

async fn roll_back(client: Client, request: RollBackRequest) -> Result<RolledBack, Error> {
    let RollBackRequest { plan, why, earlier } = request;
    // In this order: the weights that are read belong to whoever holds the claim.
    let fence = claims::fence(&client, &plan).await;
    let (current, live, standby) = try_join3(
        listener::read(&client, &plan.routes),
        health::of(&client, &plan.live.target_group_arn),
        health::of(&client, &plan.standby.target_group_arn),
    )
    .await?;
    let fence = match fence {
        Err(error) if error.kind == Kind::Overtaken && plan.operation == Operation::Restore => {
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
    listener::check_not_overtaken(&plan, &current, |route| roll_back::may_hold(&plan, route))?;
    let way = roll_back::way(&plan, live, standby, earlier.as_ref());
    // A route that sends its traffic as wanted is left alone, even if it was found as a fixed forward.
    let desired = |route: &_| way.groups(&plan, route);
    listener::write(&client, &plan, &current, &fence, weights::gives, desired).await?;
    if let Some(weights) = way.weights(&plan) {
        aws::publish(&publish::weights(&plan, &weights, aws::now()));
    }
    let answer = roll_back::answer(&plan, way, live, standby, &why, earlier.as_ref());
    tracing::warn!(
        app = plan.app,
        execution = plan.execution.arn,
        ending = ?answer.ending,
        settled = answer.settled,
        "{}",
        answer.cause
    );
    Ok(answer)
}
