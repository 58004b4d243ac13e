//! Cases as one value: opened, asked, closed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use creditgate_proto::journal::v1::case_record::What;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal::{self, Journal};
use creditgate_runtime::kafka::Cluster;
use creditgate_runtime::live::Live;
use creditgate_runtime::metrics::{CasesRole, Metrics};
use creditgate_runtime::ports::{Change, Changes, History, Reviews};
use creditgate_runtime::sealed::Sealer;
use creditgate_runtime::threads::{self, Rank};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::COMPONENT;
use crate::error::{ActError, Error};
use crate::keeper::{Command, Fresh, Keeper, Make, Plan, Requested};
use crate::log::{Fault, Log, OnTopic};
use crate::review::Reviewer;
use crate::state::CaseState;
use crate::table::{Logs, Lookup, Seal, Table};
use crate::terms::{BookTerms, Settings};

/// Acts that wait for their turn.
const WAITING: usize = 1_024;
/// Lists as changes left them, kept for reviews.
const SNAPSHOTS: usize = 2_048;

/// What cases are made of.
pub struct Options {
    /// Where `cases/` is.
    pub data_dir: PathBuf,
    /// The gate.
    pub reviews: Arc<dyn Reviews>,
    /// The change log.
    pub changes: Arc<dyn Changes>,
    /// What was known at an earlier version.
    pub history: Arc<dyn History>,
    /// The lists and the book in use.
    pub live: Live,
    /// How the journal of cases is written.
    pub journal: journal::Options,
    /// The time of day.
    pub clock: Clock,
    /// Where cases say whether they follow.
    pub readiness: Readiness,
    /// Where cases tell what stands open.
    pub metrics: Metrics,
    /// How long things may take.
    pub settings: Settings,
    /// Where Kafka keeps the records of cases; without it the data directory does.
    pub kafka: Option<OnKafka>,
    /// Seals what the tables hold of people; without it they hold it in clear.
    pub sealer: Option<Sealer>,
}

/// The topics of the cases.
#[derive(Debug, Clone)]
pub struct OnKafka {
    /// The cluster.
    pub cluster: Cluster,
    /// Partitions of the topics by case.
    pub partitions: u32,
}

/// Follows every case. Cheap to clone.
#[derive(Clone)]
pub struct Cases {
    inner: Arc<Inner>,
}

struct Inner {
    commands: mpsc::Sender<Command>,
    lookup: Lookup,
    shared: Arc<Shared>,
    live: Live,
    clock: Clock,
    history: Arc<dyn History>,
    changes: Arc<dyn Changes>,
    reviews: Arc<dyn Reviews>,
    journal: Journal,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads share.
pub(crate) struct Shared {
    pub stop: CancellationToken,
    /// Reviews wait.
    pub due: Notify,
    pub snapshots: Snapshots,
    /// Reviews made since the start.
    pub reviewed: AtomicU64,
    pub metrics: Metrics,
    /// Up to which position everything is taken in, for those who deliver it.
    pub outbox: watch::Sender<u64>,
    settings: Settings,
    terms: Mutex<Option<Arc<BookTerms>>>,
    /// Whether this process keeps the cases.
    is_leading: AtomicBool,
    is_ready: AtomicBool,
    /// Ready, with changes from before the start still to be looked through.
    is_behind: AtomicBool,
    /// Everything that was recorded before the start is taken in, and this process keeps the cases.
    has_caught_up: AtomicBool,
    /// Everything was taken in once, whoever keeps the cases.
    has_read: AtomicBool,
}

/// Changes with the lists as they left them, by number; when there are too many, later ones are read
/// from the change log.
#[derive(Default)]
pub(crate) struct Snapshots(Mutex<BTreeMap<u64, Change>>);

impl Snapshots {
    pub fn keep(&self, change: &Change) {
        let mut kept = self.0.lock();
        // The oldest are needed first.
        if kept.len() < SNAPSHOTS {
            kept.insert(change.seq, change.clone());
        }
    }

    pub fn get(&self, seq: u64) -> Option<Change> {
        self.0.lock().get(&seq).cloned()
    }

    /// Drops what no review needs any more: changes up to this number.
    pub fn forget(&self, seq: u64) {
        let mut kept = self.0.lock();
        *kept = kept.split_off(&(seq + 1));
    }
}

impl Shared {
    /// The terms of the book in force.
    pub fn terms(&self, live: &Live) -> Arc<BookTerms> {
        let generation = live.load();
        let mut kept = self.terms.lock();
        match &*kept {
            Some(terms) if terms.is_of(&generation.book) => Arc::clone(terms),
            _ => {
                let book = Arc::clone(&generation.book);
                let terms = Arc::new(BookTerms::new(book, self.settings.clone()));
                Arc::clone(kept.insert(terms))
            }
        }
    }

    /// This process keeps the cases from now on.
    pub fn leads(&self) {
        self.is_leading.store(true, Ordering::Release);
        self.metrics.set_cases_role(CasesRole::Reading);
    }

    /// Whether it does.
    pub fn is_leading(&self) -> bool {
        self.is_leading.load(Ordering::Acquire)
    }

    /// Another process keeps the cases; what else this one does goes on, once it has read them.
    pub fn stands_by(&self, readiness: &Readiness) {
        self.is_leading.store(false, Ordering::Release);
        self.has_caught_up.store(false, Ordering::Release);
        self.metrics.set_cases(None);
        match self.has_read.load(Ordering::Acquire) {
            true => self.metrics.set_cases_role(CasesRole::StandsBy),
            false => {
                self.metrics.set_cases_role(CasesRole::Reading);
                self.fell_behind(readiness, "what was recorded of cases is being read");
            }
        }
    }

    /// Another process keeps the cases, and everything that it recorded so far is taken in here too.
    pub fn follows(&self, readiness: &Readiness) {
        self.has_read.store(true, Ordering::Release);
        self.metrics.set_cases_role(CasesRole::StandsBy);
        let was_behind = self.is_behind.swap(false, Ordering::AcqRel);
        if !self.is_ready.swap(true, Ordering::AcqRel) || was_behind {
            readiness.ready(COMPONENT);
        }
    }

    /// What another process records does not come here. What else this one does goes on; before it has read
    /// the cases at all it is not ready.
    pub fn cannot_follow(&self, readiness: &Readiness, why: &'static str) {
        match self.has_read.load(Ordering::Acquire) {
            true => {
                self.is_ready.store(false, Ordering::Release);
                readiness.ready_but(COMPONENT, why);
            }
            false => self.fell_behind(readiness, why),
        }
    }

    /// Everything recorded so far is taken in.
    ///
    /// `behind`: changes of the lists from before the start are still to be looked through.
    pub fn caught_up(&self, readiness: &Readiness, behind: bool) {
        self.has_read.store(true, Ordering::Release);
        self.metrics.set_cases_role(CasesRole::Leads);
        if !self.has_caught_up.swap(true, Ordering::AcqRel) {
            self.due.notify_one();
        }
        let was_behind = self.is_behind.swap(behind, Ordering::AcqRel);
        if !self.is_ready.swap(true, Ordering::AcqRel) || was_behind != behind {
            match behind {
                true => readiness.ready_but(
                    COMPONENT,
                    "cases are still to be judged by changes of the lists from before the start",
                ),
                false => readiness.ready(COMPONENT),
            }
        }
    }

    /// Reviews made since the start.
    pub fn reviewed(&self) -> u64 {
        self.reviewed.load(Ordering::Relaxed)
    }

    /// Whether cases are as they were before the start: none is reviewed half made.
    pub fn has_caught_up(&self) -> bool {
        self.has_caught_up.load(Ordering::Acquire)
    }

    /// Something keeps cases from being taken in.
    pub fn fell_behind(&self, readiness: &Readiness, why: &'static str) {
        self.is_ready.store(false, Ordering::Release);
        readiness.not_ready(COMPONENT, why);
    }
}

impl Cases {
    /// Opens the cases of a data directory and follows the verdicts from then on.
    ///
    /// Called within a runtime. Blocks on the disk.
    ///
    /// # Errors
    /// When the directory cannot be used, or the journal is not whole.
    pub fn open(options: Options) -> Result<Self, Error> {
        let Options {
            data_dir,
            reviews,
            changes,
            history,
            live,
            journal,
            clock,
            readiness,
            metrics,
            settings,
            kafka,
            sealer,
        } = options;
        let dir = data_dir.join("cases");
        let (journal, opened) = Journal::open(dir.join("journal"), journal)?;
        let logs = Logs {
            verdicts: reviews.verdicts().log_id(),
            cases: opened.log_id,
        };
        let topic = kafka.map(
            |OnKafka {
                 cluster,
                 partitions,
             }| { OnTopic::stand(&cluster, partitions, &dir, &journal) },
        );
        let topic = topic.transpose().map_err(Fault::from)?;
        let seal = Seal::new(sealer);
        let mut table = Table::open(&dir, logs, &seal)?;
        let mark = table.mark();
        let verdicts = reviews.opened_with();
        let known = mark
            .verdicts
            .max(table.ahead()?.keys().next_back().copied().unwrap_or(0));
        if known > verdicts || mark.cases > opened.head.sequence {
            tracing::warn!("the tables of cases are ahead of the journals; making them anew");
            table = Table::create(&dir, logs, &seal)?;
        }
        let shared = Arc::new(Shared {
            stop: CancellationToken::new(),
            due: Notify::new(),
            snapshots: Snapshots::default(),
            reviewed: AtomicU64::new(0),
            metrics,
            outbox: watch::Sender::new(table.mark().taken),
            settings,
            terms: Mutex::default(),
            is_leading: AtomicBool::new(topic.is_none()),
            is_ready: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            has_caught_up: AtomicBool::new(false),
            has_read: AtomicBool::new(false),
        });
        shared.metrics.set_cases_role(CasesRole::Reading);
        shared.metrics.set_cases_taken_in(table.mark().cases);
        table.under(shared.terms(&live).said())?;
        let (commands, received) = mpsc::channel(WAITING);
        let lookup = table.lookup();
        let runtime = Handle::current();
        let keeper = Keeper {
            ahead: table.ahead()?,
            table,
            lookup: lookup.clone(),
            log: Log {
                journal: journal.clone(),
                topic,
            },
            runtime: runtime.clone(),
            own: commands.downgrade(),
            reviews: Arc::clone(&reviews),
            changes: Arc::clone(&changes),
            live: live.clone(),
            clock: clock.clone(),
            shared: Arc::clone(&shared),
            readiness,
            commands: received,
            recent: VecDeque::new(),
            fresh: Fresh::new(),
            too_large: BTreeSet::new(),
            reports: None,
            noted: None,
        };
        let reviewer = Reviewer {
            lookup: lookup.clone(),
            shared: Arc::clone(&shared),
            reviews: Arc::clone(&reviews),
            changes: Arc::clone(&changes),
            history: Arc::clone(&history),
            live: live.clone(),
            clock: clock.clone(),
            keeper: commands.clone(),
        };
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            threads::spawn(name, Rank::Following, run).map_err(Error::Thread)
        };
        let threads = vec![
            start("cases", Box::new(move || keeper.run()))?,
            start("case-reviews", Box::new(move || reviewer.run(&runtime)))?,
        ];
        Ok(Self {
            inner: Arc::new(Inner {
                commands,
                lookup,
                shared,
                live,
                clock,
                history,
                changes,
                reviews,
                journal,
                threads: Mutex::new(threads),
            }),
        })
    }

    /// The journal of cases.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// Stops following and closes the journal of cases. What was recorded stays.
    ///
    /// # Errors
    /// When the journal had failed: what was answered is durable all the same.
    pub async fn close(&self) -> Result<(), journal::AppendError> {
        let inner = &self.inner;
        inner.shared.stop.cancel();
        let threads = std::mem::take(&mut *inner.threads.lock());
        // A panic in one has been printed.
        let _ = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        })
        .await;
        inner.journal.close().await.map(|_head| ())
    }

    pub(crate) fn lookup(&self) -> &Lookup {
        &self.inner.lookup
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn live(&self) -> &Live {
        &self.inner.live
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn terms(&self) -> Arc<BookTerms> {
        self.inner.shared.terms(&self.inner.live)
    }

    pub(crate) fn reviews(&self) -> &Arc<dyn Reviews> {
        &self.inner.reviews
    }

    pub(crate) fn history(&self) -> &Arc<dyn History> {
        &self.inner.history
    }

    pub(crate) fn changes(&self) -> &Arc<dyn Changes> {
        &self.inner.changes
    }

    /// Has something happen to a case; gives the case after it.
    pub(crate) async fn act(
        &self,
        case_id: String,
        caller: Arc<str>,
        make: Make,
    ) -> Result<CaseState, ActError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Act {
            case_id,
            caller,
            make,
            reply,
        })
        .await?;
        answer.await.map_err(|_| ActError::Closed)?
    }

    /// Writes something that concerns no case.
    pub(crate) async fn write(&self, caller: Arc<str>, plan: Plan) -> Result<(), ActError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Write {
            caller,
            plan,
            reply,
        })
        .await?;
        answer.await.map_err(|_| ActError::Closed)?
    }

    /// Returns when whatever was recorded before is taken in: who was answered a moment ago finds it.
    pub(crate) async fn sync(&self) -> Result<(), ActError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Sync { reply }).await?;
        answer.await.map_err(|_| ActError::Closed)?
    }

    /// What a re-decision showed of measures, recorded at once.
    pub(crate) async fn shown(&self, shown: Vec<(String, What)>) -> Result<(), ActError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Done {
            reviews: Vec::new(),
            failed: Vec::new(),
            shown,
            reply,
        })
        .await?;
        answer.await.map_err(|_| ActError::Closed)
    }

    /// Has every open case reviewed by the book in force.
    pub(crate) async fn review_all(
        &self,
        caller: Arc<str>,
        reason: String,
    ) -> Result<Requested, ActError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::ReviewAll {
            caller,
            reason,
            reply,
        })
        .await?;
        answer.await.map_err(|_| ActError::Closed)?
    }

    async fn tell(&self, command: Command) -> Result<(), ActError> {
        // Who stands by is busy following, and need not be asked.
        if !self.inner.shared.is_leading() {
            return Err(ActError::StandsBy);
        }
        let told = self.inner.commands.send(command).await;
        told.map_err(|_| ActError::Closed)
    }
}

impl std::fmt::Debug for Cases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cases")
            .field("journal", &self.inner.journal)
            .finish_non_exhaustive()
    }
}
