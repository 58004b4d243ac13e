//! The local copy of the case state: what others have decided becomes known here.
//!
//! One thread reads every partition of the topic and appends what is new to the local journal,
//! which is only a copy in this mode: thrown away, it is read back. The places up to which it was
//! read are written after the copy is durable, so a crash repeats a little and misses nothing.

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
use crate::records::{self, Case, Claim, Claimed, Draft, Records, Seen};

/// The name under which the copy speaks to readiness.
pub const COMPONENT: &str = "case_state";

/// Records appended at once.
const BATCH: usize = 1_000;
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
}

/// What of a batch is new, on its way into the copy.
#[derive(Default)]
struct News {
    drafts: Vec<Draft>,
    slots: HashSet<VerdictId>,
}

impl CaseState {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            barriers: Mutex::default(),
            stop: AtomicBool::new(false),
        })
    }

    pub(crate) fn has_read(&self, partition: i32, barrier: u64) -> bool {
        self.barriers.lock().get(&partition) == Some(&barrier)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Follower {
    /// Begins to read; not ready until the end was reached once.
    pub(crate) fn start(
        self,
        cluster: &Cluster,
        partitions: u32,
    ) -> Result<JoinHandle<()>, kafka::Error> {
        let known = read_places(&self.places);
        let from: Vec<(i32, Option<i64>)> = (0..partitions.cast_signed())
            .map(|partition| (partition, known.get(&partition).copied()))
            .collect();
        let reader = Reader::open(cluster, Topic::CaseState, &from)?;
        let run = move || self.run(&reader, known, from.len());
        Ok(std::thread::Builder::new()
            .name("case-state".to_owned())
            .spawn(run)
            .expect("the operating system has room for a thread"))
    }

    fn run(self, reader: &Reader, mut places: BTreeMap<i32, i64>, partitions: usize) {
        let mut ended = HashSet::new();
        let mut remembered = Instant::now();
        let mut changed = false;
        while !self.state.stop.load(Ordering::Relaxed) {
            match self.next_batch(reader, &mut ended) {
                Ok(batch) if batch.is_empty() => {}
                Ok(batch) => {
                    if !self.take(&batch) {
                        // The places stay behind: the next start reads these again.
                        return;
                    }
                    places.extend(batch.iter().map(|read| (read.partition, read.offset + 1)));
                    changed = true;
                }
                Err(error) => {
                    tracing::error!({ field::ERROR } = %Chain(&error), "the case state cannot be read");
                    self.readiness
                        .not_ready(COMPONENT, Chain(&error).to_string());
                    return;
                }
            }
            if ended.len() == partitions {
                self.readiness.ready(COMPONENT);
            }
            if changed && remembered.elapsed() >= REMEMBER_EVERY {
                write_places(&self.places, &places);
                (remembered, changed) = (Instant::now(), false);
            }
        }
        write_places(&self.places, &places);
    }

    fn next_batch(
        &self,
        reader: &Reader,
        ended: &mut HashSet<i32>,
    ) -> Result<Vec<Incoming>, kafka::Error> {
        let mut batch = Vec::new();
        let mut wait = WAIT;
        while batch.len() < BATCH {
            match reader.next(wait)? {
                Read::Record(record) => batch.push(record),
                Read::End(partition) => {
                    ended.insert(partition);
                }
                Read::Nothing => break,
            }
            wait = Duration::ZERO;
        }
        Ok(batch)
    }

    /// Takes records into the copy; false when it takes none. Barriers are passed after what is
    /// before them.
    fn take(&self, batch: &[Incoming]) -> bool {
        let mut news = News::default();
        let mut barriers = Vec::new();
        for read in batch {
            match Kind::of(read) {
                Kind::Barrier(number) => barriers.push((read.partition, number)),
                Kind::Record { verdict, .. } => {
                    if news.slots.contains(&verdict) && !self.append(&mut news) {
                        return false;
                    }
                    self.consider(read, verdict, &mut news);
                }
                Kind::Unknown => tracing::warn!(
                    partition = read.partition,
                    offset = read.offset,
                    "a record of the case state is of no kind this version knows; it is passed over"
                ),
            }
        }
        if !self.append(&mut news) {
            return false;
        }
        self.state.barriers.lock().extend(barriers);
        true
    }

    /// Puts a record among the news, unless its slot is known.
    fn consider(&self, read: &Incoming, verdict: VerdictId, news: &mut News) {
        let claim = loop {
            match self.runtime.block_on(self.claim(verdict)) {
                Ok(None) => return,
                Ok(Some(claim)) => break claim,
                Err(error) => self.pause(&error),
            }
        };
        match self.draft(read, claim) {
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
    }

    /// The right to record the slot here, unless it is recorded.
    async fn claim(&self, verdict: VerdictId) -> Result<Option<Claim>, records::Error> {
        loop {
            match self.records.claim(verdict) {
                Claimed::Mine(claim) => {
                    let before = self.records.recorded_before(verdict).await?;
                    return Ok(before.is_none().then_some(claim));
                }
                // A check of this process is just about to record it itself.
                Claimed::Theirs(end) => end.await,
                Claimed::Before(..) | Claimed::Unknown => return Ok(None),
            }
        }
    }

    fn draft(&self, read: &Incoming, claim: Claim) -> Result<Draft, &'static str> {
        let payload = read.payload.as_deref().ok_or("its payload")?;
        let record = VerdictRecord::decode(payload).map_err(|_| "its form")?;
        let event = event_from_record(&record).map_err(|_| "its event")?;
        let evaluated_at = record
            .verdict
            .as_ref()
            .and_then(|verdict| verdict.evaluated_at.as_ref())
            .and_then(time_from_proto)
            .ok_or("the time of its verdict")?;
        let seen = Seen::of(&event, evaluated_at, &self.live.load().book);
        Ok(Draft {
            claim,
            digest: self.content.digest(&event),
            case: Case::new(event.case_id),
            seen,
            record: NewRecord::new(kind::VERDICT, evaluated_at.micros(), payload.to_vec()),
        })
    }

    /// Appends the news; false when the copy takes no records, as when its disk is full.
    fn append(&self, news: &mut News) -> bool {
        news.slots.clear();
        let drafts = std::mem::take(&mut news.drafts);
        if drafts.is_empty() {
            return true;
        }
        let appended = self
            .runtime
            .block_on(Arc::clone(&self.records).append_all(drafts));
        match appended {
            Ok(()) => true,
            Err(AppendError::Closed) => false,
            Err(error) => {
                tracing::error!(%error, "the copy of the case state takes no records");
                self.readiness.not_ready(
                    COMPONENT,
                    "the local copy of the case state takes no records: look at the disk, and restart",
                );
                false
            }
        }
    }

    fn pause(&self, error: &records::Error) {
        tracing::error!({ field::ERROR } = %Chain(error), "the copy of the case state cannot be read; trying again");
        std::thread::sleep(RETRY);
    }
}

/// Where the places stand: beside the copy, so that they go when it goes.
pub(crate) fn places(data_dir: &Path) -> PathBuf {
    records::journal_dir(data_dir).join("case-state.places")
}

/// Places as lines of `partition offset`. A file that is missing or garbled is no place: reading
/// begins at the beginning, and what is known is recognised.
fn read_places(path: &Path) -> BTreeMap<i32, i64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| -> Option<(i32, i64)> {
        let (partition, offset) = line.split_once(' ')?;
        Some((partition.parse().ok()?, offset.parse().ok()?))
    };
    text.lines()
        .map(line)
        .collect::<Option<_>>()
        .unwrap_or_default()
}

fn write_places(path: &Path, places: &BTreeMap<i32, i64>) {
    let text: String = places
        .iter()
        .map(|(partition, offset)| format!("{partition} {offset}\n"))
        .collect();
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
    fn places_are_read_as_written_and_garbled_ones_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("places");
        assert_eq!(read_places(&path), BTreeMap::new());
        let places = BTreeMap::from([(0, 17), (3, 0)]);
        write_places(&path, &places);
        assert_eq!(read_places(&path), places);
        std::fs::write(&path, "0 17\n3").unwrap();
        assert_eq!(read_places(&path), BTreeMap::new());
    }
}
