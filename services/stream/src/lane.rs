//! The loop of one partition: read, decoded, judged, written, committed with its offset, kept.
//!
//! A loop begins by taking over: its producer fences whoever had the partition and settles what
//! they left open, a barrier makes sure that everything they decided is known here, and the
//! group's place says where to go on. After any doubt it takes over from itself in the same way.
//!
//! Its verdicts are a [`chain`]: at each take-over a segment begins behind the head that is committed,
//! so what did not count is not in it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use creditgate_proto::v1;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::kafka::chain;
use creditgate_runtime::kafka::group::{Lane, Next};
use creditgate_runtime::kafka::letter::{Code, Reason, bare_letter, letter};
use creditgate_runtime::kafka::{Cluster, Outgoing, Topic, Unwritten, Writer, message};
use creditgate_runtime::metrics::{Metrics, StreamEnd, TransactionEnd};
use creditgate_runtime::ports::{Asked, AtOnce, Held, Judge, Judged, NotJudged};
use creditgate_runtime::telemetry::names::field;
use tokio::runtime::Handle;

use crate::batch::{Batch, Confirmed};
use crate::incoming;
use crate::keeping::Keeping;
use crate::port::{Records, Transactions};

#[cfg(test)]
mod simulation;

/// Time for the coordinator to give a transactional id to a new producer.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(10);
/// Pause before something that failed is tried again.
const RETRY: Duration = Duration::from_millis(300);
/// How often a wait without a deadline looks around.
const LOOK: Duration = Duration::from_millis(200);
/// How often the copy of the case state is asked whether it has the barrier.
const BARRIER_LOOK: Duration = Duration::from_millis(2);
/// A wait that is worth a word.
const LONG: Duration = Duration::from_secs(10);

/// What all loops share.
pub(crate) struct Shop<J> {
    pub judge: Arc<J>,
    pub cluster: Cluster,
    pub metrics: Metrics,
    pub runtime: Handle,
}

/// One partition's loop.
pub(crate) struct Loop<'a, J: Judge, L, W> {
    shop: &'a Shop<J>,
    lane: L,
    writer: W,
    batch: Batch<J::Held>,
    keeping: Keeping,
    chain: chain::Chain,
    /// Of each record in the transaction, the offset of the event that it is there for.
    written_for: Vec<i64>,
    /// Offsets of events whose verdict, or letter, is larger than its topic takes; how often.
    too_large: HashMap<i64, u32>,
    /// Where the group stood when the partition was taken over: what lies before it is settled.
    from: i64,
    /// When somebody was last told that events must wait.
    told: Option<Instant>,
}

/// Why the loop leaves its ordinary course.
enum Leave {
    /// The partition goes elsewhere.
    Stop,
    /// What was written may stand or not, or what was asked before may still come.
    Doubt,
}

type Flow<T = ()> = ControlFlow<Leave, T>;

impl<'a, J: Judge> Loop<'a, J, Lane, Writer> {
    pub(crate) fn new(shop: &'a Shop<J>, lane: Lane) -> Self {
        let writer = Writer::of_batches(&shop.cluster, &writer_of(lane.partition));
        Self::over(shop, lane, writer)
    }
}

impl<'a, J, L, W> Loop<'a, J, L, W>
where
    J: Judge,
    L: Records,
    W: Transactions<Place = L::Place>,
{
    fn over(shop: &'a Shop<J>, lane: L, writer: W) -> Self {
        let partition = lane.partition();
        Self {
            chain: chain::Chain::new(writer_of(partition), partition),
            shop,
            lane,
            writer,
            batch: Batch::new(),
            keeping: Keeping::new(shop.runtime.clone()),
            written_for: Vec::new(),
            too_large: HashMap::new(),
            from: 0,
            told: None,
        }
    }

    /// Runs until the partition goes elsewhere.
    pub(crate) fn run(mut self) {
        let began = Instant::now();
        let mut first = true;
        while let ControlFlow::Continue(committed) = self.take_over() {
            if std::mem::take(&mut first) {
                tracing::info!(
                    partition = self.lane.partition(),
                    offset = committed,
                    took_ms = millis(began.elapsed()),
                    "took over a partition of events"
                );
            }
            loop {
                match self.step() {
                    ControlFlow::Continue(()) => {}
                    ControlFlow::Break(Leave::Stop) => return self.keeping.finish(),
                    ControlFlow::Break(Leave::Doubt) => break,
                }
            }
        }
        self.keeping.finish();
    }

    /// Fences whoever was here before, learns what they decided, and finds the place to go on.
    fn take_over(&mut self) -> Flow<i64> {
        loop {
            self.heed_stop()?;
            match self.try_to_take_over() {
                Ok(committed) => {
                    self.batch.resume_at(committed);
                    self.from = committed;
                    return ControlFlow::Continue(committed);
                }
                Err(why) => {
                    tracing::warn!(
                        partition = self.lane.partition(),
                        { field::ERROR } = why,
                        "a partition is not taken over yet; trying again"
                    );
                    self.lane.pause(RETRY);
                }
            }
        }
    }

    fn try_to_take_over(&mut self) -> Result<i64, String> {
        let shown = |error: &(dyn std::error::Error + 'static)| Chain(error).to_string();
        // What was held is given up first: the barrier may wait for those slots.
        self.batch.give_up();
        self.written_for.clear();
        self.writer
            .renew(TAKE_OVER_WITHIN)
            .map_err(|error| shown(&error))?;
        let number = barrier_number();
        let partition = self.lane.partition();
        let barriers = [
            message::barrier(number, partition),
            chain::barrier(self.chain.writer(), number, partition),
        ];
        self.writer
            .write(&barriers)
            .map_err(|error| shown(&error))?;
        let since = Instant::now();
        while !self.shop.judge.has_read(self.lane.partition(), number) {
            if self.lane.is_stopping() {
                return Err("the partition goes elsewhere".to_owned());
            }
            if since.elapsed() > LONG {
                return Err("the copy of the case state does not come to its end".to_owned());
            }
            self.lane.pause(BARRIER_LOOK);
        }
        if self.lane.is_stopping() {
            return Err("the partition goes elsewhere".to_owned());
        }
        let head = self
            .writer
            .chain_head(self.chain.writer(), partition, number)
            .map_err(|error| shown(&error))?;
        self.chain.resume(head.as_ref());
        self.lane.committed().map_err(|error| shown(&error))
    }

    /// One event, one commit, or one wait.
    fn step(&mut self) -> Flow {
        let settings = self.shop.cluster.settings();
        let more = self.lane.has_waiting();
        let is_full = self
            .batch
            .is_full(settings.batch_events, settings.batch, more);
        if is_full || self.lane.is_stopping() {
            self.commit()?;
        }
        self.heed_stop()?;
        let Some(due) = self.batch.due() else {
            return self.wait();
        };
        let offset = due.offset;
        let asked = match self.too_large.contains_key(&offset) {
            true => Err(Reason::new(
                Code::TooLarge,
                "the event and its verdict are larger than a record may be",
            )),
            false => incoming::event(due),
        };
        match asked {
            Ok(asked) => self.judge(asked),
            Err(reason) => self.bury(&reason),
        }
    }

    fn wait(&mut self) -> Flow {
        let patience = self.batch.patience(self.shop.cluster.settings().batch);
        match self.lane.next(patience.unwrap_or(LOOK)) {
            // Read before the predecessor's last commit was known.
            Next::Record(record) if record.offset < self.from => {}
            Next::Record(record) => self.batch.push(record),
            Next::Nothing => self.writer.listen(),
            // The next step sees what is due.
            Next::Stop => {}
        }
        ControlFlow::Continue(())
    }

    fn heed_stop(&self) -> Flow {
        match self.lane.is_stopping() {
            true => ControlFlow::Break(Leave::Stop),
            false => ControlFlow::Continue(()),
        }
    }

    fn judge(&mut self, asked: Asked) -> Flow {
        self.wait_for_case(&asked.event)?;
        if self.shop.judge.is_saturated() {
            return self.later("too much is behind");
        }
        let judged = match self.shop.judge.judge_at_once(asked) {
            Ok(AtOnce::Judged(judged)) => Ok(judged),
            Ok(AtOnce::Waits(waiting)) => {
                // INVARIANT (no circle): nobody waits for others while others wait for what it holds.
                self.commit()?;
                let judged = self.shop.judge.judge_waiting(waiting);
                self.shop.runtime.block_on(judged)
            }
            Err(not_judged) => Err(not_judged),
        };
        match judged {
            Ok(Judged::Now(held)) => self.write(held),
            Ok(Judged::Before) => {
                self.begin()?;
                self.batch.advance(StreamEnd::Repeated, None);
                ControlFlow::Continue(())
            }
            Err(NotJudged::Refused(why)) => self.bury(&Reason::new(Code::Refused, why)),
            Err(NotJudged::Conflict(why)) => self.bury(&Reason::new(Code::Conflict, why)),
            Err(NotJudged::Later(why)) => self.later(&why),
        }
    }

    /// An event that asks what is known of its case waits until the events before it are kept.
    fn wait_for_case(&mut self, event: &v1::Event) -> Flow {
        let case = event.case_id.as_str();
        let is_there = self.batch.has_case(case) || self.keeping.has_case(case);
        if is_there && self.shop.judge.asks_for_case(event) {
            if self.batch.has_case(case) {
                self.commit()?;
            }
            self.keeping.finish();
        }
        ControlFlow::Continue(())
    }

    /// The event must wait for a trouble of ours to end; what is written need not.
    fn later(&mut self, why: &str) -> Flow {
        self.commit()?;
        if self.told.is_none_or(|told| told.elapsed() > LONG) {
            self.told = Some(Instant::now());
            tracing::warn!(
                partition = self.lane.partition(),
                { field::REASON } = why,
                "events of a partition wait"
            );
        }
        self.lane.pause(RETRY);
        ControlFlow::Continue(())
    }

    /// Writes a verdict and the state of its case.
    fn write(&mut self, mut held: J::Held) -> Flow {
        let partition = self.lane.partition();
        let data = self.shop.cluster.settings().verdict_data;
        let mut verdict =
            match message::verdict(held.verdict(), data, held.trace(), Some(partition)) {
                Ok(verdict) => verdict,
                Err(error) => return self.bury(&Reason::new(Code::Refused, Chain(&error))),
            };
        let state = message::case_state(held.verdict(), held.record(), partition);
        if let Some(opening) = self.chain.open() {
            self.add(&opening)?;
        }
        self.chain.add(&mut verdict);
        self.add(&verdict)?;
        self.add(&state)?;
        let case = held.verdict().case_id.clone();
        held.written();
        self.batch.advance(StreamEnd::Verdict, Some((held, case)));
        ControlFlow::Continue(())
    }

    /// Writes a dead letter.
    fn bury(&mut self, reason: &Reason) -> Flow {
        let topic = self.shop.cluster.topic(Topic::Events);
        let Some(due) = self.batch.due() else {
            return ControlFlow::Continue(());
        };
        let times = self.too_large.get(&due.offset).copied().unwrap_or_default();
        let dead = match times > 1 {
            true => bare_letter(&topic, due, reason),
            false => letter(&topic, due, reason),
        };
        self.add(&dead)?;
        let end = match reason.code {
            Code::Undecodable => StreamEnd::Undecodable,
            Code::Refused => StreamEnd::Refused,
            Code::Conflict => StreamEnd::Conflict,
            Code::TooLarge => StreamEnd::TooLarge,
        };
        self.batch.advance(end, None);
        ControlFlow::Continue(())
    }

    fn begin(&mut self) -> Flow {
        if !self.batch.is_empty() || !self.written_for.is_empty() {
            return ControlFlow::Continue(());
        }
        if !self.writer.is_whole() {
            // What it wrote is confirmed, and it may write nothing more.
            tracing::info!(
                partition = self.lane.partition(),
                "a connection of the writer's broke: another one goes on"
            );
            return ControlFlow::Break(Leave::Doubt);
        }
        let begun = self.writer.begin();
        self.sure(begun)
    }

    fn add(&mut self, record: &Outgoing) -> Flow {
        self.begin()?;
        self.written_for
            .push(self.batch.due().map_or(-1, |due| due.offset));
        let added = self.writer.add(record);
        self.sure(added)
    }

    /// Commits what is written, if anything is, and keeps it.
    fn commit(&mut self) -> Flow {
        let Some(next) = self.batch.next_offset() else {
            return ControlFlow::Continue(());
        };
        let offsets = match self.lane.offsets(next) {
            Ok(offsets) => offsets,
            Err(error) => {
                tracing::warn!({ field::ERROR } = %Chain(&error), "a transaction is given up");
                return ControlFlow::Break(Leave::Doubt);
            }
        };
        if let Some(head) = self.chain.head() {
            self.add(&head)?;
        }
        let began = Instant::now();
        let committed = self.writer.commit(Some(&offsets));
        self.sure(committed)?;
        tracing::debug!(
            partition = self.lane.partition(),
            { field::COUNT } = self.batch.len(),
            age_ms = millis(self.batch.age()),
            commit_ms = millis(began.elapsed()),
            "committed"
        );
        let metrics = &self.shop.metrics;
        metrics.stream_transaction(TransactionEnd::Committed);
        self.written_for.clear();
        self.too_large.clear();
        let Confirmed { ends, held, cases } = self.batch.confirmed();
        ends.into_iter().for_each(|end| metrics.stream_event(end));
        self.keeping.begin(&self.shop.judge, held, cases);
        ControlFlow::Continue(())
    }

    /// Goes on after a step of the transaction only if it is certain.
    fn sure(&mut self, step: Result<(), Unwritten>) -> Flow {
        let Err(unwritten) = step else {
            return ControlFlow::Continue(());
        };
        self.shop
            .metrics
            .stream_transaction(TransactionEnd::Doubtful);
        if let Unwritten::TooLarge(index) = unwritten
            && let Some(offset) = self.written_for.get(index)
        {
            *self.too_large.entry(*offset).or_default() += 1;
        }
        tracing::warn!(
            partition = self.lane.partition(),
            { field::COUNT } = self.batch.len(),
            { field::ERROR } = %Chain(&unwritten),
            "a transaction was not confirmed; what it held is looked up, and done again where it is missing"
        );
        if let Unwritten::Fenced(_) = unwritten {
            // Whoever fenced us may be the partition's next owner; the group will tell.
            self.lane.pause(RETRY);
        }
        ControlFlow::Break(Leave::Doubt)
    }
}

/// Under which transactional id, and as which chain, the verdicts of a partition are written.
fn writer_of(partition: i32) -> String {
    format!("stream-{partition}")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A number that no other barrier of this partition has.
fn barrier_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let process = u64::from(std::process::id()) << 40;
    u64::try_from(nanos & u128::from(u64::MAX)).unwrap_or_default()
        ^ process
        ^ NEXT.fetch_add(1, Ordering::Relaxed)
}
