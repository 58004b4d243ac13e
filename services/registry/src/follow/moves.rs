//! What a record must tell of an entry's region before it.
//!
//! A record holds an entry as it stands afterwards. Whoever follows the region that it leaves must
//! hear of that too, and a reader of the log cannot know the entry's past without reading all of it:
//! so the record says which region it was.

use creditgate_measures::entry::StoredEntry;
use creditgate_measures::event::Region;
use creditgate_measures::lists::Lists;
use rustc_hash::FxHashMap;

use crate::keeper::Planned;
use crate::life::action;

/// Notes in each record the region that its entry leaves by it.
pub(crate) fn note(planned: &mut [Planned], lists: &Lists) {
    let several = planned.len() > 1;
    // Entries that an earlier record of the same run put; their region is then not that of the lists.
    let mut put_before: FxHashMap<String, Option<Region>> = FxHashMap::default();
    for planned in planned {
        let Planned::Put(put) = planned else {
            continue;
        };
        let Ok(stored) = StoredEntry::read(&put.stored) else {
            continue;
        };
        let (id, region) = (stored.entry_id.to_owned(), stored.region);
        let before = match put_before.get(&id) {
            Some(before) => Some(*before),
            None if put.action == action::CREATED => None,
            None => lists.entry(&id).map(|entry| entry.region),
        };
        put.region_before = before
            .filter(|before| *before != region)
            .map(|before| before.map_or_else(String::new, |region| region.to_string()));
        if several {
            put_before.insert(id, region);
        }
    }
}
