//! Opening a procedure: what must be so, and what is recorded.

use creditgate_measures::clocks::{ClockKind, clocks};
use creditgate_measures::entry::Entry;
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::{Colour, State};
use creditgate_proto::Refused;
use creditgate_proto::journal::v1::ProcedureStep;

use super::form::{About, Opening, Told};
use super::limits::{Course, running};
use super::table::{Kind, Step};
use super::{noted, step_record, taken_at};
use crate::error::ChangeError;
use crate::identity::subject::lists_itself;
use crate::keeper::{Planned, View, put_of};
use crate::life;
use crate::lookup::Subject;

/// The records by which a procedure is opened, and its id.
pub fn plan(asked: &Opening, view: &View<'_>) -> Result<(Vec<Planned>, String), ChangeError> {
    let at = taken_at(&asked.told, view.now)?;
    if let Some(until) = asked.until.filter(|until| *until < at.date()) {
        let rule = format!(
            "`{until}` lies before the day on which the commitment was made, {}",
            at.date()
        );
        return Err(Refused::one("until", rule).into());
    }
    let entry = match &asked.about {
        About::Entry(id) => {
            let entry = view.entry(id)?;
            // Whoever names somebody else's learns not even that it is there.
            if let Some(of) = &asked.of
                && !lists_itself(&entry, of, view)
            {
                return Err(ChangeError::UnknownEntry);
            }
            Some(entry)
        }
        About::Subject(subject) => {
            // Only whether it is one that can be looked up.
            Subject::read(subject, view.book.simplify())?;
            None
        }
    };
    if let Some(entry) = &entry {
        alone(asked.kind, entry, view)?;
        possible(asked, entry, at, view)?;
    }
    let id = format!(
        "P{:013}-{}",
        view.now.micros() / 1_000,
        view.lists.version().seq + 1
    );
    let mut planned = vec![opening(asked, entry.as_ref(), &id, at, view)?];
    if let (Kind::Objection, Some(entry)) = (asked.kind, &entry) {
        planned.extend(marking(asked, entry, &id, at, view));
    }
    Ok((planned, id))
}

/// One procedure of a kind at a time.
fn alone(kind: Kind, entry: &Entry, view: &View<'_>) -> Result<(), ChangeError> {
    let open = view.desk.procedures.open_of(entry.entry_id.as_str(), kind);
    match open {
        None => Ok(()),
        Some(open) => {
            let (id, state) = (&open.id, open.state().code());
            let why = format!(
                "procedure `{id}` of this kind is open for the entry ({state}); go on with that one"
            );
            Err(ChangeError::not_possible("procedure_open", why))
        }
    }
}

/// Whether the entry is one that such a procedure may be about.
fn possible(asked: &Opening, entry: &Entry, at: Time, view: &View<'_>) -> Result<(), ChangeError> {
    let state = entry.last_state();
    let ended = |to: State, what: &str| match state.may_become(to) {
        true => Ok(()),
        false => Err(ChangeError::not_possible(
            "entry_state",
            format!("the entry is {state}: {what}"),
        )),
    };
    match asked.kind {
        Kind::Objection => ended(
            State::Revoked,
            "it has ended, and nothing is left to object to",
        ),
        Kind::Repair => {
            let list = life::known_list(entry.list.as_str(), view.book)?;
            if list.colour == Colour::Red {
                let why = "an entry of a red list is an honour; it is not repaired";
                return Err(ChangeError::not_possible("red_list", why));
            }
            ended(
                State::Repaired,
                "repair is applied for while an entry is EFFECTIVE or SUSPENDED",
            )?;
            not_too_early(asked, entry, at, view)
        }
        Kind::Talk | Kind::Commitment => Ok(()),
    }
}

/// Repair is applied for when the shortest display period is over (DP-11).
fn not_too_early(
    asked: &Opening,
    entry: &Entry,
    at: Time,
    view: &View<'_>,
) -> Result<(), ChangeError> {
    if !is_early(entry, at, view) || asked.force {
        return Ok(());
    }
    let dues = clocks(entry, view.book);
    let due = dues.iter().find(|due| due.kind == ClockKind::RepairFrom);
    let from = due.map_or_else(String::new, |due| due.day.to_string());
    let rule = due.and_then(|due| due.rule.as_deref());
    let rule = rule.map_or_else(String::new, |rule| format!(" by rule `{rule}`"));
    let why = format!(
        "repair of this entry may be applied for from {from}{rule}, not earlier; where the law \
         allows it all the same, set `force` and say so in the reason"
    );
    Err(ChangeError::not_possible("repair_too_early", why))
}

fn is_early(entry: &Entry, at: Time, view: &View<'_>) -> bool {
    let dues = clocks(entry, view.book);
    let mut from = dues.iter().filter(|due| due.kind == ClockKind::RepairFrom);
    from.any(|due| at < due.at)
}

fn opening(
    asked: &Opening,
    entry: Option<&Entry>,
    id: &str,
    at: Time,
    view: &View<'_>,
) -> Result<Planned, ChangeError> {
    let designated = entry.and_then(|entry| entry.designated_by.as_deref());
    let authority = match asked.authority.is_empty() {
        false => asked.authority.clone(),
        true => designated.unwrap_or_default().to_owned(),
    };
    if asked.kind == Kind::Talk && authority.is_empty() {
        let rule = "required: the entry does not tell which authority designated it";
        return Err(Refused::one("authority", rule).into());
    }
    let subject = match &asked.about {
        About::Subject(subject) => Some(subject.clone()),
        About::Entry(_) => None,
    };
    let forced = asked.force && entry.is_some_and(|entry| is_early(entry, at, view));
    let step = ProcedureStep {
        kind: asked.kind.code().to_owned(),
        entry_id: entry.map_or_else(String::new, |entry| entry.entry_id.as_str().to_owned()),
        list: entry.map_or_else(String::new, |entry| entry.list.as_str().to_owned()),
        subject,
        authority,
        until: asked.until.map_or_else(String::new, |day| day.to_string()),
        forced,
        deadlines: running(
            &Course {
                kind: asked.kind,
                list: entry.map_or("", |entry| entry.list.as_str()),
                rule_version: entry.and_then(|entry| entry.rule_version.as_deref()),
                until: asked.until,
                held_on: None,
                steps: &[(asked.kind.opening(), at.date())],
            },
            view.book,
        ),
        ..step_record(id, asked.kind.opening(), &asked.told, at)
    };
    Ok(noted(view, step, &asked.told))
}

/// An objection is marked on the entry at once, so that penalties wait for an official from here on.
fn marking(
    asked: &Opening,
    entry: &Entry,
    id: &str,
    opened: Time,
    view: &View<'_>,
) -> Vec<Planned> {
    let told = Told {
        by: view.caller.to_owned(),
        ..asked.told.clone()
    };
    let deadlines = running(
        &Course {
            kind: asked.kind,
            list: entry.list.as_str(),
            rule_version: entry.rule_version.as_deref(),
            until: None,
            held_on: None,
            steps: &[
                (Step::Opened, opened.date()),
                (Step::Marked, view.now.date()),
            ],
        },
        view.book,
    );
    let step = ProcedureStep {
        deadlines,
        ..step_record(id, Step::Marked, &told, view.now)
    };
    let mut planned = vec![noted(view, step, &told)];
    let mark = life::mark_objection(entry, true);
    planned.extend(mark.map(|step| put_of(&step, view.caller, &told.reason, &told.document_no)));
    planned
}
