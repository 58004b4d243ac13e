//! What refuses calendars, limits and notices: a counter-example for each rule.

use crate::support::{Catalogue, dedent, row};

#[track_caller]
fn check(book: &Catalogue, expected: &str) {
    let errors = match book.load() {
        Ok(_) => panic!("the book loads"),
        Err(errors) => errors,
    };
    let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    assert_eq!(told, dedent(expected), "\n--- seen:\n{told}\n");
}

/// A book with this calendar of 2026.
fn calendar(off: &str, works: &str) -> Catalogue {
    calendar_at(
        "calendar/2026.yaml",
        off,
        works,
        row("id: P1\nlists: [B07]"),
    )
}

fn calendar_at(path: &str, off: &str, works: &str, book: Catalogue) -> Catalogue {
    book.file(
        path,
        &format!(
            "year: 2026
title: {{ zh: 安排, en: days }}
basis: {{ law: 通知, level: paper }}
off:
{off}
works: {works}
confidence: verified
"
        ),
    )
}

fn off(from: &str, to: &str) -> String {
    format!("  - {{ title: {{ zh: 节日, en: holiday }}, from: \"{from}\", to: \"{to}\" }}")
}

#[test]
fn the_plain_calendar_loads() {
    let plain = calendar(&off("2026-10-01", "2026-10-07"), "[\"2026-10-10\"]");
    assert_eq!(plain.book().calendar().years().count(), 1);
}

#[test]
fn a_day_belongs_to_its_year_and_stands_once() {
    check(
        &calendar(&off("2025-12-31", "2026-01-01"), "[]"),
        "calendar/2026.yaml:5: 2026: `2025-12-31` is not a day of 2026; write it into the calendar of its year",
    );
    let twice = [
        off("2026-10-01", "2026-10-03"),
        off("2026-10-03", "2026-10-05"),
    ];
    check(
        &calendar(&twice.join("\n"), "[]"),
        "calendar/2026.yaml:6: 2026: `2026-10-03` stands twice; say of a day once whether it is off or worked",
    );
    check(
        &calendar(&off("2026-10-01", "2026-10-05"), "[\"2026-10-04\"]"),
        "calendar/2026.yaml:6: 2026: `2026-10-04` stands twice; say of a day once whether it is off or worked",
    );
}

#[test]
fn a_worked_day_is_a_weekend_and_a_holiday_is_more_than_one() {
    check(
        &calendar(&off("2026-10-01", "2026-10-07"), "[\"2026-10-09\"]"),
        "calendar/2026.yaml:6: 2026: `2026-10-09` is neither a Saturday nor a Sunday: it is worked in any case; \
mend the day, or remove it",
    );
    check(
        &calendar(&off("2026-10-10", "2026-10-11"), "[]"),
        "calendar/2026.yaml:5: 2026: the holiday has no day off besides Saturday and Sunday; mend its days, or remove it",
    );
    for (from, to) in [("2026-10-07", "2026-10-01"), ("2026-01-10", "2026-10-01")] {
        check(
            &calendar(&off(from, to), "[]"),
            "calendar/2026.yaml:5: 2026: the holiday ends before it begins, or lasts longer than a month; \
mend `from` or `to`",
        );
    }
}

#[test]
fn a_year_has_one_calendar() {
    let first = calendar(&off("2026-10-01", "2026-10-07"), "[]");
    check(
        &calendar_at(
            "calendar/again.yaml",
            &off("2026-05-01", "2026-05-01"),
            "[]",
            first,
        ),
        "calendar/again.yaml:1: 2026: the year has two calendars; remove one",
    );
}

/// A book with a rule on repair of these further lines.
fn rule(more: &str) -> Catalogue {
    rules(&[("R1", more)])
}

fn rules(rules: &[(&str, &str)]) -> Catalogue {
    let mut text = "repair_rules:\n".to_owned();
    for (version, more) in rules {
        text += &format!(
            "  - version: {version}
    title: {{ zh: 规则, en: rule }}
    basis: {{ law: 某令, level: department_rule }}
    confidence: verified
{more}
"
        );
    }
    row("id: P1\nlists: [B07]").file("repair/own.yaml", &text)
}

fn limit(text: &str) -> Catalogue {
    limits(&[text])
}

fn limits(texts: &[&str]) -> Catalogue {
    let mut more = "    limits:\n      objection:\n".to_owned();
    for text in texts {
        more += &format!(
            "        - {{ title: {{ zh: 答复, en: reply }}, confidence: verified, {text} }}\n"
        );
    }
    rule(&more)
}

const BASED: &str = "basis: { law: 某令, level: department_rule }";

#[test]
fn a_limit_names_its_basis_or_says_that_it_is_a_default() {
    check(
        &limit("step: reply, days: 5"),
        "repair/own.yaml:8: R1: the limit has no basis; add its `basis`, or write `default: true` where no law sets it",
    );
    limit("step: reply, days: 5, default: true").book();
    let local = "basis: { law: 某条例, level: local_regulation, region: \"310000\" }";
    check(
        &limit(&format!("step: reply, days: 5, {local}")),
        "repair/own.yaml:8: R1: a local regulation binds in its own region only, and the rule holds everywhere; \
write `default: true`: there it is shown as filling a gap",
    );
    limit(&format!("step: reply, days: 5, default: true, {local}")).book();
    limit(&format!("step: reply, days: 5, {BASED}")).book();
}

#[test]
fn a_limit_has_a_step_and_days() {
    for days in ["0", "367", "70000"] {
        check(
            &limit(&format!("step: reply, days: {days}, {BASED}")),
            "repair/own.yaml:8: R1: a limit of no days, or of more than a year; write `days` from 1 to 366",
        );
    }
    check(
        &limit(&format!("step: \"re ply\", days: 5, {BASED}")),
        "repair/own.yaml:8: R1: the step `re ply` is empty, or has white space or control characters in it; \
write letters, digits and hyphens",
    );
    check(
        &limit(&format!("step: reply, days: 5, unit: weeks, {BASED}")),
        "repair/own.yaml:8: R1: unknown unit of days `weeks`; write one of working, calendar",
    );
}

#[test]
fn steps_follow_one_another() {
    let first = format!("step: mark, days: 1, {BASED}");
    check(
        &limits(&[&first, &first]),
        "repair/own.yaml:9: R1: step `mark` of `objection` stands twice; remove one, or write another code",
    );
    check(
        &limits(&[
            &format!("step: reply, days: 5, counted_from: mark, {BASED}"),
            &first,
        ]),
        "repair/own.yaml:8: R1: `reply` is counted from `mark`, which is no earlier step of `objection`; \
write `opened`, or a step that stands before it",
    );
    limits(&[
        &first,
        &format!("step: reply, days: 5, counted_from: mark, {BASED}"),
    ])
    .book();
}

#[test]
fn an_unknown_procedure_is_refused() {
    check(
        &rule("    limits: { objections: [] }"),
        "repair/own.yaml:6: form: unknown field `objections`; write one of objection, repair, deletion, talk, commitment",
    );
}

#[test]
fn general_rules_have_a_first_day_and_hold_one_at_a_time() {
    check(
        &rule("    general: true"),
        "repair/own.yaml:2: R1: a general rule without a first day; write `effective_from`: it says which decisions it governs",
    );
    let from = |day: &str| format!("    general: true\n    effective_from: \"{day}\"");
    check(
        &rules(&[("R1", &from("2023-05-01")), ("R2", &from("2026-04-01"))]),
        "repair/own.yaml:8: R2: two general rules hold on one day, this and `R1`; end one before the other begins",
    );
    let ended = format!("{}\n    effective_to: \"2026-03-31\"", from("2023-05-01"));
    rules(&[("R1", &ended), ("R2", &from("2026-04-01"))]).book();
    rules(&[("R1", &from("2023-05-01")), ("R2", "")]).book();
}

/// A book with this notice, which may leave out or replace what it says.
fn notice(more: &str) -> Catalogue {
    notices(&[&format!("id: X1\n{more}")])
}

fn notices(written: &[&str]) -> Catalogue {
    let defaults = [
        ("title", "{ zh: 告知书, en: notice }"),
        ("when", "talk"),
        ("basis", "[{ law: 某令, level: department_rule }]"),
        ("text", "\"{subject}：请来。\""),
        ("confidence", "verified"),
    ];
    let mut text = "notices:\n".to_owned();
    for notice in written {
        let mut lines: Vec<String> = notice.lines().map(str::to_owned).collect();
        for (key, value) in defaults {
            if !lines
                .iter()
                .any(|line| line.starts_with(&format!("{key}:")))
            {
                lines.push(format!("{key}: {value}"));
            }
        }
        text += &format!("  - {}\n", lines.join("\n    "));
    }
    row("id: P1\nlists: [B07]").file("notices/own.yaml", &text)
}

#[test]
fn the_plain_notice_loads() {
    assert_eq!(notice("").book().notices().len(), 1);
}

#[test]
fn placeholders_are_known() {
    let told = notice("text: \"{subject}{adress}\"").load();
    let told = told.map_or_else(|errors| errors.to_string(), |_| String::new());
    assert!(
        told.contains("notices/own.yaml:3: X1: unknown placeholder `adress`; write one of subject, identifier, listed, list,"),
        "{told}"
    );
    for text in ["{subject", "subject}", "{subject}}", "{subject} { "] {
        check(
            &notice(&format!("text: \"{text}\"")),
            "notices/own.yaml:3: X1: a brace of the text has no other; write placeholders as `{subject}`, and no other braces",
        );
    }
}

#[test]
fn a_notice_has_text_title_basis_and_subject() {
    check(
        &notice("text: \" \""),
        "notices/own.yaml:2: X1: `text` is blank; write it out
notices/own.yaml:2: X1: the notice does not name whom it is for; write `{subject}` in the text",
    );
    check(
        &notice("title: { zh: \" \", en: notice }"),
        "notices/own.yaml:2: X1: `title` is blank; write it out",
    );
    check(
        &notice("basis: []"),
        "notices/own.yaml:2: X1: the notice has no basis; add its `basis`",
    );
    check(
        &notice("when: some_day"),
        "notices/own.yaml:3: X1: unknown occasion of a notice `some_day`; write one of listing_planned, listing, \
repair_notice, repair_possible, measure_bitten, talk, repaired, revoked, objection_result",
    );
}

#[test]
fn only_the_decision_proves_its_service() {
    check(
        &notice("proves_service: true"),
        "notices/own.yaml:2: X1: only the service of the decision itself tells when the decision was served; \
write `proves_service` with `when: listing` only",
    );
    notice("when: listing\nproves_service: true").book();
}

#[test]
fn an_occasion_has_one_notice_and_names_others_of_the_book() {
    check(
        &notices(&["id: X1", "id: X2"]),
        "notices/own.yaml:8: X2: two notices for `talk`, this and `X1`; remove one",
    );
    check(
        &notices(&["id: X1", "id: X1\nwhen: revoked"]),
        "notices/own.yaml:8: X1: the notice stands twice; remove one",
    );
    for other in ["X1", "X9"] {
        check(
            &notice(&format!("together_with: [{other}]")),
            &format!(
                "notices/own.yaml:3: X1: `{other}` is no other notice of the book; name one in `together_with`, or remove it"
            ),
        );
    }
    notices(&["id: X1\ntogether_with: [X2]", "id: X2\nwhen: revoked"]).book();
}
