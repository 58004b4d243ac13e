//! Laying a base out: of entries, or of another base and what has changed since.

use super::filter::Builder;
use super::{
    Base, FIXED, HEADER, MAGIC, hasher_of, padded, remainder_bytes, short_of, slot_bits, slot_of,
};
use crate::entry::StoredEntry;
use crate::lists::keys;
use crate::name::SimplifyTable;

impl Base {
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
    /// which makes this an order faster than building all of it anew. Besides what is added, only
    /// the filter is held in memory: the keys are walked once for each section.
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
            fresh.extend(of_entry.into_iter().map(|key| (short_of(key), place)));
            bodies_bytes += padded(body.len()) as u64;
            taken.push(body);
        }
        fresh.sort_unstable();
        // Two keys of one entry may be the same when they are cut short.
        fresh.dedup();
        let merged = Merged {
            base: self,
            gone: kept.gone_keys(self),
            fresh: &fresh,
        };
        let entries = (self.entries - replaced.len() + taken.len()) as u64;
        let count = merged.count();
        let bits = slot_bits(count);
        let mut header = [0; HEADER];
        set(&mut header, 0, &MAGIC);
        set(&mut header, FIXED.bits, &bits.to_le_bytes());
        set(&mut header, FIXED.keys, &(count as u64).to_le_bytes());
        set(&mut header, FIXED.entries, &entries.to_le_bytes());
        set(&mut header, FIXED.bodies, &bodies_bytes.to_le_bytes());
        let mut hasher = hasher_of(&header);
        let mut out = Parts {
            write: |part: &[u8]| {
                hasher.update(part);
                write(part)
            },
            buffer: Vec::with_capacity(PART_BYTES),
        };
        merged.put_directory(bits, &mut out)?;
        let (heads, fingerprints) = merged.put_keys(bits, &mut out)?;
        merged.walk(|_, body| {
            let place = match body {
                Body::Added(place) => place,
                // A key that stays is one of a body that stays.
                Body::Kept(place) => kept.moved(place).unwrap_or(place),
            };
            out.put(&place.to_le_bytes())
        })?;
        out.put(&((heads.len() + fingerprints.len()) as u64).to_le_bytes())?;
        out.put(&heads)?;
        out.put(&fingerprints)?;
        drop((heads, fingerprints));
        self.copy_bodies(&kept, &mut out)?;
        for body in taken {
            out.body(body)?;
        }
        out.end()?;
        drop(out);
        set(&mut header, FIXED.checksum, &hasher.digest().to_le_bytes());
        Ok(header)
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
}

/// Puts bytes into a header.
fn set(header: &mut [u8; HEADER], at: usize, bytes: &[u8]) {
    let places = header.iter_mut().skip(at);
    places.zip(bytes).for_each(|(place, byte)| *place = *byte);
}

/// The keys that stay and the fresh ones in one ascending order.
struct Merged<'a> {
    base: &'a Base,
    /// Which keys of the base go, a bit for each; empty when none does.
    gone: Vec<u64>,
    /// Ascending, each with its place.
    fresh: &'a [(u64, u32)],
}

/// The body that a key leads to.
enum Body {
    /// At this place of the base.
    Kept(u32),
    /// At this place of the new one.
    Added(u32),
}

impl Merged<'_> {
    fn count(&self) -> usize {
        let gone: u32 = self.gone.iter().map(|word| word.count_ones()).sum();
        self.base.keys - gone as usize + self.fresh.len()
    }

    /// Gives `visit` every key with its body, in order.
    fn walk<E>(&self, mut visit: impl FnMut(u64, Body) -> Result<(), E>) -> Result<(), E> {
        let mut fresh = self.fresh.iter().peekable();
        for (index, (key, place)) in self.base.keys().enumerate() {
            let word = self.gone.get(index / 64).copied().unwrap_or(0);
            if word >> (index % 64) & 1 == 1 {
                continue;
            }
            // Kept bodies stand before added ones, so of equal keys theirs come first.
            while let Some((other, at)) = fresh.next_if(|(other, _)| *other < key) {
                visit(*other, Body::Added(*at))?;
            }
            visit(key, Body::Kept(place))?;
        }
        fresh.try_for_each(|(key, at)| visit(*key, Body::Added(*at)))
    }

    fn put_directory<E, W: FnMut(&[u8]) -> Result<(), E>>(
        &self,
        bits: u32,
        out: &mut Parts<W>,
    ) -> Result<(), E> {
        let (mut next_slot, mut count) = (0_u64, 0_u32);
        self.walk(|key, _| {
            while next_slot <= slot_of(key, bits) {
                out.put(&count.to_le_bytes())?;
                next_slot += 1;
            }
            // More than 2^32 keys cannot stand over 2^32 places of at least one key each here.
            count = count.saturating_add(1);
            Ok(())
        })?;
        while next_slot <= 1 << bits {
            out.put(&count.to_le_bytes())?;
            next_slot += 1;
        }
        Ok(())
    }

    /// Puts what the directory does not say of each key, and makes the filter of them.
    fn put_keys<E, W: FnMut(&[u8]) -> Result<(), E>>(
        &self,
        bits: u32,
        out: &mut Parts<W>,
    ) -> Result<(Vec<u8>, Vec<u8>), E> {
        let mut filter = Builder::new(bits);
        let width = remainder_bytes(bits);
        self.walk(|key, _| {
            filter.add(key, slot_of(key, bits));
            let bytes = key.to_le_bytes();
            // The bits above the remainder are those of the slot; whoever reads masks them.
            out.put(bytes.get(..width).unwrap_or(&bytes))
        })?;
        Ok(filter.end())
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

    /// Which keys of the base lead to entries that go, a bit for each; empty when none does.
    fn gone_keys(&self, base: &Base) -> Vec<u64> {
        if self.replaced.is_empty() {
            return Vec::new();
        }
        let mut gone = vec![0_u64; base.keys.div_ceil(64)];
        for (index, (_, place)) in base.keys().enumerate() {
            if self.replaced.binary_search(&place).is_ok()
                && let Some(word) = gone.get_mut(index / 64)
            {
                *word |= 1 << (index % 64);
            }
        }
        gone
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
            // Bodies that stay come in one part of gigabytes; whoever takes the pieces may say no between them.
            return part
                .chunks(PART_BYTES)
                .try_for_each(|piece| (self.write)(piece));
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
