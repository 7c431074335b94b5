//! What is said of every ending is what the balancer holds: from every start, in every operation.
#![cfg(feature = "virtual")]

use std::collections::BTreeSet;

use scenario::Scenario;
use simulation::batch;
use simulation::play::{self, variants};

/// Weights, or a fixed forward that nobody has converted yet, and the standby.
const STARTS: [(&str, &str); 5] = [
    ("weights: { prod1: 100, prod2: 0 }", "prod2"),
    ("weights: { prod1: 50, prod2: 50 }", "prod2"),
    ("weights: { prod1: 70, prod2: 30 }", "prod2"),
    ("weights: { prod1: 0, prod2: 100 }", "prod1"),
    ("fixedOn: prod1", "prod2"),
];

const OPERATIONS: [&str; 4] = ["drain", "shift", "balance", "failback"];

/// What happens in the first stage.
const TROUBLES: [&str; 6] = [
    "wait: { seconds: 1 }",
    "fleet: { name: prod1, behaves: { errors: { percent: 40 } } }",
    "fleet: { name: prod2, behaves: { errors: { percent: 40 } } }",
    "fleet: { name: prod1, behaves: dead }",
    "fleet: { name: prod2, behaves: dead }",
    "stop",
];

/// Ways to end that must be among them, or the table shows too little.
const ENDINGS: [&str; 9] = [
    "shifted",
    "drained",
    "balanced",
    "failedBack",
    "restored",
    "unchanged",
    "RolledBack",
    "FailedOver",
    "Halted",
];

fn scenario((start, standby): (&str, &str), operation: &str, trouble: &str) -> Scenario {
    let force = if operation == "balance" { ", force: true" } else { "" };
    let text = format!(
        "description: From a start, something happens.\n\
         app: {{ routes: [host, path], {start} }}\n\
         users: {{ rate: 120, historySeconds: 60 }}\n\
         input: {{ standby: {standby}{force} }}\n\
         runs:\n\
         - operation: {operation}\n\
         \x20 meanwhile: [{{ stage: 1, do: [{trouble}] }}]\n\
         \x20 ends: shifted\n\
         \x20 weights: {{ prod1: 0, prod2: 100 }}\n"
    );
    Scenario::parse(&text).unwrap()
}

/// A drain that moves nobody succeeds whatever becomes of the live fleet, and says how many fail there: the next release may
/// be the cure.
const DRAINED: (&str, &str) = ("drained", "no success on a fleet that is plainly ill");

/// The checks of every run compare; here is what they are to be shown.
#[test]
fn every_ending_from_every_start_is_said_as_it_is() {
    let of = |operation| {
        STARTS.into_iter().flat_map(move |start| TROUBLES.map(|trouble| (start, operation, trouble)))
    };
    let all: Vec<_> = OPERATIONS.into_iter().flat_map(of).collect();
    let played = batch::alone(|stage| {
        let mut played = Vec::new();
        for (start, operation, trouble) in all {
            let plot = play::plot(&scenario(start, operation, trouble));
            for (apps, plot) in [("one app", plot.clone()), ("two apps", variants::in_lockstep(plot))] {
                let what = format!("{operation} of {apps}, {}, {trouble}", start.0);
                played.push((what, stage.run(plot)));
            }
        }
        played
    });
    let played = played.unwrap();
    let wrong = played.iter().flat_map(|(what, report)| {
        let ending = report.runs[0].ending.as_str();
        let broken = report.broken.iter().filter(move |broken| (ending, broken.check) != DRAINED);
        broken
            .map(move |broken| format!("{what}: {}: {}: {}", broken.check, broken.found, report.runs[0].said))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let endings: BTreeSet<&str> = played.iter().map(|(_, report)| report.runs[0].ending.as_str()).collect();
    let missing: Vec<_> = ENDINGS.into_iter().filter(|ending| !endings.contains(ending)).collect();
    assert!(missing.is_empty(), "nothing ended in {missing:?}, only in {endings:?}");
}
