//! What everybody shares: the routes with their weights, the tags of the apps, and the writes that are on
//! their way to them.

use std::fmt;

use failover::model::hold::Reached;

/// What a route's fleets get: the percent of the standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Weights(pub u8);

/// The weights of the routes at the very start: somebody may have set them one by one.
pub const START: PerRoute<Weights> = {
    let mut start = [Weights(0); MOST_ROUTES];
    start[1] = Weights(30);
    start
};

/// What the foreign writer writes. No execution ever writes it, unless it found it.
pub const FOREIGN: Weights = Weights(33);

/// The most routes of a model; a fixed number makes a state cheap to copy. A trace may have more.
pub const MOST_ROUTES: usize = if cfg!(feature = "traces") { 8 } else { 2 };

/// A value for each route.
pub type PerRoute<T> = [T; MOST_ROUTES];

/// A value for each app.
pub type PerApp<T> = [T; MOST_ROUTES];

/// One execution of the state machine, in the order in which they were started.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExecutionId(pub u8);

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A small set of executions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Executions(u8);

impl Executions {
    /// No execution.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Whether the execution is one of them.
    pub const fn contains(self, id: ExecutionId) -> bool {
        self.0 & (1 << id.0) != 0
    }

    /// Adds an execution.
    pub const fn insert(&mut self, id: ExecutionId) {
        self.0 |= 1 << id.0;
    }

    /// Takes an execution out.
    pub const fn remove(&mut self, id: ExecutionId) {
        self.0 &= !(1 << id.0);
    }

    /// Puts an execution in or takes it out.
    pub const fn set(&mut self, id: ExecutionId, member: bool) {
        if member { self.insert(id) } else { self.remove(id) }
    }

    /// Those that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether some execution is in both sets.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What the tags of an app's lock say: those of the first of its two target groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lock {
    /// Who wrote the claim last, and what that one has reached.
    pub claim: Option<Held>,
    /// The weights of its first route at which the live fleet was recorded last.
    pub live: Weights,
}

/// A claim as the model has it; the rules of the product have names instead of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Whose it is.
    pub by: ExecutionId,
    /// What that one has reached.
    pub reached: Reached,
}

/// One call that changes one route, or the tags of one lock. A call either happens as a whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// The weights of a route.
    Weights(Weights),
    /// The tags of a lock: the claim with what is reached, and which fleet is live, if that is known.
    Tags {
        /// What is reached.
        reached: Reached,
        /// What the live fleet is recorded at.
        live: Option<Weights>,
    },
    /// Removes the claim. No execution does so, unless the fence that keeps it from that is down.
    Removal,
}

/// A write that is on its way, after the check that allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    /// Whose write it is.
    pub by: ExecutionId,
    /// The route or the app to which it goes.
    pub to: usize,
    /// What it changes.
    pub write: Write,
    /// How long its check is past.
    pub window: Window,
}

/// The time from a check to the write that it allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Window {
    /// Who began to settle after the check: their waits do not end before this write has landed or
    /// is lost. That is all that the model knows of time.
    pub awaited_by: Executions,
    /// Whether the foreign writer came after the check. Without compare-and-swap nobody can help
    /// what this write then overwrites.
    pub excused: bool,
}
