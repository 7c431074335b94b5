//! How AWS was recorded to refuse an event, and how that is read.

use aws_sdk_eventbridge::config::http::{HttpRequest, HttpResponse};
use aws_sdk_eventbridge::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use failover::aws::SdkConfig;
use failover::model::error::{Error, ErrorKind};
use failover::wire::{NoticeRequest, Noticed};
use send_notice::{clients, handle};
use serde_json::{Value, json};

/// Answers every call with this JSON.
#[derive(Clone, Debug)]
struct Recorded(String);

impl HttpConnector for Recorded {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let mut answer = HttpResponse::new(200.try_into().unwrap(), self.0.clone().into());
        answer.headers_mut().insert("content-type", "application/x-amz-json-1.1");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

fn http(answer: &Value) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Recorded(answer.to_string()));
    http_client_fn(move |_, _| connector.clone())
}

/// Tells of a restore that could not begin where events are answered like this.
async fn tell(answer: &Value) -> Result<Noticed, Error> {
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http(answer))
        .build();
    let request: NoticeRequest = serde_json::from_value(json!({
        "execution": "arn:aws:states:us-east-1:123456789012:execution:failover:web-1",
        "input": { "app": "web", "operation": "restore", "execution": "arn:another" },
        "plan": null, "progress": null,
        "ended": { "ending": "PlanRejected", "why": "What happened.", "rolledBack": null, "outcome": null },
    }))
    .unwrap();
    handle(clients(&config), request).await
}

/// localstack, `tests/aws/services/events/test_events.snapshot.json`, `test_put_events_without_source`: AWS answers
/// 200 and refuses the entry all the same.
#[tokio::test]
async fn an_entry_that_is_refused_is_an_error_though_the_call_succeeds() {
    let refused = json!({
        "FailedEntryCount": 1,
        "Entries": [{
            "ErrorCode": "InvalidArgument",
            "ErrorMessage": "Parameter Source is not valid. Reason: Source is a required argument.",
        }],
    });
    let error = tell(&refused).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AwsRefused);
    for part in ["InvalidArgument", "Source is a required argument"] {
        assert!(error.message.contains(part), "{error}");
    }
    let taken = json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }] });
    let subject = tell(&taken).await.unwrap().subject;
    assert!(subject.is_some_and(|subject| subject.contains("web")));
}
