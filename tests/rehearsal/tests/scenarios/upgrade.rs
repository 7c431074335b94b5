//! Upgrades in place: what a run was started with, it ends with.

use std::fs;

use anyhow::{Context, Result, ensure};
use rehearsal::{Forward, Ground, RouteKind, Site, Stack, deploy, root};
use serde_json::json;

use crate::checkout;
use crate::support::{RATE, check_failure, check_nothing_lost, check_traffic, check_weights, input};

pub async fn a_run_ends_with_the_functions_it_started_with(ground: &Ground) -> Result<()> {
    let checkout = checkout::copy(ground, "upgrade")?;
    let mut stack = Stack { checkout: checkout.clone(), ..Stack::new("upgrade", "") };
    let state_machine = deploy(ground.endpoint(), &stack).await?;
    let site = Site::new(ground, "upgrade").await?;
    let app = site.app("shop-upgrade", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let dry = json!({ "app": app.name, "dryRun": true });
    let planned = ground.execute_on(&state_machine, &dry).await?.finish().await?;
    ensure!(planned.output["status"] == "planned", "{planned:?}");

    // A run is in its first stage when functions come that do not understand what it asks.
    let stages = json!({ "stages": [20, 100], "approveBefore": [100] });
    let mut running = ground.execute_on(&state_machine, &input(&app, "shift", stages)).await?;
    running.until_stage(1).await?;
    let packages = checkout::packages(&checkout)?;
    let (other, changed) = packages.split_first().context("no packages")?;
    for package in changed {
        fs::copy(other, package)?;
    }
    ensure!(deploy(ground.endpoint(), &stack).await? == state_machine, "another state machine");
    ensure!(app.weights().await? == [[80, 20]], "the upgrade came after the first stage");
    let broken = ground.execute_on(&state_machine, &dry).await?.finish().await?;
    let cause = check_failure(&broken, "PlanRejected")?;
    ensure!(!cause.contains("claim"), "{cause}");

    // The run goes on as if nothing had happened.
    app.request("approve-100").await?;
    let shifted = running.finish().await?;
    ensure!(shifted.status == "SUCCEEDED", "{:?}: {:?}", shifted.error, shifted.cause);
    ensure!(shifted.output["status"] == "shifted", "{}", shifted.output);
    check_weights(&app, [0, 100]).await?;
    check_traffic(&traffic, 100).await?;
    check_nothing_lost(&app, &traffic)?;

    // A parameter alone makes a new version of the function that reads it.
    for package in &packages {
        fs::copy(root().join(package.strip_prefix(&checkout)?), package)?;
    }
    deploy(ground.endpoint(), &stack).await?;
    let planned = ground.execute_on(&state_machine, &dry).await?.finish().await?;
    ensure!(planned.output["status"] == "planned", "{planned:?}");

    // What is stopped after an upgrade is put back by the functions of the new one, from what those of the old one
    // had recorded.
    let stages = json!({ "stages": [20, 100], "approveBefore": [100] });
    let mut stopped = ground.execute_on(&state_machine, &input(&app, "shift", stages)).await?;
    stopped.until_stage(1).await?;
    stack.parameters += "Freezes=2020-01-01 ";
    deploy(ground.endpoint(), &stack).await?;
    ensure!(app.weights().await? == [[20, 80]], "the upgrade came after the first stage");
    stopped.stop().await?;
    let restored = ground.restore_of(&stopped.arn).await?.finish().await?;
    ensure!(restored.output["status"] == "restored", "{restored:?}");
    check_weights(&app, [0, 100]).await?;

    // The app is called `upgrade` by the new pattern.
    stack.parameters += "TargetGroupPattern=shop-us-prd-shop-{app}-{fleet}-tg";
    deploy(ground.endpoint(), &stack).await?;
    let renamed = json!({ "app": "upgrade", "dryRun": true });
    let planned = ground.execute_on(&state_machine, &renamed).await?.finish().await?;
    ensure!(planned.output["status"] == "planned", "{planned:?}");
    ensure!(planned.output["live"] == "prod2", "{}", planned.output);
    Ok(())
}
