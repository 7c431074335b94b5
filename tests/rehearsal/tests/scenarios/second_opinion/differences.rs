//! Where our balancer and moto differ, on purpose: as far as is known, AWS does as ours does.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// Checks that both sides say the same but for the differences listed below, and that each of those
/// is still there: moto may have learnt.
pub fn check(ours: &Value, theirs: &Value) -> Result<()> {
    let mut found = Vec::new();
    compare("", ours, theirs, &mut found);
    let mut known: Vec<Difference> = lenient().chain(incomplete()).chain(wrong()).collect();
    let surprises: Vec<String> =
        found.iter().filter(|f| !known.iter().any(|k| k.explains(f))).map(ToString::to_string).collect();
    ensure!(surprises.is_empty(), "our balancer and moto differ:\n{}", surprises.join("\n"));
    known.retain(|k| !found.iter().any(|f| k.explains(f)));
    let settled: Vec<String> = known.iter().map(ToString::to_string).collect();
    ensure!(settled.is_empty(), "listed, but no difference any more:\n{}", settled.join("\n"));
    Ok(())
}

/// A value that the two show differently; null is a value that is not shown.
struct Difference {
    /// The step and the way to the value, or the end of that way where it is in several answers.
    at: String,
    ours: Value,
    motos: Value,
}

impl Difference {
    fn new(at: impl Into<String>, ours: Value, motos: Value) -> Self {
        Self { at: at.into(), ours, motos }
    }

    fn explains(&self, found: &Self) -> bool {
        let before = found.at.strip_suffix(&self.at);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
            && (&self.ours, &self.motos) == (&found.ours, &found.motos)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ours {}, moto's {}", self.at, self.ours, self.motos)
    }
}

fn compare(at: &str, ours: &Value, motos: &Value, found: &mut Vec<Difference>) {
    let below =
        |part: &dyn fmt::Display| if at.is_empty() { part.to_string() } else { format!("{at}/{part}") };
    match (ours, motos) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                compare(&below(key), &ours[key], &motos[key], found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (ours, motos)) in a.iter().zip(b).enumerate() {
                compare(&below(&index), ours, motos, found);
            }
        }
        _ if ours == motos => {}
        _ => found.push(Difference::new(at, ours.clone(), motos.clone())),
    }
}

/// What AWS refuses, ours too, while moto takes it.
fn lenient() -> impl Iterator<Item = Difference> {
    let cases = [
        // Weights end at 999, an action at five groups, each of them once and at least one.
        ("weight of 1000", "ValidationError"),
        ("six groups", "TooManyTargetGroups"),
        ("a group twice", "ValidationError"),
        ("no group", "ValidationError"),
        // Beside ForwardConfig, TargetGroupArn may repeat a single group.
        ("TargetGroupArn beside two groups", "InvalidLoadBalancerAction"),
        // Exactly one action routes, the last by order, and several need an order each.
        ("two actions without order", "InvalidLoadBalancerAction"),
        ("two forwards", "InvalidLoadBalancerAction"),
        ("forward before the sign-in", "InvalidLoadBalancerAction"),
        ("sign-in alone", "InvalidLoadBalancerAction"),
        // A secret is either given or kept, and only one that was given before can be kept.
        ("no secret to keep", "InvalidLoadBalancerAction"),
        ("sign-in without secret", "InvalidLoadBalancerAction"),
        ("secret given and kept", "InvalidLoadBalancerAction"),
        // A default action is changed through its listener, with the same checks.
        ("default rule by ModifyRule", "OperationNotPermitted"),
        // What is no ARN is refused before anything is looked for.
        ("default action to an unknown group", "ValidationError"),
        // moto keeps both by ids that it has just made up, so that it never finds another.
        ("balancer of the same name", "DuplicateLoadBalancerName"),
        ("listener on the same port", "DuplicateListener"),
        // DescribeTags takes 20 resources, all of which have to exist.
        ("tags of 21 resources", "ValidationError"),
        // One resource is tagged by a call.
        ("two resources tagged at once", "ValidationError"),
        ("two resources untagged at once", "ValidationError"),
        ("unknown rule: describe tags", "RuleNotFound"),
        ("unknown rule: delete", "RuleNotFound"),
    ];
    cases.into_iter().map(|(step, code)| Difference::new(step, json!({ "error": code }), json!("accepted")))
}

/// What AWS fills in, ours too, while moto shows what it was given and nothing else.
fn incomplete() -> impl Iterator<Item = Difference> {
    let one_group = json!({ "groups": [["one", 1]], "sticky": [false, null] });
    let cases = [
        ("create balancer/scheme", json!("internet-facing")),
        ("describe balancer/0/scheme", json!("internet-facing")),
        // A single group is shown both ways, however it was written.
        ("actions/0/forward", one_group),
        ("actions/0/group", json!("one")),
        // A condition written by its values alone is shown both ways.
        ("conditions/0/hostConfig", json!(["fixed.example"])),
        ("conditions/0/hostConfig", json!(["me.example"])),
        ("conditions/0/hostConfig", json!(["three.example"])),
        ("conditions/0/pathConfig", json!(["/weighted/*"])),
        // The defaults of a sign-in.
        ("oidc/cookie", json!("AWSELBAuthSessionCookie")),
        ("oidc/scope", json!("openid")),
        ("oidc/timeout", json!(604_800)),
        ("oidc/unauthenticated", json!("authenticate")),
        ("health of a group not in use/0/reason", json!("Target.NotInUse")),
        // Attributes that moto does not know unless they were set.
        ("stickiness.lb_cookie.duration_seconds", json!("86400")),
        ("target_group_health.dns_failover.minimum_healthy_targets.count", json!("1")),
        ("target_group_health.dns_failover.minimum_healthy_targets.percentage", json!("off")),
        ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", json!("1")),
        ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", json!("off")),
        // All attributes come back from a change, not only the changed ones.
        ("modify attributes/deregistration_delay.timeout_seconds", json!("300")),
        ("modify attributes/load_balancing.algorithm.type", json!("round_robin")),
        ("modify attributes/load_balancing.cross_zone.enabled", json!("use_load_balancer_configuration")),
        ("modify attributes/stickiness.type", json!("lb_cookie")),
    ];
    cases.into_iter().map(|(at, ours)| Difference::new(at, ours, Value::Null))
}

/// What moto shows and AWS does not.
fn wrong() -> impl Iterator<Item = Difference> {
    let port = "the target's port";
    let draining = json!([{
        "checkPort": port, "port": port, "reason": "Target.DeregistrationInProgress", "state": "draining",
        "target": "127.0.0.1",
    }]);
    let cases = [
        // moto keeps the actions as they were sent: with the secret, or with the wish to keep it.
        ("oidc/secret", Value::Null, json!(super::SECRET)),
        ("oidc/useExistingSecret", Value::Null, json!(true)),
        // Rules come by priority, in moto as they were made: 30, 20, 40, 10.
        ("order of the rules/0", json!("10"), json!("30")),
        ("order of the rules/2", json!("30"), json!("40")),
        ("order of the rules/3", json!("40"), json!("10")),
        // A balancer is listed once, in moto once for each rule that leads to the group.
        ("groups in use/one/balancers", json!(["the balancer"]), json!(vec!["the balancer"; 3])),
        ("groups in use/two/balancers", json!(["the balancer"]), json!(vec!["the balancer"; 2])),
        // Targets of a group that no rule holds are not checked; in moto every target is healthy.
        ("health of a group not in use/0/state", json!("unused"), json!("healthy")),
        // Where the check really goes, rather than how it is configured.
        ("checkPort", json!("the target's port"), json!("traffic-port")),
        // Twenty rules are described by a call; moto finds fewer than were named, one of them again and again.
        ("21 rules described/error", json!("ValidationError"), json!("RuleNotFound")),
        // A deregistered target of a group in use is shown while it drains.
        ("health of a group in use without targets", draining, json!([])),
        // An attribute of balancers, not of groups.
        ("waf.fail_open.enabled", Value::Null, json!("false")),
    ];
    cases.into_iter().map(|(at, ours, motos)| Difference::new(at, ours, motos))
}
