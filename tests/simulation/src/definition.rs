//! The definition that ships, read from its file, with its expressions compiled.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::jsonata::{Engine, Expression, Variables};

/// A state machine.
#[derive(Debug)]
pub struct Definition {
    /// Its first state.
    pub start_at: String,
    /// All of its states by name.
    pub states: BTreeMap<String, State>,
}

/// One state.
#[derive(Debug)]
pub struct State {
    /// What kind of state it is, with what only that kind has.
    pub kind: Kind,
    /// What is assigned when it is left, other than by a rule or a catcher.
    pub then: Then,
}

/// What follows a state, a rule or a catcher.
#[derive(Debug, Default)]
pub struct Then {
    /// Variables.
    pub assign: Option<Template>,
    /// The input of the next state.
    pub output: Option<Template>,
    /// The next state; none at an ending.
    pub next: Option<String>,
}

/// The kinds of states that the definition uses.
#[derive(Debug)]
pub enum Kind {
    /// Calls a function.
    Task(Task),
    /// Waits for so many seconds.
    Wait(Template),
    /// Follows the first rule whose condition holds, or else what follows the state.
    Choice(Vec<(Template, Then)>),
    /// Hands on its input.
    Pass,
    /// Ends well.
    Succeed,
    /// Ends badly.
    Fail {
        /// The name of the error.
        error: Template,
        /// Its cause.
        cause: Template,
    },
}

/// A call of a function.
#[derive(Debug)]
pub struct Task {
    /// The ARN of the function, or of an integration.
    pub resource: String,
    /// How long its answer is waited for.
    pub timeout_seconds: u64,
    /// What it is sent; the state's input where nothing is said.
    pub arguments: Option<Template>,
    /// What is tried again.
    pub retry: Vec<Retrier>,
    /// What leads elsewhere.
    pub catch: Vec<(Vec<String>, Then)>,
}

/// How some errors are retried.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Retrier {
    /// Names of errors.
    pub error_equals: Vec<String>,
    /// Before the first retry.
    #[serde(default = "one")]
    pub interval_seconds: f64,
    /// Retries, without the first attempt.
    #[serde(default = "three")]
    pub max_attempts: u32,
    /// By what each delay is longer than the one before.
    #[serde(default = "two")]
    pub backoff_rate: f64,
    /// No delay is longer.
    #[serde(default = "endless")]
    pub max_delay_seconds: f64,
    /// `FULL` draws each delay between nothing and its length.
    #[serde(default)]
    pub jitter_strategy: Option<String>,
}

fn one() -> f64 {
    1.0
}
fn two() -> f64 {
    2.0
}
fn three() -> u32 {
    3
}
fn endless() -> f64 {
    f64::INFINITY
}

/// Values with expressions in them.
#[derive(Debug)]
pub enum Template {
    /// As it stands.
    Literal(Value),
    /// `{% ... %}`.
    Expression(Expression, String),
    /// With a template for each field.
    Object(Vec<(String, Template)>),
    /// With a template for each entry.
    List(Vec<Template>),
}

impl Template {
    /// The value, or what Step Functions says where there is none.
    ///
    /// # Errors
    /// Where an expression throws, or gives nothing.
    pub fn evaluate(&self, engine: &Engine, variables: &Variables) -> Result<Value, String> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Expression(expression, source) => engine
                .evaluate(expression, variables)
                .map_err(|error| format!("{error} in {source}"))?
                .ok_or_else(|| format!("nothing comes of {source}"))?,
            Self::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, field)| Ok((name.clone(), field.evaluate(engine, variables)?)))
                    .collect::<Result<_, String>>()?,
            ),
            Self::List(entries) => Value::Array(
                entries.iter().map(|entry| entry.evaluate(engine, variables)).collect::<Result<_, _>>()?,
            ),
        })
    }
}

impl Definition {
    /// Reads the definition, with these texts in place of `${NAME}`.
    ///
    /// # Errors
    /// Where it uses what is not provided for here.
    pub fn read(file: &Path, substitutions: &[(&str, &str)], engine: &Engine) -> Result<Self, String> {
        let mut text =
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        for (name, value) in substitutions {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        let whole: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let start_at = whole["StartAt"].as_str().unwrap_or_default().to_owned();
        let states = whole["States"].as_object().ok_or("no States")?.iter();
        let states = states
            .map(|(name, raw)| {
                let state = state(raw, engine).map_err(|error| format!("{name}: {error}"))?;
                Ok((name.clone(), state))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { start_at, states })
    }
}

/// Every field that a state of the definition may have.
const FIELDS: [&str; 17] = [
    "Comment",
    "Type",
    "Resource",
    "TimeoutSeconds",
    "Arguments",
    "Assign",
    "Output",
    "Retry",
    "Catch",
    "Next",
    "Choices",
    "Default",
    "Seconds",
    "Error",
    "Cause",
    "End",
    "Condition",
];

fn state(raw: &Value, engine: &Engine) -> Result<State, String> {
    let fields = raw.as_object().ok_or("no object")?;
    if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(format!("{unknown} is not provided for"));
    }
    let template = |name: &str| match &raw[name] {
        Value::Null => Err(format!("no {name}")),
        value => compile(value, engine),
    };
    let kind = match raw["Type"].as_str().unwrap_or_default() {
        "Task" => Kind::Task(task(raw, engine)?),
        "Wait" => Kind::Wait(template("Seconds")?),
        "Choice" => Kind::Choice(
            raw["Choices"]
                .as_array()
                .ok_or("no Choices")?
                .iter()
                .map(|rule| Ok((compile(&rule["Condition"], engine)?, then(rule, "Next", engine)?)))
                .collect::<Result<_, String>>()?,
        ),
        "Pass" => Kind::Pass,
        "Succeed" => Kind::Succeed,
        "Fail" => Kind::Fail { error: template("Error")?, cause: template("Cause")? },
        other => return Err(format!("a {other} is not provided for")),
    };
    let next = if matches!(kind, Kind::Choice(_)) { "Default" } else { "Next" };
    Ok(State { kind, then: then(raw, next, engine)? })
}

fn task(raw: &Value, engine: &Engine) -> Result<Task, String> {
    let retry: Vec<Retrier> = match &raw["Retry"] {
        Value::Null => Vec::new(),
        retry => Vec::deserialize(retry).map_err(|error| error.to_string())?,
    };
    let catch = raw["Catch"].as_array().into_iter().flatten().map(|catcher| {
        let names = Vec::deserialize(&catcher["ErrorEquals"]).map_err(|error| error.to_string())?;
        Ok((names, then(catcher, "Next", engine)?))
    });
    Ok(Task {
        resource: raw["Resource"].as_str().ok_or("no Resource")?.to_owned(),
        timeout_seconds: raw["TimeoutSeconds"].as_u64().ok_or("no TimeoutSeconds")?,
        arguments: raw.get("Arguments").map(|value| compile(value, engine)).transpose()?,
        retry,
        catch: catch.collect::<Result<_, String>>()?,
    })
}

fn then(raw: &Value, next: &str, engine: &Engine) -> Result<Then, String> {
    let template = |name: &str| raw.get(name).map(|value| compile(value, engine)).transpose();
    let next = raw[next].as_str().map(str::to_owned);
    Ok(Then { assign: template("Assign")?, output: template("Output")?, next })
}

fn compile(value: &Value, engine: &Engine) -> Result<Template, String> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}")) {
            Some(source) => {
                let expression = engine.compile(source).map_err(|error| format!("{error} in {source}"))?;
                Template::Expression(expression, source.trim().to_owned())
            }
            None => Template::Literal(value.clone()),
        },
        Value::Object(fields) => Template::Object(
            fields
                .iter()
                .map(|(name, field)| Ok((name.clone(), compile(field, engine)?)))
                .collect::<Result<_, String>>()?,
        ),
        Value::Array(entries) => {
            Template::List(entries.iter().map(|entry| compile(entry, engine)).collect::<Result<_, _>>()?)
        }
        _ => Template::Literal(value.clone()),
    })
}
