//! What AWS does late or wrong, on request.

use std::time::{Duration, SystemTime};

use alb::{Behaviour, Fleet, Partial, TAKES_MILLISECONDS, Trouble};

use crate::common::{Ground, forward, next_second, published, query};

/// A ground whose every path leads to one fleet, with 40 requests in a second that is over.
async fn visited() -> (Ground, Fleet, String) {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 2).unwrap();
    let group = ground.group("one", &fleet).await;
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    ground.until(&group, "healthy").await;
    next_second().await;
    ground.many("/", 40, 20).await;
    published().await;
    (ground, fleet, group)
}

#[tokio::test]
async fn the_newest_seconds_may_be_partial() {
    let (ground, _fleet, group) = visited().await;
    let partial = Some(Partial { share: 0.5, lasts: Duration::from_secs(30) });
    ground.alb.set_trouble(&ground.balancer, Trouble { partial, ..Trouble::default() });
    let requests = async || ground.metric("RequestCount", Some(&group), "Sum").await;
    assert_eq!(requests().await, Some(20.0));
    assert_eq!(ground.metric("TargetResponseTime", Some(&group), "SampleCount").await, Some(20.0));
    ground.alb.set_trouble(&ground.balancer, Trouble::default());
    assert_eq!(requests().await, Some(40.0));
}

#[tokio::test]
async fn data_points_may_come_twice() {
    let (ground, _fleet, group) = visited().await;
    let points_twice = Trouble { points_twice: true, ..Trouble::default() };
    ground.alb.set_trouble(&ground.balancer, points_twice);
    let now = SystemTime::now();
    let asked = ground
        .cloudwatch
        .get_metric_data()
        .start_time((now - Duration::from_mins(1)).into())
        .end_time(now.into())
        .metric_data_queries(query("q", "RequestCount", &ground.balancer, Some(&group), "Sum", 1, None));
    let whole = asked.clone().send().await.unwrap();
    let result = &whole.metric_data_results()[0];
    assert_eq!(result.timestamps()[0], result.timestamps()[1]);
    assert_eq!(result.values(), [40.0, 40.0]);
    // A page ends where it ends, be it between the two.
    let page = asked.max_datapoints(1).send().await.unwrap();
    assert_eq!(page.metric_data_results()[0].values(), [40.0]);
    assert!(page.next_token().is_some());
}

#[tokio::test]
async fn seconds_and_groups_may_be_missing() {
    let (ground, _fleet, group) = visited().await;
    ground.alb.set_trouble(&ground.balancer, Trouble { gaps: 1.0, ..Trouble::default() });
    assert_eq!(ground.metric("RequestCount", None, "Sum").await, None);
    let unseen_groups = [group.clone()].into();
    ground.alb.set_trouble(&ground.balancer, Trouble { unseen_groups, ..Trouble::default() });
    assert_eq!(ground.metric("RequestCount", Some(&group), "Sum").await, None);
    assert_eq!(ground.metric("RequestCount", None, "Sum").await, Some(40.0));
}

#[tokio::test]
async fn the_trouble_of_one_balancer_is_not_anothers() {
    let (ground, _fleet, group) = visited().await;
    let elsewhere = ground.elb.create_load_balancer().name("elsewhere").send().await.unwrap();
    let elsewhere = elsewhere.load_balancers()[0].load_balancer_arn().unwrap();
    ground.alb.set_trouble(elsewhere, Trouble { gaps: 1.0, ..Trouble::default() });
    assert_eq!(ground.metric("RequestCount", Some(&group), "Sum").await, Some(40.0));
}

#[tokio::test]
async fn a_group_whose_checks_all_fail_serves_all_the_same() {
    let (ground, fleet, group) = visited().await;
    fleet.set(Behaviour::FailsChecks);
    ground.until(&group, "unhealthy Target.ResponseCodeMismatch").await;
    assert!(ground.many("/", 20, 5).await.iter().all(|answer| *answer == (200, "prod1".to_owned())));
    fleet.set(Behaviour::Healthy);
    ground.until(&group, "healthy").await;
}

#[tokio::test]
async fn one_target_alone_may_be_ill() {
    let (ground, fleet, group) = visited().await;
    fleet.set_target(1, Behaviour::FailsChecks);
    for _ in 0..250 {
        if ground.health(&group).await[1].starts_with("unhealthy") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ground.health(&group).await, ["healthy", "unhealthy Target.ResponseCodeMismatch"]);
    let before = fleet.counts().requests;
    ground.many("/", 20, 5).await;
    assert_eq!(fleet.counts().requests, [before[0] + 20, before[1]]);
}

#[tokio::test]
async fn pages_that_are_gone_are_the_clients_errors() {
    let (ground, fleet, group) = visited().await;
    fleet.set(Behaviour::ClientErrors { share: 1.0 });
    assert!(ground.many("/", 10, 5).await.iter().all(|(status, _)| *status == 404));
    published().await;
    assert_eq!(ground.metric("HTTPCode_Target_4XX_Count", Some(&group), "Sum").await, Some(10.0));
    assert_eq!(ground.metric("HTTPCode_Target_5XX_Count", Some(&group), "Sum").await, None);
}

#[tokio::test]
async fn a_request_may_ask_for_more_time() {
    let (ground, _fleet, group) = visited().await;
    let request = ground.http.get(ground.url("/")).header(TAKES_MILLISECONDS, "300");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
    published().await;
    let slow = ground.metric("TargetResponseTime", Some(&group), "TC(0.3:)").await;
    assert_eq!(slow, Some(1.0));
}
