//! What a record of the events topic holds.

use creditgate_proto::cloudevents::{self, CloudEvent};
use creditgate_proto::{Refused, v1};
use creditgate_runtime::kafka::Incoming;
use creditgate_runtime::kafka::letter::{Code, Reason};
use creditgate_runtime::kafka::message::{Carried, carried};
use creditgate_runtime::ports::Asked;

/// The event of a record, or why there is none.
pub(crate) fn event(record: &Incoming) -> Result<Asked, Reason> {
    let Carried { headers, body } = carried(record)?;
    let CloudEvent {
        event,
        traceparent,
        tracestate,
    } = cloudevents::from_message(headers, body)
        .map_err(|refused| Reason::new(Code::Undecodable, refused))?;
    check_time(&event)?;
    let named = |name: &str, value: Option<String>| value.map(|value| (name.to_owned(), value));
    let trace = [
        named("traceparent", traceparent),
        named("tracestate", tracestate),
    ];
    Ok(Asked {
        event,
        trace: trace.into_iter().flatten().collect(),
    })
}

/// An event that waited in a topic did not happen when it is read (specification, 7).
fn check_time(event: &v1::Event) -> Result<(), Reason> {
    match event.occurred_at {
        Some(_) => Ok(()),
        None => Err(Reason::new(
            Code::Refused,
            Refused::one(
                "occurred_at",
                "required on Kafka, as is the attribute `time` that may stand for it",
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(headers: &[(&str, &[u8])], payload: Option<&str>) -> Incoming {
        Incoming {
            partition: 0,
            offset: 7,
            timestamp_ms: None,
            key: Some(b"case".to_vec()),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some(value.to_vec())))
                .collect(),
            payload: payload.map(|payload| payload.as_bytes().to_vec()),
        }
    }

    fn told(record: &Incoming) -> String {
        match event(record) {
            Ok(asked) => format!("{} {:?}", asked.event.id, asked.trace),
            Err(reason) => reason.to_string(),
        }
    }

    const BINARY: [(&str, &[u8]); 5] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e1"),
        ("ce_source", b"tests"),
        ("ce_type", b"creditgate.event.v1"),
        ("ce_time", b"2026-05-20T09:00:00+08:00"),
    ];

    #[test]
    fn an_event_comes_in_binary_and_in_structured_mode() {
        let data = r#"{"scenario":"tender","stage":"evaluate"}"#;
        let mut headers = BINARY.to_vec();
        headers.push(("content-type", b"application/json"));
        headers.push((
            "traceparent",
            b"00-11111111111111111111111111111111-2222222222222222-01",
        ));
        headers.push(("somebody-elses", b"\xff"));
        assert_eq!(
            told(&record(&headers, Some(data))),
            r#"e1 [("traceparent", "00-11111111111111111111111111111111-2222222222222222-01")]"#
        );
        let structured = format!(
            r#"{{"specversion":"1.0","id":"e2","source":"tests","type":"t","time":"2026-05-20T09:00:00+08:00","data":{data}}}"#
        );
        let media: (&str, &[u8]) = ("content-type", b"application/cloudevents+json");
        assert_eq!(told(&record(&[media], Some(&structured))), "e2 []");
    }

    #[test]
    fn what_is_no_event_says_why() {
        let check = |record: &Incoming, expected: &str| assert_eq!(told(record), expected);
        check(
            &record(&BINARY, None),
            "undecodable: the record has no value",
        );
        check(
            &record(&BINARY, Some("{")),
            "undecodable: body: not JSON: it ends too early (line 1, column 1)",
        );
        check(
            &record(&BINARY[..4], Some("{}")),
            "refused: occurred_at: required on Kafka, as is the attribute `time` that may stand for it",
        );
        let mut headers = BINARY.to_vec();
        headers.push(("ce_subject", b"\xff"));
        check(
            &record(&headers, Some("{}")),
            "undecodable: a header of the CloudEvent is not UTF-8",
        );
    }
}
