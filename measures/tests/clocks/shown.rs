//! Calendars, limits and notices as tables, as JSON, and as differences of books.

use creditgate_measures::book::diff::BookDiff;
use creditgate_measures::book::table::{self, Part, json};
use creditgate_measures::book::{Book, Deployment, SourceFile};
use creditgate_measures::catalogue;

use crate::BOOK;

/// The catalogue with one file changed; `None` takes it away.
fn changed(path: &str, change: impl Fn(&str) -> Option<String>) -> Book {
    let files: Vec<SourceFile> = catalogue::built_in()
        .into_iter()
        .filter_map(|file| match file.path == path {
            true => change(&file.text).map(|text| SourceFile::new(path, text)),
            false => Some(file),
        })
        .collect();
    Book::load(&files, &Deployment::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

#[track_caller]
fn check(new: &Book, expected: &[&str]) {
    let told = BookDiff::of(&BOOK, new).text();
    for fragment in expected {
        assert!(told.contains(fragment), "`{fragment}` is not in\n{told}");
    }
}

#[test]
fn what_differs_is_told() {
    let worked = changed("calendar/2026.yaml", |text| {
        Some(text.replace("\"2026-10-10\"", "\"2026-10-11\""))
    });
    check(&worked, &["Working calendars", "2026-10-10", "2026-10-11"]);
    check(
        &changed("calendar/2025.yaml", |_| None),
        &["Working calendars", "2025"],
    );
    let longer = changed("repair/orders.yaml", |text| {
        Some(text.replace(
            "days: 10\n          basis: *repair_paper",
            "days: 11\n          basis: *repair_paper",
        ))
    });
    check(
        &longer,
        &[
            "Repair rules",
            "repair decide",
            "11 working days from opened",
        ],
    );
    let asked = changed("notices/service.yaml", |text| {
        Some(text.replace("自该日起，该信息停止公示", "即日起，该信息停止公示"))
    });
    check(&asked, &["Notices", "N07"]);
}

#[test]
fn the_tables_show_them() {
    let calendar = Part::Calendar.table(&BOOK).markdown();
    assert!(
        calendar.contains("| 2026 | 2026年部分节假日安排 |"),
        "{calendar}"
    );
    let repair = Part::Repair.table(&BOOK).csv();
    assert!(
        repair.contains("删除：自收到撤销通知或者修复证明之日起删除信息 3个工作日"),
        "{repair}"
    );
    let notices = Part::Notices.table(&BOOK);
    assert_eq!(notices.rows.len(), BOOK.notices().len());

    let one = table::notice(&BOOK, "N02").unwrap_or_default();
    assert!(one.contains("served with   N03"), "{one}");
    assert!(table::notice(&BOOK, "N99").is_none());
    assert_eq!(
        table::of(&BOOK, "N02").map(|table| table.rows.len()),
        Some(1)
    );
    let one = json::one(&BOOK, "N02").unwrap_or_default();
    assert_eq!(one["notice"]["proves_service"], true);
    let all = json::part(&BOOK, Part::Calendar);
    assert_eq!(all["calendar"][1]["works"][5], "2026-10-10");
    let limits = &all["repair_rules"];
    let order = limits
        .as_array()
        .into_iter()
        .flatten()
        .find(|rule| rule["version"] == "order-58");
    assert_eq!(
        order.map(|rule| &rule["limits"][0]["days"]),
        Some(&7.into())
    );
}
