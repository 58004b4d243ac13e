//! What cases tell of their reports: up to where it was taken in, and what inspections found.

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::{CasesRead, InspectionReported};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::Stamp;
use super::procedures::Masked;

/// Inspections that are remembered; the change log has all.
const KEPT: usize = 100_000;

/// Type of the identifier, identifier, report. Of one without an identifier its name.
type Key = (String, String, String);

/// What an inspection found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Id of the report.
    pub feedback_id: String,
    /// The business number.
    pub case_id: String,
    /// The authority that inspected.
    pub authority: String,
    /// When.
    pub at: Time,
    /// Number of the document.
    pub document_no: String,
    /// What was inspected.
    pub item: String,
    /// `passed`, `failed`, `corrected` or `not_done`.
    pub result: String,
    /// What was found.
    pub finding: Masked,
    /// The entry that it proposes; empty: none.
    pub proposed_entry_id: String,
    /// When and where it was recorded.
    pub recorded: Stamp,
}

/// Up to where a log of cases was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadUpTo {
    /// Name of the log; empty: the topic.
    pub log: Vec<u8>,
    /// Number of the record.
    pub place: u64,
    /// Where it stands: its position in the log, or its offset on the topic.
    pub position: u64,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CasesTold {
    /// Up to where; none: nothing was told yet.
    pub read: Option<ReadUpTo>,
    inspections: OrdMap<Key, Inspection>,
    by_seq: OrdMap<u64, Key>,
}

impl CasesTold {
    /// Whether an inspection is known.
    #[must_use]
    pub fn knows(&self, told: &InspectionReported) -> bool {
        self.inspections.contains_key(&key(told))
    }

    /// What inspections of a subject found, as far as they are remembered.
    pub fn inspections_of<'a>(
        &'a self,
        id_type: &'a str,
        id: &'a str,
    ) -> impl Iterator<Item = &'a Inspection> + 'a {
        let first = (id_type.to_owned(), id.to_owned(), String::new());
        self.inspections
            .range(first..)
            .take_while(move |((of_type, of, _), _)| of_type == id_type && of == id)
            .map(|(_, inspection)| inspection)
    }

    pub(super) fn read(&mut self, read: &CasesRead) {
        self.read = Some(ReadUpTo {
            log: read.log.clone(),
            place: read.place,
            position: read.position,
        });
    }

    pub(super) fn inspected(&mut self, told: &InspectionReported, recorded: Stamp) {
        let Some(at) = told.at.as_ref().and_then(time_from_proto) else {
            return;
        };
        let key = key(told);
        if self.inspections.contains_key(&key) {
            return;
        }
        let inspection = Inspection {
            feedback_id: told.feedback_id.clone(),
            case_id: told.case_id.clone(),
            authority: told.authority.clone(),
            at,
            document_no: told.document_no.clone(),
            item: told.item.clone(),
            result: told.result.clone(),
            finding: Masked(told.finding.clone()),
            proposed_entry_id: told.proposed_entry_id.clone(),
            recorded,
        };
        self.inspections.insert(key.clone(), inspection);
        self.by_seq.insert(recorded.seq, key);
        if self.by_seq.len() > KEPT
            && let Some((seq, oldest)) = self.by_seq.get_min().cloned()
        {
            self.by_seq.remove(&seq);
            self.inspections.remove(&oldest);
        }
    }
}

fn key(told: &InspectionReported) -> Key {
    let subject = told.subject.clone().unwrap_or_default();
    let id = match subject.id.is_empty() {
        true => subject.name,
        false => subject.id,
    };
    (subject.id_type, id, told.feedback_id.clone())
}
