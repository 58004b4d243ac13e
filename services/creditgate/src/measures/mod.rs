//! `creditgate measures`: a book checked, shown and compared without a service.

mod lint;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use creditgate_measures::book::{Book, Deployment, SourceFile};

use crate::book;
use crate::cli::BookArgs;
use crate::failure::Failure;

pub use lint::lint;

/// The files of the book at a path; without one, those of the built-in catalogue.
///
/// The single place in which commands read a book, whatever form it lies in.
fn load_any(path: Option<&Path>) -> Result<Vec<SourceFile>, Failure> {
    book::files(path).map_err(unread)
}

fn unread(error: book::ReadError) -> Failure {
    Failure::new("read the book", error)
}

fn load(args: &BookArgs) -> Result<Book, Failure> {
    let mut files = load_any(args.dir.as_deref())?;
    for dir in &args.supplement {
        files.extend(book::supplement(dir).map_err(unread)?);
    }
    let deployment = Deployment {
        confirmations: book::confirmations(&args.confirmations).map_err(unread)?,
        not_connected: BTreeMap::new(),
    };
    Book::load(&files, &deployment).map_err(|errors| Failure::plain(errors.to_string()))
}

/// Judges the cases of every row; loading a book does, and refuses it when one fails.
pub fn test(args: &BookArgs) -> Result<ExitCode, Failure> {
    let book = load(args)?;
    let cases: usize = book.measures().iter().map(|row| row.cases).sum();
    say!("{cases} cases of {} rows passed", book.measures().len());
    Ok(ExitCode::SUCCESS)
}
