//! The change log on Kafka: the topic is the truth, the local log a copy that can be thrown away.
//!
//! One registry leads: what it records goes to the topic in a transaction, then into its copy, and
//! only then to the lists. Everybody else follows: what comes from the topic is proven ([`place`]),
//! copied and published. Whatever reads the log, reads the copy and knows nothing of this. Of the
//! followers some stand by: one of them leads when the one that leads is gone ([`turn`]).

mod fault;
mod follow;
mod keep;
mod lead;
mod open;
mod place;
mod record;
mod stand;
mod turn;

use creditgate_runtime::kafka::{self, Cluster, Incoming};
use creditgate_runtime::metrics::ListsRole;

pub use fault::Fault;
pub(crate) use follow::Follower;
pub(crate) use keep::{Recorded, book_of};
pub(crate) use lead::Leader;
pub use open::Error;
pub(crate) use open::{Opened, open};
pub(crate) use turn::refused_for;

/// Where the change log is, besides this directory.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The cluster with the topic.
    pub cluster: Cluster,
    /// Whether this process may be the one registry that leads; else it only follows.
    pub may_lead: bool,
}

/// Where records become true.
#[derive(Debug)]
pub(crate) enum Source {
    /// In the local log.
    Embedded,
    /// On the topic, written by this process.
    Leads(Box<Leader>),
    /// On the topic, written by another one.
    Follows(Box<Follower>),
}

/// What the loop that owns the lists is told of the topic.
#[derive(Debug)]
pub(crate) enum News {
    /// A reading, by the number of its term, came upon this.
    Read(u64, Found),
    /// Time to read on.
    FollowOn(u64),
    /// Time to find out what the topic holds, after it was not confirmed.
    Settle,
    /// Whether this process may lead was decided.
    Lease(bool),
    /// Time to try to lead again.
    TakeOver,
}

/// What a reading came upon.
#[derive(Debug)]
pub(crate) enum Found {
    /// Records.
    Arrived(Vec<Incoming>),
    /// Everything the topic has is here.
    Complete,
    /// The topic cannot be read on.
    Lost(kafka::Error),
}

impl Source {
    /// What this process is to the lists.
    pub const fn role(&self) -> ListsRole {
        match self {
            Self::Embedded => ListsRole::Embedded,
            Self::Leads(_) => ListsRole::Leads,
            Self::Follows(follower) => follower.role(),
        }
    }
}

#[cfg(test)]
mod tests;
