//! Files of entries, JSON Lines or CSV, read row by row; a file of any length takes little memory.
//!
//! CSV: UTF-8, a first line that names the columns (any order, any of [`COLUMNS`]), an empty cell is
//! absent, several values of one cell stand between `|` or `；`. JSON Lines: one entry a line, blank
//! lines are passed over.

use std::io::{self, BufRead, BufReader, Read};

use creditgate_proto::{Refused, json, v1};

/// The columns of a CSV file.
pub const COLUMNS: [&str; 28] = [
    "entry_id",
    "list",
    "id_type",
    "id",
    "issuer",
    "name",
    "former_names",
    "kind",
    "severity",
    "grade",
    "designated_by",
    "document_no",
    "basis",
    "reason",
    "region",
    "scope",
    "act_date",
    "served_at",
    "valid_from",
    "valid_to",
    "display_min_until",
    "display_max_until",
    "state",
    "state_since",
    "objection_marked",
    "repeat_count",
    "source_unit",
    "rule_version",
];

/// The longest line; a longer one is refused and the next is read.
const LINE_BYTES_MAX: usize = 1 << 20;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated values with a line of column names.
    Csv,
}

impl Format {
    /// The format that a file name's ending says.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error("read the file")]
    Io(#[from] io::Error),
    /// The first line is no line of column names.
    #[error("read the line of column names: {0}")]
    Header(String),
    /// A column that entries do not have.
    #[error("unknown column `{column}`; known: {}", COLUMNS.join(", "))]
    UnknownColumn {
        /// Its name.
        column: String,
    },
    /// A column that stands twice.
    #[error("column `{0}` stands twice; remove one")]
    ColumnTwice(String),
    /// A column that must be there.
    #[error("the column `entry_id` is missing")]
    NoEntryId,
}

/// How far a file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far.
    pub bytes: u64,
}

/// A row: the line of the file on which it begins, and its entry or why it is none.
pub type Row = (u64, Result<v1::Entry, Refused>);

/// Reads the rows of a file. `progress` is told of every thousandth row and of the end.
///
/// # Errors
/// When the columns of a CSV file cannot be understood.
pub fn read<'a>(
    reader: impl Read + 'a,
    format: Format,
    mut progress: impl FnMut(Progress) + 'a,
) -> Result<Box<dyn Iterator<Item = Result<Row, Error>> + 'a>, Error> {
    const TOLD_EVERY: u64 = 1_000;
    let mut rows: Box<dyn RowReader + 'a> = match format {
        Format::JsonLines => Box::new(JsonLines::new(reader)),
        Format::Csv => Box::new(Csv::new(reader)?),
    };
    let mut count = 0;
    let mut ended = false;
    Ok(Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let row = rows.next_row();
        let end = !matches!(row, Some(Ok(_)));
        count += u64::from(!end);
        if end || count % TOLD_EVERY == 0 {
            progress(Progress {
                rows: count,
                bytes: rows.bytes(),
            });
        }
        ended = end;
        row
    })))
}

trait RowReader {
    fn next_row(&mut self) -> Option<Result<Row, Error>>;
    fn bytes(&self) -> u64;
}

struct JsonLines<R> {
    reader: BufReader<R>,
    line: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

impl<R: Read> JsonLines<R> {
    fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(256 << 10, reader),
            line: 0,
            bytes: 0,
            buffer: Vec::new(),
        }
    }

    /// The next line into the buffer, cut off where it is too long. Whether there was one.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let mut whole = true;
        let mut any = false;
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                break;
            }
            any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            let line = end.unwrap_or(available.len());
            if self.buffer.len() + line <= LINE_BYTES_MAX {
                self.buffer.extend_from_slice(&available[..line]);
            } else {
                whole = false;
            }
            self.reader.consume(taken);
            self.bytes += taken as u64;
            if end.is_some() {
                break;
            }
        }
        self.line += u64::from(any);
        Ok(any.then_some(whole))
    }
}

impl<R: Read> RowReader for JsonLines<R> {
    fn next_row(&mut self) -> Option<Result<Row, Error>> {
        loop {
            match self.read_line() {
                Err(error) => return Some(Err(error.into())),
                Ok(None) => return None,
                Ok(Some(false)) => {
                    let why = Refused::one("body", "the line is longer than 1 MiB");
                    return Some(Ok((self.line, Err(why))));
                }
                Ok(Some(true)) if is_blank(&self.buffer) => {}
                Ok(Some(true)) => {
                    return Some(Ok((self.line, json::entry_from_json_line(&self.buffer))));
                }
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn is_blank(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    line.iter().all(u8::is_ascii_whitespace)
}

struct Csv<R> {
    reader: csv::Reader<R>,
    columns: Vec<&'static str>,
    record: csv::ByteRecord,
}

impl<R: Read> Csv<R> {
    fn new(reader: R) -> Result<Self, Error> {
        // The crate passes over a byte order mark by itself.
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .buffer_capacity(256 << 10)
            .from_reader(reader);
        let mut columns = Vec::new();
        for written in reader.headers().map_err(header_error)? {
            let written = written.trim();
            let Some(column) = COLUMNS.iter().find(|column| **column == written) else {
                return Err(Error::UnknownColumn {
                    column: written.chars().take(64).collect(),
                });
            };
            if columns.contains(column) {
                return Err(Error::ColumnTwice(written.to_owned()));
            }
            columns.push(*column);
        }
        if !columns.contains(&"entry_id") {
            return Err(Error::NoEntryId);
        }
        Ok(Self {
            reader,
            columns,
            record: csv::ByteRecord::new(),
        })
    }

    fn entry(&self) -> Result<v1::Entry, Refused> {
        if self.record.len() != self.columns.len() {
            let rule = format!(
                "{} cells under {} columns; quote cells that hold a comma",
                self.record.len(),
                self.columns.len()
            );
            return Err(Refused::one("row", rule));
        }
        let mut entry = v1::Entry::default();
        for (column, cell) in self.columns.iter().zip(&self.record) {
            let text = std::str::from_utf8(cell)
                .map_err(|_| Refused::one(column, "not UTF-8; save the file as UTF-8"))?
                .trim();
            if !text.is_empty() {
                set(&mut entry, column, text)?;
            }
        }
        Ok(entry)
    }
}

impl<R: Read> RowReader for Csv<R> {
    fn next_row(&mut self) -> Option<Result<Row, Error>> {
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.record.position().map_or(0, csv::Position::line);
                Some(Ok((line, self.entry())))
            }
            Err(error) => Some(Err(match error.into_kind() {
                csv::ErrorKind::Io(error) => Error::Io(error),
                _ => Error::Io(io::Error::other("not comma-separated values")),
            })),
        }
    }

    fn bytes(&self) -> u64 {
        self.reader.position().byte()
    }
}

fn header_error(error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Error::Io(error),
        csv::ErrorKind::Utf8 { .. } => Error::Header("not UTF-8; save the file as UTF-8".into()),
        _ => Error::Header("not comma-separated values".into()),
    }
}

fn set(entry: &mut v1::Entry, column: &str, text: &str) -> Result<(), Refused> {
    let several = || -> Vec<String> {
        text.split(['|', '；'])
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let place = match column {
        "former_names" => {
            entry.former_names = several();
            return Ok(());
        }
        "scope" => {
            entry.scope = several();
            return Ok(());
        }
        "objection_marked" => {
            entry.objection_marked = Some(match text {
                "true" => true,
                "false" => false,
                _ => return Err(Refused::one(column, "write true or false")),
            });
            return Ok(());
        }
        "repeat_count" => {
            let count = text
                .parse()
                .map_err(|_| Refused::one(column, "write a whole number, 0 or more"))?;
            entry.repeat_count = Some(count);
            return Ok(());
        }
        "entry_id" => &mut entry.entry_id,
        "list" => &mut entry.list,
        "id_type" => &mut entry.id_type,
        "id" => &mut entry.id,
        "issuer" => &mut entry.issuer,
        "name" => &mut entry.name,
        "kind" => &mut entry.kind,
        "severity" => &mut entry.severity,
        "grade" => &mut entry.grade,
        "designated_by" => &mut entry.designated_by,
        "document_no" => &mut entry.document_no,
        "basis" => &mut entry.basis,
        "reason" => &mut entry.reason,
        "region" => &mut entry.region,
        "act_date" => &mut entry.act_date,
        "served_at" => &mut entry.served_at,
        "valid_from" => &mut entry.valid_from,
        "valid_to" => &mut entry.valid_to,
        "display_min_until" => &mut entry.display_min_until,
        "display_max_until" => &mut entry.display_max_until,
        "state" => &mut entry.state,
        "state_since" => &mut entry.state_since,
        "source_unit" => &mut entry.source_unit,
        "rule_version" => &mut entry.rule_version,
        _ => return Err(Refused::one(column, "unknown column")),
    };
    text.clone_into(place);
    Ok(())
}

#[cfg(test)]
mod tests;
