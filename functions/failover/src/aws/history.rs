//! What an execution had planned, from its own history: `PlanShift`'s result is the record of what it found.
//!
//! A history is shown in pages, and what has happened may not be in it yet. What is shown is the history from its
//! beginning without gaps, which is assumed: nothing says otherwise. So whoever sees its last event sees all.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Type, StateExitedEventDetails};

use super::error::{code, named};
use crate::error::{Error, Kind};
use crate::record::Record;

/// What an execution recorded; a sentence where it cannot be restored, and nothing where it made no plan at all.
///
/// # Errors
/// `AwsUnavailable` where the history does not show it yet; otherwise as AWS answers.
pub async fn record_of(client: &Client, execution: &str) -> Result<Option<Result<Record, String>>, Error> {
    let pages = client.get_execution_history().execution_arn(execution).include_execution_data(true);
    let mut events = pages.into_paginator().items().send();
    let mut last = None;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            // Step Functions forgets an execution after 90 days.
            Err(error) if code(&error) == Some("ExecutionDoesNotExist") => {
                return Ok(Some(Err("its history is gone; put the weights back by hand".into())));
            }
            Err(error) => return Err(named(&format!("reading the history of {execution}"), &error)),
        };
        // The first state is `PlanShift`, so the first function that succeeds is its.
        if let Some(answer) = event.lambda_function_succeeded_event_details() {
            return Ok(Record::parse(answer.output().unwrap_or_default()).transpose());
        }
        last = Some(event);
    }
    if last.as_ref().is_some_and(is_last) { Ok(None) } else { Err(unseen(execution)) }
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
    let mut events = pages.into_paginator().items().send();
    let (mut come, mut last) = (Come::Nowhere, None);
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| named(&format!("reading the history of {execution}"), &error))?;
        let left = match event.state_exited_event_details().map(StateExitedEventDetails::name) {
            Some("ClaimRoutes") => Come::Claimed,
            Some("SwapRoles") => Come::Swapped,
            Some("ReleaseRoutes") => Come::Released,
            _ => Come::Nowhere,
        };
        come = come.max(left);
        last = Some(event);
    }
    if last.as_ref().is_some_and(is_last) { Ok(come) } else { Err(unseen(execution)) }
}

fn is_last(event: &HistoryEvent) -> bool {
    use Type::{ExecutionAborted, ExecutionFailed, ExecutionSucceeded, ExecutionTimedOut};
    matches!(event.r#type(), ExecutionAborted | ExecutionFailed | ExecutionSucceeded | ExecutionTimedOut)
}

fn unseen(execution: &str) -> Error {
    let message = format!("The history of {execution} does not show yet what it had found");
    Error::new(Kind::AwsUnavailable, message)
}
