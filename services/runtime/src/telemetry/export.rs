//! The export to an OpenTelemetry collector, on a runtime of its own so that it neither waits for the service's threads
//! nor holds them up, and can still send when they are gone.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use super::failures::Failures;
use crate::config::Telemetry;
use crate::metrics::{Metrics, Signal, export_request};

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

type BoxError = Box<dyn StdError + Send + Sync>;

/// A running export.
#[derive(Debug)]
pub(super) struct Export {
    traces: SdkTracerProvider,
    end_metrics: oneshot::Sender<()>,
    metrics_ended: mpsc::Receiver<()>,
    runtime: Runtime,
}

impl Export {
    /// Starts it. The collector need not be there yet.
    pub fn start(
        endpoint: &str,
        config: &Telemetry,
        metrics: &Metrics,
    ) -> Result<Export, BoxError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("creditgate-otlp")
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let channel = Endpoint::from_shared(endpoint.to_owned())?
            .timeout(EXPORT_TIMEOUT)
            .connect_lazy();
        let headers = headers(config)?;
        let resource = resource(metrics)?;
        let traces = traces(
            channel.clone(),
            headers.clone(),
            &resource,
            config.trace_ratio,
            metrics,
        )?;
        drop(entered);
        let (end_metrics, end) = oneshot::channel();
        let (ended, metrics_ended) = mpsc::channel();
        let sender = MetricsSender {
            client: MetricsServiceClient::new(channel),
            headers,
            resource,
            metrics: metrics.clone(),
            failures: Failures::new(Signal::Metrics, metrics.clone()),
        };
        let interval = config.otlp_interval;
        runtime.spawn(async move {
            sender.run(interval, end).await;
            // Nobody waits any more when the time was up.
            let _ = ended.send(());
        });
        Ok(Export {
            traces,
            end_metrics,
            metrics_ended,
            runtime,
        })
    }

    /// Where tracers come from.
    pub fn traces(&self) -> &SdkTracerProvider {
        &self.traces
    }

    /// Sends what is left and ends, for at most `timeout`. Traces go first, so that their failures are in the metrics.
    pub fn end(self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        // Failures were counted and logged by the exporter itself; a flush that was too slow leaves spans behind.
        if let Err(error) = self.traces.shutdown_with_timeout(timeout) {
            tracing::debug!({ super::names::field::ERROR } = %error, "traces left behind");
        }
        let _ = self.end_metrics.send(());
        let _ = self
            .metrics_ended
            .recv_timeout(deadline.saturating_duration_since(Instant::now()));
        // A runtime may be dropped from async code only this way.
        self.runtime.shutdown_background();
    }
}

fn traces(
    channel: Channel,
    headers: MetadataMap,
    resource: &[(&'static str, String)],
    ratio: f64,
    metrics: &Metrics,
) -> Result<SdkTracerProvider, BoxError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_timeout(EXPORT_TIMEOUT)
        .with_metadata(headers)
        .build()?;
    let failures = Arc::new(Failures::new(Signal::Traces, metrics.clone()));
    let processor = BatchSpanProcessor::builder(Counted { exporter, failures }).build();
    let attributes = resource
        .iter()
        .map(|(name, value)| KeyValue::new(*name, value.clone()));
    // `builder_empty`: the default detectors would add what the environment of the process says.
    let resource = Resource::builder_empty()
        .with_attributes(attributes)
        .build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(sampler)
        .with_resource(resource)
        .build())
}

/// Counts failures and keeps them from the SDK, which would log each of them.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    failures: Arc<Failures>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.failures.note(self.exporter.export(batch).await);
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

struct MetricsSender {
    client: MetricsServiceClient<Channel>,
    headers: MetadataMap,
    resource: Vec<(&'static str, String)>,
    metrics: Metrics,
    failures: Failures,
}

impl MetricsSender {
    /// Sends at every interval and once more at the end.
    async fn run(mut self, interval: Duration, mut end: oneshot::Receiver<()>) {
        loop {
            let ending = tokio::select! {
                () = tokio::time::sleep(interval) => false,
                _ = &mut end => true,
            };
            self.send().await;
            if ending {
                return;
            }
        }
    }

    async fn send(&mut self) {
        let mut request = tonic::Request::new(export_request(&self.metrics, &self.resource));
        *request.metadata_mut() = self.headers.clone();
        self.failures.note(self.client.export(request).await);
    }
}

fn headers(config: &Telemetry) -> Result<MetadataMap, BoxError> {
    let mut headers = MetadataMap::new();
    for (name, value) in &config.otlp_headers {
        let name: MetadataKey<Ascii> = name.to_ascii_lowercase().parse()?;
        let mut value: MetadataValue<Ascii> = value.reveal().parse()?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Who is speaking: the program, its version, and an id of this run.
fn resource(metrics: &Metrics) -> Result<Vec<(&'static str, String)>, BoxError> {
    let run = getrandom::u64()?;
    Ok(vec![
        ("service.name", "creditgate".to_owned()),
        ("service.version", metrics.build().version.to_owned()),
        ("service.instance.id", format!("{run:016x}")),
    ])
}
