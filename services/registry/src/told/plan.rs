//! What a report leads to in the lists. It never has an effect by itself: a measure that was carried out makes
//! the notice to its subject due, and a failed inspection proposes an entry at most, which an official decides.

use creditgate_measures::vocabulary::{Colour, State};
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::{InspectionReported, MeasureTaken, desk_record::What};
use creditgate_proto::v1;
use creditgate_runtime::ports::Telling;
use sha2::{Digest, Sha256};

use crate::error::ChangeError;
use crate::keeper::{Planned, View, put_of};
use crate::life;

/// The records, with the place up to which everything is taken in, and what is not taken in: why.
pub(super) fn of(telling: &Telling, view: &View<'_>) -> (Vec<Planned>, Vec<String>) {
    let (mut planned, mut not_taken) = (Vec::new(), Vec::new());
    if let Some(told) = &telling.told {
        for measure in &told.measures {
            match carried_out(measure, &told.reason, view) {
                Ok(record) => planned.extend(record),
                Err(why) => not_taken.push(why),
            }
        }
        if let Some(inspection) = &told.inspection {
            inspected(inspection, view, &mut planned, &mut not_taken);
        }
    }
    let read = What::CasesRead(telling.place.clone());
    planned.push(view.noted(read, &not_taken.join("; ")));
    (planned, not_taken)
}

/// The record of a measure; none when it is known. Nothing of it is asked again: the verdict has shown the
/// measure by reason of the entry.
fn carried_out(
    measure: &MeasureTaken,
    reason: &str,
    view: &View<'_>,
) -> Result<Option<Planned>, String> {
    let entry = view.lists.entry(&measure.entry_id);
    let entry = entry.ok_or_else(|| format!("entry `{}` is not known", measure.entry_id))?;
    let list = view.book.list(entry.list.as_str());
    if list.is_some_and(|list| list.colour == Colour::Red) {
        // No penalty rests on an honour, and nobody is told of one.
        return Ok(None);
    }
    let (verdict, id) = (&measure.verdict_id, &measure.measure_id);
    let on = measure.on.as_ref().and(measure.verdict_subject);
    // Of several implementers the first to report stands: the subject is told once.
    let known = view.desk.measures.get(&measure.entry_id, verdict, id, on);
    Ok(match known {
        Some(_) => None,
        None => Some(view.noted(What::MeasureTaken(measure.clone()), reason)),
    })
}

/// The record of an inspection, with the entry that it proposes.
fn inspected(
    told: &InspectionReported,
    view: &View<'_>,
    planned: &mut Vec<Planned>,
    not_taken: &mut Vec<String>,
) {
    if view.desk.cases.knows(told) {
        return;
    }
    let mut told = told.clone();
    let proposed = match told.attention_list.is_empty() {
        true => None,
        false => proposal(&told, view)
            .map_err(|error| {
                not_taken.push(format!(
                    "the entry that it proposes on `{}`: {error}; put it there by hand, should it belong there",
                    told.attention_list
                ));
            })
            .ok()
            .flatten(),
    };
    if proposed.is_some() {
        told.proposed_entry_id = proposed_id(&told.feedback_id);
    }
    let finding = told.finding.clone();
    planned.push(view.noted(What::InspectionReported(told), &finding));
    planned.extend(proposed);
}

/// Made of the report's id: told again, it is the same entry.
fn proposed_id(feedback_id: &str) -> String {
    let digest = Sha256::digest(feedback_id.as_bytes());
    let hex: String = digest.iter().take(12).map(|b| format!("{b:02x}")).collect();
    format!("INSPECTION-{hex}")
}

/// A failed inspection proposes an entry to the authority, as a broken commitment does, and never more; none
/// where the entry is there already.
fn proposal(told: &InspectionReported, view: &View<'_>) -> Result<Option<Planned>, ChangeError> {
    let entry_id = proposed_id(&told.feedback_id);
    if view.lists.entry(&entry_id).is_some() {
        return Ok(None);
    }
    let list = life::known_list(&told.attention_list, view.book)?;
    if list.colour != Colour::Attention {
        let why = "it is no key-attention list, and an inspection proposes nothing else";
        return Err(ChangeError::not_possible("attention_list", why));
    }
    let at = told.at.as_ref().and_then(time_from_proto);
    let day = at.map_or(view.now, |at| at).date().to_string();
    let subject = told.subject.clone().unwrap_or_default();
    let reason = format!("{}：{}", told.item, told.finding);
    let draft = life::draft(&v1::Entry {
        entry_id,
        list: list.code.as_str().to_owned(),
        id_type: subject.id_type,
        id: subject.id,
        issuer: subject.issuer,
        name: subject.name,
        kind: told.kind.clone(),
        region: told.region.clone(),
        designated_by: told.authority.clone(),
        source_unit: told.authority.clone(),
        reason: reason.clone(),
        act_date: day.clone(),
        valid_from: day,
        state: State::Proposed.code().to_owned(),
        ..v1::Entry::default()
    })?;
    let steps = life::put(draft, None, view.book, view.now)?;
    let step = steps.first();
    Ok(step.map(|step| put_of(step, view.caller, &reason, &told.document_no)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_report_proposes_the_same_entry() {
        assert_eq!(proposed_id("f-1"), proposed_id("f-1"));
        assert_ne!(proposed_id("f-1"), proposed_id("f-2"));
        assert!(proposed_id(&"f".repeat(128)).len() < 64);
    }
}
