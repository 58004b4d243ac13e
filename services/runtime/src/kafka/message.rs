//! What verdicts and lift orders become on their topics, how the state of a case is keyed, and what
//! records hold that others write.

use creditgate_measures::verdict::VerdictId;
use creditgate_proto::{cloudevents, json, v1, verdict_id_from_text};
use prost::Message as _;

use super::error::Error;
use super::record::{Incoming, Outgoing};
use super::topics::Topic;
use crate::config::VerdictData;

mod carried;
mod feedback;

pub use carried::{Carried, carried};
pub use feedback::feedback;

/// Characters of a verdict's id in a key.
const ID_LENGTH: usize = 36;
/// Characters of a verdict's digest in a key: enough to tell two answers of one slot apart.
const DIGEST_LENGTH: usize = 16;
/// Says what a record of the case state is.
const KIND: &str = "kind";
const RECORD: &[u8] = b"verdict";
const BARRIER: &[u8] = b"barrier";

/// A verdict for everybody who may read verdicts: a CloudEvent in binary mode, keyed by case.
///
/// # Errors
/// When the verdict holds a time that cannot be written, which none of ours does.
pub fn verdict(
    verdict: &v1::Verdict,
    data: VerdictData,
    trace: &[(String, String)],
    partition: Option<i32>,
) -> Result<Outgoing, Error> {
    let payload = match data {
        VerdictData::Json => json::verdict_to_json(verdict)?,
        VerdictData::Protobuf => verdict.encode_to_vec(),
    };
    let trace = trace
        .iter()
        .map(|(name, value)| (name.clone(), Some(value.clone().into_bytes())));
    let own = cloudevents::verdict_headers(verdict, media(data));
    Ok(Outgoing {
        topic: Topic::Verdicts,
        partition,
        key: verdict.case_id.clone().into_bytes(),
        headers: headers(own).chain(trace).collect(),
        payload,
    })
}

/// An order to lift a measure of this case, for whoever has to: a CloudEvent in binary mode, keyed by
/// case.
///
/// # Errors
/// When the order holds a time that cannot be written, which none of ours does.
pub fn lift_order(
    case_id: &str,
    order: &v1::LiftOrder,
    data: VerdictData,
) -> Result<Outgoing, Error> {
    let payload = match data {
        VerdictData::Json => json::lift_order_to_json(order)?,
        VerdictData::Protobuf => order.encode_to_vec(),
    };
    let own = cloudevents::lift_order_headers(case_id, order, media(data));
    Ok(Outgoing {
        topic: Topic::LiftOrders,
        partition: None,
        key: case_id.as_bytes().to_vec(),
        headers: headers(own).collect(),
        payload,
    })
}

/// The content type of this form.
const fn media(data: VerdictData) -> &'static str {
    match data {
        VerdictData::Json => "application/json",
        VerdictData::Protobuf => "application/protobuf",
    }
}

fn headers(own: Vec<(&'static str, String)>) -> impl Iterator<Item = (String, Option<Vec<u8>>)> {
    own.into_iter()
        .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
}

/// The whole record of a verdict, for creditgate alone. Each answer of each slot has a key of its
/// own: compaction then forgets none.
#[must_use]
pub fn case_state(verdict: &v1::Verdict, record: &[u8], partition: i32) -> Outgoing {
    let digest = verdict
        .verdict_digest
        .get(..DIGEST_LENGTH)
        .unwrap_or_default();
    let key = format!("{}/{}/{digest}", verdict.case_id, verdict.verdict_id);
    Outgoing {
        topic: Topic::CaseState,
        partition: Some(partition),
        key: key.into_bytes(),
        headers: vec![(KIND.to_owned(), Some(RECORD.to_vec()))],
        payload: record.to_vec(),
    }
}

/// A record that means nothing: whoever has read it has read everything before it.
#[must_use]
pub fn barrier(number: u64, partition: i32) -> Outgoing {
    Outgoing {
        topic: Topic::CaseState,
        partition: Some(partition),
        // One key: compaction keeps the last barrier only.
        key: BARRIER.to_vec(),
        headers: vec![(KIND.to_owned(), Some(BARRIER.to_vec()))],
        payload: number.to_be_bytes().to_vec(),
    }
}

/// What a record of the case state is.
#[derive(Debug, PartialEq, Eq)]
pub enum CaseState {
    /// A verdict's record; the payload is a `VerdictRecord`.
    Record {
        /// Its slot.
        verdict: VerdictId,
        /// The beginning of its digest.
        digest: String,
    },
    /// A barrier.
    Barrier(u64),
    /// Something this version does not know.
    Unknown,
}

impl CaseState {
    /// Reads what a record is, without its payload.
    #[must_use]
    pub fn of(record: &Incoming) -> Self {
        match record.header(KIND) {
            Some(RECORD) => Self::record(record).unwrap_or(Self::Unknown),
            Some(BARRIER) => record
                .payload
                .as_deref()
                .and_then(|payload| payload.try_into().ok())
                .map_or(Self::Unknown, |number| {
                    Self::Barrier(u64::from_be_bytes(number))
                }),
            _ => Self::Unknown,
        }
    }

    /// A case's number may hold anything, so the key is read from its end.
    fn record(record: &Incoming) -> Option<Self> {
        let key = std::str::from_utf8(record.key.as_deref()?).ok()?;
        let (rest, digest) = key.rsplit_once('/')?;
        let (_, id) = rest.split_at_checked(rest.len().checked_sub(ID_LENGTH)?)?;
        Some(Self::Record {
            verdict: verdict_id_from_text(id)?,
            digest: digest.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> v1::LiftOrder {
        let ordered = serde_json::json!({
            "order_id": "01900000-0000-7000-8000-000000000001",
            "case_id": "地-2026-1",
            "measure_id": "M57",
            "title": "限制参加土地竞买",
            "implementer": "自然资源主管部门",
            "cause": "list_change:7",
            "entry_ids": ["B01-1"],
            "state": "open",
            "ordered_at": "2026-11-20T02:00:00Z",
            "age_ms": "5",
        });
        serde_json::from_value(ordered).expect("an order")
    }

    #[test]
    fn a_lift_order_is_a_cloud_event_of_its_case() {
        let order = order();
        let json = lift_order("地-2026-1", &order, VerdictData::Json).expect("written");
        assert_eq!(json.topic, Topic::LiftOrders);
        assert_eq!(
            (json.partition, json.key.as_slice()),
            (None, "地-2026-1".as_bytes())
        );
        let headers: Vec<String> = json
            .headers
            .iter()
            .map(|(name, value)| {
                let value = value.as_deref().unwrap_or_default();
                format!("{name}={}", std::str::from_utf8(value).expect("text"))
            })
            .collect();
        assert_eq!(
            headers,
            [
                "ce_specversion=1.0",
                "ce_id=01900000-0000-7000-8000-000000000001",
                "ce_source=urn:creditgate:cases",
                "ce_type=cn.creditgate.lift-order.v1",
                "content-type=application/json",
                "ce_subject=地-2026-1",
                "ce_time=2026-11-20T10:00:00+08:00",
            ]
        );
        let read: v1::LiftOrder = serde_json::from_slice(&json.payload).expect("an order");
        assert_eq!(read, order);
        let text = String::from_utf8(json.payload).expect("text");
        assert!(
            text.contains(r#""age_ms":"5""#) && !text.contains("document_no"),
            "{text}"
        );

        let bytes = lift_order("地-2026-1", &order, VerdictData::Protobuf).expect("written");
        assert_eq!(v1::LiftOrder::decode(bytes.payload.as_slice()), Ok(order));
        let media = (
            "content-type".to_owned(),
            Some(b"application/protobuf".to_vec()),
        );
        assert!(bytes.headers.contains(&media));
    }

    #[test]
    fn an_order_given_at_a_time_outside_the_calendar_is_not_written() {
        let mut order = order();
        order.ordered_at.as_mut().expect("a time").seconds = i64::MAX;
        let written = lift_order("c", &order, VerdictData::Json);
        assert!(matches!(written, Err(Error::Form(_))));
    }

    fn read(written: Outgoing) -> CaseState {
        CaseState::of(&Incoming {
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: Some(written.key),
            headers: written.headers,
            payload: Some(written.payload),
        })
    }

    #[test]
    fn a_key_of_the_case_state_is_read_back_whatever_the_case_is_called() {
        let id = "01234567-89ab-8def-8123-456789abcdef";
        for case_id in ["办/2026/17", "", "a//b/"] {
            let verdict = v1::Verdict {
                case_id: case_id.to_owned(),
                verdict_id: id.to_owned(),
                verdict_digest: "0123456789abcdef0123456789abcdef".to_owned(),
                ..v1::Verdict::default()
            };
            let expected = CaseState::Record {
                verdict: verdict_id_from_text(id).expect("an id"),
                digest: "0123456789abcdef".to_owned(),
            };
            assert_eq!(
                read(case_state(&verdict, b"whole", 3)),
                expected,
                "{case_id}"
            );
        }
    }

    #[test]
    fn barriers_and_strange_records_are_told_apart() {
        assert_eq!(read(barrier(7, 0)), CaseState::Barrier(7));
        let mut strange = barrier(7, 0);
        strange.payload.pop();
        assert_eq!(read(strange), CaseState::Unknown);
        let nothing = Outgoing {
            headers: Vec::new(),
            ..barrier(7, 0)
        };
        assert_eq!(read(nothing), CaseState::Unknown);
    }
}
