//! The stages of a plan: what each gives to whom, what it must show, and who is judged for it.

use serde::{Deserialize, Serialize};

use crate::model::weights::Percent;

/// What a stage must show before the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gate {
    /// The standby, attached to the rule at weight 0, has healthy targets.
    TargetsHealthy,
    /// The live fleet, which gets more, is as healthy as it was and as the standby is.
    HealthyLive,
    /// The same, and the standby receives no request any more.
    Drained,
    /// The standby under traffic is as healthy as the live fleet.
    HealthyStandby,
}

/// One of the two fleets of a plan, by its role as the run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The fleet that carries the traffic.
    Live,
    /// The other one.
    Standby,
}

impl Role {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Live => Self::Standby,
            Self::Standby => Self::Live,
        }
    }
}

/// Weights plus the bake that must pass before the next stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage {
    /// What the standby gets; the live fleet gets the rest.
    pub standby_percent: Percent,
    /// How long the stage is watched, in seconds.
    pub bake_seconds: u32,
    /// What it must show.
    pub gate: Gate,
}

impl Stage {
    /// The fleet that gets more, and is judged for it: asked here and nowhere else.
    pub const fn receiver(&self) -> Role {
        match self.gate {
            Gate::TargetsHealthy | Gate::HealthyStandby => Role::Standby,
            Gate::HealthyLive | Gate::Drained => Role::Live,
        }
    }

    /// Whether its bake may be cut short by a person: a stage that leads on to another one.
    pub const fn is_compared(&self) -> bool {
        matches!(self.gate, Gate::HealthyStandby | Gate::HealthyLive)
    }

    /// How long it takes where nothing stands in the way, in seconds: a bake counts whole periods at
    /// the new weights, and those of a period are known up to two periods late.
    pub fn likely_seconds(&self, period_seconds: u32) -> i64 {
        match self.gate {
            Gate::TargetsHealthy => 0,
            _ => i64::from(self.bake_seconds) + 2 * i64::from(period_seconds),
        }
    }
}
