//! `creditgate measures`: a book checked, shown and compared without a service.

mod diff;
mod import;
mod lint;
mod schema;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use creditgate_measures::book::{Book, Deployment, SourceFile};

use crate::book;
use crate::cli::{BookArgs, TableArgs, WhichBook};
use crate::failure::Failure;

pub use diff::diff;
pub use lint::lint;
pub use schema::schema;
pub use show::show;

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
    compose(args.dir.as_deref(), &args.supplement, &args.confirmations)
}

fn load_named(book: &WhichBook) -> Result<Book, Failure> {
    compose(book.dir.as_deref(), &book.supplement, &book.confirmations)
}

/// A book with the supplements and confirmations that lie beside it.
fn compose(
    path: Option<&Path>,
    supplements: &[PathBuf],
    confirmations: &[PathBuf],
) -> Result<Book, Failure> {
    let mut files = load_any(path)?;
    for dir in supplements {
        files.extend(book::supplement(dir).map_err(unread)?);
    }
    load_files(&files, confirmations)
}

fn load_files(files: &[SourceFile], confirmations: &[PathBuf]) -> Result<Book, Failure> {
    let deployment = Deployment {
        confirmations: book::confirmations(confirmations).map_err(unread)?,
        not_connected: BTreeMap::new(),
    };
    Book::load(files, &deployment).map_err(|errors| Failure::plain(errors.to_string()))
}

/// JSON for people and for files: indented, with an end of line.
fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// Drafts rows from a published table.
pub fn import(args: &TableArgs) -> Result<ExitCode, Failure> {
    import::import(args, &load_named(&args.book)?)
}

/// Judges the cases of every row; loading a book does, and refuses it when one fails.
pub fn test(args: &BookArgs) -> Result<ExitCode, Failure> {
    let book = load(args)?;
    let cases: usize = book.measures().iter().map(|row| row.cases).sum();
    say!("{cases} cases of {} rows passed", book.measures().len());
    Ok(ExitCode::SUCCESS)
}
