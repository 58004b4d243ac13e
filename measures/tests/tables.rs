//! A book as published tables, and what differs between two books.

use creditgate_measures::book::Book;
use creditgate_measures::book::diff::BookDiff;
use creditgate_measures::book::table::{self, Part, json};
use support::{Catalogue, row};

mod support;

const LISTED: &str = "
    id: M1
    title: { zh: 取消投标资格, en: loss of capacity }
    lists: [B01, B07]
    kinds: [enterprise]
    extends_to: [legal_representative]
";

const REWARD: &str = "
    id: R1
    direction: incentive
    effect: PRIORITY
    force: may
    lists: [G02]
";

fn book() -> Catalogue {
    row(LISTED)
        .row(
            "
            id: M2
            title: { zh: 从严审查, en: scrutiny }
            lists: [A01]
            effect: HEIGHTENED_SCRUTINY
            confidence: recalled
            without: published_at effective_from
            ",
        )
        .row(REWARD)
}

/// The cells of the row with this id, by heading.
fn cell(book: &Book, part: Part, id: &str, heading: &str) -> String {
    let table = part.table(book);
    let at = |wanted: &str| {
        let found = table.headings.iter().position(|one| *one == wanted);
        found.expect("the heading")
    };
    let row = table.rows.iter().find(|row| row[at("编号")] == id);
    row.expect("the row")[at(heading)].clone()
}

#[test]
fn the_published_table_has_the_columns_of_the_national_list() {
    let book = book().book();
    let penalties = Part::Penalties.table(&book);
    assert_eq!(
        penalties.headings[..6],
        [
            "类别",
            "惩戒措施（事项）",
            "惩戒内容",
            "惩戒对象",
            "法规政策依据",
            "实施主体"
        ]
    );
    assert_eq!(penalties.rows.len(), 2);
    let incentives = Part::Incentives.table(&book);
    assert_eq!(
        incentives.headings[..7],
        [
            "序号",
            "守信激励事项",
            "激励内容",
            "激励对象",
            "政策依据",
            "实施层级",
            "实施频次"
        ]
    );
    let targets = cell(&book, Part::Penalties, "M1", "惩戒对象");
    assert!(targets.contains("名单（B01）、名单（B07）"), "{targets}");
    assert!(targets.contains("延伸至：法定代表人"), "{targets}");
    for part in [Part::Lists, Part::Scenarios, Part::NotExpressed] {
        let table = part.table(&book);
        assert!(
            table
                .rows
                .iter()
                .all(|row| row.len() == table.headings.len())
        );
    }
}

#[test]
fn what_is_recalled_or_inactive_says_so() {
    let book = book().book();
    let told = |heading| cell(&book, Part::Penalties, "M2", heading);
    assert_eq!(told("核对情况"), "回忆/未核对");
    assert!(told("法规政策依据").starts_with("（回忆/未核对）《某法》"));
    assert_eq!(
        told("是否施行"),
        "未施行（inactive）：未载明published_at、effective_from"
    );
    let detail = table::row(&book, "M2").expect("the row");
    assert!(
        detail.contains("basis         回忆/未核对: 《某法》第一条"),
        "{detail}"
    );
    assert!(
        detail.contains("inactive: published_at, effective_from not known"),
        "{detail}"
    );
    let json = json::one(&book, "M2").expect("the row");
    assert_eq!(json["rows"][0]["active"], false);
    assert_eq!(json["rows"][0]["inactive_without"][1], "effective_from");
}

#[test]
fn a_row_is_shown_with_all_its_versions_and_a_list_with_its_rows() {
    let book = row("id: M1\nlists: [B07]\neffective_to: \"2024-12-31\"")
        .row("id: M1\nlists: [B07]\neffective_from: \"2025-01-01\"")
        .book();
    let detail = table::row(&book, "M1").expect("the row");
    assert!(detail.contains("(version 1 of 2)"), "{detail}");
    assert!(detail.contains("2020-01-01至2024-12-31"), "{detail}");
    assert!(detail.contains("2025-01-01起"), "{detail}");
    let list = table::list(&book, "B07").expect("the list");
    assert!(list.contains("named by      M1\n"), "{list}");
    assert_eq!(table::of(&book, "M1").expect("a table").rows.len(), 2);
    assert_eq!(table::row(&book, "M9"), None);
    assert_eq!(json::one(&book, "M9"), None);
}

/// The differences in words, without the heading of each group.
fn check(old: &Catalogue, new: &Catalogue, expected: &str) {
    let told = BookDiff::of(&old.book(), &new.book()).text();
    let (told, expected) = (support::dedent(&told), support::dedent(expected));
    assert_eq!(told, expected, "\n{told}\n");
}

#[test]
fn a_book_says_the_same_as_itself() {
    check(&book(), &book(), "the books are the same");
    let other_case = row(LISTED.trim_end()).row(REWARD);
    let with_case = other_case.clone().file("names/simplify.txt", "東 东\n");
    check(
        &other_case,
        &with_case,
        "the books say the same; their files differ in comments or cases",
    );
}

#[test]
fn a_row_that_binds_harder_or_reaches_further_is_stricter() {
    check(
        &row("id: M1\nlists: [B07]\nforce: may\neffect: RESTRICT"),
        &row("id: M1\nlists: [B01, B07]\napplies: [{ scenario: tender, stages: [evaluate, award] }]"),
        "
        Rows changed
          M1 措施 changed (stricter)
            effect strengthened: was RESTRICT, is PROHIBIT
            force strengthened: was may, is must
            applies: added tender/award 场景 阶段
            lists: added B01 名单

        stricter: 1 row, milder: 0 rows, both ways or unclear: 0 rows, no change for people: 0 rows; beside rows: 0
        ",
    );
}

#[test]
fn no_member_means_every_one() {
    check(
        &row("id: M1\nlists: [B07]"),
        &row("id: M1\nlists: [B07]\nkinds: [enterprise]\nextends_to: [principal]"),
        "
        Rows changed
          M1 措施 changed (both ways or unclear)
            kinds: was every one, added enterprise
            extends_to: added principal

        stricter: 0 rows, milder: 0 rows, both ways or unclear: 1 row, no change for people: 0 rows; beside rows: 0
        ",
    );
}

#[test]
fn rows_that_come_and_go_bear_on_people_only_when_active() {
    check(
        &row(REWARD).row("id: M1\nlists: [B07]"),
        &row("id: M2\nlists: [B07]").row("id: M3\nlists: [B07]\nwithout: published_in"),
        "
        Rows added
          M2 措施 added (stricter)
          M3 措施 added (no change for people)

        Rows removed
          M1 措施 removed (milder)
          R1 措施 removed (stricter)

        stricter: 2 rows, milder: 1 row, both ways or unclear: 0 rows, no change for people: 1 row; beside rows: 0
        ",
    );
}

#[test]
fn a_row_is_activated_by_its_publication() {
    check(
        &row("id: M1\nlists: [B07]\nwithout: published_in"),
        &row("id: M1\nlists: [B07]"),
        "
        Rows changed
          M1 措施 changed (stricter)
            published_in: was none, is 公报
            active activated: was inactive, is active

        stricter: 1 row, milder: 0 rows, both ways or unclear: 0 rows, no change for people: 0 rows; beside rows: 0
        ",
    );
}

#[test]
fn a_new_version_is_compared_with_the_one_before_it() {
    check(
        &row("id: M1\nlists: [B07]"),
        &row("id: M1\nlists: [B07]\neffective_to: \"2025-12-31\"").row(
            "id: M1\nlists: [B07]\neffective_from: \"2026-01-01\"\neffect: RESTRICT",
        ),
        "
        Rows changed
          M1 措施 changed (no change for people)
            effective_to: was none, is 2025-12-31
          M1 措施 has a new version (milder)
            effect weakened: was PROHIBIT, is RESTRICT
            effective_from: was 2020-01-01, is 2026-01-01
            effective_to: was 2025-12-31, is none

        stricter: 0 rows, milder: 1 row, both ways or unclear: 0 rows, no change for people: 1 row; beside rows: 0
        ",
    );
}

#[test]
fn lists_agreements_and_the_edition_are_compared_too() {
    let base = row("id: M1\nlists: [B07]");
    let old = base
        .clone()
        .list("code: B50\nmax_period_months: 36")
        .agreement("id: V1\nlists: [B07]\nfrom: \"220100\"\nto: \"210100\"");
    let new = base
        .list("code: B50\nmax_period_months: 12\nauthority: 别的机关")
        .list("code: B51");
    check(
        &old,
        &new,
        "
        Lists
          B51 名单 added
          B50 名单 changed (milder)
            authority: was 某机关, is 别的机关
            max_period_months: was 36 months, is 12 months

        Agreements
          V1 220100 → 210100 removed

        stricter: 0 rows, milder: 0 rows, both ways or unclear: 0 rows, no change for people: 0 rows; beside rows: 3
        ",
    );
}
