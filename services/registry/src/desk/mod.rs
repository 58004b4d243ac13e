//! What is under way around the lists, besides the entries themselves: imports that wait, what each
//! source confirmed, where sources differ, how far the clock has struck.
//!
//! Like the lists it is derived from the change log alone, record by record, and may be thrown away;
//! a base file carries it so that a start need not read the log from its beginning. Whoever plans a
//! change sees it in a [`View`](crate::keeper::View).

mod cases;
mod decided;
mod holds;
pub mod identity;
mod measures;
mod procedures;
mod served;
pub(crate) mod shown;
mod sources;
mod subscriptions;
pub mod wrong_hits;

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::{ClockStruck, DeskRecord, desk_record::What};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::clockwork::place_of;

pub use cases::{CasesTold, Inspection, ReadUpTo};
pub use decided::DecidedHere;
pub use holds::{Decided, Hold, Holds, WhyHeld};
pub use identity::Identity;
pub use measures::{CarriedOut, FellOn, Measures};
pub use procedures::{Deadline, Masked, Procedure, Procedures, Taken};
pub use served::{Served, Service};
pub use sources::{Difference, SourceAge, Sources};
pub use subscriptions::{Standing, Subscription, Subscriptions};
pub use wrong_hits::{WrongHit, WrongHits};

/// When and where a record was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Its number in the change log.
    pub seq: u64,
    /// When it was recorded.
    pub at: Time,
}

/// What is under way. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Desk {
    /// How many entries each list has, in any state.
    counts: OrdMap<String, u64>,
    /// Imports that wait for approval.
    pub holds: Holds,
    /// What each source confirmed, and where sources differ.
    pub sources: Sources,
    /// Objections, repairs, talks and commitments.
    pub procedures: Procedures,
    /// Notices that were served.
    pub served: Served,
    /// Measures that were carried out by reason of entries.
    pub measures: Measures,
    /// What cases tell of their reports.
    pub cases: CasesTold,
    /// What officials decided, which sources do not undo.
    pub decided_here: DecidedHere,
    /// Up to when everything that came by time alone is recorded.
    pub clock_up_to: Option<Time>,
    /// The last moment that was recorded, in the order of striking; after a clock was set back, of
    /// those since.
    pub clock_place: Option<ClockPlace>,
    /// The latest time of a record; after a clock was set back, of those since.
    pub newest: Option<Time>,
    /// The time that a clock recorded which ran ahead.
    pub ran_ahead: Option<RanAhead>,
    /// Departments that changes are sent to.
    pub subscriptions: Subscriptions,
    /// What is known of subjects beyond what sources state.
    pub identity: Identity,
    /// Who was hit wrongly.
    pub wrong_hits: WrongHits,
}

/// The place of a moment in the order in which moments are recorded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClockPlace {
    /// When it was due.
    pub due: Time,
    /// What came.
    pub kind: String,
    /// To which entry, row or agreement.
    pub id: String,
}

/// A clock ran ahead, and was set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RanAhead {
    /// Everything that was recorded before was recorded by this time.
    pub set_back_to: Time,
    /// No record before bears a later time.
    pub until: Time,
}

impl RanAhead {
    /// By when something was recorded whose record bears this time.
    ///
    /// What was recorded since, at a time that the wrong clock had been at too, counts as recorded
    /// earlier than it was: a moment may then be struck that its record tells already, and none is
    /// lost.
    #[must_use]
    pub fn recorded_by(self, told: Time) -> Time {
        match self.set_back_to < told && told <= self.until {
            true => self.set_back_to,
            false => told,
        }
    }
}

impl Desk {
    /// How many entries each list has, in any state, by code.
    pub fn counts(&self) -> impl Iterator<Item = (&str, usize)> {
        let counts = self.counts.iter();
        counts.map(|(list, count)| (list.as_str(), usize::try_from(*count).unwrap_or(usize::MAX)))
    }

    /// How many entries a list has, in any state.
    #[must_use]
    pub fn entries_of(&self, list: &str) -> u64 {
        self.counts.get(list).copied().unwrap_or_default()
    }

    /// An entry was recorded for the first time.
    pub(crate) fn created(&mut self, list: &str) {
        match self.counts.get_mut(list) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(list.to_owned(), 1);
            }
        }
    }

    /// Takes note of a record. What this version does not understand changes nothing.
    pub(crate) fn note(&mut self, record: &DeskRecord, stamp: Stamp) {
        match &record.what {
            Some(What::ImportHeld(held)) => self.holds.held(held, &record.caller, stamp),
            Some(What::ImportDecided(decided)) => self.holds.decided(decided, record, stamp),
            Some(What::SourcesDiffer(differ)) => self.sources.differ(differ, stamp),
            Some(
                What::SubscriptionPut(_)
                | What::SubscriptionEnded(_)
                | What::Acknowledged(_)
                | What::SubscriptionStopped(_)
                | What::SubscriptionResumed(_),
            ) => self.subscriptions.note(record, stamp),
            Some(What::ProcedureStep(step)) => self.procedures.step(step, record, stamp),
            Some(What::NoticeServed(served)) => {
                if let Some(service) = self.served.note(served, stamp) {
                    self.measures.served(served, &service);
                }
            }
            Some(What::MeasureTaken(taken)) => self.measures.taken(taken, record, stamp),
            Some(What::CasesRead(read)) => self.cases.read(read),
            Some(What::InspectionReported(told)) => self.cases.inspected(told, stamp),
            Some(What::WrongHitOpened(_) | What::WrongHitCorrected(_) | What::WrongHitTold(_)) => {
                self.wrong_hits.note(record, stamp)
            }
            Some(
                What::NameChanged(_)
                | What::SubjectsLinked(_)
                | What::RelationChanged(_)
                | What::CodeDecided(_)
                | What::IdentityUndone(_)
                | What::StatementKept(_),
            ) => self.identity.note(record, stamp),
            None => {}
        }
    }

    /// Takes note that a record was made.
    pub(crate) fn recorded(&mut self, stamp: Stamp) {
        self.newest = self.newest.max(Some(stamp.at));
    }

    /// Takes note of what came by time alone.
    pub(crate) fn struck(&mut self, struck: &ClockStruck, stamp: Stamp) {
        let Some(due) = struck.due_at.as_ref().and_then(time_from_proto) else {
            return;
        };
        if let Some(from) = struck.set_back_from.as_ref().and_then(time_from_proto) {
            let before = self.ran_ahead.map_or(from, |before| before.until);
            self.ran_ahead = Some(RanAhead {
                set_back_to: due,
                until: from.max(before),
            });
            self.newest = Some(stamp.at);
            self.clock_up_to = Some(due);
            self.clock_place = Some(place_of(struck, due));
            return;
        }
        self.clock_up_to = self.clock_up_to.max(Some(due));
        let place = Some(place_of(struck, due));
        // `None` comes before everything.
        if self.clock_place < place {
            self.clock_place = place;
        }
    }
}
