//! Requests that shifting itself loses: none of very many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rehearsal::{Answer, Forward, Ground, RouteKind, Site};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::load::Connection;
use crate::report::{Goal, Section, grouped};

/// Connections that are never idle.
const CONNECTIONS: usize = 24;

/// No longer than this, however few requests there were.
const LONGEST: Duration = Duration::from_mins(15);

/// What the users met so far.
#[derive(Default)]
struct Met {
    over: AtomicBool,
    requests: AtomicU64,
    failed: Mutex<Vec<Answer>>,
}

/// Runs healthy cycles until the users have sent `wanted` requests.
pub async fn measure(ground: &Ground, wanted: u64) -> Result<Section> {
    let site = Site::new(ground, "cycles").await?;
    let app = site.app("cycles", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let met = Arc::new(Met::default());
    let mut users = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::new(([127, 0, 0, 1], site.port).into(), &app.host());
        let met = Arc::clone(&met);
        users.spawn(async move {
            while !met.over.load(Ordering::Relaxed) {
                let answer = connection.ask().await;
                met.requests.fetch_add(1, Ordering::Relaxed);
                if answer.failed() {
                    met.failed.lock().expect("nobody panics with it").push(answer);
                }
            }
        });
    }

    let began = Instant::now();
    let mut endings: BTreeMap<String, u64> = BTreeMap::new();
    let mut writes = 0;
    let calls_before = ground.alb.calls_len();
    'cycles: loop {
        for operation in ["shift", "balance", "drain"] {
            let sent = met.requests.load(Ordering::Relaxed);
            if sent >= wanted || began.elapsed() > LONGEST {
                break 'cycles;
            }
            eprintln!("{operation} after {} requests, {:.0} s", grouped(sent), began.elapsed().as_secs_f64());
            let ended = ground.execute(&input(&app.name, operation)).await?.finish().await?;
            let ending =
                ended.output["status"].as_str().map_or(ended.error.unwrap_or(ended.status), Into::into);
            *endings.entry(ending).or_default() += 1;
        }
    }
    let took = began.elapsed().as_secs_f64();
    met.over.store(true, Ordering::Relaxed);
    while let Some(user) = users.join_next().await {
        user?;
    }
    for call in ground.alb.calls_since(calls_before) {
        writes += u64::from(call.action == "ModifyRule" && call.applied);
    }
    ensure!(writes > 0, "nothing was shifted");

    let requests = met.requests.load(Ordering::Relaxed);
    let lost = app.failed_by_shifting(&met.failed.lock().expect("nobody panics with it"));
    let runs: u64 = endings.values().sum();
    let healthy =
        ["shifted", "balanced", "drained"].iter().filter_map(|ending| endings.get(*ending)).sum::<u64>();
    let listed: Vec<String> = endings.iter().map(|(ending, count)| format!("{count} {ending}")).collect();
    Ok(Section {
        title: "Requests lost to shifting",
        method: format!(
            "{CONNECTIONS} connections that are never idle, while an app goes through shift, balance and drain, \
             over and over ({}).",
            listed.join(", ")
        ),
        columns: vec!["requests", "requests/s", "runs", "changes of weights", "failed"],
        rows: vec![vec![
            json!(requests),
            json!((requests as f64 / took).round()),
            json!(runs),
            json!(writes),
            json!(lost),
        ]],
        goals: vec![
            Goal::new(
                &format!("0 of at least {} requests fail because of shifting", grouped(wanted)),
                format!("{lost} of {}", grouped(requests)),
                lost == 0 && requests >= wanted,
            ),
            Goal::new(
                "every healthy run ends as it should",
                format!("{healthy} of {runs}"),
                healthy == runs && runs > 0,
            ),
        ],
    })
}

fn input(app: &str, operation: &str) -> Value {
    json!({
        "app": app, "operation": operation, "bake": "4s", "poll": "1s", "period": "1s",
        // So many users keep the machine busy; they are not what is judged here.
        "criteria": { "slowSeconds": 2 },
    })
}
