//! Encryption at rest: with a keyring no journal shows whom it is about, all that was recorded can be used and proven, and
//! without the keyring the service does not start.
//!
//! Bases of the lists (`base`) and the tables of cases and history (`*.sqlite*`) are not journals, and are not looked at here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::cases::until;
use creditgate_tests::{Service, binary, evaluation, import_entries, land, patient, run};

/// On a black list by which bidders are excluded, in the invented lists, and the names that stand there.
const LISTED: &str = "91219999MAYG58BR3Q";
const PERSON: &str = "张三丰";
/// Where journals lie in a data directory.
const JOURNALS: [&str; 4] = ["changes", "verdicts", "cases/journal", "calls"];
const KEYRING: &str = "CREDITGATE_SEALING_KEYRING_FILE";

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command: its exit code, and what it said.
fn tell(args: &[&str]) -> (Option<i32>, String) {
    let answer = run(args, "");
    let told = String::from_utf8_lossy(&answer.stdout).into_owned();
    let told = told + &String::from_utf8_lossy(&answer.stderr);
    (answer.status.code(), told)
}

/// Runs a command that must succeed: what it said.
fn done(args: &[&str]) -> String {
    let (code, told) = tell(args);
    assert_eq!(code, Some(0), "{args:?}: {told}");
    told
}

/// A place for data, one for keys, and a keyring in it.
struct Place {
    data: tempfile::TempDir,
    keys: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            data: tempfile::tempdir().expect("a directory"),
            keys: tempfile::tempdir().expect("a directory"),
        };
        let made = done(&["keyring", "new", &text(&place.keyring())]);
        assert!(made.contains("keyring.yaml"), "{made}");
        place
    }

    fn keyring(&self) -> PathBuf {
        self.keys.path().join("keyring.yaml")
    }

    /// Launches the service, with or without its keyring, and with more variables.
    fn launch(&self, keyring: Option<&Path>, more: &[(&str, &Path)]) -> Service {
        let mut command = Command::new(binary());
        if let Some(keyring) = keyring {
            command.env(KEYRING, keyring);
        }
        for (name, value) in more {
            command.env(name, value);
        }
        let log = self.keys.path().join("service.log");
        Service::launch(command, self.data.path(), &log, &[])
    }

    fn start(&self) -> Service {
        let mut service = self.launch(Some(&self.keyring()), &[]);
        service.wait_until_ready();
        service
    }

    /// What a start with this keyring, or without any, is refused with.
    async fn refused(&self, keyring: Option<&Path>) -> String {
        let log = self.keys.path().join("service.log");
        let before = std::fs::read_to_string(log).unwrap_or_default().len();
        let mut refused = self.launch(keyring, &[]);
        let status = loop {
            match refused.ended() {
                Some(status) => break status,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let told = refused.logged().split_off(before);
        assert!(!status.success(), "{told}");
        told
    }

    /// The files of journals.
    fn journals(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for journal in JOURNALS {
            let files = std::fs::read_dir(self.data.path().join(journal)).expect("a journal");
            let files = files.map(|file| file.expect("a file").path());
            let before = found.len();
            found.extend(files.filter(|path| path.extension().is_some_and(|it| it == "log")));
            assert!(found.len() > before, "{journal} has no file");
        }
        found
    }

    /// The files of journals that hold a text.
    fn holding(&self, wanted: &str) -> Vec<PathBuf> {
        let mut files = self.journals();
        files.retain(|path| holds(&std::fs::read(path).expect("a file"), wanted));
        files
    }
}

fn holds(bytes: &[u8], wanted: &str) -> bool {
    bytes
        .windows(wanted.len())
        .any(|window| window == wanted.as_bytes())
}

/// A bid of a firm with a person beside it.
fn bid(name: &str) -> v1::Event {
    let mut event = evaluation(name, LISTED);
    event.subjects.push(v1::Subject {
        role: "legal_representative".to_owned(),
        id_type: "ID18".to_owned(),
        id: invented::person(1),
        name: PERSON.to_owned(),
        kind: "natural_person".to_owned(),
        ..v1::Subject::default()
    });
    event
}

async fn judge(service: &Service, name: &str) -> v1::Verdict {
    let mut gate = service.gate().await;
    patient(&mut gate, bid(name)).await.expect("a verdict")
}

/// That a verdict is decided again as it was recorded.
async fn replays(service: &Service, verdict: &v1::Verdict) {
    let request = v1::ReplayRequest {
        verdict_id: verdict.verdict_id.clone(),
    };
    let answer = service.gate().await.replay(request).await;
    let answer = answer.expect("replayed").into_inner();
    assert!(answer.same && answer.explanation_same, "{answer:?}");
    assert_eq!(answer.digest_stored, verdict.verdict_digest);
}

/// Reports that a measure of a verdict was carried out.
async fn report(service: &Service, verdict: &v1::Verdict) {
    let case_id = "case-listed";
    let shown = until(service, case_id, |case| !case.measures.is_empty()).await;
    let measure = &shown.measures[0];
    let feedback = v1::Feedback {
        measure_id: measure.measure_id.clone(),
        subject: measure.subject,
        implementer: measure.implementers.first().cloned().unwrap_or_default(),
        ..land::feedback(&verdict.verdict_id)
    };
    let request = v1::ReportFeedbackRequest {
        feedback: Some(feedback),
    };
    let reported = service.cases().await.report_feedback(request).await;
    assert!(!reported.expect("reported").into_inner().repeated);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_journal_shows_whom_it_is_about_and_all_of_it_is_used_and_proven() {
    let place = Place::new();
    let data = text(place.data.path());
    let person = invented::person(1);
    let service = place.start();
    import_entries(&service);
    let old = judge(&service, "listed").await;
    assert_eq!(old.outcome, "PROHIBIT", "{old:?}");
    report(&service, &old).await;
    service.stop();
    for secret in [
        LISTED,
        PERSON,
        person.as_str(),
        "示例企业1号有限公司",
        "91329999E000791950",
        "经办人乙",
        "case-listed",
        old.verdict_id.as_str(),
    ] {
        assert_eq!(place.holding(secret), Vec::<PathBuf>::new(), "{secret}");
    }
    let proven = done(&["journal", "verify", "--data-dir", &data]);
    for journal in ["changes", "verdicts", "cases", "calls"] {
        let held = proven
            .lines()
            .any(|line| line.starts_with(journal) && line.contains("records hold"));
        assert!(held, "{journal}: {proven}");
    }

    // A new key: both are used.
    let service = place.start();
    replays(&service, &old).await;
    service.stop();
    let keyring = text(&place.keyring());
    let id = done(&["keyring", "rotate", &keyring]);
    assert!(id.lines().any(|line| line == "2"), "{id}");
    let listed = done(&["keyring", "list", &keyring]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(
        lines[0].starts_with("1 ") && lines[0].ends_with("opens"),
        "{listed}"
    );
    assert!(
        lines[1].starts_with("2 ") && lines[1].ends_with("seals"),
        "{listed}"
    );
    let kept = std::fs::read_to_string(place.keyring()).expect("the keyring");
    for secret in kept
        .lines()
        .filter_map(|line| line.split("secret: ").nth(1))
    {
        assert!(!listed.contains(secret.trim_matches('"')), "{listed}");
    }
    let service = place.start();
    let new = judge(&service, "after").await;
    replays(&service, &old).await;
    replays(&service, &new).await;
    service.stop();
    assert_eq!(place.holding(LISTED), Vec::<PathBuf>::new());

    // Without it nothing starts, and everything is still proven.
    let told = place.refused(None).await;
    assert!(
        told.contains("sealed with key") && told.contains("sealing.keyring_file"),
        "{told}"
    );
    let other = Place::new();
    let told = place.refused(Some(&other.keyring())).await;
    assert!(told.contains("is sealed; nothing was changed"), "{told}");
    let absent = place.keys.path().join("absent.yaml");
    let told = place.refused(Some(&absent)).await;
    assert!(told.contains("absent.yaml"), "{told}");
    done(&["journal", "verify", "--data-dir", &data]);

    // The record of calls, by who has the keyring.
    let calls = ["access", "calls", "--data-dir", &data];
    let (code, told) = tell(&calls);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("--keyring"), "{told}");
    let told = done(&[&calls[..], &["--keyring", keyring.as_str()][..]].concat());
    assert!(told.contains("/creditgate.v1."), "{told}");
    let service = place.start();
    replays(&service, &old).await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_in_clear_goes_on_sealed() {
    let place = Place::new();
    let mut service = place.launch(None, &[]);
    service.wait_until_ready();
    import_entries(&service);
    let clear = judge(&service, "clear").await;
    service.stop();
    assert!(!place.holding(PERSON).is_empty());
    let service = place.start();
    replays(&service, &clear).await;
    let sealed = judge(&service, "sealed").await;
    replays(&service, &sealed).await;
    service.stop();
    assert!(!place.holding("case-clear").is_empty());
    assert_eq!(place.holding("case-sealed"), Vec::<PathBuf>::new());
    let told = place.refused(None).await;
    assert!(told.contains("sealing.keyring_file"), "{told}");
}

/// Makes a package of a verdict.
fn package(place: &Place, verdict: &v1::Verdict, out: &Path, key: &Path) -> (Option<i32>, String) {
    let (data, keyring) = (text(place.data.path()), text(&place.keyring()));
    tell(&[
        "journal",
        "evidence",
        &verdict.verdict_id,
        "--data-dir",
        &data,
        "--out",
        &text(out),
        "--key",
        &text(key),
        "--keyring",
        &keyring,
    ])
}

/// Writes the digests anew, as somebody would who hides what he did.
fn relist(package: &Path) {
    let mut names: Vec<String> = std::fs::read_dir(package)
        .expect("a package")
        .map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("text")
        })
        .filter(|name| name != "SHA256SUMS")
        .collect();
    names.sort();
    let listed = Command::new("sha256sum")
        .args(&names)
        .current_dir(package)
        .output()
        .expect("sha256sum runs");
    assert!(listed.status.success(), "{listed:?}");
    std::fs::write(package.join("SHA256SUMS"), listed.stdout).expect("written");
}

/// What is said of a package with other keys of records in it, or without any.
fn with_keys(package: &Path, keys: Option<&str>) -> (Option<i32>, String) {
    let copy = tempfile::tempdir().expect("a directory");
    for file in std::fs::read_dir(package).expect("a package") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name");
        std::fs::copy(&path, copy.path().join(name)).expect("copied");
    }
    let file = copy.path().join("record-keys.json");
    match keys {
        Some(keys) => std::fs::write(file, keys).expect("written"),
        None => std::fs::remove_file(file).expect("removed"),
    }
    relist(copy.path());
    tell(&["journal", "verify-evidence", &text(copy.path())])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_opens_its_own_records_and_no_other() {
    let place = Place::new();
    let keys = text(place.keys.path());
    done(&["keys", "journal", "--out", &keys]);
    let signing = place.keys.path().join("journal-key.pem");
    let public = place.keys.path().join("journal-key.pub.pem");
    let variables = [
        ("CREDITGATE_JOURNAL_SIGNING_KEY_FILE", signing.as_path()),
        ("CREDITGATE_JOURNAL_CHECK_POINT_SECONDS", Path::new("86400")),
    ];
    let mut service = place.launch(Some(&place.keyring()), &variables);
    service.wait_until_ready();
    import_entries(&service);
    let own = judge(&service, "own").await;
    let other = judge(&service, "other").await;
    service.stop();

    let dir = place.keys.path().join("package");
    let (code, told) = package(&place, &own, &dir, &public);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("1 records in between"), "{told}");
    // No keyring is named from here on.
    let (code, told) = tell(&[
        "journal",
        "verify-evidence",
        &text(&dir),
        "--key",
        &text(&public),
    ]);
    assert_eq!(code, Some(0), "{told}");
    let read = |name: &str| std::fs::read(dir.join(name)).expect("a file of the package");
    assert!(holds(&read("verdict.json"), &own.verdict_id));
    assert!(holds(&read("evidence.html"), "record-keys.json"));
    for raw in ["record.bin", "entries.bin", "book.bin", "chain.bin"] {
        for secret in [LISTED, PERSON, other.verdict_id.as_str(), "case-o"] {
            assert!(!holds(&read(raw), secret), "{raw}: {secret}");
        }
    }

    let shown = String::from_utf8(read("record-keys.json")).expect("text");
    let handed: Vec<serde_json::Value> = serde_json::from_str(&shown).expect("JSON");
    // The verdict, its entries, the book; none of the chain.
    let mut files: Vec<&str> = handed
        .iter()
        .map(|key| key["file"].as_str().expect("a file"))
        .collect();
    files.dedup();
    assert_eq!(files, ["book.bin", "entries.bin", "record.bin"], "{shown}");

    let (code, told) = with_keys(&dir, None);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("record-keys.json BROKEN: the key of record"),
        "{told}"
    );
    let (code, told) = with_keys(&dir, Some("[]"));
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("record-keys.json BROKEN: it has no key"),
        "{told}"
    );
    let key = |n: usize| handed[n]["key"].as_str().expect("a key");
    let (first, last) = (key(0), key(handed.len() - 1));
    let (code, told) = with_keys(&dir, Some(&shown.replace(last, first)));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("does not open with key 1"), "{told}");
    // More than it shows.
    let mut more = handed.clone();
    more.push(serde_json::json!({"file": "chain.bin", "sequence": 2, "key": first}));
    let more = serde_json::to_string(&more).expect("JSON");
    let (code, told) = with_keys(&dir, Some(&more));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("a key for record 2"), "{told}");
}
