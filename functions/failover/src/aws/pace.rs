//! How fast AWS is asked. Its bucket of 40 reads is that of a whole account and region, and is refilled
//! with ten a second: a poll of many apps must not empty it for everybody else, nor for the stage that
//! follows at once.

use std::time::Duration;

use futures_util::future::try_join_all;

use crate::error::Error;

/// Calls that are sent at once: a poll and the stage that it leads to must both find room.
const AT_ONCE: u32 = 12;

/// One more every so often, as fast as the bucket is refilled.
const BEAT: Duration = Duration::from_millis(100);

/// Makes all of these calls, the first ones at once. The answers come in their order.
///
/// # Errors
/// As the first call that fails.
pub async fn paced<Answer>(
    calls: impl IntoIterator<Item = impl Future<Output = Result<Answer, Error>>>,
) -> Result<Vec<Answer>, Error> {
    let calls = calls.into_iter().zip(1_u32..).map(|(call, number)| async move {
        let late = number.saturating_sub(AT_ONCE);
        if late > 0 {
            tokio::time::sleep(BEAT * late).await;
        }
        call.await
    });
    try_join_all(calls).await
}
