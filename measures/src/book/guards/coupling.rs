//! Which lists a row may name: related matters only (DP-04), of the colour of its direction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::{ANY_FIELD, Basis, List, Measure, Scenario};
use super::Broken;
use super::score::reads_personal_score;
use crate::event::{ListCode, ScenarioCode};
use crate::vocabulary::{Colour, Effect, Level};

/// Related matters only (DP-04), and nothing on a score of persons.
///
/// A row without a field has been told so; which lists are its own cannot be said.
pub(in super::super) fn coupling(
    row: &Measure,
    has_field: bool,
    lists: &FxHashMap<ListCode, Arc<List>>,
    scenarios: &BTreeMap<ScenarioCode, Scenario>,
) -> Vec<Broken> {
    let named = || row.lists.iter().filter_map(|code| lists.get(code));
    let mut broken: Vec<Broken> = named()
        .filter(|list| has_field && list.field != row.field)
        .filter(|list| {
            let mut couple = row.bases.iter().filter(|basis| couples(row, basis));
            !couple.any(|basis| basis.reaches_field(&list.field))
        })
        .map(|list| {
            (
                format!(
                    "the row is of the field `{}` and names list {} of `{}`: a list bites in another field only \
                     where the basis says so",
                    row.field, list.code, list.field
                ),
                format!("leave the list out, or add `reaches: [{}]` to the basis that names it", list.field),
            )
        })
        .collect();
    broken.extend(unknown_fields(row, lists));
    broken.extend(named().filter_map(|list| colour(row, list)));
    let excluding = row
        .excluded_by
        .iter()
        .filter_map(|(code, _)| lists.get(code));
    broken.extend(excluding.filter(|list| list.personal_score).map(|list| {
        (
            format!(
                "list {}, a score of persons, takes a reward away",
                list.code
            ),
            "leave it out of `excluded_by`: a score may give a reward and takes none away"
                .to_owned(),
        )
    }));
    if row.penalty().is_some() {
        broken.extend(named().filter(|list| list.personal_score).map(|list| {
            (
                format!("a penalty rests on list {}, a score of persons", list.code),
                "leave the list out: scores of persons serve rewards only".to_owned(),
            )
        }));
        broken.extend(reads_personal_score(row, scenarios));
    }
    broken
}

/// Whether what the basis reaches counts for the row: a ministry's order and a paper couple fields
/// for a notice or a reward only.
fn couples(row: &Measure, basis: &Basis) -> bool {
    match basis.level {
        Level::Law
        | Level::AdministrativeRegulation
        | Level::CentralDocument
        | Level::LocalRegulation
        | Level::PublishedNotice => true,
        Level::DepartmentRule | Level::Paper => row.penalty() <= Some(Effect::Notice),
    }
}

/// Reached fields that no list has: a slip of the pen would couple nothing, and nobody would see.
fn unknown_fields(row: &Measure, lists: &FxHashMap<ListCode, Arc<List>>) -> Option<Broken> {
    let reached = || row.bases.iter().flat_map(|basis| &basis.reaches);
    if reached().all(|field| **field == *ANY_FIELD) {
        return None;
    }
    let known: BTreeSet<&str> = lists.values().map(|list| &*list.field).collect();
    let unknown = reached().find(|field| ***field != *ANY_FIELD && !known.contains(&***field))?;
    let known: Vec<&str> = known.into_iter().collect();
    Some((
        format!("a basis reaches the field `{unknown}`, of which the book has no list"),
        format!("write `{ANY_FIELD}` or one of {}", known.join(", ")),
    ))
}

/// A red list punishes nobody, and no breach is rewarded.
fn colour(row: &Measure, list: &List) -> Option<Broken> {
    let (rule, mend) = match (row.penalty(), list.colour) {
        (Some(_), Colour::Red) => (
            "a penalty rests on the red list",
            "name black or attention lists",
        ),
        (None, Colour::Black | Colour::Attention) if !list.personal_score => (
            "a reward rests on a list of breaches, list",
            "name red lists; what withholds a reward stands in `excluded_by`",
        ),
        _ => return None,
    };
    Some((format!("{rule} {}", list.code), mend.to_owned()))
}
