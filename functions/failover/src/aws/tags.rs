//! What is remembered on the balancer itself: by the tags of an app's target groups, and what concerns the app
//! by those of one of them, its lock. One call changes one resource, so that whatever belongs together is
//! written together or not at all.

use std::collections::HashMap;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{Tag, TagDescription};
use aws_sdk_sfn::Client as StepFunctions;

use super::claims::{self, Fence};
use super::error::{code, named};
use super::pace::{changed, described};
use crate::model::error::{Error, ErrorKind};
use crate::model::hold::Held;
use crate::model::release::{self, Release};
use crate::model::{Plan, PlannedApp};
use crate::run::request::NOTHING;

/// On a lock: which fleet is live.
const LIVE: &str = "failover:live";
/// On a lock: the execution that changed the app last, and what it has reached.
const CLAIM: &str = "failover:claim";
/// On a lock: what a person asks of that execution.
const REQUEST: &str = "failover:request";
/// On a target group: what its fleet runs.
const RELEASE: &str = "failover:release";

/// What AWS answers where one of the resources does not exist, for all of them.
const GONE: [&str; 4] = ["RuleNotFound", "ListenerNotFound", "TargetGroupNotFound", "LoadBalancerNotFound"];

/// The project's tags of a target group.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// The fleet that is live.
    pub live: Option<String>,
    /// Who changed the app last, and what that one has reached.
    pub held: Option<Held>,
    /// What a person asks of that execution.
    pub request: Option<String>,
    /// What the group's fleet runs.
    pub release: Option<String>,
}

/// Reads the tags of target groups, in their order; nothing for one that is gone.
///
/// # Errors
/// As AWS answers.
pub async fn read(client: &Client, arns: &[&str]) -> Result<Vec<Option<Marks>>, Error> {
    let descriptions = described(arns, |some| describe(client, some)).await?;
    let known = descriptions.into_iter().filter_map(|d| Some((d.resource_arn?, marks(&d.tags?))));
    let known: HashMap<String, Marks> = known.collect();
    Ok(arns.iter().map(|arn| known.get(*arn).cloned()).collect())
}

/// The tags of these resources; nothing where one of them is gone.
async fn describe(client: &Client, arns: &[&str]) -> Result<Option<Vec<TagDescription>>, Error> {
    let arns = arns.iter().map(ToString::to_string).collect();
    match client.describe_tags().set_resource_arns(Some(arns)).send().await {
        Ok(answer) => Ok(Some(answer.tag_descriptions.unwrap_or_default())),
        Err(error) if code(&error).is_some_and(|code| GONE.contains(&code)) => Ok(None),
        Err(error) => Err(named("reading the tags of the target groups", &error)),
    }
}

fn marks(tags: &[Tag]) -> Marks {
    let value = |key| tags.iter().find(|tag| tag.key() == Some(key))?.value();
    Marks {
        live: value(LIVE).map(Into::into),
        held: value(CLAIM).map(Held::parse),
        request: value(REQUEST).map(Into::into),
        release: value(RELEASE).map(Into::into),
    }
}

/// Claims these apps for the plan's execution, lot by lot. `check` looks at a lot, and says which of it are
/// claimed.
///
/// # Errors
/// As the checks, or as AWS answers.
pub async fn claim<'a>(
    client: &Client,
    plan: &Plan,
    apps: &'a [&'a PlannedApp],
    mut check: impl AsyncFnMut(&'a [&'a PlannedApp]) -> Result<(Fence, Vec<&'a PlannedApp>), Error>,
) -> Result<(), Error> {
    let tags = || {
        vec![
            (CLAIM, plan.claim().tag()),
            // What was asked of an earlier run is not asked of this one.
            (REQUEST, NOTHING.to_owned()),
            // Weights that are interrupted at an even split cannot tell which fleet was live.
            (LIVE, plan.live.clone()),
        ]
    };
    changed(apps, plan.propagation_seconds, async |lot| {
        let (fence, apps) = check(lot).await?;
        Ok(apps.into_iter().map(|app| add(client, app.lock(), tags(), fence)).collect())
    })
    .await
}

/// Looks at the claims for the way back, and whether some had to be made again: where somebody has removed one,
/// or that of the interrupted run came late. The way back goes on at once, since whoever has seen the app free
/// meanwhile settles before it writes, and reads back; but it has to settle once more.
///
/// # Errors
/// As [`claims::fence_back`].
pub async fn fence_back(clients: (&Client, &StepFunctions), plan: &Plan) -> Result<(Fence, bool), Error> {
    let (fence, others) = claims::fence_back(clients, plan, plan.held_apps()).await?;
    if others.is_empty() {
        return Ok((fence, false));
    }
    tracing::warn!(app = %plan.app, execution = plan.execution.arn, apps = others.len(), "claims are made again");
    claim(clients.0, plan, &others, async |lot| {
        claims::fence_back(clients, plan, lot.iter().copied()).await.map(|(fence, _)| (fence, lot.to_vec()))
    })
    .await?;
    Ok((claims::fence(clients.0, plan).await?, true))
}

/// Gives the apps of a plan back that it holds, as the claim for its ending says. The apps that were given back.
///
/// # Errors
/// As AWS answers.
pub async fn release<'a>(
    client: &Client,
    plan: &'a Plan,
    after: &Held,
) -> Result<Vec<&'a PlannedApp>, Error> {
    let tags = || vec![(CLAIM, after.tag()), (REQUEST, NOTHING.to_owned())];
    let (_, held) = claims::held_of(client, plan, plan.held_apps()).await?;
    changed(&held, plan.propagation_seconds, async |lot| {
        let (fence, held) = claims::held_of(client, plan, lot.iter().copied()).await?;
        Ok(held.into_iter().map(|app| add(client, app.lock(), tags(), fence)).collect())
    })
    .await?;
    Ok(held)
}

/// Records on every app that the run has reached its end and with which fleet live, in one call each: a run that
/// is interrupted from here on is not put back any more. Then on the fleets that were the standby when the run
/// began what they run, as far as that is known.
///
/// # Errors
/// As AWS answers; `ExternalChange` where an app is somebody else's.
pub async fn record(
    (client, step_functions): (&Client, &StepFunctions),
    plan: &Plan,
    live: &str,
) -> Result<(), Error> {
    let apps: Vec<&PlannedApp> = plan.held_apps().collect();
    let tags = || vec![(LIVE, live.to_owned()), (CLAIM, plan.claim_at_end().tag())];
    // What is written is a claim as well, so that one that somebody has removed is no hindrance.
    changed(&apps, plan.propagation_seconds, async |lot| {
        let clients = (client, step_functions);
        let (fence, _) = claims::fence_back(clients, plan, lot.iter().copied()).await?;
        Ok(lot.iter().map(|app| add(client, app.lock(), tags(), fence)).collect())
    })
    .await?;
    releases(client, plan, release::as_it_succeeds).await
}

/// Records, before the first request of the run comes to a standby, that what it runs is not proven.
///
/// # Errors
/// As [`record`].
pub async fn doubt(client: &Client, plan: &Plan) -> Result<(), Error> {
    releases(client, plan, release::as_it_begins).await
}

/// Writes what the standby of each app runs, where there is something to write.
async fn releases(
    client: &Client,
    plan: &Plan,
    release: fn(&Plan, &PlannedApp) -> Option<Release>,
) -> Result<(), Error> {
    let tags =
        plan.held_apps().map(|app| release(plan, app).map(|release| (&app.standby_group, release.tag())));
    let groups: Vec<(&String, String)> = tags.flatten().collect();
    changed(&groups, plan.propagation_seconds, async |lot| {
        let fence = claims::fence(client, plan).await?;
        Ok(lot.iter().map(|(group, tag)| add(client, group, vec![(RELEASE, tag.clone())], fence)).collect())
    })
    .await
}

/// Asks something of the run of a plan, as a person does: of the first app that it still holds, and in place of
/// whatever was asked of it before of any other.
///
/// # Errors
/// `ExternalChange` where it holds none any more; otherwise as AWS answers.
pub async fn ask(client: &Client, plan: &Plan, request: &str) -> Result<(), Error> {
    let fence = Fence::now(plan.propagation_seconds);
    let found = claims::marks_of(client, plan.held_apps()).await?;
    let mut held = found.into_iter().filter(|(_, marks)| plan.hold(marks.held.as_ref()).is_held());
    let Some((first, _)) = held.next() else {
        let message = "The run holds none of its apps, so it can be asked for nothing: it has not claimed them yet, or \
                       has given them back";
        return Err(Error::new(ErrorKind::ExternalChange, message));
    };
    let asked = held.filter(|(_, marks)| marks.request.as_deref().is_some_and(|asked| asked != NOTHING));
    for (app, _) in asked {
        add(client, app.lock(), vec![(REQUEST, NOTHING.to_owned())], fence).await?;
    }
    add(client, first.lock(), vec![(REQUEST, request.to_owned())], fence).await
}

async fn add(client: &Client, arn: &str, tags: Vec<(&str, String)>, fence: Fence) -> Result<(), Error> {
    let shown = tags.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ");
    let tags = tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let call = client.add_tags().resource_arns(arn).set_tags(Some(tags));
    let call = call.customize().config_override(fence.in_time()?);
    call.send().await.map(drop).map_err(|error| named(&format!("recording {shown} on {arn}"), &error))
}

#[cfg(test)]
mod tests;
