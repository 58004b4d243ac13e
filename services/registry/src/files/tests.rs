//! Facts about files of entries: what is read, and what is said of what is not.

use super::*;

fn rows(text: &str, format: Format) -> String {
    let rows = match read(text.as_bytes(), format, |_| ()) {
        Ok(rows) => rows,
        Err(error) => return error.to_string(),
    };
    let shown: Vec<_> = rows
        .map(|row| match row {
            Ok((line, Ok(entry))) => format!("{line} {} {}", entry.entry_id, entry.list),
            Ok((line, Err(why))) => format!("{line} refused: {why}"),
            Err(error) => error.to_string(),
        })
        .collect();
    shown.join("\n")
}

#[test]
fn csv_is_read_by_its_columns() {
    let text = "\u{FEFF}list,entry_id,former_names,scope,objection_marked,repeat_count,name\n\
                B01,E1,旧名一|旧名二；旧名三,item:1|trade:x,true,2,\"示例, 公司\"\n\
                B02,E2,,,,,\n";
    let entries: Vec<_> = read(text.as_bytes(), Format::Csv, |_| ())
        .expect("columns")
        .map(|row| row.expect("a row"))
        .map(|(line, entry)| (line, entry.expect("an entry")))
        .collect();
    let (line, first) = &entries[0];
    assert_eq!((*line, first.list.as_str()), (2, "B01"));
    assert_eq!(first.former_names, ["旧名一", "旧名二", "旧名三"]);
    assert_eq!(first.scope, ["item:1", "trade:x"]);
    assert_eq!(first.objection_marked, Some(true));
    assert_eq!(first.repeat_count, Some(2));
    assert_eq!(first.name, "示例, 公司");
    let (line, second) = &entries[1];
    assert_eq!(
        (*line, second.objection_marked, second.repeat_count),
        (3, None, None)
    );
}

#[test]
fn a_column_that_entries_do_not_have_is_named() {
    let check = |text: &str, expected: &str| {
        let shown = rows(text, Format::Csv);
        assert!(shown.starts_with(expected), "{shown}");
    };
    check(
        "entry_id,lsit\nE1,B01\n",
        "unknown column `lsit`; known: entry_id, list",
    );
    check("entry_id,list,list\n", "column `list` stands twice");
    check("list\nB01\n", "the column `entry_id` is missing");
    check("", "the column `entry_id` is missing");
}

#[test]
fn a_row_that_cannot_be_read_does_not_end_the_file() {
    let check =
        |text: &str, format: Format, expected: &str| assert_eq!(rows(text, format), expected);
    check(
        "entry_id,list,objection_marked\nE1,B01,yes\nE2\nE3,B01,\n",
        Format::Csv,
        "2 refused: objection_marked: write true or false\n\
         3 refused: row: 1 cells under 3 columns; quote cells that hold a comma\n\
         4 E3 B01",
    );
    check(
        "{\"entry_id\":\"E1\",\"list\":\"B01\"}\n\n{\"entry_id\":\"E2\",\"list\":\"B01\",\"lsit\":1}\n{\"entry_id\":\"E3\"}",
        Format::JsonLines,
        &format!("1 E1 B01\n3 refused: {}\n4 E3 ", unknown_field()),
    );
}

fn unknown_field() -> Refused {
    json::entry_from_json_line(br#"{"entry_id":"E2","list":"B01","lsit":1}"#)
        .expect_err("an unknown field")
}

#[test]
fn a_line_without_end_is_refused_without_being_kept() {
    let long = format!("{}\n{{\"entry_id\":\"E2\"}}\n", "x".repeat(3 << 20));
    assert_eq!(
        rows(&long, Format::JsonLines),
        "1 refused: body: the line is longer than 1 MiB\n2 E2 "
    );
}

#[test]
fn progress_is_told_now_and_then_and_at_the_end() {
    let text = "{\"entry_id\":\"E\"}\n".repeat(2_500);
    let mut told = Vec::new();
    let count = read(text.as_bytes(), Format::JsonLines, |progress| {
        told.push(progress)
    })
    .expect("a reader")
    .count();
    assert_eq!(count, 2_500);
    let rows: Vec<_> = told.iter().map(|progress| progress.rows).collect();
    assert_eq!(rows, [1_000, 2_000, 2_500]);
    assert_eq!(
        told.last().map(|progress| progress.bytes),
        Some(text.len() as u64)
    );
}
