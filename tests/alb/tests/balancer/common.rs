//! A balancer with clients, and what most tests ask of it.

use std::time::{Duration, SystemTime};

use alb::{Alb, Counted, Fleet, Options};
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, RuleCondition, TargetDescription, TargetGroupTuple,
};
use aws_sdk_elasticloadbalancingv2::{Client, config};

/// A balancer with one listener whose default action answers 404.
pub struct Ground {
    pub alb: Alb,
    pub elb: Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub http: reqwest::Client,
    pub balancer: String,
    pub listener: String,
    pub port: u16,
}

impl Ground {
    pub async fn new() -> Self {
        Self::with(Options {
            health_check_interval: Some(Duration::from_millis(20)),
            seed: 7,
            counted: Counted::Named,
            ..Options::default()
        })
        .await
    }

    pub async fn with(options: Options) -> Self {
        let alb = Alb::start(options).unwrap();
        let credentials = Credentials::new("test", "test", None, None, "static");
        let elb = Client::from_conf(
            config::Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("eu-central-1"))
                .credentials_provider(credentials.clone())
                .retry_config(RetryConfig::disabled())
                .endpoint_url(alb.endpoint())
                .build(),
        );
        let cloudwatch = aws_sdk_cloudwatch::Client::from_conf(
            aws_sdk_cloudwatch::config::Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("eu-central-1"))
                .credentials_provider(credentials)
                .retry_config(RetryConfig::disabled())
                .endpoint_url(alb.endpoint())
                .build(),
        );
        let created = elb.create_load_balancer().name("shop").send().await.unwrap();
        let balancer = created.load_balancers()[0].load_balancer_arn().unwrap().to_owned();
        let port = alb.reserve_port().unwrap();
        let created = elb
            .create_listener()
            .load_balancer_arn(&balancer)
            .port(port.into())
            .protocol("HTTP".into())
            .default_actions(fixed("404"))
            .send()
            .await
            .unwrap();
        let listener = created.listeners()[0].listener_arn().unwrap().to_owned();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { alb, elb, cloudwatch, http, balancer, listener, port }
    }

    /// A target group with the targets of a fleet.
    pub async fn group(&self, name: &str, fleet: &Fleet) -> String {
        let created = self
            .elb
            .create_target_group()
            .name(name)
            .protocol("HTTP".into())
            .port(80)
            .vpc_id("vpc-1")
            .target_type("ip".into())
            .health_check_path("/health")
            .healthy_threshold_count(2)
            .unhealthy_threshold_count(2)
            .send()
            .await
            .unwrap();
        let arn = created.target_groups()[0].target_group_arn().unwrap().to_owned();
        self.register(&arn, fleet).await;
        arn
    }

    pub async fn register(&self, group: &str, fleet: &Fleet) {
        let targets = fleet.targets().iter().map(|address| {
            TargetDescription::builder().id(address.ip().to_string()).port(address.port().into()).build()
        });
        self.elb
            .register_targets()
            .target_group_arn(group)
            .set_targets(Some(targets.collect()))
            .send()
            .await
            .unwrap();
    }

    /// A rule for a path, and its ARN.
    pub async fn rule(&self, priority: i32, path: &str, actions: Vec<Action>) -> String {
        let created = self
            .elb
            .create_rule()
            .listener_arn(&self.listener)
            .priority(priority)
            .conditions(path_is(path))
            .set_actions(Some(actions))
            .send()
            .await
            .unwrap();
        created.rules()[0].rule_arn().unwrap().to_owned()
    }

    /// Writes the actions of a rule.
    pub async fn write(&self, rule: &str, actions: Vec<Action>) {
        self.elb.modify_rule().rule_arn(rule).set_actions(Some(actions)).send().await.unwrap();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Status and fleet of one answer.
    pub async fn get(&self, path: &str) -> (u16, String) {
        read(self.http.get(self.url(path)).send().await.unwrap()).await
    }

    /// Status and fleet of many answers, so many requests at once.
    pub async fn many(&self, path: &str, count: usize, at_once: usize) -> Vec<(u16, String)> {
        let mut answers = Vec::new();
        let mut running = tokio::task::JoinSet::new();
        for index in 0..count {
            if index >= at_once {
                answers.extend(running.join_next().await.transpose().unwrap());
            }
            let request = self.http.get(self.url(path));
            running.spawn(async move { read(request.send().await.unwrap()).await });
        }
        answers.extend(running.join_all().await);
        answers
    }

    /// The states of a group's targets, as `state reason`.
    pub async fn health(&self, group: &str) -> Vec<String> {
        let output = self.elb.describe_target_health().target_group_arn(group).send().await.unwrap();
        output
            .target_health_descriptions()
            .iter()
            .map(|target| {
                let health = target.target_health().unwrap();
                let reason = health.reason().map(|reason| reason.as_str()).unwrap_or_default();
                format!("{} {reason}", health.state().unwrap().as_str()).trim().to_owned()
            })
            .collect()
    }

    /// Waits until all targets of a group are in a state.
    pub async fn until(&self, group: &str, state: &str) {
        for _ in 0..250 {
            if self.health(group).await.iter().all(|found| found == state) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{state} was expected, found {:?}", self.health(group).await);
    }

    /// One metric over the last minutes by the second, added up; none without any data point.
    pub async fn metric(&self, name: &str, group: Option<&str>, stat: &str) -> Option<f64> {
        let values = self.values(name, group, stat, 60, None).await;
        if values.is_empty() { None } else { Some(values.iter().sum()) }
    }

    pub async fn values(
        &self,
        name: &str,
        group: Option<&str>,
        stat: &str,
        period: i32,
        unit: Option<&str>,
    ) -> Vec<f64> {
        let now = SystemTime::now();
        let output = self
            .cloudwatch
            .get_metric_data()
            .start_time((now - Duration::from_mins(3)).into())
            .end_time((now + Duration::from_mins(1)).into())
            .metric_data_queries(query("q", name, &self.balancer, group, stat, period, unit))
            .send()
            .await
            .unwrap();
        output.metric_data_results()[0].values().to_vec()
    }
}

async fn read(response: reqwest::Response) -> (u16, String) {
    let fleet = response.headers().get("x-fleet").map(|fleet| fleet.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    response.bytes().await.unwrap();
    (status, fleet.unwrap_or_default())
}

/// Waits until everything of this second is published.
pub async fn published() {
    let into = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_millis();
    tokio::time::sleep(Duration::from_millis(1020 - u64::from(into))).await;
}

/// Starts at the beginning of a second, so that what follows falls into one.
pub async fn next_second() {
    published().await;
}

/// `app/name/id` or `targetgroup/name/id`.
pub fn label(arn: &str) -> &str {
    let resource = arn.rsplit(':').next().unwrap();
    resource.strip_prefix("loadbalancer/").unwrap_or(resource)
}

pub fn query(
    id: &str,
    name: &str,
    balancer: &str,
    group: Option<&str>,
    stat: &str,
    period: i32,
    unit: Option<&str>,
) -> MetricDataQuery {
    let dimension = |name: &str, arn: &str| Dimension::builder().name(name).value(label(arn)).build();
    let metric = Metric::builder()
        .namespace("AWS/ApplicationELB")
        .metric_name(name)
        .dimensions(dimension("LoadBalancer", balancer))
        .set_dimensions(Some(
            group
                .map(|group| dimension("TargetGroup", group))
                .into_iter()
                .chain([dimension("LoadBalancer", balancer)])
                .collect(),
        ))
        .build();
    let stat =
        MetricStat::builder().metric(metric).stat(stat).period(period).set_unit(unit.map(Into::into)).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

pub fn path_is(pattern: &str) -> RuleCondition {
    RuleCondition::builder().field("path-pattern").values(pattern).build()
}

pub fn tuple(group: &str, weight: i32) -> TargetGroupTuple {
    TargetGroupTuple::builder().target_group_arn(group).weight(weight).build()
}

pub fn forward(groups: &[(&str, i32)]) -> Action {
    let config = ForwardActionConfig::builder()
        .set_target_groups(Some(groups.iter().map(|(group, weight)| tuple(group, *weight)).collect()))
        .build();
    Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
}

pub fn fixed(status: &str) -> Action {
    use aws_sdk_elasticloadbalancingv2::types::FixedResponseActionConfig;
    Action::builder()
        .r#type(ActionTypeEnum::FixedResponse)
        .fixed_response_config(FixedResponseActionConfig::builder().status_code(status).build())
        .build()
}

/// The code of a refused call.
pub fn code<T: std::fmt::Debug, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    let Err(error) = result else { panic!("a refusal was expected") };
    error.code().unwrap_or("no code").to_owned()
}

/// What a refused call was told, as `Code: message`.
pub fn said<T: std::fmt::Debug, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    let Err(error) = result else { panic!("a refusal was expected") };
    format!("{}: {}", error.code().unwrap_or("no code"), error.message().unwrap_or("no message"))
}
