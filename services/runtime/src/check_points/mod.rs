//! Check points: a signed word about how far the journals of a process had come.
//!
//! The hashes of a journal show that nothing in its middle was changed. Whoever can write its directory can still cut off
//! its end, or write it anew from some record on, with all hashes. A check point names, for each journal, the hash at a
//! record, and is signed; check points are numbered, and each names the hash of the one before it. They are lines of JSON
//! in a file of the data directory, [`FILE`], and the same lines go to anchors: a file in a place where those who can
//! write here can at most append, a topic, a webhook.
//!
//! The key lies on the machine that writes, and what stands behind the last check point is signed by the next. So whoever can
//! use the key, or can write the directory while no service does, may bend what is here: an older copy of the whole, or an end
//! cut off the journals and the check points alike and written anew, is signed from then on. Against that only what was
//! anchored by then is proof.
//!
//! What is signed is [`CheckPoint::text`], so that a tool that knows nothing of us can verify it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, Seek as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex::{digits, hex};
use crate::journal::{Head, Position};
use crate::signing::{PublicKeys, Refused, SigningKey};

mod anchor;
mod keeper;
mod outlets;
mod proof;
mod relay;

pub use keeper::{CheckPoints, Error, Options};
pub use outlets::{TopicOutlet, WebhookOutlet};
pub use proof::{Compared, Mismatch, Said, covering};
pub use relay::{Delivery, Letter, NotTaken, Outlet, taken};

/// The file inside the data directory.
pub const FILE: &str = "check-points.jsonl";

/// First line of what is signed. FENCED: signatures rest on it.
const DOMAIN: &str = "creditgate check point v1";

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// How many lines in a row may have been begun only.
const BEGUN_MAX: usize = 64;

/// How far every journal of a process had come, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckPoint {
    /// 1 for the first of a series, then dense.
    pub number: u64,
    /// When it was made, by the clock of the service.
    pub at: String,
    /// SHA-256 of the text of the one before it; zeros for the first.
    #[serde(with = "digits")]
    pub previous: [u8; 32],
    /// The journals, by name.
    pub heads: BTreeMap<String, LogHead>,
    /// Id of the key that signed it.
    pub key_id: String,
    /// The signature of [`CheckPoint::text`] (Ed25519), in base64.
    pub signature: String,
}

/// How far one journal had come; all of it was durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHead {
    /// The name of the log, made once at its creation.
    #[serde(with = "digits")]
    pub log_id: [u8; 16],
    /// The number of the last record; 0 if there was none.
    pub sequence: u64,
    /// Where the next record begins.
    pub next_position: u64,
    /// The hash of the last record; of the log id if there was none.
    #[serde(with = "digits")]
    pub hash: [u8; 32],
}

/// A file of check points that is not as it was written.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// It could not be read.
    #[error("read check points `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A line does not belong there.
    #[error("line {line} of `{}` {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        why: Wrong,
    },
}

/// Why a line of check points does not belong where it stands.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is no check point.
    #[error("is no check point: {0}")]
    Form(String),
    /// One is missing, or stands elsewhere.
    #[error("is check point {found} where {due} is due: one was left out, added or moved")]
    Number {
        /// The number that is due.
        due: u64,
        /// The number that stands there.
        found: u64,
    },
    /// It follows another one.
    #[error(
        "does not follow the check point before it: that one was changed, or this one is of another series"
    )]
    Link,
    /// It is signed with a key that nobody named.
    #[error("is signed with key {0}, which is none of those that were named")]
    OtherKey(String),
    /// It is not what was signed.
    #[error("is not what its key signed: it was changed, or signed by somebody else")]
    Signature,
    /// It is not what was read a moment ago.
    #[error("is not what was there when it was verified: it was changed meanwhile")]
    Unsteady,
}

impl CheckPoint {
    fn new(
        number: u64,
        at: String,
        previous: [u8; 32],
        heads: BTreeMap<String, LogHead>,
        key: &SigningKey,
    ) -> Self {
        let mut made = Self {
            number,
            at,
            previous,
            heads,
            key_id: key.key_id(),
            signature: String::new(),
        };
        made.signature = STANDARD.encode(key.sign(made.text().as_bytes()));
        made
    }

    /// What is signed: a line for what this is, its number, its time, the hash of the one before it and the id of the
    /// key, then one for each journal with its name, log id, last record, next position and hash.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{DOMAIN}\nnumber {}\nat {}\nafter {}\nkey {}\n",
            self.number,
            self.at,
            hex(&self.previous),
            self.key_id
        );
        for (name, head) in &self.heads {
            let LogHead {
                log_id,
                sequence,
                next_position,
                hash,
            } = head;
            // A `String` takes everything.
            let _ = writeln!(
                text,
                "{name} {} {sequence} {next_position} {}",
                hex(log_id),
                hex(hash)
            );
        }
        text
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.text()).into()
    }

    /// Its line, as it stands in the files.
    ///
    /// # Errors
    /// Never, for one that was read or made here.
    pub fn line(&self) -> io::Result<String> {
        serde_json::to_string(self)
            .map(|line| line + "\n")
            .map_err(io::Error::other)
    }

    /// Reads a line. Who signed it is asked by [`CheckPoint::verify`].
    ///
    /// # Errors
    /// When it is no check point.
    pub fn parse(line: &[u8]) -> Result<Self, Wrong> {
        let made: Self =
            serde_json::from_slice(line).map_err(|error| Wrong::Form(error.to_string()))?;
        // Each stands alone in its line of the text, which therefore can be read in one way only.
        let word =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !made
            .heads
            .keys()
            .chain([&made.at, &made.key_id])
            .all(|text| word(text))
        {
            return Err(Wrong::Form("a name is none".to_owned()));
        }
        Ok(made)
    }

    /// Whether it says of a journal that this was its head.
    #[must_use]
    pub fn names(&self, journal: &str, head: &Head) -> bool {
        let said = self.heads.get(journal);
        said.is_some_and(|said| *said == LogHead::of(said.log_id, head))
    }

    /// Whether one of these keys signed it.
    ///
    /// # Errors
    /// When another key did, or something else was signed.
    pub fn verify(&self, keys: &PublicKeys) -> Result<(), Wrong> {
        let signature = STANDARD
            .decode(&self.signature)
            .map_err(|_| Wrong::Signature)?;
        keys.verify(&self.key_id, self.text().as_bytes(), &signature)
            .map_err(|refused| match refused {
                Refused::OtherKey => Wrong::OtherKey(self.key_id.clone()),
                Refused::Wrong => Wrong::Signature,
            })
    }

    /// Whether it may stand behind another one.
    fn follows(&self, last: Option<&Last>) -> Result<(), Wrong> {
        let (due, previous) = last.map_or((1, [0; 32]), |last| (last.number + 1, last.hash));
        if self.number != due {
            return Err(Wrong::Number {
                due,
                found: self.number,
            });
        }
        if self.previous != previous {
            return Err(Wrong::Link);
        }
        Ok(())
    }
}

impl LogHead {
    /// The end of the journal that it names.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head {
            next_position: Position(self.next_position),
            sequence: self.sequence,
            hash: self.hash,
        }
    }

    fn of(log_id: [u8; 16], head: &Head) -> Self {
        Self {
            log_id,
            sequence: head.sequence,
            next_position: head.next_position.0,
            hash: head.hash,
        }
    }
}

/// What the next check point continues.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    number: u64,
    hash: [u8; 32],
}

impl Last {
    fn of(point: &CheckPoint) -> Self {
        Self {
            number: point.number,
            hash: point.hash(),
        }
    }
}

/// Where check points stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Beside the journals: from number 1 on.
    Own,
    /// Elsewhere: perhaps from a later one on.
    Anchor,
}

/// A check point and where its line stands.
struct Found {
    point: CheckPoint,
    start: u64,
    end: u64,
}

/// The lines of a file of check points, one at a time. Passed by are lines that were begun only and then written anew, as
/// they are in an anchor that takes no correction, and one that stands there twice.
struct Lines<'a> {
    kind: Kind,
    path: &'a Path,
    file: io::BufReader<File>,
    line: u64,
    /// Where the next line begins.
    at: u64,
    last: Option<CheckPoint>,
}

impl<'a> Lines<'a> {
    /// Opens a file; none when it is not there.
    fn open(kind: Kind, path: &'a Path) -> Result<Option<Self>, SeriesError> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self {
                kind,
                path,
                file: io::BufReader::new(file),
                line: 0,
                at: 0,
                last: None,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(unread(path, source)),
        }
    }

    /// As [`Lines::open`], but begins with the last lines: at least one, where there is any. Lines are counted from there.
    fn open_at_end(kind: Kind, path: &'a Path) -> Result<Option<Self>, SeriesError> {
        let Some(mut lines) = Self::open(kind, path)? else {
            return Ok(None);
        };
        let seek = |lines: &mut Self| {
            let length = lines.file.get_ref().metadata()?.len();
            lines.at = length.saturating_sub(2 * LINE_BYTES_MAX);
            lines.file.seek(io::SeekFrom::Start(lines.at))
        };
        seek(&mut lines).map_err(|source| unread(path, source))?;
        if lines.at > 0 {
            // It is the end of one.
            lines.whole_line()?;
        }
        Ok(Some(lines))
    }

    /// The next check point; none at the end, and where the last line was never finished.
    fn next(&mut self) -> Result<Option<CheckPoint>, SeriesError> {
        Ok(self.next_found()?.map(|found| found.point))
    }

    fn next_found(&mut self) -> Result<Option<Found>, SeriesError> {
        let mut begun: Vec<Vec<u8>> = Vec::new();
        let mut why = None;
        loop {
            let start = self.at;
            let Some(line) = self.whole_line()? else {
                return Ok(None);
            };
            match CheckPoint::parse(&line) {
                Ok(point) => {
                    // Also behind one that was begun: an attempt that failed is repeated from the last line on.
                    if self.last.as_ref() == Some(&point) {
                        begun.retain(|begun| !line.starts_with(begun));
                        continue;
                    }
                    if let Some(why) = why
                        && !begun.iter().all(|begun| line.starts_with(begun))
                    {
                        return Err(why);
                    }
                    self.last = Some(point.clone());
                    let end = self.at;
                    return Ok(Some(Found { point, start, end }));
                }
                Err(wrong) => {
                    let wrong = self.wrong(wrong);
                    if self.kind == Kind::Own && !broke_off(&line) {
                        return Err(wrong);
                    }
                    if begun.len() == BEGUN_MAX {
                        return Err(why.unwrap_or(wrong));
                    }
                    why.get_or_insert(wrong);
                    // Where the power went, the rest of what was begun may be zeros.
                    let written = line.iter().rposition(|byte| !matches!(byte, 0 | b'\n'));
                    begun.push(line[..written.map_or(0, |last| last + 1)].to_vec());
                }
            }
        }
    }

    fn whole_line(&mut self) -> Result<Option<Vec<u8>>, SeriesError> {
        let mut line = Vec::new();
        let read = io::Read::take(&mut self.file, LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let read = read.map_err(|source| unread(self.path, source))? as u64;
        if line.last() != Some(&b'\n') && read < LINE_BYTES_MAX {
            return Ok(None);
        }
        self.line += 1;
        self.at += read;
        Ok(Some(line))
    }

    /// What is wrong with the line that was read last.
    fn wrong(&self, why: Wrong) -> SeriesError {
        SeriesError::Line {
            path: self.path.to_owned(),
            line: self.line,
            why,
        }
    }
}

fn unread(path: &Path, source: io::Error) -> SeriesError {
    SeriesError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Whether a line that is no check point was being written when the power went: what did not get to the disk reads as zeros.
fn broke_off(line: &[u8]) -> bool {
    line.contains(&0)
}

/// The last check point of a file; behind it may stand what broke off.
fn last(kind: Kind, path: &Path) -> Result<Option<Found>, SeriesError> {
    let Some(mut lines) = Lines::open_at_end(kind, path)? else {
        return Ok(None);
    };
    let mut found = None;
    loop {
        let start = lines.at;
        let Some(line) = lines.whole_line()? else {
            return match (&found, lines.at > LINE_BYTES_MAX) {
                (None, true) => {
                    Err(lines.wrong(Wrong::Form("none of the last lines is one".to_owned())))
                }
                _ => Ok(found),
            };
        };
        match CheckPoint::parse(&line) {
            Ok(point) => {
                let end = lines.at;
                found = Some(Found { point, start, end });
            }
            Err(why) if kind == Kind::Own && !broke_off(&line) => return Err(lines.wrong(why)),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
