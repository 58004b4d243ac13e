//! Tables as text: comma, semicolon or tab between the cells, told from the row that names the columns.

use std::cell::Cell as Shared;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::rc::Rc;

use creditgate_proto::Refused;

use super::encoding::{Encoding, Utf16};
use super::open::{Peeked, read_up_to};
use super::table::{Columns, HEADER_WITHIN, header_of, known_names};
use super::values::Cell;
use super::{Error, Options, Part, Record, Sink, cut_off};

/// Bytes from which encoding, delimiter and names of columns are told.
const BLOCK_BYTES: usize = 64 << 10;

/// The longest row in bytes; beyond it a quotation mark must be missing.
const ROW_BYTES_MAX: u64 = 8 << 20;

/// Lines that one row may span; more than people write into a cell.
const ROW_LINES_MAX: u64 = 200;

/// Stands behind the last line, so that the end is seen even inside a quotation that is not closed; no file holds it.
const END: &[u8] = b"\0end of the file\0";

const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Reads the rows of a text file.
pub fn read<T: Record>(
    mut reader: impl Read,
    options: &Options,
    part: &Part,
    sink: &mut Sink<'_, T>,
) -> Result<ControlFlow<()>, Error> {
    let mut block = Vec::new();
    let whole = !read_up_to(&mut reader, &mut block, BLOCK_BYTES)?;
    let told = Encoding::of(&block, whole);
    let (encoding, mark) = match options.encoding {
        Some(forced) => (forced, forced.mark(&block)),
        None => told,
    };
    block.drain(..mark);
    let rest = Peeked::new(block, reader);
    match encoding {
        Encoding::Utf8 | Encoding::Gb18030 => rows(rest, encoding, options, part, sink),
        Encoding::Utf16Le | Encoding::Utf16Be => {
            let decoded = Utf16::new(rest, encoding == Encoding::Utf16Be);
            rows(decoded, encoding, options, part, sink)
        }
    }
}

fn rows<T: Record>(
    mut reader: impl Read,
    encoding: Encoding,
    options: &Options,
    part: &Part,
    sink: &mut Sink<'_, T>,
) -> Result<ControlFlow<()>, Error> {
    let mut block = Vec::new();
    read_up_to(&mut reader, &mut block, BLOCK_BYTES)?;
    let (delimiter, first) = layout::<T>(&block, encoding, options);
    let at = header_of::<T>(&first, &options.mapping).ok_or_else(|| no_header(&first))?;
    let columns = Columns::of::<T>(
        first.get(at).map_or(&[][..], Vec::as_slice),
        &options.mapping,
        options.ignore_unknown,
        &mut |note| sink.note(part, note),
    )?;
    let since_row = Rc::new(Shared::new(0));
    let unended = Rc::new(Shared::new(false));
    let guarded = Guarded {
        reader: Peeked::new(block, reader),
        since_row: Rc::clone(&since_row),
        unended: Rc::clone(&unended),
        returned: false,
        in_line: false,
        behind: None,
    };
    let mut reader = csv_reader(delimiter).from_reader(guarded);
    let mut record = csv::ByteRecord::new();
    let mut cells = Vec::new();
    let mut number = 0;
    loop {
        since_row.set(0);
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(ControlFlow::Continue(())),
            Err(error) => return Err(csv_error(error)),
        }
        let last_cell = record.iter().next_back().unwrap_or_default();
        if last_cell == END {
            return Ok(ControlFlow::Continue(()));
        }
        let open = last_cell.ends_with(END);
        number += 1;
        if number <= at + 1 {
            if open {
                let told = "a quotation mark in the first rows is not closed";
                return Err(Error::Damaged(told.into()));
            }
            continue;
        }
        cells.clear();
        cells.extend(record.iter().map(|cell| cell_of(cell, encoding)));
        if cells.iter().all(Cell::is_empty) {
            continue;
        }
        // Behind a quotation that is not closed stands a line end of ours.
        let breaks = record.as_slice().iter().filter(|byte| **byte == b'\n');
        let lines = breaks.count() as u64 + u64::from(!open);
        // The place of its beginning that the parser knows is before blank lines.
        let line = reader.position().line().saturating_sub(lines).max(1);
        // The end of the file is read only once the rows before it are parsed: it is the last one.
        let unended = unended.get();
        let entry = if lines > ROW_LINES_MAX || (open && lines > 1) {
            let rule = format!(
                "lines {line} to {} were read as one row: a quotation mark is not closed",
                line + lines - 1
            );
            Err(Refused::one("row", rule))
        } else if open {
            Err(cut_off("a quotation mark of it is not closed"))
        } else if unended && matches!(cells.last(), Some(Cell::Bad(_))) {
            Err(cut_off("its last character is not whole"))
        } else if unended && cells.len() < columns.len() {
            let told = format!("{} cells under {} columns", cells.len(), columns.len());
            Err(cut_off(&told))
        } else if cells.len() < columns.len() {
            let rule = format!(
                "{} cells under {} columns; quote cells that hold a delimiter",
                cells.len(),
                columns.len()
            );
            Err(Refused::one("row", rule))
        } else {
            columns.entry(&cells, &options.mapping)
        };
        if sink.row(part, line, entry, unended).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

fn csv_reader(delimiter: u8) -> csv::ReaderBuilder {
    let mut builder = csv::ReaderBuilder::new();
    builder
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(256 << 10);
    builder
}

/// The delimiter and the first rows: that delimiter under which a row names the most columns.
fn layout<T: Record>(
    block: &[u8],
    encoding: Encoding,
    options: &Options,
) -> (u8, Vec<Vec<String>>) {
    let parsed = |delimiter: u8| {
        let mut rows = Vec::new();
        let mut reader = csv_reader(delimiter).from_reader(block);
        let mut record = csv::ByteRecord::new();
        while rows.len() < HEADER_WITHIN && matches!(reader.read_byte_record(&mut record), Ok(true))
        {
            let text = |cell| encoding.decode(cell).unwrap_or_default();
            rows.push(record.iter().map(text).collect::<Vec<String>>());
        }
        rows
    };
    let best = DELIMITERS
        .into_iter()
        .map(|delimiter| (delimiter, parsed(delimiter)))
        .rev();
    let known = |rows: &[Vec<String>]| {
        let names =
            |row: &Vec<String>| known_names::<T>(row.iter().map(String::as_str), &options.mapping);
        rows.iter().map(names).max()
    };
    best.max_by_key(|(_, rows)| known(rows))
        .unwrap_or((b',', Vec::new()))
}

fn no_header(first: &[Vec<String>]) -> Error {
    match first.first() {
        None => Error::Empty,
        Some(_) => Error::NoHeader,
    }
}

fn cell_of(bytes: &[u8], encoding: Encoding) -> Cell {
    if bytes.is_empty() {
        return Cell::Empty;
    }
    encoding
        .decode(bytes)
        .map_or(Cell::Bad(encoding.fault()), Cell::Text)
}

fn csv_error(error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        _ => Error::Damaged("not a table of text".into()),
    }
}

/// Ends the reading where one row does not end: its bytes would fill memory. Drops the first half of each line end of
/// two characters, and ends the last line: so each end of a row is one line feed, and lines can be counted by them.
/// Puts [`END`] behind all.
struct Guarded<R> {
    reader: R,
    since_row: Rc<Shared<u64>>,
    /// The end was read, and the last line had none.
    unended: Rc<Shared<bool>>,
    /// A carriage return was read of which it is not known yet what follows.
    returned: bool,
    /// The last line has no end yet.
    in_line: bool,
    /// What stands behind all, once that was read.
    behind: Option<io::Cursor<Vec<u8>>>,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(behind) = &mut self.behind {
            return behind.read(into);
        }
        if self.since_row.get() > ROW_BYTES_MAX {
            let told = "a row is longer than 8 MiB; a quotation mark may not be closed";
            return Err(io::Error::new(io::ErrorKind::InvalidData, told));
        }
        loop {
            let (ahead, free) = match into.split_first_mut() {
                Some((first, free)) if self.returned && !free.is_empty() => {
                    *first = b'\r';
                    (1, free)
                }
                _ => (0, &mut *into),
            };
            let read = self.reader.read(free)?;
            self.since_row.set(self.since_row.get() + read as u64);
            let given = into.get_mut(..ahead + read).unwrap_or_default();
            self.returned = read > 0 && given.last() == Some(&b'\r');
            let kept = without_returns(given);
            if let Some(last) = kept.checked_sub(1) {
                self.in_line = into.get(last) != Some(&b'\n');
                return Ok(kept);
            }
            if read == 0 {
                // A carriage return alone ends a line too.
                self.unended.set(self.in_line && ahead == 0);
                let end: &[u8] = if self.in_line { b"\n" } else { b"" };
                let mut behind = io::Cursor::new([end, END].concat());
                let given = behind.read(into);
                self.behind = Some(behind);
                return given;
            }
        }
    }
}

/// Drops each carriage return before a line feed, and a last one, and gives how many bytes are left.
fn without_returns(bytes: &mut [u8]) -> usize {
    let Some(first) = bytes.iter().position(|byte| *byte == b'\r') else {
        return bytes.len();
    };
    let mut kept = first;
    for at in first..bytes.len() {
        let byte = bytes.get(at).copied().unwrap_or_default();
        let next = bytes.get(at + 1);
        if byte == b'\r' && next.is_none_or(|next| *next == b'\n') {
            continue;
        }
        if let Some(place) = bytes.get_mut(kept) {
            *place = byte;
        }
        kept += 1;
    }
    kept
}
