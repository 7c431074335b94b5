//! From `CloudWatch` to samples, in one paged `GetMetricData` wherever that is enough.
//!
//! It takes 500 queries, of which 16 apps need 259, and an account is given 180,000 data points a second,
//! or 90,000 where they begin more than three hours ago. So several apps share the history that one alone
//! is given: a shift of 16 with the defaults asks for some 23,000 points at its start and 32,000 at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataOutput;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};
use jiff::Timestamp;

use super::error::named;
use crate::input::Input;
use crate::model::error::{Error, ErrorKind};
use crate::model::samples::{FleetSamples, OwnErrors, Sample, Samples, whole};
use crate::model::{Plan, PlannedApp};
use crate::plan::{FoundApp, Past};
use crate::run::unanswered::attribute;
use crate::verdict::Criteria;

/// Periods before the run that are fetched with it, where there is one app.
const HISTORY_PERIODS: u32 = 1440;

/// Points that are asked for at once, and how long the next so many are put off: two thirds of what an
/// account is given at least, since others ask as well. A run of one app comes to as many after 1,700 periods.
const POINTS_PER_CALL: i64 = 60_000;
const BETWEEN_CALLS: Duration = Duration::from_secs(1);

/// The same for each of so many apps; never less than the criteria want.
fn history_periods(apps: usize, criteria: &Criteria) -> i64 {
    let share = HISTORY_PERIODS / u32::try_from(apps.max(1)).unwrap_or(HISTORY_PERIODS);
    share.max(criteria.history_periods.min(HISTORY_PERIODS)).into()
}

/// Counts of one metric by the start of their period, in seconds since the epoch.
pub type Series = BTreeMap<i64, f64>;

/// Both fleets' counts from well before the run until `now`, for every app of the plan in their order. What
/// a fleet left unanswered is counted from each of the `starts` on, as [`attribute`] does it. Target health and alarms are left for the caller to fill in: other APIs know them.
///
/// # Errors
/// As AWS answers; `AwsUnavailable` when `CloudWatch` marks a result as failed.
pub async fn samples(
    client: &Client,
    plan: &Plan,
    starts: &[i64],
    now: Timestamp,
) -> Result<Vec<Samples>, Error> {
    let of_app = |(index, app): (usize, &PlannedApp)| {
        let times = [app.slow_seconds, app.hung_seconds].map(|seconds| format!("TC({seconds}:)"));
        [("live", &app.live_group), ("standby", &app.standby_group)].map(|(role, group)| Asked {
            id: format!("{role}_{index}"),
            target_group_arn: group.clone(),
            times: times.clone(),
        })
    };
    let question = Question {
        load_balancer_arn: &plan.load_balancer_arn,
        fleets: plan.apps.iter().enumerate().flat_map(of_app).collect(),
        period_seconds: plan.period_seconds,
        history_periods: history_periods(plan.apps.len(), &plan.criteria),
    };
    let began = plan.execution.started_at.as_second();
    let mut series = question.ask(client, began, now).await?;
    let own = own_errors(&mut series);
    let mut fleet = |role: &str, index: usize| fleet_samples(&mut series, &format!("{role}_{index}"));
    let of_app = |index| Samples {
        now,
        live: fleet("live", index),
        standby: fleet("standby", index),
        balancer_errors: own.clone(),
        alarms: Vec::new(),
    };
    let mut samples: Vec<Samples> = (0..plan.apps.len()).map(of_app).collect();
    attribute(&mut samples, starts);
    Ok(samples)
}

/// The balancer's own errors.
fn own_errors(series: &mut BTreeMap<String, Series>) -> Vec<OwnErrors> {
    let mut own: BTreeMap<i64, OwnErrors> = BTreeMap::new();
    for status in BALANCER_ERRORS {
        for (at, count) in series.remove(&balancer_id(status)).unwrap_or_default() {
            let own = own.entry(at).or_insert(OwnErrors { at, ..OwnErrors::default() });
            let counted = if status == "503" { &mut own.no_target } else { &mut own.unanswered };
            *counted += whole(count);
        }
    }
    own.into_values().collect()
}

fn fleet_samples(series: &mut BTreeMap<String, Series>, id: &str) -> FleetSamples {
    FleetSamples { samples: counts(series, id), ..FleetSamples::default() }
}

/// What both fleets of these apps did until now, for the plan.
///
/// # Errors
/// As [`samples`].
pub async fn past(
    client: &Client,
    load_balancer_arn: &str,
    apps: &[FoundApp],
    input: &Input,
    now: Timestamp,
) -> Result<Vec<[Past; 2]>, Error> {
    let of_app = |(index, app): (usize, &FoundApp)| {
        let asked = |fleet: usize| Asked {
            id: format!("fleet_{fleet}_{index}"),
            target_group_arn: app.fleets[fleet].target_group_arn.clone(),
            times: USUALLY_BELOW.map(|percent| format!("p{percent}")),
        };
        [0, 1].map(asked)
    };
    let question = Question {
        load_balancer_arn,
        fleets: apps.iter().enumerate().flat_map(of_app).collect(),
        period_seconds: input.period.0,
        history_periods: history_periods(apps.len(), &input.criteria),
    };
    let mut series = question.ask(client, now.as_second(), now).await?;
    let own = own_errors(&mut series);
    let mut median = |id: String| {
        // The median of the periods' own percentiles: a percentile of percentiles is none, but a
        // threshold needs no more than to lie about where so many responses are slower.
        let mut usual: Vec<f64> = series.remove(&id).unwrap_or_default().into_values().collect();
        usual.sort_by(f64::total_cmp);
        usual.get(usual.len() / 2).copied()
    };
    let mut usual =
        |fleet: usize, index: usize| TIMES.map(|id| median(format!("fleet_{fleet}_{index}_{id}")));
    let usual: Vec<[[Option<f64>; 2]; 2]> =
        (0..apps.len()).map(|index| [0, 1].map(|fleet| usual(fleet, index))).collect();
    let mut fleet =
        |fleet: usize, index: usize| fleet_samples(&mut series, &format!("fleet_{fleet}_{index}"));
    let of_app = |index| Samples {
        now,
        live: fleet(0, index),
        standby: fleet(1, index),
        balancer_errors: own.clone(),
        alarms: Vec::new(),
    };
    let mut samples: Vec<Samples> = (0..apps.len()).map(of_app).collect();
    attribute(&mut samples, &[]);
    let past = |(samples, usual): (Samples, [[Option<f64>; 2]; 2])| {
        let past =
            |(fleet, [usual_slow_seconds, usual_longest_seconds]): (FleetSamples, [Option<f64>; 2])| {
                let counts = fleet.samples.into_iter().map(Sample::counts).collect();
                Past { usual_slow_seconds, usual_longest_seconds, counts, ..Past::default() }
            };
        [past((samples.live, usual[0])), past((samples.standby, usual[1]))]
    };
    Ok(samples.into_iter().zip(usual).map(past).collect())
}

/// The percentiles of response times above which a response is called slow, and unusually long.
const USUALLY_BELOW: [&str; 2] = ["95", "99.9"];

/// What the ids of the queries about response times end with.
const TIMES: [&str; 2] = ["slow", "hung"];

/// Answers of the balancer itself that a broken fleet may cause.
const BALANCER_ERRORS: [&str; 3] = ["502", "503", "504"];

fn balancer_id(status: &str) -> String {
    format!("balancer_{status}")
}

/// One `GetMetricData` about the fleets of apps behind one balancer.
struct Question<'a> {
    load_balancer_arn: &'a str,
    fleets: Vec<Asked>,
    period_seconds: u32,
    history_periods: i64,
}

/// A fleet that is asked for.
struct Asked {
    /// What the ids of its queries begin with.
    id: String,
    target_group_arn: String,
    /// The statistics of its response times.
    times: [String; 2],
}

impl Question<'_> {
    /// From well before `began` until `now`, for one app a day's worth of minutes. Where traffic is thin,
    /// the verdict looks that far back; elsewhere it uses the last hour of it.
    async fn ask(
        &self,
        client: &Client,
        began: i64,
        now: Timestamp,
    ) -> Result<BTreeMap<String, Series>, Error> {
        let period = i64::from(self.period_seconds.max(1));
        let floor = |second: i64| second.div_euclid(period) * period;
        let (from, to) = (floor(began) - self.history_periods * period, floor(now.as_second()));
        let per_call = POINTS_PER_CALL / ((to - from) / period).max(1);
        let mut series = BTreeMap::new();
        for (number, some) in self.queries().chunks(usize::try_from(per_call).unwrap_or(1).max(1)).enumerate()
        {
            if number > 0 {
                tokio::time::sleep(BETWEEN_CALLS).await;
            }
            series.extend(fetch(client, some.to_vec(), from, to).await?);
        }
        Ok(series)
    }

    fn queries(&self) -> Vec<MetricDataQuery> {
        let period = i32::try_from(self.period_seconds).unwrap_or(60);
        let balancer = of_balancer(self.load_balancer_arn);
        let mut queries = Vec::new();
        for Asked { id: fleet, target_group_arn, times } in &self.fleets {
            let group = of_group(target_group_arn);
            for (id, metric, statistic) in [
                ("requests", "RequestCount", "Sum"),
                ("target_5xx", "HTTPCode_Target_5XX_Count", "Sum"),
                ("target_4xx", "HTTPCode_Target_4XX_Count", "Sum"),
                ("target_3xx", "HTTPCode_Target_3XX_Count", "Sum"),
                ("target_2xx", "HTTPCode_Target_2XX_Count", "Sum"),
                ("connection_errors", "TargetConnectionErrorCount", "Sum"),
                (TIMES[0], "TargetResponseTime", times[0].as_str()),
                (TIMES[1], "TargetResponseTime", times[1].as_str()),
            ] {
                let dimensions = vec![balancer.clone(), group.clone()];
                queries.push(query(format!("{fleet}_{id}"), metric, statistic, dimensions, period));
            }
        }
        for status in BALANCER_ERRORS {
            let metric = format!("HTTPCode_ELB_{status}_Count");
            queries.push(query(balancer_id(status), &metric, "Sum", vec![balancer.clone()], period));
        }
        queries
    }
}

/// How `CloudWatch` knows a balancer: by what follows in its ARN, such as `app/name/id`.
pub fn of_balancer(load_balancer_arn: &str) -> Dimension {
    // The first one: a balancer may be called `my-loadbalancer`.
    let known_by = load_balancer_arn.split_once(":loadbalancer/").map_or(load_balancer_arn, |(_, id)| id);
    dimension("LoadBalancer", known_by)
}

/// How `CloudWatch` knows a target group: such as `targetgroup/name/id`.
pub fn of_group(target_group_arn: &str) -> Dimension {
    match target_group_arn.split_once(":targetgroup/") {
        Some((_, id)) => dimension("TargetGroup", &format!("targetgroup/{id}")),
        None => dimension("TargetGroup", target_group_arn),
    }
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
        check_complete(&page)?;
        for result in page.metric_data_results() {
            let id = result.id().unwrap_or_default();
            series.entry(id.to_owned()).or_default().extend(points(result));
        }
    }
    Ok(series)
}

/// Refuses an answer that may lack something. What is said of a result that is complete is no such thing.
fn check_complete(page: &GetMetricDataOutput) -> Result<(), Error> {
    let incomplete = |what: String| {
        let message = format!("CloudWatch could not read {what}; no data is never taken for healthy");
        Err(Error::new(ErrorKind::AwsUnavailable, message))
    };
    if let Some(said) = page.messages().first() {
        let words = [said.code(), said.value()].map(|text| text.unwrap_or_default()).join(": ");
        return incomplete(format!("all metrics ({words})"));
    }
    for result in page.metric_data_results() {
        // PartialData only says that more pages follow.
        if matches!(result.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
            return incomplete(result.id().unwrap_or_default().to_owned());
        }
    }
    Ok(())
}

fn points(result: &MetricDataResult) -> impl Iterator<Item = (i64, f64)> + '_ {
    result.timestamps().iter().map(DateTime::secs).zip(result.values().iter().copied())
}

/// Requests make the samples: a count that is missing beside them is zero, while a period without
/// requests is no data at all.
fn counts(series: &mut BTreeMap<String, Series>, role: &str) -> Vec<Sample> {
    let mut take = |id: &str| series.remove(&format!("{role}_{id}")).unwrap_or_default();
    let (requests, target_5xx, target_4xx) = (take("requests"), take("target_5xx"), take("target_4xx"));
    let (target_3xx, target_2xx) = (take("target_3xx"), take("target_2xx"));
    let (connection_errors, [slow, hung]) = (take("connection_errors"), TIMES.map(&mut take));
    let count = |series: &Series, at: &i64| series.get(at).copied().map_or(0, whole);
    let sample = |(at, n): (&i64, &f64)| Sample {
        at: *at,
        requests: whole(*n),
        target_5xx: count(&target_5xx, at),
        target_4xx: count(&target_4xx, at),
        answers: [&target_2xx, &target_3xx, &target_4xx, &target_5xx]
            .map(|class| count(class, at))
            .iter()
            .sum(),
        unanswered: 0,
        connection_errors: count(&connection_errors, at),
        slow: count(&slow, at),
        hung: count(&hung, at),
    };
    requests.iter().map(sample).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::types::MessageData;
    use proptest::prelude::*;

    use super::*;

    fn message(code: &str) -> MessageData {
        MessageData::builder().code(code).value("what happened").build()
    }

    fn result(id: &str, status: StatusCode) -> MetricDataResult {
        MetricDataResult::builder().id(id).status_code(status).messages(message("MultipleUnits")).build()
    }

    #[test]
    fn an_answer_that_says_what_it_lacks_is_not_taken_for_complete() {
        let page = |results: Vec<MetricDataResult>, messages: Vec<MessageData>| {
            let page = GetMetricDataOutput::builder().set_metric_data_results(Some(results));
            check_complete(&page.set_messages(Some(messages)).build()).map_err(|error| error.message)
        };
        let complete = || result("live_0_requests", StatusCode::Complete);
        assert_eq!(page(vec![complete(), result("more", StatusCode::PartialData)], Vec::new()), Ok(()));
        let most = page(vec![complete()], vec![message("MaxMetricsExceeded")]).unwrap_err();
        assert!(most.contains("MaxMetricsExceeded: what happened"), "{most}");
        for status in [StatusCode::InternalError, StatusCode::Forbidden] {
            assert!(page(vec![complete(), result("slow", status)], Vec::new()).unwrap_err().contains("slow"));
        }
    }

    proptest! {
        /// Also where a name looks like another part of the ARN.
        #[test]
        fn metrics_are_asked_for_by_what_stands_in_the_arn(
            name in "([a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?)|((my-)?(loadbalancer|targetgroup))",
            id in "[0-9a-f]{16}",
        ) {
            let begins = "arn:aws:elasticloadbalancing:eu-central-1:123456789012";
            let balancer = of_balancer(&format!("{begins}:loadbalancer/app/{name}/{id}"));
            prop_assert_eq!(balancer.value(), Some(&*format!("app/{name}/{id}")));
            let group = of_group(&format!("{begins}:targetgroup/{name}/{id}"));
            prop_assert_eq!(group.value(), Some(&*format!("targetgroup/{name}/{id}")));
        }
    }
}
