//! Reports, records of topics, and records of our own journals.

use creditgate_measures::time::Time;
use creditgate_proto::cloudevents::{feedback_from_message, verdict_event};
use creditgate_proto::journal::v1::{
    BookRecord, CaseRecord, DeskRecord, ListChange, VerdictRecord,
};
use creditgate_proto::records::{case_view_from_proto, case_view_to_proto, kind};
use creditgate_proto::{AnswerDigest, decode, feedback as form, json, v1};
use creditgate_registry::log::What;
use creditgate_runtime::kafka::letter::{bare_letter, letter};
use creditgate_runtime::kafka::message::{self, CaseState};
use creditgate_runtime::kafka::{Incoming, Topic};
use prost::Message;

use super::{NOBODY, choice, lines_and_body, refuses, shows_nobody};

/// A report as it comes over HTTP: headers, a blank line, the body.
pub fn feedback(input: &[u8]) {
    let (lines, body) = lines_and_body(input);
    let lines: Vec<_> = lines.into_iter().map(String::from_utf8_lossy).collect();
    let headers: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .collect();
    match feedback_from_message(headers, body) {
        Ok(report) => report_is_whole(&report),
        Err(not) => shows_nobody("no report", &not.to_string()),
    }
    if let Ok(report) = json::from_json::<v1::Feedback>(body) {
        match form::check(&report) {
            Ok(()) => report_is_whole(&report),
            Err(refused) => refuses(&refused),
        }
    }
}

fn report_is_whole(report: &v1::Feedback) {
    assert!(!report.feedback_id.trim().is_empty() && !report.operator.trim().is_empty());
    let bytes = report.encode_to_vec();
    assert_eq!(v1::Feedback::decode(bytes.as_slice()).as_ref(), Ok(report));
    if let Ok(written) = serde_json::to_vec(report) {
        assert_eq!(
            json::from_json::<v1::Feedback>(&written).as_ref(),
            Ok(report)
        );
    }
    let printed = format!("{:?}", {
        let mut report = report.clone();
        NOBODY[2].clone_into(&mut report.operator);
        NOBODY[3].clone_into(&mut report.reason);
        for other in [
            &mut report.feedback_id,
            &mut report.measure_id,
            &mut report.department,
            &mut report.implementer,
            &mut report.document_no,
            &mut report.status,
            &mut report.basis,
            &mut report.period,
        ] {
            other.clear();
        }
        report.inspection = None;
        report
    });
    shows_nobody("a printed report", &printed);
}

/// A record of a topic: headers that need not be texts, a blank line, the value. Whatever it is, its
/// dead letter has all it came with.
pub fn kafka_record(input: &[u8]) {
    let (tombstone, rest) = choice(input);
    let (lines, body) = lines_and_body(rest);
    let headers = lines.into_iter().map(|line| {
        let split = line.iter().position(|byte| *byte == b':');
        let (name, value) = match split {
            Some(at) => (
                &line[..at],
                Some(line[at + 1..].trim_ascii_start().to_vec()),
            ),
            None => (line, None),
        };
        (String::from_utf8_lossy(name).into_owned(), value)
    });
    let record = Incoming {
        partition: 2,
        offset: 7,
        timestamp_ms: None,
        key: Some(body.iter().take(64).copied().collect()),
        headers: headers.collect(),
        payload: (tombstone != 0).then(|| body.to_vec()),
    };
    match message::feedback(&record) {
        Ok(report) => report_is_whole(&report),
        Err(reason) => {
            shows_nobody("the reason of a letter", &reason.to_string());
            let whole = letter("t.feedback", &record, &reason);
            assert_eq!(whole.topic, Topic::DeadLetters);
            assert_eq!(whole.payload, record.payload.clone().unwrap_or_default());
            assert!(
                whole.headers.starts_with(&record.headers),
                "nothing is lost"
            );
            let bare = bare_letter("t.feedback", &record, &reason);
            assert_eq!(bare.headers, whole.headers[record.headers.len()..]);
        }
    }
    if let CaseState::Record { verdict, digest } = CaseState::of(&record) {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
        assert!(key.ends_with(&format!("/{digest}")) && !verdict.0.is_nil() || !key.is_empty());
    }
}

/// A payload of a journal, by its kind: what is read is written and read as the same.
pub fn record(input: &[u8]) {
    let (first, payload) = choice(input);
    match first % 7 {
        0 => verdict_record(payload),
        1 => drop(again::<ListChange>(payload)),
        2 => drop(again::<BookRecord>(payload)),
        3 => drop(again::<DeskRecord>(payload)),
        4 => drop(again::<CaseRecord>(payload)),
        5 => drop(again::<v1::SimulationRecord>(payload)),
        _ => drop(again::<v1::ShadowDifference>(payload)),
    }
}

fn again<M: Message + Default + Clone>(payload: &[u8]) -> Option<M> {
    let record = M::decode(payload).ok()?;
    let bytes = record.encode_to_vec();
    let again = M::decode(bytes.as_slice()).expect("what was written is read");
    // Compared as bytes: a number that is none is not equal to itself.
    assert_eq!(again.encode_to_vec(), bytes);
    Some(record)
}

fn verdict_record(payload: &[u8]) {
    let Some(record) = again::<VerdictRecord>(payload) else {
        return;
    };
    match decode::event_from_record(&record) {
        Ok(event) => {
            let mut kept = record.clone();
            kept.event = Some(creditgate_proto::encode::event_to_proto(&event));
            assert_eq!(decode::event_from_record(&kept), Ok(event));
        }
        Err(refused) => refuses(&refused),
    }
    if let Some(case) = &record.case_view {
        let view = case_view_from_proto(case);
        assert_eq!(case_view_from_proto(&case_view_to_proto(&view)), view);
    }
    if let Some(verdict) = &record.verdict {
        let digest = AnswerDigest::of(verdict);
        let bytes = verdict.encode_to_vec();
        let again = v1::Verdict::decode(bytes.as_slice()).expect("a verdict");
        assert!(
            AnswerDigest::of(&again) == digest,
            "the digest is of the content"
        );
        // One that holds a time outside the calendar is not written; no verdict of ours does.
        if let Ok(event) = verdict_event(verdict) {
            let read: serde_json::Value = serde_json::from_slice(&event).expect("JSON");
            assert_eq!(read["specversion"], "1.0");
        }
    }
}

/// A record of the change log, by its kind.
pub fn list_change(input: &[u8]) {
    const KINDS: [u16; 5] = [kind::LIST_CHANGE, kind::BOOK, kind::DESK, kind::CASE, 99];
    let (first, payload) = choice(input);
    let kind = KINDS[usize::from(first) % KINDS.len()];
    match What::of(7, kind, bytes::Bytes::copy_from_slice(payload)) {
        Ok(What::Confirmed(confirmed)) => assert!(confirmed.at > Time::MIN),
        Ok(_) => {}
        Err(error) => shows_nobody("a garbled record", &error.to_string()),
    }
}
