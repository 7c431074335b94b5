//! What stands before a run: a balancer with the rules and target groups of its apps, and a rule of
//! somebody else.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alb::{Alb, Intercept, Options};
use bytes::Bytes;
use rand::Rng;
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

/// Fields of a call.
type Fields<'a> = [(&'a str, &'a str)];

impl Cloud {
    /// Builds a balancer with two routes of each app and one rule of somebody else.
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
            stages: watch::Sender::new(0),
            written: Mutex::default(),
            rng: Mutex::new(generator(seed, "cloud")),
            plot,
        };
        let balancer = cloud.create("CreateLoadBalancer", "LoadBalancerArn", &[("Name", "shop")]).await;
        let listener = [
            ("LoadBalancerArn", balancer.as_str()),
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
        cloud.site.neighbour = cloud.rule(900, "other.example", &[(&other, 1)]).await;
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
        self.alb.intercept(Box::new(move |_| match lock(&drawn).next().unwrap_or(1.0) / trouble.max(1e-9) {
            share if share < 0.4 => refusal(400, "Throttling"),
            share if share < 0.7 => refusal(503, "ServiceUnavailable"),
            share if share < 0.85 => Intercept::ResetBefore,
            share if share < 1.0 => Intercept::ResetAfter,
            _ => Intercept::Pass,
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
        for (number, host) in ["", "www."].into_iter().enumerate() {
            let groups = [(app.groups[0].as_str(), live), (app.groups[1].as_str(), standby)];
            let priority = 10 * (2 * index + number + 1);
            app.routes.push(self.rule(priority, &format!("{host}{name}.shop.example"), &groups).await);
        }
        app
    }

    async fn group(&self, name: &str) -> String {
        let group = [("Name", name), ("TargetType", "ip"), ("Port", "80"), ("HealthCheckPath", "/health")];
        self.create("CreateTargetGroup", "TargetGroupArn", &group).await
    }

    async fn rule(&self, priority: usize, host: &str, groups: &[(&str, u32)]) -> String {
        let mut rule = vec![
            ("ListenerArn".to_owned(), self.site.listener.clone()),
            ("Priority".to_owned(), priority.to_string()),
            ("Conditions.member.1.Field".to_owned(), "host-header".to_owned()),
            ("Conditions.member.1.HostHeaderConfig.Values.member.1".to_owned(), host.to_owned()),
        ];
        rule.extend(forward(groups));
        self.create("CreateRule", "RuleArn", &borrowed(&rule)).await
    }

    /// Puts weights into a rule of an app, as somebody else does.
    pub async fn set_weights(&self, app: usize, route: usize, [live, standby]: [u32; 2]) {
        let app = &self.site.apps[app];
        let mut fields = vec![("RuleArn".to_owned(), app.routes[route].clone())];
        fields.extend(forward(&[(&app.groups[0], live), (&app.groups[1], standby)]));
        self.meanwhile();
        self.ask("ModifyRule", &borrowed(&fields)).await;
        self.look();
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

fn forward(groups: &[(&str, u32)]) -> Vec<(String, String)> {
    let mut fields = vec![("Actions.member.1.Type".to_owned(), "forward".to_owned())];
    for (number, (group, weight)) in (1..).zip(groups) {
        let place = format!("Actions.member.1.ForwardConfig.TargetGroups.member.{number}");
        fields.push((format!("{place}.TargetGroupArn"), (*group).to_owned()));
        fields.push((format!("{place}.Weight"), weight.to_string()));
    }
    fields
}

fn refusal(status: u16, code: &str) -> Intercept {
    Intercept::Error { status, code: code.to_owned(), message: "Rate exceeded".to_owned() }
}
