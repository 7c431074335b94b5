//! What was written is read back as AWS shows it.

use alb::Fleet;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateOidcActionConfig, TargetGroupAttribute,
};

use crate::common::{Ground, code, fixed, forward, path_is, said};

fn oidc(secret: Option<&str>, keep: Option<bool>) -> Action {
    let config = AuthenticateOidcActionConfig::builder()
        .issuer("https://id.example.com")
        .authorization_endpoint("https://id.example.com/authorize")
        .token_endpoint("https://id.example.com/token")
        .user_info_endpoint("https://id.example.com/me")
        .client_id("shop")
        .set_client_secret(secret.map(str::to_owned))
        .set_use_existing_client_secret(keep)
        .authentication_request_extra_params("prompt", "login")
        .build();
    Action::builder()
        .r#type(ActionTypeEnum::AuthenticateOidc)
        .order(1)
        .authenticate_oidc_config(config)
        .build()
}

fn second(mut action: Action) -> Action {
    action.order = Some(2);
    action
}

#[tokio::test]
async fn one_group_is_shown_in_both_ways_and_several_in_one() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let (one, two) = (ground.group("one", &fleet).await, ground.group("two", &fleet).await);
    let plain = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&one).build();
    let rule = ground.rule(1, "/a/*", vec![plain]).await;

    let read = async || ground.elb.describe_rules().rule_arns(&rule).send().await.unwrap().rules()[0].clone();
    let action = read().await.actions()[0].clone();
    assert_eq!(action.target_group_arn(), Some(one.as_str()));
    let tuples = action.forward_config().unwrap().target_groups();
    assert_eq!((tuples.len(), tuples[0].weight()), (1, Some(1)));

    ground.write(&rule, vec![forward(&[(&one, 90), (&two, 0)])]).await;
    let found = read().await;
    let action = &found.actions()[0];
    assert_eq!(action.target_group_arn(), None);
    let tuples = action.forward_config().unwrap().target_groups();
    let weights: Vec<_> =
        tuples.iter().map(|tuple| (tuple.target_group_arn().unwrap(), tuple.weight())).collect();
    assert_eq!(weights, [(one.as_str(), Some(90)), (two.as_str(), Some(0))]);
    assert_eq!(
        action.forward_config().unwrap().target_group_stickiness_config().unwrap().enabled(),
        Some(false)
    );
    // Only the list that was given is replaced.
    assert_eq!(found.conditions()[0].path_pattern_config().unwrap().values(), ["/a/*"]);
    ground.elb.modify_rule().rule_arn(&rule).conditions(path_is("/b/*")).send().await.unwrap();
    let found = read().await;
    assert_eq!(found.conditions()[0].values(), ["/b/*"]);
    assert_eq!(found.actions()[0], *action);
}

#[tokio::test]
async fn a_client_secret_is_kept_and_never_shown() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let group = ground.group("one", &fleet).await;
    let routed = || second(forward(&[(&group, 1)]));
    let rule = ground.rule(1, "/*", vec![routed(), oidc(Some("hush"), None)]).await;

    let read = ground.elb.describe_rules().rule_arns(&rule).send().await.unwrap();
    let actions = read.rules()[0].actions();
    let config = actions[0].authenticate_oidc_config().unwrap();
    assert_eq!(config.client_secret(), None);
    assert_eq!(config.session_cookie_name(), Some("AWSELBAuthSessionCookie"));
    assert_eq!((config.scope(), config.session_timeout()), (Some("openid"), Some(604_800)));
    assert_eq!(config.authentication_request_extra_params().unwrap()["prompt"], "login");
    assert_eq!(actions[1].r#type(), Some(&ActionTypeEnum::Forward));

    let modify =
        |action: Action| ground.elb.modify_rule().rule_arn(&rule).actions(action).actions(routed()).send();
    assert_eq!(code(modify(oidc(None, None)).await), "InvalidLoadBalancerAction");
    assert_eq!(
        said(modify(oidc(Some("hush"), Some(true))).await),
        "InvalidLoadBalancerAction: You cannot both specify a client secret and set UseExistingClientSecret \
         to true"
    );
    modify(oidc(None, Some(true))).await.unwrap();
    // A rule without a secret has none to keep.
    let other = ground.rule(2, "/other", vec![fixed("404")]).await;
    let outcome =
        ground.elb.modify_rule().rule_arn(&other).actions(oidc(None, Some(true))).actions(routed()).send();
    assert_eq!(code(outcome.await), "InvalidLoadBalancerAction");

    let challenge = ground.http.get(ground.url("/")).send().await.unwrap();
    assert_eq!(challenge.status(), 302);
    let location = challenge.headers()["location"].to_str().unwrap();
    assert!(location.starts_with("https://id.example.com/authorize?client_id=shop&"), "{location}");
    let signed_in = ground.http.get(ground.url("/")).header("cookie", "a=b; AWSELBAuthSessionCookie-0=x");
    assert_eq!(signed_in.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_default_action_belongs_to_its_listener() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let (one, two) = (ground.group("one", &fleet).await, ground.group("two", &fleet).await);
    let modified = ground
        .elb
        .modify_listener()
        .listener_arn(&ground.listener)
        .default_actions(forward(&[(&one, 1), (&two, 0)]))
        .send()
        .await
        .unwrap();
    assert_eq!(ground.get("/").await, (200, "prod1".to_owned()));
    let listeners = ground.elb.describe_listeners().load_balancer_arn(&ground.balancer).send().await.unwrap();
    assert_eq!(listeners.listeners(), modified.listeners());
    let rules = ground.elb.describe_rules().listener_arn(&ground.listener).send().await.unwrap();
    assert_eq!(rules.rules()[0].actions(), listeners.listeners()[0].default_actions());

    // A group at weight 0 is in use; the deleted listener lets both go.
    let users = async || {
        let groups = ground.elb.describe_target_groups().target_group_arns(&two).send().await.unwrap();
        groups.target_groups()[0].load_balancer_arns().to_vec()
    };
    assert_eq!(users().await, std::slice::from_ref(&ground.balancer));
    ground.elb.delete_listener().listener_arn(&ground.listener).send().await.unwrap();
    assert!(users().await.is_empty());
    assert!(ground.http.get(ground.url("/")).send().await.is_err());
}

#[tokio::test]
async fn attributes_of_a_group() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let group = ground.group("one", &fleet).await;
    let set = |key: &str, value: &str| {
        let attribute = TargetGroupAttribute::builder().key(key).value(value).build();
        ground.elb.modify_target_group_attributes().target_group_arn(&group).attributes(attribute).send()
    };
    set("stickiness.enabled", "true").await.unwrap();
    set("slow_start.duration_seconds", "30").await.unwrap();
    assert_eq!(code(set("stickiness.enabled", "perhaps").await), "ValidationError");
    assert_eq!(code(set("unheard.of", "1").await), "ValidationError");
    let read = ground.elb.describe_target_group_attributes().target_group_arn(&group).send().await.unwrap();
    let value = |key: &str| {
        read.attributes()
            .iter()
            .find(|attribute| attribute.key() == Some(key))
            .unwrap()
            .value()
            .unwrap()
            .to_owned()
    };
    assert_eq!(value("stickiness.enabled"), "true");
    assert_eq!(value("slow_start.duration_seconds"), "30");
    assert_eq!(value("deregistration_delay.timeout_seconds"), "300");
}

#[tokio::test]
async fn long_answers_come_in_pages() {
    let ground = Ground::new().await;
    for priority in 1..=4 {
        ground.rule(priority, "/x", vec![fixed("404")]).await;
    }
    let mut priorities = Vec::new();
    let mut marker = None;
    loop {
        let describe = ground.elb.describe_rules().listener_arn(&ground.listener).page_size(2);
        let output = describe.set_marker(marker).send().await.unwrap();
        assert!(output.rules().len() <= 2);
        priorities.extend(output.rules().iter().map(|rule| rule.priority().unwrap().to_owned()));
        marker = output.next_marker().map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(priorities, ["1", "2", "3", "4", "default"]);
    let describe = ground.elb.describe_rules().listener_arn(&ground.listener);
    assert_eq!(code(describe.clone().marker("what").send().await), "ValidationError");
    assert_eq!(code(describe.page_size(401).send().await), "ValidationError");
}
