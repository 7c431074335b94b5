//! Claims every route of the app for one run, so that no other run writes weights there meanwhile.
//!
//! Tags know no compare-and-swap. So the claim is written, left alone for longer than a write takes,
//! and read back: whoever reads its own claim then is alone, since nobody who saw the route free
//! before can still be about to write.

#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client as Balancer;
use aws_sdk_sfn::Client as StepFunctions;
use failover::aws;
use failover::aws::claims::Fence;
use failover::aws::pace::Writes;
use failover::aws::{SdkConfig, claims, listener, pace, tags};
use failover::model::claim::refusal;
use failover::model::error::{Error, Kind};
use failover::model::{Plan, Route, weights};
use failover::wire::ClaimRequest;

/// What a process calls AWS with.
pub type Clients = (Balancer, StepFunctions);

/// The clients of a process.
pub fn clients(config: &SdkConfig) -> Clients {
    (Balancer::new(config), StepFunctions::new(config))
}

/// Answers one request.
pub async fn handle(clients: Clients, request: ClaimRequest) -> Result<(), Error> {
    let ClaimRequest { plan } = request;
    let claimed = claim(&clients, &plan).await;
    // However it went: nobody else would remove the claim of an execution that was stopped meanwhile.
    // That of a restore is kept, since the restore after it must find what there is to put back.
    if !plan.takes_over() && !claims::is_running(&clients.1, &plan.execution.arn).await? {
        tags::release(&clients.0, &plan, plan.keeps_record(Kind::PlanRejected.name())).await?;
        return Err(Error::rejected("The execution was stopped while it claimed its routes."));
    }
    claimed?;
    tracing::info!(app = %plan.app, execution = plan.execution.arn, "claimed {} route(s)", plan.routes.len());
    Ok(())
}

async fn claim(clients: &Clients, plan: &Plan) -> Result<(), Error> {
    // What is put back is the same whoever does it, and every second counts: who takes over goes on
    // at once, and looks again when everything has settled.
    if plan.takes_over() {
        return match take_over(&clients.0, plan).await {
            // The rollback sees the same and knows whether anything is left to put back.
            Err(error) if error.kind == Kind::Overtaken => Ok(()),
            taken => taken,
        };
    }
    let all: Vec<&Route> = plan.routes.iter().collect();
    let mut fence = check(clients, plan, &all).await?;
    let mut writes = Writes::default();
    for (number, lot) in pace::lots(&all, plan.settle_seconds).enumerate() {
        if number > 0 {
            fence = check(clients, plan, lot).await?;
        }
        tags::claim(&clients.0, plan, lot, &fence, &mut writes).await?;
    }
    tokio::time::sleep(Duration::from_secs(plan.settle_seconds.into())).await;
    claims::fence(&clients.0, plan).await.map_err(|error| lost(plan, error))?;
    check_found(&clients.0, plan, &all).await
}

/// Claims what an interrupted run has left, as far as that is not gone.
async fn take_over(client: &Balancer, plan: &Plan) -> Result<(), Error> {
    let (mut fence, all) = claims::fence_of(client, plan, plan.routes.iter().collect()).await?;
    let mut writes = Writes::default();
    for (number, lot) in pace::lots(&all, plan.settle_seconds).enumerate() {
        let mut lot = lot.to_vec();
        if number > 0 {
            (fence, lot) = claims::fence_of(client, plan, lot).await?;
        }
        tags::claim(client, plan, &lot, &fence, &mut writes).await?;
    }
    Ok(())
}

/// These routes may be taken: nobody else has since the plan was made, nor changed their weights.
async fn check((balancer, step_functions): &Clients, plan: &Plan, routes: &[&Route]) -> Result<Fence, Error> {
    let fence = Fence::now(plan.settle_seconds);
    let found = claims::marks_of(balancer, routes.to_vec()).await?;
    let held = found.iter().map(|(_, marks)| marks.claim.clone());
    let owners = claims::owners(step_functions, held, &plan.execution.arn, aws::now()).await?;
    for ((route, marks), owner) in found.into_iter().zip(owners) {
        if let Some(why) = refusal(&owner, marks.record.as_ref(), &route.found) {
            return Err(refused(plan, &format!("{} {why}", route.label)));
        }
    }
    check_found(balancer, plan, routes).await?;
    Ok(fence)
}

/// These routes hold the weights that the plan was made from, and none of them is gone.
async fn check_found(client: &Balancer, plan: &Plan, routes: &[&Route]) -> Result<(), Error> {
    for (route, current) in routes.iter().zip(listener::look(client, routes.iter().copied()).await?) {
        let Some(current) = current else {
            return Err(refused(plan, &format!("{}; start again", route.gone_in_words())));
        };
        if !weights::gives(&current.groups, &plan.found_groups(route)) {
            let what = format!("somebody changed {} while the run began; start again", route.label);
            return Err(refused(plan, &what));
        }
    }
    Ok(())
}

fn lost(plan: &Plan, error: Error) -> Error {
    match error.kind {
        Kind::Overtaken => refused(plan, "another run began at the same time; start again when it is over"),
        _ => error,
    }
}

fn refused(plan: &Plan, what: &str) -> Error {
    Error::rejected(format!("{}: {what}. No weights were touched.", plan.app))
}
