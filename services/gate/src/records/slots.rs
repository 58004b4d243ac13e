//! The decision slots of this moment: those under way, and those recorded but not indexed yet.
//!
//! A slot belongs to the check that claimed it first. INVARIANT (one writer): between a claim and
//! its end nobody else records for the slot; whoever comes meanwhile waits and looks again.
//!
//! Where Kafka keeps the journal, another process may have answered a slot too (spec 7). Its answer is
//! recorded beside: the first one stands for whoever comes for the slot.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use creditgate_measures::verdict::VerdictId;
use creditgate_proto::AnswerDigest;
use creditgate_runtime::journal::Position;
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::{BuildAsHashed, Case, SlotKey};
use crate::content::ContentDigest;

/// A power of two.
const SHARDS: usize = 64;

pub(crate) struct Slots {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    unindexed: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    slots: HashMap<SlotKey, Slot, BuildAsHashed>,
    /// Further answers of slots; there are hardly ever any.
    others: Vec<(VerdictId, AnswerDigest, Position)>,
    unindexed: Vec<Unindexed>,
}

enum Slot {
    /// Somebody is at work on it; made only when somebody else waits.
    UnderWay(Option<Arc<Notify>>),
    /// Its record is durable.
    Recorded(Position, ContentDigest, AnswerDigest),
    /// Its record may exist; only opening the journal again will tell.
    Unknown,
}

/// A record that the index does not hold yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unindexed {
    pub sequence: u64,
    pub position: Position,
    pub verdict: VerdictId,
    /// The verdict whose place it takes.
    pub supersedes: Option<VerdictId>,
    pub case: Case,
}

/// What the slot was when somebody came for it.
pub(crate) enum Found {
    /// Free, and now the caller's.
    Claimed,
    /// Somebody else's; look again when this has come.
    UnderWay(OwnedNotified),
    Recorded(Position, ContentDigest),
    Unknown,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
            unindexed: AtomicUsize::new(0),
        }
    }

    /// Claims the slot if nobody has it.
    pub(crate) fn claim(&self, verdict: VerdictId) -> Found {
        let mut shard = self.shard(verdict).lock();
        match shard.slots.entry(SlotKey(verdict)) {
            Entry::Vacant(free) => {
                free.insert(Slot::UnderWay(None));
                Found::Claimed
            }
            Entry::Occupied(mut taken) => match taken.get_mut() {
                Slot::UnderWay(notify) => {
                    // Made under the lock, so that no end of the work can come between.
                    Found::UnderWay(Arc::clone(notify.get_or_insert_default()).notified_owned())
                }
                Slot::Recorded(position, digest, _) => Found::Recorded(*position, *digest),
                Slot::Unknown => Found::Unknown,
            },
        }
    }

    /// Where the slot's record is, if it is one of those not indexed yet.
    pub(crate) fn recorded(&self, verdict: VerdictId) -> Option<Position> {
        match self.shard(verdict).lock().slots.get(&SlotKey(verdict)) {
            Some(Slot::Recorded(position, ..)) => Some(*position),
            _ => None,
        }
    }

    /// Where this very answer of the slot is, if it is not indexed yet.
    pub(crate) fn answered(&self, verdict: VerdictId, answer: AnswerDigest) -> Option<Position> {
        let shard = self.shard(verdict).lock();
        match shard.slots.get(&SlotKey(verdict)) {
            Some(Slot::Recorded(position, _, known)) if *known == answer => Some(*position),
            _ => {
                let mut others = shard.others.iter();
                let found = others.find(|(of, known, _)| (*of, *known) == (verdict, answer));
                found.map(|(.., position)| *position)
            }
        }
    }

    /// The slot's record is durable.
    pub(crate) fn record(&self, digest: ContentDigest, answer: AnswerDigest, record: Unindexed) {
        let mut shard = self.shard(record.verdict).lock();
        let before = shard.slots.insert(
            SlotKey(record.verdict),
            Slot::Recorded(record.position, digest, answer),
        );
        shard.unindexed.push(record);
        drop(shard);
        self.unindexed.fetch_add(1, Ordering::Relaxed);
        wake(before);
    }

    /// Another answer of a recorded slot is durable.
    pub(crate) fn record_other(&self, answer: AnswerDigest, record: Unindexed) {
        let mut shard = self.shard(record.verdict).lock();
        let other = (record.verdict, answer, record.position);
        shard.others.push(other);
        shard.unindexed.push(record);
        drop(shard);
        self.unindexed.fetch_add(1, Ordering::Relaxed);
    }

    /// There is no record: the slot is free again, and whoever waits may try.
    pub(crate) fn release(&self, verdict: VerdictId) {
        let before = self.shard(verdict).lock().slots.remove(&SlotKey(verdict));
        wake(before);
    }

    /// There may be a record or not.
    pub(crate) fn lose(&self, verdict: VerdictId) {
        let before = self
            .shard(verdict)
            .lock()
            .slots
            .insert(SlotKey(verdict), Slot::Unknown);
        wake(before);
    }

    /// How many records the index lacks.
    pub(crate) fn unindexed(&self) -> usize {
        self.unindexed.load(Ordering::Relaxed)
    }

    /// Hands over what was recorded since the last time; the slots stay until they are forgotten.
    pub(crate) fn take_unindexed(&self, into: &mut Vec<Unindexed>) {
        for shard in &self.shards {
            into.append(&mut shard.lock().unindexed);
        }
    }

    /// The index holds these now.
    pub(crate) fn forget(&self, indexed: &[Unindexed]) {
        let mut by_shard: Vec<Vec<(VerdictId, Position)>> = vec![Vec::new(); SHARDS];
        for one in indexed {
            by_shard[shard_of(one.verdict)].push((one.verdict, one.position));
        }
        for (shard, verdicts) in self.shards.iter().zip(by_shard) {
            // Few at a time, so that no check waits long for the lock.
            for some in verdicts.chunks(256) {
                let mut shard = shard.lock();
                for (verdict, position) in some {
                    if let Entry::Occupied(slot) = shard.slots.entry(SlotKey(*verdict))
                        && matches!(slot.get(), Slot::Recorded(known, ..) if known == position)
                    {
                        slot.remove();
                    } else {
                        shard.others.retain(|(.., known)| known != position);
                    }
                }
            }
        }
        self.unindexed.fetch_sub(indexed.len(), Ordering::Relaxed);
    }

    fn shard(&self, verdict: VerdictId) -> &Mutex<Shard> {
        &self.shards[shard_of(verdict)]
    }
}

/// The id is cut out of a SHA-256, its last byte as good as any; the tables inside use others.
fn shard_of(verdict: VerdictId) -> usize {
    usize::from(verdict.0.as_bytes()[15]) & (SHARDS - 1)
}

fn wake(before: Option<Slot>) {
    if let Some(Slot::UnderWay(Some(notify))) = before {
        notify.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: ContentDigest = ContentDigest([7; 16]);

    fn id(n: u128) -> VerdictId {
        VerdictId(uuid::Uuid::from_u128(n))
    }

    fn recorded(n: u64, sequence: u64) -> Unindexed {
        Unindexed {
            sequence,
            position: Position(sequence * 100),
            verdict: id(u128::from(n)),
            supersedes: None,
            case: Case::new("c".into()),
        }
    }

    #[tokio::test]
    async fn a_second_comer_waits_until_the_first_has_recorded_or_given_up() {
        let slots = Slots::new();
        assert!(matches!(slots.claim(id(1)), Found::Claimed));
        let Found::UnderWay(end) = slots.claim(id(1)) else {
            panic!("taken");
        };
        slots.release(id(1));
        end.await;
        assert!(matches!(slots.claim(id(1)), Found::Claimed));
        let Found::UnderWay(end) = slots.claim(id(1)) else {
            panic!("taken");
        };
        slots.record(DIGEST, AnswerDigest(1), recorded(1, 3));
        end.await;
        assert!(matches!(
            slots.claim(id(1)),
            Found::Recorded(Position(300), DIGEST)
        ));
    }

    #[test]
    fn what_is_indexed_is_forgotten_and_free_again() {
        let slots = Slots::new();
        for n in 1..=500 {
            assert!(matches!(slots.claim(id(u128::from(n))), Found::Claimed));
            slots.record(DIGEST, AnswerDigest(n), recorded(n, n));
        }
        let mut taken = Vec::new();
        slots.take_unindexed(&mut taken);
        assert_eq!((taken.len(), slots.unindexed()), (500, 500));
        slots.forget(&taken[..300]);
        assert_eq!(slots.unindexed(), 200);
        assert_eq!(slots.recorded(taken[0].verdict), None);
        assert_eq!(
            slots.recorded(taken[300].verdict),
            Some(taken[300].position)
        );
    }

    #[test]
    fn another_answer_is_found_by_its_digest_and_the_first_stands() {
        let slots = Slots::new();
        assert!(matches!(slots.claim(id(1)), Found::Claimed));
        slots.record(DIGEST, AnswerDigest(7), recorded(1, 1));
        slots.record_other(AnswerDigest(8), recorded(1, 2));
        slots.record_other(AnswerDigest(9), recorded(1, 3));
        assert_eq!(slots.recorded(id(1)), Some(Position(100)));
        let found = [7, 8, 9, 10].map(|answer| slots.answered(id(1), AnswerDigest(answer)));
        assert_eq!(
            found,
            [Some(100), Some(200), Some(300), None].map(|at| at.map(Position))
        );
        assert_eq!(slots.answered(id(2), AnswerDigest(7)), None);
        // They leave memory one after the other, as the index takes them.
        let mut taken = Vec::new();
        slots.take_unindexed(&mut taken);
        slots.forget(&taken[..2]);
        assert_eq!(slots.recorded(id(1)), None);
        let found = [7, 8, 9].map(|answer| slots.answered(id(1), AnswerDigest(answer)));
        assert_eq!(found, [None, None, Some(Position(300))]);
        slots.forget(&taken[2..]);
        assert_eq!(slots.answered(id(1), AnswerDigest(9)), None);
        assert_eq!(slots.unindexed(), 0);
    }

    #[test]
    fn an_unknown_slot_stays_unknown() {
        let slots = Slots::new();
        assert!(matches!(slots.claim(id(1)), Found::Claimed));
        slots.lose(id(1));
        assert!(matches!(slots.claim(id(1)), Found::Unknown));
    }
}
