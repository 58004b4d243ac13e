//! Standing for the lead: which of several registries may write, and what a copy is fed from.
//!
//! The lease says who may try; that two never write rests on the transactional id alone
//! ([`lead`](super::lead)).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use creditgate_runtime::kafka::{self, Cluster, Lease, Topic};
use tokio::sync::mpsc::WeakSender;

use super::News;
use crate::keeper::Command;

/// The group of the registries, after the deployment's prefix.
const GROUP: &str = "registry";
/// How long a process that stops waits until the others know.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// A registry among others.
#[derive(Debug)]
pub(crate) struct Stand {
    lease: Lease,
    /// The decisions, until somebody listens to them.
    decisions: Option<mpsc::Receiver<bool>>,
}

impl Stand {
    /// Joins the registries of this deployment.
    pub fn join(cluster: &Cluster) -> Result<Self, kafka::Error> {
        let (tell, decisions) = mpsc::channel();
        let lease = Lease::stand(cluster, Topic::ListChanges, GROUP, move |held| {
            // Nobody listens any more: the process ends.
            let _ = tell.send(held);
        })?;
        Ok(Self {
            lease,
            decisions: Some(decisions),
        })
    }

    /// Waits for a decision: whether this process may lead. None: there was none in this time.
    pub fn decided(&self, wait: Duration) -> Option<bool> {
        self.decisions.as_ref()?.recv_timeout(wait).ok()
    }

    /// Whether this process may lead, as far as it knows.
    pub fn is_held(&self) -> bool {
        self.lease.is_held()
    }

    /// From now on decisions go to the loop that owns the lists.
    pub fn tell(&mut self, keeper: WeakSender<Command>) -> std::io::Result<()> {
        let Some(decisions) = self.decisions.take() else {
            return Ok(());
        };
        std::thread::Builder::new()
            .name("lists-lease".to_owned())
            .spawn(move || {
                for held in decisions {
                    let Some(keeper) = keeper.upgrade() else {
                        return;
                    };
                    let news = Command::Upstream(News::Lease(held));
                    if keeper.blocking_send(news).is_err() {
                        return;
                    }
                }
            })?;
        Ok(())
    }

    /// Lets another lead for a while.
    pub fn stand_back(&self, time: Duration) {
        self.lease.stand_back(time);
    }

    /// Lets another lead.
    pub fn leave(self) {
        self.lease.leave(LEAVE_WITHIN);
    }
}

/// What a copy is fed from, whoever writes.
#[derive(Debug)]
pub(crate) struct Feed {
    /// None: a test feeds it.
    pub cluster: Option<Cluster>,
    /// None: this process never leads.
    pub stand: Option<Stand>,
    term: Arc<AtomicU64>,
    /// How often in a row reading could not go on.
    pub failures: u32,
}

/// One reading of the topic. What an earlier one still hands over does not count.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub number: u64,
    current: Arc<AtomicU64>,
}

impl Term {
    /// Whether another reading has begun, or none shall be.
    pub fn is_over(&self) -> bool {
        self.current.load(Ordering::Acquire) != self.number
    }

    /// The number of the reading that counts now.
    #[cfg(test)]
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }
}

impl Feed {
    pub fn new(cluster: Option<Cluster>, stand: Option<Stand>) -> Self {
        Self {
            cluster,
            stand,
            term: Arc::default(),
            failures: 0,
        }
    }

    /// The reading that counts.
    pub fn term(&self) -> Term {
        Term {
            number: self.term.load(Ordering::Acquire),
            current: Arc::clone(&self.term),
        }
    }

    /// Ends the reading under way.
    pub fn end_term(&self) -> Term {
        self.term.fetch_add(1, Ordering::AcqRel);
        self.term()
    }

    /// Whether this process may lead, as far as it knows.
    pub fn may_lead(&self) -> bool {
        self.stand.as_ref().is_some_and(Stand::is_held)
    }
}
