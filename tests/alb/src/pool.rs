//! Connections to one target, kept alive between requests.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::lock::lock;

/// What is sent to a target: a body in memory, which can be sent twice, or a stream.
pub(crate) type Outgoing = Either<Full<Bytes>, Incoming>;

/// Connections kept per target.
const IDLE: usize = 64;
/// How long an ALB waits for a connection to a target.
const CONNECT: Duration = Duration::from_secs(10);

/// Idle connections to one target.
pub(crate) struct Pool {
    address: SocketAddr,
    stop: CancellationToken,
    idle: Mutex<Vec<SendRequest<Outgoing>>>,
}

/// Why a target gave no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No connection could be established.
    NotConnected,
    /// No connection was established in time.
    ConnectTimeout,
    /// The connection broke before an answer.
    Broken,
}

impl Pool {
    /// `stop` closes every connection of the pool.
    pub(crate) fn new(address: SocketAddr, stop: CancellationToken) -> Self {
        Self { address, stop, idle: Mutex::default() }
    }

    /// Sends a request, on a connection that is still open from an earlier one where there is one.
    ///
    /// A target may close a connection at the very moment it is used again. That is no failure of
    /// the target: a request that cannot have been answered is sent once more on a new connection.
    pub(crate) async fn send(&self, request: Request<Outgoing>) -> Result<Response<Incoming>, NoAnswer> {
        let mut request = request;
        while let Some(mut sender) = self.take() {
            let spare = replica(&request);
            let failure = match sender.try_send_request(request).await {
                Ok(response) => {
                    self.keep(sender);
                    return Ok(response);
                }
                Err(failure) => failure,
            };
            let mut failure = failure;
            if let Some(unsent) = failure.take_message() {
                request = unsent;
                continue;
            }
            match spare {
                Some(spare) if !was_reset(failure.error()) => request = spare,
                _ => return Err(NoAnswer::Broken),
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(|_| NoAnswer::Broken)?;
        self.keep(sender);
        Ok(response)
    }

    /// A connection that is ready for a request now.
    fn take(&self) -> Option<SendRequest<Outgoing>> {
        let mut idle = lock(&self.idle);
        idle.retain(|sender| !sender.is_closed());
        // One whose last answer is still streaming stays where it is.
        let ready = idle.iter().rposition(SendRequest::is_ready)?;
        Some(idle.swap_remove(ready))
    }

    fn keep(&self, sender: SendRequest<Outgoing>) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE {
            idle.push(sender);
        }
    }

    async fn connect(&self) -> Result<SendRequest<Outgoing>, NoAnswer> {
        let stream = tokio::time::timeout(CONNECT, TcpStream::connect(self.address))
            .await
            .map_err(|_| NoAnswer::ConnectTimeout)?
            .map_err(|_| NoAnswer::NotConnected)?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|_| NoAnswer::NotConnected)?;
        let stop = self.stop.clone();
        tokio::spawn(async move {
            // A broken connection shows at the request that runs on it.
            tokio::select! {
                _ = connection => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(sender)
    }
}

/// A copy of a request whose body is in memory.
fn replica(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let Either::Left(body) = request.body() else { return None };
    let mut copy = Request::new(Either::Left(body.clone()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// A target that resets the connection has seen the request; one that had closed it before has
/// not, and the kernel then reports the end of the stream or a broken pipe instead.
fn was_reset(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::ConnectionReset;
        }
        source = error.source();
    }
    false
}
