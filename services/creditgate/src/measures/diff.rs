//! `measures diff`: what differs between two books, in words.

use std::path::Path;
use std::process::ExitCode;

use creditgate_measures::book::diff::BookDiff;
use creditgate_measures::book::{Book, Deployment};

use super::{load_any, pretty};
use crate::cli::BookDiffArgs;
use crate::failure::Failure;

/// Exit code of books that differ, as `diff` has it.
const DIFFERENT: u8 = 1;

/// Compares two books; the exit code tells whether they say the same.
pub fn diff(args: &BookDiffArgs) -> Result<ExitCode, Failure> {
    let difference = BookDiff::of(&read(&args.old)?, &read(&args.new)?);
    if args.json {
        let value = serde_json::to_value(&difference)
            .map_err(|error| Failure::new("write the differences", error))?;
        say_part!("{}", pretty(&value));
    } else {
        say_part!("{}", difference.text());
    }
    Ok(if difference.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENT)
    })
}

fn read(path: &Path) -> Result<Book, Failure> {
    Book::load(&load_any(Some(path))?, &Deployment::default())
        .map_err(|refused| Failure::plain(format!("`{}`: {refused}", path.display())))
}
