//! Whether an entry that was found may be used for this event (spec 3, a to d).

use crate::book::{Agreement, Book, List};
use crate::entry::{Entry, StateChange, StoredEntry, governing, not_effective, state_at};
use crate::event::Region;
use crate::identifier::Identifier;
use crate::time::{Date, Time};
use crate::vocabulary::{Colour, NotUsable, Reach, State};

/// What an entry is held against.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Where the event takes place.
    pub region: Region,
    /// When it took place.
    pub occurred_at: Time,
    /// When it is judged.
    pub at: Time,
    /// Birth date of the subject, when it is a natural person and the date is known.
    pub born: Option<Date>,
    /// The book, for its agreements.
    pub book: &'a Book,
}

/// Whether the entry may be used.
#[derive(Debug, Clone, Copy)]
pub enum Use<'a> {
    /// It may.
    Usable(Standing<'a>),
    /// It was in force at the event and has ended since: review, and only the review shows.
    Ended(NotUsable),
    /// It may not.
    NotUsable(NotUsable),
}

/// How a usable entry stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The agreement by which it is recognised here; `None` when it holds here by itself.
    pub agreement: Option<&'a Agreement>,
    /// Nothing says when it ends.
    pub no_end_date: bool,
    /// It was recorded after the event and never served.
    pub recorded_after_event: bool,
}

/// Judges the entry of this list under the circumstances.
#[must_use]
pub fn standing<'a>(
    entry: &StoredEntry<'_>,
    list: &List,
    circumstances: &Circumstances<'a>,
) -> Use<'a> {
    let Circumstances {
        occurred_at, at, ..
    } = *circumstances;
    if is_minor(entry, list, circumstances) {
        return Use::NotUsable(NotUsable::Minor);
    }
    let Some(agreement) = reach(entry, list, circumstances) else {
        return Use::NotUsable(NotUsable::OutOfReach);
    };
    let last_day = last_day(entry, list);
    let ended = |at: Time| last_day.is_some_and(|last| last < at.date());
    if let Some(reason) = not_in_force_at_event(entry, occurred_at) {
        return Use::NotUsable(reason);
    }
    if ended(occurred_at) {
        return Use::NotUsable(NotUsable::Expired);
    }
    if let Some(reason) = not_effective(state_at(&entry.changes, at)) {
        return Use::Ended(reason);
    }
    if ended(at) {
        return Use::Ended(NotUsable::Expired);
    }
    Use::Usable(Standing {
        agreement,
        no_end_date: last_day.is_none() && !list.until_performed,
        recorded_after_event: entry.served_at.is_none()
            && known_since(entry, occurred_at) > occurred_at,
    })
}

/// Since when the registry knows that the entry is what it was at `at`: a listing that was only proposed
/// until later is no older than the record that put it in force.
fn known_since(entry: &StoredEntry<'_>, at: Time) -> Time {
    let put_in_force = governing(&entry.changes, at).map(|change| change.recorded_at);
    entry.recorded_at.max(put_in_force.unwrap_or(Time::MIN))
}

/// The last day of the entry: the earliest of its own, the list's and the display's (spec 3).
#[must_use]
pub fn last_day(entry: &StoredEntry<'_>, list: &List) -> Option<Date> {
    Dates::of(entry).last_day(list.max_period_months)
}

/// The dates of an entry from which its beginning and its end follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dates<'e> {
    /// See [`Entry::served_at`].
    pub served_at: Option<Time>,
    /// See [`Entry::valid_from`].
    pub valid_from: Time,
    /// See [`Entry::valid_to`].
    pub valid_to: Option<Date>,
    /// See [`Entry::display_max_until`].
    pub display_max_until: Option<Date>,
    /// See [`Entry::changes`].
    pub changes: &'e [StateChange],
}

impl<'e> Dates<'e> {
    /// Those of a stored entry.
    pub fn of(entry: &'e StoredEntry<'_>) -> Self {
        Self {
            served_at: entry.served_at,
            valid_from: entry.valid_from,
            valid_to: entry.valid_to,
            display_max_until: entry.display_max_until,
            changes: &entry.changes,
        }
    }

    /// Those of an entry as the registry keeps it.
    pub fn of_entry(entry: &'e Entry) -> Self {
        Self {
            served_at: entry.served_at,
            valid_from: entry.valid_from,
            valid_to: entry.valid_to,
            display_max_until: entry.display_max_until,
            changes: &entry.changes,
        }
    }

    /// From when it counts: the later of `valid_from` and `served_at` (spec 3, a).
    pub fn begins(&self) -> Time {
        self.served_at
            .map_or(self.valid_from, |served| served.max(self.valid_from))
    }

    /// Its last day, on a list of this longest period in months.
    pub fn last_day(&self, max_period_months: Option<u32>) -> Option<Date> {
        let by_period =
            max_period_months.map(|months| self.valid_from.date().plus_months(months).prev_day());
        [self.valid_to, by_period, self.display_max_until]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Rule (a) but for the end: effective and begun at the event.
fn not_in_force_at_event(entry: &StoredEntry<'_>, occurred_at: Time) -> Option<NotUsable> {
    let begins = Dates::of(entry).begins();
    match state_at(&entry.changes, occurred_at) {
        State::Effective => (occurred_at < begins).then_some(NotUsable::ListedAfterTheFact),
        State::Proposed | State::Notified
            if entry
                .changes
                .iter()
                .any(|change| change.to == State::Effective) =>
        {
            Some(NotUsable::ListedAfterTheFact)
        }
        state => not_effective(state),
    }
}

/// Rule (c): `Some(None)` in reach by itself, `Some(Some(_))` by an agreement, `None` out of reach.
///
/// Of several agreements one that carries every effect is taken before one that does not.
fn reach<'a>(
    entry: &StoredEntry<'_>,
    list: &List,
    circumstances: &Circumstances<'a>,
) -> Option<Option<&'a Agreement>> {
    if list.reach == Reach::National {
        return Some(None);
    }
    let region = entry.region.or(list.default_region)?;
    if region.contains(circumstances.region) {
        return Some(None);
    }
    let day = circumstances.occurred_at.date();
    let holds = |agreement: &&Agreement| {
        agreement.lists.contains(&list.code)
            && agreement.from.contains(region)
            && agreement.to.contains(circumstances.region)
            && agreement.effective_from <= day
            && agreement.effective_to.is_none_or(|to| day <= to)
    };
    circumstances
        .book
        .agreements()
        .iter()
        .filter(holds)
        .max_by_key(|agreement| agreement.carries_effects_in(circumstances.region))
        .map(Some)
}

/// Rule (d): a person not yet 18 at the act, at the listing or at the event.
///
/// Asked of the subject of the event and of the one that is listed: what stands against a minor is
/// never usable, against no relation either. A person is 18 from the day after the birthday. A
/// birth date that nobody knows cannot refuse the entry; a person's measures wait for an official
/// in any case.
fn is_minor(entry: &StoredEntry<'_>, list: &List, circumstances: &Circumstances<'_>) -> bool {
    if list.colour == Colour::Red {
        return false;
    }
    let listed = entry.identifier.iter().chain(&entry.aliases);
    let youngest = listed
        .filter_map(Identifier::birth_date)
        .chain(circumstances.born)
        .max();
    let Some(birthday) = youngest.map(|born| born.plus_years(18)) else {
        return false;
    };
    [
        entry.act_date,
        Some(entry.valid_from.date()),
        Some(circumstances.occurred_at.date()),
    ]
    .into_iter()
    .flatten()
    .any(|day| day <= birthday)
}
