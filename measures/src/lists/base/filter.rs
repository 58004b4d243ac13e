//! The filter of a base: a byte or so for each key, by which most of those that are not there are
//! turned away without a look at the keys.
//!
//! It is laid out beside the keys and read where it lies, so that opening a base builds nothing. It
//! is cut by the highest bits of the keys into shards of about a million: one after the other is
//! built, and building takes little memory however many keys there are.
//!
//! Layout: the shards' heads, 32 bytes each (descriptor of [`xorf::BinaryFuse8`] in 20 bytes, the
//! length of its fingerprints as `u32`, where they begin after the heads as `u64`) · fingerprints.

use std::ops::Range;

use bytes::Bytes;
use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable, Filter as _, FilterRef};

use super::{BaseError, u32_at, u64_at};

/// Slots of the directory that share a shard, as a power of two: about a million keys.
const SLOTS_BITS: u32 = 18;
const HEAD: usize = 32;
const DESCRIPTOR: usize = BinaryFuse8::DESCRIPTOR_LEN;

/// How many of the highest bits of a slot name its shard.
const fn shard_bits(slot_bits: u32) -> u32 {
    slot_bits.saturating_sub(SLOTS_BITS)
}

/// The shard of a slot.
fn shard_of(slot: u64, slot_bits: u32) -> usize {
    usize::try_from(slot >> (slot_bits - shard_bits(slot_bits))).unwrap_or(usize::MAX)
}

/// Takes keys in ascending order and lays the filter out.
pub(super) struct Builder {
    slot_bits: u32,
    shard: usize,
    keys: Vec<u64>,
    heads: Vec<u8>,
    fingerprints: Vec<u8>,
}

impl Builder {
    /// A filter over a directory of so many bits.
    pub fn new(slot_bits: u32) -> Self {
        Self {
            slot_bits,
            shard: 0,
            keys: Vec::new(),
            heads: Vec::new(),
            fingerprints: Vec::new(),
        }
    }

    /// The next key, which stands in this slot.
    pub fn add(&mut self, key: u64, slot: u64) {
        let shard = shard_of(slot, self.slot_bits);
        while self.shard < shard {
            self.end_shard();
        }
        if self.keys.last() != Some(&key) {
            self.keys.push(key);
        }
    }

    fn end_shard(&mut self) {
        let mut head = [0; HEAD];
        let begins = (self.fingerprints.len() as u64).to_le_bytes();
        let mut length = 0;
        // A shard that cannot be built has no fingerprints: every probe goes to the keys, which is
        // slower, never wrong.
        if let Ok(filter) = BinaryFuse8::try_from(&self.keys) {
            if let Some(descriptor) = head.get_mut(..DESCRIPTOR) {
                filter.dma_copy_descriptor_to(descriptor);
            }
            let bytes = filter.dma_fingerprints();
            length = u32::try_from(bytes.len()).unwrap_or_default();
            self.fingerprints.extend_from_slice(bytes);
        }
        let fields = length.to_le_bytes().into_iter().chain(begins);
        head.iter_mut()
            .skip(DESCRIPTOR)
            .zip(fields)
            .for_each(|(byte, field)| *byte = field);
        self.heads.extend_from_slice(&head);
        self.keys.clear();
        self.shard += 1;
    }

    /// The filter, in two parts that follow each other; zeros fill it up to a multiple of eight.
    pub fn end(mut self) -> (Vec<u8>, Vec<u8>) {
        let shards = 1_usize << shard_bits(self.slot_bits);
        while self.shard < shards {
            self.end_shard();
        }
        let padded = self.fingerprints.len().next_multiple_of(8);
        self.fingerprints.resize(padded, 0);
        (self.heads, self.fingerprints)
    }
}

/// A filter that lies in the bytes of its base.
#[derive(Default)]
pub(super) struct Filter {
    slot_bits: u32,
    shards: Vec<Shard>,
}

struct Shard {
    descriptor: [u8; DESCRIPTOR],
    fingerprints: Range<usize>,
}

impl Filter {
    /// The filter in this part of a base whose directory has so many bits.
    pub fn read(bytes: &Bytes, part: Range<usize>, slot_bits: u32) -> Result<Self, BaseError> {
        let count = 1_usize << shard_bits(slot_bits);
        let fingerprints_at = part.start + HEAD * count;
        let shard = |index: usize| {
            let at = part.start + HEAD * index;
            let descriptor = *bytes.get(at..part.end)?.first_chunk::<DESCRIPTOR>()?;
            let length = u32_at(bytes, at + DESCRIPTOR)? as usize;
            let begins = usize::try_from(u64_at(bytes, at + DESCRIPTOR + 4)?).ok()?;
            let from = fingerprints_at.checked_add(begins)?;
            let to = from.checked_add(length)?;
            let fits = length == 0 || reach(&descriptor)? == length as u64;
            (fits && to <= part.end).then_some(Shard {
                descriptor,
                fingerprints: from..to,
            })
        };
        let shards: Option<Vec<Shard>> = (0..count).map(shard).collect();
        Ok(Self {
            slot_bits,
            shards: shards.ok_or(BaseError::Length)?,
        })
    }

    /// Whether the key may be there. Says yes to one in 256 that are not.
    pub fn may_hold(&self, bytes: &[u8], key: u64, slot: u64) -> bool {
        let shard = self.shards.get(shard_of(slot, self.slot_bits));
        let Some(shard) = shard.filter(|shard| !shard.fingerprints.is_empty()) else {
            return true;
        };
        bytes
            .get(shard.fingerprints.clone())
            .is_none_or(|prints| BinaryFuse8Ref::from_dma(&shard.descriptor, prints).contains(&key))
    }
}

/// How many fingerprints a filter of this descriptor asks for: it looks into three segments that
/// follow each other, and must find them.
fn reach(descriptor: &[u8; DESCRIPTOR]) -> Option<u64> {
    let segment = u32_at(descriptor, 8)?;
    let mask = u32_at(descriptor, 12)?;
    let first = u32_at(descriptor, 16)?;
    let sound = segment.is_power_of_two()
        && mask == segment - 1
        && first > 0
        && first.is_multiple_of(segment);
    sound.then(|| u64::from(first) + 2 * u64::from(segment))
}
