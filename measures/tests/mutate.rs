//! The law changed field by field, on small books whose survivors are known.

mod support;

use creditgate_measures::book::{Difference, Fate, Mutation, mutate, test};
use support::{Catalogue, dedent, row};

/// A row whose cases look at everything that a case can see of it.
const HELD_FAST: &str = r#"
    id: P1
    title: { zh: 甲措施, en: measure }
    content: { zh: 乙内容, en: content }
    lists: [B07]
    roles: [bidder]
    region: "320500"
    parameters: { period: 1年 }
    basis: [{ law: 某法, article: 第一条, level: law, reaches: [market] }]
    effective_to: "2030-12-31"
    cases:
      - name: it applies
        event: { scenario: tender, stage: evaluate, region: "320500" }
        subject: { role: bidder, kind: enterprise }
        entry: { list: B07, severity: serious, scope: ["region:320600"] }
        expect: effect PROHIBIT
        shows:
          - 甲措施
          - 乙内容
          - MKT_ENTRY
          - "must"
          - period=1年
          - 某法 第一条 law reaches market
          - published_at 2020-01-01
          - published_in 公报
          - effective_from 2020-01-01
          - effective_to 2030-12-31
          - 某机关
          - 可以申诉
          - verified
      - name: in another city
        event: { region: "330100" }
        expect: no match
      - name: as an agent
        subject: { role: agent }
        entry: { list: B07 }
        expect: no match
      - name: as the legal representative of the listed firm
        entry: { related_as: legal_representative }
        expect: no match
      - name: on another list
        entry: { list: B08 }
        expect: no match
      - name: at another stage
        event: { scenario: tender, stage: award }
        expect: no match
"#;

#[track_caller]
fn mutated(book: &Catalogue) -> Mutation {
    mutate(&book.files(), &book.deployment, None, |_, _| ())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

/// What is not noticed, a line each.
#[track_caller]
fn check_survivors(book: &Catalogue, expected: &str) {
    let mutation = mutated(book);
    let mut told = Vec::new();
    for row in &mutation.rows {
        let survivors = row.survivors();
        told.extend(survivors.map(|one| format!("{} {} {}", row.id, one.field, one.change)));
    }
    let told = told.join("\n");
    assert_eq!(told, dedent(expected), "\n--- seen:\n{told}\n");
    assert_eq!(mutation.total() - mutation.killed(), told.lines().count());
}

#[test]
fn what_cases_hold_fast_does_not_survive() {
    // Whether a subject reaches its party, a case of one subject cannot see.
    check_survivors(&row(HELD_FAST), "P1 reaches_party false → true");
}

#[test]
fn what_no_case_looks_at_survives() {
    let vague = HELD_FAST
        .replace("          - 甲措施\n", "")
        .replace("          - effective_to 2030-12-31\n", "")
        .replace("          - 某机关\n", "");
    check_survivors(
        &row(&vague),
        "
        P1 title other text
        P1 implementer other text
        P1 reaches_party false → true
        P1 effective_to 2030-12-31 → 2030-12-30
        P1 effective_to 2030-12-31 → 2031-01-01
        P1 effective_to removed
        ",
    );
}

#[test]
fn guards_and_the_form_refuse_before_any_case_is_asked() {
    let mutation = mutated(&row(HELD_FAST));
    let fate = |field: &str, change: &str| {
        let mutants = mutation.rows.iter().flat_map(|row| &row.mutants);
        let mut found = mutants.filter(|one| one.field == field && one.change == change);
        found.next().map(|one| one.fate)
    };
    assert_eq!(fate("item", "MKT_ENTRY removed"), Some(Fate::Refused));
    assert_eq!(fate("class", "A → B"), Some(Fate::Refused));
    assert_eq!(
        fate("direction", "penalty → incentive"),
        Some(Fate::Refused)
    );
    assert_eq!(fate("basis", "某法: removed"), Some(Fate::Refused));
    assert_eq!(
        fate("published_at", "2020-01-01 → 2020-01-02"),
        Some(Fate::Refused)
    );
    assert_eq!(fate("effect", "PROHIBIT → NOTICE"), Some(Fate::CaseFailed));
    assert_eq!(fate("force", "must → may"), Some(Fate::CaseFailed));
    assert_eq!(fate("roles", "all dropped"), Some(Fate::CaseFailed));
    // The last role removed is the same row as all roles dropped, and counts once.
    assert_eq!(fate("roles", "bidder removed"), None);
}

#[test]
fn conditions_are_removed_negated_and_moved_by_one() {
    let book = row(r#"
        id: P1
        effect: NOTICE
        lists: [B07]
        when: "event.amount_fen >= 500"
        required: [amount_fen]
        cases:
          - { name: at the threshold, event: { amount_fen: 500 }, expect: effect NOTICE }
          - { name: far below, event: { amount_fen: 5 }, expect: no match }
          - { name: not stated, expect: effect NOTICE }
    "#);
    let mutation = mutated(&book);
    let on = |field: &str| -> Vec<String> {
        let mutants = mutation.rows.iter().flat_map(|row| &row.mutants);
        let on_field = mutants.filter(|one| one.field == field);
        on_field
            .map(|one| format!("{}: {}", one.change, one.killed()))
            .collect()
    };
    assert_eq!(
        on("when"),
        [
            "removed: true",
            "negated: true",
            "500 → 499: false",
            "500 → 501: true"
        ]
    );
    assert_eq!(on("required"), ["amount_fen removed: true"]);
}

#[test]
fn versions_of_a_row_that_would_overlap_are_refused() {
    let version = |days: &str, when: &str| {
        format!(
            "id: P1\nlists: [B07]\n{days}\ncases:\n  - {{ name: listed, event: {{ occurred_at: \"{when}\" }}, \
             expect: effect PROHIBIT }}\n  - {{ name: elsewhere, event: {{ stage: award }}, expect: no match }}"
        )
    };
    let book = row(&version("effective_to: \"2025-12-31\"", "2025-06-01")).row(&version(
        "published_at: \"2025-01-01\"\neffective_from: \"2026-01-01\"",
        "2026-06-01",
    ));
    let mutation = mutated(&book);
    let second = &mutation.rows[1];
    let moved = second
        .mutants
        .iter()
        .find(|one| one.field == "effective_from" && one.change == "2026-01-01 → 2025-12-31");
    assert_eq!(moved.map(|one| one.fate), Some(Fate::Refused));
    assert_eq!(second.id, mutation.rows[0].id);
}

#[test]
fn the_order_is_the_same_each_time_and_progress_reaches_the_end() {
    let book = (0..7).fold(row(HELD_FAST), |book, n| {
        book.row(&HELD_FAST.replace("id: P1", &format!("id: Q{n}")))
    });
    let heard = std::sync::Mutex::new(Vec::new());
    let first = mutate(&book.files(), &book.deployment, None, |done, total| {
        heard.lock().expect("nobody panicked").push((done, total));
    })
    .expect("the book holds");
    assert_eq!(first, mutated(&book));
    assert_eq!(first.rows.len(), 8);
    let heard = heard.into_inner().expect("nobody panicked");
    assert_eq!(heard.last(), Some(&(8, 8)));
    let by_field: usize = first.by_field().values().map(|(_, total)| total).sum();
    assert_eq!(by_field, first.total());
}

#[test]
fn who_writes_a_row_shows_both_sides_of_it() {
    let apart = "{ name: elsewhere, event: { stage: award }, expect: no match }";
    let listed = "{ name: listed, expect: effect PROHIBIT }";
    let tested = |cases: &str| {
        let book = row(&format!("id: P1\nlists: [B07]\ncases: [{cases}]"));
        test(&book.files(), &book.deployment).map(|tested| tested.cases)
    };
    for one_side in [apart, listed] {
        let told = tested(one_side).expect_err("one side only").0;
        assert_eq!(
            told.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "measures/own.yaml:2: P1: the cases of the row show only one side of it; \
              add one that matches and one that just does not"
            ]
        );
    }
    assert_eq!(tested(&format!("{apart}, {listed}")), Ok(2));
}

#[test]
fn the_last_day_and_the_row_that_is_varied_are_changed_too() {
    let mutation = mutated(
        &row(&HELD_FAST
            .replace("    effective_to: \"2030-12-31\"\n", "")
            .replace("          - effective_to 2030-12-31\n", ""))
        .row(&HELD_FAST.replace("id: P1", "id: P2")),
    );
    let fields = mutation.by_field();
    assert_eq!(fields.get("varies"), Some(&(2, 2)));
    let ended = mutation.rows[0]
        .mutants
        .iter()
        .find(|one| one.field == "effective_to");
    assert_eq!(
        ended.map(|one| (one.change.as_str(), one.fate)),
        Some(("none → 2026-05-31", Fate::CaseFailed))
    );
}

#[test]
fn cases_that_fail_are_told_with_both_sides() {
    let wrong = HELD_FAST
        .replace("expect: effect PROHIBIT", "expect: effect NOTICE")
        .replace("        event: { region: \"330100\" }\n        expect: no match", "        event: { region: \"320500\" }\n        expect: effect PROHIBIT\n        shows: [丁]");
    let book = row(&wrong);
    let tested = test(&book.files(), &book.deployment).expect("all but the cases holds");
    assert_eq!((tested.rows, tested.cases), (1, 6));
    let [outcome, shown] = &tested.failed[..] else {
        panic!("{:#?}", tested.failed);
    };
    assert_eq!(outcome.name, "it applies");
    assert_eq!(
        outcome.difference,
        Difference::Outcome {
            expected: "effect NOTICE".to_owned(),
            got: "effect PROHIBIT".to_owned(),
        }
    );
    assert_eq!(outcome.file, "measures/own.yaml");
    assert!(outcome.line > 2);
    assert!(
        matches!(&shown.difference, Difference::NotShown { fragment, told }
            if fragment == "丁" && told.contains("甲措施")),
        "{shown:?}"
    );
    let errors =
        mutate(&book.files(), &book.deployment, None, |_, _| ()).expect_err("it is refused");
    assert_eq!(errors.0.len(), 2);
    assert_eq!(errors, book.load().expect_err("it is refused"));
}
