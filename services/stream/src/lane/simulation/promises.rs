//! What must hold after every step of a schedule, for a reader who sees committed records only.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_proto::v1;
use creditgate_runtime::kafka::chain::{Chains, Control};
use creditgate_runtime::kafka::message::CaseState;
use creditgate_runtime::kafka::{Incoming, Topic};
use prost::Message as _;

use super::broker::{Partition, world};
use super::judge::{incoming, uuid_of};
use super::{PARTITIONS, Schedule};

impl Schedule<'_> {
    /// One verdict or one letter for each event, in the order of its case, with the state of the case beside it;
    /// what was seen stays.
    pub(super) fn holds(&mut self) {
        for at in 0..PARTITIONS {
            let world = world(&self.world);
            let partition = &world.partitions[at];
            let mut outcomes: Vec<String> = Vec::new();
            let mut slots: BTreeSet<String> = BTreeSet::new();
            let mut states: Vec<String> = Vec::new();
            let mut letters: BTreeSet<i64> = BTreeSet::new();
            let mut of_case: BTreeMap<String, (usize, u64)> = BTreeMap::new();
            for (_, record) in partition.visible() {
                match record.topic {
                    Topic::Verdicts => {
                        let verdict = v1::Verdict::decode(record.payload.as_slice());
                        let verdict = verdict.expect("a verdict");
                        let fresh = slots.insert(verdict.verdict_id.clone());
                        assert!(fresh, "an event has two verdicts: {}", verdict.event_id);
                        let (known, lists) = of_case.entry(verdict.case_id.clone()).or_default();
                        if let Some(knew) = verdict.flags.first() {
                            assert_eq!(
                                knew,
                                &known.to_string(),
                                "a verdict does not know those before it: {}",
                                verdict.event_id
                            );
                        }
                        *known += 1;
                        let version: u64 = verdict.list_version.parse().expect("a number");
                        assert!(
                            version >= *lists,
                            "a later verdict of a case has older lists"
                        );
                        *lists = version;
                        outcomes.push(verdict.verdict_id);
                    }
                    Topic::CaseState => {
                        let state = CaseState::of(&incoming(record.clone()));
                        if let CaseState::Record { verdict, .. } = state {
                            states.push(verdict.to_string());
                        }
                    }
                    Topic::DeadLetters => {
                        let letter = incoming(record.clone());
                        let offset = letter.header("creditgate-offset").expect("where from");
                        let offset = std::str::from_utf8(offset).expect("a number");
                        let offset: i64 = offset.parse().expect("a number");
                        assert!(letters.insert(offset), "an event has two dead letters");
                        outcomes.push(format!("letter {offset}"));
                    }
                    Topic::Chain => {}
                    other => panic!("nothing is written to {other:?}"),
                }
            }
            let verdicts = outcomes.iter().filter(|one| !one.starts_with("letter"));
            assert!(verdicts.eq(states.iter()), "verdicts and case state differ");
            self.whole(partition, &slots, &letters);
            assert!(
                outcomes.starts_with(&self.seen[at]),
                "what was seen is gone"
            );
            // Now and then, and at the end: each time all hashes are made anew.
            if outcomes.len() / 16 != self.seen[at].len() / 16 {
                chained(partition);
            }
            drop(world);
            self.seen[at] = outcomes;
        }
    }

    /// INVARIANT (all or nothing): up to the group's place every event has its outcome, and behind it
    /// none has.
    fn whole(&self, partition: &Partition, slots: &BTreeSet<String>, letters: &BTreeSet<i64>) {
        let mut known: BTreeMap<u64, usize> = BTreeMap::new();
        let mut due = 0;
        for event in &partition.events {
            let behind = event.offset >= partition.committed;
            let number = number_of(event);
            let has_letter = letters.contains(&event.offset);
            if behind {
                assert!(!has_letter, "a letter of an event behind the group's place");
                continue;
            }
            due += usize::from(has_letter);
            let has_verdict = slots.contains(&uuid_of(number));
            *known.entry(number).or_default() += 1;
            assert!(
                has_letter || has_verdict,
                "event {number} at {} is settled and has no outcome",
                event.offset
            );
        }
        assert_eq!(due, letters.len(), "a letter of no event");
        let settled = slots
            .iter()
            .all(|slot| known.keys().any(|number| uuid_of(*number) == *slot));
        assert!(settled, "a verdict of an event behind the group's place");
    }
}

/// INVARIANT (committed head): the verdicts that count are one chain, and its head is the one that was written with them.
pub(super) fn chained(partition: &Partition) {
    let of = |topic: Topic| {
        let visible = partition
            .visible()
            .filter(move |(_, record)| record.topic == topic);
        visible.map(|(_, record)| incoming(record.clone()))
    };
    let mut control = Control::default();
    for record in of(Topic::Chain) {
        control.take(&record).expect("a record of a chain");
    }
    control.verify().expect("openings are a chain");
    let mut chains = Chains::new(&control);
    let mut verdicts = 0;
    for record in of(Topic::Verdicts) {
        chains
            .take(&record)
            .expect("a verdict follows the one before it");
        verdicts += 1;
    }
    assert_eq!(chains.without(), 0, "a verdict is in no chain");
    let (walked, gone) = chains.end().expect("no verdict is missing");
    assert!(gone.is_empty(), "a head without verdicts: {gone:?}");
    let last = walked.values().map(|walked| (walked.first, walked.last));
    let due = (verdicts > 0).then_some((1, verdicts));
    assert!(last.eq(due), "one chain of {verdicts}: {walked:?}");
}

fn number_of(event: &Incoming) -> u64 {
    let id = event.header("ce_id").expect("an id");
    let id = std::str::from_utf8(id).expect("a number");
    id.parse().expect("a number")
}
