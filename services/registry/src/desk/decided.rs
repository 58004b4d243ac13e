//! What was decided here, by an official: a source that repeats what it said before does not undo it.

use creditgate_measures::entry::StoredEntry;
use creditgate_measures::vocabulary::State;
use creditgate_proto::journal::v1::EntryPut;
use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use crate::life::action;

/// Entries by what was decided here about them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DecidedHere {
    /// Suspended, taken up again, repaired or revoked.
    states: OrdSet<String>,
    /// An objection is marked.
    objections: OrdSet<String>,
}

impl DecidedHere {
    /// Whether a source that states this state speaks against what was decided here. That an entry has
    /// ended, a source may always say.
    #[must_use]
    pub fn stands_against(&self, entry_id: &str, stated: State) -> bool {
        !matches!(stated, State::Repaired | State::Revoked) && self.states.contains(entry_id)
    }

    /// Whether an objection is marked that only a decision here clears.
    #[must_use]
    pub fn marked(&self, entry_id: &str) -> bool {
        self.objections.contains(entry_id)
    }

    pub(crate) fn note(&mut self, stored: &StoredEntry<'_>, put: &EntryPut) {
        if put.by_source {
            return;
        }
        let id = || stored.entry_id.to_owned();
        match put.action.as_str() {
            action::OBJECTION if stored.objection_marked => {
                self.objections.insert(id());
            }
            action::OBJECTION => {
                self.objections.remove(stored.entry_id);
            }
            action::STATE | action::CORRECTED => {
                let mut last = stored.changes.iter().rev().map(|change| change.to);
                let decided = match last.next() {
                    Some(State::Suspended | State::Repaired | State::Revoked) => true,
                    Some(State::Effective) => last.next() == Some(State::Suspended),
                    _ => false,
                };
                if decided {
                    self.states.insert(id());
                }
            }
            _ => {}
        }
    }
}
