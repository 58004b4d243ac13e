//! A table out of a spreadsheet: XLSX, or CSV in UTF-8, UTF-16 or GB18030. Says nothing about its meaning.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{Data, DataRef, Reader, Xlsx};
use encoding_rs::{Encoding, GB18030, UTF_8};

/// The largest file that is taken for a table of measures.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// The largest area of one sheet, in cells: a single cell far away makes room for all between needed.
const CELLS_MAX: u64 = 2_000_000;

/// Merged areas of one sheet: each is looked at for each cell.
const MERGED_MAX: usize = 10_000;

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1, as a spreadsheet shows it; lines of CSV without any cell are not counted.
    pub number: u64,
    /// Its cells, trimmed; a cell that is part of a merged one has the text of the whole.
    pub cells: Vec<String>,
}

/// A table as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Name of the sheet; empty for CSV.
    pub name: String,
    /// Its lines, empty ones left out.
    pub lines: Vec<Line>,
}

/// Reads the sheets of a file: the named one, or all.
///
/// # Errors
/// In words, when the file cannot be read or has no such sheet.
pub fn read(path: &Path, named: Option<&str>) -> Result<Vec<Sheet>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!(
            "{size} bytes; a table of measures has at most {FILE_BYTES_MAX}"
        ));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    // An XLSX is a ZIP archive, whatever its name says.
    if bytes.starts_with(b"PK") {
        return guarded(|| xlsx(bytes, named));
    }
    if let Some(name) = named {
        return Err(format!("CSV has no sheets; leave `--sheet {name}` out"));
    }
    if bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return Err("an XLS of before 2007; save it as XLSX or CSV".to_owned());
    }
    Ok(vec![csv(&bytes)?])
}

/// Calls the reader of workbooks, which may panic on damaged ones.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the workbook is damaged; open and save it again".to_owned()))
}

fn xlsx(bytes: Vec<u8>, named: Option<&str>) -> Result<Vec<Sheet>, String> {
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let names: Vec<String> = match named {
        None => book.sheet_names(),
        Some(name) if book.sheet_names().iter().any(|known| known == name) => {
            vec![name.to_owned()]
        }
        Some(name) => {
            return Err(format!(
                "no sheet `{name}`; the file has {}",
                book.sheet_names().join(", ")
            ));
        }
    };
    names
        .into_iter()
        .map(|name| xlsx_sheet(&mut book, name))
        .collect()
}

fn xlsx_sheet(book: &mut Xlsx<Cursor<Vec<u8>>>, name: String) -> Result<Sheet, String> {
    let told = |error: calamine::XlsxError| format!("sheet `{name}`: {error}");
    let cells = area(book, &name).map_err(told)?;
    if cells > CELLS_MAX {
        return Err(format!(
            "sheet `{name}`: its cells span {cells}, and a table of measures has at most {CELLS_MAX}; delete what stands far away"
        ));
    }
    let range = book.worksheet_range(&name).map_err(told)?;
    let merged = book.merge_cells_by_sheet_name(&name).map_err(told)?;
    if merged.len() > MERGED_MAX {
        return Err(format!(
            "sheet `{name}`: more than {MERGED_MAX} merged cells; undo the merging"
        ));
    }
    let (first_row, first_column) = range.start().unwrap_or_default();
    let text = |row: u32, column: u32| {
        let whole = merged.iter().find(|area| {
            (area.start.0..=area.end.0).contains(&row)
                && (area.start.1..=area.end.1).contains(&column)
        });
        let at = whole.map_or((row, column), |area| area.start);
        clean(&range.get_value(at).map(Data::to_string).unwrap_or_default())
    };
    let (rows, columns) = range.get_size();
    let lines = (first_row..)
        .take(rows)
        .map(|row| Line {
            number: u64::from(row) + 1,
            cells: (first_column..)
                .take(columns)
                .map(|column| text(row, column))
                .collect(),
        })
        .filter(|line| !line.is_empty())
        .collect();
    Ok(Sheet { name, lines })
}

/// Cells between the first and the last of a sheet, or as many as it has written down.
fn area(book: &mut Xlsx<Cursor<Vec<u8>>>, name: &str) -> Result<u64, calamine::XlsxError> {
    let mut cells = book.worksheet_cells_reader(name)?;
    let (mut first, mut last) = ((u32::MAX, u32::MAX), (0, 0));
    let mut written = 0;
    while written <= CELLS_MAX
        && let Some(cell) = cells.next_cell()?
    {
        // A format without a text takes no room.
        if matches!(cell.get_value(), DataRef::Empty) {
            continue;
        }
        let (row, column) = cell.get_position();
        first = (first.0.min(row), first.1.min(column));
        last = (last.0.max(row), last.1.max(column));
        written += 1;
    }
    let span = |first: u32, last: u32| u64::from(last.saturating_sub(first)) + 1;
    Ok(match written {
        0 => 0,
        written => written.max(span(first.0, last.0) * span(first.1, last.1)),
    })
}

impl Line {
    fn is_empty(&self) -> bool {
        self.cells.iter().all(String::is_empty)
    }
}

fn csv(bytes: &[u8]) -> Result<Sheet, String> {
    let text = decode(bytes)?;
    let mut lines = Vec::new();
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = Line {
            number: record.position().map_or(0, ::csv::Position::record) + 1,
            cells: record.iter().map(clean).collect(),
        };
        if !line.is_empty() {
            lines.push(line);
        }
    }
    Ok(Sheet {
        name: String::new(),
        lines,
    })
}

/// UTF-8 or UTF-16 with a mark, UTF-8 without, else GB18030, as spreadsheets in China write CSV.
fn decode(bytes: &[u8]) -> Result<String, String> {
    let marked = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    let candidates = match &marked {
        Some(encoding) => std::slice::from_ref(encoding),
        None => &[UTF_8, GB18030],
    };
    candidates
        .iter()
        .find_map(|encoding| {
            let (text, failed) = encoding.decode_with_bom_removal(bytes);
            (!failed).then(|| text.into_owned())
        })
        .ok_or_else(|| "neither UTF-8 nor GB18030; save it as CSV in UTF-8".to_owned())
}

/// Without white space around and control characters inside; line breaks stay.
fn clean(cell: &str) -> String {
    cell.replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "惩戒内容,惩戒对象\r\n\"限制,\n入\",企业\r\n,\r\n禁止,个人\r\n";

    fn cells(sheet: &Sheet) -> Vec<(u64, Vec<&str>)> {
        sheet
            .lines
            .iter()
            .map(|line| (line.number, line.cells.iter().map(String::as_str).collect()))
            .collect()
    }

    #[test]
    fn csv_of_spreadsheets_is_read_whatever_its_encoding() {
        let with_mark = [b"\xEF\xBB\xBF", TABLE.as_bytes()].concat();
        let (gb, _, _) = GB18030.encode(TABLE);
        for bytes in [TABLE.as_bytes(), &with_mark, &gb] {
            let sheet = csv(bytes).expect("a table");
            assert_eq!(
                cells(&sheet),
                [
                    (1, vec!["惩戒内容", "惩戒对象"]),
                    (2, vec!["限制,\n入", "企业"]),
                    (4, vec!["禁止", "个人"])
                ]
            );
        }
        assert!(csv(&[0xFF, 0x30, 0xFF]).is_err());
    }

    #[test]
    fn a_cell_far_away_is_refused_and_makes_no_room_for_what_lies_between() {
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        sheet.write_string(0, 0, "类别").expect("a cell");
        sheet.write_number(1_048_575, 16_383, 1).expect("a cell");
        let refused = xlsx(book.save_to_buffer().expect("a file"), None).expect_err("too far");
        assert!(refused.contains("its cells span 17179869184"), "{refused}");
    }

    #[test]
    fn a_merged_cell_stands_in_each_of_its_lines() {
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        sheet.set_name("清单").expect("a name");
        let plain = rust_xlsxwriter::Format::new();
        sheet.merge_range(1, 0, 2, 0, "甲", &plain).expect("merged");
        sheet.write_string(0, 0, "类\n别").expect("a cell");
        sheet.write_string(1, 1, "一").expect("a cell");
        sheet.write_number(2, 1, 2.0).expect("a cell");
        let bytes = book.save_to_buffer().expect("a file");
        let sheets = xlsx(bytes.clone(), None).expect("read");
        assert_eq!(sheets.len(), 1);
        assert_eq!(
            cells(&sheets[0]),
            [
                (1, vec!["类\n别", ""]),
                (2, vec!["甲", "一"]),
                (3, vec!["甲", "2"])
            ]
        );
        let refused = xlsx(bytes, Some("别的")).expect_err("no such sheet");
        assert_eq!(refused, "no sheet `别的`; the file has 清单");
    }
}
