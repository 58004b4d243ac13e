//! When a row matches (spec 4).

use creditgate_measures::entry::Entry;
use creditgate_measures::event::{Event, Subject};
use creditgate_measures::identifier::{IdType, invented};
use creditgate_measures::vocabulary::{Role, SubjectKind};

use crate::support::*;

/// What the lines of the subjects say.
#[track_caller]
fn check(book: &Catalogue, entry: Entry, event: &Event, expected: &str) {
    let verdict = book.with([entry]).judge(
        creditgate_measures::Question::about(event),
        event.occurred_at,
    );
    let told = told(&verdict);
    let subject: Vec<&str> = told
        .lines()
        .filter(|line| !["event", "party"].iter().any(|word| line.starts_with(word)))
        .collect();
    assert_eq!(subject.join("\n"), dedent(expected));
}

fn entry() -> Entry {
    listed("E1", "B07", uscc(1))
}

const STOPPED: &str = "
    bidder verified PROHIBIT effect=PROHIBIT code=8
      P1 effect PROHIBIT on E1 of B07 by identifier
";
const UNTOUCHED: &str = "bidder verified PASS code=8";

fn proposed(why: &str) -> String {
    format!(
        "bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8\n  \
         P1 proposed PROHIBIT ({why}) on E1 of B07 by identifier"
    )
}

#[test]
fn scope_fits_differs_or_is_missing() {
    let scoped = row("
        id: P1
        lists: [B07]
        scoped: true
    ");
    let scope = |codes: &[&str]| Entry {
        scope: codes.iter().map(|code| (*code).into()).collect(),
        ..entry()
    };
    let plain = evaluation([bidder(1)]);
    let building = with_text(plain.clone(), "trade", "E47");
    check(&scoped, scope(&["trade:E47"]), &building, STOPPED);
    check(
        &scoped,
        scope(&["trade:E48", "trade:E47"]),
        &building,
        STOPPED,
    );
    check(&scoped, scope(&["trade:E48"]), &building, UNTOUCHED);
    check(
        &scoped,
        scope(&["trade:E47"]),
        &plain,
        &proposed("scope_missing"),
    );
    check(&scoped, scope(&[]), &building, &proposed("scope_missing"));
    check(&scoped, scope(&["region:320000"]), &plain, STOPPED);
    check(&scoped, scope(&["region:330000"]), &plain, UNTOUCHED);
    check(
        &scoped,
        scope(&["trade:E47", "region:330000"]),
        &building,
        UNTOUCHED,
    );
    let permit = Event {
        item_code: Some("0001".into()),
        ..plain.clone()
    };
    check(&scoped, scope(&["item:0001"]), &permit, STOPPED);
    check(&scoped, scope(&["item:0002"]), &permit, UNTOUCHED);
    let school = with_text(plain.clone(), "project_kind", "school");
    check(&scoped, scope(&["project:school"]), &school, STOPPED);
    check(&scoped, scope(&["project:bridge"]), &school, UNTOUCHED);
    // A row that is not scoped does not ask.
    let unscoped = row("
        id: P1
        lists: [B07]
    ");
    check(&unscoped, scope(&["trade:E48"]), &building, STOPPED);
}

#[test]
fn a_missing_scope_is_for_review_even_where_the_effect_is_weak() {
    let scoped = row("
        id: P1
        lists: [B07]
        effect: HEIGHTENED_SCRUTINY
        scoped: true
    ");
    check(
        &scoped,
        entry(),
        &evaluation([bidder(1)]),
        "
        bidder verified MANUAL_REVIEW effect=HEIGHTENED_SCRUTINY review code=8
          P1 effect HEIGHTENED_SCRUTINY (scope_missing) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn kinds_fit_differ_or_are_unknown() {
    let book = row("
        id: P1
        lists: [B07]
        kinds: [enterprise]
    ");
    let of_kind = |kind| evaluation([Subject { kind, ..bidder(1) }]);
    check(
        &book,
        entry(),
        &of_kind(Some(SubjectKind::Enterprise)),
        STOPPED,
    );
    check(
        &book,
        entry(),
        &of_kind(Some(SubjectKind::PublicInstitution)),
        "bidder public_institution verified PASS code=8",
    );
    check(
        &book,
        entry(),
        &of_kind(None),
        "
        bidder of unknown kind verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (kind_missing) on E1 of B07 by identifier
        ",
    );
    let saying = Entry {
        kind: Some(SubjectKind::Enterprise),
        ..entry()
    };
    check(&book, saying, &of_kind(None), STOPPED);
}

#[test]
fn a_required_attribute_that_is_missing_is_for_review() {
    let book = row("
        id: P1
        lists: [B07]
        required: [amount_fen]
        when: event.amount_fen >= 100000
    ");
    let worth = |amount_fen| Event {
        amount_fen,
        ..evaluation([bidder(1)])
    };
    check(&book, entry(), &worth(Some(100_000)), STOPPED);
    check(&book, entry(), &worth(Some(99_999)), UNTOUCHED);
    check(
        &book,
        entry(),
        &worth(None),
        &proposed("attribute_missing:amount_fen"),
    );
}

#[test]
fn a_condition_that_fails_at_run_time_is_for_review() {
    let book = row("
        id: P1
        lists: [B07]
        required: [amount_fen]
        when: event.amount_fen * 1000 > 5
    ");
    let event = Event {
        amount_fen: Some(i64::MAX),
        ..evaluation([bidder(1)])
    };
    check(
        &book,
        entry(),
        &event,
        "
        bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8 [condition_error]
          P1 proposed PROHIBIT (condition_error) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn conditions_see_event_subject_and_entry() {
    let book = |when: &str| row(&format!("id: P1\nlists: [B07]\nwhen: {when}"));
    let event = evaluation([bidder(1)]);
    check(
        &book(
            "event.region.startsWith('3205') && subject.role == 'bidder' && entry.repeat_count == 0",
        ),
        entry(),
        &event,
        STOPPED,
    );
    check(
        &book("entry.severity == 'minor'"),
        entry(),
        &event,
        UNTOUCHED,
    );
    check(
        &book("event.occurred_on >= '2026-06-02'"),
        entry(),
        &event,
        UNTOUCHED,
    );
}

#[test]
fn a_row_holds_in_its_region_only() {
    let book = |inside: &str| row(&format!("id: P1\nlists: [B07]\nregion: \"{inside}\""));
    let event = evaluation([bidder(1)]);
    check(&book("320000"), entry(), &event, STOPPED);
    check(&book("320505"), entry(), &event, UNTOUCHED);
    check(&book("330000"), entry(), &event, UNTOUCHED);
}

#[test]
fn a_row_must_be_in_force_at_the_notice_too() {
    let book = row("
        id: P1
        lists: [B07]
        effective_from: \"2026-05-15\"
    ");
    let noticed = |when| with_text(evaluation([bidder(1)]), "notice_published_at", when);
    check(&book, entry(), &evaluation([bidder(1)]), STOPPED);
    check(&book, entry(), &noticed("2026-05-15"), STOPPED);
    check(&book, entry(), &noticed("2026-05-14"), UNTOUCHED);
    // Permits follow no notice.
    let permit = row("
        id: P1
        lists: [B07]
        applies: [{ scenario: permit, stages: [decide] }]
        effective_from: \"2026-05-15\"
    ");
    let decided = event("permit/decide", NOW, [bidder(1)]);
    let noticed = with_text(decided, "notice_published_at", "2026-05-14");
    check(&permit, entry(), &noticed, STOPPED);
}

#[test]
fn a_row_of_the_notice_applies_where_the_event_carries_it() {
    let carried = |event: Event| {
        let numbered = with_text(event, "notice_no", "公告1");
        with_text(numbered, "notice_clause", "第三条")
    };
    let plain = || evaluation([bidder(1)]);
    let by_notice = row("
        id: P1
        lists: [B07]
        basis: [{ law: 招标公告, level: published_notice }]
    ");
    check(&by_notice, entry(), &carried(plain()), STOPPED);
    check(&by_notice, entry(), &plain(), UNTOUCHED);
    check(
        &by_notice,
        entry(),
        &with_text(plain(), "notice_no", "公告1"),
        UNTOUCHED,
    );
    // A department rule beside it does not carry the row, so the notice still has to be there.
    let beside_a_rule = row("
        id: P1
        lists: [B07]
        basis: [{ law: 某令, level: department_rule }, { law: 招标公告, level: published_notice }]
    ");
    check(&beside_a_rule, entry(), &carried(plain()), STOPPED);
    check(&beside_a_rule, entry(), &plain(), UNTOUCHED);
    let beside_a_law = row("
        id: P1
        lists: [B07]
        basis: [{ law: 某法, level: law }, { law: 招标公告, level: published_notice }]
    ");
    check(&beside_a_law, entry(), &plain(), STOPPED);
}

#[test]
fn a_recalled_row_waits_for_an_official_until_a_deployment_confirms_it() {
    let recalled = row("
        id: P1
        lists: [B07]
        confidence: recalled
    ");
    let event = evaluation([bidder(1)]);
    check(&recalled, entry(), &event, &proposed("recalled_row"));
    let confirmed = recalled.confirmations(
        "confirmations:\n  - { measure: P1, confirmed_by: 某局, document: 某局〔2026〕1号 }\n",
    );
    check(&confirmed, entry(), &event, STOPPED);
}

#[test]
fn a_row_without_publication_is_inactive_until_a_deployment_confirms_it() {
    let inactive = row("
        id: P1
        lists: [B07]
        without: published_at published_in effective_from
    ");
    let event = event("tender/bid", NOW, [bidder(1)]);
    check(&inactive, entry(), &event, UNTOUCHED);
    let at_bids = row("
        id: P1
        lists: [B07]
        applies: [{ scenario: tender, stages: [bid] }]
        without: published_at published_in effective_from
    ");
    check(&at_bids, entry(), &event, UNTOUCHED);
    let confirmed = at_bids.confirmations(
        "confirmations:\n  - { measure: P1, confirmed_by: 某局, document: 某局〔2026〕1号, \
         published_at: 2026-05-01, published_in: 公报, effective_from: 2026-05-02 }\n",
    );
    check(&confirmed, entry(), &event, STOPPED);
}

#[test]
fn a_row_may_need_no_entry() {
    let threshold = row("
        id: P1
        effect: REQUIRE_DOCUMENT
        required: [amount_fen]
        when: event.amount_fen > 1000
        without: item class
    ");
    let world = threshold.with([]);
    let large = Event {
        amount_fen: Some(1_001),
        ..evaluation([bidder(1)])
    };
    world.check(
        &large,
        "
        event REQUIRE_DOCUMENT effect=REQUIRE_DOCUMENT
        party #0 REQUIRE_DOCUMENT effect=REQUIRE_DOCUMENT
        bidder verified REQUIRE_DOCUMENT effect=REQUIRE_DOCUMENT
          P1 effect REQUIRE_DOCUMENT
        ",
    );
}

#[test]
fn lists_may_be_chosen_by_colour() {
    let book = row("
        id: P1
        lists_of: { colour: black, field: market }
    ");
    check(&book, entry(), &evaluation([bidder(1)]), STOPPED);
    check(
        &book,
        listed("E1", "A01", uscc(1)),
        &evaluation([bidder(1)]),
        "bidder verified PASS code=4",
    );
}

#[test]
fn a_relation_touches_the_party_only_with_reaches_party() {
    let reaching = row("
        id: P1
        lists: [B07]
        extends_to: [legal_representative]
        reaches_party: true
    ");
    let related = Entry {
        related: vec![relation(
            Role::LegalRepresentative,
            identifier(IdType::Id18, &invented::person(1)),
        )],
        ..listed("E1", "B07", uscc(2))
    };
    reaching.with([related]).check(
        &evaluation([bidder(1), person(Role::LegalRepresentative, 1)]),
        "
        event MANUAL_REVIEW review proposed=PROHIBIT
        party #0 MANUAL_REVIEW review proposed=PROHIBIT
        bidder verified PASS
        legal_representative natural_person verified MANUAL_REVIEW review proposed=PROHIBIT
          P1 proposed PROHIBIT (protected) on E1 of B07 by related:legal_representative
        ",
    );
}

#[test]
fn an_agent_touches_the_party_only_with_reaches_party() {
    let listed_agent = |reaches: bool| {
        row(&format!(
            "id: P1\nlists: [B07]\nroles: [agent]\nreaches_party: {reaches}"
        ))
        .with([listed("E1", "B07", uscc(2))])
    };
    let bid = evaluation([bidder(1), firm(Role::Agent, 2)]);
    listed_agent(false).check(
        &bid,
        "
        event PASS
        party #0 PASS
        bidder verified PASS
        agent verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier
        ",
    );
    listed_agent(true).check(
        &bid,
        "
        event PROHIBIT effect=PROHIBIT
        party #0 PROHIBIT effect=PROHIBIT
        bidder verified PASS
        agent verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier
        ",
    );
}
