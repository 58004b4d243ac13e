//! Records on their way from the topic of the cases into the copy of it.

use creditgate_proto::journal::v1::CaseRecord;
use creditgate_runtime::journal::{self, Journal, NewRecord, Position, Record};
use creditgate_runtime::kafka::Incoming;
use prost::Message as _;

use super::topic::{Fault, NUMBER};

/// Records copied at once.
const COPIED: usize = 1_000;

/// A record that stands on the topic and in the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub number: u64,
    pub offset: i64,
    pub position: Position,
}

/// Records on their way from the topic into the copy.
pub(super) struct Copying<'a> {
    journal: &'a Journal,
    /// Number of the last record read.
    pub read: u64,
    /// Number of the last record that the copy has.
    copied: u64,
    /// The records that the copy has, to be compared with the topic's one by one.
    own: journal::Reader,
    /// Records that the copy lacks, with their offsets.
    new: Vec<(NewRecord, i64)>,
    pub last: Option<Known>,
}

impl<'a> Copying<'a> {
    /// From a record that both have, or from the topic's first.
    pub fn from(journal: &'a Journal, known: Option<Known>) -> Self {
        Self::behind(journal, known, known.map_or(0, |known| known.number - 1))
    }

    /// From the record behind this one.
    pub fn behind(journal: &'a Journal, known: Option<Known>, read: u64) -> Self {
        let begin = known.map_or(Position(0), |known| known.position);
        Self {
            journal,
            read,
            copied: journal.head().sequence,
            own: journal.read_from(begin),
            new: Vec::new(),
            last: known,
        }
    }

    pub fn take(&mut self, record: &Incoming) -> Result<(), Fault> {
        let offset = record.offset;
        let found = number_of(record).ok_or(Fault::Form(offset))?;
        let payload = record.payload.as_deref().ok_or(Fault::Form(offset))?;
        let due = self.read + 1;
        if found != due {
            return Err(Fault::Gap { offset, due, found });
        }
        self.read = found;
        if found <= self.copied {
            let own = self.own_record(found)?;
            if *own.payload != *payload {
                return Err(Fault::CopyDiffers(found));
            }
            if self.last.is_none_or(|last| last.number < found) {
                self.last = Some(Known {
                    number: found,
                    offset,
                    position: own.position,
                });
            }
            return Ok(());
        }
        let decoded = CaseRecord::decode(payload).map_err(|_| Fault::Form(offset))?;
        self.new
            .push((super::journalled(&decoded, payload.to_vec()), offset));
        match self.new.len() < COPIED {
            true => Ok(()),
            false => self.write(),
        }
    }

    /// A record that the copy has.
    fn own_record(&mut self, number: u64) -> Result<Record, Fault> {
        for record in &mut self.own {
            let record = record?;
            if record.sequence == number {
                return Ok(record);
            }
        }
        Err(Fault::CopyDiffers(number))
    }

    pub fn write(&mut self) -> Result<(), Fault> {
        let (new, offsets): (Vec<NewRecord>, Vec<i64>) = self.new.drain(..).unzip();
        if new.is_empty() {
            return Ok(());
        }
        let appended = super::append_in_runs(self.journal, new)?;
        if let Some((last, offset)) = appended.last().zip(offsets.last()) {
            self.copied = last.sequence;
            self.last = Some(Known {
                number: last.sequence,
                offset: *offset,
                position: last.position,
            });
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<Option<Known>, Fault> {
        self.write()?;
        self.reaches_the_copy()?;
        Ok(self.last)
    }

    /// The end of the topic is not before that of the copy.
    pub fn reaches_the_copy(&self) -> Result<(), Fault> {
        match self.read < self.copied {
            true => Err(Fault::CopyAhead {
                topic: self.read,
                copy: self.copied,
            }),
            false => Ok(()),
        }
    }
}

/// The number of a record of the topic.
pub(crate) fn number_of(record: &Incoming) -> Option<u64> {
    let bytes = record.header(NUMBER)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use creditgate_runtime::kafka::Outgoing;

    use super::super::topic::{PARTITION, outgoing};
    use super::*;

    /// Records of the topic, as a reader gives them; their places begin at 10.
    fn incoming(numbers: impl IntoIterator<Item = u64>) -> Vec<Incoming> {
        let of = |number: u64| {
            let record = CaseRecord {
                case_id: format!("地-{number}"),
                ..CaseRecord::default()
            };
            let Outgoing {
                key,
                headers,
                payload,
                ..
            } = outgoing(&record, number);
            Incoming {
                partition: PARTITION,
                offset: 9 + number.cast_signed(),
                timestamp_ms: None,
                key: Some(key),
                headers,
                payload: Some(payload),
            }
        };
        numbers.into_iter().map(of).collect()
    }

    /// Takes records into a copy after the last one known, as reading the topic to its end does.
    fn copied(
        journal: &Journal,
        known: Option<Known>,
        records: &[Incoming],
    ) -> Result<Option<Known>, Fault> {
        let mut copying = Copying::from(journal, known);
        records.iter().try_for_each(|record| copying.take(record))?;
        copying.finish()
    }

    fn journal(dir: &Path) -> Journal {
        let options = journal::Options {
            preallocate: false,
            ..journal::Options::default()
        };
        Journal::open(dir, options).unwrap().0
    }

    #[test]
    fn a_copy_ends_with_what_the_topic_has_from_nothing_or_from_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        let known = copied(&journal, None, &incoming(1..=3)).unwrap().unwrap();
        assert_eq!((known.number, known.offset), (3, 12));
        // From the record that both have, which stands first.
        let known = copied(&journal, Some(known), &incoming(3..=5)).unwrap();
        assert_eq!(known.map(|known| known.number), Some(5));
        // What was remembered is lost: from the beginning, and nothing is there twice.
        let known = copied(&journal, None, &incoming(1..=6)).unwrap();
        assert_eq!(known.map(|known| known.number), Some(6));
        let kept: Vec<String> = journal
            .read_from(Position(0))
            .map(|record| CaseRecord::decode(record.unwrap().payload).unwrap().case_id)
            .collect();
        assert_eq!(kept, (1..=6).map(|n| format!("地-{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_topic_that_is_not_the_copys_is_told_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        let known = copied(&journal, None, &incoming(1..=3)).unwrap();
        let fault = |known, records: &[Incoming]| copied(&journal, known, records).unwrap_err();

        let gap = fault(None, &incoming([1, 2, 3, 5]));
        assert!(
            matches!(
                gap,
                Fault::Gap {
                    due: 4,
                    found: 5,
                    ..
                }
            ),
            "{gap}"
        );
        let twice = fault(None, &incoming([1, 2, 2]));
        assert!(
            matches!(
                twice,
                Fault::Gap {
                    due: 3,
                    found: 2,
                    ..
                }
            ),
            "{twice}"
        );
        let mut other = incoming([3]);
        other[0].payload = Some(CaseRecord::default().encode_to_vec());
        assert!(matches!(fault(known, &other), Fault::CopyDiffers(3)));
        let shorter = fault(None, &incoming(1..=2));
        assert!(
            matches!(shorter, Fault::CopyAhead { topic: 2, copy: 3 }),
            "{shorter}"
        );
        // From the first on, where nothing is remembered: each record is compared.
        for number in 1..=3 {
            let mut other = incoming(1..=3);
            other[number - 1].payload = Some(CaseRecord::default().encode_to_vec());
            let differs = fault(None, &other);
            assert!(
                matches!(differs, Fault::CopyDiffers(n) if n == number as u64),
                "{differs}"
            );
        }
        let mut foreign = incoming([4]);
        foreign[0].headers.clear();
        assert!(matches!(fault(known, &foreign), Fault::Form(13)));
        let mut garbled = incoming([3, 4]);
        garbled[1].payload = Some(vec![0xff; 3]);
        assert!(matches!(fault(known, &garbled), Fault::Form(13)));
        assert_eq!(journal.head().sequence, 3);
    }
}
