//! What a file is, told by its first bytes: text, a workbook, or an archive of such files. Everything is read as a
//! stream; what must be read back and forth goes to a file without a name, never to memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flate2::bufread::MultiGzDecoder;
use zip::ZipArchive;
use zip::result::ZipError;

use super::{Error, Format, Options, Part, Record, Sink, csv, jsonl, xlsx};

/// Archives within archives that are looked into.
const DEPTH_MAX: u8 = 2;

/// The largest workbook inside an archive, and the largest archive on standard input, in bytes.
const SPOOL_BYTES_MAX: u64 = 4 << 30;

/// Files in one archive.
const MEMBERS_MAX: usize = 10_000;

const ZIP: &[u8] = b"PK\x03\x04";
const ZIP_EMPTY: &[u8] = b"PK\x05\x06";
const GZIP: &[u8] = b"\x1F\x8B";
/// Workbooks of before 2007, and later ones behind a password.
const OLE: &[u8] = b"\xD0\xCF\x11\xE0";

/// Reads the rows of a file; `-` is standard input.
pub fn read<T: Record>(
    path: &Path,
    options: &Options,
    sink: &mut Sink<'_, T>,
) -> Result<ControlFlow<()>, Error> {
    if path == Path::new("-") {
        let reader = Counted::new(io::stdin(), options);
        return stream(reader, &Part::new("-"), options, sink, 0);
    }
    let mut file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(Error::Directory);
    }
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let mut first = Vec::new();
    read_up_to(&mut file, &mut first, 8)?;
    file.seek(SeekFrom::Start(0))?;
    let part = Part::new(&name);
    if is_zip(&first) {
        archive(file, &part, options, sink, 0)
    } else {
        stream(Counted::new(file, options), &part, options, sink, 0)
    }
}

/// Reads what comes one after the other.
fn stream<T: Record>(
    mut reader: impl Read,
    part: &Part,
    options: &Options,
    sink: &mut Sink<'_, T>,
    depth: u8,
) -> Result<ControlFlow<()>, Error> {
    let mut first = Vec::new();
    read_up_to(&mut reader, &mut first, 512)?;
    let archive_here = is_zip(&first) || first.starts_with(GZIP);
    if archive_here && depth >= DEPTH_MAX {
        return Err(Error::Damaged(
            "an archive in an archive in an archive; unpack it first".into(),
        ));
    }
    let rest = Peeked::new(first.clone(), reader);
    if is_zip(&first) {
        return archive(spooled(rest, options)?, part, options, sink, depth);
    }
    if first.starts_with(GZIP) {
        let plain = Unpacked {
            reader: MultiGzDecoder::new(BufReader::with_capacity(64 << 10, rest)),
            options,
        };
        // The reader is behind a pointer: each depth would be a type of its own.
        let plain: Box<dyn Read + '_> = Box::new(plain);
        return stream(plain, &part.inside(), options, sink, depth + 1);
    }
    if first.starts_with(OLE) {
        return Err(Error::OldWorkbook);
    }
    let begins = first
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(&first)
        .iter()
        .find(|byte| !byte.is_ascii_whitespace());
    let format = options
        .format
        .or_else(|| Format::of_name(part.format_name()))
        .unwrap_or(if begins == Some(&b'{') {
            Format::JsonLines
        } else {
            Format::Table
        });
    match (format, begins) {
        (Format::JsonLines, _) => jsonl::read(rest, part, options, sink),
        (Format::Table, Some(b'<')) => Err(Error::Markup),
        (Format::Table, _) => csv::read(rest, options, part, sink),
    }
}

fn is_zip(first: &[u8]) -> bool {
    first.starts_with(ZIP) || first.starts_with(ZIP_EMPTY)
}

/// Reads a workbook, or the files of an archive in the order of their names.
fn archive<T: Record>(
    file: File,
    part: &Part,
    options: &Options,
    sink: &mut Sink<'_, T>,
    depth: u8,
) -> Result<ControlFlow<()>, Error> {
    let mut archive = directory(&file)?;
    if archive.index_for_name("[Content_Types].xml").is_some() {
        drop(archive);
        return xlsx::read(file, options, part, sink);
    }
    if depth >= DEPTH_MAX {
        return Err(Error::Damaged(
            "an archive in an archive in an archive; unpack it first".into(),
        ));
    }
    if archive.len() > MEMBERS_MAX {
        let told = format!("an archive of more than {MEMBERS_MAX} files; split it");
        return Err(Error::Damaged(told.into()));
    }
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index)?;
        let name = member_name(member.name_raw());
        let plain = name.rsplit('/').next().unwrap_or_default();
        // What a Mac and file managers put beside the files.
        if member.is_file() && !plain.starts_with('.') && !name.starts_with("__MACOSX/") {
            members.push((name, index));
        }
    }
    members.sort();
    if members.is_empty() {
        return Err(Error::Empty);
    }
    for (name, index) in members {
        let member = archive.by_index(index)?;
        let reader: Box<dyn Read + '_> = Box::new(Unpacked {
            reader: member,
            options,
        });
        let part = part.member(&name);
        let read = stream(reader, &part, options, sink, depth + 1);
        if read.map_err(|error| error.inside(&name))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The directory of an archive, which stands at its end.
fn directory(file: &File) -> Result<ZipArchive<BufReader<File>>, Error> {
    let opened = ZipArchive::new(BufReader::new(file.try_clone()?));
    opened.map_err(|error| match has_end_mark(file) {
        Ok(false) => Error::CutOff("the directory of the archive is missing".into()),
        _ => error.into(),
    })
}

/// Whether the end mark of an archive and all of it is there.
fn has_end_mark(mut file: &File) -> io::Result<bool> {
    /// The mark and what follows it, without the comment, and the longest comment.
    const MARK_BYTES: usize = 22;
    const COMMENT_BYTES_MAX: u64 = 65_535;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(COMMENT_BYTES_MAX + MARK_BYTES as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(length - from).read_to_end(&mut end)?;
    Ok(end
        .windows(MARK_BYTES)
        .enumerate()
        .filter(|(_, mark)| mark.starts_with(ZIP_EMPTY))
        .any(|(at, mark)| match mark {
            [.., low, high] => {
                let comment = usize::from(u16::from_le_bytes([*low, *high]));
                at + MARK_BYTES + comment <= end.len()
            }
            _ => false,
        }))
}

/// How a file ends, as far as its last bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As a whole one, or only reading it all can tell.
    Whole,
    /// An archive or a workbook without its end.
    CutOff,
    /// A text whose last line has no end, or nothing at all. Many programs leave that line end out.
    NoLineEnd,
}

/// How a file ends; nothing but its two ends is read.
///
/// # Errors
/// When the system does not give it.
pub fn ending(path: &Path) -> io::Result<Ending> {
    let mut file = File::open(path)?;
    let mut first = Vec::new();
    read_up_to(&mut file, &mut first, 8)?;
    if is_zip(&first) {
        file.seek(SeekFrom::Start(0))?;
        return Ok(match directory(&file) {
            Err(Error::CutOff(_)) => Ending::CutOff,
            _ => Ending::Whole,
        });
    }
    if first.starts_with(GZIP) || first.starts_with(OLE) {
        return Ok(Ending::Whole);
    }
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(2)))?;
    let mut last = Vec::new();
    read_up_to(&mut file, &mut last, 2)?;
    // The last one is that of UTF-16.
    Ok(match last.as_slice() {
        [.., b'\n' | b'\r'] | [b'\n' | b'\r', 0] => Ending::Whole,
        _ => Ending::NoLineEnd,
    })
}

/// Archives made on Chinese Windows write names in GBK and do not say so.
fn member_name(raw: &[u8]) -> String {
    match std::str::from_utf8(raw) {
        Ok(name) => name.to_owned(),
        Err(_) => encoding_rs::GB18030.decode(raw).0.into_owned(),
    }
}

/// A file without a name that holds all that comes.
fn spooled(reader: impl Read, options: &Options) -> Result<File, Error> {
    let mut file = match &options.spool_dir {
        Some(dir) => tempfile::tempfile_in(dir)?,
        None => tempfile::tempfile()?,
    };
    let copied = io::copy(&mut reader.take(SPOOL_BYTES_MAX + 1), &mut file)?;
    if copied > SPOOL_BYTES_MAX {
        return Err(Error::TooLarge(SPOOL_BYTES_MAX));
    }
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Appends up to so many bytes; whether there may be more.
pub fn read_up_to(reader: &mut impl Read, into: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let wanted = most.saturating_sub(into.len()) as u64;
    let read = reader.by_ref().take(wanted).read_to_end(into)?;
    Ok(read as u64 == wanted)
}

/// Bytes that were looked at, and what follows them.
pub struct Peeked<R> {
    first: io::Cursor<Vec<u8>>,
    rest: R,
}

impl<R: Read> Peeked<R> {
    /// As if nobody had looked.
    pub fn new(first: Vec<u8>, rest: R) -> Self {
        Self {
            first: io::Cursor::new(first),
            rest,
        }
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.first.read(into)? {
            0 => self.rest.read(into),
            read => Ok(read),
        }
    }
}

/// Counts the bytes of a file as they are read.
struct Counted<'a, R> {
    reader: R,
    options: &'a Options,
}

impl<'a, R> Counted<'a, R> {
    fn new(reader: R, options: &'a Options) -> Self {
        Self { reader, options }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.options
            .progress
            .bytes
            .fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Counts what comes out of archives: a small file may hold more than any disk.
struct Unpacked<'a, R> {
    reader: R,
    options: &'a Options,
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.options.unpacked(read as u64)?;
        Ok(read)
    }
}

impl From<ZipError> for Error {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => error.into(),
            ZipError::InvalidPassword => Self::Password,
            ZipError::UnsupportedArchive(text) if text.contains("assword") => Self::Password,
            error => Self::Damaged(error.to_string().into()),
        }
    }
}

impl Part {
    fn new(name: &str) -> Self {
        Self {
            file: Arc::from(name),
            inner: Arc::from(name),
        }
    }

    /// The file that a compressed one holds.
    fn inside(&self) -> Self {
        let plain = self.inner.strip_suffix(".gz").unwrap_or(&self.inner);
        Self {
            file: Arc::clone(&self.file),
            inner: Arc::from(plain),
        }
    }

    fn member(&self, name: &str) -> Self {
        Self {
            file: Arc::from(format!("{}/{name}", self.file)),
            inner: Arc::from(name),
        }
    }

    fn format_name(&self) -> &str {
        &self.inner
    }
}
