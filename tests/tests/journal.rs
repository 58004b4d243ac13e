//! What `creditgate journal verify` finds: nothing in what was recorded, and whatever was done to it afterwards.

use std::path::{Path, PathBuf};
use std::process::Output;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::{Service, evaluation, import_entries, run};

/// Before the first record of a file.
const FILE_HEAD: usize = 128;
const CHECKS: usize = 60;

/// Where each record of the verdicts begins and ends in their file.
fn records(file: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = FILE_HEAD;
    while let Some(length) = file.get(at..at + 4) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        if length == 0 {
            break;
        }
        found.push((at, at + length));
        at += length;
    }
    found
}

/// Makes a record look intact by itself.
fn seal(record: &mut [u8]) {
    let mut checksum = flate2::Crc::new();
    checksum.update(&record[..4]);
    checksum.update(&record[8..]);
    record[4..8].copy_from_slice(&checksum.sum().to_le_bytes());
}

fn verify(dir: &Path) -> Output {
    run(
        &[
            "journal",
            "verify",
            "--data-dir",
            &dir.display().to_string(),
        ],
        "",
    )
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A copy of the data with the file of verdicts changed by somebody.
fn copied(dir: &Path, change: impl FnOnce(&mut Vec<u8>, &[(usize, usize)])) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    let to = copy.path().join("verdicts");
    std::fs::create_dir(&to).expect("a directory");
    let mut changed: Option<PathBuf> = None;
    for file in std::fs::read_dir(dir.join("verdicts")).expect("verdicts") {
        let file = file.expect("a file");
        let into = to.join(file.file_name());
        std::fs::copy(file.path(), &into).expect("copied");
        if into.extension().is_some_and(|end| end == "log") {
            changed = Some(into);
        }
    }
    // What a clean end leaves says how far the log went; somebody who knows takes it away.
    let _ = std::fs::remove_file(to.join("mark"));
    let file = changed.expect("a file of records");
    let mut bytes = std::fs::read(&file).expect("read");
    let at = records(&bytes);
    assert!(at.len() >= CHECKS, "{} records", at.len());
    change(&mut bytes, &at);
    std::fs::write(&file, bytes).expect("written");
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_a_record_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    import_entries(&service);
    let mut gate = service.gate().await;
    for n in 0..CHECKS {
        let event = evaluation(&format!("event-{n}"), &invented::uscc(n as u64));
        let asked = v1::CheckRequest { event: Some(event) };
        gate.check(asked).await.expect("a verdict");
    }
    // Beside the service, and when it has ended.
    let beside = verify(dir.path());
    assert!(beside.status.success(), "{beside:?}");
    service.stop();
    let whole = verify(dir.path());
    assert!(whole.status.success(), "{whole:?}");
    let told = said(&whole);
    for journal in ["changes", "verdicts", "cases"] {
        assert!(told.contains(journal), "{told}");
    }
    assert!(
        told.contains(&format!("verdicts  {CHECKS} records hold")),
        "{told}"
    );
    assert!(told.contains("Not proven"), "{told}");

    let untouched = copied(dir.path(), |_, _| {});
    assert!(verify(untouched.path()).status.success());
    type Tampering = fn(&mut Vec<u8>, &[(usize, usize)]);
    let done: [(&str, Tampering); 5] = [
        ("a byte flipped", |bytes, at| bytes[at[20].0 + 120] ^= 1),
        ("a record rewritten, with its checksum", |bytes, at| {
            let (from, to) = at[20];
            bytes[to - 1] ^= 1;
            seal(&mut bytes[from..to]);
        }),
        ("a record dropped", |bytes, at| {
            let (from, to) = at[20];
            bytes.drain(from..to);
        }),
        ("two records in each other's place", |bytes, at| {
            let (one, other) = (at[20], at[21]);
            let mut swapped = bytes[other.0..other.1].to_vec();
            swapped.extend_from_slice(&bytes[one.0..one.1]);
            bytes[one.0..other.1].copy_from_slice(&swapped);
        }),
        ("cut in the middle", |bytes, at| {
            bytes.truncate(at[20].0 + 50)
        }),
    ];
    for (what, tampering) in done {
        let copy = copied(dir.path(), tampering);
        let answer = verify(copy.path());
        let told = said(&answer);
        assert_eq!(answer.status.code(), Some(1), "{what}: {told}");
        let line = told
            .lines()
            .find(|line| line.starts_with("verdicts  BROKEN"));
        assert!(
            line.is_some_and(|line| line.contains("position")),
            "{what}: {told}"
        );
        assert!(told.contains("changes   none here"), "{what}: {told}");
    }

    let nothing = tempfile::tempdir().expect("a directory");
    let answer = verify(nothing.path());
    let told = String::from_utf8_lossy(&answer.stderr);
    assert!(told.contains("holds no journal"), "{told}");
}
