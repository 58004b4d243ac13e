//! `kill -9`, of creditgate and of the broker, in the middle of the work.

use std::time::{Duration, Instant};

use creditgate_tests::kafka::{Broker, Invented, send};

use super::{ALL, Deployment, assert_not_torn, wait_until};

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn a_kill_in_the_middle_of_fifty_thousand_events_leaves_each_one_verdict() {
    const EVENTS: u64 = 50_000;
    let broker = Broker::shared();
    let here = Deployment::new(broker, "kill");
    let service = here.serve_all();
    let events = Invented {
        count: EVENTS,
        cases: 2_000,
        ..Invented::default()
    };
    let sending = send(&broker.bootstrap(), &here.topic("events"), events);
    here.wait_for("verdicts", EVENTS / 3);
    service.kill();
    assert_eq!(sending.finish().sent, EVENTS);

    // Whatever was under way is given up as a whole: verdicts, dead letters and offsets.
    let between = here.account(0);
    assert_not_torn(&between);
    assert!(
        (1..EVENTS).contains(&between.verdicts),
        "it was killed in the middle: {between:#?}"
    );
    println!("{} of {EVENTS} had a verdict at the kill", between.verdicts);

    let began = Instant::now();
    let service = here.serve("all", ALL);
    let account = here.assert_settled(EVENTS);
    println!("all of them {:?} after the restart", began.elapsed());
    assert_eq!((account.verdicts, account.dead_letters), (EVENTS, 0));
    assert_eq!(account.outcomes.get("PROHIBIT"), Some(&(EVENTS / 10)));
    assert_eq!(account.outcomes.get("PASS"), Some(&(EVENTS - EVENTS / 10)));
    service.stop();
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn a_broker_that_dies_and_comes_back_is_only_a_pause() {
    const EVENTS: u64 = 10_000;
    let broker = Broker::start();
    let here = Deployment::new(&broker, "pause");
    let service = here.serve_all();
    let events = Invented {
        count: EVENTS,
        rate: 1_000,
        ..Invented::default()
    };
    let sending = send(&broker.bootstrap(), &here.topic("events"), events);
    here.wait_for("verdicts", EVENTS / 4);
    broker.kill();
    // Long enough that every client has noticed.
    std::thread::sleep(Duration::from_secs(2));
    broker.restart();
    assert_eq!(sending.finish().sent, EVENTS);
    let account = here.assert_settled(EVENTS);
    assert_eq!((account.verdicts, account.dead_letters), (EVENTS, 0));
    println!("verdicts paused for {:?}", account.longest_pause());
    wait_until("the service is ready again", || {
        service
            .get("/readyz")
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    });
    service.stop();
}
