//! The bets against the standby over the whole run, and those in its favour.
//!
//! Each metric is bet on in two ways, against the live fleet in the same period and against the
//! live fleet's past, and each way with two readings of the counts: all events, held down by the
//! dispersion, and hit periods, in which any number of events counts as one. A bet is a mixture
//! over how much worse the standby may be and over the period in which it may have become so
//! (Shin, Ramdas and Rinaldo, *E-detectors*, 2023: sums of e-processes begun at each time, here
//! with weights that add up to one, so that the bound holds for the whole run). A weighted mean of
//! test martingales is one again, however they depend on each other: no further correction for
//! looking at three metrics.

use super::beside::usual_ratio;
use super::counts::{Counts, Evidence, Metric, Period, PeriodKind};
use super::criteria::Criteria;
use super::factor::{Arm, Comparison, against_rate, log_sum};
use super::history::History;
use super::recheck::clears;
use super::stuck::Stuck;

/// How many times worse than allowed the standby is bet to be, with the weight of each bet.
pub(super) const ALTERNATIVES: [(f64, f64); 6] =
    [(1.2, 0.20), (1.6, 0.18), (2.5, 0.18), (5.0, 0.18), (15.0, 0.14), (60.0, 0.12)];

/// The standby's rate, in multiples of live's, that acceptance bets on, half on each.
pub(super) const ACCEPTANCE: [f64; 2] = [1.0, 0.25];

/// Shares of the remaining cash that are staked on a fault that begins in the first period of the
/// run, in the first period of a later stage, and in any other.
pub(super) const STAKE_FIRST: f64 = 0.50;
const STAKE_STAGE: f64 = 0.15;
const STAKE_OTHER: f64 = 0.04;
/// Of the cash before a period in which the standby's weight rose. That period is no part of the
/// older bets: it would hold all of live's events against them, and few of its requests.
const STAKE_MIXED: f64 = 0.15;

/// How many times more slow requests than usual cold caches, or code that is not yet compiled, explain in each
/// of the first periods after a rise: fewer from one to the next, as they warm up. And the share of each bet on
/// slow requests that is kept out of such a period, while the rest bets on more than that.
const WARM_UP_RATIOS: [f64; 3] = [8.0, 5.0, 2.5];
const WARM_UP_KEPT: f64 = 0.9;

/// Log wealth of one family of bets, by alternative.
type Bets = [f64; ALTERNATIVES.len()];

const NOTHING: Bets = [f64::NEG_INFINITY; ALTERNATIVES.len()];

/// The bets on one metric.
#[derive(Clone, Copy, Debug)]
struct MetricBets {
    concurrent: Bets,
    concurrent_hits: Bets,
    past: Bets,
    past_hits: Bets,
}

impl MetricBets {
    /// The log wealth of bets that nobody has made.
    const NONE: Self =
        Self { concurrent: NOTHING, concurrent_hits: NOTHING, past: NOTHING, past_hits: NOTHING };

    /// The log factors that change nothing.
    const UNCHANGED: Self = Self {
        concurrent: [0.0; ALTERNATIVES.len()],
        concurrent_hits: [0.0; ALTERNATIVES.len()],
        past: [0.0; ALTERNATIVES.len()],
        past_hits: [0.0; ALTERNATIVES.len()],
    };

    /// Adds a stake, and lets all bets grow by a period.
    fn play(&mut self, stake: f64, factors: &Self) {
        self.change(factors, |wealth, factor| log_sum(wealth, stake) + factor);
    }

    /// Adds what becomes of a stake in a period that the older bets leave out.
    fn lay(&mut self, stake: f64, factors: &Self) {
        self.change(factors, |wealth, factor| log_sum(wealth, stake + factor));
    }

    fn change(&mut self, factors: &Self, grown: impl Fn(f64, f64) -> f64) {
        for (bets, factors) in [
            (&mut self.concurrent, &factors.concurrent),
            (&mut self.concurrent_hits, &factors.concurrent_hits),
            (&mut self.past, &factors.past),
            (&mut self.past_hits, &factors.past_hits),
        ] {
            for (wealth, factor) in bets.iter_mut().zip(factors) {
                *wealth = grown(*wealth, *factor);
            }
        }
    }
}

/// The state of all bets after the last period.
#[derive(Clone, Debug)]
pub struct Ledger {
    bets: [MetricBets; 3],
    /// Log wealth of acceptance by metric and alternative, since the stage and since the run began.
    stage_acceptance: [[f64; 2]; 3],
    run_acceptance: [[f64; 2]; 3],
    cash: f64,
    hits_share: f64,
    /// How many times the other fleet's events are usual, by metric.
    usual: [f64; 3],
}

/// What the bets on one metric amount to, in natural logarithms.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// All families with their shares, without the metric's own share and without cash.
    pub all: f64,
    /// The concurrent families alone.
    pub concurrent: f64,
    /// The families that compare with the past alone.
    pub past: f64,
}

impl Ledger {
    /// Plays the whole run. `history` is the window after it.
    pub fn play(criteria: &Criteria, evidence: &Evidence, history: &mut History) -> Self {
        let mut ledger = Self {
            bets: [MetricBets::NONE; 3],
            stage_acceptance: [[0.0; 2]; 3],
            run_acceptance: [[0.0; 2]; 3],
            cash: 1.0,
            hits_share: history.hits_share(),
            usual: Metric::ALL.map(|metric| usual_ratio(evidence.beside, metric)),
        };
        let logs = ALTERNATIVES.map(|(multiple, _)| multiple.ln());
        // A recheck clears by the same history here as in the poll that ends it.
        let found = history.clone();
        let mut before: Option<&Period> = None;
        let mut since_rise = 0;
        let mut stuck = Stuck::default();
        let mut mixed = evidence.mixed.iter().peekable();
        for (at, period) in evidence.periods.iter().enumerate() {
            while let Some(change) = mixed.next_if(|change| change.stage <= period.stage) {
                ledger.bet_on_change(criteria, history, change, &logs);
            }
            let new_stage = before.is_none_or(|b| b.stage != period.stage);
            let rose = before.is_none_or(|b| b.standby_percent < period.standby_percent);
            since_rise = if rose { 0 } else { since_rise + 1 };
            let warm_up = WARM_UP_RATIOS.get(since_rise).copied();
            let free = stuck.free(period);
            if period.kind == PeriodKind::Shift {
                ledger.end_recheck(criteria, evidence, (&found, history), &evidence.periods[..at]);
            }
            if new_stage {
                ledger.stage_acceptance = [[0.0; 2]; 3];
            }
            let share = match before {
                None => STAKE_FIRST,
                Some(_) if new_stage => STAKE_STAGE,
                Some(_) => STAKE_OTHER,
            };
            let stake = ledger.cash * share;
            ledger.cash -= stake;
            for metric in Metric::ALL {
                let factors = ledger.factors(criteria, history, metric, &free, warm_up, &logs);
                ledger.bets[metric as usize].play(stake.ln(), &factors);
                ledger.accept(criteria, history, metric, period);
            }
            // The other fleet's rates are no past of a fleet that has one of its own.
            if evidence.past_of == evidence.live {
                history.push(period.live);
            }
            before = Some(period);
        }
        for change in mixed {
            ledger.bet_on_change(criteria, history, change, &logs);
        }
        // The stage goes on, though nothing is known of it yet.
        if evidence.stage.kind == PeriodKind::Shift {
            ledger.end_recheck(criteria, evidence, (&found, history), evidence.periods);
        }
        if evidence.stage.index != before.map_or(0, |p| p.stage) {
            ledger.stage_acceptance = [[0.0; 2]; 3];
        }
        ledger
    }

    /// Where a recheck comes just before and has cleared the standby, what was held against it beside
    /// the past is void, and live's rates meanwhile are part of the past.
    fn end_recheck(
        &mut self,
        criteria: &Criteria,
        evidence: &Evidence,
        (found, history): (&History, &mut History),
        before: &[Period],
    ) {
        let rechecked = before.iter().rev().take_while(|p| p.kind == PeriodKind::Recheck);
        let lately = rechecked.take(criteria.recheck_periods as usize);
        if before.last().is_none_or(|p| p.kind == PeriodKind::Shift) {
            return;
        }
        let cleared = clears(criteria, &Evidence { periods: before, ..*evidence }, found);
        history.learn(criteria, lately.fold(Counts::default(), |sum, p| sum.plus(p.live)));
        if !cleared {
            return;
        }
        for bets in &mut self.bets {
            bets.past = NOTHING;
            bets.past_hits = NOTHING;
        }
    }

    /// Lays a bet on this one period alone: on failures, since a fleet that has just got its first
    /// requests may well be slow.
    fn bet_on_change(&mut self, criteria: &Criteria, history: &History, change: &Period, logs: &Bets) {
        let Some(period) = change.at_one_weight() else { return };
        let stake = self.cash * STAKE_MIXED;
        self.cash -= stake;
        for metric in Metric::ALL {
            let factors = match metric {
                Metric::Failures => self.factors(criteria, history, metric, &period, None, logs),
                _ => MetricBets::UNCHANGED,
            };
            self.bets[metric as usize].lay(stake.ln(), &factors);
        }
    }

    /// The log factors by which the bets on one metric grow in a period.
    fn factors(
        &self,
        criteria: &Criteria,
        history: &History,
        metric: Metric,
        period: &Period,
        warm_up: Option<f64>,
        logs: &Bets,
    ) -> MetricBets {
        let limits = criteria.metric(metric);
        let warm_up = warm_up.filter(|_| metric == Metric::Slow);
        let usual = self.usual[metric as usize];
        let ratio = warm_up.unwrap_or(1.0) * usual * (1.0 + limits.margin_percent / 100.0);
        let floor = limits.floor_percent / 100.0;
        let drift = 1.0 + limits.drift_percent / 100.0;
        let (standby, live) = arms(history, metric, period, ratio);
        let compared = Comparison::new(standby, live, ratio, floor);
        // Live's single events count in full: that lowers the factor, so it stays fair.
        let hit = Arm { events: standby.events.min(1.0), requests: standby.requests, dispersion: 1.0 };
        let compared_hits = Comparison::new(hit, Arm { dispersion: 1.0, ..live }, ratio, floor);

        let dispersion = history.dispersion(metric);
        let past_ok = standby.requests > 0.0 && !history.is_off(metric, period.live, 1.0);
        let rate = ratio * drift * history.upper(metric) + floor;
        let cluster_rate = ratio * drift * history.upper_clusters(metric) + floor;
        let past_arm = Arm {
            dispersion: dispersion.clusters.min(standby.requests.max(1.0))
                + dispersion.bursts * standby.requests * rate,
            ..standby
        };
        let hits = self.hits(metric) > 0.0;
        let most = history.most_growth(metric, period.standby);
        let grown = |factor: f64| {
            let factor = factor.min(most);
            if warm_up.is_some() {
                log_sum(WARM_UP_KEPT.ln(), factor + (1.0 - WARM_UP_KEPT).ln())
            } else {
                factor
            }
        };
        let mut factors = MetricBets::UNCHANGED;
        for (k, (multiple, _)) in ALTERNATIVES.into_iter().enumerate() {
            let log = logs[k];
            factors.concurrent[k] = compared.map_or(0.0, |c| grown(c.log_factor(multiple, log)));
            if past_ok {
                factors.past[k] = grown(against_rate(past_arm, rate, multiple, log));
            }
            if hits {
                factors.concurrent_hits[k] = compared_hits.map_or(0.0, |c| c.log_factor(multiple, log));
            }
            if hits && past_ok {
                factors.past_hits[k] = against_rate(hit, cluster_rate, multiple, log);
            }
        }
        factors
    }

    fn accept(&mut self, criteria: &Criteria, history: &History, metric: Metric, period: &Period) {
        let limits = criteria.metric(metric);
        let usual = self.usual[metric as usize];
        let ratio = usual * (1.0 + limits.accept_margin_percent / 100.0);
        let (standby, live) = arms(history, metric, period, usual * (1.0 + limits.margin_percent / 100.0));
        let Some(compared) = Comparison::new(standby, live, ratio, limits.accept_floor_percent / 100.0)
        else {
            return;
        };
        for (j, rate) in ACCEPTANCE.into_iter().enumerate() {
            let factor = compared.log_factor(rate / ratio, (rate / ratio).ln());
            self.stage_acceptance[metric as usize][j] += factor;
            self.run_acceptance[metric as usize][j] += factor;
        }
    }

    /// Share of a metric's bets that is on hit periods. Slow requests and client errors are never
    /// rare enough for that.
    fn hits(&self, metric: Metric) -> f64 {
        if metric == Metric::Failures { self.hits_share } else { 0.0 }
    }

    /// What is held against the standby in one metric.
    pub fn holding(&self, criteria: &Criteria, metric: Metric) -> Holding {
        let bets = &self.bets[metric as usize];
        let hits = self.hits(metric);
        let mix = |events: &Bets, periods: &Bets| {
            log_sum(scaled(mixture(events), 1.0 - hits), scaled(mixture(periods), hits))
        };
        let concurrent = mix(&bets.concurrent, &bets.concurrent_hits);
        let past = mix(&bets.past, &bets.past_hits);
        let share = criteria.concurrent_percent / 100.0;
        Holding { all: log_sum(scaled(concurrent, share), scaled(past, 1.0 - share)), concurrent, past }
    }

    /// Log of the cash that has not been staked.
    pub fn log_cash(&self) -> f64 {
        self.cash.ln()
    }

    /// Smallest log wealth over the metrics of the bets that the standby is good enough: in this
    /// stage, or over the whole run.
    pub fn log_acceptance(&self, whole_run: bool) -> f64 {
        let bets = if whole_run { &self.run_acceptance } else { &self.stage_acceptance };
        bets.iter()
            .map(|[equal, better]| log_sum(*equal, *better) - 2.0_f64.ln())
            .fold(f64::INFINITY, f64::min)
    }
}

/// Log of a share of a wealth.
pub fn scaled(log: f64, share: f64) -> f64 {
    if share > 0.0 { log + share.ln() } else { f64::NEG_INFINITY }
}

fn mixture(bets: &Bets) -> f64 {
    bets.iter()
        .zip(ALTERNATIVES)
        .fold(f64::NEG_INFINITY, |sum, (log, (_, weight))| log_sum(sum, log + weight.ln()))
}

/// Both fleets' parts of a period. A cluster cannot be larger than the requests it is made of,
/// which is what keeps the bets alive when a fleet has two requests in a period. Bursts add to
/// both arms in proportion to the events that they could have moved between the fleets: no more of them
/// than a burst had before the run. What is beyond, such as a third of all requests after a past in which
/// they were a hundredth at most, is no burst.
fn arms(history: &History, metric: Metric, period: &Period, ratio: f64) -> (Arm, Arm) {
    let arm = |counts: super::Counts| Arm {
        events: counts.events(metric) as f64,
        requests: counts.requests as f64,
        dispersion: 1.0,
    };
    let (standby, live) = (arm(period.standby), arm(period.live));
    if standby.requests <= 0.0 || live.requests <= 0.0 {
        return (standby, live);
    }
    let dispersion = history.dispersion(metric);
    let split = ratio * standby.requests / (ratio * standby.requests + live.requests);
    let moved =
        (standby.events + live.events).min(history.in_bursts(metric, standby.requests + live.requests));
    let bursts = 2.0 * dispersion.bursts * moved * split * (1.0 - split);
    let spread = |arm: Arm| Arm { dispersion: dispersion.clusters.min(arm.requests) + bursts, ..arm };
    (spread(standby), spread(live))
}

#[cfg(test)]
mod tests {
    use super::super::counts::JudgedStage;
    use super::*;

    #[test]
    fn weights_add_up_to_one() {
        let sum: f64 = ALTERNATIVES.iter().map(|(_, weight)| weight).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    /// The wealth of an independent implementation, period by period, without dispersion.
    #[test]
    fn wealth_equals_the_trace() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/verdict_vectors.json")).unwrap();
        let trace = vectors.as_array().unwrap().iter().find(|v| v["fn"] == "wealth_trace").unwrap();
        let mut criteria = Criteria { hits_percent: 0.0, ..Criteria::default() };
        criteria.failures.prior_dispersion = 1.0;
        let past = [Counts { requests: 2000, failures: 2, ..Counts::default() }; 60];
        let mut periods = Vec::new();
        for minute in trace["trace"].as_array().unwrap() {
            let counts = |events: &str, requests: &str| Counts {
                requests: minute[requests].as_u64().unwrap(),
                failures: minute[events].as_u64().unwrap(),
                ..Counts::default()
            };
            let (live, standby) = (counts("eB", "nB"), counts("eC", "nC"));
            periods.push(Period { standby_percent: 10, live, standby, ..Period::default() });
            let stage =
                JudgedStage { index: 0, standby_percent: 10, kind: PeriodKind::Shift, bake_periods: 5 };
            let evidence = Evidence {
                live: "prod1",
                standby: "prod2",
                past_of: "prod1",
                period_seconds: 60,
                history: &past,
                beside: &[],
                balancer_history: &[],
                periods: &periods,
                mixed: &[],
                stage,
            };
            let mut history = History::before(&criteria, &past);
            let ledger = Ledger::play(&criteria, &evidence, &mut history);
            for (ours, theirs) in ledger.bets[0].concurrent.iter().zip(minute["logW"].as_array().unwrap()) {
                assert!((ours / theirs.as_f64().unwrap() - 1.0).abs() < 1e-9, "{ours} is not {theirs}");
            }
            let wealth =
                log_sum(ledger.log_cash(), ledger.holding(&criteria, Metric::Failures).concurrent).exp();
            assert!((wealth / minute["wealth"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{wealth}");
        }
    }
}
