//! The rules of other deployers, as far as they can be said in counts a minute, and two plain
//! statistical tests. Each follows the tool's documentation or source.

use libm::{lgamma, sqrt};

use crate::scenario::Minute;

/// What a rule wants after a minute.
pub enum Wish {
    /// Go on as planned.
    Continue,
    /// This minute does not count towards the bake.
    Stay,
    /// Roll back.
    RollBack,
}

/// A rule, with what it remembers.
pub enum Peer {
    /// Static `CloudWatch` alarms, as `CodeDeploy` and `ECS` use them: failures over a share in so
    /// many minutes in a row, or more than 1 % over 500 ms in 3 minutes in a row.
    Alarm { share: f64, minutes: u32, failing: u32, over: u32 },
    /// Flagger: success at least 99 %, at most 1 % over 500 ms; a failed check halts the advance,
    /// and so many failed checks in all roll back.
    Flagger { threshold: u32, failed: u32 },
    /// Argo Rollouts: success at least 95 %, `failureLimit` 3: the fourth failed minute aborts.
    Argo { failed: u32 },
    /// Kayenta's `NetflixACA` judge, once at the end of each stage: Mann-Whitney at 98 %,
    /// tolerance 0.25; any metric that is classified `High` rolls back.
    Kayenta { standby: [Vec<f64>; 2], live: [Vec<f64>; 2] },
    /// A two-proportion z test, one-sided 1 %, repeated every minute on all counts so far.
    Z { standby: [f64; 3], live: [f64; 3] },
    /// Lindon and Malek's multinomial test as in the paper: no margin, no dispersion; alpha 1 %.
    LindonMalek { done: [f64; 2], standby: [f64; 2], live: [f64; 2] },
}

/// One-sided 1 % of the normal distribution.
const Z_ONE_PERCENT: f64 = 2.326_347_874_040_841;

impl Peer {
    /// Names of all rules, in the order of the tables.
    pub const NAMES: [&'static str; 9] = ["A1", "A3", "A5", "B5", "B10", "C", "D", "E", "LM"];

    /// A fresh rule by name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "A1" => Self::Alarm { share: 0.01, minutes: 1, failing: 0, over: 0 },
            "A3" => Self::Alarm { share: 0.01, minutes: 3, failing: 0, over: 0 },
            "A5" => Self::Alarm { share: 0.05, minutes: 1, failing: 0, over: 0 },
            "B5" => Self::Flagger { threshold: 5, failed: 0 },
            "B10" => Self::Flagger { threshold: 10, failed: 0 },
            "C" => Self::Argo { failed: 0 },
            "D" => Self::Kayenta { standby: Default::default(), live: Default::default() },
            "E" => Self::Z { standby: [0.0; 3], live: [0.0; 3] },
            "LM" => Self::LindonMalek { done: [0.0; 2], standby: [0.0; 2], live: [0.0; 2] },
            _ => return None,
        })
    }

    /// Looks at a minute. `last` says that it is the last of the stage, `percent` the standby's weight.
    pub fn poll(&mut self, minute: &Minute, percent: u8, last: bool) -> Wish {
        let requests = minute.standby.requests as f64;
        let failures = minute.standby.failures as f64;
        let over = minute.standby_over as f64;
        let guilty = match self {
            Self::Alarm { share, minutes, failing, over: over_row } => {
                if requests > 0.0 {
                    *failing = if failures > *share * requests { *failing + 1 } else { 0 };
                    *over_row = if over > 0.01 * requests { *over_row + 1 } else { 0 };
                }
                *failing >= *minutes || *over_row >= 3
            }
            Self::Flagger { threshold, failed } => {
                let passed = requests > 0.0 && failures <= 0.01 * requests && over <= 0.01 * requests;
                if !passed {
                    *failed += 1;
                    return if *failed >= *threshold { Wish::RollBack } else { Wish::Stay };
                }
                false
            }
            Self::Argo { failed } => {
                *failed += u32::from(requests > 0.0 && failures > 0.05 * requests);
                *failed > 3
            }
            Self::Kayenta { standby, live } => {
                for (samples, counts) in [(&mut *standby, minute.standby), (&mut *live, minute.live)] {
                    if counts.requests > 0 {
                        samples[0].push(counts.failures as f64 / counts.requests as f64);
                        samples[1].push(counts.slow as f64 / counts.requests as f64);
                    }
                }
                let high = last && percent < 100 && (0..2).any(|m| is_high(&standby[m], &live[m]));
                if last {
                    for samples in standby.iter_mut().chain(live) {
                        samples.clear();
                    }
                }
                high
            }
            Self::Z { standby, live } => {
                for (sums, counts) in [(&mut *standby, minute.standby), (&mut *live, minute.live)] {
                    sums[0] += counts.failures as f64;
                    sums[1] += counts.slow as f64;
                    sums[2] += counts.requests as f64;
                }
                (0..2).any(|m| z(standby[m], standby[2], live[m], live[2]) > Z_ONE_PERCENT)
            }
            Self::LindonMalek { done, standby, live } => {
                percent < 100 && lindon_malek(minute, f64::from(percent) / 100.0, last, done, standby, live)
            }
        };
        if guilty { Wish::RollBack } else { Wish::Continue }
    }
}

fn z(events: f64, requests: f64, live_events: f64, live_requests: f64) -> f64 {
    let pooled = (events + live_events) / (requests + live_requests);
    if requests < 10.0 || live_requests < 10.0 || pooled <= 0.0 || pooled >= 1.0 {
        return 0.0;
    }
    let error = sqrt(pooled * (1.0 - pooled) * (1.0 / requests + 1.0 / live_requests));
    (events / requests - live_events / live_requests) / error
}

fn log_beta(a: f64, b: f64) -> f64 {
    lgamma(a) + lgamma(b) - lgamma(a + b)
}

fn lindon_malek(
    minute: &Minute,
    weight: f64,
    last: bool,
    done: &mut [f64; 2],
    standby: &mut [f64; 2],
    live: &mut [f64; 2],
) -> bool {
    let mut guilty = false;
    let events = [(minute.standby.failures, minute.live.failures), (minute.standby.slow, minute.live.slow)];
    for (m, (on_standby, on_live)) in events.into_iter().enumerate() {
        standby[m] += on_standby as f64;
        live[m] += on_live as f64;
        let (a, b) = (10.0 * weight, 10.0 * (1.0 - weight));
        let log_odds = log_beta(a + standby[m], b + live[m])
            - log_beta(a, b)
            - standby[m] * weight.ln()
            - live[m] * (1.0 - weight).ln();
        let upwards = standby[m] > weight * (standby[m] + live[m]);
        // Two metrics share an alpha of 1 %.
        guilty |= upwards && done[m] + log_odds >= 200.0_f64.ln();
        if last {
            // The split changes with the stage, so a new factor begins.
            done[m] += log_odds;
            (standby[m], live[m]) = (0.0, 0.0);
        }
    }
    guilty
}

/// Whether the lower end of the interval of the Mann-Whitney shift is beyond a quarter of its
/// estimate, and the means agree with that.
fn is_high(standby: &[f64], live: &[f64]) -> bool {
    let pairs = standby.len() * live.len();
    let same = standby.iter().chain(live).all(|v| Some(v) == standby.first());
    if pairs == 0 || same {
        return false;
    }
    let mut differences: Vec<f64> = standby.iter().flat_map(|x| live.iter().map(move |y| x - y)).collect();
    differences.sort_by(f64::total_cmp);
    let count = pairs as f64;
    let deviation = sqrt(count * (standby.len() as f64 + live.len() as f64 + 1.0) / 12.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index, at least 0 by max")]
    let lower = ((count / 2.0 - 0.5 - Z_ONE_PERCENT * deviation).ceil() - 1.0).max(0.0) as usize;
    let middle = pairs / 2;
    let estimate = if pairs % 2 == 1 {
        differences[middle]
    } else {
        f64::midpoint(differences[middle - 1], differences[middle])
    };
    if differences[lower] <= 0.25 * estimate.abs() {
        return false;
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    // Kayenta ignores an effect size that it cannot compute.
    mean(standby) == 0.0 || mean(live) == 0.0 || mean(standby) >= mean(live)
}
