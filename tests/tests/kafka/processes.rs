//! Several processes: shares of the stream that change hands, and one state of the lists.

use creditgate_tests::import_entries;
use creditgate_tests::kafka::{Broker, Invented, members, send};

use super::lists::{assert_same_state, import_one};
use super::{Deployment, GATE, REGISTRY, STREAM};

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn the_stream_changes_hands_without_losing_or_doubling_an_event() {
    // Enough to last while processes come and go.
    const EVENTS: u64 = 24_000;
    let broker = Broker::shared();
    let here = Deployment::new(broker, "hands");
    let (bootstrap, group) = (broker.bootstrap(), here.group());
    let first = here.serve_all();
    let events = Invented {
        count: EVENTS,
        rate: 300,
        ..Invented::default()
    };
    let sending = send(&bootstrap, &here.topic("events"), events);
    here.wait_for("verdicts", 400);
    let on = |more: u64| {
        let now = creditgate_tests::kafka::written(&bootstrap, &here.topic("verdicts"));
        here.wait_for("verdicts", now + more);
    };

    let second = here.serve("second", STREAM);
    println!("shares of two: {:?}", members(&bootstrap, &group, 2));
    on(800);
    second.stop();
    println!("share of one: {:?}", members(&bootstrap, &group, 1));
    on(800);

    let third = here.serve("third", STREAM);
    println!("shares of two: {:?}", members(&bootstrap, &group, 2));
    on(800);
    third.kill();
    println!("share of one: {:?}", members(&bootstrap, &group, 1));
    assert_eq!(sending.finish().sent, EVENTS);
    let account = here.assert_settled(EVENTS);
    assert_eq!((account.verdicts, account.dead_letters), (EVENTS, 0));
    println!(
        "verdicts of a partition paused for at most {:?}, with members that joined, left and were killed",
        account.longest_pause()
    );
    first.stop();
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn four_processes_agree_on_the_lists_and_one_takes_over_from_another() {
    const EVENTS: u64 = 6_000;
    let broker = Broker::shared();
    let here = Deployment::new(broker, "four");
    let bootstrap = broker.bootstrap();
    let registry = here.serve("registry", REGISTRY);
    import_entries(&registry);
    let gate = here.serve("gate", GATE);
    let one = here.serve("one", STREAM);
    let other = here.serve("other", STREAM);
    let before = assert_same_state(&[&registry, &gate, &one, &other]);
    println!("{before}");
    println!("shares of two: {:?}", members(&bootstrap, &here.group(), 2));

    let events = Invented {
        count: EVENTS,
        rate: 1_000,
        ..Invented::default()
    };
    let sending = send(&bootstrap, &here.topic("events"), events);
    here.wait_for("verdicts", EVENTS / 3);
    one.kill();
    assert_eq!(sending.finish().sent, EVENTS);
    let account = here.assert_settled(EVENTS);
    assert_eq!((account.verdicts, account.dead_letters), (EVENTS, 0));
    assert_eq!(account.list_versions.len(), 1, "{account:#?}");
    println!("verdicts paused for {:?}", account.longest_pause());

    assert!(import_one(&registry, 900_001).status.success());
    let again = here.serve("one", STREAM);
    let after = assert_same_state(&[&registry, &gate, &other, &again]);
    assert_ne!(before, after);
    for service in [again, other, gate, registry] {
        service.stop();
    }
}
