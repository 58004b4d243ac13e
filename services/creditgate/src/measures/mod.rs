//! `creditgate measures`: a book checked, shown and compared without a service.

mod confirm;
mod lint;
mod pack;
mod publish;

use std::process::ExitCode;

use creditgate_measures::book::{Book, Deployment};

use crate::book;
use crate::cli::BookArgs;
use crate::failure::Failure;

pub use confirm::confirm;
pub use lint::lint;
pub use pack::pack;
pub use publish::{books, publish};

fn load(args: &BookArgs) -> Result<Book, Failure> {
    let unread = |error| Failure::new("read the book", error);
    let files = book::composed(args.dir.as_deref(), &args.supplement).map_err(unread)?;
    let deployment = Deployment {
        confirmations: book::confirmations(&args.confirmations).map_err(unread)?,
        ..Deployment::default()
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
