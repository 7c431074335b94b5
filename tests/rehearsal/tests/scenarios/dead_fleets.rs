//! Never onto a dead fleet.

use alb::Behaviour;
use anyhow::{Result, ensure};
use rehearsal::{Forward, Ground, RouteKind, Site};
use serde_json::json;

use crate::support::{RATE, check_failure, check_traffic, check_weights, input, path, rolls_back};

pub async fn a_live_fleet_that_dies_hands_over_to_the_standby(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "forward").await?;
    let app = site.app("forward", &[RouteKind::Host, RouteKind::Path], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE / 2);
    let shift = input(&app, "shift", json!({ "stages": [10, 100], "bake": "20s" }));
    let mut execution = ground.execute(&shift).await?;
    execution.until_stage(1).await?;
    app.set(0, Behaviour::Dead);
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "FailedOver")?;
    ensure!(cause.contains("all traffic on prod2") && cause.contains("prod1 has 0 of 2"), "{cause}");
    ensure!(ended.path == path(1, &rolls_back("FailedOver")), "{:?}", ended.path);
    check_weights(&app, [0, 100]).await?;
    check_traffic(&traffic, 100).await?;
    // The next run takes the fleet that carries the traffic for the live one.
    app.set(0, Behaviour::Healthy);
    app.until_healthy().await?;
    let planned = crate::support::run(ground, &input(&app, "drain", json!({ "dryRun": true }))).await?;
    ensure!(planned.output["live"] == "prod2", "{}", planned.output);
    Ok(())
}

/// From an even split a drain takes the standby's traffic away; going back would give it half again.
pub async fn a_rollback_leaves_out_a_dead_standby(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "stay").await?;
    let app = site.app("stay", &[RouteKind::Host], Forward::Weighted([50, 50])).await?;
    // Nobody comes, so that the standby is never shown to be silent.
    let drain = json!({ "standby": "prod2", "bake": "2s", "criteria": { "longerPeriods": 6 } });
    let mut execution = ground.execute(&input(&app, "drain", drain)).await?;
    execution.until_stage(1).await?;
    app.set(1, Behaviour::Dead);
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "FailedOver")?;
    ensure!(cause.contains("all traffic on prod1") && cause.contains("prod2 has 0 of 2"), "{cause}");
    check_weights(&app, [100, 0]).await
}

pub async fn nothing_is_touched_when_both_fleets_are_dead(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "both-dead").await?;
    let app = site.app("both-dead", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [30, 100] }))).await?;
    execution.until_stage(1).await?;
    app.set(0, Behaviour::Dead);
    app.set(1, Behaviour::Dead);
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "Halted")?;
    ensure!(cause.contains("both fleets are dead") && cause.contains("Nothing was written"), "{cause}");
    ensure!(
        ended.path
            == path(
                1,
                &[
                    "RollBack",
                    "IsSettled",
                    "SettleBeforeRelease",
                    "ReleaseRoutes",
                    "SendEndNotice",
                    "HowItEnded",
                    "Halted"
                ]
            )
    );
    check_weights(&app, [70, 30]).await?;

    // Once they are up again, a person puts back what the run had found.
    app.set(0, Behaviour::Healthy);
    app.set(1, Behaviour::Healthy);
    app.until_healthy().await?;
    let restored = crate::support::run(ground, &json!({ "app": app.name, "operation": "restore" })).await?;
    ensure!(restored.output["status"] == "restored", "{restored:?}");
    check_weights(&app, [100, 0]).await
}
