//! Whole failbacks, second by second in a made-up world.

use super::rechecks::{CLOCKS, World, simulated};
use super::*;
use crate::model::Operation;

const WELL: f64 = 0.1;

/// Ten periods before the run, by the sixtieth part of a period.
const ILL_SINCE: i64 = -600;

fn ill_since(second: i64, percent: f64) -> f64 {
    if second >= ILL_SINCE { percent } else { WELL }
}

/// The live fleet is ill, which is what a failback is for.
fn the_cure(second: i64, _: f64) -> [f64; 2] {
    [ill_since(second, 30.0), WELL]
}

/// Both are, the live fleet more.
fn the_lesser_evil(second: i64, _: f64) -> [f64; 2] {
    [ill_since(second, 30.0), 20.0]
}

/// Both are, the other one more.
fn the_greater_evil(second: i64, standby: f64) -> [f64; 2] {
    [ill_since(second, 20.0), if standby > 0.5 { 40.0 } else { WELL }]
}

/// The live fleet is well, as far as this can be seen, and the other one does not carry the load.
fn too_much(_: i64, standby: f64) -> [f64; 2] {
    [WELL, if standby > 0.5 { 40.0 } else { WELL }]
}

/// It has always failed as much.
fn as_ever(_: i64, _: f64) -> [f64; 2] {
    [4.0; 2]
}

#[test]
fn a_failback_ends_on_the_split_that_harms_least() {
    use Verdict::{Advance, Halt, RollBack};
    for (poll, period) in CLOCKS {
        for (name, world, verdict, says) in [
            ("the cure", the_cure as World, Advance, "no difference found"),
            ("as ever", as_ever, Advance, "prod2"),
            ("the lesser evil", the_lesser_evil, Halt, "of what was seen this harms least"),
            ("the greater evil", the_greater_evil, RollBack, "what was found harms less"),
            (
                "too much",
                too_much,
                RollBack,
                "40 % as it is, 0.1 % as it was found: what was found harms less",
            ),
        ] {
            let mut plan = plan(&[(100, Gate::HealthyStandby)]);
            plan.operation = Operation::Failback;
            plan.criteria.max_rechecks = 0;
            (plan.poll_seconds, plan.period_seconds) = (poll, period);
            plan.stages[0].bake_seconds = 5 * period;
            let ended = simulated(&plan, world);
            let what = format!("{name}, poll {poll} s, period {period} s: {}", ended.last.reason);
            assert_eq!(ended.last.verdict, verdict, "{what}");
            assert!(ended.last.reason.contains(says), "{what}");
            assert_eq!(ended.set, [100], "{what}");
        }
    }
}
