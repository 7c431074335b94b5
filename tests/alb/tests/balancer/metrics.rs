//! What CloudWatch shows about each way a fleet can behave.

use std::time::{Duration, SystemTime};

use alb::{Behaviour, Fleet, Trouble};

use crate::common::{Ground, code, forward, next_second, published, query};

/// A ground whose every path leads to one fleet.
async fn single(targets: usize) -> (Ground, Fleet, String) {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", targets).unwrap();
    let group = ground.group("one", &fleet).await;
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    ground.until(&group, "healthy").await;
    (ground, fleet, group)
}

#[tokio::test]
async fn a_healthy_fleet() {
    let (ground, _fleet, group) = single(2).await;
    ground.many("/", 100, 20).await;
    // Hosts are counted a few times a second: one whole second has to pass.
    next_second().await;
    published().await;
    let of_group = Some(group.as_str());
    assert_eq!(ground.metric("RequestCount", of_group, "Sum").await, Some(100.0));
    assert_eq!(ground.metric("RequestCount", None, "Sum").await, Some(100.0));
    assert_eq!(ground.metric("RequestCount", of_group, "SampleCount").await, Some(100.0));
    assert_eq!(ground.metric("HTTPCode_Target_2XX_Count", of_group, "Sum").await, Some(100.0));
    assert_eq!(ground.metric("HTTPCode_Target_2XX_Count", None, "Sum").await, Some(100.0));
    let median = ground.values("TargetResponseTime", of_group, "p50", 60, Some("Seconds")).await;
    assert!(median.iter().all(|seconds| (0.0005..0.1).contains(seconds)), "{median:?}");
    let hosts = ground.values("HealthyHostCount", of_group, "Maximum", 60, None).await;
    assert_eq!(hosts.first(), Some(&2.0));
    // What did not happen has no data points at all.
    for name in ["HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount", "HTTPCode_Target_4XX_Count"] {
        assert_eq!(ground.metric(name, of_group, "Sum").await, None, "{name}");
    }
    assert_eq!(ground.metric("HTTPCode_ELB_5XX_Count", None, "Sum").await, None);
    // A wrong unit finds nothing, and a host count belongs to a group.
    assert!(ground.values("RequestCount", of_group, "Sum", 60, Some("Seconds")).await.is_empty());
    assert_eq!(ground.metric("HealthyHostCount", None, "Maximum").await, None);
}

#[tokio::test]
async fn errors_of_the_fleet() {
    let (ground, fleet, group) = single(1).await;
    fleet.set(Behaviour::Errors { share: 0.5 });
    let answers = ground.many("/", 100, 20).await;
    let errors = answers.iter().filter(|(status, _)| *status == 500).count();
    assert!((25..=75).contains(&errors), "{errors}");
    published().await;
    assert_eq!(ground.metric("RequestCount", Some(&group), "Sum").await, Some(100.0));
    assert_eq!(ground.metric("HTTPCode_Target_5XX_Count", Some(&group), "Sum").await, Some(errors as f64));
    assert_eq!(ground.metric("HTTPCode_ELB_5XX_Count", None, "Sum").await, None);
    assert_eq!(ground.health(&group).await, ["healthy"]);
}

#[tokio::test]
async fn a_dead_fleet_shows_as_connection_errors() {
    let (ground, fleet, group) = single(1).await;
    fleet.set(Behaviour::Dead);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(ground.many("/", 20, 5).await.iter().all(|(status, _)| *status == 502));
    published().await;
    assert_eq!(ground.metric("RequestCount", Some(&group), "Sum").await, Some(20.0));
    assert_eq!(ground.metric("TargetConnectionErrorCount", Some(&group), "Sum").await, Some(20.0));
    assert_eq!(ground.metric("HTTPCode_Target_5XX_Count", Some(&group), "Sum").await, None);
    assert_eq!(ground.metric("TargetResponseTime", Some(&group), "Average").await, None);
    assert_eq!(ground.metric("HTTPCode_ELB_502_Count", None, "Sum").await, Some(20.0));
    assert_eq!(ground.metric("HTTPCode_ELB_5XX_Count", None, "Sum").await, Some(20.0));
    // The balancer's own answers are not known by group.
    assert_eq!(ground.metric("HTTPCode_ELB_502_Count", Some(&group), "Sum").await, None);
}

#[tokio::test]
async fn resets_show_in_the_balancers_own_count_alone() {
    let (ground, fleet, group) = single(1).await;
    ground.many("/", 10, 5).await;
    fleet.set(Behaviour::Reset { share: 0.5 });
    let answers = ground.many("/", 100, 10).await;
    let resets = answers.iter().filter(|(status, _)| *status == 502).count();
    assert!((25..=75).contains(&resets), "{resets}");
    // None of them was sent twice.
    assert_eq!(fleet.counts().total(), 110);
    published().await;
    assert_eq!(ground.metric("HTTPCode_ELB_502_Count", None, "Sum").await, Some(resets as f64));
    assert_eq!(ground.metric("TargetConnectionErrorCount", Some(&group), "Sum").await, None);
    assert_eq!(ground.metric("RequestCount", Some(&group), "Sum").await, Some(110.0));
}

#[tokio::test]
async fn a_target_that_takes_too_long() {
    use aws_sdk_elasticloadbalancingv2::types::LoadBalancerAttribute;
    let (ground, fleet, group) = single(1).await;
    let attribute = LoadBalancerAttribute::builder().key("idle_timeout.timeout_seconds").value("1").build();
    let modify = ground.elb.modify_load_balancer_attributes().load_balancer_arn(&ground.balancer);
    modify.attributes(attribute).send().await.unwrap();
    fleet.set(Behaviour::Slow { share: 1.0, delay: Duration::from_secs(5) });
    assert_eq!(ground.get("/").await.0, 504);
    published().await;
    assert_eq!(ground.metric("HTTPCode_ELB_504_Count", None, "Sum").await, Some(1.0));
    assert_eq!(ground.metric("RequestCount", Some(&group), "Sum").await, Some(1.0));
    // What is never answered took no time.
    assert_eq!(ground.metric("TargetResponseTime", Some(&group), "SampleCount").await, None);
}

#[tokio::test]
async fn slow_requests_can_be_counted() {
    let (ground, fleet, group) = single(1).await;
    ground.many("/", 60, 20).await;
    fleet.set(Behaviour::Slow { share: 1.0, delay: Duration::from_millis(300) });
    ground.many("/", 20, 20).await;
    published().await;
    let total = async |stat: &str| ground.metric("TargetResponseTime", Some(&group), stat).await;
    assert_eq!(total("TC(0.25:)").await, Some(20.0));
    assert_eq!(total("TC(:0.25)").await, Some(60.0));
    assert_eq!(total("TC(0.25:5)").await, Some(20.0));
    assert!(total("Maximum").await > Some(0.3));
    // Both may fall into two minutes, and a share cannot be added up.
    let shares = ground.values("TargetResponseTime", Some(&group), "PR(:0.25)", 300, None).await;
    if let [share] = shares.as_slice() {
        assert!((share - 75.0).abs() < 1e-9, "{share}");
    }
}

#[tokio::test]
async fn a_second_is_published_when_it_is_over_and_the_lag_has_passed() {
    let (ground, _fleet, group) = single(1).await;
    let metric_lag = Duration::from_secs(1);
    ground.alb.set_trouble(&ground.balancer, Trouble { metric_lag, ..Trouble::default() });
    next_second().await;
    ground.get("/").await;
    assert_eq!(ground.metric("RequestCount", Some(&group), "Sum").await, None);
    published().await;
    assert_eq!(ground.metric("RequestCount", Some(&group), "Sum").await, None);
    ground.alb.set_trouble(&ground.balancer, Trouble::default());
    assert_eq!(ground.metric("RequestCount", Some(&group), "Sum").await, Some(1.0));
}

#[tokio::test]
async fn data_points_come_in_order_and_in_pages() {
    let (ground, _fleet, group) = single(1).await;
    for _ in 0..2 {
        next_second().await;
        ground.get("/").await;
    }
    published().await;
    let now = SystemTime::now();
    let ask = |from: SystemTime, to: SystemTime| {
        ground
            .cloudwatch
            .get_metric_data()
            .start_time(from.into())
            .end_time(to.into())
            .metric_data_queries(query("a", "RequestCount", &ground.balancer, Some(&group), "Sum", 1, None))
            .metric_data_queries(query("none", "RequestCount", &group, None, "Sum", 1, None))
    };
    let from = now - Duration::from_mins(1);
    let whole = ask(from, now).send().await.unwrap();
    let times = whole.metric_data_results()[0].timestamps();
    assert_eq!((times.len(), times[0].secs() > times[1].secs()), (2, true));
    assert_eq!(whole.metric_data_results()[0].status_code().unwrap().as_str(), "Complete");
    assert!(whole.metric_data_results()[1].values().is_empty());
    let ascending = ask(from, now).scan_by("TimestampAscending".into()).send().await.unwrap();
    let mut reversed = times.to_vec();
    reversed.reverse();
    assert_eq!(ascending.metric_data_results()[0].timestamps(), reversed);

    // The start is part of the range and the end is not.
    let at =
        |index: usize| SystemTime::UNIX_EPOCH + Duration::from_secs(times[index].secs().try_into().unwrap());
    let part = ask(at(1), at(0)).send().await.unwrap();
    assert_eq!(part.metric_data_results()[0].timestamps(), &times[1..]);

    let first = ask(from, now).max_datapoints(1).send().await.unwrap();
    assert_eq!(first.metric_data_results()[0].timestamps(), &times[..1]);
    assert_eq!(first.metric_data_results()[0].status_code().unwrap().as_str(), "PartialData");
    let rest = ask(from, now).max_datapoints(1).next_token(first.next_token().unwrap()).send().await.unwrap();
    assert_eq!(rest.metric_data_results()[0].timestamps(), &times[1..]);
    assert_eq!(rest.next_token(), None);
    assert_eq!(code(ask(from, now).next_token("what").send().await), "InvalidNextToken");
}

#[tokio::test]
async fn queries_that_are_refused() {
    let ground = Ground::new().await;
    let now = SystemTime::now();
    let good = || query("q", "RequestCount", &ground.balancer, None, "Sum", 60, None);
    let ask = async |queries: Vec<_>| {
        let call = ground.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
        call.start_time((now - Duration::from_mins(1)).into()).end_time(now.into()).send().await
    };
    let with =
        |stat: &str, period: i32| query("q", "RequestCount", &ground.balancer, None, stat, period, None);
    let mut expression = good();
    expression.metric_stat = None;
    expression.expression = Some("SUM(METRICS())".to_owned());
    let cases = vec![
        vec![with("sum", 60)],
        vec![with("Median", 60)],
        vec![with("Sum", 2)],
        vec![with("Sum", 90)],
        vec![with("Sum", 0)],
        vec![query("Q", "RequestCount", &ground.balancer, None, "Sum", 60, None)],
        vec![query("a-b", "RequestCount", &ground.balancer, None, "Sum", 60, None)],
        vec![good(), good()],
        vec![expression],
        vec![],
        (0..501)
            .map(|i| query(&format!("q{i}"), "RequestCount", &ground.balancer, None, "Sum", 60, None))
            .collect(),
    ];
    for (index, queries) in cases.into_iter().enumerate() {
        assert_eq!(code(ask(queries).await), "ValidationError", "case {index}");
    }
    ask(vec![good()]).await.unwrap();
}
