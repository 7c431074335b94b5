//! CloudWatch: the minutes of the world, late, and in pieces at first.

use std::sync::{Arc, Mutex};

use alb::{Asked, Measured, Range, Statistic};

use crate::fleet::{Counted, RANGES, end_of};
use crate::world::{World, lock};

/// What is measured of a world. The labels of both target groups come once they are created.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The world.
    pub world: Arc<Mutex<World>>,
    /// What CloudWatch calls the two target groups.
    pub labels: Arc<Mutex<Vec<String>>>,
}

impl Measured for Watch {
    fn points(&self, asked: &Asked<'_>) -> Vec<(i64, f64)> {
        let world = lock(&self.world);
        let fleet = match asked.group {
            None => None,
            Some(group) => match lock(&self.labels).iter().position(|label| label == group) {
                Some(fleet) => Some(fleet),
                None => return Vec::new(),
            },
        };
        let Some(sample) = Sample::of(asked.metric) else { return Vec::new() };
        let mut points = Vec::new();
        let first = asked.from.max(world.first).div_euclid(asked.period) * asked.period;
        let mut start = if first < asked.from { first + asked.period } else { first };
        while start < asked.to {
            if asked.period == 60
                && let Some(fleet) = fleet
            {
                // Most of what is ever asked for: a whole minute of one fleet.
                let index = usize::try_from((start - world.first) / 60).unwrap_or(usize::MAX);
                let share = shown(&world, start);
                if let Some(both) = world.minutes.get(index).filter(|_| share > 0.0) {
                    let counted = &both[fleet];
                    let value = match share {
                        share if share < 1.0 => {
                            sample.value(&part(counted, share), 0.0, true, asked.statistic)
                        }
                        _ => sample.value(counted, 0.0, true, asked.statistic),
                    };
                    points.extend(value.map(|value| (start, value)));
                }
                start += 60;
                continue;
            }
            let mut sum = Counted::default();
            let (mut foreign, mut any) = (0.0, false);
            for minute in (start..start + asked.period).step_by(60) {
                let share = shown(&world, minute);
                let Ok(index) = usize::try_from((minute - world.first) / 60) else { continue };
                let Some(both) = world.minutes.get(index).filter(|_| share > 0.0) else { continue };
                any = true;
                foreign += f64::from(world.foreign[index]) * share;
                for (number, counted) in both.iter().enumerate() {
                    if fleet.is_none_or(|fleet| fleet == number) {
                        sum.add(&if share < 1.0 { part(counted, share) } else { *counted });
                    }
                }
            }
            let foreign = if fleet.is_none() { foreign.floor() } else { 0.0 };
            if any && let Some(value) = sample.value(&sum, foreign, fleet.is_some(), asked.statistic) {
                points.push((start, value));
            }
            start += asked.period;
        }
        points
    }
}

/// The share of a minute's samples that is shown now.
fn shown(world: &World, minute: i64) -> f64 {
    let (late, partial) = world.plot.late;
    // The same minute is always as late, and others are not.
    let mixed = (minute.cast_unsigned() ^ world.plot.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let drawn = (mixed >> 40) as f64 / f64::from(1 << 24);
    let age = world.now - (minute + 60) as f64 - late * (0.5 + drawn);
    match age {
        age if age < 0.0 => 0.0,
        age if age < partial * drawn => 0.3 + 0.6 * drawn,
        _ => 1.0,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
fn part(counted: &Counted, share: f64) -> Counted {
    let some = |count: u32| (f64::from(count) * share).ceil() as u32;
    Counted {
        requests: some(counted.requests),
        classes: counted.classes.map(some),
        connection_errors: some(counted.connection_errors),
        balancer: counted.balancer.map(some),
        times: counted.times.map(some),
        hosts: counted.hosts,
    }
}

/// What a metric is made of.
enum Sample {
    Requests,
    Class(usize),
    ConnectionErrors,
    /// 502, 503 or 504, or all of them.
    Balancer(Option<usize>),
    Times,
    Hosts(usize),
}

impl Sample {
    fn of(metric: &str) -> Option<Self> {
        Some(match metric {
            "RequestCount" => Self::Requests,
            "HTTPCode_Target_2XX_Count" => Self::Class(0),
            "HTTPCode_Target_3XX_Count" => Self::Class(1),
            "HTTPCode_Target_4XX_Count" => Self::Class(2),
            "HTTPCode_Target_5XX_Count" => Self::Class(3),
            "TargetConnectionErrorCount" => Self::ConnectionErrors,
            "HTTPCode_ELB_502_Count" => Self::Balancer(Some(0)),
            "HTTPCode_ELB_503_Count" => Self::Balancer(Some(1)),
            "HTTPCode_ELB_504_Count" => Self::Balancer(Some(2)),
            "HTTPCode_ELB_5XX_Count" => Self::Balancer(None),
            "TargetResponseTime" => Self::Times,
            "HealthyHostCount" => Self::Hosts(0),
            "UnHealthyHostCount" => Self::Hosts(1),
            _ => return None,
        })
    }

    /// The statistic over a period; none where there is no sample, as there is for no count of zero.
    fn value(&self, counted: &Counted, foreign: f64, of_group: bool, statistic: Statistic) -> Option<f64> {
        let count = match self {
            Self::Times => return times(&counted.times, statistic),
            Self::Hosts(which) => return of_group.then(|| f64::from(counted.hosts[*which])),
            Self::Requests => f64::from(counted.requests) + foreign,
            Self::Class(class) => f64::from(counted.classes[*class]),
            Self::ConnectionErrors => f64::from(counted.connection_errors),
            // The balancer knows its own answers by target group as little as CloudWatch does.
            Self::Balancer(_) if of_group => return None,
            Self::Balancer(Some(code)) => {
                f64::from(counted.balancer[*code]) + if *code == 1 { foreign } else { 0.0 }
            }
            Self::Balancer(None) => f64::from(counted.balancer.iter().sum::<u32>()) + foreign,
        };
        let value = if matches!(statistic, Statistic::Sum | Statistic::SampleCount) { count } else { 1.0 };
        (count > 0.0).then_some(value)
    }
}

/// A statistic of response times. Within a range they are taken to be spread evenly by their logarithm.
fn times(times: &[u32; RANGES], statistic: Statistic) -> Option<f64> {
    let count = f64::from(times.iter().sum::<u32>());
    if count == 0.0 {
        return None;
    }
    let middle = |range: usize| end_of(range) / 1.35_f64.sqrt();
    let sum = || times.iter().enumerate().map(|(range, n)| f64::from(*n) * middle(range)).sum::<f64>();
    let mut held = times.iter().enumerate().filter(|(_, n)| **n > 0).map(|(range, _)| range);
    Some(match statistic {
        Statistic::SampleCount => count,
        Statistic::Sum => sum(),
        Statistic::Average => sum() / count,
        Statistic::Minimum => held.next().map_or(0.0, middle),
        Statistic::Maximum => held.next_back().map_or(0.0, middle),
        Statistic::Percentile(percent) => percentile(times, percent / 100.0 * count),
        Statistic::TrimmedCount(range) => within(times, range),
        Statistic::Rank(range) => within(times, range) / count * 100.0,
    })
}

fn percentile(times: &[u32; RANGES], rank: f64) -> f64 {
    let mut before = 0.0;
    for (range, n) in times.iter().enumerate() {
        let n = f64::from(*n);
        if n > 0.0 && before + n >= rank {
            return end_of(range) / 1.35_f64.powf(1.0 - ((rank - before) / n).clamp(0.0, 1.0));
        }
        before += n;
    }
    end_of(RANGES - 1)
}

/// How many are above the lower bound and up to the upper one.
fn within(times: &[u32; RANGES], range: Range) -> f64 {
    let below = |bound: f64| {
        let part = |(range, n): (usize, &u32)| {
            let passed = (bound / end_of(range)).max(f64::MIN_POSITIVE).log(1.35) + 1.0;
            f64::from(*n) * passed.clamp(0.0, 1.0)
        };
        times.iter().enumerate().map(part).sum::<f64>()
    };
    let upper = if range.high.is_finite() { below(range.high) } else { f64::from(times.iter().sum::<u32>()) };
    let lower = if range.low.is_finite() { below(range.low) } else { 0.0 };
    (upper - lower).max(0.0).round()
}
