//! Gives the run's apps back: the last thing that every run does, however it ends.

use aws_sdk_elasticloadbalancingv2::Client;
use failover::aws::{SdkConfig, tags};
use failover::contract::{ReleaseRequest, Released};
use failover::error::Error;

/// The client of a process.
pub fn clients(config: &SdkConfig) -> Client {
    Client::new(config)
}

/// Answers one request.
pub async fn handle(client: Client, request: ReleaseRequest) -> Result<Released, Error> {
    let ReleaseRequest { plan, ending } = request;
    // Apps that somebody else took meanwhile are left to them.
    let released = tags::release(&client, &plan, &plan.claim_after(&ending)).await?;
    tracing::info!(
        app = %plan.app,
        execution = plan.execution.arn,
        ending,
        "released {} app(s)",
        released.len()
    );
    Ok(Released { apps: released.into_iter().map(|app| app.name.clone()).collect() })
}
