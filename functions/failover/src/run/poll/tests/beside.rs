//! Fleets that have always differed.

use super::*;

/// Two hours before the run and half an hour of it, with an even split: 7 % slow on the standby, 5 % on live.
/// Nothing is known of every third period of live before the run.
fn slower(side_by_side: bool) -> Samples {
    let fleet = |percent: u64, from: i64| {
        let mut samples = fleet(from, 30 - from / PERIOD, 1500, 2);
        samples.samples.iter_mut().for_each(|sample| sample.slow = sample.requests * percent / 100);
        samples
    };
    let mut live = fleet(5, -7200);
    live.samples.retain(|sample| sample.at >= BEGAN || sample.at / PERIOD % 3 != 0);
    let standby = if side_by_side { fleet(7, -7200) } else { fleet(7, 0) };
    Samples { now: at(30 * PERIOD), live, standby, balancer_errors: Vec::new(), alarms: Vec::new() }
}

#[test]
fn a_fleet_that_has_always_been_slower_is_not_blamed_for_it() {
    let plan = plan(&[(50, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let verdict = |side_by_side| decide(&plan, &plan.apps[0], &set(&plan, 0), &slower(side_by_side)).verdict;
    assert_eq!(verdict(false), Verdict::RollBack);
    assert_eq!(verdict(true), Verdict::Advance);
}
