//! A case, as the tables hold it.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_measures::time::Time;

use crate::state::table::Named;
use crate::state::{About, CaseMeasure, CaseState, MeasureState, OrderState, Terms};
use crate::table::{Children, OrderRow, ProposalRow, ReportRow, Row};

/// The row of a case.
pub(crate) fn row<'a>(state: &'a CaseState, terms: &dyn Terms) -> Row<'a> {
    let life = state.life.as_ref();
    Row {
        case_id: &state.case_id,
        scenario: &state.scenario,
        region: state.region(),
        open: state.is_open(),
        tracked: is_tracked(state),
        open_until: open_until(state, terms),
        missing_from: state.missing_from(terms).map(Time::micros),
        last_event_at: life.map_or(0, |life| life.last.occurred_at.micros()),
        state: state.to_stored(),
        children: children(state, terms),
    }
}

/// When the passing of time alone has something to record: at once for a case to which something is owed,
/// should that not have been recorded with what showed it.
fn open_until(state: &CaseState, terms: &dyn Terms) -> i64 {
    if !state.owed(Time::from_micros(0), terms).is_empty() {
        return 0;
    }
    let ends = state.open_until(terms).filter(|_| state.is_open());
    let ends = ends.map(|day| day.next_day().start());
    let first = ends.into_iter().chain(state.tells_from(terms)).min();
    first.map_or(i64::MAX, Time::micros)
}

/// Whether measures of the case may still lose their support, or get it back.
fn is_tracked(state: &CaseState) -> bool {
    let stands =
        |state: MeasureState| !matches!(state, MeasureState::Rejected | MeasureState::Unsupported);
    state.measures.iter().any(|measure| stands(measure.state))
        || state
            .orders
            .iter()
            .any(|order| order.state == OrderState::Open)
}

/// What leads to a case.
pub(crate) fn children(state: &CaseState, terms: &dyn Terms) -> Children {
    let mut entries: Vec<String> = state
        .measures
        .iter()
        .flat_map(|measure| measure.basis.entries.iter().cloned())
        .collect();
    entries.sort_unstable();
    entries.dedup();
    let mut measures: Vec<String> = state
        .measures
        .iter()
        .map(|measure| measure.measure_id.clone())
        .collect();
    measures.sort_unstable();
    measures.dedup();
    let bites = state.verdicts.iter().filter(|verdict| {
        !verdict.shown.is_empty() || !verdict.offered.is_empty() || verdict.inspects
    });
    let others = state.other_answers.iter();
    let others = others.filter(|other| !other.shown.is_empty() || !other.offered.is_empty());
    let bites: BTreeSet<[u8; 16]> = bites
        .map(|verdict| verdict.verdict)
        .chain(others.map(|other| other.verdict))
        .map(|verdict| verdict.0.into_bytes())
        .collect();
    let waiting = state
        .measures
        .iter()
        .filter(|measure| measure.state.waits());
    let last_day = |measure: &CaseMeasure| {
        let proposed_at = measure.proposed_at?;
        terms.decide_by(&measure.measure_id, proposed_at)
    };
    let mut reports = BTreeMap::new();
    for report in state.counting() {
        let (feedback, Some(key)) = (&report.feedback, key_of(state, report.about)) else {
            continue;
        };
        let row = ReportRow {
            key: key.clone(),
            verdict: report.verdict.0.into_bytes(),
            implementer: feedback.implementer.clone(),
            measure: feedback.measure_id.clone(),
            direction: report.about.code(),
            status: feedback.status.clone(),
            department: feedback.department.clone(),
            division: feedback.division_code.clone(),
            day: report.executed_at.date().to_string(),
            amount: feedback.amount_fen.unwrap_or_default(),
        };
        reports.insert((key, report.verdict, feedback.implementer.clone()), row);
    }
    let mut said: Vec<String> = state
        .reports
        .iter()
        .map(|report| report.feedback.feedback_id.clone())
        .collect();
    said.sort_unstable();
    Children {
        keys: state.lookups(),
        entries,
        measures,
        bites: bites.into_iter().collect(),
        proposals: waiting
            .map(|measure| ProposalRow {
                key: measure.key(),
                state: measure.state.code(),
                measure: measure.measure_id.clone(),
                decide_by: last_day(measure).map_or(String::new(), |day| day.to_string()),
                escalated: measure.escalated,
            })
            .collect(),
        orders: state
            .orders
            .iter()
            .map(|order| OrderRow {
                id: order.id().hyphenated().to_string(),
                implementer: order.implementer.clone(),
                state: order.state.code(),
                ordered_at: order.ordered_at.micros(),
            })
            .collect(),
        reports: reports.into_values().collect(),
        said,
    }
}

/// What a report that is counted is about, named within the case; an inspection is no measure.
fn key_of(state: &CaseState, about: About) -> Option<String> {
    match about {
        About::Penalty { measure, .. } => {
            let measure = state.measures.get(usize::try_from(measure).ok()?)?;
            Some(measure.key())
        }
        About::Reward(reward) => {
            let reward = state.rewards.get(usize::try_from(reward).ok()?)?;
            Some(reward.key())
        }
        About::Inspection => None,
    }
}
