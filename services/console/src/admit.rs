//! Who calls, and whether they may: by bearer key, token or certificate, or by being on this machine.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::header;
use axum::http::request::Parts;
use axum::http::uri::{Authority, PathAndQuery};
use creditgate_runtime::callers::{Caller, Permission, Refused, Shown};
use creditgate_runtime::metrics::Refusal;
use creditgate_runtime::tls::Certificate;

use crate::Options;
use crate::intake::Early;
use crate::problem::{Kind, Problem};

/// Headers that only a proxy sends; behind one the address of the peer says nothing of the caller's.
const PROXIED: [&str; 4] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
];

/// The caller, when they are known and may do this.
pub(crate) fn admit(
    options: &Options,
    head: &Parts,
    permission: Permission,
) -> Result<Caller, Early> {
    // A value that is no text is no key; it must not pass for none.
    let authorization = head
        .headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default());
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
    let path = head.uri.path_and_query().cloned();
    let call = options.callers.call(
        peer.map(|ConnectInfo(peer)| peer.ip()),
        path.unwrap_or_else(|| PathAndQuery::from_static("/")),
    );
    let shown = Shown {
        authorization,
        // A proxy's own certificate would speak for everybody behind it.
        certificate: head
            .extensions
            .get::<Certificate>()
            .filter(|_| !is_proxied(head)),
        is_local: is_local(head),
        call: Some(&call),
    };
    let caller = options
        .callers
        .authenticate(&shown)
        .map_err(|refused| unrecognised(refused, head))?;
    match caller.permit(permission) {
        Ok(()) => Ok(caller),
        Err(refused) => Err(Early {
            reason: Refusal::Forbidden,
            problem: Problem::new(Kind::PermissionDenied, refused.to_string()),
        }),
    }
}

/// Whether the request was made on this machine, by somebody who meant this service.
///
/// The address alone does not say it: a reverse proxy on this machine, or a browser here that was led to us by a page
/// whose name was pointed at 127.0.0.1, come from loopback too. Both show in the headers.
pub(crate) fn is_local(head: &Parts) -> bool {
    peer_is_loopback(head) && !is_proxied(head) && names_this_machine(head)
}

fn is_proxied(head: &Parts) -> bool {
    PROXIED.iter().any(|name| head.headers.contains_key(*name))
}

fn peer_is_loopback(head: &Parts) -> bool {
    head.extensions
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback())
}

/// Whether the host asked for is an address or `localhost`; only other names can be pointed elsewhere. HTTP/1.0 asks for
/// none, and no browser speaks it.
fn names_this_machine(head: &Parts) -> bool {
    let Some(host) = head.headers.get(header::HOST) else {
        return true;
    };
    let authority = host.to_str().ok().and_then(|text| text.parse().ok());
    authority.is_some_and(|authority: Authority| {
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
    })
}

fn unrecognised(refused: Refused, head: &Parts) -> Early {
    let problem = match refused {
        // A key would change nothing, so none is asked for.
        Refused::NotLocal if peer_is_loopback(head) => Problem::new(
            Kind::PermissionDenied,
            "without a keys file only calls to `localhost` or an address, not through a proxy, are served",
        ),
        Refused::NotLocal => Problem::new(Kind::PermissionDenied, refused.to_string()),
        _ if refused.passes() => Problem::new(Kind::Unavailable, refused.to_string()),
        Refused::KeyMissing
        | Refused::NotBearer
        | Refused::KeyUnknown
        | Refused::CertificateUnknown
        | Refused::Token(_)
        | Refused::SubjectUnknown
        | Refused::TwoCallers => Problem::new(Kind::Unauthenticated, refused.to_string()),
    };
    Early {
        reason: Refusal::Unauthenticated,
        problem,
    }
}
