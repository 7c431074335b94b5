//! What only a run knows, as metrics: log lines in the embedded metric format of CloudWatch, which
//! makes metrics of them without a call. Everything else on the dashboard the balancer publishes.
//!
//! Every metric of a fleet and of an app costs by the hour in which it is published, so there are
//! few of them: two for each fleet, two for each app.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::model::samples::{Figures, FleetFigures};
use crate::model::{Plan, PlannedApp, Progress, Weights};

/// The namespace of all of them.
pub const NAMESPACE: &str = "Failover";

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishedMetric {
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

impl PublishedMetric {
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

/// The lines about weights of apps that stand.
pub fn weights<'a>(
    plan: &Plan,
    stand: impl IntoIterator<Item = (&'a PlannedApp, Weights)>,
    now: Timestamp,
) -> Vec<Value> {
    let mut lines = Vec::new();
    for (app, weights) in stand {
        for (fleet, percent) in &weights {
            let weight = (PublishedMetric::Weight, f64::from(percent.get()));
            lines.push(line(plan, app, Some(fleet), &[weight], now));
        }
    }
    lines
}

/// The lines about a poll of the stage that `progress` was at.
pub fn poll(
    plan: &Plan,
    progress: &Progress,
    figures: &BTreeMap<String, Figures>,
    now: Timestamp,
) -> Vec<Value> {
    let known = plan.apps.iter().filter_map(|app| Some((app, figures.get(&app.name)?)));
    known.flat_map(|(app, figures)| polled(plan, app, progress, figures, now)).collect()
}

fn polled(
    plan: &Plan,
    app: &PlannedApp,
    progress: &Progress,
    figures: &Figures,
    now: Timestamp,
) -> [Value; 3] {
    let record = progress.timeline.last();
    let of_fleet = |name: &str, figures: &FleetFigures| {
        let weight = record.and_then(|record| record.weights.get(name));
        let weight = weight.map(|percent| (PublishedMetric::Weight, f64::from(percent.get())));
        // A fleet without requests has no share of them that is slow.
        let slow = (figures.requests > 0)
            .then(|| (PublishedMetric::SlowShare, 100.0 * figures.slow as f64 / figures.requests as f64));
        line(plan, app, Some(name), &weight.into_iter().chain(slow).collect::<Vec<_>>(), now)
    };
    let stage = (PublishedMetric::Stage, progress.stage as f64 + 1.0);
    let odds = figures.odds.as_ref().map(|odds| (PublishedMetric::Odds, odds.total.min(MOST_ODDS)));
    [
        of_fleet(&plan.live, &figures.live),
        of_fleet(&plan.standby, &figures.standby),
        line(plan, app, None, &[stage].into_iter().chain(odds).collect::<Vec<_>>(), now),
    ]
}

/// One document of the format, with metrics of the same dimensions.
fn line(
    plan: &Plan,
    app: &PlannedApp,
    fleet: Option<&str>,
    metrics: &[(PublishedMetric, f64)],
    now: Timestamp,
) -> Value {
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
        ("App".to_owned(), app.name.as_str().into()),
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
