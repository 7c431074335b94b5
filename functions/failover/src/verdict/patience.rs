//! Waiting so long for something and then giving up: counted in one way, from when it began.

use jiff::Timestamp;

use super::{Criteria, OnBothUnhealthy, Verdict};
use crate::duration::Seconds;

/// What is waited for, since when, and how long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Seconds since it began.
    lasted: i64,
    /// After how many it is given up.
    limit: Seconds,
}

impl Patience {
    /// With something that began at a time, or only just now, and is given up after so long.
    pub fn new(since: Option<Timestamp>, now: Timestamp, limit: Seconds) -> Self {
        let lasted = since.map_or(0, |since| now.as_second().saturating_sub(since.as_second()));
        Self { lasted, limit }
    }

    /// With something that lasts for so many periods.
    pub fn of_periods(periods: usize, period_seconds: u32, limit: Seconds) -> Self {
        let lasted = i64::try_from(periods).unwrap_or(i64::MAX).saturating_mul(period_seconds.into());
        Self { lasted, limit }
    }

    /// With both fleets unhealthy, by whatever tells so.
    pub fn with_both(criteria: &Criteria, since: Option<Timestamp>, now: Timestamp) -> Self {
        Self::new(since, now, criteria.both_unhealthy_for)
    }

    /// Whether it has lasted too long.
    pub fn is_over(self) -> bool {
        self.lasted >= self.limit.0.into()
    }

    /// How long it has lasted, in seconds.
    pub fn lasted(self) -> u32 {
        u32::try_from(self.lasted).unwrap_or(if self.lasted < 0 { 0 } else { u32::MAX })
    }

    /// To wait, or what the criteria say of two unhealthy fleets.
    pub fn verdict(self, criteria: &Criteria) -> Verdict {
        match criteria.on_both_unhealthy {
            _ if !self.is_over() => Verdict::Wait,
            OnBothUnhealthy::RollBack => Verdict::RollBack,
            OnBothUnhealthy::Halt => Verdict::Halt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_so_long_after_it_began() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let patience = |since, now| Patience::new(since, at(now), Seconds(1800));
        for (since, now, over) in [
            (None, 9999, false),
            (Some(at(100)), 1899, false),
            (Some(at(100)), 1900, true),
            (Some(at(100)), 50, false),
        ] {
            assert_eq!(patience(since, now).is_over(), over, "{since:?} {now}");
        }
        assert!(!Patience::of_periods(29, 60, Seconds(1800)).is_over());
        assert!(Patience::of_periods(30, 60, Seconds(1800)).is_over());
        assert_eq!(patience(Some(at(100)), 190).lasted(), 90);
        assert_eq!(patience(Some(at(100)), 90).lasted(), 0);
    }
}
