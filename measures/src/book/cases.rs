//! The cases that each row carries, judged with the row alone; the book is refused when one fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::{BookError, Row, index};
use super::source::{CaseEntry, CaseSource, CaseValue};
use super::{Book, Measure, Signing};
use crate::case::CaseView;
use crate::decide::{Question, decide};
use crate::entry::{Entry, Related, StateChange};
use crate::event::{
    AttributeValue, EntryId, Event, GivenIdentifier, ListCode, MeasureId, Region, ScenarioCode,
    Sensitive, StageCode, Subject,
};
use crate::identifier::{IdType, Identifier, invented};
use crate::lists::Lists;
use crate::time::{Date, Time};
use crate::verdict::Verdict;
use crate::vocabulary::{Confidence, Role, Severity, State, SubjectKind};

/// When a case takes place unless it says otherwise.
const WHEN: &str = "2026-06-01T10:00:00+08:00";
/// Where, unless the case or the row says otherwise: a city, for no reason but to be one.
const WHERE: &str = "320500";

/// A case that does not come out as it expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCase {
    /// The file.
    pub file: String,
    /// Line of the case.
    pub line: u64,
    /// Id of its row.
    pub row: MeasureId,
    /// Name of the case.
    pub name: String,
    /// How it fails.
    pub difference: Difference,
}

/// How a case fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Something else comes of it.
    Outcome {
        /// What the case expects.
        expected: String,
        /// What comes of it.
        got: String,
    },
    /// The row does not tell what the case says it shows.
    NotShown {
        /// The fragment that is missing.
        fragment: String,
        /// What the row tells.
        told: String,
    },
    /// It cannot be judged.
    Unclear(String),
}

impl From<FailedCase> for BookError {
    fn from(failed: FailedCase) -> Self {
        let name = failed.name;
        let (rule, mend) = match failed.difference {
            Difference::Outcome { expected, got } => (
                format!("case `{name}` expects `{expected}` and gets `{got}`"),
                "mend the row or the case",
            ),
            Difference::NotShown { fragment, .. } => (
                format!("case `{name}` expects that the row tells `{fragment}`, and it does not"),
                "mend the row or the case",
            ),
            Difference::Unclear(wrong) => (
                format!("case `{name}` cannot be judged: {wrong}"),
                "mend the case",
            ),
        };
        Self {
            file: failed.file,
            line: failed.line,
            subject: failed.row.to_string(),
            rule,
            mend: mend.to_owned(),
        }
    }
}

/// Judges every case of the book; what fails comes back with its place.
pub(super) fn run(book: &Book, rows: &[Row]) -> Vec<FailedCase> {
    let mut failed = Vec::new();
    for row in rows {
        let written = row.as_written();
        let told = written.told();
        let alone = book.with_row_alone(written);
        for case in &row.source.cases {
            if let Some(difference) = difference(&alone, &row.measure, &told, &case.value) {
                failed.push(FailedCase {
                    file: row.file.clone(),
                    line: case.referenced.line(),
                    row: row.measure.id.clone(),
                    name: case.value.name.clone(),
                    difference,
                });
            }
        }
    }
    failed
}

/// How a case of the row fails, if it does, judged in a book with the row alone.
pub(super) fn difference(
    alone: &Book,
    row: &Measure,
    told: &str,
    case: &CaseSource,
) -> Option<Difference> {
    let expected = &case.expect.value;
    match judge(alone, row, case) {
        Err(wrong) => Some(Difference::Unclear(wrong)),
        Ok(got) if got != *expected => Some(Difference::Outcome {
            expected: expected.clone(),
            got,
        }),
        Ok(_) => not_shown(told, case).map(|fragment| Difference::NotShown {
            fragment: fragment.to_owned(),
            told: told.to_owned(),
        }),
    }
}

/// The first fragment of a case that the row does not tell.
fn not_shown<'c>(told: &str, case: &'c CaseSource) -> Option<&'c str> {
    case.shows
        .iter()
        .map(String::as_str)
        .find(|fragment| !told.contains(*fragment))
}

impl Row {
    /// The row as it was written and as if it were active: a deployment's confirmation changes
    /// neither what its cases say nor what comes of them.
    fn as_written(&self) -> Measure {
        let confidence = Confidence::parse(&self.source.confidence.value);
        Measure {
            active: true,
            confidence: confidence.unwrap_or(self.measure.confidence),
            published_at: self.source.published_at.as_ref().map(|day| day.value.0),
            published_in: self.source.published_in.as_deref().map(Arc::from),
            effective_from: self.source.effective_from.as_ref().map(|day| day.value.0),
            ..Measure::clone(&self.measure)
        }
    }
}

impl Book {
    /// The same book with this row only.
    pub(super) fn with_row_alone(&self, row: Measure) -> Self {
        self.with_rows(vec![Arc::new(row)])
    }

    /// The same book with these rows and no other.
    pub(super) fn with_rows(&self, measures: Vec<Arc<Measure>>) -> Self {
        let mut scenarios = self.scenarios.clone();
        index(&mut scenarios, &measures, &self.lists);
        Self {
            name: self.name.clone(),
            title: self.title.clone(),
            edition: self.edition.clone(),
            supplements: Vec::new(),
            version: self.version,
            covers_from: self.covers_from,
            simplify: self.simplify.clone(),
            scenarios,
            repair_rules: Vec::new(),
            calendar: crate::clocks::Calendar::default(),
            notices: Vec::new(),
            lists: self.lists.clone(),
            measures,
            agreements: self.agreements.clone(),
            not_expressed: Vec::new(),
            not_connected: BTreeMap::new(),
            signing: Signing::Untold,
        }
    }
}

/// What comes of the case: `effect E`, `proposed E`, `offered`, `withheld` or `no match`.
fn judge(book: &Book, row: &Measure, case: &CaseSource) -> Result<String, String> {
    let event = event(row, case)?;
    let at = event.occurred_at;
    let log_id = uuid::Uuid::nil();
    let mut lists = Lists::empty(log_id, book.simplify());
    for list in book.lists() {
        lists.confirm(list.code.clone(), at);
    }
    if !case.unlisted {
        let described = case.entry.clone().unwrap_or_default();
        if let Some(entry) = entry(book, row, &event, &described, None)? {
            lists.put(&entry, book.simplify());
        }
    }
    if let Some(other) = &case.also_on {
        let described = CaseEntry {
            list: Some(other.value.clone()),
            ..CaseEntry::default()
        };
        if let Some(entry) = entry(book, row, &event, &described, Some("CASE-2"))? {
            lists.put(&entry, book.simplify());
        }
    }
    let verdict = decide(
        Question::about(&event),
        at,
        &CaseView::default(),
        &lists,
        book,
    );
    Ok(seen(&verdict))
}

fn seen(verdict: &Verdict) -> String {
    let Some(subject) = verdict.subjects.first() else {
        return "no match".to_owned();
    };
    if let Some(strongest) = subject.triggered.first() {
        return format!("{} {}", strongest.contributes.code(), strongest.effect);
    }
    match (subject.offered.first(), subject.withheld.first()) {
        (Some(_), _) => "offered".to_owned(),
        (None, Some(_)) => "withheld".to_owned(),
        (None, None) => "no match".to_owned(),
    }
}

fn event(row: &Measure, case: &CaseSource) -> Result<Event, String> {
    let scenario = match &case.event.scenario {
        Some(code) => ScenarioCode::new(code.as_str()),
        None => row
            .applies
            .first()
            .map(|(code, _)| code.clone())
            .ok_or("the row applies nowhere")?,
    };
    let stage = match &case.event.stage {
        Some(code) => StageCode::new(code.as_str()),
        None => row
            .applies
            .iter()
            .find(|(code, _)| *code == scenario)
            .and_then(|(_, stages)| stages.first().cloned())
            .ok_or("the row names no stage of this scenario")?,
    };
    let region = match &case.event.region {
        Some(code) => Region::parse(code).ok_or_else(|| format!("`{code}` is not a region"))?,
        None => row
            .region
            .or_else(|| Region::parse(WHERE))
            .ok_or("no region")?,
    };
    Ok(Event {
        source: "case".into(),
        id: "1".into(),
        case_id: "1".into(),
        scenario,
        stage,
        occurred_at: moment(case.event.occurred_at.as_deref().unwrap_or(WHEN))?,
        clock_filled: false,
        region,
        item_code: case.event.item_code.as_deref().map(Into::into),
        amount_fen: case.event.amount_fen,
        purpose: None,
        subjects: vec![subject(row, case)?],
        attributes: case
            .event
            .attributes
            .iter()
            .map(|(name, value)| (name.as_str().into(), attribute(value)))
            .collect(),
    })
}

fn attribute(value: &CaseValue) -> AttributeValue {
    match value {
        CaseValue::Bool(value) => AttributeValue::Bool(*value),
        CaseValue::Int(value) => AttributeValue::Int(*value),
        CaseValue::Text(value) => AttributeValue::Text(value.as_str().into()),
        CaseValue::List(values) => {
            AttributeValue::List(values.iter().map(|value| value.as_str().into()).collect())
        }
    }
}

fn moment(text: &str) -> Result<Time, String> {
    Time::parse(text).map_err(|_| format!("`{text}` is not a time"))
}

fn day(text: &str) -> Result<Date, String> {
    Date::parse(text).map_err(|_| format!("`{text}` is not a day"))
}

fn word<T>(text: &str, parse: fn(&str) -> Option<T>) -> Result<T, String> {
    parse(text).ok_or_else(|| format!("unknown word `{text}`"))
}

/// The subject: an enterprise with a valid code unless the case says otherwise.
fn subject(row: &Measure, case: &CaseSource) -> Result<Subject, String> {
    let related = case
        .entry
        .as_ref()
        .and_then(|entry| entry.related_as.as_deref());
    let role = match (case.subject.role.as_deref(), related) {
        (Some(role), _) | (None, Some(role)) => word(role, Role::parse)?,
        (None, None) => row.roles.first().copied().unwrap_or(Role::Applicant),
    };
    let kind = match case.subject.kind.as_deref() {
        Some("unknown") => None,
        Some(kind) => Some(word(kind, SubjectKind::parse)?),
        None if related.is_some() => Some(SubjectKind::NaturalPerson),
        None => Some(
            row.kinds
                .first()
                .copied()
                .unwrap_or(SubjectKind::Enterprise),
        ),
    };
    let (id_type, value) = match kind {
        Some(SubjectKind::NaturalPerson) => (IdType::Id18, invented::person(1)),
        Some(SubjectKind::IndividualBusiness) => (IdType::Uscc, invented::individual_business(1)),
        _ => (IdType::Uscc, invented::uscc(1)),
    };
    let given = GivenIdentifier {
        id_type,
        value: Sensitive::new(value),
        issuer: None,
    };
    Ok(Subject::new(None, role, kind, Some(given), None))
}

/// An entry in force on which the subject stands, unless the case says otherwise.
fn entry(
    book: &Book,
    row: &Measure,
    event: &Event,
    case: &CaseEntry,
    id: Option<&str>,
) -> Result<Option<Entry>, String> {
    let list = match &case.list {
        Some(code) => ListCode::new(code.as_str()),
        None => match row.lists.first() {
            Some(first) => first.clone(),
            None => return Ok(None),
        },
    };
    if book.list(list.as_str()).is_none() {
        return Err(format!("unknown list `{list}`"));
    }
    let occurred = event.occurred_at.date();
    let listed_on = match &case.valid_from {
        Some(text) => day(text)?,
        None => occurred.plus_days(-30),
    };
    let since = listed_on.start();
    let state = match case.state.as_deref() {
        Some(state) => word(state, State::parse)?,
        None => State::Effective,
    };
    let subject = event
        .subjects
        .first()
        .and_then(|s| s.valid_identifier(event.occurred_at))
        .cloned();
    let (identifier, related) = match case.related_as.as_deref() {
        None => (subject, Vec::new()),
        Some(role) => {
            let listed = Identifier::parse(IdType::Uscc, &invented::uscc(2), None).ok();
            let related = Related {
                role: word(role, Role::parse)?,
                identifier: subject,
                name: None,
            };
            (listed, vec![related])
        }
    };
    Ok(Some(Entry {
        entry_id: EntryId::new(id.unwrap_or("CASE-1")),
        list,
        identifier,
        name: None,
        former_names: Vec::new(),
        kind: None,
        severity: match case.severity.as_deref() {
            Some(severity) => Some(word(severity, Severity::parse)?),
            None => row.severities.first().copied(),
        },
        grade: case.grade.as_deref().map(Into::into),
        designated_by: None,
        document_no: Some("CASE".into()),
        basis: None,
        reason: None,
        region: match case.region.as_deref() {
            Some(code) => {
                Some(Region::parse(code).ok_or_else(|| format!("`{code}` is not a region"))?)
            }
            None => Some(event.region),
        },
        scope: case.scope.iter().map(|code| code.as_str().into()).collect(),
        act_date: None,
        served_at: Some(since),
        valid_from: since,
        valid_to: case.valid_to.as_deref().map(day).transpose()?,
        display_min_until: None,
        display_max_until: None,
        repeat_count: case.repeat_count.unwrap_or(0),
        related,
        aliases: Vec::new(),
        source_unit: None,
        rule_version: None,
        objection_marked: case.objection_marked,
        recorded_at: since,
        changes: vec![StateChange {
            to: state,
            effective_at: since,
            recorded_at: since,
        }],
    }))
}
