//! What refuses a book that is composed: one counter-example for each rule on supplements, on related
//! matters (DP-04) and on scores of persons, with the message that names file, line, rule and mend.

mod support;

use support::{Catalogue, dedent, row};

#[track_caller]
fn check(book: &Catalogue, expected: &str) {
    let errors = match book.load() {
        Ok(_) => panic!("the book loads"),
        Err(errors) => errors,
    };
    let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(told.join("\n"), dedent(expected));
}

#[track_caller]
fn loads(book: &Catalogue) {
    book.load().unwrap_or_else(|errors| panic!("{errors}"));
}

const HEAD: &str = "supplement: city-320500
title: { zh: 示例市补充清单, en: supplement of an example city }
level: city
region: \"320500\"
example: true
basis: { law: 示例市信用条例, level: local_regulation, region: \"320500\" }
";

/// A row as `measures/rows.yaml` of the supplement has it; it begins on line 2.
fn local_row(change: &str, to: &str) -> String {
    let text = "measures:
  - id: S1
    title: { zh: 本地措施, en: local measure }
    content: { zh: 内容, en: content }
    field: market
    direction: penalty
    item: MKT_ENTRY
    class: A
    force: may
    effect: RESTRICT
    parameters: { points: 5 }
    applies: [{ scenario: tender, stages: [evaluate] }]
    lists: [B07]
    basis: [{ law: 示例市信用条例, article: 第十条, level: local_regulation, region: \"320500\" }]
    published_at: \"2024-01-01\"
    published_in: 示例公报
    effective_from: \"2024-03-01\"
    implementer: { zh: 某机关, en: authority }
    remedies: { zh: 可以申诉, en: objection }
    confidence: verified
    cases: [{ name: elsewhere, event: { stage: nowhere }, expect: no match }]
";
    assert!(text.contains(change), "{change}");
    text.replacen(change, to, 1)
}

/// A national row P1 with 10 points at most, and the supplement with this row.
fn composed(rows: &str) -> Catalogue {
    row("
        id: P1
        force: may
        effect: RESTRICT
        parameters: { points: 10 }
        lists: [B07]
    ")
    .file("supplements/city/supplement.yaml", HEAD)
    .file("supplements/city/measures/rows.yaml", rows)
}

#[track_caller]
fn check_local(change: &str, to: &str, told: &str) {
    check(
        &composed(&local_row(change, to)),
        &format!("supplements/city/measures/rows.yaml:2: S1: {told}"),
    );
}

#[test]
fn a_supplement_is_composed_with_the_national_part() {
    let book = composed(&local_row("", "")).book();
    let local = book
        .measures()
        .iter()
        .find(|row| row.id.as_str() == "S1")
        .expect("the row");
    assert_eq!(local.supplement.as_deref(), Some("city-320500"));
    assert_eq!(
        local.region.map(|region| region.to_string()).as_deref(),
        Some("320500")
    );
    let national = book
        .measures()
        .iter()
        .find(|row| row.id.as_str() == "P1")
        .expect("the row");
    assert_eq!(
        (national.supplement.as_deref(), national.region),
        (None, None)
    );
    assert!(book.supplements()[0].example);
}

#[test]
fn a_supplement_rests_on_a_local_regulation_of_its_region() {
    let told = "supplements/city/supplement.yaml:6: city-320500: a supplement rests on a local regulation of its own \
region, and this is none; name the regulation of its people's congress, with `level: local_regulation` and `region`";
    for basis in [
        "level: paper",
        "level: local_regulation, region: \"320100\"",
    ] {
        let head = HEAD.replace("level: local_regulation, region: \"320500\"", basis);
        check(
            &Catalogue::default().file("supplements/city/supplement.yaml", &head),
            told,
        );
    }
    let province = HEAD.replace("level: city", "level: province");
    check(
        &Catalogue::default().file("supplements/city/supplement.yaml", &province),
        "supplements/city/supplement.yaml:4: city-320500: `320500` is not the region of a province; \
a province's code ends in 0000, a city's in 00",
    );
    check(
        &Catalogue::default().file("supplements/city/measures/rows.yaml", "measures: []"),
        "supplements/city/supplement.yaml:0: supplement: the file is missing; \
add it with code, region and the local regulation",
    );
}

#[test]
fn a_supplement_cannot_widen_its_region() {
    check_local(
        "    published_at",
        "    region: \"320000\"\n    published_at",
        "a row of a supplement reaches beyond the supplement's region; write a `region` inside it, or none\n\
supplements/city/measures/rows.yaml:2: S1: a row that rests on a local regulation reaches beyond the region of its \
legislature; add `region`, inside the region of the basis",
    );
    loads(&composed(&local_row(
        "    published_at",
        "    region: \"320505\"\n    published_at",
    )));
}

#[test]
fn a_supplement_adds_penalties_by_local_regulation_only() {
    check_local(
        "level: local_regulation, region: \"320500\"",
        "level: central_document",
        "a supplement adds a reward or a penalty above NOTICE without a local regulation of its region; \
add that basis, or a penalty of `effect: NOTICE`",
    );
}

#[test]
fn a_supplement_cannot_weaken_a_cap() {
    let varying = |line: &str| format!("    varies: P1\n{line}");
    loads(&composed(&local_row("    field", &varying("    field"))));
    let points = local_row("    field", &varying("    field")).replace("points: 5", "points: 11");
    check(
        &composed(&points),
        "supplements/city/measures/rows.yaml:2: S1: the row varies P1 and weakens its cap `points`; \
write what the national row allows, or less",
    );
    let none = local_row("    field", &varying("    field")).replace("points: 5", "percent: 1");
    check(
        &composed(&none),
        "supplements/city/measures/rows.yaml:2: S1: the row varies P1 and weakens its cap `points`; \
write what the national row allows, or less",
    );
    let stronger = local_row("    field", &varying("    field")).replace("RESTRICT", "PROHIBIT");
    check(
        &composed(&stronger),
        "supplements/city/measures/rows.yaml:2: S1: the row varies P1 and goes above its effect; \
write what the national row allows, or less",
    );
    let unknown = local_row("    field", "    varies: P9\n    field");
    check(
        &composed(&unknown),
        "supplements/city/measures/rows.yaml:2: S1: `varies` names no row of the national list; \
name one, or remove `varies`",
    );
}

#[test]
fn a_supplement_does_not_take_the_place_of_a_national_row() {
    // As the next version of P1 it would end the national row in every region.
    let same = local_row("id: S1", "id: P1");
    let national = row("
        id: P1
        force: may
        effect: RESTRICT
        effective_to: \"2024-02-28\"
        lists: [B07]
    ");
    check(
        &national
            .file("supplements/city/supplement.yaml", HEAD)
            .file("supplements/city/measures/rows.yaml", &same),
        "supplements/city/measures/rows.yaml:2: P1: a row of a supplement has the id of a row elsewhere, as if it \
were its next version; give it an id of its own, and name the national row in `varies`",
    );
    check(
        &row("id: P1\nvaries: P2\nlists: [B07]"),
        "measures/own.yaml:2: P1: a national row varies another; remove `varies`: only supplements vary rows of the \
national list",
    );
}

#[test]
fn a_supplement_stays_within_its_days() {
    let dated = format!("{HEAD}effective_from: \"2024-06-01\"\n");
    check(
        &Catalogue::default()
            .file("supplements/city/supplement.yaml", &dated)
            .file("supplements/city/measures/rows.yaml", &local_row("", "")),
        "supplements/city/measures/rows.yaml:2: S1: a row of a supplement is in force outside the supplement's days; \
write `effective_from` and `effective_to` within them",
    );
}

#[test]
fn a_list_of_a_supplement_is_local_and_short() {
    let list = |more: &str| {
        composed(&local_row("", "")).file(
            "supplements/city/lists/own.yaml",
            &format!(
                "lists:
  - code: X01
    colour: attention
    name: {{ zh: 本地名单, en: local list }}
    authority: 某机关
    basis: [{{ law: 示例市信用条例, level: local_regulation, region: \"320500\" }}]
    field: market
    freshness_budget_hours: 24
    confidence: verified
{more}"
            ),
        )
    };
    loads(&list(
        "    reach: local\n    default_region: \"320500\"\n    max_period_months: 12",
    ));
    let place = "supplements/city/lists/own.yaml:2: X01";
    let wide = format!(
        "{place}: a list of a supplement reaches beyond its region; write `reach: local`, and a `default_region` \
inside the supplement's"
    );
    check(
        &list("    reach: national\n    max_period_months: 12"),
        &wide,
    );
    check(
        &list("    reach: local\n    default_region: \"310000\"\n    max_period_months: 12"),
        &wide,
    );
    check(
        &list("    reach: local\n    default_region: \"320500\"\n    max_period_months: 60"),
        &format!(
            "{place}: a list of a supplement shows entries for longer than the national rules allow; \
add `max_period_months` of at most 36"
        ),
    );
}

#[test]
fn an_agreement_of_a_supplement_speaks_for_its_region() {
    check(
        &composed(&local_row("", "")).file(
            "supplements/city/agreements/own.yaml",
            "agreements:
  - id: X
    lists: [B07]
    from: \"330500\"
    to: \"330100\"
    basis: [{ law: 合作备忘录, level: paper }]
    effective_from: \"2024-01-01\"
",
        ),
        "supplements/city/agreements/own.yaml:5: X: an agreement of a supplement speaks for another region; \
write `to` inside the region of the supplement",
    );
}

#[test]
fn rewards_have_a_folder_of_their_own() {
    let book = Catalogue::default().file(
        "incentives/rows.yaml",
        &local_row("level: local_regulation, region: \"320500\"", "level: law"),
    );
    check(
        &book,
        "incentives/rows.yaml:2: S1: `incentives/` holds rewards only; move the row to `measures/`",
    );
}

#[test]
fn a_commitment_becomes_a_reward_for_its_matter() {
    let book = Catalogue::default().file(
        "commitments/own.yaml",
        "commitments:
  - id: C1
    title: { zh: 承诺, en: commitment }
    content: { zh: 以承诺代替证明, en: a promise instead of proof }
    field: market
    matter: PP-001
    scenario: permit
    stages: [accept]
    excluded_by: [{ list: A01, basis: { law: 某文, level: central_document } }]
    basis: [{ law: 某文, level: central_document }]
    published_at: \"2024-01-01\"
    published_in: 公报
    effective_from: \"2024-01-01\"
    implementer: { zh: 某机关, en: authority }
    remedies: { zh: 可以申诉, en: objection }
    confidence: verified
    cases:
      - { name: the matter, event: { item_code: PP-001 }, expect: offered, shows: [COMMITMENT_ALLOWED] }
      - { name: another, event: { item_code: PP-002 }, expect: no match }
      - { name: excluded, event: { item_code: PP-001 }, also_on: A01, expect: withheld }
",
    );
    loads(&book);
}

#[test]
fn a_row_names_lists_of_its_own_field_unless_its_basis_says_so() {
    let book = |line: &str| {
        row(&format!("id: P1\nlists: [B07]\nfield: land\n{line}"))
            .list("code: B07\nfield: tendering")
            .list("code: B08\nfield: taxation")
    };
    let told = "measures/own.yaml:2: P1: the row is of the field `land` and names list B07 of `tendering`: a list bites \
in another field only where the basis says so; leave the list out, or add `reaches: [tendering]` to the basis that \
names it";
    check(&book(""), told);
    check(
        &book("basis: [{ law: 某法, level: law, reaches: [taxation] }]"),
        told,
    );
    loads(&book(
        "basis: [{ law: 某法, level: law, reaches: [tendering] }]",
    ));
    loads(&book("basis: [{ law: 某法, level: law, reaches: [any] }]"));
    check(
        &row("id: P1\nlists: [B07]\nwithout: field"),
        "measures/own.yaml:2: P1: the row names no field (领域); add `field`: the field whose lists it may name",
    );
}

#[test]
fn nothing_rests_on_a_score_of_persons() {
    let listed =
        |row_text: &str| row(row_text).list("code: B07\ncolour: attention\npersonal_score: true");
    check(
        &listed("id: P1\nlists: [B07]"),
        "measures/own.yaml:2: P1: a penalty rests on list B07, a score of persons; \
leave the list out: scores of persons serve rewards only",
    );
    loads(&listed(
        "id: P1\ndirection: incentive\neffect: PRIORITY\nlists: [B07]",
    ));
    check(
        &row("id: P1\nlists: [B07]").list("code: B07\nname: { zh: 个人信用分, en: points }"),
        "lists/own.yaml:2: B07: the list is by its name a score of persons; \
write `personal_score: true`: no penalty may rest on it; or `false` when it scores no persons",
    );
    let scored = |condition: &str, personal: &str| {
        row(&format!("id: P1\nlists: [B07]\nwhen: '{condition}'")).file(
            "scenarios/tender.yaml",
            &format!(
                "scenario: tender
title: {{ zh: 招标投标, en: tender }}
actor: public
stages: [{{ code: evaluate, title: {{ zh: 评标, en: evaluation }}, decisive: true }}]
attributes: [{{ name: points, type: int, title: {{ zh: 分数, en: points }}{personal} }}]
"
            ),
        )
    };
    loads(&scored("has(event.points) && event.points < 60", ""));
    check(
        &scored(
            "has(event.points) && event.points < 60",
            ", personal_score: true",
        ),
        "measures/own.yaml:2: P1: a penalty reads `points`, a score of persons; \
leave it out: scores of persons serve rewards only",
    );
    check(
        &row("id: P1\nlists: [B07]\nwhen: 'has(entry.grade) && entry.grade == \"D\"'"),
        "measures/own.yaml:2: P1: a penalty reads `entry.grade` of any kind of subject: the grade of a person is a \
score; name the `kinds` it is for, without natural_person",
    );
}

#[test]
fn a_repair_rule_is_defined_before_it_is_named() {
    let list = row("id: P1\nlists: [B07]").list("code: B07\nrepair: [{ version: order-99 }]");
    check(
        &list,
        "lists/own.yaml:2: B07: unknown repair rule `order-99`; define it under `repair/`, or name one that is",
    );
    loads(&list.file(
        "repair/own.yaml",
        "repair_rules:
  - version: order-99
    title: { zh: 规则, en: rule }
    basis: { law: 某令, level: department_rule }
    effective_from: \"2026-04-01\"
    periods: { minor: { months_max: 3 }, serious: { months_min: 12, months_max: 36 } }
    confidence: verified
",
    ));
}

#[test]
fn what_a_case_says_the_row_tells_must_stand_in_it() {
    let shown = |fragment: &str| {
        row(&format!(
            "id: P1\nlists: [B07]\ncases: [{{ name: listed, expect: effect PROHIBIT, shows: [{fragment}] }}]"
        ))
    };
    loads(&shown(
        "某法 第一条 law, MKT_ENTRY, effective_from 2020-01-01, 可以申诉",
    ));
    check(
        &shown("第二条"),
        "measures/own.yaml:4: P1: case `listed` expects that the row tells `第二条`, and it does not; \
mend the row or the case",
    );
}

#[test]
fn a_book_that_was_in_force_loads_without_the_guards_that_came_later() {
    use creditgate_measures::book::Book;
    let old = row("id: P1\nlists: [B07]\nwithout: field")
        .list("code: B07\nrepair: { rule: { zh: 规则, en: rule }, version: old }");
    assert!(old.load().is_err());
    let recorded = Book::load_recorded(&old.files(), &old.deployment);
    assert_eq!(
        recorded
            .map(|book| book.measures().len())
            .unwrap_or_default(),
        1
    );
    let unreadable = row("id: P1\nlists: [B99]");
    assert!(Book::load_recorded(&unreadable.files(), &unreadable.deployment).is_err());
}

#[test]
fn a_file_in_no_place_of_a_book_is_not_passed_over() {
    let with = |path: &str| Catalogue::default().file(path, "measures: []");
    for path in [
        "measure/x.yaml",
        "measures/x.yml",
        "x.yaml",
        "措施/x.yaml",
        "names/other.txt",
        "supplements/x.yaml",
    ] {
        check(
            &with(path),
            &format!(
                "{path}:0: book: the file belongs to no part of a book and would be passed over; end it in `.yaml` and \
lay it into one of agreements, calendar, commitments, incentives, lists, measures, names, notices, repair, scenarios, or take it away"
            ),
        );
    }
    check(
        &with("measures/x.yaml").file("measures/x.yaml", "measures: []"),
        "measures/x.yaml:0: book: the file stands twice: two supplements of one name, perhaps; \
give each supplement a directory name of its own",
    );
}

/// The row P1 with this line is refused so.
#[track_caller]
fn check_row(lines: &str, told: &str) {
    check(
        &row(&format!("id: P1\n{lines}")),
        &format!("measures/own.yaml:2: P1: {told}"),
    );
}

#[test]
fn a_penalty_without_class_rests_on_law_too() {
    let open = |level: &str| {
        format!(
            "effect: RESTRICT\nwithout: item class\nbasis: [{{ law: 某令, level: {level} }}]\n\
             when: event.region == \"320500\""
        )
    };
    check_row(
        &open("department_rule"),
        "a penalty above NOTICE rests on less than law, administrative regulation, central document or local \
regulation; add such a basis, or write `effect: NOTICE`",
    );
    loads(&row(&format!("id: P1\n{}", open("law"))));
    loads(&row(&format!("id: P1\n{}", open("published_notice"))));
    let notice = open("department_rule").replace("RESTRICT", "NOTICE");
    loads(&row(&format!("id: P1\n{notice}")));
}

#[test]
fn nothing_of_a_row_is_blank() {
    for (line, what) in [
        ("title: { zh: \" \", en: measure }", "title"),
        ("content: { zh: 内容, en: \"\" }", "content"),
        ("implementer: { zh: \"\u{3000}\", en: x }", "implementer"),
        ("remedies: { zh: \"\", en: x }", "remedies"),
        ("basis: [{ law: \" \", level: law }]", "law"),
        ("published_in: \"\"", "published_in"),
    ] {
        check_row(
            &format!("lists: [B07]\n{line}"),
            &format!("`{what}` is blank; write it out"),
        );
    }
    check(
        &row("id: \"P 1\"\nlists: [B07]"),
        "measures/own.yaml:2: P 1: the id `P 1` is empty, or has white space or control characters in it; \
write letters, digits and hyphens",
    );
}

#[test]
fn figures_are_such_as_a_law_can_mean() {
    let ratio = "`ratio` is no share; write a decimal from 0 to 1, in quotes";
    let percent = "`percent` is out of range; write a whole number from -100 to 100";
    for (figure, told) in [
        ("ratio: \"1.01\"", ratio),
        ("ratio: \"-0.5\"", ratio),
        ("ratio: \"1e-1\"", ratio),
        ("percent: 101", percent),
        ("percent: -101", percent),
        (
            "cap_fen: -1",
            "`cap_fen` is below nothing; write an amount in fen, 0 or more",
        ),
        ("period: \" \"", "`period` is blank; write it out"),
    ] {
        check_row(&format!("lists: [B07]\nparameters: {{ {figure} }}"), told);
    }
    loads(&row(
        "id: P1\nlists: [B07]\nparameters: { ratio: \"1.0\", percent: -100, cap_fen: 0 }",
    ));
}

#[test]
fn a_list_says_who_keeps_it_and_for_how_long() {
    for (line, told) in [
        (
            "name: { zh: \" \", en: list }",
            "`name` is blank; write it out",
        ),
        ("authority: \"\"", "`authority` is blank; write it out"),
        (
            "max_period_months: 0",
            "entries of the list end before they begin; write `max_period_months` of 1 or more",
        ),
        (
            "freshness_budget_hours: 0",
            "the list is stale as soon as it is confirmed; write `freshness_budget_hours` of 1 or more",
        ),
    ] {
        check(
            &row("id: P1\nlists: [B01]").list(&format!("code: B07\n{line}")),
            &format!("lists/own.yaml:2: B07: {told}"),
        );
    }
    check(
        &row("id: P1\nlists: [B01]").list("code: \"B\\t7\""),
        "lists/own.yaml:2: B\t7: the code `B\\t7` is empty, or has white space or control characters in it; \
write letters, digits and hyphens",
    );
}

#[test]
fn what_is_not_expressed_is_not_and_says_why() {
    let left_out = |items: &[(&str, &str)]| {
        let items: String = items
            .iter()
            .map(|(id, reason)| {
                format!("  - id: {id}\n    title: {{ zh: 甲, en: a }}\n    reason: {{ zh: \"{reason}\", en: none }}\n")
            })
            .collect();
        row("id: P1\nlists: [B07]").file("not-expressed.yaml", &format!("not_expressed:\n{items}"))
    };
    loads(&left_out(&[("P1（其余）", "无"), ("P2", "无")]));
    for known in ["P1", "B07"] {
        check(
            &left_out(&[(known, "无")]),
            &format!(
                "not-expressed.yaml:2: {known}: the book has a row or list of this id, and says that it is not expressed; \
remove it, or add to the id which part is left out"
            ),
        );
    }
    check(
        &left_out(&[("P2", "无"), ("P2", "无")]),
        "not-expressed.yaml:5: P2: it stands twice; remove one",
    );
    check(
        &left_out(&[("P2", " ")]),
        "not-expressed.yaml:2: P2: `reason` is blank; write it out",
    );
}

#[test]
fn a_confirmation_supplies_what_the_row_leaves_open() {
    use creditgate_measures::book::Book;
    let confirmed = |line: &str| {
        row("id: P1\nlists: [B07]").confirmations(&format!(
            "confirmations:\n  - {{ measure: P1, confirmed_by: 某市, document: 某文, {line} }}\n"
        ))
    };
    loads(&confirmed("effective_from: \"2020-01-01\""));
    let other = confirmed("effective_from: \"2020-01-02\"");
    check(
        &other,
        "measures/own.yaml:2: P1: the confirmation states another `effective_from` than the row has; \
remove `effective_from` from the confirmation: it supplies what the row leaves open",
    );
    assert!(Book::load_recorded(&other.files(), &other.deployment).is_ok());
    check(
        &confirmed("published_in: 另报"),
        "measures/own.yaml:2: P1: the confirmation states another `published_in` than the row has; \
remove `published_in` from the confirmation: it supplies what the row leaves open",
    );
    check(
        &row("id: P1\nlists: [B07]").confirmations(
            "confirmations:\n  - { measure: P1, confirmed_by: \" \", document: 某文 }\n",
        ),
        "confirmations.yaml:2: P1: `confirmed_by` is blank; write it out",
    );
}

#[test]
fn a_local_form_goes_nowhere_beyond_the_national_row() {
    let national = |lines: &str| {
        row(&format!(
            "id: P1\nforce: may\neffect: RESTRICT\nlists: [B07]\n{lines}"
        ))
        .file("supplements/city/supplement.yaml", HEAD)
    };
    let varying = |line: &str| {
        let text = local_row("    field", "    varies: P1\n    field");
        let (key, _) = line.split_once(':').unwrap_or((line, ""));
        let kept = text
            .lines()
            .filter(|own| !own.trim_start().starts_with(&format!("{key}: ")));
        let kept: Vec<&str> = kept.collect();
        kept.join("\n")
            .replace("    varies", &format!("    {line}\n    varies"))
    };
    for (there, here, field) in [
        ("", "lists: [B07, B08]", "lists"),
        (
            "",
            "applies: [{ scenario: tender, stages: [award] }]",
            "applies",
        ),
        (
            "",
            "applies: [{ scenario: permit, stages: [decide] }]",
            "applies",
        ),
        ("", "force: must", "force"),
        ("", "extends_to: [principal]", "extends_to"),
        ("", "reaches_party: true", "reaches_party"),
        ("kinds: [enterprise]", "confidence: verified", "kinds"),
        ("roles: [bidder]", "roles: [bidder, agent]", "roles"),
        (
            "severities: [serious]",
            "confidence: verified",
            "severities",
        ),
        ("scoped: true", "confidence: verified", "scoped"),
        (
            "when: event.region == \"320500\"",
            "confidence: verified",
            "when",
        ),
        (
            "parameters: { period: 一年 }",
            "parameters: { period: 二年 }",
            "period",
        ),
    ] {
        check(
            &national(there).file("supplements/city/measures/rows.yaml", &varying(here)),
            &format!(
                "supplements/city/measures/rows.yaml:2: S1: the row varies P1 and goes beyond its `{field}`; \
write what the national row has, or less"
            ),
        );
    }
    let narrower = varying("roles: [bidder]");
    loads(
        &national("roles: [bidder, agent]").file("supplements/city/measures/rows.yaml", &narrower),
    );
}

#[test]
fn a_reward_of_a_supplement_rests_on_its_regulation_and_keeps_the_exclusions() {
    let reward = |level: &str, excluded: &str| {
        local_row("", "")
            .replace("direction: penalty", "direction: incentive")
            .replace("    item: MKT_ENTRY\n    class: A\n", excluded)
            .replace("RESTRICT", "PRIORITY")
            .replace("lists: [B07]", "lists: [G02]")
            .replace("level: local_regulation, region: \"320500\"", level)
    };
    let local = "level: local_regulation, region: \"320500\"";
    check(
        &composed(&reward("level: central_document", "")),
        "supplements/city/measures/rows.yaml:2: S1: a supplement adds a reward or a penalty above NOTICE without a \
local regulation of its region; add that basis, or a penalty of `effect: NOTICE`",
    );
    loads(&composed(&reward(local, "")));
    let excluding = "excluded_by: [{ list: B01, basis: { law: 某文, level: central_document } }]";
    let national = |text: &str| {
        composed(text).row(&format!(
            "id: R1\ndirection: incentive\neffect: PRIORITY\nforce: may\nlists: [G02]\n{excluding}"
        ))
    };
    check(
        &national(&reward(local, "")),
        "supplements/city/measures/rows.yaml:2: S1: the national reward R1 of the same effect is withheld on list B01, \
and this one is not; add the list to `excluded_by`, with its basis",
    );
    loads(&national(&reward(local, &format!("    {excluding}\n"))));
}

#[test]
fn a_score_says_whether_it_is_of_persons() {
    let named = |name: &str, said: &str| {
        row("id: P1\nlists: [B01]").list(&format!(
            "code: A01\ncolour: attention\nname: {{ zh: {name}, en: x }}{said}"
        ))
    };
    let told = "lists/own.yaml:2: A01: the list is by its name a score of persons; \
write `personal_score: true`: no penalty may rest on it; or `false` when it scores no persons";
    for name in ["市民诚信积分", "信用评分", "个人得分", "桂花分"] {
        check(&named(name, ""), told);
        loads(&named(name, "\npersonal_score: false"));
        loads(&named(name, "\npersonal_score: true"));
    }
    loads(&named("驾驶证记分", ""));
    check(
        &row("id: P1\ndirection: incentive\neffect: PRIORITY\nlists: [G02]\nexcluded_by: [{ list: A01, basis: { law: 某法, level: law } }]")
            .list("code: A01\ncolour: attention\npersonal_score: true"),
        "measures/own.yaml:2: P1: list A01, a score of persons, takes a reward away; \
leave it out of `excluded_by`: a score may give a reward and takes none away",
    );
}

#[test]
fn a_paper_couples_no_fields_for_a_penalty() {
    let book = |lines: &str| {
        row(&format!("id: P1\nlists: [B07]\nfield: land\n{lines}"))
            .list("code: B07\nfield: tendering")
    };
    let law = "{ law: 某法, level: law }";
    for level in ["department_rule", "paper"] {
        let reaching =
            format!("basis: [{law}, {{ law: 某文, level: {level}, reaches: [tendering] }}]");
        check(
            &book(&reaching),
            "measures/own.yaml:2: P1: the row is of the field `land` and names list B07 of `tendering`: a list bites in \
another field only where the basis says so; leave the list out, or add `reaches: [tendering]` to the basis that names it",
        );
        loads(&book(&format!("effect: NOTICE\n{reaching}")));
    }
    check(
        &row("id: P1\nlists: [B07]\nbasis: [{ law: 某法, level: law, reaches: [fishery] }]"),
        "measures/own.yaml:2: P1: a basis reaches the field `fishery`, of which the book has no list; \
write `any` or one of market",
    );
}

#[test]
fn red_lists_reward_and_the_others_do_not() {
    check_row(
        "lists: [G02]",
        "a penalty rests on the red list G02; name black or attention lists",
    );
    check_row(
        "lists_of: { colour: red }",
        "a penalty rests on the red list G02; name black or attention lists",
    );
    for list in ["B07", "A01"] {
        check_row(
            &format!("direction: incentive\neffect: PRIORITY\nlists: [{list}]"),
            &format!(
                "a reward rests on a list of breaches, list {list}; name red lists; what withholds a reward stands in \
`excluded_by`"
            ),
        );
    }
}

#[test]
fn lenders_are_third_parties_and_a_scenario_has_a_stage() {
    check(
        &row("id: P1\nlists: [B07]").file(
            "scenarios/lending.yaml",
            "scenario: lending
title: { zh: 信贷, en: lending }
actor: public
stages: [{ code: before_loan, title: { zh: 贷前, en: before } }]
",
        ),
        "scenarios/lending.yaml:3: lending: lenders decide for themselves: they are third parties; \
write `actor: third_party`",
    );
    check_row(
        "lists: [B07]\napplies: [{ scenario: permit, stages: [decide] }, { scenario: tender, stages: [] }]",
        "the row applies in a scenario and in none of its stages; write the stages, or leave the scenario out of `applies`",
    );
}

#[test]
fn an_agreement_is_about_lists_between_two_regions() {
    let plain = "id: X\nlists: [B07]\nfrom: \"330500\"\nto: \"320500\"";
    for (change, to, told) in [
        (
            "[B07]",
            "[]",
            "the agreement names no list; write the codes in `lists`, or remove the agreement",
        ),
        (
            "330500",
            "320500",
            "the agreement is of a region with itself; write another region in `from` or `to`",
        ),
        (
            "id: X",
            "id: X\neffective_to: \"2019-12-31\"",
            "the agreement ends before it begins; mend `effective_from` or `effective_to`",
        ),
    ] {
        check(
            &row("id: P1\nlists: [B07]").agreement(&plain.replace(change, to)),
            &format!("agreements/own.yaml:2: X: {told}"),
        );
    }
    loads(&row("id: P1\nlists: [B07]").agreement(plain));
}

#[test]
fn a_file_is_one_document_with_something_in_it() {
    let with = |text: &str| row("id: P1\nlists: [B07]").file("measures/more.yaml", text);
    for (text, line) in [("", 1), ("# later\n", 2)] {
        check(
            &with(text),
            &format!(
                "measures/more.yaml:{line}: form: the file is empty, or holds comments only; \
write the fields of its form, or remove the file"
            ),
        );
    }
    check(
        &with("measures: []\n---\nmeasures: []\n"),
        "measures/more.yaml:3: form: the file holds several documents, divided by `---`; write one document a file",
    );
}
