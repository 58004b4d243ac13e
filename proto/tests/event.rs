//! Events: three spellings of one event, and every rule of its form.

use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::catalogue;
use creditgate_measures::event::{AttributeValue, Event, SubjectIdentifier};
use creditgate_measures::identifier::invented;
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::{Role, SubjectKind};
use creditgate_proto::decode::{Limits, book_violations, event_from_proto, event_from_record};
use creditgate_proto::encode::event_to_proto;
use creditgate_proto::json::event_from_json;
use creditgate_proto::{Refused, journal, v1};
use pbjson_types::value::Kind;
use pbjson_types::{Struct, Timestamp, Value};
use prost::Message;

const GOLDEN: &str = include_str!("data/event.json");
const OTHER_ORDER: &str = include_str!("data/event_other_order.json");

fn now() -> Time {
    Time::parse("2026-03-02T10:00:00+08:00").expect("a time")
}

fn decoded(event: &v1::Event) -> Result<Event, Refused> {
    event_from_proto(event, &Limits::default(), now()).map(|decoded| decoded.event)
}

fn golden() -> v1::Event {
    event_from_json(GOLDEN.as_bytes()).expect("the golden event")
}

/// The golden event with one thing changed, and what is said of it; empty when nothing is.
#[track_caller]
fn check(change: impl FnOnce(&mut v1::Event), expected: &str) {
    let mut event = golden();
    change(&mut event);
    let shown = decoded(&event)
        .err()
        .map(|refused| refused.to_string())
        .unwrap_or_default();
    assert_eq!(shown, expected);
}

#[track_caller]
fn check_json(json: &str, expected: &str) {
    let shown = event_from_json(json.as_bytes())
        .err()
        .map(|r| r.to_string())
        .unwrap_or_default();
    assert_eq!(shown, expected, "{json}");
}

#[test]
fn three_spellings_are_one_event() {
    let message = golden();
    let other = event_from_json(OTHER_ORDER.as_bytes()).expect("the other order");
    let bytes = message.encode_to_vec();
    let from_bytes = v1::Event::decode(bytes.as_slice()).expect("protobuf");
    let event = decoded(&message).expect("an event");
    assert_eq!(decoded(&other).expect("an event"), event);
    assert_eq!(decoded(&from_bytes).expect("an event"), event);
}

#[test]
fn every_field_arrives() {
    let message = golden();
    let decoded = event_from_proto(&message, &Limits::default(), now()).expect("an event");
    let min = decoded.min_list_version.expect("a version");
    assert_eq!(min.to_string(), "0198c0de-0000-7000-8000-000000000001:42");
    let event = decoded.event;
    let shown = format!(
        "{} {} {} {} {} {} {} {} {:?} {:?} {:?}",
        event.source,
        event.id,
        event.case_id,
        event.scenario,
        event.stage,
        event.occurred_at,
        event.clock_filled,
        event.region,
        event.item_code,
        event.amount_fen,
        event.purpose,
    );
    assert_eq!(
        shown,
        "bidding-platform T-1 CASE-9 tender evaluate 2026-03-01T09:30:00.123456+08:00 false 320500 \
         Some(\"A0101\") Some(1230000000) Some(\"bid evaluation\")"
    );
    assert_eq!(event.subjects.len(), 2);
    let lead = &event.subjects[0];
    assert_eq!(
        (lead.role, lead.kind),
        (Role::Bidder, Some(SubjectKind::Enterprise))
    );
    assert_eq!(lead.party.as_ref().map(|p| p.as_str()), Some("bid-1"));
    assert_eq!(
        lead.name.as_ref().map(|n| n.reveal()),
        Some("江苏样例建设有限公司")
    );
    // A wrong check digit is no violation (specification 2).
    assert!(matches!(lead.identifier, SubjectIdentifier::Invalid(_)));
    let texts = |list: &[&str]| AttributeValue::List(list.iter().map(|t| (*t).into()).collect());
    assert_eq!(event.attributes["trades"], texts(&["building", "roads"]));
    assert_eq!(event.attributes["rounds"], AttributeValue::Int(2));
    assert_eq!(
        event.attributes["mandatory_tender"],
        AttributeValue::Bool(true)
    );
    assert_eq!(event.text("notice_no"), Some("苏招2026-1"));
}

#[test]
fn an_event_survives_the_journal() {
    let event = decoded(&golden()).expect("an event");
    let mut record = journal::v1::VerdictRecord {
        event: Some(event_to_proto(&event)),
        ..Default::default()
    };
    let record_bytes = record.encode_to_vec();
    let read = journal::v1::VerdictRecord::decode(record_bytes.as_slice()).expect("a record");
    assert_eq!(event_from_record(&read).expect("an event"), event);
    record.clock_filled = true;
    assert!(event_from_record(&record).expect("an event").clock_filled);
    record.event = None;
    assert!(event_from_record(&record).is_err());
}

#[test]
fn a_missing_time_is_the_clock_of_the_service() {
    let mut event = golden();
    event.occurred_at = None;
    let event = decoded(&event).expect("an event");
    assert_eq!((event.occurred_at, event.clock_filled), (now(), true));
}

#[test]
fn required_fields_are_asked_for_all_at_once() {
    let refused = decoded(&v1::Event::default()).expect_err("nothing is there");
    let fields: Vec<_> = refused
        .violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "source", "id", "case_id", "scenario", "stage", "region", "subjects"
        ]
    );
    check(|e| e.source = "  ".into(), "source: required");
}

#[test]
fn texts_have_their_lengths() {
    check(|e| e.id = "é".repeat(128), "");
    check(|e| e.id = "x".repeat(129), "id: at most 128 characters");
    check(
        |e| e.case_id = "a\u{0}b".into(),
        "case_id: must not hold control characters",
    );
    check(
        |e| e.item_code = "x\ny".into(),
        "item_code: must not hold control characters",
    );
    check(|e| e.purpose = "x".repeat(512), "");
    check(
        |e| e.purpose = "x".repeat(513),
        "purpose: at most 512 characters",
    );
    check(|e| e.subjects[1].name = "名".repeat(256), "");
    check(
        |e| e.subjects[1].name = "名".repeat(257),
        "subjects[1].name: at most 256 characters",
    );
    check(
        |e| e.subjects[0].id = "1".repeat(129),
        "subjects[0].id: at most 128 characters",
    );
    check(
        |e| e.subjects[0].party = "p".repeat(129),
        "subjects[0].party: at most 128 characters",
    );
}

#[test]
fn times_lie_within_their_bounds() {
    let ahead = |seconds: i64| {
        let time = now().plus_seconds(seconds);
        move |e: &mut v1::Event| {
            e.occurred_at = Some(creditgate_proto::encode::time_to_proto(time));
        }
    };
    check(ahead(300), "");
    check(
        ahead(301),
        "occurred_at: lies more than 300 seconds ahead of the service's clock",
    );
    let at = |seconds, nanos| {
        move |e: &mut v1::Event| e.occurred_at = Some(Timestamp { seconds, nanos })
    };
    let years = "occurred_at: expected a time in the years 1900 to 9999";
    check(at(-2_209_017_600, 0), "");
    check(at(-2_209_017_601, 0), years);
    check(at(i64::MAX, 0), years);
    check(at(i64::MIN, 0), years);
    check(at(0, -1), years);
    check(at(0, 1_000_000_000), years);
}

#[test]
fn codes_are_known() {
    let roles = "applicant, bidder, consortium_member, supplier, land_bidder, agent, subcontractor, \
        candidate, borrower, evaluator, guarantor, legal_representative, principal, \
        responsible_person, actual_controller";
    check(
        |e| e.subjects[1].role = "NOPE".into(),
        &format!("subjects[1].role: unknown role `NOPE`; known: {roles}"),
    );
    check(
        |e| e.subjects[1].role = String::new(),
        &format!("subjects[1].role: required; known: {roles}"),
    );
    check(
        |e| e.subjects[0].kind = "firm".into(),
        "subjects[0].kind: unknown kind `firm`; known: enterprise, individual_business, \
         public_institution, government_body, social_organisation, natural_person",
    );
    let types = "known: USCC, ID18, ORG9, REG15, ID15, OTHER";
    check(
        |e| e.subjects[0].id_type = "uscc".into(),
        &format!("subjects[0].id_type: unknown identifier type `uscc`; {types}"),
    );
    check(
        |e| e.subjects[0].id_type = String::new(),
        &format!("subjects[0].id_type: required with an identifier; {types}"),
    );
    check(
        |e| e.subjects[0].id_type = "OTHER".into(),
        "subjects[0].issuer: required for `OTHER`",
    );
    check(|e| e.subjects[0].id = String::new(), "");
    let region = "region: required: six digits of GB/T 2260, such as `320500`";
    check(|e| e.region = "3205".into(), region);
    check(|e| e.region = "32050a".into(), region);
    check(|e| e.amount_fen = Some(0), "");
    check(
        |e| e.amount_fen = Some(-1),
        "amount_fen: must not be negative",
    );
    check(|e| e.min_list_version = "42".into(), "");
    check(
        |e| e.min_list_version = "x".into(),
        "min_list_version: not a list version: expected `<log_id>:<seq>` or `<seq>`",
    );
}

#[test]
fn two_hundred_subjects_and_no_more() {
    let many = |n: usize| {
        move |e: &mut v1::Event| {
            let subject = e.subjects[0].clone();
            e.subjects = vec![subject; n];
        }
    };
    check(many(200), "");
    check(many(201), "subjects: at most 200, got 201");
    check(many(0), "subjects: required: at least one");
}

#[test]
fn attributes_have_four_types() {
    let with = |kind: Option<Kind>| {
        move |e: &mut v1::Event| {
            e.attributes.insert("x".into(), Value { kind });
        }
    };
    let list = |values: Vec<Option<Kind>>| {
        let values = values.into_iter().map(|kind| Value { kind }).collect();
        Some(Kind::ListValue(pbjson_types::ListValue { values }))
    };
    let text = |n: usize| Some(Kind::StringValue("字".repeat(n)));
    check(with(text(1_024)), "");
    check(with(text(1_025)), "attributes.x: at most 1024 characters");
    check(
        with(Some(Kind::NumberValue(1.5))),
        "attributes.x: expected a whole number within ±2^53",
    );
    check(
        with(Some(Kind::NumberValue(1e300))),
        "attributes.x: expected a whole number within ±2^53",
    );
    check(
        with(Some(Kind::NumberValue(f64::NAN))),
        "attributes.x: expected a whole number within ±2^53",
    );
    check(
        with(None),
        "attributes.x: null is refused: leave the attribute out",
    );
    check(
        with(Some(Kind::NullValue(0))),
        "attributes.x: null is refused: leave the attribute out",
    );
    check(
        with(Some(Kind::StructValue(Struct::default()))),
        "attributes.x: an object is refused",
    );
    check(with(list(vec![text(1); 64])), "");
    check(
        with(list(vec![text(1); 65])),
        "attributes.x: at most 64 texts, got 65",
    );
    check(
        with(list(vec![Some(Kind::BoolValue(true))])),
        "attributes.x: a list holds texts only",
    );
    let named = |name: String| {
        move |e: &mut v1::Event| {
            e.attributes.insert(
                name,
                Value {
                    kind: Some(Kind::BoolValue(true)),
                },
            );
        }
    };
    check(named("a".repeat(64)), "");
    check(
        named("a".repeat(65)),
        "attributes.?: names have 1 to 64 characters",
    );
    check(
        named(String::new()),
        "attributes.?: names have 1 to 64 characters",
    );
    let several = |n: usize| {
        move |e: &mut v1::Event| {
            let value = Value {
                kind: Some(Kind::BoolValue(true)),
            };
            e.attributes = (0..n).map(|i| (format!("a{i}"), value.clone())).collect();
        }
    };
    check(several(64), "");
    check(several(65), "attributes: at most 64, got 65");
}

#[test]
fn json_says_what_is_wrong_and_where() {
    check_json("", "body: empty: expected a JSON object");
    check_json(" \n", "body: empty: expected a JSON object");
    check_json("{", "body: not JSON: it ends too early (line 1, column 1)");
    check_json(
        "{\"id\":x}",
        "body: not JSON: expected value (line 1, column 7)",
    );
    check_json("{} {}", "body: text after the end (line 1, column 4)");
    check_json("[]", "body: expected a JSON object, got a list");
    check_json("7", "body: expected a JSON object, got a number");
    check_json(r#"{"subject":[]}"#, "subject: unknown field `subject`");
    check_json(r#"{"id":1}"#, "id: expected a text, got a number");
    check_json(r#"{"id":"a","id":"b"}"#, "body: field `id` stands twice");
    check_json(
        r#"{"subjects":{}}"#,
        "subjects: expected a list of objects, got an object",
    );
    check_json(
        r#"{"subjects":[7]}"#,
        "subjects[0]: expected an object, got a number",
    );
    check_json(
        r#"{"subjects":[{"role":7}]}"#,
        "subjects[0].role: expected a text, got a number",
    );
    check_json(
        r#"{"amount_fen":1.5}"#,
        "amount_fen: expected a whole number of fen",
    );
    check_json(r#"{"amount_fen":"100"}"#, "");
    check_json(
        r#"{"occurred_at":"2026-03-01 09:30"}"#,
        "occurred_at: expected a time of RFC 3339 with an offset, such as \
         `2026-03-01T09:30:00+08:00`",
    );
    check_json("\u{FEFF}{}", "");
    let refused = event_from_json(b"{\"id\":\"\xff\"}").expect_err("not UTF-8");
    assert_eq!(refused.to_string(), "body: not UTF-8 at byte 7");
    let deep = format!("{{\"attributes\":{{\"a\":{}1", "[".repeat(10_000));
    assert!(event_from_json(deep.as_bytes()).is_err());
}

#[test]
fn errors_and_debug_show_no_identifier_and_no_name() {
    let person = invented::person(7);
    let canaries = [person.as_str(), "张三丰", "江苏金丝雀有限公司"];
    let never = |shown: String| {
        for canary in canaries {
            assert!(!shown.contains(canary), "{shown}");
        }
    };
    // In their own place, beside something wrong.
    let mut event = golden();
    for subject in &mut event.subjects {
        subject.id = person.repeat(9);
        subject.name = "张三丰江苏金丝雀有限公司".repeat(40);
        subject.role = "nobody".into();
    }
    never(format!("{event:?}"));
    let refused = decoded(&event).expect_err("too long");
    never(format!("{refused} {refused:?}"));
    // In every wrong place.
    for canary in canaries {
        let mut event = golden();
        for subject in &mut event.subjects {
            subject.role = canary.into();
            subject.kind = canary.into();
            subject.id_type = canary.into();
        }
        event.region = canary.into();
        event.min_list_version = canary.into();
        event.attributes.insert(canary.into(), Value { kind: None });
        let refused = decoded(&event).expect_err("wrong");
        assert!(refused.violations.len() >= 8);
        never(format!("{refused} {refused:?}"));
        let status = creditgate_proto::status::refused_status(&refused);
        never(format!("{status} {status:?}"));
        for json in [
            format!(r#"{{"{canary}":1}}"#),
            format!(r#"{{"subjects":"{canary}"}}"#),
            format!(r#"{{"subjects":[{{"id":["{canary}"]}}]}}"#),
            format!(r#"{{"subjects":[{{"{canary}":"a"}}]}}"#),
            format!(r#"{{"attributes":{{"{canary}":[1,}}}}"#),
            format!(r#"{{"amount_fen":"{canary}x"}}"#),
            format!(r#"{{"occurred_at":"{canary}"}}"#),
            format!(r#"{{"id":"{canary}"#),
            canary.to_owned(),
        ] {
            let refused = event_from_json(json.as_bytes()).expect_err(&json);
            never(format!("{refused} {refused:?}"));
        }
    }
}

#[test]
fn the_book_knows_scenarios_stages_and_attributes() {
    let book = Book::load(&catalogue::built_in(), &Deployment::default()).expect("the catalogue");
    let check = |change: &dyn Fn(&mut v1::Event), expected: &str| {
        let mut message = golden();
        message.attributes.remove("rounds");
        message.attributes.remove("trades");
        change(&mut message);
        let violations = book_violations(&decoded(&message).expect("an event"), &book);
        let shown: Vec<_> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(shown.join("; "), expected);
    };
    check(&|_| {}, "");
    let scenarios: Vec<_> = book.scenarios().map(|s| s.code.as_str()).collect();
    check(
        &|e| e.scenario = "tendering".into(),
        &format!(
            "scenario: unknown scenario `tendering`; known: {}",
            scenarios.join(", ")
        ),
    );
    check(
        &|e| e.stage = "judge".into(),
        "stage: scenario `tender` has no stage `judge`; known: register, prequalify, bid, \
         evaluate, award, contract",
    );
    let value = |kind: Kind| Value { kind: Some(kind) };
    check(
        &|e| {
            let day = value(Kind::StringValue("2026-02-30".into()));
            e.attributes.insert("notice_published_at".into(), day);
            e.attributes
                .insert("mandatory_tender".into(), value(Kind::NumberValue(1.0)));
        },
        "attributes.mandatory_tender: expected true or false; \
         attributes.notice_published_at: expected a day as `YYYY-MM-DD`",
    );
}
