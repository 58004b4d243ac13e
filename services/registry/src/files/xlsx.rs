//! Workbooks (XLSX), row by row. Their texts are kept once for the whole book, so those are bounded before it is opened.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, Reader, Xlsx, XlsxError};
use zip::ZipArchive;

use super::merged::{Merged, gather, put};
use super::table::{Columns, HEADER_WITHIN, header_of};
use super::values::Cell;
use super::{Error, Options, Part, Record, Sink};

/// Texts and everything else but the sheets, unpacked, in bytes: it is held in memory.
const HELD_BYTES_MAX: u64 = 1 << 30;

/// One sheet, unpacked, in bytes. A full one of a million rows has about 1 GiB.
const SHEET_BYTES_MAX: u64 = 16 << 30;

/// The longest stretch of a part between two tags; a cell has at most 32,767 characters.
const STRETCH_BYTES_MAX: usize = 4 << 20;

/// Columns of a workbook.
pub const COLUMNS_MAX: usize = 16_384;

/// Merged ranges of one sheet: they are held in memory.
const MERGED_MAX: u64 = 1_000_000;

/// Reads the rows of one sheet.
pub fn read<T: Record>(
    mut file: File,
    options: &Options,
    part: &Part,
    sink: &mut Sink<'_, T>,
) -> Result<ControlFlow<()>, Error> {
    let has_merged = check(&file, options)?;
    file.seek(SeekFrom::Start(0))?;
    let mut book = guarded(|| Xlsx::new(BufReader::new(file)))?;
    let name = sheet(&book.sheet_names(), options.sheet.as_deref())?;
    let since_1904 = book.has_1904_epoch();
    // They stand behind the rows, so that the sheet is gone through once more.
    let merged = Merged::new(match has_merged {
        true => guarded(|| book.merge_cells_by_sheet_name(&name))?,
        false => Vec::new(),
    });
    let mut rows = Rows {
        cells: guarded(|| book.worksheet_cells_reader(&name))?,
        since_1904,
        ahead: None,
        ended: false,
    };
    let mut first: Vec<(u32, Vec<Cell>)> = Vec::new();
    while first.len() < HEADER_WITHIN
        && let Some(row) = rows.next()?
    {
        first.push(row);
    }
    let shown = merged.shown(&first)?;
    let texts: Vec<Vec<String>> = shown
        .iter()
        .map(|cells| cells.iter().map(text).collect())
        .collect();
    if texts.is_empty() {
        return Err(Error::EmptySheet(name));
    }
    let at = header_of::<T>(&texts, &options.mapping).ok_or(Error::NoHeader)?;
    let header = texts.get(at).map_or(&[][..], Vec::as_slice);
    let columns = Columns::of::<T>(
        header,
        &options.mapping,
        options.ignore_unknown,
        &mut |note| sink.note(part, note),
    )?;
    let header_row = first.get(at).map_or(0, |(row, _)| *row);
    let mut wide = merged.wide(header_row);
    // A name that a merged cell hides still is the name of its column.
    wide.retain(|columns| {
        let mut hidden = header
            .iter()
            .take(columns.end() + 1)
            .skip(columns.start() + 1);
        hidden.all(String::is_empty)
    });
    let mut merged = merged.below(header_row);
    let mut waiting = first.into_iter().skip(at + 1);
    loop {
        let row = match waiting.next() {
            Some(row) => Some(row),
            None => rows.next()?,
        };
        let Some((row, mut cells)) = row else {
            return Ok(ControlFlow::Continue(()));
        };
        merged.spread(row, &mut cells)?;
        if cells.iter().all(Cell::is_empty) {
            continue;
        }
        gather(&wide, &mut cells);
        let entry = columns.entry(&cells, &options.mapping);
        // As the workbook counts its rows.
        if sink.row(part, u64::from(row) + 1, entry, false).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

fn text(cell: &Cell) -> String {
    cell.text().ok().flatten().unwrap_or_default()
}

fn sheet(names: &[String], asked: Option<&str>) -> Result<String, Error> {
    let known = || names.join(", ");
    match asked {
        None => names.first().cloned().ok_or(Error::NoSheet {
            asked: None,
            known: known(),
        }),
        Some(asked) => names
            .iter()
            .find(|name| *name == asked)
            .cloned()
            .ok_or_else(|| Error::NoSheet {
                asked: Some(asked.to_owned()),
                known: known(),
            }),
    }
}

/// Cells gathered into rows.
struct Rows<'a> {
    cells: calamine::XlsxCellReader<'a, BufReader<File>>,
    since_1904: bool,
    ahead: Option<(u32, u32, Cell)>,
    ended: bool,
}

impl Rows<'_> {
    /// The next row that has a cell, with its number from 0.
    fn next(&mut self) -> Result<Option<(u32, Vec<Cell>)>, Error> {
        let Some((row, column, cell)) = (match self.ahead.take() {
            Some(cell) => Some(cell),
            None => self.cell()?,
        }) else {
            return Ok(None);
        };
        let mut cells = Vec::new();
        put(&mut cells, column, cell)?;
        while let Some((next, column, cell)) = self.cell()? {
            if next != row {
                self.ahead = Some((next, column, cell));
                break;
            }
            put(&mut cells, column, cell)?;
        }
        Ok(Some((row, cells)))
    }

    fn cell(&mut self) -> Result<Option<(u32, u32, Cell)>, Error> {
        // Beyond the end the reader would read on, and miss the end that it has passed.
        if self.ended {
            return Ok(None);
        }
        let cells = &mut self.cells;
        let Some(cell) = guarded(|| cells.next_cell())? else {
            self.ended = true;
            return Ok(None);
        };
        let (row, column) = cell.get_position();
        let value = match cell.get_value() {
            DataRef::Empty => Cell::Empty,
            DataRef::String(text) => Cell::Text(text.clone()),
            DataRef::SharedString(text) => Cell::Text((*text).to_owned()),
            DataRef::Int(number) => Cell::Number(*number as f64),
            DataRef::Float(number) => Cell::Number(*number),
            DataRef::Bool(value) => Cell::Text(if *value { "true" } else { "false" }.to_owned()),
            DataRef::DateTime(day) if day.is_datetime() => {
                Cell::serial(day.as_f64(), self.since_1904)
            }
            DataRef::DateTime(duration) => Cell::Number(duration.as_f64()),
            DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Cell::Text(text.clone()),
            DataRef::Error(_) => {
                Cell::Bad("the cell holds an error of the workbook, such as #N/A; mend its formula")
            }
        };
        Ok(Some((row, column, value)))
    }
}

/// Calls the reader of workbooks, which may panic on damaged ones: then the file is damaged, and the process goes on.
fn guarded<T>(work: impl FnOnce() -> Result<T, XlsxError>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(Error::from),
        Err(_) => Err(Error::Damaged(
            "the workbook is damaged; open and save it again".into(),
        )),
    }
}

impl From<XlsxError> for Error {
    fn from(error: XlsxError) -> Self {
        match error {
            XlsxError::Io(error) => error.into(),
            XlsxError::Zip(error) => error.into(),
            XlsxError::Password => Self::Password,
            error => {
                // Only which error: the text of one may hold a cell.
                let name = format!("{error:?}");
                let name = name
                    .split(|c: char| !c.is_alphanumeric())
                    .next()
                    .unwrap_or_default();
                Self::Damaged(
                    format!("the workbook is damaged ({name}); open and save it again").into(),
                )
            }
        }
    }
}

/// Reads every part once without keeping anything: what would fill memory is refused before the book is opened. Gives
/// whether a sheet has merged cells.
fn check(file: &File, options: &Options) -> Result<bool, Error> {
    let mut archive = ZipArchive::new(BufReader::new(file.try_clone()?))?;
    let (mut held, mut has_merged) = (0, false);
    for index in 0..archive.len() {
        let part = archive.by_index(index)?;
        let name = String::from_utf8_lossy(part.name_raw()).to_ascii_lowercase();
        if !(name.ends_with(".xml") || name.ends_with(".rels")) {
            continue;
        }
        let texts = name.ends_with("sharedstrings.xml");
        let is_sheet = name.contains("worksheets/");
        let limit = if is_sheet {
            SHEET_BYTES_MAX
        } else {
            HELD_BYTES_MAX.saturating_sub(held)
        };
        let (bytes, merged) = check_part(part, limit, texts, options)?;
        if merged > MERGED_MAX {
            let told = format!("more than {MERGED_MAX} merged cells; undo the merging");
            return Err(Error::Damaged(told.into()));
        }
        has_merged |= merged > 0;
        if !is_sheet {
            held += bytes;
        }
    }
    Ok(has_merged)
}

/// Gives how many bytes a part has, and how many tags of merged cells. Of those, one at the end of each block is missed;
/// but where there are any, there are three.
fn check_part(
    mut part: impl Read,
    limit: u64,
    texts: bool,
    options: &Options,
) -> Result<(u64, u64), Error> {
    let mut buffer = vec![0; 64 << 10];
    let (mut bytes, mut stretch, mut head) = (0_u64, 0_usize, Vec::new());
    let mut merged = 0;
    loop {
        let read = part.read(&mut buffer)?;
        let block = buffer.get(..read).unwrap_or_default();
        if block.is_empty() {
            break;
        }
        options.unpacked(read as u64)?;
        bytes += read as u64;
        if bytes > limit {
            return Err(Error::TooLarge(limit));
        }
        if head.len() < 4_096 {
            head.extend_from_slice(block);
        }
        let mut pieces = block.split(|byte| *byte == b'<');
        stretch += pieces.next().map_or(0, <[u8]>::len);
        for piece in pieces {
            if stretch > STRETCH_BYTES_MAX {
                break;
            }
            stretch = piece.len();
            merged += u64::from(is_merged(piece));
        }
        if stretch > STRETCH_BYTES_MAX {
            return Err(Error::Damaged("a cell of more than 4 MiB".into()));
        }
    }
    if texts && announces_more_than(&head, bytes) {
        return Err(Error::Damaged(
            "it announces more texts than it holds".into(),
        ));
    }
    Ok((bytes, merged))
}

/// Whether a tag is `mergeCell`, or the one around all of them.
fn is_merged(tag: &[u8]) -> bool {
    let tag = tag.strip_prefix(b"/").unwrap_or(tag);
    let end = tag
        .iter()
        .position(|byte| matches!(byte, b' ' | b'>' | b'/' | b'\t' | b'\r' | b'\n'));
    let name = tag.get(..end.unwrap_or(tag.len())).unwrap_or_default();
    name.ends_with(b"mergeCell") || name.ends_with(b"mergeCells")
}

/// Whether the texts announce that there are more than could fit: room for them would be asked for at once. In another
/// encoding than UTF-8, which no program writes, it could not be seen.
fn announces_more_than(head: &[u8], bytes: u64) -> bool {
    if matches!(head, [0xFE | 0xFF, ..] | [0, ..] | [_, 0, ..]) {
        return true;
    }
    let text = String::from_utf8_lossy(head);
    let announced = text.split("uniqueCount").skip(1).map(|rest| {
        let rest =
            rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\''));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits
            .parse::<u64>()
            .unwrap_or(if digits.is_empty() { 0 } else { u64::MAX })
    });
    announced.max().unwrap_or(0) > bytes
}
