//! Who a subject is (spec 2).

use creditgate_measures::entry::Entry;
use creditgate_measures::event::Subject;
use creditgate_measures::identifier::{IdType, Identifier, invented};
use creditgate_measures::vocabulary::{Role, SubjectKind};

use crate::support::*;

const BARRED: &str = "
    id: P1
    lists: [B07]
";

fn enterprise(id_type: IdType, value: &str) -> Subject {
    Subject {
        kind: Some(SubjectKind::Enterprise),
        ..given(Role::Bidder, id_type, value)
    }
}

/// The verdict on the evaluation of one bidder, without the lines that repeat the subject's.
#[track_caller]
fn check(entries: impl IntoIterator<Item = Entry>, subject: Subject, expected: &str) {
    check_at_stage("tender/evaluate", entries, subject, expected);
}

#[track_caller]
fn check_at_stage(
    place: &str,
    entries: impl IntoIterator<Item = Entry>,
    subject: Subject,
    expected: &str,
) {
    let world = row(BARRED).with(entries);
    let event = event(place, NOW, [subject]);
    let verdict = world.judge(
        creditgate_measures::Question::about(&event),
        event.occurred_at,
    );
    let told = told(&verdict);
    let subject: Vec<&str> = told.lines().skip(2).collect();
    assert_eq!(subject.join("\n"), dedent(expected));
}

const STOPPED: &str = "
    bidder verified PROHIBIT effect=PROHIBIT code=8
      P1 effect PROHIBIT on E1 of B07 by identifier
";

#[test]
fn an_organisation_code_finds_the_firm_listed_by_its_uscc() {
    let code = invented::org9(1);
    check(
        [listed("E1", "B07", uscc(1))],
        enterprise(IdType::Org9, &code),
        STOPPED,
    );
}

#[test]
fn a_uscc_finds_the_firm_listed_by_its_organisation_code() {
    let code = identifier(IdType::Org9, &invented::org9(1));
    check([listed("E1", "B07", code)], bidder(1), STOPPED);
}

#[test]
fn an_old_identity_number_is_the_new_one() {
    let birth = day("1970-05-05");
    let (old, new) = (invented::id15(1, birth), invented::id18(1, birth));
    let expected = "
        bidder natural_person verified MANUAL_REVIEW review proposed=PROHIBIT code=8
          P1 proposed PROHIBIT (protected) on E1 of B07 by identifier
    ";
    let by_old = listed("E1", "B07", identifier(IdType::Id15, &old));
    check([by_old], given(Role::Bidder, IdType::Id18, &new), expected);
    let by_new = listed("E1", "B07", identifier(IdType::Id18, &new));
    check([by_new], given(Role::Bidder, IdType::Id15, &old), expected);
}

#[test]
fn a_registration_number_linked_by_the_registry_is_verified() {
    let number = invented::reg15(7);
    let linking = Entry {
        aliases: vec![identifier(IdType::Reg15, &number)],
        ..listed("E0", "A01", uscc(1))
    };
    // The link is on one list, the listing on another: both are found.
    check(
        [linking, listed("E1", "B07", uscc(1))],
        enterprise(IdType::Reg15, &number),
        "
        bidder verified PROHIBIT effect=PROHIBIT code=12
          P1 effect PROHIBIT on E1 of B07 by identifier
        ",
    );
}

#[test]
fn an_organisation_without_a_link_is_reviewed_at_decisive_stages_only() {
    let number = invented::reg15(7);
    check(
        [],
        enterprise(IdType::Reg15, &number),
        "bidder unlinked MANUAL_REVIEW review [subject_unlinked]",
    );
    check_at_stage(
        "tender/bid",
        [],
        enterprise(IdType::Reg15, &number),
        "bidder unlinked PASS",
    );
    // A number that only the entry's own alias carries, without a USCC, is no link.
    let by_number = listed("E1", "B07", identifier(IdType::Reg15, &number));
    check(
        [by_number],
        enterprise(IdType::Reg15, &number),
        "
        bidder unlinked PROHIBIT effect=PROHIBIT review code=8 [subject_unlinked]
          P1 effect PROHIBIT on E1 of B07 by identifier
        ",
    );
}

#[test]
fn a_foreigner_with_a_passport_is_unlinked_without_review() {
    let passport = Subject {
        kind: Some(SubjectKind::NaturalPerson),
        ..given(Role::Bidder, IdType::Other, "E1234567")
    };
    check([], passport, "bidder natural_person unlinked PASS");
}

#[test]
fn no_valid_identifier_is_review_at_every_stage() {
    let expected = "bidder unverified MANUAL_REVIEW review [subject_unverified]";
    let placeholder = enterprise(IdType::Uscc, "000000000000000000");
    check([], placeholder.clone(), expected);
    check_at_stage("tender/bid", [], placeholder, expected);
    check([], nameless(Role::Bidder, "东方广贸有限公司"), expected);
}

#[test]
fn a_person_born_after_the_judgement_is_not_identified() {
    let unborn = invented::id18(0, day("2026-06-02"));
    check(
        [],
        given(Role::Bidder, IdType::Id18, &unborn),
        "bidder of unknown kind unverified MANUAL_REVIEW review [subject_unverified]",
    );
    let born_today = invented::id18(0, day("2026-06-01"));
    check(
        [],
        given(Role::Bidder, IdType::Id18, &born_today),
        "bidder natural_person verified PASS",
    );
}

#[test]
fn names_meet_in_one_normal_form() {
    let listed = || Entry {
        identifier: Some(uscc(1)),
        ..listed_name("E1", "B07", "东方贸易(广州)有限公司")
    };
    let found = "
        bidder unverified MANUAL_REVIEW review proposed=PROHIBIT [subject_unverified, name_only]
          P1 proposed PROHIBIT (name_only) on E1 of B07 by name
    ";
    for name in [
        "東方貿易（廣州）有限公司",
        "东方贸易【广州】有限公司",
        " 东方贸易(广州)　有限公司",
    ] {
        check([listed()], nameless(Role::Bidder, name), found);
    }
    check(
        [listed()],
        nameless(Role::Bidder, "东方贸易广州有限公司"),
        "bidder unverified MANUAL_REVIEW review [subject_unverified]",
    );
}

#[test]
fn a_former_name_is_a_known_name() {
    let renamed = || Entry {
        identifier: Some(uscc(1)),
        former_names: vec![creditgate_measures::event::Sensitive::new("旧名有限公司")],
        ..listed_name("E1", "B07", "新名有限公司")
    };
    check([renamed()], named(bidder(1), "旧名有限公司"), STOPPED);
    check(
        [renamed()],
        nameless(Role::Bidder, "旧名有限公司"),
        "
        bidder unverified MANUAL_REVIEW review proposed=PROHIBIT [subject_unverified, name_only]
          P1 proposed PROHIBIT (name_only) on E1 of B07 by name
        ",
    );
}

#[test]
fn a_verified_firm_is_not_confused_with_its_namesake() {
    let namesake = Entry {
        identifier: Some(uscc(2)),
        ..listed_name("E1", "B07", "东方广贸有限公司")
    };
    check(
        [namesake],
        named(bidder(1), "东方广贸有限公司"),
        "bidder verified PASS",
    );
}

#[test]
fn a_person_is_never_looked_up_by_name() {
    let entry = || Entry {
        identifier: Some(identifier(IdType::Id18, &invented::person(1))),
        ..listed_name("E1", "B07", "张三")
    };
    let unnamed = Entry {
        kind: Some(SubjectKind::NaturalPerson),
        ..listed_name("E2", "B07", "张三")
    };
    check(
        [entry(), unnamed],
        named(person(Role::Bidder, 2), "张三"),
        "bidder natural_person verified PASS",
    );
    check(
        [entry()],
        nameless(Role::Bidder, "张三"),
        "bidder unverified MANUAL_REVIEW review [subject_unverified]",
    );
}

#[test]
fn a_code_beginning_92_is_an_individual_business_whatever_the_caller_says() {
    let stall = invented::individual_business(1);
    check(
        [listed("E1", "B07", identifier(IdType::Uscc, &stall))],
        enterprise(IdType::Uscc, &stall),
        "
        bidder individual_business verified MANUAL_REVIEW review proposed=PROHIBIT code=8 [kind_conflict]
          P1 proposed PROHIBIT (protected) on E1 of B07 by identifier
        ",
    );
    check(
        [],
        given(Role::Bidder, IdType::Uscc, &stall),
        "bidder individual_business verified PASS",
    );
}

#[test]
fn an_entry_may_say_that_the_subject_is_an_individual_business() {
    let entry = Entry {
        kind: Some(SubjectKind::IndividualBusiness),
        ..listed("E1", "B07", uscc(1))
    };
    check(
        [entry],
        bidder(1),
        "
        bidder individual_business verified MANUAL_REVIEW review proposed=PROHIBIT code=8 [kind_conflict]
          P1 proposed PROHIBIT (protected) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn an_identity_number_makes_a_person_whatever_the_caller_says() {
    check(
        [],
        enterprise(IdType::Id18, &invented::person(1)),
        "bidder natural_person verified PASS [kind_conflict]",
    );
}

#[test]
fn another_number_of_unknown_kind_is_protected() {
    let other = || -> Identifier { identifier(IdType::Other, "E1234567") };
    check_at_stage(
        "tender/evaluate",
        [listed("E1", "B07", other())],
        given(Role::Bidder, IdType::Other, "E1234567"),
        "
        bidder of unknown kind unlinked MANUAL_REVIEW review proposed=PROHIBIT code=8 [subject_unlinked]
          P1 proposed PROHIBIT (protected) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn a_uscc_whose_inner_code_fails_is_valid_and_flagged() {
    // GB 32100 checks the whole; the inner organisation code of this one has another check digit.
    let code = broken_inner();
    check(
        [],
        enterprise(IdType::Uscc, &code),
        "bidder verified PASS [inner_org_code]",
    );
}

/// A USCC whose outer check digit holds over an inner code that does not.
fn broken_inner() -> String {
    let good = invented::uscc(1);
    let inner_check = good.as_bytes()[16];
    let alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    alphabet
        .chars()
        .filter(|c| *c as u8 != inner_check)
        .flat_map(|inner| {
            let good = good.clone();
            alphabet
                .chars()
                .map(move |outer| format!("{}{inner}{outer}", &good[..16]))
        })
        .find(|code| {
            Identifier::parse(IdType::Uscc, code, None).is_ok_and(|i| !i.inner_org_code_holds())
        })
        .expect("one outer digit fits")
}

#[test]
fn a_name_that_only_another_entry_contradicts_does_not_free_the_firm() {
    // E1 names nobody, so there are not two names to differ; E2 adds a doubt of its own only.
    let other_name = Entry {
        identifier: Some(uscc(1)),
        ..listed_name("E2", "A01", "西方有限公司")
    };
    check(
        [listed("E1", "B07", uscc(1)), other_name],
        named(bidder(1), "东方广贸有限公司"),
        "
        bidder verified PROHIBIT effect=PROHIBIT code=12 [name_differs]
          P1 effect PROHIBIT on E1 of B07 by identifier
        ",
    );
}
