//! Hooks: functions of the team's own that the state machine calls at two moments of a run.

use serde::{Deserialize, Serialize};

/// The ARN of a Lambda function, which may name a version or alias, for each moment at which one is
/// called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hooks {
    /// The plan is made, nothing is touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_run: Option<String>,
    /// A stage has shown what it must, and the run is about to go on: to the next one, or to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_stage: Option<String>,
}

impl Hooks {
    /// Whether nothing is called.
    pub fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    /// The moments at which something is called, in their order, with the ARN.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("beforeRun", &self.before_run), ("afterStage", &self.after_stage)];
        all.into_iter().filter_map(|(moment, arn)| Some((moment, arn.as_deref()?)))
    }
}
