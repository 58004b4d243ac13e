//! A book from its folder into force, as those meet it who write it, sign it and run the service.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use creditgate_measures::identifier::invented;
use creditgate_measures::time::Time;
use creditgate_proto::v1;
use creditgate_registry::book::{open, seal};
use creditgate_runtime::signing::SigningKey;
use creditgate_tests::{Service, evaluation, import_entries, patient, root, run};
use tonic::Code;
use tonic_types::StatusExt;

/// Runs a command that must succeed, and gives what it printed.
fn done(args: &[&str]) -> String {
    let ended = run(args, "");
    assert!(
        ended.status.success(),
        "{args:?}\n{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

/// What a command said that must fail.
fn refused(args: &[&str]) -> String {
    let ended = run(args, "");
    assert_eq!(ended.status.code(), Some(2), "{args:?}");
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The folder of the catalogue, with a remark in its head.
fn edition(dir: &Path, name: &str) -> PathBuf {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).expect("a directory");
        for item in std::fs::read_dir(from).expect("a directory") {
            let path = item.expect("an entry").path();
            let target = to.join(path.file_name().expect("a name"));
            if path.is_dir() {
                copy(&path, &target);
            } else {
                std::fs::copy(&path, &target).expect("a copy");
            }
        }
    }
    let target = dir.join(name);
    copy(&root().join("measures/catalogue"), &target);
    let head = target.join("book.yaml");
    let mut text = std::fs::read_to_string(&head).expect("its head");
    text += &format!("\n# {name}\n");
    std::fs::write(&head, text).expect("its head");
    target
}

struct Keys {
    private: String,
    public: String,
    id: String,
}

fn keys(dir: &Path, name: &str) -> Keys {
    let out = dir.join(name);
    let id = done(&["keys", "book", "--out", &text(&out)]);
    Keys {
        private: text(&out.join("book-key.pem")),
        public: text(&out.join("book-key.pub.pem")),
        id: id.trim().to_owned(),
    }
}

fn pack(book: &Path, key: &Keys) -> PathBuf {
    let out = book.with_extension(format!("{}.pack", key.id));
    let (book, file) = (text(book), text(&out));
    done(&[
        "measures",
        "pack",
        &book,
        "-o",
        &file,
        "--key",
        &key.private,
    ]);
    out
}

/// Checks one event after the other until it is told to stop; gives how the verdicts were made.
async fn checks(
    service: &Service,
    stop: Arc<AtomicBool>,
) -> tokio::task::JoinHandle<Vec<v1::Verdict>> {
    let mut gate = service.gate().await;
    tokio::spawn(async move {
        let mut verdicts = Vec::new();
        for n in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let event = evaluation(&format!("while-{n}"), &invented::uscc(n));
            verdicts.push(patient(&mut gate, event).await.expect("a verdict"));
        }
        verdicts
    })
}

/// The book that judges now.
async fn judged_by(service: &Service, event: &str) -> String {
    let event = Some(evaluation(event, &invented::uscc(1)));
    let answer = service.gate().await.check(v1::CheckRequest { event }).await;
    let verdict = answer.expect("a verdict").into_inner().verdict;
    verdict.expect("a verdict").book_version
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_book_is_published_while_checks_run_and_an_older_one_comes_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    std::fs::create_dir_all(&data).expect("a directory");
    let (ours, theirs) = (keys(dir.path(), "ours"), keys(dir.path(), "theirs"));
    assert!(
        refused(&["keys", "book", "--out", &text(&dir.path().join("ours"))]).contains("exists")
    );
    let (first_dir, second_dir) = (edition(dir.path(), "first"), edition(dir.path(), "second"));
    let (first, second) = (pack(&first_dir, &ours), pack(&second_dir, &ours));
    assert!(done(&["measures", "lint", &text(&first)]).contains("every guard holds"));

    let start =
        |book: &str| Service::start_with(&data, &["--book", book, "--trusted-key", &ours.public]);
    let service = start(&text(&first));
    import_entries(&service);
    let server = format!("http://{}", service.grpc);
    let mut books = service.books().await;
    let current = |answer: v1::CurrentBookResponse| answer.book.expect("a book");
    let asked = books.current(v1::CurrentBookRequest {}).await;
    let was = current(asked.expect("an answer").into_inner());
    assert_eq!(
        (&*was.origin, &*was.signing, &*was.key_id),
        ("started", "signed", &*ours.id)
    );

    // Published while checks run: each verdict is of one book or the other.
    let stop = Arc::new(AtomicBool::new(false));
    let running = checks(&service, Arc::clone(&stop)).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let publish = |file: &Path, reason: &str| {
        let args = [
            "measures",
            "publish",
            &text(file),
            "--reason",
            reason,
            "--server",
            &server,
        ];
        done(&args)
    };
    let published = publish(&second, "second edition");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let verdicts = running.await.expect("all were answered");
    let asked = books.current(v1::CurrentBookRequest {}).await;
    let is = current(asked.expect("an answer").into_inner());
    assert!(published.contains(&is.version), "{published}");
    let versions: BTreeSet<&str> = verdicts.iter().map(|v| &*v.book_version).collect();
    assert_eq!(versions, BTreeSet::from([&*was.version, &*is.version]));
    let switched = verdicts.iter().position(|v| v.book_version == is.version);
    let after = &verdicts[switched.expect("a verdict of the new book")..];
    assert!(after.iter().all(|v| v.book_version == is.version));
    assert!(
        verdicts.iter().all(|v| v.flags.is_empty()),
        "nobody is unsigned"
    );

    // What is wrong is refused with its reasons, and the service goes on.
    let key = SigningKey::load(Path::new(&ours.private)).expect("a key");
    let mut files = open(&std::fs::read(&first).expect("a pack"))
        .expect("a pack")
        .files;
    for file in &mut files {
        if file.path == "lists/black.yaml" {
            file.text = file.text.replacen("- code: ", "- kode: ", 1);
        }
    }
    let broken = seal(&files, Some(&key), Time::from_micros(0), "tests");
    let wrong = std::fs::read(pack(&first_dir, &theirs)).expect("a pack");
    let ask = |pack: Vec<u8>, expected: &str| v1::PublishBookRequest {
        pack,
        reason: "示例".to_owned(),
        expected_version: expected.to_owned(),
        ..v1::PublishBookRequest::default()
    };
    let told = books.publish(ask(broken, "")).await.expect_err("refused");
    assert_eq!(told.code(), Code::InvalidArgument);
    let bad = told.get_details_bad_request().expect("its reasons");
    let names_it = |v: &tonic_types::FieldViolation| {
        v.field.starts_with("lists/black.yaml:") && v.description.contains("kode")
    };
    assert!(bad.field_violations.iter().any(names_it), "{bad:?}");
    let told = books.publish(ask(wrong, "")).await.expect_err("refused");
    assert_eq!(told.code(), Code::FailedPrecondition);
    assert!(told.message().contains(&theirs.id), "{}", told.message());
    let good = std::fs::read(&first).expect("a pack");
    let nowhere = v1::PublishBookRequest {
        simulation_id: "5b6c3a54-1c2d-4e3f-9a0b-1c2d3e4f5a6b".to_owned(),
        ..ask(good.clone(), "")
    };
    let told = books.publish(nowhere).await.expect_err("refused");
    assert_eq!(told.code(), Code::InvalidArgument);
    assert!(told.message().contains("no such simulation"), "{told}");
    let told = books
        .publish(ask(good, &was.version))
        .await
        .expect_err("refused");
    assert_eq!(told.code(), Code::FailedPrecondition);
    assert!(told.message().contains(&is.version), "{}", told.message());
    assert!((service.metric("creditgate_book_refused_total") - 2.0).abs() < f64::EPSILON);
    let ready = service.get("/readyz").expect("an answer");
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains(&theirs.id),
        "{ready}"
    );
    assert_eq!(judged_by(&service, "after").await, is.version);
    service.stop();

    // The published book stays, whatever the service is started with, and what was is told again.
    let service = start(&text(&dir.path().join("nowhere.pack")));
    assert!(service.logged().contains("cannot be read"));
    assert_eq!(judged_by(&service, "again").await, is.version);
    service.stop();
    let service = start(&text(&first));
    assert!(service.logged().contains("a published book is in force"));
    let server = format!("http://{}", service.grpc);
    let replayed = done(&["replay", &verdicts[0].verdict_id, "--server", &server]);
    assert!(!replayed.is_empty());
    let args = [
        "measures",
        "publish",
        &text(&first),
        "--reason",
        "back",
        "--server",
        &server,
    ];
    assert!(done(&args).contains(&was.version));
    let mut books = service.books().await;
    let listed = books.list(v1::ListBooksRequest { limit: 0 }).await;
    let told: Vec<_> = listed
        .expect("an answer")
        .into_inner()
        .books
        .into_iter()
        .map(|book| (book.version, book.origin, book.reason, book.published_by))
        .collect();
    let row = |version: &str, origin: &str, reason: &str, by: &str| {
        (
            version.to_owned(),
            origin.to_owned(),
            reason.to_owned(),
            by.to_owned(),
        )
    };
    assert_eq!(
        told,
        [
            row(&was.version, "published", "back", "local"),
            row(&is.version, "published", "second edition", "local"),
            row(&was.version, "started", "", ""),
        ]
    );
    let shown = done(&["measures", "books", "--server", &server]);
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(shown.starts_with("* "), "{shown}");
    service.stop();
}

#[tokio::test]
async fn without_trusted_keys_unsigned_books_are_taken_and_every_verdict_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    let mut gate = service.gate().await;
    let event = Some(evaluation("1", &invented::uscc(1)));
    let answer = gate.check(v1::CheckRequest { event }).await;
    let verdict = answer.expect("a verdict").into_inner().verdict;
    assert!(
        verdict
            .expect("a verdict")
            .flags
            .contains(&"book_unsigned".to_owned())
    );
    service.stop();

    // An operator who now trusts keys is not given the unsigned book.
    let keys = keys(dir.path(), "keys");
    let told = refused(&["serve", "--trusted-key", &keys.public, "--check-config"]);
    assert!(told.contains("signed books only"), "{told}");
    let out = text(&dir.path().join("book.pack"));
    let unkeyed = run(&["measures", "pack", "-o", &out], "");
    assert!(!unkeyed.status.success(), "a key, or --unsigned");
    assert!(done(&["measures", "pack", "-o", &out, "--unsigned"]).contains("by nobody"));

    // An example is nobody's law.
    let example = ["measures", "pack", "-o", &out, "--unsigned", "--supplement"];
    let example = [&example[..], &["measures/examples/supplement-320500"]].concat();
    let told = refused(&example);
    assert!(told.contains("is an example"), "{told}");
    done(&[&example[..], &["--allow-example"]].concat());
}

#[tokio::test]
async fn who_may_check_may_not_publish() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = text(&dir.path().join("keys.yaml"));
    let made = run(
        &[
            "keys",
            "platform",
            "--may",
            "check,read,lists",
            "--file",
            &file,
        ],
        "",
    );
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    let key = told.trim().rsplit(' ').next().expect("the key").to_owned();
    let service = Service::start_with(dir.path(), &["--keys-file", &file]);
    let mut books = service.books().await;
    let with_key = |message| {
        let mut request = tonic::Request::new(message);
        let value = format!("Bearer {key}").parse().expect("a header");
        request.metadata_mut().insert("authorization", value);
        request
    };
    let refused = books
        .publish(with_key(v1::PublishBookRequest::default()))
        .await
        .expect_err("may not publish");
    assert_eq!(refused.code(), Code::PermissionDenied);
    service.stop();
}
