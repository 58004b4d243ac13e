//! Reading back: one record by its position, or all of them in order.
//!
//! Readers go through the file system, beside the writer, and never past the durable head.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::envelope::{self, Defect, HEADER_BYTES, Header, Record};
use super::error::{BrokenLink, Corruption, ReadError, VerifyError};
use super::segment;
use super::{Head, Position, Shared};

/// How much a [`Reader`] reads at a time.
const CHUNK_BYTES: u64 = 256 << 10;

/// How much a single look-up reads at first: most records fit.
const GUESS_BYTES: u64 = 4 << 10;

/// Segment files kept open for reading.
const OPEN_FILES_MAX: usize = 32;

/// An iterator over the durable records from a position on.
///
/// It ends at the durable head as of each call, and goes on when asked again after the head moved:
/// a follower waits on [`subscribe`](super::Journal::subscribe) in between. It blocks on the disk,
/// so it belongs on a thread of its own. After an error it stays where it is.
pub struct Reader {
    shared: Arc<Shared>,
    position: Position,
    chunk: Vec<u8>,
    chunk_start: u64,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, position: Position) -> Self {
        Self {
            shared,
            position,
            chunk: Vec::new(),
            chunk_start: position.0,
        }
    }

    /// Where the next record will be read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next record with all its bytes; `None` at the durable head.
    fn advance(&mut self) -> Result<Option<(Header, &[u8])>, ReadError> {
        let position = self.position.0;
        if !self.holds_record() {
            let head = self.shared.head.borrow().next_position.0;
            if position >= head {
                return Ok(None);
            }
            self.fill(head, CHUNK_BYTES)?;
            if let Ok(length) = envelope::length(self.ahead())
                && length > self.ahead().len()
            {
                self.fill(head, length as u64)?;
            }
        }
        let ahead = &self.chunk[(position - self.chunk_start) as usize..];
        match envelope::decode(ahead, position) {
            Ok((header, payload)) => {
                let length = envelope::record_bytes(payload);
                self.position = Position(position + length as u64);
                Ok(Some((header, &ahead[..length])))
            }
            Err(defect) => Err(self.shared.segments.corrupt(position, defect).into()),
        }
    }

    fn ahead(&self) -> &[u8] {
        &self.chunk[(self.position.0 - self.chunk_start) as usize..]
    }

    fn holds_record(&self) -> bool {
        let ahead = self.ahead();
        envelope::length(ahead).is_ok_and(|length| length <= ahead.len())
    }

    fn fill(&mut self, head: u64, bytes: u64) -> Result<(), ReadError> {
        self.chunk_start = self.position.0;
        self.shared
            .segments
            .read(self.position.0, head, bytes, &mut self.chunk)
    }
}

impl Iterator for Reader {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let before = self.position;
        let shared = Arc::clone(&self.shared);
        let read = self.advance().transpose()?;
        let record = read.and_then(|(header, bytes)| {
            let record = header.with_payload(&bytes[HEADER_BYTES..]);
            Ok(record.opened(shared.sealer.as_ref())?)
        });
        if record.is_err() {
            self.position = before;
        }
        Some(record)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// The record that begins at `position`, below the durable head.
pub(super) fn read_at(shared: &Shared, position: Position) -> Result<Record, ReadError> {
    let head = shared.head.borrow().next_position;
    if position >= head {
        return Err(ReadError::BeyondHead { position, head });
    }
    let mut bytes = Vec::new();
    shared
        .segments
        .read(position.0, head.0, GUESS_BYTES, &mut bytes)?;
    if let Ok(length) = envelope::length(&bytes)
        && length > bytes.len()
    {
        shared
            .segments
            .read(position.0, head.0, length as u64, &mut bytes)?;
    }
    let (header, payload) = envelope::decode(&bytes, position.0)
        .map_err(|defect| shared.segments.corrupt(position.0, defect))?;
    Ok(header
        .with_payload(payload)
        .opened(shared.sealer.as_ref())?)
}

/// Where a log begins.
pub(super) fn beginning(shared: &Shared) -> Head {
    Head {
        next_position: Position(0),
        sequence: 0,
        hash: envelope::genesis_hash(&shared.log_id),
    }
}

/// Walks the log behind a head and checks that each record continues the one before it.
pub(super) fn verify(
    shared: &Arc<Shared>,
    from: Head,
    mut told: impl FnMut(&Head),
) -> Result<Head, VerifyError> {
    let mut reader = Reader::new(Arc::clone(shared), from.next_position);
    let mut head = from;
    while let Some((header, bytes)) = reader.advance()? {
        if header.previous_hash != head.hash || header.sequence != head.sequence + 1 {
            return Err(VerifyError::Broken(BrokenLink {
                position: Position(header.position),
                sequence: header.sequence,
                due_sequence: head.sequence + 1,
                expected: head.hash,
                found: header.previous_hash,
            }));
        }
        head = Head {
            next_position: Position(header.position + bytes.len() as u64),
            sequence: header.sequence,
            hash: envelope::hash(bytes),
        };
        told(&head);
    }
    Ok(head)
}

/// Which segments there are, and a few of their files held open.
#[derive(Debug)]
pub(super) struct Segments {
    dir: PathBuf,
    bases: RwLock<BTreeSet<u64>>,
    open: Mutex<VecDeque<(u64, Arc<File>)>>,
}

impl Segments {
    pub(super) fn new(dir: PathBuf, bases: impl IntoIterator<Item = u64>) -> Self {
        Self {
            dir,
            bases: RwLock::new(bases.into_iter().collect()),
            open: Mutex::default(),
        }
    }

    pub(super) fn add(&self, base: u64) {
        self.bases.write().insert(base);
    }

    /// The base of the segment a position lies in, and of the one after it.
    fn locate(&self, position: u64) -> (u64, Option<u64>) {
        let bases = self.bases.read();
        let base = bases.range(..=position).next_back().copied().unwrap_or(0);
        (base, bases.range(base.saturating_add(1)..).next().copied())
    }

    /// At most `bytes` bytes from a position on, within its segment and below `head`.
    fn read(
        &self,
        position: u64,
        head: u64,
        bytes: u64,
        into: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let (base, next) = self.locate(position);
        let end = next.map_or(head, |next| next.min(head));
        into.resize((end - position).min(bytes) as usize, 0);
        let read = self
            .file(base)
            .and_then(|file| read_full(&file, into, segment::offset_of(base, position)));
        match read {
            Ok(read) => {
                into.truncate(read);
                Ok(())
            }
            Err(source) => {
                into.clear();
                Err(ReadError::Io {
                    file: segment::path(&self.dir, base),
                    source,
                })
            }
        }
    }

    /// A file from the few that are open, or opened now.
    fn file(&self, base: u64) -> io::Result<Arc<File>> {
        let mut open = self.open.lock();
        if let Some((_, file)) = open.iter().find(|(of, _)| *of == base) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(segment::path(&self.dir, base))?);
        if open.len() >= OPEN_FILES_MAX {
            open.pop_front();
        }
        open.push_back((base, Arc::clone(&file)));
        Ok(file)
    }

    fn corrupt(&self, position: u64, defect: Defect) -> Corruption {
        let (base, _) = self.locate(position);
        Corruption {
            file: segment::path(&self.dir, base),
            offset: segment::offset_of(base, position),
            position: Position(position),
            reason: defect.to_string(),
            advice: "no intact record begins here: if the position came from this journal, keep a copy of the directory and restore this file",
        }
    }
}

/// Like `read_exact_at`, but says how much there was.
fn read_full(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
