//! Sends the application probes of a stage, or those to the standby before a run, and says what follows
//! from them. Of AWS it asks for the rule of testers only, where a probe goes by that.

#![deny(clippy::disallowed_methods)]

pub mod http;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client as Balancer;
use failover::aws;
use failover::aws::testers::Secret;
use failover::aws::{SdkConfig, testers};
use failover::input::address;
use failover::model::error::{Error, ErrorKind};
use failover::model::probe::{Probe, Probing, STANDBY, Target};
use failover::model::{Plan, text};
use failover::run::probes::judge;
use failover::run::probes::judge::Failure;
use failover::wire::{Probed, Step};
use futures_util::future::join_all;

pub use crate::http::Client;

/// What a process sends probes with, and asks AWS with.
pub type Clients = (Client, Balancer);

/// The clients of a process.
pub fn clients(config: &SdkConfig) -> Clients {
    (Client::trusting(http::authorities()), Balancer::new(config))
}

/// A probe that fails is sent once more, after this: nobody is convicted by one lost packet.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// So much is said of what came instead of the answer, in bytes.
const FOUND: usize = 400;

/// Answers one request.
pub async fn handle((client, balancer): Clients, step: Step) -> Result<Probed, Error> {
    let Step { plan, progress } = step;
    let Some(probing) = &plan.probing else {
        return Err(Error::new(ErrorKind::BadRequest, "The plan of this run has no probes."));
    };
    let before_the_run = progress.timeline.is_empty();
    let targets: Vec<Target<'_>> =
        if before_the_run { probing.of_standby(&plan).collect() } else { probing.everywhere().collect() };
    let secrets = secrets(&balancer, &plan, probing).await.map_err(|error| {
        let touched = if before_the_run { ". Nothing was touched." } else { "" };
        Error { message: format!("{}{touched}", error.message), ..error }
    })?;
    let (client, secrets) = (&client, &secrets);
    let everywhere = targets.into_iter().flat_map(|target| {
        let secret = secrets.get(target.app).filter(|_| target.place == STANDBY);
        probing.probes.iter().map(move |probe| failure(client, probing, target, probe, secret))
    });
    let failures: Vec<Failure> = join_all(everywhere).await.into_iter().flatten().collect();
    let answer = if before_the_run {
        judge::before_the_run(&plan, &progress, &failures)?
    } else {
        judge::judge(&plan, &progress, &failures, aws::now())?
    };
    tracing::info!(
        app = %plan.app,
        execution = plan.execution.arn,
        stage = answer.progress.stage,
        verdict = ?answer.verdict,
        "{}",
        answer.reason
    );
    Ok(answer)
}

/// What probes of the standby of each app by way of the balancer carry, read each time: it may be changed.
async fn secrets<'a>(
    balancer: &Balancer,
    plan: &'a Plan,
    probing: &Probing,
) -> Result<BTreeMap<&'a str, Secret>, Error> {
    let mut secrets = BTreeMap::new();
    for app in &plan.apps {
        let Some(address) = probing.addresses.get(&app.name).and_then(|of_app| of_app.get(STANDBY)) else {
            continue;
        };
        let origin = address::origin(address, probing.loopback);
        let port = origin.ok().and_then(|url| url.port_or_known_default()).unwrap_or_default();
        secrets.insert(app.name.as_str(), testers::secret(balancer, plan, app, port).await?);
    }
    Ok(secrets)
}

async fn failure(
    client: &Client,
    probing: &Probing,
    target: Target<'_>,
    probe: &Probe,
    secret: Option<&Secret>,
) -> Option<Failure> {
    let Target { app, place, address } = target;
    if client.probe(probe, address, probing.loopback, secret).await.is_ok() {
        return None;
    }
    tokio::time::sleep(AGAIN_AFTER).await;
    let found = client.probe(probe, address, probing.loopback, secret).await.err()?;
    // It holds what the server said, as where it redirects to.
    let found = text::cut(&found, FOUND);
    Some(Failure { app: app.to_owned(), place: place.to_owned(), probe: probe.name(), found })
}
