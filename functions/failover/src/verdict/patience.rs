//! Waiting so long for something and then giving up: counted in one way, from when it began.

use jiff::Timestamp;

use super::{BothSick, Criteria, Verdict};

/// What is waited for, since when, and how long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Seconds since it began, or periods.
    lasted: i64,
    /// After how many it is given up.
    limit: i64,
}

impl Patience {
    /// With something that began at a time, or only just now, and is given up after so many periods.
    pub fn new(since: Option<Timestamp>, now: Timestamp, periods: u32, period_seconds: u32) -> Self {
        let lasted = since.map_or(0, |since| now.as_second().saturating_sub(since.as_second()));
        Self { lasted, limit: i64::from(periods) * i64::from(period_seconds.max(1)) }
    }

    /// The same in periods that are counted already.
    pub fn in_periods(lasted: usize, limit: u32) -> Self {
        Self { lasted: i64::try_from(lasted).unwrap_or(i64::MAX), limit: limit.into() }
    }

    /// With both fleets unhealthy, by whatever tells so.
    pub fn with_both(
        criteria: &Criteria,
        since: Option<Timestamp>,
        now: Timestamp,
        period_seconds: u32,
    ) -> Self {
        Self::new(since, now, criteria.both_periods, period_seconds)
    }

    /// Whether it has lasted too long.
    pub const fn is_over(self) -> bool {
        self.lasted >= self.limit
    }

    /// How long it has lasted, in seconds.
    pub fn lasted(self) -> u32 {
        u32::try_from(self.lasted).unwrap_or(if self.lasted < 0 { 0 } else { u32::MAX })
    }

    /// To wait, or what the criteria say of two unhealthy fleets.
    pub const fn verdict(self, criteria: &Criteria) -> Verdict {
        match criteria.both_sick {
            _ if !self.is_over() => Verdict::Wait,
            BothSick::RollBack => Verdict::RollBack,
            BothSick::Halt => Verdict::Halt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_so_many_periods_after_it_began() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let patience = |since, now| Patience::new(since, at(now), 30, 60);
        for (since, now, over) in [
            (None, 9999, false),
            (Some(at(100)), 1899, false),
            (Some(at(100)), 1900, true),
            (Some(at(100)), 50, false),
        ] {
            assert_eq!(patience(since, now).is_over(), over, "{since:?} {now}");
        }
        assert_eq!(patience(Some(at(100)), 190).lasted(), 90);
        assert_eq!(patience(Some(at(100)), 90).lasted(), 0);
    }
}
