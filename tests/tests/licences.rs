//! Whose work is in the binary, and under which licences: the list in `deploy/licences.md` is that of `Cargo.lock`.

use std::collections::BTreeSet;
use std::process::Command;

use creditgate_tests::root;

const LIST: &str = "deploy/licences.md";

/// Licences under which others' work may be in the binary. MPL-2.0 asks that changes to its own files be given out; there are
/// none here.
const TAKEN: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "LLVM-exception",
    "MIT",
    "MPL-2.0+",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Every package that the binary is made of, with its version and its licence.
fn packages() -> BTreeSet<(String, String)> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let done = Command::new(cargo)
        .args(["tree", "--locked", "--offline", "--package", "creditgate"])
        .args(["--edges", "normal", "--prefix", "none", "--no-dedupe"])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .args(["--format", "{p}|{l}"])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let text = String::from_utf8(done.stdout).expect("text");
    text.lines()
        .map(|line| {
            let (package, licence) = line.split_once('|').expect("a package and its licence");
            // Behind name and version may stand where it lies.
            let named: Vec<&str> = package.split(' ').take(2).collect();
            (named.join(" "), licence.to_owned())
        })
        .filter(|(package, _)| !package.starts_with("creditgate"))
        .collect()
}

fn listed(packages: &BTreeSet<(String, String)>) -> String {
    let mut text = "# Licences

creditgate is under the Apache License 2.0 ([`LICENSE`](../LICENSE)). The binary for Linux holds these packages of others,
none of them changed, each under the licence that its authors name. librdkafka, SQLite, zlib, Zstandard and mimalloc come
inside of their packages (`-sys`); SQLite itself is in the public domain. Written by `cargo test -p creditgate-tests --test
licences` with `CREDITGATE_WRITE=1`.

| package | licence |
|---|---|
"
    .to_owned();
    for (package, licence) in packages {
        text.push_str(&format!("| {package} | {licence} |\n"));
    }
    text
}

#[test]
fn every_package_of_others_is_listed_with_a_licence_that_is_taken() {
    let packages = packages();
    assert!(packages.len() > 100, "{packages:?}");
    for (package, licence) in &packages {
        let words = licence
            .split(['(', ')', '/', ' '])
            .filter(|word| !["", "OR", "AND", "WITH"].contains(word));
        for word in words {
            // Of several to choose from, one that is not taken does no harm; so far there is none.
            assert!(TAKEN.contains(&word), "{package}: {licence}");
        }
        assert!(!licence.is_empty(), "{package} names no licence");
    }
    let path = root().join(LIST);
    let text = listed(&packages);
    if std::env::var_os("CREDITGATE_WRITE").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let written = std::fs::read_to_string(&path).expect(LIST);
    assert!(
        written == text,
        "{LIST} is not that of Cargo.lock: run this test with CREDITGATE_WRITE=1"
    );
}
