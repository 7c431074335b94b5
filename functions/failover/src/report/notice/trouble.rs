//! What the team is told where traffic is not where it belongs: a rollback that does not get through,
//! and a restore that could not begin.

use serde::Deserialize;
use serde_json::Value;

use super::subject::whom;
use super::{Moment, Notice, Part, details, finish, went};
use crate::model::{Apps, Plan};
use crate::report::conclusion::conclude;
use crate::run::why::why_in_words;
use crate::wire::{Ended, NoticeRequest};

/// The notice of a rollback that has failed for minutes. `error` is the error output of its last
/// attempt.
pub(super) fn of_stuck(request: &NoticeRequest, plan: &Plan, error: &Value) -> Notice {
    // Each on a line of its own, so that one that fails does not keep the others back.
    let commands: Vec<&str> = plan.routes.iter().map(|route| route.put_back.as_str()).collect();
    let text = format!(
        "Somebody must look at this now: {}: the weights found at the start ({}) could not be put back so far, so the \
         routes may hold any stage of this run. The last attempt failed: {}.\n\nThe run goes on trying for two hours, \
         and ends in RollBackFailed if that does not help. These commands put the weights back by hand, and the run \
         ends as rolled back once it finds them:\n{}\n\n{}",
        plan.app,
        plan.before_in_words(),
        why_in_words(error),
        commands.join("\n"),
        details(request, Some(plan))
    );
    let subject = format!("{}: LOOK NOW, {} cannot be rolled back so far", whom(plan), plan.operation.word());
    let stages = request.progress.as_ref().map(went).unwrap_or_default();
    finish(
        request,
        Some(plan),
        Part { moment: Moment::Stuck, subject, text, weights: None, stages, outcome: None },
    )
}

/// A restore that could not even begin leaves what the interrupted run had set.
pub(super) fn of_lost_restore(request: &NoticeRequest, ended: &Ended) -> Notice {
    let interrupted = request.input.get("execution").and_then(Value::as_str).unwrap_or("an earlier run");
    let app = request.input.get("app").and_then(|app| Apps::deserialize(app).ok());
    let app = app.map_or_else(|| "an app".into(), |app| app.to_string());
    let cause = conclude(None, None, &request.input, ended).cause;
    let text = format!(
        "Somebody must look at this now: the restore of {interrupted} could not begin, so the routes may hold any stage \
         of that run.\n\n{cause}\n\nLook at the weights of the routes; when the reason above is mended, start \
         {{\"operation\": \"restore\", \"execution\": \"{interrupted}\"}}.\n\n{}",
        details(request, None)
    );
    let subject = format!("{app}: LOOK NOW, a restore could not begin");
    let (moment, stages) = (Moment::End, Vec::new());
    finish(request, None, Part { moment, subject, text, weights: None, stages, outcome: None })
}
