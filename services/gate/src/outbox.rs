//! Synchronous checks where Kafka keeps the journal: a verdict is on its topics before it is answered.
//!
//! The verdict goes first and its case state after it. Should the process end in between, the
//! event is decided again when it is asked again: the verdict is there twice under one id, which
//! every reader recognises, and never missing.

use std::time::Duration;

use creditgate_proto::v1;
use creditgate_runtime::config::VerdictData;
use creditgate_runtime::kafka::{self, Cluster, Sender, Topic, message};
use futures::future::try_join_all;

use crate::check::Decided;

/// Time for all copies in sync to have a record.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);

/// The largest record of the case state, with room for its key and headers.
const RECORD_BYTES_MAX: usize = 15 << 20;

/// See the module.
pub(crate) struct Outbox {
    sender: Sender,
    data: VerdictData,
}

impl Outbox {
    pub(crate) fn open(cluster: &Cluster) -> Result<Self, kafka::Error> {
        Ok(Self {
            sender: Sender::open(cluster, CONFIRMED_WITHIN)?,
            data: cluster.settings().verdict_data,
        })
    }

    /// Returns when the verdict and its record are durable on their topics.
    pub(crate) async fn publish(
        &self,
        verdict: &v1::Verdict,
        record: &[u8],
    ) -> Result<(), kafka::Error> {
        if record.len() > RECORD_BYTES_MAX {
            // Known beforehand, or each repeat would leave another verdict without its record.
            return Err(kafka::Error::TooLarge {
                topic: Topic::CaseState.suffix().to_owned(),
            });
        }
        let outgoing = message::verdict(verdict, self.data, &[], None)?;
        // Where the key led the verdict, the state of its case goes too.
        let partition = self.sender.send(&outgoing).await?;
        let state = message::case_state(verdict, record, partition);
        self.sender.send(&state).await?;
        Ok(())
    }

    /// The same for several; the first that fails fails all.
    pub(crate) async fn publish_all(
        &self,
        decided: &[(usize, Box<Decided>)],
    ) -> Result<(), kafka::Error> {
        let each = decided
            .iter()
            .map(|(_, one)| self.publish(&one.answer.verdict, &one.draft.record.payload));
        try_join_all(each).await.map(|_| ())
    }
}
