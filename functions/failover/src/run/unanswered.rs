//! Which fleet left requests unanswered.
//!
//! A balancer counts a request for a fleet once it has chosen one of its targets, and counts the answer by
//! the class of its status. What is missing is a request that the fleet left unanswered, so that the balancer
//! answered it itself with 502 or 504. Those two are counted for the whole balancer alone, so three things
//! keep others' trouble out:
//!
//! - Counts are summed up over a stage before they are compared: a request that is in flight as a period
//!   ends is missing there and comes with the next one.
//! - Both fleets together have left no more unanswered than the balancer answered itself. What is missing
//!   beyond that got another answer: a client that hung up (460), or a `WebSocket` (101), which is in no class
//!   that is published. It is taken for equally frequent on both fleets.
//! - What of the balancer's own answers is left over was for others, or had no target to choose (503).

use std::collections::BTreeSet;

use crate::model::samples::{FleetSamples, OwnErrors, Sample, Samples, whole};

/// Charges every fleet of these apps with what it left unanswered, and leaves those of the balancer's own
/// errors that belong to no fleet of theirs. `starts` are the periods in which weights changed, by the second
/// since the epoch at which they begin, in rising order: each is the first one of a stage. All apps are behind one balancer. For samples as they are measured: a second
/// time it would find nothing left.
pub fn attribute(apps: &mut [Samples], starts: &[i64]) {
    let Some(first) = apps.first() else { return };
    let own = first.balancer_errors.clone();
    let mut taken = vec![0; own.len()];
    for app in apps.iter_mut() {
        for (taken, more) in taken.iter_mut().zip(charge(&mut app.live, &mut app.standby, &own, starts)) {
            *taken += more;
        }
    }
    let left = |(own, taken): (&OwnErrors, &u64)| OwnErrors {
        unanswered: own.unanswered.saturating_sub(*taken),
        ..*own
    };
    let left: Vec<OwnErrors> = own.iter().zip(&taken).map(left).collect();
    for app in apps {
        app.balancer_errors.clone_from(&left);
    }
}

/// The same for the fleets of one app. How many of the balancer's own answers are theirs, in the order of
/// these.
fn charge(
    live: &mut FleetSamples,
    standby: &mut FleetSamples,
    own: &[OwnErrors],
    starts: &[i64],
) -> Vec<u64> {
    let samples = |fleet: &FleetSamples| fleet.samples.iter().map(|sample| sample.at).collect::<Vec<_>>();
    let times: BTreeSet<i64> =
        samples(live).into_iter().chain(samples(standby)).chain(own.iter().map(|own| own.at)).collect();
    let mut taken = vec![0; own.len()];
    let mut starts = starts.iter().copied().peekable();
    let mut stage = Stage::default();
    for at in &times {
        while starts.next_if(|start| start <= at).is_some() {
            stage = Stage::default();
        }
        let errors = own.binary_search_by_key(at, |own| own.at);
        let answered_itself = errors.map_or(0, |index| own[index].unanswered);
        stage.answered_itself = stage.answered_itself.saturating_add(answered_itself);
        for (tally, fleet) in stage.fleets.iter_mut().zip([&*live, &*standby]) {
            if let Some(sample) = sample(fleet, *at) {
                tally.add(sample);
            }
        }
        let unanswered = stage.unanswered();
        if let Ok(index) = errors {
            taken[index] = stage.take(unanswered);
        }
        for ((tally, fleet), unanswered) in
            stage.fleets.iter_mut().zip([&mut *live, &mut *standby]).zip(unanswered)
        {
            let index = fleet.samples.binary_search_by_key(at, |sample| sample.at);
            if let Ok(index) = index {
                fleet.samples[index].unanswered = tally.charge(unanswered);
            }
        }
    }
    taken
}

fn sample(fleet: &FleetSamples, at: i64) -> Option<&Sample> {
    fleet.samples.binary_search_by_key(&at, |sample| sample.at).ok().map(|index| &fleet.samples[index])
}

/// What a stage has come to so far.
#[derive(Default)]
struct Stage {
    fleets: [Tally; 2],
    /// The balancer's own 502 and 504.
    answered_itself: u64,
    /// How many of these were taken for those of the fleets.
    taken: u64,
}

/// What a fleet has come to in a stage.
#[derive(Default)]
struct Tally {
    requests: u64,
    answers: u64,
    /// Connections that were not established: they are failures already.
    connection_errors: u64,
    charged: u64,
}

impl Tally {
    fn add(&mut self, sample: &Sample) {
        self.requests = self.requests.saturating_add(sample.requests);
        self.answers = self.answers.saturating_add(sample.answers);
        self.connection_errors = self.connection_errors.saturating_add(sample.connection_errors);
    }

    /// Requests without an answer so far; below zero where some that were in flight as the stage began came
    /// since.
    fn missing(&self) -> f64 {
        self.requests as f64 - self.answers as f64
    }

    /// What is new of it.
    fn charge(&mut self, unanswered: u64) -> u64 {
        let more = unanswered.saturating_sub(self.connection_errors).saturating_sub(self.charged);
        self.charged += more;
        more
    }
}

impl Stage {
    /// What each fleet has left unanswered so far.
    fn unanswered(&self) -> [u64; 2] {
        let own = self.answered_itself as f64;
        let missing = self.fleets.each_ref().map(Tally::missing);
        let requests = self.fleets.each_ref().map(|fleet| fleet.requests as f64);
        let (all, of) = (missing[0] + missing[1], requests[0] + requests[1]);
        let answered_otherwise = (all - own).max(0.0) / of.max(1.0);
        let beyond = |fleet: usize| (missing[fleet] - answered_otherwise * requests[fleet]).max(0.0);
        let most = own.min(all.max(0.0));
        let both = beyond(0) + beyond(1);
        let share = if both > most { most / both } else { 1.0 };
        [0, 1].map(|fleet| whole(beyond(fleet) * share))
    }

    /// What is new of the balancer's own answers that were for requests of the fleets.
    fn take(&mut self, unanswered: [u64; 2]) -> u64 {
        let more = unanswered[0].saturating_add(unanswered[1]).saturating_sub(self.taken);
        self.taken += more;
        more
    }
}

#[cfg(test)]
mod tests;
