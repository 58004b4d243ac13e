//! What a run has done already, in a file beside the table: so that an abort at any moment loses nothing. Names and
//! numbers are masked in it as in the table.
//!
//! The first line names list and options; each other line is a [`Line`]. A line that is not whole is one that was being
//! written: it is cut off, its row is asked again, and the service answers with the verdict that it has recorded.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::line::Line;
use crate::failure::Failure;

/// Lines done, by the number of the row.
pub struct Kept {
    file: File,
    path: PathBuf,
    done: BTreeMap<u64, Line>,
    /// Whether an earlier run had begun.
    resumed: bool,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Head {
    screen: String,
    rows: usize,
}

impl Kept {
    /// Where the progress of a table stands.
    pub fn place(out: &Path) -> PathBuf {
        let mut name = out.as_os_str().to_owned();
        name.push(".progress");
        PathBuf::from(name)
    }

    /// Begins, or goes on where an earlier run of the same list and options stood.
    pub fn open(out: &Path, digest: &str, rows: usize) -> Result<Self, Failure> {
        let path = Self::place(out);
        let attempted = |what: &str| format!("{what} the progress `{}`", path.display());
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| Failure::new(attempted("open"), error))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Failure::plain(format!(
                "another run is writing this table (`{}`)",
                path.display()
            )),
            TryLockError::Error(error) => Failure::new(attempted("lock"), error),
        })?;
        let head = Head {
            screen: digest.to_owned(),
            rows,
        };
        let (known, done, whole) =
            read(&file).map_err(|error| Failure::new(attempted("read"), error))?;
        if known.as_ref().is_some_and(|known| *known != head) {
            return Err(Failure::plain(format!(
                "`{}` is the progress of another list, or of other options; finish that run, name another --out, or remove it",
                path.display()
            )));
        }
        let resumed = known.is_some();
        let mut begin = || -> std::io::Result<()> {
            file.set_len(whole)?;
            file.seek(SeekFrom::Start(whole))?;
            if !resumed {
                write(&mut file, &[&head])?;
            }
            Ok(())
        };
        begin().map_err(|error| Failure::new(attempted("write"), error))?;
        Ok(Self {
            file,
            path,
            done,
            resumed,
        })
    }

    /// Whether an earlier run had begun.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Whether this row is done.
    pub fn has(&self, number: u64) -> bool {
        self.done.contains_key(&number)
    }

    /// How many rows are done.
    pub fn len(&self) -> usize {
        self.done.len()
    }

    /// Keeps what was done; on disk before this returns.
    pub fn keep(&mut self, lines: Vec<Line>) -> Result<(), Failure> {
        let all: Vec<&Line> = lines.iter().collect();
        write(&mut self.file, &all).map_err(|error| {
            let attempted = format!("write the progress `{}`", self.path.display());
            Failure::new(attempted, error)
        })?;
        self.done
            .extend(lines.into_iter().map(|line| (line.number, line)));
        Ok(())
    }

    /// The lines in the order of the rows.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.done.values()
    }

    /// The table is written: nothing is left to go on with.
    pub fn finish(self) -> Result<(), Failure> {
        std::fs::remove_file(&self.path).map_err(|error| {
            let attempted = format!("remove the progress `{}`", self.path.display());
            Failure::new(attempted, error)
        })
    }
}

/// Head and lines as far as they are whole, and how many bytes that is.
fn read(file: &File) -> std::io::Result<(Option<Head>, BTreeMap<u64, Line>, u64)> {
    let mut reader = BufReader::new(file);
    let mut text = Vec::new();
    let (mut head, mut done, mut whole) = (None, BTreeMap::new(), 0);
    loop {
        text.clear();
        let bytes = reader.read_until(b'\n', &mut text)?;
        if text.last() != Some(&b'\n') {
            return Ok((head, done, whole));
        }
        if head.is_none() {
            let Ok(read) = serde_json::from_slice::<Head>(&text) else {
                // Somebody else's file is not cut off.
                return Err(std::io::Error::other(
                    "it is none; name another --out, or remove it",
                ));
            };
            head = Some(read);
        } else {
            let Ok(line) = serde_json::from_slice::<Line>(&text) else {
                return Ok((head, done, whole));
            };
            done.entry(line.number).or_insert(line);
        }
        whole += bytes as u64;
    }
}

fn write<T: Serialize>(file: &mut File, all: &[&T]) -> std::io::Result<()> {
    let mut text = Vec::new();
    for one in all {
        serde_json::to_writer(&mut text, one)?;
        text.push(b'\n');
    }
    file.write_all(&text)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> Line {
        Line {
            number,
            name: "张**".to_owned(),
            outcome: "PASS".to_owned(),
            ..Line::default()
        }
    }

    #[test]
    fn what_was_kept_is_there_again_and_half_a_line_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("table.csv");
        let mut kept = Kept::open(&out, "d1", 9).expect("new");
        assert!(!kept.is_resumed());
        kept.keep(vec![line(2), line(3)]).expect("kept");
        drop(kept);

        let path = Kept::place(&out);
        let mut bytes = std::fs::read(&path).expect("a file");
        let whole = bytes.len();
        bytes.extend_from_slice(&br#"{"number":4,"name":"#[..]);
        std::fs::write(&path, &bytes).expect("written");
        let mut kept = Kept::open(&out, "d1", 9).expect("again");
        assert!(kept.is_resumed() && kept.has(2) && kept.has(3) && !kept.has(4));
        assert_eq!(
            std::fs::metadata(&path).expect("a file").len(),
            whole as u64
        );
        kept.keep(vec![line(4)]).expect("kept");
        drop(kept);
        let kept = Kept::open(&out, "d1", 9).expect("again");
        let numbers: Vec<u64> = kept.lines().map(|line| line.number).collect();
        assert_eq!((numbers, kept.len()), (vec![2, 3, 4], 3));
        kept.finish().expect("removed");
        assert!(!path.exists());
    }

    #[test]
    fn the_progress_of_another_list_a_running_one_and_a_strange_file_are_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("table.csv");
        let told = |opened: Result<Kept, Failure>| match opened {
            Ok(_) => "opened".to_owned(),
            Err(failure) => failure.to_string(),
        };
        let kept = Kept::open(&out, "d1", 9).expect("new");
        assert!(told(Kept::open(&out, "d1", 9)).contains("another run"));
        drop(kept);
        assert!(told(Kept::open(&out, "d2", 9)).contains("another list"));
        assert_eq!(told(Kept::open(&out, "d1", 9)), "opened");

        let strange = dir.path().join("other.csv");
        std::fs::write(Kept::place(&strange), "mine\n").expect("written");
        assert!(told(Kept::open(&strange, "d1", 9)).contains("remove it"));
        let left = std::fs::read_to_string(Kept::place(&strange)).expect("a file");
        assert_eq!(left, "mine\n");
    }
}
