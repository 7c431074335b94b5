//! The balancer without a network: calls come as values, and the embedder says how targets are and what
//! is measured. For a clock that does not wait for sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Request, Response};

use crate::core::Core;
use crate::group::{Health, Ill};
use crate::lock::lock;
use crate::stats::Statistic;
use crate::{Alb, Options, api};

/// Where nobody calls from.
pub(crate) const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// What CloudWatch knows of the balancer's metrics, where no request ever passes.
pub trait Measured: Send + Sync {
    /// The data points of one query, oldest first: starts of periods in seconds since the epoch, and values.
    fn points(&self, asked: &Asked<'_>) -> Vec<(i64, f64)>;
}

/// One query of `GetMetricData`.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The balancer, as in its dimension: `app/name/id`.
    pub balancer: &'a str,
    /// The group, as in its dimension: `targetgroup/name/id`; none for the balancer's own numbers.
    pub group: Option<&'a str>,
    /// Such as `RequestCount`.
    pub metric: &'a str,
    /// What is made of the samples of a period.
    pub statistic: Statistic,
    /// The length of a period in seconds.
    pub period: i64,
    /// Periods that begin at this time or later, in seconds since the epoch.
    pub from: i64,
    /// Periods that begin before this time.
    pub to: i64,
}

/// The client sees its connection reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionReset;

impl Alb {
    /// A balancer of which nothing listens: calls come by [`Alb::answer`], the state of targets by
    /// [`Alb::set_health`], and what is measured from `measured`.
    pub fn in_memory(options: Options, measured: Box<dyn Measured>) -> Self {
        let mut core = Core::new(options);
        core.measured = Some(measured);
        let stop = core.stop.clone();
        Self { core: Arc::new(core), address: NOWHERE, _stop: stop.drop_guard() }
    }

    /// Answers a call as the endpoint does.
    ///
    /// # Errors
    /// Where a fault on purpose resets the connection.
    pub async fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ConnectionReset> {
        let answer = api::take(&self.core, clock::now(), NOWHERE, request).await;
        let (head, body) = answer.map_err(|_| ConnectionReset)?.into_parts();
        let body = body.collect().await.map_err(|_| ConnectionReset)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }

    /// Says what the health checks of a target find, in memory.
    pub fn set_health(&self, group_arn: &str, target: SocketAddr, healthy: bool) {
        let group = lock(&self.core.world).group(group_arn).cloned();
        let targets = group.map(|group| group.targets()).unwrap_or_default();
        if let Some(target) = targets.iter().find(|known| known.address == target) {
            *lock(&target.health) = if healthy { Health::Healthy } else { Health::Unhealthy(Ill::Timeout) };
        }
    }

    /// What a rule, or the default action of a listener, gives each target group: ARN and weight.
    pub fn weights(&self, arn: &str) -> Vec<(String, u32)> {
        lock(&self.core.world).weights(arn)
    }

    /// The tags of a resource.
    pub fn tags(&self, arn: &str) -> std::collections::BTreeMap<String, String> {
        lock(&self.core.world).tags.get(arn).cloned().unwrap_or_default()
    }
}
