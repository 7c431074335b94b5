//! A run as its history tells it, event by event.

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};
use failover::model::samples::Figures;
use failover::model::{Plan, Progress, Stage, Weights};
use failover::verdict::Verdict;
use failover::wire::{Check, Planned, Probed, RollBackEnding, RolledBack};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// What is known of a run so far.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The plan, once there is one.
    pub plan: Option<Plan>,
    /// The state that it is in.
    pub state: String,
    /// How far it has come.
    pub progress: Progress,
    /// What its last poll concluded.
    pub poll: Option<Poll>,
    /// Where its rollback got to.
    pub rolled_back: Option<RollBackEnding>,
    /// Whether a state that writes weights has begun: what it got done before it failed nobody knows.
    pub may_have_written: bool,
    /// How many polls have begun.
    pub polls_begun: u32,
    /// Whether its last event was seen.
    pub over: bool,
}

/// A poll of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// When.
    pub at: Timestamp,
    /// What it concluded.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// What was measured, by app.
    pub figures: BTreeMap<String, Figures>,
}

/// Something that people who watch are told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "what")]
pub enum News {
    /// The plan is made, and these are the stages.
    Planned {
        /// When.
        at: Timestamp,
        /// How many there are.
        stages: usize,
    },
    /// The weights of a stage, the first being 1, stand.
    Set {
        /// When.
        at: Timestamp,
        /// Which one.
        stage: usize,
        /// Of how many.
        of: usize,
        /// Whether it is set back for a while, to be compared again.
        recheck: bool,
        /// The weights.
        weights: Weights,
    },
    /// A poll.
    Polled(Poll),
    /// It waits for an approval.
    Asks {
        /// When.
        at: Timestamp,
        /// The standby's percent of the stage that waits.
        percent: u8,
    },
    /// It begins to put back what it found.
    RollsBack {
        /// When.
        at: Timestamp,
    },
}

impl Run {
    /// Takes in the next event of the history.
    ///
    /// # Errors
    /// A sentence where the run is one of another version.
    pub fn see(&mut self, event: &HistoryEvent) -> Result<Option<News>, String> {
        use HistoryEventType::{ExecutionAborted, ExecutionFailed, ExecutionSucceeded, ExecutionTimedOut};
        let at = event.timestamp();
        let at = Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).unwrap_or(0)).unwrap_or_default();
        self.over |= matches!(
            event.r#type,
            ExecutionAborted | ExecutionFailed | ExecutionSucceeded | ExecutionTimedOut
        );
        if let Some(entered) = event.state_entered_event_details() {
            let before = std::mem::replace(&mut self.state, entered.name().to_owned());
            return Ok(self.entered(&before, at));
        }
        // AWS names the task of a function after it; others name every task alike.
        let of_function = event.lambda_function_succeeded_event_details().and_then(|task| task.output());
        let of_task = event.task_succeeded_event_details().and_then(|task| task.output());
        of_function.or(of_task).map_or(Ok(None), |answer| self.answered(answer, at))
    }

    fn entered(&mut self, before: &str, at: Timestamp) -> Option<News> {
        self.may_have_written |= matches!(self.state.as_str(), "SetWeights" | "RollBack" | "RollBackOn");
        match self.state.as_str() {
            "CheckMetrics" => {
                self.polls_begun += 1;
                None
            }
            "RollBack" if before != "Settle" => Some(News::RollsBack { at }),
            "SendApprovalNotice" => {
                let percent = self.next_stage()?.standby_percent.get();
                Some(News::Asks { at, percent })
            }
            _ => None,
        }
    }

    fn answered(&mut self, answer: &str, at: Timestamp) -> Result<Option<News>, String> {
        match self.state.as_str() {
            "PlanShift" => {
                let Planned { plan, outcome, .. } = read(answer)?;
                self.plan = plan.or(outcome.plan.map(|plan| *plan));
                let stages = self.plan.as_ref().map_or(0, |plan| plan.stages.len());
                Ok(Some(News::Planned { at, stages }))
            }
            "SetWeights" => {
                self.progress = read(answer)?;
                let of = self.plan.as_ref().map_or(0, |plan| plan.stages.len());
                Ok(self.progress.timeline.last().map(|record| News::Set {
                    at,
                    stage: record.stage + 1,
                    of,
                    recheck: record.recheck,
                    weights: record.weights.clone(),
                }))
            }
            "CheckMetrics" => {
                let Check { verdict, reason, figures, progress, .. } = read(answer)?;
                self.progress = progress;
                Ok(Some(self.polled(Poll { at, verdict, reason, figures })))
            }
            "ProbeApp" => {
                let Probed { verdict, reason, progress } = read(answer)?;
                self.progress = progress;
                let figures = self.poll.take().map(|poll| poll.figures).unwrap_or_default();
                Ok(Some(self.polled(Poll { at, verdict, reason, figures })))
            }
            "RollBack" | "RollBackOn" => {
                self.rolled_back = Some(read::<RolledBack>(answer)?.ending);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn polled(&mut self, poll: Poll) -> News {
        self.poll = Some(poll.clone());
        News::Polled(poll)
    }

    /// The stage under watch, or to be set.
    pub fn stage(&self) -> Option<&Stage> {
        self.plan
            .as_ref()?
            .stages
            .get(self.progress.timeline.last().map_or(self.progress.stage, |last| last.stage))
    }

    /// The one after it.
    pub fn next_stage(&self) -> Option<&Stage> {
        self.plan.as_ref()?.stages.get(self.progress.timeline.last().map_or(0, |last| last.stage + 1))
    }

    /// The weights that the run set last, once it has set any.
    pub fn weights(&self) -> Option<&Weights> {
        self.progress.timeline.last().map(|record| &record.weights)
    }

    /// Whether it is on its way back, or at an end: nothing can be asked of it any more.
    pub fn is_ending(&self) -> bool {
        const ENDING: [&str; 8] = [
            "RollBack",
            "IsSettled",
            "Settle",
            "SendStuckNotice",
            "RollBackOn",
            "SwapRoles",
            "ReleaseRoutes",
            "SendEndNotice",
        ];
        self.over || ENDING.contains(&self.state.as_str())
    }

    /// Seconds until the stage can be over, at the earliest.
    pub fn left(&self, now: Timestamp) -> Option<u32> {
        let began = self.progress.timeline.last()?.started_at;
        let likely = self.stage()?.likely_seconds(self.plan.as_ref()?.period_seconds);
        let left = began.as_second().saturating_add(likely).saturating_sub(now.as_second());
        Some(u32::try_from(left.max(0)).unwrap_or(u32::MAX))
    }
}

fn read<Answer: DeserializeOwned>(text: &str) -> Result<Answer, String> {
    serde_json::from_str(text).map_err(|error| {
        format!(
            "what the run says is not understood ({error}): the deployment is of another version than this command; \
             use the command of its version, or deploy this one"
        )
    })
}

#[cfg(test)]
pub mod tests {
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{StateEnteredEventDetails, TaskSucceededEventDetails};
    use serde_json::{Value, json};

    use super::*;

    /// A plan such as a function makes.
    pub fn plan(more: Value) -> Plan {
        let stages = [10, 50, 100].map(
            |percent| json!({ "standbyPercent": percent, "bakeSeconds": 300, "gate": "healthyStandby" }),
        );
        let mut plan = json!({
            "app": "web",
            "version": 1,
            "apps": [{
                "name": "web", "liveGroup": "arn:one", "standbyGroup": "arn:two",
                "before": { "prod1": 100, "prod2": 0 }, "slowSeconds": 0.3, "hungSeconds": 4.0
            }],
            "operation": "shift", "release": "v42",
            "execution": { "arn": "arn:aws:states:eu-central-1:1:execution:failover:web-shift-v42",
                           "startedAt": "2026-11-30T10:30:00Z" },
            "live": "prod1", "standby": "prod2",
            "loadBalancerArn": "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/shop/1",
            "routes": [{ "arn": "arn:rule", "ruleArn": "arn:rule", "label": "rule 10 on port 443",
                         "found": { "prod1": 100, "prod2": 0 }, "before": { "prod1": 100, "prod2": 0 },
                         "revertCommand": "aws elbv2 modify-rule" }],
            "stages": stages,
            "mayWrite": [0, 10, 50, 100], "propagationSeconds": 15, "pollSeconds": 30, "periodSeconds": 60,
            "criteria": {}, "checks": ["prod1 is live, prod2 is the standby", "prod2 has 2 of 2 targets healthy"]
        });
        if let (Value::Object(plan), Value::Object(more)) = (&mut plan, more) {
            plan.extend(more);
        }
        serde_json::from_value(plan).unwrap()
    }

    fn event(id: i64, second: i64) -> aws_sdk_sfn::types::builders::HistoryEventBuilder {
        HistoryEvent::builder()
            .id(id)
            .timestamp(DateTime::from_secs(second))
            .r#type(HistoryEventType::TaskSucceeded)
    }

    pub fn entered(state: &str) -> HistoryEvent {
        let details = StateEnteredEventDetails::builder().name(state).build().unwrap();
        event(1, START).state_entered_event_details(details).build().unwrap()
    }

    pub fn answered(answer: &Value) -> HistoryEvent {
        let details = TaskSucceededEventDetails::builder().resource_type("lambda").resource("r");
        let details = details.output(answer.to_string()).build().unwrap();
        event(2, START).task_succeeded_event_details(details).build().unwrap()
    }

    /// 10:31:00.
    pub const START: i64 = 1_796_034_660;

    pub fn progress(stage: usize, percent: u8) -> Value {
        json!({
            "stage": stage, "waitSeconds": 30,
            "timeline": [{ "stage": stage, "weights": { "prod1": 100 - percent, "prod2": percent },
                           "startedAt": "2026-11-30T10:31:00Z" }]
        })
    }

    pub fn check(stage: usize, percent: u8, verdict: &str) -> Value {
        let fleet = |requests: u64, failures: u64| json!({ "requests": requests, "failures": failures, "slow": 2, "healthyTargets": 2, "registeredTargets": 2 });
        json!({
            "verdict": verdict, "reason": "no difference found", "fullyShifted": false, "ask": false,
            "probeApp": false, "callHook": false, "progress": progress(stage, percent),
            "figures": { "web": {
                "live": fleet(1308, 1), "standby": fleet(430, 4), "balancerErrors": 0,
                "runLive": fleet(1308, 1), "runStandby": fleet(430, 4),
                "odds": { "total": 0.4, "metrics": [], "careful": false }
            } }
        })
    }

    /// A run at the second of its stages, after one poll.
    pub fn run() -> Run {
        let mut run = Run { plan: Some(plan(json!({}))), ..Run::default() };
        for event in [
            entered("SetWeights"),
            answered(&progress(1, 50)),
            entered("CheckMetrics"),
            answered(&check(1, 50, "wait")),
            entered("IsHealthy"),
            entered("Bake"),
        ] {
            run.see(&event).unwrap();
        }
        run
    }

    #[test]
    fn a_run_is_told_by_its_history() {
        let run = run();
        assert_eq!(run.stage().map(|stage| stage.standby_percent.get()), Some(50));
        assert_eq!(run.next_stage().map(|stage| stage.standby_percent.get()), Some(100));
        assert_eq!(run.poll.as_ref().map(|poll| poll.verdict), Some(Verdict::Wait));
        assert_eq!(run.left(Timestamp::from_second(START + 60).unwrap()), Some(300 + 120 - 60));
        assert!(!run.is_ending() && run.rolled_back.is_none());
    }

    #[test]
    fn what_is_new_is_told_once() {
        let mut run = Run { plan: Some(plan(json!({}))), ..Run::default() };
        let mut told = |event: &HistoryEvent| run.see(event).unwrap();
        assert_eq!(told(&entered("SetWeights")), None);
        let Some(News::Set { stage: 1, of: 3, recheck: false, .. }) = told(&answered(&progress(0, 10)))
        else {
            panic!()
        };
        told(&entered("CheckMetrics"));
        let Some(News::Polled(poll)) = told(&answered(&check(0, 10, "advance"))) else { panic!() };
        assert_eq!(poll.figures["web"].standby.requests, 430);
        assert!(matches!(told(&entered("SendApprovalNotice")), Some(News::Asks { percent: 50, .. })));
        assert!(matches!(told(&entered("RollBack")), Some(News::RollsBack { .. })));
        told(&entered("Settle"));
        assert_eq!(told(&entered("RollBack")), None, "the second look is no second rollback");
        assert!(run.is_ending());
    }

    #[test]
    fn another_version_is_told_as_such() {
        let mut run = Run { state: "CheckMetrics".into(), ..Run::default() };
        let what = run.see(&answered(&json!({ "verdict": "unheard of" }))).unwrap_err();
        assert!(what.contains("another version"), "{what}");
    }
}
