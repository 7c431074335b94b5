//! Whether a fleet can carry what it is about to get, by what it has carried before.
//!
//! The most that a fleet has carried well is a lower bound of what it can carry: nobody may have tried more.
//! So it is told, and refused is only what is beyond a load at which the fleet was seen to fail, unless the
//! input asks for more. Loads are compared by target, since targets come and go.

use super::{Found, FoundApp, FoundFleet, Refusal};
use crate::input::Input;
use crate::model::weights::Percent;
use crate::model::{Execution, Headroom, Operation, Refuse, Stage};

/// A day in seconds.
const DAY: i64 = 24 * 3600;

/// How many days back the hours of the run are looked at: yesterday's, and those of the same day of the week.
const DAYS_BACK: [i64; 3] = [1, 7, 14];

/// For so long before the run its load is taken for what may be due as well, in seconds.
const LATELY: i64 = 3600;

/// Percentage points of failures beyond its usual share up to which a fleet is called well, and from which on
/// it was seen to fail.
const WELL: f64 = 0.01;
const FAILED: f64 = 0.05;

/// So soon before and after it must have been well, in seconds.
const SHORTLY: i64 = 3600;

/// A share of failures rests on so many requests at least.
const ENOUGH_REQUESTS: f64 = 20.0;

/// Periods in which a fleet must have failed at a load: one alone may have had other reasons.
const ENOUGH_PERIODS: usize = 2;

/// What a fleet carried in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// When the period begins, in seconds since the epoch.
    pub at: i64,
    /// Requests.
    pub requests: f64,
    /// Failed ones.
    pub failures: f64,
    /// Targets that were healthy; zero where that is not known.
    pub healthy: f64,
}

/// What a run will ask of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    /// The most that it gets of all requests.
    share: Percent,
    /// When the run begins and when it is over at the earliest, in seconds since the epoch.
    begins: i64,
    /// See `begins`.
    ends: i64,
    /// How long the periods of the loads are, in seconds.
    period_seconds: u32,
}

/// What is known of every app, in their order; the refusal where one is to receive what it cannot carry and
/// may be refused for it.
pub(super) fn headrooms(
    run: (&Input, &[Stage], &Execution),
    found: &Found,
    live: usize,
    may_refuse: bool,
) -> Result<Vec<Option<Headroom>>, Refusal> {
    let of_app = |app: &FoundApp| {
        let known = carries(run, app, live);
        let refusal =
            known.as_ref().filter(|_| may_refuse).and_then(|known| known.refusal(run.0.refuse_load));
        refusal.map_or(Ok(known), Err).map_err(Refusal::of(app))
    };
    found.apps.iter().map(of_app).collect()
}

/// Whether the fleet that gets more can carry it, as far as is known. An emergency does not ask.
fn carries(
    (input, stages, execution): (&Input, &[Stage], &Execution),
    app: &FoundApp,
    live: usize,
) -> Option<Headroom> {
    let most = stages.iter().map(|stage| stage.standby_percent).max()?;
    let (receiver, share) = match input.operation {
        Operation::Shift | Operation::Balance => (1 - live, most),
        // Where the standby has nothing, a drain moves nobody.
        Operation::Drain if app.first_share(live) > Percent::NONE => (live, Percent::ALL),
        Operation::Drain | Operation::Failback | Operation::Restore => return None,
    };
    let begins = execution.started_at.as_second();
    let seconds: i64 = stages.iter().map(|stage| stage.likely_seconds(input.period.0)).sum();
    let (own, other) = (&app.past[receiver], &app.past[1 - receiver]);
    let asked = Asked { share, begins, ends: begins + seconds, period_seconds: own.load_seconds };
    headroom((&app.fleets[receiver], &own.loads), (&app.fleets[1 - receiver], &other.loads), asked)
}

/// What is known of a fleet that is to receive traffic, from its loads and those of the other one. Nothing
/// where no load is known that could be due.
fn headroom(
    receiver: (&FoundFleet, &[Load]),
    other: (&FoundFleet, &[Load]),
    asked: Asked,
) -> Option<Headroom> {
    let (fleet, loads) = receiver;
    let per_minute = 60.0 / f64::from(asked.period_seconds.max(1));
    let due = due(loads, other.1, asked)? * per_minute * f64::from(asked.share.get()) / 100.0;
    let healthy = f64::from(fleet.health.healthy);
    let now = |by_target: f64| crate::model::samples::whole(by_target * per_minute * healthy);
    let carried = Carried::of(loads);
    let (own, others) = (fleet.health.registered, other.0.health.registered);
    Some(Headroom {
        fleet: fleet.name.clone(),
        due: crate::model::samples::whole(due),
        until: asked.ends,
        well: carried.well.map(now),
        failed: carried.failed.map(now),
        healthy: fleet.health.healthy,
        registered: own,
        other_registered: (own != others).then_some(others),
    })
}

/// The most requests of both fleets in a period in which they may be due again.
fn due(receiver: &[Load], other: &[Load], asked: Asked) -> Option<f64> {
    let length = (asked.ends - asked.begins).clamp(0, DAY);
    let earlier = DAYS_BACK.map(|days| asked.begins - days * DAY).map(|from| (from, from + length));
    let lately = [(asked.begins - LATELY, asked.begins)];
    let may_be_due = |at: i64| {
        let period = i64::from(asked.period_seconds);
        earlier.iter().chain(&lately).any(|(from, to)| at + period > *from && at < *to)
    };
    let both = receiver.iter().chain(other).filter(|load| may_be_due(load.at));
    let mut sums = std::collections::BTreeMap::new();
    for load in both {
        *sums.entry(load.at).or_insert(0.0) += load.requests.max(0.0);
    }
    sums.into_values().reduce(f64::max)
}

/// What a target of a fleet has carried, in requests a period.
struct Carried {
    well: Option<f64>,
    failed: Option<f64>,
}

impl Carried {
    fn of(loads: &[Load]) -> Self {
        let known = loads.iter().filter(|load| load.healthy >= 1.0 && load.requests > 0.0);
        let known: Vec<&Load> = known.collect();
        let mut shares: Vec<f64> = known.iter().map(|load| load.share()).collect();
        shares.sort_by(f64::total_cmp);
        let usual = shares.get(shares.len() / 2).copied().unwrap_or(0.0);
        let was_well: Vec<&&Load> = known.iter().filter(|load| load.share() <= usual + WELL).collect();
        let well = was_well.iter().map(|load| load.by_target()).reduce(f64::max);
        // Well shortly before and shortly after, with less on it: a bad release is neither.
        let well_within = |from: i64, to: i64| {
            was_well.iter().any(|load| (from..to).contains(&load.at) && load.requests >= ENOUGH_REQUESTS)
        };
        let failed_of_load = |load: &&&Load| {
            load.share() >= usual + FAILED
                && load.requests >= ENOUGH_REQUESTS
                && well.is_some_and(|well| load.by_target() > well)
                && well_within(load.at - SHORTLY, load.at)
                && well_within(load.at, load.at + SHORTLY)
        };
        let mut failed: Vec<f64> = known.iter().filter(failed_of_load).map(|load| load.by_target()).collect();
        failed.sort_by(f64::total_cmp);
        // Where it failed in fewer periods than that, no load is blamed.
        Self { well, failed: failed.get(ENOUGH_PERIODS - 1).and(failed.first()).copied() }
    }
}

impl Load {
    /// The share of requests that failed.
    fn share(&self) -> f64 {
        (self.failures / self.requests).clamp(0.0, 1.0)
    }

    /// Requests to each of the targets that were healthy.
    fn by_target(&self) -> f64 {
        self.requests / self.healthy
    }
}

impl Headroom {
    /// Whether more is due than the fleet has carried well.
    pub fn is_short(&self) -> bool {
        self.well.is_none_or(|well| self.due > well)
    }

    /// Why the run is refused, if it is.
    fn refusal(&self, refuse: Refuse) -> Option<String> {
        let failed = self.failed.is_some_and(|failed| self.due >= failed);
        let beyond = match refuse {
            Refuse::Nothing => false,
            Refuse::SeenToFail => failed,
            Refuse::Untried => failed || self.is_short(),
        };
        beyond.then(|| {
            format!(
                "{self}; start when less is due, bring more of its targets up, or go on all the same with \
                 \"refuseLoad\": \"nothing\""
            )
        })
    }
}

/// In one sentence, for people.
impl std::fmt::Display for Headroom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |count: u64| crate::verdict::words::number(count as f64);
        let Self { fleet, healthy, registered, .. } = self;
        let until =
            jiff::Timestamp::from_second(self.until).map(|until| until.strftime("%H:%M UTC").to_string());
        let until = until.unwrap_or_else(|_| "its end".into());
        write!(f, "{fleet} must carry up to {} requests a minute until {until}; ", number(self.due))?;
        match self.well {
            Some(well) if self.is_short() => write!(f, "the most it has carried well is {}", number(well))?,
            Some(well) => write!(f, "it has carried {} well", number(well))?,
            None => write!(f, "in fifteen days it has carried nothing that would show whether it can")?,
        }
        if let Some(failed) = self.failed {
            write!(f, ", at {} it was seen to fail", number(failed))?;
        }
        write!(f, ", with {healthy} of {registered} targets healthy")?;
        match self.other_registered {
            Some(other) => write!(f, " beside {other} of the other fleet"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
