//! Several apps in lockstep: one plan, one verdict, and what becomes of all when one of them fails.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alb::{Behaviour, CallInfo, Intercept, Service};
use anyhow::{Context, Error, Result, ensure};
use failover::model::hold::Reached;
use futures_util::future::try_join_all;
use rehearsal::{
    App, Event, Execution, Forward, Ground, Load, RouteKind, STACK, Site, Stack, Traffic, deploy,
};
use serde_json::{Value, json};

use crate::support::{
    COMPLETED, RATE, REFUSED, ROLLED_BACK, check_failure, check_nothing_lost, check_success, check_traffic,
    check_weights, input, path, rolls_back, run, writes,
};

/// Checks that both apps have these weights, in the traffic as well, and that nobody's request failed.
async fn check_both(apps: [(&App<'_>, &[Traffic]); 2], weights: [u16; 2]) -> Result<()> {
    for (app, traffic) in apps {
        check_weights(app, weights).await?;
        check_traffic(traffic, u8::try_from(weights[1])?).await?;
        check_nothing_lost(app, traffic)?;
    }
    Ok(())
}

/// The input of a run of these apps.
fn lockstep(apps: &[&App<'_>], operation: &str, more: Value) -> Value {
    let mut input = input(apps[0], operation, more);
    input["app"] = apps.iter().map(|app| app.name.as_str()).collect();
    input
}

async fn pair<'a>(site: &Site<'a>, names: [&str; 2], weights: [[u16; 2]; 2]) -> Result<[App<'a>; 2]> {
    let first =
        site.app(names[0], &[RouteKind::Host, RouteKind::Path], Forward::Weighted(weights[0])).await?;
    let second = site.app(names[1], &[RouteKind::Host], Forward::Weighted(weights[1])).await?;
    Ok([first, second])
}

/// Out, back and to an even split, with users of both apps.
pub async fn two_apps_shift_and_balance_in_lockstep(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "lockstep").await?;
    let [web, portal] = pair(&site, ["lock-web", "lock-portal"], [[100, 0]; 2]).await?;
    let (of_web, of_portal) = (web.traffic(RATE / 2), portal.traffic(RATE / 2));
    let both = [&web, &portal];
    for (weights, live, standby) in [([0, 100], 1, 0), ([100, 0], 0, 1)] {
        let shift = lockstep(&both, "shift", json!({ "stages": [30, 100], "release": "v2" }));
        let mut execution = ground.execute(&shift).await?;
        execution.until_stage(1).await?;
        let stage = if live == 1 { [70, 30] } else { [30, 70] };
        ensure!(web.weights().await? == [stage; 2] && portal.weights().await? == [stage], "not in lockstep");
        let shifted = execution.finish().await?;
        check_success(&shifted, &path(2, &COMPLETED))?;
        let output = &shifted.output;
        ensure!(output["app"] == json!(["lock-web", "lock-portal"]), "{output}");
        ensure!(output["live"] == format!("prod{}", live + 1), "{output}");
        ensure!(output.get("standbyTargetGroup").is_none(), "{output}");
        let groups = json!({ "lock-web": web.groups[standby], "lock-portal": portal.groups[standby] });
        ensure!(output["standbyTargetGroups"] == groups, "{output}");
        ensure!(output["routes"].as_array().is_some_and(|routes| routes.len() == 3), "{output}");
        let endings = output["stages"][0]["endings"].as_object().context("no endings by app")?;
        ensure!(endings.len() == 2, "{output}");
        let summary = output["summary"].as_str().unwrap_or_default();
        ensure!(summary.starts_with("lock-web and lock-portal: prod"), "{summary}");
        for app in both {
            check_weights(app, weights).await?;
            let tags = app.tags().await?;
            ensure!(tags["failover:live"] == format!("prod{}", live + 1), "{tags:?}");
        }
        check_traffic(&of_web, if live == 1 { 100 } else { 0 }).await?;
        check_traffic(&of_portal, if live == 1 { 100 } else { 0 }).await?;
    }
    let dry = run(ground, &lockstep(&both, "balance", json!({ "dryRun": true }))).await?;
    let planned = &dry.output["plan"]["apps"];
    ensure!(planned[1]["name"] == "lock-portal" && planned[1]["liveGroup"] == portal.groups[0], "{dry:?}");

    // The release was recorded on the standby of each, and both had it once.
    let balanced =
        run(ground, &lockstep(&both, "balance", json!({ "stages": [25, 50], "release": "v2" }))).await?;
    check_success(&balanced, &path(2, &COMPLETED))?;
    ensure!(balanced.output["weights"] == json!({ "prod1": 50, "prod2": 50 }), "{}", balanced.output);
    check_both([(&web, &of_web), (&portal, &of_portal)], [50, 50]).await
}

/// In both directions. The other app's standby is well.
pub async fn a_breach_in_one_rolls_all_back(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "breach").await?;
    for (names, weights, standby) in
        [(["breach-a", "breach-b"], [100, 0], 1), (["breach-c", "breach-d"], [0, 100], 0)]
    {
        let [web, portal] = pair(&site, names, [weights; 2]).await?;
        let (of_web, of_portal) = (web.traffic(RATE / 2), portal.traffic(RATE));
        let shift = lockstep(&[&web, &portal], "shift", json!({ "stages": [40, 100] }));
        let mut execution = ground.execute(&shift).await?;
        execution.until_stage(1).await?;
        portal.set(standby, Behaviour::Errors { share: 0.6 });
        let ended = execution.finish().await?;
        let cause = check_failure(&ended, "RolledBack")?;
        ensure!(ended.path == path(1, &ROLLED_BACK), "{:?}", ended.path);
        let begins =
            format!("{} and {}: shift rolled back, since {}: failures: ", names[0], names[1], names[1]);
        ensure!(cause.starts_with(&begins), "{cause}");
        let other = |word: &str| cause.contains(&format!("; {word}: {}", names[0]));
        ensure!(other("still watched") || other("ready"), "{cause}");
        check_weights(&web, weights).await?;
        check_weights(&portal, weights).await?;
        let percent = u8::try_from(weights[1])?;
        check_traffic(&of_web, percent).await?;
        check_traffic(&of_portal, percent).await?;
        check_nothing_lost(&web, &of_web)?;
    }
    Ok(())
}

/// Back to a dead fleet is no way back: that app goes forward, the other one back.
pub async fn the_live_fleet_of_one_dies(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "one-dies").await?;
    let [web, portal] = pair(&site, ["dies-web", "dies-portal"], [[100, 0]; 2]).await?;
    let (of_web, of_portal) = (web.traffic(RATE / 2), portal.traffic(RATE / 2));
    let shift = lockstep(&[&web, &portal], "shift", json!({ "stages": [40, 100] }));
    let mut execution = ground.execute(&shift).await?;
    execution.until_stage(1).await?;
    portal.set(0, Behaviour::Dead);
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "FailedOver")?;
    ensure!(ended.path == path(1, &rolls_back("NeedsOperator")), "{:?}", ended.path);
    for says in [
        "dies-web: the weights found at the start are back and read back, prod1 100 %, prod2 0 %",
        "dies-portal: all traffic is on prod2",
        "prod1 has 0 of 2 targets healthy",
    ] {
        ensure!(cause.contains(says), "{says:?} is not in {cause}");
    }
    check_weights(&web, [100, 0]).await?;
    check_weights(&portal, [0, 100]).await?;
    check_traffic(&of_web, 0).await?;
    check_traffic(&of_portal, 100).await?;
    check_nothing_lost(&web, &of_web)?;

    // What is apart is said by name, and a drain brings it together.
    portal.set(0, Behaviour::Healthy);
    portal.until_healthy().await?;
    let both = [&web, &portal];
    let apart = check_failure(&run(ground, &lockstep(&both, "shift", json!({}))).await?, "PlanRejected")?;
    ensure!(apart.contains("prod1 is live for dies-web, prod2 for dies-portal"), "{apart}");
    let drain = lockstep(&both, "drain", json!({ "standby": "prod2" }));
    check_success(&run(ground, &drain).await?, &path(1, &COMPLETED))?;
    check_weights(&portal, [100, 0]).await?;
    check_traffic(&of_portal, 0).await
}

pub async fn runs_that_overlap_in_one_app_exclude_each_other(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "overlap").await?;
    let [web, portal] = pair(&site, ["over-web", "over-portal"], [[100, 0]; 2]).await?;
    let api = site.app("over-api", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = [web.traffic(RATE / 4), portal.traffic(RATE / 4), api.traffic(RATE / 4)];
    // Longer than the others take to be refused.
    let shift = lockstep(&[&web, &portal], "shift", json!({ "stages": [50, 100], "bake": "15s" }));
    let mut first = ground.execute(&shift).await?;
    first.until_stage(1).await?;
    let written = writes(ground, &portal.routes).len();
    for (apps, operation) in
        [(vec![&api, &portal], "shift"), (vec![&portal], "drain"), (vec![&web, &api], "balance")]
    {
        let refused = run(ground, &lockstep(&apps, operation, json!({}))).await?;
        let cause = check_failure(&refused, "PlanRejected")?;
        ensure!(cause.contains(&first.arn) && refused.path == REFUSED, "{refused:?}");
    }
    ensure!(writes(ground, &api.routes).is_empty(), "a run that was refused has written");
    ensure!(writes(ground, &portal.routes).len() == written, "a run that was refused has written");
    check_success(&first.finish().await?, &path(2, &COMPLETED))?;

    // Neither sees the other's claim when it makes its plan, and each begins at another end.
    let one = lockstep(&[&web, &portal], "drain", json!({}));
    let other = lockstep(&[&portal, &web], "shift", json!({ "stages": [50, 100] }));
    let runs = try_join_all([ground.execute(&one), ground.execute(&other)]).await?;
    let ended = try_join_all(runs.into_iter().map(Execution::finish)).await?;
    let won: Vec<_> = ended.iter().filter(|ended| ended.status == "SUCCEEDED").collect();
    ensure!(won.len() == 1, "{ended:?}");
    let lost = ended.iter().find(|ended| ended.status != "SUCCEEDED").context("both went on")?;
    check_failure(lost, "PlanRejected")?;
    ensure!(!lost.path.contains(&"SetWeights".to_owned()), "{:?}", lost.path);
    let weights = if won[0].output["operation"] == "drain" { [0, 100] } else { [100, 0] };
    check_weights(&web, weights).await?;
    check_weights(&portal, weights).await
}

/// The calls by which a function writes the weights of a route.
fn writes_route(call: &CallInfo<'_>, function: &str, route: &str) -> bool {
    let about = call.parameters.iter().any(|(_, value)| value == route);
    call.application == Some(function) && call.action == "ModifyRule" && about
}

/// One of four writes fails for longer than the SDK tries: the others stand, and the next attempt writes
/// no more than what is missing.
pub async fn a_write_that_fails_half_way_is_completed(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "half-way").await?;
    let [web, portal] = pair(&site, ["half-web", "half-portal"], [[100, 0]; 2]).await?;
    let _traffic = [web.traffic(RATE / 4), portal.traffic(RATE / 4)];
    let (route, seen) = (portal.routes[0].clone(), Arc::new(AtomicUsize::new(0)));
    let (set_weights, met) = (format!("{STACK}-set-weights"), Arc::clone(&seen));
    ground.fail(move |call| {
        let hit = writes_route(call, &set_weights, &route) && met.fetch_add(1, Ordering::Relaxed) < 6;
        hit.then(|| Intercept::Error { status: 400, code: "Throttling".into(), message: "on purpose".into() })
    });
    let shift = lockstep(&[&web, &portal], "shift", json!({ "stages": [50, 100] }));
    let shifted = run(ground, &shift).await?;
    check_success(&shifted, &path(2, &COMPLETED))?;
    ensure!(seen.load(Ordering::Relaxed) > 6, "the write did not fail");
    check_weights(&web, [0, 100]).await?;
    check_weights(&portal, [0, 100]).await?;
    let written = writes(ground, &web.routes[..1]).iter().filter(|action| *action == "ModifyRule").count();
    ensure!(written == 2, "{written} writes of a route for two stages: what stood was written again");
    Ok(())
}

/// One of the writes is refused for good: what the others have written is put back.
pub async fn a_write_that_is_refused_half_way_is_undone(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "undone").await?;
    let [web, portal] = pair(&site, ["undone-web", "undone-portal"], [[100, 0]; 2]).await?;
    let (of_web, of_portal) = (web.traffic(RATE / 4), portal.traffic(RATE / 4));
    let (route, set_weights) = (portal.routes[0].clone(), format!("{STACK}-set-weights"));
    ground.fail(move |call| {
        let hit = writes_route(call, &set_weights, &route);
        hit.then(|| Intercept::Error {
            status: 403,
            code: "AccessDenied".into(),
            message: "on purpose".into(),
        })
    });
    let shift = lockstep(&[&web, &portal], "shift", json!({ "stages": [50, 100] }));
    let ended = run(ground, &shift).await?;
    let cause = check_failure(&ended, "RolledBack")?;
    ensure!(cause.contains("(undone-portal)"), "the route is not named with its app: {cause}");
    let written = writes(ground, &web.routes);
    let written = written.iter().filter(|action| *action == "ModifyRule").count();
    ensure!(written > 0 && written.is_multiple_of(2), "{written} writes: nothing was undone");
    check_both([(&web, &of_web), (&portal, &of_portal)], [100, 0]).await
}

/// Stopped while its weights stand on one app and not yet on the other: the restore finds both.
pub async fn a_run_that_is_stopped_is_restored_on_every_app(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "stop-apps").await?;
    let [web, portal] = pair(&site, ["stopped-web", "stopped-portal"], [[100, 0]; 2]).await?;
    let (of_web, of_portal) = (web.traffic(RATE / 4), portal.traffic(RATE / 4));
    let both = [&web, &portal];
    let (route, set_weights) = (portal.routes[0].clone(), format!("{STACK}-set-weights"));
    ground.fail(move |call| {
        writes_route(call, &set_weights, &route).then_some(Intercept::Delay(Duration::from_secs(1)))
    });
    let mut execution = ground.execute(&lockstep(&both, "shift", json!({ "stages": [30, 100] }))).await?;
    execution.until(|event| *event == Event::Entered("SetWeights".into())).await?;
    execution.stop().await?;
    let restored = ground.restore_of(&execution.arn).await?.finish().await?;
    ensure!(restored.status == "SUCCEEDED" && restored.output["status"] == "restored", "{restored:?}");
    ensure!(restored.output["app"] == json!(["stopped-web", "stopped-portal"]), "{restored:?}");
    ensure!(restored.output["weights"] == json!({ "prod1": 100, "prod2": 0 }), "{restored:?}");
    check_both([(&web, &of_web), (&portal, &of_portal)], [100, 0]).await?;
    let by_hand = json!({ "app": ["stopped-web", "stopped-portal"], "operation": "restore" });
    let again = run(ground, &by_hand).await?;
    ensure!(again.output["status"] == "unchanged", "{again:?}");

    // From weights that differ, and stopped once more when one app is recorded as restored and the other is not.
    web.overwrite([60, 40]).await?;
    let unrecorded = Arc::new(AtomicBool::new(true));
    let (armed, lock, swap_roles) =
        (Arc::clone(&unrecorded), portal.lock().clone(), format!("{STACK}-swap-roles"));
    ground.fail(move |call| {
        let marks = armed.load(Ordering::Relaxed) && call.action == "AddTags";
        let ours = marks && call.application == Some(&swap_roles);
        (ours && call.parameters.iter().any(|(_, value)| *value == lock)).then(|| Intercept::Error {
            status: 400,
            code: "Throttling".into(),
            message: "a fault on purpose".into(),
        })
    });
    let mut execution = ground.execute(&lockstep(&both, "drain", json!({ "bake": "30s" }))).await?;
    execution.until_stage(1).await?;
    execution.stop().await?;
    let restore = ground.restore_of(&execution.arn).await?;
    let deadline = Instant::now() + Duration::from_secs(30);
    let recorded = async |app: &App<'_>| {
        let reached = app.claim().await?.map(|held| held.reached);
        Ok::<_, Error>(reached == Some(Reached::Restored))
    };
    while !recorded(&web).await? {
        ensure!(Instant::now() < deadline, "nothing was recorded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    restore.stop().await?;
    ensure!(!recorded(&portal).await?, "both were recorded");
    unrecorded.store(false, Ordering::Relaxed);
    let restored = ground.restore_of(&restore.arn).await?.finish().await?;
    ensure!(restored.status == "SUCCEEDED", "{restored:?}");
    check_weights(&web, [60, 40]).await?;
    check_weights(&portal, [100, 0]).await
}

/// The page of one app is wrong: its name is in the cause, and the other app goes back with it.
pub async fn probes_of_one_app_speak_for_all(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "probe-apps").await?;
    let [web, portal] = pair(&site, ["page-web", "page-portal"], [[100, 0]; 2]).await?;
    let _traffic = [web.traffic(RATE / 4), portal.traffic(RATE / 4)];
    let places = |app: &App<'_>| json!({ "prod1": app.address(0), "prod2": app.address(1) });
    let probing = json!({
        "stages": [30, 100],
        "probes": [{ "path": "/", "json": { "/release": "v1" } }],
        "addresses": { "page-web": places(&web), "page-portal": places(&portal) },
    });
    let shift = lockstep(&[&web, &portal], "shift", probing);
    let says = "prod2 of page-portal fails GET /: /release is \"v0\" instead of \"v1\"";
    let mut execution = ground.execute(&shift).await?;
    execution.until(|event| *event == Event::Entered("ClaimRoutes".into())).await?;
    portal.deploy(1, "v0");
    let cause = check_failure(&execution.finish().await?, "RolledBack")?;
    ensure!(cause.contains(says), "{cause}");
    check_weights(&web, [100, 0]).await?;
    // It is still there when the next run begins, which moves nobody.
    let cause = check_failure(&run(ground, &shift).await?, "PlanRejected")?;
    ensure!(cause.starts_with("page-web and page-portal: prod2 fails") && cause.contains(says), "{cause}");
    check_weights(&web, [100, 0]).await?;
    check_weights(&portal, [100, 0]).await
}

/// Each app has a test-traffic rule of its own, which is led on with the others.
pub async fn testers_of_every_app_are_led_on(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "tested-apps").await?;
    let [web, portal] = pair(&site, ["tested-web", "tested-portal"], [[100, 0]; 2]).await?;
    let _traffic = [web.traffic(RATE / 4), portal.traffic(RATE / 4)];
    let astray =
        [site.testers(&web, 1, "of-web", false).await?, site.testers(&portal, 0, "of-portal", false).await?];
    let both = [&web, &portal];
    let mut shift = lockstep(
        &both,
        "shift",
        json!({
            "stages": [50, 100], "probes": [{ "path": "/", "headers": { "host": portal.host() }, "text": "prod2" }],
            "addresses": { "tested-web": { "prod2": web.address(1) }, "tested-portal": { "standby": portal.public() } },
        }),
    );
    let refused = check_failure(&run(ground, &shift).await?, "PlanRejected")?;
    ensure!(
        refused.starts_with("tested-portal: rule ") && refused.contains("leads them to prod1"),
        "{refused}"
    );
    ensure!(writes(ground, &astray).is_empty(), "a run that was refused has written");
    check_success(&run(ground, &lockstep(&both, "drain", json!({}))).await?, &path(1, &COMPLETED))?;
    for (app, secret) in [(&web, "of-web"), (&portal, "of-portal")] {
        ensure!(app.tester(secret).await?[0] == "prod2", "{} is out of step", app.name);
    }
    // The secret of the app that is probed by way of the balancer, and of no other.
    shift["probes"][0]["text"] = json!("target");
    shift["probes"][0]["path"] = json!("/health");
    let shifted = run(ground, &shift).await?;
    ensure!(shifted.status == "SUCCEEDED", "{shifted:?}");
    for (app, secret) in [(&web, "of-web"), (&portal, "of-portal")] {
        ensure!(app.tester(secret).await?[0] == "prod1", "{} is out of step", app.name);
        check_weights(app, [0, 100]).await?;
    }
    Ok(())
}

pub async fn apps_that_cannot_go_together_are_left_alone(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "apart").await?;
    let [web, portal] = pair(&site, ["apart-web", "apart-portal"], [[100, 0], [0, 100]]).await?;
    let ahead = site.app("apart-ahead", &[RouteKind::Host], Forward::Weighted([70, 30])).await?;
    let elsewhere = Site::new(ground, "apart-far").await?;
    let far = elsewhere.app("apart-far", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let many: Vec<String> = (0..17).map(|number| format!("app-{number}")).collect();
    let flat = json!({ "prod1": web.groups[0], "prod2": web.groups[1] });
    let all = [&web, &portal, &ahead, &far];
    let routes: Vec<String> = all.iter().flat_map(|app| app.routes.clone()).collect();
    let before = writes(ground, &routes).len();
    for (app, more, says) in [
        (
            json!(["apart-web", "apart-portal"]),
            json!({}),
            "prod1 is live for apart-web, prod2 for apart-portal",
        ),
        (
            json!(["apart-web", "apart-portal"]),
            json!({ "operation": "drain" }),
            "`drain` of all of them with `standby`",
        ),
        (json!(["apart-web", "apart-ahead"]), json!({}), "apart-ahead with 30 % on prod2"),
        (json!(["apart-web", "apart-far"]), json!({}), "different balancers"),
        (json!(["apart-web", "apart-unknown"]), json!({}), "for the fleet prod1 of the app apart-unknown"),
        (json!(["apart-web", "apart-web"]), json!({}), "`app`: apart-web is named twice"),
        (json!(many), json!({}), "`app`: 17 names"),
        (json!([]), json!({}), "`app`: 0 names"),
        (json!(["apart-web", "apart-ahead"]), json!({ "fleets": flat }), "`fleets`"),
        (
            json!(["apart-web", "apart-ahead"]),
            json!({ "probes": [{ "path": "/" }], "stages": [30, 100] }),
            "`addresses`",
        ),
    ] {
        let mut input = input(&web, "shift", more);
        input["app"] = app;
        let ended = run(ground, &input).await?;
        let cause = check_failure(&ended, "PlanRejected")?;
        ensure!(cause.contains(says) && cause.contains("othing was touched"), "{input}: {cause}");
        ensure!(ended.path == REFUSED, "{:?}", ended.path);
    }
    ensure!(writes(ground, &routes).len() == before, "a run that was refused has written");
    // By the groups of each, where no naming pattern fits; both begin at 30 %.
    let of = |app: &App<'_>| json!({ "prod1": app.groups[0], "prod2": app.groups[1] });
    let fleets = json!({ "apart-web": of(&web), "apart-ahead": of(&ahead) });
    let by_group = json!({ "fleets": fleets, "stages": [30, 100], "dryRun": true });
    let planned = run(ground, &lockstep(&[&web, &ahead], "shift", by_group)).await?;
    ensure!(planned.output["status"] == "planned", "{planned:?}");
    Ok(())
}

/// What AWS allows an account: so many calls at once, refilled with so many a second.
struct Bucket {
    most: f64,
    refill: f64,
    left: Mutex<(f64, Instant)>,
}

impl Bucket {
    fn new(most: f64, refill: f64) -> Self {
        Self { most, refill, left: Mutex::new((most, Instant::now())) }
    }

    /// Whether another call may be made now.
    fn take(&self) -> bool {
        let mut left = self.left.lock().expect("nobody panics with it");
        let filled = left.0 + left.1.elapsed().as_secs_f64() * self.refill;
        *left = (filled.min(self.most), Instant::now());
        let some = left.0 >= 1.0;
        left.0 -= f64::from(u8::from(some));
        some
    }
}

/// As many apps and routes as a run may have, on a balancer that throttles as AWS does.
pub async fn sixteen_apps_with_sixty_four_routes_stay_within_the_limits(ground: &Ground) -> Result<()> {
    const APPS: usize = 16;
    let site = Site::new(ground, "crowd").await?;
    let kinds = [RouteKind::Host, RouteKind::Path, RouteKind::Host, RouteKind::Path];
    let names: Vec<String> = (0..APPS).map(|number| format!("crowd-{number:02}")).collect();
    let made = names.iter().map(|name| site.app(name, &kinds, Forward::Weighted([100, 0])));
    let apps = try_join_all(made).await?;
    let traffic: Vec<_> =
        apps.iter().flat_map(|app| app.users(Load::steady(2), Duration::from_mins(10))).collect();
    // With the time that writes get on AWS.
    let stack = deploy(ground.endpoint(), &Stack::new("crowd", "PropagationSeconds=15")).await?;

    let (reads, changes) = (Bucket::new(40.0, 10.0), Bucket::new(20.0, 3.0));
    let throttled: Arc<Mutex<Vec<String>>> = Arc::default();
    let met = Arc::clone(&throttled);
    ground.fail(move |call| {
        let of_functions = call.application.is_some_and(|name| name.starts_with("crowd-"));
        if call.service != Service::ElasticLoadBalancingV2 || !of_functions {
            return None;
        }
        let bucket = if call.action.starts_with("Describe") { &reads } else { &changes };
        (!bucket.take()).then(|| {
            met.lock().expect("nobody panics with it").push(call.action.to_owned());
            Intercept::Error { status: 400, code: "Throttling".into(), message: "Rate exceeded".into() }
        })
    });
    let all: Vec<&App<'_>> = apps.iter().collect();
    let calls = ground.alb.calls_len();
    let shift = lockstep(&all, "shift", json!({ "stages": [50, 100], "bake": "5s", "poll": "5s" }));
    let mut execution = ground.execute_on(&stack, &shift).await?;
    while execution.next().await?.is_some() {}
    let longest = longest_task(&execution).await?;
    let ended = execution.finish().await?;
    check_success(&ended, &path(2, &COMPLETED))?;
    for app in &apps {
        check_weights(app, [0, 100]).await?;
    }
    check_traffic(&traffic, 100).await?;

    let throttled = throttled.lock().expect("nobody panics with it").clone();
    let of_run = ground.alb.calls_since(calls);
    let of_run =
        of_run.iter().filter(|call| call.parameters.iter().any(|(_, value)| value.contains("crowd")));
    println!(
        "{} calls, throttled: {:?}; the longest task took {longest:.1} s",
        of_run.clone().count(),
        counted(&throttled)
    );
    ensure!(!throttled.iter().any(|action| action.starts_with("Describe")), "throttled: {throttled:?}");
    ensure!(longest < 45.0, "a function took {longest:.1} s");
    let queries = of_run.filter(|call| call.action == "GetMetricData").map(|call| {
        let ids = call.parameters.iter().filter(|(name, _)| name.ends_with(".Id"));
        let ids: BTreeSet<_> = ids.map(|(_, id)| id.clone()).collect();
        (ids.iter().all(|id| id.starts_with("load_")), ids.len())
    });
    // A poll is one call. What the fleets have carried in fifteen days is read once, by the plan.
    let queries: BTreeSet<usize> = queries.filter(|(of_loads, _)| !of_loads).map(|(_, ids)| ids).collect();
    ensure!(queries == [3 + 16 * APPS].into(), "{queries:?} queries in one call");
    Ok(())
}

fn counted(actions: &[String]) -> Vec<(String, usize)> {
    let names: BTreeSet<&String> = actions.iter().collect();
    let count = |name: &String| actions.iter().filter(|action| *action == name).count();
    names.into_iter().map(|name| (name.clone(), count(name))).collect()
}

/// How long the longest attempt of any function took but for the claim, which waits on purpose; in seconds.
async fn longest_task(execution: &Execution) -> Result<f64> {
    let (mut longest, mut state, mut began) = (0.0_f64, String::new(), 0);
    for event in execution.history().await? {
        let at = event.timestamp.to_millis()?;
        if let Some(entered) = &event.state_entered_event_details {
            entered.name.clone_into(&mut state);
        }
        if event.r#type.as_str() == "TaskScheduled" {
            began = at;
        }
        if event.r#type.as_str() == "TaskSucceeded" && state != "ClaimRoutes" {
            longest = longest.max((at - began) as f64 / 1000.0);
        }
    }
    Ok(longest)
}
