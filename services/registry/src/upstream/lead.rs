//! The one writer of the topic.
//!
//! INVARIANT (one writer): the transactional id fences. Whoever took it over last writes, and has
//! read everything that was written before it did.

use std::time::Duration;

use creditgate_runtime::journal::NewRecord;
use creditgate_runtime::kafka::{self, Cluster, Outgoing, Unwritten};

use super::place::{Copy, Place};
use super::record::Sealed;

/// The transactional id, after the deployment's prefix.
const ID: &str = "registry";

/// See the module.
#[derive(Debug)]
pub(crate) struct Leader {
    pub cluster: Cluster,
    pub copy: Copy,
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
    /// Another process has taken over; this one must end.
    Fenced,
}

impl Leader {
    pub fn new(cluster: Cluster, writer: kafka::Writer, copy: Copy) -> Self {
        Self {
            cluster,
            copy,
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
