//! What an execution had planned, from its own history: `PlanShift`'s result is the record of what it found.
//!
//! A history is shown in pages, and what has happened may not be in it yet. What is shown is the history from its
//! beginning without gaps, which is assumed: nothing says otherwise. So whoever sees its last event sees all.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Type, StateExitedEventDetails};

use super::error::{code, named};
use crate::model::error::{Error, ErrorKind};
use crate::model::record::Record;

/// The result of `PlanShift` is among so many events, unless it was tried again.
const FIRST_EVENTS: i32 = 20;

/// A page holds so many at most.
const MOST_EVENTS: i32 = 1000;

/// What an execution recorded; a sentence where it cannot be restored, and nothing where it made no plan at all.
///
/// # Errors
/// `AwsUnavailable` where the history does not show it yet; otherwise as AWS answers.
pub async fn record_of(client: &Client, execution: &str) -> Result<Option<Result<Record, String>>, Error> {
    let pages = client.get_execution_history().execution_arn(execution).include_execution_data(true);
    let mut events = pages.into_paginator().page_size(FIRST_EVENTS).items().send();
    let mut over = false;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            // Step Functions forgets an execution after 90 days.
            Err(error) if code(&error) == Some("ExecutionDoesNotExist") => {
                return Ok(Some(Err("its history is gone".into())));
            }
            Err(error) => return Err(named(&format!("reading the history of {execution}"), &error)),
        };
        // The first state is `PlanShift`, so the first function that succeeds is its.
        // AWS names the task of a function after it; others name every task alike.
        let of_function = event.lambda_function_succeeded_event_details().and_then(|task| task.output());
        let of_task = event.task_succeeded_event_details().and_then(|task| task.output());
        if let Some(answer) = of_function.or(of_task) {
            return Ok(Record::parse(answer).transpose());
        }
        over |= ends(&event);
    }
    if over { Ok(None) } else { Err(unseen(execution)) }
}

/// The events of an execution after the one of this number, oldest first, with what goes in and out of states. Most
/// looks find none, so the number of the newest is asked for alone: a page of history is a lot to answer.
///
/// # Errors
/// As AWS answers.
pub async fn since(client: &Client, execution: &str, seen: i64) -> Result<Vec<HistoryEvent>, Error> {
    let history = || client.get_execution_history().execution_arn(execution).reverse_order(true);
    let newest = history().include_execution_data(false).max_results(1).send().await;
    let newest = newest.map_err(|error| named(&format!("reading the history of {execution}"), &error))?;
    let newest = newest.events().first().map_or(0, |event| event.id);
    let Some(count) = i32::try_from(newest - seen).ok().filter(|count| *count > 0) else {
        return Ok(Vec::new());
    };
    let page = history().include_execution_data(true).max_results(count.min(MOST_EVENTS));
    let mut events = page.into_paginator().items().send();
    let mut fresh = Vec::new();
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| named(&format!("reading the history of {execution}"), &error))?;
        if event.id <= seen {
            break;
        }
        fresh.push(event);
    }
    fresh.reverse();
    Ok(fresh)
}

/// How far an execution has come, by the states that it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Come {
    /// It has claimed nothing.
    Nowhere,
    /// `ClaimRoutes` is over.
    Claimed,
    /// `SwapRoles` is over.
    Swapped,
    /// `ReleaseRoutes` is over.
    Released,
}

/// How far an interrupted execution had come, by the whole of its history.
///
/// # Errors
/// As [`record_of`].
pub async fn come(client: &Client, execution: &str) -> Result<Come, Error> {
    let pages = client.get_execution_history().execution_arn(execution).include_execution_data(false);
    let mut events = pages.into_paginator().page_size(MOST_EVENTS).items().send();
    let (mut come, mut over) = (Come::Nowhere, false);
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| named(&format!("reading the history of {execution}"), &error))?;
        let left = match event.state_exited_event_details().map(StateExitedEventDetails::name) {
            Some("ClaimRoutes") => Come::Claimed,
            Some("SwapRoles") => Come::Swapped,
            // One that was refused comes there as well.
            Some("ReleaseRoutes") if come >= Come::Claimed => Come::Released,
            _ => Come::Nowhere,
        };
        come = come.max(left);
        over |= ends(&event);
    }
    if over { Ok(come) } else { Err(unseen(execution)) }
}

fn ends(event: &HistoryEvent) -> bool {
    use Type::{ExecutionAborted, ExecutionFailed, ExecutionSucceeded, ExecutionTimedOut};
    matches!(event.r#type(), ExecutionAborted | ExecutionFailed | ExecutionSucceeded | ExecutionTimedOut)
}

fn unseen(execution: &str) -> Error {
    let message = format!("The history of {execution} does not show yet what it had found");
    Error::new(ErrorKind::AwsUnavailable, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::fake::histories;

    fn run<Answer>(future: impl Future<Output = Answer>) -> Answer {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn event(id: usize, kind: &str, (name, details): (&str, &Value)) -> Value {
        json!({ "id": id, "type": kind, "timestamp": 1_795_000_000, name: details })
    }

    fn left(id: usize, state: &str) -> Value {
        event(id, "TaskStateExited", ("stateExitedEventDetails", &json!({ "name": state })))
    }

    fn aborted(id: usize) -> Value {
        event(id, "ExecutionAborted", ("executionAbortedEventDetails", &json!({})))
    }

    #[test]
    fn a_plan_is_found_on_whichever_page_it_is() {
        let entered =
            event(1, "TaskStateEntered", ("stateEnteredEventDetails", &json!({ "name": "PlanShift" })));
        let plan = json!({ "plan": { "version": 1, "live": "prod1", "standby": "prod2", "apps": [], "routes": [], "mayWrite": [] } });
        let output = json!({ "output": plan.to_string() });
        // As AWS says so, and as others do.
        for (kind, details) in [
            ("LambdaFunctionSucceeded", "lambdaFunctionSucceededEventDetails"),
            ("TaskSucceeded", "taskSucceededEventDetails"),
        ] {
            let events = [entered.clone(), event(2, kind, (details, &output)), aborted(3)];
            let record = run(record_of(&histories("ABORTED", &events), "arn:execution"));
            assert_eq!(record.unwrap().unwrap().unwrap().live, "prod1");
        }
    }

    #[test]
    fn a_history_that_does_not_show_its_end_yet_says_nothing_of_what_it_does_not_show() {
        let shown = [left(1, "IsWorkPlanned")];
        for shown in [&shown[..], &[]] {
            let client = histories("ABORTED", shown);
            let unseen = [
                run(record_of(&client, "arn:execution")).unwrap_err(),
                run(come(&client, "arn:execution")).unwrap_err(),
            ];
            assert!(unseen.iter().all(|error| error.kind == ErrorKind::AwsUnavailable), "{unseen:?}");
        }
        let client = histories("ABORTED", &[left(1, "IsWorkPlanned"), aborted(2)]);
        assert!(run(record_of(&client, "arn:execution")).unwrap().is_none());
    }

    #[test]
    fn how_far_an_execution_came_is_told_by_the_states_that_it_left() {
        let states =
            ["PlanShift", "ClaimRoutes", "SetWeights", "SwapRoles", "ReleaseRoutes", "SendEndNotice"];
        let come_of = |count: usize| {
            let left = states[..count].iter().enumerate().map(|(id, state)| left(id + 1, state));
            let events: Vec<Value> = left.chain([aborted(99)]).collect();
            run(come(&histories("ABORTED", &events), "arn:execution")).unwrap()
        };
        let come: Vec<Come> = (0..=states.len()).map(come_of).collect();
        let expected = [
            Come::Nowhere,
            Come::Nowhere,
            Come::Claimed,
            Come::Claimed,
            Come::Swapped,
            Come::Released,
            Come::Released,
        ];
        assert_eq!(come, expected);
    }
}
