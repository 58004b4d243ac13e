//! What a case is, as a state machine: pure, fed with verdicts and records.
//!
//! The same verdicts and records in the same order give the same case, whatever book is in force and
//! whatever the time; what was taken in before changes nothing. What the book says besides
//! ([`Terms`]) and the time only enter what is shown and what the service owes.

mod answers;
mod case;
mod feedback;
mod measures;
mod missing;
mod noticed;
mod orders;
mod owed;
mod proposals;
mod rewards;
mod shown;
pub mod stored;
mod support;
pub mod table;
mod telling;
mod terms;

use creditgate_measures::time::Time;
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::CaseRecord;
use creditgate_proto::journal::v1::case_record::What;
use serde::{Deserialize, Serialize};

use crate::facts::VerdictFacts;
pub use answers::{OtherAnswer, Said};
pub use case::{CaseSubject, Check, Closing, LastEvent, Noted, Recorded, Shown, Who};
pub use feedback::{About, Report};
pub use measures::{Basis, CaseMeasure};
pub(crate) use noticed::{MISSING_CHECK, ORDER_OVERDUE};
pub use orders::{Acknowledgement, LiftOrder};
pub use owed::Owed;
pub use proposals::Decision;
pub use rewards::CaseReward;
pub use shown::View;
pub use support::{Gap, Resting};
pub use table::{MeasureState, OrderState, Phase};
pub use terms::{Stage, Terms};

/// A case: what follows from its verdicts and records.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseState {
    /// Business number.
    pub case_id: String,
    /// Scenario of the last event of the system that began it.
    pub scenario: String,
    /// Where it is; `None`: no verdict of it was taken in.
    pub life: Option<Life>,
    /// Its subjects, in the order of appearance; their place is their number in the case.
    pub subjects: Vec<CaseSubject>,
    /// Stages at which subjects were checked.
    pub checks: Vec<Check>,
    /// Decisive checks that an event came without, whether or not they came later.
    pub noted: Vec<Noted>,
    /// Its verdicts, in the order of the journal.
    pub verdicts: Vec<Recorded>,
    /// Further answers under the ids of some of them, in the order in which they were taken in.
    pub other_answers: Vec<OtherAnswer>,
    /// The verdict that says how the case stands.
    #[serde(with = "stored::id::maybe")]
    pub latest: Option<VerdictId>,
    /// Measures that bit or were proposed, in the order of appearance.
    pub measures: Vec<CaseMeasure>,
    /// Rewards that were offered, in the order of appearance.
    pub rewards: Vec<CaseReward>,
    /// What was reported, in the order of arrival.
    pub reports: Vec<Report>,
    /// Lift orders, in the order in which they were given.
    pub orders: Vec<LiftOrder>,
    /// Missing checks that were told, whether or not they came later.
    pub told_missing: Vec<Noted>,
    /// Position of the last record of the journal of cases that was taken in.
    pub last_record: Option<u64>,
}

/// Where a case is between its first event and its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Whether it is reviewed.
    pub phase: Phase,
    /// When its first event took place.
    pub opened_at: Time,
    /// Its last event.
    pub last: LastEvent,
    /// When it was closed, while it is.
    pub closed_at: Option<Time>,
    /// `last_stage`, `by_request` or `time_limit`, while it is closed.
    pub closed_why: String,
    /// How somebody had it closed, while it is by request.
    pub closing: Option<Closing>,
}

/// What taking something in led to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// It was known already; nothing changed.
    pub repeated: bool,
    /// What others should hear of.
    pub happened: Vec<Happened>,
}

/// Something that others should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// The case is open: its first event, or one after it was closed.
    Opened,
    /// The case was closed.
    Closed,
    /// Replicas of the gate answered an event differently; the verdict.
    AnswersDiffer(VerdictId),
    /// A measure waits for an official; its key.
    Proposed(String),
    /// A measure was confirmed; its key.
    Confirmed(String),
    /// A measure was rejected; its key.
    Rejected(String),
    /// A measure rests on other entries than before, and still stands; its key.
    BasisChanged(String),
    /// Nothing supports a measure any more; its key.
    Unsupported(String),
    /// A measure is supported again; its key.
    Supported(String),
    /// A lift order was given; its id.
    Ordered(uuid::Uuid),
    /// A lift order is no longer to be followed; its id.
    Cancelled(uuid::Uuid),
    /// A lift order was followed; its id.
    Acknowledged(uuid::Uuid),
}

/// Why a record is not taken in. The case is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No event of the case was checked.
    #[error("case `{0}` is not known: no event of it was checked")]
    NoCase(String),
    /// What it names does not exist.
    #[error("no {what} `{name}` in this case")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// A part breaks a rule.
    #[error("`{field}` {rule}")]
    Field {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: String,
    },
    /// The same id came before, with other content.
    #[error(
        "feedback `{0}` was reported before with other content; report the correction under an id of its own"
    )]
    OtherContent(String),
    /// It has ended, and not so.
    #[error("closed already on {day} because {because}")]
    Closed {
        /// On which day (YYYY-MM-DD).
        day: String,
        /// Why, without the reason that somebody gave.
        because: String,
    },
    /// Not after what happened before.
    #[error("the {machine} is `{state}`: `{step}` is not possible")]
    Step {
        /// Case, measure or lift order.
        machine: &'static str,
        /// Where it is.
        state: &'static str,
        /// What was asked for.
        step: &'static str,
    },
    /// Not by this official.
    #[error("{0}")]
    NotBy(&'static str),
}

impl Refusal {
    fn field(field: &'static str, rule: impl Into<String>) -> Self {
        let rule = rule.into();
        Self::Field { field, rule }
    }

    fn not_found(what: &'static str, name: &str) -> Self {
        Self::NotFound {
            what,
            name: name.to_owned(),
        }
    }
}

impl Taken {
    const REPEATED: Self = Self {
        repeated: true,
        happened: Vec::new(),
    };

    const fn new(happened: Vec<Happened>) -> Self {
        Self {
            repeated: false,
            happened,
        }
    }
}

/// Who recorded something, and when.
struct Recording<'a> {
    at: Time,
    caller: &'a str,
}

impl CaseState {
    /// A case of which nothing is known yet.
    #[must_use]
    pub fn new(case_id: impl Into<String>) -> Self {
        Self {
            case_id: case_id.into(),
            ..Self::default()
        }
    }

    /// Takes in a verdict of the case. Verdicts come in the order of their journal; one whose slot is
    /// known changes nothing unless it is another answer, since the first durable verdict of a slot stands
    /// (spec 7).
    pub fn take_verdict(&mut self, facts: &VerdictFacts) -> Taken {
        if let Some(known) = self.recorded(facts.verdict_id) {
            let stands = known.said.clone();
            return self.take_answer(&stands, facts);
        }
        let mut happened = Vec::new();
        let subjects = self.number_subjects(facts);
        self.take_step(facts, &subjects, &mut happened);
        let shown = self.show_measures(facts, &subjects, &mut happened);
        let offered = self.offer_rewards(facts, &subjects);
        self.link_verdict(facts, subjects, shown.clone(), offered);
        self.lift_shown(&shown, facts.evaluated_at, &mut happened);
        Taken::new(happened)
    }

    /// Takes in a record of the journal of cases, with its position there. Records come in the order
    /// of their journal, each after the verdicts that it names; one at a position that was taken in
    /// before changes nothing.
    ///
    /// # Errors
    /// When it does not fit the case. A record that [`CaseState::check_record`] let pass before it
    /// was written always fits.
    pub fn take_record(&mut self, position: u64, record: &CaseRecord) -> Result<Taken, Refusal> {
        if self.last_record.is_some_and(|last| position <= last) {
            return Ok(Taken::REPEATED);
        }
        let taken = self.apply(record)?;
        self.last_record = Some(position);
        Ok(taken)
    }

    /// Whether a record would be taken in, and what it would lead to; for commands before they are
    /// written. One that says `repeated` need not be written.
    ///
    /// # Errors
    /// As [`CaseState::take_record`].
    pub fn check_record(&self, record: &CaseRecord) -> Result<Taken, Refusal> {
        self.clone().apply(record)
    }

    /// INVARIANT (whole or not at all): whatever is refused is refused before anything changes.
    fn apply(&mut self, record: &CaseRecord) -> Result<Taken, Refusal> {
        if record.case_id != self.case_id || self.life.is_none() {
            return Err(Refusal::NoCase(record.case_id.clone()));
        }
        let recording = Recording {
            at: record
                .recorded_at
                .as_ref()
                .and_then(time_from_proto)
                .ok_or_else(|| Refusal::field("recorded_at", "is missing"))?,
            caller: &record.caller,
        };
        match &record.what {
            Some(What::Closed(closed)) => self.close(closed, &recording),
            Some(What::Feedback(feedback)) => self.report(feedback, &recording),
            Some(What::Claimed(claimed)) => self.claim(claimed, &recording),
            Some(What::Decided(decided)) => self.decide(decided, &recording),
            Some(What::Escalated(escalated)) => self.escalate(&escalated.key),
            Some(What::Support(changed)) => self.change_support(changed, &recording),
            Some(What::Acknowledged(done)) => self.acknowledge(done, &recording),
            Some(What::Announced(announced)) => self.announce(announced),
            Some(What::ListsTold(told)) => self.tell_lists(told),
            Some(What::Noticed(noticed)) => self.notice(noticed),
            Some(
                What::ReviewRequested(_)
                | What::Taken(_)
                | What::ReportsRead(_)
                | What::Reviewed(_)
                | What::DeliveryPut(_)
                | What::DeliveryEnded(_)
                | What::DeliveryPaused(_)
                | What::DeliveryResumed(_)
                | What::DeliveryProgress(_)
                | What::DeliveryPutAside(_)
                | What::DeliveryResent(_)
                | What::DeliveryTaken(_),
            )
            | None => Err(Refusal::field(
                "what",
                "is nothing that happens to one case",
            )),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
