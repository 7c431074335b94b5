//! The one place that knows what time it is.
//!
//! Functions and the local balancer ask here, and measure how long something takes with [`Instant`],
//! which follows tokio's clock, as sleeping does. So a whole run can be made within a time that is not
//! that of the machine: see `virtual_time`. Crates that run there deny `clippy::disallowed_methods`,
//! which lists every other way to ask for the time.

#![deny(clippy::disallowed_methods)]

pub use tokio::time::Instant;

use jiff::Timestamp;

/// The time of day.
#[cfg(not(feature = "virtual"))]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time of day: that of the machine, or on a thread with [`virtual_time`] that one.
#[cfg(feature = "virtual")]
pub fn now() -> Timestamp {
    virtual_time::now()
}

/// A time of day that goes as tokio's clock does, which may be paused.
#[cfg(feature = "virtual")]
pub mod virtual_time {
    use std::cell::Cell;

    use jiff::Timestamp;
    use tokio::time::Instant;

    thread_local! {
        /// What time it was on this thread, and when.
        static BEGAN: Cell<Option<(Timestamp, Instant)>> = const { Cell::new(None) };
    }

    /// Lets this thread believe that it is `at`, and from there on as late as tokio's clock says.
    pub fn begin(at: Timestamp) {
        BEGAN.set(Some((at, Instant::now())));
    }

    /// Gives this thread back the time of the machine.
    pub fn end() {
        BEGAN.set(None);
    }

    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub(super) fn now() -> Timestamp {
        match BEGAN.get() {
            Some((at, since)) => at.saturating_add(since.elapsed()).unwrap_or(Timestamp::MAX),
            None => Timestamp::now(),
        }
    }
}
