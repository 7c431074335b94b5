//! Refusals, by AWS's codes.

/// What a refused call is answered with.
#[derive(Debug)]
pub(super) struct ApiError {
    /// HTTP status.
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl ApiError {
    /// The caller's mistake: status 400.
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }

    /// A parameter that breaks a rule of its own.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// A resource that is not there, such as `RuleNotFound`. AWS does not say which one.
    pub(super) fn not_found(code: &str) -> Self {
        let things = match code {
            "ListenerNotFound" => "listeners",
            "TargetGroupNotFound" => "target groups",
            "RuleNotFound" => "rules",
            _ => "load balancers",
        };
        Self::new(code, format!("One or more {things} not found"))
    }

    pub(super) fn injected(status: u16, code: String, message: String) -> Self {
        Self { status, code, message }
    }
}
