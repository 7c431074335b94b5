//! Makes runs in virtual time and says what came of them.
//!
//!     simulate runs [RUNS] [FROM]     all of these seeds, as a table
//!     simulate soak [RUNS] [FROM]     the same, until the first one in which something does not hold
//!     simulate seed SEED              one run, with its history

use std::ops::ControlFlow;
use std::process::ExitCode;

use simulation::batch::{self, Table};
use simulation::known::{is_known, known};
use simulation::plot;

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, otherwise: u64| match given.get(place) {
        Some(text) => text.parse().map_err(|_| format!("{text} is no number")),
        None => Ok(otherwise),
    };
    let outcome = match given.first().map(String::as_str) {
        Some("seed") => number(1, 0).and_then(one),
        Some(mode @ ("runs" | "soak")) => {
            number(1, 1000).and_then(|runs| many(runs, number(2, 0)?, mode == "soak"))
        }
        _ => Err("say `runs [RUNS] [FROM]`, `soak [RUNS] [FROM]` or `seed SEED`".to_owned()),
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

fn one(seed: u64) -> Result<bool, String> {
    let report = batch::alone(|stage| stage.run(plot::draw(seed)))?;
    print!("{}", report.history);
    println!(
        "\nseed {seed}: {}; {} after {:.0} s, {} polls, {} events\n{}",
        report.plot.kind, report.ending, report.seconds, report.polls, report.events, report.said
    );
    for change in &report.changes {
        println!(
            "{:>6.0} s prod1 {:.1} %, prod2 {:.1} %",
            change.at,
            change.shares[0] * 100.0,
            change.shares[1] * 100.0
        );
    }
    for broken in &report.broken {
        println!("does not hold: {}: {}", broken.check, broken.found);
    }
    Ok(report.broken.is_empty())
}

fn many(runs: u64, from: u64, until_one: bool) -> Result<bool, String> {
    let known = known()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut table, mut first, mut well) = (Table::default(), None, true);
    batch::run(from, runs, threads, |made| {
        table.add(&made);
        let plot = &made.report.plot;
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
                batch::again(plot.seed)
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
        let least = batch::alone(|stage| batch::smallest(stage, &plot, check))?;
        println!("The smallest world in which that does not hold:\n{least:#?}");
    }
    Ok(well)
}
