//! Turns checks away before anything is spent on them, while there is more work than this process can do.
//!
//! Whoever is refused after the event was read has cost a good part of a verdict already. Here only the head of the call
//! is looked at, and the answer is ready made.
//!
//! To refuse over HTTP/2 is not for nothing either, so those who are turned away are asked to stay away for longer than
//! where only room lacked, and not all for the same time: else they would come back together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use creditgate_proto::status;
use creditgate_runtime::metrics::{Refusal, Transport};
use futures::future::{Either, Ready, ready};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use crate::gate::Gate;

/// The only call that is turned away here: senders of streams and batches are held back while room lacks, and what comes
/// over HTTP is read before.
const CHECK: &str = "/creditgate.v1.Gate/Check";

/// How long those who are turned away should wait, in turn.
const RETRY_MILLIS: [u64; 8] = [600, 1_300, 900, 1_100, 700, 1_400, 800, 1_200];

/// See the module.
#[derive(Debug, Clone)]
pub struct TurnAway<S> {
    inner: S,
    gate: Gate,
    answers: Arc<Answers>,
}

/// Each tells another time to wait.
#[derive(Debug)]
struct Answers {
    heads: [http::HeaderMap; RETRY_MILLIS.len()],
    given: AtomicUsize,
}

impl Answers {
    fn new() -> Self {
        let head = |millis| {
            let status = status::overloaded_status(Duration::from_millis(millis));
            status.into_http::<Body>().into_parts().0.headers
        };
        Self {
            heads: RETRY_MILLIS.map(head),
            given: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> http::HeaderMap {
        let given = self.given.fetch_add(1, Ordering::Relaxed);
        self.heads[given % self.heads.len()].clone()
    }
}

impl<S> TurnAway<S> {
    /// Stands before the service of this gate.
    #[must_use]
    pub fn before(inner: S, gate: Gate) -> Self {
        Self {
            inner,
            gate,
            answers: Arc::new(Answers::new()),
        }
    }
}

impl<S: NamedService> NamedService for TurnAway<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for TurnAway<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let gate = &self.gate.inner;
        if request.uri().path() != CHECK || gate.admission.in_time() {
            return Either::Left(self.inner.call(request));
        }
        let pending = gate.metrics.received(Transport::GrpcCheck);
        pending.refused(Refusal::Overloaded);
        let mut refused = http::Response::new(Body::empty());
        *refused.headers_mut() = self.answers.next();
        Either::Right(ready(Ok(refused)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Status;
    use tonic_types::StatusExt as _;

    #[test]
    fn those_turned_away_come_back_one_after_the_other() {
        let answers = Answers::new();
        let mut told: Vec<_> = (0..RETRY_MILLIS.len())
            .map(|_| {
                let status = Status::from_header_map(&answers.next()).expect("a status");
                assert_eq!(status.code(), tonic::Code::ResourceExhausted);
                let retry = status.get_details_retry_info().expect("a hint");
                retry.retry_delay.expect("a time").as_millis()
            })
            .collect();
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), RETRY_MILLIS.len());
    }
}
