//! What is counted, and the two ways it is shown; both read the same cells.

mod cases;
mod cells;
mod labels;
mod otlp;
mod shown;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use creditgate_measures::vocabulary::Outcome;
use parking_lot::RwLock;

use crate::clock::Clock;

pub use self::cases::CaseCounts;
pub use self::cells::{Counter, DurationCounts, Durations, Gauge, UpDown};
pub use self::labels::{
    CasesRole, ChangeRefusal, DeliveryEnd, ListsRole, NotCompared, PostEnd, Refusal, Signal,
    StreamEnd, TransactionEnd, Transport,
};
pub(crate) use self::otlp::export_request;
pub use self::shown::{Family, Number, Sample};
pub use self::text::CONTENT_TYPE;

/// Everything that is counted in this process. Cheap to clone; every clone counts into the same cells.
///
/// Nothing on the way of a check formats a text or takes a lock: labels are resolved beforehand to handles
/// ([`Metrics::verdict_counter`], [`Metrics::list`]), and counting is an atomic addition to a cell of the thread's own.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Cells>);

/// What is known of the program when it is built.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// Its version.
    pub version: &'static str,
    /// The commit it was built from, or `unknown`.
    pub commit: &'static str,
}

/// The journal's numbers, for the journal to count into.
#[derive(Debug, Default)]
pub struct Journal {
    /// Records appended.
    pub records: Counter,
    /// Bytes appended.
    pub bytes: Counter,
    /// Syncs to disk.
    pub fsyncs: Counter,
    /// Records that wait to be written.
    pub queue_records: UpDown,
}

/// One list's numbers.
#[derive(Debug)]
pub struct List {
    entries: Gauge,
    confirmed_at_micros: AtomicI64,
}

/// The handle that counts verdicts of one scenario and outcome. Resolve it when a book is loaded, not per check.
#[derive(Clone, Debug)]
pub struct VerdictCounter(Arc<Counter>);

/// A check that arrived and has no answer yet.
///
/// INVARIANT (balance): a check is counted as received and as in flight when this is made, and leaves the flight exactly
/// once: into a verdict, a repeat or a refusal. One that is dropped without an answer counts as refused, `cancelled`.
#[derive(Debug)]
#[must_use = "dropping it counts the check as cancelled"]
pub struct Pending {
    cells: Arc<Cells>,
    transport: Transport,
    started: Instant,
    settled: bool,
}

#[derive(Debug)]
struct Cells {
    clock: Clock,
    build: Build,
    started: Instant,
    started_at: SystemTime,
    received: [Counter; Transport::COUNT],
    durations: [Durations; Transport::COUNT],
    in_flight: UpDown,
    verdicts: RwLock<BTreeMap<(String, &'static str), VerdictCounter>>,
    repeated: Counter,
    refused: [Counter; Refusal::COUNT],
    /// In the order of [`Outcome::ALL`].
    reviews: [Counter; Outcome::ALL.len()],
    reviews_repeated: Counter,
    cases: cases::Cases,
    stream_events: [Counter; StreamEnd::COUNT],
    stream_transactions: [Counter; TransactionEnd::COUNT],
    journal: Journal,
    index_lag: Gauge,
    lists: RwLock<BTreeMap<String, Arc<List>>>,
    list_version_seq: Gauge,
    lists_complete_at_micros: AtomicI64,
    /// Index of the role; beyond all of them: none was told yet.
    lists_role: AtomicUsize,
    change_to_effect: Durations,
    changes_accepted: Counter,
    changes_refused: [Counter; ChangeRefusal::COUNT],
    deliveries: [Counter; DeliveryEnd::COUNT],
    unacknowledged_since: RwLock<BTreeMap<String, Option<i64>>>,
    posts: [Counter; PostEnd::COUNT],
    put_aside: Counter,
    undelivered_since: RwLock<BTreeMap<String, Option<i64>>>,
    anchors_behind_since: RwLock<BTreeMap<&'static str, Option<i64>>>,
    book: RwLock<Option<String>>,
    rows_active: Gauge,
    rows_inactive: Gauge,
    book_refused: Counter,
    shadow_same: Counter,
    shadow_different: Counter,
    shadow_not_compared: [Counter; NotCompared::COUNT],
    shadow_transitions: RwLock<BTreeMap<(&'static str, &'static str), u64>>,
    shadow_rows: RwLock<BTreeMap<String, u64>>,
    export_failures: [Counter; Signal::COUNT],
}

impl Metrics {
    /// All zero. The clock tells the age of lists.
    pub fn new(clock: Clock, build: Build) -> Metrics {
        Metrics(Arc::new(Cells {
            clock,
            build,
            started: Instant::now(),
            started_at: SystemTime::now(),
            received: Default::default(),
            durations: Default::default(),
            in_flight: UpDown::default(),
            verdicts: RwLock::default(),
            repeated: Counter::default(),
            refused: Default::default(),
            reviews: Default::default(),
            reviews_repeated: Counter::default(),
            cases: cases::Cases::default(),
            stream_events: Default::default(),
            stream_transactions: Default::default(),
            journal: Journal::default(),
            index_lag: Gauge::default(),
            lists: RwLock::default(),
            list_version_seq: Gauge::default(),
            lists_complete_at_micros: AtomicI64::new(NEVER),
            lists_role: AtomicUsize::new(usize::MAX),
            change_to_effect: Durations::default(),
            changes_accepted: Counter::default(),
            changes_refused: Default::default(),
            deliveries: Default::default(),
            unacknowledged_since: RwLock::default(),
            posts: Default::default(),
            put_aside: Counter::default(),
            undelivered_since: RwLock::default(),
            anchors_behind_since: RwLock::default(),
            book: RwLock::default(),
            rows_active: Gauge::default(),
            rows_inactive: Gauge::default(),
            book_refused: Counter::default(),
            shadow_same: Counter::default(),
            shadow_different: Counter::default(),
            shadow_not_compared: Default::default(),
            shadow_transitions: RwLock::default(),
            shadow_rows: RwLock::default(),
            export_failures: Default::default(),
        }))
    }

    /// Counts a check that arrived. What becomes of it is told to the answer.
    #[inline]
    pub fn received(&self, transport: Transport) -> Pending {
        self.0.received[transport.index()].inc();
        self.0.in_flight.add(1);
        Pending {
            cells: self.0.clone(),
            transport,
            started: Instant::now(),
            settled: false,
        }
    }

    /// The handle for verdicts of a scenario of the book and an outcome's fixed text. Asking again gives the same counter.
    pub fn verdict_counter(&self, scenario: &str, outcome: &'static str) -> VerdictCounter {
        let mut verdicts = self.0.verdicts.write();
        verdicts
            .entry((scenario.to_owned(), outcome))
            .or_insert_with(|| VerdictCounter(Arc::default()))
            .clone()
    }

    /// Counts the recorded verdict of a review.
    pub fn reviewed(&self, outcome: Outcome) {
        self.0.reviews[outcome as usize].inc();
    }

    /// Counts a review that had its verdict before.
    pub fn review_repeated(&self) {
        self.0.reviews_repeated.inc();
    }

    /// Counts an event from Kafka whose transaction is committed.
    pub fn stream_event(&self, end: StreamEnd) {
        self.0.stream_events[end.index()].inc();
    }

    /// Counts a transaction on Kafka.
    pub fn stream_transaction(&self, end: TransactionEnd) {
        self.0.stream_transactions[end.index()].inc();
    }

    /// The journal's numbers.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// Sets how many records of the journal of verdicts its index lacks.
    pub fn set_index_lag(&self, records: usize) {
        self.0.index_lag.set_count(records);
    }

    /// The numbers of a list of the book. Asking again gives the same.
    pub fn list(&self, code: &str) -> Arc<List> {
        self.0
            .lists
            .write()
            .entry(code.to_owned())
            .or_insert_with(|| Arc::new(List::new()))
            .clone()
    }

    /// Sets the sequence number of the newest list change applied.
    pub fn set_list_version(&self, seq: u64) {
        self.0
            .list_version_seq
            .set(i64::try_from(seq).unwrap_or(i64::MAX));
    }

    /// Says that the lists have every change of the topic they follow now.
    pub fn lists_complete(&self) {
        let now = self.0.clock.now_micros();
        self.0
            .lists_complete_at_micros
            .store(now, Ordering::Relaxed);
    }

    /// Says what this process is to the lists. Who follows nothing is not behind.
    pub fn set_lists_role(&self, role: ListsRole) {
        self.0.lists_role.store(role.index(), Ordering::Relaxed);
        if matches!(role, ListsRole::Embedded | ListsRole::Leads) {
            self.0
                .lists_complete_at_micros
                .store(NEVER, Ordering::Relaxed);
        }
    }

    /// What this process is to the lists; none: not said yet.
    pub fn lists_role(&self) -> Option<ListsRole> {
        let index = self.0.lists_role.load(Ordering::Relaxed);
        ListsRole::ALL.get(index).copied()
    }

    /// Counts changes that checks use from now on, recorded at this instant in microseconds since 1970.
    pub fn changes_in_effect(&self, recorded_at_micros: i64, count: u64) {
        let took = self.0.clock.now_micros().saturating_sub(recorded_at_micros);
        let took = Duration::from_micros(took.max(0).unsigned_abs());
        self.0.change_to_effect.record_times(took, count);
    }

    /// Time since the lists last had every change of the topic they follow; none: they follow none.
    pub fn lists_behind(&self) -> Option<Duration> {
        let at = self.0.lists_complete_at_micros.load(Ordering::Relaxed);
        let micros = self.0.clock.now_micros().saturating_sub(at).max(0);
        (at != NEVER).then(|| Duration::from_micros(micros.unsigned_abs()))
    }

    /// Counts list changes entered in the change log.
    pub fn changes_accepted(&self, count: u64) {
        self.0.changes_accepted.add(count);
    }

    /// Counts a list change that was refused.
    pub fn change_refused(&self, reason: ChangeRefusal) {
        self.0.changes_refused[reason.index()].inc();
    }

    /// Counts a request to a webhook.
    pub fn delivery(&self, end: DeliveryEnd) {
        self.0.deliveries[end.index()].inc();
    }

    /// Says when the oldest change was recorded that a subscription has not acknowledged, in microseconds; none: there
    /// is none.
    pub fn set_unacknowledged_since(&self, subscription: &str, micros: Option<i64>) {
        let mut since = self.0.unacknowledged_since.write();
        match since.get_mut(subscription) {
            Some(known) => *known = micros,
            None => {
                since.insert(subscription.to_owned(), micros);
            }
        }
    }

    /// Shows a subscription no longer: nothing is sent to it from here.
    pub fn forget_subscription(&self, subscription: &str) {
        self.0.unacknowledged_since.write().remove(subscription);
    }

    /// Counts a request with a verdict, a lift order or a notice.
    pub fn post(&self, end: PostEnd) {
        self.0.posts[end.index()].inc();
    }

    /// Counts something that was put aside since its target does not take it.
    pub fn put_aside(&self) {
        self.0.put_aside.inc();
    }

    /// Says when the oldest thing came about that a delivery still has to get, in microseconds; none: there is none.
    pub fn set_undelivered_since(&self, delivery: &str, micros: Option<i64>) {
        let mut since = self.0.undelivered_since.write();
        match since.get_mut(delivery) {
            Some(known) => *known = micros,
            None => {
                since.insert(delivery.to_owned(), micros);
            }
        }
    }

    /// Shows a delivery no longer: nothing is sent to it from here.
    pub fn forget_delivery(&self, delivery: &str) {
        self.0.undelivered_since.write().remove(delivery);
    }

    /// Says since when an anchor (`file`, `topic`, `webhook`) takes no check points, in microseconds since 1970; none: it has
    /// all of them.
    pub fn set_anchor_behind(&self, anchor: &'static str, since: Option<i64>) {
        self.0.anchors_behind_since.write().insert(anchor, since);
    }

    /// Says which book is in force.
    pub fn set_book(&self, version: &str, rows_active: usize, rows_inactive: usize) {
        *self.0.book.write() = Some(version.to_owned());
        self.0.rows_active.set_count(rows_active);
        self.0.rows_inactive.set_count(rows_inactive);
    }

    /// Counts a book that was refused.
    pub fn book_refused(&self) {
        self.0.book_refused.inc();
    }

    /// Counts a verdict for which the book beside the one in force says the same.
    pub fn shadow_same(&self) {
        self.0.shadow_same.inc();
    }

    /// Counts a verdict for which it says something else: the outcomes' fixed texts.
    pub fn shadow_different(&self, old: &'static str, new: &'static str) {
        self.0.shadow_different.inc();
        *self
            .0
            .shadow_transitions
            .write()
            .entry((old, new))
            .or_default() += 1;
    }

    /// Counts a row that is different for a subject.
    pub fn shadow_row(&self, row: &str) {
        let mut rows = self.0.shadow_rows.write();
        match rows.get_mut(row) {
            Some(count) => *count += 1,
            None => {
                rows.insert(row.to_owned(), 1);
            }
        }
    }

    /// Counts a verdict that was not compared.
    pub fn shadow_not_compared(&self, reason: NotCompared) {
        self.0.shadow_not_compared[reason.index()].inc();
    }

    /// Counts an export to the collector that failed.
    pub fn export_failed(&self, signal: Signal) {
        self.0.export_failures[signal.index()].inc();
    }

    /// Checks under way.
    pub fn checks_in_flight(&self) -> i64 {
        self.0.in_flight.get()
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// The program.
    pub fn build(&self) -> Build {
        self.0.build
    }

    /// Everything in OpenMetrics text, for `/metrics`; its content type is [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        text::render(self.families())
    }
}

impl List {
    fn new() -> List {
        List {
            entries: Gauge::default(),
            confirmed_at_micros: AtomicI64::new(NEVER),
        }
    }

    /// Sets how many entries it has.
    pub fn set_entries(&self, count: usize) {
        self.entries.set_count(count);
    }

    /// Says when its source last confirmed it, in microseconds since 1970.
    pub fn set_confirmed_at(&self, micros: i64) {
        self.confirmed_at_micros.store(micros, Ordering::Relaxed);
    }

    fn confirmed_at(&self) -> Option<i64> {
        let micros = self.confirmed_at_micros.load(Ordering::Relaxed);
        (micros != NEVER).then_some(micros)
    }
}

impl Pending {
    /// When it arrived.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// It was decided and is answered.
    #[inline]
    pub fn verdict(mut self, counter: &VerdictCounter) {
        counter.0.inc();
        self.leave();
    }

    /// It is answered with the verdict the event had before.
    #[inline]
    pub fn repeated(mut self) {
        self.cells.repeated.inc();
        self.leave();
    }

    /// It is answered with an error.
    #[inline]
    pub fn refused(mut self, reason: Refusal) {
        self.cells.refused[reason.index()].inc();
        self.leave();
    }

    fn leave(&mut self) {
        self.settled = true;
        self.cells.in_flight.add(-1);
        self.cells.durations[self.transport.index()].record(self.started.elapsed());
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.settled {
            self.cells.refused[Refusal::Cancelled.index()].inc();
            self.leave();
        }
    }
}

const NEVER: i64 = i64::MIN;

#[cfg(test)]
mod tests;
