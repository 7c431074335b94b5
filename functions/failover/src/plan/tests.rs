//! Plans and refusals, in both directions.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::calendar::Permit;
use crate::contract::{MustShow, Progress};
use crate::progress;
use crate::roll_back;
use crate::weights::{gives, holds, with_weights};

const ONE: &str = "arn:one";
const TWO: &str = "arn:two";

fn fleet(name: &str, arn: &str) -> FoundFleet {
    FoundFleet {
        name: name.into(),
        target_group_arn: arn.into(),
        load_balancer_arns: vec!["arn:balancer".into()],
        health: Health { healthy: 2, registered: 2, unused: false },
        release: None,
    }
}

fn route(label: &str, groups: &[(&str, u16)]) -> FoundRoute {
    FoundRoute {
        arn: format!("arn:{label}"),
        rule_arn: format!("arn:{label}"),
        default_of: None,
        label: label.into(),
        groups: groups.iter().map(|(arn, weight)| GroupWeight::new(*arn, *weight)).collect(),
        group_stickiness: false,
        live_tag: None,
        claim: Claim::Free,
        record: None,
        put_back: String::new(),
    }
}

fn found(weights: [u16; 2]) -> Found {
    Found {
        fleets: [fleet("prod1", ONE), fleet("prod2", TWO)],
        past: [Past::default(), Past::default()],
        routes: vec![route("rule 1", &[(ONE, weights[0]), (TWO, weights[1])])],
        testers: Vec::new(),
        alarms: Vec::new(),
        settle_seconds: 15,
        permit: Permit::default(),
        chain: Vec::new(),
    }
}

/// What is found with a rule for testers as well.
fn with_testers(weights: [u16; 2], groups: &[(&str, u16)], behind: Option<&str>) -> Found {
    let rule = FoundTesters {
        rule_arn: "arn:testers".into(),
        label: "rule 9 on port 443".into(),
        port: 443,
        groups: groups.iter().map(|(arn, weight)| GroupWeight::new(*arn, *weight)).collect(),
        behind: behind.map(Into::into),
    };
    Found { testers: vec![rule], ..found(weights) }
}

fn execution() -> Execution {
    Execution { arn: "arn:execution".into(), started_at: "2026-11-22T10:00:00Z".parse().unwrap() }
}

fn make(input: serde_json::Value, found: &Found) -> Result<Plan, String> {
    let mut input = input;
    input["app"] = "web".into();
    let input = Input::parse(&input).map_err(|e| e.message)?;
    plan(&input, &execution(), found).map_err(|e| {
        assert_eq!(e.kind.name(), "PlanRejected");
        assert!(e.message.contains("othing was touched"), "{}", e.message);
        e.message
    })
}

fn percents(plan: &Plan) -> Vec<u8> {
    plan.stages.iter().map(|s| s.standby_percent.get()).collect()
}

#[test]
fn a_shift_goes_through_its_stages_in_both_directions() {
    for (weights, live, standby) in [([100, 0], "prod1", "prod2"), ([0, 100], "prod2", "prod1")] {
        let plan = make(json!({}), &found(weights)).unwrap();
        assert_eq!((plan.live.name.as_str(), plan.standby.name.as_str()), (live, standby));
        assert_eq!(percents(&plan), [10, 25, 50, 75, 100]);
        assert!(plan.stages.iter().all(|s| s.bake_seconds == 300 && s.must_show == MustShow::HealthyStandby));
        assert_eq!(plan.before[live], Percent::ALL);
    }
}

#[test]
fn every_operation_has_its_stages() {
    let operation =
        |name: &str, weights| make(json!({ "operation": name }), &found(weights)).map(|p| percents(&p));
    assert_eq!(operation("drain", [60, 40]), Ok(vec![0]));
    assert_eq!(operation("balance", [100, 0]), Ok(vec![10, 25, 50]));
    assert_eq!(operation("failback", [100, 0]), Ok(vec![100]));
    assert_eq!(
        make(json!({ "operation": "balance", "standby": "prod2" }), &found([50, 50])).map(|p| percents(&p)),
        Ok(vec![])
    );
    assert!(operation("balance", [50, 50]).unwrap_err().contains("standby"));
}

#[test]
fn an_interrupted_shift_is_taken_up_where_its_least_advanced_route_stands() {
    let mut found = found([70, 30]);
    found.routes.push(route("rule 2", &[(ONE, 50), (TWO, 50)]));
    found.routes[1].live_tag = Some("prod1".into());
    assert_eq!(percents(&make(json!({}), &found).unwrap()), [50, 75, 100]);
    assert_eq!(percents(&make(json!({ "stages": [30, 100] }), &found).unwrap()), [30, 100]);
}

#[test]
fn a_fixed_forward_is_converted_before_traffic_moves() {
    let mut found = found([100, 0]);
    found.routes[0].groups.truncate(1);
    found.fleets[1].load_balancer_arns.clear();
    found.fleets[1].health = Health { healthy: 0, registered: 2, unused: true };
    let plan = make(json!({ "stages": [100] }), &found).unwrap();
    assert_eq!(percents(&plan), [0, 100]);
    assert_eq!(plan.stages[0].must_show, MustShow::ReadyStandby);
    // What it found is kept as it was, so that the weights can be put back.
    assert_eq!(plan.before_groups(&plan.routes[0]), [GroupWeight::new(ONE, 100), GroupWeight::new(TWO, 0)]);
}

#[test]
fn a_long_run_is_polled_as_wanted_as_long_as_its_history_holds() {
    let pace = |bake: &str, poll: &str| {
        let plan =
            make(json!({ "bake": bake, "poll": poll, "stages": [50, 100] }), &found([100, 0])).unwrap();
        (plan.poll_seconds, plan.polls_per_check)
    };
    assert_eq!(pace("5m", "30s"), (30, 1));
    assert_eq!(pace("7h", "30s"), (30, 1));
    // A day: two polls for each invocation, of which the history would not hold 2,880.
    assert_eq!(pace("12h", "30s"), (30, 2));
    assert_eq!(pace("1h", "1s"), (1, 4));
    // Two days, of which nobody waits longer than a minute within an invocation.
    assert_eq!(pace("24h", "30s"), (47, 2));
    assert_eq!(pace("72h", "30s").1, 1);
}

#[test]
fn what_cannot_be_done_safely_is_refused() {
    let refused = |change: &dyn Fn(&mut Found), operation: &str, names: &str| {
        let mut found = found([100, 0]);
        change(&mut found);
        let message = make(json!({ "operation": operation }), &found).expect_err(names);
        assert!(message.contains(names), "{message}");
    };
    let dead = Health { healthy: 0, registered: 2, unused: false };
    refused(&|f| f.routes.clear(), "shift", "no listener rule");
    refused(&|f| f.fleets[1].load_balancer_arns = vec!["arn:other".into()], "shift", "different balancers");
    refused(&|f| f.routes[0].group_stickiness = true, "shift", "stickiness");
    refused(&|f| f.routes[0].groups.push(GroupWeight::new("arn:third", 1)), "shift", "arn:third");
    refused(&|f| f.fleets[1].health = dead, "shift", "prod2 has 0 of 2");
    refused(&|f| f.fleets[1].health = Health::default(), "shift", "no registered targets");
    refused(&|f| f.fleets[0].health = dead, "shift", "prod1 has 0 of 2");
    refused(&|f| f.fleets[0].health = dead, "drain", "prod1 has 0 of 2");
    refused(&|f| f.fleets[0].health = dead, "balance", "prod1 has 0 of 2");
    refused(&|f| f.fleets[1].health = dead, "failback", "prod2 has 0 of 2");
    refused(&|f| f.routes.push(route("rule 2", &[(TWO, 100)])), "shift", "disagree");
}

#[test]
fn what_is_safe_is_not_refused() {
    let accepted = |change: &dyn Fn(&mut Found), operation: &str| {
        let mut found = found([100, 0]);
        change(&mut found);
        make(json!({ "operation": operation }), &found).unwrap()
    };
    let dead = Health { healthy: 0, registered: 2, unused: false };
    // A deployment to the dead standby comes next; a dead live fleet is what a failback leaves.
    accepted(&|f| f.fleets[1].health = dead, "drain");
    accepted(&|f| f.fleets[0].health = dead, "failback");
    // A third group without weight is left untouched.
    let plan = accepted(&|f| f.routes[0].groups.push(GroupWeight::new("arn:third", 0)), "shift");
    assert_eq!(plan.routes[0].before, [("prod1".into(), 100), ("prod2".into(), 0)].into());
}

#[test]
fn a_balance_of_different_releases_must_be_forced() {
    let balance = |live: Option<&str>, standby: Option<&str>, more: serde_json::Value| {
        let mut found = found([100, 0]);
        for (fleet, release) in found.fleets.iter_mut().zip([live, standby]) {
            fleet.release = release.map(Into::into);
        }
        let mut input = json!({ "operation": "balance" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        make(input, &found)
    };
    let refused = balance(Some("v2"), Some("v1"), json!({})).unwrap_err();
    for part in ["prod1 runs v2", "prod2 runs v1", "\"release\": \"v2\"", "\"force\": true"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(balance(Some("v2"), Some("v1"), json!({ "force": true })).is_ok());
    // The operator knows better what was deployed since.
    assert!(balance(Some("v2"), Some("v1"), json!({ "release": "v2" })).is_ok());
    assert!(balance(Some("v2"), Some("v2"), json!({ "release": "v3" })).is_err());
    assert!(balance(Some("v2"), None, json!({})).is_ok());
    assert!(balance(None, Some("v1"), json!({})).is_ok());
}

#[test]
fn testers_who_are_not_led_to_the_standby_hold_up_a_shift_and_nothing_else() {
    for (weights, live, standby) in [([100, 0], ONE, TWO), ([0, 100], TWO, ONE)] {
        for groups in [&[(standby, 100)][..], &[(live, 0), (standby, 1)]] {
            let plan = make(json!({}), &with_testers(weights, groups, None)).unwrap();
            assert_eq!((plan.routes.len(), &plan.testers_astray()), (1, &None));
            assert!(
                plan.checks.contains(&format!("rule 9 on port 443 leads testers to {}", plan.standby.name))
            );
        }
        for (groups, behind, says) in [
            (&[(live, 100)][..], None, "a `drain` puts it in step"),
            (&[(live, 1), (standby, 99)], None, "leads them to prod"),
            (&[(standby, 1), ("arn:third", 1)], None, "and arn:third"),
            (&[(standby, 0)], None, "leads them to no fleet"),
            (&[(standby, 1)], Some("rule 3 on port 443"), "comes after rule 3 on port 443"),
        ] {
            let found = with_testers(weights, groups, behind);
            let refused = make(json!({}), &found).unwrap_err();
            assert!(
                refused.contains("rule 9 on port 443, for testers, ") && refused.contains(says),
                "{refused}"
            );
            for operation in ["drain", "balance", "failback"] {
                let plan = make(json!({ "operation": operation }), &found).unwrap();
                assert!(plan.checks.iter().any(|check| check.contains(says)), "{:?}", plan.checks);
                assert!(plan.testers_astray().is_some_and(|astray| astray.contains(says)));
            }
        }
    }
}

fn interrupted(settled: bool) -> Claim {
    Claim::Interrupted { execution: "arn:other".into(), settled }
}

fn record() -> Record {
    let before = [("prod1".to_owned(), 100), ("prod2".to_owned(), 0)].into();
    let may_write = [10, 50, 100].into_iter().filter_map(Percent::new).collect();
    Record { before, live: "prod1".into(), done: false, may_write }
}

#[test]
fn a_route_that_another_run_holds_refuses_every_operation() {
    for operation in ["drain", "shift", "balance", "failback"] {
        let plan = |claim: Claim, record: Option<Record>, weights| {
            let mut found = found(weights);
            (found.routes[0].claim, found.routes[0].record) = (claim, record);
            make(json!({ "operation": operation, "standby": "prod2" }), &found)
        };
        let running = plan(Claim::Running("arn:other".into()), None, [100, 0]).unwrap_err();
        assert!(running.contains("rule 1") && running.contains("arn:other"), "{running}");
        assert!(plan(Claim::Own, None, [100, 0]).is_ok());
        assert!(plan(Claim::Ended("arn:other".into()), None, [100, 0]).is_ok());
        // What an interrupted run left is put back first, unless there is nothing to put back.
        let left = plan(interrupted(true), Some(record()), [90, 10]).unwrap_err();
        assert!(left.contains("restore"), "{left}");
        assert!(plan(interrupted(false), Some(record()), [100, 0]).is_err());
        assert!(plan(interrupted(true), Some(record()), [100, 0]).is_ok());
    }
}

#[test]
fn a_restore_takes_up_what_an_interrupted_run_left() {
    let restore = |claim: Claim, record: Option<Record>, execution: Option<&str>| {
        let mut found = found([50, 50]);
        // A second route, which the run did not get to claim.
        found.routes.push(route("rule 2", &[(ONE, 100), (TWO, 0)]));
        (found.routes[0].claim, found.routes[0].record) = (claim, record);
        // A restore goes on whatever the fleets' health is: the rollback looks at it.
        found.fleets[0].health.healthy = 0;
        let mut input = json!({ "operation": "restore" });
        if let Some(execution) = execution {
            input["execution"] = execution.into();
        }
        make(input, &found)
    };
    let plan = restore(interrupted(false), Some(record()), Some("arn:other")).unwrap();
    assert_eq!((plan.live.name.as_str(), plan.routes.len()), ("prod1", 1));
    assert_eq!(plan.routes[0].before, record().before);
    assert_eq!(plan.routes[0].found, [("prod1".into(), 50), ("prod2".into(), 50)].into());
    assert_eq!(plan.before["prod1"], Percent::ALL);
    assert_eq!(plan.may_write, record().may_write);

    let nothing = |plan: Result<Plan, String>| plan.unwrap().routes.is_empty();
    assert!(nothing(restore(Claim::Free, None, None)));
    assert!(nothing(restore(Claim::Running("arn:other".into()), Some(record()), None)));
    // What a run has left for a person is for a person to restore.
    assert!(nothing(restore(Claim::Free, Some(record()), Some("arn:other"))));
    assert!(!nothing(restore(Claim::Free, Some(record()), None)));

    assert!(restore(interrupted(false), None, None).unwrap_err().contains("failover:before"));
    let other = Record { before: [("blue".into(), 1), ("green".into(), 0)].into(), ..record() };
    assert!(restore(interrupted(false), Some(other), None).unwrap_err().contains("failover:before"));
}

prop_compose! {
    fn any_found()(
        weights in proptest::collection::vec([0u16..=999, 0u16..=999], 1..4),
        tags in proptest::collection::vec(proptest::option::of(prop_oneof![Just("prod1"), Just("prod2"), Just("x")]), 4),
        attached in proptest::collection::vec(0u8..4, 4),
        healthy in [0u32..3, 0u32..3],
        even in any::<bool>(),
    ) -> Found {
        let mut made = found([1, 1]);
        for (fleet, healthy) in made.fleets.iter_mut().zip(healthy) {
            fleet.health.healthy = healthy;
        }
        made.routes = weights.iter().enumerate().map(|(i, [one, two])| {
            let groups: Vec<(&str, u16)> = match attached[i] {
                0 => vec![(ONE, *one)],
                1 => vec![(TWO, *two)],
                _ if even => vec![(ONE, *one), (TWO, *one)],
                _ => vec![(ONE, *one), (TWO, *two)],
            };
            let tag = tags[i].map(str::to_owned);
            FoundRoute { live_tag: tag, ..route(&format!("rule {i}"), &groups) }
        }).collect();
        made
    }
}

proptest! {
    /// Whatever is found: a refusal, or a plan whose stages rise, add up and end where asked.
    #[test]
    fn a_plan_is_sound_or_refused(
        found in any_found(),
        operation in prop_oneof![Just("drain"), Just("shift"), Just("balance"), Just("failback")],
        standby in proptest::option::of(prop_oneof![Just("prod1"), Just("prod2")]),
    ) {
        let mut input = json!({ "operation": operation });
        if let Some(standby) = standby {
            input["standby"] = standby.into();
        }
        let Ok(plan) = make(input, &found) else { return Ok(()) };
        prop_assert_ne!(&plan.live.name, &plan.standby.name);
        if let Some(standby) = standby {
            prop_assert_eq!(&plan.standby.name, standby);
        }
        let percents = percents(&plan);
        prop_assert!(percents.is_sorted_by(|a, b| a < b), "{:?}", percents);
        let end = match operation { "drain" => 0, "balance" => 50, _ => 100 };
        prop_assert!(percents.last().is_none_or(|last| *last == end), "{:?}", percents);
        for stage in &plan.stages {
            let weights: u32 = plan.weights(stage.standby_percent).values().map(|p| u32::from(p.get())).sum();
            prop_assert_eq!(weights, 100);
        }
    }

    /// A run that follows its plan is never taken for a foreign writer, wherever it stands, and a
    /// rollback from anywhere gives every route what it had.
    #[test]
    fn a_run_recognises_its_own_weights(found in any_found(), written in any::<u8>()) {
        let Ok(plan) = make(json!({}), &found) else { return Ok(()) };
        let now = execution().started_at;
        let mut progress = Progress::default();
        let mut held: Vec<Vec<GroupWeight>> = found.routes.iter().map(|r| r.groups.clone()).collect();
        for (index, stage) in plan.stages.iter().enumerate() {
            progress.stage = index;
            let desired = plan.stage_groups(stage.standby_percent);
            // Some routes were written by an attempt that failed half-way.
            for (i, (route, groups)) in plan.routes.iter().zip(&mut held).enumerate() {
                if written >> i & 1 == 1 {
                    *groups = with_weights(groups, &desired);
                }
                let allowed = progress::may_hold_before_set(&plan, &progress, route);
                prop_assert!(allowed.iter().any(|a| gives(groups, a)));
                let allowed = roll_back::may_hold(&plan, route);
                prop_assert!(allowed.iter().any(|a| gives(groups, a)));
                *groups = with_weights(groups, &desired);
                prop_assert!(holds(groups, &desired));
                let back = with_weights(groups, &plan.before_groups(route));
                prop_assert!(gives(&back, &plan.before_groups(route)));
            }
            progress = progress::set(&plan, &progress, now).unwrap();
        }
    }
}
