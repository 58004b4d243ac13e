//! JSON Lines: one record a line, blank lines passed over.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;

use creditgate_proto::Refused;

use super::{Error, Options, Part, Record, Sink, cut_off};

/// The longest line; a longer one is refused and the next is read.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Reads the rows.
pub fn read<T: Record>(
    reader: impl Read,
    part: &Part,
    options: &Options,
    sink: &mut Sink<'_, T>,
) -> Result<ControlFlow<()>, Error> {
    if options.mapped {
        return Err(Error::MappingOfJson);
    }
    let mut lines = Lines {
        reader: BufReader::with_capacity(256 << 10, reader),
        line: 0,
        buffer: Vec::new(),
        unended: false,
    };
    loop {
        let entry = match lines.next()? {
            None => return Ok(ControlFlow::Continue(())),
            Some(false) => Err(Refused::one("body", "the line is longer than 1 MiB")),
            Some(true) if is_blank(&lines.buffer) => continue,
            Some(true) => match T::of_json_line(&lines.buffer) {
                Err(_) if lines.unended && ends_within(&lines.buffer) => {
                    Err(cut_off("the object in it is not whole"))
                }
                entry => entry,
            },
        };
        if sink.row(part, lines.line, entry, lines.unended).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

struct Lines<R> {
    reader: BufReader<R>,
    line: u64,
    buffer: Vec<u8>,
    /// The last line was read, and has no end.
    unended: bool,
}

impl<R: Read> Lines<R> {
    /// The next line into the buffer, cut off where it is too long. Whether it is whole; none: the end.
    fn next(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let mut whole = true;
        let mut any = false;
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                self.unended = any;
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
            if end.is_some() {
                break;
            }
        }
        self.line += u64::from(any);
        Ok(any.then_some(whole))
    }
}

/// Whether the line ends inside its value.
fn ends_within(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

fn is_blank(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    line.iter().all(u8::is_ascii_whitespace)
}
