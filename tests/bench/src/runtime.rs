//! Lambda's side of a function: the runtime API, on this machine.
//!
//! A function asks for the next event and posts its answer; here both are on the clock of the one
//! who measures.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// No function may take longer for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a function answered.
pub struct Answer {
    /// From the start of the process, or from the event, until the answer was here.
    pub took: Duration,
    /// Whether it was a success.
    pub succeeded: bool,
    /// The answer, or the error.
    pub body: Value,
}

/// A process that serves a function. It is killed when this is dropped.
pub struct Function {
    process: Child,
    events: mpsc::UnboundedSender<Bytes>,
    posts: mpsc::UnboundedReceiver<Post>,
    api: JoinHandle<()>,
}

/// An answer as it arrived.
struct Post {
    at: Instant,
    succeeded: bool,
    body: Bytes,
}

impl Function {
    /// Starts a function with its first event waiting, and gets its answer.
    ///
    /// # Errors
    /// If it cannot be started or does not answer.
    pub async fn start(mut command: Command, event: &Value) -> Result<(Self, Answer)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (events, waiting) = mpsc::unbounded_channel();
        let (posted, posts) = mpsc::unbounded_channel();
        let api = tokio::spawn(serve(listener, Arc::new(Exchange { waiting: Mutex::new(waiting), posted })));
        events.send(event.to_string().into())?;
        command
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let began = Instant::now();
        let process = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut function = Self { process, events, posts, api };
        let answer = function.answer(began).await.with_context(|| format!("{command:?}"))?;
        Ok((function, answer))
    }

    /// Sends an event to the running process.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn ask(&mut self, event: &Value) -> Result<Answer> {
        let event = event.to_string().into();
        let began = Instant::now();
        self.events.send(event)?;
        self.answer(began).await
    }

    async fn answer(&mut self, began: Instant) -> Result<Answer> {
        let post = timeout(PATIENCE, self.posts.recv()).await.context("no answer in time")?;
        let Post { at, succeeded, body } = post.context("the runtime API is gone")?;
        Ok(Answer { took: at - began, succeeded, body: serde_json::from_slice(&body)? })
    }

    /// The most memory that the process has held so far, in bytes.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn peak_memory(&self) -> Result<u64> {
        let id = self.process.id().context("the process has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak")?;
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// How long the process has kept a processor busy so far, all threads together: what it takes
    /// however busy the machine is otherwise.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn busy(&self) -> Result<Duration> {
        let id = self.process.id().context("the process has ended")?;
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
            let figures = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += figures.split(' ').next().context("no figures")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Stops the process and waits until it is gone.
    ///
    /// # Errors
    /// If it cannot be stopped.
    pub async fn stop(mut self) -> Result<()> {
        self.process.kill().await?;
        ensure!(self.process.id().is_none(), "the process is still there");
        Ok(())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.api.abort();
    }
}

struct Exchange {
    waiting: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    posted: mpsc::UnboundedSender<Post>,
}

async fn serve(listener: TcpListener, exchange: Arc<Exchange>) {
    // Its connections end with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let exchange = Arc::clone(&exchange);
        connections.spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&exchange), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(exchange: Arc<Exchange>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Gone> {
    let path = request.uri().path().to_owned();
    if request.method() == Method::GET && path.ends_with("/invocation/next") {
        let event = exchange.waiting.lock().await.recv().await.ok_or(Gone)?;
        return Ok(next(event));
    }
    if request.method() != Method::POST || !path.starts_with("/2018-06-01/runtime/") {
        // Somebody else on this machine, who still asks for whoever had the port before.
        let mut unknown = Response::new(Full::default());
        *unknown.status_mut() = StatusCode::NOT_FOUND;
        return Ok(unknown);
    }
    let body = request.into_body().collect().await.map_err(|_| Gone)?.to_bytes();
    let post = Post { at: Instant::now(), succeeded: path.ends_with("/response"), body };
    exchange.posted.send(post).map_err(|_| Gone)?;
    let mut accepted = Response::new(Full::default());
    *accepted.status_mut() = StatusCode::ACCEPTED;
    Ok(accepted)
}

fn next(event: Bytes) -> Response<Full<Bytes>> {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + PATIENCE;
    let mut response = Response::new(Full::new(event));
    let mut set = |name: &'static str, value: String| {
        response.headers_mut().insert(name, value.parse().expect("plain characters"));
    };
    set("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".into());
    set("lambda-runtime-deadline-ms", deadline.as_millis().to_string());
    set("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:bench".into());
    set("content-type", "application/json".into());
    response
}

/// The one who measures has left.
#[derive(Debug)]
struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nobody measures any more")
    }
}

impl std::error::Error for Gone {}
