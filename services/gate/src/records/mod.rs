//! What was recorded: the journal of verdicts, and the ways to find a record in it again.
//!
//! The journal is the truth. `slots`, `cases` and `successors` hold in memory what is not indexed yet,
//! `table` is the index on disk, `filter` tells without a read what the index cannot hold. The
//! `indexer` moves records from memory into the index.

mod cases;
mod draft;
mod filter;
mod indexer;
mod run;
mod slots;
mod successors;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use creditgate_measures::book::Book;
use creditgate_measures::case::CaseView;
use creditgate_measures::event::CaseId;
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::AnswerDigest;
use creditgate_proto::decode::event_from_record;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::v1;
use creditgate_runtime::journal::{
    self, AppendError, Appended, Journal, Position, ReadError, Receipt,
};
use tokio::sync::futures::OwnedNotified;

use crate::content::ContentDigest;
use crate::replay::verdict_record;

use cases::{Cases, Known};
pub(crate) use cases::{Seen, is_check};
pub(crate) use draft::{Draft, Fresh, Learned};
use filter::Filters;
pub(crate) use indexer::{Indexer, Watched};
use slots::{Found, Slots, Unindexed};
use successors::Recent;
pub(crate) use successors::Successor;
use table::Lookup;

/// Records that may lack in the index before checks are turned away: about 100 MB of memory.
const UNINDEXED_MAX: usize = 300_000;

/// Why records cannot be opened or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal did not open.
    #[error("open the journal of verdicts")]
    Open(#[from] journal::OpenError),
    /// The journal cannot be read.
    #[error("read the journal of verdicts")]
    Read(#[from] ReadError),
    /// A record is not what its kind says.
    #[error("read the verdict recorded at {0}")]
    Record(Position, #[source] prost::DecodeError),
    /// A record lacks something that this code never leaves out.
    #[error("read the verdict recorded at {0}: {1} is missing or not readable")]
    Part(Position, &'static str),
    /// The index could not be made or asked.
    #[error("use index `{}`", path.display())]
    Index {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file system refused.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// See the module.
pub(crate) struct Records {
    journal: Journal,
    slots: Slots,
    cases: Cases,
    successors: Recent,
    filters: Filters,
    lookup: Lookup,
    index_dir: PathBuf,
    /// Bytes of the largest run that is appended at once.
    run_bytes_max: usize,
}

/// The right to record the verdict of a slot; without a record the slot is free again.
pub(crate) struct Claim {
    records: Arc<Records>,
    verdict: VerdictId,
    to: To,
    open: bool,
}

/// What a claim is to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// The slot: to its first answer.
    Slot,
    /// Another answer of a slot that is recorded.
    Beside,
}

/// What a slot was when somebody came for it.
pub(crate) enum Claimed {
    /// Free, and now the caller's.
    Mine(Claim),
    /// Somebody else's; look again when this has come.
    Theirs(OwnedNotified),
    /// Already recorded.
    Before(Position, ContentDigest),
    /// Perhaps recorded.
    Unknown,
}

impl Records {
    /// Whether so much is behind that new work should be turned away.
    pub(crate) fn is_saturated(&self) -> bool {
        self.journal.is_saturated() || self.slots.unindexed() > UNINDEXED_MAX
    }

    /// How many records are only in memory and in the journal.
    #[cfg(test)]
    pub(crate) fn unindexed(&self) -> usize {
        self.slots.unindexed()
    }

    /// Which verdict took the place of which, as the index tells it.
    #[cfg(test)]
    pub(crate) fn indexed_successors(&self) -> Vec<(VerdictId, Successor)> {
        self.lookup.successors()
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Claims a slot. One that is recorded and no longer in memory is found by
    /// [`Records::recorded_before`], which the owner of a claim asks first.
    pub(crate) fn claim(self: &Arc<Self>, verdict: VerdictId) -> Claimed {
        match self.slots.claim(verdict) {
            Found::Claimed => Claimed::Mine(Claim {
                records: Arc::clone(self),
                verdict,
                to: To::Slot,
                open: true,
            }),
            Found::UnderWay(end) => Claimed::Theirs(end),
            Found::Recorded(position, digest) => Claimed::Before(position, digest),
            Found::Unknown => Claimed::Unknown,
        }
    }

    /// Claims a slot that certainly was never recorded; anything else takes the way that may wait.
    pub(crate) fn claim_fresh(self: &Arc<Self>, verdict: VerdictId) -> Option<Claim> {
        match self.claim(verdict) {
            Claimed::Mine(claim) if !self.filters.verdicts.may_hold(verdict_key(verdict)) => {
                Some(claim)
            }
            _ => None,
        }
    }

    /// The right to record another answer of a slot that is recorded. Only who reads what others decided
    /// asks for it, so that no answer is there twice.
    pub(crate) fn claim_beside(self: &Arc<Self>, verdict: VerdictId) -> Claim {
        Claim {
            records: Arc::clone(self),
            verdict,
            to: To::Beside,
            open: true,
        }
    }

    /// Where this very answer of a slot is. Reads only what left memory.
    pub(crate) async fn answered(
        self: &Arc<Self>,
        verdict: VerdictId,
        answer: AnswerDigest,
    ) -> Result<Option<Position>, Error> {
        let recent = self.slots.answered(verdict, answer);
        if recent.is_some() || !self.filters.verdicts.may_hold(verdict_key(verdict)) {
            return Ok(recent);
        }
        let is_it = move |record: &v1::Verdict| AnswerDigest::of(record) == answer;
        let found = self.blocking(move |records| records.indexed(verdict, is_it));
        Ok(found.await?.map(|found| found.position()))
    }

    /// The record of a slot that left memory. Reads only if the filter cannot say no.
    pub(crate) async fn recorded_before(
        self: &Arc<Self>,
        verdict: VerdictId,
    ) -> Result<Option<Recorded>, Error> {
        if !self.filters.verdicts.may_hold(verdict_key(verdict)) {
            return Ok(None);
        }
        self.blocking(move |records| records.indexed(verdict, |_| true))
            .await
    }

    /// The record of a verdict, wherever it is.
    pub(crate) async fn find(
        self: &Arc<Self>,
        verdict: VerdictId,
    ) -> Result<Option<Recorded>, Error> {
        match self.slots.recorded(verdict) {
            Some(position) => self.read(position).await.map(Some),
            None => self.recorded_before(verdict).await,
        }
    }

    /// The record at a position.
    pub(crate) async fn read(self: &Arc<Self>, position: Position) -> Result<Recorded, Error> {
        self.blocking(move |records| records.read_blocking(position))
            .await
    }

    /// What is known of a case, when memory has all of it.
    pub(crate) fn case_view_at_once(&self, case: &CaseId) -> Option<CaseView> {
        let case = Case::new(case.clone());
        match self.cases.known(&case) {
            Known::Whole(view) => Some(view),
            Known::Recent(view, _) if !self.filters.cases.may_hold(case.key) => Some(view),
            Known::Recent(..) => None,
        }
    }

    /// What is known of a case. Reads only what memory does not have.
    pub(crate) async fn case_view(
        self: &Arc<Self>,
        case: &CaseId,
        book: &Arc<Book>,
    ) -> Result<CaseView, Error> {
        let case = Case::new(case.clone());
        let (recent, moves) = match self.cases.known(&case) {
            Known::Whole(view) => return Ok(view),
            Known::Recent(view, _) if !self.filters.cases.may_hold(case.key) => return Ok(view),
            Known::Recent(view, moves) => (view, moves),
        };
        let book = Arc::clone(book);
        self.blocking(move |records| {
            let indexed = records.indexed_case(&case, &book)?;
            Ok(records.cases.remember(case, indexed, moves, recent))
        })
        .await
    }

    /// Appends one draft; its slot is settled when this returns.
    pub(crate) async fn append(self: Arc<Self>, draft: Draft) -> Result<Receipt, AppendError> {
        let Draft {
            claim,
            learned,
            record,
        } = draft;
        let appended = self.journal.append_record(record).await;
        claim.settle(appended, learned)
    }

    /// Bytes of the largest run that is appended at once.
    pub(crate) const fn run_bytes_max(&self) -> usize {
        self.run_bytes_max
    }

    /// Appends drafts in runs that the journal's queue can take; the first run that fails ends it, and
    /// the slots of those behind it are free again. The receipts are in the order of the drafts.
    pub(crate) async fn append_in_runs(
        self: Arc<Self>,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Receipt>, AppendError> {
        let mut receipts = Vec::with_capacity(drafts.len());
        let mut run = Vec::new();
        let mut bytes = 0;
        for draft in drafts {
            let more = draft.record.payload.len();
            if bytes + more > self.run_bytes_max && !run.is_empty() {
                bytes = 0;
                Arc::clone(&self)
                    .append_run(std::mem::take(&mut run), &mut receipts)
                    .await?;
            }
            bytes += more;
            run.push(draft);
        }
        self.append_run(run, &mut receipts).await?;
        Ok(receipts)
    }

    async fn append_run(
        self: Arc<Self>,
        mut run: Vec<Draft>,
        receipts: &mut Vec<Receipt>,
    ) -> Result<(), AppendError> {
        match run.pop() {
            // One record may be larger than the queue, a run may not.
            Some(only) if run.is_empty() => receipts.push(self.append(only).await?),
            Some(last) => {
                run.push(last);
                self.append_all(run, receipts).await?;
            }
            None => {}
        }
        Ok(())
    }

    /// Appends drafts next to each other; their slots are settled when this returns.
    async fn append_all(
        self: Arc<Self>,
        drafts: Vec<Draft>,
        receipts: &mut Vec<Receipt>,
    ) -> Result<(), AppendError> {
        let mut records = Vec::with_capacity(drafts.len());
        let mut waiting = Vec::with_capacity(drafts.len());
        for draft in drafts {
            records.push(draft.record);
            waiting.push((draft.claim, draft.learned));
        }
        match self.journal.append_all(records).await {
            Ok(appended) => {
                for ((claim, learned), appended) in waiting.into_iter().zip(appended) {
                    receipts.push(claim.settle(Ok(appended), learned)?);
                }
                Ok(())
            }
            Err(error) => {
                for (claim, learned) in waiting {
                    // The same error for each; told once, below.
                    let _ = claim.settle(Err(error.clone()), learned);
                }
                Err(error)
            }
        }
    }

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let records = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&records)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// The first indexed record of a slot that is wanted.
    fn indexed(
        &self,
        verdict: VerdictId,
        wanted: impl Fn(&v1::Verdict) -> bool,
    ) -> Result<Option<Recorded>, Error> {
        let positions = self
            .lookup
            .verdict(verdict_key(verdict))
            .map_err(|source| self.index_error(source))?;
        let id = verdict.to_string();
        for position in positions {
            let found = self.read_blocking(position)?;
            let verdict = found.record.verdict.as_ref();
            if verdict.is_some_and(|verdict| verdict.verdict_id == id && wanted(verdict)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn indexed_case(&self, case: &Case, book: &Book) -> Result<CaseView, Error> {
        let positions = self
            .lookup
            .case(case.key)
            .map_err(|source| self.index_error(source))?;
        let mut view = CaseView::default();
        for position in positions {
            let record = self.read_blocking(position)?.record;
            let event =
                event_from_record(&record).map_err(|_| Error::Part(position, "the event"))?;
            if event.case_id == case.id {
                let verdict = record.verdict.unwrap_or_default();
                let evaluated_at = verdict
                    .evaluated_at
                    .as_ref()
                    .and_then(time_from_proto)
                    .ok_or(Error::Part(position, "the time of the verdict"))?;
                Seen::of(&event, &verdict.cause, evaluated_at, book).add_to(&mut view);
            }
        }
        Ok(view)
    }

    pub(crate) fn read_blocking(&self, position: Position) -> Result<Recorded, Error> {
        let entry = self.journal.read_at(position)?;
        let record = verdict_record(&entry).map_err(|source| Error::Record(position, source))?;
        let record = record.ok_or(Error::Part(position, "a verdict"))?;
        Ok(Recorded { record, entry })
    }

    fn index_error(&self, source: std::io::Error) -> Error {
        Error::Index {
            path: self.index_dir.clone(),
            source,
        }
    }
}

/// A record of a verdict, and how it lies in the journal.
pub(crate) struct Recorded {
    pub record: VerdictRecord,
    entry: journal::Record,
}

impl Recorded {
    pub(crate) const fn position(&self) -> Position {
        self.entry.position
    }

    pub(crate) fn receipt(&self) -> Receipt {
        self.entry.receipt()
    }
}

impl Claim {
    fn settle(
        mut self,
        appended: Result<Appended, AppendError>,
        learned: Learned,
    ) -> Result<Receipt, AppendError> {
        self.open = false;
        let records = &self.records;
        match appended {
            Ok(appended) => {
                let Learned {
                    digest,
                    answer,
                    case,
                    seen,
                    supersedes,
                } = learned;
                // These first: who is told of the verdict may ask for the next step at once, or again
                // for the one before.
                records.cases.record(case.clone(), seen);
                if let Some(before) = supersedes {
                    let successor = Successor {
                        position: appended.position,
                        verdict: self.verdict,
                    };
                    records.successors.record(before, successor);
                }
                let unindexed = Unindexed {
                    sequence: appended.sequence,
                    position: appended.position,
                    verdict: self.verdict,
                    supersedes,
                    case,
                };
                match self.to {
                    To::Slot => records.slots.record(digest, answer, unindexed),
                    To::Beside => records.slots.record_other(answer, unindexed),
                }
                Ok(appended.receipt())
            }
            Err(error) => {
                match (&error, self.to) {
                    // The slot has its record, whatever becomes of the other one.
                    (_, To::Beside) => {}
                    (AppendError::Indefinite { .. } | AppendError::Unanswered, To::Slot) => {
                        records.slots.lose(self.verdict);
                    }
                    (_, To::Slot) => records.slots.release(self.verdict),
                }
                Err(error)
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.open && self.to == To::Slot {
            self.records.slots.release(self.verdict);
        }
    }
}

/// Key of a verdict in the index. FENCED by [`table`]'s format. The id is cut out of a SHA-256; both
/// halves together make up for the bits that its form fixes.
fn verdict_key(verdict: VerdictId) -> u64 {
    let (high, low) = verdict.0.as_u64_pair();
    high ^ low
}

/// Key of a case in the index. FENCED by [`table`]'s format.
fn case_key(case: &CaseId) -> u64 {
    xxhash_rust::xxh3::xxh3_64(case.as_str().as_bytes())
}

/// Hashes keys that are hashes already: takes the last number written.
#[derive(Clone, Copy, Default)]
struct AsHashed(u64);

type BuildAsHashed = std::hash::BuildHasherDefault<AsHashed>;

impl std::hash::Hasher for AsHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "keys write themselves as one number");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// A verdict's id that hashes to its key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct SlotKey(VerdictId);

impl std::hash::Hash for SlotKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(verdict_key(self.0));
    }
}

/// A case that hashes to its key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Case {
    key: u64,
    id: CaseId,
}

impl Case {
    pub(crate) fn new(id: CaseId) -> Self {
        let key = case_key(&id);
        Self { key, id }
    }
}

impl std::hash::Hash for Case {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.key);
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

/// Where the journal lies in a data directory.
pub(crate) fn journal_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("verdicts")
}

fn index_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("index")
}
