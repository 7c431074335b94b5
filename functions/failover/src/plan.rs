//! From what an operator asks and what the balancer holds to a plan, or to a refusal that names
//! the way out. Nothing is touched here.

use std::collections::BTreeSet;

use crate::calendar::Permit;
use crate::claim::{self, Claim, Record};
use crate::contract::{Execution, Fleet, MustShow, Plan, Route, RouteWeights, Stage, Weights};
use crate::duration::Seconds;
use crate::error::{Error, Kind};
use crate::input::{Input, Operation, StageInput};
use crate::request::{Approval, HELD_POLLS};
use crate::roles::{self, RouteSays};
use crate::samples::Health;
use crate::verdict::{Counts, proposed_bake};
use crate::weights::{GroupWeight, Percent, weight_of};

/// Shares of the standby where a shift is not told otherwise.
const SHIFT_STAGES: [u8; 5] = [10, 25, 50, 75, 100];
/// Shares of the standby on the way to an even split where a balance is not told otherwise.
const BALANCE_STAGES: [u8; 3] = [10, 25, 50];

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
        live: fleet(live),
        standby: fleet(standby),
        load_balancer_arn,
        before: weights(live, standby, reached(found, live, standby)),
        routes,
        overridden: found.permit.overridden.clone(),
        approval,
        poll_seconds,
        polls_per_check,
        period_seconds: input.period.0,
        criteria: input.criteria.clone(),
        checks,
    })
}

/// Whether the run is likely to be over before its window closes.
fn in_window(permit: &Permit, stages: &[Stage], period: Seconds, execution: &Execution) -> Option<String> {
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

/// The percentages that the stages, and a probe between them, put on the standby.
fn may_write(input: &Input, stages: &[Stage]) -> BTreeSet<Percent> {
    let probed = stages.iter().any(|stage| stage.must_show == MustShow::HealthyStandby);
    let probe = probed.then(|| Percent::new(input.criteria.probe_percent)).flatten();
    stages.iter().map(|stage| stage.standby_percent).chain(probe).collect()
}

/// The plan of a restore: the routes that an interrupted run has left claimed, or with a record of
/// what it found. Health is not looked at here: the rollback decides by the health it finds.
fn restore(input: &Input, execution: &Execution, found: &Found) -> Result<Plan, Refusal> {
    let load_balancer_arn = one_balancer(found)?.to_owned();
    // Whether there is something to put back must not be guessed.
    if let Some((execution, why)) = found.routes.iter().find_map(|route| match &route.claim {
        Claim::Unclear(execution, why) => Some((execution, why)),
        _ => None,
    }) {
        let app = &input.app;
        return Err(Refusal::Complete(Error::new(
            Kind::AwsRefused,
            format!(
                "{app}: whether {execution}, which claims a route, is still running cannot be told ({why}). \
                 Nothing was touched; see the weights of the app and start a `restore` again."
            ),
        )));
    }
    // A restore that was started for an execution is about the claims of that one, and of the restores
    // that tried before.
    let ours = |execution: &String| found.chain.is_empty() || found.chain.contains(execution);
    let left = |route: &&FoundRoute| match &route.claim {
        Claim::Interrupted { execution, .. } => ours(execution),
        Claim::Own => true,
        // Left for a person by a run that could not put its weights back, or was told not to.
        Claim::Free | Claim::Ended(_) => route.record.is_some() && input.execution.is_none(),
        Claim::Running(_) | Claim::Unclear(..) => false,
    };
    let mut left: Vec<&FoundRoute> = found.routes.iter().filter(left).collect();
    // Routes of a run that was interrupted come first; what was left to a person waits for the next.
    let taken_over = |route: &&FoundRoute| matches!(route.claim, Claim::Interrupted { .. });
    if left.iter().any(taken_over) {
        left.retain(taken_over);
    }
    let end = left.iter().filter_map(|route| route.record.as_ref()).find(|record| record.done);
    let interrupted = left.iter().filter_map(|route| match &route.claim {
        Claim::Interrupted { execution, .. } => Some(execution.clone()),
        _ => None,
    });
    let predecessors: BTreeSet<String> = interrupted.chain(found.chain.iter().cloned()).collect();
    let end = end.cloned();
    let mut routes = Vec::new();
    let mut live = None;
    let mut may_write = BTreeSet::new();
    for found_route in left {
        let label = &found_route.label;
        let known = |r: &&Record| found.fleets.iter().all(|fleet| r.before.contains_key(&fleet.name));
        let record = found_route.record.as_ref().filter(known).ok_or_else(|| {
            format!(
                "the tags failover:before and failover:stages of {label} do not say what to restore; set the \
                 weights by hand and remove the tag failover:claim"
            )
        })?;
        // What a run left at its end stands on all of its routes, even where that is not recorded yet.
        let record = end.as_ref().unwrap_or(record);
        if live.is_some_and(|live| live != &record.live) {
            return Err(format!("the tags failover:before of {label} and of another route disagree").into());
        }
        live = Some(&record.live);
        may_write.extend(&record.may_write);
        let found_weights = found_weights(found_route, &found.fleets);
        routes.push(Route { before: record.before.clone(), ..route(found_route, found_weights) });
    }
    let heavier = |r: &FoundRoute| {
        let [first, second] = found.fleets.each_ref().map(|f| weight_of(&r.groups, &f.target_group_arn));
        usize::from(second > first)
    };
    let live = match live {
        Some(name) => usize::from(found.fleets[1].name == *name),
        // Nothing is left to restore: the output only says what stands.
        None => found.routes.first().map_or(0, heavier),
    };
    let (live, standby) = (&found.fleets[live], &found.fleets[1 - live]);
    let before = match routes.first() {
        Some(route) => {
            let weight = |fleet: &FoundFleet| route.before.get(&fleet.name).copied().unwrap_or(0);
            share(weight(live), weight(standby))
        }
        None => reached(found, live, standby),
    };
    Ok(Plan {
        app: input.app.clone(),
        operation: input.operation,
        release: None,
        execution: execution.clone(),
        live: fleet(live),
        standby: fleet(standby),
        load_balancer_arn,
        routes,
        before: weights(live, standby, before),
        stages: Vec::new(),
        may_write,
        settle_seconds: found.settle_seconds,
        predecessors: predecessors.into_iter().collect(),
        done: end.is_some(),
        overridden: None,
        approval: None,
        poll_seconds: input.poll.0,
        polls_per_check: 1,
        period_seconds: input.period.0,
        criteria: input.criteria.clone(),
        slow_seconds: SLOW_SECONDS,
        probing: None,
        checks: vec!["the routes of an interrupted run, and what it found there".into()],
    })
}

/// One run at a time: a route that another run holds refuses this one.
fn check_claims(found: &Found) -> Result<(), String> {
    for route in &found.routes {
        let weights = found_weights(route, &found.fleets);
        if let Some(why) = claim::refusal(&route.claim, route.record.as_ref(), &weights) {
            return Err(format!("{} {why}", route.label));
        }
    }
    Ok(())
}

fn one_balancer(found: &Found) -> Result<&str, String> {
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

fn check_routes(found: &Found) -> Result<(), String> {
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

fn says(found: &Found, route: &FoundRoute) -> RouteSays {
    RouteSays {
        label: route.label.clone(),
        weights: [0, 1].map(|i| weight_of(&route.groups, &found.fleets[i].target_group_arn).unwrap_or(0)),
        live_tag: route.live_tag.clone(),
    }
}

/// A fleet that receives traffic must be able to serve it. The standby may be dead for a drain,
/// since a deployment to it comes next, and unchecked where no rule holds it yet: the first stage
/// then attaches it at weight 0 and waits until its targets are healthy.
fn check_health(
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
fn check_releases(input: &Input, live: &FoundFleet, standby: &FoundFleet) -> Result<String, String> {
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

/// An execution's history ends at so many events: after that the execution is over, and its restore
/// puts back the weights that it had found.
const EVENTS_PER_RUN: u32 = 25_000;
/// Of a wait: entered, exited. Of a task: entered, scheduled, started, succeeded, exited. Of a choice:
/// entered, exited.
const EVENTS_PER_CHECK: u32 = 9;
/// Kept for all that is no poll: some 65 of five stages, and three for every attempt that is repeated.
const OTHER_EVENTS: u32 = 1000;
/// Kept for stages that wait beyond their bake, as long as five stages do by default.
const LATER_CHECKS: u32 = 300;
/// Invocations of `check-metrics` during the bakes of a run.
const CHECKS_PER_RUN: u32 = (EVENTS_PER_RUN - OTHER_EVENTS) / EVENTS_PER_CHECK - LATER_CHECKS - HELD_POLLS;
/// How long an invocation may wait between polls of its own, in seconds: waiting there is paid for.
const WAITS_WITHIN_CHECK: u64 = 60;

/// How often a run is polled, in seconds, and how often within one invocation, so that its history
/// holds: as often as wanted if it can be done, once for each invocation wherever that is enough.
fn pace(wanted: u32, stages: &[Stage], approval: Option<&Approval>) -> (u32, u32) {
    let waits = |approval: &Approval| u64::from(approval.within_seconds) * approval.before.len() as u64;
    let watched = u64::from(total_bake(stages).0) + approval.map_or(0, waits);
    let mut pace = (u32::MAX, 1);
    for polls_per_check in 1.. {
        let checks = u64::from(CHECKS_PER_RUN) * u64::from(polls_per_check);
        let poll_seconds = u64::from(wanted).max(watched.div_ceil(checks));
        if u64::from(polls_per_check - 1) * poll_seconds > WAITS_WITHIN_CHECK {
            break;
        }
        pace = (u32::try_from(poll_seconds).unwrap_or(u32::MAX), polls_per_check);
        if poll_seconds <= u64::from(wanted) {
            break;
        }
    }
    pace
}

/// How long all stages are watched together, at least.
pub fn total_bake(stages: &[Stage]) -> Seconds {
    Seconds(stages.iter().map(|stage| stage.bake_seconds).fold(0, u32::saturating_add))
}

/// Where nothing was measured yet, a second is what most people call slow.
const SLOW_SECONDS: f64 = 1.0;

/// The operator's threshold, or the one that about one response in twenty of the live fleet
/// exceeds, in whole milliseconds: it becomes part of the name of a statistic.
fn slow_seconds(input: &Input, past: &Past) -> f64 {
    let learnt = past.usual_slow_seconds.filter(|s| s.is_finite() && *s > 0.0);
    (input.criteria.slow_seconds.or(learnt).unwrap_or(SLOW_SECONDS) * 1000.0).ceil() / 1000.0
}

/// A release that fails this share of its requests should be found within the first bake.
const BAD_RELEASE_PERCENT: f64 = 5.0;

/// What the first stage with traffic can be expected to show, so that an operator knows before the
/// start whether the bake is long enough for the traffic there is.
fn expectation(input: &Input, stages: &[Stage], past: &Past, standby: &str) -> Option<String> {
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

/// What the standby gets from stage to stage, from nothing on.
fn rising(input: &Input) -> Vec<StageInput> {
    let default: &[u8] = match input.operation {
        Operation::Shift => &SHIFT_STAGES,
        Operation::Balance => &BALANCE_STAGES,
        Operation::Failback => &[100],
        Operation::Drain | Operation::Restore => &[],
    };
    input.stages.clone().unwrap_or_else(|| {
        let weights = default.iter().filter_map(|percent| Percent::new(*percent));
        weights.map(|weight| StageInput { weight, bake: None }).collect()
    })
}

/// Before the first stage there is nothing to look at: whoever starts the run approves of that one.
fn approval(input: &Input) -> Result<Option<Approval>, String> {
    let stages: Vec<Percent> = rising(input).iter().map(|stage| stage.weight).collect();
    let later = stages.get(1..).unwrap_or_default();
    if let Some(percent) = input.approve.iter().find(|percent| !later.contains(percent)) {
        let later: Vec<String> = later.iter().map(|stage| stage.get().to_string()).collect();
        let stages =
            if later.is_empty() { "there is none".into() } else { format!("these are {}", later.join(", ")) };
        return Err(format!("`approve`: {} is none of the stages after the first; {stages}", percent.get()));
    }
    Ok((!input.approve.is_empty()).then(|| Approval {
        before: input.approve.clone(),
        within_seconds: input.approve_within.0,
        otherwise: input.approve_otherwise,
    }))
}

/// The stages that are left to do. Empty where the weights already are what is asked for.
fn stages(input: &Input, found: &Found, live: &str, standby: &str, attached: bool) -> Vec<Stage> {
    let shares = found.routes.iter().map(|r| percent(&r.groups, live, standby));
    // An interrupted run is taken up where its least advanced route stands; a stage below would
    // only take traffic away from a fleet that already had it.
    let reached = shares.min().unwrap_or(Percent::NONE);
    let even = |r: &FoundRoute| weight_of(&r.groups, live) == weight_of(&r.groups, standby);
    let stage = |standby_percent, bake: Option<Seconds>, must_show| Stage {
        standby_percent,
        // A write that was sent by an attempt which failed may arrive as late as this.
        bake_seconds: bake.unwrap_or(input.bake).0.max(found.settle_seconds),
        must_show,
    };
    match input.operation {
        Operation::Drain => return vec![stage(Percent::NONE, None, MustShow::SilentStandby)],
        Operation::Balance if found.routes.iter().all(even) => return Vec::new(),
        _ => {}
    }
    let rising = rising(input);
    let attach = (!attached).then(|| stage(Percent::NONE, None, MustShow::ReadyStandby));
    let rising = rising.into_iter().filter(|s| s.weight >= reached);
    attach.into_iter().chain(rising.map(|s| stage(s.weight, s.bake, MustShow::HealthyStandby))).collect()
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
