//! What is remembered on the balancer itself.

use std::collections::HashMap;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::Tag;
use futures_util::future::try_join_all;

use super::error::named;
use crate::contract::Plan;
use crate::error::Error;

/// On every route: which fleet is live.
pub const LIVE: &str = "failover:live";
/// On a target group: what its fleet runs.
pub const RELEASE: &str = "failover:release";

/// As many resources as one call of the tag APIs takes.
const RESOURCES_PER_CALL: usize = 20;

/// Reads the tag `failover:live` of each resource that has one.
///
/// # Errors
/// As AWS answers.
pub async fn live_fleets(client: &Client, arns: &[&str]) -> Result<HashMap<String, String>, Error> {
    let calls = arns.chunks(RESOURCES_PER_CALL).map(|chunk| async move {
        let arns = chunk.iter().map(ToString::to_string).collect();
        client.describe_tags().set_resource_arns(Some(arns)).send().await
    });
    let answers = try_join_all(calls).await.map_err(|error| named("reading the routes' tags", &error))?;
    let descriptions = answers.iter().flat_map(|answer| answer.tag_descriptions());
    Ok(descriptions
        .filter_map(|d| {
            let live = d.tags().iter().find(|tag| tag.key() == Some(LIVE))?;
            Some((d.resource_arn()?.to_owned(), live.value()?.to_owned()))
        })
        .collect())
}

/// Records on every route which fleet is live, and the release on the fleet that was the standby
/// when the run began, if the operator named one.
///
/// # Errors
/// As AWS answers.
pub async fn record(client: &Client, plan: &Plan, live: &str) -> Result<(), Error> {
    let routes: Vec<String> = plan.routes.iter().map(|route| route.arn.clone()).collect();
    for chunk in routes.chunks(RESOURCES_PER_CALL) {
        add(client, chunk.to_vec(), LIVE, live).await?;
    }
    if let Some(release) = &plan.release {
        add(client, vec![plan.standby.target_group_arn.clone()], RELEASE, release).await?;
    }
    Ok(())
}

async fn add(client: &Client, arns: Vec<String>, key: &str, value: &str) -> Result<(), Error> {
    let tag = Tag::builder().key(key).value(value).build();
    client
        .add_tags()
        .set_resource_arns(Some(arns))
        .tags(tag)
        .send()
        .await
        .map(drop)
        .map_err(|error| named(&format!("recording {key} = {value}"), &error))
}
