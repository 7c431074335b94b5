//! AWS in memory: the local balancer's API, and what the functions use of Step Functions and `EventBridge`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alb::{Alb, Intercept, Options};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use jiff::Timestamp;
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::draw::{between, chance, generator};
use crate::measured::Watch;
use crate::plot::Plot;
use crate::world::{World, lock};

/// The target groups of both fleets, as the deployment's pattern names them.
const GROUPS: [&str; 2] = ["shop-us-prd-web-01-tg", "shop-us-prd-web-02-tg"];

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
}

/// What both fleets got from a moment on.
#[derive(Clone, Debug)]
pub struct Change {
    /// Seconds after the start of the run.
    pub at: f64,
    /// Of all requests, by fleet.
    pub shares: [f64; 2],
    /// Healthy targets at that moment, as the balancer shows them.
    pub healthy: [u32; 2],
}

/// What was built before the run.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The target groups of both fleets.
    pub groups: Vec<String>,
    /// The routes of the app.
    pub routes: Vec<String>,
    /// A rule of somebody else, and its tags and weights at the beginning.
    pub neighbour: String,
    targets: [Vec<SocketAddr>; 2],
}

/// AWS, around one world.
pub struct Cloud {
    /// The balancer.
    pub alb: Alb,
    /// The world.
    pub world: Arc<Mutex<World>>,
    /// What was built.
    pub site: Site,
    /// Executions by their ARN.
    pub executions: Mutex<BTreeMap<String, Execution>>,
    /// Events that were put on the bus.
    pub notices: Mutex<Vec<Value>>,
    /// Every change of what the fleets get.
    pub changes: Mutex<Vec<Change>>,
    /// Calls of AWS by their action.
    pub calls: Mutex<BTreeMap<String, usize>>,
    rng: Mutex<SmallRng>,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").finish_non_exhaustive()
    }
}

impl Cloud {
    /// Builds a balancer with two routes of the app and one rule of somebody else.
    ///
    /// # Panics
    /// Where the balancer refuses what it must be able to do.
    pub async fn build(plot: Plot, region: &str) -> Self {
        let (seed, found, trouble) = (plot.seed, plot.found, plot.control_plane.1);
        let targets = [0, 1].map(|fleet| {
            let number = u16::try_from(plot.fleets[fleet].targets).unwrap_or(1);
            let first = if fleet == 0 { 9001 } else { 9101 };
            (first..first + number).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect()
        });
        let world = Arc::new(Mutex::new(World::new(plot)));
        let watch = Watch { world: Arc::clone(&world), labels: Arc::default() };
        let labels = Arc::clone(&watch.labels);
        let options = Options { region: region.to_owned(), seed, ..Options::default() };
        let mut cloud = Self {
            alb: Alb::in_memory(options, Box::new(watch)),
            world,
            site: Site { targets, ..Site::default() },
            executions: Mutex::default(),
            notices: Mutex::default(),
            changes: Mutex::default(),
            calls: Mutex::default(),
            rng: Mutex::new(generator(seed, "cloud")),
        };
        let balancer = cloud.create("CreateLoadBalancer", "LoadBalancerArn", &[("Name", "shop")]).await;
        let mut groups = Vec::new();
        for name in GROUPS.into_iter().chain(["other-apps"]) {
            let group =
                [("Name", name), ("TargetType", "ip"), ("Port", "80"), ("HealthCheckPath", "/health")];
            groups.push(cloud.create("CreateTargetGroup", "TargetGroupArn", &group).await);
        }
        let label =
            |arn: &String| arn.rsplit_once(':').map(|(_, label)| label.to_owned()).unwrap_or_default();
        *lock(&labels) = groups[..2].iter().map(label).collect();
        let listener = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Port", "443"),
            ("Protocol", "HTTP"),
            ("DefaultActions.member.1.Type", "fixed-response"),
            ("DefaultActions.member.1.FixedResponseConfig.StatusCode", "404"),
        ];
        let listener = cloud.create("CreateListener", "ListenerArn", &listener).await;
        for (fleet, targets) in cloud.site.targets.clone().iter().enumerate() {
            for target in targets {
                let port = target.port().to_string();
                let target = [
                    ("TargetGroupArn", groups[fleet].as_str()),
                    ("Targets.member.1.Id", "127.0.0.1"),
                    ("Targets.member.1.Port", &port),
                ];
                cloud.ask("RegisterTargets", &target).await;
            }
        }
        for (priority, host) in [("10", "web.shop.example"), ("20", "www.shop.example")] {
            let [live, standby] = found.map(|percent| percent.to_string());
            let forward = [(groups[0].as_str(), live.as_str()), (groups[1].as_str(), standby.as_str())];
            let rule = cloud.rule(&listener, priority, host, &forward).await;
            cloud.site.routes.push(rule);
        }
        cloud.site.neighbour = cloud.rule(&listener, "30", "other.example", &[(&groups[2], "1")]).await;
        cloud.site.groups = groups[..2].to_vec();
        cloud.alb.refill();
        let mut rng = generator(seed, "trouble");
        let drawn = Mutex::new(std::iter::repeat_with(move || rng.random::<f64>()));
        cloud.alb.intercept(Box::new(move |_| {
            match lock(&drawn).next().unwrap_or(1.0) / trouble.max(1e-9) {
                share if share < 0.4 => refusal(400, "Throttling"),
                share if share < 0.7 => refusal(503, "ServiceUnavailable"),
                share if share < 0.85 => Intercept::ResetBefore,
                share if share < 1.0 => Intercept::ResetAfter,
                _ => Intercept::Pass,
            }
        }));
        cloud.look();
        lock(&cloud.changes).clear();
        cloud
    }

    async fn rule(&self, listener: &str, priority: &str, host: &str, groups: &[(&str, &str)]) -> String {
        let mut rule = vec![
            ("ListenerArn".to_owned(), listener.to_owned()),
            ("Priority".to_owned(), priority.to_owned()),
            ("Conditions.member.1.Field".to_owned(), "host-header".to_owned()),
            ("Conditions.member.1.HostHeaderConfig.Values.member.1".to_owned(), host.to_owned()),
        ];
        rule.extend(forward(groups));
        let rule: Vec<(&str, &str)> =
            rule.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.create("CreateRule", "RuleArn", &rule).await
    }

    /// Puts weights into a rule, as somebody else does.
    pub async fn set_weights(&self, rule: &str, weights: [u32; 2]) {
        let [live, standby] = weights.map(|weight| weight.to_string());
        let groups = &self.site.groups;
        let groups = [(groups[0].as_str(), live.as_str()), (groups[1].as_str(), standby.as_str())];
        let mut fields = vec![("RuleArn".to_owned(), rule.to_owned())];
        fields.extend(forward(&groups));
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.meanwhile();
        self.ask("ModifyRule", &fields).await;
        self.look();
    }

    async fn create(&self, action: &str, arn: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.ask(action, fields).await;
        let found = answer.split_once(&format!("<{arn}>")).and_then(|(_, rest)| rest.split_once('<'));
        found.unwrap_or_else(|| panic!("{action} gave no {arn}: {answer}")).0.to_owned()
    }

    /// Makes a call of the balancer as an account does that is never refused.
    pub async fn ask(&self, action: &str, fields: &[(&str, &str)]) -> String {
        let mut form = format!("Action={action}&Version=2015-12-01");
        for (name, value) in fields {
            let escaped: String = value.bytes().fold(String::new(), |mut text, byte| {
                if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    let _ = write!(text, "%{byte:02X}");
                }
                text
            });
            let _ = write!(form, "&{name}={escaped}");
        }
        for _ in 0..5 {
            let request = http::Request::post("/").body(Bytes::from(form.clone())).expect("a request");
            if let Ok(answer) = self.alb.answer(request).await
                && (answer.status() == 200
                    || answer.status() == 400 && !answer.body().windows(10).any(|w| w == b"Throttling"))
            {
                return String::from_utf8_lossy(answer.body()).into_owned();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        String::new()
    }

    /// Lets the world go on until now.
    pub fn meanwhile(&self) {
        let now = clock::now();
        let seconds = now.as_second() as f64 + f64::from(now.subsec_nanosecond()) * 1e-9;
        let unhealthy = {
            let mut world = lock(&self.world);
            world.advance(seconds);
            [0, 1].map(|fleet| world.fleets[fleet].unhealthy)
        };
        for (fleet, unhealthy) in unhealthy.into_iter().enumerate() {
            if self.site.groups.len() < 2 {
                continue;
            }
            for (number, target) in (0..).zip(&self.site.targets[fleet]) {
                self.alb.set_health(&self.site.groups[fleet], *target, number >= unhealthy);
            }
        }
    }

    /// Looks what the fleets get now.
    pub fn look(&self) {
        let mut shares = [0.0; 2];
        for route in &self.site.routes {
            let weights = self.alb.weights(route);
            let sum: u32 = weights.iter().map(|(_, weight)| weight).sum();
            for (group, weight) in weights {
                if let Some(fleet) = self.site.groups.iter().position(|known| *known == group) {
                    shares[fleet] +=
                        f64::from(weight) / f64::from(sum.max(1)) / self.site.routes.len() as f64;
                }
            }
        }
        let mut world = lock(&self.world);
        if world.shares.iter().zip(shares).any(|(known, now)| (known - now).abs() > 1e-9) {
            world.shares = shares;
            let healthy = [0, 1].map(|fleet| {
                let fleet = &world.fleets[fleet];
                fleet.targets - fleet.unhealthy.min(fleet.targets)
            });
            lock(&self.changes).push(Change { at: world.now - world.began, shares, healthy });
        }
    }

    async fn answer(self: Arc<Self>, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let (usual, trouble) = lock(&self.world).plot.control_plane;
        let latency = {
            let mut rng = lock(&self.rng);
            let outlier = if chance(&mut rng, trouble) { 8.0 } else { 1.0 };
            usual * outlier * between(&mut rng, 0.5, 1.5)
        };
        tokio::time::sleep(Duration::from_secs_f64(latency / 2.0)).await;
        self.meanwhile();
        let mut whole = http::Request::builder().method(request.method()).uri(path(request.uri()));
        for (name, value) in request.headers() {
            whole = whole.header(name, value);
        }
        let body = Bytes::copy_from_slice(request.body().bytes().unwrap_or_default());
        let whole = whole.body(body).map_err(|error| ConnectorError::user(error.into()))?;
        let target = request.headers().get("x-amz-target").map(str::to_owned);
        let answered = match target.as_deref().and_then(|target| target.split_once('.')) {
            Some((service, action)) => Ok(self.elsewhere(service, action, whole.body())),
            None => self.alb.answer(whole).await,
        };
        self.look();
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

    /// Services that the balancer's endpoint has not, in the JSON protocols.
    fn elsewhere(&self, service: &str, action: &str, body: &Bytes) -> http::Response<Bytes> {
        *lock(&self.calls).entry(action.to_owned()).or_default() += 1;
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let (status, answer) = match action {
            "DescribeExecution" => {
                self.describe_execution(asked["executionArn"].as_str().unwrap_or_default())
            }
            "PutEvents" => {
                let entries = asked["Entries"].as_array().cloned().unwrap_or_default();
                let count = entries.len();
                lock(&self.notices).extend(entries);
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

    fn describe_execution(&self, arn: &str) -> (u16, Value) {
        let executions = lock(&self.executions);
        let Some(execution) = executions.get(arn) else {
            let message = format!("Execution Does Not Exist: '{arn}'");
            return (400, json!({ "__type": "ExecutionDoesNotExist", "message": message }));
        };
        let mut answer = json!({
            "executionArn": arn,
            "stateMachineArn": "arn:aws:states:eu-central-1:123456789012:stateMachine:failover",
            "name": arn.rsplit(':').next(),
            "status": execution.status,
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

fn forward(groups: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields = vec![("Actions.member.1.Type".to_owned(), "forward".to_owned())];
    for (number, (group, weight)) in (1..).zip(groups) {
        let place = format!("Actions.member.1.ForwardConfig.TargetGroups.member.{number}");
        fields.push((format!("{place}.TargetGroupArn"), (*group).to_owned()));
        fields.push((format!("{place}.Weight"), (*weight).to_owned()));
    }
    fields
}

fn refusal(status: u16, code: &str) -> Intercept {
    Intercept::Error { status, code: code.to_owned(), message: "Rate exceeded".to_owned() }
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
