//! What carries the domain out: one entry for every Lambda, the SDK clients, and the calls.

pub mod alarms;
pub mod claims;
pub mod command;
pub mod discover;
pub mod error;
#[cfg(test)]
mod fake;
pub mod health;
pub mod history;
pub mod listener;
pub mod loads;
pub mod metrics;
pub mod newcomers;
pub mod pace;
pub mod tags;
pub mod testers;
mod trust;

use std::sync::OnceLock;
use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use clock::Instant;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::model::error::{Error, ErrorKind};

/// Answers invocations until Lambda stops the process. `clients` is built once per process;
/// `handle` gets a cheap clone of it with every request.
///
/// # Errors
/// Only if the Lambda runtime itself fails; errors of the handler go back to the state machine
/// under their own names.
pub async fn serve<Clients, Request, Answer, Handle, Future>(
    clients: impl FnOnce(&SdkConfig) -> Clients,
    handle: Handle,
) -> Result<(), lambda_runtime::Error>
where
    Clients: Clone,
    Request: DeserializeOwned,
    Answer: Serialize,
    Handle: Fn(Clients, Request) -> Future,
    Future: std::future::Future<Output = Result<Answer, Error>>,
{
    tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_current_span(false).init();
    let clients = clients(&config().await);
    run(&|payload| {
        let (clients, handle) = (clients.clone(), &handle);
        Box::pin(answer(clients, handle, payload))
    })
    .await
}

/// Answers one invocation: from JSON to JSON.
///
/// # Errors
/// `BadRequest` where the payload is not understood; otherwise as the handler says.
pub async fn answer<Clients, Request, Answer, Future>(
    clients: Clients,
    handle: impl Fn(Clients, Request) -> Future,
    payload: Value,
) -> Result<Box<RawValue>, Error>
where
    Request: DeserializeOwned,
    Answer: Serialize,
    Future: std::future::Future<Output = Result<Answer, Error>>,
{
    let answer = handle(clients, read(payload)?).await?;
    to_raw_value(&answer)
        .map_err(|error| Error::new(ErrorKind::BadRequest, format!("The answer is no JSON ({error}).")))
}

/// What all functions have in common, and the compiler need not do again for each.
async fn run<'a>(
    answer: &'a dyn Fn(Value) -> LocalBoxFuture<'a, Result<Box<RawValue>, Error>>,
) -> Result<(), lambda_runtime::Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let started = Instant::now();
        let answer = answer(event.payload).await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        answer.inspect(|_| tracing::info!(took_ms, "answered")).map_err(|error| {
            tracing::error!(took_ms, error = error.kind.name(), "{}", error.message);
            Diagnostic { error_type: error.kind.name().into(), error_message: error.message }
        })
    }))
    .await
}

fn read<Request: DeserializeOwned>(payload: Value) -> Result<Request, Error> {
    serde_path_to_error::deserialize(payload).map_err(|error| {
        Error::new(
            ErrorKind::BadRequest,
            format!("The request was not understood ({error}); are two versions of this project mixed?"),
        )
    })
}

async fn config() -> SdkConfig {
    // Lambda hands region and credentials to the process; looking for them anywhere else only takes time.
    let region = std::env::var("AWS_REGION").unwrap_or_default();
    settings()
        .region(EnvironmentVariableRegionProvider::new())
        .http_client(trust::http_client(&region))
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .load()
        .await
}

/// How AWS is called, wherever that is and whoever sends it.
///
/// A single call must leave time for its retries within the function's own time-out. Longer waits are the
/// state machine's: they cost nothing and survive the process.
pub fn settings() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts_within(Duration::from_secs(20)))
}

/// How often a call is sent at most.
const ATTEMPTS: u32 = 4;

/// Limits of a call that has to end within a time, its retries included.
pub fn timeouts_within(within: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(within / ATTEMPTS)
        .operation_timeout(within)
        .build()
}

/// Writes metrics into the log, where CloudWatch finds them: a line each, and nothing else in it.
pub fn publish(lines: &[Value]) {
    let write = METRICS.get().copied().unwrap_or(|line| println!("{line}"));
    lines.iter().for_each(write);
}

/// Where metrics go instead, once somebody has said so.
static METRICS: OnceLock<fn(&Value)> = OnceLock::new();

/// Hands the metrics of this process to somebody instead of writing them into its log. The first one who
/// asks gets them.
pub fn publish_to(write: fn(&Value)) {
    METRICS.get_or_init(|| write);
}

/// The time, for the pure functions that must not ask for it themselves.
pub fn now() -> Timestamp {
    clock::now()
}
