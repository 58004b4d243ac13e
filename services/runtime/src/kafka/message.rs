//! What a verdict becomes on its topics, and how its case state is keyed.

use creditgate_measures::verdict::VerdictId;
use creditgate_proto::{cloudevents, json, v1, verdict_id_from_text};
use prost::Message as _;

use super::error::Error;
use super::record::{Incoming, Outgoing};
use super::topics::Topic;
use crate::config::VerdictData;

mod carried;

pub use carried::{Carried, carried};

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
    let (media, payload) = match data {
        VerdictData::Json => ("application/json", json::verdict_to_json(verdict)?),
        VerdictData::Protobuf => ("application/protobuf", verdict.encode_to_vec()),
    };
    let headers = cloudevents::verdict_headers(verdict, media)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(trace.iter().cloned())
        .map(|(name, value)| (name, Some(value.into_bytes())))
        .collect();
    Ok(Outgoing {
        topic: Topic::Verdicts,
        partition,
        key: verdict.case_id.clone().into_bytes(),
        headers,
        payload,
    })
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
