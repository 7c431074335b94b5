//! One execution: where it is, and what it remembers.

use crate::world::{ExecutionId, Held, MOST_ROUTES, PerApp, PerRoute, START, Weights, Window};

/// What an execution is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Goes through stages to new weights: a shift, drain, balance or failback.
    Change {
        /// Which of the model's lists of stages.
        stages: usize,
    },
    /// Puts back what an interrupted execution found.
    Restore {
        /// The interrupted one.
        of: ExecutionId,
    },
}

/// How an execution ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// At the last stage, recorded.
    Success,
    /// Nothing was touched.
    PlanRejected,
    /// The weights found at the start are back.
    RolledBack,
    /// All traffic is with the fleet that is well.
    FailedOver,
    /// Somebody else changed the weights or holds the claim.
    ExternalChange,
    /// The weights could not be put back.
    RollBackFailed,
    /// At the last stage, but that could not be recorded.
    RolesNotRecorded,
    /// What an interrupted execution found is back.
    Restored,
    /// There was nothing to put back.
    Unchanged,
}

/// What the service says about an execution to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// On its way.
    Running,
    /// Stopped, timed out, or died without an ending of its own.
    Interrupted,
    /// Over, by one of its own endings.
    Ended(Ending),
}

/// How far an execution has come, by its own history. From the plan on that tells its apps, what it goes back to,
/// and whether that is what a finished run has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Come {
    /// It has made no plan.
    Nowhere,
    /// It has made its plan.
    Planned,
    /// `ClaimRoutes` is over.
    Claimed,
    /// `SwapRoles` is over.
    Swapped,
    /// `ReleaseRoutes` is over.
    Released,
}

/// A state of the state machine: one invocation of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Reads only.
    PlanShift,
    /// Takes the claims.
    ClaimRoutes,
    /// Writes the weights of a stage.
    SetWeights,
    /// Judges a stage.
    CheckMetrics,
    /// Records the live fleet.
    SwapRoles,
    /// Puts the weights back.
    RollBack,
    /// Gives the claims back.
    ReleaseRoutes,
}

/// The call that an invocation makes next. Between two calls anything may happen elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Reads the tags of all apps.
    ReadTags,
    /// Reads the histories of the executions that hold what it is to restore.
    ReadHistories,
    /// Asks what became of the executions that hold claims.
    LookAtHolders,
    /// Reads the weights of all routes.
    ReadWeights,
    /// Changes one route, or the tags of one app.
    Write,
    /// Asks whether its own execution is still running, before it writes where the claim is not its own one.
    LookAtSelfFirst,
    /// `RollBack` claims anew an app whose claim somebody has removed, or a predecessor has overwritten.
    ClaimAnew,
    /// Waits until every write that was checked before the wait has landed or is lost.
    Settle,
    /// The same, but it is the state machine that waits, before it invokes the function.
    Wait,
    /// Reads the tags again.
    ReadTagsBack,
    /// Reads the weights again.
    ReadWeightsBack,
    /// Asks whether its own execution is still running.
    LookAtSelf,
    /// None: the invocation is over and there will be no other.
    Nothing,
}

/// An execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // Each is a thing of its own that it remembers.
pub struct Execution {
    /// What it is for.
    pub kind: Kind,
    /// What others are told about it.
    pub status: Status,
    /// Where it is.
    pub step: Step,
    /// What it does next there.
    pub call: Call,
    /// The route or the app that is written next.
    pub at: usize,
    /// The stage that it is at.
    pub stage: usize,
    /// Whether that is interrupted by a recheck.
    pub recheck: bool,
    /// What it has set last.
    pub set: Option<Weights>,
    /// Where `RollBack` leads instead of back.
    pub over: Option<Weights>,
    /// Whether `RollBack` has settled and is at it once more.
    pub second_pass: bool,
    /// Whether it has claimed anew, so that this pass is not the last. An invocation that crashes forgets it.
    pub again: bool,
    /// How it ends once its claims are given back.
    pub then: Option<Ending>,
    /// What stands in its history.
    pub come: Come,
    /// Its apps: all, or those that a restore found.
    pub apps: PerApp<bool>,
    /// What it goes back to: the weights it found, or for a restore what is to be put back.
    pub found: PerRoute<Weights>,
    /// For a restore, whether that is what a finished run has left.
    pub finished: bool,
    /// Which of its apps have yet to be written.
    pub to_write: PerApp<bool>,
    /// The claims it read and has not judged.
    pub holders: PerApp<Option<Held>>,
    /// The check that its next write relies on.
    pub window: Option<Window>,
}

impl Execution {
    /// An execution that was just started.
    pub const fn new(kind: Kind, apps: PerApp<bool>) -> Self {
        Self {
            kind,
            status: Status::Running,
            step: Step::PlanShift,
            call: if matches!(kind, Kind::Restore { .. }) { Call::ReadTags } else { Call::ReadWeights },
            at: 0,
            stage: 0,
            recheck: false,
            set: None,
            over: None,
            second_pass: false,
            again: false,
            then: None,
            come: Come::Nowhere,
            apps,
            found: START,
            finished: false,
            to_write: [false; MOST_ROUTES],
            holders: [None; MOST_ROUTES],
            window: None,
        }
    }

    /// Whether it is a restore.
    pub const fn is_restore(&self) -> bool {
        matches!(self.kind, Kind::Restore { .. })
    }

    /// Begins a step, or begins it again.
    pub const fn begin(&mut self, step: Step) {
        self.step = step;
        self.call = Call::ReadTags;
        self.at = 0;
        self.second_pass = false;
        self.again = false;
        self.window = None;
        self.to_write = [false; MOST_ROUTES];
        // What no later step asks for must not tell states apart.
        if !matches!(step, Step::SetWeights | Step::CheckMetrics) {
            (self.set, self.recheck) = (None, false);
        }
        if !matches!(step, Step::RollBack) {
            self.over = None;
        }
    }

    /// Nothing of it is at work any more. What it remembered is of no interest, but for its plan where it
    /// was interrupted: that stands in its history.
    pub fn forget(&mut self) {
        let Self { kind, status, step, .. } = *self;
        let gone = Self { status, step, call: Call::Nothing, ..Self::new(kind, [false; MOST_ROUTES]) };
        *self = match *self {
            Self { come: Come::Nowhere, .. } => gone,
            Self { status: Status::Interrupted, come, apps, found, finished, .. } => {
                Self { come, apps, found, finished, ..gone }
            }
            _ => gone,
        };
    }

    /// Whether its next call is a write of weights that its check has allowed.
    pub const fn is_writing_weights(&self) -> bool {
        matches!((self.step, self.call), (Step::SetWeights | Step::RollBack, Call::Write))
    }
}
