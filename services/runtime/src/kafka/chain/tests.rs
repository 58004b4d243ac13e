//! A chain goes on behind what is committed, and whatever is done to its records is found.

use super::*;

/// A topic of verdicts and one of chains, as far as they are committed.
#[derive(Clone, Default)]
struct Topics {
    verdicts: Vec<Incoming>,
    control: Vec<Incoming>,
}

impl Topics {
    fn put(&mut self, record: Outgoing) {
        let topic = match record.topic {
            Topic::Verdicts => &mut self.verdicts,
            _ => &mut self.control,
        };
        topic.push(Incoming {
            partition: record.partition.unwrap_or_default(),
            offset: topic.len() as i64,
            timestamp_ms: None,
            key: Some(record.key),
            headers: record.headers,
            payload: Some(record.payload),
        });
    }

    /// One transaction of so many verdicts.
    fn commit(&mut self, chain: &mut Chain, verdicts: usize) {
        for n in 0..verdicts {
            let mut verdict = verdict(&format!("verdict {n}"));
            if let Some(opening) = chain.open() {
                self.put(opening);
            }
            chain.add(&mut verdict);
            self.put(verdict);
        }
        if let Some(head) = chain.head() {
            self.put(head);
        }
    }

    fn head(&self) -> Option<Head> {
        last_head(self.control.iter(), "stream-3")
    }

    fn verify(&self) -> Result<Option<Walked>, Broken> {
        let mut control = Control::default();
        self.control
            .iter()
            .try_for_each(|record| control.take(record))?;
        control.verify()?;
        let mut chains = Chains::new(&control);
        self.verdicts
            .iter()
            .try_for_each(|record| chains.take(record))?;
        let (mut walked, gone) = chains.end()?;
        assert!(gone.is_empty() || self.verdicts.is_empty(), "{gone:?}");
        Ok(walked.remove("stream-3"))
    }
}

fn verdict(payload: &str) -> Outgoing {
    Outgoing {
        topic: Topic::Verdicts,
        partition: Some(3),
        key: b"case".to_vec(),
        headers: vec![
            ("ce_id".to_owned(), Some(b"7".to_vec())),
            ("x".to_owned(), None),
        ],
        payload: payload.as_bytes().to_vec(),
    }
}

/// Three segments: three transactions, a take-over, one, another take-over, one.
fn written() -> Topics {
    let mut topics = Topics::default();
    let mut chain = Chain::new("stream-3".to_owned(), 3);
    chain.resume(None);
    topics.commit(&mut chain, 4);
    topics.commit(&mut chain, 0);
    topics.commit(&mut chain, 2);
    for verdicts in [3, 1] {
        chain.resume(topics.head().as_ref());
        topics.commit(&mut chain, verdicts);
    }
    topics
}

#[test]
fn a_chain_goes_on_behind_what_is_committed() {
    let topics = written();
    let walked = topics.verify().unwrap().unwrap();
    assert_eq!((walked.first, walked.last, walked.segment), (1, 10, 3));
    let head = topics.head().unwrap();
    assert_eq!(
        (head.sequence, head.segment, head.hash),
        (10, 3, walked.hash)
    );

    // A transaction that does not count moves nothing, not even the segment.
    let mut chain = Chain::new("stream-3".to_owned(), 3);
    chain.resume(Some(&head));
    topics.clone().commit(&mut chain, 5);
    chain.resume(topics.head().as_ref());
    let mut topics = topics;
    topics.commit(&mut chain, 1);
    let walked = topics.verify().unwrap().unwrap();
    assert_eq!((walked.last, walked.segment), (11, 4));

    // What is older than the topic keeps is not there, and the rest still holds.
    topics.verdicts.drain(..7);
    let walked = topics.verify().unwrap().unwrap();
    assert_eq!((walked.first, walked.last), (8, 11));
    topics.verdicts.clear();
    assert_eq!(topics.verify(), Ok(None));
}

#[test]
fn whatever_is_done_to_the_records_is_found() {
    fn check(what: &str, change: fn(&mut Topics), is_due: fn(&Broken) -> bool) {
        let mut topics = written();
        change(&mut topics);
        let broken = topics.verify().expect_err(what);
        assert!(is_due(&broken), "{what}: {broken}");
    }
    check(
        "flipped",
        |topics| topics.verdicts[4].payload = Some(b"other".to_vec()),
        |broken| matches!(broken, Broken::Changed { sequence: 5, .. }),
    );
    check(
        "another key",
        |topics| topics.verdicts[4].key = None,
        |broken| matches!(broken, Broken::Changed { sequence: 5, .. }),
    );
    check(
        "a header without a value gets an empty one",
        |topics| topics.verdicts[4].headers[1].1 = Some(Vec::new()),
        |broken| matches!(broken, Broken::Changed { sequence: 5, .. }),
    );
    check(
        "dropped",
        |topics| drop(topics.verdicts.remove(4)),
        |broken| {
            matches!(
                broken,
                Broken::Order {
                    due: 5,
                    found: 6,
                    ..
                }
            )
        },
    );
    check(
        "swapped",
        |topics| topics.verdicts.swap(4, 5),
        |broken| {
            matches!(
                broken,
                Broken::Order {
                    due: 5,
                    found: 6,
                    ..
                }
            )
        },
    );
    check(
        "truncated",
        |topics| topics.verdicts.truncate(9),
        |broken| {
            matches!(
                broken,
                Broken::CutOff {
                    last: 9,
                    named: 10,
                    ..
                }
            )
        },
    );
    check(
        "the header taken away",
        |topics| topics.verdicts[4].headers.truncate(2),
        |broken| {
            matches!(
                broken,
                Broken::Order {
                    due: 5,
                    found: 6,
                    ..
                }
            )
        },
    );
    check(
        "a header that is none",
        |topics| topics.verdicts[4].headers[2].1 = Some(b"stream-3 1".to_vec()),
        |broken| matches!(broken, Broken::Header { offset: 4, .. }),
    );
    check(
        "written anew with all hashes",
        |topics| {
            let mut chain = Chain::new("stream-3".to_owned(), 3);
            let mut forged = Topics::default();
            forged.commit(&mut chain, 10);
            topics.verdicts = forged.verdicts;
        },
        |broken| matches!(broken, Broken::Rewritten { sequence: 10, .. }),
    );
    check(
        "an opening taken away",
        |topics| {
            topics
                .control
                .retain(|record| record.key.as_deref() != Some(&b"stream-3/2"[..]))
        },
        |broken| matches!(broken, Broken::Openings { segment: 2, .. }),
    );
    check(
        "all openings taken away",
        |topics| {
            topics
                .control
                .retain(|record| record.header(KIND) == Some(HEAD))
        },
        |broken| matches!(broken, Broken::Openings { segment: 1, .. }),
    );
    check(
        "an older head",
        |topics| drop(topics.control.pop()),
        |broken| matches!(broken, Broken::Openings { segment: 3, .. }),
    );
    check(
        "something else in the topic of chains",
        |topics| topics.control[0].headers.clear(),
        |broken| matches!(broken, Broken::Control { offset: 0, .. }),
    );
}

#[test]
fn a_receipt_names_its_record_or_is_not_met() {
    let topics = written();
    let mut control = Control::default();
    topics
        .control
        .iter()
        .try_for_each(|record| control.take(record))
        .unwrap();
    let place = |at: usize| {
        let text = topics.verdicts[at].header(HEADER).unwrap();
        std::str::from_utf8(text).unwrap().parse::<Place>().unwrap()
    };
    let held = |receipts: Vec<Place>| {
        let mut chains = Chains::new(&control).against(receipts);
        let taken = topics
            .verdicts
            .iter()
            .try_for_each(|record| chains.take(record));
        taken.map(|()| chains.unmet().to_vec())
    };
    assert_eq!(held(vec![place(3), place(9)]), Ok(Vec::new()));
    let mut other = place(3);
    other.hash = [9; 32];
    assert_eq!(
        held(vec![place(9), other]),
        Err(Broken::OtherReceipt {
            writer: "stream-3".to_owned(),
            sequence: 4,
        })
    );
    let mut later = place(9);
    later.sequence = 11;
    assert_eq!(held(vec![later.clone()]), Ok(vec![later]));
    assert_eq!("12:ab".parse::<Place>(), Err(NoPlace));
}

#[test]
fn a_place_is_read_back_and_its_hash_stays_as_it_is() {
    let mut chain = Chain::new("stream-3".to_owned(), 3);
    let mut record = verdict("a verdict");
    chain.add(&mut record);
    let text = record.headers[2].1.clone().unwrap();
    let place = Place::parse(&text).unwrap();
    assert_eq!(place.text().as_bytes(), text);
    assert_eq!(
        (place.writer.as_str(), place.segment, place.sequence),
        ("stream-3", 1, 1)
    );
    assert_eq!(place.previous, genesis("stream-3"));
    for wrong in ["", "stream-3 1 1", "stream-3 1 0"] {
        assert_eq!(Place::parse(wrong.as_bytes()), None, "{wrong}");
    }
    let zero = place.text().replace(" 1 1 ", " 1 0 ");
    assert_eq!(Place::parse(zero.as_bytes()), None);
    let longer = place.text() + " more";
    assert_eq!(Place::parse(longer.as_bytes()), None);
    assert_eq!(
        Told::of(&incoming(barrier("stream-3", 9, 3))),
        Told::Barrier(9)
    );
}

fn incoming(record: Outgoing) -> Incoming {
    let mut topics = Topics::default();
    topics.put(record);
    topics.control.remove(0)
}
