//! What happened in a run, as text: the same seed gives the same bytes.

use std::fmt::Write as _;

use clock::Instant;
use serde_json::{Value, json};

/// A history that is being written.
#[derive(Debug)]
pub struct History {
    began: Instant,
    /// Events of the current execution, as Step Functions counts them.
    pub events: usize,
    /// Names of states in their order, the same one in a row only once.
    pub path: Vec<String>,
    /// A line for every event.
    pub text: String,
    /// What `GetExecutionHistory` shows of the execution, as far as functions of ours read it.
    shown: Vec<Value>,
}

impl Default for History {
    fn default() -> Self {
        Self { began: Instant::now(), events: 0, path: Vec::new(), text: String::new(), shown: Vec::new() }
    }
}

impl History {
    /// One event of the execution.
    pub fn event(&mut self, kind: &str, subject: &str, detail: &str) {
        self.events = if kind == "ExecutionStarted" { 1 } else { self.events + 1 };
        if kind == "StateEntered" && self.path.last().is_none_or(|last| last != subject) {
            self.path.push(subject.to_owned());
        }
        match kind {
            "StateExited" => {
                self.show("TaskStateExited", "stateExitedEventDetails", &json!({ "name": subject }));
            }
            "LambdaFunctionSucceeded" => {
                self.show(kind, "lambdaFunctionSucceededEventDetails", &json!({ "output": detail }));
            }
            _ => {}
        }
        self.line(kind, subject, detail);
    }

    fn show(&mut self, kind: &str, details: &str, value: &Value) {
        let id = self.shown.len() + 1;
        let at = clock::now().as_second();
        self.shown.push(json!({ "id": id, "type": kind, "timestamp": at, details: value }));
    }

    /// What is shown of the execution, which has ended like this; another one may follow.
    pub fn over(&mut self, ending: &str) -> Vec<Value> {
        self.show(ending, "executionAbortedEventDetails", &json!({}));
        std::mem::take(&mut self.shown)
    }

    /// Something that no history of an execution shows.
    pub fn line(&mut self, kind: &str, subject: &str, detail: &str) {
        let millis = self.began.elapsed().as_millis();
        let _ = writeln!(self.text, "{millis:>9} {kind} {subject} {detail}");
    }
}
