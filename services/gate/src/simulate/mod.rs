//! Who would be affected by another book: recorded events decided again with a candidate.
//!
//! The verdict that was told is the recorded one; the new one is decided from the record with the
//! candidate and with the lists as they were at the record's version. The journal is read twice:
//! first for the keys of all subjects, by which one walk through the change log knows the entries
//! it needs, then to decide. One thread reads, others decide; what they count does not depend on
//! their order.

mod collect;
pub(crate) mod compare;
mod judge;
mod kept;
pub(crate) mod report;
mod service;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use creditgate_measures::book::Book;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::Verdict;
use creditgate_proto::records::kind;
use creditgate_proto::v1;
use creditgate_runtime::journal::{Journal, Position, ReadError, Reader, Record};
use creditgate_runtime::live::Live;
use creditgate_runtime::ports::{History, HistoryError, Wanted};

use crate::gate::Gate;
use crate::watch::boundary;

pub(crate) use kept::{Kept, small_journal};
pub use report::Samples;

/// Records that go to a worker at once.
const BATCH: usize = 256;

/// Batches that may wait for each worker.
const AHEAD: usize = 4;

/// Records passed over before it is asked again whether anybody wants the result.
const LOOK_EVERY: usize = 4_096;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Which recorded events to decide again: checks, never reviews of their cases.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Only those judged at this time or later.
    pub from: Option<Time>,
    /// Only those judged before this time.
    pub to: Option<Time>,
    /// First journal position.
    pub from_position: u64,
    /// Journal position before which to end; none: the end of the journal.
    pub to_position: Option<u64>,
    /// Only events of these scenarios; empty: of all.
    pub scenarios: Vec<String>,
}

/// How far a simulation is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// `collecting` or `deciding`.
    pub phase: &'static str,
    /// Events done in this phase.
    pub done: u64,
    /// Events in all; 0 while it is not known.
    pub total: u64,
    /// Events a second in this phase.
    pub per_second: f64,
}

/// Why a simulation gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody wanted it any more.
    #[error("the simulation was ended before it was done")]
    Cancelled,
    /// The lists of then cannot be told.
    #[error("the lists of then cannot be told")]
    History(#[source] HistoryError),
    /// The journal cannot be read.
    #[error("read the journal of verdicts")]
    Read(#[from] ReadError),
    /// A fault of ours; it has been printed.
    #[error("a thread that decided ended in a fault")]
    Fault,
}

impl From<HistoryError> for Error {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Cancelled => Self::Cancelled,
            error => Self::History(error),
        }
    }
}

/// What a simulation works with.
pub(crate) struct Simulation<'a> {
    pub journal: &'a Journal,
    pub history: &'a dyn History,
    pub live: &'a Live,
    pub candidate: &'a Arc<Book>,
    pub scope: &'a Scope,
    pub samples: &'a Samples,
    /// Threads that decide, besides the one that reads.
    pub workers: usize,
    /// Set by whoever does not want the result any more.
    pub cancelled: &'a Arc<AtomicBool>,
    pub tell: &'a (dyn Fn(Progress) + Sync),
    /// Sees each new verdict, with the position of the recorded one.
    pub see: &'a (dyn Fn(u64, &Verdict) + Sync),
}

/// What came of a simulation.
pub(crate) struct Done {
    /// Id, versions and duration are the caller's to fill.
    pub result: v1::SimulationResult,
    /// Where it began, and before which position it ended.
    pub positions: (u64, u64),
}

impl Gate {
    /// Decides recorded events again with a candidate, without a record of it, and shows each new
    /// verdict with the journal position of the recorded one, from several threads. Blocks.
    ///
    /// # Errors
    /// When journal or change log cannot be read.
    pub fn simulate_seeing(
        &self,
        candidate: &Arc<Book>,
        scope: &Scope,
        samples: &Samples,
        see: &(dyn Fn(u64, &Verdict) + Sync),
    ) -> Result<v1::SimulationResult, Error> {
        let simulation = Simulation {
            journal: self.inner.records.journal(),
            history: self.inner.history.as_ref(),
            live: &self.inner.live,
            candidate,
            scope,
            samples,
            workers: workers(),
            cancelled: &Arc::default(),
            tell: &|_| {},
            see,
        };
        simulation.run().map(|done| done.result)
    }
}

/// A random id of version 4; `None` when the system gives no random bytes.
pub(crate) fn random_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    Some(id.hyphenated().to_string())
}

/// How many threads may decide at once on this machine: one core is left to live checks, where
/// there is more than one.
pub(crate) fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.saturating_sub(1).max(1)
}

impl Simulation<'_> {
    /// Blocks until it is done.
    pub(crate) fn run(&self) -> Result<Done, Error> {
        // The end first: every version recorded below it is known to the lists that are read after.
        let head = self.journal.head().next_position.0;
        let end = self.scope.to_position.map_or(head, |to| to.min(head));
        let start = boundary(self.journal, self.scope.from_position)?.0.min(end);
        let log = self.live.load().lists.version();
        let stretch = Stretch { start, end };
        let collected = self.collect(stretch, log)?;
        let wanted = Wanted {
            keys: collected.keys,
            book: Arc::clone(self.candidate),
            up_to: collected.up_to,
            cancelled: Arc::clone(self.cancelled),
        };
        let sweep = self.history.sweep(wanted)?;
        let plan = collected.plan;
        let report = self.judge(stretch, &plan, sweep)?;
        let live = Arc::clone(&self.live.load().book);
        Ok(Done {
            result: report.into_result(&[self.candidate, &live]),
            positions: (start, end),
        })
    }

    /// The records in the scope, those of other scenarios included.
    fn records(&self, Stretch { start, end }: Stretch) -> Records<'_> {
        Records {
            reader: self.journal.read_from(Position(start)),
            end,
            scope: self.scope,
            cancelled: self.cancelled,
            passed: 0,
        }
    }

    fn go_on(&self) -> Result<(), Error> {
        match self.cancelled.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::Cancelled),
        }
    }
}

/// Where in the journal.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    start: u64,
    end: u64,
}

/// See [`Simulation::records`]. Two readings of one stretch give the same records.
struct Records<'a> {
    reader: Reader,
    end: u64,
    scope: &'a Scope,
    cancelled: &'a AtomicBool,
    /// Records read, wanted or not.
    passed: usize,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.reader.position().0 >= self.end {
                return None;
            }
            self.passed += 1;
            if self.passed.is_multiple_of(LOOK_EVERY) && self.cancelled.load(Ordering::Relaxed) {
                return Some(Err(Error::Cancelled));
            }
            let record = match self.reader.next()? {
                Ok(record) => record,
                Err(error) => return Some(Err(error.into())),
            };
            // A record bears the time of its verdict.
            let at = Time::from_micros(record.time_micros);
            let wanted = record.kind == kind::VERDICT
                && self.scope.from.is_none_or(|from| from <= at)
                && self.scope.to.is_none_or(|to| at < to);
            if wanted {
                return Some(Ok(record));
            }
        }
    }
}

/// Tells progress now and then.
struct Teller<'a> {
    tell: &'a (dyn Fn(Progress) + Sync),
    phase: &'static str,
    total: u64,
    began: Instant,
    told: Instant,
}

impl<'a> Teller<'a> {
    fn new(tell: &'a (dyn Fn(Progress) + Sync), phase: &'static str, total: u64) -> Self {
        let began = Instant::now();
        Self {
            tell,
            phase,
            total,
            began,
            told: began,
        }
    }

    fn at(&mut self, done: u64) {
        if self.told.elapsed() >= TELL_EVERY {
            self.now(done);
        }
    }

    fn now(&mut self, done: u64) {
        self.told = Instant::now();
        let seconds = self.began.elapsed().as_secs_f64().max(1e-9);
        (self.tell)(Progress {
            phase: self.phase,
            done,
            total: self.total,
            per_second: done as f64 / seconds,
        });
    }
}

/// A line of work for several threads.
///
/// Whoever sends learns that nobody takes any more, so the line belongs to the threads alone.
struct Work<T>(Arc<parking_lot::Mutex<std::sync::mpsc::Receiver<T>>>);

impl<T> Clone for Work<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Work<T> {
    /// The line and its end; at most so many may wait.
    fn line(waiting_max: usize) -> (std::sync::mpsc::SyncSender<T>, Self) {
        let (sender, receiver) = std::sync::mpsc::sync_channel(waiting_max);
        (sender, Self(Arc::new(parking_lot::Mutex::new(receiver))))
    }

    /// The next piece; `None` once there will be no more.
    fn next(&self) -> Option<T> {
        self.0.lock().recv().ok()
    }
}
