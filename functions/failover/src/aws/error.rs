//! From an SDK error to a named one.

use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};

use crate::model::error::{Error, ErrorKind};
use crate::model::text::cut;

/// Codes with which AWS says "later" while the HTTP status alone would say "no".
const THROTTLED: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "RequestThrottled",
    // Of a service that was throttled by KMS itself: Step Functions, and SNS.
    "KmsThrottlingException",
    "KMSThrottling",
];

/// As much of what AWS says is passed on, in bytes. A refusal of a right names who, what and on what.
const MOST: usize = 1500;

/// Sorts a failed call into "try again later" and "AWS said no", with a message that says what was
/// being done, for example `changing the weights of rule 10 on port 443`.
pub fn named<E, R>(doing: &str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + HttpStatus,
{
    let SdkError::ServiceError(service) = error else {
        let cause = cut(&innermost(error), MOST);
        return Error::new(ErrorKind::AwsUnavailable, format!("AWS did not answer while {doing}: {cause}"));
    };
    let code = cut(service.err().code().unwrap_or("an unnamed error"), 100);
    let message = service.err().message().unwrap_or("no message");
    let later = is_later(service.raw().status(), &code);
    let kind = if later { ErrorKind::AwsUnavailable } else { ErrorKind::AwsRefused };
    Error::new(kind, format!("AWS answered {code} while {doing}: {}", readable(message)))
}

/// Whether AWS says "later", by the status of its answer and the code of the error.
fn is_later(status: u16, code: &str) -> bool {
    status >= 500 || status == 429 || THROTTLED.contains(&code)
}

/// What AWS says, with what it means where that misleads.
fn readable(message: &str) -> String {
    let shown = cut(message, MOST);
    if message.contains("must be in ARN format") {
        return format!("{shown} (it says so of what is in another region than this deployment)");
    }
    shown
}

/// The code of a service error, for the few that mean something of their own.
pub fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// The HTTP status of a raw answer.
pub trait HttpStatus {
    /// Such as 503.
    fn status(&self) -> u16;
}

impl HttpStatus for aws_sdk_elasticloadbalancingv2::config::http::HttpResponse {
    fn status(&self) -> u16 {
        self.status().as_u16()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of the operations that functions call in botocore's models that say so, all with the status 400.
    #[test]
    fn throttling_means_later_whoever_is_throttled() {
        for code in ["Throttling", "ThrottlingException", "KmsThrottlingException", "KMSThrottling"] {
            assert!(is_later(400, code), "{code}");
        }
        for code in ["ValidationError", "RuleNotFound", "KmsAccessDeniedException", "KMSDisabled"] {
            assert!(!is_later(400, code) && is_later(500, code), "{code}");
        }
    }

    #[test]
    fn whatever_aws_says_is_cut() {
        assert_eq!(readable(&"no ".repeat(100_000)).len(), MOST);
    }

    #[test]
    fn what_is_in_another_region_is_told_as_such() {
        let said =
            readable("'arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/a/b' must be in ARN format");
        assert!(said.ends_with("(it says so of what is in another region than this deployment)"));
        assert_eq!(readable("User is not authorized"), "User is not authorized");
    }
}
