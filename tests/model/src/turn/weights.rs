//! `SetWeights`, `CheckMetrics` and `RollBack`: a check before every write of weights.

use super::{Turn, Verdict};
use crate::execution::{Call, Ending, Kind, Step};
use crate::world::{ExecutionId, PerRoute, START, Weights};

impl Turn<'_> {
    pub(super) fn set_weights(&mut self) {
        let fences = self.protocol.fences;
        let target = [self.protocol.stage_weights(self.me()); 2];
        match self.me().call {
            Call::ReadTags => self.check_claims(!fences.set_checks_claim),
            Call::ReadWeights => {
                let may_hold = |turn: &Self, route, weights| turn.may_hold_before_set(route, weights);
                self.check_weights(target, !fences.set_checks_weights, may_hold);
            }
            Call::Write => self.write_weights(),
            _ => self.read_back(target),
        }
    }

    /// The bake: what an earlier attempt sent has landed by its end, or is lost.
    fn bake(&mut self) {
        if self.protocol.fences.bake_settles {
            self.wait();
        }
    }

    /// A poll: weights that are not the stage's end the run, and the verdict may be either.
    pub(crate) fn check_metrics(&mut self, verdict: Verdict) {
        let stage = self.protocol.stage_weights(self.me());
        if self.weights_are([stage; 2]) || !self.protocol.fences.drift_check {
            match verdict {
                Verdict::RollBack => self.go(Step::RollBack),
                Verdict::Advance if self.protocol.is_last_stage(self.me()) => {
                    let at_its_weights = self.weights_are([stage; 2]);
                    self.state.observer.passed_last_stage(self.id, at_its_weights);
                    self.go(Step::SwapRoles);
                }
                Verdict::Advance => {
                    self.me_mut().stage += 1;
                    self.go(Step::SetWeights);
                }
            }
        } else {
            self.state.observer.met_others(self.id);
            self.release_then(Ending::Overtaken);
        }
    }

    pub(super) fn roll_back(&mut self) {
        let fences = self.protocol.fences;
        let target = self.me().found;
        match self.me().call {
            Call::ReadTags => self.check_claims(!fences.roll_back_checks_claim),
            Call::ReadWeights => {
                let may_hold = |turn: &Self, route, weights| turn.may_hold_before_roll_back(route, weights);
                self.check_weights(target, !fences.roll_back_checks_weights, may_hold);
            }
            Call::Write => self.write_weights(),
            _ => self.read_back(target),
        }
    }

    fn check_claims(&mut self, unfenced: bool) {
        self.state.open_window(self.id);
        if unfenced || self.claims_are_mine() {
            self.next(Call::ReadWeights);
        } else {
            self.release_then(Ending::Overtaken);
        }
    }

    fn check_weights(
        &mut self,
        target: PerRoute<Weights>,
        unfenced: bool,
        may_hold: impl Fn(&Self, usize, Weights) -> bool,
    ) {
        let weights = self.weights();
        let as_expected = self.my_routes().all(|route| may_hold(self, route, weights[route]));
        if !as_expected {
            self.state.observer.met_others(self.id);
        }
        if !as_expected && !unfenced {
            self.release_then(Ending::Overtaken);
        } else if let Some(route) = self.my_routes().find(|route| weights[*route] != target[*route]) {
            self.state.observer.is_about_to_write(self.id);
            self.me_mut().route = route;
            self.next(Call::Write);
        } else {
            self.weights_stand();
        }
    }

    fn write_weights(&mut self) {
        self.land();
        self.me_mut().window = None;
        self.next(Call::ReadWeightsBack);
    }

    fn read_back(&mut self, target: PerRoute<Weights>) {
        if self.weights_are(target) { self.weights_stand() } else { self.next(Call::ReadTags) }
    }

    /// Every route was read at the weights that were to be written.
    fn weights_stand(&mut self) {
        self.me_mut().window = None;
        match self.me().step {
            Step::SetWeights => {
                self.go(Step::CheckMetrics);
                self.bake();
            }
            _ if !self.me().second_pass && self.protocol.fences.second_pass => self.wait(),
            _ if self.me().is_restore() => self.go(Step::SwapRoles),
            _ => self.release_then(Ending::RolledBack),
        }
    }

    /// A write is refused for good, or every attempt at it has failed.
    pub(crate) fn is_refused(&mut self) {
        self.me_mut().window = None;
        match self.me().step {
            Step::ClaimRoutes if !self.me().is_restore() => self.refuse(),
            Step::ClaimRoutes if !self.protocol.fences.failed_restore_keeps_before => {
                self.release_then(Ending::PlanRejected);
            }
            Step::SetWeights => self.go(Step::RollBack),
            Step::SwapRoles => {
                self.state.observer.records_unknown = true;
                self.release_then(Ending::SwapFailed);
            }
            _ => {
                self.state.observer.unknown = true;
                self.release_then(Ending::RollBackFailed);
            }
        }
    }

    /// What the run last wrote (at first, what it found), or this stage's own weights.
    fn may_hold_before_set(&self, route: usize, weights: Weights) -> bool {
        let me = self.me();
        let stages = self.protocol.stages(me);
        let last = me.stage.checked_sub(1).map_or(me.found[route], |stage| stages[stage]);
        weights == last || weights == stages[me.stage]
    }

    /// What the run found, or may have written; for a restore, anything that one of ours may have.
    fn may_hold_before_roll_back(&self, route: usize, weights: Weights) -> bool {
        let me = self.me();
        let written = if me.is_restore() {
            weights == START[route] || self.protocol.wants.iter().flatten().any(|stage| *stage == weights)
        } else {
            self.protocol.stages(me)[..=me.stage].contains(&weights)
        };
        written || weights == me.found[route]
    }

    fn weights_are(&self, target: PerRoute<Weights>) -> bool {
        let weights = self.weights();
        self.my_routes().all(|route| weights[route] == target[route])
    }

    /// Whether all my routes are mine. One that nobody claims is not: a predecessor of a restore may
    /// have come to its end after all, and another execution may have been there since.
    pub(super) fn claims_are_mine(&self) -> bool {
        let unfenced = self.me().is_restore() && !self.protocol.fences.vanished_is_lost;
        self.my_routes().all(|route| match self.state.routes[route].claim {
            Some(claim) => self.counts_as_mine(claim),
            None => unfenced,
        })
    }

    /// A restore stands in for those whose work it finishes. A claim of theirs that lands late is
    /// as good as its own.
    pub(super) fn counts_as_mine(&self, claim: ExecutionId) -> bool {
        claim == self.id || self.finishes_work_of(self.id, claim)
    }

    fn finishes_work_of(&self, id: ExecutionId, other: ExecutionId) -> bool {
        match self.state.execution(id).kind {
            Kind::Restore { of } => {
                of == other || self.protocol.fences.predecessors_are_mine && self.finishes_work_of(of, other)
            }
            Kind::Change { .. } => false,
        }
    }

    /// Goes on to my next route, if there is one.
    pub(super) fn next_route(&mut self) -> bool {
        let at = self.me().route;
        let next = self.my_routes().find(|route| *route > at);
        self.me_mut().route = next.unwrap_or(at);
        next.is_some()
    }
}
