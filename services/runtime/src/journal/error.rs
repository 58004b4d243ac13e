//! What can go wrong, sorted by what the caller will do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::Position;
use super::envelope::PAYLOAD_BYTES_MAX;
use crate::sealed::Unsealable;

/// Why a journal was not opened. Nothing on disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another handle in this one, writes here.
    #[error(
        "journal directory `{}` is in use: one process per directory is allowed; stop the other process or choose another directory",
        dir.display()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// There is nothing to read.
    #[error("directory `{}` holds no journal", dir.display())]
    Absent {
        /// The directory.
        dir: PathBuf,
    },
    /// What was durable once is not intact any more.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// What was recorded last cannot be read, so what is appended could not be read beside it.
    #[error("journal directory `{}` is sealed; nothing was changed", dir.display())]
    Closed {
        /// The directory.
        dir: PathBuf,
        /// What is to be done.
        source: Unopened,
    },
    /// An option has a value that cannot work.
    #[error("journal option `{option}` is {value}: {rule}")]
    Option {
        /// The name of the option.
        option: &'static str,
        /// What was asked for.
        value: u64,
        /// What is allowed.
        rule: &'static str,
    },
    /// The file system refused.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl OpenError {
    /// Adds the verb and the object to an error of the file system.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// A place where durable bytes are not what was written. Nothing is skipped or repaired on its own:
/// a record that is gone silently would be a verdict nobody can account for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "journal file `{}` is damaged at offset {offset} (position {position}): {reason}; {advice}",
    file.display()
)]
pub struct Corruption {
    /// The file.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// The same place as a logical address.
    pub position: Position,
    /// What is wrong there.
    pub reason: String,
    /// What to do about it.
    pub advice: &'static str,
}

impl Corruption {
    pub(super) const RESTORE: &'static str = "nothing was changed; keep a copy of the directory, then restore this file from a backup or a replica";
    pub(super) const UPGRADE: &'static str =
        "nothing was changed; use the version that wrote it, or a later one";
}

/// Why records were not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written and nothing of it will appear later. Trying again is right: the journal
    /// recovers by itself once the disk takes writes again.
    #[error("append to the journal: the disk refused the write, nothing was recorded")]
    Stalled {
        /// What the disk said.
        source: Arc<io::Error>,
    },
    /// The bytes were written but could not be synced, or not taken back. Whether the records exist
    /// shows only after the journal was opened again.
    #[error(
        "append to the journal: the disk did not confirm, whether the records exist is unknown"
    )]
    Indefinite {
        /// What the disk said.
        source: Arc<io::Error>,
    },
    /// The journal had already failed for good. Nothing was written.
    #[error(
        "append to the journal: it failed earlier and takes no records until it is opened again"
    )]
    Failed {
        /// What the disk said then.
        source: Arc<io::Error>,
    },
    /// The journal was closed. Nothing was written.
    #[error("append to the journal: it is closed")]
    Closed,
    /// The writer ended without an answer. Whether the records exist is unknown.
    #[error("append to the journal: its writer ended without an answer")]
    Unanswered,
    /// This handle only reads.
    #[error("append to the journal: it was opened for reading only")]
    ReadOnly,
    /// One payload is larger than a record may be.
    #[error(
        "append to the journal: a payload of {bytes} bytes exceeds the limit of {PAYLOAD_BYTES_MAX}"
    )]
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// One run is larger than the queue, so it could never be admitted.
    #[error("append to the journal: a run of {bytes} bytes exceeds the queue of {limit} bytes")]
    RunTooLarge {
        /// Its size, envelopes included.
        bytes: usize,
        /// `queue_bytes_max`.
        limit: usize,
    },
    /// The addresses or numbers of this log are used up.
    #[error("append to the journal: the log has no positions left")]
    Exhausted,
}

/// Why a record was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing durable is there yet.
    #[error("read the journal at position {position}: the durable head is {head}")]
    BeyondHead {
        /// What was asked for.
        position: Position,
        /// Where the next record will begin.
        head: Position,
    },
    /// The bytes there are no intact record.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// The record is intact, and its payload is sealed.
    #[error(transparent)]
    Unopened(#[from] Unopened),
    /// The file system refused.
    #[error("read journal file `{}`", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A sealed record that was not opened. That it is intact is another question, which needs no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("open journal record {sequence} at position {position}")]
pub struct Unopened {
    /// Where the record begins.
    pub position: Position,
    /// Its number.
    pub sequence: u64,
    /// Why, and what to do about it.
    #[source]
    pub why: Unsealable,
}

/// Why a journal could not be shown to be whole.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A record does not continue the one before it.
    #[error(transparent)]
    Broken(#[from] BrokenLink),
    /// A record could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The first record that does not continue the one before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal record {sequence} at position {position} does not continue the record before it")]
pub struct BrokenLink {
    /// Where the record begins.
    pub position: Position,
    /// The number it carries.
    pub sequence: u64,
    /// The number that was due.
    pub due_sequence: u64,
    /// The hash of the record before it.
    pub expected: [u8; 32],
    /// The hash it carries.
    pub found: [u8; 32],
}
