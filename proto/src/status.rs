//! Refusals and failures as gRPC errors with the details of google.rpc, and as items of a batch.

use std::collections::HashMap;
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::refused::Refused;
use crate::v1;

/// Domain of every `google.rpc.ErrorInfo` of ours.
pub const ERROR_DOMAIN: &str = "creditgate";

/// Details travel in a header, and many clients take no more than 8 KiB of headers.
const DETAIL_BYTES_MAX: usize = 4_096;

/// INVALID_ARGUMENT with the violations as `google.rpc.BadRequest`, as many as a header holds.
#[must_use]
pub fn refused_status(refused: &Refused) -> Status {
    let mut room = DETAIL_BYTES_MAX;
    let shown: Vec<FieldViolation> = refused
        .violations
        .iter()
        .take_while(|v| {
            let size = v.field.len() + v.rule.len() + 16;
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        })
        .map(|v| FieldViolation::new(v.field.as_str(), v.rule.as_str()))
        .collect();
    let details = ErrorDetails::with_bad_request(shown);
    Status::with_error_details(Code::InvalidArgument, refused.to_string(), details)
}

/// Milliseconds after which a client may try again, where gRPC's own retries look for them.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// RESOURCE_EXHAUSTED with `google.rpc.RetryInfo`: shed before any work was done (specification 6).
///
/// Libraries of gRPC that try again by themselves take the delay from [`PUSHBACK`].
#[must_use]
pub fn overloaded_status(retry: Duration) -> Status {
    let message = "overloaded: try again after the delay";
    exhausted(retry, "overloaded", message)
}

/// RESOURCE_EXHAUSTED with `google.rpc.RetryInfo`: more than was agreed with this caller.
#[must_use]
pub fn too_many_status(retry: Duration, message: &str) -> Status {
    exhausted(retry.max(Duration::from_millis(1)), "too_many", message)
}

fn exhausted(retry: Duration, reason: &str, message: &str) -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(retry));
    details.set_error_info(reason, ERROR_DOMAIN, HashMap::new());
    let mut metadata = MetadataMap::new();
    let millis = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
    metadata.insert(PUSHBACK, millis.into());
    Status::with_error_details_and_metadata(Code::ResourceExhausted, message, details, metadata)
}

/// UNAVAILABLE for a reason in a word, such as `lists_behind`.
#[must_use]
pub fn unavailable_status(reason: &str, message: &str) -> Status {
    with_reason(Code::Unavailable, reason, message)
}

/// ALREADY_EXISTS for a reason in a word, such as `other_content`.
#[must_use]
pub fn already_exists_status(reason: &str, message: &str) -> Status {
    with_reason(Code::AlreadyExists, reason, message)
}

/// NOT_FOUND for a reason in a word, such as `verdict_unknown`.
#[must_use]
pub fn not_found_status(reason: &str, message: &str) -> Status {
    with_reason(Code::NotFound, reason, message)
}

/// FAILED_PRECONDITION for a reason in a word, such as `step_not_allowed`.
#[must_use]
pub fn failed_precondition_status(reason: &str, message: &str) -> Status {
    with_reason(Code::FailedPrecondition, reason, message)
}

/// The error of one item, as a call of its own would have ended with.
#[must_use]
pub fn item_error(status: &Status) -> v1::ItemError {
    let details = status.get_error_details();
    v1::ItemError {
        code: status.code().into(),
        reason: details
            .error_info()
            .map(|info| info.reason.clone())
            .unwrap_or_default(),
        message: status.message().to_owned(),
        violations: details
            .bad_request()
            .map(|bad| {
                let field = |v: &FieldViolation| v1::FieldViolation {
                    field: v.field.clone(),
                    rule: v.description.clone(),
                };
                bad.field_violations.iter().map(field).collect()
            })
            .unwrap_or_default(),
        retry_delay: details
            .retry_info()
            .and_then(|retry| retry.retry_delay)
            .map(Into::into),
    }
}

/// The error of one refused item; all violations, since an answer's body has room.
#[must_use]
pub fn refused_item(refused: &Refused) -> v1::ItemError {
    v1::ItemError {
        code: Code::InvalidArgument.into(),
        reason: String::new(),
        message: refused.to_string(),
        violations: violations_to_proto(refused),
        retry_delay: None,
    }
}

/// The violations as a message.
#[must_use]
pub fn violations_to_proto(refused: &Refused) -> Vec<v1::FieldViolation> {
    refused
        .violations
        .iter()
        .map(|v| v1::FieldViolation {
            field: v.field.clone(),
            rule: v.rule.clone(),
        })
        .collect()
}

fn with_reason(code: Code, reason: &str, message: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refused::Violation;

    #[test]
    fn a_refusal_carries_its_violations() {
        let refused = Refused::one("subjects[3].role", "unknown role `NOPE`");
        let status = refused_status(&refused);
        assert_eq!(status.code(), Code::InvalidArgument);
        let bad = status.get_details_bad_request().expect("bad request");
        let shown: Vec<_> = bad
            .field_violations
            .iter()
            .map(|v| (&*v.field, &*v.description))
            .collect();
        assert_eq!(shown, [("subjects[3].role", "unknown role `NOPE`")]);
        assert_eq!(item_error(&status), refused_item(&refused));
    }

    #[test]
    fn a_thousand_violations_fit_a_header_and_all_fit_an_item() {
        let many = Refused {
            violations: vec![Violation::new("field", "rule"); 1_000],
        };
        assert!(refused_status(&many).details().len() < 8_192);
        assert_eq!(refused_item(&many).violations.len(), 1_000);
    }

    #[test]
    fn each_failure_has_its_code_reason_and_delay() {
        let check = |status: Status, expected: &str| {
            let item = item_error(&status);
            let shown = format!(
                "{:?} {} {:?}",
                status.code(),
                item.reason,
                item.retry_delay.map(|d| d.nanos)
            );
            assert_eq!(shown, expected);
        };
        check(
            overloaded_status(Duration::from_millis(250)),
            "ResourceExhausted overloaded Some(250000000)",
        );
        check(
            unavailable_status("lists_behind", "m"),
            "Unavailable lists_behind None",
        );
        check(
            already_exists_status("other_content", "m"),
            "AlreadyExists other_content None",
        );
        check(
            not_found_status("verdict_unknown", "m"),
            "NotFound verdict_unknown None",
        );
        check(
            failed_precondition_status("x", "m"),
            "FailedPrecondition x None",
        );
    }
}
