//! Encryption at rest of what is made from the journals: with a keyring no file of the data directory shows whom it is
//! about, and all of it is found again, also after a rotation.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_runtime::sealed::Keyring;
use creditgate_tests::cases::until;
use creditgate_tests::{Service, binary, evaluation, import_entries, land, patient, run};

/// On a black list by which bidders are excluded, in the invented lists.
const LISTED: &str = "91219999MAYG58BR3Q";
const PERSON: &str = "张三丰";
const CASE: &str = "case-listed";
const KEYRING: &str = "CREDITGATE_SEALING_KEYRING_FILE";
/// So many that a base is written when the service stops.
const ENTRIES: u64 = 2_100;
const FIRST: u64 = 10_000;
/// The result code of a subject that stands on a black list.
const BLACK: u32 = 8;

/// A place for data, and one for keys, logs and files to import.
struct Place {
    data: tempfile::TempDir,
    beside: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            data: tempfile::tempdir().expect("a directory"),
            beside: tempfile::tempdir().expect("a directory"),
        }
    }

    fn keyring(&self) -> PathBuf {
        self.beside.path().join("keyring.yaml")
    }

    fn start(&self) -> Service {
        let mut command = Command::new(binary());
        command.env(KEYRING, self.keyring());
        let log = self.beside.path().join("service.log");
        let mut service = Service::launch(command, self.data.path(), &log, &[]);
        service.wait_until_ready();
        service
    }

    fn import_many(&self, service: &Service) {
        let mut text =
            "entry_id,list,id_type,id,name,kind,severity,document_no,reason,valid_from\n"
                .to_owned();
        for n in FIRST..FIRST + ENTRIES {
            let id = invented::uscc(n);
            writeln!(
                text,
                "E-{n},B01,USCC,{id},示例批量{n}号公司,enterprise,serious,示例{n}号,批量事由{n},2026-01-05"
            )
            .expect("written");
        }
        let file = self.beside.path().join("many.csv");
        std::fs::write(&file, text).expect("a file");
        let (file, server) = (
            file.display().to_string(),
            format!("http://{}", service.grpc),
        );
        let (unit, to) = ("--source-unit", "--server");
        let args: [&str; 7] = ["lists", "import", &file, unit, "演示数据", to, &server];
        let done = run(&args, "");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// The files of the data that hold a text.
    fn holding(&self, wanted: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        files_below(self.data.path(), &mut files);
        files.retain(|path| {
            let bytes = std::fs::read(path).expect("a file");
            bytes
                .windows(wanted.len())
                .any(|window| window == wanted.as_bytes())
        });
        files
    }

    fn tells_nothing(&self) {
        let person = invented::person(1);
        let many = [
            invented::uscc(FIRST + 7),
            format!("示例批量{}号公司", FIRST + 7),
            format!("批量事由{}", FIRST + 7),
        ];
        let known: [&str; 5] = [LISTED, PERSON, &person, "示例企业1号有限公司", "经办人乙"];
        for secret in known.into_iter().chain(many.iter().map(String::as_str)) {
            assert_eq!(self.holding(secret), Vec::<PathBuf>::new(), "{secret}");
        }
    }

    fn bases(&self) -> usize {
        let mut files = Vec::new();
        files_below(&self.data.path().join("lists"), &mut files);
        files.retain(|path| path.extension().is_some_and(|ending| ending == "lists"));
        files.len()
    }
}

fn files_below(dir: &Path, into: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(dir).expect("a directory") {
        let path = item.expect("an entry").path();
        match path.is_dir() {
            true => files_below(&path, into),
            false => into.push(path),
        }
    }
}

/// A bid of a firm with a person beside it.
async fn judge(service: &Service, name: &str, firm: &str) -> v1::Verdict {
    let mut event = evaluation(name, firm);
    event.subjects.push(v1::Subject {
        role: "legal_representative".to_owned(),
        id_type: "ID18".to_owned(),
        id: invented::person(1),
        name: PERSON.to_owned(),
        kind: "natural_person".to_owned(),
        ..v1::Subject::default()
    });
    let mut gate = service.gate().await;
    patient(&mut gate, event).await.expect("a verdict")
}

/// Reports that a measure of a verdict was carried out.
async fn report(service: &Service, verdict: &v1::Verdict) {
    let shown = until(service, CASE, |case| !case.measures.is_empty()).await;
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
async fn no_file_of_the_data_shows_whom_it_is_about_and_all_of_it_is_found() {
    let place = Place::new();
    let mut keyring = Keyring::generate();
    keyring.write_new(&place.keyring()).expect("a keyring");
    let service = place.start();
    import_entries(&service);
    place.import_many(&service);
    let first = judge(&service, "listed", LISTED).await;
    assert_eq!(first.outcome, "PROHIBIT", "{first:?}");
    report(&service, &first).await;
    service.stop();
    assert!(place.bases() > 0, "a base was written");
    place.tells_nothing();

    for start in ["again", "rotated"] {
        if start == "rotated" {
            keyring.rotate();
            keyring.replace(&place.keyring()).expect("the keyring");
        }
        let service = place.start();
        let repeated = judge(&service, "listed", LISTED).await;
        assert_eq!(repeated.verdict_id, first.verdict_id);
        let firm = invented::uscc(FIRST + 7);
        let judged = judge(&service, start, &firm).await;
        assert_eq!(judged.subjects[0].result_code, BLACK, "{judged:?}");
        let shown = until(&service, CASE, |case| !case.measures.is_empty()).await;
        assert_eq!(shown.feedback.len(), 1, "{shown:?}");
        service.stop();
        place.tells_nothing();
    }
}
