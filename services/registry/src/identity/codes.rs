//! Missing codes (关联补正): for entries without an identifier, codes of subjects of the same name are
//! proposed, with what speaks for each. Nothing is applied before a person confirms one.

use std::collections::BTreeMap;

use creditgate_measures::entry::StoredEntry;
use creditgate_measures::identifier::{IdType, Identifier, Key};
use creditgate_measures::lists::{Lists, has_identifier, may_be_found_by_name};
use creditgate_measures::name::{NormalName, SimplifyTable};
use creditgate_proto::subject::alias_to_proto;
use creditgate_proto::{Refused, v1};
use rustc_hash::FxHashMap;

use crate::desk::identity::{Fact, Identity, SubjectKey};
use crate::error::ChangeError;
use crate::life;
use crate::registry::Registry;

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;

/// Evidence that is named per candidate.
const EVIDENCE_MAX: usize = 16;

/// What speaks for a code, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Somebody declared it for an identifier that the name leads to.
    DeclaredAlias,
    /// An entry with this code bears the same current name.
    CurrentName,
    /// A recorded change gave the name to the subject of this code.
    RecordedName,
    /// An entry with this code bears the name as a former one, or this entry does.
    FormerName,
}

impl Kind {
    const fn code(self) -> &'static str {
        match self {
            Self::DeclaredAlias => "declared_alias",
            Self::CurrentName => "current_name",
            Self::RecordedName => "recorded_name",
            Self::FormerName => "former_name",
        }
    }
}

/// Candidates by subject: the code to propose, and what speaks for it.
type Candidates = BTreeMap<SubjectKey, (Identifier, Vec<(Kind, String, u64)>)>;

/// Entries without an identifier, with the codes that may be theirs, page by page. Reads every entry:
/// a second for a million.
pub(crate) fn proposals(
    registry: &Registry,
    asked: &v1::ListCodeProposalsRequest,
) -> Result<v1::ListCodeProposalsResponse, ChangeError> {
    let size = match asked.page_size {
        0 => PAGE_DEFAULT,
        size @ 1..=PAGE_MAX => size,
        _ => return Err(Refused::one("page_size", "at most 1000").into()),
    } as usize;
    let generation = registry.live().load_full();
    let (lists, book) = (&generation.lists, &generation.book);
    if !asked.list.is_empty() {
        life::known_list(&asked.list, book)?;
    }
    let desk = registry.desk();
    let search = Search {
        lists,
        identity: &desk.identity,
        simplify: book.simplify(),
        recorded: recorded_names(&desk.identity, book.simplify()),
    };
    let mut page: BTreeMap<String, v1::CodeProposal> = BTreeMap::new();
    for body in lists.bodies() {
        let Ok(stored) = StoredEntry::read(body) else {
            continue;
        };
        let due = !has_identifier(&stored)
            && may_be_found_by_name(&stored)
            && stored.entry_id > asked.page_token.as_str()
            && (asked.list.is_empty() || stored.list == asked.list);
        let beyond = page.len() > size
            && page
                .last_key_value()
                .is_some_and(|(last, _)| stored.entry_id > last.as_str());
        if !due || beyond {
            continue;
        }
        let proposal = search.of(&stored);
        if proposal.candidates.is_empty() && !asked.without_candidates {
            continue;
        }
        page.insert(stored.entry_id.to_owned(), proposal);
        if page.len() > size + 1 {
            page.pop_last();
        }
    }
    let more = page.len() > size;
    if more {
        page.pop_last();
    }
    let last = page.last_key_value().filter(|_| more);
    Ok(v1::ListCodeProposalsResponse {
        next_page_token: last.map(|(id, _)| id.clone()).unwrap_or_default(),
        proposals: page.into_values().collect(),
        list_version: lists.version().to_string(),
    })
}

/// The names that recorded changes gave to subjects.
fn recorded_names(
    identity: &Identity,
    simplify: &SimplifyTable,
) -> FxHashMap<String, Vec<(u64, Identifier)>> {
    let mut names: FxHashMap<String, Vec<(u64, Identifier)>> = FxHashMap::default();
    for (number, change) in identity.all() {
        if let Fact::Name { subject, name, .. } = &change.what
            && change.undone.is_none()
            && let Some(name) = NormalName::new(name, simplify)
        {
            let of_name = names.entry(name.reveal().to_owned()).or_default();
            of_name.push((number, subject.clone()));
        }
    }
    names
}

struct Search<'a> {
    lists: &'a Lists,
    identity: &'a Identity,
    simplify: &'a SimplifyTable,
    recorded: FxHashMap<String, Vec<(u64, Identifier)>>,
}

impl Search<'_> {
    fn of(&self, entry: &StoredEntry<'_>) -> v1::CodeProposal {
        let mut candidates = Candidates::new();
        let names = entry.name.iter().map(|name| (*name, true));
        let former = entry.former_names.iter().map(|name| (*name, false));
        for (name, current) in names.chain(former) {
            if let Some(name) = NormalName::new(name, self.simplify) {
                self.by_name(&name, current, entry.entry_id, &mut candidates);
            }
        }
        let rejected: Vec<SubjectKey> = self
            .identity
            .codes_of(entry.entry_id)
            .filter(|(_, _, confirmed)| !confirmed)
            .map(|(_, identifier, _)| SubjectKey::of(identifier))
            .collect();
        candidates.retain(|subject, _| !rejected.contains(subject));
        v1::CodeProposal {
            entry_id: entry.entry_id.to_owned(),
            list: entry.list.to_owned(),
            name: entry.name.unwrap_or_default().to_owned(),
            candidates: ranked(candidates),
        }
    }

    fn by_name(&self, name: &NormalName, current: bool, own: &str, found: &mut Candidates) {
        self.lists.find(Key::name(name), |body| {
            let Ok(other) = StoredEntry::read(body) else {
                return;
            };
            if other.entry_id == own || !has_identifier(&other) {
                return;
            }
            let bears = |known: &&str| NormalName::new(known, self.simplify).as_ref() == Some(name);
            let kind = match (other.name.as_ref().is_some_and(bears), current) {
                (true, true) => Kind::CurrentName,
                (true, false) => Kind::FormerName,
                (false, _) if other.former_names.iter().any(bears) => Kind::FormerName,
                (false, _) => return,
            };
            for identifier in other.identifier.iter().chain(&other.aliases) {
                self.add(identifier, (kind, other.entry_id.to_owned(), 0), found);
            }
        });
        for (number, identifier) in self.recorded.get(name.reveal()).into_iter().flatten() {
            self.add(
                identifier,
                (Kind::RecordedName, String::new(), *number),
                found,
            );
        }
    }

    /// Adds the best code of the subject that an identifier designates.
    fn add(&self, identifier: &Identifier, why: (Kind, String, u64), found: &mut Candidates) {
        if identifier.is_natural_person() {
            return;
        }
        let group = self.identity.group([identifier]);
        let rank = |one: &Identifier| match one.id_type() {
            IdType::Uscc => 0,
            IdType::Org9 => 1,
            IdType::Reg15 => 2,
            _ => 3,
        };
        let Some(best) = group.iter().min_by_key(|one| (rank(one), *one)) else {
            return;
        };
        let (_, evidence) = found
            .entry(SubjectKey::of(best))
            .or_insert_with(|| (best.clone(), Vec::new()));
        if !best.same_subject(identifier) {
            let declared = self.identity.standing_about([best]);
            let link = declared
                .into_iter()
                .find(|(_, change)| matches!(change.what, Fact::Link { .. }));
            if let Some((number, _)) = link {
                evidence.push((Kind::DeclaredAlias, String::new(), number));
            }
        }
        evidence.push(why);
    }
}

/// The candidates with what speaks for them, the best first.
fn ranked(candidates: Candidates) -> Vec<v1::CodeCandidate> {
    let mut ranked: Vec<_> = candidates.into_values().collect();
    for (_, evidence) in &mut ranked {
        evidence.sort_unstable();
        evidence.dedup();
    }
    ranked.sort_by(|(one, ours), (other, theirs)| {
        let best = |evidence: &[(Kind, String, u64)]| evidence.first().map(|(kind, ..)| *kind);
        (best(ours), theirs.len(), one).cmp(&(best(theirs), ours.len(), other))
    });
    let shown = |(identifier, evidence): (Identifier, Vec<(Kind, String, u64)>)| {
        let evidence = evidence.into_iter().take(EVIDENCE_MAX);
        v1::CodeCandidate {
            identifier: Some(alias_to_proto(&identifier)),
            evidence: evidence
                .map(|(kind, entry_id, change)| v1::CodeEvidence {
                    kind: kind.code().to_owned(),
                    entry_id,
                    change,
                })
                .collect(),
        }
    };
    ranked.into_iter().map(shown).collect()
}
