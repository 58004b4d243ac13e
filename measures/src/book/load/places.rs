//! Where the files of a book belong: one that lies elsewhere would be passed over in silence.

use super::{Loader, Place, SourceFile};

/// Folders of the national part, each with the ending of its files.
const FOLDERS: [(&str, &str); 10] = [
    ("agreements", ".yaml"),
    ("calendar", ".yaml"),
    ("commitments", ".yaml"),
    ("incentives", ".yaml"),
    ("lists", ".yaml"),
    ("measures", ".yaml"),
    ("names", "simplify.txt"),
    ("notices", ".yaml"),
    ("repair", ".yaml"),
    ("scenarios", ".yaml"),
];
/// Folders of a supplement.
const OF_SUPPLEMENT: [&str; 5] = [
    "agreements",
    "commitments",
    "incentives",
    "lists",
    "measures",
];

impl Loader {
    /// Refuses files that belong to no part of the book, and paths that stand twice.
    pub(super) fn guard_places(&mut self, sorted: &[&SourceFile]) {
        for file in sorted.iter().filter(|file| !belongs(&file.path)) {
            let place = Place {
                file: &file.path,
                subject: "book",
            };
            self.guard(
                place,
                0,
                "the file belongs to no part of a book and would be passed over",
                format!(
                    "end it in `.yaml` and lay it into one of {}, or take it away",
                    FOLDERS.map(|(folder, _)| folder).join(", ")
                ),
            );
        }
        for (file, next) in sorted.iter().zip(sorted.iter().skip(1)) {
            if file.path == next.path {
                let place = Place {
                    file: &file.path,
                    subject: "book",
                };
                self.guard(
                    place,
                    0,
                    "the file stands twice: two supplements of one name, perhaps",
                    "give each supplement a directory name of its own",
                );
            }
        }
    }
}

fn belongs(path: &str) -> bool {
    let in_folder = |path: &str, folder: &str, ending: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/') && rest.ends_with(ending))
    };
    let supplement = || {
        let inside = path.strip_prefix("supplements/")?.split_once('/')?.1;
        Some(
            inside == "supplement.yaml"
                || OF_SUPPLEMENT
                    .iter()
                    .any(|folder| in_folder(inside, folder, ".yaml")),
        )
    };
    matches!(path, "book.yaml" | "not-expressed.yaml")
        || FOLDERS
            .iter()
            .any(|(folder, ending)| in_folder(path, folder, ending))
        || supplement().unwrap_or(false)
}
