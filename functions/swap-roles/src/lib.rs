//! Records which fleet is live once the weights of the last stage are proven, leads test traffic to the other
//! one, and returns the output of the execution. Its failure never moves traffic of users.

#![deny(clippy::disallowed_methods)]

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_sfn::Client as StepFunctions;
use failover::aws::{self, SdkConfig, listener, newcomers, tags, testers};
use failover::model::Operation;
use failover::model::Plan;
use failover::model::error::{Error, ErrorKind};
use failover::model::weights::Percent;
use failover::report::outcome;
use failover::run::newcomers::contradict;
use failover::wire::{Outcome, SwapRequest};

/// What a process calls AWS with.
pub type Clients = (Client, StepFunctions);

/// The clients of a process.
pub fn clients(config: &SdkConfig) -> Clients {
    (Client::new(config), StepFunctions::new(config))
}

/// Answers one request.
pub async fn handle((client, step_functions): Clients, request: SwapRequest) -> Result<Outcome, Error> {
    let SwapRequest { plan, progress, figures } = request;
    let plan =
        if plan.operation == Operation::Restore { without_what_is_gone(&client, plan).await? } else { plan };
    let outcome = outcome::done(&plan, &progress.timeline, figures.as_ref(), aws::now());
    tags::record((&client, &step_functions), &plan, &outcome.live).await.map_err(|error| {
        let way_out = "allow the function to tag the target groups, and the next run records it";
        unfinished(error, "which fleet is live could not be recorded", way_out)
    })?;
    testers::lead_on(&client, &plan).await.map_err(|error| {
        let what =
            format!("test traffic may go to {}, which is live, instead of {}", outcome.live, outcome.standby);
        unfinished(error, &what, "once that is mended, a `drain` leads them to the standby")
    })?;
    if let Some(last) = progress.timeline.last() {
        check_newcomers(&client, &plan, plan.standby_share(&last.weights)).await?;
    }
    tracing::info!(app = %plan.app, execution = plan.execution.arn, "{}", outcome.summary);
    Ok(outcome)
}

/// A restore names the routes that it has left out, also those that are gone since it made its plan.
async fn without_what_is_gone(client: &Client, plan: Plan) -> Result<Plan, Error> {
    let (mut plan, _, gone) = listener::still_there(client, plan).await?;
    plan.gone.extend(gone);
    Ok(plan)
}

/// No run says that a fleet carries all traffic while a rule of the app, made since the run began, says
/// otherwise. What was reached on the run's own routes is recorded by then.
async fn check_newcomers(client: &Client, plan: &Plan, standby: Percent) -> Result<(), Error> {
    let Some(against) = contradict(plan, &newcomers::find(client, plan).await?, standby) else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::ExternalChange,
        format!(
            "{}: the routes of this run are where it was to bring them, and that is recorded, but there is more by \
             now: {against}. Somebody made that while the run went on. Correct or delete it; a `drain` with `standby` \
             brings all routes together.",
            plan.app
        ),
    ))
}

/// The error with what it means; what may pass is tried again, and somebody else's routes are left.
fn unfinished(error: Error, what: &str, way_out: &str) -> Error {
    let kind = match error.kind {
        ErrorKind::ExternalChange => return error,
        ErrorKind::AwsUnavailable => ErrorKind::AwsUnavailable,
        _ => ErrorKind::RolesNotRecorded,
    };
    Error::new(kind, format!("{what}: {}; {way_out}.", error.message))
}
