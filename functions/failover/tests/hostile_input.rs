//! Whatever anybody sends as the input of an execution: a refusal by name, or a sound plan.

use failover::input::Input;
use failover::model::Execution;
use failover::model::samples::Health;
use failover::model::weights::GroupWeight;
use failover::plan::calendar::Permit;
use failover::plan::{Found, FoundApp, FoundFleet, FoundLock, FoundRoute, Past, plan};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any JSON, deep and odd.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(1e308)),
        any::<String>().prop_map(Value::from),
        "[a-z0-9 ]{0,40}".prop_map(Value::from),
        Just(json!("\u{0}\u{202e}\u{1F4A9}")),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(".{0,12}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An input that is nearly right: known fields with likely, unlikely and absurd values.
fn nearly_right() -> impl Strategy<Value = Value> {
    let field = prop_oneof![
        (Just("app"), "[a-zA-Z0-9-]{0,34}").prop_map(|(k, v)| (k, json!(v))),
        (Just("app"), proptest::collection::vec("[a-z-]{0,3}", 0..19)).prop_map(|(k, v)| (k, json!(v))),
        (
            prop_oneof![Just("fleets"), Just("addresses")],
            proptest::collection::btree_map(
                "[a-z0-9]{0,4}",
                proptest::collection::btree_map("[a-z0-9]{0,6}", ".{0,40}", 0..3),
                0..3
            )
        )
            .prop_map(|(k, v)| (k, json!(v))),
        (
            Just("operation"),
            prop_oneof![
                Just("drain"),
                Just("shift"),
                Just("balance"),
                Just("failback"),
                Just("restore"),
                Just("up")
            ]
        )
            .prop_map(|(k, v)| (k, json!(v))),
        (Just("stages"), proptest::collection::vec(-5i64..130, 0..6)).prop_map(|(k, v)| (k, json!(v))),
        (Just("stages"), proptest::collection::vec((0i64..101, "[0-9]{0,3}[smh]"), 0..4)).prop_map(
            |(k, v)| {
                let stage = |(weight, bake): &(i64, String)| json!({ "weight": weight, "bake": bake });
                (k, v.iter().map(stage).collect())
            }
        ),
        (prop_oneof![Just("bake"), Just("poll"), Just("period")], "[0-9]{0,9}[smhdy]?( [0-9]{1,3}m)?")
            .prop_map(|(k, v)| (k, json!(v))),
        (Just("release"), any::<String>()).prop_map(|(k, v)| (k, json!(v))),
        (Just("standby"), prop_oneof![Just("prod1"), Just("prod2"), Just("prod3"), Just("")])
            .prop_map(|(k, v)| (k, json!(v))),
        (Just("fleets"), proptest::collection::btree_map("[a-z0-9]{0,6}", ".{0,40}", 0..4))
            .prop_map(|(k, v)| (k, json!(v))),
        (Just("approveBefore"), proptest::collection::vec(-5i64..130, 0..4)).prop_map(|(k, v)| (k, json!(v))),
        (Just("approvalTimeout"), "[0-9]{0,5}[smh]").prop_map(|(k, v)| (k, json!(v))),
        (Just("onApprovalTimeout"), prop_oneof![Just("rollBack"), Just("halt"), Just("wait")])
            .prop_map(|(k, v)| (k, json!(v))),
        (prop_oneof![Just("startedBy"), Just("override")], any::<String>()).prop_map(|(k, v)| (k, json!(v))),
        (Just("dryRun"), any::<bool>()).prop_map(|(k, v)| (k, json!(v))),
        (Just("criteria"), proptest::collection::btree_map(criterion(), any_number(), 0..4))
            .prop_map(|(k, v)| (k, json!(v))),
        ("[a-zA-Z]{1,10}", any_json()).prop_map(|(_, v)| ("unknown", v)),
        (
            prop_oneof![
                Just("app"),
                Just("stages"),
                Just("bake"),
                Just("criteria"),
                Just("fleets"),
                Just("probes"),
                Just("addresses")
            ],
            any_json()
        ),
    ];
    let app = Just(("app", json!("web")));
    (app, proptest::collection::vec(field, 0..4)).prop_map(|(app, fields)| {
        Value::Object(
            std::iter::once(app).chain(fields).map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>(),
        )
    })
}

fn criterion() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "alpha",
        "beta",
        "holdOdds",
        "holdPeriods",
        "recheckPercent",
        "slowSeconds",
        "historyPeriods",
        "alarms",
        "failures",
    ])
}

fn any_number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0.0..1.0).prop_map(Value::from),
        Just(json!({ "marginPercent": -1 })),
        Just(json!(["", "a"])),
    ]
}

fn found() -> Found {
    let fleet = |name: &str| FoundFleet {
        name: name.into(),
        target_group_arn: format!("arn:{name}"),
        load_balancer_arns: vec!["arn:balancer".into()],
        health: Health { healthy: 2, registered: 2, unused: false },
        release: None,
        target_stickiness: false,
        foreign_protocol: None,
    };
    let route = FoundRoute {
        arn: "arn:rule".into(),
        rule_arn: "arn:rule".into(),
        default_of: None,
        label: "rule 1 on port 443".into(),
        hosts: Vec::new(),
        groups: vec![GroupWeight::new("arn:prod1", 100), GroupWeight::new("arn:prod2", 0)],
        group_stickiness: false,
        revert_command: String::new(),
    };
    Found {
        apps: vec![FoundApp {
            name: "web".into(),
            lock: FoundLock::default(),
            fleets: [fleet("prod1"), fleet("prod2")],
            past: [Past::default(), Past::default()],
            routes: vec![route],
            testers: Vec::new(),
        }],
        alarms: Vec::new(),
        propagation_seconds: 15,
        permit: Permit::default(),
        chain: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_input_is_refused_by_name_or_planned(input in prop_oneof![1 => any_json(), 3 => nearly_right()]) {
        let execution =
            Execution { arn: "arn:execution".into(), started_at: "2026-11-22T10:00:00Z".parse().unwrap() };
        match Input::parse(&input).and_then(|input| plan(&input, &execution, &found())) {
            Err(error) => {
                prop_assert_eq!(error.kind.name(), "PlanRejected");
                prop_assert!(error.message.contains("othing was touched"), "{}", error.message);
                prop_assert!(error.message.len() < 2000, "{} bytes", error.message.len());
            }
            Ok(plan) => {
                prop_assert!(plan.stages.is_sorted_by(|a, b| a.standby_percent < b.standby_percent));
                prop_assert!(plan.stages.iter().all(|stage| stage.bake_seconds > 0));
                prop_assert!(plan.poll_seconds > 0 && plan.period_seconds > 0);
                // It survives the state machine, which carries it as JSON.
                let carried: failover::model::Plan =
                    serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
                prop_assert_eq!(carried, plan);
            }
        }
    }
}
