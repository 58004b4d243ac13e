//! Tables as text: encodings, delimiters, titles, rows that are cut or not closed.

use encoding_rs::GB18030;

use super::*;

const TABLE: &str = "名单类型,主体名称,统一社会信用代码,认定日期\n\
                     失信被执行人名单,示例建设有限公司,91219999MAYG58BR3Q,2026-01-05\n\
                     失信被执行人名单,㐀𠀀示例𫚭有限公司,91219999MAYG58BR3Q,2026-01-06\n";

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let units = std::iter::once('\u{FEFF}').chain(text.chars());
    let mut buffer = [0; 2];
    units
        .flat_map(|c| c.encode_utf16(&mut buffer).to_vec())
        .flat_map(|unit| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        })
        .collect()
}

#[test]
fn csv_is_read_by_its_columns() {
    let text = "\u{FEFF}list,entry_id,former_names,scope,objection_marked,repeat_count,name\n\
                B01,E1,旧名一|旧名二；旧名三,item:1|trade:x,true,2,\"示例, 公司\"\n\
                B02,E2,,,,,\n";
    let read = entries("a.csv", text.as_bytes(), &Options::default());
    let first = &read[0];
    assert_eq!(first.list, "B01");
    assert_eq!(first.former_names, ["旧名一", "旧名二", "旧名三"]);
    assert_eq!(first.scope, ["item:1", "trade:x"]);
    assert_eq!(first.objection_marked, Some(true));
    assert_eq!(first.repeat_count, Some(2));
    assert_eq!(first.name, "示例, 公司");
    assert_eq!(
        (read[1].objection_marked, read[1].repeat_count),
        (None, None)
    );
}

#[test]
fn every_encoding_says_the_same() {
    let plain = entries("a.csv", TABLE.as_bytes(), &Options::default());
    assert_eq!(plain[0].name, "示例建设有限公司");
    assert_eq!(plain[0].id, USCC);
    let marked = [b"\xEF\xBB\xBF", TABLE.as_bytes()].concat();
    let (gb, _, lost) = GB18030.encode(TABLE);
    assert!(!lost);
    let written = [
        marked,
        gb.into_owned(),
        utf16(TABLE, false),
        utf16(TABLE, true),
    ];
    for bytes in written {
        assert_eq!(entries("a.csv", &bytes, &Options::default()), plain);
        for (delimiter, name) in [(';', "a.csv"), ('\t', "a.txt")] {
            let other = TABLE.replace(',', &delimiter.to_string());
            let other = GB18030.encode(&other).0.into_owned();
            assert_eq!(entries(name, &other, &Options::default()), plain);
        }
    }
}

#[test]
fn the_encoding_is_told_wherever_the_first_block_is_cut() {
    // Rows of every length, so that the block ends on every byte of a character.
    for shift in 0..4 {
        let head = format!("entry_id,list,name\nE0,B01,{}\n", "x".repeat(shift));
        let row = "E1,B01,示例建设有限公司\n".repeat(4_000);
        let text = format!("{head}{row}");
        for bytes in [
            text.clone().into_bytes(),
            GB18030.encode(&text).0.into_owned(),
        ] {
            let read = entries("a.csv", &bytes, &Options::default());
            assert_eq!(read.len(), 4_001);
            assert!(
                read.iter()
                    .skip(1)
                    .all(|entry| entry.name == "示例建设有限公司")
            );
        }
    }
}

#[test]
fn damaged_bytes_refuse_their_row_and_not_the_file() {
    let mut bytes = TABLE.as_bytes().to_vec();
    bytes.extend_from_slice(b"B01,\xFF\xFE\xFD,91219999MAYG58BR3Q,2026-01-05\n");
    bytes.extend_from_slice("B01,示例,91219999MAYG58BR3Q,2026-01-05\n".as_bytes());
    let told = shown("a.csv", &bytes, &Options::default());
    let lines: Vec<_> = told.lines().collect();
    assert!(
        lines[2]
            .starts_with("4 refused: name: column `主体名称`: not UTF-8 as the rest of the file"),
        "{told}"
    );
    assert_eq!(lines[3], "5  B01 示例");

    let mut bytes = GB18030.encode(TABLE).0.into_owned();
    bytes.extend_from_slice(b"B01,\xFF\xFF,91219999MAYG58BR3Q,2026-01-05\n");
    let told = shown("a.csv", &bytes, &Options::default());
    assert!(
        told.contains("4 refused: name: column `主体名称`: not GB18030 as the rest"),
        "{told}"
    );
}

#[test]
fn an_encoding_can_be_forced() {
    let gb = GB18030.encode("主体名称\n示例\n").0.into_owned();
    let forced = |encoding| Options {
        encoding: Some(encoding),
        ..Options::default()
    };
    assert_eq!(shown("a.csv", &gb, &forced(Encoding::Gb18030)), "2   示例");
    let told = shown("a.csv", &gb, &forced(Encoding::Utf8));
    assert!(
        told.starts_with("none of the first 10 rows names columns"),
        "{told}"
    );
    for name in ["GBK", "gb2312", "GB18030"] {
        assert_eq!(Encoding::parse(name), Some(Encoding::Gb18030));
    }
    assert_eq!(Encoding::parse("latin1"), None);
}

#[test]
fn titles_may_stand_above_the_names_of_the_columns() {
    let text = format!("失信被执行人名单（2026年）,,,\n单位：示例法院,,,\n\n{TABLE},,,\n");
    assert_eq!(
        shown("a.csv", text.as_bytes(), &Options::default()),
        "5  失信被执行人名单 示例建设有限公司\n6  失信被执行人名单 㐀𠀀示例𫚭有限公司"
    );
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let text = "主体名称,列入事由\n甲,\"一\n二\"\n\n乙,三\n";
    let expected = "2   甲\n5   乙";
    assert_eq!(
        shown("a.csv", text.as_bytes(), &Options::default()),
        expected
    );
    let windows = text.replace('\n', "\r\n");
    assert_eq!(
        shown("a.csv", windows.as_bytes(), &Options::default()),
        expected
    );
    // Whichever byte a read ends at.
    let many = "甲,二\r\n".repeat(200_000);
    let told = shown(
        "a.csv",
        format!("主体名称,列入事由\r\n{many}乙,\"\"\r\n").as_bytes(),
        &Options::default(),
    );
    assert_eq!(told.lines().last(), Some("200002   乙"));
}

#[test]
fn a_row_that_is_cut_is_refused_with_its_line() {
    let told = |text: &str| shown("a.csv", text.as_bytes(), &Options::default());
    assert_eq!(
        told("entry_id,list,objection_marked\nE1,B01,perhaps\nE2\nE3,B01,\nE4,B01,,x\nE5,B01,,,\n"),
        "2 refused: objection_marked: unknown word; known: 是, true, 否, false; others through a mapping file (`words`)\n\
         3 refused: row: 1 cells under 3 columns; quote cells that hold a delimiter\n\
         4 E3 B01\n\
         5 refused: row: 4 cells under 3 columns; quote cells that hold a delimiter\n\
         6 E5 B01"
    );
}

#[test]
fn a_file_that_ends_in_the_middle_of_a_row_is_told_from_one_without_a_last_line_end() {
    let check = |text: &str, expected: &str| {
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let told = shown("a.csv", text.as_bytes(), &Options::default());
            assert!(told.starts_with(expected), "{told}");
        }
    };
    let head = "entry_id,list,name\nE1,B01,甲\n";
    let cut = |row: &str| format!("{head}{row}");
    check(&cut("E2,B01,乙"), "2 E1 B01 甲\n3 E2 B01 乙");
    for (row, sign) in [
        ("E2,B01", "2 cells under 3 columns"),
        ("E", "1 cells under 3 columns"),
        ("E2,B01,\"乙", "a quotation mark of it is not closed"),
        ("E2,B01,\"乙\"\"", "a quotation mark of it is not closed"),
    ] {
        check(
            &cut(row),
            &format!(
                "2 E1 B01 甲\n3 refused: row: looks cut off: {sign}, and there is no line end behind it"
            ),
        );
    }
    // With a line end behind it the row was written like that.
    check(
        &cut("E2,B01\n"),
        "2 E1 B01 甲\n3 refused: row: 2 cells under 3 columns; quote",
    );
    check(&cut("E2,B01,\"乙\""), "2 E1 B01 甲\n3 E2 B01 乙");
    check(&cut("E2,B01,\"乙\n\""), "2 E1 B01 甲\n3 E2 B01 乙");
    check(
        &cut("E2,B01,\"乙\nE3,B01,丙\n"),
        "2 E1 B01 甲\n3 refused: row: lines 3 to 4 were read as one row: a quotation mark is not closed",
    );
    check("entry_id,list,name\nE1,B01,甲\r", "2 E1 B01 甲");
    // Inside a character, in every encoding.
    let whole = format!("{head}E2,B01,乙");
    for (bytes, cut) in [
        (whole.clone().into_bytes(), 1),
        (GB18030.encode(&whole).0.into_owned(), 1),
        (utf16(&whole, false), 1),
        (utf16(&whole, true), 1),
    ] {
        let told = shown("a.csv", &bytes[..bytes.len() - cut], &Options::default());
        assert!(
            told.starts_with(
                "2 E1 B01 甲\n3 refused: row: looks cut off: its last character is not whole"
            ),
            "{told}"
        );
    }
    // However long the file is, and wherever its reads end.
    let many = format!("{head}{}E2,B01", "E,B01,x\n".repeat(100_000));
    let told = shown("a.csv", many.as_bytes(), &Options::default());
    assert!(
        told.lines()
            .last()
            .is_some_and(|last| last.starts_with("100003 refused: row: looks cut off")),
    );
}

#[test]
fn a_quotation_mark_that_is_not_closed_is_told_with_the_lines_it_swallowed() {
    let rows = "E,B01,x\n".repeat(400);
    let text = format!("entry_id,list,name\nE1,B01,\"示例\n{rows}E2,B01,\"y\"\nE3,B01,z\n");
    let told = shown("a.csv", text.as_bytes(), &Options::default());
    assert!(
        told.starts_with(
            "2 refused: row: lines 2 to 403 were read as one row: a quotation mark is not closed"
        ),
        "{told}"
    );
    assert!(told.ends_with("404 E3 B01 z"), "{told}");

    let endless = format!("entry_id,list,name\nE1,B01,\"{}", "x\n".repeat(6 << 20));
    let told = shown("a.csv", endless.as_bytes(), &Options::default());
    assert!(told.contains("a row is longer than 8 MiB"), "{told}");
}

#[test]
fn what_is_no_table_says_what_to_do() {
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let told = shown(name, bytes, &Options::default());
        assert!(told.starts_with(expected), "{told}");
    };
    check("a.csv", b"", "nothing is in it");
    check(
        "a.csv",
        b"1,2,3\n4,5,6\n",
        "none of the first 10 rows names columns",
    );
    check(
        "a.xls",
        b"<html><table>",
        "HTML or XML, whatever its name says",
    );
    check(
        "a.xls",
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        "a workbook of before 2007",
    );
    check(
        "a.csv",
        b"entry_id,lsit\nE1,B01\n",
        "unknown column `lsit`; known: entry_id, list",
    );
    check(
        "a.csv",
        b"entry_id,list,list\n",
        "column 3, `list`, says the same as the column `list`",
    );
}
