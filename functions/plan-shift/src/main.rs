//! Checks the input, finds the fleets and their routes, and returns the plan. Writes nothing.

use aws_sdk_cloudwatch::Client as CloudWatch;
use aws_sdk_elasticloadbalancingv2::Client as Balancer;
use failover::aws::{self, alarms, discover, metrics};
use failover::contract::{PlanRequest, Planned, Progress};
use failover::error::{Error, Kind};
use failover::input::{Input, Operation};
use failover::plan::Found;
use failover::{outcome, plan};
use futures_util::future::try_join;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let configured = |name| std::env::var(name).unwrap_or_default();
    let naming = Naming { pattern: configured("TARGET_GROUP_PATTERN"), fleets: configured("FLEETS") };
    let clients = |config: &_| (Balancer::new(config), CloudWatch::new(config));
    aws::serve(clients, |clients, request| plan_shift(clients, naming.clone(), request)).await
}

/// How the deployment names its target groups.
#[derive(Clone)]
struct Naming {
    pattern: String,
    fleets: String,
}

async fn plan_shift(
    clients: (Balancer, CloudWatch),
    naming: Naming,
    request: PlanRequest,
) -> Result<Planned, Error> {
    let input = Input::parse(&request.input)?;
    let found = find(clients, &naming, &input).await.map_err(|error| match error.kind {
        Kind::PlanRejected => error,
        _ => Error { message: format!("{}. Nothing was touched.", error.message), ..error },
    })?;
    let plan = plan::plan(&input, &request.execution, &found)?;
    let outcome = outcome::untouched(&plan, input.dry_run);
    tracing::info!(app = plan.app, execution = plan.execution.arn, "{}", outcome.summary);
    let proceed = !input.dry_run && !plan.stages.is_empty();
    Ok(Planned { proceed, plan, progress: Progress::default(), outcome })
}

async fn find(
    (balancer, cloudwatch): (Balancer, CloudWatch),
    naming: &Naming,
    input: &Input,
) -> Result<Found, Error> {
    let fleets = match &input.fleets {
        Some(fleets) => fleets.clone(),
        None => discover::by_pattern(&input.app, &naming.pattern, &naming.fleets)?,
    };
    let mut found = discover::find(&balancer, &input.app, &fleets).await?;
    // A drain compares nothing, and without one balancer the plan will be refused anyway.
    let Some(load_balancer_arn) =
        found.load_balancer_arn().ok().filter(|_| input.operation != Operation::Drain)
    else {
        return Ok(found);
    };
    let groups = found.fleets.each_ref().map(|fleet| fleet.target_group_arn.as_str());
    let (past, alarms) = try_join(
        metrics::past(&cloudwatch, load_balancer_arn, groups, input, aws::now()),
        alarms::in_alarm(&cloudwatch, &input.criteria.alarms),
    )
    .await?;
    (found.past, found.alarms) = (past, alarms);
    Ok(found)
}
