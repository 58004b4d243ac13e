//! The change log for those who act on what changed: open cases are judged again by it.

use std::sync::Arc;

use creditgate_measures::entry::StoredEntry;
use creditgate_measures::identifier::Key;
use creditgate_measures::lists::{Lists, keys};
use creditgate_measures::name::SimplifyTable;
use creditgate_proto::journal::v1::ClockStruck;
use creditgate_runtime::journal::Position;
use creditgate_runtime::live::Generation;
use creditgate_runtime::ports::{Change, Changed, Changes, Following, HistoryError};
use rustc_hash::FxHashSet;

use crate::history::Past;
use crate::life::action;
use crate::log::{Entered, What};

impl Changes for Past {
    fn follow(&self, after: u64) -> Box<dyn Following> {
        let lists = self.live().load().lists.clone();
        Box::new(Follower {
            past: self.clone(),
            seq: after,
            read: None,
            lists: (lists.version().seq == after).then_some(lists),
        })
    }
}

/// Reads the changes in their order, with the lists as each leaves them.
struct Follower {
    past: Past,
    seq: u64,
    /// Where the record of this number stands, once it was read.
    read: Option<Position>,
    /// The lists at this number, once the follower has met those in use.
    lists: Option<Lists>,
}

impl Following for Follower {
    fn next(&mut self, most: usize) -> Result<Vec<Change>, HistoryError> {
        let generation = self.past.live().load_full();
        let head = generation.lists.version().seq;
        let simplify = generation.book.simplify();
        if self.seq >= head {
            // Theirs are the same, and merged; they take the place of what grew here.
            self.lists = Some(generation.lists.clone());
            return Ok(Vec::new());
        }
        let other_names = |lists: &Lists| !lists.normalised_by(simplify);
        if self.lists.as_ref().is_some_and(other_names) {
            self.lists = None;
        }
        let mut changes = Vec::new();
        let (past, known) = (self.past.clone(), self.seq);
        let from = self.read.unwrap_or_else(|| past.log().near(known + 1));
        let records = past.log().read_from(from);
        let is_known =
            |entered: &Result<Entered, _>| entered.as_ref().is_ok_and(|e| e.seq <= known);
        for entered in records.skip_while(is_known).take(most) {
            let entered = entered.map_err(|error| HistoryError::Log(Box::new(error)))?;
            if entered.seq > head {
                break;
            }
            let before = self.before(&entered, &generation.lists, simplify);
            if let Some(lists) = &mut self.lists {
                match &entered.what {
                    What::Put(put) => lists.put_stored(&put.stored, simplify),
                    What::Confirmed(confirmed) => confirmed.put_into(lists, entered.recorded_at),
                    _ => {}
                }
                lists.advance(entered.seq);
            }
            (self.seq, self.read) = (entered.seq, Some(entered.position));
            changes.push(Change {
                seq: entered.seq,
                at: entered.recorded_at,
                book: self.past.book_before(entered.position),
                what: with(before, changed(&entered, &generation)),
                lists: self.lists.clone(),
            });
        }
        Ok(changes)
    }
}

impl Follower {
    /// The keys under which the subject of an entry was found until now: what a change takes away
    /// concerns those whom it was about.
    fn before(&self, entered: &Entered, live: &Lists, simplify: &SimplifyTable) -> Vec<Key> {
        let What::Put(put) = &entered.what else {
            return Vec::new();
        };
        if put.action == action::CREATED {
            // An import of a million new entries would be a million questions about what was not there.
            return Vec::new();
        }
        let Ok(stored) = StoredEntry::read(&put.stored) else {
            return Vec::new();
        };
        let id = stored.entry_id;
        let entry = match &self.lists {
            Some(lists) => lists.entry(id),
            None => {
                let before = entered.seq.saturating_sub(1);
                self.past.entry_as_of(id, before).ok().flatten()
            }
        };
        let Some(bytes) = entry.map(|entry| entry.to_stored()) else {
            return Vec::new();
        };
        let lists = self.lists.as_ref().unwrap_or(live);
        let stored = StoredEntry::read(&bytes);
        stored.map_or_else(
            |_| Vec::new(),
            |stored| of_subject(&stored, lists, simplify),
        )
    }
}

/// The change, with these keys besides its own.
fn with(before: Vec<Key>, what: Changed) -> Changed {
    match what {
        Changed::Entry { entry_id, mut keys } => {
            keys.extend(before);
            keys.sort_unstable();
            keys.dedup();
            Changed::Entry { entry_id, keys }
        }
        other => other,
    }
}

fn changed(entered: &Entered, generation: &Generation) -> Changed {
    let (lists, simplify) = (&generation.lists, generation.book.simplify());
    match &entered.what {
        What::Put(put) => match StoredEntry::read(&put.stored) {
            Ok(stored) => Changed::Entry {
                entry_id: Arc::from(stored.entry_id),
                keys: of_subject(&stored, lists, simplify),
            },
            Err(_) => Changed::Nothing,
        },
        What::Clock(struck) => come(struck, lists, simplify),
        What::Book(_) => Changed::Book,
        What::Confirmed(_) | What::Desk(_) | What::Other => Changed::Nothing,
    }
}

fn come(struck: &ClockStruck, lists: &Lists, simplify: &SimplifyTable) -> Changed {
    if !struck.row_id.is_empty() {
        return Changed::RowClock(Arc::from(struck.row_id.as_str()));
    }
    let Some(entry) = lists.entry(&struck.entry_id) else {
        return Changed::Nothing;
    };
    let stored = entry.to_stored();
    match StoredEntry::read(&stored) {
        Ok(stored) => Changed::EntryClock {
            entry_id: Arc::from(stored.entry_id),
            keys: of_subject(&stored, lists, simplify),
        },
        Err(_) => Changed::Nothing,
    }
}

/// The keys of an entry, and those of the identifiers that other entries know of its subject: a
/// decision finds it by any of them.
fn of_subject(stored: &StoredEntry<'_>, lists: &Lists, simplify: &SimplifyTable) -> Vec<Key> {
    let mut all: FxHashSet<Key> = keys(stored, simplify).into_iter().collect();
    let own = stored.identifier.iter().chain(&stored.aliases);
    let mut next: Vec<Key> = own.map(|identifier| identifier.key()).collect();
    let mut seen = FxHashSet::default();
    while let Some(key) = next.pop() {
        if !seen.insert(key) {
            continue;
        }
        lists.find(key, |body| {
            let Ok(other) = StoredEntry::read(body) else {
                return;
            };
            let identifiers = || other.identifier.iter().chain(&other.aliases);
            if identifiers().any(|identifier| identifier.key() == key) {
                for identifier in identifiers() {
                    all.insert(identifier.key());
                    next.push(identifier.key());
                }
            }
        });
    }
    let mut all: Vec<Key> = all.into_iter().collect();
    all.sort_unstable();
    all
}
