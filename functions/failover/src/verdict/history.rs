//! What the live fleet's past says: its rates, how unevenly its events come, and whether it is
//! sick now.

use std::collections::VecDeque;

use super::counts::{Counts, Metric};
use super::criteria::Criteria;
use super::factor::upper_rate;
use super::usual::Usual;

/// Log odds of the upper bound on a historic rate: at least 95 % sure.
const BOUND_LOG_ODDS: f64 = 2.995_732_273_553_991;

/// How many events' worth of trust the prior dispersion has.
const PRIOR_EVENTS: f64 = 5.0;

/// A dispersion estimate above this (the 95 % point for 60 periods without any overdispersion) is
/// taken for real, and then raised by a fifth because it may as well be too low.
const NOTICEABLE: f64 = 1.36;
const NOTICEABLE_RAISE: f64 = 1.2;

/// Periods that are taken together to see whether noise lasts, in which case its sums are more uneven
/// than its periods are; and the 95 % point for 12 such blocks.
const BLOCK: usize = 5;
const NOTICEABLE_BLOCKS: f64 = 1.79;

/// How much the prior dispersion is raised where all history is missing.
const MISSING_RAISE: f64 = 0.7;

/// Up to here, overdispersion is explained by clusters of events; what is above, by whole periods
/// that are worse than others.
const LARGEST_CLUSTER: f64 = 5.0;

/// No bet grows by more than e to this in one period where live's past has single bad minutes, so that
/// one of them alone, such as a cluster of retries, convicts nobody.
const MOST_GROWTH: f64 = 3.0;

/// How unevenly events come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dispersion {
    /// Part that does not depend on traffic, at least 1: events come in clusters of this size.
    pub clusters: f64,
    /// Variance of the logarithm of a fleet's rate from period to period: bursts.
    pub bursts: f64,
}

/// The trailing window of live periods that the standby is compared with.
#[derive(Clone, Debug)]
pub struct History {
    window: VecDeque<Counts>,
    /// Periods that the window holds at most.
    length: usize,
    requests: f64,
    events: [f64; 3],
    dispersion: [Dispersion; 3],
    /// The largest share of a period's requests before the run.
    worst: [f64; 3],
    /// Rates before the run began, and their upper bounds.
    baseline: [(f64, f64); 3],
    careful: bool,
    /// By metric, whether single periods of all that is known were far worse than the others.
    bad_minutes: [bool; 3],
    hits: f64,
    /// Bounds that were learnt since, for events and for clusters of them.
    learnt: [[f64; 2]; 3],
}

impl History {
    /// Reads what came before the run: the wanted number of periods, and more of them where
    /// traffic is thin.
    pub fn before(criteria: &Criteria, past: &[Counts]) -> Self {
        let wanted = criteria.history_periods as usize;
        let enough = criteria.history_requests as f64;
        let mut window = VecDeque::with_capacity(wanted + 1);
        let mut requests = 0.0;
        for counts in past.iter().rev() {
            if window.len() >= wanted && requests >= enough {
                break;
            }
            requests += counts.requests as f64;
            window.push_front(*counts);
        }
        let missing = 1.0 - (window.len() as f64 / wanted as f64).min(1.0);
        let length = window.len().max(wanted);
        let window = VecDeque::from(Usual::of(window.make_contiguous()).limit(window.make_contiguous()));
        let mut history = Self {
            requests: 0.0,
            events: [0.0; 3],
            dispersion: [Dispersion { clusters: 1.0, bursts: 0.0 }; 3],
            worst: [0.0; 3],
            baseline: [(0.0, 1.0); 3],
            careful: missing > 0.0,
            bad_minutes: Usual::of(past).bad_minutes(past),
            hits: 0.0,
            learnt: [[0.0; 2]; 3],
            length,
            window,
        };
        history.add_up();
        for metric in Metric::ALL {
            let i = metric as usize;
            history.dispersion[i] = history.estimate(criteria, metric, missing);
            history.worst[i] = history
                .window
                .iter()
                .map(|c| c.events(metric) as f64 / c.requests.max(1) as f64)
                .fold(0.0, f64::max);
            history.baseline[i] = (history.rate(metric), history.upper(metric));
        }
        history.hits = criteria.hits_share(history.events[0] / history.window.len().max(1) as f64);
        history
    }

    fn add_up(&mut self) {
        self.requests = self.window.iter().map(|c| c.requests as f64).sum();
        self.events = Metric::ALL.map(|m| self.window.iter().map(|c| c.events(m) as f64).sum());
    }

    /// Pearson's statistic over the window, shrunk towards the prior by the number of events that
    /// it rests on. Where periods are missing, bursts are assumed instead of measured.
    fn estimate(&self, criteria: &Criteria, metric: Metric, missing: f64) -> Dispersion {
        let limits = criteria.metric(metric);
        let events = self.events[metric as usize];
        let degrees = self.window.len() as f64 - 1.0;
        let single = self.pearson(metric, 1);
        let blocks = self.pearson(metric, BLOCK);
        let measured = if blocks > NOTICEABLE_BLOCKS && blocks > single {
            blocks * NOTICEABLE_RAISE
        } else if single > NOTICEABLE {
            single * NOTICEABLE_RAISE
        } else {
            1.0
        };
        let trust = events.min(degrees.max(0.0));
        let prior = limits.prior_dispersion * (1.0 + MISSING_RAISE * missing);
        let whole = ((trust * measured + PRIOR_EVENTS * prior) / (trust + PRIOR_EVENTS)).max(1.0);
        let clusters = whole.min(LARGEST_CLUSTER);
        let per_period = events / self.window.len().max(1) as f64;
        let bursts = if per_period > 0.0 { (whole - clusters) / per_period } else { 0.0 };
        let assumed = missing * (limits.prior_burst_percent / 100.0).powi(2);
        Dispersion { clusters, bursts: bursts.max(assumed) }
    }

    /// Pearson's statistic of the window, taken in blocks of so many periods, for each degree of freedom.
    fn pearson(&self, metric: Metric, block: usize) -> f64 {
        let rate = self.rate(metric);
        let spread = rate * (1.0 - rate) + f64::EPSILON;
        let periods: Vec<Counts> = self.window.iter().copied().filter(|c| c.requests > 0).collect();
        let (mut squares, mut count) = (0.0, 0.0);
        for block in periods.chunks_exact(block) {
            let sum = block.iter().fold(Counts::default(), |sum, c| sum.plus(*c));
            let requests = sum.requests as f64;
            squares += (sum.events(metric) as f64 - requests * rate).powi(2) / (requests * spread);
            count += 1.0;
        }
        if rate > 0.0 && count > 1.0 { squares / (count - 1.0) } else { 1.0 }
    }

    /// Whether there was less history than wanted.
    pub const fn is_careful(&self) -> bool {
        self.careful
    }

    /// By how much the log wealth of a bet may grow in a period. A factor that is cut off from above stays
    /// fair; how far one period can move a test is bounded as in Huber-robust e-processes (Saha and
    /// Ramdas, *Huber-robust likelihood ratio tests for composite nulls and alternatives*, arXiv
    /// 2408.14015). Half of all requests is no bad minute such as others were.
    pub fn most_growth(&self, metric: Metric, standby: Counts) -> f64 {
        let half = standby.events(metric) > standby.requests / 2;
        if self.bad_minutes[metric as usize] && !half { MOST_GROWTH } else { f64::INFINITY }
    }

    /// How much of the failures' wealth bets on the number of hit periods.
    pub const fn hits_share(&self) -> f64 {
        self.hits
    }

    /// Dispersion of a metric, measured before the run.
    pub const fn dispersion(&self, metric: Metric) -> Dispersion {
        self.dispersion[metric as usize]
    }

    /// How many events of so many requests a burst explains: a share of them that the past has had in some
    /// period. How uneven the past was says nothing about more than that. Where history is missing, nobody
    /// knows what its worst period was.
    pub fn in_bursts(&self, metric: Metric, requests: f64) -> f64 {
        if self.careful { requests } else { requests * self.worst[metric as usize] }
    }

    /// Rate in the window, events per request.
    pub fn rate(&self, metric: Metric) -> f64 {
        if self.requests > 0.0 { self.events[metric as usize] / self.requests } else { 0.0 }
    }

    /// Mean requests in a period of the window.
    pub fn requests_per_period(&self) -> f64 {
        self.requests / self.window.len().max(1) as f64
    }

    /// Upper bound of the rate in the window, for events in clusters.
    pub fn upper(&self, metric: Metric) -> f64 {
        self.upper_with(metric, self.dispersion(metric).clusters).max(self.learnt[metric as usize][0])
    }

    /// Upper bound of the rate of *clusters* in the window: there are no more clusters than
    /// events, so that the bound for single events holds for any size of cluster.
    pub fn upper_clusters(&self, metric: Metric) -> f64 {
        self.upper_with(metric, 1.0).max(self.learnt[metric as usize][1])
    }

    fn upper_with(&self, metric: Metric, clusters: f64) -> f64 {
        upper_rate(self.events[metric as usize], self.requests, clusters, BOUND_LOG_ODDS)
    }

    /// Whether live does visibly worse than in the window, by more than `slack` events: then the
    /// window says nothing about the standby. Depends on live alone, so that bets that heed it stay
    /// fair.
    pub fn is_off(&self, metric: Metric, live: Counts, slack: f64) -> bool {
        let expected = live.requests as f64 * self.rate(metric);
        let Dispersion { clusters, bursts } = self.dispersion(metric);
        let deviation = ((clusters + bursts * expected) * expected).sqrt();
        live.requests > 0 && live.events(metric) as f64 > expected + 2.0 * deviation + slack
    }

    /// Whether a fleet is plainly ill beside what live was before the run: above any drift, by
    /// more than chance and by a share of requests that matters.
    pub fn is_sick(&self, criteria: &Criteria, metric: Metric, counts: Counts) -> bool {
        let limits = criteria.metric(metric);
        let requests = counts.requests as f64;
        // A bound on a rate that rests on few requests may be far above it: so many times that would excuse
        // everything.
        let (rate, upper) = self.baseline[metric as usize];
        // Half of all requests is an illness whatever the past, known or not.
        let share = (criteria.sick_factor * rate).max(upper + limits.sick_percent / 100.0).min(0.5);
        let expected = requests * share;
        let Dispersion { clusters, .. } = self.dispersion(metric);
        requests > 0.0 && counts.events(metric) as f64 > expected.max((clusters * expected).sqrt() + 1.0)
    }

    /// Makes the bounds of a short past surer by what live has shown since. They only sink: a live fleet that
    /// has become ill excuses nothing.
    pub fn make_surer(&mut self, since: &Self) {
        for metric in Metric::ALL.into_iter().filter(|_| self.careful) {
            let (_, upper) = &mut self.baseline[metric as usize];
            *upper = upper.min(since.upper(metric));
        }
    }

    /// Lets a live period of the run take the place of the oldest one.
    pub fn push(&mut self, live: Counts) {
        if live.requests == 0 {
            return;
        }
        self.window.push_back(live);
        self.change(live, 1.0);
        if self.window.len() > self.length
            && let Some(oldest) = self.window.pop_front()
        {
            self.change(oldest, -1.0);
        }
    }

    /// Takes what live showed during a recheck for its past as well, where it had more events than the past
    /// allows for: what both fleets need may have become worse for good. Otherwise so few periods would
    /// only make the bound less sure.
    pub fn learn(&mut self, criteria: &Criteria, live: Counts) {
        let requests = live.requests as f64;
        for metric in Metric::ALL {
            let limits = criteria.metric(metric);
            let worse = (1.0 + limits.margin_percent / 100.0) * (1.0 + limits.drift_percent / 100.0);
            let events = live.events(metric) as f64;
            if events > requests * (worse * self.upper(metric) + limits.floor_percent / 100.0) {
                let clusters = self.dispersion(metric).clusters;
                self.learnt[metric as usize] =
                    [clusters, 1.0].map(|size| upper_rate(events, requests, size, BOUND_LOG_ODDS));
            }
        }
    }

    fn change(&mut self, counts: Counts, sign: f64) {
        self.requests = (self.requests + sign * counts.requests as f64).max(0.0);
        for metric in Metric::ALL {
            let events = &mut self.events[metric as usize];
            *events = (*events + sign * counts.events(metric) as f64).max(0.0);
        }
    }
}
