//! Who may call, read again when the files that say so change: a key that was given away is taken back at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Callers, Loaded};
use crate::errors::Chain;
use crate::look::next_look;
use crate::shutdown::Shutdown;

/// How often it is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files that say who may call, and how they are read. None of them is there to a process that has none.
pub struct Followed<L> {
    files: Vec<PathBuf>,
    load: Arc<L>,
    /// What they held when they were last taken up.
    seen: Option<[u8; 32]>,
    /// What they held when it was told that they cannot be.
    told: Option<Option<[u8; 32]>>,
}

impl<L, E> Followed<L>
where
    L: Fn() -> Result<Loaded, E> + Send + Sync + 'static,
    E: std::error::Error + Send + 'static,
{
    /// These files, which `load` reads. To be made before they are read for the first time: what changes meanwhile is read
    /// once more.
    #[must_use]
    pub fn new(files: Vec<PathBuf>, load: L) -> Self {
        let seen = digest(&files);
        Self {
            files,
            load: Arc::new(load),
            seen,
            told: None,
        }
    }

    /// Gives those who may call what the files say, whenever that has changed, until a stop is asked for. What cannot be
    /// used is logged, and what was said before holds on. Streams that stand go on with what holds now, or end.
    pub async fn follow(mut self, callers: Callers, shutdown: Shutdown) {
        loop {
            let (files, load, seen) = (self.files.clone(), Arc::clone(&self.load), self.seen);
            let look = move || {
                let now = digest(&files);
                (now, (now != seen).then(|| load()))
            };
            let Some(looked) = next_look(LOOK_EVERY, &shutdown, look).await else {
                return;
            };
            let Ok((now, read)) = looked else { continue };
            match read {
                None => {}
                Some(Ok(loaded)) => {
                    self.seen = now;
                    self.told = None;
                    for warning in &loaded.warnings {
                        tracing::warn!(reason = %warning, "keys file");
                    }
                    callers.renew(&loaded.callers);
                    tracing::info!(
                        callers = callers.names().len(),
                        "who may call was read again"
                    );
                }
                // It may pass, as too few file handles do: it is tried again, and told once.
                Some(Err(_)) if self.told == Some(now) => {}
                Some(Err(error)) => {
                    self.told = Some(now);
                    tracing::error!(
                        error = %Chain(&error),
                        "who may call has changed and cannot be used; what was said before holds on"
                    );
                }
            }
        }
    }
}

/// Of what the files hold; none where one of them cannot be read.
fn digest(files: &[PathBuf]) -> Option<[u8; 32]> {
    let mut digest = Sha256::new();
    for file in files {
        digest.update(Sha256::digest(std::fs::read(file).ok()?));
    }
    Some(digest.finalize().into())
}
