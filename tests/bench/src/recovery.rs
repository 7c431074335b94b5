//! A release that breaks at 10 %: how long until the weights are back and what it costs the users,
//! beside what others would make of the same minutes.

use std::sync::Arc;
use std::time::Duration;

use alb::{Behaviour, Call};
use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use rehearsal::{FLEETS, Forward, Ground, Load, RouteKind, Site, Traffic};
use serde_json::json;
use tokio::time::sleep;

use crate::HEALTH_CHECKS;
use crate::report::{Goal, Section, figure};

/// Requests a second; a tenth of them meet the release.
const RATE: u32 = 100;

/// Seconds of the period in which `CloudWatch` counts, as on AWS.
const PERIOD: i64 = 60;

/// When a release breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breaks {
    /// With the first request that it gets.
    AtOnce,
    /// As soon as it has its weight: before that, a run would not start.
    WithItsWeight,
    /// After a healthy period, 20 s into the next one.
    Later,
}

struct Case {
    app: &'static str,
    what: &'static str,
    fault: Behaviour,
    breaks: Breaks,
    poll: i64,
}

/// What came of it. Times in seconds from the first bad response.
struct Outcome {
    restored: f64,
    lost: usize,
    /// Of the release's responses since it broke, the share that failed.
    share: f64,
    /// Bad responses a second.
    rate: f64,
    /// From the first request of the release until it broke.
    worked: f64,
    /// Of the first bad response, in seconds after a full minute.
    second: f64,
}

/// The rule of another deployer: so many failed checks end a rollout.
struct Peer {
    /// A check fails above this share of failed responses.
    share: f64,
    /// Seconds between two checks, and what each looks back on.
    interval: f64,
    checks: u32,
}

/// As their documentation starts: an alarm on one datapoint of a minute above 1 %; a minute's check of
/// 99 % success, five of which may fail; one of 95 % every five minutes, of which three may fail.
const PEERS: [Peer; 3] = [
    Peer { share: 0.01, interval: 60.0, checks: 1 },
    Peer { share: 0.01, interval: 60.0, checks: 5 },
    Peer { share: 0.05, interval: 300.0, checks: 4 },
];

/// Measures all cases side by side, each with its own balancer.
pub async fn measure(ground: &Ground) -> Result<Section> {
    let errors = |share| Behaviour::Errors { share };
    let case = |app, what, fault, breaks, poll| Case { app, what, fault, breaks, poll };
    let cases = [
        case("dead-quick", "its targets die", Behaviour::Dead, Breaks::WithItsWeight, 5),
        case("dead-usual", "its targets die", Behaviour::Dead, Breaks::WithItsWeight, 30),
        case("fail-later", "every request fails, after a while", errors(1.0), Breaks::Later, 30),
        case("tenth-later", "a tenth fails, after a while", errors(0.1), Breaks::Later, 30),
        case("fail-at-once", "every request fails from the first", errors(1.0), Breaks::AtOnce, 30),
    ];
    let outcomes = try_join_all(cases.iter().map(|case| run(ground, case))).await?;

    let rows = cases.iter().zip(&outcomes).map(|(case, outcome)| {
        let mut row = vec![json!(case.what), json!(case.poll), json!(outcome.restored), json!(outcome.lost)];
        for peer in &PEERS {
            let seconds = peer.ends_after(outcome);
            row.extend([json!(seconds), json!((outcome.rate * seconds).round())]);
        }
        row
    });
    let goal = |name: &str, index: usize, within: i64| {
        let restored = outcomes[index].restored;
        Goal::new(name, format!("{} s", figure(restored)), restored <= within as f64)
    };
    Ok(Section {
        title: "A release that breaks at 10 %",
        method: format!(
            "{RATE} requests a second, a tenth of them to the release; health checks every {} s, two of which must \
             fail; metrics by the minute, here without the minute or two that CloudWatch is late, which every rule \
             here has to wait. Seconds from the first bad response until the weights were back, and requests \
             lost. Beside it, on the same timeline and as if the release went on failing as it did: an alarm of \
             CodeDeploy, Flagger, and Argo Rollouts, each as its documentation begins, and switching in no time.",
            HEALTH_CHECKS.as_secs()
        ),
        columns: vec![
            "the release",
            "poll s",
            "ours s",
            "lost",
            "CodeDeploy s",
            "lost",
            "Flagger s",
            "lost",
            "Argo Rollouts s",
            "lost",
        ],
        rows: rows.collect(),
        goals: vec![
            goal("a dead fleet within 15 s, polled every 5 s", 0, 15),
            goal("every request fails: within a period and a poll", 2, PERIOD + cases[2].poll),
            goal("a tenth fails: within a period and a poll", 3, PERIOD + cases[3].poll),
            goal("failing from the first request: within a period and a poll", 4, PERIOD + cases[4].poll),
        ],
    })
}

async fn run(ground: &Ground, case: &Case) -> Result<Outcome> {
    let site = Site::new(ground, case.app).await?;
    let app = site.app(case.app, &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let traffic = app.users(Load::steady(RATE), Duration::from_mins(12));
    if case.breaks == Breaks::AtOnce {
        app.set(1, case.fault);
    }
    let input = json!({
        "app": app.name, "stages": [10, 100], "bake": "8m", "poll": format!("{}s", case.poll),
    });
    let mut execution = ground.execute(&input).await?;
    execution.until_stage(1).await?;
    let set = Timestamp::now();
    match case.breaks {
        Breaks::AtOnce => {}
        Breaks::WithItsWeight => app.set(1, case.fault),
        Breaks::Later => {
            let minute = set.as_second().div_euclid(PERIOD) * PERIOD;
            let breaks_at = Timestamp::from_second(minute + 2 * PERIOD + 20)?;
            sleep(breaks_at.duration_since(Timestamp::now()).try_into().unwrap_or_default()).await;
            app.set(1, case.fault);
        }
    }
    let ended = execution.finish().await?;
    ensure!(ended.error.as_deref() == Some("RolledBack"), "{}: {ended:?}", case.app);
    eprintln!("{}", ended.cause.unwrap_or_default());
    // What was sent just before is still on its way.
    sleep(Duration::from_secs(1)).await;

    let answers: Vec<_> = traffic.iter().flat_map(Traffic::answers).collect();
    // The balancer's own answers stand for a fleet that gives none.
    let of_release = |answer: &&rehearsal::Answer| answer.fleet.as_deref() != Some(FLEETS[0]);
    let bad = || answers.iter().filter(|answer| answer.failed());
    let first = bad().map(|answer| answer.at).min().context("nothing failed")?;
    let final_one = bad().map(|answer| answer.at).max().context("nothing failed")?;
    let lost = bad().count();
    let met = answers.iter().filter(of_release).filter(|answer| answer.at >= first).count();
    let calls = ground.alb.calls();
    let written = |call: &&Arc<Call>| {
        call.applied && call.parameter("RuleArn") == app.routes.first().map(String::as_str)
    };
    let writes = calls.iter().filter(|call| call.action == "ModifyRule").filter(written);
    let restored =
        writes.map(|call| call.at).max().filter(|at| *at > first).context("nothing was put back")?;
    let since = |later: Timestamp, earlier: Timestamp| later.duration_since(earlier).as_secs_f64();
    Ok(Outcome {
        restored: since(restored, first),
        lost,
        share: lost as f64 / met.max(1) as f64,
        rate: lost as f64 / since(final_one, first).max(1.0),
        worked: since(first, set).max(0.0),
        second: first.as_millisecond().rem_euclid(PERIOD * 1000) as f64 / 1000.0,
    })
}

impl Peer {
    /// Seconds from the first bad response to the check that ends the rollout. Checks come at full
    /// minutes; the first one after the fault also sees what was well before it.
    fn ends_after(&self, outcome: &Outcome) -> f64 {
        let (mut check, mut failed) = (PERIOD as f64 - outcome.second, 0);
        loop {
            let looked_at = self.interval.min(check + outcome.worked);
            let failing = outcome.share * check.min(looked_at) / looked_at;
            failed += u32::from(failing > self.share);
            if failed == self.checks {
                return check;
            }
            check += self.interval;
        }
    }
}
