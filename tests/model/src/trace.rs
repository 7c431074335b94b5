//! What somebody has seen of a run, in the words of the model.
//!
//! Of a run there is seen which function is invoked when and how that ends, who is stopped, how executions end, and
//! what the routes and the claims are after every change. What a function reads, and when, is not seen.

use crate::execution::{Ending, Step};
use crate::protocol::Protocol;
use crate::world::{ExecutionId, Held, PerApp, PerRoute, Weights};

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A function begins, for the first time or again.
    Begins(ExecutionId, Step),
    /// It has answered.
    Answers(ExecutionId, Step),
    /// It has failed, or crashed, or ran out of time.
    Fails(ExecutionId, Step),
    /// A person stops an execution.
    Stops(ExecutionId),
    /// An execution has come to an ending of its own.
    Ends(ExecutionId, Ending),
    /// A route or a claim is not what it was: by a function of an execution, or by somebody else.
    Changes(Option<ExecutionId>, Balancer),
}

impl Seen {
    /// Whose doing it is; nobody's where somebody else has done it.
    pub const fn by(&self) -> Option<ExecutionId> {
        match self {
            Self::Begins(id, _)
            | Self::Answers(id, _)
            | Self::Fails(id, _)
            | Self::Stops(id)
            | Self::Ends(id, _) => Some(*id),
            Self::Changes(by, _) => *by,
        }
    }
}

/// What the balancer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balancer {
    /// The weights of each route.
    pub routes: PerRoute<Weights>,
    /// The claim of each app.
    pub claims: PerApp<Option<Held>>,
}

/// A run as it was seen.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What there was to be moved, and where to.
    pub protocol: Protocol,
    /// What was seen, in its order.
    pub seen: Vec<Seen>,
}
