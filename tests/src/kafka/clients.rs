//! Clients not ours: `confluent-kafka` by the scripts in `tests/clients`, and `kcat`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::told;
use crate::root;

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
    pub disordered: u64,
    pub late_ms: BTreeMap<String, u64>,
    #[serde(default)]
    pub torn: u64,
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
    /// Whether to compare verdicts with their records in the case state.
    pub with_case_state: bool,
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
            with_case_state: false,
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
        if self.with_case_state {
            command.arg("--case-state");
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

/// Gives every partition back to the leader that comes first in its list; how many changed hands.
///
/// # Panics
/// When the cluster does not do it.
#[must_use]
pub fn elect(bootstrap: &str) -> u64 {
    let mut command = client("kafka_elect.py");
    command.args(["--bootstrap", bootstrap]);
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
