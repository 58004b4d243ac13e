//! Objections, repairs, talks and commitments: how far each has come, and which limits run.

use creditgate_measures::time::{Date, Time};
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::{DeskRecord, ProcedureStep};
use creditgate_proto::v1;
use imbl::OrdMap;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::procedures::table::{self, Kind, Outcome, Step};

/// Closed procedures that are remembered; the change log has all.
const CLOSED_KEPT: usize = 10_000;

/// A text about a person or firm; it prints masked.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masked(pub String);

impl std::fmt::Debug for Masked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("＊＊＊")
    }
}

/// A procedure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Procedure {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// Its entry; empty: it is about a subject.
    pub entry_id: String,
    /// Code of the entry's list.
    pub list: String,
    /// The subject that it is about without an entry, encoded; empty: none.
    subject: Vec<u8>,
    /// The authority that is to act.
    pub authority: String,
    /// Last day by which a commitment is to be kept.
    pub until: Option<Date>,
    /// The steps that were taken, in order; never empty.
    pub steps: Vec<Taken>,
    /// The limits that run.
    pub deadlines: Vec<Deadline>,
    /// When a talk is to be held.
    pub scheduled_for: Option<Time>,
    /// Where a talk is to be held.
    pub place: String,
    /// The entry that a broken commitment proposes; empty: none.
    pub proposed_entry_id: String,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// The step.
    pub step: Step,
    /// What was decided.
    pub outcome: Option<Outcome>,
    /// Who took it.
    pub by: Masked,
    /// When.
    pub at: Time,
    /// By which document.
    pub document_no: String,
    /// Why.
    pub reason: Masked,
    /// Who recorded it.
    pub caller: String,
    /// It was taken against a rule that may be set aside.
    pub forced: bool,
    /// When and where it was recorded.
    pub recorded: Stamp,
}

/// A limit that runs; see [`v1::Deadline`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deadline {
    /// What is to be done.
    pub step: String,
    /// What that is called.
    pub title: String,
    /// Last day.
    pub day: Date,
    /// The day from which it is counted.
    pub counted_from: Date,
    /// How many days.
    pub days: u32,
    /// In what they are counted.
    pub unit: String,
    /// How working days were counted.
    pub calendar: String,
    /// Where it stands.
    pub basis: String,
    /// It fills a gap.
    pub is_default: bool,
}

impl Procedure {
    /// The last step that was taken.
    #[must_use]
    pub fn state(&self) -> Step {
        self.steps
            .last()
            .map_or_else(|| self.kind.opening(), |taken| taken.step)
    }

    /// Whether further steps follow.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !table::possible(self.kind, self.state()).is_empty()
    }

    /// What was decided.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.steps.last().and_then(|taken| taken.outcome)
    }

    /// The step with which it was closed or stands, when it is this one.
    #[must_use]
    pub fn taken(&self, step: Step) -> Option<&Taken> {
        self.steps.iter().rev().find(|taken| taken.step == step)
    }

    /// The subject that it is about without an entry.
    #[must_use]
    pub fn subject(&self) -> Option<v1::SubjectQuery> {
        let bytes = self.subject.as_slice();
        (!bytes.is_empty())
            .then(|| v1::SubjectQuery::decode(bytes).ok())
            .flatten()
    }
}

/// All of them. Ids begin with the time, so their order is that of arrival.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Procedures {
    by_id: OrdMap<String, Procedure>,
    by_entry: OrdMap<(String, String), ()>,
    closed: usize,
}

impl Procedures {
    /// The one with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Procedure> {
        self.by_id.get(id)
    }

    /// Those after an id, the oldest first.
    pub fn after(&self, id: &str) -> impl Iterator<Item = &Procedure> {
        let id = id.to_owned();
        self.by_id
            .range(id.clone()..)
            .map(|(_, procedure)| procedure)
            .filter(move |procedure| procedure.id != id)
    }

    /// Those of an entry, the oldest first.
    pub fn of_entry<'a>(&'a self, entry_id: &'a str) -> impl Iterator<Item = &'a Procedure> + 'a {
        self.by_entry
            .range((entry_id.to_owned(), String::new())..)
            .take_while(move |((of, _), ())| of == entry_id)
            .filter_map(|((_, id), ())| self.by_id.get(id))
    }

    /// The one of an entry of this kind to which further steps follow.
    #[must_use]
    pub fn open_of<'a>(&'a self, entry_id: &'a str, kind: Kind) -> Option<&'a Procedure> {
        self.of_entry(entry_id)
            .find(|procedure| procedure.kind == kind && procedure.is_open())
    }

    pub(super) fn step(&mut self, step: &ProcedureStep, record: &DeskRecord, stamp: Stamp) {
        let Some(taken) = taken(step, record, stamp) else {
            return;
        };
        let opening = Kind::parse(&step.kind).filter(|_| !step.kind.is_empty());
        if let Some(kind) = opening
            && !self.by_id.contains_key(&step.procedure_id)
        {
            self.open(kind, step);
        }
        let Some(procedure) = self.by_id.get_mut(&step.procedure_id) else {
            return;
        };
        if !procedure.steps.is_empty() && !procedure.is_open() {
            return;
        }
        procedure.steps.push(taken);
        procedure.deadlines = deadlines(step);
        if let Some(at) = step.scheduled_for.as_ref().and_then(time_from_proto) {
            procedure.scheduled_for = Some(at);
            procedure.place.clone_from(&step.place);
        }
        if !step.proposed_entry_id.is_empty() {
            procedure
                .proposed_entry_id
                .clone_from(&step.proposed_entry_id);
        }
        if !procedure.is_open() {
            self.closed += 1;
            self.forget_oldest();
        }
    }

    fn open(&mut self, kind: Kind, step: &ProcedureStep) {
        let subject = step.subject.as_ref();
        let procedure = Procedure {
            id: step.procedure_id.clone(),
            kind,
            entry_id: step.entry_id.clone(),
            list: step.list.clone(),
            subject: subject.map_or_else(Vec::new, Message::encode_to_vec),
            authority: step.authority.clone(),
            until: Date::parse(&step.until).ok(),
            steps: Vec::new(),
            deadlines: Vec::new(),
            scheduled_for: None,
            place: String::new(),
            proposed_entry_id: String::new(),
        };
        if !step.entry_id.is_empty() {
            let key = (step.entry_id.clone(), step.procedure_id.clone());
            self.by_entry.insert(key, ());
        }
        self.by_id.insert(step.procedure_id.clone(), procedure);
    }

    fn forget_oldest(&mut self) {
        if self.closed <= CLOSED_KEPT {
            return;
        }
        let oldest = self.by_id.values().find(|procedure| !procedure.is_open());
        let Some((id, entry_id)) = oldest.map(|one| (one.id.clone(), one.entry_id.clone())) else {
            return;
        };
        self.by_entry.remove(&(entry_id, id.clone()));
        self.by_id.remove(&id);
        self.closed -= 1;
    }
}

/// The step that a record tells; none: this version does not know it.
fn taken(step: &ProcedureStep, record: &DeskRecord, stamp: Stamp) -> Option<Taken> {
    Some(Taken {
        step: Step::parse(&step.step)?,
        outcome: Outcome::parse(&step.outcome),
        by: Masked(step.by.clone()),
        at: step.at.as_ref().and_then(time_from_proto)?,
        document_no: step.document_no.clone(),
        reason: Masked(record.reason.clone()),
        caller: record.caller.clone(),
        forced: step.forced,
        recorded: stamp,
    })
}

/// The limits that a record tells. One whose days cannot be read cannot be watched: the log says so.
fn deadlines(step: &ProcedureStep) -> Vec<Deadline> {
    let read = step.deadlines.iter().map(|told| (told, deadline(told)));
    read.filter_map(|(told, limit)| {
        if limit.is_none() {
            let (procedure, limit) = (&*step.procedure_id, &*told.step);
            tracing::error!(
                procedure,
                limit,
                "a limit of a procedure has no day that can be read and is not watched; reckon it by hand"
            );
        }
        limit
    })
    .collect()
}

fn deadline(told: &v1::Deadline) -> Option<Deadline> {
    Some(Deadline {
        step: told.step.clone(),
        title: told.title.clone(),
        day: Date::parse(&told.day).ok()?,
        counted_from: Date::parse(&told.counted_from).ok()?,
        days: told.days,
        unit: told.unit.clone(),
        calendar: told.calendar.clone(),
        basis: told.basis.clone(),
        is_default: told.is_default,
    })
}
