//! Limits of procedures: which rule sets them, and what a book without them says.

use std::fmt::Write as _;

use creditgate_measures::book::Book;
use creditgate_measures::clocks::{CalendarUse, Procedure, limits};

use crate::BOOK;
use crate::support::{Catalogue, day, dedent, row};

#[track_caller]
fn check(book: &Book, asked: (&str, Option<&str>, Option<&str>, &str), expected: &str) {
    let (procedure, list, rule_version, on) = asked;
    let list = list.and_then(|code| book.list(code)).map(AsRef::as_ref);
    let mut told = String::new();
    for limit in limits(procedure, list, rule_version, day(on), book) {
        let default = if limit.is_default { " default" } else { "" };
        let _ = writeln!(
            told,
            "{} {} {} from {}, {}{default}",
            limit.step, limit.days, limit.unit, limit.counted_from, limit.basis
        );
    }
    assert_eq!(told.trim_end(), dedent(expected), "\n--- seen:\n{told}");
}

#[test]
fn an_objection_under_the_order_in_force() {
    let shanghai = "《上海市社会信用条例》第三十六条 default";
    let expected = format!(
        "mark 1 working from opened, {shanghai}
decide 5 working from opened, {shanghai}
pass_on 2 working from opened, {shanghai}
reply 5 working from pass_on, {shanghai}"
    );
    check(&BOOK, ("objection", None, None, "2026-04-01"), &expected);
    check(
        &BOOK,
        ("objection", Some("B02"), None, "2026-11-22"),
        &expected,
    );
    // B01 names a rule of its own that sets no limits.
    check(
        &BOOK,
        ("objection", Some("B01"), Some("spc-2017"), "2026-11-22"),
        &expected,
    );
}

#[test]
fn the_version_that_an_entry_names_goes_first() {
    let expected = "reply 7 working from opened, 《失信行为纠正后的信用信息修复管理办法（试行）》（国家发展和改革委员会令第58号）";
    check(
        &BOOK,
        ("objection", Some("B02"), Some("order-58"), "2026-11-22"),
        expected,
    );
    check(&BOOK, ("objection", None, None, "2026-03-31"), expected);
    check(&BOOK, ("objection", None, None, "2023-04-30"), "");
}

#[test]
fn the_other_procedures() {
    check(
        &BOOK,
        ("repair", Some("B02"), None, "2026-11-22"),
        "
        accept 3 working from opened, 《国务院办公厅关于进一步完善信用修复制度的实施方案》（国办发〔2025〕22号）
        decide 10 working from opened, 《国务院办公厅关于进一步完善信用修复制度的实施方案》（国办发〔2025〕22号）
        ",
    );
    check(
        &BOOK,
        ("deletion", Some("B02"), None, "2026-11-22"),
        "delete 3 working from opened, 《上海市社会信用条例》第三十七条、第三十八条 default",
    );
    check(
        &BOOK,
        ("talk", None, None, "2026-11-22"),
        "
        hold 10 working from opened, 本系统缺省值，无法定时限 default
        record 3 working from hold, 本系统缺省值，无法定时限 default
        ",
    );
    check(&BOOK, ("nothing", None, None, "2026-11-22"), "");
    assert_eq!(Procedure::ALL.len(), 5);
}

#[test]
fn a_rule_of_the_list_goes_before_the_general_one_while_it_is_in_force() {
    let rule = |version: &str, days: u32, more: &str| {
        format!(
            "  - version: {version}
    title: {{ zh: 规则, en: rule }}
    basis: {{ law: 某令, level: department_rule }}
    confidence: verified
    limits:
      objection:
        - {{ step: reply, title: {{ zh: 答复, en: reply }}, days: {days}, unit: calendar, \
basis: {{ law: 某令, level: department_rule }}, confidence: verified }}
{more}"
        )
    };
    let rules = format!(
        "repair_rules:\n{}{}",
        rule("own", 15, "    effective_to: \"2026-06-30\"\n"),
        rule(
            "all",
            30,
            "    general: true\n    effective_from: \"2020-01-01\"\n"
        ),
    );
    let book = row("id: P1\nlists: [B07]")
        .list("code: B07\nrepair: [{ version: own }]")
        .file("repair/own.yaml", &rules)
        .book();
    let own = "reply 15 calendar from opened, 《某令》";
    let all = "reply 30 calendar from opened, 《某令》";
    check(&book, ("objection", Some("B07"), None, "2026-06-30"), own);
    check(&book, ("objection", Some("B07"), None, "2026-07-01"), all);
    check(&book, ("objection", Some("B08"), None, "2026-06-30"), all);
    check(
        &book,
        ("objection", Some("B08"), Some("own"), "2026-07-01"),
        own,
    );
}

#[test]
fn a_book_that_says_nothing_of_clocks_loads_and_knows_nothing() {
    let book = Catalogue::default().book();
    assert_eq!(book.calendar().years().count(), 0);
    assert!(book.notices().is_empty() && book.notice("N01").is_none());
    assert!(book.rule("order-36").is_none() && book.general_rule(day("2026-06-01")).is_none());
    check(&book, ("objection", Some("B07"), None, "2026-06-01"), "");
    // Saturdays and Sundays are known without any calendar, and the answer says so.
    let (last, used) = book.calendar().add_working_days(day("2026-09-30"), 2);
    assert_eq!((last, used), (day("2026-10-02"), CalendarUse::Undeclared));
}
