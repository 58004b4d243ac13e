//! One process that does everything: killed at random moments, and stopped in order.

use std::process::Command;
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_tests::faults::{Chance, Habits, Load, lasting, lists, told};
use creditgate_tests::{Service, binary, import_entries};
use tokio_stream::StreamExt as _;

use super::lists::{Official, seq};
use super::{looked_at, places, seconds};

/// Time for work under way, as the services here are started.
const DRAIN: Duration = Duration::from_secs(10);
/// What a process may take beyond it: to close its tables, on a busy machine.
const DRAIN_AND_END: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: run by tests/faults.sh"]
async fn one_process_is_killed_at_random_moments() {
    let mut chance = Chance::seeded("one process is killed");
    let dir = tempfile::tempdir().expect("a directory");
    let mut service = Service::start(dir.path());
    import_entries(&service);
    let places = places(&service);
    let load = Load::start(&places, &Habits::default());
    let official = Official::start(&places);
    let (began, lasts) = (Instant::now(), lasting(120, 600));
    let (mut kills, mut while_starting) = (0, 0);
    while began.elapsed() < lasts {
        let serves = chance.between(Duration::from_millis(50), Duration::from_secs(5));
        tokio::time::sleep(serves).await;
        service.kill();
        kills += 1;
        if chance.of(3) == 0 {
            let log = dir.path().join("service.log");
            let starting = Service::launch(Command::new(binary()), dir.path(), &log, &[]);
            let starts = chance.between(Duration::ZERO, Duration::from_secs(3));
            tokio::time::sleep(starts).await;
            starting.kill();
            while_starting += 1;
        }
        service = Service::start(dir.path());
        places.set("one", &service);
    }
    load.on(1).await;
    let (confirmed, newest) = official.finish().await;
    let account = load.finish().await;
    account.assert_none_failed();

    // Once more while nothing happens: what it knows of the lists is what lies on its disk.
    let before = lists(&service).await.expect("an answer");
    assert!(seq(&before) >= newest, "a confirmed change is lost");
    service.kill();
    let service = Service::start(dir.path());
    assert_eq!(lists(&service).await.as_ref(), Some(&before));
    let seen = looked_at(&service, &account).await;
    service.kill();
    // And without what is made from the logs.
    for made in ["lists", "index"] {
        std::fs::remove_dir_all(dir.path().join(made)).expect("removed");
    }
    let service = Service::start(dir.path());
    assert_eq!(lists(&service).await.as_ref(), Some(&before));
    account.assert_recorded_once(&service).await;
    service.stop();
    told(
        "kill -9 of one process with all roles, at random moments, also while it starts",
        "no answered verdict is lost, one verdict for each event, each replays to its digest, no confirmed change of the lists is lost",
        &format!(
            "{} kills ({while_starting} while starting) in {}; {seen}; {} attempts made again, slowest check {}; \
             {confirmed} changes of the lists confirmed and there, same hash after a restart and after making the tables anew",
            kills + while_starting,
            seconds(began.elapsed()),
            account.attempts_refused,
            seconds(account.slowest),
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while: run by tests/faults.sh"]
async fn a_stop_ends_in_time_under_load_and_with_open_streams() {
    const STOPS: u32 = 5;
    let dir = tempfile::tempdir().expect("a directory");
    let mut service = Service::start(dir.path());
    import_entries(&service);
    let places = places(&service);
    let habits = Habits {
        pause: Duration::ZERO,
        tasks: 32,
        ..Habits::default()
    };
    let load = Load::start(&places, &habits);
    let mut slowest = Duration::ZERO;
    let mut streamed = 0;
    for round in 0..STOPS {
        load.on(200).await;
        let held = Held::open(&service, round).await;
        load.on(200).await;
        let began = Instant::now();
        // Panics when it ends otherwise than well.
        tokio::task::spawn_blocking(move || service.stop())
            .await
            .expect("a good end");
        slowest = slowest.max(began.elapsed());
        streamed += held.ended().await;
        service = Service::start(dir.path());
        places.set("one", &service);
    }
    let account = load.finish().await;
    account.assert_none_failed();
    assert!(slowest < DRAIN_AND_END, "{slowest:?}");
    let seen = looked_at(&service, &account).await;
    service.stop();
    told(
        "SIGTERM under load, with open streams of checks and of verdicts, one of which nobody reads",
        &format!(
            "ends well within its {} s for work under way; nothing answered is lost; who tries again is answered",
            DRAIN.as_secs()
        ),
        &format!(
            "{STOPS} stops, the slowest took {}; {streamed} answers on streams before their end; {seen}; 0 checks failed, \
             {} attempts made again",
            seconds(slowest),
            account.attempts_refused,
        ),
    );
}

/// Streams that are open when a stop comes.
struct Held {
    /// Busy: sends without end and reads what comes.
    busy: tokio::task::JoinHandle<u64>,
    /// Follows all verdicts, and reads none.
    unread: tonic::Streaming<v1::WatchVerdictsResponse>,
    /// Has sent one and waits.
    idle: tonic::Streaming<v1::CheckStreamResponse>,
    /// Keeps the idle one open.
    _open: tokio::sync::mpsc::Sender<v1::CheckStreamRequest>,
}

impl Held {
    async fn open(service: &Service, round: u32) -> Self {
        let mut gate = service.gate().await;
        let item = move |n: u64| v1::CheckStreamRequest {
            event: Some(creditgate_tests::faults::event(
                &format!("streamed-{round}-{n}"),
                n,
            )),
            correlation: n.to_string(),
        };
        let endless = tokio_stream::iter(0_u64..)
            .map(item)
            .throttle(Duration::from_millis(1));
        let mut answers = gate
            .check_stream(endless)
            .await
            .expect("a stream")
            .into_inner();
        let busy = tokio::spawn(async move {
            let mut answered = 0;
            while let Ok(Some(answer)) = answers.message().await {
                let result = answer.result.and_then(|result| result.result);
                if let Some(v1::check_result::Result::Verdict(_)) = result {
                    answered += 1;
                }
            }
            answered
        });
        let follow = v1::WatchVerdictsRequest {
            follow: true,
            ..v1::WatchVerdictsRequest::default()
        };
        let unread = service.gate().await.watch_verdicts(follow).await;
        let (open, waits) = tokio::sync::mpsc::channel(1);
        open.send(item(1_000_000)).await.expect("room");
        let waits = tokio_stream::wrappers::ReceiverStream::new(waits);
        let idle = service.gate().await.check_stream(waits).await;
        Self {
            busy,
            unread: unread.expect("a stream").into_inner(),
            idle: idle.expect("a stream").into_inner(),
            _open: open,
        }
    }

    /// All of them have ended; how many answers the busy one had.
    async fn ended(mut self) -> u64 {
        let all = async {
            while let Ok(Some(_)) = self.idle.message().await {}
            while let Ok(Some(_)) = self.unread.message().await {}
            self.busy.await.expect("the busy one")
        };
        tokio::time::timeout(Duration::from_secs(10), all)
            .await
            .expect("streams end with their service")
    }
}
