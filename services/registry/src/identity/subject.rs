//! All of a subject on one screen: who it is, what it is listed for, how that came to be known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use creditgate_measures::entry::Entry;
use creditgate_measures::identifier::Identifier;
use creditgate_measures::lists::Lists;
use creditgate_measures::name::SimplifyTable;
use creditgate_measures::time::{Date, Time};
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::subject::{alias_to_proto, related_to_proto};
use creditgate_proto::{Refused, entry_to_proto, status, v1};
use creditgate_runtime::access::Sees;
use prost::Message;
use rustc_hash::FxHashSet;
use sha2::{Digest, Sha256};
use tonic::Status;

use super::view_cache::{Kept, Key, ViewCache};
use super::{shown, wrong};
use crate::desk::identity::{Fact, IdentityChange};
use crate::desk::{Desk, Inspection, shown as desk_shown};
use crate::follow::log_unreadable;
use crate::history::record_of;
use crate::keeper::View;
use crate::lookup::Subject;
use crate::past_entries::{Viewpoint, entry_standing};
use crate::registry::Registry;
use crate::seen::Seen;
use crate::viewpoint;

/// Everything that is known of a subject from a viewpoint, as far as whoever asks sees it.
pub(crate) fn get(
    registry: &Registry,
    cache: &ViewCache,
    sees: &Sees,
    asked: &v1::GetSubjectRequest,
) -> Result<v1::GetSubjectResponse, Status> {
    let generation = registry.live().load_full();
    let from = viewpoint::read(registry, &generation, &asked.as_of, asked.at)?;
    let query = asked.subject.clone().unwrap_or_default();
    let simplify = generation.book.simplify();
    let mut subject = Subject::read(&query, simplify).map_err(|refused| told(&refused))?;
    let lists_then = |subject: &Subject| {
        let lists = registry
            .past()
            .lists_of(from.version.seq, &generation.book, subject.keys());
        lists.map_err(|error| log_unreadable(&error))
    };
    if subject.identifier().is_none() {
        // Whom a name meant is asked of the same version: what came later says nothing of it.
        let then = from.earlier.then(|| lists_then(&subject)).transpose()?;
        let lists = then.as_ref().unwrap_or(&generation.lists);
        if let Some(only) = only_bearer(&subject, lists, simplify) {
            subject = subject.known_as(only);
        }
    }
    let tag = |parts: &[&[u8]]| -> Key {
        let mut hash = Sha256::new();
        let book = from.book.version();
        let known = subject
            .identifier()
            .map_or_else(String::new, |i| i.reveal().to_owned());
        hash.update((known.len() as u64).to_le_bytes());
        hash.update(known);
        // An old version is searched as names are written today.
        let names = simplify.content_hash();
        for part in [query.encode_to_vec().as_slice(), &book.0, &names]
            .iter()
            .chain(parts)
        {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    };
    let (key, gathered) = if from.earlier {
        let key = tag(&[b"version", &from.version.seq.to_le_bytes()]);
        (key, None)
    } else {
        let desk = registry.desk();
        let gathered = Gathered::new(&subject, &generation.lists, &desk, &generation.book);
        let newest = registry
            .past()
            .newest_of(&gathered.ids(), from.version.seq)
            .map_err(|error| log_unreadable(&error))?;
        let revision = gathered.revision(&newest);
        (tag(&[b"revision", &revision]), Some(gathered))
    };
    if let Some(kept) = cache.get(&key)
        && let Some(answer) = kept.answer()
    {
        return Ok(seen_by(sees, answer, &kept, &from, registry.now()));
    }
    let gathered = match gathered {
        Some(gathered) => gathered,
        None => {
            let lists = lists_then(&subject)?;
            let desk = registry.past().desk_as_of(from.version.seq);
            let desk = desk.map_err(|error| log_unreadable(&error))?;
            Gathered::new(&subject, &lists, &desk, &generation.book)
        }
    };
    let kept = Arc::new(gathered.put_together(registry, &from)?);
    let answer = kept
        .answer()
        .ok_or_else(|| Status::internal("the answer was not kept"))?;
    let answer = seen_by(sees, answer, &kept, &from, registry.now());
    cache.keep(key, kept);
    Ok(answer)
}

/// The answer from a viewpoint, as the caller sees it. The cache keeps the whole.
fn seen_by(
    sees: &Sees,
    answer: v1::GetSubjectResponse,
    kept: &Kept,
    from: &Viewpoint,
    now: Time,
) -> v1::GetSubjectResponse {
    let mut answer = seen_from(answer, kept, from, now);
    Seen::new(sees, &from.book, now).subject(&mut answer, kept.bodies());
    answer
}

/// The subject that is meant by a name which one subject alone bears in these lists.
fn only_bearer(subject: &Subject, lists: &Lists, simplify: &SimplifyTable) -> Option<Identifier> {
    let entries = subject.entries(lists, simplify);
    let mut bearers = entries.values().filter_map(|entry| own(entry).next());
    let first = bearers.next()?.clone();
    let known: BTreeSet<&Identifier> = entries
        .values()
        .filter(|entry| own(entry).any(|own| own.same_subject(&first)))
        .flat_map(own)
        .collect();
    bearers
        .all(|bearer| known.iter().any(|known| known.same_subject(bearer)))
        .then_some(first)
}

/// The answer with all that depends on the moment asked about, or on today.
fn seen_from(
    mut answer: v1::GetSubjectResponse,
    kept: &Kept,
    from: &Viewpoint,
    now: Time,
) -> v1::GetSubjectResponse {
    answer.list_version = from.version.to_string();
    answer.known_at = Some(time_to_proto(from.known_at));
    answer.at = Some(time_to_proto(from.at));
    answer.book_version = from.book.version().to_string();
    for (entry, body) in answer.entries.iter_mut().zip(kept.bodies()) {
        let standing = Entry::from_stored(body).map(|entry| entry_standing(&entry, from));
        entry.standing = standing.ok();
    }
    for hit in &mut answer.wrong_hits {
        let open = hit.state != "closed";
        let discovered = hit.discovered_at.as_ref().and_then(time_from_proto);
        hit.open_days = discovered
            .filter(|_| open)
            .map_or(0, |at| wrong::days_between(at, now));
    }
    answer
}

/// What memory holds of a subject.
struct Gathered {
    entries: BTreeMap<String, Entry>,
    /// Every identifier of the subject.
    identifiers: BTreeSet<Identifier>,
    asked: Option<Identifier>,
    changes: Vec<(u64, IdentityChange)>,
    wrong_hits: Vec<v1::WrongHit>,
    differences: BTreeMap<String, Vec<v1::Difference>>,
    /// Names that entries bear by their sources, where a recorded change gave another one.
    replaced_names: BTreeSet<String>,
    /// What inspections found.
    inspections: Vec<v1::SubjectMoment>,
}

impl Gathered {
    fn new(
        subject: &Subject,
        lists: &Lists,
        desk: &Desk,
        book: &creditgate_measures::book::Book,
    ) -> Self {
        let entries = subject.entries(lists, book.simplify());
        let identifiers = identifiers_of(subject, &entries, desk);
        let ids = || entries.keys().map(String::as_str);
        let changes = desk
            .identity
            .changes_about(&identifiers, ids())
            .into_iter()
            .map(|(number, change)| (number, change.clone()))
            .collect();
        let is_hit = |who: &crate::desk::wrong_hits::WhoHit| {
            identifiers
                .iter()
                .any(|i| i.reveal() == who.id && i.id_type().code() == who.id_type)
        };
        let wrong_hits = desk
            .wrong_hits
            .all()
            .filter(|(_, hit)| entries.contains_key(&hit.entry_id) || is_hit(&hit.who))
            // How long it is open is told when it is shown.
            .map(|(number, hit)| wrong::shown(number, hit, hit.discovered_at))
            .collect();
        let differences = ids()
            .map(|id| {
                let of_entry = desk.sources.differences_of(id);
                let shown = of_entry.map(|(source, d)| desk_shown::difference(id, source, d));
                (id.to_owned(), shown.collect::<Vec<_>>())
            })
            .filter(|(_, differences)| !differences.is_empty())
            .collect();
        let replaced_names = entries
            .iter()
            .filter_map(|(id, entry)| {
                let stated = desk.identity.stated(id)?.name?;
                (entry.name.as_ref() != Some(&stated)).then(|| stated.reveal().to_owned())
            })
            .collect();
        let inspections = identifiers
            .iter()
            .flat_map(|i| desk.cases.inspections_of(i.id_type().code(), i.reveal()))
            .map(inspected)
            .collect();
        Self {
            inspections,
            asked: subject.identifier().cloned(),
            entries,
            identifiers,
            changes,
            wrong_hits,
            differences,
            replaced_names,
        }
    }

    fn ids(&self) -> FxHashSet<String> {
        self.entries.keys().cloned().collect()
    }

    /// A hash over all of it, and over how far the records of each entry have come: another one as
    /// soon as anything of the subject has changed, and also where an entry looks as it did before
    /// while its history has grown.
    fn revision(&self, newest: &BTreeMap<String, u64>) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for entry in self.entries.values() {
            part(&entry.to_stored());
        }
        part(b"newest records");
        for (entry_id, seq) in newest {
            part(entry_id.as_bytes());
            part(&seq.to_le_bytes());
        }
        part(b"replaced names");
        for name in &self.replaced_names {
            part(name.as_bytes());
        }
        part(b"changes");
        for (number, change) in &self.changes {
            part(&shown::change(*number, change).encode_to_vec());
        }
        part(b"wrong hits");
        for hit in &self.wrong_hits {
            part(&hit.encode_to_vec());
        }
        part(b"inspections");
        for moment in &self.inspections {
            part(&moment.encode_to_vec());
        }
        part(b"differences");
        for difference in self.differences.values().flatten() {
            part(&difference.encode_to_vec());
        }
        hash.finalize().into()
    }

    /// The answer, with what the change log tells.
    fn put_together(self, registry: &Registry, from: &Viewpoint) -> Result<Kept, Status> {
        let mut histories = registry
            .past()
            .changes_of(&self.ids(), from.version.seq)
            .map_err(|error| log_unreadable(&error))?;
        let changes: Vec<v1::IdentityChange> = self
            .changes
            .iter()
            .map(|(number, change)| shown::change(*number, change))
            .collect();
        let mut timeline = timeline(&histories, &changes, &self.wrong_hits);
        timeline.extend(self.inspections.iter().cloned());
        timeline.sort_by_key(|moment| moment.seq);
        let mut answer = v1::GetSubjectResponse {
            identifiers: self.known_identifiers(),
            names: self.names(),
            relations: self.relations(),
            changes,
            timeline,
            ..Default::default()
        };
        let mut bodies = Vec::new();
        for (id, entry) in &self.entries {
            let list = from.book.list(entry.list.as_str());
            answer.entries.push(v1::SubjectEntry {
                record: Some(record_of(entry, histories.remove(id).unwrap_or_default())),
                standing: None,
                colour: list.map_or("", |list| list.colour.code()).to_owned(),
                list_title: list.map_or_else(String::new, |list| list.name.zh.to_string()),
                differences: self.differences.get(id).cloned().unwrap_or_default(),
                found_by: self.found_by(entry).to_owned(),
            });
            bodies.push(entry.to_stored());
        }
        answer.wrong_hits = self.wrong_hits;
        Ok(Kept::new(&answer, bodies))
    }

    fn is_of_subject(&self, identifier: &Identifier) -> bool {
        self.identifiers
            .iter()
            .any(|own| own.same_subject(identifier))
    }

    fn found_by(&self, entry: &Entry) -> &'static str {
        let mut related = entry.related.iter().filter_map(|r| r.identifier.as_ref());
        if own(entry).any(|own| self.is_of_subject(own)) {
            "identifier"
        } else if related.any(|related| self.is_of_subject(related)) {
            "related"
        } else {
            "name"
        }
    }

    /// The entries that list the subject itself.
    fn listing(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries
            .iter()
            .filter(|(_, entry)| self.found_by(entry) != "related")
    }

    fn known_identifiers(&self) -> Vec<v1::KnownIdentifier> {
        let by_change = |identifier: &Identifier| {
            self.changes
                .iter()
                .find_map(|(_, change)| match &change.what {
                    Fact::Link {
                        one, other, merged, ..
                    } if change.undone.is_none() => (other.same_subject(identifier)
                        || one.same_subject(identifier))
                    .then_some(if *merged { "merged" } else { "declared" }),
                    _ => None,
                })
        };
        let stated = |identifier: &Identifier| {
            let own = |entry: &Entry| entry.identifier.as_ref() == Some(identifier);
            match self.entries.values().any(own) {
                true => "own",
                false => "alias",
            }
        };
        let mut known: Vec<v1::KnownIdentifier> = Vec::new();
        let asked = self.asked.iter().map(|asked| (asked, "asked"));
        let others = self.identifiers.iter().map(|identifier| {
            let how = by_change(identifier).unwrap_or_else(|| stated(identifier));
            (identifier, how)
        });
        // Asked by name alone: who bears it may be several, so none of them is the subject.
        let bearers = self
            .entries
            .values()
            .flat_map(own)
            .map(|i| (i, "same_name"));
        let bearers = bearers.filter(|_| self.asked.is_none());
        for (identifier, how) in asked.chain(others).chain(bearers) {
            let identifier = Some(alias_to_proto(identifier));
            if !known.iter().any(|known| known.identifier == identifier) {
                known.push(v1::KnownIdentifier {
                    identifier,
                    how: how.to_owned(),
                });
            }
        }
        known
    }

    fn names(&self) -> Vec<v1::KnownName> {
        let mut recorded: Vec<(Date, &str, Option<Date>)> = self
            .changes
            .iter()
            .filter(|(_, change)| change.undone.is_none())
            .filter_map(|(_, change)| match &change.what {
                Fact::Name {
                    name, since, until, ..
                } => Some((*since, name.as_str(), *until)),
                _ => None,
            })
            .collect();
        recorded.sort_unstable();
        let mut names: BTreeMap<&str, v1::KnownName> = BTreeMap::new();
        for (id, entry) in self.listing() {
            let current = entry.name.iter().map(|name| (name, true));
            let former = entry.former_names.iter().map(|name| (name, false));
            for (name, current) in current.chain(former) {
                let known = names.entry(name.reveal()).or_default();
                known.current |= current;
                known.entry_ids.push(id.clone());
            }
        }
        let named = names.values().any(|known| known.current);
        for (at, (since, name, until)) in recorded.iter().enumerate() {
            let next = recorded.get(at + 1).map(|(next, ..)| next.prev_day());
            let until = until.or(next);
            let known = names.entry(name).or_default();
            known.current |= until.is_none() && !named;
            known.since = since.to_string();
            known.until = until.map_or_else(String::new, |day| day.to_string());
        }
        let mut lasting = recorded.iter().filter(|(.., until)| until.is_none());
        if let Some((first, ..)) = lasting.next() {
            for name in &self.replaced_names {
                if let Some(known) = names.get_mut(name.as_str())
                    && known.since.is_empty()
                {
                    known.until = first.prev_day().to_string();
                }
            }
        }
        let named = names.into_iter().map(|(name, known)| v1::KnownName {
            name: name.to_owned(),
            ..known
        });
        let mut names: Vec<v1::KnownName> = named.collect();
        names.sort_by(|one, other| {
            (other.current, &other.since, &one.name).cmp(&(one.current, &one.since, &other.name))
        });
        names
    }

    fn relations(&self) -> Vec<v1::KnownRelation> {
        let mut known: Vec<v1::KnownRelation> = Vec::new();
        let mut add = |other: v1::RelatedSubject, inverse: bool, id: &String| {
            let same = |known: &&mut v1::KnownRelation| {
                known.inverse == inverse && known.other.as_ref() == Some(&other)
            };
            match known.iter_mut().find(same) {
                Some(known) => known.entry_ids.push(id.clone()),
                None => known.push(v1::KnownRelation {
                    other: Some(other),
                    inverse,
                    entry_ids: vec![id.clone()],
                }),
            }
        };
        for (id, entry) in &self.entries {
            if self.found_by(entry) != "related" {
                for related in &entry.related {
                    add(related_to_proto(related), false, id);
                }
                continue;
            }
            let listed = entry_to_proto(entry);
            for related in &entry.related {
                if related
                    .identifier
                    .as_ref()
                    .is_some_and(|i| self.is_of_subject(i))
                {
                    let other = v1::RelatedSubject {
                        role: related.role.code().to_owned(),
                        id_type: listed.id_type.clone(),
                        id: listed.id.clone(),
                        issuer: listed.issuer.clone(),
                        name: listed.name.clone(),
                    };
                    add(other, true, id);
                }
            }
        }
        known
    }
}

/// Everything that was recorded, in the order in which it became known.
fn timeline(
    histories: &BTreeMap<String, Vec<v1::EntryChange>>,
    changes: &[v1::IdentityChange],
    wrong_hits: &[v1::WrongHit],
) -> Vec<v1::SubjectMoment> {
    let mut moments: Vec<v1::SubjectMoment> = Vec::new();
    for (entry_id, history) in histories {
        moments.extend(history.iter().map(|change| v1::SubjectMoment {
            seq: change.seq,
            recorded_at: change.recorded_at,
            effective_at: change.effective_at,
            entry_id: entry_id.clone(),
            action: change.action.clone(),
            to: change.to.clone().unwrap_or_default(),
            fields: change.fields.clone(),
            document_no: change.document_no.clone(),
            reason: change.reason.clone(),
            caller: change.caller.clone(),
        }));
    }
    for change in changes {
        let since = Time::parse(&change.since).ok();
        moments.push(v1::SubjectMoment {
            seq: change.change,
            recorded_at: change.recorded_at,
            effective_at: since.map(time_to_proto),
            entry_id: change.entry_id.clone(),
            action: change.kind.clone(),
            document_no: change.document_no.clone(),
            reason: change.reason.clone(),
            caller: change.caller.clone(),
            ..Default::default()
        });
        if change.undone_by > 0 {
            moments.push(v1::SubjectMoment {
                seq: change.undone_by,
                recorded_at: change.undone_at,
                entry_id: change.entry_id.clone(),
                action: format!("undone:{}", change.kind),
                reason: change.undone_reason.clone(),
                caller: change.undone_caller.clone(),
                ..Default::default()
            });
        }
    }
    for hit in wrong_hits {
        moments.push(v1::SubjectMoment {
            seq: hit.wrong_hit,
            recorded_at: hit.opened_at,
            effective_at: hit.discovered_at,
            entry_id: hit.entry_id.clone(),
            action: "wrong_hit".to_owned(),
            reason: hit.reason.clone(),
            caller: hit.caller.clone(),
            ..Default::default()
        });
    }
    moments.sort_by_key(|moment| moment.seq);
    moments
}

/// What an inspection found, as a moment of its subject: recorded, and of no effect.
fn inspected(inspection: &Inspection) -> v1::SubjectMoment {
    let found = match inspection.finding.0.is_empty() {
        true => String::new(),
        false => format!("：{}", inspection.finding.0),
    };
    v1::SubjectMoment {
        seq: inspection.recorded.seq,
        recorded_at: Some(time_to_proto(inspection.recorded.at)),
        effective_at: Some(time_to_proto(inspection.at)),
        entry_id: inspection.proposed_entry_id.clone(),
        action: format!("inspection:{}", inspection.result),
        document_no: inspection.document_no.clone(),
        reason: format!("{}{found}", inspection.item),
        caller: inspection.authority.clone(),
        ..Default::default()
    }
}

fn own(entry: &Entry) -> impl Iterator<Item = &Identifier> {
    entry.identifier.iter().chain(&entry.aliases)
}

/// Every identifier of a subject that has these entries: declared, or stated together with one that is known.
fn identifiers_of(
    subject: &Subject,
    entries: &BTreeMap<String, Entry>,
    desk: &Desk,
) -> BTreeSet<Identifier> {
    let mut identifiers = desk.identity.group(subject.identifier());
    loop {
        let before = identifiers.len();
        for entry in entries.values() {
            if own(entry).any(|own| identifiers.iter().any(|i| i.same_subject(own))) {
                identifiers.extend(own(entry).cloned());
            }
        }
        if identifiers.len() == before {
            return identifiers;
        }
    }
}

/// Whether an entry lists this subject itself, under whichever of its identifiers: then it is one of those to which its
/// report tells the ways to object. Whoever is only related to somebody listed has none.
pub(crate) fn lists_itself(entry: &Entry, of: &Identifier, view: &View<'_>) -> bool {
    let subject = Subject::by(of.clone());
    let entries = subject.entries(view.lists, view.book.simplify());
    let identifiers = identifiers_of(&subject, &entries, view.desk);
    own(entry).any(|own| identifiers.iter().any(|i| i.same_subject(own)))
}

fn told(refused: &Refused) -> Status {
    status::refused_status(refused)
}
