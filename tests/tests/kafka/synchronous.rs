//! Synchronous checks beside the stream: what was answered lies in the topic, and without a broker nothing is answered.

use std::collections::BTreeMap;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_tests::evaluation;
use creditgate_tests::kafka::Broker;
use tonic::Code;
use tonic::transport::Channel;

use super::Deployment;

async fn check(
    gate: &mut GateClient<Channel>,
    event: v1::Event,
) -> Result<v1::Verdict, tonic::Status> {
    let request = v1::CheckRequest { event: Some(event) };
    let answer = gate.check(request).await?.into_inner();
    Ok(answer.verdict.expect("a verdict"))
}

/// Every answered verdict lies once in the topic, with the digest that was answered; and nothing else does.
fn assert_in_topic(here: &Deployment<'_>, answered: &BTreeMap<String, String>) {
    let account = here.records(0);
    account.assert_exactly_once();
    let written: BTreeMap<String, String> = account
        .verdict_records
        .iter()
        .map(|record| {
            let field = |name: &str| record.verdict[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(record.key.as_deref(), Some(field("case_id").as_str()));
            (field("verdict_id"), field("verdict_digest"))
        })
        .collect();
    assert_eq!(&written, answered);
    assert_eq!(
        account.unasked, account.verdicts,
        "no event lies in the topic"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn an_answered_check_lies_in_the_topic_and_without_a_broker_nothing_is_answered() {
    let broker = Broker::start();
    let here = Deployment::new(&broker, "checks");
    let service = here.serve_all();
    let mut gate = service.gate().await;
    let mut answered = BTreeMap::new();
    for n in 0..50 {
        let event = evaluation(&format!("grpc-{n}"), &invented::uscc(n));
        let verdict = check(&mut gate, event).await.expect("a verdict");
        answered.insert(verdict.verdict_id, verdict.verdict_digest);
    }
    let by_http = evaluation("http", &invented::uscc(51));
    let json = serde_json::to_string(&by_http).expect("JSON");
    let answer = service.post("/v1/check", &json).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The same once more is answered with the first verdict, so it tells id and digest.
    let verdict = check(&mut gate, by_http).await.expect("a verdict");
    assert!(answer.contains(&verdict.verdict_id));
    answered.insert(verdict.verdict_id, verdict.verdict_digest);
    assert_in_topic(&here, &answered);

    broker.kill();
    let event = evaluation("meanwhile", &invented::uscc(52));
    let refused = check(&mut gate, event.clone())
        .await
        .expect_err("nowhere to write it");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let json = serde_json::to_string(&evaluation("meanwhile-http", &invented::uscc(53)));
    let answer = service
        .post("/v1/check", &json.expect("JSON"))
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");

    broker.restart();
    // Those that were refused may come again; each gets the one verdict that lies in the topic.
    let again = [event, evaluation("meanwhile-http", &invented::uscc(53))];
    for event in again {
        let began = std::time::Instant::now();
        let verdict = loop {
            match check(&mut gate, event.clone()).await {
                Ok(verdict) => break verdict,
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                    assert!(began.elapsed().as_secs() < 60, "{status:?}");
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        };
        answered.insert(verdict.verdict_id, verdict.verdict_digest);
    }
    assert_in_topic(&here, &answered);
    service.stop();
}
