//! What follows from the probes of one round.
//!
//! A standby that fails alone is rolled back. What fails on both fleets, or on the public address
//! though the fleets pass, tells nothing against the standby and does not let the run go on either: it
//! waits for a while, as when both fleets are unhealthy. A live fleet that fails alone holds nobody up:
//! the traffic is on its way to the one that passes.
//!
//! Before the run only the standby is asked, and it must pass whatever becomes of the others: a shift
//! away from a live fleet that fails may be the cure, and one to a standby that fails would stand still
//! at its first stage, with users on it.

use jiff::Timestamp;

use crate::model::error::{Error, ErrorKind};
use crate::model::probe::{PUBLIC, Probing, STANDBY, Target, listed};
use crate::model::weights::Percent;
use crate::model::{Plan, PlannedApp, Progress, text};
use crate::verdict::{Patience, Verdict};
use crate::wire::Probed;

/// A probe that did not get what it must, twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The app.
    pub app: String,
    /// `public`, `standby`, or the name of a fleet.
    pub place: String,
    /// Such as `GET /health`.
    pub probe: String,
    /// What came instead.
    pub found: String,
}

/// Concludes the round of probes before the run, which the places of the standby have answered.
///
/// # Errors
/// `PlanRejected` where one of them fails; `BadRequest` where the plan has no probes.
pub fn before_the_run(plan: &Plan, progress: &Progress, failures: &[Failure]) -> Result<Probed, Error> {
    let Some(probing) = &plan.probing else {
        return Err(Error::new(ErrorKind::BadRequest, "There is nothing to probe in this run."));
    };
    if !failures.is_empty() {
        return Err(Error::rejected(format!(
            "{}: {} fails application probes before any user is moved to it: {}. Nothing was touched. See what it \
             runs and start again once they pass.",
            plan.app,
            plan.standby,
            words(plan, failures)
        )));
    }
    let place = |target: Target<'_>| {
        let Target { app, place, .. } = target;
        if plan.is_lockstep() { format!("{place} of {app}") } else { place.to_owned() }
    };
    let places = listed(probing.of_standby(plan).map(place));
    let reason = format!("application probes pass on {places}; no user was moved yet");
    Ok(Probed { verdict: Verdict::Advance, reason, progress: progress.clone() })
}

/// Concludes a round of probes after a poll.
///
/// # Errors
/// `BadRequest` where the plan has no probes or no stage was set.
pub fn judge(
    plan: &Plan,
    progress: &Progress,
    failures: &[Failure],
    now: Timestamp,
) -> Result<Probed, Error> {
    let (Some(probing), Some(record)) = (&plan.probing, progress.timeline.last()) else {
        return Err(Error::new(ErrorKind::BadRequest, "There is nothing to probe in this run."));
    };
    let poll = record.verdict.unwrap_or(Verdict::RollBack);
    let polled = record.reason.clone().unwrap_or_default();
    let share = plan.standby_share(&record.weights);
    let mut next = progress.clone();
    next.probed = true;
    let of_app = |app: &PlannedApp| blame(plan, app, probing, share, failures);
    // All apps have the same weights, so the worst of them decides.
    let (verdict, reason) = match plan.apps.iter().map(of_app).max().unwrap_or(Blame::Unclear) {
        Blame::Nobody => {
            next.probes_fail_since = None;
            (poll, format!("{polled}; application probes pass on {}", probing.places()))
        }
        Blame::Live => {
            next.probes_fail_since = None;
            (
                poll,
                format!(
                    "{polled}; application probes pass on {}, but {}",
                    plan.standby,
                    words(plan, failures)
                ),
            )
        }
        Blame::Standby => (Verdict::RollBack, format!("application probes: {}", words(plan, failures))),
        Blame::Both => {
            let verdict = patiently(plan, &mut next, now);
            (verdict, format!("both fleets fail application probes: {}", words(plan, failures)))
        }
        Blame::Unclear => {
            let verdict = patiently(plan, &mut next, now);
            (
                verdict,
                format!(
                    "application probes: {}, which is not known to be the standby's",
                    words(plan, failures)
                ),
            )
        }
    };
    if verdict == Verdict::Wait {
        // The poll may have left the stage, which goes on now.
        (next.stage, next.recheck) = (record.stage, record.recheck);
    }
    if let Some(last) = next.timeline.last_mut() {
        last.verdict = Some(verdict);
        last.reason = Some(text::reason(&reason, plan.stages.len()));
        last.ending = last.ending.filter(|_| verdict == Verdict::Advance);
        last.ended_at = (verdict != Verdict::Wait).then(|| last.ended_at.unwrap_or(now));
    }
    Ok(Probed { verdict, reason, progress: next })
}

/// From the best to the worst.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Blame {
    Nobody,
    Live,
    Unclear,
    Both,
    Standby,
}

fn blame(plan: &Plan, app: &PlannedApp, probing: &Probing, share: Percent, failures: &[Failure]) -> Blame {
    let fails =
        |place: &str| failures.iter().any(|failure| failure.app == app.name && failure.place == place);
    let (of_live, of_standby) = ([plan.live.as_str()], [&plan.standby, STANDBY]);
    let probed = |places: &[&str]| {
        let addresses = probing.addresses.get(&app.name);
        addresses.is_some_and(|addresses| places.iter().any(|place| addresses.contains_key(*place)))
    };
    // With all traffic on one fleet, the public address is that fleet's where it has none of its own.
    let sick = |places: &[&str], alone: bool| {
        if probed(places) { places.iter().any(|place| fails(place)) } else { alone && fails(PUBLIC) }
    };
    let live = sick(&of_live, share == Percent::NONE);
    let standby = sick(&of_standby, share == Percent::ALL);
    let explained = !fails(PUBLIC) || (live && share < Percent::ALL);
    match (live, standby) {
        (true, true) => Blame::Both,
        (false, true) => Blame::Standby,
        (true, false) if probed(&of_standby) && explained => Blame::Live,
        (false, false) if explained => Blame::Nobody,
        _ => Blame::Unclear,
    }
}

/// Waiting ends as `onBothUnhealthy` says, so many periods after the first failure.
fn patiently(plan: &Plan, next: &mut Progress, now: Timestamp) -> Verdict {
    let since = *next.probes_fail_since.get_or_insert(now);
    Patience::with_both(&plan.criteria, Some(since), now).verdict(&plan.criteria)
}

/// So much is said of all failures of a round, in bytes: each of up to sixty-four places says what it pleases.
const MOST: usize = 4000;

/// The first failure of each place, and how many more there are.
fn words(plan: &Plan, failures: &[Failure]) -> String {
    let first = |(index, failure): (usize, &Failure)| {
        let same = |earlier: &Failure| earlier.app == failure.app && earlier.place == failure.place;
        let seen = failures[..index].iter().any(same);
        let Failure { app, place, probe, found } = failure;
        let of = if plan.is_lockstep() { format!(" of {app}") } else { String::new() };
        (!seen).then(|| format!("{place}{of} fails {probe}: {found}"))
    };
    let first: Vec<String> = failures.iter().enumerate().filter_map(first).collect();
    let said = text::cut(&first.join("; "), MOST);
    match failures.len() - first.len() {
        0 => said,
        more => format!("{said} (and {more} more)"),
    }
}

#[cfg(test)]
mod tests;
