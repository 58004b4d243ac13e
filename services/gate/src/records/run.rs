//! A run of the index: a file of rows in the order of their keys, written once and never changed.
//!
//! All numbers are little-endian. A file is this header of 80 bytes and then its rows:
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | magic `CGINDEX1` |
//! | 8 | 4 | CRC-32 over bytes 12..80 |
//! | 12 | 4 | CRC-32 over the rows |
//! | 16 | 16 | name of the journal |
//! | 32 | 8 | sequence of its first record |
//! | 40 | 8 | sequence of its last record |
//! | 48 | 8 | position of its last record |
//! | 56 | 8 | records |
//! | 64 | 8 | successors |
//! | 80 | 16 each | verdicts: key, position; one of each record |
//! | … | 16 each | cases: key, position; one of each record |
//! | … | 40 each | successors: superseded verdict, position, verdict |
//!
//! Runs are not sealed, wherever journals are: keys are made of ids of verdicts and of business numbers (办件号), never of
//! identifiers or names of subjects. Who has both a run and a business number can find out whether it had a verdict, and
//! where that stands.
//!
//! INVARIANT (no half run): a file gets its name only after all of it is durable.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use creditgate_measures::verdict::VerdictId;
use creditgate_runtime::journal::Position;
use uuid::Uuid;

use super::successors::Successor;

const MAGIC: [u8; 8] = *b"CGINDEX1";
const HEADER_BYTES: u64 = 80;

/// Rows that are read at once; of the first of each the key is in memory.
const BLOCK_ROWS: u64 = 256;

/// How much is read, or written and synced, at once: the journal's own syncs never wait behind more.
const STEP_BYTES: usize = 512 << 10;

/// The end of the name of a run, and of one that has no name yet.
const SUFFIX: &str = "run";
const UNNAMED: &str = "tmp";

/// What a run says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Name of the journal.
    pub log_id: [u8; 16],
    /// Number of its first record.
    pub first: u64,
    /// Number of its last record.
    pub last: u64,
    /// Where its last record is.
    pub last_position: u64,
}

/// A verdict or a case, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub key: u64,
    pub position: u64,
}

/// A verdict that took another one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Superseded {
    pub verdict: VerdictId,
    pub by: Successor,
}

/// The rows of a run, each part sorted.
pub(super) struct Rows<V, C, S> {
    pub verdicts: V,
    pub cases: C,
    pub successors: S,
}

/// An open run.
#[derive(Debug)]
pub(super) struct Run {
    pub extent: Extent,
    path: PathBuf,
    file: File,
    records: u64,
    successors: u64,
    /// The key of the first row of each block.
    verdict_blocks: Vec<u64>,
    case_blocks: Vec<u64>,
}

/// A row as it lies in a file.
pub(super) trait Stored: Copy + Ord {
    const BYTES: usize;
    fn read(bytes: &[u8]) -> Self;
    fn write(self, out: &mut Vec<u8>);
}

impl Stored for Row {
    const BYTES: usize = 16;

    fn read(bytes: &[u8]) -> Self {
        Self {
            key: number(bytes, 0),
            position: number(bytes, 8),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.position.to_le_bytes());
    }
}

impl Stored for Superseded {
    const BYTES: usize = 40;

    fn read(bytes: &[u8]) -> Self {
        Self {
            verdict: id(bytes, 0),
            by: Successor {
                position: Position(number(bytes, 16)),
                verdict: id(bytes, 24),
            },
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.verdict.0.as_bytes());
        out.extend_from_slice(&self.by.position.0.to_le_bytes());
        out.extend_from_slice(self.by.verdict.0.as_bytes());
    }
}

impl Extent {
    /// Records that lie in it; they are numbered densely.
    pub(super) fn records(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    fn name(&self) -> String {
        format!("{:020}-{:020}.{SUFFIX}", self.first, self.last)
    }
}

impl Run {
    /// Writes a run and gives it its name, durably; stops early, with an error, when `cancel` is set.
    pub(super) fn write(
        dir: &Path,
        extent: Extent,
        rows: Rows<
            impl Iterator<Item = io::Result<Row>>,
            impl Iterator<Item = io::Result<Row>>,
            impl Iterator<Item = io::Result<Superseded>>,
        >,
        cancel: &AtomicBool,
    ) -> io::Result<Self> {
        let path = dir.join(extent.name());
        let unnamed = path.with_extension(UNNAMED);
        let written = Self::write_unnamed(&unnamed, extent, rows, cancel).and_then(|mut run| {
            fs::rename(&unnamed, &path)?;
            File::open(dir)?.sync_all()?;
            run.path = path;
            Ok(run)
        });
        // It has its name, or is of no use to anybody; the next start removes it in any case.
        written.inspect_err(|_| drop(fs::remove_file(&unnamed)))
    }

    fn write_unnamed(
        path: &Path,
        extent: Extent,
        rows: Rows<
            impl Iterator<Item = io::Result<Row>>,
            impl Iterator<Item = io::Result<Row>>,
            impl Iterator<Item = io::Result<Superseded>>,
        >,
        cancel: &AtomicBool,
    ) -> io::Result<Self> {
        let mut out = Out::new(path, cancel)?;
        let (mut verdict_blocks, mut case_blocks) = (Vec::new(), Vec::new());
        let note = |blocks: &mut Vec<u64>, nth: u64, row: &Row| {
            if nth.is_multiple_of(BLOCK_ROWS) {
                blocks.push(row.key);
            }
        };
        let verdicts = out.part(rows.verdicts, |nth, row| {
            note(&mut verdict_blocks, nth, row);
        })?;
        let cases = out.part(rows.cases, |nth, row| note(&mut case_blocks, nth, row))?;
        let successors = out.part(rows.successors, |_, _| ())?;
        let (file, checksum) = out.end()?;
        let records = extent.records();
        if (verdicts, cases) != (records, records) {
            return Err(damaged("it would not hold one row of each record"));
        }
        file.write_all_at(&header(&extent, checksum, records, successors), 0)?;
        file.sync_all()?;
        Ok(Self {
            extent,
            path: path.to_owned(),
            file,
            records,
            successors,
            verdict_blocks,
            case_blocks,
        })
    }

    /// Opens a run of this journal, and reads all of it.
    pub(super) fn open(path: &Path, log_id: &[u8; 16]) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact_at(&mut header, 0)?;
        if header[..8] != MAGIC {
            return Err(damaged("it is no index of this version"));
        }
        if header[8..12] != crc32fast::hash(&header[12..]).to_le_bytes() {
            return Err(damaged("the checksum of its header does not match"));
        }
        let mut run = Self {
            extent: Extent {
                log_id: std::array::from_fn(|at| header[16 + at]),
                first: number(&header, 32),
                last: number(&header, 40),
                last_position: number(&header, 48),
            },
            path: path.to_owned(),
            records: number(&header, 56),
            successors: number(&header, 64),
            verdict_blocks: Vec::new(),
            case_blocks: Vec::new(),
            file,
        };
        if run.extent.log_id != *log_id {
            return Err(damaged("it belongs to another journal"));
        }
        if run.records != run.extent.records() || run.file.metadata()?.len() != run.end() {
            return Err(damaged("it does not hold one row of each record"));
        }
        if run.checksum()?.to_le_bytes() != header[12..16] {
            return Err(damaged("the checksum of its rows does not match"));
        }
        run.verdict_blocks = blocks(run.verdicts())?;
        run.case_blocks = blocks(run.cases())?;
        Ok(run)
    }

    /// All rows of verdicts.
    pub(super) fn verdicts(&self) -> Part<'_, Row> {
        Part::new(&self.file, HEADER_BYTES, self.cases_at())
    }

    /// All rows of cases.
    pub(super) fn cases(&self) -> Part<'_, Row> {
        Part::new(&self.file, self.cases_at(), self.successors_at())
    }

    /// All rows of successors.
    pub(super) fn successors(&self) -> Part<'_, Superseded> {
        Part::new(&self.file, self.successors_at(), self.end())
    }

    /// How many successors it holds.
    pub(super) fn successors_count(&self) -> u64 {
        self.successors
    }

    /// Positions under the key of a verdict.
    pub(super) fn verdict(&self, key: u64, into: &mut Vec<Position>) -> io::Result<()> {
        self.find(&self.verdict_blocks, HEADER_BYTES, key, into)
    }

    /// Positions under the key of a case.
    pub(super) fn case(&self, key: u64, into: &mut Vec<Position>) -> io::Result<()> {
        self.find(&self.case_blocks, self.cases_at(), key, into)
    }

    /// The last of those that took this verdict's place.
    pub(super) fn successor(&self, verdict: VerdictId) -> io::Result<Option<Successor>> {
        let read = |nth: u64| {
            let mut bytes = [0; Superseded::BYTES];
            let at = self.successors_at() + nth * Superseded::BYTES as u64;
            self.file.read_exact_at(&mut bytes, at)?;
            Ok::<_, io::Error>(Superseded::read(&bytes))
        };
        // The end of the rows up to this verdict's last one.
        let (mut low, mut high) = (0, self.successors);
        while low < high {
            let middle = low + (high - low) / 2;
            match read(middle)?.verdict <= verdict {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let last = low.checked_sub(1).map(read).transpose()?;
        let last = last.filter(|last| last.verdict == verdict);
        Ok(last.map(|last| last.by))
    }

    /// Removes the file. Whoever reads it now reads on.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    fn find(
        &self,
        blocks: &[u64],
        part_at: u64,
        key: u64,
        into: &mut Vec<Position>,
    ) -> io::Result<()> {
        // Rows of one key may begin in the block before the first that opens with it.
        let first = blocks
            .partition_point(|opens| *opens < key)
            .saturating_sub(1);
        let mut bytes = [0; BLOCK_ROWS as usize * Row::BYTES];
        for (nth, _) in (0..)
            .zip(blocks)
            .skip(first)
            .take_while(|(_, opens)| **opens <= key)
        {
            let rows = BLOCK_ROWS.min(self.records - nth * BLOCK_ROWS) as usize;
            let bytes = &mut bytes[..rows * Row::BYTES];
            let at = part_at + nth * BLOCK_ROWS * Row::BYTES as u64;
            self.file.read_exact_at(bytes, at)?;
            let rows = bytes.chunks_exact(Row::BYTES).map(Row::read);
            into.extend(
                rows.filter(|row| row.key == key)
                    .map(|row| Position(row.position)),
            );
        }
        Ok(())
    }

    fn cases_at(&self) -> u64 {
        HEADER_BYTES + self.records * Row::BYTES as u64
    }

    fn successors_at(&self) -> u64 {
        self.cases_at() + self.records * Row::BYTES as u64
    }

    fn end(&self) -> u64 {
        self.successors_at() + self.successors * Superseded::BYTES as u64
    }

    fn checksum(&self) -> io::Result<u32> {
        let mut checksum = crc32fast::Hasher::new();
        let mut bytes = vec![0; STEP_BYTES];
        let mut at = HEADER_BYTES;
        while at < self.end() {
            let step = (self.end() - at).min(STEP_BYTES as u64);
            let bytes = &mut bytes[..step as usize];
            self.file.read_exact_at(bytes, at)?;
            checksum.update(bytes);
            at += step;
        }
        Ok(checksum.finalize())
    }
}

/// The rows of one part of a file, in their order.
pub(super) struct Part<'a, R> {
    file: &'a File,
    at: u64,
    end: u64,
    bytes: Vec<u8>,
    place: usize,
    row: std::marker::PhantomData<R>,
}

impl<'a, R: Stored> Part<'a, R> {
    fn new(file: &'a File, at: u64, end: u64) -> Self {
        Self {
            file,
            at,
            end,
            bytes: Vec::new(),
            place: 0,
            row: std::marker::PhantomData,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let whole_rows = (STEP_BYTES / 8 / R::BYTES * R::BYTES) as u64;
        let step = (self.end - self.at).min(whole_rows);
        self.bytes.resize(step as usize, 0);
        self.place = 0;
        self.file.read_exact_at(&mut self.bytes, self.at)?;
        self.at += step;
        Ok(())
    }
}

impl<R: Stored> Iterator for Part<'_, R> {
    type Item = io::Result<R>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place == self.bytes.len() {
            if self.at == self.end {
                return None;
            }
            if let Err(error) = self.fill() {
                // Nothing comes behind what cannot be read.
                self.at = self.end;
                self.bytes.clear();
                return Some(Err(error));
            }
        }
        let row = self.bytes.get(self.place..)?.get(..R::BYTES)?;
        self.place += R::BYTES;
        Some(Ok(R::read(row)))
    }
}

/// The rows of several parts as one, in their order.
pub(super) fn merged<R: Stored>(
    mut parts: Vec<impl Iterator<Item = io::Result<R>>>,
) -> impl Iterator<Item = io::Result<R>> {
    let mut heads: Vec<Option<io::Result<R>>> = parts.iter_mut().map(Iterator::next).collect();
    std::iter::from_fn(move || {
        // A fault comes first: it ends the whole.
        let least = |head: &Option<io::Result<R>>| match head {
            Some(Err(_)) => (0, None),
            Some(Ok(row)) => (1, Some(*row)),
            None => (2, None),
        };
        let (nth, _) = (0..).zip(&heads).min_by_key(|(_, head)| least(head))?;
        let head = heads.get_mut(nth)?;
        let next = parts.get_mut(nth).and_then(Iterator::next);
        std::mem::replace(head, next)
    })
}

/// A file that is being written, in steps.
struct Out<'a> {
    file: File,
    at: u64,
    bytes: Vec<u8>,
    checksum: crc32fast::Hasher,
    cancel: &'a AtomicBool,
}

impl<'a> Out<'a> {
    fn new(path: &Path, cancel: &'a AtomicBool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true);
        Ok(Self {
            file: file.open(path)?,
            at: HEADER_BYTES,
            bytes: Vec::with_capacity(STEP_BYTES + Superseded::BYTES),
            checksum: crc32fast::Hasher::new(),
            cancel,
        })
    }

    /// Writes the rows of one part, and gives how many there were.
    fn part<R: Stored>(
        &mut self,
        rows: impl Iterator<Item = io::Result<R>>,
        mut note: impl FnMut(u64, &R),
    ) -> io::Result<u64> {
        let mut count = 0;
        for row in rows {
            let row = row?;
            note(count, &row);
            row.write(&mut self.bytes);
            count += 1;
            if self.bytes.len() >= STEP_BYTES {
                self.step()?;
            }
        }
        Ok(count)
    }

    fn step(&mut self) -> io::Result<()> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        self.checksum.update(&self.bytes);
        self.file.write_all_at(&self.bytes, self.at)?;
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        self.file.sync_data()
    }

    fn end(mut self) -> io::Result<(File, u32)> {
        self.step()?;
        Ok((self.file, self.checksum.finalize()))
    }
}

/// The runs of a directory by their names, the first and of these the longest first; what never got
/// its name is removed.
pub(super) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut runs = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        match path.extension().and_then(|suffix| suffix.to_str()) {
            Some(SUFFIX) => runs.push(path),
            Some(UNNAMED) => fs::remove_file(path)?,
            _ => {}
        }
    }
    let named = |path: &PathBuf| {
        let name = path.file_stem().and_then(|stem| stem.to_str())?;
        let (first, last) = name.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    };
    runs.sort_by_key(|path| named(path).map(|(first, last)| (first, std::cmp::Reverse(last))));
    Ok(runs)
}

fn header(
    extent: &Extent,
    checksum: u32,
    records: u64,
    successors: u64,
) -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes[16..32].copy_from_slice(&extent.log_id);
    let numbers = [
        extent.first,
        extent.last,
        extent.last_position,
        records,
        successors,
    ];
    for (field, number) in bytes[32..72].chunks_exact_mut(8).zip(numbers) {
        field.copy_from_slice(&number.to_le_bytes());
    }
    let checksum = crc32fast::hash(&bytes[12..]);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The key of every row that opens a block.
fn blocks(rows: Part<'_, Row>) -> io::Result<Vec<u64>> {
    rows.step_by(BLOCK_ROWS as usize)
        .map(|row| row.map(|row| row.key))
        .collect()
}

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Of bytes that are long enough by their caller's reckoning; what lacked would be zero.
fn number(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().map_or(0, u64::from_le_bytes)
}

/// As [`number`].
fn id(bytes: &[u8], at: usize) -> VerdictId {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
    VerdictId(Uuid::from_bytes(bytes.copied().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: [u8; 16] = [7; 16];

    fn superseded(verdict: u128, position: u64, by: u128) -> Superseded {
        let id = |n| VerdictId(Uuid::from_u128(n));
        Superseded {
            verdict: id(verdict),
            by: Successor {
                position: Position(position),
                verdict: id(by),
            },
        }
    }

    /// A run of these records, whose keys are few enough to meet often.
    fn run(dir: &Path, first: u64, last: u64) -> Run {
        let extent = Extent {
            log_id: LOG,
            first,
            last,
            last_position: last * 10,
        };
        let rows = |modulus: u64| {
            let mut rows: Vec<Row> = (first..=last)
                .map(|n| Row {
                    key: n % modulus,
                    position: n * 10,
                })
                .collect();
            rows.sort_unstable();
            rows.into_iter().map(Ok)
        };
        let rows = Rows {
            verdicts: rows(1_000_003),
            cases: rows(3),
            successors: [(5, first * 10, 1), (5, last * 10, 2), (9, first * 10, 3)]
                .map(|(verdict, position, by)| Ok(superseded(verdict, position, by)))
                .into_iter(),
        };
        Run::write(dir, extent, rows, &AtomicBool::new(false)).unwrap()
    }

    fn check(run: &Run, first: u64, last: u64) {
        for n in first - 1..=last + 1 {
            let mut found = Vec::new();
            run.verdict(n, &mut found).unwrap();
            let expected = (first..=last).contains(&n).then_some(Position(n * 10));
            assert_eq!(found, Vec::from_iter(expected), "{n}");
        }
        for key in 0..4 {
            let mut found = Vec::new();
            run.case(key, &mut found).unwrap();
            let expected = (first..=last).filter(|n| n % 3 == key);
            assert_eq!(
                found,
                expected.map(|n| Position(n * 10)).collect::<Vec<_>>()
            );
        }
        let successor = |verdict| {
            let found = run.successor(VerdictId(Uuid::from_u128(verdict))).unwrap();
            found.map(|found| (found.position.0, found.verdict.0.as_u128()))
        };
        assert_eq!(successor(5), Some((last * 10, 2)));
        assert_eq!(successor(9).map(|(_, by)| by), Some(3));
        assert_eq!((successor(4), successor(10)), (None, None));
    }

    #[test]
    fn every_row_is_found_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let written = run(dir.path(), 5, 2_004);
        check(&written, 5, 2_004);
        let files = list(dir.path()).unwrap();
        assert_eq!(files.len(), 1);
        check(&Run::open(&files[0], &LOG).unwrap(), 5, 2_004);
    }

    #[test]
    fn runs_that_are_merged_hold_what_each_held() {
        let dir = tempfile::tempdir().unwrap();
        let parts = [(1, 700), (701, 702), (703, 1_500)].map(|(a, b)| run(dir.path(), a, b));
        let extent = Extent {
            first: 1,
            ..parts[2].extent
        };
        let rows = Rows {
            verdicts: merged(parts.iter().map(Run::verdicts).collect()),
            cases: merged(parts.iter().map(Run::cases).collect()),
            successors: merged(parts.iter().map(Run::successors).collect()),
        };
        let whole = Run::write(dir.path(), extent, rows, &AtomicBool::new(false)).unwrap();
        assert_eq!(whole.successors_count(), 9);
        check(&whole, 1, 1_500);
        // The longest of those that begin alike comes first.
        let names: Vec<_> = list(dir.path()).unwrap();
        assert_eq!(names[0], whole.path);
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), 1, 20);
        let path = &list(dir.path()).unwrap()[0];
        let whole = fs::read(path).unwrap();
        let refused = |bytes: &[u8]| {
            fs::write(path, bytes).unwrap();
            Run::open(path, &LOG).is_err()
        };
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x40;
            // Bytes 72..80 of the header are covered too.
            assert!(refused(&changed), "changed at {at}");
            assert!(refused(&whole[..at]), "cut at {at}");
        }
        assert!(!refused(&whole));
        assert!(Run::open(path, &[8; 16]).is_err());
    }

    #[test]
    fn what_is_cancelled_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let extent = Extent {
            log_id: LOG,
            first: 1,
            last: 1,
            last_position: 0,
        };
        let rows = Rows {
            verdicts: std::iter::empty(),
            cases: std::iter::empty(),
            successors: std::iter::empty(),
        };
        assert!(Run::write(dir.path(), extent, rows, &AtomicBool::new(true)).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
