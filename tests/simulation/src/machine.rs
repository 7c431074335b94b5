//! Step Functions: carries out an execution of the definition in virtual time, with its retries, catchers,
//! time-outs and limits.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::definition::{Definition, Kind, Retrier, State, Task, Then};
use crate::history::History;
use crate::jsonata::{Engine, Variables};

/// What a state hands on at most, in bytes.
const MOST_BYTES: usize = 256 << 10;

/// Events that a history holds.
pub const MOST_EVENTS: usize = 25_000;

/// An error with its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub error: String,
    /// What a person reads; a function's is JSON.
    pub cause: String,
}

impl Failure {
    fn runtime(cause: impl Into<String>) -> Self {
        Self { error: "States.Runtime".to_owned(), cause: cause.into() }
    }
}

/// How an execution ended: its output, or why it failed.
pub type Ended = Result<Value, Failure>;

/// The answer of a function, as JSON.
pub type Answer = Pin<Box<dyn Future<Output = Result<String, Failure>>>>;

/// One execution.
pub struct Machine<'a> {
    /// What is carried out.
    pub definition: &'a Definition,
    /// Evaluates its expressions.
    pub engine: &'a Engine,
    /// Calls a function, by its ARN.
    pub invoke: &'a dyn Fn(&str, String) -> Answer,
    /// Where jitter comes from.
    pub rng: SmallRng,
    /// What happens is written here.
    pub history: History,
    /// The ARN of the execution, when it began, and what it was started with.
    pub context: Value,
    variables: Variables,
}

impl<'a> Machine<'a> {
    /// An execution that has not begun.
    pub fn new(
        definition: &'a Definition,
        engine: &'a Engine,
        invoke: &'a dyn Fn(&str, String) -> Answer,
        rng: SmallRng,
        history: History,
        (arn, started_at, input): (&str, &str, &Value),
    ) -> Self {
        let context = json!({ "Execution": { "Id": arn, "StartTime": started_at, "Input": input } });
        Self { definition, engine, invoke, rng, history, context, variables: Variables::new() }
    }

    /// A variable, where it is assigned.
    pub fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.get(name)
    }

    /// Runs to its end.
    pub async fn run(&mut self) -> Ended {
        let mut input = self.context["Execution"]["Input"].clone();
        self.history.event("ExecutionStarted", "", &input.to_string());
        let mut name = self.definition.start_at.clone();
        let ended = loop {
            match self.step(&name, input).await {
                Ok(Step::On(next, output)) => (name, input) = (next, output),
                Ok(Step::Ended(output)) => break Ok(output),
                Err(failure) => break Err(failure),
            }
            if self.history.events >= MOST_EVENTS {
                let cause = format!("the history of the execution holds {MOST_EVENTS} events");
                break Err(Failure { error: "States.HistoryLimit".to_owned(), cause });
            }
        };
        match &ended {
            Ok(output) => self.history.event("ExecutionSucceeded", "", &output.to_string()),
            Err(failure) => self.history.event("ExecutionFailed", &failure.error, &failure.cause),
        }
        ended
    }

    async fn step(&mut self, name: &str, input: Value) -> Result<Step, Failure> {
        let definition = self.definition;
        let State { kind, then } = definition
            .states
            .get(name)
            .ok_or_else(|| Failure::runtime(format!("there is no state {name}")))?;
        self.history.event("StateEntered", name, "");
        self.variables.insert("states".to_owned(), json!({ "input": input, "context": self.context }));
        let left = match kind {
            Kind::Task(task) => return self.task(name, task, then, input).await,
            Kind::Wait(seconds) => {
                let seconds = self.value(seconds)?;
                let seconds = seconds
                    .as_u64()
                    .ok_or_else(|| Failure::runtime(format!("{name} would wait for {seconds} seconds")))?;
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                then
            }
            Kind::Choice(rules) => {
                let mut chosen = then;
                for (condition, rule) in rules {
                    match self.value(condition)? {
                        Value::Bool(true) => {
                            chosen = rule;
                            break;
                        }
                        Value::Bool(false) => {}
                        other => return Err(Failure::runtime(format!("a condition of {name} is {other}"))),
                    }
                }
                chosen
            }
            Kind::Pass => then,
            Kind::Succeed => return Ok(Step::Ended(self.leave(then, input)?)),
            Kind::Fail { error, cause } => {
                let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                return Err(Failure { error: text(self.value(error)?), cause: text(self.value(cause)?) });
            }
        };
        self.history.event("StateExited", name, "");
        self.go(left, input)
    }

    async fn task(&mut self, name: &str, task: &Task, then: &Then, input: Value) -> Result<Step, Failure> {
        let payload = match &task.arguments {
            Some(arguments) => self.value(arguments)?,
            None => input,
        };
        let payload = payload.to_string();
        let mut used = vec![0; task.retry.len()];
        let failure = loop {
            let failure = match self.attempt(name, task, &payload).await {
                Ok(result) => {
                    self.state("result", result.clone());
                    self.history.event("StateExited", name, "");
                    return self.go(then, result);
                }
                Err(failure) => failure,
            };
            let retrier =
                task.retry.iter().position(|retrier| matches(&retrier.error_equals, &failure.error));
            match retrier {
                Some(index) if used[index] < task.retry[index].max_attempts => {
                    let delay = self.delay(&task.retry[index], used[index]);
                    used[index] += 1;
                    tokio::time::sleep(delay).await;
                }
                _ => break failure,
            }
        };
        let catcher = task.catch.iter().find(|(names, _)| matches(names, &failure.error));
        let Some((_, then)) = catcher else { return Err(failure) };
        let output = json!({ "Error": failure.error, "Cause": failure.cause });
        self.state("errorOutput", output.clone());
        self.history.event("StateExited", name, "");
        self.go(then, output)
    }

    async fn attempt(&mut self, name: &str, task: &Task, payload: &str) -> Result<Value, Failure> {
        if payload.len() > MOST_BYTES {
            return Err(too_large(name, payload.len()));
        }
        self.history.event("LambdaFunctionScheduled", name, "");
        self.history.event("LambdaFunctionStarted", name, "");
        let answer = (self.invoke)(&task.resource, payload.to_owned());
        let within = Duration::from_secs(task.timeout_seconds);
        let answer = tokio::time::timeout(within, answer)
            .await
            .unwrap_or_else(|_| Err(Failure { error: "States.Timeout".to_owned(), cause: String::new() }));
        match answer {
            Ok(text) if text.len() > MOST_BYTES => Err(too_large(name, text.len())),
            Ok(text) => {
                self.history.event("LambdaFunctionSucceeded", name, &text);
                serde_json::from_str(&text).map_err(|error| Failure::runtime(error.to_string()))
            }
            Err(failure) => {
                let said = format!("{}: {}", failure.error, failure.cause);
                self.history.event("LambdaFunctionFailed", name, &said);
                Err(failure)
            }
        }
    }

    /// Before a retry, `used` of which were made already.
    fn delay(&mut self, retrier: &Retrier, used: u32) -> Duration {
        let factor = retrier.backoff_rate.powi(i32::try_from(used).unwrap_or(i32::MAX));
        let seconds = (retrier.interval_seconds * factor).min(retrier.max_delay_seconds);
        let drawn = match retrier.jitter_strategy.as_deref() {
            Some("FULL") => self.rng.random_range(0.0..=seconds),
            _ => seconds,
        };
        Duration::from_secs_f64(drawn)
    }

    fn go(&mut self, then: &Then, output: Value) -> Result<Step, Failure> {
        let output = self.leave(then, output)?;
        let next = then.next.clone().ok_or_else(|| Failure::runtime("a state leads nowhere"))?;
        Ok(Step::On(next, output))
    }

    /// Both are evaluated before anything is assigned.
    fn leave(&mut self, then: &Then, output: Value) -> Result<Value, Failure> {
        let output = match &then.output {
            Some(template) => self.value(template)?,
            None => output,
        };
        if let Some(assign) = &then.assign
            && let Value::Object(assigned) = self.value(assign)?
        {
            self.variables.extend(assigned);
        }
        Ok(output)
    }

    fn value(&self, template: &crate::definition::Template) -> Result<Value, Failure> {
        template
            .evaluate(self.engine, &self.variables)
            .map_err(|cause| Failure { error: "States.QueryEvaluationError".to_owned(), cause })
    }

    fn state(&mut self, name: &str, value: Value) {
        if let Some(states) = self.variables.get_mut("states") {
            states[name] = value;
        }
    }
}

enum Step {
    On(String, Value),
    Ended(Value),
}

fn too_large(name: &str, bytes: usize) -> Failure {
    let cause = format!("{name} would hand on {bytes} bytes, more than {MOST_BYTES}");
    Failure { error: "States.DataLimitExceeded".to_owned(), cause }
}

/// Whether a retrier or catcher is for an error. `States.ALL` leaves out what no one may catch. The Step Functions guide
/// says so of `States.DataLimitExceeded` as well; recorded on AWS, `States.ALL` gets that one (localstack,
/// `test_states_errors`).
fn matches(names: &[String], error: &str) -> bool {
    names.iter().any(|name| match name.as_str() {
        "States.ALL" => error != "States.Runtime",
        "States.TaskFailed" => {
            !["States.Timeout", "States.DataLimitExceeded", "States.Runtime"].contains(&error)
        }
        name => name == error,
    })
}
