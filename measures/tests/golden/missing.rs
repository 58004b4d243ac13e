//! What is not known, and what comes too late (spec 6, 7, 8).

use creditgate_measures::book::Signing;
use creditgate_measures::case::{CaseCheck, subject_key};
use creditgate_measures::event::Event;
use creditgate_measures::vocabulary::Role;

use crate::support::*;

const BARRED: &str = "
    id: P1
    lists: [B07]
";

#[test]
fn on_an_empty_system_every_needed_list_is_not_checked() {
    row("
        id: P1
        lists: [B07, B01]
    ")
    .row(
        "
        id: P2
        lists: [B02]
        effect: HEIGHTENED_SCRUTINY
    ",
    )
    .with([])
    .not_loaded("B01")
    .not_loaded("B02")
    .not_loaded("B07")
    .check(
        &evaluation([bidder(1)]),
        "
        event MANUAL_REVIEW review
        not checked B01: not_loaded
        not checked B07: not_loaded
        party #0 MANUAL_REVIEW review
        bidder verified MANUAL_REVIEW review
        ",
    );
}

#[test]
fn a_book_that_nobody_signed_is_named_and_changes_nothing_else() {
    let signed = Signing::Signed {
        key_id: "0123456789abcdef".into(),
    };
    for (signing, event) in [
        (Signing::Untold, "event PASS"),
        (signed, "event PASS"),
        (Signing::Unsigned, "event PASS [book_unsigned]"),
    ] {
        row(BARRED).signing(signing).with([]).check(
            &evaluation([bidder(1)]),
            &format!(
                "
            {event}
            party #0 PASS
            bidder verified PASS
            "
            ),
        );
    }
}

#[test]
fn a_list_that_no_row_of_this_event_could_use_is_not_needed() {
    // The only strong row on B07 holds in another region.
    row("
        id: P1
        lists: [B07]
        region: \"330000\"
    ")
    .with([])
    .not_loaded("B07")
    .check(
        &evaluation([bidder(1)]),
        "
        event PASS
        party #0 PASS
        bidder verified PASS
        ",
    );
}

#[test]
fn a_list_that_is_not_connected_is_named_without_review() {
    row(BARRED)
        .not_connected("B07", "本省尚未归集")
        .with([])
        .not_loaded("B07")
        .check(
            &evaluation([bidder(1)]),
            "
            event PASS
            not checked B07: not_connected: 本省尚未归集
            party #0 PASS
            bidder verified PASS
            ",
        );
}

#[test]
fn a_stale_list_is_review_for_everyone() {
    row(BARRED)
        .with([])
        .confirmed("B07", "2026-05-31 09:59")
        .check(
            &evaluation([bidder(1)]),
            "
            event MANUAL_REVIEW review [lists_stale]
            not checked B07: stale
            party #0 MANUAL_REVIEW review
            bidder verified MANUAL_REVIEW review
            ",
        );
}

#[test]
fn a_decisive_stage_with_inactive_rows_only_is_for_review() {
    let inactive = "
        id: P1
        lists: [B07]
        applies: [{ scenario: tender, stages: [bid, evaluate] }]
        without: published_at published_in effective_from
    ";
    let passes = "
        event PASS
        party #0 PASS
        bidder verified PASS";
    row(inactive).with([]).check(
        &evaluation([bidder(1)]),
        "
        event MANUAL_REVIEW review [rows_inactive]
        party #0 MANUAL_REVIEW review
        bidder verified MANUAL_REVIEW review
        ",
    );
    let bid = event("tender/bid", NOW, [bidder(1)]);
    row(inactive).with([]).check(&bid, passes);
    let active = "
        id: P2
        lists: [B07]
        effect: NOTICE
    ";
    let one_active = row(inactive).row(active).with([]);
    one_active.check(&evaluation([bidder(1)]), passes);
    // Without any penalty row there is nothing that could be inactive.
    let none = row("
        id: P1
        lists: [B07]
        applies: [{ scenario: land, stages: [deal] }]
    ");
    none.with([]).check(&evaluation([bidder(1)]), passes);
}

#[test]
fn events_before_the_book_begins_are_for_review() {
    let judged = |when: &str| event("tender/evaluate", when, [bidder(1)]);
    let world = row(BARRED).with([]);
    world.check(
        &judged("2019-12-31 23:59"),
        "
        event MANUAL_REVIEW review [before_covers_from]
        party #0 MANUAL_REVIEW review
        bidder verified MANUAL_REVIEW review
        ",
    );
    world.check(
        &judged("2020-01-01 00:00"),
        "
        event PASS
        party #0 PASS
        bidder verified PASS
        ",
    );
}

#[test]
fn an_event_is_late_beyond_24_hours() {
    let world = row(BARRED).with([]);
    let told = |flags: &str| format!("event PASS{flags}\nparty #0 PASS\nbidder verified PASS");
    let evaluated = evaluation([bidder(1)]);
    world.check_at(&evaluated, on("2026-06-02 10:00"), &told(""));
    world.check_at(
        &evaluated,
        on("2026-06-02T10:00:00.000001+08:00"),
        &told(" [late]"),
    );
}

#[test]
fn a_scenario_or_stage_that_the_book_does_not_know_is_for_review() {
    for place in ["funding/review", "tender/nowhere"] {
        row(BARRED).with([listed("E1", "B07", uscc(1))]).check(
            &event(place, NOW, [bidder(1)]),
            "
            event MANUAL_REVIEW review code=8 [scenario_unknown]
            party #0 MANUAL_REVIEW review code=8
            bidder verified MANUAL_REVIEW review code=8
            ",
        );
    }
}

/// A deal of a case opened by a registration, or without one; `after` seconds later it is judged.
#[track_caller]
fn check_deal(
    opened: Option<&str>,
    registered: Option<&str>,
    judged_after_seconds: i64,
    expected_flag: &str,
) {
    let mut world = row(BARRED).with([]);
    let deal = event("land/deal", NOW, [firm(Role::LandBidder, 1)]);
    let subject = subject_key(&deal.subjects[0], deal.occurred_at, world.book.simplify());
    if let Some(at) = registered {
        world.case.record([CaseCheck {
            subject: subject.expect("a key"),
            stage: "register".into(),
            at: on(at),
        }]);
    }
    if let Some(at) = opened {
        world.case.opened_at = Some(on(at));
    }
    world.check_at(
        &deal,
        deal.occurred_at.plus_seconds(judged_after_seconds),
        &format!("event PASS\nparty #0 PASS\nland_bidder verified PASS{expected_flag}"),
    );
}

#[test]
fn a_missing_check_is_flagged_after_ten_minutes_and_changes_no_outcome() {
    let missing = " [missing_check:register]";
    check_deal(None, None, 599, "");
    check_deal(None, None, 600, missing);
    check_deal(None, Some("2026-05-20 10:00"), 600, "");
    // A check that arrives within the ten minutes, or took place within them, was made.
    check_deal(None, Some("2026-06-01 10:10"), 600, "");
    check_deal(None, Some("2026-06-01 10:11"), 660, missing);
}

#[test]
fn cases_opened_before_going_live_are_not_asked() {
    // The scenario goes live on 1 April 2026.
    check_deal(Some("2026-03-31 23:59"), None, 600, "");
    check_deal(
        Some("2026-04-01 00:00"),
        None,
        600,
        " [missing_check:register]",
    );
}

#[test]
fn the_check_of_another_subject_is_not_this_ones() {
    let mut world = row(BARRED).with([]);
    let other = firm(Role::LandBidder, 2);
    let deal: Event = event("land/deal", NOW, [firm(Role::LandBidder, 1)]);
    world.case.record([CaseCheck {
        subject: subject_key(&other, deal.occurred_at, world.book.simplify()).expect("a key"),
        stage: "register".into(),
        at: on("2026-05-20 10:00"),
    }]);
    world.check_at(
        &deal,
        on("2026-06-01 10:10"),
        "
        event PASS
        party #0 PASS
        land_bidder verified PASS [missing_check:register]
        ",
    );
}
