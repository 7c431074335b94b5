//! How fast AWS is asked. Its buckets are those of a whole account and region: what many apps need must
//! not empty them for everybody else, nor for the state that follows at once.
//!
//! Reads have a bucket of 40, refilled with ten a second; changes one of 20, refilled with three. That
//! tags count as changes is assumed: nothing says so.

use std::cell::Cell;
use std::time::Duration;

use clock::Instant;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::model::error::Error;

/// Reads that are sent at once, whatever of: a poll and the stage that it leads to must both find room.
const READS_AT_ONCE: u32 = 12;

/// One more every so often, as fast as the bucket is refilled.
const READ_EVERY: Duration = Duration::from_millis(100);

/// As many rules, or resources for their tags, as AWS describes in one call.
const RESOURCES_PER_CALL: usize = 20;

/// Changes that are sent at once: half of the bucket, so that a stage and the rollback that follows it
/// at once both find room.
const WRITES_AT_ONCE: u32 = 10;

/// One more every so often, a little slower than the bucket is refilled.
const WRITE_EVERY: Duration = Duration::from_millis(350);

/// Changes that are under way side by side.
const WRITES_SIDE_BY_SIDE: usize = 4;

thread_local! {
    /// One budget for all reads of a function, as there is one bucket. A function has one thread.
    static READS: Budget = const { Budget { asked: Cell::new(None), made: Cell::new(None) } };
}

/// When all reads so far will have been made as slowly as the bucket is refilled.
struct Budget {
    /// Of all that were asked for.
    asked: Cell<Option<Instant>>,
    /// Of those that were made.
    made: Cell<Option<Instant>>,
}

impl Budget {
    /// How long the read that asks has to wait. Who asks has its turn.
    fn wait(&self, now: Instant) -> Duration {
        let turn = self.asked.get().unwrap_or(now).max(now);
        self.asked.set(Some(turn + READ_EVERY));
        ahead(turn, now)
    }

    /// How much longer the read whose turn has come has to wait; nothing where it is made now. A function that stood
    /// still for seconds, as on a busy machine, has many whose turn has come, and does not make all of them at once.
    fn longer(&self, now: Instant) -> Option<Duration> {
        let turn = self.made.get().unwrap_or(now).max(now);
        let wait = ahead(turn, now);
        if wait.is_zero() {
            self.made.set(Some(turn + READ_EVERY));
        }
        (!wait.is_zero()).then_some(wait)
    }
}

/// How long a turn is away, where so many are let in at once.
fn ahead(turn: Instant, now: Instant) -> Duration {
    turn.saturating_duration_since(now).saturating_sub(READ_EVERY * (READS_AT_ONCE - 1))
}

/// Lets this thread read as if it had not read yet: for whoever begins another time on it, as the simulation does
/// for each of its worlds.
pub fn begin_anew() {
    READS.with(|reads| {
        reads.asked.set(None);
        reads.made.set(None);
    });
}

/// Makes a read of the balancer when it is its turn.
///
/// # Errors
/// As the read.
pub async fn read<Answer>(call: impl Future<Output = Result<Answer, Error>>) -> Result<Answer, Error> {
    let wait = READS.with(|reads| reads.wait(Instant::now()));
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    while let Some(wait) = READS.with(|reads| reads.longer(Instant::now())) {
        tokio::time::sleep(wait).await;
    }
    call.await
}

/// Makes all of these reads, each when it is its turn. The answers come in their order.
///
/// # Errors
/// As the first call that fails.
pub async fn paced<Answer>(
    calls: impl IntoIterator<Item = impl Future<Output = Result<Answer, Error>>>,
) -> Result<Vec<Answer>, Error> {
    try_join_all(calls.into_iter().map(read)).await
}

/// Describes all of these resources, as many in a call as AWS takes. `describe` says nothing where one of its
/// resources is gone: that fails the reading of all, and only one by one do the others answer.
///
/// # Errors
/// As the first call that fails.
pub async fn described<'a, Resource, Answer, Call>(
    all: &'a [Resource],
    describe: impl Fn(&'a [Resource]) -> Call,
) -> Result<Vec<Answer>, Error>
where
    Call: Future<Output = Result<Option<Vec<Answer>>, Error>>,
{
    let mut found = Vec::new();
    let answers = paced(all.chunks(RESOURCES_PER_CALL).map(&describe)).await?;
    for (some, answer) in all.chunks(RESOURCES_PER_CALL).zip(answers) {
        match answer {
            Some(answer) => found.extend(answer),
            None => found.extend(paced(some.chunks(1).map(&describe)).await?.into_iter().flatten().flatten()),
        }
    }
    Ok(found)
}

/// Makes changes lot by lot. `changes` looks at the claims of a lot, and says what is to be changed of it while
/// that look is valid.
///
/// # Errors
/// As a look, or as the first change that fails; the others of its lot may have been sent.
pub async fn changed<'a, Item, Change>(
    all: &'a [Item],
    propagation_seconds: u32,
    mut changes: impl AsyncFnMut(&'a [Item]) -> Result<Vec<Change>, Error>,
) -> Result<(), Error>
where
    Change: Future<Output = Result<(), Error>>,
{
    let mut writes = Writes::default();
    for lot in lots(all, propagation_seconds) {
        writes.make(changes(lot).await?).await?;
    }
    Ok(())
}

/// The changes that one invocation makes, in all of its lots.
#[derive(Debug)]
struct Writes {
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
    async fn make(
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
fn lots<T>(all: &[T], propagation_seconds: u32) -> impl Iterator<Item = &[T]> {
    let in_time = Duration::from_secs(propagation_seconds.into()) / 3;
    let in_time = usize::try_from(in_time.as_millis() / WRITE_EVERY.as_millis()).unwrap_or(1).max(1);
    // The first ones wait for nothing.
    let first = all.len().min(in_time.max(WRITES_AT_ONCE as usize));
    let (first, others) = all.split_at(first);
    [first].into_iter().filter(|lot| !lot.is_empty()).chain(others.chunks(in_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest time-out of a function that writes, in `infra/template.yaml`.
    const LONGEST_WRITER_SECONDS: u64 = 60;

    /// As many as a run may have.
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
        for propagation_seconds in 1..=20 {
            let lots: Vec<&[u32]> = lots(&all, propagation_seconds).collect();
            assert_eq!(lots.concat(), all);
            for lot in &lots {
                let (first, last) = (lot[0], lot[lot.len() - 1]);
                let third = Duration::from_secs(propagation_seconds.into()) / 3;
                assert!(due(last) <= due(first) + third, "{propagation_seconds}: {lot:?}");
            }
        }
        let sizes = |settle| lots(&all, settle).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(15), [14, 14, 14, 14, 8]);
        assert_eq!(lots(&all[..0], 15).count(), 0);
    }

    #[test]
    fn all_reads_together_ask_for_no_more_than_the_bucket_holds() {
        let (budget, now) = (Budget { asked: Cell::new(None), made: Cell::new(None) }, Instant::now());
        let waits: Vec<Duration> = (0..40).map(|_| budget.wait(now)).collect();
        assert!(waits[..12].iter().all(Duration::is_zero));
        for (number, wait) in waits.iter().enumerate().skip(12) {
            assert_eq!(*wait, READ_EVERY * u32::try_from(number - 11).unwrap());
        }
        // Much later all of them are free again.
        let later = now + READ_EVERY * 60;
        assert!((0..12).all(|_| budget.wait(later).is_zero()) && !budget.wait(later).is_zero());
    }

    #[test]
    fn what_waited_while_the_function_stood_still_is_not_made_at_once() {
        let (budget, now) = (Budget { asked: Cell::new(None), made: Cell::new(None) }, Instant::now());
        let made = |at: Instant| (0..40).take_while(|_| budget.longer(at).is_none()).count();
        assert_eq!(made(now), 12);
        // In time, each has nothing more to wait for.
        for number in 1..=10 {
            assert_eq!(made(now + READ_EVERY * number), 1);
        }
        let later = now + READ_EVERY * 80;
        assert_eq!(made(later), 12);
        assert_eq!(budget.longer(later), Some(READ_EVERY));
        assert_eq!(made(later + READ_EVERY), 1);
    }

    /// What an invocation with 64 routes of 16 apps takes, call by call with a generous 150 ms each. The
    /// time-outs of the functions in `infra/template.yaml` must be longer.
    #[test]
    fn the_most_routes_fit_the_time_outs_of_the_functions() {
        assert_eq!(usize::try_from(MOST_ROUTES), Ok(crate::model::MOST_ROUTES));
        let call = Duration::from_millis(150);
        let reads = |number: u32| READ_EVERY * number.saturating_sub(READS_AT_ONCE) + call;
        // Of rules 20 are read by a call, and one reads the claims of all apps. Each lot is looked at again
        // before it is written.
        let (read_all, claims, looks) = (call * 4, call, call * 3 * 5);
        let writes = |number: u32| due(number - 1) + looks + call;
        // With the claims and the rules that are read next, out of one budget.
        let health = reads(32 + 1 + 4);
        let settle = Duration::from_secs(20);
        let claim = (read_all + claims) * 2 + writes(16) + settle + read_all + claims;
        let weights = health + claims + read_all + writes(MOST_ROUTES) + read_all;
        // Besides, the releases of 16 standbys and 16 test-traffic rules, of which each is read twice.
        let swap = claims + writes(16 + 32) + call * 3 * 16;
        let release = claims + writes(16);
        let seconds = [claim, weights, swap, release].map(|sum| sum.as_secs());
        assert_eq!(seconds, [26, 25, 23, 4]);
        assert!(seconds.iter().all(|seconds| *seconds < LONGEST_WRITER_SECONDS));
    }
}
