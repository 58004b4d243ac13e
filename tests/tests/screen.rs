//! Lists of names and codes for honours and appointments, screened through the command line and the real service.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use calamine::{Reader, Xlsx};
use creditgate_measures::identifier::invented;
use creditgate_tests::{Service, binary, import_entries, run};
use rust_xlsxwriter::Workbook;

/// Stands on B04 in the invented entries: a row of honours proposes a limit.
const LISTED: (&str, &str) = ("示例企业7号有限公司", "91329999E00554339T");

/// Longest time until a screening has begun on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

struct Office {
    dir: tempfile::TempDir,
    service: Service,
}

impl Office {
    fn open() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let service = Service::start(dir.path());
        import_entries(&service);
        Self { dir, service }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn args(&self, list: &str, out: &str, more: &[&str]) -> Vec<String> {
        let server = format!("http://{}", self.service.grpc);
        let (list, out) = (self.path(list), self.path(out));
        let head = [
            "screen",
            &list.to_string_lossy(),
            "-o",
            &out.to_string_lossy(),
        ]
        .map(str::to_owned)
        .to_vec();
        let options = [
            "--server",
            &server,
            "--region",
            "320500",
            "--purpose",
            "评优审核",
        ];
        let more = options.iter().chain(more).map(|arg| (*arg).to_owned());
        head.into_iter().chain(more).collect()
    }

    fn screen(&self, list: &str, out: &str, more: &[&str]) -> (Option<i32>, String) {
        let args = self.args(list, out, more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let done = run(&args, "");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout) + &text(&done.stderr))
    }

    /// Verdicts that the service has recorded, as lines of JSON.
    fn recorded(&self) -> Vec<String> {
        let server = format!("http://{}", self.service.grpc);
        let done = run(&["verdicts", "tail", "--json", "--server", &server], "");
        assert!(done.status.success());
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        text.lines().map(str::to_owned).collect()
    }
}

const HONOUR: [&str; 2] = ["--scenario", "honour"];

/// The rows of a table under its headers.
fn table(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(path)
        .expect("a table");
    let row = |row: Result<csv::StringRecord, csv::Error>| {
        let row = row.expect("a row of as many cells as columns");
        row.iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut rows: Vec<Vec<String>> = reader.records().map(row).collect();
    let headers = rows.remove(0);
    assert_eq!(
        (headers[0].as_str(), headers[5].as_str()),
        ("序号", "核查结果")
    );
    rows
}

fn gb18030(text: &str) -> Vec<u8> {
    encoding_rs::GB18030.encode(text).0.into_owned()
}

#[test]
fn a_list_in_gb18030_becomes_a_masked_table_and_the_same_list_the_same_verdicts() {
    let office = Office::open();
    let (name, code) = LISTED;
    let clean = invented::uscc(700_001);
    let wrong = "91219999MAYG58BR3R";
    let list = format!(
        "2026年度评优推荐名单,,,\r\n序号,单位名称,统一社会信用代码,备注\r\n1,{name},{code},\r\n2,示例清河商贸有限公司,{clean},\r\n3,示例金桥实业有限公司,{wrong},\r\n4,,,空\r\n"
    );
    std::fs::write(office.path("名单.csv"), gb18030(&list)).expect("a file");

    let (status, told) =
        office.screen("名单.csv", "t.csv", &[&HONOUR[..], &["--dry-run"]].concat());
    assert_eq!(status, Some(1), "{told}");
    assert!(
        told.contains("rows      4") && told.contains("refused   1"),
        "{told}"
    );
    assert!(office.recorded().is_empty(), "a dry run asks nothing");

    let (status, told) = office.screen("名单.csv", "t.csv", &HONOUR);
    assert_eq!(status, Some(1), "{told}");
    assert_eq!(office.recorded().len(), 3);
    let rows = table(&office.path("t.csv"));
    let shown: Vec<String> = rows
        .iter()
        .map(|row| {
            [
                &row[0], &row[1], &row[2], &row[3], &row[4], &row[5], &row[7], &row[10],
            ]
            .map(String::as_str)
            .join(" | ")
        })
        .collect();
    let masked = |code: &str| format!("{}{}{}", &code[..2], "*".repeat(14), &code[16..]);
    assert_eq!(
        shown,
        [
            format!(
                "1 | 3 | 1 | 示例****公司 | {} | 待人工审核 MANUAL_REVIEW | 限制 RESTRICT | B04",
                masked(code)
            ),
            format!(
                "2 | 4 | 2 | 示例****公司 | {} | 通过 PASS |  | ",
                masked(&clean)
            ),
            "3 | 5 | 3 | 示** | ******** | 待人工审核 MANUAL_REVIEW |  | ".to_owned(),
            "4 | 6 |  |  |  | 未核查 REFUSED |  | ".to_owned(),
        ]
    );
    assert!(
        rows[0][8].starts_with("M09e 拖欠农民工工资限制：评优评先（限制，待审）"),
        "{rows:?}"
    );
    assert!(rows[0][9].contains("保障农民工工资支付条例第四十八条（国务院令第724号）"));
    assert!(!rows[0][11].is_empty() && !rows[0][14].is_empty() && !rows[0][16].is_empty());
    assert!(rows[2][13].contains("无有效证件号码"), "{rows:?}");
    assert!(rows[3][13].contains("neither name nor number"), "{rows:?}");
    let text = std::fs::read_to_string(office.path("t.csv")).expect("a table");
    assert!(
        text.starts_with('\u{FEFF}'),
        "spreadsheets know its encoding"
    );
    for hidden in [name, code, &clean, wrong, "E-B04-1"] {
        assert!(!text.contains(hidden), "{hidden} stands in the table");
    }
    assert!(!office.path("t.csv.progress").exists());

    let (status, told) = office.screen("名单.csv", "t.csv", &HONOUR);
    assert_eq!(status, Some(2), "{told}");
    assert!(told.contains("--overwrite"), "{told}");
    let (_, told) = office.screen("名单.csv", "again.csv", &HONOUR);
    assert!(told.contains("repeated  3"), "{told}");
    assert_eq!(table(&office.path("again.csv")), rows);
    assert_eq!(office.recorded().len(), 3, "the same events");
    let (_, told) = office.screen(
        "名单.csv",
        "anew.csv",
        &[&HONOUR[..], &["--case", "PY-2026"]].concat(),
    );
    assert!(!told.contains("repeated"), "{told}");
    let recorded = office.recorded();
    assert_eq!(recorded.len(), 6, "another case is judged anew");
    assert!(recorded[3].contains("\"PY-2026-1\""), "{}", recorded[3]);
    office.service.stop();
}

#[test]
fn a_workbook_of_people_becomes_a_workbook_and_programs_read_lines() {
    let office = Office::open();
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let people: Vec<String> = (1..=3).map(invented::person).collect();
    let cells = [
        ["姓名", "身份证号", "拟任职务"],
        ["张三丰", &people[0], "主任"],
        ["李四", &people[1], "副主任"],
        ["王五", &people[2], "科长"],
    ];
    for (row, line) in (0..).zip(cells) {
        for (column, cell) in (0..).zip(line) {
            sheet.write_string(row, column, cell).expect("a cell");
        }
    }
    book.save(office.path("拟任.xlsx")).expect("a file");
    let options = [
        "--scenario",
        "appointment",
        "--attribute",
        "appointment_kind=promotion",
    ];
    let (status, told) = office.screen("拟任.xlsx", "核查表.xlsx", &options);
    assert!(matches!(status, Some(0 | 1)), "{told}");

    let mut read: Xlsx<_> =
        calamine::open_workbook(office.path("核查表.xlsx")).expect("a workbook");
    let range = read.worksheet_range("核查表").expect("the sheet");
    let cell = |row: u32, column: u32| {
        range
            .get_value((row, column))
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    assert_eq!(range.height(), 4);
    assert_eq!(
        [cell(0, 3), cell(0, 5), cell(0, 16)],
        ["主体名称", "核查结果", "核查时间"]
    );
    assert_eq!(
        [cell(1, 3), cell(2, 3), cell(3, 3)],
        ["张**", "李**", "王**"]
    );
    assert_eq!(
        cell(1, 4),
        format!("{}{}{}", &people[0][..2], "*".repeat(14), &people[0][16..])
    );
    assert!(
        !cell(1, 5).is_empty() && !cell(1, 5).contains("REFUSED"),
        "{}",
        cell(1, 5)
    );
    for verdict in office.recorded() {
        assert!(
            verdict.contains("\"qualify\""),
            "the stage of appointments: {verdict}"
        );
    }

    let (_, told) = office.screen("拟任.xlsx", "t.jsonl", &options);
    assert!(told.contains("repeated  3"), "{told}");
    let text = std::fs::read_to_string(office.path("t.jsonl")).expect("lines");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["name"], "王**");
    assert_eq!(lines[0]["verdict_id"], cell(1, 14));
    office.service.stop();
}

#[test]
fn a_killed_run_goes_on_where_it_stood_and_no_row_is_lost_or_asked_twice() {
    const ROWS: u64 = 10_000;
    let office = Office::open();
    let mut list = "名称,统一社会信用代码\n".to_owned();
    for n in 1..=ROWS {
        list.push_str(&format!(
            "示例第{n}号有限公司,{}\n",
            invented::uscc(800_000 + n)
        ));
    }
    std::fs::write(office.path("list.csv"), list).expect("a file");
    let progress = office.path("t.csv.progress");
    let lines_kept = || {
        let kept = std::fs::read_to_string(&progress).unwrap_or_default();
        kept.lines().count()
    };

    // Killed twice, at any moment after something was kept.
    let mut kept_before = 1;
    for _ in 0..2 {
        let mut child = Command::new(binary())
            .args(office.args("list.csv", "t.csv", &HONOUR))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let began = Instant::now();
        while lines_kept() <= kept_before {
            assert!(began.elapsed() < WITHIN, "nothing is kept");
            assert!(
                child.try_wait().expect("its state").is_none(),
                "it ended too early to be killed"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().expect("killed");
        let status = child.wait().expect("its end");
        assert_eq!(status.code(), None, "killed, not ended");
        assert!(!office.path("t.csv").exists(), "half a table is none");
        kept_before = lines_kept();
    }

    // As if the last answers had come and had not been kept: half a line, and less than the service has recorded.
    let kept = std::fs::read_to_string(&progress).expect("progress");
    let lines: Vec<&str> = kept.lines().collect();
    let whole = lines.len() - 100;
    let half = lines[whole].chars().take(40).collect::<String>();
    std::fs::write(&progress, format!("{}\n{half}", lines[..whole].join("\n"))).expect("written");

    let (status, told) = office.screen(
        "list.csv",
        "t.csv",
        &[&HONOUR[..], &["--case", "other"]].concat(),
    );
    assert_eq!(status, Some(2), "{told}");
    assert!(told.contains("other options"), "{told}");
    let (status, told) = office.screen("list.csv", "t.csv", &HONOUR);
    assert_eq!(status, Some(0), "{told}");
    assert!(
        told.contains(&format!("going on: {} rows", whole - 1)),
        "{told}"
    );
    assert!(told.contains("repeated"), "{told}");

    let rows = table(&office.path("t.csv"));
    let places: Vec<u64> = rows
        .iter()
        .map(|row| row[0].parse().expect("a number"))
        .collect();
    assert_eq!(places, (1..=ROWS).collect::<Vec<_>>());
    let lines: Vec<u64> = rows
        .iter()
        .map(|row| row[1].parse().expect("a number"))
        .collect();
    assert_eq!(lines, (2..=ROWS + 1).collect::<Vec<_>>());
    let mut verdicts: Vec<&str> = rows.iter().map(|row| row[14].as_str()).collect();
    verdicts.sort_unstable();
    verdicts.dedup();
    assert_eq!(verdicts.len() as u64, ROWS);
    let recorded = office.recorded();
    assert_eq!(recorded.len() as u64, ROWS, "each row was judged once");
    assert!(!progress.exists());
    office.service.stop();
}

#[test]
fn what_no_row_can_keep_ends_the_run_and_leaves_no_table() {
    let office = Office::open();
    std::fs::write(
        office.path("list.csv"),
        format!("名称,统一社会信用代码\n示例,{}\n", invented::uscc(1)),
    )
    .expect("a file");
    let check = |more: &[&str], out: &str, expected: &str| {
        let (status, told) = office.screen("list.csv", out, more);
        assert_eq!(status, Some(2), "{told}");
        assert!(told.contains(expected), "{told}");
        assert!(!office.path(out).exists());
    };
    let stage = ["--stage", "screen"];
    let with = |more: &[&'static str]| [more, &stage].concat();
    check(&with(&["--scenario", "honor"]), "a.csv", "--role");
    check(
        &with(&["--scenario", "honor", "--role", "candidate"]),
        "a.csv",
        "scenario",
    );
    check(
        &with(&["--scenario", "honour", "--role", "winner"]),
        "b.csv",
        "candidate",
    );
    check(
        &["--scenario", "honour", "--stage", "award"],
        "b.csv",
        "stage",
    );
    check(&["--scenario", "tender"], "c.csv", "--stage");
    check(&HONOUR, "d.txt", ".csv, .xlsx or .jsonl");
    check(
        &[&HONOUR[..], &["--attribute", "colour=red"]].concat(),
        "e.csv",
        "colour",
    );
    let (status, told) = office.screen("list.csv", "list.csv", &HONOUR);
    assert_eq!(status, Some(2), "{told}");
    assert!(told.contains("the list itself"), "{told}");
    let (status, told) = office.screen("missing.csv", "f.csv", &HONOUR);
    assert_eq!(status, Some(2), "{told}");
    assert!(told.contains("missing.csv"), "{told}");
    // A service that is not there: nothing is written, and nothing stands in the way of the next run.
    let server = format!("http://{}", office.service.grpc);
    let list = office.path("list.csv").display().to_string();
    let out = office.path("g.csv").display().to_string();
    let args = [
        "screen",
        &list,
        "-o",
        &out,
        "--region",
        "320500",
        "--purpose",
        "评优审核",
        "--scenario",
        "honour",
        "--server",
        &server,
    ];
    office.service.stop();
    let done = run(&args, "");
    assert_eq!(done.status.code(), Some(2));
    assert!(!office.dir.path().join("g.csv").exists());
}
