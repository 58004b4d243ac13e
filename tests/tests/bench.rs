//! The benchmarks as they are typed: what they print, what they write, and what they refuse.

use std::process::Output;

use creditgate_tests::{root, run};
use serde_json::Value;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// The figure of a report with this name.
fn figure<'a>(report: &'a Value, what: &str) -> &'a Value {
    let rows = report["rows"].as_array().expect("rows");
    rows.iter()
        .find(|row| row["what"] == what)
        .unwrap_or_else(|| panic!("no `{what}` in {rows:#?}"))
}

fn succeeded(output: &Output) -> &str {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_rate_is_held_for_a_second_and_told_in_three_forms() {
    let dir = tempfile::tempdir().expect("a directory");
    let (json, markdown) = (dir.path().join("held.json"), dir.path().join("held.md"));
    let output = run(
        &[
            "bench",
            "sustained",
            "--rate=20",
            "--seconds=1",
            "--entries=50",
            "--seed=7",
            "--json",
            json.to_str().expect("a path"),
            "--markdown",
            markdown.to_str().expect("a path"),
        ],
        "",
    );
    let printed = succeeded(&output);
    let written = std::fs::read_to_string(&json).expect("a report");
    let report: Value = serde_json::from_str(&written).expect("JSON");
    for mode in ["unary", "stream"] {
        let value = |what: &str| {
            let row = figure(&report, &format!("{mode}: {what}"));
            row["median"].as_f64().expect("a number")
        };
        assert_eq!(value("rate held"), 20.0);
        assert_eq!(value("refused"), 0.0);
        assert_eq!(value("without an answer"), 0.0);
        assert!(value("p50") > 0.0);
        assert!(value("p50") <= value("p99") && value("p99.9") <= value("longest call"));
        assert!(value("peak memory (VmHWM)") > 1.0);
        assert!(printed.contains(&format!("{mode}: p99.9")), "{printed}");
    }
    let about = &report["about"];
    assert_eq!(about["seed"], 7);
    assert!(
        about["command"]
            .as_str()
            .is_some_and(|line| line.contains("bench sustained"))
    );
    assert!(about["fsync_p50_us"].as_f64().is_some_and(|us| us > 0.0));
    let markdown = std::fs::read_to_string(&markdown).expect("a report");
    assert!(
        markdown.contains("| sustained | unary: rate held | 20 |"),
        "{markdown}"
    );
}

#[test]
fn callers_known_by_certificate_are_set_beside_anybody() {
    let dir = tempfile::tempdir().expect("a directory");
    let json = dir.path().join("access.json");
    let output = run(
        &[
            "bench",
            "access",
            "--quick",
            "--seconds=1",
            "--entries=50",
            "--in-flight=8",
            "--json",
            json.to_str().expect("a path"),
        ],
        "",
    );
    succeeded(&output);
    let written = std::fs::read_to_string(&json).expect("a report");
    let report: Value = serde_json::from_str(&written).expect("JSON");
    for mode in ["unary", "stream", "batch"] {
        let value = |what: &str| {
            let row = figure(&report, &format!("{mode}: {what}"));
            row["median"].as_f64().expect("a number")
        };
        assert_eq!(value("refused"), 0.0);
        assert!(value("checks with certificates and policy") > 0.0);
        assert!(value("checks without") > 0.0);
    }
}

#[test]
fn what_needs_kafka_is_left_out_and_says_so() {
    let output = run(&["bench", "all", "--quick", "--only", "stream"], "");
    let printed = succeeded(&output);
    assert!(printed.contains("left out: no --kafka given"), "{printed}");
    assert!(text(&output.stderr).contains("[1/1] stream"));
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_anything_is_measured() {
    let output = run(
        &["bench", "all", "--quick", "--json", "/nowhere/report.json"],
        "",
    );
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("open `/nowhere/report.json`"), "{told}");
    assert!(!told.contains("[1/"), "{told}");
}

#[test]
fn the_page_of_the_method_names_commands_that_exist() {
    let page = std::fs::read_to_string(root().join("deploy/benchmarks.md")).expect("the page");
    let blocks = page.split("```").skip(1).step_by(2);
    let mut seen = 0;
    for line in blocks.flat_map(str::lines) {
        let Some(words) = line.trim().strip_prefix("creditgate ") else {
            continue;
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        let help = run(&[words[0], words[1], "--help"], "");
        let help = succeeded(&help);
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "`creditgate {line}`: no {flag}");
        }
        seen += 1;
    }
    assert!(seen >= 6, "the page names every benchmark");
}
