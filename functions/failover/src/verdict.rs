//! The verdict on a release, recomputed from the whole run at every poll.
//!
//! Pure: no AWS, no clock, no randomness, and nothing carried from poll to poll. The counts of
//! both fleets in every complete period since the run began go in, with those of the live fleet
//! before it; a [`Judgement`] comes out. A datapoint that arrives late corrects every later
//! verdict, and a repeated poll repeats its verdict.
//!
//! What is tested, for each metric and in each period, is that the standby's share of requests
//! with an event is at most `(1 + margin) * live's share + floor`. Nothing is assumed of live's
//! share itself: it may drift or jump, as long as it does so for both fleets. See [`factor`] for
//! the formulas with their sources.
//!
//! A period in which the standby's weight rose holds requests of both weights. Its failures are
//! compared as if all of live's had come after the change; so it may convict a standby that fails
//! from its first request, and never clears one.
//!
//! A period may be one second or one minute long; every limit in periods scales with it.

mod bake;
mod beside;
mod counts;
mod criteria;
mod decide;
pub mod factor;
mod guards;
mod history;
mod interval;
mod limits;
mod patience;
mod recheck;
mod stuck;
mod usual;
mod wealth;
pub mod words;

use serde::{Deserialize, Serialize};

pub use bake::{Proposal, proposed_bake};
pub use counts::{Counts, Evidence, JudgedStage, Metric, Period, PeriodKind};
pub use criteria::{Criteria, OnBothUnhealthy, OnInsufficientData, OnUndecided};
pub use decide::judge;
pub use guards::ill_beside;
pub use limits::Limits;
pub use patience::Patience;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// On to the next stage; from a recheck, back to the weights of the stage it interrupted.
    Advance,
    /// Change nothing and look again.
    Wait,
    /// Put back the weights found at the start.
    RollBack,
    /// Set the standby back to `recheckPercent` for a while. Given only while it has everything.
    Recheck,
    /// End the run and leave the weights for a person to decide on.
    Halt,
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StageEnding {
    /// Shown to be no worse than the acceptance margin.
    Accepted,
    /// Nothing against the standby, but not enough requests to show that it is good.
    InsufficientData,
    /// Something spoke against the standby.
    Suspect,
}

impl StageEnding {
    /// For people, in a list of stages.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::InsufficientData => "too few requests",
            Self::Suspect => "suspect",
        }
    }
}

/// What a poll concludes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// What to do.
    pub verdict: Verdict,
    /// Why, for a person at three in the morning.
    pub reason: String,
    /// How the stage ended, if it did.
    pub ending: Option<StageEnding>,
    /// Odds against the standby over all metrics: what a bet of 1 has grown to. A rollback needs
    /// `1/alpha`. Finite.
    pub odds: f64,
    /// The same for each metric, failures first.
    pub metrics: [MetricJudgement; 3],
    /// Whether there was less history than wanted, so that more bad luck is allowed for.
    pub careful: bool,
}

/// What the bets on one metric amount to. Odds are finite and at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricJudgement {
    /// Which one.
    pub metric: Metric,
    /// All bets on this metric, as if nothing were bet on the others.
    pub odds: f64,
    /// The bets that compare with live in the same period.
    pub concurrent_odds: f64,
    /// The bets that compare with live's past.
    pub past_odds: f64,
    /// Events are taken to come in clusters of this size, at least 1.
    pub dispersion: f64,
    /// Variance of the logarithm of the rate from period to period.
    pub burst_variance: f64,
}
