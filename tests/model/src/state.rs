//! A state of the whole world.

use crate::execution::{Call, Ending, Execution, Kind, Status, Step};
use crate::observer::Observer;
use crate::world::{ExecutionId, Flight, Held, Lock, MOST_ROUTES, PerApp, PerRoute, Weights, Window, Write};

/// Routes, executions, and what may still happen to them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// What the balancer does on each route.
    pub routes: PerRoute<Weights>,
    /// What the tags of each app say.
    pub locks: PerApp<Lock>,
    /// The executions, in the order in which they were started.
    pub executions: Vec<Execution>,
    /// Writes of invocations that crashed, which may land all the same.
    pub strays: Vec<Flight>,
    /// How many more stops there may be.
    pub stops_left: u8,
    /// How many more crashes there may be.
    pub crashes_left: u8,
    /// Whether the foreign writer has yet to write.
    pub foreigner_left: bool,
    /// Whether infrastructure code has yet to remove the tags of an app.
    pub strips_left: bool,
    /// What the observer has noted.
    pub observer: Observer,
}

impl State {
    /// An execution by its name.
    pub fn execution(&self, id: ExecutionId) -> &Execution {
        &self.executions[usize::from(id.0)]
    }

    /// An execution by its name, to be changed.
    pub fn execution_mut(&mut self, id: ExecutionId) -> &mut Execution {
        &mut self.executions[usize::from(id.0)]
    }

    /// The names of all executions.
    pub fn ids(&self) -> impl Iterator<Item = ExecutionId> + use<> {
        (0..).take(self.executions.len()).map(ExecutionId)
    }

    /// Whether some execution has come to this ending.
    pub fn has_ended(&self, ending: Ending) -> bool {
        self.executions.iter().any(|execution| execution.status == Status::Ended(ending))
    }

    /// Whether nothing is left that could write: no invocation, no write on its way.
    pub fn is_quiet(&self) -> bool {
        self.strays.is_empty() && self.executions.iter().all(|execution| execution.call == Call::Nothing)
    }

    /// Begins a wait: every write that was checked by now is waited for.
    pub fn begin_to_settle(&mut self, id: ExecutionId) {
        let own = self.executions.iter_mut().filter_map(|execution| execution.window.as_mut());
        let strays = self.strays.iter_mut().map(|stray| &mut stray.window);
        own.chain(strays).for_each(|window| window.awaited_by.insert(id));
    }

    /// Whether a wait is over.
    pub fn has_settled(&self, id: ExecutionId) -> bool {
        let own = self.executions.iter().filter_map(|execution| execution.window.as_ref());
        let strays = self.strays.iter().map(|stray| &stray.window);
        !own.chain(strays).any(|window| window.awaited_by.contains(id))
    }

    /// A write lands.
    pub fn land(&mut self, flight: &Flight) {
        match flight.write {
            Write::Tags { reached, live } => {
                let lock = &mut self.locks[flight.to];
                lock.claim = Some(Held { by: flight.by, reached });
                lock.live = live.unwrap_or(lock.live);
            }
            Write::Removal => self.locks[flight.to].claim = None,
            Write::Weights(weights) => {
                let route = &mut self.routes[flight.to];
                let changes = *route != weights;
                *route = weights;
                self.observer.landed(flight, changes, &self.executions);
            }
        }
    }

    /// Infrastructure code removes the tags of an app, which it does not know.
    pub fn strip(&mut self, app: usize) {
        self.strips_left = false;
        self.locks[app].claim = None;
        // What was recorded is gone as well.
        self.observer.records_unknown = true;
    }

    /// The foreign writer writes.
    pub fn land_foreign(&mut self, route: usize, weights: Weights) {
        self.foreigner_left = false;
        self.routes[route] = weights;
        self.observer.foreigner_landed(route, &self.executions);
        // A check that has yet to read the weights sees the foreign ones and is not excused.
        let own = self.executions.iter_mut().filter(|execution| execution.is_writing_weights());
        let own = own.filter_map(|execution| execution.window.as_mut());
        let strays = self.strays.iter_mut().map(|stray| &mut stray.window);
        own.chain(strays).for_each(|window| window.excused = true);
    }

    /// A person stops an execution, or it dies. What its invocation is doing goes on.
    pub fn stop(&mut self, id: ExecutionId) {
        self.stops_left -= 1;
        let restore = ExecutionId(u8::try_from(self.executions.len()).unwrap_or(u8::MAX));
        self.observer.stopped(id, restore);
        let execution = self.execution_mut(id);
        execution.status = Status::Interrupted;
        if matches!(execution.step, Step::PlanShift | Step::CheckMetrics) || execution.call == Call::Wait {
            execution.forget();
        }
        self.executions.push(Execution::new(Kind::Restore { of: id }, [false; MOST_ROUTES]));
    }

    /// An invocation crashes, and the step is begun again, at once or after SETTLE. A write that it
    /// sent may land later.
    pub fn crash(&mut self, id: ExecutionId, sent: Option<Flight>, settles: bool) {
        self.crashes_left -= 1;
        self.strays.extend(sent);
        let execution = self.execution_mut(id);
        let second_pass = execution.second_pass;
        execution.begin(execution.step);
        execution.second_pass = second_pass;
        if settles {
            execution.call = Call::Wait;
            self.begin_to_settle(id);
        }
    }

    /// The window of a check that begins now.
    pub fn open_window(&mut self, id: ExecutionId) {
        self.execution_mut(id).window = Some(Window::default());
    }
}
