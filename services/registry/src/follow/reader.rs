//! Reading the change log for a follower: what it wants, as it is shown.

use std::ops::ControlFlow;

use creditgate_measures::entry::{Entry, StoredEntry};
use creditgate_measures::event::Region;
use creditgate_measures::lists::Lists;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::{ClockStruck, EntryPut};
use creditgate_proto::v1;
use creditgate_proto::v1::watch_entries_response::What as Shown;

use super::Wanted;
use crate::error::Error;
use crate::history::change_of;
use crate::log::{ChangeLog, Entered, What};

/// Takes a change that is wanted, and says whether to go on.
pub(crate) type Visit<'a> = dyn FnMut(v1::WatchEntriesResponse) -> ControlFlow<()> + 'a;

/// Reads the log from a number on, up to another, over at most `records_max` records. Gives the
/// number to go on with; what was refused by `visit` comes before it. Blocks on the disk.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn read(
    log: &ChangeLog,
    (from, up_to): (u64, u64),
    records_max: u64,
    wanted: &Wanted,
    lists: &Lists,
    visit: &mut Visit<'_>,
) -> Result<u64, Error> {
    let mut next = from.max(1);
    let end = up_to.min(next.saturating_add(records_max).saturating_sub(1));
    if next > end {
        return Ok(next);
    }
    for entered in log.read_from_seq(next) {
        let entered = entered?;
        if entered.seq > end {
            break;
        }
        if let Some(change) = shown(&entered, wanted, lists)?
            && visit(change).is_break()
        {
            return Ok(next);
        }
        next = entered.seq + 1;
    }
    Ok(next)
}

/// The change as a follower sees it; none: it does not want it. The lists tell where an entry is
/// that something came for by time alone, since that record does not.
///
/// # Errors
/// When the record holds no entry where it should.
pub(crate) fn shown(
    entered: &Entered,
    wanted: &Wanted,
    lists: &Lists,
) -> Result<Option<v1::WatchEntriesResponse>, Error> {
    let what = match &entered.what {
        What::Put(put) => put_shown(entered, put, wanted)?,
        What::Confirmed(confirmed) => {
            let list = confirmed.list.as_str();
            let wants = wanted.list(list) && wanted.region(list, None);
            wants.then(|| {
                Shown::Confirmed(v1::ConfirmList {
                    list: list.to_owned(),
                    at: Some(time_to_proto(confirmed.at)),
                    source_unit: confirmed.source_unit.clone(),
                })
            })
        }
        What::Clock(struck) => wants_clock(struck, wanted, lists).then(|| {
            Shown::Clock(v1::ClockWatched {
                kind: struck.kind.clone(),
                due_at: struck.due_at,
                entry_id: struck.entry_id.clone(),
                list: struck.list.clone(),
                row_id: struck.row_id.clone(),
            })
        }),
        What::Desk(_) | What::Book(_) | What::Other => None,
    };
    Ok(what.map(|what| v1::WatchEntriesResponse {
        seq: entered.seq,
        recorded_at: Some(time_to_proto(entered.recorded_at)),
        what: Some(what),
    }))
}

fn put_shown(entered: &Entered, put: &EntryPut, wanted: &Wanted) -> Result<Option<Shown>, Error> {
    let no_entry = |_| Error::Record {
        sequence: entered.seq,
        reason: "the stored bytes are no entry",
    };
    let stored = StoredEntry::read(&put.stored).map_err(no_entry)?;
    // INVARIANT (before or after): a change that takes an entry out of the filter reaches the
    // follower too, or its copy would keep what is no longer so.
    let before = || {
        let before = put.region_before.as_deref();
        before.is_some_and(|region| wanted.region(stored.list, Region::parse(region)))
    };
    if !wanted.list(stored.list) || !(wanted.region(stored.list, stored.region) || before()) {
        return Ok(None);
    }
    let entry = Entry::from_stored(&put.stored).map_err(no_entry)?;
    Ok(Some(Shown::Entry(v1::EntryWatched {
        entry: Some(creditgate_proto::entry_to_proto(&entry)),
        change: Some(change_of(entered, put, &stored)),
    })))
}

/// Rows of the book are of no list, and everybody is told of them.
fn wants_clock(struck: &ClockStruck, wanted: &Wanted, lists: &Lists) -> bool {
    if struck.entry_id.is_empty() {
        return !struck.row_id.is_empty();
    }
    wanted.list(&struck.list)
        && (!wanted.by_region() || {
            let entry = lists.entry(&struck.entry_id);
            // An entry that is not there yet is newer than these lists: better told once too often.
            entry.is_none_or(|entry| wanted.region(&struck.list, entry.region))
        })
}
