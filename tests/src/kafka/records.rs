//! Records as they are sent and as they lie in topics of texts.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::clients::kcat;

/// What a CloudEvent says of itself in headers.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// Its type.
    pub kind: &'a str,
    /// Who sends it.
    pub source: &'a str,
    /// Its id there.
    pub id: &'a str,
    /// When it took place (RFC 3339).
    pub time: &'a str,
}

impl Envelope<'_> {
    /// The headers, with the media type of the body.
    #[must_use]
    pub fn headers(&self, content_type: &str) -> BTreeMap<String, String> {
        [
            ("ce_specversion", "1.0"),
            ("ce_id", self.id),
            ("ce_source", self.source),
            ("ce_type", self.kind),
            ("ce_time", self.time),
            ("content-type", content_type),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// A message with JSON in it, as [`send_messages`](super::send_messages) takes it.
    #[must_use]
    pub fn message(&self, key: &str, body: &Value) -> Value {
        json!({
            "key": key,
            "headers": self.headers("application/json"),
            "value": body,
        })
    }
}

/// A record as it lies in a topic.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its key; empty when it has none.
    pub key: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its value.
    pub value: String,
}

impl Record {
    /// One of its headers; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Its value, which is JSON.
    ///
    /// # Panics
    /// When it is not, or says something else.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.value).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// What is committed in a topic, read with `kcat`; each partition in its order.
///
/// # Panics
/// When the topic cannot be read.
#[must_use]
pub fn committed(bootstrap: &str, topic: &str) -> Vec<Record> {
    let settings = [
        "isolation.level=read_committed",
        // The end of each partition is told at once.
        "fetch.wait.max.ms=20",
    ];
    let mut args = vec!["-C", "-q", "-e", "-J", "-b", bootstrap, "-t", topic];
    args.extend(settings.iter().flat_map(|setting| ["-X", setting]));
    let read = kcat(&args, b"");
    String::from_utf8_lossy(&read).lines().map(record).collect()
}

/// A line as `kcat` writes it: names and values of the headers stand in one list.
fn record(line: &str) -> Record {
    let read: Value = serde_json::from_str(line).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let partition = read["partition"].as_i64().expect("a partition");
    let headers = read["headers"].as_array().map_or(&[][..], Vec::as_slice);
    Record {
        partition: partition.try_into().expect("a partition"),
        key: text(&read["key"]),
        headers: headers
            .chunks_exact(2)
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect(),
        value: text(&read["payload"]),
    }
}
