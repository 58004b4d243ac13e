//! Opening a log that is a copy of the topic: everything that is there is read before anything else.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use creditgate_runtime::journal::{self, OpenError};
use creditgate_runtime::kafka::{self, Cluster, Incoming, Read, Reader, Topic};
use creditgate_runtime::origin::{self, Origin};
use uuid::Uuid;

use super::fault::Fault;
use super::follow::{Follower, read_batch};
use super::keep::{self, Arrived};
use super::lead::Leader;
use super::place::Copy;
use super::record::{PARTITION, Sealed};
use super::stand::{Feed, Stand};
use super::{Source, Upstream};
use crate::log::ChangeLog;

/// How long a registry waits for the cluster when it starts.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(60);
/// How long a start waits to hear who leads, when there is something to follow meanwhile.
const DECIDED_WITHIN: Duration = Duration::from_secs(5);
/// How often it is said what a start waits for.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// How long one look at the topic waits.
const WAIT: Duration = Duration::from_millis(200);

/// Why the change log of a deployment with Kafka does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory was made from something else.
    #[error(transparent)]
    Origin(#[from] origin::Error),
    /// The copy does not open.
    #[error("open the copy of the list changes")]
    Copy(#[from] OpenError),
    /// Kafka refused, or did not answer.
    #[error("read the list changes from Kafka")]
    Kafka(#[from] kafka::Error),
    /// The cluster did not answer in time.
    #[error("read the list changes from Kafka: no answer for {} s", .0.as_secs())]
    Silent(Duration),
    /// A record of the topic is not taken.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There is a copy of something that is gone.
    #[error(
        "the topic of the list changes is empty, and `{}` has a copy of {records} records: the topic was lost or is another one; restore it, name the right brokers and `kafka.topic_prefix`, or use a new data directory to begin anew",
        dir.display()
    )]
    TopicEmpty {
        /// The directory of the copy.
        dir: PathBuf,
        /// How many records it has.
        records: u64,
    },
    /// The copy belongs to another log.
    #[error(
        "`{}` belongs to change log {copy} and the topic to {topic}: use the topics that belong to this data directory, or move `changes` and `lists` away",
        dir.display()
    )]
    OtherLog {
        /// The directory of the copy.
        dir: PathBuf,
        /// Its log.
        copy: Uuid,
        /// The log of the topic.
        topic: Uuid,
    },
    /// The book could not be recorded.
    #[error("record the book in the list changes on Kafka")]
    Unwritten(#[from] kafka::Unwritten),
}

/// A log that has everything the topic had.
pub(crate) struct Opened {
    pub log: ChangeLog,
    pub source: Source,
    /// Where the topic is read on.
    pub reader: Option<Reader>,
}

/// Opens the log of a data directory and reads the topic to its end. A follower waits as long as it
/// takes, and until there is something to follow. One that may lead leads when no other does, and
/// else stands by.
pub(crate) fn open(
    data_dir: &Path,
    journal: journal::Options,
    upstream: &Upstream,
) -> Result<Opened, Error> {
    let cluster = &upstream.cluster;
    let found = Origin::of(data_dir)?;
    refuse_other(data_dir, cluster, found.as_ref())?;
    let stand = match upstream.may_lead {
        true => Some(Stand::join(cluster)?),
        false => None,
    };
    let leads = match &stand {
        Some(stand) => is_to_lead(cluster, stand)?,
        None => false,
    };
    // From here on nobody else writes, so the end that is read is the end.
    let writer = match leads {
        true => Some(Leader::take_over(cluster, TAKE_OVER_WITHIN)?),
        false => None,
    };
    let patience = leads.then_some(TAKE_OVER_WITHIN);
    let topic_log = log_of_topic(cluster, patience)?;
    let remembered = match found {
        Some(Origin::Kafka { log_id, .. }) => Some(log_id),
        _ => None,
    };
    let log_id = topic_log.or(remembered).unwrap_or_else(Uuid::new_v4);
    origin(cluster, log_id).claim(data_dir)?;

    let dir = data_dir.join("changes");
    let log = ChangeLog::open(
        &dir,
        journal::Options {
            log_id: Some(*log_id.as_bytes()),
            ..journal
        },
    )?;
    if log.log_id() != log_id {
        return Err(Error::OtherLog {
            dir,
            copy: log.log_id(),
            topic: log_id,
        });
    }
    let records = log.head().sequence;
    if topic_log.is_none() && records > 0 {
        return Err(Error::TopicEmpty { dir, records });
    }
    let mut copy = Copy::open(&log, &dir).map_err(Fault::Read)?;
    let reader = catch_up(cluster, &log, &mut copy, patience)?;
    tracing::info!(
        records = log.head().sequence,
        copied = log.head().sequence - records,
        leads,
        "the list changes are read from Kafka to their end"
    );
    let feed = Feed::new(Some(cluster.clone()), stand);
    let source = match writer {
        Some(writer) => Source::Leads(Box::new(Leader::new(writer, copy, feed))),
        None => Source::Follows(Box::new(Follower::new(copy, feed))),
    };
    Ok(Opened {
        log,
        source,
        reader: Some(reader),
    })
}

/// Waits until it is decided whether this process leads, or until there is something to follow and
/// the decision takes its time, as when the one that led has just died.
fn is_to_lead(cluster: &Cluster, stand: &Stand) -> Result<bool, Error> {
    let began = Instant::now();
    let mut waiting = Waiting::new(Some(TAKE_OVER_WITHIN));
    let mut elsewhere = false;
    loop {
        match stand.decided(WAIT) {
            Some(true) => return Ok(true),
            Some(false) => elsewhere = true,
            None => {}
        }
        if elsewhere || began.elapsed() >= DECIDED_WITHIN {
            if log_of_topic(cluster, Some(TAKE_OVER_WITHIN))?.is_some() {
                return Ok(false);
            }
            if elsewhere {
                // The one that leads is about to write its first record.
                waiting.moved();
            }
        }
        waiting.goes_on("Kafka to say which registry leads")?;
    }
}

fn origin(cluster: &Cluster, log_id: Uuid) -> Origin {
    Origin::Kafka {
        prefix: cluster.settings().topic_prefix.clone(),
        log_id,
    }
}

/// Before anything is asked of the cluster, and before another registry is fenced off.
fn refuse_other(
    data_dir: &Path,
    cluster: &Cluster,
    found: Option<&Origin>,
) -> Result<(), origin::Error> {
    match found {
        None => Ok(()),
        Some(Origin::Kafka { prefix, .. }) if *prefix == cluster.settings().topic_prefix => Ok(()),
        Some(found) => Err(origin::Error::Other {
            dir: data_dir.to_owned(),
            found: found.clone(),
            asked: format!("from the topics `{}`", cluster.name("*")),
        }),
    }
}

/// The log that the topic carries, from its first record. None: it is empty; with a patience only,
/// else it is waited for.
fn log_of_topic(cluster: &Cluster, patience: Option<Duration>) -> Result<Option<Uuid>, Error> {
    let reader = read_from(cluster, None)?;
    let mut waiting = Waiting::new(patience);
    loop {
        match reader.next(WAIT)? {
            Read::Record(first) => return first_of(first).map(Some),
            Read::End(_) if patience.is_some() => return Ok(None),
            Read::End(_) | Read::Nothing => {
                waiting.goes_on("the registry to record the first list change")?;
            }
        }
    }
}

fn first_of(first: Incoming) -> Result<Uuid, Error> {
    let offset = first.offset;
    let sealed = Sealed::decode(first).map_err(|part| Fault::Form { offset, part })?;
    Ok(sealed.log_id)
}

fn read_from(cluster: &Cluster, offset: Option<i64>) -> Result<Reader, kafka::Error> {
    Reader::open(cluster, Topic::ListChanges, &[(PARTITION, offset)])
}

/// Reads the topic to its end. A remembered place that does not fit is forgotten: the records prove
/// what is right, an address does not.
fn catch_up(
    cluster: &Cluster,
    log: &ChangeLog,
    copy: &mut Copy,
    patience: Option<Duration>,
) -> Result<Reader, Error> {
    let remembered = copy.place().seq > 0;
    match read_to_end(cluster, log, copy, patience) {
        Err(error @ (Error::Fault(_) | Error::Kafka(kafka::Error::Gone { .. }))) if remembered => {
            tracing::warn!(
                error = %creditgate_runtime::errors::Chain(&error),
                "the remembered place in the list changes does not fit; they are read from the beginning"
            );
            copy.begin_again(log).map_err(Fault::Read)?;
            read_to_end(cluster, log, copy, patience)
        }
        done => done,
    }
}

fn read_to_end(
    cluster: &Cluster,
    log: &ChangeLog,
    copy: &mut Copy,
    patience: Option<Duration>,
) -> Result<Reader, Error> {
    let reader = read_from(cluster, copy.place().offset)?;
    let mut waiting = Waiting::new(patience);
    loop {
        let batch = read_batch(&reader, WAIT)?;
        match batch.records.is_empty() {
            true => waiting.goes_on(&format!(
                "the end of the list changes, {} read",
                copy.place().seq
            ))?,
            false => waiting.moved(),
        }
        let (arrived, refused) = keep::admit(copy, batch.records);
        for run in arrived.chunks(1_000) {
            copy_down(log, copy, run)?;
        }
        refused?;
        if batch.at_end {
            copy.ends_here()?;
            copy.save();
            return Ok(reader);
        }
    }
}

/// Appends records to the copy; what they say is read from there later.
pub(super) fn copy_down(log: &ChangeLog, copy: &mut Copy, run: &[Arrived]) -> Result<(), Fault> {
    let Some(last) = run.last() else {
        return Ok(());
    };
    let records = run.iter().map(|arrived| arrived.record.clone()).collect();
    let appended = log.journal().append_all_blocking(records)?;
    log.appended(&appended);
    copy.copied(last.place.clone());
    Ok(())
}

/// A wait that is told of, and may have an end.
struct Waiting {
    patience: Option<Duration>,
    since: Instant,
    told: Instant,
}

impl Waiting {
    fn new(patience: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            patience,
            since: now,
            told: now,
        }
    }

    fn moved(&mut self) {
        self.since = Instant::now();
    }

    fn goes_on(&mut self, what: &str) -> Result<(), Error> {
        if let Some(patience) = self.patience.filter(|most| self.since.elapsed() >= *most) {
            return Err(Error::Silent(patience));
        }
        if self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            tracing::info!("waiting for {what}");
        }
        Ok(())
    }
}
