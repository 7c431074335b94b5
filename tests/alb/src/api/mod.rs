//! The control plane's HTTP server: one port for both services.

mod cbor;
mod cloudwatch;
mod elbv2;
mod error;
mod json;
mod other;
mod query;
mod xml;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use jiff::Timestamp;
use tokio::net::TcpListener;

use self::error::ApiError;
use crate::core::Core;
use crate::intercept::{Answered, CallInfo, Intercept};
use crate::journal::{Call, Service};
use crate::lock;
use crate::net::{self, Answer, Body, Reset, whole};
use crate::throttle::Counted;

/// CloudWatch's operations live below this path.
const CLOUDWATCH: &str = "/service/GraniteServiceVersion20100801/operation/";

const JSON: &str = "application/x-amz-json-1.0";

/// Every operation that is served, as `service:Operation`.
pub(crate) fn operations() -> Vec<String> {
    let balancing = elbv2::OPERATIONS.iter().map(|(name, _)| format!("elasticloadbalancing:{name}"));
    let watching = cloudwatch::OPERATIONS.iter().map(|(name, _)| format!("cloudwatch:{name}"));
    balancing.chain(watching).collect()
}

/// Serves both APIs until the balancer stops.
pub(crate) async fn serve(core: Arc<Core>, listener: TcpListener) {
    let stop = core.stop.clone();
    net::accept(listener, stop.clone(), move |stream, peer| {
        let core = Arc::clone(&core);
        net::serve(stream, stop.clone(), move |request| handle(Arc::clone(&core), peer, request))
    })
    .await;
}

/// How a client speaks.
#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Query,
    Cbor,
    Json,
}

/// A call whose request has been read.
struct Incall {
    service: Service,
    protocol: Protocol,
    action: String,
    parameters: Vec<(String, String)>,
    /// In CBOR where it is CloudWatch's.
    body: Bytes,
    /// Whether it draws on what the account may call.
    counted: bool,
}

fn read(head: &Parts, body: Bytes, counted: bool) -> Incall {
    let in_cbor = head.uri.path().strip_prefix(CLOUDWATCH).map(|action| (Protocol::Cbor, action.to_owned()));
    let in_json = || json::action(&head.headers).map(|action| (Protocol::Json, action));
    if let Some((protocol, action)) = in_cbor.or_else(in_json) {
        let body = if protocol == Protocol::Json { json::to_cbor(&body) } else { body };
        let parameters = cbor::flatten(&body);
        return Incall { service: Service::CloudWatch, protocol, action, parameters, body, counted };
    }
    let parameters: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let action = parameters.iter().find(|(name, _)| name == "Action");
    let action = action.map(|(_, value)| value.clone()).unwrap_or_default();
    let (service, protocol) = (Service::ElasticLoadBalancingV2, Protocol::Query);
    Incall { service, protocol, action, parameters, body, counted }
}

async fn handle(core: Arc<Core>, peer: SocketAddr, request: Request<Incoming>) -> Answer {
    let at = clock::now();
    if other::is_elsewhere(&request) {
        return other::handle(&core, at, peer, request).await;
    }
    let (head, body) = request.into_parts();
    // A client that leaves in the middle of its request gets no answer.
    let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
    take(&core, at, peer, Request::from_parts(head, body)).await
}

/// Answers a call that has been read.
pub(crate) async fn take(
    core: &Arc<Core>,
    at: Timestamp,
    peer: SocketAddr,
    request: Request<Bytes>,
) -> Answer {
    let application = application(request.headers());
    let (head, body) = request.into_parts();
    let call = read(&head, body, core.counted == Counted::Everyone || application.is_some());
    let decision = {
        let info = CallInfo {
            service: call.service,
            action: &call.action,
            parameters: &call.parameters,
            peer,
            application: application.as_deref(),
        };
        lock::read(&core.interceptor).as_ref().map_or(Intercept::Pass, |intercept| intercept(&info))
    };
    carry_out(core, at, call, decision).await
}

/// What a client calls itself, among what its SDK says about itself.
fn application(headers: &HeaderMap) -> Option<String> {
    let said = headers.get("x-amz-user-agent")?.to_str().ok()?;
    said.split(' ').find_map(|part| part.strip_prefix("app/")).map(str::to_owned)
}

async fn carry_out(core: &Arc<Core>, at: Timestamp, call: Incall, decision: Intercept) -> Answer {
    let id = core.request_id();
    let reset = || Err("ConnectionReset".to_owned());
    match decision {
        Intercept::Error { status, code, message } => {
            let error = ApiError::injected(status, code, message);
            let response = refuse(call.protocol, &error, &id);
            note(core, at, call, Err(error.code), false);
            Ok(response)
        }
        Intercept::ResetBefore => {
            note(core, at, call, reset(), false);
            Err(Reset)
        }
        Intercept::ResetAfter => {
            let applied = perform(core, &call, &id).is_ok();
            note(core, at, call, reset(), applied);
            Err(Reset)
        }
        Intercept::Pass | Intercept::Delay(_) => {
            let answered = perform(core, &call, &id);
            show(core, &call, &answered, &id);
            let (response, outcome) = match answered {
                Ok(body) => (accept(call.protocol, body, &id), Ok(())),
                Err(error) => (refuse(call.protocol, &error, &id), Err(error.code)),
            };
            let applied = outcome.is_ok();
            note(core, at, call, outcome, applied);
            if let Intercept::Delay(delay) = decision {
                tokio::time::sleep(delay).await;
            }
            Ok(response)
        }
    }
}

/// The body of the answer to a call that is carried out.
fn perform(core: &Arc<Core>, call: &Incall, id: &str) -> Result<Vec<u8>, ApiError> {
    match call.service {
        Service::CloudWatch => cloudwatch::perform(core, &call.action, &call.body),
        _ => elbv2::perform(core, &call.action, &call.parameters, call.counted, id),
    }
}

/// Shows an answer to whoever asked for that.
fn show(core: &Core, call: &Incall, answered: &Result<Vec<u8>, ApiError>, id: &str) {
    let Some(observer) = &*lock::read(&core.observer) else { return };
    let (service, action) = (call.service, call.action.as_str());
    match answered {
        Ok(body) => observer(&Answered { service, action, status: 200, body }),
        Err(error) => {
            let body = refusal(service, error, id);
            observer(&Answered { service, action, status: error.status, body: &body });
        }
    }
}

fn accept(protocol: Protocol, body: Vec<u8>, id: &str) -> Response<Body> {
    match protocol {
        Protocol::Query => answer(200, "text/xml", body, id),
        Protocol::Cbor => cbor_answer(200, body, id),
        Protocol::Json => answer(200, JSON, json::from_cbor(&body), id),
    }
}

/// The body of a refusal.
fn refusal(service: Service, error: &ApiError, id: &str) -> Vec<u8> {
    if service == Service::CloudWatch { cbor::error(error) } else { xml::error(error, id) }
}

fn refuse(protocol: Protocol, error: &ApiError, id: &str) -> Response<Body> {
    let mut response = match protocol {
        Protocol::Query => return answer(error.status, "text/xml", xml::error(error, id), id),
        Protocol::Cbor => cbor_answer(error.status, cbor::error(error), id),
        Protocol::Json => answer(error.status, JSON, json::from_cbor(&cbor::error(error)), id),
    };
    // Clients of the older protocols know the error by this header.
    let blame = if error.status < 500 { "Sender" } else { "Receiver" };
    if let Ok(value) = HeaderValue::from_str(&format!("{};{blame}", error.code)) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

fn cbor_answer(status: u16, body: Vec<u8>, id: &str) -> Response<Body> {
    let mut response = answer(status, "application/cbor", body, id);
    response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    response
}

fn answer(status: u16, kind: &'static str, body: Vec<u8>, id: &str) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

fn note(core: &Core, at: Timestamp, call: Incall, outcome: Result<(), String>, applied: bool) {
    let Incall { service, action, parameters, .. } = call;
    core.calls.push(Arc::new(Call { at, service, action, parameters, outcome, applied }));
}
