//! One request on its way through the balancer, and what is recorded about it.

use std::sync::Arc;
use std::time::Duration;

use clock::Instant;

use hyper::Response;

use crate::core::Core;
use crate::group::{Group, Target};
use crate::journal::AccessLogEntry;
use crate::lock::lock;
use crate::metrics::Metric;
use crate::net::Body;
use crate::routing::{Choice, Table};

/// The client left before there was an answer.
const CLIENT_LEFT: u16 = 460;

/// Records exactly one outcome: the one it is told, or that the client left.
pub(crate) struct Visit {
    core: Arc<Core>,
    table: Arc<Table>,
    began: Instant,
    chosen: Option<(Arc<Group>, Arc<Target>)>,
    connection_error: bool,
    recorded: bool,
}

impl Visit {
    pub(crate) fn new(core: Arc<Core>, table: Arc<Table>) -> Self {
        Self { core, table, began: Instant::now(), chosen: None, connection_error: false, recorded: false }
    }

    /// A group by weight.
    pub(crate) fn draw<'a>(&self, choice: &'a Choice) -> Option<&'a Arc<Group>> {
        choice.draw(&mut *lock(&self.core.rng))
    }

    pub(crate) fn choose(&mut self, group: &Arc<Group>, target: &Arc<Target>) {
        self.chosen = Some((Arc::clone(group), Arc::clone(target)));
    }

    pub(crate) fn connection_error(&mut self) {
        self.connection_error = true;
    }

    /// The balancer itself gives this answer.
    pub(crate) fn answered_here(mut self, response: Response<Body>) -> Response<Body> {
        self.record(response.status().as_u16(), None);
        response
    }

    /// The target has answered after `taken`.
    pub(crate) fn answered_by_target(mut self, status: u16, taken: Duration) {
        self.record(status, Some(taken));
    }

    fn record(&mut self, status: u16, by_target: Option<Duration>) {
        self.recorded = true;
        let now = clock::now();
        let balancer = &self.table.balancer;
        let class = u8::try_from(status / 100).unwrap_or_default();
        {
            let mut metrics = lock(&self.core.metrics);
            if let Some((group, _)) = &self.chosen {
                let group = &group.label;
                metrics.count(balancer, Some(group), Metric::RequestCount, now);
                if self.connection_error {
                    metrics.count(balancer, Some(group), Metric::TargetConnectionErrorCount, now);
                }
                if let Some(taken) = by_target {
                    metrics.count(balancer, Some(group), Metric::TargetCode(class), now);
                    metrics.time(balancer, group, taken, now);
                }
            }
            if by_target.is_none() && matches!(class, 4 | 5) {
                metrics.count(balancer, None, Metric::BalancerClass(class), now);
                if matches!(status, 502..=504) {
                    metrics.count(balancer, None, Metric::BalancerCode(status), now);
                }
            }
        }
        self.core.access.push(AccessLogEntry {
            time: now,
            listener_port: self.table.port,
            target_group_arn: self.chosen.as_ref().map(|(group, _)| Arc::clone(&group.arn)),
            target: self.chosen.as_ref().map(|(_, target)| target.address),
            status,
            target_status: by_target.map(|_| status),
            duration: self.began.elapsed(),
        });
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // A balancer that is shut down drops its requests too: no client left then.
        if !self.recorded && !self.core.stop.is_cancelled() {
            self.record(CLIENT_LEFT, None);
        }
    }
}
