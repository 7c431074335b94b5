//! Targets and their health.

use clock::Instant;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::groups::{find, port};
use super::{ApiError, Outcome, Scope, Xml, nothing};
use crate::condition::Condition;
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
    group.remove(core.time_compression, |target| {
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
    registered: bool,
}

/// What a target is shown as beside its health, where that is asked for.
#[derive(Clone, Copy)]
struct Extras {
    anomalous: Option<SocketAddr>,
    shifted_away: bool,
}

impl Extras {
    fn write(self, xml: &mut Xml, address: SocketAddr) {
        let anomalous = self.anomalous == Some(address);
        xml.node("AnomalyDetection", |xml| {
            xml.leaf("Result", if anomalous { "anomalous" } else { "normal" });
            xml.leaf("MitigationInEffect", "no");
        });
        let (state, reason, description) = if self.shifted_away {
            (
                "zonal_shift_active",
                "AdministrativeOverride.ZonalShiftActive",
                "Zonal shift is active on target",
            )
        } else {
            ("no_override", "AdministrativeOverride.NoOverride", "No override is currently active on target")
        };
        xml.node("AdministrativeOverride", |xml| {
            xml.leaf("State", state);
            xml.leaf("Reason", reason);
            xml.leaf("Description", description);
        });
    }
}

/// What describes the targets beside their health; none where it is not asked for.
fn extras(scope: &Scope<'_>, condition: &Condition) -> Result<Option<Extras>, ApiError> {
    let asked = scope.strings("Include");
    if let Some(other) = asked.iter().find(|what| !matches!(what.as_str(), "AnomalyDetection" | "All")) {
        return Err(ApiError::validation(format!("'{other}' is not valid for Include")));
    }
    let Condition { anomalous, shifted_away, .. } = *condition;
    Ok((!asked.is_empty()).then_some(Extras { anomalous, shifted_away }))
}

pub(super) fn describe_health(core: &Arc<Core>, scope: &Scope<'_>) -> Outcome {
    let group = find(&lock(&core.world), scope.required("TargetGroupArn")?)?;
    let registered = group.targets();
    let asked = addresses(&group, scope)?;
    let (extras, unused, draining) = {
        let mut condition = lock(&group.condition);
        let unused = unused(&condition, group.user.borrow().is_some());
        (extras(scope, &condition)?, unused, condition.draining(Instant::now()))
    };
    let view = |address, (state, reason), registered| {
        let check_port = check_port(&group, address);
        View { address, check_port, state, reason, registered }
    };
    let leaving = draining.iter().map(|address| {
        let text = "Target deregistration is in progress".to_owned();
        view(*address, ("draining", Some(("Target.DeregistrationInProgress", text))), false)
    });
    let known = registered.iter().map(|target| {
        let state = match unused {
            Some((reason, text)) => ("unused", Some((reason, text.to_owned()))),
            None => state(&lock(&target.health)),
        };
        view(target.address, state, true)
    });
    let known = known.chain(leaving);
    let strangers = asked
        .iter()
        .map(|(address, _)| *address)
        .filter(|address| !draining.contains(address))
        .filter(|address| registered.iter().all(|target| target.address != *address));
    let strangers = strangers.map(|address| {
        let text = "The target is not registered".to_owned();
        view(address, ("unused", Some(("Target.NotRegistered", text))), false)
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
            if let Some(extras) = extras.filter(|_| view.registered) {
                extras.write(xml, view.address);
            }
        });
    }))
}

/// Why no target of a group is used, if so. An instance that is stopped says so wherever its group is.
fn unused(condition: &Condition, in_use: bool) -> Option<(&'static str, &'static str)> {
    if condition.stopped {
        Some(("Target.InvalidState", "Target is in the stopped state"))
    } else if !in_use {
        Some(("Target.NotInUse", "The target group does not receive traffic from a load balancer"))
    } else if condition.zone_not_enabled {
        let text = "Target is in an Availability Zone that is not enabled for the load balancer";
        Some(("Target.NotInUse", text))
    } else {
        None
    }
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
