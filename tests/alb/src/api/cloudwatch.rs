//! CloudWatch: reading the balancer's metrics, and alarms.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ciborium::Value;
use jiff::Timestamp;

use super::cbor::{decode, encode, map, member, seconds, text, time};
use super::error::ApiError;
use crate::AlarmState;
use crate::core::{Alarm, Core};
use crate::lock::lock;
use crate::memory::{Asked, Measured};
use crate::metrics::{Metric, Selection};
use crate::stats::Statistic;

/// Queries that one call may carry.
const MOST_QUERIES: usize = 500;
/// Data points on a page, unless the caller wants fewer.
const MOST_POINTS: usize = 100_800;
const NAMESPACE: &str = "AWS/ApplicationELB";

type Operation = fn(&Core, &Value) -> Result<Value, ApiError>;

/// Every operation that is served.
pub(super) const OPERATIONS: &[(&str, Operation)] =
    &[("GetMetricData", get_metric_data), ("DescribeAlarms", describe_alarms)];

/// Carries out a call, and returns the CBOR of its answer.
pub(super) fn perform(core: &Arc<Core>, action: &str, body: &Bytes) -> Result<Vec<u8>, ApiError> {
    let input = decode(body)?;
    let Some((_, operation)) = OPERATIONS.iter().find(|(name, _)| *name == action) else {
        let message = format!("The operation {action} is not available");
        return Err(ApiError::new("UnknownOperationException", message));
    };
    Ok(encode(&operation(core, &input)?))
}

/// One query of a call.
struct Query {
    id: String,
    label: String,
    statistic: Statistic,
    period: i64,
    /// Which samples it is about; none if there is no such metric.
    subject: Option<Subject>,
    returned: bool,
}

struct Subject {
    balancer: String,
    group: Option<String>,
    metric: Metric,
    name: String,
}

/// The data points of one query, in the order they are returned.
type Points = Vec<(i64, f64)>;

fn get_metric_data(core: &Core, input: &Value) -> Result<Value, ApiError> {
    let (from, to) = (instant(input, "StartTime")?, instant(input, "EndTime")?);
    if from >= to {
        return Err(ApiError::validation("The parameter StartTime must be less than the parameter EndTime"));
    }
    let queries = queries(input)?;
    let newest_first = match string(input, "ScanBy")? {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => return Err(ApiError::validation(format!("'{other}' is not valid for ScanBy"))),
    };
    let most = match integer(input, "MaxDatapoints")? {
        None => MOST_POINTS,
        Some(most) => usize::try_from(most)
            .ok()
            .filter(|most| (1..=MOST_POINTS).contains(most))
            .ok_or_else(|| ApiError::validation(format!("MaxDatapoints cannot be {most}")))?,
    };
    let start = match string(input, "NextToken")? {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| ApiError::new("InvalidNextToken", "The token is not one of this service"))?,
    };
    let now = clock::now();
    let mut results = Vec::new();
    // Position among the data points of all queries, in the order of the answer.
    let mut position: usize = 0;
    let end = start + most;
    for query in queries.iter().filter(|query| query.returned) {
        let points = points(core, query, from, to, now, newest_first);
        let first = start.saturating_sub(position).min(points.len());
        let last = end.saturating_sub(position).min(points.len());
        let complete = last == points.len();
        // A query without data is answered on the first page.
        if first < last || (points.is_empty() && start == 0) {
            results.push(result(query, &points[first..last], complete));
        }
        position += points.len();
    }
    let messages = lock(&core.message)
        .iter()
        .map(|(code, value)| map([("Code", text(code)), ("Value", text(value))]))
        .collect();
    let mut output = vec![
        (text("MetricDataResults"), Value::Array(results)),
        // Always there, if only empty.
        (text("Messages"), Value::Array(messages)),
    ];
    if position > end {
        output.push((text("NextToken"), text(end.to_string())));
    }
    Ok(Value::Map(output))
}

fn points(core: &Core, query: &Query, from: f64, to: f64, now: Timestamp, newest_first: bool) -> Points {
    let Some(subject) = &query.subject else { return Points::new() };
    let trouble = lock(&core.troubles).of(&subject.balancer);
    if subject.group.as_ref().is_some_and(|group| !trouble.shows_group(group)) {
        return Points::new();
    }
    let (from, to) = whole_periods(query, from, to);
    let mut points: Points = if let Some(measured) = &core.measured {
        let mut points = in_memory(measured.as_ref(), query, subject, from, to);
        points.retain(|(start, _)| !trouble.is_gap(*start));
        points
    } else {
        let group = subject.group.as_deref();
        let selection = Selection { balancer: &subject.balancer, group, metric: subject.metric };
        let metrics = lock(&core.metrics);
        let buckets = metrics.buckets(&selection, query.period, from, to, trouble.shown(now));
        let of_bucket = |(start, mut samples): (i64, Vec<f64>)| (start, query.statistic.over(&mut samples));
        buckets.into_iter().map(of_bucket).collect()
    };
    if trouble.points_twice {
        points = points.into_iter().flat_map(|point| [point, point]).collect();
    }
    if newest_first {
        points.reverse();
    }
    points
}

/// CloudWatch rounds the start down: to the period where that is short, else to the minute.
#[expect(clippy::cast_possible_truncation, reason = "seconds of our time")]
fn whole_periods(query: &Query, from: f64, to: f64) -> (i64, i64) {
    let step = query.period.min(60);
    ((from as i64).div_euclid(step) * step, to.ceil() as i64)
}

/// Points that the embedder knows.
fn in_memory(measured: &dyn Measured, query: &Query, subject: &Subject, from: i64, to: i64) -> Points {
    measured.points(&Asked {
        balancer: &subject.balancer,
        group: subject.group.as_deref(),
        metric: &subject.name,
        statistic: query.statistic,
        period: query.period,
        from,
        to,
    })
}

fn result(query: &Query, points: &[(i64, f64)], complete: bool) -> Value {
    map([
        ("Id", text(&query.id)),
        ("Label", text(&query.label)),
        ("Timestamps", Value::Array(points.iter().map(|(start, _)| time(*start)).collect())),
        ("Values", Value::Array(points.iter().map(|(_, value)| Value::Float(*value)).collect())),
        ("StatusCode", text(if complete { "Complete" } else { "PartialData" })),
    ])
}

fn queries(input: &Value) -> Result<Vec<Query>, ApiError> {
    let list = member(input, "MetricDataQueries").and_then(Value::as_array);
    let list = list.ok_or_else(|| ApiError::validation("The parameter MetricDataQueries is required"))?;
    if list.is_empty() || list.len() > MOST_QUERIES {
        return Err(ApiError::validation(format!("Between 1 and {MOST_QUERIES} queries are possible")));
    }
    let queries = list.iter().map(query).collect::<Result<Vec<_>, _>>()?;
    if queries.iter().map(|query| &query.id).collect::<BTreeSet<_>>().len() != queries.len() {
        return Err(ApiError::validation("The Id of each query must be unique"));
    }
    Ok(queries)
}

fn query(value: &Value) -> Result<Query, ApiError> {
    let id = string(value, "Id")?.unwrap_or_default();
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !plain || !id.starts_with(|first: char| first.is_ascii_lowercase()) || id.len() > 255 {
        return Err(ApiError::validation(format!("'{id}' is not a valid Id")));
    }
    if member(value, "Expression").is_some() {
        return Err(ApiError::validation(format!("Expressions are not available here (query '{id}')")));
    }
    let stat = member(value, "MetricStat")
        .ok_or_else(|| ApiError::validation(format!("The query '{id}' needs a MetricStat")))?;
    let metric = member(stat, "Metric")
        .ok_or_else(|| ApiError::validation(format!("The query '{id}' needs a metric")))?;
    let name = string(metric, "MetricName")?.unwrap_or_default();
    let statistic = string(stat, "Stat")?.unwrap_or_default();
    let statistic = Statistic::parse(statistic).ok_or_else(|| {
        ApiError::validation(format!("The value '{statistic}' for parameter Stat is not supported"))
    })?;
    let period = integer(stat, "Period")?.unwrap_or_default();
    if !(matches!(period, 1 | 5 | 10 | 20 | 30) || period > 0 && period % 60 == 0) {
        return Err(ApiError::validation(format!(
            "Period must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}"
        )));
    }
    let unit = string(stat, "Unit")?;
    let mut subject = None;
    if string(metric, "Namespace")? == Some(NAMESPACE)
        && let Some(known) = Metric::parse(name)
        && unit.is_none_or(|unit| unit == known.unit())
    {
        subject = subject_of(known, name, metric)?;
    }
    Ok(Query {
        id: id.to_owned(),
        label: string(value, "Label")?.unwrap_or(name).to_owned(),
        statistic,
        period,
        subject,
        returned: member(value, "ReturnData").and_then(Value::as_bool).unwrap_or(true),
    })
}

/// The balancer and group that the dimensions name. None for a combination that is not published.
fn subject_of(known: Metric, name: &str, metric: &Value) -> Result<Option<Subject>, ApiError> {
    let (mut balancer, mut group) = (None, None);
    for dimension in member(metric, "Dimensions").and_then(Value::as_array).into_iter().flatten() {
        let value = string(dimension, "Value")?.unwrap_or_default().to_owned();
        match string(dimension, "Name")?.unwrap_or_default() {
            "LoadBalancer" => balancer = Some(value),
            "TargetGroup" => group = Some(value),
            _ => return Ok(None),
        }
    }
    Ok(balancer.map(|balancer| Subject { balancer, group, metric: known, name: name.to_owned() }))
}

/// Alarm names that one call may carry, and alarms on a page.
const MOST_ALARMS: usize = 100;

fn texts<'a>(input: &'a Value, name: &str) -> Vec<&'a str> {
    let list = member(input, name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_text).collect()
}

fn describe_alarms(core: &Core, input: &Value) -> Result<Value, ApiError> {
    let (names, kinds) = (texts(input, "AlarmNames"), texts(input, "AlarmTypes"));
    if names.len() > MOST_ALARMS {
        return Err(ApiError::validation(format!("At most {MOST_ALARMS} alarm names are possible")));
    }
    let prefix = string(input, "AlarmNamePrefix")?;
    // Composite alarms come only where they are asked for.
    let wanted = |alarm: &Alarm| {
        if alarm.composite {
            kinds.contains(&"CompositeAlarm")
        } else {
            kinds.is_empty() || kinds.contains(&"MetricAlarm")
        }
    };
    let most = integer(input, "MaxRecords")?.and_then(|most| usize::try_from(most).ok());
    let most = most.unwrap_or(MOST_ALARMS).clamp(1, MOST_ALARMS);
    let start = match string(input, "NextToken")? {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| ApiError::new("InvalidNextToken", "The token is not one of this service"))?,
    };
    let alarms = lock(&core.alarms);
    let mut found = alarms
        .iter()
        .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()))
        .filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)))
        .filter(|(_, alarm)| wanted(alarm))
        .skip(start);
    let (mut metric, mut composite) = (Vec::new(), Vec::new());
    for (name, alarm) in found.by_ref().take(most) {
        let state = match alarm.state {
            AlarmState::Ok => "OK",
            AlarmState::Alarm => "ALARM",
            AlarmState::InsufficientData => "INSUFFICIENT_DATA",
        };
        let shown = map([("AlarmName", text(name)), ("StateValue", text(state))]);
        if alarm.composite { composite.push(shown) } else { metric.push(shown) }
    }
    let mut output = vec![
        (text("MetricAlarms"), Value::Array(metric)),
        (text("CompositeAlarms"), Value::Array(composite)),
    ];
    if found.next().is_some() {
        output.push((text("NextToken"), text((start + most).to_string())));
    }
    Ok(Value::Map(output))
}

fn string<'a>(value: &'a Value, name: &str) -> Result<Option<&'a str>, ApiError> {
    member(value, name)
        .map(|value| value.as_text().ok_or_else(|| ApiError::validation(format!("{name} must be a string"))))
        .transpose()
}

fn integer(value: &Value, name: &str) -> Result<Option<i64>, ApiError> {
    member(value, name)
        .map(|value| {
            let number = value.as_integer().and_then(|number| i64::try_from(number).ok());
            number.ok_or_else(|| ApiError::validation(format!("{name} must be a whole number")))
        })
        .transpose()
}

fn instant(input: &Value, name: &str) -> Result<f64, ApiError> {
    member(input, name)
        .and_then(seconds)
        .ok_or_else(|| ApiError::validation(format!("The parameter {name} must be a time")))
}
