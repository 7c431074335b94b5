//! Target groups: their settings, their targets and which of them gets the next request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use clock::Instant;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::condition::Condition;
use crate::lock;
use crate::pool::Pool;

/// The balancer that uses a group.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) arn: String,
    /// `app/name/id`.
    pub(crate) label: Arc<str>,
}

/// A target group.
pub(crate) struct Group {
    pub(crate) arn: Arc<str>,
    pub(crate) name: String,
    /// `targetgroup/name/id`: the value of the CloudWatch dimension.
    pub(crate) label: Arc<str>,
    pub(crate) protocol: String,
    pub(crate) port: u16,
    pub(crate) vpc: String,
    pub(crate) target_type: String,
    pub(crate) check: Check,
    pub(crate) attributes: Mutex<BTreeMap<String, String>>,
    targets: RwLock<Vec<Arc<Target>>>,
    /// None while no rule and no default action holds the group.
    pub(crate) user: watch::Sender<Option<User>>,
    pub(crate) condition: Mutex<Condition>,
    turn: AtomicUsize,
}

/// How the targets of a group are checked.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) protocol: String,
    /// `traffic-port` or a number.
    pub(crate) port: String,
    pub(crate) path: String,
    pub(crate) interval_seconds: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) healthy_threshold: u32,
    pub(crate) unhealthy_threshold: u32,
    /// Such as `200`, `200,202` or `200-299`.
    pub(crate) matcher: String,
    /// Instead of `interval_seconds`, where the embedder wants it quicker.
    pub(crate) interval: Duration,
}

/// One registered address.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) pool: Pool,
    pub(crate) health: Mutex<Health>,
    /// Fires when the target is deregistered.
    pub(crate) stop: CancellationToken,
}

/// What the health checks have found about a target that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Initial,
    Healthy,
    Unhealthy(Ill),
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ill {
    Failed,
    Timeout,
    Code(u16),
}

impl Group {
    #[expect(clippy::too_many_arguments, reason = "each is a setting that the API names")]
    pub(crate) fn new(
        arn: &str,
        name: &str,
        label: &str,
        protocol: &str,
        port: u16,
        vpc: &str,
        target_type: &str,
        check: Check,
    ) -> Self {
        let attributes = [
            ("deregistration_delay.timeout_seconds", "300"),
            ("load_balancing.algorithm.type", "round_robin"),
            ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
            ("slow_start.duration_seconds", "0"),
            ("stickiness.enabled", "false"),
            ("stickiness.lb_cookie.duration_seconds", "86400"),
            ("stickiness.type", "lb_cookie"),
            ("target_group_health.dns_failover.minimum_healthy_targets.count", "1"),
            ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"),
        ];
        Self {
            arn: arn.into(),
            name: name.to_owned(),
            label: label.into(),
            protocol: protocol.to_owned(),
            port,
            vpc: vpc.to_owned(),
            target_type: target_type.to_owned(),
            check,
            attributes: Mutex::new(
                attributes.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ),
            targets: RwLock::default(),
            user: watch::Sender::new(None),
            condition: Mutex::default(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        lock::read(&self.targets).clone()
    }

    /// Adds a target; false if the address is registered already.
    pub(crate) fn add(&self, target: &Arc<Target>) -> bool {
        let mut targets = lock::write(&self.targets);
        let new = targets.iter().all(|known| known.address != target.address);
        if new {
            lock::lock(&self.condition).registered(target.address);
            targets.push(Arc::clone(target));
        }
        new
    }

    /// Takes targets out at once; what is in flight to them goes on. Those of a group in use are shown as
    /// draining for as long as the group says, `faster` times as fast.
    pub(crate) fn remove(&self, faster: f64, matches: impl Fn(&Target) -> bool) {
        let delay =
            lock::lock(&self.attributes)["deregistration_delay.timeout_seconds"].parse().unwrap_or(300.0);
        let until = Instant::now() + Duration::try_from_secs_f64(delay / faster).unwrap_or_default();
        let used = self.user.borrow().is_some();
        lock::write(&self.targets).retain(|target| {
            let leaves = matches(target);
            if leaves {
                target.stop.cancel();
                if used {
                    lock::lock(&self.condition).drain(target.address, until);
                }
            }
            !leaves
        });
    }

    /// Whether clients stay with a target of this group.
    pub(crate) fn is_sticky(&self) -> bool {
        lock::lock(&self.attributes)["stickiness.enabled"] == "true"
    }

    /// The next target in turn among the healthy ones, or among all where none is healthy:
    /// an ALB fails open. None without any target that can be used.
    pub(crate) fn pick(&self) -> Option<Arc<Target>> {
        if lock::lock(&self.condition).unusable() {
            return None;
        }
        let targets = lock::read(&self.targets);
        let healthy = targets.iter().filter(|target| *lock::lock(&target.health) == Health::Healthy).count();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if healthy == 0 {
            let count = targets.len();
            return (count > 0).then(|| Arc::clone(&targets[turn % count]));
        }
        // A target may turn ill between counting and picking: take whoever is there then.
        targets
            .iter()
            .filter(|target| healthy == targets.len() || *lock::lock(&target.health) == Health::Healthy)
            .nth(turn % healthy)
            .or(targets.first())
            .map(Arc::clone)
    }
}

impl Check {
    /// Whether the group takes this status for healthy.
    pub(crate) fn accepts(&self, status: u16) -> bool {
        self.matcher.split(',').any(|part| match part.trim().split_once('-') {
            Some((from, to)) => {
                let (from, to) = (from.trim().parse::<u16>(), to.trim().parse::<u16>());
                matches!((from, to), (Ok(from), Ok(to)) if (from..=to).contains(&status))
            }
            None => part.trim().parse() == Ok(status),
        })
    }
}
