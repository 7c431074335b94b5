//! Puts the weights of one stage into every route of the app and reads them back.

use aws_sdk_elasticloadbalancingv2::Client;
use failover::aws::{self, claims, health, listener};
use failover::contract::{Progress, Step};
use failover::error::Error;
use failover::{outcome, progress, publish, weights};
use futures_util::future::try_join3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    aws::serve(|config| Client::new(config), set_weights).await
}

async fn set_weights(client: Client, step: Step) -> Result<Progress, Error> {
    let Step { plan, progress } = step;
    let percent = progress::standby_percent(&plan, &progress)?;
    // In this order: the weights that are read belong to whoever holds the claim.
    let fence = claims::fence(&client, &plan).await?;
    let (current, live, standby) = try_join3(
        listener::read(&client, &plan.routes),
        health::of(&client, &plan.live.target_group_arn),
        health::of(&client, &plan.standby.target_group_arn),
    )
    .await?;
    listener::check_not_overtaken(&plan, &current, |route| {
        progress::may_hold_before_set(&plan, &progress, route)
    })?;
    progress::check_health(&plan, percent, live, standby)?;
    listener::write(&client, &plan, &current, &fence, weights::holds, |_| plan.stage_groups(percent)).await?;
    let (set, now) = (plan.weights(percent), aws::now());
    let split = outcome::split(&set);
    tracing::info!(app = plan.app, execution = plan.execution.arn, stage = progress.stage, "set {split}");
    aws::publish(&publish::weights(&plan, &set, now));
    progress::set(&plan, &progress, now)
}
