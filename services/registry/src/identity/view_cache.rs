//! Derived results that people ask for again: all of a subject, put together from its entries and the
//! change log.
//!
//! A result is kept under what it was made of: the subject's own revision, or the version asked for,
//! and the book. INVARIANT (never stale): the revision covers everything that an answer holds, what
//! the log tells included: each entry as it is and the number of its newest record, so that a
//! correction which is taken back, or a moment that came by time alone, makes another key too. So
//! nothing has to be thrown away to stay right. INVARIANT (never clean by absence): nothing is
//! concluded from a miss; it is computed.

use std::sync::Arc;

use arc_swap::ArcSwap;
use creditgate_proto::v1;
use moka::sync::Cache;
use prost::Message;

/// Bytes that kept results take up at most.
pub const BYTES_MAX: u64 = 32 << 20;

/// Bytes of a kept result besides its own: the key, and what the cache keeps of it.
const OVERHEAD_BYTES: usize = 256;

/// What a result was made of, as a hash.
pub type Key = [u8; 32];

/// A result: the answer without what depends on the moment, encoded, and the entries it judges.
/// Bytes, so that its weight is what it takes up.
#[derive(Debug)]
pub struct Kept {
    answer: Vec<u8>,
    bodies: Vec<Vec<u8>>,
}

impl Kept {
    /// Keeps an answer and the stored forms of its entries, in its order.
    #[must_use]
    pub fn new(answer: &v1::GetSubjectResponse, bodies: Vec<Vec<u8>>) -> Self {
        Self {
            answer: answer.encode_to_vec(),
            bodies,
        }
    }

    /// The answer; none when the bytes are not what was written, and it is to be computed.
    #[must_use]
    pub fn answer(&self) -> Option<v1::GetSubjectResponse> {
        v1::GetSubjectResponse::decode(self.answer.as_slice()).ok()
    }

    /// The stored forms of its entries.
    #[must_use]
    pub fn bodies(&self) -> &[Vec<u8>] {
        &self.bodies
    }

    /// Bytes that it takes up.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let bodies = self
            .bodies
            .iter()
            .map(|body| body.len() + size_of::<Vec<u8>>());
        OVERHEAD_BYTES + self.answer.len() + bodies.sum::<usize>()
    }
}

/// The kept results; cheap to clone.
#[derive(Debug, Clone)]
pub struct ViewCache {
    cache: Arc<ArcSwap<Cache<Key, Arc<Kept>>>>,
    bytes_max: u64,
}

impl ViewCache {
    /// A cache of this many bytes.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self {
            cache: Arc::new(ArcSwap::from_pointee(empty(bytes_max))),
            bytes_max,
        }
    }

    /// The result under this key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        self.cache.load().get(key)
    }

    /// Keeps a result. One under the same key is the same, and stays: to write it again would only
    /// give the cache work.
    pub fn keep(&self, key: Key, kept: Arc<Kept>) {
        let cache = self.cache.load_full();
        cache.entry(key).or_insert(kept);
        self.hold_bound(&cache);
    }

    /// Bytes that the kept results take up, after what is due is done.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let cache = self.cache.load();
        cache.run_pending_tasks();
        cache.weighted_size()
    }

    /// INVARIANT (bounded): a cache whose eviction has stalled is replaced by an empty one. It is
    /// known to happen to moka where keys come again under pressure, and nothing else mends it
    /// (moka-rs/moka, 590).
    fn hold_bound(&self, cache: &Arc<Cache<Key, Arc<Kept>>>) {
        let too_much = self.bytes_max + self.bytes_max / 4;
        if cache.weighted_size() <= too_much {
            return;
        }
        cache.run_pending_tasks();
        if cache.weighted_size() > too_much {
            tracing::warn!("a cache of derived results has grown beyond its bound and is emptied");
            self.cache.store(Arc::new(empty(self.bytes_max)));
        }
    }
}

fn empty(bytes_max: u64) -> Cache<Key, Arc<Kept>> {
    Cache::builder()
        .name("subjects")
        .max_capacity(bytes_max)
        .weigher(|_, kept: &Arc<Kept>| u32::try_from(kept.bytes()).unwrap_or(u32::MAX))
        .build()
}
