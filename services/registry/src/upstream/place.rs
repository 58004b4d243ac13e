//! How far the topic was followed, and whether the next record may follow.
//!
//! INVARIANT (proven): a record is taken only when its log, its number and its chain continue what
//! was taken before it. Offsets are addresses and prove nothing; they only say where to read on.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use creditgate_runtime::journal::{Position, ReadError};
use creditgate_runtime::kafka::Incoming;
use uuid::Uuid;

use super::fault::Fault;
use super::record::{Chain, Sealed};
use crate::log::ChangeLog;

/// The name of the file in the directory of the copy.
const FILE: &str = "place";

/// The file is written at most this often: when it is late, a little is read twice.
const SAVED_EVERY: Duration = Duration::from_secs(1);

/// A place in the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The change log.
    pub log_id: Uuid,
    /// Number of the last record; 0 before the first.
    pub seq: u64,
    /// The chain with it.
    pub chain: Chain,
    /// Where the record after it is looked for; none: from the beginning of the topic.
    pub offset: Option<i64>,
}

impl Place {
    /// Before the first record.
    #[must_use]
    pub fn start(log_id: Uuid) -> Self {
        Self {
            log_id,
            seq: 0,
            chain: Chain::start(log_id),
            offset: None,
        }
    }

    /// Moves on by the record, when it is the next one and unchanged.
    ///
    /// # Errors
    /// When it is not; the place stays.
    pub fn admit(&mut self, incoming: Incoming) -> Result<Sealed, Fault> {
        let offset = incoming.offset;
        let sealed = Sealed::decode(incoming).map_err(|part| Fault::Form { offset, part })?;
        if sealed.log_id != self.log_id {
            return Err(Fault::OtherLog {
                offset,
                own: self.log_id,
                found: sealed.log_id,
            });
        }
        if sealed.seq != self.seq + 1 {
            return Err(Fault::Gap {
                offset,
                due: self.seq + 1,
                found: sealed.seq,
            });
        }
        if sealed.chain != self.chain.after(sealed.seq, &sealed.record) {
            return Err(Fault::Chain {
                offset,
                seq: sealed.seq,
            });
        }
        *self = Self {
            log_id: self.log_id,
            seq: sealed.seq,
            chain: sealed.chain,
            offset: Some(offset + 1),
        };
        Ok(sealed)
    }

    fn to_text(&self) -> String {
        let offset = self
            .offset
            .map_or("-".to_owned(), |offset| offset.to_string());
        format!("{} {} {} {offset}\n", self.log_id, self.seq, self.chain)
    }

    fn from_text(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [log_id, seq, chain, offset] = words.as_slice() else {
            return None;
        };
        Some(Self {
            log_id: log_id.parse().ok()?,
            seq: seq.parse().ok()?,
            chain: chain.parse().ok()?,
            offset: match *offset {
                "-" => None,
                offset => Some(offset.parse().ok()?),
            },
        })
    }
}

/// The copy of the topic in the local log: how far it goes, and how far the topic was followed.
///
/// The two differ only while what the copy has is read again.
#[derive(Debug)]
pub struct Copy {
    file: PathBuf,
    /// The last record seen on the topic.
    place: Place,
    /// The last record of the copy, and the place after it as far as it was seen.
    end: Place,
    saved: Option<Instant>,
}

impl Copy {
    /// The copy that this log is, with the place that was remembered beside it in `dir`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn open(log: &ChangeLog, dir: &Path) -> Result<Self, ReadError> {
        let file = dir.join(FILE);
        let remembered = fs::read_to_string(&file)
            .ok()
            .and_then(|text| Place::from_text(&text))
            .filter(|place| place.log_id == log.log_id() && place.seq <= log.head().sequence);
        let place = remembered.unwrap_or_else(|| Place::start(log.log_id()));
        Ok(Self {
            file,
            end: end_of(log, &place)?,
            place,
            saved: None,
        })
    }

    /// Forgets the place, so that the topic is read from its beginning.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn begin_again(&mut self, log: &ChangeLog) -> Result<(), ReadError> {
        self.place = Place::start(log.log_id());
        self.end = end_of(log, &self.place)?;
        Ok(())
    }

    /// How far the topic was followed.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Moves on by a record of the topic. None: the copy has it already.
    ///
    /// # Errors
    /// When it may not follow, or the copy has another one in its place.
    pub fn admit(&mut self, incoming: Incoming) -> Result<Option<Sealed>, Fault> {
        let offset = incoming.offset;
        let sealed = self.place.admit(incoming)?;
        if sealed.seq == self.end.seq && sealed.chain != self.end.chain {
            return Err(Fault::CopyDiffers {
                offset,
                seq: sealed.seq,
            });
        }
        if sealed.seq == self.end.seq {
            self.end.offset = self.place.offset;
        }
        Ok((sealed.seq > self.end.seq).then_some(sealed))
    }

    /// Whether a record lies behind the end of the copy.
    #[must_use]
    pub fn lacks(&self, incoming: Incoming) -> bool {
        Sealed::decode(incoming).is_ok_and(|sealed| sealed.seq > self.end.seq)
    }

    /// The topic has ended here.
    ///
    /// # Errors
    /// When the copy goes on.
    pub const fn ends_here(&self) -> Result<(), Fault> {
        if self.place.seq < self.end.seq {
            return Err(Fault::CopyAhead {
                topic: self.place.seq,
                copy: self.end.seq,
            });
        }
        Ok(())
    }

    /// Takes note that the copy has everything up to a place, durably.
    pub fn copied(&mut self, up_to: Place) {
        self.end = up_to;
        self.save_if_due();
    }

    /// Remembers the place now and then.
    pub fn save_if_due(&mut self) {
        if self.saved.is_none_or(|at| at.elapsed() >= SAVED_EVERY) {
            self.save();
        }
    }

    /// Moves on by what this process has written to the topic and to the copy itself.
    pub fn wrote(&mut self, up_to: Place) {
        self.place = up_to.clone();
        self.copied(up_to);
    }

    /// Goes back to before a record that is not taken after all.
    pub fn stay_at(&mut self, before: Place) {
        self.place = before;
    }

    /// Goes back to the end of the copy, when what was admitted after it could not be copied.
    pub fn fall_back(&mut self) {
        self.place = self.end.clone();
    }

    /// Forgets where the record after the last is found, so that it is looked for from the beginning.
    pub fn forget_address(&mut self) {
        self.end.offset = None;
        self.fall_back();
    }

    /// Remembers the place. Without it the topic is read from its beginning at the next start.
    pub fn save(&mut self) {
        self.saved = Some(Instant::now());
        // What is not in the copy yet would be passed over.
        let reached = match self.place.seq > self.end.seq {
            true => &self.end,
            false => &self.place,
        };
        if let Err(error) = write(&self.file, &reached.to_text()) {
            tracing::warn!(path = %self.file.display(), %error, "the place in the topic is not remembered");
        }
    }
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    let mut out = File::create(&unfinished)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&unfinished, file)
}

/// The end of the log, with the chain there, counted from a place within it.
fn end_of(log: &ChangeLog, from: &Place) -> Result<Place, ReadError> {
    let mut end = from.clone();
    if end.seq == log.head().sequence {
        return Ok(end);
    }
    for record in log.journal().read_from(Position(0)) {
        let record = record?;
        if record.sequence > end.seq {
            end.seq = record.sequence;
            end.chain = end.chain.link(
                record.sequence,
                record.kind,
                record.time_micros,
                &record.payload,
            );
        }
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use creditgate_runtime::journal::{self, NewRecord};

    use super::*;
    use crate::upstream::record::tests::delivered;

    const LOG: Uuid = Uuid::from_bytes([7; 16]);

    /// So many records in order.
    fn topic(count: u64) -> Vec<Sealed> {
        let mut chain = Chain::start(LOG);
        (1..=count)
            .map(|seq| {
                let record = NewRecord::new(2, 100, seq.to_string().into_bytes());
                chain = chain.after(seq, &record);
                Sealed {
                    log_id: LOG,
                    seq,
                    chain,
                    record,
                }
            })
            .collect()
    }

    fn follow(records: &[Sealed]) -> (Place, Result<(), Fault>) {
        let mut place = Place::start(LOG);
        let ended = (10..)
            .step_by(2)
            .zip(records)
            .try_for_each(|(offset, sealed)| place.admit(delivered(sealed, offset)).map(drop));
        (place, ended)
    }

    #[test]
    fn records_in_order_are_followed_whatever_their_offsets() {
        let (place, ended) = follow(&topic(3));
        ended.unwrap();
        assert_eq!((place.seq, place.offset), (3, Some(15)));
        assert_eq!(Place::from_text(&place.to_text()), Some(place));
        let start = Place::start(LOG);
        assert_eq!(Place::from_text(&start.to_text()), Some(start));
    }

    #[test]
    fn what_does_not_follow_is_refused_with_its_offset() {
        let mut gap = topic(3);
        gap.remove(1);
        let mut doubled = topic(2);
        doubled.insert(1, doubled[0].clone());
        let mut changed = topic(3);
        changed[1].record.payload = (&b"x"[..]).into();
        let mut other_time = topic(3);
        other_time[1].record.time_micros += 1;
        let mut other = topic(2);
        other[1].log_id = Uuid::from_bytes([8; 16]);
        for (records, at, told) in [
            (
                gap,
                1,
                "at offset 12 of the list changes has number 3 where 2 is due",
            ),
            (
                doubled,
                1,
                "at offset 12 of the list changes has number 1 where 2 is due",
            ),
            (
                topic(3)[1..].to_vec(),
                0,
                "at offset 10 of the list changes has number 2 where 1 is due",
            ),
            (
                changed,
                1,
                "at offset 12 of the list changes (number 2) does not continue the chain",
            ),
            (
                other_time,
                1,
                "at offset 12 of the list changes (number 2) does not continue the chain",
            ),
            (
                other,
                1,
                "at offset 12 of the list changes belongs to change log 08080808",
            ),
        ] {
            let (place, ended) = follow(&records);
            assert_eq!(place.seq, at);
            let refused = ended.unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }

    fn log_with(dir: &Path, records: &[Sealed]) -> ChangeLog {
        let options = journal::Options {
            preallocate: false,
            log_id: Some(*LOG.as_bytes()),
            ..journal::Options::default()
        };
        let log = ChangeLog::open(dir, options).unwrap();
        let records = records.iter().map(|sealed| sealed.record.clone());
        log.journal()
            .append_all_blocking(records.collect())
            .unwrap();
        log
    }

    #[test]
    fn what_the_copy_has_is_compared_and_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let records = topic(4);
        let log = log_with(dir.path(), &records[..2]);
        let mut copy = Copy::open(&log, dir.path()).unwrap();
        let taken: Vec<u64> = (0..)
            .zip(&records)
            .filter_map(|(offset, sealed)| copy.admit(delivered(sealed, offset)).unwrap())
            .map(|sealed| sealed.seq)
            .collect();
        assert_eq!(taken, [3, 4]);
        copy.ends_here().unwrap();
    }

    #[test]
    fn a_copy_that_differs_or_goes_on_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let records = topic(3);
        let mut own = records.clone();
        own[0].record.payload = (&b"x"[..]).into();
        let log = log_with(dir.path(), &own);
        let mut copy = Copy::open(&log, dir.path()).unwrap();
        copy.admit(delivered(&records[0], 0)).unwrap();
        copy.admit(delivered(&records[1], 1)).unwrap();
        let ahead = copy.ends_here().unwrap_err().to_string();
        assert!(ahead.contains("ends with record 2 and the copy"), "{ahead}");
        let differs = copy.admit(delivered(&records[2], 2)).unwrap_err();
        assert!(matches!(differs, Fault::CopyDiffers { offset: 2, seq: 3 }));
    }

    #[test]
    fn a_place_that_was_remembered_early_or_not_at_all_leads_to_the_same_end() {
        let dir = tempfile::tempdir().unwrap();
        let records = topic(4);
        let log = log_with(dir.path(), &records[..3]);
        let last = records[2].chain;
        for remembered in [0, 1, 3] {
            let mut place = Place::start(LOG);
            for (offset, sealed) in (0..).zip(&records[..remembered]) {
                place.admit(delivered(sealed, offset)).unwrap();
            }
            write(&dir.path().join(FILE), &place.to_text()).unwrap();
            let copy = Copy::open(&log, dir.path()).unwrap();
            assert_eq!(copy.place, place);
            assert_eq!((copy.end.seq, copy.end.chain), (3, last));
        }
        // Of another log, ahead of the copy, or garbled: as if it were not there.
        let mut other = Place::start(Uuid::from_bytes([8; 16]));
        other.seq = 1;
        let mut ahead = Place::start(LOG);
        ahead.seq = 9;
        for text in [other.to_text(), ahead.to_text(), "?".to_owned()] {
            fs::write(dir.path().join(FILE), text).unwrap();
            let copy = Copy::open(&log, dir.path()).unwrap();
            assert_eq!((copy.place.seq, copy.place.offset), (0, None));
            assert_eq!((copy.end.seq, copy.end.chain), (3, last));
        }
    }
}
