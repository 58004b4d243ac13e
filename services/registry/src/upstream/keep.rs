//! The loop's part in it: records are written where the truth is, and taken from there.

use std::time::{Duration, Instant};

use creditgate_measures::book::{Book, BookVersion};
use creditgate_measures::entry::StoredEntry;
use creditgate_measures::time::Time;
use creditgate_proto::Refused;
use creditgate_proto::journal::v1::BookRecord;
use creditgate_runtime::errors::Chain as ErrorChain;
use creditgate_runtime::journal::{Appended, Health, NewRecord};
use creditgate_runtime::kafka::{self, Cluster, Incoming, Reader, Topic, Unwritten};

use super::fault::Fault;
use super::follow::{Following, read_batch};
use super::lead::Standing;
use super::place::{Copy, Place};
use super::record::PARTITION;
use super::stand::Feed;
use super::{News, Source};
use crate::error::{ChangeError, Error};
use crate::keeper::{COMPONENT, Keeper};
use crate::log::{self, ChangeLog, Entered, What};

/// How long a change waits for the cluster after it was not confirmed.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
/// How long a later try waits; changes wait with it.
const SETTLE_AGAIN_WITHIN: Duration = Duration::from_secs(3);
/// Time between two tries.
const SETTLE_EVERY: Duration = Duration::from_secs(5);

/// A record of the topic, proven and understood.
pub(super) struct Arrived {
    pub record: NewRecord,
    /// The place after it.
    pub place: Place,
    what: What,
    offset: i64,
}

impl Arrived {
    fn no_version(&self) -> Fault {
        Fault::NotUnderstood {
            offset: self.offset,
            source: Box::new(Error::Record {
                sequence: self.place.seq,
                reason: "the book has no version",
            }),
        }
    }
}

/// What became of records that this process wrote.
pub(crate) enum Recorded {
    /// They are in the log, here; the lists do not have them yet.
    Appended(Vec<Appended>),
    /// They were read back from the topic, and the lists have them.
    Taken,
}

/// Why it is still not known what the topic holds.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsettled {
    #[error("another instance may lead now")]
    LeaseLost,
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error("no answer from Kafka")]
    Silent,
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Admits records one after the other, up to the first that is refused.
pub(super) fn admit(copy: &mut Copy, records: Vec<Incoming>) -> (Vec<Arrived>, Result<(), Fault>) {
    let mut arrived = Vec::with_capacity(records.len());
    for incoming in records {
        let offset = incoming.offset;
        let before = copy.place().clone();
        let admitted = copy.admit(incoming).and_then(|sealed| {
            let Some(sealed) = sealed else {
                return Ok(None);
            };
            let what =
                understood(sealed.seq, &sealed.record).map_err(|source| Fault::NotUnderstood {
                    offset,
                    source: Box::new(source),
                })?;
            Ok(Some((sealed.record, what)))
        });
        match admitted {
            Ok(None) => {}
            Ok(Some((record, what))) => arrived.push(Arrived {
                record,
                place: copy.place().clone(),
                what,
                offset,
            }),
            Err(fault) => {
                copy.stay_at(before);
                return (arrived, Err(fault));
            }
        }
    }
    (arrived, Ok(()))
}

/// What a record says, down to the entry: nothing enters the copy that the lists could not take.
fn understood(seq: u64, record: &NewRecord) -> Result<What, Error> {
    let what = What::of(seq, record.kind, record.payload.clone())?;
    if let What::Put(put) = &what {
        StoredEntry::read(&put.stored).map_err(|_| Error::Record {
            sequence: seq,
            reason: "the stored bytes are no entry",
        })?;
    }
    Ok(what)
}

impl Source {
    fn copy(&mut self) -> Option<&mut Copy> {
        self.copy_and_feed().map(|(copy, _)| copy)
    }

    /// What a copy is fed from; none: the log is no copy.
    pub(super) fn feed(&self) -> Option<&Feed> {
        match self {
            Self::Embedded => None,
            Self::Leads(leader) => Some(&leader.feed),
            Self::Follows(follower) => Some(&follower.feed),
        }
    }

    /// The copy, and what it is fed from.
    pub(super) fn copy_and_feed(&mut self) -> Option<(&mut Copy, &mut Feed)> {
        match self {
            Self::Embedded => None,
            Self::Leads(leader) => Some((&mut leader.copy, &mut leader.feed)),
            Self::Follows(follower) => Some((&mut follower.copy, &mut follower.feed)),
        }
    }

    /// Whether changes are taken now.
    pub fn may_change(&self) -> Result<(), ChangeError> {
        super::turn::refused_for(Some(self.role()))?;
        match self {
            Self::Leads(leader) => match leader.standing {
                // Told already, and not yet acted upon.
                _ if !leader.feed.may_lead() => Err(ChangeError::StandsBy),
                Standing::Settled => Ok(()),
                Standing::Unsettled => Err(ChangeError::Unsettled),
            },
            Self::Embedded | Self::Follows(_) => Ok(()),
        }
    }

    /// Writes records before there is a loop.
    pub fn record_at_open(
        &mut self,
        log: &ChangeLog,
        records: Vec<NewRecord>,
    ) -> Result<(), Error> {
        let mut end = None;
        if let Self::Leads(leader) = self {
            let (place, written) = leader.write(&records);
            written.map_err(super::Error::from)?;
            end = Some(place);
        }
        let appended = log.journal().append_all_blocking(records)?;
        log.appended(&appended);
        if let Some((copy, end)) = self.copy().zip(end) {
            copy.wrote(end);
        }
        Ok(())
    }

    /// Ends what belongs to it.
    pub fn close(&mut self) {
        let Some((copy, feed)) = self.copy_and_feed() else {
            return;
        };
        copy.save();
        feed.end_term();
        // Nothing is written from here on, so another may lead at once.
        if let Some(stand) = feed.stand.take() {
            stand.leave();
        }
    }
}

impl Keeper {
    /// Writes records where they become true, and into the log.
    pub(crate) fn record(&mut self, records: Vec<NewRecord>) -> Result<Recorded, ChangeError> {
        self.source.may_change()?;
        let Source::Leads(leader) = &mut self.source else {
            return Ok(Recorded::Appended(self.append(records)?));
        };
        let (end, written) = leader.write(&records);
        match written {
            Ok(()) => match self.append(records) {
                Ok(appended) => {
                    if let Some(copy) = self.source.copy() {
                        copy.wrote(end);
                    }
                    Ok(Recorded::Appended(appended))
                }
                // The topic has them, and this disk will have them only after a restart.
                Err(_) if matches!(self.log.journal().health(), Health::Failed(_)) => {
                    self.step_down();
                    Err(ChangeError::Unconfirmed)
                }
                // The topic has them: they are read from there as soon as the disk takes them.
                Err(_) => Err(self.unsettled()),
            },
            Err(Unwritten::Fenced(_)) => Err(self.fenced()),
            Err(Unwritten::TooLarge(at)) => {
                if self.settle(SETTLE_WITHIN, None).is_err() {
                    self.unsettled();
                }
                let rule = format!("record {at} of the change is larger than the topic takes");
                Err(ChangeError::Invalid(Refused::one("change", rule)))
            }
            Err(Unwritten::Unknown(error)) => {
                tracing::warn!(%error, "Kafka did not confirm a change of the lists; looking whether it has it");
                match self.settle(SETTLE_WITHIN, Some(&end)) {
                    Err(Unsettled::LeaseLost) => {
                        self.step_down();
                        Err(ChangeError::Unconfirmed)
                    }
                    Ok(true) => Ok(Recorded::Taken),
                    Ok(false) => Err(ChangeError::NotRecorded),
                    Err(error) => {
                        tracing::error!(
                            error = %ErrorChain(&error),
                            "whether Kafka has a change of the lists is not known; no other is taken until it is"
                        );
                        Err(self.unsettled())
                    }
                }
            }
        }
    }

    /// From now on nothing is taken until a later try has told what the topic holds.
    fn unsettled(&mut self) -> ChangeError {
        if let Source::Leads(leader) = &mut self.source {
            leader.standing = Standing::Unsettled;
        }
        self.readiness
            .not_ready(COMPONENT, ChangeError::Unsettled.to_string());
        self.later(SETTLE_EVERY, News::Settle);
        ChangeError::Unconfirmed
    }

    /// One more try to find out what the topic holds.
    pub(super) fn try_to_settle(&mut self) {
        match self.settle(SETTLE_AGAIN_WITHIN, None) {
            Ok(_) => {
                if let Source::Leads(leader) = &mut self.source {
                    leader.standing = Standing::Settled;
                }
                self.readiness.set(COMPONENT, self.well.clone());
                tracing::info!(list_version = %self.lists.version(), "what Kafka holds of the lists is known again; changes are taken");
            }
            Err(Unsettled::LeaseLost) => self.step_down(),
            Err(error) => {
                let why = ErrorChain(&error).to_string();
                tracing::warn!(error = %why, "what Kafka holds of the lists is still not known");
                self.readiness
                    .not_ready(COMPONENT, format!("{}: {why}", ChangeError::Unsettled));
                self.later(SETTLE_EVERY, News::Settle);
            }
        }
    }

    /// Takes over again and reads the topic to its end. Tells whether the records that would end at
    /// a place were written.
    fn settle(&mut self, patience: Duration, wanted: Option<&Place>) -> Result<bool, Unsettled> {
        let Source::Leads(leader) = &mut self.source else {
            return Ok(false);
        };
        if !leader.feed.may_lead() {
            // To renew would fence off the one that leads now.
            return Err(Unsettled::LeaseLost);
        }
        let Some(cluster) = leader.feed.cluster.clone() else {
            return Ok(false);
        };
        leader.copy.fall_back();
        leader.renew(patience)?;
        self.read_to_end(&cluster, patience, wanted)
    }

    /// Reads the topic from where the copy stands to its end. Tells whether the records that would
    /// end at a place were there.
    pub(super) fn read_to_end(
        &mut self,
        cluster: &Cluster,
        patience: Duration,
        wanted: Option<&Place>,
    ) -> Result<bool, Unsettled> {
        let Some(copy) = self.source.copy() else {
            return Ok(false);
        };
        if copy.place().seq > 0 && copy.place().offset.is_none() {
            copy.begin_again(&self.log).map_err(Fault::Read)?;
        }
        let from = copy.place().offset;
        let reader = Reader::open(cluster, Topic::ListChanges, &[(PARTITION, from)])?;
        let mut written = false;
        let mut moved = Instant::now();
        loop {
            let batch = read_batch(&reader, Duration::from_millis(100))?;
            if !batch.records.is_empty() {
                moved = Instant::now();
            }
            written |= self.take_in(batch.records, wanted)?;
            if batch.at_end {
                if let Some(copy) = self.source.copy() {
                    copy.ends_here()?;
                }
                return Ok(written);
            }
            if moved.elapsed() >= patience {
                return Err(Unsettled::Silent);
            }
        }
    }

    /// Records came from the topic.
    pub(super) fn arrived(&mut self, records: Vec<Incoming>) {
        if self.is_following() {
            match self.take_in(records, None) {
                Ok(_) => self.recovered(),
                Err(fault) => self.not_taken(&fault),
            }
        } else if let Source::Leads(leader) = &self.source
            && leader.standing == Standing::Settled
            && records.into_iter().any(|record| leader.copy.lacks(record))
        {
            self.fenced();
        }
    }

    /// The copy has everything that the topic has.
    pub(super) fn complete(&mut self) {
        if self.is_following() {
            self.metrics.lists_complete();
            if let Some(copy) = self.source.copy() {
                copy.save_if_due();
            }
            self.recovered();
        }
    }

    fn is_following(&self) -> bool {
        matches!(&self.source, Source::Follows(follower) if follower.following == Following::Yes)
    }

    /// Takes records of the topic into the copy and the lists, and publishes them. Those before one
    /// that is refused are taken. Tells whether one of them ends at the place wanted.
    fn take_in(&mut self, records: Vec<Incoming>, wanted: Option<&Place>) -> Result<bool, Fault> {
        let Some(copy) = self.source.copy() else {
            return Ok(false);
        };
        let (arrived, refused) = admit(copy, records);
        if arrived.is_empty() {
            return refused.map(|()| false);
        }
        let ends = |at: &Arrived| {
            wanted.is_some_and(|end| at.place.seq == end.seq && at.place.chain == end.chain)
        };
        let found = arrived.iter().any(ends);
        let times: Vec<(u64, i64)> = arrived
            .iter()
            .map(|at| (at.place.seq, at.record.time_micros))
            .collect();
        let taken = self.take_in_runs(arrived);
        self.publish();
        self.count_in_effect(&times);
        self.merge_if_due();
        taken.and(refused).map(|()| found)
    }

    /// Counts how long the records took that are published now, by their numbers and times.
    fn count_in_effect(&self, times: &[(u64, i64)]) {
        let reached = self.lists.version().seq;
        for same in times.chunk_by(|(_, one), (_, other)| one == other) {
            let count = same.iter().filter(|(seq, _)| *seq <= reached).count() as u64;
            if let Some((_, at)) = same.first().filter(|_| count > 0) {
                self.metrics.changes_in_effect(*at, count);
            }
        }
    }

    /// A book stands in a run of its own: what comes after it is indexed with its table.
    fn take_in_runs(&mut self, arrived: Vec<Arrived>) -> Result<(), Fault> {
        let mut run = Vec::with_capacity(arrived.len());
        for next in arrived {
            if let What::Book(record) = &next.what {
                self.take_run(std::mem::take(&mut run))?;
                let version = log::version_of(record).ok_or_else(|| next.no_version())?;
                // Nobody loads what nobody vouches for: whatever it holds, following goes on.
                match self.trusted_keys.verify_record(record) {
                    Ok(_) => {
                        let book = book_of(version, BookRecord::clone(record))?;
                        self.take_run(vec![next])?;
                        self.take_book(book)?;
                    }
                    Err(why) => {
                        self.take_run(vec![next])?;
                        self.distrust(version, &why);
                    }
                }
            } else {
                run.push(next);
            }
        }
        self.take_run(run)
    }

    fn take_book(&mut self, book: Book) -> Result<(), Fault> {
        let lists = self
            .indexed_for(book.simplify())
            .map_err(|source| Fault::Names(Box::new(source)))?;
        self.go_over_to(book, lists);
        self.trust_again();
        Ok(())
    }

    fn take_run(&mut self, run: Vec<Arrived>) -> Result<(), Fault> {
        let Some(last) = run.last().map(|last| last.place.clone()) else {
            return Ok(());
        };
        let records = run.iter().map(|arrived| arrived.record.clone()).collect();
        let appended = self.append(records)?;
        if let Some(copy) = self.source.copy() {
            copy.copied(last);
        }
        for (arrived, at) in run.into_iter().zip(appended) {
            let entered = Entered {
                seq: at.sequence,
                position: at.position,
                recorded_at: Time::from_micros(arrived.record.time_micros),
                what: arrived.what,
            };
            let simplify = self.book.simplify();
            log::apply(&entered, &mut self.lists, &mut self.beside, simplify).map_err(
                |source| Fault::NotUnderstood {
                    offset: arrived.offset,
                    source: Box::new(source),
                },
            )?;
        }
        Ok(())
    }
}

/// The book that a record brings, when this version reads it as it was recorded.
pub(crate) fn book_of(version: BookVersion, record: BookRecord) -> Result<Book, Fault> {
    let (files, deployment) = log::book_sources(record);
    let book = Book::load_recorded(&files, &deployment)
        .map_err(|source| Fault::Book { version, source })?;
    if book.version() != version {
        return Err(Fault::OtherBook {
            version,
            read: book.version(),
        });
    }
    Ok(book)
}
