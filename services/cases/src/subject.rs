//! What cases tell a subject of itself: which measures stand against it, and who asked about it.
//!
//! Cases are found by keys, which different subjects may share by accident: what is told is read from the records of the
//! verdicts, and only where the identifier is the subject's, compared in full. Never by name: of a name nobody knows whose
//! it is.

use std::sync::Arc;

use creditgate_measures::book::Book;
use creditgate_measures::event::Event;
use creditgate_measures::identifier::{Identifier, Key};
use creditgate_proto::decode::event_from_record;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::v1;
use creditgate_runtime::ports::{Answer, CasesOfSubject, OfSubject, SubjectCases};
use tonic::Status;

use crate::cases::Cases;
use crate::error::Error;
use crate::pages;
use crate::review::record_at;
use crate::service::{told, unreadable};
use crate::state::{About, CaseMeasure, CaseState, MeasureState, OrderState, Resting};
use crate::table::Which;

/// Cases with measures that one report tells of.
const TRACKED_MAX: usize = 500;
/// Cases that are looked for at once.
const BATCH: usize = 100;

impl SubjectCases for Cases {
    fn of_subject(&self, asked: OfSubject) -> Answer<'_, Result<CasesOfSubject, Status>> {
        Box::pin(async move {
            let size = pages::size(asked.page_size)?;
            let place = pages::place(&asked.page_token, |case, below, _| Place::read(case, below))?;
            self.sync().await.map_err(told)?;
            let cases = self.clone();
            let read = move || Teller::new(&cases, &asked.identifiers).tell(place, size);
            tokio::task::spawn_blocking(read)
                .await
                .map_err(|_| Status::internal("the work ended without an answer"))?
                .map_err(unreadable)
        })
    }
}

/// Where a page of verdicts ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Row of the case.
    case: i64,
    /// The first of its verdicts, by their places, that was told.
    below: usize,
}

impl Place {
    fn read(case: &str, below: &str) -> Option<Self> {
        Some(Self {
            case: case.parse().ok()?,
            below: below.parse().ok()?,
        })
    }

    /// As [`pages::place`] reads it: three texts.
    fn token(self) -> String {
        format!("{}\t{}\t", self.case, self.below)
    }
}

/// Tells of one subject.
struct Teller<'a> {
    cases: &'a Cases,
    /// Every identifier of the subject.
    identifiers: &'a [Identifier],
    keys: Vec<Key>,
    book: Arc<Book>,
}

/// The record of a verdict in which the subject is a party.
struct Asked {
    event: Event,
    verdict: v1::Verdict,
    caller: String,
    /// Its places in the event.
    places: Vec<u32>,
}

impl Asked {
    /// What was decided for the subject.
    fn shown(&self) -> impl Iterator<Item = &v1::SubjectVerdict> {
        let subjects = self.verdict.subjects.iter();
        subjects.filter(|shown| self.places.contains(&shown.index))
    }
}

impl<'a> Teller<'a> {
    fn new(cases: &'a Cases, identifiers: &'a [Identifier]) -> Self {
        let mut keys: Vec<Key> = identifiers.iter().map(Identifier::key).collect();
        keys.sort_unstable();
        keys.dedup();
        Self {
            cases,
            identifiers,
            keys,
            book: Arc::clone(&cases.live().load().book),
        }
    }

    /// A page; the first one has the measures, too.
    fn tell(&self, place: Option<Place>, size: usize) -> Result<CasesOfSubject, Error> {
        let mut told = CasesOfSubject::default();
        if place.is_none() {
            self.measures(&mut told)?;
        }
        self.inquiries(&mut told, place, size)?;
        Ok(told)
    }

    fn measures(&self, told: &mut CasesOfSubject) -> Result<(), Error> {
        let lookup = self.cases.lookup();
        let rows = lookup.of_subject(Which::Tracked, &self.keys, i64::MAX, TRACKED_MAX + 1)?;
        told.more_measures = rows.len() > TRACKED_MAX;
        for row in rows.into_iter().take(TRACKED_MAX) {
            if let Some(state) = self.state(row)? {
                self.measures_of(&state, &mut told.measures)?;
            }
        }
        Ok(())
    }

    fn measures_of(
        &self,
        state: &CaseState,
        told: &mut Vec<v1::StandingMeasure>,
    ) -> Result<(), Error> {
        let own = self.numbers(state);
        for (place, measure) in (0..).zip(&state.measures) {
            if !own.contains(&measure.subject) {
                continue;
            }
            let open = state
                .orders
                .iter()
                .filter(|order| order.measure == place && order.state == OrderState::Open);
            let to_be_lifted_by = once_each(open.map(|order| order.implementer.clone()));
            let ended = matches!(
                measure.state,
                MeasureState::Rejected | MeasureState::Unsupported
            );
            if ended && to_be_lifted_by.is_empty() {
                continue;
            }
            let key = measure.key();
            let Some(resting) = state.resting().find(|resting| resting.key == key) else {
                continue;
            };
            let carried_out = state.counting().filter(|report| {
                matches!(report.about, About::Penalty { measure, .. } if measure == place)
                    && report.says_executed()
            });
            let departments = carried_out.map(|report| report.feedback.department.clone());
            let carried_out_by = once_each(departments);
            if let Some(standing) = self.standing(state, measure, &resting)? {
                told.push(v1::StandingMeasure {
                    carried_out_by,
                    to_be_lifted_by,
                    ..standing
                });
            }
        }
        Ok(())
    }

    /// A measure as the verdict explains it that showed it last; none: it falls on somebody else.
    fn standing(
        &self,
        state: &CaseState,
        measure: &CaseMeasure,
        resting: &Resting<'_>,
    ) -> Result<Option<v1::StandingMeasure>, Error> {
        let Some(asked) = self.asked(resting.position)? else {
            return Ok(None);
        };
        let mut triggered = asked.shown().flat_map(|shown| &shown.triggered);
        let row = triggered.find_map(|one| {
            let row = one.measure.as_ref()?;
            (row.id == measure.measure_id).then(|| row.clone())
        });
        let Some(row) = row else {
            return Ok(None);
        };
        // Of several versions of a row the last.
        let mut rows = self.book.measures().iter();
        let published = rows.rfind(|known| known.id.as_str() == row.id);
        let day = published.and_then(|row| row.published_at);
        let place = published.and_then(|row| row.published_in.as_deref());
        let shown = state.measure_shown(measure, &*self.cases.terms());
        let (scenario, stage) = (&asked.verdict.scenario, &shown.stage);
        let (scenario_title, stage_title) = self.titles(scenario, stage);
        Ok(Some(v1::StandingMeasure {
            case_id: state.case_id.clone(),
            scenario: scenario.clone(),
            scenario_title,
            stage: stage.clone(),
            stage_title,
            region: asked.event.region.to_string(),
            role: shown.role,
            measure: Some(row),
            published_at: day.map(|day| day.to_string()).unwrap_or_default(),
            published_in: place.unwrap_or_default().to_owned(),
            effect: shown.effect,
            state: shown.state,
            decide_by: shown.decide_by,
            entry_ids: shown.entry_ids,
            verdict_id: shown.verdict_id,
            judged_at: asked.verdict.evaluated_at,
            source: asked.verdict.source.clone(),
            caller: asked.caller.clone(),
            ..v1::StandingMeasure::default()
        }))
    }

    fn inquiries(
        &self,
        told: &mut CasesOfSubject,
        place: Option<Place>,
        size: usize,
    ) -> Result<(), Error> {
        let mut before = i64::MAX;
        if let Some(place) = place {
            before = place.case;
            if self.inquiries_of(place, size, told)? {
                return Ok(());
            }
        }
        loop {
            let lookup = self.cases.lookup();
            let rows = lookup.of_subject(Which::All, &self.keys, before, BATCH)?;
            for case in &rows {
                before = *case;
                let whole = Place {
                    case: *case,
                    below: usize::MAX,
                };
                if self.inquiries_of(whole, size, told)? {
                    return Ok(());
                }
            }
            if rows.len() < BATCH {
                return Ok(());
            }
        }
    }

    /// Adds the verdicts of a case that stand below a place in it, the last first; gives whether the page is full before
    /// its end.
    fn inquiries_of(
        &self,
        place: Place,
        size: usize,
        told: &mut CasesOfSubject,
    ) -> Result<bool, Error> {
        let Some(state) = self.state(place.case)? else {
            return Ok(false);
        };
        let own = self.numbers(&state);
        let verdicts = state.verdicts.iter().enumerate().take(place.below);
        for (at, recorded) in verdicts.rev() {
            if !recorded.subjects.iter().any(|number| own.contains(number)) {
                continue;
            }
            if told.inquiries.len() >= size {
                let below = at + 1;
                told.next_page_token = Place { below, ..place }.token();
                return Ok(true);
            }
            let Some(asked) = self.asked(recorded.position)? else {
                continue;
            };
            let superseded_by = state.superseded_by(recorded.verdict);
            let superseded_by = superseded_by.map(|id| id.to_string()).unwrap_or_default();
            told.inquiries
                .extend(asked.shown().map(|shown| v1::Inquiry {
                    superseded_by: superseded_by.clone(),
                    ..self.inquiry(&asked, shown)
                }));
        }
        Ok(false)
    }

    fn inquiry(&self, asked: &Asked, shown: &v1::SubjectVerdict) -> v1::Inquiry {
        let (event, verdict) = (&asked.event, &asked.verdict);
        let (scenario_title, stage_title) = self.titles(&verdict.scenario, &verdict.stage);
        let stated = |text: Option<&str>| text.unwrap_or_default().to_owned();
        v1::Inquiry {
            verdict_id: verdict.verdict_id.clone(),
            evaluated_at: verdict.evaluated_at,
            source: verdict.source.clone(),
            caller: asked.caller.clone(),
            scenario: verdict.scenario.clone(),
            scenario_title,
            stage: verdict.stage.clone(),
            stage_title,
            item_code: stated(event.item_code.as_deref()),
            purpose: stated(event.purpose.as_deref()),
            region: event.region.to_string(),
            case_id: verdict.case_id.clone(),
            role: shown.role.clone(),
            outcome: shown.outcome.clone(),
            effect: shown.effect.clone().unwrap_or_default(),
            proposed: shown.proposed.clone().unwrap_or_default(),
            cause: verdict.cause.clone(),
            ..v1::Inquiry::default()
        }
    }

    /// The record at a position; none: the subject is no party in it, or it cannot be read as an event.
    fn asked(&self, position: u64) -> Result<Option<Asked>, Error> {
        let record = record_at(self.cases.reviews().as_ref(), position)?;
        let Ok(event) = event_from_record(&record) else {
            return Ok(None);
        };
        let Some(verdict) = record.verdict else {
            return Ok(None);
        };
        let Some(at) = verdict.evaluated_at.as_ref().and_then(time_from_proto) else {
            return Ok(None);
        };
        let is_own = |other: &Identifier| self.identifiers.iter().any(|i| i.same_subject(other));
        let places: Vec<u32> = (0..)
            .zip(&event.subjects)
            .filter(|(_, subject)| subject.valid_identifier(at).is_some_and(is_own))
            .map(|(place, _)| place)
            .collect();
        Ok((!places.is_empty()).then_some(Asked {
            event,
            verdict,
            caller: record.caller,
            places,
        }))
    }

    fn state(&self, case: i64) -> Result<Option<CaseState>, Error> {
        let found = self.cases.lookup().case_of(case)?;
        let state = found.map(|found| CaseState::from_stored(&found.state));
        Ok(state.transpose()?)
    }

    /// The numbers in the case that may be the subject's.
    fn numbers(&self, state: &CaseState) -> Vec<u32> {
        (0..)
            .zip(&state.subjects)
            .filter(|(_, subject)| subject.lookups.iter().any(|key| self.keys.contains(key)))
            .map(|(number, _)| number)
            .collect()
    }

    /// What a scenario and its stage are called; empty where the book in force does not know them.
    fn titles(&self, scenario: &str, stage: &str) -> (String, String) {
        let Some(scenario) = self.book.scenario(scenario) else {
            return (String::new(), String::new());
        };
        let stage = scenario.stage(stage);
        let stage = stage.map(|stage| stage.title.zh.clone());
        (scenario.title.zh.clone(), stage.unwrap_or_default())
    }
}

/// Names that are there, each once, in their order.
fn once_each(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_page_is_read_as_it_was_told() {
        let place = Place { case: 17, below: 3 };
        let read = |token: &str| pages::place(token, |case, below, _| Place::read(case, below));
        assert_eq!(read(&place.token()).expect("a place"), Some(place));
        assert_eq!(read("").expect("the beginning"), None);
        for wrong in ["17", "17\t3", "a\t3\t", "17\t-1\t"] {
            let refused = read(wrong).expect_err(wrong);
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        }
    }

    #[test]
    fn each_name_is_told_once() {
        let names = ["甲局", "", "乙局", "甲局"].map(str::to_owned);
        assert_eq!(once_each(names.into_iter()), ["甲局", "乙局"]);
    }
}
