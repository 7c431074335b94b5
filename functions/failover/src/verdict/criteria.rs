//! What a healthy stage means: every number that an operator may set.

use serde::{Deserialize, Serialize};

use super::counts::Metric;
use super::limits::{self, Limits, within};
use crate::duration::Seconds;

/// Failures of live in a period, at which the bets on hit periods have half their share.
const RARE: f64 = 0.1;

/// The operator's criteria. Every field has a default that is safe without any statistics.
///
/// "Odds" are the odds at which the bets against the standby stand: 20 means that a bet of 1 has
/// grown to 20, which happens to a standby within the margin at most once in 20 runs, and far more
/// rarely to one that equals live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Criteria {
    /// Target 5xx and connection errors.
    #[serde(deserialize_with = "limits::failures")]
    pub failures: Limits,
    /// Requests over the latency threshold.
    #[serde(deserialize_with = "limits::slow")]
    pub slow: Limits,
    /// Target 4xx.
    #[serde(deserialize_with = "limits::client_errors")]
    pub client_errors: Limits,
    /// Largest share of runs that may be rolled back although the standby is within the margin,
    /// between 0 and 1. A rollback needs odds of 1/alpha.
    pub alpha: f64,
    /// Largest share of stages that may be reported as accepted although the standby is worse than
    /// the acceptance margin, between 0 and 1.
    pub beta: f64,
    /// Share of the bets, in percent, that compares with live in the same period; the rest compares
    /// with live's past.
    pub concurrent_percent: f64,
    /// Share of the bets on failures, in percent, that counts hit periods instead of failures when
    /// failures are rare. It shrinks by itself where they are not.
    pub hits_percent: f64,
    /// Odds from which on a stage is not left.
    pub hold_odds: f64,
    /// Periods that a stage is held at most, beyond its bake, because of such odds.
    pub hold_periods: u32,
    /// What happens when they are over.
    pub still_suspect: OnUndecided,
    /// Odds that the comparison with live alone must show before a rollback, while live has traffic, unless
    /// each of the last periods shows plainly that the standby is ill and live is not.
    pub key_odds: f64,
    /// Odds of the comparison with live's past that begin a recheck once the standby has everything.
    pub recheck_odds: f64,
    /// Weight of the standby during a recheck, in percent.
    pub recheck_percent: u8,
    /// Periods that a recheck lasts.
    pub recheck_periods: u32,
    /// Rechecks in a run at most.
    pub max_rechecks: u32,
    /// When the bake is over and there were too few requests to accept the standby.
    pub on_insufficient_data: OnInsufficientData,
    /// Periods that `wait` waits beyond the bake before it rolls back; also how long a stage waits
    /// for a first request.
    pub longer_periods: u32,
    /// What happens when both fleets have been sick for `both_unhealthy_for`.
    pub on_both_unhealthy: OnBothUnhealthy,
    /// How long both fleets may be sick without a break.
    pub both_unhealthy_for: Seconds,
    /// How many times its rate before the run a fleet shows when it is called sick.
    pub sick_factor: f64,
    /// Leave a stage before its bake is over once the standby is accepted, after two periods.
    pub early_advance: bool,
    /// Periods of live history that are wanted; with fewer, the run is judged more carefully.
    pub history_periods: u32,
    /// Requests that the history should hold: where traffic is thin, more periods are used, as far
    /// as they are given.
    pub history_requests: u64,
    /// Periods in a row after which a standby with weight but without requests is given up.
    pub silent_periods: u32,
    /// Share, in percent, of the requests due to it below which the standby counts as silent.
    pub silent_percent: f64,
    /// Odds are not asked: periods in a row after which a `limitPercent` that is exceeded, or a
    /// balancer that answers for itself, rolls back.
    pub limit_periods: u32,
    /// A response that takes longer than this many seconds is slow; learnt from the live fleet's
    /// history, such that about 5 % are, where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_seconds: Option<f64>,
    /// Names of `CloudWatch` alarms: one in ALARM refuses a start, and rolls back a run.
    pub alarms: Vec<String>,
    /// Share of its registered targets, in percent, that a fleet which receives traffic needs healthy.
    pub healthy_percent: u8,
    /// Share of all requests, in percent, that the balancer's own 502, 503 and 504 must reach
    /// beyond their level before the run.
    pub balancer_percent: f64,
}

/// What to do when a stage could not be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnUndecided {
    /// Go on, and say so.
    Advance,
    /// Roll back.
    RollBack,
}

/// What to do when too few requests came to accept the standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnInsufficientData {
    /// Go on, and say so: no difference was found.
    Advance,
    /// Wait for acceptance, then roll back.
    Wait,
    /// Roll back.
    RollBack,
}

/// What to do when both fleets stay sick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnBothUnhealthy {
    /// Put back the weights found at the start.
    RollBack,
    /// End the run and leave the weights where they are, for a person to decide.
    Halt,
}

impl Default for Criteria {
    fn default() -> Self {
        Self {
            failures: Limits::FAILURES,
            slow: Limits::SLOW,
            client_errors: Limits::CLIENT_ERRORS,
            alpha: 0.05,
            beta: 0.05,
            concurrent_percent: 55.0,
            hits_percent: 50.0,
            hold_odds: 2.0,
            hold_periods: 10,
            still_suspect: OnUndecided::Advance,
            key_odds: 4.0,
            recheck_odds: 20.0,
            recheck_percent: 10,
            recheck_periods: 4,
            max_rechecks: 2,
            on_insufficient_data: OnInsufficientData::Advance,
            longer_periods: 30,
            on_both_unhealthy: OnBothUnhealthy::RollBack,
            both_unhealthy_for: Seconds(30 * 60),
            sick_factor: 3.0,
            early_advance: false,
            history_periods: 60,
            history_requests: 100_000,
            silent_periods: 2,
            silent_percent: 20.0,
            limit_periods: 2,
            slow_seconds: None,
            alarms: Vec::new(),
            healthy_percent: 50,
            balancer_percent: 1.0,
        }
    }
}

impl Criteria {
    /// Whether so many healthy targets are enough to receive traffic, of so many that are registered.
    pub fn can_receive(&self, healthy: u32, registered: u32) -> bool {
        let needed = u64::from(registered) * u64::from(self.healthy_percent);
        healthy > 0 && u64::from(healthy) * 100 >= needed
    }

    /// The limits of a metric.
    pub const fn metric(&self, metric: Metric) -> &Limits {
        match metric {
            Metric::Failures => &self.failures,
            Metric::Slow => &self.slow,
            Metric::ClientErrors => &self.client_errors,
        }
    }

    /// Odds at which the standby is rolled back.
    pub fn roll_back_odds(&self) -> f64 {
        1.0 / self.alpha
    }

    /// Share of the failures' bets on hit periods, between 0 and 1. Fixed before the run, so that
    /// it keeps the bets fair. Once live has several failures in every period, nearly all of them
    /// are hit and the number of them says nothing.
    pub(super) fn hits_share(&self, failures_per_period: f64) -> f64 {
        self.hits_percent / 100.0 / (1.0 + failures_per_period / RARE)
    }

    /// Checks every number for sense.
    ///
    /// # Errors
    /// The field's name and what it takes.
    pub fn check(&self) -> Result<(), String> {
        for metric in Metric::ALL {
            limits::check(self.metric(metric), metric)?;
        }
        let shares: f64 = Metric::ALL.iter().map(|m| self.metric(*m).share_percent).sum();
        if (shares - 100.0).abs() > 1e-6 {
            return Err(format!(
                "`criteria`: the `sharePercent` of failures, slow and clientErrors add up to {shares}, not to 100"
            ));
        }
        within("alpha", self.alpha, 1e-6, 0.5)?;
        within("beta", self.beta, 1e-6, 0.5)?;
        within("concurrentPercent", self.concurrent_percent, 1.0, 99.0)?;
        within("hitsPercent", self.hits_percent, 0.0, 90.0)?;
        within("holdOdds", self.hold_odds, 1.0, 1e6)?;
        within("keyOdds", self.key_odds, 1.0, 1e6)?;
        within("recheckOdds", self.recheck_odds, 2.0, 1e6)?;
        within("recheckPercent", f64::from(self.recheck_percent), 1.0, 90.0)?;
        within("sickFactor", self.sick_factor, 1.0, 1000.0)?;
        within("silentPercent", self.silent_percent, 0.0, 90.0)?;
        within("healthyPercent", f64::from(self.healthy_percent), 0.0, 100.0)?;
        within("balancerPercent", self.balancer_percent, 0.0, 100.0)?;
        within("slowSeconds", self.slow_seconds.unwrap_or(1.0), 0.001, 4000.0)?;
        if self.both_unhealthy_for.0 == 0 {
            return Err("`criteria.bothUnhealthyFor`: 0s is no time; wait for 1s at least".into());
        }
        // As many as one call of DescribeAlarms takes.
        if self.alarms.len() > 100 || self.alarms.iter().any(String::is_empty) {
            return Err("`criteria.alarms`: give at most 100 names of CloudWatch alarms, none empty".into());
        }
        for (field, periods, least, most) in [
            ("holdPeriods", self.hold_periods, 0, 10_000),
            ("recheckPeriods", self.recheck_periods, 1, 1000),
            ("maxRechecks", self.max_rechecks, 0, 100),
            ("longerPeriods", self.longer_periods, 1, 10_000),
            ("historyPeriods", self.history_periods, 10, 10_000),
            ("silentPeriods", self.silent_periods, 1, 1000),
            ("limitPeriods", self.limit_periods, 1, 1000),
        ] {
            if !(least..=most).contains(&periods) {
                return Err(format!("`criteria.{field}`: {periods} is not between {least} and {most}"));
            }
        }
        if self.hold_odds >= self.roll_back_odds() {
            return Err(format!(
                "`criteria.holdOdds`: {} is not below the odds of a rollback, 1/alpha = {}",
                self.hold_odds,
                self.roll_back_odds()
            ));
        }
        Ok(())
    }
}
