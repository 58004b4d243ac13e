//! What a record of the feedback topic holds: a report of a measure carried out.

use creditgate_proto::cloudevents::{NotFeedback, feedback_from_message};
use creditgate_proto::v1;

use super::carried::{Carried, carried};
use crate::kafka::letter::{Code, Reason};
use crate::kafka::record::Incoming;

/// The report of a record: a CloudEvent of the type [`FEEDBACK_TYPE`](creditgate_proto::cloudevents::FEEDBACK_TYPE) in binary or structured
/// mode, in JSON as HTTP takes it or in protobuf. Whether verdict and measure are known, and whether
/// the report fits them, is asked of the cases.
///
/// # Errors
/// Why there is none, for its dead letter; never with a value of the report.
pub fn feedback(record: &Incoming) -> Result<v1::Feedback, Reason> {
    let Carried { headers, body } = carried(record)?;
    feedback_from_message(headers, body).map_err(|not| match not {
        NotFeedback::Unreadable(why) => Reason::new(Code::Undecodable, why),
        NotFeedback::Refused(why) => Reason::new(Code::Refused, why),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use prost::Message as _;

    use super::*;
    use crate::kafka::Topic;
    use crate::kafka::letter::letter;

    const REPORT: &str = r#"{
        "feedback_id": "f-1", "verdict_id": "01234567-89ab-8def-8123-456789abcdef", "measure_id": "M57",
        "status": "not_executed", "reason": "不适用", "operator": "某甲", "department": "某局",
        "executed_at": "2026-03-01T09:30:00+08:00"
    }"#;

    fn report() -> v1::Feedback {
        serde_json::from_str(REPORT).expect("the report")
    }

    fn record(headers: &[(&str, &[u8])], payload: Option<&[u8]>) -> Incoming {
        Incoming {
            partition: 2,
            offset: 7,
            timestamp_ms: None,
            key: Some(b"case".to_vec()),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some(value.to_vec())))
                .collect(),
            payload: payload.map(<[u8]>::to_vec),
        }
    }

    fn binary<'a>(kind: &'a str, media: &'a str) -> Vec<(&'a str, &'a [u8])> {
        vec![
            ("ce_specversion", b"1.0"),
            ("ce_id", b"m-1"),
            ("ce_source", b"urn:office"),
            ("ce_type", kind.as_bytes()),
            ("content-type", media.as_bytes()),
        ]
    }

    fn structured() -> Vec<u8> {
        format!(
            r#"{{"specversion":"1.0","type":"cn.creditgate.feedback.v1","id":"m-1","source":"s","data":{REPORT}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn a_report_comes_in_binary_and_in_structured_mode_in_json_and_in_protobuf() {
        let check = |headers: &[(&str, &[u8])], payload: &[u8]| {
            assert_eq!(feedback(&record(headers, Some(payload))), Ok(report()));
        };
        let kind = "cn.creditgate.feedback.v1";
        let mut json = binary(kind, "application/json");
        json.push(("somebody-elses", b"\xff"));
        check(&json, REPORT.as_bytes());
        let protobuf = binary(kind, "application/protobuf");
        check(&protobuf, &report().encode_to_vec());
        let media: (&str, &[u8]) = ("content-type", b"application/cloudevents+json");
        check(&[media], &structured());
    }

    #[test]
    fn what_is_no_report_becomes_a_letter_that_says_why_and_where_from() {
        let check = |record: &Incoming, expected: &str| {
            let reason = feedback(record).expect_err("no report");
            assert_eq!(reason.to_string(), expected);
            let letter = letter("t.feedback", record, &reason);
            assert_eq!(
                (letter.topic, letter.partition),
                (Topic::DeadLetters, Some(2))
            );
            assert_eq!(Some(&letter.key), record.key.as_ref());
            assert_eq!(letter.payload, record.payload.clone().unwrap_or_default());
            let (own, ours) = letter.headers.split_at(record.headers.len());
            assert_eq!(own, record.headers);
            let told = |name: &str| {
                let value = ours.iter().find(|(known, _)| known == name)?.1.as_deref()?;
                std::str::from_utf8(value).ok()
            };
            let code = told("creditgate-code").expect("a code");
            let why = told("creditgate-reason").expect("a reason");
            assert_eq!(format!("{code}: {why}"), expected);
            assert_eq!(told("creditgate-topic"), Some("t.feedback"));
            assert_eq!(told("creditgate-offset"), Some("7"));
        };
        let headers = binary("cn.creditgate.feedback.v1", "application/json");
        check(
            &record(&headers, None),
            "undecodable: the record has no value",
        );
        check(
            &record(&headers, Some(b"{")),
            "undecodable: body: not JSON: it ends too early (line 1, column 1)",
        );
        check(
            &record(&binary("tender.evaluate", "application/json"), Some(b"{")),
            "refused: ce-type: expected `cn.creditgate.feedback.v1`",
        );
        let nobody = REPORT.replace("某甲", "");
        check(
            &record(&headers, Some(nobody.as_bytes())),
            "refused: operator: required",
        );
        let mut odd = headers;
        odd.push(("ce_subject", b"\xff"));
        check(
            &record(&odd, Some(REPORT.as_bytes())),
            "undecodable: a header of the CloudEvent is not UTF-8",
        );
    }

    /// A report in one of its forms, or anything, with some bytes of it changed, under headers that are
    /// right or wrong.
    fn any_record() -> impl Strategy<Value = Incoming> {
        let payload = prop_oneof![
            Just(REPORT.as_bytes().to_vec()),
            Just(report().encode_to_vec()),
            Just(structured()),
            any::<Vec<u8>>(),
        ];
        let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..4);
        let media = select(vec![
            "application/json",
            "application/protobuf",
            "application/cloudevents+json",
            "",
        ]);
        let kind = select(vec!["cn.creditgate.feedback.v1", "another", ""]);
        let more = prop::collection::vec(
            (
                prop_oneof![
                    Just("ce_time".to_owned()),
                    Just("ce-id".to_owned()),
                    any::<String>()
                ],
                prop::option::of(any::<Vec<u8>>()),
            ),
            0..3,
        );
        (prop::option::of((payload, changes)), media, kind, more).prop_map(
            |(payload, media, kind, more)| {
                let payload = payload.map(|(mut bytes, changes)| {
                    for (at, byte) in changes {
                        if !bytes.is_empty() {
                            let at = at.index(bytes.len());
                            bytes[at] = byte;
                        }
                    }
                    bytes
                });
                let mut record = record(&binary(kind, media), payload.as_deref());
                record.headers.extend(more);
                record
            },
        )
    }

    proptest! {
        #[test]
        fn no_bytes_break_it_and_no_person_is_named(record in any_record()) {
            match feedback(&record) {
                Ok(report) => prop_assert!(!report.operator.trim().is_empty()),
                Err(reason) => {
                    prop_assert!(!reason.why.is_empty() && !reason.why.contains("某甲"));
                    let letter = letter("t.feedback", &record, &reason);
                    prop_assert_eq!(letter.payload, record.payload.unwrap_or_default());
                }
            }
        }
    }
}
