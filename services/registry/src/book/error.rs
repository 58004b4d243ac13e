//! Why a book does not come into force, sorted by what the caller will do about it.

use creditgate_measures::book::{BookError, BookErrors, BookVersion};
use creditgate_proto::{Refused, Violation, status};
use tonic::Status;

use super::keys::Untrusted;
use super::pack::PackError;
use crate::error::{ChangeError, Error};

/// Why a book is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It breaks the rules of a book.
    #[error(transparent)]
    Errors(#[from] BookErrors),
    /// Nobody who is trusted vouches for it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// It is no pack, or was changed.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// Why a book was not put in force; the one before it stays.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The request breaks a rule of its form.
    #[error(transparent)]
    Invalid(#[from] Refused),
    /// The book is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another book is in force than the caller expected.
    #[error(
        "book {current} is in force, not the one expected; look at what changed (`creditgate measures books`) and try again"
    )]
    OtherBook {
        /// What is in force.
        current: BookVersion,
    },
    /// It could not be recorded.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The names could not be indexed for it, or the book in force could not be read again.
    #[error("prepare the book: look at the disk, then try again")]
    Prepare(#[source] Box<Error>),
}

impl From<Error> for PublishError {
    fn from(error: Error) -> Self {
        Self::Prepare(Box::new(error))
    }
}

impl From<PublishError> for Status {
    fn from(error: PublishError) -> Self {
        let message = error.to_string();
        match error {
            PublishError::Invalid(refused) => status::refused_status(&refused),
            PublishError::Refused(Refusal::Errors(errors)) => book_errors(&errors),
            PublishError::Refused(Refusal::Untrusted(_)) => {
                status::failed_precondition_status("book_untrusted", &message)
            }
            PublishError::Refused(Refusal::Pack(_)) => {
                status::refused_status(&Refused::one("pack", message))
            }
            PublishError::OtherBook { .. } => {
                status::failed_precondition_status("other_book", &message)
            }
            PublishError::Change(error) => error.into(),
            PublishError::Prepare(error) => {
                tracing::error!(
                    error = %creditgate_runtime::errors::Chain(&*error),
                    "a book could not be prepared"
                );
                status::unavailable_status("change_log", &message)
            }
        }
    }
}

/// INVALID_ARGUMENT with every error as a violation, as far as a header holds them: the place stands
/// as the field.
fn book_errors(errors: &BookErrors) -> Status {
    /// The message travels in a header too, and each character of Chinese takes nine bytes there.
    const SHOWN: usize = 1;
    let violation = |error: &BookError| {
        Violation::new(
            format!("{}:{}", error.file, error.line),
            format!("{}: {}; {}", error.subject, error.rule, error.mend),
        )
    };
    let all = Refused {
        violations: errors.0.iter().map(violation).collect(),
    };
    let first = Refused {
        violations: all.violations.iter().take(SHOWN).cloned().collect(),
    };
    let details = status::refused_status(&all).details().to_vec();
    let message = format!(
        "the book is refused for {} reason(s), the first: {first}; `creditgate measures lint` names them all",
        errors.0.len()
    );
    Status::with_details(tonic::Code::InvalidArgument, message, details.into())
}
