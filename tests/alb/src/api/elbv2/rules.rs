//! Listener rules.

use std::sync::Arc;

use clock::Instant;

use super::listeners::find;
use super::paging::page;
use super::{
    ApiError, Outcome, Output, Scope, actions, actions_out, at_most_described, conditions, nothing, tags,
};
use crate::core::Core;
use crate::lock::lock;
use crate::model::{Listener, Rule};
use crate::world::World;

/// Rules that a balancer may have, apart from the default ones.
const MOST_RULES: usize = 100;

pub(super) fn create(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    no_transforms(scope)?;
    let listener_arn = scope.required("ListenerArn")?;
    let priority = scope
        .within("Priority", 1, 50_000)?
        .ok_or_else(|| ApiError::validation("A rule needs a priority"))?;
    let tags = tags::parse(scope)?;
    let mut world = lock(&core.world);
    let listener = find(&world, listener_arn)?;
    let balancer = listener.balancer.clone();
    if listener.rules.iter().any(|rule| rule.priority == priority) {
        return Err(ApiError::new("PriorityInUse", format!("Priority '{priority}' is currently in use")));
    }
    let conditions = conditions::parse(scope)?;
    let actions = actions::parse(scope, "Actions", &world, &balancer, &[])?;
    let siblings = world.listeners.iter().filter(|listener| listener.balancer == balancer);
    if siblings.map(|listener| listener.rules.len()).sum::<usize>() >= MOST_RULES {
        return Err(ApiError::new(
            "TooManyRules",
            format!("A load balancer can have at most {MOST_RULES} rules"),
        ));
    }
    let (parent, _) = listener.default_rule.rsplit_once('/').unwrap_or_default();
    let rule = Rule { arn: format!("{parent}/{}", core.id()), priority, conditions, actions };
    let view = View::of(&rule);
    world.tags.insert(rule.arn.clone(), tags);
    if let Some(listener) = world.listener_mut(listener_arn) {
        listener.rules.push(rule);
        listener.rules.sort_by_key(|rule| rule.priority);
    }
    world.publish(&lock(&core.troubles));
    Ok(output(vec![view], None))
}

pub(super) fn describe(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let arns = scope.strings("RuleArns");
    at_most_described(arns.len(), "listener rules")?;
    let world = lock(&core.world);
    let views = match scope.text("ListenerArn") {
        Some(_) if !arns.is_empty() => {
            return Err(ApiError::validation("Either a listener or rules must be specified, not both"));
        }
        Some(arn) => all(find(&world, arn)?),
        None if arns.is_empty() => {
            return Err(ApiError::validation("Either a listener or rules must be specified"));
        }
        None => {
            for arn in &arns {
                owner(&world, arn)?;
            }
            world.listeners.iter().flat_map(all).filter(|view| arns.contains(&view.rule.arn)).collect()
        }
    };
    let (views, next) = page(scope, early(core, &world, views))?;
    Ok(output(views, next))
}

pub(super) fn modify(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    no_transforms(scope)?;
    let arn = scope.required("RuleArn")?;
    let mut world = lock(&core.world);
    let listener = owner(&world, arn)?;
    let mut rule = not_default(listener, arn)?.clone();
    if scope.has("Conditions") {
        rule.conditions = conditions::parse(scope)?;
    }
    if scope.has("Actions") {
        rule.actions = actions::parse(scope, "Actions", &world, &listener.balancer, &rule.actions)?;
    }
    let view = View::of(&rule);
    if let Some(stored) = world.rule_mut(arn) {
        let held = std::mem::replace(stored, rule).actions;
        world.past_actions.note(arn, held, Instant::now());
    }
    world.publish(&lock(&core.troubles));
    Ok(output(vec![view], None))
}

pub(super) fn delete(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let arn = scope.required("RuleArn")?;
    let mut world = lock(&core.world);
    not_default(owner(&world, arn)?, arn)?;
    world.remove_rule(arn);
    world.publish(&lock(&core.troubles));
    Ok(nothing())
}

/// Views as a read shows them that may come too early for a change.
fn early(core: &Core, world: &World, mut views: Vec<View>) -> Vec<View> {
    for View { rule, .. } in &mut views {
        let late = core.late(world, &rule.arn);
        if let Some(held) = world.past_actions.before(&rule.arn, Instant::now(), late) {
            rule.actions.clone_from(held);
        }
    }
    views
}

fn no_transforms(scope: &Scope<'_>) -> Result<(), ApiError> {
    if scope.has("Transforms") || scope.has("ResetTransforms") {
        return Err(ApiError::validation("Transforms are not available here"));
    }
    Ok(())
}

fn owner<'a>(world: &'a World, arn: &str) -> Result<&'a Listener, ApiError> {
    world.listener_of_rule(arn).ok_or_else(|| ApiError::not_found("RuleNotFound"))
}

fn not_default<'a>(listener: &'a Listener, arn: &str) -> Result<&'a Rule, ApiError> {
    listener.rules.iter().find(|rule| rule.arn == arn).ok_or_else(|| {
        ApiError::new("OperationNotPermitted", format!("The default rule '{arn}' belongs to its listener"))
    })
}

/// What an answer says about a rule.
struct View {
    rule: Rule,
    default: bool,
}

impl View {
    fn of(rule: &Rule) -> Self {
        Self { rule: rule.clone(), default: false }
    }
}

/// The rules of a listener, the default one last.
fn all(listener: &Listener) -> Vec<View> {
    let default = Rule {
        arn: listener.default_rule.clone(),
        priority: 0,
        conditions: Vec::new(),
        actions: listener.default_actions.clone(),
    };
    listener.rules.iter().map(View::of).chain([View { rule: default, default: true }]).collect()
}

fn output(views: Vec<View>, next: Option<String>) -> Output {
    Box::new(move |xml| {
        xml.list("Rules", views, |xml, View { rule, default }| {
            xml.leaf("RuleArn", rule.arn);
            if default {
                xml.leaf("Priority", "default");
            } else {
                xml.leaf("Priority", rule.priority);
            }
            conditions::write(xml, &rule.conditions);
            actions_out::write(xml, "Actions", &rule.actions);
            xml.leaf("IsDefault", default);
        });
        if let Some(next) = next {
            xml.leaf("NextMarker", next);
        }
    })
}
