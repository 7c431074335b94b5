//! From `CloudWatch` to samples, in one paged `GetMetricData`.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};
use jiff::Timestamp;

use super::error::named;
use crate::contract::Plan;
use crate::error::{Error, Kind};
use crate::verdict::{FleetSamples, Sample, Samples};

/// Periods before the run that are fetched with it: the level of failures before anything changed.
const HISTORY_PERIODS: i64 = 60;

/// Counts of one metric by the start of their period, in seconds since the epoch.
type Series = BTreeMap<i64, f64>;

/// Both fleets' counts from an hour's worth of periods before the run until `now`. Target health
/// is left for the caller to fill in: another API knows it.
///
/// # Errors
/// As AWS answers; `AwsUnavailable` when CloudWatch marks a result as failed.
pub async fn samples(client: &Client, plan: &Plan, now: Timestamp) -> Result<Samples, Error> {
    let period = i64::from(plan.period_seconds.max(1));
    let floor = |second: i64| second.div_euclid(period) * period;
    let from = floor(plan.execution.started_at.as_second()) - HISTORY_PERIODS * period;
    let mut series = fetch(client, queries(plan), from, floor(now.as_second())).await?;
    let live = fleet(&mut series, "live");
    let standby = fleet(&mut series, "standby");
    let mut balancer = BTreeMap::new();
    for status in BALANCER_ERRORS {
        for (at, count) in series.remove(&balancer_id(status)).unwrap_or_default() {
            *balancer.entry(at).or_insert(0) += whole(count);
        }
    }
    Ok(Samples { now, live, standby, balancer_errors: balancer.into_iter().collect() })
}

/// Answers of the balancer itself that a broken fleet causes.
const BALANCER_ERRORS: [&str; 3] = ["502", "503", "504"];

fn balancer_id(status: &str) -> String {
    format!("balancer_{status}")
}

fn queries(plan: &Plan) -> Vec<MetricDataQuery> {
    let period = i32::try_from(plan.period_seconds).unwrap_or(60);
    let balancer = dimension("LoadBalancer", resource(&plan.load_balancer_arn, "loadbalancer/"));
    let slow = format!("TC({}:)", plan.criteria.slow_seconds);
    let mut queries = Vec::new();
    for (role, fleet) in [("live", &plan.live), ("standby", &plan.standby)] {
        let group = dimension("TargetGroup", resource(&fleet.target_group_arn, ":"));
        for (id, metric, statistic) in [
            ("requests", "RequestCount", "Sum"),
            ("target_5xx", "HTTPCode_Target_5XX_Count", "Sum"),
            ("connection_errors", "TargetConnectionErrorCount", "Sum"),
            ("slow", "TargetResponseTime", slow.as_str()),
        ] {
            let dimensions = vec![balancer.clone(), group.clone()];
            queries.push(query(format!("{role}_{id}"), metric, statistic, dimensions, period));
        }
    }
    for status in BALANCER_ERRORS {
        let metric = format!("HTTPCode_ELB_{status}_Count");
        queries.push(query(balancer_id(status), &metric, "Sum", vec![balancer.clone()], period));
    }
    queries
}

/// The part of an ARN that CloudWatch knows the resource by: `app/name/id` or
/// `targetgroup/name/id`.
fn resource<'a>(arn: &'a str, after: &str) -> &'a str {
    arn.rsplit_once(after).map_or(arn, |(_, resource)| resource)
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

fn query(
    id: String,
    metric: &str,
    statistic: &str,
    dimensions: Vec<Dimension>,
    period: i32,
) -> MetricDataQuery {
    let metric = Metric::builder()
        .namespace("AWS/ApplicationELB")
        .metric_name(metric)
        .set_dimensions(Some(dimensions))
        .build();
    let stat = MetricStat::builder().metric(metric).period(period).stat(statistic).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

async fn fetch(
    client: &Client,
    queries: Vec<MetricDataQuery>,
    from: i64,
    to: i64,
) -> Result<BTreeMap<String, Series>, Error> {
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries))
        .start_time(DateTime::from_secs(from))
        .end_time(DateTime::from_secs(to))
        .scan_by(ScanBy::TimestampAscending)
        .into_paginator()
        .send();
    let mut series: BTreeMap<String, Series> = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| named("reading the metrics", &error))?;
        for result in page.metric_data_results() {
            let id = result.id().unwrap_or_default();
            // PartialData only says that more pages follow.
            if matches!(result.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
                let message = format!("CloudWatch could not read {id}; no data is never taken for healthy");
                return Err(Error::new(Kind::AwsUnavailable, message));
            }
            series.entry(id.to_owned()).or_default().extend(points(result));
        }
    }
    Ok(series)
}

fn points(result: &MetricDataResult) -> impl Iterator<Item = (i64, f64)> + '_ {
    result.timestamps().iter().map(DateTime::secs).zip(result.values().iter().copied())
}

/// Requests make the samples: a count that is missing beside them is zero, while a period without
/// requests is no data at all.
fn fleet(series: &mut BTreeMap<String, Series>, role: &str) -> FleetSamples {
    let mut take = |id: &str| series.remove(&format!("{role}_{id}")).unwrap_or_default();
    let (requests, target_5xx) = (take("requests"), take("target_5xx"));
    let (connection_errors, slow) = (take("connection_errors"), take("slow"));
    let count = |series: &Series, at: &i64| series.get(at).copied().map_or(0, whole);
    let samples = requests.iter().map(|(at, n)| Sample {
        at: *at,
        requests: whole(*n),
        target_5xx: count(&target_5xx, at),
        connection_errors: count(&connection_errors, at),
        slow: count(&slow, at),
    });
    FleetSamples { samples: samples.collect(), health: crate::plan::Health::default() }
}

/// Counts come as floating point numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and NaN becomes 0"
)]
fn whole(count: f64) -> u64 {
    count.round() as u64
}
