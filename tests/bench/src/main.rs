//! Benchmark of the running system, each part beside a baseline.
//!
//! ```text
//! cargo run -p bench -- [options] [parts]
//!   --json FILE           every figure, as JSON
//!   --requests 1000000    how many requests healthy cycles must meet
//!
//!   parts: balancer functions growth recovery shifting (all)
//! ```
//! The functions must have been built, together with the empty one: `make bench` does all of it.
//! Every part is bounded in time; all together take about a quarter of an hour.

mod balancer;
mod functions;
mod growth;
mod load;
mod recovery;
mod report;
mod runtime;
mod shifting;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rehearsal::Ground;

use crate::report::Section;

/// The shortest interval that AWS allows for health checks.
pub const HEALTH_CHECKS: Duration = Duration::from_secs(5);

const PARTS: [&str; 5] = ["balancer", "functions", "growth", "recovery", "shifting"];

/// What was asked for on the command line.
struct Options {
    json: Option<String>,
    requests: u64,
    parts: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse(std::env::args().skip(1))?;
    tokio::select! {
        result = run(&options) => result,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
    }
}

async fn run(options: &Options) -> Result<ExitCode> {
    let ground = Ground::start_checking(HEALTH_CHECKS).await?;
    let mut sections: Vec<Section> = Vec::new();
    for part in &options.parts {
        let began = Instant::now();
        let section = match part.as_str() {
            "balancer" => balancer::measure(&ground).await,
            "functions" => functions::measure(&ground).await,
            "growth" => growth::measure(&ground).await,
            "recovery" => recovery::measure(&ground).await,
            _ => shifting::measure(&ground, options.requests).await,
        }
        .with_context(|| format!("measuring {part}"))?;
        section.print();
        eprintln!("{part} took {:.0} s", began.elapsed().as_secs_f64());
        sections.push(section);
    }
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&sections)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { json: None, requests: 1_000_000, parts: Vec::new() };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word}: a value is missing"));
            match word.as_str() {
                "--json" => options.json = Some(value()?),
                "--requests" => options.requests = value()?.parse().context("--requests")?,
                part if PARTS.contains(&part) => options.parts.push(word),
                _ => bail!("{word}: neither an option nor a part; see the head of this program"),
            }
        }
        if options.parts.is_empty() {
            options.parts = PARTS.map(str::to_owned).into();
        }
        Ok(options)
    }
}
