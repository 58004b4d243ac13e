//! What the law does not carry is refused: the guards of spec 4 over one row.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::source::{MeasureSource, ParametersSource, Text};
use super::{Action, Edition, List, Measure, RepairRule, Scenario, Supplement, notice_scenario};
use crate::condition::Root;
use crate::event::{ListCode, ScenarioCode};
use crate::vocabulary::{Actor, Class, Effect, Level, Reach, SubjectKind};

/// A broken rule and how to mend it.
pub(super) type Broken = (String, String);

fn broken_if(broken: bool, rule: &str, mend: &str) -> Option<Broken> {
    broken.then(|| (rule.to_owned(), mend.to_owned()))
}

/// Every guard that the row breaks.
pub(super) fn broken(
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
            source.cases.is_empty(),
            "the row has no case",
            "add one that matches and one that just does not",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
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
    if !strong || !matches!(row.class, Some(Class::A | Class::B)) {
        return None;
    }
    if row.item.is_none() {
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
        "a row of class A or B above NOTICE rests on less than law, administrative regulation, \
         central document or local regulation",
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

/// Related matters only (DP-04), and nothing on a score of persons.
///
/// A row without a field has been told so; which lists are its own cannot be said.
pub(super) fn coupling(
    row: &Measure,
    has_field: bool,
    lists: &FxHashMap<ListCode, Arc<List>>,
    scenarios: &BTreeMap<ScenarioCode, Scenario>,
) -> Vec<Broken> {
    let named = || row.lists.iter().filter_map(|code| lists.get(code));
    let mut broken: Vec<Broken> = named()
        .filter(|list| has_field && list.field != row.field)
        .filter(|list| !row.bases.iter().any(|basis| basis.reaches_field(&list.field)))
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

fn reads_personal_score(
    row: &Measure,
    scenarios: &BTreeMap<ScenarioCode, Scenario>,
) -> Option<Broken> {
    let fields = row
        .condition
        .iter()
        .flat_map(|(condition, _)| condition.reads());
    let on_event = fields.clone().filter(|(root, _)| *root == Root::Event);
    let is_score = |name: &str| {
        let of_row = row
            .applies
            .iter()
            .filter_map(|(code, _)| scenarios.get(code));
        of_row
            .into_iter()
            .any(|scenario| scenario.personal_scores.contains(name))
    };
    let read = on_event
        .map(|(_, name)| name)
        .chain(&row.required)
        .find(|name| is_score(name));
    if let Some(name) = read {
        return Some((
            format!("a penalty reads `{name}`, a score of persons"),
            "leave it out: scores of persons serve rewards only".to_owned(),
        ));
    }
    let grades = fields
        .into_iter()
        .any(|(root, name)| *root == Root::Entry && &**name == "grade");
    let of_persons = row.kinds.is_empty() || row.kinds.contains(&SubjectKind::NaturalPerson);
    broken_if(
        grades && of_persons,
        "a penalty reads `entry.grade` of any kind of subject: the grade of a person is a score",
        "name the `kinds` it is for, without natural_person",
    )
}

/// Words by which a score of persons is known.
const PERSONAL_SCORES: [&str; 5] = [
    "个人信用分",
    "个人积分",
    "个人诚信分",
    "市民信用分",
    "桂花分",
];

/// Whether a title names a score of natural persons.
pub(super) fn names_personal_score(title: &Text) -> bool {
    PERSONAL_SCORES.iter().any(|word| title.zh.contains(word))
        || title.en.to_lowercase().contains("personal score")
}

/// Longest time in months that a list of a supplement may show an entry: serious breaches, three
/// years (NDRC Order 36).
const LOCAL_MONTHS_MAX: u32 = 36;

/// Every guard that a list breaks.
pub(super) fn list_broken(
    list: &List,
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
        !list.personal_score && names_personal_score(&list.name),
        "the list is by its name a score of persons",
        "write `personal_score: true`: no penalty may rest on it",
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

/// What a row of a supplement may not do; and a row of the national list may not vary another.
pub(super) fn supplement_broken<'m>(
    row: &Measure,
    supplement: Option<&Supplement>,
    others: impl Iterator<Item = &'m Arc<Measure>> + Clone,
) -> Vec<Broken> {
    let Some(supplement) = supplement else {
        let alone = broken_if(
            row.varies.is_some(),
            "a national row varies another",
            "remove `varies`: only supplements vary rows of the national list",
        );
        return alone.into_iter().collect();
    };
    let mut national = others.filter(|other| other.supplement != row.supplement);
    let same_id = national.clone().any(|other| other.id == row.id);
    let varied = row
        .varies
        .as_ref()
        .map(|id| national.find(|other| other.supplement.is_none() && other.id == *id));
    [
        broken_if(
            same_id,
            "a row of a supplement has the id of a row elsewhere, as if it were its next version",
            "give it an id of its own, and name the national row in `varies`",
        ),
        broken_if(
            !row.region
                .is_some_and(|region| supplement.region.contains(region)),
            "a row of a supplement reaches beyond the supplement's region",
            "write a `region` inside it, or none",
        ),
        local_regulation(row, supplement),
        within_days(row, supplement),
        match varied {
            None => None,
            Some(None) => Some((
                "`varies` names no row of the national list".to_owned(),
                "name one, or remove `varies`".to_owned(),
            )),
            Some(Some(varied)) => weaker_cap(row, varied),
        },
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn local_regulation(row: &Measure, supplement: &Supplement) -> Option<Broken> {
    let carried = row.bases.iter().any(|basis| {
        basis.level == Level::LocalRegulation
            && basis
                .region
                .is_some_and(|legislature| legislature.contains(supplement.region))
    });
    broken_if(
        row.penalty() > Some(Effect::Notice) && !carried,
        "a supplement adds a penalty above NOTICE without a local regulation of its region",
        "add that basis, or write `effect: NOTICE`",
    )
}

fn within_days(row: &Measure, supplement: &Supplement) -> Option<Broken> {
    let too_early = row
        .effective_from
        .zip(supplement.effective_from)
        .is_some_and(|(row, supplement)| row < supplement);
    let too_late = supplement
        .effective_to
        .is_some_and(|end| row.effective_to.is_none_or(|row| row > end));
    broken_if(
        too_early || too_late,
        "a row of a supplement is in force outside the supplement's days",
        "write `effective_from` and `effective_to` within them",
    )
}

/// The local form of a row is as strong as the national one at most, by every figure of it.
fn weaker_cap(row: &Measure, varied: &Measure) -> Option<Broken> {
    let mended = "write what the national row allows, or less";
    if row.action.direction() != varied.action.direction()
        || row.item != varied.item
        || row.class != varied.class
    {
        return Some((
            format!(
                "the row varies {} and is of another direction, item or class",
                varied.id
            ),
            mended.to_owned(),
        ));
    }
    if row.penalty() > varied.penalty() {
        return Some((
            format!("the row varies {} and goes above its effect", varied.id),
            mended.to_owned(),
        ));
    }
    let none = ParametersSource::default();
    let own = row.parameters.as_ref().unwrap_or(&none);
    let cap = varied.parameters.as_ref().unwrap_or(&none);
    let figure = [
        ("ratio", above(ratio(own), ratio(cap))),
        (
            "points",
            above(own.points.map(i64::abs), cap.points.map(i64::abs)),
        ),
        (
            "percent",
            above(own.percent.map(i64::abs), cap.percent.map(i64::abs)),
        ),
        ("cap_fen", above(own.cap_fen, cap.cap_fen)),
    ]
    .into_iter()
    .find_map(|(name, above)| above.then_some(name))?;
    Some((
        format!(
            "the row varies {} and weakens its cap `{figure}`",
            varied.id
        ),
        mended.to_owned(),
    ))
}

fn ratio(parameters: &ParametersSource) -> Option<f64> {
    parameters.ratio.as_ref()?.parse().ok()
}

/// Whether a figure is above its cap; where there is a cap, there must be a figure.
fn above<T: PartialOrd>(own: Option<T>, cap: Option<T>) -> bool {
    cap.is_some_and(|cap| own.is_none_or(|own| own > cap))
}
