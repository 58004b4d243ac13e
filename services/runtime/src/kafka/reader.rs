//! A reader of a topic's committed records, from where it is told to begin.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{Cluster, Logged, SetDefault};
use super::error::{Error, code_of};
use super::record::Incoming;
use super::topics::Topic;

/// See the module. It belongs to no group and commits nothing: its owner remembers the place.
pub struct Reader {
    consumer: BaseConsumer<Logged>,
    topic: String,
}

/// What a reader came upon.
#[derive(Debug)]
pub enum Read {
    /// A record.
    Record(Incoming),
    /// The end of a partition, as far as it is committed.
    End(i32),
    /// Nothing in the time allowed.
    Nothing,
}

impl Reader {
    /// Begins at these places; at the very beginning where there is none.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn open(
        cluster: &Cluster,
        topic: Topic,
        places: &[(i32, Option<i64>)],
    ) -> Result<Self, Error> {
        let name = cluster.topic(topic);
        let mut config = cluster.consumer();
        config
            .set("enable.partition.eof", "true")
            // Its end is known when the broker answers, and it answers at once only if there is something.
            .set_default("fetch.wait.max.ms", "100");
        let consumer: BaseConsumer<Logged> =
            config
                .create_with_context(Logged)
                .map_err(|source| Error::Client {
                    purpose: "reading",
                    source,
                })?;
        let mut assigned = TopicPartitionList::with_capacity(places.len());
        let assigning = Error::asked("begin to read", name.as_str());
        let placed = places.iter().try_for_each(|(partition, place)| {
            let offset = place.map_or(Offset::Beginning, Offset::Offset);
            assigned.add_partition_offset(&name, *partition, offset)
        });
        placed
            .and_then(|()| consumer.assign(&assigned))
            .map_err(assigning)?;
        Ok(Self {
            consumer,
            topic: name,
        })
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// When the cluster does not answer, or there is no such topic.
    pub fn partitions(cluster: &Cluster, topic: Topic, wait: Duration) -> Result<i32, Error> {
        let name = cluster.topic(topic);
        let consumer: BaseConsumer<Logged> = cluster
            .consumer()
            .create_with_context(Logged)
            .map_err(|source| Error::Client {
                purpose: "reading",
                source,
            })?;
        let metadata = consumer
            .fetch_metadata(Some(&name), wait)
            .map_err(Error::asked(
                "ask the brokers (are they there?) for",
                name.as_str(),
            ))?;
        let count = metadata
            .topics()
            .iter()
            .find(|known| known.name() == name && known.error().is_none())
            .map_or(0, |known| known.partitions().len());
        match i32::try_from(count) {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(Error::Topics(vec![format!("there is no topic `{name}`")])),
        }
    }

    /// The next record, or the news that there is none. While the broker is away there is nothing.
    ///
    /// # Errors
    /// When the place is gone, or reading cannot go on.
    pub fn next(&self, wait: Duration) -> Result<Read, Error> {
        match self.consumer.poll(wait) {
            None => Ok(Read::Nothing),
            Some(Ok(message)) => Ok(Read::Record(Incoming::of(&message))),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Read::End(partition)),
            Some(Err(error)) => self.face(error),
        }
    }

    /// Whether the cluster answers now: without that, silence does not mean that nothing is there.
    #[must_use]
    pub fn is_answered(&self, partition: i32, wait: Duration) -> bool {
        self.bounds(partition, wait).is_some()
    }

    /// The first record that a partition still has, and the one that comes next; none: nobody answers.
    #[must_use]
    pub fn bounds(&self, partition: i32, wait: Duration) -> Option<(i64, i64)> {
        self.consumer
            .fetch_watermarks(&self.topic, partition, wait)
            .ok()
    }

    /// Only what the library cannot get over ends a reader: a login that fails while the broker
    /// starts must not leave lists behind until somebody restarts the process.
    fn face(&self, error: KafkaError) -> Result<Read, Error> {
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        match code_of(&error) {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Err(Error::Gone {
                    topic: self.topic.clone(),
                })
            }
            _ if fatal => Err(Error::asked("read", self.topic.as_str())(error)),
            _ => {
                if !passing(&error) {
                    tracing::warn!(topic = self.topic, %error, "a topic cannot be read; trying again");
                }
                Ok(Read::Nothing)
            }
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// Whether the library gets over the error by itself; it has been logged.
pub(super) fn passing(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::NetworkException
                | RDKafkaErrorCode::RebalanceInProgress
        )
    )
}
