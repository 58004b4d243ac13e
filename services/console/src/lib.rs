//! HTTP: check as JSON, CloudEvents, health and metrics.
//!
//! An event comes in over `/v1/events` or `/v1/check`, its caller is admitted, its body read, and whoever stands behind
//! [`Check`] judges it; the answer has the form the event came in, and what goes wrong is a problem of RFC 9457. This
//! crate decides nothing, keeps nothing, and writes nothing of an event into logs.

mod admit;
mod check;
mod events;
mod feedback;
mod intake;
mod judge;
mod pages;
mod problem;
mod server;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use creditgate_runtime::callers::Callers;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::live::Live;
use creditgate_runtime::metrics::Metrics;
use creditgate_runtime::ports::{Check, Reports};
use creditgate_runtime::tls::Tls;

pub use server::serve;

/// What the HTTP role needs of the others.
pub struct Options {
    /// Judges events.
    pub check: Arc<dyn Check>,
    /// Keeps reports of measures carried out.
    pub reports: Arc<dyn Reports>,
    /// Who may call.
    pub callers: Callers,
    /// What is counted, and shown at `/metrics`.
    pub metrics: Metrics,
    /// Which components can serve, shown at `/readyz`.
    pub readiness: Readiness,
    /// The lists and the book in use; `/readyz` names their versions.
    pub live: Live,
    /// What this service shows of itself; none: in clear.
    pub tls: Option<Tls>,
    /// How much and how long.
    pub limits: Limits,
}

/// How much a request may bring, and how long each part of it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a body.
    pub body_bytes_max: usize,
    /// Most bytes of a request line with its headers.
    pub header_bytes_max: usize,
    /// Most connections at once; more wait to be accepted.
    pub connections_max: usize,
    /// Time for the request line and the headers, and for the next request of a connection to begin.
    pub header_timeout: Duration,
    /// Time for a body to arrive.
    pub body_timeout: Duration,
    /// Time for the answer, once the body is there.
    pub check_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 20,
            header_bytes_max: 16 << 10,
            connections_max: 1_024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            check_timeout: Duration::from_secs(10),
        }
    }
}

/// One route, as the index page and the OpenAPI description name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
}

/// Every route there is; a test compares them with the router and the OpenAPI description.
pub const ROUTES: &[Route] = &[
    route("POST", "/v1/check", "judge one event, JSON or protobuf"),
    route(
        "POST",
        "/v1/events",
        "judge CloudEvents: binary, structured or batched",
    ),
    route(
        "POST",
        "/v1/feedback",
        "report how a measure was carried out",
    ),
    route("GET", "/healthz", "whether the process is alive"),
    route("GET", "/readyz", "whether it can serve, and why not"),
    route("GET", "/metrics", "numbers in OpenMetrics text"),
    route("GET", "/openapi.json", "this interface as OpenAPI"),
    route("GET", "/", "this page"),
];

const fn route(method: &'static str, path: &'static str, summary: &'static str) -> Route {
    Route {
        method,
        path,
        summary,
    }
}

/// The routes with everything behind them. The address of the peer is expected as the request extension
/// [`axum::extract::ConnectInfo`]; without one a caller is taken to be on another machine.
pub fn router(options: Options) -> Router {
    Router::new()
        .route("/v1/check", post(check::check))
        .route("/v1/events", post(events::events))
        .route("/v1/feedback", post(feedback::feedback))
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .route("/metrics", get(pages::metrics))
        .route("/openapi.json", get(pages::openapi))
        .route("/", get(pages::index))
        .fallback(pages::no_such_route)
        .method_not_allowed_fallback(pages::method_not_allowed)
        .layer(middleware::from_fn(never_kept))
        .with_state(Arc::new(options))
}

/// Answers name companies and persons, and every one of them can be another a moment later: no cache keeps any.
async fn never_kept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
