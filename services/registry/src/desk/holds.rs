//! Imports that wait for approval, since they would end more than a source usually ends at once, are not
//! whole, or are older than what is known.

use creditgate_proto::journal::v1::{DeskRecord, ImportDecided, ImportHeld};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::Stamp;

/// Decided holds that are remembered.
const DECIDED_KEPT: usize = 1_000;

/// Why an import waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhyHeld {
    /// It shows nothing at all.
    Empty,
    /// It does not show a large share of what its source had in force.
    RemovesMany,
    /// Its file ends in the middle of a row, or behind one without a line end, and would end something.
    CutOff,
    /// It tells of an earlier time than what its source has confirmed of the list since.
    Older,
}

impl WhyHeld {
    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::RemovesMany => "removes_many",
            Self::CutOff => "cut_off",
            Self::Older => "older",
        }
    }

    fn of(code: &str) -> Self {
        match code {
            "empty" => Self::Empty,
            "cut_off" => Self::CutOff,
            "older" => Self::Older,
            _ => Self::RemovesMany,
        }
    }
}

/// An import that waits for approval, or did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// Unit the data comes from.
    pub source_unit: String,
    /// The list.
    pub list: String,
    /// Why it waits.
    pub why: WhyHeld,
    /// Entries of the source in force on the list when it was held.
    pub in_force: u64,
    /// How many of them it does not show.
    pub removed: u64,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 of the file with the rows.
    pub rows_digest: Vec<u8>,
    /// The header of the import, encoded.
    pub header: Vec<u8>,
    /// Who sent it.
    pub caller: String,
    /// When it was held.
    pub held: Stamp,
    /// What was decided; none: it waits.
    pub decided: Option<Decided>,
}

/// What was decided about an import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Approved, or rejected.
    pub approved: bool,
    /// Who decided.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Stamp,
}

/// All of them, by id. Ids begin with the time, so their order is that of arrival.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Holds(OrdMap<String, Hold>);

impl Holds {
    /// The one with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Hold> {
        self.0.get(id)
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Hold> {
        self.0.values()
    }

    /// Those that wait, the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Hold> {
        self.all().filter(|hold| hold.decided.is_none())
    }

    pub(super) fn held(&mut self, held: &ImportHeld, caller: &str, stamp: Stamp) {
        let hold = Hold {
            id: held.hold_id.clone(),
            source_unit: held.source_unit.clone(),
            list: held.list.clone(),
            why: WhyHeld::of(&held.why),
            in_force: held.in_force,
            removed: held.removed,
            rows: held.rows,
            rows_digest: held.rows_digest.clone(),
            header: held.header.clone(),
            caller: caller.to_owned(),
            held: stamp,
            decided: None,
        };
        self.0.insert(hold.id.clone(), hold);
    }

    pub(super) fn decided(&mut self, decided: &ImportDecided, record: &DeskRecord, stamp: Stamp) {
        let Some(hold) = self.0.get_mut(&decided.hold_id) else {
            return;
        };
        hold.decided = Some(Decided {
            approved: decided.approved,
            by: record.caller.clone(),
            reason: record.reason.clone(),
            at: stamp,
        });
        let mut done: Vec<String> = self
            .all()
            .filter(|hold| hold.decided.is_some())
            .map(|hold| hold.id.clone())
            .collect();
        let surplus = done.len().saturating_sub(DECIDED_KEPT);
        for id in done.drain(..surplus) {
            self.0.remove(&id);
        }
    }
}
