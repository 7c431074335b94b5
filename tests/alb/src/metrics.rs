//! The metrics that an ALB publishes, second by second.
//!
//! AWS keeps these at a resolution of 60 seconds. Here every second is kept, so that a rehearsal
//! can bake for seconds instead of minutes; everything else is as an ALB does it: a count exists
//! only where it is not zero, and a second is published once it is over.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// How far back samples are kept, in seconds.
const RETENTION: i64 = 6 * 60 * 60;

/// A metric of the namespace `AWS/ApplicationELB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Metric {
    RequestCount,
    /// By the first digit of the status, 2 to 5.
    TargetCode(u8),
    TargetResponseTime,
    TargetConnectionErrorCount,
    HealthyHostCount,
    UnHealthyHostCount,
    /// By the first digit of the status, 4 or 5.
    BalancerClass(u8),
    /// 502, 503 or 504.
    BalancerCode(u16),
}

impl Metric {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RequestCount" => Self::RequestCount,
            "HTTPCode_Target_2XX_Count" => Self::TargetCode(2),
            "HTTPCode_Target_3XX_Count" => Self::TargetCode(3),
            "HTTPCode_Target_4XX_Count" => Self::TargetCode(4),
            "HTTPCode_Target_5XX_Count" => Self::TargetCode(5),
            "TargetResponseTime" => Self::TargetResponseTime,
            "TargetConnectionErrorCount" => Self::TargetConnectionErrorCount,
            "HealthyHostCount" => Self::HealthyHostCount,
            "UnHealthyHostCount" => Self::UnHealthyHostCount,
            "HTTPCode_ELB_4XX_Count" => Self::BalancerClass(4),
            "HTTPCode_ELB_5XX_Count" => Self::BalancerClass(5),
            "HTTPCode_ELB_502_Count" => Self::BalancerCode(502),
            "HTTPCode_ELB_503_Count" => Self::BalancerCode(503),
            "HTTPCode_ELB_504_Count" => Self::BalancerCode(504),
            _ => return None,
        })
    }

    /// The unit that CloudWatch shows.
    pub(crate) fn unit(self) -> &'static str {
        if self == Self::TargetResponseTime { "Seconds" } else { "Count" }
    }

    /// Whether the balancer publishes it over all of its groups as well.
    fn is_summed(self) -> bool {
        !matches!(self, Self::HealthyHostCount | Self::UnHealthyHostCount)
    }

    /// What one stored unit of a value is worth.
    fn scale(self) -> f64 {
        if self == Self::TargetResponseTime { 1e-6 } else { 1.0 }
    }
}

/// The samples of one second: most counts are a row of ones.
enum Samples {
    Ones(u32),
    /// Microseconds or hosts.
    Values(Vec<u32>),
}

/// Samples by second since the epoch.
type Series = BTreeMap<i64, Samples>;

/// A balancer, and a group for what belongs to one.
type Owner = (Arc<str>, Option<Arc<str>>);

/// Everything that was measured in the last six hours.
#[derive(Default)]
pub(crate) struct Store {
    series: HashMap<Owner, HashMap<Metric, Series>>,
}

/// Which samples are meant.
pub(crate) struct Selection<'a> {
    pub(crate) balancer: &'a str,
    pub(crate) group: Option<&'a str>,
    pub(crate) metric: Metric,
}

impl Store {
    /// Adds one to a count.
    pub(crate) fn count(
        &mut self,
        balancer: &Arc<str>,
        group: Option<&Arc<str>>,
        metric: Metric,
        at: Timestamp,
    ) {
        match self.second(balancer, group, metric, at, || Samples::Ones(0)) {
            Samples::Ones(count) => *count += 1,
            Samples::Values(values) => values.push(1),
        }
    }

    /// Adds a time until an answer.
    pub(crate) fn time(&mut self, balancer: &Arc<str>, group: &Arc<str>, taken: Duration, at: Timestamp) {
        let micros = u32::try_from(taken.as_micros()).unwrap_or(u32::MAX);
        self.value(balancer, group, Metric::TargetResponseTime, micros, at);
    }

    /// Adds a number of hosts.
    pub(crate) fn hosts(
        &mut self,
        balancer: &Arc<str>,
        group: &Arc<str>,
        metric: Metric,
        hosts: usize,
        at: Timestamp,
    ) {
        let hosts = u32::try_from(hosts).unwrap_or(u32::MAX);
        self.value(balancer, group, metric, hosts, at);
    }

    fn value(&mut self, balancer: &Arc<str>, group: &Arc<str>, metric: Metric, value: u32, at: Timestamp) {
        match self.second(balancer, Some(group), metric, at, || Samples::Values(Vec::new())) {
            Samples::Ones(count) => *count += 1,
            Samples::Values(values) => values.push(value),
        }
    }

    fn second(
        &mut self,
        balancer: &Arc<str>,
        group: Option<&Arc<str>>,
        metric: Metric,
        at: Timestamp,
        new: impl FnOnce() -> Samples,
    ) -> &mut Samples {
        let second = at.as_second();
        let series =
            self.series.entry((Arc::clone(balancer), group.cloned())).or_default().entry(metric).or_default();
        while let Some(oldest) = series.first_entry() {
            if *oldest.key() >= second - RETENTION {
                break;
            }
            oldest.remove();
        }
        series.entry(second).or_insert_with(new)
    }

    /// The selected samples by bucket, oldest first. A bucket begins at a multiple of `period`
    /// seconds; buckets that begin in `from..to` are returned where they hold samples that are shown:
    /// `shown` gives the share for a second. Times are seconds since the epoch.
    pub(crate) fn buckets(
        &self,
        selection: &Selection<'_>,
        period: i64,
        from: i64,
        to: i64,
        shown: impl Fn(i64) -> f64,
    ) -> BTreeMap<i64, Vec<f64>> {
        let mut buckets = BTreeMap::<i64, Vec<f64>>::new();
        let first = from.div_euclid(period) * period;
        let first = if first < from { first + period } else { first };
        let last = to.saturating_add(period);
        if first >= last {
            return buckets;
        }
        let scale = selection.metric.scale();
        for series in self.matching(selection) {
            for (second, samples) in series.range(first..last) {
                let start = second.div_euclid(period) * period;
                if start >= to {
                    break;
                }
                let share = shown(*second);
                if share <= 0.0 {
                    continue;
                }
                let bucket = buckets.entry(start).or_default();
                match samples {
                    Samples::Ones(count) => {
                        bucket.extend(std::iter::repeat_n(1.0, part(*count as usize, share)));
                    }
                    Samples::Values(values) => {
                        let values = &values[..part(values.len(), share)];
                        bucket.extend(values.iter().map(|value| f64::from(*value) * scale));
                    }
                }
            }
        }
        buckets
    }

    /// One group's series, or those of all groups where the balancer's own numbers are asked for.
    fn matching<'a>(&'a self, selection: &'a Selection<'_>) -> impl Iterator<Item = &'a Series> {
        let whole = selection.group.is_none() && selection.metric.is_summed();
        self.series
            .iter()
            .filter(move |((balancer, group), _)| {
                **balancer == *selection.balancer && (whole || group.as_deref() == selection.group)
            })
            .filter_map(move |(_, metrics)| metrics.get(&selection.metric))
    }
}

/// A share of so many samples, at least one of them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the count")]
fn part(count: usize, share: f64) -> usize {
    ((count as f64 * share).ceil() as usize).min(count)
}
