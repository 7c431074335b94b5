//! Every call that AWS refuses is refused with AWS's code, and its words where a source has them, and changes nothing.

use alb::{AlarmState, Fleet, Service};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, LoadBalancerAttribute, Tag, TargetDescription,
};

use crate::common::{Ground, code, fixed, forward, path_is, said};

const NOWHERE: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:";

#[tokio::test]
async fn unknown_resources() {
    let ground = Ground::new().await;
    let elb = &ground.elb;
    let rule = format!("{NOWHERE}listener-rule/app/shop/1/2/3");
    let listener = format!("{NOWHERE}listener/app/shop/1/2");
    let group = format!("{NOWHERE}targetgroup/one/1");
    let balancer = format!("{NOWHERE}loadbalancer/app/other/1");

    assert_eq!(code(elb.describe_rules().rule_arns(&rule).send().await), "RuleNotFound");
    assert_eq!(code(elb.modify_rule().rule_arn(&rule).actions(fixed("404")).send().await), "RuleNotFound");
    assert_eq!(code(elb.delete_rule().rule_arn(&rule).send().await), "RuleNotFound");
    assert_eq!(code(elb.describe_tags().resource_arns(&rule).send().await), "RuleNotFound");
    assert_eq!(code(elb.describe_rules().listener_arn(&listener).send().await), "ListenerNotFound");
    assert_eq!(code(elb.describe_listeners().listener_arns(&listener).send().await), "ListenerNotFound");
    assert_eq!(
        said(elb.modify_listener().listener_arn(&listener).send().await),
        "ListenerNotFound: One or more listeners not found"
    );
    assert_eq!(
        code(elb.describe_target_health().target_group_arn(&group).send().await),
        "TargetGroupNotFound"
    );
    assert_eq!(
        said(elb.describe_target_groups().names("no").send().await),
        "TargetGroupNotFound: One or more target groups not found"
    );
    assert_eq!(
        code(elb.describe_target_group_attributes().target_group_arn(&group).send().await),
        "TargetGroupNotFound"
    );
    assert_eq!(
        said(elb.describe_load_balancers().names("no").send().await),
        "LoadBalancerNotFound: Load balancers '[no]' not found"
    );
    assert_eq!(
        code(elb.describe_listeners().load_balancer_arn(&balancer).send().await),
        "LoadBalancerNotFound"
    );
    assert_eq!(code(elb.describe_account_limits().send().await), "InvalidAction");
}

#[tokio::test]
async fn actions_that_make_no_sense() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let mut groups = Vec::new();
    for index in 0..6 {
        groups.push(ground.group(&format!("group-{index}"), &fleet).await);
    }
    let (one, two) = (groups[0].as_str(), groups[1].as_str());
    let rule = ground.rule(1, "/*", vec![forward(&[(one, 1), (two, 0)])]).await;
    let unknown = format!("{NOWHERE}targetgroup/none/1");
    let six: Vec<(&str, i32)> = groups.iter().map(|group| (group.as_str(), 1)).collect();
    let plain = |group: &str| Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(group);
    let in_order = |action: Action, order: i32| {
        let mut ordered = action;
        ordered.order = Some(order);
        ordered
    };
    let both =
        plain(one).forward_config(forward(&[(one, 1), (two, 1)]).forward_config().unwrap().clone()).build();
    let unlike = plain(two).forward_config(forward(&[(one, 1)]).forward_config().unwrap().clone()).build();
    let mut unweighted = forward(&[(one, 1), (two, 1)]);
    unweighted.forward_config.as_mut().unwrap().target_groups.as_mut().unwrap()[1].weight = None;
    let cases = [
        ("ValidationError", vec![forward(&[(one, 1000), (two, 0)])]),
        ("ValidationError", vec![forward(&[(one, -1), (two, 1)])]),
        ("ValidationError", vec![unweighted]),
        ("ValidationError", vec![forward(&[(one, 1), (one, 2)])]),
        ("ValidationError", vec![forward(&[])]),
        ("TooManyTargetGroups", vec![forward(&six)]),
        ("TargetGroupNotFound", vec![forward(&[(one, 1), (&unknown, 0)])]),
        ("InvalidLoadBalancerAction", vec![both]),
        ("InvalidLoadBalancerAction", vec![unlike]),
        ("InvalidLoadBalancerAction", vec![fixed("404"), fixed("404")]),
        ("InvalidLoadBalancerAction", vec![in_order(fixed("404"), 1), in_order(fixed("404"), 1)]),
        ("InvalidLoadBalancerAction", vec![in_order(fixed("404"), 1), in_order(fixed("404"), 2)]),
        ("ValidationError", vec![]),
    ];
    let before = ground.elb.describe_rules().rule_arns(&rule).send().await.unwrap();
    for (index, (expected, actions)) in cases.into_iter().enumerate() {
        let outcome = ground.elb.modify_rule().rule_arn(&rule).set_actions(Some(actions)).send().await;
        assert_eq!(code(outcome), expected, "case {index}");
    }
    let after = ground.elb.describe_rules().rule_arns(&rule).send().await.unwrap();
    assert_eq!(before.rules(), after.rules());
    // All weights zero is not among them: AWS leaves that mistake to the data plane.
    ground.write(&rule, vec![forward(&[(one, 0), (two, 0)])]).await;
}

#[tokio::test]
async fn rules_and_listeners_that_cannot_be() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let group = ground.group("one", &fleet).await;
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    let elb = &ground.elb;

    let rules = elb.describe_rules().listener_arn(&ground.listener).send().await.unwrap();
    let default = rules.rules().last().unwrap();
    assert_eq!((default.is_default(), default.priority()), (Some(true), Some("default")));
    let default = default.rule_arn().unwrap();
    let outcome = elb.modify_rule().rule_arn(default).actions(fixed("404")).send().await;
    assert_eq!(code(outcome), "OperationNotPermitted");
    assert_eq!(code(elb.delete_rule().rule_arn(default).send().await), "OperationNotPermitted");

    let create = || elb.create_rule().listener_arn(&ground.listener).actions(fixed("404"));
    assert_eq!(
        said(create().priority(1).conditions(path_is("/x")).send().await),
        "PriorityInUse: Priority '1' is currently in use"
    );
    assert_eq!(code(create().priority(0).conditions(path_is("/x")).send().await), "ValidationError");
    assert_eq!(code(create().priority(2).set_conditions(Some(vec![])).send().await), "ValidationError");

    // A port that another program listens on.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = |port: u16| {
        elb.create_listener()
            .load_balancer_arn(&ground.balancer)
            .protocol("HTTP".into())
            .port(port.into())
            .default_actions(fixed("404"))
    };
    let busy = listener(other.local_addr().unwrap().port()).send().await;
    assert_eq!(code(busy), "InvalidConfigurationRequest");
    let there = &ground.balancer;
    assert_eq!(
        said(listener(ground.port).send().await),
        format!("DuplicateListener: A listener already exists on this port for this load balancer '{there}'")
    );

    let second = elb.create_load_balancer().name("second").send().await.unwrap();
    let outcome = elb
        .create_listener()
        .load_balancer_arn(second.load_balancers()[0].load_balancer_arn().unwrap())
        .protocol("HTTP".into())
        .port(ground.alb.reserve_port().unwrap().into())
        .default_actions(forward(&[(&group, 1)]))
        .send()
        .await;
    let one_alone = "TargetGroupAssociationLimit: The following target groups cannot be associated with more than \
                     one load balancer: ";
    assert_eq!(said(outcome), format!("{one_alone}{group}"));
    assert_eq!(
        said(elb.create_load_balancer().name("shop").send().await),
        "DuplicateLoadBalancerName: A load balancer with the same name 'shop' exists, but with different settings"
    );
    assert_eq!(
        said(elb.create_target_group().name("one").send().await),
        "DuplicateTargetGroupName: A target group with the same name 'one' exists, but with different settings"
    );
    let slow = elb.create_target_group().name("two").health_check_interval_seconds(1).send().await;
    assert_eq!(code(slow), "ValidationError");
}

#[tokio::test]
async fn targets_rules_and_listeners_that_cannot_be() {
    let ground = Ground::new().await;
    let elb = &ground.elb;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let group = ground.group("one", &fleet).await;
    let register = |id: &str| {
        let target = TargetDescription::builder().id(id).port(80).build();
        elb.register_targets().target_group_arn(&group).targets(target).send()
    };
    assert_eq!(code(register("i-0123456789abcdef0").await), "InvalidTarget");
    assert_eq!(code(register("10.0.0.1").await), "InvalidTarget");

    let listener = |protocol: &str| {
        elb.create_listener()
            .load_balancer_arn(&ground.balancer)
            .protocol(protocol.into())
            .port(8443)
            .default_actions(fixed("404"))
    };
    assert_eq!(code(listener("TCP").send().await), "UnsupportedProtocol");
    assert_eq!(code(listener("HTTPS").send().await), "CertificateNotFound");

    let unknown = LoadBalancerAttribute::builder().key("shoe_size").value("42").build();
    let modify = elb.modify_load_balancer_attributes().load_balancer_arn(&ground.balancer);
    assert_eq!(code(modify.attributes(unknown).send().await), "ValidationError");

    for priority in 1..=100 {
        ground.rule(priority, "/a", vec![fixed("404")]).await;
    }
    let more = elb.create_rule().listener_arn(&ground.listener).priority(101).actions(fixed("404"));
    assert_eq!(code(more.conditions(path_is("/b")).send().await), "TooManyRules");
}

#[tokio::test]
async fn tags_beyond_the_limits() {
    let ground = Ground::new().await;
    let elb = &ground.elb;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let add = |tags: Vec<Tag>| elb.add_tags().resource_arns(&ground.listener).set_tags(Some(tags)).send();
    assert_eq!(code(add(vec![tag("aws:x", "1")]).await), "ValidationError");
    assert_eq!(code(add(vec![tag("x", "1"), tag("x", "2")]).await), "DuplicateTagKeys");
    assert_eq!(code(add(vec![tag("x", "{}")]).await), "ValidationError");
    add((0..50).map(|index| tag(&format!("key-{index}"), "1")).collect()).await.unwrap();
    assert_eq!(code(add(vec![tag("one-more", "1")]).await), "TooManyTags");
    add(vec![tag("key-0", "changed")]).await.unwrap();
    elb.remove_tags().resource_arns(&ground.listener).tag_keys("key-1").send().await.unwrap();
    let described = elb.describe_tags().resource_arns(&ground.listener).send().await.unwrap();
    let tags = described.tag_descriptions()[0].tags();
    assert_eq!(tags.len(), 49);
    assert!(tags.contains(&tag("key-0", "changed")));
    let many = vec![ground.listener.clone(); 21];
    let outcome = elb.describe_tags().set_resource_arns(Some(many)).send().await;
    assert_eq!(code(outcome), "ValidationError");
}

#[tokio::test]
async fn every_call_is_on_record() {
    let ground = Ground::new().await;
    let before = ground.alb.calls().len();
    let _ = ground.elb.describe_rules().listener_arn(&ground.listener).send().await;
    let _ = ground.elb.describe_target_groups().names("no").send().await;
    ground.alb.set_alarm("web-errors", AlarmState::Alarm);
    let alarms = ground.cloudwatch.describe_alarms().alarm_names("web-errors").send().await.unwrap();
    assert_eq!(alarms.metric_alarms()[0].state_value().unwrap().as_str(), "ALARM");
    let others = ground.cloudwatch.describe_alarms().alarm_names("none").send().await.unwrap();
    assert!(others.metric_alarms().is_empty());

    let calls = &ground.alb.calls()[before..];
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|call| !call.is_write()));
    assert_eq!(
        (calls[0].action.as_str(), calls[0].outcome.clone(), calls[0].applied),
        ("DescribeRules", Ok(()), true)
    );
    assert_eq!(calls[0].parameter("ListenerArn"), Some(ground.listener.as_str()));
    assert_eq!((calls[1].outcome.clone(), calls[1].applied), (Err("TargetGroupNotFound".to_owned()), false));
    assert_eq!(calls[2].service, Service::CloudWatch);
    assert_eq!(calls[2].parameter("AlarmNames.member.1"), Some("web-errors"));
    assert!(ground.alb.calls()[0].is_write());
}
