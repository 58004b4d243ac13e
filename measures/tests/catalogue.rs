//! The catalogue loads: every guard holds and every row's cases pass.

use std::path::Path;

use creditgate_measures::book::{Book, Deployment, SourceFile};

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

#[test]
fn the_catalogue_loads_and_all_its_cases_pass() {
    let book =
        Book::load(&on_disk(), &Deployment::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(book.lists().len() >= 12);
    assert!(book.measures().len() >= 30);
}
