//! The limits of one metric, and how they are read.

use serde::{Deserialize, Deserializer, Serialize};

use super::counts::Metric;

/// Limits of one metric. Percentages of requests, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How much worse than live, in percent of live's rate, is still fine.
    pub margin_percent: f64,
    /// Percentage points that are fine on top, whatever live's rate.
    pub floor_percent: f64,
    /// How much worse than live, in percent of live's rate, an accepted standby is at most. Above
    /// the margin.
    pub accept_margin_percent: f64,
    /// Percentage points on top of that. Above the floor.
    pub accept_floor_percent: f64,
    /// Share of all bets that is laid on this metric, in percent. The metrics' shares add up to 100.
    pub share_percent: f64,
    /// How much live's own rate may have risen since its history was taken, in percent of it.
    pub drift_percent: f64,
    /// How many events are taken to come together while history has too few to tell.
    pub prior_dispersion: f64,
    /// How much the rate is taken to vary from period to period, as a percentage of it, while
    /// history is missing.
    pub prior_burst_percent: f64,
    /// Percentage points above its history at which a fleet may be called sick.
    pub sick_percent: f64,
    /// Absolute limit that rolls back without any comparison; none where left out.
    pub limit_percent: Option<f64>,
}

impl Limits {
    pub(super) const FAILURES: Self = Self {
        margin_percent: 20.0,
        floor_percent: 0.01,
        accept_margin_percent: 50.0,
        accept_floor_percent: 0.1,
        share_percent: 60.0,
        drift_percent: 40.0,
        prior_dispersion: 3.0,
        prior_burst_percent: 50.0,
        sick_percent: 1.0,
        limit_percent: None,
    };
    pub(super) const SLOW: Self = Self {
        margin_percent: 15.0,
        floor_percent: 0.2,
        accept_margin_percent: 25.0,
        accept_floor_percent: 0.5,
        share_percent: 30.0,
        drift_percent: 20.0,
        prior_dispersion: 2.0,
        prior_burst_percent: 15.0,
        sick_percent: 10.0,
        limit_percent: None,
    };
    pub(super) const CLIENT_ERRORS: Self = Self {
        margin_percent: 50.0,
        floor_percent: 0.5,
        accept_margin_percent: 80.0,
        accept_floor_percent: 1.0,
        share_percent: 10.0,
        drift_percent: 40.0,
        prior_dispersion: 3.0,
        prior_burst_percent: 30.0,
        sick_percent: 10.0,
        limit_percent: None,
    };
}

/// Checks the limits of one metric.
pub(super) fn check(limits: &Limits, metric: Metric) -> Result<(), String> {
    let name = match metric {
        Metric::Failures => "failures",
        Metric::Slow => "slow",
        Metric::ClientErrors => "clientErrors",
    };
    for (field, value, least, most) in [
        ("marginPercent", limits.margin_percent, 0.0, 1000.0),
        ("floorPercent", limits.floor_percent, 0.0, 50.0),
        ("acceptMarginPercent", limits.accept_margin_percent, 0.0, 10_000.0),
        ("acceptFloorPercent", limits.accept_floor_percent, 0.0, 100.0),
        ("sharePercent", limits.share_percent, 0.0, 100.0),
        ("driftPercent", limits.drift_percent, 0.0, 1000.0),
        ("priorDispersion", limits.prior_dispersion, 1.0, 1000.0),
        ("priorBurstPercent", limits.prior_burst_percent, 0.0, 1000.0),
        ("sickPercent", limits.sick_percent, 0.0, 100.0),
        ("limitPercent", limits.limit_percent.unwrap_or(100.0), 0.0, 100.0),
    ] {
        within(&format!("{name}.{field}"), value, least, most)?;
    }
    if limits.accept_margin_percent <= limits.margin_percent {
        return Err(format!(
            "`criteria.{name}.acceptMarginPercent`: {} is not above the margin of {} percent",
            limits.accept_margin_percent, limits.margin_percent
        ));
    }
    if limits.accept_floor_percent <= limits.floor_percent {
        return Err(format!(
            "`criteria.{name}.acceptFloorPercent`: {} is not above the floor of {} percent",
            limits.accept_floor_percent, limits.floor_percent
        ));
    }
    Ok(())
}

/// What an operator typed of a metric's limits.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Typed {
    margin_percent: Option<f64>,
    floor_percent: Option<f64>,
    accept_margin_percent: Option<f64>,
    accept_floor_percent: Option<f64>,
    share_percent: Option<f64>,
    drift_percent: Option<f64>,
    prior_dispersion: Option<f64>,
    prior_burst_percent: Option<f64>,
    sick_percent: Option<f64>,
    limit_percent: Option<f64>,
}

/// Fills what was not typed from the metric's own defaults, which a derived default could not do:
/// the three metrics share a type but no numbers.
fn typed<'de, D: Deserializer<'de>>(deserializer: D, default: Limits) -> Result<Limits, D::Error> {
    let typed = Typed::deserialize(deserializer)?;
    Ok(Limits {
        margin_percent: typed.margin_percent.unwrap_or(default.margin_percent),
        floor_percent: typed.floor_percent.unwrap_or(default.floor_percent),
        accept_margin_percent: typed.accept_margin_percent.unwrap_or(default.accept_margin_percent),
        accept_floor_percent: typed.accept_floor_percent.unwrap_or(default.accept_floor_percent),
        share_percent: typed.share_percent.unwrap_or(default.share_percent),
        drift_percent: typed.drift_percent.unwrap_or(default.drift_percent),
        prior_dispersion: typed.prior_dispersion.unwrap_or(default.prior_dispersion),
        prior_burst_percent: typed.prior_burst_percent.unwrap_or(default.prior_burst_percent),
        sick_percent: typed.sick_percent.unwrap_or(default.sick_percent),
        limit_percent: typed.limit_percent.or(default.limit_percent),
    })
}

pub(super) fn failures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limits, D::Error> {
    typed(deserializer, Limits::FAILURES)
}

pub(super) fn slow<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limits, D::Error> {
    typed(deserializer, Limits::SLOW)
}

pub(super) fn client_errors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limits, D::Error> {
    typed(deserializer, Limits::CLIENT_ERRORS)
}

/// Refuses a number outside its range, by name.
pub(super) fn within(field: &str, value: f64, least: f64, most: f64) -> Result<(), String> {
    // Written so that a NaN fails too.
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("`criteria.{field}`: {value} is not between {least} and {most}"))
}
