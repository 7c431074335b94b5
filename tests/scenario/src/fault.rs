//! What can fail: fleets, calls of AWS, and how AWS spreads weights and shows metrics.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::words::{FleetName, Seconds};

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
