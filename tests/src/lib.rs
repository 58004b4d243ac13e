//! What only the whole shows: the binary as its users meet it.
//!
//! [`Service`] starts the real binary on free ports with a directory of its own, waits for its
//! state and ends only what it started. [`kafka::Broker`] does the same for a real Kafka broker.

#![expect(
    clippy::expect_used,
    reason = "a harness of tests fails where it stands"
)]

pub mod bad;
pub mod cases;
pub mod faults;
pub mod kafka;
pub mod land;
pub mod policy;
pub mod proxy;
pub mod target;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use creditgate_measures::time::Time;
use creditgate_proto::v1;
use creditgate_proto::v1::books_client::BooksClient;
use creditgate_proto::v1::cases_client::CasesClient;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_proto::v1::identity_client::IdentityClient;
use creditgate_proto::v1::lists_client::ListsClient;
use creditgate_proto::v1::procedures_client::ProceduresClient;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

/// The size of a segment of a journal.
pub const SEGMENT_MIB: &str = "CREDITGATE_JOURNAL_SEGMENT_MIB";

/// Longest time a service may take to be ready on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The verdict of an event for a caller who keeps to what it is asked: when it is turned away with a hint, it waits that
/// long and asks again.
///
/// # Errors
/// Any other refusal.
///
/// # Panics
/// When the answer has no verdict.
pub async fn patient(
    gate: &mut GateClient<Channel>,
    event: v1::Event,
) -> Result<v1::Verdict, Status> {
    const TRIES: u32 = 100;
    for nth in 1.. {
        let request = v1::CheckRequest {
            event: Some(event.clone()),
        };
        match gate.check(request).await {
            Ok(answer) => return Ok(answer.into_inner().verdict.expect("a verdict")),
            Err(refused) => match retry_after(&refused) {
                Some(wait) if nth < TRIES => tokio::time::sleep(wait).await,
                _ => return Err(refused),
            },
        }
    }
    unreachable!("it ends after some tries")
}

/// How long a caller who is turned away is asked to stay away.
#[must_use]
pub fn retry_after(refused: &Status) -> Option<Duration> {
    refused.get_details_retry_info()?.retry_delay
}

/// The workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// The binary of this tree, built when it is not; or the one that `CREDITGATE_BIN` names.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("CREDITGATE_BIN") {
            return PathBuf::from(named);
        }
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        build
            .args(["build", "--quiet", "-p", "creditgate"])
            .current_dir(root());
        // What cargo told this test about its own package would make build scripts run again.
        for (name, _) in std::env::vars_os() {
            let of_package = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
            });
            if of_package {
                build.env_remove(name);
            }
        }
        let built = build.status().expect("cargo runs");
        assert!(built.success(), "the binary does not build");
        // target/debug/deps/<this test> → target/debug/creditgate
        let test = std::env::current_exe().expect("the path of this test");
        test.parent()
            .and_then(Path::parent)
            .expect("the target directory")
            .join("creditgate")
    })
}

/// Runs a command of the binary to its end.
pub fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary())
        .args(args)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("standard input");
    // A command that reads nothing may have ended; its exit code tells the rest.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the binary ends")
}

/// What time it is.
///
/// # Panics
/// When the clock is far off.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.expect("after 1970").as_micros();
    Time::from_micros(i64::try_from(micros).expect("before the year 294,000"))
}

/// A port of this machine that was free a moment ago.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A running service.
pub struct Service {
    child: Child,
    log: PathBuf,
    /// Where gRPC listens.
    pub grpc: SocketAddr,
    /// Where HTTP listens.
    pub http: SocketAddr,
}

impl Service {
    /// Starts the service over a data directory and waits until it is ready.
    #[must_use]
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// As [`Service::start`], with further arguments.
    #[must_use]
    pub fn start_with(data_dir: &Path, more: &[&str]) -> Self {
        Self::start_binary(binary(), data_dir, more)
    }

    /// As [`Service::start_with`], with another binary.
    #[must_use]
    pub fn start_binary(binary: &Path, data_dir: &Path, more: &[&str]) -> Self {
        let log = data_dir.join("service.log");
        let mut service = Self::launch(Command::new(binary), data_dir, &log, more);
        service.wait_until_ready();
        service
    }

    /// As [`Service::start_with`], by a command that ends with the binary, and without waiting; it logs to that file.
    #[must_use]
    pub fn launch(mut command: Command, data_dir: &Path, log_path: &Path, more: &[&str]) -> Self {
        let grpc = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log_path)
            .expect("a log file");
        // Small, unless the command says otherwise, so that a short story sees several.
        if command.get_envs().all(|(name, _)| name != SEGMENT_MIB) {
            command.env(SEGMENT_MIB, "4");
        }
        // What is meant for the tests themselves.
        for name in [
            "CREDITGATE_BIN",
            "CREDITGATE_SEED",
            "CREDITGATE_FAULTS_LONG",
            "CREDITGATE_FAULTS_SECONDS",
        ] {
            command.env_remove(name);
        }
        let child = command
            .arg("serve")
            .args(["--data-dir", &data_dir.display().to_string()])
            .args([
                "--grpc-addr",
                &grpc.to_string(),
                "--http-addr",
                &http.to_string(),
            ])
            .args(more)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the service starts");
        Self {
            child,
            log: log_path.to_owned(),
            grpc,
            http,
        }
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it ends, or is not ready in time.
    pub fn wait_until_ready(&mut self) {
        let began = Instant::now();
        let mut answered = None;
        while began.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait().expect("its state") {
                panic!("the service ended with {status}:\n{}", self.logged());
            }
            answered = self.get("/readyz");
            if answered
                .as_ref()
                .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let (answered, logged) = (answered.unwrap_or_default(), self.logged());
        panic!("the service is not ready after {READY_WITHIN:?}: {answered}\n{logged}");
    }

    /// The whole answer to a GET, head and body; `None` when nobody answers.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<String> {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ))
    }

    /// The whole answer to a POST of a JSON body.
    #[must_use]
    pub fn post(&self, path: &str, body: &str) -> Option<String> {
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn send(&self, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.http, Duration::from_secs(2)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// One number of `/metrics`, summed over its labels.
    #[must_use]
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").expect("metrics");
        text.lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .filter_map(|(_, value)| value.parse::<f64>().ok())
            .sum()
    }

    /// A client of the gate.
    pub async fn gate(&self) -> GateClient<Channel> {
        GateClient::new(self.channel().await).max_decoding_message_size(64 << 20)
    }

    /// A client of the lists.
    pub async fn lists(&self) -> ListsClient<Channel> {
        ListsClient::new(self.channel().await)
    }

    /// A client of the cases.
    pub async fn cases(&self) -> CasesClient<Channel> {
        CasesClient::new(self.channel().await)
    }

    /// A client of the books.
    pub async fn books(&self) -> BooksClient<Channel> {
        BooksClient::new(self.channel().await).max_encoding_message_size(64 << 20)
    }

    /// A client of the procedures around the lists.
    pub async fn procedures(&self) -> ProceduresClient<Channel> {
        ProceduresClient::new(self.channel().await)
    }

    /// A client of what is known of subjects.
    pub async fn identity(&self) -> IdentityClient<Channel> {
        IdentityClient::new(self.channel().await)
    }

    async fn channel(&self) -> Channel {
        let endpoint = format!("http://{}", self.grpc);
        Channel::from_shared(endpoint)
            .expect("an address")
            .connect()
            .await
            .expect("the service")
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its state")
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().expect("the process");
        self.child.wait().expect("its end");
    }

    /// What it has logged.
    #[must_use]
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks the process to stop and waits until it has.
    ///
    /// # Panics
    /// When it does not end well; with what it logged.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill runs");
        assert!(asked.success());
        let status = self.child.wait().expect("its end");
        assert!(
            status.success(),
            "it ended with {status}:\n{}",
            self.logged()
        );
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Imports the invented entries of the demonstration; every list of the book is confirmed then.
pub fn import_entries(service: &Service) {
    let server = format!("http://{}", service.grpc);
    let file = "services/creditgate/demo/entries.csv";
    let done = run(
        &[
            "lists",
            "import",
            file,
            "--source-unit",
            "演示数据",
            "--server",
            &server,
        ],
        "",
    );
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A tender evaluation with one bidder.
#[must_use]
pub fn evaluation(id: &str, uscc: &str) -> v1::Event {
    v1::Event {
        source: "tests".to_owned(),
        id: id.to_owned(),
        case_id: format!("case-{id}"),
        scenario: "tender".to_owned(),
        stage: "evaluate".to_owned(),
        region: "320505".to_owned(),
        subjects: vec![v1::Subject {
            role: "bidder".to_owned(),
            id_type: "USCC".to_owned(),
            id: uscc.to_owned(),
            kind: "enterprise".to_owned(),
            ..v1::Subject::default()
        }],
        attributes: [(
            "mandatory_tender".to_owned(),
            pbjson_types::Value {
                kind: Some(pbjson_types::value::Kind::BoolValue(true)),
            },
        )]
        .into(),
        ..v1::Event::default()
    }
}
