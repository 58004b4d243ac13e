//! Whoever writes check points beside the journals of a process.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use creditgate_measures::time::Time;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet, spawn_blocking};

use super::anchor::Anchor;
use super::relay::{NotTaken, Outlet, Relay};
use super::{CheckPoint, FILE, Kind, Last, LogHead, SeriesError, last};
use crate::clock::Clock;
use crate::errors::Chain;
use crate::health::Readiness;
use crate::journal::{Journal, Position, ReadError};
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::signing::SigningKey;
use crate::telemetry::names::field;

/// The name under which this speaks to readiness; only once something is wrong.
const COMPONENT: &str = "check points";

/// How long an anchor is waited for, which may lie on another machine. What takes longer goes on beside.
const ANCHORED_WITHIN: Duration = Duration::from_secs(5);

/// What check points are about and where they go.
pub struct Options {
    /// The directory that holds the journals; check points stand in its [`FILE`].
    pub data_dir: PathBuf,
    /// The key that signs.
    pub key: SigningKey,
    /// A file elsewhere that gets each of them, too.
    pub anchor: Option<PathBuf>,
    /// Other places that get each of them.
    pub outlets: Vec<Box<dyn Outlet>>,
    /// The journals, by the names that check points give them.
    pub journals: Vec<(&'static str, Journal)>,
    /// The time.
    pub clock: Clock,
    /// Where it is shown for how long an anchor takes nothing.
    pub metrics: Metrics,
}

/// Check points cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file does not do what it must.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file is not as it was written.
    #[error(
        "go on with check points: look what happened to the file. To begin a new series, move it away, keep it, and name \
         a new anchor"
    )]
    Series(#[from] SeriesError),
    /// Another process writes them.
    #[error("another process writes check points to `{}`: stop it first", file.display())]
    Locked {
        /// The file of check points.
        file: PathBuf,
    },
    /// The last one is not what our own key signed.
    #[error(
        "check point {number}, the last in `{}`, is not what its key signed: it was changed, or somebody else wrote it. Put \
         back what was there; or move the file away, keep it, and name a new anchor: a new series then begins",
        file.display()
    )]
    Forged {
        /// The check point.
        number: u64,
        /// The file of check points.
        file: PathBuf,
    },
    /// An anchor that lines are sent to did not take one.
    #[error("bring check point {number} to the {place}")]
    NotTaken {
        /// The anchor.
        place: String,
        /// The check point.
        number: u64,
        /// Why.
        source: NotTaken,
    },
    /// The anchor does not answer.
    #[error("the anchor `{}` takes longer than {} s; waiting", anchor.display(), ANCHORED_WITHIN.as_secs())]
    Slow {
        /// The anchor.
        anchor: PathBuf,
    },
    /// A journal is not the one that was spoken of.
    #[error(
        "the journal of {journal} does not hold what check point {number} names, its record {sequence}: it was cut off, \
         written anew, or restored from an older copy. Put back what is missing. If the older copy is wanted, move `{}` away, \
         keep it, and name a new anchor: a new series then begins, and the old one shows what is missing",
        file.display()
    )]
    Behind {
        /// The journal.
        journal: &'static str,
        /// The check point.
        number: u64,
        /// The record it names.
        sequence: u64,
        /// The file of check points.
        file: PathBuf,
    },
    /// The record behind a check point cannot be read.
    #[error("read the journal of {journal} where check point {number} ends")]
    Read {
        /// The journal.
        journal: &'static str,
        /// The check point.
        number: u64,
        /// The cause.
        source: ReadError,
    },
    /// The anchor knows more than the data.
    #[error(
        "the anchor `{}` ends with check point {number}, which is not in `{}`: the data directory was restored from an \
         older copy, or the anchor is that of another service. Put back what is missing, or name a new anchor and keep \
         this one: it shows what is missing",
        anchor.display(),
        file.display()
    )]
    Ahead {
        /// The anchor.
        anchor: PathBuf,
        /// The file of check points.
        file: PathBuf,
        /// The last check point of the anchor.
        number: u64,
    },
}

/// Writes check points; cheap to clone.
#[derive(Clone, Debug)]
pub struct CheckPoints {
    keeper: Arc<Mutex<Keeper>>,
    /// Apart, so that one that hangs holds up nothing here.
    anchor: Option<(PathBuf, Arc<Mutex<Anchor>>)>,
    relays: Vec<Arc<Relay>>,
    /// Bytes of whole lines here.
    durable: watch::Sender<u64>,
    clock: Clock,
    metrics: Metrics,
}

#[derive(Debug)]
struct Keeper {
    path: PathBuf,
    /// Locked as long as this is here.
    file: File,
    /// Bytes of whole lines.
    bytes: u64,
    /// Tells it.
    durable: watch::Sender<u64>,
    last: Option<Last>,
    /// What the last one said.
    heads: BTreeMap<String, LogHead>,
    key: SigningKey,
    journals: Vec<(&'static str, Journal)>,
    clock: Clock,
}

/// A check point on its way to the anchor.
type Sending = JoinHandle<Result<(), Error>>;

impl CheckPoints {
    /// Goes on where the last one stands. Blocks on the disk.
    ///
    /// # Errors
    /// When the journals or the anchor contradict what was written, or the file cannot be used. An anchor that cannot be
    /// read is told, and tried again later.
    pub fn open(options: Options) -> Result<Self, Error> {
        let Options {
            data_dir,
            key,
            anchor,
            outlets,
            journals,
            clock,
            metrics,
        } = options;
        let path = data_dir.join(FILE);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error("open check points", &path))?;
        file.try_lock().map_err(|refused| match refused {
            TryLockError::WouldBlock => Error::Locked { file: path.clone() },
            TryLockError::Error(source) => io_error("lock check points", &path)(source),
        })?;
        let found = last(Kind::Own, &path)?;
        let bytes = found.as_ref().map_or(0, |found| found.end);
        // What was never finished.
        let length = file
            .metadata()
            .map_err(io_error("read check points", &path))?
            .len();
        if length > bytes {
            tracing::warn!(
                bytes = length - bytes,
                "check points ended in a line that was never finished; it was removed"
            );
        }
        file.set_len(bytes)
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(&data_dir)?.sync_all())
            .map_err(io_error("mend check points", &path))?;
        let point = found.map(|found| found.point);
        if let Some(point) = &point {
            if point.key_id == key.key_id() && point.verify(&key.public()).is_err() {
                return Err(Error::Forged {
                    number: point.number,
                    file: path,
                });
            }
            let mut since = 0;
            for (journal, log) in &journals {
                since += holds(point, journal, log, &path)?;
            }
            tracing::info!(
                check_point = point.number,
                { field::COUNT } = since,
                "check points go on; so many records came after the last"
            );
        }
        let durable = watch::Sender::new(bytes);
        let relays = outlets.into_iter().map(|outlet| {
            Relay::open(outlet, &data_dir, clock.clone(), metrics.clone()).map(Arc::new)
        });
        let relays = relays.collect::<Result<Vec<_>, Error>>()?;
        let keeper = Keeper {
            path,
            file,
            bytes,
            durable: durable.clone(),
            last: point.as_ref().map(Last::of),
            heads: point.map(|point| point.heads).unwrap_or_default(),
            key,
            journals,
            clock: clock.clone(),
        };
        let anchor = anchor.map(|path| {
            let anchor = Anchor::new(path.clone(), keeper.path.clone());
            (path, Arc::new(Mutex::new(anchor)))
        });
        let this = Self {
            keeper: Arc::new(Mutex::new(keeper)),
            anchor,
            relays,
            durable,
            clock,
            metrics,
        };
        this.compare()?;
        Ok(this)
    }

    /// Refuses an anchor that knows more than is here; one that cannot be read now is told.
    fn compare(&self) -> Result<(), Error> {
        let Some((path, anchor)) = self.anchor.clone() else {
            return Ok(());
        };
        let (tell, told) = mpsc::channel();
        let look = thread::Builder::new()
            .name("anchor".to_owned())
            .spawn(move || {
                // Nobody listens any more where it took too long.
                let _ = tell.send(anchor.lock().missing());
            });
        look.map_err(io_error("look at the anchor", &path))?;
        let looked = match told.recv_timeout(ANCHORED_WITHIN) {
            Ok(looked) => looked.map(drop),
            Err(_) => Err(Error::Slow { anchor: path }),
        };
        match looked {
            Err(error @ Error::Ahead { .. }) => Err(error),
            Err(error) => {
                tracing::warn!({ field::ERROR } = %Chain(&error), "the anchor could not be looked at; it is tried again");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Writes one whenever a journal moved, at most once in a while, until a stop is asked for. What fails is told and
    /// tried again.
    pub async fn run(self, every: Duration, readiness: Readiness, shutdown: Shutdown) {
        let mut beside = JoinSet::new();
        for relay in &self.relays {
            beside.spawn(Arc::clone(relay).run(self.durable.subscribe(), readiness.clone()));
        }
        self.file_is_behind(None);
        let mut failed = false;
        let mut under_way = None;
        loop {
            let put = async {
                self.put().await?;
                self.anchored(&mut under_way).await
            };
            match put.await {
                Ok(()) if failed => {
                    failed = false;
                    self.file_is_behind(None);
                    readiness.ready(COMPONENT);
                }
                Ok(()) => {}
                Err(error) => {
                    if !failed {
                        self.file_is_behind(Some(self.clock.now_micros()));
                    }
                    failed = true;
                    let why = Chain(&error).to_string();
                    tracing::error!(
                        { field::ERROR } = why,
                        "a check point is not where it should be"
                    );
                    readiness.ready_but(COMPONENT, why);
                }
            }
            // Whether one that takes long has got there, is to be known soon.
            let pause = match under_way {
                Some(_) => every.min(ANCHORED_WITHIN),
                None => every,
            };
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(pause) => {}
                Some(ended) = beside.join_next() => {
                    if let Err(ended) = ended
                        && let Ok(panic) = ended.try_into_panic()
                    {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }

    fn file_is_behind(&self, since: Option<i64>) {
        if self.anchor.is_some() {
            self.metrics.set_anchor_behind("file", since);
        }
    }

    /// Writes one here, if a journal moved since the last.
    ///
    /// # Errors
    /// When it could not be written; the next attempt makes up for it.
    pub async fn put(&self) -> Result<(), Error> {
        let this = self.clone();
        ended(spawn_blocking(move || this.put_blocking()).await)
    }

    /// [`CheckPoints::put`] for a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub fn put_blocking(&self) -> Result<(), Error> {
        self.keeper.lock().put()
    }

    /// Brings the anchor what it does not have.
    ///
    /// # Errors
    /// When that failed, or takes long; the next attempt makes up for it.
    pub async fn send(&self) -> Result<(), Error> {
        let to = *self.durable.borrow();
        let mut sending = JoinSet::new();
        for relay in &self.relays {
            let relay = Arc::clone(relay);
            sending.spawn(async move {
                let brought = tokio::time::timeout(ANCHORED_WITHIN, relay.bring(to)).await;
                brought.unwrap_or_else(|_| Err(relay.slow()))
            });
        }
        let mut sent = self.anchored(&mut None).await;
        while let Some(one) = sending.join_next().await {
            // The first that failed is told; each begins there at the next start.
            sent = sent.and(ended(one));
        }
        sent
    }

    /// As [`CheckPoints::send`]; one that is under way is waited for first.
    async fn anchored(&self, under_way: &mut Option<Sending>) -> Result<(), Error> {
        let Some((path, anchor)) = &self.anchor else {
            return Ok(());
        };
        let begin = || {
            let (anchor, durable) = (Arc::clone(anchor), self.keeper.lock().bytes);
            spawn_blocking(move || anchor.lock().send(durable))
        };
        let sent = async {
            if let Some(before) = under_way.as_mut() {
                let sent = before.await;
                *under_way = None;
                ended(sent)?;
            }
            let sent = under_way.insert(begin()).await;
            *under_way = None;
            ended(sent)
        };
        tokio::time::timeout(ANCHORED_WITHIN, sent)
            .await
            .unwrap_or_else(|_| {
                Err(Error::Slow {
                    anchor: path.clone(),
                })
            })
    }

    #[cfg(test)]
    pub(super) fn put_and_send(&self) -> Result<(), Error> {
        self.put_blocking()?;
        let durable = self.keeper.lock().bytes;
        match &self.anchor {
            Some((_, anchor)) => anchor.lock().send(durable),
            None => Ok(()),
        }
    }
}

/// What a blocking task ended with.
fn ended(joined: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    match joined {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending; what was durable stays so.
            Err(_) => Ok(()),
        },
    }
}

impl Keeper {
    fn put(&mut self) -> Result<(), Error> {
        let heads: BTreeMap<_, _> = self
            .journals
            .iter()
            .map(|(name, log)| ((*name).to_owned(), LogHead::of(log.log_id(), &log.head())))
            .collect();
        if heads == self.heads {
            return Ok(());
        }
        let (number, previous) = self
            .last
            .as_ref()
            .map_or((1, [0; 32]), |last| (last.number + 1, last.hash));
        let at = Time::from_micros(self.clock.now_micros()).to_string();
        let point = CheckPoint::new(number, at, previous, heads, &self.key);
        let written = point.line().and_then(|line| {
            // First what an attempt that failed left behind.
            self.file.set_len(self.bytes)?;
            self.file.write_all_at(line.as_bytes(), self.bytes)?;
            self.file.sync_data()?;
            Ok(line.len())
        });
        self.bytes += written.map_err(io_error("write a check point to", &self.path))? as u64;
        self.durable.send_replace(self.bytes);
        self.last = Some(Last::of(&point));
        self.heads = point.heads;
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // By name: a child process that is being started holds a copy of the file until its `exec`.
        drop(self.file.unlock());
    }
}

/// How many records a journal has behind a check point, if it holds what that says of it.
fn holds(
    point: &CheckPoint,
    journal: &'static str,
    log: &Journal,
    file: &Path,
) -> Result<u64, Error> {
    let Some(claim) = point.heads.get(journal) else {
        return Ok(log.head().sequence);
    };
    let head = log.head();
    let same = log.log_id() == claim.log_id
        && match head.sequence.cmp(&claim.sequence) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => LogHead::of(claim.log_id, &head) == *claim,
            std::cmp::Ordering::Greater => {
                let next = log.read_at(Position(claim.next_position));
                let next = match next {
                    Ok(next) => next,
                    Err(ReadError::Corrupt(_) | ReadError::BeyondHead { .. }) => {
                        return Err(behind(point, journal, claim, file));
                    }
                    Err(source) => {
                        return Err(Error::Read {
                            journal,
                            number: point.number,
                            source,
                        });
                    }
                };
                next.sequence == claim.sequence + 1 && next.previous_hash == claim.hash
            }
        };
    match same {
        true => Ok(head.sequence - claim.sequence),
        false => Err(behind(point, journal, claim, file)),
    }
}

fn behind(point: &CheckPoint, journal: &'static str, claim: &LogHead, file: &Path) -> Error {
    Error::Behind {
        journal,
        number: point.number,
        sequence: claim.sequence,
        file: file.to_owned(),
    }
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}
