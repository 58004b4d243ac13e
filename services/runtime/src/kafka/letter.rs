//! Dead letters: events that got no verdict and reports that were not taken, each with its reason, its
//! position and all it came with.

use std::fmt;

use super::record::{Incoming, Outgoing};
use super::topics::Topic;

/// Why a record was not taken. FENCED: readers choose by these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The bytes are no event, or no report.
    Undecodable,
    /// The event, or the report, breaks a rule.
    Refused,
    /// The same event, or report, came before with other content.
    Conflict,
    /// What it would become, or this letter, is larger than its topic takes; the letter then has no value.
    TooLarge,
}

/// A code with the words that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The code.
    pub code: Code,
    /// For whoever published the record; without values of it.
    pub why: String,
}

impl Code {
    /// The word in the header.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
        }
    }
}

impl Reason {
    /// The reason with this code; `why` says what to mend.
    pub fn new(code: Code, why: impl fmt::Display) -> Self {
        Self {
            code,
            why: why.to_string(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.word(), self.why)
    }
}

/// The letter: the record as it came, with our headers behind its own. `topic` is the full name of
/// the one that it was read from; a topic keyed by case, whose partitions are those of the letters.
#[must_use]
pub fn letter(topic: &str, record: &Incoming, reason: &Reason) -> Outgoing {
    let mut headers = record.headers.clone();
    let mut add = |name: &str, value: String| {
        headers.push((format!("creditgate-{name}"), Some(value.into_bytes())));
    };
    add("code", reason.code.word().to_owned());
    add("reason", reason.why.clone());
    add("topic", topic.to_owned());
    add("partition", record.partition.to_string());
    add("offset", record.offset.to_string());
    if let Some(at) = record.timestamp_ms {
        add("timestamp", at.to_string());
    }
    let payload = match reason.code {
        // It stands where it was read, as long as that topic keeps it.
        Code::TooLarge => Vec::new(),
        Code::Undecodable | Code::Refused | Code::Conflict => {
            record.payload.clone().unwrap_or_default()
        }
    };
    Outgoing {
        topic: Topic::DeadLetters,
        partition: Some(record.partition),
        key: record.key.clone().unwrap_or_default(),
        headers,
        payload,
    }
}

/// The letter of a record that is too large even as a letter: what its sender put into headers and key
/// stays behind.
#[must_use]
pub fn bare_letter(topic: &str, record: &Incoming, reason: &Reason) -> Outgoing {
    let mut bare = letter(topic, record, reason);
    bare.headers.drain(..record.headers.len());
    bare.key.clear();
    bare.payload.clear();
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_all_it_came_with_and_where_from() {
        let record = Incoming {
            partition: 3,
            offset: 41,
            timestamp_ms: Some(1_700_000_000_000),
            key: Some(b"case".to_vec()),
            headers: vec![
                ("x".to_owned(), None),
                ("ce_id".to_owned(), Some(b"\xff".to_vec())),
            ],
            payload: Some(b"{".to_vec()),
        };
        let shown = |code| {
            let letter = letter("t.events", &record, &Reason::new(code, "why"));
            let headers: Vec<String> = letter
                .headers
                .iter()
                .map(|(name, value)| {
                    let value = value.as_deref().map(String::from_utf8_lossy);
                    format!("{name}={}", value.as_deref().unwrap_or("-"))
                })
                .collect();
            let value = String::from_utf8_lossy(&letter.payload).into_owned();
            format!("{:?} {} [{value}]", letter.partition, headers.join(" "))
        };
        let ours = "creditgate-reason=why creditgate-topic=t.events creditgate-partition=3 \
                    creditgate-offset=41 creditgate-timestamp=1700000000000";
        assert_eq!(
            shown(Code::Undecodable),
            format!("Some(3) x=- ce_id=\u{fffd} creditgate-code=undecodable {ours} [{{]")
        );
        assert_eq!(
            shown(Code::TooLarge),
            format!("Some(3) x=- ce_id=\u{fffd} creditgate-code=too_large {ours} []")
        );
        let reason = Reason::new(Code::TooLarge, "why");
        let (whole, bare) = (
            letter("t.events", &record, &reason),
            bare_letter("t.events", &record, &reason),
        );
        assert_eq!(bare.headers, whole.headers[2..]);
        assert_eq!((bare.key.len(), bare.payload.len()), (0, 0));
    }
}
