//! One event to the gate and its answer back, in the caller's trace and within the request's time.

use axum::http::HeaderMap;
use creditgate_proto::v1;
use creditgate_runtime::callers::Caller;
use creditgate_runtime::metrics::Transport;
use creditgate_runtime::telemetry::names::{field, span};
use creditgate_runtime::telemetry::{adopt, extract_parent, inject, passed_on};
use tokio::time::Instant;
use tonic::Status;
use tracing::Instrument as _;

use crate::Options;

/// W3C trace context as a caller sent it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    traceparent: Option<String>,
    tracestate: Option<String>,
}

/// What the gate said, and the trace context to hand back with it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) answer: Result<v1::CheckResponse, Status>,
    pub(crate) trace: Trace,
}

impl Trace {
    pub(crate) fn new(traceparent: Option<String>, tracestate: Option<String>) -> Self {
        Self {
            traceparent,
            tracestate,
        }
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Self::new(text("traceparent"), text("tracestate"))
    }

    /// The headers by name, as far as they are there.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let traceparent = self
            .traceparent
            .as_deref()
            .map(|text| ("traceparent", text));
        let tracestate = self.tracestate.as_deref().map(|text| ("tracestate", text));
        traceparent.into_iter().chain(tracestate)
    }

    fn get(&self, wanted: &str) -> Option<&str> {
        self.pairs()
            .find(|(name, _)| *name == wanted)
            .map(|(_, text)| text)
    }

    fn set(&mut self, name: &str, value: String) {
        match name {
            "traceparent" => self.traceparent = Some(value),
            // Empty is what the propagator writes for none.
            "tracestate" if !value.is_empty() => self.tracestate = Some(value),
            _ => {}
        }
    }
}

/// Has one event judged. The port knows nothing of traces: what it does falls under the span that is current meanwhile.
pub(crate) async fn judge(
    options: &Options,
    event: v1::Event,
    caller: Caller,
    transport: Transport,
    trace: &Trace,
    deadline: Instant,
) -> Judged {
    let parent = extract_parent(|name| trace.get(name));
    let span = tracing::debug_span!(
        span::CHECK,
        { field::TRANSPORT } = transport.label(),
        { field::CALLER } = caller.name(),
    );
    adopt(&span, parent.clone());
    let mut passed = Trace::default();
    if let Some(context) = passed_on(&span, parent.as_ref()) {
        inject(&context, |name, value| passed.set(name, value));
    }
    let answer = options
        .check
        .check(event, caller, transport)
        .instrument(span);
    let answer = tokio::time::timeout_at(deadline, answer)
        .await
        .unwrap_or_else(|_| {
            Err(Status::deadline_exceeded(
                "no answer in the time a request has; sending the event again is safe",
            ))
        });
    Judged {
        answer,
        trace: passed,
    }
}
