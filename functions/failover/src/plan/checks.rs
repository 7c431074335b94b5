//! What must be so before a run starts, in words, or the sentence that refuses it.

use std::collections::BTreeSet;

use super::{Found, FoundFleet, Past, found_weights};
use crate::calendar::Permit;
use crate::claim;
use crate::contract::{Execution, MustShow, Stage};
use crate::duration::Seconds;
use crate::input::{Input, Operation};
use crate::samples::Health;
use crate::verdict::proposed_bake;
use crate::weights::GroupWeight;

/// One run at a time: a route that another run holds refuses this one.
pub(super) fn check_claims(found: &Found) -> Result<(), String> {
    for route in &found.routes {
        let weights = found_weights(route, &found.fleets);
        if let Some(why) = claim::refusal(&route.claim, route.record.as_ref(), &weights) {
            return Err(format!("{} {why}", route.label));
        }
    }
    Ok(())
}

/// The one balancer whose rules hold the fleets' target groups.
pub(super) fn one_balancer(found: &Found) -> Result<&str, String> {
    let balancers: BTreeSet<&String> = found.fleets.iter().flat_map(|f| &f.load_balancer_arns).collect();
    let mut balancers = balancers.into_iter();
    match (balancers.next(), balancers.next()) {
        (Some(one), None) if !found.routes.is_empty() => Ok(one),
        (Some(_), Some(_)) => Err(format!(
            "the fleets are on different balancers ({} and {} on {}); put both target groups behind one",
            found.fleets[0].name,
            found.fleets[1].name,
            found.fleets.iter().flat_map(|f| &f.load_balancer_arns).cloned().collect::<Vec<_>>().join(", ")
        )),
        _ => Err(format!(
            "no listener rule and no default action forwards to {} or {}; add one that forwards to the fleet \
             that is live today",
            found.fleets[0].target_group_arn, found.fleets[1].target_group_arn
        )),
    }
}

/// Percentages of the two fleets must be what users see.
pub(super) fn check_routes(found: &Found) -> Result<(), String> {
    for route in &found.routes {
        if route.group_stickiness {
            return Err(format!(
                "{} has target group stickiness on, so clients would stay on their fleet whatever the weights \
                 say; turn it off on the rule and start again",
                route.label
            ));
        }
        let ours =
            |group: &&GroupWeight| found.fleets.iter().any(|f| f.target_group_arn == group.target_group_arn);
        if let Some(third) = route.groups.iter().find(|g| !ours(g) && g.weight > 0) {
            return Err(format!(
                "{} also forwards to {} with weight {}, so percentages of the two fleets would not be what \
                 users see; take that group out of the rule or give it weight 0, at which it is left untouched",
                route.label, third.target_group_arn, third.weight
            ));
        }
    }
    Ok(())
}

/// A fleet that receives traffic must be able to serve it. The standby may be dead for a drain,
/// since a deployment to it comes next, and unchecked where no rule holds it yet: the first stage
/// then attaches it at weight 0 and waits until its targets are healthy.
pub(super) fn check_health(
    operation: Operation,
    live: &FoundFleet,
    standby: &FoundFleet,
) -> Result<Vec<String>, String> {
    let mut checks = Vec::new();
    let describe = |fleet: &FoundFleet| {
        let Health { healthy, registered, .. } = fleet.health;
        format!("{} has {healthy} of {registered} targets healthy", fleet.name)
    };
    let way_out = "see the target group's health checks and start again when its targets are healthy";
    if live.health.healthy == 0 && operation != Operation::Failback {
        return Err(format!("{}, and it is live; {way_out}", describe(live)));
    }
    checks.push(describe(live));
    if operation == Operation::Drain {
        return Ok(checks);
    }
    if standby.health.registered == 0 {
        return Err(format!(
            "{} has no registered targets; register them with {} first",
            standby.name, standby.target_group_arn
        ));
    }
    if standby.health.unused {
        checks.push(format!(
            "{} is not health-checked yet; it will be attached at weight 0 first",
            standby.name
        ));
    } else if standby.health.healthy == 0 {
        return Err(format!("{}, and it would receive traffic; {way_out}", describe(standby)));
    } else {
        checks.push(describe(standby));
    }
    Ok(checks)
}

/// An even split of two different releases would show users now one, now the other.
pub(super) fn check_releases(
    input: &Input,
    live: &FoundFleet,
    standby: &FoundFleet,
) -> Result<String, String> {
    let said = input.release.as_ref().or(standby.release.as_ref());
    match (&live.release, said) {
        (Some(live_runs), Some(standby_runs)) if live_runs == standby_runs => {
            Ok(format!("both fleets run {live_runs}"))
        }
        (Some(live_runs), Some(standby_runs)) if input.force => {
            Ok(format!("{} runs {live_runs} and {} runs {standby_runs}: forced", live.name, standby.name))
        }
        (Some(live_runs), Some(standby_runs)) => Err(format!(
            "{} runs {live_runs} and {} runs {standby_runs}, as far as is known; deploy the same release to both \
             and say so with \"release\": \"{live_runs}\", or split the traffic all the same with \"force\": true",
            live.name, standby.name
        )),
        _ => Ok("which releases the fleets run is not known".into()),
    }
}

/// Whether the run is likely to be over before its window closes.
pub(super) fn in_window(
    permit: &Permit,
    stages: &[Stage],
    period: Seconds,
    execution: &Execution,
) -> Option<String> {
    if let Some(reason) = &permit.overridden {
        return Some(format!("starts outside the windows: {reason}"));
    }
    let seconds: i64 = stages.iter().map(|stage| stage.likely_seconds(period.0)).sum();
    let left = permit.until?.as_second() - execution.started_at.as_second();
    let closes = &permit.closes;
    Some(if seconds <= left {
        format!("starts within its window, which closes {closes}")
    } else {
        let longer = Seconds(u32::try_from(seconds - left).unwrap_or(u32::MAX));
        format!("will not be over before its window closes {closes}, but {longer} later at the earliest")
    })
}

/// A release that fails this share of its requests should be found within the first bake.
const BAD_RELEASE_PERCENT: f64 = 5.0;

/// What the first stage with traffic can be expected to show, so that an operator knows before the
/// start whether the bake is long enough for the traffic there is.
pub(super) fn expectation(input: &Input, stages: &[Stage], past: &Past, standby: &str) -> Option<String> {
    let first = stages.iter().find(|stage| stage.must_show == MustShow::HealthyStandby)?;
    let percent = first.standby_percent.get();
    if past.counts.is_empty() {
        return Some(format!(
            "no traffic was measured before, so whether a bake of {} suffices is unknown",
            Seconds(first.bake_seconds)
        ));
    }
    let proposal = proposed_bake(&input.criteria, &past.counts, percent, BAD_RELEASE_PERCENT);
    let period = input.period;
    let requests = proposal.requests_per_period;
    let traffic = format!("at {percent} % {standby} gets about {requests:.0} requests in {period}");
    let bad = format!("a release that fails {BAD_RELEASE_PERCENT} % of them");
    Some(match proposal.detect_periods {
        None => format!("{traffic}, too few to find {bad}; raise the first stage or watch it yourself"),
        Some(periods) => {
            let needed = Seconds(periods.saturating_mul(period.0));
            if needed.0 <= first.bake_seconds {
                format!("{traffic}; {bad} is found in about {needed}")
            } else {
                format!(
                    "{traffic}; {bad} is found in about {needed}, longer than the bake of {}: propose \"bake\": \"{needed}\"",
                    Seconds(first.bake_seconds)
                )
            }
        }
    })
}
