//! Workbooks (XLSX), row by row. Their texts are kept once for the whole book, so those are bounded before it is opened.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, Reader, Xlsx, XlsxError};
use zip::ZipArchive;

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
const COLUMNS_MAX: usize = 16_384;

/// Reads the rows of one sheet.
pub fn read<T: Record>(
    mut file: File,
    options: &Options,
    part: &Part,
    sink: &mut Sink<'_, T>,
) -> Result<ControlFlow<()>, Error> {
    check(&file, options)?;
    file.seek(SeekFrom::Start(0))?;
    let mut book = guarded(|| Xlsx::new(BufReader::new(file)))?;
    let name = sheet(&book.sheet_names(), options.sheet.as_deref())?;
    let since_1904 = book.has_1904_epoch();
    let mut rows = Rows {
        cells: guarded(|| book.worksheet_cells_reader(&name))?,
        since_1904,
        ahead: None,
        ended: false,
    };
    let mut first: Vec<(u64, Vec<Cell>)> = Vec::new();
    while first.len() < HEADER_WITHIN
        && let Some(row) = rows.next()?
    {
        first.push(row);
    }
    let texts: Vec<Vec<String>> = first
        .iter()
        .map(|(_, cells)| cells.iter().map(text).collect())
        .collect();
    if texts.is_empty() {
        return Err(Error::EmptySheet(name));
    }
    let at = header_of::<T>(&texts, &options.mapping).ok_or(Error::NoHeader)?;
    let columns = Columns::of::<T>(
        texts.get(at).map_or(&[][..], Vec::as_slice),
        &options.mapping,
        options.ignore_unknown,
        &mut |note| sink.note(part, note),
    )?;
    let mut waiting = first.into_iter().skip(at + 1);
    loop {
        let row = match waiting.next() {
            Some(row) => Some(row),
            None => rows.next()?,
        };
        let Some((line, cells)) = row else {
            return Ok(ControlFlow::Continue(()));
        };
        if cells.iter().all(Cell::is_empty) {
            continue;
        }
        let entry = columns.entry(&cells, &options.mapping);
        if sink.row(part, line, entry).is_break() {
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
    /// The next row that has a cell, with its number as the workbook shows it.
    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>, Error> {
        let Some((row, column, cell)) = (match self.ahead.take() {
            Some(cell) => Some(cell),
            None => self.cell()?,
        }) else {
            return Ok(None);
        };
        let mut cells = Vec::new();
        place(&mut cells, column, cell)?;
        while let Some((next, column, cell)) = self.cell()? {
            if next != row {
                self.ahead = Some((next, column, cell));
                break;
            }
            place(&mut cells, column, cell)?;
        }
        Ok(Some((u64::from(row) + 1, cells)))
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

fn place(cells: &mut Vec<Cell>, column: u32, cell: Cell) -> Result<(), Error> {
    let column = column as usize;
    if column >= COLUMNS_MAX {
        return Err(Error::Damaged("a cell beyond the last column".into()));
    }
    if matches!(cell, Cell::Empty) {
        return Ok(());
    }
    if cells.len() <= column {
        cells.resize(column + 1, Cell::Empty);
    }
    if let Some(place) = cells.get_mut(column) {
        *place = cell;
    }
    Ok(())
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

/// Reads every part once without keeping anything: what would fill memory is refused before the book is opened.
fn check(file: &File, options: &Options) -> Result<(), Error> {
    let mut archive = ZipArchive::new(BufReader::new(file.try_clone()?))?;
    let mut held = 0;
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
        let bytes = check_part(part, limit, texts, options)?;
        if !is_sheet {
            held += bytes;
        }
    }
    Ok(())
}

fn check_part(
    mut part: impl Read,
    limit: u64,
    texts: bool,
    options: &Options,
) -> Result<u64, Error> {
    let mut buffer = vec![0; 64 << 10];
    let (mut bytes, mut stretch, mut head) = (0_u64, 0_usize, Vec::new());
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
    Ok(bytes)
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
