//! Opening the registry, and the handle by which everybody else speaks to it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use creditgate_measures::book::{Book, BookVersion, Deployment, SourceFile};
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_measures::time::Time;
use creditgate_proto::{Refused, v1};
use creditgate_runtime::callers::Caller;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::{Readiness, State};
use creditgate_runtime::journal::{self, Position};
use creditgate_runtime::live::{Generation, Live};
use creditgate_runtime::metrics::{ChangeRefusal, ListsRole, Metrics};
use creditgate_runtime::origin::Origin;
use creditgate_runtime::sealed::Sealer;
use creditgate_runtime::threads::{self, Rank};
use rustc_hash::FxHashSet;
use tokio::sync::{mpsc, oneshot, watch};

use crate::base_file::{self, Names};
use crate::book::{
    self, BookChange, Chosen, Confirmation, InForce, Publication, PublishError, Refusal, Signature,
    TrustedKeys, Withdrawal,
};
use crate::change::Change;
use crate::clockwork::Clockwork;
use crate::desk::Desk;
use crate::error::{ChangeError, Error};
use crate::history::Past;
use crate::import::differ::SourceRules;
use crate::import::{Header, Job};
use crate::index::Index;
use crate::keeper::{self, Applied, COMPONENT, Command, Keeper, Planned, View};
use crate::log::{self, Beside, ChangeLog, What};
use crate::sealing::Sealing;
use crate::upstream::{self, Opened, Source, Upstream};

/// Changes and imports that may wait for the loop.
const QUEUE: usize = 64;

/// While the log is read at the start, the overlay is merged when it is larger than this and than a
/// quarter of all: memory stays bounded, and few bases are built.
const REPLAY_OVERLAY_MIN: usize = 50_000;

/// What the registry needs.
#[derive(Debug)]
pub struct Options {
    /// Where it keeps everything: `changes/` and `lists/` below it are the registry's own.
    pub data_dir: PathBuf,
    /// The files of the book; a process that follows takes the book of the change log instead.
    pub book: Vec<SourceFile>,
    /// Whether somebody named it; else it is the one that is built in.
    pub book_named: bool,
    /// The signature of its files, when they came in a pack that has one.
    pub signature: Option<Signature>,
    /// Who may sign books; none: unsigned ones are taken.
    pub trusted_keys: TrustedKeys,
    /// What the deployment says about the book; who vouches for it is found out here.
    pub deployment: Deployment,
    /// The change log on Kafka; none: it is kept in the data directory alone.
    pub upstream: Option<Upstream>,
    /// How the change log is written.
    pub journal: journal::Options,
    /// The clock.
    pub clock: Clock,
    /// The metrics.
    pub metrics: Metrics,
    /// The readiness; the component is [`COMPONENT`].
    pub readiness: Readiness,
    /// The overlay is merged into a new base when it is larger than this and than 5 % of all.
    pub overlay_min: usize,
    /// How far lists may shrink at once, and which source goes before which.
    pub source_rules: SourceRules,
    /// Seals what stands on the disk of people; without it that stands in clear. The log itself seals, or does not, by
    /// what its journal is opened with.
    pub sealer: Option<Sealer>,
}

/// The usual value of [`Options::overlay_min`].
pub const OVERLAY_MIN: usize = 20_000;

/// A handle on the registry; cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

/// A handle that does not keep the registry open.
pub(crate) struct WeakRegistry(Weak<Inner>);

impl WeakRegistry {
    /// The registry, while somebody else has a handle on it.
    pub fn upgrade(&self) -> Option<Registry> {
        self.0.upgrade().map(|inner| Registry { inner })
    }
}

#[derive(Debug)]
struct Inner {
    live: Live,
    desk: Arc<ArcSwap<Desk>>,
    past: Past,
    commands: mpsc::Sender<Command>,
    clock: Clock,
    metrics: Metrics,
    readiness: Readiness,
    lists_dir: PathBuf,
    sealing: Sealing,
    source_rules: SourceRules,
    book_refused: Option<Refusal>,
    ended: watch::Receiver<bool>,
}

impl Registry {
    /// Opens the registry of a data directory: brings the log up to date, reads the newest base and
    /// the log after it, takes the book or keeps the last good one, and publishes. Blocks on the
    /// disk; one that follows also until there is something to follow.
    ///
    /// # Errors
    /// When the log does not open or holds what cannot be understood, when there is no good book,
    /// or the disk refuses.
    pub fn open(options: Options) -> Result<Self, Error> {
        make_dir(&options.data_dir.join("lists"))?;
        let opened = open_log(&options)?;
        Self::over(options, opened)
    }

    /// The registry over a log that is up to date.
    pub(crate) fn over(options: Options, opened: Opened) -> Result<Self, Error> {
        let started = Instant::now();
        let data_dir = options.data_dir.clone();
        let lists_dir = data_dir.join("lists");
        let Opened {
            log,
            mut source,
            reader,
        } = opened;
        let sealing = Sealing::new(options.sealer.clone());
        let head = log.head().sequence;
        let base = base_file::open_newest(&lists_dir, log.log_id(), head, &sealing)?;
        let from = base.as_ref().map_or(Position(0), |base| base.next);
        let base_seq = base.as_ref().map_or(0, |base| base.version.seq);
        let recorded = books_of(&log, base.as_ref().map(|base| &base.beside), from)?;
        let Chosen {
            book,
            well,
            refused: book_refused,
        } = book::choose(&options, &log, &mut source, &recorded)?;
        let (lists, beside) = read_lists(&log, base, &book, &lists_dir, &sealing)?;
        base_file::remove_older(&lists_dir, base_seq);
        let live = Live::new(Generation {
            lists: lists.clone(),
            book: Arc::clone(&book),
        });
        tracing::info!(
            list_version = %lists.version(),
            entries = lists.len(),
            book_version = %book.version(),
            took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the lists are read"
        );
        let desk = Arc::new(ArcSwap::from_pointee(beside.desk.clone()));
        keeper::show(&options.metrics, &lists, &beside);
        show_book(&options.metrics, &book);
        let index = Index::new(log.clone(), live.clone(), &lists_dir, sealing.clone());
        index.follow().map_err(cannot_start(&options))?;
        let past = Past::new(log.clone(), live.clone(), index, beside.books.clone());
        let (commands, received) = mpsc::channel(QUEUE);
        let (ending, ended) = watch::channel(false);
        options.metrics.set_lists_role(source.role());
        if reader.is_some() && matches!(source, Source::Follows(_)) {
            options.metrics.lists_complete();
        }
        source
            .listen(reader, &commands)
            .map_err(cannot_start(&options))?;
        let (clock, metrics) = (options.clock.clone(), options.metrics.clone());
        let source_rules = options.source_rules.clone();
        let (readiness, not_started) = (options.readiness.clone(), cannot_start(&options));
        let keeper = Keeper {
            log,
            source,
            past: past.clone(),
            lists,
            beside,
            book,
            deployment: options.deployment.clone(),
            trusted_keys: options.trusted_keys.clone(),
            live: live.clone(),
            desk: Arc::clone(&desk),
            clock: options.clock.clone(),
            metrics: options.metrics.clone(),
            readiness: options.readiness.clone(),
            well: well.clone(),
            lists_dir: lists_dir.clone(),
            sealing: sealing.clone(),
            overlay_min: options.overlay_min,
            source_rules: options.source_rules.clone(),
            options: Box::new(options),
            commands: received,
            own: commands.downgrade(),
            waiting: VecDeque::new(),
            merging: false,
            merge_not_before: 0,
            reserved: FxHashSet::default(),
            ending: Arc::default(),
        };
        // Before the loop runs: what it says later stands.
        readiness.set(COMPONENT, well);
        let of_loop = readiness.clone();
        threads::spawn("registry", Rank::Changes, move || {
            // Told when the loop ends, also by a broken invariant.
            let _ending = Ending(ending, of_loop);
            keeper.run();
        })
        .map_err(not_started)?;
        let registry = Self {
            inner: Arc::new(Inner {
                live,
                desk,
                past,
                commands,
                clock,
                metrics,
                readiness,
                lists_dir,
                sealing,
                source_rules,
                book_refused,
                ended,
            }),
        };
        registry.clockwork().start().map_err(|source| Error::Io {
            action: "start the clock of",
            path: data_dir,
            source,
        })?;
        Ok(registry)
    }

    fn clockwork(&self) -> Clockwork {
        let inner = &self.inner;
        Clockwork {
            registry: WeakRegistry(Arc::downgrade(inner)),
            live: inner.live.clone(),
            past: inner.past.clone(),
            desk: Arc::clone(&inner.desk),
            clock: inner.clock.clone(),
            ended: inner.ended.clone(),
        }
    }

    /// The lists and the book in use.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.inner.live
    }

    /// What is under way around the lists.
    #[must_use]
    pub fn desk(&self) -> Arc<Desk> {
        self.inner.desk.load_full()
    }

    /// What was known earlier; the port of replays.
    #[must_use]
    pub fn past(&self) -> &Past {
        &self.inner.past
    }

    /// Why the book that was given at the start is not in use, when the last good one is kept instead.
    #[must_use]
    pub fn book_refused(&self) -> Option<&Refusal> {
        self.inner.book_refused.as_ref()
    }

    /// Whether another process keeps the lists, and this one follows it.
    #[must_use]
    pub fn follows(&self) -> bool {
        matches!(self.role(), ListsRole::Follows | ListsRole::StandsBy)
    }

    /// What this process is to the lists now.
    #[must_use]
    pub fn role(&self) -> ListsRole {
        let told = self.inner.metrics.lists_role();
        told.unwrap_or(ListsRole::Embedded)
    }

    /// For how long changes of the topic may be missing here; none: nothing is followed.
    #[must_use]
    pub fn behind(&self) -> Option<Duration> {
        self.inner.metrics.lists_behind()
    }

    /// Makes one change and returns when it is durable and published.
    ///
    /// # Errors
    /// When it is refused, or could not be recorded.
    pub async fn apply(&self, change: Change, caller: &Caller) -> Result<Applied, ChangeError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Change {
            change: Box::new(change),
            caller: caller.shared_name(),
            reply,
        };
        self.send(command).await?;
        answer.await.unwrap_or(Err(ChangeError::Closed))
    }

    /// Makes a change that is planned when its turn comes, against what is known then: nothing
    /// changes between the plan and its records. Gives the version with it and what the plan told.
    ///
    /// # Errors
    /// What the plan says, or when its records could not be written; all of them count or none.
    pub(crate) async fn transact<T: Send + 'static>(
        &self,
        caller: &Caller,
        plan: impl FnOnce(&View<'_>) -> Result<(Vec<Planned>, T), ChangeError> + Send + 'static,
    ) -> Result<(ListVersion, T), ChangeError> {
        self.transact_as(caller.shared_name(), plan).await
    }

    /// As [`Registry::transact`], for what the service does by itself; records bear this name.
    pub(crate) async fn transact_as<T: Send + 'static>(
        &self,
        caller: Arc<str>,
        plan: impl FnOnce(&View<'_>) -> Result<(Vec<Planned>, T), ChangeError> + Send + 'static,
    ) -> Result<(ListVersion, T), ChangeError> {
        let (tell, mut told) = oneshot::channel();
        let (reply, answer) = oneshot::channel();
        let command = Command::Plan {
            plan: Box::new(move |view| {
                let (planned, telling) = plan(view)?;
                let _ = tell.send(telling);
                Ok(planned)
            }),
            caller,
            reply,
        };
        self.send(command).await?;
        let version = answer.await.unwrap_or(Err(ChangeError::Closed))?;
        let telling = told.try_recv().map_err(|_| ChangeError::Closed)?;
        Ok((version, telling))
    }

    /// Puts a packed book in force, and returns when it is durable and published.
    ///
    /// # Errors
    /// When it is refused, or could not be recorded; the book before it stays.
    pub async fn publish_book(
        &self,
        publication: Publication,
        caller: &Caller,
    ) -> Result<InForce, PublishError> {
        self.change_book(BookChange::Publish(publication), caller)
            .await
    }

    /// Confirms a row of the book in force, and returns when that is durable and published.
    ///
    /// # Errors
    /// As [`Registry::publish_book`].
    pub async fn confirm_row(
        &self,
        confirmation: Confirmation,
        caller: &Caller,
    ) -> Result<InForce, PublishError> {
        self.change_book(BookChange::Confirm(confirmation), caller)
            .await
    }

    /// Takes a confirmation back that was made through the service; as [`Registry::confirm_row`].
    ///
    /// # Errors
    /// As [`Registry::publish_book`].
    pub async fn withdraw_row(
        &self,
        withdrawal: Withdrawal,
        caller: &Caller,
    ) -> Result<InForce, PublishError> {
        self.change_book(BookChange::Withdraw(withdrawal), caller)
            .await
    }

    async fn change_book(
        &self,
        change: BookChange,
        caller: &Caller,
    ) -> Result<InForce, PublishError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Book {
            change: Box::new(change),
            caller: caller.shared_name(),
            reply,
        };
        self.send(command).await?;
        answer
            .await
            .unwrap_or(Err(PublishError::Change(ChangeError::Closed)))
    }

    /// Why a book that was offered is not in force, as readiness shows it; empty when none was
    /// refused since one was taken.
    pub(crate) fn book_trouble(&self) -> String {
        let snapshot = self.inner.readiness.snapshot();
        match snapshot.components.get(COMPONENT) {
            Some(State::ReadyBut(why)) => why.clone(),
            _ => String::new(),
        }
    }

    /// How far lists may shrink at once, and which source goes before which.
    #[must_use]
    pub fn source_rules(&self) -> &SourceRules {
        &self.inner.source_rules
    }

    /// Decides about an import that waits; an approved one is taken.
    ///
    /// # Errors
    /// When nothing waits under this id, it was decided, or it may not be approved (any more).
    pub async fn decide_hold(
        &self,
        decision: v1::DecideHoldRequest,
        caller: &Caller,
    ) -> Result<v1::DecideHoldResponse, ChangeError> {
        if decision.reason.trim().is_empty() {
            let rule = "required: say why it is approved or rejected";
            return Err(ChangeError::Invalid(Refused::one("reason", rule)));
        }
        let (reply, answer) = oneshot::channel();
        let command = Command::Hold {
            decision,
            caller: caller.shared_name(),
            reply,
        };
        self.send(command).await?;
        answer.await.unwrap_or(Err(ChangeError::Closed))
    }

    /// Begins an import; nothing changes before [`Import::finish`].
    ///
    /// # Errors
    /// When the header breaks a rule.
    pub fn begin_import(
        &self,
        header: v1::ImportHeader,
        caller: &Caller,
    ) -> Result<Import, ChangeError> {
        upstream::refused_for(Some(self.role()))
            .inspect_err(|why| self.count_refused(why.counted_as()))?;
        let now = Time::from_micros(self.inner.clock.now_micros());
        let header = Header::read(header, &self.inner.live.load().book, now)
            .inspect_err(|why| self.count_refused(why.counted_as()))?;
        Ok(Import {
            registry: self.clone(),
            job: Job::new(
                header,
                caller.shared_name(),
                &self.inner.lists_dir,
                &self.inner.sealing,
            ),
        })
    }

    /// The time by the clock of this process.
    pub(crate) fn now(&self) -> Time {
        Time::from_micros(self.inner.clock.now_micros())
    }

    /// What is counted in this process.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Counts a change that was refused before it reached the loop.
    pub(crate) fn count_refused(&self, reason: ChangeRefusal) {
        self.inner.metrics.change_refused(reason);
    }

    /// The journal of changes.
    #[must_use]
    pub fn journal(&self) -> &journal::Journal {
        self.inner.past.log().journal()
    }

    /// Ends the registry: what is under way is finished, what waits is refused, a base is written
    /// when the next start gains by it, and the log is closed.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.send(Command::Close { reply }).await.is_ok() {
            let _ = done.await;
        }
        self.ended().await;
    }

    /// Returns when the loop that owns the lists has ended, asked or not.
    pub async fn ended(&self) {
        let mut ended = self.inner.ended.clone();
        // An error means that the sender is gone, and so is the loop.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    pub(crate) async fn send(&self, command: Command) -> Result<(), ChangeError> {
        self.inner
            .commands
            .send(command)
            .await
            .map_err(|_| ChangeError::Closed)
    }
}

/// Rows on their way in. Dropped before the end, it leaves nothing.
#[derive(Debug)]
pub struct Import {
    registry: Registry,
    job: Job,
}

impl Import {
    /// Puts a row aside.
    ///
    /// # Errors
    /// When there is no room.
    pub fn push(&mut self, row: v1::ImportRow) -> Result<(), ChangeError> {
        self.job.push(row)
    }

    /// Takes the rows, and returns when all that was taken is durable and published.
    ///
    /// # Errors
    /// When the rows could not be recorded; rows of runs before that stand.
    pub async fn finish(self) -> Result<v1::ImportSummary, ChangeError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Import {
            job: Box::new(self.job),
            reply,
        };
        self.registry.send(command).await?;
        answer.await.unwrap_or(Err(ChangeError::Closed))
    }
}

struct Ending(watch::Sender<bool>, Readiness);

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.1
                .not_ready(COMPONENT, "the keeper of the lists has failed");
        }
        self.0.send_replace(true);
    }
}

fn cannot_start(options: &Options) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = options.data_dir.clone();
    |source| Error::Io {
        action: "start the keeper of",
        path,
        source,
    }
}

fn make_dir(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dir).map_err(|source| Error::Io {
        action: "create directory",
        path: dir.to_owned(),
        source,
    })
}

/// The log, with everything in it that there is.
fn open_log(options: &Options) -> Result<Opened, Error> {
    let journal = options.journal.clone();
    if let Some(upstream) = &options.upstream {
        return Ok(upstream::open(&options.data_dir, journal, upstream)?);
    }
    Origin::Embedded.claim(&options.data_dir)?;
    Ok(Opened {
        log: ChangeLog::open(&options.data_dir.join("changes"), journal)?,
        source: Source::Embedded,
        reader: None,
    })
}

/// Where the books of the log stand, in order.
fn books_of(
    log: &ChangeLog,
    beside: Option<&Beside>,
    from: Position,
) -> Result<Vec<(BookVersion, Position)>, Error> {
    let mut books: Vec<_> = beside
        .iter()
        .flat_map(|beside| &beside.books)
        .map(|(version, at)| (*version, Position(*at)))
        .collect();
    for entered in log.read_from(from) {
        let entered = entered?;
        if let What::Book(book) = entered.what
            && let Some(version) = log::version_of(&book)
        {
            books.push((version, entered.position));
        }
    }
    Ok(books)
}

/// The lists as the log has them, from the newest base on, with the names as this book writes them.
fn read_lists(
    log: &ChangeLog,
    base: Option<base_file::Opened>,
    book: &Book,
    dir: &Path,
    sealing: &Sealing,
) -> Result<(Lists, Beside), Error> {
    let simplify = book.simplify();
    let write = |lists: &Lists, beside: &Beside, next, names| {
        let how = (sealing, &base_file::NEVER);
        base_file::write(dir, lists, beside, next, names, how)
    };
    let mut beside = Beside::default();
    let mut from = Position(0);
    let mut lists = Lists::empty(log.log_id(), simplify);
    if let Some(opened) = base {
        from = opened.next;
        beside = opened.beside;
        log.mark(opened.version.seq + 1, opened.next);
        let same_names = opened.simplify_hash == simplify.content_hash();
        let sealed_as_now = opened.sealed_as_now;
        lists = Lists::over(opened.base, opened.version, opened.confirmed, simplify);
        if !same_names {
            tracing::info!("the book writes names in another way; the base is built again");
            let base = write(&lists, &beside, from, Names::Anew(simplify))?;
            lists = lists.rebased(base);
        } else if !sealed_as_now {
            // No file in clear stays beside sealed ones, and no key is needed any longer than it must.
            tracing::info!("the base is written again with the key in use");
            let base = write(&lists, &beside, from, Names::AsIndexed(simplify))?;
            lists = lists.rebased(base);
        }
    }
    for entered in log.read_from(from) {
        let entered = entered?;
        let seq = entered.seq;
        if seq != lists.version().seq + 1 {
            return Err(Error::Record {
                sequence: seq,
                reason: "it does not follow the record before it",
            });
        }
        // Everything before this place is in the lists.
        let at = entered.position;
        if lists.overlay_len() > REPLAY_OVERLAY_MIN.max(lists.len() / 4) {
            let base = write(&lists, &beside, at, Names::AsIndexed(simplify))?;
            base_file::remove_older(dir, lists.version().seq);
            lists = lists.rebased(base);
        }
        log::apply(&entered, &mut lists, &mut beside, simplify)?;
    }
    Ok((lists, beside))
}

pub(crate) fn show_book(metrics: &Metrics, book: &Book) {
    let active = book.measures().iter().filter(|row| row.active).count();
    metrics.set_book(
        &book.version().to_string(),
        active,
        book.measures().len() - active,
    );
}
