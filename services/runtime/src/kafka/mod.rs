//! Kafka: the only code that knows rdkafka.
//!
//! [`Cluster`] makes every client, so that what exactly once rests on is set in one place.
//! [`topics`] are made or checked, a [`Reader`] follows a topic from where it is told, a
//! [`Writer`] writes whole transactions, a [`Sender`] single records, a [`group`] shares the
//! partitions of a topic among processes, and a [`Lease`] says which of them may lead. Readers see
//! committed records only. What the records of our topics hold stands in [`message`]; one that is not
//! taken becomes a [`letter`]. What the writers of verdicts have come to stands in a [`chain`] for each. An [`InProcessBroker`] stands in for a cluster where nothing has to last.

pub mod chain;
mod client;
mod error;
pub mod group;
mod in_process;
mod lease;
pub mod letter;
pub mod message;
mod reader;
mod record;
mod sender;
pub mod topics;
mod writer;

pub use client::{Cluster, OWN_SETTINGS};
pub use error::Error;
pub use group::Group;
pub use in_process::InProcessBroker;
pub use lease::Lease;
pub use reader::{Read, Reader};
pub use record::{Incoming, Outgoing};
pub use sender::Sender;
pub use topics::Topic;
pub use writer::{Offsets, Unwritten, Writer};
