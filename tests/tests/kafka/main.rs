//! creditgate between the topics of a real Kafka broker: one verdict for each event, whatever dies.
//!
//! Every story ends the same way: a reader not ours follows each event to its verdict or dead letter. Stories that hurt
//! the broker have one of their own; the others share one and differ in their topics' prefix.

mod anchor;
mod answers;
mod cases;
mod chain;
mod crashes;
mod followers;
mod fresh;
mod held;
mod kinds;
mod lists;
mod processes;
mod standby;
mod synchronous;

use std::time::{Duration, Instant};

use creditgate_tests::kafka::{Account, Broker, Reading, written};
use creditgate_tests::{Service, import_entries};
use tempfile::TempDir;

/// Everything in one process.
const ALL: &str = "registry,gate,http,stream,cases";
/// Lists and checks, and no part in the stream.
const REGISTRY: &str = "registry,gate,http";
/// Checks over lists that another process keeps.
const GATE: &str = "gate,http";
/// A share of the stream, over lists that another process keeps; `http` is there to be asked whether it is ready.
const STREAM: &str = "gate,http,stream";

/// A member that died is noticed soon, what it left open is given up soon, and a broker that is back is found soon.
const SOON: [&str; 8] = [
    "--kafka-config",
    "reconnect.backoff.max.ms=1000",
    "--kafka-config",
    "session.timeout.ms=4000",
    "--kafka-config",
    "heartbeat.interval.ms=500",
    "--kafka-config",
    "transaction.timeout.ms=10000",
];

/// Processes over the topics with one prefix.
struct Deployment<'a> {
    broker: &'a Broker,
    prefix: &'static str,
    dir: TempDir,
}

impl<'a> Deployment<'a> {
    fn new(broker: &'a Broker, prefix: &'static str) -> Self {
        Self {
            broker,
            prefix,
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Starts a process with a data directory of that name, which it finds again when it starts again.
    fn serve(&self, name: &str, roles: &str) -> Service {
        self.serve_at(&self.broker.bootstrap(), name, roles, &SOON)
    }

    fn serve_at(&self, bootstrap: &str, name: &str, roles: &str, more: &[&str]) -> Service {
        let data = self.dir.path().join(name);
        std::fs::create_dir_all(&data).expect("a directory");
        let mut args = vec!["--kafka", bootstrap, "--kafka-topic-prefix", self.prefix];
        args.extend(["--roles", roles]);
        args.extend(more);
        Service::start_with(&data, &args)
    }

    /// One process that does everything, with the demonstration's entries.
    fn serve_all(&self) -> Service {
        let service = self.serve("all", ALL);
        import_entries(&service);
        service
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn group(&self) -> String {
        self.topic("stream")
    }

    /// Waits until so many records lie in a topic.
    fn wait_for(&self, topic: &str, records: u64) {
        let topic = self.topic(topic);
        wait_until(&format!("{records} records in {topic}"), || {
            written(&self.broker.bootstrap(), &topic) >= records
        });
    }

    /// What became of the events, once so many are settled; compared with the offsets that the stream has committed.
    fn account(&self, settled: u64) -> Account {
        self.read(settled, false)
    }

    /// As [`Deployment::account`], with verdicts and dead letters.
    fn records(&self, settled: u64) -> Account {
        self.read(settled, true)
    }

    fn read(&self, settled: u64, with_records: bool) -> Account {
        let mut reading = Reading::of(self.prefix, settled);
        reading.with_offsets = true;
        reading.with_records = with_records;
        reading.read(&self.broker.bootstrap())
    }

    /// Every event is settled once, and the committed offsets say so too.
    fn assert_settled(&self, events: u64) -> Account {
        let account = self.account(events);
        account.assert_exactly_once();
        assert_not_torn(&account);
        assert_eq!(account.committed, account.events, "{account:#?}");
        account
    }
}

/// What has a result is exactly what lies below the committed offsets; holds whenever no batch is under way.
fn assert_not_torn(account: &Account) {
    assert_eq!(account.open, 0, "{account:#?}");
    assert_eq!(
        (account.ahead, account.behind),
        (0, 0),
        "results without offset, offsets without result: {account:#?}"
    );
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    const WITHIN: Duration = Duration::from_secs(120);
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < WITHIN, "{what}: not within {WITHIN:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
