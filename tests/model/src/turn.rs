//! One call of one execution: what it reads, what it concludes, what it does next.

mod claim;
mod release;
mod weights;

use crate::execution::{Call, Ending, Execution, Kind, Status, Step};
use crate::protocol::Protocol;
use crate::state::State;
use crate::world::{ExecutionId, Flight, PerRoute, Reached, Record, Weights, Write};

/// What `CheckMetrics` concludes; a third, to wait, changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On to the next stage.
    Advance,
    /// The release is not well.
    RollBack,
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
        me.call = Call::ReadTags;
    }

    pub(crate) fn me(&self) -> &Execution {
        self.state.execution(self.id)
    }

    pub(crate) fn me_mut(&mut self) -> &mut Execution {
        self.state.execution_mut(self.id)
    }

    /// My routes, by number.
    pub(crate) fn my_routes(&self) -> impl Iterator<Item = usize> + use<> {
        self.me().routes.into_iter().enumerate().filter_map(|(route, mine)| mine.then_some(route))
    }

    /// What is read of the weights.
    pub(crate) fn weights(&self) -> PerRoute<Weights> {
        self.state.routes.map(|route| route.weights)
    }

    pub(crate) fn next(&mut self, call: Call) {
        self.me_mut().call = call;
    }

    /// The invocation returns. Where the execution was interrupted, nobody hears it.
    pub(crate) fn go(&mut self, step: Step) {
        if self.me().status == Status::Interrupted {
            self.me_mut().forget();
        } else {
            self.me_mut().begin(step);
        }
    }

    /// On to the ending, by way of `ReleaseRoutes`.
    pub(crate) fn release_then(&mut self, ending: Ending) {
        self.me_mut().then = Some(ending);
        self.go(Step::ReleaseRoutes);
        let settled = matches!(ending, Ending::Success | Ending::RolledBack | Ending::Restored);
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

/// The write that an execution has on its way when its call is `Write`.
pub fn in_flight(protocol: &Protocol, state: &State, id: ExecutionId) -> Flight {
    let execution = state.execution(id);
    let route = execution.route;
    let found = execution.found[route];
    let fences = protocol.fences;
    let reached =
        if execution.finished && fences.claim_keeps_done { Reached::Done } else { Reached::Nothing };
    let write = match (execution.step, execution.kind) {
        (Step::ClaimRoutes, _) => Write::Claim { before: Record { weights: found, reached } },
        (Step::SetWeights, _) => Write::Weights(protocol.stage_weights(execution)),
        (Step::SwapRoles, Kind::Change { .. }) => {
            let mark = fences.swap_marks_done.then_some(Reached::Done);
            Write::Finish { weights: protocol.last_weights(execution), mark }
        }
        (Step::SwapRoles, Kind::Restore { .. }) => {
            let for_all = execution.finished || !fences.restore_speaks_for_one_route;
            let mark = if for_all { Reached::Done } else { Reached::Restored };
            Write::Finish { weights: found, mark: fences.swap_marks_done.then_some(mark) }
        }
        (Step::RollBack, _) => Write::Weights(found),
        _ => Write::Release { keep_before: execution.then == Some(Ending::RollBackFailed) },
    };
    Flight { by: id, route, write, window: execution.window.unwrap_or_default() }
}
