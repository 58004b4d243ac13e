//! The lists and the book that decisions use now: published by the registry, read by everybody.
//!
//! INVARIANT (durable first): what is published here is already durable in the change log, so a
//! verdict never rests on a change that a crash could take back.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use creditgate_measures::book::Book;
use creditgate_measures::lists::{ListVersion, Lists};
use tokio::sync::watch;

/// One set of lists with the book that judges them.
#[derive(Debug)]
pub struct Generation {
    /// The lists.
    pub lists: Lists,
    /// The book.
    pub book: Arc<Book>,
}

/// The generation in use, behind one atomic pointer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Live {
    current: Arc<ArcSwap<Generation>>,
    seq: watch::Sender<u64>,
}

/// Why a version of the lists is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Behind {
    /// It did not arrive in time.
    #[error("the lists have reached {reached}, not yet {wanted}")]
    NotYet {
        /// Last sequence number applied.
        reached: u64,
        /// Sequence number asked for.
        wanted: u64,
    },
    /// It belongs to another change log.
    #[error("the version belongs to another change log")]
    OtherLog,
}

impl Live {
    /// Starts with this generation.
    #[must_use]
    pub fn new(first: Generation) -> Self {
        let seq = watch::Sender::new(first.lists.version().seq);
        Self {
            current: Arc::new(ArcSwap::from_pointee(first)),
            seq,
        }
    }

    /// The generation in use. Take it once per event and use it to the end.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Generation>> {
        self.current.load()
    }

    /// As [`Live::load`], to keep longer than a decision takes.
    #[must_use]
    pub fn load_full(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Puts a generation in the place of the one in use; only the registry does.
    pub fn publish(&self, next: Generation) {
        let seq = next.lists.version().seq;
        self.current.store(Arc::new(next));
        self.seq.send_replace(seq);
    }

    /// Follows the sequence number of the last change applied.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.seq.subscribe()
    }

    /// Whether the lists have reached a sequence number, of this change log when one is named.
    #[must_use]
    pub fn has(&self, log_id: Option<uuid::Uuid>, wanted: u64) -> bool {
        let ListVersion { log_id: own, seq } = self.load().lists.version();
        log_id.is_none_or(|log_id| log_id == own) && seq >= wanted
    }

    /// Waits until the lists have reached a sequence number, of this change log when one is named.
    ///
    /// # Errors
    /// When that takes longer than `patience`, or never can be.
    pub async fn reach(
        &self,
        log_id: Option<uuid::Uuid>,
        wanted: u64,
        patience: Duration,
    ) -> Result<(), Behind> {
        let ListVersion { log_id: own, seq } = self.load().lists.version();
        if log_id.is_some_and(|log_id| log_id != own) {
            return Err(Behind::OtherLog);
        }
        if seq >= wanted {
            return Ok(());
        }
        let mut follow = self.follow();
        let reached = tokio::time::timeout(patience, follow.wait_for(|seq| *seq >= wanted)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Behind::NotYet {
                reached: self.load().lists.version().seq,
                wanted,
            }),
        }
    }
}
