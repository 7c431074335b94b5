//! Sends the application probes of a stage, or those to the standby before a run, and says what follows
//! from them. Of AWS it asks for the rule of testers only, where a probe goes by that.

mod http;

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client as Balancer;
use failover::aws;
use failover::aws::testers::{self, Secret};
use failover::contract::{Plan, Probed, Step};
use failover::error::{Error, Kind};
use failover::probe::judge::{self, Failure};
use failover::probe::{Probe, Probing, STANDBY, address};
use futures_util::future::join_all;

use crate::http::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let clients = |config: &_| (Client::trusting(http::authorities()), Balancer::new(config));
    aws::serve(clients, probe_app).await
}

/// A probe that fails is sent once more, after this: nobody is convicted by one lost packet.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

async fn probe_app((client, balancer): (Client, Balancer), step: Step) -> Result<Probed, Error> {
    let Step { plan, progress } = step;
    let Some(probing) = &plan.probing else {
        return Err(Error::new(Kind::BadRequest, "The plan of this run has no probes."));
    };
    let before_the_run = progress.timeline.is_empty();
    let addresses: Vec<_> =
        if before_the_run { probing.of_standby(&plan).collect() } else { probing.addresses.iter().collect() };
    let secret = secret(&balancer, &plan, probing).await.map_err(|error| {
        let touched = if before_the_run { ". Nothing was touched." } else { "" };
        Error { message: format!("{}{touched}", error.message), ..error }
    })?;
    let (client, secret) = (&client, secret.as_ref());
    let everywhere = addresses.into_iter().flat_map(|(place, address)| {
        let secret = secret.filter(|_| place == STANDBY);
        probing.probes.iter().map(move |probe| failure(client, probing, place, address, probe, secret))
    });
    let failures: Vec<Failure> = join_all(everywhere).await.into_iter().flatten().collect();
    let answer = if before_the_run {
        judge::before_the_run(&plan, &progress, &failures)?
    } else {
        judge::judge(&plan, &progress, &failures, aws::now())?
    };
    tracing::info!(
        app = plan.app,
        execution = plan.execution.arn,
        stage = answer.progress.stage,
        verdict = ?answer.verdict,
        "{}",
        answer.reason
    );
    Ok(answer)
}

/// What probes of the standby by way of the balancer carry, read each time: it may be changed.
async fn secret(balancer: &Balancer, plan: &Plan, probing: &Probing) -> Result<Option<Secret>, Error> {
    let Some(address) = probing.addresses.get(STANDBY) else { return Ok(None) };
    let origin = address::origin(address, probing.loopback);
    let port = origin.ok().and_then(|url| url.port_or_known_default()).unwrap_or_default();
    testers::secret(balancer, plan, port).await.map(Some)
}

async fn failure(
    client: &Client,
    probing: &Probing,
    place: &str,
    address: &str,
    probe: &Probe,
    secret: Option<&Secret>,
) -> Option<Failure> {
    if client.probe(probe, address, probing.loopback, secret).await.is_ok() {
        return None;
    }
    tokio::time::sleep(AGAIN_AFTER).await;
    let found = client.probe(probe, address, probing.loopback, secret).await.err()?;
    Some(Failure { place: place.to_owned(), probe: probe.name(), found })
}
