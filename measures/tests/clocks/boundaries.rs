//! Between two boundaries whether an entry is usable does not change.

use std::sync::{Arc, LazyLock};

use creditgate_measures::book::{Book, List};
use creditgate_measures::clocks::{boundaries, clocks};
use creditgate_measures::entry::{Entry, StateChange, StoredEntry};
use creditgate_measures::lists::{Circumstances, Use, standing};
use creditgate_measures::time::{Date, Time};
use creditgate_measures::vocabulary::State;
use proptest::prelude::*;

use crate::support::{Catalogue, day, listed, region, uscc};

/// Books whose list B07 knows a longest period, and one whose list knows none.
static BOOKS: LazyLock<Vec<Book>> = LazyLock::new(|| {
    [
        "max_period_months: 1",
        "max_period_months: 2",
        "until_performed: true",
    ]
    .map(|period| {
        Catalogue::default()
            .list(&format!("code: B07\n{period}"))
            .book()
    })
    .into()
});

/// Days and hours around the beginning of 2026 that meet often.
fn moment() -> impl Strategy<Value = Time> {
    (0..100_i32, prop::sample::select(vec![0_i64, 9, 10, 23]))
        .prop_map(|(day, hour)| at(day).start().plus_seconds(hour * 3_600))
}

fn at(days: i32) -> Date {
    day("2025-12-01").plus_days(days)
}

fn state_change() -> impl Strategy<Value = StateChange> {
    let to = prop::sample::select(State::ALL.to_vec());
    (to, moment(), moment()).prop_map(|(to, effective_at, recorded_at)| StateChange {
        to,
        effective_at,
        recorded_at,
    })
}

prop_compose! {
    fn entry()(
        valid_from in moment(),
        served_at in prop::option::of(moment()),
        valid_to in prop::option::of((0..100_i32).prop_map(at)),
        display_max_until in prop::option::of((0..100_i32).prop_map(at)),
        changes in prop::collection::vec(state_change(), 1..5),
        recorded_at in moment(),
    ) -> Entry {
        let mut changes = changes;
        changes.sort_by_key(|change| change.recorded_at);
        let listed = listed("E1", "B07", uscc(1));
        Entry { valid_from, served_at, valid_to, display_max_until, changes, recorded_at, ..listed }
    }
}

/// Whether the entry may be used for an event of that instant, judged at this one.
fn usable(stored: &StoredEntry<'_>, list: &List, book: &Book, occurred_at: Time, at: Time) -> u8 {
    let circumstances = Circumstances {
        region: region("320500"),
        occurred_at,
        at,
        born: None,
        book,
    };
    match standing(stored, list, &circumstances) {
        Use::Usable(_) => 0,
        Use::Ended(_) => 1,
        Use::NotUsable(_) => 2,
    }
}

/// Every instant at which anything could happen, the one before each, and some between.
fn instants(entry: &Entry) -> Vec<Time> {
    let days = (0..170).map(|days| at(days).start());
    let changes = entry.changes.iter();
    let changes = changes.flat_map(|change| [change.effective_at, change.recorded_at]);
    let own = [
        Some(entry.valid_from),
        entry.served_at,
        Some(entry.recorded_at),
    ];
    let mut instants: Vec<Time> = days
        .chain(changes)
        .chain(own.into_iter().flatten())
        .collect();
    instants.extend(instants.clone().into_iter().map(|at| at.plus_micros(-1)));
    instants.sort_unstable();
    instants.dedup();
    instants
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_entry_changes_its_standing_at_boundaries_only(entry in entry(), book in 0..3_usize) {
        let book = &BOOKS[book];
        let list = book.list("B07").map(Arc::as_ref).expect("the list");
        let bytes = entry.to_stored();
        let stored = StoredEntry::read(&bytes).expect("an entry");
        let boundaries = boundaries(&stored, Some(list));
        let known = entry.changes.iter().map(|change| change.recorded_at).max();
        let known = known.expect("a change").max(entry.recorded_at);
        let instants: Vec<Time> = instants(&entry).into_iter().filter(|at| *at >= known).collect();
        for pair in instants.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            let between = boundaries.iter().any(|(_, at)| before < *at && *at <= after);
            if between {
                continue;
            }
            // For an event of its own instant, and for one of the first instant of all.
            prop_assert_eq!(
                usable(&stored, list, book, before, before),
                usable(&stored, list, book, after, after),
                "between {} and {} without a boundary: {:?}", before, after, boundaries
            );
            prop_assert_eq!(
                usable(&stored, list, book, known, before),
                usable(&stored, list, book, known, after)
            );
        }
    }

    #[test]
    fn boundaries_are_the_clocks_that_alter_decisions(entry in entry(), book in 0..3_usize) {
        let book = &BOOKS[book];
        let list = book.list("B07").map(Arc::as_ref);
        let bytes = entry.to_stored();
        let stored = StoredEntry::read(&bytes).expect("an entry");
        let dues = clocks(&entry, book);
        let altering: Vec<_> = dues.iter()
            .filter(|due| due.kind.alters_decisions())
            .map(|due| (due.kind, due.at))
            .collect();
        prop_assert_eq!(boundaries(&stored, list).to_vec(), altering);
        prop_assert!(dues.windows(2).all(|pair| pair[0].at <= pair[1].at), "in order of time");
    }

    /// Total: nothing that can be written down makes it fail.
    #[test]
    fn every_date_that_can_be_written_down_has_moments(
        from in any::<i64>(), to in any::<i32>(), effective in any::<i64>(), book in 0..3_usize,
    ) {
        let mut entry = listed("E1", "B07", uscc(1));
        entry.valid_from = Time::from_micros(from);
        entry.served_at = None;
        entry.valid_to = Some(Date::from_days(to));
        entry.changes[0].effective_at = Time::from_micros(effective);
        let dues = clocks(&entry, &BOOKS[book]);
        prop_assert!(dues.windows(2).all(|pair| pair[0].at <= pair[1].at));
    }
}
