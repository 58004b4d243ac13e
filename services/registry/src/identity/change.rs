//! Changes of identity: each is recorded with the entries that look different by it, together.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_measures::entry::{Entry, StoredEntry};
use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::lists::Lists;
use creditgate_measures::time::Date;
use creditgate_measures::vocabulary::SubjectKind;
use creditgate_proto::journal::v1::{
    CodeDecided, IdentityUndone, NameChanged, RelationChanged, SubjectsLinked, desk_record::What,
};
use creditgate_proto::subject::{
    alias_from_proto, alias_to_proto, related_from_proto, related_to_proto,
};
use creditgate_proto::{Refused, v1};

use super::complete::{complete, kept};
use crate::desk::Stamp;
use crate::desk::identity::{Fact, Identity, Stated};
use crate::error::ChangeError;
use crate::import::differ;
use crate::keeper::{Planned, View, put_of};
use crate::life::{ABSENT_FROM_SOURCE, Step, action};

/// Identifiers that one subject may have by recorded changes.
const GROUP_MAX: usize = 32;

/// Entries that one change may touch; they are written as one.
const ENTRIES_MAX: usize = 5_000;

const TEXT_CHARS_MAX: usize = 512;
const PROSE_CHARS_MAX: usize = 4_096;
const NAME_CHARS_MAX: usize = 256;

/// A change that is asked for, its form checked.
#[derive(Debug)]
pub(crate) struct Asked {
    what: Ask,
    document_no: String,
    reason: String,
}

#[derive(Debug)]
enum Ask {
    Name {
        subject: Identifier,
        name: String,
        since: Date,
        until: Option<Date>,
    },
    Link {
        one: Identifier,
        other: Identifier,
        merged: bool,
        force: bool,
    },
    Relation(v1::ChangeRelationRequest),
    Code {
        entry_id: String,
        identifier: Identifier,
        confirmed: bool,
    },
    Undo(u64),
}

/// What became of a change.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Its number; 0: it was known already.
    pub change: u64,
    /// Entries that look different now.
    pub entry_ids: Vec<String>,
}

impl Asked {
    /// Another name.
    pub fn name(asked: v1::ChangeNameRequest) -> Result<Self, Refused> {
        let subject = alias_from_proto("subject", asked.subject.as_ref())?;
        let name = asked.name.trim();
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            let rule = format!("required: the new name, at most {NAME_CHARS_MAX} characters");
            return Err(Refused::one("name", rule));
        }
        let since = day("since", &asked.since)?
            .ok_or_else(|| Refused::one("since", "required: the first day of the new name"))?;
        let until = day("until", &asked.until)?;
        if until.is_some_and(|until| until < since) {
            return Err(Refused::one(
                "until",
                "lies before the first day of the name",
            ));
        }
        let what = Ask::Name {
            subject,
            name: name.to_owned(),
            since,
            until,
        };
        Self::with(what, asked.document_no, asked.reason)
    }

    /// A further identifier.
    pub fn alias(asked: v1::DeclareAliasRequest) -> Result<Self, Refused> {
        let what = Ask::Link {
            one: alias_from_proto("subject", asked.subject.as_ref())?,
            other: alias_from_proto("alias", asked.alias.as_ref())?,
            merged: false,
            force: asked.force,
        };
        Self::with(what, asked.document_no, asked.reason)
    }

    /// Two subjects that are one.
    pub fn merge(asked: v1::MergeSubjectsRequest) -> Result<Self, Refused> {
        let what = Ask::Link {
            one: alias_from_proto("one", asked.one.as_ref())?,
            other: alias_from_proto("other", asked.other.as_ref())?,
            merged: true,
            force: asked.force,
        };
        Self::with(what, asked.document_no, asked.reason)
    }

    /// A relation that begins or ends.
    pub fn relation(asked: v1::ChangeRelationRequest) -> Result<Self, Refused> {
        alias_from_proto("subject", asked.subject.as_ref())?;
        related_from_proto("related", asked.related.as_ref())?;
        day("since", &asked.since)?;
        let (document_no, reason) = (asked.document_no.clone(), asked.reason.clone());
        Self::with(Ask::Relation(asked), document_no, reason)
    }

    /// A code for an entry, confirmed or rejected.
    pub fn code(asked: v1::DecideCodeRequest) -> Result<Self, Refused> {
        if asked.entry_id.trim().is_empty() {
            return Err(Refused::one("entry_id", "required"));
        }
        let what = Ask::Code {
            identifier: alias_from_proto("identifier", asked.identifier.as_ref())?,
            entry_id: asked.entry_id,
            confirmed: asked.confirm,
        };
        Self::with(what, asked.document_no, asked.reason)
    }

    /// A change taken back.
    pub fn undo(asked: v1::UndoChangeRequest) -> Result<Self, Refused> {
        Self::with(Ask::Undo(asked.change), asked.document_no, asked.reason)
    }

    fn with(what: Ask, document_no: String, reason: String) -> Result<Self, Refused> {
        if reason.trim().is_empty() {
            return Err(Refused::one("reason", "required: say why"));
        }
        if reason == ABSENT_FROM_SOURCE {
            let rule = "`absent_from_source` is what a full import writes; give a reason";
            return Err(Refused::one("reason", rule));
        }
        for (field, text, most) in [
            ("reason", &reason, PROSE_CHARS_MAX),
            ("document_no", &document_no, TEXT_CHARS_MAX),
        ] {
            if text.chars().count() > most {
                return Err(Refused::one(field, format!("at most {most} characters")));
            }
        }
        Ok(Self {
            what,
            document_no,
            reason,
        })
    }

    /// The records of the change, against what is known when its turn comes.
    pub fn plan(self, view: &View<'_>) -> Result<(Vec<Planned>, Done), ChangeError> {
        match self.record(view)? {
            Some((what, entry_id)) => self.recorded(what, entry_id, view),
            None => Ok((Vec::new(), Done::default())),
        }
    }

    /// The record of the change itself, with the entry it names; none: it is known already.
    fn record(&self, view: &View<'_>) -> Result<Option<(What, Option<String>)>, ChangeError> {
        let identity = &view.desk.identity;
        let document_no = self.document_no.clone();
        let today = view.now.date();
        let come = |field: &'static str, since: Date| match since > today {
            true => Err(Refused::one(
                field,
                "lies in the future; record the change when it has come",
            )),
            false => Ok(()),
        };
        Ok(match &self.what {
            Ask::Name {
                subject,
                name,
                since,
                until,
            } => {
                come("since", *since)?;
                until.map_or(Ok(()), |until| come("until", until))?;
                born(subject, view)?;
                let group = identity.group([subject]);
                let known = identity.standing_about(&group).into_iter().any(|(_, change)| {
                    matches!(&change.what, Fact::Name { name: n, since: s, until: u, .. } if n == name && s == since && u == until)
                });
                (!known).then(|| {
                    let what = What::NameChanged(NameChanged {
                        subject: Some(alias_to_proto(subject)),
                        name: name.clone(),
                        since: since.to_string(),
                        document_no,
                        until: until.map_or_else(String::new, |until| until.to_string()),
                        known: names_of(&group, view),
                    });
                    (what, None)
                })
            }
            Ask::Link {
                one,
                other,
                merged,
                force,
            } => {
                born(one, view)?;
                born(other, view)?;
                linked(one, other, *force, view)?.map(|forced| {
                    let what = What::SubjectsLinked(SubjectsLinked {
                        one: Some(alias_to_proto(one)),
                        other: Some(alias_to_proto(other)),
                        merged: *merged,
                        forced,
                        document_no,
                    });
                    (what, None)
                })
            }
            Ask::Relation(asked) => {
                let since = day("since", &asked.since)?;
                since.map_or(Ok(()), |since| come("since", since))?;
                let subject = alias_from_proto("subject", asked.subject.as_ref())?;
                born(&subject, view)?;
                let related = related_from_proto("related", asked.related.as_ref())?;
                related.identifier.iter().try_for_each(|i| born(i, view))?;
                let what = What::RelationChanged(RelationChanged {
                    subject: Some(alias_to_proto(&subject)),
                    related: Some(related_to_proto(&related)),
                    ended: asked.ended,
                    since: asked.since.clone(),
                    document_no,
                });
                Some((what, None))
            }
            Ask::Code {
                entry_id,
                identifier,
                confirmed,
            } => {
                let decide = decidable(entry_id, identifier, *confirmed, view)?;
                decide.then(|| {
                    let what = What::CodeDecided(CodeDecided {
                        entry_id: entry_id.clone(),
                        identifier: Some(alias_to_proto(identifier)),
                        confirmed: *confirmed,
                        document_no,
                    });
                    (what, Some(entry_id.clone()))
                })
            }
            Ask::Undo(change) => {
                let known = identity
                    .change(*change)
                    .ok_or(ChangeError::Unknown("change of identity"))?;
                if let Some(undone) = &known.undone {
                    let why = format!("it was taken back already, by {}", undone.caller);
                    return Err(ChangeError::not_possible("change_undone", why));
                }
                let entry_id = match &known.what {
                    Fact::Code { entry_id, .. } => Some(entry_id.clone()),
                    _ => None,
                };
                let what = What::IdentityUndone(IdentityUndone {
                    change: *change,
                    document_no,
                });
                Some((what, entry_id))
            }
        })
    }

    /// The change with every entry that looks different by it.
    fn recorded(
        self,
        what: What,
        entry_id: Option<String>,
        view: &View<'_>,
    ) -> Result<(Vec<Planned>, Done), ChangeError> {
        let before = &view.desk.identity;
        let stamp = Stamp {
            seq: view.lists.version().seq + 1,
            at: view.now,
        };
        let first = view.noted(what, &self.reason);
        let mut after = before.clone();
        if let Planned::Noted(record) = &first {
            after.note(record, stamp);
        }
        let number = match &self.what {
            Ask::Undo(change) => *change,
            _ => stamp.seq,
        };
        let about: Vec<Identifier> = after
            .change(number)
            .into_iter()
            .flat_map(|change| change.what.identifiers())
            .cloned()
            .collect();
        let mut group = before.group(&about);
        group.extend(after.group(&about));
        if after.group(&about).len() > GROUP_MAX {
            let why = format!("a subject would have more than {GROUP_MAX} identifiers");
            return Err(ChangeError::not_possible("too_many_identifiers", why));
        }
        let mut planned = vec![first];
        let undoes = matches!(self.what, Ask::Undo(_));
        if let Some(entry_id) = entry_id.as_deref().filter(|_| undoes)
            && view.desk.sources.differed(entry_id, differ::HERE)
        {
            // A code that is taken back is overruled by nobody.
            let what = What::SourcesDiffer(differ::agreed(entry_id));
            planned.push(view.noted(what, &self.reason));
        }
        let mut entries = entries_of(&group, view.lists);
        if let Some(entry_id) = entry_id
            && let Some(entry) = view.lists.entry(&entry_id)
        {
            entries.insert(entry_id, entry);
        }
        if entries.len() > ENTRIES_MAX {
            let why = format!("it would change more than {ENTRIES_MAX} entries at once");
            return Err(ChangeError::not_possible("too_many_entries", why));
        }
        let mut entry_ids = Vec::new();
        for (id, entry) in entries {
            let shown = Stated::of(&entry);
            let stated = before.stated(&id).unwrap_or_else(|| shown.clone());
            let completed = complete(&id, &stated, entry.valid_from, &after);
            let kept = kept(&id, &stated, &completed, before);
            if completed != shown {
                let step = Step {
                    entry: looking(entry, completed),
                    action: action::IDENTITY,
                };
                planned.push(put_of(&step, view.caller, &self.reason, &self.document_no));
                entry_ids.push(id);
            }
            planned.extend(kept.map(|what| view.noted(what, "")));
        }
        let done = Done {
            change: number,
            entry_ids,
        };
        Ok((planned, done))
    }
}

/// The entry with another subject.
fn looking(entry: Entry, subject: Stated) -> Entry {
    Entry {
        identifier: subject.identifier,
        name: subject.name,
        former_names: subject.former_names,
        related: subject.related,
        aliases: subject.aliases,
        ..entry
    }
}

/// The entries of the subjects that any of these identifiers designates.
pub(crate) fn entries_of(group: &BTreeSet<Identifier>, lists: &Lists) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    for identifier in group {
        lists.find(identifier.key(), |body| {
            let is_of = |stored: &StoredEntry<'_>| {
                let own = stored.identifier.iter().chain(&stored.aliases);
                own.into_iter().any(|own| own.same_subject(identifier))
            };
            if let Ok(stored) = StoredEntry::read(body)
                && is_of(&stored)
                && let Ok(entry) = Entry::from_stored(body)
            {
                entries.insert(stored.entry_id.to_owned(), entry);
            }
        });
    }
    entries
}

/// The names under which a subject is known, its former ones too.
fn names_of(group: &BTreeSet<Identifier>, view: &View<'_>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for entry in entries_of(group, view.lists).into_values() {
        let of_entry = entry.name.iter().chain(&entry.former_names);
        names.extend(of_entry.map(|name| name.reveal().to_owned()));
    }
    names.into_iter().collect()
}

/// Whether two identifiers may be of one subject: none when they are known to be, else whether that
/// had to be forced.
fn linked(
    one: &Identifier,
    other: &Identifier,
    force: bool,
    view: &View<'_>,
) -> Result<Option<bool>, ChangeError> {
    let identity = &view.desk.identity;
    let (ours, theirs) = (all_of(one, identity, view), all_of(other, identity, view));
    if identity.group([one]).iter().any(|i| i.same_subject(other)) {
        return Ok(None);
    }
    let both = || ours.iter().chain(&theirs);
    let organisation =
        |i: &Identifier| matches!(i.id_type(), IdType::Uscc | IdType::Org9 | IdType::Reg15);
    if both().any(Identifier::is_natural_person) && both().any(organisation) {
        return Err(ChangeError::not_possible(
            "person_and_organisation",
            "a natural person and an organisation are never one subject; a relation says what the one is to the other",
        ));
    }
    let codes = |of: &BTreeSet<Identifier>| -> Vec<Identifier> {
        let is_code = |i: &&Identifier| matches!(i.id_type(), IdType::Uscc | IdType::Id18);
        of.iter().filter(is_code).cloned().collect()
    };
    let (ours, theirs) = (codes(&ours), codes(&theirs));
    let two = ours
        .iter()
        .any(|one| theirs.iter().any(|other| !one.same_subject(other)));
    if two && !force {
        return Err(ChangeError::not_possible(
            "two_valid_codes",
            "each has a valid code of its own, so they are two subjects by all that the codes say; if one was issued in error, say so in the reason and set `force`",
        ));
    }
    Ok(Some(two))
}

/// Every identifier that a subject has, by changes and by its entries.
fn all_of(one: &Identifier, identity: &Identity, view: &View<'_>) -> BTreeSet<Identifier> {
    let mut all = identity.group([one]);
    for entry in entries_of(&all, view.lists).into_values() {
        all.extend(entry.identifier.into_iter().chain(entry.aliases));
    }
    all
}

/// Whether a code is still to be decided for an entry as asked.
fn decidable(
    entry_id: &str,
    identifier: &Identifier,
    confirmed: bool,
    view: &View<'_>,
) -> Result<bool, ChangeError> {
    let identity = &view.desk.identity;
    let entry = view.entry(entry_id)?;
    let stated = identity
        .stated(entry_id)
        .unwrap_or_else(|| Stated::of(&entry));
    let decided: Vec<_> = identity.codes_of(entry_id).collect();
    if decided
        .iter()
        .any(|(_, code, was)| code.same_subject(identifier) && *was == confirmed)
    {
        return Ok(false);
    }
    if let Some((number, _, _)) = decided
        .iter()
        .find(|(_, code, was)| *was && (confirmed || code.same_subject(identifier)))
    {
        let why = format!("change {number} confirmed a code for this entry; take it back first");
        return Err(ChangeError::not_possible("code_confirmed", why));
    }
    if confirmed {
        if stated.identifiers().next().is_some() {
            let why = "its source states an identifier for this entry; declare an alias, or merge";
            return Err(ChangeError::not_possible("has_identifier", why));
        }
        if identifier.is_natural_person() || entry.kind == Some(SubjectKind::NaturalPerson) {
            let why = "a code is confirmed for organisations only; let the source state a person's";
            return Err(ChangeError::not_possible("natural_person", why));
        }
    }
    Ok(true)
}

fn born(identifier: &Identifier, view: &View<'_>) -> Result<(), Refused> {
    match identifier.born_after(view.now) {
        true => Err(Refused::one("subject", "the birth date lies in the future")),
        false => Ok(()),
    }
}

fn day(field: &'static str, text: &str) -> Result<Option<Date>, Refused> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    Date::parse(text)
        .ok()
        .filter(|date| (1_900..=9_999).contains(&date.year()))
        .map(Some)
        .ok_or_else(|| Refused::one(field, "expected a day such as 2026-03-01"))
}
