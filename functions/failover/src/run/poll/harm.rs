//! Which split harms least, where a failback has come to a fleet that is ill as well.
//!
//! A failback writes at once, so that it has seen two splits: what it found, and what stands. Going back from
//! one illness to a worse one helps nobody, and neither of them is a success.

use super::{Decision, Poll};
use crate::model::samples::{FleetFigures, Span};
use crate::run::precedence::Voice;
use crate::verdict::Verdict;
use crate::verdict::words::percent;

/// Periods over which a split is looked at.
const PERIODS: i64 = 5;

/// Requests that a share must rest on.
const ENOUGH_REQUESTS: u64 = 10;

impl Poll<'_> {
    /// What follows from a decision that ends the failback.
    pub(super) fn least_harm(&self, decision: Decision) -> Decision {
        let ends = decision.voice == Voice::Verdict
            && matches!(decision.verdict, Verdict::Advance | Verdict::RollBack | Verdict::Halt);
        let began = self.progress.timeline.first().map_or(self.known, |record| record.started_at.as_second());
        let now = self
            .failing(Span { from: self.span.from.max(self.span.to - PERIODS * self.period), ..self.span });
        let Some(now) = now.filter(|now| ends && self.is_ill(*now, began)) else { return decision };
        // The period in which the run began holds requests of both splits.
        let to = began.div_euclid(self.period) * self.period;
        let found = self.failing(Span { from: to - PERIODS * self.period, to });
        let (was, is) = (found.map_or_else(|| "unknown".into(), percent), percent(now));
        let figures = format!("failures of all requests: {is} as it is, {was} as it was found");
        let (verdict, why) = match found {
            Some(found) if found < now => (Verdict::RollBack, "what was found harms less"),
            _ => (Verdict::Halt, "both fleets are degraded, and of what was seen this harms least"),
        };
        Decision {
            verdict,
            reason: format!("{}; {figures}: {why}", decision.reason),
            ending: None,
            ..decision
        }
    }

    /// Which share of all requests fails in a span.
    fn failing(&self, span: Span) -> Option<f64> {
        let both = [&self.samples.live, &self.samples.standby].map(|fleet| span.sum(fleet));
        let FleetFigures { requests, failures, .. } = FleetFigures::sum(both.into_iter());
        (requests >= ENOUGH_REQUESTS).then(|| failures as f64 / requests as f64)
    }

    /// Whether that is an illness beside the better periods before the run: the live fleet may have been ill
    /// for a while, which is what a failback is for.
    fn is_ill(&self, now: f64, began: i64) -> bool {
        let periods = self.samples.live.samples.iter().filter(|sample| sample.at + self.period <= began);
        let mut shares: Vec<f64> = periods
            .filter_map(|sample| self.failing(Span { from: sample.at, to: sample.at + self.period }))
            .collect();
        shares.sort_by(f64::total_cmp);
        let usual = shares.get(shares.len() / 4).copied().unwrap_or_default();
        let criteria = &self.plan.criteria;
        now > usual * criteria.sick_factor && now > usual + criteria.failures.sick_percent / 100.0
    }
}
