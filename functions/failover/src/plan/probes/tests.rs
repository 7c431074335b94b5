//! What is refused before anything is touched.

use serde_json::{Value, json};

use super::*;
use crate::testing;

fn refusal(input: Value, configured: &ConfiguredProbes) -> Result<Option<Probing>, String> {
    let mut input = input;
    input["app"] = "web".into();
    let input = Input::parse(&input).map_err(|error| error.message)?;
    planned(testing::plan(json!({})), &input, configured).map(|plan| plan.probing).map_err(|error| {
        assert_eq!(error.kind.name(), "PlanRejected");
        error.message
    })
}

#[test]
fn refusals_name_the_field() {
    let shop = json!({ "public": "https://shop.example" });
    for (probe, says) in [
        (json!({}), "path"),
        (json!({ "path": "health" }), "`path`"),
        (json!({ "path": "/a b" }), "`path`"),
        (json!({ "path": "/", "pth": "/" }), "pth"),
        (json!({ "path": "/", "method": "DELETE" }), "method"),
        (json!({ "path": "/", "headers": { "a b": "c" } }), "`headers`"),
        (json!({ "path": "/", "headers": { "a": "b\r\nc: d" } }), "`headers`"),
        (json!({ "path": "/", "headers": { "Content-Length": "5" } }), "`headers`"),
        (json!({ "path": "/", "headers": { "X-Failover-Standby": "guess" } }), "the address `standby`"),
        (json!({ "path": "/", "status": 20 }), "`status`"),
        (json!({ "path": "/", "text": "" }), "`text`"),
        (json!({ "path": "/", "json": { "status": "up" } }), "`json`"),
        (json!({ "path": "/", "method": "HEAD", "text": "up" }), "`method`"),
        (json!({ "path": "/", "timeout": "11s" }), "`timeout`"),
        (json!({ "path": "/", "redirects": 6 }), "`redirects`"),
    ] {
        let said = refusal(json!({ "probes": [probe], "addresses": shop }), &ConfiguredProbes::default())
            .unwrap_err();
        assert!(
            said.contains(says) && said.contains("probes[0]") && said.contains("othing was touched"),
            "{said}"
        );
    }
    let health = json!([{ "path": "/health" }]);
    for (addresses, says) in [
        (json!({}), "nowhere to go"),
        (json!({ "prod3": "https://shop.example" }), "\"prod3\" is none of public, standby, prod1 and prod2"),
        (json!({ "standby": "https://shop.example" }), "`make testers APP=web` adds one"),
        (json!({ "prod1": "shop.example" }), "prod1: \"shop.example\" is not an address"),
        (json!({ "prod1": "ftp://shop.example" }), "neither http:// nor https://"),
        (json!({ "prod1": "https://shop.example/here" }), "must end after host and port"),
        (json!({ "prod1": "https://me:secret@shop.example" }), "a user or a password"),
        (json!({ "prod1": "http://169.254.169.254" }), "link-local"),
        (json!({ "prod1": "http://2852039166" }), "link-local"),
        (json!({ "prod1": "http://[fd00:ec2::254]" }), "link-local"),
        (json!({ "prod1": "http://[::ffff:169.254.170.2]" }), "link-local"),
        (json!({ "prod1": "http://127.1" }), "loopback"),
        (json!({ "prod1": "http://[::1]:9001" }), "loopback"),
        (json!({ "prod1": "http://0.0.0.0" }), "which no server has"),
    ] {
        let said = refusal(json!({ "probes": health, "addresses": addresses }), &ConfiguredProbes::default())
            .unwrap_err();
        assert!(said.contains(says), "{said}");
    }
    for operation in ["drain", "restore"] {
        let said = refusal(json!({ "operation": operation, "probes": health }), &ConfiguredProbes::default())
            .unwrap_err();
        assert!(said.contains("`probes`"), "{said}");
    }
}

#[test]
fn the_deployment_names_what_the_input_does_not() {
    let configured = ConfiguredProbes {
        probes: r#"[{"path": "/health", "text": "ok"}]"#.into(),
        addresses: "public=https://shop.example,prod2=http://10.0.0.1:8080".into(),
        loopback: "refused".into(),
    };
    let probing = refusal(json!({}), &configured).unwrap().unwrap();
    assert_eq!(probing.probes[0].name(), "GET /health");
    assert_eq!(probing.addresses["web"]["prod2"], "http://10.0.0.1:8080");
    let input = json!({ "probes": [{ "path": "/" }], "addresses": { "prod1": "https://one.example" } });
    let probing = refusal(input, &configured).unwrap().unwrap();
    assert_eq!((&probing.probes[0].path[..], probing.addresses["web"].len()), ("/", 1));
    assert_eq!(refusal(json!({ "probes": [] }), &configured).unwrap(), None);
    assert_eq!(refusal(json!({ "operation": "drain" }), &configured).unwrap(), None);
    assert_eq!(refusal(json!({}), &ConfiguredProbes::default()).unwrap(), None);
    let wrong = ConfiguredProbes { probes: "[{\"pth\": 1}]".into(), ..configured.clone() };
    assert!(refusal(json!({}), &wrong).unwrap_err().contains("the deployment's Probes"));
    let wrong = ConfiguredProbes { addresses: "https://shop.example".into(), ..configured };
    assert!(refusal(json!({}), &wrong).unwrap_err().contains("the deployment's ProbeAddresses"));
}

#[test]
fn several_apps_have_addresses_of_their_own() {
    let planned = |addresses: Value, probes: usize| {
        let probes = vec![json!({ "path": "/health" }); probes];
        let input = json!({ "app": ["web", "portal"], "probes": probes, "addresses": addresses });
        let input = Input::parse(&input).map_err(|error| error.message)?;
        let plan = testing::lockstep(&["web", "portal"], json!({}));
        planned(plan, &input, &ConfiguredProbes::default()).map_err(|error| error.message)
    };
    let places = json!({ "prod1": "https://one.example", "prod2": "https://two.example" });
    let plan = planned(json!({ "web": places, "portal": places }), 1).unwrap();
    assert_eq!(plan.checks[0], "at every stage GET /health must pass on prod1 and prod2 of every app");
    let public = json!({ "public": "https://portal.example" });
    let plan = planned(json!({ "web": places, "portal": public }), 1).unwrap();
    let says = "at every stage GET /health must pass on public of portal, prod1 and prod2 of web";
    assert_eq!(plan.checks[0], says);

    // What the deployment says is about one app.
    let said = planned(Value::Null, 1).unwrap_err();
    assert!(said.contains("`addresses` for each") && said.contains("\"probes\": []"), "{said}");
    let input = Input::parse(&json!({ "app": "web" })).unwrap();
    assert!(input.addresses_of("web").unwrap().is_none());
}

/// A run of this operation that probes these places, whose testers are led like this.
fn planned_with(operation: &str, places: &[&str], testers: &Value) -> Result<Plan, String> {
    let plan = testing::plan(json!({ "operation": operation, "testers": testers }));
    let addresses: BTreeMap<_, _> = places.iter().map(|place| (*place, "https://shop.example")).collect();
    let input =
        json!({ "app": "web", "operation": operation, "probes": [{ "path": "/" }], "addresses": addresses });
    planned(plan, &Input::parse(&input).unwrap(), &ConfiguredProbes::default()).map_err(|error| error.message)
}

#[test]
fn the_standby_is_probed_before_users_are_moved_to_it() {
    let rule = json!({ "ruleArn": "arn:testers", "label": "rule 9 on port 443", "port": 443 });
    let before = |operation, places: &[&str]| {
        before_the_run(&planned_with(operation, places, &json!([rule])).unwrap())
    };
    for operation in ["shift", "balance"] {
        assert!(before(operation, &["standby"]) && before(operation, &["public", "prod2"]));
        assert!(!before(operation, &["public", "prod1"]));
    }
    assert!(!before("failback", &["standby", "prod2"]));

    let plan = planned_with("shift", &["prod1", "prod2", "public", "standby"], &json!([rule])).unwrap();
    let asked: Vec<_> = plan.probing.as_ref().unwrap().of_standby(&plan).map(|target| target.place).collect();
    assert_eq!(asked, ["prod2", "standby"]);
}

#[test]
fn testers_who_are_astray_hold_up_everything_but_the_way_back() {
    let astray = json!([{ "ruleArn": "arn:testers", "label": "rule 9 on port 443", "port": 443, "astray": "leads to prod1" }]);
    for testers in [json!([]), astray] {
        for operation in ["shift", "balance"] {
            let refused = planned_with(operation, &["public", "standby"], &testers).unwrap_err();
            assert!(refused.starts_with("web: `addresses`: standby: "), "{refused}");
        }
        let back = planned_with("failback", &["public", "standby"], &testers).unwrap();
        assert_eq!(back.probing.unwrap().addresses["web"].keys().collect::<Vec<_>>(), ["public"]);
        assert_eq!(planned_with("failback", &["standby"], &testers).unwrap().probing, None);
    }
}
