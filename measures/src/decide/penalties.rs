//! What the matched penalty rows contribute: effect now, or proposed to an official (spec 5).

use super::explain::NotMatched;
use super::matching;
use super::setting::Setting;
use super::subject::{Hit, Known};
use crate::book::Measure;
use crate::book::terms::StageRow;
use crate::event::EntryId;
use crate::verdict::{Contribution, Decision, EntryHit, Flag, Path, Triggered, Why};
use crate::vocabulary::{Class, Confidence, Effect, Force, Role, Severity};
use smallvec::SmallVec;
use std::sync::Arc;

/// What the penalties of one subject come to.
#[derive(Default)]
pub(super) struct Penalties {
    pub decision: Decision,
    pub review: bool,
    /// The part that reaches the party from outside its lead roles.
    pub reaches_party: Decision,
    pub flags: Vec<Flag>,
    pub triggered: Vec<Triggered>,
}

/// What a row that matched contributes, and why.
pub(super) struct Weighed {
    effect: Effect,
    contributes: Contribution,
    why: Reasons,
}

type Reasons = SmallVec<[Why; 2]>;

/// A row that matched, on an entry where it needs one.
struct Matched<'r, 'k, 'a> {
    row: &'r StageRow,
    hit: Option<&'k Hit<'a>>,
    weighed: Weighed,
    /// Weaker rows of the same item on the same entry.
    also: Vec<&'r StageRow>,
}

/// Judges every penalty row that may apply to the subject.
pub(super) fn judge<'a>(
    setting: &Setting<'a>,
    known: &Known<'a>,
    lead_role: Option<Role>,
) -> Penalties {
    let mut penalties = Penalties::default();
    let Some(stage) = setting.stage else {
        return penalties;
    };
    let mut matched = Vec::new();
    for (row, hit) in matching::candidates(&stage.rows.penalties, setting, known, lead_role) {
        let Some(stated) = row.measure.penalty() else {
            continue;
        };
        let Ok(weighed) = weigh(&row.measure, stated, setting, known, lead_role, hit) else {
            continue;
        };
        penalties.count(&weighed, &row.measure, setting);
        matched.push(Matched {
            row,
            hit,
            weighed,
            also: Vec::new(),
        });
    }
    if matched.len() > 1 {
        order(&mut matched);
        fold_weaker(&mut matched);
    }
    penalties.triggered = matched.into_iter().map(Matched::shown).collect();
    penalties
}

impl Penalties {
    fn count(&mut self, weighed: &Weighed, row: &Measure, setting: &Setting<'_>) {
        let Weighed { effect, why, .. } = weighed;
        let waits = weighed.contributes == Contribution::Proposed;
        self.flags.extend(why.iter().filter_map(flag));
        let part = Decision {
            effect: (!waits).then_some(*effect),
            review: waits || (setting.may_review && why.iter().any(demands_review)),
            proposed: waits.then_some(*effect),
            result_code: 0,
        };
        self.decision.join(&part);
        self.review |= part.review;
        if row.reaches_party {
            self.reaches_party.join(&part);
        }
    }
}

/// What the row contributes and why; else why it does not match. `stated` is the row's own effect.
pub(super) fn weigh<'a>(
    row: &Measure,
    stated: Effect,
    setting: &Setting<'a>,
    known: &Known<'a>,
    lead_role: Option<Role>,
    hit: Option<&Hit<'a>>,
) -> Result<Weighed, NotMatched> {
    let mut why = matching::matches(row, setting, known, lead_role, hit)?;
    why.extend(
        hit.into_iter()
            .flat_map(|hit| entry_doubts(hit, setting, known)),
    );
    let effect = limit(stated, row, setting, hit, &mut why);
    if effect > Effect::HeightenedScrutiny {
        if row.confidence == Confidence::Recalled {
            why.push(Why::RecalledRow);
        }
        if matches!(row.force, Force::May | Force::Factor | Force::Refer) {
            why.push(Why::Discretion);
        }
    }
    if known.protected && effect > Effect::Notice {
        why.push(Why::Protected);
    }
    let waits = if known.protected {
        effect > Effect::Notice
    } else {
        effect > Effect::HeightenedScrutiny && why.iter().any(makes_proposed)
    };
    why.sort_unstable();
    why.dedup();
    Ok(Weighed {
        effect,
        contributes: if waits {
            Contribution::Proposed
        } else {
            Contribution::Effect
        },
        why,
    })
}

impl Weighed {
    /// As a verdict shows it, alone.
    pub fn shown(self, row: &Arc<Measure>, hit: Option<&Hit<'_>>) -> Triggered {
        Triggered {
            measure: Arc::clone(row),
            effect: self.effect,
            contributes: self.contributes,
            why: self.why.into_vec(),
            also: Vec::new(),
            entry: hit.map(entry_hit),
        }
    }
}

impl Matched<'_, '_, '_> {
    /// As a verdict shows it.
    fn shown(mut self) -> Triggered {
        self.also.sort_unstable_by_key(|row| row.place);
        self.also.dedup_by_key(|row| row.place);
        let also = self.also.iter().map(|row| row.measure.id.clone());
        Triggered {
            also: also.collect(),
            ..self.weighed.shown(&self.row.measure, self.hit)
        }
    }

    /// Whether the other is shown with this one: a row of the same item on the same entry. What applies now and what
    /// is proposed are kept apart, so that each shows its legal basis.
    fn speaks_for(&self, other: &Self) -> bool {
        let (Some(hit), Some(others)) = (self.hit, other.hit) else {
            return false;
        };
        std::ptr::eq(hit, others)
            && self.weighed.contributes == other.weighed.contributes
            && self.row.item.is_some()
            && self.row.item == other.row.item
    }
}

/// What about the entry keeps a strong effect from applying at once.
fn entry_doubts<'a>(
    hit: &Hit<'a>,
    setting: &Setting<'_>,
    known: &Known<'a>,
) -> impl Iterator<Item = Why> + use<> {
    [
        (hit.path == Path::Name, Why::NameOnly),
        (known.name_differs_on(hit), Why::NameDiffers),
        (hit.entry.objection_marked, Why::ObjectionMarked),
        (hit.standing.no_end_date, Why::NoEndDate),
        (hit.standing.recorded_after_event, Why::RecordedAfterEvent),
        (setting.is_needed_and_stale(hit.list), Why::ListStale),
    ]
    .into_iter()
    .filter_map(|(holds, why)| holds.then_some(why))
}

/// Reasons that send an effect above heightened scrutiny to an official (spec 5).
fn makes_proposed(why: &Why) -> bool {
    match why {
        Why::Discretion
        | Why::Protected
        | Why::NameOnly
        | Why::NameDiffers
        | Why::ConditionError
        | Why::ScopeMissing
        | Why::AttributeMissing(_)
        | Why::SeverityMissing
        | Why::KindMissing
        | Why::ObjectionMarked
        | Why::NoEndDate
        | Why::RecordedAfterEvent
        | Why::ListStale
        | Why::RecalledRow => true,
        Why::MinorSeverity
        | Why::ListBelowLaw
        | Why::Agreement(_)
        | Why::ThirdParty
        | Why::OwnDecision
        | Why::ExcludedBy(_)
        | Why::SubjectUnverified
        | Why::SubjectUnlinked
        | Why::ListNotLoaded(_) => false,
    }
}

/// Reasons that ask for a review whatever the effect: "matched, for review" (spec 3, 4).
fn demands_review(why: &Why) -> bool {
    matches!(
        why,
        Why::ConditionError
            | Why::ScopeMissing
            | Why::AttributeMissing(_)
            | Why::SeverityMissing
            | Why::KindMissing
            | Why::NoEndDate
            | Why::RecordedAfterEvent
    )
}

fn flag(why: &Why) -> Option<Flag> {
    match why {
        Why::ConditionError => Some(Flag::ConditionError),
        Why::NoEndDate => Some(Flag::NoEndDate),
        _ => None,
    }
}

/// The effect after every limit, each with its reason.
fn limit(
    stated: Effect,
    row: &Measure,
    setting: &Setting<'_>,
    hit: Option<&Hit<'_>>,
    why: &mut Reasons,
) -> Effect {
    let mut effect = stated;
    let mut at_most = |limit: Effect, reason: Why| {
        if effect > limit {
            effect = limit;
            why.push(reason);
        }
    };
    if let Some(hit) = hit {
        if matching::severity(hit) == Some(Severity::Minor) {
            at_most(Effect::Notice, Why::MinorSeverity);
        }
        if !hit.list.carries_effects_in(setting.event.region) {
            at_most(Effect::Notice, Why::ListBelowLaw);
        }
        if let Some(agreement) = hit.standing.agreement
            && !agreement.carries_effects_in(setting.event.region)
        {
            at_most(
                Effect::HeightenedScrutiny,
                Why::Agreement(agreement.id.clone()),
            );
        }
    }
    if row.force == Force::Own || row.class == Some(Class::C) {
        at_most(Effect::Notice, Why::OwnDecision);
    }
    if setting.third_party {
        at_most(Effect::Notice, Why::ThirdParty);
    }
    effect
}

/// The entry of a hit as a verdict names it. Its texts are copied once, however many rows rest on it.
pub(super) fn entry_hit(hit: &Hit<'_>) -> EntryHit {
    let named = hit.named.get_or_init(|| EntryHit {
        entry_id: hit.entry.entry_id.into(),
        list: hit.list.code.clone(),
        document_no: hit.entry.document_no.map(Into::into),
        path: hit.path,
    });
    named.clone()
}

/// By descending contribution, then measure, then entry (spec 7).
fn order(matched: &mut [Matched<'_, '_, '_>]) {
    let strength = |one: &Matched<'_, '_, '_>| (one.weighed.effect, one.weighed.contributes);
    matched.sort_unstable_by(|a, b| {
        strength(b)
            .cmp(&strength(a))
            .then_with(|| a.row.place.cmp(&b.row.place))
            .then_with(|| a.hit.map(Hit::place).cmp(&b.hit.map(Hit::place)))
    });
}

/// The place of a hit in the order of a verdict.
pub(super) fn place(hit: Option<&EntryHit>) -> Option<(&EntryId, Path)> {
    hit.map(|hit| (&hit.entry_id, hit.path))
}

/// Shows of several rows of one item on one entry the strongest, the others as `also`.
fn fold_weaker(matched: &mut Vec<Matched<'_, '_, '_>>) {
    let mut shown: Vec<Matched<'_, '_, '_>> = Vec::with_capacity(matched.len());
    for next in matched.drain(..) {
        match shown.iter_mut().find(|strong| strong.speaks_for(&next)) {
            Some(strong) => strong.also.push(next.row),
            None => shown.push(next),
        }
    }
    *matched = shown;
}
