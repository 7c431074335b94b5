//! Whole runs at 100 %, second by second in a made-up world, with the rechecks that they need.

use super::*;

/// Requests a second.
const RATE: f64 = 40.0;

/// What both fleets fail of their requests, in percent: live first. By the sixtieth part of a
/// period since the run began and the standby's share of the requests, between 0 and 1.
pub(super) type World = fn(i64, f64) -> [f64; 2];

const WELL: f64 = 0.1;

/// Both fleets fail for a while, from soon after the standby has everything.
fn common_outage(second: i64, _: f64) -> [f64; 2] {
    if (120..420).contains(&second) { [60.0; 2] } else { [WELL; 2] }
}

/// The same, over before anybody could look at both.
fn short_outage(second: i64, _: f64) -> [f64; 2] {
    if (60..300).contains(&second) { [20.0; 2] } else { [WELL; 2] }
}

/// The standby carries a part of the traffic and no more.
fn overload(_: i64, share: f64) -> [f64; 2] {
    [WELL, if share > 0.8 { 50.0 } else { WELL }]
}

/// Something that both fleets need is a little worse from the shift on, and stays so.
fn worse_from_now_on(second: i64, _: f64) -> [f64; 2] {
    [if second > 0 { 1.0 } else { WELL }; 2]
}

pub(super) struct Ended {
    pub last: AppDecision,
    pub rechecks: usize,
    pub polls: usize,
    /// What the standby was given, in turn.
    pub set: Vec<u8>,
}

/// A run with one stage of 100 % and the default criteria, until it ends or for three hours.
fn run_in(world: World, poll: u32, period: u32) -> Ended {
    let mut plan = plan(&[(100, Gate::HealthyStandby)]);
    (plan.poll_seconds, plan.period_seconds) = (poll, period);
    plan.stages[0].bake_seconds = 5 * period;
    simulated(&plan, world)
}

/// A run of one app from what it was found with, until it ends or for three hours.
pub(super) fn simulated(plan: &Plan, world: World) -> Ended {
    let length = i64::from(plan.period_seconds);
    let mut samples = run(0, 100, [0, 0]);
    (samples.live.samples, samples.standby.samples) = (Vec::new(), Vec::new());
    let mut progress = Progress::default();
    // Requests and failures of both fleets that are not yet whole ones.
    let mut rest = [[0.0; 2]; 2];
    let found = f64::from(plan.standby_share(&plan.apps[0].before).get()) / 100.0;
    let (mut second, mut due, mut share) = (-60 * length, 0, found);
    let mut set = Vec::new();
    let (mut rechecks, mut polls) = (0, 0);
    loop {
        let failing = world(second * 60 / length, share);
        let begins = BEGAN + second.div_euclid(length) * length;
        for (i, fleet) in [&mut samples.live, &mut samples.standby].into_iter().enumerate() {
            rest[i][0] += RATE * if i == 0 { 1.0 - share } else { share };
            let [requests, failures] = &mut rest[i];
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
            let whole = requests.floor() as u64;
            *requests -= whole as f64;
            *failures += whole as f64 * failing[i] / 100.0;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
            let failed = failures.floor() as u64;
            *failures -= failed as f64;
            if whole == 0 {
                continue;
            }
            if fleet.samples.last().is_none_or(|sample| sample.at != begins) {
                fleet.samples.push(Sample { at: begins, ..Sample::default() });
            }
            let sample = fleet.samples.last_mut().unwrap();
            sample.requests += whole;
            sample.target_5xx += failed;
        }
        second += 1;
        if second < due {
            continue;
        }
        if progress.timeline.last().is_none_or(|record| record.ended_at.is_some()) {
            progress = progress::set(plan, &progress, at(second)).unwrap();
            set.push(progress::standby_percent(plan, &progress).unwrap().get());
            share = f64::from(*set.last().unwrap()) / 100.0;
        } else {
            // Periods that are over are known at once.
            let mut known = samples.clone();
            known.now = at(second);
            for fleet in [&mut known.live, &mut known.standby] {
                fleet.samples.retain(|sample| sample.at + length <= BEGAN + second);
            }
            let last = decide(plan, &plan.apps[0], &progress, &known);
            let check = progress::polled(plan, &progress, answer(plan, last.clone()), at(second)).unwrap();
            polls += 1;
            rechecks += usize::from(last.verdict == Verdict::Recheck);
            let ended = check.fully_shifted || matches!(last.verdict, Verdict::RollBack | Verdict::Halt);
            if ended || second > 10_800 {
                return Ended { last, rechecks, polls, set };
            }
            progress = check.progress;
            if last.verdict != Verdict::Wait {
                due = second + 1;
                continue;
            }
        }
        due = second + i64::from(progress.wait_seconds);
    }
}

/// Polls and periods as they ship, others, and those of rehearsals.
pub(super) const CLOCKS: [(u32, u32); 6] = [(2, 60), (30, 60), (60, 60), (90, 60), (120, 60), (2, 5)];

#[test]
fn a_run_goes_on_once_what_both_fleets_suffered_from_is_over() {
    for (poll, period) in CLOCKS {
        for (name, world) in [("long", common_outage as World), ("short", short_outage)] {
            let ended = run_in(world, poll, period);
            let what = format!("{name}, poll {poll} s, period {period} s: {}", ended.last.reason);
            assert_eq!(ended.last.verdict, Verdict::Advance, "{what}");
            assert!((1..=2).contains(&ended.rechecks), "{} rechecks: {what}", ended.rechecks);
            assert!(ended.polls > 5, "{what}");
        }
    }
}

#[test]
fn a_standby_that_fails_under_all_the_traffic_alone_goes_back() {
    for (poll, period) in CLOCKS {
        let ended = run_in(overload, poll, period);
        let what = format!("poll {poll} s, period {period} s: {}", ended.last.reason);
        assert_eq!(ended.last.verdict, Verdict::RollBack, "{what}");
        assert_eq!(ended.rechecks, 2, "{what}");
        assert!(
            ended.last.reason.contains("does not carry the load: degraded at 100 %, healthy at 10 %"),
            "{what}"
        );
    }
}

#[test]
fn what_is_worse_for_both_fleets_from_now_on_is_no_fault_of_the_standby() {
    for (poll, period) in CLOCKS {
        let ended = run_in(worse_from_now_on, poll, period);
        let what = format!("poll {poll} s, period {period} s: {}", ended.last.reason);
        assert_eq!(ended.last.verdict, Verdict::Advance, "{what}");
        assert!(ended.rechecks <= 2, "{} rechecks: {what}", ended.rechecks);
    }
}

#[test]
fn rechecks_that_no_whole_period_shows_count_as_well() {
    let plan = plan(&[(100, Gate::HealthyStandby)]);
    let mut samples = run(4, 100, [0, 60]);
    samples.now = at(330);
    let mut progress = set(&plan, 0);
    for rechecks in 0..2 {
        let decision = decide(&plan, &plan.apps[0], &progress, &samples);
        assert_eq!(decision.verdict, Verdict::Recheck, "{rechecks}: {}", decision.reason);
        progress = progress::polled(&plan, &progress, answer(&plan, decision), at(240)).unwrap().progress;
        progress = progress::set(&plan, &progress, at(250 + 40 * rechecks)).unwrap();
        // Another app of the run has had enough of it.
        progress.recheck = false;
        progress = progress::set(&plan, &progress, at(270 + 40 * rechecks)).unwrap();
    }
    let decision = decide(&plan, &plan.apps[0], &progress, &samples);
    assert_eq!(decision.verdict, Verdict::RollBack, "{}", decision.reason);
}
