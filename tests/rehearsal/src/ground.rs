//! A local AWS with the project deployed into it, and a balancer beside it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alb::{Alb, CallInfo, Counted, Intercept};
use anyhow::{Context, Result, bail, ensure};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sfn::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::execution::Execution;
use crate::family::Family;
use crate::local_aws::{LocalAws, REGION, aim, elsewhere, note_requests_in, root, tool};
use crate::uses::Notes;

/// The stack's name, and so the state machine's.
pub const STACK: &str = "failover";

/// The account of both servers.
pub const ACCOUNT: &str = "000000000000";

/// The name of the one balancer that it may write to.
pub const BALANCER: &str = "rehearsal";

/// The app that the deployed schedule balances every minute. Without such an app it says so, quietly.
pub const SCHEDULED_APP: &str = "nightly";

/// The one function that it may call as a hook; a scenario that wants one makes it.
pub fn hook_function() -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:release-hook")
}

/// How long the local AWS may take from a stop to the execution that the rule starts.
const RESTORE_STARTS_WITHIN: Duration = Duration::from_secs(20);

/// How often executions are listed where one of them is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// As many executions are looked through for one that was just started; all scenarios together start
/// fewer while one of them looks away.
const NEWEST: i32 = 50;

/// The file in a ground's folder in which scripts note their requests.
pub(crate) const NOTED_REQUESTS: &str = "noted.jsonl";

/// Decides about the calls it knows, and leaves the others to the next.
type Fault = Box<dyn Fn(&CallInfo<'_>) -> Option<Intercept> + Send + Sync>;

/// The proving ground. Everything it started stops when it is dropped.
#[derive(Debug)]
pub struct Ground {
    /// The balancer of all sites, with its API.
    pub alb: Alb,
    /// A client of the balancer's API, for tests to look and to interfere.
    pub balancer: aws_sdk_elasticloadbalancingv2::Client,
    /// The state machine.
    pub state_machine_arn: String,
    /// The topic that is told of every run.
    pub notice_topic_arn: String,
    pub(crate) sfn: aws_sdk_sfn::Client,
    pub(crate) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(crate) notes: Notes,
    local_aws: LocalAws,
    faults: Faults,
    started: AtomicUsize,
    // Logs and packaged files, gone with the ground.
    folder: TempDir,
}

impl Ground {
    /// Starts both servers and deploys `infra/template.yaml` with the built functions. Health checks
    /// come so often that nobody waits for them.
    ///
    /// # Errors
    /// If a tool or a built function is missing, or the deployment fails.
    pub async fn start() -> Result<Self> {
        Self::start_checking(Duration::from_millis(500)).await
    }

    /// The same with the health of every target checked this often.
    ///
    /// # Errors
    /// As [`Ground::start`].
    pub async fn start_checking(every: Duration) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("failover-rehearsal-").tempdir()?;
        note_requests_in(folder.path().join(NOTED_REQUESTS));
        let options = alb::Options {
            region: REGION.into(),
            account: ACCOUNT.into(),
            health_check_interval: Some(every),
            // A period of a second stands for one of a minute, and many scenarios share the account.
            time_compression: 60.0,
            counted: Counted::Named,
            ..alb::Options::default()
        };
        let alb = Alb::start(options)?;
        let (faults, notes) = (Faults::default(), Notes::default());
        alb.intercept(Box::new({
            let (faults, notes) = (faults.clone(), notes.clone());
            move |call| {
                notes.note(call);
                faults.decide(call)
            }
        }));
        alb.observe(Box::new({
            let notes = notes.clone();
            move |answer| notes.note_answer(answer)
        }));
        let local_aws = LocalAws::start(&alb.endpoint(), &folder.path().join("local-aws.log")).await?;
        alb.pass_on(local_aws.address()?);
        let notice_topic_arn = make_topic(local_aws.endpoint()).await?;
        let parameters = format!(
            "BalanceApp={SCHEDULED_APP} BalanceSchedule='rate(1 minute)' NoticeTopicArn={notice_topic_arn} \
             ProbeLoopback=allowed Operators=arn:aws:iam::{ACCOUNT}:role/release HookFunctions={}",
            hook_function()
        );
        let state_machine_arn = deploy(local_aws.endpoint(), &Stack::new(STACK, &parameters)).await?;
        let sfn = aws_sdk_sfn::Client::new(&sdk(local_aws.endpoint()));
        let balancer = balancer_client(&alb.endpoint());
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&sdk(&alb.endpoint()));
        Ok(Self {
            alb,
            balancer,
            sfn,
            notes,
            cloudwatch,
            state_machine_arn,
            notice_topic_arn,
            local_aws,
            faults,
            started: AtomicUsize::new(0),
            folder,
        })
    }

    /// Starts an execution, as the console or a pipeline does.
    ///
    /// # Errors
    /// If Step Functions refuses it.
    pub async fn execute(&self, input: &Value) -> Result<Execution> {
        self.execute_on(&self.state_machine_arn, input).await
    }

    /// Starts an execution of the state machine of another stack.
    ///
    /// # Errors
    /// If Step Functions refuses it.
    pub async fn execute_on(&self, state_machine_arn: &str, input: &Value) -> Result<Execution> {
        // Named after its app, or its first one, so that calls about the execution can be told from those about others.
        let app = input["app"].as_str().or(input["app"][0].as_str());
        let app = app.filter(|app| !app.is_empty()).unwrap_or("unnamed");
        let name = app.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40);
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let started = self
            .sfn
            .start_execution()
            .state_machine_arn(state_machine_arn)
            .name(format!("{}-{number}", name.collect::<String>()))
            .input(input.to_string())
            .send()
            .await
            .context("Step Functions refused the execution")?;
        Ok(Execution::new(self.sfn.clone(), started.execution_arn))
    }

    /// Stops an execution, as somebody does in the console.
    ///
    /// # Errors
    /// If Step Functions does not answer.
    pub async fn stop(&self, execution: &str) -> Result<()> {
        self.sfn.stop_execution().execution_arn(execution).send().await.context("cannot stop it").map(drop)
    }

    /// The restore that the rule on stopped executions has started for an execution.
    ///
    /// # Errors
    /// If none starts within 20 seconds.
    pub async fn restore_of(&self, execution: &str) -> Result<Execution> {
        let mut known = HashSet::new();
        let restores = |input: &Value| input["operation"] == "restore" && input["execution"] == execution;
        // By the same state machine, whichever stack that is of.
        let state_machine = execution.replacen(":execution:", ":stateMachine:", 1);
        let (state_machine, _) = state_machine.rsplit_once(':').context("an execution without a name")?;
        self.started_on(state_machine, &mut known, RESTORE_STARTS_WITHIN, restores).await
    }

    /// The next execution that somebody else has started with such an input, and that is not `known`
    /// yet; it and all others that were looked at are from then on.
    ///
    /// # Errors
    /// If there is none within this time.
    pub async fn started_elsewhere(
        &self,
        known: &mut HashSet<String>,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Execution> {
        self.started_on(&self.state_machine_arn, known, within, wanted).await
    }

    async fn started_on(
        &self,
        state_machine_arn: &str,
        known: &mut HashSet<String>,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Execution> {
        let deadline = tokio::time::Instant::now() + within;
        while tokio::time::Instant::now() < deadline {
            let newest = self.sfn.list_executions().state_machine_arn(state_machine_arn).max_results(NEWEST);
            for arn in newest.send().await?.executions.into_iter().map(|found| found.execution_arn) {
                if !known.insert(arn.clone()) {
                    continue;
                }
                let input = self.sfn.describe_execution().execution_arn(&arn).send().await?.input;
                let input: Value = serde_json::from_str(&input.unwrap_or_default()).unwrap_or_default();
                if wanted(&input) {
                    return Ok(Execution::new(self.sfn.clone(), arn));
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("no such execution was started within {within:?}")
    }

    /// Makes the balancer's API fail from now on for the calls that `fault` knows, beside any other
    /// fault. Scenarios that run side by side know their own calls by the ARNs in them.
    pub fn fail(&self, fault: impl Fn(&CallInfo<'_>) -> Option<Intercept> + Send + Sync + 'static) {
        self.faults.0.lock().expect("nobody panics with it").push(Box::new(fault));
    }

    /// Has states fail as told in executions that are started as one of these cases: by the ARN of the state machine
    /// and, after a `#`, the name of the case. `cases` names a response for some of its states, `responses` has them
    /// by their names, as Step Functions Local takes them.
    ///
    /// # Errors
    /// If the local AWS does not take it.
    pub async fn fail_states(&self, cases: &Value, responses: &Value) -> Result<()> {
        let told = json!({ "stepfunctions._sfn_mock_config": {
            "StateMachines": { STACK: { "TestCases": cases } },
            "MockedResponses": responses,
        } });
        let to = format!("{}/_ministack/config", self.endpoint());
        let taken = reqwest::Client::new().post(to).body(told.to_string()).send().await?.text().await?;
        ensure!(taken.contains("_sfn_mock_config"), "the local AWS takes no failures of states: {taken}");
        Ok(())
    }

    /// Where the local AWS answers.
    pub fn endpoint(&self) -> &str {
        self.local_aws.endpoint()
    }

    /// A folder that lives as long as the ground.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A client of the load balancing API at `endpoint`.
pub fn balancer_client(endpoint: &str) -> aws_sdk_elasticloadbalancingv2::Client {
    aws_sdk_elasticloadbalancingv2::Client::new(&sdk(endpoint))
}

/// What every client of an API at `endpoint` is made from.
fn sdk(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "rehearsal");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build()
}

/// Runs the AWS CLI against the local AWS at `endpoint`, and returns what it prints.
///
/// # Errors
/// If it fails, with what it says.
pub async fn cli(endpoint: &str, arguments: &[&str]) -> Result<Value> {
    let mut command = elsewhere(tool("aws"));
    // For queues the CLI goes by an address of old, whatever the environment says.
    let arguments = [&["--endpoint-url", endpoint], arguments].concat();
    let output = Family::output(aim(&mut command, endpoint).args(&arguments)).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "aws {arguments:?} failed: {said}");
    // Some commands print nothing.
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// The topic that a team has already.
async fn make_topic(endpoint: &str) -> Result<String> {
    let made = cli(endpoint, &["sns", "create-topic", "--name", "team"]).await?;
    made["TopicArn"].as_str().map(str::to_owned).context("a topic without ARN")
}

/// A stack of `infra/template.yaml`.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// A file of settings, as `infra/settings.py` writes it.
    pub settings: Option<PathBuf>,
    /// More parameters of the template as `Name=Value`, with spaces between them.
    pub parameters: String,
    /// Where the template, the script that deploys it and the packages of the functions are.
    pub checkout: PathBuf,
}

impl Stack {
    /// What is in this checkout, for some balancer, with more parameters.
    pub fn new(name: &str, parameters: &str) -> Self {
        let alarms = format!("AlarmTopicArn=arn:aws:sns:{REGION}:{ACCOUNT}:people");
        Self {
            name: name.to_owned(),
            settings: None,
            parameters: format!("LoadBalancerName={BALANCER} {alarms} {parameters}"),
            checkout: root(),
        }
    }
}

/// Deploys a stack with the built functions to the local AWS at `endpoint`, by the same script that
/// `make deploy` runs against AWS. Returns the state machine's ARN.
///
/// # Errors
/// If the deployment fails, as it does where the functions are not built.
pub async fn deploy(endpoint: &str, stack: &Stack) -> Result<String> {
    // Everything here answers in milliseconds, so nothing takes long to settle.
    let parameters =
        format!("Architecture={} PropagationSeconds=2 {}", lambda_architecture(), stack.parameters);
    // Gone with this, also where the script is killed before it can clean up.
    let temporary = tempfile::tempdir()?;
    let mut script = elsewhere(stack.checkout.join("infra/deploy.sh"));
    if let Some(settings) = &stack.settings {
        script.env("SETTINGS", settings);
    }
    aim(&mut script, endpoint)
        .env("TMPDIR", temporary.path())
        .env("STACK", &stack.name)
        .env("PARAMETERS", parameters)
        .env("AWS", tool("aws"));
    let output = Family::output(&mut script).await?;
    ensure!(
        output.status.success(),
        "the deployment failed; were the functions built with `make build`?\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout)?;
    let arn = printed.lines().last().unwrap_or_default().trim().to_owned();
    ensure!(arn.starts_with("arn:"), "the stack has no state machine: {printed}");
    Ok(arn)
}

/// The functions run on this machine, so they are built for it.
pub fn lambda_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

/// The faults of all scenarios.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Faults {
    fn decide(&self, call: &CallInfo<'_>) -> Intercept {
        let faults = self.0.lock().expect("nobody panics with it");
        faults.iter().find_map(|fault| fault(call)).unwrap_or(Intercept::Pass)
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}
