//! What comes in: events of every kind become verdicts, and what is no event blocks nothing.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::evaluation;
use creditgate_tests::kafka::{Broker, Envelope, Invented, committed, kcat, send, send_messages};
use prost::Message as _;
use serde_json::{Value, json};

use super::Deployment;

/// The type of an event.
pub const EVENT: &str = "cn.creditgate.event.v1";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// One time for all events: a redelivery says the same as the first.
fn now() -> &'static str {
    static NOW: OnceLock<String> = OnceLock::new();
    NOW.get_or_init(|| creditgate_tests::now().to_string())
}

fn envelope(event: &v1::Event) -> Envelope<'_> {
    Envelope {
        kind: EVENT,
        source: &event.source,
        id: &event.id,
        time: now(),
    }
}

fn json_of(event: &v1::Event) -> Value {
    serde_json::to_value(event).expect("JSON")
}

fn message(event: &v1::Event) -> Value {
    envelope(event).message(&event.case_id, &json_of(event))
}

/// Sends with `kcat`, whose way of placing keys differs from Java's: a verdict goes where its event lies.
fn send_with_kcat(bootstrap: &str, topic: &str, event: &v1::Event) {
    let headers: Vec<String> = envelope(event)
        .headers("application/json")
        .into_iter()
        .flat_map(|(name, value)| ["-H".to_owned(), format!("{name}={value}")])
        .collect();
    let mut args = vec!["-P", "-b", bootstrap, "-t", topic, "-k", &event.case_id];
    args.extend(headers.iter().map(String::as_str));
    kcat(&args, format!("{}\n", json_of(event)).as_bytes());
}

#[tokio::test]
#[ignore = "needs Java: run by tests/all.sh"]
async fn events_of_every_kind_become_verdicts_and_keep_their_trace() {
    let broker = Broker::shared();
    let here = Deployment::new(broker, "kinds");
    let service = here.serve_all();
    let bootstrap = broker.bootstrap();
    let topic = here.topic("events");
    let barred = "91219999MAYG58BR3Q";

    let binary = evaluation("binary", barred);
    let mut binary_message = message(&binary);
    binary_message["headers"]["traceparent"] = json!(format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let structured = evaluation("structured", &invented::uscc(2));
    let protobuf = evaluation("protobuf", &invented::uscc(3));
    let messages = [
        binary_message,
        json!({
            "key": structured.case_id,
            "headers": {"content-type": "application/cloudevents+json; charset=utf-8"},
            "value": {
                "specversion": "1.0",
                "type": EVENT,
                "source": structured.source,
                "id": structured.id,
                "time": now(),
                "datacontenttype": "application/json",
                "data": json_of(&structured),
            },
        }),
        json!({
            "key": protobuf.case_id,
            "headers": envelope(&protobuf).headers("application/protobuf"),
            "base64": BASE64.encode(protobuf.encode_to_vec()),
        }),
    ];
    send_messages(&bootstrap, &topic, &messages);
    send_with_kcat(&bootstrap, &topic, &evaluation("kcat", &invented::uscc(4)));
    let first = here.records(4);

    // An event that asks for lists at least as new as those of a verdict seen before.
    let seen = first.verdict_records[0].verdict["list_version"].clone();
    let newer = evaluation("newer", &invented::uscc(5));
    let mut newer_message = message(&newer);
    newer_message["headers"]["ce_minlistversion"] = seen;
    // And one that asks for lists of tomorrow: nobody waits for its answer, so it is for review.
    let tomorrow = evaluation("tomorrow", &invented::uscc(6));
    let mut tomorrow_message = message(&tomorrow);
    tomorrow_message["headers"]["ce_minlistversion"] = json!("999999999");
    send_messages(&bootstrap, &topic, &[newer_message, tomorrow_message]);

    here.assert_settled(6);
    let account = here.records(6);
    assert_eq!((account.verdicts, account.dead_letters), (6, 0));
    assert_eq!(
        account.outcomes.get("MANUAL_REVIEW"),
        Some(&1),
        "{account:#?}"
    );
    assert_eq!(account.outcomes.get("PROHIBIT"), Some(&1), "{account:#?}");
    assert_eq!(account.outcomes.get("PASS"), Some(&4), "{account:#?}");
    for record in &account.verdict_records {
        let header = |name: &str| record.headers.get(name).cloned().flatten();
        assert_eq!(header("ce_specversion").as_deref(), Some("1.0"));
        assert_eq!(
            header("ce_type").as_deref(),
            Some("cn.creditgate.verdict.v1")
        );
        assert_eq!(header("content-type").as_deref(), Some("application/json"));
        assert_eq!(
            header("ce_id").as_deref(),
            record.verdict["verdict_id"].as_str()
        );
        assert_eq!(record.key.as_deref(), record.verdict["case_id"].as_str());
        if record.verdict["event_id"] == "tomorrow" {
            let flags = record.verdict["flags"].as_array().expect("flags");
            assert!(flags.contains(&json!("lists_behind")), "{flags:?}");
        }
        if record.verdict["event_id"] == "binary" {
            let traces = ["ce_traceparent", "traceparent"].map(header);
            assert!(
                traces.iter().flatten().any(|trace| trace.contains(TRACE)),
                "{record:#?}"
            );
        }
    }
    assert_eq!(committed(&bootstrap, &here.topic("verdicts")).len(), 6);
    assert_eq!(committed(&bootstrap, &here.topic("dead-letters")).len(), 0);
    service.stop();
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn poison_goes_to_the_dead_letters_and_blocks_nothing() {
    const GOOD: u64 = 2_000;
    const POISON: u64 = 100;
    let broker = Broker::shared();
    let here = Deployment::new(broker, "poison");
    let service = here.serve_all();
    let bootstrap = broker.bootstrap();
    let topic = here.topic("events");
    let events = Invented {
        count: GOOD,
        poison: POISON,
        ..Invented::default()
    };
    let sent = send(&bootstrap, &topic, events).finish();
    assert_eq!(sent.sent, GOOD + POISON);
    here.assert_settled(GOOD + POISON);

    // The same event again, as a redelivery brings it, and under the same id another one.
    let event = evaluation("again", &invented::uscc(7));
    let mut other = event.clone();
    other.subjects[0].id = invented::uscc(8);
    let again = [message(&event), message(&event), message(&other)];
    send_messages(&bootstrap, &topic, &again);

    let account = here.records(GOOD + POISON + 2);
    account.assert_exactly_once();
    assert_eq!(account.verdicts, GOOD + 1);
    assert_eq!(account.dead_letters, POISON + 1);
    assert_eq!(account.codes.get("conflict"), Some(&1), "{account:#?}");
    for letter in &account.dead_letter_records {
        let code = letter.header("creditgate-code");
        assert!(!letter.header("creditgate-reason").is_empty());
        assert_eq!(letter.header("creditgate-topic"), topic);
        assert!(
            letter
                .key
                .as_deref()
                .is_some_and(|key| key.starts_with("case-"))
        );
        assert_eq!(letter.header("ce_specversion"), "1.0", "{letter:#?}");
        let value = BASE64.decode(&letter.base64).expect("base64");
        match letter.header("x-poison") {
            "not-json" => assert_eq!((code, &value[..]), ("undecodable", &b"{"[..])),
            "not-utf8" => assert_eq!((code, value.contains(&0xff)), ("undecodable", true)),
            "empty" => assert_eq!((code, value.len()), ("undecodable", 0)),
            "unknown-stage" => assert_eq!(code, "refused"),
            "no-id" => assert!(["undecodable", "refused"].contains(&code), "{letter:#?}"),
            "" => assert_eq!((code, letter.header("ce_id")), ("conflict", "again")),
            other => panic!("nobody sent `{other}`"),
        }
    }
    service.stop();
}
