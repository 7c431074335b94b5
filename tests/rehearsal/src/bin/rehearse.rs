//! A rehearsal: a scenario with everything that ships, and users all the while. Without a file it is
//! whole cycles in both directions, one of them with a release that is broken.
//!
//! `rehearse [SCENARIO] [--json]`; with `--json` the result goes to standard output, and all else to
//! standard error.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use console::Term;
use rehearsal::play::{Happening, Report, rehearse};
use rehearsal::view::View;
use rehearsal::{Ground, root};
use scenario::{Scenario, library_folder};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // What is not finished is dropped, and stops what it has started.
    let code = tokio::select! {
        result = run(&arguments) => return result,
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    eprintln!("\nStopped, with everything that was started.");
    Ok(ExitCode::from(code))
}

/// What was typed.
struct Arguments {
    scenario: PathBuf,
    json: bool,
}

impl Arguments {
    fn read(words: impl Iterator<Item = String>) -> Result<Self> {
        let (mut scenario, mut json) = (None, false);
        for word in words {
            match word.as_str() {
                "--json" => json = true,
                option if option.starts_with('-') => bail!("there is no option {option}, only --json"),
                path if scenario.is_none() => scenario = Some(PathBuf::from(path)),
                path => bail!("one scenario at a time: what is {path}?"),
            }
        }
        let scenario = scenario.unwrap_or_else(|| library_folder().join("whole-cycles.yaml"));
        Ok(Self { scenario, json })
    }
}

async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let scenario = Scenario::read(&arguments.scenario)?;
    let name = arguments.scenario.file_stem().context("a scenario is a file")?.to_string_lossy();
    let mut view = View::new(if arguments.json { Term::stderr() } else { Term::stdout() });
    view.line(&format!("Failover deployments, a rehearsal: {name}\n\n{}\n", scenario.description.trim()));
    let ground = Ground::start().await?;
    view.line(&format!("local AWS      {}", ground.endpoint()));
    view.line(&format!("load balancer  {}\n", ground.alb.endpoint()));
    let page = root().join(".rehearsal/report.html");
    let mut watch = |happening: &Happening<'_>| view.see(happening);
    let report = rehearse(&ground, "web", (&name, &scenario), &mut watch, Some(&page)).await?;
    for line in summary(&report) {
        view.line(&line);
    }
    view.line(&format!("\nThe page about it: {}", page.display()));
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(report: &Report) -> Vec<String> {
    let row = |what: &str, value: &str| format!("{what:<42} {value}");
    let ending = format!("{}, {}", report.ending, report.weights);
    let calls: Vec<String> = report.calls.iter().map(|(action, count)| format!("{count} {action}")).collect();
    let mut lines = vec!["\nSummary".to_owned(), row("ending", &ending)];
    lines.extend(report.figures().iter().map(|figure| row(&figure.label, &figure.value)));
    lines.push(row("AWS API calls", &calls.join(", ")));
    match report.problems.as_slice() {
        [] => lines.push("PASS".into()),
        problems => lines.extend(problems.iter().map(|problem| format!("FAIL: {problem}"))),
    }
    lines
}
