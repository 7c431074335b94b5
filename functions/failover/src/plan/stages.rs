//! What is left to do, stage by stage, and how often it is looked at.

use std::collections::BTreeSet;

use super::{Found, FoundApp, FoundRoute, percent};
use crate::duration::Seconds;
use crate::input::{Input, StageInput};
use crate::model::weights::{Percent, weight_of};
use crate::model::{Approval, Gate, HELD_POLLS, Operation, Stage};
use crate::verdict::Criteria;

/// Shares of the standby where a shift is not told otherwise.
const SHIFT_STAGES: [u8; 5] = [10, 25, 50, 75, 100];
/// Shares of the standby on the way to an even split where a balance is not told otherwise.
const BALANCE_STAGES: [u8; 3] = [10, 25, 50];

/// What the standby gets from stage to stage, from nothing on.
fn rising(input: &Input) -> Vec<StageInput> {
    let default: &[u8] = match input.operation {
        Operation::Shift => &SHIFT_STAGES,
        Operation::Balance => &BALANCE_STAGES,
        Operation::Failback => &[100],
        Operation::Drain | Operation::Restore => &[],
    };
    input.stages.clone().unwrap_or_else(|| {
        let weights = default.iter().filter_map(|percent| Percent::new(*percent));
        weights.map(|weight| StageInput { weight, bake: None }).collect()
    })
}

/// Before the first stage there is nothing to look at: whoever starts the run approves of that one.
pub(super) fn approval(input: &Input) -> Result<Option<Approval>, String> {
    let stages: Vec<Percent> = rising(input).iter().map(|stage| stage.weight).collect();
    let later = stages.get(1..).unwrap_or_default();
    if let Some(percent) = input.approve_before.iter().find(|percent| !later.contains(percent)) {
        let later: Vec<String> = later.iter().map(|stage| stage.get().to_string()).collect();
        let stages =
            if later.is_empty() { "there is none".into() } else { format!("these are {}", later.join(", ")) };
        return Err(format!(
            "`approveBefore`: {} is none of the stages after the first; {stages}",
            percent.get()
        ));
    }
    Ok((!input.approve_before.is_empty()).then(|| Approval {
        before: input.approve_before.clone(),
        within_seconds: input.approval_timeout.0,
        otherwise: input.on_approval_timeout,
    }))
}

/// The stages that are left to do, the same for all apps. Empty where the weights already are what is
/// asked for.
///
/// `unhealthy` is whether a drain leaves a standby that is not well.
pub(super) fn stages(
    input: &Input,
    found: &Found,
    live: usize,
    unhealthy: bool,
) -> Result<Vec<Stage>, String> {
    let stage = |standby_percent, bake: Option<Seconds>, gate| Stage {
        standby_percent,
        // A write that was sent by an attempt which failed may arrive as late as this.
        bake_seconds: bake.unwrap_or(input.bake).0.max(found.propagation_seconds),
        gate,
    };
    if input.operation == Operation::Drain {
        let gate = |share| if share == Percent::NONE { Gate::Drained } else { Gate::HealthyLive };
        let falling = falling(input, found, live, unhealthy);
        return Ok(falling.into_iter().map(|s| stage(s.weight, s.bake, gate(s.weight))).collect());
    }
    let groups = |app: &FoundApp| {
        let (live, standby) = app.roles(live);
        (live.target_group_arn.clone(), standby.target_group_arn.clone())
    };
    // An interrupted run is taken up where its least advanced route stands; a stage below would
    // only take traffic away from a fleet that already had it.
    let reached = |app: &FoundApp| {
        let (live, standby) = groups(app);
        app.routes.iter().map(|r| percent(&r.groups, &live, &standby)).min().unwrap_or(Percent::NONE)
    };
    let is_even = |app: &FoundApp| {
        let (live, standby) = groups(app);
        let even = |r: &FoundRoute| weight_of(&r.groups, &live) == weight_of(&r.groups, &standby);
        input.operation == Operation::Balance && app.routes.iter().all(even)
    };
    let rising = rising(input);
    // Nothing where the app has arrived.
    let begins = |app: &FoundApp| {
        let ahead = || rising.iter().map(|stage| stage.weight).find(|weight| *weight >= reached(app));
        if is_even(app) { None } else { ahead() }
    };
    let Some(first) = found.apps.first() else { return Ok(Vec::new()) };
    let begin = begins(first);
    if let Some(other) = found.apps.iter().find(|app| begins(app) != begin) {
        let stands =
            |app: &FoundApp| format!("{} with {} on {}", app.name, reached(app), app.roles(live).1.name);
        return Err(format!(
            "the apps would not begin at the same stage: {}, {}; bring them together with a `drain` of all of them, \
             or move them one by one",
            stands(first),
            stands(other)
        ));
    }
    let Some(begin) = begin else { return Ok(Vec::new()) };
    let attached = |app: &FoundApp| {
        let standby = groups(app).1;
        app.routes.iter().all(|r| weight_of(&r.groups, &standby).is_some())
    };
    let attach = (!found.apps.iter().all(attached)).then(|| stage(Percent::NONE, None, Gate::TargetsHealthy));
    let rising = rising.into_iter().filter(|s| s.weight >= begin);
    Ok(attach.into_iter().chain(rising.map(|s| stage(s.weight, s.bake, Gate::HealthyStandby))).collect())
}

/// Percentage points that a drain takes from the standby at once, where it is not told otherwise.
const DRAIN_STEP: u8 = 25;

/// What a drain leaves the standby with, down to nothing: the fleet that gets the rest is watched on the
/// way. No app's standby is given more than it has, so the least of all counts. A standby that is not well
/// is left at once.
fn falling(input: &Input, found: &Found, live: usize, unhealthy: bool) -> Vec<StageInput> {
    let shares = found.apps.iter().flat_map(|app| {
        let (live, standby) = app.roles(live);
        app.routes.iter().map(|r| percent(&r.groups, &live.target_group_arn, &standby.target_group_arn))
    });
    let stands = shares.min().unwrap_or(Percent::NONE);
    let nothing = StageInput { weight: Percent::NONE, bake: None };
    if unhealthy {
        return vec![nothing];
    }
    if let Some(stages) = &input.stages {
        let below = stages.iter().copied().filter(|s| s.weight < stands || s.weight == Percent::NONE);
        return below.collect();
    }
    // Those on the way are short: half of the bake each.
    let short = Seconds((input.bake.0 / 2).max(input.period.0));
    let steps = u32::from(stands.get().div_ceil(DRAIN_STEP));
    let on_the_way = (1..steps).rev().filter_map(|left| {
        let weight = u32::from(stands.get()) * left / steps;
        let weight = u8::try_from(weight).ok().and_then(Percent::new)?;
        Some(StageInput { weight, bake: Some(short) })
    });
    on_the_way.chain([nothing]).collect()
}

/// The percentages that the stages, and a recheck between them, put on the standby.
pub(super) fn may_write(criteria: &Criteria, stages: &[Stage]) -> BTreeSet<Percent> {
    let rechecked =
        criteria.max_rechecks > 0 && stages.iter().any(|stage| stage.gate == Gate::HealthyStandby);
    let recheck = rechecked.then(|| Percent::new(criteria.recheck_percent)).flatten();
    stages.iter().map(|stage| stage.standby_percent).chain(recheck).collect()
}

/// An execution's history ends at so many events: after that the execution is over, and its restore
/// puts back the weights that it had found.
const EVENTS_PER_RUN: u32 = 25_000;
/// Of a wait: entered, exited. Of a task: entered, scheduled, started, succeeded, exited. Of a choice:
/// entered, exited.
const EVENTS_PER_CHECK: u32 = 9;
/// Kept for all that is no poll: some 65 of five stages, seven for every hook that is called, which makes
/// 750 of fifty stages with one after each, and three for every attempt that is repeated.
const OTHER_EVENTS: u32 = 1000;
/// Kept for stages that wait beyond their bake, as long as five stages do by default.
const LATER_CHECKS: u32 = 300;
/// Invocations of `check-metrics` during the bakes of a run.
const CHECKS_PER_RUN: u32 = (EVENTS_PER_RUN - OTHER_EVENTS) / EVENTS_PER_CHECK - LATER_CHECKS - HELD_POLLS;
/// How long an invocation may wait between polls of its own, in seconds: waiting there is paid for.
const WAITS_WITHIN_CHECK: u64 = 60;

/// How often a run is polled, in seconds, and how often within one invocation, so that its history
/// holds: as often as wanted if it can be done, once for each invocation wherever that is enough.
pub(super) fn pace(wanted: u32, stages: &[Stage], approval: Option<&Approval>) -> (u32, u32) {
    let waits = |approval: &Approval| u64::from(approval.within_seconds) * approval.before.len() as u64;
    let watched = u64::from(total_bake(stages).0) + approval.map_or(0, waits);
    let mut pace = (u32::MAX, 1);
    for polls_per_check in 1.. {
        let checks = u64::from(CHECKS_PER_RUN) * u64::from(polls_per_check);
        let poll_seconds = u64::from(wanted).max(watched.div_ceil(checks));
        if u64::from(polls_per_check - 1) * poll_seconds > WAITS_WITHIN_CHECK {
            break;
        }
        pace = (u32::try_from(poll_seconds).unwrap_or(u32::MAX), polls_per_check);
        if poll_seconds <= u64::from(wanted) {
            break;
        }
    }
    pace
}

/// A stage that nobody looks at before its bake is over is not watched. A failback, which ends an emergency, is not
/// refused for it.
pub(super) fn check_poll(input: &Input, stages: &[Stage]) -> Result<(), String> {
    let watched = stages.iter().filter(|stage| stage.gate != Gate::TargetsHealthy);
    let Some(shortest) = watched.map(|stage| stage.bake_seconds).min() else { return Ok(()) };
    if input.operation == Operation::Failback || input.poll.0 <= shortest {
        return Ok(());
    }
    let (poll, bake) = (input.poll, Seconds(shortest));
    Err(format!(
        "`poll`: a poll every {poll} comes after a bake of {bake} is over; poll more often, such as every {bake}, or \
         let `bake` be longer"
    ))
}

/// How long all stages are watched together, at least.
pub fn total_bake(stages: &[Stage]) -> Seconds {
    Seconds(stages.iter().map(|stage| stage.bake_seconds).fold(0, u32::saturating_add))
}
