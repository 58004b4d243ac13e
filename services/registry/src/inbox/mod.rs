//! A watched folder: files that somebody puts there are imported as they lie, in the order of their names.
//!
//! Each folder inside is one source and says in its `source.yaml` how its files are to be taken ([`source`]). A file
//! that has not changed for a while is one import ([`take`]) and then moves to `done`, `refused` or `held` beside it
//! ([`folder`]), with a summary and, where rows were refused, a report. A process that dies in between finds the file
//! again and imports it again, which changes nothing twice. Everything here happens on a thread of its own: a slow disk
//! or a large file holds up nobody.

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
use crate::registry::Registry;

/// How often the folder is looked at.
const POLL: Duration = Duration::from_secs(2);

/// For how long a file must not have changed: it may still be on its way.
const STILL: Duration = Duration::from_secs(2);

/// Until an import that failed for no fault of the file is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The name of the file that says what a folder is the source of.
pub const SOURCE_FILE: &str = "source.yaml";

/// Watches a directory until a stop is asked for.
///
/// # Errors
/// When its thread ended otherwise.
pub async fn watch(
    registry: Registry,
    dir: PathBuf,
    shutdown: Shutdown,
) -> Result<(), tokio::task::JoinError> {
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut inbox = Inbox {
            registry,
            caller: Caller::inbox(),
            handle: handle.clone(),
            shutdown: shutdown.clone(),
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
                    () = tokio::time::sleep(POLL) => {}
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
    /// Files as they were, and since when.
    seen: BTreeMap<PathBuf, (Found, Instant)>,
    /// Files that stay where they are, and until when; none: until they change.
    left: BTreeMap<PathBuf, (Found, Option<Instant>)>,
    /// What was warned of and still holds: it is said once.
    warned: BTreeSet<String>,
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
        lying.extend(files.iter().map(|(path, _)| path.clone()));
        let source = Source::load(&dir.join(SOURCE_FILE))?;
        for (path, found) in files {
            if self.shutdown.requested() || !self.is_ready(&path, &found)? {
                return Ok(());
            }
            let taken = take::take(self, &path, &source);
            if self.shutdown.requested() && matches!(taken, Taken::Later(_)) {
                return Ok(());
            }
            self.settle(&path, found, taken)?;
        }
        Ok(())
    }

    /// Whether the file has not changed for a while, and nothing keeps it where it is.
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
        match self.seen.get(path) {
            Some((as_it_was, since)) if as_it_was == found => Ok(since.elapsed() >= STILL),
            _ => {
                self.seen
                    .insert(path.to_owned(), (found.clone(), Instant::now()));
                Ok(false)
            }
        }
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
            Taken::Done(done) => done,
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
