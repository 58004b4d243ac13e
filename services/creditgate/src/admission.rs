//! Who calls over gRPC: every request gets its caller, or is refused before anything reads it.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use creditgate_runtime::callers::{Caller, Callers, Refused, Shown};
use futures::future::{Either, Ready, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use crate::incoming::Peer;

/// Stands before a service and puts the caller into each request.
#[derive(Debug, Clone)]
pub struct Admitted<S> {
    inner: S,
    callers: Callers,
}

impl<S> Admitted<S> {
    /// The service, for these callers only.
    pub const fn new(inner: S, callers: Callers) -> Self {
        Self { inner, callers }
    }

    fn caller<B>(&self, request: &http::Request<B>) -> Result<Caller, Status> {
        let peer = request.extensions().get::<Peer>();
        // A value that is no text is no key; it must not pass for none.
        let authorization = request
            .headers()
            .get(http::header::AUTHORIZATION)
            .map(|value| value.to_str().unwrap_or_default());
        let call = self.callers.call(peer.map(Peer::ip), called(request.uri()));
        let shown = Shown {
            authorization,
            certificate: peer.and_then(|peer| peer.certificate.as_ref()),
            is_local: peer.is_some_and(Peer::is_loopback),
            call: Some(&call),
        };
        self.callers
            .authenticate(&shown)
            .map_err(|refused| match refused {
                Refused::NotLocal => Status::permission_denied(refused.to_string()),
                _ if refused.passes() => Status::unavailable(refused.to_string()),
                _ => Status::unauthenticated(refused.to_string()),
            })
    }
}

/// What is called, if the contract has it: anything else a caller may have made up.
fn called(uri: &http::Uri) -> PathAndQuery {
    static CONTRACT: LazyLock<HashSet<String>> = LazyLock::new(creditgate_proto::calls);
    match uri.path_and_query() {
        Some(path) if CONTRACT.contains(path.as_str()) => path.clone(),
        _ => PathAndQuery::from_static("/unknown"),
    }
}

impl<S: NamedService> NamedService for Admitted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Admitted<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        match self.caller(&request) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            Err(refused) => Either::Right(ready(Ok(refused.into_http()))),
        }
    }
}
