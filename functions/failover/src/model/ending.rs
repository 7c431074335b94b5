//! How a run ends that does not succeed.

use crate::model::Operation;

/// The errors that an execution of the state machine ends with of its own accord. One that fails
/// with any other was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnding {
    /// The run did not start as asked. Nothing was touched.
    PlanRejected,
    /// The weights found at the start are back.
    RolledBack,
    /// All traffic is on the one fleet that has healthy targets.
    FailedOver,
    /// Somebody else changed what the run works on. It wrote nothing more.
    ExternalChange,
    /// The weights stay as the run last set them, for somebody to decide.
    Halted,
    /// The new weights stand, but which fleet is live could not be recorded.
    RolesNotRecorded,
    /// The weights found at the start could not be put back.
    RollBackFailed,
}

impl RunEnding {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::PlanRejected,
        Self::RolledBack,
        Self::FailedOver,
        Self::ExternalChange,
        Self::Halted,
        Self::RolesNotRecorded,
        Self::RollBackFailed,
    ];

    /// The error that Step Functions shows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PlanRejected => "PlanRejected",
            Self::RolledBack => "RolledBack",
            Self::FailedOver => "FailedOver",
            Self::ExternalChange => "ExternalChange",
            Self::Halted => "Halted",
            Self::RolesNotRecorded => "RolesNotRecorded",
            Self::RollBackFailed => "RollBackFailed",
        }
    }

    /// The one with this name. Nothing for a success and for what interrupts a run.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }

    /// Whether somebody must look at such a run now. The others have left the traffic where it is healthy;
    /// but whoever starts a failback does so because it was not. `RolesNotRecorded` has somebody to do
    /// something, but not at night: the traffic is fine.
    pub fn pages(self, operation: Option<Operation>) -> bool {
        match self {
            Self::FailedOver | Self::ExternalChange | Self::Halted | Self::RollBackFailed => true,
            Self::RolledBack => operation == Some(Operation::Failback),
            Self::PlanRejected | Self::RolesNotRecorded => false,
        }
    }
}
