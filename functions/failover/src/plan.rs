//! From what an operator asks and what the balancer holds to a plan, or to a refusal that names
//! the way out. Nothing is touched here.

pub mod calendar;
mod checks;
mod except;
mod headroom;
pub mod hooks;
pub mod probes;
mod restore;
pub mod roles;
mod stages;
mod testers;

use crate::duration::Seconds;
use crate::input::Input;
use crate::model::claim::Claim;
use crate::model::error::Error;
use crate::model::hold::{Held, Reached};
use crate::model::hooks::Hooks;
use crate::model::record::{self, Record};
use crate::model::samples::Health;
use crate::model::weights::{GroupWeight, Percent, share, weight_of};
use crate::model::{Execution, Headroom, Operation, Plan, PlannedApp, Route, RouteWeights, Weights};
use crate::plan::calendar::Permit;
use crate::verdict::{Counts, Criteria};

use self::checks::{
    check_apart, check_claims, check_execution, check_groups, check_health, check_number, check_releases,
    check_routes, expectation, in_window, one_balancer, one_live, standby_release, standby_unhealthy,
};
use self::headroom::headrooms;
use self::restore::restore;
use self::stages::{approval, check_poll, may_write, pace, stages};
use self::testers::{check_testers, testers};

pub use self::headroom::Load;
#[cfg(feature = "aws")]
pub(crate) use self::restore::targets;
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
    /// What the tag `failover:release` of its target group says: see [`crate::model::release`].
    pub release: Option<String>,
    /// Whether its target group binds clients to a target by a cookie.
    pub target_stickiness: bool,
    /// What its target group speaks, where that is neither HTTP nor HTTPS, or is gRPC, or a Lambda function.
    pub foreign_protocol: Option<String>,
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
    /// The host names that it asks for; none where it asks for no host.
    pub hosts: Vec<String>,
    /// Its target groups with their weights.
    pub groups: Vec<GroupWeight>,
    /// Whether clients are bound to a group by a cookie.
    pub group_stickiness: bool,
    /// The AWS CLI command that puts back what was found.
    pub revert_command: String,
}

/// A test-traffic rule as the balancer holds it.
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
    /// What one response in a thousand of the fleet usually exceeds, in seconds.
    pub usual_longest_seconds: Option<f64>,
    /// Counts of each period in which it had requests, oldest first.
    pub counts: Vec<Counts>,
    /// What it has carried in the last fifteen days, oldest first.
    pub loads: Vec<Load>,
    /// How long a period of these is, in seconds.
    pub load_seconds: u32,
}

/// What the tags of an app's target groups say, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundLock {
    /// The value of the tag `failover:live`.
    pub live_tag: Option<String>,
    /// What the tag `failover:claim` says.
    pub held: Option<Held>,
    /// Whose claim that is.
    pub claim: Claim,
    /// Whose claim the other target group carries: it is also one of another app, if anybody's.
    pub other: Claim,
    /// For a restore: what is to be put back, if anything.
    pub behind: Option<FoundBehind>,
}

/// What is to be put back on an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBehind {
    /// The execution that had found it.
    pub execution: String,
    /// Whether it was interrupted, so that nobody else may have the app meanwhile.
    pub interrupted: bool,
    /// What it has reached.
    pub reached: Reached,
    /// What it had found, or why that cannot be put back.
    pub record: Result<Record, String>,
}

/// What is found of an app.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundApp {
    /// Its name.
    pub name: String,
    /// Who holds it, and what is to be put back.
    pub lock: FoundLock,
    /// Both fleets, in the order of their names.
    pub fleets: [FoundFleet; 2],
    /// What both did before the run.
    pub past: [Past; 2],
    /// All routes that forward to one of them.
    pub routes: Vec<FoundRoute>,
    /// All rules that lead test traffic to one of them.
    pub testers: Vec<FoundTesters>,
}

/// Everything a plan is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Every app of the input, in its order.
    pub apps: Vec<FoundApp>,
    /// Those of the operator's alarms that are in ALARM.
    pub alarms: Vec<String>,
    /// Longer than a write takes from the check before it until it shows, in seconds.
    pub propagation_seconds: u32,
    /// What the calendar says.
    pub permit: Permit,
    /// For a restore of an execution: that one, and what it was itself a restore of.
    pub chain: Vec<String>,
}

impl Found {
    /// The one balancer whose rules hold the target groups of all apps; nothing where there is none, or
    /// more than one, so that the plan will be refused.
    pub fn load_balancer_arn(&self) -> Option<&str> {
        one_balancer(self).ok()
    }

    /// The operator's names for the two fleets, the same for every app.
    fn fleet_names(&self) -> [&str; 2] {
        self.apps.first().map_or([""; 2], |app| app.fleets.each_ref().map(|fleet| fleet.name.as_str()))
    }

    /// What a rule is called, with its app where there are several.
    fn label(&self, label: &str, app: &FoundApp) -> String {
        match &self.apps[..] {
            [_] => label.to_owned(),
            _ => format!("{label} ({})", app.name),
        }
    }

    fn routes(&self) -> impl Iterator<Item = &FoundRoute> {
        self.apps.iter().flat_map(|app| &app.routes)
    }
}

/// Makes the plan.
///
/// # Errors
/// `PlanRejected` with the field or the resource that stands in the way and the way out.
pub fn plan(input: &Input, execution: &Execution, found: &Found) -> Result<Plan, Error> {
    let checked = check_execution(execution).and_then(|()| check_apart(found)).map_err(Refusal::from);
    let made = checked.and_then(|()| {
        if input.operation == Operation::Restore {
            return restore(input, execution, found);
        }
        let (found, excepted) = except::leave_out(input, found)?;
        make(input, execution, &found).map(|plan| Plan { excepted, ..plan })
    });
    made.map_err(|what| match what {
        Refusal::Complete(error) => error,
        Refusal::Because(what) => Error::rejected(format!("{}: {what}. Nothing was touched.", input.app)),
        Refusal::Of(app, what) => Error::rejected(format!("{app}: {what}. Nothing was touched.")),
    })
}

/// Some come with a complete message of their own, some are about one of several apps.
enum Refusal {
    Complete(Error),
    Because(String),
    Of(String, String),
}

impl Refusal {
    /// Makes it from what is wrong with an app.
    fn of(app: &FoundApp) -> impl FnOnce(String) -> Self {
        |what| Self::Of(app.name.clone(), what)
    }
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Self::Because(what)
    }
}

fn make(input: &Input, execution: &Execution, found: &Found) -> Result<Plan, Refusal> {
    let load_balancer_arn = one_balancer(found)?.to_owned();
    check_number(found)?;
    let mut checks = vec![format!("{} route(s) on one balancer", found.routes().count())];
    for app in &found.apps {
        check_groups(app).map_err(Refusal::of(app))?;
        check_claims(app).map_err(Refusal::of(app))?;
        check_routes(app).map_err(Refusal::of(app))?;
    }
    checks.push("no stickiness between the fleets, no third target group with weight".into());

    let live = one_live(input, found)?;
    let (live_name, standby_name) = (found.fleet_names()[live], found.fleet_names()[1 - live]);
    checks.push(format!("{live_name} is live, {standby_name} is the standby"));
    // With several apps each check says which one it is about.
    let named = |app: &FoundApp, check: String| match &found.apps[..] {
        [_] => check,
        _ => format!("{}: {check}", app.name),
    };
    for app in &found.apps {
        let share = app.first_share(live);
        let (live, standby) = app.roles(live);
        let healthy = check_health(input, live, (standby, share)).map_err(Refusal::of(app))?;
        checks.extend(healthy.into_iter().map(|check| named(app, check)));
    }
    let testers = testers(found, live);
    for (index, app) in found.apps.iter().enumerate() {
        let of_app = testers.iter().filter(|rule| rule.app == index);
        let checked = check_testers(input.operation, of_app, standby_name).map_err(Refusal::of(app))?;
        checks.extend(checked.into_iter().map(|check| named(app, check)));
    }
    let drain = input.operation == Operation::Drain;
    let criteria = criteria(input, found)?;
    if !criteria.alarms.is_empty() {
        checks.push(format!("not in ALARM: {}", criteria.alarms.join(", ")));
    }
    // Such a drain may be the cure.
    checks.extend(found.alarms.iter().map(|alarm| format!("{alarm} is in ALARM already and not looked at")));
    let unhealthy = found.apps.iter().filter(|_| drain).find_map(|app| {
        let ill = standby_unhealthy(&criteria, app, live)?;
        Some(named(app, ill))
    });
    checks.extend(unhealthy.iter().map(|ill| format!("{ill}: the drain takes its traffic away at once")));
    if input.operation == Operation::Balance {
        for app in &found.apps {
            let (live, standby) = app.roles(live);
            checks.push(named(app, check_releases(input, live, standby).map_err(Refusal::of(app))?));
        }
    }
    let stages = stages(input, found, live, unhealthy.is_some())?;
    for app in &found.apps {
        let expected = expectation(input, &stages, &app.past[live], standby_name);
        checks.extend(expected.map(|check| named(app, check)));
    }
    let headrooms = headrooms((input, &stages, execution), found, live, unhealthy.is_none())?;
    let known = found.apps.iter().zip(&headrooms);
    checks.extend(known.filter_map(|(app, known)| Some(named(app, known.as_ref()?.to_string()))));
    checks.extend(in_window(&found.permit, &stages, input.period, execution));
    let approval = approval(input)?;
    check_poll(input, &stages)?;
    let (poll_seconds, polls_per_check) = pace(input.poll.0, &stages, approval.as_ref());
    if poll_seconds > input.poll.0 {
        let poll = Seconds(poll_seconds);
        checks.push(format!("polled every {poll}, since an execution's history would not hold more polls"));
    }
    let of_app = |(index, app)| route_of(found, index, app);

    Ok(Plan {
        version: record::VERSION,
        app: input.app.clone(),
        apps: found
            .apps
            .iter()
            .zip(headrooms)
            .map(|(app, room)| with_release(app, live, input, room))
            .collect(),
        operation: input.operation,
        release: input.release.clone(),
        execution: execution.clone(),
        may_write: may_write(&criteria, &stages),
        propagation_seconds: found.propagation_seconds,
        predecessors: Vec::new(),
        done: false,
        gone: Vec::new(),
        lost: Vec::new(),
        excepted: Vec::new(),
        stages,
        probing: None,
        hooks: Hooks::default(),
        live: live_name.to_owned(),
        standby: standby_name.to_owned(),
        load_balancer_arn,
        routes: found.apps.iter().enumerate().flat_map(of_app).collect(),
        testers,
        overridden: found.permit.overridden.clone(),
        approval,
        poll_seconds,
        polls_per_check,
        period_seconds: input.period.0,
        criteria,
        standby_unhealthy: unhealthy,
        checks,
    })
}

/// What a healthy stage means in this run.
fn criteria(input: &Input, found: &Found) -> Result<Criteria, String> {
    let mut criteria = input.criteria.clone();
    match found.alarms.first() {
        Some(_) if input.operation == Operation::Drain => {
            criteria.alarms.retain(|alarm| !found.alarms.contains(alarm));
        }
        Some(alarm) => {
            return Err(format!("the CloudWatch alarm {alarm} is in ALARM; start again when it is over"));
        }
        None => {}
    }
    if matches!(input.operation, Operation::Drain | Operation::Failback) {
        // Setting the fleet that gets more back to a few percent would give the rest to the one that is left.
        criteria.max_rechecks = 0;
    }
    Ok(criteria)
}

impl FoundApp {
    /// The live fleet and the standby, from the index of the live one.
    fn roles(&self, live: usize) -> (&FoundFleet, &FoundFleet) {
        (&self.fleets[live], &self.fleets[1 - live])
    }

    /// The standby's share as its first route has it.
    fn first_share(&self, live: usize) -> Percent {
        let (live, standby) = self.roles(live);
        let first = self.routes.first();
        first.map_or(Percent::NONE, |r| percent(&r.groups, &live.target_group_arn, &standby.target_group_arn))
    }
}

/// The app as it is planned, with what its standby runs and what the fleet that gets more can carry.
fn with_release(app: &FoundApp, live: usize, input: &Input, headroom: Option<Headroom>) -> PlannedApp {
    let release = standby_release(input, app.roles(live).1).proven().map(str::to_owned);
    PlannedApp { release, headroom, ..planned(app, live, &thresholds(input, &app.past[live])) }
}

fn planned(app: &FoundApp, live: usize, thresholds: &Thresholds) -> PlannedApp {
    let share = app.first_share(live);
    let (live, standby) = app.roles(live);
    PlannedApp {
        name: app.name.clone(),
        live_group: live.target_group_arn.clone(),
        standby_group: standby.target_group_arn.clone(),
        before: weights(live, standby, share),
        release: None,
        headroom: None,
        slow_seconds: thresholds.slow,
        hung_seconds: thresholds.hung,
        left_alone: false,
    }
}

fn route_of(found: &Found, index: usize, app: &FoundApp) -> Vec<Route> {
    app.routes.iter().map(|r| route(found, index, r, found_weights(r, &app.fleets))).collect()
}

fn route(found: &Found, app: usize, route: &FoundRoute, weights: RouteWeights) -> Route {
    Route {
        app,
        arn: route.arn.clone(),
        rule_arn: route.rule_arn.clone(),
        default_of: route.default_of.clone(),
        label: found.label(&route.label, &found.apps[app]),
        before: weights.clone(),
        found: weights,
        revert_command: route.revert_command.clone(),
    }
}

/// What a route holds for each fleet.
fn found_weights(route: &FoundRoute, fleets: &[FoundFleet; 2]) -> RouteWeights {
    let weight = |fleet: &FoundFleet| weight_of(&route.groups, &fleet.target_group_arn).unwrap_or(0);
    fleets.iter().map(|fleet| (fleet.name.clone(), weight(fleet))).collect()
}

/// A response has hung that takes so many times as long as the longest that are usual: far beyond what cold
/// caches or slower machines explain, which are told by the slow ones.
const HUNG_TIMES: f64 = 4.0;

/// What is sooner than this keeps nobody's thoughts waiting, however quick the others are (Nielsen, *Usability
/// Engineering*, 1993).
const HUNG_SECONDS: f64 = 1.0;

/// From which times on, in seconds, a response is slow, and has hung.
struct Thresholds {
    slow: f64,
    hung: f64,
}

impl Thresholds {
    /// Where nothing was measured yet, a second is what most people call slow.
    const UNMEASURED: Self = Self { slow: 1.0, hung: HUNG_TIMES };
}

/// The operator's threshold of slow responses, or the one that about one in twenty of the live fleet exceeds;
/// and beyond it the one of those that hang. In whole milliseconds: they become part of the name of a statistic.
fn thresholds(input: &Input, past: &Past) -> Thresholds {
    let learnt = |seconds: Option<f64>| seconds.filter(|s| s.is_finite() && *s > 0.0);
    let milliseconds = |seconds: f64| (seconds * 1000.0).ceil() / 1000.0;
    let slow = input
        .criteria
        .slow_seconds
        .or(learnt(past.usual_slow_seconds))
        .unwrap_or(Thresholds::UNMEASURED.slow);
    let longest = learnt(past.usual_longest_seconds).unwrap_or(slow).max(slow);
    Thresholds { slow: milliseconds(slow), hung: milliseconds((HUNG_TIMES * longest).max(HUNG_SECONDS)) }
}

/// The standby's share of a route.
fn percent(groups: &[GroupWeight], live: &str, standby: &str) -> Percent {
    share(weight_of(groups, live).unwrap_or(0), weight_of(groups, standby).unwrap_or(0))
}

fn weights(live: &FoundFleet, standby: &FoundFleet, share: Percent) -> Weights {
    Weights::from([(live.name.clone(), share.rest()), (standby.name.clone(), share)])
}

#[cfg(test)]
mod tests;
