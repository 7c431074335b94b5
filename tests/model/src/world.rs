//! What everybody shares: the routes, and the writes that are on their way to them.

use std::fmt;

pub use failover::model::claim::Reached;

/// What a route's fleets get: the percent of the standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Weights(pub u8);

/// The weights of the routes at the very start: somebody may have set them one by one.
pub const START: PerRoute<Weights> = [Weights(0), Weights(30)];

/// What the foreign writer writes. No execution ever writes it, unless it found it.
pub const FOREIGN: Weights = Weights(33);

/// The most routes of a model; a fixed number makes a state cheap to copy.
pub const MOST_ROUTES: usize = 2;

/// A value for each route.
pub type PerRoute<T> = [T; MOST_ROUTES];

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

/// A route: its weights, and its tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// What the balancer does.
    pub weights: Weights,
    /// The execution that is changing the route.
    pub claim: Option<ExecutionId>,
    /// What to go back to.
    pub before: Option<Record>,
    /// The weights at which the live fleet was recorded last.
    pub live: Weights,
}

/// The tag `before`: what a restore of the run that wrote it has to put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The weights.
    pub weights: Weights,
    /// What that run has reached.
    pub reached: Reached,
}

impl Route {
    /// A route that nobody has touched.
    pub const fn untouched(weights: Weights) -> Self {
        Self { weights, claim: None, before: None, live: weights }
    }
}

/// One call that changes one route. A call either happens as a whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// The tags `claim`, `before` and `live`, together.
    Claim {
        /// What `before` becomes.
        before: Record,
    },
    /// The weights.
    Weights(Weights),
    /// The tags `live` and `before` of a run that has come to its end, together.
    Finish {
        /// What both become.
        weights: Weights,
        /// The mark with which `before` is written, if it is.
        mark: Option<Reached>,
    },
    /// Takes `claim` away, and `before` with it unless that is to be kept.
    Release {
        /// Whether people still need `before`.
        keep_before: bool,
    },
}

/// A write that is on its way, after the check that allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    /// Whose write it is.
    pub by: ExecutionId,
    /// Where it goes.
    pub route: usize,
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
