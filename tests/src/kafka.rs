//! A real Kafka broker on free ports, and clients not ours that send events to it and account for them.
//!
//! The broker is Apache Kafka itself, from the jars that `tests/kafka/fetch.sh` puts under `target/`. It has two
//! addresses: a direct one, and one that leads through a [`Proxy`] which can hold back the end of transactions.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::root;

/// Longest time a broker may take to answer on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// Any id will do: each broker is a cluster of its own.
const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

/// The JVM as a test wants it: soon there and small.
const JVM: [&str; 5] = [
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
];

/// Runs a broker as its child and ends it when told how, or when the test that holds the other end of standard input
/// is gone, in whatever way it went; then its data goes too. The first argument is the data, the others the command.
/// An interrupt at the terminal is for the test; the keeper stays to clear up.
const KEEPER: &str = r#"
trap '' INT HUP
data=$1; shift
"$@" & broker=$!
if read -r signal; then kill -s "$signal" "$broker"; wait "$broker"
else kill -s KILL "$broker"; wait "$broker"; rm -rf "$data"
fi
"#;

/// A broker with data of its own; it ends with the test.
pub struct Broker {
    dir: TempDir,
    direct: SocketAddr,
    proxy: Proxy,
    keeper: Mutex<Option<Child>>,
}

impl Broker {
    /// Starts a broker and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        fetch();
        let dir = tempfile::tempdir().expect("a directory");
        let [direct, proxied, controller] =
            [(); 3].map(|()| SocketAddr::from(([127, 0, 0, 1], quiet_port())));
        let proxy = Proxy::start(proxied);
        let fixed = std::fs::read_to_string(root().join("tests/kafka/server.properties"))
            .expect("the broker's properties");
        let properties = format!(
            "{fixed}\n\
             listeners=DIRECT://{direct},PROXIED://{proxied},CONTROLLER://{controller}\n\
             advertised.listeners=DIRECT://{direct},PROXIED://{}\n\
             controller.quorum.voters=1@{controller}\n\
             log.dirs={}\n",
            proxy.address(),
            dir.path().join("data").display(),
        );
        let file = dir.path().join("server.properties");
        std::fs::write(&file, properties).expect("a file");
        let formatted = java("kafka.tools.StorageTool")
            .args(["format", "-t", CLUSTER, "-c"])
            .arg(&file)
            .output()
            .expect("java runs");
        assert!(formatted.status.success(), "{}", told(&formatted));
        let broker = Self {
            dir,
            direct,
            proxy,
            keeper: Mutex::new(None),
        };
        broker.restart();
        broker
    }

    /// The broker that all tests of one binary share; each keeps to topics with a prefix of its own.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Where clients find it.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.direct.to_string()
    }

    /// Where clients find it through the proxy; they stay with the proxy then.
    #[must_use]
    pub fn proxied(&self) -> String {
        self.proxy.address().to_string()
    }

    /// What can hold back the end of transactions of those who came through it.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Ends it at once, as `kill -9` does. Its data stays.
    pub fn kill(&self) {
        self.end("KILL");
    }

    /// Asks it to stop and waits until it has. Its data stays.
    pub fn stop(&self) {
        self.end("TERM");
    }

    /// Starts it again over the same data, at the same addresses, and waits until it answers.
    ///
    /// # Panics
    /// When it runs already, and when it does not answer.
    pub fn restart(&self) {
        let mut keeper = self.keeper();
        assert!(keeper.is_none(), "the broker runs already");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("a log file");
        let java = java("kafka.Kafka");
        let child = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(self.dir.path())
            .arg(java.get_program())
            .args(java.get_args())
            .arg(self.dir.path().join("server.properties"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("sh runs");
        *keeper = Some(child);
        drop(keeper);
        self.wait_until_ready();
    }

    /// What it has logged.
    #[must_use]
    pub fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("broker.log")
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Child>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, signal: &str) {
        let mut child = self.keeper().take().expect("a broker that runs");
        let mut stdin = child.stdin.take().expect("its standard input");
        writeln!(stdin, "{signal}").expect("its keeper listens");
        child.wait().expect("its end");
    }

    fn wait_until_ready(&self) {
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            if brokers(self.direct).is_some_and(|brokers| brokers > 0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!(
            "the broker does not answer after {READY_WITHIN:?}:\n{}",
            self.logged()
        );
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.keeper().take() {
            // Without its input the keeper ends the broker; it removes the directory, and so does ours.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// A free port below those that the system gives to outgoing connections: a broker that is down for a while must find
/// its port again, and a client that tries meanwhile must not happen to take it.
fn quiet_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() * 16;
    (0..10_000)
        .map(|_| {
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            20_000 + u16::try_from((start + step) % 10_000).expect("below 10,000")
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// How many brokers the one at this address knows to be up; `None` when it does not answer.
fn brokers(address: SocketAddr) -> Option<i32> {
    // Metadata, version 1, correlation id 7, no client id, no topics.
    const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];
    let wait = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, wait).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    stream.write_all(&REQUEST).ok()?;
    // Length, correlation id, number of brokers.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    Some(i32::from_be_bytes(answer[8..].try_into().ok()?))
}

fn fetch() {
    static FETCHED: OnceLock<()> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let done = Command::new("tests/kafka/fetch.sh")
            .current_dir(root())
            .output()
            .expect("fetch.sh runs");
        assert!(done.status.success(), "{}", told(&done));
    });
}

fn java(class: &str) -> Command {
    let kafka = root().join("tests/kafka/log4j2.properties");
    let jars = root().join("target/kafka/lib").join("*");
    let mut java = Command::new("java");
    java.args(JVM)
        .arg(format!("-Dlog4j2.configurationFile={}", kafka.display()))
        .arg("-cp")
        .arg(jars)
        .arg(class);
    java
}

/// Invented events for a topic.
#[derive(Debug, Clone, Copy)]
pub struct Invented<'a> {
    /// Creates the topic first, with so many partitions; 0: it is there.
    pub create: u32,
    /// Source of the events; with the number it makes their ids.
    pub source: &'a str,
    /// Number of the first.
    pub start: u64,
    /// How many good ones.
    pub count: u64,
    /// How many cases they belong to.
    pub cases: u64,
    /// How many malformed messages among them.
    pub poison: u64,
    /// How many a second; 0: as fast as it goes.
    pub rate: u64,
}

impl Default for Invented<'_> {
    fn default() -> Self {
        Self {
            create: 0,
            source: "python",
            start: 0,
            count: 0,
            cases: 100,
            poison: 0,
            rate: 0,
        }
    }
}

/// What a producer sent, each message acknowledged.
#[derive(Debug, Deserialize)]
pub struct Sent {
    /// How many messages.
    pub sent: u64,
    /// How long it took.
    pub seconds: f64,
    /// How many by partition.
    pub partitions: BTreeMap<String, u64>,
}

/// A producer at work.
pub struct Sending(Child);

impl Sending {
    /// Waits until everything is sent and acknowledged.
    ///
    /// # Panics
    /// When a message could not be sent.
    #[must_use]
    pub fn finish(self) -> Sent {
        parsed(&self.0.wait_with_output().expect("its end"))
    }
}

/// Begins to send invented events, with `confluent-kafka`.
#[must_use]
pub fn send(bootstrap: &str, topic: &str, events: Invented<'_>) -> Sending {
    let child = inventing(bootstrap, topic, events)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python runs");
    Sending(child)
}

fn inventing(bootstrap: &str, topic: &str, events: Invented<'_>) -> Command {
    let mut command = client("kafka_produce.py");
    command
        .args(["--bootstrap", bootstrap, "--topic", topic])
        .args(["--create", &events.create.to_string()])
        .args(["--source", events.source])
        .args(["--start", &events.start.to_string()])
        .args(["--count", &events.count.to_string()])
        .args(["--cases", &events.cases.to_string()])
        .args(["--poison", &events.poison.to_string()])
        .args(["--rate", &events.rate.to_string()]);
    command
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It counts.
    Commit,
    /// It is given up.
    Abort,
    /// Its producer dies; the broker gives it up after 5 seconds.
    Leave,
}

/// Sends invented events as one transaction.
///
/// # Panics
/// When a message could not be sent.
pub fn send_as_one(
    bootstrap: &str,
    topic: &str,
    events: Invented<'_>,
    id: &str,
    ending: Ending,
) -> Sent {
    let ending = match ending {
        Ending::Commit => "commit",
        Ending::Abort => "abort",
        Ending::Leave => "leave",
    };
    let mut command = inventing(bootstrap, topic, events);
    command.args(["--transaction", id, "--ending", ending]);
    parsed(&fed(command, b""))
}

/// Sends messages of one's own, with `confluent-kafka`: objects with `value` or `base64`, `key`, `headers`, `partition`.
///
/// # Panics
/// When a message could not be sent.
pub fn send_messages(bootstrap: &str, topic: &str, messages: &[serde_json::Value]) -> Sent {
    let lines: String = messages
        .iter()
        .map(|message| format!("{message}\n"))
        .collect();
    let mut command = client("kafka_produce.py");
    command.args(["--bootstrap", bootstrap, "--topic", topic, "--lines"]);
    parsed(&fed(command, lines.as_bytes()))
}

/// What the independent reader found; see `tests/clients/kafka_read.py` for each word.
#[derive(Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "the reader's own help says what each number is"
)]
pub struct Account {
    pub events: u64,
    pub events_distinct: u64,
    pub verdicts: u64,
    pub verdicts_distinct: u64,
    pub dead_letters: u64,
    pub dead_letters_distinct: u64,
    pub doubled: u64,
    pub missing: u64,
    pub misplaced: u64,
    pub samples: BTreeMap<String, Vec<String>>,
    pub unasked: u64,
    pub outcomes: BTreeMap<String, u64>,
    pub list_versions: BTreeMap<String, u64>,
    pub codes: BTreeMap<String, u64>,
    pub pause_ms: BTreeMap<String, u64>,
    pub open: u64,
    pub in_time: bool,
    #[serde(default)]
    pub ahead: u64,
    #[serde(default)]
    pub behind: u64,
    #[serde(default)]
    pub committed: u64,
    #[serde(default)]
    pub verdict_records: Vec<VerdictRecord>,
    #[serde(default)]
    pub dead_letter_records: Vec<DeadLetter>,
}

impl Account {
    /// Every event has one verdict or one dead letter, in its place, and no transaction is left open.
    ///
    /// # Panics
    /// When that is not so.
    pub fn assert_exactly_once(&self) {
        let faults = (self.doubled, self.missing, self.misplaced, self.open);
        assert_eq!(
            faults,
            (0, 0, 0, 0),
            "doubled, missing, misplaced, open: {self:#?}"
        );
        assert!(self.in_time, "{self:#?}");
        assert_eq!(self.dead_letters, self.dead_letters_distinct, "{self:#?}");
    }

    /// The longest time between two verdicts of one partition.
    #[must_use]
    pub fn longest_pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms.values().copied().max().unwrap_or_default())
    }
}

/// A verdict as it lies in its topic.
#[derive(Debug, Deserialize)]
pub struct VerdictRecord {
    /// Its partition.
    pub partition: i32,
    /// Its key: the case.
    pub key: Option<String>,
    /// Its headers.
    pub headers: BTreeMap<String, Option<String>>,
    /// The verdict as JSON.
    pub verdict: serde_json::Value,
}

/// A dead letter as it lies in its topic.
#[derive(Debug, Deserialize)]
pub struct DeadLetter {
    /// The key of the original.
    pub key: Option<String>,
    /// Its headers and ours.
    pub headers: BTreeMap<String, Option<String>>,
    /// The value of the original, in base64.
    pub base64: String,
}

impl DeadLetter {
    /// One of its headers; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(Option::as_deref)
            .unwrap_or_default()
    }
}

/// What the independent reader looks at.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// The prefix of the topics.
    pub prefix: &'a str,
    /// How many events must have a verdict or a dead letter before it ends.
    pub expect: u64,
    /// How long it waits for them.
    pub within: Duration,
    /// Whether to compare with what the stream's consumer group has committed.
    pub with_offsets: bool,
    /// Whether to bring verdicts and dead letters whole.
    pub with_records: bool,
}

impl<'a> Reading<'a> {
    /// Numbers only, from the topics with a prefix.
    #[must_use]
    pub fn of(prefix: &'a str, expect: u64) -> Self {
        Self {
            prefix,
            expect,
            within: Duration::from_secs(120),
            with_offsets: false,
            with_records: false,
        }
    }

    /// Reads with `confluent-kafka` what was committed.
    ///
    /// # Panics
    /// When the topics cannot be read.
    #[must_use]
    pub fn read(self, bootstrap: &str) -> Account {
        let mut command = client("kafka_read.py");
        command
            .args(["--bootstrap", bootstrap, "--prefix", self.prefix])
            .args(["--expect", &self.expect.to_string()])
            .args(["--within", &self.within.as_secs_f64().to_string()]);
        if self.with_offsets {
            command.args(["--group", &format!("{}.stream", self.prefix)]);
        }
        if self.with_records {
            command.arg("--records");
        }
        parsed(&fed(command, b""))
    }
}

/// Waits until so many members of a consumer group have partitions; how many partitions each has.
///
/// # Panics
/// When that does not come about within a minute.
#[must_use]
pub fn members(bootstrap: &str, group: &str, members: usize) -> Vec<usize> {
    let mut command = client("kafka_group.py");
    command
        .args(["--bootstrap", bootstrap, "--group", group])
        .args(["--members", &members.to_string()]);
    parsed(&fed(command, b""))
}

/// How many records lie in a topic, open transactions and their marks included: enough to see it go on.
#[must_use]
pub fn written(bootstrap: &str, topic: &str) -> u64 {
    let known: serde_json::Value =
        serde_json::from_slice(&kcat(&["-L", "-J", "-b", bootstrap, "-t", topic], b""))
            .expect("JSON");
    let partitions = known["topics"][0]["partitions"]
        .as_array()
        .map_or(0, Vec::len);
    let ends: Vec<String> = (0..partitions)
        .flat_map(|partition| ["-t".to_owned(), format!("{topic}:{partition}:-1")])
        .collect();
    let mut args = vec!["-Q", "-b", bootstrap];
    args.extend(ends.iter().map(String::as_str));
    let told = kcat(&args, b"");
    // Each line ends with its offset.
    String::from_utf8_lossy(&told)
        .lines()
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Runs `kcat` to its end; its options decide whether it sends or reads.
///
/// # Panics
/// When it is not there or fails.
pub fn kcat(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("kcat");
    command.args(args);
    let done = fed(command, input);
    assert!(done.status.success(), "kcat {args:?}: {}", told(&done));
    done.stdout
}

fn client(script: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(root().join("tests/clients").join(script));
    command
}

fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let made = Command::new("tests/clients/venv.sh")
            .current_dir(root())
            .output()
            .expect("venv.sh runs");
        assert!(made.status.success(), "{}", told(&made));
        PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
    })
}

fn fed(mut command: Command, input: &[u8]) -> Output {
    let program = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
    let mut stdin = child.stdin.take().expect("standard input");
    // One that reads nothing may have ended; its exit code tells the rest.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("its end")
}

fn parsed<T: DeserializeOwned>(done: &Output) -> T {
    assert!(done.status.success(), "{}", told(done));
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", told(done)))
}

fn told(done: &Output) -> String {
    let [out, err] = [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{}\n{out}\n{err}", done.status)
}
