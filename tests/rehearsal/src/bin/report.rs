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
        samples: [Vec::new(), Vec::new()],
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
        let [(first, of_first), (second, of_second)] =
            collect::samples(&cloudwatch, &plan, recording.from, recording.until).await?;
        recording.figures = figures(&run, [(&first, &of_first), (&second, &of_second)]);
        recording.fleets = [first, second];
        recording.samples = [of_first, of_second];
    }
    recording.runs.push(run);
    std::fs::write(&file, page::render(&recording))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}", file.display());
    Ok(())
}

/// What each fleet did during the run.
fn figures(run: &Run, fleets: [(&String, &Vec<Sample>); 2]) -> Vec<Figure> {
    use failover::verdict::words::{number, percent};
    let during =
        |sample: &&Sample| sample.at >= run.started_at && run.ended_at.is_none_or(|ended| sample.at < ended);
    let of_fleet = |(name, samples): (&String, &Vec<Sample>)| {
        let sum = |count: fn(&Sample) -> u64| samples.iter().filter(during).map(count).sum::<u64>() as f64;
        let (requests, failures) = (sum(|s| s.requests), sum(|s| s.failures));
        [
            Figure::new(format!("requests to {name} during the run"), number(requests)),
            Figure::new(format!("of them failed on {name}"), percent(failures / requests.max(1.0))),
        ]
    };
    fleets.into_iter().flat_map(of_fleet).collect()
}
