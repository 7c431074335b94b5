//! Whole balances, second by second in a made-up world.

use super::rechecks::{CLOCKS, World, simulated};
use super::*;
use crate::model::Operation;

const WELL: f64 = 0.1;

/// The live fleet, from the beginning on.
fn live_falls_ill(second: i64, _: f64) -> [f64; 2] {
    [if second >= 0 { 40.0 } else { WELL }, WELL]
}

/// The live fleet, ten periods before.
fn live_is_ill(second: i64, _: f64) -> [f64; 2] {
    [if second >= -600 { 40.0 } else { WELL }, WELL]
}

/// It has always failed as much.
fn as_ever(_: i64, _: f64) -> [f64; 2] {
    [12.0, 12.0]
}

fn well(_: i64, _: f64) -> [f64; 2] {
    [WELL; 2]
}

#[test]
fn a_balance_that_leaves_traffic_on_an_ill_fleet_is_left_to_a_person() {
    use Verdict::{Advance, Halt};
    let says = "prod1 keeps 50 % of the traffic and fails 40 % of its requests";
    for (poll, period) in CLOCKS {
        for (name, world, verdict, says) in [
            ("well", well as World, Advance, ""),
            ("as ever", as_ever, Advance, ""),
            ("live falls ill", live_falls_ill, Halt, says),
            ("live is ill", live_is_ill, Halt, says),
        ] {
            let mut plan = plan(&[(50, Gate::HealthyStandby)]);
            plan.operation = Operation::Balance;
            (plan.poll_seconds, plan.period_seconds) = (poll, period);
            plan.stages[0].bake_seconds = 5 * period;
            let ended = simulated(&plan, world);
            let what = format!("{name}, poll {poll} s, period {period} s: {}", ended.last.reason);
            assert_eq!(ended.last.verdict, verdict, "{what}");
            assert!(ended.last.reason.contains(says), "{what}");
            assert_eq!(ended.set, [50], "{what}");
        }
    }
}
