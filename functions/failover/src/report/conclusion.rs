//! How a run ended, in words, from what its states left behind: the definition makes no sentences.

use serde_json::{Value, json};

use crate::model::weights::split;
use crate::model::{Operation, Plan, Progress, RunEnding};
use crate::run::failure::{Said, said, sentence};
use crate::run::why::why_in_words;
use crate::wire::{Conclusion, Ended};

/// A cause holds 32,768 characters, which the error has to itself, or shares with the commands.
const ALONE: usize = 30_000;
const BESIDE_COMMANDS: usize = 5000;
const COMMANDS: usize = 25_000;

/// Puts the end of a run into words. `plan` is nothing where none could be made, `input` is that of the
/// execution, as given.
pub fn conclude(
    plan: Option<&Plan>,
    progress: Option<&Progress>,
    input: &Value,
    ended: &Ended,
) -> Conclusion {
    let cause = cause(plan, progress, ended);
    // A schedule that cannot run is no reason to page anybody: it says why in its output.
    if ended.ending == "PlanRejected" && input.get("skipIfBlocked") == Some(&Value::Bool(true)) {
        let mut output = json!({ "status": "unchanged", "summary": cause });
        for field in ["operation", "app"] {
            if let Some(value) = input.get(field) {
                output[field] = value.clone();
            }
        }
        return Conclusion { ending: "Unchanged".into(), cause, output, pages: false };
    }
    let operation = plan.map(|plan| plan.operation);
    Conclusion {
        ending: ended.ending.clone(),
        cause,
        output: json!(ended.outcome),
        pages: RunEnding::of(&ended.ending).is_some_and(|ending| ending.pages(operation))
            || plan.is_none() && is_restore(input),
    }
}

/// Whether an input asks for a restore, whatever else is wrong with it.
pub fn is_restore(input: &Value) -> bool {
    input.get("operation").is_some_and(|operation| operation == Operation::Restore.word())
}

fn cause(plan: Option<&Plan>, progress: Option<&Progress>, ended: &Ended) -> String {
    let (ending, why) = (ended.ending.as_str(), &ended.why);
    if let Some(back) = ended.rolled_back.as_ref().filter(|back| back.ending.name() == ending) {
        return back.cause.clone();
    }
    match (ending, plan) {
        ("Completed" | "Unchanged", _) => {
            ended.outcome.as_ref().map_or_else(|| ending.to_owned(), |outcome| sentence(&outcome.summary))
        }
        ("PlanRejected", _) => refused(plan, why),
        ("Halted", Some(plan)) => halted(plan, progress, why),
        ("RolesNotRecorded", Some(plan)) => not_recorded(plan, why),
        ("RollBackFailed", Some(plan)) => not_put_back(plan, why),
        _ => said(why, ALONE).text,
    }
}

/// Nothing was touched, or no weights were.
fn refused(plan: Option<&Plan>, why: &Value) -> String {
    let apps = plan.map(|plan| format!("{}: ", plan.app)).unwrap_or_default();
    if why.is_null() {
        return format!("{apps}the plan said neither to go on nor to stop. Nothing was touched.");
    }
    if why.get("hook").is_some() {
        return sentence(&format!("{apps}nothing was touched, since {}", why_in_words(why)));
    }
    if let Some(error) = why.get("claiming") {
        let Said { ours, text } = said(error, ALONE);
        return if ours { text } else { format!("{text} No weights were touched.") };
    }
    if let Some(error) = why.get("probing") {
        let Said { text, .. } = said(error, ALONE);
        return if text.contains("Nothing was touched") {
            text
        } else {
            let text = text.trim_end_matches('.');
            format!("{apps}the standby could not be probed ({text}). Nothing was touched.")
        };
    }
    let Said { ours, text } = said(why, ALONE);
    if ours { text } else { format!("{text} Nothing was touched.") }
}

fn halted(plan: &Plan, progress: Option<&Progress>, why: &Value) -> String {
    let last = progress.and_then(|progress| progress.timeline.last());
    let stand = last.map_or_else(|| plan.before_in_words(), |last| split(&last.weights));
    format!(
        "{}: {}. The weights stay as this run last set them: {stand}. Decide by hand: `failback`, `drain` or a new \
         `shift` start from here.",
        plan.app,
        why_in_words(why)
    )
}

fn not_recorded(plan: &Plan, why: &Value) -> String {
    let Said { ours, text } = said(why, ALONE);
    let what = if ours {
        text
    } else {
        format!("what follows from them could not be recorded: {text} The next run records it.")
    };
    format!(
        "{}: the weights of the last stage stand and proved healthy. Traffic is fine and nothing is rolled back, but \
         {what}",
        plan.app
    )
}

fn not_put_back(plan: &Plan, why: &Value) -> String {
    let commands = commands(plan);
    if let Some(error) = why.get("claiming") {
        let Said { ours, text } = said(error, BESIDE_COMMANDS);
        let untouched = if ours { "" } else { " No weights were touched." };
        return format!(
            "{text}{untouched} The weights that the interrupted run found are not back. Start a `restore`, or put \
             them back by hand:\n{commands}"
        );
    }
    let Said { text, .. } = said(why, BESIDE_COMMANDS);
    format!(
        "{}: the weights found at the start could not be put back, so the routes may hold any stage of this run. \
         {text} Put them back by hand:\n{commands}",
        plan.app
    )
}

/// Each on a line of its own, so that one that fails does not keep the others back.
fn commands(plan: &Plan) -> String {
    let all: Vec<&str> = plan.routes.iter().map(|route| route.revert_command.as_str()).collect();
    let text = all.join("\n");
    if text.chars().count() < COMMANDS {
        return text;
    }
    let first = all[..all.len().min(10)].join("\n");
    let rest = format!("all {} routes are the `revertCommand` in the result of PlanShift", all.len());
    format!("{}\n# And so on: those of {rest}.", first.chars().take(COMMANDS).collect::<String>())
}

#[cfg(test)]
mod tests;
