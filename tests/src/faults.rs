//! What the stories of faults share: the line each ends with, chance that can be repeated, a client that tries again,
//! and the look at everything that was answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_proto::v1::gate_client::GateClient;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::{Service, evaluation};

/// Longest wait of one attempt; whoever hears nothing asks somebody else.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Pause before the next attempt.
const AGAIN_AFTER: Duration = Duration::from_millis(20);
/// One check in so many is one that was answered before.
const REPEAT_EVERY: u64 = 8;
/// Stands on B07 in the invented entries, as [`BARRED_ENTRY`].
const BARRED: &str = "91219999MAYG58BR3Q";
/// The entry that bars a firm.
pub const BARRED_ENTRY: &str = "E-B07-1";
/// Verdicts that are looked at side by side.
const SIDE_BY_SIDE: usize = 16;

/// The line by which `tests/faults.sh` knows that a story held: what went wrong, what is promised, what was seen.
#[expect(clippy::print_stdout, reason = "the driver reads it there")]
pub fn told(fault: &str, promise: &str, seen: &str) {
    let clean = |text: &str| text.replace(['|', '\n'], "/");
    println!("FAULT|{}|{}|{}", clean(fault), clean(promise), clean(seen));
}

/// Whether the long form of the stories is wanted (`CREDITGATE_FAULTS_LONG=1`).
#[must_use]
pub fn long() -> bool {
    std::env::var_os("CREDITGATE_FAULTS_LONG").is_some_and(|value| value == "1")
}

/// How long something random goes on: `CREDITGATE_FAULTS_SECONDS`, else as given for the quick and the long form.
#[must_use]
pub fn lasting(quick: u64, long_form: u64) -> Duration {
    let wanted = std::env::var("CREDITGATE_FAULTS_SECONDS").ok();
    let wanted = wanted.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(wanted.unwrap_or(if long() { long_form } else { quick }))
}

/// Chance that a printed seed repeats (SplitMix64).
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// From `CREDITGATE_SEED`, else from the clock; prints the seed.
    ///
    /// # Panics
    /// When the seed is not a number.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "the seed repeats the story")]
    pub fn seeded(story: &str) -> Self {
        let seed = match std::env::var("CREDITGATE_SEED") {
            Ok(text) => text.parse().expect("CREDITGATE_SEED is a number"),
            Err(_) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                u64::from(since.expect("after 1970").subsec_nanos())
            }
        };
        println!("{story}: CREDITGATE_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of so many, from 0 on.
    pub fn of(&mut self, many: u64) -> u64 {
        self.next() % many.max(1)
    }

    /// A time between two.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from((most - least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.of(span))
    }
}

/// Where services are now: those that start again have other ports.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<BTreeMap<String, SocketAddr>>>);

impl Places {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A service of that name is here from now on.
    pub fn set(&self, name: &str, service: &Service) {
        self.lock().insert(name.to_owned(), service.grpc);
    }

    /// The `n`th of them, round and round; none while there is none.
    #[must_use]
    pub fn nth(&self, n: u64) -> Option<SocketAddr> {
        let places = self.lock();
        let count = u64::try_from(places.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(n.checked_rem(count)?).unwrap_or(0);
        places.values().nth(at).copied()
    }
}

/// The event of that number: every tenth is of a firm that the demonstration's entries bar.
#[must_use]
pub fn event(id: &str, n: u64) -> v1::Event {
    match n % 10 {
        0 => evaluation(id, BARRED),
        _ => evaluation(id, &invented::uscc(n)),
    }
}

/// What a check was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The verdict.
    pub verdict_id: String,
    /// Its digest.
    pub digest: String,
}

/// How a client that tries again looks at its checks.
#[derive(Debug, Clone)]
pub struct Habits {
    /// What its events' ids begin with.
    pub prefix: String,
    /// Checks side by side, each with a connection of its own.
    pub tasks: u64,
    /// Pause of each between two checks.
    pub pause: Duration,
    /// How long one check is tried; after that it counts as failed.
    pub patience: Duration,
    /// Whether several processes may each have answered an event whose answer was lost: the verdict has the same id
    /// then, and maybe another digest.
    pub several_answer: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            prefix: "event".to_owned(),
            tasks: 8,
            pause: Duration::from_millis(5),
            patience: Duration::from_secs(90),
            several_answer: false,
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    answered: Mutex<BTreeMap<String, Answered>>,
    failed: Mutex<Vec<String>>,
    attempts_refused: AtomicU64,
    slowest_micros: AtomicU64,
    over: AtomicBool,
}

/// Clients that check without end, try again whatever happens, and keep what they were answered.
pub struct Load {
    seen: Arc<Seen>,
    tasks: JoinSet<()>,
}

/// What clients saw.
#[derive(Debug)]
pub struct Account {
    /// The answer to each event.
    pub answered: BTreeMap<String, Answered>,
    /// Checks that were never answered, with the reason.
    pub failed: Vec<String>,
    /// Attempts that were refused or lost, and made again.
    pub attempts_refused: u64,
    /// The longest time from the first attempt of a check to its answer.
    pub slowest: Duration,
}

impl Load {
    /// Begins.
    #[must_use]
    pub fn start(places: &Places, habits: &Habits) -> Self {
        let seen = Arc::<Seen>::default();
        let mut tasks = JoinSet::new();
        for task in 0..habits.tasks {
            let client = Client {
                places: places.clone(),
                habits: habits.clone(),
                seen: Arc::clone(&seen),
                at: task,
                gate: None,
            };
            tasks.spawn(client.run(task));
        }
        Self { seen, tasks }
    }

    /// How many checks are answered by now.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.seen.answered).len()
    }

    /// Waits until so many more checks are answered.
    ///
    /// # Panics
    /// When they are not within two minutes.
    pub async fn on(&self, more: usize) {
        let wanted = self.count() + more;
        let began = Instant::now();
        while self.count() < wanted {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "{} of {wanted} checks are answered",
                self.count()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets what is under way end.
    ///
    /// # Panics
    /// When a client met what no retry mends.
    pub async fn finish(mut self) -> Account {
        self.seen.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a client");
        }
        Account {
            answered: std::mem::take(&mut lock(&self.seen.answered)),
            failed: std::mem::take(&mut lock(&self.seen.failed)),
            attempts_refused: self.seen.attempts_refused.load(Ordering::Relaxed),
            slowest: Duration::from_micros(self.seen.slowest_micros.load(Ordering::Relaxed)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Client {
    places: Places,
    habits: Habits,
    seen: Arc<Seen>,
    /// Which of the places it asks.
    at: u64,
    gate: Option<GateClient<Channel>>,
}

impl Client {
    async fn run(mut self, task: u64) {
        let mut n = task;
        while !self.seen.over.load(Ordering::Relaxed) {
            self.once(n).await;
            let round = n / self.habits.tasks;
            if round.is_multiple_of(REPEAT_EVERY) && round > 0 {
                // One that was answered long ago; its first verdict stands.
                self.once(n / 2 / self.habits.tasks * self.habits.tasks + task)
                    .await;
            }
            n += self.habits.tasks;
            tokio::time::sleep(self.habits.pause).await;
        }
    }

    /// One check, until it is answered.
    async fn once(&mut self, n: u64) {
        let id = format!("{}-{n}", self.habits.prefix);
        let began = Instant::now();
        let refused = loop {
            match self.attempt(&id, n).await {
                Ok(answered) => {
                    let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.seen.slowest_micros.fetch_max(took, Ordering::Relaxed);
                    let mut all = lock(&self.seen.answered);
                    let before = all.entry(id.clone()).or_insert_with(|| answered.clone());
                    let same = match self.habits.several_answer {
                        true => before.verdict_id == answered.verdict_id,
                        false => *before == answered,
                    };
                    assert!(same, "{id} has two verdicts: {before:?} and {answered:?}");
                    return;
                }
                Err(status) => {
                    let lasts = matches!(
                        status.code(),
                        Code::InvalidArgument | Code::AlreadyExists | Code::PermissionDenied
                    );
                    if lasts || began.elapsed() >= self.habits.patience {
                        break status;
                    }
                    self.seen.attempts_refused.fetch_add(1, Ordering::Relaxed);
                    if status.code() != Code::ResourceExhausted {
                        self.gate = None;
                        self.at += 1;
                    }
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        };
        lock(&self.seen.failed).push(format!("{id} after {:?}: {refused}", began.elapsed()));
    }

    async fn attempt(&mut self, id: &str, n: u64) -> Result<Answered, tonic::Status> {
        let gone = |error: &dyn std::fmt::Display| tonic::Status::unavailable(error.to_string());
        if self.gate.is_none() {
            let place = self.places.nth(self.at).ok_or_else(|| gone(&"nobody"))?;
            let endpoint = Endpoint::from_shared(format!("http://{place}"));
            let endpoint = endpoint.expect("an address").connect_timeout(ATTEMPT);
            let channel = endpoint.connect().await.map_err(|error| gone(&error))?;
            self.gate = Some(GateClient::new(channel));
        }
        let gate = self.gate.as_mut().expect("it is connected");
        let event = Some(event(id, n));
        let asked = gate.check(v1::CheckRequest { event });
        let answer = tokio::time::timeout(ATTEMPT, asked)
            .await
            .map_err(|_| gone(&"no answer"))??;
        let verdict = answer.into_inner().verdict.expect("a verdict");
        Ok(Answered {
            verdict_id: verdict.verdict_id,
            digest: verdict.verdict_digest,
        })
    }
}

impl Account {
    /// Every check was answered in the end.
    ///
    /// # Panics
    /// When one was not.
    pub fn assert_none_failed(&self) {
        let first = self.failed.first();
        assert_eq!(self.failed.len(), 0, "{first:?}");
        assert!(!self.answered.is_empty(), "nothing was answered");
    }

    /// A service knows every answer, and decides each again to the same digest; how many.
    pub async fn assert_replays(&self, service: &Service) -> usize {
        let verdicts: Vec<Answered> = self.answered.values().cloned().collect();
        assert_replay(service, verdicts).await
    }

    /// The journal of a service has exactly one verdict for each event that was answered, and none for an event twice;
    /// how many it has.
    pub async fn assert_recorded_once(&self, service: &Service) -> usize {
        let recorded = recorded(service).await;
        for (event, answered) in &self.answered {
            assert_eq!(recorded.get(event), Some(answered), "{event}");
        }
        recorded.len()
    }
}

/// Verdicts on events in the journal of a service, by the event's id; those of reviews are left out.
///
/// # Panics
/// When an event has two.
pub async fn recorded(service: &Service) -> BTreeMap<String, Answered> {
    let mut gate = service.gate().await;
    let everything = v1::WatchVerdictsRequest::default();
    let watched = gate.watch_verdicts(everything).await;
    let mut verdicts = watched.expect("verdicts").into_inner();
    let mut recorded = BTreeMap::new();
    while let Some(next) = verdicts.message().await.expect("the next verdict") {
        let verdict = next.verdict.expect("a verdict");
        if verdict.supersedes.is_some() {
            continue;
        }
        let answered = Answered {
            verdict_id: verdict.verdict_id,
            digest: verdict.verdict_digest,
        };
        let before = recorded.insert(verdict.event_id.clone(), answered);
        assert_eq!(before, None, "{} is recorded twice", verdict.event_id);
    }
    recorded
}

/// Each verdict decided again by a service gives its digest; how many.
///
/// # Panics
/// When one does not, or is not there.
pub async fn assert_replay(service: &Service, verdicts: Vec<Answered>) -> usize {
    let gate = service.gate().await;
    let count = verdicts.len();
    let verdicts = Arc::new(Mutex::new(verdicts));
    let mut tasks = JoinSet::new();
    for _ in 0..SIDE_BY_SIDE {
        let (mut gate, verdicts) = (gate.clone(), Arc::clone(&verdicts));
        tasks.spawn(async move {
            loop {
                let next = lock(&verdicts).pop();
                let Some(Answered { verdict_id, digest }) = next else {
                    return;
                };
                let asked = v1::ReplayRequest {
                    verdict_id: verdict_id.clone(),
                };
                let replayed = gate.replay(asked).await;
                let replayed = replayed
                    .unwrap_or_else(|status| panic!("{verdict_id} is lost: {status}"))
                    .into_inner();
                assert!(replayed.same && replayed.explanation_same, "{verdict_id}");
                assert_eq!(replayed.digest_stored, digest, "{verdict_id}");
                assert_eq!(replayed.digest_replayed, digest, "{verdict_id}");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("every replay");
    }
    count
}

/// Version, number of entries and hash of the lists of a service; `None` when it does not answer.
pub async fn lists(service: &Service) -> Option<v1::StateResponse> {
    let endpoint = Endpoint::from_shared(format!("http://{}", service.grpc));
    let channel = endpoint.expect("an address").connect().await.ok()?;
    let mut lists = v1::lists_client::ListsClient::new(channel);
    let mut state = lists.state(v1::StateRequest {}).await.ok()?.into_inner();
    // What says who asks, and when.
    state.behind_ms = None;
    state.follows = false;
    state.role = String::new();
    Some(state)
}

/// Whether the service says that it can serve; with what it says.
#[must_use]
pub fn readiness(service: &Service) -> (bool, String) {
    let answer = service.get("/readyz").unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (answer.starts_with("HTTP/1.1 200"), body.to_owned())
}

/// Waits until readiness is as wanted; how long that took, and what was said.
///
/// # Panics
/// When it is not so within that time.
pub async fn until_ready_is(
    service: &Service,
    wanted: bool,
    within: Duration,
) -> (Duration, String) {
    let began = Instant::now();
    loop {
        let (ready, said) = readiness(service);
        if ready == wanted && !said.is_empty() {
            return (began.elapsed(), said);
        }
        assert!(
            began.elapsed() < within,
            "ready is not {wanted} after {within:?}: {said}\n{}",
            service.logged()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A figure of a process from `/proc/PID/status`, in MiB: `VmHWM` (the most memory it had) or `VmRSS`.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn memory_mib(service: &Service, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid()));
    let status = status.expect("a process");
    let line = status.lines().find(|line| line.starts_with(figure));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.expect("a figure") / 1024
}
