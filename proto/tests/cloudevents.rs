//! CloudEvents in both modes, and what is said of those that are none.

use base64::Engine as _;
use creditgate_proto::cloudevents::{
    CloudEvent, NotFeedback, feedback_from_message, from_message, lift_order_event,
    lift_order_headers, notice_event, verdict_event, verdict_headers,
};
use creditgate_proto::json::event_from_json;
use creditgate_proto::{Refused, v1};
use prost::Message;

const GOLDEN: &str = include_str!("data/event.json");

const BINARY: [(&str, &str); 5] = [
    ("Content-Type", "application/json; charset=utf-8"),
    ("ce-specversion", "1.0"),
    ("ce-type", "cn.example.tender.evaluated"),
    ("ce-id", "T-1"),
    ("ce-source", "bidding-platform"),
];

fn golden() -> v1::Event {
    event_from_json(GOLDEN.as_bytes()).expect("the golden event")
}

/// The binary headers with one changed; an empty value takes it away.
fn with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut headers: Vec<_> = BINARY
        .into_iter()
        .filter(|(n, _)| !n.eq_ignore_ascii_case(name))
        .collect();
    if !value.is_empty() {
        headers.push((name, value));
    }
    headers
}

fn shown(result: &Result<CloudEvent, Refused>) -> String {
    result
        .as_ref()
        .err()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[track_caller]
fn check_binary(name: &str, value: &str, expected: &str) {
    let result = from_message(with(name, value), GOLDEN.as_bytes());
    assert_eq!(shown(&result), expected);
}

#[track_caller]
fn check_structured(attributes: &str, expected: &str) {
    let result = structured(attributes);
    assert_eq!(shown(&result), expected, "{attributes}");
}

fn structured(attributes: &str) -> Result<CloudEvent, Refused> {
    let body = format!(r#"{{"specversion":"1.0","type":"t",{attributes}}}"#);
    from_message(
        [("content-type", "application/cloudevents+json")],
        body.as_bytes(),
    )
}

#[test]
fn all_spellings_carry_one_event() {
    let event = golden();
    let binary = from_message(BINARY, GOLDEN.as_bytes()).expect("binary");
    assert_eq!(binary.event, event);
    let bytes = event.encode_to_vec();
    let proto = from_message(with("content-type", "application/protobuf"), &bytes);
    assert_eq!(proto.expect("binary protobuf").event, event);
    let kafka = BINARY.map(|(name, value)| (name.replace("ce-", "ce_"), value));
    let kafka = from_message(
        kafka.iter().map(|(n, v)| (n.as_str(), *v)),
        GOLDEN.as_bytes(),
    );
    assert_eq!(kafka.expect("kafka").event, event);
    let ids = r#""id":"T-1","source":"bidding-platform","#;
    let data = structured(&format!(r#"{ids}"someextension":true,"data":{GOLDEN}"#));
    assert_eq!(data.expect("structured").event, event);
    let base64 = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let media = r#""datacontenttype":"application/protobuf","#;
    let data = structured(&format!(r#"{ids}{media}"data_base64":"{base64}""#));
    assert_eq!(data.expect("structured protobuf").event, event);
}

#[test]
fn attributes_fill_what_the_event_leaves_out() {
    let body = br#"{"case_id":"C"}"#;
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-type", "t"),
        ("ce-id", "%E6%8B%9B-1"),
        ("ce-source", "s"),
        ("ce-time", "2026-03-01T09:30:00Z"),
        ("ce-minlistversion", "42"),
        ("traceparent", "00-outer"),
        ("ce-traceparent", "00-inner"),
        ("tracestate", "a=b"),
    ];
    let read = from_message(headers, body).expect("an event");
    let event = &read.event;
    assert_eq!((event.id.as_str(), event.source.as_str()), ("招-1", "s"));
    assert_eq!(event.occurred_at.map(|t| t.seconds), Some(1_772_357_400));
    assert_eq!(event.min_list_version, "42");
    assert_eq!(read.traceparent.as_deref(), Some("00-inner"));
    assert_eq!(read.tracestate.as_deref(), Some("a=b"));
    let read = structured(r#""id":"a","source":"b","minlistversion":42,"data":{}"#);
    assert_eq!(read.expect("an event").event.min_list_version, "42");
}

#[test]
fn a_message_that_is_no_cloud_event_is_told_why() {
    check_binary("ce-specversion", "", "ce-specversion: required: `1.0`");
    check_binary("ce-specversion", "0.3", "ce-specversion: expected `1.0`");
    check_binary("ce-type", "", "ce-type: required");
    check_binary("ce-id", "", "ce-id: required");
    check_binary("ce-id", "T-2", "ce-id: is not the event's own `id`");
    check_binary(
        "ce-source",
        "x",
        "ce-source: is not the event's own `source`",
    );
    check_binary(
        "ce-minlistversion",
        "7",
        "ce-minlistversion: is not the event's `min_list_version`",
    );
    check_binary("ce-id", "%FF", "ce-id: not UTF-8 once percent-decoded");
    check_binary("ce-time", "yesterday", "");
    check_binary(
        "content-type",
        "text/xml",
        "content-type: expected `application/json` or `application/protobuf`",
    );
    check_binary(
        "content-type",
        "application/cloudevents-batch+json",
        "content-type: expected `application/cloudevents+json`, or binary mode",
    );
    check_binary(
        "content-type",
        "application/protobuf",
        "body: not a protobuf message `creditgate.v1.Event`",
    );
    let ids = r#""id":"a","source":"b""#;
    check_structured(ids, "data: required: the event");
    check_structured(
        &format!(r#"{ids},"data":7"#),
        "data: expected an object, got a number",
    );
    check_structured(
        &format!(r#"{ids},"data":{{"subjects":[{{"role":1}}]}}"#),
        "data.subjects[0].role: expected a text, got a number",
    );
    check_structured(
        &format!(r#"{ids},"data_base64":"?""#),
        "data_base64: not base64",
    );
    check_structured(
        &format!(r#"{ids},"data":{{}},"data_base64":"""#),
        "data_base64: stands beside `data`; one of them must go",
    );
    check_structured(
        &format!(r#"{ids},"datacontenttype":"application/protobuf","data":{{}}"#),
        "datacontenttype: `data` is JSON: expected `application/json`, or use `data_base64`",
    );
    check_structured(
        &format!(r#"{ids},"time":"yesterday","data":{{}}"#),
        "time: expected a time of RFC 3339 with an offset",
    );
    check_structured(r#""data":{}"#, "id: required; source: required");
}

const REPORT: &str = r#"{
    "feedback_id": "f-1", "verdict_id": "01234567-89ab-8def-8123-456789abcdef", "measure_id": "M57",
    "subject": 1, "status": "executed", "operator": "某甲", "department": "某局", "amount_fen": "12",
    "executed_at": "2026-03-01T09:30:00+08:00"
}"#;

const REPORTED: [(&str, &str); 5] = [
    ("content-type", "application/json"),
    ("ce_specversion", "1.0"),
    ("ce_type", "cn.creditgate.feedback.v1"),
    ("ce_id", "m-1"),
    ("ce_source", "urn:office"),
];

fn report() -> v1::Feedback {
    serde_json::from_str(REPORT).expect("the report")
}

/// What a message gives, with the headers of a report but for one; an empty value takes it away.
fn reported(name: &str, value: &str, body: &[u8]) -> Result<v1::Feedback, NotFeedback> {
    let kept = REPORTED.into_iter().filter(|(known, _)| *known != name);
    let changed = (!value.is_empty()).then_some((name, value));
    feedback_from_message(kept.chain(changed), body)
}

fn structured_report(attributes: &str) -> Result<v1::Feedback, NotFeedback> {
    let body = format!(r#"{{"specversion":"1.0","id":"m-1","source":"s",{attributes}}}"#);
    let media = ("content-type", "application/cloudevents+json");
    feedback_from_message([media], body.as_bytes())
}

#[test]
fn all_spellings_carry_one_report_and_nothing_of_it_is_filled_in() {
    let bytes = report().encode_to_vec();
    let kind = r#""type":"cn.creditgate.feedback.v1""#;
    let base64 = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let coded =
        format!(r#"{kind},"datacontenttype":"application/protobuf","data_base64":"{base64}""#);
    let check = |read: Result<v1::Feedback, NotFeedback>| assert_eq!(read, Ok(report()));
    check(reported("", "", REPORT.as_bytes()));
    check(reported("ce_id", "another", REPORT.as_bytes()));
    check(reported("content-type", "", REPORT.as_bytes()));
    check(reported("content-type", "application/protobuf", &bytes));
    check(structured_report(&format!(r#"{kind},"data":{REPORT}"#)));
    check(structured_report(&coded));
    // As the type was called before.
    check(reported(
        "ce_type",
        "creditgate.feedback",
        REPORT.as_bytes(),
    ));
    let before = r#""type":"creditgate.feedback""#;
    check(structured_report(&format!(r#"{before},"data":{REPORT}"#)));
    let without = REPORT.replace(r#""feedback_id": "f-1","#, "");
    let refused = Refused::one("feedback_id", "required");
    assert_eq!(
        reported("", "", without.as_bytes()),
        Err(NotFeedback::Refused(refused))
    );
}

/// Another type is told before anything that is said of the data.
#[test]
fn a_message_that_is_no_report_is_told_why() {
    fn check(read: Result<v1::Feedback, NotFeedback>, expected: &str) {
        let shown = match &read {
            Ok(_) => "taken".to_owned(),
            Err(NotFeedback::Unreadable(refused)) => format!("unreadable: {refused}"),
            Err(NotFeedback::Refused(refused)) => format!("refused: {refused}"),
        };
        assert_eq!(shown, expected);
    }
    let body = REPORT.as_bytes();
    let kind = r#""type":"cn.creditgate.feedback.v1""#;
    check(
        reported("ce_type", "tender.evaluate", GOLDEN.as_bytes()),
        "refused: ce-type: expected `cn.creditgate.feedback.v1`",
    );
    check(
        structured_report(&format!(r#""type":"tender.evaluate","data":{GOLDEN}"#)),
        "refused: type: expected `cn.creditgate.feedback.v1`",
    );
    check(
        reported("ce_type", "", body),
        "unreadable: ce-type: required",
    );
    check(
        reported("ce_source", "", body),
        "unreadable: ce-source: required",
    );
    check(
        reported("ce_specversion", "", body),
        "unreadable: ce-specversion: required: `1.0`",
    );
    check(
        reported("content-type", "text/xml", body),
        "unreadable: content-type: expected `application/json` or `application/protobuf`",
    );
    check(
        reported("content-type", "application/protobuf", body),
        "unreadable: body: not a protobuf message `creditgate.v1.Feedback`",
    );
    check(
        reported("", "", b"{"),
        "unreadable: body: not JSON: it ends too early (line 1, column 1)",
    );
    check(
        reported("", "", br#"{"operater": "x"}"#),
        "unreadable: operater: unknown field `operater`",
    );
    check(
        structured_report(kind),
        "unreadable: data: required: the report",
    );
    check(
        structured_report(&format!(r#"{kind},"data":{{"executed_at":7}}"#)),
        "unreadable: data.executed_at: expected a time of RFC 3339 with an offset, such as \
         `2026-03-01T09:30:00+08:00`, got a number",
    );
    let negative = REPORT.replace(r#""12""#, "-1");
    check(
        reported("", "", negative.as_bytes()),
        "refused: amount_fen: must not be negative",
    );
}

/// The attributes of an event in structured mode are those that headers have, and its data that of the topic.
fn assert_as_headers(event: &[u8], headers: Vec<(&'static str, String)>) -> serde_json::Value {
    let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
    let mut left = event.as_object().expect("an object").clone();
    let data = left.remove("data").expect("data");
    for (name, value) in headers {
        let name = match name {
            "content-type" => "datacontenttype",
            name => name.strip_prefix("ce_").expect("an attribute"),
        };
        assert_eq!(left.remove(name), Some(value.into()), "{name}");
    }
    assert!(left.is_empty(), "{left:?}");
    data
}

#[test]
fn what_is_sent_by_webhook_says_what_the_topics_say() {
    let at = pbjson_types::Timestamp {
        seconds: 1_772_328_600,
        nanos: 0,
    };
    let verdict = v1::Verdict {
        verdict_id: "01234567-89ab-8def-8123-456789abcdef".to_owned(),
        case_id: "办件\"1\"".to_owned(),
        outcome: "PASS".to_owned(),
        evaluated_at: Some(at),
        ..v1::Verdict::default()
    };
    let written = verdict_event(&verdict).expect("written");
    let data = assert_as_headers(&written, verdict_headers(&verdict, "application/json"));
    assert_eq!(data, serde_json::to_value(&verdict).expect("JSON"));

    let order = v1::LiftOrder {
        order_id: "01900000-0000-8000-8000-000000000001".to_owned(),
        case_id: "办件1号".to_owned(),
        state: "cancelled".to_owned(),
        ordered_at: Some(at),
        ..v1::LiftOrder::default()
    };
    let written = lift_order_event(&order).expect("written");
    let headers = lift_order_headers("办件1号", &order, "application/json");
    let data = assert_as_headers(&written, headers);
    assert_eq!(data, serde_json::to_value(&order).expect("JSON"));

    let notice = v1::CaseNotice {
        notice_id: "01900000-0000-8000-8000-000000000002".to_owned(),
        kind: "order_overdue".to_owned(),
        case_id: "办件1号".to_owned(),
        at: Some(at),
        order: Some(order),
        ..v1::CaseNotice::default()
    };
    let written = notice_event(&notice).expect("written");
    let text = String::from_utf8(written).expect("text");
    assert!(
        text.starts_with(
            r#"{"specversion":"1.0","id":"01900000-0000-8000-8000-000000000002","source":"urn:creditgate:cases","type":"cn.creditgate.case-notice.v1","datacontenttype":"application/json","subject":"办件1号","time":"2026-03-01T09:30:00+08:00","data":{"#
        ),
        "{text}"
    );
    let event: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(event["data"], serde_json::to_value(&notice).expect("JSON"));
}
