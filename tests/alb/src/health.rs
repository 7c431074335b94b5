//! Health checks, and the host counts that come from them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::core::Core;
use crate::group::{Check, Group, Health, Ill, Target};
use crate::lock::lock;
use crate::metrics::Metric;

/// Checks one target while its group is in use, until it is deregistered.
pub(crate) async fn watch(group: Arc<Group>, target: Arc<Target>) {
    let stop = target.stop.clone();
    tokio::select! {
        () = check_while_used(&group, &target) => {}
        () = stop.cancelled() => {}
    }
}

async fn check_while_used(group: &Group, target: &Target) {
    let mut user = group.user.subscribe();
    loop {
        if user.wait_for(Option::is_some).await.is_err() {
            return;
        }
        *lock(&target.health) = Health::Initial;
        let unused = async { user.wait_for(Option::is_none).await.map(|_| ()) };
        tokio::select! {
            () = check_repeatedly(&group.check, target) => {}
            outcome = unused => if outcome.is_err() { return },
        }
    }
}

async fn check_repeatedly(check: &Check, target: &Target) {
    let timeout = Duration::from_secs(check.timeout_seconds.into());
    let (mut successes, mut failures) = (0, 0);
    let mut interval = tokio::time::interval(check.interval.max(Duration::from_millis(1)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let outcome = match tokio::time::timeout(timeout, probe(check, target.address)).await {
            Ok(Some(status)) if check.accepts(status) => Ok(()),
            Ok(Some(status)) => Err(Ill::Code(status)),
            Ok(None) => Err(Ill::Failed),
            Err(_) => Err(Ill::Timeout),
        };
        let mut health = lock(&target.health);
        match outcome {
            Ok(()) => {
                successes += 1;
                failures = 0;
                // A new target needs one success only, one that was ill needs them all.
                if *health == Health::Initial || successes >= check.healthy_threshold {
                    *health = Health::Healthy;
                }
            }
            Err(ill) => {
                failures += 1;
                successes = 0;
                if failures >= check.unhealthy_threshold {
                    *health = Health::Unhealthy(ill);
                }
            }
        }
    }
}

/// The status of one health check; none if there was no answer.
async fn probe(check: &Check, target: SocketAddr) -> Option<u16> {
    let mut address = target;
    if let Ok(port) = check.port.parse() {
        address.set_port(port);
    }
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(&check.path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, "ELB-HealthChecker/2.0")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let answer = async {
        let response = sender.send_request(request).await.ok()?;
        Some(response.status().as_u16())
    };
    tokio::pin!(connection, answer);
    // The connection has to be driven for the answer to arrive; it may end first.
    tokio::select! {
        status = &mut answer => return status,
        _ = &mut connection => {}
    }
    answer.await
}

/// How often hosts are counted: several times in each second, so that none is left out.
const COUNTING: Duration = Duration::from_millis(200);

/// Publishes the number of healthy and unhealthy hosts of every group in use. Targets whose first
/// checks are still running are neither.
pub(crate) async fn publish_hosts(core: Arc<Core>) {
    let mut interval = tokio::time::interval(COUNTING);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let now = clock::now();
        for group in core.groups() {
            let Some(user) = group.user.borrow().clone() else { continue };
            let (mut healthy, mut unhealthy) = (0, 0);
            let unusable = lock(&group.condition).unusable();
            for target in group.targets().iter().filter(|_| !unusable) {
                match *lock(&target.health) {
                    Health::Healthy => healthy += 1,
                    Health::Unhealthy(_) => unhealthy += 1,
                    Health::Initial => {}
                }
            }
            let mut metrics = lock(&core.metrics);
            metrics.hosts(&user.label, &group.label, Metric::HealthyHostCount, healthy, now);
            metrics.hosts(&user.label, &group.label, Metric::UnHealthyHostCount, unhealthy, now);
        }
    }
}
