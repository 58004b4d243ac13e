//! The one writer of the topic.
//!
//! INVARIANT (one writer): the transactional id fences. Whoever took it over last writes, and has
//! read everything that was written before it did. One that was fenced has in its copy and its lists
//! only what was confirmed, so it may follow from there.

use std::time::Duration;

use creditgate_runtime::journal::NewRecord;
use creditgate_runtime::kafka::{self, Cluster, Outgoing, Unwritten};

use super::follow::{Follower, Following};
use super::place::{Copy, Place};
use super::record::Sealed;
use super::stand::Feed;

/// The transactional id, after the deployment's prefix.
const ID: &str = "registry";

/// See the module.
#[derive(Debug)]
pub(crate) struct Leader {
    pub copy: Copy,
    pub feed: Feed,
    writer: kafka::Writer,
    pub standing: Standing,
}

/// Whether this process may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may: the copy has all that the topic has.
    Settled,
    /// What the last transaction came to, or what stands on the topic, is to be found out first.
    Unsettled,
}

impl Leader {
    pub const fn new(writer: kafka::Writer, copy: Copy, feed: Feed) -> Self {
        Self {
            copy,
            feed,
            writer,
            standing: Standing::Settled,
        }
    }

    /// A writer that has fenced off every other and settled what they left open.
    pub fn take_over(cluster: &Cluster, patience: Duration) -> Result<kafka::Writer, kafka::Error> {
        let mut writer = kafka::Writer::new(cluster, ID);
        writer.renew(patience)?;
        Ok(writer)
    }

    /// Writes nothing any more, and follows from the last record that was confirmed.
    pub fn step_down(mut self) -> Follower {
        self.copy.fall_back();
        Follower {
            copy: self.copy,
            feed: self.feed,
            following: Following::Yes,
            troubled: false,
            has_led: true,
        }
    }

    /// Takes over again, after which the end of the last transaction is certain.
    pub fn renew(&mut self, patience: Duration) -> Result<(), kafka::Error> {
        self.writer.renew(patience)
    }

    /// Writes records to the topic, all or none, and gives the place after them.
    ///
    /// After an error the place is where they would end if they were written, so that reading on
    /// tells whether they were.
    pub fn write(&mut self, records: &[NewRecord]) -> (Place, Result<(), Unwritten>) {
        let mut end = self.copy.place().clone();
        let outgoing: Vec<Outgoing> = records
            .iter()
            .map(|record| {
                end.seq += 1;
                end.chain = end.chain.after(end.seq, record);
                Sealed {
                    log_id: end.log_id,
                    seq: end.seq,
                    chain: end.chain,
                    record: record.clone(),
                }
                .encode()
            })
            .collect();
        let written = self.writer.write(&outgoing);
        // Without an offset the address does not fit the number any more, and the topic is read from
        // its beginning at the next start.
        if let Some(last) = self.writer.last_offset().filter(|_| written.is_ok()) {
            end.offset = Some(last + 1);
        }
        (end, written)
    }
}
