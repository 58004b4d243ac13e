//! The moments that are to be struck: which there are, in which order, and which of them are near.

use std::collections::BTreeSet;
use std::time::Duration;

use creditgate_measures::book::Book;
use creditgate_measures::clocks::{agreement_boundaries, clocks, row_boundaries};
use creditgate_measures::entry::Entry;
use creditgate_measures::lists::Lists;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::ClockStruck;

use crate::desk::{ClockPlace, RanAhead};

/// How far ahead moments are held.
pub const AHEAD: Duration = Duration::from_secs(48 * 3_600);

/// One moment that is to be struck. Its order is that of striking: by time, then by what comes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// When, what and to whom.
    pub place: ClockPlace,
    /// Whether it comes to a row or an agreement of the book, and not to an entry.
    pub of_book: bool,
    /// Code of the entry's list.
    pub list: Box<str>,
}

impl Moment {
    /// The record that it has come.
    pub fn record(&self) -> ClockStruck {
        let id = self.place.id.clone();
        let (entry_id, row_id) = match self.of_book {
            true => (String::new(), id),
            false => (id, String::new()),
        };
        ClockStruck {
            entry_id,
            kind: self.place.kind.clone(),
            due_at: Some(time_to_proto(self.place.due)),
            row_id,
            list: self.list.to_string(),
            ..ClockStruck::default()
        }
    }

    /// Whether what is known still has it.
    pub fn stands(
        &self,
        lists: &Lists,
        of_book: &BTreeSet<Moment>,
        book: &Book,
        ran_ahead: Option<RanAhead>,
    ) -> bool {
        match self.of_book {
            true => of_book.contains(self),
            false => lists.entry(&self.place.id).is_some_and(|entry| {
                let mut moments = of_entry(&entry, known_at(&entry, ran_ahead), book);
                moments.any(|moment| moment == *self)
            }),
        }
    }
}

/// The moments of an entry that came, or come, after everything known of it was recorded.
///
/// What lay in the past when it was recorded is told by that record, and never struck: an import of
/// entries that have all expired strikes nothing.
pub fn of_entry(
    entry: &Entry,
    recorded: Time,
    book: &Book,
) -> impl Iterator<Item = Moment> + use<> {
    let (id, list) = (entry.entry_id.clone(), entry.list.clone());
    clocks(entry, book)
        .into_iter()
        .filter(move |due| due.at > recorded)
        .map(move |due| Moment {
            place: ClockPlace {
                due: due.at,
                kind: due.kind.code().to_owned(),
                id: id.as_str().to_owned(),
            },
            of_book: false,
            list: list.as_str().into(),
        })
}

/// When the last of what is known of an entry was recorded, as far as the entry itself tells.
pub fn known_at(entry: &Entry, ran_ahead: Option<RanAhead>) -> Time {
    let changes = entry.changes.iter().map(|change| change.recorded_at);
    recorded_by(changes.fold(entry.recorded_at, Time::max), ran_ahead)
}

/// By when something was recorded whose record bears this time.
pub fn recorded_by(told: Time, ran_ahead: Option<RanAhead>) -> Time {
    ran_ahead.map_or(told, |ran_ahead| ran_ahead.recorded_by(told))
}

/// The starts and ends of the rows and agreements of a book that came, or come, after it was recorded.
pub fn of_book(book: &Book, recorded: Time) -> BTreeSet<Moment> {
    let rows = row_boundaries(book)
        .into_iter()
        .map(|(id, begins, at)| (id.as_str().to_owned(), begins, at));
    let agreements = agreement_boundaries(book)
        .into_iter()
        .map(|(id, begins, at)| (id.to_string(), begins, at));
    rows.chain(agreements)
        .filter(|(.., at)| *at > recorded)
        .map(|(id, begins, due)| Moment {
            place: ClockPlace {
                due,
                kind: if begins { "begins" } else { "ends" }.to_owned(),
                id,
            },
            of_book: true,
            list: "".into(),
        })
        .collect()
}

/// The moments of the next two days, and everything that has come and is not struck.
#[derive(Debug)]
pub struct Horizon {
    moments: BTreeSet<Moment>,
    /// Everything that comes before is held.
    pub until: Time,
}

impl Horizon {
    /// Holds nothing yet of what comes until some time after now.
    pub fn beginning(now: Time) -> Self {
        let ahead = i64::try_from(AHEAD.as_micros()).unwrap_or(i64::MAX);
        Self {
            moments: BTreeSet::new(),
            until: now.plus_micros(ahead),
        }
    }

    /// Takes the near ones that are not struck.
    pub fn take(&mut self, moments: impl Iterator<Item = Moment>, struck: Option<&ClockPlace>) {
        let until = self.until;
        let near = |moment: &Moment| {
            moment.place.due < until && struck.is_none_or(|struck| *struck < moment.place)
        };
        self.moments.extend(moments.filter(near));
    }

    /// The first ones that have come, so many at most.
    pub fn come(&self, now: Time, at_most: usize) -> Vec<Moment> {
        let come = self.moments.iter().take_while(|m| m.place.due <= now);
        come.take(at_most).cloned().collect()
    }

    /// Forgets those that were struck.
    pub fn struck(&mut self, moments: &[Moment]) {
        for moment in moments {
            self.moments.remove(moment);
        }
    }

    /// When the next one comes.
    pub fn next(&self) -> Option<Time> {
        self.moments.first().map(|moment| moment.place.due)
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.moments.len()
    }
}
