//! Plans and refusals, in both directions.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::weights::{gives, holds, with_weights};
use crate::model::{Gate, Progress};
use crate::plan::calendar::Permit;
use crate::run::progress;
use crate::run::roll_back;

mod carries;
mod refusals;
mod restores;
mod several;
mod thresholds;

use several::several;

const ONE: &str = "arn:one";
const TWO: &str = "arn:two";

fn fleet(name: &str, arn: &str) -> FoundFleet {
    FoundFleet {
        name: name.into(),
        target_group_arn: arn.into(),
        load_balancer_arns: vec!["arn:balancer".into()],
        health: Health { healthy: 2, registered: 2, unused: false },
        release: None,
        target_stickiness: false,
        foreign_protocol: None,
    }
}

fn route(label: &str, groups: &[(&str, u16)]) -> FoundRoute {
    FoundRoute {
        arn: format!("arn:{label}"),
        rule_arn: format!("arn:{label}"),
        default_of: None,
        label: label.into(),
        hosts: vec![format!("{label}.shop.example")],
        groups: groups.iter().map(|(arn, weight)| GroupWeight::new(*arn, *weight)).collect(),
        group_stickiness: false,
        revert_command: String::new(),
    }
}

fn app(name: &str, groups: [&str; 2], weights: [u16; 2]) -> FoundApp {
    let [one, two] = groups;
    let label = if name == "web" { "rule 1".to_owned() } else { format!("rule of {name}") };
    FoundApp {
        name: name.into(),
        lock: FoundLock::default(),
        fleets: [fleet("prod1", one), fleet("prod2", two)],
        past: [Past::default(), Past::default()],
        routes: vec![route(&label, &[(one, weights[0]), (two, weights[1])])],
        testers: Vec::new(),
    }
}

fn found(weights: [u16; 2]) -> Found {
    Found {
        apps: vec![app("web", [ONE, TWO], weights)],
        alarms: Vec::new(),
        propagation_seconds: 15,
        permit: Permit::default(),
        chain: Vec::new(),
    }
}

/// What is found with a test-traffic rule as well.
fn with_testers(weights: [u16; 2], groups: &[(&str, u16)], behind: Option<&str>) -> Found {
    let rule = FoundTesters {
        rule_arn: "arn:testers".into(),
        label: "rule 9 on port 443".into(),
        port: 443,
        groups: groups.iter().map(|(arn, weight)| GroupWeight::new(*arn, *weight)).collect(),
        behind: behind.map(Into::into),
    };
    let mut found = found(weights);
    found.apps[0].testers = vec![rule];
    found
}

fn execution() -> Execution {
    Execution { arn: "arn:execution".into(), started_at: "2026-11-22T10:00:00Z".parse().unwrap() }
}

fn make(input: serde_json::Value, found: &Found) -> Result<Plan, String> {
    let mut input = input;
    let names: Vec<&str> = found.apps.iter().map(|app| app.name.as_str()).collect();
    input["app"] = if let [name] = names[..] { json!(name) } else { json!(names) };
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
        assert_eq!((plan.live.as_str(), plan.standby.as_str()), (live, standby));
        assert_eq!(percents(&plan), [10, 25, 50, 75, 100]);
        assert!(plan.stages.iter().all(|s| s.bake_seconds == 300 && s.gate == Gate::HealthyStandby));
        assert_eq!(plan.apps[0].before[live], Percent::ALL);
    }
}

#[test]
fn a_rule_for_one_fleet_stays_where_it_is_excepted_by_name() {
    let mut found = found([100, 0]);
    found.apps[0].routes.push(route("one", &[(ONE, 100)]));
    found.apps[0].routes.push(route("two", &[(TWO, 100)]));
    let refused = make(json!({}), &found).unwrap_err();
    assert!(refused.contains("`except`"), "{refused}");
    for names in [["one.shop.example", "two.shop.example"], ["arn:one", "two"]] {
        let plan = make(json!({ "except": names }), &found).unwrap();
        let routes: Vec<&str> = plan.routes.iter().map(|route| route.arn.as_str()).collect();
        assert_eq!(routes, ["arn:rule 1"]);
        assert_eq!(plan.excepted, ["arn:one", "arn:two"]);
    }
    let unknown = make(json!({ "except": ["three.shop.example"] }), &found).unwrap_err();
    assert!(unknown.contains("three.shop.example") && unknown.contains("rule 1, one, two"), "{unknown}");
    // Users who come by a rule of both fleets must not be left behind.
    found.apps[0].routes[1] = route("one", &[(ONE, 60), (TWO, 40)]);
    let shared = make(json!({ "except": ["one", "two"] }), &found).unwrap_err();
    assert!(shared.contains("one does not send everything"), "{shared}");
}

#[test]
fn every_operation_has_its_stages() {
    let operation =
        |name: &str, weights| make(json!({ "operation": name }), &found(weights)).map(|p| percents(&p));
    assert_eq!(operation("drain", [60, 40]), Ok(vec![20, 0]));
    assert_eq!(operation("balance", [100, 0]), Ok(vec![10, 25, 50]));
    assert_eq!(operation("failback", [100, 0]), Ok(vec![100]));
    assert_eq!(
        make(json!({ "operation": "balance", "standby": "prod2" }), &found([50, 50])).map(|p| percents(&p)),
        Ok(vec![])
    );
    assert!(operation("balance", [50, 50]).unwrap_err().contains("standby"));
}

#[test]
fn a_drain_goes_down_in_few_and_short_stages_from_what_is_found() {
    let drain = |input: serde_json::Value, weights: [u16; 2]| {
        let mut input = input;
        (input["operation"], input["standby"]) = ("drain".into(), "prod2".into());
        make(input, &found(weights))
    };
    for (standby, stages) in
        [(0, vec![0]), (10, vec![0]), (25, vec![0]), (30, vec![15, 0]), (50, vec![25, 0])]
    {
        let plan = drain(json!({}), [100 - standby, standby]).unwrap();
        assert_eq!(percents(&plan), stages, "from {standby}");
        let (last, on_the_way) = plan.stages.split_last().unwrap();
        assert_eq!((last.bake_seconds, last.gate), (300, Gate::Drained));
        assert!(on_the_way.iter().all(|s| s.bake_seconds == 150 && s.gate == Gate::HealthyLive));
        assert!(plan.may_write.iter().all(|percent| percent.get() < 50), "no recheck");
    }
    // Half of a bake is a period at least.
    let short = drain(json!({ "bake": "60s" }), [50, 50]).unwrap();
    assert_eq!(short.stages[0].bake_seconds, 60);
    // Others as wished, but never up.
    assert_eq!(drain(json!({ "stages": [40, 20, 0] }), [70, 30]).map(|p| percents(&p)), Ok(vec![20, 0]));
    assert_eq!(drain(json!({ "stages": [0] }), [50, 50]).map(|p| percents(&p)), Ok(vec![0]));
    for stages in [json!([]), json!([50]), json!([0, 25]), json!([25, 25, 0])] {
        assert!(
            drain(json!({ "stages": stages }), [50, 50]).unwrap_err().contains("fall strictly and end at 0")
        );
    }
    // No app's standby is given more than it has.
    let apart = several(&[("web", [50, 50]), ("portal", [70, 30])]);
    let plan = make(json!({ "operation": "drain", "standby": "prod2" }), &apart).unwrap();
    assert_eq!(percents(&plan), [15, 0]);
}

#[test]
fn a_drain_leaves_an_unhealthy_standby_at_once() {
    let drain = |change: &dyn Fn(&mut Found)| {
        let mut found = found([50, 50]);
        let counts = |failures| Counts { requests: 1000, failures, ..Counts::default() };
        for past in &mut found.apps[0].past {
            past.counts = vec![counts(1); 60];
        }
        change(&mut found);
        let plan = make(json!({ "operation": "drain", "standby": "prod2" }), &found).unwrap();
        let said = plan.checks.iter().any(|check| check.ends_with("takes its traffic away at once"));
        assert_eq!(said, plan.standby_unhealthy.is_some(), "{:?}", plan.checks);
        (percents(&plan), plan.standby_unhealthy.unwrap_or_default())
    };
    let sicken = |fleet: usize| {
        move |found: &mut Found| {
            found.apps[0].past[fleet].counts[57..].fill(Counts {
                requests: 1000,
                failures: 300,
                ..Counts::default()
            });
        }
    };
    assert_eq!(drain(&|_| ()), (vec![25, 0], String::new()));
    let (stages, why) = drain(&|found| found.apps[0].fleets[1].health.healthy = 0);
    assert_eq!((stages, why.as_str()), (vec![0], "prod2 has 0 of 2 targets healthy"));
    let (stages, why) = drain(&sicken(1));
    assert_eq!(stages, [0]);
    assert!(
        why.starts_with("prod2 is degraded: failures 30 % (900 of 3,000) against 0.1 % on prod1"),
        "{why}"
    );
    // What both suffer from, and the live fleet's own illness, is no reason to hurry.
    assert_eq!(drain(&|found| (0..2).for_each(|fleet| sicken(fleet)(found))).0, [25, 0]);
    assert_eq!(drain(&sicken(0)).0, [25, 0]);
}

/// It may be what the drain is for.
#[test]
fn an_alarm_that_rings_already_does_not_keep_a_drain_from_its_start() {
    let mut found = found([50, 50]);
    found.alarms = vec!["checkout".into()];
    let input = |operation: &str| json!({ "operation": operation, "standby": "prod2", "criteria": { "alarms": ["checkout", "cart"] } });
    let plan = make(input("drain"), &found).unwrap();
    assert_eq!(plan.criteria.alarms, ["cart"]);
    assert!(plan.checks.iter().any(|check| check == "not in ALARM: cart"), "{:?}", plan.checks);
    assert!(plan.checks.iter().any(|check| check.starts_with("checkout is in ALARM already")));
    assert!(make(input("shift"), &found).unwrap_err().contains("checkout is in ALARM"));
}

#[test]
fn an_interrupted_shift_is_taken_up_where_its_least_advanced_route_stands() {
    let mut found = found([70, 30]);
    found.apps[0].routes.push(route("rule 2", &[(ONE, 50), (TWO, 50)]));
    found.apps[0].lock.live_tag = Some("prod1".into());
    assert_eq!(percents(&make(json!({}), &found).unwrap()), [50, 75, 100]);
    assert_eq!(percents(&make(json!({ "stages": [30, 100] }), &found).unwrap()), [30, 100]);
}

#[test]
fn a_fixed_forward_is_converted_before_traffic_moves() {
    let mut found = found([100, 0]);
    found.apps[0].routes[0].groups.truncate(1);
    found.apps[0].fleets[1].load_balancer_arns.clear();
    found.apps[0].fleets[1].health = Health { healthy: 0, registered: 2, unused: true };
    let plan = make(json!({ "stages": [100] }), &found).unwrap();
    assert_eq!(percents(&plan), [0, 100]);
    assert_eq!(plan.stages[0].gate, Gate::TargetsHealthy);
    // What it found is kept as it was, so that the weights can be put back.
    assert_eq!(plan.before_groups(&plan.routes[0]), [GroupWeight::new(ONE, 100), GroupWeight::new(TWO, 0)]);
}

#[test]
fn a_poll_that_comes_after_a_bake_is_refused() {
    let refused = |input: serde_json::Value| make(input, &found([100, 0])).unwrap_err();
    let long = refused(json!({ "bake": "10m", "poll": "11m" }));
    assert!(long.contains("`poll`: a poll every 11m comes after a bake of 10m is over"), "{long}");
    // The shortest bake counts.
    let one = refused(json!({ "poll": "3m", "stages": [{ "weight": 10, "bake": "2m" }, 100] }));
    assert!(one.contains("a poll every 3m comes after a bake of 2m is over"), "{one}");
    make(json!({ "bake": "10m", "poll": "10m" }), &found([100, 0])).unwrap();
    // No emergency waits for a better number.
    make(json!({ "operation": "failback", "bake": "1m", "poll": "2m" }), &found([100, 0])).unwrap();
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
fn a_balance_of_different_releases_must_be_forced() {
    let balance = |live: Option<&str>, standby: Option<&str>, more: serde_json::Value| {
        let mut found = found([100, 0]);
        for (fleet, release) in found.apps[0].fleets.iter_mut().zip([live, standby]) {
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
    let unproven = balance(Some("v2"), Some("unproven:v3"), json!({})).unwrap_err();
    assert!(unproven.contains("prod2 may run v3"), "{unproven}");
}

#[test]
fn a_scheduled_balance_goes_on_only_where_both_fleets_are_proven_to_run_the_same() {
    let balance = |live: Option<&str>, standby: Option<&str>, more: serde_json::Value| {
        let mut found = found([100, 0]);
        for (fleet, release) in found.apps[0].fleets.iter_mut().zip([live, standby]) {
            fleet.release = release.map(Into::into);
        }
        let mut input = json!({ "operation": "balance", "skipIfBlocked": true });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        make(input, &found)
    };
    assert!(balance(Some("v2"), Some("v2"), json!({})).is_ok());
    // Told by the input, and equal to what live is proven to run.
    assert!(balance(Some("v2"), Some("unproven"), json!({ "release": "v2" })).is_ok());
    for (live, standby, release, command) in [
        (Some("v2"), Some("unproven:v2"), None, Some("arn:two --tags Key=failover:release,Value=v2")),
        (Some("v2"), Some("unproven"), None, Some("arn:two --tags Key=failover:release,Value=v2")),
        (Some("v2"), None, None, Some("arn:two --tags Key=failover:release,Value=v2")),
        (None, None, None, Some("arn:one --tags Key=failover:release")),
        (Some("unproven:v2"), Some("v2"), None, Some("arn:one --tags Key=failover:release,Value=v2")),
        (Some("unproven:v2"), Some("unproven:v2"), None, Some("arn:one --tags")),
        (Some("unproven:v2"), None, Some("v2"), Some("arn:one --tags Key=failover:release,Value=v2")),
        (Some("v2"), Some("unproven:v3"), None, None),
        (Some("v2"), Some("v3"), None, None),
        (Some("v2"), Some("v2"), Some("v3"), None),
    ] {
        let more = release.map_or_else(|| json!({}), |release| json!({ "release": release }));
        let refused = balance(live, standby, more).unwrap_err();
        if let Some(command) = command {
            assert!(refused.contains(command), "{live:?} {standby:?}: {refused}");
        }
    }
}

#[test]
fn testers_who_are_not_led_to_the_standby_hold_up_a_shift_and_nothing_else() {
    for (weights, live, standby) in [([100, 0], ONE, TWO), ([0, 100], TWO, ONE)] {
        for groups in [&[(standby, 100)][..], &[(live, 0), (standby, 1)]] {
            let plan = make(json!({}), &with_testers(weights, groups, None)).unwrap();
            assert_eq!((plan.routes.len(), &plan.testers_astray(&plan.apps[0])), (1, &None));
            assert!(
                plan.checks.contains(&format!("rule 9 on port 443 leads test traffic to {}", plan.standby))
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
                refused.contains("rule 9 on port 443, for test traffic, ") && refused.contains(says),
                "{refused}"
            );
            for operation in ["drain", "balance", "failback"] {
                let plan = make(json!({ "operation": operation }), &found).unwrap();
                assert!(plan.checks.iter().any(|check| check.contains(says)), "{:?}", plan.checks);
                assert!(plan.testers_astray(&plan.apps[0]).is_some_and(|astray| astray.contains(says)));
            }
        }
    }
}
