//! The calls: what is built, read, changed and asked of a balancer, and what it answers.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ProtocolEnum, Rule, RuleCondition, Tag, TargetDescription, TargetGroupAttribute,
    TargetGroupStickinessConfig, TargetTypeEnum,
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{Network, SECRET, beside, fixed_forward, forward, in_order, not_found, shown, sign_in};

mod refusals;

/// Makes all calls and returns the answers by step, with names in place of ARNs.
pub async fn make(client: &Client, network: &Network, fleet: &alb::Fleet, port: u16) -> Result<Value> {
    let mut talk = Talk { client, names: HashMap::new(), answers: Map::new() };
    let parts = talk.build(network, port).await?;
    talk.read(&parts).await?;
    talk.change(&parts).await?;
    talk.tag(&parts).await?;
    talk.look_at_targets(&parts, fleet).await?;
    talk.set_attributes(&parts).await?;
    talk.ask_for_what_is_not_there(&parts).await;
    talk.ask_for_what_cannot_be(&parts, network).await;
    Ok(Value::Object(talk.answers))
}

struct Talk<'a> {
    client: &'a Client,
    /// What to say in place of an ARN.
    names: HashMap<String, String>,
    answers: Map<String, Value>,
}

/// What was built.
struct Parts {
    balancer: String,
    listener: String,
    port: i32,
    groups: [String; 6],
    default_rule: String,
    /// To one group only, by host.
    fixed: String,
    /// To two groups, by path.
    weighted: String,
    /// To three groups, with stickiness.
    three: String,
    /// To two groups, after signing in.
    signed_in: String,
}

impl Talk<'_> {
    fn note(&mut self, step: impl Into<String>, answer: Value) {
        self.answers.insert(step.into(), self.named(answer));
    }

    fn named(&self, value: Value) -> Value {
        let name = |text: String| self.names.get(&text).cloned().unwrap_or(text);
        match value {
            Value::String(text) => Value::String(name(text)),
            Value::Array(values) => values.into_iter().map(|value| self.named(value)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.into_iter().map(|(key, v)| (name(key), self.named(v))).collect())
            }
            other => other,
        }
    }

    /// Remembers the name of a resource, and notes how its ARN is made.
    fn name(&mut self, name: &str, arn: &str) -> String {
        self.note(format!("arn of {name}"), json!(shape(arn)));
        self.names.insert(arn.to_owned(), name.to_owned());
        arn.to_owned()
    }

    async fn build(&mut self, network: &Network, port: u16) -> Result<Parts> {
        let client = self.client;
        let subnets = Some(network.subnets.clone());
        let made = client.create_load_balancer().name("second-opinion").set_subnets(subnets).send().await?;
        let made = made.load_balancers().first().context("no balancer was made")?;
        let balancer = self.name("the balancer", made.load_balancer_arn().context("no ARN")?);
        self.note("create balancer", shown::balancer(made));

        let mut groups = Vec::new();
        for name in ["one", "two", "three", "four", "five", "six"] {
            let call = client
                .create_target_group()
                .name(format!("second-opinion-{name}"))
                .protocol(ProtocolEnum::Http)
                .port(80)
                .vpc_id(&network.vpc)
                .target_type(TargetTypeEnum::Ip)
                .health_check_path("/health")
                .unhealthy_threshold_count(3);
            let made = call.send().await?;
            let made = made.target_groups().first().context("no group was made")?;
            groups.push(self.name(name, made.target_group_arn().context("no ARN")?));
            self.note(format!("create group {name}"), shown::group(made));
        }
        let groups: [String; 6] = groups.try_into().expect("six names");
        let [one, two, three, four, five, _] = groups.each_ref().map(String::as_str);

        let call = client.create_listener().load_balancer_arn(&balancer).protocol(ProtocolEnum::Http);
        let made = call.port(port.into()).default_actions(not_found()).send().await?;
        let made = made.listeners().first().context("no listener was made")?;
        let listener = self.name("the listener", made.listener_arn().context("no ARN")?);
        self.note("create listener", shown::listener(made));
        let rules = client.describe_rules().listener_arn(&listener).send().await?;
        let default_rule = rules.rules().first().and_then(Rule::rule_arn).context("no default rule")?;
        let default_rule = self.name("the default rule", default_rule);

        let host = host("fixed.example");
        let fixed = self.rule(&listener, "fixed", 30, host, vec![fixed_forward(one)]).await?;
        let path = RuleCondition::builder().field("path-pattern").values("/weighted/*").build();
        let weights = vec![forward(&[(one, 90), (two, 10)])];
        let weighted = self.rule(&listener, "weighted", 20, path, weights).await?;
        let to_three = vec![sticky(forward(&[(three, 1), (four, 0), (five, 999)]))];
        let three = self.rule(&listener, "to three", 40, self::host("three.example"), to_three).await?;
        let secretive = in_order([sign_in(Some(SECRET), None), forward(&[(one, 100), (two, 0)])]);
        let signed_in = self.rule(&listener, "signed in", 10, self::host("me.example"), secretive).await?;
        let port = port.into();
        Ok(Parts { balancer, listener, port, groups, default_rule, fixed, weighted, three, signed_in })
    }

    async fn rule(
        &mut self,
        listener: &str,
        name: &str,
        priority: i32,
        condition: RuleCondition,
        actions: Vec<Action>,
    ) -> Result<String> {
        let call = self.client.create_rule().listener_arn(listener).priority(priority);
        let made = call.conditions(condition).set_actions(Some(actions)).send().await?;
        let made = made.rules().first().context("no rule was made")?;
        let arn = self.name(&format!("rule {name}"), made.rule_arn().context("no ARN")?);
        self.note(format!("create rule {name}"), shown::rule(made));
        Ok(arn)
    }

    async fn read(&mut self, parts: &Parts) -> Result<()> {
        let client = self.client;
        let found = client.describe_load_balancers().names("second-opinion").send().await?;
        self.note("describe balancer", found.load_balancers().iter().map(shown::balancer).collect());
        let found = client.describe_listeners().load_balancer_arn(&parts.balancer).send().await?;
        self.note("describe listeners", found.listeners().iter().map(shown::listener).collect());
        let found = client.describe_target_groups().load_balancer_arn(&parts.balancer).send().await?;
        self.note("groups in use", shown::by_arn(found.target_groups().iter().map(shown::group)));
        let found = client.describe_rules().listener_arn(&parts.listener).send().await?;
        self.note("rules of the listener", shown::by_arn(found.rules().iter().map(shown::rule)));
        self.note("order of the rules", found.rules().iter().map(|r| json!(r.priority())).collect());
        let arns = [&parts.fixed, &parts.default_rule, &parts.signed_in].map(Clone::clone);
        let found = client.describe_rules().set_rule_arns(Some(arns.to_vec())).send().await?;
        self.note("rules by ARN", shown::by_arn(found.rules().iter().map(shown::rule)));
        Ok(())
    }

    /// Every change carries actions only: conditions and priorities have to stay.
    async fn change(&mut self, parts: &Parts) -> Result<()> {
        let [one, two, three, four, ..] = parts.groups.each_ref().map(String::as_str);
        self.modify("the weights", &parts.weighted, vec![forward(&[(one, 0), (two, 100)])]).await?;
        self.modify("a fixed forward to weights", &parts.fixed, vec![forward(&[(one, 1), (two, 0)])]).await?;
        self.modify("to a single group", &parts.fixed, vec![forward(&[(one, 100)])]).await?;
        let both = beside(two, forward(&[(two, 7)]));
        self.modify("to a group named twice", &parts.fixed, vec![both]).await?;
        let without = vec![forward(&[(three, 1), (four, 1)])];
        self.modify("away with stickiness and a group", &parts.three, without).await?;
        let kept = in_order([sign_in(None, Some(true)), forward(&[(one, 50), (two, 50)])]);
        self.modify("behind a sign-in", &parts.signed_in, kept).await?;

        let client = self.client;
        let call = client.modify_listener().listener_arn(&parts.listener);
        let changed = call.default_actions(forward(&[(one, 100), (two, 0)])).send().await?;
        self.note("modify listener", changed.listeners().iter().map(shown::listener).collect());
        let found = client.describe_listeners().listener_arns(&parts.listener).send().await?;
        self.note("modified listener", found.listeners().iter().map(shown::listener).collect());
        let found = client.describe_rules().rule_arns(&parts.default_rule).send().await?;
        self.note("default rule of the modified listener", found.rules().iter().map(shown::rule).collect());
        Ok(())
    }

    async fn modify(&mut self, what: &str, rule: &str, actions: Vec<Action>) -> Result<()> {
        let call = self.client.modify_rule().rule_arn(rule).set_actions(Some(actions));
        self.note(format!("modify {what}"), call.send().await?.rules().iter().map(shown::rule).collect());
        let found = self.client.describe_rules().rule_arns(rule).send().await?;
        self.note(format!("modified {what}"), found.rules().iter().map(shown::rule).collect());
        Ok(())
    }

    async fn tag(&mut self, parts: &Parts) -> Result<()> {
        let client = self.client;
        let arns = [&parts.balancer, &parts.listener, &parts.weighted, &parts.groups[0]].map(Clone::clone);
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        for arn in &arns {
            let add = || client.add_tags().resource_arns(arn);
            add().tags(tag("failover:live", "prod1")).tags(tag("owner", "shop")).send().await?;
            add().tags(tag("failover:live", "prod2")).send().await?;
        }
        client.remove_tags().resource_arns(&parts.weighted).tag_keys("owner").send().await?;
        let found = client.describe_tags().set_resource_arns(Some(arns.to_vec())).send().await?;
        self.note("tags", shown::by_arn(found.tag_descriptions().iter().map(shown::tags)));
        let untagged = client.describe_tags().resource_arns(&parts.fixed).send().await?;
        self.note("no tags", untagged.tag_descriptions().iter().map(shown::tags).collect());
        Ok(())
    }

    /// One group is in use by rules, the other by none.
    async fn look_at_targets(&mut self, parts: &Parts, fleet: &alb::Fleet) -> Result<()> {
        let client = self.client;
        let address = *fleet.targets().first().context("a fleet without targets")?;
        self.names.insert(address.port().to_string(), "the target's port".into());
        let target = TargetDescription::builder().id(address.ip().to_string());
        let target = target.port(address.port().into()).build();
        for (group, what) in [(&parts.groups[0], "a group in use"), (&parts.groups[5], "a group not in use")]
        {
            client.register_targets().target_group_arn(group).targets(target.clone()).send().await?;
            let health = self.health(group).await?;
            self.note(format!("health of {what}"), health);
            client.deregister_targets().target_group_arn(group).targets(target.clone()).send().await?;
            let health = self.health(group).await?;
            self.note(format!("health of {what} without targets"), health);
        }
        Ok(())
    }

    /// The health of a group's targets once they were checked.
    async fn health(&self, group: &str) -> Result<Value> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.client.describe_target_health().target_group_arn(group).send().await?;
            let health: Vec<Value> = found.target_health_descriptions().iter().map(shown::health).collect();
            if health.iter().all(|target| target["state"] != "initial") {
                return Ok(Value::Array(health));
            }
            ensure!(Instant::now() < deadline, "the targets of {group} are never checked");
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn set_attributes(&mut self, parts: &Parts) -> Result<()> {
        let group = &parts.groups[5];
        let describe = || self.client.describe_target_group_attributes().target_group_arn(group).send();
        let before = describe().await?;
        let set = |key: &str, value: &str| TargetGroupAttribute::builder().key(key).value(value).build();
        let call = self.client.modify_target_group_attributes().target_group_arn(group);
        let call = call.attributes(set("stickiness.enabled", "true"));
        let changed = call.attributes(set("slow_start.duration_seconds", "30")).send().await?;
        let after = describe().await?;
        self.note("attributes", shown::attributes(before.attributes()));
        self.note("modify attributes", shown::attributes(changed.attributes()));
        self.note("modified attributes", shown::attributes(after.attributes()));
        Ok(())
    }
}

fn host(name: &str) -> RuleCondition {
    RuleCondition::builder().field("host-header").values(name).build()
}

fn sticky(mut action: Action) -> Action {
    let sticky = TargetGroupStickinessConfig::builder().enabled(true).duration_seconds(60).build();
    if let Some(config) = action.forward_config.as_mut() {
        config.target_group_stickiness_config = Some(sticky);
    }
    action
}

/// An ARN without its account and ids: every part after the names is an id.
fn shape(arn: &str) -> String {
    let parts = arn.split(':').enumerate().map(|(i, part)| if i == 4 { "account" } else { part });
    let arn = parts.collect::<Vec<_>>().join(":");
    let is_id = |part: &str| part.len() >= 12 && part.bytes().all(|b| b.is_ascii_hexdigit());
    arn.split('/').map(|part| if is_id(part) { "id" } else { part }).collect::<Vec<_>>().join("/")
}
