//! What can go wrong with Kafka, with what was attempted.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client could not be made: a setting is wrong.
    #[error("make a Kafka client for {purpose} (look at `kafka.config`)")]
    Client {
        /// What for.
        purpose: &'static str,
        /// The cause.
        #[source]
        source: KafkaError,
    },
    /// Something was asked of the cluster and did not come.
    #[error("{action} `{topic}`")]
    Asked {
        /// What was attempted.
        action: &'static str,
        /// On which topic.
        topic: String,
        /// The cause.
        #[source]
        source: KafkaError,
    },
    /// A topic is not as it must be.
    #[error("{}", .0.join("; "))]
    Topics(Vec<String>),
    /// The place where reading should go on is gone: the broker has deleted it.
    #[error(
        "`{topic}`: records were deleted before they were read (retention is shorter than the \
         interruption, or the topic was made anew); set the group's offsets to where it shall go on"
    )]
    Gone {
        /// The topic.
        topic: String,
    },
    /// Another process has taken over this transactional id.
    #[error("another process writes as `{0}` now; this one was fenced off")]
    Fenced(String),
    /// A record did not become durable, or nobody knows whether it did.
    #[error("record in `{topic}`")]
    Unconfirmed {
        /// The topic.
        topic: String,
        /// The cause.
        #[source]
        source: KafkaError,
    },
    /// A record is larger than its topic takes; it was not written.
    #[error("a record is larger than `{topic}` takes")]
    TooLarge {
        /// The topic.
        topic: String,
    },
    /// A verdict or a lift order cannot be written down: it holds a time outside the calendar.
    #[error("write a verdict or a lift order as JSON")]
    Form(#[from] serde_json::Error),
    /// The loop of a partition ended though nobody had asked it to.
    #[error("the loop of partition {0} ended by itself")]
    LaneEnded(i32),
    /// Too many records wait for the broker.
    #[error("too many records wait for the broker")]
    QueueFull,
}

impl Error {
    pub(super) fn asked(
        action: &'static str,
        topic: impl Into<String>,
    ) -> impl FnOnce(KafkaError) -> Self {
        let topic = topic.into();
        move |source| Self::Asked {
            action,
            topic,
            source,
        }
    }
}

/// The code inside an error of the library, for those who must tell errors apart.
pub(super) fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(inner) => Some(inner.code()),
        other => other.rdkafka_error_code(),
    }
}

/// Whether another producer has taken over.
pub(super) fn is_fenced(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        Some(
            RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch
        )
    )
}
