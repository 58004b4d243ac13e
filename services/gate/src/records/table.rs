//! The index on disk: sorted runs, made from the journal and thrown away whenever they are in doubt.
//!
//! Each batch becomes a run; runs of about one size become one larger run, by a thread of its own.
//! So a record is written once for each size there is, however many there are: a tree that is
//! changed in place would write a page of its own for nearly every record of a long journal.
//!
//! INVARIANT (no gap): the runs continue each other from the first record to the mark. A row that
//! is missing below the mark would let an event be judged twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use creditgate_measures::verdict::VerdictId;
use creditgate_runtime::journal::Position;
use creditgate_runtime::telemetry::names::field;

use super::filter::Filters;
use super::run::{self, Extent, Row, Rows, Run, Superseded};
use super::slots::Unindexed;
use super::successors::Successor;
use super::verdict_key;

/// So many runs of one size become one of the next.
const MERGED: usize = 8;

/// Records of the smallest runs, at most.
const SMALLEST: u64 = 1 << 13;

/// How long after a failed merge the next is tried.
const RETRY: Duration = Duration::from_secs(60);

/// How far the journal is indexed: the last record whose rows are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub sequence: u64,
    pub position: u64,
}

/// The writing side, in the hands of one thread.
pub(crate) struct Table {
    dir: PathBuf,
    log_id: [u8; 16],
    runs: Arc<Runs>,
    merging: Option<Merging>,
    failed: Option<Instant>,
}

/// The reading side, for any thread that may block.
#[derive(Clone)]
pub(crate) struct Lookup(Arc<Runs>);

/// The runs in use, in the order of their records.
type Runs = ArcSwap<Vec<Arc<Run>>>;

/// A run that is being made of others.
struct Merging {
    thread: Option<JoinHandle<io::Result<Run>>>,
    cancel: Arc<AtomicBool>,
}

impl Table {
    /// Opens the runs of this journal.
    ///
    /// # Errors
    /// When there are none, or they are not fit for use.
    pub(crate) fn open(dir: &Path, log_id: &[u8; 16]) -> Result<Self, String> {
        let files = run::list(dir).map_err(|error| error.to_string())?;
        if files.is_empty() {
            return Err("there is none".to_owned());
        }
        let mut runs: Vec<Arc<Run>> = Vec::new();
        for file in files {
            let run = Run::open(&file, log_id).map_err(|error| error.to_string())?;
            let Extent { first, last, .. } = run.extent;
            match mark(&runs).sequence {
                // What it holds was merged, and it was about to be removed.
                indexed if last <= indexed => run.remove().map_err(|error| error.to_string())?,
                indexed if first == indexed + 1 => runs.push(Arc::new(run)),
                indexed => return Err(format!("records from {} on are not in it", indexed + 1)),
            }
        }
        Ok(Self::of(dir, log_id, runs))
    }

    /// Throws away what is there and begins with nothing.
    pub(crate) fn create(dir: &Path, log_id: &[u8; 16]) -> Result<Self, super::Error> {
        let failed = |error| super::Error::io("empty index directory", dir)(error);
        for file in fs::read_dir(dir).map_err(failed)? {
            let file = file.map_err(failed)?;
            if file.file_type().map_err(failed)?.is_file() {
                fs::remove_file(file.path()).map_err(failed)?;
            }
        }
        Ok(Self::of(dir, log_id, Vec::new()))
    }

    fn of(dir: &Path, log_id: &[u8; 16], runs: Vec<Arc<Run>>) -> Self {
        Self {
            dir: dir.to_owned(),
            log_id: *log_id,
            runs: Arc::new(ArcSwap::from_pointee(runs)),
            merging: None,
            failed: None,
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        mark(&self.runs.load())
    }

    pub(crate) fn lookup(&self) -> Lookup {
        Lookup(Arc::clone(&self.runs))
    }

    /// Filters of every key.
    pub(crate) fn filters(&self) -> io::Result<Filters> {
        // Room for as many again.
        let twice = |known: u64| usize::try_from(known).unwrap_or(usize::MAX / 2) * 2;
        let runs = self.runs.load();
        let superseded = runs.iter().map(|run| run.successors_count()).sum();
        let filters = Filters::for_records(twice(self.mark().sequence), twice(superseded));
        for run in runs.iter() {
            let key = |row: io::Result<Row>| row.map(|row| row.key);
            filters.verdicts.try_add(run.verdicts().map(key))?;
            filters.cases.try_add(run.cases().map(key))?;
            let superseded = run.successors();
            let superseded = superseded.map(|row| row.map(|row| verdict_key(row.verdict)));
            filters.superseded.try_add(superseded)?;
        }
        Ok(filters)
    }

    /// Adds records that continue the mark, and moves it, at once and durably.
    pub(crate) fn add(&mut self, records: &[Unindexed]) -> io::Result<()> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(());
        };
        self.take_merged()?;
        let extent = Extent {
            log_id: self.log_id,
            first: first.sequence,
            last: last.sequence,
            last_position: last.position.0,
        };
        let rows = |key: &dyn Fn(&Unindexed) -> u64| {
            let mut rows: Vec<Row> = records
                .iter()
                .map(|one| Row {
                    key: key(one),
                    position: one.position.0,
                })
                .collect();
            rows.sort_unstable();
            rows.into_iter().map(Ok)
        };
        let rows = Rows {
            verdicts: rows(&|one| verdict_key(one.verdict)),
            cases: rows(&|one| one.case.key),
            successors: successors(records).into_iter().map(Ok),
        };
        let run = Run::write(&self.dir, extent, rows, &AtomicBool::new(false))?;
        let mut runs = Vec::clone(&self.runs.load());
        runs.push(Arc::new(run));
        self.runs.store(Arc::new(runs));
        self.merge();
        Ok(())
    }

    /// Begins to merge the last runs if there are enough of about one size.
    fn merge(&mut self) {
        let failed_lately = self.failed.is_some_and(|at| at.elapsed() < RETRY);
        if self.merging.is_some() || failed_lately {
            return;
        }
        let runs = self.runs.load();
        let parts = &runs[due(runs.iter().map(|run| run.extent.records()))..];
        if parts.len() >= MERGED {
            self.merging = Merging::start(&self.dir, parts.to_vec());
        }
    }

    /// Puts a run that was made of others in their place, once it is there.
    fn take_merged(&mut self) -> io::Result<()> {
        let ready = self.merging.take_if(|merging| merging.is_finished());
        let Some(ready) = ready else {
            return Ok(());
        };
        let merged = match ready.end() {
            Ok(merged) => merged,
            Err(error) => {
                // The parts stay, and do the same.
                tracing::warn!({ field::ERROR } = %error, "runs of the index of verdicts were not merged");
                self.failed = Some(Instant::now());
                return Ok(());
            }
        };
        let Extent { first, last, .. } = merged.extent;
        let of_merged = |run: &Arc<Run>| run.extent.first >= first && run.extent.last <= last;
        let before = self.runs.load_full();
        let (parts, mut runs): (Vec<_>, Vec<_>) = before.iter().cloned().partition(of_merged);
        let place = runs.partition_point(|run| run.extent.last < first);
        runs.insert(place, Arc::new(merged));
        self.runs.store(Arc::new(runs));
        for part in parts {
            part.remove()?;
        }
        self.merge();
        Ok(())
    }
}

impl Lookup {
    /// Positions under which a verdict may be, the first first. Blocks.
    pub(crate) fn verdict(&self, key: u64) -> io::Result<Vec<Position>> {
        let mut found = Vec::new();
        for run in self.0.load().iter() {
            run.verdict(key, &mut found)?;
        }
        Ok(found)
    }

    /// Positions of the events of a case. Blocks.
    pub(crate) fn case(&self, key: u64) -> io::Result<Vec<Position>> {
        let mut found = Vec::new();
        for run in self.0.load().iter() {
            run.case(key, &mut found)?;
        }
        Ok(found)
    }

    /// The verdict that took this one's place; of several the last recorded. Blocks.
    pub(crate) fn successor(&self, verdict: VerdictId) -> io::Result<Option<Successor>> {
        for run in self.0.load().iter().rev() {
            if let Some(found) = run.successor(verdict)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
impl Lookup {
    /// All of them.
    pub(crate) fn successors(&self) -> Vec<(VerdictId, Successor)> {
        let runs = self.0.load();
        let rows = runs.iter().flat_map(|run| run.successors());
        let mut rows: Vec<_> = rows
            .map(|row| row.map(|row| (row.verdict, row.by)).unwrap())
            .collect();
        rows.sort_unstable();
        rows
    }
}

impl Merging {
    /// Begins; none if there is no thread to be had, and then it is tried with the next batch.
    fn start(dir: &Path, parts: Vec<Arc<Run>>) -> Option<Self> {
        let cancel = Arc::<AtomicBool>::default();
        let (dir, cancelled) = (dir.to_owned(), Arc::clone(&cancel));
        let work = move || {
            let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            };
            let extent = Extent {
                first: first.extent.first,
                ..last.extent
            };
            let rows = Rows {
                verdicts: run::merged(parts.iter().map(|run| run.verdicts()).collect()),
                cases: run::merged(parts.iter().map(|run| run.cases()).collect()),
                successors: run::merged(parts.iter().map(|run| run.successors()).collect()),
            };
            Run::write(&dir, extent, rows, &cancelled)
        };
        let thread = thread::Builder::new().name("verdict-merger".to_owned());
        Some(Self {
            thread: Some(thread.spawn(work).ok()?),
            cancel,
        })
    }

    fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn end(mut self) -> io::Result<Run> {
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Ok(run)) => run,
            // A panic has been printed.
            Some(Err(_)) | None => Err(io::Error::other("the thread that merges ended")),
        }
    }
}

impl Drop for Merging {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it has not finished is begun again.
            let _ = thread.join();
        }
    }
}

fn mark(runs: &[Arc<Run>]) -> Mark {
    let last = runs.last().map(|run| Mark {
        sequence: run.extent.last,
        position: run.extent.last_position,
    });
    last.unwrap_or_default()
}

/// Where the last runs begin of which none is of a larger size than the last one.
fn due(records: impl DoubleEndedIterator<Item = u64> + ExactSizeIterator) -> usize {
    let count = records.len();
    let mut last = None;
    let alike = records.rev().map(size).take_while(|size| {
        let last = *last.get_or_insert(*size);
        *size <= last
    });
    count - alike.count()
}

/// The size of a run: each is [`MERGED`] times the one before.
fn size(records: u64) -> u32 {
    (records / SMALLEST)
        .checked_ilog(MERGED as u64)
        .map_or(0, |size| size + 1)
}

/// Few: only reviews take the place of a verdict.
fn successors(records: &[Unindexed]) -> Vec<Superseded> {
    let mut rows: Vec<Superseded> = records
        .iter()
        .filter_map(|one| {
            Some(Superseded {
                verdict: one.supersedes?,
                by: Successor {
                    position: one.position,
                    verdict: one.verdict,
                },
            })
        })
        .collect();
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::Case;
    use super::*;

    const LOG: [u8; 16] = [3; 16];

    fn id(n: u64) -> VerdictId {
        VerdictId(Uuid::from_u128(u128::from(n)))
    }

    fn record(n: u64) -> Unindexed {
        Unindexed {
            sequence: n,
            position: Position(n * 100),
            verdict: id(n),
            supersedes: n.is_multiple_of(10).then(|| id(n / 10 % 5)),
            case: Case::new(format!("c{}", n % 7).as_str().into()),
        }
    }

    fn settle(table: &mut Table) {
        while table.merging.is_some() {
            table.take_merged().unwrap();
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn check(table: &Table, records: u64) {
        let lookup = table.lookup();
        assert_eq!(table.mark().sequence, records);
        assert_eq!(table.mark().position, records * 100);
        for n in [1, 2, records / 2, records] {
            let found = lookup.verdict(verdict_key(id(n))).unwrap();
            assert_eq!(found, [Position(n * 100)]);
        }
        assert_eq!(lookup.verdict(verdict_key(id(records + 1))).unwrap(), []);
        for case in 0..7 {
            let found = lookup.case(record(case).case.key).unwrap();
            let expected = (1..=records).filter(|n| n % 7 == case);
            assert_eq!(
                found,
                expected.map(|n| Position(n * 100)).collect::<Vec<_>>()
            );
        }
        let found = lookup.successor(id(3)).unwrap();
        let expected = (1..=records).rev().find(|n| n % 10 == 0 && n / 10 % 5 == 3);
        assert_eq!(found.map(|found| found.verdict), expected.map(id));
        let filters = table.filters().unwrap();
        assert!((1..=records).all(|n| filters.verdicts.may_hold(verdict_key(id(n)))));
    }

    #[test]
    fn batches_become_few_runs_and_every_row_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Table::create(dir.path(), &LOG).unwrap();
        let mut records = 0;
        for batch in 0..90 {
            let more = 1 + batch % 4;
            let rows: Vec<_> = (records + 1..=records + more).map(record).collect();
            table.add(&rows).unwrap();
            records += more;
            settle(&mut table);
            assert!(table.runs.load().len() < MERGED);
        }
        check(&table, records);
        drop(table);
        check(&Table::open(dir.path(), &LOG).unwrap(), records);
    }

    #[test]
    fn parts_of_a_merged_run_that_were_not_removed_are_removed_by_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Table::create(dir.path(), &LOG).unwrap();
        for n in 1..MERGED as u64 {
            table.add(&[record(n)]).unwrap();
        }
        let copies = tempfile::tempdir().unwrap();
        for part in run::list(dir.path()).unwrap() {
            fs::copy(&part, copies.path().join(part.file_name().unwrap())).unwrap();
        }
        table.add(&[record(MERGED as u64)]).unwrap();
        settle(&mut table);
        drop(table);
        for part in run::list(copies.path()).unwrap() {
            fs::copy(&part, dir.path().join(part.file_name().unwrap())).unwrap();
        }
        check(&Table::open(dir.path(), &LOG).unwrap(), MERGED as u64);
        assert_eq!(run::list(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_run_that_is_missing_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Table::create(dir.path(), &LOG).unwrap();
        for n in 1..=3 {
            table.add(&[record(n)]).unwrap();
        }
        drop(table);
        fs::remove_file(&run::list(dir.path()).unwrap()[1]).unwrap();
        let refused = Table::open(dir.path(), &LOG).err();
        assert_eq!(refused.as_deref(), Some("records from 2 on are not in it"));
    }

    #[test]
    fn runs_are_merged_with_those_of_their_size() {
        let check = |records: &[u64], expected: usize| {
            assert_eq!(due(records.iter().copied()), expected, "{records:?}");
        };
        let (small, large) = (SMALLEST - 1, SMALLEST * MERGED as u64);
        check(&[], 0);
        check(&[1, small, 5], 0);
        check(&[large, small, 5], 1);
        check(&[small, large], 0);
        check(&[large * MERGED as u64, large, small, large], 1);
    }
}
