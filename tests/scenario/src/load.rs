//! How users come.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::words::Seconds;

/// How users come to each route of an app.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Load {
    /// Requests a second on each route; with all bursts and drift 1000 at most.
    pub rate: f64,
    /// For how many seconds users come before the first run: the history that a release is judged by.
    pub history_seconds: Seconds,
    /// Crowds that come again and again.
    pub bursts: Option<Bursts>,
    /// A rate that rises or falls slowly.
    pub drift: Option<Drift>,
    /// The share of requests from a client that sends back every cookie of the balancer's, in percent.
    pub sticky_percent: f64,
    /// Clients that take long to send their request.
    pub slow_clients: Option<Part>,
    /// Requests that the fleets need long for, whatever they run.
    pub long_requests: Option<Part>,
}

/// A crowd that comes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bursts {
    /// Seconds from the beginning of one burst to the next.
    pub every_seconds: Seconds,
    /// How long each lasts, in seconds.
    pub last_seconds: Seconds,
    /// How many times the usual rate.
    pub factor: f64,
}

/// A slow change of the rate, which then stays.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    /// What the rate becomes, in percent of what it was.
    pub to_percent: f64,
    /// How many seconds that takes.
    pub over_seconds: Seconds,
}

/// A share of the requests, and how long they take.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Part {
    /// Percent of all requests.
    pub percent: f64,
    /// Seconds.
    pub seconds: Seconds,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            rate: 120.0,
            history_seconds: Seconds::new(2),
            bursts: None,
            drift: None,
            sticky_percent: 0.0,
            slow_clients: None,
            long_requests: None,
        }
    }
}

impl Load {
    /// Plain requests at a steady rate.
    pub fn steady(rate: u32) -> Self {
        Self { rate: rate.into(), ..Self::default() }
    }

    /// Requests a second on a route after the users have come for so long.
    pub fn rate_after(&self, elapsed: Duration) -> f64 {
        let seconds = elapsed.as_secs_f64();
        let drifted = self.drift.map_or(1.0, |drift| {
            let way = (seconds / drift.over_seconds.get().max(f64::EPSILON)).min(1.0);
            1.0 + way * (drift.to_percent / 100.0 - 1.0)
        });
        let burst = self.bursts.filter(|b| seconds.rem_euclid(b.every_seconds.get()) < b.last_seconds.get());
        self.rate * drifted * burst.map_or(1.0, |burst| burst.factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(load: Load, seconds: [u64; 4]) -> [f64; 4] {
        seconds.map(|second| load.rate_after(Duration::from_secs(second)))
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "all of these are exact in binary")]
    fn a_rate_drifts_and_bursts() {
        let drift = Some(Drift { to_percent: 200.0, over_seconds: Seconds::new(8) });
        let bursts =
            Some(Bursts { every_seconds: Seconds::new(10), last_seconds: Seconds::new(2), factor: 4.0 });
        let steady = Load::steady(64);
        assert_eq!(rates(steady, [0, 4, 11, 99]), [64.0; 4]);
        assert_eq!(rates(Load { drift, ..steady }, [0, 4, 8, 99]), [64.0, 96.0, 128.0, 128.0]);
        assert_eq!(rates(Load { bursts, ..steady }, [1, 2, 9, 11]), [256.0, 64.0, 64.0, 256.0]);
        assert_eq!(rates(Load { bursts, drift, ..steady }, [0, 4, 8, 11]), [256.0, 96.0, 128.0, 512.0]);
    }
}
