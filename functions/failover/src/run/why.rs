//! Why a run does not go on, in words.

use serde_json::Value;

use crate::run::failure::in_words;
use crate::run::hook;

/// Why a run is rolled back or refused, in words: the reason of a verdict, what a hook answered, or the
/// error output of a state as Step Functions gives it.
pub fn why_in_words(why: &Value) -> String {
    let why = match why {
        Value::String(reason) => reason.clone(),
        Value::Null => String::new(),
        why => hook::refusal(why).unwrap_or_else(|| in_words(why)),
    };
    match why.trim_end().trim_end_matches('.') {
        "" => "no reason was given".into(),
        why => why.to_owned(),
    }
}
