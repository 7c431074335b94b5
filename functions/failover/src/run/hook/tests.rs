use serde_json::json;

use super::*;
use crate::run::why::why_in_words;

const HOOK: &str = "arn:aws:lambda:eu-central-1:123456789012:function:release-hook:7";

fn answered(answer: &Value) -> String {
    let answered = json!({ "answer": answer }).to_string();
    why_in_words(&json!({ "hook": { "moment": "afterStage", "function": HOOK, "answered": answered } }))
}

fn failed(error: &Value) -> String {
    why_in_words(&json!({ "hook": { "moment": "beforeRun", "function": HOOK, "error": error } }))
}

#[test]
fn whatever_a_hook_answers_is_put_into_words() {
    for (answer, says) in [
        (json!({ "verdict": "rollBack", "reason": "no" }), "says roll back: no"),
        (json!({ "verdict": "rollBack", "reason": 7 }), "says roll back: 7"),
        (json!({ "verdict": "rollBack", "reason": { "why": "deep" } }), "says roll back: {\"why\":\"deep\"}"),
        (json!({ "verdict": "rollBack", "reason": ["one"] }), "says roll back: [\"one\"]"),
        (json!({ "verdict": "rollBack", "reason": false }), "says roll back: false"),
        (json!({ "verdict": "rollBack" }), "says roll back: it gives no reason"),
        (json!({ "verdict": "rollBack", "reason": null }), "says roll back: it gives no reason"),
        (json!({ "verdict": "rollBack", "reason": " " }), "says roll back: it gives no reason"),
        (json!(" "), "answered neither advance nor rollBack, but an empty text"),
        (json!("advance"), "answered neither advance nor rollBack, but advance"),
        (json!(0), "answered neither advance nor rollBack, but 0"),
        (json!([{ "verdict": "advance" }]), "rollBack, but [{\"verdict\":\"advance\"}]"),
        (json!({ "verdict": null }), "rollBack, but {\"verdict\":null}"),
        (json!({}), "rollBack, but {}"),
    ] {
        let said = answered(&answer);
        assert!(said.starts_with("the hook afterStage (release-hook:7) "), "{said}");
        assert!(said.contains(says), "{answer} gives {said}");
    }
    // A function that returns nothing, and one whose answer has no payload.
    assert!(answered(&Value::Null).ends_with("but an empty text"), "{}", answered(&Value::Null));
    let nothing = json!({ "hook": { "moment": "afterStage", "function": HOOK, "answered": "{}" } });
    assert!(why_in_words(&nothing).ends_with("but nothing"));
}

#[test]
fn what_is_long_or_cut_stays_readable_and_short() {
    for answer in [
        json!({ "verdict": "rollBack", "reason": "x".repeat(100_000) }),
        json!({ "verdict": "x".repeat(5000) }),
        json!("x".repeat(5000)),
    ] {
        let whole = json!({ "answer": answer }).to_string();
        for answered in [&whole[..], &whole[..4000], "{\"answer\":{\"ver", ""] {
            let said =
                why_in_words(&json!({ "hook": { "moment": "m", "function": "f", "answered": answered } }));
            assert!(said.starts_with("the hook m (f) ") && said.len() < 1200, "{said}");
        }
    }
}

#[test]
fn a_hook_that_fails_is_named_with_its_error() {
    let quoted = json!({ "errorType": "RuntimeError", "errorMessage": "a bug of ours" }).to_string();
    for (error, says) in [
        (json!({ "Error": "States.Timeout", "Cause": "" }), "did not answer within 60 s"),
        (json!({ "Error": "RuntimeError", "Cause": quoted }), "failed: RuntimeError: a bug of ours"),
        (json!({ "Error": "Custom", "Cause": "" }), "failed: Custom, without saying why"),
        // Recorded by two public projects, 2024 and 2025: a function's own time-out.
        (
            json!({ "Error": "Lambda.Unknown", "Cause": "Not known: {\"errorMessage\":\"too late\"}" }),
            "failed: Lambda.Unknown: Not known: {\"errorMessage\":\"too late\"}",
        ),
        (
            json!({ "Error": "States.DataLimitExceeded", "Cause": "Too large." }),
            "failed: States.DataLimitExceeded: Too large",
        ),
        (json!({}), "failed: an error without a name, without saying why"),
    ] {
        let said = failed(&error);
        assert_eq!(said, format!("the hook beforeRun (release-hook:7) {says}"));
    }
    for nonsense in [json!(null), json!(7), json!({}), json!({ "moment": 1 })] {
        assert_eq!(why_in_words(&json!({ "hook": nonsense })), "a hook did not let it go on");
    }
}
