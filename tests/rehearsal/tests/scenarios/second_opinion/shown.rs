//! Answers as JSON, so that two of them can be compared field by field.

use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, AuthenticateOidcActionConfig, ForwardActionConfig, Listener, LoadBalancer, Rule, RuleCondition,
    TagDescription, TargetGroup, TargetGroupAttribute, TargetHealthDescription,
};
use serde_json::{Map, Value, json};

/// What a call came to: its answer, or the code of its error.
pub fn outcome<T, E: ProvideErrorMetadata, R>(
    result: Result<T, SdkError<E, R>>,
    show: impl Fn(&T) -> Value,
) -> Value {
    match result {
        Ok(answer) => show(&answer),
        Err(error) => json!({ "error": error.code().unwrap_or("an unnamed error") }),
    }
}

/// Of a call that is made for its error.
pub fn accepted<T>(_: &T) -> Value {
    json!("accepted")
}

pub fn balancer(balancer: &LoadBalancer) -> Value {
    json!({
        "arn": balancer.load_balancer_arn(),
        "name": balancer.load_balancer_name(),
        "type": balancer.r#type().map(|v| v.as_str()),
        "scheme": balancer.scheme().map(|v| v.as_str()),
        "state": balancer.state().and_then(|s| s.code()).map(|v| v.as_str()),
        "ipAddressType": balancer.ip_address_type().map(|v| v.as_str()),
    })
}

pub fn group(group: &TargetGroup) -> Value {
    json!({
        "arn": group.target_group_arn(),
        "name": group.target_group_name(),
        "protocol": group.protocol().map(|v| v.as_str()),
        "protocolVersion": group.protocol_version(),
        "port": group.port(),
        "vpc": group.vpc_id(),
        "targetType": group.target_type().map(|v| v.as_str()),
        "ipAddressType": group.ip_address_type().map(|v| v.as_str()),
        "balancers": group.load_balancer_arns(),
        "check": {
            "enabled": group.health_check_enabled(),
            "protocol": group.health_check_protocol().map(|v| v.as_str()),
            "port": group.health_check_port(),
            "path": group.health_check_path(),
            "interval": group.health_check_interval_seconds(),
            "timeout": group.health_check_timeout_seconds(),
            "healthyThreshold": group.healthy_threshold_count(),
            "unhealthyThreshold": group.unhealthy_threshold_count(),
            "matcher": group.matcher().and_then(|m| m.http_code()),
        },
    })
}

pub fn listener(listener: &Listener) -> Value {
    json!({
        "arn": listener.listener_arn(),
        "balancer": listener.load_balancer_arn(),
        "port": listener.port(),
        "protocol": listener.protocol().map(|v| v.as_str()),
        "actions": actions(listener.default_actions()),
    })
}

pub fn rule(rule: &Rule) -> Value {
    json!({
        "arn": rule.rule_arn(),
        "priority": rule.priority(),
        "isDefault": rule.is_default(),
        "conditions": rule.conditions().iter().map(condition).collect::<Vec<_>>(),
        "actions": actions(rule.actions()),
    })
}

fn condition(condition: &RuleCondition) -> Value {
    json!({
        "field": condition.field(),
        "values": condition.values(),
        "hostConfig": condition.host_header_config().map(|c| c.values()),
        "pathConfig": condition.path_pattern_config().map(|c| c.values()),
    })
}

pub fn actions(actions: &[Action]) -> Value {
    actions.iter().map(action).collect()
}

fn action(action: &Action) -> Value {
    let fixed = |c: &aws_sdk_elasticloadbalancingv2::types::FixedResponseActionConfig| json!({ "status": c.status_code(), "contentType": c.content_type(), "body": c.message_body() });
    json!({
        "type": action.r#type().map(|v| v.as_str()),
        "order": action.order(),
        "group": action.target_group_arn(),
        "forward": action.forward_config().map(forward),
        "oidc": action.authenticate_oidc_config().map(oidc),
        "fixed": action.fixed_response_config().map(fixed),
    })
}

fn forward(config: &ForwardActionConfig) -> Value {
    let groups = config.target_groups().iter();
    let sticky = config.target_group_stickiness_config();
    json!({
        "groups": groups.map(|g| json!([g.target_group_arn(), g.weight()])).collect::<Vec<_>>(),
        "sticky": sticky.map(|s| json!([s.enabled(), s.duration_seconds()])),
    })
}

fn oidc(config: &AuthenticateOidcActionConfig) -> Value {
    json!({
        "issuer": config.issuer(),
        "authorization": config.authorization_endpoint(),
        "token": config.token_endpoint(),
        "userInfo": config.user_info_endpoint(),
        "client": config.client_id(),
        "secret": config.client_secret(),
        "useExistingSecret": config.use_existing_client_secret(),
        "cookie": config.session_cookie_name(),
        "scope": config.scope(),
        "timeout": config.session_timeout(),
        "extra": config.authentication_request_extra_params(),
        "unauthenticated": config.on_unauthenticated_request().map(|v| v.as_str()),
    })
}

pub fn tags(description: &TagDescription) -> Value {
    let tags = description.tags().iter();
    let tags: Map<String, Value> =
        tags.map(|tag| (tag.key().unwrap_or_default().to_owned(), json!(tag.value()))).collect();
    json!({ "arn": description.resource_arn(), "tags": tags })
}

pub fn attributes(attributes: &[TargetGroupAttribute]) -> Value {
    let pair = |a: &TargetGroupAttribute| (a.key().unwrap_or_default().to_owned(), json!(a.value()));
    Value::Object(attributes.iter().map(pair).collect())
}

pub fn health(description: &TargetHealthDescription) -> Value {
    let health = description.target_health();
    json!({
        "target": description.target().and_then(|t| t.id()),
        "port": description.target().and_then(|t| t.port()).map(|port| port.to_string()),
        "checkPort": description.health_check_port(),
        "state": health.and_then(|h| h.state()).map(|v| v.as_str()),
        "reason": health.and_then(|h| h.reason()).map(|v| v.as_str()),
    })
}

/// A list by ARN, where the order is no part of the question.
pub fn by_arn(values: impl Iterator<Item = Value>) -> Value {
    let key = |value: &Value| value["arn"].as_str().unwrap_or_default().to_owned();
    Value::Object(values.map(|value| (key(&value), value)).collect())
}
