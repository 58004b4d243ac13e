//! The first reading: which keys decisions will look under, and at which version of the lists.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use creditgate_measures::book::Book;
use creditgate_measures::identifier::{IdType, Identifier, Key};
use creditgate_measures::lists::ListVersion;
use creditgate_measures::name::NormalName;
use creditgate_proto::list_version_from_text;
use creditgate_proto::v1;
use prost::Message;
use rustc_hash::FxHashSet;

use super::report::NotDecidable;
use super::{AHEAD, BATCH, Error, Simulation, Stretch, Teller, Work};
use crate::records::is_check;

/// What the first reading found.
pub(super) struct Collected {
    pub keys: Vec<Key>,
    /// The last version asked for.
    pub up_to: u64,
    pub plan: Plan,
}

/// What to do with each record of the stretch, in order: runs of equal ones.
#[derive(Default)]
pub(super) struct Plan {
    runs: Vec<(u64, Step)>,
    /// Versions that a record asks for after one with a later version, and how many do.
    pub back: BTreeMap<u64, u64>,
    latest: u64,
    /// Records in all, without those left out.
    pub events: u64,
}

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Decide it with the lists of this version.
    Decide(u64),
    /// Count it as not decidable.
    Count(NotDecidable),
    /// It is not in the scope, or of a review: that answers a change of the lists or of the book, and
    /// says nothing that the check of its event does not.
    LeaveOut,
}

impl Plan {
    fn push(&mut self, step: Step) {
        if let Step::Decide(seq) = step {
            if seq < self.latest {
                *self.back.entry(seq).or_default() += 1;
            }
            self.latest = self.latest.max(seq);
        }
        self.events += u64::from(step != Step::LeaveOut);
        match self.runs.last_mut() {
            Some((count, last)) if *last == step => *count += 1,
            _ => self.runs.push((1, step)),
        }
    }

    /// One step for each record.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.runs
            .iter()
            .flat_map(|(count, step)| (0..*count).map(|_| *step))
    }
}

/// The part of a record that is needed before it is decided.
#[derive(Clone, PartialEq, Message)]
struct Glance {
    #[prost(message, optional, tag = "1")]
    event: Option<EventGlance>,
    #[prost(message, optional, tag = "3")]
    verdict: Option<VerdictGlance>,
}

/// See [`v1::Event`].
#[derive(Clone, PartialEq, Message)]
struct EventGlance {
    #[prost(string, tag = "4")]
    scenario: String,
    #[prost(message, repeated, tag = "12")]
    subjects: Vec<v1::Subject>,
}

/// See [`v1::Verdict`].
#[derive(Clone, PartialEq, Message)]
struct VerdictGlance {
    #[prost(string, tag = "7")]
    stage: String,
    #[prost(string, tag = "6")]
    scenario: String,
    #[prost(string, tag = "8")]
    cause: String,
    #[prost(string, tag = "18")]
    list_version: String,
}

impl Simulation<'_> {
    pub(super) fn collect(&self, stretch: Stretch, log: ListVersion) -> Result<Collected, Error> {
        let (sender, work) = Work::line(AHEAD * self.workers);
        let (found_by, found) = std::sync::mpsc::channel();
        let seen = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.workers)
                .map(|_| {
                    let (work, found_by, seen) = (work.clone(), found_by.clone(), &seen);
                    scope.spawn(move || {
                        let mut keys = FxHashSet::default();
                        while let Some((number, batch)) = work.next() {
                            let batch: Vec<Bytes> = batch;
                            let steps: Vec<Step> = batch
                                .iter()
                                .map(|payload| self.glance(payload, log, &mut keys))
                                .collect();
                            seen.fetch_add(steps.len() as u64, Ordering::Relaxed);
                            // The other side has gone only after an error.
                            let _ = found_by.send((number, steps));
                        }
                        keys
                    })
                })
                .collect();
            drop((found_by, work));
            let read = self.read_batches(stretch, sender, found, &seen);
            let mut keys = FxHashSet::default();
            for worker in workers {
                let more = worker.join().map_err(|_| Error::Fault)?;
                match keys.is_empty() {
                    true => keys = more,
                    false => keys.extend(more),
                }
            }
            let plan = read?;
            Ok(Collected {
                keys: keys.into_iter().collect(),
                up_to: plan.latest,
                plan,
            })
        })
    }

    /// Reads the stretch for the workers, and puts what they found back in order.
    fn read_batches(
        &self,
        stretch: Stretch,
        sender: std::sync::mpsc::SyncSender<(usize, Vec<Bytes>)>,
        found: std::sync::mpsc::Receiver<(usize, Vec<Step>)>,
        seen: &AtomicU64,
    ) -> Result<Plan, Error> {
        let mut teller = Teller::new(self.tell, "collecting", 0);
        let mut in_order = InOrder::default();
        let mut records = self.records(stretch);
        for number in 0.. {
            self.go_on()?;
            let batch: Vec<Bytes> = records
                .by_ref()
                .take(BATCH)
                .map(|record| record.map(|record| record.payload))
                .collect::<Result<_, _>>()?;
            if batch.is_empty() {
                break;
            }
            sender.send((number, batch)).map_err(|_| Error::Fault)?;
            found
                .try_iter()
                .for_each(|(n, steps)| in_order.put(n, steps));
            teller.at(seen.load(Ordering::Relaxed));
        }
        drop(sender);
        found.iter().for_each(|(n, steps)| in_order.put(n, steps));
        teller.now(seen.load(Ordering::Relaxed));
        Ok(in_order.plan)
    }

    /// What to do with a record; the keys of its subjects are remembered if it is decided.
    fn glance(&self, payload: &[u8], log: ListVersion, keys: &mut FxHashSet<Key>) -> Step {
        let Ok(Glance { event, verdict }) = Glance::decode(payload) else {
            return Step::Count(NotDecidable::Unreadable);
        };
        let Some(verdict) = verdict else {
            return Step::Count(NotDecidable::Unreadable);
        };
        if !is_check(&verdict.cause) {
            return Step::LeaveOut;
        }
        let scenarios = &self.scope.scenarios;
        if !scenarios.is_empty() && !scenarios.contains(&verdict.scenario) {
            return Step::LeaveOut;
        }
        let Some(event) = event else {
            return Step::Count(NotDecidable::Erased);
        };
        let Ok(version) = list_version_from_text(&verdict.list_version) else {
            return Step::Count(NotDecidable::Unreadable);
        };
        if version.log_id != log.log_id {
            return Step::Count(NotDecidable::OtherLog);
        }
        if version.seq > log.seq {
            return Step::Count(NotDecidable::AheadOfLog);
        }
        for subject in &event.subjects {
            keys_of(subject, self.candidate, keys);
        }
        Step::Decide(version.seq)
    }
}

/// The keys under which a decision looks for a subject first.
fn keys_of(subject: &v1::Subject, book: &Arc<Book>, keys: &mut FxHashSet<Key>) {
    let issuer = (!subject.issuer.is_empty()).then_some(subject.issuer.as_str());
    let identifier = IdType::parse(&subject.id_type)
        .and_then(|id_type| Identifier::parse(id_type, &subject.id, issuer).ok());
    if let Some(identifier) = identifier {
        keys.insert(identifier.key());
    }
    if let Some(name) = NormalName::new(&subject.name, book.simplify()) {
        keys.insert(Key::name(&name));
        keys.insert(Key::name_only(&name));
    }
}

/// Steps of batches that came back in any order.
#[derive(Default)]
struct InOrder {
    plan: Plan,
    next: usize,
    early: BTreeMap<usize, Vec<Step>>,
}

impl InOrder {
    fn put(&mut self, number: usize, steps: Vec<Step>) {
        self.early.insert(number, steps);
        while let Some(steps) = self.early.remove(&self.next) {
            self.next += 1;
            steps.into_iter().for_each(|step| self.plan.push(step));
        }
    }
}
