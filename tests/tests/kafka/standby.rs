//! Several registries: one leads, the others stand by and take over; never do two of them write.

use std::process::Command;
use std::time::Instant;

use creditgate_measures::identifier::invented;
use creditgate_runtime::config::Config;
use creditgate_runtime::kafka::{Cluster, Outgoing, Topic, Unwritten, Writer};
use creditgate_tests::kafka::Broker;
use creditgate_tests::{Service, evaluation, import_entries};

use super::lists::{
    assert_same_state, file_of, import_file, import_one, role, seq, server, told, wait_for_lead,
};
use super::{ALL, Deployment, GATE, REGISTRY, wait_until};

pub fn signal(service: &Service, name: &str) {
    let pid = service.pid().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.expect("kill runs").success());
}

fn words(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn a_second_registry_stands_by_and_takes_over_from_one_that_stops() {
    let broker = Broker::shared();
    let here = Deployment::new(broker, "standby");
    let first = here.serve("first", ALL);
    import_entries(&first);
    let second = here.serve("second", ALL);
    assert_eq!(role(&first).as_deref(), Some("leads"));
    assert_eq!(role(&second).as_deref(), Some("stands_by"));
    assert_same_state(&[&first, &second]);
    for (service, leads) in [(&first, 1.0), (&second, 0.0)] {
        let text = service.get("/metrics").expect("metrics");
        let line = format!("creditgate_lists_role{{role=\"leads\"}} {leads}");
        assert!(text.contains(&line), "{text}");
    }
    let ready = second.get("/readyz").expect("an answer");
    assert!(ready.contains(r#""lists_role":"stands_by""#), "{ready}");

    let refused = import_one(&second, 900_001);
    assert!(!refused.status.success(), "it stands by");
    assert!(words(&refused).contains("stands by"), "{}", words(&refused));
    assert!(import_one(&first, 900_002).status.success());
    assert_same_state(&[&first, &second]);

    let stopped = Instant::now();
    first.stop();
    wait_for_lead(&second);
    println!(
        "led {:?} after the other was asked to stop",
        stopped.elapsed()
    );
    assert!(import_one(&second, 900_003).status.success());
    // The first comes back and finds another in its place.
    let first = here.serve("first", ALL);
    assert_eq!(role(&first).as_deref(), Some("stands_by"));
    assert_same_state(&[&first, &second]);
    let mut gate = first.gate().await;
    for (number, outcome) in [
        (900_001, "PASS"),
        (900_002, "PROHIBIT"),
        (900_003, "PROHIBIT"),
    ] {
        let event = Some(evaluation(&format!("e-{number}"), &invented::uscc(number)));
        let request = creditgate_proto::v1::CheckRequest { event };
        let answer = gate.check(request).await.expect("a verdict").into_inner();
        let verdict = answer.verdict.expect("a verdict");
        assert_eq!(verdict.outcome, outcome, "{number}");
    }
    second.stop();
    wait_for_lead(&first);
    first.stop();
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn a_leader_killed_during_an_import_leaves_what_was_accepted_and_the_standby_goes_on() {
    const ROWS: u64 = 8_000;
    let broker = Broker::shared();
    let here = Deployment::new(broker, "import");
    let first = here.serve("first", REGISTRY);
    let second = here.serve("second", REGISTRY);
    let before = seq(&second);
    let file = file_of(1_000_000..1_000_000 + ROWS);
    let address = server(&first);
    let cut_off = std::thread::scope(|scope| {
        let importing = scope.spawn(|| import_file(&address, &file));
        wait_until("a part of it is recorded", || seq(&second) > before);
        let killed = Instant::now();
        first.kill();
        wait_for_lead(&second);
        println!("led {:?} after the other was killed", killed.elapsed());
        importing.join().expect("its end")
    });
    assert!(!cut_off.status.success(), "{}", words(&cut_off));
    let part = seq(&second) - before;
    println!("{part} of {ROWS} changes were accepted before the kill");
    assert!((1..ROWS).contains(&part), "{part}");
    // Whoever starts from nothing has the same.
    let third = here.serve("third", GATE);
    assert_same_state(&[&second, &third]);

    let again = import_file(&server(&second), &file);
    assert!(again.status.success(), "{}", words(&again));
    let summary = words(&again);
    let figure = |name: &str| -> u64 {
        let line = summary.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().last());
        number.expect("a figure").parse().expect("a number")
    };
    assert_eq!(figure("accepted") + figure("unchanged"), ROWS, "{summary}");
    assert_eq!(figure("unchanged"), part, "{summary}");
    assert_same_state(&[&second, &third]);
    assert_eq!(
        told(&third).expect("an answer")["entries"],
        ROWS.to_string()
    );
    third.stop();
    second.stop();
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn a_leader_that_was_paused_writes_nothing_after_it_and_stands_by() {
    const ROWS: u64 = 8_000;
    let broker = Broker::shared();
    let here = Deployment::new(broker, "paused");
    let mut first = here.serve("first", REGISTRY);
    let second = here.serve("second", REGISTRY);
    let before = seq(&second);
    let file = file_of(1_000_000..1_000_000 + ROWS);
    let address = server(&first);
    std::thread::scope(|scope| {
        let importing = scope.spawn(|| import_file(&address, &file));
        wait_until("a part of it is recorded", || seq(&second) > before);
        signal(&first, "-STOP");
        wait_for_lead(&second);
        assert!(import_one(&second, 900_001).status.success());
        let reached = seq(&second);
        signal(&first, "-CONT");
        let cut_off = importing.join().expect("its end");
        assert!(!cut_off.status.success(), "{}", words(&cut_off));
        println!("{}", words(&cut_off).trim());
        wait_until("it stands by, or ends", || {
            first.ended().is_some() || role(&first).as_deref() == Some("stands_by")
        });
        assert_eq!(seq(&second), reached, "nothing of the first came after");
    });
    assert!(first.ended().is_none(), "{}", first.logged());
    assert_same_state(&[&second, &first]);
    assert!(import_one(&second, 900_002).status.success());
    assert!(!import_one(&first, 900_003).status.success());
    // It leads again when it is its turn, with all that came meanwhile.
    let last = assert_same_state(&[&second, &first]);
    second.stop();
    wait_for_lead(&first);
    println!("{last}");
    assert!(import_one(&first, 900_004).status.success());
    first.stop();
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn whoever_has_the_transactional_id_writes_and_nobody_else_whatever_they_believe() {
    let broker = Broker::shared();
    let here = Deployment::new(broker, "two");
    let service = here.serve("first", REGISTRY);
    assert!(import_one(&service, 900_001).status.success());
    let before = seq(&service);

    // Another leads beside the one that has the lease, as an older version would.
    let mut settings = Config::default().kafka;
    settings.brokers = vec![broker.bootstrap()];
    settings.topic_prefix = here.prefix.to_owned();
    let cluster = Cluster::of(&settings).expect("brokers");
    let mut other = Writer::new(&cluster, "registry");
    other
        .renew(std::time::Duration::from_secs(20))
        .expect("it takes over");
    let fenced = import_one(&service, 900_002);
    assert!(!fenced.status.success(), "it was fenced off");
    println!("{}", words(&fenced).trim());
    assert_eq!(seq(&service), before, "nothing of it was written");

    // It still has the lease, so it takes over again; then the other writes nothing any more.
    wait_for_lead(&service);
    let refused = other.write(&[Outgoing {
        topic: Topic::ListChanges,
        partition: Some(0),
        key: Vec::new(),
        headers: Vec::new(),
        payload: b"no record".to_vec(),
    }]);
    assert!(matches!(refused, Err(Unwritten::Fenced(_))), "{refused:?}");
    assert!(import_one(&service, 900_003).status.success());
    // Whoever reads the topic finds nothing else.
    let follower = here.serve("follower", GATE);
    assert_same_state(&[&service, &follower]);
    follower.stop();
    service.stop();
}
