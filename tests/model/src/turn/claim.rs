//! `PlanShift` and `ClaimRoutes`: who may take a route, and when.

use std::collections::BTreeSet;

use failover::model::claim::{Claim, end_of_run, refusal};
use failover::model::{RouteWeights, claim};

use super::Turn;
use crate::execution::{Call, Ending, Status, Step};
use crate::world::{ExecutionId, MOST_ROUTES, Reached, Record, Weights};

/// The fleets' names, as far as the product's rules need any.
const FLEETS: [&str; 2] = ["live", "standby"];

/// Weights as the product has them.
fn named(weights: Weights) -> RouteWeights {
    let both = [100 - u16::from(weights.0), weights.0.into()];
    FLEETS.map(Into::into).into_iter().zip(both).collect()
}

/// A record as the product has it.
fn recorded(record: Record) -> claim::Record {
    let Record { weights, reached } = record;
    claim::Record { before: named(weights), live: FLEETS[0].into(), reached, may_write: BTreeSet::new() }
}

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
            Call::LookAtHolders if !self.may_take_claims() => {
                self.end(Ending::PlanRejected);
            }
            _ => {
                self.forget_holders();
                self.go(Step::ClaimRoutes);
            }
        }
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
                let may_claim = !fences.weights_before_claim || self.weights_are_as_found();
                self.forget_holders();
                if may_claim { self.next(Call::Write) } else { self.refuse() }
            }
            Call::Write => {
                self.land();
                if self.next_route() {
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
            Call::ReadTagsBack if self.claims_are_mine() || !fences.claim_read_back => {
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

    /// Stopped meanwhile: nobody else removes the claims, so this invocation does.
    fn look_at_self(&mut self) {
        let interrupted = self.me().status == Status::Interrupted;
        match self.me().then {
            _ if interrupted && self.protocol.fences.look_at_self => self.me_mut().begin(Step::ReleaseRoutes),
            Some(ending) => self.release_then(ending),
            None if self.me().is_restore() => self.go(Step::RollBack),
            None => self.go(Step::SetWeights),
        }
    }

    pub(super) fn refuse(&mut self) {
        self.forget_holders();
        let me = self.me_mut();
        me.then = Some(Ending::PlanRejected);
        me.window = None;
        self.next(Call::LookAtSelf);
    }

    /// Finds the claims of the execution that it restores, and of those that that one was to restore.
    pub(super) fn plan_restore(&mut self) {
        let routes = self.state.routes;
        let left = routes.map(|route| route.claim.is_some_and(|claim| self.counts_as_mine(claim)));
        // A claim and its record are written and removed together.
        let records =
            routes.map(|r| r.before.unwrap_or(Record { weights: r.live, reached: Reached::Nothing }));
        let of_chain = records.into_iter().zip(left).filter(|(_, left)| *left);
        let of_chain: Vec<claim::Record> = of_chain.map(|(record, _)| recorded(record)).collect();
        let done = end_of_run(of_chain.iter());
        let end = done.and_then(|end| records.into_iter().find(|record| named(record.weights) == end.before));
        let me = self.me_mut();
        me.routes = left;
        me.found = records.map(|record| end.unwrap_or(record).weights);
        me.finished = end.is_some();
        if left.contains(&true) {
            self.go(Step::ClaimRoutes);
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
                    self.me_mut().route = self.my_routes().next().unwrap_or(0);
                    self.next(Call::Write);
                } else {
                    self.release_then(Ending::Overtaken);
                }
            }
            Call::Write => {
                self.land();
                if self.next_route() {
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
        let only_its_own = self.protocol.fences.restore_claims_only_its_own;
        self.my_routes().all(|route| match self.state.routes[route].claim {
            Some(claim) if self.counts_as_mine(claim) => true,
            Some(claim) => !only_its_own && self.state.execution(claim).status != Status::Running,
            None => !only_its_own,
        })
    }

    /// Whether somebody else holds a route.
    fn read_holders(&mut self) -> bool {
        let id = self.id;
        let routes = self.state.routes;
        let held = routes.map(|route| route.claim.is_some_and(|claim| claim != id));
        let me = self.me_mut();
        for route in 0..MOST_ROUTES {
            me.holders[route] = routes[route].claim.filter(|_| held[route]);
            me.untouched[route] = routes[route].before.filter(|_| held[route]);
        }
        self.me_mut().long_ago =
            routes.map(|route| route.claim.is_some_and(|claim| self.state.is_gone(claim)));
        held.contains(&true)
    }

    /// Whether all routes may be taken, by the product's own rule.
    fn may_take_claims(&self) -> bool {
        let me = self.me();
        let refused = |route: usize| {
            let record = me.untouched[route].map(|record| recorded(self.as_recorded(record)));
            refusal(&self.as_seen(route, me.holders[route]), record.as_ref(), &named(me.found[route]))
                .is_some()
        };
        !(0..MOST_ROUTES).any(refused)
    }

    /// A claim as the product knows it, but for what a fence that is down keeps from it.
    fn as_seen(&self, route: usize, holder: Option<ExecutionId>) -> Claim {
        let fences = self.protocol.fences;
        let Some(holder) = holder else { return Claim::Free };
        let name = format!("{holder:?}");
        match self.state.execution(holder).status {
            Status::Running if fences.running_holds => Claim::Running(name),
            Status::Ended(_) => Claim::Ended(name),
            Status::Interrupted if fences.interrupted_holds => Claim::Interrupted {
                execution: name,
                settled: self.me().long_ago[route] || !fences.interrupted_long_ago,
            },
            Status::Running | Status::Interrupted => Claim::Free,
        }
    }

    /// The same of a record. A run that has finished, or put back, has changed something, even if the weights are
    /// those of its record: a restore that made its plan before may be about to put back others.
    fn as_recorded(&self, record: Record) -> Record {
        let fences = self.protocol.fences;
        let holds = match record.reached {
            Reached::Nothing => true,
            Reached::Restored => fences.restored_holds,
            Reached::Done => fences.done_holds,
        };
        Record { reached: if holds { record.reached } else { Reached::Nothing }, ..record }
    }

    fn weights_are_as_found(&self) -> bool {
        let (found, weights) = (self.me().found, self.weights());
        self.my_routes().all(|route| found[route] == weights[route])
    }

    fn forget_holders(&mut self) {
        let me = self.me_mut();
        (me.holders, me.untouched) = ([None; MOST_ROUTES], [None; MOST_ROUTES]);
        me.long_ago = [false; MOST_ROUTES];
    }
}
