//! Errors in the shapes in which AWS was recorded to word them, in runs of the definition that ships.
//!
//! The local AWS words its own otherwise. It takes told failures of states, as Step Functions Local does: an execution
//! is one of the told cases where its name follows the state machine's after a `#`.

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use rehearsal::{Ended, Execution, Forward, Ground, RouteKind, Site, hook_function};
use serde_json::{Map, json};

use crate::support::{RATE, REFUSED, ROLLED_BACK, check_failure, check_weights, input, path, writes};

/// An error as a state ends with it.
struct Shape {
    name: &'static str,
    error: &'static str,
    cause: &'static str,
    /// How often a function of ours is called where it fails so.
    calls: usize,
    /// What is said of a hook that fails so.
    of_a_hook: &'static str,
    /// What is said of a function of ours.
    of_ours: &'static str,
}

/// Each with who recorded it; only that of the sandbox is documented alone.
const SHAPES: [Shape; 6] = [
    // Two public projects, 2024 and 2025: a function's own time-out, which quotes JSON and is none.
    Shape {
        name: "unknown",
        error: "Lambda.Unknown",
        cause: "The cause is not known. Returned payload: {\"errorMessage\":\"it took longer than 3.00 seconds\"}",
        calls: 5,
        of_a_hook: "failed: Lambda.Unknown: The cause is not known. Returned payload: {\"errorMessage\":",
        of_ours: "since Lambda.Unknown: The cause is not known. Returned payload: {\"errorMessage\":",
    },
    Shape {
        name: "sandbox",
        error: "Sandbox.Timedout",
        cause: r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 1 Error: Task timed out"}"#,
        calls: 5,
        of_a_hook: "failed: Sandbox.Timedout: RequestId: 1 Error: Task timed out",
        of_ours: "since Sandbox.Timedout: RequestId: 1 Error: Task timed out",
    },
    // localstack, error_handling/test_task_service_lambda, test_invoke_timeout.
    Shape {
        name: "state",
        error: "States.Timeout",
        cause: "",
        calls: 5,
        of_a_hook: "did not answer within 60 s",
        of_ours: "since the function did not answer within its time-out (States.Timeout)",
    },
    // A public project: a crash, or too little memory.
    Shape {
        name: "killed",
        error: "Runtime.ExitError",
        cause: r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: signal: killed"}"#,
        calls: 5,
        of_a_hook: "failed: Runtime.ExitError: RequestId: 1 Error: signal: killed",
        of_ours: "since Runtime.ExitError: RequestId: 1 Error: signal: killed",
    },
    // localstack, error_handling/test_task_service_lambda, test_no_such_function.
    Shape {
        name: "refused",
        error: "Lambda.ResourceNotFoundException",
        cause: "Not found: arn:x (Service: AWSLambda; Status Code: 404; Proxy: null)",
        calls: 1,
        of_a_hook: "failed: Lambda.ResourceNotFoundException: Not found: arn:x (Service: AWSLambda;",
        of_ours: "since Lambda.ResourceNotFoundException: Not found: arn:x (Service: AWSLambda;",
    },
    // localstack, error_handling/test_states_errors,
    // test_service_task_lambada_catch_state_all_data_limit_exceeded_on_large_utf8_response.
    Shape {
        name: "large",
        error: "States.DataLimitExceeded",
        cause: "The result is too large.",
        calls: 1,
        of_a_hook: "failed: States.DataLimitExceeded: The result is too large.",
        of_ours: "since States.DataLimitExceeded: The result is too large.",
    },
];

/// The states that are made to fail.
const STATES: [&str; 3] = ["CallBeforeRun", "CallAfterStage", "SetWeights"];

/// The name of an app, and of the case that it is: names of target groups are short.
fn case(state: &str, shape: &Shape) -> String {
    let state = match state {
        "CallBeforeRun" => "run",
        "CallAfterStage" => "stage",
        _ => "own",
    };
    format!("{state}-{}", shape.name)
}

/// Tells the local AWS of all cases.
async fn tell(ground: &Ground) -> Result<()> {
    let (mut cases, mut responses) = (Map::new(), Map::new());
    for shape in &SHAPES {
        let Shape { name, error, cause, .. } = shape;
        responses.insert((*name).into(), json!({ "0-99": { "Throw": { "Error": error, "Cause": cause } } }));
        for state in STATES {
            cases.insert(case(state, shape), json!({ state: name }));
        }
    }
    ground.fail_states(&json!(cases), &json!(responses)).await
}

pub async fn whatever_fails_in_a_recorded_shape_ends_as_promised_and_says_so(ground: &Ground) -> Result<()> {
    tell(ground).await?;
    let site = Site::new(ground, "recorded").await?;
    let of_state = |state: &'static str| SHAPES.iter().map(move |shape| (state, shape));
    let all = STATES.into_iter().flat_map(of_state).enumerate();
    let one = async |(number, (state, shape)): (usize, (&str, &Shape))| {
        // In both directions.
        let before = [[100, 0], [0, 100]][number % 2];
        fails(ground, &site, state, shape, before).await.with_context(|| case(state, shape))
    };
    try_join_all(all.map(one)).await.map(drop)
}

async fn fails(ground: &Ground, site: &Site<'_>, state: &str, shape: &Shape, before: [u16; 2]) -> Result<()> {
    let name = case(state, shape);
    let app = site.app(&name, &[RouteKind::Host], Forward::Weighted(before)).await?;
    // Only after a stage anybody has to be seen.
    let _traffic = (state == "CallAfterStage").then(|| app.traffic(RATE / 4));
    let hooks = match state {
        "CallBeforeRun" => json!({ "beforeRun": hook_function() }),
        "CallAfterStage" => json!({ "afterStage": hook_function() }),
        _ => json!({}),
    };
    let shift = input(&app, "shift", json!({ "stages": [40, 100], "hooks": hooks }));
    let mut execution = ground.execute_on(&format!("{}#{name}", ground.state_machine_arn), &shift).await?;
    while execution.next().await?.is_some() {}
    let calls = calls_of(&execution, state).await?;
    let ended = execution.finish().await?;
    check_weights(&app, before).await?;
    check(&name, state, shape, &ended)?;
    if state != "CallAfterStage" {
        let written = writes(ground, &app.routes);
        ensure!(written.is_empty(), "a run that never got to its first stage has written {written:?}");
    }
    // A hook is called once whatever it fails with: it may have done something.
    let expected = if state == "SetWeights" { shape.calls } else { 1 };
    ensure!(calls == expected, "{calls} calls instead of {expected}");
    Ok(())
}

/// How often a state has called its function.
async fn calls_of(execution: &Execution, state: &str) -> Result<usize> {
    let (mut within, mut calls) = (false, 0);
    for event in execution.history().await? {
        if let Some(entered) = &event.state_entered_event_details {
            within = entered.name == state;
        }
        calls += usize::from(within && event.r#type.as_str() == "TaskScheduled");
    }
    Ok(calls)
}

fn check(name: &str, state: &str, shape: &Shape, ended: &Ended) -> Result<()> {
    let (error, says, expected) = match state {
        "CallBeforeRun" => {
            let says = format!("{name}: nothing was touched, since the hook beforeRun (release-hook) ");
            let expected = [&REFUSED[..1], &["IsReady", state], &REFUSED[1..]].concat();
            ("PlanRejected", says + shape.of_a_hook, expected.into_iter().map(str::to_owned).collect())
        }
        "CallAfterStage" => {
            let says = format!("since the hook afterStage (release-hook) {}", shape.of_a_hook);
            let end = [&[state], &ROLLED_BACK[..]].concat();
            ("RolledBack", says, path(1, &end))
        }
        _ => {
            let end = [&[state], &ROLLED_BACK[..]].concat();
            ("RolledBack", shape.of_ours.to_owned(), path(0, &end))
        }
    };
    let cause = check_failure(ended, error)?;
    ensure!(cause.contains(&says), "{cause:?} does not say {says:?}");
    ensure!(!cause.contains(": .") && !cause.contains("()"), "{cause}");
    ensure!(ended.path == expected, "{:?}", ended.path);
    Ok(())
}
