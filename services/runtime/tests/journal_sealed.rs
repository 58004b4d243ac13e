//! Sealed journals: callers see plain text, the disk does not, and what proves the log needs no key.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use std::fs;
use std::path::{Path, PathBuf};

use creditgate_runtime::journal::{
    AppendError, Journal, NewRecord, OpenError, Options, PAYLOAD_BYTES_MAX, Position, ReadError,
    Record, VerifyError, read_apart,
};
use creditgate_runtime::sealed::{Keyring, Sealer, Unsealable};

/// Before the first record of a file.
const FILE_HEAD: usize = 128;

fn options(sealer: Option<Sealer>) -> Options {
    Options {
        segment_bytes: 4 << 10,
        preallocate: false,
        sealer,
        ..Options::default()
    }
}

fn open(dir: &Path, keyring: Option<&Keyring>) -> Journal {
    let sealer = keyring.map(|keyring| keyring.sealer("verdicts"));
    Journal::open(dir, options(sealer)).unwrap().0
}

fn beside(dir: &Path, keyring: Option<&Keyring>) -> Journal {
    let sealer = keyring.map(|keyring| keyring.sealer("verdicts"));
    Journal::open_read_only_with(dir, sealer).unwrap().0
}

fn all(journal: &Journal) -> Vec<Record> {
    journal
        .read_from(Position(0))
        .collect::<Result<_, _>>()
        .unwrap()
}

fn payloads(journal: &Journal) -> Vec<String> {
    all(journal)
        .iter()
        .map(|record| String::from_utf8(record.payload.to_vec()).unwrap())
        .collect()
}

/// Why the first record that is not opened is not.
fn refused(journal: &Journal) -> (u64, Unsealable) {
    let mut records = journal.read_from(Position(0));
    loop {
        match records.next().unwrap() {
            Ok(_) => {}
            Err(ReadError::Unopened(unopened)) => {
                // It stays where it is, as after every error.
                assert_eq!(records.position(), unopened.position);
                return (unopened.sequence, unopened.why);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect()
}

/// Whether a text stands in any file of a journal.
fn on_disk(dir: &Path, text: &str) -> bool {
    files(dir).iter().any(|path| {
        let bytes = fs::read(path).unwrap();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

#[test]
fn what_is_appended_comes_back_and_does_not_lie_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Keyring::generate();
    let journal = open(dir.path(), Some(&keyring));
    let first = journal.append_blocking(7, -5, "a first secret").unwrap();
    let run = (0..40).map(|n| NewRecord::new(8, n, format!("a secret of number {n}")));
    let run = journal.append_all_blocking(run.collect()).unwrap();
    assert!(files(dir.path()).len() > 1);
    assert!(!on_disk(dir.path(), "secret"));

    let record = journal.read_at(first.position).unwrap();
    assert_eq!(&record.payload[..], b"a first secret");
    assert_eq!((record.kind, record.time_micros, record.key_id), (7, -5, 1));
    assert_eq!(record.receipt(), first.receipt());
    let read = all(&journal);
    assert_eq!(&read[40].payload[..], b"a secret of number 39");
    assert_eq!(read[40].receipt(), run[39].receipt());
    assert_eq!(read[40].head(), journal.head());
    for pair in read.windows(2) {
        assert!(pair[0].head().is_continued_by(&pair[1]));
    }

    // Beside the writer, and on.
    let reader = beside(dir.path(), Some(&keyring));
    assert_eq!(all(&reader), read);
    journal.append_blocking(7, 0, "a later secret").unwrap();
    assert_eq!(reader.refresh().unwrap(), journal.head());
    assert_eq!(payloads(&reader)[41], "a later secret");

    // Without the key: all that proves it, and nothing of what it says.
    let closed = beside(dir.path(), None);
    assert_eq!(closed.verify().unwrap(), journal.head());
    assert_eq!(refused(&closed), (1, Unsealable::NoKeyring(1)));
    let at = closed.read_at(first.position);
    assert!(matches!(at, Err(ReadError::Unopened(_))), "{at:?}");
    journal.close_blocking().unwrap();

    let again = open(dir.path(), Some(&keyring));
    assert_eq!(all(&again).len(), 42);
}

#[test]
fn records_taken_out_are_those_on_disk_and_open_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Keyring::generate();
    let journal = open(dir.path(), Some(&keyring));
    for n in 0..3 {
        journal
            .append_blocking(1, n, format!("secret {n}"))
            .unwrap();
    }
    let kept = all(&journal);
    let bytes: Vec<u8> = kept.iter().flat_map(Record::to_bytes).collect();
    let file = fs::read(&files(dir.path())[0]).unwrap();
    assert_eq!(file[FILE_HEAD..][..bytes.len()], bytes);
    let apart: Vec<Record> = read_apart(&bytes).collect::<Result<_, _>>().unwrap();
    assert!(apart.iter().all(Record::is_closed));
    assert_eq!(apart[2].head(), journal.head());
    assert!(apart[0].head().is_continued_by(&apart[1]));

    let key = journal.key_of(&kept[1]).unwrap().unwrap();
    assert_eq!(apart[1].clone().opened_by(&key).unwrap(), kept[1]);
    let other = apart[2].clone().opened_by(&key);
    assert_eq!(other.unwrap_err(), Unsealable::Damaged(1));
    // A handle without the keyring has none to give.
    let closed = beside(dir.path(), None);
    let why = closed.key_of(&kept[1]).unwrap_err().why;
    assert_eq!(why, Unsealable::NoKeyring(1));
}

#[test]
fn the_largest_payload_is_taken_sealed_too() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Keyring::generate();
    let journal = open(dir.path(), Some(&keyring));
    let largest = journal
        .append_blocking(1, 0, vec![3; PAYLOAD_BYTES_MAX])
        .unwrap();
    let refused = journal.append_blocking(1, 0, vec![3; PAYLOAD_BYTES_MAX + 1]);
    assert!(
        matches!(refused, Err(AppendError::PayloadTooLarge { bytes }) if bytes == PAYLOAD_BYTES_MAX + 1)
    );
    journal.append_blocking(1, 0, "").unwrap();
    journal.close_blocking().unwrap();
    let journal = open(dir.path(), Some(&keyring));
    let read = journal.read_at(largest.position).unwrap();
    assert_eq!(read.payload.len(), PAYLOAD_BYTES_MAX);
    assert!(all(&journal)[1].payload.is_empty());
    assert_eq!(journal.verify().unwrap().sequence, 2);
}

#[test]
fn a_journal_in_clear_goes_on_sealed_and_not_back() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), None);
    journal.append_blocking(1, 0, "in clear").unwrap();
    assert!(journal.key_of(&all(&journal)[0]).unwrap().is_none());
    journal.close_blocking().unwrap();
    let mut keyring = Keyring::generate();
    let journal = open(dir.path(), Some(&keyring));
    journal.append_blocking(1, 0, "sealed").unwrap();
    assert_eq!(payloads(&journal), ["in clear", "sealed"]);
    journal.close_blocking().unwrap();
    assert!(on_disk(dir.path(), "in clear") && !on_disk(dir.path(), "sealed"));
    assert_eq!(refused(&beside(dir.path(), None)).0, 2);

    // A rotation: both are read, and the older keyring names the key that it lacks.
    let before = keyring.clone();
    keyring.rotate();
    let journal = open(dir.path(), Some(&keyring));
    journal.append_blocking(1, 0, "rotated").unwrap();
    assert_eq!(payloads(&journal), ["in clear", "sealed", "rotated"]);
    journal.close_blocking().unwrap();
    let old = beside(dir.path(), Some(&before));
    assert_eq!(refused(&old), (3, Unsealable::UnknownKey(2)));

    // Nothing is appended by whoever could not read it.
    let on_disk = fs::read(&files(dir.path())[0]).unwrap();
    for (sealer, told) in [
        (None, "no keyring is named"),
        (
            Some(before.sealer("verdicts")),
            "key 2, which the keyring does not have",
        ),
        (Some(keyring.sealer("cases")), "does not open with key 2"),
    ] {
        let error = Journal::open(dir.path(), options(sealer)).unwrap_err();
        let OpenError::Closed { source, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(source.why.to_string().contains(told), "{}", source.why);
        let place = dir.path().to_str().unwrap();
        assert!(error.to_string().contains(place), "{error}");
    }
    assert_eq!(fs::read(&files(dir.path())[0]).unwrap(), on_disk);
    open(dir.path(), Some(&keyring));
}

#[test]
fn a_torn_end_is_removed_without_the_key_being_asked_for_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Keyring::generate();
    let journal = open(dir.path(), Some(&keyring));
    journal.append_blocking(1, 0, "first").unwrap();
    let last = journal.append_blocking(1, 0, "last").unwrap();
    journal.close_blocking().unwrap();
    fs::remove_file(dir.path().join("mark")).unwrap();
    let file = files(dir.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    for cut in FILE_HEAD + last.position.0 as usize + 1..whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        let sealer = Some(keyring.sealer("verdicts"));
        let (journal, opened) = Journal::open(dir.path(), options(sealer)).unwrap();
        let torn = opened.torn.map(|torn| torn.position);
        assert_eq!(torn, Some(last.position), "cut at {cut}");
        assert_eq!(payloads(&journal), ["first"], "cut at {cut}");
        journal.append_blocking(1, 0, "again").unwrap();
        assert_eq!(payloads(&journal), ["first", "again"], "cut at {cut}");
        assert_eq!(journal.verify().unwrap().sequence, 2);
        journal.close_blocking().unwrap();
        fs::remove_file(dir.path().join("mark")).unwrap();
    }
}

#[test]
fn what_is_done_to_a_sealed_journal_is_found_without_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Keyring::generate();
    let journal = open(dir.path(), Some(&keyring));
    let positions: Vec<Position> = (0..3)
        .map(|n| journal.append_blocking(1, n, "secret").unwrap().position)
        .collect();
    journal.close_blocking().unwrap();
    let file = files(dir.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let (start, end) = (
        FILE_HEAD + positions[1].0 as usize,
        FILE_HEAD + positions[2].0 as usize,
    );
    // Somebody changes the second record and makes it look intact by itself.
    bytes[end - 20] ^= 1;
    let record = &mut bytes[start..end];
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&record[..4]);
    checksum.update(&record[8..]);
    record[4..8].copy_from_slice(&checksum.finalize().to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    let broken = beside(dir.path(), None).verify().unwrap_err();
    let VerifyError::Broken(link) = &broken else {
        panic!("{broken:?}");
    };
    assert_eq!(link.sequence, 3);
    // And with it, it does not open.
    let reader = beside(dir.path(), Some(&keyring));
    assert_eq!(refused(&reader), (2, Unsealable::Damaged(1)));
}
