//! Records that are durable once they are answered: an idempotent producer, acks from all.

use std::time::Duration;

use parking_lot::RwLock;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::client::{Cluster, Logged, RECORD_BYTES_MAX, SetDefault, millis};
use super::error::{Error, code_of};
use super::record::Outgoing;

/// See the module.
pub struct Sender {
    cluster: Cluster,
    patience: Duration,
    /// Made anew when the library has given it up.
    producer: RwLock<FutureProducer<Logged>>,
}

impl Sender {
    /// Makes a sender whose records are confirmed or refused within this time.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn open(cluster: &Cluster, patience: Duration) -> Result<Self, Error> {
        Ok(Self {
            cluster: cluster.clone(),
            patience,
            producer: RwLock::new(producer(cluster, patience)?),
        })
    }

    /// Writes a record, and returns its partition when all copies in sync have it.
    ///
    /// # Errors
    /// [`Error::QueueFull`] and [`Error::TooLarge`]: it was not written. [`Error::Unconfirmed`]: nobody knows.
    pub async fn send(&self, record: &Outgoing) -> Result<i32, Error> {
        self.begin(record)?.await
    }

    /// As [`Sender::send`], for many: the record is on its way when this returns, and what is returned
    /// tells what became of it.
    ///
    /// # Errors
    /// [`Error::QueueFull`]: it was not taken; wait for an earlier one. Others as for [`Sender::send`].
    pub fn begin<'a>(
        &'a self,
        record: &Outgoing,
    ) -> Result<impl Future<Output = Result<i32, Error>> + Send + use<'a>, Error> {
        let topic = self.cluster.topic(record.topic);
        let mut message = FutureRecord::to(&topic)
            .key(&record.key)
            .payload(&record.payload)
            .headers(record.native_headers());
        message.partition = record.partition;
        let sent = self.producer.read().send_result(message);
        let delivery = sent.map_err(|(source, _)| {
            self.renew_if_broken();
            untaken(&topic, source)
        })?;
        Ok(async move {
            let source = match delivery.await {
                Ok(Ok(delivered)) => return Ok(delivered.partition),
                Ok(Err((source, _))) => source,
                // The producer went away with the record in it.
                Err(_) => KafkaError::Canceled,
            };
            self.renew_if_broken();
            Err(untaken(&topic, source))
        })
    }

    /// Writes a key and a value to a topic that is none of ours, by its full name, and returns when all copies in sync have
    /// them.
    ///
    /// # Errors
    /// As for [`Sender::send`].
    pub async fn send_to(&self, topic: &str, key: &str, value: &[u8]) -> Result<(), Error> {
        let message = FutureRecord::to(topic).key(key).payload(value);
        let sent = self.producer.read().send_result(message);
        let delivery = sent.map_err(|(source, _)| {
            self.renew_if_broken();
            untaken(topic, source)
        })?;
        let source = match delivery.await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err((source, _))) => source,
            // The producer went away with the record in it.
            Err(_) => KafkaError::Canceled,
        };
        self.renew_if_broken();
        Err(untaken(topic, source))
    }

    /// An idempotent producer that has met a fatal error takes nothing any more.
    fn renew_if_broken(&self) {
        let broken = |producer: &FutureProducer<Logged>| producer.client().fatal_error().is_some();
        if !broken(&self.producer.read()) {
            return;
        }
        let mut current = self.producer.write();
        if broken(&current) {
            match producer(&self.cluster, self.patience) {
                Ok(next) => *current = next,
                Err(error) => tracing::error!(%error, "the producer could not be made anew"),
            }
        }
    }
}

/// What it means that a record was not confirmed.
fn untaken(topic: &str, source: KafkaError) -> Error {
    match code_of(&source) {
        Some(RDKafkaErrorCode::QueueFull) => Error::QueueFull,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => Error::TooLarge {
            topic: topic.to_owned(),
        },
        _ => Error::Unconfirmed {
            topic: topic.to_owned(),
            source,
        },
    }
}

fn producer(cluster: &Cluster, patience: Duration) -> Result<FutureProducer<Logged>, Error> {
    let mut config = cluster.producer();
    config
        .set_default("linger.ms", "1")
        .set_default("message.max.bytes", RECORD_BYTES_MAX)
        .set("message.timeout.ms", millis(patience));
    config
        .create_with_context(Logged)
        .map_err(|source| Error::Client {
            purpose: "writing",
            source,
        })
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}
