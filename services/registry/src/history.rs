//! What was known earlier: read from the change log, which forgets nothing.
//!
//! Questions about single entries and subjects find their records by an index (`crate::index`,
//! asked in `crate::past_entries`); sweeps, and answers that the index cannot give, read the log from
//! its beginning or from a mark: about a second for a million records. All of it is meant for replays
//! and for people, on threads that may block.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use creditgate_measures::book::{Book, BookVersion, Deployment, SourceFile};
use creditgate_measures::entry::{Entry, StoredEntry};
use creditgate_measures::event::{Event, SubjectIdentifier};
use creditgate_measures::identifier::Key;
use creditgate_measures::lists::{ListVersion, Lists, entry_id_key, keys};
use creditgate_measures::name::NormalName;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::{BookRecord, ClockStruck, EntryPut};
use creditgate_proto::v1;
use creditgate_runtime::journal::Position;
use creditgate_runtime::live::Live;
use creditgate_runtime::ports::{Candidate, History, HistoryError, NoCandidate, Sweep, Wanted};
use rustc_hash::FxHashSet;

use crate::book::load_after;
use crate::error::Error;
use crate::index::Index;
use crate::life::action;
use crate::log::{self, ChangeLog, Entered, What};

/// Books kept loaded; replays ask for few.
const BOOKS_MAX: usize = 8;

/// Records of the log read before it is asked again whether anybody wants what is made of them.
const LOOK_EVERY: usize = 4_096;

/// The past of the lists and the books; cheap to clone.
#[derive(Clone, Debug)]
pub struct Past {
    log: ChangeLog,
    live: Live,
    index: Arc<Index>,
    /// Where the books of the log stand.
    recorded: Arc<Mutex<BTreeMap<BookVersion, Position>>>,
    /// The same in the order in which they came into force; one may come back.
    in_order: Arc<Mutex<Vec<(BookVersion, Position)>>>,
    loaded: Arc<Mutex<BTreeMap<BookVersion, Arc<Book>>>>,
}

impl Past {
    pub(crate) fn new(
        log: ChangeLog,
        live: Live,
        index: Arc<Index>,
        books: Vec<(BookVersion, u64)>,
    ) -> Self {
        let in_order: Vec<_> = books
            .into_iter()
            .map(|(version, at)| (version, Position(at)))
            .collect();
        let recorded = in_order.iter().copied().collect();
        Self {
            log,
            live,
            index,
            recorded: Arc::new(Mutex::new(recorded)),
            in_order: Arc::new(Mutex::new(in_order)),
            loaded: Arc::default(),
        }
    }

    /// The lists and the book in use.
    pub(crate) const fn live(&self) -> &Live {
        &self.live
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> &ChangeLog {
        &self.log
    }

    /// Remembers where one more book stands.
    pub(crate) fn note_book(&self, version: BookVersion, at: Position) {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.insert(version, at);
        drop(recorded);
        let mut in_order = self.in_order.lock().unwrap_or_else(PoisonError::into_inner);
        in_order.push((version, at));
    }

    /// Where the books of the log stand, the last one first.
    pub(crate) fn books(&self) -> Vec<Position> {
        let in_order = self.in_order.lock().unwrap_or_else(PoisonError::into_inner);
        in_order.iter().rev().map(|(_, at)| *at).collect()
    }

    /// The version of the book that was in force when the record at a position was made.
    pub(crate) fn book_before(&self, position: Position) -> Option<BookVersion> {
        let in_order = self.in_order.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = in_order.iter().rev().filter(|(_, at)| *at <= position);
        before.next().map(|(version, _)| *version)
    }

    /// The index of its records.
    pub(crate) const fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Reads the log once up to a version; adds the further identifiers of the subjects that a key in
    /// `wanted` leads to, and tells whether there were any.
    fn grow(
        &self,
        up_to: u64,
        wanted: &mut FxHashSet<Key>,
        looking: &mut Looking,
    ) -> Result<bool, HistoryError> {
        let mut grown = false;
        for entered in self.log.read_from(Position(0)) {
            looking.go_on()?;
            let entered = entered.map_err(|error| HistoryError::Log(Box::new(error)))?;
            if entered.seq > up_to {
                break;
            }
            let What::Put(put) = entered.what else {
                continue;
            };
            let Ok(stored) = StoredEntry::read(&put.stored) else {
                continue;
            };
            // A subject of one identifier leads no further.
            let of_subject = || stored.identifier.iter().chain(&stored.aliases);
            if of_subject().count() > 1 && of_subject().any(|i| wanted.contains(&i.key())) {
                for identifier in of_subject() {
                    grown |= wanted.insert(identifier.key());
                }
            }
        }
        Ok(grown)
    }

    /// The record of a book that was in force once.
    fn book_record(&self, version: BookVersion) -> Result<BookRecord, HistoryError> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recorded
            .get(&version)
            .copied()
            .ok_or_else(|| HistoryError::Unknown(format!("book {version}")))?;
        drop(recorded);
        self.log
            .book_at(at)
            .map_err(|error| HistoryError::Log(Box::new(error)))
    }
}

impl History for Past {
    /// INVARIANT (as of): for this event, `decide` gives with these lists what it gave with all of
    /// them. It looks entries up by the subjects' identifiers, by further identifiers of entries
    /// found so, and by names. All entries under those keys are here; others may be, under keys
    /// that nobody asks for.
    fn lists_as_of(
        &self,
        version: ListVersion,
        event: &Event,
        book: &Book,
    ) -> Result<Lists, HistoryError> {
        self.log.has_version(version)?;
        let current = self.live.load();
        if current.lists.version() == version && current.lists.normalised_by(book.simplify()) {
            return Ok(current.lists.clone());
        }
        drop(current);
        self.lists_of(version.seq, book, keys_of(event, book))
            .map_err(|error| HistoryError::Log(Box::new(error)))
    }

    fn book(&self, version: BookVersion) -> Result<Arc<Book>, HistoryError> {
        let current = self.live.load();
        if current.book.version() == version {
            return Ok(Arc::clone(&current.book));
        }
        drop(current);
        let loaded = || self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(book) = loaded().get(&version) {
            return Ok(Arc::clone(book));
        }
        let book = Arc::new(log::load_book(self.book_record(version)?, version)?);
        let mut kept = loaded();
        if kept.len() >= BOOKS_MAX {
            kept.pop_first();
        }
        kept.insert(version, Arc::clone(&book));
        Ok(book)
    }

    fn deployment(&self, version: BookVersion) -> Result<Deployment, HistoryError> {
        let record = self.book_record(version)?;
        Ok(log::book_sources(record).1)
    }

    fn candidate(
        &self,
        after: BookVersion,
        files: &[SourceFile],
    ) -> Result<Candidate, NoCandidate> {
        let (book, confirmations_ended) = load_after(files, self.deployment(after)?)?;
        Ok(Candidate {
            book,
            confirmations_ended,
        })
    }

    fn sweep(&self, wanted: Wanted) -> Result<Box<dyn Sweep>, HistoryError> {
        let head = self.log.head().sequence;
        let Wanted {
            keys,
            book,
            up_to,
            cancelled,
        } = wanted;
        if up_to > head {
            let version = self.log.version(up_to);
            return Err(HistoryError::Unknown(format!("list version {version}")));
        }
        let mut keys: FxHashSet<Key> = keys.into_iter().collect();
        let mut looking = Looking {
            cancelled,
            passed: 0,
        };
        while self.grow(up_to, &mut keys, &mut looking)? {}
        Ok(Box::new(Walk {
            lists: Lists::empty(self.log.log_id(), book.simplify()),
            entered: Box::new(self.log.read_on()),
            next: None,
            wanted: keys,
            held: FxHashSet::default(),
            book,
            up_to,
            looking,
        }))
    }
}

/// See [`Past::sweep`]. INVARIANT (as of): at each version these are the lists that
/// [`Past::lists_as_of`] gives for any event whose keys are among those wanted; entries of the other
/// events stand under keys that nobody asks for.
struct Walk {
    lists: Lists,
    entered: Box<dyn Iterator<Item = Result<Entered, Error>> + Send>,
    /// Read, and not yet due.
    next: Option<Entered>,
    wanted: FxHashSet<Key>,
    /// Ids of the entries in the lists, as keys: such an entry is kept up to date, whomever it
    /// comes to concern.
    held: FxHashSet<Key>,
    book: Arc<Book>,
    up_to: u64,
    looking: Looking,
}

/// Looks now and then whether anybody wants the result.
struct Looking {
    cancelled: Arc<AtomicBool>,
    passed: usize,
}

impl Looking {
    fn go_on(&mut self) -> Result<(), HistoryError> {
        self.passed += 1;
        match self.passed.is_multiple_of(LOOK_EVERY) && self.cancelled.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(HistoryError::Cancelled),
        }
    }
}

impl Walk {
    fn apply(&mut self, what: What, recorded_at: Time) {
        match what {
            What::Put(put) => {
                let Ok(stored) = StoredEntry::read(&put.stored) else {
                    return;
                };
                let id = entry_id_key(stored.entry_id);
                let simplify = self.book.simplify();
                let concerns = self.held.contains(&id)
                    || keys(&stored, simplify)
                        .iter()
                        .any(|key| self.wanted.contains(key));
                if concerns {
                    self.held.insert(id);
                    self.lists.put_stored(&put.stored, simplify);
                }
            }
            What::Confirmed(confirmed) => confirmed.put_into(&mut self.lists, recorded_at),
            What::Clock(_) | What::Desk(_) | What::Book(_) | What::Other => {}
        }
    }
}

impl Sweep for Walk {
    fn log_id(&self) -> uuid::Uuid {
        self.lists.version().log_id
    }

    fn advance_to(&mut self, seq: u64) -> Result<&Lists, HistoryError> {
        if seq < self.lists.version().seq || seq > self.up_to {
            let version = format!("list version {}:{seq}, on this walk,", self.log_id());
            return Err(HistoryError::Unknown(version));
        }
        while self.lists.version().seq < seq {
            self.looking.go_on()?;
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => self
                    .entered
                    .next()
                    .transpose()
                    .map_err(|error| HistoryError::Log(Box::new(error)))?,
            };
            match next {
                Some(entered) if entered.seq <= seq => {
                    self.lists.advance(entered.seq);
                    self.apply(entered.what, entered.recorded_at);
                }
                // Numbers are dense; a log that skips one is told as it is.
                later => {
                    self.next = later;
                    self.lists.advance(seq);
                }
            }
        }
        Ok(&self.lists)
    }
}

/// The lists at a version as far as these keys lead, read from the log itself.
pub(crate) fn lists_read(
    log: &ChangeLog,
    seq: u64,
    book: &Book,
    mut wanted: FxHashSet<Key>,
) -> Result<Lists, Error> {
    loop {
        let (lists, grown) = gather(log, seq, book, &mut wanted)?;
        if !grown {
            return Ok(lists);
        }
    }
}

/// Reads the log once; keeps the entries that a key in `wanted` leads to, as they were known.
/// Tells whether `wanted` has grown by further identifiers of a subject.
/// Rounds may each find an identifier by which an entry read before is found; they end, since
/// there are only so many identifiers. Most questions need one or two.
fn gather(
    log: &ChangeLog,
    seq: u64,
    book: &Book,
    wanted: &mut FxHashSet<Key>,
) -> Result<(Lists, bool), Error> {
    let simplify = book.simplify();
    let mut lists = Lists::empty(log.log_id(), simplify);
    let mut grown = false;
    for entered in log.read_from(Position(0)) {
        let entered = entered?;
        if entered.seq > seq {
            break;
        }
        match entered.what {
            What::Put(put) => {
                let Ok(stored) = StoredEntry::read(&put.stored) else {
                    continue;
                };
                let of_subject = || stored.identifier.iter().chain(&stored.aliases);
                if of_subject().any(|i| wanted.contains(&i.key())) {
                    for identifier in of_subject() {
                        grown |= wanted.insert(identifier.key());
                    }
                }
                // An entry that once was somebody else's is kept up to date as well, or its
                // old form would stay.
                let concerns = keys(&stored, simplify)
                    .iter()
                    .any(|key| wanted.contains(key))
                    || lists.entry(stored.entry_id).is_some();
                if concerns {
                    lists.put_stored(&put.stored, simplify);
                }
            }
            What::Confirmed(confirmed) => {
                confirmed.put_into(&mut lists, entered.recorded_at);
            }
            What::Clock(_) | What::Desk(_) | What::Book(_) | What::Other => {}
        }
    }
    lists.advance(seq);
    Ok((lists, grown))
}

/// The keys under which a decision looks for the subjects of an event.
pub(crate) fn keys_of(event: &Event, book: &Book) -> FxHashSet<Key> {
    let mut wanted = FxHashSet::default();
    for subject in &event.subjects {
        if let SubjectIdentifier::Valid(identifier) = &subject.identifier {
            wanted.insert(identifier.key());
        }
        let name = subject.name.as_ref();
        if let Some(name) = name.and_then(|n| NormalName::new(n.reveal(), book.simplify())) {
            wanted.insert(Key::name(&name));
            wanted.insert(Key::name_only(&name));
        }
    }
    wanted
}

/// A recorded change, as a history shows it.
pub(crate) fn change_of(
    entered: &Entered,
    put: &EntryPut,
    stored: &StoredEntry<'_>,
) -> v1::EntryChange {
    let last = stored.changes.last();
    // A correction may bring a new state with it; that one bears the time of this record.
    let of_state = last.filter(|last| {
        last.recorded_at == entered.recorded_at
            && !matches!(put.action.as_str(), action::OBJECTION | action::IDENTITY)
    });
    v1::EntryChange {
        seq: entered.seq,
        action: put.action.clone(),
        to: of_state.map(|last| last.to.code().to_owned()),
        effective_at: of_state.map(|last| time_to_proto(last.effective_at)),
        recorded_at: Some(time_to_proto(entered.recorded_at)),
        document_no: put.document_no.clone(),
        reason: put.reason.clone(),
        caller: put.caller.clone(),
        fields: Vec::new(),
    }
}

/// What came to an entry by time alone, as a history shows it: the reason tells what.
pub(crate) fn come_of(entered: &Entered, struck: &ClockStruck) -> v1::EntryChange {
    v1::EntryChange {
        seq: entered.seq,
        action: crate::life::action::CLOCK.to_owned(),
        effective_at: struck.due_at,
        recorded_at: Some(time_to_proto(entered.recorded_at)),
        reason: struck.kind.clone(),
        ..v1::EntryChange::default()
    }
}

/// An entry with its recorded changes, as a message.
pub(crate) fn record_of(entry: &Entry, history: Vec<v1::EntryChange>) -> v1::EntryRecord {
    v1::EntryRecord {
        entry: Some(creditgate_proto::entry_to_proto(entry)),
        recorded_at: Some(time_to_proto(entry.recorded_at)),
        history,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_walk_ends_soon_after_nobody_wants_it() {
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut looking = Looking {
            cancelled: Arc::clone(&cancelled),
            passed: 0,
        };
        assert!((0..3 * LOOK_EVERY).all(|_| looking.go_on().is_ok()));
        cancelled.store(true, Ordering::Relaxed);
        let passed = (0..).take_while(|_| looking.go_on().is_ok()).count();
        assert_eq!(passed, LOOK_EVERY - 1);
    }
}
