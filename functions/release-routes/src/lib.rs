//! Gives the run's apps back and puts into words how it ended: the last thing that every run does, however it
//! ends.

#![deny(clippy::disallowed_methods)]

use aws_sdk_elasticloadbalancingv2::Client;
use failover::aws::{SdkConfig, listener, tags};
use failover::model::Plan;
use failover::model::error::Error;
use failover::report::conclusion::conclude;
use failover::wire::{ReleaseRequest, Released};

/// The client of a process.
pub fn clients(config: &SdkConfig) -> Client {
    Client::new(config)
}

/// Answers one request.
pub async fn handle(client: Client, request: ReleaseRequest) -> Result<Released, Error> {
    let ReleaseRequest { input, plan, progress, claimed, ended } = request;
    let conclusion = conclude(plan.as_ref(), progress.as_ref(), &input, &ended);
    let Some(plan) = plan.filter(|_| claimed) else {
        return Ok(Released { apps: Vec::new(), conclusion, traffic: None });
    };
    // Apps that somebody else took meanwhile are left to them.
    let released = tags::release(&client, &plan, &plan.claim_after(&ended.ending)).await?;
    tracing::info!(
        app = %plan.app,
        execution = plan.execution.arn,
        ending = ended.ending,
        "released {} app(s)",
        released.len()
    );
    let traffic = traffic(&client, &plan, &ended.ending).await;
    Ok(Released { apps: released.into_iter().map(|app| app.name.clone()).collect(), conclusion, traffic })
}

/// What the routes hold, where that does not follow from how the run ended. That it cannot be read keeps no run
/// from its end.
async fn traffic(client: &Client, plan: &Plan, ending: &str) -> Option<String> {
    if ["Completed", "RolledBack"].contains(&ending) {
        return None;
    }
    match listener::standing(client, plan).await {
        Ok(held) => Some(held),
        Err(error) => {
            tracing::warn!(app = %plan.app, execution = plan.execution.arn, "where the traffic is: {error}");
            None
        }
    }
}
