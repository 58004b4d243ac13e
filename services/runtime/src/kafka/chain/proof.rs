//! Whether what a topic holds is what its writers wrote: every chain, in order and complete.

use std::collections::BTreeMap;

use super::{HEADER, Head, Opening, Place, Told, genesis};
use crate::kafka::record::Incoming;

/// What the topic of chains says.
#[derive(Clone, Debug, Default)]
pub struct Control {
    heads: BTreeMap<String, Head>,
    openings: BTreeMap<String, BTreeMap<u64, Opening>>,
}

/// The chains of a topic of verdicts, as they are walked.
#[derive(Debug)]
pub struct Chains<'a> {
    control: &'a Control,
    walked: BTreeMap<String, Walked>,
    without: u64,
    /// Receipts that were not met yet.
    receipts: Vec<Place>,
}

/// One writer's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The number of the first record that is there; more than 1: what was before it is not.
    pub first: u64,
    /// The number of the last record.
    pub last: u64,
    /// The hash of the last record.
    pub hash: [u8; 32],
    /// The segment of the last record.
    pub segment: u64,
}

/// What does not belong where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A header that is none.
    #[error(
        "partition {partition}, offset {offset}: its `creditgate-chain` header is not as it was written"
    )]
    Header {
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// A record that was changed.
    #[error(
        "record {sequence} of `{writer}` (partition {partition}, offset {offset}) is not what was written: it was changed"
    )]
    Changed {
        /// The writer.
        writer: String,
        /// The record.
        sequence: u64,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// Something is missing, or stands elsewhere.
    #[error(
        "record {found} of `{writer}` (partition {partition}, offset {offset}) stands where record {due} is due: one was \
         dropped, added or moved"
    )]
    Order {
        /// The writer.
        writer: String,
        /// The number that is due.
        due: u64,
        /// The number that stands there.
        found: u64,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// A record that follows another one.
    #[error(
        "record {sequence} of `{writer}` does not follow the one before it: one of them was written anew"
    )]
    Link {
        /// The writer.
        writer: String,
        /// The record.
        sequence: u64,
    },
    /// A segment that nobody opened there.
    #[error(
        "record {sequence} of `{writer}` begins segment {segment}, which is not registered as opened there"
    )]
    Unregistered {
        /// The writer.
        writer: String,
        /// The segment.
        segment: u64,
        /// The record.
        sequence: u64,
    },
    /// Openings that do not follow each other.
    #[error(
        "the opening of segment {segment} of `{writer}` is missing, or does not follow the one before it"
    )]
    Openings {
        /// The writer.
        writer: String,
        /// The segment.
        segment: u64,
    },
    /// A record that is not the one of the head.
    #[error(
        "record {sequence} of `{writer}` is not the one that the topic of chains names: it was written anew with all hashes"
    )]
    Rewritten {
        /// The writer.
        writer: String,
        /// The record.
        sequence: u64,
    },
    /// A record that is not the one of a receipt.
    #[error(
        "record {sequence} of `{writer}` is not the one that a receipt names: it, or one before it, was written anew"
    )]
    OtherReceipt {
        /// The writer.
        writer: String,
        /// The record.
        sequence: u64,
    },
    /// Records that are gone.
    #[error(
        "`{writer}` ends at record {last}, but the topic of chains names record {named}: the end was cut off"
    )]
    CutOff {
        /// The writer.
        writer: String,
        /// The last record there is.
        last: u64,
        /// The record that is named.
        named: u64,
    },
    /// A record of the topic of chains that is none.
    #[error(
        "partition {partition}, offset {offset} of the topic of chains is no record of a chain: look who may write there"
    )]
    Control {
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
}

impl Control {
    /// Takes the next record of the topic of chains; each partition in its order.
    ///
    /// # Errors
    /// When it is none.
    pub fn take(&mut self, record: &Incoming) -> Result<(), Broken> {
        match Told::of(record) {
            Told::Head(head) => {
                self.heads.insert(head.writer.clone(), head);
            }
            Told::Opening(opening) => {
                let of_writer = self.openings.entry(opening.writer.clone()).or_default();
                of_writer.insert(opening.segment, opening);
            }
            Told::Barrier(_) => {}
            Told::Unknown => {
                return Err(Broken::Control {
                    partition: record.partition,
                    offset: record.offset,
                });
            }
        }
        Ok(())
    }

    /// The writers that are registered.
    pub fn writers(&self) -> impl Iterator<Item = &str> {
        self.openings.keys().map(String::as_str)
    }

    /// Whether the openings of each writer are a chain from the first to the one of its head.
    ///
    /// # Errors
    /// The first that is not.
    pub fn verify(&self) -> Result<(), Broken> {
        for (writer, openings) in &self.openings {
            let broken = |segment| Broken::Openings {
                writer: writer.clone(),
                segment,
            };
            let mut previous = [0; 32];
            for (due, (segment, opening)) in (1..).zip(openings) {
                if *segment != due || opening.previous != previous {
                    return Err(broken(due));
                }
                previous = opening.digest();
            }
            // An opening is committed with a head of its segment.
            let last = openings.last_key_value().map_or(0, |(segment, _)| *segment);
            match self.heads.get(writer) {
                Some(head) if head.segment == last && head.opening == previous => {}
                _ => return Err(broken(last)),
            }
        }
        let unregistered = self
            .heads
            .keys()
            .find(|writer| !self.openings.contains_key(*writer));
        match unregistered {
            Some(writer) => Err(Broken::Openings {
                writer: writer.clone(),
                segment: 1,
            }),
            None => Ok(()),
        }
    }

    fn opens(&self, place: &Place) -> bool {
        let openings = self.openings.get(&place.writer);
        let opening = openings.and_then(|openings| openings.get(&place.segment));
        opening.is_some_and(|opening| {
            opening.sequence + 1 == place.sequence && opening.hash == place.previous
        })
    }
}

impl<'a> Chains<'a> {
    /// Begins to walk, against what the topic of chains said before.
    #[must_use]
    pub const fn new(control: &'a Control) -> Self {
        Self {
            control,
            walked: BTreeMap::new(),
            without: 0,
            receipts: Vec::new(),
        }
    }

    /// Holds records against what their readers kept of them: the text of [`HEADER`].
    #[must_use]
    pub fn against(self, receipts: Vec<Place>) -> Self {
        Self { receipts, ..self }
    }

    /// Receipts whose record was not there.
    #[must_use]
    pub fn unmet(&self) -> &[Place] {
        &self.receipts
    }

    /// The next record of the topic; each partition in its order. One that its writer wrote behind the head that is known is
    /// held against the one before it alone.
    ///
    /// # Errors
    /// When it does not belong there.
    pub fn take(&mut self, record: &Incoming) -> Result<(), Broken> {
        let Some(text) = record.header(HEADER) else {
            self.without += 1;
            return Ok(());
        };
        let (partition, offset) = (record.partition, record.offset);
        let place = Place::parse(text).ok_or(Broken::Header { partition, offset })?;
        let writer = || place.writer.clone();
        let sequence = place.sequence;
        if !place.is_of(record) {
            return Err(Broken::Changed {
                writer: writer(),
                sequence,
                partition,
                offset,
            });
        }
        let known = self.walked.get(&place.writer);
        if let Some(before) = known {
            if sequence != before.last + 1 {
                return Err(Broken::Order {
                    writer: writer(),
                    due: before.last + 1,
                    found: sequence,
                    partition,
                    offset,
                });
            }
            if place.previous != before.hash {
                return Err(Broken::Link {
                    writer: writer(),
                    sequence,
                });
            }
        } else if sequence == 1 && place.previous != genesis(&place.writer) {
            return Err(Broken::Link {
                writer: writer(),
                sequence,
            });
        }
        let head = self.control.heads.get(&place.writer);
        // What was written meanwhile may have been opened meanwhile.
        let is_known = head.is_some_and(|head| sequence <= head.sequence);
        let begins = match known {
            Some(before) => before.segment != place.segment,
            None => sequence == 1,
        };
        if begins && is_known && !self.control.opens(&place) {
            return Err(Broken::Unregistered {
                writer: writer(),
                segment: place.segment,
                sequence,
            });
        }
        if head.is_some_and(|head| head.sequence == sequence && head.hash != place.hash) {
            return Err(Broken::Rewritten {
                writer: writer(),
                sequence,
            });
        }
        let is_of =
            |receipt: &Place| receipt.writer == place.writer && receipt.sequence == sequence;
        if self
            .receipts
            .iter()
            .any(|receipt| is_of(receipt) && *receipt != place)
        {
            return Err(Broken::OtherReceipt {
                writer: writer(),
                sequence,
            });
        }
        self.receipts.retain(|receipt| !is_of(receipt));
        let first = known.map_or(sequence, |before| before.first);
        let walked = Walked {
            first,
            last: sequence,
            hash: place.hash,
            segment: place.segment,
        };
        self.walked.insert(place.writer, walked);
        Ok(())
    }

    /// How many records had no such header: they are of no chain.
    #[must_use]
    pub const fn without(&self) -> u64 {
        self.without
    }

    /// The topic ends here: the chains, by writer, and the writers of which nothing is there any more.
    ///
    /// # Errors
    /// When a head names what comes later.
    pub fn end(self) -> Result<(BTreeMap<String, Walked>, Vec<String>), Broken> {
        let mut gone = Vec::new();
        for (writer, head) in &self.control.heads {
            match self.walked.get(writer) {
                Some(walked) if walked.last < head.sequence => {
                    return Err(Broken::CutOff {
                        writer: writer.clone(),
                        last: walked.last,
                        named: head.sequence,
                    });
                }
                Some(_) => {}
                None => gone.push(writer.clone()),
            }
        }
        Ok((self.walked, gone))
    }
}
