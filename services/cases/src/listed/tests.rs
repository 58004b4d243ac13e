//! Cases with missing checks, by the tables and by themselves.

use std::sync::Arc;

use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::catalogue;
use creditgate_measures::time::{Date, Time};

use super::*;
use crate::rows;
use crate::state::tests::event;
use crate::table::{Logs, Mark, Seal, Table};
use crate::terms::{BookTerms, Settings};

fn day() -> Time {
    Date::from_ymd(2026, 5, 6).expect("a day").start()
}

fn terms() -> BookTerms {
    let book = Book::load(&catalogue::built_in(), &Deployment::default()).expect("the catalogue");
    let settings = Settings {
        open_days: 365,
        decide_days: 15,
        lift_days: 10,
        four_eyes: Vec::new(),
        announces: false,
    };
    BookTerms::new(Arc::new(book), settings)
}

/// A case with these stages, one a second.
fn case(case_id: &str, stages: &[&str]) -> CaseState {
    let mut case = CaseState::new(case_id);
    for (n, stage) in (0..).zip(stages) {
        let mut facts = event(n + 1, stage, &[]);
        facts.occurred_at = day().plus_seconds(i64::try_from(n).expect("small"));
        case.take_verdict(&facts);
    }
    case
}

/// The cases with missing checks, each page of `size` after the other.
fn pages(lookup: &Lookup, terms: &BookTerms, seconds: i64, size: usize) -> Vec<Vec<String>> {
    let now = day().plus_seconds(seconds);
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let filter = CaseFilter {
            missing: Some(now.micros()),
            after,
            ..CaseFilter::default()
        };
        let (cases, next) = listed(lookup, filter, size, terms.view(now)).expect("a page");
        assert!(cases.iter().all(|case| case.missing == 1), "{cases:?}");
        pages.push(cases.into_iter().map(|case| case.case_id).collect());
        if next.is_empty() {
            return pages;
        }
        after = next;
    }
}

#[test]
fn a_deal_without_registration_is_listed_after_ten_minutes_and_no_page_is_cut_short() {
    let dir = tempfile::tempdir().expect("a directory");
    let logs = Logs {
        verdicts: [1; 16],
        cases: [2; 16],
    };
    let terms = terms();
    let mut table = Table::open(dir.path(), logs, &Seal::default()).expect("a table");
    table.under(terms.said()).expect("new");
    let write = |change: &crate::table::Change<'_>| {
        for n in 0..12 {
            let stages: &[&str] = match n % 4 {
                0 => &["deal"],
                _ => &["register", "deal"],
            };
            let case = case(&format!("C{n:02}"), stages);
            change.put(None, &rows::row(&case, &terms))?;
        }
        Ok(())
    };
    table.write(Mark::default(), write).expect("written");
    let lookup = table.lookup();
    let expected = [vec!["C00", "C04"], vec!["C08"]];
    assert_eq!(pages(&lookup, &terms, 599, 2), [[""; 0]]);
    assert_eq!(pages(&lookup, &terms, 600, 2), expected);
    // The rows lead to these alone; once others may be concerned, to all until they are made anew.
    let led_to = || {
        let filter = CaseFilter {
            missing: Some(day().plus_seconds(600).micros()),
            ..CaseFilter::default()
        };
        lookup.cases(&filter, 100).expect("rows").len()
    };
    assert_eq!(led_to(), 3);
    table.under(terms.said()).expect("as before");
    assert_eq!(led_to(), 3);
    table.under("another book").expect("noted");
    assert_eq!(led_to(), 12);
    assert_eq!(pages(&lookup, &terms, 599, 2), [[""; 0]]);
    assert_eq!(pages(&lookup, &terms, 600, 2), expected);
    assert_eq!(pages(&lookup, &terms, 600, 3), [["C00", "C04", "C08"]]);
    assert_eq!(pages(&lookup, &terms, 600, 1), [["C00"], ["C04"], ["C08"]]);
}
