//! Puts back the weights found at the start and verifies them.

use aws_sdk_elasticloadbalancingv2::Client;
use failover::aws::{self, listener};
use failover::contract::{RollBackRequest, RolledBack};
use failover::error::Error;
use failover::{outcome, progress, weights};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    aws::serve(|config| Client::new(config), roll_back).await
}

async fn roll_back(client: Client, request: RollBackRequest) -> Result<RolledBack, Error> {
    let RollBackRequest { plan, progress, why } = request;
    let current = listener::read(&client, &plan.routes).await?;
    listener::check_not_overtaken(&plan, &current, |route| {
        progress::may_hold_before_roll_back(&plan, &progress, route)
    })?;
    // A route that sends its traffic as before is left alone, even if it was found as a fixed forward.
    listener::write(&client, &plan, &current, weights::gives, |route| plan.before_groups(route)).await?;
    let cause = outcome::rolled_back(&plan, &why);
    tracing::warn!(app = plan.app, execution = plan.execution.arn, "{cause}");
    Ok(RolledBack { cause, weights: plan.before })
}
