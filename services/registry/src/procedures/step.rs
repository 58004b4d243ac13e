//! A step of a procedure: whether it is possible, and what it does to the entry.

use creditgate_measures::entry::Entry;
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::{Colour, State};
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::ProcedureStep;
use creditgate_proto::{Refused, entry_to_proto, v1};

use super::form::Stepping;
use super::limits::{Course, running};
use super::table::{self, Outcome, Rule, Step};
use super::{noted, step_record, taken_at};
use crate::desk::Procedure;
use crate::error::ChangeError;
use crate::keeper::{Planned, View, put_of};
use crate::life;

/// The records of a step.
pub fn plan(asked: &Stepping, view: &View<'_>) -> Result<Vec<Planned>, ChangeError> {
    let procedures = &view.desk.procedures;
    let procedure = procedures
        .get(&asked.procedure_id)
        .ok_or(ChangeError::Unknown("procedure"))?;
    let rule = allowed(procedure, asked)?;
    let at = taken_at(&asked.told, view.now)?;
    in_order(procedure, at)?;
    if asked.scheduled_for.is_some_and(|time| time < at) {
        let rule = "lies before the step; a talk is set for a time that comes";
        return Err(Refused::one("scheduled_for", rule).into());
    }
    let entry = match procedure.entry_id.is_empty() {
        true => None,
        false => Some(view.entry(&procedure.entry_id)?),
    };
    let effects = match (asked.step, &entry) {
        (Step::Decided, Some(entry)) => objection_decided(asked, entry, at, view)?,
        (Step::Granted, Some(entry)) => vec![ended(asked, entry, State::Repaired, at, view)?],
        (Step::Broken, entry) => vec![proposal(asked, procedure, entry.as_ref(), at, view)?],
        _ => Vec::new(),
    };
    let proposed_entry_id = match asked.step {
        Step::Broken => proposed_id(procedure),
        _ => String::new(),
    };
    let step = ProcedureStep {
        outcome: asked.outcome.map_or("", Outcome::code).to_owned(),
        deadlines: deadlines(
            procedure,
            rule,
            entry.as_ref(),
            (at, asked.scheduled_for),
            view,
        ),
        scheduled_for: asked.scheduled_for.map(time_to_proto),
        place: asked.place.clone(),
        proposed_entry_id,
        ..step_record(&procedure.id, asked.step, &asked.told, at)
    };
    let mut planned = vec![noted(view, step, &asked.told)];
    planned.extend(effects);
    Ok(planned)
}

/// The rule that allows the step, or what is possible instead.
fn allowed(procedure: &Procedure, asked: &Stepping) -> Result<&'static Rule, ChangeError> {
    let (kind, state) = (procedure.kind, procedure.state());
    let Some(rule) = table::rule(kind, Some(state), asked.step) else {
        let possible = match table::possible(kind, state).as_slice() {
            [] => "it is closed and takes no further step".to_owned(),
            steps => format!("possible now: {}", steps.join(", ")),
        };
        let why = format!(
            "a procedure `{}` that is {} does not become {}; {possible}",
            kind.code(),
            state.code(),
            asked.step.code()
        );
        return Err(ChangeError::not_possible("step_not_allowed", why));
    };
    let outcomes: Vec<_> = rule.outcomes.iter().map(|outcome| outcome.code()).collect();
    let outcomes = outcomes.join(", ");
    match asked.outcome {
        None if !rule.outcomes.is_empty() => {
            let rule = format!("required: {outcomes}");
            Err(Refused::one("outcome", rule).into())
        }
        Some(_) if rule.outcomes.is_empty() => {
            Err(Refused::one("outcome", "this step decides nothing; leave it empty").into())
        }
        Some(outcome) if !rule.outcomes.contains(&outcome) => {
            let why = format!(
                "an objection that is {} is not decided as `{}` yet; possible now: {outcomes}",
                state.code(),
                outcome.code()
            );
            Err(ChangeError::not_possible("step_not_allowed", why))
        }
        _ => Ok(rule),
    }
}

/// Steps are taken one after the other. The mark on the entry is made when an objection is recorded,
/// which may be after further steps were taken on paper.
fn in_order(procedure: &Procedure, at: Time) -> Result<(), ChangeError> {
    let mut told = procedure.steps.iter().rev();
    let before = told.find(|taken| taken.step != Step::Marked);
    match before.filter(|before| at < before.at) {
        None => Ok(()),
        Some(before) => {
            let rule = format!("lies before the step before it, {}", before.at);
            Err(Refused::one("at", rule).into())
        }
    }
}

fn deadlines(
    procedure: &Procedure,
    rule: &Rule,
    entry: Option<&Entry>,
    (at, scheduled_for): (Time, Option<Time>),
    view: &View<'_>,
) -> Vec<v1::Deadline> {
    if rule.closes {
        return Vec::new();
    }
    let steps = procedure.steps.iter();
    let mut steps: Vec<_> = steps.map(|taken| (taken.step, taken.at.date())).collect();
    steps.push((rule.step, at.date()));
    running(
        &Course {
            kind: procedure.kind,
            list: &procedure.list,
            rule_version: entry.and_then(|entry| entry.rule_version.as_deref()),
            until: procedure.until,
            held_on: scheduled_for.or(procedure.scheduled_for).map(Time::date),
            steps: &steps,
        },
        view.book,
    )
}

/// The entry is revoked when the objection is right; the mark goes in any case.
fn objection_decided(
    asked: &Stepping,
    entry: &Entry,
    at: Time,
    view: &View<'_>,
) -> Result<Vec<Planned>, ChangeError> {
    let mut planned = Vec::new();
    let mut entry = entry.clone();
    // One that ended meanwhile in another way stays as it is.
    if asked.outcome == Some(Outcome::Upheld) && entry.last_state().may_become(State::Revoked) {
        let step = ending(&entry, State::Revoked, at, view)?;
        entry = step.entry.clone();
        planned.push(put(asked, &step, view));
    }
    let cleared = life::mark_objection(&entry, false);
    planned.extend(cleared.map(|step| put(asked, &step, view)));
    Ok(planned)
}

fn ended(
    asked: &Stepping,
    entry: &Entry,
    to: State,
    at: Time,
    view: &View<'_>,
) -> Result<Planned, ChangeError> {
    Ok(put(asked, &ending(entry, to, at, view)?, view))
}

/// It takes effect when it was decided, but never before the change that it follows.
fn ending(entry: &Entry, to: State, at: Time, view: &View<'_>) -> Result<life::Step, ChangeError> {
    let changes = entry.changes.iter().map(|change| change.effective_at);
    let effective_at = changes.fold(at, Time::max);
    life::change_state(entry, to, Some(effective_at), view.now)
}

fn put(asked: &Stepping, step: &life::Step, view: &View<'_>) -> Planned {
    let told = &asked.told;
    put_of(step, view.caller, &told.reason, &told.document_no)
}

fn proposed_id(procedure: &Procedure) -> String {
    format!("{}-broken", procedure.id)
}

/// A broken commitment proposes an entry to the authority, and never more: whether the subject is
/// listed, an official decides by the life cycle of that entry.
fn proposal(
    asked: &Stepping,
    procedure: &Procedure,
    entry: Option<&Entry>,
    at: Time,
    view: &View<'_>,
) -> Result<Planned, ChangeError> {
    let list = life::known_list(&asked.attention_list, view.book)?;
    if list.colour != Colour::Attention {
        let rule = "name a key-attention list; a broken commitment proposes nothing else";
        return Err(Refused::one("attention_list", rule).into());
    }
    let told = &asked.told;
    let subject = match entry {
        Some(entry) => {
            let known = entry_to_proto(entry);
            v1::Entry {
                id_type: known.id_type,
                id: known.id,
                issuer: known.issuer,
                name: known.name,
                kind: known.kind,
                aliases: known.aliases,
                region: known.region,
                ..v1::Entry::default()
            }
        }
        None => {
            let subject = procedure.subject().unwrap_or_default();
            v1::Entry {
                id_type: subject.id_type,
                id: subject.id,
                issuer: subject.issuer,
                name: subject.name,
                ..v1::Entry::default()
            }
        }
    };
    let region = match asked.region.is_empty() {
        true => subject.region.clone(),
        false => asked.region.clone(),
    };
    let draft = life::draft(&v1::Entry {
        entry_id: proposed_id(procedure),
        list: list.code.as_str().to_owned(),
        designated_by: told.by.clone(),
        source_unit: told.by.clone(),
        reason: told.reason.clone(),
        act_date: at.date().to_string(),
        valid_from: at.date().to_string(),
        state: State::Proposed.code().to_owned(),
        region,
        ..subject
    })?;
    let steps = life::put(draft, None, view.book, view.now)?;
    let step = steps
        .first()
        .ok_or_else(|| ChangeError::not_possible("no_entry", "no entry comes of this"))?;
    Ok(put(asked, step, view))
}
