//! What is remembered on the balancer itself.

use std::collections::HashMap;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{Tag, TagDescription};

use super::claims::{self, Fence};
use super::error::{code, named};
use super::pace::{Writes, lots, paced};
use crate::model::claim::Record;
use crate::model::error::{Error, Kind};
use crate::model::release::Release;
use crate::model::{Plan, PlannedApp, Route, Weights, release};
use crate::run::request::NOTHING;

/// On every route: which fleet is live.
const LIVE: &str = "failover:live";
/// On every route: the execution that is changing it.
const CLAIM: &str = "failover:claim";
/// On every route: the weights that this execution found, and which fleet was live.
const BEFORE: &str = "failover:before";
/// On every route: the percentages that this execution may put on the standby.
const STAGES: &str = "failover:stages";
/// On every route: what a person asks of that execution.
const REQUEST: &str = "failover:request";
/// On a target group: what its fleet runs.
const RELEASE: &str = "failover:release";

/// As many resources as one call reads the tags of. They are written to one by one: AWS refuses more.
const RESOURCES_PER_CALL: usize = 20;

/// What AWS answers where one of the resources does not exist, for all of them.
const GONE: [&str; 4] = ["RuleNotFound", "ListenerNotFound", "TargetGroupNotFound", "LoadBalancerNotFound"];

/// The project's tags of a route or a target group.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// The fleet that is live.
    pub live: Option<String>,
    /// The execution that claims the route.
    pub claim: Option<String>,
    /// What it has recorded.
    pub record: Option<Record>,
    /// What a person asks of that execution.
    pub request: Option<String>,
    /// Of a target group: what its fleet runs.
    pub release: Option<String>,
}

/// Reads the tags of routes or target groups, in their order; nothing for one that is gone.
///
/// # Errors
/// As AWS answers.
pub async fn read(client: &Client, arns: &[&str]) -> Result<Vec<Option<Marks>>, Error> {
    let answers = paced(arns.chunks(RESOURCES_PER_CALL).map(|some| describe(client, some))).await?;
    let mut known: HashMap<String, Marks> = HashMap::new();
    for (some, answer) in arns.chunks(RESOURCES_PER_CALL).zip(answers) {
        let descriptions = if let Some(descriptions) = answer {
            descriptions
        } else {
            // One that is gone fails the reading of all: only one by one do the others answer.
            let one_by_one = paced(some.chunks(1).map(|one| describe(client, one))).await?;
            one_by_one.into_iter().flatten().flatten().collect()
        };
        let marks = descriptions.into_iter().filter_map(|d| Some((d.resource_arn?, marks(&d.tags?))));
        known.extend(marks);
    }
    Ok(arns.iter().map(|arn| known.get(*arn).cloned()).collect())
}

/// The tags of these resources; nothing where one of them is gone.
async fn describe(client: &Client, arns: &[&str]) -> Result<Option<Vec<TagDescription>>, Error> {
    let arns = arns.iter().map(ToString::to_string).collect();
    match client.describe_tags().set_resource_arns(Some(arns)).send().await {
        Ok(answer) => Ok(Some(answer.tag_descriptions.unwrap_or_default())),
        Err(error) if code(&error).is_some_and(|code| GONE.contains(&code)) => Ok(None),
        Err(error) => Err(named("reading the routes' tags", &error)),
    }
}

fn marks(tags: &[Tag]) -> Marks {
    let value = |key| tags.iter().find(|tag| tag.key() == Some(key))?.value();
    Marks {
        live: value(LIVE).map(Into::into),
        claim: value(CLAIM).map(Into::into),
        request: value(REQUEST).map(Into::into),
        release: value(RELEASE).map(Into::into),
        record: value(BEFORE).zip(value(STAGES)).and_then(|(before, stages)| Record::parse(before, stages)),
    }
}

/// Claims routes for the plan's execution, with the record of what is put back if it does not come to
/// an end of its own. One call for each: claim and record of a route are written together or not at all.
///
/// # Errors
/// As AWS answers.
pub async fn claim(
    client: &Client,
    plan: &Plan,
    routes: &[&Route],
    fence: &Fence,
    writes: &mut Writes,
) -> Result<(), Error> {
    let claim = |route: &Route| {
        let record = plan.record(route);
        vec![
            (CLAIM, plan.execution.arn.clone()),
            (BEFORE, record.before_tag()),
            (STAGES, record.stages_tag()),
            // What was asked of an earlier run is not asked of this one.
            (REQUEST, NOTHING.to_owned()),
            // Weights that are interrupted at an even split cannot tell which fleet was live.
            (LIVE, plan.live.clone()),
        ]
    };
    writes.make(routes.iter().map(|route| add(client, &route.arn, claim(route), fence))).await
}

/// Removes the plan's claims from its routes, and with them what was recorded for a restore unless that
/// is to be `kept` for a person to start one. Routes that somebody else took, or that are gone, are left.
/// The routes that were released.
///
/// # Errors
/// As AWS answers.
pub async fn release<'a>(client: &Client, plan: &'a Plan, kept: bool) -> Result<Vec<&'a Route>, Error> {
    let fence = Fence::now(plan.settle_seconds);
    let held = claims::held_of(client, plan, plan.routes.iter().collect()).await?;
    let mut writes = Writes::default();
    let mut released = Vec::new();
    for (number, lot) in lots(&held, plan.settle_seconds).enumerate() {
        if number == 0 {
            writes.make(lot.iter().map(|route| remove(client, route, kept, &fence))).await?;
            released.extend(lot);
            continue;
        }
        let fence = Fence::now(plan.settle_seconds);
        let lot = claims::held_of(client, plan, lot.to_vec()).await?;
        writes.make(lot.iter().map(|route| remove(client, route, kept, &fence))).await?;
        released.extend(lot);
    }
    Ok(released)
}

/// Records on every route that the run has reached its end and with which fleet live, and on the fleets that
/// were the standby when the run began what they run, as far as that is known. Routes that are gone are left
/// out.
///
/// # Errors
/// As AWS answers; `Overtaken` where a route is somebody else's.
pub async fn record(client: &Client, plan: &Plan, weights: &Weights, live: &str) -> Result<(), Error> {
    let mut writes = Writes::default();
    // Both in one call: a run that is interrupted from here on is not put back any more.
    let record = |route: &Route| {
        vec![(LIVE, live.to_owned()), (BEFORE, plan.record_of_end(route, weights, live).before_tag())]
    };
    let (mut fence, mut held) = claims::fence_of(client, plan, plan.routes.iter().collect()).await?;
    for (number, lot) in lots(&held.clone(), plan.settle_seconds).enumerate() {
        if number == 0 {
            held = lot.to_vec();
        } else {
            (fence, held) = claims::fence_of(client, plan, lot.to_vec()).await?;
        }
        writes.make(held.iter().map(|route| add(client, &route.arn, record(route), &fence))).await?;
    }
    releases(client, plan, &mut writes, release::as_it_succeeds).await
}

/// Records, before the first request of the run comes to a standby, that what it runs is not proven.
///
/// # Errors
/// As [`record`].
pub async fn doubt(client: &Client, plan: &Plan) -> Result<(), Error> {
    releases(client, plan, &mut Writes::default(), release::as_it_begins).await
}

/// Writes what the standby of each app runs, where there is something to write.
async fn releases(
    client: &Client,
    plan: &Plan,
    writes: &mut Writes,
    release: fn(&Plan, &PlannedApp) -> Option<Release>,
) -> Result<(), Error> {
    let tags =
        plan.apps.iter().map(|app| release(plan, app).map(|release| (&app.standby_group, release.tag())));
    let groups: Vec<(&String, String)> = tags.flatten().collect();
    for lot in lots(&groups, plan.settle_seconds) {
        let (fence, _) = claims::fence_of(client, plan, plan.routes.iter().collect()).await?;
        let said = lot.iter().map(|(group, tag)| add(client, group, vec![(RELEASE, tag.clone())], &fence));
        writes.make(said).await?;
    }
    Ok(())
}

/// Asks something of the run of a plan, as a person does: on the first route that it still holds, and
/// in place of whatever was asked of it before on any other.
///
/// # Errors
/// `Overtaken` where it holds none any more; otherwise as AWS answers.
pub async fn ask(client: &Client, plan: &Plan, request: &str) -> Result<(), Error> {
    let fence = Fence::now(plan.settle_seconds);
    let found = claims::marks_of(client, plan.routes.iter().collect()).await?;
    let holds = |marks: &Marks| marks.claim.as_ref().is_some_and(|claim| plan.owns(claim));
    let mut held = found.into_iter().filter(|(_, marks)| holds(marks));
    let Some((first, _)) = held.next() else {
        let message = "The run holds none of its routes, so it can be asked for nothing: it has not claimed them yet, or \
                       has given them back";
        return Err(Error::new(Kind::Overtaken, message));
    };
    let asked = held.filter(|(_, marks)| marks.request.as_deref().is_some_and(|asked| asked != NOTHING));
    for (route, _) in asked.collect::<Vec<_>>() {
        add(client, &route.arn, vec![(REQUEST, NOTHING.to_owned())], &fence).await?;
    }
    add(client, &first.arn, vec![(REQUEST, request.to_owned())], &fence).await
}

async fn remove(client: &Client, route: &Route, kept: bool, fence: &Fence) -> Result<(), Error> {
    let keys: &[&str] = if kept { &[CLAIM, REQUEST] } else { &[CLAIM, REQUEST, BEFORE, STAGES] };
    let keys = keys.iter().map(ToString::to_string).collect();
    let call = client.remove_tags().resource_arns(&route.arn).set_tag_keys(Some(keys));
    match call.customize().config_override(fence.in_time()?).send().await {
        Err(error) if code(&error).is_none_or(|code| !GONE.contains(&code)) => {
            Err(named(&format!("releasing {} ({})", route.label, route.arn), &error))
        }
        // What was deleted meanwhile holds no claim any more.
        _ => Ok(()),
    }
}

async fn add(client: &Client, arn: &str, tags: Vec<(&str, String)>, fence: &Fence) -> Result<(), Error> {
    let shown = tags.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ");
    let tags = tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let call = client.add_tags().resource_arns(arn).set_tags(Some(tags));
    let call = call.customize().config_override(fence.in_time()?);
    call.send().await.map(drop).map_err(|error| named(&format!("recording {shown} on {arn}"), &error))
}

#[cfg(test)]
mod tests;
