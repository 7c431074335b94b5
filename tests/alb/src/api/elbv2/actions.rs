//! Reading the actions of a rule or listener, and refusing those that AWS refuses.

use std::collections::BTreeSet;

use super::{ApiError, Scope};
use crate::model::{Action, ActionKind, Cognito, Fixed, Forward, Oidc, Redirect, SignIn, Unauthenticated};
use crate::world::World;

/// Target groups that one action may name.
const MOST_GROUPS: usize = 5;
/// Different target groups that the rules of one balancer may name: AWS's default quota.
const MOST_UNIQUE_GROUPS: usize = 100;
/// The largest weight.
const HEAVIEST: i64 = 999;

/// Reads and checks a list of actions for a listener of `balancer`. `previous` are the actions
/// that they replace: an existing client secret can be kept from there.
pub(super) fn parse(
    scope: &Scope<'_>,
    name: &str,
    world: &World,
    balancer: &str,
    previous: &[Action],
) -> Result<Vec<Action>, ApiError> {
    let mut actions = Vec::new();
    for member in scope.members(name) {
        let kind = match member.required("Type")? {
            "forward" => ActionKind::Forward(forward(&member)?),
            "authenticate-oidc" => ActionKind::Oidc(oidc(&member, previous)?),
            "authenticate-cognito" if world.cognito_denied => {
                return Err(refused("User is not authorized to perform 'describeUserPoolClient'"));
            }
            "authenticate-cognito" => ActionKind::Cognito(cognito(&member)?),
            "fixed-response" => ActionKind::Fixed(fixed(&member)?),
            "redirect" => ActionKind::Redirect(redirect(&member)?),
            other => return Err(ApiError::validation(format!("The action type '{other}' is not valid"))),
        };
        actions.push(Action { order: member.within("Order", 1, 50_000)?, kind });
    }
    in_order(&mut actions)?;
    for action in &actions {
        if let ActionKind::Forward(forward) = &action.kind {
            for (arn, _) in &forward.groups {
                available(world, arn, balancer)?;
            }
            stickiness_agrees(world, forward)?;
        }
    }
    few_enough_groups(world, balancer, previous, &actions)?;
    Ok(actions)
}

/// Sorts the actions, and checks that exactly one of them routes, as the last.
fn in_order(actions: &mut [Action]) -> Result<(), ApiError> {
    if actions.is_empty() {
        return Err(ApiError::validation("At least one action is required"));
    }
    if actions.len() > 1 {
        let orders: BTreeSet<u32> = actions.iter().filter_map(|action| action.order).collect();
        if orders.len() != actions.len() {
            return Err(refused("Each of several actions must have an order of its own"));
        }
    }
    actions.sort_by_key(|action| action.order);
    let routing = actions.iter().filter(|action| action.kind.routes()).count();
    if routing != 1 || !actions.last().is_some_and(|action| action.kind.routes()) {
        return Err(refused("Exactly one action must route the request, and it must be the last one"));
    }
    Ok(())
}

/// Where a group binds clients to its targets, a rule with several groups has to bind them to a group.
fn stickiness_agrees(world: &World, forward: &Forward) -> Result<(), ApiError> {
    let sticky = |(arn, _): &(String, u32)| world.group(arn).is_some_and(|group| group.is_sticky());
    if forward.weighs() && !forward.sticky && forward.groups.iter().any(sticky) {
        return Err(refused(
            "You must enable group stickiness on a rule if you enabled target stickiness on one of its target \
             groups",
        ));
    }
    Ok(())
}

/// Checks how many groups the balancer would lead to with these actions instead of the previous ones.
fn few_enough_groups(
    world: &World,
    balancer: &str,
    previous: &[Action],
    actions: &[Action],
) -> Result<(), ApiError> {
    let mut counts = world.groups_behind(balancer);
    for arn in previous.iter().flat_map(Action::groups) {
        counts.entry(arn).and_modify(|count| *count -= 1);
    }
    counts.retain(|_, count| *count > 0);
    let named: BTreeSet<&str> = actions.iter().flat_map(Action::groups).collect();
    if named.iter().any(|arn| !counts.contains_key(arn))
        && counts.keys().copied().chain(named).collect::<BTreeSet<_>>().len() > MOST_UNIQUE_GROUPS
    {
        let message = format!(
            "You have reached the maximum number of unique target groups that you can associate with a load \
             balancer of type 'application': [{MOST_UNIQUE_GROUPS}]"
        );
        return Err(ApiError::new("TooManyUniqueTargetGroupsPerLoadBalancer", message));
    }
    Ok(())
}

/// Checks that a group exists and belongs to no other balancer.
fn available(world: &World, arn: &str, balancer: &str) -> Result<(), ApiError> {
    let unknown = || ApiError::new("TargetGroupNotFound", format!("Target groups '{arn}' not found"));
    let group = world.group(arn).ok_or_else(unknown)?;
    let elsewhere = group.user.borrow().as_ref().is_some_and(|user| user.arn != balancer);
    if elsewhere {
        let message = format!(
            "The following target groups cannot be associated with more than one load balancer: {arn}"
        );
        return Err(ApiError::new("TargetGroupAssociationLimit", message));
    }
    Ok(())
}

fn refused(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidLoadBalancerAction", message)
}

fn forward(action: &Scope<'_>) -> Result<Forward, ApiError> {
    let single = action.text("TargetGroupArn").filter(|arn| !arn.is_empty());
    let config = action.nested("ForwardConfig");
    let members = config.as_ref().map(|config| config.members("TargetGroups")).unwrap_or_default();
    let mut groups = Vec::new();
    for member in &members {
        let arn = member.required("TargetGroupArn")?;
        let weight: Option<i64> = member.parse("Weight")?;
        // A weight may be left out where there is nothing to weigh.
        let weight = weight.or((members.len() == 1).then_some(1));
        let weight = weight
            .filter(|weight| (0..=HEAVIEST).contains(weight))
            .and_then(|weight| u32::try_from(weight).ok())
            .ok_or_else(|| {
                ApiError::validation("The weight for each target group must be between 0 and 999, inclusive")
            })?;
        groups.push((arn.to_owned(), weight));
    }
    match (single, groups.as_slice()) {
        (None, []) => return Err(ApiError::validation("A forward action needs a target group")),
        (Some(single), []) => groups.push((single.to_owned(), 1)),
        (Some(single), [(arn, _)]) if arn == single => {}
        (Some(_), [_]) => {
            return Err(refused("TargetGroupArn and ForwardConfig name different target groups"));
        }
        (Some(_), _) => {
            return Err(refused(
                "TargetGroupArn cannot be combined with several target groups in ForwardConfig",
            ));
        }
        (None, _) => {}
    }
    if groups.len() > MOST_GROUPS {
        let message = format!("An action can forward to at most {MOST_GROUPS} target groups");
        return Err(ApiError::new("TooManyTargetGroups", message));
    }
    if groups.iter().map(|(arn, _)| arn).collect::<BTreeSet<_>>().len() != groups.len() {
        return Err(ApiError::validation("A target group can appear only once in an action"));
    }
    let stickiness = config.and_then(|config| config.nested("TargetGroupStickinessConfig"));
    let (sticky, sticky_seconds) = match stickiness {
        Some(stickiness) => (stickiness.parse("Enabled")?.unwrap_or(false), sticky_seconds(&stickiness)?),
        None => (false, None),
    };
    if sticky && sticky_seconds.is_none() {
        return Err(ApiError::validation("Stickiness needs a duration in seconds"));
    }
    Ok(Forward { groups, sticky, sticky_seconds })
}

/// For how long clients stay with a group. AWS looks at it even where stickiness is off.
fn sticky_seconds(stickiness: &Scope<'_>) -> Result<Option<u32>, ApiError> {
    stickiness.within("DurationSeconds", 1, 604_800).map_err(|_| {
        ApiError::validation("Target group stickiness duration must be between 1 and 604800 seconds")
    })
}

fn oidc(action: &Scope<'_>, previous: &[Action]) -> Result<Oidc, ApiError> {
    let config = required(action, "AuthenticateOidcConfig")?;
    let client = config.required("ClientId")?;
    let keep: bool = config.parse("UseExistingClientSecret")?.unwrap_or(false);
    let secret = match (config.text("ClientSecret").filter(|secret| !secret.is_empty()), keep) {
        (Some(_), true) => {
            return Err(refused(
                "You cannot both specify a client secret and set UseExistingClientSecret to true",
            ));
        }
        (Some(secret), false) => secret.to_owned(),
        (None, true) => {
            existing_secret(previous).ok_or_else(|| refused("There is no existing client secret to use"))?
        }
        (None, false) => return Err(refused("A client secret is required")),
    };
    Ok(Oidc {
        issuer: config.required("Issuer")?.to_owned(),
        authorization: config.required("AuthorizationEndpoint")?.to_owned(),
        token: config.required("TokenEndpoint")?.to_owned(),
        user_info: config.required("UserInfoEndpoint")?.to_owned(),
        client: client.to_owned(),
        secret,
        sign_in: sign_in(&config)?,
    })
}

fn existing_secret(previous: &[Action]) -> Option<String> {
    previous.iter().find_map(|action| match &action.kind {
        ActionKind::Oidc(oidc) => Some(oidc.secret.clone()),
        _ => None,
    })
}

fn cognito(action: &Scope<'_>) -> Result<Cognito, ApiError> {
    let config = required(action, "AuthenticateCognitoConfig")?;
    Ok(Cognito {
        pool: config.required("UserPoolArn")?.to_owned(),
        client: config.required("UserPoolClientId")?.to_owned(),
        domain: config.required("UserPoolDomain")?.to_owned(),
        sign_in: sign_in(&config)?,
    })
}

fn sign_in(config: &Scope<'_>) -> Result<SignIn, ApiError> {
    let unauthenticated = match config.text("OnUnauthenticatedRequest").unwrap_or("authenticate") {
        "deny" => Unauthenticated::Deny,
        "allow" => Unauthenticated::Allow,
        "authenticate" => Unauthenticated::Authenticate,
        other => {
            return Err(ApiError::validation(format!("'{other}' is not valid for OnUnauthenticatedRequest")));
        }
    };
    Ok(SignIn {
        cookie: config.text("SessionCookieName").unwrap_or("AWSELBAuthSessionCookie").to_owned(),
        scope: config.text("Scope").unwrap_or("openid").to_owned(),
        timeout_seconds: config.parse("SessionTimeout")?.unwrap_or(604_800),
        extra: config.map("AuthenticationRequestExtraParams"),
        unauthenticated,
    })
}

fn fixed(action: &Scope<'_>) -> Result<Fixed, ApiError> {
    let config = required(action, "FixedResponseConfig")?;
    let status = config.required("StatusCode")?;
    let status = status
        .parse()
        .ok()
        .filter(|status| matches!(status / 100, 2 | 4 | 5))
        .ok_or_else(|| ApiError::validation(format!("'{status}' is not a valid status code")))?;
    Ok(Fixed {
        status,
        content_type: config.text("ContentType").map(str::to_owned),
        body: config.text("MessageBody").map(str::to_owned),
    })
}

fn redirect(action: &Scope<'_>) -> Result<Redirect, ApiError> {
    let config = required(action, "RedirectConfig")?;
    let status = match config.required("StatusCode")? {
        "HTTP_301" => 301,
        "HTTP_302" => 302,
        other => return Err(ApiError::validation(format!("'{other}' is not a valid status code"))),
    };
    let part = |name, default: &str| config.text(name).unwrap_or(default).to_owned();
    let redirect = Redirect {
        status,
        protocol: part("Protocol", "#{protocol}"),
        host: part("Host", "#{host}"),
        port: part("Port", "#{port}"),
        path: part("Path", "/#{path}"),
        query: part("Query", "#{query}"),
    };
    if !redirect.path.starts_with('/') {
        return Err(refused("The path of a redirect must start with a slash"));
    }
    let same = redirect.protocol == "#{protocol}" && redirect.host == "#{host}" && redirect.port == "#{port}";
    if same && redirect.path == "/#{path}" {
        return Err(refused("The redirect would lead back to itself"));
    }
    Ok(redirect)
}

fn required<'a>(action: &Scope<'a>, name: &str) -> Result<Scope<'a>, ApiError> {
    action.nested(name).ok_or_else(|| ApiError::validation(format!("The action needs {name}")))
}
