//! A stream of checks: whatever has arrived makes one group, a few groups are under way at once,
//! and results leave in the order of the items.
//!
//! Flow control: a stream has at most [`GROUPS`] × [`GROUP_ITEMS`] items under way; beyond that it
//! is not read, and the sender feels it. Each group is a task of its own, since a reader who stops
//! reading must not hold up the slots that his items have claimed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use creditgate_proto::codec::is_unreadable;
use creditgate_proto::{Refused, v1};
use creditgate_runtime::callers::{Caller, Permission, Standing};
use creditgate_runtime::journal::Receipt;
use creditgate_runtime::metrics::Transport;
use futures::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::{Instrument, Span};

use crate::batch::Item;
use crate::check::{Answer, Arrival, LateLists};
use crate::failure::Failure;
use crate::gate::{Gate, Inner};

/// Items of one group at most.
const GROUP_ITEMS: usize = 128;

/// Groups under way at most, besides the one that is being read and the one that is being sent.
const GROUPS: usize = 2;

/// Longest wait of an item for a list version: those behind it wait too.
const LISTS_WAIT: Duration = Duration::from_millis(200);

const CORRELATION_CHARS_MAX: usize = 128;

/// The answers of a stream.
pub(crate) type Responses =
    Pin<Box<dyn Stream<Item = Result<v1::CheckStreamResponse, Status>> + Send>>;

type Group = JoinHandle<Vec<v1::CheckStreamResponse>>;

impl Gate {
    /// Judges events as they come.
    pub(crate) fn answer_stream(
        &self,
        requests: impl Stream<Item = Result<v1::CheckStreamRequest, Status>> + Send + Unpin + 'static,
        caller: Caller,
        span: Span,
    ) -> Responses {
        let (groups, in_order) = mpsc::channel::<Result<Group, Status>>(GROUPS);
        tokio::spawn(read(Arc::clone(&self.inner), requests, caller, groups).instrument(span));
        let responses = ReceiverStream::new(in_order).then(|group| async {
            match group {
                Ok(group) => match group.await {
                    Ok(responses) => responses.into_iter().map(Ok).collect(),
                    Err(_) => vec![Err(Failure::Internal.status())],
                },
                Err(status) => vec![Err(status)],
            }
        });
        Box::pin(responses.flat_map(stream::iter))
    }
}

/// Reads requests until they end, the reader leaves, the gate closes, or the caller may not go on.
async fn read(
    inner: Arc<Inner>,
    mut requests: impl Stream<Item = Result<v1::CheckStreamRequest, Status>> + Unpin,
    caller: Caller,
    groups: mpsc::Sender<Result<Group, Status>>,
) {
    let mut standing = Standing::new(caller, Permission::Check);
    loop {
        // Room for the result first: without it nothing is read.
        let place = tokio::select! {
            biased;
            () = inner.admission.closed() => return,
            ended = standing.ended() => {
                let _ = groups.send(Err(ended.status())).await;
                return;
            }
            place = groups.reserve() => place,
        };
        let Ok(place) = place else {
            return;
        };
        let first = tokio::select! {
            biased;
            () = inner.admission.closed() => return,
            ended = standing.ended() => {
                place.send(Err(ended.status()));
                return;
            }
            first = requests.next() => first,
        };
        let (group, end) = gather(first, &mut requests, &inner, standing.caller()).await;
        if !group.items.is_empty() {
            let room = inner.admit_group(group.items.len()).await;
            let group = check(Arc::clone(&inner), group, room);
            place.send(Ok(tokio::spawn(group.in_current_span())));
        }
        match end {
            None => {}
            Some(Ok(())) => return,
            Some(Err(status)) => {
                // A reader who left has no use for it.
                let _ = groups.send(Err(status)).await;
                return;
            }
        }
    }
}

#[derive(Default)]
struct Gathered {
    items: Vec<Item>,
    correlations: Vec<String>,
}

/// The first request and whatever stands behind it already; and how the stream ended, if it did.
async fn gather(
    first: Option<Result<v1::CheckStreamRequest, Status>>,
    requests: &mut (impl Stream<Item = Result<v1::CheckStreamRequest, Status>> + Unpin),
    inner: &Inner,
    caller: &Caller,
) -> (Gathered, Option<Result<(), Status>>) {
    let mut group = Gathered::default();
    let mut next = first;
    loop {
        match next {
            None => return (group, Some(Ok(()))),
            Some(Err(status)) => return (group, Some(Err(status))),
            Some(Ok(request)) => group.push(request, inner, caller),
        }
        if group.items.len() >= GROUP_ITEMS {
            return (group, None);
        }
        let ready = std::future::poll_fn(|context| {
            Poll::Ready(match requests.poll_next_unpin(context) {
                Poll::Ready(next) => Some(next),
                Poll::Pending => None,
            })
        });
        match ready.await {
            Some(ready) => next = ready,
            None => return (group, None),
        }
    }
}

impl Gathered {
    fn push(&mut self, request: v1::CheckStreamRequest, inner: &Inner, caller: &Caller) {
        let transport = Transport::GrpcStream;
        let pending = inner.metrics.received(transport);
        let unreadable = is_unreadable(&request);
        let v1::CheckStreamRequest {
            event,
            mut correlation,
        } = request;
        let too_long = correlation.chars().nth(CORRELATION_CHARS_MAX).is_some();
        let item = match event {
            _ if unreadable => {
                correlation.clear();
                Item::Refused(
                    Refused::one("message", "not readable as Protobuf").into(),
                    pending,
                )
            }
            _ if correlation.contains('\0') => {
                correlation.clear();
                Item::Refused(
                    Refused::one("correlation", "no zero characters").into(),
                    pending,
                )
            }
            _ if too_long => {
                let rule = format!("at most {CORRELATION_CHARS_MAX} characters");
                Item::Refused(Refused::one("correlation", rule).into(), pending)
            }
            None => Item::Refused(Refused::one("event", "required").into(), pending),
            Some(event) => {
                let arrival = Arrival {
                    event,
                    caller: caller.clone(),
                    transport,
                    lists_until: pending.started() + LISTS_WAIT,
                    late_lists: LateLists::Refuse,
                };
                Item::Arrived(Box::new(arrival), pending)
            }
        };
        self.items.push(item);
        self.correlations
            .push(if too_long { String::new() } else { correlation });
    }
}

async fn check(
    inner: Arc<Inner>,
    group: Gathered,
    room: Result<crate::admission::Room, Failure>,
) -> Vec<v1::CheckStreamResponse> {
    let results = inner.check_group(group.items, room).await;
    results
        .into_iter()
        .zip(group.correlations)
        .map(|(result, correlation)| v1::CheckStreamResponse {
            result: Some(result_to_proto(result)),
            correlation,
        })
        .collect()
}

/// A receipt as messages bear it: empty where there is none.
pub(crate) fn receipt_to_proto(receipt: Option<Receipt>) -> String {
    receipt.map_or_else(String::new, |receipt| receipt.to_string())
}

/// What became of an item, as a message.
pub(crate) fn result_to_proto(result: Result<Answer, Failure>) -> v1::CheckResult {
    use v1::check_result::Result as Outcome;

    match result {
        Ok(answer) => v1::CheckResult {
            repeated: answer.repeated(),
            receipt: receipt_to_proto(answer.receipt),
            result: Some(Outcome::Verdict(answer.told())),
        },
        Err(failure) => v1::CheckResult {
            repeated: false,
            receipt: String::new(),
            result: Some(Outcome::Error(failure.item())),
        },
    }
}
