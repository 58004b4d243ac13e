//! Whole transactions: records and the group's place, all or nothing.
//!
//! INVARIANT (no second use): after any error the producer is dropped. The library does not know
//! the broker's newer protocol for transactions, so a commit that arrives late could tear the
//! transaction after it; a new producer's `InitProducerId` raises the epoch and fences the old one.
//! After [`Writer::renew`] the outcome is settled, and whoever wrote looks what it was.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{ClientContext, TopicPartitionList};

use super::client::{self, Cluster, RECORD_BYTES_MAX, SetDefault, millis};
use super::error::{Error, code_of, is_fenced};
use super::record::Outgoing;
use super::topics::Topic;

/// How often it is looked whether everything of a transaction is delivered.
const FLUSH_LOOK: Duration = Duration::from_millis(1);

/// See the module.
pub struct Writer {
    cluster: Cluster,
    id: String,
    names: [String; Topic::ALL.len()],
    producer: Option<BaseProducer<Deliveries>>,
    /// When the transaction under way must have ended.
    deadline: Instant,
    /// Records in it.
    added: usize,
}

/// The group's place that goes with a transaction.
pub struct Offsets {
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
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::failed(&error, reason);
    }
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
        Self {
            cluster: cluster.clone(),
            id: cluster.name(id),
            names: Topic::ALL.map(|topic| cluster.topic(topic)),
            producer: None,
            deadline: Instant::now(),
            added: 0,
        }
    }

    /// Whether it may write.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.producer.is_some()
    }

    /// The place of the last record of the last transaction; of use to a writer of one partition.
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
        config
            .set("transactional.id", self.id.as_str())
            .set_default("transaction.timeout.ms", &millis(timeout))
            .set_default("linger.ms", "1")
            .set_default("message.max.bytes", RECORD_BYTES_MAX)
            .set_default("batch.size", "1000000");
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(Deliveries::default())
            .map_err(|source| Error::Client {
                purpose: "transactions",
                source,
            })?;
        producer
            .init_transactions(patience)
            .map_err(Error::asked("begin to write as", self.id.as_str()))?;
        self.producer = Some(producer);
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
            // The library's own flush sleeps a tenth of a second between two looks.
            while producer.in_flight_count() > 0 && !left().is_zero() {
                producer.poll(FLUSH_LOOK);
            }
            if let Some(Offsets { list, member }) = offsets {
                producer.send_offsets_to_transaction(list, member, left())?;
            }
            producer.commit_transaction(left())
        })
    }

    /// One step of a transaction; the producer stays only if it succeeds.
    fn with_producer(
        &mut self,
        step: impl FnOnce(&Self, &BaseProducer<Deliveries>) -> Result<(), KafkaError>,
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
