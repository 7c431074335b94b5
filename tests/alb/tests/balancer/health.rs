//! Health checks and what follows from them.

use std::time::Duration;

use alb::{Behaviour, Fleet};

use crate::common::{Ground, fixed, forward, next_second, published};

#[tokio::test]
async fn a_group_outside_every_rule_is_unused() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 2).unwrap();
    let group = ground.group("one", &fleet).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(ground.health(&group).await, ["unused Target.NotInUse"; 2]);
    assert_eq!(fleet.counts().health_checks, 0);

    // Weight 0 is enough to be checked.
    let rule = ground.rule(1, "/*", vec![forward(&[(&group, 0)])]).await;
    assert!(ground.health(&group).await.iter().all(|state| !state.starts_with("unused")));
    ground.until(&group, "healthy").await;
    ground.write(&rule, vec![fixed("404")]).await;
    ground.until(&group, "unused Target.NotInUse").await;
}

#[tokio::test]
async fn a_balancer_that_is_removed_takes_its_groups_along_and_no_others() {
    let ground = Ground::new().await;
    let (gone, kept) = (Fleet::start("prod1", 1).unwrap(), Fleet::start("prod2", 1).unwrap());
    let group = ground.group("one", &gone).await;
    let other = ground.group("other", &kept).await;
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    ground.until(&group, "healthy").await;

    ground.alb.remove(&ground.balancer);
    assert!(ground.http.get(ground.url("/")).send().await.is_err());
    let groups = ground.elb.describe_target_groups().send().await.unwrap();
    let groups: Vec<_> = groups.target_groups().iter().map(|group| group.target_group_arn()).collect();
    assert_eq!(groups, [Some(other.as_str())]);
    assert!(ground.elb.describe_load_balancers().send().await.unwrap().load_balancers().is_empty());
    // A check that was under way may still arrive.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let checks = gone.counts().health_checks;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(gone.counts().health_checks, checks);
}

#[tokio::test]
async fn a_dead_fleet_turns_unhealthy_and_comes_back() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 2).unwrap();
    let group = ground.group("one", &fleet).await;
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    ground.until(&group, "healthy").await;
    assert_eq!(ground.get("/").await.0, 200);

    fleet.set(Behaviour::Dead);
    ground.until(&group, "unhealthy Target.FailedHealthChecks").await;
    // All unhealthy: the group fails open, and requests still go there.
    assert_eq!(ground.get("/").await.0, 502);
    let entry = ground.alb.access_log().pop().unwrap();
    assert_eq!(entry.target_group_arn.as_deref(), Some(group.as_str()));
    assert_eq!((entry.status, entry.target_status), (502, None));

    fleet.set(Behaviour::Healthy);
    ground.until(&group, "healthy").await;
    assert_eq!(ground.get("/").await.0, 200);
}

#[tokio::test]
async fn requests_go_to_the_healthy_targets() {
    let ground = Ground::new().await;
    let (good, bad) = (Fleet::start("good", 1).unwrap(), Fleet::start("bad", 2).unwrap());
    let group = ground.group("one", &good).await;
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    ground.until(&group, "healthy").await;
    bad.set(Behaviour::Dead);
    ground.register(&group, &bad).await;
    assert!(ground.many("/", 50, 10).await.iter().all(|answer| *answer == (200, "good".to_owned())));
    for _ in 0..100 {
        if ground.health(&group).await[1].starts_with("unhealthy") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Hosts are counted a few times a second: one whole second has to pass.
    next_second().await;
    published().await;
    let newest =
        async |name: &str| ground.values(name, Some(&group), "Minimum", 1, None).await.first().copied();
    assert_eq!(newest("HealthyHostCount").await, Some(1.0));
    assert_eq!(newest("UnHealthyHostCount").await, Some(2.0));

    let gone = ground.elb.deregister_targets().target_group_arn(&group);
    let targets = bad.targets().iter().map(|address| {
        aws_sdk_elasticloadbalancingv2::types::TargetDescription::builder()
            .id("127.0.0.1")
            .port(address.port().into())
            .build()
    });
    gone.set_targets(Some(targets.collect())).send().await.unwrap();
    let draining = "draining Target.DeregistrationInProgress";
    assert_eq!(ground.health(&group).await, ["healthy", draining, draining]);
}

#[tokio::test]
async fn the_wrong_status_is_named() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let created = ground
        .elb
        .create_target_group()
        .name("picky")
        .health_check_path("/health")
        .matcher(aws_sdk_elasticloadbalancingv2::types::Matcher::builder().http_code("202,301-399").build())
        .send()
        .await
        .unwrap();
    let group = created.target_groups()[0].target_group_arn().unwrap().to_owned();
    ground.register(&group, &fleet).await;
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    ground.until(&group, "unhealthy Target.ResponseCodeMismatch").await;
}
