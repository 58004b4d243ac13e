//! The journal in trouble: torn ends, damage, killed processes, full and failing disks.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use creditgate_runtime::journal::disk::{Disk, RealDisk};
use creditgate_runtime::journal::{
    AppendError, Check, Corruption, Health, Journal, NewRecord, OpenError, Options, Position,
    Record, TornTail, VerifyError,
};

const SEGMENT_HEADER_BYTES: usize = 128;

fn small() -> Options {
    Options {
        segment_bytes: 4 << 10,
        preallocate: false,
        ..Options::default()
    }
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, small()).expect("open the journal").0
}

fn all(journal: &Journal) -> Vec<Record> {
    journal
        .read_from(Position(0))
        .collect::<Result<_, _>>()
        .expect("read every record")
}

fn first_file(dir: &Path) -> PathBuf {
    dir.join(format!("{:020}.log", 0))
}

/// A closed journal of some records, each in a batch of its own; without its mark, as after a crash.
fn crashed(dir: &Path, payloads: &[&str]) -> Vec<Position> {
    let journal = open(dir);
    let positions = payloads
        .iter()
        .map(|&p| {
            journal
                .append_blocking(1, 0, p.to_owned())
                .unwrap()
                .position
        })
        .collect();
    journal.close_blocking().unwrap();
    fs::remove_file(dir.join("mark")).unwrap();
    positions
}

fn corruption(dir: &Path) -> Corruption {
    match Journal::open(dir, small()) {
        Err(OpenError::Corrupt(corruption)) => corruption,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_last_record_cut_anywhere_is_removed_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let positions = crashed(dir.path(), &["first", "second", "the last record"]);
    let file = first_file(dir.path());
    let whole = fs::read(&file).unwrap();
    let last = SEGMENT_HEADER_BYTES + positions[2].0 as usize;
    for zeros_after in [0, 300] {
        for cut in last..whole.len() {
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(cut + zeros_after, 0);
            fs::write(&file, &bytes).unwrap();
            let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
            assert_eq!(opened.head.sequence, 2, "cut at {cut}");
            let expected = bytes[last..]
                .iter()
                .rposition(|&byte| byte != 0)
                .map(|at| TornTail {
                    position: positions[2],
                    bytes: at as u64 + 1,
                });
            assert_eq!(opened.torn, expected, "cut at {cut}");
            let again = journal.append_blocking(1, 0, "again").unwrap();
            assert_eq!((again.position, again.sequence), (positions[2], 3));
            journal.close_blocking().unwrap();
            let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
            assert_eq!(
                (opened.torn, journal.verify().unwrap().sequence),
                (None, 3),
                "cut at {cut}"
            );
            journal.close_blocking().unwrap();
            fs::remove_file(dir.path().join("mark")).unwrap();
        }
    }
}

#[test]
fn a_last_record_changed_anywhere_or_followed_by_garbage_is_a_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    let positions = crashed(dir.path(), &["first", "the last record"]);
    let file = first_file(dir.path());
    let whole = fs::read(&file).unwrap();
    let last = SEGMENT_HEADER_BYTES + positions[1].0 as usize;
    for at in last..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&file, &bytes).unwrap();
        let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
        assert_eq!(
            (opened.head.sequence, opened.torn.map(|torn| torn.position)),
            (1, Some(positions[1])),
            "at {at}"
        );
        journal.close_blocking().unwrap();
        fs::remove_file(dir.path().join("mark")).unwrap();
    }
    let garbage = [&whole[..], &[0; 50], b"garbage"].concat();
    fs::write(&file, garbage).unwrap();
    let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
    assert_eq!(
        (opened.head.sequence, opened.torn.map(|torn| torn.bytes)),
        (2, Some(57))
    );
    assert_eq!(all(&journal).len(), 2);
}

#[test]
fn an_early_record_changed_anywhere_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let positions = crashed(dir.path(), &["first", "an early record", "third", "fourth"]);
    let file = first_file(dir.path());
    let whole = fs::read(&file).unwrap();
    for at in positions[1].0..positions[2].0 {
        let at = SEGMENT_HEADER_BYTES + at as usize;
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&file, &bytes).unwrap();
        let corruption = corruption(dir.path());
        assert_eq!(
            (&corruption.file, corruption.position),
            (&file, positions[1]),
            "at {at}"
        );
        assert_eq!(
            corruption.offset,
            SEGMENT_HEADER_BYTES as u64 + positions[1].0
        );
        let message = corruption.to_string();
        assert!(
            message.contains(file.to_str().unwrap()) && message.contains("restore"),
            "{message}"
        );
        assert!(Journal::open_read_only(dir.path()).is_err());
        assert_eq!(
            fs::read(&file).unwrap(),
            bytes,
            "a refused file is left as it was"
        );
    }
    let blanked = {
        let mut bytes = whole.clone();
        bytes[SEGMENT_HEADER_BYTES + positions[1].0 as usize..][..50].fill(0);
        bytes
    };
    fs::write(&file, blanked).unwrap();
    assert_eq!(corruption(dir.path()).position, positions[1]);
}

/// A power cut may keep any part of the batch that was being written, also its end alone.
#[test]
fn the_end_of_an_unsynced_batch_without_its_beginning_is_torn_and_not_damage() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    journal.append_blocking(1, 0, "durable").unwrap();
    let run = journal
        .append_all_blocking(vec![NewRecord::new(1, 0, "abc"); 3])
        .unwrap();
    journal.close_blocking().unwrap();
    let opened_with_hole = || {
        let file = File::options()
            .write(true)
            .open(first_file(dir.path()))
            .unwrap();
        file.write_all_at(&[0; 40], SEGMENT_HEADER_BYTES as u64 + run[0].position.0)
            .unwrap();
        Journal::open(dir.path(), small())
    };
    // With the mark of the clean end it is known that the batch had been synced.
    assert!(matches!(opened_with_hole(), Err(OpenError::Corrupt(_))));
    fs::remove_file(dir.path().join("mark")).unwrap();
    let (journal, opened) = opened_with_hole().unwrap();
    assert_eq!(
        (opened.head.sequence, opened.torn.map(|torn| torn.position)),
        (1, Some(run[0].position))
    );
    // The records behind the hole are gone for good, also when a record of equal size fills it.
    journal.append_blocking(1, 0, "xyz").unwrap();
    assert_eq!(all(&journal).len(), 2);
    journal.close_blocking().unwrap();
    fs::remove_file(dir.path().join("mark")).unwrap();
    assert_eq!(
        Journal::open(dir.path(), small()).unwrap().1.head.sequence,
        2
    );
}

#[test]
fn damage_in_a_sealed_file_and_missing_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for i in 0..100 {
        journal.append_blocking(1, i, vec![9; 100]).unwrap();
    }
    journal.close_blocking().unwrap();
    let mut files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    assert!(files.len() > 3);
    for file in &files {
        let whole = fs::read(file).unwrap();
        for at in [3, 40, SEGMENT_HEADER_BYTES + 90, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(file, &bytes).unwrap();
            assert_eq!(&corruption(dir.path()).file, file, "at {at}");
        }
        fs::remove_file(file).unwrap();
        corruption(dir.path());
        fs::write(file, whole).unwrap();
    }
    // Damage that was not looked for on opening shows when it is read.
    let sealed = File::options().write(true).open(&files[1]).unwrap();
    sealed
        .write_all_at(&[1], SEGMENT_HEADER_BYTES as u64 + 100)
        .unwrap();
    let (journal, _) = Journal::open(
        dir.path(),
        Options {
            check: Check::LastSegment,
            ..small()
        },
    )
    .unwrap();
    assert!(matches!(journal.verify(), Err(VerifyError::Read(_))));
    let read: Vec<_> = journal.read_from(Position(0)).take(100).collect();
    assert!(read.iter().any(Result::is_err));
}

#[test]
fn verify_names_the_first_link_that_a_forged_record_breaks() {
    let dir = tempfile::tempdir().unwrap();
    let positions = crashed(dir.path(), &["first", "true words", "third", "fourth"]);
    let file = first_file(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    let forged = SEGMENT_HEADER_BYTES + positions[1].0 as usize
        ..SEGMENT_HEADER_BYTES + positions[2].0 as usize;
    let record = &mut bytes[forged];
    record[96..].copy_from_slice(b"lies, lies");
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&record[..4]);
    checksum.update(&record[8..]);
    record[4..8].copy_from_slice(&checksum.finalize().to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    let journal = open(dir.path());
    match journal.verify() {
        Err(VerifyError::Broken(link)) => {
            assert_eq!((link.position, link.sequence), (positions[2], 3))
        }
        other => panic!("expected a broken link, got {other:?}"),
    }
}

/// The process that [`what_a_killed_process_acknowledged_is_there`] kills.
#[test]
#[ignore = "started by another test"]
fn child_that_appends() {
    let Some(dir) = std::env::var_os("JOURNAL_CHILD_DIR") else {
        return;
    };
    let options = Options {
        segment_bytes: 64 << 10,
        ..Options::default()
    };
    let (journal, _) = Journal::open(PathBuf::from(dir), options).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let journal = &journal;
            scope.spawn(move || {
                for i in 0_u64.. {
                    let payload = format!("{thread}:{i}:{}", "x".repeat((i as usize * 31) % 700));
                    let appended = journal.append_blocking(1, 0, payload).unwrap();
                    println!("acknowledged {} {thread}:{i}", appended.sequence);
                }
            });
        }
    });
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 1..=4_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_appends", "--ignored", "--nocapture"])
            .env("JOURNAL_CHILD_DIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let acknowledged = |line: &String| {
            let (_, rest) = line.split_once("acknowledged ")?;
            let (sequence, name) = rest.split_once(' ')?;
            Some((sequence.parse::<u64>().ok()?, name.to_owned()))
        };
        let mut known: Vec<_> = lines
            .by_ref()
            .filter_map(|line| acknowledged(&line))
            .take(round * 700)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        // What stood in the pipe was acknowledged too; a last line may be cut off.
        let rest: Vec<_> = lines.collect();
        known.extend(
            rest.iter()
                .take(rest.len().saturating_sub(1))
                .filter_map(acknowledged),
        );
        let (journal, opened) = Journal::open(
            dir.path(),
            Options {
                segment_bytes: 64 << 10,
                ..Options::default()
            },
        )
        .unwrap();
        let records = all(&journal);
        assert!(known.len() >= round * 700 && opened.segments > 1);
        for (sequence, name) in &known {
            assert!(*sequence > before);
            let payload = &records[*sequence as usize - 1].payload;
            assert!(
                payload.starts_with(format!("{name}:").as_bytes()),
                "record {sequence}"
            );
        }
        assert_eq!(journal.verify().unwrap(), opened.head);
        before = opened.head.sequence;
        journal.close_blocking().unwrap();
    }
}

/// A disk that fails on demand.
#[derive(Debug, Default)]
struct Failing(AtomicU8);

impl Failing {
    const WELL: u8 = 0;
    const HALF_A_WRITE: u8 = 1;
    const SYNC: u8 = 2;
    const PANIC: u8 = 3;

    fn now(&self, fault: u8) {
        self.0.store(fault, Ordering::SeqCst);
    }
}

impl Disk for Failing {
    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            Self::HALF_A_WRITE => {
                RealDisk.write_all_at(file, &bytes[..bytes.len() / 2], offset)?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            Self::PANIC => panic!("the disk driver fell over"),
            _ => RealDisk.write_all_at(file, bytes, offset),
        }
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            Self::SYNC => Err(io::Error::other("sync lost")),
            _ => RealDisk.sync_data(file),
        }
    }
}

#[test]
fn a_stalled_journal_finds_out_by_itself_that_the_disk_is_well() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Failing::default());
    let options = Options {
        disk: disk.clone(),
        ..small()
    };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    disk.now(Failing::HALF_A_WRITE);
    assert!(journal.append_blocking(1, 0, "refused").is_err());
    assert!(matches!(journal.health(), Health::Stalled(_)));
    disk.now(Failing::WELL);
    let until = Instant::now() + Duration::from_secs(20);
    while !matches!(journal.health(), Health::Healthy) {
        assert!(
            Instant::now() < until,
            "nobody appends, and it stays stalled"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!dir.path().join("probe.tmp").exists());
    journal.append_blocking(1, 0, "taken").unwrap();
    assert_eq!(all(&journal).len(), 1);
    assert_eq!(journal.verify().unwrap(), journal.head());
}

#[test]
fn a_refused_write_leaves_nothing_and_the_journal_recovers_by_itself() {
    for preallocate in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Failing::default());
        let (journal, _) = Journal::open(
            dir.path(),
            Options {
                disk: disk.clone(),
                preallocate,
                ..small()
            },
        )
        .unwrap();
        let mut expected = Vec::new();
        for i in 0..60_usize {
            // The faults also hit the beginning of a new file.
            let fail = i % 3 == 1;
            disk.now(if fail {
                Failing::HALF_A_WRITE
            } else {
                Failing::WELL
            });
            let outcome = journal.append_blocking(1, 0, vec![i as u8; 300]);
            if fail {
                assert!(
                    matches!(&outcome, Err(AppendError::Stalled { source }) if source.kind() == io::ErrorKind::StorageFull),
                    "{outcome:?}"
                );
                assert!(matches!(journal.health(), Health::Stalled(_)));
            } else {
                expected.push(i as u8);
                assert_eq!(outcome.unwrap().sequence, expected.len() as u64);
                assert!(matches!(journal.health(), Health::Healthy));
            }
        }
        disk.now(Failing::WELL);
        journal.close_blocking().unwrap();
        let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
        assert_eq!(opened.torn, None);
        assert_eq!(
            all(&journal)
                .iter()
                .map(|record| record.payload[0])
                .collect::<Vec<_>>(),
            expected
        );
        journal.verify().unwrap();
    }
}

#[test]
fn a_failed_sync_is_final_until_the_journal_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Failing::default());
    let (journal, _) = Journal::open(
        dir.path(),
        Options {
            disk: disk.clone(),
            ..small()
        },
    )
    .unwrap();
    journal.append_blocking(1, 0, "durable").unwrap();
    let head = journal.head();
    disk.now(Failing::SYNC);
    assert!(matches!(
        journal.append_blocking(1, 0, "unknown"),
        Err(AppendError::Indefinite { .. })
    ));
    disk.now(Failing::WELL);
    assert!(matches!(
        journal.append_blocking(1, 0, "refused"),
        Err(AppendError::Failed { .. })
    ));
    assert!(matches!(journal.health(), Health::Failed(_)));
    assert_eq!(journal.head(), head, "what was not synced is not shown");
    assert!(matches!(
        journal.close_blocking(),
        Err(AppendError::Failed { .. })
    ));
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    assert!(matches!(journal.health(), Health::Healthy));
    let payloads: Vec<_> = all(&journal)
        .into_iter()
        .map(|record| record.payload)
        .collect();
    assert!(
        payloads == ["durable"] || payloads == ["durable", "unknown"],
        "{payloads:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_ever_when_the_writer_falls_over() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Failing::default());
    let options = Options {
        disk: disk.clone(),
        queue_bytes_max: 4 << 10,
        ..small()
    };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    disk.now(Failing::PANIC);
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(1, 0, vec![0; 500]).await })
        })
        .collect();
    for task in tasks {
        let outcome = tokio::time::timeout(std::time::Duration::from_secs(10), task)
            .await
            .unwrap()
            .unwrap();
        assert!(
            matches!(outcome, Err(AppendError::Unanswered | AppendError::Closed)),
            "{outcome:?}"
        );
    }
    // Those who wait are told while the writer falls; the journal is closed once it has fallen.
    let closed = async {
        while !matches!(journal.health(), Health::Closed) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), closed)
        .await
        .unwrap();
    journal.close().await.unwrap();
}

/// A small file system of its own; gone again at the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "none"])
            .arg(dir.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(dir))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[test]
fn a_full_file_system_stalls_the_journal_until_there_is_room() {
    let Some(tmpfs) = Tmpfs::mount() else {
        println!("skipped: mounting a tmpfs is not permitted here");
        return;
    };
    let dir = tmpfs.0.path().join("journal");
    let ballast = tmpfs.0.path().join("ballast");
    fs::write(&ballast, vec![1; 100 << 10]).unwrap();
    let options = Options {
        segment_bytes: 32 << 10,
        ..Options::default()
    };
    let (journal, _) = Journal::open(&dir, options.clone()).unwrap();
    let (mut appended, mut refused) = (0, 0);
    // What a refused write gives back may be room for another record, so it takes a few refusals.
    while refused < 3 {
        match journal.append_blocking(1, 0, vec![7; 1000]) {
            Ok(_) => appended += 1,
            Err(AppendError::Stalled { source }) => {
                assert_eq!(source.kind(), io::ErrorKind::StorageFull);
                assert!(matches!(journal.health(), Health::Stalled(_)));
                refused += 1;
            }
            Err(error) => panic!("expected a stall, got {error:?}"),
        }
        assert!(appended < 1000, "the file system never filled up");
    }
    assert!(appended > 60, "only {appended} records fitted");
    fs::remove_file(&ballast).unwrap();
    for _ in 0..20 {
        appended += 1;
        assert_eq!(
            journal
                .append_blocking(1, 0, vec![7; 1000])
                .unwrap()
                .sequence,
            appended
        );
    }
    assert!(matches!(journal.health(), Health::Healthy));
    journal.close_blocking().unwrap();
    let (journal, opened) = Journal::open(&dir, options).unwrap();
    assert_eq!((opened.head.sequence, opened.torn), (appended, None));
    assert_eq!(journal.verify().unwrap().sequence, appended);
    journal.close_blocking().unwrap();
}
