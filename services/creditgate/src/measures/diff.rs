//! `measures diff`: what differs between two books, in words.

use std::path::Path;
use std::process::ExitCode;

use creditgate_measures::book::diff::BookDiff;
use creditgate_measures::book::{Book, Deployment};

use super::{load_any, pretty};
use crate::cli::BookDiffArgs;
use crate::failure::Failure;

/// The table that turns traditional into simplified characters.
const NAMES: &str = "names/simplify.txt";
/// Exit code of books that differ, as `diff` has it.
const DIFFERENT: u8 = 1;

/// Compares two books; the exit code tells whether they say the same.
pub fn diff(args: &BookDiffArgs) -> Result<ExitCode, Failure> {
    let (old, old_names) = read(&args.old)?;
    let (new, new_names) = read(&args.new)?;
    let difference = BookDiff::of(&old, &new);
    let same_names = old_names == new_names;
    if args.json {
        let value = serde_json::to_value(&difference)
            .map_err(|error| Failure::new("write the differences", error))?;
        say_part!("{}", pretty(&value));
    } else {
        if !same_names {
            say!(
                "The table of names ({NAMES}) differs: who is found by name may change. Simulate before publishing."
            );
        }
        if same_names || !difference.is_empty() {
            say_part!("{}", difference.text());
        }
    }
    Ok(if difference.is_empty() && same_names {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENT)
    })
}

/// The book at a path, and its table of names.
fn read(path: &Path) -> Result<(Book, Option<String>), Failure> {
    let files = load_any(Some(path))?;
    let book = Book::load(&files, &Deployment::default())
        .map_err(|refused| Failure::plain(format!("`{}`: {refused}", path.display())))?;
    let names = files.into_iter().find(|file| file.path == NAMES);
    Ok((book, names.map(|file| file.text)))
}
