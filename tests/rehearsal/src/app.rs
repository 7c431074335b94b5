//! An app with two fleets that can be made to fail.

mod neighbour;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use alb::{Behaviour, Fleet};
use anyhow::{Context, Result, ensure};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, RuleCondition, Tag, TargetGroupAttribute,
};
use failover::model::hold::Held;
use failover::model::probe::STANDBY_HEADER;
use failover::model::weights::GroupWeight;
use jiff::Timestamp;
use scenario::{FLEETS, Load, RouteKind};

use crate::ground::Ground;
use crate::traffic::{Answer, Traffic};

/// Targets in each fleet.
pub(crate) const TARGETS: usize = 2;

/// A span of time in which a fleet was made to fail.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which fleet.
    pub fleet: usize,
    /// What it was made to do, in words.
    pub text: String,
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None` while it lasts.
    pub until: Option<Timestamp>,
}

/// Tells API calls about one app, alone on its balancer, from those about others.
#[derive(Clone, Debug)]
pub struct Mark([String; 4]);

impl Mark {
    /// Whether the parameters of a call name the app.
    pub fn is_in(&self, parameters: &[(String, String)]) -> bool {
        parameters.iter().any(|(_, value)| self.0.iter().any(|name| value.contains(name)))
    }
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
    /// The ARN that each route has now; none for one that was deleted.
    current: Mutex<Vec<Option<String>>>,
    faults: Mutex<Vec<Fault>>,
    /// Users of another app, who come until this is dropped.
    neighbours: Mutex<Vec<Traffic>>,
}

impl<'a> App<'a> {
    /// An app without routes.
    pub(crate) fn new(
        ground: &'a Ground,
        name: &str,
        load_balancer_arn: &str,
        port: u16,
        groups: [String; 2],
        fleets: [Fleet; 2],
    ) -> Self {
        Self {
            name: name.to_owned(),
            groups,
            routes: Vec::new(),
            load_balancer_arn: load_balancer_arn.to_owned(),
            ground,
            port,
            fleets,
            kinds: Vec::new(),
            current: Mutex::default(),
            faults: Mutex::default(),
            neighbours: Mutex::default(),
        }
    }

    pub(crate) fn add_route(&mut self, arn: String, kind: RouteKind) {
        self.current.lock().expect("nobody panics with it").push(Some(arn.clone()));
        self.routes.push(arn);
        self.kinds.push(kind);
    }

    /// The app's host name.
    pub fn host(&self) -> String {
        format!("{}.shop.example", self.name)
    }

    /// Where its users are served.
    pub fn public(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where a fleet answers on its own: its first target.
    pub fn address(&self, fleet: usize) -> String {
        format!("http://{}", self.fleets[fleet].targets()[0])
    }

    /// Users of every route, `rate` requests a second on each, for ten minutes at most.
    pub fn traffic(&self, rate: u32) -> Vec<Traffic> {
        self.users(Load::steady(rate), Duration::from_mins(10))
    }

    /// Users of every route who come like this, for as long as this at most.
    pub fn users(&self, load: Load, longest: Duration) -> Vec<Traffic> {
        let to = |kind: &RouteKind| {
            let (host, path) = match kind {
                RouteKind::Path => ("any.shop.example".to_owned(), format!("{}/cart", self.name)),
                RouteKind::Default => ("any.shop.example".to_owned(), String::new()),
                RouteKind::Host | RouteKind::SignedInHost => (self.host(), String::new()),
            };
            Traffic::start(&format!("http://127.0.0.1:{}/{path}", self.port), host, load, longest)
        };
        self.kinds.iter().map(to).collect()
    }

    /// What a tester sees with this secret: the name of the fleet that answers, and what it runs.
    ///
    /// # Errors
    /// If no fleet answers.
    pub async fn tester(&self, secret: &str) -> Result<[String; 2]> {
        let request = reqwest::Client::new().get(self.public()).header("host", self.host());
        let answer = request.header(STANDBY_HEADER, secret).send().await?;
        let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        text("x-fleet").zip(text("x-release")).map(Into::into).context("no fleet answered")
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
            faults.push(Fault { fleet, text: in_words(&behaviour), from: now, until: None });
        }
        self.fleets[fleet].set(behaviour);
    }

    /// The same for one target of a fleet, the first being 0.
    ///
    /// # Errors
    /// If there is no such target.
    pub fn set_target(&self, fleet: usize, target: usize, behaviour: Behaviour) -> Result<()> {
        ensure!(target < TARGETS, "{} has {TARGETS} targets, and none is {target}", FLEETS[fleet]);
        if behaviour != Behaviour::Healthy {
            let text = format!("target {}: {}", target + 1, in_words(&behaviour));
            let fault = Fault { fleet, text, from: Timestamp::now(), until: None };
            self.faults.lock().expect("nobody panics with it").push(fault);
        }
        self.fleets[fleet].set_target(target, behaviour);
        Ok(())
    }

    /// Every fault so far.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.lock().expect("nobody panics with it").clone()
    }

    /// Tells calls about this app from others.
    pub fn mark(&self) -> Mark {
        let label = self.load_balancer_arn.split_once(":loadbalancer/").map_or("", |(_, label)| label);
        let group = |part| format!("prd-{}-{part}-tg", self.name);
        Mark([label.to_owned(), group("01"), group("02"), format!(":{}-", self.name)])
    }

    /// The routes that there are now.
    fn standing(&self) -> Vec<String> {
        self.current.lock().expect("nobody panics with it").iter().flatten().cloned().collect()
    }

    /// Deletes the rule of a route, the first being 0, as somebody else does; makes it `again` where that
    /// is wanted, as a forward to the first fleet alone.
    ///
    /// # Errors
    /// If there is no such rule, or the balancer refuses.
    pub async fn delete_route(&self, number: usize, again: bool) -> Result<()> {
        let arn = self.current.lock().expect("nobody panics with it").get(number).cloned().flatten();
        let arn = arn.with_context(|| format!("there is no route {}", number + 1))?;
        let client = &self.ground.balancer;
        let found = client.describe_rules().rule_arns(&arn).send().await?;
        let rule = found.rules().first().context("no such rule")?;
        let (listener, priority) = (listener_of(&arn)?, rule.priority().context("no priority")?.parse()?);
        let conditions: Vec<RuleCondition> = rule.conditions().iter().map(as_written).collect();
        client.delete_rule().rule_arn(&arn).send().await.context("cannot delete the rule")?;
        let made = if again { Some(self.rule(&listener, priority, conditions, 0).await?) } else { None };
        self.current.lock().expect("nobody panics with it")[number] = made;
        Ok(())
    }

    /// Makes a rule for a host name that forwards to one fleet alone.
    pub(crate) async fn preview(&self, fleet: usize, host: &str) -> Result<()> {
        let arn = self.routes.first().context("an app without routes")?;
        let condition = RuleCondition::builder().field("host-header").values(host).build();
        let priority = i32::try_from(fleet)? + 1;
        self.rule(&listener_of(arn)?, priority, vec![condition], fleet).await.map(drop)
    }

    /// Makes a rule for a path that forwards to one fleet alone, as somebody else does.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn new_rule(&self, fleet: usize, path: &str, priority: i32) -> Result<()> {
        let arn = self.routes.first().context("an app without routes")?;
        let condition = RuleCondition::builder().field("path-pattern").values(path).build();
        self.rule(&listener_of(arn)?, priority, vec![condition], fleet).await.map(drop)
    }

    async fn rule(
        &self,
        listener: &str,
        priority: i32,
        conditions: Vec<RuleCondition>,
        fleet: usize,
    ) -> Result<String> {
        let forward =
            Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&self.groups[fleet]).build();
        let call = self.ground.balancer.create_rule().listener_arn(listener).priority(priority);
        let made = call.set_conditions(Some(conditions)).actions(forward).send().await;
        let made = made.context("cannot make a rule")?;
        Ok(made.rules().first().and_then(|r| r.rule_arn()).context("a rule without ARN")?.to_owned())
    }

    /// Writes what a fleet runs into the tag of its target group, as whoever deploys does.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn tell(&self, fleet: usize, release: &str) -> Result<()> {
        let tag = Tag::builder().key("failover:release").value(release).build();
        let call = self.ground.balancer.add_tags().resource_arns(&self.groups[fleet]).tags(tag);
        call.send().await.map(drop).context("cannot tag the target group")
    }

    /// Asks something of the run that holds the app, as a person does.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn request(&self, value: &str) -> Result<()> {
        self.tag("failover:request", value).await
    }

    /// Switches the session cookies of a fleet's target group on.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn bind_sessions(&self, fleet: usize) -> Result<()> {
        let attribute =
            |key: &str, value: &str| TargetGroupAttribute::builder().key(key).value(value).build();
        let call = self.ground.balancer.modify_target_group_attributes();
        let call =
            call.target_group_arn(&self.groups[fleet]).attributes(attribute("stickiness.enabled", "true"));
        call.attributes(attribute("stickiness.type", "lb_cookie")).send().await?;
        Ok(())
    }

    /// Writes weights into every route as somebody else does, without asking.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn overwrite(&self, weights: [u16; 2]) -> Result<()> {
        for route in &self.standing() {
            let groups: Vec<_> =
                self.groups.iter().zip(weights).map(|(arn, w)| GroupWeight::new(arn, w)).collect();
            let actions = failover::aws::listener::with_weights(&self.actions(route).await?, &groups);
            let client = &self.ground.balancer;
            if route.contains(":listener/") {
                client
                    .modify_listener()
                    .listener_arn(route)
                    .set_default_actions(Some(actions))
                    .send()
                    .await?;
            } else {
                client.modify_rule().rule_arn(route).set_actions(Some(actions)).send().await?;
            }
        }
        Ok(())
    }

    /// The weights of each route now, by fleet; 0 where a route does not hold a fleet's group.
    ///
    /// # Errors
    /// If the balancer does not answer.
    pub async fn weights(&self) -> Result<Vec<[u16; 2]>> {
        let mut weights = Vec::new();
        for arn in &self.standing() {
            let groups = failover::aws::listener::groups(&self.actions(arn).await?).context("no forward")?;
            let of = |i: usize| failover::model::weights::weight_of(&groups, &self.groups[i]).unwrap_or(0);
            weights.push([of(0), of(1)]);
        }
        Ok(weights)
    }

    /// The target group whose tags say who holds the app: the first by its ARN.
    pub fn lock(&self) -> &String {
        (&self.groups[0]).min(&self.groups[1])
    }

    /// The tags of that group now.
    ///
    /// # Errors
    /// If the balancer does not answer.
    pub async fn tags(&self) -> Result<BTreeMap<String, String>> {
        let answer = self.ground.balancer.describe_tags().resource_arns(self.lock()).send().await?;
        let tags = answer.tag_descriptions().first().map(|d| d.tags().to_vec()).unwrap_or_default();
        Ok(tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value?))).collect())
    }

    /// The claim of a run that has not given the app back yet.
    ///
    /// # Errors
    /// If the balancer does not answer.
    pub async fn claim(&self) -> Result<Option<Held>> {
        let claim = self.tags().await?.get("failover:claim").map(|claim| Held::parse(claim));
        Ok(claim.filter(|held| !held.reached.is_over()))
    }

    /// Writes a tag, as a person or another run does.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn tag(&self, key: &str, value: &str) -> Result<()> {
        let tag = Tag::builder().key(key).value(value).build();
        self.ground.balancer.add_tags().resource_arns(self.lock()).tags(tag).send().await?;
        Ok(())
    }

    /// Removes the tags of both groups, as infrastructure code does that does not know them.
    ///
    /// # Errors
    /// If the balancer refuses.
    pub async fn strip_tags(&self) -> Result<()> {
        for group in &self.groups {
            let call = self.ground.balancer.remove_tags().resource_arns(group);
            let keys = ["failover:claim", "failover:live", "failover:request", "failover:release"];
            call.set_tag_keys(Some(keys.map(Into::into).to_vec())).send().await?;
        }
        Ok(())
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

/// The listener of a rule.
fn listener_of(rule_arn: &str) -> Result<String> {
    let (listener, _) = rule_arn.rsplit_once('/').context("not the ARN of a rule")?;
    Ok(listener.replace(":listener-rule/", ":listener/"))
}

/// A condition as it is written: what is read holds its values twice.
fn as_written(condition: &RuleCondition) -> RuleCondition {
    let mut condition = condition.clone();
    if condition.host_header_config.is_some() || condition.path_pattern_config.is_some() {
        condition.values = None;
    }
    condition
}

fn in_words(behaviour: &Behaviour) -> String {
    let percent = |share: f64| format!("{:.0} % of its", 100.0 * share);
    match behaviour {
        Behaviour::Healthy => "is well".into(),
        Behaviour::Errors { share } => format!("{} requests fail", percent(*share)),
        Behaviour::Slow { share, delay } => {
            format!("{} responses are {} ms late", percent(*share), delay.as_millis())
        }
        Behaviour::Dead => "its targets are dead".into(),
        Behaviour::Reset { share } => format!("{} connections are reset", percent(*share)),
        Behaviour::ClientErrors { share } => format!("{} requests are answered with 404", percent(*share)),
        Behaviour::FailsChecks => "its health checks fail".into(),
        Behaviour::Capacity { per_second } => format!("each target carries {per_second} requests a second"),
    }
}
