//! Damage to a journal: what was acknowledged is there as it was written, or opening is refused with
//! the place. Never less, never something else.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use creditgate_runtime::journal::{Check, Journal, OpenError, Options, Position, Record, WriterId};
use tempfile::TempDir;

/// A journal of several files, as it lies on disk after it was closed.
struct Written {
    files: Vec<(String, Vec<u8>)>,
    records: Vec<Record>,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let dir = directory();
    let (journal, _) = Journal::open(dir.path(), options()).expect("a journal");
    for n in 0..24_u8 {
        let payload = vec![n; usize::from(n) * 37 % 600];
        let kind = u16::from(n % 4);
        let appended = journal.append_blocking(kind, i64::from(n), payload);
        appended.expect("appended");
    }
    let records = journal.read_from(Position(0)).collect::<Result<_, _>>();
    let records = records.expect("read back");
    drop(journal.close_blocking());
    let mut files: Vec<_> = fs::read_dir(dir.path())
        .expect("the directory")
        .map(|entry| entry.expect("a file").file_name())
        .map(|name| name.into_string().expect("a name in ASCII"))
        .filter(|name| name != "lock")
        .map(|name| {
            let bytes = fs::read(dir.path().join(&name)).expect("its bytes");
            (name, bytes)
        })
        .collect();
    files.sort();
    assert!(files.len() > 3, "several files and the mark");
    Written { files, records }
});

/// In memory where the system has such a place: each input writes a journal.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    }
    .expect("a directory")
}

fn options() -> Options {
    Options {
        segment_bytes: 4 << 10,
        preallocate: false,
        writer: WriterId([7; 16]),
        log_id: Some([9; 16]),
        check: Check::Whole,
        ..Options::default()
    }
}

thread_local! {
    static PLACE: RefCell<TempDir> = RefCell::new(directory());
}

/// One byte that says who opens, then damages of six bytes each: which file, where, how, with what.
pub fn damaged(input: &[u8]) {
    let (writes, damages) = super::choice(input);
    let mut files: Vec<(String, Vec<u8>)> = WRITTEN.files.clone();
    for damage in damages.chunks_exact(6).take(8) {
        if let &[file, low, high, how, value, length] = damage {
            let at = usize::from(u16::from_le_bytes([low, high]));
            apply(
                &mut files,
                usize::from(file),
                at,
                how,
                value,
                usize::from(length),
            );
        }
    }
    PLACE.with_borrow(|place| {
        let dir = place.path().join("log");
        put(&dir, &files);
        // A writer syncs what it mends, which takes longer.
        match writes % 8 {
            0 => {
                let opened = Journal::open(&dir, options());
                judge(opened.map(|(journal, _)| journal), &files);
            }
            _ => {
                let opened = Journal::open_read_only(&dir);
                judge(opened.map(|(journal, _)| journal), &files);
            }
        }
    });
}

fn apply(
    files: &mut Vec<(String, Vec<u8>)>,
    file: usize,
    at: usize,
    how: u8,
    value: u8,
    length: usize,
) {
    let other = files.get(usize::from(value) % files.len().max(1));
    let other = other.map(|(_, bytes)| bytes.clone()).unwrap_or_default();
    let chosen = file % files.len().max(1);
    let Some((_, bytes)) = files.get_mut(chosen) else {
        return;
    };
    let at = at % (bytes.len() + 1);
    let until = (at + length).min(bytes.len());
    match how % 8 {
        0 => bytes[at..until]
            .iter_mut()
            .take(1)
            .for_each(|byte| *byte ^= value),
        1 => bytes.truncate(at),
        2 => bytes[at..until].fill(0),
        3 => bytes[at..until].fill(value),
        4 => bytes.extend(std::iter::repeat_n(value, length)),
        5 => *bytes = other,
        6 => bytes.extend_from_slice(&other[..length.min(other.len())]),
        _ => drop(files.remove(chosen)),
    }
}

fn put(dir: &PathBuf, files: &[(String, Vec<u8>)]) {
    drop(fs::remove_dir_all(dir));
    fs::create_dir(dir).expect("a directory");
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).expect("a file");
    }
}

fn judge(opened: Result<Journal, OpenError>, files: &[(String, Vec<u8>)]) {
    let written = &*WRITTEN;
    let journal = match opened {
        Ok(journal) => journal,
        Err(error) => {
            let undamaged = files == written.files;
            assert!(
                !undamaged,
                "a journal that nobody touched is refused: {error}"
            );
            return super::shows_nobody("why it is refused", &error.to_string());
        }
    };
    let read: Result<Vec<Record>, _> = journal.read_from(Position(0)).collect();
    let read = read.expect("what was opened is read");
    if files.is_empty() {
        assert!(read.is_empty(), "records out of nothing");
    } else {
        assert!(
            written.records.starts_with(&read),
            "a record is read that nobody wrote"
        );
    }
    let mark = |files: &[(String, Vec<u8>)]| {
        let mark = files.iter().find(|(name, _)| name == "mark");
        mark.map(|(_, bytes)| bytes.clone())
    };
    if mark(files) == mark(&written.files) {
        assert_eq!(
            read.len(),
            written.records.len(),
            "an acknowledged record is missing and nobody is told"
        );
    }
    let head = journal.verify().expect("what was opened is one chain");
    assert_eq!(head.sequence, read.len() as u64);
    drop(journal.close_blocking());
}
