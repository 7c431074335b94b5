//! Releases that are well.

use anyhow::{Result, ensure};
use aws_sdk_elasticloadbalancingv2::types::ActionTypeEnum;
use rehearsal::{App, Event, Execution, Forward, Ground, RouteKind, Site};
use serde_json::json;

use crate::support::{
    COMPLETED, RATE, check_nothing_lost, check_success, check_traffic, check_weights, input, path, run,
    writes,
};

pub async fn two_apps_on_one_balancer_leave_each_other_alone(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "two-apps").await?;
    let routes = [RouteKind::Host, RouteKind::Path, RouteKind::Default];
    let web = site.app("web", &routes, Forward::Weighted([100, 0])).await?;
    let portal = site.app("portal", &routes[..2], Forward::Weighted([0, 100])).await?;
    let (web_traffic, portal_traffic) = (web.traffic(60), portal.traffic(60));

    let shifted = run(ground, &input(&web, "shift", json!({ "stages": [20, 100] }))).await?;
    check_success(&shifted, &path(2, &COMPLETED))?;
    ensure!(shifted.output["routes"].as_array().is_some_and(|r| r.len() == 3), "{}", shifted.output);
    check_weights(&web, [0, 100]).await?;
    check_weights(&portal, [0, 100]).await?;
    ensure!(writes(ground, &portal.routes).is_empty(), "the other app's rules were written to");

    let shifted = run(ground, &input(&portal, "shift", json!({ "stages": [20, 100] }))).await?;
    check_success(&shifted, &path(2, &COMPLETED))?;
    ensure!(shifted.output["live"] == "prod1", "{}", shifted.output);
    check_weights(&portal, [100, 0]).await?;
    check_weights(&web, [0, 100]).await?;
    check_traffic(&web_traffic, 100).await?;
    check_traffic(&portal_traffic, 0).await?;
    check_nothing_lost(&web, &web_traffic)?;
    check_nothing_lost(&portal, &portal_traffic)
}

pub async fn signing_in_survives_with_its_secret(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "sign-in").await?;
    let app = site.app("sign-in", &[RouteKind::SignedInHost], Forward::Fixed(1)).await?;
    let traffic = app.traffic(RATE);
    let before = app.actions(&app.routes[0]).await?;
    let shifted = run(ground, &input(&app, "shift", json!({ "stages": [50, 100] }))).await?;
    check_success(&shifted, &path(3, &COMPLETED))?;
    let after = app.actions(&app.routes[0]).await?;
    ensure!(after.len() == 2 && after[0].r#type() == Some(&ActionTypeEnum::AuthenticateOidc), "{after:?}");
    ensure!(after[0].authenticate_oidc_config() == before[0].authenticate_oidc_config(), "{after:?}");
    ensure!(after[0].order() == Some(1) && after[1].order() == Some(2), "{after:?}");
    // The balancer takes UseExistingClientSecret only where it has a secret to keep.
    check_weights(&app, [100, 0]).await?;
    check_traffic(&traffic, 0).await?;
    check_nothing_lost(&app, &traffic)
}

pub async fn a_drain_ends_when_the_standby_is_silent(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "drain").await?;
    let app = site.app("drain", &[RouteKind::Host], Forward::Weighted([60, 40])).await?;
    let traffic = app.traffic(RATE);
    let drained = run(ground, &input(&app, "drain", json!({}))).await?;
    let at_the_end = jiff::Timestamp::now();
    check_success(&drained, &path(2, &COMPLETED))?;
    ensure!(drained.output["status"] == "drained", "{}", drained.output);
    ensure!(drained.output["standby"] == "prod2", "{}", drained.output);
    ensure!(drained.output["standbyTargetGroup"] == app.groups[1], "{}", drained.output);
    let last = drained.verdicts.last().map(|(_, reason)| reason.clone()).unwrap_or_default();
    ensure!(last.contains("prod2 is drained"), "{last}");
    check_traffic(&traffic, 0).await?;
    let tally = traffic[0].tally_since(at_the_end, rehearsal::FLEETS);
    ensure!(tally.by_fleet[1] == 0 && tally.by_fleet[0] > 0, "{tally:?}");
    check_nothing_lost(&app, &traffic)
}

pub async fn a_failback_returns_in_one_step(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "failback").await?;
    let app = site.app("failback", &[RouteKind::Host], Forward::Weighted([0, 100])).await?;
    let traffic = app.traffic(RATE);
    // By the names of their target groups, where no naming pattern fits.
    let fleets = json!({ "fleets": { "prod1": group_name(&app, 0), "prod2": group_name(&app, 1) } });
    let back = run(ground, &input(&app, "failback", fleets)).await?;
    check_success(&back, &path(1, &COMPLETED))?;
    ensure!(back.output["status"] == "failedBack" && back.output["live"] == "prod1", "{}", back.output);
    check_weights(&app, [100, 0]).await?;
    check_nothing_lost(&app, &traffic)
}

fn group_name(app: &App<'_>, fleet: usize) -> String {
    app.groups[fleet].split('/').nth(1).unwrap_or_default().to_owned()
}

/// A poll asks CloudWatch once, the health of each fleet once, the tags of the routes once, and each listener once
/// for its rules, those that are new among them.
pub async fn a_poll_costs_six_calls(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "calls").await?;
    let routes = [RouteKind::Host, RouteKind::Path, RouteKind::Default];
    let app = site.app("calls", &routes, Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE / 3);
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [50, 100] }))).await?;
    execution.until_stage(1).await?;
    let calls = async |polls: usize, execution: &mut Execution| {
        let before = calls_about(ground, &app).len();
        for _ in 0..polls {
            execution
                .until(|event| matches!(event, Event::Left(state, _) if state == "CheckMetrics"))
                .await?;
        }
        anyhow::Ok(calls_about(ground, &app)[before..].to_vec())
    };
    let mut calls = calls(2, &mut execution).await?;
    calls.sort();
    let once = [
        "DescribeListeners",
        "DescribeRules",
        "DescribeTags",
        "DescribeTargetHealth",
        "DescribeTargetHealth",
        "GetMetricData",
    ];
    let twice: Vec<&str> = once.iter().flat_map(|call| [*call, *call]).collect();
    ensure!(calls == twice, "{calls:?}");
    execution.finish().await.map(drop)
}

pub async fn a_long_run_polls_more_than_once_within_an_invocation(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "long").await?;
    let app = site.app("long", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE / 2);
    // So many polls that the history of the execution would not hold an invocation for each.
    let stages = json!([{ "weight": 50, "bake": "40m" }, { "weight": 100, "bake": "3s" }]);
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": stages }))).await?;
    let checked = |event: &Event| matches!(event, Event::Left(state, _) if state == "CheckMetrics");
    execution.until(checked).await?;
    let polls = || calls_about(ground, &app).iter().filter(|action| *action == "GetMetricData").count();
    let before = polls();
    for _ in 0..2 {
        execution.until(checked).await?;
    }
    ensure!(polls() - before == 4, "{} polls in two invocations", polls() - before);
    app.request("promote-50").await?;
    check_success(&execution.finish().await?, &path(2, &COMPLETED))?;
    check_weights(&app, [0, 100]).await
}

/// The functions' calls that name a route or a target group of the app.
fn calls_about(ground: &Ground, app: &App<'_>) -> Vec<String> {
    let groups = app.groups.iter().filter_map(|arn| arn.rsplit_once(':')).map(|(_, name)| name.to_owned());
    let balancer = app.load_balancer_arn.clone();
    let names: Vec<String> = app.routes.iter().cloned().chain(groups).chain([balancer]).collect();
    let about = |call: &alb::Call| call.parameters.iter().any(|(_, v)| names.iter().any(|n| v.contains(n)));
    ground.alb.calls().iter().filter(|call| about(call)).map(|call| call.action.clone()).collect()
}

pub async fn a_dry_run_and_a_balance_that_is_there_touch_nothing(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "dry").await?;
    let app = site.app("dry", &[RouteKind::Host], Forward::Weighted([50, 50])).await?;
    let untouched = ["PlanShift", "IsReady", "Untouched"].map(str::to_owned);
    let stages = json!({ "standby": "prod2", "dryRun": true });
    let planned = run(ground, &input(&app, "shift", stages)).await?;
    check_success(&planned, &untouched)?;
    ensure!(planned.output["status"] == "planned", "{}", planned.output);
    ensure!(planned.output["plan"]["live"] == "prod1", "{}", planned.output);
    let unchanged = run(ground, &input(&app, "balance", json!({ "standby": "prod2" }))).await?;
    check_success(&unchanged, &untouched)?;
    ensure!(unchanged.output["status"] == "unchanged", "{}", unchanged.output);
    ensure!(writes(ground, &app.routes).is_empty());
    check_weights(&app, [50, 50]).await
}
