//! Where the cluster is, and how clients of it are made.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::topics::Topic;
use crate::config::{self, Secret};
use crate::telemetry::names::field;

/// Settings of librdkafka that are ours: what exactly once means rests on them.
pub const OWN_SETTINGS: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "max.in.flight.requests.per.connection",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.required.acks",
    "transactional.id",
];

/// The largest record that our topics take, as they are made.
pub(super) const RECORD_BYTES_MAX: &str = "16777216";

/// A Kafka cluster as this deployment uses it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cluster {
    settings: Arc<config::Kafka>,
}

impl Cluster {
    /// The cluster of a configuration; none when it names no broker.
    #[must_use]
    pub fn of(settings: &config::Kafka) -> Option<Self> {
        (!settings.brokers.is_empty()).then(|| Self {
            settings: Arc::new(settings.clone()),
        })
    }

    /// How it is used.
    #[must_use]
    pub fn settings(&self) -> &config::Kafka {
        &self.settings
    }

    /// The full name of a topic.
    #[must_use]
    pub fn topic(&self, topic: Topic) -> String {
        self.name(topic.suffix())
    }

    /// A name of this deployment: its prefix, a dot, and the rest.
    #[must_use]
    pub fn name(&self, rest: &str) -> String {
        format!("{}.{rest}", self.settings.topic_prefix)
    }

    /// What all clients have in common.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", self.settings.topic_prefix.as_str())
            // An idle connection that the broker closed is not worth a line.
            .set("log.connection.close", "false")
            .set("socket.nagle.disable", "true")
            // A broker that comes back is noticed soon.
            .set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &self.settings.config {
            config.set(name, Secret::reveal(value));
        }
        config
            .set("bootstrap.servers", self.settings.brokers.join(","))
            .set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    /// A client that reads what is committed, and keeps no position of its own.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", self.name("reader"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            // A jump over deleted records would lose events without a word.
            .set("auto.offset.reset", "error");
        config
    }

    /// A client that writes, each record once.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // Where no partition is named, a key lies where Java's clients put it.
            .set("partitioner", "murmur2_random")
            .set_default("compression.type", "lz4")
            .set_default("queue.buffering.max.messages", "500000");
        config
    }
}

/// A setting that gives way to what the deployment says.
pub(super) trait SetDefault {
    fn set_default(&mut self, name: &str, value: &str) -> &mut Self;
}

impl SetDefault for ClientConfig {
    fn set_default(&mut self, name: &str, value: &str) -> &mut Self {
        if self.get(name).is_none() {
            self.set(name, value);
        }
        self
    }
}

/// Time as the library takes it.
pub(super) fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

/// Where the library's own messages go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        failed(&error, reason);
    }
}

impl ConsumerContext for Logged {}

/// A line of the library's log, in ours.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    // A setting of the deployment goes to every client, and each knows only its own.
    if facility == "CONFWARN" {
        tracing::debug!(facility, "kafka: {message}");
        return;
    }
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, "kafka: {message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(facility, "kafka: {message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(facility, "kafka: {message}"),
    }
}

/// An error of a connection: the library goes on trying by itself, and has logged it.
pub(super) fn failed(error: &KafkaError, reason: &str) {
    // The end of a partition is news for its reader, and no error.
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
        return;
    }
    tracing::debug!({ field::ERROR } = %error, "kafka: {reason}");
}
