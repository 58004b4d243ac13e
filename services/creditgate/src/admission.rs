//! Who calls over gRPC: every request gets its caller, or is refused before anything reads it.

use creditgate_runtime::callers::{Callers, Refused, Shown};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::incoming::Peer;

/// Puts the caller into each request.
#[derive(Debug, Clone)]
pub struct Admission {
    callers: Callers,
}

impl Admission {
    /// Admits these callers.
    pub const fn new(callers: Callers) -> Self {
        Self { callers }
    }
}

impl Interceptor for Admission {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let peer = request.extensions().get::<Peer>();
        let is_local = peer.is_some_and(Peer::is_loopback);
        // A value that is no text is no key; it must not pass for none.
        let authorization = request
            .metadata()
            .get("authorization")
            .map(|value| value.to_str().unwrap_or_default());
        let certificate = peer.and_then(|peer| peer.certificate.as_ref());
        let shown = Shown {
            authorization,
            certificate,
            is_local,
        };
        match self.callers.authenticate(&shown) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Ok(request)
            }
            Err(refused @ Refused::NotLocal) => Err(Status::permission_denied(refused.to_string())),
            Err(refused) if refused.passes() => Err(Status::unavailable(refused.to_string())),
            Err(refused) => Err(Status::unauthenticated(refused.to_string())),
        }
    }
}
