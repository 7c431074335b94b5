//! How long a stage would have to be watched, for plans that must know before they begin.

use super::counts::{Counts, Metric};
use super::criteria::Criteria;
use super::factor::{Arm, Comparison, against_rate};
use super::history::History;
use super::wealth::{ACCEPTANCE, ALTERNATIVES, STAKE_FIRST};

/// What a plan may tell its operator about a stage. Estimates from mean counts: half of the runs
/// need longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    /// Requests that the standby will get in a period.
    pub requests_per_period: f64,
    /// Periods until a standby that fails in `fault_percent` of its requests is rolled back; none
    /// where it never would be, because live fails as much or no traffic comes.
    pub detect_periods: Option<u32>,
    /// Periods until a standby that equals live is accepted; none where it never would be.
    pub accept_periods: Option<u32>,
}

/// Proposes a bake for a stage that gives the standby `standby_percent` of the traffic that live
/// had in `history`, such that a fault in `fault_percent` of the standby's requests is found.
pub fn proposed_bake(
    criteria: &Criteria,
    past: &[Counts],
    standby_percent: u8,
    fault_percent: f64,
) -> Proposal {
    let history = History::before(criteria, past);
    let all = history.requests_per_period();
    let weight = f64::from(standby_percent.min(100)) / 100.0;
    let (standby, live) = (all * weight, all * (1.0 - weight));
    let fault = (fault_percent / 100.0).clamp(0.0, 1.0);
    Proposal {
        requests_per_period: standby,
        detect_periods: detection(criteria, &history, standby, live, fault),
        accept_periods: acceptance(criteria, &history, standby, live),
    }
}

/// Expected growth of a bet's log wealth in a period, and the log of the share of all wealth that
/// was laid on it.
struct Growth {
    concurrent: bool,
    per_period: f64,
    log_share: f64,
}

impl Growth {
    fn periods_to(&self, odds: f64, whole: f64) -> Option<f64> {
        (self.per_period > 0.0).then(|| ((odds / whole).ln() - self.log_share) / self.per_period)
    }
}

fn detection(criteria: &Criteria, history: &History, standby: f64, live: f64, fault: f64) -> Option<u32> {
    let limits = criteria.metric(Metric::Failures);
    let ratio = 1.0 + limits.margin_percent / 100.0;
    let floor = limits.floor_percent / 100.0;
    let clusters = history.dispersion(Metric::Failures).clusters;
    let rate = history.rate(Metric::Failures);
    let allowed = ratio * (1.0 + limits.drift_percent / 100.0);
    let hits = history.hits_share();
    let events =
        Arm { events: standby * fault, requests: standby, dispersion: clusters.min(standby.max(1.0)) };
    let live_events = Arm { events: live * rate, requests: live, dispersion: clusters.min(live.max(1.0)) };
    let hit = Arm { events: 1.0 - (-standby * fault).exp(), dispersion: 1.0, ..events };
    let compared = Comparison::new(events, live_events, ratio, floor);
    let compared_hits = Comparison::new(hit, Arm { dispersion: 1.0, ..live_events }, ratio, floor);
    let past = allowed * history.upper(Metric::Failures) + floor;
    let past_hits = allowed * history.upper_clusters(Metric::Failures) + floor;

    let mut bets = Vec::with_capacity(4 * ALTERNATIVES.len());
    for (multiple, weight) in ALTERNATIVES {
        let log = multiple.ln();
        let mut lay = |concurrent: bool, family: f64, per_period: f64| {
            let side = criteria.concurrent_percent / 100.0;
            let side = if concurrent { side } else { 1.0 - side };
            bets.push(Growth {
                concurrent,
                per_period,
                log_share: (weight * family * side * STAKE_FIRST).ln(),
            });
        };
        lay(true, 1.0 - hits, compared.map_or(0.0, |c| c.log_factor(multiple, log)));
        lay(true, hits, compared_hits.map_or(0.0, |c| c.log_factor(multiple, log)));
        lay(false, 1.0 - hits, against_rate(events, past, multiple, log));
        lay(false, hits, against_rate(hit, past_hits, multiple, log));
    }
    let soonest = |concurrent: bool, odds: f64, whole: f64| {
        let times =
            bets.iter().filter(|b| b.concurrent == concurrent).filter_map(|b| b.periods_to(odds, whole));
        times.min_by(f64::total_cmp)
    };
    let all = limits.share_percent / 100.0;
    let by_live = soonest(true, criteria.roll_back_odds(), all);
    // The past convicts only together with a lean of the comparison with live.
    let key = soonest(true, criteria.key_odds, criteria.concurrent_percent / 100.0);
    let by_past = soonest(false, criteria.roll_back_odds(), all).zip(key).map(|(past, key)| past.max(key));
    let periods = [by_live, by_past].into_iter().flatten().min_by(f64::total_cmp)?;
    whole_periods(periods)
}

/// Periods with so many requests each until a standby that equals live is accepted, in half of the runs.
pub(super) fn acceptance(criteria: &Criteria, history: &History, standby: f64, live: f64) -> Option<u32> {
    let mut longest = 0.0_f64;
    for metric in Metric::ALL {
        let limits = criteria.metric(metric);
        let ratio = 1.0 + limits.accept_margin_percent / 100.0;
        let clusters = history.dispersion(metric).clusters;
        let rate = history.rate(metric);
        let arm = |requests: f64| Arm {
            events: requests * rate,
            requests,
            dispersion: clusters.min(requests.max(1.0)),
        };
        let compared = Comparison::new(arm(standby), arm(live), ratio, limits.accept_floor_percent / 100.0)?;
        let growth = ACCEPTANCE.map(|rate| compared.log_factor(rate / ratio, (rate / ratio).ln()));
        let growth = growth[0].max(growth[1]);
        if growth <= 0.0 {
            return None;
        }
        longest = longest.max((2.0 / criteria.beta).ln() / growth);
    }
    whole_periods(longest)
}

/// Rounded up; none beyond what anybody would wait for.
fn whole_periods(periods: f64) -> Option<u32> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just here")]
    (periods.is_finite() && periods < 1e6).then(|| periods.ceil().max(1.0) as u32)
}
