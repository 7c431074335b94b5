//! Listeners.

use std::sync::Arc;

use clock::Instant;

use super::paging::page;
use super::{
    ApiError, Outcome, Output, Scope, actions, actions_out, at_most_described, groups, nothing, tags,
};
use crate::core::Core;
use crate::lock::lock;
use crate::model::{Action, Listener};
use crate::proxy::{self, Door};
use crate::world::World;

pub(super) fn create(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let balancer_arn = scope.required("LoadBalancerArn")?;
    let port = groups::port(scope)?.ok_or_else(|| ApiError::validation("A listener needs a port"))?;
    let protocol = scope.text("Protocol").unwrap_or("HTTP");
    if !matches!(protocol, "HTTP" | "HTTPS") {
        return Err(ApiError::new(
            "UnsupportedProtocol",
            format!("'{protocol}' is not a protocol of a listener"),
        ));
    }
    let certificates: Vec<String> = scope
        .members("Certificates")
        .iter()
        .filter_map(|certificate| certificate.text("CertificateArn").map(str::to_owned))
        .collect();
    if protocol == "HTTPS" && certificates.is_empty() {
        return Err(ApiError::new("CertificateNotFound", "An HTTPS listener needs a certificate"));
    }
    let tags = tags::parse(scope)?;
    let mut world = lock(&core.world);
    let balancer = world.balancer(balancer_arn).ok_or_else(|| ApiError::not_found("LoadBalancerNotFound"))?;
    let taken = |listener: &Listener| listener.balancer == balancer_arn && listener.port == port;
    if world.listeners.iter().any(taken) {
        let message =
            format!("A listener already exists on this port for this load balancer '{balancer_arn}'");
        return Err(ApiError::new("DuplicateListener", message));
    }
    let default_actions = actions::parse(scope, "DefaultActions", &world, balancer_arn, &[])?;
    // Every balancer shares the one address of this machine, so the port may be taken elsewhere.
    let socket = core.listen(port).map_err(|error| {
        ApiError::new("InvalidConfigurationRequest", format!("Port {port} cannot be listened on: {error}"))
    })?;
    let table = world.compile(balancer, port, protocol, &default_actions, &[]);
    let door = Door::new(table, core.stop.child_token());
    let path = format!("{}/{}", balancer.label, core.id());
    let listener = Listener {
        arn: core.arn(&format!("listener/{path}")),
        balancer: balancer_arn.to_owned(),
        port,
        protocol: protocol.to_owned(),
        certificates,
        default_rule: core.arn(&format!("listener-rule/{path}/{}", core.id())),
        default_actions,
        rules: Vec::new(),
        door: Arc::clone(&door),
    };
    if let Some(socket) = socket {
        tokio::spawn(proxy::serve(Arc::clone(core), door, socket));
    }
    let view = View::new(&listener);
    world.tags.insert(listener.arn.clone(), tags);
    world.listeners.push(listener);
    world.publish(&lock(&core.troubles));
    Ok(output(vec![view], None))
}

pub(super) fn describe(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let arns = scope.strings("ListenerArns");
    at_most_described(arns.len(), "listeners")?;
    let world = lock(&core.world);
    let balancer = scope.text("LoadBalancerArn");
    if arns.is_empty() == balancer.is_none() {
        return Err(ApiError::validation("Either a load balancer or listeners must be specified"));
    }
    if balancer.is_some_and(|arn| world.balancer(arn).is_none()) {
        return Err(ApiError::not_found("LoadBalancerNotFound"));
    }
    for arn in &arns {
        find(&world, arn)?;
    }
    let views = world
        .listeners
        .iter()
        .filter(|listener| arns.contains(&listener.arn) || balancer == Some(&listener.balancer))
        .map(|listener| early(core, &world, listener))
        .collect();
    let (views, next) = page(scope, views)?;
    Ok(output(views, next))
}

/// A listener as a read shows it that may come too early for a change.
fn early(core: &Core, world: &World, listener: &Listener) -> View {
    let late = core.late(world, &listener.arn);
    let held = world.past_actions.before(&listener.default_rule, Instant::now(), late);
    let view = View::new(listener);
    View { actions: held.cloned().unwrap_or(view.actions), ..view }
}

pub(super) fn modify(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let arn = scope.required("ListenerArn")?;
    let mut world = lock(&core.world);
    let listener = find(&world, arn)?;
    for name in ["Port", "Protocol", "SslPolicy", "Certificates"] {
        if scope.has(name) {
            return Err(ApiError::validation(format!("{name} of a listener cannot be changed here")));
        }
    }
    let replaced = if scope.has("DefaultActions") {
        let balancer = listener.balancer.clone();
        Some(actions::parse(scope, "DefaultActions", &world, &balancer, &listener.default_actions)?)
    } else {
        None
    };
    let Some(listener) = world.listener_mut(arn) else {
        return Err(ApiError::not_found("ListenerNotFound"));
    };
    let held = replaced.map(|actions| std::mem::replace(&mut listener.default_actions, actions));
    let (view, default_rule) = (View::new(listener), listener.default_rule.clone());
    if let Some(held) = held {
        world.past_actions.note(&default_rule, held, Instant::now());
    }
    world.publish(&lock(&core.troubles));
    Ok(output(vec![view], None))
}

pub(super) fn delete(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let arn = scope.required("ListenerArn")?;
    let mut world = lock(&core.world);
    let index = world
        .listeners
        .iter()
        .position(|listener| listener.arn == arn)
        .ok_or_else(|| ApiError::not_found("ListenerNotFound"))?;
    world.remove_listener(index);
    world.publish(&lock(&core.troubles));
    Ok(nothing())
}

/// The listener with this ARN.
pub(super) fn find<'a>(world: &'a World, arn: &str) -> Result<&'a Listener, ApiError> {
    world.listener(arn).ok_or_else(|| ApiError::not_found("ListenerNotFound"))
}

/// What an answer says about a listener.
struct View {
    arn: String,
    balancer: String,
    port: u16,
    protocol: String,
    certificates: Vec<String>,
    actions: Vec<Action>,
}

impl View {
    fn new(listener: &Listener) -> Self {
        Self {
            arn: listener.arn.clone(),
            balancer: listener.balancer.clone(),
            port: listener.port,
            protocol: listener.protocol.clone(),
            certificates: listener.certificates.clone(),
            actions: listener.default_actions.clone(),
        }
    }
}

fn output(views: Vec<View>, next: Option<String>) -> Output {
    Box::new(move |xml| {
        xml.list("Listeners", views, |xml, view| {
            xml.leaf("ListenerArn", view.arn);
            xml.leaf("LoadBalancerArn", view.balancer);
            xml.leaf("Port", view.port);
            xml.leaf("Protocol", view.protocol);
            if !view.certificates.is_empty() {
                xml.list("Certificates", view.certificates, |xml, arn| xml.leaf("CertificateArn", arn));
            }
            actions_out::write(xml, "DefaultActions", &view.actions);
        });
        if let Some(next) = next {
            xml.leaf("NextMarker", next);
        }
    })
}
