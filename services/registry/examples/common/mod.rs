//! What the examples that measure share: a registry of its own, and an import of invented rows.

use std::path::Path;

use creditgate_measures::book::Deployment;
use creditgate_measures::catalogue;
use creditgate_proto::v1;
use creditgate_registry::{OVERLAY_MIN, Options, Registry};
use creditgate_runtime::callers::Caller;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal;
use creditgate_runtime::metrics::{Build, Metrics};

/// How many rows the command line asks for.
pub fn rows_asked() -> u64 {
    std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000)
}

/// A registry with the built-in book in this directory.
pub fn open(dir: &Path) -> Registry {
    let clock = Clock::system();
    let build = Build {
        version: "example",
        commit: "unknown",
    };
    Registry::open(Options {
        data_dir: dir.to_owned(),
        book: catalogue::built_in(),
        book_named: false,
        signature: None,
        trusted_keys: Default::default(),
        deployment: Deployment::default(),
        upstream: None,
        journal: journal::Options::default(),
        metrics: Metrics::new(clock.clone(), build),
        clock,
        readiness: Readiness::expecting(["lists"]),
        overlay_min: OVERLAY_MIN,
        source_rules: Default::default(),
        sealer: None,
    })
    .expect("the registry opens")
}

/// Imports so many rows, all of which are sound.
pub async fn import(
    registry: &Registry,
    rows: u64,
    entry: impl Fn(u64) -> v1::Entry,
    caller: &Caller,
) {
    let header = v1::ImportHeader {
        source_unit: "示例数据中心".to_owned(),
        ..Default::default()
    };
    let mut import = registry
        .begin_import(header, caller)
        .expect("a sound header");
    for n in 0..rows {
        let row = v1::ImportRow {
            entry: Some(entry(n)),
            row: n + 1,
            ..v1::ImportRow::default()
        };
        import.push(row).expect("room");
    }
    let summary = import.finish().await.expect("an import");
    assert_eq!(
        (summary.refused_count, summary.received),
        (0, rows),
        "{:?}",
        summary.refused.first()
    );
}
