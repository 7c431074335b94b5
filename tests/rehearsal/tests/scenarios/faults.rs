//! Releases that are not well, each rolled back to where the run began.

use std::time::Duration;

use alb::Behaviour;
use anyhow::{Result, ensure};
use rehearsal::{Forward, Ground, RouteKind, Site};
use serde_json::json;

use crate::support::{
    RATE, ROLLED_BACK, check_failure, check_nothing_lost, check_traffic, check_weights, input, path, run,
};

pub async fn all_requests_fail(ground: &Ground) -> Result<()> {
    rolled_back(ground, "all-fail", 0, Behaviour::Errors { share: 1.0 }, "failures").await
}

pub async fn a_tenth_of_the_requests_fails(ground: &Ground) -> Result<()> {
    rolled_back(ground, "tenth-fail", 0, Behaviour::Errors { share: 0.1 }, "failures").await
}

pub async fn responses_are_slow(ground: &Ground) -> Result<()> {
    let slow = Behaviour::Slow { share: 0.6, delay: Duration::from_millis(1300) };
    rolled_back(ground, "slow", 0, slow, "slow").await
}

pub async fn targets_are_dead(ground: &Ground) -> Result<()> {
    rolled_back(ground, "dead", 0, Behaviour::Dead, "prod2").await
}

pub async fn connections_are_reset(ground: &Ground) -> Result<()> {
    rolled_back(ground, "reset", 0, Behaviour::Reset { share: 0.5 }, "502").await
}

pub async fn the_other_direction_rolls_back_too(ground: &Ground) -> Result<()> {
    rolled_back(ground, "other-way", 1, Behaviour::Errors { share: 0.5 }, "failures").await
}

/// Shifts away from the fleet `live` to one that breaks as soon as the first stage stands.
async fn rolled_back(ground: &Ground, name: &str, live: usize, fault: Behaviour, reason: &str) -> Result<()> {
    let weights = if live == 0 { [100, 0] } else { [0, 100] };
    let site = Site::new(ground, name).await?;
    let app = site.app(name, &[RouteKind::Host, RouteKind::Path], Forward::Weighted(weights)).await?;
    let traffic = app.traffic(RATE);
    // Long enough that the balancer's own errors have a level before the run to be held against.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [20, 50, 100] }))).await?;
    execution.until_stage(1).await?;
    app.set(1 - live, fault);
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "RolledBack")?;
    ensure!(cause.contains(reason), "{cause}");
    ensure!(ended.path == path(1, &ROLLED_BACK), "{:?}", ended.path);
    ensure!(ended.verdicts.last().is_some_and(|(verdict, _)| verdict == "rollBack"), "{:?}", ended.verdicts);
    check_weights(&app, weights).await?;
    // Slow responses to requests from before the rollback are still on their way.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    check_traffic(&traffic, if live == 0 { 0 } else { 100 }).await?;
    check_nothing_lost(&app, &traffic)
}

pub async fn both_fleets_alike_are_not_advanced(ground: &Ground) -> Result<()> {
    both_fleets(ground, "both", "rollBack", "RolledBack", [100, 0]).await
}

pub async fn both_fleets_alike_halt_where_the_operator_chose_so(ground: &Ground) -> Result<()> {
    both_fleets(ground, "halt", "halt", "Halted", [60, 40]).await
}

/// Shifts until both fleets fail alike, and expects this ending with these weights left behind.
async fn both_fleets(ground: &Ground, name: &str, choice: &str, error: &str, left: [u16; 2]) -> Result<()> {
    let site = Site::new(ground, name).await?;
    let app = site.app(name, &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let criteria = json!({ "bothSick": choice, "bothPeriods": 5, "longerPeriods": 8, "slowSeconds": 0.5 });
    let shift = input(&app, "shift", json!({ "stages": [40, 100], "criteria": criteria }));
    let mut execution = ground.execute(&shift).await?;
    execution.until_stage(1).await?;
    app.set(0, Behaviour::Errors { share: 0.5 });
    app.set(1, Behaviour::Errors { share: 0.5 });
    let ended = execution.finish().await?;
    ensure!(!ended.verdicts.iter().any(|(verdict, _)| verdict == "advance"), "{:?}", ended.verdicts);
    ensure!(ended.verdicts.iter().any(|(_, reason)| reason.contains("both fleets")), "{:?}", ended.verdicts);
    let cause = check_failure(&ended, error)?;
    ensure!(cause.contains("both fleets"), "{cause}");
    let end: &[&str] = if error == "Halted" {
        &["SettleBeforeRelease", "ReleaseRoutes", "SendEndNotice", "HowItEnded", "Halted"]
    } else {
        &ROLLED_BACK
    };
    ensure!(ended.path == path(1, end), "{:?}", ended.path);
    check_weights(&app, left).await
}

/// With everything on the standby there is nothing to compare with but the past, which an outage of
/// something that both fleets need would look the same in. So the standby is set back and compared.
pub async fn a_fault_of_the_last_stage_is_found_by_a_probe(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "probe").await?;
    let app = site.app("probe", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    tokio::time::sleep(Duration::from_secs(12)).await;
    let mut execution =
        ground.execute(&input(&app, "shift", json!({ "stages": [100], "bake": "8s" }))).await?;
    execution.until_stage(1).await?;
    app.set(1, Behaviour::Errors { share: 0.4 });
    let ended = execution.finish().await?;
    check_failure(&ended, "RolledBack")?;
    ensure!(ended.verdicts.iter().any(|(verdict, _)| verdict == "probe"), "{:?}", ended.verdicts);
    ensure!(ended.path == path_with_probe(), "{:?}", ended.path);
    check_weights(&app, [100, 0]).await?;
    check_traffic(&traffic, 0).await?;
    check_nothing_lost(&app, &traffic)
}

fn path_with_probe() -> Vec<String> {
    let mut path = path(1, &[]);
    path.extend(["SetWeights", "Bake", "CheckMetrics", "IsHealthy"].map(str::to_owned));
    path.extend(ROLLED_BACK.map(str::to_owned));
    path
}

pub async fn no_traffic_is_not_a_pass(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "nobody").await?;
    let app = site.app("nobody", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let patience = json!({ "stages": [50, 100], "criteria": { "longerPeriods": 3 } });
    let ended = run(ground, &input(&app, "shift", patience)).await?;
    let cause = check_failure(&ended, "RolledBack")?;
    ensure!(cause.contains("no data is no pass"), "{cause}");
    check_weights(&app, [100, 0]).await
}
