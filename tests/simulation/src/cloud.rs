//! AWS in memory: the local balancer's API, and what the functions use of Step Functions and `EventBridge`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alb::{Alb, ConnectionReset};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use jiff::Timestamp;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::draw::{between, chance};
use crate::faults::Faults;
use crate::lie::{self, Lie};
use crate::plot::Plot;
use crate::seen::Watched;
use crate::site::Site;
use crate::world::{World, lock};

/// What changes something.
const WRITES: [&str; 4] = ["ModifyRule", "ModifyListener", "AddTags", "RemoveTags"];

/// What Step Functions knows of an execution.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Such as `RUNNING`.
    pub status: &'static str,
    /// What it was started with.
    pub input: Value,
    /// When it began.
    pub began: Timestamp,
    /// When it ended, if it did.
    pub ended: Option<Timestamp>,
    /// The name of the error with which it failed.
    pub error: Option<String>,
    /// What is shown of its history once it is over.
    pub history: Vec<Value>,
}

/// What both fleets of an app got from a moment on.
#[derive(Clone, Debug)]
pub struct Change {
    /// The app.
    pub app: usize,
    /// Seconds after the start of the run.
    pub at: f64,
    /// Of all requests, by fleet.
    pub shares: [f64; 2],
    /// Healthy targets at that moment, as the balancer shows them.
    pub healthy: [u32; 2],
}

/// AWS, around one world.
pub struct Cloud {
    /// The balancer.
    pub alb: Alb,
    /// What was drawn.
    pub plot: Plot,
    /// The load of each app.
    pub worlds: Vec<Arc<Mutex<World>>>,
    /// What was built.
    pub site: Site,
    /// Executions by their ARN.
    pub executions: Mutex<BTreeMap<String, Execution>>,
    /// Events that were put on the bus.
    pub notices: Mutex<Vec<Value>>,
    /// Every change of what the fleets get.
    pub changes: Mutex<Vec<Change>>,
    /// How many writes are left until somebody is told, and who.
    pub watched: Mutex<Option<(usize, Arc<Notify>)>>,
    /// Calls that fail on purpose.
    pub(crate) faults: Arc<Faults>,
    /// The ARN that a route has by now that somebody deleted; none where it was not made anew.
    pub(crate) moved: Mutex<BTreeMap<String, Option<String>>>,
    /// How often the execution that goes on has set weights.
    pub(crate) stages: watch::Sender<usize>,
    /// The weights that a function has asked for last.
    pub(crate) written: Mutex<Option<[u32; 2]>>,
    pub(crate) rng: Mutex<SmallRng>,
    pub(crate) seen: Mutex<Watched>,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").finish_non_exhaustive()
    }
}

impl Cloud {
    /// Lets the world go on until now.
    pub fn meanwhile(&self) {
        let now = clock::now();
        let seconds = now.as_second() as f64 + f64::from(now.subsec_nanosecond()) * 1e-9;
        for (world, app) in self.worlds.iter().zip(&self.site.apps) {
            let changed = {
                let mut world = lock(world);
                world.advance(seconds);
                world.fleets.each_mut().map(|fleet| {
                    let changed = Some(fleet.unhealthy).filter(|now| fleet.shown != Some(*now));
                    fleet.shown = Some(fleet.unhealthy);
                    changed
                })
            };
            for (fleet, unhealthy) in changed.into_iter().enumerate() {
                for (number, target) in (0..).zip(&app.targets[fleet]) {
                    if let Some(unhealthy) = unhealthy {
                        self.alb.set_health(&app.groups[fleet], *target, number >= unhealthy);
                    }
                }
            }
        }
    }

    /// The routes of an app that there are now.
    pub fn standing(&self, app: usize) -> Vec<String> {
        let moved = lock(&self.moved);
        let now = |route: &String| moved.get(route).cloned().unwrap_or_else(|| Some(route.clone()));
        self.site.apps[app].routes.iter().filter_map(now).collect()
    }

    /// What the fleets of an app get now, by its rules.
    fn shares_of(&self, app: usize) -> [f64; 2] {
        let (mut shares, standing) = ([0.0; 2], self.standing(app));
        let app = &self.site.apps[app];
        for route in &standing {
            let weights = self.alb.weights(route);
            let sum: u32 = weights.iter().map(|(_, weight)| weight).sum();
            for (group, weight) in weights {
                if let Some(fleet) = app.groups.iter().position(|known| *known == group) {
                    shares[fleet] += f64::from(weight) / f64::from(sum.max(1)) / standing.len() as f64;
                }
            }
        }
        shares
    }

    /// What the fleets of each app get now, by its rules.
    pub fn shares(&self) -> Vec<[f64; 2]> {
        (0..self.site.apps.len()).map(|app| self.shares_of(app)).collect()
    }

    /// Looks what the fleets get now.
    pub fn look(&self) {
        for (app, world) in self.worlds.iter().enumerate() {
            let (shares, mut world) = (self.shares_of(app), lock(world));
            if world.shares.iter().zip(shares).any(|(known, now)| (known - now).abs() > 1e-9) {
                world.shares = shares;
                let healthy =
                    world.fleets.each_ref().map(|fleet| fleet.targets - fleet.unhealthy.min(fleet.targets));
                lock(&self.changes).push(Change { app, at: world.now - world.began, shares, healthy });
            }
        }
    }

    /// Tells whoever waits for a write.
    fn tell(&self, action: &str) {
        let mut watched = lock(&self.watched);
        if let Some((left, told)) = watched.as_mut().filter(|_| WRITES.contains(&action)) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                told.notify_one();
                *watched = None;
            }
        }
    }

    async fn answer(self: Arc<Self>, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let (usual, trouble) = self.plot.control_plane;
        let latency = {
            let mut rng = lock(&self.rng);
            let outlier = if chance(&mut rng, trouble) { 8.0 } else { 1.0 };
            usual * outlier * between(&mut rng, 0.5, 1.5)
        };
        let body = Bytes::copy_from_slice(request.body().bytes().unwrap_or_default());
        let action = action(&body);
        self.tell(action);
        tokio::time::sleep(Duration::from_secs_f64(latency / 2.0)).await;
        self.meanwhile();
        let mut whole = http::Request::builder().method(request.method()).uri(path(request.uri()));
        for (name, value) in request.headers() {
            whole = whole.header(name, value);
        }
        let whole = whole.body(body.clone()).map_err(|error| ConnectorError::user(error.into()))?;
        let target = request.headers().get("x-amz-target").map(str::to_owned);
        let answered = match target.as_deref().and_then(|target| target.split_once('.')) {
            Some((service, action)) => Ok(self.elsewhere(service, action, whole.body())),
            None => self.of_balancer(action, whole).await,
        };
        if WRITES.contains(&action) {
            self.look();
            self.note_write();
        }
        tokio::time::sleep(Duration::from_secs_f64(latency / 2.0)).await;
        let answer = answered.map_err(|_| {
            ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())
        })?;
        let (head, body) = answer.into_parts();
        let status = head.status.as_u16().try_into().map_err(|_| ConnectorError::user("a status".into()))?;
        let mut response = HttpResponse::new(status, body.into());
        for (name, value) in &head.headers {
            if let Ok(value) = value.to_str() {
                response.headers_mut().insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(response)
    }

    /// The balancer's answer, or a lie.
    async fn of_balancer(
        &self,
        action: &str,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, ConnectionReset> {
        let Some(lie) = self.plot.lie else { return self.for_a_function(request).await };
        let body = String::from_utf8_lossy(request.body()).into_owned();
        if let Some(weights) = lie::weights(action, &body) {
            *lock(&self.written) = Some(weights);
        }
        let written = lock(&self.written).unwrap_or(self.plot.found);
        match lie.instead(action, &body) {
            Some(answer) => Ok(answer),
            None => Ok(lie.changed(action, self.for_a_function(request).await?, written)),
        }
    }

    async fn for_a_function(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, ConnectionReset> {
        self.faults.of_a_function();
        self.alb.answer(request).await
    }

    /// Services that the balancer's endpoint has not, in the JSON protocols.
    fn elsewhere(&self, service: &str, action: &str, body: &Bytes) -> http::Response<Bytes> {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let (status, answer) = match action {
            "DescribeExecution" => {
                self.describe_execution(asked["executionArn"].as_str().unwrap_or_default())
            }
            "GetExecutionHistory" => {
                self.execution_history(asked["executionArn"].as_str().unwrap_or_default())
            }
            "PutEvents" => {
                let entries = asked["Entries"].as_array().cloned().unwrap_or_default();
                let count = entries.len();
                if self.plot.lie != Some(Lie::NoticesWereSent) {
                    lock(&self.notices).extend(entries);
                }
                (200, json!({ "FailedEntryCount": 0, "Entries": vec![json!({ "EventId": "1" }); count] }))
            }
            _ => (
                400,
                json!({ "__type": "UnknownOperationException", "message": format!("{service}: {action}") }),
            ),
        };
        let response =
            http::Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
        response.body(answer.to_string().into()).expect("an answer")
    }

    fn execution_history(&self, arn: &str) -> (u16, Value) {
        match lock(&self.executions).get(arn) {
            Some(execution) => (200, json!({ "events": execution.history })),
            None => no_execution(arn),
        }
    }

    fn describe_execution(&self, arn: &str) -> (u16, Value) {
        let executions = lock(&self.executions);
        let Some(execution) = executions.get(arn) else { return no_execution(arn) };
        let mut answer = json!({
            "executionArn": arn,
            "stateMachineArn": "arn:aws:states:eu-central-1:123456789012:stateMachine:failover",
            "name": arn.rsplit(':').next(),
            "status": if self.plot.lie == Some(Lie::NobodyWasStopped) { "RUNNING" } else { execution.status },
            "startDate": execution.began.as_second(),
            "input": execution.input.to_string(),
        });
        if let Some(ended) = execution.ended {
            answer["stopDate"] = json!(ended.as_second());
        }
        if let Some(error) = &execution.error {
            answer["error"] = json!(error);
        }
        (200, answer)
    }
}

fn no_execution(arn: &str) -> (u16, Value) {
    let message = format!("Execution Does Not Exist: '{arn}'");
    (400, json!({ "__type": "ExecutionDoesNotExist", "message": message }))
}

/// The action of a call in the query protocol.
fn action(body: &[u8]) -> &str {
    let rest = body.strip_prefix(b"Action=").unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == b'&').unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).unwrap_or_default()
}

/// Without scheme and host.
fn path(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

/// What the SDK sends its calls over.
#[derive(Clone, Debug)]
pub struct Wire(pub Arc<Cloud>);

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(Arc::clone(&self.0).answer(request))
    }
}
