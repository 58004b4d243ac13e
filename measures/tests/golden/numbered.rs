//! The golden cases of spec 10, by number.

use creditgate_measures::Question;
use creditgate_measures::canonical::event_bytes;
use creditgate_measures::entry::Entry;
use creditgate_measures::event::{Event, Subject};
use creditgate_measures::identifier::{IdType, invented};
use creditgate_measures::verdict::Cause;
use creditgate_measures::vocabulary::{Outcome, Role, State, SubjectKind};

use crate::support::*;

#[test]
fn golden_01_a_consortium_falls_with_its_member_and_the_rival_stands() {
    // The row asks for bidders; a consortium member takes the rows of its party's lead role too.
    let world = row("
        id: P1
        lists: [B07]
        roles: [bidder]
    ")
    .with([listed("E1", "B07", uscc(2))]);
    let subjects = [
        of_party("一标", bidder(1)),
        of_party("一标", firm(Role::ConsortiumMember, 2)),
        of_party("二标", bidder(3)),
    ];
    world.check(
        &evaluation(subjects),
        "
        event PROHIBIT effect=PROHIBIT code=8
        party 一标 PROHIBIT effect=PROHIBIT code=8
        party 二标 PASS
        bidder verified PASS
        consortium_member verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier
        bidder verified PASS
        ",
    );
}

#[test]
fn golden_02_red_and_black_at_customs() {
    // 2 for red and 8 for black make 10. The black list burdens nothing here, so it stops nothing.
    let entries = || [listed("E1", "G02", uscc(1)), listed("E2", "B08", uscc(1))];
    let reward = |excluded_by: &str| {
        row(&format!(
            "id: R1
direction: incentive
effect: GREEN_CHANNEL
applies: [{{ scenario: customs, stages: [declare] }}]
lists: [G02]
excluded_by: {excluded_by}"
        ))
        .with(entries())
    };
    let declaration = event("customs/declare", NOW, [firm(Role::Applicant, 1)]);
    reward("[]").check(
        &declaration,
        "
        event PASS code=10
        party #0 PASS code=10
        applicant verified PASS code=10
          R1 offered GREEN_CHANNEL on E1 of G02 by identifier
        ",
    );
    reward("[{ list: B08, basis: { law: 某令, level: department_rule } }]").check(
        &declaration,
        "
        event PASS code=10
        party #0 PASS code=10
        applicant verified PASS code=10
          R1 withheld GREEN_CHANNEL (excluded_by:B08) on E1 of G02 by identifier
        ",
    );
}

#[test]
fn golden_03_repaired_between_the_evaluation_and_its_judgement() {
    let entry = then(
        listed("E1", "B07", uscc(1)),
        State::Repaired,
        "2026-06-01 10:00",
    );
    let world = row("
        id: P1
        lists: [B07]
    ")
    .with([entry]);
    let evaluated = event("tender/evaluate", "2026-06-01 09:00", [bidder(1)]);
    world.check_at(
        &evaluated,
        on("2026-06-01 11:00"),
        "
        event MANUAL_REVIEW review
        party #0 MANUAL_REVIEW review
        bidder verified MANUAL_REVIEW review [changed_since_event]
          unused E1 of B07 by identifier: repaired
        ",
    );
}

#[test]
fn golden_04_suspended_at_the_event_is_not_usable_after_the_suspension() {
    // Suspended from 1 to 20 June, so effective again from 21 June, 00:00.
    let suspended = then(
        listed("E1", "B07", uscc(1)),
        State::Suspended,
        "2026-06-01 00:00",
    );
    let world = row("
        id: P1
        lists: [B07]
    ")
    .with([then(suspended, State::Effective, "2026-06-21 00:00")]);
    let evaluated = event("tender/evaluate", "2026-06-05 10:00", [bidder(1)]);
    world.check_at(
        &evaluated,
        on("2026-06-21 10:00"),
        "
        event PASS [late]
        party #0 PASS
        bidder verified PASS
          unused E1 of B07 by identifier: suspended
        ",
    );
}

#[test]
fn golden_05_the_name_of_a_listed_firm_without_identifier_is_for_review() {
    let entry = Entry {
        identifier: Some(uscc(1)),
        ..listed_name("E1", "B07", "东方广贸有限公司")
    };
    let world = row("
        id: P1
        lists: [B07]
        effect: RESTRICT
    ")
    .with([entry]);
    // Bits are set by identifier only, so the code is 0.
    world.check(
        &evaluation([nameless(Role::Bidder, "东方广贸有限公司")]),
        "
        event MANUAL_REVIEW review proposed=RESTRICT
        party #0 MANUAL_REVIEW review proposed=RESTRICT
        bidder unverified MANUAL_REVIEW review proposed=RESTRICT [subject_unverified, name_only]
          P1 proposed RESTRICT (name_only) on E1 of B07 by name
        ",
    );
}

#[test]
fn golden_06_a_verified_firm_meets_an_entry_that_has_only_a_name() {
    let world = row("
        id: P1
        lists: [B07]
    ")
    .with([listed_name("E1", "B07", "东方广贸有限公司")]);
    world.check(
        &evaluation([named(bidder(1), "东方广贸有限公司")]),
        "
        event MANUAL_REVIEW review proposed=PROHIBIT
        party #0 MANUAL_REVIEW review proposed=PROHIBIT
        bidder verified MANUAL_REVIEW review proposed=PROHIBIT [name_only]
          P1 proposed PROHIBIT (name_only) on E1 of B07 by name
        ",
    );
}

#[test]
fn golden_07_a_repaired_entry_leaves_the_measure_standing_on_the_other() {
    let mut world = row("
        id: P1
        lists: [B01, B02]
    ")
    .with([listed("E1", "B01", uscc(1)), listed("E2", "B02", uscc(1))]);
    world.check(
        &evaluation([bidder(1)]),
        "
        event PROHIBIT effect=PROHIBIT code=8
        party #0 PROHIBIT effect=PROHIBIT code=8
        bidder verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B01 by identifier
          P1 effect PROHIBIT on E2 of B02 by identifier
        ",
    );
    world.put(&then(
        listed("E1", "B01", uscc(1)),
        State::Repaired,
        "2026-06-02 09:00",
    ));
    // The re-decision triggers the same measure, so nothing is to be lifted.
    world.check(
        &event("tender/evaluate", "2026-06-02 09:00", [bidder(1)]),
        "
        event PROHIBIT effect=PROHIBIT code=8
        party #0 PROHIBIT effect=PROHIBIT code=8
        bidder verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E2 of B02 by identifier
          unused E1 of B01 by identifier: repaired
        ",
    );
}

#[test]
fn golden_08_the_legal_representative_of_a_listed_firm_leaves_the_bidder_untouched() {
    let p = person(Role::LegalRepresentative, 1);
    let of_g = relation(
        Role::LegalRepresentative,
        identifier(IdType::Id18, &invented::person(1)),
    );
    let g = Entry {
        related: vec![of_g],
        ..listed("E1", "B07", uscc(2))
    };
    let world = row("
        id: P1
        lists: [B07]
        roles: [bidder]
        extends_to: [legal_representative]
    ")
    .with([g]);
    world.check(
        &evaluation([bidder(1), p]),
        "
        event PASS
        party #0 PASS
        bidder verified PASS
        legal_representative natural_person verified MANUAL_REVIEW review proposed=PROHIBIT
          P1 proposed PROHIBIT (protected) on E1 of B07 by related:legal_representative
        ",
    );
}

#[test]
fn golden_09_another_regions_list_holds_within_the_agreement_only() {
    let local = "
        code: B07
        reach: local
    ";
    let entry = || Entry {
        region: Some(region("220100")),
        ..listed("E1", "B07", uscc(1))
    };
    let in_shenyang = Event {
        region: region("210100"),
        ..evaluation([bidder(1)])
    };
    let measure = "
        id: P1
        lists: [B07]
    ";
    row(measure).list(local).with([entry()]).check(
        &in_shenyang,
        "
        event PASS
        party #0 PASS
        bidder verified PASS
          unused E1 of B07 by identifier: out_of_reach
        ",
    );
    let agreement = "
        id: A1
        lists: [B07]
        from: \"220100\"
        to: \"210000\"
    ";
    row(measure)
        .list(local)
        .agreement(agreement)
        .with([entry()])
        .check(
            &in_shenyang,
            "
            event HEIGHTENED_SCRUTINY effect=HEIGHTENED_SCRUTINY code=8
            party #0 HEIGHTENED_SCRUTINY effect=HEIGHTENED_SCRUTINY code=8
            bidder verified HEIGHTENED_SCRUTINY effect=HEIGHTENED_SCRUTINY code=8
              P1 effect HEIGHTENED_SCRUTINY (agreement:A1) on E1 of B07 by identifier
            ",
        );
}

#[test]
fn golden_10_a_late_event_and_a_listing_recorded_today() {
    // Judged on 2 June, 16:00: 30 hours before is 1 June, 10:00, and 31 hours before 09:00.
    let entry = Entry {
        valid_from: on("2026-06-01 09:00"),
        served_at: None,
        recorded_at: on("2026-06-02 15:00"),
        changes: vec![change(State::Effective, "2026-06-01 09:00")],
        ..listed("E1", "B07", uscc(1))
    };
    let world = row("
        id: P1
        lists: [B07]
    ")
    .with([entry]);
    world.check_at(
        &event("tender/evaluate", "2026-06-01 10:00", [bidder(1)]),
        on("2026-06-02 16:00"),
        "
        event MANUAL_REVIEW review proposed=PROHIBIT code=8 [late]
        party #0 MANUAL_REVIEW review proposed=PROHIBIT code=8
        bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (recorded_after_event) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn golden_11_the_order_of_attributes_changes_nothing() {
    let world = row("
        id: P1
        lists: [B07]
    ")
    .with([listed("E1", "B07", uscc(1))]);
    let attributes = [
        ("trade", "E47"),
        ("notice_no", "公告1"),
        ("notice_clause", "三"),
    ];
    let one = attributes
        .iter()
        .fold(evaluation([bidder(1)]), |e, (k, v)| with_text(e, k, v));
    let other = attributes
        .iter()
        .rev()
        .fold(evaluation([bidder(1)]), |e, (k, v)| with_text(e, k, v));
    assert_eq!(event_bytes(&one), event_bytes(&other));
    let at = one.occurred_at;
    let (one, other) = (
        world.judge(Question::about(&one), at),
        world.judge(Question::about(&other), at),
    );
    assert_eq!(one.verdict_id, other.verdict_id);
    assert_eq!(one.digest, other.digest);
    assert_eq!(told(&one), told(&other));
    assert_eq!(one.outcome(), Outcome::Prohibit);
}

#[test]
fn golden_12_listed_after_registration_the_deal_is_stopped_or_reviewed() {
    let listing = |entry: &str, list: &str| Entry {
        valid_from: on("2026-05-20 09:00"),
        served_at: Some(on("2026-05-20 09:00")),
        recorded_at: on("2026-05-20 09:00"),
        changes: vec![change(State::Effective, "2026-05-20 09:00")],
        ..listed(entry, list, uscc(1))
    };
    let land_bidder = || [firm(Role::LandBidder, 1)];
    let registration = event("land/register", "2026-05-10 09:00", land_bidder());
    let check = |force: &str, expected: &str| {
        let measure = format!(
            "id: P1\nforce: {force}\nlists: [B07]\n\
             applies: [{{ scenario: land, stages: [register, deal, supply] }}]"
        );
        let mut world = row(&measure).with([]);
        let standing = "
            event PASS
            party #0 PASS
            land_bidder verified PASS";
        world.check(&registration, standing);
        let first = world.judge(Question::about(&registration), registration.occurred_at);
        let subject = creditgate_measures::case::subject_key(
            &registration.subjects[0],
            registration.occurred_at,
            world.book.simplify(),
        )
        .expect("a key");
        world.case.record([creditgate_measures::case::CaseCheck {
            subject,
            stage: "register".into(),
            at: registration.occurred_at,
        }]);

        // The review stands at the next decisive stage, at the instant of the change.
        world.put(&listing("E1", "B07"));
        let review = Event {
            stage: "deal".into(),
            occurred_at: on("2026-05-20 09:00"),
            ..registration.clone()
        };
        let cause = Cause::ListChange(7);
        let question = Question {
            event: &review,
            cause: &cause,
            supersedes: Some(first.verdict_id),
            lists_behind: false,
        };
        let verdict = world.judge(question, review.occurred_at);
        assert_eq!(told(&verdict), dedent(expected));
        assert_ne!(verdict.verdict_id, first.verdict_id, "a slot of its own");
        assert_eq!(verdict.supersedes, Some(first.verdict_id));

        // Judged again today, the registration still passes: a listing is never applied backwards.
        world.check_at(
            &registration,
            on("2026-05-20 10:00"),
            "
            event PASS [late]
            party #0 PASS
            land_bidder verified PASS
              unused E1 of B07 by identifier: listed_after_the_fact
            ",
        );
    };
    check(
        "must",
        "
        event PROHIBIT effect=PROHIBIT code=8
        party #0 PROHIBIT effect=PROHIBIT code=8
        land_bidder verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier
        ",
    );
    check(
        "refer",
        "
        event MANUAL_REVIEW review proposed=PROHIBIT code=8
        party #0 MANUAL_REVIEW review proposed=PROHIBIT code=8
        land_bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (discretion) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn golden_13_a_row_that_ended_on_30_june_does_not_reach_1_july() {
    let world = row("
        id: P1
        lists: [B07]
        effective_to: \"2026-06-30\"
    ")
    .with([listed("E1", "B07", uscc(1))]);
    let evaluated = |when: &str| {
        let event = event("tender/evaluate", when, [bidder(1)]);
        with_text(event, "notice_published_at", "2026-05-10")
    };
    world.check(
        &evaluated("2026-07-01 00:00"),
        "
        event PASS code=8
        party #0 PASS code=8
        bidder verified PASS code=8
        ",
    );
    world.check(
        &evaluated("2026-06-30 23:59"),
        "
        event PROHIBIT effect=PROHIBIT code=8
        party #0 PROHIBIT effect=PROHIBIT code=8
        bidder verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier
        ",
    );
}

#[test]
fn golden_14_listed_at_17_is_never_usable() {
    // Born 2008-03-01: 17 at the listing of 2026-01-01, 18 at the event of 2026-06-01.
    let child = invented::id18(0, day("2008-03-01"));
    let entry = listed("E1", "B07", identifier(IdType::Id18, &child));
    let world = row("
        id: P1
        lists: [B07]
    ")
    .with([entry]);
    world.check(
        &evaluation([given(Role::Bidder, IdType::Id18, &child)]),
        "
        event PASS
        party #0 PASS
        bidder natural_person verified PASS
          unused E1 of B07 by identifier: minor
        ",
    );
}

#[test]
fn golden_15_a_misspelt_field_refuses_the_book() {
    let book = row("
        id: P1
        lists: [B07]
        when: event.amuont_fen > 5
    ");
    assert_eq!(
        book.load().expect_err("refused").to_string(),
        "the book is refused for 1 reason(s)\n\
         measures/own.yaml:4: P1: `when`: unknown field `event.amuont_fen`; \
         did you mean `event.amount_fen`?"
    );
}

#[test]
fn golden_16_stale_lists() {
    // The budget is 24 hours. B07 carries a row above HEIGHTENED_SCRUTINY, so it is needed.
    let both = row("
        id: P1
        lists: [B07]
    ")
    .row(
        "
        id: P2
        lists: [B02]
        effect: NOTICE
    ",
    );
    both.with([listed("E1", "B07", uscc(1))])
        .confirmed("B07", "2026-05-31 09:59")
        .check(
            &evaluation([bidder(1)]),
            "
            event MANUAL_REVIEW review proposed=PROHIBIT code=8 [lists_stale]
            not checked B07: stale
            party #0 MANUAL_REVIEW review proposed=PROHIBIT code=8
            bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8
              P1 proposed PROHIBIT (list_stale) on E1 of B07 by identifier
            ",
        );
    both.with([listed("E1", "B07", uscc(1))])
        .confirmed("B07", "2026-05-31 10:00")
        .check(
            &evaluation([bidder(1)]),
            "
            event PROHIBIT effect=PROHIBIT code=8
            party #0 PROHIBIT effect=PROHIBIT code=8
            bidder verified PROHIBIT effect=PROHIBIT code=8
              P1 effect PROHIBIT on E1 of B07 by identifier
            ",
        );
    // Confirmed by a clock that runs ahead: more than five minutes, and nobody knows how old it is.
    both.with([listed("E1", "B07", uscc(1))])
        .confirmed("B07", "2026-06-01 10:06")
        .check(
            &evaluation([bidder(1)]),
            "
            event MANUAL_REVIEW review proposed=PROHIBIT code=8 [lists_stale]
            not checked B07: stale
            party #0 MANUAL_REVIEW review proposed=PROHIBIT code=8
            bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8
              P1 proposed PROHIBIT (list_stale) on E1 of B07 by identifier
            ",
        );
    both.with([listed("E1", "B07", uscc(1))])
        .confirmed("B07", "2026-06-01 10:05")
        .check(
            &evaluation([bidder(1)]),
            "
            event PROHIBIT effect=PROHIBIT code=8
            party #0 PROHIBIT effect=PROHIBIT code=8
            bidder verified PROHIBIT effect=PROHIBIT code=8
              P1 effect PROHIBIT on E1 of B07 by identifier
            ",
        );
    both.with([listed("E2", "B02", uscc(1))])
        .confirmed("B02", "2026-01-01 00:00")
        .not_loaded("B08")
        .check(
            &evaluation([bidder(1)]),
            "
            event NOTICE effect=NOTICE code=8
            party #0 NOTICE effect=NOTICE code=8
            bidder verified NOTICE effect=NOTICE code=8
              P2 effect NOTICE on E2 of B02 by identifier
            ",
        );
}

#[test]
fn golden_17_the_last_day_is_included() {
    let entry = Entry {
        valid_to: Some(day("2028-01-14")),
        ..listed("E1", "B07", uscc(1))
    };
    let world = row("
        id: P1
        lists: [B07]
    ")
    .with([entry]);
    let evaluated = |when: &str| event("tender/evaluate", when, [bidder(1)]);
    let in_force = "
        event PROHIBIT effect=PROHIBIT code=8
        party #0 PROHIBIT effect=PROHIBIT code=8
        bidder verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier";
    world.check(&evaluated("2028-01-14 10:00"), in_force);
    world.check(&evaluated("2028-01-14T23:59:59.999999+08:00"), in_force);
    world.check(
        &evaluated("2028-01-15 00:00"),
        "
        event PASS
        party #0 PASS
        bidder verified PASS
          unused E1 of B07 by identifier: expired
        ",
    );
}

#[test]
fn golden_18_a_listed_firm_with_a_misspelt_name_is_held() {
    let entry = Entry {
        identifier: Some(uscc(1)),
        ..listed_name("E1", "B07", "东方广贸有限公司")
    };
    let world = row("
        id: P1
        lists: [B07]
    ")
    .with([entry]);
    world.check(
        &evaluation([named(bidder(1), "东方广茂有限公司")]),
        "
        event MANUAL_REVIEW review proposed=PROHIBIT code=8
        party #0 MANUAL_REVIEW review proposed=PROHIBIT code=8
        bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8 [name_differs]
          P1 proposed PROHIBIT (name_differs) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn golden_19_an_individual_business_is_never_stopped_by_the_machine() {
    let stall = invented::individual_business(1);
    let world = row("
        id: P1
        lists: [B07]
    ")
    .with([listed("E1", "B07", identifier(IdType::Uscc, &stall))]);
    let subject = Subject {
        kind: Some(SubjectKind::IndividualBusiness),
        ..given(Role::Bidder, IdType::Uscc, &stall)
    };
    world.check(
        &evaluation([subject]),
        "
        event MANUAL_REVIEW review proposed=PROHIBIT code=8
        party #0 MANUAL_REVIEW review proposed=PROHIBIT code=8
        bidder individual_business verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (protected) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn golden_20_a_lender_gets_a_notice_at_most() {
    let world = row("
        id: P1
        item: CREDIT_GRANT
        class: C
        force: own
        effect: NOTICE
        applies: [{ scenario: lending, stages: [before_loan, after_loan] }]
        lists: [B07]
    ")
    .with([listed("E1", "B07", uscc(1))]);
    let asked = |subject: Subject| event("lending/before_loan", NOW, [subject]);
    world.check(
        &asked(firm(Role::Borrower, 1)),
        "
        event NOTICE effect=NOTICE code=8
        party #0 NOTICE effect=NOTICE code=8
        borrower verified NOTICE effect=NOTICE code=8
          P1 effect NOTICE on E1 of B07 by identifier
        ",
    );
    // And never review, not even of somebody who cannot be identified.
    world.check(
        &asked(nameless(Role::Borrower, "东方广贸有限公司")),
        "
        event PASS
        party #0 PASS
        borrower unverified PASS [subject_unverified]
        ",
    );
}
