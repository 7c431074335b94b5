//! Records which fleet is live once the weights of the last stage are proven, and returns the
//! output of the execution. Its failure never moves traffic.

use aws_sdk_elasticloadbalancingv2::Client;
use failover::aws::{self, claims, tags};
use failover::contract::{Outcome, SwapRequest};
use failover::error::{Error, Kind};
use failover::outcome;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    aws::serve(|config| Client::new(config), swap_roles).await
}

async fn swap_roles(client: Client, request: SwapRequest) -> Result<Outcome, Error> {
    let SwapRequest { plan, progress, figures } = request;
    let outcome = outcome::done(&plan, &progress.timeline, figures.as_ref(), aws::now());
    let record = async {
        let fence = claims::fence(&client, &plan).await?;
        tags::record(&client, &plan, &outcome.weights, &outcome.live, &fence).await
    };
    record.await.map_err(|error| match error.kind {
        Kind::AwsUnavailable | Kind::Overtaken => error,
        _ => Error::new(Kind::SwapFailed, error.message),
    })?;
    tracing::info!(app = plan.app, execution = plan.execution.arn, "{}", outcome.summary);
    Ok(outcome)
}
