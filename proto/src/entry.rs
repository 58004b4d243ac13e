//! Entries: what an import or a change says, before the registry makes an entry of it.

use std::fmt;
use std::sync::Arc;

use creditgate_measures::entry::{Entry, Related};
use creditgate_measures::event::{EntryId, ListCode, Region, Sensitive};
use creditgate_measures::identifier::Identifier;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::vocabulary::{Role, Severity, State, SubjectKind};

use crate::decode::{
    GivenText, ID_CHARS_MAX, Item, NAME_CHARS_MAX, chars_at_most, given, id_text, in_years, kind,
    listed, name, region, role, shared,
};
use crate::encode::owned;
use crate::refused::{Refused, Violation, quoted};
use crate::v1;

/// An entry as its sender states it; `None` is "not said", for which the registry has its rules.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryDraft {
    /// Id.
    pub entry_id: EntryId,
    /// The list.
    pub list: ListCode,
    /// Identifier; when absent, the name is there.
    pub identifier: Option<Identifier>,
    /// Current name.
    pub name: Option<Sensitive>,
    /// Former names.
    pub former_names: Vec<Sensitive>,
    /// Kind.
    pub kind: Option<SubjectKind>,
    /// Severity; not said: the list's default.
    pub severity: Option<Severity>,
    /// Grade.
    pub grade: Option<Arc<str>>,
    /// Designating authority.
    pub designated_by: Option<Arc<str>>,
    /// Document number.
    pub document_no: Option<Arc<str>>,
    /// Designation basis.
    pub basis: Option<Arc<str>>,
    /// Reason for listing.
    pub reason: Option<Sensitive>,
    /// Region; not said: the list's default.
    pub region: Option<Region>,
    /// Scope codes.
    pub scope: Vec<Arc<str>>,
    /// Day of the act.
    pub act_date: Option<Date>,
    /// When it was served.
    pub served_at: Option<Time>,
    /// From when it holds.
    pub valid_from: Option<Time>,
    /// Last day.
    pub valid_to: Option<Date>,
    /// End of the shortest display period.
    pub display_min_until: Option<Date>,
    /// End of the longest display period.
    pub display_max_until: Option<Date>,
    /// State; not said: by document number and date (specification 3).
    pub state: Option<State>,
    /// Since when the state holds.
    pub state_since: Option<Time>,
    /// Whether an objection is marked.
    pub objection_marked: Option<bool>,
    /// How often listed before.
    pub repeat_count: Option<u32>,
    /// Source unit.
    pub source_unit: Option<Arc<str>>,
    /// Rule version.
    pub rule_version: Option<Arc<str>>,
    /// Related subjects.
    pub related: Vec<RelatedDraft>,
    /// Further identifiers.
    pub aliases: Vec<Identifier>,
}

/// A subject related to the listed one.
pub type RelatedDraft = Related;

const LIST_MAX: usize = 64;
const TEXT_CHARS_MAX: usize = 512;
const PROSE_CHARS_MAX: usize = 4_096;
const SCOPES: [&str; 4] = ["item:", "trade:", "region:", "project:"];

/// The entry as stated, with all rules of its form kept. Lists are not looked up here.
///
/// Unlike in an event an invalid identifier is refused: the entry could never be found by it.
///
/// # Errors
/// All violations, when there are any.
pub fn entry_from_proto(entry: &v1::Entry) -> Result<EntryDraft, Refused> {
    let mut violations = Vec::new();
    let v = &mut violations;
    required(v, "entry_id", &entry.entry_id);
    required(v, "list", &entry.list);
    let text = GivenText {
        id_type: &entry.id_type,
        id: &entry.id,
        issuer: &entry.issuer,
    };
    let identifier = valid(v, &|name| Box::new(name), &text);
    if entry.id.is_empty() && entry.name.is_empty() {
        v.push(Violation::new("id", "required: an identifier or a name"));
    }
    let listed_name = name(v, "name", &entry.name);
    for (index, former) in within(v, "former_names", &entry.former_names).enumerate() {
        chars_at_most(v, item("former_names", index), former, NAME_CHARS_MAX);
    }
    let kind = kind(v, "kind", &entry.kind);
    let severity = word(v, "severity", &entry.severity, Severity::parse, || {
        listed(Severity::ALL.iter().map(|s| s.code()))
    });
    let short: [(&'static str, &str); 5] = [
        ("grade", &entry.grade),
        ("designated_by", &entry.designated_by),
        ("document_no", &entry.document_no),
        ("source_unit", &entry.source_unit),
        ("rule_version", &entry.rule_version),
    ];
    for (at, text) in short {
        chars_at_most(v, at, text, TEXT_CHARS_MAX);
    }
    chars_at_most(v, "basis", &entry.basis, PROSE_CHARS_MAX);
    chars_at_most(v, "reason", &entry.reason, PROSE_CHARS_MAX);
    let region = if entry.region.is_empty() {
        None
    } else {
        region(v, "region", &entry.region)
    };
    for (index, code) in within(v, "scope", &entry.scope).enumerate() {
        scope_code(v, index, code);
    }
    let act_date = date(v, "act_date", &entry.act_date);
    let served_at = time(v, "served_at", &entry.served_at);
    let valid_from = time(v, "valid_from", &entry.valid_from);
    let valid_to = date(v, "valid_to", &entry.valid_to);
    let display_min_until = date(v, "display_min_until", &entry.display_min_until);
    let display_max_until = date(v, "display_max_until", &entry.display_max_until);
    if valid_from
        .zip(valid_to)
        .is_some_and(|(from, to)| to < from.date())
    {
        v.push(Violation::new("valid_to", "lies before `valid_from`"));
    }
    if display_min_until
        .zip(display_max_until)
        .is_some_and(|(min, max)| max < min)
    {
        v.push(Violation::new(
            "display_max_until",
            "lies before `display_min_until`",
        ));
    }
    let state = word(v, "state", &entry.state, State::parse, || {
        listed(State::ALL.iter().map(|s| s.code()))
    });
    let state_since = time(v, "state_since", &entry.state_since);
    let related: Vec<_> = within(v, "related", &entry.related)
        .enumerate()
        .filter_map(|(index, related)| relation(v, index, related))
        .collect();
    let aliases: Vec<_> = within(v, "aliases", &entry.aliases)
        .enumerate()
        .filter_map(|(index, alias)| other_identifier(v, index, alias))
        .collect();
    Refused::unless_empty(violations)?;
    Ok(EntryDraft {
        entry_id: EntryId::new(entry.entry_id.as_str()),
        list: ListCode::new(entry.list.as_str()),
        identifier,
        name: listed_name,
        former_names: entry
            .former_names
            .iter()
            .filter(|name| !name.is_empty())
            .map(|name| Sensitive::new(name.as_str()))
            .collect(),
        kind,
        severity,
        grade: shared(&entry.grade),
        designated_by: shared(&entry.designated_by),
        document_no: shared(&entry.document_no),
        basis: shared(&entry.basis),
        reason: shared(&entry.reason).map(Sensitive::new),
        region,
        scope: entry
            .scope
            .iter()
            .map(|code| Arc::from(code.as_str()))
            .collect(),
        act_date,
        served_at,
        valid_from,
        valid_to,
        display_min_until,
        display_max_until,
        state,
        state_since,
        objection_marked: entry.objection_marked,
        repeat_count: entry.repeat_count,
        source_unit: shared(&entry.source_unit),
        rule_version: shared(&entry.rule_version),
        related,
        aliases,
    })
}

/// The entry as a message, identifiers and names in clear: who is sent it has to be entitled to it.
///
/// The state is that of the last recorded change, with the time it takes effect.
#[must_use]
pub fn entry_to_proto(entry: &Entry) -> v1::Entry {
    let (id_type, id, issuer) = identifier_texts(entry.identifier.as_ref());
    let last = entry.changes.last();
    v1::Entry {
        entry_id: entry.entry_id.as_str().to_owned(),
        list: entry.list.as_str().to_owned(),
        id_type,
        id,
        issuer,
        name: owned(entry.name.as_ref().map(Sensitive::reveal)),
        former_names: entry
            .former_names
            .iter()
            .map(|name| name.reveal().to_owned())
            .collect(),
        kind: owned(entry.kind.map(SubjectKind::code)),
        severity: owned(entry.severity.map(Severity::code)),
        grade: owned(entry.grade.as_deref()),
        designated_by: owned(entry.designated_by.as_deref()),
        document_no: owned(entry.document_no.as_deref()),
        basis: owned(entry.basis.as_deref()),
        reason: owned(entry.reason.as_ref().map(Sensitive::reveal)),
        region: shown(entry.region),
        scope: entry
            .scope
            .iter()
            .map(|code| code.as_ref().to_owned())
            .collect(),
        act_date: shown(entry.act_date),
        served_at: shown(entry.served_at),
        valid_from: entry.valid_from.to_string(),
        valid_to: shown(entry.valid_to),
        display_min_until: shown(entry.display_min_until),
        display_max_until: shown(entry.display_max_until),
        state: entry.last_state().code().to_owned(),
        state_since: shown(last.map(|change| change.effective_at)),
        objection_marked: Some(entry.objection_marked),
        repeat_count: Some(entry.repeat_count),
        source_unit: owned(entry.source_unit.as_deref()),
        rule_version: owned(entry.rule_version.as_deref()),
        related: entry
            .related
            .iter()
            .map(|related| {
                let (id_type, id, issuer) = identifier_texts(related.identifier.as_ref());
                v1::RelatedSubject {
                    role: related.role.code().to_owned(),
                    id_type,
                    id,
                    name: owned(related.name.as_ref().map(Sensitive::reveal)),
                    issuer,
                }
            })
            .collect(),
        aliases: entry
            .aliases
            .iter()
            .map(|alias| {
                let (id_type, id, issuer) = identifier_texts(Some(alias));
                v1::Alias {
                    id_type,
                    id,
                    issuer,
                }
            })
            .collect(),
    }
}

/// Type, value held and issuer; an `ID15` is shown as the `ID18` it became.
fn identifier_texts(identifier: Option<&Identifier>) -> (String, String, String) {
    (
        owned(identifier.map(|i| i.id_type().code())),
        owned(identifier.map(Identifier::reveal)),
        owned(identifier.and_then(Identifier::issuer)),
    )
}

fn relation(v: &mut Vec<Violation>, index: usize, related: &v1::RelatedSubject) -> Option<Related> {
    let at = |name: &'static str| Item {
        list: "related",
        index,
        name,
    };
    let role = role(v, at("role"), &related.role);
    if let Some(other) = role.filter(|role| !role.is_relation()) {
        let known = listed(
            Role::ALL
                .iter()
                .filter(|r| r.is_relation())
                .map(|r| r.code()),
        );
        v.push(Violation::new(
            at("role"),
            format!("`{other}` is no relation; known: {known}"),
        ));
    }
    let text = GivenText {
        id_type: &related.id_type,
        id: &related.id,
        issuer: &related.issuer,
    };
    let identifier = valid(v, &|name| Box::new(at(name)), &text);
    let name = name(v, at("name"), &related.name);
    if related.id.is_empty() && related.name.is_empty() {
        v.push(Violation::new(
            at("id"),
            "required: an identifier or a name",
        ));
    }
    Some(Related {
        role: role?,
        identifier,
        name,
    })
}

fn other_identifier(v: &mut Vec<Violation>, index: usize, alias: &v1::Alias) -> Option<Identifier> {
    let at = |name: &'static str| Item {
        list: "aliases",
        index,
        name,
    };
    if alias.id.is_empty() {
        v.push(Violation::new(at("id"), "required"));
    }
    let text = GivenText {
        id_type: &alias.id_type,
        id: &alias.id,
        issuer: &alias.issuer,
    };
    valid(v, &|name| Box::new(at(name)), &text)
}

/// The identifier when there is one and it is valid. The reason it is not never holds the value.
fn valid(
    v: &mut Vec<Violation>,
    at: &dyn Fn(&'static str) -> Box<dyn fmt::Display>,
    text: &GivenText<'_>,
) -> Option<Identifier> {
    let before = v.len();
    let given = given(v, at("id_type"), at("id"), at("issuer"), text)?;
    if v.len() > before {
        return None;
    }
    Identifier::parse(given.id_type, given.value.reveal(), given.issuer.as_deref())
        .map_err(|why| {
            v.push(Violation::new(
                at("id"),
                format!("not a valid {}: {why}", given.id_type),
            ));
        })
        .ok()
}

fn required(v: &mut Vec<Violation>, at: &'static str, text: &str) {
    if text.trim().is_empty() {
        v.push(Violation::new(at, "required"));
    } else {
        id_text(v, at, text);
    }
}

fn scope_code(v: &mut Vec<Violation>, index: usize, code: &str) {
    let at = item("scope", index);
    chars_at_most(v, at, code, ID_CHARS_MAX);
    let rest = SCOPES.iter().find_map(|kind| code.strip_prefix(kind));
    if rest.is_none_or(str::is_empty) {
        let rule = "expected `item:`, `trade:`, `region:` or `project:` and a code";
        v.push(Violation::new(at, rule));
    }
}

fn item(list: &'static str, index: usize) -> Item {
    Item {
        list,
        index,
        name: "",
    }
}

/// The items of a list, none when there are too many.
fn within<'a, T>(
    v: &mut Vec<Violation>,
    at: &'static str,
    items: &'a [T],
) -> std::slice::Iter<'a, T> {
    if items.len() > LIST_MAX {
        v.push(Violation::new(
            at,
            format!("at most {LIST_MAX}, got {}", items.len()),
        ));
        return [].iter();
    }
    items.iter()
}

fn word<T>(
    v: &mut Vec<Violation>,
    at: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    known: impl Fn() -> String,
) -> Option<T> {
    let parsed = parse(text);
    if parsed.is_none() && !text.is_empty() {
        v.push(Violation::new(
            at,
            format!("unknown word {}; known: {}", quoted(text), known()),
        ));
    }
    parsed
}

fn date(v: &mut Vec<Violation>, at: &'static str, text: &str) -> Option<Date> {
    if text.is_empty() {
        return None;
    }
    let parsed = Date::parse(text)
        .map_err(|error| error.to_string())
        .and_then(|date| {
            if (1_900..=9_999).contains(&date.year()) {
                Ok(date)
            } else {
                Err(YEARS.to_owned())
            }
        });
    parsed.map_err(|rule| v.push(Violation::new(at, rule))).ok()
}

fn time(v: &mut Vec<Violation>, at: &'static str, text: &str) -> Option<Time> {
    if text.is_empty() {
        return None;
    }
    let parsed = Time::parse(text).map_err(|error| error.to_string());
    let parsed = parsed.and_then(|time| {
        if in_years(&time) {
            Ok(time)
        } else {
            Err(YEARS.to_owned())
        }
    });
    parsed.map_err(|rule| v.push(Violation::new(at, rule))).ok()
}

const YEARS: &str = "expected a day in the years 1900 to 9999";

fn shown(value: Option<impl fmt::Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
