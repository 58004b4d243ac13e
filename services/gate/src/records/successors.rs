//! Which verdict took the place of which (spec 7, `superseded_by`), from the records alone.
//!
//! The record of a review names the verdict whose place it takes. INVARIANT (whole chain): whatever is
//! durable is in `Recent`, or indexed and in the filter; who reads them in this order misses nothing.

use std::collections::HashMap;
use std::sync::Arc;

use creditgate_measures::verdict::VerdictId;
use creditgate_runtime::journal::Position;
use parking_lot::RwLock;

use super::slots::Unindexed;
use super::{BuildAsHashed, Error, Records, SlotKey, verdict_key};

/// Longest chain of verdicts that is followed.
const CHAIN: usize = 10_000;

/// Records forgotten before others get the lock.
const FORGOTTEN_AT_ONCE: usize = 256;

/// A verdict that took another one's place, by the place of its record: of several the last recorded
/// counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Successor {
    pub position: Position,
    pub verdict: VerdictId,
}

/// The successors whose records are not indexed yet, by the verdict whose place they took.
#[derive(Default)]
pub(crate) struct Recent(RwLock<HashMap<SlotKey, Vec<Successor>, BuildAsHashed>>);

impl Recent {
    /// The record of a successor is durable.
    pub(crate) fn record(&self, before: VerdictId, successor: Successor) {
        let mut recent = self.0.write();
        recent.entry(SlotKey(before)).or_default().push(successor);
    }

    fn of(&self, verdict: VerdictId) -> Option<Successor> {
        let recent = self.0.read();
        recent.get(&SlotKey(verdict))?.iter().max().copied()
    }

    /// The index holds these records now.
    pub(crate) fn forget(&self, indexed: &[Unindexed]) {
        let successors: Vec<(SlotKey, Position)> = indexed
            .iter()
            .filter_map(|one| Some((SlotKey(one.supersedes?), one.position)))
            .collect();
        for some in successors.chunks(FORGOTTEN_AT_ONCE) {
            let mut recent = self.0.write();
            for (before, position) in some {
                if let Some(known) = recent.get_mut(before) {
                    known.retain(|one| one.position != *position);
                    if known.is_empty() {
                        recent.remove(before);
                    }
                }
            }
        }
    }
}

impl Records {
    /// The verdict that took this one's place last: the end of the chain that begins with it. Reads
    /// only if memory and the filter cannot say that there is none.
    pub(crate) async fn successor(
        self: &Arc<Self>,
        verdict: VerdictId,
    ) -> Result<Option<VerdictId>, Error> {
        let none = self.successors.of(verdict).is_none()
            && !self.filters.superseded.may_hold(verdict_key(verdict));
        if none {
            return Ok(None);
        }
        self.blocking(move |records| records.end_of_chain(verdict))
            .await
    }

    fn end_of_chain(&self, verdict: VerdictId) -> Result<Option<VerdictId>, Error> {
        let mut last = verdict;
        // Not for ever, should a chain lead back to itself.
        for _ in 0..CHAIN {
            match self.next_in_chain(last)? {
                Some(next) if next.verdict != last => last = next.verdict,
                _ => break,
            }
        }
        Ok((last != verdict).then_some(last))
    }

    fn next_in_chain(&self, verdict: VerdictId) -> Result<Option<Successor>, Error> {
        let recent = self.successors.of(verdict);
        let indexed = match self.filters.superseded.may_hold(verdict_key(verdict)) {
            true => self.lookup.successor(verdict),
            false => Ok(None),
        };
        let indexed = indexed.map_err(|source| self.index_error(source))?;
        Ok(recent.into_iter().chain(indexed).max())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Case;
    use super::*;

    fn id(n: u128) -> VerdictId {
        VerdictId(uuid::Uuid::from_u128(n))
    }

    fn successor(at: u64, verdict: u128) -> Successor {
        Successor {
            position: Position(at),
            verdict: id(verdict),
        }
    }

    fn unindexed(at: u64, verdict: u128, supersedes: Option<u128>) -> Unindexed {
        Unindexed {
            sequence: at,
            position: Position(at),
            verdict: id(verdict),
            supersedes: supersedes.map(id),
            case: Case::new("c".into()),
        }
    }

    #[test]
    fn of_several_the_last_recorded_counts_whenever_it_was_settled() {
        let recent = Recent::default();
        assert_eq!(recent.of(id(1)), None);
        recent.record(id(1), successor(30, 3));
        recent.record(id(1), successor(20, 2));
        recent.record(id(3), successor(40, 4));
        assert_eq!(recent.of(id(1)), Some(successor(30, 3)));
        assert_eq!(recent.of(id(3)), Some(successor(40, 4)));
    }

    #[test]
    fn what_is_indexed_is_forgotten_and_nothing_else() {
        let recent = Recent::default();
        recent.record(id(1), successor(20, 2));
        recent.record(id(1), successor(30, 3));
        recent.forget(&[unindexed(10, 1, None), unindexed(30, 3, Some(1))]);
        assert_eq!(recent.of(id(1)), Some(successor(20, 2)));
        recent.forget(&[unindexed(20, 2, Some(1)), unindexed(50, 5, Some(4))]);
        assert!(recent.0.read().is_empty());
    }
}
