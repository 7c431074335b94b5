//! Clients that stay with a target have to stay with its group: both ways round.

use alb::Fleet;
use aws_sdk_elasticloadbalancingv2::types::{Action, TargetGroupAttribute, TargetGroupStickinessConfig};

use crate::common::{Ground, forward, path_is, said};

const FROM_THE_RULE: &str = "InvalidLoadBalancerAction: You must enable group stickiness on a rule if you \
                             enabled target stickiness on one of its target groups";

struct Pair {
    ground: Ground,
    one: String,
    two: String,
    _fleet: Fleet,
}

impl Pair {
    async fn new() -> Self {
        let ground = Ground::new().await;
        let fleet = Fleet::start("prod1", 1).unwrap();
        let (one, two) = (ground.group("one", &fleet).await, ground.group("two", &fleet).await);
        Self { ground, one, two, _fleet: fleet }
    }

    fn weighted(&self, sticky: bool) -> Action {
        let mut action = forward(&[(&self.one, 1), (&self.two, 0)]);
        let config = TargetGroupStickinessConfig::builder().enabled(sticky).duration_seconds(60).build();
        action.forward_config.as_mut().unwrap().target_group_stickiness_config = Some(config);
        action
    }

    /// Sets target stickiness of the second group; what is said where that is refused.
    async fn set(&self, enabled: bool) -> Option<String> {
        let attribute =
            TargetGroupAttribute::builder().key("stickiness.enabled").value(enabled.to_string()).build();
        let call = self.ground.elb.modify_target_group_attributes().target_group_arn(&self.two);
        let outcome = call.attributes(attribute).send().await;
        outcome.is_err().then(|| said(outcome))
    }

    async fn shown(&self) -> Vec<(String, String)> {
        let call = self.ground.elb.describe_target_group_attributes().target_group_arn(&self.two);
        let found = call.send().await.unwrap();
        let pair = |key: &Option<String>, value: &Option<String>| {
            (key.clone().unwrap_or_default(), value.clone().unwrap_or_default())
        };
        found.attributes().iter().map(|attribute| pair(&attribute.key, &attribute.value)).collect()
    }
}

/// argo-rollouts pull 1577 and issue 1572.
#[tokio::test]
async fn a_rule_that_weighs_a_sticky_group_has_to_be_sticky() {
    let pair = Pair::new().await;
    let elb = &pair.ground.elb;
    assert_eq!(pair.set(true).await, None);
    for said in [("stickiness.enabled", "true"), ("stickiness.type", "lb_cookie")] {
        assert!(pair.shown().await.contains(&(said.0.to_owned(), said.1.to_owned())), "{said:?}");
    }
    let rule = pair.ground.rule(1, "/*", vec![forward(&[(&pair.two, 1)])]).await;
    let modify = |action| elb.modify_rule().rule_arn(&rule).actions(action).send();
    assert_eq!(said(modify(pair.weighted(false)).await), FROM_THE_RULE);
    modify(pair.weighted(true)).await.unwrap();

    let create = |priority, action| {
        let call = elb.create_rule().listener_arn(&pair.ground.listener).priority(priority);
        call.conditions(path_is("/a")).actions(action).send()
    };
    assert_eq!(said(create(2, pair.weighted(false)).await), FROM_THE_RULE);
    create(2, pair.weighted(true)).await.unwrap();

    let default =
        |action| elb.modify_listener().listener_arn(&pair.ground.listener).default_actions(action).send();
    assert_eq!(said(default(pair.weighted(false)).await), FROM_THE_RULE);
    default(pair.weighted(true)).await.unwrap();

    let port = pair.ground.alb.reserve_port().unwrap();
    let listener = |action| {
        let call = elb.create_listener().load_balancer_arn(&pair.ground.balancer).port(port.into());
        call.protocol("HTTP".into()).default_actions(action).send()
    };
    assert_eq!(said(listener(pair.weighted(false)).await), FROM_THE_RULE);
    listener(pair.weighted(true)).await.unwrap();
}

/// aws-load-balancer-controller issue 2734.
#[tokio::test]
async fn a_group_behind_a_weighted_rule_cannot_turn_sticky() {
    let pair = Pair::new().await;
    let rule = pair.ground.rule(1, "/*", vec![pair.weighted(false)]).await;
    let refused = |rule: &str| {
        format!(
            "InvalidConfigurationRequest: This target group appears behind a rule with group stickiness \
             disabled ({rule}). You must enable group stickiness before enabling target stickiness"
        )
    };
    assert_eq!(pair.set(true).await, Some(refused(&rule)));
    assert!(pair.shown().await.contains(&("stickiness.enabled".to_owned(), "false".to_owned())));
    assert_eq!(pair.set(false).await, None);
    pair.ground.write(&rule, vec![pair.weighted(true)]).await;
    assert_eq!(pair.set(true).await, None);
    assert_eq!(pair.set(false).await, None);

    // A default rule counts like any other, and a rule with the group alone does not.
    pair.ground.write(&rule, vec![forward(&[(&pair.two, 1)])]).await;
    let listener = &pair.ground.listener;
    let modify = pair.ground.elb.modify_listener().listener_arn(listener);
    modify.default_actions(pair.weighted(false)).send().await.unwrap();
    let rules = pair.ground.elb.describe_rules().listener_arn(listener).send().await.unwrap();
    let default = rules.rules().last().unwrap().rule_arn().unwrap().to_owned();
    assert_eq!(pair.set(true).await, Some(refused(&default)));
}
