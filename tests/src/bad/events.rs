//! Events as they come: JSON, protobuf, CloudEvents in both modes.

use std::sync::LazyLock;

use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::canonical;
use creditgate_measures::event::Event;
use creditgate_measures::time::Time;
use creditgate_proto::cloudevents::{event_from_protobuf, from_message};
use creditgate_proto::decode::{Limits, book_violations, event_from_proto, event_from_record};
use creditgate_proto::encode::event_to_proto;
use creditgate_proto::json::event_from_json;
use creditgate_proto::{Violation, journal, v1};
use prost::Message;

use super::books::files_of;
use super::{NOBODY, lines_and_body, refuses, shows_nobody};

/// A small one, since the whole catalogue takes longer to load than all inputs to be checked.
static BOOK: LazyLock<Book> = LazyLock::new(|| {
    let text = include_str!("../../../fuzz/corpus/book/small");
    Book::load(&files_of(text), &Deployment::default()).expect("a book")
});

/// When the service reads an event.
fn now() -> Time {
    Time::parse("2026-06-01T10:00:00+08:00").expect("a time")
}

/// An event in JSON.
pub fn json(input: &[u8]) {
    match event_from_json(input) {
        Ok(message) => event(&message),
        Err(refused) => refuses(&refused),
    }
}

/// An event in protobuf.
pub fn protobuf(input: &[u8]) {
    match event_from_protobuf(input) {
        Ok(message) => {
            let bytes = message.encode_to_vec();
            let again = event_from_protobuf(&bytes).expect("what was written is read");
            assert_eq!(again.encode_to_vec(), bytes);
            event(&message);
        }
        Err(refused) => refuses(&refused),
    }
}

/// Headers, one a line, and behind a blank line the body.
pub fn cloud_event(input: &[u8]) {
    let (lines, body) = lines_and_body(input);
    let lines: Vec<_> = lines.into_iter().map(String::from_utf8_lossy).collect();
    let headers = lines.iter().filter_map(|line| line.split_once(": "));
    match from_message(headers, body) {
        Ok(read) => {
            assert!(!read.event.id.is_empty() && !read.event.source.is_empty());
            event(&read.event);
        }
        Err(refused) => refuses(&refused),
    }
}

/// An event that was read: its rules are told without values, and it survives every spelling.
pub(super) fn event(message: &v1::Event) {
    prints_masked(message);
    let decoded = match event_from_proto(message, &Limits::default(), now()) {
        Ok(decoded) => decoded.event,
        Err(refused) => return refuses(&refused),
    };
    let violations = book_violations(&decoded, &BOOK);
    violations
        .iter()
        .map(Violation::to_string)
        .for_each(|told| {
            shows_nobody("what the book does not know", &told);
        });
    let written = event_to_proto(&decoded);
    same(&decoded, &written);
    let json = serde_json::to_vec(&written).expect("an event is written as JSON");
    same(&decoded, &event_from_json(&json).expect("and read"));
    let bytes = written.encode_to_vec();
    same(
        &decoded,
        &event_from_protobuf(&bytes).expect("protobuf is read"),
    );
    in_cloud_events(&decoded, &written, &json);
    let record = journal::v1::VerdictRecord {
        event: Some(written),
        clock_filled: decoded.clock_filled,
        ..Default::default()
    };
    let record = journal::v1::VerdictRecord::decode(record.encode_to_vec().as_slice());
    let kept = event_from_record(&record.expect("a record")).expect("a record's event is one");
    assert_eq!(kept, decoded);
}

fn in_cloud_events(decoded: &Event, written: &v1::Event, json: &[u8]) {
    let text = |text: &str| serde_json::to_string(text).expect("a text");
    let mut body = format!(
        r#"{{"specversion":"1.0","type":"t","id":{},"source":{},"data":"#,
        text(&written.id),
        text(&written.source)
    )
    .into_bytes();
    body.extend_from_slice(json);
    body.push(b'}');
    let media = [("content-type", "application/cloudevents+json")];
    let structured = from_message(media, &body).expect("structured mode is read");
    same(decoded, &structured.event);
    let binary = from_message(
        [
            ("content-type", "application/protobuf"),
            ("ce_specversion", "1.0"),
            ("ce_type", "t"),
            ("ce_id", written.id.as_str()),
            ("ce_source", written.source.as_str()),
        ],
        &written.encode_to_vec(),
    );
    same(decoded, &binary.expect("binary mode is read").event);
}

fn same(decoded: &Event, message: &v1::Event) {
    let again = event_from_proto(message, &Limits::default(), now());
    let mut again = again.expect("what was written keeps the rules").event;
    again.clock_filled = decoded.clock_filled;
    assert_eq!(&again, decoded);
    assert_eq!(
        canonical::event_bytes(&again),
        canonical::event_bytes(decoded)
    );
}

/// Whoever stands in the places of persons is not printed.
fn prints_masked(message: &v1::Event) {
    let mut known = message.clone();
    known.subjects.clear();
    known.attributes.clear();
    let printed = format!("{known:?}");
    if NOBODY.iter().any(|somebody| printed.contains(somebody)) {
        return;
    }
    known.subjects.clone_from(&message.subjects);
    for subject in &mut known.subjects {
        NOBODY[0].clone_into(&mut subject.id);
        NOBODY[2].clone_into(&mut subject.name);
        for other in [&mut subject.party, &mut subject.role, &mut subject.kind] {
            other.clear();
        }
    }
    known.subjects.truncate(8);
    shows_nobody("a printed event", &format!("{known:?}"));
    if let Ok(decoded) = event_from_proto(&known, &Limits::default(), now()) {
        shows_nobody("a printed event", &format!("{:?}", decoded.event));
    }
}
