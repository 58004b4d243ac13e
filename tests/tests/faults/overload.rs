//! Too much work: more checks than there is processor for, readers who do not read, batches as large as may be, and
//! thousands of connections that send nothing.
//!
//! The service gets a small share of one processor, so that a client on the same machine can ask ten times of what it
//! can answer. Built without optimisation the figures mean little: `tests/faults.sh` builds with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_tests::faults::{event, memory_mib, readiness, told};
use creditgate_tests::{Service, binary, import_entries, retry_after};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::seconds;
use super::small::run;

/// Hundredths of one processor for the service; `CREDITGATE_FAULTS_CPU_PERCENT` says otherwise.
const CPU_PERCENT: u64 = if cfg!(debug_assertions) { 5 } else { 20 };
/// Connections of the client that asks too much.
const CONNECTIONS: usize = 64;
/// Callers who keep it busy; its capacity is what they are answered.
const CALLERS: usize = 128;
/// Calls of it that are under way at most; what is due beyond is not sent.
const UNDER_WAY: usize = 8_192;
/// How often, and for how long each time, ten times as much is asked.
const ROUNDS: u32 = 3;
const LASTS: Duration = Duration::from_secs(10);
/// How long a caller waits.
const DEADLINE: Duration = Duration::from_secs(2);
/// A thousand callers who come in the same instant are all let in; from this time on it is known that they are too many.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
/// What the service may take in memory, whatever is asked of it, above what it takes at rest.
const GROWTH_MIB: u64 = 512;
/// How much longer accepted work may take under overload than at 85 % load.
const SLOWER_MAX: f64 = 3.0;
/// What is answered within this while others misbehave is not slow, however fast it was before.
const NOT_SLOW_MS: f64 = 100.0;
/// What part of the checks may be turned away where there is time for all: the service runs in turns with whatever else
/// the machine does, and takes a long pause for too much work.
const SHED_IN_TIME_MAX: f64 = 0.1;
/// What part of its capacity it still answers while ten times as much is asked by callers who do not heed the hint.
const DEAF_RATE_MIN: f64 = 0.1;
/// Time to be as before once the overload is over.
const RECOVERS_WITHIN: Duration = Duration::from_secs(5);

fn cpu_percent() -> u64 {
    let said = std::env::var("CREDITGATE_FAULTS_CPU_PERCENT").ok();
    let said = said.and_then(|text| text.parse().ok());
    said.unwrap_or(CPU_PERCENT).clamp(1, 1_000)
}

/// A share of one processor for one process.
struct Share(PathBuf);

impl Share {
    fn new() -> Self {
        // As evenly as it goes, so that this is a slow processor and not one that often stands still; a quota of less than a
        // millisecond is refused.
        const PERIOD_US: u64 = 5_000;
        const QUOTA_US: u64 = 1_000;
        let percent = cpu_percent();
        let period = PERIOD_US.max(QUOTA_US * 100 / percent);
        let quota = period * percent / 100;
        let name = format!("creditgate-faults-{}", std::process::id());
        let old = Path::new("/sys/fs/cgroup/cpu");
        let dir = match old.exists() {
            true => old.join(name),
            false => Path::new("/sys/fs/cgroup").join(name),
        };
        fs::create_dir(&dir).expect("a control group (needs root)");
        let write = |file: &str, text: String| fs::write(dir.join(file), text).expect(file);
        match old.exists() {
            true => {
                write("cpu.cfs_period_us", period.to_string());
                write("cpu.cfs_quota_us", quota.to_string());
            }
            false => write("cpu.max", format!("{quota} {period}")),
        }
        Self(dir)
    }

    /// From now on the process has no more than the share.
    fn give(&self, service: &Service) {
        fs::write(self.0.join("cgroup.procs"), service.pid().to_string()).expect("it moves");
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A service, and as many file handles for this client as there may be.
fn start(dir: &Path) -> Service {
    // As many as there may be, for this process and for the one it starts.
    let own = std::process::id().to_string();
    let limits = Command::new("prlimit")
        .args([
            "--pid",
            &own,
            "--nofile",
            "--noheadings",
            "--raw",
            "--output=HARD",
        ])
        .output()
        .expect("prlimit runs");
    let hard = String::from_utf8_lossy(&limits.stdout).trim().to_owned();
    run(
        "prlimit",
        &["--pid", &own, &format!("--nofile={hard}:{hard}")],
    );
    let log = dir.join("service.log");
    let mut service = Service::launch(Command::new(binary()), dir, &log, &[]);
    service.wait_until_ready();
    import_entries(&service);
    service
}

async fn connect(service: &Service, connections: usize) -> Vec<GateClient<Channel>> {
    let mut gates = Vec::new();
    for _ in 0..connections {
        gates.push(connected(endpoint(service)).await);
    }
    gates
}

fn endpoint(service: &Service) -> Endpoint {
    Endpoint::from_shared(format!("http://{}", service.grpc)).expect("an address")
}

async fn connected(endpoint: Endpoint) -> GateClient<Channel> {
    let channel = endpoint.connect().await.expect("the service");
    GateClient::new(channel).max_decoding_message_size(256 << 20)
}

/// What became of calls.
#[derive(Debug, Default)]
struct Tally {
    /// How long those took that got a verdict.
    accepted: Vec<Duration>,
    /// How long those took that were turned away with a hint when to try again.
    shed: Vec<Duration>,
    /// Refused otherwise, by code.
    other: std::collections::BTreeMap<String, u64>,
    /// As `accepted`, of those that came before it had settled.
    at_first: Vec<Duration>,
    /// Due and not sent, since too many were under way.
    unsent: u64,
    /// When the last was sent.
    ended: Option<Instant>,
    lasted: Duration,
}

impl Tally {
    fn note(&mut self, took: Duration, answer: Result<(), tonic::Status>) {
        match answer {
            Ok(()) => self.accepted.push(took),
            Err(status)
                if status.code() == Code::ResourceExhausted && retry_after(&status).is_some() =>
            {
                self.shed.push(took);
            }
            Err(status) => {
                *self
                    .other
                    .entry(format!("{:?}", status.code()))
                    .or_default() += 1
            }
        }
    }

    fn rate(&self) -> f64 {
        self.accepted.len() as f64 / self.lasted.as_secs_f64()
    }

    /// The time that a share of the accepted did not exceed, in milliseconds.
    fn ms(&self, share: f64) -> f64 {
        at(&self.accepted, share)
    }
}

fn at(times: &[Duration], share: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let index = (times.len() as f64 * share) as usize;
    let at = times.get(index.min(times.len().saturating_sub(1)));
    at.map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

async fn ask(gate: &mut GateClient<Channel>, id: &str, n: u64) -> Result<(), tonic::Status> {
    let event = Some(event(id, n));
    let asked = gate.check(v1::CheckRequest { event });
    match tokio::time::timeout(DEADLINE, asked).await {
        Ok(answer) => answer.map(|_| ()),
        Err(_) => Err(tonic::Status::deadline_exceeded("the caller left")),
    }
}

/// Asks so many a second, whether they are answered or not.
async fn at_rate(gates: &[GateClient<Channel>], name: &str, rate: f64, lasts: Duration) -> Tally {
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let (noted, mut notes) = mpsc::unbounded_channel();
    let mut tally = Tally::default();
    let began = Instant::now();
    let mut n = 0_u64;
    while began.elapsed() < lasts {
        let due = (began.elapsed().as_secs_f64() * rate) as u64;
        while n < due {
            n += 1;
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                tally.unsent += 1;
                continue;
            };
            let mut gate = gates[usize::try_from(n).expect("a number") % gates.len()].clone();
            let (noted, id) = (noted.clone(), format!("{name}-{n}"));
            tokio::spawn(async move {
                let sent = Instant::now();
                let answer = ask(&mut gate, &id, n).await;
                let _ = noted.send((sent.elapsed(), answer));
                drop(place);
            });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tally.lasted = began.elapsed();
    tally.ended = Some(Instant::now());
    drop(noted);
    while let Some((took, answer)) = notes.recv().await {
        tally.note(took, answer);
    }
    tally
}

/// As many callers as said, each of whom waits for its answer before it asks again, and stays away as long as it was
/// asked to.
async fn callers(
    gates: &[GateClient<Channel>],
    name: &str,
    callers: usize,
    lasts: Duration,
) -> Tally {
    let (noted, mut notes) = mpsc::unbounded_channel();
    let began = Instant::now();
    for caller in 0..callers {
        let mut gate = gates[caller % gates.len()].clone();
        let (name, noted) = (format!("{name}-{caller}"), noted.clone());
        tokio::spawn(async move {
            let mut n = 0;
            while began.elapsed() < lasts {
                n += 1;
                let sent = Instant::now();
                let answer = ask(&mut gate, &format!("{name}-{n}"), n).await;
                let took = sent.elapsed();
                let wait = answer.as_ref().err().and_then(retry_after);
                let _ = noted.send((sent, took, answer));
                if let Some(wait) = wait {
                    tokio::time::sleep(wait.min(lasts.saturating_sub(began.elapsed()))).await;
                }
            }
        });
    }
    drop(noted);
    let mut tally = Tally::default();
    while let Some((sent, took, answer)) = notes.recv().await {
        match sent.duration_since(began) < SETTLES_WITHIN {
            true => tally.at_first.extend(answer.is_ok().then_some(took)),
            false => tally.note(took, answer),
        }
    }
    tally.ended = Some(began + lasts);
    tally.lasted = lasts.saturating_sub(SETTLES_WITHIN);
    tally
}

/// What it answers to those who keep it busy, and then at 85 % of that. Where the machine has become slower meanwhile
/// that was no 85 %, and both are taken anew.
#[expect(clippy::print_stdout, reason = "a story is told in words")]
async fn at_85_percent(gates: &[GateClient<Channel>], round: u32) -> (Tally, Tally) {
    const LASTS: Duration = Duration::from_secs(6);
    const SLOWER: f64 = 0.9;
    const TRIES: u32 = 3;
    let mut most = callers(gates, &format!("most-{round}-0"), CALLERS, LASTS).await;
    for n in 1.. {
        let name = format!("usual-{round}-{n}");
        let usual = at_rate(gates, &name, 0.85 * most.rate(), Duration::from_secs(8)).await;
        let again = callers(gates, &format!("most-{round}-{n}"), CALLERS, LASTS).await;
        if again.rate() >= SLOWER * most.rate() || n == TRIES {
            return (most, usual);
        }
        println!(
            "the machine became slower ({:.0}/s, {:.0} before): once more",
            again.rate(),
            most.rate()
        );
        most = again;
    }
    unreachable!("it ends after some tries")
}

/// One line of what became of much work.
fn outcome(much: &Tally, usual: &Tally) -> String {
    format!(
        "{:.0}/s answered, p50 {:.1} ms, p99 {:.1} ms = {:.1} times, {} turned away with a hint (p50 {:.1} ms), {:?} otherwise, {} not sent",
        much.rate(),
        much.ms(0.5),
        much.ms(0.99),
        much.ms(0.99) / usual.ms(0.99),
        much.shed.len(),
        at(&much.shed, 0.5),
        much.other,
        much.unsent,
    )
}

/// How long from the end of too much until checks at half the capacity are answered as usual.
async fn recovery(
    gates: &[GateClient<Channel>],
    name: &str,
    capacity: f64,
    usual: &Tally,
    much: &Tally,
) -> Option<Duration> {
    let over = much.ended.unwrap_or_else(Instant::now);
    for round in 0..40 {
        let name = format!("{name}-{round}");
        let after = at_rate(gates, &name, 0.5 * capacity, Duration::from_millis(500)).await;
        let all = after.shed.is_empty() && after.other.is_empty() && after.unsent == 0;
        if all && after.ms(0.99) <= SLOWER_MAX * usual.ms(0.99) {
            return Some(over.elapsed());
        }
    }
    None
}

/// As much as it can answer, 85 % of that, and ten times as many callers who heed what they are told.
struct Round {
    most: Tally,
    usual: Tally,
    heeding: Tally,
    /// How long until all was as before.
    over: Option<Duration>,
}

impl Round {
    async fn of(gates: &[GateClient<Channel>], round: u32) -> Self {
        let (most, usual) = at_85_percent(gates, round).await;
        let heeding = callers(gates, &format!("heeding-{round}"), 10 * CALLERS, LASTS).await;
        let name = format!("heeded-{round}");
        let over = recovery(gates, &name, most.rate(), &usual, &heeding).await;
        Self {
            most,
            usual,
            heeding,
            over,
        }
    }

    /// How much longer accepted work took than at 85 % load.
    fn slower(&self) -> f64 {
        self.heeding.ms(0.99) / self.usual.ms(0.99)
    }

    fn told(&self) -> String {
        format!(
            "capacity {:.0}/s with {CALLERS} callers, {} turned away; at 85 %: p50 {:.1} ms, p99 {:.1} ms, {} shed; {} callers: {}; in the first {} s \
             p99 {:.1} ms; as before after {}",
            self.most.rate(),
            self.most.shed.len(),
            self.usual.ms(0.5),
            self.usual.ms(0.99),
            self.usual.shed.len(),
            10 * CALLERS,
            outcome(&self.heeding, &self.usual),
            SETTLES_WITHIN.as_secs(),
            at(&self.heeding.at_first, 0.99),
            told_over(self.over),
        )
    }
}

fn told_over(over: Option<Duration>) -> String {
    over.map_or_else(|| "never".to_owned(), seconds)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the machine busy: run by tests/faults.sh"]
async fn ten_times_the_capacity_is_shed_early() {
    let dir = tempfile::tempdir().expect("a directory");
    // Before the service, so that it goes after it.
    let share = Share::new();
    let service = start(dir.path());
    share.give(&service);
    let gates = connect(&service, CONNECTIONS).await;
    callers(&gates, "warm", CALLERS, SETTLES_WITHIN).await;
    let at_rest = memory_mib(&service, "VmHWM");
    // First whoever does as asked, then whoever does not. A pause of the machine in either part of one round says nothing:
    // the round in the middle counts.
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        rounds.push(Round::of(&gates, round).await);
    }
    rounds.sort_by(|one, other| one.slower().total_cmp(&other.slower()));
    let middle = &rounds[rounds.len() / 2];
    let capacity = middle.most.rate();
    let deaf = at_rate(&gates, "deaf", 10.0 * capacity, LASTS).await;
    let deaf_over = recovery(&gates, "unheeded", capacity, &middle.usual, &deaf).await;
    let peak = memory_mib(&service, "VmHWM");
    let slower: Vec<String> = rounds
        .iter()
        .map(|round| format!("{:.1}", round.slower()))
        .collect();
    let seen = format!(
        "{} times; of the round in the middle: {}; without heeding, {UNDER_WAY} under way: {}; as before after {}; VmHWM {at_rest} → {peak} MiB",
        slower.join(", "),
        middle.told(),
        outcome(&deaf, &middle.usual),
        told_over(deaf_over),
    );
    println!("{seen}");
    for over in rounds.iter().map(|round| round.over).chain([deaf_over]) {
        assert!(over.is_some_and(|after| after < RECOVERS_WITHIN), "{seen}");
    }
    for Round { usual, heeding, .. } in &rounds {
        assert!(!heeding.shed.is_empty(), "{seen}");
        assert!(heeding.other.is_empty(), "{seen}");
        // Few are turned away where there is time for all.
        assert!(usual.other.is_empty(), "{seen}");
        let most_shed = SHED_IN_TIME_MAX * usual.accepted.len() as f64;
        assert!((usual.shed.len() as f64) < most_shed, "{seen}");
    }
    assert!(middle.slower() <= SLOWER_MAX, "{seen}");
    assert!(middle.heeding.rate() > 0.5 * capacity, "{seen}");
    // However many calls come in vain, a part of the work is done.
    assert!(!deaf.shed.is_empty(), "{seen}");
    assert!(deaf.rate() > DEAF_RATE_MIN * capacity, "{seen}");
    assert!(peak - at_rest < GROWTH_MIB, "{seen}");
    service.stop();
    told(
        &format!(
            "ten times the capacity, {ROUNDS} times for {} s ({} % of one processor for the service)",
            LASTS.as_secs(),
            cpu_percent()
        ),
        &format!(
            "turned away with RESOURCE_EXHAUSTED and a hint; where callers heed it, p99 of what is accepted after the first {} s at \
             most {SLOWER_MAX} times that at 85 % load in the round in the middle; at most {GROWTH_MIB} MiB more; as before within {} s",
            SETTLES_WITHIN.as_secs(),
            RECOVERS_WITHIN.as_secs()
        ),
        &seen,
    );
}

/// What accepted work may take at most, in milliseconds, where it took so long before.
fn slow_ms(usual: &Tally) -> f64 {
    (SLOWER_MAX * usual.ms(0.99)).max(NOT_SLOW_MS)
}

/// Others are served while somebody misbehaves.
fn assert_served(usual: &Tally, meanwhile: &Tally, seen: &str) {
    assert!(meanwhile.ms(0.99) <= slow_ms(usual), "{seen}");
    assert!(meanwhile.other.is_empty(), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the machine busy: run by tests/faults.sh"]
async fn readers_who_do_not_read_hold_up_nobody() {
    const STREAMS: usize = 200;
    // What a library takes before anybody reads it: as little as HTTP/2 begins with, so that they are held back soon.
    const WINDOW: u32 = 65_535;
    let dir = tempfile::tempdir().expect("a directory");
    let service = start(dir.path());
    let gates = connect(&service, 8).await;
    let usual = at_rate(&gates, "usual", 200.0, Duration::from_secs(5)).await;
    let at_rest = memory_mib(&service, "VmRSS");
    let mut held = Vec::new();
    let sent = Arc::new(std::sync::atomic::AtomicU64::new(0));
    for stream in 0..STREAMS {
        let small = endpoint(&service)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        let mut gate = connected(small).await;
        let (send, items) = mpsc::channel(64);
        let counted = Arc::clone(&sent);
        tokio::spawn(async move {
            for n in 0_u64.. {
                let item = v1::CheckStreamRequest {
                    event: Some(event(&format!("unread-{stream}-{n}"), n)),
                    correlation: n.to_string(),
                };
                if send.send(item).await.is_err() {
                    return;
                }
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
        let answers = gate.check_stream(ReceiverStream::new(items)).await;
        held.push(answers.expect("a stream").into_inner());
    }
    // Until nothing moves any more: everybody is held back.
    let began = Instant::now();
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = sent.load(std::sync::atomic::Ordering::Relaxed);
        if now == last {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(240),
            "{now} were taken"
        );
        last = now;
    }
    let meanwhile = at_rate(&gates, "meanwhile", 200.0, Duration::from_secs(5)).await;
    let peak = memory_mib(&service, "VmHWM");
    drop(held);
    let over = Instant::now();
    let after = at_rate(&gates, "after", 200.0, Duration::from_secs(2)).await;
    let seen = format!(
        "{STREAMS} streams were held back after {last} checks; others meanwhile: p99 {:.1} ms, before {:.1} ms, {} shed; VmHWM {peak} MiB, \
         {at_rest} before; ready {}; p99 {:.1} ms within {} after they left",
        meanwhile.ms(0.99),
        usual.ms(0.99),
        meanwhile.shed.len(),
        readiness(&service).0,
        after.ms(0.99),
        seconds(over.elapsed()),
    );
    println!("{seen}");
    assert_served(&usual, &meanwhile, &seen);
    assert!(peak - at_rest < GROWTH_MIB, "{seen}");
    service.stop();
    told(
        &format!("{STREAMS} streams that send without end and read nothing"),
        &format!("they are held back, others are served as before, at most {GROWTH_MIB} MiB more"),
        &seen,
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the machine busy: run by tests/faults.sh"]
async fn huge_batches_are_bounded() {
    const CLIENTS: u64 = 64;
    const EVENTS: u64 = 5_000;
    let dir = tempfile::tempdir().expect("a directory");
    let service = start(dir.path());
    let gates = connect(&service, 8).await;
    let usual = at_rate(&gates, "usual", 100.0, Duration::from_secs(3)).await;
    let at_rest = memory_mib(&service, "VmRSS");
    let mut batches = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let mut gate = connected(endpoint(&service)).await;
        batches.spawn(async move {
            let (mut told, mut turned_away, mut refused) = (0_u64, 0_u64, Vec::new());
            for round in 0..3_u64 {
                let id = |n| format!("huge-{client}-{round}-{n}");
                let events = (0..EVENTS).map(|n| event(&id(n), n)).collect();
                match gate.check_batch(v1::CheckBatchRequest { events }).await {
                    Ok(answer) => {
                        for result in answer.into_inner().results {
                            match result.result {
                                Some(v1::check_result::Result::Verdict(_)) => told += 1,
                                _ => turned_away += 1,
                            }
                        }
                    }
                    Err(status) => refused.push(format!("{:?}", status.code())),
                }
            }
            (told, turned_away, refused)
        });
    }
    let meanwhile = at_rate(&gates, "meanwhile", 100.0, Duration::from_secs(5)).await;
    let (mut told_all, mut turned_away, mut refused) = (0, 0, std::collections::BTreeMap::new());
    while let Some(done) = batches.join_next().await {
        let (told, away, codes) = done.expect("a client");
        told_all += told;
        turned_away += away;
        for code in codes {
            *refused.entry(code).or_insert(0_u64) += 1;
        }
    }
    let over = Instant::now();
    let after = at_rate(&gates, "after", 100.0, Duration::from_secs(2)).await;
    let peak = memory_mib(&service, "VmHWM");
    let seen = format!(
        "{CLIENTS} clients with 3 batches of {EVENTS}: {told_all} verdicts, {turned_away} turned away one by one, whole batches refused \
         {refused:?}; single checks meanwhile: {} answered, p99 {:.0} ms, {} shed, {:?} otherwise; VmHWM {peak} MiB, {at_rest} before; p99 \
         {:.1} ms within {} after them, {:.1} ms before",
        meanwhile.accepted.len(),
        meanwhile.ms(0.99),
        meanwhile.shed.len(),
        meanwhile.other,
        after.ms(0.99),
        seconds(over.elapsed()),
        usual.ms(0.99),
    );
    println!("{seen}");
    assert!(peak - at_rest < 2 * GROWTH_MIB, "{seen}");
    assert!(after.other.is_empty() && after.shed.is_empty(), "{seen}");
    service.stop();
    told(
        &format!("batches of {EVENTS} events from {CLIENTS} clients at once"),
        &format!(
            "answered or turned away item by item with a hint; at most {} MiB more; as before within 5 s",
            2 * GROWTH_MIB
        ),
        &seen,
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the machine busy: run by tests/faults.sh"]
async fn thousands_of_idle_connections_are_nothing() {
    const IDLE: usize = 4_000;
    let dir = tempfile::tempdir().expect("a directory");
    let service = start(dir.path());
    let gates = connect(&service, 8).await;
    let usual = at_rate(&gates, "usual", 200.0, Duration::from_secs(5)).await;
    let at_rest = memory_mib(&service, "VmRSS");
    let began = Instant::now();
    let mut idle = connect(&service, IDLE / 2).await;
    let mut silent = Vec::new();
    while silent.len() < IDLE / 2 {
        silent.push(
            tokio::net::TcpStream::connect(service.grpc)
                .await
                .expect("room"),
        );
    }
    let connected = began.elapsed();
    // Some of them wake up for one check.
    for (n, gate) in idle.iter_mut().enumerate().step_by(100) {
        ask(gate, &format!("idle-{n}"), n as u64)
            .await
            .expect("a verdict");
    }
    let meanwhile = at_rate(&gates, "meanwhile", 200.0, Duration::from_secs(5)).await;
    let now = memory_mib(&service, "VmRSS");
    let (ready, _) = readiness(&service);
    let seen = format!(
        "{IDLE} connections in {}, half of them without a word; p99 of others {:.1} ms, {:.1} ms before, {} shed; {} KiB for each \
         connection; ready {ready}",
        seconds(connected),
        meanwhile.ms(0.99),
        usual.ms(0.99),
        meanwhile.shed.len(),
        now.saturating_sub(at_rest) * 1_024 / IDLE as u64,
    );
    println!("{seen}");
    assert!(ready, "{seen}");
    assert_served(&usual, &meanwhile, &seen);
    drop((idle, silent));
    service.stop();
    told(
        &format!("{IDLE} idle connections"),
        "others are served as before, and new connections are taken",
        &seen,
    );
}
