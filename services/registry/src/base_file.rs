//! The base of the lists as a file that is mapped into memory; it can always be rebuilt from the log.
//!
//! `<data_dir>/lists/base-<seq>.lists`: magic · length and CRC-32 of the head · head (whose log, up
//! to which record, what stands beside the entries) · zeros up to a multiple of eight · the bytes
//! of [`Base`], which carry a checksum of their own. Written new, synced, renamed; never changed in
//! place. A file that is damaged or of another log is passed over with a warning.
//!
//! Where the registry seals, all of this is sealed ([`crate::sealed_file`]), with the header of the base, which is known
//! last, in the last piece. Such a file is not mapped: it is opened into memory, which it takes whole, and twice while
//! a new one takes its place. Its entries are not sealed one by one, since a decision reads their texts where they lie,
//! and sweeps read all of them.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use creditgate_measures::book::BookVersion;
use creditgate_measures::event::ListCode;
use creditgate_measures::lists::{BASE_HEADER_BYTES, Base, ListVersion, Lists};
use creditgate_measures::name::SimplifyTable;
use creditgate_measures::time::Time;
use creditgate_runtime::journal::Position;
use creditgate_runtime::sealed::Sealer;
use serde::{Deserialize, Serialize};

use crate::desk::Desk;
use crate::error::Error;
use crate::log::Beside;
use crate::sealed_file::{self, Kind, SealedReader, SealedWriter};
use crate::sealing::Sealing;

/// FENCE (base format): the last byte is the format's number; another layout needs another one, and
/// older files are then rebuilt.
const MAGIC: [u8; 8] = *b"CGBASEF\x05";
const FIXED_BYTES: usize = 16;
const PREFIX: &str = "base-";
const SUFFIX: &str = ".lists";
const UNFINISHED: &str = ".new";

/// A base file that was opened, and everything that stands at its version.
#[derive(Debug)]
pub struct Opened {
    /// The entries.
    pub base: Base,
    /// The version.
    pub version: ListVersion,
    /// Where the record after it begins.
    pub next: Position,
    /// Content hash of the table the names were indexed with.
    pub simplify_hash: [u8; 32],
    /// Confirmations.
    pub confirmed: std::collections::BTreeMap<ListCode, Time>,
    /// What is kept beside the lists.
    pub beside: Beside,
    /// Whether the file is sealed as a new one would be: with the same key, or like it not at all.
    pub sealed_as_now: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    log_id: [u8; 16],
    seq: u64,
    next: u64,
    simplify_hash: [u8; 32],
    confirmed: Vec<(String, Time)>,
    absent: Vec<String>,
    books: Vec<([u8; 32], u64)>,
    desk: Desk,
}

/// Why a file is passed over.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("read it")]
    Io(#[from] std::io::Error),
    #[error("its head is damaged or of another format")]
    Head,
    #[error("it belongs to another change log")]
    OtherLog,
    #[error("it lies ahead of the change log")]
    Ahead,
    #[error("it is sealed, and no keyring is configured")]
    NoKey,
    #[error("it is sealed, and damaged or sealed with a key that is not in the keyring")]
    Sealed(#[source] std::io::Error),
    #[error(
        "it is sealed and takes {needed_mib} MiB of memory, of which {free_mib} MiB are free: give the machine more, or stop sealing and rely on an encrypted disk"
    )]
    Memory { needed_mib: u64, free_mib: u64 },
    #[error(transparent)]
    Base(#[from] creditgate_measures::lists::BaseError),
}

/// The newest base file that fits the log, if there is one. What was never finished is removed.
///
/// # Errors
/// When the directory cannot be read, or a sealed file finds no room in memory: read from the log, the lists would find
/// none either.
pub(crate) fn open_newest(
    dir: &Path,
    log_id: uuid::Uuid,
    log_seq: u64,
    sealing: &Sealing,
) -> Result<Option<Opened>, Error> {
    remove_unfinished(dir);
    let mut files = base_files(dir)?;
    files.sort_unstable_by(|a, b| b.cmp(a));
    for (_, path) in files {
        match open(&path, log_id, log_seq, sealing) {
            Ok(opened) => return Ok(Some(opened)),
            Err(why @ Unfit::Memory { .. }) => {
                return Err(Error::Io {
                    action: "open the base file",
                    path,
                    source: std::io::Error::other(why),
                });
            }
            Err(why) => {
                tracing::warn!(
                    path = %path.display(),
                    why = %creditgate_runtime::errors::Chain(&why),
                    "a base file of the lists is passed over; the lists are rebuilt from the change log"
                );
            }
        }
    }
    Ok(None)
}

fn open(path: &Path, log_id: uuid::Uuid, log_seq: u64, sealing: &Sealing) -> Result<Opened, Unfit> {
    let mut file = File::open(path)?;
    let first = sealed_file::head_of(&file)?;
    file.rewind()?;
    let bytes = match sealed_file::is_sealed(&first) {
        false => mapped(&file)?,
        true => opened(file, sealing.sealer().ok_or(Unfit::NoKey)?)?,
    };
    let (head, base_at) = read_head(&bytes).ok_or(Unfit::Head)?;
    if head.log_id != *log_id.as_bytes() {
        return Err(Unfit::OtherLog);
    }
    if head.seq > log_seq {
        return Err(Unfit::Ahead);
    }
    let base = Base::open(bytes.slice(base_at..))?;
    Ok(Opened {
        base,
        version: ListVersion {
            log_id,
            seq: head.seq,
        },
        next: Position(head.next),
        simplify_hash: head.simplify_hash,
        confirmed: head
            .confirmed
            .into_iter()
            .map(|(code, at)| (ListCode::new(code), at))
            .collect(),
        beside: Beside {
            absent: head.absent.into_iter().collect(),
            books: head
                .books
                .into_iter()
                .map(|(version, at)| (BookVersion(version), at))
                .collect(),
            desk: head.desk,
        },
        sealed_as_now: sealed_file::key_of(&first) == sealing.key_id(),
    })
}

/// What a sealed file holds, in memory.
fn opened(file: File, sealer: &Sealer) -> Result<Bytes, Unfit> {
    let length = file.metadata()?.len();
    room_for(length, memory_free())?;
    // Sealed it is a little longer.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let file = BufReader::with_capacity(1 << 20, file);
    let mut sealed = SealedReader::new(file, sealer, Kind::Base).map_err(Unfit::Sealed)?;
    sealed.read_to_end(&mut bytes).map_err(Unfit::Sealed)?;
    let header = sealed.last().unwrap_or_default();
    let base_at = base_at(&bytes).ok_or(Unfit::Head)?;
    let place = bytes.get_mut(base_at..base_at + BASE_HEADER_BYTES);
    match place.filter(|place| place.len() == header.len()) {
        Some(place) => place.copy_from_slice(header),
        None => return Err(Unfit::Head),
    }
    Ok(Bytes::from(bytes))
}

/// Better no start than one that the system ends for want of memory, half way and without a word.
fn room_for(length: u64, free: Option<u64>) -> Result<(), Unfit> {
    match free {
        Some(free) if length > free => Err(Unfit::Memory {
            needed_mib: length >> 20,
            free_mib: free >> 20,
        }),
        _ => Ok(()),
    }
}

/// Bytes of memory that the system can still give, or a container may take at most; `None` where neither is told.
fn memory_free() -> Option<u64> {
    let of_container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let of_container = of_container.and_then(|told| told.trim().parse::<u64>().ok());
    let of_system = fs::read_to_string("/proc/meminfo").ok();
    let of_system = of_system.and_then(|told| available(&told));
    of_container.into_iter().chain(of_system).min()
}

/// What `/proc/meminfo` says can still be given, in bytes.
fn available(told: &str) -> Option<u64> {
    let line = told
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// The bytes of a file that is not changed any more, mapped into memory: what is not looked at stays
/// on the disk.
///
/// # Errors
/// When the system refuses.
pub fn mapped(file: &File) -> std::io::Result<Bytes> {
    #[expect(
        unsafe_code,
        reason = "a mapping is sound while nobody changes the file: base files are written under another name, renamed when complete, and only ever unlinked; the data directory is locked against a second process"
    )]
    let mapped = unsafe { memmap2::Mmap::map(file)? };
    Ok(Bytes::from_owner(mapped))
}

fn read_head(bytes: &[u8]) -> Option<(Head, usize)> {
    if bytes.get(..8)? != MAGIC {
        return None;
    }
    let length = head_length(bytes)?;
    let crc = u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?);
    let head = bytes.get(FIXED_BYTES..FIXED_BYTES.checked_add(length)?)?;
    if crc32fast::hash(head) != crc {
        return None;
    }
    Some((postcard::from_bytes(head).ok()?, base_at(bytes)?))
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?) as usize)
}

/// Where the base begins.
fn base_at(bytes: &[u8]) -> Option<usize> {
    let at = FIXED_BYTES.checked_add(head_length(bytes)?)?;
    let at = at.checked_next_multiple_of(8)?;
    (at <= bytes.len()).then_some(at)
}

/// The table by which names are indexed.
#[derive(Debug, Clone, Copy)]
pub enum Names<'a> {
    /// The one that the lists are indexed by already: what has not changed is copied.
    AsIndexed(&'a SimplifyTable),
    /// Another one: everything is indexed anew.
    Anew(&'a SimplifyTable),
}

/// For a base that somebody waits for.
pub static NEVER: AtomicBool = AtomicBool::new(false);

/// Writes the lists as a base file, sealed or in clear, and opens it again; older files stay until [`remove_older`].
///
/// # Errors
/// When the disk refuses, or gives back something else than was written; or when it was given up.
pub(crate) fn write(
    dir: &Path,
    lists: &Lists,
    beside: &Beside,
    next: Position,
    names: Names<'_>,
    (sealing, given_up): (&Sealing, &AtomicBool),
) -> Result<Base, Error> {
    let version = lists.version();
    let path = path_of(dir, version.seq);
    let unfinished = path.with_extension("lists.new");
    let io = |action: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    };
    let file = File::create(&unfinished).map_err(io("create base file", &unfinished))?;
    let steady = Steady {
        file,
        waiting: 0,
        given_up,
    };
    let mut out = BufWriter::with_capacity(1 << 20, steady);
    let written = match sealing.sealer() {
        None => write_clear(&mut out, lists, beside, next, names),
        Some(sealer) => write_sealed(&mut out, sealer, lists, beside, next, names),
    };
    let written = written
        .and_then(|()| out.flush())
        .and_then(|()| out.get_ref().file.sync_all());
    if written.is_err() {
        // Its room is worth more than its beginning.
        let _ = fs::remove_file(&unfinished);
    }
    written.map_err(io("write base file", &unfinished))?;
    fs::rename(&unfinished, &path).map_err(io("rename base file", &path))?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(io("sync directory", dir))?;
    // Opening reads all of it once more; the file is good for the next start.
    not_given_up(given_up).map_err(io("open the base file just written", &path))?;
    open(&path, version.log_id, version.seq, sealing)
        .map(|opened| opened.base)
        .map_err(|unfit| Error::Io {
            action: "open the base file just written",
            path,
            source: std::io::Error::other(unfit),
        })
}

fn not_given_up(given_up: &AtomicBool) -> std::io::Result<()> {
    match given_up.load(Ordering::Relaxed) {
        true => Err(std::io::Error::other("given up, since the service stops")),
        false => Ok(()),
    }
}

/// Bytes of a base file that may wait for the disk.
const WAITING_MAX: usize = 32 << 20;

/// Bytes that are written at once: what has not changed comes in one piece of gigabytes.
const PIECE_MAX: usize = 4 << 20;

/// A file that goes to the disk while it is written. Gigabytes that wait and go at once would hold
/// up whatever else has to reach the disk then: the records that answers wait for.
struct Steady<'a> {
    file: File,
    waiting: usize,
    /// Set when nobody needs it any more: the service stops.
    given_up: &'a AtomicBool,
}

impl Write for Steady<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        not_given_up(self.given_up)?;
        let piece = bytes.get(..PIECE_MAX).unwrap_or(bytes);
        let written = self.file.write(piece)?;
        self.waiting += written;
        if self.waiting >= WAITING_MAX {
            self.file.sync_data()?;
            self.waiting = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Steady<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

fn write_clear(
    out: &mut (impl Write + Seek),
    lists: &Lists,
    beside: &Beside,
    next: Position,
    names: Names<'_>,
) -> std::io::Result<()> {
    let (base_at, header) = write_to(out, lists, beside, next, names)?;
    out.seek(SeekFrom::Start(base_at as u64))?;
    out.write_all(&header)
}

fn write_sealed(
    out: &mut impl Write,
    sealer: &Sealer,
    lists: &Lists,
    beside: &Beside,
    next: Position,
    names: Names<'_>,
) -> std::io::Result<()> {
    let mut out = SealedWriter::new(out, sealer, Kind::Base)?;
    let (_, header) = write_to(&mut out, lists, beside, next, names)?;
    out.end(&header).map(drop)
}

/// Writes everything, with zeros in the place of the base's header; gives that place and the header.
fn write_to(
    out: &mut impl Write,
    lists: &Lists,
    beside: &Beside,
    next: Position,
    names: Names<'_>,
) -> std::io::Result<(usize, [u8; BASE_HEADER_BYTES])> {
    let (Names::AsIndexed(simplify) | Names::Anew(simplify)) = names;
    let head = Head {
        log_id: *lists.version().log_id.as_bytes(),
        seq: lists.version().seq,
        next: next.0,
        simplify_hash: simplify.content_hash(),
        confirmed: lists
            .confirmations()
            .iter()
            .map(|(code, at)| (code.as_str().to_owned(), *at))
            .collect(),
        absent: beside.absent.iter().cloned().collect(),
        books: beside
            .books
            .iter()
            .map(|(version, at)| (version.0, *at))
            .collect(),
        desk: beside.desk.clone(),
    };
    let head = postcard::to_allocvec(&head).map_err(std::io::Error::other)?;
    let length = u32::try_from(head.len()).map_err(std::io::Error::other)?;
    out.write_all(&MAGIC)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&crc32fast::hash(&head).to_le_bytes())?;
    out.write_all(&head)?;
    let written = FIXED_BYTES + head.len();
    let base_at = written.next_multiple_of(8);
    out.write_all(&[0; 8][..base_at - written])?;
    out.write_all(&[0; BASE_HEADER_BYTES])?;
    let header = match names {
        Names::Anew(simplify) => {
            let base = lists.to_base(simplify);
            let (header, rest) = base
                .split_first_chunk::<BASE_HEADER_BYTES>()
                .ok_or_else(|| std::io::Error::other("a base has no header"))?;
            out.write_all(rest)?;
            *header
        }
        Names::AsIndexed(simplify) => lists.write_base(simplify, |part| out.write_all(part))?,
    };
    Ok((base_at, header))
}

/// Removes base files older than this number.
pub fn remove_older(dir: &Path, seq: u64) {
    let files = base_files(dir).unwrap_or_default().into_iter();
    remove(files.filter(|(of, _)| *of < seq).map(|(_, path)| path));
}

/// Removes base files that a process left unfinished when it was killed.
fn remove_unfinished(dir: &Path) {
    let unfinished = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path());
    let unfinished = unfinished.filter(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(UNFINISHED))
    });
    remove(unfinished);
}

fn remove(files: impl Iterator<Item = PathBuf>) {
    for path in files {
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "an old base file of the lists stays");
        }
    }
}

/// The base files by number, in no order.
fn base_files(dir: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let read = fs::read_dir(dir).map_err(|source| Error::Io {
        action: "read directory",
        path: dir.to_owned(),
        source,
    })?;
    let numbered = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let seq = name
            .strip_prefix(PREFIX)?
            .strip_suffix(SUFFIX)?
            .parse()
            .ok()?;
        Some((seq, path))
    };
    Ok(read
        .flatten()
        .filter_map(|entry| numbered(entry.path()))
        .collect())
}

fn path_of(dir: &Path, seq: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{seq:020}{SUFFIX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_base_is_opened_only_where_it_finds_room() {
        let told = "MemTotal:  8000000 kB\nMemFree:  10 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(told), Some(2 << 20));
        assert_eq!(available("MemTotal: 8000000 kB\n"), None);
        room_for(2 << 20, Some(2 << 20)).expect("just enough");
        room_for(1 << 50, None).expect("nobody knows");
        let refused = room_for(3 << 20, Some(2 << 20)).expect_err("too much");
        let told = refused.to_string();
        assert!(
            told.contains("takes 3 MiB of memory, of which 2 MiB are free"),
            "{told}"
        );
    }

    #[test]
    fn what_was_given_up_leaves_nothing_and_what_a_kill_left_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let simplify = SimplifyTable::empty();
        let log = uuid::Uuid::from_u128(7);
        let lists = Lists::empty(log, &simplify);
        let write = |given_up: bool| {
            let (beside, names) = (Beside::default(), Names::AsIndexed(&simplify));
            let given_up = AtomicBool::new(given_up);
            let how = (&Sealing::default(), &given_up);
            write(dir.path(), &lists, &beside, Position(0), names, how)
        };
        let files = || {
            std::fs::read_dir(dir.path())
                .expect("the directory")
                .count()
        };
        assert!(write(true).is_err());
        assert_eq!(files(), 0);
        write(false).expect("a base");
        std::fs::write(dir.path().join("base-1.lists.new"), "half").expect("written");
        assert_eq!(files(), 2);
        let opened = open_newest(dir.path(), log, 0, &Sealing::default()).expect("the directory");
        assert!(opened.is_some());
        assert_eq!(files(), 1);
    }
}
