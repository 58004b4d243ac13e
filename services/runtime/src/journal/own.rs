//! Taking possession: what the one writer does to a directory before it appends.
//!
//! It takes the lock, makes the first file of a new log, and mends the end of an old one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::disk::Disk;
use super::envelope;
use super::error::OpenError;
use super::recover::Survey;
use super::segment::{self, Blank, CreateError, SegmentHeader};
use super::writer::Active;
use super::{Head, Options, Position};

/// INVARIANT (one writer): whoever writes holds this lock; the kernel lets go of it with the process.
///
/// It is released by name and not only by closing the file: a child process being started at that
/// moment holds a copy of the file until its `exec`, and the directory would seem in use.
pub(super) struct DirectoryLock(File);

impl DirectoryLock {
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(OpenError::io("open journal lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
                dir: dir.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(OpenError::Io {
                action: "lock journal",
                path,
                source,
            }),
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file right after this releases the lock as well.
        drop(self.0.unlock());
    }
}

/// The first segment of a new log.
pub(super) fn create(dir: &Path, options: &Options) -> Result<Survey, OpenError> {
    let log_id = match options.log_id {
        Some(given) => given,
        None => new_log_id().map_err(OpenError::io("make an id for journal", dir))?,
    };
    let hash = envelope::genesis_hash(&log_id);
    let header = SegmentHeader {
        log_id,
        base: 0,
        first_sequence: 1,
        hash_before: hash,
    };
    let disk = options.disk.as_ref();
    let blank = options
        .preallocate
        .then(|| Blank::zeroed(dir, options.segment_bytes, disk, &AtomicBool::new(false)));
    let blank = blank
        .transpose()
        .map_err(OpenError::io("prepare first file of journal", dir))?;
    segment::create(dir, header, blank, disk).map_err(|error| {
        let (CreateError::NotMade(source) | CreateError::NotSynced(source)) = error;
        OpenError::Io {
            action: "create first file of journal",
            path: dir.to_owned(),
            source,
        }
    })?;
    if let Some(parent) = dir.canonicalize().ok().as_deref().and_then(Path::parent) {
        File::open(parent)
            .and_then(|parent| disk.sync_all(&parent))
            .map_err(OpenError::io("sync directory", parent))?;
    }
    let head = Head {
        next_position: Position(0),
        sequence: 0,
        hash,
    };
    Ok(Survey {
        log_id,
        bases: vec![0],
        head,
        torn: None,
        unproven: Position(0),
        closed: None,
    })
}

fn new_log_id() -> io::Result<[u8; 16]> {
    let mut log_id = [0; 16];
    getrandom::fill(&mut log_id).map_err(io::Error::other)?;
    Ok(log_id)
}

/// Makes the end of the log what the survey says it is, durably.
///
/// The torn end becomes zeros, so that no old record can ever follow a new one. The records that
/// nothing proves to be synced are written again: after a failed sync the kernel may hold pages that
/// it calls clean and that are not on the disk, and only a new write makes the next sync mean them.
pub(super) fn mend(dir: &Path, survey: &Survey, disk: &dyn Disk) -> Result<Active, OpenError> {
    let base = survey.bases.last().copied().unwrap_or(0);
    let path = segment::path(dir, base);
    let mend = || -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let end = survey.head.next_position.0;
        let mut unproven = vec![0; (end - survey.unproven.0) as usize];
        let start = segment::offset_of(base, survey.unproven.0);
        file.read_exact_at(&mut unproven, start)?;
        let torn_bytes = survey.torn.map_or(0, |torn| torn.bytes as usize);
        unproven.resize(unproven.len() + torn_bytes, 0);
        if !unproven.is_empty() {
            disk.write_all_at(&file, &unproven, start)?;
        }
        disk.sync_data(&file)?;
        Ok(file)
    };
    let active = mend().and_then(|file| Active::new(file, base));
    active.map_err(OpenError::io("mend the end of journal file", &path))
}
