//! The register of wrong hits: noted, corrected, told; what is still open stays visible.

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::{
    WrongHitCorrected, WrongHitOpened, WrongHitTold, desk_record::What,
};
use creditgate_proto::subject::{alias_from_proto, alias_to_proto};
use creditgate_proto::{Refused, v1};

use crate::change::time;
use crate::desk::WrongHit;
use crate::error::ChangeError;
use crate::keeper::{Planned, View};

/// What may have been wrong.
const WHATS: [&str; 4] = ["wrong_person", "wrong_data", "outdated", "same_name"];
const DAY_MICROS: i64 = 86_400_000_000;
const PROSE_CHARS_MAX: usize = 4_096;
const NAME_CHARS_MAX: usize = 256;
const ID_CHARS_MAX: usize = 512;

type Plan = Result<(Vec<Planned>, u64), ChangeError>;

/// Notes that somebody was hit wrongly.
pub(crate) fn open(asked: v1::OpenWrongHitRequest, view: &View<'_>) -> Plan {
    let mut subject = asked.subject.clone().unwrap_or_default();
    bounded("subject.name", &subject.name, NAME_CHARS_MAX)?;
    for (field, id) in [
        ("subject.id_type", &subject.id_type),
        ("subject.id", &subject.id),
        ("subject.issuer", &subject.issuer),
        ("verdict_id", &asked.verdict_id),
        ("case_id", &asked.case_id),
        ("entry_id", &asked.entry_id),
    ] {
        bounded(field, id, ID_CHARS_MAX)?;
    }
    if !subject.id.trim().is_empty() {
        let stated = v1::Alias {
            id_type: subject.id_type,
            id: subject.id,
            issuer: subject.issuer,
        };
        let known = alias_to_proto(&alias_from_proto("subject", Some(&stated))?);
        (subject.id_type, subject.id, subject.issuer) = (known.id_type, known.id, known.issuer);
    }
    if subject.id.trim().is_empty() && subject.name.trim().is_empty() {
        return refuse("subject", "required: who was hit, by identifier or name");
    }
    if asked.verdict_id.is_empty() && asked.case_id.is_empty() {
        return refuse("verdict_id", "required: the verdict or the case of the hit");
    }
    if !WHATS.contains(&asked.what.as_str()) {
        let rule = format!("expected one of {}", WHATS.join(", "));
        return refuse("what", rule);
    }
    written("reason", &asked.reason)?;
    view.entry(&asked.entry_id)?;
    let discovered = come("discovered_at", asked.discovered_at, view)?;
    let what = What::WrongHitOpened(WrongHitOpened {
        subject: Some(subject),
        verdict_id: asked.verdict_id,
        case_id: asked.case_id,
        entry_id: asked.entry_id,
        what: asked.what,
        discovered_at: Some(time_to_proto(discovered)),
    });
    let number = view.lists.version().seq + 1;
    Ok((vec![view.noted(what, &asked.reason)], number))
}

/// Notes by which change of its entry a wrong hit was corrected; the change is known to be one of
/// that entry, not its creation, recorded at `corrected_at`.
pub(crate) fn correct(
    asked: &v1::CorrectWrongHitRequest,
    corrected_at: Time,
    view: &View<'_>,
) -> Plan {
    let hit = known(asked.wrong_hit, view)?;
    bounded("reason", &asked.reason, PROSE_CHARS_MAX)?;
    if let Some(corrected) = &hit.corrected {
        let why = format!(
            "it was corrected already, by change {}",
            corrected.correction
        );
        return Err(ChangeError::not_possible("wrong_hit_corrected", why));
    }
    let what = What::WrongHitCorrected(WrongHitCorrected {
        wrong_hit: asked.wrong_hit,
        correction: asked.correction,
        corrected_at: Some(time_to_proto(corrected_at)),
    });
    Ok((vec![view.noted(what, &asked.reason)], asked.wrong_hit))
}

/// Notes that whoever was hit wrongly was told.
pub(crate) fn tell(asked: v1::TellWrongHitRequest, view: &View<'_>) -> Plan {
    let hit = known(asked.wrong_hit, view)?;
    if let Some(told) = &hit.told {
        let why = format!("told already, on {}", told.at);
        return Err(ChangeError::not_possible("wrong_hit_told", why));
    }
    written("how", &asked.how)?;
    written("proof", &asked.proof)?;
    let told_at = come("told_at", asked.told_at, view)?;
    if told_at < hit.discovered_at {
        let discovered = hit.discovered_at;
        let rule = format!("{told_at} lies before discovered_at, {discovered}");
        return refuse("told_at", rule);
    }
    let what = What::WrongHitTold(WrongHitTold {
        wrong_hit: asked.wrong_hit,
        told_at: Some(time_to_proto(told_at)),
        how: asked.how,
        proof: asked.proof,
    });
    Ok((vec![view.noted(what, "")], asked.wrong_hit))
}

/// A wrong hit as a message.
pub(crate) fn shown(number: u64, hit: &WrongHit, now: Time) -> v1::WrongHit {
    let (corrected, told) = (hit.corrected.as_ref(), hit.told.as_ref());
    v1::WrongHit {
        wrong_hit: number,
        subject: Some(v1::SubjectQuery {
            id_type: hit.who.id_type.clone(),
            id: hit.who.id.clone(),
            issuer: hit.who.issuer.clone(),
            name: hit.who.name.clone(),
        }),
        verdict_id: hit.verdict_id.clone(),
        case_id: hit.case_id.clone(),
        entry_id: hit.entry_id.clone(),
        what: hit.what.clone(),
        discovered_at: Some(time_to_proto(hit.discovered_at)),
        reason: hit.reason.clone(),
        caller: hit.caller.clone(),
        opened_at: Some(time_to_proto(hit.opened.at)),
        correction: corrected.map_or(0, |corrected| corrected.correction),
        corrected_at: corrected.map(|corrected| time_to_proto(corrected.at)),
        corrected_caller: corrected.map_or_else(String::new, |c| c.caller.clone()),
        told_at: told.map(|told| time_to_proto(told.at)),
        how: told.map_or_else(String::new, |told| told.how.clone()),
        proof: told.map_or_else(String::new, |told| told.proof.clone()),
        told_caller: told.map_or_else(String::new, |told| told.caller.clone()),
        state: match (corrected.is_some(), told.is_some()) {
            (false, false) => "open",
            (true, false) => "corrected",
            (false, true) => "told",
            (true, true) => "closed",
        }
        .to_owned(),
        open_days: match hit.is_closed() {
            true => 0,
            false => days_between(hit.discovered_at, now),
        },
    }
}

/// Whole days between two times.
pub(crate) fn days_between(from: Time, to: Time) -> u32 {
    let micros = to.micros().saturating_sub(from.micros()).max(0);
    u32::try_from(micros / DAY_MICROS).unwrap_or(u32::MAX)
}

fn known<'a>(number: u64, view: &View<'a>) -> Result<&'a WrongHit, ChangeError> {
    let hit = view.desk.wrong_hits.get(number);
    hit.ok_or(ChangeError::Unknown("wrong hit"))
}

fn come(
    field: &'static str,
    stamp: Option<pbjson_types::Timestamp>,
    view: &View<'_>,
) -> Result<Time, ChangeError> {
    let at = time(field, stamp)?.unwrap_or(view.now);
    if at > view.now {
        return Err(Refused::one(field, "lies in the future").into());
    }
    Ok(at)
}

fn written(field: &'static str, text: &str) -> Result<(), ChangeError> {
    if text.trim().is_empty() || text.chars().count() > PROSE_CHARS_MAX {
        let rule = format!("required, at most {PROSE_CHARS_MAX} characters");
        return Err(Refused::one(field, rule).into());
    }
    Ok(())
}

fn bounded(field: &'static str, text: &str, chars_max: usize) -> Result<(), ChangeError> {
    match text.chars().count() > chars_max {
        true => refuse(field, format!("at most {chars_max} characters")),
        false => Ok(()),
    }
}

fn refuse<T>(field: &'static str, rule: impl Into<String>) -> Result<T, ChangeError> {
    Err(Refused::one(field, rule).into())
}
