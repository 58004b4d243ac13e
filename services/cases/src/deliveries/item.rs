//! What others are to be sent of a record that was taken in: the verdict itself, lift orders that it gave or
//! called off, and notices.
//!
//! INVARIANT (same things at the same positions): the same records in the same order give the same items,
//! whatever the time and whatever process takes them in. A position counts records, not items: which things
//! of a record are sent may grow with a later version, and no position moves by it.

use creditgate_measures::time::Time;
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::journal::v1::CaseRecord;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::v1;
use prost::Message as _;
use rusqlite::params;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::facts::VerdictFacts;
use crate::state::{CaseMeasure, CaseState, Happened, MISSING_CHECK, ORDER_OVERDUE, Taken};
use crate::table::{Change, Error};
use crate::terms::BookTerms;

/// FENCED: kinds of notices, as receivers read them; see also [`ORDER_OVERDUE`] and [`MISSING_CHECK`].
const PROPOSAL_ESCALATED: &str = "proposal_escalated";
const BASIS_CHANGED: &str = "basis_changed";
/// All of them.
pub(super) const NOTICES: [&str; 4] = [
    PROPOSAL_ESCALATED,
    ORDER_OVERDUE,
    BASIS_CHANGED,
    MISSING_CHECK,
];

/// The sealed column of the outbox.
pub(super) const OUTBOX: &str = "outbox.body";

/// By what an item is known in it.
pub(super) fn outbox_row(position: u64, nth: u32) -> String {
    format!("{position}/{nth}")
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A verdict; its place is that of its record in the gate's journal.
    Verdict,
    /// A lift order that was given or called off; its body is a `LiftOrder`.
    LiftOrder,
    /// A notice; its body is a `CaseNotice`.
    Notice,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Verdict, Self::LiftOrder, Self::Notice];

    /// As requests name it.
    pub(super) const fn of(self) -> &'static str {
        match self {
            Self::Verdict => "verdicts",
            Self::LiftOrder => "lift_orders",
            Self::Notice => "notices",
        }
    }

    /// One of it.
    pub(super) const fn one(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::LiftOrder => "lift_order",
            Self::Notice => "notice",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Verdict => 1,
            Self::LiftOrder => 2,
            Self::Notice => 3,
        }
    }

    pub(super) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// Something that others may be sent.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Number of its record among all that were taken in.
    pub position: u64,
    /// Its number among the things of that record.
    pub nth: u32,
    pub kind: Kind,
    /// When it came about, in microseconds.
    pub at: i64,
    pub case_id: String,
    pub scenario: String,
    /// Region of the event, or of the case's last one; six digits.
    pub region: String,
    /// Who sent that event.
    pub source: String,
    /// Implementers of the measures that it concerns, a line each.
    pub whom: String,
    /// The outcome of a verdict, the state of an order, the kind of a notice.
    pub what: String,
    /// Where the record of a verdict stands.
    pub place: u64,
    /// The message; empty for a verdict.
    pub body: Vec<u8>,
}

impl Item {
    pub(crate) fn write(&self, to: &Change<'_>) -> Result<(), Error> {
        to.run(
            "INSERT OR REPLACE INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                self.position.cast_signed(),
                self.nth,
                self.kind.number(),
                self.at,
                self.case_id,
                self.scenario,
                self.region,
                self.source,
                self.whom,
                self.what,
                self.place.cast_signed(),
                to.seal()
                    .close(OUTBOX, outbox_row(self.position, self.nth), &self.body),
            ],
        )
        .map(drop)
    }
}

/// What a verdict that was taken in leads to.
pub(crate) fn told_by_verdict(
    position: u64,
    state: &CaseState,
    facts: &VerdictFacts,
    taken: &Taken,
    terms: &BookTerms,
) -> Vec<Item> {
    if taken.repeated {
        return Vec::new();
    }
    let mut whom: Vec<&str> = facts
        .subjects
        .iter()
        .flat_map(|subject| &subject.triggered)
        .flat_map(|measure| &measure.implementers)
        .map(String::as_str)
        .collect();
    whom.sort_unstable();
    whom.dedup();
    let verdict = Item {
        position,
        nth: 0,
        kind: Kind::Verdict,
        at: facts.evaluated_at.micros(),
        case_id: facts.case_id.clone(),
        scenario: facts.scenario.clone(),
        region: facts.region.clone(),
        source: facts.source.clone(),
        whom: whom.join("\n"),
        what: facts.outcome.clone(),
        place: facts.position,
        body: Vec::new(),
    };
    let mut telling = Telling {
        position,
        at: facts.evaluated_at,
        state,
        terms,
        items: vec![verdict],
    };
    telling.happened(taken);
    telling.items
}

/// What a record of a case that was taken in leads to.
pub(crate) fn told_by_record(
    position: u64,
    state: &CaseState,
    record: &CaseRecord,
    taken: &Taken,
    terms: &BookTerms,
) -> Vec<Item> {
    let at = record.recorded_at.as_ref().and_then(time_from_proto);
    let mut telling = Telling {
        position,
        at: at.unwrap_or(Time::from_micros(0)),
        state,
        terms,
        items: Vec::new(),
    };
    telling.happened(taken);
    match &record.what {
        _ if taken.repeated => {}
        Some(What::Escalated(escalated)) => telling.measure(PROPOSAL_ESCALATED, &escalated.key),
        Some(What::Noticed(noticed)) if noticed.kind == ORDER_OVERDUE => {
            if let Ok(id) = Uuid::try_parse(&noticed.order_id) {
                telling.overdue(id);
            }
        }
        Some(What::Noticed(noticed)) => {
            let verdict = Uuid::from_slice(&noticed.verdict_id).unwrap_or_default();
            telling.missing(v1::MissingCheck {
                subject: noticed.subject,
                stage: noticed.stage.clone(),
                verdict_id: verdict.hyphenated().to_string(),
            });
        }
        _ => {}
    }
    telling.items
}

/// Makes the items of one record.
struct Telling<'a> {
    position: u64,
    at: Time,
    state: &'a CaseState,
    terms: &'a BookTerms,
    items: Vec<Item>,
}

impl Telling<'_> {
    fn happened(&mut self, taken: &Taken) {
        for happened in &taken.happened {
            match happened {
                Happened::Ordered(id) | Happened::Cancelled(id) => self.order(*id),
                Happened::BasisChanged(key) => self.measure(BASIS_CHANGED, key),
                Happened::Opened
                | Happened::Closed
                | Happened::Proposed(_)
                | Happened::Confirmed(_)
                | Happened::Rejected(_)
                | Happened::Unsupported(_)
                | Happened::Supported(_)
                | Happened::Acknowledged(_)
                | Happened::AnswersDiffer(_) => {}
            }
        }
    }

    fn shown(&self, id: Uuid) -> Option<v1::LiftOrder> {
        let order = self.state.order(id)?;
        Some(self.state.order_shown(order, self.terms.view(self.at)))
    }

    fn order(&mut self, id: Uuid) {
        if let Some(order) = self.shown(id) {
            let whom = order.implementer.clone();
            let what = order.state.clone();
            self.push(Kind::LiftOrder, whom, what, order.encode_to_vec());
        }
    }

    fn overdue(&mut self, id: Uuid) {
        if let Some(order) = self.shown(id) {
            let whom = order.implementer.clone();
            let notice = v1::CaseNotice {
                order: Some(order),
                ..self.notice(ORDER_OVERDUE, &id.to_string())
            };
            self.tell(whom, &notice);
        }
    }

    fn missing(&mut self, missing: v1::MissingCheck) {
        let name = format!("{}/{}", missing.subject, missing.stage);
        let notice = v1::CaseNotice {
            missing: Some(missing),
            ..self.notice(MISSING_CHECK, &name)
        };
        self.tell(String::new(), &notice);
    }

    fn measure(&mut self, kind: &str, key: &str) {
        if let Some(measure) = self.state.measure(key) {
            let notice = v1::CaseNotice {
                measure: Some(self.without_officials(measure)),
                ..self.notice(kind, key)
            };
            self.tell(measure.implementers.join("\n"), &notice);
        }
    }

    fn without_officials(&self, measure: &CaseMeasure) -> v1::CaseMeasure {
        v1::CaseMeasure {
            claimed_by: String::new(),
            decisions: Vec::new(),
            ..self.state.measure_shown(measure, self.terms)
        }
    }

    /// FENCE (notice id): UUIDv8 of SHA-256 over kind, case and what it is about, each with its length
    /// before it, and the position. Receivers know a notice again by it.
    fn notice(&self, kind: &str, about: &str) -> v1::CaseNotice {
        let mut hash = Sha256::new();
        for text in [kind, &self.state.case_id, about] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(self.position.to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        let life = self.state.life.as_ref();
        v1::CaseNotice {
            notice_id: Uuid::new_v8(id).hyphenated().to_string(),
            kind: kind.to_owned(),
            case_id: self.state.case_id.clone(),
            scenario: self.state.scenario.clone(),
            region: life
                .map(|life| life.last.region.clone())
                .unwrap_or_default(),
            at: Some(time_to_proto(self.at)),
            ..v1::CaseNotice::default()
        }
    }

    fn tell(&mut self, whom: String, notice: &v1::CaseNotice) {
        let what = notice.kind.clone();
        self.push(Kind::Notice, whom, what, notice.encode_to_vec());
    }

    fn push(&mut self, kind: Kind, whom: String, what: String, body: Vec<u8>) {
        let last = self.state.life.as_ref().map(|life| &life.last);
        let event = last.and_then(|last| self.state.recorded(last.verdict));
        self.items.push(Item {
            position: self.position,
            nth: u32::try_from(self.items.len()).unwrap_or(u32::MAX),
            kind,
            at: self.at.micros(),
            case_id: self.state.case_id.clone(),
            scenario: self.state.scenario.clone(),
            region: last.map(|last| last.region.clone()).unwrap_or_default(),
            source: event.map(|event| event.event.0.clone()).unwrap_or_default(),
            whom,
            what,
            place: 0,
            body,
        });
    }
}
