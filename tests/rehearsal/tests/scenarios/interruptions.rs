//! What becomes of a run that is stopped: real stop calls, and the rule that starts a `restore`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alb::{Behaviour, CallInfo, Intercept};
use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use rehearsal::{App, Event, Forward, Ground, RouteKind, STACK, Site};
use serde_json::json;

use crate::support::{
    CLAIMED, RATE, check_failure, check_success, check_traffic, check_weights, input, run, writes,
};

const BEFORE: [u16; 2] = [100, 0];

/// Where a run is stopped.
struct Stop {
    /// A name for the case.
    name: &'static str,
    /// In which state.
    state: &'static str,
    /// When it enters that state for the time of this number.
    time: usize,
    /// A call that is held up for a second, by the function, the action and its number among these about
    /// the app, so that the stop comes first: what the function then still writes is written after it.
    held: Option<(&'static str, &'static str, usize)>,
    /// Whether the standby dies in the first stage.
    dies: bool,
}

const fn stop(name: &'static str, state: &'static str, time: usize) -> Stop {
    Stop { name, state, time, held: None, dies: false }
}

const fn held(
    name: &'static str,
    state: &'static str,
    time: usize,
    call: (&'static str, &'static str, usize),
) -> Stop {
    Stop { held: Some(call), ..stop(name, state, time) }
}

const STOPS: [Stop; 17] = [
    stop("stop-plan", "PlanShift", 1),
    stop("stop-claim", "ClaimRoutes", 1),
    held("stop-claim-2", "ClaimRoutes", 1, ("claim-routes", "DescribeTags", 1)),
    // The restore is held up, so that the function removes its claim by itself.
    held("stop-claim-3", "ClaimRoutes", 1, ("plan-shift", "DescribeTargetHealth", 2)),
    held("stop-notice", "SendStartNotice", 1, ("send-notice", "PutEvents", 1)),
    stop("stop-set", "SetWeights", 1),
    held("stop-set-2", "SetWeights", 1, ("set-weights", "DescribeTags", 1)),
    held("stop-set-3", "SetWeights", 2, ("set-weights", "DescribeTags", 2)),
    stop("stop-bake", "Bake", 1),
    stop("stop-bake-2", "Bake", 4),
    held("stop-check", "CheckMetrics", 1, ("check-metrics", "GetMetricData", 1)),
    stop("stop-probe", "ProbeApp", 1),
    held("stop-swap", "SwapRoles", 1, ("swap-roles", "DescribeTags", 1)),
    Stop { dies: true, ..held("stop-back", "RollBack", 1, ("roll-back", "DescribeTags", 1)) },
    Stop { dies: true, ..held("stop-settle", "Settle", 1, ("release-routes", "DescribeTags", 1)) },
    held("stop-release", "ReleaseRoutes", 1, ("release-routes", "DescribeTags", 1)),
    held("stop-told", "SendEndNotice", 1, ("send-notice", "PutEvents", 2)),
];

pub async fn a_run_that_is_stopped_is_restored_wherever_it_is(ground: &Ground) -> Result<()> {
    let one = async |stop: &Stop| stopped(ground, stop).await.with_context(|| stop.name.to_owned());
    for some in STOPS.chunks(8) {
        try_join_all(some.iter().map(one)).await?;
    }
    Ok(())
}

async fn stopped(ground: &Ground, stop: &Stop) -> Result<()> {
    let site = Site::new(ground, stop.name).await?;
    let app = site.app(stop.name, &[RouteKind::Host, RouteKind::Default], Forward::Weighted(BEFORE)).await?;
    let traffic = app.traffic(RATE / 4);
    if let Some(call) = stop.held {
        let seconds = match (stop.state, call.1) {
            // The last states must not be over before the stop arrives, however busy the machine is.
            ("SwapRoles" | "Settle" | "ReleaseRoutes" | "SendEndNotice", _) => 5,
            // Longer than the claim takes to settle.
            (_, "DescribeTargetHealth") => 4,
            _ => 1,
        };
        hold(ground, &app, call, Duration::from_secs(seconds));
    }
    let mut shift = json!({ "stages": [30, 100] });
    if stop.state == "ProbeApp" {
        // It is still at it when the stop comes.
        shift["probes"] = json!([{ "path": "/", "headers": { "x-takes-milliseconds": "2000" } }]);
        shift["addresses"] = json!({ "prod2": app.address(1) });
    }
    let mut execution = ground.execute(&input(&app, "shift", shift)).await?;
    if stop.dies {
        execution.until_stage(1).await?;
        app.set(1, Behaviour::Dead);
    }
    for _ in 0..stop.time {
        execution.until(|event| *event == Event::Entered(stop.state.into())).await?;
    }
    execution.stop().await?;
    let stopped_at = Instant::now();
    let restored = ground.restore_of(&execution.arn).await?.finish().await?;
    let took = stopped_at.elapsed();
    ensure!(restored.status == "SUCCEEDED", "{restored:?}");
    // The function that was at work knows nothing of the stop and may take a while yet, until it
    // removes what it has claimed meanwhile.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while app.claim().await?.is_some() {
        ensure!(Instant::now() < deadline, "a claim was left behind: {:?}", app.tags().await?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let status = restored.output["status"].as_str().unwrap_or_default();
    println!("{:<16} {:<14} {status:<10} {:.1} s after the stop", stop.name, stop.state, took.as_secs_f64());
    // A run that was stopped before it held its routes has left nothing; one that was stopped while it
    // released them had come to its end.
    match (stop.state, status) {
        ("PlanShift" | "ClaimRoutes" | "ReleaseRoutes" | "SendEndNotice", "unchanged") | (_, "restored") => {}
        _ => bail!("the restore ended {status}: {restored:?}"),
    }
    let came_to_its_end = matches!(stop.state, "ReleaseRoutes" | "SendEndNotice");
    let weights = if came_to_its_end { [0, 100] } else { BEFORE };
    check_weights(&app, weights).await?;
    let tags = app.tags().await?;
    let live = if came_to_its_end { "prod2" } else { "prod1" };
    ensure!(tags.get("failover:live").is_none_or(|tag| tag == live), "{tags:?}");
    check_traffic(&traffic, if came_to_its_end { 100 } else { 0 }).await?;
    // The next run starts as if nothing had been.
    if stop.dies {
        app.set(1, Behaviour::Healthy);
        app.until_healthy().await?;
    }
    let planned = run(ground, &input(&app, "shift", json!({ "dryRun": true }))).await?;
    ensure!(planned.output["status"] == "planned", "{planned:?}");
    Ok(())
}

/// Holds up one call of this action for the app before it is answered.
fn hold(ground: &Ground, app: &App<'_>, call: (&'static str, &'static str, usize), by: Duration) {
    let names = [&app.routes[0][..], app.groups[0].rsplit_once(':').map_or("", |(_, name)| name)];
    let names = names.map(str::to_owned);
    let (function, action, number) = call;
    let (function, seen) = (format!("{STACK}-{function}"), AtomicUsize::new(0));
    ground.fail(move |call: &CallInfo<'_>| {
        let about = |value: &String| names.iter().any(|name| value.contains(name));
        let ours = call.application == Some(&function) && call.action == action;
        let ours = ours && call.parameters.iter().any(|(_, value)| about(value));
        let hit = ours && seen.fetch_add(1, Ordering::Relaxed) + 1 == number;
        hit.then_some(Intercept::Delay(by))
    });
}

pub async fn a_restore_that_is_stopped_is_restored(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "stop-twice").await?;
    let app =
        site.app("stop-twice", &[RouteKind::Host, RouteKind::Path], Forward::Weighted([50, 50])).await?;
    let traffic = app.traffic(RATE / 2);
    let shift = input(&app, "shift", json!({ "stages": [70, 100], "standby": "prod1" }));
    let mut execution = ground.execute(&shift).await?;
    execution.until_stage(1).await?;
    execution.stop().await?;
    for state in ["ClaimRoutes", "RollBack", "Settle"] {
        let mut restore = ground.restore_of(&execution.arn).await?;
        restore.until(|event| *event == Event::Entered(state.into())).await?;
        restore.stop().await?;
        execution = restore;
    }
    let restored = ground.restore_of(&execution.arn).await?.finish().await?;
    check_success(&restored, &restore_path())?;
    ensure!(restored.output["status"] == "restored", "{}", restored.output);
    check_weights(&app, [50, 50]).await?;
    check_traffic(&traffic, 50).await?;
    // An even split alone would not tell.
    let tags = app.tags().await?;
    ensure!(tags["failover:live"] == "prod2", "{tags:?}");
    Ok(())
}

pub fn restore_path() -> Vec<String> {
    let back = ["RollBack", "Settle", "IsSettled", "RollBack", "Settle", "IsSettled"];
    let end = ["SwapRoles", "ReleaseRoutes", "SendEndNotice", "HowItEnded", "Completed"];
    [&CLAIMED[..], &back, &end].concat().into_iter().map(str::to_owned).collect()
}

/// Infrastructure code removes what it does not know. Others see the app as free from then on, so the run goes
/// back instead of on, and one that is stopped is restored from its history all the same.
pub async fn tags_that_are_removed_are_not_the_end_of_the_way_back(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "stripped").await?;
    let kinds = [RouteKind::Host, RouteKind::Path];
    let going = site.app("strip-going", &kinds, Forward::Weighted(BEFORE)).await?;
    let stopped = site.app("strip-stopped", &kinds, Forward::Weighted(BEFORE)).await?;
    let last = site.app("strip-last", &kinds, Forward::Weighted(BEFORE)).await?;
    let traffic = [going.traffic(RATE / 4), stopped.traffic(RATE / 4)];
    let _last = last.traffic(RATE / 4);
    // What has shown all that it must needs no more than to be recorded.
    let all_at_once = json!({ "stages": [100], "bake": "8s" });
    let mut shown = ground.execute(&input(&last, "shift", all_at_once)).await?;
    let shift = |app: &App<'_>| input(app, "shift", json!({ "stages": [30, 100] }));
    let mut runs = [ground.execute(&shift(&going)).await?, ground.execute(&shift(&stopped)).await?];
    for (run, app) in runs.iter_mut().zip([&going, &stopped]) {
        run.until_stage(1).await?;
        app.strip_tags().await?;
    }
    let [run, interrupted] = runs;
    interrupted.stop().await?;
    shown.until_stage(1).await?;
    last.strip_tags().await?;
    let shown = shown.finish().await?;
    ensure!(shown.output["status"] == "shifted", "{shown:?}");
    check_weights(&last, [0, 100]).await?;
    ensure!(last.tags().await?["failover:live"] == "prod2", "the roles are recorded");
    let restored = ground.restore_of(&interrupted.arn).await?.finish().await?;
    ensure!(restored.status == "SUCCEEDED" && restored.output["status"] == "restored", "{restored:?}");
    let cause = check_failure(&run.finish().await?, "RolledBack")?;
    ensure!(cause.contains("failover:claim") && cause.contains("infrastructure code"), "{cause}");
    for (app, traffic) in [&going, &stopped].into_iter().zip(traffic) {
        check_weights(app, BEFORE).await?;
        check_traffic(&traffic, 0).await?;
        let tags = app.tags().await?;
        ensure!(
            tags["failover:live"] == "prod1" && tags["failover:claim"].ends_with(" released"),
            "{tags:?}"
        );
    }
    Ok(())
}

/// Whoever stops a run and sets weights by hand has chosen them.
pub async fn foreign_weights_survive_a_restore(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "stop-foreign").await?;
    let app = site.app("stop-foreign", &[RouteKind::Host], Forward::Weighted(BEFORE)).await?;
    let _traffic = app.traffic(RATE);
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [30, 100] }))).await?;
    execution.until_stage(1).await?;
    execution.stop().await?;
    app.overwrite([55, 30]).await?;
    let written = writes(ground, &app.routes).len();
    let restored = ground.restore_of(&execution.arn).await?.finish().await?;
    let cause = check_failure(&restored, "ExternalChange")?;
    ensure!(cause.contains("prod1 55/prod2 30"), "{cause}");
    check_weights(&app, [55, 30]).await?;
    let by_us =
        writes(ground, &app.routes)[written..].iter().filter(|action| *action == "ModifyRule").count();
    ensure!(by_us == 0, "foreign weights were written over");
    Ok(())
}
