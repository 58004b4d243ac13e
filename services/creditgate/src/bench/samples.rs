//! Records that the pipeline wrote, for a copy that writes as much for each event.
//!
//! Many of them: were it always the same pair, compression would make nothing of it.

use std::path::Path;
use std::time::Duration;

use creditgate_runtime::kafka::{Cluster, Incoming, Outgoing, Read, Reader, Topic};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// How many of each topic: far more bytes than compression looks back on.
const COUNT: usize = 500;
/// How long nothing may come before there is taken to be no more.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module: a verdict and a state of a case for each event, in turn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Samples {
    verdicts: Vec<Sample>,
    states: Vec<Sample>,
}

/// A record without its case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    /// What follows the case in its key.
    after_case: Vec<u8>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    payload: Vec<u8>,
}

impl Samples {
    /// The first records of these topics.
    pub fn of(cluster: &Cluster, places: &[(i32, Option<i64>)]) -> Result<Self, Failure> {
        Ok(Self {
            verdicts: first(cluster, Topic::Verdicts, places)?,
            states: first(cluster, Topic::CaseState, places)?,
        })
    }

    /// Writes them down for the process that copies.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error: String| Failure::new("write the samples of the benchmark", error);
        let bytes = serde_json::to_vec(self).map_err(|error| failed(error.to_string()))?;
        std::fs::write(path, bytes).map_err(|error| failed(error.to_string()))
    }

    /// Reads what was written down.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: String| Failure::new("read the samples of the benchmark", error);
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let samples: Self =
            serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
        match samples.verdicts.is_empty() || samples.states.is_empty() {
            true => Err(failed("there are none".to_owned())),
            false => Ok(samples),
        }
    }

    /// What is written for an event, as the pipeline would: a verdict, and the state of its case.
    pub fn both(&self, event: &Incoming) -> [Outgoing; 2] {
        let case = event.key.as_deref().unwrap_or_default();
        // Offsets are not negative, and a remainder fits.
        let turn = usize::try_from(event.offset).unwrap_or_default();
        let written = |topic, samples: &[Sample]| {
            let sample = samples[turn % samples.len()].clone();
            Outgoing {
                topic,
                partition: Some(event.partition),
                key: [case, &sample.after_case].concat(),
                headers: sample.headers,
                payload: sample.payload,
            }
        };
        [
            written(Topic::Verdicts, &self.verdicts),
            written(Topic::CaseState, &self.states),
        ]
    }
}

fn first(
    cluster: &Cluster,
    topic: Topic,
    places: &[(i32, Option<i64>)],
) -> Result<Vec<Sample>, Failure> {
    let failed = |error| Failure::new("read what the pipeline wrote", error);
    let reader = Reader::open(cluster, topic, places).map_err(failed)?;
    let mut samples = Vec::new();
    while samples.len() < COUNT {
        match reader.next(PATIENCE).map_err(failed)? {
            Read::Record(record) => samples.extend(Sample::of(record)),
            Read::End(_) => {}
            Read::Nothing => break,
        }
    }
    Ok(samples)
}

impl Sample {
    /// None for a barrier, which belongs to no case.
    fn of(record: Incoming) -> Option<Self> {
        let key = record.key?;
        let case = super::traffic::case(&key)?;
        Some(Self {
            after_case: key.get(case.len()..)?.to_vec(),
            headers: record.headers,
            payload: record.payload?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, offset: i64) -> Incoming {
        Incoming {
            partition: 3,
            offset,
            timestamp_ms: None,
            key: Some(key.as_bytes().to_vec()),
            headers: vec![("kind".to_owned(), Some(b"verdict".to_vec()))],
            payload: Some(key.as_bytes().to_vec()),
        }
    }

    fn samples(keys: &[&str]) -> Vec<Sample> {
        let of = |key: &&str| Sample::of(record(key, 0));
        keys.iter().filter_map(of).collect()
    }

    #[test]
    fn an_event_gets_both_records_under_its_own_case_in_turn() {
        let samples = Samples {
            verdicts: samples(&["stream-00000001", "stream-00000002"]),
            states: samples(&["barrier", "stream-00000001/id/digest"]),
        };
        assert_eq!((samples.verdicts.len(), samples.states.len()), (2, 1));
        let [verdict, state] = samples.both(&record("stream-00000009", 7));
        assert_eq!(verdict.key, b"stream-00000009");
        assert_eq!(verdict.payload, b"stream-00000002");
        assert_eq!(state.key, b"stream-00000009/id/digest");
        assert_eq!((verdict.partition, state.partition), (Some(3), Some(3)));
        assert_eq!(
            (verdict.topic, state.topic),
            (Topic::Verdicts, Topic::CaseState)
        );
    }
}
