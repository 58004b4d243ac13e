//! Anchors that lines are sent to and that are not looked at from here: a topic, a webhook.
//!
//! Each gets every check point, in order, at least once. What it took last is remembered in a file beside the check points,
//! after it was taken: a crash in between sends that one again. Who takes that file away has all of them sent again. An anchor
//! that does not take them holds up nothing: it gets them when it is back.

use std::fs::File;
use std::future::Future;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;

use super::keeper::{Error, io_error};
use super::{CheckPoint, FILE, Found, Kind, Last, Lines, SeriesError};
use crate::clock::Clock;
use crate::errors::Chain;
use crate::health::Readiness;
use crate::hex::{from_hex, hex};
use crate::metrics::Metrics;
use crate::telemetry::names::field;
use crate::webhook::pause;

/// Shortest and longest pause after a failure.
const PACE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A place that takes lines and is not read from here.
pub trait Outlet: Send + Sync + 'static {
    /// `topic` or `webhook`: in the name of a file, in metrics and in readiness.
    fn kind(&self) -> &'static str;

    /// Where it is, in words for an operator. Another place has another name, and gets all lines.
    fn place(&self) -> String;

    /// Brings it a check point. Returns when it is there for good.
    fn deliver<'a>(&'a self, letter: &'a Letter) -> Delivery<'a>;
}

/// The outcome of [`Outlet::deliver`].
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Result<(), NotTaken>> + Send + 'a>>;

/// A check point on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Whose it is: the name of the log of verdicts, in hexadecimal digits. The same for all check points of a service.
    pub log: String,
    /// Its number.
    pub number: u64,
    /// Its line, without the end of the line.
    pub line: String,
}

/// Why a check point was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct NotTaken {
    /// What is wrong, for an operator.
    pub why: String,
    /// The pause that it asks for.
    pub pause: Option<Duration>,
}

/// One outlet, with what it has.
pub(super) struct Relay {
    outlet: Box<dyn Outlet>,
    /// The file whose lines it gets.
    own: PathBuf,
    /// The file that says what it took last.
    state: PathBuf,
    clock: Clock,
    metrics: Metrics,
    at: Mutex<At>,
}

/// What an outlet has.
#[derive(Clone, Debug, Default)]
struct At {
    /// What it took last.
    taken: Option<Last>,
    /// Where the next line begins; none: it is to be looked for.
    next: Option<u64>,
}

impl Relay {
    /// Goes on behind what was taken last.
    ///
    /// # Errors
    /// When the file that says so cannot be read.
    pub(super) fn open(
        outlet: Box<dyn Outlet>,
        data_dir: &Path,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let state = state_file(data_dir, outlet.kind());
        let taken = remembered(&state).map_err(io_error("read what an anchor has from", &state))?;
        let place = outlet.place();
        let taken = taken.filter(|taken| taken.place == place);
        Ok(Self {
            outlet,
            own: data_dir.join(FILE),
            state,
            clock,
            metrics,
            at: Mutex::new(At {
                taken: taken.map(|taken| taken.last),
                next: None,
            }),
        })
    }

    /// Brings what is durable here, whenever there is more, until it is dropped. What fails is told and tried again.
    pub(super) async fn run(
        self: Arc<Self>,
        mut durable: watch::Receiver<u64>,
        readiness: Readiness,
    ) {
        let kind = self.outlet.kind();
        self.metrics.set_anchor_behind(kind, None);
        let mut failures = 0;
        loop {
            let to = *durable.borrow_and_update();
            let Err(error) = self.bring(to).await else {
                if failures > 0 {
                    failures = 0;
                    self.metrics.set_anchor_behind(kind, None);
                    readiness.ready(component(kind));
                    tracing::info!(anchor = kind, "the anchor takes check points again");
                }
                match durable.changed().await {
                    Ok(()) => continue,
                    // Nobody writes them any more.
                    Err(_) => return,
                }
            };
            if failures == 0 {
                let since = self.clock.now_micros();
                self.metrics.set_anchor_behind(kind, Some(since));
            }
            failures += 1;
            let why = Chain(&error).to_string();
            tracing::warn!(
                { field::ERROR } = why,
                "an anchor does not take a check point; it is tried again"
            );
            readiness.ready_but(component(kind), why);
            let asked = match &error {
                Error::NotTaken { source, .. } => source.pause,
                _ => None,
            };
            tokio::time::sleep(pause(failures, PACE, asked)).await;
        }
    }

    /// What is said where it takes too long.
    pub(super) fn slow(&self) -> Error {
        Error::Slow {
            anchor: self.outlet.kind().into(),
        }
    }

    /// Brings what it does not have of so many bytes, one line after the other.
    pub(super) async fn bring(&self, durable: u64) -> Result<(), Error> {
        let mut at = self.at.lock().await;
        loop {
            let (own, known) = (self.own.clone(), at.clone());
            let Some(found) = blocking(move || next(&own, &known, durable)).await? else {
                return Ok(());
            };
            let letter = letter(&found.point).map_err(io_error("write a line of", &self.own))?;
            let taken = self.outlet.deliver(&letter).await;
            taken.map_err(|source| Error::NotTaken {
                place: self.outlet.place(),
                number: letter.number,
                source,
            })?;
            let last = Last::of(&found.point);
            let (state, place, kept) = (self.state.clone(), self.outlet.place(), last.clone());
            blocking(move || {
                remember(&state, &kept, &place)
                    .map_err(io_error("remember what an anchor has in", &state))
            })
            .await?;
            *at = At {
                taken: Some(last),
                next: Some(found.end),
            };
        }
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("place", &self.outlet.place())
            .finish_non_exhaustive()
    }
}

/// What is remembered of an outlet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    last: Last,
    place: String,
}

/// Up to which check point the outlets of a data directory have taken them: kind, number and place. One that cannot be
/// read is left out: the service tells it.
#[must_use]
pub fn taken(data_dir: &Path) -> Vec<(&'static str, u64, String)> {
    let kinds = ["topic", "webhook"];
    let of = |kind| Some((kind, remembered(&state_file(data_dir, kind)).ok()??));
    kinds
        .into_iter()
        .filter_map(of)
        .map(|(kind, taken)| (kind, taken.last.number, taken.place))
        .collect()
}

/// The name under which an outlet speaks to readiness; only once something is wrong.
fn component(kind: &str) -> &'static str {
    match kind {
        "topic" => "anchor topic",
        _ => "anchor webhook",
    }
}

fn state_file(data_dir: &Path, kind: &str) -> PathBuf {
    data_dir.join(format!("check-points.{kind}"))
}

/// A number, a hash and a place.
fn remembered(state: &Path) -> io::Result<Option<Taken>> {
    let text = match std::fs::read_to_string(state) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut words = text.trim_end().splitn(3, ' ');
    let mut read = || {
        let number = words.next()?.parse().ok()?;
        let hash = from_hex(words.next()?)?;
        let place = words.next()?.to_owned();
        Some(Taken {
            last: Last { number, hash },
            place,
        })
    };
    // What is none means that all is sent again.
    Ok(read())
}

fn remember(state: &Path, last: &Last, place: &str) -> io::Result<()> {
    let anew = state.with_extension("tmp");
    let mut file = File::create(&anew)?;
    writeln!(file, "{} {} {place}", last.number, hex(&last.hash))?;
    file.sync_all()?;
    std::fs::rename(&anew, state)
}

/// The first line behind what was taken, if it is durable.
fn next(own: &Path, at: &At, durable: u64) -> Result<Option<Found>, Error> {
    let from = match (at.next, &at.taken) {
        (Some(next), _) => next,
        (None, None) => 0,
        (None, Some(taken)) => behind(own, taken)?.unwrap_or_else(|| {
            tracing::warn!(
                number = taken.number,
                "what an anchor took last is not among the check points here: all are sent again"
            );
            0
        }),
    };
    if from >= durable {
        return Ok(None);
    }
    let Some(mut lines) = Lines::open(Kind::Own, own)? else {
        return Ok(None);
    };
    lines
        .file
        .seek(io::SeekFrom::Start(from))
        .map_err(io_error("read check points", own))?;
    lines.at = from;
    let found = lines.next_found()?;
    Ok(found.filter(|found| found.end <= durable))
}

/// Where the line behind this one begins.
fn behind(own: &Path, taken: &Last) -> Result<Option<u64>, SeriesError> {
    for open in [Lines::open_at_end, Lines::open] {
        let Some(mut lines) = open(Kind::Own, own)? else {
            return Ok(None);
        };
        while let Some(found) = lines.next_found()? {
            if Last::of(&found.point) == *taken {
                return Ok(Some(found.end));
            }
        }
    }
    Ok(None)
}

fn letter(point: &CheckPoint) -> io::Result<Letter> {
    let verdicts = point.heads.get("verdicts");
    let log = verdicts.or_else(|| point.heads.values().next());
    Ok(Letter {
        log: log.map_or_else(String::new, |head| hex(&head.log_id)),
        number: point.number,
        line: point.line()?.trim_end().to_owned(),
    })
}

/// Runs something that reads or writes the disk.
async fn blocking<T: Default + Send + 'static>(
    run: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match spawn_blocking(run).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending.
            Err(_) => Ok(T::default()),
        },
    }
}
