//! A rehearsal: whole cycles with everything that ships, in both directions, one of them with a
//! release that is broken, and users all the while.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use alb::Behaviour;
use anyhow::{Result, bail, ensure};
use failover::verdict::words::number;
use jiff::Timestamp;
use rehearsal::{App, Ended, Event, FLEETS, Forward, Ground, Recorder, RouteKind, Site, Tally, Traffic};
use report::Figure;
use serde_json::{Value, json};

/// Requests a second on each of the three routes.
const RATE: u32 = 60;

/// How long the users come before the first run.
const HISTORY: Duration = Duration::from_secs(12);

#[tokio::main]
async fn main() -> Result<ExitCode> {
    tokio::select! {
        result = rehearse() => result,
        _ = tokio::signal::ctrl_c() => {
            println!("\nStopped; everything that was started is being stopped too.");
            Ok(ExitCode::from(130))
        }
    }
}

async fn rehearse() -> Result<ExitCode> {
    println!("Failover deployments, a rehearsal\n");
    let ground = Ground::start().await?;
    println!(
        "local AWS      {} runs the state machine and the functions of infra/template.yaml",
        ground.endpoint()
    );
    println!("load balancer  {} is what they see of load balancing and CloudWatch", ground.alb.endpoint());
    let site = Site::new(&ground, "rehearsal").await?;
    let routes = [RouteKind::Host, RouteKind::Path, RouteKind::Default];
    let app = site.app("web", &routes, Forward::Fixed(0)).await?;
    let mut show = Show {
        ground: &ground,
        app: &app,
        traffic: app.traffic(RATE),
        started: Instant::now(),
        recorder: Recorder::new(),
    };
    println!("users          {} requests a second to http://127.0.0.1:{}", RATE * 3, site.port);
    println!(
        "app            web: a host rule, a path rule and the default action, all fixed on prod1 so far"
    );
    println!(
        "               (users come for {} s first: the history that a release is judged by)",
        HISTORY.as_secs()
    );
    tokio::time::sleep(HISTORY).await;

    title("First cycle: prod1 is live, prod2 gets v2");
    show.run("drain", json!({}), "drained").await?;
    show.deploy(1, "v2");
    show.run("shift", json!({ "release": "v2" }), "shifted").await?;

    title("Second cycle: prod2 is live, prod1 gets v3, which fails a tenth of its requests");
    show.run("drain", json!({}), "drained").await?;
    show.deploy(0, "v3");
    app.set(0, Behaviour::Errors { share: 0.1 });
    let broken_since = Timestamp::now();
    show.run("shift", json!({ "release": "v3" }), "RolledBack").await?;
    let restored = show.restored_after(broken_since)?;

    title("prod1 gets v4, which is well; then both fleets share the traffic");
    app.set(0, Behaviour::Healthy);
    show.deploy(0, "v4");
    show.run("shift", json!({ "release": "v4", "stages": [10, 50, 100] }), "shifted").await?;
    show.deploy(1, "v4");
    show.run("balance", json!({ "release": "v4" }), "balanced").await?;
    show.summary(&restored).await
}

/// The first bad response and what came of it.
struct Restored {
    /// From the first bad response until every route held its weights again.
    weights: Duration,
    /// From the first bad response until the last one.
    traffic: Duration,
    /// Bad responses.
    requests: usize,
}

/// What is shown, and of what.
struct Show<'a> {
    ground: &'a Ground,
    app: &'a App<'a>,
    traffic: Vec<Traffic>,
    started: Instant,
    recorder: Recorder,
}

impl Show<'_> {
    fn line(&self, what: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs();
        println!("{:02}:{:02}  {what:<10} {text}", seconds / 60, seconds % 60);
    }

    fn deploy(&mut self, fleet: usize, release: &str) {
        self.app.deploy(fleet, release);
        self.recorder.deployed(fleet, release);
        self.line("deploy", &format!("{release} to {}", FLEETS[fleet]));
    }

    /// Runs an operation and shows it as it goes; `expected` is the status or the error it must end
    /// with.
    async fn run(&mut self, operation: &str, more: Value, expected: &str) -> Result<Ended> {
        // Bakes of seconds stand for bakes of minutes, periods of a second for those of a minute.
        let mut input = json!({
            "app": "web", "operation": operation, "bake": "5s", "poll": "2s", "period": "1s",
            "criteria": { "historyPeriods": HISTORY.as_secs() },
        });
        if let (Value::Object(input), Value::Object(more)) = (&mut input, more) {
            input.extend(more);
        }
        self.line(operation, &format!("start an execution with {input}"));
        let mut execution = self.ground.execute(&input).await?;
        let mut since = Timestamp::now();
        while let Some(event) = execution.next().await? {
            let Event::Left(state, output) = event else { continue };
            match state.as_str() {
                "SetWeights" => {
                    since = Timestamp::now();
                    self.line("  set", &weights(&output["weights"]));
                }
                "CheckMetrics" => {
                    let text = |field: &str| output[field].as_str().unwrap_or_default().to_owned();
                    let measured = measured(self.tally(since));
                    self.line(&format!("  {}", text("verdict")), &text("reason"));
                    self.line("", &measured);
                }
                _ => {}
            }
        }
        let arn = execution.arn.clone();
        let ended = execution.finish().await?;
        self.recorder.ran(self.ground, &arn).await?;
        let status = ended.error.as_deref().or(ended.output["status"].as_str()).unwrap_or(&ended.status);
        let summary = ended.cause.as_deref().or(ended.output["summary"].as_str()).unwrap_or_default();
        self.line(status, summary);
        ensure!(status == expected, "this should have ended in {expected}");
        Ok(ended)
    }

    fn tally(&self, since: Timestamp) -> Tally {
        self.traffic.iter().map(|t| t.tally_since(since, FLEETS)).fold(Tally::default(), |sum, one| Tally {
            requests: sum.requests + one.requests,
            failed: sum.failed + one.failed,
            by_fleet: [0, 1].map(|fleet| sum.by_fleet[fleet] + one.by_fleet[fleet]),
        })
    }

    fn restored_after(&self, broken_since: Timestamp) -> Result<Restored> {
        let mut bad: Vec<Timestamp> = self
            .traffic
            .iter()
            .flat_map(Traffic::answers)
            .filter(rehearsal::Answer::failed)
            .map(|a| a.at)
            .filter(|at| *at >= broken_since)
            .collect();
        bad.sort_unstable();
        let (Some(first), Some(last)) = (bad.first(), bad.last()) else {
            bail!("the broken release broke nothing")
        };
        let calls = self.ground.alb.calls();
        let writes = calls
            .iter()
            .filter(|c| c.applied && matches!(c.action.as_str(), "ModifyRule" | "ModifyListener"));
        let Some(written) = writes.map(|c| c.at).max() else { bail!("nothing was written") };
        let after = |at: Timestamp| Duration::try_from(at.duration_since(*first)).unwrap_or_default();
        Ok(Restored { weights: after(written), traffic: after(*last), requests: bad.len() })
    }

    async fn summary(self, restored: &Restored) -> Result<ExitCode> {
        let all = self.tally(Timestamp::UNIX_EPOCH);
        let lost: usize = self.traffic.iter().map(|t| self.app.failed_by_shifting(&t.answers())).sum();
        let seconds = |span: Duration| format!("{:.1} s", span.as_secs_f64());
        let figures = vec![
            Figure::new("requests sent", number(all.requests as f64)),
            Figure::new("failed", number(all.failed as f64)),
            Figure::new("failed that are due to shifting itself", number(lost as f64)),
            Figure::new("bad responses of the broken release", number(restored.requests as f64)),
            Figure::new("first bad response to restored weights", seconds(restored.weights)),
            Figure::new("first bad response to the last one", seconds(restored.traffic)),
        ];
        title("Summary");
        for figure in &figures {
            println!("{:<42} {}", figure.label, figure.value);
        }
        let file = self.recorder.write(self.ground, self.app, figures).await?;
        println!("\nThe whole rehearsal as a page: {}", file.display());
        Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn title(text: &str) {
    println!("\n{text}");
}

/// Such as `prod1 90 %, prod2 10 %`.
fn weights(weights: &Value) -> String {
    let fleets = weights.as_object().into_iter().flatten();
    fleets.map(|(fleet, percent)| format!("{fleet} {percent} %")).collect::<Vec<_>>().join(", ")
}

/// What the users saw since the stage was set.
fn measured(tally: Tally) -> String {
    let share = tally.percent_of_second();
    format!(
        "measured {} {:.1} %, {} {share:.1} % of {} requests, {} failed",
        FLEETS[0],
        100.0 - share,
        FLEETS[1],
        tally.requests,
        tally.failed
    )
}
