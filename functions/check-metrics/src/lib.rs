//! Looks at both fleets and says advance, wait or roll back, with the reason and the figures.

#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use aws_sdk_cloudwatch::Client as CloudWatch;
use aws_sdk_elasticloadbalancingv2::Client as Balancer;
use failover::aws;
use failover::aws::{SdkConfig, alarms, claims, health, listener, metrics, newcomers};
use failover::model::error::Error;
use failover::model::{Plan, Progress};
use failover::report::publish;
use failover::run::newcomers::told;
use failover::run::{progress, request};
use failover::verdict::Verdict;
use failover::wire::{Check, Step};
use futures_util::future::{try_join, try_join4};

/// What a process calls AWS with.
pub type Clients = (Balancer, CloudWatch);

/// The clients of a process.
pub fn clients(config: &SdkConfig) -> Clients {
    (Balancer::new(config), CloudWatch::new(config))
}

/// Answers one request.
pub async fn handle(clients: Clients, step: Step) -> Result<Check, Error> {
    let Step { plan, progress } = step;
    let mut check = poll(&clients, &plan, &progress).await?;
    for _ in 1..plan.polls_per_check {
        if check.verdict != Verdict::Wait || check.ask || check.probe_app {
            break;
        }
        tokio::time::sleep(Duration::from_secs(check.progress.wait_seconds.into())).await;
        check = poll(&clients, &plan, &check.progress).await?;
    }
    Ok(check)
}

async fn poll((balancer, cloudwatch): &Clients, plan: &Plan, progress: &Progress) -> Result<Check, Error> {
    let percent = progress::standby_percent(plan, progress)?;
    let now = aws::now();
    let routes = try_join(newcomers::beside_routes(balancer, plan), claims::requests(balancer, plan));
    let (((current, newcomers), requests), mut samples, targets, alarms) = try_join4(
        routes,
        metrics::samples(cloudwatch, plan, &progress::starts(plan, progress), now),
        health::of_apps(balancer, plan),
        alarms::in_alarm(cloudwatch, &plan.criteria.alarms),
    )
    .await?;
    let allowed = |route: &_| vec![plan.stage_groups(route, percent)];
    listener::check_no_external_change(plan, &plan.routes, &current, allowed)?;
    for (samples, [live, standby]) in samples.iter_mut().zip(targets) {
        (samples.live.health, samples.standby.health) = (live, standby);
        samples.alarms.clone_from(&alarms);
    }
    let mut answer = request::decide(plan, progress, &samples, &requests, now);
    let decision = &mut answer.decision;
    if let Some(told) = told(plan, &newcomers) {
        decision.reason = format!("{}; {told}", decision.reason);
    }
    tracing::info!(
        app = %plan.app,
        execution = plan.execution.arn,
        stage = progress.stage,
        verdict = ?decision.verdict,
        "{}",
        decision.reason
    );
    aws::publish(&publish::poll(plan, progress, &decision.figures, now));
    progress::polled(plan, progress, answer, now)
}
