//! Who a subject is, and on which entries it stands (spec 2, 3).

use std::cell::OnceCell;

use smallvec::SmallVec;

use super::setting::Setting;
use crate::book::List;
use crate::condition::Record;
use crate::entry::StoredEntry;
use crate::event::Subject;
use crate::identifier::{IdType, Identifier, Key};
use crate::lists::{self, Circumstances, Standing, Use};
use crate::name::NormalName;
use crate::verdict::{EntryHit, Flag, Path};
use crate::vocabulary::{Colour, Identity, NotUsable, Role, SubjectKind};

/// Identifiers that one subject may have in the registry; a longer chain is cut.
const IDENTIFIERS_MAX: usize = 32;

/// Identifiers of one subject.
type Linked = SmallVec<[Identifier; 2]>;

/// What is known of a subject.
pub(super) struct Known<'a> {
    pub given: &'a Subject,
    pub identifier: Option<&'a Identifier>,
    /// Its identifier and every other that the registry links to it.
    linked: Linked,
    pub identity: Identity,
    pub kind: Option<SubjectKind>,
    kind_conflict: bool,
    /// Natural person, individual business, or `OTHER` of unknown kind.
    pub protected: bool,
    pub name_differs: bool,
    /// Usable entries, by id then path.
    pub hits: Vec<Hit<'a>>,
    /// Entries found and not used, by id then path.
    pub not_used: Vec<NotUsed<'a>>,
    changed_since_event: bool,
    pub record: OnceCell<Record<'a>>,
}

/// A usable entry on which the subject stands.
pub(super) struct Hit<'a> {
    pub entry: StoredEntry<'a>,
    pub list: &'a List,
    pub path: Path,
    pub standing: Standing<'a>,
    pub record: OnceCell<Record<'a>>,
    /// It as a verdict names it.
    pub named: OnceCell<EntryHit>,
}

impl Hit<'_> {
    /// Where it stands among the hits of its subject.
    pub fn place(&self) -> (&str, Path) {
        (self.entry.entry_id, self.path)
    }
}

/// An entry found and not used.
pub(super) struct NotUsed<'a> {
    pub entry_id: &'a str,
    pub list: &'a List,
    pub path: Path,
    pub reason: NotUsable,
}

impl<'a> Known<'a> {
    pub fn of(given: &'a Subject, setting: &Setting<'a>) -> Self {
        let identifier = given.valid_identifier(setting.at);
        let mut found = Found::default();
        let linked = identifier.map_or_else(Linked::new, |own| found.by_identifier(own, setting));
        let proves = |i: &Identifier| matches!(i.id_type(), IdType::Uscc | IdType::Id18);
        let identity = match identifier {
            None => Identity::Unverified,
            Some(_) if linked.iter().any(proves) => Identity::Verified,
            Some(_) => Identity::Unlinked,
        };
        let mut known = Self {
            given,
            identifier,
            linked,
            identity,
            kind: None,
            kind_conflict: false,
            protected: false,
            name_differs: false,
            hits: Vec::new(),
            not_used: Vec::new(),
            changed_since_event: false,
            record: OnceCell::new(),
        };
        known.judge_entries(found, setting);
        known.settle_kind();
        let name = given
            .name
            .as_ref()
            .and_then(|name| NormalName::new(name.reveal(), setting.book.simplify()));
        if let Some(name) = &name {
            // Only now: whether a name may be asked for depends on the kind, and that on entries.
            if known.may_be_organisation() {
                let mut found = Found::default();
                found.by_name(name, &known, setting);
                known.judge_entries(found, setting);
            }
            known.name_differs = known.differs(name, setting);
        }
        known
    }

    /// Keeps the usable entries as hits, the others with their reason, both in order.
    fn judge_entries(&mut self, found: Found<'a>, setting: &Setting<'a>) {
        if found.entries.is_empty() {
            return;
        }
        let born = self.linked.iter().filter_map(Identifier::birth_date).max();
        for (entry, path) in found.entries {
            let Some(list) = setting.book.list(entry.list) else {
                continue;
            };
            let circumstances = Circumstances {
                region: setting.event.region,
                occurred_at: setting.event.occurred_at,
                at: setting.at,
                born,
                book: setting.book,
            };
            let reason = match lists::standing(&entry, list, &circumstances) {
                Use::Usable(standing) => {
                    self.hits.push(Hit {
                        entry,
                        list,
                        path,
                        standing,
                        record: OnceCell::new(),
                        named: OnceCell::new(),
                    });
                    continue;
                }
                Use::Ended(reason) => {
                    self.changed_since_event |= names_penalty(setting, list);
                    reason
                }
                Use::NotUsable(reason) => reason,
            };
            self.not_used.push(NotUsed {
                entry_id: entry.entry_id,
                list,
                path,
                reason,
            });
        }
        self.hits
            .sort_by(|a, b| (a.entry.entry_id, a.path).cmp(&(b.entry.entry_id, b.path)));
        self.not_used
            .sort_by(|a, b| (a.entry_id, a.path).cmp(&(b.entry_id, b.path)));
    }

    /// Whether the event's name is none of those known for the subject (spec 2, rule 4).
    fn differs(&self, name: &NormalName, setting: &Setting<'_>) -> bool {
        let mut any_known = false;
        let known = self.hits.iter().any(|hit| {
            self.names_on(hit).any(|known| {
                NormalName::new(known, setting.book.simplify()).is_some_and(|known| {
                    any_known = true;
                    known == *name
                })
            })
        });
        any_known && !known
    }

    /// Whether that doubt touches this hit: an entry that names nobody has no second name to
    /// differ from, and another entry's name must not weaken what this one carries.
    pub fn name_differs_on(&self, hit: &Hit<'a>) -> bool {
        self.name_differs && self.names_on(hit).next().is_some()
    }

    /// The names that the entry of a hit by identifier gives the subject.
    fn names_on<'h>(&'h self, hit: &'h Hit<'a>) -> impl Iterator<Item = &'a str> + 'h {
        let (own, related) = match hit.path {
            Path::Identifier => (true, false),
            Path::Related(_) => (false, true),
            Path::Name => (false, false),
        };
        let entry = &hit.entry;
        let own_names = entry.name.iter().chain(&entry.former_names).copied();
        let related_names = entry
            .related
            .iter()
            .filter(|related| self.is_called(related.identifier.as_ref()))
            .filter_map(|related| related.name);
        own_names
            .filter(move |_| own)
            .chain(related_names.filter(move |_| related))
    }

    fn is_called(&self, other: Option<&Identifier>) -> bool {
        self.linked
            .iter()
            .any(|own| is_one_of(Some(own), other.into_iter()))
    }

    fn is_found_by_identifier(&self, entry_id: &str) -> bool {
        let hits = self.hits.iter().map(|hit| (hit.entry.entry_id, hit.path));
        let not_used = self.not_used.iter().map(|hit| (hit.entry_id, hit.path));
        hits.chain(not_used)
            .any(|found| found == (entry_id, Path::Identifier))
    }

    /// Kind and protection (spec 2, rule 5), by every identifier that is the subject's.
    fn settle_kind(&mut self) {
        let own = |hit: &&Hit<'_>| hit.path == Path::Identifier;
        let individual = self
            .linked
            .iter()
            .any(Identifier::is_individual_business_code)
            || self
                .hits
                .iter()
                .filter(own)
                .any(|hit| hit.entry.kind == Some(SubjectKind::IndividualBusiness));
        let certain = if self.linked.iter().any(Identifier::is_natural_person) {
            Some(SubjectKind::NaturalPerson)
        } else {
            individual.then_some(SubjectKind::IndividualBusiness)
        };
        self.kind_conflict =
            certain.is_some() && self.given.kind.is_some() && self.given.kind != certain;
        self.kind = certain
            .or(self.given.kind)
            .or_else(|| self.hits.iter().filter(own).find_map(|hit| hit.entry.kind));
        let other = self
            .identifier
            .is_some_and(|i| i.id_type() == IdType::Other);
        self.protected = match self.kind {
            Some(kind) => {
                matches!(
                    kind,
                    SubjectKind::NaturalPerson | SubjectKind::IndividualBusiness
                )
            }
            None => other,
        };
    }

    /// Whether the subject may be an organisation, and so be looked up by name.
    ///
    /// Roles that only a person can hold count as a person when nothing else is said.
    fn may_be_organisation(&self) -> bool {
        // An identity number that is not valid is still somebody's.
        let broken = self.identifier.is_none();
        let meant_as_person = broken
            && self
                .given
                .given
                .as_ref()
                .is_some_and(|given| matches!(given.id_type, IdType::Id18 | IdType::Id15));
        match self.kind {
            Some(kind) => kind != SubjectKind::NaturalPerson,
            None => {
                !meant_as_person
                    && !matches!(
                        self.given.role,
                        Role::LegalRepresentative | Role::Principal | Role::ResponsiblePerson
                    )
            }
        }
    }

    /// Whether the subject itself, whatever measure applies, is for review.
    pub fn needs_review(&self, setting: &Setting<'_>) -> bool {
        self.identity == Identity::Unverified
            || self.is_unlinked_at_decisive_stage(setting)
            || self.changed_since_event
    }

    fn is_unlinked_at_decisive_stage(&self, setting: &Setting<'_>) -> bool {
        self.identity == Identity::Unlinked
            && self.kind != Some(SubjectKind::NaturalPerson)
            && setting.stage.is_some_and(|stage| stage.decisive)
    }

    /// What must be known about the subject.
    pub fn flags(&self, setting: &Setting<'_>) -> Vec<Flag> {
        let inner = self.identifier.is_some_and(|i| !i.inner_org_code_holds());
        let by_name = self.hits.iter().any(|hit| hit.path.by_name());
        [
            (inner, Flag::InnerOrgCode),
            (
                self.is_unlinked_at_decisive_stage(setting),
                Flag::SubjectUnlinked,
            ),
            (
                self.identity == Identity::Unverified,
                Flag::SubjectUnverified,
            ),
            (self.name_differs, Flag::NameDiffers),
            (self.kind_conflict, Flag::KindConflict),
            (by_name, Flag::NameOnly),
            (
                self.changed_since_event && setting.may_review,
                Flag::ChangedSinceEvent,
            ),
        ]
        .into_iter()
        .filter_map(|(holds, flag)| holds.then_some(flag))
        .collect()
    }

    /// Bits of the colours on which the subject stands by its own identifier.
    pub fn result_code(&self) -> u8 {
        self.hits
            .iter()
            .filter(|hit| hit.path == Path::Identifier)
            .fold(0, |code, hit| code | hit.list.colour.result_bit())
    }
}

/// Whether a penalty row of this decisive stage names the list.
fn names_penalty(setting: &Setting<'_>, list: &List) -> bool {
    list.colour != Colour::Red
        && setting
            .stage
            .filter(|stage| stage.decisive)
            .is_some_and(|stage| !stage.rows.penalties.naming(&list.code).is_empty())
}

/// Entries found for a subject, each once a path.
#[derive(Default)]
struct Found<'a> {
    entries: Vec<(StoredEntry<'a>, Path)>,
}

impl<'a> Found<'a> {
    /// Looks the subject up by its identifier and by every other that the registry knows for it,
    /// and tells them all.
    fn by_identifier(&mut self, own: &Identifier, setting: &Setting<'a>) -> Linked {
        let mut names = Linked::new();
        names.push(own.clone());
        let mut next = 0;
        while let Some(name) = names.get(next).cloned() {
            next += 1;
            setting.lists.find(name.key(), |body| {
                let Ok(entry) = StoredEntry::read(body) else {
                    return;
                };
                let relations: SmallVec<[Role; 2]> = entry
                    .related
                    .iter()
                    .filter(|related| is_one_of(Some(&name), related.identifier.iter()))
                    .map(|related| related.role)
                    .collect();
                relations
                    .into_iter()
                    .for_each(|role| self.add(entry.clone(), Path::Related(role)));
                if is_one_of(Some(&name), entry.identifier.iter().chain(&entry.aliases)) {
                    for other in entry.identifier.iter().chain(&entry.aliases) {
                        if names_grow(&names, other) {
                            names.push(other.clone());
                        }
                    }
                    self.add(entry, Path::Identifier);
                }
            });
        }
        names
    }

    /// Looks an organisation up by name: among all entries, or, when its identity is verified,
    /// among those without an identifier (spec 2, rule 3).
    fn by_name(&mut self, name: &NormalName, known: &Known<'_>, setting: &Setting<'a>) {
        let key = match known.identity {
            Identity::Verified => Key::name_only(name),
            Identity::Unlinked | Identity::Unverified => Key::name(name),
        };
        setting.lists.find(key, |body| {
            let Ok(entry) = StoredEntry::read(body) else {
                return;
            };
            let named = entry.name.iter().chain(&entry.former_names).any(|known| {
                NormalName::new(known, setting.book.simplify()).is_some_and(|known| known == *name)
            });
            if named && !known.is_found_by_identifier(entry.entry_id) {
                self.add(entry, Path::Name);
            }
        });
    }

    fn add(&mut self, entry: StoredEntry<'a>, path: Path) {
        let known = self
            .entries
            .iter()
            .any(|(found, by)| found.entry_id == entry.entry_id && *by == path);
        if !known {
            self.entries.push((entry, path));
        }
    }
}

fn names_grow(names: &[Identifier], other: &Identifier) -> bool {
    names.len() < IDENTIFIERS_MAX && !names.iter().any(|name| name == other)
}

fn is_one_of<'i>(
    own: Option<&Identifier>,
    mut others: impl Iterator<Item = &'i Identifier>,
) -> bool {
    own.is_some_and(|own| others.any(|other| own.same_subject(other)))
}
