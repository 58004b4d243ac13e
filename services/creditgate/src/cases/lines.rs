//! Lines of a file, however long it or they are, with their numbers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use tokio::sync::mpsc;

use crate::failure::Failure;

/// Lines read ahead of what is sent.
const AHEAD: usize = 256;

/// Longest line: far more than any report.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A line of a file.
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its text with its end; none: it is too long.
    pub text: Option<Vec<u8>>,
    /// Bytes up to its end.
    pub done: u64,
}

/// The lines of a file as they are read, and its length where it has one.
///
/// A thread of its own reads them: one that waits for standard input must not hold up the end of the command.
#[expect(clippy::type_complexity, reason = "a stream and a number")]
pub fn read(
    path: &Path,
) -> Result<(mpsc::Receiver<Result<Line, std::io::Error>>, Option<u64>), Failure> {
    let (bytes, source): (_, Box<dyn Read + Send>) = match path == Path::new("-") {
        true => (None, Box::new(std::io::stdin())),
        false => {
            let failed = |error| Failure::new(format!("read `{}`", path.display()), error);
            let file = File::open(path).map_err(failed)?;
            let about = file.metadata().map_err(failed)?;
            (about.is_file().then_some(about.len()), Box::new(file))
        }
    };
    let (out, lines) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut lines = Lines::of(BufReader::new(source));
        while let Some(line) = lines.next_line().transpose() {
            let failed = line.is_err();
            // Nobody wants more lines once the command has ended.
            if out.blocking_send(line).is_err() || failed {
                break;
            }
        }
    });
    Ok((lines, bytes))
}

/// Lines with their numbers; those that are empty are counted and left out.
pub struct Lines<R> {
    source: R,
    number: u64,
    done: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of a source.
    pub fn of(source: R) -> Self {
        Self {
            source,
            number: 0,
            done: 0,
        }
    }

    /// The next one; none at the end.
    pub fn next_line(&mut self) -> Result<Option<Line>, std::io::Error> {
        loop {
            let mut text = Vec::new();
            let mut read = self.part(&mut text)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            let mut too_long = false;
            while text.last() != Some(&b'\n') && text.len() > LINE_BYTES_MAX {
                too_long = true;
                text.clear();
                read = self.part(&mut text)?;
                if read == 0 {
                    break;
                }
            }
            if !too_long && text.trim_ascii().is_empty() {
                continue;
            }
            return Ok(Some(Line {
                number: self.number,
                text: (!too_long).then_some(text),
                done: self.done,
            }));
        }
    }

    /// Reads to the end of the line, or as much as a line may have and a byte more.
    fn part(&mut self, text: &mut Vec<u8>) -> Result<usize, std::io::Error> {
        let most = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.source).take(most).read_until(b'\n', text)?;
        self.done += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, Option<Vec<u8>>, u64)> {
        let mut lines = Lines::of(text);
        std::iter::from_fn(|| lines.next_line().expect("it is read"))
            .map(|line| (line.number, line.text, line.done))
            .collect()
    }

    #[test]
    fn lines_keep_their_numbers_and_none_is_too_long_for_memory() {
        let long = [vec![b'x'; LINE_BYTES_MAX + 5], b"\nb".to_vec()].concat();
        assert_eq!(lines(b""), []);
        assert_eq!(
            lines(b"\na\r\n \nb"),
            [(2, Some(b"a\r\n".to_vec()), 4), (4, Some(b"b".to_vec()), 7)]
        );
        let end = long.len() as u64;
        assert_eq!(
            lines(&long),
            [(1, None, end - 1), (2, Some(b"b".to_vec()), end)]
        );
        let exact = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(lines(&exact).len(), 1);
        assert!(lines(&exact).first().is_some_and(|line| line.1.is_some()));
    }
}
