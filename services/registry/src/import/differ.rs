//! Two sources that speak of one entry: which of them stands, and wherein they differ.

use std::collections::BTreeMap;

use creditgate_measures::book::Book;
use creditgate_measures::entry::Entry;
use creditgate_measures::event::{ListCode, Sensitive};
use creditgate_measures::identifier::Identifier;
use creditgate_measures::name::NormalName;
use creditgate_measures::vocabulary::State;
use creditgate_proto::EntryDraft;
use creditgate_proto::journal::v1::SourcesDiffer;

use crate::desk::Desk;
use crate::desk::identity::Identity;
use crate::life::{Known, Step};

/// Stands where a source is named, for what was decided here.
pub(crate) const HERE: &str = "(here)";

/// How far a list may shrink at once, and which source goes before which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRules {
    /// A full import that would end a larger share of what its source has in force waits for
    /// approval; in percent, 100 never waits (one without rows always does).
    pub removal_percent: u8,
    /// The sources of lists that several deliver, the one that goes before all others first.
    pub precedence: BTreeMap<ListCode, Vec<String>>,
}

impl Default for SourceRules {
    fn default() -> Self {
        Self {
            removal_percent: 20,
            precedence: BTreeMap::new(),
        }
    }
}

impl SourceRules {
    /// The sources declared for a list, the one that goes before all others first.
    #[must_use]
    pub fn declared(&self, list: &ListCode) -> &[String] {
        self.precedence.get(list).map_or(&[], Vec::as_slice)
    }

    /// The place of a source among those declared for a list, from 1; none: not declared.
    #[must_use]
    pub fn rank(&self, list: &ListCode, source: &str) -> Option<usize> {
        let mut declared = self.declared(list).iter();
        let at = declared.position(|declared| declared == source)?;
        Some(at + 1)
    }

    /// Whether what `one` states stands where `other` has stated the entry. Declared sources go before
    /// all others; of two that are not declared, the one that stated the entry first.
    #[must_use]
    pub fn goes_before(&self, list: &ListCode, one: &str, other: &str) -> bool {
        match (self.rank(list, one), self.rank(list, other)) {
            (Some(one), Some(other)) => one <= other,
            (Some(_), None) => true,
            (None, _) => one == other,
        }
    }
}

/// What a statement of another source than the entry's own would change.
pub(crate) fn differs(
    known: &Entry,
    steps: &[Step],
    stands: &str,
    differs: &str,
    not_taken: Option<State>,
) -> SourcesDiffer {
    let stated = steps.last().map_or(known, |step| &step.entry);
    let mut fields: Vec<String> = differing(known, stated)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut state = String::new();
    let stated_state = not_taken.unwrap_or_else(|| stated.last_state());
    if stated_state != known.last_state() {
        fields.push("state".to_owned());
        stated_state.code().clone_into(&mut state);
    }
    SourcesDiffer {
        entry_id: known.entry_id.as_str().to_owned(),
        list: known.list.as_str().to_owned(),
        stands: stands.to_owned(),
        differs: differs.to_owned(),
        fields,
        state,
    }
}

/// Whether what its source states overrules the code that an official confirmed for an entry (关联补正);
/// none where none was confirmed. A code that is known to be of the same subject overrules nothing.
pub(crate) fn overruled(
    draft: &EntryDraft,
    source: &str,
    identity: &Identity,
) -> Option<SourcesDiffer> {
    let entry_id = draft.entry_id.as_str();
    let (_, code, _) = identity
        .codes_of(entry_id)
        .filter(|(_, _, confirmed)| *confirmed)
        .last()?;
    let mut stated = draft.identifier.iter().chain(&draft.aliases).peekable();
    let known = identity.group([code]);
    let is_it = |own: &Identifier| {
        own.same_subject(code) || known.iter().any(|linked| own.same_subject(linked))
    };
    let differs = stated.peek().is_some() && !stated.any(is_it);
    Some(SourcesDiffer {
        list: draft.list.as_str().to_owned(),
        stands: source.to_owned(),
        fields: differs.then(|| "id".to_owned()).into_iter().collect(),
        ..agreed(entry_id)
    })
}

/// That nothing decided here about an entry is overruled any more.
pub(crate) fn agreed(entry_id: &str) -> SourcesDiffer {
    SourcesDiffer {
        entry_id: entry_id.to_owned(),
        differs: HERE.to_owned(),
        ..SourcesDiffer::default()
    }
}

/// The same where only the state of an entry's own source does not stand.
pub(crate) fn state_only(known: &Entry, source: &str, not_taken: Option<State>) -> SourcesDiffer {
    differs(known, &[], HERE, source, not_taken)
}

/// Takes out of a statement what it may not change, and gives the state that is not taken: that of a
/// source behind another one, and one that would undo what an official decided here. A proven service
/// and a marked objection stay as well.
pub(crate) fn hold_back(
    draft: &mut EntryDraft,
    known: &Known,
    stands: bool,
    desk: &Desk,
) -> Option<State> {
    let entry_id = known.entry.entry_id.as_str();
    let proven = known
        .entry
        .served_at
        .filter(|at| desk.served.proves(entry_id, *at));
    draft.served_at = proven.or(draft.served_at);
    if desk.decided_here.marked(entry_id) {
        draft.objection_marked = None;
    }
    let stated = draft.state?;
    let last = known.entry.last_state();
    let against = desk.decided_here.stands_against(entry_id, stated);
    if stated == last || (stands && (!against || known.absent)) {
        return None;
    }
    draft.state = None;
    draft.state_since = None;
    Some(stated)
}

/// Whether a statement is about another subject than the entry: other codes, or, where one of them has
/// none, other names.
pub(crate) fn of_another(draft: &EntryDraft, known: &Entry, book: &Book) -> bool {
    let codes = |one: Option<&Identifier>, more: &[Identifier]| -> Vec<Identifier> {
        one.into_iter().chain(more).cloned().collect()
    };
    let stated = codes(draft.identifier.as_ref(), &draft.aliases);
    let recorded = codes(known.identifier.as_ref(), &known.aliases);
    if !stated.is_empty() && !recorded.is_empty() {
        let known_one = |one: &Identifier| recorded.iter().any(|other| one.same_subject(other));
        return !stated.iter().any(known_one);
    }
    let normal = |name: &Sensitive| NormalName::new(name.reveal(), book.simplify());
    let names: Vec<_> = known
        .name
        .iter()
        .chain(&known.former_names)
        .filter_map(normal)
        .collect();
    let stated = draft.name.as_ref().and_then(normal);
    stated.is_some_and(|name| !names.is_empty() && !names.contains(&name))
}

/// Names of the fields that two statements of an entry fill differently; their states aside.
fn differing(one: &Entry, other: &Entry) -> Vec<&'static str> {
    let fields = [
        ("id", one.identifier == other.identifier),
        ("name", one.name == other.name),
        ("former_names", one.former_names == other.former_names),
        ("kind", one.kind == other.kind),
        ("severity", one.severity == other.severity),
        ("grade", one.grade == other.grade),
        ("designated_by", one.designated_by == other.designated_by),
        ("document_no", one.document_no == other.document_no),
        ("basis", one.basis == other.basis),
        ("reason", one.reason == other.reason),
        ("region", one.region == other.region),
        ("scope", one.scope == other.scope),
        ("act_date", one.act_date == other.act_date),
        ("served_at", one.served_at == other.served_at),
        ("valid_from", one.valid_from == other.valid_from),
        ("valid_to", one.valid_to == other.valid_to),
        (
            "display_min_until",
            one.display_min_until == other.display_min_until,
        ),
        (
            "display_max_until",
            one.display_max_until == other.display_max_until,
        ),
        (
            "objection_marked",
            one.objection_marked == other.objection_marked,
        ),
        ("repeat_count", one.repeat_count == other.repeat_count),
        ("rule_version", one.rule_version == other.rule_version),
        ("related", one.related == other.related),
        ("aliases", one.aliases == other.aliases),
    ];
    fields
        .into_iter()
        .filter_map(|(name, same)| (!same).then_some(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_sources_go_before_others_and_in_their_order() {
        let list = ListCode::new("B07");
        let rules = SourceRules {
            precedence: BTreeMap::from([(
                list.clone(),
                vec!["法院".to_owned(), "平台".to_owned()],
            )]),
            ..SourceRules::default()
        };
        let table = [
            ("法院", "平台", true),
            ("平台", "法院", false),
            ("法院", "法院", true),
            ("平台", "他人", true),
            ("他人", "平台", false),
            ("他人", "另一", false),
        ];
        for (one, other, expected) in table {
            assert_eq!(
                rules.goes_before(&list, one, other),
                expected,
                "{one} {other}"
            );
        }
        assert!(!rules.goes_before(&ListCode::new("B01"), "他人", "法院"));
    }
}
