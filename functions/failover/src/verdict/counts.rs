//! What the verdict is made of: counts per period and fleet, and the timeline of the weights.

use serde::{Deserialize, Serialize};

/// Counts of one fleet in one complete period. All in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Counts {
    /// Requests for which a target of the fleet was chosen.
    pub requests: u64,
    /// Target 5xx, connection errors, requests left unanswered and responses that hung. May exceed
    /// `requests`, since a connection error is an attempt; the verdict caps it.
    pub failures: u64,
    /// Requests slower than the threshold that was fixed before the run.
    pub slow: u64,
    /// Target 4xx.
    pub client_errors: u64,
}

impl Counts {
    /// Events of one metric, at most one per request.
    pub(super) fn events(self, metric: Metric) -> u64 {
        let events = match metric {
            Metric::Failures => self.failures,
            Metric::Slow => self.slow,
            Metric::ClientErrors => self.client_errors,
        };
        events.min(self.requests)
    }

    /// The counts of two periods together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            failures: self.failures.min(self.requests).saturating_add(other.failures.min(other.requests)),
            slow: self.slow.min(self.requests).saturating_add(other.slow.min(other.requests)),
            client_errors: (self.client_errors.min(self.requests))
                .saturating_add(other.client_errors.min(other.requests)),
        }
    }
}

/// The kinds of event that are compared between the fleets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// Target 5xx, connection errors, requests left unanswered and responses that hung.
    Failures,
    /// Requests over the latency threshold.
    Slow,
    /// Target 4xx.
    ClientErrors,
}

impl Metric {
    /// All of them, in the order of every array indexed by metric.
    pub const ALL: [Self; 3] = [Self::Failures, Self::Slow, Self::ClientErrors];

    /// The word used in reasons.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Slow => "slow requests",
            Self::ClientErrors => "client errors",
        }
    }
}

/// Whether a period belongs to the shift itself or to a recheck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PeriodKind {
    /// The weights of the stage.
    #[default]
    Shift,
    /// The standby was set back to the recheck's weight for a while, to compare it with live again.
    Recheck,
}

/// One complete period of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Period {
    /// Weight of the standby in percent.
    pub standby_percent: u8,
    /// Index of the stage, from 0. A recheck has the index of the stage that it interrupts.
    pub stage: usize,
    /// Shift or recheck.
    pub kind: PeriodKind,
    /// The fleet that was live when the run began.
    pub live: Counts,
    /// The fleet that receives the traffic.
    pub standby: Counts,
    /// Responses 502, 503 and 504 that the balancer made itself and that no fleet is charged with: they
    /// had no target to choose, or were for other apps. 0 where not watched.
    pub balancer_failures: u64,
}

/// How many standard deviations of a binomial share are chance.
const CHANCE: f64 = 5.0;

impl Period {
    /// How many requests at most were for the standby and never had a target of it to go to: so many
    /// are missing beside live's, by more than chance. None can be told where live has no weight.
    pub(super) fn may_have_found_no_target(&self) -> f64 {
        let share = f64::from(self.standby_percent.min(100)) / 100.0;
        let (live, standby) = (self.live.requests as f64, self.standby.requests as f64);
        if share >= 1.0 {
            return 0.0;
        }
        let all = live / (1.0 - share);
        let due = all * share;
        (due - standby - CHANCE * (due / (1.0 - share)).sqrt()).max(0.0)
    }

    /// What a period in which the standby's weight rose says at most against it: live's requests are
    /// as many as there were beside the standby's at the new weight, and all of live's events fall
    /// among them. At any moment of the period the standby had no more than its new share of the
    /// requests, so a standby as well as live has no more than that share of the events. None where
    /// live keeps nothing.
    pub(super) fn at_one_weight(&self) -> Option<Self> {
        let (standby, live) =
            (u64::from(self.standby_percent), 100 - u64::from(self.standby_percent.min(100)));
        let beside = self.standby.requests.saturating_mul(live).checked_div(standby)?;
        let requests = beside.min(self.live.requests);
        (requests > 0).then_some(Self { live: Counts { requests, ..self.live }, ..*self })
    }
}

/// Everything that a verdict looks at. The same evidence always gives the same judgement.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Name of the fleet that the other one is compared with: in a shift the live one.
    pub live: &'a str,
    /// Name of the fleet that gets more: in a shift the standby, in a drain the live fleet.
    pub standby: &'a str,
    /// Whose past the history is: in a drain that of the fleet that gets more, and else that of the other.
    pub past_of: &'a str,
    /// Length of a period, in seconds.
    pub period_seconds: u32,
    /// Complete periods of that fleet before the run, oldest first. [`super::Criteria`] says
    /// how many are wanted; more are used where traffic is thin.
    pub history: &'a [Counts],
    /// Periods before the run in which both fleets had traffic, the judged one's counts first: how the two
    /// usually differ. Empty where that is not known.
    pub beside: &'a [(Counts, Counts)],
    /// The balancer's own 502, 503 and 504 in the same periods as the history, as in [`Period`]; empty where not watched.
    pub balancer_history: &'a [u64],
    /// Every complete period since the run began, oldest first.
    pub periods: &'a [Period],
    /// The periods in which the standby's weight rose, oldest first, with the weight that it rose to.
    /// They hold requests of both weights, so they count against the standby only, and no more than
    /// [`Period::at_one_weight`] says.
    pub mixed: &'a [Period],
    /// The stage the run is in now.
    pub stage: JudgedStage,
}

/// The stage that a run is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JudgedStage {
    /// Index from 0, as in [`Period::stage`].
    pub index: usize,
    /// Weight of the standby now, in percent.
    pub standby_percent: u8,
    /// Shift, or the recheck that interrupts the stage.
    pub kind: PeriodKind,
    /// Complete periods that this stage must have been watched for. The bake is over when so many
    /// are in [`Evidence::periods`]. Counted in periods rather than read from a clock, so that a
    /// repeated poll and a late datapoint give the same answer.
    pub bake_periods: u32,
}

impl Evidence<'_> {
    /// The periods of the current stage, or of the recheck that interrupts it. What was before a recheck is
    /// void: the stage begins anew once the standby is cleared.
    pub(super) fn stage_periods(&self) -> impl DoubleEndedIterator<Item = &Period> {
        let index = self.stage.index;
        let since = self.periods.iter().rev().take_while(|p| p.kind == self.stage.kind).count();
        self.periods[self.periods.len() - since..].iter().filter(move |p| p.stage == index)
    }

    /// Live's and the standby's counts that a reason shows: those of this stage or recheck; while it has no
    /// period of its own, of the one in which it began, which is said by the last value, or else of the
    /// run.
    pub(super) fn shown(&self) -> (Counts, Counts, bool) {
        let here = |p: &&Period| p.stage == self.stage.index;
        let mut periods: Vec<&Period> = self.stage_periods().collect();
        if periods.is_empty() {
            periods = self.periods.iter().filter(here).collect();
        }
        let mut began = None;
        if periods.is_empty() {
            began = self.mixed.iter().rfind(here).filter(|p| p.standby.requests > 0);
            periods = began.map_or_else(|| self.periods.iter().collect(), |began| vec![began]);
        }
        let none = (Counts::default(), Counts::default());
        let sum =
            |(live, standby): (Counts, Counts), p: &Period| (live.plus(p.live), standby.plus(p.standby));
        let (live, standby) = periods.into_iter().fold(none, sum);
        (live, standby, began.is_some())
    }

    /// The periods of the last recheck that is over, if there was one; at most so many of its end.
    pub(super) fn last_recheck(&self, most: usize) -> &[Period] {
        let rechecked = |p: &Period| p.kind == PeriodKind::Recheck;
        let Some(last) =
            self.periods.iter().rposition(rechecked).filter(|_| self.stage.kind == PeriodKind::Shift)
        else {
            return &[];
        };
        let length = self.periods[..=last].iter().rev().take_while(|p| rechecked(p)).count().min(most);
        &self.periods[last + 1 - length..=last]
    }

    /// How many complete periods the running recheck has; 0 outside a recheck.
    pub(super) fn recheck_periods(&self) -> usize {
        match self.stage.kind {
            PeriodKind::Shift => 0,
            PeriodKind::Recheck => {
                self.periods.iter().rev().take_while(|p| p.kind == PeriodKind::Recheck).count()
            }
        }
    }

    /// How many rechecks the run has begun so far.
    pub(super) fn rechecks(&self) -> usize {
        let started = (0..self.periods.len())
            .filter(|&i| {
                self.periods[i].kind == PeriodKind::Recheck
                    && (i == 0 || self.periods[i - 1].kind == PeriodKind::Shift)
            })
            .count();
        // A recheck that has just been set has no complete period yet.
        let fresh = self.stage.kind == PeriodKind::Recheck && self.recheck_periods() == 0;
        started + usize::from(fresh)
    }

    /// Whether the live fleet still receives requests that the standby can be compared with.
    pub(super) fn live_has_traffic(&self) -> bool {
        self.stage.standby_percent < 100
    }
}
