//! The observer sees everything and touches nothing: what the properties need to know about the
//! past of a state. No execution reads from here.

use crate::execution::{Ending, Execution, Status};
use crate::world::{ExecutionId, Executions, Flight, MOST_ROUTES, PerRoute, Weights};

/// The most executions of a model, with a restore for each stop.
pub const MOST_EXECUTIONS: usize = 8;

/// Something that must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// A write of weights landed on weights that another execution had changed meanwhile.
    Interleaved = 1,
    /// A write of weights landed on foreign weights that its check could have seen.
    ForeignOverwritten = 2,
    /// An execution went on to write weights after it had read foreign ones.
    WroteAfterForeign = 4,
    /// `ClaimRoutes` passed at weights that somebody was to put back, or that were not planned.
    StartedUnsettled = 8,
    /// A last stage passed at weights that were not the stage's.
    PassedElsewhere = 16,
}

/// What the observer has noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Observer {
    /// Per route, whose weights another execution has changed since they were found.
    changed: PerRoute<Executions>,
    /// Per route, whose weights the foreign writer has changed since they were found.
    changed_by_foreigner: PerRoute<Executions>,
    /// For every execution itself and those that it finishes the work of.
    kin: [Executions; MOST_EXECUTIONS],
    /// Who has written weights.
    pub wrote: Executions,
    /// Who has read foreign weights.
    met_foreigner: Executions,
    /// Where the routes belong: the weights at the start or of the last success.
    pub settled: PerRoute<Weights>,
    /// Executions that have passed their last stage: their last weights are fine, too.
    pub committed: Executions,
    /// Whether the foreign writer has written, or a rollback has failed for good.
    pub unknown: bool,
    /// Whose invocation died after a stop, or crashed with a claim on its way.
    pub left_for_dead: Executions,
    /// Whether the records could not be written.
    pub records_unknown: bool,
    /// The faults seen, as bits.
    faults: u8,
}

impl Observer {
    /// Before anything has happened.
    pub fn new(executions: usize, start: PerRoute<Weights>) -> Self {
        let mut kin = [Executions::default(); MOST_EXECUTIONS];
        for id in (0..).take(executions) {
            kin[usize::from(id)].insert(ExecutionId(id));
        }
        Self {
            changed: [Executions::default(); MOST_ROUTES],
            changed_by_foreigner: [Executions::default(); MOST_ROUTES],
            kin,
            wrote: Executions::default(),
            met_foreigner: Executions::default(),
            settled: start,
            committed: Executions::default(),
            unknown: false,
            left_for_dead: Executions::default(),
            records_unknown: false,
            faults: 0,
        }
    }

    /// Whether a fault was seen.
    pub const fn has_seen(&self, fault: Fault) -> bool {
        self.faults & fault as u8 != 0
    }

    const fn note(&mut self, fault: Fault) {
        self.faults |= fault as u8;
    }

    /// Whether one of two executions finishes the work of the other.
    pub const fn are_kin(&self, a: ExecutionId, b: ExecutionId) -> bool {
        self.kin[a.0 as usize].meets(self.kin[b.0 as usize])
    }

    /// An execution was stopped, and a restore of it was started.
    pub fn stopped(&mut self, id: ExecutionId, restore: ExecutionId) {
        self.kin[usize::from(restore.0)].insert(restore);
        let kin = self.kin[usize::from(id.0)];
        let mine = &mut self.kin[usize::from(restore.0)];
        *mine = mine.union(kin);
        for route in 0..MOST_ROUTES {
            for changed in [&mut self.changed[route], &mut self.changed_by_foreigner[route]] {
                changed.set(restore, changed.contains(id));
            }
        }
    }

    /// The last stage has passed: from now on its weights are as good as those found.
    pub const fn passed_last_stage(&mut self, id: ExecutionId, at_its_weights: bool) {
        if !at_its_weights {
            self.note(Fault::PassedElsewhere);
        }
        self.committed.insert(id);
    }

    /// An execution takes the weights it reads for those that it found.
    pub fn found(&mut self, id: ExecutionId) {
        for route in 0..MOST_ROUTES {
            self.changed[route].remove(id);
            self.changed_by_foreigner[route].remove(id);
        }
    }

    /// `ClaimRoutes` passed: `settled` says whether the weights it found belong there.
    pub const fn claimed(&mut self, found: PerRoute<Weights>, settled: bool) {
        if !settled {
            self.note(Fault::StartedUnsettled);
        }
        self.settled = found;
        self.committed = Executions::none();
    }

    /// An execution has read weights that it must not touch.
    pub fn met_others(&mut self, id: ExecutionId) {
        if self.changed_by_foreigner.iter().any(|changed| changed.contains(id)) {
            self.met_foreigner.insert(id);
        }
    }

    /// An execution's check has passed, and it is about to write weights.
    pub const fn is_about_to_write(&mut self, id: ExecutionId) {
        if self.met_foreigner.contains(id) {
            self.note(Fault::WroteAfterForeign);
        }
    }

    /// An execution's weights land.
    pub fn landed(&mut self, flight: &Flight, changes: bool, executions: &[Execution]) {
        let Flight { by, to: route, .. } = *flight;
        self.wrote.insert(by);
        if !changes {
            return;
        }
        // Where a dead fleet had been found, what was found counts no more.
        let over = executions[usize::from(by.0)].over.is_some();
        if self.changed[route].contains(by) && !over {
            self.note(Fault::Interleaved);
        }
        if self.changed_by_foreigner[route].contains(by) && !flight.window.excused {
            self.note(Fault::ForeignOverwritten);
        }
        self.changed_by_foreigner[route] = Executions::none();
        for id in (0..).take(executions.len()).map(ExecutionId) {
            if !self.are_kin(id, by) {
                self.changed[route].insert(id);
            }
        }
    }

    /// The foreign writer's weights land.
    pub fn foreigner_landed(&mut self, route: usize, executions: &[Execution]) {
        self.unknown = true;
        for id in (0..).take(executions.len()).map(ExecutionId) {
            self.changed_by_foreigner[route].insert(id);
        }
    }

    /// An execution has ended by itself.
    pub fn ended(&mut self, id: ExecutionId, execution: &Execution, last: Weights) {
        let stands = matches!(execution.status, Status::Ended(Ending::Success | Ending::RolesNotRecorded));
        if stands && self.committed.contains(id) {
            self.settled = [last; MOST_ROUTES];
            self.committed = Executions::none();
        }
    }
}
