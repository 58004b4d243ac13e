//! The small pages: alive, ready, numbers, what there is, and where there is nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use creditgate_runtime::callers::Permission;
use creditgate_runtime::health::Snapshot;
use creditgate_runtime::metrics;
use serde::Serialize;

use crate::admit::{admit, is_local};
use crate::problem::{Kind, Problem};
use crate::{Options, ROUTES};

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
const TEXT: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];

/// Readiness with the versions that answers rest on now.
#[derive(Serialize)]
struct Ready {
    #[serde(flatten)]
    snapshot: Snapshot,
    #[serde(skip_serializing_if = "Option::is_none")]
    lists_role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cases_role: Option<&'static str>,
    list_version: String,
    book_version: String,
}

/// It answers, so it is alive.
pub(crate) async fn healthz() -> Response {
    (JSON, r#"{"status":"ok"}"#).into_response()
}

/// Lists that were never imported keep nothing from being ready: verdicts name them.
pub(crate) async fn readyz(State(options): State<Arc<Options>>) -> Response {
    let snapshot = options.readiness.snapshot();
    let status = if snapshot.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let generation = options.live.load();
    let ready = Ready {
        snapshot,
        lists_role: options.metrics.lists_role().map(metrics::ListsRole::label),
        cases_role: options.metrics.cases_role().map(metrics::CasesRole::label),
        list_version: generation.lists.version().to_string(),
        book_version: generation.book.version().to_string(),
    };
    let body = serde_json::to_vec(&ready).expect("texts and flags are always JSON");
    (status, JSON, body).into_response()
}

/// A scraper on this machine needs no key.
pub(crate) async fn metrics(State(options): State<Arc<Options>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    if !is_local(&head)
        && let Err(early) = admit(&options, &head, Permission::Read)
    {
        return early.problem.into_response();
    }
    let content_type = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
    (content_type, options.metrics.render()).into_response()
}

pub(crate) async fn openapi() -> Response {
    (JSON, include_str!("openapi.json")).into_response()
}

pub(crate) async fn index(State(options): State<Arc<Options>>) -> Response {
    let version = options.metrics.build().version;
    let mut page = format!(
        "creditgate {version}\n公共信用核查中间件 · checks of public credit: an event in, a lawful verdict out.\n\n"
    );
    for route in ROUTES {
        // Writing into a string cannot fail.
        let _ = writeln!(
            page,
            "{:<5} {:<14} {}",
            route.method, route.path, route.summary
        );
    }
    (TEXT, page).into_response()
}

pub(crate) async fn no_such_route() -> Problem {
    Problem::new(Kind::NoSuchRoute, "`/` names the routes there are")
}

pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "`allow` names the methods it takes")
}
