use serde_json::json;

use super::*;

#[test]
fn an_app_is_enough() {
    let input = Input::parse(&json!({"app": "web"})).unwrap();
    assert_eq!(input.operation, Operation::Shift);
    assert_eq!((input.bake, input.poll, input.period), (Seconds(300), Seconds(30), Seconds(60)));
}

#[test]
fn several_apps_are_a_list_and_read_well() {
    let words = |names: &[&str]| Input::parse(&json!({ "app": names })).unwrap().app.to_string();
    assert_eq!(words(&["web"]), "web");
    assert_eq!(words(&["web", "portal"]), "web and portal");
    assert_eq!(words(&["a", "b", "c", "d"]), "a, b, c and d");
    assert_eq!(words(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
    // As given, in the output and in the plan.
    for given in [json!("web"), json!(["web"]), json!(["web", "portal"])] {
        let input = Input::parse(&json!({ "app": given })).unwrap();
        assert_eq!(serde_json::to_value(&input.app).unwrap(), given);
    }
}

#[test]
fn what_belongs_to_an_app_is_given_by_its_name() {
    let input = json!({ "app": ["web", "portal"], "fleets": {
        "web": { "prod1": "w1", "prod2": "w2" }, "portal": { "prod1": "p1", "prod2": "p2" },
    }});
    let input = Input::parse(&input).unwrap();
    assert_eq!(input.fleets_of("portal").unwrap().unwrap()["prod2"], "p2");
    assert_eq!(input.addresses_of("portal").unwrap(), None);
}

#[test]
fn a_stage_may_bring_its_own_bake() {
    let input = Input::parse(&json!({"app": "web", "stages": [{"weight": 10, "bake": "15m"}, 100]})).unwrap();
    let stages = input.stages.unwrap();
    assert_eq!(stages[0], StageInput { weight: Percent::new(10).unwrap(), bake: Some(Seconds(900)) });
    assert_eq!(stages[1], StageInput { weight: Percent::ALL, bake: None });
}

#[test]
fn a_whole_number_may_be_written_with_a_point() {
    let input = json!({"app": "web", "stages": [10.0, {"weight": 25.0}, 100.0]});
    let weights = Input::parse(&input).unwrap().stages.unwrap();
    assert_eq!(weights.iter().map(|stage| stage.weight.get()).collect::<Vec<_>>(), [10, 25, 100]);
}

#[test]
fn a_run_may_be_started_by_another_state_machine() {
    let by = "arn:aws:states:us-east-1:123456789012:execution:release:1";
    let input = json!({"app": "web", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": by});
    assert_eq!(Input::parse(&input).unwrap().started_by_execution.as_deref(), Some(by));
}

/// Each refusal names the field that is wrong.
#[test]
fn refusals_name_the_field() {
    for (input, field) in [
        (json!(null), "JSON object"),
        (json!(["web"]), "JSON object"),
        (json!({}), "app"),
        (json!({"app": ""}), "`app`"),
        (json!({"app": "w/eb"}), "`app`"),
        (json!({"app": 5}), "`app`"),
        (json!({"app": []}), "`app`: 0 names"),
        (json!({"app": (0..17).map(|i| format!("app-{i}")).collect::<Vec<_>>()}), "`app`: 17 names"),
        (json!({"app": ["web", "portal", "web"]}), "`app`: web is named twice"),
        (json!({"app": ["web", "p/ortal"]}), "`app`: \"p/ortal\""),
        (json!({"app": ["web", 5]}), "`app[1]`"),
        (json!({"app": ["web", "portal"], "fleets": {"prod1": "a", "prod2": "b"}}), "`fleets`: \"prod1\""),
        (
            json!({"app": ["web", "portal"], "fleets": {"web": {"prod1": "a", "prod2": "b"}}}),
            "no object for portal",
        ),
        (json!({"app": "web", "fleets": {"web": {"prod1": "a", "prod2": "b"}}}), "`fleets.web`"),
        (
            json!({"app": ["web", "portal"], "addresses": {"public": "https://shop.example"}}),
            "`addresses`: \"public\"",
        ),
        (json!({"app": "web", "stagse": [100]}), "stagse"),
        (json!({"app": "web", "operation": "move"}), "`operation`"),
        (json!({"app": "web", "stages": []}), "`stages`"),
        (json!({"app": "web", "stages": [10, 10, 100]}), "`stages`"),
        (json!({"app": "web", "stages": [50, 25, 100]}), "`stages`"),
        (json!({"app": "web", "stages": [10, 50]}), "must end at 100"),
        (json!({"app": "web", "stages": [0, 100]}), "`stages[0]`"),
        (json!({"app": "web", "stages": [10, 101]}), "`stages[1]`"),
        (json!({"app": "web", "stages": [10, 1e30]}), "`stages[1]`"),
        (json!({"app": "web", "stages": [-10, 100]}), "`stages[0]`"),
        (json!({"app": "web", "stages": [10.5, 100]}), "`stages[0]`"),
        (json!({"app": "web", "stages": ["10", 100]}), "`stages[0]`"),
        (json!({"app": "web", "stages": [{"weight": 10, "bkae": "5m"}, 100]}), "bkae"),
        (json!({"app": "web", "stages": [{"weight": 10, "bake": "0s"}, 100]}), "`stages[0].bake`"),
        (json!({"app": "web", "operation": "failback", "stages": [100]}), "`stages`"),
        (json!({"app": "web", "operation": "balance", "stages": [10, 100]}), "must end at 50"),
        (json!({"app": "web", "bake": "0s"}), "`bake`"),
        (json!({"app": "web", "bake": 300}), "`bake`"),
        (json!({"app": "web", "bake": "30s"}), "`bake`"),
        (json!({"app": "web", "poll": "0s"}), "`poll`"),
        (json!({"app": "web", "period": "7s"}), "`period`"),
        (json!({"app": "web", "period": "0s"}), "`period`"),
        (json!({"app": "web", "release": "a;b"}), "`release`"),
        (json!({"app": "web", "fleets": {"prod1": "a"}}), "`fleets`"),
        (json!({"app": "web", "fleets": {"prod1": "a", "prod2": "a"}}), "`fleets`"),
        (json!({"app": "web", "standby": ""}), "`standby`"),
        (json!({"app": "web", "criteria": {"margn": 1}}), "margn"),
        (json!({"app": "web", "dryRun": "yes"}), "`dryRun`"),
        (json!({"app": "web", "force": true}), "`force`"),
        (json!({"app": "web", "execution": "arn:x"}), "`execution`"),
        (json!({"app": "web", "hooks": {"afterSatge": "arn:x"}}), "afterSatge"),
        (json!({"app": "web", "hooks": {"afterStage": "arn:x"}}), "`hooks.afterStage`"),
        (json!({"app": "web", "hooks": {"afterStage": 3}}), "`hooks.afterStage`"),
    ] {
        let error = Input::parse(&input).expect_err(&input.to_string());
        assert_eq!(error.kind.name(), "PlanRejected");
        assert!(error.message.contains(field), "{input} gave: {}", error.message);
        assert!(error.message.contains("othing was touched"), "{}", error.message);
    }
}
