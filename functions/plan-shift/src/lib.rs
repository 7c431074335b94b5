//! Checks the input, finds the fleets and their routes, and returns the plan. Writes nothing.

#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use aws_sdk_cloudwatch::Client as CloudWatch;
use aws_sdk_elasticloadbalancingv2::Client as Balancer;
use aws_sdk_sfn::Client as StepFunctions;
use failover::aws::discover::{Asking, Wanted};
use failover::aws::{SdkConfig, alarms, claims, discover, loads, metrics};
use failover::input::Input;
use failover::model::error::{Error, ErrorKind};
use failover::model::{Operation, Progress};
use failover::plan::calendar::{Calendar, Permit};
use failover::plan::{Found, Past, hooks, probes};
use failover::report::outcome;
use failover::wire::{PlanRequest, Planned};
use failover::{aws, input, plan};
use futures_util::future::try_join;
use jiff::Timestamp;
use serde_json::Value;

/// Longer than a write takes from the check before it until it shows, where the deployment does not
/// say otherwise.
const PROPAGATION_SECONDS: u32 = 15;

/// How a restore that was itself restored is followed back to an app: nobody stops so many.
const RESTORES_IN_A_ROW: usize = 20;

/// How long the plan waits for the loads of fifteen days: it is better to go on without.
const READING_LOADS: Duration = Duration::from_secs(20);

/// How the deployment is set up.
#[derive(Clone)]
pub struct Deployment {
    /// How it names its target groups.
    pattern: String,
    fleets: String,
    /// When runs may start, or what is wrong with its parameters.
    calendar: Result<Calendar, String>,
    propagation_seconds: u32,
}

impl Deployment {
    /// As these settings of the function say, read by name.
    pub fn configured(setting: impl Fn(&str) -> String) -> Self {
        Self {
            pattern: setting("TARGET_GROUP_PATTERN"),
            fleets: setting("FLEETS"),
            calendar: Calendar::parse(&setting("WINDOWS"), &setting("WINDOW_TIME_ZONE"), &setting("FREEZES")),
            propagation_seconds: setting("PROPAGATION_SECONDS").parse().unwrap_or(PROPAGATION_SECONDS),
        }
    }
}

/// What a process calls AWS with.
pub type Clients = (Balancer, CloudWatch, StepFunctions);

/// The clients of a process.
pub fn clients(config: &SdkConfig) -> Clients {
    (Balancer::new(config), CloudWatch::new(config), StepFunctions::new(config))
}

/// Answers one request.
pub async fn handle(
    clients: Clients,
    deployment: Deployment,
    request: PlanRequest,
) -> Result<Planned, Error> {
    let restores = request.input["operation"] == "restore";
    let planned = plan_for(clients, deployment, request).await;
    planned.map_err(|error| if restores { error.of_restore() } else { error })
}

async fn plan_for(clients: Clients, deployment: Deployment, request: PlanRequest) -> Result<Planned, Error> {
    let untouched = |error: Error| match error.kind {
        ErrorKind::PlanRejected => error,
        _ => Error { message: format!("{}. Nothing was touched.", error.message), ..error },
    };
    let (input, chain) = whole(&clients.2, request.input).await.map_err(untouched)?;
    let input = Input::parse(&input)?;
    let permit = permit(&deployment.calendar, &input, request.execution.started_at)?;
    let asking = Asking {
        input: &input,
        execution: &request.execution.arn,
        chain: &chain,
        propagation_seconds: deployment.propagation_seconds,
        now: aws::now(),
    };
    let found = Found { permit, ..find(clients, &deployment, asking).await.map_err(untouched)? };
    let plan = plan::plan(&input, &request.execution, &found)?;
    let plan = probes::planned(plan, &input, &request.probing)?;
    let plan = hooks::planned(plan, &input, &request.hooking)?;
    let outcome = outcome::untouched(&plan, input.dry_run);
    tracing::info!(app = %plan.app, execution = plan.execution.arn, "{}", outcome.summary);
    let something = if input.operation == Operation::Restore {
        plan.held_apps().next().is_some()
    } else {
        !plan.stages.is_empty()
    };
    let proceed = !input.dry_run && something;
    let probe_standby = probes::before_the_run(&plan);
    let call_hook = plan.hooks.before_run.is_some();
    // That of a dry run is in its outcome; twice it might be more than a state can hand on.
    let plan = (!input.dry_run).then_some(plan);
    Ok(Planned { proceed, probe_standby, call_hook, plan, progress: Progress::default(), outcome })
}

/// What the calendar says; a dry run may look at any time.
fn permit(calendar: &Result<Calendar, String>, input: &Input, now: Timestamp) -> Result<Permit, Error> {
    let permit = match calendar {
        Ok(calendar) => calendar.permit(input, now),
        Err(what) => {
            Err(Error::rejected(format!("The deployment's {what}. Correct it; nothing was touched.")))
        }
    };
    match permit {
        Err(closed) if input.dry_run => Ok(Permit {
            overridden: Some(format!("only as a dry run: {}", closed.message)),
            ..Permit::default()
        }),
        permit => permit,
    }
}

/// The input, with the app and the fleets that a restore names by an execution only, and the
/// executions that it is a restore of: that one may have been such a restore itself.
async fn whole(client: &StepFunctions, given: Value) -> Result<(Value, Vec<String>), Error> {
    let mut chain = Vec::new();
    let mut input = given.clone();
    while let Some(earlier) = input::restores(&input).filter(|_| chain.len() < RESTORES_IN_A_ROW) {
        let earlier = earlier.to_owned();
        input = claims::input_of(client, &earlier).await?;
        chain.push(earlier);
    }
    let whole = match chain.first() {
        Some(execution) => input::restore_of(execution, &input),
        None => given,
    };
    Ok((whole, chain))
}

/// Adds what both fleets have carried. It is told and hardly ever refuses, so that a run does without where
/// it cannot be read.
async fn add_loads(client: &CloudWatch, load_balancer_arn: &str, found: &mut Found, asking: &Asking<'_>) {
    let period = asking.input.period.0;
    let read = loads::loads(client, load_balancer_arn, &found.apps, period, asking.now);
    let (loads, seconds) = match tokio::time::timeout(READING_LOADS, read).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return tracing::warn!(execution = asking.execution, "no loads: {}", error.message),
        Err(_) => return tracing::warn!(execution = asking.execution, "no loads: CloudWatch is too slow"),
    };
    for (app, loads) in found.apps.iter_mut().zip(loads) {
        for (past, loads) in app.past.iter_mut().zip(loads) {
            (past.loads, past.load_seconds) = (loads, seconds);
        }
    }
}

async fn find(
    (balancer, cloudwatch, step_functions): Clients,
    deployment: &Deployment,
    asking: Asking<'_>,
) -> Result<Found, Error> {
    let input = asking.input;
    let fleets = |app: &String| match input.fleets_of(app).map_err(Error::rejected)? {
        Some(fleets) => Ok((app.clone(), fleets)),
        None => Ok((app.clone(), discover::by_pattern(app, &deployment.pattern, &deployment.fleets)?)),
    };
    let wanted: Vec<Wanted> = input.app.names().iter().map(fleets).collect::<Result<_, Error>>()?;
    let mut found = discover::find(&balancer, &step_functions, asking, &wanted).await?;
    // Where weights go back at once, nobody asks for headroom.
    let asks = !matches!(input.operation, Operation::Failback | Operation::Restore);
    if let Some(load_balancer_arn) = found.load_balancer_arn().filter(|_| asks).map(str::to_owned) {
        add_loads(&cloudwatch, &load_balancer_arn, &mut found, &asking).await;
    }
    // A restore compares nothing, and without one balancer the plan will be refused anyway.
    let compares = input.operation != Operation::Restore;
    let Some(load_balancer_arn) = found.load_balancer_arn().filter(|_| compares) else {
        return Ok(found);
    };
    let (past, alarms) = try_join(
        metrics::past(&cloudwatch, load_balancer_arn, &found.apps, input, asking.now),
        alarms::in_alarm(&cloudwatch, &input.criteria.alarms),
    )
    .await?;
    for (app, past) in found.apps.iter_mut().zip(past) {
        for (fleet, past) in app.past.iter_mut().zip(past) {
            let loads = std::mem::take(&mut fleet.loads);
            *fleet = Past { loads, load_seconds: fleet.load_seconds, ..past };
        }
    }
    found.alarms = alarms;
    Ok(found)
}
