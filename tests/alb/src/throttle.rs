//! How often an account may call: a bucket for calls that read, one for those that change, and one for
//! those that register and deregister targets.

use clock::Instant;

/// Whose calls draw on the account's buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// Everybody's, as in AWS.
    #[default]
    Everyone,
    /// Those of clients that say who they are, as functions do by `AWS_SDK_UA_APP_ID`. Whoever sets up
    /// a test, or looks on, then takes nothing away from them.
    Named,
}

/// The buckets of one account.
pub(crate) struct Throttle {
    reads: Bucket,
    changes: Bucket,
    targets: Bucket,
}

impl Throttle {
    /// Full buckets that fill up `faster` times as quickly as those of AWS.
    pub(crate) fn new(faster: f64) -> Self {
        Self {
            reads: Bucket::new(40.0, 10.0 * faster),
            changes: Bucket::new(20.0, 3.0 * faster),
            targets: Bucket::new(20.0, 4.0 * faster),
        }
    }

    /// Whether a call is let in at `now`.
    pub(crate) fn admits(&mut self, action: &str, now: Instant) -> bool {
        let bucket = match action {
            "RegisterTargets" | "DeregisterTargets" => &mut self.targets,
            read if read.starts_with("Describe") => &mut self.reads,
            _ => &mut self.changes,
        };
        bucket.take(now)
    }

    /// Fills all of them.
    pub(crate) fn refill(&mut self) {
        for bucket in [&mut self.reads, &mut self.changes, &mut self.targets] {
            bucket.left = bucket.size;
        }
    }
}

/// Calls that are still free.
struct Bucket {
    size: f64,
    per_second: f64,
    left: f64,
    /// When something was last taken.
    since: Option<Instant>,
}

impl Bucket {
    fn new(size: f64, per_second: f64) -> Self {
        Self { size, per_second, left: size, since: None }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = self.since.map_or(0.0, |since| now.saturating_duration_since(since).as_secs_f64());
        self.since = Some(now);
        self.left = (self.left + passed * self.per_second).min(self.size);
        let free = self.left >= 1.0;
        if free {
            self.left -= 1.0;
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many of a hundred calls are let in at `now`.
    fn admitted(throttle: &mut Throttle, action: &str, now: Instant) -> usize {
        (0..100).filter(|_| throttle.admits(action, now)).count()
    }

    #[test]
    fn buckets_hold_and_refill_as_much_as_those_of_aws() {
        let (mut throttle, start) = (Throttle::new(1.0), Instant::now());
        assert_eq!(admitted(&mut throttle, "DescribeRules", start), 40);
        assert_eq!(admitted(&mut throttle, "ModifyRule", start), 20);
        let later = start + Duration::from_secs(2);
        assert_eq!(admitted(&mut throttle, "DescribeTags", later), 20);
        assert_eq!(admitted(&mut throttle, "AddTags", later), 6);
        let much_later = start + Duration::from_mins(10);
        assert_eq!(admitted(&mut throttle, "DescribeTags", much_later), 40);
        throttle.refill();
        assert_eq!(admitted(&mut throttle, "DescribeTags", much_later), 40);
    }

    #[test]
    fn where_time_is_compressed_they_refill_faster() {
        let (mut throttle, start) = (Throttle::new(4.0), Instant::now());
        assert_eq!(admitted(&mut throttle, "RegisterTargets", start), 20);
        assert_eq!(admitted(&mut throttle, "RemoveTags", start), 20);
        let later = start + Duration::from_secs(1);
        assert_eq!(admitted(&mut throttle, "DeregisterTargets", later), 16);
        assert_eq!(admitted(&mut throttle, "AddTags", later), 12);
    }
}
