//! What AWS does late or wrong around a balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

/// What AWS does late or wrong around one balancer. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trouble {
    /// How long a change of rules takes to reach the data plane.
    pub spread: Duration,
    /// For how long after a change of actions or tags a read may still show what stood before: by chance it
    /// does or does not, so that one may go back behind another. Up to a minute.
    pub late_reads: Duration,
    /// How long a second stays unpublished in CloudWatch after it is over.
    pub metric_lag: Duration,
    /// What CloudWatch shows of the newest seconds that are published.
    pub partial: Option<Partial>,
    /// The share of seconds, between 0 and 1, that CloudWatch never shows.
    pub gaps: f64,
    /// Whether CloudWatch returns every data point twice.
    pub points_twice: bool,
    /// Target groups, by ARN, of which CloudWatch shows nothing.
    pub unseen_groups: BTreeSet<String>,
}

/// Seconds that are published before all of their samples are there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Partial {
    /// The share of samples that is shown at first, between 0 and 1.
    pub share: f64,
    /// How long after its publication a second is complete.
    pub lasts: Duration,
}

impl Trouble {
    /// Tells for a second which share of its samples CloudWatch shows at `now`: 0 is none, 1 is all.
    pub(crate) fn shown(&self, now: Timestamp) -> impl Fn(i64) -> f64 + use<> {
        let before = |ago: Duration| now.checked_sub(ago).map_or(0, Timestamp::as_second);
        let published = before(self.metric_lag);
        let (share, complete) = match self.partial {
            Some(partial) => (partial.share, before(self.metric_lag + partial.lasts)),
            None => (1.0, published),
        };
        let gaps = self.gaps;
        move |second| match second {
            second if second >= published || chance(second) < gaps => 0.0,
            second if second >= complete => share,
            _ => 1.0,
        }
    }

    /// Whether CloudWatch never shows a second, or in memory the period that begins with it.
    pub(crate) fn is_gap(&self, second: i64) -> bool {
        chance(second) < self.gaps
    }

    /// Whether CloudWatch shows anything of a target group, given as in its dimension.
    pub(crate) fn shows_group(&self, label: &str) -> bool {
        !self.unseen_groups.iter().any(|arn| arn.ends_with(label))
    }
}

/// A number from 0 to 1 that looks random and is always the same for a second.
fn chance(second: i64) -> f64 {
    // The multiplier is 2^64 divided by the golden ratio: neighbours end far apart.
    let mixed = second.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as f64 / f64::from(1 << 24)
}

/// The troubles of all balancers, by what CloudWatch calls them: `app/name/id`.
#[derive(Default)]
pub(crate) struct Troubles(BTreeMap<String, Trouble>);

impl Troubles {
    /// Replaces those of the balancer with this ARN.
    pub(crate) fn set(&mut self, arn: &str, trouble: Trouble) {
        let label = arn.split_once(":loadbalancer/").map_or(arn, |(_, label)| label);
        self.0.insert(label.to_owned(), trouble);
    }

    /// Those of a balancer.
    pub(crate) fn of(&self, label: &str) -> Trouble {
        self.0.get(label).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn shown(trouble: &Trouble, second: i64) -> f64 {
        trouble.shown(Timestamp::from_second(NOW).unwrap())(second)
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "shares are passed on as they are")]
    fn a_second_is_unpublished_then_partial_then_whole() {
        let partial = Partial { share: 0.25, lasts: Duration::from_secs(2) };
        let trouble =
            Trouble { metric_lag: Duration::from_secs(1), partial: Some(partial), ..Trouble::default() };
        let shares = [0, -1, -2, -3, -4].map(|ago| shown(&trouble, NOW + ago));
        assert_eq!(shares, [0.0, 0.0, 0.25, 0.25, 1.0]);
        assert_eq!(shown(&Trouble::default(), NOW - 1), 1.0);
    }

    #[test]
    fn gaps_are_as_many_as_asked_for_and_stay() {
        let trouble = Trouble { gaps: 0.3, ..Trouble::default() };
        let missing = |_| (1..=1000).filter(|ago| shown(&trouble, NOW - ago) == 0.0).collect::<Vec<i64>>();
        assert_eq!(missing(0), missing(1));
        assert!((270..330).contains(&missing(0).len()), "{}", missing(0).len());
    }
}
