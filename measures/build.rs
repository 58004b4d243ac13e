//! Lays the files of the catalogue into the binary: `built_in()` is made from what is in the tree.

#![expect(clippy::expect_used, reason = "a build that cannot go on ends")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo tells"));
    let catalogue = root.join("catalogue");
    let mut paths = Vec::new();
    below(&catalogue, &mut paths);
    paths.sort();
    let mut table = String::from("&[\n");
    for path in paths {
        let inside = path.strip_prefix(&catalogue).expect("a path inside");
        let name = inside.to_str().expect("a name in UTF-8").replace('\\', "/");
        let _ = writeln!(table, "({name:?}, include_str!({path:?})),");
    }
    table.push(']');
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo tells"));
    std::fs::write(out.join("catalogue.rs"), table).expect("the table is written");
}

/// Every file below a folder; each folder is watched, so that new files are seen.
fn below(folder: &Path, paths: &mut Vec<PathBuf>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    for item in std::fs::read_dir(folder).expect("a folder of the catalogue") {
        let path = item.expect("an entry of the folder").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            below(&path, paths);
        } else if name.ends_with(".yaml") || name.ends_with(".txt") {
            paths.push(path);
        }
    }
}
