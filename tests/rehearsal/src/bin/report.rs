//! Draws the page of one execution, from its history and the balancer's metrics:
//! `report ARN [FILE]`. Credentials, region and endpoints come from the environment, as for every
//! AWS tool.

use std::path::PathBuf;

use anyhow::{Context, Result};
use aws_config::BehaviorVersion;
use jiff::{SignedDuration, Timestamp};
use report::{Figure, Recording, Run, Sample, collect, page};

/// So many periods before and after the run are shown with it.
const AROUND: u32 = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let execution = arguments.next().context("name an execution: report ARN [FILE]")?;
    let file = arguments.next().map_or_else(|| PathBuf::from("report.html"), PathBuf::from);
    let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let (run, plan) = collect::run(&aws_sdk_sfn::Client::new(&config), &execution).await?;
    let ended = run.ended_at.unwrap_or_else(Timestamp::now);
    let mut recording = Recording {
        title: execution.rsplit(':').next().unwrap_or(&execution).to_owned(),
        fleets: [String::new(), String::new()],
        from: run.started_at,
        until: ended,
        period_seconds: 60,
        runs: Vec::new(),
        apps: Vec::new(),
        events: Vec::new(),
        notices: Vec::new(),
        figures: Vec::new(),
    };
    if let Some(plan) = plan {
        let period = plan.period_seconds;
        let around = SignedDuration::from_secs((AROUND * period).into());
        recording.title = format!("{}: {}", plan.app, plan.operation.word());
        recording.period_seconds = period;
        recording.from = collect::period_start(run.started_at - around, period)?;
        recording.until = collect::period_start((ended + around).min(Timestamp::now()), period)?;
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&config);
        recording.fleets = collect::fleets(&plan);
        recording.apps = collect::samples(&cloudwatch, &plan, recording.from, recording.until).await?;
        recording.figures = figures(&run, &recording);
    }
    recording.runs.push(run);
    std::fs::write(&file, page::render(&recording))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}", file.display());
    Ok(())
}

/// What each fleet did during the run, app by app.
fn figures(run: &Run, recording: &Recording) -> Vec<Figure> {
    use failover::verdict::words::{number, percent};
    let during =
        |sample: &&Sample| sample.at >= run.started_at && run.ended_at.is_none_or(|ended| sample.at < ended);
    let mut figures = Vec::new();
    for app in &recording.apps {
        for (fleet, samples) in recording.fleets.iter().zip(&app.samples) {
            let name =
                if recording.apps.len() > 1 { format!("{fleet} of {}", app.name) } else { fleet.clone() };
            let sum =
                |count: fn(&Sample) -> u64| samples.iter().filter(during).map(count).sum::<u64>() as f64;
            let (requests, failures) = (sum(|s| s.requests), sum(|s| s.failures));
            figures.extend([
                Figure::new(format!("requests to {name} during the run"), number(requests)),
                Figure::new(format!("of them failed on {name}"), percent(failures / requests.max(1.0))),
            ]);
        }
    }
    figures
}
