//! Tells the team what a run is about to do and how it ended: by the topic of the deployment, if it
//! has one, and as an event. Invoked twice it tells twice. No run waits long for it or fails with it.

#![deny(clippy::disallowed_methods)]

use std::env;
use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sns::error::BuildError;
use aws_sdk_sns::types::MessageAttributeValue;
use failover::aws;
use failover::aws::SdkConfig;
use failover::aws::error::named;
use failover::model::Apps;
use failover::model::error::{Error, ErrorKind};
use failover::report::conclusion::conclude;
use failover::report::notice::{Notice, notice};
use failover::wire::{NoticeRequest, Noticed};

/// The source of the events.
const SOURCE: &str = "failover";

/// How long either call may take, retries included: a run waits for its notices.
const WITHIN: Duration = Duration::from_secs(5);

/// What a process tells the team with.
#[derive(Clone)]
pub struct Clients {
    /// The topic of the deployment, if it has one.
    topic: Option<String>,
    topics: aws_sdk_sns::Client,
    events: aws_sdk_eventbridge::Client,
}

/// The clients of a process.
pub fn clients(config: &SdkConfig) -> Clients {
    let timeouts = aws::timeouts_within(WITHIN);
    let topics = aws_sdk_sns::config::Builder::from(config).timeout_config(timeouts.clone()).build();
    let events = aws_sdk_eventbridge::config::Builder::from(config).timeout_config(timeouts).build();
    Clients {
        topic: env::var("NOTICE_TOPIC_ARN").ok().filter(|arn| !arn.is_empty()),
        topics: aws_sdk_sns::Client::from_conf(topics),
        events: aws_sdk_eventbridge::Client::from_conf(events),
    }
}

/// Answers one request.
pub async fn handle(clients: Clients, request: NoticeRequest) -> Result<Noticed, Error> {
    // Those of `release-routes`, and the only ones where that could not answer.
    let (plan, progress) = (request.plan.as_ref(), request.progress.as_ref());
    let conclusion = request.ended.as_ref().map(|ended| conclude(plan, progress, &request.input, ended));
    let Some(notice) = notice(&request, aws::now()) else {
        return Ok(Noticed { subject: None, conclusion });
    };
    // One that fails must not keep the other back.
    let (published, put) =
        futures_util::future::join(publish(&clients, &notice), put(&clients.events, &notice)).await;
    published.and(put)?;
    tracing::info!(execution = request.execution, "told the team: {}", notice.subject);
    Ok(Noticed { subject: Some(notice.subject), conclusion })
}

/// Sends the text to the topic, with attributes by which subscribers can choose what they get.
async fn publish(clients: &Clients, notice: &Notice) -> Result<(), Error> {
    let Some(topic) = &clients.topic else {
        return Ok(());
    };
    let attribute =
        |value: &str| MessageAttributeValue::builder().data_type("String").string_value(value).build();
    // A filter that names one of several apps meets them all.
    let app = |app: Option<&Apps>| match app {
        Some(Apps::Several(names)) => MessageAttributeValue::builder()
            .data_type("String.Array")
            .string_value(serde_json::Value::from(names.as_slice()).to_string())
            .build(),
        Some(Apps::One(name)) => attribute(name),
        None => attribute("unknown"),
    };
    let event = &notice.event;
    let mut call = clients.topics.publish().topic_arn(topic).subject(&notice.subject).message(&notice.text);
    for (name, value) in [
        ("app", app(event.app.as_ref())),
        ("ending", attribute(event.ending.as_deref().unwrap_or("none"))),
        ("pages", attribute(if event.pages { "true" } else { "false" })),
    ] {
        call = call.message_attributes(name, value.map_err(|error| never(&error))?);
    }
    call.send().await.map_err(|error| named(&format!("publishing a notice to {topic}"), &error))?;
    Ok(())
}

/// Puts the same on the account's event bus.
async fn put(client: &aws_sdk_eventbridge::Client, notice: &Notice) -> Result<(), Error> {
    let detail = serde_json::to_string(&notice.event)
        .map_err(|error| Error::new(ErrorKind::BadRequest, format!("the event is no JSON: {error}")))?;
    let entry = PutEventsRequestEntry::builder()
        .source(SOURCE)
        .detail_type(notice.event.moment.detail_type())
        .resources(&notice.event.execution)
        .detail(detail)
        .build();
    let answer = client.put_events().entries(entry).send().await;
    let answer = answer.map_err(|error| named("putting a notice on the event bus", &error))?;
    let refused =
        answer.entries().iter().find_map(|entry| Some((entry.error_code()?, entry.error_message())));
    match refused {
        None => Ok(()),
        Some((code, message)) => Err(Error::new(
            ErrorKind::AwsRefused,
            format!(
                "AWS answered {code} while putting a notice on the event bus: {}",
                message.unwrap_or("no message")
            ),
        )),
    }
}

fn never(error: &BuildError) -> Error {
    Error::new(ErrorKind::BadRequest, format!("an attribute of the notice: {error}"))
}
