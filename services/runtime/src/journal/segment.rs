//! The segment: one file of consecutive records, and how a new one comes to be.
//!
//! A file is named by its base, the position of its first record, as 20 digits and `.log`. It opens
//! with a header of 128 bytes, little-endian, zero where nothing is said:
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | magic `CGJOURN1` |
//! | 8 | 4 | CRC-32 over bytes 12..128 |
//! | 12 | 2 | format, now 1 |
//! | 16 | 16 | log id |
//! | 32 | 8 | base position |
//! | 40 | 8 | sequence of the first record |
//! | 48 | 32 | hash before the first record |
//!
//! Positions do not count the headers: the base of a segment is where the one before it ended, so
//! the address of a record does not depend on where the log was rolled.
//!
//! INVARIANT (no half segment): a segment gets its name only after its header is durable, and only
//! after everything before its base is. So only the last segment can be torn, and never its header.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::disk::Disk;

/// Bytes before the first record.
pub(super) const SEGMENT_HEADER_BYTES: usize = 128;

const MAGIC: [u8; 8] = *b"CGJOURN1";
const FORMAT: u16 = 1;

/// How much of a blank is written and synced at once. Measured: with 4 MiB the slowest hundredth of
/// the appends beside it took 2 to 3 ms instead of 1 ms.
const STEP_BYTES: usize = 512 << 10;

/// What the page cache and the disk handle at once; a multiple of every block size in use.
pub(super) const PAGE_BYTES: usize = 4 << 10;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub log_id: [u8; 16],
    pub base: u64,
    pub first_sequence: u64,
    pub hash_before: [u8; 32],
}

impl SegmentHeader {
    pub(super) fn to_bytes(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[12..14].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.log_id);
        bytes[32..40].copy_from_slice(&self.base.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.hash_before);
        let checksum = crc32fast::hash(&bytes[12..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header that begins `bytes`, or what is wrong with it.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        let bytes: &[u8; SEGMENT_HEADER_BYTES] =
            bytes.first_chunk().ok_or("the segment header is cut off")?;
        if bytes[..8] != MAGIC {
            return Err("this is no journal segment");
        }
        if bytes[8..12] != crc32fast::hash(&bytes[12..]).to_le_bytes() {
            return Err("the checksum of the segment header does not match");
        }
        if bytes[12..14] != FORMAT.to_le_bytes() {
            return Err("the segment has a format which this version cannot read");
        }
        let field = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Ok(Self {
            log_id: std::array::from_fn(|i| bytes[16 + i]),
            base: field(32),
            first_sequence: field(40),
            hash_before: std::array::from_fn(|i| bytes[48 + i]),
        })
    }
}

/// The path of the segment that begins at a position.
pub(super) fn path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.log"))
}

/// Where in its file the byte at `position` lies.
pub(super) fn offset_of(base: u64, position: u64) -> u64 {
    SEGMENT_HEADER_BYTES as u64 + (position - base)
}

/// The bases of all segments in a directory, ascending.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".log"));
        if let Some(digits) = digits.filter(|digits| digits.len() == 20)
            && let Ok(base) = digits.parse()
        {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Makes a segment out of a file that may already hold zeros, and gives it its name, durably.
pub(super) fn create(
    dir: &Path,
    header: SegmentHeader,
    blank: Option<Blank>,
    disk: &dyn Disk,
) -> Result<File, CreateError> {
    let named = path(dir, header.base);
    let blank = match blank {
        Some(blank) => blank,
        None => Blank::empty(dir).map_err(CreateError::NotMade)?,
    };
    let made = disk
        .write_all_at(&blank.file, &header.to_bytes(), 0)
        .and_then(|()| disk.sync_all(&blank.file))
        .and_then(|()| fs::rename(&blank.path, &named));
    if let Err(error) = made {
        drop(fs::remove_file(&blank.path));
        return Err(CreateError::NotMade(error));
    }
    File::open(dir)
        .and_then(|dir| disk.sync_all(&dir))
        .map_err(CreateError::NotSynced)?;
    Ok(blank.file)
}

/// Why there is no new segment.
#[derive(Debug)]
pub(super) enum CreateError {
    /// No trace of it is left; trying again is right.
    NotMade(io::Error),
    /// It has its name, but whether the name outlives a power cut is unknown.
    NotSynced(io::Error),
}

/// A file that will become a segment: no name yet, and possibly filled with zeros, so that writing
/// into it later changes no metadata and `fdatasync` has only the data to flush.
#[derive(Debug)]
pub(super) struct Blank {
    file: File,
    path: PathBuf,
}

impl Blank {
    fn empty(dir: &Path) -> io::Result<Self> {
        let path = dir.join("roll.tmp");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        Ok(Self { file, path })
    }

    /// A file of zeros; stops early, with an error, when `cancel` is set.
    pub(super) fn zeroed(
        dir: &Path,
        bytes: u64,
        disk: &dyn Disk,
        cancel: &AtomicBool,
    ) -> io::Result<Self> {
        let path = dir.join("next.tmp");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        let blank = Self { file, path };
        blank
            .fill(bytes, disk, cancel)
            .inspect_err(|_| drop(fs::remove_file(&blank.path)))?;
        Ok(blank)
    }

    /// Syncs in steps, so that the records of the running segment never wait behind all of it.
    ///
    /// Past the page cache where the file system can: the zeros are not read again, and copying
    /// them took as much of the processor as writing the records did.
    fn fill(&self, bytes: u64, disk: &dyn Disk, cancel: &AtomicBool) -> io::Result<()> {
        let zeros = vec![0; STEP_BYTES + PAGE_BYTES];
        let aligned = zeros.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        let zeros = &zeros[aligned..aligned + STEP_BYTES];
        let mut direct = self.direct();
        let mut offset = 0;
        while offset < bytes {
            if cancel.load(Ordering::Relaxed) {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            let step = (bytes - offset).min(STEP_BYTES as u64);
            let zeros = &zeros[..step as usize];
            let whole_pages = zeros.len().is_multiple_of(PAGE_BYTES);
            match direct.as_ref().filter(|_| whole_pages) {
                Some(file) => match disk.write_all_at(file, zeros, offset) {
                    // This file system opens such files and does not write them.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                        direct = None;
                        continue;
                    }
                    written => written?,
                },
                None => disk.write_all_at(&self.file, zeros, offset)?,
            }
            offset += step;
            disk.sync_data(&self.file)?;
        }
        disk.sync_all(&self.file)
    }

    /// The same file past the page cache; none where the file system has no such thing.
    fn direct(&self) -> Option<File> {
        let flag = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(flag);
        options.open(&self.path).ok()
    }
}

/// The next segment being filled with zeros beside the writer.
#[derive(Debug)]
pub(super) struct Preparation {
    thread: JoinHandle<io::Result<Blank>>,
    cancel: Arc<AtomicBool>,
}

impl Preparation {
    /// Begins; `None` if there is no thread to be had, and then the next segment grows as it fills.
    pub(super) fn start(dir: &Path, bytes: u64, disk: Arc<dyn Disk>) -> Option<Self> {
        let cancel = Arc::new(AtomicBool::new(false));
        let (dir, cancelled) = (dir.to_owned(), Arc::clone(&cancel));
        let thread = thread::Builder::new()
            .name("journal-prepare".to_owned())
            .spawn(move || Blank::zeroed(&dir, bytes, disk.as_ref(), &cancelled))
            .ok()?;
        Some(Self { thread, cancel })
    }

    /// Whether [`Self::take`] would not wait.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// The file, or `None` if it could not be made.
    pub(super) fn take(self) -> Option<Blank> {
        self.thread.join().ok()?.ok()
    }

    /// Gives up and leaves nothing behind.
    pub(super) fn abandon(self) {
        self.cancel.store(true, Ordering::Relaxed);
        if let Some(blank) = self.take() {
            drop(fs::remove_file(blank.path));
        }
    }
}

/// Removes what an interrupted process left half made.
pub(super) fn remove_leftovers(dir: &Path) -> io::Result<()> {
    for name in ["next.tmp", "roll.tmp", "mark.tmp"] {
        match fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_a_changed_one_does_not() {
        let header = SegmentHeader {
            log_id: [7; 16],
            base: 4096,
            first_sequence: 12,
            hash_before: [3; 32],
        };
        let bytes = header.to_bytes();
        assert_eq!(SegmentHeader::from_bytes(&bytes), Ok(header));
        for at in 0..SEGMENT_HEADER_BYTES {
            let mut changed = bytes;
            changed[at] ^= 1;
            assert!(
                SegmentHeader::from_bytes(&changed).is_err(),
                "changed at {at}"
            );
        }
        assert!(SegmentHeader::from_bytes(&bytes[..127]).is_err());
    }

    /// See the fence in [`super::super::envelope`]: the same holds for segments.
    #[test]
    fn the_layout_is_the_one_on_disk() {
        let header = SegmentHeader {
            log_id: *b"log-id-of-16-byt",
            base: 0x0102,
            first_sequence: 3,
            hash_before: [0xCD; 32],
        };
        let hex: String = header.to_bytes()[..80]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            concat!(
                "43474a4f55524e31",
                "1e20b077",
                "01000000",
                "6c6f672d69642d6f662d31362d627974",
                "0201000000000000",
                "0300000000000000",
                "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            )
        );
        assert_eq!(
            path(Path::new("d"), 258),
            Path::new("d/00000000000000000258.log")
        );
    }
}
