//! The rewards that a case's verdicts offered (守信激励).
//!
//! Nothing is owed when a reward ends: lift orders are of measures that a verdict triggered (spec 8), and a
//! reward is only offered. What was granted stays granted; the next verdict offers it or does not.

use creditgate_measures::verdict::VerdictId;
use serde::{Deserialize, Serialize};

use super::case::number;
use super::{CaseState, stored};
use crate::facts::VerdictFacts;

/// A reward of a case, for one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseReward {
    /// Number of the subject in the case.
    pub subject: u32,
    /// The measure.
    pub measure_id: String,
    /// Its title in Chinese.
    pub title: String,
    /// Who grants it, by every row that offered it.
    pub implementers: Vec<String>,
    /// The verdict that offered it last.
    #[serde(with = "stored::id")]
    pub verdict: VerdictId,
    /// The stage of that verdict.
    pub stage: String,
}

impl CaseReward {
    /// Names it within the case.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.subject, self.measure_id)
    }
}

impl CaseState {
    /// Takes in what a verdict offers; gives the places of it, each once.
    pub(super) fn offer_rewards(&mut self, facts: &VerdictFacts, subjects: &[u32]) -> Vec<u32> {
        let mut offered = Vec::new();
        for (subject, of) in subjects.iter().zip(&facts.subjects) {
            for one in &of.offered {
                let known = self.rewards.iter().position(|known| {
                    known.subject == *subject && known.measure_id == one.measure_id
                });
                let place = known.unwrap_or_else(|| {
                    self.rewards.push(CaseReward {
                        subject: *subject,
                        measure_id: one.measure_id.clone(),
                        title: String::new(),
                        implementers: Vec::new(),
                        verdict: facts.verdict_id,
                        stage: String::new(),
                    });
                    self.rewards.len() - 1
                });
                if let Some(reward) = self.rewards.get_mut(place) {
                    reward.title.clone_from(&one.title);
                    reward.verdict = facts.verdict_id;
                    reward.stage.clone_from(&facts.stage);
                    for implementer in &one.implementers {
                        if !reward.implementers.contains(implementer) {
                            reward.implementers.push(implementer.clone());
                        }
                    }
                }
                offered.push(number(place));
            }
        }
        offered.sort_unstable();
        offered.dedup();
        offered
    }

    /// A reward as a verdict offered it, of this subject of the case.
    pub(super) fn offered_by(
        &self,
        verdict: VerdictId,
        subject: u32,
        measure_id: &str,
    ) -> Option<(u32, &CaseReward)> {
        let mut offered = self.answers(verdict).flat_map(|answer| answer.offered);
        offered.find_map(|place| {
            let reward = self.rewards.get(usize::try_from(*place).ok()?)?;
            (reward.subject == subject && reward.measure_id == measure_id)
                .then_some((*place, reward))
        })
    }
}
