//! A candidate beside the book in force: every live event is decided a second time, and what is
//! different is counted and kept. Answers are not touched.
//!
//! What was decided goes into a bounded line to a thread of its own; when the line is full, the event
//! is counted as not compared. Nothing on the way of a check waits for it. A verdict whose record then
//! fails is compared all the same: it was decided.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;

use arc_swap::ArcSwapOption;
use creditgate_measures::book::{Book, SourceFile};
use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::lists::Lists;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::Verdict;
use creditgate_measures::{Question, decide};
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::{BookFile, ShadowRecord};
use creditgate_proto::records::kind;
use creditgate_proto::v1;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::{Ack, Journal, NewRecord, OpenError, Options};
use creditgate_runtime::metrics::{Metrics, NotCompared};
use creditgate_runtime::ports::History;
use creditgate_runtime::sealed::{Sealer, purpose};
use creditgate_runtime::telemetry::names::field;
use parking_lot::Mutex;
use prost::Message;

use crate::simulate::compare::{Change, Told};
use crate::simulate::random_id;
use crate::simulate::report::{RowTally, TransitionTally};

/// Decided events that may wait to be compared: some ten megabytes of usual ones.
const LINE: usize = 4_096;

/// About how many bytes they may hold, however large they are.
const LINE_BYTES: usize = 64 << 20;

/// Differences kept of one shadow; later ones are only counted.
const KEPT_MAX: u64 = 100_000;

/// Differences written at once.
const RUN: usize = 256;

/// One file holds some ten thousand differences.
const SEGMENT_BYTES: u64 = 4 << 20;

/// The file that makes a shadow survive a restart.
const BOOK: &str = "book";

/// Why a shadow cannot be set or found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("keep the shadow in `{}`", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("open the journal of differences")]
    Open(#[from] OpenError),
    #[error("start the thread that compares")]
    Thread(#[source] std::io::Error),
    #[error("make an id: the system gives no random bytes")]
    Id,
}

/// The shadow of a gate, if there is one.
pub(crate) struct Shadow {
    dir: PathBuf,
    sealer: Option<Sealer>,
    metrics: Metrics,
    /// All that a check looks at while there is none.
    set: AtomicBool,
    running: ArcSwapOption<Running>,
    worker: Mutex<Option<JoinHandle<()>>>,
    not_running: Mutex<String>,
}

/// A shadow that runs. Its worker ends when this is dropped.
pub(crate) struct Running {
    line: SyncSender<Box<Decided>>,
    side: Arc<Side>,
}

/// What a shadow and its worker have in common.
struct Side {
    record: ShadowRecord,
    book: Arc<Book>,
    counted_since: Time,
    metrics: Metrics,
    journal: Journal,
    room: Room,
    busy: AtomicU64,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    same: u64,
    different: u64,
    name_table: u64,
    not_kept: u64,
    transitions: TransitionTally,
    rows: RowTally,
}

/// Bytes that what waits may hold.
struct Room {
    max: usize,
    taken: AtomicUsize,
}

impl Room {
    const fn of(max: usize) -> Self {
        Self {
            max,
            taken: AtomicUsize::new(0),
        }
    }

    /// Takes so many bytes, if there are so many left.
    fn take(&self, bytes: usize) -> bool {
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.max;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A shadow that is ready to compare; its thread waits.
struct Prepared {
    running: Running,
    worker: JoinHandle<()>,
}

/// An event that was decided with the book in force.
struct Decided {
    /// What it took of the room.
    bytes: usize,
    event: Event,
    case: CaseView,
    lists: Lists,
    lists_behind: bool,
    verdict: Verdict,
}

impl Shadow {
    /// The shadow below a data directory, running again if one was set; what it keeps is sealed or not as verdicts are. Blocks
    /// on the disk.
    pub(crate) fn open(
        data_dir: &Path,
        verdicts: Option<&Sealer>,
        metrics: Metrics,
        live: &Book,
        history: &dyn History,
        now: Time,
    ) -> Self {
        let shadow = Self {
            dir: data_dir.join("shadow"),
            sealer: verdicts.map(|sealer| sealer.sibling(purpose::SHADOW)),
            metrics,
            set: AtomicBool::new(false),
            running: ArcSwapOption::empty(),
            worker: Mutex::default(),
            not_running: Mutex::default(),
        };
        if let Err(why) = shadow.resume(live, history, now) {
            tracing::warn!({ field::REASON } = %why, "the shadow does not run");
            *shadow.not_running.lock() = why;
        }
        shadow
    }

    fn resume(&self, live: &Book, history: &dyn History, now: Time) -> Result<(), String> {
        let told = |error: &(dyn std::error::Error + 'static)| Chain(error).to_string();
        let bytes = match std::fs::read(self.dir.join(BOOK)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(told(&error)),
        };
        let mut record = ShadowRecord::decode(bytes.as_slice()).map_err(|error| told(&error))?;
        let files: Vec<SourceFile> = record
            .files
            .iter()
            .map(|file| SourceFile::new(file.path.clone(), file.text.clone()))
            .collect();
        let candidate = history
            .candidate(live.version(), &files)
            .map_err(|error| told(&error))?;
        let book = candidate.book;
        self.note_version(&mut record, &book)
            .map_err(|error| told(&error))?;
        let shadow_id = record.shadow_id.clone();
        let prepared = self
            .prepare(record, Arc::new(book), now)
            .map_err(|error| told(&error))?;
        self.run(prepared);
        self.remove_differences(Some(&shadow_id));
        Ok(())
    }

    /// The same files are another book under another deployment: what was kept of the one before
    /// does not go on under its name.
    fn note_version(&self, record: &mut ShadowRecord, book: &Book) -> Result<(), Error> {
        let version = book.version().to_string();
        if record.book_version == version {
            return Ok(());
        }
        if !record.book_version.is_empty() {
            let shadow_id = random_id().ok_or(Error::Id)?;
            tracing::warn!(
                shadow_id,
                before = record.shadow_id,
                book_version = version,
                book_version_before = record.book_version,
                "the deployment makes another book of the shadow's files: it begins anew"
            );
            record.shadow_id = shadow_id;
        }
        record.book_version = version;
        self.write(record)
    }

    /// Sets a shadow in the place of the one before, which goes on when the new one cannot be kept.
    /// Blocks.
    pub(crate) fn set(
        &self,
        record: ShadowRecord,
        book: Arc<Book>,
        now: Time,
    ) -> Result<(), Error> {
        let shadow_id = record.shadow_id.clone();
        let prepared = self.prepare(record.clone(), book, now)?;
        if let Err(error) = self.write(&record) {
            let Prepared { running, worker } = prepared;
            drop(running);
            let _ = worker.join();
            // What cannot go now goes with the next shadow.
            let _ = std::fs::remove_dir_all(self.differences(&shadow_id));
            return Err(error);
        }
        self.stop();
        self.run(prepared);
        self.remove_differences(Some(&shadow_id));
        Ok(())
    }

    /// Ends the shadow; what it had compared. Blocks.
    pub(crate) fn clear(&self) -> Result<Option<v1::ShadowState>, Error> {
        let path = self.dir.join(BOOK);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Io { path, source });
            }
            _ => {}
        }
        let ended = self.stop();
        self.remove_differences(None);
        Ok(ended)
    }

    /// Ends comparing; a shadow that was set stays set for the next start. Blocks.
    pub(crate) fn stop(&self) -> Option<v1::ShadowState> {
        self.set.store(false, Ordering::Relaxed);
        let running = self.running.swap(None);
        let side = running.as_ref().map(|running| Arc::clone(&running.side));
        // The worker ends once nobody holds the line any more.
        drop(running);
        if let Some(worker) = self.worker.lock().take() {
            // A panic in it has been printed.
            let _ = worker.join();
        }
        self.not_running.lock().clear();
        side.map(|side| side.state())
    }

    fn prepare(&self, record: ShadowRecord, book: Arc<Book>, now: Time) -> Result<Prepared, Error> {
        let options = Options {
            ack: Ack::Written,
            ..crate::simulate::small_journal(SEGMENT_BYTES, self.sealer.clone())
        };
        let (journal, _) = Journal::open(self.differences(&record.shadow_id), options)?;
        let side = Arc::new(Side {
            record,
            book,
            counted_since: now,
            metrics: self.metrics.clone(),
            journal,
            room: Room::of(LINE_BYTES),
            busy: AtomicU64::new(0),
            counts: Mutex::default(),
        });
        let (line, decided) = std::sync::mpsc::sync_channel(LINE);
        let working = Arc::clone(&side);
        let worker = std::thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || working.work(&decided))
            .map_err(Error::Thread)?;
        Ok(Prepared {
            running: Running { line, side },
            worker,
        })
    }

    fn run(&self, Prepared { running, worker }: Prepared) {
        *self.worker.lock() = Some(worker);
        self.running.store(Some(Arc::new(running)));
        self.set.store(true, Ordering::Relaxed);
    }

    fn differences(&self, shadow_id: &str) -> PathBuf {
        self.dir.join(format!("differences-{shadow_id}"))
    }

    /// Differences of other shadows than this one go: a simulation finds them again.
    fn remove_differences(&self, but_of: Option<&str>) {
        let stay = but_of.map(|shadow_id| self.differences(shadow_id));
        for item in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = item.path();
            if item
                .file_name()
                .to_string_lossy()
                .starts_with("differences-")
                && stay.as_ref() != Some(&path)
                && let Err(error) = std::fs::remove_dir_all(&path)
            {
                tracing::warn!(dir = %path.display(), %error, "old differences stay");
            }
        }
    }

    /// Writes the file anew, whole or not at all.
    fn write(&self, record: &ShadowRecord) -> Result<(), Error> {
        let io = |source| Error::Io {
            path: self.dir.clone(),
            source,
        };
        std::fs::create_dir_all(&self.dir).map_err(io)?;
        let new = self.dir.join("book.new");
        let mut file = std::fs::File::create(&new).map_err(io)?;
        file.write_all(&record.encode_to_vec()).map_err(io)?;
        file.sync_all().map_err(io)?;
        std::fs::rename(&new, self.dir.join(BOOK)).map_err(io)?;
        let dir = std::fs::File::open(&self.dir).map_err(io)?;
        dir.sync_all().map_err(io)
    }

    /// Offers a decision for comparison. Never waits.
    #[inline]
    pub(crate) fn offer(
        &self,
        event: &Event,
        case: &CaseView,
        lists: &Lists,
        lists_behind: bool,
        verdict: &Verdict,
    ) {
        if self.set.load(Ordering::Relaxed) {
            self.offer_to_running(event, case, lists, lists_behind, verdict);
        }
    }

    #[cold]
    fn offer_to_running(
        &self,
        event: &Event,
        case: &CaseView,
        lists: &Lists,
        lists_behind: bool,
        verdict: &Verdict,
    ) {
        let running = self.running.load();
        let Some(running) = running.as_deref() else {
            return;
        };
        let bytes = weight(event, case, verdict);
        let room = &running.side.room;
        if !room.take(bytes) {
            return self.not_compared(&running.side);
        }
        let decided = Box::new(Decided {
            bytes,
            event: event.clone(),
            case: case.clone(),
            lists: lists.clone(),
            lists_behind,
            verdict: verdict.clone(),
        });
        if running.line.try_send(decided).is_err() {
            room.give_back(bytes);
            self.not_compared(&running.side);
        }
    }

    fn not_compared(&self, side: &Side) {
        side.busy.fetch_add(1, Ordering::Relaxed);
        self.metrics.shadow_not_compared(NotCompared::Busy);
    }

    /// The state, and why a shadow that was set does not run.
    pub(crate) fn status(&self) -> (Option<v1::ShadowState>, String) {
        let running = self.running.load();
        let state = running.as_deref().map(|running| running.side.state());
        (state, self.not_running.lock().clone())
    }

    /// The journal of differences, while a shadow runs.
    pub(crate) fn journal(&self) -> Option<Journal> {
        let running = self.running.load();
        running
            .as_deref()
            .map(|running| running.side.journal.clone())
    }
}

impl Side {
    /// Compares until nobody offers any more.
    fn work(&self, line: &Receiver<Box<Decided>>) {
        let mut differences = Vec::new();
        while let Ok(first) = line.recv() {
            differences.extend(self.take(first));
            while differences.len() < RUN
                && let Ok(next) = line.try_recv()
            {
                differences.extend(self.take(next));
            }
            self.keep(std::mem::take(&mut differences));
        }
        // What was kept is durable then, whatever the journal says.
        let _ = self.journal.close_blocking();
    }

    /// Compares, and gives the room back.
    fn take(&self, decided: Box<Decided>) -> Option<NewRecord> {
        let difference = self.compare(&decided);
        let bytes = decided.bytes;
        drop(decided);
        self.room.give_back(bytes);
        difference
    }

    /// Decides a second time; the difference, if there is one.
    fn compare(&self, decided: &Decided) -> Option<NewRecord> {
        let Decided {
            event,
            case,
            lists,
            lists_behind,
            verdict,
            ..
        } = decided;
        if !lists.normalised_by(self.book.simplify()) {
            self.counts.lock().name_table += 1;
            self.metrics.shadow_not_compared(NotCompared::NameTable);
            return None;
        }
        let question = Question {
            event,
            cause: &verdict.cause,
            supersedes: verdict.supersedes,
            lists_behind: *lists_behind,
        };
        let new = decide(question, verdict.evaluated_at, case, lists, &self.book);
        let (old, new) = (Told::by(verdict), Told::by(&new));
        if old.change_to(&new) == Change::Nothing {
            self.counts.lock().same += 1;
            self.metrics.shadow_same();
            return None;
        }
        let (from, to) = (old.decision.outcome, new.decision.outcome);
        let changes = old.row_changes(&new);
        self.metrics.shadow_different(from.code(), to.code());
        let mut counts = self.counts.lock();
        counts.different += 1;
        counts.transitions.count(from, to);
        for change in &changes {
            counts.rows.count(change);
            self.metrics.shadow_row(change.row);
        }
        drop(counts);
        let difference = v1::ShadowDifference {
            verdict_id: verdict.verdict_id.to_string(),
            evaluated_at: Some(time_to_proto(verdict.evaluated_at)),
            live_book_version: verdict.book_version.to_string(),
            list_version: verdict.list_version.to_string(),
            source: event.source.as_str().to_owned(),
            scenario: event.scenario.as_str().to_owned(),
            stage: event.stage.as_str().to_owned(),
            old: from.code().to_owned(),
            new: to.code().to_owned(),
            rows: changes.iter().map(|change| change.to_proto()).collect(),
        };
        Some(NewRecord::new(
            kind::SHADOW_DIFFERENCE,
            verdict.evaluated_at.micros(),
            difference.encode_to_vec(),
        ))
    }

    fn keep(&self, mut differences: Vec<NewRecord>) {
        let all = differences.len() as u64;
        let room = KEPT_MAX.saturating_sub(self.journal.head().sequence);
        differences.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        let mut kept = differences.len() as u64;
        if let Err(error) = self.journal.append_all_blocking(differences) {
            tracing::warn!(%error, "differences of the shadow are counted and not kept");
            kept = 0;
        }
        self.counts.lock().not_kept += all - kept;
    }

    fn state(&self) -> v1::ShadowState {
        let counts = self.counts.lock();
        let not_compared = [
            (NotCompared::Busy, self.busy.load(Ordering::Relaxed)),
            (NotCompared::NameTable, counts.name_table),
        ];
        v1::ShadowState {
            shadow_id: self.record.shadow_id.clone(),
            book_version: self.book.version().to_string(),
            caller: self.record.caller.clone(),
            purpose: self.record.purpose.clone(),
            set_at: self.record.set_at,
            counted_since: Some(time_to_proto(self.counted_since)),
            compared: counts.same + counts.different,
            same: counts.same,
            different: counts.different,
            not_compared: not_compared
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(|(reason, count)| v1::NotCompared {
                    reason: reason.label().to_owned(),
                    count,
                })
                .collect(),
            transitions: counts.transitions.to_proto(),
            rows: counts.rows.to_proto(),
            kept: self.journal.head().sequence,
            not_kept: counts.not_kept,
        }
    }
}

/// About how many bytes a copy of what was decided holds. The lists are shared.
fn weight(event: &Event, case: &CaseView, verdict: &Verdict) -> usize {
    /// Texts of usual length that a participant, a row or an entry brings with it.
    const TEXTS: usize = 128;
    fn of<T>(items: &[T]) -> usize {
        std::mem::size_of_val(items) + items.len() * TEXTS
    }
    let names = event.subjects.iter().map(|subject| {
        let given = subject
            .given
            .as_ref()
            .map_or(0, |given| given.value.reveal().len());
        let name = subject.name.as_ref().map_or(0, |name| name.reveal().len());
        given + name
    });
    let rows = verdict.subjects.iter().map(|subject| {
        let incentives = of(&subject.offered) + of(&subject.withheld);
        of(&subject.flags) + of(&subject.triggered) + incentives
    });
    std::mem::size_of::<Decided>()
        + of(&event.subjects)
        + names.sum::<usize>()
        + event.attributes.len() * TEXTS
        + std::mem::size_of_val(case.checks.as_slice())
        + of(&verdict.parties)
        + of(&verdict.subjects)
        + rows.sum::<usize>()
        + of(&verdict.not_checked)
        + of(&verdict.explanation)
}

/// What is kept of a shadow that is set now.
pub(crate) fn record_of(
    shadow_id: String,
    book_version: String,
    book: &v1::CandidateBook,
    caller: &str,
    purpose: String,
    now: Time,
) -> ShadowRecord {
    let file = |file: &v1::CandidateFile| BookFile {
        path: file.path.clone(),
        text: file.text.clone(),
    };
    ShadowRecord {
        shadow_id,
        files: book.files.iter().map(file).collect(),
        caller: caller.to_owned(),
        purpose,
        set_at: Some(time_to_proto(now)),
        book_version,
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn room_is_bounded_and_comes_back() {
        let room = Room::of(100);
        assert!(room.take(60) && !room.take(41) && room.take(40));
        assert!(!room.take(1) && !room.take(usize::MAX / 2));
        room.give_back(60);
        assert!(room.take(60) && !room.take(1));
    }
}
