//! CloudWatch's JSON protocol, which Python's SDK speaks: the same structures as in CBOR, and times as numbers.

use bytes::Bytes;
use ciborium::Value;
use hyper::header::HeaderMap;
use serde_json::{Map, Number, Value as Json};

use super::cbor::encode;

/// How the header begins that names CloudWatch's operations, by its service model in botocore.
const TARGET: &str = "GraniteServiceVersion20100801.";

/// The operation of a call in this protocol.
pub(super) fn action(headers: &HeaderMap) -> Option<String> {
    headers.get("x-amz-target")?.to_str().ok()?.strip_prefix(TARGET).map(str::to_owned)
}

/// A body as CBOR; one that is no JSON stays as it is, and is refused as no CBOR.
pub(super) fn to_cbor(body: &Bytes) -> Bytes {
    let value = serde_json::from_slice::<Json>(body).ok().and_then(|json| Value::serialized(&json).ok());
    value.map_or_else(|| body.clone(), |value| encode(&value).into())
}

/// The body of an answer, whose CBOR is our own.
pub(super) fn from_cbor(body: &[u8]) -> Vec<u8> {
    let value = ciborium::from_reader(body).unwrap_or(Value::Null);
    json(value).to_string().into_bytes()
}

fn json(value: Value) -> Json {
    match value {
        Value::Map(entries) => {
            let member = |(key, value): (Value, Value)| Some((key.into_text().ok()?, json(value)));
            Json::Object(entries.into_iter().filter_map(member).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(json).collect(),
        Value::Tag(_, inner) => json(*inner),
        Value::Text(text) => Json::String(text),
        Value::Bool(flag) => Json::Bool(flag),
        Value::Integer(number) => i64::try_from(number).map_or(Json::Null, Json::from),
        Value::Float(number) => Number::from_f64(number).map_or(Json::Null, Json::Number),
        _ => Json::Null,
    }
}
