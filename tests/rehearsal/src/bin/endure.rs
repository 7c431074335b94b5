//! A hundred cycles with disturbances at random, under traffic: whatever happens, no request is lost
//! to shifting itself, every run ends as the contract says, and nothing is left behind.
//!
//! Bounded: ten apps side by side with ten cycles each, users for twenty minutes at most.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alb::{Behaviour, CallInfo, Intercept};
use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rehearsal::{App, Ended, FLEETS, Forward, Ground, Load, RouteKind, Site, kill};
use serde_json::{Value, json};

/// Apps side by side, each with a balancer of its own.
const APPS: usize = 10;

/// Requests a second on each of an app's two routes.
const RATE: u32 = 25;

/// How long users come at most.
const USERS_FOR: Duration = Duration::from_mins(20);

/// What happens to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Disturbance {
    None,
    /// Somebody stops it in the console.
    Stopped,
    /// The standby's targets die.
    StandbyDies,
    /// The live fleet's targets die.
    LiveDies,
    /// AWS throttles, fails or resets some of its calls.
    Faults,
    /// A function is killed at a call.
    Killed,
    /// Somebody else changes the weights.
    ForeignWriter,
}

/// What the foreign writer puts: weights that no run here writes.
const FOREIGN: [u16; 2] = [61, 39];

impl Disturbance {
    fn draw(rng: &mut SmallRng) -> Self {
        match rng.random_range(0..20) {
            0..8 => Self::None,
            8..11 => Self::Stopped,
            11..13 => Self::StandbyDies,
            13 => Self::LiveDies,
            14..17 => Self::Faults,
            17..19 => Self::Killed,
            _ => Self::ForeignWriter,
        }
    }
}

/// What came of all runs.
#[derive(Default)]
struct Report {
    runs: BTreeMap<(Disturbance, String), usize>,
    requests: usize,
    failed: usize,
    lost: usize,
    leftovers: usize,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let argument = |index| std::env::args().nth(index).map(|text: String| text.parse::<u64>());
    let cycles = argument(1).transpose().context("the number of cycles")?.unwrap_or(100);
    let seed = argument(2).transpose().context("the seed")?.unwrap_or(1);
    let started = Instant::now();
    let ground = Ground::start().await?;
    let each = usize::try_from(cycles)?.div_ceil(APPS);
    println!("{} cycles on {APPS} apps side by side, seed {seed}", each * APPS);
    let apps = (0..APPS).map(|index| endure(&ground, index, each, seed));
    let report = tokio::select! {
        reports = try_join_all(apps) => summed(reports?),
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
    };
    for ((disturbance, ending), count) in &report.runs {
        println!("{:<16} {ending:<16} {count}", format!("{disturbance:?}"));
    }
    println!("runs                             {}", report.runs.values().sum::<usize>());
    println!("requests                         {}", report.requests);
    println!("failed, by faults on purpose     {}", report.failed - report.lost);
    println!("failed, by shifting itself       {}", report.lost);
    println!("leftovers                        {}", report.leftovers);
    println!("took                             {:.0} s", started.elapsed().as_secs_f64());
    Ok(if report.lost + report.leftovers == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summed(reports: Vec<Report>) -> Report {
    let mut sum = Report::default();
    for report in reports {
        for (key, count) in report.runs {
            *sum.runs.entry(key).or_default() += count;
        }
        sum.requests += report.requests;
        sum.failed += report.failed;
        sum.lost += report.lost;
        sum.leftovers += report.leftovers;
    }
    sum
}

/// The cycles of one app.
async fn endure(ground: &Ground, index: usize, cycles: usize, seed: u64) -> Result<Report> {
    let name = format!("endure-{index}");
    let site = Site::new(ground, &name).await?;
    let routes = [RouteKind::Host, RouteKind::Path];
    let app = site.app(&name, &routes, Forward::Weighted([100, 0])).await?;
    let traffic = app.users(Load::steady(RATE), USERS_FOR);
    let mut rng = SmallRng::seed_from_u64(seed * 1000 + index as u64);
    let mut report = Report::default();
    for cycle in 0..cycles {
        for (operation, more) in [
            ("drain", json!({ "bake": "2s" })),
            ("shift", json!({ "stages": [20, 100] })),
            ("balance", json!({ "stages": [50] })),
        ] {
            let disturbance = Disturbance::draw(&mut rng);
            let ending = disturbed(ground, &app, &mut rng, operation, more, disturbance)
                .await
                .with_context(|| format!("{name}, cycle {cycle}, {operation} with {disturbance:?}"))?;
            *report.runs.entry((disturbance, ending)).or_default() += 1;
            report.leftovers += leftovers(&app).await?;
            app.until_healthy().await?;
        }
    }
    for traffic in &traffic {
        let answers = traffic.answers();
        report.requests += answers.len();
        report.failed += answers.iter().filter(|answer| answer.failed()).count();
        report.lost += app.failed_by_shifting(&answers);
    }
    Ok(report)
}

/// One run with its disturbance; the weights it leaves must be what its ending promises.
async fn disturbed(
    ground: &Ground,
    app: &App<'_>,
    rng: &mut SmallRng,
    operation: &str,
    more: Value,
    disturbance: Disturbance,
) -> Result<String> {
    let before = weights(app).await?;
    let mut input = json!({
        "app": app.name, "operation": operation, "bake": "2s", "poll": "1s", "period": "1s",
        "criteria": { "longerPeriods": 8, "bothUnhealthyFor": "5s", "slowSeconds": 1.0 },
    });
    if let (Value::Object(input), Value::Object(more)) = (&mut input, more) {
        input.extend(more);
    }
    let live = live(app, before).await?;
    // Weights between the two ends do not always tell which fleet is the standby.
    if before[0] > 0 && before[1] > 0 {
        input["standby"] = FLEETS[1 - live].into();
    }
    let armed = Arc::new(AtomicUsize::new(0));
    if matches!(disturbance, Disturbance::Faults | Disturbance::Killed) {
        arm(ground, app, &armed, disturbance, rng.random_range(0..40), rng.random_range(1..8));
    }
    let execution = ground.execute(&input).await?;
    let arn = execution.arn.clone();
    let moment = Duration::from_millis(rng.random_range(200..6000));
    let mut foreign = None;
    match disturbance {
        Disturbance::None | Disturbance::Faults | Disturbance::Killed => {}
        Disturbance::Stopped => {
            tokio::time::sleep(moment).await;
            // One that is over already cannot be stopped.
            let _ = execution.stop().await;
        }
        Disturbance::StandbyDies | Disturbance::LiveDies => {
            tokio::time::sleep(moment).await;
            let fleet = if disturbance == Disturbance::LiveDies { live } else { 1 - live };
            app.set(fleet, Behaviour::Dead);
        }
        Disturbance::ForeignWriter => {
            tokio::time::sleep(moment).await;
            app.overwrite(FOREIGN).await?;
            foreign = Some(FOREIGN);
        }
    }
    let ended = execution.finish().await?;
    let restored = match ended.status.as_str() {
        "ABORTED" => Some(ground.restore_of(&arn).await?.finish().await?),
        _ => None,
    };
    armed.store(usize::MAX, Ordering::Relaxed);
    for fleet in [0, 1] {
        app.set(fleet, Behaviour::Healthy);
    }
    app.until_healthy().await?;
    // A function of a stopped run may take a moment to notice.
    if restored.is_some() {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let after = weights(app).await?;
    let all_on = |fleet| if fleet == 0 { [100, 0] } else { [0, 100] };
    let target = match operation {
        "drain" => all_on(live),
        "shift" => all_on(1 - live),
        _ => [50, 50],
    };
    let last: &Ended = restored.as_ref().unwrap_or(&ended);
    let ending =
        last.error.clone().unwrap_or_else(|| last.output["status"].as_str().unwrap_or("?").to_owned());
    let as_promised = match ending.as_str() {
        // One that was stopped at its very end had nothing left to restore.
        "unchanged" | "restored" if restored.is_some() => after == before || after == target,
        "PlanRejected" | "RolledBack" | "unchanged" => after == before,
        "drained" | "shifted" | "balanced" | "RolesNotRecorded" => after == target,
        "FailedOver" => after == all_on(0) || after == all_on(1),
        "ExternalChange" => foreign == Some(after),
        _ => false,
    } || foreign == Some(after);
    ensure!(as_promised, "{ending} left {after:?} from {before:?}: {:?}", last.cause);
    if foreign.is_some() {
        // Somebody cleans up after the foreign writer.
        app.overwrite(before).await?;
    }
    Ok(ending)
}

/// Makes some calls about the app fail from the `first` one on.
fn arm(
    ground: &Ground,
    app: &App<'_>,
    armed: &Arc<AtomicUsize>,
    disturbance: Disturbance,
    first: usize,
    count: usize,
) {
    let (seen, name) = (Arc::clone(armed), format!("{}/", app.name));
    let (other, server) = (format!("{}-", app.name), ground.alb.address());
    ground.fail(move |call: &CallInfo<'_>| {
        let about = |value: &String| value.contains(&name) || value.contains(&other);
        if !call.parameters.iter().any(|(_, value)| about(value))
            || seen.load(Ordering::Relaxed) > usize::MAX / 2
        {
            return None;
        }
        let number = seen.fetch_add(1, Ordering::Relaxed);
        let last = if disturbance == Disturbance::Killed { first + 1 } else { first + count };
        if !(first..last).contains(&number) {
            return None;
        }
        if disturbance == Disturbance::Killed {
            return kill::client(call.peer, server).is_ok().then_some(Intercept::ResetAfter);
        }
        let error =
            |status, code: &str| Intercept::Error { status, code: code.into(), message: "on purpose".into() };
        Some(match number % 4 {
            0 => error(400, "Throttling"),
            1 => error(500, "InternalFailure"),
            2 => Intercept::ResetBefore,
            _ => Intercept::ResetAfter,
        })
    });
}

/// The weights that all routes of the app hold alike.
async fn weights(app: &App<'_>) -> Result<[u16; 2]> {
    let all = app.weights().await?;
    match all.as_slice() {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => Ok(*first),
        _ => bail!("the routes of {} disagree: {all:?}", app.name),
    }
}

/// Which fleet is live: the heavier one, or at an even split the one that is recorded.
async fn live(app: &App<'_>, weights: [u16; 2]) -> Result<usize> {
    let recorded = app.tags().await?.get("failover:live").cloned();
    let even = weights[0] == weights[1];
    Ok(usize::from(if even { recorded.as_deref() == Some(FLEETS[1]) } else { weights[1] > weights[0] }))
}

/// Tags of runs that are over.
async fn leftovers(app: &App<'_>) -> Result<usize> {
    Ok(usize::from(app.claim().await?.is_some()))
}
