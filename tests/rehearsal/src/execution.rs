//! A run of the shipped state machine, followed state by state.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};
use failover::aws::history;
use serde_json::Value;
use tokio::time::sleep;

/// How often the history is read where somebody waits for what comes next.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// The same where only the end is waited for.
const LOOK_FOR_END_EVERY: Duration = Duration::from_millis(500);

/// A state that was entered or left.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A state was entered.
    Entered(String),
    /// A function has given this answer.
    Answered(Value),
    /// A state was left with this output.
    Left(String, Value),
}

/// How an execution ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Such as `SUCCEEDED` or `FAILED`.
    pub status: String,
    /// The name of the ending, for a failure.
    pub error: Option<String>,
    /// The sentence for people, for a failure.
    pub cause: Option<String>,
    /// The output, for a success; null otherwise.
    pub output: Value,
    /// The states in the order they were entered, with repeated polls of a stage written once.
    pub path: Vec<String>,
    /// Every verdict with its reason, poll by poll.
    pub verdicts: Vec<(String, String)>,
}

/// An execution that was started.
#[derive(Debug)]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    sfn: Client,
    /// The number of the newest event that was seen.
    seen: i64,
    /// Whether its last event was seen.
    over: bool,
    ahead: VecDeque<Event>,
    states: Vec<String>,
    verdicts: Vec<(String, String)>,
}

impl Execution {
    pub(crate) fn new(sfn: Client, arn: String) -> Self {
        Self {
            arn,
            sfn,
            seen: 0,
            over: false,
            ahead: VecDeque::new(),
            states: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// The next event; `None` once the execution is over and every event was seen.
    ///
    /// # Errors
    /// If Step Functions does not answer.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        self.next_looking(LOOK_EVERY).await
    }

    async fn next_looking(&mut self, every: Duration) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.ahead.pop_front() {
                self.remember(&event);
                return Ok(Some(event));
            }
            if self.over {
                return Ok(None);
            }
            let fresh = history::since(&self.sfn, &self.arn, self.seen).await;
            let fresh = fresh.map_err(|error| anyhow!(error.message))?;
            self.seen = fresh.last().map_or(self.seen, |newest| newest.id);
            self.over = fresh.iter().any(is_last);
            self.ahead.extend(fresh.iter().filter_map(event));
            if self.ahead.is_empty() && !self.over {
                sleep(every).await;
            }
        }
    }

    /// Follows the run until `wanted` says so of an event.
    ///
    /// # Errors
    /// If the run ends before.
    pub async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<Event> {
        while let Some(event) = self.next().await? {
            if wanted(&event) {
                return Ok(event);
            }
        }
        bail!("the execution ended before: {:?}", self.end().await?)
    }

    /// Follows the run until the weights of a stage stand, the first being 1.
    ///
    /// # Errors
    /// If the run ends before.
    pub async fn until_stage(&mut self, number: usize) -> Result<()> {
        for _ in 0..number {
            self.until(|event| matches!(event, Event::Left(state, _) if state == "SetWeights")).await?;
        }
        Ok(())
    }

    /// Follows the run to its end.
    ///
    /// # Errors
    /// If Step Functions does not answer.
    pub async fn finish(mut self) -> Result<Ended> {
        while self.next_looking(LOOK_FOR_END_EVERY).await?.is_some() {}
        self.end().await
    }

    /// Stops it, as somebody does in the console.
    ///
    /// # Errors
    /// If Step Functions does not answer.
    pub async fn stop(&self) -> Result<()> {
        self.sfn.stop_execution().execution_arn(&self.arn).send().await.context("cannot stop it").map(drop)
    }

    fn remember(&mut self, event: &Event) {
        match event {
            Event::Entered(state) => self.states.push(state.clone()),
            Event::Left(state, output) if matches!(&state[..], "CheckMetrics" | "ProbeApp") => {
                let text = |field: &str| output[field].as_str().unwrap_or_default().to_owned();
                self.verdicts.push((text("verdict"), text("reason")));
            }
            Event::Answered(_) | Event::Left(..) => {}
        }
    }

    /// Every event so far, with what went in and out.
    ///
    /// # Errors
    /// If Step Functions does not answer.
    pub async fn history(&self) -> Result<Vec<HistoryEvent>> {
        let pages = self.sfn.get_execution_history().execution_arn(&self.arn).include_execution_data(true);
        let events: Result<Vec<_>, _> = pages.into_paginator().items().send().collect().await;
        events.context("cannot read the history")
    }

    async fn end(&self) -> Result<Ended> {
        let describe = self.sfn.describe_execution().execution_arn(&self.arn);
        let end = describe.send().await.context("cannot describe it")?;
        Ok(Ended {
            status: end.status.as_str().to_owned(),
            error: end.error,
            cause: end.cause,
            output: end.output.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default(),
            path: without_repeated_polls(&self.states),
            verdicts: self.verdicts.clone(),
        })
    }
}

fn is_last(event: &HistoryEvent) -> bool {
    use HistoryEventType::{ExecutionAborted, ExecutionFailed, ExecutionSucceeded, ExecutionTimedOut};
    matches!(event.r#type, ExecutionAborted | ExecutionFailed | ExecutionSucceeded | ExecutionTimedOut)
}

fn event(event: &HistoryEvent) -> Option<Event> {
    if let Some(entered) = &event.state_entered_event_details {
        return Some(Event::Entered(entered.name.clone()));
    }
    if let Some(answer) = &event.task_succeeded_event_details {
        let answer = answer.output.as_deref().and_then(|text| serde_json::from_str(text).ok());
        return Some(Event::Answered(answer.unwrap_or_default()));
    }
    let left = event.state_exited_event_details.as_ref()?;
    let output = left.output.as_deref().and_then(|text| serde_json::from_str(text).ok());
    Some(Event::Left(left.name.clone(), output.unwrap_or_default()))
}

/// How often a stage is polled is a matter of time; that it is polled is a matter of the path.
fn without_repeated_polls(states: &[String]) -> Vec<String> {
    const POLL: [&str; 3] = ["Bake", "CheckMetrics", "IsHealthy"];
    let mut path: Vec<String> = Vec::new();
    for state in states {
        path.push(state.clone());
        if path.len() >= 6 && path[path.len() - 3..] == POLL && path[path.len() - 6..path.len() - 3] == POLL {
            path.truncate(path.len() - 3);
        }
    }
    path
}
