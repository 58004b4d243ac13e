//! The check table as a file: written beside its place and put there whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rust_xlsxwriter::{Format, Workbook, XlsxError};

use super::line::{HEADERS, Line};
use crate::failure::Failure;

/// Spreadsheets take text without this mark for the system's old encoding.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Widths of the columns in a workbook, in characters.
const WIDTHS: [f64; HEADERS.len()] = [
    6.0, 8.0, 10.0, 20.0, 22.0, 26.0, 22.0, 22.0, 44.0, 44.0, 12.0, 44.0, 24.0, 30.0, 38.0, 30.0,
    28.0,
];

/// Characters of a cell of a workbook.
const CELL_CHARS_MAX: usize = 32_000;

/// How the table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text with commas, for spreadsheets and people.
    Csv,
    /// A workbook.
    Xlsx,
    /// A line of JSON for each row, for programs.
    JsonLines,
}

impl Kind {
    /// The kind that the ending of the name says.
    pub fn of(out: &Path) -> Result<Self, Failure> {
        let ending = out.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("xlsx") => Ok(Self::Xlsx),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            _ => Err(Failure::plain(
                "--out: the name ends with .csv, .xlsx or .jsonl",
            )),
        }
    }
}

/// Writes the table; whoever looks at its place sees the whole of it or none.
pub fn write(out: &Path, kind: Kind, lines: &[Line]) -> Result<(), Failure> {
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = || -> io::Result<()> {
        let file = File::create(&part)?;
        match kind {
            Kind::Csv => csv(&file, lines)?,
            Kind::Xlsx => xlsx(&file, lines).map_err(io::Error::other)?,
            Kind::JsonLines => json_lines(&file, lines)?,
        }
        file.sync_all()?;
        std::fs::rename(&part, out)
    };
    written().map_err(|error| Failure::new(format!("write the table `{}`", out.display()), error))
}

fn csv(file: &File, lines: &[Line]) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    file.write_all(MARK)?;
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(file);
    out.write_record(HEADERS)?;
    for (place, line) in (1..).zip(lines) {
        out.write_record(line.cells(place).iter().map(|cell| text(cell)))?;
    }
    out.flush()
}

/// A text that no spreadsheet may take for a formula.
fn text(text: &str) -> &str {
    text.trim_start_matches(['=', '+', '-', '@', '\t', '\r'])
}

fn xlsx(file: &File, lines: &[Line]) -> Result<(), XlsxError> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_name("核查表")?;
    let bold = Format::new().set_bold();
    for (column, (header, width)) in (0..).zip(HEADERS.into_iter().zip(WIDTHS)) {
        sheet.set_column_width(column, width)?;
        sheet.write_string_with_format(0, column, header, &bold)?;
    }
    for (row, line) in (1..).zip(lines) {
        for (column, cell) in (0..).zip(line.cells(row as usize)) {
            if cell.is_empty() {
                continue;
            }
            // Text in every column: a number of eighteen digits is none.
            sheet.write_string(row, column, cut(&cell))?;
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    let last = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    sheet.autofilter(0, 0, last, HEADERS.len() as u16 - 1)?;
    book.save_to_writer(BufWriter::new(file))
}

fn cut(cell: &str) -> String {
    match cell.char_indices().nth(CELL_CHARS_MAX) {
        None => cell.to_owned(),
        Some((at, _)) => format!("{}…", cell.get(..at).unwrap_or_default()),
    }
}

fn json_lines(file: &File, lines: &[Line]) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    for line in lines {
        serde_json::to_writer(&mut file, line)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}
