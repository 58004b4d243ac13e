//! What went wrong, as `application/problem+json` (RFC 9457).

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use creditgate_proto::{Refused, Violation};
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The media type of every error.
const MEDIA_TYPE: &str = "application/problem+json";

/// When no better time is known; long enough that a refused client does no harm.
const RETRY_DEFAULT: Duration = Duration::from_secs(1);

/// A problem. Neither its detail nor its violations ever hold an identifier or a name: they come from
/// [`Refused`] and from statuses, which promise the same.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    reason: Option<String>,
    violations: Vec<Violation>,
    retry: Option<Duration>,
}

/// The kinds of problem. Clients compare their words: none of them may ever change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidArgument,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    NoSuchRoute,
    MethodNotAllowed,
    BodyTimeout,
    AlreadyExists,
    Aborted,
    TooLarge,
    UnsupportedMediaType,
    FailedPrecondition,
    ResourceExhausted,
    Cancelled,
    Internal,
    Unimplemented,
    Unavailable,
    DeadlineExceeded,
}

#[derive(Serialize)]
struct Written<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<WrittenViolation<'a>>,
}

#[derive(Serialize)]
struct WrittenViolation<'a> {
    field: &'a str,
    rule: &'a str,
}

impl<'a> WrittenViolation<'a> {
    fn of(violation: &'a Violation) -> Self {
        let Violation { field, rule } = violation;
        Self { field, rule }
    }
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            reason: None,
            violations: Vec::new(),
            retry: None,
        }
    }

    /// With all violations, since a body has room for more than the headers of gRPC have.
    pub(crate) fn refused(refused: Refused) -> Self {
        Self {
            violations: refused.violations.clone(),
            ..Self::new(Kind::InvalidArgument, refused.to_string())
        }
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let kind = Kind::of(status.code());
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| {
            let one = |v: &tonic_types::FieldViolation| {
                Violation::new(v.field.as_str(), v.description.as_str())
            };
            bad.field_violations.iter().map(one).collect()
        });
        // What a fault of ours says is for our logs; there it was written where it arose.
        let detail = match kind {
            Kind::Internal => "a fault of the service; it is in its log",
            _ => status.message(),
        };
        Self {
            reason: details.error_info().map(|info| info.reason.clone()),
            violations: violations.unwrap_or_default(),
            retry: details.retry_info().and_then(|retry| retry.retry_delay),
            ..Self::new(kind, detail)
        }
    }
}

impl Kind {
    fn of(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::Aborted => Self::Aborted,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::Cancelled => Self::Cancelled,
            Code::Unimplemented => Self::Unimplemented,
            Code::Unavailable => Self::Unavailable,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            // An error that calls itself a success is a fault of ours too.
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Self::Internal,
        }
    }

    /// Word, title and status.
    fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::InvalidArgument => (
                "invalid_argument",
                "The request breaks a rule",
                StatusCode::BAD_REQUEST,
            ),
            Self::Unauthenticated => (
                "unauthenticated",
                "The caller was not recognised",
                StatusCode::UNAUTHORIZED,
            ),
            Self::PermissionDenied => (
                "permission_denied",
                "The caller may not do this",
                StatusCode::FORBIDDEN,
            ),
            Self::NotFound => ("not_found", "There is no such thing", StatusCode::NOT_FOUND),
            Self::NoSuchRoute => (
                "no_such_route",
                "There is no such route",
                StatusCode::NOT_FOUND,
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                "The route takes another method",
                StatusCode::METHOD_NOT_ALLOWED,
            ),
            Self::BodyTimeout => (
                "body_timeout",
                "The body did not arrive in time",
                StatusCode::REQUEST_TIMEOUT,
            ),
            Self::AlreadyExists => (
                "already_exists",
                "It exists with other content",
                StatusCode::CONFLICT,
            ),
            Self::Aborted => (
                "aborted",
                "Something else came in between",
                StatusCode::CONFLICT,
            ),
            Self::TooLarge => (
                "too_large",
                "The request is larger than allowed",
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                "The body is in another form than the route takes",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            Self::FailedPrecondition => (
                "failed_precondition",
                "The state does not allow this",
                StatusCode::BAD_REQUEST,
            ),
            Self::ResourceExhausted => (
                "resource_exhausted",
                "More is asked than can be done now",
                StatusCode::TOO_MANY_REQUESTS,
            ),
            Self::Cancelled => (
                "cancelled",
                "The work was given up",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::Internal => (
                "internal",
                "A fault of the service",
                StatusCode::INTERNAL_SERVER_ERROR,
            ),
            Self::Unimplemented => (
                "unimplemented",
                "The service cannot do this",
                StatusCode::NOT_IMPLEMENTED,
            ),
            Self::Unavailable => (
                "unavailable",
                "The service cannot answer now",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::DeadlineExceeded => (
                "deadline_exceeded",
                "There was no answer in time",
                StatusCode::GATEWAY_TIMEOUT,
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (word, title, status) = self.kind.parts();
        let violations = self.violations.iter();
        let written = Written {
            r#type: format!("urn:creditgate:problem:{word}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            reason: self.reason.as_deref(),
            violations: violations.map(WrittenViolation::of).collect(),
        };
        let body = serde_json::to_vec(&written).expect("texts and a number are always JSON");
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        match self.kind {
            Kind::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Kind::ResourceExhausted | Kind::Unavailable | Kind::Cancelled => {
                let retry = self.retry.unwrap_or(RETRY_DEFAULT);
                headers.insert(header::RETRY_AFTER, whole_seconds(retry).into());
            }
            // What is left of the body is not waited for.
            Kind::BodyTimeout | Kind::TooLarge => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

/// Rounded up and at least one: `Retry-After` has no fractions, and 0 would mean at once.
fn whole_seconds(delay: Duration) -> u64 {
    let up = u64::from(delay.subsec_nanos() > 0);
    delay.as_secs().saturating_add(up).max(1)
}
