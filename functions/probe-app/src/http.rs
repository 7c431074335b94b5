//! One request at a time over a connection of its own, to an address that was checked: names are
//! looked up once, and what was looked up is what is connected to.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use failover::aws::testers::Secret;
use failover::input::address;
use failover::model::probe::{Method, Probe, STANDBY_HEADER};
use failover::run::probes::answer::{ProbeAnswer, READ_BYTES};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// The authorities that this system trusts. Without any, every certificate is refused by name.
pub fn authorities() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}

/// Sends probes.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
}

/// What is sent to one address.
struct Hop<'a> {
    url: Url,
    method: Method,
    headers: &'a BTreeMap<String, String>,
    loopback: bool,
}

impl Client {
    /// A client that trusts these authorities alone.
    pub fn trusting(authorities: RootCertStore) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the versions of the provider itself")
            .with_root_certificates(authorities)
            .with_no_client_auth();
        Self { tls: Arc::new(config).into() }
    }

    /// Sends a probe to an address, with the `secret` of testers where it goes by their rule, and checks
    /// the answer. What is wrong never shows that secret.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub async fn probe(
        &self,
        probe: &Probe,
        address: &str,
        loopback: bool,
        secret: Option<&Secret>,
    ) -> Result<(), String> {
        let limit = Duration::from_secs(probe.timeout.0.into());
        let hidden = |text: &str| secret.map_or_else(|| text.to_owned(), |secret| secret.hidden_in(text));
        let answer = tokio::time::timeout(limit, self.follow(probe, address, loopback, secret)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no whole answer within {}", probe.timeout)));
        let mut answer = answer.map_err(|wrong| hidden(&wrong))?;
        if secret.is_some() {
            answer.body = hidden(&String::from_utf8_lossy(&answer.body)).into_bytes();
            answer.location = answer.location.as_deref().map(hidden);
        }
        answer.lacks(probe).map_or(Ok(()), Err)
    }

    async fn follow(
        &self,
        probe: &Probe,
        address: &str,
        loopback: bool,
        secret: Option<&Secret>,
    ) -> Result<ProbeAnswer, String> {
        let nothing = BTreeMap::new();
        let mut headers = probe.headers.clone();
        if let Some(secret) = secret {
            headers.insert(STANDBY_HEADER.to_owned(), secret.reveal().to_owned());
        }
        let mut url = address::origin(address, loopback)?;
        let (path, query) = probe.path.split_once('?').map_or((&probe.path[..], None), |(p, q)| (p, Some(q)));
        url.set_path(path);
        url.set_query(query);
        let mut hop = Hop { url, method: probe.method, headers: &headers, loopback };
        for _ in 0..probe.redirects {
            let answer = self.send(&hop).await?;
            let Some(location) = &answer.location else { return Ok(answer) };
            let next =
                hop.url.join(location).map_err(|error| format!("a redirect to {location:?} ({error})"))?;
            if !matches!((hop.url.scheme(), next.scheme()), ("http", "http" | "https") | ("https", "https")) {
                return Err(format!("a redirect from {} to {}, which is not followed", hop.url, next));
            }
            // As browsers do, whatever the standard says of the older ones.
            if matches!((hop.method, answer.status), (Method::Post, 301..=303)) {
                hop.method = Method::Get;
            }
            // What is meant for one server is told to no other. Without the secret of testers the answer
            // would be that of any fleet.
            if next.origin() != hop.url.origin() {
                if secret.is_some() {
                    return Err(format!(
                        "a redirect from {} to {next}, where testers are not known; give the address that it leads to",
                        hop.url
                    ));
                }
                hop.headers = &nothing;
            }
            hop.url = next;
        }
        self.send(&hop).await
    }

    async fn send(&self, hop: &Hop<'_>) -> Result<ProbeAnswer, String> {
        let host = hop.url.host_str().unwrap_or_default();
        let addresses = resolve(&hop.url).await?;
        addresses.iter().try_for_each(|found| address::check(host, found.ip(), hop.loopback))?;
        let stream = TcpStream::connect(&addresses[..])
            .await
            .map_err(|error| format!("no connection to {host} ({error})"))?;
        if hop.url.scheme() == "http" {
            return exchange(stream, hop).await;
        }
        let name = match hop.url.host() {
            Some(Host::Ipv4(ip)) => ServerName::from(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => ServerName::from(IpAddr::V6(ip)),
            _ => ServerName::try_from(host.to_owned())
                .map_err(|_| format!("{host:?} is no name that a certificate can have"))?,
        };
        let stream = self.tls.connect(name, stream).await.map_err(|error| no_tls(host, &error))?;
        exchange(stream, hop).await
    }
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, String> {
    let port = url.port_or_known_default().unwrap_or(443);
    match url.host() {
        Some(Host::Ipv4(ip)) => Ok(vec![(ip, port).into()]),
        Some(Host::Ipv6(ip)) => Ok(vec![(ip, port).into()]),
        Some(Host::Domain(name)) => {
            let found = tokio::net::lookup_host((name, port)).await;
            found.map(Iterator::collect).map_err(|error| format!("{name} is not found by its name ({error})"))
        }
        None => Err(format!("{url} has no host")),
    }
}

async fn exchange<Stream>(stream: Stream, hop: &Hop<'_>) -> Result<ProbeAnswer, String>
where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broke = |error: hyper::Error| format!("the connection broke ({})", innermost(&error));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
    // It ends with the sender, or with the body that is being read.
    tokio::spawn(connection);
    let response = sender.send_request(request(hop)?).await.map_err(broke)?;
    let (status, location) = (response.status().as_u16(), location(&response));
    let mut incoming = response.into_body();
    let (mut body, mut whole) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| format!("the answer broke off ({})", innermost(&error)))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = READ_BYTES - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            whole = false;
            break;
        }
    }
    Ok(ProbeAnswer { status, location, body, whole })
}

fn request(hop: &Hop<'_>) -> Result<Request<Empty<Bytes>>, String> {
    let path = &hop.url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &hop.url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::builder()
        .method(hop.method.word())
        .uri(path)
        .header(HOST, authority)
        .header(USER_AGENT, "failover-probe-app")
        .body(Empty::new())
        .map_err(|error| format!("a request that cannot be sent ({error})"))?;
    for (name, value) in hop.headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes());
        let value = hyper::header::HeaderValue::from_str(value);
        let (Ok(name), Ok(value)) = (name, value) else { return Err("a header that cannot be sent".into()) };
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// Where an answer redirects to.
fn location<Body>(response: &Response<Body>) -> Option<String> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = redirects.then(|| response.headers().get(LOCATION)).flatten()?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

fn no_tls(host: &str, error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    let why = match tls {
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            CertificateError::UnknownIssuer => "it is signed by nobody who is trusted here".into(),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".into(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it is for another name".into()
            }
            other => other.to_string(),
        },
        _ => return format!("no TLS with {host} ({error})"),
    };
    format!("the certificate of {host} is wrong: {why}")
}

fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

#[cfg(test)]
mod tests;
