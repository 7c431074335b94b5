//! What is usual in a past that holds an incident, a batch or a bad minute.

use super::counts::{Counts, Metric};

/// A period is outlying where its events are so many times the usual rate's...
const TIMES: f64 = 4.0;
/// ...and so many standard deviations above it, for events in clusters of this size...
const DEVIATIONS: f64 = 4.0;
const CLUSTERS: f64 = 5.0;
/// ...and so many at least: where events are rare, a few together are no incident.
const AT_LEAST: f64 = 6.0;

/// Share of the periods that the usual rate is found from at first: those with the lowest rates.
const LOWEST: f64 = 0.75;

/// Share of the periods that may be left out or limited. What is more often than that is usual.
const RARE: f64 = 0.25;

/// How often the usual rate is found anew from the periods that are not outlying.
const ROUNDS: usize = 4;

/// The events that a period has at most without being outlying.
#[derive(Clone, Copy, Debug)]
struct Bound {
    rate: f64,
}

impl Bound {
    fn of(self, requests: u64) -> f64 {
        let expected = self.rate * requests as f64;
        (TIMES * expected).max(expected + DEVIATIONS * (CLUSTERS * expected).sqrt()) + AT_LEAST
    }

    fn is_exceeded(self, counts: Counts, metric: Metric) -> bool {
        counts.events(metric) as f64 > self.of(counts.requests)
    }

    /// From the periods with the lowest rates, and then from all that are not outlying beside those: a
    /// trimmed mean that trims only what is far out, so that bursts stay in.
    fn find(past: &[Counts], metric: Metric) -> Self {
        let rate = |counts: &Counts| counts.events(metric) as f64 / counts.requests.max(1) as f64;
        let pooled = |periods: &mut dyn Iterator<Item = &Counts>| {
            let (events, requests) = periods.fold((0.0, 0.0), |(events, requests), counts| {
                (events + counts.events(metric) as f64, requests + counts.requests as f64)
            });
            if requests > 0.0 { events / requests } else { 0.0 }
        };
        let mut sorted: Vec<&Counts> = past.iter().collect();
        sorted.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        let lowest = (LOWEST * sorted.len() as f64).ceil() as usize;
        let mut bound = Self { rate: pooled(&mut sorted.into_iter().take(lowest)) };
        for _ in 0..ROUNDS {
            bound = Self { rate: pooled(&mut past.iter().filter(|c| !bound.is_exceeded(**c, metric))) };
        }
        bound
    }
}

/// What is usual of a past, found once from all of it.
#[derive(Clone, Copy, Debug)]
pub struct Usual {
    /// None where outlying periods are so many that they are usual.
    bounds: [Option<Bound>; 3],
}

impl Usual {
    /// What is outlying more often than in a quarter of all periods is usual.
    pub fn of(past: &[Counts]) -> Self {
        let bounds = Metric::ALL.map(|metric| {
            let bound = Bound::find(past, metric);
            let outlying = past.iter().filter(|counts| bound.is_exceeded(**counts, metric)).count();
            (outlying as f64 <= RARE * past.len() as f64).then_some(bound)
        });
        Self { bounds }
    }

    fn exceeds(&self, counts: Counts, metric: Metric) -> bool {
        self.bounds[metric as usize].is_some_and(|bound| bound.is_exceeded(counts, metric))
    }

    /// The past without runs of two and more outlying periods: incidents.
    fn without_incidents(&self, past: &[Counts]) -> Vec<Counts> {
        let outlying: Vec<bool> = past
            .iter()
            .map(|counts| Metric::ALL.into_iter().any(|metric| self.exceeds(*counts, metric)))
            .collect();
        let in_a_run = |at: usize| {
            let beside = [at.checked_sub(1), Some(at + 1)];
            outlying[at] && beside.into_iter().flatten().any(|near| outlying.get(near) == Some(&true))
        };
        (0..past.len()).filter(|at| !in_a_run(*at)).map(|at| past[at]).collect()
    }

    /// By metric, whether the past has single outlying periods.
    pub fn bad_minutes(&self, past: &[Counts]) -> [bool; 3] {
        let rest = self.without_incidents(past);
        Metric::ALL.map(|metric| rest.iter().any(|counts| self.exceeds(*counts, metric)))
    }

    /// The past without what was not usual: incidents are left out; a single outlying period, such as a
    /// batch, counts for as much as a period may have without being outlying.
    pub fn limit(&self, past: &[Counts]) -> Vec<Counts> {
        let limited = |counts: Counts, metric: Metric| {
            let events = counts.events(metric);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below a u64")]
            self.bounds[metric as usize].map_or(events, |bound| events.min(bound.of(counts.requests) as u64))
        };
        let rest = self.without_incidents(past).into_iter();
        rest.map(|counts| Counts {
            requests: counts.requests,
            failures: limited(counts, Metric::Failures),
            slow: limited(counts, Metric::Slow),
            client_errors: limited(counts, Metric::ClientErrors),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(failures: u64) -> Counts {
        Counts { requests: 3000, failures, slow: 150, client_errors: 60 }
    }

    #[test]
    fn an_incident_is_left_out_and_a_bad_minute_limited() {
        let mut past = vec![period(9); 60];
        past[27..32].fill(period(900));
        past[50] = period(600);
        let usual = Usual::of(&past);
        assert_eq!(usual.bad_minutes(&past), [true, false, false]);
        let usual = usual.limit(&past);
        assert_eq!(usual.len(), 55);
        assert_eq!(usual.iter().filter(|c| c.failures == 9).count(), 54);
        let limited = usual.iter().map(|c| c.failures).max().unwrap();
        assert!((36..=100).contains(&limited), "{limited}");
    }

    /// What is usual: a rate that varies, rare events that come together, and trouble that lasts.
    #[test]
    fn nothing_usual_is_left_out_or_limited() {
        let bursts: Vec<Counts> = (0..60).map(|i| period([2, 5, 9, 14, 25][i % 5])).collect();
        let rare: Vec<Counts> = (0..60).map(|i| period(if i % 30 < 2 { 5 } else { 0 })).collect();
        let lasting: Vec<Counts> = (0..60).map(|i| period(if i < 20 { 900 } else { 9 })).collect();
        let dead = vec![Counts { requests: 10, failures: 10, ..Counts::default() }; 60];
        for past in [bursts, rare, lasting, dead, vec![], vec![period(9)]] {
            let usual = Usual::of(&past);
            assert_eq!((usual.limit(&past), usual.bad_minutes(&past)), (past, [false; 3]));
        }
    }
}
