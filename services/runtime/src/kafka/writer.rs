//! Whole transactions: records and the group's place, all or nothing.
//!
//! INVARIANT (no second use): after any error the producer is dropped. The library does not know
//! the broker's newer protocol for transactions, so a commit that arrives late could tear the
//! transaction after it; a new producer's `InitProducerId` raises the epoch and fences the old one.
//! After [`Writer::renew`] the outcome is settled, and whoever wrote looks what it was.
//!
//! So it is too when a connection breaks and nobody else notices: the library asks again over another
//! one, is answered, and says that the transaction is confirmed, while the first request may still be
//! on its way. Such a transaction counts; whoever writes many, one after the other, renews its writer then
//! ([`Writer::is_whole`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{ClientContext, TopicPartitionList};

use super::chain::{self, Head};
use super::client::{self, Cluster, RECORD_BYTES_MAX, SetDefault, millis};
use super::error::{Error, code_of, is_fenced};
use super::record::Outgoing;
use super::topics::Topic;

/// How often it is looked whether everything of a transaction is delivered.
const FLUSH_LOOK: Duration = Duration::from_micros(500);
/// How much longer than it was told the library may take before it is left alone.
const OVERTIME: Duration = Duration::from_millis(500);
/// More than the library ever has to tell after a transaction: a few lines for each broker.
const EVENTS_TAKEN: usize = 32;

/// What a batch waits for its records to be sent together: few large requests cost the broker and us
/// less than many small ones, and the end of a transaction waits for the last of them only so long.
const BATCH_LINGER_MS: &str = "5";

/// See the module.
pub struct Writer {
    cluster: Cluster,
    id: String,
    size: Size,
    names: [String; Topic::ALL.len()],
    producer: Option<Arc<BaseProducer<Deliveries>>>,
    /// When the transaction under way must have ended.
    deadline: Instant,
    /// Records in it.
    added: usize,
}

/// How large the transactions of a writer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// A few records, each of which somebody waits for.
    Few,
    /// Hundreds of records, of which only the end of the transaction counts.
    Batch,
}

/// The group's place that goes with a transaction. Cheap to clone.
#[derive(Clone)]
pub struct Offsets(pub(super) Arc<Place>);

/// What [`Offsets`] hold.
pub(super) struct Place {
    pub(super) list: TopicPartitionList,
    pub(super) member: ConsumerGroupMetadata,
}

/// Why a transaction was not confirmed. The writer must be renewed before it writes again.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// Certainly not written: the broker refuses the record at this index for its size.
    #[error("record {0} of the transaction is larger than its topic takes")]
    TooLarge(usize),
    /// Another process has the transactional id now, or the broker ended a transaction that took too long.
    #[error("the writer was fenced off")]
    Fenced(#[source] KafkaError),
    /// Whether it was written, only looking will tell.
    #[error("the transaction was not confirmed")]
    Unknown(#[source] KafkaError),
}

impl Unwritten {
    /// What a writer says whose broker does not answer; for those who play one.
    #[must_use]
    pub const fn unanswered() -> Self {
        Self::Unknown(KafkaError::Canceled)
    }

    /// What a writer says that was fenced off; for those who play a broker.
    #[must_use]
    pub const fn fenced() -> Self {
        Self::Fenced(KafkaError::Canceled)
    }
}

/// What the broker said of single records.
#[derive(Default)]
struct Deliveries {
    /// The first record that could not be delivered, by its index in the transaction.
    failed: Mutex<Option<(usize, Option<RDKafkaErrorCode>)>>,
    /// The place of the record delivered last.
    last: Mutex<Option<i64>>,
    /// Whether a connection broke on which requests may have been under way.
    broken: AtomicBool,
}

impl ClientContext for Deliveries {
    /// That the other side closed a connection is told in a line of the library's log alone.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" && !was_not_up(message) {
            self.broken.store(true, Ordering::Relaxed);
        }
        let level = match level {
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => RDKafkaLogLevel::Debug,
            other => other,
        };
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // That all connections are down is told beside the end of each.
        let of_one = error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown);
        if of_one && !was_not_up(reason) {
            self.broken.store(true, Ordering::Relaxed);
        }
        client::failed(&error, reason);
    }
}

/// States of a connection that has not been up yet, in the library's words. One that proves anew who it is while
/// requests are under way is in other states.
const NOT_UP_YET: [&str; 6] = [
    "INIT",
    "DOWN",
    "TRY_CONNECT",
    "CONNECT",
    "SSL_HANDSHAKE",
    "APIVERSION_QUERY",
];

/// Whether an error of the library's says that the connection was only being made: no request of ours is
/// under way on such a one. What it does not say so plainly counts as a break.
fn was_not_up(reason: &str) -> bool {
    let is_end = |rest: &str| rest.starts_with([',', ')']);
    reason.rsplit_once(" in state ").is_some_and(|(_, told)| {
        let states = NOT_UP_YET.iter();
        states
            .filter_map(|state| told.strip_prefix(state))
            .any(is_end)
    })
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        match result {
            Ok(message) => *self.last.lock() = Some(message.offset()),
            Err((error, _)) => {
                self.failed.lock().get_or_insert((index, code_of(error)));
            }
        }
    }
}

impl Writer {
    /// A writer under this transactional id; it must be renewed before it can write.
    #[must_use]
    pub fn new(cluster: &Cluster, id: &str) -> Self {
        Self::of_size(cluster, id, Size::Few)
    }

    /// As [`Writer::new`], for transactions of many records. It does not learn the places of its
    /// records: see [`Writer::last_offset`].
    #[must_use]
    pub fn of_batches(cluster: &Cluster, id: &str) -> Self {
        Self::of_size(cluster, id, Size::Batch)
    }

    fn of_size(cluster: &Cluster, id: &str, size: Size) -> Self {
        Self {
            cluster: cluster.clone(),
            id: cluster.name(id),
            size,
            names: Topic::ALL.map(|topic| cluster.topic(topic)),
            producer: None,
            deadline: Instant::now(),
            added: 0,
        }
    }

    /// Whether it may write; if not, it must be renewed first.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.producer.is_some()
    }

    /// Whether no connection broke since it was opened on which a request may still be on its way.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.listen();
        let broken = |producer: &Arc<BaseProducer<Deliveries>>| {
            producer.context().broken.load(Ordering::Relaxed)
        };
        self.producer.as_ref().is_some_and(|own| !broken(own))
    }

    /// Takes in what the library has to tell; to be called now and then while nothing is written, as it would
    /// gather else.
    pub fn listen(&self) {
        if let Some(producer) = &self.producer {
            take_news(producer);
        }
    }

    /// What the chain of verdicts that is written under this id has come to; see [`chain::head()`]. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn chain_head(
        &self,
        writer: &str,
        partition: i32,
        barrier: u64,
    ) -> Result<Option<Head>, Error> {
        chain::head(&self.cluster, writer, partition, barrier)
    }

    /// The place of the last record of the last transaction; of use to a writer of one partition, and
    /// unknown to one of batches.
    #[must_use]
    pub fn last_offset(&self) -> Option<i64> {
        let producer = self.producer.as_ref()?;
        *producer.context().last.lock()
    }

    /// Makes a producer, fences off every other with this id, and settles what they left open.
    ///
    /// # Errors
    /// When the client cannot be made, or the cluster does not answer in time: try again.
    pub fn renew(&mut self, patience: Duration) -> Result<(), Error> {
        self.producer = None;
        let timeout = self.cluster.settings().transaction_timeout();
        let mut config = self.cluster.producer();
        let linger_ms = match self.size {
            Size::Few => "1",
            Size::Batch => {
                // A record that fails is told all the same, and fails its transaction.
                config.set("delivery.report.only.error", "true");
                BATCH_LINGER_MS
            }
        };
        config
            .set("transactional.id", self.id.as_str())
            .set_default("transaction.timeout.ms", &millis(timeout))
            .set_default("linger.ms", linger_ms)
            .set_default("message.max.bytes", RECORD_BYTES_MAX)
            .set_default("batch.size", "1000000")
            // Else a connection that the other side closes is no news, whatever was under way on it.
            .set("log.connection.close", "true")
            .set_log_level(RDKafkaLogLevel::Info);
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(Deliveries::default())
            .map_err(|source| Error::Client {
                purpose: "transactions",
                source,
            })?;
        producer
            .init_transactions(patience)
            .map_err(Error::asked("begin to write as", self.id.as_str()))?;
        self.producer = Some(Arc::new(producer));
        Ok(())
    }

    /// Writes records in one transaction.
    ///
    /// # Errors
    /// When it is not confirmed; see [`Unwritten`].
    pub fn write(&mut self, records: &[Outgoing]) -> Result<(), Unwritten> {
        self.begin()?;
        records.iter().try_for_each(|record| self.add(record))?;
        self.commit(None)
    }

    /// Begins a transaction. The broker ends it by itself when it is not committed in time.
    ///
    /// # Errors
    /// When it is not confirmed; see [`Unwritten`].
    pub fn begin(&mut self) -> Result<(), Unwritten> {
        self.deadline = Instant::now() + self.cluster.settings().transaction_timeout();
        self.added = 0;
        self.with_producer(|_, producer| producer.begin_transaction())
    }

    /// Puts a record into the transaction; it is on its way when this returns.
    ///
    /// # Errors
    /// When the library does not take it; the transaction is over then.
    pub fn add(&mut self, record: &Outgoing) -> Result<(), Unwritten> {
        self.added += 1;
        self.with_producer(|writer, producer| writer.produce(producer, record))
    }

    /// Commits what was added, with the group's place.
    ///
    /// # Errors
    /// When it is not confirmed; see [`Unwritten`].
    pub fn commit(&mut self, offsets: Option<&Offsets>) -> Result<(), Unwritten> {
        self.with_producer(|writer, producer| {
            let left = || writer.deadline.saturating_duration_since(Instant::now());
            flush(producer, left);
            if let Some(offsets) = offsets {
                send_offsets(producer, offsets, left())?;
            }
            producer.commit_transaction(left())?;
            take_news(producer);
            Ok(())
        })
    }

    /// One step of a transaction; the producer stays only if it succeeds.
    fn with_producer(
        &mut self,
        step: impl FnOnce(&Self, &Arc<BaseProducer<Deliveries>>) -> Result<(), KafkaError>,
    ) -> Result<(), Unwritten> {
        let Some(producer) = self.producer.take() else {
            return Err(Unwritten::Unknown(KafkaError::Canceled));
        };
        match step(self, &producer) {
            Ok(()) => {
                self.producer = Some(producer);
                Ok(())
            }
            Err(error) => Err(told(&producer, error)),
        }
    }

    fn produce(
        &self,
        producer: &BaseProducer<Deliveries>,
        record: &Outgoing,
    ) -> Result<(), KafkaError> {
        let index = self.added - 1;
        let mut message = BaseRecord::with_opaque_to(self.name(record.topic), index)
            .key(&record.key)
            .payload(&record.payload)
            .headers(record.native_headers());
        message.partition = record.partition;
        loop {
            match producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                    if Instant::now() < self.deadline =>
                {
                    message = again;
                    producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => {
                    let failed = (index, code_of(&error));
                    producer.context().failed.lock().get_or_insert(failed);
                    return Err(error);
                }
            }
        }
    }

    fn name(&self, topic: Topic) -> &str {
        &self.names[topic as usize]
    }
}

/// Puts the group's place into the transaction, in this time at most.
///
/// The library asks for the group's coordinator without a limit: when it is told "not now" as often as it asks
/// again, it waits for some connection to come or go, for ever where none does. The call is left to a thread then,
/// which ends with it; what it still sends bears an epoch that the next producer has fenced off.
fn send_offsets(
    producer: &Arc<BaseProducer<Deliveries>>,
    offsets: &Offsets,
    within: Duration,
) -> Result<(), KafkaError> {
    let (telling, told) = mpsc::channel();
    let (own, Offsets(place)) = (Arc::clone(producer), offsets.clone());
    let timed_out = || KafkaError::Global(RDKafkaErrorCode::OperationTimedOut);
    thread::Builder::new()
        .name("kafka-offsets".to_owned())
        .spawn(move || {
            let sent = own.send_offsets_to_transaction(&place.list, &place.member, within);
            // Before the news: whoever waits for it is the last to hold the producer.
            drop(own);
            // Nobody may wait for it any more.
            let _ = telling.send(sent);
        })
        .map_err(|_| timed_out())?;
    told.recv_timeout(within + OVERTIME)
        .unwrap_or_else(|_| Err(timed_out()))
}

/// Takes in what the library has to tell of connections; each time one event.
fn take_news(producer: &BaseProducer<Deliveries>) {
    (0..EVENTS_TAKEN).for_each(|_| producer.poll(Duration::ZERO));
}

/// Waits until everything is delivered or given up.
///
/// The library's own flush sleeps a tenth of a second between two looks, and its wait for news counts
/// whole milliseconds: of a shorter one it would make a loop that burns a processor.
fn flush(producer: &BaseProducer<Deliveries>, left: impl Fn() -> Duration) {
    loop {
        let before = producer.in_flight_count();
        producer.poll(Duration::ZERO);
        match producer.in_flight_count() {
            0 => return,
            _ if left().is_zero() => return,
            after if after < before => {}
            _ => std::thread::sleep(FLUSH_LOOK),
        }
    }
}

/// What an error of a transaction means.
fn told(producer: &BaseProducer<Deliveries>, error: KafkaError) -> Unwritten {
    let failed = *producer.context().failed.lock();
    match failed {
        Some((
            index,
            Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize),
        )) => Unwritten::TooLarge(index),
        _ if is_fenced(&error) => Unwritten::Fenced(error),
        _ => Unwritten::Unknown(error),
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("id", &self.id)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_connection_is_heard_of_in_the_log() {
        let check = |facility: &str, message: &str, broken: bool| {
            let told = Deliveries::default();
            told.log(RDKafkaLogLevel::Info, facility, message);
            assert_eq!(told.broken.into_inner(), broken, "{facility} {message}");
        };
        let closed = "[thrd:TxnCoordinator]: TxnCoordinator: 127.0.0.1:9092: Disconnected (after 52ms in state UP)";
        check("FAIL", closed, true);
        check("GETPID", closed, false);
        let refused = "[thrd:127.0.0.1:9092/1]: 127.0.0.1:9092/1: Connect failed (after 0ms in state CONNECT)";
        check("FAIL", refused, false);
    }

    #[test]
    fn only_a_connection_that_was_up_can_have_requests_under_way() {
        let check = |reason: &str, was_not_up_: bool| assert_eq!(was_not_up(reason), was_not_up_);
        check(
            "127.0.0.1:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)",
            true,
        );
        check(
            "TxnCoordinator: 127.0.0.1:9092: Disconnected (after 5204ms in state UP)",
            false,
        );
        check(
            "127.0.0.1:9092/1: 1 request(s) timed out: disconnect (after 5204ms in state UP, 1 identical error(s) suppressed)",
            false,
        );
        let proving_again =
            "sasl_ssl://127.0.0.1:9092/1: Disconnected (after 31ms in state AUTH_REQ)";
        check(proving_again, false);
        check("something new", false);
    }
}
