//! By how much two rates differ, as an interval that holds at every look.

use super::counts::{Counts, Metric};
use super::factor::log_sum;
use super::words::points;

/// Tilts of the mixture, from large differences in few events to small ones in many.
const TILTS: [f64; 8] = [2.0, 1.0, 0.5, 0.25, 0.125, 0.06, 0.03, 0.015];

/// How often the four bounds of an interval may be wrong together, at any look.
const WRONG: f64 = 0.05;

/// Halvings of a bound's search.
const STEPS: usize = 60;

/// The difference of the standby's rate less live's, from and to, in events per request; none where one
/// of them had no request. Wrong at some look in at most 5 % of runs, given the dispersion.
///
/// A confidence sequence: for each fleet, e^(t events - (e^t - 1) mean) is a test supermartingale in
/// the mean of all its events so far, however the rate changes meanwhile (Poisson, and Bernoulli by
/// 1 + p(e^t - 1) <= exp(p(e^t - 1))). A mixture over tilts t is inverted for each bound; see Howard,
/// Ramdas, `McAuliffe` and Sekhon, arXiv 1810.08240.
pub fn difference(standby: Counts, live: Counts, metric: Metric, dispersion: f64) -> Option<(f64, f64)> {
    let bounds = |counts: Counts| {
        let requests = counts.requests as f64 / dispersion;
        let events = counts.events(metric) as f64 / dispersion;
        (requests > 0.0)
            .then(|| ((lower(events) / requests).clamp(0.0, 1.0), (upper(events) / requests).clamp(0.0, 1.0)))
    };
    let (standby, live) = (bounds(standby)?, bounds(live)?);
    Some((standby.0 - live.1, standby.1 - live.0))
}

/// In words, such as `between 1.2 and 4.9 points more, as far as is known`.
pub fn in_words((from, to): (f64, f64)) -> String {
    let (low, high) = (points(from), points(to));
    let between = match (from >= 0.0, to >= 0.0) {
        (true, _) => format!("between {low} and {high} points more"),
        (false, true) => format!("between {low} points fewer and {high} points more"),
        (false, false) => format!("between {high} and {low} points fewer"),
    };
    format!("{between}, as far as is known")
}

/// Log of the mixture for a mean; `sign` 1 speaks against means that are too low, -1 against those too high.
fn against(events: f64, mean: f64, sign: f64) -> f64 {
    let parts = TILTS.map(|tilt| sign * tilt * events - (sign * tilt).exp_m1() * mean);
    parts.into_iter().fold(f64::NEG_INFINITY, log_sum) - (TILTS.len() as f64).ln()
}

/// Each of the four bounds has a quarter of what may be wrong.
fn needed() -> f64 {
    (4.0 / WRONG).ln()
}

/// The smallest mean that is not refuted by so many events.
fn lower(events: f64) -> f64 {
    bisect(0.0, events, |mean| against(events, mean, 1.0) >= needed())
}

/// The largest mean that is not refuted.
fn upper(events: f64) -> f64 {
    let beyond = 4.0 * events + 20.0;
    bisect(events, beyond, |mean| against(events, mean, -1.0) < needed())
}

/// Where a condition that holds at first ceases to.
fn bisect(mut from: f64, mut to: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..STEPS {
        let middle = f64::midpoint(from, to);
        if holds(middle) { from = middle } else { to = middle }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, failures: u64) -> Counts {
        Counts { requests, failures, ..Counts::default() }
    }

    #[test]
    fn the_interval_holds_the_difference_and_narrows() {
        let mut width = 2.0;
        for many in [1, 10, 100, 1000, 10_000] {
            let (standby, live) = (counts(100 * many, 4 * many), counts(900 * many, 9 * many));
            let (from, to) = difference(standby, live, Metric::Failures, 1.0).unwrap();
            assert!(from < 0.03 && 0.03 < to && to - from < width, "{from} {to}");
            width = to - from;
        }
        assert!(width < 0.002, "{width}");
        assert_eq!(difference(counts(0, 0), counts(9, 0), Metric::Failures, 1.0), None);
    }

    /// Bounds are where the mixture reaches its odds; no events at all have a bound as well.
    #[test]
    fn bounds_are_those_of_the_mixture() {
        for events in [0.0, 1.0, 7.0, 1000.0] {
            assert!((against(events, upper(events), -1.0) - needed()).abs() < 1e-6, "{events}");
            if events > 2.0 {
                assert!((against(events, lower(events), 1.0) - needed()).abs() < 1e-6, "{events}");
            }
        }
        assert!((5.0..8.0).contains(&upper(0.0)), "{}", upper(0.0));
    }

    #[test]
    fn intervals_read_well() {
        for (interval, words) in [
            ((0.012, 0.049), "between 1.2 and 4.9 points more, as far as is known"),
            ((-0.004, 0.011), "between 0.4 points fewer and 1.1 points more, as far as is known"),
            ((-0.02, -0.01), "between 1 and 2 points fewer, as far as is known"),
        ] {
            assert_eq!(in_words(interval), words);
        }
    }
}
