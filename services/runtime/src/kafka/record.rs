//! Records as they come and go.

use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};

use super::topics::Topic;

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// When it was made, in milliseconds since 1970, as far as Kafka knows.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The headers in order; a header may have no value.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The value; none is a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub topic: Topic,
    /// The partition; none: by the key, as Java's clients choose it (murmur2).
    pub partition: Option<i32>,
    /// The key.
    pub key: Vec<u8>,
    /// The headers in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The value.
    pub payload: Vec<u8>,
}

impl Incoming {
    /// The value of a header: the last one of this name, as Kafka's own clients read it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| value.as_deref())
    }

    /// Bytes it takes in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        let of = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + of(value) + 48)
            .sum();
        of(&self.key) + of(&self.payload) + headers + 128
    }

    pub(super) fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            headers,
            payload: message.payload().map(<[u8]>::to_vec),
        }
    }
}

impl Outgoing {
    pub(super) fn native_headers(&self) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new_with_capacity(self.headers.len());
        for (key, value) in &self.headers {
            headers = headers.insert(Header {
                key,
                value: value.as_ref(),
            });
        }
        headers
    }
}
