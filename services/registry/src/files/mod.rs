//! Files of entries as sources send them, read row by row; a file of any length takes little memory.
//!
//! Tables: text in UTF-8, GB18030 or UTF-16 ([`Encoding`]) and workbooks (XLSX), under our own column names or the
//! headers of the layouts in use ([`headers`]), or under others that a [`Mapping`] explains. JSON Lines: one entry a
//! line. Each also compressed, and several in one archive. A row that cannot be read is told with its line and does not
//! end the file. This module knows nothing of the lists and the book: what an entry says is judged by the registry.

mod csv;
mod encoding;
mod entry;
pub mod headers;
mod jsonl;
mod mapping;
mod merged;
mod open;
mod participant;
mod record;
pub mod report;
mod table;
mod values;
mod xlsx;

use std::borrow::Cow;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use creditgate_proto::{Refused, v1};

pub use encoding::Encoding;
pub(crate) use mapping::fault as yaml_fault;
pub use mapping::{Mapping, MappingError, Written as WrittenMapping};
pub use open::{Ending, ending};
pub use participant::Participant;
pub use record::Record;

/// Bytes that may come out of the archives of one import.
pub const UNPACKED_BYTES_MAX: u64 = 64 << 30;

/// How a file is written; workbooks and archives are told by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// Rows of cells under names of columns.
    Table,
}

impl Format {
    /// The format that a file name's ending says.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "csv" | "tsv" | "xlsx" => Some(Self::Table),
            _ => None,
        }
    }
}

/// How files are to be read. The default tells everything from the file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The format, where it is not to be told from name and content.
    pub format: Option<Format>,
    /// The encoding of text.
    pub encoding: Option<Encoding>,
    /// The sheet of a workbook; none: the first.
    pub sheet: Option<String>,
    /// What columns mean.
    pub mapping: Mapping,
    /// Whether somebody gave a mapping: JSON Lines have no columns to map.
    pub mapped: bool,
    /// Columns that are not known are not taken; else they are an error.
    pub ignore_unknown: bool,
    /// Where to put aside what must be read back and forth; none: the system's place.
    pub spool_dir: Option<PathBuf>,
    /// How far the reading is.
    pub progress: Arc<Progress>,
    /// As [`UNPACKED_BYTES_MAX`] unless 0.
    pub unpacked_bytes_max: u64,
}

/// How far files were read; others may look at it meanwhile.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the files; a workbook is counted when it has been read.
    pub bytes: AtomicU64,
    /// Rows.
    pub rows: AtomicU64,
    unpacked: AtomicU64,
    /// Number of the last row that reads as a whole one and has no line end behind it; 0: none.
    unended: AtomicU64,
}

impl Options {
    fn unpacked(&self, bytes: u64) -> io::Result<()> {
        let all = self.progress.unpacked.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let most = match self.unpacked_bytes_max {
            0 => UNPACKED_BYTES_MAX,
            most => most,
        };
        if all > most {
            let told = format!("more than {most} bytes come out of the archive; split it");
            return Err(io::Error::new(io::ErrorKind::InvalidData, told));
        }
        Ok(())
    }
}

/// A row of a file: an entry, unless another [`Record`] is asked for.
#[derive(Debug, Clone)]
pub struct Row<T = v1::Entry> {
    /// Its place among all rows read, ascending; in a single file the same as `line`.
    pub number: u64,
    /// The file; inside an archive `archive/file`.
    pub file: Arc<str>,
    /// The line on which it begins; of a workbook the number of the row.
    pub line: u64,
    /// What it says, or why it says nothing. The reason never holds a value of the row.
    pub entry: Result<T, Refused>,
}

/// How the reason of a row begins in the middle of which its file ends.
const CUT_OFF: &str = "looks cut off";

/// Why the last row of a file is none: the file ends in the middle of it.
fn cut_off(sign: &str) -> Refused {
    let rule = format!(
        "{CUT_OFF}: {sign}, and there is no line end behind it; let the source send the whole file again"
    );
    Refused::one("row", rule)
}

/// Whether a row that its sender could not read (`ImportRow.unreadable`) is one in the middle of which its file ends.
pub(crate) fn is_cut_off(unreadable: &str) -> bool {
    let rule = unreadable.strip_prefix("row: ");
    rule.is_some_and(|rule| rule.starts_with(CUT_OFF))
}

/// The row, just read, as an import takes it: a row that could not be read goes too, with the reason, so that it is
/// counted. Progress is that of the reading; it knows whether the file ends right behind the row.
#[must_use]
pub fn import_row(row: Row, progress: &Progress) -> v1::ImportRow {
    let (entry, unreadable) = match row.entry {
        Ok(entry) => (Some(entry), String::new()),
        Err(refused) => (None, entry::told(&refused)),
    };
    v1::ImportRow {
        entry,
        row: row.number,
        unreadable,
        unended: progress.unended.load(Ordering::Relaxed) == row.number,
    }
}

/// Something about a file that its sender should know and that ends nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Columns for which an entry has no place, or that are not known and not asked for.
    ColumnsLeftOut(Vec<String>),
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ColumnsLeftOut(columns) => write!(f, "columns not taken: {}", columns.join(", ")),
        }
    }
}

/// A file, as it is called in what is said of it.
#[derive(Debug, Clone)]
struct Part {
    file: Arc<str>,
    /// Its own name where it lies in an archive.
    inner: Arc<str>,
}

/// Where rows go.
struct Sink<'a, T> {
    on_row: &'a mut dyn FnMut(Row<T>) -> ControlFlow<()>,
    on_note: &'a mut dyn FnMut(&str, Note),
    progress: Arc<Progress>,
    /// The file of the last row, the number before its first, and the last number.
    file: Arc<str>,
    before: u64,
    last: u64,
}

impl<T> Sink<'_, T> {
    fn row(
        &mut self,
        part: &Part,
        line: u64,
        entry: Result<T, Refused>,
        unended: bool,
    ) -> ControlFlow<()> {
        if !Arc::ptr_eq(&self.file, &part.file) {
            self.file = Arc::clone(&part.file);
            self.before = self.last;
        }
        self.last = self.before + line;
        self.progress.rows.fetch_add(1, Ordering::Relaxed);
        if unended && entry.is_ok() {
            self.progress.unended.store(self.last, Ordering::Relaxed);
        }
        (self.on_row)(Row {
            number: self.last,
            file: Arc::clone(&part.file),
            line,
            entry,
        })
    }

    fn note(&mut self, part: &Part, note: Note) {
        (self.on_note)(&part.file, note);
    }
}

/// Reads the rows of files one after the other, as parts of one list. `on_row` ends the reading by `Break`.
///
/// # Errors
/// When a file cannot be read, or it cannot be told what its columns are. Rows before it were given already.
pub fn read<T: Record>(
    files: &[PathBuf],
    options: &Options,
    on_row: &mut dyn FnMut(Row<T>) -> ControlFlow<()>,
    on_note: &mut dyn FnMut(&str, Note),
) -> Result<(), Failed> {
    let mut sink = Sink {
        on_row,
        on_note,
        progress: Arc::clone(&options.progress),
        file: Arc::from(""),
        before: 0,
        last: 0,
    };
    for path in files {
        let failed = |error| Failed {
            file: path.clone(),
            error,
        };
        let before = options.progress.bytes.load(Ordering::Relaxed);
        let read = open::read(path, options, &mut sink).map_err(failed)?;
        if let Ok(about) = path.metadata() {
            options
                .progress
                .bytes
                .store(before + about.len(), Ordering::Relaxed);
        }
        if read.is_break() {
            break;
        }
    }
    Ok(())
}

/// Reads one file to the end into memory, for those who need all of it at once.
///
/// # Errors
/// As [`read`].
pub fn read_all(path: &Path, options: &Options) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    let mut keep = |row| {
        rows.push(row);
        ControlFlow::Continue(())
    };
    read(&[path.to_owned()], options, &mut keep, &mut |_, _| ())?;
    Ok(rows)
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read `{}`", file.display())]
pub struct Failed {
    /// The file.
    pub file: PathBuf,
    /// Why.
    #[source]
    pub error: Error,
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system does not give it.
    #[error(transparent)]
    Io(io::Error),
    /// A directory.
    #[error("a directory; name the files in it")]
    Directory,
    /// Nothing in it.
    #[error("nothing is in it")]
    Empty,
    /// Nothing on the sheet.
    #[error("nothing is on the sheet `{0}`; name another (--sheet)")]
    EmptySheet(String),
    /// No row names columns.
    #[error(
        "none of the first {} rows names columns that are known, such as `name` or `主体名称`; name them in a mapping file (--mapping), or the encoding if they are Chinese (--encoding)",
        table::HEADER_WITHIN
    )]
    NoHeader,
    /// A column that is not known.
    #[error(
        "unknown column `{column}`; known: {known}, and the usual Chinese headers. Name it in a mapping file (--mapping), such as\n{example}\nor leave such columns out (--ignore-unknown)"
    )]
    UnknownColumn {
        /// Its name.
        column: String,
        /// Our own.
        known: String,
        /// A mapping file.
        example: &'static str,
    },
    /// Two columns that mean the same.
    #[error(
        "column {number}, `{column}`, says the same as the column `{first}`; remove one, or put it under `ignore` in a mapping file (--mapping)"
    )]
    ColumnTwice {
        /// The later one.
        column: String,
        /// The earlier one.
        first: String,
        /// Place of the later one, from 1.
        number: usize,
    },
    /// No such sheet.
    #[error("no sheet `{}`; the workbook has: {known}", asked.as_deref().unwrap_or_default())]
    NoSheet {
        /// The one asked for.
        asked: Option<String>,
        /// Those it has.
        known: String,
    },
    /// A workbook of before 2007, or one with a password.
    #[error(
        "a workbook of before 2007, or one behind a password; save it as XLSX without a password, or as CSV"
    )]
    OldWorkbook,
    /// HTML or XML.
    #[error(
        "HTML or XML, whatever its name says; open it in a spreadsheet and save it as XLSX or CSV"
    )]
    Markup,
    /// Behind a password.
    #[error("behind a password; take it away first")]
    Password,
    /// Not what it seems.
    #[error("damaged, or of a kind that is not read: {0}")]
    Damaged(Cow<'static, str>),
    /// A compressed file or a workbook that ends too soon.
    #[error(
        "cut off: the file ends before its own end mark ({0}); wait until it has arrived whole, or let the source send it again"
    )]
    CutOff(Cow<'static, str>),
    /// Too much.
    #[error("more than {0} bytes in one part; split it")]
    TooLarge(u64),
    /// JSON Lines with a mapping.
    #[error("JSON Lines have no columns to map; leave the mapping out")]
    MappingOfJson,
    /// A file of an archive.
    #[error("`{member}` in it: {error}")]
    Inside {
        /// The file in the archive.
        member: String,
        /// Why.
        error: Box<Error>,
    },
}

impl Error {
    /// Whether the fault is in the file: reading it again will end the same way.
    #[must_use]
    pub fn is_of_the_file(&self) -> bool {
        match self {
            Self::Io(_) => false,
            Self::Inside { error, .. } => error.is_of_the_file(),
            _ => true,
        }
    }

    fn inside(self, member: &str) -> Self {
        Self::Inside {
            member: member.to_owned(),
            error: Box::new(self),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Plain files do not know where they should have ended; compressed ones do.
            io::ErrorKind::UnexpectedEof => Self::CutOff(error.to_string().into()),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Damaged(error.to_string().into())
            }
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
mod tests;
