//! What refuses a book: one counter-example for each rule, and the message that names file, line,
//! rule and mend.
//!
//! In these tests line 1 of a file is its heading, and an item begins on line 2.

mod support;

use support::{Catalogue, dedent, row};

/// The book is refused for exactly these reasons.
#[track_caller]
fn check(book: &Catalogue, expected: &str) {
    let errors = match book.load() {
        Ok(_) => panic!("the book loads"),
        Err(errors) => errors,
    };
    let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    let expected = dedent(expected);
    assert_eq!(told, expected, "\n--- seen:\n{told}\n");
}

#[track_caller]
fn check_row(text: &str, expected: &str) {
    check(&row(text), expected);
}

#[track_caller]
fn loads(book: &Catalogue) {
    book.load().unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn the_plain_row_loads() {
    loads(&row("
        id: P1
        lists: [B07]
    "));
}

#[test]
fn no_measure_without_published_law() {
    check_row(
        "
        id: P1
        effect: NOTICE
        lists: [B07]
        without: basis
        ",
        "measures/own.yaml:2: P1: the row has no basis: no measure without published law; add its `basis`",
    );
}

#[test]
fn class_a_or_b_above_notice_needs_an_item() {
    for class in ["A", "B"] {
        check_row(
            &format!("id: P1\nclass: {class}\nlists: [B07]\nwithout: item"),
            "measures/own.yaml:2: P1: a row of class A or B above NOTICE has no item of the national edition; add `item`",
        );
        loads(&row(&format!(
            "id: P1\nclass: {class}\neffect: NOTICE\nlists: [B07]\nwithout: item"
        )));
    }
}

#[test]
fn class_a_or_b_above_notice_needs_more_than_a_department_rule() {
    let told = "measures/own.yaml:2: P1: a row of class A or B above NOTICE rests on less than law, \
administrative regulation, central document or local regulation; add such a basis, or write `effect: NOTICE`";
    let based_on = |basis: &str| row(&format!("id: P1\nlists: [B07]\nbasis: {basis}"));
    check(&based_on("[{ law: 某令, level: department_rule }]"), told);
    check(&based_on("[{ law: 某文, level: paper }]"), told);
    for level in [
        "law",
        "administrative_regulation",
        "central_document",
        "published_notice",
    ] {
        loads(&based_on(&format!("[{{ law: 某文, level: {level} }}]")));
    }
    // Of several bases the highest counts.
    loads(&based_on(
        "[{ law: 某令, level: department_rule }, { law: 某法, level: law }]",
    ));
    loads(&row(
        "id: P1\neffect: NOTICE\nlists: [B07]\nbasis: [{ law: 某令, level: department_rule }]",
    ));
}

#[test]
fn the_item_must_be_one_of_the_edition_and_of_its_class() {
    check_row(
        "
        id: P1
        item: FISHING
        lists: [B07]
        ",
        "measures/own.yaml:2: P1: item `FISHING` is not in the national edition; \
write one of CREDIT_GRANT, MKT_ENTRY, SUPERVISION",
    );
    check_row(
        "
        id: P1
        class: B
        lists: [B07]
        ",
        "measures/own.yaml:2: P1: item `MKT_ENTRY` is of class A; write `class: A`",
    );
}

#[test]
fn a_strong_penalty_on_an_entry_has_a_class() {
    check_row(
        "
        id: P1
        lists: [B07]
        without: item class
        ",
        "measures/own.yaml:2: P1: a penalty above NOTICE that turns on an entry has no class; add `item` and `class`",
    );
}

#[test]
fn class_c_goes_no_further_than_notice() {
    check_row(
        "
        id: P1
        item: CREDIT_GRANT
        class: C
        effect: HEIGHTENED_SCRUTINY
        lists: [B07]
        ",
        "measures/own.yaml:2: P1: a row of class C goes above NOTICE: third parties decide for themselves; \
write `effect: NOTICE`",
    );
}

#[test]
fn a_third_party_scenario_goes_no_further_than_notice() {
    check_row(
        "
        id: P1
        effect: RESTRICT
        applies: [{ scenario: lending, stages: [before_loan] }]
        lists: [B07]
        ",
        "measures/own.yaml:2: P1: a row of a third-party scenario goes above NOTICE; \
write `effect: NOTICE`, or leave the scenario out",
    );
}

#[test]
fn a_row_is_published_before_it_is_in_force() {
    check_row(
        "
        id: P1
        lists: [B07]
        published_at: \"2026-05-02\"
        effective_from: \"2026-05-01\"
        ",
        "measures/own.yaml:2: P1: the row is in force before it was published; \
write an `effective_from` on or after `published_at`",
    );
    loads(&row("
        id: P1
        lists: [B07]
        published_at: \"2026-05-01\"
        effective_from: \"2026-05-01\"
    "));
    check_row(
        "
        id: P1
        lists: [B07]
        without: effective_from
        ",
        "measures/own.yaml:2: P1: the row says when it was published and not from when it holds; add `effective_from`",
    );
    check_row(
        "
        id: P1
        lists: [B07]
        effective_from: \"2026-05-02\"
        effective_to: \"2026-05-01\"
        ",
        "measures/own.yaml:2: P1: the row ends before it begins; mend `effective_from` or `effective_to`",
    );
}

#[test]
fn a_local_regulation_holds_inside_its_region() {
    let told = "measures/own.yaml:2: P1: a row that rests on a local regulation reaches beyond the region of its \
legislature; add `region`, inside the region of the basis";
    let of_jiangsu = |line: &str| {
        row(&format!(
            "id: P1\nlists: [B07]\nbasis: [{{ law: 某条例, level: local_regulation, region: \"320000\" }}]{line}"
        ))
    };
    check(&of_jiangsu(""), told);
    check(&of_jiangsu("\nregion: \"330000\""), told);
    check(&of_jiangsu("\nregion: \"100000\""), told);
    loads(&of_jiangsu("\nregion: \"320500\""));
    check_row(
        "
        id: P1
        lists: [B07]
        basis:
          - { law: 某条例, level: local_regulation }
        region: \"320000\"
        ",
        "measures/own.yaml:5: P1: a local regulation holds in the region of its legislature, and none is named; \
add `region` to the basis",
    );
}

#[test]
fn a_published_notice_carries_rows_of_scenarios_that_follow_one() {
    let told = "measures/own.yaml:2: P1: a published notice carries rows of land, tender and procurement only; \
leave the other scenarios out, or add another basis";
    let permit = |basis: &str| {
        row(&format!(
            "id: P1\nlists: [B07]\napplies: [{{ scenario: permit, stages: [decide] }}]\nbasis: {basis}"
        ))
    };
    check(&permit("[{ law: 公告, level: published_notice }]"), told);
    check(
        &permit("[{ law: 某令, level: department_rule }, { law: 公告, level: published_notice }]"),
        told,
    );
    loads(&permit(
        "[{ law: 某法, level: law }, { law: 公告, level: published_notice }]",
    ));
}

#[test]
fn unknown_words_are_named_with_their_line() {
    let words = [
        (
            "lists: [B77]",
            "unknown list `B77`; name a list of the book, or define it under `lists/`",
        ),
        (
            "lists_of: { colour: red, field: fishery }",
            "`lists_of` chooses no list; name a colour and field that lists of the book have",
        ),
        (
            "lists_of: { colour: green }",
            "unknown colour `green`; write one of red, attention, black",
        ),
        (
            "applies: [{ scenario: lottery, stages: [draw] }]",
            "unknown scenario `lottery`; name a scenario of the book",
        ),
        (
            "applies: [{ scenario: tender, stages: [evaluated] }]",
            "unknown stage `evaluated` of `tender`; \
write one of register, prequalify, bid, evaluate, award, contract",
        ),
        (
            "severities: [grave]",
            "unknown severity `grave`; write one of minor, general, serious",
        ),
        (
            "kinds: [firm]",
            "unknown kind of subject `firm`; write one of enterprise, individual_business, \
public_institution, government_body, social_organisation, natural_person",
        ),
        (
            "roles: [seller]",
            "unknown role `seller`; write one of applicant, bidder, consortium_member, supplier, \
land_bidder, agent, subcontractor, candidate, borrower, evaluator, guarantor, legal_representative, \
principal, responsible_person, actual_controller",
        ),
        (
            "extends_to: [spouse]",
            "unknown relation `spouse`; write one of legal_representative, principal, \
responsible_person, actual_controller",
        ),
        (
            "extends_to: [agent]",
            "unknown relation `agent`; write one of legal_representative, principal, \
responsible_person, actual_controller",
        ),
        (
            "region: \"3205\"",
            "`3205` is not a region; write the six digits of GB/T 2260, in quotes",
        ),
        (
            "required: [colour]",
            "required attribute `colour` is not declared; declare it in every scenario of the row",
        ),
        (
            "direction: punishment",
            "unknown direction `punishment`; write one of penalty, incentive",
        ),
        ("class: D", "unknown class `D`; write one of A, B, C"),
        (
            "force: shall",
            "unknown force `shall`; write one of must, may, factor, refer, own",
        ),
        (
            "effect: PRIORITY",
            "unknown penalty effect `PRIORITY`; write one of NOTICE, HEIGHTENED_SCRUTINY, \
REQUIRE_DOCUMENT, RESTRICT, PROHIBIT",
        ),
        (
            "basis: [{ law: 某法, level: statute }]",
            "unknown level of basis `statute`; write one of law, administrative_regulation, \
central_document, local_regulation, department_rule, published_notice, paper",
        ),
        (
            "confidence: sure",
            "unknown confidence `sure`; write one of verified, recalled",
        ),
    ];
    for (line, told) in words {
        check_row(
            &format!("id: P1\n{line}"),
            &format!("measures/own.yaml:3: P1: {told}"),
        );
    }
}

#[test]
fn an_attribute_must_be_one_of_every_scenario_of_the_row() {
    // Lending, here without any attribute, does not declare `trade`.
    let lending = "scenario: lending\ntitle: { zh: 信贷, en: lending }\nactor: third_party\n\
stages:\n  - { code: before_loan, title: { zh: 贷前, en: before } }\n";
    check(
        &row("
            id: P1
            effect: NOTICE
            applies: [{ scenario: tender, stages: [bid] }, { scenario: lending, stages: [before_loan] }]
            lists: [B07]
            required: [trade]
        ")
        .file("scenarios/lending.yaml", lending),
        "measures/own.yaml:6: P1: required attribute `trade` is not declared; \
declare it in every scenario of the row",
    );
}

#[test]
fn a_row_applies_somewhere() {
    check_row(
        "
        id: P1
        lists: [B07]
        applies: []
        ",
        "measures/own.yaml:2: P1: the row applies nowhere; add a scenario to `applies`",
    );
}

#[test]
fn conditions_are_checked_when_the_book_loads() {
    let check = |when: &str, told: &str| {
        check_row(
            &format!("id: P1\nlists: [B07]\nwhen: {when}"),
            &format!("measures/own.yaml:4: P1: `when`: {told}"),
        );
    };
    check(
        "event.amuont_fen > 5",
        "unknown field `event.amuont_fen`; did you mean `event.amount_fen`?",
    );
    check(
        "event.amount_fen > 5",
        "`event.amount_fen` is optional and read without a guard; \
write `has(event.amount_fen) && …` in front of it",
    );
    check(
        "subject.role > 5",
        "`>` takes two values of one type, but `subject.role` is a string and `5` is an int; \
use the same type on both sides",
    );
    check(
        "entry.repeat_count",
        "the condition is an int, not a bool; make it a question, such as a comparison",
    );
    check(
        "event.region ==",
        "the condition ends too early; finish the expression, or close its brackets and quotes",
    );
    loads(&row("
        id: P1
        lists: [B07]
        when: has(event.amount_fen) && event.amount_fen > 5
    "));
}

#[test]
fn the_line_of_a_condition_is_found_inside_a_block() {
    check_row(
        "
        id: P1
        lists: [B07]
        when: |
          event.region == '320500' &&
          event.amuont_fen > 5
        ",
        "measures/own.yaml:6: P1: `when`: unknown field `event.amuont_fen`; did you mean `event.amount_fen`?",
    );
}

#[test]
fn a_row_without_entry_has_no_entry_to_ask() {
    check_row(
        "
        id: P1
        effect: NOTICE
        when: entry.repeat_count > 1
        without: item class
        ",
        "measures/own.yaml:4: P1: `when`: `entry` does not exist in a row that needs no entry; \
name lists in the row, or ask about event and subject",
    );
    for line in [
        "scoped: true",
        "extends_to: [principal]",
        "severities: [minor]",
    ] {
        check_row(
            &format!("id: P1\neffect: NOTICE\n{line}\nwithout: item class"),
            "measures/own.yaml:2: P1: a row that names no list has no entry to ask for scope, relations or severity; \
name its lists, or remove `scoped`, `extends_to` and `severities`",
        );
    }
}

#[test]
fn excluded_by_belongs_to_incentives() {
    check_row(
        "
        id: P1
        lists: [B07]
        excluded_by: [{ list: B08, basis: { law: 某令, level: department_rule } }]
        ",
        "measures/own.yaml:2: P1: `excluded_by` belongs to incentives; remove it",
    );
    check_row(
        "
        id: R1
        direction: incentive
        effect: PRIORITY
        lists: [G02]
        excluded_by: [{ list: B88, basis: { law: 某令, level: department_rule } }]
        ",
        "measures/own.yaml:6: R1: unknown list `B88`; name a list of the book, or define it under `lists/`",
    );
}

#[test]
fn a_row_shows_its_cases_and_they_pass() {
    check_row(
        "
        id: P1
        lists: [B07]
        without: cases
        ",
        "measures/own.yaml:2: P1: the row has no case; add one that matches and one that just does not",
    );
    check_row(
        "
        id: P1
        lists: [B07]
        force: may
        cases:
          - name: whoever is listed
            expect: proposed PROHIBIT
          - name: whoever is listed, once more
            expect: effect PROHIBIT
          - { name: in a bad year, event: { occurred_at: 2026-13-01 }, expect: no match }
        ",
        "
        measures/own.yaml:8: P1: case `whoever is listed, once more` expects `effect PROHIBIT` and gets `proposed PROHIBIT`; mend the row or the case
        measures/own.yaml:10: P1: case `in a bad year` cannot be judged: `2026-13-01` is not a time; mend the case
        ",
    );
}

#[test]
fn versions_of_a_row_do_not_overlap() {
    let version =
        |from: &str, to: &str| format!("id: P1\nlists: [B07]\neffective_from: \"{from}\"\n{to}");
    let until = "effective_to: \"2026-06-30\"";
    let overlapping = row(&version("2026-01-01", until)).row(&version("2026-06-30", ""));
    // The first row takes 18 lines, its last day included.
    let line = line_of(&overlapping, "effective_from: \"2026-06-30\"") - 2;
    check(
        &overlapping,
        &format!(
            "measures/own.yaml:{line}: P1: the row overlaps another version of itself in time; \
end the earlier version before this one begins"
        ),
    );
    loads(&row(&version("2026-01-01", until)).row(&version("2026-07-01", "")));
}

/// The line of `measures/own.yaml` on which this stands.
fn line_of(book: &Catalogue, text: &str) -> usize {
    let files = book.files();
    let file = files.iter().find(|file| file.path == "measures/own.yaml");
    let at = file.and_then(|file| file.text.lines().position(|line| line.contains(text)));
    at.expect("the text stands in the file") + 1
}

#[test]
fn a_list_is_well_formed() {
    let measure = "
        id: P1
        lists: [B07]
    ";
    let check_list = |text: &str, expected: &str| check(&row(measure).list(text), expected);
    check_list(
        "
        code: B50
        without: basis
        ",
        "lists/own.yaml:2: B50: the list has no basis; add its `basis`",
    );
    check_list(
        "
        code: B50
        max_period_months: 36
        until_performed: true
        ",
        "lists/own.yaml:2: B50: a list has either `max_period_months` or `until_performed`; remove one of the two",
    );
    check_list(
        "
        code: B50
        colour: green
        ",
        "lists/own.yaml:3: B50: unknown colour `green`; write one of red, attention, black",
    );
    check_list(
        "
        code: B50
        reach: provincial
        ",
        "lists/own.yaml:3: B50: unknown reach `provincial`; write one of national, local",
    );
    check_list(
        "
        code: B50
        kind: notice
        ",
        "lists/own.yaml:3: B50: unknown kind of list `notice`; write one of list, decision",
    );
    check_list(
        "
        code: B50
        default_region: Suzhou
        ",
        "lists/own.yaml:3: B50: `Suzhou` is not a region; write the six digits of GB/T 2260, in quotes",
    );
}

#[test]
fn nothing_stands_twice() {
    let measure = "
        id: P1
        lists: [B50]
    ";
    let list = "code: B50";
    let twice = row(measure).list(list).list(list);
    check(
        &twice,
        "lists/own.yaml:13: B50: the list stands twice; remove one",
    );
    let tender = row(measure).list(list).files();
    let tender = tender
        .iter()
        .find(|f| f.path == "scenarios/tender.yaml")
        .expect("tender");
    check(
        &row(measure)
            .list(list)
            .file("scenarios/tender2.yaml", &tender.text),
        "scenarios/tender2.yaml:1: tender: the scenario stands twice; remove one",
    );
    let agreement = "id: A1\nlists: [B50]\nfrom: \"220100\"\nto: \"210100\"";
    check(
        &row(measure)
            .list(list)
            .agreement(agreement)
            .agreement(agreement),
        "agreements/own.yaml:8: A1: the agreement stands twice; remove one",
    );
}

#[test]
fn an_agreement_is_well_formed() {
    let check_agreement = |text: &str, expected: &str| {
        check(&row("id: P1\nlists: [B07]").agreement(text), expected);
    };
    check_agreement(
        "
        id: A1
        lists: [B77]
        from: \"220100\"
        to: Shenyang
        without: basis
        ",
        "
        agreements/own.yaml:2: A1: the agreement has no basis; add its `basis`
        agreements/own.yaml:3: A1: unknown list `B77`; name a list of the book, or define it under `lists/`
        agreements/own.yaml:5: A1: `Shenyang` is not a region; write the six digits of GB/T 2260, in quotes
        ",
    );
}

#[test]
fn a_scenario_keeps_the_fixed_names() {
    let scenario = |code: &str, rest: &str| {
        row("id: P1\nlists: [B07]").file(
            "scenarios/x.yaml",
            &format!("scenario: {code}\ntitle: {{ zh: 场景, en: scenario }}\nactor: public\nstages:\n{rest}"),
        )
    };
    let stage = |code: &str| format!("  - {{ code: {code}, title: {{ zh: 阶段, en: stage }} }}\n");
    check(
        &scenario("lottery", &stage("draw")),
        "scenarios/x.yaml:1: lottery: unknown scenario `lottery`; write one of permit, tender, land, procurement, \
funding, honour, appointment, qualification, inspection, lending, business_registration, customs, residence",
    );
    check(
        &scenario("residence", &(stage("review") + &stage("apply"))),
        "scenarios/x.yaml:6: residence: unknown stage `apply`, or not in its order; \
the stages are, in order, apply, review",
    );
    check(
        &scenario(
            "residence",
            &(stage("apply")
                + "  - { code: review, title: { zh: 审, en: review }, after: apply }\n"),
        ),
        "scenarios/x.yaml:6: residence: `after` names `apply`, which is no decisive stage here; \
name a decisive stage of the scenario",
    );
    let attribute = |name: &str, ty: &str| {
        format!(
            "{}attributes:\n  - {{ name: {name}, type: {ty}, title: {{ zh: 项, en: item }} }}\n",
            stage("apply")
        )
    };
    check(
        &scenario("residence", &attribute("points", "float")),
        "scenarios/x.yaml:7: residence: unknown type `float`; write one of string, int, bool, date, string_list",
    );
    check(
        &scenario("residence", &attribute("region", "string")),
        "scenarios/x.yaml:7: residence: attribute `region` stands twice, or every event has it; give it a name of its own",
    );
}

#[test]
fn a_deployment_speaks_of_rows_and_lists_of_the_book() {
    let book = row("id: P1\nlists: [B07]");
    let confirming = |rows: &str| {
        book.clone()
            .confirmations(&format!("confirmations:\n{rows}"))
    };
    let confirmation = |id: &str| {
        format!("  - {{ measure: {id}, confirmed_by: 某局, document: 某局〔2026〕1号 }}\n")
    };
    check(
        &confirming(&confirmation("P9")),
        "confirmations.yaml:2: P9: no row has this id; confirm a row of the book",
    );
    check(
        &confirming(&confirmation("P1").repeat(2)),
        "confirmations.yaml:3: P1: the row is confirmed twice; remove one",
    );
    check(
        &book.clone().not_connected("B77", "尚未归集"),
        "configuration:0: B77: lists.not_connected names an unknown list; name a list of the book",
    );
    let inactive = row("
        id: P1
        lists: [B07]
        without: published_at published_in effective_from
    ");
    check(
        &inactive.confirmations(&format!("confirmations:\n{}", confirmation("P1"))),
        "measures/own.yaml:2: P1: the row is confirmed without publication or first day; \
add `published_at`, `published_in` and `effective_from` to the confirmation",
    );
}

#[test]
fn the_form_of_a_file_is_strict() {
    let own = |line: &str, told: &str| {
        check_row(
            &format!("id: P1\nlists: [B07]\n{line}"),
            &format!("measures/own.yaml:4: form: {told}"),
        );
    };
    own(
        "colour: red",
        "unknown field `colour`; write one of id, title, content, field, varies, direction, item, \
class, force, effect, parameters, excluded_by, applies, lists, lists_of, severities, kinds, roles, scoped, extends_to, \
reaches_party, region, when, required, basis, published_at, published_in, effective_from, effective_to, \
implementer, remedies, confidence, mark, cases",
    );
    own(
        "published_at: \"2026-02-30\"",
        "no such day in the calendar; write the field as the form of the file says",
    );
    own(
        "roles: bidder",
        "expected a list; write the values in `[` and `]`",
    );
    own("title: { zh: 措施 }", "missing field `en`; add it");
    own(
        "scoped: maybe",
        "expected true or false; write `true` or `false`",
    );
    own("id: P2", "`id` stands twice; remove one");
    check(
        &row("id: P1\nlists: [B07]").list("code: B50\nfreshness_budget_hours: -1"),
        "lists/own.yaml:3: form: not a whole number, or out of range; write a whole number",
    );
    let broken = |text: &str| row("id: P1\nlists: [B07]").file("measures/broken.yaml", text);
    check(
        &broken("measures:\n  - id: [\n"),
        "measures/broken.yaml:2: form: expected a text; write a text, in quotes if need be",
    );
    check(
        &broken("measures:\n  - id: P2\n    title: { zh: 措施, en: measure }\n"),
        "measures/broken.yaml:3: form: missing field `content`; add it",
    );
    check(
        &broken("measures:\n  - id: \"P2\n"),
        "measures/broken.yaml:3: form: invalid indentation in multiline quoted scalar; \
write the field as the form of the file says",
    );
    check(
        &row("id: P1\nlists: [B07]").file("names/simplify.txt", "東 东\n東 冬\n"),
        "names/simplify.txt:2: names: `東` has a line already; keep one; write one pair a line",
    );
}

#[test]
fn the_book_itself_must_be_there() {
    let mut files = row("id: P1\nlists: [B07]").files();
    files.retain(|file| file.path != "book.yaml");
    let errors = creditgate_measures::book::Book::load(&files, &Default::default());
    assert_eq!(
        errors.expect_err("refused").to_string(),
        "the book is refused for 1 reason(s)\n\
         book.yaml:0: book: the file is missing; add it with name, edition and covers_from"
    );
}

#[test]
fn one_bad_row_refuses_the_whole_and_every_error_is_told() {
    let book = row("
        id: P1
        lists: [B07]
    ")
    .row(
        "
        id: P2
        lists: [B77]
        roles: [seller]
    ",
    )
    .row(
        "
        id: P3
        lists: [B07]
        without: basis cases
    ",
    )
    .list(
        "
        code: B50
        colour: green
    ",
    );
    let (p2, p3) = (line_of(&book, "id: P2"), line_of(&book, "id: P3"));
    check(
        &book,
        &format!(
            "lists/own.yaml:3: B50: unknown colour `green`; write one of red, attention, black\n\
             measures/own.yaml:{}: P2: unknown list `B77`; name a list of the book, or define it under `lists/`\n\
             measures/own.yaml:{}: P2: unknown role `seller`; write one of applicant, bidder, consortium_member, \
supplier, land_bidder, agent, subcontractor, candidate, borrower, evaluator, guarantor, legal_representative, \
principal, responsible_person, actual_controller\n\
             measures/own.yaml:{p3}: P3: a row of class A or B above NOTICE rests on less than law, \
administrative regulation, central document or local regulation; add such a basis, or write `effect: NOTICE`\n\
             measures/own.yaml:{p3}: P3: the row has no basis: no measure without published law; add its `basis`\n\
             measures/own.yaml:{p3}: P3: the row has no case; add one that matches and one that just does not",
            p2 + 1,
            p2 + 2,
        ),
    );
}
