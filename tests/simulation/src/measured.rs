//! CloudWatch: the minutes of the world, late, and in pieces at first.

use std::sync::{Arc, Mutex, MutexGuard};

use alb::{Asked, Measured, Range, Statistic};

use crate::fleet::{Counted, RANGES, end_of};
use crate::lie::Lie;
use crate::world::{World, lock};

/// What is measured of the worlds of all apps. The labels come once the target groups are created.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The world of each app.
    pub worlds: Vec<Arc<Mutex<World>>>,
    /// What CloudWatch calls the target groups: both of the first app, then both of the next.
    pub labels: Arc<Mutex<Vec<String>>>,
    /// A fence that is down.
    pub lie: Option<Lie>,
}

impl Measured for Watch {
    fn points(&self, asked: &Asked<'_>) -> Vec<(i64, f64)> {
        let fleet = match asked.group {
            None => None,
            Some(group) => match lock(&self.labels).iter().position(|label| label == group) {
                Some(place) => Some((place / 2, place % 2)),
                None => return Vec::new(),
            },
        };
        let hidden = self.lie.is_some_and(|lie| !lie.shows(asked.metric, asked.period));
        let Some(sample) = Sample::of(asked.metric).filter(|_| !hidden) else { return Vec::new() };
        let query = Query::new(sample, asked.statistic);
        match fleet {
            // Most of what is ever asked for: whole minutes of one fleet.
            Some((app, fleet)) if asked.period == 60 => {
                of_minutes(&lock(&self.worlds[app]), fleet, &query, asked)
            }
            Some((app, fleet)) => of_periods(&[lock(&self.worlds[app])], Some(fleet), &query, asked),
            None => {
                let worlds: Vec<MutexGuard<'_, World>> =
                    self.worlds.iter().map(|world| lock(world)).collect();
                of_periods(&worlds, None, &query, asked)
            }
        }
    }
}

/// The start of the first period that is asked for and known.
fn first(world: &World, asked: &Asked<'_>) -> i64 {
    let first = asked.from.max(world.first).div_euclid(asked.period) * asked.period;
    if first < asked.from { first + asked.period } else { first }
}

fn of_minutes(world: &World, fleet: usize, query: &Query, asked: &Asked<'_>) -> Vec<(i64, f64)> {
    let start = first(world, asked);
    let skipped = usize::try_from((start - world.first) / 60).unwrap_or(usize::MAX);
    let minutes = world.minutes.get(skipped..).unwrap_or_default();
    let mut points = Vec::with_capacity(minutes.len());
    for (both, start) in minutes.iter().zip((start..asked.to).step_by(60)) {
        let counted = &both[fleet];
        let value = match shown(world, start) {
            share if share <= 0.0 => None,
            share if share < 1.0 => query.value(&part(counted, share), 0.0, true),
            _ => query.value(counted, 0.0, true),
        };
        points.extend(value.map(|value| (start, value)));
    }
    points
}

fn of_periods(
    worlds: &[MutexGuard<'_, World>],
    fleet: Option<usize>,
    query: &Query,
    asked: &Asked<'_>,
) -> Vec<(i64, f64)> {
    let mut points = Vec::new();
    for start in (first(&worlds[0], asked)..asked.to).step_by(usize::try_from(asked.period).unwrap_or(60)) {
        let mut sum = Counted::default();
        let (mut foreign, mut any) = (0.0, false);
        for (number, world) in worlds.iter().enumerate() {
            for minute in (start..start + asked.period).step_by(60) {
                let share = shown(world, minute);
                let Ok(index) = usize::try_from((minute - world.first) / 60) else { continue };
                let Some(both) = world.minutes.get(index).filter(|_| share > 0.0) else { continue };
                any = true;
                // The neighbour is one, however many apps there are.
                foreign += if number == 0 { f64::from(world.foreign[index]) * share } else { 0.0 };
                for (number, counted) in both.iter().enumerate() {
                    if fleet.is_none_or(|fleet| fleet == number) {
                        // Most of a minute is how long answers took, which few ask for.
                        let timed = matches!(query.sample, Sample::Times);
                        let add = if timed { Counted::add } else { Counted::add_counts };
                        add(&mut sum, &if share < 1.0 { part(counted, share) } else { *counted });
                    }
                }
            }
        }
        let foreign = if fleet.is_none() { foreign.floor() } else { 0.0 };
        if any && let Some(value) = query.value(&sum, foreign, fleet.is_some()) {
            points.push((start, value));
        }
    }
    points
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
}

/// What is asked of samples, with what is the same for each period of it.
struct Query {
    sample: Sample,
    statistic: Statistic,
    /// Which share of each range of response times is within what is asked for.
    within: [f64; RANGES],
}

impl Query {
    fn new(sample: Sample, statistic: Statistic) -> Self {
        let within = match statistic {
            Statistic::TrimmedCount(range) | Statistic::Rank(range) => within(range),
            _ => [0.0; RANGES],
        };
        Self { sample, statistic, within }
    }

    /// The statistic over a period; none where there is no sample, as there is for no count of zero.
    fn value(&self, counted: &Counted, foreign: f64, of_group: bool) -> Option<f64> {
        let count = match self.sample {
            Sample::Times => return self.times(&counted.times),
            Sample::Hosts(which) => return of_group.then(|| f64::from(counted.hosts[which])),
            Sample::Requests => f64::from(counted.requests) + foreign,
            Sample::Class(class) => f64::from(counted.classes[class]),
            Sample::ConnectionErrors => f64::from(counted.connection_errors),
            // The balancer knows its own answers by target group as little as CloudWatch does.
            Sample::Balancer(_) if of_group => return None,
            Sample::Balancer(Some(code)) => {
                f64::from(counted.balancer[code]) + if code == 1 { foreign } else { 0.0 }
            }
            Sample::Balancer(None) => f64::from(counted.balancer.iter().sum::<u32>()) + foreign,
        };
        let value =
            if matches!(self.statistic, Statistic::Sum | Statistic::SampleCount) { count } else { 1.0 };
        (count > 0.0).then_some(value)
    }

    /// A statistic of response times. Within a range they are taken to be spread evenly by their logarithm.
    fn times(&self, times: &[u32; RANGES]) -> Option<f64> {
        let count = f64::from(times.iter().sum::<u32>());
        if count == 0.0 {
            return None;
        }
        let middle = |range: usize| end_of(range) / 1.35_f64.sqrt();
        let sum = || times.iter().enumerate().map(|(range, n)| f64::from(*n) * middle(range)).sum::<f64>();
        let mut held = times.iter().enumerate().filter(|(_, n)| **n > 0).map(|(range, _)| range);
        let within =
            || times.iter().zip(&self.within).map(|(n, share)| f64::from(*n) * share).sum::<f64>().round();
        Some(match self.statistic {
            Statistic::SampleCount => count,
            Statistic::Sum => sum(),
            Statistic::Average => sum() / count,
            Statistic::Minimum => held.next().map_or(0.0, middle),
            Statistic::Maximum => held.next_back().map_or(0.0, middle),
            Statistic::Percentile(percent) => percentile(times, percent / 100.0 * count),
            Statistic::TrimmedCount(_) => within(),
            Statistic::Rank(_) => within() / count * 100.0,
        })
    }
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

/// Which share of each range is above the lower bound and up to the upper one.
fn within(bounds: Range) -> [f64; RANGES] {
    let below = |bound: f64, range: usize| {
        ((bound / end_of(range)).max(f64::MIN_POSITIVE).log(1.35) + 1.0).clamp(0.0, 1.0)
    };
    std::array::from_fn(|range| {
        let upper = if bounds.high.is_finite() { below(bounds.high, range) } else { 1.0 };
        let lower = if bounds.low.is_finite() { below(bounds.low, range) } else { 0.0 };
        (upper - lower).max(0.0)
    })
}
