//! Conditions of rules.

use super::{ApiError, Scope, Xml};
use crate::model::{Cidr, Condition};

/// Reads a list of conditions.
pub(super) fn parse(scope: &Scope<'_>) -> Result<Vec<Condition>, ApiError> {
    let conditions: Vec<Condition> = scope.members("Conditions").iter().map(one).collect::<Result<_, _>>()?;
    if conditions.is_empty() {
        return Err(ApiError::validation("At least one condition is required"));
    }
    Ok(conditions)
}

fn one(scope: &Scope<'_>) -> Result<Condition, ApiError> {
    let field = scope.required("Field")?;
    let config = match field {
        "host-header" => "HostHeaderConfig",
        "path-pattern" => "PathPatternConfig",
        "http-header" => "HttpHeaderConfig",
        "query-string" => "QueryStringConfig",
        "http-request-method" => "HttpRequestMethodConfig",
        "source-ip" => "SourceIpConfig",
        other => return Err(ApiError::validation(format!("The condition field '{other}' is not valid"))),
    };
    let config = scope.nested(config);
    if scope.has("RegexValues") || config.as_ref().is_some_and(|config| config.has("RegexValues")) {
        return Err(ApiError::validation("Regular expressions are not available in conditions here"));
    }
    let short = scope.strings("Values");
    // The two fields of the first days can still be written without their own structure.
    let values = match &config {
        Some(config) => config.strings("Values"),
        None if matches!(field, "host-header" | "path-pattern") => short,
        None => return Err(ApiError::validation(format!("The condition '{field}' lacks its configuration"))),
    };
    let condition = match (field, &config) {
        ("host-header", _) => Condition::Host(values),
        ("path-pattern", _) => Condition::Path(values),
        ("http-header", Some(config)) => {
            Condition::Header { name: config.required("HttpHeaderName")?.to_owned(), values }
        }
        ("query-string", Some(config)) => Condition::Query(pairs(config)?),
        ("http-request-method", _) => Condition::Method(values),
        _ => Condition::SourceIp(ranges(&values)?),
    };
    let empty = match &condition {
        Condition::Host(values)
        | Condition::Path(values)
        | Condition::Header { values, .. }
        | Condition::Method(values) => values.is_empty(),
        Condition::Query(pairs) => pairs.is_empty(),
        Condition::SourceIp(ranges) => ranges.is_empty(),
    };
    if empty {
        return Err(ApiError::validation(format!("The condition '{field}' needs a value")));
    }
    Ok(condition)
}

fn pairs(config: &Scope<'_>) -> Result<Vec<(Option<String>, String)>, ApiError> {
    config
        .members("Values")
        .iter()
        .map(|pair| Ok((pair.text("Key").map(str::to_owned), pair.required("Value")?.to_owned())))
        .collect()
}

fn ranges(values: &[String]) -> Result<Vec<Cidr>, ApiError> {
    values
        .iter()
        .map(|value| {
            Cidr::parse(value)
                .ok_or_else(|| ApiError::validation(format!("'{value}' is not an IPv4 CIDR block")))
        })
        .collect()
}

/// Writes a list of conditions as AWS reads them back.
pub(super) fn write(xml: &mut Xml, conditions: &[Condition]) {
    xml.list("Conditions", conditions, |xml, condition| match condition {
        Condition::Host(values) => {
            xml.leaf("Field", "host-header");
            xml.texts("Values", values);
            xml.node("HostHeaderConfig", |xml| xml.texts("Values", values));
        }
        Condition::Path(values) => {
            xml.leaf("Field", "path-pattern");
            xml.texts("Values", values);
            xml.node("PathPatternConfig", |xml| xml.texts("Values", values));
        }
        Condition::Header { name, values } => {
            xml.leaf("Field", "http-header");
            xml.node("HttpHeaderConfig", |xml| {
                xml.leaf("HttpHeaderName", name);
                xml.texts("Values", values);
            });
        }
        Condition::Query(pairs) => {
            xml.leaf("Field", "query-string");
            xml.node("QueryStringConfig", |xml| {
                xml.list("Values", pairs, |xml, (key, value)| {
                    if let Some(key) = key {
                        xml.leaf("Key", key);
                    }
                    xml.leaf("Value", value);
                });
            });
        }
        Condition::Method(values) => {
            xml.leaf("Field", "http-request-method");
            xml.node("HttpRequestMethodConfig", |xml| xml.texts("Values", values));
        }
        Condition::SourceIp(ranges) => {
            xml.leaf("Field", "source-ip");
            xml.node("SourceIpConfig", |xml| xml.texts("Values", ranges));
        }
    });
}
