//! The base of a snapshot: sorted keys, a prefix directory, a filter, and the entries' bytes.
//!
//! Layout, little-endian: header (magic, format, directory bits, number of keys, number of
//! entries, length of the bodies, checksum of everything after the header) · directory
//! `u32[2^bits + 1]` · keys `u64[n]`, ascending · places `u32[n]` · bodies. A body is its length
//! as `u32`, its bytes, and zeros up to a multiple of eight; its place is its offset divided by
//! eight. The filter is built when the base is opened.

use bytes::Bytes;
use xorf::{BinaryFuse8, Filter};

use crate::entry::StoredEntry;
use crate::identifier::Key;
use crate::lists::keys;
use crate::name::SimplifyTable;

const MAGIC: [u8; 8] = *b"CGLISTS\x01";
const HEADER: usize = 48;
/// Keys per directory slot, on average: a slot then fits a cache line.
const KEYS_PER_SLOT: usize = 4;
const BITS_MAX: u32 = 26;

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
    filter: Option<BinaryFuse8>,
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
            filter: None,
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

    /// Bytes of the filter, the only part that lives outside the bytes given to [`Base::open`].
    #[must_use]
    pub fn filter_bytes(&self) -> usize {
        self.filter.as_ref().map_or(0, Filter::len)
    }

    /// Lays out the entries; bytes that are not an entry are left out.
    #[must_use]
    pub fn build<'a>(entries: impl Iterator<Item = &'a [u8]>, simplify: &SimplifyTable) -> Vec<u8> {
        let mut bodies: Vec<u8> = Vec::new();
        let mut pairs: Vec<(u64, u32)> = Vec::new();
        let mut count: u64 = 0;
        for body in entries {
            let Ok(stored) = StoredEntry::read(body) else {
                continue;
            };
            // Places are u32 of eight bytes: 32 GiB of bodies, 100 million entries and more.
            let (Ok(place), Ok(length)) =
                (u32::try_from(bodies.len() / 8), u32::try_from(body.len()))
            else {
                break;
            };
            pairs.extend(
                keys(&stored, simplify)
                    .into_iter()
                    .map(|key| (key.0, place)),
            );
            bodies.extend_from_slice(&length.to_le_bytes());
            bodies.extend_from_slice(body);
            bodies.resize(bodies.len().next_multiple_of(8), 0);
            count += 1;
        }
        pairs.sort_unstable();
        let bits = (pairs.len() / KEYS_PER_SLOT).max(1).ilog2().min(BITS_MAX);

        let mut out =
            Vec::with_capacity(HEADER + 4 * ((1 << bits) + 1) + 12 * pairs.len() + bodies.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&bits.to_le_bytes());
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&(pairs.len() as u64).to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&(bodies.len() as u64).to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        let mut next = 0_usize;
        for slot in 0..=(1_u64 << bits) {
            while pairs
                .get(next)
                .is_some_and(|(key, _)| slot_of(*key, bits) < slot)
            {
                next += 1;
            }
            // More than 2^32 keys cannot stand over 2^32 places of at least one key each here.
            out.extend_from_slice(&u32::try_from(next).unwrap_or(u32::MAX).to_le_bytes());
        }
        for (key, _) in &pairs {
            out.extend_from_slice(&key.to_le_bytes());
        }
        for (_, place) in &pairs {
            out.extend_from_slice(&place.to_le_bytes());
        }
        out.extend_from_slice(&bodies);
        let checksum = checksum(&out);
        if let Some(field) = out.get_mut(HEADER - 8..HEADER) {
            field.copy_from_slice(&checksum.to_le_bytes());
        }
        out
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
        let bits = u32_at(&bytes, 8)
            .filter(|bits| *bits <= BITS_MAX)
            .ok_or(BaseError::Length)?;
        let (Some(keys), Some(entries), Some(body_bytes)) = (word(16), word(24), word(32)) else {
            return Err(BaseError::Length);
        };
        let keys_at = HEADER + 4 * ((1_usize << bits) + 1);
        let sections = keys
            .checked_mul(8)
            .and_then(|n| keys_at.checked_add(n))
            .and_then(|places_at| Some((places_at, keys.checked_mul(4)?.checked_add(places_at)?)));
        let Some((places_at, bodies_at)) = sections else {
            return Err(BaseError::Length);
        };
        if bodies_at.checked_add(body_bytes) != Some(bytes.len()) {
            return Err(BaseError::Length);
        }
        if u64_at(&bytes, HEADER - 8) != Some(checksum(&bytes)) {
            return Err(BaseError::Checksum);
        }
        let mut base = Self {
            bytes,
            bits,
            keys,
            entries,
            keys_at,
            places_at,
            bodies_at,
            filter: None,
        };
        base.filter = base.build_filter();
        Ok(base)
    }

    fn build_filter(&self) -> Option<BinaryFuse8> {
        let mut keys: Vec<u64> = (0..self.keys).filter_map(|i| self.key(i)).collect();
        keys.dedup();
        // Without a filter every probe goes to the keys: slower, never wrong.
        BinaryFuse8::try_from(&keys).ok()
    }

    fn key(&self, index: usize) -> Option<u64> {
        u64_at(&self.bytes, self.keys_at + 8 * index)
    }

    fn directory(&self, slot: usize) -> usize {
        u32_at(&self.bytes, HEADER + 4 * slot).map_or(0, |n| n as usize)
    }

    /// Gives `visit` the place and bytes of every entry under the key.
    pub fn find<'a>(&'a self, key: Key, mut visit: impl FnMut(u32, &'a [u8])) {
        if self.entries == 0 || self.filter.as_ref().is_some_and(|f| !f.contains(&key.0)) {
            return;
        }
        let slot = usize::try_from(slot_of(key.0, self.bits)).unwrap_or(usize::MAX);
        let (from, to) = (self.directory(slot), self.directory(slot.saturating_add(1)));
        for index in from..to.min(self.keys) {
            match self.key(index) {
                Some(found) if found == key.0 => {
                    let place = u32_at(&self.bytes, self.places_at + 4 * index);
                    if let Some((place, body)) = place.and_then(|p| Some((p, self.body(p)?))) {
                        visit(place, body);
                    }
                }
                Some(found) if found < key.0 => {}
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

/// The slot of the directory in which a key stands: its highest bits.
fn slot_of(key: u64, bits: u32) -> u64 {
    key.checked_shr(64 - bits).unwrap_or(0)
}

fn checksum(bytes: &[u8]) -> u64 {
    let head = bytes.get(..HEADER - 8).unwrap_or_default();
    let rest = bytes.get(HEADER..).unwrap_or_default();
    xxhash_rust::xxh3::xxh3_64_with_seed(rest, xxhash_rust::xxh3::xxh3_64(head))
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
