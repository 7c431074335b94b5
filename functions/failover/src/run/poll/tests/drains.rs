//! Whole drains from an even split, second by second in a made-up world.

use super::rechecks::{CLOCKS, Ended, World, simulated};
use super::*;

const WELL: f64 = 0.1;

/// The live fleet carries two thirds of the traffic.
fn overload(_: i64, standby: f64) -> [f64; 2] {
    let live = 1.0 - standby;
    [if live > 0.667 { 100.0 * (live - 0.667) / live } else { WELL }, WELL]
}

/// It carries three quarters.
fn overload_at_the_end(_: i64, standby: f64) -> [f64; 2] {
    [if standby < 0.2 { 25.0 } else { WELL }, WELL]
}

fn well(_: i64, _: f64) -> [f64; 2] {
    [WELL; 2]
}

/// Something that both need fails for five periods, soon after the first stage.
fn common_outage(second: i64, _: f64) -> [f64; 2] {
    if (60..360).contains(&second) { [40.0; 2] } else { [WELL; 2] }
}

/// The live fleet has always been worse than the other one.
fn worse_as_ever(_: i64, _: f64) -> [f64; 2] {
    [2.0, WELL]
}

fn drain(world: World, (poll, period): (u32, u32), live: &str) -> Ended {
    let mut plan = plan(&[(25, Gate::HealthyLive), (0, Gate::Drained)]);
    if live == "prod2" {
        std::mem::swap(&mut plan.live, &mut plan.standby);
    }
    (plan.poll_seconds, plan.period_seconds) = (poll, period);
    (plan.stages[0].bake_seconds, plan.stages[1].bake_seconds) = (5 * period / 2, 5 * period);
    plan.apps[0].before = plan.weights(Percent::HALF);
    plan.criteria.max_rechecks = 0;
    simulated(&plan, world)
}

#[test]
fn a_live_fleet_that_does_not_carry_the_load_gets_back_what_it_had() {
    for (clock, live) in CLOCKS.into_iter().flat_map(|clock| ["prod1", "prod2"].map(|live| (clock, live))) {
        for (world, ill_at, set) in
            [(overload as World, "75 %", &[25][..]), (overload_at_the_end, "100 %", &[25, 0])]
        {
            let ended = drain(world, clock, live);
            let what = format!("{clock:?}, {live}: {}", ended.last.reason);
            assert_eq!(ended.last.verdict, Verdict::RollBack, "{what}");
            assert_eq!(ended.set, set, "{what}");
            let load = format!(
                "; {live} does not carry the load: degraded at {ill_at}, healthy with less before the run"
            );
            assert!(ended.last.reason.ends_with(&load), "{what}");
        }
    }
}

#[test]
fn a_drain_of_fleets_that_are_well_goes_down() {
    for clock in CLOCKS {
        for (name, world) in
            [("well", well as World), ("common outage", common_outage), ("worse as ever", worse_as_ever)]
        {
            let ended = drain(world, clock, "prod1");
            let what = format!("{name}, {clock:?}: {}", ended.last.reason);
            assert_eq!(ended.last.verdict, Verdict::Advance, "{what}");
            assert_eq!(ended.set, [25, 0], "{what}");
            assert!(ended.last.reason.starts_with("prod2 is drained: 0 requests"), "{what}");
        }
    }
}

#[test]
fn a_standby_that_dies_on_the_way_down_is_left_at_once() {
    let mut plan = plan(&[(25, Gate::HealthyLive), (0, Gate::Drained)]);
    plan.apps[0].before = plan.weights(Percent::HALF);
    let mut samples = run(1, 25, [2, 0]);
    samples.standby.health.healthy = 0;
    let decision = poll(&plan, &samples);
    assert_eq!(decision.verdict, Verdict::Advance, "{}", decision.reason);
    assert!(
        decision.reason.contains("prod2 has 0 of 2 targets healthy, so its traffic"),
        "{}",
        decision.reason
    );
    samples.live.health.healthy = 0;
    assert_eq!(poll(&plan, &samples).verdict, Verdict::Wait, "there is nowhere to go");
    // Other apps would have to be waited for: each goes where it is well.
    let mut two = testing::lockstep(&["web", "portal"], json!({}));
    (two.stages, two.live, two.standby) = (plan.stages.clone(), plan.live.clone(), plan.standby.clone());
    samples.live.health.healthy = 2;
    let progress = set(&two, 0);
    assert_eq!(decide(&two, &two.apps[0], &progress, &samples).verdict, Verdict::RollBack);
}

/// Going back to a fleet that was not well would help nobody.
#[test]
fn a_drain_away_from_an_unhealthy_standby_is_watched_and_told_and_never_goes_back() {
    let mut plan = plan(&[(0, Gate::Drained)]);
    plan.criteria.max_rechecks = 0;
    plan.apps[0].before = plan.weights(Percent::HALF);
    let mut ill = run(6, 0, [600, 0]);
    ill.standby.samples.clear();
    let judged = poll(&plan, &ill);
    assert_eq!(judged.verdict, Verdict::RollBack, "{}", judged.reason);
    plan.standby_unhealthy = Some("prod2 has 0 of 2 targets healthy".into());
    let told = poll(&plan, &ill);
    assert_eq!(told.verdict, Verdict::Advance, "{}", told.reason);
    assert!(told.reason.contains("does not carry the load"), "{}", told.reason);
    assert!(told.reason.ends_with("not put back, since prod2 has 0 of 2 targets healthy"), "{}", told.reason);
    ill.live.health.healthy = 0;
    (ill.standby.health.healthy, ill.now) = (2, at(6 * PERIOD));
    assert_eq!(poll(&plan, &ill).verdict, Verdict::RollBack, "unless the live fleet is dead");
}

/// Numbers that look random, the same in every run.
struct Chance(u64);

impl Chance {
    /// How many of so many requests an event of this probability meets.
    fn meets(&mut self, requests: u64, probability: f64) -> u64 {
        let mut met = 0;
        for _ in 0..requests {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            met += u64::from(((self.0 >> 11) as f64) < probability * (1_u64 << 53) as f64);
        }
        met
    }
}

/// A drain from an even split whose fleets fail and are slow by chance alone, with this many requests a
/// period and this probability to fail.
fn by_chance(chance: &mut Chance, requests: u64, failing: f64) -> AppDecision {
    let mut plan = plan(&[(25, Gate::HealthyLive), (0, Gate::Drained)]);
    plan.stages[0].bake_seconds = 150;
    plan.apps[0].before = plan.weights(Percent::HALF);
    plan.criteria.max_rechecks = 0;
    let mut samples = run(0, 50, [0, 0]);
    samples.live.samples.clear();
    let mut progress = Progress::default();
    let mut due = 0;
    for period in -60..60 {
        let share = if period < 0 { 50 } else { progress::standby_percent(&plan, &progress).unwrap().get() };
        let standby = requests * u64::from(share) / 100;
        for (fleet, requests) in [(&mut samples.live, requests - standby), (&mut samples.standby, standby)] {
            let at = BEGAN + period * PERIOD;
            let (target_5xx, slow) = (chance.meets(requests, failing), chance.meets(requests, 0.05));
            fleet.samples.push(Sample { at, requests, target_5xx, slow, ..Sample::default() });
        }
        if period < 0 || due > period {
            continue;
        }
        if progress.timeline.last().is_none_or(|record| record.ended_at.is_some()) {
            progress = progress::set(&plan, &progress, at(period * PERIOD)).unwrap();
            due = period + 1;
            continue;
        }
        let now = at((period + 1) * PERIOD);
        samples.now = now;
        let mut known = samples.clone();
        known.standby.samples.retain(|sample| sample.requests > 0);
        let last = decide(&plan, &plan.apps[0], &progress, &known);
        let check = progress::polled(&plan, &progress, answer(&plan, last.clone()), now).unwrap();
        if check.fully_shifted || last.verdict == Verdict::RollBack {
            return last;
        }
        progress = check.progress;
    }
    panic!("a drain of an hour");
}

/// Where everything is on the fleet that is judged only the past is left to compare it with.
#[test]
fn drains_of_fleets_that_differ_by_chance_alone_go_down() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for (requests, failing) in [(200, 0.01), (2000, 0.001), (2000, 0.01)] {
        let ended: Vec<AppDecision> = (0..50).map(|_| by_chance(&mut chance, requests, failing)).collect();
        let back: Vec<&str> =
            ended.iter().filter(|d| d.verdict == Verdict::RollBack).map(|d| d.reason.as_str()).collect();
        assert!(back.len() <= 1, "{} of 50 at {requests}, {failing}: {back:?}", back.len());
    }
}
