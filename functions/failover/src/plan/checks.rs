//! What must be so before a run starts, in words, or the sentence that refuses it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Found, FoundApp, FoundFleet, FoundRoute, Past, Refusal};
use crate::duration::Seconds;
use crate::input::Input;
use crate::model::Operation;
use crate::model::claim;
use crate::model::error::Error;
use crate::model::hold;
use crate::model::release::Release;
use crate::model::samples::Health;
use crate::model::weights::{GroupWeight, Percent, weight_of};
use crate::model::{Execution, Gate, MOST_ROUTES, Stage};
use crate::plan::calendar::Permit;
use crate::plan::roles::{self, RouteSays};
use crate::verdict::{self, Criteria, proposed_bake};

/// Weights are given by the names of the fleets, so all apps must have the same. And two apps with a target
/// group in common would be one, moved twice; a naming pattern without `{app}` makes such.
pub(super) fn check_apart(found: &Found) -> Result<(), String> {
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    let names = found.fleet_names();
    for app in &found.apps {
        let own = app.fleets.each_ref().map(|fleet| fleet.name.as_str());
        if own != names {
            return Err(format!(
                "`fleets`: those of {} are called {}, others {}; give those of all apps the same names",
                app.name,
                own.join(" and "),
                names.join(" and ")
            ));
        }
        for fleet in &app.fleets {
            let group = &fleet.target_group_arn;
            match known.insert(group, &app.name) {
                Some(other) if other != app.name => {
                    return Err(format!("{other} and {} have the target group {group} in common", app.name));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The execution's ARN becomes a claim, which is a tag, and ends with a name that whoever started it gave.
pub(super) fn check_execution(execution: &Execution) -> Result<(), String> {
    if claim::fits_a_tag(&execution.arn) {
        return Ok(());
    }
    let name = execution.arn.rsplit(':').next().unwrap_or_default();
    Err(format!(
        "the execution's name, {name:?}, cannot be kept in a tag, which is how a run claims its apps; start it \
         under a name of letters, digits and _ . = + - @, or without one"
    ))
}

/// More routes than a run can move are refused by their number.
pub(super) fn check_number(found: &Found) -> Result<(), String> {
    let routes = found.routes().count();
    if routes <= MOST_ROUTES {
        return Ok(());
    }
    let way_out = match &found.apps[..] {
        [_] => {
            "bring several of its rules together, or name those that are to stay where they are in `except`"
        }
        _ => "give fewer apps to a run",
    };
    Err(format!(
        "{routes} listener rules and default actions forward to the fleets, and a run moves {MOST_ROUTES} at most; \
         {way_out}"
    ))
}

/// The target groups must be such that AWS takes weights for them and counts what they answer.
pub(super) fn check_groups(app: &FoundApp) -> Result<(), String> {
    for FoundFleet { name, target_group_arn, target_stickiness, foreign_protocol, .. } in &app.fleets {
        if let Some(protocol) = foreign_protocol {
            return Err(format!(
                "the target group of {name} ({target_group_arn}) speaks {protocol}: only target groups of an \
                 Application Load Balancer with HTTP or HTTPS can be judged, since other answers are not counted by \
                 their HTTP status"
            ));
        }
        if *target_stickiness {
            return Err(format!(
                "the target group of {name} ({target_group_arn}) has the attribute `stickiness.enabled` on, and AWS \
                 takes weights for such a group only where the rule binds clients to their fleet, so that they would \
                 stay on it whatever the weights say; turn the attribute off and start again"
            ));
        }
    }
    Ok(())
}

/// One run at a time: an app that another run holds refuses this one.
pub(super) fn check_claims(app: &FoundApp) -> Result<(), String> {
    if let Some(why) = hold::refusal(&app.lock.claim) {
        return Err(format!("it {why}"));
    }
    match hold::refusal(&app.lock.other) {
        Some(why) => Err(format!("one of its target groups belongs to another app as well, which {why}")),
        None => Ok(()),
    }
}

/// The one balancer whose rules hold the target groups of all apps.
pub(super) fn one_balancer(found: &Found) -> Result<&str, Refusal> {
    let mut one: Option<(&FoundApp, &str)> = None;
    for app in &found.apps {
        let balancer = balancer_of(app).map_err(Refusal::of(app))?;
        match one {
            Some((other, elsewhere)) if elsewhere != balancer => {
                return Err(format!(
                    "the apps are behind different balancers ({} behind {elsewhere}, {} behind {balancer}); start \
                     one run for each balancer",
                    other.name, app.name
                )
                .into());
            }
            _ => one = Some((app, balancer)),
        }
    }
    one.map(|(_, balancer)| balancer).ok_or_else(|| String::from("no app was found").into())
}

/// The one balancer whose rules hold the target groups of both fleets of an app.
fn balancer_of(app: &FoundApp) -> Result<&str, String> {
    let balancers: BTreeSet<&String> = app.fleets.iter().flat_map(|f| &f.load_balancer_arns).collect();
    let mut balancers = balancers.into_iter();
    match (balancers.next(), balancers.next()) {
        (Some(one), None) if !app.routes.is_empty() => Ok(one),
        (Some(_), Some(_)) => Err(format!(
            "the fleets are on different balancers ({} and {} on {}); put both target groups behind one",
            app.fleets[0].name,
            app.fleets[1].name,
            app.fleets.iter().flat_map(|f| &f.load_balancer_arns).cloned().collect::<Vec<_>>().join(", ")
        )),
        _ => Err(format!(
            "no listener rule and no default action forwards to {} or {}; add one that forwards to the fleet \
             that is live today",
            app.fleets[0].target_group_arn, app.fleets[1].target_group_arn
        )),
    }
}

/// The fleet that is live for every app, as an index. Each app tells it by routes of its own: what one
/// says is no evidence about another.
pub(super) fn one_live(input: &Input, found: &Found) -> Result<usize, Refusal> {
    let names = found.fleet_names();
    let any_weights = input.operation == Operation::Drain;
    let live = |app: &FoundApp, standby: Option<&str>| {
        let says: Vec<RouteSays> = app.routes.iter().map(|route| says(app, route)).collect();
        roles::live(names, &says, standby, any_weights)
    };
    if let Some(apart) = apart(found, names, |app| live(app, None).ok()) {
        let declared = input.standby.as_deref().and_then(|name| names.iter().position(|n| *n == name));
        return match declared {
            Some(standby) if any_weights => Ok(1 - standby),
            _ => Err(apart.into()),
        };
    }
    let mut one = 0;
    for app in &found.apps {
        one = live(app, input.standby.as_deref()).map_err(|error| match &found.apps[..] {
            [_] => Refusal::Complete(error),
            _ => Refusal::Complete(Error { message: format!("{}: {}", app.name, error.message), ..error }),
        })?;
    }
    Ok(one)
}

fn says(app: &FoundApp, route: &FoundRoute) -> RouteSays {
    RouteSays {
        label: route.label.clone(),
        weights: [0, 1].map(|i| weight_of(&route.groups, &app.fleets[i].target_group_arn).unwrap_or(0)),
        live_tag: app.lock.live_tag.clone(),
    }
}

/// Which app is live where, if that is not the same for all.
fn apart(found: &Found, names: [&str; 2], live: impl Fn(&FoundApp) -> Option<usize>) -> Option<String> {
    let on = |fleet: usize| -> Vec<&str> {
        found.apps.iter().filter(|app| live(app) == Some(fleet)).map(|app| app.name.as_str()).collect()
    };
    let (first, second) = (on(0), on(1));
    (!first.is_empty() && !second.is_empty()).then(|| {
        format!(
            "{} is live for {}, {} for {}, and apps move in lockstep only from the same live fleet; a `drain` of all \
             of them with `standby` brings them together, such as \"standby\": \"{}\" to send everything to {}",
            names[0],
            first.join(", "),
            names[1],
            second.join(", "),
            names[1],
            names[0]
        )
    })
}

/// Percentages of the two fleets must be what users see.
pub(super) fn check_routes(app: &FoundApp) -> Result<(), String> {
    for route in &app.routes {
        if route.group_stickiness {
            return Err(format!(
                "{} has target group stickiness on, so clients would stay on their fleet whatever the weights \
                 say; turn it off on the rule and start again",
                route.label
            ));
        }
        let ours =
            |group: &&GroupWeight| app.fleets.iter().any(|f| f.target_group_arn == group.target_group_arn);
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
    input: &Input,
    live: &FoundFleet,
    (standby, standby_share): (&FoundFleet, Percent),
) -> Result<Vec<String>, String> {
    let operation = input.operation;
    let mut checks = Vec::new();
    let describe = |fleet: &FoundFleet| {
        let Health { healthy, registered, .. } = fleet.health;
        format!("{} has {healthy} of {registered} targets healthy", fleet.name)
    };
    let way_out = "see the target group's health checks and start again when its targets are healthy";
    if live.health.healthy == 0 && operation != Operation::Failback {
        return Err(format!("{}, and it is live; {way_out}", describe(live)));
    }
    let too_few = |fleet: &FoundFleet| {
        let Health { healthy, registered, .. } = fleet.health;
        let needed = input.criteria.healthy_percent;
        (!input.criteria.can_receive(healthy, registered)).then(|| {
            format!(
                "{}, and it would get more traffic, for which {needed} % are needed (`criteria.healthyPercent`); {way_out}",
                describe(fleet)
            )
        })
    };
    if operation == Operation::Drain {
        checks.push(describe(live));
        // Where nothing is moved, or away from a fleet that is no better off, few targets are what there is.
        let asks = standby_share > Percent::NONE && too_few(standby).is_none();
        return too_few(live).filter(|_| asks).map_or(Ok(checks), Err);
    }
    checks.push(describe(live));
    if standby.health.registered == 0 {
        return Err(format!(
            "{} has no registered targets; register them with {} first",
            standby.name, standby.target_group_arn
        ));
    }
    if standby.health.unused && standby.load_balancer_arns.is_empty() {
        checks.push(format!(
            "{} is not health-checked yet; it will be attached at weight 0 first",
            standby.name
        ));
    } else if standby.health.healthy == 0 {
        return Err(format!("{}, and it would receive traffic; {way_out}", describe(standby)));
    } else if let Some(few) = too_few(standby).filter(|_| operation != Operation::Failback) {
        return Err(few);
    } else {
        checks.push(describe(standby));
    }
    Ok(checks)
}

/// What is wrong with the standby that a drain leaves, where it can be seen that it is not well: by its
/// targets, or by its latest figures beside those of the live fleet.
pub(super) fn standby_unhealthy(criteria: &Criteria, app: &FoundApp, live: usize) -> Option<String> {
    let (of_live, standby) = app.roles(live);
    let has_traffic =
        |r: &FoundRoute| weight_of(&r.groups, &standby.target_group_arn).is_some_and(|weight| weight > 0);
    if !app.routes.iter().any(has_traffic) {
        return None;
    }
    let Health { healthy, registered, .. } = standby.health;
    if healthy == 0 {
        return Some(format!("{} has {healthy} of {registered} targets healthy", standby.name));
    }
    let [live_past, standby_past] = [live, 1 - live].map(|fleet| &app.past[fleet].counts[..]);
    verdict::ill_beside(criteria, (&of_live.name, live_past), (&standby.name, standby_past))
}

/// What the standby runs: whoever starts the run knows better than a tag.
pub(super) fn standby_release(input: &Input, standby: &FoundFleet) -> Release {
    let said = input.release.clone().map(Release::Proven);
    said.unwrap_or_else(|| Release::read(standby.release.as_deref()))
}

/// An even split of two different releases would show users now one, now the other. What a schedule starts
/// goes on only where both are proven to be the same.
pub(super) fn check_releases(
    input: &Input,
    live: &FoundFleet,
    standby: &FoundFleet,
) -> Result<String, String> {
    let (live_runs, standby_runs) = (Release::read(live.release.as_deref()), standby_release(input, standby));
    let both = format!("{} {live_runs} and {} {standby_runs}", live.name, standby.name);
    let both_proven = live_runs.proven().is_some() && standby_runs.proven().is_some();
    match (live_runs.name(), standby_runs.name()) {
        (Some(one), Some(other)) if one == other && both_proven => Ok(format!("both fleets run {one}")),
        _ if input.force => Ok(format!("{both}: forced")),
        (Some(one), Some(other)) if one != other => Err(format!(
            "{both}, as far as is known; deploy the same release to both and say so with \"release\": \"{one}\", or \
             split the traffic all the same with \"force\": true"
        )),
        _ if input.skip_if_blocked => {
            let unproven = if live_runs.proven().is_none() { live } else { standby };
            let name = live_runs.name().or(standby_runs.name()).unwrap_or("v1");
            Err(format!(
                "{both}, so it is not proven that both run the same; once they do, let the deployment write the tag \
                 failover:release, such as: aws elbv2 add-tags --resource-arns {} --tags \
                 Key=failover:release,Value={name}",
                unproven.target_group_arn
            ))
        }
        _ => Ok(format!("{both}: whether that is the same is not known")),
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
    let first = stages.iter().find(|stage| stage.gate == Gate::HealthyStandby)?;
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
