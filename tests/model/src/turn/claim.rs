//! `PlanShift` and `ClaimRoutes`: who may take an app, and when.

use failover::model::claim::Claim;
use failover::model::hold::{Hold, Reached, has_ended, refusal};

use super::Turn;
use crate::execution::{Call, Come, Ending, Kind, Status, Step};
use crate::world::{ExecutionId, Held, MOST_ROUTES, PerRoute, Weights};

impl Turn<'_> {
    /// Reads the weights before the tags: nothing is written yet, and `ClaimRoutes` reads both again.
    pub(super) fn plan_shift(&mut self) {
        let call = self.me().call;
        match call {
            Call::ReadWeights => {
                self.me_mut().found = self.weights();
                self.state.observer.found(self.id);
                self.next(Call::ReadTags);
            }
            Call::ReadTags if self.read_holders() => self.next(Call::LookAtHolders),
            Call::LookAtHolders if !self.may_take_claims() => self.end(Ending::PlanRejected),
            _ => self.claims_are_planned(),
        }
    }

    fn claims_are_planned(&mut self) {
        self.forget_holders();
        self.go(Step::ClaimRoutes);
    }

    pub(super) fn claim_routes(&mut self) {
        let fences = self.protocol.fences;
        let call = self.me().call;
        match call {
            Call::ReadTags => {
                self.state.open_window(self.id);
                let held = self.read_holders();
                self.next(if held { Call::LookAtHolders } else { Call::ReadWeights });
            }
            Call::LookAtHolders if self.may_take_claims() => self.next(Call::ReadWeights),
            Call::ReadWeights => {
                self.forget_holders();
                let may_claim = !fences.weights_before_claim || self.weights_are_as_found();
                if may_claim {
                    self.write_all_apps();
                    self.next(Call::Write);
                } else {
                    self.refuse();
                }
            }
            Call::Write => {
                self.land();
                if self.next_app() {
                    return;
                }
                self.me_mut().window = None;
                if fences.settle_after_claim {
                    self.settle();
                } else {
                    self.next(Call::ReadTagsBack);
                }
            }
            Call::Settle => self.next(Call::ReadTagsBack),
            Call::ReadTagsBack if self.all_hold(Hold::Own) || !fences.claim_read_back => {
                self.next(Call::ReadWeightsBack);
            }
            Call::ReadWeightsBack if self.weights_are_as_found() || !fences.weights_read_back => {
                let settled = self.protocol.is_settled(self.state) && self.weights_are_as_found();
                self.state.observer.found(self.id);
                if self.me().status == Status::Running {
                    self.state.observer.claimed(self.weights(), settled);
                }
                self.next(Call::LookAtSelf);
            }
            Call::LookAtHolders | Call::ReadTagsBack | Call::ReadWeightsBack => self.refuse(),
            _ => self.look_at_self(),
        }
    }

    /// Stopped meanwhile: nobody else gives the claims back, so this invocation does.
    fn look_at_self(&mut self) {
        let interrupted = self.me().status == Status::Interrupted;
        match self.me().then {
            _ if interrupted && self.protocol.fences.look_at_self => self.me_mut().begin(Step::ReleaseRoutes),
            Some(ending) => self.release_then(ending),
            None if self.me().is_restore() => self.go(Step::RollBack),
            None => self.go(Step::SetWeights),
        }
    }

    pub(crate) fn refuse(&mut self) {
        self.forget_holders();
        let me = self.me_mut();
        me.then = Some(Ending::PlanRejected);
        me.window = None;
        self.next(Call::LookAtSelf);
    }

    /// Finds the apps that the execution that it restores holds, or those that that one was to restore; or
    /// that nobody holds, since somebody may have removed the claim. Their histories, newest first, tell what
    /// to go back to.
    pub(super) fn plan_restore(&mut self) {
        if self.me().call == Call::ReadTags {
            self.read_holders();
            return self.next(Call::ReadHistories);
        }
        let holders = self.me().holders;
        let mut left = [false; MOST_ROUTES];
        let mut found = self.me().found;
        let mut reached = Vec::new();
        for (app, held) in holders.into_iter().enumerate().take(self.protocol.apps) {
            let Some((of, at)) = self.recorded_by(app, held) else { continue };
            left[app] = true;
            reached.push((at, of));
            for route in self.protocol.routes_of(app) {
                found[route] = self.state.execution(of).found[route];
            }
        }
        let finished = has_ended(reached.iter().map(|(reached, _)| *reached));
        if let Some((_, of)) = reached.iter().find(|(reached, _)| *reached == Reached::Done) {
            let of = self.state.execution(*of);
            found = [self.protocol.end_of(of); MOST_ROUTES];
        }
        self.forget_holders();
        let me = self.me_mut();
        (me.apps, me.found, me.finished) = (left, found, finished);
        if left.contains(&true) {
            self.go(Step::ClaimRoutes);
        } else {
            self.end(Ending::Unchanged);
        }
    }

    /// Whose history tells what is to be put back on an app, and what that one has reached there.
    fn recorded_by(&self, app: usize, held: Option<Held>) -> Option<(ExecutionId, Reached)> {
        match self.hold_of(held) {
            Hold::Own | Hold::Inherited => held.map(|held| (held.by, held.reached)),
            Hold::Stripped if self.protocol.fences.stripped_goes_back => {
                // One whose `ClaimRoutes` is not over has written no weights.
                let claimed = |id: &ExecutionId| {
                    let execution = self.state.execution(*id);
                    execution.come >= Come::Claimed && execution.apps[app]
                };
                let of = self.chain().find(claimed)?;
                let execution = self.state.execution(of);
                match execution.come {
                    Come::Released => None,
                    Come::Swapped if !execution.is_restore() => Some((of, Reached::Done)),
                    _ => Some((of, Reached::Nothing)),
                }
            }
            Hold::Stripped | Hold::Lost => None,
        }
    }

    /// Those whose work a restore is to finish, newest first.
    fn chain(&self) -> impl Iterator<Item = ExecutionId> {
        let before = |id: ExecutionId| match self.state.execution(id).kind {
            Kind::Restore { of } => Some(of),
            Kind::Change { .. } => None,
        };
        std::iter::successors(before(self.id), move |id| before(*id))
    }

    /// A history does not show yet what has happened.
    pub(crate) fn histories_are_unseen(&mut self) {
        if self.protocol.fences.unseen_is_not_nothing {
            self.forget_holders();
            self.me_mut().begin(Step::PlanShift);
        } else {
            self.end(Ending::Unchanged);
        }
    }

    /// A restore makes haste: it claims and goes on, and leaves the waiting to `RollBack`. Where it was
    /// stopped itself it leaves the claims to the restore that follows.
    pub(super) fn claim_for_restore(&mut self) {
        match self.me().call {
            Call::ReadTags => {
                self.state.open_window(self.id);
                if self.may_claim_for_restore() {
                    self.write_all_apps();
                    self.look_at_self_before(Call::Write);
                } else {
                    self.release_then(Ending::ExternalChange);
                }
            }
            Call::LookAtSelfFirst => self.go_on_if_running(Call::Write),
            Call::Write => {
                self.land();
                if self.next_app() {
                    return;
                }
                self.me_mut().window = None;
                if self.protocol.fences.stopped_restore_keeps_claims {
                    self.go(Step::RollBack);
                } else {
                    self.next(Call::LookAtSelf);
                }
            }
            _ => self.look_at_self(),
        }
    }

    fn may_claim_for_restore(&self) -> bool {
        let running = |held: Held| self.state.execution(held.by).status == Status::Running;
        self.my_apps().all(|app| match self.hold(app) {
            Hold::Own | Hold::Inherited | Hold::Stripped => true,
            Hold::Lost if self.protocol.fences.restore_claims_only_its_own => false,
            Hold::Lost => self.state.locks[app].claim.is_some_and(|held| !running(held)),
        })
    }

    /// Whether somebody else holds an app.
    fn read_holders(&mut self) -> bool {
        let (id, locks) = (self.id, self.state.locks);
        let mine = |held: &Held| held.by == id;
        let held = locks.map(|lock| lock.claim.filter(|held| !held.reached.is_over()));
        let restore = self.me().is_restore();
        let me = self.me_mut();
        // A restore must know what was given back from what was removed.
        me.holders =
            if restore { locks.map(|lock| lock.claim) } else { held.map(|held| held.filter(|h| !mine(h))) };
        me.holders.iter().any(Option::is_some)
    }

    /// Whether the claims may be taken, by the product's own rule.
    fn may_take_claims(&self) -> bool {
        self.me().holders.into_iter().flatten().all(|held| refusal(&self.as_seen(held)).is_none())
    }

    /// A claim as the product knows it, but for what a fence that is down keeps from it.
    fn as_seen(&self, held: Held) -> Claim {
        let fences = self.protocol.fences;
        let name = || format!("{:?}", held.by);
        match self.state.execution(held.by).status {
            Status::Running if fences.running_holds => Claim::Running(name()),
            Status::Ended(_) => Claim::Ended(name()),
            Status::Interrupted if fences.interrupted_holds => Claim::Interrupted(name()),
            Status::Running | Status::Interrupted => Claim::Free,
        }
    }

    fn weights_are_as_found(&self) -> bool {
        let (found, weights): (PerRoute<Weights>, PerRoute<Weights>) = (self.me().found, self.weights());
        self.my_routes().all(|route| found[route] == weights[route])
    }

    fn forget_holders(&mut self) {
        self.me_mut().holders = [None; MOST_ROUTES];
    }
}
