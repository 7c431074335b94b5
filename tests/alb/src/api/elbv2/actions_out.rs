//! Writing actions as AWS reads them back.

use super::Xml;
use crate::model::{Action, ActionKind, Cognito, Fixed, Forward, Oidc, Redirect, SignIn, Unauthenticated};

/// Writes a list of actions.
pub(super) fn write(xml: &mut Xml, name: &str, actions: &[Action]) {
    xml.list(name, actions, |xml, action| {
        if let Some(order) = action.order {
            xml.leaf("Order", order);
        }
        match &action.kind {
            ActionKind::Forward(config) => forward(xml, config),
            ActionKind::Oidc(config) => oidc(xml, config),
            ActionKind::Cognito(config) => cognito(xml, config),
            ActionKind::Fixed(config) => fixed(xml, config),
            ActionKind::Redirect(config) => redirect(xml, config),
        }
    });
}

fn forward(xml: &mut Xml, forward: &Forward) {
    xml.leaf("Type", "forward");
    if let [(arn, _)] = forward.groups.as_slice() {
        xml.leaf("TargetGroupArn", arn);
    }
    xml.node("ForwardConfig", |xml| {
        xml.list("TargetGroups", &forward.groups, |xml, (arn, weight)| {
            xml.leaf("TargetGroupArn", arn);
            xml.leaf("Weight", weight);
        });
        xml.node("TargetGroupStickinessConfig", |xml| {
            xml.leaf("Enabled", forward.sticky);
            if let Some(seconds) = forward.sticky_seconds {
                xml.leaf("DurationSeconds", seconds);
            }
        });
    });
}

/// The secret stays inside.
fn oidc(xml: &mut Xml, oidc: &Oidc) {
    xml.leaf("Type", "authenticate-oidc");
    xml.node("AuthenticateOidcConfig", |xml| {
        xml.leaf("Issuer", &oidc.issuer);
        xml.leaf("AuthorizationEndpoint", &oidc.authorization);
        xml.leaf("TokenEndpoint", &oidc.token);
        xml.leaf("UserInfoEndpoint", &oidc.user_info);
        xml.leaf("ClientId", &oidc.client);
        sign_in(xml, &oidc.sign_in);
    });
}

fn cognito(xml: &mut Xml, cognito: &Cognito) {
    xml.leaf("Type", "authenticate-cognito");
    xml.node("AuthenticateCognitoConfig", |xml| {
        xml.leaf("UserPoolArn", &cognito.pool);
        xml.leaf("UserPoolClientId", &cognito.client);
        xml.leaf("UserPoolDomain", &cognito.domain);
        sign_in(xml, &cognito.sign_in);
    });
}

fn sign_in(xml: &mut Xml, sign_in: &SignIn) {
    xml.leaf("SessionCookieName", &sign_in.cookie);
    xml.leaf("Scope", &sign_in.scope);
    xml.leaf("SessionTimeout", sign_in.timeout_seconds);
    if !sign_in.extra.is_empty() {
        xml.node("AuthenticationRequestExtraParams", |xml| {
            for (key, value) in &sign_in.extra {
                xml.node("entry", |xml| {
                    xml.leaf("key", key);
                    xml.leaf("value", value);
                });
            }
        });
    }
    let unauthenticated = match sign_in.unauthenticated {
        Unauthenticated::Deny => "deny",
        Unauthenticated::Allow => "allow",
        Unauthenticated::Authenticate => "authenticate",
    };
    xml.leaf("OnUnauthenticatedRequest", unauthenticated);
}

fn fixed(xml: &mut Xml, fixed: &Fixed) {
    xml.leaf("Type", "fixed-response");
    xml.node("FixedResponseConfig", |xml| {
        xml.leaf("StatusCode", fixed.status);
        if let Some(kind) = &fixed.content_type {
            xml.leaf("ContentType", kind);
        }
        if let Some(body) = &fixed.body {
            xml.leaf("MessageBody", body);
        }
    });
}

fn redirect(xml: &mut Xml, redirect: &Redirect) {
    xml.leaf("Type", "redirect");
    xml.node("RedirectConfig", |xml| {
        xml.leaf("Protocol", &redirect.protocol);
        xml.leaf("Port", &redirect.port);
        xml.leaf("Host", &redirect.host);
        xml.leaf("Path", &redirect.path);
        xml.leaf("Query", &redirect.query);
        xml.leaf("StatusCode", format_args!("HTTP_{}", redirect.status));
    });
}
