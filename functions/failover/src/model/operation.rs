//! What a run does.

use serde::{Deserialize, Serialize};

/// What a run does. See the README's table of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// All traffic to the live fleet, so that the standby can be deployed to.
    Drain,
    /// All traffic to the standby in stages, after which the roles swap.
    #[default]
    Shift,
    /// An even split, in stages.
    Balance,
    /// All traffic back to the standby in one step, after which the roles swap.
    Failback,
    /// The weights that an interrupted run had found.
    Restore,
}

impl Operation {
    /// The word as typed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Shift => "shift",
            Self::Balance => "balance",
            Self::Failback => "failback",
            Self::Restore => "restore",
        }
    }

    /// Whether the standby is the live fleet once the operation is done.
    pub const fn swaps_roles(self) -> bool {
        matches!(self, Self::Shift | Self::Failback)
    }
}
