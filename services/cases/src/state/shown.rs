//! A case as the service shows it.

use std::collections::HashMap;

use creditgate_measures::time::Time;
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;

use super::table::{MeasureState, Named, OrderState};
use super::{
    CaseMeasure, CaseReward, CaseState, Decision, LiftOrder, OtherAnswer, Recorded, Report, Terms,
};

/// By what a case is shown.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The time.
    pub now: Time,
    /// An order open for longer is overdue, in microseconds.
    pub overdue_after_micros: i64,
    /// What the book in force says.
    pub terms: &'a dyn Terms,
}

impl CaseState {
    /// The case with everything that happened in it.
    #[must_use]
    pub fn shown(&self, view: View<'_>) -> v1::CaseShown {
        let Some(life) = &self.life else {
            return v1::CaseShown {
                case_id: self.case_id.clone(),
                ..v1::CaseShown::default()
            };
        };
        let open = self.is_open();
        let until = self.open_until(view.terms).filter(|_| open);
        let next = self.next_decisive(view.terms).filter(|_| open);
        v1::CaseShown {
            case_id: self.case_id.clone(),
            scenario: self.scenario.clone(),
            state: life.phase.code().to_owned(),
            closed_why: life.closed_why.clone(),
            opened_at: Some(time_to_proto(life.opened_at)),
            closed_at: life.closed_at.map(time_to_proto),
            open_until: until.map(|day| day.to_string()).unwrap_or_default(),
            verdicts: self.verdicts_shown(),
            checks: self
                .checks
                .iter()
                .map(|check| v1::StageCheck {
                    subject: check.subject,
                    role: self.role(check.subject),
                    stage: check.stage.clone(),
                    at: Some(time_to_proto(check.at)),
                })
                .collect(),
            measures: self
                .measures
                .iter()
                .map(|measure| self.measure_shown(measure, view.terms))
                .collect(),
            feedback: self.reports.iter().map(Report::shown).collect(),
            orders: self
                .orders
                .iter()
                .map(|order| self.order_shown(order, view))
                .collect(),
            next_stage: next.unwrap_or_default().to_owned(),
            missing: self
                .missing(view.now, view.terms)
                .into_iter()
                .map(|noted| v1::MissingCheck {
                    subject: noted.subject,
                    stage: noted.stage,
                    verdict_id: noted.verdict.to_string(),
                })
                .collect(),
            other_answers: self.other_answers.iter().map(OtherAnswer::shown).collect(),
            rewards: self
                .rewards
                .iter()
                .map(|reward| self.reward_shown(reward))
                .collect(),
            closing: life.closing.as_ref().map(|closing| v1::CaseClosing {
                reason: closing.reason.0.clone(),
                document_no: closing.document_no.clone(),
                caller: closing.caller.clone(),
            }),
        }
    }

    fn reward_shown(&self, reward: &CaseReward) -> v1::CaseReward {
        let verdict = self.recorded(reward.verdict);
        let mut subjects = verdict.into_iter().flat_map(|verdict| &verdict.subjects);
        let place = subjects.position(|subject| *subject == reward.subject);
        v1::CaseReward {
            subject: reward.subject,
            role: self.role(reward.subject),
            measure_id: reward.measure_id.clone(),
            title: reward.title.clone(),
            verdict_id: reward.verdict.to_string(),
            stage: reward.stage.clone(),
            verdict_subject: place.map_or(0, super::case::number),
            implementers: reward.implementers.clone(),
        }
    }

    /// The case in one line.
    #[must_use]
    pub fn summary(&self, view: View<'_>) -> v1::CaseSummary {
        let life = self.life.as_ref();
        let count = |of: fn(MeasureState) -> bool| {
            count(self.measures.iter().filter(|measure| of(measure.state)))
        };
        v1::CaseSummary {
            case_id: self.case_id.clone(),
            scenario: self.scenario.clone(),
            state: life.map(|l| l.phase.code().to_owned()).unwrap_or_default(),
            stage: life.map(|l| l.last.stage.clone()).unwrap_or_default(),
            outcome: self
                .latest()
                .map(|v| v.said.outcome.clone())
                .unwrap_or_default(),
            last_event_at: life.map(|l| time_to_proto(l.last.occurred_at)),
            in_effect: count(MeasureState::bites),
            proposed: count(MeasureState::waits),
            open_orders: self::count(self.orders.iter().filter(|o| o.state == OrderState::Open)),
            missing: self::count(self.missing(view.now, view.terms).iter()),
            differing_answers: u32::try_from(self.differing_answers()).unwrap_or(u32::MAX),
        }
    }

    /// What waits for an official.
    #[must_use]
    pub fn proposals(&self, terms: &dyn Terms) -> Vec<v1::Proposal> {
        self.measures
            .iter()
            .filter(|measure| measure.state.waits())
            .map(|measure| self.proposal_shown(measure, terms))
            .collect()
    }

    /// One measure as a proposal, whatever became of it.
    #[must_use]
    pub fn proposal_shown(&self, measure: &CaseMeasure, terms: &dyn Terms) -> v1::Proposal {
        v1::Proposal {
            case_id: self.case_id.clone(),
            scenario: self.scenario.clone(),
            measure: Some(self.measure_shown(measure, terms)),
        }
    }

    /// A lift order.
    #[must_use]
    pub fn order_shown(&self, order: &LiftOrder, view: View<'_>) -> v1::LiftOrder {
        let measure = usize::try_from(order.measure)
            .ok()
            .and_then(|place| self.measures.get(place));
        let open = order.state == OrderState::Open;
        let age = match open {
            true => view.now.since(order.ordered_at).max(0),
            false => 0,
        };
        let done = order.acknowledged.as_ref();
        v1::LiftOrder {
            order_id: order.id().hyphenated().to_string(),
            case_id: self.case_id.clone(),
            measure_id: measure.map(|m| m.measure_id.clone()).unwrap_or_default(),
            title: measure.map(|m| m.title.clone()).unwrap_or_default(),
            subject: measure.map_or(0, |m| m.subject),
            implementer: order.implementer.clone(),
            cause: order.cause.clone(),
            entry_ids: order.entries.clone(),
            state: order.state.code().to_owned(),
            ordered_at: Some(time_to_proto(order.ordered_at)),
            age_ms: u64::try_from(age / 1_000).unwrap_or_default(),
            overdue: open && age > view.overdue_after_micros,
            acknowledged_by: done.map(|d| d.by.0.clone()).unwrap_or_default(),
            acknowledged_at: done.map(|d| time_to_proto(d.at)),
            document_no: done.map(|d| d.document_no.clone()).unwrap_or_default(),
            verdict_id: measure.map(|m| m.verdict.to_string()).unwrap_or_default(),
            verdict_subject: measure.map_or(0, |m| self.place_in_verdict(m)),
            role: measure.map(|m| self.role(m.subject)).unwrap_or_default(),
        }
    }

    /// Where the subject of a measure stands in the verdict that showed the measure last. The number that
    /// it has in the case is another thing: each event names its parties in an order of its own.
    fn place_in_verdict(&self, measure: &CaseMeasure) -> u32 {
        self.shown_by(measure)
            .into_iter()
            .flat_map(|shown_by| (0..).zip(shown_by.subjects))
            .find(|(_, subject)| **subject == measure.subject)
            .map_or(0, |(place, _)| place)
    }

    /// A measure.
    #[must_use]
    pub fn measure_shown(&self, measure: &CaseMeasure, terms: &dyn Terms) -> v1::CaseMeasure {
        let waits = measure.state.waits();
        let decide_by = measure
            .proposed_at
            .filter(|_| waits)
            .and_then(|at| terms.decide_by(&measure.measure_id, at));
        v1::CaseMeasure {
            key: measure.key(),
            subject: measure.subject,
            role: self.role(measure.subject),
            measure_id: measure.measure_id.clone(),
            title: measure.title.clone(),
            effect: measure.basis.effect.clone(),
            state: measure.state.code().to_owned(),
            verdict_id: measure.verdict.to_string(),
            stage: measure.stage.clone(),
            entry_ids: measure.basis.entries.clone(),
            implementers: measure.implementers.clone(),
            claimed_by: measure
                .claimed_by
                .as_ref()
                .filter(|_| waits)
                .map(|by| by.0.clone())
                .unwrap_or_default(),
            decide_by: decide_by.map(|day| day.to_string()).unwrap_or_default(),
            escalated: measure.escalated && waits,
            four_eyes: terms.four_eyes(&measure.measure_id),
            decisions: measure.decisions.iter().map(Decision::shown).collect(),
            former_entry_ids: measure.former_entries.clone(),
            verdict_subject: self.place_in_verdict(measure),
        }
    }

    fn verdicts_shown(&self) -> Vec<v1::CaseVerdict> {
        // Of several that took one verdict's place the last one stays.
        let mut successors: HashMap<VerdictId, VerdictId> = HashMap::new();
        for one in &self.verdicts {
            if let Some(before) = one.supersedes.filter(|before| *before != one.verdict) {
                successors.insert(before, one.verdict);
            }
        }
        let id = |id: Option<&VerdictId>| id.map(VerdictId::to_string).unwrap_or_default();
        let shown = |one: &Recorded| v1::CaseVerdict {
            verdict_id: one.verdict.to_string(),
            stage: one.stage.clone(),
            cause: one.cause.clone(),
            outcome: one.said.outcome.clone(),
            evaluated_at: Some(time_to_proto(one.evaluated_at)),
            list_version: one.list_version.clone(),
            supersedes: id(one.supersedes.as_ref()),
            superseded_by: id(successors.get(&one.verdict)),
        };
        self.verdicts.iter().map(shown).collect()
    }

    fn role(&self, subject: u32) -> String {
        usize::try_from(subject)
            .ok()
            .and_then(|place| self.subjects.get(place))
            .map(|subject| subject.role.clone())
            .unwrap_or_default()
    }
}

impl Report {
    /// As the service shows it.
    #[must_use]
    pub fn shown(&self) -> v1::FeedbackShown {
        v1::FeedbackShown {
            feedback: Some(self.feedback.clone()),
            recorded_at: Some(time_to_proto(self.recorded_at)),
            caller: self.caller.clone(),
            flags: self.flags.clone(),
            about: self.about.code().to_owned(),
            lists_told: self.lists_told,
        }
    }
}

impl OtherAnswer {
    fn shown(&self) -> v1::OtherAnswer {
        let said = &self.said;
        v1::OtherAnswer {
            verdict_id: self.verdict.to_string(),
            answer: format!("{:016x}", said.answer),
            outcome: said.outcome.clone(),
            effect: said.effect.clone().unwrap_or_default(),
            proposed: said.proposed.clone().unwrap_or_default(),
            evaluated_at: Some(time_to_proto(self.evaluated_at)),
            list_version: self.list_version.clone(),
            differs: self.differs.clone(),
        }
    }
}

impl Decision {
    fn shown(&self) -> v1::ProposalDecision {
        v1::ProposalDecision {
            decision: self.code().to_owned(),
            by: self.by.0.clone(),
            reason: self.reason.0.clone(),
            document_no: self.document_no.clone(),
            recorded_at: Some(time_to_proto(self.recorded_at)),
            caller: self.caller.clone(),
        }
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}
