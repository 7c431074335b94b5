//! What the command asks of AWS, by the code of the functions where there is some.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sfn::error::SdkError;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use failover::aws::error::{code, named};
use failover::aws::{claims, history, listener};
use failover::input;
use failover::model::Operation;
use failover::model::Plan;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde_json::Value;

use crate::args::Common;
use crate::message::{Ended, Traffic};
use crate::run::{News, Run};
use crate::settings::{self, Settings};

/// Executions that are looked at side by side.
const AT_ONCE: usize = 8;

/// A deployment, and the clients that it is spoken to with.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The name of its stack.
    pub stack: String,
    /// Its state machine.
    pub state_machine: String,
    pub sfn: aws_sdk_sfn::Client,
    pub balancer: aws_sdk_elasticloadbalancingv2::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
}

impl Deployment {
    /// Finds it by the names of its stack and region, and by who is signed in.
    ///
    /// # Errors
    /// What is missing, and how to give it.
    pub async fn find(common: &Common) -> Result<Self> {
        let mut config = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = &common.region {
            config = config.region(Region::new(region.clone()));
        }
        let config = config.load().await;
        let region =
            config.region().context("no region is given: use --region, AWS_REGION or a profile")?.clone();
        let caller = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await;
        let caller = caller.map_err(|error| {
            let unreachable = matches!(&error, SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout());
            let why = innermost(&error);
            // What else was tried is of use to nobody.
            let why = why.split(" Attempted:").next().unwrap_or_default().trim_end_matches('.');
            if unreachable || matches!(error, SdkError::TimeoutError(_)) {
                anyhow!("AWS cannot be reached ({why}). Look at the network and the region; nothing was asked")
            } else {
                anyhow!("AWS does not know who asks ({why}). Sign in, such as with AWS_PROFILE or `aws sso login`")
            }
        })?;
        let arn = caller.arn().unwrap_or("arn:aws");
        let partition = arn.split(':').nth(1).unwrap_or("aws");
        let account = caller.account().context("AWS did not say which account this is")?;
        let state_machine =
            format!("arn:{partition}:states:{region}:{account}:stateMachine:{}", common.stack);
        Ok(Self {
            stack: common.stack.clone(),
            state_machine,
            sfn: aws_sdk_sfn::Client::new(&config),
            balancer: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
        })
    }

    /// What is wrong where Step Functions refuses something about the deployment as a whole.
    pub fn refused<E, R>(&self, doing: &str, error: &SdkError<E, R>) -> anyhow::Error
    where
        E: aws_sdk_sfn::error::ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + failover::aws::error::HttpStatus,
    {
        let known = settings::stacks(&std::env::current_dir().unwrap_or_default());
        // One whose name is right lacks something else.
        let right = known.contains(&self.stack);
        let near = crate::names::nearest(&self.stack, known.iter().map(String::as_str)).filter(|_| !right);
        let near = near.map(|near| format!("; did you mean --stack {near}?")).unwrap_or_default();
        match code(error) {
            Some("StateMachineDoesNotExist") => anyhow!(
                "there is no {}: name the deployment's stack and region with --stack and --region{near}",
                self.state_machine
            ),
            // Whoever may touch one deployment alone is not told that there is no other.
            Some("AccessDeniedException") => anyhow!(
                "{} It was about {}: whoever may assume the operators' role of its stack may do this{near}",
                named(doing, error).message,
                self.state_machine
            ),
            _ => anyhow!(named(doing, error).message),
        }
    }

    /// The settings that find the apps.
    pub async fn settings(&self) -> Result<Settings> {
        let folder = std::env::current_dir().unwrap_or_default();
        if let Some(file) = settings::file(&folder, &self.stack) {
            let lines =
                std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            return Settings::parse(&lines).map_err(|what| anyhow!("{}: {what}", file.display()));
        }
        let machine = self.sfn.describe_state_machine().state_machine_arn(&self.state_machine).send().await;
        let machine = machine.map_err(|error| self.refused("reading what is deployed", &error))?;
        let definition: Value = serde_json::from_str(machine.definition()).unwrap_or_default();
        Settings::parse(definition["Comment"].as_str().unwrap_or_default()).map_err(|what| {
            anyhow!(
                "the deployment {} does not say what it is for ({what}): deploy this version, or call this in a checkout \
                 with infra/{}.env",
                self.stack,
                self.stack
            )
        })
    }

    /// The executions of a status, or all, newest first, begun since a time.
    pub async fn executions(
        &self,
        status: Option<ExecutionStatus>,
        since: Timestamp,
    ) -> Result<Vec<ExecutionListItem>> {
        let mut pages = self.sfn.list_executions().state_machine_arn(&self.state_machine);
        if let Some(status) = status {
            pages = pages.status_filter(status);
        }
        let mut items = pages.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| self.refused("listing the runs", &error))?;
            if item.start_date().secs() < since.as_second() {
                break;
            }
            found.push(item);
        }
        Ok(found)
    }

    /// The same, each with its input and how it ended, as far as it has.
    pub async fn runs(&self, status: Option<ExecutionStatus>, since: Timestamp) -> Result<Vec<Execution>> {
        let found = self.executions(status, since).await?;
        stream::iter(found)
            .map(|item| self.execution(item.execution_arn))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// One execution.
    pub async fn execution(&self, arn: String) -> Result<Execution> {
        let told = self.sfn.describe_execution().execution_arn(&arn).send().await;
        let told = told.map_err(|error| anyhow!(named(&format!("looking at {arn}"), &error).message))?;
        let mut input: Value = serde_json::from_str(told.input().unwrap_or_default()).unwrap_or_default();
        // A restore may name nothing but the execution that it is about.
        let mut depth = 0;
        while let Some(earlier) = input::restores(&input).map(str::to_owned).filter(|_| depth < AT_ONCE) {
            let before =
                claims::input_of(&self.sfn, &earlier).await.map_err(|error| anyhow!(error.message))?;
            input = match before.get("app") {
                Some(_) => input::restore_of(&earlier, &before),
                None => before,
            };
            depth += 1;
        }
        let time =
            |at: &aws_sdk_sfn::primitives::DateTime| Timestamp::from_second(at.secs()).unwrap_or_default();
        let running = matches!(told.status(), ExecutionStatus::Running | ExecutionStatus::PendingRedrive);
        let ended = (!running).then(|| Ended {
            status: told.status().as_str().to_owned(),
            error: told.error().map(str::to_owned),
            cause: told.cause().map(str::to_owned),
            outcome: told.output().and_then(|output| serde_json::from_str(output).ok()),
            said: told.output().and_then(|output| serde_json::from_str(output).ok()),
        });
        Ok(Execution {
            name: arn.rsplit(':').next().unwrap_or(&arn).to_owned(),
            arn,
            input,
            started_at: time(told.start_date()),
            stopped_at: told.stop_date().map(time),
            ended,
        })
    }

    /// What the balancer holds for the apps of a plan.
    pub async fn traffic(&self, plan: Option<&Plan>) -> Traffic {
        let Some(plan) = plan else { return Traffic::Untouched };
        match listener::standing(&self.balancer, plan).await {
            Ok(words) => Traffic::Read(Timestamp::now(), words),
            Err(error) => Traffic::Unread(error.message),
        }
    }
}

/// An execution as Step Functions tells it.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its input; that of the run which it restores, where it names no app itself.
    pub input: Value,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    pub stopped_at: Option<Timestamp>,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
}

impl Execution {
    /// The names of its apps.
    pub fn apps(&self) -> BTreeSet<&str> {
        let app = &self.input["app"];
        app.as_str()
            .into_iter()
            .chain(app.as_array().into_iter().flatten().filter_map(Value::as_str))
            .collect()
    }

    /// What it does.
    pub fn operation(&self) -> &str {
        self.input["operation"].as_str().unwrap_or("shift")
    }

    /// The same, if it is one that there is.
    pub fn known_operation(&self) -> Option<Operation> {
        serde_json::from_value(self.operation().into()).ok()
    }

    /// What its standby runs, if it says so.
    pub fn release(&self) -> Option<&str> {
        self.input["release"].as_str()
    }

    /// Whether it only looks.
    pub fn is_dry_run(&self) -> bool {
        self.input["dryRun"] == true
    }
}

/// A run that is followed by its history.
#[derive(Debug)]
pub struct Follower {
    /// What is known of it.
    pub run: Run,
    sfn: aws_sdk_sfn::Client,
    arn: String,
    seen: i64,
}

impl Follower {
    /// From the beginning of its history.
    pub fn new(deployment: &Deployment, arn: &str) -> Self {
        Self { run: Run::default(), sfn: deployment.sfn.clone(), arn: arn.to_owned(), seen: 0 }
    }

    /// What has happened since the last look.
    ///
    /// # Errors
    /// As Step Functions answers.
    pub async fn look(&mut self) -> Result<Vec<News>> {
        let mut news = Vec::new();
        let fresh = history::since(&self.sfn, &self.arn, self.seen).await;
        for event in fresh.map_err(|error| anyhow!(error.message))? {
            self.seen = event.id;
            news.extend(self.run.see(&event).map_err(|what| anyhow!(what))?);
        }
        Ok(news)
    }
}

/// The cause at the bottom of an error of the SDK.
pub fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// Starts an execution; nothing where its name is taken.
///
/// # Errors
/// As Step Functions answers.
pub async fn start(deployment: &Deployment, name: &str, input: &Value) -> Result<Option<String>> {
    let call = deployment.sfn.start_execution().state_machine_arn(&deployment.state_machine).name(name);
    match call.input(input.to_string()).send().await {
        Ok(started) => Ok(Some(started.execution_arn)),
        Err(error) if code(&error) == Some("ExecutionAlreadyExists") => Ok(None),
        Err(error) => Err(deployment.refused("starting the run", &error)),
    }
}

/// The names of all target groups of the account, each with the balancers that use it.
///
/// # Errors
/// As AWS answers.
pub async fn target_groups(deployment: &Deployment) -> Result<Vec<(String, Vec<String>)>> {
    let groups = deployment.balancer.describe_target_groups().into_paginator().items().send();
    let groups: Vec<_> = match groups.collect::<Result<Vec<_>, _>>().await {
        Ok(groups) => groups,
        Err(error) => bail!(named("reading the target groups", &error).message),
    };
    Ok(groups
        .into_iter()
        .map(|g| (g.target_group_name.unwrap_or_default(), g.load_balancer_arns.unwrap_or_default()))
        .collect())
}
