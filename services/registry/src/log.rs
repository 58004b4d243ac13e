//! The change log: one journal whose record numbers are the sequence numbers of the lists.
//!
//! INVARIANT (one number): every record of this journal, book records included, is one step of the
//! list version; `ListVersion::seq` is the record's number and `log_id` the journal's.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use creditgate_measures::book::{Book, BookVersion, Deployment, Signing, SourceFile};
use creditgate_measures::entry::StoredEntry;
use creditgate_measures::event::ListCode;
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_measures::name::SimplifyTable;
use creditgate_measures::time::Time;
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::journal::v1::{
    BookFile, BookRecord, ClockStruck, DeskRecord, EntryPut, ListChange, ListConfirmed,
    list_change::Change,
};
use creditgate_proto::records::kind;
use creditgate_runtime::journal::{
    Appended, Head, Journal, NewRecord, OpenError, Options, Position, Record,
};
use creditgate_runtime::ports::HistoryError;
use creditgate_runtime::sealed::Sealer;
use prost::Message;
use std::sync::{Arc, Mutex, PoisonError};

use crate::book::Signature;
use crate::desk::{Desk, Stamp};
use crate::error::Error;
use crate::life::{ABSENT_FROM_SOURCE, action};

/// Marks are this many records apart, so that a reader finds a number by reading at most as many.
const MARK_EVERY: u64 = 4_096;

/// A handle on the change log; cheap to clone.
#[derive(Clone)]
pub struct ChangeLog {
    journal: Journal,
    log_id: uuid::Uuid,
    /// Where some of the records begin, by number. Held for a look-up only, never over I/O.
    marks: Arc<Mutex<BTreeMap<u64, Position>>>,
}

impl std::fmt::Debug for ChangeLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeLog")
            .field("log_id", &self.log_id)
            .finish_non_exhaustive()
    }
}

/// A record of the log, understood.
#[derive(Debug)]
pub struct Entered {
    /// Its number.
    pub seq: u64,
    /// Where it begins.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: Time,
    /// What it says.
    pub what: What,
}

/// What a record says.
#[derive(Debug)]
pub enum What {
    /// An entry as it stands after a change.
    Put(EntryPut),
    /// A source confirmed a list.
    Confirmed(Confirmation),
    /// Something came by time alone.
    Clock(ClockStruck),
    /// A step of what is under way around the lists.
    Desk(Box<DeskRecord>),
    /// A book came into force.
    Book(Box<BookRecord>),
    /// A kind this version does not know: nothing for the lists.
    Other,
}

impl Entered {
    /// Its number and its time.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        Stamp {
            seq: self.seq,
            at: self.recorded_at,
        }
    }
}

impl ChangeLog {
    /// Opens the log in its directory.
    ///
    /// # Errors
    /// When the journal does not open.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let (journal, opened) = Journal::open(dir, options)?;
        if let Some(torn) = opened.torn {
            tracing::warn!(
                bytes = torn.bytes,
                "the change log ended in a write that was never acknowledged; it was removed"
            );
        }
        Ok(Self::over(journal, opened.log_id))
    }

    /// Opens the log for reading, also beside the process that writes it, with what opens sealed records.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn open_read_only(dir: &Path, sealer: Option<Sealer>) -> Result<Self, OpenError> {
        let (journal, opened) = Journal::open_read_only_with(dir, sealer)?;
        Ok(Self::over(journal, opened.log_id))
    }

    fn over(journal: Journal, log_id: [u8; 16]) -> Self {
        let marks = BTreeMap::from([(1, Position(0))]);
        Self {
            journal,
            log_id: uuid::Uuid::from_bytes(log_id),
            marks: Arc::new(Mutex::new(marks)),
        }
    }

    /// The journal below.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The name of the log.
    #[must_use]
    pub const fn log_id(&self) -> uuid::Uuid {
        self.log_id
    }

    /// The durable end.
    #[must_use]
    pub fn head(&self) -> Head {
        self.journal.head()
    }

    /// Whether a version of the lists is one of this log.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn has_version(&self, version: ListVersion) -> Result<(), HistoryError> {
        match version.log_id == self.log_id && version.seq <= self.head().sequence {
            true => Ok(()),
            false => Err(HistoryError::Unknown(format!("list version {version}"))),
        }
    }

    /// The version of the lists at this number.
    #[must_use]
    pub const fn version(&self, seq: u64) -> ListVersion {
        ListVersion {
            log_id: self.log_id,
            seq,
        }
    }

    /// Remembers where a record begins.
    pub fn mark(&self, seq: u64, position: Position) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = marks.range(..=seq).next_back().map_or(0, |(seq, _)| *seq);
        if seq >= before + MARK_EVERY {
            marks.insert(seq, position);
        }
    }

    /// Remembers where records now stand.
    pub fn appended(&self, records: &[Appended]) {
        if let Some(first) = records.first() {
            self.mark(first.sequence, first.position);
        }
    }

    /// The records from this number on, up to the durable head. Blocks on the disk, and reads at
    /// most a few thousand records before the first one wanted.
    pub fn read_from_seq(
        &self,
        seq: u64,
    ) -> impl Iterator<Item = Result<Entered, Error>> + use<'_> {
        let seq = seq.max(1);
        self.read_from(self.near(seq))
            .skip_while(move |entered| entered.as_ref().is_ok_and(|e| e.seq < seq))
    }

    /// A place at or before the record of this number, thousands of records before it perhaps.
    pub fn near(&self, seq: u64) -> Position {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = marks.range(..=seq).next_back();
        mark.map_or(Position(0), |(_, position)| *position)
    }

    /// The records from a position on, up to the durable head.
    pub fn read_from(
        &self,
        position: Position,
    ) -> impl Iterator<Item = Result<Entered, Error>> + use<'_> {
        self.journal.read_from(position).map(|record| {
            let entered = understand(record?)?;
            if entered.seq.is_multiple_of(MARK_EVERY) {
                self.mark(entered.seq, entered.position);
            }
            Ok(entered)
        })
    }

    /// All records up to the durable head, for whoever keeps the reader.
    pub fn read_on(&self) -> impl Iterator<Item = Result<Entered, Error>> + Send + use<> {
        let records = self.journal.read_from(Position(0));
        records.map(|record| understand(record?))
    }

    /// The record at a position.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn at(&self, position: Position) -> Result<Entered, Error> {
        understand(self.journal.read_at(position)?)
    }

    /// The book record at a position.
    ///
    /// # Errors
    /// When it cannot be read or is none.
    pub fn book_at(&self, position: Position) -> Result<BookRecord, Error> {
        self.book_entered_at(position).map(|(book, ..)| book)
    }

    /// The book record at a position, with its number and its time.
    ///
    /// # Errors
    /// When it cannot be read or is none.
    pub fn book_entered_at(&self, position: Position) -> Result<(BookRecord, u64, Time), Error> {
        let entered = understand(self.journal.read_at(position)?)?;
        match entered.what {
            What::Book(book) => Ok((*book, entered.seq, entered.recorded_at)),
            _ => Err(Error::Record {
                sequence: entered.seq,
                reason: "a book was expected here",
            }),
        }
    }
}

/// What a record of the journal says.
fn understand(record: Record) -> Result<Entered, Error> {
    Ok(Entered {
        seq: record.sequence,
        position: record.position,
        recorded_at: Time::from_micros(record.time_micros),
        what: What::of(record.sequence, record.kind, record.payload)?,
    })
}

impl What {
    /// What a record of a kind says by its payload; the number is for the error.
    ///
    /// # Errors
    /// When it is not understood.
    pub fn of(sequence: u64, kind: u16, payload: Bytes) -> Result<Self, Error> {
        let garbled = |reason| Error::Record { sequence, reason };
        match kind {
            kind::LIST_CHANGE => {
                let change = ListChange::decode(payload)
                    .map_err(|_| garbled("the payload is no list change"))?;
                match change.change {
                    Some(Change::EntryPut(put)) => Ok(Self::Put(put)),
                    Some(Change::Confirmed(confirmed)) => Confirmation::read(confirmed)
                        .map(Self::Confirmed)
                        .ok_or_else(|| garbled("a confirmation without its time")),
                    Some(Change::Clock(struck)) => Ok(Self::Clock(struck)),
                    None => Err(garbled("a list change of an unknown sort")),
                }
            }
            kind::DESK => DeskRecord::decode(payload)
                .map(|record| Self::Desk(Box::new(record)))
                .map_err(|_| garbled("the payload is no record of the desk")),
            kind::BOOK => BookRecord::decode(payload)
                .map(|book| Self::Book(Box::new(book)))
                .map_err(|_| garbled("the payload is no book")),
            // A change of the lists that is passed over would make a listed party look clean, so only
            // records of other kinds may be unknown.
            _ => Ok(Self::Other),
        }
    }
}

/// That a source confirmed a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The list.
    pub list: ListCode,
    /// As of when.
    pub at: Time,
    /// Who confirmed it; empty: somebody for all of its sources.
    pub source_unit: String,
    /// As of when the whole list is confirmed by it, which is as fresh as the stalest of its sources;
    /// none: one of those declared for it has never confirmed it.
    pub whole: Option<Time>,
    /// That was computed from all of its sources, so it may lie before what is known. Records of older logs tell of
    /// their one source, and never set the list back.
    pub of_all: bool,
}

impl Confirmation {
    fn read(record: ListConfirmed) -> Option<Self> {
        let at = record.at.as_ref().and_then(time_from_proto)?;
        let whole = record.whole.as_ref().and_then(time_from_proto);
        Some(Self {
            list: ListCode::new(record.list),
            at,
            source_unit: record.source_unit,
            whole: whole.or((!record.partial).then_some(at)),
            of_all: whole.is_some(),
        })
    }

    /// Makes the whole list as fresh as it is by this, recorded at that time.
    pub fn put_into(&self, lists: &mut Lists, recorded_at: Time) {
        if let Some(whole) = self.whole {
            confirm(lists, self.list.clone(), whole, self.of_all, recorded_at);
        }
    }
}

/// Makes the whole list as fresh as a record of that time says, which was computed from all of its sources or not.
pub fn confirm(lists: &mut Lists, list: ListCode, at: Time, of_all: bool, recorded_at: Time) {
    if of_all {
        lists.confirm_whole(list, at);
    } else {
        lists.confirm_recorded(list, at, recorded_at);
    }
}

/// A record that puts an entry.
#[must_use]
pub fn entry_record(seq: u64, now: Time, put: EntryPut) -> NewRecord {
    change_record(seq, now, Change::EntryPut(put))
}

/// A record that confirms a list.
#[must_use]
pub fn confirmed_record(seq: u64, now: Time, confirmed: &Confirmation, caller: &str) -> NewRecord {
    let record = ListConfirmed {
        list: confirmed.list.as_str().to_owned(),
        at: Some(time_to_proto(confirmed.at)),
        source_unit: confirmed.source_unit.clone(),
        caller: caller.to_owned(),
        whole: confirmed.whole.map(time_to_proto),
        partial: confirmed.whole.is_none(),
    };
    change_record(seq, now, Change::Confirmed(record))
}

/// A record of what came by time alone.
#[must_use]
pub fn clock_record(seq: u64, now: Time, struck: ClockStruck) -> NewRecord {
    change_record(seq, now, Change::Clock(struck))
}

/// A record of a step of what is under way around the lists.
#[must_use]
pub fn desk_record(now: Time, record: &DeskRecord) -> NewRecord {
    NewRecord::new(
        kind::DESK,
        now.micros(),
        Bytes::from(record.encode_to_vec()),
    )
}

fn change_record(seq: u64, now: Time, change: Change) -> NewRecord {
    let payload = ListChange {
        seq,
        change: Some(change),
    };
    NewRecord::new(
        kind::LIST_CHANGE,
        now.micros(),
        Bytes::from(payload.encode_to_vec()),
    )
}

/// A book that comes into force, with everything its record tells.
#[derive(Debug)]
pub struct NewBook<'a> {
    /// The book.
    pub book: &'a Book,
    /// Its files.
    pub files: &'a [SourceFile],
    /// What the deployment says about it.
    pub deployment: &'a Deployment,
    /// The signature of its files, if any.
    pub signature: Option<&'a Signature>,
    /// How it comes into force.
    pub origin: BookOrigin,
    /// Its files were published, now or earlier.
    pub stays: bool,
    /// Who puts it in force.
    pub published_by: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The simulation that was looked at before.
    pub simulation_id: &'a str,
}

/// How a book came into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookOrigin {
    /// With the process.
    Started,
    /// It was published.
    Published,
    /// A row of the book before it was confirmed.
    Confirmed,
}

impl BookOrigin {
    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Published => "published",
            Self::Confirmed => "confirmed",
        }
    }
}

/// A record that keeps a book whole.
#[must_use]
pub fn book_record(now: Time, new: &NewBook<'_>) -> NewRecord {
    let kept = |files: &[SourceFile]| {
        let file = |file: &SourceFile| BookFile {
            path: file.path.clone(),
            text: file.text.clone(),
        };
        files.iter().map(file).collect()
    };
    let signature = new.signature;
    let record = BookRecord {
        files: kept(new.files),
        confirmations: kept(&new.deployment.confirmations),
        not_connected: new
            .deployment
            .not_connected
            .iter()
            .map(|(list, why)| (list.clone(), why.clone()))
            .collect(),
        book_version: new.book.version().0.to_vec(),
        content_hash: Book::content_hash(new.files).to_vec(),
        signature: signature.map_or_else(Vec::new, |signature| signature.bytes.clone()),
        key_id: signature.map_or_else(String::new, |signature| signature.key_id.to_string()),
        signing: match new.deployment.signing {
            Signing::Untold => "",
            Signing::Unsigned => UNSIGNED,
            Signing::Signed { .. } => SIGNED,
        }
        .to_owned(),
        origin: new.origin.code().to_owned(),
        published_by: new.published_by.to_owned(),
        reason: new.reason.to_owned(),
        simulation_id: new.simulation_id.to_owned(),
        stays: new.stays,
        name: new.book.name().to_owned(),
        edition: new.book.edition().code.to_string(),
    };
    NewRecord::new(
        kind::BOOK,
        now.micros(),
        Bytes::from(record.encode_to_vec()),
    )
}

/// `signing` of a book record.
const UNSIGNED: &str = "unsigned";
/// The same.
const SIGNED: &str = "signed";

/// Who vouched for a book when it was recorded.
#[must_use]
pub fn signing_of(record: &BookRecord) -> Signing {
    match record.signing.as_str() {
        SIGNED => Signing::Signed {
            key_id: record.key_id.as_str().into(),
        },
        UNSIGNED => Signing::Unsigned,
        _ => Signing::Untold,
    }
}

/// The version of a book, as its record names it.
#[must_use]
pub fn version_of(record: &BookRecord) -> Option<BookVersion> {
    let bytes = record.book_version.as_slice().try_into().ok()?;
    Some(BookVersion(bytes))
}

/// The files and what the deployment said, as a book record keeps them.
#[must_use]
pub fn book_sources(record: BookRecord) -> (Vec<SourceFile>, Deployment) {
    let read = |files: Vec<BookFile>| {
        files
            .into_iter()
            .map(|file| SourceFile::new(file.path, file.text))
            .collect()
    };
    let signing = signing_of(&record);
    let deployment = Deployment {
        confirmations: read(record.confirmations),
        not_connected: record.not_connected.into_iter().collect(),
        signing,
    };
    (read(record.files), deployment)
}

/// The book of a record, which must be of this version.
///
/// # Errors
/// When this program refuses it, or reads another one.
pub fn load_book(record: BookRecord, version: BookVersion) -> Result<Book, HistoryError> {
    let (files, deployment) = book_sources(record);
    let book = Book::load_recorded(&files, &deployment)
        .map_err(|error| HistoryError::Log(Box::new(error)))?;
    if book.version() != version {
        return Err(HistoryError::Unknown(format!(
            "book {version}, as this program reads it,"
        )));
    }
    Ok(book)
}

/// What is kept beside the lists themselves; like them it can be derived from the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// Entries that are REVOKED only since their source did not show them.
    pub absent: std::collections::BTreeSet<String>,
    /// Where the books stand that were in force, in order.
    pub books: Vec<(BookVersion, u64)>,
    /// What is under way around the lists.
    pub desk: Desk,
}

impl Beside {
    /// Takes note of an entry as a record put it.
    pub fn note(&mut self, stored: &StoredEntry<'_>, put: &EntryPut) {
        let (put_action, reason) = (put.action.as_str(), put.reason.as_str());
        self.desk.decided_here.note(stored, put);
        if put_action == action::CREATED {
            self.desk.created(stored.list);
        }
        if reason == ABSENT_FROM_SOURCE {
            self.absent.insert(stored.entry_id.to_owned());
        } else if !self.absent.is_empty()
            && !matches!(put_action, action::OBJECTION | action::IDENTITY)
        {
            self.absent.remove(stored.entry_id);
        }
    }
}

/// Applies a record to the lists. The caller knows that it is the next one.
///
/// # Errors
/// When it holds no entry where it should.
pub fn apply(
    entered: &Entered,
    lists: &mut Lists,
    beside: &mut Beside,
    simplify: &SimplifyTable,
) -> Result<(), Error> {
    beside.desk.recorded(entered.stamp());
    match &entered.what {
        What::Put(put) => {
            let stored = StoredEntry::read(&put.stored).map_err(|_| Error::Record {
                sequence: entered.seq,
                reason: "the stored bytes are no entry",
            })?;
            beside.note(&stored, put);
            lists.put_stored(&put.stored, simplify);
        }
        What::Confirmed(confirmed) => {
            let stamp = entered.stamp();
            beside.desk.sources.confirmed(confirmed, stamp);
            confirmed.put_into(lists, stamp.at);
        }
        What::Clock(struck) => beside.desk.struck(struck, entered.stamp()),
        What::Desk(record) => beside.desk.note(record, entered.stamp()),
        What::Book(book) => {
            if let Some(version) = version_of(book) {
                beside.books.push((version, entered.position.0));
            }
        }
        What::Other => {}
    }
    lists.advance(entered.seq);
    Ok(())
}
