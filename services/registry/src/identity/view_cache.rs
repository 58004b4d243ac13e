//! Derived results that people ask for again: all of a subject, put together from its entries and the
//! change log.
//!
//! A result is kept under what it was made of: the subject's own revision, or the version asked for,
//! and the book. So a change of the subject makes another key, and nothing has to be thrown away to
//! stay right. INVARIANT (never clean by absence): nothing is concluded from a miss; it is computed.

use std::sync::Arc;

use creditgate_proto::v1;
use moka::sync::Cache;
use prost::Message;

/// Bytes that kept results take up at most.
pub(crate) const BYTES_MAX: u64 = 32 << 20;

/// Bytes of a kept result besides its own: the key, and what the cache keeps of it.
const OVERHEAD_BYTES: usize = 256;

/// What a result was made of, as a hash.
pub(crate) type Key = [u8; 32];

/// A result: the answer without what depends on the moment, encoded, and the entries it judges.
/// Bytes, so that its weight is what it takes up.
#[derive(Debug)]
pub(crate) struct Kept {
    answer: Vec<u8>,
    bodies: Vec<Vec<u8>>,
}

impl Kept {
    /// Keeps an answer and the stored forms of its entries, in its order.
    pub fn new(answer: &v1::GetSubjectResponse, bodies: Vec<Vec<u8>>) -> Self {
        Self {
            answer: answer.encode_to_vec(),
            bodies,
        }
    }

    /// The answer; none when the bytes are not what was written, and it is to be computed.
    pub fn answer(&self) -> Option<v1::GetSubjectResponse> {
        v1::GetSubjectResponse::decode(self.answer.as_slice()).ok()
    }

    /// The stored forms of its entries.
    pub fn bodies(&self) -> &[Vec<u8>] {
        &self.bodies
    }

    fn bytes(&self) -> usize {
        let bodies = self
            .bodies
            .iter()
            .map(|body| body.len() + size_of::<Vec<u8>>());
        OVERHEAD_BYTES + self.answer.len() + bodies.sum::<usize>()
    }
}

/// The kept results; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ViewCache(Cache<Key, Arc<Kept>>);

impl ViewCache {
    /// A cache of this many bytes.
    pub fn new(bytes_max: u64) -> Self {
        let cache = Cache::builder()
            .name("subjects")
            .max_capacity(bytes_max)
            .weigher(|_, kept: &Arc<Kept>| u32::try_from(kept.bytes()).unwrap_or(u32::MAX));
        Self(cache.build())
    }

    /// The result under this key.
    pub fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        self.0.get(key)
    }

    /// Keeps a result. One under the same key is the same, and stays: to write it again would only
    /// give the cache work.
    pub fn keep(&self, key: Key, kept: Arc<Kept>) {
        self.0.entry(key).or_insert(kept);
    }
}
