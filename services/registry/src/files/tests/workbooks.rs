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
