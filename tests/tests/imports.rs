//! Lists as their sources send them, through the command line and the watched folder, into the real service.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use creditgate_measures::identifier::invented;
use creditgate_tests::{Service, run};
use rust_xlsxwriter::Workbook;

const HEADERS: [&str; 11] = [
    "名单类型",
    "主体类别",
    "主体名称",
    "统一社会信用代码",
    "法定代表人",
    "认定部门",
    "认定依据",
    "列入事由",
    "认定日期",
    "有效期止",
    "文书号",
];

/// Longest time until the watched folder has done something on a busy machine.
const WITHIN: Duration = Duration::from_secs(180);

fn row(n: u64) -> Vec<String> {
    vec![
        "失信被执行人名单".to_owned(),
        "企业".to_owned(),
        format!("示例第{n}号建设有限公司"),
        invented::uscc(n),
        "张三".to_owned(),
        "示例法院".to_owned(),
        "示例依据".to_owned(),
        "示例事由".to_owned(),
        "2026年1月5日".to_owned(),
        "2027/12/31".to_owned(),
        format!("（2026）示例{n}号"),
    ]
}

fn table(rows: impl Iterator<Item = u64>) -> String {
    let mut text = format!("名单公布表,,,,,,,,,,\r\n{}\r\n", HEADERS.join(","));
    for n in rows {
        text.push_str(&row(n).join(","));
        text.push_str("\r\n");
    }
    text
}

fn gb18030(text: &str) -> Vec<u8> {
    let (bytes, _, lost) = encoding_rs::GB18030.encode(text);
    assert!(!lost);
    bytes.into_owned()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("bytes");
    out.finish().expect("its end")
}

fn workbook(path: &Path, rows: impl Iterator<Item = u64>) {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (column, header) in (0..).zip(HEADERS) {
        sheet.write(0, column, header).expect("a cell");
    }
    for (line, n) in (1..).zip(rows) {
        for (column, cell) in (0..).zip(row(n)) {
            sheet.write(line, column, cell).expect("a cell");
        }
    }
    book.save(path).expect("a file");
}

struct Court {
    dir: tempfile::TempDir,
    service: Service,
}

impl Court {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let service = Service::start(dir.path());
        Self { dir, service }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    }

    fn import(&self, args: &[&str]) -> (Option<i32>, String) {
        let server = format!("http://{}", self.service.grpc);
        let head = [
            "lists",
            "import",
            "--server",
            &server,
            "--source-unit",
            "示例法院",
        ];
        let done: Output = run(&[&head, args].concat(), "");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout) + &text(&done.stderr))
    }
}

fn said(told: &str, name: &str) -> String {
    let line = told
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name));
    line.and_then(|line| line.split_whitespace().nth(1))
        .unwrap_or_else(|| panic!("no `{name}` in\n{told}"))
        .to_owned()
}

#[test]
fn a_list_in_gb18030_is_taken_once_whatever_form_it_comes_in() {
    let court = Court::start();
    let csv = court.file("名单.csv", &gb18030(&table(1..=300)));
    let (code, told) = court.import(&[&csv]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(
        (said(&told, "received"), said(&told, "accepted")),
        ("300".into(), "300".into())
    );
    let version = said(&told, "lists");

    let (first, second) = (
        court.dir.path().join("1.xlsx"),
        court.dir.path().join("2.xlsx"),
    );
    workbook(&first, 1..=100);
    workbook(&second, 101..=300);
    let (first, second) = (first.display().to_string(), second.display().to_string());
    for files in [vec![csv.as_str()], vec![&first, &second]] {
        let (code, told) = court.import(&[&files[..], &["--no-confirm"]].concat());
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(said(&told, "unchanged"), "300", "{told}");
        assert_eq!(said(&told, "lists"), version, "nothing was recorded");
    }
    court.service.stop();
}

#[test]
fn every_refused_row_stands_in_the_report_with_file_line_and_field() {
    let court = Court::start();
    let mut text = table(1..=3);
    text.push_str(
        "失信被执行人名单,企业,示例甲公司,91219999MAYG58BR3R,,示例法院,,,2026-01-05,,甲1号\r\n",
    );
    text.push_str("失信被执行人名单,企业,示例乙公司,,,示例法院,,,2026-02-30,,乙1号\r\n");
    text.push_str("失信被执行人名单,企业\r\n");
    text.push_str("没有这个名单,企业,示例丙公司,,,示例法院,,,2026-01-05,,丙1号\r\n");
    let bad = court.file("bad.csv", &gb18030(&text));
    let good = court.file("good.csv", table(4..=5).as_bytes());
    let report = court.dir.path().join("report.csv");
    let path = report.display().to_string();

    let (code, told) = court.import(&[&good, &bad, "--report", &path]);
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(
        (said(&told, "refused"), said(&told, "held")),
        ("4".into(), "5".into()),
        "{told}"
    );
    let written = std::fs::read_to_string(&report).expect("a report");
    let lines: Vec<_> = written.lines().collect();
    assert_eq!(lines[0], "\u{FEFF}file,line,entry_id,field,reason");
    let begins: Vec<String> = lines[1..]
        .iter()
        .map(|line| {
            let cells: Vec<_> = line.split(',').collect();
            format!("{} {} {}", cells[0], cells[1], cells[3])
        })
        .collect();
    assert_eq!(
        begins,
        [
            "bad.csv 6 id",
            "bad.csv 7 decided_on",
            "bad.csv 8 row",
            "bad.csv 9 "
        ],
        "{written}"
    );
    assert!(
        written.contains("column `认定日期`: not a day"),
        "{written}"
    );
    assert!(!written.contains("91219999MAYG58BR3R"), "no value of a row");

    let (code, told) = court.import(&[&good, &bad, "--on-error", "skip"]);
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(said(&told, "accepted"), "5", "{told}");
    court.service.stop();
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_changes_nothing() {
    let court = Court::start();
    let good = court.file("good.csv", table(1..=200).as_bytes());
    let bad = court.file("bad.csv", b"a,b\n1,2\n");
    let (code, told) = court.import(&[&good, &bad]);
    assert_eq!(code, Some(2), "{told}");
    assert!(
        told.contains("bad.csv") && told.contains("names columns that are known"),
        "{told}"
    );
    let (code, told) = court.import(&[&good, "--dry-run"]);
    assert_eq!(
        (code, said(&told, "accepted")),
        (Some(0), "200".into()),
        "{told}"
    );
    court.service.stop();
}

#[test]
fn a_full_file_ends_what_it_does_not_show_and_waits_where_it_shows_too_little() {
    let court = Court::start();
    let all = court.file("all.csv", table(1..=20).as_bytes());
    let fewer = court.file("fewer.csv", table(1..=18).as_bytes());
    let few = court.file("few.csv", table(1..=3).as_bytes());
    let full = ["--full", "--list", "失信被执行人名单"];
    let (code, told) = court.import(&[&[all.as_str()], &full[..]].concat());
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = court.import(&[&[fewer.as_str()], &full[..]].concat());
    assert_eq!(
        (code, said(&told, "revoked")),
        (Some(0), "2".into()),
        "{told}"
    );
    let (code, told) = court.import(&[&[few.as_str()], &full[..]].concat());
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("it waits for approval") && told.contains("creditgate lists approve hold-"),
        "{told}"
    );
    court.service.stop();
}

#[test]
fn a_full_file_that_is_cut_off_ends_nothing() {
    let court = Court::start();
    let whole = table(1..=100);
    let all = court.file("all.csv", whole.as_bytes());
    let full = ["--full", "--list", "失信被执行人名单"];
    let stated = ["--confirmed-at", "2026-03-01T09:00:00+08:00"];
    let (code, told) = court.import(&[&[all.as_str()], &full[..], &stated[..]].concat());
    assert_eq!(code, Some(0), "{told}");
    let version = said(&told, "lists");
    let server = format!("http://{}", court.service.grpc);
    let sources = run(&["lists", "sources", "--server", &server], "");
    let ages = String::from_utf8_lossy(&sources.stdout).into_owned();
    assert!(ages.contains("2026-03-01T09:00"), "{ages}");
    let future = ["--confirmed-at", "2999-03-01"];
    let (code, told) = court.import(&[&[all.as_str()], &full[..], &future[..]].concat());
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("lies in the future"), "{told}");

    let gz = gzipped(table(1..=99).as_bytes());
    let gz = court.file("cut.csv.gz", &gz[..gz.len() - 4]);
    let book = court.dir.path().join("cut.xlsx");
    workbook(&book, 1..=99);
    let bytes = std::fs::read(&book).expect("a workbook");
    let book = court.file("cut.xlsx", &bytes[..bytes.len() - 4]);
    for file in [gz, book] {
        let (code, told) = court.import(&[&[file.as_str()], &full[..]].concat());
        assert_eq!(code, Some(2), "{told}");
        assert!(
            told.contains("cut off: the file ends before its own end mark"),
            "{told}"
        );
    }
    let cut = court.file("cut.csv", &whole.as_bytes()[..whole.len() - 60]);
    let (code, told) = court.import(&[cut.as_str()]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("row 102: row: looks cut off"), "{told}");
    let (code, told) = court.import(&[&[cut.as_str(), "--dry-run"], &full[..]].concat());
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(said(&told, "lists"), version, "nothing was recorded");
    let (code, told) = court.import(&[&[cut.as_str()], &full[..]].concat());
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("it waits for approval: its file ends in the middle of a row")
            && told.contains("it would end 1 of 100 entries"),
        "{told}"
    );
    court.service.stop();
}

struct Inbox {
    dir: tempfile::TempDir,
}

impl Inbox {
    /// A watched folder with one source.
    fn new(source: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let inbox = dir.path().join("inbox");
        std::fs::create_dir_all(inbox.join("court")).expect("a folder");
        std::fs::write(inbox.join("court/source.yaml"), source).expect("a file");
        let config = format!(
            "lists:\n  inbox: {}\n  inbox_still_ms: 1000\n",
            inbox.display()
        );
        std::fs::write(dir.path().join("creditgate.yaml"), config).expect("a file");
        Self { dir }
    }

    fn serve(&self) -> Service {
        let config = self
            .dir
            .path()
            .join("creditgate.yaml")
            .display()
            .to_string();
        Service::start_with(self.dir.path(), &["--config", &config])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("inbox/court").join(name)
    }

    /// Waits until the file lies there, and gives it.
    fn wait_for(&self, service: &Service, name: &str) -> String {
        let began = Instant::now();
        while began.elapsed() < WITHIN {
            if let Ok(text) = std::fs::read_to_string(self.path(name)) {
                return text;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no `{name}`:\n{}", service.logged());
    }

    /// Waits until the log says this of the file.
    fn wait_for_log(&self, service: &Service, told: &str, name: &str) {
        let name = self.path(name).display().to_string();
        let began = Instant::now();
        while began.elapsed() < WITHIN {
            let logged = service.logged();
            if logged
                .lines()
                .any(|line| line.contains(told) && line.contains(&name))
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no `{told}` of `{name}`:\n{}", service.logged());
    }
}

#[test]
fn files_of_the_watched_folder_are_taken_or_refused_with_their_report() {
    let inbox = Inbox::new("source_unit: 示例法院\nlist: 失信被执行人名单\n");
    let service = inbox.serve();
    std::fs::write(inbox.path("1.csv"), gb18030(&table(1..=50))).expect("a file");
    workbook(&inbox.path("2.xlsx"), 1..=50);
    let mut cut = table(1..=2);
    cut.push_str("失信被执行人名单,企业\r\n");
    std::fs::write(inbox.path("3.csv"), cut).expect("a file");
    std::fs::write(inbox.path("4.zip"), b"PK\x03\x04 damaged").expect("a file");
    std::fs::write(inbox.path("5.csv.part"), "unfinished").expect("a file");

    let told = inbox.wait_for(&service, "done/1.csv.summary.json");
    let summary: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(summary["summary"]["accepted"], "50", "{told}");
    assert_eq!(summary["source_unit"], "示例法院");
    let told = inbox.wait_for(&service, "done/2.xlsx.summary.json");
    assert!(told.contains("\"unchanged\": \"50\""), "{told}");
    let report = inbox.wait_for(&service, "refused/3.csv.report.csv");
    assert!(report.contains("3.csv,5,,row,"), "{report}");
    let told = inbox.wait_for(&service, "refused/4.zip.summary.json");
    assert!(told.contains("cut off"), "{told}");
    inbox.wait_for(&service, "done/1.csv.summary.json");
    assert!(inbox.path("done/1.csv").exists() && !inbox.path("1.csv").exists());
    assert!(
        inbox.path("5.csv.part").exists(),
        "what is unfinished stays"
    );

    // The same name again does not replace what came before.
    std::fs::write(inbox.path("1.csv"), table(1..=51)).expect("a file");
    let told = inbox.wait_for(&service, "done/1.csv~2.summary.json");
    assert!(told.contains("\"accepted\": \"1\""), "{told}");
    service.stop();
}

#[test]
fn a_file_that_pauses_on_its_way_is_waited_for_and_one_that_never_ends_is_put_aside() {
    let inbox = Inbox::new("source_unit: 示例法院\nlist: 失信被执行人名单\nmode: full\n");
    let service = inbox.serve();
    let whole = table(1..=50);
    workbook(&inbox.path("whole.part"), 1..=49);
    let book = std::fs::read(inbox.path("whole.part")).expect("a workbook");
    let gz = gzipped(table(1..=50).as_bytes());
    let files = [
        ("1.csv", whole.as_bytes(), 50),
        ("2.xlsx", book.as_slice(), 49),
        ("3.csv.gz", gz.as_slice(), 50),
    ];
    for (name, bytes, rows) in files {
        std::fs::write(inbox.path(name), &bytes[..bytes.len() - 20]).expect("a file");
        inbox.wait_for_log(&service, "looks unfinished", name);
        // The rest of it.
        std::fs::write(inbox.path(name), bytes).expect("a file");
        let told = inbox.wait_for(&service, &format!("done/{name}.summary.json"));
        assert!(
            told.contains(&format!("\"received\": \"{rows}\"")),
            "{told}"
        );
    }
    assert_eq!(entries(&service), 50);

    // These stay as they are.
    let cut = &whole.as_bytes()[..whole.len() - 60];
    std::fs::write(inbox.path("4.csv"), cut).expect("a file");
    std::fs::write(inbox.path("5.xlsx"), &book[..book.len() - 1]).expect("a file");
    std::fs::write(inbox.path("6.csv.gz"), &gz[..gz.len() - 1]).expect("a file");
    std::fs::write(inbox.path("7.csv"), whole.trim_end()).expect("a file");
    let told = inbox.wait_for(&service, "held/4.csv.summary.json");
    assert!(told.contains("ends in the middle of a row"), "{told}");
    let report = inbox.wait_for(&service, "held/4.csv.report.csv");
    assert!(
        report.contains("4.csv,52,,row,\"looks cut off: "),
        "{report}"
    );
    for name in ["5.xlsx", "6.csv.gz"] {
        let told = inbox.wait_for(&service, &format!("refused/{name}.summary.json"));
        assert!(told.contains("cut off: the file ends before"), "{told}");
    }
    let told = inbox.wait_for(&service, "done/7.csv.summary.json");
    assert!(told.contains("\"unchanged\": \"50\""), "{told}");
    assert_eq!(entries(&service), 50);
    service.stop();
}

#[test]
fn a_source_that_says_nothing_of_itself_is_warned_of_once_and_its_files_wait() {
    let inbox = Inbox::new("source_unti: 示例法院\n");
    std::fs::write(inbox.path("1.csv"), table(1..=2)).expect("a file");
    let service = inbox.serve();
    let began = Instant::now();
    while !service.logged().contains("source.yaml") && began.elapsed() < WITHIN {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::write(inbox.path("source.yaml"), "source_unit: 示例法院\n").expect("a file");
    inbox.wait_for(&service, "done/1.csv.summary.json");
    let logged = service.logged();
    assert_eq!(logged.matches("source_unti").count(), 1, "{logged}");
    service.stop();
}

#[test]
fn a_file_whose_import_was_cut_off_is_imported_again() {
    let inbox = Inbox::new("source_unit: 示例法院\n");
    std::fs::write(inbox.path("1.csv"), table(1..=3_000)).expect("a file");
    let service = inbox.serve();
    // Somewhere between the first look and the end; wherever it is, nothing is lost and nothing doubled.
    let began = Instant::now();
    while began.elapsed() < WITHIN
        && service.metric("creditgate_list_changes_accepted_total") < 1_000.0
        && inbox.path("1.csv").exists()
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    service.kill();
    let service = inbox.serve();
    inbox.wait_for(&service, "done/1.csv.summary.json");
    let changes = entries(&service);
    assert_eq!(changes, 3_000);
    service.stop();
}

fn entries(service: &Service) -> u64 {
    let server = format!("http://{}", service.grpc);
    let state = run(&["lists", "state", "--server", &server], "");
    let told = String::from_utf8_lossy(&state.stdout).into_owned();
    said(&told, "entries").parse().expect("a number")
}
