//! The change log for those who act on what changed: open cases are judged again by it.

use std::sync::Arc;

use creditgate_measures::entry::StoredEntry;
use creditgate_measures::identifier::Key;
use creditgate_measures::lists::{Lists, keys};
use creditgate_measures::name::SimplifyTable;
use creditgate_proto::journal::v1::ClockStruck;
use creditgate_runtime::live::Generation;
use creditgate_runtime::ports::{Change, Changed, Changes, HistoryError};
use rustc_hash::FxHashSet;

use crate::history::Past;
use crate::log::{Entered, What};

impl Changes for Past {
    fn after(&self, seq: u64, most: usize) -> Result<Vec<Change>, HistoryError> {
        let generation = self.live().load_full();
        self.log()
            .read_from_seq(seq + 1)
            .take(most)
            .map(|entered| {
                let entered = entered.map_err(|error| HistoryError::Log(Box::new(error)))?;
                Ok(Change {
                    seq: entered.seq,
                    at: entered.recorded_at,
                    book: self.book_before(entered.position),
                    what: changed(&entered, &generation),
                })
            })
            .collect()
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
