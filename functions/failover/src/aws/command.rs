//! The AWS CLI command that puts a route's weights back by hand: the last resort of a person on
//! call, made before the first write, so that it is at hand even when no Lambda runs any more.

use aws_sdk_elasticloadbalancingv2::types::{Action, ForwardActionConfig};
use serde_json::{Map, Value, json};

/// The command for a route with these actions: exactly what `roll-back` would write.
pub fn revert_command(default_of: Option<&str>, rule_arn: &str, actions: &[Action]) -> String {
    let actions = Value::Array(actions.iter().map(action).collect()).to_string();
    // Within single quotes a shell takes everything literally but the quote itself.
    let actions = actions.replace('\'', r"'\''");
    match default_of {
        Some(listener) => {
            format!("aws elbv2 modify-listener --listener-arn {listener} --default-actions '{actions}'")
        }
        None => format!("aws elbv2 modify-rule --rule-arn {rule_arn} --actions '{actions}'"),
    }
}

/// An object without the fields that are not set, as the CLI wants it.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let set = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(set.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn action(action: &Action) -> Value {
    let oidc = action.authenticate_oidc_config().map(|c| {
        object([
            ("Issuer", json!(c.issuer())),
            ("AuthorizationEndpoint", json!(c.authorization_endpoint())),
            ("TokenEndpoint", json!(c.token_endpoint())),
            ("UserInfoEndpoint", json!(c.user_info_endpoint())),
            ("ClientId", json!(c.client_id())),
            ("SessionCookieName", json!(c.session_cookie_name())),
            ("Scope", json!(c.scope())),
            ("SessionTimeout", json!(c.session_timeout())),
            ("AuthenticationRequestExtraParams", json!(c.authentication_request_extra_params())),
            ("OnUnauthenticatedRequest", json!(c.on_unauthenticated_request().map(|v| v.as_str()))),
            ("UseExistingClientSecret", json!(c.use_existing_client_secret())),
        ])
    });
    let cognito = action.authenticate_cognito_config().map(|c| {
        object([
            ("UserPoolArn", json!(c.user_pool_arn())),
            ("UserPoolClientId", json!(c.user_pool_client_id())),
            ("UserPoolDomain", json!(c.user_pool_domain())),
            ("SessionCookieName", json!(c.session_cookie_name())),
            ("Scope", json!(c.scope())),
            ("SessionTimeout", json!(c.session_timeout())),
            ("AuthenticationRequestExtraParams", json!(c.authentication_request_extra_params())),
            ("OnUnauthenticatedRequest", json!(c.on_unauthenticated_request().map(|v| v.as_str()))),
        ])
    });
    let jwt = action.jwt_validation_config().map(|c| {
        let claims = c.additional_claims.as_ref().map(|claims| {
            let claim =
                |claim: &aws_sdk_elasticloadbalancingv2::types::JwtValidationActionAdditionalClaim| {
                    object([
                        ("Format", json!(claim.format().map(|v| v.as_str()))),
                        ("Name", json!(claim.name())),
                        ("Values", json!(claim.values)),
                    ])
                };
            Value::Array(claims.iter().map(claim).collect())
        });
        object([
            ("JwksEndpoint", json!(c.jwks_endpoint())),
            ("Issuer", json!(c.issuer())),
            ("AdditionalClaims", claims.unwrap_or_default()),
        ])
    });
    object([
        ("Type", json!(action.r#type().map(|t| t.as_str()))),
        ("Order", json!(action.order())),
        ("AuthenticateOidcConfig", oidc.unwrap_or_default()),
        ("AuthenticateCognitoConfig", cognito.unwrap_or_default()),
        ("JwtValidationConfig", jwt.unwrap_or_default()),
        ("ForwardConfig", action.forward_config().map(forward).unwrap_or_default()),
    ])
}

fn forward(config: &ForwardActionConfig) -> Value {
    let groups = config.target_groups().iter().map(|group| {
        object([("TargetGroupArn", json!(group.target_group_arn())), ("Weight", json!(group.weight()))])
    });
    let stickiness = config
        .target_group_stickiness_config()
        .map(|s| object([("Enabled", json!(s.enabled())), ("DurationSeconds", json!(s.duration_seconds()))]));
    object([
        ("TargetGroups", Value::Array(groups.collect())),
        ("TargetGroupStickinessConfig", stickiness.unwrap_or_default()),
    ])
}
