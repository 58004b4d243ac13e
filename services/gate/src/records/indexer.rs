//! The thread that moves records from memory into the index, and what happens to it at the start.
//!
//! It takes what was recorded from memory, not from the journal, which spares a second reading;
//! the journal fills in whatever memory cannot give.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use creditgate_measures::event::CaseId;
use creditgate_proto::records::kind;
use creditgate_proto::verdict_id_from_text;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::health::{Readiness, State};
use creditgate_runtime::journal::{self, Check, Health, Journal, Position, ReadError, Stats};
use creditgate_runtime::metrics::Metrics;
use creditgate_runtime::telemetry::names::field;
use prost::Message;

use super::cases::Cases;
use super::filter::Filters;
use super::slots::{Slots, Unindexed};
use super::successors::Recent;
use super::table::{Mark, Table};
use super::{Case, Error, Records, index_dir, journal_dir};
use crate::gate::COMPONENT;

/// How often the thread looks around.
const TICK: Duration = Duration::from_millis(100);

/// A batch is written when it is this large …
const BATCH: usize = 50_000;

/// … or its oldest record this old. Large batches are merged less often.
const BATCH_AGE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 5_000 });

/// How long a gap in the numbers may wait for its record to be settled before the journal is read.
const GAP_PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 2_000 });

/// Bytes of the largest run that is appended at once.
const RUN_BYTES_MAX: usize = 8 << 20;

/// Records of a batch at the start, when nobody waits.
const CATCH_UP_BATCH: usize = 200_000;

/// How often the progress of a long start is told.
const PROGRESS: Duration = Duration::from_secs(5);

/// How readiness begins to tell of a disk that takes no records for now.
const STALLED: &str = "the disk takes no records of verdicts, which is tried again until it does";

/// What the thread tells of the journal.
pub(crate) struct Watched {
    pub metrics: Metrics,
    pub readiness: Readiness,
}

/// The thread's handle. Dropping it ends the thread at once; what is not indexed then is read from
/// the journal at the next start.
pub(crate) struct Indexer {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Orders {
    stop: AtomicBool,
    /// Write what there is, however little.
    flush: AtomicBool,
}

/// The part of a verdict's record that the index needs. The numbers are those of `VerdictRecord` and
/// of the messages in it.
#[derive(Clone, PartialEq, Message)]
struct Keys {
    #[prost(message, optional, tag = "1")]
    event: Option<EventKeys>,
    #[prost(message, optional, tag = "3")]
    verdict: Option<VerdictKeys>,
}

#[derive(Clone, PartialEq, Message)]
struct EventKeys {
    #[prost(string, tag = "3")]
    case_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct VerdictKeys {
    #[prost(string, tag = "1")]
    verdict_id: String,
    #[prost(string, optional, tag = "25")]
    supersedes: Option<String>,
}

impl Records {
    /// Opens journal and index; the index is made again if it is missing, damaged or foreign.
    ///
    /// Blocks, for as long as it takes to read what the index lacks.
    pub(crate) fn open(
        data_dir: &Path,
        mut options: journal::Options,
        watched: Watched,
    ) -> Result<(Arc<Self>, Indexer), Error> {
        options.check = Check::LastSegment;
        let run_bytes_max = RUN_BYTES_MAX.min(options.queue_bytes_max / 2);
        let (journal, opened) = Journal::open(journal_dir(data_dir), options)?;
        let dir = index_dir(data_dir);
        std::fs::create_dir_all(&dir).map_err(Error::io("create index directory", &dir))?;
        let (table, filters) = open_index(&dir, &journal, opened.log_id)?;
        let records = Arc::new(Self {
            journal,
            slots: Slots::new(),
            cases: Cases::new(),
            successors: Recent::default(),
            filters,
            lookup: table.lookup(),
            index_dir: dir.clone(),
            run_bytes_max,
        });
        let orders = Arc::<Orders>::default();
        let run = Run {
            records: Arc::clone(&records),
            orders: Arc::clone(&orders),
            table,
            taken: Vec::new(),
            oldest: None,
            counted: Stats::default(),
            failing: false,
            watched,
        };
        let thread = thread::Builder::new()
            .name("verdict-indexer".to_owned())
            .spawn(move || run.run())
            .map_err(Error::io("start the indexer of", dir))?;
        let indexer = Indexer {
            orders,
            thread: Some(thread),
        };
        Ok((records, indexer))
    }
}

impl Indexer {
    /// Indexes what is recorded and ends the thread. Blocks.
    pub(crate) fn finish(mut self) {
        self.orders.flush.store(true, Ordering::Release);
        self.end();
    }

    /// Has everything written soon that is recorded now.
    #[cfg(test)]
    pub(crate) fn hurry(&self) {
        self.orders.flush.store(true, Ordering::Release);
    }

    fn end(&mut self) {
        self.orders.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic has been printed already, and the index is rebuilt if it is not whole.
            let _ = thread.join();
        }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.end();
    }
}

/// The index as far as the journal goes, with its filters.
fn open_index(dir: &Path, journal: &Journal, log_id: [u8; 16]) -> Result<(Table, Filters), Error> {
    let in_use = Table::open(dir, &log_id).and_then(|mut table| {
        fits(table.mark(), journal)?;
        let filters = table.filters().map_err(|error| error.to_string())?;
        catch_up(dir, &mut table, journal, &filters).map_err(|error| Chain(&error).to_string())?;
        Ok((table, filters))
    });
    match in_use {
        Ok(opened) => Ok(opened),
        Err(reason) => {
            tracing::info!(
                { field::PATH } = %dir.display(),
                { field::REASON } = reason,
                { field::COUNT } = journal.head().sequence,
                "making the index of verdicts from the journal"
            );
            let mut table = Table::create(dir, &log_id)?;
            let expected = usize::try_from(journal.head().sequence).unwrap_or(usize::MAX);
            // How many reviews there are is not known; the filter grows with them.
            let filters = Filters::for_records(expected, 0);
            catch_up(dir, &mut table, journal, &filters)?;
            Ok((table, filters))
        }
    }
}

/// Whether the record that the mark names is the journal's.
fn fits(mark: Mark, journal: &Journal) -> Result<(), String> {
    if mark.sequence == 0 {
        return Ok(());
    }
    match journal.read_at(Position(mark.position)) {
        Ok(record) if record.sequence == mark.sequence => Ok(()),
        // Which one it is shows without its key.
        Err(ReadError::Unopened(closed)) if closed.sequence == mark.sequence => Ok(()),
        _ => Err("it is ahead of the journal".to_owned()),
    }
}

/// Indexes what the journal has beyond the mark.
fn catch_up(
    dir: &Path,
    table: &mut Table,
    journal: &Journal,
    filters: &Filters,
) -> Result<(), Error> {
    let total = journal.head().sequence;
    let mut told = Instant::now();
    loop {
        let batch = read_after(journal, table.mark(), CATCH_UP_BATCH)?;
        if batch.is_empty() {
            return Ok(());
        }
        table.add(&batch).map_err(|source| Error::Index {
            path: dir.to_owned(),
            source,
        })?;
        filters.add(&batch);
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            tracing::info!(
                { field::COUNT } = table.mark().sequence,
                total,
                "indexing the journal of verdicts"
            );
        }
    }
}

/// Up to so many records of the journal after the mark.
fn read_after(journal: &Journal, mark: Mark, most: usize) -> Result<Vec<Unindexed>, Error> {
    let mut records = Vec::new();
    for record in journal.read_from(Position(mark.position)) {
        let record = record?;
        if record.sequence <= mark.sequence {
            continue;
        }
        let position = record.position;
        if record.kind != kind::VERDICT {
            return Err(Error::Part(position, "a verdict"));
        }
        let keys =
            Keys::decode(record.payload).map_err(|source| Error::Record(position, source))?;
        let of_verdict = keys.verdict.unwrap_or_default();
        let verdict = verdict_id_from_text(&of_verdict.verdict_id)
            .ok_or(Error::Part(position, "the id of the verdict"))?;
        let supersedes = of_verdict
            .supersedes
            .map(|text| {
                verdict_id_from_text(&text)
                    .ok_or(Error::Part(position, "the verdict whose place it takes"))
            })
            .transpose()?;
        records.push(Unindexed {
            sequence: record.sequence,
            position,
            verdict,
            supersedes,
            case: Case::new(CaseId::new(keys.event.unwrap_or_default().case_id)),
        });
        if records.len() >= most {
            break;
        }
    }
    Ok(records)
}

/// The thread's own state.
struct Run {
    records: Arc<Records>,
    orders: Arc<Orders>,
    table: Table,
    /// Taken from memory and not written yet.
    taken: Vec<Unindexed>,
    /// When the oldest of them was taken.
    oldest: Option<Instant>,
    counted: Stats,
    failing: bool,
    watched: Watched,
}

impl Run {
    fn run(mut self) {
        loop {
            thread::park_timeout(TICK);
            if self.orders.stop.load(Ordering::Acquire) {
                break;
            }
            self.take();
            let old = self.oldest.is_some_and(|at| at.elapsed() >= BATCH_AGE);
            let hurried = self.orders.flush.swap(false, Ordering::AcqRel);
            if self.taken.len() >= BATCH || old || hurried {
                self.write();
            }
            self.tell();
        }
        if self.orders.flush.load(Ordering::Acquire) {
            self.take();
            self.write();
            self.tell();
        }
    }

    fn take(&mut self) {
        self.records.slots.take_unindexed(&mut self.taken);
        if self.oldest.is_none() && !self.taken.is_empty() {
            self.oldest = Some(Instant::now());
        }
    }

    /// Writes what continues the mark; what stands behind a gap waits.
    fn write(&mut self) {
        self.taken.sort_unstable_by_key(|one| one.sequence);
        self.forget_indexed();
        let mut due = self.table.mark().sequence;
        let ready = self
            .taken
            .iter()
            .take_while(|one| {
                due += 1;
                one.sequence == due
            })
            .count();
        let waited = self.oldest.map_or(Duration::ZERO, |at| at.elapsed());
        if ready > 0 {
            let batch: Vec<Unindexed> = self.taken.drain(..ready).collect();
            let added = self.add(&batch);
            // Those not added are still in memory, and come back to be tried again.
            self.taken.extend(batch);
            self.end_of_round(added);
        } else if !self.taken.is_empty() && waited >= BATCH_AGE + GAP_PATIENCE {
            let added = self.fill_gap();
            self.end_of_round(added);
        }
    }

    /// A record is durable that nobody has settled: its check ended with its runtime, or is slow.
    /// The journal has it.
    fn fill_gap(&mut self) -> Result<(), Error> {
        let batch = read_after(&self.records.journal, self.table.mark(), BATCH)?;
        self.add(&batch)?;
        let in_memory = |one: &Unindexed| {
            let found = self
                .taken
                .binary_search_by_key(&one.sequence, |t| t.sequence);
            found.is_ok()
        };
        for one in batch.iter().filter(|one| !in_memory(one)) {
            self.records.cases.appeared(&one.case);
        }
        Ok(())
    }

    fn add(&mut self, batch: &[Unindexed]) -> Result<(), Error> {
        let added = self.table.add(batch);
        added.map_err(|source| self.records.index_error(source))?;
        self.records.filters.add(batch);
        Ok(())
    }

    fn end_of_round(&mut self, added: Result<(), Error>) {
        match added {
            Ok(()) => {
                self.failing = false;
                self.taken.sort_unstable_by_key(|one| one.sequence);
                self.forget_indexed();
            }
            Err(error) => self.failed(&error),
        }
        self.oldest = (!self.taken.is_empty()).then(Instant::now);
    }

    /// INVARIANT (whole view): first in the table, then in the filters, then out of memory.
    fn forget_indexed(&mut self) {
        let mark = self.table.mark().sequence;
        let indexed = self.taken.partition_point(|one| one.sequence <= mark);
        let indexed: Vec<Unindexed> = self.taken.drain(..indexed).collect();
        self.records.cases.moved(&indexed);
        self.records.successors.forget(&indexed);
        self.records.slots.forget(&indexed);
    }

    /// Memory holds what the table does not take; when that is too much, checks are turned away.
    fn failed(&mut self, error: &Error) {
        if !self.failing {
            tracing::error!({ field::ERROR } = %Chain(error), "the index of verdicts takes no records; trying again");
        }
        self.failing = true;
    }

    fn tell(&mut self) {
        let journal = &self.records.journal;
        let stats = journal.stats();
        let counters = self.watched.metrics.journal();
        counters.records.add(stats.records - self.counted.records);
        counters.bytes.add(stats.bytes - self.counted.bytes);
        counters.fsyncs.add(stats.fsyncs - self.counted.fsyncs);
        let waiting = |stats: Stats| i64::try_from(stats.queue_records).unwrap_or(i64::MAX);
        counters
            .queue_records
            .add(waiting(stats) - waiting(self.counted));
        self.counted = stats;
        let lag = journal
            .head()
            .sequence
            .saturating_sub(self.table.mark().sequence);
        self.watched
            .metrics
            .set_index_lag(usize::try_from(lag).unwrap_or(usize::MAX));
        let readiness = &self.watched.readiness;
        match journal.health() {
            Health::Failed(_) => readiness.not_ready(
                COMPONENT,
                "the disk did not confirm a record: restart, to find what is there",
            ),
            Health::Stalled(why) => readiness.not_ready(COMPONENT, format!("{STALLED}: {why}")),
            Health::Healthy if is_stalled(readiness) => readiness.ready(COMPONENT),
            Health::Healthy | Health::Closed => {}
        }
    }
}

/// Whether the gate is not ready for no other reason than its disk.
fn is_stalled(readiness: &Readiness) -> bool {
    let snapshot = readiness.snapshot();
    matches!(
        snapshot.components.get(COMPONENT),
        Some(State::NotReady(why)) if why.starts_with(STALLED)
    )
}

#[cfg(test)]
mod tests {
    use creditgate_proto::journal::v1::VerdictRecord;
    use creditgate_proto::v1;

    use super::*;

    #[test]
    fn the_keys_are_found_in_a_record() {
        let record = VerdictRecord {
            event: Some(v1::Event {
                case_id: "case".into(),
                ..Default::default()
            }),
            verdict: Some(v1::Verdict {
                verdict_id: "id".into(),
                supersedes: Some("before".into()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let keys = Keys::decode(&*record.encode_to_vec()).unwrap();
        assert_eq!(keys.event.unwrap().case_id, "case");
        let verdict = keys.verdict.unwrap();
        assert_eq!(verdict.verdict_id, "id");
        assert_eq!(verdict.supersedes.as_deref(), Some("before"));
    }
}
