//! What the Kafka tests stand on, without creditgate: a broker that keeps its data, a proxy that holds back ends of
//! transactions, and a reader that finds what is wrong.

use std::time::{Duration, Instant};

use creditgate_tests::kafka::{
    Broker, Ending, Invented, Reading, kcat, send, send_as_one, send_messages, written,
};
use creditgate_tests::proxy::Mode;
use serde_json::{Value, json};

/// A verdict as far as the reader looks at it.
fn verdict(number: u64, partition: u64) -> Value {
    json!({
        "key": format!("case-{number}"),
        "partition": partition,
        "value": {
            "verdict_id": format!("verdict-{number}"),
            "source": "python",
            "event_id": format!("python-{number}"),
            "outcome": "PASS",
            "list_version": "log:1",
        },
    })
}

fn topics(broker: &Broker, prefix: &str) {
    for name in ["events", "verdicts", "dead-letters"] {
        let topic = format!("{prefix}.{name}");
        let none = Invented {
            create: 4,
            ..Invented::default()
        };
        assert_eq!(send(&broker.bootstrap(), &topic, none).finish().sent, 0);
    }
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn the_reader_finds_what_is_doubled_missing_misplaced_and_open() {
    let broker = Broker::shared();
    let (bootstrap, prefix) = (broker.bootstrap(), "reader");
    topics(broker, prefix);
    let events: Vec<Value> = (0..6)
        .map(|n| {
            json!({
                "key": format!("case-{n}"),
                "partition": n % 4,
                "headers": {"ce_source": "python", "ce_id": format!("python-{n}")},
                "value": "{}",
            })
        })
        .collect();
    send_messages(&bootstrap, "reader.events", &events);
    let verdicts = [verdict(0, 0), verdict(1, 1), verdict(2, 2)];
    send_messages(&bootstrap, "reader.verdicts", &verdicts);
    let letter = json!({
        "headers": {"creditgate-code": "refused", "creditgate-partition": "3", "creditgate-offset": "0"},
        "value": "{}",
    });
    // Of a report at the place of the fifth event, which it does not settle.
    let of_a_report = json!({
        "headers": {
            "creditgate-code": "undecodable",
            "creditgate-topic": "reader.feedback",
            "creditgate-partition": "0",
            "creditgate-offset": "1",
        },
        "value": "{}",
    });
    send_messages(&bootstrap, "reader.dead-letters", &[letter, of_a_report]);
    let half = Reading::of(prefix, 4).read(&bootstrap);
    assert_eq!((half.events, half.verdicts, half.missing), (6, 3, 2));
    assert_eq!(half.codes.get("refused"), Some(&1));
    assert_eq!(half.codes.get("undecodable"), Some(&1));

    // The fifth in a wrong place, the sixth and first twice.
    let more = [verdict(4, 3), verdict(5, 1), verdict(5, 1), verdict(0, 0)];
    send_messages(&bootstrap, "reader.verdicts", &more);
    let mut reading = Reading::of(prefix, 6);
    reading.with_offsets = true;
    let all = reading.read(&bootstrap);
    let faults = (all.missing, all.misplaced, all.doubled);
    assert_eq!(faults, (0, 1, 2), "{all:#?}");
    assert_eq!(
        (all.ahead, all.behind),
        (6, 0),
        "the group has committed nothing"
    );

    let left = Invented {
        count: 3,
        ..Invented::default()
    };
    send_as_one(
        &bootstrap,
        "reader.dead-letters",
        left,
        "reader-left",
        Ending::Leave,
    );
    let mut reading = Reading::of(prefix, 6);
    reading.within = Duration::from_secs(1);
    let open = reading.read(&bootstrap);
    assert_eq!((open.open, open.dead_letters), (3, 2), "{open:#?}");
    let given_up = Reading::of(prefix, 6).read(&bootstrap);
    assert_eq!(
        (given_up.open, given_up.dead_letters),
        (0, 2),
        "{given_up:#?}"
    );
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn a_killed_broker_keeps_its_data_and_its_address() {
    let broker = Broker::start();
    let bootstrap = broker.bootstrap();
    let events = Invented {
        create: 4,
        count: 3_000,
        poison: 5,
        rate: 1_000,
        ..Invented::default()
    };
    let sending = send(&bootstrap, "events", events);
    std::thread::sleep(Duration::from_millis(1_500));
    broker.kill();
    broker.restart();
    let sent = sending.finish();
    assert_eq!((sent.sent, sent.partitions.len()), (3_005, 4), "{sent:?}");
    broker.stop();
    broker.restart();
    assert_eq!(written(&bootstrap, "events"), 3_005);
    let read = kcat(
        &[
            "-C", "-q", "-e", "-b", &bootstrap, "-t", "events", "-f", "%k\n",
        ],
        b"",
    );
    assert_eq!(read.iter().filter(|byte| **byte == b'\n').count(), 3_005);
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn the_end_of_a_transaction_can_be_held_both_ways() {
    const HOLD: Duration = Duration::from_secs(2);
    let broker = Broker::shared();
    let events = Invented {
        count: 10,
        ..Invented::default()
    };
    let create = Invented {
        create: 1,
        ..Invented::default()
    };
    let created = send(&broker.bootstrap(), "held", create).finish();
    assert_eq!(created.sent, 0);
    let timed = |mode| {
        broker.proxy().set(mode);
        let began = Instant::now();
        send_as_one(&broker.proxied(), "held", events, "held", Ending::Commit);
        broker.proxy().set(Mode::Through);
        began.elapsed()
    };
    let through = timed(Mode::Through);
    let request = timed(Mode::HoldRequest(HOLD));
    let answer = timed(Mode::HoldAnswer(HOLD));
    assert!(
        through < HOLD && request >= HOLD && answer >= HOLD,
        "{through:?}, {request:?}, {answer:?}"
    );
    let held = (
        broker.proxy().requests_held(),
        broker.proxy().answers_held(),
    );
    assert_eq!(held, (1, 1));
    send_as_one(
        &broker.bootstrap(),
        "held",
        events,
        "held-not",
        Ending::Abort,
    );
    let committed = [
        "-C",
        "-q",
        "-e",
        "-b",
        &broker.bootstrap(),
        "-t",
        "held",
        "-X",
        "isolation.level=read_committed",
        "-f",
        "%k\n",
    ];
    let lines = kcat(&committed, b"");
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 30);
}
