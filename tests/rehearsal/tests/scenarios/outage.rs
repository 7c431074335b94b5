//! A way back that does not get through: a restore during an outage of the load balancer's API, which is tried for
//! minutes, paged, and gone on with until the API is back; and a rollback without the right to change rules, which
//! nobody gives back.
//!
//! The definition of its stack is the shipped one, with two things changed: every attempt of `RollBack` and
//! `RollBackOn` comes a second after the last instead of up to twenty seconds and up to a minute after it, and
//! `RollBackOn` has a quarter of its attempts. In the same states; ten minutes of an outage become one, and two
//! hours half a minute.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alb::{Behaviour, CallInfo, Intercept, Service};
use anyhow::{Context, Result, ensure};
use rehearsal::{Event, Forward, Ground, RouteKind, Site, Stack, deploy};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::checkout;
use crate::interruptions::restore_path;
use crate::support::{
    CLAIMED, COMPLETED, RATE, ROLLED_BACK, STUCK, check_failure, check_success, check_traffic, check_weights,
    input, path, rolls_back,
};

/// The stack, and so what its functions call themselves.
const STACK: &str = "outage";

/// How long the API stays away once the team has been paged: some attempts of `RollBackOn`.
const GOES_ON_FOR: Duration = Duration::from_secs(10);

/// How many attempts `RollBackOn` has.
const ATTEMPTS: u64 = 125;

pub async fn the_way_back_is_tried_for_long_and_then_left_to_a_person(ground: &Ground) -> Result<()> {
    let checkout = checkout::copy(ground, STACK)?;
    hurry(&checkout.join("statemachine/failover.asl.json"))?;
    let parameters = format!("NoticeTopicArn={}", ground.notice_topic_arn);
    let stack = Stack { checkout, ..Stack::new(STACK, &parameters) };
    let state_machine = deploy(ground.endpoint(), &stack).await?;
    let site = Site::new(ground, STACK).await?;
    a_restore_goes_on_until_the_api_is_back(ground, &site, &state_machine).await?;
    what_a_run_leaves_to_a_person_is_restored_by_hand(ground, &site, &state_machine).await
}

async fn a_restore_goes_on_until_the_api_is_back(
    ground: &Ground,
    site: &Site<'_>,
    state_machine: &str,
) -> Result<()> {
    let routes = [RouteKind::Host, RouteKind::Default];
    let app = site.app("api-outage", &routes, Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);

    let stages = json!({ "stages": [30, 100], "bake": "10m" });
    let mut shift = ground.execute_on(state_machine, &input(&app, "shift", stages)).await?;
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
    let all = [&CLAIMED[..], &STUCK, &ROLLED_BACK[1..6], &COMPLETED].concat();
    check_success(&ended, &all.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
    ensure!(ended.output["status"] == "restored", "{}", ended.output);
    check_weights(&app, [100, 0]).await?;
    ensure!(app.claim().await?.is_none(), "the app was not given back");
    check_traffic(&traffic, 0).await?;
    let told = subjects(ground, first_call);
    ensure!(told.len() == 2 && told[1].contains("restored"), "{told:?}");
    Ok(())
}

/// A right that is taken away and never given back: told at once, tried on, and left to a person in the end.
async fn what_a_run_leaves_to_a_person_is_restored_by_hand(
    ground: &Ground,
    site: &Site<'_>,
    state_machine: &str,
) -> Result<()> {
    let app = site.app("by-hand", &[RouteKind::Path], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let stages = json!({ "stages": [30, 100] });
    let mut execution = ground.execute_on(state_machine, &input(&app, "shift", stages)).await?;
    execution.until_stage(1).await?;
    let denied = Arc::new(AtomicBool::new(true));
    let (armed, route) = (Arc::clone(&denied), app.routes[0].clone());
    ground.fail(move |call| {
        let ours = call.action == "ModifyRule" && call.parameters.iter().any(|(_, value)| *value == route);
        let hit = ours && armed.load(Ordering::Relaxed);
        let (code, message) = ("AccessDenied".to_owned(), "not allowed".to_owned());
        hit.then_some(Intercept::Error { status: 403, code, message })
    });
    app.set(1, Behaviour::Errors { share: 1.0 });
    let ended = execution.finish().await?;
    check_failure(&ended, "RollBackFailed")?;
    // It never gets so far that it looks a second time.
    let end = [&STUCK[..], &rolls_back("NeedsOperator")[4..]].concat();
    ensure!(ended.path == path(1, &end), "{:?}", ended.path);
    check_weights(&app, [70, 30]).await?;
    let tags = app.tags().await?;
    ensure!(tags["failover:claim"].ends_with(" left"), "whom to restore is not kept: {tags:?}");
    denied.store(false, Ordering::Relaxed);

    let by_hand = json!({ "app": app.name, "operation": "restore" });
    let run = async |input| ground.execute_on(state_machine, &input).await?.finish().await;
    let dry = run(json!({ "app": app.name, "operation": "restore", "dryRun": true })).await?;
    let would = dry.output["summary"].as_str().unwrap_or_default();
    ensure!(would.contains("would restore prod1 100 %, prod2 0 %"), "{dry:?}");
    check_success(&run(by_hand.clone()).await?, &restore_path())?;
    check_weights(&app, [100, 0]).await?;
    check_traffic(&traffic, 0).await?;
    let again = run(by_hand).await?;
    ensure!(again.output["status"] == "unchanged", "{again:?}");
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
        if state == "RollBackOn" {
            ensure!(all["MaxAttempts"] == ATTEMPTS, "{all}");
            all["MaxAttempts"] = json!(ATTEMPTS / 4);
        }
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
