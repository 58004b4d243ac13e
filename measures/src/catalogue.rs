//! The catalogue as it was when this crate was built: every file under `measures/catalogue`.

use crate::book::SourceFile;

/// Path within the catalogue and text of each file.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The built-in catalogue, for services that are given no other.
#[must_use]
pub fn built_in() -> Vec<SourceFile> {
    FILES
        .iter()
        .map(|(path, text)| SourceFile::new(*path, *text))
        .collect()
}
