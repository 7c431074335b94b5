//! Faults on purpose: what a call meets before or after it is carried out; and what it is answered without any.

use std::net::SocketAddr;
use std::time::Duration;

use crate::journal::Service;

/// The call an interceptor decides about.
#[derive(Clone, Copy, Debug)]
pub struct CallInfo<'a> {
    /// The service called.
    pub service: Service,
    /// Such as `ModifyRule`.
    pub action: &'a str,
    /// The parameters, as in [`crate::Call::parameters`].
    pub parameters: &'a [(String, String)],
    /// Whom the connection comes from.
    pub peer: SocketAddr,
    /// What the client calls itself: an SDK sends the environment variable `AWS_SDK_UA_APP_ID`.
    pub application: Option<&'a str>,
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intercept {
    /// Carried out and answered.
    Pass,
    /// Not carried out; answered with this error.
    Error {
        /// HTTP status.
        status: u16,
        /// Such as `Throttling`.
        code: String,
        /// For people.
        message: String,
    },
    /// Not carried out; the connection is reset.
    ResetBefore,
    /// Carried out; the connection is reset instead of an answer.
    ResetAfter,
    /// Carried out at once; answered this much later.
    Delay(Duration),
}

pub(crate) type Interceptor = Box<dyn Fn(&CallInfo<'_>) -> Intercept + Send + Sync>;

/// An answer that this balancer makes itself, before anything is done to it on purpose.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The service called.
    pub service: Service,
    /// Such as `ModifyRule`.
    pub action: &'a str,
    /// HTTP status.
    pub status: u16,
    /// XML of Elastic Load Balancing, CBOR of CloudWatch.
    pub body: &'a [u8],
}

pub(crate) type Observer = Box<dyn Fn(&Answered<'_>) + Send + Sync>;
