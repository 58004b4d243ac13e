//! What the lists are told of a report, as the verdict says that it names: a case keeps no identifiers.

use std::collections::BTreeMap;

use creditgate_measures::event::{Event, Sensitive, Subject};
use creditgate_measures::time::Time;
use creditgate_proto::decode::event_from_record;
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::journal::v1::{InspectionReported, ListsTold, MeasureTaken, VerdictRecord};
use creditgate_proto::subject::alias_to_proto;
use creditgate_proto::v1;

use crate::state::{About, CaseState, Report};

/// How an entry was found that is of somebody else.
const RELATED: &str = "related:";

/// What there is to tell of a report; nothing where the verdict's record cannot be read any more.
pub(crate) fn lists_told(state: &CaseState, report: &Report, record: &VerdictRecord) -> ListsTold {
    let mut told = ListsTold {
        feedback_id: report.feedback.feedback_id.clone(),
        ..ListsTold::default()
    };
    let Ok(event) = event_from_record(record) else {
        return told;
    };
    let place = usize::try_from(report.feedback.subject).unwrap_or(usize::MAX);
    let Some(subject) = event.subjects.get(place) else {
        return told;
    };
    let judged_at = record
        .verdict
        .as_ref()
        .and_then(|verdict| time_from_proto(verdict.evaluated_at.as_ref()?))
        .unwrap_or(report.recorded_at);
    match report.about {
        About::Penalty { .. } => {
            let (reason, document_no) = decided(state, report);
            let shown = record.verdict.iter().flat_map(|verdict| &verdict.subjects);
            let mut shown = shown.filter(|shown| shown.index == report.feedback.subject);
            let triggered = shown.next().map_or(&[][..], |shown| &shown.triggered);
            told.measures = paths(triggered, &report.feedback.measure_id)
                .into_iter()
                .map(|(entry_id, path)| {
                    let role = path.strip_prefix(RELATED);
                    MeasureTaken {
                        entry_id: entry_id.to_owned(),
                        verdict_id: report.verdict.to_string(),
                        measure_id: report.feedback.measure_id.clone(),
                        case_id: state.case_id.clone(),
                        by: report.feedback.department.clone(),
                        at: Some(time_to_proto(report.executed_at)),
                        document_no: document_no.clone(),
                        on: role.map(|role| related(role, subject, judged_at)),
                        verdict_subject: role.map(|_| report.feedback.subject),
                    }
                })
                .collect();
            told.reason = reason;
        }
        About::Inspection => {
            told.inspection = inspection(state, report, &event, subject, judged_at);
        }
        About::Reward(_) => {}
    }
    told
}

/// The entries that a measure rests on, each with how it was found: of several ways the subject's own
/// identifier goes first, since a notice to the listed one needs no relation.
fn paths<'a>(triggered: &'a [v1::Triggered], measure_id: &str) -> BTreeMap<&'a str, &'a str> {
    let mut paths: BTreeMap<&str, &str> = BTreeMap::new();
    for one in triggered {
        let measure = one.measure.as_ref();
        if measure.is_none_or(|measure| measure.id != measure_id) {
            continue;
        }
        if let Some(hit) = &one.entry {
            let path = paths.entry(&hit.entry_id).or_insert(&hit.path);
            if path.starts_with(RELATED) && !hit.path.starts_with(RELATED) {
                *path = &hit.path;
            }
        }
    }
    paths
}

/// Why it was carried out and by which document: as the report says, else as the official who confirmed it.
fn decided(state: &CaseState, report: &Report) -> (String, String) {
    let measure = match report.about {
        About::Penalty { measure, .. } => usize::try_from(measure).ok(),
        About::Reward(_) | About::Inspection => None,
    };
    let measure = measure.and_then(|place| state.measures.get(place));
    let decisions = measure.into_iter().flat_map(|measure| &measure.decisions);
    let mut confirmed = decisions.filter(|decision| decision.confirmed);
    let confirmed = confirmed.next_back();
    let or = |own: &str, decided: Option<&str>| match own.trim().is_empty() {
        true => decided.unwrap_or_default().to_owned(),
        false => own.to_owned(),
    };
    let feedback = &report.feedback;
    (
        or(&feedback.reason, confirmed.map(|one| one.reason.0.as_str())),
        or(
            &feedback.document_no,
            confirmed.map(|one| one.document_no.as_str()),
        ),
    )
}

/// Whom a measure fell on by a relation to the listed one.
fn related(role: &str, subject: &Subject, at: Time) -> v1::RelatedSubject {
    let known = query(subject, at);
    v1::RelatedSubject {
        role: role.to_owned(),
        id_type: known.id_type,
        id: known.id,
        issuer: known.issuer,
        name: known.name,
    }
}

fn query(subject: &Subject, at: Time) -> v1::SubjectQuery {
    let identifier = subject.valid_identifier(at).map(alias_to_proto);
    let identifier = identifier.unwrap_or_default();
    let name = subject.name.as_ref().map(Sensitive::reveal);
    v1::SubjectQuery {
        id_type: identifier.id_type,
        id: identifier.id,
        issuer: identifier.issuer,
        name: name.unwrap_or_default().to_owned(),
    }
}

fn inspection(
    state: &CaseState,
    report: &Report,
    event: &Event,
    subject: &Subject,
    at: Time,
) -> Option<InspectionReported> {
    let feedback = &report.feedback;
    let found = feedback.inspection.as_ref()?;
    let kind = subject.kind.map(|kind| kind.code().to_owned());
    Some(InspectionReported {
        feedback_id: feedback.feedback_id.clone(),
        case_id: state.case_id.clone(),
        verdict_id: report.verdict.to_string(),
        subject: Some(query(subject, at)),
        kind: kind.unwrap_or_default(),
        authority: feedback.department.clone(),
        division_code: feedback.division_code.clone(),
        at: Some(time_to_proto(report.executed_at)),
        document_no: feedback.document_no.clone(),
        item: found.item.clone(),
        result: found.result.clone(),
        finding: feedback.reason.clone(),
        attention_list: found.attention_list.clone(),
        proposed_entry_id: String::new(),
        region: event.region.to_string(),
    })
}
