//! Workbooks, written by a library of another make.

use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Workbook};

use super::*;

fn book(fill: impl FnOnce(&mut Workbook)) -> Vec<u8> {
    let mut book = Workbook::new();
    fill(&mut book);
    book.save_to_buffer().expect("a workbook")
}

fn row(book: &mut Workbook, row: u32, cells: &[&str]) {
    if book.worksheets().is_empty() {
        book.add_worksheet();
    }
    let sheet = book.worksheet_from_index(0).expect("a sheet");
    for (column, cell) in (0..).zip(cells) {
        sheet.write(row, column, *cell).expect("a cell");
    }
}

#[test]
fn a_workbook_says_what_the_same_table_as_text_says() {
    let columns = [
        "名单类型",
        "主体名称",
        "统一社会信用代码",
        "认定日期",
        "文书号",
    ];
    let cells = [
        "失信被执行人名单",
        "示例建设有限公司",
        USCC,
        "2026-01-05",
        "示例1号",
    ];
    let text = format!("{}\n{}\n", columns.join(","), cells.join(","));
    let bytes = book(|book| {
        row(book, 0, &["失信被执行人名单"]);
        row(book, 2, &columns);
        row(book, 3, &cells);
        row(book, 5, &cells);
    });
    let plain = entries("a.csv", text.as_bytes(), &Options::default());
    let read = entries("a.xlsx", &bytes, &Options::default());
    assert_eq!(read, [plain[0].clone(), plain[0].clone()]);
    assert_eq!(
        shown("whatever.csv", &bytes, &Options::default()),
        "4  失信被执行人名单 示例建设有限公司\n6  失信被执行人名单 示例建设有限公司",
        "told by its bytes, with the numbers of its rows"
    );
}

#[test]
fn days_and_numbers_of_cells_are_texts() {
    let bytes = book(|book| {
        row(
            book,
            0,
            &[
                "主体名称",
                "认定日期",
                "有效期止",
                "文书号",
                "列入次数",
                "送达日期",
                "组织机构代码",
            ],
        );
        let day = CellFormat::new().set_num_format("yyyy/m/d");
        let moment = CellFormat::new().set_num_format("yyyy-mm-dd hh:mm");
        let sheet = book.worksheet_from_index(0).expect("a sheet");
        sheet.write(1, 0, "示例").expect("a cell");
        let listed = ExcelDateTime::from_ymd(2026, 1, 5).expect("a day");
        sheet
            .write_with_format(1, 1, &listed, &day)
            .expect("a cell");
        sheet.write(1, 2, 46_392).expect("a cell");
        sheet.write(1, 3, 2_026_001).expect("a cell");
        sheet.write(1, 4, 2.0).expect("a cell");
        let served = listed.and_hms(10, 30, 0).expect("a moment");
        sheet
            .write_with_format(1, 5, &served, &moment)
            .expect("a cell");
        sheet.write(1, 6, "A4DLXME0X").expect("a cell");
    });
    let read = entries("a.xlsx", &bytes, &Options::default());
    let entry = &read[0];
    assert_eq!(
        (entry.valid_from.as_str(), entry.valid_to.as_str()),
        ("2026-01-05", "2027-01-05")
    );
    assert_eq!(
        (entry.document_no.as_str(), entry.repeat_count),
        ("2026001", Some(2))
    );
    assert_eq!(entry.served_at, "2026-01-05T10:30:00+08:00");
    assert_eq!(entry.id_type, "ORG9");
}

#[test]
fn a_number_that_lost_digits_refuses_its_row() {
    let bytes = book(|book| {
        row(book, 0, &["主体名称", "证件号码"]);
        let sheet = book.worksheet_from_index(0).expect("a sheet");
        sheet.write(1, 0, "张三").expect("a cell");
        sheet
            .write(1, 1, 459_999_194_901_010_033.0)
            .expect("a cell");
        sheet.write(2, 0, "李四").expect("a cell");
        sheet.write(2, 1, "45999919490101003X").expect("a cell");
    });
    assert_eq!(
        shown("a.xlsx", &bytes, &Options::default()),
        "2 refused: id_no: column `证件号码`: a number of more than 15 digits, of which the workbook has lost some; format the column as text and enter it again\n3   李四"
    );
}

#[test]
fn another_sheet_can_be_named() {
    let bytes = book(|book| {
        row(book, 0, &["说明"]);
        let sheet = book.add_worksheet().set_name("名单").expect("a name");
        sheet.write(0, 0, "主体名称").expect("a cell");
        sheet.write(1, 0, "示例").expect("a cell");
    });
    let of = |sheet: &str| Options {
        sheet: Some(sheet.to_owned()),
        ..Options::default()
    };
    assert_eq!(shown("a.xlsx", &bytes, &of("名单")), "2   示例");
    assert_eq!(
        shown("a.xlsx", &bytes, &of("甲")),
        "no sheet `甲`; the workbook has: Sheet1, 名单"
    );
    let told = shown("a.xlsx", &bytes, &Options::default());
    assert!(
        told.starts_with("none of the first 10 rows names columns"),
        "{told}"
    );
}

/// Merges cells, with a value in the first of them and nothing in the others.
fn merge(book: &mut Workbook, from: (u32, u16), to: (u32, u16), value: &str) {
    let sheet = book.worksheet_from_index(0).expect("a sheet");
    sheet
        .merge_range(from.0, from.1, to.0, to.1, value, &CellFormat::new())
        .expect("merged");
}

fn facts(name: &str, bytes: &[u8]) -> Vec<String> {
    entries(name, bytes, &Options::default())
        .into_iter()
        .map(|entry| {
            format!(
                "{} {} {} {}",
                entry.name, entry.document_no, entry.valid_from, entry.designated_by
            )
        })
        .collect()
}

#[test]
fn a_cell_merged_over_rows_is_of_each_of_them() {
    let bytes = book(|book| {
        row(book, 0, &["主体名称", "文书号", "列入日期", "认定部门"]);
        row(book, 1, &["", "1号", "2026-01-05", ""]);
        row(book, 2, &["", "2号", "2026-01-06", "甲局"]);
        row(book, 3, &["", "3号", "2026-01-07", ""]);
        row(book, 4, &["丁公司", "4号", "2026-01-08", ""]);
        row(book, 6, &["戊公司", "5号", "2026-01-09", "丙局"]);
        merge(book, (1, 0), (3, 0), "甲公司");
        merge(book, (3, 3), (4, 3), "乙局");
        // The rest of one row, and a note below.
        for column in 0..4 {
            let value = ["己公司", "6号", "2026-01-10", "丁局"][usize::from(column)];
            merge(book, (7, column), (8, column), value);
        }
    });
    assert_eq!(
        facts("a.xlsx", &bytes),
        [
            "甲公司 1号 2026-01-05 ",
            "甲公司 2号 2026-01-06 甲局",
            "甲公司 3号 2026-01-07 乙局",
            "丁公司 4号 2026-01-08 乙局",
            "戊公司 5号 2026-01-09 丙局",
            "己公司 6号 2026-01-10 丁局",
        ]
    );
}

#[test]
fn names_of_columns_may_be_merged_over_rows_and_columns() {
    let bytes = book(|book| {
        row(book, 0, &[]);
        merge(book, (0, 0), (0, 4), "失信被执行人名单");
        merge(book, (1, 0), (2, 0), "主体名称");
        merge(book, (1, 1), (1, 2), "认定信息");
        row(book, 2, &["", "认定日期", "认定部门"]);
        merge(book, (2, 3), (2, 4), "文书号");
        row(book, 3, &["甲公司", "2026-01-05", "甲局", "1号"]);
        row(book, 4, &["", "2026-01-06", "乙局", "", "2号"]);
        row(book, 5, &["丙公司", "2026-01-07", "丙局"]);
        merge(book, (5, 3), (5, 4), "3号");
        let sheet = book.worksheet_from_index(0).expect("a sheet");
        sheet.write(4, 0, "乙公司").expect("a cell");
    });
    assert_eq!(
        facts("a.xlsx", &bytes),
        [
            "甲公司 1号 2026-01-05 甲局",
            "乙公司 2号 2026-01-06 乙局",
            "丙公司 3号 2026-01-07 丙局",
        ]
    );
    // All of them over two rows: the second is none of data.
    let bytes = book(|book| {
        row(book, 0, &[]);
        merge(book, (0, 0), (1, 0), "主体名称");
        merge(book, (0, 1), (1, 1), "文书号");
        row(book, 2, &["甲公司", "1号"]);
    });
    assert_eq!(facts("a.xlsx", &bytes), ["甲公司 1号  "]);
    // Two values under one name.
    let bytes = book(|book| {
        row(book, 0, &["主体名称"]);
        merge(book, (0, 1), (0, 2), "文书号");
        row(book, 1, &["甲公司", "1号", "2号"]);
    });
    let told = shown("a.xlsx", &bytes, &Options::default());
    assert!(
        told.starts_with(
            "2 refused: document_no: column `文书号`: several columns have this one name"
        ),
        "{told}"
    );
}

#[test]
fn what_a_merged_cell_hides_and_does_not_show_refuses_its_row() {
    let bytes = book(|book| {
        row(book, 0, &["主体名称", "文书号"]);
        for line in 1..4 {
            row(book, line, &["", &format!("{line}号")]);
        }
        merge(book, (1, 0), (3, 0), "甲公司");
        let sheet = book.worksheet_from_index(0).expect("a sheet");
        sheet.write(2, 0, "甲公司").expect("a cell");
        sheet.write(3, 0, "乙公司").expect("a cell");
    });
    let told = shown("a.xlsx", &bytes, &Options::default());
    assert!(
        told.starts_with("2   甲公司\n3   甲公司\n4 refused: name: column `主体名称`: a merged cell hides another value"),
        "{told}"
    );
}

#[test]
fn merged_cells_take_little_time_and_memory_however_many_there_are() {
    const ROWS: u32 = 6_000;
    let bytes = book(|book| {
        row(book, 0, &["主体名称", "文书号"]);
        let sheet = book.worksheet_from_index(0).expect("a sheet");
        for line in 1..=ROWS {
            sheet.write(line, 1, f64::from(line)).expect("a cell");
        }
        for line in (1..=ROWS).step_by(3) {
            let name = format!("示例{line}");
            let format = CellFormat::new();
            let merged = sheet.merge_range(line, 0, line + 2, 0, &name, &format);
            merged.expect("merged");
        }
    });
    let read = entries("a.xlsx", &bytes, &Options::default());
    assert_eq!(read.len(), ROWS as usize);
    for (line, entry) in (1..).zip(&read) {
        let first = (line - 1) / 3 * 3 + 1;
        assert_eq!(entry.name, format!("示例{first}"));
    }

    // Ranges that overlap, as no program writes them.
    let sheet = |ranges: &str| {
        let sheet = format!(
            "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>主体名称</t></is></c></row>\
             <row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>甲</t></is></c></row></sheetData>\
             <mergeCells>{ranges}</mergeCells></worksheet>"
        );
        let mut book = zip::ZipArchive::new(std::io::Cursor::new(book(|book| {
            row(book, 0, &["主体名称"]);
        })))
        .expect("a workbook");
        let parts: Vec<(String, Vec<u8>)> = (0..book.len())
            .map(|at| {
                let mut part = book.by_index(at).expect("a part");
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut part, &mut bytes).expect("bytes");
                let name = part.name().expect("a name").into_owned();
                match name.ends_with("sheet1.xml") {
                    true => (name, sheet.clone().into_bytes()),
                    false => (name, bytes),
                }
            })
            .collect();
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        shown("a.xlsx", &super::archives::zip(&parts), &Options::default())
    };
    assert_eq!(sheet("<mergeCell ref=\"A2:B3\"/>"), "2   甲");
    let told = sheet(&"<mergeCell ref=\"A2:XFD9\"/>".repeat(2));
    assert!(told.contains("merged cells that overlap"), "{told}");
    let told = sheet(&"<mergeCell ref=\"A2:A3\"/>".repeat(1_001_000));
    assert!(told.contains("more than 1000000 merged cells"), "{told}");
    let told = sheet("<mergeCell ref=\"A2:\"/>");
    assert!(told.contains("damaged"), "{told}");
}
