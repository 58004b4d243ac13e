//! What can go wrong with cases.

use creditgate_measures::verdict::VerdictId;
use creditgate_runtime::journal::{AppendError, OpenError, ReadError};
use creditgate_runtime::ports::{HistoryError, NotFound};

use crate::log::Fault;
use crate::state::Refusal;
use crate::state::stored::NotStored;
use crate::table;

/// Why cases cannot be taken in or recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal of cases does not open.
    #[error("open the journal of cases")]
    Open(#[from] OpenError),
    /// A journal cannot be read.
    #[error("read a journal")]
    Read(#[from] ReadError),
    /// A record was not written.
    #[error("write to the journal of cases")]
    Append(#[from] AppendError),
    /// A record is not what its kind says.
    #[error("read a record of a journal")]
    Record(#[from] prost::DecodeError),
    /// The tables cannot be used.
    #[error(transparent)]
    Table(#[from] table::Error),
    /// A stored case cannot be read.
    #[error("read a stored case")]
    Stored(#[from] NotStored),
    /// The change log cannot be read.
    #[error("read the changes of the lists")]
    Changes(#[from] HistoryError),
    /// What was recorded before is not taken in yet.
    #[error("an earlier record of a case is not taken in yet")]
    Behind,
    /// The topic of the cases could not be written or read.
    #[error(transparent)]
    Topic(Box<Fault>),
    /// A verdict that the log of the cases names cannot be looked for.
    #[error("look for a verdict that the cases name")]
    NotFound(#[source] NotFound),
    /// A verdict that the log of the cases names has not come here yet.
    #[error("verdict {0}, which the cases name, has not come to this process yet")]
    NotHereYet(VerdictId),
    /// A change of the lists that the log of the cases names has not come here yet.
    #[error("change {0} of the lists, which the cases name, has not come to this process yet")]
    ListsBehind(u64),
    /// A thread did not start.
    #[error("start a thread")]
    Thread(#[source] std::io::Error),
}

impl Error {
    /// What an operator does about it.
    pub(crate) const fn advice(&self) -> &'static str {
        match self {
            Self::Topic(_) => "the topic of the cases cannot be written or read: look at Kafka",
            Self::NotHereYet(_) => "verdicts that cases name have not come to this process yet",
            Self::ListsBehind(_) => "changes of the lists that cases name have not come yet",
            _ => "cases could not be written: look at the disk",
        }
    }
}

impl Error {
    /// Whether it passes by itself with what is on its way to this process.
    pub(crate) const fn is_to_come(&self) -> bool {
        matches!(self, Self::NotHereYet(_) | Self::ListsBehind(_))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Topic(Box::new(fault))
    }
}

/// Why something did not happen to a case.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// There is no such case.
    #[error("no case has this number; a case begins with its first check")]
    UnknownCase,
    /// It is not possible as the case stands, or what was asked for is not right.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be read or recorded; nothing happened.
    #[error(transparent)]
    Failed(#[from] Error),
    /// Another process keeps the cases.
    #[error(
        "this process stands by for the cases: another one leads; ask that one, or again in a moment if there is none"
    )]
    StandsBy,
    /// The service stops.
    #[error("the service is shutting down; ask again")]
    Closed,
}
