//! What AWS refuses in its own words: limits of a call, other regions, missing rights, too many calls.

use alb::{Counted, Fleet, Options};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateCognitoActionConfig, Tag, TargetGroupStickinessConfig,
};

use crate::common::{Ground, fixed, forward, path_is, said};

/// aws-sdk-go-v2 issue 2715: the code and the words of the refusal.
#[tokio::test]
async fn one_resource_is_tagged_at_a_time() {
    let ground = Ground::new().await;
    let rules =
        [ground.rule(1, "/a", vec![fixed("404")]).await, ground.rule(2, "/b", vec![fixed("404")]).await];
    let tag = Tag::builder().key("owner").value("run").build();
    let message = "ValidationError: Only one resource can be tagged at a time";
    let add = || ground.elb.add_tags().tags(tag.clone());
    assert_eq!(said(add().set_resource_arns(Some(rules.to_vec())).send().await), message);
    let tags = async || {
        let call = ground.elb.describe_tags().set_resource_arns(Some(rules.to_vec()));
        let found = call.send().await.unwrap();
        found.tag_descriptions().iter().map(|rule| rule.tags().len()).collect::<Vec<_>>()
    };
    assert_eq!(tags().await, [0, 0]);
    for rule in &rules {
        add().resource_arns(rule).send().await.unwrap();
    }
    let remove = || ground.elb.remove_tags().tag_keys("owner");
    assert_eq!(said(remove().set_resource_arns(Some(rules.to_vec())).send().await), message);
    assert_eq!(tags().await, [1, 1]);
    remove().resource_arns(&rules[0]).send().await.unwrap();
    assert_eq!(tags().await, [0, 1]);
}

/// FeLvi-zzz/tentez pull 28: the words about rules.
#[tokio::test]
async fn twenty_things_are_described_at_a_time() {
    let ground = Ground::new().await;
    let rule = ground.rule(1, "/a", vec![fixed("404")]).await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let group = ground.group("one", &fleet).await;
    let elb = &ground.elb;
    let times = |count: usize, what: &str| Some(vec![what.to_owned(); count]);
    let message =
        |what: &str| format!("ValidationError: You cannot describe more than '20' {what} at a time");

    let rules = |count| elb.describe_rules().set_rule_arns(times(count, &rule)).send();
    rules(20).await.unwrap();
    assert_eq!(said(rules(21).await), message("listener rules"));
    let listeners = |count| elb.describe_listeners().set_listener_arns(times(count, &ground.listener)).send();
    listeners(20).await.unwrap();
    assert_eq!(said(listeners(21).await), message("listeners"));
    let groups = elb.describe_target_groups();
    groups.clone().set_names(times(20, "one")).send().await.unwrap();
    let by_name = groups.clone().set_names(times(21, "one")).send().await;
    assert_eq!(said(by_name), message("target groups"));
    let by_arn = groups.set_target_group_arns(times(21, &group)).send().await;
    assert_eq!(said(by_arn), message("target groups"));
    let balancers = elb.describe_load_balancers();
    balancers.clone().set_names(times(20, "shop")).send().await.unwrap();
    let by_name = balancers.clone().set_names(times(21, "shop")).send().await;
    assert_eq!(said(by_name), message("load balancers"));
    let by_arn = balancers.set_load_balancer_arns(times(21, &ground.balancer)).send().await;
    assert_eq!(said(by_arn), message("load balancers"));
    let tags = |count| elb.describe_tags().set_resource_arns(times(count, &rule)).send();
    tags(20).await.unwrap();
    assert_eq!(said(tags(21).await), message("resources"));
}

#[tokio::test]
async fn one_unknown_arn_fails_the_whole_call() {
    let ground = Ground::new().await;
    let rule = ground.rule(1, "/a", vec![fixed("404")]).await;
    let gone = ground.rule(2, "/b", vec![fixed("404")]).await;
    assert!(ground.alb.remove_rule(&gone));
    let rules = ground.elb.describe_rules().rule_arns(&rule).rule_arns(&gone).send().await;
    assert!(said(rules).starts_with("RuleNotFound: "));
    let tags = ground.elb.describe_tags().resource_arns(&rule).resource_arns(&gone).send().await;
    assert!(said(tags).starts_with("RuleNotFound: "));
}

#[tokio::test]
async fn arns_of_another_region_are_none() {
    let ground = Ground::new().await;
    let foreign = ground.balancer.replace("eu-central-1", "us-east-1");
    let message = format!("ValidationError: '{foreign}' must be in ARN format");
    assert_eq!(said(ground.elb.describe_tags().resource_arns(&foreign).send().await), message);
    let balancers = ground.elb.describe_load_balancers().load_balancer_arns(&foreign).send().await;
    assert_eq!(said(balancers), message);
    let group = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/one/1";
    let health = ground.elb.describe_target_health().target_group_arn(group).send().await;
    assert_eq!(said(health), format!("ValidationError: '{group}' must be in ARN format"));
    let create = ground.elb.create_rule().listener_arn(&ground.listener).priority(1);
    let create = create.conditions(path_is("/a")).actions(forward(&[(group, 1)])).send().await;
    assert_eq!(said(create), format!("ValidationError: '{group}' must be in ARN format"));
}

/// aws-cdk issue 24805 (weights), pulumi-aws issue 1824 (durations).
#[tokio::test]
async fn weights_and_durations_in_the_words_of_aws() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let (one, two) = (ground.group("one", &fleet).await, ground.group("two", &fleet).await);
    let rule = ground.rule(1, "/*", vec![forward(&[(&one, 1), (&two, 0)])]).await;
    let modify = |action: Action| ground.elb.modify_rule().rule_arn(&rule).actions(action).send();

    let mut unweighted = forward(&[(&one, 1), (&two, 0)]);
    unweighted.forward_config.as_mut().unwrap().target_groups.as_mut().unwrap()[1].weight = None;
    assert_eq!(
        said(modify(unweighted).await),
        "ValidationError: The weight for each target group must be between 0 and 999, inclusive"
    );
    let mut brief = forward(&[(&one, 1), (&two, 0)]);
    brief.forward_config.as_mut().unwrap().target_group_stickiness_config =
        Some(TargetGroupStickinessConfig::builder().enabled(false).duration_seconds(0).build());
    assert_eq!(
        said(modify(brief).await),
        "ValidationError: Target group stickiness duration must be between 1 and 604800 seconds"
    );
}

#[tokio::test]
async fn cognito_needs_the_right_to_look_at_user_pools() {
    let ground = Ground::new().await;
    let config = AuthenticateCognitoActionConfig::builder()
        .user_pool_arn("arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_x")
        .user_pool_client_id("client")
        .user_pool_domain("shop")
        .build();
    let sign_in = Action::builder().r#type(ActionTypeEnum::AuthenticateCognito).order(1);
    let sign_in = sign_in.authenticate_cognito_config(config).build();
    let mut last = fixed("404");
    last.order = Some(2);
    let rule = ground.rule(1, "/*", vec![sign_in.clone(), last.clone()]).await;
    let modify = || {
        let actions = vec![sign_in.clone(), last.clone()];
        ground.elb.modify_rule().rule_arn(&rule).set_actions(Some(actions)).send()
    };
    ground.alb.deny_cognito(true);
    assert_eq!(
        said(modify().await),
        "InvalidLoadBalancerAction: User is not authorized to perform 'describeUserPoolClient'"
    );
    // Other actions do not need it.
    ground.write(&rule, vec![fixed("404")]).await;
    ground.alb.deny_cognito(false);
    modify().await.unwrap();
}

#[tokio::test]
async fn more_calls_than_an_account_may_make_are_throttled() {
    let ground = Ground::with(Options { counted: Counted::Everyone, ..Options::default() }).await;
    let rule = ground.rule(1, "/a", vec![fixed("404")]).await;
    ground.alb.refill();
    let (mut outcomes, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..80 {
        outcomes.push(ground.elb.modify_rule().rule_arn(&rule).actions(fixed("404")).send().await);
    }
    for _ in 0..200 {
        reads.push(ground.elb.describe_rules().rule_arns(&rule).send().await);
    }
    // Reads have a bucket of their own. Some calls are let in anew while the others run.
    assert!(outcomes[..20].iter().all(Result::is_ok));
    assert!(reads[..40].iter().all(Result::is_ok));
    let refused = outcomes.into_iter().find(Result::is_err).expect("80 changes at once are too many");
    let raw = refused.as_ref().unwrap_err().raw_response().unwrap();
    assert_eq!(raw.status().as_u16(), 400);
    assert_eq!(said(refused), "Throttling: Rate exceeded");
    let refused = reads.into_iter().find(Result::is_err).expect("200 reads at once are too many");
    assert_eq!(said(refused), "Throttling: Rate exceeded");
    let throttled = Err("Throttling".to_owned());
    assert!(ground.alb.calls().iter().any(|call| call.outcome == throttled && !call.applied));

    ground.alb.refill();
    ground.write(&rule, vec![fixed("404")]).await;
}

#[tokio::test]
async fn who_sets_up_takes_nothing_from_the_functions() {
    let ground = Ground::new().await;
    for priority in 1..=60 {
        ground.rule(priority, "/a", vec![fixed("404")]).await;
    }
}

/// Two public reports of July 2024 and later, DefangLabs/defang issue 534 among them; the words are those of a log.
#[tokio::test]
async fn a_balancer_leads_to_a_hundred_groups() {
    let ground = Ground::new().await;
    let mut groups = Vec::new();
    for number in 0..101 {
        let created = ground.elb.create_target_group().name(format!("g-{number}")).send().await.unwrap();
        groups.push(created.target_groups()[0].target_group_arn().unwrap().to_owned());
    }
    let weighted =
        |groups: &[String]| forward(&groups.iter().map(|arn| (arn.as_str(), 1)).collect::<Vec<_>>());
    let mut last = String::new();
    for (number, five) in (1..).zip(groups[..100].chunks(5)) {
        last = ground.rule(number, &format!("/{number}"), vec![weighted(five)]).await;
    }
    let create = |priority: i32, groups: &[String]| {
        let call = ground.elb.create_rule().listener_arn(&ground.listener).priority(priority);
        call.conditions(path_is("/more")).actions(weighted(groups)).send()
    };
    let message = "TooManyUniqueTargetGroupsPerLoadBalancer: You have reached the maximum number of unique target \
                   groups that you can associate with a load balancer of type 'application': [100]";
    assert_eq!(said(create(90, &groups[100..]).await), message);
    // What is there already counts once, and what a change gives up no longer.
    create(91, &groups[..5]).await.unwrap();
    let swapped = [&groups[95..99], &groups[100..]].concat();
    ground.elb.modify_rule().rule_arn(&last).actions(weighted(&swapped)).send().await.unwrap();
    assert_eq!(said(create(92, &groups[99..100]).await), message);
}
