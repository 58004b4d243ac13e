//! How a record of the change log lies on the topic, and the chain by which it proves what came before.
//!
//! The value is the payload of the journal's record. The headers are texts, so that any client shows
//! them: `log` (id of the change log), `seq` (dense, from 1: the list version), `kind` (a number of
//! `creditgate_proto::records::kind`), `time` (microseconds since 1970), `chain` (hex).
//!
//! FENCE: topics are kept for ever. Another form of these headers or of the chain makes every topic
//! unreadable; the test below pins a known value.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use creditgate_runtime::journal::NewRecord;
use creditgate_runtime::kafka::{Incoming, Outgoing, Topic};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The one partition of the topic: changes have one order.
pub const PARTITION: i32 = 0;

const LOG: &str = "log";
const SEQ: &str = "seq";
const KIND: &str = "kind";
const TIME: &str = "time";
const CHAIN: &str = "chain";

/// A digest of every record up to one, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chain([u8; 32]);

impl Chain {
    /// Before the first record of a log.
    #[must_use]
    pub fn start(log_id: Uuid) -> Self {
        Self(Sha256::digest(log_id.as_bytes()).into())
    }

    /// After one more record.
    #[must_use]
    pub fn after(self, seq: u64, record: &NewRecord) -> Self {
        self.link(seq, record.kind, record.time_micros, &record.payload)
    }

    /// As [`Chain::after`], from the parts. All before the payload has a fixed length, so no two
    /// records are the same bytes.
    #[must_use]
    pub fn link(self, seq: u64, kind: u16, time_micros: i64, payload: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update(seq.to_be_bytes())
            .chain_update(kind.to_be_bytes())
            .chain_update(time_micros.to_be_bytes())
            .chain_update(payload)
            .finalize();
        Self(digest.into())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Chain {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.as_bytes();
        let mut bytes = [0; 32];
        // `from_str_radix` alone would take a plus sign.
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(drop)?;
            *byte = u8::from_str_radix(pair, 16).map_err(drop)?;
        }
        Ok(Self(bytes))
    }
}

/// A record of the change log as the topic has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The change log it belongs to.
    pub log_id: Uuid,
    /// Its number.
    pub seq: u64,
    /// The chain with it.
    pub chain: Chain,
    /// The record itself.
    pub record: NewRecord,
}

impl Sealed {
    /// The record as it goes to the topic.
    #[must_use]
    pub fn encode(&self) -> Outgoing {
        let header = |name: &str, value: String| (name.to_owned(), Some(value.into_bytes()));
        Outgoing {
            topic: Topic::ListChanges,
            partition: Some(PARTITION),
            key: Vec::new(),
            headers: vec![
                header(LOG, self.log_id.to_string()),
                header(SEQ, self.seq.to_string()),
                header(KIND, self.record.kind.to_string()),
                header(TIME, self.record.time_micros.to_string()),
                header(CHAIN, self.chain.to_string()),
            ],
            payload: self.record.payload.to_vec(),
        }
    }

    /// The record that came from the topic; nothing about its neighbours is checked.
    ///
    /// # Errors
    /// Which part is missing or not understood.
    pub fn decode(incoming: Incoming) -> Result<Self, &'static str> {
        fn read<T: FromStr>(incoming: &Incoming, name: &'static str) -> Result<T, &'static str> {
            incoming
                .header(name)
                .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok())
                .ok_or(name)
        }
        Ok(Self {
            log_id: read(&incoming, LOG)?,
            seq: read(&incoming, SEQ)?,
            chain: read(&incoming, CHAIN)?,
            record: NewRecord::new(
                read(&incoming, KIND)?,
                read(&incoming, TIME)?,
                Bytes::from(incoming.payload.ok_or("value")?),
            ),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A record as the broker would give it back.
    pub fn delivered(sealed: &Sealed, offset: i64) -> Incoming {
        let outgoing = sealed.encode();
        Incoming {
            partition: PARTITION,
            offset,
            timestamp_ms: None,
            key: Some(outgoing.key),
            headers: outgoing.headers,
            payload: Some(outgoing.payload),
        }
    }

    fn sealed() -> Sealed {
        let log_id = Uuid::from_bytes([7; 16]);
        let record = NewRecord::new(2, 1_772_328_600_123_456, &b"payload"[..]);
        Sealed {
            log_id,
            seq: 1,
            chain: Chain::start(log_id).after(1, &record),
            record,
        }
    }

    #[test]
    fn the_form_on_the_topic_stays() {
        let headers: Vec<String> = sealed()
            .encode()
            .headers
            .into_iter()
            .map(|(name, value)| format!("{name}={}", String::from_utf8(value.unwrap()).unwrap()))
            .collect();
        assert_eq!(
            headers,
            [
                "log=07070707-0707-0707-0707-070707070707",
                "seq=1",
                "kind=2",
                "time=1772328600123456",
                "chain=54387197b169ec4fee98172b67dc14cda4f29c86dd60c05e7f6f6717acca79b2",
            ]
        );
    }

    #[test]
    fn what_goes_to_the_topic_comes_back() {
        let sealed = sealed();
        assert_eq!(Sealed::decode(delivered(&sealed, 3)), Ok(sealed));
    }

    #[test]
    fn a_missing_or_garbled_part_is_named() {
        for name in [LOG, SEQ, KIND, TIME, CHAIN] {
            let mut without = delivered(&sealed(), 0);
            without.headers.retain(|(header, _)| header != name);
            assert_eq!(Sealed::decode(without), Err(name));
            let mut garbled = delivered(&sealed(), 0);
            garbled
                .headers
                .push((name.to_owned(), Some(b"\xffx".to_vec())));
            assert_eq!(Sealed::decode(garbled), Err(name));
        }
        let mut tombstone = delivered(&sealed(), 0);
        tombstone.payload = None;
        assert_eq!(Sealed::decode(tombstone), Err("value"));
    }
}
