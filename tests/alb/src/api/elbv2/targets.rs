//! Targets and their health.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::groups::{find, port};
use super::{ApiError, Outcome, Scope, nothing};
use crate::core::Core;
use crate::group::{Group, Health, Ill};
use crate::lock::lock;

pub(super) fn register(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let group = find(&lock(&core.world), scope.required("TargetGroupArn")?)?;
    let addresses = addresses(&group, scope)?;
    if addresses.is_empty() {
        return Err(ApiError::validation("At least one target is required"));
    }
    for (address, _) in addresses {
        core.register(&group, address);
    }
    Ok(nothing())
}

pub(super) fn deregister(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let group = find(&lock(&core.world), scope.required("TargetGroupArn")?)?;
    let addresses = addresses(&group, scope)?;
    group.remove(|target| {
        addresses.iter().any(|(address, exact)| {
            address.ip() == target.address.ip() && (!exact || address.port() == target.address.port())
        })
    });
    Ok(nothing())
}

/// The targets that a call names, and whether it names a port too.
fn addresses(group: &Group, scope: &Scope<'_>) -> Result<Vec<(SocketAddr, bool)>, ApiError> {
    scope
        .members("Targets")
        .iter()
        .map(|target| {
            let id = target.required("Id")?;
            let ip: Ipv4Addr = id
                .parse()
                .map_err(|_| ApiError::new("InvalidTarget", format!("'{id}' is not an IPv4 address")))?;
            if !ip.is_loopback() {
                return Err(ApiError::new("InvalidTarget", format!("'{id}' is not on this machine")));
            }
            let port = port(target)?;
            Ok((SocketAddr::from((ip, port.unwrap_or(group.port))), port.is_some()))
        })
        .collect()
}

/// What an answer says about one target.
struct View {
    address: SocketAddr,
    check_port: String,
    state: &'static str,
    reason: Option<(&'static str, String)>,
}

pub(super) fn describe_health(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let group = find(&lock(&core.world), scope.required("TargetGroupArn")?)?;
    let registered = group.targets();
    let used = group.user.borrow().is_some();
    let asked = addresses(&group, scope)?;
    let known = registered.iter().map(|target| {
        let (state, reason) = if used {
            state(&lock(&target.health))
        } else {
            let text = "The target group does not receive traffic from a load balancer";
            ("unused", Some(("Target.NotInUse", text.to_owned())))
        };
        View { address: target.address, check_port: check_port(&group, target.address), state, reason }
    });
    let strangers = asked
        .iter()
        .map(|(address, _)| *address)
        .filter(|address| registered.iter().all(|target| target.address != *address));
    let strangers = strangers.map(|address| View {
        address,
        check_port: check_port(&group, address),
        state: "unused",
        reason: Some(("Target.NotRegistered", "The target is not registered".to_owned())),
    });
    let views: Vec<View> = known
        .filter(|view| asked.is_empty() || asked.iter().any(|(address, _)| *address == view.address))
        .chain(strangers)
        .collect();
    Ok(Box::new(move |xml| {
        xml.list("TargetHealthDescriptions", views, |xml, view| {
            xml.node("Target", |xml| {
                xml.leaf("Id", view.address.ip());
                xml.leaf("Port", view.address.port());
            });
            xml.leaf("HealthCheckPort", view.check_port);
            xml.node("TargetHealth", |xml| {
                xml.leaf("State", view.state);
                if let Some((reason, description)) = view.reason {
                    xml.leaf("Reason", reason);
                    xml.leaf("Description", description);
                }
            });
        });
    }))
}

fn check_port(group: &Group, address: SocketAddr) -> String {
    match group.check.port.as_str() {
        "traffic-port" => address.port().to_string(),
        port => port.to_owned(),
    }
}

fn state(health: &Health) -> (&'static str, Option<(&'static str, String)>) {
    match health {
        Health::Healthy => ("healthy", None),
        Health::Initial => (
            "initial",
            Some(("Elb.InitialHealthChecking", "The first health checks are in progress".to_owned())),
        ),
        Health::Unhealthy(ill) => {
            let reason = match ill {
                Ill::Failed => ("Target.FailedHealthChecks", "Health checks failed".to_owned()),
                Ill::Timeout => ("Target.Timeout", "Request timed out".to_owned()),
                Ill::Code(code) => (
                    "Target.ResponseCodeMismatch",
                    format!("Health checks failed with these codes: [{code}]"),
                ),
            };
            ("unhealthy", Some(reason))
        }
    }
}
