//! Whether what was seen of a run is something that the model may do.
//!
//! The model does more than is seen: it reads, and it makes writes that change nothing. So it is followed through all
//! states that it may be in by what was seen so far. Each thing that is seen leaves those that allow it, and what they
//! lead to; where none is left, the run has done something that the model does not. In all of them every property
//! must hold.
//!
//! An execution does something only while a function of it is at work, and passes from one step to the next only when
//! that function ends.

use std::collections::HashSet;
use std::fmt::Write as _;

use stateright::{Model, Property};

use crate::execution::{Call, Ending, Execution, Status, Step};
use crate::observer::MOST_EXECUTIONS;
use crate::properties;
use crate::protocol::{Action, Protocol};
use crate::state::State;
use crate::trace::{Balancer, Seen, Trace};
use crate::turn::Turn;
use crate::world::{ExecutionId, Held, PerApp};

/// The most states to be followed at once: more would be a fault of the replay.
const MOST_STATES: usize = 20_000;

/// Something that was seen and that the model does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the trace, the first being 0.
    pub at: usize,
    /// What it is, and what the model might have done instead.
    pub why: String,
}

/// How a run was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// How many things were seen.
    pub steps: usize,
    /// The most states that the model may have been in at once.
    pub widest: usize,
}

struct Replay<'a> {
    protocol: &'a Protocol,
    properties: Vec<Property<Protocol>>,
    states: HashSet<State>,
    /// Which function of each execution is at work.
    at_work: [Option<Step>; MOST_EXECUTIONS],
}

/// Follows a run.
///
/// # Errors
/// The first thing that the model does not do.
pub fn replay(trace: &Trace) -> Result<Followed, Refused> {
    let mut replay = Replay {
        protocol: &trace.protocol,
        properties: properties::always(),
        states: trace.protocol.init_states().into_iter().collect(),
        at_work: [None; MOST_EXECUTIONS],
    };
    let mut followed = Followed::default();
    for (at, seen) in trace.seen.iter().enumerate() {
        let refused = |why| Refused { at, why };
        let next = replay.after(seen);
        if next.is_empty() {
            return Err(refused(replay.instead(seen)));
        }
        followed.steps += 1;
        followed.widest = followed.widest.max(next.len());
        if next.len() > MOST_STATES {
            return Err(refused(format!("{seen:?} leaves {} states, which nobody can follow", next.len())));
        }
        replay.states = next;
        if let Some(broken) = replay.broken() {
            return Err(refused(format!("after {seen:?} it is not so: {broken}")));
        }
    }
    Ok(followed)
}

impl Replay<'_> {
    /// The states after something that was seen.
    fn after(&mut self, seen: &Seen) -> HashSet<State> {
        let is_there = |state: &State| seen.by().is_none_or(|id| usize::from(id.0) < state.executions.len());
        if !self.states.iter().all(is_there) {
            return HashSet::new();
        }
        match *seen {
            Seen::Begins(id, step) => {
                let mut states = std::mem::take(&mut self.states);
                // One that ran out of time is at work all the same: its step is begun again without it.
                if self.at_work(id).is_some() {
                    self.states = states.clone();
                    states = self.failing(id);
                }
                self.states = states;
                let begun = self.unseen().into_iter().filter_map(|state| self.begin(state, id, step));
                let begun = begun.collect();
                self.at_work[usize::from(id.0)] = Some(step);
                begun
            }
            Seen::Answers(id, step) => {
                let over = self.answering(id, step);
                self.at_work[usize::from(id.0)] = None;
                over
            }
            Seen::Fails(id, step) => {
                let mut over = self.failing(id);
                over.extend(self.answering(id, step));
                self.at_work[usize::from(id.0)] = None;
                over
            }
            Seen::Stops(id) => self.each(|replay, state| replay.next(state, Action::Stop(id))),
            Seen::Ends(id, ending) => {
                let ends = |mut state: State| {
                    let execution = state.execution(id);
                    // Nothing was claimed, so that there is nothing to give back: the hook has refused, or all is as
                    // asked.
                    let untouched = execution.step == Step::ClaimRoutes && execution.call == Call::ReadTags;
                    if untouched && matches!(ending, Ending::PlanRejected | Ending::Unchanged) {
                        self.turn(&mut state, id, |turn| turn.end(ending));
                    }
                    (state.execution(id).status == Status::Ended(ending)).then_some(state)
                };
                self.states.clone().into_iter().filter_map(ends).collect()
            }
            Seen::Changes(Some(id), now) => self.each(|replay, state| replay.write(state, id, &now)),
            Seen::Changes(None, now) => self.each(|replay, state| {
                let mut after = state.clone();
                for route in 0..replay.protocol.routes {
                    if state.routes[route] != now.routes[route] {
                        after.land_foreign(route, now.routes[route]);
                    }
                }
                is_as(&after, &now).then_some(after)
            }),
        }
    }

    fn at_work(&self, id: ExecutionId) -> Option<Step> {
        self.at_work[usize::from(id.0)]
    }

    /// What follows from each state, and from each that it may have come to unseen.
    fn each<T: IntoIterator<Item = State>>(&self, follow: impl Fn(&Self, &State) -> T) -> HashSet<State> {
        self.unseen().iter().flat_map(|state| follow(self, state)).collect()
    }

    fn next(&self, state: &State, action: Action) -> Option<State> {
        self.protocol.next_state(state, action)
    }

    fn turn(&self, state: &mut State, id: ExecutionId, take: impl FnOnce(&mut Turn<'_>)) {
        take(&mut Turn { protocol: self.protocol, state, id });
    }

    /// All states that can be come to without anything that is seen.
    fn unseen(&self) -> HashSet<State> {
        let mut all = self.states.clone();
        let mut left: Vec<State> = all.iter().cloned().collect();
        while let Some(state) = left.pop() {
            for next in self.unseen_of(&state) {
                if all.insert(next.clone()) {
                    left.push(next);
                }
            }
        }
        all
    }

    fn unseen_of(&self, state: &State) -> Vec<State> {
        let mut found = Vec::new();
        for id in state.ids() {
            let before = state.execution(id);
            if before.call == Call::Nothing {
                continue;
            }
            let Some(step) = self.at_work(id) else {
                if before.status == Status::Interrupted {
                    found.extend(self.next(state, Action::Die(id)));
                }
                continue;
            };
            if !is_at(before, step) {
                continue;
            }
            let waits = before.call == Call::Settle;
            if before.call == Call::Wait
                || waits && !state.has_settled(id)
                || before.step == Step::CheckMetrics
            {
                continue;
            }
            if before.step == Step::RollBack && before.call == Call::ReadTags {
                let ways = 0..self.protocol.elsewhere.len();
                found.extend(ways.filter_map(|way| self.next(state, Action::FailOver(id, way))));
            }
            let next = self.next(state, Action::Turn(id));
            let unseen = |next: &State| {
                let after = next.execution(id);
                state.routes == next.routes && claims(state) == claims(next) && goes_on(before, after)
            };
            found.extend(next.filter(unseen));
        }
        found.extend((0..state.strays.len()).filter_map(|stray| self.next(state, Action::Lose(stray))));
        found
    }

    /// A function begins: the step before is over, and what is waited for has landed or is lost.
    fn begin(&self, mut state: State, id: ExecutionId, step: Step) -> Option<State> {
        let execution = state.execution(id);
        if matches!(execution.status, Status::Ended(_)) {
            // It has nothing to give back, and the function only puts into words how it ended.
            return (step == Step::ReleaseRoutes).then_some(state);
        }
        if step == Step::ReleaseRoutes
            && execution.step == Step::ClaimRoutes
            && execution.call == Call::ReadTags
        {
            // The hook has refused.
            self.turn(&mut state, id, |turn| turn.end(Ending::PlanRejected));
            return Some(state);
        }
        if execution.step != step {
            return None;
        }
        match execution.call {
            Call::Wait if state.has_settled(id) => self.next(&state, Action::Turn(id)),
            Call::Wait | Call::Nothing => None,
            _ => Some(state),
        }
    }

    /// A function has answered.
    fn answering(&self, id: ExecutionId, step: Step) -> HashSet<State> {
        let mut over = HashSet::new();
        for state in self.unseen() {
            let before = *state.execution(id);
            if before.call == Call::Nothing || !is_at(&before, step) {
                over.insert(state);
                continue;
            }
            if step == Step::CheckMetrics {
                over.insert(state.clone());
            }
            let mut actions =
                vec![Action::Turn(id), Action::RollBack(id), Action::Recheck(id), Action::Halt(id)];
            actions.retain(|action| {
                step == Step::CheckMetrics
                    || matches!(action, Action::Turn(_))
                    || matches!(action, Action::Halt(_)) && step == Step::RollBack
            });
            for action in actions {
                let Some(next) = self.next(&state, action) else { continue };
                let after = next.execution(id);
                let same = state.routes == next.routes && claims(&state) == claims(&next);
                if same && !goes_on(&before, after) {
                    over.insert(next);
                }
            }
        }
        over
    }

    /// A function has failed: it may have sent a write that lands later, and it is tried again, or not any more.
    fn failing(&self, id: ExecutionId) -> HashSet<State> {
        let mut over = HashSet::new();
        for state in self.unseen() {
            let before = *state.execution(id);
            if before.status != Status::Running || before.call == Call::Nothing {
                over.insert(state);
                continue;
            }
            if before.step == Step::PlanShift {
                // Tried again, or refused.
                let mut again = state.clone();
                *again.execution_mut(id) = Execution::new(before.kind, before.apps);
                over.insert(again);
                let mut refused = state;
                self.turn(&mut refused, id, |turn| turn.end(Ending::PlanRejected));
                over.insert(refused);
                continue;
            }
            over.extend(self.next(&state, Action::Crash(id)));
            if matches!(before.call, Call::Write | Call::ClaimAnew) {
                over.extend(self.next(&state, Action::CrashInFlight(id)));
            }
            let mut refused = state.clone();
            match before.step {
                Step::CheckMetrics => over.extend(self.next(&state, Action::RollBack(id))),
                Step::ClaimRoutes if before.is_restore() => {
                    self.turn(&mut refused, id, |turn| turn.is_refused());
                    over.insert(refused);
                }
                Step::ClaimRoutes => {
                    self.turn(&mut refused, id, |turn| turn.refuse());
                    over.extend(self.next(&refused, Action::Turn(id)));
                }
                Step::ReleaseRoutes => {}
                _ => {
                    self.turn(&mut refused, id, |turn| turn.is_refused());
                    over.insert(refused);
                }
            }
        }
        over
    }

    /// An execution changes a route or a claim, as it does now or had on its way.
    fn write(&self, state: &State, id: ExecutionId, now: &Balancer) -> Vec<State> {
        let mut before = state.clone();
        let execution = *state.execution(id);
        let changed = (0..self.protocol.routes).find(|route| state.routes[*route] != now.routes[*route]);
        // A function writes its routes, and its apps, in any order; the model begins with the first.
        if let Some(route) = changed.filter(|_| execution.is_writing_weights()) {
            before.execution_mut(id).at = route;
        }
        let claims = claims(state);
        let changed = (0..self.protocol.apps).find(|app| claims[*app] != now.claims[*app]);
        let may_be = |app: &usize| execution.step == Step::ReleaseRoutes || execution.to_write[*app];
        if let Some(app) = changed.filter(may_be) {
            before.execution_mut(id).at = app;
        }
        let writes = matches!(execution.call, Call::Write | Call::ClaimAnew);
        let turn = writes.then_some(Action::Turn(id));
        let strays = state.strays.iter().enumerate().filter(|(_, stray)| stray.by == id);
        let actions = turn.into_iter().chain(strays.map(|(stray, _)| Action::Land(stray)));
        let next = actions.filter_map(|action| self.next(&before, action));
        next.filter(|next| is_as(next, now)).collect()
    }

    /// A property that does not hold in one of the states.
    fn broken(&self) -> Option<&'static str> {
        let fails = |property: &&Property<Protocol>| {
            self.states.iter().any(|state| !(property.condition)(self.protocol, state))
        };
        self.properties.iter().find(fails).map(|property| property.name)
    }

    /// What was seen, and where the model was.
    fn instead(&self, seen: &Seen) -> String {
        let mut text = format!("the model does not do this: {seen:?}. It is where");
        for state in self.states.iter().take(3) {
            let executions: Vec<String> = state.ids().map(|id| place(id, state.execution(id))).collect();
            let routes: Vec<u8> =
                state.routes[..self.protocol.routes].iter().map(|weights| weights.0).collect();
            let claims = &claims(state)[..self.protocol.apps];
            let _ = write!(text, " [{}; routes {routes:?}; claims {claims:?}]", executions.join(", "));
        }
        if self.states.len() > 3 {
            let _ = write!(text, " and {} more", self.states.len() - 3);
        }
        text
    }
}

fn place(id: ExecutionId, execution: &Execution) -> String {
    format!("{id:?} is {:?} in {:?}, next {:?}", execution.status, execution.step, execution.call)
}

/// Whether an execution is where its function is at work. One that was stopped as it claimed gives its claim back
/// itself.
fn is_at(execution: &Execution, step: Step) -> bool {
    let gives_back = step == Step::ClaimRoutes && execution.step == Step::ReleaseRoutes;
    execution.step == step || gives_back && execution.status == Status::Interrupted
}

/// Whether a function is still at work on the same.
fn goes_on(before: &Execution, after: &Execution) -> bool {
    let interrupted = after.status == Status::Interrupted;
    after.step == before.step && !matches!(after.call, Call::Wait | Call::Nothing)
        // It gives its claim back itself.
        || interrupted && after.step == Step::ReleaseRoutes && after.call == Call::ReadTags
}

fn claims(state: &State) -> PerApp<Option<Held>> {
    state.locks.map(|lock| lock.claim)
}

fn is_as(state: &State, now: &Balancer) -> bool {
    state.routes == now.routes && claims(state) == now.claims
}
