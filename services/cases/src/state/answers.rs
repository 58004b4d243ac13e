//! Further answers of a decision slot: between replicas of the gate an event may be decided twice
//! (specification, 7). The first one that was taken in stands; what another one triggers is part of the case
//! all the same, since somebody was told so and may have carried it out.

use creditgate_measures::time::Time;
use creditgate_measures::verdict::VerdictId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::case::number;
use super::{CaseMeasure, CaseState, Happened, Recorded, Shown, Taken, stored};
use crate::facts::VerdictFacts;

/// What a verdict says, as far as answers of one slot are compared by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The beginning of its digest.
    pub answer: u64,
    /// Its outcome.
    pub outcome: String,
    /// The strongest effect that applies.
    pub effect: Option<String>,
    /// The strongest effect that waits for an official.
    pub proposed: Option<String>,
    /// Stands for what is triggered, subject by subject.
    pub triggered: [u8; 8],
}

/// Another answer under the id of a verdict of the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherAnswer {
    /// The verdict.
    #[serde(with = "stored::id")]
    pub verdict: VerdictId,
    /// Position of its record in the journal of verdicts.
    pub position: u64,
    /// What it says.
    pub said: Said,
    /// When it was judged.
    pub evaluated_at: Time,
    /// Version of the lists.
    pub list_version: String,
    /// For each subject of the event its number in the case.
    pub subjects: Vec<u32>,
    /// The measures that it shows besides those of the one that stands.
    pub shown: Vec<Shown>,
    /// The rewards that it offers, by their place among the case's.
    pub offered: Vec<u32>,
    /// What it says otherwise than the one that stands.
    pub differs: Vec<String>,
}

/// An answer, for whoever looks what it shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    /// Position of its record.
    pub position: u64,
    /// For each subject of the event its number in the case.
    pub subjects: &'a [u32],
    /// The measures that it shows, as [`OtherAnswer::shown`].
    pub shown: &'a [Shown],
    /// The rewards that it offers.
    pub offered: &'a [u32],
}

impl Said {
    pub(super) fn of(facts: &VerdictFacts) -> Self {
        let mut hash = Sha256::new();
        // Each text with its length: no two lists of texts read alike.
        let mut text = |text: &str| {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        };
        for subject in &facts.subjects {
            text(&subject.index.to_string());
            for one in &subject.triggered {
                text(&one.measure_id);
                text(one.applied.as_deref().unwrap_or_default());
                text(one.proposed.as_deref().unwrap_or_default());
                text(if one.by_row { "row" } else { "" });
                text(&one.entry_ids.len().to_string());
                one.entry_ids.iter().for_each(|entry| text(entry));
            }
        }
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = hash.finalize().into();
        Self {
            answer: facts.answer.0,
            outcome: facts.outcome.clone(),
            effect: facts.effect.clone(),
            proposed: facts.proposed.clone(),
            triggered: [a, b, c, d, e, f, g, h],
        }
    }

    /// What the other one says otherwise.
    fn differs(&self, other: &Self) -> Vec<String> {
        let differs = [
            ("outcome", self.outcome != other.outcome),
            ("effect", self.effect != other.effect),
            ("proposed", self.proposed != other.proposed),
            ("triggered", self.triggered != other.triggered),
        ];
        let differs = differs.into_iter().filter(|(_, differs)| *differs);
        differs.map(|(what, _)| what.to_owned()).collect()
    }
}

impl CaseState {
    /// Takes in an answer of a slot that has one. Where it differs, the case goes to review.
    pub(super) fn take_answer(&mut self, stands: &Said, facts: &VerdictFacts) -> Taken {
        let said = Said::of(facts);
        let known = |other: &OtherAnswer| {
            other.verdict == facts.verdict_id && other.said.answer == said.answer
        };
        if stands.answer == said.answer || self.other_answers.iter().any(known) {
            return Taken::REPEATED;
        }
        let differs = stands.differs(&said);
        let mut happened = Vec::new();
        let mut shown = Vec::new();
        let subjects = self.number_subjects(facts);
        let offered = self.offer_rewards(facts, &subjects);
        if !differs.is_empty() {
            happened.push(Happened::AnswersDiffer(facts.verdict_id));
            let more = self.more_than_stands(facts, &subjects);
            shown = self.show_measures(&more, &subjects, &mut happened);
        }
        self.other_answers.push(OtherAnswer {
            verdict: facts.verdict_id,
            position: facts.position,
            said,
            evaluated_at: facts.evaluated_at,
            list_version: facts.list_version.clone(),
            subjects,
            shown: shown.clone(),
            offered,
            differs,
        });
        self.lift_shown(&shown, facts.evaluated_at, &mut happened);
        Taken::new(happened)
    }

    /// The answer without the measures that the one that stands shows too: how those stand, that one says. But
    /// where this one applied them, they may have been carried out.
    fn more_than_stands(&mut self, facts: &VerdictFacts, subjects: &[u32]) -> VerdictFacts {
        let stands = self.recorded(facts.verdict_id);
        let stands = stands
            .map(|stands| stands.shown.clone())
            .unwrap_or_default();
        let mut more = facts.clone();
        let mut applied = Vec::new();
        for (subject, of) in subjects.iter().zip(&mut more.subjects) {
            of.triggered.retain(|one| {
                let place = self.place(*subject, &one.measure_id);
                let Some((place, measure)) =
                    place.and_then(|place| Some((place, self.measures.get_mut(place)?)))
                else {
                    return true;
                };
                let shown = stands.iter().find(|shown| shown.measure == number(place));
                let same_round = shown.is_some_and(|shown| shown.round == measure.round);
                if same_round && one.applied.is_some() {
                    measure.carried = true;
                    applied.push(number(place));
                }
                shown.is_none()
            });
        }
        let stands = self.verdicts.iter_mut();
        let stands = stands.filter(|one| one.verdict == facts.verdict_id);
        for shown in stands.flat_map(|one| &mut one.shown) {
            shown.applied |= applied.contains(&shown.measure);
        }
        more
    }

    /// Every answer of a slot, the one that stands first.
    pub(super) fn answers(&self, verdict: VerdictId) -> impl Iterator<Item = Answer<'_>> {
        let stands = self.recorded(verdict).map(|first| Answer {
            position: first.position,
            subjects: &first.subjects,
            shown: &first.shown,
            offered: &first.offered,
        });
        let others = self.other_answers.iter();
        let others = others.filter(move |other| other.verdict == verdict);
        stands.into_iter().chain(others.map(|other| Answer {
            position: other.position,
            subjects: &other.subjects,
            shown: &other.shown,
            offered: &other.offered,
        }))
    }

    /// The answer that showed a measure last.
    pub(super) fn shown_by(&self, measure: &CaseMeasure) -> Option<Answer<'_>> {
        let shows = |answer: &Answer<'_>| {
            answer.shown.iter().any(|shown| {
                let place = usize::try_from(shown.measure).ok();
                let shown = place.and_then(|place| self.measures.get(place));
                shown.is_some_and(|shown| {
                    shown.subject == measure.subject && shown.measure_id == measure.measure_id
                })
            })
        };
        self.answers(measure.verdict).filter(shows).last()
    }

    /// Whether another answer differs from this verdict.
    #[must_use]
    pub fn has_other_answer(&self, stands: &Recorded) -> bool {
        let mut others = self.other_answers.iter();
        others.any(|other| other.verdict == stands.verdict && !other.differs.is_empty())
    }

    /// How many answers differ from those that stand.
    #[must_use]
    pub fn differing_answers(&self) -> usize {
        let others = self.other_answers.iter();
        others.filter(|other| !other.differs.is_empty()).count()
    }
}
