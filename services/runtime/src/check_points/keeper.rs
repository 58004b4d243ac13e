//! Whoever writes check points beside the journals of a process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use creditgate_measures::time::Time;
use parking_lot::Mutex;

use super::{CheckPoint, FILE, Kind, Last, Lines, LogHead, SeriesError};
use crate::clock::Clock;
use crate::errors::Chain;
use crate::health::Readiness;
use crate::journal::{Journal, Position, ReadError};
use crate::shutdown::Shutdown;
use crate::signing::SigningKey;
use crate::telemetry::names::field;

/// The name under which this speaks to readiness; only once something is wrong.
const COMPONENT: &str = "check points";

/// What check points are about and where they go.
pub struct Options {
    /// The directory that holds the journals; check points stand in its [`FILE`].
    pub data_dir: PathBuf,
    /// The key that signs.
    pub key: SigningKey,
    /// A file elsewhere that gets each of them, too.
    pub anchor: Option<PathBuf>,
    /// The journals, by the names that check points give them.
    pub journals: Vec<(&'static str, Journal)>,
    /// The time.
    pub clock: Clock,
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
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// A journal is not the one that was spoken of.
    #[error(
        "the journal of {journal} does not hold what check point {number} names, its record {sequence}: it was cut off, \
         written anew, or restored from an older copy. Put back what is missing. If the older copy is wanted, move \
         `{}` and the anchor away and keep both, for they show what is missing: a new series then begins",
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
pub struct CheckPoints(Arc<Mutex<Keeper>>);

#[derive(Debug)]
struct Keeper {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    bytes: u64,
    last: Option<Last>,
    /// What the last one said.
    heads: BTreeMap<String, LogHead>,
    anchor: Option<Anchor>,
    key: SigningKey,
    journals: Vec<(&'static str, Journal)>,
    clock: Clock,
}

#[derive(Debug)]
struct Anchor {
    path: PathBuf,
    /// Bytes of our own file that it has; none: to be looked up, for an attempt failed.
    sent: Option<u64>,
}

impl CheckPoints {
    /// Goes on where the last one stands. Blocks on the disk.
    ///
    /// # Errors
    /// When the journals or the anchor contradict what was written, or a file cannot be used.
    pub fn open(options: Options) -> Result<Self, Error> {
        let Options {
            data_dir,
            key,
            anchor,
            journals,
            clock,
        } = options;
        let path = data_dir.join(FILE);
        let open = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = open.map_err(io_error("open check points", &path))?;
        let (bytes, point) = read(&path)?;
        let anchor = anchor.map(|anchor| {
            Ok::<_, Error>(Anchor {
                sent: Some(sent(&path, &anchor)?),
                path: anchor,
            })
        });
        let anchor = anchor.transpose()?;
        // A line that was never finished.
        file.set_len(bytes)
            .map_err(io_error("cut check points", &path))?;
        if let Some(point) = &point {
            for (journal, log) in &journals {
                holds(point, journal, log, &path)?;
            }
        }
        Ok(Self(Arc::new(Mutex::new(Keeper {
            path,
            file,
            bytes,
            last: point.as_ref().map(Last::of),
            heads: point.map(|point| point.heads).unwrap_or_default(),
            anchor,
            key,
            journals,
            clock,
        }))))
    }

    /// Writes one whenever a journal moved, at most once in a while, until a stop is asked for. What fails is told and
    /// tried again.
    pub async fn run(self, every: Duration, readiness: Readiness, shutdown: Shutdown) {
        let mut failed = false;
        loop {
            match self.put().await {
                Ok(()) if failed => {
                    failed = false;
                    readiness.ready(COMPONENT);
                }
                Ok(()) => {}
                Err(error) => {
                    failed = true;
                    let why = Chain(&error).to_string();
                    tracing::error!({ field::ERROR } = why, "no check point");
                    readiness.ready_but(COMPONENT, why);
                }
            }
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    /// Writes one, if a journal moved since the last.
    ///
    /// # Errors
    /// When it could not be written, or did not get to the anchor; the next attempt makes up for it.
    pub async fn put(&self) -> Result<(), Error> {
        let this = self.clone();
        match tokio::task::spawn_blocking(move || this.put_blocking()).await {
            Ok(put) => put,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending; what was durable stays so.
                Err(_) => Ok(()),
            },
        }
    }

    /// [`CheckPoints::put`] for a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub fn put_blocking(&self) -> Result<(), Error> {
        self.0.lock().put()
    }
}

impl Keeper {
    fn put(&mut self) -> Result<(), Error> {
        let heads: BTreeMap<_, _> = self
            .journals
            .iter()
            .map(|(name, log)| ((*name).to_owned(), LogHead::of(log.log_id(), &log.head())))
            .collect();
        if heads != self.heads {
            self.write(heads)?;
        }
        self.send()
    }

    fn write(&mut self, heads: BTreeMap<String, LogHead>) -> Result<(), Error> {
        let (number, previous) = self
            .last
            .as_ref()
            .map_or((1, [0; 32]), |last| (last.number + 1, last.hash));
        let at = Time::from_micros(self.clock.now_micros()).to_string();
        let point = CheckPoint::new(number, at, previous, heads, &self.key);
        let line = point
            .line()
            .map_err(io_error("write a check point to", &self.path))?;
        // What an attempt that failed left behind is written over, or is no whole line.
        self.file
            .write_all_at(line.as_bytes(), self.bytes)
            .and_then(|()| self.file.set_len(self.bytes + line.len() as u64))
            .and_then(|()| self.file.sync_data())
            .map_err(io_error("write a check point to", &self.path))?;
        self.bytes += line.len() as u64;
        self.last = Some(Last::of(&point));
        self.heads = point.heads;
        Ok(())
    }

    /// Brings the anchor what it does not have yet.
    fn send(&mut self) -> Result<(), Error> {
        let Some(anchor) = &mut self.anchor else {
            return Ok(());
        };
        let from = match anchor.sent.take() {
            Some(from) => from,
            None => sent(&self.path, &anchor.path)?,
        };
        if from < self.bytes {
            let mut lines = Vec::new();
            File::open(&self.path)
                .and_then(|mut own| {
                    own.seek(SeekFrom::Start(from))?;
                    own.take(self.bytes - from).read_to_end(&mut lines)
                })
                .map_err(io_error("read check points", &self.path))?;
            append(&anchor.path, &lines)
                .map_err(io_error("bring a check point to the anchor", &anchor.path))?;
        }
        anchor.sent = Some(self.bytes);
        Ok(())
    }
}

/// Adds lines to a file that perhaps can only be added to: behind a line that was never finished a new one begins, and
/// who reads knows it by that.
fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = File::options()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    let length = file.metadata()?.len();
    let mut end = *b"\n";
    if length > 0 {
        file.read_exact_at(&mut end, length - 1)?;
    }
    let finish: &[u8] = if end == *b"\n" { b"" } else { b"\n" };
    file.write_all(&[finish, lines].concat())?;
    file.sync_data()
}

/// Where the whole lines of a file end, and the last check point.
fn read(path: &Path) -> Result<(u64, Option<CheckPoint>), SeriesError> {
    let mut last: Option<CheckPoint> = None;
    let mut bytes = 0;
    if let Some(mut lines) = Lines::open(Kind::Own, path)? {
        while let Some(point) = lines.next()? {
            point
                .follows(last.as_ref().map(Last::of).as_ref())
                .map_err(|why| lines.wrong(why))?;
            last = Some(point);
        }
        bytes = lines.bytes;
    }
    Ok((bytes, last))
}

/// How many bytes of our own check points an anchor has.
fn sent(own: &Path, anchor: &Path) -> Result<u64, Error> {
    let mut anchored = None;
    if let Some(mut lines) = Lines::open(Kind::Anchor, anchor)? {
        while let Some(point) = lines.next()? {
            anchored = Some(point);
        }
    }
    let Some(anchored) = anchored else {
        return Ok(0);
    };
    if let Some(mut lines) = Lines::open(Kind::Own, own)? {
        while let Some(point) = lines.next()? {
            if point == anchored {
                return Ok(lines.bytes);
            }
        }
    }
    Err(Error::Ahead {
        anchor: anchor.to_owned(),
        file: own.to_owned(),
        number: anchored.number,
    })
}

/// Whether a journal holds what a check point says of it.
fn holds(
    point: &CheckPoint,
    journal: &'static str,
    log: &Journal,
    file: &Path,
) -> Result<(), Error> {
    let Some(claim) = point.heads.get(journal) else {
        return Ok(());
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
                    Err(ReadError::Corrupt(_)) => return Err(behind(point, journal, claim, file)),
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
        true => Ok(()),
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

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}
