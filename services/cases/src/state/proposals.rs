//! What waits for an official: taken in hand, decided, by two where that is asked for, escalated.
//!
//! A passed time limit never makes an effect and never a PASS (spec 8): it is only told.

use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::{ProposalClaimed, ProposalDecided};
use serde::{Deserialize, Serialize};

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

    fn is_in_hand_of(&self, by: &str) -> bool {
        self.claimed_by.as_ref().is_some_and(|own| own.0 == by)
    }

    fn was_seconded_by(&self, by: &str) -> bool {
        self.seconded_by.as_ref().is_some_and(|own| own.0 == by)
    }
}

impl CaseState {
    fn proposal(&mut self, key: &str) -> Result<&mut CaseMeasure, Refusal> {
        self.place_of(key)
            .and_then(|place| self.measures.get_mut(place))
            .ok_or_else(|| Refusal::not_found("measure", key))
    }

    pub(super) fn claim(&mut self, claimed: &ProposalClaimed) -> Result<Taken, Refusal> {
        let by = required_by(&claimed.by)?;
        let measure = self.proposal(&claimed.key)?;
        if claimed.released {
            if measure.state.waits() && measure.in_hand() && !measure.is_in_hand_of(by) {
                return Err(Refusal::NotBy(
                    "somebody else has the proposal in hand, and only they can give it back",
                ));
            }
            if measure.state == MeasureState::Seconded && !measure.in_hand() {
                return Err(Refusal::NotBy("nobody has the proposal in hand"));
            }
            measure.go(MeasureStep::Release)?;
            measure.claimed_by = None;
            return Ok(Taken::new(Vec::new()));
        }
        if measure.state.waits() && measure.in_hand() {
            return match measure.is_in_hand_of(by) {
                true => Ok(Taken::REPEATED),
                false => Err(Refusal::NotBy("somebody else has the proposal in hand")),
            };
        }
        if measure.state == MeasureState::Seconded && measure.was_seconded_by(by) {
            return Err(Refusal::NotBy(SECOND));
        }
        measure.go(MeasureStep::Claim)?;
        measure.claimed_by = Some(by.into());
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
        if measure.decided_so(&decision) {
            return Ok(Taken::REPEATED);
        }
        let seconded = measure.state == MeasureState::Seconded;
        let step = match (confirmed, decided.four_eyes, seconded) {
            (false, _, _) => MeasureStep::Reject,
            (true, true, false) => MeasureStep::Second,
            (true, true, true) | (true, false, _) => MeasureStep::Confirm,
        };
        if measure.state.waits() && !measure.is_in_hand_of(by) {
            if seconded && measure.was_seconded_by(by) {
                return Err(Refusal::NotBy(SECOND));
            }
            return Err(Refusal::NotBy(match measure.in_hand() {
                true => "somebody else has the proposal in hand",
                false => "the proposal must be claimed first, by whoever decides it",
            }));
        }
        measure.go(step)?;
        measure.claimed_by = None;
        measure.decided_on = Some(measure.basis.clone());
        measure.decisions.push(decision);
        let key = measure.key();
        Ok(Taken::new(match step {
            MeasureStep::Reject => vec![Happened::Rejected(key)],
            MeasureStep::Confirm => vec![Happened::Confirmed(key)],
            _ => {
                measure.seconded_by = Some(by.into());
                Vec::new()
            }
        }))
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

impl CaseMeasure {
    /// Whether this very decision was the last one, and stands.
    fn decided_so(&self, decision: &Decision) -> bool {
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
