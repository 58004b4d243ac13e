//! A recorded verdict decided again from its record, and compared (spec 9).

use std::sync::Arc;

use creditgate_measures::book::{Book, BookVersion};
use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::lists::Lists;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{Cause, Flag, Verdict, VerdictId};
use creditgate_measures::{Question, decide};
use creditgate_proto::decode::event_from_record;
use creditgate_proto::encode::{digest_to_text, time_from_proto, verdict_to_proto};
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::records::{case_view_from_proto, explained_to_proto, kind};
use creditgate_proto::{list_version_from_text, v1, verdict_id_from_text};
use creditgate_runtime::journal::Record;
use creditgate_runtime::ports::{History, HistoryError};
use prost::{DecodeError, Message};

/// Why a verdict cannot be decided again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record lacks something, or it cannot be read.
    #[error("the record's {0} is missing or not readable")]
    Record(&'static str),
    /// The lists or the book of then.
    #[error("what was known then cannot be told")]
    History(#[from] HistoryError),
}

/// What a record of the journal of verdicts says; none: it is of another kind.
///
/// # Errors
/// When it is not what its kind says.
pub fn verdict_record(record: &Record) -> Result<Option<VerdictRecord>, DecodeError> {
    match record.kind {
        kind::VERDICT => VerdictRecord::decode(record.payload.clone()).map(Some),
        _ => Ok(None),
    }
}

/// What a record holds of a decision.
pub(crate) struct Recalled {
    pub event: Event,
    pub at: Time,
    pub cause: Cause,
    pub supersedes: Option<VerdictId>,
    pub lists_behind: bool,
    pub case: CaseView,
}

impl Recalled {
    /// Reads a record whose verdict this is.
    pub(crate) fn of(record: &VerdictRecord, stored: &v1::Verdict) -> Result<Self, Error> {
        let event = event_from_record(record).map_err(|_| Error::Record("event"))?;
        let at = stored
            .evaluated_at
            .as_ref()
            .and_then(time_from_proto)
            .ok_or(Error::Record("time"))?;
        let cause = Cause::parse(&stored.cause).ok_or(Error::Record("cause"))?;
        let supersedes = supersedes(stored)?;
        let case = record
            .case_view
            .as_ref()
            .map(case_view_from_proto)
            .unwrap_or_default();
        // Whether the lists asked for were there, only the record can tell.
        let lists_behind = stored
            .flags
            .iter()
            .any(|flag| flag == Flag::ListsBehind.code());
        Ok(Self {
            event,
            at,
            cause,
            supersedes,
            lists_behind,
            case,
        })
    }

    /// Decides again.
    pub(crate) fn decide(&self, lists: &Lists, book: &Book) -> Verdict {
        let question = Question {
            event: &self.event,
            cause: &self.cause,
            supersedes: self.supersedes,
            lists_behind: self.lists_behind,
        };
        decide(question, self.at, &self.case, lists, book)
    }
}

/// Decides again with what was known then. Blocks: the history reads its log.
///
/// # Errors
/// When the record, or what was known then, cannot be read.
pub fn replay(
    record: &VerdictRecord,
    history: &Arc<dyn History>,
) -> Result<v1::ReplayResponse, Error> {
    let stored = record.verdict.as_ref().ok_or(Error::Record("verdict"))?;
    let recalled = Recalled::of(record, stored)?;
    let version =
        list_version_from_text(&stored.list_version).map_err(|_| Error::Record("list version"))?;
    let book_version =
        BookVersion::parse(&stored.book_version).ok_or(Error::Record("book version"))?;
    let book = history.book(book_version)?;
    let lists = history.lists_as_of(version, &recalled.event, &book)?;
    let verdict = recalled.decide(&lists, &book);
    let explanation: Vec<_> = verdict.explanation.iter().map(explained_to_proto).collect();
    let digest_replayed = digest_to_text(&verdict.digest);
    Ok(v1::ReplayResponse {
        same: digest_replayed == stored.verdict_digest,
        digest_stored: stored.verdict_digest.clone(),
        digest_replayed,
        explanation_same: explanation == record.explanation,
        verdict: Some(verdict_to_proto(&verdict)),
        erased: false,
    })
}

fn supersedes(stored: &v1::Verdict) -> Result<Option<VerdictId>, Error> {
    stored
        .supersedes
        .as_deref()
        .map(|text| verdict_id_from_text(text).ok_or(Error::Record("superseded verdict")))
        .transpose()
}
