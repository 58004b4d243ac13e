//! What is known of subjects beyond what sources state: names, further identifiers, relations,
//! codes. Each is a change with a number; what stands is what was not taken back.
//!
//! What an entry looks like is derived: from what its source states and from the changes that stand
//! (`crate::identity::complete`). So taking one back leaves exactly what there would be without it.

use std::collections::BTreeSet;

use creditgate_measures::entry::{Entry, Related, StateChange};
use creditgate_measures::event::Sensitive;
use creditgate_measures::identifier::Identifier;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::vocabulary::{Role, State};
use creditgate_proto::journal::v1::{DeskRecord, desk_record::What};
use creditgate_proto::subject::{alias_from_proto, related_from_proto};
use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use super::Stamp;

/// A subject by one of its identifiers, the same text for all that designate it by themselves, such
/// as a code and the organisation code inside it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubjectKey(String);

impl SubjectKey {
    /// The key of the subject that an identifier designates.
    #[must_use]
    pub fn of(identifier: &Identifier) -> Self {
        let inner = identifier.org9_alias();
        let held = inner.as_ref().unwrap_or(identifier);
        // U+001F is a control character, which no part can contain.
        let issuer = held.issuer().unwrap_or_default();
        Self(format!(
            "{}\u{1F}{issuer}\u{1F}{}",
            held.id_type(),
            held.reveal()
        ))
    }
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectKey(＊＊＊)")
    }
}

/// A change of identity.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentityChange {
    /// What changed.
    pub what: Fact,
    /// Number of the document.
    pub document_no: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub caller: String,
    /// Where and when it was recorded.
    pub recorded: Stamp,
    /// Taken back; none: it stands.
    pub undone: Option<Undone>,
}

impl std::fmt::Debug for IdentityChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityChange")
            .field("what", &self.what)
            .field("recorded", &self.recorded)
            .field("undone", &self.undone.is_some())
            .finish_non_exhaustive()
    }
}

/// How a change was taken back.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Undone {
    /// Who took it back.
    pub caller: String,
    /// Why.
    pub reason: String,
    /// Where and when it was recorded.
    pub recorded: Stamp,
}

/// What a change of identity says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// A subject has this name from a day on.
    Name {
        /// An identifier of the subject.
        subject: Identifier,
        /// The name.
        name: String,
        /// Its first day.
        since: Date,
        /// Its last day, of a former name.
        until: Option<Date>,
        /// The names known when it was recorded.
        known: Vec<String>,
    },
    /// Two identifiers are of one subject.
    Link {
        /// The one.
        one: Identifier,
        /// The other.
        other: Identifier,
        /// They passed for two subjects.
        merged: bool,
        /// Although each has a valid code of its own.
        forced: bool,
    },
    /// A relation begins or ends.
    Relation {
        /// An identifier of the subject.
        subject: Identifier,
        /// In which role.
        role: Role,
        /// Identifier of the related person.
        identifier: Option<Identifier>,
        /// Name of the related person.
        name: Option<String>,
        /// It ends.
        ended: bool,
        /// From which day.
        since: Option<Date>,
    },
    /// A code of an entry is confirmed or rejected.
    Code {
        /// The entry.
        entry_id: String,
        /// The code.
        identifier: Identifier,
        /// Confirmed, or rejected.
        confirmed: bool,
    },
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}

impl Fact {
    /// The code of its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Name { .. } => "name",
            Self::Link { merged: true, .. } => "merge",
            Self::Link { merged: false, .. } => "alias",
            Self::Relation { ended: false, .. } => "relation_added",
            Self::Relation { ended: true, .. } => "relation_ended",
            Self::Code {
                confirmed: true, ..
            } => "code_confirmed",
            Self::Code {
                confirmed: false, ..
            } => "code_rejected",
        }
    }

    /// The identifiers whose subjects it is about.
    #[must_use]
    pub fn identifiers(&self) -> Vec<&Identifier> {
        match self {
            Self::Name { subject, .. } | Self::Relation { subject, .. } => vec![subject],
            Self::Link { one, other, .. } => vec![one, other],
            Self::Code { identifier, .. } => vec![identifier],
        }
    }

    fn of(what: &What) -> Option<(Self, &str)> {
        let identifier = |alias| alias_from_proto("", alias).ok();
        let day = |text: &str| Date::parse(text).ok();
        Some(match what {
            What::NameChanged(said) => (
                Self::Name {
                    subject: identifier(said.subject.as_ref())?,
                    name: said.name.clone(),
                    since: day(&said.since)?,
                    until: day(&said.until),
                    known: said.known.clone(),
                },
                said.document_no.as_str(),
            ),
            What::SubjectsLinked(said) => (
                Self::Link {
                    one: identifier(said.one.as_ref())?,
                    other: identifier(said.other.as_ref())?,
                    merged: said.merged,
                    forced: said.forced,
                },
                &said.document_no,
            ),
            What::RelationChanged(said) => {
                let related = related_from_proto("", said.related.as_ref()).ok()?;
                let fact = Self::Relation {
                    subject: identifier(said.subject.as_ref())?,
                    role: related.role,
                    identifier: related.identifier,
                    name: related.name.map(|name| name.reveal().to_owned()),
                    ended: said.ended,
                    since: day(&said.since),
                };
                (fact, &said.document_no)
            }
            What::CodeDecided(said) => (
                Self::Code {
                    entry_id: said.entry_id.clone(),
                    identifier: identifier(said.identifier.as_ref())?,
                    confirmed: said.confirmed,
                },
                &said.document_no,
            ),
            _ => return None,
        })
    }
}

/// What a source states of the subject of an entry.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stated {
    /// Identifier.
    pub identifier: Option<Identifier>,
    /// Current name.
    pub name: Option<Sensitive>,
    /// Former names.
    pub former_names: Vec<Sensitive>,
    /// Related subjects.
    pub related: Vec<Related>,
    /// Further identifiers.
    pub aliases: Vec<Identifier>,
}

impl Stated {
    /// What an entry says of its subject.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self {
            identifier: entry.identifier.clone(),
            name: entry.name.clone(),
            former_names: entry.former_names.clone(),
            related: entry.related.clone(),
            aliases: entry.aliases.clone(),
        }
    }

    /// Its own identifiers.
    pub fn identifiers(&self) -> impl Iterator<Item = &Identifier> {
        self.identifier.iter().chain(&self.aliases)
    }

    /// The bytes that a record keeps: those of an entry that says nothing else.
    #[must_use]
    pub fn to_stored(&self, entry_id: &str) -> Vec<u8> {
        let at = Time::from_micros(0);
        let entry = Entry {
            entry_id: entry_id.into(),
            list: "".into(),
            identifier: self.identifier.clone(),
            name: self.name.clone(),
            former_names: self.former_names.clone(),
            kind: None,
            severity: None,
            grade: None,
            designated_by: None,
            document_no: None,
            basis: None,
            reason: None,
            region: None,
            scope: Vec::new(),
            act_date: None,
            served_at: None,
            valid_from: at,
            valid_to: None,
            display_min_until: None,
            display_max_until: None,
            repeat_count: 0,
            related: self.related.clone(),
            aliases: self.aliases.clone(),
            source_unit: None,
            rule_version: None,
            objection_marked: false,
            recorded_at: at,
            changes: vec![StateChange {
                to: State::Proposed,
                effective_at: at,
                recorded_at: at,
            }],
        };
        entry.to_stored()
    }
}

/// What is known of subjects. Cheap to clone.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Every change, by its number.
    changes: OrdMap<u64, IdentityChange>,
    /// The changes about a subject.
    of_subject: OrdMap<SubjectKey, Vector<u64>>,
    /// The codes decided for an entry.
    of_entry: OrdMap<String, Vector<u64>>,
    /// What sources state of entries that look otherwise, in stored form, by entry.
    stated: OrdMap<String, Vec<u8>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("changes", &self.changes)
            .field("stated", &self.stated.len())
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Whether nothing is known, so that no entry can look other than its source states it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The change with this number.
    #[must_use]
    pub fn change(&self, number: u64) -> Option<&IdentityChange> {
        self.changes.get(&number)
    }

    /// Every change, taken back or not, in their order.
    pub fn all(&self) -> impl Iterator<Item = (u64, &IdentityChange)> {
        self.changes
            .iter()
            .map(|(number, change)| (*number, change))
    }

    /// The changes about any of these subjects or entries, taken back or not, in their order.
    pub fn changes_about<'a>(
        &'a self,
        subjects: impl IntoIterator<Item = &'a Identifier>,
        entries: impl IntoIterator<Item = &'a str>,
    ) -> Vec<(u64, &'a IdentityChange)> {
        let mut numbers: BTreeSet<u64> = BTreeSet::new();
        for subject in subjects {
            numbers.extend(
                self.of_subject
                    .get(&SubjectKey::of(subject))
                    .into_iter()
                    .flatten(),
            );
        }
        for entry in entries {
            numbers.extend(self.of_entry.get(entry).into_iter().flatten());
        }
        numbers
            .into_iter()
            .filter_map(|number| Some((number, self.changes.get(&number)?)))
            .collect()
    }

    /// The changes about a subject that stand, in their order.
    pub fn standing_about<'a>(
        &'a self,
        subjects: impl IntoIterator<Item = &'a Identifier>,
    ) -> Vec<(u64, &'a IdentityChange)> {
        let mut changes = self.changes_about(subjects, []);
        changes.retain(|(_, change)| change.undone.is_none());
        changes
    }

    /// The codes decided for an entry that stand: number, code, whether it is confirmed.
    pub fn codes_of<'a>(
        &'a self,
        entry_id: &str,
    ) -> impl Iterator<Item = (u64, &'a Identifier, bool)> + use<'a> {
        let numbers = self.of_entry.get(entry_id).into_iter().flatten();
        numbers.filter_map(|number| {
            let change = self.changes.get(number)?;
            match &change.what {
                Fact::Code {
                    identifier,
                    confirmed,
                    ..
                } if change.undone.is_none() => Some((*number, identifier, *confirmed)),
                _ => None,
            }
        })
    }

    /// Every identifier linked to one of these by changes that stand, those given included. A union:
    /// taking one link back leaves what the others join.
    #[must_use]
    pub fn group<'a>(&self, of: impl IntoIterator<Item = &'a Identifier>) -> BTreeSet<Identifier> {
        let mut group: BTreeSet<Identifier> = of.into_iter().cloned().collect();
        if self.of_subject.is_empty() {
            return group;
        }
        let mut seen = BTreeSet::new();
        let mut next: Vec<SubjectKey> = group.iter().map(SubjectKey::of).collect();
        while let Some(key) = next.pop() {
            if !seen.insert(key.clone()) {
                continue;
            }
            for number in self.of_subject.get(&key).into_iter().flatten() {
                if let Some(IdentityChange {
                    what: Fact::Link { one, other, .. },
                    undone: None,
                    ..
                }) = self.changes.get(number)
                {
                    for identifier in [one, other] {
                        next.push(SubjectKey::of(identifier));
                        group.insert(identifier.clone());
                    }
                }
            }
        }
        group
    }

    /// What the source states of an entry that looks otherwise; none: it looks as stated.
    #[must_use]
    pub fn stated(&self, entry_id: &str) -> Option<Stated> {
        let stored = self.stated.get(entry_id)?;
        Entry::from_stored(stored)
            .ok()
            .map(|entry| Stated::of(&entry))
    }

    /// Takes note of a record.
    pub(crate) fn note(&mut self, record: &DeskRecord, stamp: Stamp) {
        match &record.what {
            Some(What::IdentityUndone(undone)) => {
                if let Some(change) = self.changes.get_mut(&undone.change) {
                    change.undone = Some(Undone {
                        caller: record.caller.clone(),
                        reason: record.reason.clone(),
                        recorded: stamp,
                    });
                }
            }
            Some(What::StatementKept(kept)) if kept.stored.is_empty() => {
                self.stated.remove(&kept.entry_id);
            }
            Some(What::StatementKept(kept)) => {
                self.stated
                    .insert(kept.entry_id.clone(), kept.stored.clone());
            }
            Some(what) => {
                if let Some((fact, document_no)) = Fact::of(what) {
                    self.add(fact, document_no, record, stamp);
                }
            }
            None => {}
        }
    }

    fn add(&mut self, what: Fact, document_no: &str, record: &DeskRecord, stamp: Stamp) {
        let keys: BTreeSet<SubjectKey> =
            what.identifiers().into_iter().map(SubjectKey::of).collect();
        if let Fact::Code { entry_id, .. } = &what {
            self.of_entry
                .entry(entry_id.clone())
                .or_default()
                .push_back(stamp.seq);
        }
        for key in keys {
            self.of_subject.entry(key).or_default().push_back(stamp.seq);
        }
        let change = IdentityChange {
            what,
            document_no: document_no.to_owned(),
            reason: record.reason.clone(),
            caller: record.caller.clone(),
            recorded: stamp,
            undone: None,
        };
        self.changes.insert(stamp.seq, change);
    }
}
