//! How fast real files come in: a million invented rows as GB18030 CSV and as XLSX parts, through the
//! command line into a running service; then the same again, a file that shrank, and one with bad rows.
//!
//! `cargo build --release && cargo run --release -p creditgate --example import_files -- 1000000`

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use creditgate_measures::identifier::invented;
use rust_xlsxwriter::Workbook;

const HEADERS: [&str; 9] = [
    "名单类型",
    "主体名称",
    "统一社会信用代码",
    "认定部门",
    "认定依据",
    "列入事由",
    "认定日期",
    "有效期止",
    "文书号",
];
const SOURCE: &str = "示例数据中心";
/// Rows of one XLSX file, as portals give them out.
const PART_ROWS: u64 = 100_000;
/// Every so many rows one is bad.
const BAD_EVERY: u64 = 100;

fn main() {
    let rows: u64 = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    let dir = tempfile::tempdir().expect("a directory");
    let files = Files::write(dir.path(), rows);

    println!("\n== GB18030 CSV into an empty service");
    let service = Service::start(&dir.path().join("csv"));
    let took = service.import(&["--full"], std::slice::from_ref(&files.csv), 0);
    rate("CSV", rows, took);
    let checked = service.check(rows - 1);
    println!(
        "a check of the last row sees it {:.0} ms after the import ended",
        millis(checked)
    );

    println!("\n== the same file again");
    let before = service.version();
    let took = service.import(&["--full"], std::slice::from_ref(&files.csv), 0);
    rate("unchanged", rows, took);
    println!("list version before {before}, after {}", service.version());

    println!("\n== the same rows as XLSX parts, into the same service");
    let took = service.import(&["--full"], &files.parts, 0);
    rate("XLSX, unchanged", rows, took);

    println!("\n== a file that shrank by 21 %");
    service.import(&["--full"], &[files.shrunk], 1);
    service.run(&["lists", "held"]);

    println!("\n== a file with 1 % bad rows");
    let report = dir.path().join("report.csv");
    let report_arg = report.to_string_lossy().into_owned();
    let took = service.import(
        &["--on-error", "skip", "--report", &report_arg],
        &[files.bad],
        1,
    );
    rate("with bad rows", rows, took);
    let text = std::fs::read_to_string(&report).expect("a report");
    println!(
        "refused rows in the report: {} of {}",
        text.lines().filter(|line| line.contains(".csv,")).count(),
        rows / BAD_EVERY
    );
    service.stop();

    println!("\n== XLSX parts into an empty service");
    let service = Service::start(&dir.path().join("xlsx"));
    let took = service.import(&["--full"], &files.parts, 0);
    rate("XLSX", rows, took);
    service.stop();
}

struct Files {
    csv: PathBuf,
    parts: Vec<PathBuf>,
    shrunk: PathBuf,
    bad: PathBuf,
}

impl Files {
    fn write(dir: &Path, rows: u64) -> Self {
        let started = Instant::now();
        let csv = dir.join("名单.csv");
        write_csv(&csv, 0..rows, |_| false);
        let shrunk = dir.join("名单-缩水.csv");
        write_csv(&shrunk, 0..rows * 79 / 100, |_| false);
        let bad = dir.join("名单-有误.csv");
        write_csv(&bad, 0..rows, |n| n % BAD_EVERY == BAD_EVERY - 1);
        let starts = (0..rows).step_by(usize::try_from(PART_ROWS).expect("small"));
        let parts: Vec<PathBuf> = starts
            .map(|first| {
                let path = dir.join(format!("名单-{:03}.xlsx", first / PART_ROWS));
                write_xlsx(&path, first..rows.min(first + PART_ROWS));
                path
            })
            .collect();
        println!(
            "wrote {rows} rows four times in {:.0} s: CSV {} MiB, {} XLSX parts",
            started.elapsed().as_secs_f64(),
            std::fs::metadata(&csv).map_or(0, |file| file.len() >> 20),
            parts.len()
        );
        Self {
            csv,
            parts,
            shrunk,
            bad,
        }
    }
}

fn cells(n: u64, bad: bool) -> [String; 9] {
    let mut code = invented::uscc(n);
    if bad {
        // A check digit that does not hold.
        let last = code.pop();
        code.push(if last == Some('0') { '1' } else { '0' });
    }
    [
        "失信被执行人名单".to_owned(),
        format!("示例第{n}号贸易有限公司"),
        code,
        "示例市人民法院".to_owned(),
        "最高人民法院关于公布失信被执行人名单信息的若干规定".to_owned(),
        "有履行能力而拒不履行生效法律文书确定义务".to_owned(),
        "2026-01-05".to_owned(),
        "2028-01-04".to_owned(),
        format!("（2026）示例执{n}号"),
    ]
}

fn write_csv(path: &Path, numbers: std::ops::Range<u64>, bad: impl Fn(u64) -> bool) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    let mut line = |cells: &[String]| {
        let text = cells.join(",") + "\r\n";
        let (bytes, _, replaced) = encoding_rs::GB18030.encode(&text);
        assert!(!replaced);
        out.write_all(&bytes).expect("written");
    };
    line(&HEADERS.map(str::to_owned));
    for n in numbers {
        line(&cells(n, bad(n)));
    }
    out.flush().expect("written");
}

fn write_xlsx(path: &Path, numbers: std::ops::Range<u64>) {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write_row(0, 0, HEADERS).expect("a header");
    for (row, n) in (1..).zip(numbers) {
        sheet.write_row(row, 0, cells(n, false)).expect("a row");
    }
    book.save(path).expect("saved");
}

fn rate(what: &str, rows: u64, took: Duration) {
    println!(
        "{what}: {:.1} s, {:.0} rows/s",
        took.as_secs_f64(),
        rows as f64 / took.as_secs_f64()
    );
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

/// The binary, built beside this program.
fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("this program");
    let built = own
        .parent()
        .and_then(Path::parent)
        .expect("its directory")
        .join("creditgate");
    assert!(
        built.exists(),
        "build the binary first: cargo build --release"
    );
    built
}

/// A service of its own.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(data_dir: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let child = Command::new(binary())
            .arg("serve")
            .arg("--data-dir")
            .arg(data_dir)
            .args([
                "--grpc-addr",
                &address,
                "--http-addr",
                "127.0.0.1:0",
                "--log-filter",
                "warn",
            ])
            .spawn()
            .expect("a service");
        let service = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !service.quietly(&["lists", "state"]).success() {
            assert!(Instant::now() < deadline, "the service does not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
        service
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .args(["--server", &format!("http://{}", self.address)]);
        command
    }

    fn quietly(&self, args: &[&str]) -> ExitStatus {
        let mut command = self.command(args);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("run")
    }

    fn run(&self, args: &[&str]) {
        let status = self.command(args).status().expect("run");
        assert!(status.success());
    }

    /// Imports files and tells the most memory that both sides took.
    fn import(&self, flags: &[&str], files: &[PathBuf], exit: i32) -> Duration {
        let started = Instant::now();
        let mut command =
            self.command(&["lists", "import", "--source-unit", SOURCE, "--list", "B01"]);
        let mut client = command
            .args(flags)
            .args(files)
            .stderr(Stdio::null())
            .spawn()
            .expect("an import");
        let mut most = 0;
        let status = loop {
            most = most.max(high_water(client.id()));
            match client.try_wait().expect("an import") {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let took = started.elapsed();
        assert_eq!(status.code(), Some(exit), "the import ended otherwise");
        println!(
            "memory, most so far: service {} MiB, command {} MiB",
            high_water(self.child.id()) >> 10,
            most >> 10
        );
        took
    }

    /// Checks a firm until it is found listed.
    fn check(&self, n: u64) -> Duration {
        let started = Instant::now();
        let subject = format!("role=bidder,id=USCC:{}", invented::uscc(n));
        let args = [
            "check",
            "--scenario",
            "tender",
            "--stage",
            "evaluate",
            "--region",
            "320505",
            "--attribute",
            "mandatory_tender=true",
            "--subject",
            &subject,
            "--json",
        ];
        loop {
            let answer = self.command(&args).output().expect("a check");
            if String::from_utf8_lossy(&answer.stdout).contains("\"result_code\": 8") {
                return started.elapsed();
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the row is not found"
            );
        }
    }

    fn version(&self) -> String {
        let answer = self
            .command(&["lists", "state"])
            .output()
            .expect("the state");
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    }

    fn stop(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Most resident memory of a process so far, in KiB; 0 when it has gone.
fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
