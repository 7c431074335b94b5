//! One call of one execution: what it reads, what it concludes, what it does next.

mod claim;
mod release;
mod weights;

use failover::model::hold::Reached;

use crate::execution::{Call, Come, Ending, Execution, Kind, Status, Step};
use crate::protocol::Protocol;
use crate::state::State;
use crate::world::{ExecutionId, Flight, PerRoute, Weights, Write};

/// What `CheckMetrics` concludes; a third, to wait, changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On to the next stage.
    Advance,
    /// The release is not well.
    RollBack,
    /// The standby is set back for a while, to be compared again.
    Recheck,
}

/// The turn of one execution.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The rules.
    pub protocol: &'a Protocol,
    /// The world.
    pub state: &'a mut State,
    /// Whose turn it is.
    pub id: ExecutionId,
}

impl Turn<'_> {
    /// Makes the next call.
    pub fn take(&mut self) {
        if self.me().call == Call::Wait {
            return self.wait_is_over();
        }
        match self.me().step {
            Step::PlanShift if self.me().is_restore() => self.plan_restore(),
            Step::PlanShift => self.plan_shift(),
            Step::ClaimRoutes if self.me().is_restore() => self.claim_for_restore(),
            Step::ClaimRoutes => self.claim_routes(),
            Step::SetWeights => self.set_weights(),
            Step::CheckMetrics => self.check_metrics(Verdict::Advance),
            Step::SwapRoles => self.swap_roles(),
            Step::RollBack => self.roll_back(),
            Step::ReleaseRoutes => self.release_routes(),
        }
    }

    fn wait_is_over(&mut self) {
        let me = self.me_mut();
        me.second_pass = me.step == Step::RollBack;
        me.again = false;
        me.call = Call::ReadTags;
    }

    pub(crate) fn me(&self) -> &Execution {
        self.state.execution(self.id)
    }

    pub(crate) fn me_mut(&mut self) -> &mut Execution {
        self.state.execution_mut(self.id)
    }

    /// My apps, by number.
    pub(crate) fn my_apps(&self) -> impl Iterator<Item = usize> + use<> {
        self.me().apps.into_iter().enumerate().filter_map(|(app, mine)| mine.then_some(app))
    }

    /// Their routes, by number.
    pub(crate) fn my_routes(&self) -> impl Iterator<Item = usize> + use<'_> {
        self.my_apps().flat_map(|app| self.protocol.routes_of(app))
    }

    /// What is read of the weights.
    pub(crate) fn weights(&self) -> PerRoute<Weights> {
        self.state.routes
    }

    pub(crate) fn next(&mut self, call: Call) {
        self.me_mut().call = call;
    }

    /// The invocation returns. Where the execution was interrupted, nobody hears it.
    pub(crate) fn go(&mut self, step: Step) {
        let me = self.me_mut();
        if me.status == Status::Interrupted {
            return me.forget();
        }
        me.come = match (me.step, step) {
            (Step::PlanShift, _) => Come::Planned,
            (Step::ClaimRoutes, Step::SetWeights | Step::RollBack) => Come::Claimed,
            (Step::SwapRoles, _) if matches!(me.then, Some(Ending::Success | Ending::Restored)) => {
                Come::Swapped
            }
            _ => me.come,
        };
        me.begin(step);
    }

    /// On to the ending, by way of `ReleaseRoutes`.
    pub(crate) fn release_then(&mut self, ending: Ending) {
        self.me_mut().then = Some(ending);
        self.go(Step::ReleaseRoutes);
        let settled =
            matches!(ending, Ending::Success | Ending::RolledBack | Ending::FailedOver | Ending::Restored);
        if !settled && self.protocol.fences.settle_before_release {
            self.wait();
        }
    }

    pub(crate) fn end(&mut self, ending: Ending) {
        let me = self.me_mut();
        if me.status == Status::Running {
            me.status = Status::Ended(ending);
            me.step = Step::PlanShift;
        }
        me.forget();
        let me = *me;
        let last = self.protocol.last_weights(&me);
        self.state.observer.ended(self.id, &me, last);
    }

    /// The invocation waits.
    pub(crate) fn settle(&mut self) {
        self.me_mut().window = None;
        self.state.begin_to_settle(self.id);
        self.next(Call::Settle);
    }

    /// The invocation is over, and the state machine waits before the next one.
    pub(crate) fn wait(&mut self) {
        if self.me().status == Status::Interrupted {
            self.me_mut().forget();
        } else {
            self.me_mut().window = None;
            self.state.begin_to_settle(self.id);
            self.next(Call::Wait);
        }
    }

    /// My next write lands.
    pub(crate) fn land(&mut self) {
        let flight = in_flight(self.protocol, self.state, self.id);
        self.state.land(&flight);
    }
}

/// The write that an execution has on its way when its call is `Write` or `ClaimAnew`.
pub fn in_flight(protocol: &Protocol, state: &State, id: ExecutionId) -> Flight {
    let execution = state.execution(id);
    let (fences, to) = (protocol.fences, execution.at);
    let found = |app: usize| protocol.routes_of(app).next().map(|route| execution.found[route]);
    let claimed =
        if execution.finished && fences.claim_keeps_done { Reached::Done } else { Reached::Nothing };
    let write = match (execution.step, execution.kind) {
        (Step::ClaimRoutes, _) => Write::Tags { reached: claimed, live: found(to) },
        (Step::RollBack, _) if execution.call == Call::ClaimAnew => {
            Write::Tags { reached: claimed, live: found(to) }
        }
        (Step::SetWeights, _) => Write::Weights(protocol.stage_weights(execution)),
        (Step::SwapRoles, Kind::Change { .. }) => {
            let reached = if fences.swap_marks_done { Reached::Done } else { Reached::Nothing };
            Write::Tags { reached, live: Some(protocol.last_weights(execution)) }
        }
        (Step::SwapRoles, Kind::Restore { .. }) => {
            let for_all = execution.finished || !fences.restore_speaks_for_one_app;
            let reached = if for_all { Reached::Done } else { Reached::Restored };
            Write::Tags { reached, live: found(to) }
        }
        (Step::RollBack, _) => Write::Weights(execution.over.unwrap_or(execution.found[to])),
        _ if !fences.release_leaves_a_trace => Write::Removal,
        _ => {
            let left = execution.then == Some(Ending::RollBackFailed);
            Write::Tags { reached: if left { Reached::Left } else { Reached::Released }, live: None }
        }
    };
    Flight { by: id, to, write, window: execution.window.unwrap_or_default() }
}
