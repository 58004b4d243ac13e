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
/// Length of the header in bytes.
pub const HEADER: usize = 48;
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
        let added: Vec<&[u8]> = entries.collect();
        let mut rest = Vec::new();
        let Ok(header) = Self::empty().build_from(
            &[],
            &added,
            simplify,
            |part| -> Result<(), std::convert::Infallible> {
                rest.extend_from_slice(part);
                Ok(())
            },
        );
        let mut out = header.to_vec();
        out.append(&mut rest);
        out
    }

    /// Lays out a base of this one's entries without those at the `replaced` places (ascending),
    /// followed by the `added`: all but the header goes to `write` in order, and the header, which
    /// comes first, is given back. This base must have been built with the same table.
    ///
    /// The entries kept are copied as they are: neither their texts nor their keys are looked at,
    /// which makes this an order faster than building all of it anew.
    ///
    /// # Errors
    /// What `write` says.
    pub fn build_from<E>(
        &self,
        replaced: &[u32],
        added: &[&[u8]],
        simplify: &SimplifyTable,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<[u8; HEADER], E> {
        let kept = Kept::of(self, replaced);
        let mut fresh: Vec<(u64, u32)> = Vec::new();
        let mut bodies_bytes = 8 * u64::from(kept.units);
        let mut taken: Vec<&[u8]> = Vec::with_capacity(added.len());
        for body in added {
            let Ok(stored) = StoredEntry::read(body) else {
                continue;
            };
            // Places are u32 of eight bytes: 32 GiB of bodies, 100 million entries and more.
            let (Ok(place), Ok(_)) = (u32::try_from(bodies_bytes / 8), u32::try_from(body.len()))
            else {
                break;
            };
            let of_entry = keys(&stored, simplify);
            fresh.extend(of_entry.into_iter().map(|key| (key.0, place)));
            bodies_bytes += padded(body.len()) as u64;
            taken.push(body);
        }
        fresh.sort_unstable();
        let (keys, places) = self.merged_keys(&kept, &fresh);
        drop(fresh);
        let entries = (self.entries - replaced.len() + taken.len()) as u64;
        let bits = (keys.len() / KEYS_PER_SLOT).max(1).ilog2().min(BITS_MAX);

        let mut header = [0; HEADER];
        let fields = MAGIC
            .into_iter()
            .chain(bits.to_le_bytes())
            .chain([0; 4])
            .chain((keys.len() as u64).to_le_bytes())
            .chain(entries.to_le_bytes())
            .chain(bodies_bytes.to_le_bytes());
        header
            .iter_mut()
            .zip(fields)
            .for_each(|(byte, field)| *byte = field);
        let mut hasher = hasher_of(&header);
        let mut out = Parts {
            write: |part: &[u8]| {
                hasher.update(part);
                write(part)
            },
            buffer: Vec::with_capacity(PART_BYTES),
        };
        let mut next = 0_usize;
        for slot in 0..=(1_u64 << bits) {
            while keys.get(next).is_some_and(|key| slot_of(*key, bits) < slot) {
                next += 1;
            }
            // More than 2^32 keys cannot stand over 2^32 places of at least one key each here.
            out.put(&u32::try_from(next).unwrap_or(u32::MAX).to_le_bytes())?;
        }
        keys.iter()
            .try_for_each(|key| out.put(&key.to_le_bytes()))?;
        places
            .iter()
            .try_for_each(|place| out.put(&place.to_le_bytes()))?;
        self.copy_bodies(&kept, &mut out)?;
        for body in taken {
            out.body(body)?;
        }
        out.end()?;
        drop(out);
        let checksum = hasher.digest().to_le_bytes();
        let field = header.iter_mut().skip(HEADER - 8);
        field.zip(checksum).for_each(|(byte, sum)| *byte = sum);
        Ok(header)
    }

    /// The keys that stay and the fresh ones in one ascending order, with their new places.
    fn merged_keys(&self, kept: &Kept<'_>, fresh: &[(u64, u32)]) -> (Vec<u64>, Vec<u32>) {
        let mut keys = Vec::with_capacity(self.keys + fresh.len());
        let mut places = Vec::with_capacity(self.keys + fresh.len());
        let mut fresh = fresh.iter().peekable();
        for index in 0..self.keys {
            let place = u32_at(&self.bytes, self.places_at + 4 * index);
            let Some((key, place)) = self.key(index).zip(place.and_then(|p| kept.moved(p))) else {
                continue;
            };
            // Kept bodies stand before added ones, so of equal keys theirs come first.
            while let Some((other, at)) = fresh.next_if(|(other, _)| *other < key) {
                keys.push(*other);
                places.push(*at);
            }
            keys.push(key);
            places.push(place);
        }
        for (key, place) in fresh {
            keys.push(*key);
            places.push(*place);
        }
        (keys, places)
    }

    fn copy_bodies<E, W: FnMut(&[u8]) -> Result<(), E>>(
        &self,
        kept: &Kept<'_>,
        out: &mut Parts<W>,
    ) -> Result<(), E> {
        if kept.replaced.is_empty() {
            return out.put(self.bytes.get(self.bodies_at..).unwrap_or_default());
        }
        for (place, body) in self.bodies() {
            if kept.moved(place).is_some() {
                out.body(body)?;
            }
        }
        Ok(())
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

/// The entries of a base that stay, and where they go.
struct Kept<'a> {
    /// Places of those that go, ascending.
    replaced: &'a [u32],
    /// How many eight bytes those up to each of them took.
    gone: Vec<u32>,
    /// How many eight bytes the others take.
    units: u32,
}

impl<'a> Kept<'a> {
    fn of(base: &Base, replaced: &'a [u32]) -> Self {
        let mut sum = 0_u32;
        let gone = replaced
            .iter()
            .map(|place| {
                let bytes = base.body(*place).map_or(0, |body| padded(body.len()));
                sum = sum.saturating_add(u32::try_from(bytes / 8).unwrap_or(u32::MAX));
                sum
            })
            .collect();
        let all = base.bytes.len().saturating_sub(base.bodies_at) / 8;
        Self {
            replaced,
            gone,
            units: u32::try_from(all).unwrap_or(u32::MAX).saturating_sub(sum),
        }
    }

    /// The new place of an entry that stays.
    fn moved(&self, place: u32) -> Option<u32> {
        match self.replaced.binary_search(&place) {
            Ok(_) => None,
            Err(0) => Some(place),
            Err(before) => Some(place.saturating_sub(*self.gone.get(before - 1)?)),
        }
    }
}

/// Gives small parts on as large ones.
struct Parts<W> {
    write: W,
    buffer: Vec<u8>,
}

const PART_BYTES: usize = 256 << 10;

impl<E, W: FnMut(&[u8]) -> Result<(), E>> Parts<W> {
    fn put(&mut self, part: &[u8]) -> Result<(), E> {
        if self.buffer.len() + part.len() > PART_BYTES {
            self.end()?;
        }
        if part.len() > PART_BYTES {
            return (self.write)(part);
        }
        self.buffer.extend_from_slice(part);
        Ok(())
    }

    /// A body: its length, its bytes, zeros up to a multiple of eight.
    fn body(&mut self, body: &[u8]) -> Result<(), E> {
        // Its length was found to fit when its place was given out.
        self.put(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        self.put(body)?;
        let zeros = padded(body.len()) - body.len() - 4;
        self.put([0; 8].get(..zeros).unwrap_or_default())
    }

    fn end(&mut self) -> Result<(), E> {
        (self.write)(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// The bytes that a body of this length takes.
const fn padded(length: usize) -> usize {
    (length + 4).next_multiple_of(8)
}

/// The slot of the directory in which a key stands: its highest bits.
fn slot_of(key: u64, bits: u32) -> u64 {
    key.checked_shr(64 - bits).unwrap_or(0)
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = hasher_of(bytes);
    hasher.update(bytes.get(HEADER..).unwrap_or_default());
    hasher.digest()
}

/// Hashes what follows the header, beginning with the header itself but for the checksum.
fn hasher_of(header: &[u8]) -> xxhash_rust::xxh3::Xxh3 {
    let head = header.get(..HEADER - 8).unwrap_or_default();
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
