//! What stands before a run: a balancer with the rules and target groups of its apps, and a rule of
//! somebody else.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alb::{Alb, Intercept, Options};
use bytes::Bytes;
use rand::Rng;
use scenario::RouteKind;
use tokio::sync::watch;

use crate::cloud::Cloud;
use crate::draw::generator;
use crate::measured::Watch;
use crate::plot::{APPS, Plot};
use crate::world::{World, lock};

/// What was built.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Each app.
    pub apps: Vec<App>,
    /// The balancer.
    pub balancer: String,
    /// The listener of all rules.
    pub listener: String,
    /// A rule of somebody else.
    pub neighbour: String,
}

/// What was built of an app.
#[derive(Clone, Debug, Default)]
pub struct App {
    /// The target groups of both fleets.
    pub groups: Vec<String>,
    /// Its rules.
    pub routes: Vec<String>,
    /// The targets of both fleets.
    pub targets: [Vec<SocketAddr>; 2],
}

impl App {
    /// The target group whose tags say who holds the app: the first by its ARN.
    pub fn lock(&self) -> &str {
        self.groups.iter().min().map_or("", String::as_str)
    }
}

impl Site {
    /// The rules of all apps.
    pub fn routes(&self) -> impl Iterator<Item = &String> {
        self.apps.iter().flat_map(|app| &app.routes)
    }
}

/// Stands for no weight at all.
pub(crate) const FIXED: u32 = u32::MAX;

/// The priority of the first route of the first app, behind everything that a scenario adds.
const FIRST_PRIORITY: usize = 1000;

/// Routes of an app.
const MOST_ROUTES: usize = 100;

/// Fields of a call.
type Fields<'a> = [(&'a str, &'a str)];

impl Cloud {
    /// Builds a balancer with the routes of each app and one rule of somebody else.
    ///
    /// # Panics
    /// Where the balancer refuses what it must be able to do.
    pub async fn build(plot: Plot, region: &str) -> Self {
        let seed = plot.seed;
        let worlds: Vec<Arc<Mutex<World>>> =
            (0..plot.apps.len()).map(|app| Arc::new(Mutex::new(World::new(&plot, app)))).collect();
        let watch = Watch { worlds: worlds.clone(), labels: Arc::default(), lie: plot.lie };
        let labels = Arc::clone(&watch.labels);
        let options = Options { region: region.to_owned(), seed, ..Options::default() };
        let mut cloud = Self {
            alb: Alb::in_memory(options, Box::new(watch)),
            worlds,
            site: Site::default(),
            executions: Mutex::default(),
            notices: Mutex::default(),
            changes: Mutex::default(),
            watched: Mutex::default(),
            faults: Arc::default(),
            moved: Mutex::default(),
            stages: watch::Sender::new(0),
            written: Mutex::default(),
            rng: Mutex::new(generator(seed, "cloud")),
            seen: Mutex::default(),
            plot,
        };
        let name = cloud.plot.setup.balancer.clone().unwrap_or_else(|| "shop".to_owned());
        cloud.site.balancer = cloud.create("CreateLoadBalancer", "LoadBalancerArn", &[("Name", &name)]).await;
        let listener = [
            ("LoadBalancerArn", cloud.site.balancer.as_str()),
            ("Port", "443"),
            ("Protocol", "HTTP"),
            ("DefaultActions.member.1.Type", "fixed-response"),
            ("DefaultActions.member.1.FixedResponseConfig.StatusCode", "404"),
        ];
        cloud.site.listener = cloud.create("CreateListener", "ListenerArn", &listener).await;
        for app in 0..cloud.plot.apps.len() {
            let built = cloud.app(app).await;
            let label = |arn: &String| arn.rsplit(':').next().unwrap_or_default().to_owned();
            lock(&labels).extend(built.groups.iter().map(label));
            cloud.site.apps.push(built);
        }
        let other = cloud.group("other-apps").await;
        cloud.site.neighbour = cloud.rule(900, ("host-header", "other.example"), &[(&other, 1)]).await;
        cloud.alb.refill();
        cloud.trouble();
        cloud.look();
        lock(&cloud.changes).clear();
        cloud
    }

    /// Lets calls of the balancer fail as often as was drawn.
    fn trouble(&self) {
        let trouble = self.plot.control_plane.1;
        let mut rng = generator(self.plot.seed, "trouble");
        let drawn = Mutex::new(std::iter::repeat_with(move || rng.random::<f64>()));
        let faults = Arc::clone(&self.faults);
        self.alb.intercept(Box::new(move |call| {
            if let Some(fault) = faults.intercept(call) {
                return fault;
            }
            match lock(&drawn).next().unwrap_or(1.0) / trouble.max(1e-9) {
                share if share < 0.4 => refusal(400, "Throttling"),
                share if share < 0.7 => refusal(503, "ServiceUnavailable"),
                share if share < 0.85 => Intercept::ResetBefore,
                share if share < 1.0 => Intercept::ResetAfter,
                _ => Intercept::Pass,
            }
        }));
    }

    async fn app(&self, index: usize) -> App {
        let name = APPS[index];
        let mut app = App::default();
        for fleet in [0, 1] {
            let group = self.group(&format!("shop-us-prd-{name}-0{}-tg", fleet + 1)).await;
            let number = u16::try_from(self.plot.fleets[fleet].targets).unwrap_or(1);
            let first = 9001 + 200 * u16::try_from(index).unwrap_or(0) + if fleet == 0 { 0 } else { 100 };
            for port in first..first + number {
                let target = [
                    ("TargetGroupArn", group.as_str()),
                    ("Targets.member.1.Id", "127.0.0.1"),
                    ("Targets.member.1.Port", &port.to_string()),
                ];
                self.ask("RegisterTargets", &target).await;
                app.targets[fleet].push(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            }
            app.groups.push(group);
        }
        let [live, standby] = self.plot.found;
        let setup = self.plot.setup.clone();
        let groups = match setup.fixed_on {
            Some(fleet) => vec![(app.groups[fleet.index()].as_str(), FIXED)],
            None => vec![(app.groups[0].as_str(), live), (app.groups[1].as_str(), standby)],
        };
        let mut routes = Vec::new();
        for (number, kind) in setup.routes.iter().enumerate() {
            routes.push(self.route(index, number, *kind, &groups).await);
        }
        if setup.previews && index == 0 {
            for (fleet, host) in [(0, "one.shop.example"), (1, "two.shop.example")] {
                self.rule(fleet + 1, ("host-header", host), &[(&app.groups[fleet], FIXED)]).await;
            }
        }
        app.routes = routes;
        app
    }

    /// Makes a route of an app: of a rule with a place of its own, or of the default action.
    pub(crate) async fn route(
        &self,
        app: usize,
        number: usize,
        kind: RouteKind,
        groups: &[(&str, u32)],
    ) -> String {
        let name = APPS[app];
        let priority = FIRST_PRIORITY + MOST_ROUTES * app + number;
        let before = match number {
            0 => String::new(),
            1 => "www.".to_owned(),
            more => format!("w{more}."),
        };
        match kind {
            RouteKind::Default => {
                let mut listener = vec![("ListenerArn".to_owned(), self.site.listener.clone())];
                listener.extend(forward("DefaultActions", groups));
                self.ask("ModifyListener", &borrowed(&listener)).await;
                self.site.listener.clone()
            }
            RouteKind::Path => {
                self.rule(priority, ("path-pattern", &format!("/{before}{name}/*")), groups).await
            }
            RouteKind::Host | RouteKind::SignedInHost => {
                self.rule(priority, ("host-header", &format!("{before}{name}.shop.example")), groups).await
            }
        }
    }

    async fn group(&self, name: &str) -> String {
        let group = [("Name", name), ("TargetType", "ip"), ("Port", "80"), ("HealthCheckPath", "/health")];
        self.create("CreateTargetGroup", "TargetGroupArn", &group).await
    }

    /// Makes a rule with one condition, a field and what it must be.
    pub(crate) async fn rule(
        &self,
        priority: usize,
        (field, value): (&str, &str),
        groups: &[(&str, u32)],
    ) -> String {
        let mut rule = vec![
            ("ListenerArn".to_owned(), self.site.listener.clone()),
            ("Priority".to_owned(), priority.to_string()),
            ("Conditions.member.1.Field".to_owned(), field.to_owned()),
            ("Conditions.member.1.Values.member.1".to_owned(), value.to_owned()),
        ];
        rule.extend(forward("Actions", groups));
        self.create("CreateRule", "RuleArn", &borrowed(&rule)).await
    }

    /// Puts weights into a rule of an app, as somebody else does.
    pub async fn set_weights(&self, app: usize, route: usize, [live, standby]: [u32; 2]) {
        let app = &self.site.apps[app];
        let (arn, groups) =
            (app.routes[route].clone(), [(app.groups[0].as_str(), live), (app.groups[1].as_str(), standby)]);
        let (action, name, actions) = if arn == self.site.listener {
            ("ModifyListener", "ListenerArn", "DefaultActions")
        } else {
            ("ModifyRule", "RuleArn", "Actions")
        };
        let mut fields = vec![(name.to_owned(), arn)];
        fields.extend(forward(actions, &groups));
        self.meanwhile();
        self.ask(action, &borrowed(&fields)).await;
        self.look();
        self.note_write();
    }

    /// All rules as the balancer shows them, without the weights.
    pub async fn rules(&self) -> String {
        let text = self.ask("DescribeRules", &[("ListenerArn", &self.site.listener)]).await;
        let mut parts = text.split("<Weight>");
        let mut rules = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            rules.push_str(part.split_once("</Weight>").map_or(part, |(_, rest)| rest));
        }
        // Each answer has an id of its own.
        rules.split_once("<ResponseMetadata>").map_or(rules.clone(), |(rules, _)| rules.to_owned())
    }

    async fn create(&self, action: &str, arn: &str, fields: &Fields<'_>) -> String {
        let answer = self.ask(action, fields).await;
        let found = answer.split_once(&format!("<{arn}>")).and_then(|(_, rest)| rest.split_once('<'));
        found.unwrap_or_else(|| panic!("{action} gave no {arn}: {answer}")).0.to_owned()
    }

    /// Makes a call of the balancer as an account does that is never refused.
    pub async fn ask(&self, action: &str, fields: &Fields<'_>) -> String {
        let mut form = format!("Action={action}&Version=2015-12-01");
        for (name, value) in fields {
            let escaped: String = value.bytes().fold(String::new(), |mut text, byte| {
                if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    let _ = write!(text, "%{byte:02X}");
                }
                text
            });
            let _ = write!(form, "&{name}={escaped}");
        }
        for _ in 0..5 {
            let request = http::Request::post("/").body(Bytes::from(form.clone())).expect("a request");
            if let Ok(answer) = self.alb.answer(request).await
                && (answer.status() == 200
                    || answer.status() == 400 && !answer.body().windows(10).any(|w| w == b"Throttling"))
            {
                return String::from_utf8_lossy(answer.body()).into_owned();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        String::new()
    }
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A forward among actions of this name: to one group alone where its weight is [`FIXED`], as nobody has
/// converted it yet.
fn forward(actions: &str, groups: &[(&str, u32)]) -> Vec<(String, String)> {
    let mut fields = vec![(format!("{actions}.member.1.Type"), "forward".to_owned())];
    if let [(group, FIXED)] = groups {
        fields.push((format!("{actions}.member.1.TargetGroupArn"), (*group).to_owned()));
        return fields;
    }
    for (number, (group, weight)) in (1..).zip(groups) {
        let place = format!("{actions}.member.1.ForwardConfig.TargetGroups.member.{number}");
        fields.push((format!("{place}.TargetGroupArn"), (*group).to_owned()));
        fields.push((format!("{place}.Weight"), weight.to_string()));
    }
    fields
}

fn refusal(status: u16, code: &str) -> Intercept {
    Intercept::Error { status, code: code.to_owned(), message: "Rate exceeded".to_owned() }
}
