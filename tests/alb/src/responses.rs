//! The answers that the balancer gives by itself.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

use crate::model::{Fixed, Redirect, Unauthenticated};
use crate::net::{Body, whole};
use crate::proxy::{cookies, found};
use crate::routing::{Gate, Table, host};

/// An answer with a status and a short page.
pub(crate) fn own(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = status.canonical_reason().unwrap_or_default();
    let page = format!("<html><head><title>{status}</title></head><body>{reason}</body></html>\r\n");
    let mut response = Response::new(whole(page));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// The answer of a fixed-response action.
pub(crate) fn fixed(fixed: &Fixed) -> Response<Body> {
    let mut response = Response::new(whole(fixed.body.clone().map_or_else(Bytes::new, Bytes::from)));
    *response.status_mut() = StatusCode::from_u16(fixed.status).unwrap_or(StatusCode::OK);
    let kind = fixed.content_type.as_deref().unwrap_or("text/plain");
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

/// The answer of a redirect action, with its placeholders filled in.
pub(crate) fn redirect<B>(redirect: &Redirect, request: &Request<B>, table: &Table) -> Response<Body> {
    let port = table.port.to_string();
    let fill = |template: &str| {
        template
            .replace("#{protocol}", table.scheme)
            .replace("#{host}", host(request))
            .replace("#{port}", &port)
            // In a path the leading slash is outside the placeholder.
            .replace("#{path}", request.uri().path().trim_start_matches('/'))
            .replace("#{query}", request.uri().query().unwrap_or_default())
    };
    let query = fill(&redirect.query);
    let separator = if query.is_empty() { "" } else { "?" };
    let location = format!(
        "{}://{}:{}{}{separator}{query}",
        fill(&redirect.protocol).to_ascii_lowercase(),
        fill(&redirect.host),
        fill(&redirect.port),
        fill(&redirect.path),
    );
    found(redirect.status, &location)
}

/// Sends a client without a session to sign in. None where the request may go on.
pub(crate) fn challenge<B>(gate: &Gate, request: &Request<B>, table: &Table) -> Option<Response<Body>> {
    let known = cookies(request.headers()).any(|cookie| cookie.starts_with(&gate.cookie));
    if known || gate.unauthenticated == Unauthenticated::Allow {
        return None;
    }
    if gate.unauthenticated == Unauthenticated::Deny {
        return Some(own(401));
    }
    let back = format!("{}://{}/oauth2/idpresponse", table.scheme, host(request));
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &gate.client)
        .append_pair("redirect_uri", &back)
        .append_pair("response_type", "code")
        .append_pair("scope", &gate.scope)
        .finish();
    Some(found(302, &format!("{}?{query}", gate.endpoint)))
}
