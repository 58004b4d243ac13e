//! `POST /v1/check`: an event in JSON or protobuf, and its verdict in the same.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use creditgate_proto::{cloudevents, json, v1};
use creditgate_runtime::callers::{Caller, Permission};
use creditgate_runtime::metrics::Transport;
use prost::Message as _;
use serde::Serialize;
use tokio::time::Instant;

use crate::Options;
use crate::admit::admit;
use crate::intake::{self, Early, Payload};
use crate::judge::{Judged, Trace, judge};
use crate::problem::{Kind, Problem};

pub(crate) async fn check(State(options): State<Arc<Options>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (caller, payload, event) = match receive(&options, &head, body).await {
        Ok(received) => received,
        Err(early) => return early.answer(&options.metrics, Transport::HttpCheck),
    };
    let trace = Trace::of(&head.headers);
    let deadline = Instant::now() + options.limits.check_timeout;
    let judged = judge(
        &options,
        event,
        caller,
        Transport::HttpCheck,
        &trace,
        deadline,
    )
    .await;
    answer(payload, judged)
}

async fn receive(
    options: &Options,
    head: &Parts,
    body: Body,
) -> Result<(Caller, Payload, v1::Event), Early> {
    let caller = admit(options, head, Permission::Check)?;
    // A body without a type is refused: a page in a browser could send one here without asking.
    let payload = Payload::named(&intake::media_type(head))
        .ok_or_else(|| intake::unsupported("application/json` or `application/protobuf"))?;
    let body = intake::read(&options.limits, head, body).await?;
    let event = match payload {
        Payload::Json => json::event_from_json(&body)?,
        Payload::Protobuf => cloudevents::event_from_protobuf(&body)?,
    };
    Ok((caller, payload, event))
}

fn answer(payload: Payload, judged: Judged) -> Response {
    let Judged { answer, trace } = judged;
    let response = match answer {
        Ok(answer) => written(payload, &answer),
        Err(status) => Problem::from(status).into_response(),
    };
    with_trace(response, &trace)
}

fn written(payload: Payload, answer: &v1::CheckResponse) -> Response {
    match payload {
        Payload::Json => json_response(payload.media_type(), answer),
        Payload::Protobuf => {
            let content_type = [(header::CONTENT_TYPE, payload.media_type())];
            (content_type, Bytes::from(answer.encode_to_vec())).into_response()
        }
    }
}

/// A message as JSON under this media type.
pub(crate) fn json_response(media_type: &'static str, message: &impl Serialize) -> Response {
    match serde_json::to_vec(message) {
        Ok(body) => ([(header::CONTENT_TYPE, media_type)], body).into_response(),
        Err(_) => unwritable(),
    }
}

/// The verdict is recorded, but holds what cannot be written, such as a time beyond the year 9999.
pub(crate) fn unwritable() -> Response {
    tracing::error!("a verdict could not be written");
    Problem::new(Kind::Internal, "the verdict could not be written").into_response()
}

/// The response with the trace context it was made in.
pub(crate) fn with_trace(mut response: Response, trace: &Trace) -> Response {
    insert_trace(response.headers_mut(), trace);
    response
}

fn insert_trace(headers: &mut HeaderMap, trace: &Trace) {
    for (name, text) in trace.pairs() {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
