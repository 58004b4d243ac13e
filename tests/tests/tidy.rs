//! Rules about the tree: who may know whom, and what must not stand in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates by layer: a crate may know those of lower layers, and nothing beside it.
const LAYERS: [&[&str]; 6] = [
    &["creditgate-measures"],
    &["creditgate-proto"],
    &["creditgate-runtime"],
    &[
        "creditgate-registry",
        "creditgate-gate",
        "creditgate-stream",
        "creditgate-cases",
        "creditgate-console",
    ],
    &["creditgate"],
    &["creditgate-tests"],
];

/// What a layer must not depend on, since another layer is the place for it.
const FORBIDDEN: [(&str, &[&str]); 7] = [
    (
        "creditgate-measures",
        &[
            "tokio", "tonic", "prost", "rusqlite", "rdkafka", "tracing", "memmap2",
        ],
    ),
    (
        "creditgate-proto",
        &["tokio", "rusqlite", "rdkafka", "axum"],
    ),
    ("creditgate-registry", &["rdkafka", "opentelemetry", "axum"]),
    ("creditgate-gate", &["rdkafka", "opentelemetry", "axum"]),
    (
        "creditgate-stream",
        &["rdkafka", "opentelemetry", "rusqlite", "axum"],
    ),
    ("creditgate-cases", &["rdkafka", "opentelemetry", "axum"]),
    (
        "creditgate-console",
        &["rdkafka", "opentelemetry", "rusqlite"],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// The direct dependencies of each crate of the workspace, those of its tests left out.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let depends = package["dependencies"].as_array().expect("dependencies");
            let names = depends
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| text(&dependency["name"]));
            (text(&package["name"]), names.collect())
        })
        .collect()
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|crates| crates.contains(&name))
}

#[test]
fn crates_know_lower_layers_only() {
    let all = dependencies();
    for (name, depends) in &all {
        let own = layer(name).unwrap_or_else(|| panic!("`{name}` stands in no layer"));
        for dependency in depends {
            if let Some(other) = layer(dependency) {
                assert!(other < own, "`{name}` must not know `{dependency}`");
            }
        }
    }
    assert_eq!(
        all.len(),
        LAYERS.iter().map(|crates| crates.len()).sum::<usize>()
    );
}

#[test]
fn what_a_layer_must_not_touch_is_not_among_its_dependencies() {
    let all = dependencies();
    for (name, forbidden) in FORBIDDEN {
        let depends = all.get(name).unwrap_or_else(|| panic!("`{name}` is gone"));
        for dependency in depends {
            assert!(
                !forbidden.contains(&dependency.as_str()),
                "`{name}` knows `{dependency}`"
            );
        }
    }
}

fn files(dir: &Path, endings: &[&str], into: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(dir).expect("a directory") {
        let path = item.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files(&path, endings, into);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            into.push(path);
        }
    }
}

#[test]
fn source_files_open_with_the_sentence_that_says_what_they_hold() {
    let mut sources = Vec::new();
    files(&root(), &[".rs"], &mut sources);
    for path in sources {
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(
            text.starts_with("//!"),
            "{} does not say what it holds",
            path.display()
        );
    }
}

#[test]
fn the_core_neither_asks_the_clock_nor_prints_nor_panics_on_purpose() {
    const BANNED: [&str; 8] = [
        "SystemTime",
        "Instant::now",
        "std::env",
        "std::fs",
        "println!",
        "todo!(",
        "panic!(",
        ".unwrap()",
    ];
    let mut sources = Vec::new();
    for folder in ["measures/src", "proto/src"] {
        files(&root().join(folder), &[".rs"], &mut sources);
    }
    for path in sources {
        let text = std::fs::read_to_string(&path).expect("text");
        // Tests stand at the end of a file or in one of their own.
        let is_test = path.ends_with("tests.rs") || path.ends_with("properties.rs");
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or(&text);
        for banned in BANNED.iter().filter(|_| !is_test) {
            assert!(
                !code.contains(banned),
                "{} contains `{banned}`",
                path.display()
            );
        }
    }
}
