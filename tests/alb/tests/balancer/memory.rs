//! The balancer without a network.

use alb::{Alb, Asked, Measured, Options, Statistic};

/// One point in the middle of what was asked for.
struct OnePoint;

impl Measured for OnePoint {
    fn points(&self, asked: &Asked<'_>) -> Vec<(i64, f64)> {
        assert_eq!((asked.metric, asked.statistic, asked.period), ("RequestCount", Statistic::Sum, 60));
        assert_eq!((asked.balancer, asked.group), ("app/shop/1", Some("targetgroup/web/2")));
        vec![(asked.from + 60, 7.0)]
    }
}

async fn answer(alb: &Alb, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let request = hyper::Request::post(path).body(body.into()).unwrap();
    let answer = alb.answer(request).await.unwrap();
    (answer.status().as_u16(), answer.into_body().to_vec())
}

#[tokio::test]
async fn calls_come_as_values_and_nothing_listens() {
    let alb = Alb::in_memory(Options::default(), Box::new(OnePoint));
    let (status, body) = answer(&alb, "/", b"Action=CreateLoadBalancer&Name=shop".to_vec()).await;
    let body = String::from_utf8(body).unwrap();
    assert_eq!(status, 200, "{body}");
    let arn = body.split_once("<LoadBalancerArn>").unwrap().1.split_once('<').unwrap().0;
    let listener = format!(
        "Action=CreateListener&LoadBalancerArn={arn}&Port=443&Protocol=HTTP&DefaultActions.member.1.Type=fixed-response\
         &DefaultActions.member.1.FixedResponseConfig.StatusCode=404"
    );
    let (status, body) = answer(&alb, "/", listener.into_bytes()).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    assert_eq!(answer(&alb, "/", b"Action=Nonsense".to_vec()).await.0, 400);
    // The same buckets as everywhere.
    let mut refused = 0;
    for _ in 0..60 {
        refused += usize::from(answer(&alb, "/", b"Action=DescribeTargetGroups".to_vec()).await.0 == 400);
    }
    assert!((15..=25).contains(&refused), "{refused}");
}

#[tokio::test]
async fn what_is_measured_is_answered_by_the_same_cloudwatch() {
    use ciborium::Value;
    let text = |text: &str| Value::Text(text.to_owned());
    let map = |entries: Vec<(&str, Value)>| {
        Value::Map(entries.into_iter().map(|(key, value)| (Value::Text(key.to_owned()), value)).collect())
    };
    let dimension = |name: &str, value: &str| map(vec![("Name", text(name)), ("Value", text(value))]);
    let dimensions =
        vec![dimension("LoadBalancer", "app/shop/1"), dimension("TargetGroup", "targetgroup/web/2")];
    let metric = map(vec![
        ("Namespace", text("AWS/ApplicationELB")),
        ("MetricName", text("RequestCount")),
        ("Dimensions", Value::Array(dimensions)),
    ]);
    let stat = map(vec![("Metric", metric), ("Period", Value::from(60)), ("Stat", text("Sum"))]);
    let call = map(vec![
        ("MetricDataQueries", Value::Array(vec![map(vec![("Id", text("one")), ("MetricStat", stat)])])),
        ("StartTime", Value::Tag(1, Box::new(Value::from(1_800_000_000)))),
        ("EndTime", Value::Tag(1, Box::new(Value::from(1_800_000_600)))),
    ]);
    let mut body = Vec::new();
    ciborium::into_writer(&call, &mut body).unwrap();
    let alb = Alb::in_memory(Options::default(), Box::new(OnePoint));
    let path = "/service/GraniteServiceVersion20100801/operation/GetMetricData";
    let (status, body) = answer(&alb, path, body).await;
    assert_eq!(status, 200);
    let body = format!("{:?}", ciborium::from_reader::<Value, _>(body.as_slice()).unwrap());
    assert!(body.contains("Float(1800000060.0)") && body.contains("Float(7.0)"), "{body}");
}
