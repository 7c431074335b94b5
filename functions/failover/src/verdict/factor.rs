//! The factors by which a bet against the standby grows or shrinks in one period, as natural
//! logarithms.
//!
//! Each is a test martingale's factor: its mean is at most one while the standby is no worse than
//! allowed, so that by Ville's inequality the product exceeds 1/alpha at any time with probability
//! at most alpha, however often one looks (Ramdas, Grünwald, Vovk, Shafer, *Game-Theoretic
//! Statistics and Safe Anytime-Valid Inference*, arXiv 2210.01948).

/// One fleet's part of one period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arm {
    /// Events, at most one per request.
    pub events: f64,
    /// Requests.
    pub requests: f64,
    /// Dispersion, at least 1: how many events are taken to come together.
    pub dispersion: f64,
}

/// The comparison of both fleets in one period, prepared for bets on several multiples.
///
/// The null hypothesis is p\_standby <= ratio * p\_live + floor, in this period, for any p\_live.
/// Without the floor this is the conditional binomial likelihood ratio of "how many of the events
/// fell on the standby", for Poisson counts with a common and arbitrary intensity (Lindon and
/// Malek, *Anytime-Valid Inference for Multinomial Count Data*, `NeurIPS` 2022, arXiv 2011.03567,
/// the section on inhomogeneous Poisson processes), with each period's own requests as exposure.
///
/// With independent requests and dispersion 1 the mean of the factor is at most 1, exactly:
/// 1 + p(e^a - 1) <= exp(p(e^a - 1)) bounds it by
/// exp\[ n\_s p\_s (e^a - 1) + n\_l p\_l (e^b - 1) - floor n\_s (e^a - 1) \], the null makes the floors
/// cancel, and a and b are chosen so that ratio n\_s (e^a - 1) = n\_l (1 - e^b). The same holds for
/// events in clusters of at most `dispersion` of that arm, since e^(aS/s) <= 1 + (S/s)(e^a - 1)
/// for S <= s: dividing an arm's events *and* requests by its largest cluster is all it takes.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    standby_events: f64,
    live_events: f64,
    standby_exposure: f64,
    live_exposure: f64,
    /// Ratio times the standby's exposure.
    null: f64,
    floor: f64,
}

impl Comparison {
    /// Nothing can be compared unless both fleets had requests.
    pub fn new(standby: Arm, live: Arm, ratio: f64, floor: f64) -> Option<Self> {
        if standby.requests <= 0.0 || live.requests <= 0.0 {
            return None;
        }
        let standby_exposure = standby.requests / standby.dispersion;
        Some(Self {
            standby_events: standby.events / standby.dispersion,
            live_events: live.events / live.dispersion,
            standby_exposure,
            live_exposure: live.requests / live.dispersion,
            null: ratio * standby_exposure,
            floor,
        })
    }

    /// Log factor of the bet that the ratio is `multiple` times the null's. Above 1 it bets that
    /// the standby is worse; below 1, against the reversed null, that it is better.
    pub fn log_factor(&self, multiple: f64, log_multiple: f64) -> f64 {
        let alternative = multiple * self.null + self.live_exposure;
        let live = ((self.null + self.live_exposure) / alternative).ln();
        let standby = log_multiple + live;
        // e^standby - 1, without the cancellation.
        let growth = (multiple - 1.0) * self.live_exposure / alternative;
        self.standby_events * standby + self.live_events * live - self.floor * self.standby_exposure * growth
    }
}

/// Log factor of the bet that the standby's rate is `multiple` times `null_rate`, a rate known
/// from before the run: events ln m - requests rate (m - 1), divided by the dispersion. The
/// one-sided Poisson likelihood ratio; see Howard, Ramdas, `McAuliffe` and Sekhon, *Time-uniform,
/// nonparametric, nonasymptotic confidence sequences*, Annals of Statistics 2021,
/// arXiv 1810.08240, on gamma-Poisson mixtures, of which this is one point.
pub fn against_rate(standby: Arm, null_rate: f64, multiple: f64, log_multiple: f64) -> f64 {
    (standby.events * log_multiple - standby.requests * null_rate * (multiple - 1.0)) / standby.dispersion
}

/// Upper bound on a rate after `events` in `requests`, exceeded by the truth with probability at
/// most e^-`log_odds`. Chernoff's bound for a Poisson count, inverted; overdispersed counts are
/// scaled to Poisson ones first. At most 1; 1 where nothing is known.
pub fn upper_rate(events: f64, requests: f64, dispersion: f64, log_odds: f64) -> f64 {
    if requests <= 0.0 {
        return 1.0;
    }
    let scaled = events / dispersion;
    let bound = scaled + log_odds + (log_odds * log_odds + 2.0 * scaled * log_odds).sqrt();
    (dispersion * bound / requests).min(1.0)
}

/// ln(e^a + e^b) without overflow; minus infinity is the log of nothing.
pub fn log_sum(a: f64, b: f64) -> f64 {
    let (high, low) = if a < b { (b, a) } else { (a, b) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// Wealth from its logarithm, kept finite: beyond e^700 the size means nothing to anybody.
pub fn wealth(log: f64) -> f64 {
    log.min(700.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both arms' log factors of one event, and of none, from the factor itself.
    fn slopes(requests: [f64; 2], dispersion: [f64; 2], multiple: f64) -> (f64, f64, f64) {
        let log = |events: [f64; 2]| {
            let arm = |i: usize| Arm { events: events[i], requests: requests[i], dispersion: dispersion[i] };
            Comparison::new(arm(0), arm(1), RATIO, FLOOR).unwrap().log_factor(multiple, multiple.ln())
        };
        let none = log([0.0, 0.0]);
        (log([1.0, 0.0]) - none, log([0.0, 1.0]) - none, none)
    }

    const RATIO: f64 = 1.25;
    const FLOOR: f64 = 2e-4;

    /// Mean of e^(slope * size) over sizes from 1 to `largest`, all alike, and the mean size.
    fn cluster(slope: f64, largest: u32) -> (f64, f64) {
        let count = f64::from(largest);
        let mean = (1..=largest).map(|size| (slope * f64::from(size)).exp()).sum::<f64>() / count;
        (mean, f64::midpoint(count, 1.0))
    }

    /// The exact mean of the factor on the edge of the null, for clustered Poisson counts.
    #[test]
    fn the_mean_is_at_most_one_on_the_edge() {
        for rate in [1e-4, 0.01, 0.2] {
            for requests in [[2.0, 18.0], [200.0, 1800.0], [1500.0, 500.0]] {
                for sizes in [[1, 1], [3, 3], [2, 5], [5, 2]] {
                    for multiple in [1.2, 5.0, 60.0] {
                        let (standby, live, none) = slopes(requests, sizes.map(f64::from), multiple);
                        let (growth, mean) = cluster(standby, sizes[0]);
                        let (shrinkage, live_mean) = cluster(live, sizes[1]);
                        let log_mean = none
                            + requests[0] * (RATIO * rate + FLOOR) / mean * (growth - 1.0)
                            + requests[1] * rate / live_mean * (shrinkage - 1.0);
                        assert!(
                            log_mean <= 1e-9,
                            "{log_mean} at {rate}, {requests:?}, {sizes:?}, {multiple}"
                        );
                        // Poisson counts meet the bound: nothing is given away.
                        assert!(sizes != [1, 1] || log_mean >= -1e-9, "{log_mean}");
                    }
                }
            }
        }
    }

    /// Hit periods: any number of the standby's events counts once, live's count in full, and the
    /// clusters may have any size; the null is then on the rate of clusters.
    #[test]
    fn the_mean_over_hit_periods_is_at_most_one() {
        for rate in [1e-4, 0.01, 0.2] {
            for requests in [[2.0, 18.0], [200.0, 1800.0], [1500.0, 500.0]] {
                for largest in [1, 3, 40] {
                    let (standby, live, none) = slopes(requests, [1.0, 1.0], 15.0);
                    let hit = 1.0 - (-requests[0] * (RATIO * rate + FLOOR)).exp();
                    let (shrinkage, _) = cluster(live, largest);
                    let log_mean =
                        none + (hit * standby.exp_m1()).ln_1p() + requests[1] * rate * (shrinkage - 1.0);
                    assert!(log_mean <= 1e-9, "{log_mean} at {rate}, {requests:?}, {largest}");
                }
            }
        }
    }
}
