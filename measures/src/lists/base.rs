//! The base of a snapshot: short keys, a prefix directory, a filter, and the entries' bytes.
//!
//! Layout, little-endian: header (magic, format, directory bits, number of keys, number of
//! entries, length of the bodies, checksum of everything after the header) · directory
//! `u32[2^bits + 1]` · remainders of the keys, ascending · places `u32[n]` · length of the filter
//! as `u64`, filter · bodies. A body is its length as `u32`, its bytes, and zeros up to a multiple
//! of eight; its place is its offset divided by eight.
//!
//! INVARIANT (short keys): of a key its 39 highest bits are kept: the directory says the highest of
//! them, two bytes or so the rest. So an entry of three keys takes 24 bytes and not 41. Different
//! keys may be the same when they are cut short, among twenty million entries some thousands:
//! whoever looks something up compares the full value, as for every key.

mod build;
mod filter;

use bytes::Bytes;
use filter::Filter;

use crate::identifier::Key;

const MAGIC: [u8; 8] = *b"CGLISTS\x02";
/// Length of the header in bytes.
pub const HEADER: usize = 48;
/// Keys per directory slot, on average: a slot then fits a cache line.
const KEYS_PER_SLOT: usize = 4;
const BITS_MAX: u32 = 26;
/// Bits of a key that are kept: with 2^23 slots, which twenty million entries have, the rest of
/// them takes two bytes.
const KEY_BITS: u32 = 39;

/// Where the fields of the header stand.
struct Fixed {
    bits: usize,
    keys: usize,
    entries: usize,
    bodies: usize,
    checksum: usize,
}

const FIXED: Fixed = Fixed {
    bits: 8,
    keys: 16,
    entries: 24,
    bodies: 32,
    checksum: HEADER - 8,
};

/// Bytes that are not a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// The beginning is not ours.
    #[error("not a list base: the magic bytes are missing")]
    Magic,
    /// Sections do not fit the length.
    #[error("the list base is cut off or its sections do not fit")]
    Length,
    /// The contents were changed.
    #[error("the checksum of the list base does not hold")]
    Checksum,
}

/// An immutable set of entries, found by key.
pub struct Base {
    bytes: Bytes,
    bits: u32,
    keys: usize,
    entries: usize,
    keys_at: usize,
    places_at: usize,
    bodies_at: usize,
    filter: Filter,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Base")
            .field("entries", &self.entries)
            .field("keys", &self.keys)
            .finish()
    }
}

impl Base {
    /// A base without entries.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
            bits: 0,
            keys: 0,
            entries: 0,
            keys_at: 0,
            places_at: 0,
            bodies_at: 0,
            filter: Filter::default(),
        }
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes besides the bodies: what every look-up may touch, and so stays in memory.
    #[must_use]
    pub const fn index_bytes(&self) -> usize {
        self.bodies_at
    }

    /// Reads what [`Base::build`] laid out; the bytes may be mapped from a file.
    ///
    /// # Errors
    /// When the bytes are not a base, are cut off or were changed.
    pub fn open(bytes: Bytes) -> Result<Self, BaseError> {
        if bytes.get(..8) != Some(&MAGIC[..]) {
            return Err(BaseError::Magic);
        }
        let word = |at: usize| u64_at(&bytes, at).and_then(|n| usize::try_from(n).ok());
        let bits = u32_at(&bytes, FIXED.bits)
            .filter(|bits| *bits <= BITS_MAX)
            .ok_or(BaseError::Length)?;
        let section = |from: usize, count: usize, each: usize| {
            let end = from.checked_add(count.checked_mul(each)?)?;
            (end <= bytes.len()).then_some(end)
        };
        let sections = || {
            let (keys, entries) = (word(FIXED.keys)?, word(FIXED.entries)?);
            let keys_at = section(HEADER, (1 << bits) + 1, 4)?;
            let places_at = section(keys_at, keys, remainder_bytes(bits))?;
            let length_at = section(places_at, keys, 4)?;
            let filter_at = section(length_at, 1, 8)?;
            let bodies_at = section(filter_at, word(length_at)?, 1)?;
            let end = section(bodies_at, word(FIXED.bodies)?, 1)?;
            let found = (keys, entries, keys_at, places_at, filter_at..bodies_at);
            (end == bytes.len()).then_some(found)
        };
        let (keys, entries, keys_at, places_at, filter) = sections().ok_or(BaseError::Length)?;
        if u64_at(&bytes, FIXED.checksum) != Some(checksum(&bytes)) {
            return Err(BaseError::Checksum);
        }
        Ok(Self {
            bits,
            keys,
            entries,
            keys_at,
            places_at,
            bodies_at: filter.end,
            filter: Filter::read(&bytes, filter, bits)?,
            bytes,
        })
    }

    /// What the directory does not say of the key at an index.
    fn remainder(&self, index: usize) -> Option<u64> {
        // The places and the filter follow, so that eight bytes can always be read.
        u64_at(
            &self.bytes,
            self.keys_at + remainder_bytes(self.bits) * index,
        )
        .map(|word| word & remainder_mask(self.bits))
    }

    fn place(&self, index: usize) -> Option<u32> {
        u32_at(&self.bytes, self.places_at + 4 * index)
    }

    fn directory(&self, slot: u64) -> usize {
        usize::try_from(slot)
            .ok()
            .and_then(|slot| u32_at(&self.bytes, HEADER + 4 * slot))
            .map_or(0, |n| n as usize)
    }

    /// Every short key with its place, in order.
    fn keys(&self) -> impl Iterator<Item = (u64, u32)> {
        let mut slot = 0;
        (0..self.keys).filter_map(move |index| {
            while slot < 1 << self.bits && self.directory(slot + 1) <= index {
                slot += 1;
            }
            let key = (slot << (KEY_BITS - self.bits)) | self.remainder(index)?;
            Some((key, self.place(index)?))
        })
    }

    /// Gives `visit` the place and bytes of every entry under the key, and of few others.
    pub fn find<'a>(&'a self, key: Key, mut visit: impl FnMut(u32, &'a [u8])) {
        if self.entries == 0 {
            return;
        }
        let key = short_of(key);
        let slot = slot_of(key, self.bits);
        if !self.filter.may_hold(&self.bytes, key, slot) {
            return;
        }
        let wanted = key & remainder_mask(self.bits);
        let (from, to) = (self.directory(slot), self.directory(slot + 1));
        for index in from..to.min(self.keys) {
            match self.remainder(index) {
                Some(found) if found == wanted => {
                    let place = self.place(index);
                    if let Some((place, body)) = place.and_then(|p| Some((p, self.body(p)?))) {
                        visit(place, body);
                    }
                }
                Some(found) if found < wanted => {}
                _ => return,
            }
        }
    }

    fn body(&self, place: u32) -> Option<&[u8]> {
        let at = self.bodies_at + 8 * place as usize;
        let length = u32_at(&self.bytes, at)? as usize;
        self.bytes.get(at + 4..at + 4 + length)
    }

    /// Every entry with its place.
    pub fn bodies(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let mut place = 0_u32;
        std::iter::from_fn(move || {
            let here = place;
            let body = self.body(here)?;
            place += u32::try_from((body.len() + 4).div_ceil(8)).ok()?;
            Some((here, body))
        })
        .take(self.entries)
    }
}

/// What is kept of a key.
const fn short_of(key: Key) -> u64 {
    key.0 >> (64 - KEY_BITS)
}

/// Bits of the directory over so many keys.
fn slot_bits(keys: usize) -> u32 {
    (keys / KEYS_PER_SLOT).max(1).ilog2().min(BITS_MAX)
}

/// The slot of the directory in which a short key stands: its highest bits.
const fn slot_of(key: u64, bits: u32) -> u64 {
    key >> (KEY_BITS - bits)
}

/// Bytes of the part of a short key that the directory does not say.
const fn remainder_bytes(bits: u32) -> usize {
    (KEY_BITS - bits).div_ceil(8) as usize
}

const fn remainder_mask(bits: u32) -> u64 {
    (1 << (KEY_BITS - bits)) - 1
}

/// The bytes that a body of this length takes.
const fn padded(length: usize) -> usize {
    (length + 4).next_multiple_of(8)
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = hasher_of(bytes);
    hasher.update(bytes.get(HEADER..).unwrap_or_default());
    hasher.digest()
}

/// Hashes what follows the header, beginning with the header itself but for the checksum.
fn hasher_of(header: &[u8]) -> xxhash_rust::xxh3::Xxh3 {
    let head = header.get(..FIXED.checksum).unwrap_or_default();
    xxhash_rust::xxh3::Xxh3::with_seed(xxhash_rust::xxh3::xxh3_64(head))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..at + 8)?
        .first_chunk()
        .map(|b| u64::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .first_chunk()
        .map(|b| u32::from_le_bytes(*b))
}
