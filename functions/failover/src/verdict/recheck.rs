//! Whether a recheck could have shown what began it.

use super::counts::{Counts, Evidence, Metric, Period, PeriodKind};
use super::criteria::Criteria;
use super::factor::{Arm, Comparison};
use super::history::History;

/// The standby's rate, in multiples of live's, that is bet on against the rate that began the recheck.
const BET: f64 = 0.25;

/// Whether the last recheck clears the standby. What it had too few requests to show, it does not.
///
/// For each metric in which the standby was worse at full weight than the past allows, that it is as
/// much worse than live in the recheck is bet against, with the factors of acceptance: null
/// p\_standby >= p\_live + what it was too much. Events are taken singly, since those that began the
/// recheck were divided by their dispersion already. Where live is off too, the difference is not the
/// standby's.
pub fn clears(criteria: &Criteria, evidence: &Evidence, history: &History) -> bool {
    let periods = evidence.periods;
    let Some(last) = periods.iter().rposition(|p| p.kind == PeriodKind::Recheck) else { return true };
    let first = periods[..last].iter().rposition(|p| p.kind == PeriodKind::Shift).map_or(0, |at| at + 1);
    let recheck = &periods[first..=last];
    let full = |p: &&Period| p.kind == PeriodKind::Shift && p.stage == recheck[0].stage;
    let add = |sum: Counts, counts: Counts| sum.plus(counts);
    let before =
        periods[..first].iter().rev().take_while(full).map(|p| p.standby).fold(Counts::default(), add);
    let live = recheck.iter().map(|p| p.live).fold(Counts::default(), add);
    let standby = recheck.iter().map(|p| p.standby).fold(Counts::default(), add);
    [Metric::Failures, Metric::Slow].into_iter().all(|metric| {
        let limits = criteria.metric(metric);
        let allowed =
            (1.0 + limits.margin_percent / 100.0) * history.upper(metric) + limits.floor_percent / 100.0;
        let seen = before.events(metric) as f64 / before.requests.max(1) as f64;
        if seen <= allowed || history.is_off(metric, live, 1.0) {
            return true;
        }
        let arm = |counts: Counts| Arm {
            events: counts.events(metric) as f64,
            requests: counts.requests as f64,
            dispersion: 1.0,
        };
        Comparison::new(arm(standby), arm(live), 1.0, seen - allowed)
            .is_some_and(|compared| compared.log_factor(BET, BET.ln()) >= (1.0 / criteria.beta).ln())
    })
}
