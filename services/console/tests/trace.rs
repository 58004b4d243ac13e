//! Under which trace the gate works; alone in its binary, since what a subscriber sees of a span is decided per process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{FakeGate, PARENT, event, options, post, send};

#[tokio::test]
async fn where_traces_are_exported_the_gate_works_under_the_callers_trace() {
    use opentelemetry::trace::TracerProvider as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    let _current = tracing::subscriber::set_default(subscriber);
    let gate = FakeGate::passing();
    let mut request = post("/v1/check", "application/json", event().to_string());
    request
        .headers_mut()
        .insert("traceparent", PARENT.parse().unwrap());
    let got = send(options(gate.clone()), request).await;
    let inside = gate.asked().remove(0).traceparent.unwrap();
    assert!(
        inside.starts_with(&PARENT[..36]) && inside != PARENT,
        "{inside}"
    );
    assert_eq!(got.header("traceparent"), inside);
}
