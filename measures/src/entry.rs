//! An entry: one designation of one subject on one list, with the history of its states (spec 3).
//!
//! [`Entry`] owns its texts and is what services import, change and show. [`StoredEntry`] borrows
//! them from the bytes of a snapshot and carries what a decision reads, nothing else.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{EntryId, ListCode, Region, Sensitive};
use crate::identifier::Identifier;
use crate::time::{Date, Time};
use crate::vocabulary::{NotUsable, Role, Severity, State, SubjectKind};

/// One designation as the registry keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Id, unique within the registry.
    pub entry_id: EntryId,
    /// The list.
    pub list: ListCode,
    /// Identifier of the listed subject.
    pub identifier: Option<Identifier>,
    /// Current name.
    pub name: Option<Sensitive>,
    /// Former names.
    pub former_names: Vec<Sensitive>,
    /// Kind of the subject.
    pub kind: Option<SubjectKind>,
    /// How grave the breach is.
    pub severity: Option<Severity>,
    /// Grade in the list's own terms.
    pub grade: Option<Arc<str>>,
    /// Designating authority (认定部门).
    pub designated_by: Option<Arc<str>>,
    /// Number of the document (文书号).
    pub document_no: Option<Arc<str>>,
    /// Designation basis (认定依据).
    pub basis: Option<Arc<str>>,
    /// Reason for listing (列入事由).
    pub reason: Option<Sensitive>,
    /// Region in which a local entry holds.
    pub region: Option<Region>,
    /// Scope codes `item:`, `trade:`, `region:`, `project:`.
    pub scope: Vec<Arc<str>>,
    /// Day of the act.
    pub act_date: Option<Date>,
    /// When the decision was served.
    pub served_at: Option<Time>,
    /// From when it holds.
    pub valid_from: Time,
    /// Last day.
    pub valid_to: Option<Date>,
    /// End of the shortest display period.
    pub display_min_until: Option<Date>,
    /// End of the longest display period.
    pub display_max_until: Option<Date>,
    /// How often the subject was listed before.
    pub repeat_count: u32,
    /// Subjects related to the listed one.
    pub related: Vec<Related>,
    /// Further identifiers of the same subject.
    pub aliases: Vec<Identifier>,
    /// Unit the data came from (数据来源单位).
    pub source_unit: Option<Arc<str>>,
    /// Version of the rules the dates follow.
    pub rule_version: Option<Arc<str>>,
    /// An objection is marked (异议标注).
    pub objection_marked: bool,
    /// When the registry first recorded the entry.
    pub recorded_at: Time,
    /// Changes of state in the order they were recorded; never empty.
    pub changes: Vec<StateChange>,
}

/// A change of state: since when it holds, and since when it is known (valid and knowledge time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// The new state.
    pub to: State,
    /// When it takes effect.
    pub effective_at: Time,
    /// When the registry recorded it.
    pub recorded_at: Time,
}

/// A subject related to the listed one.
#[derive(Debug, Clone, PartialEq)]
pub struct Related {
    /// In which role.
    pub role: Role,
    /// Identifier.
    pub identifier: Option<Identifier>,
    /// Name.
    pub name: Option<Sensitive>,
}

impl Entry {
    /// The state by the changes recorded so far that have taken effect at `at`.
    #[must_use]
    pub fn state_at(&self, at: Time) -> State {
        state_at(&self.changes, at)
    }

    /// The state after the last recorded change, whenever it takes effect.
    #[must_use]
    pub fn last_state(&self) -> State {
        self.changes
            .last()
            .map_or(State::Proposed, |change| change.to)
    }

    /// The bytes a snapshot keeps: first what a decision reads, then the rest.
    #[must_use]
    pub fn to_stored(&self) -> Vec<u8> {
        let head = StoredEntry {
            entry_id: self.entry_id.as_str(),
            list: self.list.as_str(),
            identifier: self.identifier.clone(),
            name: self.name.as_ref().map(Sensitive::reveal),
            former_names: self.former_names.iter().map(Sensitive::reveal).collect(),
            kind: self.kind,
            severity: self.severity,
            grade: self.grade.as_deref(),
            designated_by: self.designated_by.as_deref(),
            document_no: self.document_no.as_deref(),
            region: self.region,
            scope: self.scope.iter().map(AsRef::as_ref).collect(),
            act_date: self.act_date,
            served_at: self.served_at,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            display_max_until: self.display_max_until,
            repeat_count: self.repeat_count,
            related: self
                .related
                .iter()
                .map(|r| StoredRelated {
                    role: r.role,
                    identifier: r.identifier.clone(),
                    name: r.name.as_ref().map(Sensitive::reveal),
                })
                .collect(),
            aliases: self.aliases.clone(),
            objection_marked: self.objection_marked,
            recorded_at: self.recorded_at,
            changes: self.changes.clone(),
        };
        let tail = StoredTail {
            basis: self.basis.as_deref(),
            reason: self.reason.as_ref().map(Sensitive::reveal),
            display_min_until: self.display_min_until,
            source_unit: self.source_unit.as_deref(),
            rule_version: self.rule_version.as_deref(),
        };
        // Writing plain values into a growing vector has no way to fail; an empty result would be
        // refused by the reader, never mistaken for an entry.
        postcard::to_allocvec(&(head, tail)).unwrap_or_default()
    }

    /// Reads back what [`Entry::to_stored`] wrote.
    ///
    /// # Errors
    /// When the bytes are not an entry.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, StoredError> {
        let (head, tail): (StoredEntry<'_>, StoredTail<'_>) =
            postcard::from_bytes(bytes).map_err(|_| StoredError)?;
        let sensitive = |text: Option<&str>| text.map(Sensitive::new);
        let shared = |text: Option<&str>| text.map(Arc::from);
        Ok(Self {
            entry_id: EntryId::new(head.entry_id),
            list: ListCode::new(head.list),
            identifier: head.identifier,
            name: sensitive(head.name),
            former_names: head.former_names.into_iter().map(Sensitive::new).collect(),
            kind: head.kind,
            severity: head.severity,
            grade: shared(head.grade),
            designated_by: shared(head.designated_by),
            document_no: shared(head.document_no),
            basis: shared(tail.basis),
            reason: sensitive(tail.reason),
            region: head.region,
            scope: head.scope.into_iter().map(Arc::from).collect(),
            act_date: head.act_date,
            served_at: head.served_at,
            valid_from: head.valid_from,
            valid_to: head.valid_to,
            display_min_until: tail.display_min_until,
            display_max_until: head.display_max_until,
            repeat_count: head.repeat_count,
            related: head
                .related
                .into_iter()
                .map(|r| Related {
                    role: r.role,
                    identifier: r.identifier,
                    name: sensitive(r.name),
                })
                .collect(),
            aliases: head.aliases,
            source_unit: shared(tail.source_unit),
            rule_version: shared(tail.rule_version),
            objection_marked: head.objection_marked,
            recorded_at: head.recorded_at,
            changes: head.changes,
        })
    }
}

/// What a decision reads of an entry, borrowed from the bytes of a snapshot.
///
/// INVARIANT (layout): fields are stored in this order without names; a change of order or type
/// needs a new snapshot format number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredEntry<'a> {
    /// See [`Entry::entry_id`].
    pub entry_id: &'a str,
    /// See [`Entry::list`].
    pub list: &'a str,
    /// See [`Entry::identifier`].
    pub identifier: Option<Identifier>,
    /// See [`Entry::name`].
    #[serde(borrow)]
    pub name: Option<&'a str>,
    /// See [`Entry::former_names`].
    #[serde(borrow)]
    pub former_names: Vec<&'a str>,
    /// See [`Entry::kind`].
    pub kind: Option<SubjectKind>,
    /// See [`Entry::severity`].
    pub severity: Option<Severity>,
    /// See [`Entry::grade`].
    #[serde(borrow)]
    pub grade: Option<&'a str>,
    /// See [`Entry::designated_by`].
    #[serde(borrow)]
    pub designated_by: Option<&'a str>,
    /// See [`Entry::document_no`].
    #[serde(borrow)]
    pub document_no: Option<&'a str>,
    /// See [`Entry::region`].
    pub region: Option<Region>,
    /// See [`Entry::scope`].
    #[serde(borrow)]
    pub scope: Vec<&'a str>,
    /// See [`Entry::act_date`].
    pub act_date: Option<Date>,
    /// See [`Entry::served_at`].
    pub served_at: Option<Time>,
    /// See [`Entry::valid_from`].
    pub valid_from: Time,
    /// See [`Entry::valid_to`].
    pub valid_to: Option<Date>,
    /// See [`Entry::display_max_until`].
    pub display_max_until: Option<Date>,
    /// See [`Entry::repeat_count`].
    pub repeat_count: u32,
    /// See [`Entry::related`].
    #[serde(borrow)]
    pub related: Vec<StoredRelated<'a>>,
    /// See [`Entry::aliases`].
    pub aliases: Vec<Identifier>,
    /// See [`Entry::objection_marked`].
    pub objection_marked: bool,
    /// See [`Entry::recorded_at`].
    pub recorded_at: Time,
    /// See [`Entry::changes`].
    pub changes: Vec<StateChange>,
}

/// A related subject, borrowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRelated<'a> {
    /// In which role.
    pub role: Role,
    /// Identifier.
    pub identifier: Option<Identifier>,
    /// Name.
    #[serde(borrow)]
    pub name: Option<&'a str>,
}

/// What only people read of an entry; it follows the head in the stored bytes.
#[derive(Debug, Serialize, Deserialize)]
struct StoredTail<'a> {
    #[serde(borrow)]
    basis: Option<&'a str>,
    #[serde(borrow)]
    reason: Option<&'a str>,
    display_min_until: Option<Date>,
    #[serde(borrow)]
    source_unit: Option<&'a str>,
    #[serde(borrow)]
    rule_version: Option<&'a str>,
}

/// Stored bytes that are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored bytes are not an entry")]
pub struct StoredError;

impl<'a> StoredEntry<'a> {
    /// Reads the head of what [`Entry::to_stored`] wrote; the tail is left alone.
    ///
    /// # Errors
    /// When the bytes are not an entry.
    pub fn read(bytes: &'a [u8]) -> Result<Self, StoredError> {
        postcard::take_from_bytes(bytes)
            .map(|(head, _)| head)
            .map_err(|_| StoredError)
    }

    /// The id alone, which is stored first: to tell whose record it is takes no more, however long its history.
    ///
    /// # Errors
    /// When the bytes do not begin with one.
    pub fn id_of(bytes: &'a [u8]) -> Result<&'a str, StoredError> {
        postcard::take_from_bytes(bytes)
            .map(|(id, _)| id)
            .map_err(|_| StoredError)
    }
}

/// The state by the changes that have taken effect at `at`; before the first one, proposed.
///
/// Of two changes the one that takes effect later wins; at the same instant the one recorded later.
#[must_use]
pub fn state_at(changes: &[StateChange], at: Time) -> State {
    governing(changes, at).map_or(State::Proposed, |change| change.to)
}

/// The change that gives the state at `at`; none before the first one.
#[must_use]
pub fn governing(changes: &[StateChange], at: Time) -> Option<&StateChange> {
    let taken = changes.iter().filter(|change| change.effective_at <= at);
    // Of equal ones the last: it was recorded later.
    taken.max_by_key(|change| change.effective_at)
}

/// What a state that is not effective says about the entry.
#[must_use]
pub fn not_effective(state: State) -> Option<NotUsable> {
    match state {
        State::Effective => None,
        State::Proposed | State::Notified => Some(NotUsable::NotEffective),
        State::Suspended => Some(NotUsable::Suspended),
        State::Repaired => Some(NotUsable::Repaired),
        State::Revoked => Some(NotUsable::Revoked),
    }
}
