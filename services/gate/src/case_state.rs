//! The local copy of the case state: what others have decided becomes known here.
//!
//! One thread reads every partition of the topic and appends what is new to the local journal,
//! which is only a copy in this mode: thrown away, it is read back. The places up to which it was
//! read are written after the copy, with the number of its last record: where a power cut took that
//! record away they count for nothing, so a crash repeats and misses nothing.
//!
//! Where another process answered a slot that has its answer here, both are in the copy: the one that
//! came first stands, and the other one is found by its digest.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use creditgate_measures::verdict::VerdictId;
use creditgate_proto::decode::event_from_record;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::records::kind;
use creditgate_proto::{AnswerDigest, verdict_id_from_text};
use creditgate_runtime::errors::Chain;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal::{AppendError, NewRecord};
use creditgate_runtime::kafka::message::CaseState as Kind;
use creditgate_runtime::kafka::{self, Cluster, Incoming, Read, Reader, Topic};
use creditgate_runtime::live::Live;
use creditgate_runtime::telemetry::names::field;
use parking_lot::Mutex;
use prost::Message as _;
use tokio::runtime::Handle;

use crate::content::ContentKey;
use crate::records::{self, Case, Claim, Claimed, Draft, Learned, Records, Seen};

/// The name under which the copy speaks to readiness.
pub const COMPONENT: &str = "case_state";

/// Records taken at once, and their bytes.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 8 << 20;
/// How long the thread waits for a record before it looks around.
const WAIT: Duration = Duration::from_millis(20);
/// How often the places are written.
const REMEMBER_EVERY: Duration = Duration::from_secs(1);
/// Pause before the copy is tried again after it failed.
const RETRY: Duration = Duration::from_secs(1);

/// A handle on the copy.
pub(crate) struct CaseState {
    barriers: Mutex<BTreeMap<i32, u64>>,
    stop: AtomicBool,
    /// The end of the topic was reached once.
    read: AtomicBool,
    ended: AtomicBool,
}

/// What the thread needs of the gate.
pub(crate) struct Follower {
    pub state: Arc<CaseState>,
    pub records: Arc<Records>,
    pub content: Arc<ContentKey>,
    pub live: Live,
    pub readiness: Readiness,
    pub places: PathBuf,
    pub runtime: Handle,
    pub cluster: Cluster,
    pub partitions: u32,
}

/// Up to where the topic is in the copy: the next offset of each partition.
type Places = BTreeMap<i32, i64>;

/// What of a batch is new, on its way into the copy.
#[derive(Default)]
struct News {
    drafts: Vec<Draft>,
    slots: HashSet<VerdictId>,
}

/// Why a batch is not in the copy.
enum Untaken {
    /// The disk refuses writes, or cannot be read; the journal recovers by itself.
    Again,
    /// Only another start will tell what the journal holds, or it was closed.
    Ended,
}

impl CaseState {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            barriers: Mutex::default(),
            stop: AtomicBool::new(false),
            read: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    pub(crate) fn has_read(&self, partition: i32, barrier: u64) -> bool {
        self.barriers.lock().get(&partition) == Some(&barrier)
    }

    /// Whether the copy has what was on the topic when this process began to read it.
    pub(crate) fn is_read(&self) -> bool {
        self.read.load(Ordering::Acquire)
    }

    pub(crate) fn follows(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Follower {
    /// Begins to read; not ready until the end was reached once.
    pub(crate) fn start(self) -> Result<JoinHandle<()>, kafka::Error> {
        let known = read_places(&self.places, self.head());
        let reader = self.open(&known)?;
        let run = move || {
            self.run(reader, known);
            self.state.ended.store(true, Ordering::Relaxed);
        };
        Ok(std::thread::Builder::new()
            .name("case-state".to_owned())
            .spawn(run)
            .expect("the operating system has room for a thread"))
    }

    fn open(&self, known: &Places) -> Result<Reader, kafka::Error> {
        let from: Vec<(i32, Option<i64>)> = (0..self.partitions.cast_signed())
            .map(|partition| (partition, known.get(&partition).copied()))
            .collect();
        Reader::open(&self.cluster, Topic::CaseState, &from)
    }

    fn head(&self) -> u64 {
        self.records.journal().head().sequence
    }

    fn run(&self, mut reader: Reader, mut places: Places) {
        let mut ended = HashSet::new();
        let mut remembered = Instant::now();
        let mut changed = false;
        while !self.state.is_stopping() {
            let read = match self.next_batch(&reader, &mut ended) {
                // The topic was made anew. From its beginning on, what is known is recognised.
                Err(kafka::Error::Gone { .. }) if !places.is_empty() => {
                    tracing::warn!(
                        "the case state lacks the place where reading was to go on; it is read from its beginning"
                    );
                    places.clear();
                    self.open(&places).map(|anew| {
                        reader = anew;
                        Vec::new()
                    })
                }
                read => read,
            };
            let batch = match read {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::error!({ field::ERROR } = %Chain(&error), "the case state cannot be read");
                    let reason = Chain(&error).to_string();
                    return self.readiness.not_ready(COMPONENT, reason);
                }
            };
            if !batch.is_empty() {
                if !self.take_in_the_end(&batch) {
                    // The places stay behind: the next start reads these again.
                    return;
                }
                places.extend(batch.iter().map(|read| (read.partition, read.offset + 1)));
                changed = true;
            }
            if ended.len() == self.partitions as usize {
                self.readiness.ready(COMPONENT);
                self.state.read.store(true, Ordering::Release);
            }
            if changed && remembered.elapsed() >= REMEMBER_EVERY {
                write_places(&self.places, self.head(), &places);
                (remembered, changed) = (Instant::now(), false);
            }
        }
        write_places(&self.places, self.head(), &places);
    }

    /// Takes a batch, however often it must be tried; false when it never will be taken.
    fn take_in_the_end(&self, batch: &[Incoming]) -> bool {
        while !self.state.is_stopping() {
            if self.records.is_saturated() {
                std::thread::sleep(WAIT);
                continue;
            }
            match self.take(batch) {
                Ok(()) => return true,
                Err(Untaken::Again) => std::thread::sleep(RETRY),
                Err(Untaken::Ended) => return false,
            }
        }
        false
    }

    fn next_batch(
        &self,
        reader: &Reader,
        ended: &mut HashSet<i32>,
    ) -> Result<Vec<Incoming>, kafka::Error> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut wait = WAIT;
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            match reader.next(wait)? {
                Read::Record(record) => {
                    bytes += record.weight();
                    batch.push(record);
                }
                Read::End(partition) => {
                    ended.insert(partition);
                }
                Read::Nothing => break,
            }
            wait = Duration::ZERO;
        }
        Ok(batch)
    }

    /// Takes records into the copy. Barriers are passed after what is before them.
    fn take(&self, batch: &[Incoming]) -> Result<(), Untaken> {
        let mut news = News::default();
        let mut barriers = Vec::new();
        for read in batch {
            match Kind::of(read) {
                Kind::Barrier(number) => barriers.push((read.partition, number)),
                Kind::Record { verdict, digest } => {
                    if news.slots.contains(&verdict) {
                        self.append(&mut news)?;
                    }
                    self.consider(read, verdict, &digest, &mut news)?;
                }
                Kind::Unknown => tracing::warn!(
                    partition = read.partition,
                    offset = read.offset,
                    "a record of the case state is of no kind this version knows; it is passed over"
                ),
            }
        }
        self.append(&mut news)?;
        self.state.barriers.lock().extend(barriers);
        Ok(())
    }

    /// Puts a record among the news, unless this very answer of its slot is known.
    fn consider(
        &self,
        read: &Incoming,
        verdict: VerdictId,
        digest: &str,
        news: &mut News,
    ) -> Result<(), Untaken> {
        let answer = AnswerDigest::from_text(digest).unwrap_or_else(|| answer_of(read));
        let Some(claim) = self.runtime.block_on(self.claim(verdict, answer))? else {
            return Ok(());
        };
        match self.draft(read, claim, answer) {
            Ok(draft) => {
                news.slots.insert(verdict);
                news.drafts.push(draft);
            }
            Err(what) => tracing::error!(
                partition = read.partition,
                offset = read.offset,
                "a record of the case state lacks {what}; it is passed over"
            ),
        }
        Ok(())
    }

    /// The right to record this answer here, unless it is recorded.
    async fn claim(
        &self,
        verdict: VerdictId,
        answer: AnswerDigest,
    ) -> Result<Option<Claim>, Untaken> {
        loop {
            match self.records.claim(verdict) {
                Claimed::Mine(claim) => {
                    let before = self.records.recorded_before(verdict).await;
                    let Some(before) = before.map_err(|error| unreadable(&error))? else {
                        return Ok(Some(claim));
                    };
                    let known = before.record.verdict.as_ref().map(AnswerDigest::of);
                    if known == Some(answer) {
                        return Ok(None);
                    }
                    return self.claim_beside(verdict, answer).await;
                }
                // A check of this process is just about to record it itself.
                Claimed::Theirs(end) => end.await,
                Claimed::Before(..) => return self.claim_beside(verdict, answer).await,
                // The disk did not confirm it; passed over, it might be missing after a restart.
                Claimed::Unknown => {
                    return Err(self.failed(
                        "the disk did not confirm a record: restart, to find what is there",
                    ));
                }
            }
        }
    }

    /// The right to record an answer beside the one that stands, unless it is recorded.
    async fn claim_beside(
        &self,
        verdict: VerdictId,
        answer: AnswerDigest,
    ) -> Result<Option<Claim>, Untaken> {
        let known = self.records.answered(verdict, answer).await;
        let known = known.map_err(|error| unreadable(&error))?;
        Ok(known.is_none().then(|| {
            tracing::info!({ field::VERDICT_ID } = %verdict, "another process answered an event too; both answers are kept");
            self.records.claim_beside(verdict)
        }))
    }

    fn draft(
        &self,
        read: &Incoming,
        claim: Claim,
        answer: AnswerDigest,
    ) -> Result<Draft, &'static str> {
        let payload = read.payload.as_deref().ok_or("its payload")?;
        let record = VerdictRecord::decode(payload).map_err(|_| "its form")?;
        let event = event_from_record(&record).map_err(|_| "its event")?;
        let verdict = record.verdict.unwrap_or_default();
        let evaluated_at = verdict
            .evaluated_at
            .as_ref()
            .and_then(time_from_proto)
            .ok_or("the time of its verdict")?;
        let supersedes = verdict
            .supersedes
            .as_deref()
            .map(|text| verdict_id_from_text(text).ok_or("the verdict whose place it takes"))
            .transpose()?;
        let book = &self.live.load().book;
        let seen = Seen::of(&event, &verdict.cause, evaluated_at, book);
        Ok(Draft {
            claim,
            learned: Learned {
                digest: self.content.digest(&event),
                answer,
                case: Case::new(event.case_id),
                seen,
                supersedes,
            },
            record: NewRecord::new(kind::VERDICT, evaluated_at.micros(), payload.to_vec()),
        })
    }

    fn append(&self, news: &mut News) -> Result<(), Untaken> {
        news.slots.clear();
        let drafts = std::mem::take(&mut news.drafts);
        let records = Arc::clone(&self.records);
        match self.runtime.block_on(records.append_in_runs(drafts)) {
            Ok(_) => Ok(()),
            Err(AppendError::Closed) => Err(Untaken::Ended),
            Err(error @ AppendError::Stalled { .. }) => {
                tracing::error!(%error, "the copy of the case state takes no records; trying again");
                Err(Untaken::Again)
            }
            Err(error) => {
                tracing::error!(%error, "the copy of the case state takes no records");
                Err(self.failed(
                    "the local copy of the case state takes no records: look at the disk, and restart",
                ))
            }
        }
    }

    fn failed(&self, reason: &str) -> Untaken {
        self.readiness.not_ready(COMPONENT, reason);
        Untaken::Ended
    }
}

/// The answer that a record tells where its key does not.
fn answer_of(read: &Incoming) -> AnswerDigest {
    let payload = read.payload.as_deref().unwrap_or_default();
    let verdict = VerdictRecord::decode(payload)
        .ok()
        .and_then(|record| record.verdict);
    verdict.as_ref().map(AnswerDigest::of).unwrap_or_default()
}

fn unreadable(error: &records::Error) -> Untaken {
    tracing::error!({ field::ERROR } = %Chain(error), "the copy of the case state cannot be read; trying again");
    Untaken::Again
}

/// Where the places stand: beside the copy, so that they go when it goes.
pub(crate) fn places(data_dir: &Path) -> PathBuf {
    records::journal_dir(data_dir).join("case-state.places")
}

/// Places as lines of `partition offset`, after a line with the number of the copy's last record.
/// Where the file is missing or garbled, or knows of more records than the copy has, there is no
/// place: reading begins at the beginning, and what is known is recognised.
fn read_places(path: &Path, head: u64) -> Places {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let written_at = lines.next().and_then(|line| line.parse::<u64>().ok());
    if written_at.is_none_or(|written_at| written_at > head) {
        return Places::new();
    }
    let place = |line: &str| -> Option<(i32, i64)> {
        let (partition, offset) = line.split_once(' ')?;
        Some((partition.parse().ok()?, offset.parse().ok()?))
    };
    lines.map(place).collect::<Option<_>>().unwrap_or_default()
}

fn write_places(path: &Path, head: u64, places: &Places) {
    let lines = places
        .iter()
        .map(|(partition, offset)| format!("{partition} {offset}\n"));
    let text: String = std::iter::once(format!("{head}\n")).chain(lines).collect();
    let new = path.with_extension("new");
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
    if let Err(error) = written {
        tracing::warn!(%error, { field::PATH } = %path.display(), "the places in the case state are not remembered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_written_unless_they_are_garbled_or_ahead_of_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("places");
        assert_eq!(read_places(&path, 9), Places::new());
        let places = Places::from([(0, 17), (3, 0)]);
        write_places(&path, 9, &places);
        assert_eq!(read_places(&path, 9), places);
        assert_eq!(read_places(&path, 8), Places::new());
        std::fs::write(&path, "9\n0 17\n3").unwrap();
        assert_eq!(read_places(&path, 9), Places::new());
    }
}
