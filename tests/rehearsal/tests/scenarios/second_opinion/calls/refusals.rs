//! Calls that AWS answers with an error. They come last: what one side takes, the other has not.

use aws_sdk_elasticloadbalancingv2::types::{Action, ProtocolEnum, Tag, TargetDescription};
use serde_json::json;

use super::super::{Network, SECRET, beside, fixed_forward, forward, in_order, not_found, shown, sign_in};
use super::{Parts, Talk, host};
use shown::{accepted, outcome};

impl Talk<'_> {
    pub(super) async fn ask_for_what_is_not_there(&mut self, parts: &Parts) {
        let client = self.client;
        let gone = |arn: &str| {
            let (before, _) = arn.rsplit_once('/').unwrap_or_default();
            format!("{before}/0123456789abcdef")
        };
        let (rule, listener) = (gone(&parts.fixed), gone(&parts.listener));
        let (group, balancer) = (gone(&parts.groups[0]), gone(&parts.balancer));

        let found = client.describe_rules().rule_arns(&rule).send().await;
        self.note("unknown rule: describe", outcome(found, accepted));
        let found = client.describe_rules().rule_arns(&parts.fixed).rule_arns(&rule).send().await;
        self.note("unknown rule beside a known one: describe", outcome(found, accepted));
        let changed = client.modify_rule().rule_arn(&rule).actions(not_found()).send().await;
        self.note("unknown rule: modify", outcome(changed, accepted));
        let tag = Tag::builder().key("failover:live").value("prod1").build();
        let tagged = client.add_tags().resource_arns(&rule).tags(tag).send().await;
        self.note("unknown rule: tag", outcome(tagged, accepted));
        let found = client.describe_tags().resource_arns(&rule).send().await;
        self.note("unknown rule: describe tags", outcome(found, accepted));
        let deleted = client.delete_rule().rule_arn(&rule).send().await;
        self.note("unknown rule: delete", outcome(deleted, accepted));

        let found = client.describe_rules().listener_arn(&listener).send().await;
        self.note("unknown listener: describe rules", outcome(found, accepted));
        let found = client.describe_listeners().listener_arns(&listener).send().await;
        self.note("unknown listener: describe", outcome(found, accepted));
        let changed =
            client.modify_listener().listener_arn(&listener).default_actions(not_found()).send().await;
        self.note("unknown listener: modify", outcome(changed, accepted));
        let made = client.create_rule().listener_arn(&listener).priority(99).conditions(host("x.example"));
        self.note("unknown listener: create rule", outcome(made.actions(not_found()).send().await, accepted));

        let found = client.describe_target_groups().target_group_arns(&group).send().await;
        self.note("unknown group: describe", outcome(found, accepted));
        let found = client.describe_target_groups().names("second-opinion-seven").send().await;
        self.note("unknown group: describe by name", outcome(found, accepted));
        let found = client.describe_target_health().target_group_arn(&group).send().await;
        self.note("unknown group: describe health", outcome(found, accepted));
        let found = client.describe_target_group_attributes().target_group_arn(&group).send().await;
        self.note("unknown group: describe attributes", outcome(found, accepted));
        let target = TargetDescription::builder().id("127.0.0.1").port(80).build();
        let registered = client.register_targets().target_group_arn(&group).targets(target).send().await;
        self.note("unknown group: register", outcome(registered, accepted));
        self.try_on_rule("unknown group: forward", parts, vec![fixed_forward(&group)]).await;
        let known_too = vec![forward(&[(&parts.groups[0], 1), (&group, 0)])];
        self.try_on_rule("unknown group: weighted forward", parts, known_too).await;

        let found = client.describe_load_balancers().load_balancer_arns(&balancer).send().await;
        self.note("unknown balancer: describe", outcome(found, accepted));
        let found = client.describe_load_balancers().names("third-opinion").send().await;
        self.note("unknown balancer: describe by name", outcome(found, accepted));
        let found = client.describe_listeners().load_balancer_arn(&balancer).send().await;
        self.note("unknown balancer: describe listeners", outcome(found, accepted));
        let made = client.create_listener().load_balancer_arn(&balancer).protocol(ProtocolEnum::Http);
        let made = made.port(parts.port).default_actions(not_found()).send().await;
        self.note("unknown balancer: create listener", outcome(made, accepted));
    }

    pub(super) async fn ask_for_what_cannot_be(&mut self, parts: &Parts, network: &Network) {
        let client = self.client;
        let found = client.describe_rules().send().await;
        self.note("describe rules of nothing", outcome(found, accepted));
        let made = client.create_rule().listener_arn(&parts.listener).priority(20);
        let made = made.conditions(host("x.example")).actions(not_found()).send().await;
        self.note("priority in use", outcome(made, accepted));
        let many = vec![parts.fixed.clone(); 21];
        let found = client.describe_tags().set_resource_arns(Some(many)).send().await;
        self.note("tags of 21 resources", outcome(found, accepted));
        let tag = Tag::builder().key("failover:live").value("prod1").build();
        let two = vec![parts.fixed.clone(), parts.weighted.clone()];
        let tagged = client.add_tags().set_resource_arns(Some(two.clone())).tags(tag).send().await;
        self.note("two resources tagged at once", outcome(tagged, accepted));
        let untagged =
            client.remove_tags().set_resource_arns(Some(two)).tag_keys("failover:live").send().await;
        self.note("two resources untagged at once", outcome(untagged, accepted));
        let many = vec![parts.fixed.clone(); 21];
        let found = client.describe_rules().set_rule_arns(Some(many)).send().await;
        self.note("21 rules described", outcome(found, accepted));
        let made = client.create_target_group().name("second-opinion-one").protocol(ProtocolEnum::Http);
        let made = made.port(80).vpc_id(&network.vpc).send().await;
        self.note("group of the same name", outcome(made, accepted));
        let made = client.create_load_balancer().name("second-opinion");
        let made = made.set_subnets(Some(network.subnets.clone())).send().await;
        self.note("balancer of the same name", outcome(made, |_| json!("accepted")));
        let made = client.create_listener().load_balancer_arn(&parts.balancer).protocol(ProtocolEnum::Http);
        let made = made.port(parts.port).default_actions(not_found()).send().await;
        self.note("listener on the same port", outcome(made, accepted));
        let changed = client.modify_rule().rule_arn(&parts.default_rule).actions(not_found()).send().await;
        self.note("default rule by ModifyRule", outcome(changed, accepted));
        let changed = client.modify_listener().listener_arn(&parts.listener);
        let changed = changed.default_actions(fixed_forward("no-group")).send().await;
        self.note("default action to an unknown group", outcome(changed, accepted));

        let [one, two, ..] = parts.groups.each_ref().map(String::as_str);
        let all: Vec<(&str, i32)> = parts.groups.iter().map(|arn| (arn.as_str(), 1)).collect();
        let both = beside(one, forward(&[(one, 1), (two, 0)]));
        let [auth, to_one] = [sign_in(None, Some(true)), forward(&[(one, 1)])];
        let cases = [
            ("weight of 1000", vec![forward(&[(one, 1000), (two, 0)])]),
            ("six groups", vec![forward(&all)]),
            ("a group twice", vec![forward(&[(one, 1), (one, 2)])]),
            ("no group", vec![forward(&[])]),
            ("TargetGroupArn beside two groups", vec![both]),
            ("two actions without order", vec![auth.clone(), to_one.clone()]),
            ("two forwards", in_order([to_one.clone(), forward(&[(two, 1)])])),
            ("forward before the sign-in", in_order([to_one.clone(), auth.clone()])),
            ("sign-in alone", vec![auth.clone()]),
            ("no secret to keep", in_order([auth, to_one.clone()])),
            ("sign-in without secret", in_order([sign_in(None, None), to_one.clone()])),
            ("secret given and kept", in_order([sign_in(Some(SECRET), Some(true)), to_one])),
            ("all weights zero", vec![forward(&[(one, 0), (two, 0)])]),
            ("no actions", vec![]),
        ];
        for (step, actions) in cases {
            self.try_on_rule(step, parts, actions).await;
        }
    }

    /// On a rule that has never asked anybody to sign in.
    async fn try_on_rule(&mut self, step: &str, parts: &Parts, actions: Vec<Action>) {
        let call = self.client.modify_rule().rule_arn(&parts.three).set_actions(Some(actions));
        self.note(step, outcome(call.send().await, accepted));
    }
}
