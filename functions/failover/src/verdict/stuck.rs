//! Client errors of clients that stick to one fleet.

use super::counts::{Metric, Period};

/// Requests that came beyond what the weights send: those of clients that stick to the standby.
#[derive(Default)]
pub struct Stuck {
    live: f64,
    standby: f64,
    percent: u8,
    /// Client errors that were taken for theirs.
    forgiven: u64,
}

/// So many standard deviations of the standby's share of the requests may hide those of such clients. More
/// blame fewer of them and find fewer releases that answer some of their requests with 4xx; the benchmark's
/// closed loop has both.
const DEVIATIONS: f64 = 1.25;

impl Stuck {
    /// The period without as many of the standby's client errors as clients that stick may have sent since
    /// the weights changed. Such a client says nothing about the release, and makes its requests too
    /// many for the weight. Fewer events only lower a factor, so it stays fair.
    pub fn free(&mut self, period: &Period) -> Period {
        if self.percent != period.standby_percent {
            *self = Self { percent: period.standby_percent, ..Self::default() };
        }
        self.live += period.live.requests as f64;
        self.standby += period.standby.requests as f64;
        let (weight, all) = (f64::from(self.percent) / 100.0, self.live + self.standby);
        let chance = DEVIATIONS * (all * weight * (1.0 - weight)).sqrt();
        let excess = self.standby - weight * all + chance;
        if weight >= 1.0 || excess <= 0.0 {
            return *period;
        }
        // Of the rest, live's requests are the share that the weights leave it.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, below all requests"
        )]
        let stuck = (excess / (1.0 - weight)).ceil() as u64;
        let mut free = *period;
        let errors = period.standby.events(Metric::ClientErrors);
        let forgiven = errors.min(stuck.saturating_sub(self.forgiven));
        self.forgiven += forgiven;
        free.standby.client_errors = errors - forgiven;
        free
    }
}
