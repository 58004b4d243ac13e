//! The numbers as one OTLP request.
//!
//! The SDK's own pipeline is not used: it aggregates for itself and cannot carry a histogram that was counted elsewhere,
//! so that `/metrics` and the collector would show two countings. A request made from the same list of families cannot.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::Metrics;
use super::cells::{BOUNDS_NANOS, DurationCounts};
use super::shown::{Family, Number, Sample};
use crate::telemetry::names::metric::Kind;

/// A request with everything as it stands now. The counts run since the start of the process (cumulative), so that a
/// request that got lost loses nothing but a moment.
pub(crate) fn export_request(
    metrics: &Metrics,
    resource: &[(&'static str, String)],
) -> ExportMetricsServiceRequest {
    let times = Times {
        start: nanos(metrics.0.started_at),
        now: nanos(SystemTime::now()),
    };
    let families = metrics.families();
    let scope = InstrumentationScope {
        name: "creditgate".to_owned(),
        version: metrics.build().version.to_owned(),
        ..InstrumentationScope::default()
    };
    let attributes = resource
        .iter()
        .map(|(name, value)| attribute(name, value))
        .collect();
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics: families.iter().map(|family| times.metric(family)).collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

struct Times {
    start: u64,
    now: u64,
}

impl Times {
    fn metric(&self, family: &Family) -> Metric {
        let temporality = AggregationTemporality::Cumulative.into();
        let numbers = || {
            family
                .samples
                .iter()
                .filter_map(|sample| self.number(family, sample))
                .collect()
        };
        let data = match family.metric.kind {
            Kind::Counter => metric::Data::Sum(Sum {
                data_points: numbers(),
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
            Kind::Gauge => metric::Data::Gauge(Gauge {
                data_points: numbers(),
            }),
            Kind::Histogram => metric::Data::Histogram(Histogram {
                data_points: family
                    .samples
                    .iter()
                    .filter_map(|sample| self.histogram(family, sample))
                    .collect(),
                aggregation_temporality: temporality,
            }),
        };
        Metric {
            name: family.metric.name.to_owned(),
            description: family.metric.help.to_owned(),
            unit: unit(family.metric.name).to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }

    fn number(&self, family: &Family, sample: &Sample) -> Option<NumberDataPoint> {
        let value = match sample.number {
            Number::Count(count) => {
                number_data_point::Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX))
            }
            Number::Whole(number) => number_data_point::Value::AsInt(number),
            Number::Real(number) => number_data_point::Value::AsDouble(number),
            Number::Durations(_) => return None,
        };
        Some(NumberDataPoint {
            attributes: attributes(family, sample),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            value: Some(value),
            ..NumberDataPoint::default()
        })
    }

    fn histogram(&self, family: &Family, sample: &Sample) -> Option<HistogramDataPoint> {
        let Number::Durations(counts) = &sample.number else {
            return None;
        };
        let counts: &DurationCounts = counts;
        Some(HistogramDataPoint {
            attributes: attributes(family, sample),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            count: counts.count(),
            sum: Some(counts.sum_nanos as f64 / 1e9),
            bucket_counts: counts.ranges.to_vec(),
            explicit_bounds: BOUNDS_NANOS
                .iter()
                .map(|nanos| *nanos as f64 / 1e9)
                .collect(),
            ..HistogramDataPoint::default()
        })
    }
}

fn attributes(family: &Family, sample: &Sample) -> Vec<KeyValue> {
    family
        .metric
        .labels
        .iter()
        .zip(&sample.labels)
        .map(|(name, value)| attribute(name, value))
        .collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = AnyValue {
        value: Some(any_value::Value::StringValue(value.to_owned())),
    };
    KeyValue {
        key: name.to_owned(),
        value: Some(value),
        ..KeyValue::default()
    }
}

/// The unit follows from the name, as Prometheus asks.
fn unit(name: &str) -> &'static str {
    let name = name.trim_end_matches("_total");
    if name.ends_with("_seconds") {
        "s"
    } else if name.ends_with("_bytes") {
        "By"
    } else {
        "1"
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
