//! Clocks: what comes by time alone and by when something is due, worked out by hand.

#[path = "../support/mod.rs"]
mod support;

mod boundaries;
mod dates;
mod guards;
mod limits;
mod notices;
mod shown;
mod working_days;

use std::sync::LazyLock;

use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::catalogue;

/// The built-in catalogue.
static BOOK: LazyLock<Book> = LazyLock::new(|| {
    Book::load(&catalogue::built_in(), &Deployment::default())
        .unwrap_or_else(|errors| panic!("{errors}"))
});
