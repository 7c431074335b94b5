//! How two fleets usually differ, learnt from when they ran side by side.

use super::counts::{Counts, Metric};

/// A period counts in which each fleet had so many requests.
const ENOUGH_REQUESTS: u64 = 10;

/// The periods are looked at in runs of so many, and so many of these are needed.
const RUN: usize = 10;
const RUNS: usize = 6;

/// No difference beyond this is taken for usual: a fleet that is so much slower has something wrong with it.
const MOST: f64 = 1.6;

/// How many times the other fleet's share of slow requests the judged one's usually is, at least 1.
///
/// `beside` are periods before the run, those of the judged fleet first. The median of the ratios of runs of
/// periods: an evening on which one of them was ill moves it little. A fleet that is usually quicker is compared
/// as if it were not, and failures are never usual.
pub fn usual_ratio(beside: &[(Counts, Counts)], metric: Metric) -> f64 {
    if metric != Metric::Slow {
        return 1.0;
    }
    let both = |(judged, other): &&(Counts, Counts)| judged.requests.min(other.requests) >= ENOUGH_REQUESTS;
    let pairs: Vec<&(Counts, Counts)> = beside.iter().filter(both).collect();
    let share = |counts: Counts| (counts.events(metric) as f64 + 0.5) / (counts.requests as f64 + 1.0);
    let mut ratios: Vec<f64> = pairs
        .chunks_exact(RUN)
        .map(|run| {
            let sum = |fleet: fn(&(Counts, Counts)) -> Counts| {
                run.iter().map(|pair| fleet(pair)).fold(Counts::default(), Counts::plus)
            };
            share(sum(|pair| pair.0)) / share(sum(|pair| pair.1))
        })
        .collect();
    if ratios.len() < RUNS {
        return 1.0;
    }
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2].clamp(1.0, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(slow: u64) -> (Counts, Counts) {
        let of = |slow| Counts { requests: 1000, slow, ..Counts::default() };
        (of(slow), of(50))
    }

    #[test]
    fn slower_machines_are_usual_and_an_ill_evening_is_not() {
        let ratio = |pairs: &[(Counts, Counts)]| usual_ratio(pairs, Metric::Slow);
        let mut day = vec![pair(70); 300];
        assert!((ratio(&day) - 1.4).abs() < 0.01);
        day[100..180].fill(pair(500));
        assert!((ratio(&day) - 1.4).abs() < 0.01);
        assert!((ratio(&vec![pair(30); 300]) - 1.0).abs() < f64::EPSILON);
        assert!((ratio(&vec![pair(500); 300]) - MOST).abs() < f64::EPSILON);
        // Nothing is learnt from a few minutes, or from few requests.
        assert!((ratio(&vec![pair(70); RUN * RUNS - 1]) - 1.0).abs() < f64::EPSILON);
        let few = Counts { requests: 9, slow: 9, ..Counts::default() };
        assert!((ratio(&vec![(few, few); 300]) - 1.0).abs() < f64::EPSILON);
        assert!((usual_ratio(&day, Metric::Failures) - 1.0).abs() < f64::EPSILON);
    }
}
