//! What can be done before a run and while it runs.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::fault::{Aws, Behaves, CallFault};
use crate::words::{FleetName, Seconds, Weights};

/// Something that happens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// A release is deployed to a fleet.
    Deploy {
        /// Which one.
        fleet: FleetName,
        /// The release.
        release: String,
    },
    /// Whoever deploys writes what a fleet runs into the tag of its target group.
    Told {
        /// Which fleet.
        fleet: FleetName,
        /// The release.
        release: String,
    },
    /// A fleet, or one of its two targets, behaves differently from now on.
    Fleet {
        /// Which one.
        name: FleetName,
        /// Which of its targets, the first being 1; both without it.
        target: Option<usize>,
        /// How.
        behaves: Behaves,
    },
    /// From now on so many percent of the users come.
    Users {
        /// Percent of the rate.
        percent: u32,
    },
    /// AWS does this late or wrong from now on.
    Aws(Aws),
    /// Calls of AWS fail.
    Calls(CallFault),
    /// A CloudWatch alarm comes into being, or changes its state.
    Alarm {
        /// Its name.
        name: String,
        /// Whether it is in ALARM.
        ringing: bool,
    },
    /// Somebody else writes these weights into every route.
    SomebodyElseSets(Weights),
    /// Somebody deletes the rule of a route.
    DeleteRoute {
        /// Which one, the first being 1.
        number: usize,
        /// Whether it is made again, with another ARN, as a forward to prod1.
        #[serde(default)]
        again: bool,
    },
    /// Somebody makes a rule for a path that forwards to one fleet alone.
    NewRule {
        /// Which fleet.
        fleet: FleetName,
        /// Such as `/api/*`.
        path: String,
        /// Its priority; a smaller one comes first.
        priority: i32,
    },
    /// The instances of a fleet are stopped, or started again.
    Stopped {
        /// Which fleet.
        fleet: FleetName,
        /// Whether they are stopped.
        on: bool,
    },
    /// Session cookies bind clients to the targets of a fleet.
    TargetStickiness {
        /// Which fleet.
        fleet: FleetName,
    },
    /// Another app on the same balancer has lost its targets, so that its users are answered with 503.
    Neighbour {
        /// Its requests a second.
        rate: u32,
        /// For how long they come.
        seconds: Seconds,
    },
    /// A person asks this of the run, by the tag on its first route.
    Request {
        /// What the tag says.
        value: String,
    },
    /// Somebody stops the execution.
    Stop,
    /// Nothing, for a while.
    Wait {
        /// How long.
        seconds: Seconds,
    },
    /// Waits until every target of the app passes its health checks.
    UntilHealthy,
}

/// In words, for people who watch.
impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deploy { fleet, release } => write!(f, "{release} is deployed to {}", fleet.word()),
            Self::Told { fleet, release } => write!(f, "the tag of {} says {release}", fleet.word()),
            Self::Fleet { name, target, behaves } => {
                let which = target.map(|number| format!("target {number} of ")).unwrap_or_default();
                write!(f, "{which}{} {behaves}", name.word())
            }
            Self::Users { percent } => write!(f, "{percent} % of the users come"),
            Self::Aws(aws) => write!(f, "{aws}"),
            Self::Calls(fault) => write!(f, "{fault}"),
            Self::Alarm { name, ringing: true } => write!(f, "the alarm {name} rings"),
            Self::Alarm { name, ringing: false } => write!(f, "the alarm {name} is quiet"),
            Self::SomebodyElseSets(weights) => write!(f, "somebody else sets {weights}"),
            Self::DeleteRoute { number, again: false } => write!(f, "somebody deletes route {number}"),
            Self::DeleteRoute { number, again: true } => {
                write!(f, "somebody deletes route {number} and makes it anew, to prod1")
            }
            Self::NewRule { fleet, path, priority } => {
                write!(f, "somebody makes rule {priority} for {path}, to {}", fleet.word())
            }
            Self::Stopped { fleet, on: true } => write!(f, "the instances of {} are stopped", fleet.word()),
            Self::Stopped { fleet, on: false } => write!(f, "the instances of {} are started", fleet.word()),
            Self::Neighbour { rate, seconds } => {
                write!(f, "{rate} requests a second of another app find no target, for {seconds}")
            }
            Self::Request { value } => write!(f, "somebody asks for `{value}`"),
            Self::TargetStickiness { fleet } => write!(f, "session cookies bind clients to {}", fleet.word()),
            Self::Stop => f.write_str("somebody stops the execution"),
            Self::Wait { seconds } => write!(f, "nothing for {seconds}"),
            Self::UntilHealthy => f.write_str("wait until all targets are healthy"),
        }
    }
}
