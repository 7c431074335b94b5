//! How Step Functions was recorded to write a history, and how that is read.

use aws_sdk_sfn::config::http::{HttpRequest, HttpResponse};
use aws_sdk_sfn::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use serde_json::{Value, json};

const ARN: &str = "arn:aws:states:us-east-1:123456789012:execution:failover:web-1";

/// Answers the description and the history of an execution.
#[derive(Clone, Debug)]
struct Recorded {
    described: String,
    history: String,
}

impl HttpConnector for Recorded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let history =
            request.headers().get("x-amz-target").is_some_and(|to| to.ends_with("GetExecutionHistory"));
        let body = if history { self.history.clone() } else { self.described.clone() };
        let mut answer = HttpResponse::new(200.try_into().unwrap(), body.into());
        answer.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

fn client(events: &Value) -> aws_sdk_sfn::Client {
    let described = json!({
        "executionArn": ARN, "status": "FAILED", "startDate": 1_764_496_800.0, "stopDate": 1_764_496_900.0,
        "error": "PlanRejected", "cause": "web: nothing was touched.", "input": "{\"app\": \"web\"}",
    });
    let history = json!({ "events": events });
    let connector =
        SharedHttpConnector::new(Recorded { described: described.to_string(), history: history.to_string() });
    let config = aws_sdk_sfn::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    aws_sdk_sfn::Client::from_conf(config.build())
}

/// localstack, `tests/aws/services/stepfunctions/v2/timeouts/test_timeouts.snapshot.json`,
/// `test_fixed_timeout_service_lambda`: a task that timed out has an error in the history and no cause.
#[tokio::test]
async fn a_task_that_timed_out_is_read_without_a_cause() {
    let at = 1_764_496_810.0;
    let entered = json!({ "name": "PlanShift", "input": "{}" });
    let timed_out = json!({ "error": "States.Timeout", "resource": "invoke", "resourceType": "lambda" });
    let events = json!([
        { "timestamp": at, "type": "TaskStateEntered", "id": 1, "stateEnteredEventDetails": entered },
        { "timestamp": at, "type": "TaskTimedOut", "id": 2, "taskTimedOutEventDetails": timed_out },
    ]);
    let (run, plan) = report::collect::run(&client(&events), ARN).await.unwrap();
    assert!(plan.is_none() && run.steps.is_empty() && run.polls.is_empty());
    assert_eq!((run.ending.as_str(), run.sentence.as_str()), ("PlanRejected", "web: nothing was touched."));
    assert!(!run.succeeded && run.ended_at.is_some());
}
