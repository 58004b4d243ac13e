//! Missing checks: what a verdict says, and what only time shows.

use std::slice::from_ref;

use super::{DAY, Story, at, bidder, event, review};
use crate::facts::VerdictFacts;

#[test]
fn a_missing_check_is_withdrawn_when_it_comes_in_any_order() {
    let mut deal = event(2, "deal", &[]);
    deal.subjects[0].missing = vec!["register".to_owned()];
    let story = Story::of(&[deal.clone()]);
    assert_eq!(story.shown().missing.len(), 1);
    for order in [
        [deal.clone(), event(1, "register", &[])],
        [event(1, "register", &[]), deal.clone()],
    ] {
        assert_eq!(Story::of(&order).shown().missing.len(), 0);
    }
    // That of somebody else does not count, that of the same one in another role does.
    let mut other = event(1, "register", &[]);
    other.subjects[0] = bidder(0, 99, &[]);
    assert_eq!(Story::of(&[deal.clone(), other]).shown().missing.len(), 1);
    let mut role = event(1, "register", &[]);
    role.subjects[0].role = "agent".to_owned();
    assert_eq!(Story::of(&[deal, role]).shown().missing.len(), 0);
}

#[test]
fn a_review_notes_no_missing_check() {
    let first = event(1, "apply", &[]);
    let mut of_deal = review(2, &first, "deal", &[]);
    of_deal.subjects[0].missing = vec!["register".to_owned()];
    assert_eq!(Story::of(&[first, of_deal]).shown().missing.len(), 0);
}

/// What is missing in the case then: subject, stage, and whose step came without it.
fn missing(verdicts: &[VerdictFacts], now: i64) -> Vec<(u32, String, String)> {
    let shown = Story::of(verdicts).shown_at(now).missing.into_iter();
    shown
        .map(|one| (one.subject, one.stage, one.verdict_id))
        .collect()
}

fn of(subject: u32, stage: &str, by: &VerdictFacts) -> (u32, String, String) {
    (subject, stage.to_owned(), by.verdict_id.to_string())
}

#[test]
fn a_step_judged_at_once_misses_its_check_after_ten_minutes() {
    let deal = event(1, "deal", &[]);
    let begun = 100;
    assert_eq!(deal.occurred_at, at(begun));
    let then = |minutes: i64| missing(from_ref(&deal), begun + minutes * 60);
    assert_eq!(then(0), []);
    assert_eq!(then(9), []);
    assert_eq!(then(10), [of(0, "register", &deal)]);
    let terms = super::Land::new();
    let case = Story::of(from_ref(&deal)).case;
    assert_eq!(case.missing_from(&terms), Some(at(begun + 600)));
    // A stage that asks for none before it misses none, and a review is no step.
    let first = event(1, "register", &[]);
    let of_deal = review(2, &first, "deal", &[]);
    let case = Story::of(&[first, of_deal]).case;
    assert_eq!(case.missing_from(&terms), None);
}

#[test]
fn a_check_that_comes_within_ten_minutes_was_never_missing() {
    let deal = event(1, "deal", &[]);
    let mut register = event(2, "register", &[]);
    register.occurred_at = deal.occurred_at.plus_seconds(599);
    register.subjects[0].role = "agent".to_owned();
    for order in [[deal.clone(), register.clone()], [register, deal.clone()]] {
        for minutes in [0, 9, 10, 11, 60 * 24] {
            assert_eq!(missing(&order, 100 + minutes * 60), []);
        }
    }
    // That of somebody else does not count; one that comes later withdraws it, as a verdict's flag.
    let mut other = event(2, "register", &[]);
    other.subjects[0] = bidder(0, 99, &[]);
    let found = missing(&[deal.clone(), other], 700);
    assert_eq!(found, [of(0, "register", &deal)]);
    let mut late = event(2, "register", &[]);
    late.occurred_at = deal.occurred_at.plus_seconds(1_800);
    assert_eq!(missing(&[deal, late], 2_000), []);
}

#[test]
fn one_missing_check_is_shown_once() {
    let mut deal = event(1, "deal", &[]);
    deal.subjects[0].missing = vec!["register".to_owned()];
    // The same firm in another role, and a second subject of which no verdict says it.
    let mut again = event(2, "deal", &[]);
    again.subjects[0].role = "agent".to_owned();
    again.subjects.push(bidder(1, 7, &[]));
    let verdicts = [deal.clone(), again.clone()];
    let flagged = of(0, "register", &deal);
    assert_eq!(missing(&verdicts, 100), from_ref(&flagged));
    let both = [flagged, of(2, "register", &again)];
    assert_eq!(missing(&verdicts, 10_000), both);
    // Two stages behind the same one miss one check, from the earlier of them on.
    let (supply, contract) = (event(9, "supply", &[]), event(8, "contract", &[]));
    let verdicts = [supply, contract.clone()];
    assert_eq!(missing(&verdicts, 1_399), []);
    assert_eq!(missing(&verdicts, 1_400), [of(0, "deal", &contract)]);
    assert_eq!(missing(&verdicts, 10_000), [of(0, "deal", &contract)]);
}

#[test]
fn nothing_is_missing_before_the_scenario_is_live_or_of_one_who_cannot_be_told() {
    let deal = event(2, "deal", &[]);
    let mut before = event(1, "apply", &[]);
    before.occurred_at = at(-DAY - 1);
    assert_eq!(missing(&[before.clone(), deal.clone()], 10_000), []);
    before.occurred_at = at(-DAY);
    let live = missing(&[before, deal.clone()], 10_000);
    assert_eq!(live, [of(0, "register", &deal)]);
    let mut nameless = deal;
    nameless.subjects[0].key = None;
    assert_eq!(missing(&[nameless], 10_000), []);
}
