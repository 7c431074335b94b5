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
mod thresholds;

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
fn what_cannot_be_done_safely_is_refused() {
    let refused = |change: &dyn Fn(&mut Found), operation: &str, names: &str| {
        let mut found = found([100, 0]);
        change(&mut found);
        let message = make(json!({ "operation": operation }), &found).expect_err(names);
        assert!(message.contains(names), "{message}");
    };
    let dead = Health { healthy: 0, registered: 2, unused: false };
    refused(&|f| f.apps[0].routes.clear(), "shift", "no listener rule");
    refused(
        &|f| f.apps[0].fleets[1].load_balancer_arns = vec!["arn:other".into()],
        "shift",
        "different balancers",
    );
    refused(&|f| f.apps[0].routes[0].group_stickiness = true, "shift", "stickiness");
    refused(&|f| f.apps[0].routes[0].groups.push(GroupWeight::new("arn:third", 1)), "shift", "arn:third");
    refused(&|f| f.apps[0].fleets[1].health = dead, "shift", "prod2 has 0 of 2");
    refused(&|f| f.apps[0].fleets[1].health = Health::default(), "shift", "no registered targets");
    for fleet in 0..2 {
        for operation in ["shift", "drain", "balance", "failback"] {
            refused(&|f| f.apps[0].fleets[fleet].target_stickiness = true, operation, "`stickiness.enabled`");
            let grpc = Some("gRPC".to_owned());
            refused(
                &|f| f.apps[0].fleets[fleet].foreign_protocol.clone_from(&grpc),
                operation,
                "speaks gRPC",
            );
        }
    }
    // Behind a rule already, so that attaching it would change nothing.
    refused(&|f| f.apps[0].fleets[1].health = Health { unused: true, ..dead }, "shift", "prod2 has 0 of 2");
    refused(&|f| f.apps[0].fleets[0].health = dead, "shift", "prod1 has 0 of 2");
    refused(&|f| f.apps[0].fleets[0].health = dead, "drain", "prod1 has 0 of 2");
    refused(&|f| f.apps[0].fleets[0].health = dead, "balance", "prod1 has 0 of 2");
    refused(&|f| f.apps[0].fleets[1].health = dead, "failback", "prod2 has 0 of 2");
    refused(&|f| f.apps[0].routes.push(route("rule 2", &[(TWO, 100)])), "shift", "disagree");
}

#[test]
fn more_routes_than_a_run_can_move_are_refused_by_their_number() {
    let with = |routes: usize| {
        let mut found = found([100, 0]);
        let more = (2..=routes).map(|number| route(&format!("rule {number}"), &[(ONE, 100), (TWO, 0)]));
        found.apps[0].routes.extend(more);
        found
    };
    for operation in ["shift", "drain", "failback"] {
        assert!(make(json!({ "operation": operation }), &with(64)).is_ok(), "{operation}");
        let refused = make(json!({ "operation": operation }), &with(65)).unwrap_err();
        assert!(refused.contains("65 listener rules") && refused.contains("64 at most"), "{refused}");
        assert!(refused.contains("`except`") && refused.ends_with("Nothing was touched."), "{refused}");
    }
}

#[test]
fn an_execution_whose_name_no_tag_holds_is_refused_before_a_claim() {
    let input = Input::parse(&json!({ "app": "web" })).unwrap();
    let named = |name: &str| {
        let arn = format!("arn:aws:states:eu-central-1:123456789012:execution:failover:{name}");
        plan(&input, &Execution { arn, ..execution() }, &found([100, 0]))
    };
    assert!(named("4f2a-1.2_3=x").is_ok());
    for name in ["release (2)", "release!", "it's"] {
        let refused = named(name).unwrap_err();
        assert_eq!(refused.kind.name(), "PlanRejected");
        assert!(refused.message.contains(&format!("the execution's name, {name:?}")), "{refused}");
    }
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
    accepted(&|f| f.apps[0].fleets[1].health = dead, "drain");
    accepted(&|f| f.apps[0].fleets[0].health = dead, "failback");
    // A third group without weight is left untouched.
    let plan = accepted(&|f| f.apps[0].routes[0].groups.push(GroupWeight::new("arn:third", 0)), "shift");
    assert_eq!(plan.routes[0].before, [("prod1".into(), 100), ("prod2".into(), 0)].into());
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

fn several(weights: &[(&str, [u16; 2])]) -> Found {
    const GROUPS: [[&str; 2]; 3] = [[ONE, TWO], ["arn:three", "arn:four"], ["arn:five", "arn:six"]];
    let apps = weights.iter().zip(GROUPS).map(|((name, weights), groups)| app(name, groups, *weights));
    Found { apps: apps.collect(), ..found([100, 0]) }
}

#[test]
fn several_apps_have_one_plan_in_both_directions() {
    for (weights, live, standby) in [([100, 0], "prod1", "prod2"), ([0, 100], "prod2", "prod1")] {
        let plan = make(json!({}), &several(&[("web", weights), ("portal", weights)])).unwrap();
        assert_eq!((plan.live.as_str(), plan.standby.as_str()), (live, standby));
        assert_eq!(percents(&plan), [10, 25, 50, 75, 100]);
        let labels: Vec<&str> = plan.routes.iter().map(|route| route.label.as_str()).collect();
        assert_eq!(labels, ["rule 1 (web)", "rule of portal (portal)"]);
        // Each route is written with the groups of its own app.
        let ten = Percent::new(10).unwrap();
        for (route, app) in plan.routes.iter().zip(&plan.apps) {
            assert_eq!(plan.stage_groups(route, ten), app.groups(ten));
        }
        assert_ne!(plan.apps[0].live_group, plan.apps[1].live_group);
        assert!(
            plan.checks.iter().any(|c| c == "portal: prod1 has 2 of 2 targets healthy"),
            "{:?}",
            plan.checks
        );
    }
}

#[test]
fn apps_that_are_not_together_are_refused_with_the_way_out() {
    let refused = |found: &Found, input: serde_json::Value, says: &[&str]| {
        let message = make(input, found).expect_err(says[0]);
        for says in says {
            assert!(message.contains(says), "{says:?} is not in {message}");
        }
    };
    let apart = several(&[("web", [100, 0]), ("portal", [0, 100]), ("api", [90, 10])]);
    let both = ["prod1 is live for web, api, prod2 for portal", "`drain` of all of them with `standby`"];
    refused(&apart, json!({}), &both);
    refused(&apart, json!({ "standby": "prod2" }), &both);
    refused(&apart, json!({ "operation": "drain" }), &both);
    // The way out works.
    let together = make(json!({ "operation": "drain", "standby": "prod2" }), &apart).unwrap();
    assert_eq!((together.live.as_str(), percents(&together)), ("prod1", vec![0]));
    assert_eq!(together.apps[1].before["prod2"], Percent::ALL);

    let stages = several(&[("web", [100, 0]), ("portal", [70, 30])]);
    refused(&stages, json!({}), &["web with 0 % on prod2", "portal with 30 % on prod2", "`drain`"]);
    // Both begin at the first of these.
    assert!(make(json!({ "stages": [30, 100] }), &stages).is_ok());
    let mut even = several(&[("web", [100, 0]), ("portal", [50, 50])]);
    even.apps[1].lock.live_tag = Some("prod1".into());
    refused(&even, json!({ "operation": "balance" }), &["portal with 50 % on prod2"]);

    // What one app says of its fleets is no evidence about another.
    let unclear = several(&[("web", [100, 0]), ("portal", [50, 50])]);
    refused(&unclear, json!({}), &["portal: Which fleet is the standby cannot be told"]);

    let dead = Health { healthy: 0, registered: 2, unused: false };
    let mut sick = several(&[("web", [100, 0]), ("portal", [100, 0])]);
    sick.apps[1].fleets[1].health = dead;
    refused(&sick, json!({}), &["portal: prod2 has 0 of 2 targets healthy"]);
    let mut elsewhere = several(&[("web", [100, 0]), ("portal", [100, 0])]);
    for fleet in &mut elsewhere.apps[1].fleets {
        fleet.load_balancer_arns = vec!["arn:other".into()];
    }
    refused(
        &elsewhere,
        json!({}),
        &["different balancers", "web behind arn:balancer", "portal behind arn:other"],
    );
    let mut claimed = several(&[("web", [100, 0]), ("portal", [100, 0])]);
    claimed.apps[1].lock.claim = Claim::Running("arn:other".into());
    refused(&claimed, json!({}), &["portal: it is claimed by arn:other"]);
    // Another pair of groups that has one of them in common is another app with the same users.
    claimed.apps[1].lock = FoundLock { other: Claim::Running("arn:other".into()), ..FoundLock::default() };
    refused(&claimed, json!({}), &["portal: one of its target groups belongs to another app", "arn:other"]);
    let mut shared = several(&[("web", [100, 0]), ("portal", [100, 0])]);
    shared.apps[1].fleets[1].target_group_arn = TWO.into();
    refused(&shared, json!({}), &["web and portal have the target group arn:two in common"]);
    let mut renamed = several(&[("web", [100, 0]), ("portal", [100, 0])]);
    renamed.apps[1].fleets[0].name = "blue".into();
    refused(&renamed, json!({}), &["those of portal are called blue and prod2, others prod1 and prod2"]);
}

/// What `PlanShift` of the run has answered that is to be restored: a shift of these apps, by the weights that it
/// had found on each.
fn record(apps: &[(&FoundApp, [u16; 2])], live: &str) -> Record {
    let standby = if live == "prod1" { "prod2" } else { "prod1" };
    let group = |app: &FoundApp, fleet: &str| {
        app.fleets.iter().find(|f| f.name == fleet).map(|f| f.target_group_arn.clone()).unwrap()
    };
    let groups = |(app, _): &(&FoundApp, [u16; 2])| json!({ "name": app.name, "liveGroup": group(app, live), "standbyGroup": group(app, standby) });
    let routes = apps.iter().enumerate().map(|(index, (app, [prod1, prod2]))| {
        let route = &app.routes[0];
        json!({
            "app": index, "arn": route.arn, "ruleArn": route.arn, "label": route.label,
            "before": { "prod1": prod1, "prod2": prod2 }, "thatIsNotKnownHere": [1, 2],
        })
    });
    let plan = json!({
        "version": record::VERSION, "operation": "shift", "live": live, "standby": standby,
        "apps": apps.iter().map(groups).collect::<Vec<_>>(), "routes": routes.collect::<Vec<_>>(),
        "stages": [{ "standbyPercent": 50, "bakeSeconds": 1 }, { "standbyPercent": 100, "bakeSeconds": 1 }],
        "mayWrite": [10, 50, 100], "thatIsNotKnownHere": {},
    });
    Record::parse(&json!({ "proceed": true, "plan": plan }).to_string()).unwrap().unwrap()
}

fn behind(record: Record, reached: Reached) -> FoundBehind {
    FoundBehind { execution: "arn:other".into(), interrupted: true, reached, record: Ok(record) }
}

#[test]
fn a_restore_of_several_puts_back_on_each_what_that_one_had() {
    let mut left = several(&[("web", [50, 50]), ("portal", [50, 50]), ("api", [100, 0])]);
    let of_both = record(&[(&left.apps[0], [100, 0]), (&left.apps[1], [60, 40])], "prod1");
    for app in &mut left.apps[..2] {
        app.lock.behind = Some(behind(of_both.clone(), Reached::Nothing));
    }
    let restore = |left: &Found| make(json!({ "operation": "restore", "execution": "arn:other" }), left);
    let plan = restore(&left).unwrap();
    assert_eq!(plan.routes.iter().map(|route| route.app).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(plan.before_in_words(), "web, api: prod1 100 %, prod2 0 %; portal: prod1 60 %, prod2 40 %");
    assert_eq!(plan.routes[1].before["prod2"], 40);
    assert_eq!(plan.held_apps().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["web", "portal"]);
    // What it says at its end is about each app alone: the next restore, should this one be stopped between two
    // of them, puts back the same.
    assert_eq!(plan.claim_at_end().tag(), "arn:execution restored");
    assert_eq!(plan.claim().tag(), "arn:execution");
    left.apps[1].lock.behind = Some(behind(of_both.clone(), Reached::Restored));
    assert_eq!(restore(&left).unwrap().before_in_words(), plan.before_in_words());
    // A run's end stands on all of its apps, and a restore of that says so again.
    left.apps[0].lock.behind = Some(behind(of_both, Reached::Done));
    let ended = restore(&left).unwrap();
    assert_eq!(ended.routes.iter().map(|route| route.before["prod2"]).collect::<Vec<_>>(), [100, 100]);
    assert_eq!((ended.live.as_str(), ended.claim().tag().as_str()), ("prod2", "arn:execution done"));
    assert_eq!(ended.claim_at_end().tag(), "arn:execution done");

    let apart =
        [record(&[(&left.apps[0], [100, 0])], "prod1"), record(&[(&left.apps[1], [0, 100])], "prod2")];
    for (app, record) in left.apps.iter_mut().zip(apart) {
        app.lock.behind = Some(behind(record, Reached::Nothing));
    }
    let refused = make(json!({ "operation": "restore" }), &left).unwrap_err();
    assert!(refused.contains("portal: ") && refused.contains("one by one"), "{refused}");
}

#[test]
fn an_app_that_another_run_holds_refuses_every_operation() {
    let claims =
        [Claim::Own, Claim::Ended("arn:other".into()), Claim::Running("arn:other".into()), interrupted()];
    for operation in ["drain", "shift", "balance", "failback"] {
        let plan = |claim: &Claim| {
            // As the interrupted run had found it: that says nothing, since its restore may be about to move it.
            let mut found = found([100, 0]);
            found.apps[0].lock.claim = claim.clone();
            make(json!({ "operation": operation, "standby": "prod2" }), &found)
        };
        let [own, ended, running, interrupted] = claims.each_ref().map(plan);
        assert!(own.is_ok() && ended.is_ok());
        let running = running.unwrap_err();
        assert!(running.contains("web: it is claimed by arn:other"), "{running}");
        let interrupted = interrupted.unwrap_err();
        assert!(interrupted.contains("restore"), "{interrupted}");
    }
}

fn interrupted() -> Claim {
    Claim::Interrupted("arn:other".into())
}

#[test]
fn a_restore_takes_up_what_an_interrupted_run_left() {
    let restore = |behind: Option<FoundBehind>| {
        let mut found = found([50, 50]);
        // A second route, which the run did not know.
        found.apps[0].routes.push(route("rule 2", &[(ONE, 100), (TWO, 0)]));
        found.apps[0].lock.behind = behind;
        // A restore goes on whatever the fleets' health is: the rollback looks at it.
        found.apps[0].fleets[0].health.healthy = 0;
        make(json!({ "operation": "restore", "execution": "arn:other" }), &found)
    };
    let app = &found([50, 50]).apps[0];
    let recorded = || record(&[(app, [100, 0])], "prod1");
    let plan = restore(Some(behind(recorded(), Reached::Nothing))).unwrap();
    assert_eq!((plan.live.as_str(), plan.routes.len()), ("prod1", 1));
    assert_eq!(plan.routes[0].before, [("prod1".into(), 100), ("prod2".into(), 0)].into());
    assert_eq!(plan.routes[0].found, [("prod1".into(), 50), ("prod2".into(), 50)].into());
    assert_eq!(plan.apps[0].before["prod1"], Percent::ALL);
    assert_eq!((plan.may_write, plan.predecessors), (recorded().may_write, vec!["arn:other".to_owned()]));

    let nothing = restore(None).unwrap();
    assert!(nothing.routes.is_empty() && nothing.held_apps().next().is_none());
    // Left to a person, it is nobody's to take over: the restore claims it as any other run does.
    let left = Some(FoundBehind { interrupted: false, ..behind(recorded(), Reached::Left) });
    assert!(!restore(left).unwrap().takes_over());

    // A rule that is gone is named, and its app is given back all the same.
    let mut deleted = recorded();
    deleted.routes[0].arn = "arn:rule-deleted".into();
    let plan = restore(Some(behind(deleted, Reached::Nothing))).unwrap();
    assert!(plan.routes.is_empty() && plan.held_apps().count() == 1);
    assert!(plan.gone[0].starts_with("rule 1 (arn:rule-deleted) is gone"), "{:?}", plan.gone);
}

#[test]
fn a_restore_puts_nothing_back_that_is_not_of_its_app() {
    let restore = |change: &dyn Fn(&mut Record), interrupted: bool| {
        let mut found = found([50, 50]);
        let mut record = record(&[(&found.apps[0], [100, 0])], "prod1");
        change(&mut record);
        found.apps[0].lock.live_tag = Some("prod2".into());
        found.apps[0].lock.behind = Some(FoundBehind { interrupted, ..behind(record, Reached::Nothing) });
        make(json!({ "operation": "restore", "execution": "arn:other" }), &found)
    };
    let weights = |prod1, prod2| [("prod1".to_owned(), prod1), ("prod2".to_owned(), prod2)].into();
    for (change, says) in [
        (&(|r: &mut Record| r.routes[0].before = weights(0, 0)) as &dyn Fn(&mut Record), "prod1 0/prod2 0"),
        (&|r: &mut Record| r.routes[0].before = weights(1000, 0), "prod1 1000/prod2 0"),
        (&|r: &mut Record| r.routes[0].before = [("prod1".to_owned(), 100)].into(), "prod1 100"),
        (&|r: &mut Record| r.apps[0].standby_group = "arn:third".into(), "prod2 arn:third"),
        (&|r: &mut Record| r.apps[0].name = "portal".into(), "was none of web"),
    ] {
        // What was left to a person keeps nobody out.
        let refused = restore(change, false).unwrap_err();
        assert!(refused.contains(says), "{refused}");
        // An app that its restore holds is given free, and a person told.
        let plan = restore(change, true).unwrap();
        assert!(plan.routes.is_empty() && plan.takes_over() && plan.held_apps().count() == 1);
        assert!(
            plan.lost[0].starts_with("web: what arn:other had found cannot be put back"),
            "{:?}",
            plan.lost
        );
        assert!(plan.lost[0].contains(says), "{:?}", plan.lost);
        assert_eq!((plan.live.as_str(), plan.claim_after("Halted").reached), ("prod2", Reached::Released));
    }
}

prop_compose! {
    fn any_found()(
        weights in proptest::collection::vec([0u16..=999, 0u16..=999], 1..4),
        tag in proptest::option::of(prop_oneof![Just("prod1"), Just("prod2"), Just("x")]),
        attached in proptest::collection::vec(0u8..4, 4),
        healthy in [0u32..3, 0u32..3],
        even in any::<bool>(),
    ) -> Found {
        let mut made = found([1, 1]);
        for (fleet, healthy) in made.apps[0].fleets.iter_mut().zip(healthy) {
            fleet.health.healthy = healthy;
        }
        made.apps[0].routes = weights.iter().enumerate().map(|(i, [one, two])| {
            let groups: Vec<(&str, u16)> = match attached[i] {
                0 => vec![(ONE, *one)],
                1 => vec![(TWO, *two)],
                _ if even => vec![(ONE, *one), (TWO, *one)],
                _ => vec![(ONE, *one), (TWO, *two)],
            };
            route(&format!("rule {i}"), &groups)
        }).collect();
        made.apps[0].lock.live_tag = tag.map(str::to_owned);
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
        prop_assert_ne!(&plan.live, &plan.standby);
        if let Some(standby) = standby {
            prop_assert_eq!(&plan.standby, standby);
        }
        let percents = percents(&plan);
        let down = operation == "drain";
        prop_assert!(percents.is_sorted_by(|a, b| if down { a > b } else { a < b }), "{:?}", percents);
        let given = plan.routes.iter().filter(|_| down).map(|r| [&plan.live, &plan.standby].map(|f| r.found[f]));
        for [live, standby] in given {
            let (all, has) = (u32::from(live) + u32::from(standby), u32::from(standby));
            // A share is rounded to whole percent.
            let more = |percent: &&u8| u32::from(**percent) * all > has * 100 + all;
            prop_assert_eq!(percents.iter().find(more), None, "a drain gives the standby nothing");
        }
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
        let mut held: Vec<Vec<GroupWeight>> = found.apps[0].routes.iter().map(|r| r.groups.clone()).collect();
        for (index, stage) in plan.stages.iter().enumerate() {
            progress.stage = index;
            let desired = plan.apps[0].groups(stage.standby_percent);
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
