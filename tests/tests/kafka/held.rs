//! The end of a transaction past its limit: on its way to the broker, and on its way back.

use std::time::{Duration, Instant};

use creditgate_tests::import_entries;
use creditgate_tests::kafka::{Broker, Invented, send};
use creditgate_tests::proxy::Mode;

use super::{ALL, Deployment, assert_not_torn, wait_until};

/// Beyond the limit of the transaction (5 s) and of the request (2 s) below.
const HOLD: Duration = Duration::from_secs(8);

const SHORT: [&str; 10] = [
    "--kafka-config",
    "reconnect.backoff.max.ms=1000",
    "--kafka-config",
    "transaction.timeout.ms=5000",
    "--kafka-config",
    "socket.timeout.ms=2000",
    "--kafka-config",
    "session.timeout.ms=4000",
    "--kafka-config",
    "heartbeat.interval.ms=500",
];

/// Holds ends of transactions for as long as it takes to meet one, and for its whole time.
fn hold(broker: &Broker, mode: Mode) {
    let held = || broker.proxy().requests_held() + broker.proxy().answers_held();
    let before = held();
    broker.proxy().set(mode);
    wait_until("a transaction ends", || held() > before);
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn the_end_of_a_transaction_held_past_its_limit_tears_no_batch() {
    const EVENTS: u64 = 12_000;
    let broker = Broker::start();
    let here = Deployment::new(&broker, "held");
    let service = here.serve_at(&broker.proxied(), "all", ALL, &SHORT);
    import_entries(&service);
    let events = Invented {
        count: EVENTS,
        rate: 400,
        ..Invented::default()
    };
    let sending = send(&broker.bootstrap(), &here.topic("events"), events);
    here.wait_for("verdicts", EVENTS / 20);
    for mode in [Mode::HoldRequest(HOLD), Mode::HoldAnswer(HOLD)] {
        hold(&broker, mode);
        // What was met stays held; what comes after the limits passes.
        std::thread::sleep(HOLD / 2);
        broker.proxy().set(Mode::Through);
        std::thread::sleep(HOLD / 2);
    }
    assert_eq!(sending.finish().sent, EVENTS);
    let account = here.assert_settled(EVENTS);
    assert_eq!((account.verdicts, account.dead_letters), (EVENTS, 0));
    println!("verdicts paused for {:?}", account.longest_pause());
    service.stop();
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn the_end_of_a_transaction_that_comes_after_its_process_died_changes_nothing() {
    const ROUND: u64 = 3_000;
    let broker = Broker::start();
    let here = Deployment::new(&broker, "late");
    let serve = || here.serve_at(&broker.proxied(), "all", ALL, &SHORT);
    let mut service = serve();
    import_entries(&service);
    // Dead before its request reached the broker, and dead before it knew the answer; followed when all is quiet, and
    // while the request of the dead one is still under way.
    let rounds = [
        (Mode::HoldRequest(HOLD), Follow::WhenQuiet),
        (Mode::HoldRequest(HOLD), Follow::AtOnce),
        (Mode::HoldAnswer(HOLD), Follow::AtOnce),
    ];
    let mut settled = 0;
    for (mode, follow) in rounds {
        let events = Invented {
            start: settled,
            count: ROUND,
            rate: 1_000,
            ..Invented::default()
        };
        let sending = send(&broker.bootstrap(), &here.topic("events"), events);
        hold(&broker, mode);
        let met = Instant::now();
        service.kill();
        broker.proxy().set(Mode::Through);
        if follow == Follow::WhenQuiet {
            std::thread::sleep(HOLD.saturating_sub(met.elapsed()));
            assert_not_torn(&here.account(0));
        }
        service = serve();
        assert_eq!(sending.finish().sent, ROUND);
        settled += ROUND;
        here.assert_settled(settled);
        // What was held has come by now.
        std::thread::sleep((HOLD + Duration::from_secs(1)).saturating_sub(met.elapsed()));
        let account = here.assert_settled(settled);
        assert_eq!((account.verdicts, account.dead_letters), (settled, 0));
    }
    service.stop();
}

/// When the successor of a dead process starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follow {
    WhenQuiet,
    AtOnce,
}
