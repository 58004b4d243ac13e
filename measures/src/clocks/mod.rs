//! Clocks: what comes to an entry by time alone, and by when something is due (spec 3).
//!
//! Pure: the moments follow from the entry and the book. Who asks the clock, and records that a
//! moment has come, is the registry.

pub mod calendar;
pub mod limits;
pub mod notice;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::book::{Book, List};
use crate::entry::{Entry, StateChange, StoredEntry, state_at};
use crate::event::MeasureId;
use crate::lists::Dates;
use crate::time::{Date, Time};
use crate::vocabulary::{Colour, Severity, State, vocabulary};

pub use calendar::{Calendar, CalendarDay, CalendarUse, DayUnit};
pub use limits::{Limit, Limits, NO_LAW, OPENED, Procedure, limits, rule_of};
pub use notice::{Notice, Occasion, Placeholder};

vocabulary! {
    /// What comes by time alone, or is due, for one entry.
    ClockKind {
        /// The entry begins to be in force: it is valid and served, or a change to EFFECTIVE that
        /// was recorded for the future takes effect.
        Begins = "begins",
        /// Another change of state that was recorded for the future takes effect.
        Changes = "changes",
        /// The first moment after its last day (spec 3, end of an entry).
        Ends = "ends",
        /// From here repair may be applied for: the shortest display period is over.
        RepairFrom = "repair_from",
        /// The longest display period of its severity is over, and nothing else ends the entry: whoever
        /// displays it stops, or shows by which rule of its field it goes on.
        DisplayEnds = "display_ends",
        /// An entry that was revoked or repaired is to be deleted from every display before this
        /// moment.
        DeleteBy = "delete_by",
    }
}

impl ClockKind {
    /// What it is called in notices and on screens.
    #[must_use]
    pub const fn title_zh(self) -> &'static str {
        match self {
            Self::Begins => "生效",
            Self::Changes => "状态变更生效",
            Self::Ends => "到期",
            Self::RepairFrom => "可申请信用修复",
            Self::DisplayEnds => "最长公示期届满",
            Self::DeleteBy => "删除期限届满",
        }
    }

    /// Whether a decision may differ before and after it.
    #[must_use]
    pub const fn alters_decisions(self) -> bool {
        match self {
            Self::Begins | Self::Changes | Self::Ends => true,
            Self::RepairFrom | Self::DisplayEnds | Self::DeleteBy => false,
        }
    }
}

/// One moment of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What comes.
    pub kind: ClockKind,
    /// When: the first moment of which it is true. For an end and a deletion that is the first
    /// moment after `day`.
    pub at: Time,
    /// The day it is named by, in Asia/Shanghai: the last day of an end or a deletion, else the
    /// day on which `at` falls.
    pub day: Date,
    /// The version of the rule on repair that it follows, where it follows one.
    pub rule: Option<Arc<str>>,
    /// Whether working days were counted, and by a declared calendar.
    pub calendar: CalendarUse,
}

/// The moments of an entry, in order of time.
pub type Dues = SmallVec<[Due; 4]>;
/// The moments that alter decisions, in order of time.
pub type Boundaries = SmallVec<[(ClockKind, Time); 4]>;

/// Every moment of the entry, past and to come, in order of time.
///
/// A change of state that took effect when it was recorded or before is no moment: its record told
/// of it. An entry that was repaired or revoked before its end has no [`ClockKind::Ends`] any more,
/// and no [`ClockKind::RepairFrom`].
#[must_use]
pub fn clocks(entry: &Entry, book: &Book) -> Dues {
    let list = book.list(entry.list.as_str()).map(Arc::as_ref);
    let dates = Dates::of_entry(entry);
    let last_day = last_day(&dates, list);
    let mut dues: Dues = moments(&dates, last_day)
        .into_iter()
        .map(|(kind, at)| Due {
            kind,
            at,
            day: match (kind, last_day) {
                (ClockKind::Ends, Some(last)) => last,
                _ => at.date(),
            },
            rule: entry.rule_version.clone(),
            calendar: CalendarUse::None,
        })
        .collect();
    dues.extend(repair_from(entry, list, last_day, book));
    dues.extend(display_ends(entry, list, last_day, book));
    dues.extend(delete_by(entry, list, book));
    dues.sort_by_key(|due| (due.at, due.kind));
    dues
}

/// The moments of a stored entry at which a decision may come out differently, in order of time.
///
/// Between two of them, and after everything known of the entry was recorded, whether it is usable
/// does not change. Without the list's definition its longest period is not known and not counted.
#[must_use]
pub fn boundaries(stored: &StoredEntry<'_>, list: Option<&List>) -> Boundaries {
    let dates = Dates::of(stored);
    moments(&dates, last_day(&dates, list))
}

/// Starts (`true`) and ends (`false`) of the active rows of the book, in order of time.
///
/// A row ends in the first moment after `effective_to`; where one version follows another without
/// a gap, both stand at the same moment, the end first.
#[must_use]
pub fn row_boundaries(book: &Book) -> Vec<(MeasureId, bool, Time)> {
    let rows = book.measures().iter().filter(|row| row.active);
    in_order(rows.map(|row| (row.id.clone(), row.effective_from, row.effective_to)))
}

/// As [`row_boundaries`], for the agreements by which regions recognise each other's lists.
#[must_use]
pub fn agreement_boundaries(book: &Book) -> Vec<(Arc<str>, bool, Time)> {
    let agreements = book.agreements().iter();
    in_order(agreements.map(|one| {
        let id = Arc::clone(&one.id);
        (id, Some(one.effective_from), one.effective_to)
    }))
}

fn in_order<Id: Ord + Clone>(
    days: impl Iterator<Item = (Id, Option<Date>, Option<Date>)>,
) -> Vec<(Id, bool, Time)> {
    let mut moments: Vec<(Id, bool, Time)> = days
        .flat_map(|(id, from, to)| {
            let begins = from.map(|day| (id.clone(), true, day.start()));
            let ends = to.map(|day| (id, false, after(day)));
            begins.into_iter().chain(ends)
        })
        .collect();
    moments.sort_by(|a, b| (a.2, &a.0, a.1).cmp(&(b.2, &b.0, b.1)));
    moments
}

/// The first moment after a day.
const fn after(day: Date) -> Time {
    day.next_day().start()
}

fn last_day(dates: &Dates<'_>, list: Option<&List>) -> Option<Date> {
    dates.last_day(list.and_then(|list| list.max_period_months))
}

/// What alters decisions: beginning, changes that were recorded for the future, end.
fn moments(dates: &Dates<'_>, last_day: Option<Date>) -> Boundaries {
    let begins = dates.begins();
    let end = last_day.map(after);
    let effective = |at: Time| {
        state_at(dates.changes, at) == State::Effective && end.is_none_or(|end| at < end)
    };
    let mut moments = Boundaries::new();
    if effective(begins) {
        moments.push((ClockKind::Begins, begins));
    }
    for change in dates.changes.iter().filter(|change| is_ahead(change)) {
        let at = change.effective_at;
        let state = state_at(dates.changes, at);
        if state == state_at(dates.changes, at.plus_micros(-1)) {
            continue;
        }
        if state != State::Effective {
            moments.push((ClockKind::Changes, at));
        } else if begins < at && effective(at) {
            // One that takes effect earlier is counted from `begins` above.
            moments.push((ClockKind::Begins, at));
        }
    }
    if let Some(end) = end
        && stands(state_at(dates.changes, end))
    {
        moments.push((ClockKind::Ends, end));
    }
    moments.sort_unstable_by_key(|(kind, at)| (*at, *kind));
    moments.dedup();
    moments
}

/// Whether the change was recorded before it takes effect.
fn is_ahead(change: &StateChange) -> bool {
    change.recorded_at < change.effective_at
}

/// Whether an entry in this state is in force, or may be again.
const fn stands(state: State) -> bool {
    matches!(state, State::Effective | State::Suspended)
}

/// The first day after the shortest display period: the entry's own, else that of its rule by
/// severity, counted from the day of the decision. Where the rule names none, a minor breach may
/// be repaired at once.
///
/// None for a red list, and for a list that stands until the duty is performed: performance ends
/// it at any time. None where the severity or the rule is not known.
fn repair_from(
    entry: &Entry,
    list: Option<&List>,
    last_day: Option<Date>,
    book: &Book,
) -> Option<Due> {
    let list = list.filter(|list| list.colour != Colour::Red)?;
    if !stands(state_at(&entry.changes, Time::MAX)) {
        return None;
    }
    let decided = entry.valid_from.date();
    let (at, rule) = match entry.display_min_until {
        Some(last) => (after(last), entry.rule_version.clone()),
        None if list.until_performed => return None,
        None => {
            let severity = entry.severity.or(list.default_severity)?;
            let (rule, months) = shortest(entry, severity, book)?;
            let at = match months {
                0 => entry.valid_from,
                months => decided.plus_months(months).start(),
            };
            (at, Some(rule))
        }
    };
    // After the end nothing is displayed any more.
    if last_day.is_some_and(|last| after(last) <= at) {
        return None;
    }
    Some(Due {
        kind: ClockKind::RepairFrom,
        at,
        day: at.date(),
        rule,
        calendar: CalendarUse::None,
    })
}

/// The first day after the longest display period of its rule by severity, for an entry that nothing
/// else ends (spec 3: only a stated date ends an entry; the general rule leaves what goes on after it
/// to the rules of the field).
fn display_ends(
    entry: &Entry,
    list: Option<&List>,
    last_day: Option<Date>,
    book: &Book,
) -> Option<Due> {
    let list = list.filter(|list| list.colour != Colour::Red && !list.until_performed)?;
    if last_day.is_some() || !stands(state_at(&entry.changes, Time::MAX)) {
        return None;
    }
    let severity = entry.severity.or(list.default_severity)?;
    let own = rule_of(entry, book);
    let general = book.general_rule(entry.valid_from.date());
    let (rule, months) = own.into_iter().chain(general).find_map(|rule| {
        let months = rule.period(severity)?.months_max?;
        Some((Arc::clone(&rule.version), months))
    })?;
    let first = entry.valid_from.date().plus_months(months);
    Some(Due {
        kind: ClockKind::DisplayEnds,
        at: first.start(),
        day: first,
        rule: Some(rule),
        calendar: CalendarUse::None,
    })
}

/// The shortest display period in months, with the rule that says so: the entry's own, or the
/// general one where its own names no periods.
fn shortest(entry: &Entry, severity: Severity, book: &Book) -> Option<(Arc<str>, u32)> {
    let own = rule_of(entry, book);
    let general = book.general_rule(entry.valid_from.date());
    own.into_iter().chain(general).find_map(|rule| {
        let period = rule.period(severity)?;
        let months = match (period.months_min, severity) {
            (Some(months), _) => months,
            (None, Severity::Minor) => 0,
            (None, _) => return None,
        };
        Some((Arc::clone(&rule.version), months))
    })
}

/// By when an entry that was revoked or repaired is to be gone from every display.
fn delete_by(entry: &Entry, list: Option<&List>, book: &Book) -> Option<Due> {
    let state = state_at(&entry.changes, Time::MAX);
    if !matches!(state, State::Revoked | State::Repaired) {
        return None;
    }
    // The change that decides: of several to this state the one that took effect last.
    let changes = entry.changes.iter().filter(|change| change.to == state);
    let change = changes.max_by_key(|change| change.effective_at)?;
    let known = change.effective_at.max(change.recorded_at).date();
    let version = entry.rule_version.as_deref();
    let (rule, limits) = limits::set_by(Procedure::Deletion, list, version, known, book)?;
    let limit = limits.first()?;
    let (day, calendar) = book.calendar().add(known, limit.days, limit.unit);
    Some(Due {
        kind: ClockKind::DeleteBy,
        at: after(day),
        day,
        rule: Some(Arc::clone(&rule.version)),
        calendar,
    })
}
