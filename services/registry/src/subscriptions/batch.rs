//! What is sent at once: the next changes that a subscription wants, as CloudEvents.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use creditgate_measures::time::Time;
use creditgate_proto::changes::change_event;
use creditgate_proto::encode::time_from_proto;
use creditgate_runtime::live::Generation;

use crate::error::Error;
use crate::follow::{Filter, read};
use crate::log::ChangeLog;

/// Records read in one go; then it is looked whether anything has changed.
const RECORDS_AT_ONCE: u64 = 20_000;

/// The next changes that are wanted.
#[derive(Debug)]
pub(super) struct Batch {
    /// The first of them; none: nothing is wanted before `next`.
    pub first: Option<Sent>,
    /// Number of the last one.
    pub last: u64,
    /// How many.
    pub changes: usize,
    /// The body of the request.
    pub body: Bytes,
    /// Where to read on.
    pub next: u64,
}

/// A change that is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// Its number.
    pub seq: u64,
    /// When it was recorded.
    pub at: Time,
}

/// Reads the next changes. One that is larger than `bytes_max` goes alone. Blocks on the disk.
///
/// # Errors
/// When the log cannot be read, or a change cannot be written.
pub(super) fn next(
    log: &ChangeLog,
    live: &Arc<Generation>,
    filter: &Filter,
    span: (u64, u64),
    (changes_max, bytes_max): (usize, usize),
) -> Result<Batch, Error> {
    let wanted = filter.with(&live.book);
    let mut body = String::from("[");
    let (mut first, mut last, mut changes) = (None, 0, 0);
    let mut unwritten = None;
    let mut take = |change: creditgate_proto::v1::WatchEntriesResponse| {
        let event = match change_event(log.log_id(), &change) {
            Ok(event) => event,
            Err(_) => {
                unwritten = Some(change.seq);
                return ControlFlow::Break(());
            }
        };
        if changes == changes_max || (changes > 0 && body.len() + event.len() + 2 > bytes_max) {
            return ControlFlow::Break(());
        }
        if changes > 0 {
            body.push(',');
        }
        body.push_str(&event);
        changes += 1;
        last = change.seq;
        let at = change.recorded_at.as_ref().and_then(time_from_proto);
        first.get_or_insert(Sent {
            seq: change.seq,
            at: at.unwrap_or(Time::from_micros(0)),
        });
        ControlFlow::Continue(())
    };
    let next = read(log, span, RECORDS_AT_ONCE, &wanted, &live.lists, &mut take)?;
    if let Some(sequence) = unwritten {
        let reason = "it cannot be written as JSON";
        return Err(Error::Record { sequence, reason });
    }
    body.push(']');
    Ok(Batch {
        first,
        last,
        changes,
        body: body.into(),
        next,
    })
}
