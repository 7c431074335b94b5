//! CBOR as the RPC v2 protocol uses it.

use bytes::Bytes;
use ciborium::Value;
use jiff::Timestamp;

use super::error::ApiError;

/// The tag of a time in seconds since the epoch.
const EPOCH: u64 = 1;

/// Reads a body; an empty one is an empty structure.
pub(super) fn decode(body: &Bytes) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Map(Vec::new()));
    }
    ciborium::from_reader(body.as_ref())
        .map_err(|error| ApiError::new("SerializationException", format!("The body is not CBOR: {error}")))
}

pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = ciborium::into_writer(value, &mut bytes);
    bytes
}

/// The body of a refusal. Clients of this protocol know an error by its shape in the model, whose name is not
/// always the code of the older protocols.
pub(super) fn error(error: &ApiError) -> Vec<u8> {
    let shape = match error.code.as_str() {
        "ValidationError" => "ValidationException",
        "MissingParameter" => "MissingRequiredParameterException",
        "InvalidParameterCombination" => "InvalidParameterCombinationException",
        "InvalidParameterValue" => "InvalidParameterValueException",
        other => other,
    };
    let shape = text(format!("com.amazonaws.cloudwatch#{shape}"));
    encode(&map([("__type", shape), ("message", text(&error.message))]))
}

pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (text(key), value)).collect())
}

pub(super) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// A time in whole seconds since the epoch.
pub(super) fn time(seconds: i64) -> Value {
    // The one kind of number that every reader of the protocol accepts for a time.
    Value::Tag(EPOCH, Box::new(Value::Float(seconds as f64)))
}

/// A member of a structure; null counts as left out.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value
        .as_map()?
        .iter()
        .find(|(key, _)| key.as_text() == Some(name))
        .map(|(_, value)| value)
        .filter(|value| !value.is_null())
}

/// A time, in seconds since the epoch.
pub(super) fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Tag(EPOCH, inner) => seconds(inner),
        Value::Float(seconds) => Some(*seconds),
        Value::Integer(seconds) => i64::try_from(*seconds).ok().map(|seconds| seconds as f64),
        _ => None,
    }
}

/// The parameters of a call by their paths, written as the query protocol would.
pub(super) fn flatten(body: &Bytes) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    if let Ok(value) = decode(body) {
        walk("", &value, &mut pairs);
    }
    pairs
}

fn walk(path: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let shown = match value {
        Value::Map(entries) => {
            for (key, value) in entries {
                walk(&join(key.as_text().unwrap_or_default()), value, pairs);
            }
            return;
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&join(&format!("member.{}", index + 1)), item, pairs);
            }
            return;
        }
        Value::Tag(EPOCH, inner) => seconds(inner)
            .and_then(|seconds| {
                Timestamp::from_duration(jiff::SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
            })
            .map(|time| time.to_string())
            .unwrap_or_default(),
        Value::Text(text) => text.clone(),
        Value::Integer(number) => i128::from(*number).to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => String::new(),
    };
    pairs.push((path.to_owned(), shown));
}
