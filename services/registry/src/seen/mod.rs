//! What a caller sees of entries and subjects: those of its lists, as long as the law has them given out, and masked unless
//! it may see them in full and said why.
//!
//! What it may see the access policy says ([`Sees`]); here it is carried out. The subject itself is told of everything by
//! its report, which asks for it with [`Sees::default`].

mod mask;

use std::collections::BTreeSet;

use creditgate_measures::book::{Book, List};
use creditgate_measures::entry::{Entry, StoredEntry, governing};
use creditgate_measures::lists::last_day;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::vocabulary::{Colour, State};
use creditgate_proto::v1;
use creditgate_proto::v1::watch_entries_response::What as Watched;
use creditgate_runtime::access::Sees;
use tonic::Status;

use crate::error::ChangeError;
use crate::registry::Registry;

/// Ways by which an identifier is known from entries alone, as [`v1::KnownIdentifier::how`] has them.
const BY_ENTRIES: [&str; 3] = ["own", "alias", "same_name"];

/// What one caller sees, by a book and at a time.
pub(crate) struct Seen<'a> {
    sees: &'a Sees,
    book: &'a Book,
    now: Time,
}

impl<'a> Seen<'a> {
    pub const fn new(sees: &'a Sees, book: &'a Book, now: Time) -> Self {
        Self { sees, book, now }
    }

    /// Whether the caller sees the entry; else it is as if it were not there.
    pub fn has(&self, entry: &StoredEntry<'_>) -> bool {
        self.sees.list(entry.list) && !self.is_past(entry)
    }

    /// As [`Seen::has`].
    pub fn has_entry(&self, entry: &Entry) -> bool {
        self.sees_every_entry()
            || StoredEntry::read(&entry.to_stored()).is_ok_and(|stored| self.has(&stored))
    }

    fn sees_every_entry(&self) -> bool {
        self.sees.lists.is_none() && self.sees.age_years.is_none()
    }

    /// Whether the act ended too long ago (上海条例 art. 35). An entry that is in force is given out, however old.
    fn is_past(&self, entry: &StoredEntry<'_>) -> bool {
        let Some(years) = self.sees.age_years else {
            return false;
        };
        let list = self.book.list(entry.list);
        act_ended(entry, list.map(|list| &**list), self.now)
            .is_some_and(|ended| ended.plus_years(years) < self.now.date())
    }

    /// The record as the caller sees it.
    pub fn record(&self, record: &mut v1::EntryRecord) {
        if self.sees.masked {
            mask::record(record);
        }
    }

    /// What is known of a subject, as the caller sees it. The bodies are those of its entries, in order.
    pub fn subject(&self, answer: &mut v1::GetSubjectResponse, bodies: &[Vec<u8>]) {
        if !self.sees_every_entry() {
            self.leave_out(answer, bodies);
        }
        if self.sees.masked {
            mask::subject(answer);
        }
    }

    /// Leaves out the entries that the caller does not see, and what is known by them alone.
    fn leave_out(&self, answer: &mut v1::GetSubjectResponse, bodies: &[Vec<u8>]) {
        let mut own = Vec::new();
        let mut visible = BTreeSet::new();
        for body in bodies {
            if let Ok(entry) = StoredEntry::read(body)
                && self.has(&entry)
            {
                visible.insert(entry.entry_id.to_owned());
                own.extend(entry.identifier.iter().chain(&entry.aliases).cloned());
            }
        }
        let is_visible = |entry_id: &str| entry_id.is_empty() || visible.contains(entry_id);
        answer.entries.retain(|shown| {
            let record = shown.record.as_ref();
            let entry = record.and_then(|record| record.entry.as_ref());
            entry.is_some_and(|entry| visible.contains(&entry.entry_id))
        });
        answer.identifiers.retain(|known| {
            let alias = known.identifier.as_ref();
            let is_stated = alias.is_some_and(|alias| {
                own.iter()
                    .any(|own| own.id_type().code() == alias.id_type && own.reveal() == alias.id)
            });
            is_stated || !BY_ENTRIES.contains(&known.how.as_str())
        });
        answer.names.retain_mut(|known| {
            let was_stated = !known.entry_ids.is_empty();
            known.entry_ids.retain(|id| visible.contains(id));
            // A recorded change tells its first day.
            !was_stated || !known.entry_ids.is_empty() || !known.since.is_empty()
        });
        answer.relations.retain_mut(|known| {
            known.entry_ids.retain(|id| visible.contains(id));
            !known.entry_ids.is_empty()
        });
        answer.changes.retain(|change| is_visible(&change.entry_id));
        answer.wrong_hits.retain(|hit| is_visible(&hit.entry_id));
        answer
            .timeline
            .retain(|moment| is_visible(&moment.entry_id));
    }
}

/// When the act ended by which an entry is held against its subject; none: the entry stands, or is no such thing. The act
/// ended no later than the entry did.
fn act_ended(entry: &StoredEntry<'_>, list: Option<&List>, now: Time) -> Option<Date> {
    if list.is_some_and(|list| list.colour == Colour::Red) {
        return None;
    }
    let last = match list {
        Some(list) => last_day(entry, list),
        // The book has forgotten the list.
        None => entry.valid_to,
    };
    let by_time = last.filter(|last| *last < now.date());
    let by_change = governing(&entry.changes, now)
        .filter(|change| matches!(change.to, State::Repaired | State::Revoked))
        .map(|change| change.effective_at.date());
    let ended = by_time.into_iter().chain(by_change).min()?;
    Some(entry.act_date.map_or(ended, |act| act.min(ended)))
}

/// Refuses a question about an entry that the caller does not see, as if it were not there. What is not there is told by
/// whoever looks for it.
pub(crate) fn sees_entry(registry: &Registry, sees: &Sees, entry_id: &str) -> Result<(), Status> {
    match entry_id.is_empty() || shows(registry, sees, entry_id) {
        true => Ok(()),
        false => Err(ChangeError::UnknownEntry.into()),
    }
}

fn shows(registry: &Registry, sees: &Sees, entry_id: &str) -> bool {
    let generation = registry.live().load_full();
    let seen = Seen::new(sees, &generation.book, registry.now());
    seen.sees_every_entry()
        || generation
            .lists
            .entry(entry_id)
            .is_none_or(|entry| seen.has_entry(&entry))
}

/// A change of the lists as a caller sees it; none: it does not. Whoever may watch looks into what was decided, and is told
/// of entries however old.
pub(crate) fn watched(
    sees: &Sees,
    mut change: v1::WatchEntriesResponse,
) -> Option<v1::WatchEntriesResponse> {
    let list = match &change.what {
        Some(Watched::Entry(watched)) => watched.entry.as_ref().map(|entry| entry.list.as_str()),
        Some(Watched::Confirmed(confirmed)) => Some(confirmed.list.as_str()),
        // A row of the book is of no list.
        Some(Watched::Clock(struck)) => Some(struck.list.as_str()).filter(|list| !list.is_empty()),
        None => None,
    };
    if list.is_some_and(|list| !sees.list(list)) {
        return None;
    }
    if sees.masked
        && let Some(Watched::Entry(watched)) = &mut change.what
    {
        watched.entry.iter_mut().for_each(mask::entry);
        watched.change.iter_mut().for_each(mask::change);
    }
    Some(change)
}

/// Codes proposed for entries, as a caller sees them.
pub(crate) fn proposals(sees: &Sees, answer: &mut v1::ListCodeProposalsResponse) {
    answer.proposals.retain(|one| sees.list(&one.list));
    if sees.masked {
        answer.proposals.iter_mut().for_each(mask::proposal);
    }
}

/// Wrong hits as a caller sees them.
pub(crate) fn wrong_hits(registry: &Registry, sees: &Sees, hits: &mut Vec<v1::WrongHit>) {
    hits.retain(|hit| shows(registry, sees, &hit.entry_id));
    if sees.masked {
        hits.iter_mut().for_each(mask::wrong_hit);
    }
}

/// A wrong hit after a step, as whoever took the step sees it.
pub(crate) fn wrong_hit(sees: &Sees, hit: &mut v1::WrongHit) {
    if sees.masked {
        mask::wrong_hit(hit);
    }
}

/// Procedures as a caller sees them.
pub(crate) fn procedures(sees: &Sees, procedures: &mut Vec<v1::Procedure>) {
    procedures.retain(|one| one.list.is_empty() || sees.list(&one.list));
    if sees.masked {
        procedures.iter_mut().for_each(mask::procedure);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use creditgate_measures::book::Deployment;
    use creditgate_measures::catalogue;
    use creditgate_measures::entry::StateChange;
    use creditgate_measures::event::{EntryId, ListCode};

    use super::*;

    /// A list that the book does not know: nothing but the entry tells when it ends.
    const UNKNOWN: &str = "X99";

    fn day(text: &str) -> Date {
        Date::parse(text).expect("a day")
    }

    /// An entry that is in force since the beginning of 2018.
    fn entry(entry_id: &str, list: &str) -> Entry {
        let from = day("2018-01-01").start();
        Entry {
            entry_id: EntryId::new(entry_id),
            list: ListCode::new(list),
            identifier: None,
            name: None,
            former_names: Vec::new(),
            kind: None,
            severity: None,
            grade: None,
            designated_by: None,
            document_no: None,
            basis: None,
            reason: None,
            region: None,
            scope: Vec::new(),
            act_date: None,
            served_at: None,
            valid_from: from,
            valid_to: None,
            display_min_until: None,
            display_max_until: None,
            repeat_count: 0,
            related: Vec::new(),
            aliases: Vec::new(),
            source_unit: None,
            rule_version: None,
            objection_marked: false,
            recorded_at: from,
            changes: vec![changed(State::Effective, "2018-01-01")],
        }
    }

    fn changed(to: State, on: &str) -> StateChange {
        let at = day(on).start();
        StateChange {
            to,
            effective_at: at,
            recorded_at: at,
        }
    }

    #[test]
    fn what_ended_too_long_ago_is_not_given_out_and_what_stands_is() {
        let book = Book::load(&catalogue::built_in(), &Deployment::default());
        let book = book.expect("the catalogue");
        let sees = Sees {
            age_years: Some(5),
            ..Sees::default()
        };
        let check = |entry: &Entry, on: &str, expected: bool| {
            let seen = Seen::new(&sees, &book, day(on).start());
            assert_eq!(seen.has_entry(entry), expected, "{entry:?} on {on}");
        };
        let stands = Entry {
            act_date: Some(day("2010-01-01")),
            ..entry("E-1", UNKNOWN)
        };
        check(&stands, "2030-01-01", true);
        let expired = Entry {
            valid_to: Some(day("2020-06-30")),
            ..entry("E-1", UNKNOWN)
        };
        check(&expired, "2020-06-30", true);
        check(&expired, "2025-06-30", true);
        check(&expired, "2025-07-01", false);
        let old_act = Entry {
            act_date: Some(day("2017-03-01")),
            ..expired.clone()
        };
        check(&old_act, "2020-06-30", true);
        check(&old_act, "2022-03-01", true);
        check(&old_act, "2022-03-02", false);
        for to in [State::Repaired, State::Revoked] {
            let mut ended = entry("E-1", UNKNOWN);
            ended.changes.push(changed(to, "2019-04-01"));
            check(&ended, "2024-04-01", true);
            check(&ended, "2024-04-02", false);
        }
        // Suspended is not ended, and a reward is held against nobody.
        let mut suspended = entry("E-1", UNKNOWN);
        suspended
            .changes
            .push(changed(State::Suspended, "2019-04-01"));
        check(&suspended, "2030-01-01", true);
        let reward = Entry {
            valid_to: Some(day("2020-06-30")),
            ..entry("E-1", "G02")
        };
        check(&reward, "2030-01-01", true);
        let all = Sees::default();
        let decides = Seen::new(&all, &book, day("2030-01-01").start());
        assert!(decides.has_entry(&expired));
    }

    #[test]
    fn a_subject_is_what_the_entries_say_that_are_seen() {
        let book = Book::load(&catalogue::built_in(), &Deployment::default());
        let book = book.expect("the catalogue");
        let lists: BTreeSet<Arc<str>> = BTreeSet::from([Arc::from("B01")]);
        let sees = Sees {
            lists: Some(Arc::new(lists)),
            ..Sees::default()
        };
        let seen = Seen::new(&sees, &book, day("2018-02-01").start());
        let bodies = [entry("E-2", "B02"), entry("E-1", "B01")].map(|entry| entry.to_stored());
        let shown = |id: &str, list: &str| v1::SubjectEntry {
            record: Some(v1::EntryRecord {
                entry: Some(v1::Entry {
                    entry_id: id.to_owned(),
                    list: list.to_owned(),
                    ..v1::Entry::default()
                }),
                ..v1::EntryRecord::default()
            }),
            ..v1::SubjectEntry::default()
        };
        let named = |name: &str, ids: &[&str]| v1::KnownName {
            name: name.to_owned(),
            entry_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            ..v1::KnownName::default()
        };
        let moment = |id: &str| v1::SubjectMoment {
            entry_id: id.to_owned(),
            ..v1::SubjectMoment::default()
        };
        let mut answer = v1::GetSubjectResponse {
            entries: vec![shown("E-2", "B02"), shown("E-1", "B01")],
            names: vec![
                named("曾用名", &["E-2"]),
                named("示例公司", &["E-1", "E-2"]),
            ],
            relations: vec![v1::KnownRelation {
                entry_ids: vec!["E-2".to_owned()],
                ..v1::KnownRelation::default()
            }],
            timeline: vec![moment("E-1"), moment("E-2"), moment("")],
            ..v1::GetSubjectResponse::default()
        };
        seen.subject(&mut answer, &bodies);
        assert_eq!(answer.entries, [shown("E-1", "B01")]);
        assert_eq!(answer.names, [named("示例公司", &["E-1"])]);
        assert!(answer.relations.is_empty());
        assert_eq!(answer.timeline, [moment("E-1"), moment("")]);
    }
}
