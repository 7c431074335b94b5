//! A plan for unit tests.

use serde_json::{Value, json};

use crate::contract::Plan;

/// A shift of `web` from prod1 to prod2 with these fields on top.
pub(crate) fn plan(fields: Value) -> Plan {
    let mut plan = json!({
        "app": "web", "operation": "shift", "loadBalancerArn": "arn:balancer",
        "execution": { "arn": "arn:execution", "startedAt": "2026-11-22T10:00:00Z" },
        "live": { "name": "prod1", "targetGroupArn": "arn:one" },
        "standby": { "name": "prod2", "targetGroupArn": "arn:two" },
        "routes": [], "before": { "prod1": 100, "prod2": 0 }, "stages": [], "mayWrite": [],
        "settleSeconds": 15, "pollSeconds": 30, "periodSeconds": 60, "criteria": {}, "slowSeconds": 1.0,
        "checks": [],
    });
    if let (Value::Object(plan), Value::Object(fields)) = (&mut plan, fields) {
        plan.extend(fields);
    }
    serde_json::from_value(plan).unwrap()
}
