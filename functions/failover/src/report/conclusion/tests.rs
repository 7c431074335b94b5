use serde_json::{Value, json};

use super::*;
use crate::testing;

fn ended(ending: &str, why: &Value) -> Ended {
    Ended {
        ending: ending.into(),
        why: why.clone(),
        rolled_back: None,
        outcome: None,
        figures: None,
        traffic: None,
    }
}

fn concluded(plan: &Plan, ending: &str, why: &Value) -> String {
    conclude(Some(plan), None, &json!({ "app": "web" }), &ended(ending, why)).cause
}

fn crash() -> Value {
    json!({ "Error": "Sandbox.Timedout", "Cause": "{\"errorMessage\":\"RequestId: 1 Error: Task timed out\"}" })
}

fn ours(message: &str) -> Value {
    json!({ "Error": "AwsRefused", "Cause": json!({ "errorMessage": message }).to_string() })
}

#[test]
fn every_ending_has_a_cause_whatever_it_ended_with() {
    let plan = testing::plan(json!({}));
    for ending in [
        "PlanRejected",
        "ExternalChange",
        "Halted",
        "RolesNotRecorded",
        "RollBackFailed",
        "FailedOver",
        "Strange",
    ] {
        for plan in [Some(&plan), None] {
            for why in
                [json!(null), json!("prod2 fails"), json!({}), json!([1]), json!({ "hook": 7 }), crash()]
            {
                let conclusion = conclude(plan, None, &Value::Null, &ended(ending, &why));
                let cause = &conclusion.cause;
                assert!(
                    !cause.trim().is_empty() && !cause.contains(": .") && cause.len() < 32_768,
                    "{cause}"
                );
                assert_eq!(conclusion.ending, ending);
            }
        }
    }
}

#[test]
fn a_refusal_says_what_was_touched() {
    let plan = testing::plan(json!({}));
    let refused = |why: &Value| concluded(&plan, "PlanRejected", why);
    assert_eq!(
        refused(&crash()),
        "Sandbox.Timedout: RequestId: 1 Error: Task timed out. Nothing was touched."
    );
    assert_eq!(refused(&ours("No such app. Nothing was touched.")), "No such app. Nothing was touched.");
    assert_eq!(
        refused(&json!({ "claiming": crash() })),
        "Sandbox.Timedout: RequestId: 1 Error: Task timed out. No weights were touched."
    );
    assert_eq!(
        refused(&json!({ "probing": crash() })),
        "web: the standby could not be probed (Sandbox.Timedout: RequestId: 1 Error: Task timed out). Nothing was \
         touched."
    );
    let probes = "web: the probe fails. Nothing was touched.";
    assert_eq!(refused(&json!({ "probing": ours(probes) })), probes);
    let hook = json!({ "moment": "beforeRun", "function": "check", "answered": "{\"answer\":7}" });
    let says = "web: nothing was touched, since the hook beforeRun (check) answered neither advance nor rollBack, but 7.";
    assert_eq!(refused(&json!({ "hook": hook })), says);
}

#[test]
fn where_the_rollback_failed_the_commands_stand_each_on_a_line() {
    let route = |revert_command: String| {
        serde_json::from_value(json!({
            "arn": "arn:rule", "ruleArn": "arn:rule", "label": "rule 10 on port 443", "revertCommand": revert_command,
            "found": { "prod1": 100, "prod2": 0 }, "before": { "prod1": 100, "prod2": 0 },
        }))
        .unwrap()
    };
    let mut plan = testing::plan(json!({}));
    plan.routes = (0..2).map(|number| route(format!("aws elbv2 modify-rule {number}"))).collect();
    let commands = "by hand:\naws elbv2 modify-rule 0\naws elbv2 modify-rule 1";
    for why in [crash(), json!({ "claiming": crash() })] {
        let cause = concluded(&plan, "RollBackFailed", &why);
        assert!(cause.ends_with(commands) && cause.contains("Task timed out."), "{cause}");
    }
    plan.routes = vec![route(format!("aws elbv2 modify-rule {}", "-".repeat(900))); 64];
    let cause = concluded(&plan, "RollBackFailed", &ours(&"x".repeat(30_000)));
    assert!(
        cause.contains("those of all 64 routes are the `revertCommand` in the result of PlanShift."),
        "{cause}"
    );
    assert!(cause.chars().count() < 32_768);
}

#[test]
fn what_the_rollback_said_counts_where_the_run_ended_as_it_said() {
    let plan = testing::plan(json!({}));
    let answered = json!({ "ending": "RolledBack", "cause": "web: rolled back.", "settled": false });
    let mut ended = ended("RolledBack", &json!("prod2 fails"));
    ended.rolled_back = serde_json::from_value(answered).unwrap();
    assert_eq!(conclude(Some(&plan), None, &Value::Null, &ended).cause, "web: rolled back.");
    // The second look found somebody else.
    ended.ending = "ExternalChange".into();
    ended.why = ours("rule 1 holds 40/60.");
    assert_eq!(conclude(Some(&plan), None, &Value::Null, &ended).cause, "rule 1 holds 40/60.");
}

#[test]
fn a_run_that_halts_says_which_weights_stand() {
    let plan = testing::plan(json!({}));
    let record = json!({
        "stage": 0, "weights": { "prod1": 90, "prod2": 10 }, "startedAt": "2026-11-30T10:00:00Z",
    });
    let progress = json!({ "stage": 0, "timeline": [record], "waitSeconds": 30 });
    let progress: Progress = serde_json::from_value(progress).unwrap();
    let halted = ended("Halted", &json!("neither fleet has healthy targets"));
    let conclusion = conclude(Some(&plan), Some(&progress), &Value::Null, &halted);
    assert!(
        conclusion.cause.starts_with(
            "web: neither fleet has healthy targets. The weights stay as this run last set them: prod1 90 %, prod2 10 %. Decide"
        ),
        "{}",
        conclusion.cause
    );
    assert!(conclusion.pages);
}

#[test]
fn a_quiet_run_that_is_refused_succeeds_with_the_reason() {
    let input = json!({ "app": "web", "operation": "balance", "skipIfBlocked": true });
    let refused = ended("PlanRejected", &ours("web is frozen. Nothing was touched."));
    let conclusion = conclude(None, None, &input, &refused);
    let output = json!({
        "status": "unchanged", "operation": "balance", "app": "web",
        "summary": "web is frozen. Nothing was touched.",
    });
    assert_eq!((conclusion.ending.as_str(), &conclusion.output), ("Unchanged", &output));
    let loud = json!({ "app": "web", "skipIfBlocked": "true" });
    assert_eq!(conclude(None, None, &loud, &refused).ending, "PlanRejected");
    // Nobody waits for a schedule's restore: one that could not begin is for a person.
    let restore = json!({ "app": "web", "operation": "restore" });
    assert!(conclude(None, None, &restore, &refused).pages);
    assert!(!conclude(None, None, &json!({ "app": "web" }), &refused).pages);
}
