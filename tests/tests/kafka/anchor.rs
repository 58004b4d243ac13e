//! A service without Kafka brings its check points to a topic of a cluster that others look after, through its absence.

use std::process::Command;

use creditgate_measures::identifier::invented;
use creditgate_tests::kafka::{Broker, Invented, committed, send};
use creditgate_tests::{Service, binary, evaluation, import_entries, patient, run};

use super::wait_until;

const TOPIC: &str = "audit.creditgate";

async fn judge(service: &Service, name: &str, many: u64) {
    let mut gate = service.gate().await;
    for n in 0..many {
        let event = evaluation(&format!("{name}-{n}"), &invented::uscc(n));
        patient(&mut gate, event).await.expect("a verdict");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn a_topic_gets_every_check_point_through_its_absence_and_is_an_anchor() {
    let broker = Broker::start();
    let made = Invented {
        create: 1,
        ..Invented::default()
    };
    assert_eq!(send(&broker.bootstrap(), TOPIC, made).finish().sent, 0);
    let keys = tempfile::tempdir().expect("a directory");
    let out = keys.path().display().to_string();
    assert!(
        run(&["keys", "journal", "--out", &out], "")
            .status
            .success()
    );
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(binary());
    command
        .env(
            "CREDITGATE_JOURNAL_SIGNING_KEY_FILE",
            keys.path().join("journal-key.pem"),
        )
        .env("CREDITGATE_JOURNAL_CHECK_POINT_SECONDS", "1")
        .env("CREDITGATE_JOURNAL_ANCHOR_TOPIC", TOPIC)
        .env("CREDITGATE_JOURNAL_ANCHOR_BROKERS", broker.bootstrap());
    let mut service = Service::launch(command, dir.path(), &dir.path().join("service.log"), &[]);
    service.wait_until_ready();
    import_entries(&service);
    judge(&service, "first", 5).await;
    wait_until("a check point on the topic", || {
        !committed(&broker.bootstrap(), TOPIC).is_empty()
    });

    // While it is away, verdicts are answered, and that check points wait is told.
    broker.kill();
    judge(&service, "second", 5).await;
    wait_until("the anchor is told to be behind", || {
        let told = service.get("/readyz").unwrap_or_default();
        told.starts_with("HTTP/1.1 200") && told.contains("anchor topic")
    });
    broker.restart();
    wait_until("the anchor has all again", || {
        let shown = service.get("/metrics").unwrap_or_default();
        shown.contains("creditgate_anchor_behind_seconds{anchor=\"topic\"} 0")
    });
    judge(&service, "third", 5).await;
    service.stop();

    let records = committed(&broker.bootstrap(), TOPIC);
    let first = records.first().expect("check points");
    assert!(
        records
            .iter()
            .all(|record| record.key == first.key && record.key.len() == 32)
    );
    let lines: String = records
        .iter()
        .map(|record| format!("{}\n", record.value))
        .collect();
    let anchor = keys.path().join("saved.jsonl");
    std::fs::write(&anchor, lines).expect("written");
    let [data, key, anchor] = [
        dir.path().to_owned(),
        keys.path().join("journal-key.pub.pem"),
        anchor,
    ]
    .map(|path| path.display().to_string());
    let answer = run(
        &[
            "journal",
            "verify",
            "--data-dir",
            &data,
            "--key",
            &key,
            "--anchor",
            &anchor,
        ],
        "",
    );
    let told = String::from_utf8_lossy(&answer.stdout);
    assert!(answer.status.success(), "{told}");
    assert!(
        told.contains("anchor: it is what was signed up to record 15; 0 behind it"),
        "{told}"
    );
}
