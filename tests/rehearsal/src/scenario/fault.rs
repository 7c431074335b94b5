//! What can fail: fleets, calls of AWS, and how AWS spreads weights and shows metrics.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use alb::{Behaviour, CallInfo, Intercept, Partial, Trouble};
use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{FleetName, Seconds};
use crate::app::App;
use crate::ground::Ground;
use crate::kill;

/// How a fleet behaves. Health checks pass unless it is said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Behaves {
    /// Answers with 200 after a few milliseconds.
    Healthy,
    /// Refuses connections, those of health checks among them.
    Dead,
    /// Answers as a healthy one, while its health checks fail: alone behind a rule, it is sent requests
    /// all the same, since the balancer fails open.
    FailsChecks,
    /// Answers some requests with 500.
    Errors {
        /// How many.
        percent: f64,
    },
    /// Answers some requests with 404.
    ClientErrors {
        /// How many.
        percent: f64,
    },
    /// Resets the connection of some requests.
    Resets {
        /// How many.
        percent: f64,
    },
    /// Carries so much on each target, and answers what is beyond with 503.
    Capacity {
        /// Requests a second.
        per_second: f64,
    },
    /// Answers some requests late.
    Slow {
        /// How many.
        percent: f64,
        /// How much later.
        seconds: Seconds,
    },
}

impl From<Behaves> for Behaviour {
    fn from(behaves: Behaves) -> Self {
        match behaves {
            Behaves::Healthy => Self::Healthy,
            Behaves::Dead => Self::Dead,
            Behaves::FailsChecks => Self::FailsChecks,
            Behaves::Errors { percent } => Self::Errors { share: percent / 100.0 },
            Behaves::ClientErrors { percent } => Self::ClientErrors { share: percent / 100.0 },
            Behaves::Capacity { per_second } => Self::Capacity { per_second },
            Behaves::Resets { percent } => Self::Reset { share: percent / 100.0 },
            Behaves::Slow { percent, seconds } => {
                Self::Slow { share: percent / 100.0, delay: seconds.duration() }
            }
        }
    }
}

/// What AWS does late or wrong around the balancer. What is left out it does right.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Aws {
    /// How long changed weights take to reach the traffic.
    pub spread_seconds: Seconds,
    /// For how long after a change reads of rules and tags may still show what stood before, one this way and
    /// another that way.
    pub late_reads_seconds: Seconds,
    /// How long a second stays out of CloudWatch after it is over.
    pub metric_lag_seconds: Seconds,
    /// Seconds that CloudWatch shows before all of their samples are there.
    pub partial: Option<PartialSeconds>,
    /// The share of seconds that CloudWatch never shows.
    pub gaps_percent: f64,
    /// Whether CloudWatch returns every data point twice.
    pub points_twice: bool,
    /// Fleets of which CloudWatch shows nothing.
    pub unseen: Vec<FleetName>,
}

/// Seconds that are shown before all of their samples are there.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartialSeconds {
    /// How many of a second's samples are shown at first.
    pub percent: f64,
    /// When the others follow.
    pub seconds: Seconds,
}

impl Aws {
    /// Makes it so for the balancer of an app.
    pub(super) fn apply(&self, ground: &Ground, app: &App<'_>) {
        let trouble = Trouble {
            spread: self.spread_seconds.duration(),
            late_reads: self.late_reads_seconds.duration(),
            metric_lag: self.metric_lag_seconds.duration(),
            partial: self
                .partial
                .map(|partial| Partial { share: partial.percent / 100.0, lasts: partial.seconds.duration() }),
            gaps: self.gaps_percent / 100.0,
            points_twice: self.points_twice,
            unseen_groups: self.unseen.iter().map(|fleet| app.groups[fleet.index()].clone()).collect(),
        };
        ground.alb.set_trouble(&app.load_balancer_arn, trouble);
    }
}

/// Calls that name the app and fail, from now on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallFault {
    /// Such as `ModifyRule`; every call without it.
    pub action: Option<String>,
    /// Only calls that name this route, the first being 1.
    pub route: Option<usize>,
    /// What becomes of them.
    pub fails: Fails,
    /// So many go through before.
    #[serde(default)]
    pub skip: usize,
    /// So many fail, and all without it.
    pub times: Option<usize>,
    /// For so many seconds, and for good without it.
    pub for_seconds: Option<Seconds>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Fails {
    /// Not carried out, since there were too many.
    Throttled,
    /// Not carried out, for want of a permission.
    Denied,
    /// Not carried out, since AWS is not well.
    Broken,
    /// Not carried out, and the connection is lost.
    LostBefore,
    /// Carried out, but the connection is lost before the answer.
    LostAfter,
    /// Not carried out, since the function that sends it is killed at this moment.
    Killed,
    /// Carried out at once and answered late.
    Late {
        /// How late.
        seconds: Seconds,
    },
}

impl CallFault {
    /// Arms it for the calls about an app.
    pub(super) fn arm(&self, ground: &Ground, app: &App<'_>) -> Result<()> {
        let (fault, mark, server) = (self.clone(), app.mark(), ground.alb.address());
        let route = match self.route {
            Some(number) => {
                let arn = number.checked_sub(1).and_then(|index| app.routes.get(index));
                Some(arn.with_context(|| format!("there is no route {number}"))?.clone())
            }
            None => None,
        };
        let last = self.for_seconds.map(|seconds| Instant::now() + seconds.duration());
        let seen = AtomicUsize::new(0);
        ground.fail(move |call: &CallInfo<'_>| {
            let wanted = fault.action.as_ref().is_none_or(|action| action == call.action)
                && mark.is_in(call.parameters)
                && route.as_ref().is_none_or(|arn| call.parameters.iter().any(|(_, value)| value == arn))
                && last.is_none_or(|last| Instant::now() < last);
            if !wanted {
                return None;
            }
            let number = seen.fetch_add(1, Ordering::Relaxed).checked_sub(fault.skip)?;
            if fault.times.is_some_and(|times| number >= times) {
                return None;
            }
            fault.fails.intercept(call, server)
        });
        Ok(())
    }
}

impl Fails {
    fn intercept(self, call: &CallInfo<'_>, server: std::net::SocketAddr) -> Option<Intercept> {
        let error = |status, code: &str, message: &str| {
            Some(Intercept::Error { status, code: code.into(), message: message.into() })
        };
        match self {
            Self::Throttled => error(400, "Throttling", "Rate exceeded"),
            Self::Denied => error(403, "AccessDenied", "not allowed"),
            Self::Broken => error(500, "InternalFailure", "try again later"),
            Self::LostBefore => Some(Intercept::ResetBefore),
            Self::LostAfter => Some(Intercept::ResetAfter),
            // One that is gone already is none that fails.
            Self::Killed => kill::client(call.peer, server).is_ok().then_some(Intercept::ResetBefore),
            Self::Late { seconds } => Some(Intercept::Delay(seconds.duration())),
        }
    }
}
