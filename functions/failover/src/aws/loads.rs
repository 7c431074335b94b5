//! What fleets have carried in the last fifteen days, for the plan.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::MetricDataQuery;
use jiff::Timestamp;

use super::metrics::{fetch, of_balancer, of_group, query};
use crate::model::error::Error;
use crate::plan::{FoundApp, Load};

/// How far back loads are looked at: as long as `CloudWatch` keeps minutes, in seconds.
const BACK: i64 = 15 * 24 * 3600;
/// The same where periods are no whole minutes: AWS keeps such for three hours alone.
const BACK_OF_SECONDS: i64 = 10_000;

/// Periods of the run in one of the loads: a fleet that cannot carry its load fails for minutes.
const PERIODS: u32 = 5;

/// Points that are asked for at most. One app comes to 35,000; for more the periods become longer, in which
/// peaks look lower than they were.
const MOST_POINTS: i64 = 100_000;
/// Points that are asked for at once, and how long the next are put off: an account is given 90,000 a second.
const POINTS_PER_CALL: i64 = 50_000;
const BETWEEN_CALLS: std::time::Duration = std::time::Duration::from_secs(1);

/// What is asked of each fleet.
const ASKED: [(&str, &str, &str); 4] = [
    ("requests", "RequestCount", "Sum"),
    ("errors", "HTTPCode_Target_5XX_Count", "Sum"),
    ("refused", "TargetConnectionErrorCount", "Sum"),
    ("healthy", "HealthyHostCount", "Maximum"),
];

/// The loads of both fleets of these apps, in their order, and how long a period of them is in seconds.
///
/// # Errors
/// As AWS answers; `AwsUnavailable` when `CloudWatch` marks a result as failed.
pub async fn loads(
    client: &Client,
    load_balancer_arn: &str,
    apps: &[FoundApp],
    period_seconds: u32,
    now: Timestamp,
) -> Result<(Vec<[Vec<Load>; 2]>, u32), Error> {
    let period = period_of(apps.len(), period_seconds);
    let step = i64::from(period);
    let to = now.as_second().div_euclid(step) * step;
    let from = to - back(period) / step * step;
    let queries = queries(load_balancer_arn, apps, period);
    let per_call = usize::try_from(POINTS_PER_CALL * step / (to - from).max(1)).unwrap_or(1).max(1);
    let mut series = std::collections::BTreeMap::new();
    for (number, some) in queries.chunks(per_call).enumerate() {
        if number > 0 {
            tokio::time::sleep(BETWEEN_CALLS).await;
        }
        series.extend(fetch(client, some.to_vec(), from, to).await?);
    }
    let mut of_fleet = |index: usize, fleet: usize| {
        let mut take = |what: &str| series.remove(&id(index, fleet, what)).unwrap_or_default();
        let [requests, errors, refused, healthy] = ASKED.map(|(what, ..)| take(what));
        let load = |(at, requests): (&i64, &f64)| Load {
            at: *at,
            requests: *requests,
            failures: [&errors, &refused].iter().filter_map(|series| series.get(at)).sum(),
            healthy: healthy.get(at).copied().unwrap_or(0.0),
        };
        requests.iter().map(load).collect()
    };
    Ok(((0..apps.len()).map(|index| [0, 1].map(|fleet| of_fleet(index, fleet))).collect(), period))
}

fn back(period: u32) -> i64 {
    if period.is_multiple_of(60) { BACK } else { BACK_OF_SECONDS }
}

/// As long as keeps within the points that are asked for at most.
fn period_of(apps: usize, period_seconds: u32) -> u32 {
    let shortest = period_seconds.max(1) * PERIODS;
    let series = i64::try_from(apps * 2 * ASKED.len()).unwrap_or(i64::MAX);
    let points = series.saturating_mul(back(shortest) / i64::from(shortest));
    shortest * u32::try_from(points.div_euclid(MOST_POINTS) + 1).unwrap_or(u32::MAX)
}

fn id(app: usize, fleet: usize, what: &str) -> String {
    format!("load_{app}_{fleet}_{what}")
}

fn queries(load_balancer_arn: &str, apps: &[FoundApp], period: u32) -> Vec<MetricDataQuery> {
    let period = i32::try_from(period).unwrap_or(300);
    let mut queries = Vec::new();
    for (index, app) in apps.iter().enumerate() {
        for (number, fleet) in app.fleets.iter().enumerate() {
            for (what, metric, statistic) in ASKED {
                let dimensions = vec![of_balancer(load_balancer_arn), of_group(&fleet.target_group_arn)];
                queries.push(query(id(index, number, what), metric, statistic, dimensions, period));
            }
        }
    }
    queries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_days_of_any_number_of_apps_are_read_within_seconds() {
        assert_eq!((period_of(1, 60), period_of(2, 60)), (300, 300));
        for apps in 1..=16 {
            let period = period_of(apps, 60);
            assert!(period.is_multiple_of(60));
            let points = i64::try_from(apps * 8).unwrap() * (BACK / i64::from(period));
            assert!(points <= MOST_POINTS, "{apps}: {points}");
        }
        assert_eq!(period_of(1, 1), 5, "in a rehearsal seconds are minutes");
    }
}
