//! Plans of several apps in lockstep.

use super::*;

pub(super) fn several(weights: &[(&str, [u16; 2])]) -> Found {
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
