//! The data plane: from a client's request to a target's answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use clock::Instant;

use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, CONTENT_LENGTH, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use hyper::http::request::Parts;
use hyper::{Request, Response, Uri};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::lock;
use crate::net::{self, Body, whole};
use crate::pool::{NoAnswer, Outgoing};
use crate::responses;
use crate::routing::{Choice, Step, Table};
use crate::visit::Visit;

/// Request bodies up to this size are held in memory, so that they can be sent again where a
/// target has closed the connection in between.
const HELD: u64 = 64 * 1024;

/// A listener's way into the data plane.
pub(crate) struct Door {
    table: RwLock<(u64, Arc<Table>)>,
    written: AtomicU64,
    pub(crate) stop: CancellationToken,
}

impl Door {
    pub(crate) fn new(table: Table, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { table: RwLock::new((0, Arc::new(table))), written: AtomicU64::new(0), stop })
    }

    /// Lets a new table take effect after `delay`.
    pub(crate) fn publish(self: &Arc<Self>, table: Table, delay: Duration) {
        let version = self.written.fetch_add(1, Ordering::Relaxed) + 1;
        if delay.is_zero() {
            self.replace(version, table);
            return;
        }
        let door = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => door.replace(version, table),
                () = door.stop.cancelled() => {}
            }
        });
    }

    /// A shorter delay may let a newer table overtake an older one: the newest stays.
    fn replace(&self, version: u64, table: Table) {
        let mut current = lock::write(&self.table);
        if current.0 < version {
            *current = (version, Arc::new(table));
        }
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&lock::read(&self.table).1)
    }
}

/// Serves a listener until its door is closed.
pub(crate) async fn serve(core: Arc<Core>, door: Arc<Door>, listener: TcpListener) {
    let stop = door.stop.clone();
    net::accept(listener, stop, move |stream, client| {
        let (core, door) = (Arc::clone(&core), Arc::clone(&door));
        let stop = door.stop.clone();
        net::serve(stream, stop, move |request| {
            let (core, door) = (Arc::clone(&core), Arc::clone(&door));
            async move { Ok(handle(core, door.table(), client, request).await) }
        })
    })
    .await;
}

async fn handle(
    core: Arc<Core>,
    table: Arc<Table>,
    client: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let visit = Visit::new(core, Arc::clone(&table));
    for step in table.route(&request, client).iter() {
        match step {
            Step::Authenticate(gate) => {
                if let Some(response) = responses::challenge(gate, &request, &table) {
                    return visit.answered_here(response);
                }
            }
            Step::Fixed(fixed) => return visit.answered_here(responses::fixed(fixed)),
            Step::Redirect(redirect) => {
                return visit.answered_here(responses::redirect(redirect, &request, &table));
            }
            Step::Forward(choice) => return forward(visit, choice, &table, client, request).await,
        }
    }
    // The control plane never stores a rule without a routing action.
    visit.answered_here(responses::own(500))
}

async fn forward(
    mut visit: Visit,
    choice: &Choice,
    table: &Table,
    client: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let remembered = choice.sticky_seconds.and_then(|_| {
        let cookie = cookies(request.headers()).find_map(|cookie| cookie.strip_prefix("AWSALBTG="))?;
        choice.remembered(cookie)
    });
    let Some(group) = remembered.or_else(|| visit.draw(choice)) else {
        return visit.answered_here(responses::own(503));
    };
    let Some(target) = group.pick() else {
        return visit.answered_here(responses::own(503));
    };
    visit.choose(group, &target);

    let (parts, body) = request.into_parts();
    let Ok(body) = hold(body, &parts.headers).await else {
        // Only a client that left can break its own body.
        return visit.answered_here(responses::own(400));
    };
    let outgoing = outgoing(parts, body, table, client);
    let sent = Instant::now();
    match tokio::time::timeout(table.idle_timeout, target.pool.send(outgoing)).await {
        Ok(Ok(response)) => {
            visit.answered_by_target(response.status().as_u16(), sent.elapsed());
            let mut response = response.map(Either::Right);
            drop_hop_by_hop(response.headers_mut());
            if let Some(seconds) = choice.sticky_seconds {
                let cookie = format!("AWSALBTG={}; Max-Age={seconds}; Path=/", group.label);
                if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                    response.headers_mut().append(SET_COOKIE, cookie);
                }
            }
            response
        }
        Ok(Err(NoAnswer::NotConnected)) => {
            visit.connection_error();
            visit.answered_here(responses::own(502))
        }
        Ok(Err(NoAnswer::ConnectTimeout)) => {
            visit.connection_error();
            visit.answered_here(responses::own(504))
        }
        // The connection had been established, so this is no connection error: an ALB shows it
        // in its own 502 count alone.
        Ok(Err(NoAnswer::Broken)) => visit.answered_here(responses::own(502)),
        Err(_) => visit.answered_here(responses::own(504)),
    }
}

/// The request as the target gets it.
fn outgoing(parts: Parts, body: Outgoing, table: &Table, client: SocketAddr) -> Request<Outgoing> {
    let Parts { method, uri, mut headers, .. } = parts;
    drop_hop_by_hop(&mut headers);
    let forwarded = HeaderName::from_static("x-forwarded-for");
    let mut chain = headers.get(&forwarded).map_or_else(Vec::new, |known| known.as_bytes().to_vec());
    if !chain.is_empty() {
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(client.ip().to_string().as_bytes());
    if let Ok(chain) = HeaderValue::from_bytes(&chain) {
        headers.insert(forwarded, chain);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static(table.scheme));
    headers.insert("x-forwarded-port", HeaderValue::from(table.port));
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // A client may send the absolute form; a target expects a path.
    *request.uri_mut() = uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    *request.headers_mut() = headers;
    request
}

/// Reads a small body into memory, and leaves others as the streams they are.
async fn hold(body: Incoming, headers: &HeaderMap) -> Result<Outgoing, hyper::Error> {
    if body.is_end_stream() {
        return Ok(Either::Left(Full::default()));
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length <= HELD) {
        let bytes: Bytes = body.collect().await?.to_bytes();
        return Ok(Either::Left(Full::new(bytes)));
    }
    Ok(Either::Right(body))
}

/// Removes what concerns one connection only.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// The cookies of a request, each as `name=value`.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .map(str::trim)
}

/// An answer that only sends the client elsewhere.
pub(crate) fn found(status: u16, location: &str) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::FOUND);
    match HeaderValue::from_str(location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(_) => responses::own(500),
    }
}
