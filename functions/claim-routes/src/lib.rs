//! Claims every app of a run for it alone, so that no other run writes weights there meanwhile.
//!
//! Tags know no compare-and-swap. So the claim is written, left alone for longer than a write takes,
//! and read back: whoever reads its own claim then is alone, since nobody who saw the app free
//! before can still be about to write.

#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client as Balancer;
use aws_sdk_sfn::Client as StepFunctions;
use failover::aws::claims::{self, Fence};
use failover::aws::{SdkConfig, listener, tags};
use failover::model::error::{Error, ErrorKind};
use failover::model::hold::refusal;
use failover::model::weights;
use failover::model::{Plan, PlannedApp, Route};
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
    let claimed = claim_for(&clients, &plan).await;
    if plan.takes_over() { claimed.map_err(Error::of_restore) } else { claimed }
}

async fn claim_for(clients: &Clients, plan: &Plan) -> Result<(), Error> {
    let claimed = claim(clients, plan).await;
    // However it went: nobody else would give the claim of an execution back that was stopped meanwhile.
    // That of a restore is kept, since the restore after it must find what there is to put back.
    if !plan.takes_over() && !claims::is_running(&clients.1, &plan.execution.arn).await? {
        tags::release(&clients.0, plan, &plan.claim_after(ErrorKind::PlanRejected.name())).await?;
        return Err(Error::rejected("The execution was stopped while it claimed its apps."));
    }
    claimed?;
    tracing::info!(app = %plan.app, execution = plan.execution.arn, "claimed {} app(s)", plan.apps.len());
    Ok(())
}

async fn claim(clients: &Clients, plan: &Plan) -> Result<(), Error> {
    let apps: Vec<&PlannedApp> = plan.held_apps().collect();
    let client = &clients.0;
    // What is put back is the same whoever does it, and every second counts: who takes over goes on
    // at once, and looks again when everything has settled.
    if plan.takes_over() {
        let claimed = tags::claim(client, plan, &apps, async |lot| {
            let clients = (client, &clients.1);
            let (fence, _) = claims::fence_back(clients, plan, lot.iter().copied()).await?;
            Ok((fence, lot.to_vec()))
        });
        return match claimed.await {
            // The rollback sees the same and knows whether anything is left to put back.
            Err(error) if error.kind == ErrorKind::ExternalChange => Ok(()),
            taken => taken,
        };
    }
    let mut first = Some(check(clients, plan, &apps).await?);
    tags::claim(client, plan, &apps, async |lot| {
        let fence = match first.take() {
            Some(fence) => fence,
            None => check(clients, plan, lot).await?,
        };
        Ok((fence, lot.to_vec()))
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(plan.propagation_seconds.into())).await;
    let (_, held) = claims::held_of(client, plan, apps.iter().copied()).await?;
    if held.len() < apps.len() {
        return Err(refused(plan, "another run began at the same time; start again when it is over"));
    }
    check_found(client, plan, &apps).await
}

/// These apps may be taken: nobody else has since the plan was made, nor changed their weights.
async fn check(
    (balancer, step_functions): &Clients,
    plan: &Plan,
    apps: &[&PlannedApp],
) -> Result<Fence, Error> {
    let fence = Fence::now(plan.propagation_seconds);
    let found = claims::marks_of(balancer, apps.iter().copied()).await?;
    let held = found.iter().map(|(_, marks)| marks.held.clone());
    let owners = claims::owners(step_functions, held, &plan.execution.arn).await?;
    for ((app, _), owner) in found.into_iter().zip(owners) {
        if let Some(why) = refusal(&owner) {
            return Err(refused(plan, &format!("{} {why}", app.name)));
        }
    }
    check_found(balancer, plan, apps).await?;
    Ok(fence)
}

/// The routes of these apps hold the weights that the plan was made from, and none of them is gone.
async fn check_found(client: &Balancer, plan: &Plan, apps: &[&PlannedApp]) -> Result<(), Error> {
    let of_these = |route: &&Route| apps.iter().any(|app| app.name == plan.app_of(route).name);
    let routes: Vec<&Route> = plan.routes.iter().filter(of_these).collect();
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

fn refused(plan: &Plan, what: &str) -> Error {
    Error::rejected(format!("{}: {what}. No weights were touched.", plan.app))
}
