//! Scenarios: the shipped definition, template and functions, real HTTP, and what is left behind.
//!
//! One proving ground serves all of them; each has a balancer and apps of its own, so they run side
//! by side.

mod claims;
mod dashboard;
mod dead_fleets;
mod endings;
mod every_call;
mod faults;
mod healthy;
mod interruptions;
mod pipeline;
mod refusals;
mod report;
mod schedule;
mod second_opinion;
mod support;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use rehearsal::Ground;

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    // Every scenario has users of its own; more of them at once than this and a small machine would
    // answer late by itself.
    arguments.test_threads = arguments.test_threads.or(Some(5));
    let runtime = Arc::new(tokio::runtime::Runtime::new()?);
    let ground = Arc::new(if arguments.list { None } else { Some(runtime.block_on(Ground::start())?) });
    let trials = support::SCENARIOS.iter().map(|scenario| {
        let (runtime, ground) = (Arc::clone(&runtime), Arc::clone(&ground));
        Trial::test(scenario.name, move || {
            let ground = ground.as_ref().as_ref().ok_or("a listing runs nothing")?;
            runtime.block_on((scenario.run)(ground)).map_err(|error| Failed::from(format!("{error:#}")))
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    drop(ground);
    Ok(conclusion.exit_code())
}
