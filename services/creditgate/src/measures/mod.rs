//! `creditgate measures`: a book checked, explained, shown and compared without a service.

mod explain;
mod lint;
mod test;

use std::collections::BTreeMap;

use creditgate_measures::book::{Book, BookErrors, Deployment, SourceFile};

use crate::book;
use crate::cli::BookArgs;
use crate::failure::Failure;

pub use explain::explain;
pub use lint::lint;
pub use test::test;

fn read(args: &BookArgs) -> Result<(Vec<SourceFile>, Deployment), Failure> {
    let unread = |error| Failure::new("read the book", error);
    let mut files = book::files(args.dir.as_deref()).map_err(unread)?;
    for dir in &args.supplement {
        files.extend(book::supplement(dir).map_err(unread)?);
    }
    let deployment = Deployment {
        confirmations: book::confirmations(&args.confirmations).map_err(unread)?,
        not_connected: BTreeMap::new(),
    };
    Ok((files, deployment))
}

fn load(args: &BookArgs) -> Result<Book, Failure> {
    let (files, deployment) = read(args)?;
    Book::load(&files, &deployment).map_err(refused)
}

fn refused(errors: BookErrors) -> Failure {
    Failure::plain(errors.to_string())
}
