//! The mark: a small file that says how far the log was known to be durable.
//!
//! It is written when the journal is opened and when it is closed. Without it, a missing last
//! segment or damage in the last batch would look like a log that simply ends earlier.
//!
//! Layout, little-endian: magic (8), CRC-32 over bytes 12.. (4), zero (4), log id (16), next
//! position (8), sequence (8), hash (32).

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::disk::Disk;
use super::error::{Corruption, OpenError};
use super::{Head, Position};

/// The name of the file inside the journal's directory.
pub(super) const FILE: &str = "mark";

const MAGIC: [u8; 8] = *b"CGJMARK1";
const BYTES: usize = 80;

/// How far a log was known to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub log_id: [u8; 16],
    pub head: Head,
}

impl Mark {
    /// Replaces the mark in a directory, durably.
    pub(super) fn write(&self, dir: &Path, disk: &dyn Disk) -> io::Result<()> {
        let temporary = dir.join("mark.tmp");
        let file = File::create(&temporary)?;
        disk.write_all_at(&file, &self.to_bytes(), 0)?;
        disk.sync_all(&file)?;
        fs::rename(&temporary, dir.join(FILE))?;
        disk.sync_all(&File::open(dir)?)
    }

    /// The mark of a directory; `None` if there never was one.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(OpenError::Io {
                    action: "read journal mark",
                    path,
                    source,
                });
            }
        };
        Self::from_bytes(&bytes).map(Some).ok_or_else(|| {
            OpenError::Corrupt(Corruption {
                file: path,
                offset: 0,
                position: Position(0),
                reason: "the mark is not intact".to_owned(),
                advice: "nothing was changed; the log itself may be whole: move this file away to open without its check",
            })
        })
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[16..32].copy_from_slice(&self.log_id);
        bytes[32..40].copy_from_slice(&self.head.next_position.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.head.sequence.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.head.hash);
        let checksum = crc32fast::hash(&bytes[12..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let intact =
            bytes[..8] == MAGIC && bytes[8..12] == crc32fast::hash(&bytes[12..]).to_le_bytes();
        intact.then_some(())?;
        Some(Self {
            log_id: *bytes[16..].first_chunk()?,
            head: Head {
                next_position: Position(u64::from_le_bytes(*bytes[32..].first_chunk()?)),
                sequence: u64::from_le_bytes(*bytes[40..].first_chunk()?),
                hash: *bytes[48..].first_chunk()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_a_changed_one_does_not() {
        let head = Head {
            next_position: Position(77),
            sequence: 3,
            hash: [5; 32],
        };
        let mark = Mark {
            log_id: [9; 16],
            head,
        };
        let bytes = mark.to_bytes();
        assert_eq!(Mark::from_bytes(&bytes), Some(mark));
        for at in 0..BYTES {
            let mut changed = bytes;
            changed[at] ^= 1;
            assert_eq!(Mark::from_bytes(&changed), None, "changed at {at}");
        }
    }
}
