//! A balancer with its apps: two fleets each, and the routes to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use alb::{Behaviour, Fleet};
use anyhow::{Context, Result, ensure};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateOidcActionConfig, FixedResponseActionConfig, ForwardActionConfig,
    ProtocolEnum, RuleCondition, TargetDescription, TargetGroupTuple, TargetTypeEnum,
};
use jiff::Timestamp;

use crate::ground::Ground;
use crate::traffic::{Answer, Traffic};

/// The names of the two fleets of every app.
pub const FLEETS: [&str; 2] = ["prod1", "prod2"];

/// Targets in each fleet.
const TARGETS: usize = 2;

/// What leads to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// A rule for the app's host name.
    Host,
    /// A rule for the app's path.
    Path,
    /// The listener's default action.
    Default,
    /// A rule for the app's host name that asks users to sign in first.
    SignedInHost,
}

/// How a route forwards before any run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// To this fleet alone, as nobody has converted it yet.
    Fixed(usize),
    /// To both fleets with these weights.
    Weighted([u16; 2]),
}

/// A balancer with one listener.
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
static PRIORITY: Mutex<i32> = Mutex::new(1);

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
        let mut app = App {
            name: name.to_owned(),
            ground: self.ground,
            load_balancer_arn: self.load_balancer_arn.clone(),
            port: self.port,
            groups,
            fleets: fleets.try_into().expect("two fleets"),
            routes: Vec::new(),
            kinds: routes.to_vec(),
            faults: Mutex::new(Vec::new()),
        };
        for kind in routes {
            let arn = self.route(&app, *kind, forward).await?;
            app.routes.push(arn);
        }
        app.until_healthy().await?;
        Ok(app)
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
        let priority = {
            let mut next = PRIORITY.lock().expect("nobody panics with it");
            *next += 1;
            *next
        };
        let made = client
            .create_rule()
            .listener_arn(&self.listener_arn)
            .priority(priority)
            .conditions(condition.build())
            .set_actions(Some(actions))
            .send()
            .await
            .context("cannot make a rule")?;
        Ok(made.rules().first().and_then(|r| r.rule_arn()).context("a rule without ARN")?.to_owned())
    }
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
        Forward::Weighted(weights) => {
            let tuples = app.groups.iter().zip(weights).map(|(arn, weight)| {
                TargetGroupTuple::builder().target_group_arn(arn).weight(weight.into()).build()
            });
            let config = ForwardActionConfig::builder().set_target_groups(Some(tuples.collect())).build();
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

/// A span of time in which a fleet was made to fail.
#[derive(Clone, Copy, Debug)]
struct Fault {
    fleet: usize,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// An app with two fleets that can be made to fail.
#[derive(Debug)]
pub struct App<'a> {
    /// Its name.
    pub name: String,
    /// The target groups of both fleets.
    pub groups: [String; 2],
    /// Its routes, as the contract names them.
    pub routes: Vec<String>,
    /// The balancer.
    pub load_balancer_arn: String,
    ground: &'a Ground,
    port: u16,
    fleets: [Fleet; 2],
    kinds: Vec<RouteKind>,
    faults: Mutex<Vec<Fault>>,
}

impl App<'_> {
    /// The app's host name.
    pub fn host(&self) -> String {
        format!("{}.shop.example", self.name)
    }

    /// Users of every route, `rate` requests a second on each, for ten minutes at most.
    pub fn traffic(&self, rate: u32) -> Vec<Traffic> {
        self.traffic_for(rate, Duration::from_mins(10))
    }

    /// The same for as long as this, or until they are dropped.
    pub fn traffic_for(&self, rate: u32, longest: Duration) -> Vec<Traffic> {
        let to = |kind: &RouteKind| {
            let (host, path) = match kind {
                RouteKind::Path => ("any.shop.example".to_owned(), format!("{}/cart", self.name)),
                RouteKind::Default => ("any.shop.example".to_owned(), String::new()),
                RouteKind::Host | RouteKind::SignedInHost => (self.host(), String::new()),
            };
            Traffic::start(format!("http://127.0.0.1:{}/{path}", self.port), host, rate, longest)
        };
        self.kinds.iter().map(to).collect()
    }

    /// The addresses of a fleet's targets, past the balancer.
    pub fn targets(&self, fleet: usize) -> &[SocketAddr] {
        self.fleets[fleet].targets()
    }

    /// Deploys a release to a fleet.
    pub fn deploy(&self, fleet: usize, release: &str) {
        self.fleets[fleet].deploy(release);
    }

    /// Makes a fleet behave; anything but healthy is noted as a fault, so that failed requests can
    /// be told from those that shifting itself would have lost.
    pub fn set(&self, fleet: usize, behaviour: Behaviour) {
        let now = Timestamp::now();
        let mut faults = self.faults.lock().expect("nobody panics with it");
        for fault in faults.iter_mut().filter(|f| f.fleet == fleet && f.until.is_none()) {
            fault.until = Some(now);
        }
        if behaviour != Behaviour::Healthy {
            faults.push(Fault { fleet, from: now, until: None });
        }
        self.fleets[fleet].set(behaviour);
    }

    /// The weights of each route now, by fleet; 0 where a route does not hold a fleet's group.
    ///
    /// # Errors
    /// If the balancer does not answer.
    pub async fn weights(&self) -> Result<Vec<[u16; 2]>> {
        let mut weights = Vec::new();
        for arn in &self.routes {
            let groups = failover::aws::listener::groups(&self.actions(arn).await?).context("no forward")?;
            let of = |i: usize| failover::weights::weight_of(&groups, &self.groups[i]).unwrap_or(0);
            weights.push([of(0), of(1)]);
        }
        Ok(weights)
    }

    /// The tags of each route now.
    ///
    /// # Errors
    /// If the balancer does not answer.
    pub async fn tags(&self) -> Result<Vec<BTreeMap<String, String>>> {
        let mut all = Vec::new();
        for arn in &self.routes {
            let answer = self.ground.balancer.describe_tags().resource_arns(arn).send().await?;
            let tags = answer.tag_descriptions().first().map(|d| d.tags().to_vec()).unwrap_or_default();
            all.push(tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value?))).collect());
        }
        Ok(all)
    }

    /// The actions of a route now.
    ///
    /// # Errors
    /// If the balancer does not answer.
    pub async fn actions(&self, route: &str) -> Result<Vec<Action>> {
        let client = &self.ground.balancer;
        if route.contains(":listener/") {
            let answer = client.describe_listeners().listener_arns(route).send().await?;
            return Ok(answer.listeners().first().context("no such listener")?.default_actions().to_vec());
        }
        let answer = client.describe_rules().rule_arns(route).send().await?;
        Ok(answer.rules().first().context("no such rule")?.actions().to_vec())
    }

    /// Waits until every fleet that a rule holds has all its targets healthy.
    ///
    /// # Errors
    /// If that takes longer than 20 seconds.
    pub async fn until_healthy(&self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let mut all_well = true;
            for group in &self.groups {
                let health = failover::aws::health::of(&self.ground.balancer, group).await?;
                all_well &= health.unused || health.healthy == health.registered;
            }
            if all_well {
                return Ok(());
            }
            ensure!(tokio::time::Instant::now() < deadline, "{} does not become healthy", self.name);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Of these answers, the failed ones that no fault on purpose explains: no fleet of the app was
    /// failing when they came, or a fleet answered that was not.
    pub fn failed_by_shifting(&self, answers: &[Answer]) -> usize {
        let faults = self.faults.lock().expect("nobody panics with it");
        let explained = |answer: &Answer| {
            faults.iter().any(|fault| {
                let blamed = answer.fleet.as_deref().is_none_or(|name| name == FLEETS[fault.fleet]);
                // A request that met the fault may be answered a while after it is over.
                let until = fault.until.map_or(Timestamp::MAX, |t| t + Duration::from_secs(2));
                blamed && (fault.from..=until).contains(&answer.at)
            })
        };
        answers.iter().filter(|a| a.failed() && !explained(a)).count()
    }
}
