//! Sends the application probes of a stage and says what follows from them. Calls nothing of AWS.

mod http;

use std::time::Duration;

use failover::aws;
use failover::contract::{Probed, Step};
use failover::error::{Error, Kind};
use failover::probe::judge::{self, Failure};
use failover::probe::{Probe, Probing};
use futures_util::future::join_all;

use crate::http::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    aws::serve(|_| Client::trusting(http::authorities()), probe_app).await
}

/// A probe that fails is sent once more, after this: nobody is convicted by one lost packet.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

async fn probe_app(client: Client, step: Step) -> Result<Probed, Error> {
    let Step { plan, progress } = step;
    let Some(probing) = &plan.probing else {
        return Err(Error::new(Kind::BadRequest, "The plan of this run has no probes."));
    };
    let one = |place, address, probe| failure(&client, probing, place, address, probe);
    let everywhere = probing
        .addresses
        .iter()
        .flat_map(|(place, address)| probing.probes.iter().map(move |probe| one(place, address, probe)));
    let failures: Vec<Failure> = join_all(everywhere).await.into_iter().flatten().collect();
    let answer = judge::judge(&plan, &progress, &failures, aws::now())?;
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

async fn failure(
    client: &Client,
    probing: &Probing,
    place: &str,
    address: &str,
    probe: &Probe,
) -> Option<Failure> {
    if client.probe(probe, address, probing.loopback).await.is_ok() {
        return None;
    }
    tokio::time::sleep(AGAIN_AFTER).await;
    let found = client.probe(probe, address, probing.loopback).await.err()?;
    Some(Failure { place: place.to_owned(), probe: probe.name(), found })
}
