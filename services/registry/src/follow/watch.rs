//! The stream of changes for one watcher.

use std::ops::ControlFlow;

use creditgate_proto::{status, v1};
use creditgate_runtime::access::Sees;
use creditgate_runtime::callers::Standing;
use tokio::sync::mpsc;
use tonic::Status;

use super::{Filter, read};
use crate::registry::Registry;
use crate::seen;

/// Records read in one go: after so many it is looked whether anybody still watches.
const RECORDS_AT_ONCE: u64 = 50_000;

/// Sends the changes that the watcher sees, from a number on, until the end of the log, or for ever, as long as it may see
/// them. What it sees (`began`: when it was let in) is looked up anew whenever it is read again who may call.
pub(crate) async fn watch(
    registry: Registry,
    (from_seq, follow): (u64, bool),
    filter: Filter,
    began: Sees,
    mut standing: Standing,
    out: mpsc::Sender<Result<v1::WatchEntriesResponse, Status>>,
) {
    let mut from = from_seq.max(1);
    // What is published is durable, and what is sent has been published.
    let mut published = registry.live().follow();
    loop {
        let up_to = *published.borrow_and_update();
        while from <= up_to {
            if out.is_closed() {
                return;
            }
            let sees = match standing.still() {
                Ok(watcher) => watcher.still_sees(&began),
                Err(ended) => {
                    let _ = out.send(Err(ended.status())).await;
                    return;
                }
            };
            let (log, live, sender) = (
                registry.past().log().clone(),
                registry.live().load_full(),
                out.clone(),
            );
            let wanted = filter.with(&live.book);
            let reading = tokio::task::spawn_blocking(move || {
                let mut send = |change| {
                    let Some(change) = seen::watched(&sees, change) else {
                        return ControlFlow::Continue(());
                    };
                    match sender.blocking_send(Ok(change)) {
                        Ok(()) => ControlFlow::Continue(()),
                        Err(_) => ControlFlow::Break(()),
                    }
                };
                let span = (from, up_to);
                read(&log, span, RECORDS_AT_ONCE, &wanted, &live.lists, &mut send)
            });
            match reading.await {
                // A record that is published and cannot be read is a fault of the log.
                Ok(Ok(next)) if next > from => from = next,
                Ok(Ok(_)) => return,
                Ok(Err(error)) => {
                    let _ = out.send(Err(log_unreadable(&error))).await;
                    return;
                }
                Err(_) => return,
            }
        }
        if !follow {
            return;
        }
        tokio::select! {
            () = out.closed() => return,
            ended = standing.ended() => {
                let _ = out.send(Err(ended.status())).await;
                return;
            }
            () = registry.ended() => {
                let stopping = status::unavailable_status("stopping", "the registry has stopped");
                let _ = out.send(Err(stopping)).await;
                return;
            }
            changed = published.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

pub(crate) fn log_unreadable(error: &crate::error::Error) -> Status {
    tracing::error!(
        error = %creditgate_runtime::errors::Chain(error),
        "the change log could not be read"
    );
    status::unavailable_status("change_log", "the change log could not be read")
}
