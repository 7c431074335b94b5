//! How a run moves on: pure steps from one progress to the next.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::error::{Error, ErrorKind};
use crate::model::samples::Health;
use crate::model::weights::{GroupWeight, Percent};
use crate::model::{Operation, Plan, Progress, Route, Stage, StageRecord, text};
use crate::run::request::PollAnswer;
use crate::verdict::Verdict;
use crate::wire::Check;

/// The stage that the run is at.
///
/// # Errors
/// `BadRequest` when the progress points beyond the plan.
pub fn stage<'a>(plan: &'a Plan, progress: &Progress) -> Result<&'a Stage, Error> {
    plan.stages.get(progress.stage).ok_or_else(|| {
        let (at, of) = (progress.stage, plan.stages.len());
        Error::new(ErrorKind::BadRequest, format!("The run is at stage {at} of a plan with {of} stages."))
    })
}

/// What the standby gets at this point of the run: the stage's percent, or the recheck's.
///
/// # Errors
/// As [`stage`].
pub fn standby_percent(plan: &Plan, progress: &Progress) -> Result<Percent, Error> {
    let stage = stage(plan, progress)?;
    Ok(if progress.recheck { plan.recheck_percent() } else { stage.standby_percent })
}

/// The progress once the weights of its stage, or of its recheck, stand.
///
/// # Errors
/// As [`stage`].
pub fn set(plan: &Plan, progress: &Progress, now: Timestamp) -> Result<Progress, Error> {
    let stage = stage(plan, progress)?;
    let mut next = progress.clone();
    next.timeline.push(StageRecord {
        stage: progress.stage,
        recheck: progress.recheck,
        weights: plan.weights(standby_percent(plan, progress)?),
        started_at: now,
        ended_at: None,
        verdict: None,
        reason: None,
        ending: None,
        endings: BTreeMap::new(),
    });
    next.probed = false;
    next.wait_seconds = wait_seconds(plan, stage, now, now);
    Ok(next)
}

/// Whether the run has given no traffic to the standby yet.
pub fn is_first_on_standby(plan: &Plan, progress: &Progress) -> bool {
    progress.timeline.iter().all(|record| plan.standby_share(&record.weights) == Percent::NONE)
}

/// The periods in which the run changed weights, by the second since the epoch at which they begin.
pub fn starts(plan: &Plan, progress: &Progress) -> Vec<i64> {
    let period = i64::from(plan.period_seconds.max(1));
    progress.timeline.iter().map(|record| record.started_at.as_second().div_euclid(period) * period).collect()
}

/// What a route may hold when the weights of the current stage are about to be set: what the run
/// last wrote (at first, what it found), or this stage's own weights, where an earlier attempt at
/// it got that far.
pub fn may_hold_before_set(plan: &Plan, progress: &Progress, route: &Route) -> Vec<Vec<GroupWeight>> {
    let earlier = match progress.timeline.last() {
        Some(record) => plan.stage_groups(route, plan.standby_share(&record.weights)),
        None => plan.found_groups(route),
    };
    let own = standby_percent(plan, progress).map(|percent| plan.stage_groups(route, percent)).ok();
    [earlier].into_iter().chain(own).collect()
}

/// Refuses weights that give traffic to a fleet without healthy targets, and to a standby with too few. `targets` are those of both
/// fleets, live and standby, of every app of the plan in their order.
///
/// # Errors
/// `Unhealthy`, with the fleet.
pub fn check_health(plan: &Plan, standby_percent: Percent, targets: &[[Health; 2]]) -> Result<(), Error> {
    for (app, [live, standby]) in plan.apps.iter().zip(targets) {
        let fleets = [(&plan.live, standby_percent.rest(), live), (&plan.standby, standby_percent, standby)];
        for (fleet, percent, health) in fleets {
            // Where something is wrong with the live fleet, few targets are better than it.
            let few = fleet == &plan.standby
                && plan.operation != Operation::Failback
                && !plan.criteria.can_receive(health.healthy, health.registered);
            if percent > Percent::NONE && (few || health.healthy == 0) {
                let (registered, whose) = (health.registered, plan.named(app));
                return Err(Error::new(
                    ErrorKind::Unhealthy,
                    format!(
                        "{whose}{fleet} has {} of {registered} targets healthy, so it was not given {percent}",
                        health.healthy
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// So much is said of a poll, in bytes. What stands in the timeline is cut to what all stages may have together.
const REASON: usize = 8 * 1024;

/// The answer to a poll, with the progress that follows from its decision.
///
/// # Errors
/// As [`stage`].
pub fn polled(plan: &Plan, progress: &Progress, answer: PollAnswer, now: Timestamp) -> Result<Check, Error> {
    let PollAnswer { decision, waits_since, held } = answer;
    let stage = stage(plan, progress)?;
    let mut next = progress.clone();
    // What a poll concludes replaces what the one before did.
    next.waits_since = waits_since;
    next.both_dead_since = decision.both_dead.then_some(progress.both_dead_since.unwrap_or(now));
    next.unmet_since = decision.unmet.then_some(progress.unmet_since.unwrap_or(now));
    next.held_polls += u32::from(held);
    if let Some(record) = next.timeline.last_mut() {
        record.verdict = Some(decision.verdict);
        record.reason = Some(text::reason(&decision.reason, plan.stages.len()));
        record.ending = decision.ending;
        record.endings = decision.endings;
        record.ended_at = (decision.verdict != Verdict::Wait).then_some(now);
        next.wait_seconds = wait_seconds(plan, stage, record.started_at, now);
    }
    let mut fully_shifted = false;
    match decision.verdict {
        Verdict::Recheck => next.recheck = true,
        // A recheck interrupts a stage; that stage goes on once it has cleared the standby.
        Verdict::Advance if progress.recheck => next.recheck = false,
        Verdict::Advance if progress.stage + 1 < plan.stages.len() => next.stage += 1,
        Verdict::Advance => fully_shifted = true,
        Verdict::Wait | Verdict::RollBack | Verdict::Halt => {}
    }
    // Soon after the weights stand, before the stage is left, and at every poll while they fail.
    let probe_app = plan.probing.is_some()
        && match decision.verdict {
            Verdict::Advance => true,
            Verdict::Wait => !progress.probed || progress.probes_fail_since.is_some(),
            Verdict::Recheck | Verdict::RollBack | Verdict::Halt => false,
        };
    // A recheck that has cleared the standby only takes up the stage again.
    let call_hook =
        plan.hooks.after_stage.is_some() && decision.verdict == Verdict::Advance && !progress.recheck;
    Ok(Check {
        verdict: decision.verdict,
        reason: text::cut(&decision.reason, REASON),
        fully_shifted,
        ask: waits_since.is_some() && progress.waits_since.is_none(),
        probe_app,
        call_hook,
        ending: decision.ending,
        figures: decision.figures,
        progress: next,
    })
}

/// A poll away, but not past the end of the bake; at least a second, so that the loop never spins.
fn wait_seconds(plan: &Plan, stage: &Stage, started: Timestamp, now: Timestamp) -> u32 {
    let watched = u32::try_from(now.as_second().saturating_sub(started.as_second())).unwrap_or(0);
    let left = stage.bake_seconds.saturating_sub(watched);
    if left == 0 { plan.poll_seconds.max(1) } else { plan.poll_seconds.min(left).max(1) }
}
