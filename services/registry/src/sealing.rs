//! How values about people stand in the files of the registry: sealed, or found by keyed hashes. Without a sealer
//! they stand in clear.
//!
//! Sealed whole ([`crate::sealed_file`]): base files, the rows of imports that wait for approval, and of those that
//! are being received. By keyed hashes: the index of entries, and the digest of rows that wait.

use creditgate_measures::identifier::Key;
use creditgate_runtime::sealed::Sealer;

/// Seals what the registry puts on the disk; does nothing without a sealer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sealing(Option<Sealer>);

impl Sealing {
    pub(crate) const fn new(sealer: Option<Sealer>) -> Self {
        Self(sealer)
    }

    /// What seals; none: everything stands in clear.
    pub(crate) const fn sealer(&self) -> Option<&Sealer> {
        self.0.as_ref()
    }

    /// The number of the key with which new files are sealed.
    pub(crate) fn key_id(&self) -> Option<u32> {
        self.0.as_ref().map(Sealer::key_id)
    }

    /// A key as the index holds it: the hash of a citizen's number can be reversed by trying all numbers, a keyed
    /// one only by whoever has the key.
    ///
    /// FENCE (hashed keys): the first eight bytes of the keyed hash over `key`, a zero, and the key. Another function
    /// goes with another format of the index.
    pub(crate) fn number(&self, key: Key) -> i64 {
        let Some(sealer) = &self.0 else {
            return key.0.cast_signed();
        };
        let mut value = b"key\0".to_vec();
        value.extend_from_slice(&key.0.to_le_bytes());
        let hash = sealer.keyed_hash(&value);
        let head = hash.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_le_bytes(head)
    }

    /// What only this sealer hashes so, whatever the number of its key; empty without one.
    pub(crate) fn proof(&self) -> Vec<u8> {
        let sealer = self.0.as_ref();
        sealer.map_or_else(Vec::new, |sealer| sealer.keyed_hash(b"proof\0").to_vec())
    }

    /// A digest that may stand in a record: of few rows, an unkeyed one could be found by trying.
    pub(crate) fn keyed(&self, digest: [u8; 32]) -> [u8; 32] {
        match &self.0 {
            None => digest,
            Some(sealer) => {
                let mut value = b"rows\0".to_vec();
                value.extend_from_slice(&digest);
                sealer.keyed_hash(&value)
            }
        }
    }
}
