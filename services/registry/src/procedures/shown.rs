//! Procedures and notices, as messages.

use creditgate_measures::book::Book;
use creditgate_measures::clocks::notice::{self, NOT_STATED};
use creditgate_measures::clocks::{Notice, Occasion, Placeholder};
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::{Refused, v1};

use super::table::{self, Kind, Outcome};
use super::{measures, notices};
use crate::desk::{CarriedOut, Deadline, Desk, Procedure, Service, Taken};
use crate::error::ChangeError;
use crate::life;
use crate::registry::Registry;

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;

/// Placeholders that only the caller can fill.
const BY_CALLER: &[Placeholder] = &[
    Placeholder::Remedies,
    Placeholder::Measure,
    Placeholder::MeasureBasis,
    Placeholder::Decision,
    Placeholder::Implementer,
    Placeholder::Result,
    Placeholder::TalkAt,
    Placeholder::TalkPlace,
    Placeholder::Contact,
    Placeholder::NoticeDate,
];

/// Placeholders that the record of a measure and the book fill, where a measure is told of.
const OF_MEASURE: [Placeholder; 5] = [
    Placeholder::Remedies,
    Placeholder::Measure,
    Placeholder::MeasureBasis,
    Placeholder::Decision,
    Placeholder::Implementer,
];

/// A procedure.
pub fn procedure(procedure: &Procedure) -> v1::Procedure {
    let state = procedure.state();
    v1::Procedure {
        procedure_id: procedure.id.clone(),
        kind: procedure.kind.code().to_owned(),
        title: procedure.kind.title_zh().to_owned(),
        entry_id: procedure.entry_id.clone(),
        list: procedure.list.clone(),
        subject: procedure.subject(),
        authority: procedure.authority.clone(),
        state: state.code().to_owned(),
        state_title: state.title_zh().to_owned(),
        open: procedure.is_open(),
        outcome: procedure.outcome().map_or("", Outcome::code).to_owned(),
        scheduled_for: procedure.scheduled_for.map(time_to_proto),
        place: procedure.place.clone(),
        until: procedure
            .until
            .map_or_else(String::new, |day| day.to_string()),
        proposed_entry_id: procedure.proposed_entry_id.clone(),
        steps: procedure.steps.iter().map(taken).collect(),
        deadlines: procedure.deadlines.iter().map(deadline).collect(),
        possible: table::possible(procedure.kind, state),
    }
}

fn taken(taken: &Taken) -> v1::ProcedureStepTaken {
    let title = match taken.outcome {
        Some(outcome) => format!("{}：{}", taken.step.title_zh(), outcome.title_zh()),
        None => taken.step.title_zh().to_owned(),
    };
    v1::ProcedureStepTaken {
        step: taken.step.code().to_owned(),
        title,
        outcome: taken.outcome.map_or("", Outcome::code).to_owned(),
        by: taken.by.0.clone(),
        at: Some(time_to_proto(taken.at)),
        document_no: taken.document_no.clone(),
        reason: taken.reason.0.clone(),
        caller: taken.caller.clone(),
        seq: taken.recorded.seq,
        recorded_at: Some(time_to_proto(taken.recorded.at)),
        forced: taken.forced,
    }
}

fn deadline(limit: &Deadline) -> v1::Deadline {
    v1::Deadline {
        step: limit.step.clone(),
        title: limit.title.clone(),
        day: limit.day.to_string(),
        counted_from: limit.counted_from.to_string(),
        days: limit.days,
        unit: limit.unit.clone(),
        calendar: limit.calendar.clone(),
        basis: limit.basis.clone(),
        is_default: limit.is_default,
    }
}

/// Procedures, the oldest first, page by page.
pub fn procedures(
    desk: &Desk,
    asked: &v1::ListProceduresRequest,
) -> Result<v1::ListProceduresResponse, ChangeError> {
    let size = match asked.page_size {
        0 => PAGE_DEFAULT,
        size @ 1..=PAGE_MAX => size,
        _ => return Err(Refused::one("page_size", "at most 1000").into()),
    } as usize;
    let kind = Kind::parse(&asked.kind);
    if kind.is_none() && !asked.kind.is_empty() {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        let rule = format!("not known; known: {}", known.join(", "));
        return Err(Refused::one("kind", rule).into());
    }
    let mut all = Vec::new();
    let wanted = |one: &&Procedure| {
        kind.is_none_or(|kind| one.kind == kind) && (!asked.open || one.is_open())
    };
    match asked.entry_id.is_empty() {
        true => {
            let after = desk.procedures.after(&asked.page_token).filter(wanted);
            all.extend(after.take(size + 1).map(procedure));
        }
        false => {
            let of_entry = desk.procedures.of_entry(&asked.entry_id).filter(wanted);
            let after = of_entry.filter(|one| one.id > asked.page_token);
            all.extend(after.take(size + 1).map(procedure));
        }
    }
    let more = all.len() > size;
    all.truncate(size);
    let last = all.last().filter(|_| more);
    let next_page_token = last.map_or_else(String::new, |last| last.procedure_id.clone());
    Ok(v1::ListProceduresResponse {
        procedures: all,
        next_page_token,
    })
}

/// The notices of an entry, or the templates of the book.
pub fn notices(
    registry: &Registry,
    asked: &v1::ListNoticesRequest,
    now: Time,
) -> Result<v1::ListNoticesResponse, ChangeError> {
    let generation = registry.live().load_full();
    let book = &generation.book;
    if asked.entry_id.is_empty() {
        let templates = book.notices().iter();
        let notices = templates.map(|notice| template(notice, book)).collect();
        return Ok(v1::ListNoticesResponse { notices });
    }
    let entry = generation.lists.entry(&asked.entry_id);
    let entry = entry.ok_or(ChangeError::UnknownEntry)?;
    let list = life::known_list(entry.list.as_str(), book)?;
    let desk = registry.desk();
    let due = notices::due(&entry, list, book, &desk, now);
    let mut states = Vec::new();
    for notice in book.notices() {
        if notice.when == Occasion::MeasureBitten {
            of_measures(notice, &asked.entry_id, book, &desk, &mut states);
            continue;
        }
        let due = due.iter().find(|due| due.notice.id == notice.id);
        let served = desk.served.get(&asked.entry_id, &notice.id);
        if due.is_some() || served.is_some() {
            states.push(v1::NoticeState {
                due_since: due.map(|due| time_to_proto(due.since)),
                ..state(notice, served, book)
            });
        }
    }
    Ok(v1::ListNoticesResponse { notices: states })
}

fn state(notice: &Notice, served: Option<&Service>, book: &Book) -> v1::NoticeState {
    v1::NoticeState {
        served_at: served.map(|served| time_to_proto(served.at)),
        how: served.map_or_else(String::new, |served| served.how.clone()),
        proof: served.map_or_else(String::new, |served| served.proof.clone()),
        ..template(notice, book)
    }
}

/// One for each measure that was carried out: those that wait to be told, then those that were.
fn of_measures(
    notice: &Notice,
    entry_id: &str,
    book: &Book,
    desk: &Desk,
    states: &mut Vec<v1::NoticeState>,
) {
    let of =
        |(verdict_id, measure_id): (&str, &str), known: &CarriedOut, served: Option<&Service>| {
            let mut state = state(notice, served, book);
            state.verdict_subject = known.place();
            state.verdict_id = verdict_id.to_owned();
            state.measure_id = measure_id.to_owned();
            // The record of the measure and the book tell of these.
            let known = OF_MEASURE.map(Placeholder::code);
            let told = &mut state.told_by_caller;
            told.retain(|told| !known.contains(&told.as_str()));
            state
        };
    let waiting = desk.measures.waiting_of(entry_id);
    states.extend(waiting.map(|(verdict, measure, known)| v1::NoticeState {
        due_since: Some(time_to_proto(known.at)),
        ..of((verdict, measure), known, None)
    }));
    let told = desk.measures.told_of(entry_id);
    states.extend(told.map(|(verdict, measure, told)| {
        of((verdict, measure), &told.measure, Some(&told.service))
    }));
}

fn template(notice: &Notice, book: &Book) -> v1::NoticeState {
    let told = notice.placeholders().into_iter();
    let told = told.filter(|placeholder| BY_CALLER.contains(placeholder));
    let partners = notices::partners(notice, book).into_iter();
    v1::NoticeState {
        notice: notice.id.to_string(),
        title: notice.title.zh.to_string(),
        occasion: notice.when.code().to_owned(),
        together_with: partners.map(str::to_owned).collect(),
        proves_service: notice.proves_service,
        told_by_caller: told
            .map(|placeholder| placeholder.code().to_owned())
            .collect(),
        ..v1::NoticeState::default()
    }
}

/// The text of a notice.
pub fn rendered(
    registry: &Registry,
    asked: &v1::RenderNoticeRequest,
) -> Result<v1::RenderNoticeResponse, ChangeError> {
    let generation = registry.live().load_full();
    let book = &generation.book;
    let notice = book
        .notice(&asked.notice)
        .ok_or(ChangeError::Unknown("notice"))?;
    let entry = generation.lists.entry(&asked.entry_id);
    let entry = entry.ok_or(ChangeError::UnknownEntry)?;
    let list = life::known_list(entry.list.as_str(), book)?;
    let mut values = Vec::new();
    for (name, value) in &asked.values {
        let placeholder = Placeholder::parse(name).ok_or_else(|| {
            let known = notice.placeholders().into_iter();
            let known: Vec<_> = known.map(|placeholder| placeholder.code()).collect();
            let rule = format!(
                "this notice has no such place; it has: {}",
                known.join(", ")
            );
            Refused::one("values", rule)
        })?;
        values.push((placeholder, value.as_str()));
    }
    let desk = registry.desk();
    let of_measure = match notice.when {
        Occasion::MeasureBitten => {
            let about = measures::About {
                entry: &entry,
                verdict_id: asked.verdict_id.trim(),
                measure_id: asked.measure_id.trim(),
                on: asked.verdict_subject,
            };
            measures::told(&about, &desk, book, registry.now())?
        }
        _ => Vec::new(),
    };
    // What the caller tells counts first.
    let known = of_measure.iter();
    values.extend(known.map(|(placeholder, value)| (*placeholder, value.as_str())));
    let text = notice::render(notice, &entry, list, book, &values);
    Ok(v1::RenderNoticeResponse {
        title: notice.title.zh.to_string(),
        text: text.reveal().to_owned(),
        missing: missing(notice, &values, |value| {
            let one = notice::render(notice, &entry, list, book, value);
            one.reveal().matches(NOT_STATED).count()
        }),
    })
}

/// The placeholders for which nothing is known: with one of them told, less is not stated.
fn missing(
    notice: &Notice,
    values: &[(Placeholder, &str)],
    not_stated: impl Fn(&[(Placeholder, &str)]) -> usize,
) -> Vec<String> {
    let all = not_stated(values);
    let placeholders = notice.placeholders().into_iter();
    let missing = placeholders.filter(|placeholder| {
        // What is told first counts.
        let mut told = vec![(*placeholder, "-")];
        told.extend_from_slice(values);
        not_stated(&told) < all
    });
    missing
        .map(|placeholder| placeholder.code().to_owned())
        .collect()
}
