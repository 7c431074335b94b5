//! What a plan refuses, and what it does not.

use super::*;

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
