//! The nouns: what a run is about, and what is remembered of it.
//!
//! They know each other and the words of [`crate::verdict`], and nothing of who makes or uses them.

mod app;
mod approval;
pub mod claim;
mod ending;
pub mod error;
mod headroom;
pub mod hold;
pub mod hooks;
mod operation;
mod plan;
pub mod probe;
mod progress;
pub mod record;
pub mod release;
pub mod samples;
mod stage;
pub mod text;
pub mod weights;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::app::{Apps, MOST_APPS, MOST_ROUTES};
pub use self::approval::{Approval, HELD_POLLS, Unanswered};
pub use self::ending::RunEnding;
pub use self::headroom::{Headroom, Refuse};
pub use self::operation::Operation;
pub use self::plan::{Plan, PlannedApp, Route, TestersRule};
pub use self::progress::{Progress, StageRecord};
pub use self::stage::{Gate, Role, Stage};
use self::weights::Percent;

/// What each fleet gets in percent, by fleet name; always adds up to 100.
pub type Weights = BTreeMap<String, Percent>;

/// What a rule holds for each fleet, 0 to 999, by fleet name; 0 for a fleet that it does not hold.
pub type RouteWeights = BTreeMap<String, u16>;

/// Which execution is speaking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Execution {
    /// The ARN of the execution.
    pub arn: String,
    /// When it began.
    pub started_at: Timestamp,
}
