//! The catalogue loads: every guard holds and every row's cases pass.

use std::path::Path;

use creditgate_measures::book::{Book, Deployment, SourceFile, test};

fn read(folder: &Path, under: &str, into: &mut Vec<SourceFile>) {
    for item in std::fs::read_dir(folder).expect("folder of the catalogue") {
        let path = item.expect("entry of the folder").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name")
            .to_owned();
        let below = if under.is_empty() {
            name
        } else {
            format!("{under}/{name}")
        };
        if path.is_dir() {
            read(&path, &below, into);
        } else {
            into.push(SourceFile::new(
                below,
                std::fs::read_to_string(&path).expect("text"),
            ));
        }
    }
}

fn on_disk() -> Vec<SourceFile> {
    let mut files = Vec::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue"),
        "",
        &mut files,
    );
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

#[test]
fn the_built_in_catalogue_is_the_one_in_the_tree() {
    assert_eq!(creditgate_measures::catalogue::built_in(), on_disk());
}

fn built_in() -> Book {
    Book::load(&on_disk(), &Deployment::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_catalogue_loads_and_all_its_cases_pass() {
    let book = built_in();
    assert_eq!(book.scenarios().count(), 13, "the scenarios of spec 2");
    for row in book.measures() {
        assert!(
            row.cases >= 2,
            "{} has a case that matches and one that does not",
            row.id
        );
    }
}

/// The national list and the lists of the field, by their numbers: what stands in the book, and what
/// stands in `not-expressed.yaml` with its reason. Nothing is left out silently.
#[test]
fn every_measure_and_list_is_expressed_or_says_why_not() {
    let book = built_in();
    let left_out = |id: &str| book.not_expressed().iter().any(|item| *item.id == *id);
    let is_row = |id: &str| {
        let of_number = |row: &str| {
            row.strip_prefix(id)
                .is_some_and(|version| version.chars().all(|letter| letter.is_ascii_lowercase()))
        };
        book.measures().iter().any(|row| of_number(row.id.as_str()))
    };
    let is_list = |id: &str| book.list(id).is_some();
    let numbers = |prefix: char, last: u32| (1..=last).map(move |n| format!("{prefix}{n:02}"));
    let rows = numbers('M', 67).chain(numbers('R', 14));
    let lists = numbers('B', 28)
        .chain(numbers('G', 13))
        .chain(numbers('A', 13));
    let silent: Vec<String> = rows
        .filter(|id| !is_row(id) && !left_out(id))
        .chain(lists.filter(|id| !is_list(id) && !left_out(id)))
        .collect();
    assert_eq!(
        silent, [""; 0],
        "neither in the book nor in not-expressed.yaml"
    );
}

/// Whoever confirms nothing gets no measure that was recalled and not read, above a proposal.
#[test]
fn rows_without_publication_are_inactive() {
    for row in built_in().measures() {
        let published = row.published_at.is_some() && row.published_in.is_some();
        assert_eq!(
            row.active,
            published && row.effective_from.is_some(),
            "{}",
            row.id
        );
    }
}

#[test]
fn the_example_supplement_composes_with_the_catalogue() {
    let mut files = on_disk();
    let mut example = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/supplement-320500");
    read(&folder, "supplements/supplement-320500", &mut example);
    files.extend(example);
    let book =
        Book::load(&files, &Deployment::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let tested = test(&files, &Deployment::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(tested.failed, [], "each row shows both sides of itself");
    let supplement = &book.supplements()[0];
    assert!(supplement.example, "it says that it is an example");
    assert_eq!(supplement.region.to_string(), "320500");
    let local = book
        .measures()
        .iter()
        .filter(|row| row.supplement.is_some());
    assert!(local.clone().count() > 0);
    for row in local {
        assert!(
            row.region
                .is_some_and(|region| supplement.region.contains(region)),
            "{}",
            row.id
        );
    }
    assert!(
        built_in().supplements().is_empty(),
        "the catalogue itself has none"
    );
}
