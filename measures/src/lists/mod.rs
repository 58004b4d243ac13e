//! The lists as one immutable snapshot: what is known, since when, and how to find it.
//!
//! A snapshot is complete: nothing is ever evicted from it, since a listed party would then look
//! clean. Most of it is a [`Base`], bytes that may be mapped from a file; what has changed since
//! the base was built stands in a small overlay in front of it.

mod base;
mod state;
mod usable;

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::shared_ptr::DefaultSharedPtr;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use crate::entry::{Entry, StoredEntry};
use crate::event::ListCode;
use crate::identifier::{Identifier, Key, KeyKind};
use crate::name::{NormalName, SimplifyTable};
use crate::time::Time;
use crate::vocabulary::SubjectKind;

pub use base::{Base, BaseError, HEADER as BASE_HEADER_BYTES};
pub(crate) use usable::Dates;
pub use usable::{Circumstances, Standing, Use, last_day, standing};

/// Version of the lists: which change log, and how far it was read (spec 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListVersion {
    /// The change log.
    pub log_id: uuid::Uuid,
    /// Dense sequence number of the last change applied; 0 before the first.
    pub seq: u64,
}

impl std::fmt::Display for ListVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.log_id, self.seq)
    }
}

/// Entries changed since the base was built, under each of their keys. Persistent, so that the
/// next snapshot shares all but the changed part with the one before.
type Overlay = imbl::GenericHashMap<Key, Bodies, FxBuildHasher, DefaultSharedPtr>;
/// Stored entries under one key: nearly always a single one.
type Bodies = SmallVec<[Arc<[u8]>; 1]>;

/// Keys under which an entry is found.
pub type Keys = SmallVec<[Key; 8]>;

/// What is known of all lists at one version.
#[derive(Debug, Clone)]
pub struct Lists {
    version: ListVersion,
    /// Last confirmation of each list that was ever delivered, by code.
    confirmed: Arc<BTreeMap<ListCode, Time>>,
    simplify_hash: [u8; 32],
    base: Arc<Base>,
    overlay: Overlay,
    /// Places of base entries that the overlay replaces.
    replaced: imbl::GenericHashSet<u32, FxBuildHasher, DefaultSharedPtr>,
    overlay_entries: usize,
}

/// A list may be confirmed this far ahead of a clock, since clocks differ, and no further.
pub const CONFIRMED_AHEAD_SECONDS: i64 = 300;

/// Whether a list was confirmed in the future of a time: by a clock that ran ahead, so that its age is
/// not known, and it counts as stale (specification, 6).
#[must_use]
pub fn is_ahead(confirmed: Time, at: Time) -> bool {
    confirmed > at.plus_seconds(CONFIRMED_AHEAD_SECONDS)
}

impl Lists {
    /// An empty system: no list was ever delivered.
    #[must_use]
    pub fn empty(log_id: uuid::Uuid, simplify: &SimplifyTable) -> Self {
        Self::over(
            Base::empty(),
            ListVersion { log_id, seq: 0 },
            BTreeMap::new(),
            simplify,
        )
    }

    /// A snapshot that consists of a base alone.
    #[must_use]
    pub fn over(
        base: Base,
        version: ListVersion,
        confirmed: BTreeMap<ListCode, Time>,
        simplify: &SimplifyTable,
    ) -> Self {
        Self {
            version,
            confirmed: Arc::new(confirmed),
            simplify_hash: simplify.content_hash(),
            base: Arc::new(base),
            overlay: imbl::GenericHashMap::default(),
            replaced: imbl::GenericHashSet::default(),
            overlay_entries: 0,
        }
    }

    /// The base: all that was known when it was built.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> ListVersion {
        self.version
    }

    /// The same knowledge under a later version.
    pub const fn advance(&mut self, seq: u64) {
        self.version.seq = seq;
    }

    /// When the source last confirmed the list; `None` when it was never delivered.
    #[must_use]
    pub fn confirmed_at(&self, list: &str) -> Option<Time> {
        self.confirmed.get(list).copied()
    }

    /// The confirmations, by list.
    #[must_use]
    pub fn confirmations(&self) -> &BTreeMap<ListCode, Time> {
        &self.confirmed
    }

    /// Whether names were indexed with this table.
    #[must_use]
    pub fn normalised_by(&self, simplify: &SimplifyTable) -> bool {
        self.simplify_hash == simplify.content_hash()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.base.len() - self.replaced.len() + self.overlay_entries
    }

    /// Whether there is no entry at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries stand in the overlay; a large one is worth merging into a new base.
    #[must_use]
    pub const fn overlay_len(&self) -> usize {
        self.overlay_entries
    }

    /// Gives `visit` the stored bytes of each entry that may be found under the key.
    ///
    /// A key is a hash: the visitor compares the full value before it believes a hit.
    pub fn find<'a>(&'a self, key: Key, mut visit: impl FnMut(&'a [u8])) {
        if self.overlay_entries > 0
            && let Some(bodies) = self.overlay.get(&key)
        {
            bodies.iter().for_each(|body| visit(body));
        }
        self.base.find(key, |place, body| {
            if self.replaced.is_empty() || !self.replaced.contains(&place) {
                visit(body);
            }
        });
    }

    /// The entry with this id.
    #[must_use]
    pub fn entry(&self, entry_id: &str) -> Option<Entry> {
        let mut found = None;
        self.find(entry_id_key(entry_id), |body| {
            if found.is_none()
                && StoredEntry::read(body).is_ok_and(|stored| stored.entry_id == entry_id)
            {
                found = Entry::from_stored(body).ok();
            }
        });
        found
    }

    /// Every entry's stored bytes, in no promised order.
    pub fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        self.base
            .bodies()
            .filter(|(place, _)| !self.replaced.contains(place))
            .map(|(_, body)| body)
            .chain(self.overlaid())
    }

    /// Every entry of the overlay, once.
    fn overlaid(&self) -> impl Iterator<Item = &[u8]> {
        self.overlay
            .iter()
            .flat_map(|(key, bodies)| bodies.iter().map(move |body| (key, body.as_ref())))
            .filter(|(key, body)| {
                StoredEntry::read(body).is_ok_and(|stored| entry_id_key(stored.entry_id) == **key)
            })
            .map(|(_, body)| body)
    }

    /// Puts an entry in the place of the one with the same id, or adds it.
    pub fn put(&mut self, entry: &Entry, simplify: &SimplifyTable) {
        self.put_stored(&entry.to_stored(), simplify);
    }

    /// As [`Lists::put`], from stored bytes; bytes that are not an entry change nothing.
    pub fn put_stored(&mut self, body: &[u8], simplify: &SimplifyTable) {
        let Ok(stored) = StoredEntry::read(body) else {
            return;
        };
        self.remove(stored.entry_id, simplify);
        let body: Arc<[u8]> = body.into();
        for key in keys(&stored, simplify) {
            self.overlay.entry(key).or_default().push(Arc::clone(&body));
        }
        self.overlay_entries += 1;
    }

    fn remove(&mut self, entry_id: &str, simplify: &SimplifyTable) {
        let id_key = entry_id_key(entry_id);
        let is_it =
            |body: &[u8]| StoredEntry::read(body).is_ok_and(|stored| stored.entry_id == entry_id);
        let old = self
            .overlay
            .get(&id_key)
            .and_then(|bodies| bodies.iter().find(|body| is_it(body)).cloned());
        if let Some(old) = old {
            if let Ok(stored) = StoredEntry::read(&old) {
                for key in keys(&stored, simplify) {
                    self.forget(key, &old);
                }
            }
            self.overlay_entries -= 1;
            return;
        }
        let mut place_of_old = None;
        self.base.find(id_key, |place, body| {
            if !self.replaced.contains(&place) && is_it(body) {
                place_of_old = Some(place);
            }
        });
        if let Some(place) = place_of_old {
            self.replaced.insert(place);
        }
    }

    fn forget(&mut self, key: Key, body: &Arc<[u8]>) {
        let Some(bodies) = self.overlay.get_mut(&key) else {
            return;
        };
        bodies.retain(|other| !Arc::ptr_eq(other, body));
        if bodies.is_empty() {
            self.overlay.remove(&key);
        }
    }

    /// As [`Lists::confirm`], by a record of this time.
    ///
    /// What was confirmed by a clock that ran ahead does not stand in the way of what a source confirms
    /// when the clock is set right.
    pub fn confirm_recorded(&mut self, list: ListCode, at: Time, recorded_at: Time) {
        let known = self.confirmed_at(list.as_str());
        if known.is_some_and(|known| is_ahead(known, recorded_at)) {
            Arc::make_mut(&mut self.confirmed).insert(list, at);
        } else {
            self.confirm(list, at);
        }
    }

    /// Records as of when the whole list is confirmed, as computed from all of its sources: earlier than
    /// known, where a staler source has joined them.
    pub fn confirm_whole(&mut self, list: ListCode, at: Time) {
        Arc::make_mut(&mut self.confirmed).insert(list, at);
    }

    /// Records that the source confirmed its list; an earlier time than the one known changes nothing.
    pub fn confirm(&mut self, list: ListCode, at: Time) {
        let confirmed = Arc::make_mut(&mut self.confirmed);
        let known = confirmed.entry(list).or_insert(at);
        *known = (*known).max(at);
    }

    /// Bytes of a base with everything this snapshot knows; [`Base::open`] reads them.
    #[must_use]
    pub fn to_base(&self, simplify: &SimplifyTable) -> Vec<u8> {
        Base::build(self.bodies(), simplify)
    }

    /// As [`Lists::to_base`] with the table in use, part by part: all but the header goes to `write`
    /// in order, and the header, which comes first, is given back. Entries of the base that have not
    /// changed are copied without being read.
    ///
    /// # Errors
    /// What `write` says.
    pub fn write_base<E>(
        &self,
        simplify: &SimplifyTable,
        write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<[u8; BASE_HEADER_BYTES], E> {
        let mut replaced: Vec<u32> = self.replaced.iter().copied().collect();
        replaced.sort_unstable();
        let added: Vec<&[u8]> = self.overlaid().collect();
        self.base.build_from(&replaced, &added, simplify, write)
    }

    /// The same knowledge over a base built from it, and the changes made since that base was
    /// built, which `newer` must hold.
    #[must_use]
    pub fn rebased(&self, base: Base) -> Self {
        Self {
            base: Arc::new(base),
            overlay: imbl::GenericHashMap::default(),
            replaced: imbl::GenericHashSet::default(),
            overlay_entries: 0,
            ..self.clone()
        }
    }
}

/// Key under which an entry is found by its id.
#[must_use]
pub fn entry_id_key(entry_id: &str) -> Key {
    Key::of(KeyKind::EntryId, entry_id.as_bytes())
}

/// Every key under which the entry is found, each once.
///
/// Natural persons get no key by name (spec 2, rule 3); relations are found by identifier only.
#[must_use]
pub fn keys(stored: &StoredEntry<'_>, simplify: &SimplifyTable) -> Keys {
    let mut keys = Keys::new();
    keys.push(entry_id_key(stored.entry_id));
    keys.extend(
        stored
            .identifier
            .iter()
            .chain(&stored.aliases)
            .map(|i| i.key()),
    );
    keys.extend(
        stored
            .related
            .iter()
            .filter_map(|r| r.identifier.as_ref())
            .map(|i| i.key()),
    );
    if may_be_found_by_name(stored) {
        let nameless = !has_identifier(stored);
        for name in stored.name.iter().chain(&stored.former_names) {
            if let Some(name) = NormalName::new(name, simplify) {
                keys.push(Key::of(KeyKind::Name, name.reveal().as_bytes()));
                if nameless {
                    keys.push(Key::of(KeyKind::NameOnly, name.reveal().as_bytes()));
                }
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Whether the entry names its subject by any identifier.
#[must_use]
pub fn has_identifier(stored: &StoredEntry<'_>) -> bool {
    stored.identifier.is_some() || !stored.aliases.is_empty()
}

/// Whether the entry may be found by name: not one of a natural person.
#[must_use]
pub fn may_be_found_by_name(stored: &StoredEntry<'_>) -> bool {
    stored.kind != Some(SubjectKind::NaturalPerson)
        && !stored
            .identifier
            .iter()
            .chain(&stored.aliases)
            .any(Identifier::is_natural_person)
}

#[cfg(test)]
mod tests;
