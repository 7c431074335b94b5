//! What can fail, on a balancer with real traffic: fleets, calls of AWS, and how AWS spreads weights.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ::scenario::{Aws, Behaves, CallFault, Fails};
use alb::{Behaviour, CallInfo, Intercept, Partial, Trouble};
use anyhow::{Context, Result};

use crate::app::App;
use crate::ground::Ground;
use crate::kill;

/// What makes the targets of a fleet behave so.
pub(super) fn behaviour(behaves: Behaves) -> Behaviour {
    match behaves {
        Behaves::Healthy => Behaviour::Healthy,
        Behaves::Dead => Behaviour::Dead,
        Behaves::FailsChecks => Behaviour::FailsChecks,
        Behaves::Errors { percent } => Behaviour::Errors { share: percent / 100.0 },
        Behaves::ClientErrors { percent } => Behaviour::ClientErrors { share: percent / 100.0 },
        Behaves::Capacity { per_second } => Behaviour::Capacity { per_second },
        Behaves::Resets { percent } => Behaviour::Reset { share: percent / 100.0 },
        Behaves::Slow { percent, seconds } => {
            Behaviour::Slow { share: percent / 100.0, delay: seconds.duration() }
        }
    }
}

/// Makes AWS do so around the balancer of an app.
pub(super) fn apply(aws: &Aws, ground: &Ground, app: &App<'_>) {
    let trouble = Trouble {
        spread: aws.spread_seconds.duration(),
        late_reads: aws.late_reads_seconds.duration(),
        metric_lag: aws.metric_lag_seconds.duration(),
        partial: aws
            .partial
            .map(|partial| Partial { share: partial.percent / 100.0, lasts: partial.seconds.duration() }),
        gaps: aws.gaps_percent / 100.0,
        points_twice: aws.points_twice,
        unseen_groups: aws.unseen.iter().map(|fleet| app.groups[fleet.index()].clone()).collect(),
    };
    ground.alb.set_trouble(&app.load_balancer_arn, trouble);
}

/// Lets calls about an app fail from now on.
pub(super) fn arm(fault: &CallFault, ground: &Ground, app: &App<'_>) -> Result<()> {
    let (fault, mark, server) = (fault.clone(), app.mark(), ground.alb.address());
    let route = match fault.route {
        Some(number) => {
            let arn = number.checked_sub(1).and_then(|index| app.routes.get(index));
            Some(arn.with_context(|| format!("there is no route {number}"))?.clone())
        }
        None => None,
    };
    let last = fault.for_seconds.map(|seconds| Instant::now() + seconds.duration());
    let seen = AtomicUsize::new(0);
    ground.fail(move |call: &CallInfo<'_>| {
        let wanted = fault.action.as_ref().is_none_or(|action| action == call.action)
            && mark.is_in(call.parameters)
            && route.as_ref().is_none_or(|arn| call.parameters.iter().any(|(_, value)| value == arn))
            && last.is_none_or(|last| Instant::now() < last);
        if !wanted {
            return None;
        }
        let number = seen.fetch_add(1, Ordering::Relaxed).checked_sub(fault.skip)?;
        if fault.times.is_some_and(|times| number >= times) {
            return None;
        }
        intercept(fault.fails, call, server)
    });
    Ok(())
}

fn intercept(fails: Fails, call: &CallInfo<'_>, server: std::net::SocketAddr) -> Option<Intercept> {
    let error = |status, code: &str, message: &str| {
        Some(Intercept::Error { status, code: code.into(), message: message.into() })
    };
    match fails {
        Fails::Throttled => error(400, "Throttling", "Rate exceeded"),
        Fails::Denied => error(403, "AccessDenied", "not allowed"),
        Fails::Broken => error(500, "InternalFailure", "try again later"),
        Fails::LostBefore => Some(Intercept::ResetBefore),
        Fails::LostAfter => Some(Intercept::ResetAfter),
        // One that is gone already is none that fails.
        Fails::Killed => kill::client(call.peer, server).is_ok().then_some(Intercept::ResetBefore),
        Fails::Late { seconds } => Some(Intercept::Delay(seconds.duration())),
    }
}
