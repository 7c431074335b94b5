//! What happened: every API call and every request through the balancer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

use crate::lock::lock;

/// Entries kept of each kind; the oldest are dropped first.
const KEPT: usize = 500_000;

/// The service an API call was meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Elastic Load Balancing v2.
    ElasticLoadBalancingV2,
    /// CloudWatch.
    CloudWatch,
    /// One that is not served here, see [`crate::Alb::pass_on`].
    Other,
}

/// An API call that arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it arrived.
    pub at: Timestamp,
    /// The service called.
    pub service: Service,
    /// Such as `ModifyRule`; empty where the request named none.
    pub action: String,
    /// The parameters in the order they were sent, nested ones by their path
    /// (`Actions.member.1.Type`).
    pub parameters: Vec<(String, String)>,
    /// Ok, or the code of the error: the one of the service, or one that was injected. A call
    /// whose connection was closed on purpose has `ConnectionReset`.
    pub outcome: Result<(), String>,
    /// Whether the call was carried out. An injected fault may hide the answer of a call that was.
    pub applied: bool,
}

impl Call {
    /// Whether the call changes something when it succeeds.
    pub fn is_write(&self) -> bool {
        !["Describe", "Get", "List"].iter().any(|verb| self.action.starts_with(verb))
    }

    /// The value of one parameter, by its path.
    pub fn parameter(&self, path: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == path).map(|(_, value)| value.as_str())
    }
}

/// One request through the balancer, written when the head of its answer is known.
#[derive(Clone, Debug)]
pub struct AccessLogEntry {
    /// When the answer was known.
    pub time: Timestamp,
    /// The port of the listener.
    pub listener_port: u16,
    /// None if no target was chosen.
    pub target_group_arn: Option<Arc<str>>,
    /// None if no target was chosen.
    pub target: Option<SocketAddr>,
    /// What the client got. 460 where the client left before there was an answer.
    pub status: u16,
    /// What the target answered; none if it did not, or if no target was chosen.
    pub target_status: Option<u16>,
    /// From the arrival of the request until the answer was known.
    pub duration: Duration,
}

/// A log that forgets its oldest entries.
pub(crate) struct Log<T> {
    entries: Mutex<(usize, VecDeque<T>)>,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { entries: Mutex::new((0, VecDeque::new())) }
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn push(&self, entry: T) {
        let mut entries = lock(&self.entries);
        if entries.1.len() == KEPT {
            entries.1.pop_front();
            entries.0 += 1;
        }
        entries.1.push_back(entry);
    }

    /// The entries from `index` on, counted from the start of the log.
    pub(crate) fn since(&self, index: usize) -> Vec<T> {
        let entries = lock(&self.entries);
        entries.1.iter().skip(index.saturating_sub(entries.0)).cloned().collect()
    }

    /// How many entries were ever written: the index of the next.
    pub(crate) fn len(&self) -> usize {
        let entries = lock(&self.entries);
        entries.0 + entries.1.len()
    }
}
