//! A report of a measure carried out, in a CloudEvent of a type of its own.
//!
//! The attributes name the message and not the report, which has its `feedback_id`: the same report
//! may come again in another message. Nor is the time of a message the one at which a measure was
//! carried out, so nothing of a report is filled in.

use std::fmt;

use super::{Attributes, Headers, Mode, at, is_cloud_event, payload, structured};
use crate::feedback as form;
use crate::refused::Refused;
use crate::{json, v1};

/// The type of a CloudEvent that holds a report of a measure. Reporters write it: it never changes.
pub const FEEDBACK_TYPE: &str = "cn.creditgate.feedback.v1";
/// Its name before verdicts, lift orders and reports were named alike; reporters may go on writing it.
const FEEDBACK_TYPE_BEFORE: &str = "creditgate.feedback";

/// Why a message gives no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFeedback {
    /// It is no CloudEvent with a report in it.
    Unreadable(Refused),
    /// It is a CloudEvent of another type, or its report breaks a rule of its form.
    Refused(Refused),
}

impl fmt::Display for NotFeedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(refused) | Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl std::error::Error for NotFeedback {}

/// Reads a report of a measure carried out, as [`super::from_message`] reads an event.
///
/// # Errors
/// What is wrong and where; never with a value of the report.
pub fn feedback_from_message<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) -> Result<v1::Feedback, NotFeedback> {
    let unreadable = NotFeedback::Unreadable;
    let headers = Headers::read(headers).map_err(unreadable)?;
    // The type before the data: a message of another type has other data, and would be told that.
    let report = match Mode::of(&headers).map_err(unreadable)? {
        Mode::Structured => {
            let attributes: Attributes = json::from_json(body).map_err(unreadable)?;
            is_feedback(&attributes, "")?;
            structured(body).map_err(unreadable)?.data
        }
        Mode::Binary(media) => {
            is_feedback(&headers.attributes, "ce-")?;
            payload(&media, "content-type", body).map_err(unreadable)?
        }
    };
    form::check(&report).map_err(NotFeedback::Refused)?;
    Ok(report)
}

/// A message that is a CloudEvent of ours with a report in it.
fn is_feedback(attributes: &Attributes, prefix: &str) -> Result<(), NotFeedback> {
    let mut violations = Vec::new();
    let v = &mut violations;
    is_cloud_event(v, prefix, attributes);
    for (name, value) in [("id", &attributes.id), ("source", &attributes.source)] {
        if value.as_deref().is_none_or(str::is_empty) {
            v.push(at(prefix, name, "required"));
        }
    }
    Refused::unless_empty(violations).map_err(NotFeedback::Unreadable)?;
    match attributes.kind.as_deref() {
        Some(FEEDBACK_TYPE | FEEDBACK_TYPE_BEFORE) => Ok(()),
        _ => Err(NotFeedback::Refused(Refused::one(
            format_args!("{prefix}type"),
            format!("expected `{FEEDBACK_TYPE}`"),
        ))),
    }
}
