//! What `creditgate journal verify` finds: nothing in what was recorded, and whatever was done to it afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_runtime::webhook::{Secrets, signature};
use creditgate_tests::target::Target;
use creditgate_tests::{Service, binary, evaluation, import_entries, patient, run};

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

/// Verifies with a key, and perhaps an anchor.
fn verify_signed(dir: &Path, key: &Path, anchor: Option<&Path>) -> (Option<i32>, String) {
    let of = |path: &Path| path.display().to_string();
    let (dir, key) = (of(dir), of(key));
    let mut args = vec!["journal", "verify", "--data-dir", &dir, "--key", &key];
    let anchor = anchor.map(of);
    if let Some(anchor) = &anchor {
        args.extend(["--anchor", anchor.as_str()]);
    }
    let answer = run(&args, "");
    let told = said(&answer) + &String::from_utf8_lossy(&answer.stderr);
    (answer.status.code(), told)
}

/// Verifies from a start on.
fn verify_from(dir: &Path, from: &str, more: &[&str]) -> (Option<i32>, String) {
    let dir = dir.display().to_string();
    let mut args = vec!["journal", "verify", "--data-dir", &dir, "--from", from];
    args.extend(more);
    let answer = run(&args, "");
    let told = said(&answer) + &String::from_utf8_lossy(&answer.stderr);
    (answer.status.code(), told)
}

/// A service that signs check points at its start and at its end, and not between.
fn start_signing(dir: &Path, keys: &Path) -> Service {
    let mut command = Command::new(binary());
    command
        .env(
            "CREDITGATE_JOURNAL_SIGNING_KEY_FILE",
            keys.join("journal-key.pem"),
        )
        .env("CREDITGATE_JOURNAL_ANCHOR_FILE", keys.join("anchor.jsonl"))
        .env("CREDITGATE_JOURNAL_CHECK_POINT_SECONDS", "86400");
    Service::launch(command, dir, &dir.join("service.log"), &[])
}

/// Judges so many events, named anew.
async fn judge(service: &Service, name: &str, many: usize) {
    let mut gate = service.gate().await;
    for n in 0..many {
        let event = evaluation(&format!("{name}-{n}"), &invented::uscc(n as u64));
        patient(&mut gate, event).await.expect("a verdict");
    }
}

/// Verifies what an answer bore.
fn verify_receipt(dir: &Path, receipt: &str) -> (Option<i32>, String) {
    let dir = dir.display().to_string();
    let answer = run(
        &[
            "journal",
            "verify",
            "--data-dir",
            &dir,
            "--receipt",
            receipt,
        ],
        "",
    );
    (answer.status.code(), said(&answer))
}

/// A copy of a directory with all that is in it.
fn copy_of(dir: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        for file in std::fs::read_dir(from).expect("a directory") {
            let file = file.expect("a file");
            let into = to.join(file.file_name());
            if file.path().is_dir() {
                std::fs::create_dir(&into).expect("a directory");
                copy(&file.path(), &into);
            } else {
                std::fs::copy(file.path(), into).expect("copied");
            }
        }
    }
    let copied = tempfile::tempdir().expect("a directory");
    copy(dir, copied.path());
    copied
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
    judge(&service, "event", CHECKS).await;
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
    let mut twentieth = 0;
    let _ = copied(dir.path(), |_, at| twentieth = at[20].0 - FILE_HEAD);
    // The record itself, or the one behind it, whose link is broken.
    let place = [format!("position {twentieth}"), "record 22".to_owned()];
    for (what, tampering) in done {
        let copy = copied(dir.path(), tampering);
        let answer = verify(copy.path());
        let told = said(&answer);
        assert_eq!(answer.status.code(), Some(1), "{what}: {told}");
        let line = told
            .lines()
            .find(|line| line.starts_with("verdicts  BROKEN"));
        assert!(
            line.is_some_and(|line| place.iter().any(|place| line.contains(place))),
            "{what}: {told}"
        );
        assert!(told.contains("changes   none here"), "{what}: {told}");
    }

    let nothing = tempfile::tempdir().expect("a directory");
    let answer = verify(nothing.path());
    let told = String::from_utf8_lossy(&answer.stderr);
    assert!(told.contains("holds no journal"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_points_show_what_hashes_do_not() {
    let keys = tempfile::tempdir().expect("a directory");
    let made = run(
        &[
            "keys",
            "journal",
            "--out",
            &keys.path().display().to_string(),
        ],
        "",
    );
    assert!(made.status.success(), "{made:?}");
    let key = keys.path().join("journal-key.pub.pem");
    let anchor = keys.path().join("anchor.jsonl");
    let dir = tempfile::tempdir().expect("a directory");

    let mut service = start_signing(dir.path(), keys.path());
    service.wait_until_ready();
    import_entries(&service);
    judge(&service, "first", CHECKS).await;
    service.stop();
    let older = copy_of(dir.path());
    let mut service = start_signing(dir.path(), keys.path());
    service.wait_until_ready();
    judge(&service, "second", 40).await;
    let (code, told) = verify_signed(dir.path(), &key, Some(&anchor));
    assert_eq!(code, Some(0), "beside the service: {told}");
    service.stop();

    let (code, told) = verify_signed(dir.path(), &key, Some(&anchor));
    assert_eq!(code, Some(0), "{told}");
    for part in [
        "verdicts  100 records hold",
        "check points: it is what was signed up to record 100; 0 behind it",
        "anchor: it is what was signed up to record 100; 0 behind it",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let without = verify(dir.path());
    assert!(said(&without).contains("(`--key`)"), "{without:?}");

    // From a check point on, only what lies behind it is read, and that is told.
    let named = [key.display().to_string(), anchor.display().to_string()];
    let signed = ["--key", named[0].as_str()];
    let (code, told) = verify_from(dir.path(), "61", &signed);
    assert_eq!(code, Some(0), "{told}");
    for part in [
        "verdicts  40 records hold",
        "records 1 to 60 were not read: check point ",
        "vouches for them",
        "up to record 100; 0 behind it",
        "proven: order and completeness from what check point ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (code, told) = verify_from(dir.path(), "check-point:1", &signed);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("verdicts  100 records hold"), "{told}");
    let anchored = ["--key", named[0].as_str(), "--anchor", named[1].as_str()];
    let (code, told) = verify_from(dir.path(), "anchor:2", &anchored);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("check point 2 "), "{told}");
    let (code, told) = verify_from(dir.path(), "61", &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("nobody vouches"), "{told}");
    for (from, why) in [
        ("check-point:999", "there is no check point 999"),
        ("anchor:2", "name its file (`--anchor`)"),
        ("verdicts:2", "a start is"),
    ] {
        let (code, told) = verify_from(dir.path(), from, &signed);
        assert_eq!(code, Some(2), "{from}: {told}");
        assert!(told.contains(why), "{from}: {told}");
    }
    let left_out = format!("7:{}", "0".repeat(64));
    let (code, told) = verify_from(dir.path(), "61", &["--receipt", &left_out]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("receipt of record 7 cannot"), "{told}");

    // An end cut off between two records, with the mark taken away: the hashes hold.
    let cut = copied(dir.path(), |bytes, at| bytes.truncate(at[80].0));
    assert!(verify(cut.path()).status.success());
    let points = "check-points.jsonl";
    std::fs::copy(dir.path().join(points), cut.path().join(points)).expect("copied");
    let (code, told) = verify_signed(cut.path(), &key, None);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("20 records were cut off"), "{told}");
    assert!(told.contains("changes   BROKEN: it is gone"), "{told}");
    let (code, told) = verify_from(cut.path(), "61", &signed);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("20 records were cut off"), "{told}");
    let (code, told) = verify_from(cut.path(), "999", &signed);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("it ends at record 80"), "{told}");

    // Check points taken away, and by another key.
    let bare = copied(dir.path(), |_, _| {});
    let (code, told) = verify_signed(bare.path(), &key, None);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("taken away"), "{told}");
    let other = tempfile::tempdir().expect("a directory");
    run(
        &[
            "keys",
            "journal",
            "--out",
            &other.path().display().to_string(),
        ],
        "",
    );
    let (code, told) = verify_signed(dir.path(), &other.path().join("journal-key.pub.pem"), None);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("none of those that were named"), "{told}");

    // Emptied, and with a torn end: what is missing is told, not what broke off.
    std::fs::write(cut.path().join(points), "").expect("written");
    let (code, told) = verify_signed(cut.path(), &key, None);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("check points BROKEN: there is none"),
        "{told}"
    );
    let torn = copied(dir.path(), |bytes, at| bytes.truncate(at[80].0 + 50));
    std::fs::copy(dir.path().join(points), torn.path().join(points)).expect("copied");
    let (code, told) = verify_signed(torn.path(), &key, None);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("20 records were cut off"), "{told}");

    // An older copy of everything: only the anchor knows.
    let (code, told) = verify_signed(older.path(), &key, None);
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = verify_signed(older.path(), &key, Some(&anchor));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("40 records were cut off"), "{told}");
    // And the service does not go on from it.
    let mut refused = start_signing(older.path(), keys.path());
    let status = loop {
        match refused.ended() {
            Some(status) => break status,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let logged = refused.logged();
    assert!(!status.success(), "{logged}");
    assert!(
        logged.contains("anchor.jsonl` ends with check point"),
        "{logged}"
    );

    // Killed, it goes on, and nothing is said to be missing.
    let mut service = start_signing(dir.path(), keys.path());
    service.wait_until_ready();
    judge(&service, "third", 10).await;
    service.kill();
    let (code, told) = verify_signed(dir.path(), &key, Some(&anchor));
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("up to record 100; 10 behind it"), "{told}");
    let mut service = start_signing(dir.path(), keys.path());
    service.wait_until_ready();
    let (code, told) = verify_signed(dir.path(), &key, Some(&anchor));
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("up to record 110; 0 behind it"), "{told}");
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_every_check_point_and_what_it_got_is_an_anchor() {
    let keys = tempfile::tempdir().expect("a directory");
    let out = keys.path().display().to_string();
    let made = run(&["keys", "journal", "--out", &out], "");
    assert!(made.status.success(), "{made:?}");
    std::fs::write(keys.path().join("audit"), "an invented secret of a test\n").expect("a secret");
    let target = Target::start(|_| 503);
    let start = |dir: &Path| {
        let mut command = Command::new(binary());
        command
            .env(
                "CREDITGATE_JOURNAL_SIGNING_KEY_FILE",
                keys.path().join("journal-key.pem"),
            )
            .env("CREDITGATE_JOURNAL_CHECK_POINT_SECONDS", "1")
            .env("CREDITGATE_JOURNAL_ANCHOR_WEBHOOK", target.url())
            .env("CREDITGATE_JOURNAL_ANCHOR_SECRET_ID", "audit")
            .env("CREDITGATE_WEBHOOKS_SECRETS_DIR", keys.path())
            .env("CREDITGATE_WEBHOOKS_ALLOW", "127.0.0.1");
        Service::launch(command, dir, &dir.join("service.log"), &[])
    };
    let dir = tempfile::tempdir().expect("a directory");
    let mut service = start(dir.path());
    service.wait_until_ready();
    import_entries(&service);
    judge(&service, "first", 10).await;
    // It is refused, which is told, and nothing else waits for it.
    target.until("a request", |got| !got.is_empty());
    let told = service.get("/readyz").expect("an answer");
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    service.kill();
    target.answers(|_| 204);
    let mut service = start(dir.path());
    service.wait_until_ready();
    judge(&service, "second", 10).await;
    service.stop();

    let taken = target.taken();
    let mut numbers: Vec<u64> = taken
        .iter()
        .map(|got| got.event["number"].as_u64().expect("a number"))
        .collect();
    // One that was under way at the stop comes again.
    numbers.dedup();
    let last = *numbers.last().expect("check points");
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    let secret = Secrets(Some(keys.path().to_owned()))
        .key("audit")
        .expect("a secret");
    for got in &taken {
        assert_eq!(got.media, "application/json");
        assert!(
            got.id.ends_with(&format!(":{}", got.event["number"])),
            "{got:?}"
        );
        let seconds = got
            .signature
            .strip_prefix("t=")
            .and_then(|rest| rest.split(',').next());
        let seconds = seconds
            .and_then(|seconds| seconds.parse().ok())
            .expect("a time");
        assert_eq!(got.signature, signature(&secret, seconds, &got.raw));
    }
    let anchor = keys.path().join("saved.jsonl");
    let lines: Vec<u8> = taken
        .iter()
        .flat_map(|got| [got.raw.as_slice(), b"\n"].concat())
        .collect();
    std::fs::write(&anchor, lines).expect("written");
    let key = keys.path().join("journal-key.pub.pem");
    let (code, told) = verify_signed(dir.path(), &key, Some(&anchor));
    assert_eq!(code, Some(0), "{told}");
    for part in [
        "anchor: it is what was signed up to record 20; 0 behind it".to_owned(),
        format!("took check points up to number {last}"),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_names_its_record_and_every_way_of_asking_gives_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    import_entries(&service);
    judge(&service, "event", CHECKS).await;
    let mut gate = service.gate().await;
    let asked = |name: &str| evaluation(name, &invented::uscc(7));
    let check = |name: &str| v1::CheckRequest {
        event: Some(asked(name)),
    };

    let first = gate.check(check("one")).await.expect("a verdict");
    let first = first.into_inner();
    assert!(
        first.receipt.starts_with(&format!("{}:", CHECKS + 1)),
        "{first:?}"
    );
    let again = gate
        .check(check("one"))
        .await
        .expect("a verdict")
        .into_inner();
    assert_eq!((again.repeated, &again.receipt), (true, &first.receipt));
    let verdict_id = first.verdict.expect("a verdict").verdict_id;
    let shown = v1::GetVerdictRequest {
        key: Some(v1::get_verdict_request::Key::VerdictId(verdict_id)),
    };
    let shown = gate
        .get_verdict(shown)
        .await
        .expect("a verdict")
        .into_inner();
    assert_eq!(shown.receipt, first.receipt);
    let batch = v1::CheckBatchRequest {
        events: vec![asked("two"), asked("one"), asked("three")],
    };
    let batch = gate
        .check_batch(batch)
        .await
        .expect("verdicts")
        .into_inner();
    let receipts: Vec<String> = batch.results.into_iter().map(|one| one.receipt).collect();
    assert_eq!(receipts[1], first.receipt);
    let requests = tokio_stream::iter([v1::CheckStreamRequest {
        event: Some(asked("two")),
        ..v1::CheckStreamRequest::default()
    }]);
    let mut stream = gate
        .check_stream(requests)
        .await
        .expect("a stream")
        .into_inner();
    let streamed = stream.message().await.expect("an answer").expect("one");
    assert_eq!(streamed.result.expect("a result").receipt, receipts[0]);
    service.stop();

    for receipt in &receipts {
        let (code, told) = verify_receipt(dir.path(), receipt);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("is the one it names"), "{told}");
    }
    let (number, hash) = first.receipt.split_once(':').expect("a receipt");
    let other = format!("{}:{hash}", number.parse::<u64>().expect("a number") - 1);
    let (code, told) = verify_receipt(dir.path(), &other);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("not the one that a receipt names"), "{told}");
    let cut = copied(dir.path(), |bytes, at| bytes.truncate(at[CHECKS].0));
    let (code, told) = verify_receipt(cut.path(), &first.receipt);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("records were cut off"), "{told}");
}
