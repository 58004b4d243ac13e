//! Roles as processes of their own over one real broker: killed at random moments, paused, and replaced one by one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use creditgate_tests::faults::{
    Answered, Chance, Habits, Load, Places, assert_replay, lasting, lists, told,
};
use creditgate_tests::kafka::{Broker, Invented, Reading, VerdictRecord, send};
use creditgate_tests::{Service, import_entries};
use tempfile::TempDir;

use super::lists::{Official, seq};
use super::seconds;
use super::small::signal;

/// A member that died is noticed soon, what it left open is given up soon.
const SOON: [&str; 8] = [
    "--kafka-config",
    "reconnect.backoff.max.ms=1000",
    "--kafka-config",
    "session.timeout.ms=6000",
    "--kafka-config",
    "heartbeat.interval.ms=1000",
    "--kafka-config",
    "transaction.timeout.ms=10000",
];
/// Longest wait for a state of several processes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);
/// The source of events that clients ask about, and of none on the topic.
const ASKED: &str = "tests";
/// Events a second on the topic, besides what clients ask.
const RATE: u64 = 50;

/// Processes over the topics with one prefix.
struct Fleet {
    broker: Broker,
    prefix: &'static str,
    dir: TempDir,
    /// By name, with roles.
    services: BTreeMap<&'static str, (&'static str, Option<Service>)>,
    /// Where checks are asked for.
    gates: Places,
    /// Where lists are changed.
    registries: Places,
}

impl Fleet {
    fn new(prefix: &'static str, roles: &[(&'static str, &'static str)]) -> Self {
        let mut fleet = Self {
            broker: Broker::start(),
            prefix,
            dir: tempfile::tempdir().expect("a directory"),
            services: BTreeMap::new(),
            gates: Places::default(),
            registries: Places::default(),
        };
        for (name, roles) in roles {
            fleet.services.insert(name, (roles, None));
            fleet.start(name);
        }
        fleet
    }

    /// Starts one and waits until it is ready.
    fn start(&mut self, name: &'static str) {
        let (roles, place) = self.services.get_mut(name).expect("one of them");
        let data = self.dir.path().join(name);
        std::fs::create_dir_all(&data).expect("a directory");
        let bootstrap = self.broker.bootstrap();
        let mut args = vec!["--kafka", &bootstrap, "--kafka-topic-prefix", self.prefix];
        args.extend(["--roles", roles]);
        args.extend(SOON);
        let service = Service::start_with(&data, &args);
        if roles.starts_with("gate") {
            self.gates.set(name, &service);
        }
        if roles.starts_with("registry") {
            self.registries.set(name, &service);
        }
        *place = Some(service);
    }

    fn get(&self, name: &str) -> &Service {
        let (_, service) = self.services.get(name).expect("one of them");
        service.as_ref().expect("it runs")
    }

    fn take(&mut self, name: &str) -> Service {
        let (_, service) = self.services.get_mut(name).expect("one of them");
        service.take().expect("it runs")
    }

    /// What became of the events, once so many are settled, with verdicts and dead letters.
    fn account(&self, settled: u64) -> creditgate_tests::kafka::Account {
        let mut reading = Reading::of(self.prefix, settled);
        reading.with_offsets = true;
        reading.with_records = true;
        reading.within = WITHIN;
        reading.read(&self.broker.bootstrap())
    }

    /// Every process has the same lists; what they are.
    async fn same_lists(&self) -> creditgate_proto::v1::StateResponse {
        let began = Instant::now();
        loop {
            let mut states = Vec::new();
            for (_, service) in self.services.values() {
                states.push(lists(service.as_ref().expect("it runs")).await);
            }
            if let [Some(first), rest @ ..] = &states[..]
                && rest.iter().all(|state| state.as_ref() == Some(first))
            {
                return first.clone();
            }
            assert!(began.elapsed() < WITHIN, "lists differ: {states:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn stop(mut self) {
        for (_, (_, service)) in std::mem::take(&mut self.services) {
            if let Some(service) = service {
                tokio::task::spawn_blocking(move || service.stop())
                    .await
                    .expect("a good end");
            }
        }
    }
}

fn field(record: &VerdictRecord, name: &str) -> String {
    record.verdict[name].as_str().unwrap_or_default().to_owned()
}

/// Source and id of an event.
type Name = (String, String);

/// Verdicts on events in the topic. One that came over a topic has one verdict. A check whose answer was lost may have
/// been answered by another process too: then both answers are kept, under one id.
fn in_topic(records: &[VerdictRecord]) -> BTreeMap<Name, Vec<Answered>> {
    let mut verdicts = BTreeMap::<Name, Vec<Answered>>::new();
    for record in records {
        if !field(record, "supersedes").is_empty() {
            continue;
        }
        let event = (field(record, "source"), field(record, "event_id"));
        let answered = Answered {
            verdict_id: field(record, "verdict_id"),
            digest: field(record, "verdict_digest"),
        };
        let all = verdicts.entry(event.clone()).or_default();
        if let Some(first) = all.first() {
            assert_eq!(event.0, ASKED, "{event:?} has two verdicts in the topic");
            assert_eq!(first.verdict_id, answered.verdict_id, "{event:?}");
        }
        all.push(answered);
    }
    verdicts
}

/// Events and offsets agree; no transaction is open. That events of the topic have one verdict, `in_topic` looks.
fn assert_settled(topic: &creditgate_tests::kafka::Account) {
    let faults = (topic.missing, topic.misplaced, topic.open);
    assert_eq!(faults, (0, 0, 0), "missing, misplaced, open");
    assert!(topic.in_time, "not all are settled in time");
    assert_eq!((topic.ahead, topic.behind), (0, 0), "ahead, behind");
    assert_eq!(topic.committed, topic.events);
    assert_eq!(topic.dead_letters, 0);
}

/// A gate decides each of them again to its digest; how many, and how many events several processes answered.
async fn replay_all(gate: &Service, verdicts: BTreeMap<Name, Vec<Answered>>) -> (usize, usize) {
    let (one, several): (Vec<_>, Vec<_>) = verdicts.into_values().partition(|all| all.len() == 1);
    // Of several answers each gate tells the one it had first.
    let mut tellings = gate.gate().await;
    for all in &several {
        let asked = creditgate_proto::v1::ReplayRequest {
            verdict_id: all[0].verdict_id.clone(),
        };
        let replayed = tellings.replay(asked).await.expect("a replay").into_inner();
        assert!(replayed.same, "{all:?}");
        assert!(
            all.iter().any(|one| one.digest == replayed.digest_stored),
            "{all:?}"
        );
    }
    let singles: Vec<Answered> = one.into_iter().flatten().collect();
    let replayed = assert_replay(gate, singles).await + several.len();
    (replayed, several.len())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java and takes minutes: run by tests/faults.sh"]
async fn every_role_is_killed_at_random_moments() {
    let mut chance = Chance::seeded("every role is killed");
    let mut fleet = Fleet::new(
        "killed",
        &[
            ("registry", "registry,http"),
            ("standby", "registry,http"),
            ("gate-a", "gate,http"),
            ("gate-b", "gate,http"),
            ("stream-a", "stream,http"),
            ("stream-b", "stream,http"),
            ("cases", "cases,http"),
        ],
    );
    import_entries(fleet.get("registry"));
    let lasts = lasting(120, 600);
    let events = lasts.as_secs() * RATE;
    let sending = send(
        &fleet.broker.bootstrap(),
        &format!("{}.events", fleet.prefix),
        Invented {
            count: events,
            rate: RATE,
            ..Invented::default()
        },
    );
    let habits = Habits {
        pause: Duration::from_millis(50),
        several_answer: true,
        ..Habits::default()
    };
    let load = Load::start(&fleet.gates, &habits);
    let official = Official::start(&fleet.registries);
    let names: Vec<&'static str> = fleet.services.keys().copied().collect();
    let mut kills = BTreeMap::<&str, u32>::new();
    let began = Instant::now();
    while began.elapsed() < lasts {
        let serves = chance.between(Duration::from_millis(200), Duration::from_secs(4));
        tokio::time::sleep(serves).await;
        // At first each in turn, so that none is left out; then as it comes.
        let turn = usize::try_from(kills.values().sum::<u32>()).expect("a number");
        let by_chance = usize::try_from(chance.of(names.len() as u64)).expect("a number");
        let name = names.get(turn).copied().unwrap_or(names[by_chance]);
        fleet.take(name).kill();
        *kills.entry(name).or_default() += 1;
        fleet.start(name);
    }
    let sent = tokio::task::spawn_blocking(move || sending.finish()).await;
    assert_eq!(sent.expect("a producer").sent, events);
    load.on(1).await;
    let (confirmed, newest) = official.finish().await;
    let account = load.finish().await;
    account.assert_none_failed();

    let state = fleet.same_lists().await;
    assert!(seq(&state) >= newest, "a confirmed change is lost");
    let topic = fleet.account(events);
    assert_settled(&topic);
    let verdicts = in_topic(&topic.verdict_records);
    for (event, answered) in &account.answered {
        let key = (ASKED.to_owned(), event.clone());
        let written = verdicts.get(&key).is_some_and(|all| all.contains(answered));
        assert!(written, "{event} was answered and is not in the topic");
    }
    // Every one of them, asked of a process that has not made them.
    let (replayed, by_several) = replay_all(fleet.get("gate-a"), verdicts).await;
    fleet.stop().await;
    let kills: Vec<String> = kills
        .iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    told(
        "kill -9 of every role as a process of its own, at random moments, over a real broker",
        "no answered verdict is lost, each event on the topic has one verdict and each check one id, offsets and verdicts agree, all replay, lists are the same everywhere",
        &format!(
            "kills in {}: {}; {events} events on the topic settled once and {} answered checks there with their digest; {replayed} \
             verdicts replayed; {by_several} checks whose answer was lost were answered by both gates, under one id; {} attempts made again, slowest check {}; {confirmed} changes of the lists confirmed and there, \
             one hash in {} processes",
            seconds(began.elapsed()),
            kills.join(", "),
            account.answered.len(),
            account.attempts_refused,
            seconds(account.slowest),
            names.len(),
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/faults.sh"]
async fn two_gates_are_replaced_one_by_one_without_a_failed_check() {
    const ROUNDS: u32 = 2;
    let mut fleet = Fleet::new(
        "rolling",
        &[
            ("registry", "registry,http"),
            ("gate-a", "gate,http"),
            ("gate-b", "gate,http"),
        ],
    );
    import_entries(fleet.get("registry"));
    // Who has to wait longer than this for an answer has a failed check.
    let patience = Duration::from_secs(5);
    let habits = Habits {
        patience,
        ..Habits::default()
    };
    let load = Load::start(&fleet.gates, &habits);
    load.on(200).await;
    let mut slowest_stop = Duration::ZERO;
    for _ in 0..ROUNDS {
        for name in ["gate-a", "gate-b"] {
            let began = Instant::now();
            let stopping = fleet.take(name);
            tokio::task::spawn_blocking(move || stopping.stop())
                .await
                .expect("a good end");
            slowest_stop = slowest_stop.max(began.elapsed());
            load.on(50).await;
            fleet.start(name);
            load.on(100).await;
        }
    }
    let account = load.finish().await;
    account.assert_none_failed();
    let topic = fleet.account(0);
    assert_settled(&topic);
    let verdicts = in_topic(&topic.verdict_records);
    for (event, answered) in &account.answered {
        let key = (ASKED.to_owned(), event.clone());
        let written = verdicts.get(&key).is_some_and(|all| all.contains(answered));
        assert!(written, "{event} was answered and is not in the topic");
    }
    let replayed = account.assert_replays(fleet.get("gate-b")).await;
    fleet.stop().await;
    told(
        "rolling restart of two gates over Kafka, under load",
        "no failed check for a client that retries",
        &format!(
            "{} restarts; {} checks answered, 0 failed, {} attempts made again, the slowest check took {}; slowest stop {}; {replayed} \
             verdicts replayed by the other gate",
            ROUNDS * 2,
            account.answered.len(),
            account.attempts_refused,
            seconds(account.slowest),
            seconds(slowest_stop),
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/faults.sh"]
async fn a_leader_that_was_paused_finds_itself_replaced() {
    const ROUNDS: u32 = 2;
    let mut fleet = Fleet::new(
        "zombie",
        &[
            ("first", "registry,http"),
            ("second", "registry,http"),
            ("gate-a", "gate,http"),
            ("stream-a", "stream,http"),
            ("stream-b", "stream,http"),
        ],
    );
    import_entries(fleet.get("first"));
    let events = 2_000;
    let sending = send(
        &fleet.broker.bootstrap(),
        &format!("{}.events", fleet.prefix),
        Invented {
            count: events,
            rate: RATE,
            ..Invented::default()
        },
    );
    let habits = Habits {
        several_answer: true,
        ..Habits::default()
    };
    let load = Load::start(&fleet.gates, &habits);
    let official = Official::start(&fleet.registries);
    let mut handovers = Vec::new();
    let (mut leader, mut other) = ("first", "second");
    for _ in 0..ROUNDS {
        load.on(50).await;
        // With it a member of the stream, in the middle of its transactions.
        for name in [leader, "stream-a"] {
            signal(fleet.get(name), "-STOP");
        }
        let began = Instant::now();
        until_role(fleet.get(other), "leads").await;
        handovers.push(seconds(began.elapsed()));
        tokio::time::sleep(Duration::from_secs(3)).await;
        for name in [leader, "stream-a"] {
            signal(fleet.get(name), "-CONT");
        }
        until_role(fleet.get(leader), "stands_by").await;
        std::mem::swap(&mut leader, &mut other);
    }
    let sent = tokio::task::spawn_blocking(move || sending.finish()).await;
    assert_eq!(sent.expect("a producer").sent, events);
    let (confirmed, newest) = official.finish().await;
    let account = load.finish().await;
    account.assert_none_failed();
    let state = fleet.same_lists().await;
    assert!(seq(&state) >= newest, "a confirmed change is lost");
    let topic = fleet.account(events);
    assert_settled(&topic);
    let verdicts = in_topic(&topic.verdict_records);
    let (replayed, _) = replay_all(fleet.get("gate-a"), verdicts).await;
    for name in ["first", "second", "stream-a", "stream-b", "gate-a"] {
        fleet.start_if_ended(name);
    }
    fleet.stop().await;
    told(
        "SIGSTOP of the leading registry and of a member of the stream, resumed after another took over",
        "the one that was paused writes nothing any more: no second leader, no second verdict",
        &format!(
            "{ROUNDS} times; another led after {}; the paused one stood by after SIGCONT; {events} events settled once, {replayed} \
             verdicts replayed, {confirmed} changes of the lists confirmed and there, one hash everywhere",
            handovers.join(" and "),
        ),
    );
}

impl Fleet {
    /// A process that found itself replaced may have ended; what counts is that a start is all it takes.
    fn start_if_ended(&mut self, name: &'static str) {
        let (_, service) = self.services.get_mut(name).expect("one of them");
        if service
            .as_mut()
            .is_some_and(|service| service.ended().is_some())
        {
            *service = None;
            self.start(name);
        }
    }
}

async fn until_role(service: &Service, wanted: &str) {
    let began = Instant::now();
    let wanted = format!(r#""lists_role":"{wanted}""#);
    loop {
        let said = service.get("/readyz").unwrap_or_default();
        if said.contains(&wanted) {
            return;
        }
        assert!(began.elapsed() < WITHIN, "{said}\n{}", service.logged());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
