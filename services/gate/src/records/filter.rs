//! Which keys the index may hold: a "no" costs no read, and is certain.
//!
//! Grows by a further filter of twice the size, so nothing is ever rebuilt under load; the next
//! start makes one filter of them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use fastbloom::AtomicBloomFilter;

use super::slots::Unindexed;
use super::verdict_key;

/// Rate of needless reads, per filter.
const FALSE_POSITIVES: f64 = 0.001;

const KEYS_MIN: usize = 1 << 16;

/// What the index may hold.
pub(crate) struct Filters {
    pub verdicts: Filter,
    pub cases: Filter,
    /// Verdicts whose place another one took.
    pub superseded: Filter,
}

impl Filters {
    /// With room for so many records, and for so many that were superseded.
    pub(crate) fn for_records(expected: usize, superseded: usize) -> Self {
        Self {
            verdicts: Filter::for_keys(expected),
            cases: Filter::for_keys(expected / 2),
            superseded: Filter::for_keys(superseded),
        }
    }

    /// Adds records that the index holds.
    pub(crate) fn add(&self, records: &[Unindexed]) {
        self.verdicts
            .add(records.iter().map(|one| verdict_key(one.verdict)));
        self.cases.add(records.iter().map(|one| one.case.key));
        let superseded = records.iter().filter_map(|one| one.supersedes);
        self.superseded.add(superseded.map(verdict_key));
    }
}

pub(crate) struct Filter {
    parts: ArcSwap<Vec<Arc<Part>>>,
}

struct Part {
    bits: AtomicBloomFilter,
    capacity: usize,
    keys: std::sync::atomic::AtomicUsize,
}

impl Filter {
    /// With room for as many keys as are expected.
    pub(crate) fn for_keys(expected: usize) -> Self {
        Self {
            parts: ArcSwap::from_pointee(vec![Part::new(expected.max(KEYS_MIN))]),
        }
    }

    /// Whether the key may be there. Keys are hashes and are not hashed again.
    pub(crate) fn may_hold(&self, key: u64) -> bool {
        self.parts
            .load()
            .iter()
            .any(|part| part.bits.contains_hash(key))
    }

    /// Adds keys. Only the index's own thread does.
    pub(crate) fn add(&self, keys: impl IntoIterator<Item = u64>) {
        let Ok(()) = self.try_add(keys.into_iter().map(Ok::<_, std::convert::Infallible>));
    }

    /// Adds keys up to one that cannot be had.
    pub(crate) fn try_add<E>(
        &self,
        keys: impl IntoIterator<Item = Result<u64, E>>,
    ) -> Result<(), E> {
        use std::sync::atomic::Ordering;

        let mut parts = self.parts.load_full();
        for key in keys {
            let key = key?;
            let full = parts
                .last()
                .is_none_or(|part| part.keys.load(Ordering::Relaxed) >= part.capacity);
            if full {
                let capacity = parts.last().map_or(KEYS_MIN, |part| part.capacity * 2);
                let mut grown = Vec::clone(&parts);
                grown.push(Part::new(capacity));
                parts = Arc::new(grown);
                self.parts.store(Arc::clone(&parts));
            }
            if let Some(part) = parts.last() {
                part.bits.insert_hash(key);
                part.keys.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

impl Part {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            bits: AtomicBloomFilter::with_false_pos(FALSE_POSITIVES).expected_items(capacity),
            capacity,
            keys: std::sync::atomic::AtomicUsize::new(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes())
    }

    #[test]
    fn nothing_that_was_added_is_denied_also_after_growing() {
        let filter = Filter::for_keys(0);
        filter.add((0..300_000).map(key));
        assert!(filter.parts.load().len() > 1);
        assert!((0..300_000).all(|n| filter.may_hold(key(n))));
        let false_positives = (300_000..400_000)
            .filter(|n| filter.may_hold(key(*n)))
            .count();
        assert!(false_positives < 600, "{false_positives}");
    }
}
