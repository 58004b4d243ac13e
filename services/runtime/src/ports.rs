//! What one role needs of another, as traits: roles know these and not each other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use creditgate_measures::book::{Book, BookVersion};
use creditgate_measures::event::Event;
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_proto::v1;

use crate::callers::Caller;
use crate::metrics::Transport;

/// A future that can be sent to another thread.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Judges events, whatever way they come; the gate does.
pub trait Check: Send + Sync {
    /// Judges one event and answers when the verdict is recorded.
    ///
    /// # Errors
    /// As the gRPC call `Check`: the status says what the caller can do.
    fn check(
        &self,
        event: v1::Event,
        caller: Caller,
        transport: Transport,
    ) -> Answer<'_, Result<v1::CheckResponse, tonic::Status>>;
}

/// What was known at an earlier version; the registry keeps it.
pub trait History: Send + Sync {
    /// The entries that concern this event's subjects, and every confirmation, as they were known
    /// at a version of the lists, indexed with the name table of this book. Takes time: it reads
    /// the change log.
    ///
    /// # Errors
    /// When the version belongs to another log, lies ahead, or the log cannot be read.
    fn lists_as_of(
        &self,
        version: ListVersion,
        event: &Event,
        book: &Book,
    ) -> Result<Lists, HistoryError>;

    /// A book that was in force once.
    ///
    /// # Errors
    /// When it is not in the change log, or cannot be loaded any more.
    fn book(&self, version: BookVersion) -> Result<Arc<Book>, HistoryError>;
}

/// Why an earlier state cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It is not in this change log.
    #[error("{0} is not in this change log")]
    Unknown(String),
    /// The log could not be read.
    #[error("read the change log")]
    Log(#[source] Box<dyn std::error::Error + Send + Sync>),
}
