//! Tags of any resource.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clock::Instant;

use super::{ApiError, Outcome, Scope, at_most_described, nothing};
use crate::core::Core;
use crate::lock::lock;
use crate::world::World;

/// Tags a resource may have.
const MOST_TAGS: usize = 50;

/// The tags of a call that creates a resource, or adds tags to one.
pub(super) fn parse(scope: &Scope<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for tag in scope.members("Tags") {
        let key = tag.required("Key")?;
        let value = tag.text("Value").unwrap_or_default();
        if key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(ApiError::validation(format!("The tag '{key}' is too long")));
        }
        // Tag values are letters, spaces, numbers and these signs: no brackets, quotes or braces.
        let plain = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
        if !key.chars().chain(value.chars()).all(plain) {
            return Err(ApiError::validation(format!("The tag '{key}' contains invalid characters")));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::validation("Tag keys must not start with the reserved prefix 'aws:'"));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::new("DuplicateTagKeys", format!("The tag key '{key}' was given twice")));
        }
    }
    if tags.len() > MOST_TAGS {
        return Err(too_many());
    }
    Ok(tags)
}

fn too_many() -> ApiError {
    ApiError::new("TooManyTags", format!("A resource can have at most {MOST_TAGS} tags"))
}

pub(super) fn add(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    only_one(scope)?;
    let mut world = lock(&core.world);
    let arns = resources(&world, scope)?;
    let tags = parse(scope)?;
    if tags.is_empty() {
        return Err(ApiError::validation("At least one tag is required"));
    }
    for arn in &arns {
        let held: BTreeSet<&String> = world.tags.get(arn).into_iter().flat_map(BTreeMap::keys).collect();
        if held.into_iter().chain(tags.keys()).collect::<BTreeSet<_>>().len() > MOST_TAGS {
            return Err(too_many());
        }
    }
    for arn in arns {
        remember(&mut world, &arn);
        world.tags.entry(arn).or_default().extend(tags.clone());
    }
    Ok(nothing())
}

/// Remembers the tags that a resource has, before they are changed.
fn remember(world: &mut World, arn: &str) {
    let held = world.tags.get(arn).cloned().unwrap_or_default();
    world.past_tags.note(arn, held, Instant::now());
}

pub(super) fn remove(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    only_one(scope)?;
    let mut world = lock(&core.world);
    let arns = resources(&world, scope)?;
    let keys = scope.strings("TagKeys");
    for arn in arns {
        remember(&mut world, &arn);
        if let Some(tags) = world.tags.get_mut(&arn) {
            tags.retain(|key, _| !keys.contains(key));
        }
    }
    Ok(nothing())
}

pub(super) fn describe(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    at_most_described(scope.strings("ResourceArns").len(), "resources")?;
    let world = lock(&core.world);
    let arns = resources(&world, scope)?;
    let found: Vec<(String, BTreeMap<String, String>)> = arns
        .into_iter()
        .map(|arn| {
            let held = world.past_tags.before(&arn, Instant::now(), core.late(&world, &arn));
            let tags = held.or_else(|| world.tags.get(&arn)).cloned().unwrap_or_default();
            (arn, tags)
        })
        .collect();
    Ok(Box::new(move |xml| {
        xml.list("TagDescriptions", found, |xml, (arn, tags)| {
            xml.leaf("ResourceArn", arn);
            xml.list("Tags", tags, |xml, (key, value)| {
                xml.leaf("Key", key);
                xml.leaf("Value", value);
            });
        });
    }))
}

/// AWS tags one resource with a call, although the parameter is a list.
fn only_one(scope: &Scope<'_>) -> Result<(), ApiError> {
    if scope.strings("ResourceArns").len() > 1 {
        return Err(ApiError::validation("Only one resource can be tagged at a time"));
    }
    Ok(())
}

/// The resources that a call names; every one of them has to exist.
fn resources(world: &World, scope: &Scope<'_>) -> Result<Vec<String>, ApiError> {
    let arns = scope.strings("ResourceArns");
    if arns.is_empty() {
        return Err(ApiError::validation("At least one resource ARN is required"));
    }
    for arn in &arns {
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        let (known, code) = match resource.split('/').next().unwrap_or_default() {
            "loadbalancer" => (world.balancer(arn).is_some(), "LoadBalancerNotFound"),
            "targetgroup" => (world.group(arn).is_some(), "TargetGroupNotFound"),
            "listener" => (world.listener(arn).is_some(), "ListenerNotFound"),
            "listener-rule" => (world.listener_of_rule(arn).is_some(), "RuleNotFound"),
            _ => return Err(ApiError::validation(format!("'{arn}' is not a valid resource ARN"))),
        };
        if !known {
            return Err(ApiError::not_found(code));
        }
    }
    Ok(arns)
}
