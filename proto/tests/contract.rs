//! The contract as a whole: commented, reflected, steady, and safe against any bytes.

use std::collections::BTreeSet;

use creditgate_measures::time::Time;
use creditgate_proto::decode::{Limits, event_from_proto};
use creditgate_proto::json::{entry_from_json_line, event_from_json, verdict_to_json};
use creditgate_proto::{FILE_DESCRIPTOR_SET, cloudevents, entry_from_proto, v1};
use proptest::prelude::*;
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

fn our_files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("a descriptor set");
    set.file
        .into_iter()
        .filter(|file| file.package().starts_with("creditgate."))
        .collect()
}

/// Paths of everything in a file that must be commented (see `SourceCodeInfo` in descriptor.proto).
fn declared(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    fn message(
        found: &mut Vec<(Vec<i32>, String)>,
        path: Vec<i32>,
        name: String,
        m: &DescriptorProto,
    ) {
        for (index, field) in (0..).zip(&m.field) {
            found.push((
                [path.as_slice(), &[2, index]].concat(),
                format!("{name}.{}", field.name()),
            ));
        }
        for (index, oneof) in (0..).zip(&m.oneof_decl) {
            // An optional field has a oneof of its own making, which nobody wrote.
            if !oneof.name().starts_with('_') {
                found.push((
                    [path.as_slice(), &[8, index]].concat(),
                    format!("{name}.{}", oneof.name()),
                ));
            }
        }
        found.push((path, name));
    }
    let mut found = Vec::new();
    for (index, m) in (0..).zip(&file.message_type) {
        message(&mut found, vec![4, index], m.name().to_owned(), m);
    }
    for (index, service) in (0..).zip(&file.service) {
        found.push((vec![6, index], service.name().to_owned()));
        for (at, method) in (0..).zip(&service.method) {
            found.push((
                vec![6, index, 2, at],
                format!("{}.{}", service.name(), method.name()),
            ));
        }
    }
    found
}

#[test]
fn every_message_field_and_call_is_commented() {
    let mut seen = 0;
    for file in our_files() {
        let info = file.source_code_info.clone().expect("comments are kept");
        let commented: BTreeSet<Vec<i32>> = info
            .location
            .into_iter()
            .filter(|location| !location.leading_comments().trim().is_empty())
            .map(|location| location.path)
            .collect();
        for (path, name) in declared(&file) {
            seen += 1;
            assert!(
                commented.contains(&path),
                "{}: {name} has no comment",
                file.name()
            );
        }
    }
    assert!(seen > 250, "{seen}");
}

#[test]
fn the_descriptors_hold_every_service() {
    let services: Vec<String> = our_files()
        .iter()
        .flat_map(|f| {
            f.service
                .iter()
                .map(|s| format!("{}.{}", f.package(), s.name()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        services,
        [
            "creditgate.v1.Gate",
            "creditgate.v1.Lists",
            "creditgate.v1.Books",
            "creditgate.v1.Procedures",
            "creditgate.v1.Simulation",
            "creditgate.v1.Subscriptions",
            "creditgate.v1.Identity",
            "creditgate.v1.Cases",
            "creditgate.v1.Deliveries",
            "creditgate.v1.Access"
        ]
    );
}

/// FENCED: a number or name given away breaks callers and makes old journals unreadable. New
/// fields are added at the end of their message; then this list grows.
#[test]
fn field_numbers_stay() {
    let mut lines = Vec::new();
    for file in our_files() {
        for message in &file.message_type {
            let fields: Vec<_> = message
                .field
                .iter()
                .map(|f| format!("{}={}", f.name(), f.number()))
                .collect();
            lines.push(format!(
                "{}.{}: {}",
                file.package(),
                message.name(),
                fields.join(" ")
            ));
        }
    }
    lines.sort();
    let known: Vec<_> = include_str!("data/fields.txt").lines().collect();
    assert_eq!(lines.join("\n"), known.join("\n"));
}

#[test]
fn a_verdict_survives_protobuf_and_json() {
    let stamp = || {
        Some(pbjson_types::Timestamp {
            seconds: 1_772_328_600,
            nanos: 123_456_000,
        })
    };
    let verdict = v1::Verdict {
        verdict_id: "0198c0de-0000-8000-8000-000000000001".into(),
        outcome: "MANUAL_REVIEW".into(),
        review: true,
        proposed: Some("RESTRICT".into()),
        result_code: 8,
        list_age_ms: Some(1 << 60),
        occurred_at: stamp(),
        evaluated_at: stamp(),
        parties: vec![v1::PartyVerdict {
            party: "bid-1".into(),
            ..Default::default()
        }],
        subjects: vec![v1::SubjectVerdict {
            index: 0,
            triggered: vec![v1::Triggered {
                measure: Some(v1::Measure {
                    id: "M07".into(),
                    ..Default::default()
                }),
                why: vec!["protected".into()],
                entry: Some(v1::EntryHit {
                    entry_id: "E1".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }],
            ..Default::default()
        }],
        not_checked: vec![v1::NotChecked {
            list: "B07".into(),
            why: "not_loaded".into(),
        }],
        ..Default::default()
    };
    let bytes = verdict.encode_to_vec();
    assert_eq!(
        v1::Verdict::decode(bytes.as_slice()).expect("protobuf"),
        verdict
    );
    let json = verdict_to_json(&verdict).expect("json");
    assert_eq!(
        serde_json::from_slice::<v1::Verdict>(&json).expect("json"),
        verdict
    );
    let text = String::from_utf8(json).expect("UTF-8");
    for part in [
        "\"result_code\":8",
        "\"list_age_ms\":\"1152921504606846976\"",
        "\"not_checked\":[{",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let unwritable = v1::Verdict {
        occurred_at: Some(pbjson_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        ..Default::default()
    };
    assert!(verdict_to_json(&unwritable).is_err());
}

/// Feeds bytes to every door; what comes out does not matter, only that something does.
fn feed(bytes: &[u8]) {
    let now = Time::from_micros(1_772_328_600_000_000);
    let event = |event: &v1::Event| {
        if let Err(refused) = event_from_proto(event, &Limits::default(), now) {
            assert!(!refused.violations.is_empty());
            let _ = creditgate_proto::status::refused_status(&refused);
        }
    };
    for read in [
        event_from_json(bytes),
        cloudevents::event_from_protobuf(bytes),
    ]
    .into_iter()
    .flatten()
    {
        event(&read);
    }
    for read in [
        entry_from_json_line(bytes).ok(),
        v1::Entry::decode(bytes).ok(),
    ]
    .into_iter()
    .flatten()
    {
        let _ = entry_from_proto(&read);
    }
    for media in [
        "application/json",
        "application/protobuf",
        "application/cloudevents+json",
    ] {
        let _ = cloudevents::from_message([("content-type", media), ("ce-id", "%e")], bytes);
        let report = [
            ("content-type", media),
            ("ce_specversion", "1.0"),
            ("ce_type", cloudevents::FEEDBACK_TYPE),
            ("ce_id", "1"),
            ("ce_source", "tests"),
        ];
        let _ = cloudevents::feedback_from_message(report, bytes);
    }
}

/// JSON that is nearly an event: the right names around any values.
fn nearly_json() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "source",
        "id",
        "subjects",
        "role",
        "id_type",
        "occurred_at",
        "amount_fen",
        "attributes",
        "region",
        "data",
        "specversion",
        "data_base64",
        "scope",
        "related",
        "valid_from",
        "",
    ]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        any::<String>().prop_map(|s| format!("{s:?}")),
        Just("\"2026-03-01T09:30:00+08:00\"".to_owned()),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let names = names.clone();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(","))),
            prop::collection::vec((names, inner), 0..4).prop_map(|fields| {
                let fields: Vec<_> = fields.iter().map(|(n, v)| format!("{n:?}:{v}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

/// A message with any texts and numbers where there are some.
fn any_event() -> impl Strategy<Value = v1::Event> {
    let word = || {
        prop_oneof![
            any::<String>(),
            Just("USCC".to_owned()),
            Just("bidder".to_owned()),
            Just("OTHER".to_owned())
        ]
    };
    let subject = (
        word(),
        word(),
        word(),
        any::<String>(),
        any::<String>(),
        word(),
        word(),
    )
        .prop_map(
            |(party, role, id_type, id, issuer, name, kind)| v1::Subject {
                party,
                role,
                id_type,
                id,
                issuer,
                name,
                kind,
            },
        );
    let number = any::<f64>().prop_map(|n| pbjson_types::Value {
        kind: Some(pbjson_types::value::Kind::NumberValue(n)),
    });
    (
        (
            word(),
            word(),
            word(),
            any::<Option<i64>>(),
            any::<Option<(i64, i32)>>(),
        ),
        prop::collection::vec(subject, 0..4),
        prop::collection::btree_map(any::<String>(), number, 0..4),
        any::<String>(),
    )
        .prop_map(
            |((source, id, region, amount_fen, at), subjects, attributes, min)| v1::Event {
                source,
                id,
                case_id: "C".into(),
                scenario: "tender".into(),
                stage: "bid".into(),
                occurred_at: at.map(|(seconds, nanos)| pbjson_types::Timestamp { seconds, nanos }),
                region: if region == "bidder" {
                    "320500".into()
                } else {
                    region
                },
                amount_fen,
                min_list_version: min,
                subjects,
                attributes,
                ..Default::default()
            },
        )
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        feed(&bytes);
    }

    #[test]
    fn nearly_events_never_panic(json in nearly_json()) {
        feed(json.as_bytes());
    }

    #[test]
    fn damaged_events_never_panic(event in any_event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = event.encode_to_vec();
        feed(&bytes);
        let at = at.index(bytes.len().max(1));
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        feed(&bytes);
        feed(&serde_json::to_vec(&event).unwrap_or_default());
    }

    #[test]
    fn what_is_accepted_survives_the_journal(event in any_event()) {
        let now = Time::from_micros(1_772_328_600_000_000);
        if let Ok(decoded) = event_from_proto(&event, &Limits::default(), now) {
            let record = creditgate_proto::journal::v1::VerdictRecord {
                event: Some(creditgate_proto::encode::event_to_proto(&decoded.event)),
                clock_filled: decoded.event.clock_filled,
                ..Default::default()
            };
            let read = creditgate_proto::decode::event_from_record(&record);
            prop_assert_eq!(read.ok(), Some(decoded.event));
        }
    }
}
