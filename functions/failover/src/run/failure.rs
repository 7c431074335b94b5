//! The error output of a state in words, whatever it holds. The definition has the same rules in an
//! expression of its own, for the endings that must not depend on another function.

use serde_json::Value;

/// As much as is said of an error: the cause that it becomes a part of may hold 32,768 characters.
const MOST: usize = 5000;

/// An error output as Step Functions gives it, `Error` and `Cause`, in words.
///
/// A function's error comes as JSON within the text of `Cause`. Lambda's own errors are plain text,
/// which may quote such JSON; a time-out of the state comes without any text.
pub fn in_words(error: &Value) -> String {
    let text = |field: &str| error.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let name = text("Error").unwrap_or("an error without a name");
    let said: Option<String> = match text("Cause").map(|cause| (cause, message(cause))) {
        None => None,
        Some((cause, None)) => Some(cause.chars().take(MOST).collect()),
        Some((_, Some(message))) if message.trim().is_empty() => None,
        Some((_, Some(message))) => Some(message.chars().take(MOST).collect()),
    };
    match (said, name) {
        (Some(said), _) => format!("{name}: {said}"),
        (None, "States.Timeout") => format!("the function did not answer within its time-out ({name})"),
        (None, _) => format!("the function failed without saying why ({name})"),
    }
}

/// Why a run is rolled back, in words: the reason of a verdict, or the error output of a state as
/// Step Functions gives it.
pub fn why_in_words(why: &Value) -> String {
    let why = match why {
        Value::String(reason) => reason.clone(),
        Value::Null => String::new(),
        error => in_words(error),
    };
    match why.trim_end().trim_end_matches('.') {
        "" => "no reason was given".into(),
        why => why.to_owned(),
    }
}

/// The message of a function's error; nothing where the text is no such JSON.
fn message(cause: &str) -> Option<String> {
    let error: Value = serde_json::from_str(cause).ok()?;
    error.get("errorMessage")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
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
}
