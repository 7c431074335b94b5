//! Scenarios: the shipped definition, template and functions, real HTTP, and what is left behind.
//!
//! One proving ground serves all of them; each has a balancer and apps of its own, so they run side
//! by side. Those of the library are files, see `tests/rehearsal/scenarios`, of which those are
//! here that say what only real processes and real requests show of them; the others look at what a file cannot say.

mod apps;
mod checkout;
mod claims;
mod command;
mod dashboard;
mod dev_alb;
mod endings;
mod every_call;
mod gone;
mod healthy;
mod hooks;
mod interruptions;
mod notices;
mod operating;
mod outage;
mod permissions;
mod pipeline;
mod probes;
mod prove;
mod recorded;
mod refusals;
mod report;
mod requests;
mod schedule;
mod second_opinion;
mod stacks;
mod support;
mod testers;
mod upgrade;
mod windows;
mod wire;

use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use rehearsal::Ground;
use rehearsal::play::rehearse;
use scenario::{Scenario, library};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Scenarios side by side. Every one has users of its own: with more of them a small machine would answer
/// late by itself.
const AT_ONCE: usize = 10;

/// Scenarios that deploy again and again, which is much work for the machine: others would be late beside them.
const DEPLOYING: [&str; 6] = ["apps::sixteen", "command", "outage", "prove::a_stack", "stacks", "upgrade"];

/// What runs two dozen apps at once by itself.
const CROWD: &str = "every_call";

/// Scenarios that come first, so that nothing that takes a minute or two is left alone at the end.
const LONGEST: [&str; 5] = [
    "dev_alb::every_command_of_the_page_works",
    "files::whole-cycles",
    "files::weights-spread-late",
    "schedule::a_balance_fires_and_is_quiet_where_it_cannot_run",
    "testers::testers_see_the_standby_through_whole_cycles",
];

/// So many failures may come of a machine that was busy with something else. With more, something is wrong.
const TRIED_AGAIN: usize = 2;

/// Is set for a scenario that is tried again, which is not tried a third time.
const ALONE: &str = "SCENARIO_ALONE";

/// How the names begin of what is held against all scenarios.
const PERMISSIONS: &str = "permissions::";

/// What a trial runs.
type Scenes = Box<dyn Fn(&Runtime, &Ground) -> Result<()> + Send>;

fn main() -> Result<ExitCode> {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new()?);
    runtime.spawn(stop_when_interrupted());
    let ground = Arc::new(if arguments.list { None } else { Some(runtime.block_on(Ground::start())?) });
    let failures = Arc::new(Mutex::new(Vec::new()));
    let trial = |name: String, run: Scenes| {
        let (runtime, ground, failures) = (Arc::clone(&runtime), Arc::clone(&ground), Arc::clone(&failures));
        Trial::test(name.clone(), move || {
            let ground = ground.as_ref().as_ref().ok_or("a listing runs nothing")?;
            run(&runtime, ground).map_err(|error| {
                let said = format!("{error:#}");
                failures.lock().expect("nobody panics with it").push((name, said.clone()));
                Failed::from(said)
            })
        })
    };
    let mut files = Vec::new();
    for (number, (name, path)) in library()?.into_iter().enumerate() {
        let (scenario, app) = (Scenario::read(&path)?, format!("file-{number}"));
        if scenario.live.is_some() {
            let title = format!("files::{name}");
            let play = move |runtime: &Runtime, ground: &Ground| {
                runtime.block_on(file(ground, &app, &name, &scenario))
            };
            files.push(trial(title, Box::new(play)));
        }
    }
    let others = support::SCENARIOS.iter().map(|scenario| {
        let run = scenario.run;
        trial(scenario.name.into(), Box::new(move |runtime, ground| runtime.block_on(run(ground))))
    });
    let mut trials: Vec<Trial> = others.chain(files).collect();
    trials.sort_by_key(|trial| !LONGEST.iter().any(|name| trial.name() == *name));
    let is_any = |trial: &Trial, names: &[&str]| names.iter().any(|name| trial.name().starts_with(name));
    let (crowd, trials): (Vec<_>, Vec<_>) = trials.into_iter().partition(|trial| is_any(trial, &[CROWD]));
    let (deploying, most): (Vec<_>, Vec<_>) = trials.into_iter().partition(|trial| is_any(trial, &DEPLOYING));
    let at_once = |threads| {
        let test_threads = arguments.test_threads.or(Some(threads));
        Arguments { test_threads, ..arguments.clone() }
    };
    let mut conclusion = libtest_mimic::run(&at_once(AT_ONCE), most);
    for trials in [deploying, crowd] {
        let ended = libtest_mimic::run(&at_once(DEPLOYING.len()), trials);
        conclusion.num_failed += ended.num_failed;
        conclusion.num_filtered_out += ended.num_filtered_out;
    }
    if !arguments.list {
        // Held against all that was done before, whichever scenarios that were.
        let all = conclusion.num_filtered_out == 0 && !conclusion.has_failed();
        let name = if all { "what_is_allowed_is_what_is_used" } else { "what_is_used_is_allowed" };
        let check =
            move |runtime: &Runtime, ground: &Ground| runtime.block_on(permissions::check(ground, all));
        let last = trial(format!("{PERMISSIONS}{name}"), Box::new(check));
        let unfiltered = Arguments { filter: None, skip: Vec::new(), ..arguments };
        conclusion.num_failed += libtest_mimic::run(&unfiltered, vec![last]).num_failed;
    }
    drop(ground);
    let failures = std::mem::take(&mut *failures.lock().expect("nobody panics with it"));
    let tries = failures.len() <= TRIED_AGAIN && std::env::var_os(ALONE).is_none();
    // Said when they happened already, which may be a thousand lines further up.
    for (name, said) in failures {
        // What the roles were used for is of the whole run.
        if tries && !name.starts_with(PERMISSIONS) && passes_alone(&name)? {
            println!("FLAKY {name}: passed alone, failed beside others: {said}");
            conclusion.num_failed -= 1;
        } else {
            println!("FAILED {name}: {said}");
        }
    }
    Ok(conclusion.exit_code())
}

/// Whether a scenario passes with the machine, and a proving ground, to itself.
fn passes_alone(name: &str) -> Result<bool> {
    let again = Command::new(std::env::current_exe()?).args([name, "--exact"]).env(ALONE, "1").status()?;
    Ok(again.success())
}

/// Runs a scenario of the library.
async fn file(ground: &Ground, app: &str, name: &str, scenario: &Scenario) -> Result<()> {
    let report = rehearse(ground, app, (name, scenario), &mut |_| {}, None).await?;
    ensure!(report.problems.is_empty(), "{}", report.problems.join("\n"));
    Ok(())
}

/// Nothing is dropped in a process that ends by a signal.
async fn stop_when_interrupted() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let code = tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    rehearsal::kill_all();
    std::process::exit(code)
}
