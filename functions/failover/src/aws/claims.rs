//! Claims on apps: who holds them, and the fence before every write.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::config::{Builder, Config, timeout::TimeoutConfig};
use aws_sdk_sfn::Client as StepFunctions;
use clock::Instant;
use serde_json::Value;

use super::error::{code, named};
use super::tags::{self, Marks};
use crate::model::claim::{Claim, Standing};
use crate::model::error::{Error, ErrorKind};
use crate::model::hold::{Held, Hold};
use crate::model::{Plan, PlannedApp};
use crate::run::request::Requests;

/// A look at the claims, after which there is a limited time to write.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    ends: Instant,
}

impl Fence {
    /// From a moment before the claims are looked at. Of the time that a write may take until it
    /// shows, a third is kept for AWS to apply what was sent at the last moment.
    pub fn now(propagation_seconds: u32) -> Self {
        Self { ends: Instant::now() + Duration::from_secs(propagation_seconds.into()) * 2 / 3 }
    }

    /// Settings of a call that ends, its retries included, before the fence is out of date.
    ///
    /// # Errors
    /// `AwsUnavailable` where it is: the claims have to be looked at again.
    pub fn in_time(&self) -> Result<Builder, Error> {
        let left = self.ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let message = "AWS took so long to answer that the claims on the apps must be read again";
            return Err(Error::new(ErrorKind::AwsUnavailable, message));
        }
        Ok(Config::builder().timeout_config(TimeoutConfig::builder().operation_timeout(left).build()))
    }
}

/// Looks whether every app is still claimed by the plan's execution. A write must follow in time.
///
/// # Errors
/// `ExternalChange`, with who holds the app; `AwsRefused` where somebody has removed the claim, so that others take
/// the app for free; otherwise as AWS answers.
pub async fn fence(client: &Client, plan: &Plan) -> Result<Fence, Error> {
    let (fence, holds) = look(client, plan, plan.held_apps()).await?;
    match holds.into_iter().find(|(_, hold)| *hold == Hold::Stripped) {
        None => Ok(fence),
        Some((app, _)) => Err(Error::new(
            ErrorKind::AwsRefused,
            format!(
                "the tag failover:claim of {} was removed, so that nobody sees that {} is taken; infrastructure code \
                 has to leave tags alone that begin with failover:",
                app.lock(),
                app.name
            ),
        )),
    }
}

/// The same for the way back, and for what claims the apps anyway: with those of the apps whose claim is not the
/// run's own one. Somebody has removed it, or it is that of the run that it restores.
///
/// Only a run that goes on writes there: an invocation of one that was stopped may come here when its restore is
/// long over.
///
/// # Errors
/// As [`fence`], but for a claim that was removed.
pub async fn fence_back<'a>(
    (client, step_functions): (&Client, &StepFunctions),
    plan: &'a Plan,
    apps: impl Iterator<Item = &'a PlannedApp>,
) -> Result<(Fence, Vec<&'a PlannedApp>), Error> {
    let (fence, holds) = look(client, plan, apps).await?;
    let others: Vec<&PlannedApp> =
        holds.into_iter().filter(|(_, hold)| *hold != Hold::Own).map(|(app, _)| app).collect();
    if !others.is_empty() && !is_running(step_functions, &plan.execution.arn).await? {
        return Err(Error::new(ErrorKind::AwsRefused, "The execution was stopped; it writes nothing more."));
    }
    Ok((fence, others))
}

/// What the run finds of its claims on these apps, none of which is somebody else's.
async fn look<'a>(
    client: &Client,
    plan: &Plan,
    apps: impl Iterator<Item = &'a PlannedApp>,
) -> Result<(Fence, Vec<(&'a PlannedApp, Hold)>), Error> {
    let fence = Fence::now(plan.propagation_seconds);
    let mut holds = Vec::new();
    for (app, marks) in marks_of(client, apps).await? {
        let hold = plan.hold(marks.held.as_ref());
        if let (Hold::Lost, Some(Held { execution, .. })) = (hold, &marks.held) {
            // Not even a restore goes on where its own run has given the app back: it may have come to its end
            // after all, and another one may have been there since.
            return Err(Error::new(
                ErrorKind::ExternalChange,
                format!(
                    "This run no longer holds {} ({}): {execution} held it last. It writes nothing more; the weights \
                     are left to whoever took the app.",
                    app.name,
                    app.lock()
                ),
            ));
        }
        holds.push((app, hold));
    }
    Ok((fence, holds))
}

/// Those of these apps that the plan's execution holds, for a write that must follow in time.
///
/// # Errors
/// As AWS answers.
pub async fn held_of<'a>(
    client: &Client,
    plan: &Plan,
    apps: impl Iterator<Item = &'a PlannedApp>,
) -> Result<(Fence, Vec<&'a PlannedApp>), Error> {
    let fence = Fence::now(plan.propagation_seconds);
    let apps = marks_of(client, apps).await?.into_iter();
    Ok((fence, apps.filter(|(_, m)| plan.hold(m.held.as_ref()).is_held()).map(|(app, _)| app).collect()))
}

/// These apps, each with what the tags of its lock say: nothing where that group is gone.
///
/// # Errors
/// As AWS answers.
pub async fn marks_of<'a>(
    client: &Client,
    apps: impl Iterator<Item = &'a PlannedApp>,
) -> Result<Vec<(&'a PlannedApp, Marks)>, Error> {
    let apps: Vec<&PlannedApp> = apps.collect();
    let locks: Vec<&str> = apps.iter().map(|app| app.lock().as_str()).collect();
    let marks = tags::read(client, &locks).await?.into_iter().map(Option::unwrap_or_default);
    Ok(apps.into_iter().zip(marks).collect())
}

/// What people ask of the run.
///
/// # Errors
/// As AWS answers.
pub async fn requests(client: &Client, plan: &Plan) -> Result<Requests, Error> {
    let apps = marks_of(client, plan.held_apps()).await?;
    Ok(apps.iter().filter_map(|(_, marks)| marks.request.as_deref()).collect())
}

/// Whose claims these are, in their order. Each execution is asked for once.
///
/// # Errors
/// As AWS answers, but for an execution that is unknown or not ours to look at.
pub async fn owners(
    client: &StepFunctions,
    claims: impl IntoIterator<Item = Option<Held>>,
    own: &str,
) -> Result<Vec<Claim>, Error> {
    let mut known: HashMap<String, Claim> = HashMap::new();
    let mut owners = Vec::new();
    for claim in claims {
        owners.push(match claim {
            None => Claim::Free,
            Some(held) if held.reached.is_over() => Claim::Free,
            Some(held) if held.execution == own => Claim::Own,
            Some(Held { execution, .. }) => {
                if !known.contains_key(&execution) {
                    known.insert(execution.clone(), owner(client, &execution).await?);
                }
                known[&execution].clone()
            }
        });
    }
    Ok(owners)
}

async fn owner(client: &StepFunctions, arn: &str) -> Result<Claim, Error> {
    match standing(client, arn).await {
        Ok((standing, _)) => Ok(standing.claim(arn)),
        // Step Functions forgets an execution after 90 days.
        Err(Lookup::Gone) => Ok(Claim::Ended(arn.to_owned())),
        Err(Lookup::Refused(why)) => Ok(Claim::Unclear(arn.to_owned(), why)),
        Err(Lookup::Failed(error)) => Err(error),
    }
}

/// Whether the plan's own execution is still running. One that was stopped has a function left that
/// does not know it yet.
///
/// # Errors
/// As AWS answers.
pub async fn is_running(client: &StepFunctions, execution: &str) -> Result<bool, Error> {
    match standing(client, execution).await {
        Ok((standing, _)) => Ok(!standing.is_interrupted()),
        Err(Lookup::Failed(error)) => Err(error),
        Err(Lookup::Gone) => Ok(false),
        Err(Lookup::Refused(why)) => Err(Error::new(ErrorKind::AwsRefused, why)),
    }
}

/// The input with which an execution was started.
///
/// # Errors
/// `PlanRejected` where it cannot be learnt; otherwise as AWS answers.
pub async fn input_of(client: &StepFunctions, execution: &str) -> Result<Value, Error> {
    let unknown = |why: &str| {
        Error::rejected(format!(
            "`execution`: what {execution} was started with cannot be learnt ({why}). Give `app` instead. Nothing \
             was touched."
        ))
    };
    match standing(client, execution).await {
        Ok((_, input)) => serde_json::from_str(&input).map_err(|_| unknown("its input is not JSON")),
        Err(Lookup::Gone) => Err(unknown("it does not exist")),
        Err(Lookup::Refused(why)) => Err(unknown(&why)),
        Err(Lookup::Failed(error)) => Err(error),
    }
}

enum Lookup {
    Gone,
    Refused(String),
    Failed(Error),
}

async fn standing(client: &StepFunctions, arn: &str) -> Result<(Standing, String), Lookup> {
    let answer = client.describe_execution().execution_arn(arn).send().await.map_err(|error| {
        let named = named(&format!("looking at the execution {arn}"), &error);
        match (code(&error), named.kind) {
            (Some("ExecutionDoesNotExist"), _) => Lookup::Gone,
            (_, ErrorKind::AwsRefused) => Lookup::Refused(named.message),
            _ => Lookup::Failed(named),
        }
    })?;
    let standing =
        Standing { status: answer.status().as_str().to_owned(), error: answer.error().map(Into::into) };
    Ok((standing, answer.input().unwrap_or_default().to_owned()))
}
