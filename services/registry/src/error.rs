//! What can go wrong, sorted by what the caller will do about it.

use std::path::PathBuf;
use std::time::Duration;

use creditgate_measures::book::BookErrors;
use creditgate_measures::event::{EntryId, ListCode};
use creditgate_measures::vocabulary::State;
use creditgate_proto::{Refused, Violation, status};
use creditgate_runtime::journal::{AppendError, OpenError, ReadError};
use creditgate_runtime::metrics::ChangeRefusal;
use creditgate_runtime::origin;
use tonic::Status;

use crate::book::{Refusal, Untrusted};
use crate::upstream;

/// Why the registry did not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The change log did not open.
    #[error("open the change log")]
    Log(#[from] OpenError),
    /// The data directory was made from something else.
    #[error(transparent)]
    Origin(#[from] origin::Error),
    /// The change log on Kafka does not open.
    #[error(transparent)]
    Upstream(Box<upstream::Error>),
    /// The change log could not be read.
    #[error("read the change log")]
    Read(#[from] ReadError),
    /// The change log could not be appended to.
    #[error("record the book in the change log")]
    Append(#[from] AppendError),
    /// A record of the change log is intact and does not say what it should.
    #[error(
        "record {sequence} of the change log cannot be understood: {reason}; use the version that wrote it, or a later one"
    )]
    Record {
        /// Its number.
        sequence: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// There is something to follow and no book in it.
    #[error(
        "find the book in the list changes: there is none; only the registry may write to that topic"
    )]
    NoBook,
    /// The book is refused and there is no earlier one to keep.
    #[error("load the book, there being no earlier one to keep")]
    Book(#[source] Refusal),
    /// Nobody who is trusted vouches for the book of the change log, nor for the one given.
    #[error(
        "take the book of the change log (start with the pack of a book that is signed with a trusted key: `book.pack`)"
    )]
    Untrusted(#[source] Untrusted),
    /// The published book cannot be read any more.
    #[error("load the published book: use the version that recorded it, or a later one")]
    Published(#[source] BookErrors),
    /// The book is refused, and so is the last one that was in force.
    #[error("load the last good book, the new one being refused ({new})")]
    LastBook {
        /// What is wrong with the new one.
        new: Refusal,
        /// What is wrong with the last one.
        #[source]
        last: BookErrors,
    },
    /// The file system refused.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl From<upstream::Error> for Error {
    fn from(error: upstream::Error) -> Self {
        Self::Upstream(Box::new(error))
    }
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It breaks a rule of its form.
    #[error(transparent)]
    Invalid(#[from] Refused),
    /// The book has no such list.
    #[error("the book has no list `{}`; name a list of the book by its code or its Chinese name (`creditgate lists sources` shows them)", code_or_nothing(.0))]
    UnknownList(String),
    /// There is no such entry.
    #[error("no entry has this id")]
    UnknownEntry,
    /// The life cycle knows no such step.
    #[error("an entry that is {from} does not become {to}{}", next(*from))]
    Transition {
        /// Its state.
        from: State,
        /// The state asked for.
        to: State,
    },
    /// The id belongs to an entry of another list.
    #[error("entry id `{entry_id}` belongs to list `{list}`; choose another id")]
    OtherList {
        /// The id.
        entry_id: EntryId,
        /// Its list.
        list: ListCode,
    },
    /// An import that is being taken speaks of this entry.
    #[error("an import that is under way speaks of this entry; try again when it has ended")]
    ImportUnderWay,
    /// The change log takes no records.
    #[error("record the change")]
    Log(#[from] AppendError),
    /// The rows of an import could not be put aside.
    #[error("put the rows of the import aside")]
    Spool(#[source] std::io::Error),
    /// Another process keeps the lists.
    #[error("this process follows the lists; ask the registry")]
    Follows,
    /// Another process leads the lists, and this one would take over from it.
    #[error(
        "this instance stands by: another one leads the lists; ask the leader (`creditgate lists state` tells of each its role), or try again in a moment if there is none"
    )]
    StandsBy,
    /// Kafka did not take the change.
    #[error("Kafka did not take the change; what was taken before it stands; try again")]
    NotRecorded,
    /// Whether Kafka took the change, nobody knows yet.
    #[error(
        "Kafka did not confirm the change, and it is not known whether it will appear; look at the entry before you try again"
    )]
    Unconfirmed,
    /// Whether Kafka took an earlier change, nobody knows yet.
    #[error(
        "Kafka did not confirm an earlier change; nothing is taken until it is known whether it appears; try again later"
    )]
    Unsettled,
    /// Another registry has taken over.
    #[error(
        "another instance has taken over the lists, and this one stands by; look there whether it has the change, before you try again"
    )]
    Fenced,
    /// There is no such thing.
    #[error("there is no {0} with this id")]
    Unknown(&'static str),
    /// As things stand this cannot be done.
    #[error("{why}")]
    NotPossible {
        /// Code of the reason.
        code: &'static str,
        /// Why, and what to do.
        why: String,
    },
    /// The registry is stopping, or its keeper has failed.
    #[error("the registry takes no changes: it is stopping or has failed")]
    Closed,
}

impl ChangeError {
    /// As things stand this cannot be done.
    #[must_use]
    pub fn not_possible(code: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::NotPossible { code, why }
    }

    /// The closed set it is counted under.
    #[must_use]
    pub const fn counted_as(&self) -> ChangeRefusal {
        match self {
            Self::Invalid(_) => ChangeRefusal::Invalid,
            Self::UnknownList(_) => ChangeRefusal::UnknownList,
            Self::UnknownEntry => ChangeRefusal::UnknownEntry,
            Self::Transition { .. } => ChangeRefusal::Transition,
            Self::Unknown(_) => ChangeRefusal::UnknownEntry,
            Self::OtherList { .. } | Self::ImportUnderWay | Self::NotPossible { .. } => {
                ChangeRefusal::Conflict
            }
            Self::Follows => ChangeRefusal::Follows,
            Self::StandsBy => ChangeRefusal::StandsBy,
            Self::Log(_)
            | Self::Spool(_)
            | Self::NotRecorded
            | Self::Unconfirmed
            | Self::Unsettled
            | Self::Fenced
            | Self::Closed => ChangeRefusal::Internal,
        }
    }

    /// Whether the fault is in this one row or change, so that others may still be taken.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self.counted_as(),
            ChangeRefusal::Internal | ChangeRefusal::Follows | ChangeRefusal::StandsBy
        )
    }

    /// The rules of its form that it breaks.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Invalid(refused) => &refused.violations,
            _ => &[],
        }
    }
}

impl From<ChangeError> for Status {
    fn from(error: ChangeError) -> Self {
        let message = error.to_string();
        match error {
            ChangeError::Invalid(refused) => status::refused_status(&refused),
            ChangeError::UnknownList(_) => status::refused_status(&Refused::one("list", message)),
            ChangeError::UnknownEntry => status::not_found_status("entry_unknown", &message),
            ChangeError::Transition { .. } => {
                status::failed_precondition_status("step_not_allowed", &message)
            }
            ChangeError::OtherList { .. } => status::already_exists_status("other_list", &message),
            ChangeError::ImportUnderWay => status::unavailable_status("import_under_way", &message),
            ChangeError::Log(AppendError::Stalled { .. }) => {
                status::overloaded_status(Duration::from_secs(1))
            }
            ChangeError::Log(error) => status::unavailable_status("change_log", &error.to_string()),
            ChangeError::Spool(_) => status::unavailable_status("no_room", &message),
            ChangeError::Follows => status::failed_precondition_status("follows", &message),
            ChangeError::StandsBy => status::unavailable_status("stands_by", &message),
            ChangeError::NotRecorded => status::unavailable_status("not_recorded", &message),
            ChangeError::Unconfirmed => status::unavailable_status("unconfirmed", &message),
            ChangeError::Unsettled => status::unavailable_status("unsettled", &message),
            ChangeError::Fenced => status::unavailable_status("fenced", &message),
            ChangeError::Unknown(_) => status::not_found_status("unknown", &message),
            ChangeError::NotPossible { code, .. } => {
                status::failed_precondition_status(code, &message)
            }
            ChangeError::Closed => status::unavailable_status("stopping", &message),
        }
    }
}

/// Which steps there are instead.
fn next(from: State) -> String {
    let steps: Vec<_> = State::ALL
        .iter()
        .filter(|to| from.may_become(**to))
        .map(|to| to.code())
        .collect();
    match steps.as_slice() {
        [] => "; it has ended and stays so".to_owned(),
        steps => format!("; it may become {}", steps.join(" or ")),
    }
}

/// A code as the sender wrote it, unless it may be something else that landed in this field.
fn code_or_nothing(code: &str) -> &str {
    let is_code = code.len() <= 32
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let digits = code.bytes().filter(u8::is_ascii_digit).count();
    let is_name = code.chars().count() <= 40
        && digits == 0
        && ["名单", "名录", "清单"]
            .iter()
            .any(|end| code.ends_with(end));
    if (is_code && digits < 8) || is_name {
        code
    } else {
        "?"
    }
}
