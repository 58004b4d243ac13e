//! The envelope: how one record lies on disk.
//!
//! All numbers are little-endian. A record is this header of 96 bytes and then its payload:
//!
//! | offset | bytes | field | meaning |
//! | --- | --- | --- | --- |
//! | 0 | 4 | length | bytes of the whole record, header included; zero means that no record begins here |
//! | 4 | 4 | checksum | CRC-32 over everything else: bytes 0..4 and 8..length |
//! | 8 | 2 | format | version of this envelope, now 1 |
//! | 10 | 2 | kind | what the payload is; the journal does not look at it |
//! | 12 | 4 | key id | the key the payload is encrypted under; 0 means in clear |
//! | 16 | 8 | position | logical address of this record |
//! | 24 | 8 | sequence | 1 for the first record of the log, then dense |
//! | 32 | 8 | time | microseconds since 1970, as the caller said |
//! | 40 | 8 | durable before | everything below this position had been synced when this record was written |
//! | 48 | 16 | writer | who wrote it |
//! | 64 | 32 | previous hash | SHA-256 of the whole previous record; of the log id for the first |
//! | 96 | … | payload | at most 16 MiB, and what sealing adds |
//!
//! FENCE: records are kept for years and the chain of hashes covers every byte, so this layout can
//! only be followed by a format 2, never changed. The golden test below pins it.
//!
//! `durable before` is what tells a torn write from damage. A power cut may leave any part of the
//! last, never acknowledged batch on disk, also its end without its beginning. A record that is
//! intact and says that the broken place before it had already been synced proves damage.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::error::Unopened;
use super::{Head, Position, Receipt};
use crate::sealed::{self, RecordKey, Sealer, Unsealable};

/// Bytes of the header before each payload.
pub const HEADER_BYTES: usize = 96;

/// The largest payload one record may carry, before it is sealed.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// The version of the envelope that this program writes.
pub const FORMAT: u16 = 1;

/// One record as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where the record begins.
    pub position: Position,
    /// The number of the record in its log: dense, beginning with 1.
    pub sequence: u64,
    /// What the payload is, as the caller said.
    pub kind: u16,
    /// The version of the envelope.
    pub format: u16,
    /// Microseconds since 1970, as the caller said.
    pub time_micros: i64,
    /// Everything below this position had been synced when the record was written.
    pub durable_before: Position,
    /// Who wrote it.
    pub writer: [u8; 16],
    /// SHA-256 of the whole previous record; of the log id for the first.
    pub previous_hash: [u8; 32],
    /// The key the payload is encrypted under; 0 means in clear.
    pub key_id: u32,
    /// The caller's bytes; those on disk where they are sealed and were not opened.
    pub payload: Bytes,
    /// What lies on disk in the place of the payload, where that was sealed and is opened: the chain of hashes is over this.
    sealed: Option<Bytes>,
}

impl Record {
    /// Whether the payload is sealed and was not opened.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.key_id != 0 && self.sealed.is_none()
    }

    /// The same with its payload opened by the key of this one record.
    ///
    /// # Errors
    /// When it is the key of another record, or the record is not what was sealed.
    pub fn opened_by(self, key: &RecordKey) -> Result<Self, Unsealable> {
        if !self.is_closed() {
            return Ok(self);
        }
        let plain = key.open(&self.context(), &self.payload)?;
        Ok(self.with_plain(plain))
    }

    /// The same with its payload opened, where that is sealed.
    pub(super) fn opened(self, sealer: Option<&Sealer>) -> Result<Self, Unopened> {
        if !self.is_closed() {
            return Ok(self);
        }
        let opened = match sealer {
            Some(sealer) => sealer.open(&self.context(), &self.payload),
            None => Err(Unsealable::NoKeyring(self.key_id)),
        };
        match opened {
            Ok(plain) => Ok(self.with_plain(plain)),
            Err(why) => Err(self.unopened(why)),
        }
    }

    /// The key of this one record; none: it is in clear.
    pub(super) fn key(&self, sealer: Option<&Sealer>) -> Result<Option<RecordKey>, Unopened> {
        if self.key_id == 0 {
            return Ok(None);
        }
        let key = match sealer {
            Some(sealer) => sealer.record_key(&self.context(), self.stored()),
            None => Err(Unsealable::NoKeyring(self.key_id)),
        };
        key.map(Some).map_err(|why| self.unopened(why))
    }

    fn context(&self) -> [u8; CONTEXT_BYTES] {
        context(self.kind, self.time_micros)
    }

    fn with_plain(self, plain: Vec<u8>) -> Self {
        Self {
            payload: plain.into(),
            sealed: Some(self.payload),
            ..self
        }
    }

    fn unopened(&self, why: Unsealable) -> Unopened {
        Unopened {
            position: self.position,
            sequence: self.sequence,
            why,
        }
    }

    /// The payload as it lies on disk.
    fn stored(&self) -> &[u8] {
        self.sealed.as_ref().unwrap_or(&self.payload)
    }

    /// What proves later that it was recorded.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        let (_, hash) = self.encoded();
        Receipt {
            sequence: self.sequence,
            hash,
        }
    }

    /// The record as it lies on disk.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encoded().0
    }

    /// The head of a journal whose last record it is.
    #[must_use]
    pub fn head(&self) -> Head {
        let (bytes, hash) = self.encoded();
        Head {
            // One that came from elsewhere may say any position.
            next_position: Position(self.position.0.saturating_add(bytes.len() as u64)),
            sequence: self.sequence,
            hash,
        }
    }

    /// Its bytes and its hash.
    fn encoded(&self) -> (Vec<u8>, [u8; 32]) {
        let header = Header {
            format: self.format,
            kind: self.kind,
            key_id: self.key_id,
            position: self.position.0,
            sequence: self.sequence,
            time_micros: self.time_micros,
            durable_before: self.durable_before.0,
            writer: self.writer,
            previous_hash: self.previous_hash,
        };
        let mut bytes = Vec::with_capacity(record_bytes(self.stored()));
        let hash = encode(&mut bytes, &header, self.stored());
        (bytes, hash)
    }
}

/// The header without the two fields that follow from the bytes: length and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub format: u16,
    pub kind: u16,
    pub key_id: u32,
    pub position: u64,
    pub sequence: u64,
    pub time_micros: i64,
    pub durable_before: u64,
    pub writer: [u8; 16],
    pub previous_hash: [u8; 32],
}

/// Why no record can be read at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// The length field is zero: nothing was written here.
    Blank,
    /// The bytes end before the record does.
    Short,
    /// The length field holds a value no record can have.
    Length,
    /// The checksum does not fit the bytes.
    Checksum,
    /// An intact record that was written for another place.
    Position,
    /// An intact record in a format this program does not know.
    Format(u16),
    /// An intact record with another number than the one that is due.
    Sequence { due: u64, found: u64 },
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("no record begins here"),
            Self::Short => f.write_str("the record is cut off"),
            Self::Length => f.write_str("the length is impossible"),
            Self::Checksum => f.write_str("the checksum does not match"),
            Self::Position => f.write_str("the record belongs to another position"),
            Self::Format(found) => {
                write!(
                    f,
                    "the record has format {found}, which this version cannot read"
                )
            }
            Self::Sequence { due, found } => {
                write!(f, "the record has number {found}, due was {due}")
            }
        }
    }
}

/// Bytes that a record with this payload takes on disk.
pub(super) fn record_bytes(payload: &[u8]) -> usize {
    HEADER_BYTES + payload.len()
}

/// The hash that stands before the first record of a log.
pub(super) fn genesis_hash(log_id: &[u8; 16]) -> [u8; 32] {
    hash(log_id)
}

/// The hash by which the next record refers to this one.
pub(super) fn hash(record: &[u8]) -> [u8; 32] {
    Sha256::digest(record).into()
}

/// Appends one record to `out` and returns its hash. The payload is at most 16 MiB, or a sealed one of them.
pub(super) fn encode(out: &mut Vec<u8>, header: &Header, payload: &[u8]) -> [u8; 32] {
    let start = out.len();
    let length = u32::try_from(record_bytes(payload))
        .expect("a payload of at most 16 MiB was checked on arrival");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&header.format.to_le_bytes());
    out.extend_from_slice(&header.kind.to_le_bytes());
    out.extend_from_slice(&header.key_id.to_le_bytes());
    out.extend_from_slice(&header.position.to_le_bytes());
    out.extend_from_slice(&header.sequence.to_le_bytes());
    out.extend_from_slice(&header.time_micros.to_le_bytes());
    out.extend_from_slice(&header.durable_before.to_le_bytes());
    out.extend_from_slice(&header.writer);
    out.extend_from_slice(&header.previous_hash);
    out.extend_from_slice(payload);
    let record = &mut out[start..];
    let checksum = checksum(record);
    record[4..8].copy_from_slice(&checksum.to_le_bytes());
    hash(record)
}

/// The length of the record that begins `bytes`, if a record can have it.
pub(super) fn length(bytes: &[u8]) -> Result<usize, Defect> {
    let length = u32::from_le_bytes(array(bytes, 0)?) as usize;
    match length {
        0 => Err(Defect::Blank),
        HEADER_BYTES..=RECORD_BYTES_MAX => Ok(length),
        _ => Err(Defect::Length),
    }
}

/// The record that begins `bytes`, if it is intact and was written for `position`.
pub(super) fn decode(bytes: &[u8], position: u64) -> Result<(Header, &[u8]), Defect> {
    let record = bytes.get(..length(bytes)?).ok_or(Defect::Short)?;
    if u32::from_le_bytes(array(record, 4)?) != checksum(record) {
        return Err(Defect::Checksum);
    }
    let format = u16::from_le_bytes(array(record, 8)?);
    if format != FORMAT {
        return Err(Defect::Format(format));
    }
    let header = Header {
        format,
        kind: u16::from_le_bytes(array(record, 10)?),
        key_id: u32::from_le_bytes(array(record, 12)?),
        position: position_field(record)?,
        sequence: u64::from_le_bytes(array(record, 24)?),
        time_micros: i64::from_le_bytes(array(record, 32)?),
        durable_before: u64::from_le_bytes(array(record, 40)?),
        writer: array(record, 48)?,
        previous_hash: array(record, 64)?,
    };
    if header.position != position {
        return Err(Defect::Position);
    }
    Ok((header, &record[HEADER_BYTES..]))
}

/// The position field alone: a cheap first look when searching for records.
pub(super) fn position_field(bytes: &[u8]) -> Result<u64, Defect> {
    Ok(u64::from_le_bytes(array(bytes, 16)?))
}

impl Header {
    /// The record made of this header and a copy of the payload.
    pub(super) fn with_payload(self, payload: &[u8]) -> Record {
        Record {
            position: Position(self.position),
            sequence: self.sequence,
            kind: self.kind,
            format: self.format,
            time_micros: self.time_micros,
            durable_before: Position(self.durable_before),
            writer: self.writer,
            previous_hash: self.previous_hash,
            key_id: self.key_id,
            payload: Bytes::copy_from_slice(payload),
            sealed: None,
        }
    }
}

const CONTEXT_BYTES: usize = 2 + 8;

/// What a sealed payload is bound to. Position and sequence are not known when it is sealed; the chain of hashes has them.
pub(super) fn context(kind: u16, time_micros: i64) -> [u8; CONTEXT_BYTES] {
    let mut context = [0; CONTEXT_BYTES];
    context[..2].copy_from_slice(&kind.to_le_bytes());
    context[2..].copy_from_slice(&time_micros.to_le_bytes());
    context
}

/// The largest payload may be sealed.
const RECORD_BYTES_MAX: usize = HEADER_BYTES + PAYLOAD_BYTES_MAX + sealed::OVERHEAD_BYTES;

fn checksum(record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..4]);
    hasher.update(&record[8..]);
    hasher.finalize()
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Defect> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or(Defect::Short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            format: FORMAT,
            kind: 0x0102,
            key_id: 0x0304_0506,
            position: 0x1112_1314_1516_1718,
            sequence: 0x2122_2324_2526_2728,
            time_micros: -2,
            durable_before: 0x3132_3334_3536_3738,
            writer: *b"writer-of-record",
            previous_hash: [0xAB; 32],
        }
    }

    /// The bytes of a record that already lies on somebody's disk. If this test fails, old journals
    /// can no longer be read: make a format 2 instead.
    #[test]
    fn the_layout_is_the_one_on_disk() {
        let mut bytes = Vec::new();
        let hash = encode(&mut bytes, &header(), b"credit");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            concat!(
                "66000000",
                "a0ff3559",
                "0100",
                "0201",
                "06050403",
                "1817161514131211",
                "2827262524232221",
                "feffffffffffffff",
                "3837363534333231",
                "7772697465722d6f662d7265636f7264",
                "abababababababababababababababababababababababababababababababab",
                "637265646974",
            )
        );
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hash,
            "b419755cee533a8216e041812ada2dcde3b1b95364ca8a9e27e531b2a1b409a4"
        );
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &header(), b"credit");
        bytes.extend_from_slice(b"what follows");
        assert_eq!(
            decode(&bytes, header().position),
            Ok((header(), &b"credit"[..]))
        );
        assert_eq!(decode(&bytes, 7), Err(Defect::Position));
    }

    #[test]
    fn an_empty_payload_is_a_record_and_zeros_are_none() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &header(), b"");
        assert_eq!(decode(&bytes, header().position), Ok((header(), &b""[..])));
        assert_eq!(decode(&[0; 200], 0), Err(Defect::Blank));
        assert_eq!(decode(&[], 0), Err(Defect::Short));
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &header(), b"credit");
        for at in 0..bytes.len() {
            assert!(
                decode(&bytes[..at], header().position).is_err(),
                "cut at {at}"
            );
            bytes[at] ^= 0x40;
            assert!(
                decode(&bytes, header().position).is_err(),
                "changed at {at}"
            );
            bytes[at] ^= 0x40;
        }
    }

    #[test]
    fn a_later_format_is_named_and_not_taken_for_damage() {
        let mut bytes = Vec::new();
        encode(
            &mut bytes,
            &Header {
                format: 2,
                ..header()
            },
            b"credit",
        );
        assert_eq!(decode(&bytes, header().position), Err(Defect::Format(2)));
    }
}
