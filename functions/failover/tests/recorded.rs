//! Answers of AWS as others have recorded them, and how they must be read. Each test names where the record
//! is; accounts and ids are made up. What AWS refuses stands with the local balancer, in `tests/alb`; what
//! Lambda and Step Functions say of errors with the expressions of the definition, in `tests/tools`.
#![cfg(feature = "aws")]

use aws_sdk_cloudwatch::types::MetricDataQuery;
use aws_sdk_elasticloadbalancingv2::config::http::{HttpRequest, HttpResponse};
use aws_sdk_elasticloadbalancingv2::config::retry::RetryConfig;
use aws_sdk_elasticloadbalancingv2::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use ciborium::value::Value;
use failover::aws::{health, listener, metrics};
use failover::model::error::ErrorKind;
use failover::model::weights::GroupWeight;

/// Answers every call with the same.
#[derive(Clone, Debug)]
struct Recorded {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl HttpConnector for Recorded {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let mut answer = HttpResponse::new(self.status.try_into().unwrap(), self.body.clone().into());
        answer.headers_mut().insert("content-type", self.content_type);
        answer.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

fn http(status: u16, content_type: &'static str, body: Vec<u8>) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Recorded { status, content_type, body });
    http_client_fn(move |_, _| connector.clone())
}

/// A client of the balancer that is answered with this result of an action, or with this error.
fn balancer(status: u16, body: &str) -> aws_sdk_elasticloadbalancingv2::Client {
    let config = aws_sdk_elasticloadbalancingv2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(http(status, "text/xml", body.into()));
    aws_sdk_elasticloadbalancingv2::Client::from_conf(config.build())
}

fn answered(action: &str, result: &str) -> String {
    format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>")
}

fn target(id: &str, state: &str, reason: &str, description: &str) -> String {
    format!(
        "<member><Target><Id>{id}</Id><Port>80</Port></Target><HealthCheckPort>80</HealthCheckPort><TargetHealth>\
         <State>{state}</State><Reason>{reason}</Reason><Description>{description}</Description></TargetHealth>\
         </member>"
    )
}

fn targets(members: &[String]) -> String {
    let members = members.concat();
    let list = format!("<TargetHealthDescriptions>{members}</TargetHealthDescriptions>");
    answered("DescribeTargetHealth", &list)
}

/// cloud-custodian, `tests/data/placebo/test_appelb_delete_listener`, `DescribeListeners` of 2020: a fixed forward
/// is shown both ways, its order and its duration or not.
#[tokio::test]
async fn a_fixed_forward_is_all_traffic_to_one_group_however_it_is_shown() {
    for (order, duration) in [("<Order>1</Order>", "<DurationSeconds>3600</DurationSeconds>"), ("", "")] {
        let action = format!(
            "<member><Type>forward</Type><TargetGroupArn>arn:one</TargetGroupArn>{order}<ForwardConfig>\
             <TargetGroups><member><TargetGroupArn>arn:one</TargetGroupArn><Weight>1</Weight></member></TargetGroups>\
             <TargetGroupStickinessConfig><Enabled>false</Enabled>{duration}</TargetGroupStickinessConfig>\
             </ForwardConfig></member>"
        );
        let result =
            format!("<Listeners><member><DefaultActions>{action}</DefaultActions></member></Listeners>");
        let client = balancer(200, &answered("DescribeListeners", &result));
        let answer = client.describe_listeners().send().await.unwrap();
        let actions = answer.listeners()[0].default_actions();
        assert_eq!(listener::groups(actions), Some(vec![GroupWeight::new("arn:one", 100)]));
        assert!(!listener::is_sticky(actions));
    }
}

/// aws-load-balancer-controller, issues 1871 and 3167: throttling is a 400.
#[tokio::test]
async fn throttling_means_later_though_its_status_says_no() {
    for (code, kind) in [
        ("Throttling", ErrorKind::AwsUnavailable),
        ("ThrottlingException", ErrorKind::AwsUnavailable),
        ("ValidationError", ErrorKind::AwsRefused),
    ] {
        let error = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>Rate exceeded</Message></Error>\
             <RequestId>1</RequestId></ErrorResponse>"
        );
        let error = health::of(&balancer(400, &error), "arn:one").await.unwrap_err();
        assert_eq!(error.kind, kind, "{code}");
        assert!(error.message.contains(code) && error.message.contains("Rate exceeded"), "{error}");
    }
}

/// moto, `tests/test_elbv2/test_elbv2_target_health.py`, marked as verified against AWS: stopped instances.
#[tokio::test]
async fn a_group_of_stopped_instances_is_dead_and_not_unattached() {
    let stopped = ["i-1", "i-2"]
        .map(|id| target(id, "unused", "Target.InvalidState", "Target is in the stopped state"));
    let health = health::of(&balancer(200, &targets(&stopped)), "arn:one").await.unwrap();
    assert_eq!((health.healthy, health.registered, health.unused), (0, 2, false));
}

/// A public project's own record: a target in a zone that its balancer does not serve; and, by the reference
/// of the API, one of a group that no rule holds. The same reason, so only the group's balancers tell which.
#[tokio::test]
async fn a_target_that_no_balancer_uses_is_not_healthy() {
    for description in [
        "Target is in an Availability Zone that is not enabled for the load balancer",
        "Target group is not configured to receive traffic from the load balancer",
    ] {
        let unused = [target("i-1", "unused", "Target.NotInUse", description)];
        let health = health::of(&balancer(200, &targets(&unused)), "arn:one").await.unwrap();
        assert_eq!((health.healthy, health.registered, health.unused), (0, 1, true), "{description}");
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn map(fields: &[(&str, Value)]) -> Value {
    Value::Map(fields.iter().map(|(key, value)| (text(key), value.clone())).collect())
}

fn message(code: &str) -> Value {
    map(&[("Code", text(code)), ("Value", text("as AWS words it"))])
}

/// A client of `CloudWatch` that is answered with one result, and with these messages about all of it.
fn cloudwatch(messages: Vec<Value>) -> aws_sdk_cloudwatch::Client {
    let time = Value::Tag(1, Box::new(Value::Float(1_758_322_740.0)));
    let result = map(&[
        ("Id", text("m1")),
        ("Label", text("m-test")),
        ("Timestamps", Value::Array(vec![time])),
        ("Values", Value::Array(vec![Value::Float(60_000.0)])),
        ("StatusCode", text("Complete")),
        ("Messages", Value::Array(vec![message("MultipleUnits")])),
    ]);
    let answer =
        map(&[("MetricDataResults", Value::Array(vec![result])), ("Messages", Value::Array(messages))]);
    let mut body = Vec::new();
    ciborium::into_writer(&answer, &mut body).unwrap();
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(aws_sdk_cloudwatch::config::BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .http_client(http(200, "application/cbor", body));
    aws_sdk_cloudwatch::Client::from_conf(config.build())
}

/// localstack, tests/aws/services/cloudwatch snapshots, `test_get_metric_data_different_units_no_unit_in_query`:
/// a message about a result that is complete takes nothing away from it.
#[tokio::test]
async fn a_message_about_a_complete_result_does_not_make_it_incomplete() {
    let series = metrics::fetch(&cloudwatch(Vec::new()), Vec::<MetricDataQuery>::new(), 0, 60).await.unwrap();
    assert_eq!(series["m1"], [(1_758_322_740, 60_000.0)].into());
}

/// By the reference of the API a message at the top is about the answer as a whole, such as too many metrics.
#[tokio::test]
async fn a_message_about_the_whole_answer_makes_it_incomplete() {
    let client = cloudwatch(vec![message("MaxMetricsExceeded")]);
    let error = metrics::fetch(&client, Vec::<MetricDataQuery>::new(), 0, 60).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AwsUnavailable);
    assert!(error.message.contains("MaxMetricsExceeded"), "{error}");
}
