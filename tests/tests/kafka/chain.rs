//! The verdicts of the stream are chains on their topic, through kills, and whatever is put among them is found.

use std::collections::BTreeSet;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::kafka::{Broker, Invented, committed, send, send_messages};
use creditgate_tests::{evaluation, run};
use serde_json::json;

use super::{ALL, Deployment};

/// Verifies the topics of a deployment.
fn verify(here: &Deployment<'_>) -> (Option<i32>, String) {
    verify_with(here, &[])
}

fn verify_with(here: &Deployment<'_>, more: &[&str]) -> (Option<i32>, String) {
    let bootstrap = here.broker.bootstrap();
    let args = ["journal", "verify-topic", "--kafka", &bootstrap];
    let answer = run(
        &[
            args.as_slice(),
            &["--kafka-topic-prefix", here.prefix],
            more,
        ]
        .concat(),
        "",
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        answer.status.code(),
        text(&answer.stdout) + &text(&answer.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn verdicts_are_chains_through_a_kill_and_what_is_done_to_them_is_found() {
    const EVENTS: u64 = 6_000;
    let broker = Broker::shared();
    let here = Deployment::new(broker, "chain");
    let service = here.serve_all();
    let events = Invented {
        count: EVENTS,
        cases: 500,
        ..Invented::default()
    };
    let sending = send(&broker.bootstrap(), &here.topic("events"), events);
    here.wait_for("verdicts", EVENTS / 3);
    service.kill();
    assert_eq!(sending.finish().sent, EVENTS);
    // What was open at the kill does not count, and is in no chain.
    let (code, told) = verify(&here);
    assert_eq!(code, Some(0), "{told}");

    let service = here.serve("all", ALL);
    here.assert_settled(EVENTS);
    let mut gate = service.gate().await;
    let event = evaluation("synchronous", &invented::uscc(1));
    let request = v1::CheckRequest { event: Some(event) };
    gate.check(request).await.expect("a verdict");
    let (code, told) = verify(&here);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("1 verdicts are in no chain"), "{told}");
    assert!(told.contains("records 1 to "), "{told}");

    let records = committed(&broker.bootstrap(), &here.topic("verdicts"));
    let chained: Vec<&str> = records
        .iter()
        .map(|record| record.header("creditgate-chain"))
        .filter(|place| !place.is_empty())
        .collect();
    assert_eq!(chained.len() as u64, EVENTS);
    let segments: BTreeSet<String> = chained
        .iter()
        .map(|place| place.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let writers: BTreeSet<&str> = chained
        .iter()
        .filter_map(|place| place.split(' ').next())
        .collect();
    assert!(
        segments.len() > writers.len(),
        "each begins one more after the kill: {segments:?}"
    );

    // Whoever kept what a verdict bore is shown that it is there.
    let kept = *chained.last().expect("one in a chain");
    let (code, told) = verify_with(&here, &["--receipt", kept]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("is the one it names"), "{told}");
    let (place, _) = kept.rsplit_once(' ').expect("a hash");
    let other = format!("{place} {}", "0".repeat(64));
    let (code, told) = verify_with(&here, &["--receipt", &other]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("not the one that a receipt names"), "{told}");

    // A place that is taken, in a record of somebody else's.
    service.stop();
    let record = records
        .iter()
        .find(|record| !record.header("creditgate-chain").is_empty())
        .expect("one in a chain");
    let again = json!({
        "key": record.key,
        "headers": {"creditgate-chain": record.header("creditgate-chain")},
        "value": record.value,
        "partition": record.partition,
    });
    send_messages(&broker.bootstrap(), &here.topic("verdicts"), &[again]);
    let (code, told) = verify(&here);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("BROKEN: record 1 of `stream-"), "{told}");
    assert!(told.contains("it was changed"), "{told}");
}
