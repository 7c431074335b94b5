//! A balancer and its routes to apps.

use std::sync::Mutex;

use alb::Fleet;
use anyhow::{Context, Result};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateOidcActionConfig, FixedResponseActionConfig, ForwardActionConfig,
    HttpHeaderConditionConfig, ProtocolEnum, RuleCondition, TargetDescription, TargetGroupStickinessConfig,
    TargetGroupTuple, TargetTypeEnum,
};
use failover::model::probe::STANDBY_HEADER;

use ::scenario::{FLEETS, RouteKind};

use crate::app::{App, TARGETS};
use crate::ground::Ground;

/// How a route forwards before any run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// To this fleet alone, as nobody has converted it yet.
    Fixed(usize),
    /// To both fleets with these weights.
    Weighted([u16; 2]),
    /// The same, and each client stays with the fleet that it met first.
    Sticky([u16; 2]),
}

/// A balancer with one listener. Both are gone once this is dropped, and the apps' target groups with them:
/// their health would be checked for as long as the ground stands.
#[derive(Debug)]
pub struct Site<'a> {
    ground: &'a Ground,
    /// The listener.
    pub listener_arn: String,
    /// The port of the listener.
    pub port: u16,
    load_balancer_arn: String,
}

/// Keeps a priority free for every app and route of a site.
static PRIORITY: Mutex<i32> = Mutex::new(BEFORE_USERS);

/// So many test-traffic rules may come before those for users.
const BEFORE_USERS: i32 = 20_000;

impl<'a> Site<'a> {
    /// Makes a balancer with a listener that answers 404 until an app takes its routes.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn new(ground: &'a Ground, name: &str) -> Result<Self> {
        let client = &ground.balancer;
        let made = client
            .create_load_balancer()
            .name(name)
            .subnets("subnet-1")
            .subnets("subnet-2")
            .send()
            .await
            .context("cannot make a balancer")?;
        let load_balancer_arn = made
            .load_balancers()
            .first()
            .and_then(|b| b.load_balancer_arn())
            .context("a balancer without ARN")?
            .to_owned();
        let port = ground.alb.reserve_port()?;
        let nothing = Action::builder()
            .r#type(ActionTypeEnum::FixedResponse)
            .fixed_response_config(FixedResponseActionConfig::builder().status_code("404").build())
            .build();
        let made = client
            .create_listener()
            .load_balancer_arn(&load_balancer_arn)
            .protocol(ProtocolEnum::Http)
            .port(port.into())
            .default_actions(nothing)
            .send()
            .await
            .context("cannot make a listener")?;
        let listener =
            made.listeners().first().and_then(|l| l.listener_arn()).context("a listener without ARN")?;
        Ok(Self { ground, listener_arn: listener.to_owned(), port, load_balancer_arn })
    }

    /// Adds an app with its fleets and routes, and waits until it serves.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn app(&self, name: &str, routes: &[RouteKind], forward: Forward) -> Result<App<'a>> {
        let client = &self.ground.balancer;
        let mut fleets = Vec::new();
        let mut groups = Vec::new();
        for (fleet, part) in FLEETS.iter().zip(["01", "02"]) {
            let fleet = Fleet::start(fleet, TARGETS)?;
            fleet.deploy("v1");
            groups.push(target_group(client, &format!("shop-us-prd-{name}-{part}-tg"), &fleet).await?);
            fleets.push(fleet);
        }
        let groups: [String; 2] = groups.try_into().expect("two fleets");
        let fleets = fleets.try_into().expect("two fleets");
        let mut app = App::new(self.ground, name, &self.load_balancer_arn, self.port, groups, fleets);
        for kind in routes {
            let arn = self.route(&app, *kind, forward).await?;
            app.add_route(arn, *kind);
        }
        app.until_healthy().await?;
        Ok(app)
    }

    /// Adds a rule that leads requests to the app's host with this secret to one fleet of it, before all
    /// rules for users or, where it comes too `late`, behind them.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn testers(&self, app: &App<'_>, fleet: usize, secret: &str, late: bool) -> Result<String> {
        let header = HttpHeaderConditionConfig::builder().http_header_name(STANDBY_HEADER).values(secret);
        let header = RuleCondition::builder().field("http-header").http_header_config(header.build());
        let priority = priority(if late { 0 } else { BEFORE_USERS });
        let host = RuleCondition::builder().field("host-header").values(app.host());
        let conditions = vec![host.build(), header.build()];
        self.rule(priority, conditions, actions(app, RouteKind::Host, Forward::Fixed(fleet))).await
    }

    async fn rule(
        &self,
        priority: i32,
        conditions: Vec<RuleCondition>,
        actions: Vec<Action>,
    ) -> Result<String> {
        let made = self
            .ground
            .balancer
            .create_rule()
            .listener_arn(&self.listener_arn)
            .priority(priority)
            .set_conditions(Some(conditions))
            .set_actions(Some(actions))
            .send()
            .await
            .context("cannot make a rule")?;
        Ok(made.rules().first().and_then(|r| r.rule_arn()).context("a rule without ARN")?.to_owned())
    }

    async fn route(&self, app: &App<'_>, kind: RouteKind, forward: Forward) -> Result<String> {
        let client = &self.ground.balancer;
        let actions = actions(app, kind, forward);
        if kind == RouteKind::Default {
            let call =
                client.modify_listener().listener_arn(&self.listener_arn).set_default_actions(Some(actions));
            call.send().await.context("cannot change the default action")?;
            return Ok(self.listener_arn.clone());
        }
        let condition = RuleCondition::builder();
        let condition = match kind {
            RouteKind::Path => condition.field("path-pattern").values(format!("/{}/*", app.name)),
            _ => condition.field("host-header").values(app.host()),
        };
        self.rule(priority(0), vec![condition.build()], actions).await
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        self.ground.alb.remove(&self.load_balancer_arn);
    }
}

/// A priority that no other rule has, so much before those for users.
fn priority(before: i32) -> i32 {
    let mut next = PRIORITY.lock().expect("nobody panics with it");
    *next += 1;
    *next - before
}

async fn target_group(client: &Client, name: &str, fleet: &Fleet) -> Result<String> {
    let made = client
        .create_target_group()
        .name(name)
        .protocol(ProtocolEnum::Http)
        .port(80)
        .vpc_id("vpc-1")
        .target_type(TargetTypeEnum::Ip)
        .health_check_path("/health")
        .healthy_threshold_count(2)
        .unhealthy_threshold_count(2)
        .send()
        .await
        .with_context(|| format!("cannot make the target group {name}"))?;
    let arn =
        made.target_groups().first().and_then(|g| g.target_group_arn()).context("a group without ARN")?;
    let targets = fleet.targets().iter().map(|address| {
        TargetDescription::builder().id(address.ip().to_string()).port(address.port().into()).build()
    });
    let call = client.register_targets().target_group_arn(arn).set_targets(Some(targets.collect()));
    call.send().await.context("cannot register targets")?;
    Ok(arn.to_owned())
}

fn actions(app: &App<'_>, kind: RouteKind, forward: Forward) -> Vec<Action> {
    let forward = match forward {
        Forward::Fixed(fleet) => Action::builder().target_group_arn(&app.groups[fleet]),
        Forward::Weighted(weights) | Forward::Sticky(weights) => {
            let sticky = matches!(forward, Forward::Sticky(_));
            let stickiness =
                TargetGroupStickinessConfig::builder().enabled(sticky).duration_seconds(600).build();
            let tuples = app.groups.iter().zip(weights).map(|(arn, weight)| {
                TargetGroupTuple::builder().target_group_arn(arn).weight(weight.into()).build()
            });
            let config = ForwardActionConfig::builder()
                .set_target_groups(Some(tuples.collect()))
                .set_target_group_stickiness_config(sticky.then_some(stickiness))
                .build();
            Action::builder().forward_config(config)
        }
    }
    .r#type(ActionTypeEnum::Forward);
    if kind != RouteKind::SignedInHost {
        return vec![forward.build()];
    }
    let oidc = AuthenticateOidcActionConfig::builder()
        .issuer("https://sign-in.example")
        .authorization_endpoint("https://sign-in.example/authorize")
        .token_endpoint("https://sign-in.example/token")
        .user_info_endpoint("https://sign-in.example/user")
        .client_id("shop")
        .client_secret("never to be lost")
        .build();
    let sign_in = Action::builder()
        .r#type(ActionTypeEnum::AuthenticateOidc)
        .order(1)
        .authenticate_oidc_config(oidc)
        .build();
    vec![sign_in, forward.order(2).build()]
}
