//! What a stage must show beside what was counted: that the standby is ready, or silent.

use super::{AppDecision, Poll};
use crate::duration::Seconds;
use crate::model::RouteWeights;
use crate::model::samples::Span;
use crate::model::weights::Percent;
use crate::verdict::{Patience, Verdict};

impl Poll<'_> {
    /// Waits for it from when it was missing, or from the end of the bake, and then goes back.
    fn unmet(&self, reason: String) -> AppDecision {
        let (plan, bake) = (self.plan, i64::from(self.stage.bake_seconds));
        let over = self.record.started_at.as_second().saturating_add(bake);
        let over = jiff::Timestamp::from_second(over).unwrap_or(self.record.started_at);
        let since = self.progress.unmet_since.map(|since| since.max(over));
        let longest = Seconds(plan.criteria.longer_periods.saturating_mul(plan.period_seconds));
        let patience = Patience::new(since, self.samples.now, longest);
        let decision = if patience.is_over() {
            let reason = format!("{reason}; waited {} for it beyond the bake", Seconds(patience.lasted()));
            self.decision(Verdict::RollBack, reason)
        } else {
            self.decision(Verdict::Wait, reason)
        };
        AppDecision { unmet: true, ..decision }
    }

    pub(super) fn ready(&self) -> AppDecision {
        let (ready, targets) = self.targets(false);
        if ready { self.decision(Verdict::Advance, targets) } else { self.unmet(targets) }
    }

    /// Silent means: in the last two periods the live fleet had requests and the standby had none.
    fn silent(&self) -> AppDecision {
        let (live, standby) = (&self.plan.live, &self.plan.standby);
        let seconds = 2 * self.period;
        let recent = Span { from: self.span.to - seconds, to: self.span.to };
        let loud = recent.sum(&self.samples.standby).requests;
        let heard = recent.sum(&self.samples.live).requests;
        if recent.from < self.span.from {
            let reason = format!("two whole periods are needed to call {standby} drained, not there yet");
            self.unmet(reason)
        } else if loud > 0 {
            let testers = if self.plan.testers.is_empty() {
                ""
            } else {
                "; test traffic counts as well, so it has to pause"
            };
            let reason = format!("{standby} still had {loud} requests in the last {seconds} s{testers}");
            self.unmet(reason)
        } else if heard == 0 {
            let reason = format!(
                "no requests at all in the last {seconds} s, so silence proves nothing: nobody comes, or a rule that \
                 is asked first answers them, such as that of a maintenance page"
            );
            self.unmet(reason)
        } else if self.bake_is_over() {
            let reason = format!("{standby} is drained: 0 requests in {seconds} s, {heard} on {live}");
            self.decision(Verdict::Advance, reason)
        } else {
            let reason = format!("{standby} is drained, 0 requests in {seconds} s; the bake goes on");
            self.decision(Verdict::Wait, reason)
        }
    }

    /// The standby is silent, and the live fleet carries what it has been given.
    pub(super) fn drained(&self) -> AppDecision {
        let silence = self.silent();
        if !self.receives() {
            return silence;
        }
        let mut judged = self.healthy();
        match (&self.plan.standby_unhealthy, judged.verdict) {
            // Going back to a fleet that is not well would help nobody: told, and not followed.
            (Some(unhealthy), Verdict::RollBack | Verdict::Halt) => {
                let why = format!("{}; not put back, since {unhealthy}", judged.reason);
                AppDecision {
                    reason: format!("{}; {why}", silence.reason),
                    figures: judged.figures,
                    ..silence
                }
            }
            (None, Verdict::RollBack | Verdict::Halt) => judged,
            (_, Verdict::Advance) => {
                let reason = format!("{}; {}", silence.reason, judged.reason);
                AppDecision { reason, figures: judged.figures, ending: judged.ending, ..silence }
            }
            _ if silence.verdict == Verdict::RollBack => silence,
            _ => {
                judged.reason = format!("{}; {}", silence.reason, judged.reason);
                judged
            }
        }
    }

    /// Whether the fleet that is judged has got more than it was found with.
    fn receives(&self) -> bool {
        let (plan, giver) = (self.plan, self.stage.receiver().other());
        let gave = |weights: &RouteWeights| weights.get(plan.fleet(giver)).is_some_and(|weight| *weight > 0);
        let mut routes = plan.routes.iter().filter(|route| plan.app_of(route).name == self.app.name);
        plan.share(giver, &self.app.before) > Percent::NONE || routes.any(|route| gave(&route.found))
    }
}
