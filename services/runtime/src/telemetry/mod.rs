//! Logs, traces and metrics: what can be seen of a running process, without any identifier or name of a person.

mod context;
mod export;
mod failures;
pub mod names;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

pub use self::context::{adopt, extract_from, extract_parent, inject, inject_into, passed_on};

use self::export::Export;
use crate::config::{self, LogFormat};
use crate::metrics::Metrics;

/// How long a dropped guard waits for the collector.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter does not parse; configuration has validated it, so this is for other users.
    #[error("read log filter `{filter}`")]
    Filter {
        /// The filter.
        filter: String,
        /// The cause.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The export to the collector could not be set up.
    #[error("set up the export to `{endpoint}`")]
    Export {
        /// The collector.
        endpoint: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The process has a subscriber already.
    #[error("start logging")]
    AlreadyStarted(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Keeps telemetry going. Dropping it sends what is left to the collector, for at most two seconds.
#[derive(Debug)]
#[must_use = "dropping it ends the export"]
pub struct Guard {
    export: Option<Export>,
}

impl Guard {
    /// Sends what is left to the collector, for at most `timeout`. Blocks; call it last, outside the async threads.
    pub fn shutdown(mut self, timeout: Duration) {
        self.end(timeout);
    }

    fn end(&mut self, timeout: Duration) {
        if let Some(export) = self.export.take() {
            export.end(timeout);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end(DROP_TIMEOUT);
    }
}

/// Starts logging to standard error for the whole process and, when a collector is configured, the export of traces and
/// metrics to it. Without a collector nothing of OpenTelemetry stands in the way of a check.
pub fn init(config: &config::Telemetry, metrics: &Metrics) -> Result<Guard, Error> {
    let (subscriber, guard) = build(config, metrics, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(Error::AlreadyStarted)?;
    Ok(guard)
}

/// [`init`] with another writer, and the subscriber handed back instead of installed.
pub fn build<W>(
    config: &config::Telemetry,
    metrics: &Metrics,
    writer: W,
) -> Result<(Box<dyn Subscriber + Send + Sync>, Guard), Error>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.log_filter).map_err(|source| Error::Filter {
        filter: config.log_filter.clone(),
        source,
    })?;
    let Some(endpoint) = &config.otlp_endpoint else {
        // As a global filter it lets disabled callsites cost one load; a filter per layer would be asked each time.
        let subscriber = Registry::default()
            .with(filter)
            .with(log_layer(config.log_format, writer));
        return Ok((Box::new(subscriber), Guard { export: None }));
    };
    let export = Export::start(endpoint, config, metrics).map_err(|source| Error::Export {
        endpoint: endpoint.clone(),
        source,
    })?;
    // Only our own spans: those of the exporter's client would be exported and make further ones. The span of a check is
    // one of level debug, since the log need not pay for it.
    let ours = Targets::new().with_target("creditgate", LevelFilter::DEBUG);
    let traces = tracing_opentelemetry::layer()
        .with_tracer(export.traces().tracer("creditgate"))
        .with_filter(ours);
    let logs = log_layer(config.log_format, writer).with_filter(filter);
    let subscriber = Registry::default().with(traces).with(logs);
    Ok((
        Box::new(subscriber),
        Guard {
            export: Some(export),
        },
    ))
}

fn log_layer<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    use std::io::IsTerminal;

    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    }
}

#[cfg(test)]
mod tests;
