//! What is known of a case when one of its events is judged (spec 8).

use crate::event::{StageCode, Subject};
use crate::identifier::Key;
use crate::name::{NormalName, SimplifyTable};
use crate::time::Time;

/// Minutes granted for events of one case to arrive in another order, in seconds.
pub const REORDERING_SECONDS: i64 = 600;

/// What is known of a case: when it was opened, and which subject was checked at which stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseView {
    /// When its first event took place; `None` when the event judged is the first.
    pub opened_at: Option<Time>,
    /// Checks made, each subject and stage once, with the time of its event.
    pub checks: Vec<CaseCheck>,
}

/// One check of one subject at one stage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseCheck {
    /// The subject.
    pub subject: Key,
    /// The stage.
    pub stage: StageCode,
    /// When the event took place.
    pub at: Time,
}

impl CaseView {
    /// Adds what an event of the case shows; an earlier time of the same check stays.
    pub fn record(&mut self, checks: impl IntoIterator<Item = CaseCheck>) {
        for check in checks {
            self.opened_at = Some(
                self.opened_at
                    .map_or(check.at, |opened| opened.min(check.at)),
            );
            let known = self
                .checks
                .iter_mut()
                .find(|c| c.subject == check.subject && c.stage == check.stage);
            match known {
                Some(known) => known.at = known.at.min(check.at),
                None => self.checks.push(check),
            }
        }
    }

    /// Whether the subject was checked at the stage, at `until` or before.
    #[must_use]
    pub fn checked(&self, subject: Key, stage: &StageCode, until: Time) -> bool {
        self.checks
            .iter()
            .any(|check| check.subject == subject && check.stage == *stage && check.at <= until)
    }
}

/// By what a case knows the subject again: its identifier, else its name.
#[must_use]
pub fn subject_key(subject: &Subject, at: Time, simplify: &SimplifyTable) -> Option<Key> {
    subject
        .valid_identifier(at)
        .map(|identifier| identifier.key())
        .or_else(|| {
            let name = NormalName::new(subject.name.as_ref()?.reveal(), simplify)?;
            Some(Key::name(&name))
        })
}
