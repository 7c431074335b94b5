//! What the local balancer itself adds, so that every other figure can be trusted.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rehearsal::{Forward, Ground, RouteKind, Site};
use serde_json::json;

use crate::load::{Connection, throughput};
use crate::report::{Goal, Section, figure, median, quantile};

/// Requests each way, one after the other.
const PAIRS: usize = 3000;

/// Rounds of throughput, each way in each.
const ROUNDS: usize = 6;
const ROUND: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 32;

/// Measures a target through the balancer and past it, in turns.
pub async fn measure(ground: &Ground) -> Result<Section> {
    let site = Site::new(ground, "overhead").await?;
    let app = site.app("overhead", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let host = app.host();
    let balancer = ([127, 0, 0, 1], site.port).into();
    let target = app.targets(0)[0];

    let mut ways = [Connection::new(target, &host), Connection::new(balancer, &host)];
    let mut times: [Vec<f64>; 2] = Default::default();
    for _ in 0..PAIRS {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            let began = Instant::now();
            let answer = way.ask().await;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            ensure!(!answer.failed(), "{answer:?}");
        }
    }
    let added: Vec<f64> = times[1].iter().zip(&times[0]).map(|(through, past)| through - past).collect();

    let mut rates: [Vec<f64>; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (to, rates) in [target, balancer].into_iter().zip(&mut rates) {
            rates.push(throughput(to, &host, CONNECTIONS, ROUND).await?);
        }
    }
    let kept: Vec<f64> = rates[1].iter().zip(&rates[0]).map(|(through, past)| through / past).collect();

    let row = |way: &str, i: usize| {
        vec![
            json!(way),
            json!(median(&times[i])),
            json!(quantile(&times[i], 0.99)),
            json!(median(&rates[i]).round()),
        ]
    };
    Ok(Section {
        title: "The local balancer",
        method: format!(
            "One target, whose answers take about 2 ms on purpose. {PAIRS} pairs of requests on one connection each \
             way, then {ROUNDS} pairs of {} s with {CONNECTIONS} connections. Users, balancer and target share the \
             machine. The balancer adds {} ms in the median pair; {} % of the requests a second remain.",
            ROUND.as_secs(),
            figure(median(&added)),
            figure(100.0 * median(&kept)),
        ),
        columns: vec!["way", "median ms", "p99 ms", "requests/s"],
        rows: vec![row("straight to the target", 0), row("through the balancer", 1)],
        goals: Vec::<Goal>::new(),
    })
}
