//! The model that the checker explores: who takes part, what may happen next.

use failover::model::hold::Reached;
use stateright::{Model, Property};

use crate::execution::{Call, Execution, Kind, Status, Step};
use crate::fences::Fences;
use crate::observer::Observer;
use crate::properties;
use crate::state::State;
use crate::turn::{Turn, Verdict, in_flight};
use crate::world::{ExecutionId, FOREIGN, Held, Lock, MOST_ROUTES, PerApp, PerRoute, Weights};

/// Who takes part, and which fences are up.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // A row of switches is what it is.
pub struct Protocol {
    /// How many routes there are.
    pub routes: usize,
    /// How many apps they belong to, each as many as the others. All executions move all apps.
    pub apps: usize,
    /// What the routes give at the very start.
    pub start: PerRoute<Weights>,
    /// The stages of each execution that is started at the beginning.
    pub wants: Vec<Vec<Weights>>,
    /// How many executions may be stopped, restores included.
    pub stops: u8,
    /// How many invocations may crash and be tried again.
    pub crashes: u8,
    /// Whether somebody else writes weights, once.
    pub foreigner: bool,
    /// Whether infrastructure code removes the tags of an app, once.
    pub strips: bool,
    /// Whether a write may fail however often it is tried.
    pub refusals: bool,
    /// What the standby gets to be compared again with a fleet that was left with too little, by list of stages;
    /// none where no stage is interrupted for that.
    pub rechecks: Vec<Weights>,
    /// Where a rollback may lead instead of back, since what it would put back feeds a dead fleet.
    pub elsewhere: Vec<Weights>,
    /// Whether a run may leave the traffic to people where it is.
    pub halts: bool,
    /// The fences.
    pub fences: Fences,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An execution makes its next call.
    Turn(ExecutionId),
    /// `CheckMetrics` decides on a rollback.
    RollBack(ExecutionId),
    /// `CheckMetrics` sets the standby back for a while.
    Recheck(ExecutionId),
    /// `CheckMetrics`, or `RollBack`, finds both fleets dead and leaves the traffic where it is.
    Halt(ExecutionId),
    /// `RollBack` leads to the fleet that is well.
    FailOver(ExecutionId, usize),
    /// A write fails however often it is tried.
    Refuse(ExecutionId),
    /// A person stops an execution, or it times out.
    Stop(ExecutionId),
    /// What was still at work of a stopped execution comes to its end.
    Die(ExecutionId),
    /// An invocation crashes; what it was about to write is lost.
    Crash(ExecutionId),
    /// An invocation crashes; what it was about to write may land later.
    CrashInFlight(ExecutionId),
    /// The write of an invocation that crashed lands.
    Land(usize),
    /// The write of an invocation that crashed never lands.
    Lose(usize),
    /// The foreign writer writes.
    Foreign(usize),
    /// A history does not show yet what a restore has to know.
    Unseen(ExecutionId),
    /// The tags of an app are removed.
    Strip(usize),
}

impl Protocol {
    /// The routes of an app.
    pub const fn routes_of(&self, app: usize) -> std::ops::Range<usize> {
        let each = self.routes / self.apps;
        app * each..(app + 1) * each
    }

    /// The stages of an execution; none for a restore.
    pub fn stages(&self, execution: &Execution) -> &[Weights] {
        match execution.kind {
            Kind::Change { stages } => &self.wants[stages],
            Kind::Restore { .. } => &[],
        }
    }

    /// What a recheck of an execution gives the standby, where there is any.
    fn recheck(&self, execution: &Execution) -> Option<Weights> {
        match execution.kind {
            Kind::Change { stages } => self.rechecks.get(stages).copied(),
            Kind::Restore { .. } => None,
        }
    }

    /// The weights of the stage that an execution is at, or of the recheck that interrupts it.
    pub fn stage_weights(&self, execution: &Execution) -> Weights {
        if let Some(recheck) = self.recheck(execution).filter(|_| execution.recheck) {
            return recheck;
        }
        self.stages(execution).get(execution.stage).copied().unwrap_or(execution.found[0])
    }

    /// The weights that an execution is to end at.
    pub fn last_weights(&self, execution: &Execution) -> Weights {
        self.stages(execution).last().copied().unwrap_or(execution.found[0])
    }

    /// Whether these weights are on all apps of an interrupted execution what a restore of it would put back.
    pub fn is_as_restored(&self, state: &State, held: Held) -> bool {
        let holder = state.execution(held.by);
        let ended = held.reached == Reached::Done;
        let target = |route: usize| if ended { self.end_of(holder) } else { holder.found[route] };
        self.routes_of_apps(&holder.apps).all(|route| state.routes[route] == target(route))
    }

    /// The routes of some apps.
    pub fn routes_of_apps(&self, apps: &PerApp<bool>) -> impl Iterator<Item = usize> {
        (0..self.apps).filter(|app| apps[*app]).flat_map(|app| self.routes_of(app))
    }

    /// What an execution that is marked as done leaves on all routes; for the restore of one, what that puts back.
    pub fn end_of(&self, execution: &Execution) -> Weights {
        let first = || self.routes_of_apps(&execution.apps).next().unwrap_or(0);
        self.stages(execution).last().copied().unwrap_or_else(|| execution.found[first()])
    }

    /// Whether no stage comes after the one that an execution is at.
    pub fn is_last_stage(&self, execution: &Execution) -> bool {
        execution.stage + 1 >= self.stages(execution).len()
    }

    /// Whether all routes are where they belong: as they were found, as a success left them, or as
    /// an execution left them that was stopped when only its records were missing.
    pub fn is_settled(&self, state: &State) -> bool {
        let observer = &state.observer;
        let routes = &state.routes[..self.routes];
        let committed = state.ids().filter(|id| observer.committed.contains(*id));
        observer.unknown
            || routes.iter().zip(observer.settled).all(|(route, settled)| *route == settled)
            || committed
                .map(|id| self.last_weights(state.execution(id)))
                .any(|last| routes.iter().all(|route| *route == last))
    }

    /// Whether SETTLE passes before what an execution is at is tried again.
    fn retry_settles(&self, state: &State, id: ExecutionId) -> bool {
        self.fences.claim_retry_settles && state.execution(id).step == Step::ClaimRoutes
    }

    fn actions_of(&self, state: &State, id: ExecutionId, actions: &mut Vec<Action>) {
        let execution = state.execution(id);
        if execution.call == Call::Nothing {
            return;
        }
        let waits = matches!(execution.call, Call::Settle | Call::Wait);
        if !waits || state.has_settled(id) {
            actions.push(Action::Turn(id));
        }
        if execution.call == Call::ReadHistories {
            actions.push(Action::Unseen(id));
        }
        let writes = matches!(execution.call, Call::Write | Call::ClaimAnew);
        if execution.step == Step::CheckMetrics && !waits {
            actions.push(Action::RollBack(id));
            if self.recheck(execution).is_some() && !execution.recheck {
                actions.push(Action::Recheck(id));
            }
        }
        let begins_back = execution.step == Step::RollBack && execution.call == Call::ReadTags;
        if self.halts && (begins_back || execution.step == Step::CheckMetrics && !waits) {
            actions.push(Action::Halt(id));
        }
        if begins_back {
            let ways = (0..self.elsewhere.len()).filter(|way| execution.over != Some(self.elsewhere[*way]));
            actions.extend(ways.map(|way| Action::FailOver(id, way)));
        }
        if writes && self.refusals && execution.step != Step::ReleaseRoutes {
            actions.push(Action::Refuse(id));
        }
        match execution.status {
            Status::Running => {
                if state.stops_left > 0 {
                    actions.push(Action::Stop(id));
                }
                let works = execution.step != Step::PlanShift && execution.call != Call::Wait;
                if state.crashes_left > 0 && works {
                    actions.push(Action::Crash(id));
                    if writes {
                        actions.push(Action::CrashInFlight(id));
                    }
                }
            }
            _ => actions.push(Action::Die(id)),
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut apps = [false; MOST_ROUTES];
        apps[..self.apps].fill(true);
        let executions = (0..self.wants.len()).map(|stages| Execution::new(Kind::Change { stages }, apps));
        vec![State {
            routes: self.start,
            locks: self.start.map(|live| Lock { claim: None, live }),
            executions: executions.collect(),
            strays: Vec::new(),
            stops_left: self.stops,
            crashes_left: self.crashes,
            foreigner_left: self.foreigner,
            strips_left: self.strips,
            observer: Observer::new(self.wants.len(), self.start),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.ids().for_each(|id| self.actions_of(state, id, actions));
        for stray in 0..state.strays.len() {
            actions.extend([Action::Land(stray), Action::Lose(stray)]);
        }
        if state.foreigner_left {
            actions.extend((0..self.routes).map(Action::Foreign));
        }
        if state.strips_left {
            let claimed = |app: &usize| state.locks[*app].claim.is_some();
            actions.extend((0..self.apps).filter(claimed).map(Action::Strip));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let turn = |state, id| Turn { protocol: self, state, id };
        match action {
            Action::Turn(id) => turn(&mut state, id).take(),
            Action::RollBack(id) => turn(&mut state, id).check_metrics(Verdict::RollBack),
            Action::Recheck(id) => turn(&mut state, id).check_metrics(Verdict::Recheck),
            Action::Halt(id) => turn(&mut state, id).halt(),
            Action::FailOver(id, way) => turn(&mut state, id).fail_over(self.elsewhere[way]),
            Action::Refuse(id) => turn(&mut state, id).is_refused(),
            Action::Stop(id) => state.stop(id),
            Action::Die(id) => {
                state.observer.left_for_dead.insert(id);
                state.execution_mut(id).forget();
            }
            Action::Crash(id) => state.crash(id, None, self.retry_settles(last, id)),
            Action::CrashInFlight(id) => {
                let sent = in_flight(self, last, id);
                if matches!(last.execution(id).step, Step::ClaimRoutes | Step::SwapRoles) {
                    state.observer.left_for_dead.insert(id);
                }
                state.crash(id, Some(sent), self.retry_settles(last, id));
            }
            Action::Land(stray) => {
                let flight = state.strays.remove(stray);
                state.land(&flight);
            }
            Action::Lose(stray) => drop(state.strays.remove(stray)),
            Action::Foreign(route) => state.land_foreign(route, FOREIGN),
            Action::Unseen(id) => turn(&mut state, id).histories_are_unseen(),
            Action::Strip(app) => state.strip(app),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        [properties::always(), properties::sometimes(self)].concat()
    }
}
