//! CloudWatch's statistics over the samples of one period.

/// A statistic that this CloudWatch can compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// How many samples there are.
    SampleCount,
    /// All of them added up.
    Sum,
    /// Their mean.
    Average,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
    /// In percent.
    Percentile(f64),
    /// The share of samples in a range, in percent.
    Rank(Range),
    /// The number of samples in a range.
    TrimmedCount(Range),
}

/// Values above `low` and up to `high`: CloudWatch leaves the lower bound out and the upper one in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Left out; minus infinity where there is no bound.
    pub low: f64,
    /// Left in; infinity where there is no bound.
    pub high: f64,
}

impl Range {
    /// Reads `(low:high)`, where one of the two may be missing.
    fn parse(text: &str) -> Option<Self> {
        let (low, high) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(':')?;
        if low.is_empty() && high.is_empty() {
            return None;
        }
        let bound = |text: &str, open: f64| if text.is_empty() { Some(open) } else { number(text) };
        let range = Self { low: bound(low, f64::NEG_INFINITY)?, high: bound(high, f64::INFINITY)? };
        (range.low < range.high).then_some(range)
    }

    fn holds(self, value: f64) -> bool {
        value > self.low && value <= self.high
    }
}

/// A plain decimal number, without the other spellings that Rust would take.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

impl Statistic {
    /// None for a name that CloudWatch, or this part of it, does not know.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "SampleCount" => Self::SampleCount,
            "Sum" => Self::Sum,
            "Average" => Self::Average,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            _ => {
                if let Some(range) = name.strip_prefix("PR") {
                    Self::Rank(Range::parse(range)?)
                } else if let Some(range) = name.strip_prefix("TC") {
                    Self::TrimmedCount(Range::parse(range)?)
                } else {
                    let percent = number(name.strip_prefix('p')?)?;
                    (0.0..=100.0).contains(&percent).then_some(Self::Percentile(percent))?
                }
            }
        })
    }

    /// The statistic over `samples`, which are never none.
    pub(crate) fn over(self, samples: &mut [f64]) -> f64 {
        let count = samples.len() as f64;
        let within = |range: Range| samples.iter().filter(|value| range.holds(**value)).count() as f64;
        match self {
            Self::SampleCount => count,
            Self::Sum => samples.iter().sum(),
            Self::Average => samples.iter().sum::<f64>() / count,
            Self::Minimum => samples.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Maximum => samples.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Rank(range) => within(range) / count * 100.0,
            Self::TrimmedCount(range) => within(range),
            Self::Percentile(percent) => {
                // The smallest sample that at least this share of the samples does not exceed.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to count")]
                let rank = (percent / 100.0 * count).ceil() as usize;
                let index = rank.clamp(1, samples.len()) - 1;
                *samples.select_nth_unstable_by(index, f64::total_cmp).1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(name: &str, samples: &[f64]) -> f64 {
        Statistic::parse(name).unwrap().over(&mut samples.to_vec())
    }

    #[test]
    fn a_range_leaves_its_lower_bound_out_and_its_upper_one_in() {
        let samples = [0.1, 0.2, 0.3, 0.4];
        assert!((over("PR(:0.2)", &samples) - 50.0).abs() < 1e-9);
        assert!((over("TC(0.2:)", &samples) - 2.0).abs() < 1e-9);
        assert!((over("TC(0.1:0.3)", &samples) - 2.0).abs() < 1e-9);
        assert!((over("TC(:0.05)", &samples)).abs() < 1e-9);
    }

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert!((over("p50", &samples) - 50.0).abs() < 1e-9);
        assert!((over("p99.9", &samples) - 100.0).abs() < 1e-9);
        assert!((over("p0", &samples) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn unknown_statistics_are_not_guessed() {
        for name in
            ["sum", "P99", "p", "p101", "p-1", "pinf", "PR()", "PR(:)", "PR(2:1)", "TC", "tm90", "TC(:0.5"]
        {
            assert_eq!(Statistic::parse(name), None, "{name}");
        }
    }
}
