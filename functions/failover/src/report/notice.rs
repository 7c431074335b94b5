//! What the team is told: before the first write of a run what will happen, after it how it ended.
//! Text for people, and the same as an event for machines.

mod commands;
mod end;
mod subject;
mod trouble;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use self::commands::{by_hand, command};
use self::end::of_end;
use self::subject::whom;
use crate::input::STARTED_BY_EXECUTION;
use crate::model::weights::split;
use crate::model::{Apps, Gate, Operation, Plan, Progress, RunEnding, Unanswered, Weights};
use crate::report::conclusion::is_restore;
use crate::verdict::StageEnding;
use crate::wire::{NoticeRequest, Outcome, Status};

/// What is sent: to a topic as a subject and a text, to the event bus as an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Less than 100 characters of ASCII, as mail and SNS want it.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same for machines.
    pub event: Event,
}

/// When in a run a notice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Moment {
    /// The routes are claimed, nothing is written yet.
    Start,
    /// The run waits for an approval.
    Approval,
    /// A rollback does not get through, and goes on.
    Stuck,
    /// The run is over.
    End,
}

impl Moment {
    /// The `detail-type` of the event.
    pub const fn detail_type(self) -> &'static str {
        match self {
            Self::Start => "Failover Run Started",
            Self::Approval => "Failover Approval Wanted",
            Self::Stuck => "Failover Rollback Stuck",
            Self::End => "Failover Run Ended",
        }
    }
}

/// The `detail` of the event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Start, approval, stuck or end.
    pub moment: Moment,
    /// The application, or several, as given; nothing where not even that could be read.
    pub app: Option<Apps>,
    /// What was asked.
    pub operation: Option<Operation>,
    /// The ARN of the execution.
    pub execution: String,
    /// Who started it, if the input says so.
    pub started_by: Option<String>,
    /// What the standby runs, if the input says so.
    pub release: Option<String>,
    /// At the end: `Completed`, or the name of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// At the end of a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Whether somebody must look at it now.
    pub pages: bool,
    /// The weights before the first write, or those that stand; at the end only where that is certain,
    /// and only where they are the same for all apps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// The ARNs of the routes.
    pub routes: Vec<String>,
    /// The stages with the earliest time of each, or when each was set.
    pub stages: Vec<EventStage>,
    /// As sent to people.
    pub subject: String,
    /// As sent to people.
    pub text: String,
}

/// A stage, in the event and as one line of the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventStage {
    /// When it begins, or began.
    pub at: Timestamp,
    /// What each fleet gets.
    pub weights: Weights,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<StageEnding>,
    /// The reason of its last verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip)]
    note: &'static str,
}

/// The notice for a moment of a run, if there is anything to tell: a run that was refused has touched
/// nothing, and whoever started it knows. `now` is when it is sent.
pub fn notice(request: &NoticeRequest, now: Timestamp) -> Option<Notice> {
    if let (Some(plan), Some(error)) = (&request.plan, &request.stuck) {
        return Some(trouble::of_stuck(request, plan, error));
    }
    match (&request.plan, &request.ended) {
        (Some(plan), None) => match &request.progress {
            None => Some(of_start(request, plan, now)),
            Some(progress) => of_approval(request, plan, progress),
        },
        (Some(plan), Some(ended)) if told(&ended.ending) => Some(of_end(request, plan, ended, now)),
        (None, Some(ended)) if is_restore(&request.input) => Some(trouble::of_lost_restore(request, ended)),
        _ => None,
    }
}

/// A restore that finds the run at its end has nothing to tell either.
fn told(ending: &str) -> bool {
    !matches!(ending, "PlanRejected" | "Unchanged")
}

fn of_start(request: &NoticeRequest, plan: &Plan, now: Timestamp) -> Notice {
    let release = plan.release.as_ref().map_or_else(String::new, |release| format!(" (release {release})"));
    let (live, standby) = (&plan.live, &plan.standby);
    let steps = plan.stages.iter().filter(|stage| stage.gate != Gate::TargetsHealthy).count();
    let steps = if steps == 1 { "one step".into() } else { format!("{steps} stages") };
    let what = match plan.operation {
        Operation::Drain => {
            format!("All traffic goes to {live} in {steps}, so that {standby} can be deployed to.")
        }
        Operation::Shift => format!("{standby}{release} takes over from {live} in {steps}."),
        Operation::Balance => format!("{standby}{release} joins {live} in {steps}, up to an even split."),
        Operation::Failback => format!("{standby} takes over from {live} again, in {steps}."),
        Operation::Restore => "The weights that an interrupted run had found are put back.".into(),
    };
    let (stages, done) = schedule(plan, now);
    let watched = match plan.operation {
        Operation::Drain => {
            let (over, found) =
                (format!("It is over when {standby} gets no request any more."), plan.before_in_words());
            match &plan.standby_unhealthy {
                Some(unhealthy) => format!("{over} It goes at once and does not go back, since {unhealthy}."),
                None => {
                    format!("{over} If {live} does not carry what it gets the weights go back to {found}.")
                }
            }
        }
        _ => format!(
            "Every stage is watched, and the next one waits until {standby} has shown what it must. If {standby} is \
             not well the weights go back by themselves to {}.",
            plan.before_in_words()
        ),
    };
    let carries = plan
        .apps
        .iter()
        .filter_map(|app| Some(format!("{}{}.\n\n", plan.named(app), app.headroom.as_ref()?)));
    let carries: String = carries.collect();
    let probed = plan.probing.as_ref().map(|p| format!("Application probes: {}.\n\n", p.in_words()));
    let probed = probed.unwrap_or_default();
    let text = format!(
        "{}: a {} begins. {what}\n\n{}{} UTC  done, at the earliest\n\n{carries}{probed}{watched} To have it put back what it \
         found: {}\n\n{}{}",
        plan.app,
        plan.operation.word(),
        lines(&stages),
        clock(done),
        command(request, plan, "rollback"),
        by_hand(plan),
        details(request, Some(plan))
    );
    let subject = format!("[BEGINS] {}: {}, {standby}{release}", whom(plan), plan.operation.word());
    let weights = plan.before();
    finish(request, Some(plan), Part { moment: Moment::Start, subject, text, weights, stages, outcome: None })
}

/// When each stage begins at the earliest, and when the run is over.
fn schedule(plan: &Plan, now: Timestamp) -> (Vec<EventStage>, Timestamp) {
    let mut at = now;
    let stages = plan.stages.iter().map(|stage| {
        let note = if stage.gate == Gate::TargetsHealthy { "until its targets are healthy" } else { "" };
        let begins = at;
        at = later(at, stage.likely_seconds(plan.period_seconds));
        let weights = plan.weights(stage.standby_percent);
        EventStage { at: begins, weights, ending: None, reason: None, note }
    });
    let stages = stages.collect();
    (stages, at)
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(at.as_second().saturating_add(seconds)).unwrap_or(at)
}

/// What was measured so far, and the commands to go on or back.
fn of_approval(request: &NoticeRequest, plan: &Plan, progress: &Progress) -> Option<Notice> {
    let approval = plan.approval.as_ref()?;
    let next = plan.stages.get(progress.stage + 1)?.standby_percent;
    let (verb, standby) = (plan.operation.word(), &plan.standby);
    let until = later(progress.waits_since?, approval.within_seconds.into());
    let otherwise = match approval.otherwise {
        Unanswered::RollBack => format!("the weights go back to {}", plan.before_in_words()),
        Unanswered::Halt => "the run ends and leaves the weights as they are".into(),
    };
    let group = plan.held_apps().next().map_or("", |app| app.lock().as_str());
    let commands = |word: &str, tag: &str| {
        let by_name = command(request, plan, word);
        let tag = format!("Key=failover:request,Value={tag}");
        format!("  {by_name}\n  aws elbv2 add-tags --resource-arns {group} --tags '{tag}'\n")
    };
    let stages = went(progress);
    let text = format!(
        "{}: the {verb} waits for an approval before {}. Meanwhile it is watched, and rolled back if {standby} is not \
         well. Without an answer until {} UTC {otherwise}.\n\nMeasured so far:\n{}\nTo go on, either of:\n{}To go back, \
         either of:\n{}\n{}",
        plan.app,
        split(&plan.weights(next)),
        clock(until),
        lines(&stages),
        commands("approve", &format!("approve-{}", next.get())),
        commands("rollback", "rollback"),
        details(request, Some(plan))
    );
    let subject = format!("[APPROVE] {}: {verb} to {next} on {standby}?", whom(plan));
    let weights = progress.timeline.last().map(|record| record.weights.clone());
    let moment = Moment::Approval;
    Some(finish(request, Some(plan), Part { moment, subject, text, weights, stages, outcome: None }))
}

fn went(progress: &Progress) -> Vec<EventStage> {
    let stages = progress.timeline.iter().map(|record| EventStage {
        at: record.started_at,
        weights: record.weights.clone(),
        ending: record.ending,
        reason: record.reason.clone(),
        note: if record.recheck { "set back to compare again" } else { "" },
    });
    stages.collect()
}

/// Characters of a subject: SNS takes less than 100.
const LONGEST_SUBJECT: usize = 99;

/// What differs from notice to notice.
struct Part<'a> {
    moment: Moment,
    subject: String,
    text: String,
    weights: Option<Weights>,
    stages: Vec<EventStage>,
    outcome: Option<&'a Outcome>,
}

fn finish(request: &NoticeRequest, plan: Option<&Plan>, part: Part<'_>) -> Notice {
    let Part { moment, subject, text, weights, stages, outcome } = part;
    let shown = subject.chars().filter(|c| c.is_ascii() && !c.is_control());
    let subject: String = shown.take(LONGEST_SUBJECT).collect();
    let ending = request.ended.as_ref().map(|ended| ended.ending.clone());
    let event = Event {
        moment,
        app: plan.map(|plan| plan.app.clone()),
        operation: plan.map_or(Some(Operation::Restore), |plan| Some(plan.operation)),
        execution: request.execution.clone(),
        started_by: started_by(&request.input).map(str::to_owned),
        release: plan.and_then(|plan| plan.release.clone()),
        pages: plan.is_none()
            || moment == Moment::Stuck
            || ending
                .as_deref()
                .and_then(RunEnding::of)
                .is_some_and(|ending| ending.pages(plan.map(|plan| plan.operation))),
        ending,
        status: outcome.map(|outcome| outcome.status),
        weights,
        routes: plan
            .map(|plan| plan.routes.iter().map(|route| route.arn.clone()).collect())
            .unwrap_or_default(),
        stages,
        subject: subject.clone(),
        text: text.clone(),
    };
    Notice { subject, text, event }
}

fn started_by(input: &Value) -> Option<&str> {
    // What Step Functions adds where another state machine starts the run says it as well.
    ["startedBy", STARTED_BY_EXECUTION].into_iter().find_map(|field| input.get(field)?.as_str())
}

fn details(request: &NoticeRequest, plan: Option<&Plan>) -> String {
    let mut lines = Vec::new();
    if let Some(plan) = plan {
        let routes: Vec<&str> = plan.routes.iter().map(|route| route.label.as_str()).collect();
        lines.push(format!("Routes: {}", routes.join(", ")));
        lines.extend(plan.overridden.as_ref().map(|reason| format!("Outside the windows: {reason}")));
    }
    let by = started_by(&request.input).unwrap_or("the input does not say; CloudTrail knows");
    lines.push(format!("Started by: {by}"));
    lines.push(format!("Execution: {}", request.execution));
    lines.extend(console(&request.execution));
    lines.join("\n") + "\n"
}

/// Where the console shows an execution. Other partitions have consoles elsewhere.
fn console(execution: &str) -> Option<String> {
    let mut parts = execution.strip_prefix("arn:aws:states:")?.split(':');
    let region = parts.next()?;
    Some(format!(
        "https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{execution}"
    ))
}

fn lines(stages: &[EventStage]) -> String {
    let line = |stage: &EventStage| {
        let ending = stage.ending.map_or("", StageEnding::in_words);
        let what = [
            split(&stage.weights),
            stage.note.into(),
            ending.into(),
            stage.reason.clone().unwrap_or_default(),
        ];
        let what: Vec<String> = what.into_iter().filter(|part| !part.is_empty()).collect();
        format!("{} UTC  {}\n", clock(stage.at), what.join("; "))
    };
    stages.iter().map(line).collect()
}

fn clock(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M:%S")
}
