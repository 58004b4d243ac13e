//! What an entry looks like, made of what its source states and of what is known of its subject.
//!
//! INVARIANT (nothing of its own): the result depends on the statement and on the changes that stand,
//! on nothing else, the book included. So the same row always gives the same entry, and a change that
//! is taken back leaves nothing behind.

use creditgate_measures::entry::{Entry, Related};
use creditgate_measures::event::Sensitive;
use creditgate_measures::time::{Date, Time};
use creditgate_proto::EntryDraft;
use creditgate_proto::journal::v1::{StatementKept, desk_record::What};

use crate::desk::identity::{Fact, Identity, Stated};

/// Who makes a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Statement<'a> {
    /// A source: what it says is what it states.
    OfSource,
    /// A person, who has seen the entry: a field that is as shown was not stated anew.
    OfPerson(Option<&'a Entry>),
}

/// Completes a statement by what is known of its subject. `of` is when the decision was made that the
/// entry rests on. Gives the record by which the statement itself is kept, where what is kept changes.
pub(crate) fn statement(
    draft: &mut EntryDraft,
    of: Time,
    by: Statement<'_>,
    identity: &Identity,
) -> Option<What> {
    if identity.is_empty() {
        return None;
    }
    let entry_id = draft.entry_id.as_str().to_owned();
    let mut stated = Stated {
        identifier: draft.identifier.clone(),
        name: draft.name.clone(),
        former_names: draft.former_names.clone(),
        related: draft.related.clone(),
        aliases: draft.aliases.clone(),
    };
    if let Statement::OfPerson(Some(shown)) = by
        && let Some(kept) = identity.stated(&entry_id)
    {
        as_shown(&mut stated, &Stated::of(shown), kept);
    }
    let completed = complete(&entry_id, &stated, of, identity);
    let kept = kept(&entry_id, &stated, &completed, identity);
    draft.identifier = completed.identifier;
    draft.name = completed.name;
    draft.former_names = completed.former_names;
    draft.related = completed.related;
    draft.aliases = completed.aliases;
    kept
}

/// A field that is as shown says what it said before.
fn as_shown(stated: &mut Stated, shown: &Stated, kept: Stated) {
    if stated.identifier == shown.identifier {
        stated.identifier = kept.identifier;
    }
    if stated.name == shown.name && stated.former_names == shown.former_names {
        stated.name = kept.name;
        stated.former_names = kept.former_names;
    }
    if stated.related == shown.related {
        stated.related = kept.related;
    }
    if stated.aliases == shown.aliases {
        stated.aliases = kept.aliases;
    }
}

/// The record by which a statement is kept; none where what is kept stays.
pub(crate) fn kept(
    entry_id: &str,
    stated: &Stated,
    completed: &Stated,
    identity: &Identity,
) -> Option<What> {
    let wanted = (stated != completed).then_some(stated);
    (identity.stated(entry_id).as_ref() != wanted).then(|| {
        What::StatementKept(StatementKept {
            entry_id: entry_id.to_owned(),
            stored: wanted.map_or_else(Vec::new, |stated| stated.to_stored(entry_id)),
        })
    })
}

/// See the module.
pub(crate) fn complete(entry_id: &str, stated: &Stated, of: Time, identity: &Identity) -> Stated {
    let mut known = stated.clone();
    if known.identifiers().next().is_none() {
        // A code that a source states goes before one that was found out.
        known.identifier = identity
            .codes_of(entry_id)
            .filter(|(_, _, confirmed)| *confirmed)
            .last()
            .map(|(_, identifier, _)| identifier.clone());
    }
    if known.identifiers().next().is_none() {
        return known;
    }
    let group = identity.group(known.identifiers());
    for identifier in &group {
        if !known.identifiers().any(|own| own.same_subject(identifier)) {
            known.aliases.push(identifier.clone());
        }
    }
    let facts: Vec<(u64, &Fact)> = identity
        .standing_about(&group)
        .into_iter()
        .map(|(number, change)| (number, &change.what))
        .collect();
    name_it(&mut known, of.date(), &facts);
    for (_, fact) in facts {
        relate(&mut known.related, fact);
    }
    known
}

/// The recorded name with the latest first day is the current one, unless the source states a name
/// that was unknown until then, for a decision of that day or later; all others are former ones.
fn name_it(known: &mut Stated, of: Date, facts: &[(u64, &Fact)]) {
    let mut recorded: Vec<&str> = Vec::new();
    let mut before: Vec<&str> = Vec::new();
    let mut latest: Option<(Date, u64, &str)> = None;
    for (number, fact) in facts {
        let Fact::Name {
            name,
            since,
            until,
            known,
            ..
        } = fact
        else {
            continue;
        };
        recorded.push(name);
        before.extend(known.iter().map(String::as_str));
        if until.is_none() {
            latest = latest.max(Some((*since, *number, name)));
        }
    }
    // An entry that names nobody is found by identifier, and stays as it is.
    let Some(stated) = known.name.clone() else {
        return;
    };
    let is_newer = |since: Date| {
        let name = stated.reveal();
        since <= of && !before.contains(&name) && !recorded.contains(&name)
    };
    let current = match latest {
        Some((since, _, name)) if !is_newer(since) => Sensitive::new(name),
        _ => stated.clone(),
    };
    let mut former = std::mem::take(&mut known.former_names);
    former.push(stated);
    former.extend(recorded.into_iter().map(Sensitive::new));
    for name in former {
        if name != current && !known.former_names.contains(&name) {
            known.former_names.push(name);
        }
    }
    known.name = Some(current);
}

fn relate(related: &mut Vec<Related>, fact: &Fact) {
    let Fact::Relation {
        role,
        identifier,
        name,
        ended,
        ..
    } = fact
    else {
        return;
    };
    let meant = Related {
        role: *role,
        identifier: identifier.clone(),
        name: name.as_deref().map(Sensitive::new),
    };
    if *ended {
        related.retain(|known| !is_same_relation(known, &meant));
    } else if !related.iter().any(|known| is_same_relation(known, &meant)) {
        related.push(meant);
    }
}

/// Whether both say the same of the same person: by identifier, and by name where one has none.
fn is_same_relation(one: &Related, other: &Related) -> bool {
    one.role == other.role
        && match (&one.identifier, &other.identifier) {
            (Some(one), Some(other)) => one.same_subject(other),
            _ => one.name.is_some() && one.name == other.name,
        }
}
