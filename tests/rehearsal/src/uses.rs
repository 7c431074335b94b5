//! What the deployed roles are used for: noted call by call, and read from what was executed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};

use alb::{Answered, CallInfo, Service};
use anyhow::Result;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::execution::{Event, Execution};
use crate::ground::{ACCOUNT, BALANCER, Ground, NOTED_REQUESTS, SCHEDULED_APP};
use crate::local_aws::REGION;

/// Executions that are looked at side by side.
const AT_ONCE: usize = 8;

/// Something that was done with a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Who did it: a function by the name that it gives its SDK, anything else by its name in the template.
    pub who: String,
    /// Such as `elasticloadbalancing:ModifyRule`.
    pub action: String,
    /// What it was done to; `*` for an action that is allowed for all resources or for none.
    pub resource: String,
    /// What the request says of itself, by the keys that IAM's conditions ask for, such as `aws:TagKeys`.
    pub says: BTreeMap<String, BTreeSet<String>>,
}

impl Use {
    /// Something that says no more of itself.
    pub fn new(who: &str, action: &str, resource: impl Into<String>) -> Self {
        let (who, action) = (who.to_owned(), action.to_owned());
        Self { who, action, resource: resource.into(), says: BTreeMap::new() }
    }

    /// The same, saying this as well.
    #[must_use]
    pub fn saying(mut self, key: &str, values: impl IntoIterator<Item = String>) -> Self {
        let values: BTreeSet<String> = values.into_iter().collect();
        if !values.is_empty() {
            self.says.insert(key.to_owned(), values);
        }
        self
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} on {}", self.who, self.action, self.resource)?;
        self.says.iter().try_for_each(|(key, values)| write!(f, ", {key} {values:?}"))
    }
}

/// The calls of all functions so far, each kind once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    uses: Arc<Mutex<BTreeSet<Use>>>,
    /// The first request of each kind, as a line of JSON: they differ in more than their digits, of which
    /// times and ids are made.
    requests: Arc<Mutex<BTreeMap<String, String>>>,
    /// The same of what the balancer answered to anybody.
    answers: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Notes {
    /// Notes a call, if it is one of a function: nobody else names itself.
    pub(crate) fn note(&self, call: &CallInfo<'_>) {
        let Some(who) = call.application else { return };
        let service = match (call.service, call.action) {
            (Service::ElasticLoadBalancingV2, _) => "elasticloadbalancing",
            (Service::CloudWatch, _) => "cloudwatch",
            (Service::Other, "Publish") => "sns",
            (Service::Other, "PutEvents") => "events",
            (Service::Other, _) => "states",
        };
        let action = format!("{service}:{}", call.action);
        let tags: Vec<String> = values(call, "Tags.", ".Key").chain(values(call, "TagKeys.", "")).collect();
        let request = json!({ "service": service, "operation": call.action, "parameters": call.parameters })
            .to_string();
        self.requests.lock().expect("nobody panics with it").entry(kind(&request)).or_insert(request);
        let mut notes = self.uses.lock().expect("nobody panics with it");
        for resource in resources(call) {
            let used = Use::new(who, &action, resource).saying("aws:TagKeys", tags.clone());
            notes.insert(used.saying("events:source", sources(call)));
        }
    }
}

impl Notes {
    /// Notes an answer of the balancer.
    pub(crate) fn note_answer(&self, answer: &Answered<'_>) {
        let (service, body) = match answer.service {
            Service::CloudWatch => ("cloudwatch", hexadecimal(answer.body)),
            _ => ("elasticloadbalancing", String::from_utf8_lossy(answer.body).into_owned()),
        };
        // Names of elements and fields, and values of few letters: what else it holds is ids, names and numbers.
        let text = String::from_utf8_lossy(answer.body);
        let parts: BTreeSet<&str> = text
            .split(|c: char| !c.is_ascii_alphabetic() && c != '.')
            .filter(|part| part.starts_with(|c: char| c.is_ascii_uppercase()))
            .collect();
        let kind = format!("{service} {} {} {parts:?}", answer.action, answer.status);
        let mut answers = self.answers.lock().expect("nobody panics with it");
        answers.entry(kind).or_insert_with(|| {
            json!({ "service": service, "operation": answer.action, "status": answer.status, "body": body })
                .to_string()
        });
    }
}

/// What requests have in common that differ in nothing but their digits.
fn kind(request: &str) -> String {
    request.replace(|character: char| character.is_ascii_digit(), "0")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to memory does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a call is about, as far as its action can be allowed for that alone. That of an action which is
/// not known here is nothing that any policy allows.
fn resources(call: &CallInfo<'_>) -> Vec<String> {
    match call.action {
        "ModifyRule" => values(call, "RuleArn", "").map(deployed_for).collect(),
        "ModifyListener" => values(call, "ListenerArn", "").map(deployed_for).collect(),
        "AddTags" | "RemoveTags" => values(call, "ResourceArns.", "").map(deployed_for).collect(),
        "DescribeExecution" | "GetExecutionHistory" => {
            body(call)["executionArn"].as_str().map(Into::into).into_iter().collect()
        }
        "StartExecution" | "ListExecutions" | "DescribeStateMachine" => {
            body(call)["stateMachineArn"].as_str().map(Into::into).into_iter().collect()
        }
        "Publish" => values(call, "TopicArn", "").collect(),
        "PutEvents" => vec![format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default")],
        "DescribeTargetGroups"
        | "DescribeTargetGroupAttributes"
        | "DescribeTargetHealth"
        | "DescribeListeners"
        | "DescribeRules"
        | "DescribeTags"
        | "GetMetricData"
        | "DescribeAlarms" => vec!["*".into()],
        _ => vec![String::new()],
    }
}

/// Where events say they come from.
fn sources(call: &CallInfo<'_>) -> Vec<String> {
    let body = body(call);
    let entries = body["Entries"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["Source"].as_str().map(Into::into)).collect()
}

/// The request of a JSON protocol; null for any other.
fn body(call: &CallInfo<'_>) -> Value {
    values(call, "Body", "").find_map(|body| serde_json::from_str(&body).ok()).unwrap_or_default()
}

/// The parameters whose path begins and ends so.
fn values(call: &CallInfo<'_>, begins: &str, ends: &str) -> impl Iterator<Item = String> {
    let named =
        call.parameters.iter().filter(move |(path, _)| path.starts_with(begins) && path.ends_with(ends));
    named.map(|(_, value)| value.clone()).collect::<Vec<_>>().into_iter()
}

/// Every scenario has a balancer of its own, which stands for the one that the stack was deployed for.
fn deployed_for(arn: String) -> String {
    let Some((kind, (_, ids))) =
        arn.split_once("/app/").and_then(|(kind, rest)| Some((kind, rest.split_once('/')?)))
    else {
        return arn;
    };
    format!("{kind}/app/{BALANCER}/{ids}")
}

impl Ground {
    /// Everything that was done so far with the deployed roles, each kind once: by the functions, and
    /// by the services that act for the state machine, its schedule and its rule.
    ///
    /// # Errors
    /// If Step Functions does not answer.
    pub async fn uses(&self) -> Result<BTreeSet<Use>> {
        let mut uses = self.notes.uses.lock().expect("nobody panics with it").clone();
        let pages = self.sfn.list_executions().state_machine_arn(&self.state_machine_arn);
        let executions: Vec<_> = pages.into_paginator().items().send().collect::<Result<_, _>>().await?;
        let of_each = stream::iter(executions).map(|execution| self.uses_of(execution.execution_arn));
        let of_all: Vec<_> = of_each.buffer_unordered(AT_ONCE).try_collect().await?;
        uses.extend(of_all.into_iter().flatten());
        Ok(uses)
    }

    /// A request of each kind that the functions, the scripts and the AWS CLI have made so far, as a line of
    /// JSON for `check_requests.py`.
    ///
    /// # Panics
    /// If a note was cut short by a panic.
    pub fn requests(&self) -> Vec<String> {
        let mut requests = self.notes.requests.lock().expect("nobody panics with it").clone();
        // No script has run where there is none.
        let noted = std::fs::read_to_string(self.folder().join(NOTED_REQUESTS)).unwrap_or_default();
        for line in noted.lines() {
            requests.entry(kind(line)).or_insert_with(|| line.to_owned());
        }
        requests.into_values().collect()
    }

    /// An answer of each kind that the balancer has given so far, as a line of JSON for `check_answers.py`.
    ///
    /// # Panics
    /// If a note was cut short by a panic.
    pub fn answers(&self) -> Vec<String> {
        self.notes.answers.lock().expect("nobody panics with it").values().cloned().collect()
    }

    /// Who has started an execution, and which functions it has invoked.
    async fn uses_of(&self, execution: String) -> Result<BTreeSet<Use>> {
        let input = self.sfn.describe_execution().execution_arn(&execution).send().await?.input;
        let input: Value = serde_json::from_str(&input.unwrap_or_default())?;
        let mut uses = BTreeSet::new();
        let mut started_by =
            |who| uses.insert(Use::new(who, "states:StartExecution", &self.state_machine_arn));
        if input["app"] == SCHEDULED_APP && input["skipIfBlocked"] == true {
            started_by("BalanceBySchedule");
        }
        if input["operation"] == "restore" && input["execution"].is_string() {
            started_by("RestoreRule");
        }
        let history = self.sfn.get_execution_history().execution_arn(&execution);
        let history = history.max_results(1000).include_execution_data(false).into_paginator().items();
        let events: Vec<_> = history.send().collect::<Result<_, _>>().await?;
        let tasks = events.into_iter().filter_map(|event| event.task_scheduled_event_details);
        let (hooks, functions): (Vec<_>, Vec<_>) =
            tasks.map(|task| task.resource).partition(|resource| resource.ends_with(":::lambda:invoke"));
        let invoked = |function| Use::new("FailoverStateMachine", "lambda:InvokeFunction", function);
        uses.extend(functions.into_iter().map(invoked));
        if !hooks.is_empty() {
            uses.extend(self.hooks_of(execution).await?.into_iter().map(invoked));
        }
        Ok(uses)
    }

    /// The functions that an execution has called as hooks, as the state says when it is left.
    async fn hooks_of(&self, execution: String) -> Result<Vec<String>> {
        let mut execution = Execution::new(self.sfn.clone(), execution);
        let mut hooks = Vec::new();
        while let Some(event) = execution.next().await? {
            if let Event::Left(state, output) = event
                && matches!(state.as_str(), "CallBeforeRun" | "CallAfterStage")
            {
                hooks.extend(output["function"].as_str().map(str::to_owned));
            }
        }
        Ok(hooks)
    }
}
