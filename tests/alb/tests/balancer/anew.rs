//! What is deleted and made anew, and what CloudWatch says of alarms, odd names and whole answers.

use alb::{AlarmState, Fleet, Trouble};
use aws_sdk_cloudwatch::types::AlarmType;

use crate::common::{Ground, code, fixed, forward, next_second, published, query, said};

#[tokio::test]
async fn a_rule_made_anew_has_another_arn() {
    let ground = Ground::new().await;
    let rule = ground.rule(1, "/a/*", vec![fixed("410")]).await;
    let tag = aws_sdk_elasticloadbalancingv2::types::Tag::builder().key("owner").value("run").build();
    ground.elb.add_tags().resource_arns(&rule).tags(tag).send().await.unwrap();
    let new = ground.alb.remake_rule(&rule).unwrap();
    assert_ne!(new, rule);
    assert_eq!(code(ground.elb.describe_rules().rule_arns(&rule).send().await), "RuleNotFound");
    let found = ground.elb.describe_rules().rule_arns(&new).send().await.unwrap();
    assert_eq!(found.rules()[0].priority(), Some("1"));
    assert_eq!(ground.get("/a/b").await.0, 410);
    let tags = ground.elb.describe_tags().resource_arns(&new).send().await.unwrap();
    assert!(tags.tag_descriptions()[0].tags().is_empty());
    assert_eq!(ground.alb.remake_rule(&rule), None);

    assert!(ground.alb.remove_rule(&new));
    assert!(!ground.alb.remove_rule(&new));
    assert_eq!(ground.get("/a/b").await.0, 404);
    // Made by the API it is another one as well.
    let again = ground.rule(1, "/a/*", vec![fixed("410")]).await;
    assert!(again != new && again != rule);

    assert!(ground.alb.remove_listener(&ground.listener));
    assert!(!ground.alb.remove_listener(&ground.listener));
    assert_eq!(code(ground.elb.describe_rules().rule_arns(&again).send().await), "RuleNotFound");
    assert!(ground.http.get(ground.url("/")).send().await.is_err());
}

#[tokio::test]
async fn a_balancer_may_be_called_my_loadbalancer() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let created = ground.elb.create_load_balancer().name("my-loadbalancer").send().await.unwrap();
    let balancer = created.load_balancers()[0].load_balancer_arn().unwrap().to_owned();
    let group = ground.group("one", &fleet).await;
    let port = ground.alb.reserve_port().unwrap();
    let create = ground.elb.create_listener().load_balancer_arn(&balancer).port(port.into());
    let create = create.protocol("HTTP".into()).default_actions(forward(&[(&group, 1)]));
    create.send().await.unwrap();
    ground.until(&group, "healthy").await;
    next_second().await;
    ground.http.get(format!("http://127.0.0.1:{port}/")).send().await.unwrap();
    published().await;
    let requests = async || {
        let now = std::time::SystemTime::now();
        let asked = query("q", "RequestCount", &balancer, Some(&group), "Sum", 60, None);
        let call = ground.cloudwatch.get_metric_data().metric_data_queries(asked);
        let call = call.start_time((now - std::time::Duration::from_mins(2)).into()).end_time(now.into());
        let found = call.send().await.unwrap();
        // The list is there and empty, not left out.
        assert_eq!(found.messages, Some(Vec::new()));
        found.metric_data_results()[0].values().to_vec()
    };
    assert_eq!(requests().await, [1.0]);
    // Troubles find it by its ARN too.
    ground.alb.set_trouble(&balancer, Trouble { gaps: 1.0, ..Trouble::default() });
    assert!(requests().await.is_empty());
}

#[tokio::test]
async fn cloudwatch_may_say_something_about_a_whole_answer() {
    let ground = Ground::new().await;
    let now = std::time::SystemTime::now();
    let asked = query("q", "RequestCount", &ground.balancer, None, "Sum", 60, None);
    let call = ground.cloudwatch.get_metric_data().metric_data_queries(asked);
    let call = call.start_time((now - std::time::Duration::from_mins(2)).into()).end_time(now.into());
    let text = "Maximum number of allowed metrics exceeded";
    ground.alb.set_message(Some(("MaxMetricsExceeded", text)));
    let found = call.clone().send().await.unwrap();
    assert_eq!(found.messages().iter().map(|message| message.value()).collect::<Vec<_>>(), [Some(text)]);
    ground.alb.set_message(None);
    assert!(call.send().await.unwrap().messages().is_empty());
}

#[tokio::test]
async fn composite_alarms_come_only_where_they_are_asked_for() {
    let ground = Ground::new().await;
    ground.alb.set_alarm("errors", AlarmState::Ok);
    ground.alb.set_composite_alarm("everything", AlarmState::Alarm);
    let both = ground.cloudwatch.describe_alarms().alarm_names("errors").alarm_names("everything");
    let plain = both.clone().send().await.unwrap();
    assert_eq!((plain.metric_alarms().len(), plain.composite_alarms().len()), (1, 0));
    let all = both.alarm_types(AlarmType::CompositeAlarm).alarm_types(AlarmType::MetricAlarm);
    let all = all.send().await.unwrap();
    assert_eq!((all.metric_alarms().len(), all.composite_alarms().len()), (1, 1));
    assert_eq!(all.composite_alarms()[0].state_value().unwrap().as_str(), "ALARM");
}

#[tokio::test]
async fn a_hundred_alarms_come_in_an_answer() {
    let ground = Ground::new().await;
    for index in 0..101 {
        ground.alb.set_alarm(&format!("alarm-{index:03}"), AlarmState::Ok);
    }
    let first = ground.cloudwatch.describe_alarms().send().await.unwrap();
    assert_eq!(first.metric_alarms().len(), 100);
    let rest = ground.cloudwatch.describe_alarms().next_token(first.next_token().unwrap()).send().await;
    let rest = rest.unwrap();
    assert_eq!((rest.metric_alarms().len(), rest.next_token()), (1, None));
    let names = (0..101).map(|index| format!("alarm-{index:03}")).collect();
    let outcome = ground.cloudwatch.describe_alarms().set_alarm_names(Some(names)).send().await;
    assert!(said(outcome).starts_with("ValidationError: "));
}
