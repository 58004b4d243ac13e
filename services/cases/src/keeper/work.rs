//! What a transaction takes in, beside the tables.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use creditgate_measures::identifier::Key;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{CaseRecord, ReportsRead, ReviewRequested, VerdictRecord};
use creditgate_proto::records::kind;
use creditgate_runtime::journal::Record;
use creditgate_runtime::ports::{Change as ListChange, Changed};
use prost::Message as _;

use super::own::{Own, OwnRecords};
use crate::deliveries::{self, Item, told_by_record, told_by_verdict};
use crate::error::Error;
use crate::facts::VerdictFacts;
use crate::rows;
use crate::state::{CaseState, Happened, Recorded};
use crate::table::{Children, Due, Mark, Table, View};
use crate::terms::BookTerms;

/// A case on its way from the table and back.
pub(super) struct Held {
    pub id: Option<i64>,
    pub before: Children,
    pub state: CaseState,
}

/// A case with a verdict that rests on older lists than were looked through.
#[derive(Default)]
pub(super) struct Behind {
    /// Number of those lists.
    pub seq: u64,
    keys: Vec<Key>,
    entries: Vec<String>,
}

impl Behind {
    pub fn is_touched_by(&self, change: &ListChange) -> bool {
        match &change.what {
            Changed::Entry { entry_id, keys } | Changed::EntryClock { entry_id, keys } => {
                keys.iter().any(|key| self.keys.contains(key))
                    || self.entries.iter().any(|entry| **entry == **entry_id)
            }
            // Which scenarios a row concerns, only its book tells: all of them is never wrong.
            Changed::RowClock(_) => true,
            Changed::Book | Changed::Nothing => false,
        }
    }
}

/// What one transaction takes in.
#[derive(Default)]
pub(super) struct TakenIn {
    pub held: BTreeMap<String, Held>,
    pub behind: BTreeMap<String, Behind>,
    /// Reviews of all open cases that were asked for, with the time.
    pub requested: Vec<(ReviewRequested, Time)>,
    /// Verdicts that the log of the cases named, by their number and position in the gate's journal.
    pub numbers: Vec<(u64, u64)>,
    /// How far reports were read.
    pub reports_read: Vec<ReportsRead>,
    /// Cases with another answer to an event, and the review that each is due for it.
    pub differing: Vec<(String, Due)>,
    /// Up to which change of the lists everything was reviewed by whoever led.
    pub reviewed: Option<u64>,
    /// Records taken in until now, of both journals.
    pub position: u64,
    /// What others are to be sent of them.
    pub outbox: Vec<Item>,
    /// What happened to deliveries, with its place.
    pub deliveries: Vec<(u64, CaseRecord)>,
}

impl TakenIn {
    /// Whether the transaction ends with what was taken in last: it is about the cases as they are here.
    pub fn ends_here(&self) -> bool {
        !self.requested.is_empty() || self.reviewed.is_some()
    }
}

/// The review of a case whose replicas of the gate answered an event differently (spec 7): by the book of the
/// answer that knew more of the lists, since a book comes into force by one of their changes. Each process that
/// takes both answers in finds the same one, and its slot tells whether it was made.
fn differing(facts: &VerdictFacts, stands: Option<&Recorded>, scanned: u64) -> (String, Due) {
    tracing::warn!(
        case = %facts.case_id,
        verdict = %facts.verdict_id,
        "replicas of the gate answered an event differently; its case is reviewed"
    );
    let newer = stands.filter(|stands| stands.list_seq > facts.list_seq);
    let book = newer.map_or(&facts.book_version, |newer| &newer.book_version);
    let due = Due {
        case: 0,
        // Later than both, so that neither stands in its way.
        seq: newer
            .map_or(facts.list_seq, |newer| newer.list_seq)
            .max(scanned),
        at: facts.evaluated_at.micros(),
        cause: format!("book:{book}"),
        open: true,
    };
    (facts.case_id.clone(), due)
}

/// Takes records in, beside the table.
pub(super) struct Work<'a> {
    table: &'a Table,
    terms: &'a BookTerms,
    pub taken: TakenIn,
    /// Held, not used: without it every look at the table would lock the file.
    _view: View<'a>,
}

impl<'a> Work<'a> {
    pub fn on(table: &'a Table, terms: &'a BookTerms) -> Result<Self, Error> {
        Ok(Self {
            table,
            terms,
            taken: TakenIn {
                position: table.mark().taken,
                ..TakenIn::default()
            },
            _view: table.view()?,
        })
    }

    /// What was taken in, to be written.
    pub fn end(self) -> TakenIn {
        self.taken
    }

    /// The case, as it is stored; a new one where there is none.
    pub fn case(&mut self, case_id: &str) -> Result<&mut Held, Error> {
        match self.taken.held.entry(case_id.to_owned()) {
            Entry::Occupied(held) => Ok(held.into_mut()),
            Entry::Vacant(place) => {
                let held = match self.table.load(case_id)? {
                    Some((id, stored)) => {
                        let state = CaseState::from_stored(&stored)?;
                        Held {
                            id: Some(id),
                            before: rows::children(&state, self.terms),
                            state,
                        }
                    }
                    None => Held {
                        id: None,
                        before: Children::default(),
                        state: CaseState::new(case_id),
                    },
                };
                Ok(place.insert(held))
            }
        }
    }

    pub fn verdict(&mut self, record: &Record, scanned: u64) -> Result<(), Error> {
        self.taken.position += 1;
        let at = self.taken.position;
        if record.kind != kind::VERDICT {
            return Ok(());
        }
        let (sequence, position) = (record.sequence, record.position.0);
        let verdict = VerdictRecord::decode(&*record.payload)?;
        let terms = self.terms;
        let simplify = terms.book().simplify();
        let facts = match VerdictFacts::of(&verdict, sequence, position, simplify) {
            Ok(facts) => facts,
            Err(part) => {
                // The journal is kept for decades; one record must not stop all cases.
                tracing::error!(
                    sequence,
                    part,
                    "a recorded verdict tells nothing about its case"
                );
                return Ok(());
            }
        };
        let held = self.case(&facts.case_id)?;
        let seen = held.state.take_verdict(&facts);
        let told = told_by_verdict(at, &held.state, &facts, &seen, terms);
        let differs = seen
            .happened
            .contains(&Happened::AnswersDiffer(facts.verdict_id));
        let stands = held.state.recorded(facts.verdict_id);
        let due = differs.then(|| differing(&facts, stands, scanned));
        if facts.list_seq < scanned && (!facts.is_review() || differs) {
            let children = rows::children(&held.state, terms);
            let behind = self
                .taken
                .behind
                .entry(facts.case_id.clone())
                .or_insert(Behind {
                    seq: facts.list_seq,
                    ..Behind::default()
                });
            behind.seq = behind.seq.min(facts.list_seq);
            (behind.keys, behind.entries) = (children.keys, children.entries);
        }
        self.taken.differing.extend(due);
        self.taken.outbox.extend(told);
        Ok(())
    }

    pub fn record(&mut self, position: u64, record: &CaseRecord) -> Result<(), Error> {
        self.taken.position += 1;
        let (at, terms) = (self.taken.position, self.terms);
        match &record.what {
            Some(What::ReviewRequested(asked)) => {
                let at = record.recorded_at.as_ref().and_then(time_from_proto);
                let at = at.unwrap_or(Time::from_micros(0));
                self.taken.requested.push((asked.clone(), at));
                return Ok(());
            }
            Some(What::ReportsRead(read)) => {
                self.taken.reports_read.push(*read);
                return Ok(());
            }
            Some(What::Reviewed(reviewed)) => {
                self.taken.reviewed = Some(reviewed.list_seq);
                return Ok(());
            }
            None => {
                tracing::error!(
                    position,
                    "a record of the cases is none that this version understands; a later one wrote it"
                );
                return Ok(());
            }
            Some(what) if deliveries::concerns(what) => {
                self.taken.deliveries.push((position, record.clone()));
                return Ok(());
            }
            _ => {}
        }
        let held = self.case(&record.case_id)?;
        match held.state.take_record(position, record) {
            Ok(taken) => {
                let told = told_by_record(at, &held.state, record, &taken, terms);
                self.taken.outbox.extend(told);
            }
            // It was possible when it was recorded, so another version of this program reads it.
            Err(refusal) => {
                tracing::error!(case = %record.case_id, %refusal, "a record of a case has no effect");
            }
        }
        Ok(())
    }

    /// Applies the own records that stand at this place of the journal of verdicts.
    pub fn records_due(&mut self, own: &mut OwnRecords, mark: &mut Mark) -> Result<(), Error> {
        while !self.taken.ends_here() && !own.is_full() {
            let due = |next: &Own| next.record.verdicts <= mark.verdicts;
            if !own.peek()?.is_some_and(due) {
                break;
            }
            if let Some(one) = own.take()? {
                self.record(one.position, &one.record)?;
                (mark.cases, mark.cases_at) = (one.sequence, one.position);
            }
        }
        Ok(())
    }
}
