//! What a list or an agreement may not be.

use super::super::{Agreement, List, RepairRule, Supplement};
use super::score::names_personal_score;
use super::text::{blank, both, code_broken};
use super::{Broken, broken_if};
use crate::vocabulary::Reach;

/// Longest time in months that a list of a supplement may show an entry: serious breaches, three
/// years (NDRC Order 36).
const LOCAL_MONTHS_MAX: u32 = 36;

/// Every guard that a list breaks.
///
/// `said` is what the list itself says of being a score of persons.
pub(in super::super) fn list_broken(
    list: &List,
    said: Option<bool>,
    supplement: Option<&Supplement>,
    repair_rules: &[RepairRule],
) -> Vec<Broken> {
    let mut broken: Vec<Broken> = list
        .repair
        .iter()
        .filter(|(version, _)| !repair_rules.iter().any(|rule| rule.version == *version))
        .map(|(version, _)| {
            (
                format!("unknown repair rule `{version}`"),
                "define it under `repair/`, or name one that is".to_owned(),
            )
        })
        .collect();
    broken.extend(broken_if(
        said.is_none() && names_personal_score(&list.name),
        "the list is by its name a score of persons",
        "write `personal_score: true`: no penalty may rest on it; or `false` when it scores no persons",
    ));
    broken.extend(texts(list));
    broken.extend(broken_if(
        list.max_period_months == Some(0),
        "entries of the list end before they begin",
        "write `max_period_months` of 1 or more",
    ));
    broken.extend(broken_if(
        list.freshness_budget_micros <= 0,
        "the list is stale as soon as it is confirmed",
        "write `freshness_budget_hours` of 1 or more",
    ));
    let Some(supplement) = supplement else {
        return broken;
    };
    let inside = list
        .default_region
        .is_some_and(|region| supplement.region.contains(region));
    broken.extend(broken_if(
        list.reach != Reach::Local || !inside,
        "a list of a supplement reaches beyond its region",
        "write `reach: local`, and a `default_region` inside the supplement's",
    ));
    let within = list
        .max_period_months
        .is_some_and(|months| months <= LOCAL_MONTHS_MAX);
    broken.extend(broken_if(
        !within,
        "a list of a supplement shows entries for longer than the national rules allow",
        "add `max_period_months` of at most 36",
    ));
    broken
}

fn texts(list: &List) -> Vec<Broken> {
    let laws = list.bases.iter().map(|basis| ("law", vec![&*basis.law]));
    let own = [
        ("name", both(&list.name)),
        ("authority", vec![&*list.authority]),
        ("field", vec![&*list.field]),
    ];
    let mut broken = blank(own.into_iter().chain(laws));
    broken.extend(code_broken("code", list.code.as_str()));
    broken
}

/// Every guard that an agreement breaks.
pub(in super::super) fn agreement_broken(agreement: &Agreement) -> Vec<Broken> {
    let laws = agreement
        .bases
        .iter()
        .map(|basis| ("law", vec![&*basis.law]));
    let mut broken = blank(laws);
    broken.extend(
        [
            code_broken("id", &agreement.id),
            broken_if(
                agreement.lists.is_empty(),
                "the agreement names no list",
                "write the codes in `lists`, or remove the agreement",
            ),
            broken_if(
                agreement.from == agreement.to,
                "the agreement is of a region with itself",
                "write another region in `from` or `to`",
            ),
            broken_if(
                agreement
                    .effective_to
                    .is_some_and(|to| to < agreement.effective_from),
                "the agreement ends before it begins",
                "mend `effective_from` or `effective_to`",
            ),
        ]
        .into_iter()
        .flatten(),
    );
    broken
}
