//! Whether a subject comes to a stage without the decisive check before it (spec 8).

use super::setting::Setting;
use super::subject::Known;
use crate::case::{CaseView, REORDERING_SECONDS, subject_key};
use crate::verdict::Flag;

/// The flag of a missing check, if there is one.
///
/// Events of a case may arrive in another order for ten minutes: within them nothing is missing
/// yet, and a check that follows within them counts as made.
pub(super) fn check(setting: &Setting<'_>, case: &CaseView, known: &Known<'_>) -> Option<Flag> {
    let before = setting.stage?.after.as_ref()?;
    let go_live = setting.scenario?.go_live?;
    let occurred_at = setting.event.occurred_at;
    if case.opened_at.unwrap_or(occurred_at).date() < go_live {
        return None;
    }
    let settled_at = occurred_at.plus_seconds(REORDERING_SECONDS);
    if setting.at < settled_at {
        return None;
    }
    let subject = subject_key(known.given, setting.at, setting.book.simplify())?;
    (!case.checked(subject, before, settled_at)).then(|| Flag::MissingCheck(before.clone()))
}
