//! The change log on Kafka: the topic is the truth, the local log a copy that can be thrown away.
//!
//! One registry leads: what it records goes to the topic in a transaction, then into its copy, and
//! only then to the lists. Everybody else follows: what comes from the topic is proven ([`place`]),
//! copied and published. Whatever reads the log, reads the copy and knows nothing of this.

mod fault;
mod follow;
mod keep;
mod lead;
mod open;
mod place;
mod record;

use creditgate_runtime::kafka::Cluster;

pub use fault::Fault;
pub(crate) use follow::{Follower, start};
pub(crate) use keep::{Recorded, book_of};
pub(crate) use lead::Leader;
pub use open::Error;
pub(crate) use open::{Opened, open};

/// Where the change log is, besides this directory.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The cluster with the topic.
    pub cluster: Cluster,
    /// Whether this process is the one registry; else it follows.
    pub leads: bool,
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

#[cfg(test)]
mod tests;
