//! What waits for an official: taken in hand, decided, by two where that is asked for, escalated.
//!
//! A passed time limit never makes an effect and never a PASS (spec 8): it is only told.
//!
//! INVARIANT (four eyes): where it takes two officials, neither their names nor, where each has a key of
//! his own, their keys are the same. A key that several officials share tells nothing apart: whoever
//! holds it answers for their names.

use creditgate_measures::time::Time;
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::journal::v1::{ProposalClaimed, ProposalDecided};
use serde::{Deserialize, Serialize};

use super::case::number;
use super::stored::Masked;
use super::table::{MeasureState, MeasureStep};
use super::{CaseMeasure, CaseState, Happened, Recording, Refusal, Taken};

/// What an official decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// It is to apply; else it was rejected.
    pub confirmed: bool,
    /// Which official or office.
    pub by: Masked,
    /// Why.
    pub reason: Masked,
    /// Number of the document.
    pub document_no: String,
    /// When it was recorded.
    pub recorded_at: Time,
    /// Name of the caller.
    pub caller: String,
}

const CONFIRM: &str = "confirm";
const REJECT: &str = "reject";

impl Decision {
    /// `confirm` or `reject`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        if self.confirmed { CONFIRM } else { REJECT }
    }
}

impl CaseMeasure {
    /// Whether an official has it in hand.
    fn in_hand(&self) -> bool {
        self.claimed_by.is_some()
    }

    /// Two keys of their own are two officials, whatever names they give; `caller` as below.
    fn is_in_hand_of(&self, by: &str, caller: Option<&str>) -> bool {
        let others = self.claimed_with.as_deref().zip(caller);
        self.claimed_by.as_ref().is_some_and(|own| own.0 == by)
            && others.is_none_or(|(own, caller)| own == caller)
    }

    fn was_seconded_by(&self, by: &str) -> bool {
        self.seconded_by.as_ref().is_some_and(|own| own.0 == by)
    }

    /// Why this one cannot be the second of two, if so. `caller` is told where the key is of one official.
    fn not_the_second(&self, by: &str, caller: Option<&str>) -> Option<Refusal> {
        if self.state != MeasureState::Seconded {
            return None;
        }
        if self.was_seconded_by(by) {
            return Some(Refusal::NotBy(SECOND));
        }
        let same = caller.is_some() && self.seconded_with.as_deref() == caller;
        same.then_some(Refusal::NotBy(SECOND_KEY))
    }
}

impl CaseState {
    fn proposal(&mut self, key: &str) -> Result<&mut CaseMeasure, Refusal> {
        self.place_of(key)
            .and_then(|place| self.measures.get_mut(place))
            .ok_or_else(|| Refusal::not_found("measure", key))
    }

    pub(super) fn claim(
        &mut self,
        claimed: &ProposalClaimed,
        recording: &Recording<'_>,
    ) -> Result<Taken, Refusal> {
        let by = required_by(&claimed.by)?;
        let caller = claimed.own_key.then_some(recording.caller);
        let measure = self.proposal(&claimed.key)?;
        if claimed.released {
            if measure.state.waits() && measure.in_hand() && !measure.is_in_hand_of(by, caller) {
                return Err(Refusal::NotBy(
                    "somebody else has the proposal in hand, and only they can give it back",
                ));
            }
            if measure.state == MeasureState::Seconded && !measure.in_hand() {
                return Err(Refusal::NotBy("nobody has the proposal in hand"));
            }
            measure.go(MeasureStep::Release)?;
            measure.claimed_by = None;
            measure.claimed_with = None;
            return Ok(Taken::new(Vec::new()));
        }
        if measure.state.waits() && measure.in_hand() {
            return match measure.is_in_hand_of(by, caller) {
                true => Ok(Taken::REPEATED),
                false => Err(Refusal::NotBy("somebody else has the proposal in hand")),
            };
        }
        if let Some(refusal) = measure.not_the_second(by, caller) {
            return Err(refusal);
        }
        measure.go(MeasureStep::Claim)?;
        measure.claimed_by = Some(by.into());
        measure.claimed_with = caller.map(str::to_owned);
        Ok(Taken::new(Vec::new()))
    }

    pub(super) fn decide(
        &mut self,
        decided: &ProposalDecided,
        recording: &Recording<'_>,
    ) -> Result<Taken, Refusal> {
        let by = required_by(&decided.by)?;
        let confirmed = match decided.decision.as_str() {
            CONFIRM => true,
            REJECT => false,
            _ => {
                let rule = format!("must be {CONFIRM} or {REJECT}");
                return Err(Refusal::field("decision", rule));
            }
        };
        if decided.reason.trim().is_empty() {
            return Err(Refusal::field("reason", "is required: say why"));
        }
        if confirmed && decided.document_no.trim().is_empty() {
            let rule = "is required to confirm: the document by which it is confirmed";
            return Err(Refusal::field("document_no", rule));
        }
        let measure = self.proposal(&decided.key)?;
        let decision = Decision {
            confirmed,
            by: by.into(),
            reason: decided.reason.as_str().into(),
            document_no: decided.document_no.clone(),
            recorded_at: recording.at,
            caller: recording.caller.to_owned(),
        };
        let caller = decided.own_key.then_some(recording.caller);
        if measure.decided_so(&decision, caller) {
            return Ok(Taken::REPEATED);
        }
        let seconded = measure.state == MeasureState::Seconded;
        let step = match (confirmed, decided.four_eyes, seconded) {
            (false, _, _) => MeasureStep::Reject,
            (true, true, false) => MeasureStep::Second,
            (true, true, true) | (true, false, _) => MeasureStep::Confirm,
        };
        if let Some(refusal) = measure.not_the_second(by, caller) {
            return Err(refusal);
        }
        if measure.state.waits() && !measure.is_in_hand_of(by, caller) {
            return Err(Refusal::NotBy(match measure.in_hand() {
                true => "somebody else has the proposal in hand",
                false => "the proposal must be claimed first, by whoever decides it",
            }));
        }
        measure.go(step)?;
        measure.claimed_by = None;
        measure.claimed_with = None;
        measure.decided_on = Some(measure.basis.clone());
        measure.decisions.push(decision);
        if step == MeasureStep::Second {
            measure.seconded_by = Some(by.into());
            measure.seconded_with = caller.map(str::to_owned);
        }
        let (key, verdict) = (measure.key(), measure.verdict);
        Ok(Taken::new(match step {
            MeasureStep::Reject => vec![Happened::Rejected(key)],
            MeasureStep::Confirm => {
                self.applies_by(verdict, &key);
                vec![Happened::Confirmed(key)]
            }
            _ => Vec::new(),
        }))
    }

    /// What an official has confirmed, implementers carry out for the verdict that showed it.
    fn applies_by(&mut self, verdict: VerdictId, key: &str) {
        let place = self.place_of(key).map(number);
        let stands = self.verdicts.iter_mut();
        let stands = stands.map(|one| (one.verdict, &mut one.shown));
        let others = self.other_answers.iter_mut();
        let others = others.map(|one| (one.verdict, &mut one.shown));
        let of = stands.chain(others).filter(|(of, _)| *of == verdict);
        for shown in of.flat_map(|(_, shown)| shown) {
            shown.applied |= Some(shown.measure) == place;
        }
    }

    pub(super) fn escalate(&mut self, key: &str) -> Result<Taken, Refusal> {
        let measure = self.proposal(key)?;
        if measure.state.waits() && measure.escalated {
            return Ok(Taken::REPEATED);
        }
        measure.go(MeasureStep::Escalate)?;
        measure.escalated = true;
        Ok(Taken::new(Vec::new()))
    }
}

const SECOND: &str = "it takes two officials, and this one has confirmed already";
const SECOND_KEY: &str = "it takes two officials with keys of their own, and somebody has confirmed already with this key; where several officials share it, its holder says so with `shared` in the keys file";

impl CaseMeasure {
    /// Whether this very decision was the last one, and stands.
    fn decided_so(&self, decision: &Decision, caller: Option<&str>) -> bool {
        let stands = match self.state {
            MeasureState::Seconded => self.was_seconded_by(&decision.by.0),
            MeasureState::Confirmed => decision.confirmed,
            MeasureState::Rejected => !decision.confirmed,
            _ => false,
        };
        stands
            && self.decisions.last().is_some_and(|last| {
                last.confirmed == decision.confirmed
                    && last.by == decision.by
                    && last.reason == decision.reason
                    && last.document_no == decision.document_no
                    && caller.is_none_or(|caller| last.caller == caller)
            })
    }
}

fn required_by(by: &str) -> Result<&str, Refusal> {
    // A space behind a name makes no other official of it.
    match by.trim() {
        "" => Err(Refusal::field(
            "by",
            "is required: say which official or office",
        )),
        by => Ok(by),
    }
}
