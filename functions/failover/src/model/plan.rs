//! The plan as it travels through the state machine, and what can be told from it alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Execution, Role, RouteWeights, Stage, Weights};
use crate::model::hold::{self, Held, Hold, Reached};
use crate::model::hooks::Hooks;
use crate::model::probe::{Probing, STANDBY_HEADER};
use crate::model::weights::{GroupWeight, Percent, share, split};
use crate::model::{Approval, Apps, Headroom, Operation, RunEnding};
use crate::verdict::Criteria;

/// An app as the plan found it. What the fleets are called and which one is live is the same for all
/// apps of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedApp {
    /// Its name.
    pub name: String,
    /// The target group of its live fleet.
    pub live_group: String,
    /// That of its standby.
    pub standby_group: String,
    /// The weights found at the start, in percent, rounded.
    pub before: Weights,
    /// What its standby runs, if somebody has named it for this run: in the input, or by the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Whether the fleet that gets more can carry it, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<Headroom>,
    /// A response that takes longer than this is slow, in seconds. Fixed before the first write, so
    /// that a run is measured with one measure.
    pub slow_seconds: f64,
    /// One that takes longer than this has hung: nobody waits for it, so that it is a failure whatever it
    /// says, in seconds. Fixed as well.
    pub hung_seconds: f64,
    /// For a restore: whether nothing is to be put back on it, so that it is left to whoever has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_alone: bool,
}

impl PlannedApp {
    /// The target group whose tags say who holds the app: the first of the two by its ARN, whichever fleet is
    /// live. One, since two calls are not one.
    pub fn lock(&self) -> &String {
        (&self.live_group).min(&self.standby_group)
    }

    /// The groups and weights that a stage puts into a route of the app.
    pub fn groups(&self, standby: Percent) -> Vec<GroupWeight> {
        vec![
            GroupWeight::new(&self.live_group, standby.rest().get().into()),
            GroupWeight::new(&self.standby_group, standby.get().into()),
        ]
    }
}

/// A listener rule, or a listener's default action, that forwards to the app's target groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// Which app it leads to, as an index into those of the plan.
    #[serde(default, skip_serializing_if = "is_first")]
    pub app: usize,
    /// What people and tags know it by: the rule's ARN, or the listener's for a default action.
    pub arn: String,
    /// The rule's ARN; a default action has one as well, for reading only.
    pub rule_arn: String,
    /// Set for a default action, which is written through its listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_of: Option<String>,
    /// Such as `rule 10 on port 443`, with the app where there are several.
    pub label: String,
    /// What it holds as the run begins.
    pub found: RouteWeights,
    /// What a rollback puts back: what was found, or for a restore what the interrupted run found.
    pub before: RouteWeights,
    /// The AWS CLI command that puts them back by hand, should nothing else manage to.
    pub revert_command: String,
}

impl Route {
    /// That its rule does not exist any more, in words.
    pub fn gone_in_words(&self) -> String {
        Self::gone(&self.label, &self.arn)
    }

    /// The same of a route that only a record knows.
    pub fn gone(label: &str, arn: &str) -> String {
        format!("{label} ({arn}) is gone: somebody deleted it; its traffic follows other rules now")
    }
}

/// A listener rule that leads requests with the testers' header, and no others, to the standby. The
/// header's value is a secret, and stands nowhere but in the rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestersRule {
    /// Which app it leads to, as an index into those of the plan.
    #[serde(default, skip_serializing_if = "is_first")]
    pub app: usize,
    /// The rule's ARN.
    pub rule_arn: String,
    /// Such as `rule 1 on port 443`.
    pub label: String,
    /// The port of its listener.
    pub port: u16,
    /// What keeps it from leading test traffic to the standby as the run begins, if anything does, and the
    /// way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub astray: Option<String>,
}

/// Everything a run is going to do, fixed before the first write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Which version of plans it is: a restore reads it from the history of the run, perhaps one of another
    /// release.
    pub version: u32,
    /// The application, or several, as given.
    pub app: Apps,
    /// The same, each with what was found of it.
    pub apps: Vec<PlannedApp>,
    /// What is done.
    pub operation: Operation,
    /// What the standby runs, if the operator said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The execution that carries the plan out.
    pub execution: Execution,
    /// The fleet that is live when the run begins.
    pub live: String,
    /// The other one.
    pub standby: String,
    /// The balancer of both.
    pub load_balancer_arn: String,
    /// All routes of all apps.
    pub routes: Vec<Route>,
    /// The rules that lead test traffic to the standby. They are no routes: users never come by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub testers: Vec<TestersRule>,
    /// The stages, in order; none for a restore.
    pub stages: Vec<Stage>,
    /// The standby's percentages that the run may write, for a restore those of the interrupted run.
    pub may_write: BTreeSet<Percent>,
    /// Longer than a write takes from the check before it until it shows, in seconds.
    pub propagation_seconds: u32,
    /// For a restore: the executions whose claims it takes over. A claim of theirs that arrives late
    /// counts as its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<String>,
    /// For a restore: whether what it puts back is what the interrupted run left at its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    /// For a restore: the routes of the interrupted run that do not exist any more, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// For a restore: the apps of the interrupted run whose weights cannot be put back, and why, in words. They are
    /// given free, and a person sets them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Rules, by their ARN, that forward to an app and are left as they are, as the input says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excepted: Vec<String>,
    /// Why it starts outside the deployment's windows, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<String>,
    /// Which stages wait for a person, if any does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Seconds between two polls.
    pub poll_seconds: u32,
    /// How many polls one invocation of `check-metrics` makes at most, where nothing is concluded before:
    /// more than one only where the history of the execution would not hold otherwise.
    #[serde(default = "one")]
    pub polls_per_check: u32,
    /// The `CloudWatch` period of the counts, in seconds.
    pub period_seconds: u32,
    /// What a healthy stage means.
    pub criteria: Criteria,
    /// For a drain: how the standby is unhealthy, if it is. Then it writes at once and never goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby_unhealthy: Option<String>,
    /// The application probes, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probing: Option<Probing>,
    /// The functions of the team's own that are called, by the moment.
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// What was checked before the start, in words.
    pub checks: Vec<String>,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(index: &usize) -> bool {
    *index == 0
}

impl Plan {
    /// The rules that lead test traffic to the standby of an app.
    pub fn testers_of<'a>(&'a self, app: &'a PlannedApp) -> impl Iterator<Item = &'a TestersRule> {
        self.testers.iter().filter(|rule| self.apps[rule.app].name == app.name)
    }

    /// What keeps testers of an app from its standby, if anything does, and the way out.
    pub fn testers_astray(&self, app: &PlannedApp) -> Option<String> {
        if self.testers_of(app).next().is_none() {
            return Some(format!(
                "no rule leads requests with the header {STANDBY_HEADER} to a fleet of this app; `make testers \
                 APP={}` adds one",
                app.name
            ));
        }
        self.testers_of(app).find_map(|rule| Some(format!("{} {}", rule.label, rule.astray.as_ref()?)))
    }

    /// The target group of an app's standby once the operation is done.
    pub fn standby_group_then<'a>(&self, app: &'a PlannedApp) -> &'a String {
        if self.operation.swaps_roles() { &app.live_group } else { &app.standby_group }
    }

    /// The fleet of a role.
    pub fn fleet(&self, role: Role) -> &String {
        match role {
            Role::Live => &self.live,
            Role::Standby => &self.standby,
        }
    }

    /// What a fleet gets of some weights; nothing where they do not name it.
    pub fn share(&self, role: Role, weights: &Weights) -> Percent {
        weights.get(self.fleet(role)).copied().unwrap_or(Percent::NONE)
    }

    /// Percent for both fleets by name, from the standby's percent.
    pub fn weights(&self, standby: Percent) -> Weights {
        Weights::from([(self.live.clone(), standby.rest()), (self.standby.clone(), standby)])
    }

    /// Whether several apps move in lockstep, so that it must be said which one is meant.
    pub fn is_lockstep(&self) -> bool {
        self.apps.len() > 1
    }

    /// What stands in front of a sentence about one app: its name where there are several, and else
    /// nothing.
    pub fn named(&self, app: &PlannedApp) -> String {
        if self.is_lockstep() { format!("{}: ", app.name) } else { String::new() }
    }

    /// The app that a route leads to.
    pub fn app_of(&self, route: &Route) -> &PlannedApp {
        &self.apps[route.app]
    }

    /// What is different from app to app, in words: only once where it is the same for all.
    pub fn each(&self, words: impl Fn(&PlannedApp) -> String) -> String {
        let mut alike: Vec<(String, Vec<&str>)> = Vec::new();
        for app in &self.apps {
            let words = words(app);
            match alike.iter_mut().find(|(other, _)| *other == words) {
                Some((_, names)) => names.push(&app.name),
                None => alike.push((words, vec![&app.name])),
            }
        }
        if let [(words, _)] = &alike[..] {
            return words.clone();
        }
        let one = |(words, names): &(String, Vec<&str>)| format!("{}: {words}", names.join(", "));
        alike.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// The weights found at the start, in words.
    pub fn before_in_words(&self) -> String {
        self.each(|app| self.before_of(app))
    }

    /// Those of one app: of each of its routes, where these were not alike.
    pub fn before_of(&self, app: &PlannedApp) -> String {
        if let Some(alike) = self.before_alike(app) {
            return split(&alike);
        }
        let routes = self.routes.iter().filter(|route| self.app_of(route).name == app.name);
        let of_each = |route: &Route| format!("{} {}", route.label, split(&self.in_percent(&route.before)));
        routes.map(of_each).collect::<Vec<_>>().join(", ")
    }

    /// What a rollback leaves on an app, where that is the same on all of its routes.
    pub fn before_alike(&self, app: &PlannedApp) -> Option<Weights> {
        let mut routes = self.routes.iter().filter(|route| self.app_of(route).name == app.name);
        let first = routes.next().map_or_else(|| app.before.clone(), |route| self.in_percent(&route.before));
        routes.all(|route| self.in_percent(&route.before) == first).then_some(first)
    }

    /// The same of all apps, where they are alike.
    pub fn before(&self) -> Option<Weights> {
        let mut all = self.apps.iter().map(|app| self.before_alike(app));
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)?
    }

    /// What a route gives to each fleet, in percent, rounded.
    fn in_percent(&self, weights: &RouteWeights) -> Weights {
        let of = |fleet: &String| weights.get(fleet).copied().unwrap_or(0);
        self.weights(share(of(&self.live), of(&self.standby)))
    }

    /// The standby's part of some weights; nothing where they do not name it.
    pub fn standby_share(&self, weights: &Weights) -> Percent {
        self.share(Role::Standby, weights)
    }

    /// What the standby gets during a recheck.
    pub fn recheck_percent(&self) -> Percent {
        Percent::new(self.criteria.recheck_percent).unwrap_or(Percent::NONE)
    }

    /// The groups and weights that a stage puts into a route.
    pub fn stage_groups(&self, route: &Route, standby: Percent) -> Vec<GroupWeight> {
        self.app_of(route).groups(standby)
    }

    /// The groups and weights that put a route back to where it was before the run. A fixed forward
    /// is not restored as such: the group it lacked stays attached at weight 0, which sends the same
    /// traffic and keeps its targets under health checks.
    pub fn before_groups(&self, route: &Route) -> Vec<GroupWeight> {
        self.groups(route, &route.before)
    }

    /// The groups and weights that the run found on a route.
    pub fn found_groups(&self, route: &Route) -> Vec<GroupWeight> {
        self.groups(route, &route.found)
    }

    fn groups(&self, route: &Route, weights: &RouteWeights) -> Vec<GroupWeight> {
        let app = self.app_of(route);
        [(&self.live, &app.live_group), (&self.standby, &app.standby_group)]
            .map(|(fleet, group)| GroupWeight::new(group, weights.get(fleet).copied().unwrap_or(0)))
            .to_vec()
    }

    /// The apps that the run holds: for a restore, those of which something is to be put back.
    pub fn held_apps(&self) -> impl Iterator<Item = &PlannedApp> {
        self.apps.iter().filter(|app| !app.left_alone)
    }

    /// The claim that the run writes before it writes weights.
    pub fn claim(&self) -> Held {
        self.claim_at(if self.done { Reached::Done } else { Reached::Nothing })
    }

    /// The claim that a run writes when its last weights are proven: from here on there is nothing to put back.
    /// A restore that has put back what each app had says so of each alone: should it be stopped between two of
    /// them, the next one puts the same back.
    pub fn claim_at_end(&self) -> Held {
        let for_all = self.operation != Operation::Restore || self.done;
        self.claim_at(if for_all { Reached::Done } else { Reached::Restored })
    }

    /// What is left of the claim when a run ends like this.
    pub fn claim_after(&self, ending: &str) -> Held {
        // Somebody may still want to start a `restore`.
        let left = match RunEnding::of(ending) {
            Some(RunEnding::PlanRejected) => self.operation == Operation::Restore,
            Some(RunEnding::RollBackFailed | RunEnding::Halted) => self.lost.is_empty(),
            _ => false,
        };
        self.claim_at(if left { Reached::Left } else { Reached::Released })
    }

    fn claim_at(&self, reached: Reached) -> Held {
        Held::new(&self.execution.arn, reached)
    }

    /// Whether it takes the routes of an interrupted run over, which nobody else may have meanwhile.
    pub fn takes_over(&self) -> bool {
        !self.predecessors.is_empty()
    }

    /// What the run finds of its claim on an app.
    pub fn hold(&self, held: Option<&Held>) -> Hold {
        hold::hold(held, &self.execution.arn, |other| {
            self.predecessors.iter().any(|earlier| earlier == other)
        })
    }
}
