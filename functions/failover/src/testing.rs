//! A plan for unit tests.

use serde_json::{Value, json};

use crate::model::Plan;

/// A shift of `web` from prod1 to prod2 with these fields on top.
pub(crate) fn plan(fields: Value) -> Plan {
    lockstep(&["web"], fields)
}

/// The same of several apps.
pub(crate) fn lockstep(names: &[&str], fields: Value) -> Plan {
    let groups = [("arn:one", "arn:two"), ("arn:three", "arn:four"), ("arn:five", "arn:six")];
    let app = |(name, (live, standby)): (&&str, (&str, &str))| {
        json!({
            "name": name, "liveGroup": live, "standbyGroup": standby,
            "before": { "prod1": 100, "prod2": 0 }, "slowSeconds": 1.0, "hungSeconds": 4.0,
        })
    };
    let apps: Vec<Value> = names.iter().zip(groups).map(app).collect();
    let mut plan = json!({
        "version": 1, "app": if let [name] = names { json!(name) } else { json!(names) }, "apps": apps,
        "operation": "shift", "loadBalancerArn": "arn:balancer",
        "execution": { "arn": "arn:execution", "startedAt": "2026-11-22T10:00:00Z" },
        "live": "prod1", "standby": "prod2", "routes": [], "stages": [], "mayWrite": [],
        "propagationSeconds": 15, "pollSeconds": 30, "periodSeconds": 60, "criteria": {}, "checks": [],
    });
    if let (Value::Object(plan), Value::Object(fields)) = (&mut plan, fields) {
        plan.extend(fields);
    }
    serde_json::from_value(plan).unwrap()
}
