//! `creditgate cases count`: how often measures were carried out (奖惩案例统计), on the terminal or as a file.

use std::path::Path;
use std::process::ExitCode;

use creditgate_proto::v1;
use rust_xlsxwriter::{Format, Workbook, XlsxError};

use super::screen::{direction, status, yuan};
use crate::cli::cases::CountArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::identity::{answered, json};
use crate::procedures::{table_text, text_of};

/// Name of the table.
const TITLE: &str = "奖惩案例统计";

/// Spreadsheets take text without this mark for the system's old encoding.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Numbers with more digits lose some in a spreadsheet.
const EXACT: u64 = 999_999_999_999_999;

/// Counts measures carried out.
pub async fn run(args: CountArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let asked = v1::CountMeasuresRequest {
        from: text_of(args.from),
        until: text_of(args.until),
        by: args.by.clone(),
        region: args.region.unwrap_or_default(),
    };
    let answer = answered("count the measures", client.count_measures(asked).await)?;
    let table = Table::of(&args.by, &answer.counts);
    if let Some(path) = &args.out {
        table.write(path)?;
        note!("wrote {}: {} rows", path.display(), table.rows.len());
    }
    match (args.json, &args.out) {
        (true, _) => json(&answer)?,
        (false, Some(_)) => {}
        (false, None) => say_part!("{}", table.text()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts with the titles of their columns.
struct Table {
    titles: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    /// Values of the groups, as people read them.
    of: Vec<String>,
    reports: u64,
    amount_fen: i64,
}

impl Table {
    fn of(by: &[String], counts: &[v1::MeasureCount]) -> Self {
        let titles = by.iter().map(|group| title(group));
        let row = |count: &v1::MeasureCount| {
            let value = |(at, group): (usize, &String)| {
                let value = count.of.get(at).map_or("", String::as_str);
                match group.as_str() {
                    "status" => status(value).to_owned(),
                    "direction" => direction(value).to_owned(),
                    _ => value.to_owned(),
                }
            };
            Row {
                of: by.iter().enumerate().map(value).collect(),
                reports: count.reports,
                amount_fen: count.amount_fen,
            }
        };
        Self {
            titles: titles
                .chain(["件数", "金额（元）"])
                .map(str::to_owned)
                .collect(),
            rows: counts.iter().map(row).collect(),
        }
    }

    /// For a terminal, with the sum of all below.
    fn text(&self) -> String {
        if self.rows.is_empty() {
            return "nothing was reported\n".to_owned();
        }
        let mut lines = vec![self.titles.clone()];
        lines.extend(self.rows.iter().map(Row::cells));
        let mut text = table_text(&lines);
        let reports: u64 = self.rows.iter().map(|row| row.reports).sum();
        let fen: i128 = self.rows.iter().map(|row| i128::from(row.amount_fen)).sum();
        let amount = i64::try_from(fen).map_or_else(|_| "…".to_owned(), yuan);
        text.push_str(&format!("合计 {reports} 件，{amount} 元\n"));
        text
    }

    /// Writes a file, by the end of its name.
    fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            Failure::new(format!("write `{}`", path.display()), error)
        };
        let workbook = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("xlsx"));
        let bytes = match workbook {
            true => self.xlsx().map_err(|error| failed(error.into()))?,
            false => self.csv().map_err(|error| failed(error.into()))?,
        };
        std::fs::write(path, bytes).map_err(|error| failed(error.into()))
    }

    fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut out = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(MARK.to_vec());
        out.write_record(&self.titles)?;
        for row in &self.rows {
            let groups = row.of.iter().map(|text| no_formula(text));
            out.write_record(groups.chain(row.numbers()))?;
        }
        out.into_inner()
            .map_err(|error| csv::Error::from(error.into_error()))
    }

    fn xlsx(&self) -> Result<Vec<u8>, XlsxError> {
        let mut workbook = Workbook::new();
        let bold = Format::new().set_bold();
        let money = Format::new().set_num_format("#,##0.00");
        let sheet = workbook.add_worksheet().set_name(TITLE)?;
        for (column, title) in (0..).zip(&self.titles) {
            sheet.write_string_with_format(0, column, title, &bold)?;
        }
        for (line, row) in (1..).zip(&self.rows) {
            let mut column = 0;
            for text in &row.of {
                sheet.write_string(line, column, text)?;
                column += 1;
            }
            sheet.write_number(line, column, row.reports as f64)?;
            column += 1;
            // A spreadsheet would round a number of more digits without a word.
            match row.amount_fen.unsigned_abs() <= EXACT {
                true => {
                    let amount = row.amount_fen as f64 / 100.0;
                    sheet.write_number_with_format(line, column, amount, &money)?
                }
                false => sheet.write_string(line, column, yuan(row.amount_fen))?,
            };
        }
        sheet.set_freeze_panes(1, 0)?;
        sheet.autofit();
        workbook.save_to_buffer()
    }
}

impl Row {
    fn numbers(&self) -> [String; 2] {
        [self.reports.to_string(), yuan(self.amount_fen)]
    }

    fn cells(&self) -> Vec<String> {
        self.of.iter().cloned().chain(self.numbers()).collect()
    }
}

fn title(group: &str) -> &str {
    match group {
        "measure" => "措施",
        "department" => "部门",
        "division" => "行政区划",
        "status" => "执行情况",
        "month" => "月份",
        "direction" => "方向",
        other => other,
    }
}

/// A text of the sender's that no spreadsheet may take for a formula, whole.
fn no_formula(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use calamine::{Data, Reader, Xlsx};

    use super::*;

    fn count(of: &[&str], reports: u64, amount_fen: i64) -> v1::MeasureCount {
        v1::MeasureCount {
            of: of.iter().map(|text| (*text).to_owned()).collect(),
            reports,
            amount_fen,
        }
    }

    fn table() -> Table {
        let by = ["measure", "department", "division", "status", "month"].map(str::to_owned);
        let counts = [
            count(
                &["M07", "示例局", "320500", "executed", "2026-06"],
                3,
                123_456,
            ),
            count(&["M08", "=1+1", "", "not_executed", "2026-07"], 1, -5),
            count(
                &["M09", "示例局", "320500", "partly", "2026-07"],
                1,
                i64::MAX,
            ),
        ];
        Table::of(&by, &counts)
    }

    const TITLES: [&str; 7] = [
        "措施",
        "部门",
        "行政区划",
        "执行情况",
        "月份",
        "件数",
        "金额（元）",
    ];

    #[test]
    fn a_table_as_text_has_a_mark_and_no_formula() {
        let bytes = table().csv().expect("it is written");
        let text = bytes.strip_prefix(MARK).expect("a mark");
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text);
        let rows: Vec<Vec<String>> = reader
            .records()
            .map(|row| row.expect("a row").iter().map(str::to_owned).collect())
            .collect();
        let expected = [
            TITLES,
            [
                "M07",
                "示例局",
                "320500",
                "已执行",
                "2026-06",
                "3",
                "1234.56",
            ],
            ["M08", "'=1+1", "", "未执行", "2026-07", "1", "-0.05"],
            [
                "M09",
                "示例局",
                "320500",
                "部分执行",
                "2026-07",
                "1",
                "92233720368547758.07",
            ],
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_workbook_holds_numbers_as_numbers_and_loses_none_of_their_digits() {
        let bytes = table().xlsx().expect("it is written");
        let mut read: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).expect("a workbook");
        assert_eq!(read.sheet_names(), [TITLE]);
        let range = read.worksheet_range(TITLE).expect("the sheet");
        let rows: Vec<Vec<Data>> = range.rows().map(<[Data]>::to_vec).collect();
        let text = |text: &str| Data::String(text.to_owned());
        let titles: Vec<Data> = TITLES.iter().map(|title| text(title)).collect();
        assert_eq!(rows.first(), Some(&titles));
        let first = ["M07", "示例局", "320500", "已执行", "2026-06"].map(text);
        let numbers = [Data::Float(3.0), Data::Float(1234.56)];
        assert_eq!(rows.get(1), Some(&[&first[..], &numbers[..]].concat()));
        let second = rows.get(2).expect("a row");
        assert_eq!(second.get(1), Some(&text("=1+1")));
        assert_eq!(second.get(2), Some(&Data::Empty));
        assert_eq!(second.get(6), Some(&Data::Float(-0.05)));
        let third = rows.get(3).expect("a row");
        assert_eq!(third.get(6), Some(&text("92233720368547758.07")));
        assert_eq!(rows.len(), 4);
    }

    #[test]
    fn files_are_written_by_the_end_of_their_name() {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, begins) in [("a.csv", MARK), ("a.XLSX", &b"PK"[..])] {
            let path = dir.path().join(name);
            assert!(table().write(&path).is_ok());
            let bytes = std::fs::read(&path).expect("the file");
            assert!(bytes.starts_with(begins), "{name}");
        }
        let nowhere = dir.path().join("none").join("a.csv");
        let failed = table().write(&nowhere).expect_err("no such directory");
        assert!(failed.to_string().starts_with("write `"), "{failed}");
    }

    #[test]
    fn a_terminal_shows_what_was_asked_for_and_the_sum() {
        let by = ["status", "month"].map(str::to_owned);
        let counts = [
            count(&["executed", "2026-06"], 3, 123_456),
            // An answer with too few values leaves a gap and shifts nothing.
            count(&["partly"], 1, 44),
        ];
        assert_eq!(
            Table::of(&by, &counts).text(),
            "执行情况  月份     件数  金额（元）\n\
             已执行    2026-06  3     1234.56\n\
             部分执行           1     0.44\n\
             合计 4 件，1235.00 元\n"
        );
        assert_eq!(Table::of(&by, &[]).text(), "nothing was reported\n");
    }
}
