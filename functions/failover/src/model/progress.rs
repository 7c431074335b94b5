//! How far a run has come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Weights;
use crate::verdict::{StageEnding, Verdict};

/// One stage that was set, as it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StageRecord {
    /// The index into the plan's stages.
    pub stage: usize,
    /// Whether the standby was set back for a while, to be compared with the live fleet again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recheck: bool,
    /// The weights set.
    pub weights: Weights,
    /// When they were set and read back.
    pub started_at: Timestamp,
    /// When the stage was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The last verdict on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The reason of that verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the stage ended; with several apps, for the one that has shown least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<StageEnding>,
    /// How it ended for each app, where there are several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endings: BTreeMap<String, StageEnding>,
}

/// How far a run has come. It travels through the state machine and is the only memory of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Progress {
    /// The index into the plan's stages of the stage to set, or under watch.
    pub stage: usize,
    /// Whether that stage is interrupted by a recheck.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recheck: bool,
    /// Since when it waits for an approval, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_since: Option<Timestamp>,
    /// How many polls held it back because a person asked for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held_polls: u32,
    /// Whether the application was probed since the weights were set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub probed: bool,
    /// Since when its probes fail without telling against the standby alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes_fail_since: Option<Timestamp>,
    /// Since when both fleets of an app are dead, by what every poll since then saw of their targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub both_dead_since: Option<Timestamp>,
    /// Since when the stage waits for what it must show, by what every poll since then saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmet_since: Option<Timestamp>,
    /// The stages set so far, oldest first.
    pub timeline: Vec<StageRecord>,
    /// How long to wait before the next poll, in seconds.
    pub wait_seconds: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
