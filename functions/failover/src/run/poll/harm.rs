//! Which split harms least, where a run would end on a fleet that is ill.
//!
//! A failback writes at once, so that it has seen two splits: what it found, and what stands. Going back from
//! one illness to a worse one helps nobody, and neither of them is a success. A balance leaves traffic with the fleet
//! that gives some away: where that one is ill, going back would give it more.

use super::{AppDecision, Poll};
use crate::model::samples::{FleetFigures, Span};
use crate::model::weights::Percent;
use crate::run::precedence::Voice;
use crate::verdict::Verdict;
use crate::verdict::words::percent;

/// Periods over which a split is looked at.
const PERIODS: i64 = 5;

/// Requests that a share must rest on.
const ENOUGH_REQUESTS: u64 = 10;

/// A fleet that gives traffic away and keeps some is plainly ill when it fails so much more than it usually did.
const PLAINLY: f64 = 0.1;

impl Poll<'_> {
    /// What follows from a decision that ends the run while the fleet which gave traffic away keeps some.
    pub(super) fn ill_beside(&self, decision: AppDecision) -> AppDecision {
        let giver = self.stage.receiver().other();
        let keeps = self.plan.share(giver, &self.record.weights);
        let ends = self.record.stage + 1 == self.plan.stages.len() && !self.record.recheck;
        let advances = decision.voice == Voice::Verdict && decision.verdict == Verdict::Advance;
        if !advances || !ends || keeps == Percent::NONE {
            return decision;
        }
        let Some(failing) = share(&self.lately().sum(self.of(giver))) else { return decision };
        let before = self.of(giver).samples.iter().filter(|sample| self.is_before_the_run(sample));
        let usual = usual(before.filter_map(|sample| {
            share(&Span { from: sample.at, to: sample.at + self.period }.sum(self.of(giver)))
        }));
        if failing <= usual * self.plan.criteria.sick_factor || failing <= usual + PLAINLY {
            return decision;
        }
        let (fleet, keeps) = (self.plan.fleet(giver), keeps.get());
        let (is, was) = (percent(failing), percent(usual));
        let reason = format!(
            "{fleet} keeps {keeps} % of the traffic and fails {is} of its requests, {was} before the run: that is no \
             success, and going back would give it more; of the other fleet: {}",
            decision.reason
        );
        AppDecision { verdict: Verdict::Halt, reason, ending: None, ..decision }
    }

    /// What follows from a decision that ends the failback.
    pub(super) fn least_harm(&self, decision: AppDecision) -> AppDecision {
        let ends = decision.voice == Voice::Verdict
            && matches!(decision.verdict, Verdict::Advance | Verdict::RollBack | Verdict::Halt);
        let began = self.progress.timeline.first().map_or(self.known, |record| record.started_at.as_second());
        let now = self.failing(self.lately());
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
        AppDecision {
            verdict,
            reason: format!("{}; {figures}: {why}", decision.reason),
            ending: None,
            ..decision
        }
    }

    /// The last periods of the stage.
    fn lately(&self) -> Span {
        Span { from: self.span.from.max(self.span.to - PERIODS * self.period), ..self.span }
    }

    /// Which share of all requests fails in a span.
    fn failing(&self, span: Span) -> Option<f64> {
        let both = [&self.samples.live, &self.samples.standby].map(|fleet| span.sum(fleet));
        share(&FleetFigures::sum(both.into_iter()))
    }

    /// Whether that is an illness beside the better periods before the run: the live fleet may have been ill
    /// for a while, which is what a failback is for.
    fn is_ill(&self, now: f64, began: i64) -> bool {
        let periods = self.samples.live.samples.iter().filter(|sample| sample.at + self.period <= began);
        let usual = usual(
            periods.filter_map(|sample| self.failing(Span { from: sample.at, to: sample.at + self.period })),
        );
        let criteria = &self.plan.criteria;
        now > usual * criteria.sick_factor && now > usual + criteria.failures.sick_percent / 100.0
    }
}

fn share(figures: &FleetFigures) -> Option<f64> {
    let FleetFigures { requests, failures, .. } = *figures;
    (requests >= ENOUGH_REQUESTS).then(|| failures as f64 / requests as f64)
}

/// What fails in the better periods; nothing where there is none.
fn usual(shares: impl Iterator<Item = f64>) -> f64 {
    let mut shares: Vec<f64> = shares.collect();
    shares.sort_by(f64::total_cmp);
    shares.get(shares.len() / 4).copied().unwrap_or_default()
}
