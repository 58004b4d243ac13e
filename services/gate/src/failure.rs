//! Why a check has no verdict, sorted by what the caller can do about it.

use std::sync::Arc;
use std::time::Duration;

use creditgate_proto::{Refused, status, v1};
use creditgate_runtime::callers::NotPermitted;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::AppendError;
use creditgate_runtime::kafka;
use creditgate_runtime::live::Behind;
use creditgate_runtime::metrics::Refusal;
use tonic::{Code, Status};

/// How long a caller who was turned away should wait.
const RETRY: Duration = Duration::from_millis(100);

/// Why a check has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The event breaks a rule; as it is it never gets a verdict.
    #[error("{0}")]
    Invalid(#[from] Refused),
    /// The same event came before, with other content.
    #[error("an event with this source and id came before with other content")]
    OtherContent,
    /// More is under way than allowed.
    #[error("overloaded: try again after the delay")]
    Overloaded,
    /// The lists asked for have not arrived.
    #[error("the lists asked for are not here: {0}")]
    ListsBehind(#[from] Behind),
    /// The process is ending.
    #[error("the service is stopping")]
    ShuttingDown,
    /// The caller may not do this, or not about that.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
    /// The caller asks more than was agreed; there is room for one after this time.
    #[error("more checks a second than agreed with this caller: try again after the delay")]
    TooMany(Duration),
    /// Nobody said who calls.
    #[error("the caller is not known")]
    Unauthenticated,
    /// The journal takes no record now.
    #[error("the verdict could not be recorded, so there is none: {0}")]
    NotRecorded(#[from] AppendError),
    /// Kafka did not confirm the record.
    #[error("the verdict could not be recorded on Kafka, so there is none: {}", Chain(&**.0))]
    NotPublished(Arc<kafka::Error>),
    /// Whether an earlier check of this event was recorded is unknown until a restart.
    #[error("whether this event has a verdict shows only after a restart")]
    Unknown,
    /// What was recorded cannot be read.
    #[error("what was recorded cannot be read now")]
    Unreadable,
    /// A fault of ours.
    #[error("a fault of the service")]
    Internal,
}

impl Failure {
    /// Its label in metrics.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Invalid(_) => Refusal::Invalid,
            Self::OtherContent => Refusal::Conflict,
            Self::Overloaded => Refusal::Overloaded,
            Self::TooMany(_) => Refusal::TooMany,
            Self::ListsBehind(_) => Refusal::ListsBehind,
            Self::ShuttingDown | Self::NotRecorded(AppendError::Closed) => Refusal::NotReady,
            Self::NotPermitted(_) => Refusal::Forbidden,
            Self::Unauthenticated => Refusal::Unauthenticated,
            Self::NotRecorded(AppendError::PayloadTooLarge { .. }) => Refusal::TooLarge,
            Self::NotPublished(why) if is_overload(why) => Refusal::Overloaded,
            Self::NotPublished(why) if is_too_large(why) => Refusal::TooLarge,
            Self::NotRecorded(_)
            | Self::NotPublished(_)
            | Self::Unknown
            | Self::Unreadable
            | Self::Internal => Refusal::Internal,
        }
    }

    /// The same failure for another item that shared the fate of this one.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::NotRecorded(error) => Self::NotRecorded(error.clone()),
            Self::NotPublished(why) => Self::NotPublished(Arc::clone(why)),
            _ => Self::Internal,
        }
    }

    /// As the end of a call.
    #[must_use]
    pub fn status(&self) -> Status {
        let message = self.to_string();
        match self {
            Self::Invalid(refused) => status::refused_status(refused),
            Self::OtherContent => status::already_exists_status("other_content", &message),
            Self::Overloaded => status::overloaded_status(RETRY),
            Self::ListsBehind(Behind::NotYet { .. }) => {
                status::unavailable_status("lists_behind", &message)
            }
            Self::ListsBehind(Behind::OtherLog) => {
                status::unavailable_status("lists_of_another_log", &message)
            }
            Self::ShuttingDown | Self::NotRecorded(AppendError::Closed) => {
                status::unavailable_status("shutting_down", &message)
            }
            Self::NotPermitted(_) => Status::permission_denied(message),
            Self::TooMany(wait) => status::too_many_status(*wait, &message),
            Self::Unauthenticated => Status::unauthenticated(message),
            Self::NotRecorded(AppendError::PayloadTooLarge { .. }) => too_large(),
            Self::NotPublished(why) if is_too_large(why) => too_large(),
            Self::NotPublished(why) if is_overload(why) => status::overloaded_status(RETRY),
            Self::NotRecorded(_) | Self::NotPublished(_) | Self::Unknown => {
                status::unavailable_status("journal_unavailable", &message)
            }
            Self::Unreadable => status::unavailable_status("records_unreadable", &message),
            Self::Internal => Status::new(Code::Internal, message),
        }
    }

    /// As the error of one item.
    #[must_use]
    pub fn item(&self) -> v1::ItemError {
        match self {
            Self::Invalid(refused) => status::refused_item(refused),
            other => status::item_error(&other.status()),
        }
    }
}

fn too_large() -> Status {
    let rule = "the event and its verdict are larger than a record may be";
    status::refused_status(&Refused::one("event", rule))
}

const fn is_too_large(error: &kafka::Error) -> bool {
    matches!(error, kafka::Error::TooLarge { .. })
}

/// Whether the record was turned away before it was sent.
const fn is_overload(error: &kafka::Error) -> bool {
    matches!(error, kafka::Error::QueueFull)
}

#[cfg(test)]
mod tests {
    use creditgate_runtime::access::Outside;
    use creditgate_runtime::callers::Permission;

    use super::*;

    #[test]
    fn each_says_what_the_caller_can_do() {
        let check = |failure: Failure, expected: &str| {
            let item = failure.item();
            let shown = format!(
                "{:?} {} {}",
                Code::from_i32(item.code),
                item.reason,
                failure.refusal().label()
            );
            assert_eq!(shown, expected);
        };
        let not_yet = Behind::NotYet {
            reached: 1,
            wanted: 2,
        };
        check(
            Failure::OtherContent,
            "AlreadyExists other_content conflict",
        );
        check(
            Failure::Overloaded,
            "ResourceExhausted overloaded overloaded",
        );
        check(not_yet.into(), "Unavailable lists_behind lists_behind");
        check(
            Behind::OtherLog.into(),
            "Unavailable lists_of_another_log lists_behind",
        );
        check(
            AppendError::Closed.into(),
            "Unavailable shutting_down not_ready",
        );
        check(
            AppendError::Unanswered.into(),
            "Unavailable journal_unavailable internal",
        );
        let lacks = NotPermitted::Lacks(&[Permission::Check]);
        check(Failure::NotPermitted(lacks), "PermissionDenied  forbidden");
        let outside = NotPermitted::Outside(Outside::Region);
        check(
            Failure::NotPermitted(outside),
            "PermissionDenied  forbidden",
        );
        check(
            Failure::TooMany(RETRY),
            "ResourceExhausted too_many too_many",
        );
    }
}
