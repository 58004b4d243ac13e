//! A broker as far as a loop can tell: transactions with epochs, commits whose outcome nobody tells, the
//! group's place, and what a reader of committed records sees.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use creditgate_runtime::kafka::chain::{Head, last_head};
use creditgate_runtime::kafka::group::Next;
use creditgate_runtime::kafka::{Error, Incoming, Outgoing, Topic, Unwritten};

use super::judge::incoming;
use crate::port::{Records, Transactions};

/// Pauses of a whole schedule: usual are some hundreds.
const PAUSES_MAX: u32 = 10_000;

/// Numbers from a seed (SplitMix64), the same on every machine.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// How a transaction ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

/// One partition of the events topic, with what is written for it: verdicts, case state and dead
/// letters, whose partitions have its number.
#[derive(Default)]
pub(super) struct Partition {
    /// The events, by offset, with gaps.
    pub events: Vec<Incoming>,
    /// What was written, with the transaction that it belongs to.
    written: Vec<(Outgoing, usize)>,
    /// How each transaction ended.
    fates: Vec<Fate>,
    /// The transaction that is open, and the place that goes with it.
    open: Option<(usize, Option<i64>)>,
    /// The epoch of the writer that may write.
    epoch: u32,
    /// Commits under way, by the epoch that sent them: they may arrive at any time, or never.
    late: Vec<u32>,
    /// Where the group stands.
    pub committed: i64,
    /// Changes whenever the group gives the partition to somebody: places of others are refused.
    generation: u32,
}

impl Partition {
    /// What a reader of committed records sees: nothing behind a transaction that is open.
    pub(super) fn visible(&self) -> impl Iterator<Item = (usize, &Outgoing)> {
        let fate = |transaction: usize| self.fates[transaction];
        let stable = self
            .written
            .iter()
            .take_while(move |(_, transaction)| fate(*transaction) != Fate::Open);
        stable
            .enumerate()
            .filter(move |(_, (_, transaction))| fate(*transaction) == Fate::Committed)
            .map(|(at, (record, _))| (at, record))
    }

    fn end(&mut self, fate: Fate) {
        if let Some((transaction, place)) = self.open.take() {
            self.fates[transaction] = fate;
            if let (Fate::Committed, Some(place)) = (fate, place) {
                self.committed = place;
            }
        }
    }

    /// A commit that was under way arrives. INVARIANT (fenced): of an older epoch it is refused.
    fn arrive(&mut self, epoch: u32) {
        if epoch == self.epoch {
            self.end(Fate::Committed);
        }
    }
}

/// A promise that somebody else does not keep: the simulation must notice, or it would notice nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A new writer does not fence off the old one.
    Fence,
    /// A barrier is said to have been read before what lies before it.
    Barrier,
    /// A place is taken whoever tells it, also where its transaction is given up.
    Place,
}

/// The cluster, and what may go wrong in it.
pub(super) struct World {
    pub dice: Dice,
    pub partitions: Vec<Partition>,
    /// Version of the lists that is in use; grows when they are loaded anew.
    pub lists: u64,
    /// Whether anything may still go wrong.
    pub faults: bool,
    /// What the broker, or whoever follows it, does not do that the loop rests on.
    pub broken: Option<Broken>,
    /// What happened how often.
    pub seen: BTreeMap<&'static str, u64>,
    /// Simulated time, which only passes while somebody waits.
    pub now: Duration,
    /// How often somebody paused before trying again.
    pub pauses: u32,
}

impl World {
    pub(super) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Whether a fault happens that happens once in so many times.
    pub(super) fn fails(&mut self, times: usize, what: &'static str) -> bool {
        let fails = self.faults && self.dice.once_in(times);
        if fails {
            self.saw(what);
        }
        fails
    }

    /// One of the commits under way arrives, if there is one.
    pub(super) fn late_commit(&mut self) {
        let at = self.dice.below(self.partitions.len());
        let partition = &mut self.partitions[at];
        if let Some(epoch) = partition.late.pop() {
            partition.arrive(epoch);
            self.saw("late commit");
        }
    }

    /// The coordinator ends a transaction that takes too long, and fences whoever wrote it.
    pub(super) fn transaction_timeout(&mut self) {
        let at = self.dice.below(self.partitions.len());
        let partition = &mut self.partitions[at];
        if partition.open.is_some() {
            partition.end(Fate::Aborted);
            partition.epoch += 1;
            self.saw("transaction timeout");
        }
    }

    /// The group gives a partition to somebody; the place of whoever had it is not taken any more.
    pub(super) fn assign(&mut self, partition: usize) -> u32 {
        let partition = &mut self.partitions[partition];
        partition.generation += 1;
        partition.generation
    }
}

/// The world, shared by all that stand in it.
pub(super) type Shared = Arc<Mutex<World>>;

pub(super) fn world(shared: &Shared) -> MutexGuard<'_, World> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that may end at any moment; from then on nothing of it reaches the broker.
pub(super) type Alive = Rc<Cell<bool>>;

/// The records of a partition, as a member of the group reads them.
pub(super) struct Lane {
    pub world: Shared,
    pub partition: usize,
    pub generation: u32,
    pub alive: Alive,
    /// Set when the member learns that the partition goes elsewhere.
    pub stopping: Rc<Cell<bool>>,
    /// Index of the event that is read next.
    pub position: Cell<usize>,
}

/// A place of the group, as one generation of it tells.
pub(super) struct Place {
    next: i64,
    generation: u32,
}

impl Records for Lane {
    type Place = Place;

    fn partition(&self) -> i32 {
        i32::try_from(self.partition).expect("few partitions")
    }

    fn next(&self, wait: Duration) -> Next {
        let mut world = world(&self.world);
        world.now += wait.min(Duration::from_millis(200));
        if world.fails(8, "nothing read") {
            return Next::Nothing;
        }
        match world.partitions[self.partition]
            .events
            .get(self.position.get())
        {
            Some(event) => {
                self.position.set(self.position.get() + 1);
                Next::Record(event.clone())
            }
            None if self.stopping.get() => Next::Stop,
            None => Next::Nothing,
        }
    }

    fn has_waiting(&self) -> bool {
        let world = world(&self.world);
        world.partitions[self.partition].events.len() > self.position.get()
    }

    fn is_stopping(&self) -> bool {
        // A process that is gone asks nothing; the loop of one ends with this.
        self.stopping.get() || !self.alive.get()
    }

    fn committed(&self) -> Result<i64, Error> {
        let gone = || Error::Gone {
            topic: "events".to_owned(),
        };
        let mut world = world(&self.world);
        if world.fails(10, "place not told") || !self.alive.get() {
            return Err(gone());
        }
        match world.partitions[self.partition].open {
            // A place that an open transaction may move is not told.
            Some((_, Some(_))) => Err(gone()),
            _ => Ok(world.partitions[self.partition].committed),
        }
    }

    fn offsets(&self, next: i64) -> Result<Place, Error> {
        Ok(Place {
            next,
            generation: self.generation,
        })
    }

    fn pause(&self, time: Duration) {
        let mut world = world(&self.world);
        world.now += time;
        world.pauses += 1;
        assert!(world.pauses < PAUSES_MAX, "nobody gets on any more");
        if world.faults && world.dice.once_in(4) {
            world.late_commit();
        }
        // Sooner or later the group tells whoever lost the partition.
        let mine = world.partitions[self.partition].generation == self.generation;
        if !mine && world.dice.once_in(6) {
            self.stopping.set(true);
        }
    }
}

/// The writer of a partition: one transactional id, whoever has it.
pub(super) struct Writer {
    pub world: Shared,
    pub partition: usize,
    pub alive: Alive,
    /// None: it must be renewed.
    pub epoch: Option<u32>,
}

impl Writer {
    /// One step of a transaction; after any error the writer must be renewed.
    fn step(
        &mut self,
        step: impl FnOnce(&mut World, usize, u32) -> Result<(), Unwritten>,
    ) -> Result<(), Unwritten> {
        let Some(epoch) = self.epoch.take().filter(|_| self.alive.get()) else {
            return Err(Unwritten::unanswered());
        };
        let mut world = world(&self.world);
        if world.partitions[self.partition].epoch != epoch {
            world.saw("fenced");
            return Err(Unwritten::fenced());
        }
        step(&mut world, self.partition, epoch)?;
        self.epoch = Some(epoch);
        Ok(())
    }
}

impl Transactions for Writer {
    type Place = Place;

    fn renew(&mut self, _: Duration) -> Result<(), Error> {
        self.epoch = None;
        let failed = || Error::Fenced("stream".to_owned());
        let mut world = world(&self.world);
        if !self.alive.get() || world.fails(10, "renewal not answered") {
            return Err(failed());
        }
        let fences = world.broken != Some(Broken::Fence);
        let partition = &mut world.partitions[self.partition];
        if fences {
            partition.end(Fate::Aborted);
            partition.epoch += 1;
        }
        let epoch = partition.epoch;
        if world.fails(10, "renewal done and not answered") {
            return Err(failed());
        }
        self.epoch = Some(epoch);
        Ok(())
    }

    fn is_whole(&self) -> bool {
        // A connection breaks now and then, and nothing else is wrong.
        self.epoch.is_some() && !world(&self.world).fails(25, "connection broken")
    }

    fn listen(&self) {}

    fn chain_head(&self, writer: &str, _: i32, _: u64) -> Result<Option<Head>, Error> {
        let mut world = world(&self.world);
        if !self.alive.get() || world.fails(10, "head not told") {
            return Err(Error::Fenced(writer.to_owned()));
        }
        let partition = &world.partitions[self.partition];
        let records: Vec<Incoming> = partition
            .visible()
            .filter(|(_, record)| record.topic == Topic::Chain)
            .map(|(_, record)| incoming(record.clone()))
            .collect();
        Ok(last_head(records.iter(), writer))
    }

    fn write(&mut self, records: &[Outgoing]) -> Result<(), Unwritten> {
        self.begin()?;
        records.iter().try_for_each(|record| self.add(record))?;
        self.commit(None)
    }

    fn begin(&mut self) -> Result<(), Unwritten> {
        // The broker hears of a transaction with its first record.
        self.step(|_, _, _| Ok(()))
    }

    fn add(&mut self, record: &Outgoing) -> Result<(), Unwritten> {
        self.step(|world, at, _| {
            if world.fails(40, "record not written") {
                return Err(Unwritten::unanswered());
            }
            let partition = &mut world.partitions[at];
            if partition.open.is_none() {
                partition.open = Some((partition.fates.len(), None));
                partition.fates.push(Fate::Open);
            }
            let (transaction, _) = partition.open.expect("just opened");
            partition.written.push((record.clone(), transaction));
            match world.fails(40, "record written and not confirmed") {
                true => Err(Unwritten::unanswered()),
                false => Ok(()),
            }
        })
    }

    fn commit(&mut self, place: Option<&Place>) -> Result<(), Unwritten> {
        self.step(|world, at, epoch| {
            let partition = &mut world.partitions[at];
            if let Some(place) = place {
                if place.generation != partition.generation {
                    world.saw("place of an old generation");
                    return Err(Unwritten::fenced());
                }
                // A transaction of nothing but a place is one, too.
                if partition.open.is_none() {
                    partition.open = Some((partition.fates.len(), None));
                    partition.fates.push(Fate::Open);
                }
                if let Some((_, with)) = &mut partition.open {
                    *with = Some(place.next);
                }
                if world.broken == Some(Broken::Place) {
                    world.partitions[at].committed = place.next;
                }
            }
            if world.fails(12, "commit lost") {
                return Err(Unwritten::unanswered());
            }
            if world.fails(12, "commit delayed") {
                world.partitions[at].late.push(epoch);
                return Err(Unwritten::unanswered());
            }
            world.partitions[at].end(Fate::Committed);
            match world.fails(12, "commit done and not confirmed") {
                true => Err(Unwritten::unanswered()),
                false => Ok(()),
            }
        })
    }
}
