//! The measures of a case, as its verdicts show them.
//!
//! A verdict that lacks a measure says nothing about it, since rows belong to stages.

use std::collections::BTreeMap;

use creditgate_measures::time::Time;
use creditgate_measures::verdict::VerdictId;
use serde::{Deserialize, Serialize};

use super::case::{Shown, number};
use super::stored::{self, Masked};
use super::table::{self, MeasureState, MeasureStep, Next};
use super::{CaseState, Decision, Gap, Happened, Refusal};
use crate::facts::{TriggeredFacts, VerdictFacts};

/// A penalty measure of a case, for one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseMeasure {
    /// Number of the subject in the case.
    pub subject: u32,
    /// The measure.
    pub measure_id: String,
    /// Its title in Chinese.
    pub title: String,
    /// Where it stands.
    pub state: MeasureState,
    /// Where it stood before its support was lost; only while it is unsupported.
    pub before: Option<MeasureState>,
    /// It applied once, by a verdict, in part, or confirmed, since it was triggered: implementers may
    /// have carried it out.
    pub carried: bool,
    /// What it rests on.
    pub basis: Basis,
    /// The entries that it rested on before those changed.
    pub former_entries: Vec<String>,
    /// The verdict that showed it last.
    #[serde(with = "stored::id")]
    pub verdict: VerdictId,
    /// The stage of that verdict.
    pub stage: String,
    /// Sequence number of the lists for which `basis` is known.
    pub list_seq: u64,
    /// Who carries it out, by every row that showed it.
    pub implementers: Vec<String>,
    /// Grows when a verdict triggers it anew after it was lifted: reports and acknowledgements of an
    /// earlier round say nothing about this one.
    pub round: u32,
    /// The last time nothing supported it.
    pub gap: Option<Gap>,
    /// When it was proposed; a time limit runs from here.
    pub proposed_at: Option<Time>,
    /// The time for a decision has passed.
    pub escalated: bool,
    /// Who has it in hand.
    pub claimed_by: Option<Masked>,
    /// The key by which it was taken in hand, where that is one official's own.
    pub claimed_with: Option<String>,
    /// The first of two officials who confirmed it.
    pub seconded_by: Option<Masked>,
    /// The caller by whom that was told, where the key is of one official alone.
    pub seconded_with: Option<String>,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
    /// What the last decision was about.
    pub decided_on: Option<Basis>,
}

/// What a measure rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The entries, ascending.
    pub entries: Vec<String>,
    /// A row that needs no entry.
    pub by_row: bool,
    /// What it does.
    pub effect: String,
}

impl Basis {
    /// Whether anything supports the measure.
    #[must_use]
    pub const fn supports(&self) -> bool {
        self.by_row || !self.entries.is_empty()
    }

    /// Whether all of this was judged with that one: no other entry, and the same effect.
    fn was_judged_with(&self, judged: &Self) -> bool {
        self.effect == judged.effect
            && (judged.by_row || !self.by_row)
            && self
                .entries
                .iter()
                .all(|entry| judged.entries.contains(entry))
    }
}

impl CaseMeasure {
    /// Names it within the case.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.subject, self.measure_id)
    }

    fn new(subject: u32, facts: &VerdictFacts, triggered: &TriggeredFacts) -> Self {
        let state = match triggered.waits() {
            true => MeasureState::Proposed,
            false => MeasureState::InEffect,
        };
        Self {
            subject,
            measure_id: triggered.measure_id.clone(),
            title: triggered.title.clone(),
            state,
            before: None,
            carried: triggered.applied.is_some(),
            basis: triggered.basis(),
            former_entries: Vec::new(),
            verdict: facts.verdict_id,
            stage: facts.stage.clone(),
            list_seq: facts.list_seq,
            implementers: triggered.implementers.clone(),
            round: 0,
            gap: None,
            proposed_at: state.waits().then_some(facts.evaluated_at),
            escalated: false,
            claimed_by: None,
            claimed_with: None,
            seconded_by: None,
            seconded_with: None,
            decisions: Vec::new(),
            decided_on: None,
        }
    }

    /// Goes a step of the table; what belongs to the state left behind goes with it.
    pub(super) fn go(&mut self, step: MeasureStep) -> Result<(), Refusal> {
        let next = match table::step(table::MEASURE, "measure", self.state, step)? {
            Next::To(next) => next,
            // INVARIANT (way back): while unsupported, the state before is known.
            Next::Before => self.before.take().unwrap_or(MeasureState::Proposed),
        };
        if next == MeasureState::Unsupported {
            self.before = self.before.or(Some(self.state));
        } else {
            self.before = None;
        }
        self.carried |= next.bites();
        // While support is lost, what an official had in hand waits for its return.
        if !next.waits() && next != MeasureState::Unsupported {
            self.leave_hands();
            self.escalated = false;
        }
        self.state = next;
        Ok(())
    }

    /// A verdict shows it. INVARIANT (total): a verdict is a fact, so the table has these steps for
    /// every state.
    fn show(&mut self, facts: &VerdictFacts, triggered: &TriggeredFacts) {
        let basis = triggered.basis();
        let waited = self.state.waits();
        let step = self.step_of(triggered.waits(), &basis);
        if self.state == MeasureState::Seconded && step == MeasureStep::Propose {
            self.leave_hands();
        }
        let gone = self.go(step);
        debug_assert!(gone.is_ok(), "the table has every step of a verdict");
        if self.state.waits() && !waited {
            self.proposed_at = Some(facts.evaluated_at);
            self.escalated = false;
        }
        self.carried |= triggered.applied.is_some();
        self.rest_on(basis);
        self.verdict = facts.verdict_id;
        self.stage.clone_from(&facts.stage);
        self.title.clone_from(&triggered.title);
        self.list_seq = facts.list_seq;
        for implementer in &triggered.implementers {
            if !self.implementers.contains(implementer) {
                self.implementers.push(implementer.clone());
            }
        }
    }

    pub(super) fn step_of(&self, waits: bool, basis: &Basis) -> MeasureStep {
        let judged = self
            .decided_on
            .as_ref()
            .is_some_and(|judged| basis.was_judged_with(judged));
        match (waits, judged) {
            (false, _) => MeasureStep::Apply,
            (true, true) => MeasureStep::ProposeSame,
            (true, false) => MeasureStep::Propose,
        }
    }

    /// Takes another basis; whether the entries are others.
    pub(super) fn rest_on(&mut self, basis: Basis) -> bool {
        let others = self.basis.entries != basis.entries || self.basis.by_row != basis.by_row;
        if others && self.basis.supports() {
            self.former_entries.clone_from(&self.basis.entries);
        }
        self.basis = basis;
        others
    }

    /// Begins anew: what was reported and lifted before says nothing about this time.
    fn begin_round(&mut self) {
        self.round += 1;
        self.carried = false;
        self.before = None;
        self.decided_on = None;
        self.leave_hands();
        self.escalated = false;
    }

    /// Nobody has it in hand, and nobody has confirmed it.
    pub(super) fn leave_hands(&mut self) {
        self.claimed_by = None;
        self.claimed_with = None;
        self.seconded_by = None;
        self.seconded_with = None;
    }
}

impl TriggeredFacts {
    fn basis(&self) -> Basis {
        Basis {
            entries: self.entry_ids.clone(),
            by_row: self.by_row,
            effect: self.effect().to_owned(),
        }
    }
}

impl CaseState {
    /// A measure of the case.
    #[must_use]
    pub fn measure(&self, key: &str) -> Option<&CaseMeasure> {
        self.measures.get(self.place_of(key)?)
    }

    pub(super) fn place_of(&self, key: &str) -> Option<usize> {
        let (subject, measure_id) = key.split_once('/')?;
        let place = self.place(subject.parse().ok()?, measure_id)?;
        // `parse` also takes `+1` and `01`.
        self.measures.get(place).filter(|m| m.key() == key)?;
        Some(place)
    }

    pub(super) fn place(&self, subject: u32, measure_id: &str) -> Option<usize> {
        self.measures
            .iter()
            .position(|known| known.subject == subject && known.measure_id == measure_id)
    }

    /// Takes in what a verdict shows, and tells which.
    pub(super) fn show_measures(
        &mut self,
        facts: &VerdictFacts,
        subjects: &[u32],
        happened: &mut Vec<Happened>,
    ) -> Vec<Shown> {
        // A subject that stands twice in an event is one subject of the case.
        let mut triggered: BTreeMap<(u32, &str), TriggeredFacts> = BTreeMap::new();
        for (subject, of) in subjects.iter().zip(&facts.subjects) {
            for one in &of.triggered {
                triggered
                    .entry((*subject, one.measure_id.as_str()))
                    .and_modify(|known| known.join(one.clone()))
                    .or_insert_with(|| one.clone());
            }
        }
        let mut shown = Vec::with_capacity(triggered.len());
        for ((subject, measure_id), one) in triggered {
            let known = self.place(subject, measure_id);
            let place = match known {
                Some(place) => {
                    self.show_again(place, facts, &one, happened);
                    place
                }
                None => {
                    let measure = CaseMeasure::new(subject, facts, &one);
                    if measure.state.waits() {
                        happened.push(Happened::Proposed(measure.key()));
                    }
                    self.measures.push(measure);
                    self.measures.len() - 1
                }
            };
            shown.push(Shown {
                measure: number(place),
                round: self.measures.get(place).map_or(0, |measure| measure.round),
                applied: one.applied.is_some()
                    || self.measures.get(place).is_some_and(|m| m.state.bites()),
            });
        }
        shown
    }

    /// Gives the orders for what a verdict applied although nothing supported it any more.
    pub(super) fn lift_shown(&mut self, shown: &[Shown], at: Time, happened: &mut Vec<Happened>) {
        for one in shown.iter().filter(|one| one.applied) {
            let place = usize::try_from(one.measure).unwrap_or(usize::MAX);
            self.give_orders(place, at, happened);
        }
    }

    fn show_again(
        &mut self,
        place: usize,
        facts: &VerdictFacts,
        triggered: &TriggeredFacts,
        happened: &mut Vec<Happened>,
    ) {
        let lifted = self.is_lifted(place);
        let Some(measure) = self.measures.get_mut(place) else {
            return;
        };
        let (was, rested) = (measure.state, measure.basis.clone());
        if was == MeasureState::Unsupported && facts.list_seq < measure.list_seq {
            // Older knowledge never takes the place of newer; but what it applied may have been carried out,
            // also after it was lifted.
            if lifted {
                measure.begin_round();
            }
            measure.carried |= triggered.applied.is_some();
            return;
        }
        if was == MeasureState::Unsupported {
            if lifted {
                measure.begin_round();
            } else {
                // Supported again: first as it was.
                let gone = measure.go(MeasureStep::Regain);
                debug_assert!(gone.is_ok(), "the way back is in the table");
            }
        }
        let waited = measure.state.waits() && was != MeasureState::Unsupported;
        measure.show(facts, triggered);
        let (key, waits) = (measure.key(), measure.state.waits());
        let others = measure.basis.entries != rested.entries;
        if was == MeasureState::Unsupported {
            measure.close_gap(facts.evaluated_at);
            happened.push(Happened::Supported(key.clone()));
            self.cancel_orders(place, happened);
        } else if others {
            happened.push(Happened::BasisChanged(key.clone()));
        }
        if waits && !waited {
            happened.push(Happened::Proposed(key));
        }
    }
}
