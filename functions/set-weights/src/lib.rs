//! Puts the weights of one stage into every route and reads them back.

#![deny(clippy::disallowed_methods)]

use aws_sdk_elasticloadbalancingv2::Client;
use failover::aws;
use failover::aws::{SdkConfig, claims, health, listener, tags};
use failover::model::error::Error;
use failover::model::weights::{Percent, split};
use failover::model::{Progress, weights};
use failover::report::publish;
use failover::run::progress;
use failover::wire::Step;

/// The client of a process.
pub fn clients(config: &SdkConfig) -> Client {
    Client::new(config)
}

/// Answers one request.
pub async fn handle(client: Client, step: Step) -> Result<Progress, Error> {
    let Step { plan, progress } = step;
    let percent = progress::standby_percent(&plan, &progress)?;
    let targets = health::of_apps(&client, &plan).await?;
    // From the standby's first request on nobody may take what it ran before for what it runs.
    if progress::is_first_on_standby(&plan, &progress) && percent > Percent::NONE {
        tags::doubt(&client, &plan).await?;
    }
    // In this order: the weights that are read belong to whoever holds the claim.
    let fence = claims::fence(&client, &plan).await?;
    let current = listener::read(&client, &plan, &plan.routes).await?;
    let allowed = |route: &_| progress::may_hold_before_set(&plan, &progress, route);
    listener::check_no_external_change(&plan, &plan.routes, &current, allowed)?;
    progress::check_health(&plan, percent, &targets)?;
    let desired = |route: &_| plan.stage_groups(route, percent);
    listener::write(&client, &plan, &current, fence, allowed, weights::holds, desired).await?;
    let (set, now) = (plan.weights(percent), aws::now());
    let split = split(&set);
    tracing::info!(app = %plan.app, execution = plan.execution.arn, stage = progress.stage, "set {split}");
    aws::publish(&publish::weights(&plan, plan.apps.iter().map(|app| (app, set.clone())), now));
    progress::set(&plan, &progress, now)
}
