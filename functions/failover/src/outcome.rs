//! What an execution says when it ends: its output, or the cause of a rollback.

use jiff::Timestamp;
use serde_json::Value;

use crate::contract::{MustShow, Outcome, Plan, StageOutcome, StageRecord, Status, Weights};
use crate::duration::Seconds;
use crate::input::Operation;
use crate::plan::total_bake;
use crate::samples::Figures;

/// The output where nothing is done: a dry run, or weights that are already right.
pub fn untouched(plan: &Plan, dry_run: bool) -> Outcome {
    let restore = plan.operation == Operation::Restore;
    let steps: Vec<String> = plan.stages.iter().map(|s| s.standby_percent.get().to_string()).collect();
    let (status, summary) = if restore && plan.routes.is_empty() {
        (Status::Unchanged, format!("{}: no run was interrupted; {}", plan.app, split(&plan.before)))
    } else if dry_run && restore {
        let before = split(&plan.before);
        (Status::Planned, format!("{}: would restore {before}; nothing was touched", plan.app))
    } else if dry_run && !plan.stages.is_empty() {
        (
            Status::Planned,
            format!(
                "{}: would {} with {} % on {} and at least {} of bakes; nothing was touched",
                plan.app,
                plan.operation.word(),
                steps.join(", "),
                plan.standby.name,
                total_bake(&plan.stages)
            ),
        )
    } else {
        (Status::Unchanged, format!("{}: {}; nothing to do", plan.app, split(&plan.before)))
    };
    let stages = plan.stages.iter().map(|s| StageOutcome::Would {
        weights: plan.weights(s.standby_percent),
        bake: Seconds(s.bake_seconds),
    });
    Outcome {
        status,
        operation: plan.operation,
        app: plan.app.clone(),
        live: plan.live.name.clone(),
        standby: plan.standby.name.clone(),
        standby_target_group: plan.standby.target_group_arn.clone(),
        weights: plan.before.clone(),
        routes: plan.routes.iter().map(|r| r.arn.clone()).collect(),
        stages: stages.collect(),
        summary,
        overridden: plan.overridden.clone(),
        plan: dry_run.then(|| Box::new(plan.clone())),
    }
}

/// The output once the last stage has shown what it must. `figures` are those of its last poll.
/// A restore has neither stages nor polls.
pub fn done(plan: &Plan, timeline: &[StageRecord], figures: Option<&Figures>, now: Timestamp) -> Outcome {
    let (live, standby) =
        if plan.operation.swaps_roles() { (&plan.standby, &plan.live) } else { (&plan.live, &plan.standby) };
    let weights = timeline.last().map_or_else(|| plan.before.clone(), |last| last.weights.clone());
    let took = now.as_second().saturating_sub(plan.execution.started_at.as_second());
    let took = Seconds(u32::try_from(took).unwrap_or(0));
    let count = plan.stages.iter().filter(|s| s.must_show != MustShow::ReadyStandby).count();
    let (status, what) = match plan.operation {
        Operation::Shift => (Status::Shifted, format!("{} now carries all traffic", live.name)),
        Operation::Failback => (Status::FailedBack, format!("{} carries all traffic again", live.name)),
        Operation::Balance => (Status::Balanced, split(&weights)),
        Operation::Restore => (Status::Restored, format!("restored to {}", split(&weights))),
        Operation::Drain => (
            Status::Drained,
            format!("{} is silent and may be deployed to, {} carries all traffic", standby.name, live.name),
        ),
    };
    let stages = if count == 1 { "1 stage".into() } else { format!("{count} stages") };
    // A drain and a restore compare nothing.
    let summary = match (plan.operation, figures) {
        (Operation::Restore, _) => format!("{}: {what} ({took})", plan.app),
        (Operation::Drain, _) | (_, None) => format!("{}: {what} ({stages}, {took})", plan.app),
        (_, Some(figures)) => {
            format!("{}: {what} ({stages}, {took}, {})", plan.app, figures.compared(&plan.live.name))
        }
    };
    Outcome {
        status,
        operation: plan.operation,
        app: plan.app.clone(),
        live: live.name.clone(),
        standby: standby.name.clone(),
        standby_target_group: standby.target_group_arn.clone(),
        weights,
        routes: plan.routes.iter().map(|r| r.arn.clone()).collect(),
        stages: timeline.iter().cloned().map(StageOutcome::Went).collect(),
        summary,
        overridden: plan.overridden.clone(),
        plan: None,
    }
}

/// Why a run is rolled back, in words: the reason of a verdict, or the error output of a state as
/// Step Functions gives it.
pub fn why_in_words(why: &Value) -> String {
    let error = |why: &Value| {
        let name = why.get("Error")?.as_str()?;
        let cause = why.get("Cause").and_then(Value::as_str).unwrap_or_default();
        // A Lambda's error comes as JSON within the text.
        let message = serde_json::from_str::<Value>(cause).ok();
        let message = message.as_ref().and_then(|m| m.get("errorMessage")?.as_str()).unwrap_or(cause);
        Some(format!("{name}: {message}"))
    };
    let why = why.as_str().map(str::to_owned).or_else(|| error(why)).unwrap_or_else(|| why.to_string());
    why.trim_end_matches('.').to_owned()
}

/// Weights in words, such as `prod1 75 %, prod2 25 %`.
pub fn split(weights: &Weights) -> String {
    weights.iter().map(|(fleet, percent)| format!("{fleet} {percent}")).collect::<Vec<_>>().join(", ")
}
