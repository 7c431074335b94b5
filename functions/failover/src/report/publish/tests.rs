//! The lines against the rules of the specification of the embedded metric format.

use serde_json::json;

use super::*;
use crate::model::samples::Odds;
use crate::model::weights::Percent;
use crate::testing;

fn plan() -> Plan {
    let balancer =
        "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/shop-us-prd/50dc6c495c0c9188";
    testing::plan(json!({
        "loadBalancerArn": balancer,
        "stages": [{ "standbyPercent": 10, "bakeSeconds": 300, "gate": "healthyStandby" }],
    }))
}

fn now() -> Timestamp {
    "2026-11-22T10:05:00Z".parse().unwrap()
}

fn figures(odds: Option<f64>) -> Figures {
    let fleet = |requests, slow| FleetFigures { requests, slow, ..FleetFigures::default() };
    Figures {
        live: fleet(900, 45),
        standby: fleet(0, 0),
        odds: odds.map(|total| Odds { total, metrics: Vec::new(), careful: false }),
        ..Figures::default()
    }
}

fn polled(odds: Option<f64>) -> Vec<Value> {
    let plan = plan();
    let progress = crate::run::progress::set(&plan, &Progress::default(), now()).unwrap();
    poll(&plan, &progress, &[("web".to_owned(), figures(odds))].into(), now())
}

fn set(percent: Percent) -> Vec<Value> {
    let plan = plan();
    weights(&plan, plan.apps.iter().map(|app| (app, plan.weights(percent))), now())
}

/// What the specification demands of a document, in its text and in its JSON schema, "Embedded metric format example
/// and JSON schema" of
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
fn check(line: &Value) {
    let aws = &line["_aws"];
    assert!(aws["Timestamp"].is_i64(), "milliseconds since 1970: {aws}");
    let directives = aws["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        let namespace = directive["Namespace"].as_str().unwrap();
        assert!((1..=255).contains(&namespace.len()) && !namespace.starts_with("AWS/"));
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()), "{directive}");
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!((1..=255).contains(&name.len()), "{metric}");
            assert!(line[name].is_number(), "{name} is no number at the root of {line}");
            assert!(["Percent", "Count", "Seconds", "None"].contains(&metric["Unit"].as_str().unwrap()));
        }
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty(), "{directive}");
        for set in sets {
            let set = set.as_array().unwrap();
            // The specification allows thirty; a first version allowed nine.
            assert!((1..=9).contains(&set.len()), "{directive}");
            for key in set {
                assert!((1..=255).contains(&key.as_str().unwrap().len()), "{directive}");
                let value = line[key.as_str().unwrap()].as_str().unwrap_or_else(|| panic!("{key} in {line}"));
                assert!((1..=1024).contains(&value.len()) && value.is_ascii() && !value.trim().is_empty());
            }
        }
    }
    assert!(line.to_string().len() < 256 * 1024 && !line.to_string().contains('\n'), "one line of a log");
}

#[test]
fn every_line_is_a_valid_document() {
    let set = set(Percent::HALF);
    assert_eq!((set.len(), polled(None).len(), polled(Some(3.0)).len()), (2, 3, 3));
    for line in set.iter().chain(&polled(None)).chain(&polled(Some(3.0))) {
        check(line);
    }
}

#[test]
fn lines_say_what_only_the_run_knows() {
    let set = set(Percent::new(10).unwrap());
    assert_eq!(set[0]["LoadBalancer"], "shop-us-prd");
    assert_eq!((&set[0]["Fleet"], &set[0]["Weight"]), (&json!("prod1"), &json!(90.0)));
    assert_eq!((&set[1]["Fleet"], &set[1]["Weight"]), (&json!("prod2"), &json!(10.0)));

    let lines = polled(Some(f64::MAX));
    assert_eq!((&lines[0]["Weight"], &lines[0]["SlowShare"]), (&json!(90.0), &json!(5.0)));
    assert_eq!(lines[1].get("SlowShare"), None, "no requests, no share");
    assert_eq!((&lines[2]["Stage"], &lines[2]["Odds"]), (&json!(1.0), &json!(MOST_ODDS)));
    assert_eq!(polled(None)[2].get("Odds"), None);
}

#[test]
fn metrics_of_one_line_share_their_dimensions() {
    for line in polled(Some(1.0)) {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        for definition in directive["Metrics"].as_array().unwrap() {
            let metric = PublishedMetric::ALL.into_iter().find(|m| definition["Name"] == m.name()).unwrap();
            assert_eq!(definition["Unit"], metric.unit());
            assert_eq!(directive["Dimensions"], json!([metric.dimensions()]));
        }
    }
}

#[test]
fn every_app_has_lines_of_its_own() {
    let plan = testing::lockstep(&["web", "portal"], json!({}));
    let lines = weights(&plan, plan.apps.iter().map(|app| (app, plan.weights(Percent::HALF))), now());
    let apps: Vec<&str> = lines.iter().filter_map(|line| line["App"].as_str()).collect();
    assert_eq!(apps, ["web", "web", "portal", "portal"]);
    lines.iter().for_each(check);
}

/// What makes a line wrong.
type Spoil = fn(&mut Value);

/// The check itself finds what the schema refuses.
#[test]
fn what_the_schema_refuses_is_found() {
    let spoiled: [(&str, Spoil); 7] = [
        ("no time", |line| line["_aws"]["Timestamp"] = json!("now")),
        ("no directive", |line| line["_aws"]["CloudWatchMetrics"] = json!([])),
        ("no namespace", |line| line["_aws"]["CloudWatchMetrics"][0]["Namespace"] = json!("")),
        ("no dimensions", |line| line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!([])),
        ("a long name", |line| {
            let name = "x".repeat(256);
            line[&name] = json!(1);
            line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] = name.into();
        }),
        ("a unit of its own", |line| {
            line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"] = json!("Fleets");
        }),
        ("a dimension that is no text", |line| line["App"] = json!(1)),
    ];
    let line = set(Percent::HALF).remove(0);
    check(&line);
    for (what, spoil) in spoiled {
        let mut line = line.clone();
        spoil(&mut line);
        assert!(std::panic::catch_unwind(|| check(&line)).is_err(), "{what}");
    }
}
