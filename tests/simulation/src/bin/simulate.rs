//! Makes runs in virtual time and says what came of them.
//!
//!     simulate runs [RUNS] [FROM]     all of these seeds, as a table
//!     simulate soak [RUNS] [FROM]     the same, until the first one in which something does not hold
//!     simulate seed SEED [KIND]       one run, with its history
//!     simulate fences [RUNS]          how many runs it takes until a fence is missed that is down
//!
//! What does not hold makes it fail, unless it is known; and so does what is known, and holds.

use std::ops::ControlFlow;
use std::process::ExitCode;

use simulation::batch::{self, Table};
use simulation::known::{is_known, known, mended};
use simulation::lie::FENCES;
use simulation::plot::{self, APPS};
use simulation::smallest::smallest;

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, otherwise: u64| match given.get(place) {
        Some(text) => text.parse().map_err(|_| format!("{text} is no number")),
        None => Ok(otherwise),
    };
    let outcome = match given.first().map(String::as_str) {
        Some("seed") => number(1, 0).and_then(|seed| one(seed, given.get(2))),
        Some("fences") => number(1, 100).and_then(fences),
        Some(mode @ ("runs" | "soak")) => {
            number(1, 1000).and_then(|runs| many(runs, number(2, 0)?, mode == "soak"))
        }
        _ => Err("say `runs [RUNS] [FROM]`, `soak [RUNS] [FROM]`, `fences [RUNS]` or `seed SEED [KIND]`"
            .to_owned()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn one(seed: u64, kind: Option<&String>) -> Result<bool, String> {
    let plot = match kind {
        Some(kind) => plot::draw_as(kind, seed)?,
        None => plot::draw(seed),
    };
    let report = batch::alone(|stage| stage.run(plot))?;
    print!("{}", report.history);
    println!(
        "\nseed {seed}: {}; {} after {:.0} s, {} polls, {} events\n{}",
        report.plot.kind, report.ending, report.seconds, report.polls, report.events, report.said
    );
    for change in &report.changes {
        println!(
            "{:>6.0} s {}: prod1 {:.1} %, prod2 {:.1} %",
            change.at,
            APPS[change.app],
            change.shares[0] * 100.0,
            change.shares[1] * 100.0
        );
    }
    for broken in &report.broken {
        println!("does not hold: {}: {}", broken.check, broken.found);
    }
    Ok(report.broken.is_empty())
}

fn fences(most: u64) -> Result<bool, String> {
    println!(
        "| fence that is down | in worlds of | found after runs | what did not hold |\n|---|---|---|---|"
    );
    let mut all = true;
    for (lie, what, kind, check) in FENCES {
        let found = batch::alone(|stage| batch::until_found(stage, lie, kind, check, most))??;
        all &= found.is_some();
        let found = found.map_or_else(|| format!("not within {most}"), |runs| runs.to_string());
        println!("| {what} | {kind} | {found} | {check} |");
    }
    Ok(all)
}

fn many(runs: u64, from: u64, until_one: bool) -> Result<bool, String> {
    let known = known()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut table, mut first, mut well) = (Table::default(), None, true);
    batch::run(from, runs, threads, plot::draw, |made| {
        table.add(&made);
        let plot = &made.report.plot;
        if let Some(mended) = mended(&known, &made.report) {
            well = false;
            println!("HOLDS NOW, so take it out of known-failures.json: {}: {}", mended.kind, mended.check);
        }
        for broken in &made.report.broken {
            let is_known = is_known(&known, plot.kind, broken.check);
            well &= is_known;
            // At once: many runs take a while.
            let word = if is_known { "known" } else { "NEW" };
            println!(
                "{word}: {}: {}: {} ({})",
                plot.kind,
                broken.check,
                broken.found,
                batch::again(plot.kind, plot.seed)
            );
            if until_one && !is_known {
                first = Some((plot.clone(), broken.check));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    println!("\n{}", table.markdown());
    if let Some((plot, check)) = first {
        let (least, left_out) = batch::alone(|stage| smallest(stage, &plot, check))?;
        println!("The smallest world in which that does not hold, without {left_out:?}:\n{least:#?}");
    }
    Ok(well)
}
