//! An Application Load Balancer for one machine.
//!
//! [`Alb`] is a real HTTP proxy together with the parts of the Elastic Load Balancing v2 and
//! CloudWatch APIs that steer it and look at it. Unmodified AWS SDK clients work against it: point
//! `AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2` and `AWS_ENDPOINT_URL_CLOUDWATCH` at
//! [`Alb::endpoint`]. [`Fleet`] is a group of targets that can be made to misbehave.
//!
//! Where it knowingly differs from AWS:
//!
//! - Metrics are kept by the second instead of by the minute, so that short periods work.
//! - A listener with the protocol `HTTPS` speaks plain HTTP; only `X-Forwarded-Proto` says `https`.
//! - Targets are IPv4 addresses with a port. A deregistered one gets nothing new; it is shown as draining.
//! - Slow start, target-level stickiness and rule transforms are not carried out.
//! - A single zone, no web sockets.
//! - CloudWatch speaks the CBOR protocol of the current SDKs only, and reads plain metrics: neither
//!   expressions nor the trimmed and winsorized means.
//!
//! Where AWS leaves room, it decides:
//!
//! - A request counts in the second in which its answer is known, in all metrics alike.
//! - `TargetConnectionErrorCount` counts connections that could not be established. A connection
//!   that breaks later, before an answer, shows in `HTTPCode_ELB_502_Count` alone.
//! - A client that leaves before the answer is logged as 460. Fixed responses count among the
//!   balancer's own 4XX and 5XX answers.
//! - A request is sent to one target only. It is sent a second time, on a new connection, where
//!   the first one turns out to have been closed already; bodies over 64 KiB are not.
//! - A target is healthy after its first successful check, and ill only after as many failures as
//!   the group's threshold says.
//!
//! Everything listens on 127.0.0.1, or nowhere: see [`Alb::in_memory`]. The balancer and its fleets live in the tokio runtime in which
//! they were started.

#![deny(clippy::disallowed_methods)]

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::DropGuard;

mod api;
mod condition;
mod core;
mod fleet;
mod group;
mod health;
mod intercept;
mod journal;
pub mod ledger;
mod lock;
mod memory;
mod metrics;
mod model;
mod net;
mod past;
mod pool;
mod proxy;
mod responses;
mod routing;
mod stats;
mod throttle;
mod trouble;
mod visit;
mod whims;
mod world;

pub use crate::fleet::{Behaviour, Counts, Fleet, TAKES_MILLISECONDS};
pub use crate::intercept::{Answered, CallInfo, Intercept};
pub use crate::journal::{AccessLogEntry, Call, Service};
pub use crate::memory::{Asked, ConnectionReset, Measured};
pub use crate::stats::{Range, Statistic};
pub use crate::throttle::Counted;
pub use crate::trouble::{Partial, Trouble};

use crate::core::{Alarm, Core};

/// How a balancer is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The region in ARNs.
    pub region: String,
    /// The account in ARNs, twelve digits.
    pub account: String,
    /// Decides every draw by weight, and every id.
    pub seed: u64,
    /// How often every target is checked, whatever its group says. AWS does not go below five
    /// seconds; here nothing is too quick.
    pub health_check_interval: Option<Duration>,
    /// How much faster than in AWS the account's buckets fill up and targets drain: 1 is as in AWS, 60 makes
    /// a second of a minute. Above 0.
    pub time_compression: f64,
    /// Whose calls draw on the account's buckets.
    pub counted: Counted,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
            seed: 0,
            health_check_interval: None,
            time_compression: 1.0,
            counted: Counted::Everyone,
        }
    }
}

/// The state of a CloudWatch alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// `OK`
    Ok,
    /// `ALARM`
    Alarm,
    /// `INSUFFICIENT_DATA`
    InsufficientData,
}

/// Whether the balancer publishes a metric of this name.
pub fn publishes(metric: &str) -> bool {
    metrics::Metric::parse(metric).is_some()
}

/// A running balancer. It stops when this is dropped.
pub struct Alb {
    core: Arc<Core>,
    address: SocketAddr,
    _stop: DropGuard,
}

impl fmt::Debug for Alb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alb").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Alb {
    /// Starts the control plane on a free port. Listeners follow with `CreateListener`.
    ///
    /// # Errors
    /// If no port can be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = net::listen(0)?;
        let address = listener.local_addr()?;
        let core = Arc::new(Core::new(options));
        let stop = core.stop.clone();
        tokio::spawn(api::serve(Arc::clone(&core), listener));
        let publishing = health::publish_hosts(Arc::clone(&core));
        tokio::spawn({
            let stop = stop.clone();
            async move { stop.run_until_cancelled(publishing).await }
        });
        Ok(Self { core, address, _stop: stop.drop_guard() })
    }

    /// Where both APIs are served, such as `http://127.0.0.1:40000`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same as an address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps a free port for a listener that is created later: nobody else gets it meanwhile.
    ///
    /// # Errors
    /// If no port can be bound.
    pub fn reserve_port(&self) -> io::Result<u16> {
        self.core.reserve()
    }

    /// Takes away the balancer with this ARN, its listeners and the target groups that they lead to, all at
    /// once. What was counted and logged about them stays.
    pub fn remove(&self, balancer_arn: &str) {
        lock::lock(&self.core.world).remove_balancer(balancer_arn);
    }

    /// Every API call so far, oldest first. The log keeps the last 500,000.
    pub fn calls(&self) -> Vec<Arc<Call>> {
        self.core.calls.since(0)
    }

    /// The calls from an index on, see [`Alb::calls_len`].
    pub fn calls_since(&self, index: usize) -> Vec<Arc<Call>> {
        self.core.calls.since(index)
    }

    /// How many calls were logged so far: the index of the next one.
    pub fn calls_len(&self) -> usize {
        self.core.calls.len()
    }

    /// Every request so far, oldest first. The log keeps the last 500,000.
    pub fn access_log(&self) -> Vec<AccessLogEntry> {
        self.access_log_since(0)
    }

    /// The requests from an index on, see [`Alb::access_log_len`].
    pub fn access_log_since(&self, index: usize) -> Vec<AccessLogEntry> {
        self.core.access.since(index)
    }

    /// How many requests were logged so far: the index of the next one.
    pub fn access_log_len(&self) -> usize {
        self.core.access.len()
    }

    /// Creates a CloudWatch metric alarm, or changes its state.
    pub fn set_alarm(&self, name: &str, state: AlarmState) {
        lock::lock(&self.core.alarms).insert(name.to_owned(), Alarm { state, composite: false });
    }

    /// Creates a CloudWatch composite alarm, or changes its state.
    pub fn set_composite_alarm(&self, name: &str, state: AlarmState) {
        lock::lock(&self.core.alarms).insert(name.to_owned(), Alarm { state, composite: true });
    }

    /// Decides about every API call from now on, in place of an earlier interceptor. It runs on
    /// the task that serves the call, and must not block.
    pub fn intercept(&self, interceptor: Box<dyn Fn(&CallInfo<'_>) -> Intercept + Send + Sync>) {
        *lock::write(&self.core.interceptor) = Some(interceptor);
    }

    /// Sees every answer of its own from now on, in place of an earlier observer. It runs on the task that
    /// serves the call, and must not block.
    pub fn observe(&self, observer: Box<dyn Fn(&Answered<'_>) + Send + Sync>) {
        *lock::write(&self.core.observer) = Some(observer);
    }

    /// Where calls of services that are not served here go: clients of such a service can be pointed
    /// at [`Alb::endpoint`] too, and meet its interceptor.
    pub fn pass_on(&self, to: SocketAddr) {
        *lock::lock(&self.core.others) = Some(to);
    }

    /// What AWS does late or wrong from now on around the balancer with this ARN, in place of what it
    /// did before.
    pub fn set_trouble(&self, balancer_arn: &str, trouble: Trouble) {
        lock::lock(&self.core.troubles).set(balancer_arn, trouble);
    }

    /// Stops everything at once: the same as dropping it.
    pub fn shutdown(self) {
        drop(self);
    }
}
