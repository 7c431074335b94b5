//! What an execution says when it ends: its output, or the cause of a rollback.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::duration::Seconds;
use crate::model::samples::{Figures, compared, of_live};
use crate::model::weights::split;
use crate::model::{Apps, Gate, Operation, Plan, PlannedApp, StageRecord, Weights};
use crate::plan::total_bake;
use crate::wire::{Outcome, StageOutcome, Status};

/// The output where nothing is done: a dry run, or weights that are already right.
pub fn untouched(plan: &Plan, dry_run: bool) -> Outcome {
    let restore = plan.operation == Operation::Restore;
    let steps: Vec<String> = plan.stages.iter().map(|s| s.standby_percent.get().to_string()).collect();
    let (status, summary) = if restore && plan.held_apps().next().is_none() {
        (Status::Unchanged, format!("{}: nothing is left to restore; {}", plan.app, plan.before_in_words()))
    } else if dry_run && restore {
        let before = plan.before_in_words();
        (Status::Planned, format!("{}: would restore {before}; nothing was touched", plan.app))
    } else if dry_run && !plan.stages.is_empty() {
        (
            Status::Planned,
            format!(
                "{}: would {} with {} % on {} and at least {} of bakes; nothing was touched",
                plan.app,
                plan.operation.word(),
                steps.join(", "),
                plan.standby,
                total_bake(&plan.stages)
            ),
        )
    } else {
        (Status::Unchanged, format!("{}: {}; nothing to do", plan.app, plan.before_in_words()))
    };
    let stages = plan.stages.iter().map(|s| StageOutcome::Would {
        weights: plan.weights(s.standby_percent),
        bake: Seconds(s.bake_seconds),
    });
    let groups = |app: &PlannedApp| app.standby_group.clone();
    Outcome {
        stages: stages.collect(),
        plan: dry_run.then(|| Box::new(plan.clone())),
        ..outcome(plan, status, [&plan.live, &plan.standby], groups, None, summary)
    }
}

/// What every output says. `weights` are those of all apps; nothing for those found at the start.
fn outcome(
    plan: &Plan,
    status: Status,
    [live, standby]: [&String; 2],
    standby_group: impl Fn(&PlannedApp) -> String,
    weights: Option<&Weights>,
    summary: String,
) -> Outcome {
    // Nothing is said of an app whose routes are not alike: no weights would be those of all.
    let by_app = |app: &PlannedApp| {
        let weights = weights.cloned().or_else(|| plan.before_alike(app))?;
        Some((app.name.clone(), weights))
    };
    let mut weights_by_app: BTreeMap<String, Weights> = plan.apps.iter().filter_map(by_app).collect();
    let common = weights.cloned().or_else(|| plan.before());
    if common.is_some() || plan.apps.len() == 1 {
        weights_by_app.clear();
    }
    let groups = plan.apps.iter().map(|app| (app.name.clone(), standby_group(app)));
    let (one, several) = match plan.app {
        Apps::One(_) => (groups.map(|(_, group)| group).next(), BTreeMap::new()),
        Apps::Several(_) => (None, groups.collect()),
    };
    Outcome {
        status,
        operation: plan.operation,
        app: plan.app.clone(),
        live: live.clone(),
        standby: standby.clone(),
        standby_target_group: one,
        standby_target_groups: several,
        weights: common,
        weights_by_app,
        routes: plan.routes.iter().map(|r| r.arn.clone()).collect(),
        stages: Vec::new(),
        summary,
        overridden: plan.overridden.clone(),
        plan: None,
    }
}

/// The output once the last stage has shown what it must. `figures` are those of its last poll.
/// A restore has neither stages nor polls.
pub fn done(
    plan: &Plan,
    timeline: &[StageRecord],
    figures: Option<&BTreeMap<String, Figures>>,
    now: Timestamp,
) -> Outcome {
    let swaps = plan.operation.swaps_roles();
    let (live, standby) = if swaps { (&plan.standby, &plan.live) } else { (&plan.live, &plan.standby) };
    let weights = timeline.last().map(|last| &last.weights);
    let stands = weights.map_or_else(|| plan.before_in_words(), split);
    let took = now.as_second().saturating_sub(plan.execution.started_at.as_second());
    let took = Seconds(u32::try_from(took).unwrap_or(0));
    let count = plan.stages.iter().filter(|s| s.gate != Gate::TargetsHealthy).count();
    let (status, what) = match plan.operation {
        Operation::Shift => (Status::Shifted, format!("{live} now carries all traffic")),
        Operation::Failback => (Status::FailedBack, format!("{live} carries all traffic again")),
        Operation::Balance => (Status::Balanced, stands),
        Operation::Restore => (Status::Restored, format!("restored to {stands}")),
        Operation::Drain => (
            Status::Drained,
            format!("{standby} is drained and ready for deployment, {live} carries all traffic"),
        ),
    };
    let stages = if count == 1 { "1 stage".into() } else { format!("{count} stages") };
    // A restore compares nothing, and a drain the live fleet with what it was.
    let summary = match (plan.operation, figures) {
        (Operation::Restore, _) if !plan.gone.is_empty() => {
            format!("{}: {what} ({took}). Left out: {}.", plan.app, plan.gone.join("; "))
        }
        (Operation::Restore, _) => format!("{}: {what} ({took})", plan.app),
        (_, None) => format!("{}: {what} ({stages}, {took})", plan.app),
        (Operation::Drain, Some(figures)) => {
            format!("{}: {what} ({stages}, {took}, {})", plan.app, of_live(figures, live))
        }
        (_, Some(figures)) => {
            format!("{}: {what} ({stages}, {took}, {})", plan.app, compared(figures, &plan.live))
        }
    };
    let group = |app: &PlannedApp| plan.standby_group_then(app).clone();
    Outcome {
        stages: timeline.iter().cloned().map(StageOutcome::Went).collect(),
        ..outcome(plan, status, [live, standby], group, weights, summary)
    }
}
