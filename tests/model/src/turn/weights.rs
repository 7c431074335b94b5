//! `SetWeights`, `CheckMetrics` and `RollBack`: a check before every write of weights.

use failover::model::hold::{self, Hold};

use super::{Turn, Verdict};
use crate::execution::{Call, Ending, Kind, Status, Step};
use crate::world::{ExecutionId, Held, MOST_ROUTES, PerApp, PerRoute, Weights};

impl Turn<'_> {
    pub(super) fn set_weights(&mut self) {
        let fences = self.protocol.fences;
        let target = [self.protocol.stage_weights(self.me()); MOST_ROUTES];
        match self.me().call {
            // Without its claim it does not go on, but back.
            Call::ReadTags if fences.stripped_goes_back && self.some_is_stripped() => self.go(Step::RollBack),
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
        if self.weights_are([stage; MOST_ROUTES]) || !self.protocol.fences.drift_check {
            match verdict {
                Verdict::RollBack => self.go(Step::RollBack),
                Verdict::Recheck => {
                    self.me_mut().recheck = true;
                    self.go(Step::SetWeights);
                }
                // One that has cleared the standby only takes up the stage again.
                Verdict::Advance if self.me().recheck => {
                    self.me_mut().recheck = false;
                    self.go(Step::SetWeights);
                }
                Verdict::Advance if self.protocol.is_last_stage(self.me()) => {
                    let at_its_weights = self.weights_are([stage; MOST_ROUTES]);
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
            self.release_then(Ending::ExternalChange);
        }
    }

    /// Nothing is better than where the traffic is: it is left to people.
    pub(crate) fn halt(&mut self) {
        self.state.observer.unknown = true;
        self.release_then(Ending::RollBackFailed);
    }

    /// What is to be put back feeds a dead fleet. From now on it is up to people where the traffic belongs.
    pub(crate) fn fail_over(&mut self, to: Weights) {
        (self.state.observer.unknown, self.state.observer.records_unknown) = (true, true);
        self.me_mut().over = Some(to);
    }

    pub(super) fn roll_back(&mut self) {
        let fences = self.protocol.fences;
        let target = self.me().over.map_or(self.me().found, |over| [over; MOST_ROUTES]);
        match self.me().call {
            Call::ReadTags => self.check_claims_back(!fences.roll_back_checks_claim),
            Call::LookAtSelfFirst => {
                self.go_on_if_running(Call::ClaimAnew);
                self.next_anew();
            }
            Call::ClaimAnew => {
                self.land();
                let at = self.me().at;
                self.me_mut().to_write[at] = false;
                self.next_anew();
            }
            Call::ReadWeights => {
                let may_hold = |turn: &Self, route, weights| turn.may_hold_before_roll_back(route, weights);
                self.check_weights(target, !fences.roll_back_checks_weights, may_hold);
            }
            Call::Write => self.write_weights(),
            _ => self.read_back(target),
        }
    }

    /// Where somebody has removed claims, or a predecessor's came late, the apps are claimed again, so that nobody
    /// takes them. The way back goes on at once: whoever has seen them free meanwhile settles before it writes, and
    /// reads back. Only that this pass is not the last.
    fn check_claims_back(&mut self, unfenced: bool) {
        self.state.open_window(self.id);
        let anew = |app| self.me().apps[app] && self.hold(app) != Hold::Own;
        let anew: PerApp<bool> = std::array::from_fn(anew);
        if unfenced || !anew.contains(&true) {
            self.next(Call::ReadWeights);
        } else if self.none_is_lost() {
            self.me_mut().to_write = anew;
            self.look_at_self_before(Call::ClaimAnew);
            self.next_anew();
        } else {
            self.release_then(Ending::ExternalChange);
        }
    }

    fn next_anew(&mut self) {
        if self.me().call != Call::ClaimAnew {
            return;
        }
        self.me_mut().again = self.protocol.fences.anew_settles;
        match self.me().to_write.iter().position(|left| *left) {
            Some(app) => self.me_mut().at = app,
            None => self.next(Call::ReadWeights),
        }
    }

    /// Nobody but a run that goes on writes where the claim is not its own one: an invocation of one that was
    /// stopped may come here when its restore is long over.
    pub(super) fn look_at_self_before(&mut self, call: Call) {
        self.next(if self.protocol.fences.anew_looks_at_self { Call::LookAtSelfFirst } else { call });
    }

    pub(super) fn go_on_if_running(&mut self, call: Call) {
        if self.me().status == Status::Running { self.next(call) } else { self.me_mut().forget() }
    }

    fn some_is_stripped(&self) -> bool {
        self.my_apps().any(|app| self.hold(app) == Hold::Stripped)
    }

    fn check_claims(&mut self, unfenced: bool) {
        self.state.open_window(self.id);
        if unfenced || self.all_hold(Hold::Own) {
            self.next(Call::ReadWeights);
        } else {
            self.release_then(Ending::ExternalChange);
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
        let differs = self.my_routes().find(|route| weights[*route] != target[*route]);
        if !as_expected {
            self.state.observer.met_others(self.id);
        }
        if !as_expected && !unfenced {
            self.release_then(Ending::ExternalChange);
        } else if let Some(route) = differs {
            self.state.observer.is_about_to_write(self.id);
            self.me_mut().at = route;
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
                self.me_mut().set = Some(self.protocol.stage_weights(self.me()));
                self.go(Step::CheckMetrics);
                self.bake();
            }
            _ if self.me().again => self.wait(),
            _ if !self.me().second_pass && self.protocol.fences.second_pass => self.wait(),
            _ if self.me().is_restore() => self.go(Step::SwapRoles),
            _ if self.me().over.is_some() => self.release_then(Ending::FailedOver),
            _ => self.release_then(Ending::RolledBack),
        }
    }

    /// A write is refused for good, or every attempt at it has failed.
    pub(crate) fn is_refused(&mut self) {
        self.me_mut().window = None;
        match self.me().step {
            Step::ClaimRoutes if !self.me().is_restore() => self.refuse(),
            Step::ClaimRoutes if !self.protocol.fences.failed_restore_is_left => {
                self.release_then(Ending::PlanRejected);
            }
            Step::SetWeights => self.go(Step::RollBack),
            Step::SwapRoles => {
                self.state.observer.records_unknown = true;
                self.release_then(Ending::RolesNotRecorded);
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
        weights == me.set.unwrap_or(me.found[route]) || weights == self.protocol.stage_weights(me)
    }

    /// What the run found, or may have written; for a restore, anything that one of ours may have.
    fn may_hold_before_roll_back(&self, route: usize, weights: Weights) -> bool {
        let me = self.me();
        let written = if me.is_restore() {
            weights == self.protocol.start[route]
                || self.protocol.wants.iter().flatten().any(|stage| *stage == weights)
        } else {
            self.protocol.stages(me)[..=me.stage].contains(&weights)
        };
        let elsewhere =
            self.protocol.rechecks.contains(&weights) || self.protocol.elsewhere.contains(&weights);
        written || elsewhere || weights == me.found[route]
    }

    fn weights_are(&self, target: PerRoute<Weights>) -> bool {
        let weights = self.weights();
        self.my_routes().all(|route| weights[route] == target[route])
    }

    /// What it finds of its claim on an app, by the product's own rule.
    pub(super) fn hold(&self, app: usize) -> Hold {
        self.hold_of(self.state.locks[app].claim)
    }

    pub(super) fn hold_of(&self, held: Option<Held>) -> Hold {
        let name = |id: ExecutionId| id.0.to_string();
        let named = held.map(|held| hold::Held::new(name(held.by), held.reached));
        let restores =
            |name: &str| name.parse().is_ok_and(|id| self.finishes_work_of(self.id, ExecutionId(id)));
        hold::hold(named.as_ref(), &name(self.id), restores)
    }

    pub(super) fn all_hold(&self, hold: Hold) -> bool {
        self.my_apps().all(|app| self.hold(app) == hold)
    }

    /// Whether nobody else has taken one of my apps.
    pub(super) fn none_is_lost(&self) -> bool {
        let stripped = self.protocol.fences.stripped_goes_back;
        self.my_apps().all(|app| match self.hold(app) {
            Hold::Own | Hold::Inherited => true,
            Hold::Stripped => stripped,
            Hold::Lost => false,
        })
    }

    /// A restore stands in for those whose work it finishes: a claim of theirs is as good as its own.
    fn finishes_work_of(&self, id: ExecutionId, other: ExecutionId) -> bool {
        match self.state.execution(id).kind {
            Kind::Restore { of } => {
                of == other || self.protocol.fences.predecessors_are_mine && self.finishes_work_of(of, other)
            }
            Kind::Change { .. } => false,
        }
    }

    /// All my apps are to be written, beginning with the first.
    pub(super) fn write_all_apps(&mut self) {
        let me = self.me_mut();
        me.to_write = me.apps;
        me.at = me.apps.iter().position(|mine| *mine).unwrap_or(0);
    }

    /// Goes on to my next app, if there is one.
    pub(super) fn next_app(&mut self) -> bool {
        let me = self.me_mut();
        me.to_write[me.at] = false;
        let next = me.to_write.iter().position(|left| *left);
        me.at = next.unwrap_or(me.at);
        next.is_some()
    }
}
