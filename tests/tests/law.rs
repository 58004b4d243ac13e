//! The law tested and explained from the command line, on a small book in a directory.

use std::path::Path;
use std::process::Output;

use creditgate_measures::identifier::invented;
use creditgate_tests::run;

const BOOK: &str = r#"
book: small
title: { zh: 小册, en: small }
edition:
  code: "2024"
  title: { zh: 清单, en: list }
  items:
    - { code: MKT_ENTRY, class: A, title: { zh: 限制准入, en: entry }, confidence: verified }
covers_from: "2020-01-01"
"#;
const SCENARIO: &str = r#"
scenario: permit
title: { zh: 许可, en: permit }
actor: public
stages:
  - { code: accept, title: { zh: 受理, en: accept }, decisive: true }
  - { code: decide, title: { zh: 决定, en: decide }, decisive: true }
"#;
const LISTS: &str = r#"
lists:
  - code: B01
    colour: black
    name: { zh: 名单, en: list }
    authority: 某机关
    basis: [{ law: 某法, level: law }]
    field: judicial
    reach: national
    until_performed: true
    freshness_budget_hours: 24
    default_severity: serious
    confidence: verified
"#;
const ROW: &str = r#"
measures:
  - id: M01
    title: { zh: 限制许可, en: no permit }
    content: { zh: 不予许可, en: no permit }
    field: judicial
    direction: penalty
    item: MKT_ENTRY
    class: A
    force: must
    effect: PROHIBIT
    applies: [{ scenario: permit, stages: [accept] }]
    lists: [B01]
    basis: [{ law: 某法, article: 第一条, level: law }]
    published_at: "2020-01-01"
    published_in: 公报
    effective_from: "2020-01-01"
    implementer: { zh: 某机关, en: authority }
    remedies: { zh: 可以申诉, en: objection }
    confidence: verified
    cases:
      - { name: listed, expect: EXPECTED }
      - { name: at another stage, event: { stage: decide }, expect: no match }
"#;

fn book(expected: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let row = ROW.replace("EXPECTED", expected);
    for (path, text) in [
        ("book.yaml", BOOK),
        ("scenarios/permit.yaml", SCENARIO),
        ("lists/black.yaml", LISTS),
        ("measures/own.yaml", &row),
    ] {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    dir
}

fn told(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{out}{err}")
}

fn path(dir: &Path) -> String {
    dir.display().to_string()
}

#[test]
fn failing_cases_are_told_with_both_sides_and_their_line() {
    let right = book("effect PROHIBIT");
    let tested = run(&["measures", "test", &path(right.path())], "");
    assert_eq!(tested.status.code(), Some(0), "{}", told(&tested));
    assert_eq!(told(&tested), "2 cases of 1 rows passed\n");

    let wrong = book("effect NOTICE");
    let tested = run(&["measures", "test", &path(wrong.path())], "");
    assert_eq!(tested.status.code(), Some(1));
    assert_eq!(
        told(&tested),
        "measures/own.yaml:22: M01: case `listed`
  expected  effect NOTICE
  got       effect PROHIBIT
1 of 2 cases of 1 rows failed
"
    );
}

#[test]
fn changes_that_nothing_notices_are_told_and_too_many_fail() {
    let dir = book("effect PROHIBIT");
    let dir = path(dir.path());
    let mutated = run(&["measures", "test", &dir, "--mutate"], "");
    let all = told(&mutated);
    assert_eq!(mutated.status.code(), Some(1), "{all}");
    assert!(all.contains("  M01 title other text\n"), "{all}");
    assert!(!all.contains("M01 effect "), "{all}");
    let last = all.lines().next_back().unwrap_or_default();
    assert!(
        last.starts_with("killed ") && last.ends_with(" %)"),
        "{last}"
    );

    let few = run(
        &["measures", "test", &dir, "--mutate", "--survivors", "1"],
        "",
    );
    let few = told(&few);
    assert!(
        few.contains("M01 title") && !few.contains("M01 content"),
        "{few}"
    );
    assert!(
        few.contains("\nand ") && few.ends_with(&format!("{last}\n")),
        "{few}"
    );
}

#[test]
fn each_row_is_explained_and_nobody_named() {
    let dir = book("effect PROHIBIT");
    let book = path(dir.path());
    let (listed, clean) = (invented::uscc(1), invented::uscc(2));
    let event = |stage: &str, at: &str| {
        format!(
            r#"{{"source":"s","id":"1","case_id":"c","scenario":"permit","stage":"{stage}","region":"320500",
            "occurred_at":"{at}T10:00:00+08:00","subjects":[
            {{"role":"applicant","id_type":"USCC","id":"{listed}"}},
            {{"role":"applicant","id_type":"USCC","id":"{clean}"}}]}}"#
        )
    };
    let lists = dir.path().join("lists.csv");
    let entries = format!(
        "entry_id,list,id_type,id,document_no,valid_from\nE1,B01,USCC,{listed},某文1号,2026-03-01\n"
    );
    std::fs::write(&lists, entries).expect("a file");
    let lists = path(&lists);
    let explain = |event: &str, more: &[&str]| {
        let mut args = vec![
            "measures", "explain", "-", "--book", &book, "--lists", &lists,
        ];
        args.extend(more);
        run(&args, event)
    };

    let output = explain(&event("accept", "2026-06-01"), &[]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in [
        "PROHIBIT  permit/accept  case c",
        "  effect PROHIBIT M01 · 限制许可 no permit",
        "    entry E1 on B01, found by identifier",
        "    basis: 某法 第一条 law",
        "    M01    限制许可 · the subject is on none of its lists: B01",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\n{text}");
    }
    for identifier in [&listed, &clean] {
        assert!(!text.contains(identifier.as_str()), "{text}");
    }
    let early = told(&explain(&event("accept", "2026-02-01"), &[]));
    assert!(early.contains("listed, and not usable: "), "{early}");
    let old = told(&explain(&event("accept", "2019-06-01"), &[]));
    assert!(
        old.contains("in force from 2020-01-01, the event is of 2019-06-01"),
        "{old}"
    );
    let later = told(&explain(&event("decide", "2026-06-01"), &[]));
    assert!(
        later.contains("M01    限制许可 · only at accept"),
        "{later}"
    );

    let output = explain(&event("accept", "2026-06-01"), &["--json", "--row", "M01"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["rows"][0]["contributes"], "effect PROHIBIT");
    assert_eq!(json["rows"][1]["reason"], "not_listed");
    assert_eq!(json["verdict"]["outcome"], "PROHIBIT");
    assert!(!json.to_string().contains(&listed), "{json}");

    let unknown = explain(&event("accept", "2026-06-01"), &["--row", "M99"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(told(&unknown).contains("the book has no row `M99`"));
}
