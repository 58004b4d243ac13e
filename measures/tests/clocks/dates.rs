//! The moments of an entry, worked out by hand from spec 3 and the catalogue.

use std::fmt::Write as _;

use creditgate_measures::clocks::{ClockKind, agreement_boundaries, clocks, row_boundaries};
use creditgate_measures::entry::{Entry, StateChange};
use creditgate_measures::vocabulary::{Severity, State};

use crate::BOOK;
use crate::support::{Catalogue, change, day, dedent, listed, on, row, then, uscc};

/// Effective, valid and served since this day.
fn since(list: &str, from: &str) -> Entry {
    let mut entry = listed("E1", list, uscc(1));
    let since = on(from);
    (entry.valid_from, entry.served_at, entry.recorded_at) = (since, Some(since), since);
    entry.changes = vec![change(State::Effective, from)];
    entry
}

/// A change that was recorded on an earlier day than it takes effect.
fn ahead(to: State, recorded: &str, effective: &str) -> StateChange {
    StateChange {
        to,
        effective_at: on(effective),
        recorded_at: on(recorded),
    }
}

/// One line a moment: what, when, the day it is named by, the rule, the calendar.
#[track_caller]
fn check(entry: &Entry, expected: &str) {
    let mut told = String::new();
    for due in clocks(entry, &BOOK) {
        let rule = due.rule.as_deref().unwrap_or("-");
        let (at, day, used) = (due.at, due.day, due.calendar);
        let _ = writeln!(told, "{} {at} {day} {rule} {used}", due.kind);
    }
    assert_eq!(told.trim_end(), dedent(expected), "\n--- seen:\n{told}");
}

#[test]
fn a_serious_entry_of_three_years() {
    check(
        &since("B02", "2026-04-30"),
        "
        begins 2026-04-30T00:00:00+08:00 2026-04-30 - none
        repair_from 2027-04-30T00:00:00+08:00 2027-04-30 order-36 none
        ends 2029-04-30T00:00:00+08:00 2029-04-29 - none
        ",
    );
}

#[test]
fn the_last_day_of_the_specification() {
    // Golden case 17: on 2028-01-14 it is in force.
    let mut entry = since("B02", "2025-01-15");
    entry.rule_version = Some("order-36".into());
    check(
        &entry,
        "
        begins 2025-01-15T00:00:00+08:00 2025-01-15 order-36 none
        repair_from 2026-01-15T00:00:00+08:00 2026-01-15 order-36 none
        ends 2028-01-15T00:00:00+08:00 2028-01-14 order-36 none
        ",
    );
}

#[test]
fn months_end_where_the_month_does() {
    let shortest = |from: &str, severity| {
        let mut entry = since("B02", from);
        entry.severity = Some(severity);
        let dues = clocks(&entry, &BOOK);
        let repair = dues.iter().find(|due| due.kind == ClockKind::RepairFrom);
        repair.map(|due| due.day.to_string()).unwrap_or_default()
    };
    assert_eq!(shortest("2026-11-30", Severity::General), "2027-02-28");
    assert_eq!(shortest("2027-11-30", Severity::General), "2028-02-29");
    assert_eq!(shortest("2028-02-29", Severity::Serious), "2029-02-28");
    assert_eq!(shortest("2026-10-31", Severity::General), "2027-01-31");

    let last = |from: &str, months: u32| {
        let book = Catalogue::default()
            .list(&format!("code: B07\nmax_period_months: {months}"))
            .book();
        let dues = clocks(&since("B07", from), &book);
        let end = dues.iter().find(|due| due.kind == ClockKind::Ends);
        end.map(|due| (due.day.to_string(), due.at.to_string()))
            .unwrap_or_default()
    };
    let ended = |day: &str, at: &str| (day.to_owned(), format!("{at}T00:00:00+08:00"));
    assert_eq!(last("2026-01-31", 1), ended("2026-02-27", "2026-02-28"));
    assert_eq!(last("2028-01-31", 1), ended("2028-02-28", "2028-02-29"));
    assert_eq!(last("2028-02-29", 12), ended("2029-02-27", "2029-02-28"));
    assert_eq!(last("2026-03-01", 12), ended("2027-02-28", "2027-03-01"));
    assert_eq!(last("2027-03-01", 12), ended("2028-02-29", "2028-03-01"));
}

#[test]
fn a_minor_breach_may_be_repaired_at_once() {
    let mut entry = since("B02", "2026-05-06 15:30");
    entry.severity = Some(Severity::Minor);
    entry.valid_to = Some(day("2026-07-31"));
    check(
        &entry,
        "
        begins 2026-05-06T15:30:00+08:00 2026-05-06 - none
        repair_from 2026-05-06T15:30:00+08:00 2026-05-06 order-36 none
        ends 2026-08-01T00:00:00+08:00 2026-07-31 - none
        ",
    );
}

#[test]
fn the_rule_is_the_one_of_the_day_of_the_decision() {
    let repair = |entry: &Entry| {
        let dues = clocks(entry, &BOOK);
        let due = dues.iter().find(|due| due.kind == ClockKind::RepairFrom);
        due.map(|due| format!("{} {}", due.day, due.rule.as_deref().unwrap_or("-")))
    };
    let told = |entry: &Entry| repair(entry).unwrap_or_default();
    // Order 58 knew three months for all; it ended on 2026-03-31.
    assert_eq!(told(&since("B02", "2026-03-31")), "2026-06-30 order-58");
    assert_eq!(told(&since("B02", "2026-04-01")), "2027-04-01 order-36");
    // Before there was a general order nobody knows.
    assert_eq!(repair(&since("B02", "2023-04-30")), None);
    // The version that the entry names goes before the day.
    let mut named = since("B02", "2026-05-01");
    named.rule_version = Some("order-58".into());
    assert_eq!(told(&named), "2026-08-01 order-58");
    // One without periods leaves them to the general order; so does one that the book has not.
    named.rule_version = Some("tax-54".into());
    assert_eq!(told(&named), "2027-05-01 order-36");
    named.rule_version = Some("order-99".into());
    assert_eq!(told(&named), "2027-05-01 order-36");
    // What the entry says itself goes before every rule: the last day of the shortest display.
    named.display_min_until = Some(day("2026-08-31"));
    assert_eq!(told(&named), "2026-09-01 order-99");
}

#[test]
fn the_longest_display_is_told_by_severity_where_nothing_else_ends_the_entry() {
    let shown = |severity, valid_to| {
        let entry = Entry {
            severity: Some(severity),
            valid_to,
            ..since("B08", "2026-05-01")
        };
        let dues = clocks(&entry, &BOOK);
        let due = dues.iter().find(|due| due.kind == ClockKind::DisplayEnds);
        due.map(|due| format!("{} {}", due.day, due.rule.as_deref().unwrap_or("-")))
    };
    let table = [
        (Severity::Minor, "2026-08-01 order-36"),
        (Severity::General, "2027-05-01 order-36"),
        (Severity::Serious, "2029-05-01 order-36"),
    ];
    for (severity, expected) in table {
        assert_eq!(shown(severity, None).as_deref(), Some(expected));
        assert_eq!(shown(severity, Some(day("2026-06-30"))), None);
    }
}

#[test]
fn where_repair_is_no_question_of_time_there_is_no_day_for_it() {
    let kinds = |entry: &Entry| -> Vec<ClockKind> {
        let dues = clocks(entry, &BOOK);
        dues.iter().map(|due| due.kind).collect()
    };
    // A red list; and B01, which stands until the duty is performed.
    assert!(!kinds(&since("G01", "2026-05-01")).contains(&ClockKind::RepairFrom));
    assert_eq!(kinds(&since("B01", "2026-05-01")), [ClockKind::Begins]);
    // A display that ends before the shortest period does.
    let mut short = since("B02", "2026-05-01");
    short.valid_to = Some(day("2026-12-31"));
    assert_eq!(kinds(&short), [ClockKind::Begins, ClockKind::Ends]);
    // A list that the book has not: nothing is guessed.
    assert_eq!(kinds(&since("B99", "2026-05-01")), [ClockKind::Begins]);
}

#[test]
fn what_was_repaired_or_revoked_is_to_be_deleted_and_has_no_other_moment() {
    // Tuesday; the 30th, 8 and 9 October are the three working days.
    let revoked = then(
        since("B02", "2026-04-30"),
        State::Revoked,
        "2026-09-29 15:00",
    );
    check(
        &revoked,
        "
        begins 2026-04-30T00:00:00+08:00 2026-04-30 - none
        delete_by 2026-10-10T00:00:00+08:00 2026-10-09 order-36 declared
        ",
    );
    let repaired = then(
        since("B02", "2026-04-30"),
        State::Repaired,
        "2026-12-30 09:00",
    );
    check(
        &repaired,
        "
        begins 2026-04-30T00:00:00+08:00 2026-04-30 - none
        delete_by 2027-01-05T00:00:00+08:00 2027-01-04 order-36 undeclared
        ",
    );
    // A source shows it again: nothing is to be deleted.
    let again = then(revoked, State::Effective, "2026-10-08 09:00");
    check(
        &again,
        "
        begins 2026-04-30T00:00:00+08:00 2026-04-30 - none
        repair_from 2027-04-30T00:00:00+08:00 2027-04-30 order-36 none
        ends 2029-04-30T00:00:00+08:00 2029-04-29 - none
        ",
    );
}

#[test]
fn a_revocation_is_known_only_when_it_is_recorded() {
    // It took effect in May and was recorded on Thursday 24 September: 28, 29 and 30.
    let mut entry = since("B02", "2026-04-30");
    entry.changes.push(ahead(
        State::Revoked,
        "2026-09-24 10:00",
        "2026-05-04 00:00",
    ));
    let dues = clocks(&entry, &BOOK);
    let due = dues.iter().find(|due| due.kind == ClockKind::DeleteBy);
    assert_eq!(due.map(|due| due.day), Some(day("2026-09-30")));
}

#[test]
fn an_entry_begins_when_it_is_valid_served_and_effective() {
    let begins = |entry: &Entry| -> Vec<String> {
        let dues = clocks(entry, &BOOK);
        let begins = dues.iter().filter(|due| due.kind == ClockKind::Begins);
        begins.map(|due| due.at.to_string()).collect()
    };
    let mut entry = since("B02", "2026-05-01");
    entry.served_at = Some(on("2026-05-20 14:00"));
    assert_eq!(begins(&entry), ["2026-05-20T14:00:00+08:00"]);
    entry.served_at = None;
    assert_eq!(begins(&entry), ["2026-05-01T00:00:00+08:00"]);
    // Proposed: no day makes it effective.
    entry.changes = vec![change(State::Proposed, "2026-04-01")];
    assert_eq!(begins(&entry), [""; 0]);
    // A change to come that takes effect after it is valid, and one before.
    entry
        .changes
        .push(ahead(State::Effective, "2026-04-02", "2026-06-10"));
    assert_eq!(begins(&entry), ["2026-06-10T00:00:00+08:00"]);
    entry.changes[1].effective_at = on("2026-04-20");
    assert_eq!(begins(&entry), ["2026-05-01T00:00:00+08:00"]);
    // It ends before it begins: it never begins.
    entry.valid_to = Some(day("2026-04-30"));
    assert_eq!(begins(&entry), [""; 0]);
}

#[test]
fn a_suspension_to_come_and_its_end_are_moments() {
    let mut entry = since("B02", "2026-04-30");
    entry.changes.extend([
        ahead(State::Suspended, "2026-05-20", "2026-06-01"),
        ahead(State::Effective, "2026-05-20", "2026-06-21"),
    ]);
    check(
        &entry,
        "
        begins 2026-04-30T00:00:00+08:00 2026-04-30 - none
        changes 2026-06-01T00:00:00+08:00 2026-06-01 - none
        begins 2026-06-21T00:00:00+08:00 2026-06-21 - none
        repair_from 2027-04-30T00:00:00+08:00 2027-04-30 order-36 none
        ends 2029-04-30T00:00:00+08:00 2029-04-29 - none
        ",
    );
    // One that was recorded when it took effect told of itself.
    let told = then(since("B02", "2026-04-30"), State::Suspended, "2026-06-01");
    assert!(
        clocks(&told, &BOOK)
            .iter()
            .all(|due| due.kind != ClockKind::Changes)
    );
}

#[test]
fn rows_begin_and_end_with_their_days() {
    let book = row("id: P1\nlists: [B07]\neffective_to: \"2026-06-30\"")
        .row("id: P1\nlists: [B07]\neffective_from: \"2026-07-01\"")
        .row("id: P2\nlists: [B07]\nwithout: published_at")
        .agreement(
            "id: Y1\nlists: [B07]\nfrom: \"220100\"\nto: \"210100\"\neffective_to: \"2026-12-31\"",
        )
        .book();
    let told = |moments: Vec<(String, bool, String)>| -> Vec<String> {
        let told = moments.into_iter();
        told.map(|(id, begins, at)| format!("{id} {begins} {at}"))
            .collect()
    };
    let rows = row_boundaries(&book).into_iter();
    let rows = rows.map(|(id, begins, at)| (id.to_string(), begins, at.to_string()));
    assert_eq!(
        told(rows.collect()),
        [
            "P1 true 2020-01-01T00:00:00+08:00",
            "P1 false 2026-07-01T00:00:00+08:00",
            "P1 true 2026-07-01T00:00:00+08:00",
        ],
        "an inactive row has no moments"
    );
    let agreements = agreement_boundaries(&book).into_iter();
    let agreements = agreements.map(|(id, begins, at)| (id.to_string(), begins, at.to_string()));
    assert_eq!(
        told(agreements.collect()),
        [
            "Y1 true 2020-01-01T00:00:00+08:00",
            "Y1 false 2027-01-01T00:00:00+08:00",
        ]
    );
}
