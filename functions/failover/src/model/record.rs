//! What an interrupted run had found, and what it may have left. The record is the result of `PlanShift` in
//! that execution's own history, which nobody can forge and no run has to write.
//!
//! Another release of ours may have made it, so that fields which are not known here are left alone, and it
//! has a version.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::model::RouteWeights;
use crate::model::hold::Reached;
use crate::model::weights::Percent;

/// The version of plans as this release makes them. It rises when what is read here changes, and earlier ones are
/// read on: a run that was interrupted under one release is restored by the next.
pub const VERSION: u32 = 1;

/// The most weight that AWS takes for a target group.
const MOST_WEIGHT: u16 = 999;

/// What `PlanShift` of a run has found, as far as a restore needs it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The fleet that was live.
    pub live: String,
    /// The other one.
    pub standby: String,
    /// The apps of the run.
    pub apps: Vec<RecordedApp>,
    /// All of their routes.
    pub routes: Vec<RecordedRoute>,
    /// The stages, of which the last one is what the run leaves at its end.
    #[serde(default)]
    stages: Vec<RecordedStage>,
    /// The standby's percentages that the run may write.
    pub may_write: BTreeSet<Percent>,
    /// What was done.
    #[serde(default)]
    operation: String,
}

/// An app of a recorded run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedApp {
    /// Its name.
    pub name: String,
    /// The target group of the fleet that was live.
    pub live_group: String,
    /// That of the other one.
    pub standby_group: String,
}

/// A route of a recorded run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRoute {
    /// The index of its app.
    #[serde(default)]
    pub app: usize,
    /// The rule's ARN, or the listener's for a default action.
    pub arn: String,
    /// Such as `rule 10 on port 443`.
    pub label: String,
    /// What that run would have put back.
    pub before: RouteWeights,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordedStage {
    standby_percent: Percent,
}

impl Record {
    /// Reads the result of `PlanShift`; nothing where it made no plan, as for a dry run.
    ///
    /// # Errors
    /// A sentence that says why it cannot be restored.
    pub fn parse(result: &str) -> Result<Option<Self>, String> {
        let unread = |error: serde_json::Error| {
            format!("the plan in its history cannot be read by this release ({error})")
        };
        let result: Value = serde_json::from_str(result).map_err(unread)?;
        let Some(plan) = result.get("plan").filter(|plan| !plan.is_null()) else { return Ok(None) };
        let version = plan.get("version").and_then(Value::as_u64);
        if version.is_none_or(|version| version > u64::from(VERSION)) {
            return Err("the plan in its history is of a version that this release does not read".into());
        }
        serde_json::from_value(plan.clone()).map(Some).map_err(unread)
    }

    /// The index of an app by its name.
    fn index_of(&self, app: &str) -> Option<usize> {
        self.apps.iter().position(|recorded| recorded.name == app)
    }

    /// The routes that the run held of an app.
    pub fn routes_of(&self, app: &str) -> impl Iterator<Item = &RecordedRoute> {
        let index = self.index_of(app);
        self.routes.iter().filter(move |route| Some(route.app) == index)
    }

    /// What the run leaves on all of its routes at its end; for the restore of an end, what that one puts back.
    pub fn end(&self) -> Option<RouteWeights> {
        match self.stages.last() {
            Some(last) => Some(self.percents(last.standby_percent)),
            None => self.routes.first().map(|route| route.before.clone()),
        }
    }

    /// Whether it went through stages, and was no restore.
    pub const fn has_stages(&self) -> bool {
        !self.stages.is_empty()
    }

    /// The fleet that is live where the run has reached so much.
    pub fn live_then(&self, reached: Reached) -> &str {
        let swaps = matches!(self.operation.as_str(), "shift" | "failback");
        if swaps && reached == Reached::Done { &self.standby } else { &self.live }
    }

    fn percents(&self, standby: Percent) -> RouteWeights {
        let both = [(&self.live, standby.rest()), (&self.standby, standby)];
        both.into_iter().map(|(fleet, percent)| (fleet.clone(), percent.get().into())).collect()
    }

    /// Why what the run has recorded of an app must not be put back, if anything speaks against it: `fleets`
    /// are the app's fleets now, each with its target group.
    pub fn unfit(&self, app: &str, fleets: &BTreeMap<&str, &str>) -> Option<String> {
        let Some(recorded) = self.index_of(app).map(|index| &self.apps[index]) else {
            return Some(format!("the recorded run was none of {app}"));
        };
        let then = BTreeMap::from([
            (self.live.as_str(), recorded.live_group.as_str()),
            (self.standby.as_str(), recorded.standby_group.as_str()),
        ]);
        if then != *fleets {
            let words = |fleets: &BTreeMap<&str, &str>| {
                fleets.iter().map(|(name, group)| format!("{name} {group}")).collect::<Vec<_>>().join(" and ")
            };
            return Some(format!(
                "the recorded run moved traffic between {}, and the fleets of {app} are {} now",
                words(&then),
                words(fleets)
            ));
        }
        self.routes_of(app).find_map(|route| {
            let known = route.before.len() == 2 && fleets.keys().all(|name| route.before.contains_key(*name));
            let all: u32 = route.before.values().map(|weight| u32::from(*weight)).sum();
            let fits = known && all > 0 && route.before.values().all(|weight| *weight <= MOST_WEIGHT);
            let shown = || route.before.iter().map(|(f, w)| format!("{f} {w}")).collect::<Vec<_>>().join("/");
            (!fits).then(|| {
                format!(
                    "for {} the recorded run names the weights {}, and what can be put back is 0 to {MOST_WEIGHT} for \
                     each of the two fleets, not 0 for both",
                    route.label,
                    shown()
                )
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_of_the_first_version_is_read_and_one_of_a_later_release_is_not() {
        // As the first release answers. Whatever later ones make of plans, this must be read for ever.
        let mut answer = json!({ "proceed": true, "progress": {}, "plan": {
            "version": 1, "app": "web", "operation": "shift", "live": "prod1", "standby": "prod2", "release": "v2",
            "apps": [{ "name": "web", "liveGroup": "arn:one", "standbyGroup": "arn:two", "slowSeconds": 1.0,
                       "before": { "prod1": 100, "prod2": 0 } }],
            "routes": [{ "arn": "arn:rule", "ruleArn": "arn:rule", "label": "rule 1 on port 443", "revertCommand": "aws",
                         "found": { "prod1": 90, "prod2": 10 }, "before": { "prod1": 90, "prod2": 10 } }],
            "stages": [{ "standbyPercent": 100, "bakeSeconds": 300, "gate": "healthyStandby" }],
            "mayWrite": [100], "propagationSeconds": 15,
        } });
        let read = |answer: &Value| Record::parse(&answer.to_string());
        let record = read(&answer).unwrap().unwrap();
        assert_eq!(record.routes[0].before["prod2"], 10);
        assert_eq!(record.end(), Some([("prod1".into(), 0), ("prod2".into(), 100)].into()));
        assert_eq!((record.live_then(Reached::Done), record.live_then(Reached::Nothing)), ("prod2", "prod1"));
        let fleets = BTreeMap::from([("prod1", "arn:one"), ("prod2", "arn:two")]);
        assert_eq!(record.unfit("web", &fleets), None);

        for version in [json!(VERSION + 1), json!(-1), json!("1"), Value::Null] {
            answer["plan"]["version"] = version;
            assert!(read(&answer).unwrap_err().contains("does not read"));
        }
        answer["plan"] = Value::Null;
        assert_eq!(read(&answer), Ok(None));
        assert!(Record::parse("{").unwrap_err().contains("cannot be read"));
    }
}
