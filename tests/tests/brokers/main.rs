//! creditgate over three real brokers, of which one at a time is hurt while events come in.
//!
//! Two processes share the stream, with the settings they have where nobody says anything. Every story is a row of
//! [rounds](Here::round): events are sent, something happens meanwhile and passes, and a reader not ours accounts for
//! every event that was ever sent. At its end every verdict is decided again. A story that has passed prints one line,
//! `FAULT|what happened|what is promised|what was seen`, which `tests/faults.sh` collects.

#![expect(
    clippy::print_stdout,
    reason = "the stories are told in words, and the driver of the faults reads them"
)]

mod disk;
mod leaders;
mod losses;
mod requests;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_tests::kafka::{Account, Cluster, Invented, Reading, send};
use creditgate_tests::{Service, import_entries};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;

/// Everything in one process.
const ALL: &str = "registry,gate,http,stream,cases";
/// A share of the stream, over lists that another process keeps.
const STREAM: &str = "gate,http,stream";

/// Good and malformed events of a round, and how many come in a second.
const GOOD: u64 = 1_200;
const POISON: u64 = 24;
const RATE: u64 = 100;

/// Longest time until a process is ready again by itself, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// What holds in every story.
const PROMISE: &str = "every event one verdict or one dead letter, in the order of its case; verdict, case state and \
                       offset as one; every verdict replays";

/// Two processes over the topics with one prefix.
struct Here<'a> {
    cluster: &'a Cluster,
    prefix: &'static str,
    services: Vec<Service>,
    rounds: Cell<u64>,
    /// What was seen in each round.
    seen: RefCell<Vec<String>>,
    _dir: TempDir,
}

impl<'a> Here<'a> {
    fn new(cluster: &'a Cluster, prefix: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let serve = |name: &str, roles: &str| {
            let data = dir.path().join(name);
            std::fs::create_dir_all(&data).expect("a directory");
            let bootstrap = cluster.bootstrap();
            let args = ["--kafka", &bootstrap, "--kafka-topic-prefix", prefix];
            Service::start_with(&data, &[&args[..], &["--roles", roles]].concat())
        };
        let first = serve("one", ALL);
        import_entries(&first);
        let services = vec![first, serve("two", STREAM)];
        Self {
            cluster,
            prefix,
            services,
            rounds: Cell::new(0),
            seen: RefCell::default(),
            _dir: dir,
        }
    }

    /// Sends events to these addresses, lets something happen among them, and accounts for all events so far once the
    /// cluster is whole again.
    fn round(&self, name: &str, addresses: &str, happens: impl FnOnce()) -> Account {
        let round = self.rounds.get();
        self.rounds.set(round + 1);
        let source = format!("round-{round}");
        let events = Invented {
            source: &source,
            start: round * GOOD,
            count: GOOD,
            poison: POISON,
            rate: RATE,
            ..Invented::default()
        };
        let sending = send(addresses, &format!("{}.events", self.prefix), events);
        std::thread::sleep(Duration::from_secs(3));
        happens();
        assert_eq!(sending.finish().sent, GOOD + POISON);
        self.cluster.wait_until_level();
        let account = self.assert_settled();
        let late = account.late_ms.get(&source).copied().unwrap_or_default();
        let told = format!("{name} {:.1} s", Duration::from_millis(late).as_secs_f64());
        println!("{}: {told}", self.prefix);
        self.seen.borrow_mut().push(told);
        account
    }

    /// All events so far are settled, once each, and everything fits together.
    fn assert_settled(&self) -> Account {
        let rounds = self.rounds.get();
        let sent = rounds * (GOOD + POISON);
        let mut reading = Reading::of(self.prefix, sent);
        reading.with_offsets = true;
        reading.with_case_state = true;
        let account = reading.read(&self.cluster.direct());
        account.assert_exactly_once();
        // A sender that loses its sequence begins another one, and may put a record there twice: that is the sender's doing,
        // and the second is answered by the first.
        let twice = account
            .events
            .checked_sub(sent)
            .expect("all that was sent is there");
        assert_eq!(account.verdicts, rounds * GOOD, "{account:#?}");
        let letters = rounds * POISON..=rounds * POISON + twice;
        assert!(letters.contains(&account.dead_letters), "{account:#?}");
        let faults = (account.torn, account.disordered);
        assert_eq!(faults, (0, 0), "torn, disordered: {account:#?}");
        let offsets = (account.ahead, account.behind, account.committed);
        assert_eq!(
            offsets,
            (0, 0, account.events),
            "ahead, behind, committed: {account:#?}"
        );
        account
    }

    /// Both processes are ready, and have been running all the time.
    fn assert_ready(&mut self) {
        for service in &mut self.services {
            assert!(service.ended().is_none(), "{}", service.logged());
        }
        for service in &self.services {
            let mut told = None;
            let began = Instant::now();
            while began.elapsed() < READY_WITHIN {
                told = service.get("/readyz");
                if told
                    .as_ref()
                    .is_some_and(|told| told.starts_with("HTTP/1.1 200"))
                {
                    break;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            let ready = told
                .as_ref()
                .is_some_and(|told| told.starts_with("HTTP/1.1 200"));
            assert!(ready, "not ready after {READY_WITHIN:?}: {told:?}");
        }
    }

    /// Every verdict in the topic is decided again, half of them by each process.
    fn assert_replayed(&self) -> usize {
        let mut reading = Reading::of(self.prefix, 0);
        reading.with_records = true;
        let account = reading.read(&self.cluster.direct());
        let told: Vec<(String, String)> = account
            .verdict_records
            .iter()
            .map(|record| {
                let text = |name: &str| record.verdict[name].as_str().expect("a text").to_owned();
                (text("verdict_id"), text("verdict_digest"))
            })
            .collect();
        let count = told.len();
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(async {
            let mut replaying = JoinSet::new();
            for (part, told) in told.chunks(count.div_ceil(4).max(1)).enumerate() {
                let mut gate = self.services[part % self.services.len()].gate().await;
                let told = told.to_vec();
                replaying.spawn(async move {
                    for (verdict_id, digest) in told {
                        let answer = replayed(&mut gate, verdict_id).await;
                        assert!(answer.same && answer.explanation_same, "{answer:?}");
                        assert_eq!(answer.digest_stored, digest, "as in the topic: {answer:?}");
                    }
                });
            }
            while let Some(ended) = replaying.join_next().await {
                ended.expect("every one is the same");
            }
        });
        count
    }

    /// How many transactions ended in a way, in both processes.
    fn transactions(&self, end: &str) -> u64 {
        let label = format!("creditgate_stream_transactions_total{{end=\"{end}\"}} ");
        let of = |service: &Service| {
            let text = service.get("/metrics").expect("metrics");
            let line = text.lines().find_map(|line| line.strip_prefix(&label));
            line.expect("a number").parse::<u64>().expect("a number")
        };
        self.services.iter().map(of).sum()
    }

    /// Ends the story: everything is as it should be, and its line is printed.
    fn end(mut self, fault: &str, promise: &str, more: &str) {
        self.assert_ready();
        let replayed = self.assert_replayed();
        let events = self.rounds.get() * (GOOD + POISON);
        let [committed, doubtful] = ["committed", "doubtful"].map(|end| self.transactions(end));
        println!(
            "FAULT|{fault}|{promise}|{events} events in {} rounds: none lost, doubled, torn or out of order; {replayed} \
             verdicts replayed to their digests; {committed} transactions confirmed, {doubtful} not and looked up; longest from event to verdict: {}{more}",
            self.rounds.get(),
            self.seen.borrow().join(", "),
        );
        for service in self.services.drain(..) {
            service.stop();
        }
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for service in &self.services {
                let logged = service.logged();
                let lines: Vec<&str> = logged.lines().collect();
                let last = &lines[lines.len().saturating_sub(60)..];
                println!("what a process said last:\n{}", last.join("\n"));
            }
            for node in self.cluster.nodes() {
                let logged = node.logged();
                let lines: Vec<&str> = logged.lines().collect();
                let last = &lines[lines.len().saturating_sub(40)..];
                println!(
                    "what broker {} said last:\n{}",
                    node.number(),
                    last.join("\n")
                );
            }
        }
    }
}

/// Decides a verdict again; a process that copies it from another may be a moment behind.
async fn replayed(gate: &mut GateClient<Channel>, verdict_id: String) -> v1::ReplayResponse {
    const WITHIN: Duration = Duration::from_secs(90);
    let began = Instant::now();
    loop {
        let request = v1::ReplayRequest {
            verdict_id: verdict_id.clone(),
        };
        match gate.replay(request).await {
            Ok(answer) => return answer.into_inner(),
            Err(status) if status.code() == Code::NotFound && began.elapsed() < WITHIN => {}
            Err(status) => panic!("{verdict_id} after {:?}: {status:?}", began.elapsed()),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    const WITHIN: Duration = Duration::from_secs(120);
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < WITHIN, "{what}: not within {WITHIN:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
