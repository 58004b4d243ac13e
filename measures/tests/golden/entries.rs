//! Which entries are usable, and how far they carry (spec 3).

use creditgate_measures::entry::{Entry, StateChange};
use creditgate_measures::event::Event;
use creditgate_measures::identifier::{IdType, invented};
use creditgate_measures::vocabulary::{Role, Severity, State};

use crate::support::*;

const BARRED: &str = "
    id: P1
    lists: [B07]
";

/// What the subject line and the lines under it say of a bid at [`NOW`] by the listed firm.
#[track_caller]
fn check(book: &Catalogue, entry: Entry, expected: &str) {
    check_event(book, entry, &evaluation([bidder(1)]), expected);
}

#[track_caller]
fn check_event(book: &Catalogue, entry: Entry, event: &Event, expected: &str) {
    let verdict = book.with([entry]).judge(
        creditgate_measures::Question::about(event),
        event.occurred_at,
    );
    let told = told(&verdict);
    let subject: Vec<&str> = told.lines().skip(2).collect();
    assert_eq!(subject.join("\n"), dedent(expected));
}

fn entry() -> Entry {
    listed("E1", "B07", uscc(1))
}

const STOPPED: &str = "
    bidder verified PROHIBIT effect=PROHIBIT code=8
      P1 effect PROHIBIT on E1 of B07 by identifier
";

fn unused(why: &str) -> String {
    format!("bidder verified PASS\n  unused E1 of B07 by identifier: {why}")
}

#[test]
fn only_an_effective_entry_is_usable() {
    let in_state = |state| Entry {
        changes: vec![change(state, "2026-01-01 00:00")],
        ..entry()
    };
    let book = row(BARRED);
    check(&book, in_state(State::Effective), STOPPED);
    for (state, why) in [
        (State::Proposed, "not_effective"),
        (State::Notified, "not_effective"),
        (State::Suspended, "suspended"),
        (State::Repaired, "repaired"),
        (State::Revoked, "revoked"),
    ] {
        check(&book, in_state(state), &unused(why));
    }
}

#[test]
fn a_revocation_that_reaches_back_frees_the_event_before_it_was_recorded() {
    let revoked = StateChange {
        to: State::Revoked,
        effective_at: on("2026-03-01 00:00"),
        recorded_at: on("2026-06-01 09:00"),
    };
    let entry = Entry {
        changes: vec![change(State::Effective, "2026-01-01 00:00"), revoked],
        ..entry()
    };
    check(&row(BARRED), entry, &unused("revoked"));
}

#[test]
fn an_entry_counts_from_the_later_of_its_begin_and_its_service() {
    let served = |when: &str| Entry {
        served_at: Some(on(when)),
        ..entry()
    };
    let book = row(BARRED);
    check(&book, served("2026-06-01 10:00"), STOPPED);
    check(
        &book,
        served("2026-06-01 10:01"),
        &unused("listed_after_the_fact"),
    );
    let begins = Entry {
        valid_from: on("2026-06-01 10:01"),
        ..entry()
    };
    check(&book, begins, &unused("listed_after_the_fact"));
}

#[test]
fn without_service_an_entry_recorded_after_the_event_is_for_review() {
    let recorded = |when: &str| Entry {
        served_at: None,
        recorded_at: on(when),
        ..entry()
    };
    check(&row(BARRED), recorded("2026-06-01 10:00"), STOPPED);
    check(
        &row(BARRED),
        recorded("2026-06-01 10:01"),
        "
        bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (recorded_after_event) on E1 of B07 by identifier
        ",
    );
    // Known before as proposed only, it was put in force after the event, back to a day before it.
    let put_in_force = |when: &str| {
        let mut entry = recorded("2026-05-01 10:00");
        entry.changes.last_mut().expect("a state").recorded_at = on(when);
        entry
    };
    check(&row(BARRED), put_in_force("2026-06-01 10:00"), STOPPED);
    check(
        &row(BARRED),
        put_in_force("2026-06-01 10:01"),
        "
        bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (recorded_after_event) on E1 of B07 by identifier
        ",
    );
    // Even a weak effect: the entry is for review.
    let scrutiny = row("
        id: P1
        effect: HEIGHTENED_SCRUTINY
        lists: [B07]
    ");
    check(
        &scrutiny,
        recorded("2026-06-01 10:01"),
        "
        bidder verified MANUAL_REVIEW effect=HEIGHTENED_SCRUTINY review code=8
          P1 effect HEIGHTENED_SCRUTINY (recorded_after_event) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn the_lists_longest_period_ends_the_day_before_the_same_date() {
    let three_years = row(BARRED).list(
        "
        code: B07
        max_period_months: 36
    ",
    );
    let since = |text: &str| Entry {
        valid_from: on(text),
        served_at: Some(on(text)),
        changes: vec![change(State::Effective, text)],
        ..entry()
    };
    // From 2 June 2023 the last of 36 months is 1 June 2026, the day of the event.
    check(&three_years, since("2023-06-02 00:00"), STOPPED);
    check(&three_years, since("2023-06-01 00:00"), &unused("expired"));
}

#[test]
fn the_earliest_end_counts() {
    let until = |valid_to: &str, display: &str| Entry {
        valid_to: Some(day(valid_to)),
        display_max_until: Some(day(display)),
        ..entry()
    };
    let book = row(BARRED);
    check(&book, until("2026-06-01", "2027-01-01"), STOPPED);
    check(&book, until("2027-01-01", "2026-06-01"), STOPPED);
    check(&book, until("2026-05-31", "2027-01-01"), &unused("expired"));
    check(&book, until("2027-01-01", "2026-05-31"), &unused("expired"));
}

#[test]
fn an_entry_without_any_end_is_for_review() {
    let book = row(BARRED).list(
        "
        code: B07
        without: until_performed
    ",
    );
    check(
        &book,
        entry(),
        "
        bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8 [no_end_date]
          P1 proposed PROHIBIT (no_end_date) on E1 of B07 by identifier
        ",
    );
    let ending = Entry {
        valid_to: Some(day("2027-01-01")),
        ..entry()
    };
    check(&book, ending, STOPPED);
}

#[test]
fn an_entry_that_ended_since_the_event_shows_only_the_review() {
    let world = |stage: &str| {
        row(&format!(
            "id: P1\nlists: [B07]\napplies: [{{ scenario: tender, stages: [{stage}] }}]"
        ))
        .with([Entry {
            valid_to: Some(day("2026-06-01")),
            ..entry()
        }])
    };
    let at = on("2026-06-02 09:00");
    world("evaluate").check_at(
        &evaluation([bidder(1)]),
        at,
        "
        event MANUAL_REVIEW review
        party #0 MANUAL_REVIEW review
        bidder verified MANUAL_REVIEW review [changed_since_event]
          unused E1 of B07 by identifier: expired
        ",
    );
    // A stage that is not decisive, or whose rows do not name the list, asks for nothing.
    let quiet = "
        event PASS
        party #0 PASS
        bidder verified PASS
          unused E1 of B07 by identifier: expired";
    world("bid").check_at(&event("tender/bid", NOW, [bidder(1)]), at, quiet);
    world("bid").check_at(&evaluation([bidder(1)]), at, quiet);
}

#[test]
fn a_person_is_18_from_the_day_after_the_birthday() {
    let listed_on = |act: Option<&str>, born: &str| {
        let person = invented::id18(0, day(born));
        let entry = Entry {
            act_date: act.map(day),
            ..listed("E1", "B07", identifier(IdType::Id18, &person))
        };
        (
            entry,
            evaluation([given(Role::Bidder, IdType::Id18, &person)]),
        )
    };
    let book = row(BARRED);
    let held = "
        bidder natural_person verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (protected) on E1 of B07 by identifier
    ";
    let minor = "
        bidder natural_person verified PASS
          unused E1 of B07 by identifier: minor
    ";
    // Listed on 1 January 2026.
    let (entry, event) = listed_on(None, "2007-12-31");
    check_event(&book, entry, &event, held);
    let (entry, event) = listed_on(None, "2008-01-01");
    check_event(&book, entry, &event, minor);
    // The act counts too.
    let (entry, event) = listed_on(Some("2025-12-31"), "2007-12-31");
    check_event(&book, entry, &event, minor);
}

#[test]
fn minor_severity_gives_notice() {
    let minor = Entry {
        severity: Some(Severity::Minor),
        ..entry()
    };
    check(
        &row(BARRED),
        minor,
        "
        bidder verified NOTICE effect=NOTICE code=8
          P1 effect NOTICE (minor_severity) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn severity_missing_without_default_is_for_review() {
    let book = row(BARRED).list(
        "
        code: B07
        without: default_severity
    ",
    );
    check(
        &book,
        entry(),
        "
        bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (severity_missing) on E1 of B07 by identifier
        ",
    );
    let general = Entry {
        severity: Some(Severity::General),
        ..entry()
    };
    check(&book, general, STOPPED);
}

#[test]
fn a_row_may_ask_for_a_severity() {
    let book = row("
        id: P1
        lists: [B07]
        severities: [serious]
    ");
    check(&book, entry(), STOPPED);
    let general = Entry {
        severity: Some(Severity::General),
        ..entry()
    };
    check(&book, general, "bidder verified PASS code=8");
}

#[test]
fn an_objection_mark_sends_a_strong_effect_to_an_official() {
    let objected = || Entry {
        objection_marked: true,
        ..entry()
    };
    check(
        &row(BARRED),
        objected(),
        "
        bidder verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (objection_marked) on E1 of B07 by identifier
        ",
    );
    let weak = row("
        id: P1
        lists: [B07]
        effect: HEIGHTENED_SCRUTINY
    ");
    check(
        &weak,
        objected(),
        "
        bidder verified HEIGHTENED_SCRUTINY effect=HEIGHTENED_SCRUTINY code=8
          P1 effect HEIGHTENED_SCRUTINY (objection_marked) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn a_black_list_below_department_rule_gives_notice_only() {
    let based_on = |level: &str| {
        row(BARRED).list(&format!(
            "code: B07\nbasis: [{{ law: 某文, level: {level} }}]"
        ))
    };
    check(&based_on("department_rule"), entry(), STOPPED);
    check(&based_on("central_document"), entry(), STOPPED);
    check(
        &based_on("paper"),
        entry(),
        "
        bidder verified NOTICE effect=NOTICE code=8
          P1 effect NOTICE (list_below_law) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn a_list_of_a_local_regulation_carries_inside_its_region() {
    let book = row(BARRED).list(
        "
        code: B07
        basis: [{ law: 某条例, level: local_regulation, region: \"320000\" }]
        reach: local
        default_region: \"320000\"
    ",
    );
    check(&book, entry(), STOPPED);
    let elsewhere = Event {
        region: region("330100"),
        ..evaluation([bidder(1)])
    };
    check_event(&book, entry(), &elsewhere, &unused("out_of_reach"));
}

const LOCAL: &str = "
    code: B07
    reach: local
";

/// The entry of a region, held against an event in Shenyang.
#[track_caller]
fn check_agreements(listed_in: &str, agreements: &[&str], expected: &str) {
    let book = agreements
        .iter()
        .fold(row(BARRED).list(LOCAL), |book, text| book.agreement(text));
    let entry = Entry {
        region: Some(region(listed_in)),
        ..entry()
    };
    let in_shenyang = Event {
        region: region("210100"),
        ..evaluation([bidder(1)])
    };
    check_event(&book, entry, &in_shenyang, expected);
}

const FROM_CHANGCHUN: &str = "
    id: A1
    lists: [B07]
    from: \"220100\"
    to: \"210100\"
";
const SCRUTINY: &str = "
    bidder verified HEIGHTENED_SCRUTINY effect=HEIGHTENED_SCRUTINY code=8
      P1 effect HEIGHTENED_SCRUTINY (agreement:A1) on E1 of B07 by identifier
";

#[test]
fn an_agreement_carries_more_only_by_a_local_regulation_of_the_events_region() {
    check_agreements("210100", &[], STOPPED);
    check_agreements("220100", &[FROM_CHANGCHUN], SCRUTINY);
    let by_regulation_of = |of: &str| {
        format!(
            "id: A1\nlists: [B07]\nfrom: \"220100\"\nto: \"210100\"\n\
             basis: [{{ law: 某条例, level: local_regulation, region: \"{of}\" }}]"
        )
    };
    check_agreements("220100", &[&by_regulation_of("210000")], STOPPED);
    check_agreements("220100", &[&by_regulation_of("220000")], SCRUTINY);
}

#[test]
fn an_agreement_holds_for_its_lists_its_days_and_its_direction() {
    let with = |line: &str| format!("{}\n{line}", dedent(FROM_CHANGCHUN));
    let out = unused("out_of_reach");
    check_agreements("220100", &[&with("effective_from: \"2026-06-02\"")], &out);
    check_agreements(
        "220100",
        &[&with("effective_from: \"2026-06-01\"")],
        SCRUTINY,
    );
    check_agreements("220100", &[&with("effective_to: \"2026-05-31\"")], &out);
    check_agreements("220200", &[FROM_CHANGCHUN], &out);
    let back = "id: A1\nlists: [B07]\nfrom: \"210100\"\nto: \"220100\"";
    check_agreements("220100", &[back], &out);
    let other_list = "id: A1\nlists: [B08]\nfrom: \"220100\"\nto: \"210100\"";
    check_agreements("220100", &[other_list], &out);
}

#[test]
fn agreements_are_not_transitive() {
    // Harbin's entries are recognised in Changchun, Changchun's in Shenyang; Harbin's not there.
    let to_changchun = "id: A0\nlists: [B07]\nfrom: \"230100\"\nto: \"220100\"";
    check_agreements(
        "230100",
        &[to_changchun, FROM_CHANGCHUN],
        &unused("out_of_reach"),
    );
}

#[test]
fn a_relation_found_on_an_entry_is_shown_with_its_path() {
    let g = Entry {
        related: vec![relation(Role::ActualController, uscc(1))],
        ..listed("E1", "B07", uscc(2))
    };
    // Without `extends_to` nothing spreads, and the relation is not listed itself: code 0.
    check(&row(BARRED), g.clone(), "bidder verified PASS");
    let extending = row("
        id: P1
        lists: [B07]
        kinds: [social_organisation]
        roles: [supplier]
        extends_to: [actual_controller]
    ");
    check(
        &extending,
        g,
        "
        bidder verified PROHIBIT effect=PROHIBIT
          P1 effect PROHIBIT on E1 of B07 by related:actual_controller
        ",
    );
}
