//! Words that scenarios and their reports share.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The names of the two fleets of every app.
pub const FLEETS: [&str; 2] = ["prod1", "prod2"];

/// One of the two fleets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FleetName {
    /// The first.
    Prod1,
    /// The second.
    Prod2,
}

impl FleetName {
    /// Its place in [`FLEETS`].
    pub fn index(self) -> usize {
        usize::from(self == Self::Prod2)
    }

    /// As it is written.
    pub fn word(self) -> &'static str {
        FLEETS[self.index()]
    }
}

/// What leads to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RouteKind {
    /// A rule for the app's host name.
    Host,
    /// A rule for the app's path.
    Path,
    /// The listener's default action.
    Default,
    /// A rule for the app's host name that asks users to sign in first.
    SignedInHost,
}

/// A time in seconds, an hour at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "f64")]
#[schemars(extend("minimum" = 0, "maximum" = 3600))]
pub struct Seconds(f64);

impl Seconds {
    /// Whole ones.
    pub(crate) fn new(seconds: u8) -> Self {
        Self(seconds.into())
    }

    /// As a number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs_f64(self.0)
    }
}

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        if (0.0..=3600.0).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(format!("{seconds} seconds are not between nothing and an hour"))
    }
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} s", self.0)
    }
}

/// What each fleet gets, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Weights {
    /// The first fleet.
    pub prod1: u16,
    /// The second.
    pub prod2: u16,
}

impl Weights {
    /// In the order of [`FLEETS`].
    pub fn both(self) -> [u16; 2] {
        [self.prod1, self.prod2]
    }
}

impl std::fmt::Display for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "prod1 {} %, prod2 {} %", self.prod1, self.prod2)
    }
}

/// How a run ends: the `status` of its output, or the name of its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "`infra/guide` says what each means")]
pub enum Ending {
    #[serde(rename = "shifted")]
    Shifted,
    #[serde(rename = "drained")]
    Drained,
    #[serde(rename = "balanced")]
    Balanced,
    #[serde(rename = "failedBack")]
    FailedBack,
    #[serde(rename = "restored")]
    Restored,
    #[serde(rename = "unchanged")]
    Unchanged,
    #[serde(rename = "planned")]
    Planned,
    PlanRejected,
    RolledBack,
    FailedOver,
    ExternalChange,
    Halted,
    RolesNotRecorded,
    RollBackFailed,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}
