//! The topic of the cases: one partition, written by the one process that leads, read again by whoever
//! leads next.
//!
//! The lease says who may try; that two never write rests on the transactional id alone. Whoever took it
//! over reads the topic to its end before it writes, so that its copy has whatever was written before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use creditgate_proto::journal::v1::CaseRecord;
use creditgate_proto::v1;
use creditgate_runtime::journal::{AppendError, Appended, Journal, Position, ReadError};
use creditgate_runtime::kafka::{
    self, Cluster, Lease, Outgoing, Read, Reader, Topic, Unwritten, Writer, message,
};
use creditgate_runtime::telemetry::names::field;
use prost::Message as _;

use super::copying::{Copying, Known};

/// Transactional id and group, after the deployment's prefix.
const ID: &str = "cases";
/// The one partition.
pub(super) const PARTITION: i32 = 0;
/// FENCED: the header with a record's number.
pub(super) const NUMBER: &str = "number";
/// Time for the cluster to fence off others.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// Time without any record after which reading is begun anew.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the end of the topic is waited for at once.
const WAIT: Duration = Duration::from_millis(200);
/// Records after which the place is remembered.
const REMEMBER_EVERY: u64 = 1_000;
/// Records copied by one that stands by before it takes them in.
const FOLLOWED: u64 = 10_000;
/// How long a process that stops waits until the others know.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// How long one that was fenced stands back.
const STAND_BACK: Duration = Duration::from_secs(2);

/// Why this process does not lead, or leads no more.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The cluster did not do what was asked.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// A transaction was not confirmed.
    #[error("write to the topic of the cases")]
    Unwritten(#[from] Unwritten),
    /// Another process may lead now.
    #[error("another process leads the cases now")]
    StandsBy,
    /// Nothing came for a while, and not the end either.
    #[error("no answer from Kafka while the topic of the cases is read")]
    Silent,
    /// A record of the topic has no number, or no payload.
    #[error(
        "the record at offset {0} of the cases is none that this version understands: find out who wrote it; only creditgate may write to this topic"
    )]
    Form(i64),
    /// A record before it is missing, or it is there twice.
    #[error(
        "the record at offset {offset} of the cases has number {found} where {due} is due: records of the topic are gone or doubled; restore the topic from a replica or a backup"
    )]
    Gap {
        /// Where.
        offset: i64,
        /// The number due.
        due: u64,
        /// Its number.
        found: u64,
    },
    /// The copy says something else.
    #[error(
        "the copy in `cases` differs from the topic at record {0}: move `cases` of the data directory away; it is made anew from the topic"
    )]
    CopyDiffers(u64),
    /// The copy goes on where the topic ends.
    #[error(
        "the topic of the cases ends with record {topic} and the copy in `cases` with {copy}: the topic has lost records; restore it from a replica or a backup"
    )]
    CopyAhead {
        /// Number of the last record of the topic.
        topic: u64,
        /// Number of the last record of the copy.
        copy: u64,
    },
    /// The copy takes no records.
    #[error("copy the records of the cases")]
    Append(#[from] AppendError),
    /// The copy cannot be read.
    #[error("read the copy of the cases")]
    Read(#[from] ReadError),
}

/// See the module.
pub(crate) struct OnTopic {
    cluster: Cluster,
    partitions: u32,
    lease: Lease,
    writer: Writer,
    /// Whether the copy has all that the topic has, and nobody else writes.
    settled: bool,
    /// Where `known` is remembered.
    path: PathBuf,
    /// A record that stands on the topic and in the copy: reading begins there.
    known: Option<Known>,
    /// Reads what another process writes; none: this one leads, or has not begun.
    following: Option<Following>,
}

/// Reads the topic while another process writes it.
struct Following {
    reader: Reader,
    /// Number of the last record read; none: nothing was read yet.
    read: Option<u64>,
    /// Nothing stood behind that when it was last looked.
    at_end: bool,
}

impl OnTopic {
    /// Stands for the lead. `dir` is where the copy lies.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn stand(
        cluster: &Cluster,
        partitions: u32,
        dir: &Path,
        journal: &Journal,
    ) -> Result<Self, kafka::Error> {
        let path = dir.join("case-log.place");
        Ok(Self {
            lease: Lease::stand(cluster, Topic::CaseLog, ID, |_| ())?,
            writer: Writer::new(cluster, ID),
            settled: false,
            known: read_known(&path, journal.head().sequence),
            cluster: cluster.clone(),
            partitions,
            path,
            following: None,
        })
    }

    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Partitions of the topics by case.
    pub const fn partitions(&self) -> u32 {
        self.partitions
    }

    /// A lift order, as its implementer is told of it.
    ///
    /// # Errors
    /// When it holds a time that cannot be written, which none of ours does.
    pub fn announcement(&self, order: &v1::LiftOrder) -> Result<Outgoing, Fault> {
        let data = self.cluster.settings().verdict_data;
        Ok(message::lift_order(&order.case_id, order, data)?)
    }

    /// Whether this process may lead, as far as it knows.
    pub fn may_lead(&self) -> bool {
        self.lease.is_held()
    }

    /// Whether it does.
    pub fn leads(&self) -> bool {
        self.settled && self.writer.is_open() && self.lease.is_held()
    }

    /// Writes nothing any more until it has taken over again.
    pub fn step_down(&mut self) {
        self.settled = false;
    }

    /// Takes over: fences off every other, and reads what they wrote into the copy.
    ///
    /// # Errors
    /// When it does not lead; trying again is safe.
    pub fn take_over(&mut self, journal: &Journal) -> Result<(), Fault> {
        self.settled = false;
        self.following = None;
        self.writer.renew(RENEW_WITHIN)?;
        self.read_to_the_end(journal)?;
        self.settled = true;
        Ok(())
    }

    /// Copies what another process has written, waiting for it this long at most. Gives whether the copy has
    /// all that was there.
    ///
    /// # Errors
    /// When it cannot be read, or the copy is none of this topic; trying again is safe.
    pub fn follow(&mut self, journal: &Journal, wait: Duration) -> Result<bool, Fault> {
        let following = match self.following.take() {
            Some(following) => following,
            None => Following {
                reader: self.reader()?,
                read: None,
                at_end: false,
            },
        };
        // Dropped where it fails: then it is begun anew.
        let following = self.copy_on(journal, following, wait)?;
        let at_end = following.at_end;
        self.following = Some(following);
        Ok(at_end)
    }

    fn copy_on(
        &mut self,
        journal: &Journal,
        mut following: Following,
        wait: Duration,
    ) -> Result<Following, Fault> {
        let mut copying = match following.read {
            Some(read) => Copying::behind(journal, self.known, read),
            None => Copying::from(journal, self.known),
        };
        let mut patience = wait;
        for _ in 0..FOLLOWED {
            match following.reader.next(patience)? {
                Read::Record(record) => {
                    copying.take(&record)?;
                    following.at_end = false;
                    following.read = Some(copying.read);
                    patience = Duration::ZERO;
                }
                Read::End(_) => {
                    copying.write()?;
                    copying.reaches_the_copy()?;
                    following.at_end = true;
                    break;
                }
                Read::Nothing => break,
            }
        }
        copying.write()?;
        let before = self.known.map_or(0, |known| known.number);
        self.known = copying.last;
        let now = self.known.map_or(0, |known| known.number);
        if now / REMEMBER_EVERY > before / REMEMBER_EVERY {
            self.remember();
        }
        Ok(following)
    }

    /// From the last record that the copy is known to have.
    fn reader(&self) -> Result<Reader, kafka::Error> {
        let begin = self.known.map(|known| known.offset);
        Reader::open(&self.cluster, Topic::CaseLog, &[(PARTITION, begin)])
    }

    /// Writes records and messages in one transaction; `head` is the number of the last record before.
    /// Gives the offset of the last record, where it is told.
    ///
    /// # Errors
    /// When they are not written, or nobody knows whether they were.
    pub fn write(
        &mut self,
        head: u64,
        records: &[CaseRecord],
        messages: Vec<Outgoing>,
    ) -> Result<Option<i64>, Fault> {
        if !self.leads() {
            self.settled = false;
            return Err(Fault::StandsBy);
        }
        let alone = messages.is_empty();
        let numbered = records.iter().zip(head + 1..);
        let outgoing: Vec<Outgoing> = messages
            .into_iter()
            .chain(numbered.map(|(record, number)| outgoing(record, number)))
            .collect();
        if let Err(unwritten) = self.writer.write(&outgoing) {
            self.settled = false;
            if matches!(unwritten, Unwritten::Fenced(_)) {
                self.lease.stand_back(STAND_BACK);
            }
            return Err(unwritten.into());
        }
        // Of several partitions nobody tells whose offset it was.
        Ok(self.writer.last_offset().filter(|_| alone))
    }

    /// The copy has the record that was written last.
    pub fn copied(&mut self, appended: Appended, offset: i64) {
        self.known = Some(Known {
            number: appended.sequence,
            offset,
            position: appended.position,
        });
        if appended.sequence.is_multiple_of(REMEMBER_EVERY) {
            self.remember();
        }
    }

    /// Remembers where the copy ends, so that the next start need not read the topic from its beginning.
    pub fn remember(&self) {
        let Some(Known {
            number,
            offset,
            position,
        }) = self.known
        else {
            return;
        };
        let text = format!("{number} {offset} {}\n", position.0);
        let new = self.path.with_extension("new");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &self.path));
        if let Err(error) = written {
            tracing::warn!({ field::ERROR } = %error, "the place in the topic of the cases is not remembered");
        }
    }

    /// Lets another lead.
    pub fn leave(self) {
        self.remember();
        self.lease.leave(LEAVE_WITHIN);
    }

    /// Reads from a record that the copy has, which must be the same on the topic.
    fn read_to_the_end(&mut self, journal: &Journal) -> Result<(), Fault> {
        let mut copying = Copying::from(journal, self.known);
        let reader = self.reader()?;
        let mut heard = Instant::now();
        loop {
            match reader.next(WAIT)? {
                Read::Record(record) => {
                    heard = Instant::now();
                    copying.take(&record)?;
                }
                Read::End(_) => break,
                Read::Nothing if heard.elapsed() > SILENCE => return Err(Fault::Silent),
                Read::Nothing if !self.lease.is_held() => return Err(Fault::StandsBy),
                Read::Nothing => {}
            }
        }
        self.known = copying.finish()?;
        self.remember();
        Ok(())
    }
}

pub(super) fn outgoing(record: &CaseRecord, number: u64) -> Outgoing {
    Outgoing {
        topic: Topic::CaseLog,
        partition: Some(PARTITION),
        key: record.case_id.clone().into_bytes(),
        headers: vec![(NUMBER.to_owned(), Some(number.to_be_bytes().to_vec()))],
        payload: record.encode_to_vec(),
    }
}

/// What was remembered: nothing where the copy has fewer records by now.
fn read_known(path: &Path, head: u64) -> Option<Known> {
    let text = fs::read_to_string(path).ok()?;
    let mut parts = text.split_whitespace();
    let known = Known {
        number: parts.next()?.parse().ok()?,
        offset: parts.next()?.parse().ok()?,
        position: Position(parts.next()?.parse().ok()?),
    };
    ((1..=head).contains(&known.number)).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_behind_the_copys_end_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("place");
        assert_eq!(read_known(&path, 9), None);
        fs::write(&path, "7 16 420\n").unwrap();
        let known = Known {
            number: 7,
            offset: 16,
            position: Position(420),
        };
        assert_eq!(read_known(&path, 7), Some(known));
        assert_eq!(read_known(&path, 6), None);
        fs::write(&path, "7 16").unwrap();
        assert_eq!(read_known(&path, 7), None);
    }
}
