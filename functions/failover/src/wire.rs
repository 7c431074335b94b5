//! Every type on an edge of the state machine. Unknown fields are refused everywhere: two versions
//! of the project that do not fit must say so instead of guessing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::duration::Seconds;
use crate::input::hooks::ConfiguredHooks;
use crate::input::probes::ConfiguredProbes;
use crate::model::samples::Figures;
use crate::model::weights::Percent;
use crate::model::{Apps, Execution, Operation, Plan, Progress, StageRecord, Weights};
use crate::verdict::{StageEnding, Verdict};

/// What the state machine sends to `plan-shift`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// The input of the execution exactly as given, checked only here.
    pub input: Value,
    /// The execution.
    pub execution: Execution,
    /// What the deployment says of application probes.
    pub probing: ConfiguredProbes,
    /// What it says of hooks.
    pub hooking: ConfiguredHooks,
}

/// What `plan-shift` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Planned {
    /// Whether there is anything to do: false for a dry run and where the weights are already right.
    pub proceed: bool,
    /// The plan; nothing for a dry run, whose outcome holds it.
    pub plan: Option<Plan>,
    /// Where the run stands: before the first stage.
    pub progress: Progress,
    /// Whether the application is probed on the standby before the run begins.
    pub probe_standby: bool,
    /// Whether the hook `beforeRun` is called before it begins.
    pub call_hook: bool,
    /// The output of the execution if nothing is done.
    pub outcome: Outcome,
}

/// What the state machine sends to `set-weights`, `check-metrics` and `probe-app`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The plan.
    pub plan: Plan,
    /// How far it has come.
    pub progress: Progress,
}

/// What `check-metrics` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by a condition of the definition")]
pub struct Check {
    /// What the poll concludes.
    pub verdict: Verdict,
    /// Why, for a person.
    pub reason: String,
    /// Whether that was the last stage.
    pub fully_shifted: bool,
    /// Whether the run begins to wait for an approval, so that somebody has to be asked.
    pub ask: bool,
    /// Whether the application is probed next.
    pub probe_app: bool,
    /// Whether the hook `afterStage` is called before the run goes on.
    pub call_hook: bool,
    /// How the stage ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<StageEnding>,
    /// What was measured of each app, by its name.
    pub figures: BTreeMap<String, Figures>,
    /// How far the run has come after this poll.
    pub progress: Progress,
}

/// What `probe-app` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probed {
    /// The verdict of the poll where the probes pass, and otherwise theirs.
    pub verdict: Verdict,
    /// Why, for a person.
    pub reason: String,
    /// How far the run has come after this round of probes.
    pub progress: Progress,
}

/// How a successful execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// The former standby carries all traffic.
    Shifted,
    /// The standby is drained and ready for deployment.
    Drained,
    /// Both fleets carry half of the traffic.
    Balanced,
    /// The former standby carries all traffic again.
    FailedBack,
    /// The weights that an interrupted run had found are back.
    Restored,
    /// The weights already were what was asked for.
    Unchanged,
    /// A dry run: nothing was touched.
    Planned,
}

/// The output of a successful execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// What was asked.
    pub operation: Operation,
    /// The application, or several, as given.
    pub app: Apps,
    /// The fleet that is live now.
    pub live: String,
    /// The other one; after a drain, where to deploy.
    pub standby: String,
    /// The standby's target group, where there is one app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby_target_group: Option<String>,
    /// Those of several apps, by the names of the apps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub standby_target_groups: BTreeMap<String, String>,
    /// The weights that stand now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// The same by app, where several apps have different ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights_by_app: BTreeMap<String, Weights>,
    /// The routes.
    pub routes: Vec<String>,
    /// The stages as they went; as they would go, for a dry run.
    pub stages: Vec<StageOutcome>,
    /// One sentence for people.
    pub summary: String,
    /// Why the run started outside the deployment's windows, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<String>,
    /// The whole plan, for a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<Plan>>,
}

/// One stage in the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StageOutcome {
    /// A stage that was set.
    Went(StageRecord),
    /// A stage of a dry run.
    Would {
        /// The weights it would set.
        weights: Weights,
        /// How long it would be watched.
        bake: Seconds,
    },
}

/// What the state machine sends to `claim-routes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// The plan.
    pub plan: Plan,
}

/// What the state machine sends to `swap-roles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapRequest {
    /// The plan.
    pub plan: Plan,
    /// How far it has come: to its end.
    pub progress: Progress,
    /// What the last poll measured of each app; nothing after a restore.
    pub figures: Option<BTreeMap<String, Figures>>,
}

/// What the state machine sends to `roll-back`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBackRequest {
    /// The plan.
    pub plan: Plan,
    /// Why it is rolled back: the reason of a verdict, the error output of a state, or what a hook
    /// answered.
    pub why: Value,
    /// The answer to the same request before the writes had settled, if there was one.
    pub earlier: Option<RolledBack>,
}

/// What `roll-back` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolledBack {
    /// Where it got to.
    pub ending: RollBackEnding,
    /// One sentence for people: why, and where the traffic is now.
    pub cause: String,
    /// The standby's percent for each app whose traffic all went to one fleet, instead of back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub over: BTreeMap<String, Percent>,
    /// Whether the weights were still in place after the time in which an earlier write of the run
    /// could have arrived.
    pub settled: bool,
}

/// Where a rollback got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RollBackEnding {
    /// The weights found at the start are back.
    RolledBack,
    /// The same, for a restore: its success.
    Restored,
    /// They would give traffic to a fleet without healthy targets, so the other one carries all.
    FailedOver,
    /// No fleet has healthy targets, so nothing was written.
    Halted,
    /// A restore lost its routes while they held what it was about to put back: the run that it took
    /// for interrupted came to its end after all.
    Unchanged,
}

impl RollBackEnding {
    /// The same as it stands in the definition.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RolledBack => "RolledBack",
            Self::Restored => "Restored",
            Self::FailedOver => "FailedOver",
            Self::Halted => "Halted",
            Self::Unchanged => "Unchanged",
        }
    }
}

/// What the state machine sends to `send-notice`: before the first write without a progress, with one
/// where an approval is waited for, where a rollback does not get through, and at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeRequest {
    /// The ARN of the execution.
    pub execution: String,
    /// Its input, as given.
    pub input: Value,
    /// The plan; nothing where none could be made.
    pub plan: Option<Plan>,
    /// How far it has come.
    pub progress: Option<Progress>,
    /// The error output of a rollback that failed for minutes and is still tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Value>,
    /// How it ended, at the end.
    pub ended: Option<Ended>,
}

/// How a run ended, as its states left it: nothing is in words yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ended {
    /// The ending that follows: `Completed`, or the name of an error.
    pub ending: String,
    /// The error output of the state that it ended with, what a hook answered, or the reason of the last
    /// verdict.
    pub why: Value,
    /// What the rollback answered, if there was one.
    pub rolled_back: Option<RolledBack>,
    /// The output of a success.
    pub outcome: Option<Outcome>,
    /// What the last poll had measured, by app; nothing where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<BTreeMap<String, Figures>>,
    /// What the routes held at the end, as [`Released`] has it; nothing where that was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
}

/// The same in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Conclusion {
    /// The ending: another one than before where the input asks for it.
    pub ending: String,
    /// What happened, where the traffic is and what to do.
    pub cause: String,
    /// The output of the execution, if it succeeds.
    pub output: Value,
    /// Whether somebody must look at it now.
    pub pages: bool,
}

/// What `send-notice` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noticed {
    /// The subject of what was sent; nothing where there was nothing to tell.
    pub subject: Option<String>,
    /// At the end: how the run ended.
    pub conclusion: Option<Conclusion>,
}

/// What the state machine sends to `release-routes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The input of the execution, as given.
    pub input: Value,
    /// The plan; nothing where none could be made.
    pub plan: Option<Plan>,
    /// How far it has come.
    pub progress: Option<Progress>,
    /// Whether the run may hold the routes: it has tried to claim them.
    pub claimed: bool,
    /// How it ended.
    pub ended: Ended,
}

/// What `release-routes` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Released {
    /// The apps that were given back.
    pub apps: Vec<String>,
    /// How the run ended.
    pub conclusion: Conclusion,
    /// What the routes hold now, in words, where the ending alone does not tell; nothing where it does, or where the
    /// balancer did not answer.
    pub traffic: Option<String>,
}
