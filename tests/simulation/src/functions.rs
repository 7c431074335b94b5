//! Lambda: the handlers that ship, called as functions, with the SDK that ships.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_sdk_elasticloadbalancingv2::config::Credentials;
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use clock::Instant;
use failover::aws;
use failover::model::error::{Error, ErrorKind};
use rand::rngs::SmallRng;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cloud::{Cloud, Wire};
use crate::draw::{between, chance, generator};
use crate::kinds::HOOK;
use crate::machine::{Answer, Failure};
use crate::seen::BY;

/// What stands for `${NAME}` in the definition. There are no probes.
pub const SUBSTITUTIONS: [(&str, &str); 15] = [
    ("PlanShiftFunctionArn", "plan-shift"),
    ("ClaimRoutesFunctionArn", "claim-routes"),
    ("SetWeightsFunctionArn", "set-weights"),
    ("CheckMetricsFunctionArn", "check-metrics"),
    ("ProbeAppFunctionArn", "probe-app"),
    ("SwapRolesFunctionArn", "swap-roles"),
    ("RollBackFunctionArn", "roll-back"),
    ("ReleaseRoutesFunctionArn", "release-routes"),
    ("SendNoticeFunctionArn", "send-notice"),
    ("ProbeAddresses", ""),
    ("ProbeLoopback", "false"),
    ("Probes", ""),
    ("HookFunctions", HOOK),
    ("Hooks", ""),
    ("Partition", "aws"),
];

/// The time-outs of the functions in `infra/template.yaml`, in seconds.
pub const TIME_OUTS: [(&str, u64); 8] = [
    ("plan-shift", 30),
    ("claim-routes", 60),
    ("set-weights", 45),
    ("check-metrics", 100),
    ("swap-roles", 60),
    ("roll-back", 45),
    ("release-routes", 45),
    ("send-notice", 30),
];

/// The integration that calls any function.
const INVOKE: &str = "arn:aws:states:::lambda:invoke";

/// What the template's defaults give `plan-shift`.
fn setting(name: &str) -> String {
    match name {
        "TARGET_GROUP_PATTERN" => "shop-us-prd-{app}-{fleet}-tg",
        "FLEETS" => "prod1=01,prod2=02",
        "PROPAGATION_SECONDS" => "15",
        _ => "",
    }
    .to_owned()
}

#[derive(Debug)]
struct VirtualTime;

impl TimeSource for VirtualTime {
    fn now(&self) -> SystemTime {
        SystemTime::from(clock::now())
    }
}

/// Settings for clients whose calls end in a cloud in memory.
pub fn config(base: &SdkConfig, cloud: &Arc<Cloud>, region: &str) -> SdkConfig {
    let connector = SharedHttpConnector::new(Wire(Arc::clone(cloud)));
    base.to_builder()
        .region(Region::new(region.to_owned()))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build()
}

/// What all runs of a thread have in common: read from the environment once.
pub async fn base() -> SdkConfig {
    aws::settings()
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "simulation"))
        .time_source(SharedTimeSource::new(VirtualTime))
        .load()
        .await
}

/// All functions of a deployment.
pub struct Functions {
    cloud: Arc<Cloud>,
    rng: RefCell<SmallRng>,
    /// When each was called for the first time.
    called: RefCell<BTreeMap<String, Instant>>,
    plan_shift: plan_shift::Clients,
    deployment: plan_shift::Deployment,
    claim_routes: claim_routes::Clients,
    check_metrics: check_metrics::Clients,
    balancer: aws_sdk_elasticloadbalancingv2::Client,
    swap_roles: swap_roles::Clients,
    roll_back: roll_back::Clients,
    send_notice: send_notice::Clients,
}

impl Functions {
    /// As deployed with the defaults of the template.
    pub fn deploy(config: &SdkConfig, cloud: Arc<Cloud>, seed: u64) -> Rc<Self> {
        Rc::new(Self {
            cloud,
            rng: RefCell::new(generator(seed, "functions")),
            called: RefCell::default(),
            plan_shift: plan_shift::clients(config),
            deployment: plan_shift::Deployment::configured(setting),
            claim_routes: claim_routes::clients(config),
            check_metrics: check_metrics::clients(config),
            balancer: set_weights::clients(config),
            swap_roles: swap_roles::clients(config),
            roll_back: roll_back::clients(config),
            send_notice: send_notice::clients(config),
        })
    }

    /// Invokes one. What is waited for no longer still goes on to its own time-out.
    pub fn invoke(self: &Rc<Self>, execution: &str, name: &str, payload: String) -> Answer {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let (functions, name) = (Rc::clone(self), name.to_owned());
        let invoked = self.cloud.note_invoked(execution, &name);
        tokio::task::spawn_local(BY.scope(execution.to_owned(), async move {
            let answered = functions.run(&name, &payload).await;
            functions.cloud.note_answer(invoked, answered.as_ref().ok().map(String::as_str));
            let _ = answer.send(answered);
        }));
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(crashed())) })
    }

    async fn run(&self, name: &str, payload: &str) -> Result<String, Failure> {
        if !self.is_awake(name) {
            return Err(not_ready());
        }
        if name == INVOKE {
            return self.hook().await;
        }
        let crashes = self.cloud.plot.crashes;
        let (starts_in, crash, late) = {
            let mut rng = self.rng.borrow_mut();
            (between(&mut rng, 0.02, 0.2), chance(&mut rng, crashes), chance(&mut rng, 0.5))
        };
        tokio::time::sleep(Duration::from_secs_f64(starts_in)).await;
        if crash && !late {
            return Err(crashed());
        }
        let seconds = TIME_OUTS.iter().find(|(known, _)| *known == name).map_or(30, |(_, seconds)| *seconds);
        let payload = serde_json::from_str(payload).unwrap_or_default();
        let answer = tokio::time::timeout(Duration::from_secs(seconds), self.answer(name, payload)).await;
        if crash {
            return Err(crashed());
        }
        match answer {
            Ok(Ok(answer)) => {
                if name == "set-weights" {
                    self.cloud.stages.send_modify(|stages| *stages += 1);
                }
                Ok(answer.get().to_owned())
            }
            Ok(Err(error)) => Err(Failure {
                error: error.kind.name().to_owned(),
                cause: json!({ "errorType": error.kind.name(), "errorMessage": error.message }).to_string(),
            }),
            Err(_) => Err(Failure {
                error: "Sandbox.Timedout".to_owned(),
                cause: json!({ "errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out" })
                    .to_string(),
            }),
        }
    }

    /// Whether a function can be called: one that nobody called for weeks takes its time after the first call.
    fn is_awake(&self, name: &str) -> bool {
        let mut called = self.called.borrow_mut();
        let first = called.entry(name.to_owned()).or_insert_with(Instant::now);
        first.elapsed().as_secs_f64() >= self.cloud.plot.wakes_in
    }

    /// The team's own function, called through Step Functions' integration.
    async fn hook(&self) -> Result<String, Failure> {
        let hook = self.cloud.plot.hook.ok_or_else(crashed)?;
        tokio::time::sleep(Duration::from_secs_f64(hook.after)).await;
        let says = hook.says.ok_or_else(crashed)?;
        Ok(json!({ "Payload": { "verdict": says, "reason": "as drawn" }, "StatusCode": 200 }).to_string())
    }

    fn answer<'a>(
        &'a self,
        name: &str,
        payload: Value,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Box<RawValue>, Error>> + 'a>> {
        let balancer = self.balancer.clone();
        match name {
            "plan-shift" => Box::pin(aws::answer(
                self.plan_shift.clone(),
                |clients, request| plan_shift::handle(clients, self.deployment.clone(), request),
                payload,
            )),
            "claim-routes" => Box::pin(aws::answer(self.claim_routes.clone(), claim_routes::handle, payload)),
            "set-weights" => Box::pin(aws::answer(balancer, set_weights::handle, payload)),
            "check-metrics" => {
                Box::pin(aws::answer(self.check_metrics.clone(), check_metrics::handle, payload))
            }
            "swap-roles" => Box::pin(aws::answer(self.swap_roles.clone(), swap_roles::handle, payload)),
            "roll-back" => Box::pin(aws::answer(self.roll_back.clone(), roll_back::handle, payload)),
            "release-routes" => Box::pin(aws::answer(balancer, release_routes::handle, payload)),
            "send-notice" => Box::pin(aws::answer(self.send_notice.clone(), send_notice::handle, payload)),
            other => {
                let message = format!("{other} is no function of this deployment");
                Box::pin(std::future::ready(Err(Error::new(ErrorKind::BadRequest, message))))
            }
        }
    }
}

fn crashed() -> Failure {
    let said =
        json!({ "errorType": "Runtime.ExitError", "errorMessage": "RequestId: 1 Error: signal: killed" });
    Failure { error: "Runtime.ExitError".to_owned(), cause: said.to_string() }
}

/// What Lambda answers instead of calling a function that is not ready yet. Recorded in Step Functions by Klayers issue
/// 210, its name by accelerated-intelligent-document-processing-on-aws issue 801.
fn not_ready() -> Failure {
    let said = "INFO: Lambda is initializing your function. It will be ready to invoke shortly. (Service: AWSLambda; \
                Status Code: 500; Error Code: CodeArtifactUserPendingException; Proxy: null)";
    Failure { error: "Lambda.CodeArtifactUserPendingException".to_owned(), cause: said.to_owned() }
}
