//! The named errors. Their names are part of the contract: the state machine catches by them and
//! people search for them, so they are written by hand and never derived from a Rust type.

use std::fmt;

use crate::model::RunEnding;

/// What kind of failure it is, and with it what the state machine does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The run cannot start as asked. Nothing was touched.
    PlanRejected,
    /// Somebody else changed the weights under the run. It writes nothing more.
    ExternalChange,
    /// The new weights stand, but which fleet is live could not be recorded.
    RolesNotRecorded,
    /// The weights found at the start could not be put back.
    RollBackFailed,
    /// A fleet that would get traffic has no healthy target. Nothing was written.
    Unhealthy,
    /// AWS did not answer, throttled or failed: the same call may succeed later, so it is retried.
    AwsUnavailable,
    /// The same for a restore, before it puts anything back: traffic is not where it belongs, so it is retried for
    /// hours.
    RestoreWaits,
    /// AWS refused the call (permissions, a resource that is gone): trying again does not help before somebody has
    /// mended it.
    AwsRefused,
    /// A request that the state machine itself sent was not understood: a defect, or two versions
    /// of the project side by side.
    BadRequest,
}

impl ErrorKind {
    /// The name under which Step Functions sees the error.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PlanRejected => RunEnding::PlanRejected.name(),
            Self::ExternalChange => RunEnding::ExternalChange.name(),
            Self::RolesNotRecorded => RunEnding::RolesNotRecorded.name(),
            Self::RollBackFailed => RunEnding::RollBackFailed.name(),
            Self::Unhealthy => "Unhealthy",
            Self::AwsUnavailable => "AwsUnavailable",
            Self::RestoreWaits => "RestoreWaits",
            Self::AwsRefused => "AwsRefused",
            Self::BadRequest => "BadRequest",
        }
    }
}

/// A failure with a message for the person on call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What happened, what state the traffic is in and what to do, as far as is known here.
    pub message: String,
}

impl Error {
    /// An error of `kind` with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A refusal before anything was touched; the message names the field and the way out.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::PlanRejected, message)
    }

    /// The same error as a restore has it, which does not give up where another run does.
    #[must_use]
    pub fn of_restore(self) -> Self {
        match self.kind {
            ErrorKind::AwsUnavailable => Self { kind: ErrorKind::RestoreWaits, ..self },
            _ => self,
        }
    }

    /// The same error with `context` in front of its message.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Self {
        Self { message: format!("{context}: {}", self.message), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.message)
    }
}

impl std::error::Error for Error {}
