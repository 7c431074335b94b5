//! What is left behind when a state of the run fails.

use std::sync::atomic::{AtomicUsize, Ordering};

use alb::{Behaviour, CallInfo, Intercept};
use anyhow::{Result, ensure};
use rehearsal::{App, Forward, Ground, RouteKind, Site, tool};
use serde_json::json;

use crate::support::{
    BEGUN, COMPLETED, RATE, REFUSED, ROLLED_BACK, check_failure, check_success, check_traffic, check_weights,
    input, path, run, writes,
};

fn denied() -> Intercept {
    Intercept::Error { status: 403, code: "AccessDenied".into(), message: "not allowed".into() }
}

/// Whether a call is of this action and names this app's routes or target groups.
fn about(app: &App<'_>, action: &'static str) -> impl Fn(&CallInfo<'_>) -> bool + Send + Sync + use<> {
    let arns: Vec<String> = app.routes.iter().chain(&app.groups).cloned().collect();
    move |call| {
        call.action == action
            && call.parameters.iter().any(|(_, value)| arns.iter().any(|arn| value.contains(arn.as_str())))
    }
}

pub async fn a_foreign_writer_ends_the_run(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "foreign").await?;
    let app = site.app("foreign", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [20, 100] }))).await?;
    execution.until_stage(1).await?;
    app.overwrite([33, 20]).await?;
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "Overtaken")?;
    ensure!(cause.contains("prod1 33/prod2 20") && cause.contains("prod1 80/prod2 20"), "{cause}");
    let start = [&BEGUN[..], &["SetWeights", "Bake", "CheckMetrics"]].concat();
    let end = ["SettleBeforeRelease", "ReleaseRoutes", "SendEndNotice", "HowItEnded", "Overtaken"];
    // Whether it was polled before the change is a matter of time.
    let between = ["IsHealthy", "Bake", "CheckMetrics"];
    let at_once = [&start[..], &end].concat();
    let later = [&start[..], &between, &end].concat();
    ensure!(ended.path == at_once || ended.path == later, "{:?}", ended.path);
    check_weights(&app, [33, 20]).await
}

pub async fn a_plan_that_cannot_be_made_touches_nothing(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "no-plan").await?;
    let app = site.app("no-plan", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let about = about(&app, "DescribeTargetHealth");
    ground.fail(move |call| about(call).then(denied));
    let ended = run(ground, &input(&app, "shift", json!({}))).await?;
    let cause = check_failure(&ended, "PlanRejected")?;
    ensure!(cause.contains("AccessDenied") && cause.contains("Nothing was touched"), "{cause}");
    ensure!(ended.path == REFUSED, "{:?}", ended.path);
    ensure!(writes(ground, &app.routes).is_empty());
    check_weights(&app, [100, 0]).await
}

pub async fn weights_that_cannot_be_set_are_rolled_back(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "no-set").await?;
    // Of two routes only one can be written: the other must come back.
    let app = site.app("no-set", &[RouteKind::Host, RouteKind::Path], Forward::Weighted([100, 0])).await?;
    let stuck = app.routes[1].clone();
    ground.fail(move |call| {
        let stuck = call.action == "ModifyRule" && call.parameters.iter().any(|(_, value)| *value == stuck);
        stuck.then(denied)
    });
    let ended = run(ground, &input(&app, "shift", json!({ "stages": [20, 100] }))).await?;
    let cause = check_failure(&ended, "RolledBack")?;
    ensure!(cause.contains("AccessDenied"), "{cause}");
    let path = [&BEGUN[..], &["SetWeights"], &ROLLED_BACK].concat();
    ensure!(ended.path == path, "{:?}", ended.path);
    check_weights(&app, [100, 0]).await
}

pub async fn metrics_that_cannot_be_read_are_rolled_back(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "no-data").await?;
    let app = site.app("no-data", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let group = app.groups[0].rsplit_once(':').map(|(_, name)| name.to_owned()).unwrap_or_default();
    let asked = AtomicUsize::new(0);
    ground.fail(move |call| {
        let ours = call.action == "GetMetricData" && call.parameters.iter().any(|(_, v)| v.contains(&group));
        // The first one is the plan's.
        (ours && asked.fetch_add(1, Ordering::Relaxed) > 0).then(denied)
    });
    let ended = run(ground, &input(&app, "shift", json!({ "stages": [20, 100] }))).await?;
    let cause = check_failure(&ended, "RolledBack")?;
    ensure!(cause.contains("AccessDenied") && cause.contains("metrics"), "{cause}");
    let path = [&BEGUN[..], &["SetWeights", "Bake", "CheckMetrics"], &ROLLED_BACK].concat();
    ensure!(ended.path == path, "{:?}", ended.path);
    check_weights(&app, [100, 0]).await
}

pub async fn roles_that_cannot_be_recorded_never_move_traffic(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "no-swap").await?;
    let app = site.app("no-swap", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let (about, tagged) = (about(&app, "AddTags"), AtomicUsize::new(0));
    // The first is the claim.
    ground.fail(move |call| (about(call) && tagged.fetch_add(1, Ordering::Relaxed) > 0).then(denied));
    let ended = run(ground, &input(&app, "shift", json!({ "stages": [50, 100] }))).await?;
    let cause = check_failure(&ended, "SwapFailed")?;
    ensure!(cause.contains("AccessDenied"), "{cause}");
    let path = path(
        2,
        &[
            "IsFullyShifted",
            "SwapRoles",
            "SettleBeforeRelease",
            "ReleaseRoutes",
            "SendEndNotice",
            "HowItEnded",
            "SwapFailed",
        ],
    );
    ensure!(ended.path == path, "{:?}", ended.path);
    check_weights(&app, [0, 100]).await?;
    check_traffic(&traffic, 100).await
}

pub async fn a_rollback_that_fails_says_what_to_type(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "stuck").await?;
    let routes = [RouteKind::SignedInHost, RouteKind::Default];
    let app = site.app("stuck", &routes, Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [30, 100] }))).await?;
    execution.until_stage(1).await?;
    app.set(1, Behaviour::Errors { share: 1.0 });
    // From here on the Lambdas may write nothing; a person with the AWS CLI may.
    let cli_only = std::sync::Arc::new(AtomicUsize::new(0));
    let (rule, listener, gate) = (about(&app, "ModifyRule"), about(&app, "ModifyListener"), cli_only.clone());
    ground
        .fail(move |call| ((rule(call) || listener(call)) && gate.load(Ordering::Relaxed) == 0).then(denied));
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "RollBackFailed")?;
    ensure!(
        ended.path
            == path(
                1,
                &[
                    "RollBack",
                    "SettleBeforeRelease",
                    "ReleaseRoutes",
                    "SendEndNotice",
                    "HowItEnded",
                    "RollBackFailed"
                ]
            ),
        "{:?}",
        ended.path
    );
    check_weights(&app, [70, 30]).await?;

    // Typed as printed, the command puts the weights back.
    cli_only.store(1, Ordering::Relaxed);
    let command = cause.split_once("Put them back by hand: ").map(|(_, command)| command.to_owned());
    let command = command.ok_or_else(|| anyhow::anyhow!("no command in {cause}"))?;
    let aws = tool("aws");
    let output = rehearsal::aim(&mut tokio::process::Command::new("sh"), &ground.alb.endpoint())
        .args(["-ec", &format!("aws() {{ '{}' \"$@\"; }}; {command}", aws.display())])
        .output()
        .await?;
    ensure!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    check_weights(&app, [100, 0]).await?;
    check_traffic(&traffic, 0).await
}

pub async fn throttling_is_waited_out(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "throttle").await?;
    let app = site.app("throttle", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let (about, calls) = (about(&app, "ModifyRule"), AtomicUsize::new(0));
    // More often than the SDK retries by itself, so that the state machine has to.
    ground.fail(move |call| {
        (about(call) && calls.fetch_add(1, Ordering::Relaxed) < 6).then(|| Intercept::Error {
            status: 400,
            code: "Throttling".into(),
            message: "Rate exceeded".into(),
        })
    });
    let ended = run(ground, &input(&app, "shift", json!({ "stages": [100] }))).await?;
    check_success(&ended, &path(1, &COMPLETED))?;
    check_weights(&app, [0, 100]).await
}

pub async fn an_alarm_refuses_a_start_and_rolls_back_a_run(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "alarm").await?;
    let app = site.app("alarm", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let name = "checkout failures";
    let shift = input(&app, "shift", json!({ "stages": [20, 100], "criteria": { "alarms": [name] } }));

    let unknown = check_failure(&run(ground, &shift).await?, "PlanRejected")?;
    ensure!(unknown.contains("`criteria.alarms`") && unknown.contains(name), "{unknown}");
    ground.alb.set_alarm(name, alb::AlarmState::Alarm);
    let ringing = check_failure(&run(ground, &shift).await?, "PlanRejected")?;
    ensure!(ringing.contains("is in ALARM"), "{ringing}");

    ground.alb.set_alarm(name, alb::AlarmState::Ok);
    let mut execution = ground.execute(&shift).await?;
    execution.until_stage(1).await?;
    ground.alb.set_alarm(name, alb::AlarmState::Alarm);
    let cause = check_failure(&execution.finish().await?, "RolledBack")?;
    ensure!(cause.contains(name), "{cause}");
    check_weights(&app, [100, 0]).await
}
