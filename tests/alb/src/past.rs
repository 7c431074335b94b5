//! What stood before a change, for reads that come too early to see it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use clock::Instant;

/// For how long changes are remembered: no trouble lasts longer.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// What resources held before each of their last changes, by ARN.
pub(crate) struct Past<T>(BTreeMap<String, VecDeque<(Instant, T)>>);

impl<T> Default for Past<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Clone> Past<T> {
    /// Remembers what a resource held until now.
    pub(crate) fn note(&mut self, arn: &str, held: T, now: Instant) {
        let changes = self.0.entry(arn.to_owned()).or_default();
        changes.retain(|(at, _)| now.duration_since(*at) < KEPT_FOR);
        changes.push_back((now, held));
    }

    /// What a resource held this long ago, if that is not what it holds now.
    pub(crate) fn before(&self, arn: &str, now: Instant, late: Duration) -> Option<&T> {
        let mut changes = self.0.get(arn)?.iter();
        changes.find(|(at, _)| now.duration_since(*at) < late).map(|(_, held)| held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_sees_what_stood_as_long_ago_as_it_is_late() {
        let (start, mut past) = (Instant::now(), Past::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        past.note("arn", 1, at(10));
        past.note("arn", 2, at(12));
        let seen = |now, late| past.before("arn", at(now), Duration::from_secs(late)).copied();
        assert_eq!([seen(12, 5), seen(13, 2), seen(14, 2), seen(13, 0)], [Some(1), Some(2), None, None]);
        assert_eq!(past.before("another", at(12), Duration::from_secs(5)), None);
    }
}
