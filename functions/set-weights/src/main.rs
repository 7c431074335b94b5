//! Puts the weights of one stage into every route of the app and reads them back.

use aws_sdk_elasticloadbalancingv2::Client;
use failover::aws::{self, listener, tags};
use failover::contract::{Progress, Step};
use failover::error::Error;
use failover::{outcome, progress, weights};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    aws::serve(|config| Client::new(config), set_weights).await
}

async fn set_weights(client: Client, step: Step) -> Result<Progress, Error> {
    let Step { plan, progress } = step;
    let percent = progress::standby_percent(&plan, &progress)?;
    let current = listener::read(&client, &plan.routes).await?;
    listener::check_not_overtaken(&plan, &current, |route| {
        progress::may_hold_before_set(&plan, &progress, route)
    })?;
    if progress.timeline.is_empty() {
        // Recorded before the first write: weights that are interrupted at an even split cannot
        // tell which fleet was live.
        tags::record(&client, &plan, &plan.live.name).await?;
    }
    listener::write(&client, &plan, &current, weights::holds, |_| plan.stage_groups(percent)).await?;
    let split = outcome::split(&plan.weights(percent));
    tracing::info!(app = plan.app, execution = plan.execution.arn, stage = progress.stage, "set {split}");
    progress::set(&plan, &progress, aws::now())
}
