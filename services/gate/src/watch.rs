//! Recorded verdicts from a position of the journal on, as far as the journal goes or for ever.
//!
//! A position is the address of a record. One that lies inside a record is continued at the next
//! one, so "one more than the last position seen" goes on right behind it.

use std::sync::Arc;
use std::time::Duration;

use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::records::kind;
use creditgate_proto::v1;
use creditgate_runtime::callers::{Caller, Permission, Standing};
use creditgate_runtime::journal::{Journal, Position, ReadError};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::check::unreadable;
use crate::failure::Failure;
use crate::gate::{Gate, Inner};
use crate::records;

/// Verdicts read ahead of the reader.
const AHEAD: usize = 256;

/// Records looked at in one go, on a thread that may block.
const LOOKED_AT: usize = 4_096;

/// The head moves thousands of times a second; a follower need not wake for each.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) type Verdicts = ReceiverStream<Result<v1::WatchVerdictsResponse, Status>>;

impl Gate {
    /// Streams recorded verdicts, as far as they are the reader's to read.
    pub(crate) fn watch(&self, request: v1::WatchVerdictsRequest, reader: Caller) -> Verdicts {
        let (sender, verdicts) = mpsc::channel(AHEAD);
        tokio::spawn(pump(Arc::clone(&self.inner), request, reader, sender));
        ReceiverStream::new(verdicts)
    }
}

async fn pump(
    inner: Arc<Inner>,
    request: v1::WatchVerdictsRequest,
    reader: Caller,
    sender: mpsc::Sender<Result<v1::WatchVerdictsResponse, Status>>,
) {
    let request = Arc::new(request);
    let mut standing = Standing::new(reader, Permission::Watch);
    let mut head = inner.records.journal().subscribe();
    let mut next = From::Asked(request.from_position);
    loop {
        head.mark_unchanged();
        let wanted = match standing.still() {
            Ok(reader) => Wanted {
                request: Arc::clone(&request),
                reader: reader.clone(),
            },
            Err(ended) => {
                let _ = sender.send(Err(ended.status())).await;
                return;
            }
        };
        let records = Arc::clone(&inner.records);
        let read =
            tokio::task::spawn_blocking(move || read(records.journal(), next, &wanted)).await;
        let found = match read {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                let _ = sender.send(Err(unreadable(error).status())).await;
                return;
            }
            Err(_) => {
                let _ = sender.send(Err(Failure::Internal.status())).await;
                return;
            }
        };
        for one in found.verdicts {
            if sender.send(Ok(one)).await.is_err() {
                return;
            }
        }
        next = From::Record(found.next);
        if !found.at_head {
            continue;
        }
        if !request.follow {
            return;
        }
        tokio::select! {
            () = inner.admission.closed() => {
                let _ = sender.send(Err(Failure::ShuttingDown.status())).await;
                return;
            }
            () = sender.closed() => return,
            ended = standing.ended() => {
                let _ = sender.send(Err(ended.status())).await;
                return;
            }
            changed = head.changed() => if changed.is_err() {
                return;
            },
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Where to read on.
#[derive(Clone, Copy)]
enum From {
    /// At the first record that does not begin before this.
    Asked(u64),
    /// At the beginning of this record.
    Record(Position),
}

struct Found {
    verdicts: Vec<v1::WatchVerdictsResponse>,
    next: Position,
    at_head: bool,
}

/// Reads a stretch. Blocks.
fn read(journal: &Journal, from: From, wanted: &Wanted) -> Result<Found, records::Error> {
    let start = match from {
        From::Record(position) => position,
        From::Asked(position) => boundary(journal, position)?,
    };
    let mut reader = journal.read_from(start);
    let mut verdicts = Vec::new();
    let mut at_head = false;
    for _ in 0..LOOKED_AT {
        let Some(record) = reader.next().transpose()? else {
            at_head = true;
            break;
        };
        if record.kind != kind::VERDICT {
            continue;
        }
        let position = record.position;
        let record = VerdictRecord::decode(record.payload)
            .map_err(|source| records::Error::Record(position, source))?;
        if let Some(verdict) = wanted.of(record) {
            verdicts.push(v1::WatchVerdictsResponse {
                position: position.0,
                verdict: Some(verdict),
            });
            if verdicts.len() >= AHEAD {
                break;
            }
        }
    }
    Ok(Found {
        verdicts,
        next: reader.position(),
        at_head,
    })
}

/// The first beginning of a record that is not before the position; at most the head.
pub(crate) fn boundary(journal: &Journal, position: u64) -> Result<Position, ReadError> {
    let head = journal.head().next_position;
    if position == 0 || position >= head.0 {
        return Ok(Position(position.min(head.0)));
    }
    if journal.read_at(Position(position)).is_ok() {
        return Ok(Position(position));
    }
    let mut behind = journal.read_from(Position(position - 1));
    if let Some(Ok(_)) = behind.next() {
        return Ok(behind.position());
    }
    // Any other place: nothing tells where a record begins but the records before it.
    let mut from_the_first = journal.read_from(Position(0));
    while from_the_first.position().0 < position {
        if from_the_first.next().transpose()?.is_none() {
            break;
        }
    }
    Ok(from_the_first.position())
}

/// What is looked for, and by whom.
struct Wanted {
    request: Arc<v1::WatchVerdictsRequest>,
    reader: Caller,
}

impl Wanted {
    /// The verdict of a record, if it is asked for and the reader's to read.
    fn of(&self, record: VerdictRecord) -> Option<v1::Verdict> {
        let mut verdict = record
            .verdict
            .filter(|verdict| passes(verdict, &self.request))?;
        let event = record.event.as_ref();
        if !self.reader.deals_with(event) {
            return None;
        }
        self.reader.show(&mut verdict, event);
        Some(verdict)
    }
}

fn passes(verdict: &v1::Verdict, wanted: &v1::WatchVerdictsRequest) -> bool {
    let fits = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
    fits(&wanted.scenario, &verdict.scenario)
        && fits(&wanted.stage, &verdict.stage)
        && fits(&wanted.case_id, &verdict.case_id)
        && fits(&wanted.source, &verdict.source)
        && (wanted.outcomes.is_empty() || wanted.outcomes.contains(&verdict.outcome))
}
