//! The anchor: the same lines, in a file elsewhere that perhaps can only be added to.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::keeper::{Error, io_error};
use super::{CheckPoint, Found, Kind, Lines, SeriesError, last};

/// The anchor of a file of check points.
#[derive(Debug)]
pub(super) struct Anchor {
    path: PathBuf,
    /// The file whose lines it gets.
    own: PathBuf,
    /// Whether what it has last may not be durable.
    in_doubt: bool,
}

impl Anchor {
    pub(super) const fn new(path: PathBuf, own: PathBuf) -> Self {
        Self {
            path,
            own,
            in_doubt: false,
        }
    }

    /// Where the lines begin that it does not have. It is looked at each time: it may be another file than a moment ago.
    pub(super) fn missing(&self) -> Result<u64, Error> {
        let Some(anchored) = last(Kind::Anchor, &self.path)? else {
            return Ok(0);
        };
        match place(&self.own, &anchored.point)? {
            Some(found) if self.in_doubt => Ok(found.start),
            Some(found) => Ok(found.end),
            None => Err(Error::Ahead {
                anchor: self.path.clone(),
                file: self.own.clone(),
                number: anchored.point.number,
            }),
        }
    }

    /// Brings it what it does not have of so many bytes, which are durable here.
    pub(super) fn send(&mut self, durable: u64) -> Result<(), Error> {
        let from = self.missing()?;
        if from < durable {
            let lines =
                part(&self.own, from, durable).map_err(io_error("read check points", &self.own))?;
            let failed = || io_error("bring a check point to the anchor", &self.path);
            let file = append(&self.path, &lines).map_err(failed())?;
            // A sync that failed says nothing the next time; what is sent twice is read once.
            self.in_doubt = true;
            file.sync_data().map_err(failed())?;
            self.in_doubt = false;
        }
        Ok(())
    }
}

/// Where a check point stands in a file: mostly near its end.
fn place(path: &Path, wanted: &CheckPoint) -> Result<Option<Found>, SeriesError> {
    for open in [Lines::open_at_end, Lines::open] {
        let Some(mut lines) = open(Kind::Own, path)? else {
            return Ok(None);
        };
        while let Some(found) = lines.next_found()? {
            if found.point == *wanted {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

fn part(path: &Path, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut lines = Vec::new();
    file.take(to - from).read_to_end(&mut lines)?;
    Ok(lines)
}

/// Adds lines. Behind a line that was never finished a new one begins, and who reads knows it by that.
fn append(path: &Path, lines: &[u8]) -> io::Result<File> {
    let mut file = File::options()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    let length = file.metadata()?.len();
    let mut end = *b"\n";
    match length {
        // Its name is to stay, too.
        0 => sync_parent(path)?,
        _ => file.read_exact_at(&mut end, length - 1)?,
    }
    let finish: &[u8] = if end == *b"\n" { b"" } else { b"\n" };
    file.write_all(&[finish, lines].concat())?;
    Ok(file)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}
