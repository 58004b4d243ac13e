//! A watched folder: files that somebody puts there are imported as they lie, in the order of their names.
//!
//! Each folder inside is one source and says in its `source.yaml` how its files are to be taken ([`source`]). A file
//! that has arrived whole is one import ([`take`]) and then moves to `done`, `refused` or `held` beside it ([`folder`]),
//! with a summary and, where rows were refused, a report. A process that dies in between finds the file again and
//! imports it again, which changes nothing twice. Everything here happens on a thread of its own: a slow disk or a large
//! file holds up nobody.
//!
//! Whether a file has arrived whole, nobody says. It must not have changed for a while (`lists.inbox_still_ms`). One
//! that looks as if it were still on its way is waited for six times as long, since copies pause: an archive or a
//! workbook without its end mark, compressed bytes that stop, a text whose last line has no end. After that a text is
//! taken as it is, since many programs leave the last line end out (a last row that is cut is refused, and a whole list
//! then waits for approval), and what is compressed is refused. The safe way is to write under a name that is passed
//! over (`x.csv.part`, `.x.csv`) and to rename the file when it is whole.
//!
//! A file tells of the time at which it was last changed: its lists are confirmed as of then, not as of when it was
//! found. A whole list that was changed before the one that its source sent last waits for approval.

mod folder;
mod source;
mod take;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use creditgate_runtime::callers::Caller;
use creditgate_runtime::shutdown::Shutdown;
use tokio::runtime::Handle;

use self::folder::{Found, Place};
use self::source::Source;
use self::take::Taken;
use crate::files::{self, Ending};
use crate::registry::Registry;

/// How often the folder is looked at, unless files are to be still for less.
const POLL: Duration = Duration::from_secs(2);

/// How many times as long a file must not have changed that looks as if it were still on its way.
const LOOKS_UNFINISHED: u32 = 6;

/// Until an import that failed for no fault of the file is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The name of the file that says what a folder is the source of.
pub const SOURCE_FILE: &str = "source.yaml";

/// Watches a directory until a stop is asked for. `still` is for how long a file must not have changed.
///
/// # Errors
/// When its thread ended otherwise.
pub async fn watch(
    registry: Registry,
    dir: PathBuf,
    still: Duration,
    shutdown: Shutdown,
) -> Result<(), tokio::task::JoinError> {
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut inbox = Inbox {
            registry,
            caller: Caller::inbox(),
            handle: handle.clone(),
            shutdown: shutdown.clone(),
            still,
            seen: BTreeMap::new(),
            left: BTreeMap::new(),
            warned: BTreeSet::new(),
        };
        while !shutdown.requested() {
            // One that follows takes no changes; what is put there waits until it leads, or for the one that does.
            if !inbox.registry.follows() {
                inbox.sweep(&dir);
            }
            handle.block_on(async {
                tokio::select! {
                    () = shutdown.wait() => {}
                    () = tokio::time::sleep(POLL.min(still)) => {}
                }
            });
        }
    })
    .await
}

/// What is known between two looks at the directory.
struct Inbox {
    registry: Registry,
    caller: Caller,
    handle: Handle,
    shutdown: Shutdown,
    /// For how long a file must not have changed.
    still: Duration,
    /// Files as they were, and since when.
    seen: BTreeMap<PathBuf, Seen>,
    /// Files that stay where they are, and until when; none: until they change.
    left: BTreeMap<PathBuf, (Found, Option<Instant>)>,
    /// What was warned of and still holds: it is said once.
    warned: BTreeSet<String>,
}

/// A file as it was.
struct Seen {
    found: Found,
    since: Instant,
    /// It was told that it is waited for.
    told: bool,
}

impl Inbox {
    /// Looks at every folder once.
    fn sweep(&mut self, dir: &Path) {
        let mut warnings = Vec::new();
        let mut lying = BTreeSet::new();
        match folder::folders(dir) {
            Ok(folders) => {
                for folder in folders {
                    if self.shutdown.requested() {
                        return;
                    }
                    if let Err(why) = self.look(&folder, &mut lying) {
                        warnings.push(format!("`{}`: {why}", folder.display()));
                    }
                }
            }
            Err(error) => warnings.push(format!("`{}`: {error}", dir.display())),
        }
        self.seen.retain(|path, _| lying.contains(path));
        self.left.retain(|path, _| lying.contains(path));
        for warning in &warnings {
            if !self.warned.contains(warning) {
                tracing::warn!(reason = %warning, "watched folder");
            }
        }
        self.warned = warnings.into_iter().collect();
    }

    /// Takes what lies ready in one folder. The first file that is not ready holds up those after it, since they may
    /// build on it.
    fn look(&mut self, dir: &Path, lying: &mut BTreeSet<PathBuf>) -> Result<(), String> {
        let files = folder::files(dir).map_err(|error| error.to_string())?;
        if files.is_empty() {
            return Ok(());
        }
        // All of them at once: each for itself they would have to be still one after the other.
        for (path, found) in &files {
            lying.insert(path.clone());
            self.note(path, found);
        }
        let source = Source::load(&dir.join(SOURCE_FILE))?;
        for (path, found) in files {
            if self.shutdown.requested() || !self.is_ready(&path, &found)? {
                return Ok(());
            }
            let mut taken = take::take(self, &path, &source);
            if self.shutdown.requested() && matches!(taken, Taken::Later(_)) {
                return Ok(());
            }
            if let Taken::CutOff(done) = taken {
                if let Some(until) = self.waits_longer(&path) {
                    self.left.insert(path, (found, Some(until)));
                    return Ok(());
                }
                taken = Taken::Done(done);
            }
            self.settle(&path, found, taken)?;
        }
        Ok(())
    }

    /// Notes a file as it lies there now.
    fn note(&mut self, path: &Path, found: &Found) {
        if self.seen.get(path).is_none_or(|seen| seen.found != *found) {
            let seen = Seen {
                found: found.clone(),
                since: Instant::now(),
                told: false,
            };
            self.seen.insert(path.to_owned(), seen);
        }
    }

    /// Whether the file has arrived whole, as far as can be told, and nothing keeps it where it is.
    fn is_ready(&mut self, path: &Path, found: &Found) -> Result<bool, String> {
        if let Some((as_it_was, until)) = self.left.get(path)
            && as_it_was == found
        {
            match until {
                Some(until) if Instant::now() >= *until => {}
                Some(_) => return Ok(false),
                None => {
                    return Err(format!(
                        "`{}` was imported and cannot be moved; move it",
                        path.display()
                    ));
                }
            }
        }
        let still = self.seen.get(path).map(|seen| seen.since.elapsed());
        if still.is_none_or(|still| still < self.still) {
            return Ok(false);
        }
        // One that cannot be opened is told when it is read.
        let whole = files::ending(path).unwrap_or(Ending::Whole) == Ending::Whole;
        Ok(whole || self.waits_longer(path).is_none())
    }

    /// Until when a file is waited for that looks as if it were still on its way; none: it was, long enough.
    fn waits_longer(&mut self, path: &Path) -> Option<Instant> {
        let seen = self.seen.get_mut(path)?;
        let until = seen.since + self.still * LOOKS_UNFINISHED;
        if Instant::now() >= until {
            return None;
        }
        if !seen.told {
            seen.told = true;
            let file = path.display();
            tracing::info!(%file, "a file looks unfinished and is waited for");
        }
        Some(until)
    }

    /// Moves the file to where it belongs.
    fn settle(&mut self, path: &Path, found: Found, taken: Taken) -> Result<(), String> {
        let done = match taken {
            Taken::Later(why) => {
                let until = Instant::now() + AGAIN_AFTER;
                self.left.insert(path.to_owned(), (found, Some(until)));
                return Err(format!(
                    "`{}` could not be imported, and will be tried again: {why}",
                    path.display()
                ));
            }
            Taken::SourceRefused(why) => return Err(format!("`{SOURCE_FILE}`: {why}")),
            Taken::Done(done) | Taken::CutOff(done) => done,
        };
        let place = done.place;
        let moved = folder::put_away(path, &done);
        let summary = done.summary.unwrap_or_default();
        let (received, accepted) = (summary.received, summary.accepted);
        let (unchanged, refused) = (summary.unchanged, summary.refused_count);
        let file = path.display();
        if place == Place::Done {
            let revoked = summary.revoked_absent;
            tracing::info!(%file, received, accepted, unchanged, refused, revoked, "a file of the watched folder is done");
        } else {
            let why = done.error.unwrap_or(summary.hold_reason);
            let to = place.name();
            tracing::warn!(%file, to, received, refused, reason = %why, "a file of the watched folder was not taken");
        }
        moved.map_err(|error| {
            self.left.insert(path.to_owned(), (found, None));
            format!(
                "`{}` was imported and cannot be moved: {error}",
                path.display()
            )
        })
    }
}

#[cfg(test)]
mod tests;
