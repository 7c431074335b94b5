//! Targets that are no capacity, whatever health checks say.

use std::time::Duration;

use alb::{Counted, Fleet, Options};
use aws_sdk_elasticloadbalancingv2::types::{
    DescribeTargetHealthInputIncludeEnum, TargetDescription, TargetGroupAttribute,
};

use crate::common::{Ground, fixed, forward, next_second, published};

async fn used(ground: &Ground) -> (Fleet, String, String) {
    let fleet = Fleet::start("prod1", 2).unwrap();
    let group = ground.group("one", &fleet).await;
    let rule = ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    ground.until(&group, "healthy").await;
    (fleet, group, rule)
}

/// What is said about the first target of a group.
async fn description(ground: &Ground, group: &str) -> String {
    let found = ground.elb.describe_target_health().target_group_arn(group).send().await.unwrap();
    let health = found.target_health_descriptions()[0].target_health().unwrap().clone();
    health.description.unwrap_or_default()
}

#[tokio::test]
async fn stopped_instances_are_unused_where_their_group_is_not() {
    let ground = Ground::new().await;
    let (_fleet, group, rule) = used(&ground).await;
    assert!(ground.alb.stop_instances(&group, true));
    assert_eq!(ground.health(&group).await, ["unused Target.InvalidState"; 2]);
    assert_eq!(description(&ground, &group).await, "Target is in the stopped state");
    assert_eq!(ground.get("/").await.0, 503);
    next_second().await;
    published().await;
    let hosts = ground.values("HealthyHostCount", Some(&group), "Maximum", 1, None).await;
    assert_eq!(hosts.first(), Some(&0.0));
    // Outside every rule they are stopped all the same.
    ground.write(&rule, vec![fixed("404")]).await;
    assert_eq!(ground.health(&group).await, ["unused Target.InvalidState"; 2]);
    ground.write(&rule, vec![forward(&[(&group, 1)])]).await;
    ground.alb.stop_instances(&group, false);
    ground.until(&group, "healthy").await;
    assert_eq!(ground.get("/").await.0, 200);
    assert!(!ground.alb.stop_instances("none", true));
}

#[tokio::test]
async fn targets_in_a_zone_that_is_not_enabled_are_unused() {
    let ground = Ground::new().await;
    let (_fleet, group, rule) = used(&ground).await;
    assert!(ground.alb.zone_not_enabled(&group, true));
    assert_eq!(ground.health(&group).await, ["unused Target.NotInUse"; 2]);
    assert_eq!(
        description(&ground, &group).await,
        "Target is in an Availability Zone that is not enabled for the load balancer"
    );
    assert_eq!(ground.get("/").await.0, 503);
    // Outside every rule nobody knows.
    ground.write(&rule, vec![fixed("404")]).await;
    assert!(description(&ground, &group).await.starts_with("The target group does not receive traffic"));
}

async fn deregister(ground: &Ground, group: &str, fleet: &Fleet) {
    let address = fleet.targets()[1];
    let target = TargetDescription::builder().id("127.0.0.1").port(address.port().into()).build();
    ground.elb.deregister_targets().target_group_arn(group).targets(target).send().await.unwrap();
}

#[tokio::test]
async fn deregistered_targets_drain_for_as_long_as_the_group_says() {
    let options = Options {
        health_check_interval: Some(Duration::from_millis(20)),
        counted: Counted::Named,
        time_compression: 10.0,
        ..Options::default()
    };
    let ground = Ground::with(options).await;
    let (fleet, group, _) = used(&ground).await;
    let delay = TargetGroupAttribute::builder().key("deregistration_delay.timeout_seconds").value("10");
    let call = ground.elb.modify_target_group_attributes().target_group_arn(&group);
    call.attributes(delay.build()).send().await.unwrap();

    deregister(&ground, &group, &fleet).await;
    assert_eq!(ground.health(&group).await, ["healthy", "draining Target.DeregistrationInProgress"]);
    let before = fleet.counts().requests[1];
    ground.many("/", 10, 2).await;
    assert_eq!(fleet.counts().requests[1], before);
    // Ten seconds are one here.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(ground.health(&group).await, ["healthy"]);

    ground.register(&group, &fleet).await;
    deregister(&ground, &group, &fleet).await;
    ground.register(&group, &fleet).await;
    ground.until(&group, "healthy").await;
    assert_eq!(ground.health(&group).await.len(), 2);
}

#[tokio::test]
async fn anomalies_and_zonal_shifts_are_shown_to_those_who_ask() {
    let ground = Ground::new().await;
    let (fleet, group, _) = used(&ground).await;
    assert!(ground.alb.set_anomaly(&group, Some(fleet.targets()[1])));
    assert!(ground.alb.shift_zone_away(&group, true));
    let describe = ground.elb.describe_target_health().target_group_arn(&group);
    let plain = describe.clone().send().await.unwrap();
    assert!(plain.target_health_descriptions().iter().all(|target| target.anomaly_detection().is_none()));
    assert!(plain.target_health_descriptions()[0].administrative_override().is_none());

    let all = describe.include(DescribeTargetHealthInputIncludeEnum::All).send().await.unwrap();
    let results = all.target_health_descriptions().iter().map(|target| {
        let anomaly = target.anomaly_detection().unwrap().result().unwrap().as_str();
        let shift = target.administrative_override().unwrap().state().unwrap().as_str();
        let state = target.target_health().unwrap().state().unwrap().as_str();
        format!("{state} {anomaly} {shift}")
    });
    let results: Vec<String> = results.collect();
    assert_eq!(results, ["healthy normal zonal_shift_active", "healthy anomalous zonal_shift_active"]);
}
