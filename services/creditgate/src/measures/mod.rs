//! `creditgate measures`: a book checked, explained, shown and compared without a service.

mod confirm;
mod diff;
mod explain;
mod import;
mod lint;
mod pack;
mod publish;
mod schema;
mod show;
mod simulate;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use creditgate_measures::book::{Book, BookErrors, Deployment, SourceFile};

use crate::book;
use crate::cli::{BookArgs, TableArgs, WhichBook};
use crate::failure::Failure;

pub use confirm::confirm;
pub use diff::diff;
pub use explain::explain;
pub use lint::lint;
pub use pack::pack;
pub use publish::{books, publish};
pub use schema::schema;
pub use show::show;
pub use simulate::{ShadowCommand, SimulateArgs, shadow, simulate};
pub use test::test;

/// The files of the book at a path; without one, those of the built-in catalogue.
///
/// The single place in which commands read a book, whatever form it lies in.
fn load_any(path: Option<&Path>) -> Result<Vec<SourceFile>, Failure> {
    book::files(path).map_err(unread)
}

fn unread(error: book::ReadError) -> Failure {
    Failure::new("read the book", error)
}

fn refused(errors: BookErrors) -> Failure {
    Failure::plain(errors.to_string())
}

fn read(args: &BookArgs) -> Result<(Vec<SourceFile>, Deployment), Failure> {
    compose(args.dir.as_deref(), &args.supplement, &args.confirmations)
}

fn load(args: &BookArgs) -> Result<Book, Failure> {
    let (files, deployment) = read(args)?;
    Book::load(&files, &deployment).map_err(refused)
}

pub(crate) fn load_named(book: &WhichBook) -> Result<Book, Failure> {
    let (files, deployment) = compose(book.dir.as_deref(), &book.supplement, &book.confirmations)?;
    Book::load(&files, &deployment).map_err(refused)
}

/// The files of a book with the supplements and confirmations that lie beside it.
fn compose(
    path: Option<&Path>,
    supplements: &[PathBuf],
    confirmations: &[PathBuf],
) -> Result<(Vec<SourceFile>, Deployment), Failure> {
    let files = book::composed(path, supplements).map_err(unread)?;
    let deployment = Deployment {
        confirmations: book::confirmations(confirmations).map_err(unread)?,
        ..Deployment::default()
    };
    Ok((files, deployment))
}

/// JSON for people and for files: indented, with an end of line.
fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// Drafts rows from a published table.
pub fn import(args: &TableArgs) -> Result<ExitCode, Failure> {
    import::import(args, &load_named(&args.book)?)
}
