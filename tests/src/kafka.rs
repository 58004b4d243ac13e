//! A real Kafka broker on free ports, and clients not ours that send events to it and account for them.
//!
//! A [`Broker`] has two addresses: a direct one, and one that leads through a [`Proxy`](crate::proxy::Proxy) which can
//! hold back the end of transactions. A [`Cluster`] is three of them, each behind [links](link) that can be as bad as a
//! network can be.

use std::process::Output;

mod broker;
mod clients;
mod cluster;
pub mod link;
mod records;

pub use broker::Broker;
pub use clients::{
    Account, DeadLetter, Ending, Invented, Reading, Sending, Sent, VerdictRecord, elect, kcat,
    members, send, send_as_one, send_messages, written,
};
pub use cluster::{Cluster, Node};
pub use records::{Envelope, Record, committed};

fn told(done: &Output) -> String {
    let [out, err] = [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{}\n{out}\n{err}", done.status)
}
