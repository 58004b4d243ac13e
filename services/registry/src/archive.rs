//! The past for whoever does not keep the lists: the change log of a data directory, beside its service or in a copy.
//!
//! Nothing is written, an index neither, so every question reads the log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use creditgate_measures::book::{Book, BookVersion};
use creditgate_measures::entry::StoredEntry;
use creditgate_measures::event::Event;
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_runtime::journal::{OpenError, Position, Record};
use creditgate_runtime::ports::{History, HistoryError};
use creditgate_runtime::sealed::Sealer;

use crate::error::Error;
use crate::history::{keys_of, lists_read};
use crate::log::{self, ChangeLog, What};

/// The change log of a data directory; cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    log: ChangeLog,
}

impl Archive {
    /// Opens the log in its directory, for reading, with what opens sealed records.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn open(dir: &Path, sealer: Option<Sealer>) -> Result<Self, OpenError> {
        let log = ChangeLog::open_read_only(dir, sealer)?;
        Ok(Self { log })
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> &ChangeLog {
        &self.log
    }

    /// The record of a book that was in force once; none: it is not in the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn book_record(&self, version: BookVersion) -> Result<Option<Record>, Error> {
        for entered in self.log.read_from(Position(0)) {
            let entered = entered?;
            if let What::Book(book) = &entered.what
                && log::version_of(book) == Some(version)
            {
                return Ok(Some(self.log.journal().read_at(entered.position)?));
            }
        }
        Ok(None)
    }

    /// The record that says what was known of each of these entries at a version, by entry; one that was not known then
    /// is left out.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn entry_records(
        &self,
        entry_ids: &BTreeSet<String>,
        seq: u64,
    ) -> Result<BTreeMap<String, Record>, Error> {
        let mut newest = BTreeMap::new();
        // Most verdicts rest on none.
        if !entry_ids.is_empty() {
            for entered in self.log.read_from(Position(0)) {
                let entered = entered?;
                if entered.seq > seq {
                    break;
                }
                if let What::Put(put) = &entered.what
                    && let Ok(entry_id) = StoredEntry::id_of(&put.stored)
                    && entry_ids.contains(entry_id)
                {
                    newest.insert(entry_id.to_owned(), entered.position);
                }
            }
        }
        newest
            .into_iter()
            .map(|(entry_id, at)| Ok((entry_id, self.log.journal().read_at(at)?)))
            .collect()
    }
}

impl History for Archive {
    fn lists_as_of(
        &self,
        version: ListVersion,
        event: &Event,
        book: &Book,
    ) -> Result<Lists, HistoryError> {
        self.log.has_version(version)?;
        lists_read(&self.log, version.seq, book, keys_of(event, book))
            .map_err(|error| HistoryError::Log(Box::new(error)))
    }

    fn book(&self, version: BookVersion) -> Result<Arc<Book>, HistoryError> {
        let unread = |error| HistoryError::Log(Box::new(error));
        let found = self.book_record(version).map_err(unread)?;
        let found = found.ok_or_else(|| HistoryError::Unknown(format!("book {version}")))?;
        let record = self.log.book_at(found.position).map_err(unread)?;
        log::load_book(record, version).map(Arc::new)
    }
}
