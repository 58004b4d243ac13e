//! The numbers as OpenMetrics text, written by the reference library's encoder.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::cells::BOUNDS_NANOS;
use super::shown::{Family, Number};
use crate::telemetry::names::metric::Kind;

/// The content type of what [`super::Metrics::render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn render(families: Vec<Family>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut out = String::with_capacity(32 * 1024);
    prometheus_client::encoding::text::encode(&mut out, &registry)
        .expect("writing to a text cannot fail");
    out
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in &self.0 {
            let metric = &family.metric;
            if family.samples.is_empty() {
                continue;
            }
            let (name, kind) = match metric.kind {
                // The encoder puts the ending back.
                Kind::Counter => (metric.name.trim_end_matches("_total"), MetricType::Counter),
                Kind::Gauge => (metric.name, MetricType::Gauge),
                Kind::Histogram => (metric.name, MetricType::Histogram),
            };
            let mut encoder = encoder.encode_descriptor(name, metric.help, None, kind)?;
            for sample in &family.samples {
                if sample.labels.is_empty() {
                    encode_number(&mut encoder, &sample.number)?;
                } else {
                    let values = sample.labels.iter().map(String::as_str);
                    let labels: Vec<(&str, &str)> =
                        metric.labels.iter().copied().zip(values).collect();
                    encode_number(&mut encoder.encode_family(&labels)?, &sample.number)?;
                }
            }
        }
        Ok(())
    }
}

fn encode_number(encoder: &mut MetricEncoder<'_>, number: &Number) -> Result<(), fmt::Error> {
    match number {
        Number::Count(count) => encoder.encode_counter::<NoLabelSet, u64, f64>(count, None),
        Number::Whole(number) => encoder.encode_gauge(number),
        Number::Real(number) => encoder.encode_gauge(number),
        Number::Durations(counts) => {
            let bounds = BOUNDS_NANOS
                .iter()
                .map(|nanos| *nanos as f64 / 1e9)
                .chain([f64::INFINITY]);
            let ranges: Vec<(f64, u64)> = bounds.zip(counts.ranges).collect();
            let sum = counts.sum_nanos as f64 / 1e9;
            encoder.encode_histogram::<NoLabelSet>(sum, counts.count(), &ranges, None)
        }
    }
}
