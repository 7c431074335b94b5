//! With all fences up every property holds in every state that can be reached.

mod common;

use std::time::Instant;

use common::{alone, quiet};
use model::protocol::Protocol;
use model::story;
use model::world::Weights;
use stateright::{Checker, Model};

fn check(name: &str, protocol: Protocol) {
    let began = Instant::now();
    let told = protocol.clone();
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states, {depth} deep, {:.1} s", began.elapsed().as_secs_f64());
    let mut found = checker.discoveries().into_iter();
    let harm = found.find(|(name, _)| told.property(name).expectation.discovery_is_failure());
    if let Some((name, path)) = harm {
        panic!("not so: {name}\n{}", story::tell(&told, path));
    }
    checker.assert_properties();
}

#[test]
fn two_shifts_and_a_foreign_writer() {
    check("a foreign writer", Protocol { foreigner: true, ..quiet() });
}

#[test]
fn a_crash_and_a_rollback_that_is_refused() {
    check(
        "a crash, a foreign writer, refusals",
        Protocol { crashes: 1, foreigner: true, refusals: true, ..quiet() },
    );
}

#[test]
fn a_stop_and_a_foreign_writer() {
    check("a stop, a foreign writer", Protocol { stops: 1, foreigner: true, ..quiet() });
}

#[test]
fn a_stop_and_a_crash() {
    let wants = vec![vec![Weights(100)], vec![Weights(100)]];
    check("a stop, a crash, refusals", Protocol { wants, stops: 1, crashes: 1, refusals: true, ..quiet() });
}

#[test]
fn a_stop_with_two_routes() {
    check("a stop, two routes", Protocol { routes: 2, stops: 1, ..quiet() });
}

#[test]
fn a_stop_with_two_apps() {
    check("a stop, two apps", Protocol { routes: 2, apps: 2, stops: 1, ..quiet() });
}

#[test]
fn tags_that_are_removed() {
    check("removed tags, two routes", Protocol { routes: 2, stops: 2, strips: true, ..alone() });
}

#[test]
fn tags_that_are_removed_of_one_of_two_apps() {
    check("removed tags, two apps", Protocol { routes: 2, apps: 2, stops: 1, strips: true, ..alone() });
}

#[test]
fn a_restore_that_is_stopped_too() {
    let wants = vec![vec![Weights(100)], vec![Weights(50)]];
    check("two stops", Protocol { wants, stops: 2, ..quiet() });
}

#[test]
fn a_restore_that_is_stopped_too_with_two_routes() {
    check("two routes, two stops, one shift", Protocol { routes: 2, stops: 2, ..alone() });
}

#[test]
fn a_restore_that_is_stopped_too_with_two_apps() {
    check("two apps, two stops, one shift", Protocol { routes: 2, apps: 2, stops: 2, ..alone() });
}

#[test]
fn a_shift_and_another_with_other_stages() {
    let wants = vec![vec![Weights(10), Weights(100)], vec![Weights(50)]];
    check("other stages, a stop, a crash", Protocol { wants, stops: 1, crashes: 1, ..quiet() });
}

#[test]
fn rechecks() {
    let rechecks = vec![Weights(10), Weights(10)];
    let wants = vec![vec![Weights(50), Weights(100)], vec![Weights(100)]];
    check("rechecks, a stop, a crash", Protocol { wants, rechecks, stops: 1, crashes: 1, ..quiet() });
}

#[test]
fn a_fleet_that_dies() {
    let elsewhere = vec![Weights(0), Weights(100)];
    check("a fleet that dies, a stop", Protocol { elsewhere, halts: true, stops: 1, ..quiet() });
}
