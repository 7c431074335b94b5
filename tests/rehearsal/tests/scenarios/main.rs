//! Scenarios: the shipped definition, template and functions, real HTTP, and what is left behind.
//!
//! One proving ground serves all of them; each has a balancer and apps of its own, so they run side
//! by side.

mod checkout;
mod claims;
mod dashboard;
mod dead_fleets;
mod dev_alb;
mod endings;
mod every_call;
mod faults;
mod healthy;
mod interruptions;
mod notices;
mod permissions;
mod pipeline;
mod refusals;
mod report;
mod requests;
mod schedule;
mod second_opinion;
mod stacks;
mod support;
mod upgrade;
mod windows;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use rehearsal::Ground;
use support::Running;

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    // Every scenario has users of its own; more of them at once than this and a small machine would
    // answer late by itself.
    arguments.test_threads = arguments.test_threads.or(Some(5));
    let runtime = Arc::new(tokio::runtime::Runtime::new()?);
    let ground = Arc::new(if arguments.list { None } else { Some(runtime.block_on(Ground::start())?) });
    let trial = |name: &str, run: for<'a> fn(&'a Ground) -> Running<'a>| {
        let (runtime, ground) = (Arc::clone(&runtime), Arc::clone(&ground));
        Trial::test(name, move || {
            let ground = ground.as_ref().as_ref().ok_or("a listing runs nothing")?;
            runtime.block_on(run(ground)).map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    let trials = support::SCENARIOS.iter().map(|scenario| trial(scenario.name, scenario.run));
    let mut conclusion = libtest_mimic::run(&arguments, trials.collect());
    if !arguments.list {
        // Held against all that was done before, whichever scenarios that were.
        let all = conclusion.num_filtered_out == 0 && !conclusion.has_failed();
        let last = if all {
            trial("permissions::what_is_allowed_is_what_is_used", |ground| {
                Box::pin(permissions::check(ground, true))
            })
        } else {
            trial("permissions::what_is_used_is_allowed", |ground| {
                Box::pin(permissions::check(ground, false))
            })
        };
        let unfiltered = Arguments { filter: None, skip: Vec::new(), ..arguments };
        conclusion.num_failed += libtest_mimic::run(&unfiltered, vec![last]).num_failed;
    }
    drop(ground);
    Ok(conclusion.exit_code())
}
