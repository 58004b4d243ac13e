//! That the numbers balance, that the text parses, and that text and export show the same.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};

use super::*;
use crate::telemetry::names::metric as names;

const BUILD: Build = Build {
    version: "0.1.0",
    commit: "unknown",
};

fn metrics() -> Metrics {
    Metrics::new(Clock::stepped(1_000_000_000).0, BUILD)
}

/// Reads OpenMetrics text strictly: `name{label="value",…} number` after the `# TYPE` of its family, `# EOF` at the end.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut numbers = BTreeMap::new();
    let mut family = String::new();
    let (body, end) = text.split_at(text.len() - "# EOF\n".len());
    assert_eq!(end, "# EOF\n");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            assert!(matches!(words.next(), Some("HELP" | "TYPE")), "{line}");
            family = words.next().unwrap().to_owned();
            continue;
        }
        let (series, number) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        assert!(name.starts_with(&family), "{line} under {family}");
        assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
        let number: f64 = number.parse().unwrap();
        assert!(
            numbers.insert(series.to_owned(), number).is_none(),
            "{series} twice"
        );
    }
    numbers
}

fn sum(numbers: &BTreeMap<String, f64>, metric: names::Metric) -> f64 {
    let of = |series: &str| series.split('{').next() == Some(metric.name);
    numbers
        .iter()
        .filter(|(series, _)| of(series))
        .map(|(_, number)| number)
        .sum()
}

fn assert_balanced(metrics: &Metrics) -> BTreeMap<String, f64> {
    let numbers = parse(&metrics.render());
    let gone = sum(&numbers, names::VERDICTS)
        + sum(&numbers, names::CHECKS_REPEATED)
        + sum(&numbers, names::CHECKS_REFUSED)
        + sum(&numbers, names::CHECKS_IN_FLIGHT);
    assert_eq!(sum(&numbers, names::CHECKS_RECEIVED), gone);
    numbers
}

#[test]
fn received_equals_verdicts_plus_repeated_plus_refused_plus_in_flight() {
    let metrics = metrics();
    let pass = metrics.verdict_counter("tender", "PASS");
    metrics.received(Transport::GrpcCheck).verdict(&pass);
    metrics
        .received(Transport::GrpcStream)
        .verdict(&metrics.verdict_counter("tender", "PASS"));
    metrics.received(Transport::HttpCheck).repeated();
    metrics
        .received(Transport::HttpEvents)
        .refused(Refusal::Invalid);
    drop(metrics.received(Transport::GrpcBatch));
    let waiting = metrics.received(Transport::GrpcCheck);

    let numbers = assert_balanced(&metrics);
    assert_eq!(
        numbers["creditgate_checks_received_total{transport=\"grpc_check\"}"],
        2.0
    );
    assert_eq!(
        numbers["creditgate_verdicts_total{scenario=\"tender\",outcome=\"PASS\"}"],
        2.0
    );
    assert_eq!(
        numbers["creditgate_checks_refused_total{reason=\"cancelled\"}"],
        1.0
    );
    assert_eq!(numbers["creditgate_checks_in_flight"], 1.0);
    assert_eq!(
        numbers["creditgate_check_duration_seconds_count{transport=\"grpc_check\"}"],
        1.0
    );

    waiting.verdict(&pass);
    let numbers = assert_balanced(&metrics);
    assert_eq!(numbers["creditgate_checks_in_flight"], 0.0);
}

#[test]
fn many_threads_leave_it_balanced() {
    let metrics = metrics();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let metrics = metrics.clone();
            scope.spawn(move || {
                let outcomes =
                    ["PASS", "PROHIBIT"].map(|outcome| metrics.verdict_counter("land", outcome));
                for turn in 0..5_000_usize {
                    let pending = metrics.received(Transport::ALL[turn % Transport::COUNT]);
                    match (turn + thread) % 5 {
                        0 => pending.repeated(),
                        1 => pending.refused(Refusal::ALL[turn % Refusal::COUNT]),
                        2 => drop(pending),
                        _ => pending.verdict(&outcomes[turn % 2]),
                    }
                }
            });
        }
    });
    let numbers = assert_balanced(&metrics);
    assert_eq!(sum(&numbers, names::CHECKS_RECEIVED), 30_000.0);
    assert_eq!(sum(&numbers, names::CHECKS_IN_FLIGHT), 0.0);
}

#[test]
fn arrivals_are_never_fewer_than_the_rest_while_checks_move() {
    let metrics = metrics();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let pass = metrics.verdict_counter("land", "PASS");
            while !stop.load(Ordering::Relaxed) {
                metrics.received(Transport::GrpcCheck).verdict(&pass);
            }
        });
        for _ in 0..200 {
            let numbers = parse(&metrics.render());
            assert!(sum(&numbers, names::CHECKS_RECEIVED) >= sum(&numbers, names::VERDICTS));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_balanced(&metrics);
}

#[test]
fn a_list_shows_its_entries_and_its_age() {
    let (clock, hand) = Clock::stepped(1_000_000_000);
    let metrics = Metrics::new(clock, BUILD);
    metrics.list("B07").set_entries(4_000);
    metrics.list("B07").set_confirmed_at(1_000_000_000);
    metrics.list("G02").set_entries(1);
    metrics.set_list_version(42);
    hand.advance(Duration::from_millis(90_500));
    let numbers = parse(&metrics.render());
    assert_eq!(numbers["creditgate_list_entries{list=\"B07\"}"], 4_000.0);
    assert_eq!(numbers["creditgate_list_age_seconds{list=\"B07\"}"], 90.5);
    assert!(
        !numbers.contains_key("creditgate_list_age_seconds{list=\"G02\"}"),
        "never confirmed has no age"
    );
    assert_eq!(numbers["creditgate_list_version_seq"], 42.0);
}

#[test]
fn changes_of_the_lists_are_counted_by_the_time_they_took_and_a_clock_behind_counts_as_none() {
    let (clock, hand) = Clock::stepped(1_000_000_000);
    let metrics = Metrics::new(clock, BUILD);
    metrics.changes_in_effect(1_000_000_000 + 5_000_000, 2);
    hand.advance(Duration::from_millis(30));
    metrics.changes_in_effect(1_000_000_000, 100);
    let numbers = parse(&metrics.render());
    let name = "creditgate_list_change_to_effect_seconds";
    assert_eq!(numbers[&format!("{name}_count")], 102.0);
    assert!((numbers[&format!("{name}_sum")] - 3.0).abs() < 1e-9);
    assert_eq!(numbers[&format!("{name}_bucket{{le=\"0.00005\"}}")], 2.0);
    assert_eq!(numbers[&format!("{name}_bucket{{le=\"0.05\"}}")], 102.0);
}

#[test]
fn a_process_has_one_role_and_who_leads_is_not_behind() {
    let metrics = metrics();
    let shown = |metrics: &Metrics| {
        let numbers = parse(&metrics.render());
        let roles = numbers
            .iter()
            .filter(|(series, number)| {
                series.starts_with(names::LISTS_ROLE.name) && **number == 1.0
            })
            .map(|(series, _)| series.clone());
        roles.collect::<Vec<_>>()
    };
    assert!(shown(&metrics).is_empty());
    assert_eq!(metrics.lists_role(), None);
    metrics.set_lists_role(ListsRole::StandsBy);
    metrics.lists_complete();
    assert_eq!(
        shown(&metrics),
        ["creditgate_lists_role{role=\"stands_by\"}"]
    );
    assert!(metrics.lists_behind().is_some());
    metrics.set_lists_role(ListsRole::Leads);
    assert_eq!(shown(&metrics), ["creditgate_lists_role{role=\"leads\"}"]);
    assert_eq!(metrics.lists_behind(), None);
}

#[test]
fn the_process_shows_its_build_its_book_and_its_memory() {
    let metrics = metrics();
    metrics.set_book("sha256:1", 30, 5);
    metrics.set_book("sha256:2", 31, 4);
    let numbers = parse(&metrics.render());
    assert_eq!(
        numbers["creditgate_build_info{version=\"0.1.0\",commit=\"unknown\"}"],
        1.0
    );
    assert_eq!(numbers["creditgate_book_info{version=\"sha256:2\"}"], 1.0);
    assert_eq!(sum(&numbers, names::BOOK_INFO), 1.0);
    assert_eq!(numbers["creditgate_book_rows{state=\"inactive\"}"], 4.0);
    #[cfg(target_os = "linux")]
    assert!(numbers["creditgate_resident_memory_bytes"] > 1e6);
}

#[test]
fn every_name_of_the_names_file_is_shown_with_its_labels_and_kind() {
    let shown = metrics().families();
    let expected: Vec<names::Metric> = names::ALL.to_vec();
    assert_eq!(
        shown.iter().map(|family| family.metric).collect::<Vec<_>>(),
        expected
    );
    for family in shown {
        for sample in family.samples {
            assert_eq!(
                sample.labels.len(),
                family.metric.labels.len(),
                "{}",
                family.metric.name
            );
            let fits = match sample.number {
                Number::Count(_) => family.metric.kind == names::Kind::Counter,
                Number::Whole(_) | Number::Real(_) => family.metric.kind == names::Kind::Gauge,
                Number::Durations(_) => family.metric.kind == names::Kind::Histogram,
            };
            assert!(fits, "{}", family.metric.name);
        }
    }
}

#[test]
fn text_and_export_show_the_same_numbers() {
    let metrics = metrics();
    metrics
        .received(Transport::GrpcCheck)
        .verdict(&metrics.verdict_counter("tender", "PASS"));
    metrics
        .received(Transport::GrpcCheck)
        .refused(Refusal::Overloaded);
    metrics.list("B07").set_entries(7);
    metrics.journal().queue_records.add(512);

    let mut text = parse(&metrics.render());
    let request = export_request(&metrics, &[]);
    let mut exported = BTreeMap::new();
    for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
        let series = |attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue],
                      ending: &str,
                      more: &str| {
            let mut labels: Vec<String> = attributes
                .iter()
                .map(|one| {
                    let value = one.value.as_ref().and_then(|value| value.value.clone());
                    let Some(
                        opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(
                            value,
                        ),
                    ) = value
                    else {
                        panic!("a label that is no text")
                    };
                    format!("{}=\"{value}\"", one.key)
                })
                .collect();
            if !more.is_empty() {
                labels.insert(0, more.to_owned());
            }
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            format!("{}{ending}{labels}", metric.name)
        };
        let points = match metric.data.as_ref().unwrap() {
            metric::Data::Sum(sum) => &sum.data_points,
            metric::Data::Gauge(gauge) => &gauge.data_points,
            metric::Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    exported.insert(series(&point.attributes, "_count", ""), point.count as f64);
                    exported.insert(series(&point.attributes, "_sum", ""), point.sum.unwrap());
                    let mut below = 0;
                    for (index, count) in point.bucket_counts.iter().enumerate() {
                        below += count;
                        let bound = point.explicit_bounds.get(index);
                        let bound = bound.map_or("+Inf".to_owned(), |bound| {
                            if bound.fract() == 0.0 {
                                format!("{bound:.1}")
                            } else {
                                bound.to_string()
                            }
                        });
                        exported.insert(
                            series(&point.attributes, "_bucket", &format!("le=\"{bound}\"")),
                            below as f64,
                        );
                    }
                }
                continue;
            }
            other => panic!("{other:?}"),
        };
        for point in points {
            let number = match point.value.unwrap() {
                number_data_point::Value::AsInt(number) => number as f64,
                number_data_point::Value::AsDouble(number) => number,
            };
            exported.insert(series(&point.attributes, "", ""), number);
        }
    }
    for moving in [
        "creditgate_uptime_seconds",
        "creditgate_resident_memory_bytes",
    ] {
        assert!(text.remove(moving).is_some() && exported.remove(moving).is_some());
    }
    let pairs = text
        .keys()
        .chain(exported.keys())
        .map(|series| (series, text.get(series), exported.get(series)));
    let differ: Vec<_> = pairs
        .filter(|(_, text, exported)| text != exported)
        .collect();
    assert!(differ.is_empty(), "{differ:?}");
}
