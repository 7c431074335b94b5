//! What is remembered on the balancer itself.

use std::collections::HashMap;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::Tag;
use futures_util::future::try_join_all;

use super::claims::Fence;
use super::error::named;
use crate::claim::Record;
use crate::contract::{Plan, Route, Weights};
use crate::error::Error;
use crate::request::NOTHING;

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

/// As many resources as one call of the tag APIs takes.
const RESOURCES_PER_CALL: usize = 20;

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

/// Reads the tags of routes or target groups, in their order.
///
/// # Errors
/// As AWS answers.
pub async fn read(client: &Client, arns: &[&str]) -> Result<Vec<Marks>, Error> {
    let calls = arns.chunks(RESOURCES_PER_CALL).map(|chunk| async move {
        let arns = chunk.iter().map(ToString::to_string).collect();
        client.describe_tags().set_resource_arns(Some(arns)).send().await
    });
    let answers = try_join_all(calls).await.map_err(|error| named("reading the routes' tags", &error))?;
    let descriptions = answers.iter().flat_map(|answer| answer.tag_descriptions());
    let mut marks: HashMap<&str, Marks> =
        descriptions.filter_map(|d| Some((d.resource_arn()?, marks(d.tags())))).collect();
    Ok(arns.iter().map(|arn| marks.remove(arn).unwrap_or_default()).collect())
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

/// Claims every route for the plan's execution, with the record of what is put back if it does not
/// come to an end of its own. One call for the routes that are recorded alike: claim and record of a
/// route are written together or not at all.
///
/// # Errors
/// As AWS answers.
pub async fn claim(client: &Client, plan: &Plan, fence: &Fence) -> Result<(), Error> {
    for (record, arns) in alike(plan, |route| plan.record(route)) {
        let tags = [
            (CLAIM, plan.execution.arn.as_str()),
            (BEFORE, &record.before_tag()),
            (STAGES, &record.stages_tag()),
            // What was asked of an earlier run is not asked of this one.
            (REQUEST, NOTHING),
            // Weights that are interrupted at an even split cannot tell which fleet was live.
            (LIVE, &plan.live),
        ];
        add(client, &arns, &tags, fence).await?;
    }
    Ok(())
}

/// The routes that are recorded alike, with their record.
fn alike(plan: &Plan, record: impl Fn(&Route) -> Record) -> Vec<(Record, Vec<String>)> {
    let mut alike: Vec<(Record, Vec<String>)> = Vec::new();
    for route in &plan.routes {
        let record = record(route);
        match alike.iter_mut().find(|(other, _)| *other == record) {
            Some((_, arns)) => arns.push(route.arn.clone()),
            None => alike.push((record, vec![route.arn.clone()])),
        }
    }
    alike
}

/// Removes the claim from routes, and with it what was recorded for a restore unless that is to be
/// `kept` for a person to start one.
///
/// # Errors
/// As AWS answers.
pub async fn release(client: &Client, routes: &[&Route], kept: bool, fence: &Fence) -> Result<(), Error> {
    let keys = if kept { vec![CLAIM, REQUEST] } else { vec![CLAIM, REQUEST, BEFORE, STAGES] };
    let arns: Vec<String> = routes.iter().map(|route| route.arn.clone()).collect();
    for chunk in arns.chunks(RESOURCES_PER_CALL) {
        let call = client.remove_tags().set_resource_arns(Some(chunk.to_vec()));
        call.set_tag_keys(Some(keys.iter().map(ToString::to_string).collect()))
            .customize()
            .config_override(fence.in_time()?)
            .send()
            .await
            .map_err(|error| named("releasing the routes", &error))?;
    }
    Ok(())
}

/// Records on every route that the run has reached its end and with which fleet live, and the release
/// on the fleets that were the standby when the run began, if the operator named one.
///
/// # Errors
/// As AWS answers.
pub async fn record(
    client: &Client,
    plan: &Plan,
    weights: &Weights,
    live: &str,
    fence: &Fence,
) -> Result<(), Error> {
    // Both in one call: a run that is interrupted from here on is not put back any more.
    for (record, arns) in alike(plan, |route| plan.record_of_end(route, weights, live)) {
        add(client, &arns, &[(LIVE, live), (BEFORE, &record.before_tag())], fence).await?;
    }
    if let Some(release) = &plan.release {
        let groups: Vec<String> = plan.apps.iter().map(|app| app.standby_group.clone()).collect();
        add(client, &groups, &[(RELEASE, release)], fence).await?;
    }
    Ok(())
}

async fn add(client: &Client, arns: &[String], tags: &[(&str, &str)], fence: &Fence) -> Result<(), Error> {
    let shown = || tags.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ");
    for chunk in arns.chunks(RESOURCES_PER_CALL) {
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build());
        let call = client.add_tags().set_resource_arns(Some(chunk.to_vec())).set_tags(Some(tags.collect()));
        let call = call.customize().config_override(fence.in_time()?);
        call.send().await.map_err(|error| named(&format!("recording {}", shown()), &error))?;
    }
    Ok(())
}
