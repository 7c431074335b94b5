use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn every_shape_of_an_error_has_a_sentence() {
    let quoted = "The cause is not known. Returned payload: {\"errorMessage\":\"it took 30.00 seconds\"}";
    for (error, cause, expected) in [
        (
            "AwsRefused",
            json!(r#"{"errorType":"AwsRefused","errorMessage":"no \"web\""}"#),
            "AwsRefused: no \"web\"",
        ),
        ("Lambda.Unknown", json!(quoted), &format!("Lambda.Unknown: {quoted}")[..]),
        ("States.Timeout", json!(""), "the function did not answer within its time-out (States.Timeout)"),
        ("Custom", json!(r#"{"errorMessage":""}"#), "the function failed without saying why (Custom)"),
        ("Custom", Value::Null, "the function failed without saying why (Custom)"),
        ("Custom", json!(r#"{"errorMessage":null}"#), r#"Custom: {"errorMessage":null}"#),
        ("Custom", json!(r#"{"errorMessage":42}"#), r#"Custom: {"errorMessage":42}"#),
        ("Custom", json!(r#"{"errorMessage":"cut"#), r#"Custom: {"errorMessage":"cut"#),
        ("", json!("only text"), "an error without a name: only text"),
    ] {
        assert_eq!(in_words(&json!({ "Error": error, "Cause": cause })), expected);
    }
    let nothing = "the function failed without saying why (an error without a name)";
    for error in [json!({}), Value::Null, json!(7), json!({ "Error": 1, "Cause": {} })] {
        assert_eq!(in_words(&error), nothing);
    }
}

proptest! {
    #[test]
    fn it_is_never_empty_and_never_too_long(error in ".{0,20}", cause in "(?s).{0,20}", times in 1..400usize) {
        let said = in_words(&json!({ "Error": error, "Cause": cause.repeat(times) }));
        prop_assert!(!said.trim().is_empty() && said.chars().count() < MOST + 100, "{}", said);
    }
}

/// A name, a cause and what must be said of them. Records of localstack are snapshots in its
/// tests/aws/services/stepfunctions/v2.
fn shapes() -> Vec<(Value, String)> {
    let json = |message: Value| json!({ "errorType": "Made.Up", "errorMessage": message }).to_string();
    let quotes = "AWS answered \"no\" to `web`:\n\tC:\\path, 50 %, ü, \u{2028} and 😀";
    let timed_out =
        "The cause is not known. Returned payload: {\"errorMessage\":\"it took longer than 30.00 seconds\"}";
    let shape =
        |error: &str, cause: &str, says: &str| (json!({ "Error": error, "Cause": cause }), says.to_owned());
    vec![
        shape(
            "ExternalChange",
            &json("web: rule 1 holds 40/60. Nothing more was written.".into()),
            "rule 1 holds 40/60.",
        ),
        shape("PlanRejected", &json(quotes.into()), quotes),
        shape("AwsRefused", &json(quotes.into()).replace('ü', "\\u00fc"), quotes),
        shape("AwsUnavailable", "{\n  \"errorMessage\" : \"later\" }\n", "later"),
        shape("AwsRefused", &json("x".repeat(30_000).into()), &"x".repeat(900)),
        shape("AwsRefused", &json("\"".repeat(15_000).into()), &"\"".repeat(900)),
        // Recorded by two public projects, 2024 and 2025: a function's own time-out. It names a message and is no JSON.
        shape("Lambda.Unknown", timed_out, &format!("Lambda.Unknown: {timed_out}")),
        // Recorded by a public project: a crash, or too little memory.
        shape(
            "Runtime.ExitError",
            &json("RequestId: 1 Error: signal: killed".into()),
            "ExitError: RequestId: 1 Error",
        ),
        shape(
            "Sandbox.Timedout",
            &json("RequestId: 1 Error: Task timed out".into()),
            "Sandbox.Timedout: RequestId: 1",
        ),
        // Recorded by localstack, error_handling/test_task_service_lambda, test_invoke_timeout: the state's time-out.
        shape("States.Timeout", "", "did not answer within its time-out (States.Timeout)"),
        (json!({ "Error": "States.Timeout" }), "did not answer within".into()),
        (json!({ "Error": "States.Timeout", "Cause": null }), "did not answer within".into()),
        // Recorded by localstack, error_handling/test_task_service_lambda, test_raise_custom_exception: an empty message.
        shape(
            "OfAHook",
            r#"{"errorType":"OfAHook","errorMessage":"","stackTrace":["File \"/var/task/a.py\"\n"]}"#,
            "OfAHook",
        ),
        // Recorded by localstack, error_handling/test_task_service_lambda, test_no_such_function: Lambda itself refuses.
        shape(
            "Lambda.ResourceNotFoundException",
            "Not found: arn:x (Service: AWSLambda; Proxy: null)",
            "arn:x",
        ),
        // Recorded by localstack, error_handling/test_states_errors,
        // test_service_task_lambada_catch_state_all_data_limit_exceeded_on_large_utf8_response: too large an answer.
        shape(
            "States.DataLimitExceeded",
            "The result is too large.",
            "States.DataLimitExceeded: The result is",
        ),
        // Made up.
        shape("Cut", &json(quotes.into())[..70], "Cut: {\"errorMessage\""),
        shape("Cut", "{\"errorMessage\":\"ends in an escape \\", "Cut: "),
        shape("Cut", &format!("{{\"errorMessage\":\"{}", "\\n".repeat(15_000)), "Cut: "),
        shape("NotJson", "{\"errorMessage\":\"a\nb\"}", "NotJson: "),
        shape("NotJson", "{\"errorMessage\":\"\\q \\u12\"}", "NotJson: "),
        shape("NotJson", "{\"errorMessage\":\"fine\", and then", "fine"),
        shape("Text", "plain text with \"errorMessage\" in it", "Text: plain text"),
        shape("Null", &json(Value::Null), "Null: "),
        shape("Number", &json(42.into()), "42"),
        shape("Object", &json(json!({ "reason": "deep" })), "deep"),
        shape("List", &json(json!(["one", "two"])), "two"),
        shape("Inner", r#"{"errorType":"Outer","cause":{"errorMessage":"inner words"}}"#, "inner words"),
        shape("Missing", r#"{"errorType":"Missing"}"#, "Missing: "),
        shape("Escaped", r#"{"errorType":"\"errorMessage\":\"no\"","errorMessage":"yes"}"#, "yes"),
        shape("Blank", &json(" \n ".into()), "Blank"),
        shape("Blank", " ", "Blank"),
        shape("Empty", "{}", "Empty"),
        (json!({ "Error": "OnlyAName" }), "OnlyAName".into()),
        (json!({ "Cause": "only a cause" }), "only a cause".into()),
        shape("", "", "without a name"),
        (json!({ "Error": null, "Cause": null }), "without a name".into()),
        (json!({ "Error": 7, "Cause": ["a"] }), "without a name".into()),
        (json!({}), "without a name".into()),
        (Value::Null, "without a name".into()),
        (json!("a text"), "without a name".into()),
    ]
}

#[test]
fn whatever_an_error_holds_it_becomes_sentences() {
    for (error, says) in shapes() {
        for most in [5000, 30_000] {
            let Said { ours, text } = said(&error, most);
            assert!(text.contains(&says), "{error} gives {text}");
            assert!(text.ends_with(['.', '!', '?']) && text.chars().count() <= most + 1, "{text}");
            assert!(!text.contains(": .") && !text.contains("()"), "{text}");
            let name = error.get("Error").and_then(Value::as_str).unwrap_or_default();
            assert!(!ours || !name.contains('.') && !text.starts_with(name), "{text}");
        }
        assert!(in_words(&error).contains(&says), "{error}");
    }
}

#[test]
fn an_error_of_ours_speaks_for_itself_and_another_is_named() {
    let cause = json!({ "errorType": "A", "errorMessage": "web: it is so" }).to_string();
    let ours = said(&json!({ "Error": "ExternalChange", "Cause": cause }), 99);
    assert_eq!(ours, Said { ours: true, text: "web: it is so.".into() });
    let other = said(&json!({ "Error": "Runtime.ExitError", "Cause": cause }), 99);
    assert_eq!(other, Said { ours: false, text: "Runtime.ExitError: web: it is so.".into() });
}
