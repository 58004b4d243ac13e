//! The gate as one value: opened, asked, closed.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use creditgate_measures::time::Time;
use creditgate_proto::decode;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal::{self, AppendError};
use creditgate_runtime::kafka::{self, Cluster};
use creditgate_runtime::live::Live;
use creditgate_runtime::metrics::Metrics;
use creditgate_runtime::ports::History;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::admission::Admission;
use crate::case_state::{self, CaseState, Follower};
use crate::content::{ContentKey, KEY_BYTES};
use crate::outbox::Outbox;
use crate::records::{self, Indexer, Records, Watched};
use crate::shadow::Shadow;
use crate::simulate::Kept;
use crate::tally::Tally;

/// The name under which the gate speaks to readiness.
pub const COMPONENT: &str = "gate";

/// What a gate is made of.
pub struct Options {
    /// Where `verdicts/`, `index/` and `digest.key` are.
    pub data_dir: PathBuf,
    /// The lists and the book in use.
    pub live: Live,
    /// What was known at an earlier version.
    pub history: Arc<dyn History>,
    /// How the journal of verdicts is written; `check` is always that of the last segment.
    pub journal: journal::Options,
    /// The time of day.
    pub clock: Clock,
    /// Where checks are counted.
    pub metrics: Metrics,
    /// Where the gate says whether it can serve.
    pub readiness: Readiness,
    /// How much at once.
    pub limits: Limits,
    /// The key of content digests; without one it is kept in the data directory.
    pub digest_key: Option<[u8; KEY_BYTES]>,
    /// Where Kafka keeps the journal; without it the data directory does.
    pub kafka: Option<OnKafka>,
}

/// The topics that keep the journal of verdicts.
#[derive(Debug, Clone)]
pub struct OnKafka {
    /// The cluster.
    pub cluster: Cluster,
    /// Partitions of the topics by case.
    pub partitions: u32,
}

/// How much at once, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most checks under way, items of batches and streams included.
    pub checks_in_flight: u32,
    /// Longest wait for a list version, whatever the caller's deadline.
    pub min_list_version_wait: Duration,
    /// How much one event may hold.
    pub event: decode::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            checks_in_flight: 20_000,
            min_list_version_wait: Duration::from_secs(5),
            event: decode::Limits::default(),
        }
    }
}

/// Why a gate did not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key of content digests could not be read or made.
    #[error("read or make the key of content digests in `{}`", dir.display())]
    DigestKey {
        /// The data directory.
        dir: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The records could not be opened.
    #[error("open the records of verdicts")]
    Records(#[from] records::Error),
    /// Kafka could not be reached as configured.
    #[error("follow the case state on Kafka")]
    Kafka(#[source] Box<kafka::Error>),
}

/// Judges events, and answers once the verdict is durable. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub live: Live,
    pub history: Arc<dyn History>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub readiness: Readiness,
    pub limits: Limits,
    pub content: Arc<ContentKey>,
    pub tally: Tally,
    pub admission: Admission,
    pub records: Arc<Records>,
    /// Number of the journal's last record when it was opened.
    pub opened_with: u64,
    /// When an event on Kafka last waited for lists in vain.
    pub lists_were_late: Mutex<Option<Instant>>,
    /// Where verdicts go before they are answered, when Kafka keeps the journal.
    pub outbox: Option<Arc<Outbox>>,
    /// What others have decided, when Kafka keeps the journal.
    pub case_state: Option<Arc<CaseState>>,
    /// Whether a record stays what and where it is once it is answered.
    pub gives_receipts: bool,
    /// The records of simulations.
    pub simulations: Kept,
    /// Held by the simulation that runs.
    pub simulating: tokio::sync::Mutex<()>,
    /// The book that runs beside the one in force, if there is one.
    pub shadow: Shadow,
    /// Held while the shadow is set or cleared.
    pub setting_shadow: Arc<tokio::sync::Mutex<()>>,
    indexer: Mutex<Option<Indexer>>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl Gate {
    /// Opens the records of a data directory and is ready.
    ///
    /// Blocks on the disk: a missing index is made from the journal first. With Kafka it is called
    /// within a runtime.
    ///
    /// # Errors
    /// When the directory cannot be used, or the journal is not whole.
    pub fn open(options: Options) -> Result<Self, Error> {
        let Options {
            data_dir,
            live,
            history,
            journal,
            clock,
            metrics,
            readiness,
            limits,
            digest_key,
            kafka,
        } = options;
        let key_error = |source| Error::DigestKey {
            dir: data_dir.clone(),
            source,
        };
        std::fs::create_dir_all(&data_dir).map_err(key_error)?;
        let content = match digest_key {
            Some(key) => ContentKey::new(&key),
            None => ContentKey::of_directory(&data_dir).map_err(key_error)?,
        };
        let content = Arc::new(content);
        let watched = Watched {
            metrics: metrics.clone(),
            readiness: readiness.clone(),
        };
        let gives_receipts = kafka.is_none() && journal.ack == journal::Ack::Durable;
        let sealer = journal.sealer.clone();
        let (records, indexer) = Records::open(&data_dir, journal, watched)?;
        // Before others' verdicts are read into it.
        let opened_with = records.journal().head().sequence;
        let tally = Tally::new(metrics.clone(), &live.load().book);
        let on_kafka = |error| Error::Kafka(Box::new(error));
        let mut follower = None;
        let mut outbox = None;
        let mut state = None;
        if let Some(OnKafka {
            cluster,
            partitions,
        }) = kafka
        {
            let following = Follower {
                state: Arc::clone(state.insert(CaseState::new())),
                records: Arc::clone(&records),
                content: Arc::clone(&content),
                live: live.clone(),
                readiness: readiness.clone(),
                places: case_state::places(&data_dir),
                runtime: Handle::current(),
                cluster: cluster.clone(),
                partitions,
            };
            follower = Some(following.start().map_err(on_kafka)?);
            outbox = Some(Arc::new(Outbox::open(&cluster).map_err(on_kafka)?));
        }
        let shadow = Shadow::open(
            &data_dir,
            sealer.as_ref(),
            metrics.clone(),
            &live.load().book,
            history.as_ref(),
            Time::from_micros(clock.now_micros()),
        );
        readiness.ready(COMPONENT);
        let inner = Inner {
            live,
            history,
            clock,
            metrics,
            readiness,
            limits,
            content,
            tally,
            admission: Admission::new(limits.checks_in_flight.max(1)),
            records,
            opened_with,
            lists_were_late: Mutex::default(),
            outbox,
            case_state: state,
            gives_receipts,
            simulations: Kept::new(&data_dir, sealer.as_ref()),
            simulating: tokio::sync::Mutex::default(),
            shadow,
            setting_shadow: Arc::default(),
            indexer: Mutex::new(Some(indexer)),
            follower: Mutex::new(follower),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The journal of verdicts.
    #[must_use]
    pub fn journal(&self) -> &journal::Journal {
        self.inner.records.journal()
    }

    /// Returns once the disk did not confirm a record, which only a new start mends, and takes records again. Until then
    /// readiness tells the reason, and what is recorded can be asked for.
    pub async fn worth_starting_anew(&self) {
        self.inner.records.journal().worth_opening_anew().await;
    }

    /// Takes nothing more, lets what is under way end, writes the index and closes the journal.
    ///
    /// What has not ended after `patience` loses its answer, never a record.
    ///
    /// # Errors
    /// When the journal had failed: what was answered is durable all the same.
    pub async fn close(&self, patience: Duration) -> Result<(), AppendError> {
        let inner = &self.inner;
        inner.readiness.not_ready(COMPONENT, "shutting down");
        inner.admission.close();
        if !inner.admission.drained(patience).await {
            tracing::warn!("checks were still under way when the gate closed");
        }
        if let Some(case_state) = &inner.case_state {
            case_state.stop();
        }
        let follower = inner.follower.lock().take();
        if let Some(follower) = follower {
            // A panic in it has been printed.
            let _ = tokio::task::spawn_blocking(move || follower.join()).await;
        }
        inner.simulations.close().await;
        let shadow = Arc::clone(inner);
        // As above.
        let _ = tokio::task::spawn_blocking(move || shadow.shadow.stop()).await;
        // The journal last: it holds the lock that keeps others out of the directory.
        let indexer = inner.indexer.lock().take();
        if let Some(indexer) = indexer {
            // Its thread ends either way; a panic in it has been printed.
            let _ = tokio::task::spawn_blocking(move || indexer.finish()).await;
        }
        inner.records.journal().close().await.map(|_head| ())
    }
}

#[cfg(test)]
impl Gate {
    /// Waits until the index holds everything.
    pub(crate) fn index_now(&self) {
        while self.inner.records.unindexed() > 0 {
            if let Some(indexer) = &*self.inner.indexer.lock() {
                indexer.hurry();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("records", self.inner.records.journal())
            .finish_non_exhaustive()
    }
}
