//! The data plane: which fleet answers which request.

use std::collections::BTreeMap;
use std::time::Duration;

use alb::{Behaviour, Fleet, Options, Trouble};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, HostHeaderConditionConfig, HttpHeaderConditionConfig,
    HttpRequestMethodConditionConfig, QueryStringConditionConfig, QueryStringKeyValuePair,
    RedirectActionConfig, RuleCondition, SourceIpConditionConfig, TargetDescription,
    TargetGroupStickinessConfig,
};

use crate::common::{Ground, fixed, forward, path_is, tuple};

#[tokio::test]
async fn weights_decide_how_often_a_fleet_answers() {
    let ground = Ground::new().await;
    let (one, two) = (Fleet::start("prod1", 2).unwrap(), Fleet::start("prod2", 2).unwrap());
    let (first, second) = (ground.group("one", &one).await, ground.group("two", &two).await);
    let rule = ground.rule(1, "/*", vec![forward(&[(&first, 90), (&second, 10)])]).await;
    for (weights, expected) in [((90, 10), 0.1), ((0, 7), 1.0), ((100, 0), 0.0)] {
        ground.write(&rule, vec![forward(&[(&first, weights.0), (&second, weights.1)])]).await;
        let mut counts = BTreeMap::<String, u32>::new();
        for (status, fleet) in ground.many("/", 600, 30).await {
            assert_eq!(status, 200);
            *counts.entry(fleet).or_default() += 1;
        }
        let share = f64::from(counts.get("prod2").copied().unwrap_or_default()) / 600.0;
        // Five standard deviations; weight 0 and weight all leave no room at all.
        let spread = 5.0 * (expected * (1.0 - expected) / 600.0_f64).sqrt();
        assert!((share - expected).abs() <= spread, "{weights:?}: {share}");
    }
    // Round robin: no target of a fleet is left out.
    assert!(one.counts().requests.iter().all(|count| *count > 300), "{:?}", one.counts());
    let log = ground.alb.access_log();
    assert_eq!(log.len(), 1800);
    assert!(log.iter().all(|entry| entry.status == 200 && entry.target_status == Some(200)));
    assert_eq!(ground.alb.access_log_since(1799).len(), 1);
}

#[tokio::test]
async fn a_request_in_flight_finishes_after_a_change_of_weights() {
    let ground = Ground::new().await;
    let (one, two) = (Fleet::start("prod1", 1).unwrap(), Fleet::start("prod2", 1).unwrap());
    let (first, second) = (ground.group("one", &one).await, ground.group("two", &two).await);
    let rule = ground.rule(1, "/*", vec![forward(&[(&first, 1), (&second, 0)])]).await;
    one.set(Behaviour::Slow { share: 1.0, delay: Duration::from_millis(300) });
    let (slow, ()) = tokio::join!(ground.get("/"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ground.write(&rule, vec![forward(&[(&first, 0), (&second, 1)])]).await;
        assert_eq!(ground.get("/").await, (200, "prod2".to_owned()));
    });
    assert_eq!(slow, (200, "prod1".to_owned()));
}

#[tokio::test]
async fn a_change_takes_its_time_to_spread() {
    let ground = Ground::new().await;
    let (one, two) = (Fleet::start("prod1", 1).unwrap(), Fleet::start("prod2", 1).unwrap());
    let (first, second) = (ground.group("one", &one).await, ground.group("two", &two).await);
    let rule = ground.rule(1, "/*", vec![forward(&[(&first, 1), (&second, 0)])]).await;
    let spread = Duration::from_millis(400);
    ground.alb.set_trouble(&ground.balancer, Trouble { spread, ..Trouble::default() });
    ground.write(&rule, vec![forward(&[(&first, 0), (&second, 1)])]).await;
    assert_eq!(ground.get("/").await.1, "prod1");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ground.get("/").await.1, "prod2");
}

#[tokio::test]
async fn conditions_and_priorities_choose_the_rule() {
    let ground = Ground::new().await;
    let build = RuleCondition::builder;
    let rules = [
        (50, "401", vec![path_is("/api/*")]),
        (
            10,
            "402",
            vec![
                path_is("/api/*"),
                build()
                    .field("host-header")
                    .host_header_config(HostHeaderConditionConfig::builder().values("*.example.com").build())
                    .build(),
            ],
        ),
        (
            20,
            "403",
            vec![
                build()
                    .field("http-header")
                    .http_header_config(
                        HttpHeaderConditionConfig::builder()
                            .http_header_name("X-Canary")
                            .values("yes*")
                            .build(),
                    )
                    .build(),
            ],
        ),
        (
            30,
            "405",
            vec![
                build()
                    .field("query-string")
                    .query_string_config(
                        QueryStringConditionConfig::builder()
                            .values(QueryStringKeyValuePair::builder().key("v").value("2").build())
                            .build(),
                    )
                    .build(),
            ],
        ),
        (
            40,
            "406",
            vec![
                build()
                    .field("http-request-method")
                    .http_request_method_config(
                        HttpRequestMethodConditionConfig::builder().values("PUT").build(),
                    )
                    .build(),
                build()
                    .field("source-ip")
                    .source_ip_config(SourceIpConditionConfig::builder().values("127.0.0.0/8").build())
                    .build(),
            ],
        ),
        (
            41,
            "407",
            vec![
                build()
                    .field("source-ip")
                    .source_ip_config(SourceIpConditionConfig::builder().values("10.0.0.0/8").build())
                    .build(),
            ],
        ),
    ];
    for (priority, status, conditions) in rules {
        ground
            .elb
            .create_rule()
            .listener_arn(&ground.listener)
            .priority(priority)
            .set_conditions(Some(conditions))
            .actions(fixed(status))
            .send()
            .await
            .unwrap();
    }
    let http = &ground.http;
    let cases = [
        (http.get(ground.url("/")), 404),
        (http.get(ground.url("/api/x")), 401),
        (http.get(ground.url("/api/x")).header("host", "Shop.Example.com"), 402),
        (http.get(ground.url("/")).header("x-canary", "yes-please"), 403),
        (http.get(ground.url("/api/x?v=2&w=1")), 405),
        (http.put(ground.url("/")), 406),
    ];
    for (index, (request, expected)) in cases.into_iter().enumerate() {
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected, "case {index}");
    }
}

#[tokio::test]
async fn nobody_is_served_with_all_weights_zero_or_without_targets() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let none = Fleet::start("none", 0).unwrap();
    let group = ground.group("one", &fleet).await;
    let created = ground.elb.create_target_group().name("empty").send().await.unwrap();
    let empty = created.target_groups()[0].target_group_arn().unwrap().to_owned();
    ground.rule(1, "/zero", vec![forward(&[(&group, 0)])]).await;
    ground.rule(2, "/empty", vec![forward(&[(&empty, 1)])]).await;
    assert_eq!(ground.get("/zero").await.0, 503);
    assert_eq!(ground.get("/empty").await.0, 503);
    assert_eq!(fleet.counts().total() + none.counts().total(), 0);
    assert!(ground.alb.access_log().iter().all(|entry| entry.target_group_arn.is_none()));
}

#[tokio::test]
async fn a_sticky_client_stays_with_its_group() {
    let ground = Ground::new().await;
    let (one, two) = (Fleet::start("prod1", 1).unwrap(), Fleet::start("prod2", 1).unwrap());
    let (first, second) = (ground.group("one", &one).await, ground.group("two", &two).await);
    let sticky = |weights: (i32, i32)| {
        let stickiness = TargetGroupStickinessConfig::builder().enabled(true).duration_seconds(60).build();
        let config = ForwardActionConfig::builder()
            .target_groups(tuple(&first, weights.0))
            .target_groups(tuple(&second, weights.1))
            .target_group_stickiness_config(stickiness)
            .build();
        Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
    };
    let rule = ground.rule(1, "/*", vec![sticky((1, 0))]).await;
    let response = ground.http.get(ground.url("/")).send().await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    ground.write(&rule, vec![sticky((0, 1))]).await;
    let again = ground.http.get(ground.url("/")).header("cookie", cookie).send().await.unwrap();
    assert_eq!(again.headers()["x-fleet"], "prod1");
    assert_eq!(ground.get("/").await.1, "prod2");
}

#[tokio::test]
async fn a_target_sees_who_asked() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ground = Ground::new().await;
    let target = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let created = ground.elb.create_target_group().name("bare").send().await.unwrap();
    let group = created.target_groups()[0].target_group_arn().unwrap().to_owned();
    let port = target.local_addr().unwrap().port();
    let description = TargetDescription::builder().id("127.0.0.1").port(port.into()).build();
    ground.elb.register_targets().target_group_arn(&group).targets(description).send().await.unwrap();
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    let request = ground
        .http
        .get(ground.url("/a?b=c"))
        .header("host", "shop.example.com")
        .header("x-forwarded-for", "192.0.2.1")
        .header("connection", "keep-alive, x-private")
        .header("x-private", "1");
    let (response, head) = tokio::join!(request.send(), async {
        loop {
            let (mut stream, _) = target.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            let head = String::from_utf8(bytes[..read].to_vec()).unwrap().to_lowercase();
            stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
            if !head.contains("elb-healthchecker") {
                return head;
            }
        }
    });
    assert_eq!(response.unwrap().status(), 204);
    assert!(head.starts_with("get /a?b=c http/1.1\r\n"), "{head}");
    for line in ["host: shop.example.com", "x-forwarded-for: 192.0.2.1, 127.0.0.1", "x-forwarded-proto: http"]
    {
        assert!(head.contains(&format!("{line}\r\n")), "{line}: {head}");
    }
    assert!(head.contains(&format!("x-forwarded-port: {}", ground.port)), "{head}");
    assert!(!head.contains("x-private"), "{head}");
}

#[tokio::test]
async fn a_redirect_keeps_what_it_is_not_told_to_change() {
    let ground = Ground::new().await;
    let config = RedirectActionConfig::builder().protocol("HTTPS").port("443").status_code("HTTP_301".into());
    let action = Action::builder().r#type(ActionTypeEnum::Redirect).redirect_config(config.build()).build();
    ground.rule(1, "/*", vec![action]).await;
    let request = ground.http.get(ground.url("/a/b?c=d")).header("host", "shop.example.com");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 301);
    assert_eq!(response.headers()["location"], "https://shop.example.com:443/a/b?c=d");
}

#[tokio::test]
async fn bodies_of_any_size_pass() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    fleet.deploy("2026.11.22-1");
    let group = ground.group("one", &fleet).await;
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    for size in [10, 1_000_000] {
        let response = ground.http.post(ground.url("/")).body(vec![b'x'; size]).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-release"], "2026.11.22-1");
        assert_eq!(
            response.text().await.unwrap(),
            r#"{"fleet":"prod1","release":"2026.11.22-1","target":0}"#
        );
    }
}

#[tokio::test]
async fn connections_that_a_target_closed_are_no_failures() {
    let ground = Ground::with(Options { seed: 3, ..Options::default() }).await;
    let fleet = Fleet::start("prod1", 2).unwrap();
    let group = ground.group("one", &fleet).await;
    ground.rule(1, "/*", vec![forward(&[(&group, 1)])]).await;
    for _ in 0..5 {
        assert!(ground.many("/", 20, 20).await.iter().all(|(status, _)| *status == 200));
        fleet.set(Behaviour::Dead);
        tokio::time::sleep(Duration::from_millis(20)).await;
        fleet.set(Behaviour::Healthy);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
