//! Checks the input, finds the fleets and their routes, and returns the plan. Writes nothing.

use aws_sdk_elasticloadbalancingv2::Client;
use failover::aws::{self, discover};
use failover::contract::{PlanRequest, Planned, Progress};
use failover::error::{Error, Kind};
use failover::input::Input;
use failover::{outcome, plan};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let configured = |name| std::env::var(name).unwrap_or_default();
    let naming = Naming { pattern: configured("TARGET_GROUP_PATTERN"), fleets: configured("FLEETS") };
    aws::serve(|config| Client::new(config), |client, request| plan_shift(client, naming.clone(), request))
        .await
}

/// How the deployment names its target groups.
#[derive(Clone)]
struct Naming {
    pattern: String,
    fleets: String,
}

async fn plan_shift(client: Client, naming: Naming, request: PlanRequest) -> Result<Planned, Error> {
    let input = Input::parse(&request.input)?;
    let fleets = match &input.fleets {
        Some(fleets) => fleets.clone(),
        None => discover::by_pattern(&input.app, &naming.pattern, &naming.fleets)?,
    };
    let found = discover::find(&client, &input.app, &fleets).await.map_err(|error| match error.kind {
        Kind::PlanRejected => error,
        _ => Error { message: format!("{}. Nothing was touched.", error.message), ..error },
    })?;
    let plan = plan::plan(&input, &request.execution, &found)?;
    let outcome = outcome::untouched(&plan, input.dry_run);
    tracing::info!(app = plan.app, execution = plan.execution.arn, "{}", outcome.summary);
    let proceed = !input.dry_run && !plan.stages.is_empty();
    Ok(Planned { proceed, plan, progress: Progress::default(), outcome })
}
