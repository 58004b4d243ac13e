//! What logs look like, and what a collector of our own receives from a real export.

use std::io::Write;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use parking_lot::Mutex;
use tonic::{Request, Response, Status};

use super::*;
use crate::clock::Clock;
use crate::config::{Config, Secret};
use crate::metrics::{Build, Transport};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

fn metrics() -> Metrics {
    Metrics::new(
        Clock::system(),
        Build {
            version: "0.1.0",
            commit: "unknown",
        },
    )
}

fn logged(change: impl FnOnce(&mut config::Telemetry), work: impl FnOnce()) -> String {
    let mut config = Config::default().telemetry;
    change(&mut config);
    let lines = Lines::default();
    let writer = lines.clone();
    let (subscriber, guard) = build(&config, &metrics(), move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    drop(guard);
    lines.text()
}

#[test]
fn json_logs_are_one_object_per_line_with_the_fields_at_the_top() {
    let text = logged(
        |config| config.log_format = LogFormat::Json,
        || {
            let span = tracing::info_span!("check", { names::field::SCENARIO } = "tender");
            let _entered = span.enter();
            tracing::info!({ names::field::OUTCOME } = "PASS", "answered");
            tracing::debug!("unseen");
        },
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&line["level"], &line["message"]),
        (&"INFO".into(), &"answered".into())
    );
    assert_eq!(
        (&line["outcome"], &line["span"]["scenario"]),
        (&"PASS".into(), &"tender".into())
    );
}

#[test]
fn text_logs_obey_the_filter() {
    let text = logged(
        |config| config.log_filter = "warn".into(),
        || {
            tracing::info!("unseen");
            tracing::warn!({ names::field::LIST } = "B07", "list is stale");
        },
    );
    assert!(
        text.contains("WARN") && text.contains("list is stale list=\"B07\""),
        "{text}"
    );
    assert!(
        !text.contains("unseen") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn a_filter_that_does_not_parse_is_refused() {
    let config = config::Telemetry {
        log_filter: "a=b=c".into(),
        ..Config::default().telemetry
    };
    let error = build(&config, &metrics(), std::io::sink).err().unwrap();
    assert_eq!(error.to_string(), "read log filter `a=b=c`");
}

#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    authorizations: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    /// A real server on a free port, on threads of its own.
    fn start(&self) -> (tokio::runtime::Runtime, String) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        runtime.spawn(server);
        (runtime, endpoint)
    }

    fn note_authorization<T>(&self, request: &Request<T>) {
        let value = request
            .metadata()
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        self.authorizations.lock().extend(value);
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.note_authorization(&request);
        self.traces.lock().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.note_authorization(&request);
        self.metrics.lock().push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[test]
fn a_collector_receives_spans_under_their_callers_trace_and_the_metrics() {
    let collector = Collector::default();
    let (_runtime, endpoint) = collector.start();
    let mut config = Config::default().telemetry;
    config.otlp_endpoint = Some(endpoint);
    config
        .otlp_headers
        .insert("Authorization".into(), Secret::new("hunter2"));
    config.trace_ratio = 0.0;
    // The log filter has no say in what is exported.
    config.log_filter = "off".into();
    let metrics = metrics();
    let (subscriber, guard) = build(&config, &metrics, std::io::sink).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("check", { names::field::SCENARIO } = "tender");
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = extract_parent(|name| (name == "traceparent").then_some(header));
        adopt(&span, parent.clone());
        let passed = passed_on(&span, parent.as_ref()).unwrap();
        inject(&passed, |name, value| {
            if name == "traceparent" {
                assert!(
                    value.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && value != header,
                    "{value}"
                );
            }
        });
        span.in_scope(|| tracing::info_span!("decide").in_scope(|| ()));
        // Begun here: at a ratio of 0 it is not exported.
        tracing::info_span!("unsampled").in_scope(|| ());
    });
    metrics.received(Transport::GrpcCheck).repeated();
    guard.shutdown(Duration::from_secs(10));

    let requests = collector.traces.lock();
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    assert!(
        resource
            .attributes
            .iter()
            .any(|one| one.key == "service.name"),
        "{resource:?}"
    );
    let spans = requests
        .iter()
        .flat_map(|request| &request.resource_spans)
        .flat_map(|one| &one.scope_spans);
    let spans: Vec<_> = spans.flat_map(|one| &one.spans).collect();
    let named = |name: &str| spans.iter().find(|span| span.name == name);
    let (check, decide) = (named("check").unwrap(), named("decide").unwrap());
    assert_eq!(
        check.trace_id,
        0x4bf92f3577b34da6a3ce929d0e0e4736_u128.to_be_bytes()
    );
    assert_eq!(check.parent_span_id, 0x00f067aa0ba902b7_u64.to_be_bytes());
    assert_eq!(decide.parent_span_id, check.span_id);
    assert!(named("unsampled").is_none());

    let exported = collector.metrics.lock();
    let names: Vec<&str> = exported[0].resource_metrics[0].scope_metrics[0]
        .metrics
        .iter()
        .map(|metric| metric.name.as_str())
        .collect();
    let expected: Vec<&str> = names::metric::ALL
        .iter()
        .map(|metric| metric.name)
        .collect();
    assert_eq!(names, expected);
    assert_eq!(*collector.authorizations.lock(), ["hunter2", "hunter2"]);
}

#[tokio::test]
async fn a_collector_that_is_away_is_counted_and_never_holds_up_the_end() {
    // A port that was free a moment ago and has no listener.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut config = Config::default().telemetry;
    config.otlp_endpoint = Some(format!("http://{free}"));
    config.trace_ratio = 1.0;
    let metrics = metrics();
    let (subscriber, guard) = build(&config, &metrics, std::io::sink).unwrap();
    tracing::subscriber::with_default(subscriber, || tracing::info_span!("check").in_scope(|| ()));
    let started = std::time::Instant::now();
    guard.shutdown(Duration::from_secs(3));
    assert!(started.elapsed() < Duration::from_secs(6));
    let text = metrics.render();
    for signal in ["traces", "metrics"] {
        let line = format!("creditgate_export_failures_total{{signal=\"{signal}\"}} 1");
        assert!(text.contains(&line), "{line} in {text}");
    }
}
