//! What a supplement may not do to the national list.

use std::sync::Arc;

use super::super::source::ParametersSource;
use super::super::{Measure, Supplement};
use super::{Broken, broken_if};
use crate::vocabulary::{Effect, Force, Level};

/// What a row of a supplement may not do; and a row of the national list may not vary another.
pub(in super::super) fn supplement_broken<'m>(
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
    let national = others.filter(|other| other.supplement != row.supplement);
    let same_id = national.clone().any(|other| other.id == row.id);
    let varied = row.varies.as_ref().map(|id| {
        national
            .clone()
            .find(|other| other.supplement.is_none() && other.id == *id)
    });
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
        exclusions(
            row,
            national.clone().filter(|other| other.supplement.is_none()),
        ),
        within_days(row, supplement),
        match varied {
            None => None,
            Some(None) => Some((
                "`varies` names no row of the national list".to_owned(),
                "name one, or remove `varies`".to_owned(),
            )),
            Some(Some(varied)) => wider(row, varied).or_else(|| weaker_cap(row, varied)),
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
        row.penalty() != Some(Effect::Notice) && !carried,
        "a supplement adds a reward or a penalty above NOTICE without a local regulation of its region",
        "add that basis, or a penalty of `effect: NOTICE`",
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

/// A reward of a supplement is withheld at least where the national reward of its kind is.
fn exclusions<'m>(
    row: &Measure,
    national: impl Iterator<Item = &'m Arc<Measure>>,
) -> Option<Broken> {
    if row.penalty().is_some() {
        return None;
    }
    let meets = |other: &&Arc<Measure>| {
        let scenario = |code| row.applies.iter().any(|(own, _)| own == code);
        other.action == row.action
            && other.applies.iter().any(|(code, _)| scenario(code))
            && other
                .region
                .is_none_or(|there| row.region.is_some_and(|here| there.contains(here)))
    };
    let excludes = |code| row.excluded_by.iter().any(|(own, _)| own == code);
    let (other, list) = national.filter(meets).find_map(|other| {
        let missing = other.excluded_by.iter().find(|(code, _)| !excludes(code));
        missing.map(|(list, _)| (&other.id, list))
    })?;
    Some((
        format!(
            "the national reward {other} of the same effect is withheld on list {list}, and this one is not"
        ),
        "add the list to `excluded_by`, with its basis".to_owned(),
    ))
}

/// The local form of a row applies to no more than the national one, and no more strictly.
fn wider(row: &Measure, varied: &Measure) -> Option<Broken> {
    let applies = row.applies.iter().all(|(code, stages)| {
        let there = varied.applies.iter().filter(|(other, _)| other == code);
        let known: Vec<_> = there.flat_map(|(_, stages)| stages).collect();
        stages.iter().all(|stage| known.contains(&stage))
    });
    let condition = |row: &Measure| row.condition.as_ref().map(|(_, text)| Arc::clone(text));
    let period = |row: &Measure| {
        row.parameters
            .as_ref()
            .and_then(|figures| figures.period.clone())
    };
    let (own_period, cap_period) = (period(row), period(varied));
    let names = [
        ("lists", within(&row.lists, &varied.lists)),
        ("applies", applies),
        ("severities", within(&row.severities, &varied.severities)),
        ("kinds", within(&row.kinds, &varied.kinds)),
        ("roles", within(&row.roles, &varied.roles)),
        (
            "extends_to",
            row.extends_to
                .iter()
                .all(|role| varied.extends_to.contains(role)),
        ),
        ("reaches_party", varied.reaches_party || !row.reaches_party),
        ("scoped", row.scoped || !varied.scoped),
        (
            "when",
            varied.condition.is_none() || condition(row) == condition(varied),
        ),
        ("period", cap_period.is_none() || own_period == cap_period),
        (
            "force",
            row.force == varied.force || row.force != Force::Must,
        ),
    ];
    let (name, _) = names.into_iter().find(|(_, within)| !within)?;
    Some((
        format!("the row varies {} and goes beyond its `{name}`", varied.id),
        "write what the national row has, or less".to_owned(),
    ))
}

/// Whether the words are among those that bound them; none means every one.
fn within<T: PartialEq>(own: &[T], bound: &[T]) -> bool {
    bound.is_empty() || (!own.is_empty() && own.iter().all(|word| bound.contains(word)))
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
