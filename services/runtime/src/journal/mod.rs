//! The journal: an append-only log of records in one directory, answered after they are durable.
//!
//! One process writes a directory; any number of readers stand beside it. Records are numbered
//! densely from 1, addressed by [`Position`], checksummed one by one and chained by hash. Whoever
//! appends is answered after `fdatasync`; everything that waits at that moment shares one sync.
//!
//! This module knows nothing of verdicts or lists: kinds and payloads belong to the caller.
//!
//! With a [`Sealer`] each payload is sealed before it gets into line, and opened when it is read: callers see plain text on
//! both sides. Checksums, the chain of hashes, receipts and check points are over what lies on disk, so recovery and
//! verification need no key. A log may begin in clear and go on sealed; not the other way round, so without the key of what
//! was recorded last it does not open for writing.
//!
//! On disk: [`envelope`] describes a record, `segment` the files, `mark` the file that says how far
//! the log was durable, and `lock` is held by the one writer.
//!
//! What opening promises: after a crash or a power cut every acknowledged record is there. An end
//! that was being written is removed and reported as [`TornTail`]; a record of it may have survived
//! without being acknowledged. Anything else that is not intact is refused with its place.

use std::fmt;
use std::fs;
use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::{oneshot, watch};

use crate::hex::{from_hex, hex};
use crate::sealed::{RecordKey, Sealer};

mod apart;
pub mod disk;
pub mod envelope;
mod error;
mod mark;
mod own;
mod probe;
mod queue;
mod reader;
mod recover;
mod segment;
mod writer;

pub use apart::{Apart, NoRecord, read_apart};
pub use envelope::{PAYLOAD_BYTES_MAX, Record};
pub use error::{AppendError, BrokenLink, Corruption, OpenError, ReadError, Unopened, VerifyError};
pub use reader::Reader;

use disk::{Disk, RealDisk};
use mark::Mark;
use own::DirectoryLock;
use queue::{Queue, Request};
use reader::Segments;
use recover::{Beside, Survey};
use writer::Writer;

/// A handle on a journal; cheap to clone. When the last one goes, the writer writes what is still in
/// line and ends, without anybody waiting for it; [`Journal::close`] waits.
#[derive(Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

/// How a journal is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// The size at which a new file is begun. At least 4 KiB, at most 1 GiB.
    pub segment_bytes: u64,
    /// Whether files are filled with zeros before they are used: faster by half, but even an empty
    /// journal then takes `segment_bytes`.
    pub preallocate: bool,
    /// When an append is answered.
    pub ack: Ack,
    /// How many bytes may wait for the writer before appends wait for room.
    pub queue_bytes_max: usize,
    /// Who writes; stands in every record.
    pub writer: WriterId,
    /// The name of a log that is made now; none: one of its own. A log that is there keeps its name.
    pub log_id: Option<[u8; 16]>,
    /// How much is read when the journal is opened.
    pub check: Check,
    /// What seals payloads and opens them; none: they lie in clear.
    pub sealer: Option<Sealer>,
    /// The disk; tests play a failing one.
    pub disk: Arc<dyn Disk>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            preallocate: true,
            ack: Ack::Durable,
            queue_bytes_max: 64 << 20,
            writer: WriterId::default(),
            log_id: None,
            check: Check::Whole,
            sealer: None,
            disk: Arc::new(RealDisk),
        }
    }
}

/// When an append is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// After `fdatasync`: survives a power cut.
    Durable,
    /// After the write: survives the end of the process, but not of the machine. The head then is
    /// what was written. Synced within about 200 ms, at each new file and on close.
    Written,
}

/// How much is read when a journal is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Every record of every file.
    Whole,
    /// Only the last file. Damage in earlier ones shows when they are read.
    LastSegment,
}

/// Who writes: a process, by a name of its own choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterId(pub [u8; 16]);

/// The logical address of a byte of the log: grows with every record, says nothing of their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The durable end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where the next record will begin.
    pub next_position: Position,
    /// The number of the last record; 0 if there is none.
    pub sequence: u64,
    /// The hash of the last record; of the log id if there is none.
    pub hash: [u8; 32],
}

impl Head {
    /// Whether a record is the one behind this head.
    #[must_use]
    pub fn is_continued_by(&self, record: &Record) -> bool {
        self.sequence.checked_add(1) == Some(record.sequence)
            && self.next_position == record.position
            && self.hash == record.previous_hash
    }
}

/// What was found when a journal was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The durable end of the log.
    pub head: Head,
    /// What an interrupted write had left behind the last record; it is removed, unless the journal
    /// was opened for reading only.
    pub torn: Option<TornTail>,
    /// How many files the log has.
    pub segments: usize,
    /// The name of the log, made once at its creation.
    pub log_id: [u8; 16],
}

/// The rest of a write that was never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where it began.
    pub position: Position,
    /// How many bytes there were.
    pub bytes: u64,
}

/// A record to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// What the payload is; the journal does not look at it.
    pub kind: u16,
    /// Microseconds since 1970; the journal asks no clock.
    pub time_micros: i64,
    /// At most 16 MiB.
    pub payload: Bytes,
    /// The key the payload is sealed with; 0: it is in clear.
    key_id: u32,
}

impl NewRecord {
    /// A record; the journal seals it where it has a sealer.
    pub fn new(kind: u16, time_micros: i64, payload: impl Into<Bytes>) -> Self {
        Self {
            kind,
            time_micros,
            payload: payload.into(),
            key_id: 0,
        }
    }

    /// The same as it is to lie on disk.
    fn sealed_by(self, sealer: Option<&Sealer>) -> Self {
        let Some(sealer) = sealer else { return self };
        let context = envelope::context(self.kind, self.time_micros);
        Self {
            payload: sealer.seal(&context, &self.payload).into(),
            key_id: sealer.key_id(),
            ..self
        }
    }
}

/// Where a record now stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where it begins.
    pub position: Position,
    /// Its number.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Appended {
    /// What proves later that it was recorded.
    #[must_use]
    pub const fn receipt(&self) -> Receipt {
        Receipt {
            sequence: self.sequence,
            hash: self.hash,
        }
    }
}

/// The number and the hash of a record: whoever holds it can be shown that the journal still has that record, and with it
/// all before. Written `SEQUENCE:HASH`, the hash in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The number of the record.
    pub sequence: u64,
    /// The hash of the record.
    pub hash: [u8; 32],
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, hex(&self.hash))
    }
}

/// A text that is no [`Receipt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a receipt is a number, a colon and 64 hexadecimal digits")]
pub struct NoReceipt;

impl FromStr for Receipt {
    type Err = NoReceipt;

    fn from_str(text: &str) -> Result<Self, NoReceipt> {
        let (sequence, hash) = text.trim().split_once(':').ok_or(NoReceipt)?;
        let sequence: NonZeroU64 = sequence.parse().map_err(|_| NoReceipt)?;
        Ok(Self {
            sequence: sequence.get(),
            hash: from_hex(hash).ok_or(NoReceipt)?,
        })
    }
}

/// Whether the journal takes records.
#[derive(Clone, Debug)]
pub enum Health {
    /// It does.
    Healthy,
    /// The disk refuses writes; each append tries again, and between them the writer does.
    Stalled(Arc<io::Error>),
    /// The disk did not confirm a sync; nothing is taken until the journal is opened again.
    Failed(Arc<io::Error>),
    /// It was closed, or opened for reading only.
    Closed,
}

/// What a journal has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records appended.
    pub records: u64,
    /// Bytes appended, envelopes included.
    pub bytes: u64,
    /// Syncs of record data.
    pub fsyncs: u64,
    /// Batches written.
    pub batches: u64,
    /// Records in the largest batch.
    pub largest_batch: u64,
    /// Records in line now.
    pub queue_records: u64,
    /// Files begun.
    pub rolls: u64,
}

impl Journal {
    /// Opens the journal of a directory for writing; makes both if they are not there.
    ///
    /// Blocks on the disk: with [`Check::Whole`] it reads the whole log.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<(Self, Opened), OpenError> {
        let dir = dir.as_ref();
        options.validate()?;
        fs::create_dir_all(dir).map_err(OpenError::io("create journal directory", dir))?;
        let lock = DirectoryLock::take(dir)?;
        segment::remove_leftovers(dir).map_err(OpenError::io("tidy journal directory", dir))?;
        let survey = match recover::survey(dir, options.check, Beside::Nobody)? {
            Some(survey) => survey,
            None => own::create(dir, &options)?,
        };
        if let Some(last) = survey.closed.clone() {
            last.opened(options.sealer.as_ref())
                .map_err(|source| OpenError::Closed {
                    dir: dir.to_owned(),
                    source,
                })?;
        }
        let active = own::mend(dir, &survey, options.disk.as_ref())?;
        let mark = Mark {
            log_id: survey.log_id,
            head: survey.head,
        };
        if let Err(error) = mark.write(dir, options.disk.as_ref()) {
            tracing::warn!(dir = %dir.display(), %error, "the journal opened without renewing its mark");
        }
        let journal = Self::new(
            dir,
            &survey,
            options.queue_bytes_max,
            options.sealer.clone(),
            Health::Healthy,
        );
        let writer = Writer::new(
            Arc::clone(&journal.handle.shared),
            dir.to_owned(),
            options,
            active,
            lock,
        );
        thread::Builder::new()
            .name("journal-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::io("start the writer of journal", dir))?;
        Ok((journal, survey.opened()))
    }

    /// Opens the journal of a directory for reading, also beside the process that writes it. Sealed records can be verified
    /// and not read.
    ///
    /// The head is the last intact record found now, which the writer may not have synced yet. It
    /// moves only by [`Journal::refresh`].
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<(Self, Opened), OpenError> {
        Self::open_read_only_with(dir, None)
    }

    /// [`Journal::open_read_only`], with what opens sealed records.
    pub fn open_read_only_with(
        dir: impl AsRef<Path>,
        sealer: Option<Sealer>,
    ) -> Result<(Self, Opened), OpenError> {
        Self::open_to_read(dir.as_ref(), Check::Whole, sealer)
    }

    /// As [`Journal::open_read_only`], but reads only the last file: damage in earlier ones shows when they are read.
    pub fn open_end_read_only(dir: impl AsRef<Path>) -> Result<(Self, Opened), OpenError> {
        Self::open_to_read(dir.as_ref(), Check::LastSegment, None)
    }

    fn open_to_read(
        dir: &Path,
        check: Check,
        sealer: Option<Sealer>,
    ) -> Result<(Self, Opened), OpenError> {
        let survey = survey_beside_writer(dir, check)?;
        let journal = Self::new(dir, &survey, 1, sealer, Health::Closed);
        journal
            .handle
            .shared
            .queue
            .refuse_further(AppendError::ReadOnly);
        journal
            .handle
            .shared
            .read_only
            .store(true, Ordering::Relaxed);
        journal.handle.shared.ended.send_replace(true);
        Ok((journal, survey.opened()))
    }

    fn new(
        dir: &Path,
        survey: &Survey,
        queue_bytes_max: usize,
        sealer: Option<Sealer>,
        health: Health,
    ) -> Self {
        let shared = Shared {
            dir: dir.to_owned(),
            log_id: survey.log_id,
            queue: Queue::new(queue_bytes_max),
            queue_bytes_max,
            sealer,
            head: watch::Sender::new(survey.head),
            health: RwLock::new(health),
            segments: Segments::new(dir.to_owned(), survey.bases.iter().copied()),
            counters: Counters::default(),
            read_only: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        };
        Self {
            handle: Arc::new(Handle {
                shared: Arc::new(shared),
            }),
        }
    }

    /// Appends one record and returns when it is durable.
    ///
    /// Records of one caller that awaits each are in order; the order between callers is the order in
    /// which they got into line. Dropping the future after it was polled leaves open whether the
    /// record is appended.
    pub async fn append(
        &self,
        kind: u16,
        time_micros: i64,
        payload: impl Into<Bytes>,
    ) -> Result<Appended, AppendError> {
        self.append_record(NewRecord::new(kind, time_micros, payload))
            .await
    }

    /// [`Journal::append`] for a record that was made before.
    pub async fn append_record(&self, record: NewRecord) -> Result<Appended, AppendError> {
        check_payload(&record)?;
        // Here and not in the writer's thread, which all callers wait for.
        let record = record.sealed_by(self.shared().sealer.as_ref());
        let (reply, answer) = oneshot::channel();
        self.shared()
            .queue
            .put(Request::One { record, reply })
            .await?;
        answer.await.unwrap_or(Err(AppendError::Unanswered))
    }

    /// Appends records next to each other and returns when all are durable.
    ///
    /// If it is refused, none was recorded. After a crash without an answer a front part of the run
    /// may have survived. The run, envelopes and what sealing adds included, must fit into `queue_bytes_max`.
    pub async fn append_all(&self, records: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        records.iter().try_for_each(check_payload)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let sealer = self.shared().sealer.as_ref();
        let records = records.into_iter();
        let records = records.map(|record| record.sealed_by(sealer)).collect();
        let (reply, answer) = oneshot::channel();
        let request = Request::Run { records, reply };
        let (bytes, limit) = (request.bytes(), self.shared().queue_bytes_max);
        if bytes > limit && !self.shared().read_only.load(Ordering::Relaxed) {
            return Err(AppendError::RunTooLarge { bytes, limit });
        }
        self.shared().queue.put(request).await?;
        answer.await.unwrap_or(Err(AppendError::Unanswered))
    }

    /// [`Journal::append`] for a thread that may block.
    pub fn append_blocking(
        &self,
        kind: u16,
        time_micros: i64,
        payload: impl Into<Bytes>,
    ) -> Result<Appended, AppendError> {
        block_on(self.append(kind, time_micros, payload))
    }

    /// [`Journal::append_all`] for a thread that may block.
    pub fn append_all_blocking(
        &self,
        records: Vec<NewRecord>,
    ) -> Result<Vec<Appended>, AppendError> {
        block_on(self.append_all(records))
    }

    /// Whether the line is so long that a caller who can say no should say it now.
    pub fn is_saturated(&self) -> bool {
        self.shared().queue.is_saturated()
    }

    /// The durable end of the log.
    pub fn head(&self) -> Head {
        *self.shared().head.borrow()
    }

    /// The durable end of the log as it moves.
    pub fn subscribe(&self) -> watch::Receiver<Head> {
        self.shared().head.subscribe()
    }

    /// The durable record that begins at a position. Blocks on the disk.
    pub fn read_at(&self, position: Position) -> Result<Record, ReadError> {
        reader::read_at(self.shared(), position)
    }

    /// The durable records from a position on, which must be the beginning of a record or the head.
    pub fn read_from(&self, position: Position) -> Reader {
        Reader::new(Arc::clone(self.shared()), position)
    }

    /// The key of one record of this log, to be handed out with it; none: it is in clear.
    ///
    /// # Errors
    /// When the record is sealed and the key is not here.
    pub fn key_of(&self, record: &Record) -> Result<Option<RecordKey>, Unopened> {
        record.key(self.shared().sealer.as_ref())
    }

    /// Reads the whole log and returns the head it leads to, or the first broken link. Needs no key.
    pub fn verify(&self) -> Result<Head, VerifyError> {
        self.verify_each(|_| {})
    }

    /// [`Journal::verify`], telling the head after each record: what it was when that record was the last.
    pub fn verify_each(&self, told: impl FnMut(&Head)) -> Result<Head, VerifyError> {
        self.verify_behind(self.beginning(), told)
    }

    /// The head before the first record.
    pub fn beginning(&self) -> Head {
        reader::beginning(self.shared())
    }

    /// As [`Journal::verify_each`], for the records behind a head that somebody vouches for; what lies before it is not
    /// read. A head at the end, or past it, has none behind it and is given back.
    pub fn verify_behind(&self, head: Head, told: impl FnMut(&Head)) -> Result<Head, VerifyError> {
        reader::verify(self.shared(), head, told)
    }

    /// Looks for what a writer in another process has added; only after
    /// [`Journal::open_read_only`], else the head moves by itself.
    pub fn refresh(&self) -> Result<Head, OpenError> {
        let shared = self.shared();
        if shared.read_only.load(Ordering::Relaxed) {
            let survey = survey_beside_writer(&shared.dir, Check::LastSegment)?;
            survey
                .bases
                .iter()
                .for_each(|&base| shared.segments.add(base));
            shared.head.send_if_modified(|head| {
                let moved = survey.head.next_position > head.next_position;
                if moved {
                    *head = survey.head;
                }
                moved
            });
        }
        Ok(self.head())
    }

    /// Whether the journal takes records.
    pub fn health(&self) -> Health {
        self.shared().health.read().clone()
    }

    /// Returns once the journal has failed and its directory takes and confirms writes again: opening it anew finds what
    /// is there. As long as it has not failed, this waits.
    pub async fn worth_opening_anew(&self) {
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        let mut ended = self.shared().ended.subscribe();
        // As in `close`.
        drop(ended.wait_for(|ended| *ended).await);
        if !matches!(self.health(), Health::Failed(_)) {
            return std::future::pending().await;
        }
        loop {
            let dir = self.dir().to_owned();
            let probed =
                tokio::task::spawn_blocking(move || probe::takes_writes(&dir, &RealDisk)).await;
            if let Ok(Ok(())) = probed {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the journal has done since it was opened.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared().counters;
        Stats {
            records: counters.records.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            fsyncs: counters.fsyncs.load(Ordering::Relaxed),
            batches: counters.batches.load(Ordering::Relaxed),
            largest_batch: counters.largest_batch.load(Ordering::Relaxed),
            queue_records: self.shared().queue.records() as u64,
            rolls: counters.rolls.load(Ordering::Relaxed),
        }
    }

    /// The name of the log, made once at its creation.
    pub fn log_id(&self) -> [u8; 16] {
        self.shared().log_id
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.shared().dir
    }

    /// Takes nothing more, writes and syncs what is in line, and waits until the writer has ended and
    /// the directory is free. An error means that the journal had failed.
    pub async fn close(&self) -> Result<Head, AppendError> {
        let shared = self.shared();
        shared.queue.refuse_further(AppendError::Closed);
        let mut ended = shared.ended.subscribe();
        // The sender lives in `shared`, so the wait can only end by the writer's end.
        drop(ended.wait_for(|ended| *ended).await);
        match self.health() {
            Health::Failed(source) => Err(AppendError::Failed { source }),
            _ => Ok(self.head()),
        }
    }

    /// [`Journal::close`] for a thread that may block.
    pub fn close_blocking(&self) -> Result<Head, AppendError> {
        block_on(self.close())
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("dir", &self.shared().dir)
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

impl Options {
    fn validate(&self) -> Result<(), OpenError> {
        let refuse = |option, value, rule| {
            Err(OpenError::Option {
                option,
                value,
                rule,
            })
        };
        if !(4 << 10..=1 << 30).contains(&self.segment_bytes) {
            return refuse("segment_bytes", self.segment_bytes, "from 4 KiB to 1 GiB");
        }
        if !(1..=1 << 30).contains(&self.queue_bytes_max) {
            return refuse(
                "queue_bytes_max",
                self.queue_bytes_max as u64,
                "from 1 byte to 1 GiB",
            );
        }
        Ok(())
    }
}

/// What handles, readers and the writer have in common.
struct Shared {
    dir: PathBuf,
    log_id: [u8; 16],
    queue: Queue,
    queue_bytes_max: usize,
    sealer: Option<Sealer>,
    head: watch::Sender<Head>,
    health: RwLock<Health>,
    segments: Segments,
    counters: Counters,
    read_only: AtomicBool,
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct Counters {
    records: AtomicU64,
    bytes: AtomicU64,
    fsyncs: AtomicU64,
    batches: AtomicU64,
    largest_batch: AtomicU64,
    rolls: AtomicU64,
}

/// Its end is the end of the last handle; the writer and the readers hold only [`Shared`].
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.refuse_further(AppendError::Closed);
    }
}

impl Survey {
    fn opened(&self) -> Opened {
        Opened {
            head: self.head,
            torn: self.torn,
            segments: self.bases.len(),
            log_id: self.log_id,
        }
    }
}

fn survey_beside_writer(dir: &Path, check: Check) -> Result<Survey, OpenError> {
    recover::survey(dir, check, Beside::Writer)?.ok_or_else(|| OpenError::Absent {
        dir: dir.to_owned(),
    })
}

fn check_payload(record: &NewRecord) -> Result<(), AppendError> {
    let bytes = record.payload.len();
    if bytes > PAYLOAD_BYTES_MAX {
        Err(AppendError::PayloadTooLarge { bytes })
    } else {
        Ok(())
    }
}

/// Polls a future on this thread. The journal's futures need no runtime, only a wake-up.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
