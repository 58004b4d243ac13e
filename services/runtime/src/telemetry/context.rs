//! W3C trace context: taken over from a caller, passed on to whoever is called.

use std::marker::PhantomData;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header without which there is no context.
const TRACEPARENT: &str = "traceparent";

/// The context a caller sent, by a getter of headers or of Kafka's. A malformed one is none.
pub fn extract_parent<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Context> {
    get(TRACEPARENT)?;
    let context = TraceContextPropagator::new()
        .extract_with_context(&Context::new(), &Getter(get, PhantomData));
    context.span().span_context().is_valid().then_some(context)
}

/// The same from HTTP headers; gRPC metadata gives them with `as_ref()`.
pub fn extract_from(headers: &HeaderMap) -> Option<Context> {
    extract_parent(|name| headers.get(name)?.to_str().ok())
}

/// Makes the caller's span the parent of ours. To be called before the span is entered; without an export it does nothing.
pub fn adopt(span: &Span, parent: Option<Context>) {
    if let Some(parent) = parent {
        // It fails when nothing is exported or the span is disabled, and then there is nothing to adopt.
        let _ = span.set_parent(parent);
    }
}

/// The context to pass on from within `span`: its own where traces are exported, else the one that was taken over.
pub fn passed_on(span: &Span, taken_over: Option<&Context>) -> Option<Context> {
    let own = span.context();
    if own.span().span_context().is_valid() {
        Some(own)
    } else {
        taken_over.cloned()
    }
}

/// Hands the headers of a context to a setter.
pub fn inject(context: &Context, set: impl FnMut(&str, String)) {
    TraceContextPropagator::new().inject_context(context, &mut Setter(set));
}

/// Puts the headers of a context into HTTP headers.
pub fn inject_into(context: &Context, headers: &mut HeaderMap) {
    inject(context, |name, value| {
        let header = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(&value),
        );
        if let (Ok(name), Ok(value)) = header {
            headers.insert(name, value);
        }
    });
}

/// The marker says that `'a` outlives the getter, so that what it gives may be handed out from `&self`.
struct Getter<'a, F>(F, PhantomData<&'a str>);

impl<'a, F: Fn(&str) -> Option<&'a str>> Extractor for Getter<'a, F> {
    fn get(&self, key: &str) -> Option<&str> {
        (self.0)(key)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, "tracestate"]
    }
}

struct Setter<F>(F);

impl<F: FnMut(&str, String)> Injector for Setter<F> {
    fn set(&mut self, key: &str, value: String) {
        (self.0)(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_goes_in_and_out_unchanged() {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", PARENT.parse().unwrap());
        headers.insert("tracestate", "vendor=1".parse().unwrap());
        let context = extract_from(&headers).unwrap();
        let mut passed = HeaderMap::new();
        inject_into(&context, &mut passed);
        assert_eq!(passed, headers);
    }

    #[test]
    fn grpc_metadata_gives_the_same() {
        let mut metadata = tonic::metadata::MetadataMap::new();
        metadata.insert("traceparent", PARENT.parse().unwrap());
        let context = extract_from(metadata.as_ref()).unwrap();
        let trace = context.span().span_context().trace_id();
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn no_context_or_a_malformed_one_is_none() {
        let check = |value: Option<&'static str>| {
            let found = extract_parent(|name| value.filter(|_| name == TRACEPARENT));
            assert!(found.is_none(), "{value:?}");
        };
        check(None);
        check(Some(""));
        check(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"));
        check(Some(
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ));
        check(Some(
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ));
    }

    #[test]
    fn without_an_export_the_context_taken_over_is_passed_on() {
        let parent = extract_parent(|name| (name == TRACEPARENT).then_some(PARENT));
        let span = Span::none();
        adopt(&span, parent.clone());
        let passed = passed_on(&span, parent.as_ref()).unwrap();
        let mut value = None;
        inject(&passed, |name, text| {
            if name == TRACEPARENT {
                value = Some(text);
            }
        });
        assert_eq!(value.as_deref(), Some(PARENT));
        assert!(passed_on(&span, None).is_none());
    }
}
