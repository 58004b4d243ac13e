//! Look-up keys: 64-bit hashes that list files keep, so their function is fixed for ever.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::NormalName;

/// A 64-bit hash under which something is looked up. Never an identity: after a hit the full value
/// has to be compared.
///
/// FENCE (key function): XXH3-64 (xxHash 0.8) over the canonical bytes, with the seed
/// `0x6372_6564_6974_0000 + kind`. List files and filters keep keys; with another function or seed
/// every listed subject in them would be missed without any sign. A test pins known values.
///
/// Prints its last 16 bits only: the hash of a citizen's number can be reversed by trying all
/// numbers, so a key is treated like the number itself.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub u64);

/// What a key was made of; different kinds never meet except by accident.
#[derive(Debug, Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// The canonical identifier of a subject.
    Identifier,
    /// A normalised name of an entry, whether or not that entry has an identifier too.
    Name,
    /// A normalised name of an entry that has no identifier.
    NameOnly,
    /// The `entry_id` of an entry.
    EntryId,
    /// A relation of an entry's subject, looked up from the related side.
    Related,
}

impl KeyKind {
    /// FENCE (key function): part of every key; numbers are never changed or used again.
    const fn number(self) -> u64 {
        match self {
            KeyKind::Identifier => 1,
            KeyKind::Name => 2,
            KeyKind::NameOnly => 3,
            KeyKind::EntryId => 4,
            KeyKind::Related => 5,
        }
    }
}

/// `credit` in ASCII, then room for the kind.
const SEED: u64 = 0x6372_6564_6974_0000;

impl Key {
    /// The key of `canonical` bytes as the given kind.
    pub fn of(kind: KeyKind, canonical: &[u8]) -> Key {
        Key(xxhash_rust::xxh3::xxh3_64_with_seed(
            canonical,
            SEED + kind.number(),
        ))
    }

    /// The key of a name of any entry.
    pub fn name(name: &NormalName) -> Key {
        Key::of(KeyKind::Name, name.reveal().as_bytes())
    }

    /// The key of a name of an entry that has no identifier.
    pub fn name_only(name: &NormalName) -> Key {
        Key::of(KeyKind::NameOnly, name.reveal().as_bytes())
    }

    /// The key of an entry's id.
    pub fn entry_id(entry_id: &str) -> Key {
        Key::of(KeyKind::EntryId, entry_id.as_bytes())
    }

    /// The same subject's key as another kind: by this, what is related to a subject is found from
    /// that subject's own key, which is all that a file of keys knows.
    pub fn rekeyed(self, kind: KeyKind) -> Key {
        Key::of(kind, &self.0.to_le_bytes())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key(…{:04x})", self.0 & 0xFFFF)
    }
}
