//! Calls of functions that fail on purpose.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use alb::{CallInfo, Intercept};
use clock::Instant;
use scenario::{CallFault, Fails};

use crate::world::lock;

/// Calls that fail on purpose, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Mutex<Vec<Armed>>,
    calls: Mutex<BTreeMap<String, usize>>,
    /// Whether the call that comes next is a function's. A scenario's own calls meet no fault.
    of_a_function: AtomicBool,
}

#[derive(Debug)]
struct Armed {
    fault: CallFault,
    route: Option<String>,
    until: Option<Instant>,
    seen: usize,
}

impl Faults {
    /// Lets calls fail from now on, those that name this route if there is one.
    pub(crate) fn arm(&self, fault: CallFault, route: Option<String>) {
        let until = fault.for_seconds.map(|seconds| Instant::now() + seconds.duration());
        lock(&self.armed).push(Armed { fault, route, until, seen: 0 });
    }

    /// Says that the next call is a function's.
    pub(crate) fn of_a_function(&self) {
        self.of_a_function.store(true, Ordering::Relaxed);
    }

    /// What becomes of a call, where it fails on purpose.
    pub(crate) fn intercept(&self, call: &CallInfo<'_>) -> Option<Intercept> {
        if !self.of_a_function.swap(false, Ordering::Relaxed) {
            return None;
        }
        *lock(&self.calls).entry(call.action.to_owned()).or_default() += 1;
        lock(&self.armed).iter_mut().find_map(|armed| armed.intercept(call))
    }

    /// How often functions have called each API.
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        lock(&self.calls).clone()
    }
}

impl Armed {
    fn intercept(&mut self, call: &CallInfo<'_>) -> Option<Intercept> {
        let wanted = self.fault.action.as_ref().is_none_or(|action| action == call.action)
            && self.route.as_ref().is_none_or(|arn| call.parameters.iter().any(|(_, value)| value == arn))
            && self.until.is_none_or(|until| Instant::now() < until);
        if !wanted {
            return None;
        }
        self.seen += 1;
        let number = (self.seen - 1).checked_sub(self.fault.skip)?;
        if self.fault.times.is_some_and(|times| number >= times) {
            return None;
        }
        let error = |status, code: &str, message: &str| {
            Some(Intercept::Error { status, code: code.to_owned(), message: message.to_owned() })
        };
        match self.fault.fails {
            Fails::Throttled => error(400, "Throttling", "Rate exceeded"),
            Fails::Denied => error(403, "AccessDenied", "not allowed"),
            Fails::Broken => error(500, "InternalFailure", "try again later"),
            // There is no process that could be killed: a file that asks for that is refused.
            Fails::LostBefore | Fails::Killed => Some(Intercept::ResetBefore),
            Fails::LostAfter => Some(Intercept::ResetAfter),
            Fails::Late { seconds } => Some(Intercept::Delay(seconds.duration())),
        }
    }
}
