//! The catalogue as it was when this crate was built: every file under `measures/catalogue`.

use crate::book::SourceFile;

/// Path within the catalogue and text of each file.
const FILES: &[(&str, &str)] = &[
    ("book.yaml", include_str!("../catalogue/book.yaml")),
    (
        "lists/attention.yaml",
        include_str!("../catalogue/lists/attention.yaml"),
    ),
    (
        "lists/black.yaml",
        include_str!("../catalogue/lists/black.yaml"),
    ),
    (
        "lists/red.yaml",
        include_str!("../catalogue/lists/red.yaml"),
    ),
    (
        "measures/cross-field.yaml",
        include_str!("../catalogue/measures/cross-field.yaml"),
    ),
    (
        "measures/incentives.yaml",
        include_str!("../catalogue/measures/incentives.yaml"),
    ),
    (
        "measures/land.yaml",
        include_str!("../catalogue/measures/land.yaml"),
    ),
    (
        "measures/permit.yaml",
        include_str!("../catalogue/measures/permit.yaml"),
    ),
    (
        "measures/procurement.yaml",
        include_str!("../catalogue/measures/procurement.yaml"),
    ),
    (
        "measures/tender.yaml",
        include_str!("../catalogue/measures/tender.yaml"),
    ),
    (
        "names/simplify.txt",
        include_str!("../catalogue/names/simplify.txt"),
    ),
    (
        "scenarios/land.yaml",
        include_str!("../catalogue/scenarios/land.yaml"),
    ),
    (
        "scenarios/permit.yaml",
        include_str!("../catalogue/scenarios/permit.yaml"),
    ),
    (
        "scenarios/procurement.yaml",
        include_str!("../catalogue/scenarios/procurement.yaml"),
    ),
    (
        "scenarios/tender.yaml",
        include_str!("../catalogue/scenarios/tender.yaml"),
    ),
];

/// The built-in catalogue, for services that are given no other.
#[must_use]
pub fn built_in() -> Vec<SourceFile> {
    FILES
        .iter()
        .map(|(path, text)| SourceFile::new(*path, *text))
        .collect()
}
