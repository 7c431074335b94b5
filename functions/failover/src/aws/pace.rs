//! How fast AWS is asked. Its buckets are those of a whole account and region: what many apps need must
//! not empty them for everybody else, nor for the state that follows at once.
//!
//! Reads have a bucket of 40, refilled with ten a second; changes one of 20, refilled with three. That
//! tags count as changes is assumed: nothing says so.

use std::time::Duration;

use clock::Instant;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::model::error::Error;

/// Reads that are sent at once: a poll and the stage that it leads to must both find room.
const READS_AT_ONCE: u32 = 12;

/// One more every so often, as fast as the bucket is refilled.
const READ_EVERY: Duration = Duration::from_millis(100);

/// Changes that are sent at once: half of the bucket, so that a stage and the rollback that follows it
/// at once both find room.
const WRITES_AT_ONCE: u32 = 10;

/// One more every so often, a little slower than the bucket is refilled.
const WRITE_EVERY: Duration = Duration::from_millis(350);

/// Changes that are under way side by side.
const WRITES_SIDE_BY_SIDE: usize = 4;

/// Makes all of these reads, the first ones at once. The answers come in their order.
///
/// # Errors
/// As the first call that fails.
pub async fn paced<Answer>(
    calls: impl IntoIterator<Item = impl Future<Output = Result<Answer, Error>>>,
) -> Result<Vec<Answer>, Error> {
    let calls = calls.into_iter().zip(1_u32..).map(|(call, number)| async move {
        let late = number.saturating_sub(READS_AT_ONCE);
        if late > 0 {
            tokio::time::sleep(READ_EVERY * late).await;
        }
        call.await
    });
    try_join_all(calls).await
}

/// The changes that one invocation makes, in all of its lots.
#[derive(Debug)]
pub struct Writes {
    began: Instant,
    made: u32,
}

impl Default for Writes {
    fn default() -> Self {
        Self { began: Instant::now(), made: 0 }
    }
}

impl Writes {
    /// Makes all of these changes, each when it is due. Which of them ends first is not said.
    ///
    /// # Errors
    /// As the first one that fails; the others may have been sent.
    pub async fn make(
        &mut self,
        changes: impl IntoIterator<Item = impl Future<Output = Result<(), Error>>>,
    ) -> Result<(), Error> {
        let began = self.began;
        let changes = changes.into_iter().map(|change| {
            let due = began + due(self.made);
            self.made += 1;
            async move {
                tokio::time::sleep_until(due).await;
                change.await
            }
        });
        stream::iter(changes).buffer_unordered(WRITES_SIDE_BY_SIDE).try_collect::<Vec<()>>().await.map(drop)
    }
}

/// When a change may be made, from the first one.
fn due(number: u32) -> Duration {
    WRITE_EVERY * (number + 1).saturating_sub(WRITES_AT_ONCE)
}

/// Splits what is written into lots that one look at the claims is enough for: half of the time that a
/// fence gives goes to waiting for the bucket, the other half is left for AWS to be slow.
pub fn lots<T>(all: &[T], settle_seconds: u32) -> impl Iterator<Item = &[T]> {
    let in_time = Duration::from_secs(settle_seconds.into()) / 3;
    let in_time = usize::try_from(in_time.as_millis() / WRITE_EVERY.as_millis()).unwrap_or(1).max(1);
    // The first ones wait for nothing.
    let first = all.len().min(in_time.max(WRITES_AT_ONCE as usize));
    let (first, others) = all.split_at(first);
    [first].into_iter().filter(|lot| !lot.is_empty()).chain(others.chunks(in_time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::claim::LONGEST_WRITER_SECONDS;

    /// As many routes as 16 apps may have.
    const MOST_ROUTES: u32 = 64;

    #[test]
    fn changes_never_ask_for_more_than_the_bucket_holds() {
        for number in 0..MOST_ROUTES {
            let refilled = 3.0 * due(number).as_secs_f64();
            assert!(f64::from(number + 1) <= 10.0 + refilled, "{number}: half of it is left to others");
        }
    }

    #[test]
    fn every_lot_is_over_well_within_its_fence() {
        let all: Vec<u32> = (0..MOST_ROUTES).collect();
        for settle_seconds in 1..=20 {
            let lots: Vec<&[u32]> = lots(&all, settle_seconds).collect();
            assert_eq!(lots.concat(), all);
            for lot in &lots {
                let (first, last) = (lot[0], lot[lot.len() - 1]);
                let third = Duration::from_secs(settle_seconds.into()) / 3;
                assert!(due(last) <= due(first) + third, "{settle_seconds}: {lot:?}");
            }
        }
        let sizes = |settle| lots(&all, settle).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(15), [14, 14, 14, 14, 8]);
        assert_eq!(lots(&all[..0], 15).count(), 0);
    }

    /// What an invocation with 64 routes takes, call by call with a generous 150 ms each. The time-outs
    /// of the functions in `infra/template.yaml` must be longer.
    #[test]
    fn the_most_routes_fit_the_time_outs_of_the_functions() {
        let call = Duration::from_millis(150);
        // Of tags and of rules 20 are read by a call, one lot after the other, and each lot is looked at
        // again before it is written.
        let (read_all, looks) = (call * 4, call * 3 * 5);
        let writes = |number: u32| due(number - 1) + looks + call;
        // 32 target groups.
        let health = READ_EVERY * (32 - READS_AT_ONCE) + call;
        let settle = Duration::from_secs(20);
        let claim = read_all * 3 + writes(MOST_ROUTES) + settle + read_all * 2;
        let weights = health + read_all * 2 + writes(MOST_ROUTES) + read_all;
        // Besides, the releases of 16 standbys and 16 rules for testers, of which each is read twice.
        let swap = read_all + writes(MOST_ROUTES + 32) + call * 3 * 16;
        let release = read_all + writes(MOST_ROUTES);
        let seconds = [claim, weights, swap, release].map(|sum| sum.as_secs());
        assert_eq!(seconds, [44, 25, 40, 21]);
        assert!(seconds.iter().all(|seconds| *seconds < LONGEST_WRITER_SECONDS.unsigned_abs()));
    }
}
