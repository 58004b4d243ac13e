//! What the service itself must record, when its time has come.

use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{
    CaseClosed, ListsTold, Noticed, OrderAnnounced, ProposalEscalated,
};
use uuid::Uuid;

use super::case::{LAST_STAGE, TIME_LIMIT};
use super::noticed::{MISSING_CHECK, ORDER_OVERDUE};
use super::table::{Named, OrderState};
use super::{CaseState, Noted, Terms};

/// Something that the service must record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owed {
    /// The case has ended: `last_stage` or `time_limit`.
    Close(&'static str),
    /// The time for a decision has passed; the measure's key.
    Escalate(String),
    /// What became of a lift order is to be announced.
    Announce(Uuid, OrderState),
    /// The lists are to be told of a report: its id.
    TellLists(String),
    /// The time for a lift order has passed, and nobody was told.
    Overdue(Uuid),
    /// A check is missing, and nobody was told.
    Missing(Noted),
}

impl Owed {
    /// What to record. Of a report that the lists are to be told of, that there is nothing to tell: what there is,
    /// only the verdict says.
    #[must_use]
    pub fn into_record(self) -> What {
        match self {
            Self::Close(why) => What::Closed(CaseClosed {
                why: why.to_owned(),
                ..CaseClosed::default()
            }),
            Self::Escalate(key) => What::Escalated(ProposalEscalated { key }),
            Self::Announce(id, state) => What::Announced(OrderAnnounced {
                order_id: id.to_string(),
                state: state.code().to_owned(),
            }),
            Self::TellLists(feedback_id) => What::ListsTold(ListsTold {
                feedback_id,
                ..ListsTold::default()
            }),
            Self::Overdue(id) => What::Noticed(Noticed {
                kind: ORDER_OVERDUE.to_owned(),
                order_id: id.to_string(),
                ..Noticed::default()
            }),
            Self::Missing(noted) => What::Noticed(Noticed {
                kind: MISSING_CHECK.to_owned(),
                subject: noted.subject,
                stage: noted.stage,
                verdict_id: noted.verdict.0.into_bytes().to_vec(),
                ..Noticed::default()
            }),
        }
    }
}

impl CaseState {
    /// What is owed now. Recording all of it leaves nothing owed.
    #[must_use]
    pub fn owed(&self, now: Time, terms: &dyn Terms) -> Vec<Owed> {
        let mut owed = Vec::new();
        let Some(life) = self.life.as_ref() else {
            return owed;
        };
        if self.is_open() {
            let last_stage = terms.stages(&self.scenario).last();
            if last_stage.is_some_and(|stage| stage.code == life.last.stage) {
                owed.push(Owed::Close(LAST_STAGE));
            } else if self
                .open_until(terms)
                .is_some_and(|until| until < now.date())
            {
                owed.push(Owed::Close(TIME_LIMIT));
            }
        }
        for measure in &self.measures {
            let due = measure
                .proposed_at
                .and_then(|at| terms.decide_by(&measure.measure_id, at));
            if measure.state.waits() && !measure.escalated && due.is_some_and(|d| d < now.date()) {
                owed.push(Owed::Escalate(measure.key()));
            }
        }
        if terms.announces() {
            let orders = self.orders.iter();
            let due = orders.filter(|order| order.is_to_be_announced());
            owed.extend(due.map(|order| Owed::Announce(order.id(), order.state)));
        }
        let reports = self.reports.iter().filter(|report| report.is_to_be_told());
        owed.extend(reports.map(|report| Owed::TellLists(report.feedback.feedback_id.clone())));
        let overdue = self.overdue_untold(terms);
        let overdue = overdue.filter(|(_, last)| *last < now.date());
        owed.extend(overdue.map(|(order, _)| Owed::Overdue(order.id())));
        owed.extend(self.missing_untold(now, terms).map(Owed::Missing));
        owed
    }
}
