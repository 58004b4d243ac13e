//! The life of an entry: what a row or a change makes of it, or why it is refused (spec 3).
//!
//! Nothing here touches the log or the clock: what is known, what is asked and the time go in,
//! the records to be written come out.

use creditgate_measures::book::{Book, List};
use creditgate_measures::entry::{Entry, StateChange};
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::{Reach, State};
use creditgate_proto::{EntryDraft, Refused, Violation, v1};

use crate::error::ChangeError;

/// The reason in the log by which a `full` import ends an entry; such an entry may return.
pub const ABSENT_FROM_SOURCE: &str = "absent_from_source";

/// A service may lie this far ahead of our clock, and no further.
const SERVED_AHEAD_SECONDS: i64 = 300;

/// Words in the log for what was done to an entry.
pub mod action {
    /// First record of an entry.
    pub const CREATED: &str = "created";
    /// Its contents changed; with or without its state.
    pub const CORRECTED: &str = "corrected";
    /// Another state.
    pub const STATE: &str = "state";
    /// An objection marked or cleared.
    pub const OBJECTION: &str = "objection";
    /// Something came by time alone; the entry itself stands as it was.
    pub const CLOCK: &str = "clock";
    /// What is known of its subject changed; its source states what it stated.
    pub const IDENTITY: &str = "identity";
}

/// One record to be written: the entry as it stands after the step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The entry afterwards.
    pub entry: Entry,
    /// What was done.
    pub action: &'static str,
}

/// What is known of the entry that a row or a change speaks of.
#[derive(Debug, Clone)]
pub struct Known {
    /// The entry.
    pub entry: Entry,
    /// Its last state is REVOKED, and only since its source did not show it.
    pub absent: bool,
}

/// The steps that a row or a full statement of an entry leads to; none: all of it is known.
///
/// # Errors
/// When the statement breaks a rule.
pub fn put(
    draft: EntryDraft,
    known: Option<&Known>,
    book: &Book,
    now: Time,
) -> Result<Vec<Step>, ChangeError> {
    let list = known_list(draft.list.as_str(), book)?;
    if let Some(known) = known.filter(|known| known.entry.list != draft.list) {
        return Err(ChangeError::OtherList {
            entry_id: draft.entry_id,
            list: known.entry.list.clone(),
        });
    }
    check(&draft, list, known.map(|known| &known.entry), now)?;
    match known {
        None => Ok(create(draft, now)),
        Some(known) => correct(draft, known, now),
    }
}

/// The step to another state.
///
/// # Errors
/// When spec 3 knows no such step, or it would take effect before the one it follows.
pub fn change_state(
    known: &Entry,
    to: State,
    effective_at: Option<Time>,
    now: Time,
) -> Result<Step, ChangeError> {
    let known = &without_planned(known, to, effective_at.unwrap_or(now), now);
    let from = known.last_state();
    if !from.may_become(to) {
        return Err(ChangeError::Transition { from, to });
    }
    let effective_at = match effective_at {
        Some(at) => not_before_last(known, at, "change_state.effective_at")?,
        None => since_last(known, now),
    };
    Ok(step_to(known, to, effective_at, now))
}

/// The entry without changes that were planned for later, where it ends before they would take effect:
/// a repair lifts at once, whatever was planned. The log keeps what was planned.
fn without_planned(known: &Entry, to: State, at: Time, now: Time) -> Entry {
    let mut entry = known.clone();
    if !matches!(to, State::Repaired | State::Revoked) {
        return entry;
    }
    let ends = at.max(now);
    entry.changes.retain(|change| change.effective_at <= ends);
    match entry.last_state().may_become(to) {
        true => entry,
        // It is only the planned change that makes the end possible.
        false => known.clone(),
    }
}

/// The record by which an authority revokes what its source merely does not show any more: the source
/// does not bring it back then.
#[must_use]
pub fn revoke_absent(known: &Known) -> Step {
    Step {
        entry: known.entry.clone(),
        action: action::CORRECTED,
    }
}

/// The step that marks or clears an objection; none when it stands so already.
#[must_use]
pub fn mark_objection(known: &Entry, marked: bool) -> Option<Step> {
    (known.objection_marked != marked).then(|| Step {
        entry: Entry {
            objection_marked: marked,
            ..known.clone()
        },
        action: action::OBJECTION,
    })
}

/// The step that ends an entry its source does not show any more; none where it has ended.
#[must_use]
pub fn end_absent(known: &Entry, now: Time) -> Option<Step> {
    let known = &without_planned(known, State::Revoked, now, now);
    known
        .last_state()
        .may_become(State::Revoked)
        .then(|| step_to(known, State::Revoked, since_last(known, now), now))
}

/// The list of the book with this code.
///
/// # Errors
/// When there is none.
pub fn known_list<'a>(code: &str, book: &'a Book) -> Result<&'a List, ChangeError> {
    match book.list(code) {
        Some(list) => Ok(list),
        None => Err(ChangeError::UnknownList(code.into())),
    }
}

/// The draft that a message states, with the mend beside an identifier that is not valid.
///
/// # Errors
/// All rules of its form that it breaks.
pub fn draft(entry: &v1::Entry) -> Result<EntryDraft, Refused> {
    creditgate_proto::entry_from_proto(entry).map_err(|mut refused| {
        if !entry.name.trim().is_empty() {
            let of_identifier =
                |v: &&mut Violation| v.field == "id" && v.rule.starts_with("not a valid");
            for violation in refused.violations.iter_mut().filter(of_identifier) {
                violation
                    .rule
                    .push_str("; correct the identifier or leave it empty");
            }
        }
        refused
    })
}

/// Rules that need the book, the clock or what is known.
fn check(
    draft: &EntryDraft,
    list: &List,
    known: Option<&Entry>,
    now: Time,
) -> Result<(), ChangeError> {
    let mut violations = Vec::new();
    if list.reach == Reach::Local && draft.region.is_none() && list.default_region.is_none() {
        violations.push(Violation::new(
            "region",
            format!(
                "required: list `{}` is local and has no default region",
                list.code
            ),
        ));
    }
    let identifiers = draft.identifier.iter().map(|i| ("id", i));
    let aliases = draft.aliases.iter().map(|i| ("aliases", i));
    let related = draft
        .related
        .iter()
        .filter_map(|related| related.identifier.as_ref())
        .map(|i| ("related", i));
    let served = draft.served_at;
    if served.is_some_and(|served| served > now.plus_seconds(SERVED_AHEAD_SECONDS)) {
        violations.push(Violation::new(
            "served_at",
            "lies in the future; state when it was served, or leave it empty",
        ));
    }
    for (field, identifier) in identifiers.chain(aliases).chain(related) {
        if identifier.born_after(now) {
            violations.push(Violation::new(field, "the birth date lies in the future"));
        }
    }
    let valid_from = draft.valid_from.or(known.map(|known| known.valid_from));
    if draft.valid_from.is_none()
        && valid_from
            .zip(draft.valid_to)
            .is_some_and(|(from, to)| to < from.date())
    {
        violations.push(Violation::new("valid_to", "lies before `valid_from`"));
    }
    if known.is_none() && draft.valid_from.is_none() && starts_in_force(draft) {
        violations.push(Violation::new(
            "valid_from",
            "required: an entry that is or was in force says since when",
        ));
    }
    Refused::unless_empty(violations).map_err(ChangeError::Invalid)
}

/// When the decision was made that a statement of an entry rests on: as the statement says, else as it
/// is known.
pub(crate) fn decided_at(draft: &EntryDraft, known: Option<&Known>, now: Time) -> Time {
    let known = known.map(|known| known.entry.valid_from);
    draft.valid_from.or(known).unwrap_or(now)
}

/// Whether the stated state is one that has been in force.
fn starts_in_force(draft: &EntryDraft) -> bool {
    matches!(
        draft.state,
        Some(State::Effective | State::Suspended | State::Repaired)
    )
}

/// The state of an entry that states none: EFFECTIVE with document number and date (spec 3).
fn implied_state(draft: &EntryDraft) -> State {
    if draft.document_no.is_some() && draft.valid_from.is_some() {
        State::Effective
    } else {
        State::Proposed
    }
}

fn create(draft: EntryDraft, now: Time) -> Vec<Step> {
    let state = draft.state.unwrap_or_else(|| implied_state(&draft));
    let effective_at = draft.state_since.unwrap_or(match state {
        State::Effective => draft.valid_from.unwrap_or(now),
        // Neither state says anything of its own, so the earlier time costs nothing, and a later
        // row may then say since when the entry is in force.
        State::Proposed | State::Notified => draft.valid_from.map_or(now, |from| from.min(now)),
        State::Suspended | State::Repaired | State::Revoked => now,
    });
    let change = |to, effective_at| StateChange {
        to,
        effective_at,
        recorded_at: now,
    };
    let mut changes = vec![change(state, effective_at)];
    // An end that is planned for later ends something that is in force until then.
    let begins = draft.valid_from.filter(|from| *from < effective_at);
    if let Some(begins) = begins
        && effective_at > now
        && matches!(state, State::Suspended | State::Repaired | State::Revoked)
    {
        changes.insert(0, change(State::Effective, begins));
    }
    vec![Step {
        entry: entry_of(draft, None, now, changes),
        action: action::CREATED,
    }]
}

/// A correction keeps the history of states, and goes on from it where the state differs.
///
/// A stated `state_since` beside a state that is on record already changes nothing: when a change
/// took effect is never overwritten.
fn correct(draft: EntryDraft, known: &Known, now: Time) -> Result<Vec<Step>, ChangeError> {
    let stated = draft.state;
    let ends = stated.filter(|_| !known.absent);
    let since_when = draft.state_since.unwrap_or(now);
    let before = &match ends {
        Some(to) if to != known.entry.last_state() => {
            without_planned(&known.entry, to, since_when, now)
        }
        _ => known.entry.clone(),
    };
    // What the source says of the time before it missed the entry is on record already.
    let since = draft.state_since.filter(|_| !known.absent);
    // A row without a state moves an entry on only when it brings the document that was missing.
    let brings_document = before.document_no.is_none()
        && matches!(before.last_state(), State::Proposed | State::Notified)
        && implied_state(&draft) == State::Effective;
    let target = stated.or(brings_document.then_some(State::Effective));
    let corrected = entry_of(draft, Some(before), now, before.changes.clone());
    let mut way = Vec::new();
    let mut from = before.last_state();
    if known.absent && target == Some(State::Revoked) {
        let entry = corrected;
        let action = action::CORRECTED;
        return Ok(vec![Step { entry, action }]);
    }
    if known.absent {
        // The source shows it again: back to the state before it was missed.
        from = state_before_last(before);
        way.push(from);
    }
    match target {
        Some(to) if to == from => {}
        None => {}
        Some(State::Effective) if from == State::Proposed => {
            way.extend([State::Notified, State::Effective]);
        }
        Some(to) if from.may_become(to) => way.push(to),
        Some(to) => return Err(ChangeError::Transition { from, to }),
    }
    steps_along(corrected, before, &way, since, now)
}

/// One step for the correction and the first change of state, one for each further change.
fn steps_along(
    corrected: Entry,
    before: &Entry,
    way: &[State],
    since: Option<Time>,
    now: Time,
) -> Result<Vec<Step>, ChangeError> {
    let mut entry = corrected;
    let changed = entry != *before;
    if way.is_empty() {
        let step = Step {
            entry,
            action: action::CORRECTED,
        };
        return Ok(if changed { vec![step] } else { Vec::new() });
    }
    let mut steps = Vec::new();
    for (at, to) in way.iter().enumerate() {
        let default = match (to, entry.last_state()) {
            (State::Effective, State::Proposed | State::Notified) => entry.valid_from,
            (State::Notified, _) if way.get(at + 1) == Some(&State::Effective) => entry.valid_from,
            _ => now,
        };
        let effective_at = match since {
            Some(since) => not_before_last(&entry, since, "state_since")?,
            None => since_last(&entry, default),
        };
        entry.changes.push(StateChange {
            to: *to,
            effective_at,
            recorded_at: now,
        });
        steps.push(Step {
            entry: entry.clone(),
            action: if at == 0 && changed {
                action::CORRECTED
            } else {
                action::STATE
            },
        });
    }
    Ok(steps)
}

fn step_to(known: &Entry, to: State, effective_at: Time, now: Time) -> Step {
    let mut entry = known.clone();
    entry.changes.push(StateChange {
        to,
        effective_at,
        recorded_at: now,
    });
    Step {
        entry,
        action: action::STATE,
    }
}

/// The time, or that of the last change when that is later.
///
/// Of two changes the one that takes effect later wins, so a change that took effect before the
/// one it follows would never be seen.
fn since_last(entry: &Entry, at: Time) -> Time {
    entry
        .changes
        .iter()
        .map(|change| change.effective_at)
        .fold(at, Time::max)
}

fn not_before_last(entry: &Entry, at: Time, field: &'static str) -> Result<Time, ChangeError> {
    if since_last(entry, at) == at {
        return Ok(at);
    }
    Err(ChangeError::Invalid(Refused::one(
        field,
        "lies before the change it follows takes effect; leave it empty for the earliest time",
    )))
}

fn state_before_last(entry: &Entry) -> State {
    let before_last = entry.changes.len().checked_sub(2);
    before_last
        .and_then(|at| entry.changes.get(at))
        .map_or(State::Proposed, |change| change.to)
}

/// The entry that a draft states; what it leaves open is taken from what is known.
fn entry_of(
    draft: EntryDraft,
    known: Option<&Entry>,
    now: Time,
    changes: Vec<StateChange>,
) -> Entry {
    Entry {
        entry_id: draft.entry_id,
        list: draft.list,
        identifier: draft.identifier,
        name: draft.name,
        former_names: draft.former_names,
        kind: draft.kind,
        severity: draft.severity,
        grade: draft.grade,
        designated_by: draft.designated_by,
        document_no: draft.document_no,
        basis: draft.basis,
        reason: draft.reason,
        region: draft.region,
        scope: draft.scope,
        act_date: draft.act_date,
        // Proven by a receipt that the source does not know; its silence does not undo that.
        served_at: draft.served_at.or(known.and_then(|known| known.served_at)),
        valid_from: draft
            .valid_from
            .or(known.map(|known| known.valid_from))
            .unwrap_or(now),
        valid_to: draft.valid_to,
        display_min_until: draft.display_min_until,
        display_max_until: draft.display_max_until,
        repeat_count: draft
            .repeat_count
            .or(known.map(|known| known.repeat_count))
            .unwrap_or(0),
        related: draft.related,
        aliases: draft.aliases,
        source_unit: draft
            .source_unit
            .or_else(|| known.and_then(|known| known.source_unit.clone())),
        rule_version: draft.rule_version,
        objection_marked: draft
            .objection_marked
            .or(known.map(|known| known.objection_marked))
            .unwrap_or(false),
        recorded_at: known.map_or(now, |known| known.recorded_at),
        changes,
    }
}

#[cfg(test)]
mod tests;
