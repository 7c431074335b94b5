//! What somebody takes away while a run goes on: with a listener, or with the balancer, all of an app's routes.

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join;
use rehearsal::{Forward, Ground, RouteKind, Site};
use serde_json::json;

use crate::support::{RATE, check_failure, input};

#[derive(Clone, Copy, Debug)]
enum Gone {
    Listener,
    Balancer,
}

pub async fn a_listener_or_a_balancer_that_is_deleted_ends_the_run(ground: &Ground) -> Result<()> {
    // In both directions.
    let listener = deleted(ground, "no-listener", Gone::Listener, [100, 0]);
    let balancer = deleted(ground, "no-balancer", Gone::Balancer, [0, 100]);
    try_join(listener, balancer).await.map(drop)
}

async fn deleted(ground: &Ground, name: &str, gone: Gone, before: [u16; 2]) -> Result<()> {
    let site = Site::new(ground, name).await?;
    let app = site.app(name, &[RouteKind::Host, RouteKind::Path], Forward::Weighted(before)).await?;
    let traffic = app.traffic(RATE / 2);
    let shift = input(&app, "shift", json!({ "stages": [40, 100], "bake": "10s" }));
    let mut execution = ground.execute(&shift).await?;
    execution.until_stage(1).await?;
    // Users get no answer any more, which is no fault of a fleet.
    drop(traffic);
    match gone {
        Gone::Listener => {
            let call = ground.balancer.delete_listener().listener_arn(&site.listener_arn);
            call.send().await.map(drop)?;
        }
        Gone::Balancer => {
            let listeners = ground.balancer.describe_listeners().listener_arns(&site.listener_arn);
            let listeners = listeners.send().await?;
            let balancer = listeners.listeners().first().and_then(|listener| listener.load_balancer_arn());
            let call = ground.balancer.delete_load_balancer();
            call.load_balancer_arn(balancer.context("a listener of no balancer")?).send().await?;
        }
    }
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "ExternalChange").with_context(|| format!("{gone:?}"))?;
    ensure!(cause.matches("is gone").count() == 2, "not every route is named: {cause}");
    ensure!(cause.contains("see who deleted it"), "{cause}");
    // The groups stay, and with them who holds the app.
    let claim = app.claim().await?;
    ensure!(claim.is_none(), "{gone:?}: a claim was left behind: {claim:?}");
    Ok(())
}
