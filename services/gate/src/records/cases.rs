//! What is known of the cases in progress (spec 8).
//!
//! A view only grows, and the order in which its parts come does not matter (the earliest time of
//! each check stays), so parts may be joined twice without harm. INVARIANT (whole view): whatever
//! is durable is in `recent`, or indexed; and a remembered view holds everything of its case that
//! is indexed.

use std::collections::HashMap;
use std::sync::Arc;

use creditgate_measures::book::Book;
use creditgate_measures::case::{CaseCheck, CaseView, subject_key};
use creditgate_measures::event::Event;
use creditgate_measures::time::Time;
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::slots::Unindexed;
use super::{BuildAsHashed, Case};

const SHARDS: usize = 64;

/// Cases whose views are remembered.
const REMEMBERED_MAX: u64 = 100_000;

pub(crate) struct Cases {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    remembered: moka::sync::Cache<Case, Arc<CaseView>, BuildAsHashed>,
}

#[derive(Default)]
struct Shard {
    recent: HashMap<Case, Recent, BuildAsHashed>,
    /// How often records left `recent` for the index.
    moves: u64,
}

/// What is not indexed yet of a case.
struct Recent {
    view: CaseView,
    records: usize,
}

/// What a record adds to the view of its case.
#[derive(Debug)]
pub(crate) struct Seen {
    /// When the event took place; none where there was no event.
    at: Option<Time>,
    checks: Vec<CaseCheck>,
}

/// What memory says of a case.
pub(crate) enum Known {
    /// Everything.
    Whole(CaseView),
    /// What is not indexed; the rest must be read, and belongs to this number of moves.
    Recent(CaseView, u64),
}

/// Whether a verdict of this cause, as verdicts print it, is of a check: of a step of the procedure.
/// Any other is of a review.
pub(crate) fn is_check(cause: &str) -> bool {
    cause == "event"
}

impl Seen {
    /// What the record of this event adds, by the cause of its verdict. INVARIANT (no check): a
    /// review adds nothing; its step has not been taken, and its subjects were not checked at it.
    /// A subject without identifier and name is nobody who could be missed.
    pub(crate) fn of(event: &Event, cause: &str, evaluated_at: Time, book: &Book) -> Self {
        if !is_check(cause) {
            return Self {
                at: None,
                checks: Vec::new(),
            };
        }
        let check = |subject| {
            Some(CaseCheck {
                subject: subject_key(subject, evaluated_at, book.simplify())?,
                stage: event.stage.clone(),
                at: event.occurred_at,
            })
        };
        Self {
            at: Some(event.occurred_at),
            checks: event.subjects.iter().filter_map(check).collect(),
        }
    }

    pub(crate) fn add_to(self, view: &mut CaseView) {
        view.opened_at = view.opened_at.into_iter().chain(self.at).min();
        if view.checks.is_empty() && self.checks.len() == 1 {
            // The common case, without another allocation.
            view.checks = self.checks;
        } else {
            view.record(self.checks);
        }
    }
}

impl Cases {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
            remembered: moka::sync::Cache::builder()
                .max_capacity(REMEMBERED_MAX)
                .build_with_hasher(BuildAsHashed::default()),
        }
    }

    /// A record of the case is durable.
    pub(crate) fn record(&self, case: Case, seen: Seen) {
        let mut shard = self.shard(&case).lock();
        let recent = shard.recent.entry(case).or_insert_with(|| Recent {
            view: CaseView::default(),
            records: 0,
        });
        seen.add_to(&mut recent.view);
        recent.records += 1;
    }

    pub(crate) fn known(&self, case: &Case) -> Known {
        let shard = self.shard(case).lock();
        let recent = shard.recent.get(case).map(|recent| recent.view.clone());
        match self.remembered.get(case) {
            Some(indexed) => Known::Whole(match recent {
                None => CaseView::clone(&indexed),
                Some(recent) => joined(recent, &indexed),
            }),
            None => Known::Recent(recent.unwrap_or_default(), shard.moves),
        }
    }

    /// Joins what memory said with what was read from the index after it, and remembers the latter
    /// unless records moved meanwhile: then what was read may lack them, though not those that
    /// memory had.
    pub(crate) fn remember(
        &self,
        case: Case,
        indexed: CaseView,
        moves: u64,
        recent: CaseView,
    ) -> CaseView {
        let whole = joined(recent, &indexed);
        let shard = self.shard(&case).lock();
        if shard.moves == moves {
            self.remembered.insert(case.clone(), Arc::new(indexed));
        }
        whole
    }

    /// The index holds these records now.
    pub(crate) fn moved(&self, indexed: &[Unindexed]) {
        for one in indexed {
            let mut shard = self.shard(&one.case).lock();
            shard.moves += 1;
            let Some(recent) = shard.recent.get_mut(&one.case) else {
                continue;
            };
            recent.records -= 1;
            if recent.records > 0 {
                continue;
            }
            if let Some(recent) = shard.recent.remove(&one.case)
                && let Some(known) = self.remembered.get(&one.case)
            {
                let whole = joined(recent.view, &known);
                self.remembered.insert(one.case.clone(), Arc::new(whole));
            }
        }
    }

    /// The index holds a record that memory never heard of: what is remembered lacks it.
    pub(crate) fn appeared(&self, case: &Case) {
        let mut shard = self.shard(case).lock();
        shard.moves += 1;
        self.remembered.invalidate(case);
    }

    fn shard(&self, case: &Case) -> &Mutex<Shard> {
        // From the middle: the tables inside use both ends.
        &self.shards[(case.key >> 32) as usize & (SHARDS - 1)]
    }
}

fn joined(mut view: CaseView, other: &CaseView) -> CaseView {
    let seen = Seen {
        at: other.opened_at,
        checks: other.checks.clone(),
    };
    seen.add_to(&mut view);
    view
}

#[cfg(test)]
mod tests {
    use creditgate_measures::verdict::Cause;

    use super::*;

    #[test]
    fn only_the_event_itself_is_a_check() {
        assert!(is_check(&Cause::Event.to_string()));
        assert!(!is_check(&Cause::ListChange(7).to_string()));
        assert!(!is_check(&Cause::Clock(7).to_string()));
        assert!(!is_check("something later versions know"));
    }
}
