//! Calls of services that are not served here are passed on to a server that does, so that faults on
//! purpose reach them too.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, client};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::TcpStream;

use super::{Incall, JSON, Protocol, application, note};
use crate::core::Core;
use crate::intercept::{CallInfo, Intercept};
use crate::journal::Service;
use crate::lock;
use crate::net::{Answer, Body, Reset, whole};

/// The services that are served here, as a signature names them.
const SERVED: [&str; 2] = ["elasticloadbalancing", "monitoring"];

/// Whether a call is signed for another service.
pub(super) fn is_elsewhere(request: &Request<Incoming>) -> bool {
    let signature = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // `AWS4-HMAC-SHA256 Credential=key/date/region/service/aws4_request, ...`
    let service = signature.and_then(|s| s.split_once("Credential=")?.1.split('/').nth(3));
    service.is_some_and(|service| !SERVED.contains(&service))
}

/// The action of a call and its parameters: in the JSON protocols a header names the action, such as
/// `AWSStepFunctions.DescribeExecution`, and the body is one parameter; in the query protocol all is in
/// a form.
fn action(head: &Parts, body: &[u8]) -> (String, Vec<(String, String)>) {
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    if let Some((_, action)) = target.and_then(|target| target.rsplit_once('.')) {
        return (action.to_owned(), vec![("Body".to_owned(), String::from_utf8_lossy(body).into_owned())]);
    }
    let parameters: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let action = parameters.iter().find(|(name, _)| name == "Action");
    (action.map(|(_, value)| value.clone()).unwrap_or_default(), parameters)
}

pub(super) async fn handle(
    core: &Arc<Core>,
    at: Timestamp,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let (head, body) = request.into_parts();
    let application = application(&head.headers);
    let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
    let (action, parameters) = action(&head, &body);
    let decision = {
        let info = CallInfo {
            service: Service::Other,
            action: &action,
            parameters: &parameters,
            peer,
            application: application.as_deref(),
        };
        lock::read(&core.interceptor).as_ref().map_or(Intercept::Pass, |intercept| intercept(&info))
    };
    let (service, protocol) = (Service::Other, Protocol::Json);
    let call = Incall { service, protocol, action, parameters, body: body.clone(), counted: false };
    let reset = || Err("ConnectionReset".to_owned());
    match decision {
        Intercept::Error { status, code, message } => {
            let error = format!(r#"{{"__type": "{code}", "message": "{message}"}}"#);
            let mut response = Response::new(whole(error));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            note(core, at, call, Err(code), false);
            Ok(response)
        }
        Intercept::ResetBefore => {
            note(core, at, call, reset(), false);
            Err(Reset)
        }
        Intercept::ResetAfter => {
            let applied = pass_on(core, head, body).await.is_ok();
            note(core, at, call, reset(), applied);
            Err(Reset)
        }
        Intercept::Pass | Intercept::Delay(_) => {
            let answer = pass_on(core, head, body).await;
            note(
                core,
                at,
                call,
                answer.as_ref().map(drop).map_err(|_| "NotPassedOn".to_owned()),
                answer.is_ok(),
            );
            if let Intercept::Delay(delay) = decision {
                tokio::time::sleep(delay).await;
            }
            answer
        }
    }
}

/// One connection for each call: they are rare.
async fn pass_on(core: &Core, head: Parts, body: Bytes) -> Answer {
    let upstream = lock::lock(&core.others).ok_or(Reset)?;
    let stream = TcpStream::connect(upstream).await.map_err(|_| Reset)?;
    let (mut sender, connection) =
        client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Reset)?;
    tokio::spawn(connection);
    let request = Request::from_parts(head, Full::new(body));
    let response: Response<Incoming> = sender.send_request(request).await.map_err(|_| Reset)?;
    Ok(response.map(Either::Right) as Response<Body>)
}
