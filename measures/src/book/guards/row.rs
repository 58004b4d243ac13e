//! The guards of spec 4 over one row.

use std::collections::BTreeMap;

use super::super::source::MeasureSource;
use super::super::{Action, Edition, Measure, Scenario, notice_scenario};
use super::{Broken, broken_if, text};
use crate::event::ScenarioCode;
use crate::vocabulary::{Actor, Class, Effect, Level};

/// Every guard that the row breaks.
pub(in super::super) fn broken(
    row: &Measure,
    source: &MeasureSource,
    edition: &Edition,
    scenarios: &BTreeMap<ScenarioCode, Scenario>,
) -> Vec<Broken> {
    let penalty = row.penalty();
    let strong = penalty > Some(Effect::Notice);
    [
        basis(row),
        item(row, edition),
        classless(row, strong),
        level(row, strong),
        local_basis(row),
        notice_basis(row),
        broken_if(
            strong && row.class == Some(Class::C),
            "a row of class C goes above NOTICE: third parties decide for themselves",
            "write `effect: NOTICE`",
        ),
        broken_if(
            strong && in_third_party_scenario(row, scenarios),
            "a row of a third-party scenario goes above NOTICE",
            "write `effect: NOTICE`, or leave the scenario out",
        ),
        dates(row),
        broken_if(
            !row.excluded_by.is_empty() && penalty.is_some(),
            "`excluded_by` belongs to incentives",
            "remove it",
        ),
        broken_if(
            !row.needs_entry()
                && (row.scoped || !row.extends_to.is_empty() || !row.severities.is_empty()),
            "a row that names no list has no entry to ask for scope, relations or severity",
            "name its lists, or remove `scoped`, `extends_to` and `severities`",
        ),
        broken_if(
            row.applies.iter().any(|(_, stages)| stages.is_empty()),
            "the row applies in a scenario and in none of its stages",
            "write the stages, or leave the scenario out of `applies`",
        ),
        broken_if(source.cases.is_empty(), "the row has no case", MISSING_CASE),
    ]
    .into_iter()
    .flatten()
    .chain(text::row_texts(source))
    .chain(source.parameters.iter().flat_map(text::figures))
    .collect()
}

const MISSING_CASE: &str = "add one that matches and one that just does not";

/// A row whose cases show only when it holds, or only when it does not.
pub(in super::super) fn one_sided(source: &MeasureSource) -> Option<Broken> {
    let holds = |expected: &str| !matches!(expected, "no match" | "withheld");
    let first = source.cases.first()?;
    let side = holds(&first.value.expect.value);
    broken_if(
        source
            .cases
            .iter()
            .all(|case| holds(&case.value.expect.value) == side),
        "the cases of the row show only one side of it",
        MISSING_CASE,
    )
}

fn basis(row: &Measure) -> Option<Broken> {
    broken_if(
        row.bases.is_empty(),
        "the row has no basis: no measure without published law",
        "add its `basis`",
    )
}

fn item(row: &Measure, edition: &Edition) -> Option<Broken> {
    let item = row.item.as_deref()?;
    match edition.items.get(item).map(|item| item.class) {
        None => {
            let known: Vec<_> = edition.items.keys().map(String::as_str).collect();
            Some((
                format!("item `{item}` is not in the national edition"),
                format!("write one of {}", known.join(", ")),
            ))
        }
        Some(class) if row.class != Some(class) => Some((
            format!("item `{item}` is of class {class}"),
            format!("write `class: {class}`"),
        )),
        Some(_) => None,
    }
}

fn classless(row: &Measure, strong: bool) -> Option<Broken> {
    broken_if(
        strong && row.needs_entry() && row.class.is_none(),
        "a penalty above NOTICE that turns on an entry has no class",
        "add `item` and `class`",
    )
}

fn level(row: &Measure, strong: bool) -> Option<Broken> {
    let open = row.class.is_none() && !row.needs_entry();
    let classed = matches!(row.class, Some(Class::A | Class::B));
    if !strong || !(classed || open) {
        return None;
    }
    if classed && row.item.is_none() {
        return Some((
            "a row of class A or B above NOTICE has no item of the national edition".to_owned(),
            "add `item`".to_owned(),
        ));
    }
    let carried = row.bases.iter().any(|basis| {
        matches!(
            basis.level,
            Level::Law
                | Level::AdministrativeRegulation
                | Level::CentralDocument
                | Level::LocalRegulation
                | Level::PublishedNotice
        )
    });
    broken_if(
        !carried,
        if open {
            "a penalty above NOTICE rests on less than law, administrative regulation, central \
             document or local regulation"
        } else {
            "a row of class A or B above NOTICE rests on less than law, administrative regulation, \
             central document or local regulation"
        },
        "add such a basis, or write `effect: NOTICE`",
    )
}

/// A row whose best basis is a local regulation holds where that legislature rules.
fn local_basis(row: &Measure) -> Option<Broken> {
    let best = row
        .bases
        .first()
        .filter(|basis| basis.level == Level::LocalRegulation)?;
    let inside = match (best.region, row.region) {
        (Some(legislature), Some(region)) => legislature.contains(region),
        _ => false,
    };
    broken_if(
        !inside,
        "a row that rests on a local regulation reaches beyond the region of its legislature",
        "add `region`, inside the region of the basis",
    )
}

fn notice_basis(row: &Measure) -> Option<Broken> {
    broken_if(
        row.rests_on_notice()
            && row
                .applies
                .iter()
                .any(|(code, _)| !notice_scenario(code.as_str())),
        "a published notice carries rows of land, tender and procurement only",
        "leave the other scenarios out, or add another basis",
    )
}

fn in_third_party_scenario(row: &Measure, scenarios: &BTreeMap<ScenarioCode, Scenario>) -> bool {
    row.applies
        .iter()
        .filter_map(|(code, _)| scenarios.get(code))
        .any(|scenario| scenario.actor == Actor::ThirdParty)
        && matches!(row.action, Action::Penalty(_))
}

fn dates(row: &Measure) -> Option<Broken> {
    let (published, from, to) = (row.published_at, row.effective_from, row.effective_to);
    if published.is_some() && from.is_none() {
        return Some((
            "the row says when it was published and not from when it holds".to_owned(),
            "add `effective_from`".to_owned(),
        ));
    }
    if published
        .zip(from)
        .is_some_and(|(published, from)| from < published)
    {
        return Some((
            "the row is in force before it was published".to_owned(),
            "write an `effective_from` on or after `published_at`".to_owned(),
        ));
    }
    broken_if(
        from.zip(to).is_some_and(|(from, to)| to < from),
        "the row ends before it begins",
        "mend `effective_from` or `effective_to`",
    )
}
