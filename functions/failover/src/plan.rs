//! From what an operator asks and what the balancer holds to a plan, or to a refusal that names
//! the way out. Nothing is touched here.

mod checks;
mod restore;
mod stages;
mod testers;

use crate::calendar::Permit;
use crate::claim::{Claim, Record};
use crate::contract::{Execution, Fleet, Plan, Route, RouteWeights, Weights};
use crate::duration::Seconds;
use crate::error::Error;
use crate::hook::Hooks;
use crate::input::{Input, Operation};
use crate::roles::{self, RouteSays};
use crate::samples::Health;
use crate::verdict::Counts;
use crate::weights::{GroupWeight, Percent, weight_of};

use self::checks::{
    check_claims, check_health, check_releases, check_routes, expectation, in_window, one_balancer,
};
use self::restore::restore;
use self::stages::{approval, may_write, pace, stages};
use self::testers::{check_testers, testers};

pub use self::stages::total_bake;

/// A fleet as the balancer holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFleet {
    /// The operator's name for it.
    pub name: String,
    /// Its target group.
    pub target_group_arn: String,
    /// The balancers whose rules hold the group; none while no rule does.
    pub load_balancer_arns: Vec<String>,
    /// Its targets.
    pub health: Health,
    /// What it runs, as far as the tag `failover:release` of its target group knows.
    pub release: Option<String>,
}

/// A route as the balancer holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRoute {
    /// Rule ARN, or listener ARN for a default action.
    pub arn: String,
    /// The rule's ARN.
    pub rule_arn: String,
    /// The listener, for a default action.
    pub default_of: Option<String>,
    /// Such as `rule 10 on port 443`.
    pub label: String,
    /// Its target groups with their weights.
    pub groups: Vec<GroupWeight>,
    /// Whether clients are bound to a group by a cookie.
    pub group_stickiness: bool,
    /// The value of the tag `failover:live`.
    pub live_tag: Option<String>,
    /// Whose claim it carries.
    pub claim: Claim,
    /// What the run that claimed it last has recorded.
    pub record: Option<Record>,
    /// The AWS CLI command that puts back what was found.
    pub put_back: String,
}

/// A rule for testers as the balancer holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTesters {
    /// The rule's ARN.
    pub rule_arn: String,
    /// Such as `rule 1 on port 443`.
    pub label: String,
    /// The port of its listener.
    pub port: u16,
    /// Its target groups with their weights.
    pub groups: Vec<GroupWeight>,
    /// A rule of the app for its users that the same listener asks first.
    pub behind: Option<String>,
}

/// What a fleet did before the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The response time in seconds that about one response in twenty exceeds.
    pub usual_slow_seconds: Option<f64>,
    /// Counts of each period in which it had requests, oldest first.
    pub counts: Vec<Counts>,
}

/// Everything a plan is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Both fleets, in the order of their names.
    pub fleets: [FoundFleet; 2],
    /// What both did before the run.
    pub past: [Past; 2],
    /// All routes that forward to one of them.
    pub routes: Vec<FoundRoute>,
    /// All rules that lead testers to one of them.
    pub testers: Vec<FoundTesters>,
    /// Those of the operator's alarms that are in ALARM.
    pub alarms: Vec<String>,
    /// Longer than a write takes from the check before it until it shows, in seconds.
    pub settle_seconds: u32,
    /// What the calendar says.
    pub permit: Permit,
    /// For a restore of an execution: that one, and what it was itself a restore of.
    pub chain: Vec<String>,
}

impl Found {
    /// The one balancer whose rules hold the fleets' target groups.
    ///
    /// # Errors
    /// A sentence when there is none, or more than one.
    pub fn load_balancer_arn(&self) -> Result<&str, String> {
        one_balancer(self)
    }
}

/// Makes the plan.
///
/// # Errors
/// `PlanRejected` with the field or the resource that stands in the way and the way out.
pub fn plan(input: &Input, execution: &Execution, found: &Found) -> Result<Plan, Error> {
    let made = match input.operation {
        Operation::Restore => restore(input, execution, found),
        _ => make(input, execution, found),
    };
    made.map_err(|what| match what {
        Refusal::Complete(error) => error,
        Refusal::Because(what) => Error::rejected(format!("{}: {what}. Nothing was touched.", input.app)),
    })
}

/// Some come with a complete message of their own.
enum Refusal {
    Complete(Error),
    Because(String),
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Self::Because(what)
    }
}

fn make(input: &Input, execution: &Execution, found: &Found) -> Result<Plan, Refusal> {
    let load_balancer_arn = one_balancer(found)?.to_owned();
    let mut checks = vec![format!("{} route(s) on one balancer", found.routes.len())];
    check_claims(found)?;
    check_routes(found)?;
    checks.push("no stickiness between the fleets, no third target group with weight".into());

    let names = [found.fleets[0].name.as_str(), found.fleets[1].name.as_str()];
    let any_weights = input.operation == Operation::Drain;
    let says: Vec<RouteSays> = found.routes.iter().map(|route| says(found, route)).collect();
    let live = roles::live(names, &says, input.standby.as_deref(), any_weights).map_err(Refusal::Complete)?;
    let past = &found.past[live];
    let (live, standby) = (&found.fleets[live], &found.fleets[1 - live]);
    checks.push(format!("{} is live, {} is the standby", live.name, standby.name));

    let attached = found.routes.iter().all(|r| weight_of(&r.groups, &standby.target_group_arn).is_some());
    checks.extend(check_health(input.operation, live, standby)?);
    let testers = testers(found, live, standby);
    checks.extend(check_testers(input.operation, &testers, &standby.name)?);
    if let Some(alarm) = found.alarms.first() {
        return Err(format!("the CloudWatch alarm {alarm} is in ALARM; start again when it is over").into());
    }
    if !input.criteria.alarms.is_empty() {
        checks.push(format!("not in ALARM: {}", input.criteria.alarms.join(", ")));
    }
    if input.operation == Operation::Balance {
        checks.push(check_releases(input, live, standby)?);
    }
    let stages = stages(input, found, &live.target_group_arn, &standby.target_group_arn, attached);
    let routes = found.routes.iter().map(|r| route(r, found_weights(r, &found.fleets))).collect();
    checks.extend(expectation(input, &stages, past, &standby.name));
    checks.extend(in_window(&found.permit, &stages, input.period, execution));
    let approval = approval(input)?;
    let (poll_seconds, polls_per_check) = pace(input.poll.0, &stages, approval.as_ref());
    if poll_seconds > input.poll.0 {
        let poll = Seconds(poll_seconds);
        checks.push(format!("polled every {poll}, since an execution's history would not hold more polls"));
    }

    Ok(Plan {
        app: input.app.clone(),
        operation: input.operation,
        release: input.release.clone(),
        execution: execution.clone(),
        may_write: may_write(input, &stages),
        settle_seconds: found.settle_seconds,
        predecessors: Vec::new(),
        done: false,
        stages,
        slow_seconds: slow_seconds(input, past),
        probing: None,
        hooks: Hooks::default(),
        live: fleet(live),
        standby: fleet(standby),
        load_balancer_arn,
        before: weights(live, standby, reached(found, live, standby)),
        routes,
        testers,
        overridden: found.permit.overridden.clone(),
        approval,
        poll_seconds,
        polls_per_check,
        period_seconds: input.period.0,
        criteria: input.criteria.clone(),
        checks,
    })
}

fn fleet(found: &FoundFleet) -> Fleet {
    Fleet { name: found.name.clone(), target_group_arn: found.target_group_arn.clone() }
}

fn route(found: &FoundRoute, weights: RouteWeights) -> Route {
    Route {
        arn: found.arn.clone(),
        rule_arn: found.rule_arn.clone(),
        default_of: found.default_of.clone(),
        label: found.label.clone(),
        before: weights.clone(),
        found: weights,
        put_back: found.put_back.clone(),
    }
}

/// What a route holds for each fleet.
fn found_weights(route: &FoundRoute, fleets: &[FoundFleet; 2]) -> RouteWeights {
    let weight = |fleet: &FoundFleet| weight_of(&route.groups, &fleet.target_group_arn).unwrap_or(0);
    fleets.iter().map(|fleet| (fleet.name.clone(), weight(fleet))).collect()
}

fn says(found: &Found, route: &FoundRoute) -> RouteSays {
    RouteSays {
        label: route.label.clone(),
        weights: [0, 1].map(|i| weight_of(&route.groups, &found.fleets[i].target_group_arn).unwrap_or(0)),
        live_tag: route.live_tag.clone(),
    }
}

/// Where nothing was measured yet, a second is what most people call slow.
const SLOW_SECONDS: f64 = 1.0;

/// The operator's threshold, or the one that about one response in twenty of the live fleet
/// exceeds, in whole milliseconds: it becomes part of the name of a statistic.
fn slow_seconds(input: &Input, past: &Past) -> f64 {
    let learnt = past.usual_slow_seconds.filter(|s| s.is_finite() && *s > 0.0);
    (input.criteria.slow_seconds.or(learnt).unwrap_or(SLOW_SECONDS) * 1000.0).ceil() / 1000.0
}

/// The standby's share of a route.
fn percent(groups: &[GroupWeight], live: &str, standby: &str) -> Percent {
    share(weight_of(groups, live).unwrap_or(0), weight_of(groups, standby).unwrap_or(0))
}

/// The standby's share, rounded to whole percent.
fn share(live: u16, standby: u16) -> Percent {
    let (live, standby) = (u32::from(live), u32::from(standby));
    let all = (live + standby).max(1);
    let rounded = (standby * 100 + all / 2) / all;
    u8::try_from(rounded).ok().and_then(Percent::new).unwrap_or(Percent::ALL)
}

/// The standby's share as the first route has it.
fn reached(found: &Found, live: &FoundFleet, standby: &FoundFleet) -> Percent {
    let first = found.routes.first();
    first.map_or(Percent::NONE, |r| percent(&r.groups, &live.target_group_arn, &standby.target_group_arn))
}

fn weights(live: &FoundFleet, standby: &FoundFleet, share: Percent) -> Weights {
    Weights::from([(live.name.clone(), share.rest()), (standby.name.clone(), share)])
}

#[cfg(test)]
mod tests;
