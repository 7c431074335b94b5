//! What a hook answered, or how it failed, in words. Only an object with the verdict `advance` lets a run go
//! on, which the definition sees by itself; everything else comes here as it was.

use serde::Deserialize;
use serde_json::Value;

use crate::model::text;
use crate::run::failure::name_and_message;

/// So much is said of what it says, in bytes.
const MOST: usize = 1000;
/// And so much of an answer that is none of ours.
const MOST_OF_NONSENSE: usize = 200;

/// A call of a hook as the definition keeps it.
#[derive(Debug, Deserialize)]
struct Called {
    moment: String,
    function: String,
    /// JSON, cut where it is long, with what it answered as `answer`; without that where it answered nothing.
    answered: Option<String>,
    /// The error output of the state that called it.
    error: Option<Value>,
}

/// Why a hook does not let a run go on; nothing where this is not about a hook.
pub(super) fn refusal(why: &Value) -> Option<String> {
    let called = why.get("hook")?;
    let Ok(Called { moment, function, answered, error }) = Called::deserialize(called) else {
        return Some("a hook did not let it go on".into());
    };
    let name = function.split_once(":function:").map_or(function.as_str(), |(_, name)| name);
    let what = match (error, answered) {
        (Some(error), _) => failed(&error),
        (None, Some(answered)) => said(&answered),
        (None, None) => "answered nothing".into(),
    };
    Some(format!("the hook {moment} ({name}) {what}"))
}

fn failed(error: &Value) -> String {
    match name_and_message(error) {
        ("States.Timeout", _) => "did not answer within 60 s".into(),
        (name, Some(message)) => format!("failed: {name}: {}", text::cut(&message, MOST)),
        (name, None) => format!("failed: {name}, without saying why"),
    }
}

fn said(answered: &str) -> String {
    let neither = |what: &str| format!("answered neither advance nor rollBack, but {what}");
    let Ok(answered) = serde_json::from_str::<Value>(answered) else {
        return neither(&text::cut(answered, MOST_OF_NONSENSE));
    };
    match answered.get("answer") {
        Some(Value::Object(answer)) if answer.get("verdict").is_some_and(|verdict| verdict == "rollBack") => {
            let reason = answer.get("reason").map(plain).unwrap_or_default();
            match reason.trim() {
                "" => "says roll back: it gives no reason".into(),
                reason => format!("says roll back: {}", text::cut(reason, MOST)),
            }
        }
        Some(answer) => match plain(answer).trim() {
            "" => neither("an empty text"),
            answer => neither(&text::cut(answer, MOST_OF_NONSENSE)),
        },
        None => neither("nothing"),
    }
}

/// A text as it is, nothing of null, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
