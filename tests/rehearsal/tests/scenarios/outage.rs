//! A restore during an outage of the load balancer's API: tried for minutes, paged, and gone on with until the API is
//! back.
//!
//! The definition of its stack is the shipped one, with one thing changed: every attempt of `RollBack` and
//! `RollBackOn` comes a second after the last instead of up to twenty seconds and up to a minute after it. So many
//! attempts as they are, in the same states; ten minutes of an outage become one.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alb::{CallInfo, Intercept, Service};
use anyhow::{Context, Result, ensure};
use rehearsal::{Event, Forward, Ground, RouteKind, Site, Stack, deploy};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::checkout;
use crate::support::{CLAIMED, RATE, check_success, check_traffic, check_weights, input};

/// The stack, and so what its functions call themselves.
const STACK: &str = "outage";

/// How long the API stays away once the team has been paged: some attempts of `RollBackOn`.
const GOES_ON_FOR: Duration = Duration::from_secs(10);

pub async fn a_restore_goes_on_until_the_api_is_back(ground: &Ground) -> Result<()> {
    let checkout = checkout::copy(ground, STACK)?;
    hurry(&checkout.join("statemachine/failover.asl.json"))?;
    let parameters = format!("NoticeTopicArn={}", ground.notice_topic_arn);
    let stack = Stack { checkout, ..Stack::new(STACK, &parameters) };
    let state_machine = deploy(ground.endpoint(), &stack).await?;
    let site = Site::new(ground, STACK).await?;
    let routes = [RouteKind::Host, RouteKind::Default];
    let app = site.app("api-outage", &routes, Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);

    let stages = json!({ "stages": [30, 100], "bake": "10m" });
    let mut shift = ground.execute_on(&state_machine, &input(&app, "shift", stages)).await?;
    shift.until_stage(1).await?;
    // The API goes away with the first call of the rollback, for everything that the stack runs.
    let (down, back) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
    let is_back = Arc::clone(&back);
    ground.fail(move |call: &CallInfo<'_>| {
        let function = call.application.and_then(|who| who.strip_prefix("outage-"))?;
        down.fetch_or(function == "roll-back", Ordering::Relaxed);
        let gone = call.service == Service::ElasticLoadBalancingV2
            && down.load(Ordering::Relaxed)
            && !is_back.load(Ordering::Relaxed);
        let (code, message) = ("ServiceUnavailable".to_owned(), "the API is away".to_owned());
        gone.then_some(Intercept::Error { status: 503, code, message })
    });
    let first_call = ground.alb.calls_len();
    shift.stop().await?;
    let mut restore = ground.restore_of(&shift.arn).await?;

    restore.until(|event| *event == Event::Entered("RollBackOn".into())).await?;
    let told = subjects(ground, first_call);
    ensure!(
        told.len() == 1 && told[0] == "[ACT NOW] api-outage: restore cannot be rolled back so far",
        "{told:?}"
    );
    ensure!(app.weights().await? == [[70, 30]; 2], "the routes hold {:?}", app.weights().await?);
    check_traffic(&traffic, 30).await?;
    let paged = ground.alb.calls_len();
    sleep(GOES_ON_FOR).await;
    ensure!(reads(ground, paged) > 1, "nothing was tried any more");
    back.store(true, Ordering::Relaxed);

    let ended = restore.finish().await?;
    let end = [
        "RollBack",
        "SendStuckNotice",
        "RollBackOn",
        "Settle",
        "IsSettled",
        "RollBack",
        "Settle",
        "IsSettled",
        "SwapRoles",
        "ReleaseRoutes",
        "SendEndNotice",
        "HowItEnded",
        "Completed",
    ];
    check_success(
        &ended,
        &[&CLAIMED[..], &end[..]].concat().iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
    )?;
    ensure!(ended.output["status"] == "restored", "{}", ended.output);
    check_weights(&app, [100, 0]).await?;
    ensure!(app.claim().await?.is_none(), "the app was not given back");
    check_traffic(&traffic, 0).await?;
    let told = subjects(ground, first_call);
    ensure!(told.len() == 2 && told[1].contains("restored"), "{told:?}");
    Ok(())
}

/// Has every attempt of a rollback come a second after the last.
fn hurry(definition: &Path) -> Result<()> {
    let mut machine: Value = serde_json::from_str(&fs::read_to_string(definition)?)?;
    for state in ["RollBack", "RollBackOn"] {
        let retriers = machine["States"][state]["Retry"].as_array_mut().context("no retriers")?;
        let all = retriers.iter_mut().find(|retrier| retrier["ErrorEquals"] == json!(["States.ALL"]));
        let all = all.context("nothing retries whatever else there is")?;
        ensure!(all["IntervalSeconds"] == 1 && all["MaxAttempts"].is_u64(), "{all}");
        all["BackoffRate"] = json!(1);
    }
    Ok(fs::write(definition, machine.to_string())?)
}

/// What the team was told of the app from a call on.
fn subjects(ground: &Ground, first_call: usize) -> Vec<String> {
    let calls = ground.alb.calls_since(first_call);
    let published = calls.iter().filter(|call| call.action == "Publish");
    let subjects = published.filter_map(|call| call.parameter("Subject"));
    subjects.filter(|subject| subject.contains("] api-outage: ")).map(str::to_owned).collect()
}

/// How many attempts of the rollback have met the outage from a call on.
fn reads(ground: &Ground, first_call: usize) -> usize {
    let calls = ground.alb.calls_since(first_call);
    calls.iter().filter(|call| call.outcome == Err("ServiceUnavailable".to_owned())).count()
}
