//! What people ask of a run that is going on: approvals, and promote, pause and roll back on purpose, by
//! the same `make` targets that they type.

use alb::Behaviour;
use anyhow::{Context, Result, ensure};
use rehearsal::{App, Ended, Event, Execution, Forward, Ground, RouteKind, Site, cli, root};
use serde_json::json;
use tokio::process::Command;

use crate::operating;
use crate::support::{
    COMPLETED, RATE, ROLLED_BACK, check_failure, check_nothing_lost, check_success, check_traffic,
    check_weights, input, path,
};

/// A bake that nobody waits for here.
const LONG: &str = "10m";

pub async fn a_stage_begins_once_it_is_approved(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "approve").await?;
    let app = site.app("approve", &[RouteKind::Host, RouteKind::Path], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let shift = json!({ "stages": [30, 60, 100], "approveBefore": [60, 100], "bake": "3s" });
    let mut execution = ground.execute(&input(&app, "shift", shift)).await?;
    until_asked(&mut execution).await?;
    // It is asked once, and goes on looking.
    for _ in 0..3 {
        execution.until(|event| polled(event, "waits for an approval of 60 %")).await?;
    }
    check_traffic(&traffic, 30).await?;
    // An approval of another stage is none of this one.
    let group = app.lock().as_str();
    let tag =
        ["elbv2", "add-tags", "--resource-arns", group, "--tags", "Key=failover:request,Value=approve-60"];
    cli(&ground.alb.endpoint(), &tag).await?;
    execution.until_stage(1).await?;
    until_asked(&mut execution).await?;
    make(ground, "approve", &app).await?;
    let ended = execution.finish().await?;
    ensure!(ended.status == "SUCCEEDED", "{:?}: {:?}", ended.error, ended.cause);
    ensure!(asked(&ended) == 2, "{:?}", ended.path);
    check_weights(&app, [0, 100]).await?;
    // Nothing that was asked of this run is left for the next.
    let tags = app.tags().await?;
    ensure!(tags["failover:request"].is_empty(), "{tags:?}");
    check_nothing_lost(&app, &traffic)
}

pub async fn a_run_that_waits_for_approval_is_still_rolled_back(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "sick-wait").await?;
    let app = site.app("sick-wait", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let shift = json!({ "stages": [30, 100], "approveBefore": [100], "bake": "3s" });
    let mut execution = ground.execute(&input(&app, "shift", shift)).await?;
    until_asked(&mut execution).await?;
    app.set(1, Behaviour::Errors { share: 0.4 });
    check_failure(&execution.finish().await?, "RolledBack")?;
    check_weights(&app, [100, 0]).await
}

pub async fn nobody_answers(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "unanswered").await?;
    for (name, otherwise, ending, weights) in
        [("unanswered-1", "rollBack", "RolledBack", [100, 0]), ("unanswered-2", "halt", "Halted", [70, 30])]
    {
        let app = site.app(name, &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
        let _traffic = app.traffic(RATE);
        let approval =
            json!({ "approveBefore": [100], "approvalTimeout": "4s", "onApprovalTimeout": otherwise });
        let mut shift = json!({ "stages": [30, 100], "bake": "3s" });
        shift.as_object_mut().context("an object")?.extend(approval.as_object().cloned().unwrap_or_default());
        let ended = ground.execute(&input(&app, "shift", shift)).await?.finish().await?;
        let cause = check_failure(&ended, ending)?;
        ensure!(cause.contains("nobody approved 100 % within 4s"), "{cause}");
        check_weights(&app, weights).await?;
    }
    Ok(())
}

pub async fn a_rejection_rolls_back_a_run_that_goes_well(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "reject").await?;
    let app = site.app("reject", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let mut execution =
        ground.execute(&input(&app, "shift", json!({ "stages": [30, 100], "bake": LONG }))).await?;
    execution.until_stage(1).await?;
    make(ground, "rollback", &app).await?;
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "RolledBack")?;
    ensure!(cause.contains("somebody asked for it"), "{cause}");
    ensure!(ended.path == path(1, &ROLLED_BACK), "{:?}", ended.path);
    check_weights(&app, [100, 0]).await?;
    check_nothing_lost(&app, &traffic)
}

pub async fn a_bake_is_skipped_and_a_stage_held(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "skip").await?;
    let app = site.app("skip", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    // The second one lasts until the command that holds it has come through, on a busy machine as well.
    let stages = json!({ "stages": [{ "weight": 40, "bake": LONG }, { "weight": 100, "bake": "25s" }] });
    let mut execution = ground.execute(&input(&app, "shift", stages)).await?;
    execution.until_stage(1).await?;
    make(ground, "promote", &app).await?;
    execution.until_stage(1).await?;
    make(ground, "pause", &app).await?;
    for _ in 0..3 {
        execution.until(|event| polled(event, "held here")).await?;
    }
    check_weights_held(&app).await?;
    make(ground, "resume", &app).await?;
    let ended = execution.finish().await?;
    check_success(&ended, &path(2, &COMPLETED))?;
    check_weights(&app, [0, 100]).await?;
    check_nothing_lost(&app, &traffic)
}

async fn check_weights_held(app: &App<'_>) -> Result<()> {
    let found = app.weights().await?;
    ensure!(found == [[0, 100]], "{found:?}");
    Ok(())
}

/// Whether a poll gave this as its reason, among others.
fn polled(event: &Event, reason: &str) -> bool {
    let said =
        |output: &serde_json::Value| output["reason"].as_str().is_some_and(|text| text.contains(reason));
    matches!(event, Event::Left(state, output) if state == "CheckMetrics" && said(output))
}

async fn until_asked(execution: &mut Execution) -> Result<()> {
    execution.until(|event| *event == Event::Entered("SendApprovalNotice".into())).await.map(drop)
}

fn asked(ended: &Ended) -> usize {
    ended.path.iter().filter(|state| *state == "SendApprovalNotice").count()
}

/// What a person types.
async fn make(ground: &Ground, target: &str, app: &App<'_>) -> Result<()> {
    let mut command = Command::new("make");
    command.current_dir(root()).args(["--silent", target]).arg(format!("APP={}", app.name));
    let output = operating::aimed(&mut command, ground).kill_on_drop(true).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "make {target}: {said}");
    Ok(())
}
