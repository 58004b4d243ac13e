//! Where the records of cases are written: the journal of the data directory, or a topic of which that
//! journal is a copy.
//!
//! INVARIANT (one order): a record is made of a state that has taken in exactly what stands before it.
//! In the embedded service it counts the verdicts of the gate's journal. On Kafka each gate has its own
//! order of verdicts, so the topic itself names every verdict before it is taken in ([`What::Taken`]),
//! and a copy that was thrown away leads to the same cases again.

mod copying;
mod reports;
mod topic;

use std::time::Duration;

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::CaseRecord;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::records::kind;
use creditgate_runtime::journal::{AppendError, Appended, Journal, NewRecord};
use creditgate_runtime::kafka::Outgoing;
use prost::Message as _;

use crate::error::Error;

pub(crate) use copying::number_of;
pub(crate) use reports::Reports;
pub use topic::Fault;
pub(crate) use topic::OnTopic;

/// The head moves thousands of times a second; cases need not follow each step.
const PAUSE: Duration = Duration::from_millis(10);
/// As [`PAUSE`], on a topic.
const PAUSE_ON_TOPIC: Duration = Duration::from_millis(50);
/// Payload of a run that is appended to a copy at once; the smallest queue takes it.
const RUN_BYTES: usize = 256 << 10;
/// How soon one that leads no more notices it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct Log {
    /// All records, or a copy of them.
    pub journal: Journal,
    /// None: the journal itself is the truth.
    pub topic: Option<OnTopic>,
}

/// What happened, with what others are told of it in the same transaction.
#[derive(Default)]
pub(crate) struct Happened {
    /// Case and what happened to it.
    pub records: Vec<(String, What)>,
    /// Messages on other topics; without Kafka nobody reads them.
    pub messages: Vec<Outgoing>,
}

impl From<Vec<(String, What)>> for Happened {
    fn from(records: Vec<(String, What)>) -> Self {
        Self {
            records,
            messages: Vec::new(),
        }
    }
}

impl Log {
    /// Whether this process may write.
    pub fn leads(&self) -> bool {
        self.topic.as_ref().is_none_or(OnTopic::leads)
    }

    /// For how long verdicts gather before they are taken in: each time costs a transaction on a topic.
    pub const fn pause(&self) -> Duration {
        match self.topic {
            None => PAUSE,
            Some(_) => PAUSE_ON_TOPIC,
        }
    }

    /// How long the loop may wait without looking whether this process still leads.
    pub fn look_again(&self) -> Duration {
        match self.topic {
            None => Duration::MAX,
            Some(_) => LOOK_AGAIN,
        }
    }

    /// Writes records with their messages, all or nothing.
    ///
    /// # Errors
    /// When they are not written, or nobody knows whether they were: then this process leads no more
    /// until it has looked.
    pub fn write(
        &mut self,
        records: &[CaseRecord],
        messages: Vec<Outgoing>,
    ) -> Result<Vec<Appended>, Error> {
        let mut offset = None;
        if let Some(topic) = &mut self.topic {
            offset = topic.write(self.journal.head().sequence, records, messages)?;
        }
        let new: Vec<NewRecord> = records
            .iter()
            .map(|record| journalled(record, record.encode_to_vec()))
            .collect();
        let appended = match self.topic {
            None => self.journal.append_all_blocking(new),
            Some(_) => append_in_runs(&self.journal, new),
        };
        if let Some(topic) = &mut self.topic {
            match &appended {
                Ok(appended) => {
                    if let Some((last, offset)) = appended.last().zip(offset) {
                        topic.copied(*last, offset);
                    }
                }
                // The topic has them, the copy has not: it is read again.
                Err(_) => topic.step_down(),
            }
        }
        Ok(appended?)
    }
}

/// Appends to a copy, which need not have a transaction at once: its queue may be small.
fn append_in_runs(
    journal: &Journal,
    records: Vec<NewRecord>,
) -> Result<Vec<Appended>, AppendError> {
    let mut appended = Vec::with_capacity(records.len());
    let (mut run, mut bytes) = (Vec::new(), 0);
    for record in records {
        if bytes + record.payload.len() > RUN_BYTES && !run.is_empty() {
            appended.extend(journal.append_all_blocking(std::mem::take(&mut run))?);
            bytes = 0;
        }
        bytes += record.payload.len();
        run.push(record);
    }
    if !run.is_empty() {
        appended.extend(journal.append_all_blocking(run)?);
    }
    Ok(appended)
}

/// A record, as the journal has it; the bytes as they were written, also by a later version.
fn journalled(record: &CaseRecord, payload: Vec<u8>) -> NewRecord {
    let at = record.recorded_at.as_ref().and_then(time_from_proto);
    NewRecord::new(kind::CASE, at.map_or(0, Time::micros), payload)
}
