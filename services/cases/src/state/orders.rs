//! Lift orders: implementers are told that a measure has lost its support and is to be lifted.
//!
//! INVARIANT (no carried measure forgotten): a measure that loses its support leaves an order for
//! each implementer, unless of each verdict by which it applied its last report says that it did not carry
//! the measure out. A verdict that only proposed it counts where somebody carried it out all the same.
//! INVARIANT (no order while supported): what is supported again leaves no open order.

use std::collections::BTreeMap;

use creditgate_measures::time::Time;
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::{OrderAcknowledged, OrderAnnounced};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::case::{Shown, number};
use super::feedback::{About, Report};
use super::stored::Masked;
use super::table::{self, MeasureState, Named, OrderState, OrderStep};
use super::{CaseState, Happened, Recording, Refusal, Taken};

/// A lift order (解除措施通知).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftOrder {
    /// Its id, as a number; [`LiftOrder::id`] gives it.
    id: u128,
    /// Place of the measure among the case's.
    pub measure: u32,
    /// The measure's round.
    pub round: u32,
    /// Who is to lift it; empty: its row names nobody.
    pub implementer: String,
    /// Why nothing supports it any more.
    pub cause: String,
    /// The entries it rested on.
    pub entries: Vec<String>,
    /// Where it stands.
    pub state: OrderState,
    /// When it was given.
    pub ordered_at: Time,
    /// That it was followed.
    pub acknowledged: Option<Acknowledgement>,
    /// The state in which it was announced last.
    pub announced: Option<OrderState>,
    /// It was told that the time for it has passed.
    pub told_overdue: bool,
}

/// That a lift order was followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who lifted the measure.
    pub by: Masked,
    /// Number of the document.
    pub document_no: String,
    /// When.
    pub at: Time,
}

impl LiftOrder {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        Uuid::from_u128(self.id)
    }

    /// Whether its implementer is to be told of its state: that it was given, or that one who was told
    /// of it must not follow it any more.
    #[must_use]
    pub fn is_to_be_announced(&self) -> bool {
        match self.state {
            OrderState::Open => self.announced.is_none(),
            OrderState::Cancelled => self.announced == Some(OrderState::Open),
            OrderState::Acknowledged => false,
        }
    }
}

/// What an order's id is made of.
pub(super) struct OrderName<'a> {
    pub case_id: &'a str,
    pub key: &'a str,
    pub implementer: &'a str,
    pub list_seq: u64,
    pub cause: &'a str,
    /// How many orders of this measure the implementer had before.
    pub nth: u64,
}

impl OrderName<'_> {
    /// FENCE (order id): UUIDv8 of SHA-256 over the parts, texts with their length before them.
    /// Implementers keep these ids, and a rebuild must give the same ones.
    pub(super) fn id(&self) -> Uuid {
        let mut hash = Sha256::new();
        for text in [self.case_id, self.key, self.implementer, self.cause] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(self.list_seq.to_le_bytes());
        hash.update(self.nth.to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);
        Uuid::new_v8(bytes)
    }
}

impl CaseState {
    /// A lift order of the case.
    #[must_use]
    pub fn order(&self, id: Uuid) -> Option<&LiftOrder> {
        self.orders.iter().find(|order| order.id() == id)
    }

    /// Whether an implementer has lifted the measure since a verdict triggered it: then only another
    /// verdict brings it back.
    pub(super) fn is_lifted(&self, place: usize) -> bool {
        let Some(measure) = self.measures.get(place) else {
            return false;
        };
        self.orders_of(place)
            .any(|order| order.round == measure.round && order.acknowledged.is_some())
    }

    fn orders_of(&self, place: usize) -> impl Iterator<Item = &LiftOrder> {
        let place = number(place);
        self.orders
            .iter()
            .filter(move |order| order.measure == place)
    }

    /// Gives the orders that are due for a measure without support.
    pub(super) fn give_orders(&mut self, place: usize, at: Time, happened: &mut Vec<Happened>) {
        let Some(measure) = self.measures.get(place) else {
            return;
        };
        if measure.state != MeasureState::Unsupported || measure.basis.supports() {
            return;
        }
        let Some(gap) = measure.gap.clone() else {
            return;
        };
        let (key, round) = (measure.key(), measure.round);
        let mut implementers = measure.implementers.clone();
        if implementers.is_empty() {
            // A row that names nobody still has a measure to lift.
            implementers.push(String::new());
        }
        for implementer in implementers {
            if !self.wants_order(place, &implementer) {
                continue;
            }
            let nth = self
                .orders_of(place)
                .filter(|order| order.implementer == implementer)
                .count();
            let id = OrderName {
                case_id: &self.case_id,
                key: &key,
                implementer: &implementer,
                list_seq: gap.list_seq,
                cause: &gap.cause,
                nth: nth as u64,
            }
            .id();
            self.orders.push(LiftOrder {
                id: id.as_u128(),
                measure: number(place),
                round,
                implementer,
                cause: gap.cause.clone(),
                entries: gap.entries.clone(),
                state: OrderState::Open,
                ordered_at: at,
                acknowledged: None,
                announced: None,
                told_overdue: false,
            });
            happened.push(Happened::Ordered(id));
        }
    }

    /// Whether the implementer of a measure without support is to be told.
    pub(super) fn wants_order(&self, place: usize, implementer: &str) -> bool {
        let Some(measure) = self.measures.get(place) else {
            return false;
        };
        let of = |order: &&LiftOrder| order.implementer == implementer;
        if self
            .orders_of(place)
            .filter(of)
            .any(|order| order.state == OrderState::Open)
        {
            return false;
        }
        let lifted = self
            .orders_of(place)
            .filter(of)
            .filter(|order| order.round == measure.round)
            .filter_map(|order| order.acknowledged.as_ref())
            .map(|done| done.at)
            .max();
        let last = self.last_reports(place, implementer);
        // What was carried out after it was lifted is to be lifted again.
        let done = last.values().any(|report| {
            report.says_executed() && lifted.is_none_or(|lifted| lifted < report.executed_at)
        });
        // Nothing said about a verdict is not that nothing was done for it.
        let silent = |verdict: VerdictId| !last.contains_key(&verdict);
        done || (lifted.is_none() && self.applied_by(place, measure.round).any(silent))
    }

    /// The verdicts by which a measure applied since a verdict triggered it.
    fn applied_by(&self, place: usize, round: u32) -> impl Iterator<Item = VerdictId> {
        let place = number(place);
        let stands = self.verdicts.iter().map(|one| (one.verdict, &one.shown));
        let others = self.other_answers.iter();
        let others = others.map(|one| (one.verdict, &one.shown));
        let applied =
            move |shown: &Shown| shown.applied && (shown.measure, shown.round) == (place, round);
        let by = stands.chain(others);
        by.filter(move |(_, shown)| shown.iter().any(applied))
            .map(|(verdict, _)| verdict)
    }

    /// The last reports of an implementer about a measure, since a verdict triggered it: one for each
    /// verdict, since a report about one says nothing about what another brought.
    fn last_reports(&self, place: usize, implementer: &str) -> BTreeMap<VerdictId, &Report> {
        let round = self.measures.get(place).map(|measure| measure.round);
        let place = number(place);
        self.reports
            .iter()
            .filter(|report| match report.about {
                About::Penalty { measure, round: of } => measure == place && Some(of) == round,
                About::Reward(_) | About::Inspection => false,
            })
            .filter(|report| report.speaks_for(implementer))
            .map(|report| (report.verdict, report))
            .collect()
    }

    /// Whether one of the implementer's last reports says that it carried the measure out after this.
    fn executed_after(&self, order: &LiftOrder, at: Time) -> bool {
        usize::try_from(order.measure)
            .ok()
            .map(|place| self.last_reports(place, &order.implementer))
            .is_some_and(|last| {
                last.values()
                    .any(|report| report.says_executed() && report.executed_at > at)
            })
    }

    pub(super) fn cancel_orders(&mut self, place: usize, happened: &mut Vec<Happened>) {
        let place = number(place);
        for order in self.orders.iter_mut().filter(|o| o.measure == place) {
            let next = table::step(table::ORDER, "lift order", order.state, OrderStep::Cancel);
            if let Ok(next) = next {
                order.state = next;
                happened.push(Happened::Cancelled(order.id()));
            }
        }
    }

    pub(super) fn announce(&mut self, announced: &OrderAnnounced) -> Result<Taken, Refusal> {
        let known = Uuid::try_parse(&announced.order_id)
            .ok()
            .and_then(|id| self.orders.iter_mut().find(|order| order.id() == id));
        let order = known.ok_or_else(|| Refusal::not_found("lift order", &announced.order_id))?;
        let states = [OrderState::Open, OrderState::Cancelled];
        let state = states
            .into_iter()
            .find(|state| state.code() == announced.state);
        let state = state.ok_or_else(|| Refusal::field("state", "is none that is announced"))?;
        if order.announced == Some(state) {
            return Ok(Taken::REPEATED);
        }
        order.announced = Some(state);
        Ok(Taken::new(Vec::new()))
    }

    pub(super) fn acknowledge(
        &mut self,
        done: &OrderAcknowledged,
        recording: &Recording<'_>,
    ) -> Result<Taken, Refusal> {
        if done.by.trim().is_empty() {
            return Err(Refusal::field(
                "by",
                "is required: say who lifted the measure",
            ));
        }
        let at = match &done.at {
            Some(at) => time_from_proto(at).ok_or_else(|| Refusal::field("at", "is no time"))?,
            None => recording.at,
        };
        if at > recording.at {
            return Err(Refusal::field("at", "lies in the future"));
        }
        let place = Uuid::try_parse(&done.order_id)
            .ok()
            .and_then(|id| self.orders.iter().position(|order| order.id() == id));
        let Some((order, place)) = place.and_then(|p| Some((self.orders.get(p)?, p))) else {
            return Err(Refusal::not_found("lift order", &done.order_id));
        };
        if let Some(known) = &order.acknowledged {
            let same = known.by.0 == done.by
                && known.document_no == done.document_no
                && (done.at.is_none() || known.at == at);
            if same {
                return Ok(Taken::REPEATED);
            }
        }
        if order.state == OrderState::Open && self.executed_after(order, at) {
            let rule = "lies before the time at which the measure was carried out, as was reported";
            return Err(Refusal::field("at", rule));
        }
        let Some(order) = self.orders.get_mut(place) else {
            return Err(Refusal::not_found("lift order", &done.order_id));
        };
        order.state = table::step(
            table::ORDER,
            "lift order",
            order.state,
            OrderStep::Acknowledge,
        )?;
        order.acknowledged = Some(Acknowledgement {
            by: done.by.as_str().into(),
            document_no: done.document_no.clone(),
            at,
        });
        Ok(Taken::new(vec![Happened::Acknowledged(order.id())]))
    }
}
