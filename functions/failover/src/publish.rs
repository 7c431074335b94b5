//! What only a run knows, as metrics: log lines in the embedded metric format of CloudWatch, which
//! makes metrics of them without a call. Everything else on the dashboard the balancer publishes.
//!
//! Every metric of a fleet and of an app costs by the hour in which it is published, so there are
//! few of them: two for each fleet, two for each app.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::contract::{Plan, Progress, Weights};
use crate::samples::{Figures, FleetFigures};

/// The namespace of all of them.
pub const NAMESPACE: &str = "Failover";

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// What a fleet gets, in percent, as it was set and read back.
    Weight,
    /// Responses of a fleet above the run's own threshold, in percent of its requests in the stage.
    SlowShare,
    /// The stage under watch, the first being 1.
    Stage,
    /// The odds against the standby, at most [`MOST_ODDS`].
    Odds,
}

/// Higher odds are published as these: they say no more, and CloudWatch takes no numbers at will.
pub const MOST_ODDS: f64 = 1e6;

impl Metric {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Weight, Self::SlowShare, Self::Stage, Self::Odds];

    /// As CloudWatch knows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weight => "Weight",
            Self::SlowShare => "SlowShare",
            Self::Stage => "Stage",
            Self::Odds => "Odds",
        }
    }

    /// Its unit, one of those that CloudWatch knows.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Weight | Self::SlowShare => "Percent",
            Self::Stage | Self::Odds => "None",
        }
    }

    /// What it is told apart by.
    pub const fn dimensions(self) -> &'static [&'static str] {
        match self {
            Self::Weight | Self::SlowShare => &["LoadBalancer", "App", "Fleet"],
            Self::Stage | Self::Odds => &["LoadBalancer", "App"],
        }
    }
}

/// The lines about weights that stand.
pub fn weights(plan: &Plan, weights: &Weights, now: Timestamp) -> Vec<Value> {
    let of_fleet = |(fleet, percent): (&String, &_)| {
        line(plan, Some(fleet), &[(Metric::Weight, f64::from(u8::from(*percent)))], now)
    };
    weights.iter().map(of_fleet).collect()
}

/// The lines about a poll of the stage that `progress` was at.
pub fn poll(plan: &Plan, progress: &Progress, figures: &Figures, now: Timestamp) -> Vec<Value> {
    let record = progress.timeline.last();
    let of_fleet = |name: &str, figures: &FleetFigures| {
        let weight = record.and_then(|record| record.weights.get(name));
        let weight = weight.map(|percent| (Metric::Weight, f64::from(percent.get())));
        // A fleet without requests has no share of them that is slow.
        let slow = (figures.requests > 0)
            .then(|| (Metric::SlowShare, 100.0 * figures.slow as f64 / figures.requests as f64));
        line(plan, Some(name), &weight.into_iter().chain(slow).collect::<Vec<_>>(), now)
    };
    let stage = (Metric::Stage, progress.stage as f64 + 1.0);
    let odds = figures.odds.as_ref().map(|odds| (Metric::Odds, odds.total.min(MOST_ODDS)));
    vec![
        of_fleet(&plan.live.name, &figures.live),
        of_fleet(&plan.standby.name, &figures.standby),
        line(plan, None, &[stage].into_iter().chain(odds).collect::<Vec<_>>(), now),
    ]
}

/// One document of the format, with metrics of the same dimensions.
fn line(plan: &Plan, fleet: Option<&str>, metrics: &[(Metric, f64)], now: Timestamp) -> Value {
    let definitions: Vec<Value> =
        metrics.iter().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
    let dimensions = metrics.first().map_or(&[][..], |(metric, _)| metric.dimensions());
    let mut line = Map::from_iter([
        (
            "_aws".to_owned(),
            json!({
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": [
                    { "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions },
                ],
            }),
        ),
        ("LoadBalancer".to_owned(), balancer_name(&plan.load_balancer_arn).into()),
        ("App".to_owned(), plan.app.as_str().into()),
    ]);
    line.extend(fleet.map(|fleet| ("Fleet".to_owned(), fleet.into())));
    line.extend(metrics.iter().map(|(metric, value)| (metric.name().to_owned(), (*value).into())));
    line.into()
}

/// The name of a balancer, which its ARN holds before the id that nobody knows beforehand.
fn balancer_name(arn: &str) -> &str {
    arn.split_once("loadbalancer/app/").and_then(|(_, rest)| rest.split('/').next()).unwrap_or(arn)
}

#[cfg(test)]
mod tests;
