//! Chains of verdicts on their topic: each record of a writer names the hash of the one before it.
//!
//! A writer is a transactional id, and so one partition: `stream-3` writes the verdicts of partition 3, whichever process
//! has it. Each verdict bears a header, [`HEADER`], with the writer, its segment, the number of the record, the hash before
//! it and its own; who keeps it has a receipt. What a writer has come to stands in the topic of chains, in the same
//! transaction as the verdicts: INVARIANT (committed head): a transaction that does not count moves no chain.
//!
//! Whoever takes a partition over reads that head once everybody before is fenced off, and begins a segment behind it. Its
//! opening is a record of the topic of chains, too: it names the last record before it, and the opening before it, so that
//! the openings are a chain of their own, in which every writer is registered. They are kept for ever; of heads the last is.
//!
//! Verdicts of synchronous checks and of reviews are written outside transactions and bear no such header. Nothing here is
//! signed: it proves order and completeness against whoever cannot write both topics.

use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::record::{Incoming, Outgoing};
use super::topics::Topic;
use crate::hex::{from_hex, hex};

mod head;
mod proof;

pub use head::head;
pub use proof::{Broken, Chains, Control, Walked};

/// The header of a verdict that says where in its chain it stands: writer, segment, number, hash before it and own hash.
pub const HEADER: &str = "creditgate-chain";

/// What is hashed begins with this. FENCED: hashes rest on it.
const DOMAIN: &[u8] = b"creditgate verdict chain v1\n";
const OPENING_DOMAIN: &[u8] = b"creditgate chain opening v1\n";

/// Says what a record of the topic of chains is.
const KIND: &str = "kind";
const HEAD: &[u8] = b"head";
const OPENING: &[u8] = b"opening";
const BARRIER: &[u8] = b"barrier";

/// What a writer has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The writer.
    pub writer: String,
    /// Its segment: 1 for the first, then dense.
    pub segment: u64,
    /// The number of the last record.
    pub sequence: u64,
    /// The hash of the last record.
    pub hash: [u8; 32],
    /// The hash of the opening of its segment.
    pub opening: [u8; 32],
}

/// The beginning of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The writer.
    pub writer: String,
    /// The segment.
    pub segment: u64,
    /// The last record before it; 0 if there was none.
    pub sequence: u64,
    /// The hash of that record; of the writer if there was none.
    pub hash: [u8; 32],
    /// The hash of the opening before it; zeros for the first.
    pub previous: [u8; 32],
}

/// Where a record stands in its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The writer.
    pub writer: String,
    /// Its segment.
    pub segment: u64,
    /// The number of the record, from 1.
    pub sequence: u64,
    /// The hash of the record before it; of the writer for the first.
    pub previous: [u8; 32],
    /// The hash of the record.
    pub hash: [u8; 32],
}

/// The chain of one writer, as it is written.
#[derive(Clone, Debug)]
pub struct Chain {
    writer: String,
    partition: i32,
    segment: u64,
    sequence: u64,
    hash: [u8; 32],
    /// The opening before this segment, then its own.
    opening: [u8; 32],
    is_open: bool,
    /// Whether a record was added since the head was written.
    moved: bool,
}

impl Chain {
    /// The chain of a writer to one partition, which begins; [`Chain::resume`] says how far it is.
    #[must_use]
    pub fn new(writer: String, partition: i32) -> Self {
        let hash = genesis(&writer);
        Self {
            writer,
            partition,
            segment: 1,
            sequence: 0,
            hash,
            opening: [0; 32],
            is_open: false,
            moved: false,
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// Begins a segment behind what is committed; none: nothing is. What was added and is not committed is forgotten.
    pub fn resume(&mut self, head: Option<&Head>) {
        *self = Self::new(std::mem::take(&mut self.writer), self.partition);
        if let Some(head) = head {
            self.segment = head.segment + 1;
            self.sequence = head.sequence;
            self.hash = head.hash;
            self.opening = head.opening;
        }
    }

    /// The opening of the segment, to be written before its first record; none when it is.
    pub fn open(&mut self) -> Option<Outgoing> {
        if self.is_open {
            return None;
        }
        let opening = Opening {
            writer: self.writer.clone(),
            segment: self.segment,
            sequence: self.sequence,
            hash: self.hash,
            previous: self.opening,
        };
        self.is_open = true;
        self.opening = opening.digest();
        let key = format!("{}/{}", self.writer, self.segment);
        let value = serde_json::json!({
            "writer": opening.writer,
            "segment": opening.segment,
            "sequence": opening.sequence,
            "hash": hex(&opening.hash),
            "previous": hex(&opening.previous),
        });
        Some(control(
            self.partition,
            key,
            OPENING,
            value.to_string().into_bytes(),
        ))
    }

    /// Puts a record behind the last one: it gets its header.
    pub fn add(&mut self, record: &mut Outgoing) {
        let mut place = Place {
            writer: self.writer.clone(),
            segment: self.segment,
            sequence: self.sequence + 1,
            previous: self.hash,
            hash: [0; 32],
        };
        let headers = record
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()));
        place.hash = place.hash_of(&record.key, headers, &record.payload);
        record
            .headers
            .push((HEADER.to_owned(), Some(place.text().into_bytes())));
        self.sequence = place.sequence;
        self.hash = place.hash;
        self.moved = true;
    }

    /// What the chain has come to, to be written with the records; none when none was added since.
    pub fn head(&mut self) -> Option<Outgoing> {
        if !std::mem::take(&mut self.moved) {
            return None;
        }
        let value = serde_json::json!({
            "writer": self.writer,
            "segment": self.segment,
            "sequence": self.sequence,
            "hash": hex(&self.hash),
            "opening": hex(&self.opening),
        });
        let value = value.to_string().into_bytes();
        Some(control(self.partition, self.writer.clone(), HEAD, value))
    }
}

/// A record that means nothing: whoever has read it has read every head before it.
#[must_use]
pub fn barrier(writer: &str, number: u64, partition: i32) -> Outgoing {
    let key = format!("{writer}/barrier");
    control(partition, key, BARRIER, number.to_be_bytes().to_vec())
}

fn control(partition: i32, key: String, kind: &[u8], payload: Vec<u8>) -> Outgoing {
    Outgoing {
        topic: Topic::Chain,
        partition: Some(partition),
        key: key.into_bytes(),
        headers: vec![(KIND.to_owned(), Some(kind.to_vec()))],
        payload,
    }
}

/// What stands before the first record of a writer.
fn genesis(writer: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(DOMAIN)
        .chain_update(writer.as_bytes())
        .finalize()
        .into()
}

impl Place {
    /// The header's text.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{} {} {} {} {}",
            self.writer,
            self.segment,
            self.sequence,
            hex(&self.previous),
            hex(&self.hash)
        )
    }

    /// Reads the header's text. None: it is none of ours.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let place = Self {
            writer: words.next().filter(|writer| !writer.is_empty())?.to_owned(),
            segment: words.next()?.parse().ok()?,
            sequence: words
                .next()?
                .parse::<u64>()
                .ok()
                .filter(|sequence| *sequence > 0)?,
            previous: from_hex(words.next()?)?,
            hash: from_hex(words.next()?)?,
        };
        words.next().is_none().then_some(place)
    }

    /// The hash of a record at this place: over the place, the key, the headers but ours, and the value, each with its length.
    fn hash_of<'a>(
        &self,
        key: &[u8],
        headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
        payload: &[u8],
    ) -> [u8; 32] {
        let mut hash = Sha256::new().chain_update(DOMAIN);
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.writer.as_bytes());
        part(&self.segment.to_le_bytes());
        part(&self.sequence.to_le_bytes());
        part(&self.previous);
        part(key);
        part(payload);
        for (name, value) in headers {
            part(name.as_bytes());
            // One without a value is another one than one with an empty value.
            part(&[u8::from(value.is_some())]);
            part(value.unwrap_or_default());
        }
        hash.finalize().into()
    }

    /// Whether a record is what stood here.
    fn is_of(&self, record: &Incoming) -> bool {
        let own = record.headers.iter().filter(|(name, _)| name != HEADER);
        let headers = own.map(|(name, value)| (name.as_str(), value.as_deref()));
        let key = record.key.as_deref().unwrap_or_default();
        let payload = record.payload.as_deref().unwrap_or_default();
        self.hash_of(key, headers, payload) == self.hash
    }
}

/// A text that is no [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a receipt is the text of a `creditgate-chain` header: writer, segment, number, and two times 64 hexadecimal digits"
)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        Self::parse(text.trim().as_bytes()).ok_or(NoPlace)
    }
}

impl Opening {
    /// The hash that the next opening and the heads of the segment name.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let text = format!(
            "{} {} {} {} {}",
            self.writer,
            self.segment,
            self.sequence,
            hex(&self.hash),
            hex(&self.previous)
        );
        Sha256::new()
            .chain_update(OPENING_DOMAIN)
            .chain_update(text)
            .finalize()
            .into()
    }
}

/// What a record of the topic of chains says.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Head(Head),
    Opening(Opening),
    Barrier(u64),
    /// Something that is none of ours, or not as we write it.
    Unknown,
}

impl Told {
    fn of(record: &Incoming) -> Self {
        let payload = record.payload.as_deref().unwrap_or_default();
        let told = match record.header(KIND) {
            Some(HEAD) => read_head(payload).map(Self::Head),
            Some(OPENING) => read_opening(payload).map(Self::Opening),
            Some(BARRIER) => payload
                .try_into()
                .ok()
                .map(|number| Self::Barrier(u64::from_be_bytes(number))),
            _ => None,
        };
        told.unwrap_or(Self::Unknown)
    }
}

fn read_head(payload: &[u8]) -> Option<Head> {
    let read: serde_json::Value = serde_json::from_slice(payload).ok()?;
    Some(Head {
        writer: read.get("writer")?.as_str()?.to_owned(),
        segment: read.get("segment")?.as_u64()?,
        sequence: read.get("sequence")?.as_u64()?,
        hash: from_hex(read.get("hash")?.as_str()?)?,
        opening: from_hex(read.get("opening")?.as_str()?)?,
    })
}

fn read_opening(payload: &[u8]) -> Option<Opening> {
    let read: serde_json::Value = serde_json::from_slice(payload).ok()?;
    Some(Opening {
        writer: read.get("writer")?.as_str()?.to_owned(),
        segment: read.get("segment")?.as_u64()?,
        sequence: read.get("sequence")?.as_u64()?,
        hash: from_hex(read.get("hash")?.as_str()?)?,
        previous: from_hex(read.get("previous")?.as_str()?)?,
    })
}

/// The last head of a writer among records of the topic of chains, in their order; for those who play a broker.
#[must_use]
pub fn last_head<'a>(records: impl Iterator<Item = &'a Incoming>, writer: &str) -> Option<Head> {
    let heads = records.filter_map(|record| match Told::of(record) {
        Told::Head(head) if head.writer == writer => Some(head),
        _ => None,
    });
    heads.last()
}

#[cfg(test)]
mod tests;
