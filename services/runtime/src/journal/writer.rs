//! The writer: one thread per journal that turns whatever is in line into one write and one sync.
//!
//! There is no timer: while a batch is being synced the next one gathers, so the slower the disk,
//! the larger the batches. A batch never crosses a segment, so taking it back touches one file.
//!
//! What a fault means:
//! - A write that fails (no room, I/O error) is taken back: the file is cut off at the durable end
//!   and synced, the batch is answered [`AppendError::Stalled`], and the next append tries again.
//!   While nobody appends, since a service that is not ready is not asked, the writer looks by itself
//!   whether the disk takes writes again.
//! - A sync that fails is final. The kernel may have dropped the dirty pages and marked them clean, so
//!   a second sync that succeeds would prove nothing. The batch is answered
//!   [`AppendError::Indefinite`], everything later [`AppendError::Failed`], and the thread ends. The
//!   next open decides by what it reads, and writes the unproven end again before it trusts it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::envelope::{self, FORMAT, Header};
use super::error::AppendError;
use super::mark::Mark;
use super::own::DirectoryLock;
use super::probe;
use super::queue::{Gather, Request, Taken};
use super::segment::{
    self, CreateError, PAGE_BYTES, Preparation, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use super::{Ack, Appended, Head, Health, NewRecord, Options, Position, Shared};

/// A batch takes no further request beyond this; one larger request is a batch of its own.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// With [`Ack::Written`], how long written records may wait for their sync.
const SYNC_DELAY_MAX: Duration = Duration::from_millis(200);

/// How often a stalled writer that nobody asks looks whether the disk takes writes again.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// Records of several callers in one batch from which on the next is given time to become as large:
/// a caller who is alone never waits.
const COMPANY: usize = 8;

/// How long it is given. One sync for more of them costs the processor less,
/// and those who are answered together share their way back.
const GATHER: Duration = Duration::from_millis(1);

/// The state that only the writer's thread touches.
pub(super) struct Writer {
    shared: Arc<Shared>,
    dir: PathBuf,
    options: Options,
    segment: Active,
    /// The end of what was written; the published head is the same between batches.
    head: Head,
    /// Everything below was synced.
    durable: Position,
    last_sync: Instant,
    buffer: Vec<u8>,
    /// Of the records in the buffer.
    hashes: Vec<[u8; 32]>,
    /// Records that shared the last sync; none if they were of one caller.
    company: usize,
    /// Takes answers to whoever waits; none outside a runtime.
    answers: Option<mpsc::UnboundedSender<Vec<Waiter>>>,
    preparation: Option<Preparation>,
    preparation_tried: bool,
    /// Held, not read: the directory is ours until it goes.
    _lock: DirectoryLock,
}

/// The segment being written.
pub(super) struct Active {
    pub file: Arc<File>,
    pub base: u64,
    /// Where the file ends; between the head and here it holds zeros.
    file_bytes: u64,
}

impl Active {
    /// A file whose records end in zeros, or with it.
    pub(super) fn new(file: File, base: u64) -> io::Result<Self> {
        Ok(Self {
            file_bytes: file.metadata()?.len(),
            file: Arc::new(file),
            base,
        })
    }
}

/// Why a batch did not become durable.
enum Fault {
    /// Taken back; nothing of it is on disk.
    Stall(AppendError),
    /// What is on disk is unknown, or the journal cannot go on.
    Final(io::Error),
}

/// Who waits for a batch, with the answer it gets when the batch is durable.
enum Waiter {
    One(oneshot::Sender<Result<Appended, AppendError>>, Appended),
    Run(
        oneshot::Sender<Result<Vec<Appended>, AppendError>>,
        Vec<Appended>,
    ),
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        dir: PathBuf,
        options: Options,
        segment: Active,
        lock: DirectoryLock,
    ) -> Self {
        let head = *shared.head.borrow();
        Self {
            shared,
            dir,
            options,
            segment,
            head,
            durable: head.next_position,
            last_sync: Instant::now(),
            company: 0,
            answers: answers(),
            buffer: Vec::new(),
            hashes: Vec::new(),
            preparation: None,
            preparation_tried: false,
            _lock: lock,
        }
    }

    /// The thread's whole life. Nobody is left waiting when it ends, whichever way it ends.
    pub(super) fn run(mut self) {
        let end = EndOfLife(Arc::clone(&self.shared));
        let mut line = VecDeque::new();
        loop {
            let gather = match self.company >= COMPANY {
                true => Gather::until(self.company, GATHER),
                false => Gather::NONE,
            };
            match self.shared.queue.take(&mut line, self.patience(), gather) {
                Taken::Over => break,
                Taken::Idle => {
                    self.look_again();
                    if let Err(error) = self.sync() {
                        self.fail(error);
                    }
                }
                Taken::Requests => {
                    while !line.is_empty() {
                        self.one_batch(&mut line);
                    }
                }
            }
        }
        self.finish();
        // The lock goes before the news, so that whoever waited for the end can open at once.
        drop(self);
        drop(end);
    }

    /// Stage by stage, what becomes of the requests at the front of the line.
    fn one_batch(&mut self, line: &mut VecDeque<Request>) {
        let batch = self.pick(line);
        self.company = match batch.len() {
            0 | 1 => 0,
            _ => batch.iter().map(|request| request.records().len()).sum(),
        };
        if let Health::Failed(source) = &*self.shared.health.read() {
            let error = AppendError::Failed {
                source: Arc::clone(source),
            };
            batch
                .into_iter()
                .for_each(|request| self.answer_refused(request, error.clone()));
            return;
        }
        let outcome = self.make_room(&batch).and_then(|()| {
            let head = self.encode(&batch)?;
            self.write()?;
            Ok(head)
        });
        match outcome {
            Ok(head) => self.publish(head, batch),
            Err(Fault::Stall(error)) => {
                if let AppendError::Stalled { source } = &error {
                    self.stall(source);
                }
                batch
                    .into_iter()
                    .for_each(|request| self.answer_refused(request, error.clone()));
            }
            Err(Fault::Final(error)) => {
                let source = self.fail(error);
                let error = AppendError::Indefinite { source };
                batch
                    .into_iter()
                    .for_each(|request| self.answer_refused(request, error.clone()));
            }
        }
    }

    /// The longest front of the line that fits into one batch and one segment; at least one request.
    fn pick(&self, line: &mut VecDeque<Request>) -> Vec<Request> {
        let first = line.front().map_or(0, Request::bytes);
        let room = if self.must_roll(first) {
            self.capacity()
        } else {
            self.capacity().saturating_sub(self.used())
        };
        let limit = BATCH_BYTES_MAX.min(usize::try_from(room).unwrap_or(usize::MAX));
        let mut bytes = 0;
        let mut batch = Vec::with_capacity(line.len());
        while let Some(request) = line.front() {
            bytes += request.bytes();
            if bytes > limit && !batch.is_empty() {
                break;
            }
            batch.extend(line.pop_front());
        }
        batch
    }

    fn make_room(&mut self, batch: &[Request]) -> Result<(), Fault> {
        if self.must_roll(batch.first().map_or(0, Request::bytes)) {
            self.roll()?;
        }
        Ok(())
    }

    /// Fills the buffer and returns the head there will be.
    fn encode(&mut self, batch: &[Request]) -> Result<Head, Fault> {
        self.buffer.clear();
        self.hashes.clear();
        let mut head = self.head;
        for record in batch.iter().flat_map(Request::records) {
            let bytes = envelope::record_bytes(&record.payload) as u64;
            let next = head.next_position.0.checked_add(bytes);
            let (Some(next), Some(sequence)) = (next, head.sequence.checked_add(1)) else {
                return Err(Fault::Stall(AppendError::Exhausted));
            };
            let header = Header {
                format: FORMAT,
                kind: record.kind,
                key_id: record.key_id,
                position: head.next_position.0,
                sequence,
                time_micros: record.time_micros,
                durable_before: self.durable.0,
                writer: self.options.writer.0,
                previous_hash: head.hash,
            };
            let hash = envelope::encode(&mut self.buffer, &header, &record.payload);
            self.hashes.push(hash);
            head = Head {
                next_position: Position(next),
                sequence,
                hash,
            };
        }
        Ok(head)
    }

    fn write(&mut self) -> Result<(), Fault> {
        let offset = segment::offset_of(self.segment.base, self.head.next_position.0);
        let disk = Arc::clone(&self.options.disk);
        let bytes = self.buffer.len();
        let end = self.head.next_position.0 + bytes as u64;
        self.fill_page(offset);
        let written = disk.write_all_at(&self.segment.file, &self.buffer, offset);
        self.buffer.truncate(bytes);
        if let Err(error) = written {
            return Err(self.take_back(error, offset));
        }
        self.segment.file_bytes = self.segment.file_bytes.max(offset + bytes as u64);
        let due = self.options.ack == Ack::Durable || self.last_sync.elapsed() >= SYNC_DELAY_MAX;
        if due {
            self.sync_to(Position(end)).map_err(Fault::Final)
        } else {
            Ok(())
        }
    }

    /// Goes on to the end of the page with the zeros that stand there already. Of a page that is
    /// written whole the kernel need not read what was there.
    fn fill_page(&mut self, offset: u64) {
        let end = offset + self.buffer.len() as u64;
        let page_end = end.next_multiple_of(PAGE_BYTES as u64);
        if page_end <= self.segment.file_bytes {
            // Less than a page.
            let zeros = (page_end - end) as usize;
            self.buffer.resize(self.buffer.len() + zeros, 0);
        }
    }

    /// Cuts off what a failed write left, durably: nobody may find later what was refused now.
    fn take_back(&mut self, error: io::Error, offset: u64) -> Fault {
        self.segment.file_bytes = self.segment.file_bytes.min(offset);
        let disk = &self.options.disk;
        let taken = disk
            .set_len(&self.segment.file, offset)
            .and_then(|()| disk.sync_data(&self.segment.file));
        match taken {
            Ok(()) => Fault::stall(error),
            Err(error) => Fault::Final(error),
        }
    }

    fn publish(&mut self, head: Head, batch: Vec<Request>) {
        let mut at = self.head;
        let mut hashes = self.hashes.iter().copied();
        let mut place = |record: &NewRecord| {
            let appended = Appended {
                position: at.next_position,
                sequence: at.sequence + 1,
                // One was made for each record.
                hash: hashes.next().unwrap_or_default(),
            };
            at.next_position.0 += envelope::record_bytes(&record.payload) as u64;
            at.sequence += 1;
            appended
        };
        let waiters: Vec<Waiter> = batch
            .into_iter()
            .map(|request| {
                self.shared.queue.release(&request);
                match request {
                    Request::One { record, reply } => Waiter::One(reply, place(&record)),
                    Request::Run { records, reply } => {
                        Waiter::Run(reply, records.iter().map(&mut place).collect())
                    }
                }
            })
            .collect();
        self.count(head);
        self.head = head;
        self.shared.head.send_replace(head);
        self.recovered();
        self.prepare_next();
        if self.buffer.capacity() > 2 * BATCH_BYTES_MAX {
            self.buffer = Vec::new();
        }
        self.answer(waiters);
    }

    /// Answers a batch. From inside the runtime a waiting task is woken by putting it in line; from
    /// this thread each would cost a lock and perhaps a system call, and the next batch would wait.
    fn answer(&self, waiters: Vec<Waiter>) {
        let refused = match &self.answers {
            Some(answers) if waiters.len() > 1 => answers.send(waiters).err().map(|e| e.0),
            _ => Some(waiters),
        };
        refused.into_iter().flatten().for_each(Waiter::answer);
    }

    fn count(&self, head: Head) {
        let counters = &self.shared.counters;
        let records = head.sequence - self.head.sequence;
        counters.records.fetch_add(records, Ordering::Relaxed);
        counters
            .bytes
            .fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        counters.batches.fetch_add(1, Ordering::Relaxed);
        counters.largest_batch.fetch_max(records, Ordering::Relaxed);
    }

    fn answer_refused(&self, request: Request, error: AppendError) {
        self.shared.queue.release(&request);
        request.refuse(error);
    }

    // The segment.

    /// Bytes of records in the segment.
    fn used(&self) -> u64 {
        self.head.next_position.0 - self.segment.base
    }

    /// Bytes of records for which the segment has room.
    fn capacity(&self) -> u64 {
        self.options
            .segment_bytes
            .saturating_sub(SEGMENT_HEADER_BYTES as u64)
    }

    /// A record larger than a segment gets one of its own.
    fn must_roll(&self, bytes: usize) -> bool {
        self.used() > 0 && self.used().saturating_add(bytes as u64) > self.capacity()
    }

    /// Seals the segment and goes on in a new one. See INVARIANT (no half segment).
    fn roll(&mut self) -> Result<(), Fault> {
        self.sync().map_err(Fault::Final)?;
        let header = SegmentHeader {
            log_id: self.shared.log_id,
            base: self.head.next_position.0,
            first_sequence: self.head.sequence.saturating_add(1),
            hash_before: self.head.hash,
        };
        // Not waiting for a preparation that is still under way: growing is slower, but no stall.
        let ready = self
            .preparation
            .take_if(|preparation| preparation.is_finished());
        let blank = ready.and_then(Preparation::take);
        let file = segment::create(&self.dir, header, blank, self.options.disk.as_ref()).map_err(
            |error| match error {
                CreateError::NotMade(error) => Fault::stall(error),
                CreateError::NotSynced(error) => Fault::Final(error),
            },
        )?;
        // Its name is durable already; without its length nothing can be written behind its records.
        let active = Active::new(file, header.base).map_err(Fault::Final)?;
        self.trim();
        self.shared.segments.add(header.base);
        self.segment = active;
        self.preparation_tried = self.preparation.is_some();
        self.shared.counters.rolls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back the unused zeros of the sealed segment. Only tidiness: zeros do no harm.
    fn trim(&self) {
        let end = segment::offset_of(self.segment.base, self.head.next_position.0);
        if let Err(error) = self.options.disk.set_len(&self.segment.file, end) {
            tracing::debug!(%error, "a sealed journal segment keeps its unused end");
        }
    }

    /// Has the next segment made beside us once this one is half full; tried once per segment.
    fn prepare_next(&mut self) {
        if self.options.preallocate && !self.preparation_tried && self.used() >= self.capacity() / 2
        {
            self.preparation_tried = true;
            let disk = Arc::clone(&self.options.disk);
            self.preparation = Preparation::start(&self.dir, self.options.segment_bytes, disk);
        }
    }

    // Durability and health.

    fn sync(&mut self) -> io::Result<()> {
        if self.durable < self.head.next_position {
            self.sync_to(self.head.next_position)
        } else {
            Ok(())
        }
    }

    fn sync_to(&mut self, end: Position) -> io::Result<()> {
        self.options.disk.sync_data(&self.segment.file)?;
        self.shared.counters.fsyncs.fetch_add(1, Ordering::Relaxed);
        self.durable = end;
        self.last_sync = Instant::now();
        Ok(())
    }

    fn stall(&self, source: &Arc<io::Error>) {
        let mut health = self.shared.health.write();
        if matches!(*health, Health::Healthy) {
            tracing::error!(dir = %self.dir.display(), error = %source, "the journal is stalled: the disk refuses writes");
        }
        *health = Health::Stalled(Arc::clone(source));
    }

    /// How long to wait for requests before something else is due.
    fn patience(&self) -> Option<Duration> {
        if matches!(*self.shared.health.read(), Health::Stalled(_)) {
            Some(PROBE_EVERY)
        } else {
            (self.durable < self.head.next_position).then_some(SYNC_DELAY_MAX)
        }
    }

    /// A disk that takes a file of zeros takes records too; if not, the next append finds out.
    fn look_again(&self) {
        let stalled = matches!(*self.shared.health.read(), Health::Stalled(_));
        if stalled && probe::takes_writes(&self.dir, self.options.disk.as_ref()).is_ok() {
            self.recovered();
        }
    }

    fn recovered(&self) {
        if matches!(*self.shared.health.read(), Health::Stalled(_)) {
            tracing::info!(dir = %self.dir.display(), "the journal writes again");
            *self.shared.health.write() = Health::Healthy;
        }
    }

    fn fail(&self, error: io::Error) -> Arc<io::Error> {
        tracing::error!(dir = %self.dir.display(), %error, "the journal failed: the disk did not confirm");
        let source = Arc::new(error);
        *self.shared.health.write() = Health::Failed(Arc::clone(&source));
        self.shared.queue.refuse_further(AppendError::Failed {
            source: Arc::clone(&source),
        });
        source
    }

    fn finish(&mut self) {
        if let Some(preparation) = self.preparation.take() {
            preparation.abandon();
        }
        if matches!(*self.shared.health.read(), Health::Failed(_)) {
            return;
        }
        if let Err(error) = self.sync() {
            self.fail(error);
            return;
        }
        let mark = Mark {
            log_id: self.shared.log_id,
            head: self.head,
        };
        if let Err(error) = mark.write(&self.dir, self.options.disk.as_ref()) {
            tracing::warn!(dir = %self.dir.display(), %error, "the journal closed without its mark");
        }
        *self.shared.health.write() = Health::Closed;
    }
}

impl Fault {
    fn stall(error: io::Error) -> Self {
        Self::Stall(AppendError::Stalled {
            source: Arc::new(error),
        })
    }
}

/// A task of the runtime, if there is one, that answers whole batches.
fn answers() -> Option<mpsc::UnboundedSender<Vec<Waiter>>> {
    let runtime = Handle::try_current().ok()?;
    let (send, mut batches) = mpsc::unbounded_channel::<Vec<Waiter>>();
    runtime.spawn(async move {
        while let Some(batch) = batches.recv().await {
            batch.into_iter().for_each(Waiter::answer);
        }
    });
    Some(send)
}

impl Waiter {
    /// A caller who left is no error: the record stands all the same.
    fn answer(self) {
        match self {
            Self::One(reply, appended) => drop(reply.send(Ok(appended))),
            Self::Run(reply, appended) => drop(reply.send(Ok(appended))),
        }
    }
}

/// Tells everybody that the writer is gone, even if it panicked.
struct EndOfLife(Arc<Shared>);

impl Drop for EndOfLife {
    fn drop(&mut self) {
        self.0.queue.refuse_further(AppendError::Closed);
        self.0.queue.refuse_waiting();
        let mut health = self.0.health.write();
        if matches!(*health, Health::Healthy | Health::Stalled(_)) {
            *health = Health::Closed;
        }
        drop(health);
        self.0.ended.send_replace(true);
    }
}
