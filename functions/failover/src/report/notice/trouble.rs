//! What the team is told where traffic is not where it belongs: a rollback that does not get through,
//! and a restore that could not begin.

use serde::Deserialize;
use serde_json::Value;

use super::end::{four_lines, subject};
use super::{Moment, Notice, Part, details, finish, went};
use crate::model::{Apps, Plan};
use crate::report::conclusion::conclude;
use crate::report::message::Tag;
use crate::run::why::why_in_words;
use crate::wire::{Ended, NoticeRequest};

/// The notice of a rollback that has failed for minutes, or that AWS refuses. `error` is the error output of its
/// last attempt.
pub(super) fn of_stuck(request: &NoticeRequest, plan: &Plan, error: &Value) -> Notice {
    let error = why_in_words(error);
    let right = missing_right(&error);
    let missing = right.map(|right| format!(", since the right {right} is missing")).unwrap_or_default();
    let why = format!(
        "the weights found at the start ({}) could not be put back so far{missing}. The last attempt failed: {error}. \
         The run goes on trying for two hours, and ends in RollBackFailed if that does not help.",
        plan.before_in_words(),
    );
    let mut steps =
        vec!["Put the weights back by hand; the run ends as rolled back once it finds them:".to_owned()];
    // Each on a line of its own, so that one that fails does not keep the others back.
    steps.extend(plan.routes.iter().map(|route| route.revert_command.clone()));
    if let Some(right) = right {
        steps.push(format!(
            "Then give the functions the right {right} again, which a policy, a permissions boundary or a service control \
             policy has taken from them: the run ends by itself once it has it."
        ));
    }
    let uncertain = "not certain: the routes may hold any stage of this run";
    let four = four_lines(uncertain, "perhaps harmed, until somebody looks", &why, &steps);
    let text = format!("{four}\n{}", details(request, Some(plan)));
    let told = format!("{} cannot be rolled back so far", plan.operation.word());
    let subject = subject(Tag::ActNow, plan, &told);
    let stages = request.progress.as_ref().map(went).unwrap_or_default();
    finish(
        request,
        Some(plan),
        Part { moment: Moment::Stuck, subject, text, weights: None, stages, outcome: None },
    )
}

/// The right that AWS says is missing, where it says so in the usual words: `User: arn:... is not authorized to
/// perform: elasticloadbalancing:ModifyRule on resource: ...`, as "Troubleshoot access denied error messages" of the
/// IAM guide has them. The balancer writes `... to perform 'describeUserPoolClient'` of the right that Cognito needs.
fn missing_right(error: &str) -> Option<&str> {
    let (_, said) = error.split_once("not authorized to perform")?;
    let said = said.trim_start_matches([':', ' ', '\'']);
    said.split(|c: char| !c.is_ascii_alphanumeric() && !":-".contains(c))
        .next()
        .filter(|right| !right.is_empty())
}

/// A restore that could not even begin leaves what the interrupted run had set.
pub(super) fn of_lost_restore(request: &NoticeRequest, ended: &Ended) -> Notice {
    let interrupted = request.input.get("execution").and_then(Value::as_str).unwrap_or("an earlier run");
    let app = request.input.get("app").and_then(|app| Apps::deserialize(app).ok());
    let app = app.map_or_else(|| "an app".into(), |app| app.to_string());
    let cause = conclude(None, None, &request.input, ended).cause;
    let why = format!("the restore of {interrupted} could not begin. {cause}");
    let steps = [
        "Look at the weights of the routes. When what WHY says is mended, start the state machine with"
            .to_owned(),
        format!("{{\"operation\": \"restore\", \"execution\": \"{interrupted}\"}}"),
    ];
    let uncertain = "not certain: the routes may hold any stage of the interrupted run";
    let four = four_lines(uncertain, "perhaps harmed, until somebody looks", &why, &steps);
    let text = format!("{four}\n{}", details(request, None));
    let subject = format!("[{}] {app}: a restore could not begin", Tag::ActNow.word());
    let (moment, stages) = (Moment::End, Vec::new());
    finish(request, None, Part { moment, subject, text, weights: None, stages, outcome: None })
}
