//! What the passing of time shows and somebody is to be told of: overdue lift orders, missing checks. Each is
//! told once.

use creditgate_measures::time::{Date, Time};
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::journal::v1::Noticed;
use uuid::Uuid;

use super::table::OrderState;
use super::{CaseState, LiftOrder, Noted, Refusal, Taken, Terms};

/// FENCED: kinds of notices, as records and receivers read them.
pub(crate) const ORDER_OVERDUE: &str = "order_overdue";
/// As [`ORDER_OVERDUE`].
pub(crate) const MISSING_CHECK: &str = "missing_check";

impl CaseState {
    /// Open lift orders of which nobody was told that they are overdue, with the last day for each.
    pub(super) fn overdue_untold<'a>(
        &'a self,
        terms: &'a dyn Terms,
    ) -> impl Iterator<Item = (&'a LiftOrder, Date)> {
        self.orders
            .iter()
            .filter(|order| order.state == OrderState::Open && !order.told_overdue)
            .filter_map(|order| Some((order, terms.lift_by(order.ordered_at)?)))
    }

    /// Missing checks of which nobody was told.
    pub(super) fn missing_untold(
        &self,
        now: Time,
        terms: &dyn Terms,
    ) -> impl Iterator<Item = Noted> {
        let missing = match terms.tells_missing() {
            true => self.missing(now, terms),
            false => Vec::new(),
        };
        missing.into_iter().filter(|noted| !self.is_told(noted))
    }

    /// From when on somebody is to be told of something, should nothing more happen; `None`: never.
    #[must_use]
    pub fn tells_from(&self, terms: &dyn Terms) -> Option<Time> {
        let overdue = self.overdue_untold(terms);
        let overdue = overdue.map(|(_, last)| last.next_day().start());
        let missing = match terms.tells_missing() {
            true => self.untold_from(terms),
            false => None,
        };
        overdue.chain(missing).min()
    }

    /// Whether somebody was told of this, by whichever verdict.
    pub(super) fn is_told(&self, noted: &Noted) -> bool {
        self.told_missing
            .iter()
            .any(|told| told.stage == noted.stage && self.same(told.subject, noted.subject))
    }

    pub(super) fn notice(&mut self, noticed: &Noticed) -> Result<Taken, Refusal> {
        match noticed.kind.as_str() {
            ORDER_OVERDUE => {
                let id = Uuid::try_parse(&noticed.order_id).ok();
                let mut orders = self.orders.iter_mut();
                let order = id.and_then(|id| orders.find(|order| order.id() == id));
                let order =
                    order.ok_or_else(|| Refusal::not_found("lift order", &noticed.order_id))?;
                if order.told_overdue {
                    return Ok(Taken::REPEATED);
                }
                order.told_overdue = true;
            }
            MISSING_CHECK => {
                let verdict = Uuid::from_slice(&noticed.verdict_id);
                let verdict = verdict.map_err(|_| Refusal::field("verdict_id", "is none"))?;
                let noted = Noted {
                    subject: noticed.subject,
                    stage: noticed.stage.clone(),
                    verdict: VerdictId(verdict),
                };
                if self.is_told(&noted) {
                    return Ok(Taken::REPEATED);
                }
                self.told_missing.push(noted);
            }
            _ => return Err(Refusal::field("kind", "is none that is noticed")),
        }
        Ok(Taken::new(Vec::new()))
    }
}
