//! Where a writer's chain ends, read from its topic.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::{Head, Told};
use crate::kafka::client::{Cluster, Logged, SetDefault};
use crate::kafka::error::Error;
use crate::kafka::reader::passing;
use crate::kafka::record::Incoming;
use crate::kafka::topics::Topic;

/// Time for the topic to give what was just written to it.
const WITHIN: Duration = Duration::from_secs(5);
/// How long one look for a record takes.
const LOOK: Duration = Duration::from_millis(100);
/// How many places before the end reading begins, and how many times further back the next time.
const BACK: i64 = 64;
const FURTHER: i64 = 16;

/// The last head of a writer that is committed before its barrier with this number, which it has written. None: it has
/// written none yet. Blocks on the cluster.
///
/// # Errors
/// When the cluster does not give the barrier in time.
pub fn head(
    cluster: &Cluster,
    writer: &str,
    partition: i32,
    barrier: u64,
) -> Result<Option<Head>, Error> {
    let topic = cluster.topic(Topic::Chain);
    let asked = |error| Error::asked("read where a writer's chain ends in", topic.as_str())(error);
    let mut config = cluster.consumer();
    config.set_default("fetch.wait.max.ms", "20");
    let consumer: BaseConsumer<Logged> =
        config
            .create_with_context(Logged)
            .map_err(|source| Error::Client {
                purpose: "reading",
                source,
            })?;
    let (low, high) = consumer
        .fetch_watermarks(&topic, partition, WITHIN)
        .map_err(asked)?;
    let mut back = BACK;
    loop {
        let from = high.saturating_sub(back).max(low);
        let mut places = TopicPartitionList::with_capacity(1);
        places
            .add_partition_offset(&topic, partition, Offset::Offset(from))
            .and_then(|()| consumer.assign(&places))
            .map_err(asked)?;
        let found = up_to(&consumer, writer, barrier).map_err(asked)?;
        if found.is_some() || from <= low {
            return Ok(found);
        }
        back = back.saturating_mul(FURTHER);
    }
}

/// The last head before the barrier.
fn up_to(
    consumer: &BaseConsumer<Logged>,
    writer: &str,
    barrier: u64,
) -> Result<Option<Head>, KafkaError> {
    let since = Instant::now();
    let mut last = None;
    loop {
        match consumer.poll(LOOK) {
            Some(Ok(message)) => match Told::of(&Incoming::of(&message)) {
                Told::Barrier(number) if number == barrier => return Ok(last),
                Told::Head(head) if head.writer == writer => last = Some(head),
                Told::Head(_) | Told::Opening(_) | Told::Barrier(_) | Told::Unknown => {}
            },
            Some(Err(error)) if !passing(&error) => return Err(error),
            Some(Err(_)) | None => {}
        }
        if since.elapsed() > WITHIN {
            return Err(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut));
        }
    }
}
