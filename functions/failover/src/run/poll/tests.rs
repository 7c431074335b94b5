//! What polls conclude, on counts made up by hand.

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::model::Progress;
use crate::model::samples::{FleetSamples, Health, Sample};
use crate::model::weights::Percent;
use crate::run::request::PollAnswer;
use crate::run::{lockstep, progress};
use crate::testing;

mod balances;
mod beside;
mod drains;
mod failbacks;
mod rechecks;

const PERIOD: i64 = 60;
const BEGAN: i64 = 1_800_000_000 / PERIOD * PERIOD;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGAN + seconds).unwrap()
}

fn plan(stages: &[(u8, Gate)]) -> Plan {
    let stage = |(percent, gate): &(u8, Gate)| Stage {
        standby_percent: Percent::new(*percent).unwrap(),
        bake_seconds: 300,
        gate: *gate,
    };
    let mut plan = testing::plan(json!({}));
    plan.execution.started_at = at(0);
    plan.stages = stages.iter().map(stage).collect();
    plan.may_write = stages.iter().filter_map(|(percent, _)| Percent::new(*percent)).collect();
    plan
}

/// A decision with which no request interferes.
fn answer(plan: &Plan, decision: AppDecision) -> PollAnswer {
    PollAnswer { decision: lockstep::together(&plan.apps, vec![decision]), waits_since: None, held: false }
}

/// Requests and failures of one fleet, period by period from `from` on.
fn fleet(from: i64, periods: i64, requests: u64, failures: u64) -> FleetSamples {
    let sample =
        |i| Sample { at: BEGAN + from + i * PERIOD, requests, target_5xx: failures, ..Sample::default() };
    FleetSamples {
        samples: (0..periods).map(sample).collect(),
        health: Health { healthy: 2, registered: 2, unused: false },
    }
}

/// An hour of history, then a run of `periods` with the standby at `percent` of 2,000 requests.
fn run(periods: i64, percent: u64, failures: [u64; 2]) -> Samples {
    let mut live = fleet(-3600, 60, 2000, 2);
    live.samples.extend(fleet(0, periods, 20 * (100 - percent), failures[0]).samples);
    live.samples.retain(|s| s.requests > 0);
    let standby = fleet(0, periods, 20 * percent, failures[1]);
    Samples { now: at(periods * PERIOD), live, standby, balancer_errors: Vec::new(), alarms: Vec::new() }
}

/// The timeline of a run whose first stage was set `late` seconds after the run began.
fn set(plan: &Plan, late: i64) -> Progress {
    progress::set(plan, &Progress::default(), at(late)).unwrap()
}

fn poll(plan: &Plan, samples: &Samples) -> AppDecision {
    decide(plan, &plan.apps[0], &set(plan, 0), samples)
}

#[test]
fn a_good_release_bakes_and_then_advances() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    assert_eq!(poll(&plan, &run(3, 10, [2, 0])).verdict, Verdict::Wait);
    let decision = poll(&plan, &run(6, 10, [2, 0]));
    assert_eq!(decision.verdict, Verdict::Advance, "{}", decision.reason);
    assert_eq!(decision.figures.standby.requests, 5 * 200, "the first, mixed period is left out");
    assert!(decision.figures.odds.is_some());
}

#[test]
fn a_bad_release_is_rolled_back_at_once() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let decision = poll(&plan, &run(2, 10, [2, 100]));
    assert_eq!(decision.verdict, Verdict::RollBack, "{}", decision.reason);
    assert!(decision.reason.contains("prod2 50 % (100 of 200)"), "{}", decision.reason);
}

#[test]
fn a_release_that_fails_from_its_first_request_goes_with_the_period_of_the_change() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let run_began = set(&plan, 20);
    let mut samples = run(1, 10, [2, 60]);
    samples.now = at(PERIOD - 1);
    let before = decide(&plan, &plan.apps[0], &run_began, &samples);
    assert_eq!(before.verdict, Verdict::Wait, "the period is not over: {}", before.reason);
    samples.now = at(PERIOD);
    let decision = decide(&plan, &plan.apps[0], &run_began, &samples);
    assert_eq!(decision.verdict, Verdict::RollBack, "{}", decision.reason);
    assert!(decision.reason.contains("the weights changed: prod2 30 % (60 of 200)"), "{}", decision.reason);

    // Where the standby had as much before, that period is one of before, too.
    let mut plan = plan;
    plan.apps[0].before = plan.weights(plan.stages[0].standby_percent);
    assert_eq!(decide(&plan, &plan.apps[0], &run_began, &samples).verdict, Verdict::Wait);
}

#[test]
fn both_fleets_alike_wait_and_end_as_the_operator_chose() {
    for (choice, end) in [("rollBack", Verdict::RollBack), ("halt", Verdict::Halt)] {
        let mut plan = plan(&[(50, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
        plan.criteria =
            serde_json::from_value(json!({ "onBothUnhealthy": choice, "bothUnhealthyFor": "10m" })).unwrap();
        let decision = poll(&plan, &run(6, 50, [500, 500]));
        assert_eq!(decision.verdict, Verdict::Wait, "{}", decision.reason);
        assert!(decision.reason.contains("both fleets"), "{}", decision.reason);
        assert_eq!(poll(&plan, &run(20, 50, [500, 500])).verdict, end);
    }
}

#[test]
fn no_data_waits_and_is_never_a_pass() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let mut nothing = run(0, 10, [0, 0]);
    nothing.live.samples.clear();
    for minutes in [1, 5, 10, 30] {
        nothing.now = at(minutes * 60);
        assert_eq!(poll(&plan, &nothing).verdict, Verdict::Wait, "after {minutes} minutes");
    }
    nothing.now = at(3600);
    assert_eq!(poll(&plan, &nothing).verdict, Verdict::RollBack);
}

#[test]
fn late_metrics_are_waited_for() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    // The last two minutes are not there yet: five periods are over, three are known.
    let mut late = run(4, 10, [2, 0]);
    late.now = at(6 * PERIOD);
    let decision = poll(&plan, &late);
    assert_eq!(decision.verdict, Verdict::Wait, "{}", decision.reason);
    assert!(decision.reason.starts_with("3 of 5 periods"), "{}", decision.reason);
}

#[test]
fn a_dead_standby_needs_no_metrics() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let mut dead = run(0, 10, [0, 0]);
    dead.standby.health.healthy = 0;
    let decision = poll(&plan, &dead);
    assert_eq!(decision.verdict, Verdict::RollBack);
    assert_eq!(decision.reason, "prod2 has 0 of 2 targets healthy");
    dead.live.health.healthy = 0;
    let decision = poll(&plan, &dead);
    assert_eq!(decision.verdict, Verdict::Wait);
    assert!(decision.reason.starts_with("neither fleet has healthy targets"), "{}", decision.reason);
}

/// However long the stage has been watched before, say while it waited for an approval.
#[test]
fn patience_with_two_dead_fleets_counts_from_when_they_died() {
    let mut plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    plan.criteria.on_both_unhealthy = verdict::OnBothUnhealthy::Halt;
    let mut progress = set(&plan, 0);
    let mut polled = |now: i64, healthy: u32| {
        let mut samples = run(3, 10, [2, 0]);
        samples.now = at(now);
        (samples.live.health.healthy, samples.standby.health.healthy) = (healthy, healthy);
        let decision = decide(&plan, &plan.apps[0], &progress, &samples);
        let verdict = decision.verdict;
        progress = progress::polled(&plan, &progress, answer(&plan, decision), at(now)).unwrap().progress;
        (verdict, progress.both_dead_since)
    };
    let died = 7200;
    assert_eq!(polled(died, 0), (Verdict::Wait, Some(at(died))));
    assert_eq!(polled(died + 29 * PERIOD, 0), (Verdict::Wait, Some(at(died))));
    // Well for a moment, and it counts anew.
    assert_eq!(polled(died + 30 * PERIOD, 2).1, None);
    let again = died + 31 * PERIOD;
    assert_eq!(polled(again, 0), (Verdict::Wait, Some(at(again))));
    assert_eq!(polled(again + 30 * PERIOD - 1, 0).0, Verdict::Wait);
    assert_eq!(polled(again + 30 * PERIOD, 0).0, Verdict::Halt);
}

#[test]
fn patience_with_weights_that_leave_the_traffic_counts_from_when_they_did() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let apart = |periods: i64| {
        let mut samples = run(120, 10, [2, 0]);
        samples.live.samples.extend(fleet(120 * PERIOD, periods, 1200, 2).samples);
        samples.standby.samples.extend(fleet(120 * PERIOD, periods, 800, 0).samples);
        samples.now = at((120 + periods) * PERIOD);
        poll(&plan, &samples)
    };
    assert_eq!(apart(1).verdict, Verdict::Wait, "{}", apart(1).reason);
    assert!(apart(1).reason.contains("not reached the traffic"), "{}", apart(1).reason);
    assert_eq!(apart(34).verdict, Verdict::Wait);
    assert_eq!(apart(35).verdict, Verdict::RollBack);
}

#[test]
fn an_alarm_rolls_back() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let samples = Samples { alarms: vec!["checkout".into()], ..run(3, 10, [2, 0]) };
    let decision = poll(&plan, &samples);
    assert_eq!(decision.verdict, Verdict::RollBack);
    assert!(decision.reason.contains("checkout"), "{}", decision.reason);
}

#[test]
fn a_drain_waits_for_silence_among_requests() {
    let plan = plan(&[(0, Gate::Drained)]);
    let decide = |samples: &Samples| poll(&plan, samples);
    let silent = |periods| {
        let mut samples = run(periods, 0, [2, 0]);
        samples.standby.samples.clear();
        samples
    };
    assert_eq!(decide(&silent(2)).verdict, Verdict::Wait, "one whole period is not two");
    assert_eq!(decide(&silent(4)).verdict, Verdict::Wait, "the bake goes on");
    let done = decide(&silent(5));
    assert_eq!(done.verdict, Verdict::Advance);
    assert_eq!(done.reason, "prod2 is drained: 0 requests in 120 s, 4000 on prod1");

    let loud = Samples { standby: fleet(4 * PERIOD, 1, 3, 0), ..silent(5) };
    assert!(
        decide(&loud).reason.ends_with("still had 3 requests in the last 120 s"),
        "{}",
        decide(&loud).reason
    );
    let rule = json!({ "ruleArn": "arn:testers", "label": "rule 1 on port 443", "port": 443 });
    let with_testers = Plan { testers: vec![serde_json::from_value(rule).unwrap()], ..plan.clone() };
    let reason = poll(&with_testers, &loud).reason;
    assert!(reason.ends_with("; test traffic counts as well, so it has to pause"), "{reason}");
    let mut nobody = silent(5);
    nobody.live.samples.clear();
    nobody.now = at(10 * PERIOD);
    assert!(decide(&nobody).reason.contains("silence proves nothing"), "{}", decide(&nobody).reason);
    // Held there for hours while it was silent: patience begins when it is not.
    nobody.now = at(24 * 3600);
    assert_eq!(decide(&nobody).verdict, Verdict::Wait);
    let missing = |since: i64| {
        let progress = Progress { unmet_since: Some(at(since)), ..set(&plan, 0) };
        super::decide(&plan, &plan.apps[0], &progress, &nobody)
    };
    assert_eq!(missing(23 * 3600 + 1801).verdict, Verdict::Wait);
    assert_eq!(missing(23 * 3600 + 1800).verdict, Verdict::RollBack);
    assert!(missing(0).reason.ends_with("waited 23h 55m for it beyond the bake"), "{}", missing(0).reason);
    let mut dead = silent(3);
    dead.live.health.healthy = 0;
    assert_eq!(decide(&dead).verdict, Verdict::RollBack, "not onto a dead fleet");
    dead.standby.health.healthy = 0;
    assert_eq!(decide(&dead).verdict, Verdict::Wait);
}

#[test]
fn a_standby_is_ready_when_a_target_is_healthy() {
    let plan = plan(&[(0, Gate::TargetsHealthy), (100, Gate::HealthyStandby)]);
    let mut samples = run(0, 0, [0, 0]);
    assert_eq!(poll(&plan, &samples).verdict, Verdict::Advance);
    samples.standby.health.healthy = 0;
    let waits = poll(&plan, &samples);
    assert_eq!(waits.verdict, Verdict::Wait);
    let check = progress::polled(&plan, &set(&plan, 0), answer(&plan, waits), at(0)).unwrap();
    assert_eq!(check.progress.unmet_since, Some(at(0)));
    // Thirty periods beyond its bake.
    for (now, verdict) in [(2099, Verdict::Wait), (2100, Verdict::RollBack)] {
        samples.now = at(now);
        assert_eq!(decide(&plan, &plan.apps[0], &check.progress, &samples).verdict, verdict, "after {now} s");
    }
}

/// At 100 % the past alone never convicts: the standby is set back, compared, and either cleared or
/// rolled back. The recheck is a stage like any other.
#[test]
fn a_probe_interrupts_the_last_stage_and_decides() {
    let plan = plan(&[(100, Gate::HealthyStandby)]);
    let whole = set(&plan, 0);
    let sick = run(4, 100, [0, 60]);
    let recheck = decide(&plan, &plan.apps[0], &whole, &sick);
    assert_eq!(recheck.verdict, Verdict::Recheck, "{}", recheck.reason);
    let check = progress::polled(&plan, &whole, answer(&plan, recheck), at(240)).unwrap();
    assert!(check.progress.recheck && !check.fully_shifted);
    assert_eq!(progress::standby_percent(&plan, &check.progress).unwrap().get(), 10);
    let probing = progress::set(&plan, &check.progress, at(241)).unwrap();

    let outcome = |live: u64, standby: u64| {
        let mut samples = sick.clone();
        let during = |requests, failures| fleet(300, 5, requests, failures).samples;
        samples.live.samples.extend(during(1800, live));
        samples.standby.samples.extend(during(200, standby));
        samples.now = at(600);
        decide(&plan, &plan.apps[0], &probing, &samples)
    };
    let guilty = outcome(2, 6);
    assert_eq!(guilty.verdict, Verdict::RollBack, "{}", guilty.reason);
    let both = outcome(54, 6);
    assert!(both.verdict == Verdict::Wait && both.reason.contains("both fleets"), "{}", both.reason);
    let cleared = outcome(2, 0);
    assert_eq!(cleared.verdict, Verdict::Advance, "{}", cleared.reason);
    let check = progress::polled(&plan, &probing, answer(&plan, cleared), at(600)).unwrap();
    assert!(!check.progress.recheck && !check.fully_shifted, "back to the stage that was interrupted");
    assert_eq!(progress::standby_percent(&plan, &check.progress).unwrap(), Percent::ALL);
}

/// The rule says 10 %, the traffic still 40 %: the bake begins when they agree.
#[test]
fn a_bake_counts_from_when_the_weights_are_seen_in_the_traffic() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let spread_after = |late: i64, periods: i64| {
        let mut samples = run(late, 40, [2, 0]);
        let rest = periods - late;
        samples.live.samples.extend(fleet(late * PERIOD, rest, 1800, 2).samples);
        samples.standby.samples.extend(fleet(late * PERIOD, rest, 200, 0).samples);
        samples.now = at(periods * PERIOD);
        poll(&plan, &samples)
    };
    // The first period is mixed, two more do not agree: five that do end with the eighth.
    assert_eq!(spread_after(3, 7).verdict, Verdict::Wait);
    assert_eq!(spread_after(3, 8).verdict, Verdict::Advance, "{}", spread_after(3, 8).reason);

    let never = spread_after(10, 10);
    assert_eq!(never.verdict, Verdict::Wait);
    assert!(never.reason.contains("desired prod2 10 %, current 40.0 % of 2000"), "{}", never.reason);
    let given_up = spread_after(60, 60);
    assert_eq!(given_up.verdict, Verdict::RollBack);
    assert!(given_up.reason.contains("not reached the traffic"), "{}", given_up.reason);
}

#[test]
fn a_repeated_poll_gives_the_same_answer() {
    let plan = plan(&[(10, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let samples = run(4, 10, [3, 5]);
    assert_eq!(poll(&plan, &samples), poll(&plan, &samples));
}

#[test]
fn no_weights_are_set_for_a_dead_fleet() {
    let plan = plan(&[(25, Gate::HealthyStandby)]);
    let health = |healthy| Health { healthy, registered: 2, unused: false };
    for (percent, live, standby, refused) in [
        (25, 2, 2, None),
        (25, 2, 0, Some("prod2")),
        (25, 0, 2, Some("prod1")),
        (25, 0, 0, Some("prod1")),
        (0, 2, 0, None),
        (0, 0, 2, Some("prod1")),
        (100, 0, 1, None),
    ] {
        let percent = Percent::new(percent).unwrap();
        let checked = progress::check_health(&plan, percent, &[[health(live), health(standby)]]);
        assert_eq!(checked.is_err(), refused.is_some(), "{percent} {live} {standby}");
        if let (Err(error), Some(fleet)) = (checked, refused) {
            assert_eq!(error.kind.name(), "Unhealthy");
            assert!(error.message.starts_with(fleet), "{}", error.message);
        }
    }
}

/// Whoever dies, the poll says so at once, and where the traffic goes is for the rollback to decide.
#[test]
fn a_dead_live_fleet_is_rolled_back_while_it_has_traffic() {
    let plan = plan(&[(25, Gate::HealthyStandby), (100, Gate::HealthyStandby)]);
    let mut samples = run(1, 25, [0, 0]);
    samples.live.health.healthy = 0;
    let mut progress = set(&plan, 0);
    let decision = decide(&plan, &plan.apps[0], &progress, &samples);
    assert_eq!(decision.verdict, Verdict::RollBack);
    assert!(decision.reason.starts_with("prod1 has 0 of 2"), "{}", decision.reason);
    // With everything on the standby it has none.
    progress.stage = 1;
    let progress = progress::set(&plan, &progress, at(30)).unwrap();
    assert_ne!(decide(&plan, &plan.apps[0], &progress, &samples).verdict, Verdict::RollBack);
}
