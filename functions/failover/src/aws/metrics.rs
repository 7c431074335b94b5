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
use crate::input::Input;
use crate::plan::Past;
use crate::samples::{FleetSamples, Sample, Samples};

/// Periods before the run that are fetched with it.
const HISTORY_PERIODS: i64 = 1440;

/// Counts of one metric by the start of their period, in seconds since the epoch.
pub type Series = BTreeMap<i64, f64>;

/// Both fleets' counts from well before the run until `now`. Target health and alarms are left for
/// the caller to fill in: other APIs know them.
///
/// # Errors
/// As AWS answers; `AwsUnavailable` when `CloudWatch` marks a result as failed.
pub async fn samples(client: &Client, plan: &Plan, now: Timestamp) -> Result<Samples, Error> {
    let question = Question {
        load_balancer_arn: &plan.load_balancer_arn,
        fleets: [("live", &plan.live.target_group_arn), ("standby", &plan.standby.target_group_arn)],
        period_seconds: plan.period_seconds,
        latency: format!("TC({}:)", plan.slow_seconds),
    };
    let began = plan.execution.started_at.as_second();
    let mut series = question.ask(client, began, now).await?;
    let mut fleet = |role| FleetSamples { samples: counts(&mut series, role), ..FleetSamples::default() };
    let (live, standby) = (fleet("live"), fleet("standby"));
    let mut balancer = BTreeMap::new();
    for status in BALANCER_ERRORS {
        for (at, count) in series.remove(&balancer_id(status)).unwrap_or_default() {
            *balancer.entry(at).or_insert(0) += whole(count);
        }
    }
    Ok(Samples { now, live, standby, balancer_errors: balancer.into_iter().collect(), alarms: Vec::new() })
}

/// What both fleets did until now, for the plan.
///
/// # Errors
/// As [`samples`].
pub async fn past(
    client: &Client,
    load_balancer_arn: &str,
    target_group_arns: [&str; 2],
    input: &Input,
    now: Timestamp,
) -> Result<[Past; 2], Error> {
    let question = Question {
        load_balancer_arn,
        fleets: [("first", target_group_arns[0]), ("second", target_group_arns[1])],
        period_seconds: input.period.0,
        latency: format!("p{USUALLY_BELOW}"),
    };
    let mut series = question.ask(client, now.as_second(), now).await?;
    Ok(["first", "second"].map(|role| {
        // The median of the periods' own percentiles: a percentile of percentiles is none, but a
        // threshold needs no more than to lie where about one in twenty responses is slower.
        let mut usual: Vec<f64> =
            series.remove(&format!("{role}_latency")).unwrap_or_default().into_values().collect();
        usual.sort_by(f64::total_cmp);
        Past {
            usual_slow_seconds: usual.get(usual.len() / 2).copied(),
            counts: counts(&mut series, role).into_iter().map(Sample::counts).collect(),
        }
    }))
}

/// The percentile of response times above which a response is called slow.
const USUALLY_BELOW: u8 = 95;

/// Answers of the balancer itself that a broken fleet causes.
const BALANCER_ERRORS: [&str; 3] = ["502", "503", "504"];

fn balancer_id(status: &str) -> String {
    format!("balancer_{status}")
}

/// One `GetMetricData` about two fleets behind one balancer.
struct Question<'a> {
    load_balancer_arn: &'a str,
    /// A word for each fleet, and its target group.
    fleets: [(&'static str, &'a str); 2],
    period_seconds: u32,
    /// The statistic of the response times.
    latency: String,
}

impl Question<'_> {
    /// From a day's worth of minutes before `began` until `now`. Where traffic is thin, the verdict
    /// looks that far back; elsewhere it uses the last hour of it.
    async fn ask(
        &self,
        client: &Client,
        began: i64,
        now: Timestamp,
    ) -> Result<BTreeMap<String, Series>, Error> {
        let period = i64::from(self.period_seconds.max(1));
        let floor = |second: i64| second.div_euclid(period) * period;
        let from = floor(began) - HISTORY_PERIODS * period;
        fetch(client, self.queries(), from, floor(now.as_second())).await
    }

    fn queries(&self) -> Vec<MetricDataQuery> {
        let period = i32::try_from(self.period_seconds).unwrap_or(60);
        let balancer = of_balancer(self.load_balancer_arn);
        let mut queries = Vec::new();
        for (role, target_group_arn) in self.fleets {
            let group = of_group(target_group_arn);
            for (id, metric, statistic) in [
                ("requests", "RequestCount", "Sum"),
                ("target_5xx", "HTTPCode_Target_5XX_Count", "Sum"),
                ("target_4xx", "HTTPCode_Target_4XX_Count", "Sum"),
                ("connection_errors", "TargetConnectionErrorCount", "Sum"),
                ("latency", "TargetResponseTime", self.latency.as_str()),
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
}

/// How `CloudWatch` knows a balancer.
pub fn of_balancer(load_balancer_arn: &str) -> Dimension {
    dimension("LoadBalancer", resource(load_balancer_arn, "loadbalancer/"))
}

/// How `CloudWatch` knows a target group.
pub fn of_group(target_group_arn: &str) -> Dimension {
    dimension("TargetGroup", resource(target_group_arn, ":"))
}

/// The part of an ARN that CloudWatch knows the resource by: `app/name/id` or
/// `targetgroup/name/id`.
fn resource<'a>(arn: &'a str, after: &str) -> &'a str {
    arn.rsplit_once(after).map_or(arn, |(_, resource)| resource)
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

/// Asks for one statistic of a metric of the balancer, by periods of so many seconds.
pub fn query(
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

/// Asks for all of these, from one time to another in seconds since the epoch.
///
/// # Errors
/// As AWS answers; `AwsUnavailable` when `CloudWatch` marks a result as failed.
pub async fn fetch(
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
fn counts(series: &mut BTreeMap<String, Series>, role: &str) -> Vec<Sample> {
    let mut take = |id: &str| series.remove(&format!("{role}_{id}")).unwrap_or_default();
    let (requests, target_5xx, target_4xx) = (take("requests"), take("target_5xx"), take("target_4xx"));
    let (connection_errors, slow) = (take("connection_errors"), take("latency"));
    let count = |series: &Series, at: &i64| series.get(at).copied().map_or(0, whole);
    let sample = |(at, n): (&i64, &f64)| Sample {
        at: *at,
        requests: whole(*n),
        target_5xx: count(&target_5xx, at),
        target_4xx: count(&target_4xx, at),
        connection_errors: count(&connection_errors, at),
        slow: count(&slow, at),
    };
    requests.iter().map(sample).collect()
}

/// Counts come as floating point numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and NaN becomes 0"
)]
pub fn whole(count: f64) -> u64 {
    count.round() as u64
}
