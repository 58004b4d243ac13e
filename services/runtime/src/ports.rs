//! What one role needs of another, as traits: roles know these and not each other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use creditgate_measures::book::{Book, BookErrors, BookVersion, Deployment, SourceFile};
use creditgate_measures::event::{Event, StageCode};
use creditgate_measures::identifier::{Identifier, Key};
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{Cause, VerdictId};
use creditgate_proto::journal::v1::{CasesRead, ListsTold, VerdictRecord};
use creditgate_proto::{AnswerDigest, v1};

use crate::callers::Caller;
use crate::journal::{AppendError, Journal, Position};
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

/// Takes reports of measures carried out; the cases do.
pub trait Reports: Send + Sync {
    /// Keeps a report; the same one again changes nothing.
    ///
    /// # Errors
    /// As the gRPC call `ReportFeedback`.
    fn report(
        &self,
        feedback: v1::Feedback,
        caller: Caller,
    ) -> Answer<'_, Result<v1::ReportFeedbackResponse, tonic::Status>>;
}

/// What cases tell a subject of itself; the cases do. One that follows none says so instead: a report without them would
/// look as if nothing stood against anybody.
pub trait SubjectCases: std::fmt::Debug + Send + Sync + 'static {
    /// The measures that stand against a subject, and a page of the verdicts in which it was a party.
    ///
    /// # Errors
    /// When the page is none, or the cases cannot be read here: the status says what the caller can do.
    fn of_subject(&self, asked: OfSubject) -> Answer<'_, Result<CasesOfSubject, tonic::Status>>;
}

/// Whose cases are asked for.
#[derive(Debug, Clone)]
pub struct OfSubject {
    /// Every identifier of the subject.
    pub identifiers: Vec<Identifier>,
    /// Most verdicts; 0: as many as the cases show by themselves.
    pub page_size: u32,
    /// Where the page before ended; empty: this is the first.
    pub page_token: String,
}

/// What cases tell a subject of itself. Who asked is told by the name of the caller, without a department.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CasesOfSubject {
    /// Measures that stand or are still to be lifted; with the first page.
    pub measures: Vec<v1::StandingMeasure>,
    /// There are more of them.
    pub more_measures: bool,
    /// Verdicts, the case that began last first.
    pub inquiries: Vec<v1::Inquiry>,
    /// Where the next page begins; empty: there are no more.
    pub next_page_token: String,
}

/// Judges events whose records somebody else makes durable, in a transaction of theirs; the gate
/// does. A decided event's slot is held until it is kept; dropped, it is free again.
pub trait Judge: Send + Sync + 'static {
    /// A verdict that is not durable yet, with its slot.
    type Held: Held;
    /// An event that must wait: for lists, for its case to be read, or for a slot that somebody holds.
    type Waiting: Send;

    /// Whether the verdict of this event depends on what is known of its case: then it must wait
    /// until the events before it are kept.
    fn asks_for_case(&self, event: &v1::Event) -> bool;

    /// As far as an event gets without waiting.
    ///
    /// # Errors
    /// When it never gets a verdict, or not now.
    fn judge_at_once(&self, asked: Asked) -> Result<AtOnce<Self::Held, Self::Waiting>, NotJudged>;

    /// Judges an event that must wait. INVARIANT (no circle): whoever asks this holds no slot.
    ///
    /// # Errors
    /// As [`Judge::judge_at_once`].
    fn judge_waiting(
        &self,
        waiting: Self::Waiting,
    ) -> Answer<'_, Result<Judged<Self::Held>, NotJudged>>;

    /// What was held is durable in the case state, and now here too.
    ///
    /// # Errors
    /// When the local copy does not take it: it stays durable, and is read back later.
    fn keep(&self, held: Vec<Self::Held>) -> Answer<'_, Result<(), AppendError>>;

    /// Whether the local copy of a partition's case state has reached this barrier.
    fn has_read(&self, partition: i32, barrier: u64) -> bool;

    /// Whether what others decide still becomes known here. Where it does not, nothing is judged any
    /// more: others should have the partitions.
    fn follows(&self) -> bool;

    /// Whether so much is behind that new work should wait.
    fn is_saturated(&self) -> bool;
}

/// An event from Kafka, as it is asked.
#[derive(Debug)]
pub struct Asked {
    /// The event.
    pub event: v1::Event,
    /// W3C trace context that came with it: names and values.
    pub trace: Vec<(String, String)>,
}

/// A verdict that is not durable yet.
pub trait Held: Send {
    /// The verdict.
    fn verdict(&self) -> &v1::Verdict;
    /// The whole record, as journals keep it.
    fn record(&self) -> &[u8];
    /// W3C trace context to hand on: names and values.
    fn trace(&self) -> &[(String, String)];
    /// It is written: of its verdict nothing is asked any more, and what only that needs may go. Many
    /// are held at once.
    fn written(&mut self) {}
}

/// How far an event got without waiting.
#[derive(Debug)]
pub enum AtOnce<H, W> {
    /// To its end.
    Judged(Judged<H>),
    /// It must wait.
    Waits(W),
}

/// What judging an event led to.
#[derive(Debug)]
pub enum Judged<H> {
    /// A verdict.
    Now(H),
    /// It had its verdict before.
    Before,
}

/// Why an event got no verdict.
#[derive(Debug)]
pub enum NotJudged {
    /// It breaks a rule; as it is it never gets one. Without values of the event.
    Refused(String),
    /// The same event came before, with other content.
    Conflict(String),
    /// Not now; again later. Why, for an operator.
    Later(String),
}

/// The gate as cases use it: the journal of its verdicts, and judging a case again.
pub trait Reviews: Send + Sync + 'static {
    /// The journal of verdicts, for reading: records of the kind `VERDICT`, in their order.
    fn verdicts(&self) -> &Journal;

    /// Judges a case again because something changed, and answers when the verdict is recorded. The
    /// same review again gives the verdict that it had.
    ///
    /// # Errors
    /// When it is not recorded; asking again is safe.
    fn review(&self, review: Review) -> Answer<'_, Result<Reviewed, NotReviewed>>;

    /// Where a verdict stands in that journal, of several answers of its slot the first; none: it is not
    /// there, or not yet.
    fn recorded(&self, verdict: VerdictId) -> Answer<'_, Result<Option<Position>, NotFound>>;

    /// Where this very answer of a decision slot stands in that journal: between replicas of the gate a slot
    /// may have several (spec 7). None: it is not there, or not yet.
    fn recorded_answer(
        &self,
        verdict: VerdictId,
        answer: AnswerDigest,
    ) -> Answer<'_, Result<Option<Position>, NotFound>>;

    /// Number of the last record that it had when it was opened: behind that, what stood there before may
    /// have been lost, and other records may stand there now.
    fn opened_with(&self) -> u64;

    /// Whether that journal has what others recorded, but for the last moment.
    fn knows_all(&self) -> bool;
}

/// Why a verdict cannot be looked for.
pub type NotFound = Box<dyn std::error::Error + Send + Sync>;

/// A case to be judged again (spec 8).
#[derive(Debug)]
pub struct Review {
    /// The record of the case's last event.
    pub last: VerdictRecord,
    /// The stage to judge: the next decisive one, or that of the event.
    pub stage: StageCode,
    /// The instant of the change; both `occurred_at` and the time of judging.
    pub at: Time,
    /// What changed.
    pub cause: Cause,
    /// The lists as they were right after it.
    pub lists: Lists,
    /// The book as it was then.
    pub book: Arc<Book>,
    /// The verdict of the case until now.
    pub supersedes: VerdictId,
}

/// What a review led to.
#[derive(Debug)]
pub enum Reviewed {
    /// A verdict.
    Now(Box<v1::Verdict>),
    /// The verdict that it had before.
    Before(Box<v1::Verdict>),
}

/// Why a review has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum NotReviewed {
    /// The record of the last event cannot be used.
    #[error("the record of the last event: {0}")]
    Record(String),
    /// Not now; again later.
    #[error("{0}")]
    Later(String),
}

/// What cases tell of their reports, in the order of their log; the cases keep it. Whoever keeps the lists
/// reads it and remembers the place together with what it made of it: so nothing is lost between the two,
/// and nothing is taken in twice.
pub trait Tellings: Send + Sync + 'static {
    /// Reads on behind a place; from the beginning where there is none, or it is not of this log.
    ///
    /// # Errors
    /// When the log cannot be opened; trying again is safe.
    fn follow(&self, after: Option<&CasesRead>) -> Result<Box<dyn TellingsRead>, NotFound>;
}

/// Reading of what cases tell.
pub trait TellingsRead: Send {
    /// What comes next, at most so much; nothing when nothing came for a moment. Blocks for that moment, and
    /// on the disk.
    ///
    /// # Errors
    /// When the log cannot be read on: it is opened anew.
    fn next(&mut self, most: usize) -> Result<Vec<Telling>, NotFound>;
}

/// A record of the log of cases.
#[derive(Debug)]
pub struct Telling {
    /// The place up to which everything is read with it.
    pub place: CasesRead,
    /// What it tells the lists; none: it concerns only the cases.
    pub told: Option<ListsTold>,
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

    /// What the deployment said about a book that was in force once.
    ///
    /// # Errors
    /// When that book is not in the change log, or the log cannot be read.
    fn deployment(&self, version: BookVersion) -> Result<Deployment, HistoryError> {
        Err(HistoryError::Unknown(format!("book {version}")))
    }

    /// The book that these files would be if they were published after this one, which was in force
    /// once: what was confirmed through the service of rows that they lack ends and refuses nothing.
    ///
    /// # Errors
    /// When the files are refused, that book is not in the change log, or the log cannot be read.
    fn candidate(
        &self,
        after: BookVersion,
        files: &[SourceFile],
    ) -> Result<Candidate, NoCandidate> {
        let book = Book::load(files, &self.deployment(after)?)?;
        Ok(Candidate {
            book,
            confirmations_ended: Vec::new(),
        })
    }

    /// The lists as they were at one version after the other, for many events at once: the entries
    /// that these keys lead to, as [`History::lists_as_of`] gives them for one event. Takes time.
    ///
    /// # Errors
    /// When versions up to `up_to` are not all in the log, or it cannot be read.
    fn sweep(&self, wanted: Wanted) -> Result<Box<dyn Sweep>, HistoryError> {
        let Wanted { up_to, .. } = wanted;
        Err(HistoryError::Unknown(format!("list version {up_to}")))
    }
}

/// The change log for those who act on what changed; the registry keeps it.
pub trait Changes: Send + Sync + 'static {
    /// Follows the changes with greater numbers than this one.
    fn follow(&self, after: u64) -> Box<dyn Following>;
}

/// The changes, one after the other.
pub trait Following: Send {
    /// The next changes that the lists in use contain, at most so many; none: there are no more yet.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn next(&mut self, most: usize) -> Result<Vec<Change>, HistoryError>;
}

/// A change of the lists or the book.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its number in the change log.
    pub seq: u64,
    /// When it was recorded.
    pub at: Time,
    /// The book in force right after it; none: it is not known any more.
    pub book: Option<BookVersion>,
    /// What changed.
    pub what: Changed,
    /// The lists right after it; none where the follower came later: [`History`] tells then.
    pub lists: Option<Lists>,
}

/// What a change concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// An entry is another one now.
    Entry {
        /// Its id.
        entry_id: Arc<str>,
        /// The keys under which it is or was found, and those of other entries of the same subject.
        keys: Vec<Key>,
    },
    /// Something came for an entry by time alone.
    EntryClock {
        /// Its id.
        entry_id: Arc<str>,
        /// As above.
        keys: Vec<Key>,
    },
    /// A row of the book began or ended by time alone.
    RowClock(Arc<str>),
    /// Another book came into force.
    Book,
    /// Nothing that a decision rests on.
    Nothing,
}

/// A book that may be published.
#[derive(Debug)]
pub struct Candidate {
    /// The book.
    pub book: Book,
    /// Rows whose confirmation through the service would end with it.
    pub confirmations_ended: Vec<String>,
}

/// Why files are no candidate.
#[derive(Debug, thiserror::Error)]
pub enum NoCandidate {
    /// They break the rules of a book.
    #[error(transparent)]
    Refused(#[from] BookErrors),
    /// What the deployment says of the book before them is not known.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// What a walk through the past is for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The keys under which decisions will look, further identifiers of the subjects not yet.
    pub keys: Vec<Key>,
    /// By which names were made to keys, and entries will be.
    pub book: Arc<Book>,
    /// The last version that will be asked for.
    pub up_to: u64,
    /// Set by whoever does not want it any more.
    pub cancelled: Arc<AtomicBool>,
}

/// A walk through the past of the lists. It only goes forward; clones of the lists stay as they
/// are, and are cheap.
pub trait Sweep: Send {
    /// The name of the change log.
    fn log_id(&self) -> uuid::Uuid;

    /// The lists as they were at this version, which must not lie before the last one asked for.
    ///
    /// # Errors
    /// When it lies before or behind what can be told, or the log cannot be read.
    fn advance_to(&mut self, seq: u64) -> Result<&Lists, HistoryError>;
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
    /// Whoever asked does not want it any more.
    #[error("nobody wants the lists of then any more")]
    Cancelled,
}
