//! What happens to the targets of a group outside the health checks.

use clock::Instant;
use std::net::SocketAddr;

/// What is up with the targets of a group.
#[derive(Default)]
pub(crate) struct Condition {
    /// Whether their instances are stopped.
    pub(crate) stopped: bool,
    /// Whether they are in a zone that the balancer has not.
    pub(crate) zone_not_enabled: bool,
    /// Whether a zonal shift has moved traffic away from them.
    pub(crate) shifted_away: bool,
    /// The target that answers unlike the others.
    pub(crate) anomalous: Option<SocketAddr>,
    /// Deregistered targets, and until when they are shown.
    draining: Vec<(SocketAddr, Instant)>,
}

impl Condition {
    /// Whether no target of the group is used, whatever its health.
    pub(crate) fn unusable(&self) -> bool {
        self.stopped || self.zone_not_enabled
    }

    /// Shows a deregistered target until then.
    pub(crate) fn drain(&mut self, address: SocketAddr, until: Instant) {
        self.registered(address);
        self.draining.push((address, until));
    }

    /// A target that is registered again drains no more.
    pub(crate) fn registered(&mut self, address: SocketAddr) {
        self.draining.retain(|(known, _)| *known != address);
    }

    /// The targets that drain at `now`.
    pub(crate) fn draining(&mut self, now: Instant) -> Vec<SocketAddr> {
        self.draining.retain(|(_, until)| *until > now);
        self.draining.iter().map(|(address, _)| *address).collect()
    }
}
