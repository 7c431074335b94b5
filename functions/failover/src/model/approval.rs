//! Which stages wait for a person.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::weights::Percent;

/// How many polls a run may be held for, in all its stages together. The history of an execution has
/// room for some 750 beyond those of its bakes.
pub const HELD_POLLS: u32 = 500;

/// What the plan says of approvals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// The stages that begin only once somebody approves, by the standby's percent.
    pub before: BTreeSet<Percent>,
    /// How long each is waited for, in seconds.
    pub within_seconds: u32,
    /// What becomes of the run where nobody answers.
    pub otherwise: Unanswered,
}

/// What becomes of a run that nobody approves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unanswered {
    /// The weights found at the start are put back.
    #[default]
    RollBack,
    /// The run ends and leaves the weights of its stage.
    Halt,
}
