//! Which entries a person is shown: those of a subject, those of a list, page by page.

use std::collections::BTreeMap;

use creditgate_measures::entry::{Entry, StoredEntry};
use creditgate_measures::identifier::{IdType, Identifier, Key};
use creditgate_measures::lists::Lists;
use creditgate_measures::name::{NormalName, SimplifyTable};
use creditgate_proto::{Refused, v1};
use rustc_hash::FxHashSet;

/// A subject as somebody asks for it.
#[derive(Debug)]
pub struct Subject {
    identifier: Option<Identifier>,
    name: Option<NormalName>,
}

impl Subject {
    /// The subject that a query names.
    ///
    /// # Errors
    /// When the identifier is not valid, or nothing is left to look for.
    pub fn read(query: &v1::SubjectQuery, simplify: &SimplifyTable) -> Result<Self, Refused> {
        let identifier = if query.id.is_empty() {
            None
        } else {
            let id_type = IdType::parse(&query.id_type)
                .ok_or_else(|| Refused::one("subject.id_type", "unknown type of identifier"))?;
            let issuer = (!query.issuer.is_empty()).then_some(query.issuer.as_str());
            let identifier = Identifier::parse(id_type, &query.id, issuer).map_err(|why| {
                Refused::one("subject.id", format!("not a valid {id_type}: {why}"))
            })?;
            Some(identifier)
        };
        // Natural persons are never looked up by name (spec 2, rule 3).
        let person = identifier
            .as_ref()
            .is_some_and(Identifier::is_natural_person);
        let name = if person {
            None
        } else {
            NormalName::new(&query.name, simplify)
        };
        if identifier.is_none() && name.is_none() {
            return Err(Refused::one("subject", "required: an identifier or a name"));
        }
        Ok(Self { identifier, name })
    }

    /// The subject that an identifier designates.
    pub(crate) const fn by(identifier: Identifier) -> Self {
        Self {
            identifier: Some(identifier),
            name: None,
        }
    }

    /// The identifier it is asked by.
    pub(crate) const fn identifier(&self) -> Option<&Identifier> {
        self.identifier.as_ref()
    }

    /// The same subject, known by an identifier too.
    pub(crate) fn known_as(self, identifier: Identifier) -> Self {
        Self {
            identifier: Some(identifier),
            ..self
        }
    }

    /// The keys under which its entries are found.
    pub(crate) fn keys(&self) -> FxHashSet<Key> {
        let by_identifier = self.identifier.iter().map(Identifier::key);
        by_identifier
            .chain(self.name.iter().map(Key::name))
            .collect()
    }

    /// Every entry of the subject by id: under its identifier, under every other that the registry
    /// knows for it, as a relation of somebody listed, and by name.
    #[must_use]
    pub fn entries(&self, lists: &Lists, simplify: &SimplifyTable) -> BTreeMap<String, Entry> {
        let mut entries = BTreeMap::new();
        let mut known: Vec<Identifier> = self.identifier.iter().cloned().collect();
        let mut next = 0;
        while let Some(own) = known.get(next).cloned() {
            next += 1;
            lists.find(own.key(), |body| {
                let Ok(stored) = StoredEntry::read(body) else {
                    return;
                };
                let of_subject = || stored.identifier.iter().chain(&stored.aliases);
                if of_subject().any(|i| i.same_subject(&own)) {
                    for other in of_subject() {
                        if !known.contains(other) {
                            known.push(other.clone());
                        }
                    }
                    keep(&mut entries, &stored, body);
                } else if stored
                    .related
                    .iter()
                    .filter_map(|related| related.identifier.as_ref())
                    .any(|i| i.same_subject(&own))
                {
                    keep(&mut entries, &stored, body);
                }
            });
        }
        if let Some(name) = &self.name {
            lists.find(Key::name(name), |body| {
                if let Ok(stored) = StoredEntry::read(body)
                    && stored
                        .name
                        .iter()
                        .chain(&stored.former_names)
                        .any(|known| NormalName::new(known, simplify).as_ref() == Some(name))
                {
                    keep(&mut entries, &stored, body);
                }
            });
        }
        entries
    }
}

fn keep(entries: &mut BTreeMap<String, Entry>, stored: &StoredEntry<'_>, body: &[u8]) {
    if let Ok(entry) = Entry::from_stored(body) {
        entries.insert(stored.entry_id.to_owned(), entry);
    }
}

/// The first `count` wanted entries of a list by id, after the one given. Reads every entry: a fraction of
/// a second for a million.
#[must_use]
pub fn of_list(
    lists: &Lists,
    list: &str,
    after: &str,
    count: usize,
    wanted: impl Fn(&StoredEntry<'_>) -> bool,
) -> BTreeMap<String, Entry> {
    let mut page: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for body in lists.bodies() {
        let Ok(stored) = StoredEntry::read(body) else {
            continue;
        };
        if stored.list != list || stored.entry_id <= after {
            continue;
        }
        let full = page.len() >= count;
        let beyond = full
            && page
                .last_key_value()
                .is_some_and(|(last, _)| stored.entry_id > *last);
        if beyond || !wanted(&stored) {
            continue;
        }
        page.insert(stored.entry_id, body);
        if page.len() > count {
            page.pop_last();
        }
    }
    page.into_iter()
        .filter_map(|(id, body)| Some((id.to_owned(), Entry::from_stored(body).ok()?)))
        .collect()
}
