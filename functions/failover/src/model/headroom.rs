//! What is known of how much a fleet can carry.

use serde::{Deserialize, Serialize};

/// What is known of how much a fleet can carry. Rates are requests a minute on all of its targets that are
/// healthy now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Headroom {
    /// The fleet.
    pub fleet: String,
    /// The most that it has to carry, by the same hours of earlier days and weeks and by the last hour.
    pub due: u64,
    /// When the run is over at the earliest, in seconds since the epoch.
    pub until: i64,
    /// The most that it has carried while it was well; none where it has carried nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub well: Option<u64>,
    /// The least beyond that at which it was seen to fail, while it was well with less on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
    /// Its healthy targets.
    pub healthy: u32,
    /// Its registered targets.
    pub registered: u32,
    /// Those of the other fleet, where these are not as many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_registered: Option<u32>,
}

/// What is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Refuse {
    /// Nothing: it is only told.
    Nothing,
    /// What is beyond a load at which the fleet was seen to fail.
    #[default]
    SeenToFail,
    /// What is beyond the most that it has carried well.
    Untried,
}
