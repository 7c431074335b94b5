//! What can be done before a run and while it runs.

use alb::AlarmState;
use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::sleep;

use super::fault::{Aws, Behaves, CallFault, Fails};
use super::{FleetName, Seconds, Weights};
use crate::app::App;
use crate::ground::Ground;
use crate::traffic::Traffic;

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

/// Where it happens.
pub(super) struct Scene<'a> {
    pub(super) ground: &'a Ground,
    pub(super) app: &'a App<'a>,
    pub(super) traffic: &'a [Traffic],
    /// The execution that runs, if one does.
    pub(super) execution: Option<&'a str>,
}

impl Action {
    /// Does it.
    pub(super) async fn carry_out(&self, scene: &Scene<'_>) -> Result<()> {
        let Scene { ground, app, traffic, execution } = scene;
        match self {
            Self::Deploy { fleet, release } => app.deploy(fleet.index(), release),
            Self::Told { fleet, release } => app.tell(fleet.index(), release).await?,
            Self::Fleet { name, target: None, behaves } => app.set(name.index(), (*behaves).into()),
            Self::Fleet { name, target: Some(number), behaves } => {
                let target = number.checked_sub(1).context("the first target is 1")?;
                app.set_target(name.index(), target, (*behaves).into())?;
            }
            Self::Users { percent } => traffic.iter().for_each(|users| users.set_percent(*percent)),
            Self::Aws(aws) => aws.apply(ground, app),
            Self::Calls(fault) => fault.arm(ground, app)?,
            Self::Alarm { name, ringing } => {
                let state = if *ringing { AlarmState::Alarm } else { AlarmState::Ok };
                ground.alb.set_alarm(name, state);
            }
            Self::SomebodyElseSets(weights) => app.overwrite(weights.both()).await?,
            Self::DeleteRoute { number, again } => {
                let number = number.checked_sub(1).context("the first route is 1")?;
                app.delete_route(number, *again).await?;
            }
            Self::NewRule { fleet, path, priority } => app.new_rule(fleet.index(), path, *priority).await?,
            Self::TargetStickiness { fleet } => app.bind_sessions(fleet.index()).await?,
            Self::Stopped { fleet, on } => {
                ensure!(ground.alb.stop_instances(&app.groups[fleet.index()], *on), "there is no such group");
            }
            Self::Neighbour { rate, seconds } => app.neighbour(*rate, seconds.duration()).await?,
            Self::Request { value } => app.request(value).await?,
            Self::Stop => ground.stop(execution.context("nothing runs that could be stopped")?).await?,
            Self::Wait { seconds } => sleep(seconds.duration()).await,
            Self::UntilHealthy => app.until_healthy().await?,
        }
        Ok(())
    }
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

impl std::fmt::Display for Behaves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Healthy => f.write_str("is healthy"),
            Self::Dead => f.write_str("is dead"),
            Self::FailsChecks => f.write_str("fails its health checks and answers all the same"),
            Self::Errors { percent } => write!(f, "fails {percent} % of its requests"),
            Self::ClientErrors { percent } => write!(f, "answers {percent} % of its requests with 404"),
            Self::Capacity { per_second } => {
                write!(f, "carries {per_second} requests a second on each target, and no more")
            }
            Self::Resets { percent } => write!(f, "resets the connection of {percent} % of its requests"),
            Self::Slow { percent, seconds } => {
                write!(f, "answers {percent} % of its requests {seconds} late")
            }
        }
    }
}

impl std::fmt::Display for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let late =
            |seconds: Seconds, what: &str| (seconds.get() > 0.0).then(|| format!("{what} {seconds} late"));
        let unseen = self.unseen.iter().map(|fleet| format!("nothing is known of {}", fleet.word()));
        let partial = self.partial.map(|p| format!("{} % of the last {} are shown", p.percent, p.seconds));
        let gaps =
            (self.gaps_percent > 0.0).then(|| format!("{} % of seconds are missing", self.gaps_percent));
        let parts = [
            late(self.spread_seconds, "weights spread"),
            late(self.late_reads_seconds, "reads see changes up to"),
            late(self.metric_lag_seconds, "metrics come"),
        ];
        let twice = self.points_twice.then(|| "data points come twice".to_owned());
        let parts: Vec<String> =
            parts.into_iter().chain([partial, gaps, twice]).flatten().chain(unseen).collect();
        if parts.is_empty() { f.write_str("AWS is well") } else { write!(f, "AWS: {}", parts.join(", ")) }
    }
}

impl std::fmt::Display for CallFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = self.action.as_deref().unwrap_or("every call");
        let becomes = match self.fails {
            Fails::Throttled => "is throttled".to_owned(),
            Fails::Denied => "is denied".to_owned(),
            Fails::Broken => "fails".to_owned(),
            Fails::LostBefore => "is lost before it is carried out".to_owned(),
            Fails::LostAfter => "is lost after it was carried out".to_owned(),
            Fails::Killed => "finds its function killed".to_owned(),
            Fails::Late { seconds } => format!("is answered {seconds} late"),
        };
        let times = self.times.map(|times| format!(", {times} times")).unwrap_or_default();
        write!(f, "{what} {becomes}{times}")
    }
}
