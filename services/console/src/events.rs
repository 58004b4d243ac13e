//! `POST /v1/events`: CloudEvents 1.0 in, and the verdict as a CloudEvent of the same mode out.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use creditgate_proto::cloudevents::{self, CloudEvent, STRUCTURED, VERDICT_SOURCE, VERDICT_TYPE};
use creditgate_proto::{BATCH_EVENTS_MAX, Refused, Violation, encode, status, v1};
use creditgate_runtime::callers::{Caller, Permission};
use creditgate_runtime::metrics::{Refusal, Transport};
use futures::StreamExt as _;
use prost::Message as _;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::Options;
use crate::admit::admit;
use crate::check::{json_response, unwritable, with_trace};
use crate::intake::{self, Early, Payload};
use crate::judge::{Judged, Trace, judge};
use crate::problem::{Kind, Problem};

/// The media type of a batch.
const BATCH: &str = "application/cloudevents-batch+json";
/// Checks of one batch that are under way at once: enough to share a sync to disk, few enough to leave others room.
const BATCH_AT_ONCE: usize = 64;

/// The way a CloudEvent lies in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Binary(Payload),
    Structured,
    Batched,
}

/// What came in.
enum Received {
    One(Mode, Box<CloudEvent>),
    Batch(Vec<Result<CloudEvent, Refused>>),
}

pub(crate) async fn events(State(options): State<Arc<Options>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (caller, received) = match receive(&options, &head, body).await {
        Ok(received) => received,
        Err(early) => return early.answer(&options.metrics, Transport::HttpEvents),
    };
    let deadline = Instant::now() + options.limits.check_timeout;
    let outer = Trace::of(&head.headers);
    match received {
        Received::One(mode, event) => answer(
            mode,
            judge_event(&options, *event, caller, &outer, deadline).await,
        ),
        Received::Batch(items) => {
            let results = judge_batch(&options, items, &caller, &outer, deadline).await;
            json_response("application/json", &v1::CheckBatchResponse { results })
        }
    }
}

async fn receive(options: &Options, head: &Parts, body: Body) -> Result<(Caller, Received), Early> {
    let caller = admit(options, head, Permission::Check)?;
    let mode = mode(head)?;
    let body = intake::read(&options.limits, head, body).await?;
    let received = match mode {
        Mode::Batched => Received::Batch(batch(&body)?),
        Mode::Binary(_) | Mode::Structured => {
            let event = cloudevents::from_message(attributes(&head.headers)?, &body)?;
            Received::One(mode, Box::new(event))
        }
    };
    Ok((caller, received))
}

fn mode(head: &Parts) -> Result<Mode, Early> {
    let media = intake::media_type(head);
    match media.as_str() {
        STRUCTURED => Ok(Mode::Structured),
        BATCH => Ok(Mode::Batched),
        // Without attributes in headers it is no CloudEvent; without a type they make it one of JSON.
        "" if head.headers.contains_key("ce-specversion") => Ok(Mode::Binary(Payload::Json)),
        other => Payload::named(other).map(Mode::Binary).ok_or_else(|| {
            intake::unsupported(
                "application/cloudevents+json`, `application/cloudevents-batch+json`, or \
                 with `ce-` headers `application/json` or `application/protobuf",
            )
        }),
    }
}

/// The headers that are part of a CloudEvent; each must stand once and be text. The trace context of the request stays
/// outside: taken in, its `tracestate` could end up beside an event's own `traceparent`.
fn attributes(headers: &HeaderMap) -> Result<Vec<(&str, &str)>, Refused> {
    let mut pairs = Vec::new();
    let mut violations = Vec::new();
    for name in headers.keys().map(HeaderName::as_str) {
        if name != "content-type" && !name.starts_with("ce-") {
            continue;
        }
        let mut values = headers.get_all(name).iter();
        let first = values
            .next()
            .map(|value| std::str::from_utf8(value.as_bytes()));
        match first {
            Some(Ok(text)) if values.next().is_none() => pairs.push((name, text)),
            Some(Ok(_)) => violations.push(Violation::new(name, "stands twice")),
            _ => violations.push(Violation::new(name, "not UTF-8")),
        }
    }
    Refused::unless_empty(violations)?;
    Ok(pairs)
}

fn batch(body: &[u8]) -> Result<Vec<Result<CloudEvent, Refused>>, Refused> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Refused::one("body", format!("not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    // The message of the JSON reader may quote the text, so only its place is told.
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Refused::one(
            "body",
            format!("not a JSON array of CloudEvents (line {line}, column {column})"),
        )
    })?;
    if items.len() > BATCH_EVENTS_MAX {
        let rule = format!("at most {BATCH_EVENTS_MAX} events, got {}", items.len());
        return Err(Refused::one("body", rule));
    }
    let event = |item: &RawValue| {
        cloudevents::from_message([("content-type", STRUCTURED)], item.get().as_bytes())
    };
    Ok(items.into_iter().map(event).collect())
}

/// The event's own trace context counts before that of the request.
async fn judge_event(
    options: &Options,
    event: CloudEvent,
    caller: Caller,
    outer: &Trace,
    deadline: Instant,
) -> Judged {
    let CloudEvent {
        event,
        traceparent,
        tracestate,
    } = event;
    let own = traceparent
        .is_some()
        .then(|| Trace::new(traceparent, tracestate));
    let trace = own.as_ref().unwrap_or(outer);
    judge(
        options,
        event,
        caller,
        Transport::HttpEvents,
        trace,
        deadline,
    )
    .await
}

/// One result for each event, in their order.
async fn judge_batch(
    options: &Options,
    items: Vec<Result<CloudEvent, Refused>>,
    caller: &Caller,
    outer: &Trace,
    deadline: Instant,
) -> Vec<v1::CheckResult> {
    let one = async |item: Result<CloudEvent, Refused>| match item {
        Ok(event) => {
            let judged = judge_event(options, event, caller.clone(), outer, deadline).await;
            result(judged.answer)
        }
        Err(refused) => {
            let received = options.metrics.received(Transport::HttpEvents);
            received.refused(Refusal::Invalid);
            failed(status::refused_item(&refused))
        }
    };
    let results = items.into_iter().map(one);
    futures::stream::iter(results)
        .buffered(BATCH_AT_ONCE)
        .collect()
        .await
}

fn result(answer: Result<v1::CheckResponse, tonic::Status>) -> v1::CheckResult {
    match answer {
        Ok(v1::CheckResponse {
            verdict,
            repeated,
            receipt,
        }) => v1::CheckResult {
            result: verdict.map(v1::check_result::Result::Verdict),
            repeated,
            receipt,
        },
        Err(status) => failed(status::item_error(&status)),
    }
}

fn failed(error: v1::ItemError) -> v1::CheckResult {
    v1::CheckResult {
        result: Some(v1::check_result::Result::Error(error)),
        repeated: false,
        receipt: String::new(),
    }
}

fn answer(mode: Mode, judged: Judged) -> Response {
    let Judged { answer, trace } = judged;
    let response = match answer {
        Err(status) => Problem::from(status).into_response(),
        Ok(v1::CheckResponse {
            verdict: Some(verdict),
            repeated,
            receipt,
        }) => {
            let event = Answer::new(&verdict, repeated, &receipt, &trace);
            match mode {
                Mode::Binary(payload) => event.binary(payload),
                Mode::Structured | Mode::Batched => json_response(STRUCTURED, &event),
            }
        }
        Ok(_) => Problem::new(Kind::Internal, "the answer held no verdict").into_response(),
    };
    with_trace(response, &trace)
}

/// A verdict as a CloudEvent, with its attributes named as structured mode has them.
#[derive(Serialize)]
struct Answer<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    datacontenttype: &'static str,
    /// Extension: the event had been judged before, and this is the first verdict.
    repeated: bool,
    /// Extension: the record of the verdict in the journal.
    #[serde(skip_serializing_if = "str::is_empty")]
    receipt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
    data: &'a v1::Verdict,
}

impl<'a> Answer<'a> {
    fn new(verdict: &'a v1::Verdict, repeated: bool, receipt: &'a str, trace: &'a Trace) -> Self {
        let evaluated_at = verdict.evaluated_at.as_ref();
        let trace_of = |wanted| trace.pairs().find(|(name, _)| *name == wanted);
        Self {
            specversion: "1.0",
            id: &verdict.verdict_id,
            source: VERDICT_SOURCE,
            r#type: VERDICT_TYPE,
            subject: &verdict.case_id,
            time: evaluated_at
                .and_then(encode::time_from_proto)
                .map(|time| time.to_string()),
            datacontenttype: "application/json",
            repeated,
            receipt,
            traceparent: trace_of("traceparent").map(|(_, text)| text),
            tracestate: trace_of("tracestate").map(|(_, text)| text),
            data: verdict,
        }
    }

    fn binary(&self, payload: Payload) -> Response {
        let body = match payload {
            Payload::Json => serde_json::to_vec(self.data),
            Payload::Protobuf => Ok(self.data.encode_to_vec()),
        };
        let Ok(body) = body else {
            return unwritable();
        };
        let mut response = (
            [(header::CONTENT_TYPE, payload.media_type())],
            Bytes::from(body),
        )
            .into_response();
        let headers = response.headers_mut();
        let mut set = |name: &'static str, text: &str| {
            let value = HeaderValue::from_str(&percent_encoded(text))
                .expect("what is percent-encoded is visible ASCII");
            headers.insert(HeaderName::from_static(name), value);
        };
        set("ce-specversion", self.specversion);
        set("ce-id", self.id);
        set("ce-source", self.source);
        set("ce-type", self.r#type);
        set("ce-repeated", if self.repeated { "true" } else { "false" });
        for (name, text) in [("ce-subject", self.subject), ("ce-receipt", self.receipt)] {
            if !text.is_empty() {
                set(name, text);
            }
        }
        if let Some(time) = &self.time {
            set("ce-time", time);
        }
        if let Some(traceparent) = self.traceparent {
            set("ce-traceparent", traceparent);
        }
        if let Some(tracestate) = self.tracestate {
            set("ce-tracestate", tracestate);
        }
        response
    }
}

/// As the HTTP binding asks (3.1.3.2): everything but visible ASCII, and of that `"` and `%`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
