//! What a person asks of a run that is going on: by the tag `failover:request` of an app's first target group,
//! since whoever may say so there may change the weights as well, and nothing else has to run for it.
//!
//! A request names the percent it is about, so that it is carried out once and never has to be
//! taken back: one for a stage that is over means nothing any more.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::duration::Seconds;
use crate::model::samples::Samples;
use crate::model::weights::Percent;
use crate::model::{Approval, HELD_POLLS, Plan, Progress, Stage, Unanswered, text};
use crate::run::lockstep::Decision;
use crate::run::precedence::Voice;
use crate::run::{lockstep, poll};
use crate::verdict::Verdict;

/// A request, as the tag words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// `rollback`, in any spelling: put back what was found, now.
    RollBack,
    /// `pause`, until it is `resume`: do not leave the stage, while checks and rollback go on.
    Pause,
    /// `promote-25`: the bake of the stage with 25 % on the standby is over now.
    Promote(Percent),
    /// `approve-50`: the stage with 50 % on the standby may begin.
    Approve(Percent),
}

/// What stands in the tag while nobody asks for anything.
pub const NOTHING: &str = "";

impl Request {
    /// Reads the tag; nothing where nobody asks for anything. Whoever writes it may be in a hurry, so that
    /// case, spaces and what stands between words do not matter.
    ///
    /// # Errors
    /// A sentence that says what the tag may hold.
    pub fn parse(tag: &str) -> Result<Option<Self>, String> {
        let (word, percent) = words(tag);
        let request = match (word.as_str(), percent) {
            ("resume" | "none" | NOTHING, None) => return Ok(None),
            ("rollback", None) => Some(Self::RollBack),
            ("pause", None) => Some(Self::Pause),
            ("promote", Some(percent)) => Some(Self::Promote(percent)),
            ("approve", Some(percent)) => Some(Self::Approve(percent)),
            _ => None,
        };
        request.map(Some).ok_or_else(|| {
            format!(
                "the tag failover:request says `{}`, which is none of `rollback`, `pause`, `resume`, `promote-25` and \
                 `approve-50`",
                text::cut(tag, 256)
            )
        })
    }
}

/// What joins the words of a tag.
const JOINTS: [char; 6] = [' ', '-', '_', ':', '=', '.'];

/// The letters of a tag in small letters, and the percent behind them, if all that stands there is one.
/// Anything else stays a part of the word, which is then none that is known.
fn words(tag: &str) -> (String, Option<Percent>) {
    let tag = tag.trim().to_lowercase();
    let whole = tag.trim_end_matches("percent").trim_end_matches('%').trim_end();
    let word = whole.trim_end_matches(|c: char| c.is_ascii_digit());
    let percent = whole[word.len()..].parse().ok().and_then(Percent::new);
    // The point of `0.5` joins no words.
    let percent = percent.filter(|_| !word.ends_with('.'));
    let word = if percent.is_some() { word } else { &tag };
    (word.split(JOINTS).collect(), percent)
}

/// What the tags of all routes ask for: the most careful first, with a sentence about each that is
/// not understood, which holds the run at its stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    asked: BTreeSet<Request>,
    /// Each once: sixty-four routes may bear a tag each.
    unclear: BTreeSet<String>,
}

impl<'a> FromIterator<&'a str> for Requests {
    fn from_iter<Tags: IntoIterator<Item = &'a str>>(tags: Tags) -> Self {
        let mut requests = Self::default();
        for tag in tags {
            match Request::parse(tag) {
                Ok(request) => requests.asked.extend(request),
                Err(what) => {
                    requests.unclear.insert(what);
                }
            }
        }
        requests
    }
}

/// Why a run does not leave a stage that has shown what it must.
enum Kept<'a> {
    Paused(&'static str),
    Unapproved(Percent, &'a Approval),
}

/// What a poll concludes, requests and approvals included.
#[derive(Clone, Debug, PartialEq)]
pub struct PollAnswer {
    /// The decision.
    pub decision: Decision,
    /// Set while the run waits for an approval: since when.
    pub waits_since: Option<Timestamp>,
    /// Whether the poll held the run back because a person asked for it.
    pub held: bool,
}

/// Concludes a poll of the last stage of the run's timeline, from the samples of every app of the plan in
/// their order. Nothing that is asked for keeps a run
/// from its rollback, or lets it go on without having shown what it must.
pub fn decide(
    plan: &Plan,
    progress: &Progress,
    samples: &[Samples],
    requests: &Requests,
    now: Timestamp,
) -> PollAnswer {
    let mut decision = {
        let plan = promoted(plan, progress, requests, now);
        let of_app = |(app, samples)| poll::decide(&plan, app, progress, samples);
        lockstep::together(&plan.apps, plan.apps.iter().zip(samples).map(of_app).collect())
    };
    let answer = |mut decision: Decision, waits_since, held| {
        if let Some(what) = text::first_of(requests.unclear.iter().map(String::as_str)) {
            decision.reason = format!("{}; {what}", decision.reason);
        }
        PollAnswer { decision, waits_since, held }
    };
    let ends = matches!(decision.verdict, Verdict::RollBack | Verdict::Halt);
    if ends && decision.voice < Voice::Request {
        return answer(decision, None, false);
    }
    if requests.asked.contains(&Request::RollBack) {
        (decision.verdict, decision.voice) = (Verdict::RollBack, Voice::Request);
        decision.reason = format!("somebody asked for it (failover:request); at last: {}", decision.reason);
        return answer(decision, None, false);
    }
    if ends {
        return answer(decision, None, false);
    }
    // A recheck always comes to its end: at 10 % it is no place to stay.
    if decision.verdict != Verdict::Advance || progress.recheck {
        return answer(decision, None, false);
    }
    match kept(plan, progress, requests) {
        None => answer(decision, None, false),
        Some(Kept::Paused(_)) if progress.held_polls >= HELD_POLLS => {
            decision.verdict = Verdict::RollBack;
            decision.reason = format!("held for {HELD_POLLS} polls, which is as long as a run can be");
            answer(decision, None, false)
        }
        Some(Kept::Paused(why)) => {
            decision.verdict = Verdict::Wait;
            decision.reason = format!("{}; held here, {why}", decision.reason);
            answer(decision, progress.waits_since, true)
        }
        Some(Kept::Unapproved(percent, approval)) => {
            let since = progress.waits_since.unwrap_or(now);
            unanswered(approval, &mut decision, percent, since, now);
            answer(decision, Some(since), false)
        }
    }
}

/// The plan; if somebody asked for that, with the bake of the current stage cut to what was watched
/// already. A run that waits for an approval has its bake behind it, whatever is asked of it next: the
/// approval takes the place of what cut the bake short. One whole period is the least: no data is never a pass.
fn promoted<'a>(plan: &'a Plan, progress: &Progress, requests: &Requests, now: Timestamp) -> Cow<'a, Plan> {
    let current = progress.timeline.last().and_then(|record| Some((record, plan.stages.get(record.stage)?)));
    let over = |stage: &Stage| {
        progress.waits_since.is_some() || requests.asked.contains(&Request::Promote(stage.standby_percent))
    };
    let asked = |stage: &Stage| over(stage) && stage.is_compared();
    let Some((record, _)) = current.filter(|(_, stage)| asked(stage)) else { return Cow::Borrowed(plan) };
    let watched = now.as_second().saturating_sub(record.started_at.as_second());
    let period = plan.period_seconds;
    // The first period is mixed, the last one not known yet.
    let periods = u32::try_from(watched).unwrap_or(0) / period.max(1);
    let mut plan = plan.clone();
    let stage = &mut plan.stages[record.stage];
    stage.bake_seconds = stage.bake_seconds.min(periods.saturating_sub(2).max(1) * period);
    Cow::Owned(plan)
}

/// Whether something keeps the run from the next stage.
fn kept<'a>(plan: &'a Plan, progress: &Progress, requests: &Requests) -> Option<Kept<'a>> {
    if requests.asked.contains(&Request::Pause) {
        return Some(Kept::Paused("as somebody asked (failover:request)"));
    }
    // It may have been meant to stop the run.
    if !requests.unclear.is_empty() {
        return Some(Kept::Paused("since what somebody asked cannot be read"));
    }
    let next = plan.stages.get(progress.stage + 1)?.standby_percent;
    let approval = plan.approval.as_ref().filter(|approval| approval.before.contains(&next))?;
    (!requests.asked.contains(&Request::Approve(next))).then_some(Kept::Unapproved(next, approval))
}

/// The decision on a run that waits for an approval.
fn unanswered(
    approval: &Approval,
    decision: &mut Decision,
    percent: Percent,
    since: Timestamp,
    now: Timestamp,
) {
    let waited = u32::try_from(now.as_second().saturating_sub(since.as_second())).unwrap_or(0);
    let within = Seconds(approval.within_seconds);
    if waited < approval.within_seconds {
        decision.verdict = Verdict::Wait;
        decision.reason = format!(
            "{}; waits for an approval of {percent}, for {} more",
            decision.reason,
            Seconds(approval.within_seconds - waited)
        );
        return;
    }
    decision.verdict = match approval.otherwise {
        Unanswered::RollBack => Verdict::RollBack,
        Unanswered::Halt => Verdict::Halt,
    };
    decision.reason = format!("nobody approved {percent} within {within}");
}

#[cfg(test)]
mod tests;
