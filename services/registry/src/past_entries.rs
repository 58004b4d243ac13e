//! Questions about the past of single entries and subjects: what was known then, and what was true.
//!
//! Each reads the records of the entries it is about. Where the index gives no answer the log itself
//! is read, which is slow and never wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use creditgate_measures::book::Book;
use creditgate_measures::entry::{Entry, StoredEntry, state_at};
use creditgate_measures::event::Region;
use creditgate_measures::identifier::Key;
use creditgate_measures::lists::{
    Circumstances, ListVersion, Lists, Use, entry_id_key, last_day, standing,
};
use creditgate_measures::name::SimplifyTable;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::{entry_to_proto, v1};
use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::Position;
use creditgate_runtime::ports::History;
use rustc_hash::FxHashSet;

use crate::desk::Desk;
use crate::error::Error;
use crate::history::{Past, change_of, come_of, lists_read};
use crate::index::{Asked, EntryRow, Unfit};
use crate::life::action;
use crate::log::{self, Entered, What};

impl Unfit {
    /// The log is read instead.
    pub(crate) fn passed_over(&self) {
        tracing::warn!(error = %Chain(self), "the index of entries is passed over; the change log is read");
    }
}

impl Past {
    /// The recorded changes of these entries, in order, up to a version, with the fields that
    /// corrections changed.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn changes_of(
        &self,
        entry_ids: &FxHashSet<String>,
        up_to: u64,
    ) -> Result<BTreeMap<String, Vec<v1::EntryChange>>, Error> {
        let mut before: BTreeMap<String, Entry> = BTreeMap::new();
        let mut changes: BTreeMap<String, Vec<v1::EntryChange>> = BTreeMap::new();
        for entered in self.records_of(entry_ids, up_to)? {
            let put = match &entered.what {
                What::Put(put) => put,
                What::Clock(struck) => {
                    let of_entry = changes.entry(struck.entry_id.clone()).or_default();
                    of_entry.push(come_of(&entered, struck));
                    continue;
                }
                _ => continue,
            };
            let Ok(stored) = StoredEntry::read(&put.stored) else {
                continue;
            };
            let mut change = change_of(&entered, put, &stored);
            if let Ok(entry) = Entry::from_stored(&put.stored) {
                if let Some(before) = before.get(stored.entry_id)
                    && put.action != action::STATE
                {
                    change.fields = fields_changed(before, &entry);
                }
                before.insert(stored.entry_id.to_owned(), entry);
            }
            let of_entry = changes.entry(stored.entry_id.to_owned()).or_default();
            of_entry.push(change);
        }
        Ok(changes)
    }

    /// The entry as it was known at a version.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn entry_as_of(&self, entry_id: &str, seq: u64) -> Result<Option<Entry>, Error> {
        let entry_ids = FxHashSet::from_iter([entry_id.to_owned()]);
        let records = self.records_of(&entry_ids, seq)?;
        let stated = records
            .iter()
            .rev()
            .find_map(|entered| match &entered.what {
                What::Put(put) => Entry::from_stored(&put.stored).ok(),
                _ => None,
            });
        Ok(stated)
    }

    /// The number of the newest record of each of these entries up to a version, by entry.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn newest_of(
        &self,
        entry_ids: &FxHashSet<String>,
        up_to: u64,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let by_index = self.index().ask(up_to, |index| {
            let mut newest = BTreeMap::new();
            for entry_id in entry_ids {
                let row = index.row(entry_id_key(entry_id));
                // The index may be ahead, so the last place need not be the one meant.
                for position in index.records(row)?.into_iter().rev() {
                    let entered = self.read(position)?;
                    if entered.seq <= up_to && is_of(&entered, entry_id) {
                        newest.insert(entry_id.clone(), entered.seq);
                        break;
                    }
                }
            }
            Ok(newest)
        });
        match by_index {
            Ok(newest) => return Ok(newest),
            Err(Unfit::Log(error)) => return Err(error),
            Err(why) => why.passed_over(),
        }
        let mut newest = BTreeMap::new();
        for entered in self.records_of(entry_ids, up_to)? {
            let of_them = entry_ids.iter().filter(|id| is_of(&entered, id));
            newest.extend(of_them.map(|id| (id.clone(), entered.seq)));
        }
        Ok(newest)
    }

    /// The records of these entries, entry by entry, each entry's in order.
    fn records_of(&self, entry_ids: &FxHashSet<String>, up_to: u64) -> Result<Vec<Entered>, Error> {
        let by_index = self.index().ask(up_to, |index| {
            let mut of_them = Vec::new();
            for entry_id in entry_ids {
                let of_this = |entered: &Entered| is_of(entered, entry_id);
                let row = index.row(entry_id_key(entry_id));
                let records = self.records(index, row, up_to)?;
                of_them.extend(records.into_iter().filter(of_this));
            }
            Ok(of_them)
        });
        match by_index {
            Ok(of_them) => return Ok(of_them),
            Err(Unfit::Log(error)) => return Err(error),
            Err(why) => why.passed_over(),
        }
        let mut of_them = Vec::new();
        for entered in self.log().read_from(Position(0)) {
            let entered = entered?;
            if entered.seq > up_to {
                break;
            }
            if entry_ids.iter().any(|entry_id| is_of(&entered, entry_id)) {
                of_them.push(entered);
            }
        }
        Ok(of_them)
    }

    /// The records of the entries in this row, up to a version.
    fn records(
        &self,
        index: &Asked<'_>,
        entry: EntryRow,
        up_to: u64,
    ) -> Result<Vec<Entered>, Unfit> {
        let mut records = Vec::new();
        for position in index.records(entry)? {
            let entered = self.read(position)?;
            if entered.seq > up_to {
                break;
            }
            let of = match &entered.what {
                What::Put(put) => StoredEntry::id_of(&put.stored).ok().map(entry_id_key),
                What::Clock(struck) => Some(entry_id_key(&struck.entry_id)),
                _ => return Err(Unfit::Foreign("a record of an entry is none")),
            };
            if of.map(|key| index.row(key)) != Some(entry) {
                return Err(Unfit::Foreign("a record is of another entry"));
            }
            records.push(entered);
        }
        Ok(records)
    }

    /// The record at a place that the index names.
    fn read(&self, position: Position) -> Result<Entered, Unfit> {
        let read = self.log().at(position);
        read.map_err(|_| Unfit::Foreign("no record begins where it says"))
    }

    /// The entries that any of these keys leads to, and those that further identifiers of their
    /// subjects lead to, as they were known at a version; and what was confirmed then.
    pub(crate) fn lists_known(
        &self,
        seq: u64,
        simplify: &SimplifyTable,
        wanted: &FxHashSet<Key>,
    ) -> Result<Lists, Unfit> {
        self.index().ask(seq, |index| {
            if !index.normalised_by(simplify) {
                return Err(Unfit::OtherNames);
            }
            let mut wanted = wanted.clone();
            let mut lists = Lists::empty(self.log().log_id(), simplify);
            let mut loaded = FxHashSet::default();
            let mut asked = FxHashSet::default();
            loop {
                let due: Vec<Key> = wanted.difference(&asked).copied().collect();
                if due.is_empty() {
                    break;
                }
                for key in due {
                    asked.insert(key);
                    for entry in index.found_by(key)? {
                        if !loaded.insert(entry) {
                            continue;
                        }
                        // The newest of each says all that those before it said; entries whose keys are equal are
                        // several.
                        let records = self.records(index, entry, seq)?;
                        let mut newest = FxHashSet::default();
                        for entered in records.iter().rev() {
                            if let What::Put(put) = &entered.what
                                && StoredEntry::id_of(&put.stored).is_ok_and(|id| newest.insert(id))
                            {
                                lists.put_stored(&put.stored, simplify);
                            }
                        }
                    }
                }
                grow(&lists, &mut wanted);
            }
            for (list, at, of_all, recorded_at) in index.confirmed(seq)? {
                log::confirm(&mut lists, list, at, of_all, recorded_at);
            }
            lists.advance(seq);
            Ok(lists)
        })
    }

    /// As [`Past::lists_known`], or from the log itself.
    pub(crate) fn lists_of(
        &self,
        seq: u64,
        book: &Book,
        wanted: FxHashSet<Key>,
    ) -> Result<Lists, Error> {
        match self.lists_known(seq, book.simplify(), &wanted) {
            Ok(lists) => return Ok(lists),
            Err(why) => why.passed_over(),
        }
        lists_read(self.log(), seq, book, wanted)
    }

    /// What was known of subjects beside their entries at a version.
    pub(crate) fn desk_as_of(&self, seq: u64) -> Result<Desk, Error> {
        let mut desk = Desk::default();
        let by_index = self.index().ask(seq, |index| {
            let mut desk = Desk::default();
            for position in index.noted(seq)? {
                let entered = self.read(position)?;
                if let What::Desk(record) = &entered.what {
                    desk.note(record, entered.stamp());
                }
            }
            Ok(desk)
        });
        match by_index {
            Ok(desk) => return Ok(desk),
            Err(Unfit::Log(error)) => return Err(error),
            Err(why) => why.passed_over(),
        }
        for entered in self.log().read_from(Position(0)) {
            let entered = entered?;
            if entered.seq > seq {
                break;
            }
            if let What::Desk(record) = &entered.what {
                desk.note(record, entered.stamp());
            }
        }
        Ok(desk)
    }

    /// The record with this number; none: there is none.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn record(&self, seq: u64) -> Result<Option<Entered>, Error> {
        let near = self.index().ask(seq, |index| Ok(index.before(seq)?));
        let from = near.unwrap_or(Position(0));
        let mut records = self.log().read_from(from);
        records
            .find(|entered| entered.as_ref().map_or(true, |entered| entered.seq >= seq))
            .transpose()
            .map(|found| found.filter(|entered| entered.seq == seq))
    }

    /// The book that was in force at a record; the current one where it cannot be loaded any more.
    pub(crate) fn book_at(&self, position: Position, current: &Arc<Book>) -> Arc<Book> {
        let stood = self.book_before(position);
        stood
            .and_then(|version| self.book(version).ok())
            .unwrap_or_else(|| Arc::clone(current))
    }
}

/// A version and a moment to look from.
#[derive(Debug, Clone)]
pub(crate) struct Viewpoint {
    /// The version whose knowledge is wanted.
    pub version: ListVersion,
    /// Whether that is an earlier one, asked for by name.
    pub earlier: bool,
    /// When it was recorded.
    pub known_at: Time,
    /// The moment that is asked about.
    pub at: Time,
    /// The book in force at the version.
    pub book: Arc<Book>,
}

/// How an entry stands from a viewpoint, for an event of that moment in its own region.
pub(crate) fn entry_standing(entry: &Entry, from: &Viewpoint) -> v1::EntryStanding {
    let at = from.at;
    let mut told = v1::EntryStanding {
        at: Some(time_to_proto(at)),
        known_at: Some(time_to_proto(from.known_at)),
        state: state_at(&entry.changes, at).code().to_owned(),
        book_version: from.book.version().to_string(),
        ..Default::default()
    };
    let Some(list) = from.book.list(entry.list.as_str()) else {
        "list_unknown".clone_into(&mut told.why_not);
        return told;
    };
    let stored = entry.to_stored();
    let Ok(read) = StoredEntry::read(&stored) else {
        return told;
    };
    told.last_day = last_day(&read, list).map_or_else(String::new, |day| day.to_string());
    let circumstances = Circumstances {
        region: entry
            .region
            .or(list.default_region)
            .unwrap_or(Region::NATION),
        occurred_at: at,
        at,
        born: None,
        book: &from.book,
    };
    match standing(&read, list, &circumstances) {
        Use::Usable(_) => told.usable = true,
        Use::Ended(why) | Use::NotUsable(why) => why.code().clone_into(&mut told.why_not),
    }
    told
}

/// Adds the further identifiers of the subjects that a wanted key leads to.
fn grow(lists: &Lists, wanted: &mut FxHashSet<Key>) {
    loop {
        let before = wanted.len();
        for body in lists.bodies() {
            let Ok(stored) = StoredEntry::read(body) else {
                continue;
            };
            let own = || stored.identifier.iter().chain(&stored.aliases);
            if own().any(|identifier| wanted.contains(&identifier.key())) {
                wanted.extend(own().map(|identifier| identifier.key()));
            }
        }
        if wanted.len() == before {
            return;
        }
    }
}

fn is_of(entered: &Entered, entry_id: &str) -> bool {
    match &entered.what {
        What::Put(put) => StoredEntry::id_of(&put.stored).is_ok_and(|id| id == entry_id),
        What::Clock(struck) => struck.entry_id == entry_id,
        _ => false,
    }
}

/// The fields in which an entry differs from itself before; its state aside, which has its own record.
pub(crate) fn fields_changed(before: &Entry, after: &Entry) -> Vec<v1::FieldChange> {
    let fields = |entry: &Entry| match serde_json::to_value(entry_to_proto(entry)) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (fields(before), fields(after));
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| !matches!(name.as_str(), "state" | "state_since"))
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| v1::FieldChange {
            field: name.clone(),
            old: shown(old.get(name)),
            new: shown(new.get(name)),
        })
        .collect()
}

fn shown(value: Option<&serde_json::Value>) -> String {
    match value {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Array(items)) => {
            let shown: Vec<_> = items.iter().map(|item| shown(Some(item))).collect();
            shown.join("; ")
        }
        Some(serde_json::Value::Object(fields)) => {
            let shown: Vec<_> = fields.values().map(|value| shown(Some(value))).collect();
            shown.join(" ")
        }
        Some(other) => other.to_string(),
    }
}
