//! The notice at the end of a run, which begins with its four lines.

use jiff::Timestamp;

use super::commands::command;
use super::subject::{achieved, gone_back, whom};
use super::{Moment, Notice, Part, clock, details, finish, lines, went};
use crate::duration::Seconds;
use crate::model::Plan;
use crate::model::weights::split;
use crate::report::conclusion::conclude;
use crate::report::message::{End, Tag};
use crate::wire::{Ended, NoticeRequest, Outcome};

pub(super) fn of_end(request: &NoticeRequest, plan: &Plan, ended: &Ended, now: Timestamp) -> Notice {
    let verb = plan.operation.word();
    let outcome = ended.outcome.as_ref().filter(|_| ended.ending == "Completed");
    let end = End {
        operation: Some(plan.operation),
        ending: &ended.ending,
        outcome,
        plan: Some(plan),
        moved: !plan.routes.is_empty(),
        figures: ended.figures.as_ref(),
    };
    let told = match (outcome, ended.ending.as_str()) {
        (Some(outcome), _) => achieved(outcome),
        (None, "RolledBack") => format!("{verb} rolled back{}", gone_back(plan)),
        (None, ending) => format!("{verb} ended in {ending}"),
    };
    let subject = subject(end.tag(), plan, &told);
    let why = match outcome {
        Some(outcome) => format!("{}.", outcome.summary),
        None => conclude(Some(plan), request.progress.as_ref(), &request.input, ended).cause,
    };
    let steps = end.steps(&|word| command(request, plan, word));
    let traffic = match &ended.traffic {
        Some(held) => format!("{held}, as the balancer says"),
        None => traffic(request, plan, &ended.ending, outcome),
    };
    let four = four_lines(&traffic, &end.users(), &why, &steps);
    let stages = request.progress.as_ref().map(went).unwrap_or_default();
    let went = if stages.is_empty() { String::new() } else { format!("{}\n", lines(&stages)) };
    let took = now.as_second().saturating_sub(plan.execution.started_at.as_second());
    let took = Seconds(u32::try_from(took).unwrap_or(0));
    let text =
        format!("{four}\n{went}Took {took}, over at {} UTC.\n{}", clock(now), details(request, Some(plan)));
    let weights = match (outcome, ended.ending.as_str()) {
        (Some(outcome), _) => outcome.weights.clone(),
        (None, "RolledBack") => plan.before(),
        _ => None,
    };
    finish(request, Some(plan), Part { moment: Moment::End, subject, text, weights, stages, outcome })
}

/// A subject: how urgent it is, whom it is about, and what is told.
pub(super) fn subject(tag: Tag, plan: &Plan, told: &str) -> String {
    format!("[{}] {}: {told}", tag.word(), whom(plan))
}

/// What the traffic is now, as far as the ending makes it certain, where the balancer was not asked.
fn traffic(request: &NoticeRequest, plan: &Plan, ending: &str, outcome: Option<&Outcome>) -> String {
    let last = || request.progress.as_ref().and_then(|progress| progress.timeline.last());
    let stands = || last().map(|record| split(&record.weights));
    match ending {
        "Completed" => {
            let weights = outcome.and_then(|outcome| outcome.weights.as_ref());
            format!("{}, read back", weights.map_or_else(|| plan.before_in_words(), split))
        }
        "RolledBack" => format!("{}, read back", plan.before_in_words()),
        "FailedOver" => "all on the fleet that has healthy targets; WHY says which".into(),
        "RolesNotRecorded" => stands().unwrap_or_else(|| plan.before_in_words()),
        "Halted" => stands().map_or_else(
            || "as the run before had left it; WHY says more".into(),
            |stands| format!("{stands}, as this run had set it last"),
        ),
        "ExternalChange" => "whatever somebody else has set; it is left alone".into(),
        _ => "not certain: the routes may hold any stage of this run".into(),
    }
}

/// The four lines, each behind its label; what is told in several lines stays so.
pub(super) fn four_lines(traffic: &str, users: &str, why: &str, steps: &[String]) -> String {
    let steps = steps.join("\n          ");
    format!("TRAFFIC   {traffic}\nUSERS     {users}\nWHY       {why}\nDO        {steps}\n")
}
