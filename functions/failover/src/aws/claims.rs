//! Claims on routes: who holds them, and the fence before every write.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::config::{Builder, Config, timeout::TimeoutConfig};
use aws_sdk_sfn::Client as StepFunctions;
use clock::Instant;
use jiff::Timestamp;
use serde_json::Value;

use super::error::{code, named};
use super::tags::{self, Marks};
use crate::model::claim::{Claim, Standing};
use crate::model::error::{Error, Kind};
use crate::model::{Plan, Route};
use crate::run::request::Requests;

/// A look at the claims, after which there is a limited time to write.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    ends: Instant,
}

impl Fence {
    /// From a moment before the claims are looked at. Of the time that a write may take until it
    /// shows, a third is kept for AWS to apply what was sent at the last moment.
    pub fn now(settle_seconds: u32) -> Self {
        Self { ends: Instant::now() + Duration::from_secs(settle_seconds.into()) * 2 / 3 }
    }

    /// Settings of a call that ends, its retries included, before the fence is out of date.
    ///
    /// # Errors
    /// `AwsUnavailable` where it is: the claims have to be looked at again.
    pub fn in_time(&self) -> Result<Builder, Error> {
        let left = self.ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let message = "AWS took so long to answer that the claims on the routes must be read again";
            return Err(Error::new(Kind::AwsUnavailable, message));
        }
        Ok(Config::builder().timeout_config(TimeoutConfig::builder().operation_timeout(left).build()))
    }
}

/// Looks whether every route is still claimed by the plan's execution. A write must follow in time.
///
/// # Errors
/// `Overtaken`, with who holds the route; otherwise as AWS answers.
pub async fn fence(client: &Client, plan: &Plan) -> Result<Fence, Error> {
    fence_of(client, plan, plan.routes.iter().collect()).await.map(|(fence, _)| fence)
}

/// The same for some of the routes, which are written to next: those of them that are not gone.
///
/// # Errors
/// As [`fence`].
pub async fn fence_of<'a>(
    client: &Client,
    plan: &Plan,
    routes: Vec<&'a Route>,
) -> Result<(Fence, Vec<&'a Route>), Error> {
    let fence = Fence::now(plan.settle_seconds);
    let mut held = Vec::new();
    for (route, marks) in marks_of(client, routes).await? {
        let holder = match marks.claim {
            Some(claim) if plan.owns(&claim) => {
                held.push(route);
                continue;
            }
            Some(other) => format!("{other} holds it"),
            // Not even a restore goes on: the interrupted run may have come to its end after all, and
            // another one may have been there since.
            None => "the tag failover:claim was removed".into(),
        };
        return Err(Error::new(
            Kind::Overtaken,
            format!(
                "This run no longer holds {} ({}): {holder}. It writes nothing more; the weights are left to \
                 whoever took the route.",
                route.label, route.arn
            ),
        ));
    }
    Ok((fence, held))
}

/// Those of these routes that the plan's execution holds.
///
/// # Errors
/// As AWS answers.
pub async fn held_of<'a>(
    client: &Client,
    plan: &Plan,
    routes: Vec<&'a Route>,
) -> Result<Vec<&'a Route>, Error> {
    let routes = marks_of(client, routes).await?.into_iter();
    Ok(routes.filter(|(_, m)| m.claim.as_ref().is_some_and(|c| plan.owns(c))).map(|(r, _)| r).collect())
}

/// These routes, each with what its tags say; without those that are gone.
///
/// # Errors
/// As AWS answers.
pub async fn marks_of<'a>(client: &Client, routes: Vec<&'a Route>) -> Result<Vec<(&'a Route, Marks)>, Error> {
    let arns: Vec<&str> = routes.iter().map(|route| route.arn.as_str()).collect();
    let marks = tags::read(client, &arns).await?;
    Ok(routes.into_iter().zip(marks).filter_map(|(route, marks)| Some((route, marks?))).collect())
}

/// What people ask of the run.
///
/// # Errors
/// As AWS answers.
pub async fn requests(client: &Client, plan: &Plan) -> Result<Requests, Error> {
    let routes = marks_of(client, plan.routes.iter().collect()).await?;
    Ok(routes.iter().filter_map(|(_, marks)| marks.request.as_deref()).collect())
}

/// Whose claims these are, in their order. Each execution is asked for once.
///
/// # Errors
/// As AWS answers, but for an execution that is unknown or not ours to look at.
pub async fn owners(
    client: &StepFunctions,
    claims: impl IntoIterator<Item = Option<String>>,
    own: &str,
    now: Timestamp,
) -> Result<Vec<Claim>, Error> {
    let mut known: HashMap<String, Claim> = HashMap::new();
    let mut owners = Vec::new();
    for claim in claims {
        owners.push(match claim {
            None => Claim::Free,
            Some(arn) if arn == own => Claim::Own,
            Some(arn) => {
                if !known.contains_key(&arn) {
                    known.insert(arn.clone(), owner(client, &arn, now).await?);
                }
                known[&arn].clone()
            }
        });
    }
    Ok(owners)
}

async fn owner(client: &StepFunctions, arn: &str, now: Timestamp) -> Result<Claim, Error> {
    match standing(client, arn).await {
        Ok((standing, _)) => Ok(standing.claim(arn, now)),
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
        Err(Lookup::Refused(why)) => Err(Error::new(Kind::AwsRefused, why)),
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
            (_, Kind::AwsRefused) => Lookup::Refused(named.message),
            _ => Lookup::Failed(named),
        }
    })?;
    let stopped_at = answer.stop_date().and_then(|at| Timestamp::from_second(at.secs()).ok());
    let standing = Standing {
        status: answer.status().as_str().to_owned(),
        error: answer.error().map(Into::into),
        stopped_at,
    };
    Ok((standing, answer.input().unwrap_or_default().to_owned()))
}
