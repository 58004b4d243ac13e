//! `creditgate measures`: a book checked, shown and compared without a service.

mod lint;

use std::collections::BTreeMap;
use std::process::ExitCode;

use creditgate_measures::book::{Book, Deployment};

use crate::book;
use crate::cli::BookArgs;
use crate::failure::Failure;

pub use lint::lint;

fn load(args: &BookArgs) -> Result<Book, Failure> {
    let unread = |error| Failure::new("read the book", error);
    let mut files = book::files(args.dir.as_deref()).map_err(unread)?;
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
