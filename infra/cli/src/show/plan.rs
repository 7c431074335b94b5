//! The plan of a run, as a person reads it.

use failover::duration::Seconds;
use failover::model::weights::split;
use failover::model::{Gate, Plan};
use jiff::Timestamp;

use super::{labelled, timed};

/// What the run would do: the stages with their times, what was checked, and what may happen.
pub fn lines(plan: &Plan, now: Timestamp, width: Option<usize>) -> Vec<String> {
    let release = plan.release.as_ref().map(|release| format!(" ({release})")).unwrap_or_default();
    let mut lines = vec![
        labelled(
            "PLAN",
            &format!(
                "{} of {}: live {}, standby {}{release}",
                plan.operation.word(),
                plan.app,
                plan.live,
                plan.standby
            ),
            width,
        ),
        labelled("NOW", &plan.before_in_words(), width),
    ];
    lines.extend(stages(plan, now, width));
    if let Some(approval) = &plan.approval {
        let before: Vec<String> = approval.before.iter().map(ToString::to_string).collect();
        let waits = format!(
            "before {}, for {} at most each; without an answer the run {}",
            before.join(", "),
            Seconds(approval.within_seconds),
            match approval.otherwise {
                failover::model::Unanswered::RollBack => "goes back",
                failover::model::Unanswered::Halt => "ends and leaves the weights",
            }
        );
        lines.push(labelled("APPROVAL", &waits, width));
    }
    for (number, check) in plan.checks.iter().enumerate() {
        lines.push(labelled(if number == 0 { "CHECKED" } else { "" }, check, width));
    }
    let routes: Vec<&str> = plan.routes.iter().map(|route| route.label.as_str()).collect();
    lines.push(labelled("ROUTES", &routes.join(", "), width));
    if !plan.stages.is_empty() {
        lines.push(labelled(
            "COST",
            &format!("some {} state transitions of Step Functions", transitions(plan)),
            width,
        ));
    }
    lines
}

/// A stage to a line, with the time at which it begins at the earliest.
pub fn stages(plan: &Plan, now: Timestamp, width: Option<usize>) -> Vec<String> {
    let mut at = now;
    let mut lines = Vec::new();
    for stage in &plan.stages {
        let ends = match stage.gate {
            Gate::TargetsHealthy => "until its targets are healthy".to_owned(),
            Gate::Drained => format!("until {} gets no request any more", plan.standby),
            Gate::HealthyStandby | Gate::HealthyLive => {
                format!("watched for {}", Seconds(stage.bake_seconds))
            }
        };
        let asks = plan.approval.as_ref().is_some_and(|a| a.before.contains(&stage.standby_percent));
        let asks = if asks { ", once approved" } else { "" };
        lines.push(timed(
            at,
            &format!("{}, {ends}{asks}", split(&plan.weights(stage.standby_percent))),
            width,
        ));
        let likely = at.as_second().saturating_add(stage.likely_seconds(plan.period_seconds));
        at = Timestamp::from_second(likely).unwrap_or(at);
    }
    if !plan.stages.is_empty() {
        lines.push(timed(at, "done, at the earliest (UTC)", width));
    }
    lines
}

/// States that a run enters in its stages: three for each poll, and six around each stage.
fn transitions(plan: &Plan) -> i64 {
    let poll = i64::from(plan.poll_seconds.max(1));
    let of = |stage: &failover::model::Stage| 3 * (stage.likely_seconds(plan.period_seconds) / poll + 1) + 3;
    plan.stages.iter().map(of).sum::<i64>() + 12
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::tests::{START, plan};

    #[test]
    fn a_plan_says_what_happens_when_and_what_was_checked() {
        let plan =
            plan(json!({ "approval": { "before": [50], "withinSeconds": 14400, "otherwise": "rollBack" } }));
        let lines = lines(&plan, Timestamp::from_second(START).unwrap(), Some(80));
        let shown = lines.join("\n");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        for part in [
            "shift of web: live prod1, standby prod2 (v42)",
            "10:31:00  prod1 90 %, prod2 10 %, watched for 5m",
            "10:38:00  prod1 50 %, prod2 50 %, watched for 5m, once approved",
            "10:52:00  done, at the earliest",
            "prod2 has 2 of 2 targets healthy",
            "rule 10 on port 443",
        ] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }
}
