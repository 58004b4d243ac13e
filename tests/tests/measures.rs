//! Books from the command line: shown, compared, described, and drafted from a published table.

use std::path::Path;
use std::process::Output;

use creditgate_tests::run;

const HEAD: &str = r#"
book: small
title: { zh: 小册, en: small }
edition:
  code: "2024"
  title: { zh: 清单, en: list }
  items:
    - { code: MKT_ENTRY, class: A, title: { zh: 限制市场或行业准入, en: entry }, confidence: verified }
covers_from: "2020-01-01"
"#;

const SCENARIO: &str = r#"
scenario: permit
title: { zh: 行政许可, en: permit }
actor: public
stages:
  - { code: apply, title: { zh: 申请, en: apply } }
  - { code: accept, title: { zh: 受理, en: accept }, decisive: true }
  - { code: review, title: { zh: 审查, en: review } }
  - { code: decide, title: { zh: 决定, en: decide }, decisive: true, after: accept }
  - { code: issue, title: { zh: 送达, en: issue }, after: decide }
"#;

const LISTS: &str = r#"
lists:
  - code: B01
    colour: black
    name: { zh: 失信名单, en: list }
    authority: 某机关
    basis: [{ law: 某法, level: law }]
    field: licensing
    reach: national
    until_performed: true
    freshness_budget_hours: 24
    default_severity: serious
    confidence: verified
"#;

const ROWS: &str = r#"
measures:
  - id: M1
    title: { zh: 限制申请, en: no application }
    content: { zh: 三年内不得申请, en: no application for three years }
    field: licensing
    direction: penalty
    item: MKT_ENTRY
    class: A
    force: must
    effect: PROHIBIT
    applies: [{ scenario: permit, stages: [accept, decide] }]
    lists: [B01]
    basis: [{ law: 某法, article: 第一条, level: law }]
    published_at: "2020-01-01"
    published_in: 公报
    effective_from: "2020-01-01"
    implementer: { zh: 某机关, en: authority }
    remedies: { zh: 可以申诉, en: objection }
    confidence: verified
    cases:
      - { name: a listed firm, expect: effect PROHIBIT }
      - { name: at another stage, event: { stage: apply }, expect: no match }
"#;

fn write_book(dir: &Path, rows: &str) {
    for (path, text) in [
        ("book.yaml", HEAD),
        ("scenarios/permit.yaml", SCENARIO),
        ("lists/black.yaml", LISTS),
        ("measures/permit.yaml", rows),
    ] {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }
}

/// What the command told: its exit code, standard output and standard error.
fn told(args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = run(args, "");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

#[test]
fn a_shown_table_comes_back_as_drafts_that_lint_refuses() {
    let dir = tempfile::tempdir().expect("a directory");
    let (book, table) = (dir.path().join("book"), dir.path().join("清单.csv"));
    write_book(&book, ROWS);
    let (book, table) = (book.to_str().expect("text"), table.to_str().expect("text"));

    let (code, csv, error) = told(&[
        "measures", "show", "--book", book, "--format", "csv", "--bom",
    ]);
    assert_eq!(code, Some(0), "{error}");
    assert!(
        csv.starts_with("\u{feff}类别,惩戒措施（事项）,惩戒内容,惩戒对象,法规政策依据,实施主体")
    );
    std::fs::write(table, csv).expect("written");

    let (code, out, error) = told(&["measures", "import", table, "--book", book, "--out", book]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("row 2: DRAFT-2 限制申请"), "{out}");
    assert!(
        out.contains("to check:   item MKT_ENTRY, class A, force must, 1 basis"),
        "{out}"
    );

    let (code, _, error) = told(&["measures", "lint", book]);
    assert_eq!(code, Some(2));
    assert!(error.contains("measures/draft-清单.yaml:"), "{error}");
    // Whoever has begun to fill a draft in does not lose it.
    let (code, _, error) = told(&["measures", "import", table, "--book", book, "--out", book]);
    assert_eq!(code, Some(2), "{error}");
}

#[test]
fn a_row_and_a_list_are_shown_with_everything_known_of_them() {
    let dir = tempfile::tempdir().expect("a directory");
    write_book(dir.path(), ROWS);
    let book = dir.path().to_str().expect("text");
    let (code, row, _) = told(&["measures", "show", "M1", "--book", book]);
    assert_eq!(code, Some(0));
    assert!(row.contains("lists         失信名单（B01）"), "{row}");
    let (_, list, _) = told(&["measures", "show", "B01", "--book", book]);
    assert!(list.contains("named by      M1"), "{list}");
    let (_, json, _) = told(&["measures", "show", "M1", "--book", book, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["rows"][0]["cases"], 2);
    let (code, _, error) = told(&["measures", "show", "M9", "--book", book]);
    assert_eq!(code, Some(2));
    assert!(error.contains("no row, list or notice `M9`"), "{error}");
    let (_, lint, _) = told(&["measures", "lint", book]);
    assert!(lint.contains("part       1: national 1"), "{lint}");
    assert!(lint.contains("not expressed 0"), "{lint}");
}

#[test]
fn the_exit_code_of_diff_tells_whether_books_say_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    write_book(&old, ROWS);
    write_book(
        &new,
        &ROWS
            .replace("effect: PROHIBIT\n", "effect: RESTRICT\n")
            .replace("expect: effect PROHIBIT", "expect: effect RESTRICT"),
    );
    let (old, new) = (old.to_str().expect("text"), new.to_str().expect("text"));
    let (code, out, _) = told(&["measures", "diff", old, old]);
    assert_eq!((code, out.as_str()), (Some(0), "the books are the same\n"));
    let (code, out, _) = told(&["measures", "diff", old, new]);
    assert_eq!(code, Some(1));
    assert!(
        out.contains("effect weakened: was PROHIBIT, is RESTRICT"),
        "{out}"
    );
    let (code, out, _) = told(&["measures", "diff", old, new, "--json"]);
    assert_eq!(code, Some(1));
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["summary"]["milder"], 1);
    assert_eq!(
        json["differences"][0]["change"]["changed"][0]["what"],
        "fell"
    );
    let (code, _, _) = told(&["measures", "diff", old, "/nowhere"]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_table_of_something_else_is_refused_by_its_headings() {
    let dir = tempfile::tempdir().expect("a directory");
    let table = dir.path().join("other.csv");
    std::fs::write(&table, "名称,代码\n甲,1\n").expect("written");
    write_book(dir.path(), ROWS);
    let (table, book) = (
        table.to_str().expect("text"),
        dir.path().to_str().expect("text"),
    );
    let (code, _, error) = told(&["measures", "import", table, "--book", book]);
    assert_eq!(code, Some(2));
    for part in [
        "row 1: 名称 | 代码",
        "惩戒内容 | 惩戒对象",
        "守信激励事项 | 激励内容",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_forms_are_told_and_printed() {
    let (code, out, _) = told(&["measures", "schema"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("measures/*.yaml"), "{out}");
    let (_, schema, _) = told(&["measures", "schema", "lists"]);
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(
        schema["$defs"]["ListSource"]["properties"]["colour"]["enum"][0],
        "red"
    );
    let (code, _, error) = told(&["measures", "schema", "nothing"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("write one of book, scenario"), "{error}");
}
