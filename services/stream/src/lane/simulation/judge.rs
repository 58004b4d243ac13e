//! A judge that knows only what its process has read back: what it holds is gone with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use creditgate_proto::v1;
use creditgate_runtime::journal::AppendError;
use creditgate_runtime::kafka::message::CaseState;
use creditgate_runtime::kafka::{Incoming, Outgoing, Topic};
use creditgate_runtime::ports::{self, Answer, Asked, AtOnce, Judged, NotJudged};
use prost::Message as _;

use super::broker::{Broken, Shared, world};

/// What a process knows of cases: a copy of the case state, and the slots that it holds.
#[derive(Default)]
pub(super) struct Copy {
    /// The verdicts by slot.
    pub verdicts: BTreeMap<String, v1::Verdict>,
    barriers: BTreeSet<(i32, u64)>,
    /// How far each partition was read.
    read: Vec<usize>,
    held: BTreeSet<String>,
}

impl Copy {
    /// How many verdicts of a case are known.
    fn of_case(&self, case: &str) -> usize {
        let of = |verdict: &&v1::Verdict| verdict.case_id == case;
        self.verdicts.values().filter(of).count()
    }
}

/// See the module.
pub(super) struct Judge {
    world: Shared,
    copy: Arc<Mutex<Copy>>,
}

/// A verdict that is not durable yet.
pub(super) struct Held {
    verdict: v1::Verdict,
    record: Vec<u8>,
    copy: Arc<Mutex<Copy>>,
}

fn lock(copy: &Mutex<Copy>) -> MutexGuard<'_, Copy> {
    copy.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The slot of an event.
fn slot(event: &v1::Event) -> String {
    let number: u64 = event.id.parse().expect("events are numbered");
    uuid_of(number)
}

/// A text in the form of a verdict's id.
pub(super) fn uuid_of(number: u64) -> String {
    format!("00000000-0000-8000-8000-{number:012x}")
}

impl Judge {
    pub(super) fn new(shared: &Shared) -> Self {
        let partitions = world(shared).partitions.len();
        let copy = Copy {
            read: vec![0; partitions],
            ..Copy::default()
        };
        Self {
            world: Arc::clone(shared),
            copy: Arc::new(Mutex::new(copy)),
        }
    }

    /// Reads on in the case state, for a while or to its end.
    pub(super) fn follow(&self, to_the_end: bool) {
        let mut world = world(&self.world);
        let mut copy = lock(&self.copy);
        for at in 0..world.partitions.len() {
            let most = match to_the_end {
                true => usize::MAX,
                false => world.dice.below(12),
            };
            let from = copy.read[at];
            let seen = world.partitions[at].visible();
            let new: Vec<(usize, Outgoing)> = seen
                .filter(|(index, record)| *index >= from && record.topic == Topic::CaseState)
                .take(most)
                .map(|(index, record)| (index, record.clone()))
                .collect();
            for (index, record) in new {
                copy.read[at] = index + 1;
                let partition = record.partition.expect("the case state names it");
                let record = incoming(record);
                match CaseState::of(&record) {
                    CaseState::Barrier(number) => drop(copy.barriers.insert((partition, number))),
                    CaseState::Record { verdict, .. } => {
                        let payload = record.payload.unwrap_or_default();
                        let read = v1::Verdict::decode(payload.as_slice()).expect("a record");
                        // The first durable verdict of a slot stands.
                        copy.verdicts.entry(verdict.to_string()).or_insert(read);
                    }
                    CaseState::Unknown => panic!("a record of the case state that nobody knows"),
                }
            }
        }
    }

    /// What is known, once everything was read.
    pub(super) fn knows(&self) -> BTreeMap<String, v1::Verdict> {
        self.follow(true);
        lock(&self.copy).verdicts.clone()
    }

    /// Whether nothing is held.
    pub(super) fn holds_nothing(&self) -> bool {
        lock(&self.copy).held.is_empty()
    }

    fn decided(&self, asked: &Asked) -> Result<Option<Judged<Held>>, NotJudged> {
        let event = &asked.event;
        let slot = slot(event);
        let lists = world(&self.world).lists;
        let mut copy = lock(&self.copy);
        if let Some(known) = copy.verdicts.get(&slot) {
            // What the event said is kept in the verdict's stage.
            return match known.stage == event.purpose {
                true => Ok(Some(Judged::Before)),
                false => Err(NotJudged::Conflict("other content".to_owned())),
            };
        }
        if copy.held.contains(&slot) {
            return Ok(None);
        }
        if event.scenario == "refused" {
            return Err(NotJudged::Refused("an unknown scenario".to_owned()));
        }
        let verdict = v1::Verdict {
            verdict_id: slot.clone(),
            verdict_digest: format!("{lists:016x}{:016x}", 0),
            event_id: event.id.clone(),
            case_id: event.case_id.clone(),
            stage: event.purpose.clone(),
            list_version: lists.to_string(),
            // How many verdicts of the case it knows of, for events that ask.
            flags: match asks(event) {
                true => vec![copy.of_case(&event.case_id).to_string()],
                false => Vec::new(),
            },
            ..v1::Verdict::default()
        };
        copy.held.insert(slot);
        drop(copy);
        Ok(Some(Judged::Now(Held {
            record: verdict.encode_to_vec(),
            verdict,
            copy: Arc::clone(&self.copy),
        })))
    }
}

/// Whether an event is of a stage that follows another.
fn asks(event: &v1::Event) -> bool {
    event.stage == "asks"
}

impl ports::Judge for Judge {
    type Held = Held;
    type Waiting = Asked;

    fn asks_for_case(&self, event: &v1::Event) -> bool {
        asks(event)
    }

    fn judge_at_once(&self, asked: Asked) -> Result<AtOnce<Held, Asked>, NotJudged> {
        if world(&self.world).fails(30, "later") {
            return Err(NotJudged::Later("lists are behind".to_owned()));
        }
        if world(&self.world).fails(10, "waits") {
            return Ok(AtOnce::Waits(asked));
        }
        Ok(match self.decided(&asked)? {
            Some(judged) => AtOnce::Judged(judged),
            None => AtOnce::Waits(asked),
        })
    }

    fn judge_waiting(&self, asked: Asked) -> Answer<'_, Result<Judged<Held>, NotJudged>> {
        Box::pin(async move {
            match self.decided(&asked)? {
                Some(judged) => Ok(judged),
                // Another loop of this process has it, which does not know yet that it lost the partition.
                None => Err(NotJudged::Later("somebody holds the slot".to_owned())),
            }
        })
    }

    fn keep(&self, held: Vec<Held>) -> Answer<'_, Result<(), AppendError>> {
        Box::pin(async move {
            if world(&self.world).fails(20, "not kept here") {
                drop(held);
                // It is durable, and is read back before anything is judged that asks for it.
                self.follow(true);
                return Err(AppendError::Closed);
            }
            for one in held {
                let mut copy = lock(&self.copy);
                let slot = one.verdict.verdict_id.clone();
                copy.verdicts
                    .entry(slot)
                    .or_insert_with(|| one.verdict.clone());
                drop(copy);
            }
            Ok(())
        })
    }

    fn has_read(&self, partition: i32, barrier: u64) -> bool {
        if world(&self.world).broken == Some(Broken::Barrier) {
            return true;
        }
        self.follow(false);
        lock(&self.copy).barriers.contains(&(partition, barrier))
    }

    fn follows(&self) -> bool {
        true
    }

    fn is_saturated(&self) -> bool {
        world(&self.world).fails(25, "saturated")
    }
}

impl ports::Held for Held {
    fn verdict(&self) -> &v1::Verdict {
        &self.verdict
    }

    fn record(&self) -> &[u8] {
        &self.record
    }

    fn trace(&self) -> &[(String, String)] {
        &[]
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.copy).held.remove(&self.verdict.verdict_id);
    }
}

/// A record as its readers get it.
pub(super) fn incoming(record: Outgoing) -> Incoming {
    Incoming {
        partition: record.partition.unwrap_or_default(),
        offset: 0,
        timestamp_ms: None,
        key: Some(record.key),
        headers: record.headers,
        payload: Some(record.payload),
    }
}
