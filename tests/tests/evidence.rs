//! What `creditgate journal evidence` hands on: it proves one verdict by itself, and nothing can be done to it unseen.

use std::path::{Path, PathBuf};
use std::process::Command;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::{Service, binary, evaluation, import_entries, patient, run};

/// On a black list by which bidders are excluded, in the invented lists.
const LISTED: &str = "91219999MAYG58BR3Q";
/// A name that would be more than a name, were it not escaped.
const HOSTILE: &str = "<script>alert(1)</script>\u{202E}示例\u{200F}";
/// Files of every package.
const ALWAYS: [&str; 11] = [
    "SHA256SUMS",
    "book.bin",
    "entries.bin",
    "entries.json",
    "event.json",
    "evidence.html",
    "measures.json",
    "package.json",
    "receipt.txt",
    "record.bin",
    "verdict.json",
];
/// Files of one with a check point.
const COVERED: [&str; 2] = ["chain.bin", "check-point.json"];

/// Runs a command about evidence: its exit code, and what it said.
fn tell(args: &[&str]) -> (Option<i32>, String) {
    let args: Vec<&str> = [&["journal"][..], args].concat();
    let answer = run(&args, "");
    let told = String::from_utf8_lossy(&answer.stdout).into_owned();
    let told = told + &String::from_utf8_lossy(&answer.stderr);
    (answer.status.code(), told)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Makes a package, which must succeed.
fn make(verdict: &str, dir: &Path, out: &Path, more: &[&str]) -> String {
    let (dir, to) = (text(dir), text(out));
    let mut args = vec!["evidence", verdict, "--data-dir", &dir, "--out", &to];
    args.extend(more);
    let (code, told) = tell(&args);
    assert_eq!(code, Some(0), "{told}");
    told
}

fn verify(package: &Path, key: Option<&Path>) -> (Option<i32>, String) {
    let package = text(package);
    let key = key.map(text);
    let mut args = vec!["verify-evidence", package.as_str()];
    if let Some(key) = &key {
        args.extend(["--key", key.as_str()]);
    }
    tell(&args)
}

fn read(package: &Path, file: &str) -> String {
    std::fs::read_to_string(package.join(file)).expect("a file of the package")
}

/// The names in a package.
fn names(package: &Path) -> Vec<String> {
    let files = std::fs::read_dir(package).expect("a package");
    let mut names: Vec<String> = files
        .map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    names
}

/// A copy of a package, changed by somebody.
fn changed(package: &Path, change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    for name in names(package) {
        std::fs::copy(package.join(&name), copy.path().join(&name)).expect("copied");
    }
    change(copy.path());
    copy
}

/// Changes the bytes of a file.
fn edit(package: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = package.join(file);
    let mut bytes = std::fs::read(&path).expect("a file of the package");
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("written");
}

/// Writes the digests anew, as somebody would who hides what he did.
fn relist(package: &Path) {
    let names: Vec<String> = names(package)
        .into_iter()
        .filter(|name| name != "SHA256SUMS")
        .collect();
    let listed = Command::new("sha256sum")
        .args(&names)
        .current_dir(package)
        .output()
        .expect("sha256sum runs");
    assert!(listed.status.success(), "{listed:?}");
    std::fs::write(package.join("SHA256SUMS"), listed.stdout).expect("written");
}

/// That a package does not hold, and that the file is named.
fn broken(what: &str, file: &str, package: &Path, key: Option<&Path>) {
    let (code, told) = verify(package, key);
    assert_eq!(code, Some(1), "{what}: {told}");
    let named = told
        .lines()
        .any(|line| line.starts_with(file) && line.contains("BROKEN"));
    assert!(named, "{what}: `{file}` is not named:\n{told}");
    assert!(told.contains("proves nothing"), "{what}: {told}");
}

/// Puts other bytes in the place of the first such ones, of the same length.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .expect("they are there");
    bytes[at..at + to.len()].copy_from_slice(to);
}

/// Makes the first record of a file look intact by itself.
fn seal(bytes: &mut [u8]) {
    let length = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes[..4]);
    checksum.update(&bytes[8..length]);
    bytes[4..8].copy_from_slice(&checksum.sum().to_le_bytes());
}

/// Keys that sign check points, in a directory.
fn keys() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let made = run(&["keys", "journal", "--out", &text(dir.path())], "");
    assert!(made.status.success(), "{made:?}");
    let public = dir.path().join("journal-key.pub.pem");
    (dir, public)
}

/// A service that signs check points at its start and at its end, and not between.
fn start_signing(dir: &Path, keys: &Path) -> Service {
    let mut command = Command::new(binary());
    command
        .env(
            "CREDITGATE_JOURNAL_SIGNING_KEY_FILE",
            keys.join("journal-key.pem"),
        )
        .env("CREDITGATE_JOURNAL_CHECK_POINT_SECONDS", "86400");
    let mut service = Service::launch(command, dir, &dir.join("service.log"), &[]);
    service.wait_until_ready();
    service
}

/// A bid of a clean firm with a hostile name, and its legal representative.
fn hostile() -> v1::Event {
    let mut event = evaluation("hostile", &invented::uscc(7));
    event.subjects[0].name = HOSTILE.to_owned();
    event.subjects.push(v1::Subject {
        role: "legal_representative".to_owned(),
        id_type: "ID18".to_owned(),
        id: invented::person(1),
        name: "张三丰".to_owned(),
        kind: "natural_person".to_owned(),
        ..v1::Subject::default()
    });
    event
}

/// Verdicts of a prohibited bid and of the hostile one, with some others behind them.
async fn judge(service: &Service) -> (v1::Verdict, v1::Verdict) {
    import_entries(service);
    let mut gate = service.gate().await;
    let listed = patient(&mut gate, evaluation("listed", LISTED)).await;
    let hostile = patient(&mut gate, hostile()).await;
    for n in 0..5 {
        let event = evaluation(&format!("other-{n}"), &invented::uscc(100 + n));
        patient(&mut gate, event).await.expect("a verdict");
    }
    let listed = listed.expect("a verdict");
    assert_eq!(listed.outcome, "PROHIBIT", "{listed:?}");
    (listed, hostile.expect("a verdict"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_proves_its_verdict_and_shows_whatever_is_done_to_it() {
    let (signing, key) = keys();
    let dir = tempfile::tempdir().expect("a directory");
    let out = tempfile::tempdir().expect("a directory");
    let service = start_signing(dir.path(), signing.path());
    let (listed, hostile) = judge(&service).await;
    let (listed, hostile) = (listed.verdict_id, hostile.verdict_id);

    // Beside the service: no check point covers the verdict yet.
    let early = out.path().join("early");
    let told = make(&listed, dir.path(), &early, &[]);
    assert!(told.contains("check point  NONE: none names"), "{told}");
    assert_eq!(names(&early), ALWAYS);
    let (code, told) = verify(&early, None);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("there being no check point"), "{told}");
    broken("no check point", "check-point.json", &early, Some(&key));
    service.stop();

    let package = out.path().join("package");
    let told = make(&listed, dir.path(), &package, &["--key", &text(&key)]);
    for part in [
        "decided now  the same",
        "its signature holds; 6 records in between",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let mut all: Vec<&str> = [&ALWAYS[..], &COVERED[..]].concat();
    all.sort_unstable();
    assert_eq!(names(&package), all);
    let (code, told) = verify(&package, Some(&key));
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("proven: record 1 is the one"), "{told}");
    let (code, told) = verify(&package, None);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("Not proven: who signed"), "{told}");
    let sums = Command::new("sha256sum")
        .args(["--quiet", "-c", "SHA256SUMS"])
        .current_dir(&package)
        .status()
        .expect("sha256sum runs");
    assert!(sums.success());
    // The receipt is the one that the journal takes.
    let data = text(dir.path());
    let receipt = read(&package, "receipt.txt");
    let (code, told) = tell(&["verify", "--data-dir", &data, "--receipt", receipt.trim()]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("record 1 is the one it names"), "{told}");

    // What people read.
    let page = read(&package, "evidence.html");
    for part in [
        "PROHIBIT",
        "禁止",
        "法律依据",
        "异议",
        "信用修复",
        "招标投标",
        "E-B07-1",
        &listed,
        receipt.trim(),
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let measures = read(&package, "measures.json");
    assert!(measures.contains("\"basis\""), "{measures}");
    assert!(read(&package, "entries.json").contains("E-B07-1"));
    for never in ["<script", "src=", "href=", "@import", "url(", LISTED] {
        assert!(!page.contains(never), "{never}: {page}");
    }

    // Nothing is written over.
    let again = tell(&[
        "evidence",
        &listed,
        "--data-dir",
        &data,
        "--out",
        &text(&package),
    ]);
    assert_eq!(again.0, Some(2), "{}", again.1);
    assert!(again.1.contains("is there already"), "{}", again.1);

    tampered(&package, &key);
    shown(&hostile, dir.path(), out.path(), &key);
    refused(&listed, dir.path(), out.path(), &key);
}

/// Whatever is done to a file of a package, it is named.
fn tampered(package: &Path, key: &Path) {
    for name in names(package) {
        let longer = changed(package, |copy| edit(copy, &name, |bytes| bytes.push(b' ')));
        let gone = changed(package, |copy| {
            std::fs::remove_file(copy.join(&name)).expect("removed");
        });
        broken("longer", &name, longer.path(), Some(key));
        broken("gone", &name, gone.path(), Some(key));
    }
    let more = changed(package, |copy| {
        std::fs::write(copy.join("more.txt"), "").expect("written");
    });
    broken("more", "more.txt", more.path(), Some(key));

    // By somebody who writes the digests anew.
    type Tampering = fn(&mut Vec<u8>);
    let done: [(&str, &str, Tampering); 12] = [
        ("verdict.json", "verdict.json", |bytes| {
            replace(bytes, b"PROHIBIT", b"PASSPASS");
        }),
        ("event.json", "event.json", |bytes| {
            replace(bytes, b"320505", b"320506");
        }),
        ("entries.json", "entries.json", |bytes| {
            replace(bytes, b"E-B07-1", b"E-B07-9");
        }),
        ("measures.json", "measures.json", |bytes| bytes.push(b'\n')),
        ("receipt.txt", "receipt.txt", |bytes| bytes[0] = b'2'),
        ("evidence.html", "evidence.html", |bytes| {
            replace(bytes, b"PROHIBIT", b"PASSPASS");
        }),
        // It is on the page.
        ("package.json", "evidence.html", |bytes| {
            replace(bytes, b"\"masked\": true,\n", b"\"masked\": false,");
        }),
        ("record.bin", "record.bin", |bytes| bytes[200] ^= 1),
        // One that is intact by itself: the records behind it show that it is another one.
        ("record.bin", "chain.bin", |bytes| {
            replace(bytes, b"case-listed", b"case-LISTED");
            seal(bytes);
        }),
        ("chain.bin", "check-point.json", |bytes| {
            let length = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
            bytes.truncate(length as usize);
        }),
        ("entries.bin", "entries.bin", Vec::clear),
        ("book.bin", "book.bin", |bytes| bytes[500] ^= 1),
    ];
    for (file, named, tampering) in done {
        let copy = changed(package, |copy| {
            edit(copy, file, tampering);
            relist(copy);
        });
        broken(
            &format!("{file} with its digest"),
            named,
            copy.path(),
            Some(key),
        );
    }
    let point = changed(package, |copy| {
        edit(copy, "check-point.json", |bytes| {
            replace(bytes, b"\"at\":\"2", b"\"at\":\"3");
        });
        relist(copy);
    });
    broken("another time", "check-point.json", point.path(), Some(key));
    let (_other, other) = keys();
    broken("another key", "check-point.json", package, Some(&other));
}

/// Who people are is hidden unless it is asked for, and a hostile name is a name.
fn shown(verdict: &str, dir: &Path, out: &Path, key: &Path) {
    let person = invented::person(1);
    let masked = out.join("masked");
    make(verdict, dir, &masked, &[]);
    let full = out.join("full");
    let told = make(verdict, dir, &full, &["--unmasked"]);
    assert!(told.contains("warning:"), "{told}");
    for package in [&masked, &full] {
        let (code, told) = verify(package, Some(key));
        assert_eq!(code, Some(0), "{told}");
        let page = read(package, "evidence.html");
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;[U+202E]示例[U+200F]"),
            "{page}"
        );
        for never in ["<script", "\u{202E}", "\u{200F}"] {
            assert!(!page.contains(never), "{never:?}: {page}");
        }
        assert!(read(package, "event.json").contains(&person));
    }
    let page = read(&masked, "evidence.html");
    assert!(page.contains("张**"), "{page}");
    for hidden in ["张三丰", person.as_str(), &invented::uscc(7)] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    let page = read(&full, "evidence.html");
    for plain in ["张三丰", person.as_str(), &invented::uscc(7)] {
        assert!(page.contains(plain), "{plain}: {page}");
    }
}

/// What cannot be proven is said, and nothing is left behind.
fn refused(verdict: &str, dir: &Path, out: &Path, key: &Path) {
    let to = out.join("refused");
    let to_text = text(&to);
    let ask = |verdict: &str, dir: &Path, more: &[&str], expected: &str| {
        let dir = text(dir);
        let mut args = vec!["evidence", verdict, "--data-dir", &dir, "--out", &to_text];
        args.extend(more);
        let (code, told) = tell(&args);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(expected), "{expected}: {told}");
        assert!(!to.exists(), "{told}");
    };
    ask("E-1", dir, &[], "is no id of a verdict");
    let nobody = "00000000-0000-8000-8000-000000000000";
    ask(nobody, dir, &[], "is not among the 7 records");
    let nothing = tempfile::tempdir().expect("a directory");
    ask(verdict, nothing.path(), &[], "holds no journal of verdicts");
    let (_other, other) = keys();
    ask(
        verdict,
        dir,
        &["--key", &text(&other)],
        "none of those that were named",
    );

    // A copy without the change log, and with another one.
    let copy = tempfile::tempdir().expect("a directory");
    copied(&dir.join("verdicts"), &copy.path().join("verdicts"));
    ask(verdict, copy.path(), &[], "holds no journal of changes");
    let elsewhere = tempfile::tempdir().expect("a directory");
    Service::start(elsewhere.path()).stop();
    copied(
        &elsewhere.path().join("changes"),
        &copy.path().join("changes"),
    );
    ask(verdict, copy.path(), &[], "is not in this change log");

    let left_out = out.join("left-out");
    let told = make(verdict, dir, &left_out, &["--chain-mib", "0"]);
    assert!(told.contains("it was left out"), "{told}");
    broken("left out", "check-point.json", &left_out, Some(key));
    let (code, told) = verify(&out.join("nowhere"), None);
    assert_eq!(code, Some(2), "{told}");
    // No half package lies about.
    let beside = std::fs::read_dir(out).expect("a directory");
    for item in beside {
        let name = item.expect("a package").file_name();
        assert!(!name.to_string_lossy().starts_with('.'), "{name:?}");
    }
}

/// Copies the files of a directory.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a directory");
    for file in std::fs::read_dir(from).expect("a directory") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_check_points_a_package_says_what_it_does_not_prove() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    let (listed, _) = judge(&service).await;
    service.stop();
    let package = out.path().join("package");
    let told = make(&listed.verdict_id, dir.path(), &package, &[]);
    assert!(told.contains("the service signs none"), "{told}");
    assert_eq!(names(&package), ALWAYS);
    let (code, told) = verify(&package, None);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("Not proven: that record 1"), "{told}");
    let page = read(&package, "evidence.html");
    assert!(page.contains("未附签名检查点"), "{page}");
    let (_signing, key) = keys();
    broken("a key", "check-point.json", &package, Some(&key));
    // Without a check point the record's own digest still binds what is shown.
    let copy = changed(&package, |copy| {
        edit(copy, "record.bin", |bytes| {
            replace(bytes, b"case-listed", b"case-LISTED");
            seal(bytes);
        });
        relist(copy);
    });
    broken("another record", "event.json", copy.path(), None);
}
