//! Serving one HTTP/1.1 connection, and sockets that hold on to their port.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

/// An answer made here, or one that streams from a target.
pub(crate) type Body = Either<Full<Bytes>, Incoming>;

/// What a service gives back: an answer, or the wish to reset the connection.
pub(crate) type Answer = Result<Response<Body>, Reset>;

/// The service wants the client to see a connection reset.
#[derive(Debug)]
pub(crate) struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection reset on purpose")
    }
}

impl std::error::Error for Reset {}

/// A body held in memory.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// Serves `stream` until the client leaves, `stop` fires or the service asks for a reset.
pub(crate) async fn serve<S, F>(stream: TcpStream, stop: CancellationToken, service: S)
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Answer> + Send + 'static,
{
    // Small answers must not wait for Nagle; a failure here only costs time.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(service(request))
    });
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None);
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(stream), Unpinned(service)));
    let outcome = tokio::select! {
        outcome = poll_fn(|cx| connection.poll_without_shutdown(cx)) => outcome,
        () = stop.cancelled() => return,
    };
    if outcome.is_err() {
        let stream = Pin::into_inner(connection).into_parts().io.into_inner();
        // Without lingering, closing sends RST instead of FIN.
        let _ = stream.set_zero_linger();
    }
}

/// `poll_without_shutdown` asks for an `Unpin` service; ours never needs pinning.
struct Unpinned<S>(S);

impl<S> Unpin for Unpinned<S> {}

impl<S, R> hyper::service::Service<R> for Unpinned<S>
where
    S: hyper::service::Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: R) -> Self::Future {
        self.0.call(request)
    }
}

/// Accepts connections until `stop` fires, and serves each in a task of its own.
pub(crate) async fn accept<H, F>(listener: TcpListener, stop: CancellationToken, handle: H)
where
    H: Fn(TcpStream, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(handle(stream, peer));
            }
            Err(error) => {
                // Out of file descriptors, most likely: give the others time to finish.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

/// Holds a loopback port without listening on it: connections are refused, and nobody else gets
/// the port while a listener of ours is down.
pub(crate) struct Reservation {
    _socket: TcpSocket,
    address: SocketAddr,
}

impl Reservation {
    /// Reserves a free port of 127.0.0.1.
    pub(crate) fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Both holders of the port must say so, or the second bind fails.
        socket.set_reuseport(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        Ok(Self { _socket: socket, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on the reserved port.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(self.address)?;
        socket.listen(1024)
    }
}

/// Listens on a port of 127.0.0.1 that nobody else may be using.
pub(crate) fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(1024)
}
